/*-------------------------------------------------------------------------
 *
 * btree_size.c
 *	  How big a b-tree would be when it has just been built.
 *
 * The model follows the server's build of a sorted tree (nbtsort.c,
 * nbtdedup.c):
 *
 * - A tuple has a header of 8 bytes, 16 with a null bitmap, then its columns,
 *   each aligned as its type wants, all rounded up to 8, and a line pointer
 *   of 4.  Widths come from the values that ANALYZE kept; a few hundred
 *   synthetic tuples are made of them, so that padding is averaged, not
 *   guessed.
 * - Without INCLUDE columns, and if all operator classes say that equal means
 *   identical, tuples of equal keys are merged into posting lists of up to a
 *   tenth of a page, 6 bytes a row.  How often values repeat comes from most
 *   common values and the number of distinct ones; the rest is assumed to be
 *   spread at random, so that repeats are distributed as Poisson says.
 * - A leaf page is closed when less than 10 % are free; the tuple that comes
 *   last moves to the next page and leaves a copy of its key, and while a
 *   posting list is last its length counts as free.
 * - Inner pages are filled to 70 %.  Their keys need only the columns that tell
 *   two leaf pages apart.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/itup.h"
#include "access/nbtree.h"
#include "catalog/pg_am.h"
#include "fmgr.h"
#include "utils/lsyscache.h"

#include "advisor/key_statistics.h"
#include "base/compat.h"

/* Bytes of a page that tuples and their line pointers may take. */
#define PAGE_ROOM \
	((double) (BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(BTPageOpaqueData))))

/* Of those, used when the page is closed; see _bt_pagestate(). */
#define LEAF_FILL (PAGE_ROOM - BLCKSZ * (100 - BTREE_DEFAULT_FILLFACTOR) / 100.0)
#define INNER_FILL (PAGE_ROOM - BLCKSZ * (100 - BTREE_NONLEAF_FILLFACTOR) / 100.0)

/* Longest posting list tuple; see _bt_load(). */
#define MAX_POSTING \
	((double) MAXALIGN_DOWN(MAXALIGN_DOWN(BLCKSZ * 10 / 100) - sizeof(ItemIdData)))

/* The tuples of one tree. */
typedef struct Tuples
{
	double		mean;			/* bytes of a plain tuple, aligned */
	double		key_mean;		/* the same of the first key alone */
	bool		constant;		/* all are equally long */
} Tuples;

/* What leaf pages hold. */
typedef struct Leaves
{
	double		items;			/* tuples */
	double		bytes;			/* with line pointers */
	double		squares;		/* sum of their squares */
	double		posting_bytes;	/* bytes of those that are posting lists */
	double		distinct;		/* different keys */
} Leaves;

/* Add a value to the tuple: its offset after it. */
static double
add_value(double offset, const StewardKeyStats *key, int width)
{
	int			align = key->typalign == TYPALIGN_DOUBLE ? MAXIMUM_ALIGNOF :
		key->typalign == TYPALIGN_INT ? sizeof(int32) :
		key->typalign == TYPALIGN_SHORT ? sizeof(int16) : 1;

	if (width == STEWARD_NULL_WIDTH)
		return offset;
	if (key->typlen == -1)
	{
		/* a short header needs no alignment */
		if (width + 1 <= VARATT_SHORT_MAX)
			return offset + width + 1;
		return TYPEALIGN(align, (uint64) offset) + VARHDRSZ + width;
	}
	return TYPEALIGN(align, (uint64) offset) + width;
}

/* Measure synthetic tuples of these columns. */
static void
measure_tuples(int ncolumns, StewardKeyStats **columns, Tuples *tuples)
{
	double		first = 0;

	memset(tuples, 0, sizeof(Tuples));
	tuples->constant = true;
	for (int i = 0; i < STEWARD_KEY_VALUES; i++)
	{
		double		data = 0;
		bool		null = false;
		double		size;

		for (int c = 0; c < ncolumns; c++)
		{
			/* odd steps combine the columns' values in changing ways */
			int			at = (i * (2 * c + 1) + 7 * c) % STEWARD_KEY_VALUES;
			int			width = columns[c]->widths[at];

			data = add_value(data, columns[c], width);
			null = null || width == STEWARD_NULL_WIDTH;
			if (c == 0)
				tuples->key_mean += MAXALIGN((uint64) data) +
					MAXALIGN(sizeof(IndexTupleData) +
							 (null ? sizeof(IndexAttributeBitMapData) : 0));
		}
		size = MAXALIGN((uint64) data) +
			MAXALIGN(sizeof(IndexTupleData) +
					 (null ? sizeof(IndexAttributeBitMapData) : 0));
		if (i == 0)
			first = size;
		else if (size != first)
			tuples->constant = false;
		tuples->mean += size;
	}
	tuples->mean /= STEWARD_KEY_VALUES;
	tuples->key_mean /= STEWARD_KEY_VALUES;
}

