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
 * Everything that belongs to the view runs like REFRESH runs it, as its owner
 * in a security-restricted operation: planning (which evaluates functions),
 * execution, and the expressions and predicates of indexes.  The search path
 * is "pg_catalog, pg_temp" on all servers, as REFRESH has it since 17, and
 * settings that a function changes are restored.
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
#include "nodes/pg_list.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/guc.h"
#include "refresh/diff.h"

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

/*
 * The query of the view, a copy that may be changed.
 */
static Query *
view_query(Relation view)
{
	RuleLock   *rules = view->rd_rules;
	RewriteRule *rule;

	if (!view->rd_rel->relhasrules || rules == NULL || rules->numLocks != 1)
		elog(ERROR, "materialized view \"%s\" does not have exactly one rule",
			 RelationGetRelationName(view));
	rule = rules->rules[0];
	if (rule->event != CMD_SELECT || !rule->isInstead ||
		list_length(rule->actions) != 1)
		elog(ERROR, "the rule of materialized view \"%s\" is not a SELECT",
			 RelationGetRelationName(view));
	return copyObject(linitial_node(Query, rule->actions));
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

	CHECK_FOR_INTERRUPTS();
	steward_row_hash(receiver->hasher, slot, NULL, &hash);
	steward_match_computed(receiver->match, &hash, slot);
	return true;
}

static void
end_receiver(DestReceiver *self)
{
}

/* The rows of the query must be rows of the view. */
static void
check_row_type(Relation view, TupleDesc computed)
{
	TupleDesc	stored = RelationGetDescr(view);

	if (computed->natts != stored->natts)
		elog(ERROR, "query of materialized view \"%s\" has %d columns instead of %d",
			 RelationGetRelationName(view), computed->natts, stored->natts);
	for (int i = 0; i < stored->natts; i++)
	{
		if (TupleDescAttr(stored, i)->attisdropped ||
			TupleDescAttr(stored, i)->atttypid != TupleDescAttr(computed, i)->atttypid)
			elog(ERROR, "column %d of materialized view \"%s\" does not have the type of the query",
				 i + 1, RelationGetRelationName(view));
	}
}

/*
 * Execute the query of the view with the active snapshot and compare its rows.
 */
static void
read_computed(Relation view, StewardMatch *match, StewardRowHasher *hasher)
{
	DiffReceiver receiver;
	Query	   *query = view_query(view);
	List	   *rewritten;
	PlannedStmt *plan;
	QueryDesc  *desc;
	char	   *text;

	text = psprintf("REFRESH MATERIALIZED VIEW %s",
					quote_qualified_identifier(get_namespace_name(RelationGetNamespace(view)),
											   RelationGetRelationName(view)));
	AcquireRewriteLocks(query, true, false);
	rewritten = QueryRewrite(query);
	if (list_length(rewritten) != 1)
		elog(ERROR, "query of a materialized view was rewritten to %d queries",
			 list_length(rewritten));
	plan = STEWARD_PLAN_QUERY(linitial_node(Query, rewritten), text,
							  CURSOR_OPT_PARALLEL_OK);

	memset(&receiver, 0, sizeof(receiver));
	receiver.pub.receiveSlot = receive_row;
	receiver.pub.rStartup = start_receiver;
	receiver.pub.rShutdown = end_receiver;
	receiver.pub.rDestroy = end_receiver;
	receiver.pub.mydest = DestNone;
	receiver.match = match;
	receiver.hasher = hasher;

	/* planning may have run functions: see what they did */
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	desc = CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot,
						   &receiver.pub, NULL, NULL, 0);
	ExecutorStart(desc, 0);
	check_row_type(view, desc->tupDesc);
	STEWARD_EXECUTOR_RUN(desc);
	ExecutorFinish(desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	PopActiveSnapshot();
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
	nrows = read_stored(view, &match, &hasher);
	check_unchanged_since(view, nrows);
	steward_match_stored_done(&match);
	read_computed(view, &match, &hasher);
	steward_match_finish(&match);
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
	Oid			userid;
	int			sec_context;
	int			nestlevel;

	context.callback = add_context;
	context.arg = RelationGetRelationName(view);
	context.previous = error_context_stack;
	error_context_stack = &context;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(view->rd_rel->relowner,
						   sec_context | SECURITY_RESTRICTED_OPERATION);
	nestlevel = NewGUCNestLevel();
	RestrictSearchPath();

	PushCopiedSnapshot(GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();
	run_refresh(view, kilobytes, result);
	PopActiveSnapshot();

	AtEOXact_GUC(false, nestlevel);
	SetUserIdAndSecContext(userid, sec_context);
	error_context_stack = context.previous;

	relation_close(view, NoLock);
	CommandCounterIncrement();
}
