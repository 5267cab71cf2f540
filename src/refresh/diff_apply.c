/*-------------------------------------------------------------------------
 *
 * diff_apply.c
 *	  Writing the difference into a materialized view.
 *
 * Rows are deleted, updated and inserted by the table access method like the
 * executor does it, with all that belongs to it: WAL, visibility for older
 * snapshots, entries in every index, statistics.  There are no triggers, rules
 * or constraints to care for, a materialized view cannot have them.
 *
 * A row to delete and a row to insert become one update if they agree in all
 * columns that any unique index uses, be it in its key, an expression or its
 * predicate.  That is what pairs by a unique key, and what makes the order of
 * updates irrelevant: they leave every unique key as it is.  All other rows
 * are deleted before any is inserted, so that keys may change places.  Which
 * rows are paired has no influence on the result.  Without a unique index, or
 * if rows to delete do not fit into memory, there are no updates.
 *
 * An update keeps toasted values that are equal instead of storing them
 * again, and it needs no index entries if nothing indexed changes and the new
 * row fits on the page: a view with a fillfactor below 100 gains most.
 *
 * The caller holds a lock on the view that nobody who writes shares, and the
 * snapshot is younger than that: rows cannot change under us.  If somebody
 * managed it, it is an error.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "storage/lockdefs.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "refresh/diff_apply.h"
#include "refresh/refresh_progress.h"

typedef struct ApplyState
{
	Relation	view;
	Snapshot	snapshot;
	CommandId	cid;
	EState	   *estate;
	ResultRelInfo *target;
	TupleTableSlot *row;		/* a row to insert, from a tuplestore */
	TupleTableSlot *stored;		/* a row of the view */
	TupleTableSlot *merged;		/* a row to insert with stored toast values */
	Bitmapset  *unique;			/* numbers of columns of unique indexes */
	StewardDiffResult *result;
} ApplyState;

/*
 * Numbers of the columns that decide about unique keys.  NULL if there is no
 * unique index.
 */
static Bitmapset *
unique_columns(ResultRelInfo *target)
{
	Bitmapset  *offsets = NULL;
	Bitmapset  *columns = NULL;
	int			member = -1;

	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		IndexInfo  *info = target->ri_IndexRelationInfo[i];

		if (!info->ii_Unique)
			continue;
		for (int k = 0; k < info->ii_NumIndexKeyAttrs; k++)
			if (info->ii_IndexAttrNumbers[k] != 0)
				columns = bms_add_member(columns, info->ii_IndexAttrNumbers[k]);
		pull_varattnos((Node *) info->ii_Expressions, 1, &offsets);
		pull_varattnos((Node *) info->ii_Predicate, 1, &offsets);
	}
	while ((member = bms_next_member(offsets, member)) >= 0)
	{
		int			column = member + FirstLowInvalidHeapAttributeNumber;

		if (column > 0)
			columns = bms_add_member(columns, column);
	}
	return columns;
}

/*
 * Columns that our updates change, for the executor, which tells indexes
 * whether an update left their columns alone.
 */
static Bitmapset *
updated_columns(ApplyState *apply)
{
	Bitmapset  *updated = NULL;

	for (int i = 1; i <= RelationGetNumberOfAttributes(apply->view); i++)
		if (!bms_is_member(i, apply->unique))
			updated = bms_add_member(updated,
									 i - FirstLowInvalidHeapAttributeNumber);
	return updated;
}

/* Set up what the executor would have for a command on the view. */
static void
begin_apply(ApplyState *apply, Relation view, Snapshot snapshot,
			StewardDiffResult *result)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	memset(apply, 0, sizeof(*apply));
	apply->view = view;
	apply->snapshot = snapshot;
	apply->cid = GetCurrentCommandId(true);
	apply->result = result;

	apply->target = makeNode(ResultRelInfo);
	InitResultRelInfo(apply->target, view, 1, NULL, 0);
	ExecOpenIndices(apply->target, false);
	apply->unique = unique_columns(apply->target);

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(view);
	rte->relkind = view->rd_rel->relkind;
	rte->rellockmode = ShareUpdateExclusiveLock;
	apply->estate = CreateExecutorState();
	apply->estate->es_snapshot = snapshot;
	apply->estate->es_output_cid = apply->cid;
	STEWARD_INIT_RANGE_TABLE(apply->estate, rte, updated_columns(apply));

	apply->row = MakeSingleTupleTableSlot(RelationGetDescr(view),
										  &TTSOpsMinimalTuple);
	apply->merged = MakeSingleTupleTableSlot(RelationGetDescr(view),
											 &TTSOpsVirtual);
	apply->stored = table_slot_create(view, NULL);
}

static void
end_apply(ApplyState *apply)
{
	ExecDropSingleTupleTableSlot(apply->row);
	ExecDropSingleTupleTableSlot(apply->merged);
	ExecDropSingleTupleTableSlot(apply->stored);
	ExecCloseIndices(apply->target);
	FreeExecutorState(apply->estate);
}

/* Somebody changed a row despite our lock. */
static void
check_changed(ApplyState *apply, TM_Result outcome)
{
	if (outcome != TM_Ok)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access to materialized view \"%s\" due to concurrent update",
						RelationGetRelationName(apply->view))));
}

/* Delete one row. */
static void
delete_row(ApplyState *apply, ItemPointer tid)
{
	TM_FailureData failure;

	CHECK_FOR_INTERRUPTS();
	check_changed(apply,
				  STEWARD_TUPLE_DELETE(apply->view, tid, apply->cid,
									   apply->snapshot, &failure));
	apply->result->ndeleted++;
	steward_refresh_progress_count(STEWARD_ROWS_APPLIED);
}