/*
 * May equal tuples be merged?  As _bt_allequalimage().
 */
static bool
can_deduplicate(const StewardIndex *index)
{
	if (index->ncolumns > index->nkeys)
		return false;
	for (int i = 0; i < index->nkeys; i++)
	{
		Oid			proc = get_opfamily_proc(index->opfamily[i],
											 index->opcintype[i],
											 index->opcintype[i],
											 BTEQUALIMAGE_PROC);

		if (!OidIsValid(proc) ||
			!DatumGetBool(OidFunctionCall1Coll(proc, index->collation[i],
											   ObjectIdGetDatum(index->opcintype[i]))))
			return false;
	}
	return true;
}

/* Add tuples: plain ones, or posting lists of that many rows each. */
static void
add_items(Leaves *leaves, double base, double items, double rows)
{
	double		size = base + sizeof(ItemIdData);

	if (rows > 1)
		size = MAXALIGN((uint64) (base + rows * sizeof(ItemPointerData))) +
			sizeof(ItemIdData);
	leaves->items += items;
	leaves->bytes += items * size;
	leaves->squares += items * size * size;
	if (rows > 1)
		leaves->posting_bytes += items * size;
}

/* Add "groups" groups of "rows" equal keys. */
static void
add_groups(Leaves *leaves, double base, double rows, double groups)
{
	double		most = floor((MAX_POSTING - base) / sizeof(ItemPointerData));
	double		full;
	double		rest;

	if (groups <= 0 || rows < 1)
		return;
	if (most < 2)
	{
		add_items(leaves, base, groups * rows, 1);
		return;
	}
	full = floor(rows / most);
	rest = rows - full * most;
	if (full > 0)
		add_items(leaves, base, groups * full, most);
	if (rest >= 2)
		add_items(leaves, base, groups, rest);
	else if (rest > 0)
		add_items(leaves, base, groups * rest, 1);
}

/*
 * Add the rows of values of which none is common: "distinct" of them in "rows"
 * rows, each row's value drawn at random.  The number of rows with a value is
 * then Poisson distributed, and at least 1.
 */
static void
add_random_groups(Leaves *leaves, double base, double rows, double distinct)
{
	double		mean;
	double		lambda;
	double		probability;

	if (rows < 1)
		return;
	distinct = Max(Min(distinct, rows), 1);
	mean = rows / distinct;
	if (mean > 200)
	{
		add_groups(leaves, base, rint(mean), distinct);
		return;
	}

	/* the mean of what is not zero is lambda / (1 - exp(-lambda)) */
	lambda = mean;
	for (int i = 0; i < 20; i++)
		lambda -= (lambda - mean * (1 - exp(-lambda))) /
			Max(1 - mean * exp(-lambda), 1e-9);
	if (lambda < 1e-6)
	{
		add_groups(leaves, base, 1, rows);
		return;
	}
	probability = exp(-lambda) / (1 - exp(-lambda));
	for (int k = 1; k <= lambda + 12 * sqrt(lambda) + 12; k++)
	{
		probability *= lambda / k;
		add_groups(leaves, base, k, distinct * probability);
	}
}

