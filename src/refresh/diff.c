/*-------------------------------------------------------------------------
 *
 * diff.c
 *	  Differential refresh of materialized views.
 *
 * The view's query is executed, its rows are compared with the stored ones as
 * multisets (diff_match.c), and only the difference is written (diff_apply.c).
 * There is no temporary table and no catalog row, and no index is needed.
 *
 * The lock is ShareUpdateExclusiveLock, that of VACUUM and ANALYZE: readers
 * never notice, while other refreshes and DDL wait, or we for them, with the
 * lock_timeout of the session.  It is kept until the transaction ends.  The
 * snapshot is taken after the lock, one for the query and the stored rows, so
 * that both describe the same moment and nobody can change stored rows after
 * it.  Where the transaction has one snapshot from its beginning (REPEATABLE
 * READ), a view that was changed since then is a serialization failure: rows
 * that the snapshot does not see would otherwise stay, beside the new ones.
 *
 * Everything that belongs to the view runs as its owner (matview_query.c).
 *
 * An error anywhere leaves nothing behind: the transaction undoes rows, and
 * user, settings, memory and temporary files are restored by its abort.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/tablecmds.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/guc.h"
#include "refresh/diff.h"
#include "refresh/matview_query.h"
#include "refresh/refresh_progress.h"

/* Where rows of the query go. */
typedef struct DiffReceiver
{
	DestReceiver pub;
	StewardMatch *match;
	StewardRowHasher *hasher;
} DiffReceiver;

/*
 * Why the view cannot be refreshed by difference, as a phrase after "because",
 * or NULL if it can.
 */
const char *
steward_diff_obstacle(Oid view)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
	const char *obstacle = NULL;
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (!form->relispopulated)
		obstacle = "it is not populated";
	else if (form->relam != HEAP_TABLE_AM_OID)
		obstacle = "its table access method is not heap";
	else if (form->relhastriggers)
		obstacle = "it has triggers";
	ReleaseSysCache(tuple);
	return obstacle;
}

/*
 * Open the view, which is locked, and check all that the lock protects.
 */
static Relation
open_view(Oid view)
{
	Relation	relation;
	const char *obstacle = steward_diff_obstacle(view);

	if (obstacle != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot refresh materialized view \"%s\" by difference",
						get_rel_name(view)),
				 errdetail("This is because %s.", obstacle),
				 errhint("Use method \"auto\" or \"plain\".")));

	relation = relation_open(view, NoLock);
	CheckTableNotInUse(relation, "REFRESH MATERIALIZED VIEW");
	return relation;
}

/* The functions of our receiver: only the middle one has work to do. */
static void
start_receiver(DestReceiver *self, int operation, TupleDesc desc)
{
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	DiffReceiver *receiver = (DiffReceiver *) self;
	StewardRowHash hash;

	steward_row_hash(receiver->hasher, slot, NULL, &hash);
	steward_match_computed(receiver->match, &hash, slot);
	return true;
}

static void
end_receiver(DestReceiver *self)
{
}

/*
 * Execute the query of the view with the active snapshot and compare its rows.
 */
static void
read_computed(Relation view, StewardMatch *match, StewardRowHasher *hasher)
{
	DiffReceiver receiver;

	memset(&receiver, 0, sizeof(receiver));
	receiver.pub.receiveSlot = receive_row;
	receiver.pub.rStartup = start_receiver;
	receiver.pub.rShutdown = end_receiver;
	receiver.pub.rDestroy = end_receiver;
	receiver.pub.mydest = DestNone;
	receiver.match = match;
	receiver.hasher = hasher;
	(void) steward_matview_execute(view, &receiver.pub);
}

/* Start to read the stored rows, in the order of the heap. */
static TableScanDesc
begin_stored_scan(Relation view, Snapshot snapshot)
{
	return table_beginscan_strat(view, snapshot, 0, NULL, true, false);
}

/*
 * Read the stored rows.  Returns their number.
 */
static int64
read_stored(Relation view, StewardMatch *match, StewardRowHasher *hasher)
{
	TupleTableSlot *slot = table_slot_create(view, NULL);
	TableScanDesc scan = begin_stored_scan(view, GetActiveSnapshot());
	int64		nrows = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		StewardRowHash hash;

		CHECK_FOR_INTERRUPTS();
		steward_row_hash(hasher, slot, NULL, &hash);
		steward_match_stored(match, &hash, &slot->tts_tid);
		steward_refresh_progress_count(STEWARD_ROWS_COMPARED);
		nrows++;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return nrows;
}

/*
 * Where the snapshot is that of the transaction, raise an error if somebody
 * has committed changes of the view after it was taken: that is, unless it
 * sees all rows that are there now, and not one more.
 */
static void
check_unchanged_since(Relation view, int64 nrows)
{
	Snapshot	snapshot = GetActiveSnapshot();
	Snapshot	latest;
	TupleTableSlot *slot;
	TableScanDesc scan;
	bool		unchanged = true;

	if (!IsolationUsesXactSnapshot())
		return;

	latest = RegisterSnapshot(GetLatestSnapshot());
	slot = table_slot_create(view, NULL);
	scan = begin_stored_scan(view, latest);
	while (unchanged &&
		   table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		unchanged = table_tuple_satisfies_snapshot(view, slot, snapshot);
		nrows--;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(latest);

	if (!unchanged || nrows != 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access to materialized view \"%s\" due to concurrent update",
						RelationGetRelationName(view)),
				 errhint("Try the transaction again.")));
}

/* Say what an error belongs to. */
static void
add_context(void *arg)
{
	errcontext("differential refresh of materialized view \"%s\"",
			   (char *) arg);
}

/*
 * Compare and apply, as the owner, with the active snapshot.
 */
static void
run_refresh(Relation view, int kilobytes, StewardDiffResult *result)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "pg_steward refresh",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	StewardRowHasher hasher;
	StewardMatch match;
	int64		nrows;

	steward_row_hasher_init(&hasher);
	steward_match_begin(&match, RelationGetDescr(view), kilobytes);
	steward_refresh_progress_phase(STEWARD_REFRESH_PHASE_STORED);
	nrows = read_stored(view, &match, &hasher);
	check_unchanged_since(view, nrows);
	steward_match_stored_done(&match);
	steward_refresh_progress_phase(STEWARD_REFRESH_PHASE_COMPUTE);
	read_computed(view, &match, &hasher);
	steward_refresh_progress_phase(STEWARD_REFRESH_PHASE_COMPARE);
	steward_match_finish(&match);
	steward_refresh_progress_phase(STEWARD_REFRESH_PHASE_APPLY);
	steward_diff_apply(view, GetActiveSnapshot(), &match, &hasher, result);
	steward_match_end(&match);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * Refresh a materialized view by difference, in the current transaction, which
 * holds ShareUpdateExclusiveLock on it and has checked the user.  Raises an
 * error, and changes nothing, if the view cannot be (steward_diff_obstacle())
 * or its query fails.
 */
void
steward_diff_refresh(Oid oid, StewardDiffResult *result)
{
	int			kilobytes = steward_refresh_diff_memory;
	Relation	view = open_view(oid);
	ErrorContextCallback context;
	StewardOwnerContext owner;

	context.callback = add_context;
	context.arg = RelationGetRelationName(view);
	context.previous = error_context_stack;
	error_context_stack = &context;

	steward_matview_enter_owner(view, &owner);

	PushCopiedSnapshot(GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();
	run_refresh(view, kilobytes, result);
	PopActiveSnapshot();

	steward_matview_leave_owner(&owner);
	error_context_stack = context.previous;

	relation_close(view, NoLock);
	CommandCounterIncrement();
}