/* Insert the row in apply->row. */
static void
insert_row(ApplyState *apply)
{
	CHECK_FOR_INTERRUPTS();
	ResetPerTupleExprContext(apply->estate);
	table_tuple_insert(apply->view, apply->row, apply->cid, 0, NULL);
	if (apply->target->ri_NumIndices > 0)
		STEWARD_INSERT_INDEX_TUPLES(apply->target, apply->row, apply->estate,
									false, false);
	apply->result->ninserted++;
	steward_refresh_progress_count(STEWARD_ROWS_APPLIED);
}

/* Read a stored row into apply->stored. */
static void
fetch_stored(ApplyState *apply, ItemPointer tid)
{
	if (!table_tuple_fetch_row_version(apply->view, tid, apply->snapshot,
									   apply->stored))
		elog(ERROR, "row (%u,%u) of materialized view \"%s\" is missing",
			 ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid),
			 RelationGetRelationName(apply->view));
}

/* Is this value, of variable length, stored in the toast table? */
static bool
is_toasted(Datum value)
{
	return VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value));
}

/*
 * The row in apply->row, but with the toasted values of the stored row that
 * are equal to its own.  Valid until the next call.
 */
static TupleTableSlot *
merge_toasted(ApplyState *apply, ItemPointer tid)
{
	TupleDesc	desc = RelationGetDescr(apply->view);
	TupleTableSlot *merged = apply->merged;
	MemoryContext old;

	if (!OidIsValid(apply->view->rd_rel->reltoastrelid))
		return apply->row;

	fetch_stored(apply, tid);
	slot_getallattrs(apply->stored);
	slot_getallattrs(apply->row);
	ExecClearTuple(merged);
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(apply->estate));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		merged->tts_values[i] = apply->row->tts_values[i];
		merged->tts_isnull[i] = apply->row->tts_isnull[i];
		if (att->attlen == -1 && !apply->row->tts_isnull[i] &&
			!apply->stored->tts_isnull[i] &&
			is_toasted(apply->stored->tts_values[i]) &&
			datum_image_eq(apply->row->tts_values[i],
						   apply->stored->tts_values[i], false, -1))
			merged->tts_values[i] = apply->stored->tts_values[i];
	}
	MemoryContextSwitchTo(old);
	ExecStoreVirtualTuple(merged);
	return merged;
}

/* Make a stored row that in apply->row. */
static void
update_row(ApplyState *apply, ItemPointer tid)
{
	TM_FailureData failure;
	LockTupleMode mode;
	STEWARD_UPDATE_INDEXES indexes;
	TupleTableSlot *slot;

	CHECK_FOR_INTERRUPTS();
	ResetPerTupleExprContext(apply->estate);
	slot = merge_toasted(apply, tid);
	check_changed(apply,
				  STEWARD_TUPLE_UPDATE(apply->view, tid, slot, apply->cid,
									   apply->snapshot, &failure, &mode,
									   &indexes));
	if (apply->target->ri_NumIndices > 0 && STEWARD_INDEXES_ANY(indexes))
		STEWARD_INSERT_INDEX_TUPLES(apply->target, slot, apply->estate,
									true, STEWARD_INDEXES_SUMMARIZING(indexes));
	apply->result->nupdated++;
	steward_refresh_progress_count(STEWARD_ROWS_APPLIED);
}

/*
 * Update all rows that can be.  Those that are left to delete stay in the
 * table; those that are left to insert replace match->inserted.
 */
static void
update_pairs(ApplyState *apply, StewardMatch *match, StewardRowHasher *hasher,
			 StewardRowTable *table)
{
	Tuplestorestate *left;
	StewardRowEntry *entry;
	uint32		position = 0;

	while ((entry = steward_row_table_next(table, &position)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		fetch_stored(apply, &entry->tid);
		steward_row_hash(hasher, apply->stored, apply->unique, &entry->hash);
	}
	ExecClearTuple(apply->stored);
	steward_row_table_build(table);

	left = tuplestore_begin_heap(false, false, Max(match->kilobytes / 8, 64));
	while (tuplestore_gettupleslot(match->inserted, true, false, apply->row))
	{
		StewardRowHash hash;
		ItemPointerData tid;

		steward_row_hash(hasher, apply->row, apply->unique, &hash);
		if (steward_row_table_take(table, &hash, &tid))
			update_row(apply, &tid);
		else
			tuplestore_puttupleslot(left, apply->row);
	}
	ExecClearTuple(apply->row);
	tuplestore_end(match->inserted);
	match->inserted = left;
}

/*
 * Apply the difference that steward_match_finish() found.  Counts what was
 * done in the result.  The caller makes it visible by incrementing the command
 * counter.
 */
void
steward_diff_apply(Relation view, Snapshot snapshot, StewardMatch *match,
				   StewardRowHasher *hasher, StewardDiffResult *result)
{
	ApplyState	apply;
	StewardRowTable *table;
	ItemPointerData tid;
	uint32		position = 0;

	memset(result, 0, sizeof(*result));
	result->nunchanged = match->nunchanged;
	if (match->ndeleted == 0 && match->ninserted == 0)
		return;

	begin_apply(&apply, view, snapshot, result);
	if (apply.unique != NULL && match->ndeleted > 0 && match->ninserted > 0 &&
		(table = steward_match_deleted_table(match)) != NULL)
		update_pairs(&apply, match, hasher, table);
	while (steward_match_next_deleted(match, &position, &tid))
		delete_row(&apply, &tid);
	while (tuplestore_gettupleslot(match->inserted, true, false, apply.row))
		insert_row(&apply);
	end_apply(&apply);
}