/* Fill the leaves with "tuples" rows of these keys. */
static void
fill_leaves(StewardSizeCache *cache, StewardTableStats *table,
			const StewardIndex *index, const AttrNumber *attnums,
			StewardKeyStats **keys, const Tuples *shape, double tuples,
			Leaves *leaves)
{
	double		distinct;
	double		base = shape->mean;

	memset(leaves, 0, sizeof(Leaves));
	leaves->distinct = tuples;
	if (!can_deduplicate(index))
	{
		add_items(leaves, base, tuples, 1);
		return;
	}

	distinct = steward_distinct_rows(cache, table, index->nkeys, attnums,
									 keys);
	/* a part of the rows has a part of the values */
	if (tuples < table->tuples && table->tuples > 0)
		distinct *= 1 - pow(1 - tuples / table->tuples,
							Max(table->tuples / distinct, 1));
	distinct = Max(distinct, 1);
	leaves->distinct = distinct;

	if (index->nkeys == 1)
	{
		StewardKeyStats *key = keys[0];
		double		left = tuples * (1 - key->null_frac);

		add_groups(leaves, MAXALIGN(sizeof(IndexTupleData) +
									sizeof(IndexAttributeBitMapData)),
				   rint(tuples * key->null_frac), 1);
		for (int i = 0; i < key->nmcv && distinct > 1; i++)
		{
			double		rows = rint(tuples * key->mcv_freq[i]);

			if (rows < 1 || rows > left)
				break;
			add_groups(leaves, base, rows, 1);
			left -= rows;
			distinct--;
		}
		add_random_groups(leaves, base, left, distinct);
	}
	else
		add_random_groups(leaves, base, tuples, distinct);
}

/*
 * Bytes of tuples on a leaf page that is not the last.  If sizes vary, what the
 * tuple that no longer fits leaves unused is half of its size, counted by bytes.
 */
static double
leaf_room(const Leaves *leaves, const Tuples *shape)
{
	double		item = leaves->bytes / leaves->items;
	double		unused = leaves->squares / leaves->bytes / 2;
	bool		constant = 2 * unused < 1.01 * item;
	double		target = LEAF_FILL - sizeof(ItemIdData);
	double		physical = PAGE_ROOM - sizeof(ItemIdData) -
		MAXALIGN(sizeof(ItemPointerData));

	if (leaves->posting_bytes > 0.5 * leaves->bytes)
	{
		/* the last posting list counts as free, and moves to the next page */
		target -= shape->mean + sizeof(ItemIdData);
		if (constant)
			return Max(Min(floor(physical / item) - 1, ceil(target / item)), 1) * item;
		return Max(Min(physical - unused - item, target + unused), item);
	}
	if (constant && shape->constant)
		return Max(floor(target / item), 1) * item;
	return Max(target - unused, item);
}

/*
 * Bytes of a key in an inner page.  It has the columns up to the first that
 * differs between the last tuple of one page and the first of the next, which
 * is the first column unless that has fewer values than there are tuples, and
 * the row's address behind them if all are equal.
 */
static double
pivot_bytes(const Leaves *leaves, const Tuples *shape,
			const StewardKeyStats *first)
{
	double		same_first = 1 - Min(first->distinct / leaves->items, 1);
	double		same = 1 - Min(leaves->distinct / leaves->items, 1);

	return shape->key_mean + same_first * (shape->mean - shape->key_mean) +
		same * MAXALIGN(sizeof(ItemPointerData)) + sizeof(ItemIdData);
}

/*
 * Fill in pages, tuples and height of one part of the index that has this many
 * rows.
 */
void
steward_btree_size(StewardSizeCache *cache, const StewardIndex *index,
				   StewardIndexPart *part, double tuples)
{
	StewardTableStats *table = steward_table_stats(cache, part->relid);
	StewardKeyStats *columns[INDEX_MAX_KEYS];
	AttrNumber	attnums[INDEX_MAX_KEYS];
	Tuples		shape;
	Leaves		leaves;
	double		level;
	double		fanout;

	steward_part_columns(cache, table, index, part, attnums, columns);
	measure_tuples(index->ncolumns, columns, &shape);
	fill_leaves(cache, table, index, attnums, columns, &shape, tuples,
				&leaves);

	part->tuples = tuples;
	part->tree_height = 0;
	if (leaves.items < 1)
	{
		part->pages = 1;		/* the metapage of an empty tree */
		return;
	}
	level = ceil(leaves.bytes / leaf_room(&leaves, &shape));
	part->pages = 1 + level;
	fanout = Max(floor(INNER_FILL / pivot_bytes(&leaves, &shape, columns[0])),
				 2);
	while (level > 1)
	{
		level = ceil(level / fanout);
		part->pages += level;
		part->tree_height++;
	}
}
