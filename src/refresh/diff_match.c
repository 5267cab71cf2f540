/*-------------------------------------------------------------------------
 *
 * diff_match.c
 *	  The difference between the stored rows of a view and computed ones.
 *
 * Both are multisets of rows.  Stored rows come first, as hashes (row_hash.c)
 * with their places, then computed ones, as hashes with their content.  A
 * computed row that finds a stored one of the same hash takes it away; one
 * that does not is kept, for insertion.  Stored rows that nobody took are to
 * be deleted.  So of each stored row 40 bytes are kept, and whole rows only of
 * what is new: a view that did not change writes nothing anywhere.
 *
 * If the table of stored rows outgrows three quarters of the memory, sorting
 * takes its place, and memory limits nothing but speed: stored rows are sorted
 * by hash, computed rows are written to a temporary file and their hashes
 * sorted, and a merge of both sorts tells the numbers of the rows that are new
 * and the places of those that are gone.  Both are sorted once more, to read
 * the temporary file and to visit the heap in order.  The sorts and files that
 * are alive together share the memory evenly.
 *
 * All memory is below the context that was current at the start, temporary
 * files belong to the current resource owner: an error cleans up.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"

#include "base/compat.h"
#include "refresh/diff_match.h"

/* Memory that a sort or tuplestore needs at the least, in kilobytes. */
#define LEAST_KILOBYTES 64

/* Sorts and tuplestores that may be alive together. */
#define MOST_PARTS 6

/* Columns of the sorts by hash. */
enum
{
	KEY_HIGH,
	KEY_LOW,
	KEY_ROW,
	KEY_COLUMNS
};

/*
 * Start.  The descriptor is that of the computed rows; it must stay.
 */
void
steward_match_begin(StewardMatch *match, TupleDesc desc, int kilobytes)
{
	memset(match, 0, sizeof(*match));
	match->desc = desc;
	match->kilobytes = kilobytes;
	match->table = steward_row_table_create();
}

/* The share of the memory that each sort gets. */
static int
part_kilobytes(StewardMatch *match)
{
	return Max(match->kilobytes / MOST_PARTS, LEAST_KILOBYTES);
}

/* A TID as a number that sorts like it, and back. */
static int64
tid_to_number(ItemPointer tid)
{
	return ((int64) ItemPointerGetBlockNumber(tid) << 16) |
		ItemPointerGetOffsetNumber(tid);
}

static void
number_to_tid(int64 number, ItemPointer tid)
{
	ItemPointerSet(tid, (BlockNumber) (number >> 16),
				   (OffsetNumber) (number & 0xffff));
}

/* Start a sort by hash. */
static Tuplesortstate *
begin_key_sort(StewardMatch *match)
{
	AttrNumber	columns[2] = {KEY_HIGH + 1, KEY_LOW + 1};
	Oid			operators[2] = {Int8LessOperator, Int8LessOperator};
	Oid			collations[2] = {InvalidOid, InvalidOid};
	bool		nulls_first[2] = {false, false};

	return tuplesort_begin_heap(match->key_slot->tts_tupleDescriptor,
								2, columns, operators, collations, nulls_first,
								part_kilobytes(match), NULL, TUPLESORT_NONE);
}

/* Start a sort of numbers. */
static Tuplesortstate *
begin_number_sort(StewardMatch *match)
{
	return tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
								 part_kilobytes(match), NULL, TUPLESORT_NONE);
}

