/*-------------------------------------------------------------------------
 *
 * swap.c
 *	  Refreshing a materialized view by exchanging its files.
 *
 * What a plain REFRESH does under AccessExclusiveLock from beginning to end
 * happens here under ShareUpdateExclusiveLock, beside readers: a new table is
 * filled by the query of the view, and for each index of the view the same
 * index is built on it.  Only then is the view locked exclusively, to exchange
 * the files of both tables and of each pair of indexes (exchange_files.c).
 * The new table leaves with the old files.  What remains under the exclusive
 * lock is some catalog rows, and the commit.
 *
 * The exclusive lock is asked for in short tries (matview_lock.c), for
 * a hundred times pg_steward.lock_timeout in total; then the refresh fails.  It is granted on the view,
 * its indexes and its TOAST table together: nobody can be waited for after it.
 * VACUUM of the TOAST table takes no lock on the view, so that is locked at
 * the start, too.
 *
 * The price: old snapshots see the new rows, as after a plain REFRESH, and a
 * standby replays the exclusive lock, which cancels queries of the view there
 * after max_standby_streaming_delay.
 *
 * An index over whole rows of the view cannot be built on another table.  Such
 * views get all indexes rebuilt by the server under the exclusive lock, and a
 * note.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/genam.h"
#include "access/multixact.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/toast_internals.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "commands/defrem.h"
#include "commands/matview.h"
#include "commands/tablecmds.h"
#include "nodes/nodes.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/guc.h"
#include STEWARD_MAKE_HEAP_HEADER
#include "refresh/exchange_files.h"
#include "refresh/matview_lock.h"
#include "refresh/matview_query.h"
#include "refresh/refresh_progress.h"
#include "refresh/swap.h"

/*
 * How long to try for the exclusive lock before all work is thrown away, as a
 * multiple of pg_steward.lock_timeout: 10 s by default.
 */
#define PATIENCE 100

/* Does an expression refer to the row as a whole? */
static bool
uses_whole_row(List *expressions)
{
	Bitmapset  *columns = NULL;

	pull_varattnos((Node *) expressions, 1, &columns);
	return bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, columns);
}

/* Can all these indexes be built on another table? */
static bool
can_build_elsewhere(List *indexes)
{
	bool		result = true;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (uses_whole_row(RelationGetIndexExpressions(index)) ||
			uses_whole_row(RelationGetIndexPredicate(index)))
			result = false;
		index_close(index, NoLock);
	}
	return result;
}

/*
 * Fill a new table with the rows that the view should have.  Returns its OID.
 * The table looks like the view, and belongs to its owner.
 */
