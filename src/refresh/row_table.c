/*-------------------------------------------------------------------------
 *
 * row_table.c
 *	  A table in memory from hashes of rows to their places.
 *
 * The table holds a multiset: a view may have any number of equal rows.  It
 * is filled first and searched later, so rows lie in an array in the order in
 * which they were added (that of the heap), and the buckets, chains of array
 * positions, are made when their number is known.  Equal rows hang on the one
 * that stands in the bucket's chain; a million of them cost a search no more
 * than one.  Rows that are taken stay in the array with a mark; those without
 * the mark are what is left.
 *
 * 32 bytes a row and 4 to 8 for its bucket.  The array comes in pieces, so
 * that growing needs no copy.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "refresh/row_table.h"

#define ROWS_A_PIECE 1024
#define BYTES_A_ROW (sizeof(StewardRowEntry) + 2 * sizeof(uint32))

struct StewardRowTable
{
	MemoryContext context;
	StewardRowEntry **pieces;
	uint32		npieces;		/* places for pieces */
	uint32		nrows;
	uint32	   *buckets;		/* NULL until built */
	uint32		mask;			/* number of buckets - 1 */
};

/* The row of this number. */
static inline StewardRowEntry *
entry_at(StewardRowTable *table, uint32 number)
{
	return &table->pieces[(number - 1) / ROWS_A_PIECE][(number - 1) % ROWS_A_PIECE];
}

/*
 * An empty table, in a memory context below the current one.
 */
StewardRowTable *
steward_row_table_create(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "pg_steward row table",
												  ALLOCSET_DEFAULT_SIZES);
	StewardRowTable *table = MemoryContextAllocZero(context, sizeof(*table));

	table->context = context;
	table->npieces = 64;
	table->pieces = MemoryContextAlloc(context,
									   table->npieces * sizeof(StewardRowEntry *));
	return table;
}

/*
 * Add a row.  Not after steward_row_table_build().
 */
void
steward_row_table_add(StewardRowTable *table, const StewardRowHash *hash,
					  ItemPointer tid)
{
	uint32		piece = table->nrows / ROWS_A_PIECE;
	StewardRowEntry *entry;

	Assert(table->buckets == NULL);
	if (table->nrows % ROWS_A_PIECE == 0)
	{
		if (piece == table->npieces)
		{
			table->npieces *= 2;
			table->pieces = repalloc_huge(table->pieces,
										  table->npieces * sizeof(StewardRowEntry *));
		}
		table->pieces[piece] = MemoryContextAlloc(table->context,
												  ROWS_A_PIECE * sizeof(StewardRowEntry));
	}
	entry = entry_at(table, ++table->nrows);
	entry->hash = *hash;
	entry->next = 0;
	entry->same = 0;
	ItemPointerCopy(tid, &entry->tid);
	entry->taken = false;
}

/*
 * Would so many rows, with their buckets, fit into so much memory?  The
 * number of a row must fit, too.
 */
bool
steward_row_table_fits(int64 nrows, int kilobytes)
{
	return nrows < PG_INT32_MAX &&
		nrows * BYTES_A_ROW <= (int64) kilobytes * 1024;
}

/* No room for one row more? */
bool
steward_row_table_full(StewardRowTable *table, int kilobytes)
{
	return !steward_row_table_fits((int64) table->nrows + 1, kilobytes);
}

/* Memory that the table takes, or will when it is built. */
int
steward_row_table_kilobytes(StewardRowTable *table)
{
	return table->nrows * BYTES_A_ROW / 1024;
}

/*
 * Make the buckets, of all rows that are not taken; of hashes that were
 * changed in place, too.
 */
void
steward_row_table_build(StewardRowTable *table)
{
	uint32		nbuckets = pg_nextpower2_32(Max(table->nrows, 16));

	if (table->buckets == NULL)
		table->buckets = MemoryContextAllocHuge(table->context,
												nbuckets * sizeof(uint32));
	memset(table->buckets, 0, nbuckets * sizeof(uint32));
	table->mask = nbuckets - 1;

	/* backwards, so that rows are taken in the order of the heap */
	for (uint32 number = table->nrows; number > 0; number--)
	{
		StewardRowEntry *entry = entry_at(table, number);
		uint32	   *link = &table->buckets[entry->hash.low & table->mask];

		CHECK_FOR_INTERRUPTS();
		if (entry->taken)
			continue;
		entry->same = 0;
		while (*link != 0)
		{
			StewardRowEntry *other = entry_at(table, *link);

			if (other->hash.low == entry->hash.low &&
				other->hash.high == entry->hash.high)
			{
				/* stand in for it */
				entry->same = *link;
				*link = other->next;
				break;
			}
			link = &other->next;
		}
		link = &table->buckets[entry->hash.low & table->mask];
		entry->next = *link;
		*link = number;
	}
}

/*
 * Take one row with this hash out of the table.  Returns false if there is
 * none (any more).
 */
bool
steward_row_table_take(StewardRowTable *table, const StewardRowHash *hash,
					   ItemPointer tid)
{
	uint32	   *link = &table->buckets[hash->low & table->mask];

	while (*link != 0)
	{
		StewardRowEntry *entry = entry_at(table, *link);

		if (entry->hash.low == hash->low && entry->hash.high == hash->high)
		{
			if (entry->same != 0)
				entry_at(table, entry->same)->next = entry->next;
			*link = entry->same != 0 ? entry->same : entry->next;
			entry->taken = true;
			ItemPointerCopy(&entry->tid, tid);
			return true;
		}
		link = &entry->next;
	}
	return false;
}

/*
 * The next row that is not taken, in the order in which they were added, or
 * NULL.  The position is zero at first.
 */
StewardRowEntry *
steward_row_table_next(StewardRowTable *table, uint32 *position)
{
	while (*position < table->nrows)
	{
		StewardRowEntry *entry = entry_at(table, ++(*position));

		if (!entry->taken)
			return entry;
	}
	return NULL;
}

/* Give back all memory. */
void
steward_row_table_free(StewardRowTable *table)
{
	MemoryContextDelete(table->context);
}