/* Add a hash and its row to a sort. */
static void
put_key(StewardMatch *match, Tuplesortstate *sort, const StewardRowHash *hash,
		int64 row)
{
	TupleTableSlot *slot = match->key_slot;

	ExecClearTuple(slot);
	slot->tts_values[KEY_HIGH] = Int64GetDatum((int64) hash->high);
	slot->tts_values[KEY_LOW] = Int64GetDatum((int64) hash->low);
	slot->tts_values[KEY_ROW] = Int64GetDatum(row);
	memset(slot->tts_isnull, 0, KEY_COLUMNS * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(sort, slot);
}

/* A descriptor of (hash, hash, row). */
static TupleDesc
key_descriptor(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(KEY_COLUMNS);

	TupleDescInitEntry(desc, KEY_HIGH + 1, "high", INT8OID, -1, 0);
	TupleDescInitEntry(desc, KEY_LOW + 1, "low", INT8OID, -1, 0);
	TupleDescInitEntry(desc, KEY_ROW + 1, "row", INT8OID, -1, 0);
	TupleDescFinalize(desc);
	return desc;
}

/* The table is full: move it into a sort, where there is room. */
static void
change_to_sorting(StewardMatch *match)
{
	StewardRowEntry *entry;
	uint32		position = 0;

	match->key_slot = MakeSingleTupleTableSlot(key_descriptor(),
											   &TTSOpsVirtual);
	match->stored_sort = begin_key_sort(match);
	while ((entry = steward_row_table_next(match->table, &position)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		put_key(match, match->stored_sort, &entry->hash,
				tid_to_number(&entry->tid));
	}
	steward_row_table_free(match->table);
	match->table = NULL;
}

/*
 * A row that the view has.
 */
void
steward_match_stored(StewardMatch *match, const StewardRowHash *hash,
					 ItemPointer tid)
{
	match->ndeleted++;
	if (match->table != NULL &&
		steward_row_table_full(match->table, match->kilobytes / 4 * 3))
		change_to_sorting(match);

	if (match->table != NULL)
		steward_row_table_add(match->table, hash, tid);
	else
		put_key(match, match->stored_sort, hash, tid_to_number(tid));
}

/*
 * All stored rows are known; computed ones follow.
 */
void
steward_match_stored_done(StewardMatch *match)
{
	if (match->table != NULL)
	{
		steward_row_table_build(match->table);
		match->inserted =
			tuplestore_begin_heap(false, false,
								  Max(match->kilobytes -
									  steward_row_table_kilobytes(match->table),
									  LEAST_KILOBYTES));
	}
	else
	{
		tuplesort_performsort(match->stored_sort);
		match->computed_sort = begin_key_sort(match);
		match->computed = tuplestore_begin_heap(false, false,
												part_kilobytes(match));
	}
}

/*
 * A row that the view should have.
 */
void
steward_match_computed(StewardMatch *match, const StewardRowHash *hash,
					   TupleTableSlot *slot)
{
	ItemPointerData tid;

	if (match->table == NULL)
	{
		put_key(match, match->computed_sort, hash, match->ncomputed++);
		tuplestore_puttupleslot(match->computed, slot);
	}
	else if (steward_row_table_take(match->table, hash, &tid))
	{
		match->nunchanged++;
		match->ndeleted--;
	}
	else
	{
		tuplestore_puttupleslot(match->inserted, slot);
		match->ninserted++;
	}
}

/* One side of the merge. */
typedef struct MergeSide
{
	Tuplesortstate *sort;
	TupleTableSlot *slot;
	bool		more;
	int64		high;
	int64		low;
	int64		row;
} MergeSide;

/* Go to the next entry. */
static void
advance_side(MergeSide *side)
{
	bool		isnull;

	side->more = tuplesort_gettupleslot(side->sort, true, false, side->slot,
										NULL);
	if (!side->more)
		return;
	side->high = DatumGetInt64(slot_getattr(side->slot, KEY_HIGH + 1, &isnull));
	side->low = DatumGetInt64(slot_getattr(side->slot, KEY_LOW + 1, &isnull));
	side->row = DatumGetInt64(slot_getattr(side->slot, KEY_ROW + 1, &isnull));
}

/* Start reading one side. */
static void
begin_side(MergeSide *side, StewardMatch *match, Tuplesortstate *sort)
{
	memset(side, 0, sizeof(*side));
	side->sort = sort;
	side->slot = MakeSingleTupleTableSlot(match->key_slot->tts_tupleDescriptor,
										  &TTSOpsMinimalTuple);
	advance_side(side);
}

/* Which side is behind: negative is the first, zero both. */
static int
compare_sides(const MergeSide *a, const MergeSide *b)
{
	if (!a->more || !b->more)
		return b->more ? 1 : -1;
	if (a->high != b->high)
		return a->high < b->high ? -1 : 1;
	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return 0;
}

/*
 * Find out by merging which stored rows are to be deleted, and which computed
 * rows to be inserted; the numbers of the latter go to the sort.
 */
static void
merge_sorts(StewardMatch *match, Tuplesortstate *inserted_sort)
{
	MergeSide	stored;
	MergeSide	computed;

	begin_side(&stored, match, match->stored_sort);
	begin_side(&computed, match, match->computed_sort);
	match->ndeleted = 0;
	while (stored.more || computed.more)
	{
		int			order = compare_sides(&stored, &computed);

		CHECK_FOR_INTERRUPTS();
		if (order == 0)
			match->nunchanged++;
		else if (order < 0)
		{
			tuplesort_putdatum(match->deleted_sort, Int64GetDatum(stored.row),
							   false);
			match->ndeleted++;
		}
		else
		{
			tuplesort_putdatum(inserted_sort, Int64GetDatum(computed.row),
							   false);
			match->ninserted++;
		}
		if (order <= 0)
			advance_side(&stored);
		if (order >= 0)
			advance_side(&computed);
	}
	ExecDropSingleTupleTableSlot(stored.slot);
	ExecDropSingleTupleTableSlot(computed.slot);
}

/* Copy the computed rows with these numbers, which are sorted. */
static void
pick_inserted(StewardMatch *match, Tuplesortstate *inserted_sort)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(match->desc,
													&TTSOpsMinimalTuple);
	Datum		number;
	bool		isnull;
	int64		row = -1;

	while (STEWARD_SORT_GETDATUM(inserted_sort, &number, &isnull))
	{
		CHECK_FOR_INTERRUPTS();
		if (!tuplestore_skiptuples(match->computed,
								   DatumGetInt64(number) - row - 1, true) ||
			!tuplestore_gettupleslot(match->computed, true, false, slot))
			elog(ERROR, "computed row " INT64_FORMAT " is missing",
				 DatumGetInt64(number));
		tuplestore_puttupleslot(match->inserted, slot);
		row = DatumGetInt64(number);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * All computed rows are known: find the difference.
 */
void
steward_match_finish(StewardMatch *match)
{
	Tuplesortstate *inserted_sort;

	if (match->table != NULL)
		return;

	tuplesort_performsort(match->computed_sort);
	match->deleted_sort = begin_number_sort(match);
	inserted_sort = begin_number_sort(match);
	merge_sorts(match, inserted_sort);
	tuplesort_end(match->stored_sort);
	tuplesort_end(match->computed_sort);

	tuplesort_performsort(match->deleted_sort);
	tuplesort_performsort(inserted_sort);
	match->inserted = tuplestore_begin_heap(false, false,
											part_kilobytes(match));
	pick_inserted(match, inserted_sort);
	tuplesort_end(inserted_sort);
	tuplestore_end(match->computed);
	ExecDropSingleTupleTableSlot(match->key_slot);
}

/*
 * Rows to delete as a table, for giving them other hashes, or NULL if they are
 * too many for memory.
 */
StewardRowTable *
steward_match_deleted_table(StewardMatch *match)
{
	StewardRowHash none = {0, 0};
	uint32		position = 0;
	ItemPointerData tid;

	if (match->table == NULL &&
		steward_row_table_fits(match->ndeleted, match->kilobytes / 4 * 3))
	{
		StewardRowTable *table = steward_row_table_create();

		while (steward_match_next_deleted(match, &position, &tid))
			steward_row_table_add(table, &none, &tid);
		match->table = table;
	}
	return match->table;
}

/*
 * The next row to delete, in the order of the heap.  The position is zero at
 * first.
 */
bool
steward_match_next_deleted(StewardMatch *match, uint32 *position,
						   ItemPointer tid)
{
	Datum		number;
	bool		isnull;

	if (match->table != NULL)
	{
		StewardRowEntry *entry = steward_row_table_next(match->table, position);

		if (entry != NULL)
			ItemPointerCopy(&entry->tid, tid);
		return entry != NULL;
	}
	if (!STEWARD_SORT_GETDATUM(match->deleted_sort, &number, &isnull))
		return false;
	number_to_tid(DatumGetInt64(number), tid);
	return true;
}

/*
 * Give back memory and temporary files.
 */
void
steward_match_end(StewardMatch *match)
{
	if (match->table != NULL)
		steward_row_table_free(match->table);
	if (match->deleted_sort != NULL)
		tuplesort_end(match->deleted_sort);
	if (match->inserted != NULL)
		tuplestore_end(match->inserted);
}