static Oid
fill_table(Relation view, int64 *nrows)
{
	Oid			table;
	DestReceiver *receiver;

	table = make_new_heap(RelationGetRelid(view), view->rd_rel->reltablespace,
						  view->rd_rel->relam, view->rd_rel->relpersistence,
						  ExclusiveLock);
	LockRelationOid(table, AccessExclusiveLock);
	receiver = CreateTransientRelDestReceiver(table);

	steward_refresh_progress_phase(STEWARD_REFRESH_PHASE_COMPUTE);
	PushCopiedSnapshot(GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();
	*nrows = steward_matview_execute(view, receiver);
	PopActiveSnapshot();
	receiver->rDestroy(receiver);
	CommandCounterIncrement();
	return table;
}

/* A text in which a name stands instead of another; NULL stays NULL. */
static char *
rename_in_text(char *message, const char *from, const char *to)
{
	Datum		result;

	if (message == NULL || from == NULL || from[0] == '\0')
		return message;
	result = DirectFunctionCall3Coll(replace_text, C_COLLATION_OID,
									 CStringGetTextDatum(message),
									 CStringGetTextDatum(from),
									 CStringGetTextDatum(to));
	return TextDatumGetCString(result);
}

/*
 * Raise an error about the new index as one about the view's: of the others,
 * which are gone by then, nobody knows the names.
 */
static void
raise_as_of_view(ErrorData *error, const char *index, const char *view)
{
	char	   *built = error->constraint_name;
	char	   *table = error->table_name;

	error->message = rename_in_text(error->message, built, index);
	error->message = rename_in_text(error->message, table, view);
	error->detail = rename_in_text(error->detail, built, index);
	error->detail = rename_in_text(error->detail, table, view);
	if (built != NULL)
		error->constraint_name = pstrdup(index);
	if (table != NULL)
		error->table_name = pstrdup(view);
	ReThrowError(error);
}

/*
 * Have the server build an index.  Returns its OID.  In errors that name it or
 * its table, the names are replaced by those of the view and its index.
 */
static Oid
define_index(Oid table, IndexStmt *statement, const char *index,
			 const char *view)
{
	MemoryContext context = CurrentMemoryContext;
	ObjectAddress address = InvalidObjectAddress;

	PG_TRY();
	{
		address = STEWARD_DEFINE_INDEX(table, statement);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		raise_as_of_view(error, index, view);
	}
	PG_END_TRY();
	return address.objectId;
}

/* Say which index of the view an error belongs to. */
static void
add_index_context(void *arg)
{
	errcontext("building anew index \"%s\" of a materialized view",
			   (char *) arg);
}

/*
 * Build an index of the view on the new table.  Returns the OID of the new
 * one.  One that is not valid, left behind by a failure, may not hold what it
 * promises and must not fail for it: it stays what it is.
 */
static Oid
build_index(Oid index_oid, Oid table, Relation view)
{
	Relation	index = index_open(index_oid, AccessShareLock);
	char	   *name = pstrdup(RelationGetRelationName(index));
	int			natts = RelationGetNumberOfAttributes(view);
	AttrMap    *map = make_attrmap(natts);
	IndexStmt  *statement;
	ErrorContextCallback context;
	Oid			built;

	context.callback = add_index_context;
	context.arg = name;
	context.previous = error_context_stack;
	error_context_stack = &context;

	for (int i = 0; i < natts; i++)
		map->attnums[i] = i + 1;
	statement = generateClonedIndexStmt(NULL, index, map, NULL);
	statement->reset_default_tblspc = true; /* where it is, nowhere else */
	if (!index->rd_index->indisvalid)
		statement->unique = false;
	index_close(index, NoLock);

	built = define_index(table, statement, name,
						 RelationGetRelationName(view));
	CommandCounterIncrement();
	error_context_stack = context.previous;
	free_attrmap(map);
	return built;
}

/* Build all of them, in the same order. */
static List *
build_indexes(Relation view, List *indexes, Oid table)
{
	List	   *built = NIL;
	ListCell   *cell;

	steward_refresh_progress_phase(STEWARD_REFRESH_PHASE_INDEXES);
	foreach(cell, indexes)
	{
		CHECK_FOR_INTERRUPTS();
		built = lappend_oid(built,
							build_index(lfirst_oid(cell), table, view));
	}
	return built;
}

/* The relations that leave or change files with the view. */
static List *
relations_to_lock(Relation view, List *indexes)
{
	List	   *relations = list_copy(indexes);
	Oid			toast = view->rd_rel->reltoastrelid;

	if (OidIsValid(toast))
	{
		relations = lappend_oid(relations, toast);
		relations = lappend_oid(relations,
								toast_get_valid_index(toast, AccessShareLock));
	}
	return relations;
}

/*
 * Give the TOAST table, which came with the new table, the name that belongs
 * to the view.
 */
static void
rename_toast(Oid view)
{
	Relation	relation = relation_open(view, NoLock);
	Oid			toast = relation->rd_rel->reltoastrelid;
	char		name[NAMEDATALEN];

	relation_close(relation, NoLock);
	if (!OidIsValid(toast))
		return;
	snprintf(name, sizeof(name), "pg_toast_%u", view);
	RenameRelationInternal(toast, name, true, false);
	snprintf(name, sizeof(name), "pg_toast_%u_index", view);
	RenameRelationInternal(toast_get_valid_index(toast, NoLock), name, true,
						   true);
	CommandCounterIncrement();
	ResetRelRewrite(toast);
}

/* Remove the new table, which has the old files now. */
static void
drop_table(Oid table)
{
	ObjectAddress address;

	ObjectAddressSet(address, RelationRelationId, table);
	performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
}

/*
 * The view, which is locked exclusively, gets the content of the table.
 */
static void
exchange_all(Relation view, Oid table, List *indexes, List *built,
			 int64 nrows)
{
	Oid			oid = RelationGetRelid(view);
	ListCell   *old;
	ListCell   *new;

	forboth(old, indexes, new, built)
	{
		steward_exchange_files(lfirst_oid(old), lfirst_oid(new), -1);
	}
	steward_exchange_files(oid, table, nrows);
	CommandCounterIncrement();
	drop_table(table);
	rename_toast(oid);
}

/*
 * Refresh a materialized view in the current transaction, which holds
 * ShareUpdateExclusiveLock on it and has checked the user; it keeps
 * AccessExclusiveLock until it ends.  Returns the number of rows.  Raises an
 * error, and changes nothing, if the query or building an index fails, or the
 * exclusive lock cannot be had.  The note, if any, is a palloc'd string.
 */
int64
steward_swap_refresh(Oid oid, char **note)
{
	Relation	view = relation_open(oid, NoLock);
	char		persistence = view->rd_rel->relpersistence;
	StewardOwnerContext owner;
	List	   *indexes;
	List	   *built = NIL;
	bool		apart;
	Oid			table;
	int64		nrows;

	CheckTableNotInUse(view, "REFRESH MATERIALIZED VIEW");
	if (OidIsValid(view->rd_rel->reltoastrelid))
		LockRelationOid(view->rd_rel->reltoastrelid, ShareUpdateExclusiveLock);
	indexes = RelationGetIndexList(view);
	apart = can_build_elsewhere(indexes);

	steward_matview_enter_owner(view, &owner);
	table = fill_table(view, &nrows);
	if (apart)
		built = build_indexes(view, indexes, table);
	else
		*note = pstrdup("indexes were built while the view was locked because one is over whole rows");
	steward_matview_leave_owner(&owner);

	steward_refresh_progress_phase(STEWARD_REFRESH_PHASE_LOCK);
	steward_matview_lock_exclusive(oid, relations_to_lock(view, indexes),
								   steward_lock_timeout * PATIENCE);
	CheckTableNotInUse(view, "REFRESH MATERIALIZED VIEW");
	steward_refresh_progress_phase(STEWARD_REFRESH_PHASE_EXCHANGE);
	if (!RelationIsPopulated(view))
		SetMatViewPopulatedState(view, true);
	if (apart)
		exchange_all(view, table, indexes, built, nrows);
	else
		STEWARD_FINISH_HEAP_SWAP(oid, table, RecentXmin,
								 ReadNextMultiXactId(), persistence);

	pgstat_count_truncate(view);
	pgstat_count_heap_insert(view, nrows);
	relation_close(view, NoLock);
	CommandCounterIncrement();
	return nrows;
}
