/*-------------------------------------------------------------------------
 *
 * btree_bloat.c
 *	  What REINDEX would free of a b-tree.
 *
 * A sample of the pages is taken apart, and its entries are packed anew by the
 * rules of the server's build (btree_page.c).  That tells how many bytes a new
 * index has for each entry, and how many entries there are.  Deleted pages and
 * inner ones give nothing; inner pages of the new index follow from its leaves.
 *
 * Entries for dead rows are what makes it difficult: the pages do not show
 * them.  index_heap.c knows about entries in three ways, and what remains
 * unknown is thinned out at random, each entry kept with the same probability.
 * For an index on all rows that probability is the heap's rows divided by the
 * entries; for a partial index it comes from entries looked up in the heap.
 * Where entries with equal keys share a posting list, it matters whether their
 * rows die together: pairs of entries looked up in the heap tell how often.
 *
 * The number of entries is known twice, from the index's own sample and from
 * the heap's.  Both are weighted by their precision, and what comes out is
 * the control variate for the size (estimate.c).  An index on random values,
 * whose pages are all differently full, so profits from a table whose pages
 * are all alike.
 *
 * Small indexes are read whole, in key order, and the result is what REINDEX
 * makes of them, but for entries that could not be looked up.
 *
 * Memory: a copy of each sampled page, at most sample_blocks * SAMPLE_GROWTH.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/nbtree.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/btree_page.h"
#include "storage/index_bloat.h"

/* Blocks in relation to what the user asked for: the average is below 1. */
#define SAMPLE_GROWTH 2

/* Entries that are looked up in the heap, and others with the same key. */
#define MAX_LOOKUPS 100
#define MAX_PARTNERS 1

/* Leaf pages that are filled before their average is trusted. */
#define MIN_FILLED 20

/* Part of an index by which the model of a page may be off. */
#define MODEL_ERROR 0.001

#define NORMAL_QUANTILE 1.959964

/* A leaf page that was read. */
typedef struct LeafCopy
{
	BlockNumber block;
	int			observation;	/* its place among the observations */
	Page		page;
	double		entries;		/* that are or may be alive */
	double		known;			/* of those, known to be alive */
	double		bytes;			/* after REINDEX */
} LeafCopy;

typedef struct BtreeScan
{
	const StewardIndexTask *task;
	StewardBtreeRules rules;
	StewardBtreeLeaf *leaf;		/* work space */
	StewardIndexPages pages;

	int			npages;			/* read, of any kind */
	int			nempty;			/* of those, deleted or new */
	int			maxpages;
	BlockNumber *blocks;		/* read, by observation */
	LeafCopy   *leaves;
	int			nleaves;
	BlockNumber damaged;		/* InvalidBlockNumber: none */

	double		killed;			/* entries marked dead, in the sample */
	double		entries;		/* others, in the sample */
	double		known;			/* of those, alive for sure */
	double		unknown;		/* of those, in doubt */
	double		probability;	/* that one in doubt is alive */
	double		together;		/* share of keys whose rows die together */
	double		looked_up;		/* probability, as looked up; < 0: was not */
	double		looked_up_variance;

	StewardBtreeFill fill;
	pg_prng_state random;
} BtreeScan;

/*
 * Take over one page of the sample: a StewardBlockVisitor.
 */
static bool
visit_page(Relation rel, Buffer buffer, BlockNumber block, void *arg)
{
	BtreeScan  *scan = arg;
	Page		page = BufferGetPage(buffer);
	LeafCopy   *copy;

	switch (steward_btree_page_kind(page))
	{
		case STEWARD_BTREE_DAMAGED:
		case STEWARD_BTREE_META:
			scan->damaged = block;
			return false;
		case STEWARD_BTREE_NEW:
		case STEWARD_BTREE_DELETED:
			scan->nempty++;
			break;
		case STEWARD_BTREE_INNER:
			break;
		case STEWARD_BTREE_LEAF:
			copy = &scan->leaves[scan->nleaves++];
			memset(copy, 0, sizeof(LeafCopy));
			copy->block = block;
			copy->observation = scan->npages;
			copy->page = palloc(BLCKSZ);
			memcpy(copy->page, page, BLCKSZ);
			break;
	}
	scan->blocks[scan->npages++] = block;
	return true;
}

/*
 * Check the metapage: a StewardBlockVisitor.  *arg becomes true if it is one.
 */
static bool
visit_meta(Relation rel, Buffer buffer, BlockNumber block, void *arg)
{
	Page		page = BufferGetPage(buffer);
	bool	   *ok = arg;

	*ok = steward_btree_page_kind(page) == STEWARD_BTREE_META &&
		BTPageGetMeta(page)->btm_magic == BTREE_MAGIC &&
		BTPageGetMeta(page)->btm_version >= BTREE_MIN_VERSION &&
		BTPageGetMeta(page)->btm_version <= BTREE_VERSION;
	return true;
}

/* Take a copied page apart, into scan->leaf. */
static bool
open_leaf(BtreeScan *scan, const LeafCopy *copy)
{
	if (steward_btree_leaf(&scan->rules, copy->page, scan->leaf))
		return true;
	scan->damaged = copy->block;
	return false;
}

static StewardEntryState
entry_state(const BtreeScan *scan, ItemPointer tid)
{
	if (scan->task->heap == NULL)
		return STEWARD_ENTRY_LIVE;
	return steward_index_heap_entry(scan->task->heap, tid);
}

/*
 * Count what is known about the entries of all copied pages.  Returns false
 * if a page is damaged.
 */
static bool
count_entries(BtreeScan *scan)
{
	scan->killed = scan->entries = scan->known = scan->unknown = 0;
	for (int i = 0; i < scan->nleaves; i++)
	{
		LeafCopy   *copy = &scan->leaves[i];
		int			known = 0;
		int			unknown = 0;

		CHECK_FOR_INTERRUPTS();
		if (!open_leaf(scan, copy))
			return false;
		for (int j = 0; j < scan->leaf->ntids; j++)
		{
			StewardEntryState state =
				entry_state(scan, &scan->leaf->tids[j]);

			known += state == STEWARD_ENTRY_LIVE;
			unknown += state == STEWARD_ENTRY_UNKNOWN;
		}
		copy->known = known;
		copy->entries = known + unknown;
		scan->killed += scan->leaf->nkilled;
		scan->entries += scan->leaf->ntids;
		scan->known += known;
		scan->unknown += unknown;
	}
	return true;
}

/* How many of a key's entries survive, those in doubt by chance. */
static int
surviving(BtreeScan *scan, const StewardBtreeGroup *group)
{
	int			live = 0;
	int			unknown = 0;

	if (scan->known == scan->entries)
		return group->ntids;
	for (int i = 0; i < group->ntids; i++)
	{
		StewardEntryState state =
			entry_state(scan, &scan->leaf->tids[group->first_tid + i]);

		live += state == STEWARD_ENTRY_LIVE;
		unknown += state == STEWARD_ENTRY_UNKNOWN;
	}
	if (unknown > 1 && pg_prng_double(&scan->random) < scan->together)
		return live + (pg_prng_double(&scan->random) < scan->probability ?
					   unknown : 0);
	for (int i = 0; i < unknown; i++)
		live += pg_prng_double(&scan->random) < scan->probability;
	return live;
}

/*
 * Pack what survives of one page onto the new leaf level.  Returns its bytes.
 */
static double
pack_leaf(BtreeScan *scan)
{
	StewardBtreeLeaf *leaf = scan->leaf;
	double		bytes = 0;

	for (int i = 0; i < leaf->ngroups; i++)
		bytes += steward_btree_add(&scan->rules, &scan->fill,
								   &leaf->groups[i],
								   surviving(scan, &leaf->groups[i]),
								   leaf->continues && i == leaf->ngroups - 1);
	return bytes;
}

/*
 * Pack the sample onto new leaves, as often as it takes to fill some.  Returns
 * the bytes of a full leaf.
 */
static double
pack_sample(BtreeScan *scan)
{
	double		packed = 0;

	steward_btree_fill_init(&scan->fill);
	for (int round = 0; round < MIN_FILLED; round++)
	{
		for (int i = 0; i < scan->nleaves; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (!open_leaf(scan, &scan->leaves[i]))
				return 0;
			if (round == 0)
				packed += scan->leaves[i].bytes = pack_leaf(scan);
			else
				pack_leaf(scan);
		}
		if (scan->fill.pages >= MIN_FILLED || packed == 0)
			break;
	}
	return scan->fill.pages > 0 ? scan->fill.bytes / scan->fill.pages :
		BLCKSZ - scan->rules.leaf_full;
}

static int
compare_copies(const void *left, const void *right)
{
	BlockNumber a = ((const LeafCopy *) left)->block;
	BlockNumber b = ((const LeafCopy *) right)->block;

	return (a > b) - (a < b);
}

/*
 * The copies in key order, when all leaves were read: order[] gets their
 * places.  Returns false if the pages do not make up a chain, for they were
 * read one after the other and may have been split in between.
 */
static bool
find_key_order(BtreeScan *scan, int *order)
{
	BlockNumber block = InvalidBlockNumber;
	int			n = 0;

	qsort(scan->leaves, scan->nleaves, sizeof(LeafCopy), compare_copies);
	for (int i = 0; i < scan->nleaves; i++)
		if (P_LEFTMOST(BTPageGetOpaque(scan->leaves[i].page)))
			block = scan->leaves[i].block;
	while (n < scan->nleaves && block != P_NONE)
	{
		LeafCopy	key;
		LeafCopy   *copy;

		key.block = block;
		copy = bsearch(&key, scan->leaves, scan->nleaves, sizeof(LeafCopy),
					   compare_copies);
		if (copy == NULL)
			return false;
		order[n++] = copy - scan->leaves;
		block = BTPageGetOpaque(copy->page)->btpo_next;
	}
	return n == scan->nleaves && block == P_NONE;
}

/*
 * Pack all leaves in key order, so that entries with equal keys meet even if
 * they are on two pages.  Returns the number of new leaves.
 */
static double
pack_all(BtreeScan *scan, const int *order)
{
	StewardBtreeGroup waiting = {NULL};
	int			nwaiting = 0;

	steward_btree_fill_init(&scan->fill);
	for (int i = 0; i < scan->nleaves; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!open_leaf(scan, &scan->leaves[order[i]]))
			return 0;
		for (int j = 0; j < scan->leaf->ngroups; j++)
		{
			StewardBtreeGroup *group = &scan->leaf->groups[j];
			int			live = surviving(scan, group);

			if (waiting.key != NULL && scan->rules.deduplicate &&
				steward_btree_same_key(waiting.key, group->key))
			{
				nwaiting += live;
				continue;
			}
			if (waiting.key != NULL)
				steward_btree_add(&scan->rules, &scan->fill, &waiting,
								  nwaiting, false);
			waiting = *group;
			nwaiting = live;
		}
	}
	if (waiting.key != NULL)
		steward_btree_add(&scan->rules, &scan->fill, &waiting, nwaiting,
						  false);
	return scan->fill.pages + (scan->fill.nitems > 0 ? 1 : 0);
}

/* An entry in doubt, and another one with the same key, if there is. */
typedef struct Lookup
{
	ItemPointerData tid;
	ItemPointerData partner;
	bool		paired;
} Lookup;

/*
 * Choose entries in doubt at random, each with the same probability (reservoir
 * sampling).  Returns their number.
 */
static int
choose_lookups(BtreeScan *scan, Lookup *lookups, int maximum)
{
	double		seen = 0;
	int			n = 0;

	for (int i = 0; i < scan->nleaves; i++)
	{
		StewardBtreeLeaf *leaf = scan->leaf;

		if (!open_leaf(scan, &scan->leaves[i]))
			return 0;
		for (int g = 0; g < leaf->ngroups; g++)
			for (int j = 0; j < leaf->groups[g].ntids; j++)
			{
				StewardBtreeGroup *group = &leaf->groups[g];
				ItemPointer tids = &leaf->tids[group->first_tid];
				Lookup	   *lookup;
				int			other;

				if (entry_state(scan, &tids[j]) != STEWARD_ENTRY_UNKNOWN)
					continue;
				seen++;
				if (n < maximum)
					lookup = &lookups[n++];
				else
				{
					double		place = pg_prng_double(&scan->random) * seen;

					if (place >= maximum)
						continue;
					lookup = &lookups[(int) place];
				}
				lookup->tid = tids[j];
				other = pg_prng_uint64_range(&scan->random, 0,
											 group->ntids - 1);
				lookup->partner = tids[other];
				lookup->paired = other != j;
			}
	}
	return n;
}

static int
compare_blocks(const void *left, const void *right)
{
	BlockNumber a = *(const BlockNumber *) left;
	BlockNumber b = *(const BlockNumber *) right;

	return (a > b) - (a < b);
}

/*
 * Look chosen entries up in the heap: what part of those in doubt is alive,
 * and whether entries with equal keys share their fate.  The latter is the
 * correlation of pairs, by moments.
 */
static void
look_up_entries(BtreeScan *scan)
{
	Lookup	   *lookups = palloc_array(Lookup, MAX_LOOKUPS);
	BlockNumber *blocks = palloc_array(BlockNumber, 2 * MAX_LOOKUPS);
	int			nlookups = choose_lookups(scan, lookups, MAX_LOOKUPS);
	int			nblocks = 0;
	int			distinct = 0;
	double		live = 0;
	double		pairs = 0;
	double		both = 0;
	double		either = 0;
	double		p;

	if (nlookups == 0)
		return;
	for (int i = 0; i < nlookups; i++)
	{
		blocks[nblocks++] = ItemPointerGetBlockNumberNoCheck(&lookups[i].tid);
		if (lookups[i].paired && scan->rules.deduplicate)
			blocks[nblocks++] =
				ItemPointerGetBlockNumberNoCheck(&lookups[i].partner);
	}
	qsort(blocks, nblocks, sizeof(BlockNumber), compare_blocks);
	for (int i = 0; i < nblocks; i++)
		if (i == 0 || blocks[i] != blocks[i - 1])
			blocks[distinct++] = blocks[i];
	steward_index_heap_probe(scan->task->heap, blocks, distinct);

	for (int i = 0; i < nlookups; i++)
	{
		bool		a = entry_state(scan, &lookups[i].tid) ==
			STEWARD_ENTRY_LIVE;
		bool		b;

		live += a;
		if (!lookups[i].paired || !scan->rules.deduplicate)
			continue;
		b = entry_state(scan, &lookups[i].partner) == STEWARD_ENTRY_LIVE;
		pairs++;
		both += a && b;
		either += (a + b) / 2.0;
	}
	p = live / nlookups;
	scan->looked_up = p;
	/* With one more of each kind: a sample of equals proves nothing. */
	p = (live + 1) / (nlookups + 2);
	scan->looked_up_variance = p * (1 - p) / nlookups;
	if (pairs >= 10)
	{
		p = either / pairs;
		if (p > 0.01 && p < 0.99)
			scan->together = (both / pairs - p * p) / (p * (1 - p));
		scan->together = Max(Min(scan->together, 1), 0);
	}
	pfree(lookups);
	pfree(blocks);
}

/*
 * Estimate, from the sample alone, the entries that are alive or in doubt, or
 * those known to be alive: mean of a page and its variance.
 */
static void
estimate_entries(BtreeScan *scan, bool known, double *mean, double *variance)
{
	StewardObservation *observations =
		palloc0_array(StewardObservation, scan->npages + 1);
	StewardControls controls = {0};
	StewardEstimate estimate;
	double		unit = lengthof(scan->leaf->tids);

	for (int i = 0; i < scan->npages; i++)
		observations[i].block = scan->blocks[i];
	for (int i = 0; i < scan->nleaves; i++)
	{
		LeafCopy   *copy = &scan->leaves[i];
		double		entries = known ? copy->known : copy->known +
			(copy->entries - copy->known) * scan->probability;

		observations[copy->observation].value = entries / unit;
	}
	controls.uncertain = 1;
	steward_estimate_mean(observations, scan->npages, scan->pages.npages,
						  &controls, 0, &estimate);
	*mean = estimate.mean * unit;
	*variance = estimate.spread * unit / NORMAL_QUANTILE;
	*variance *= *variance;
	pfree(observations);
}

/*
 * Settle how many entries the new index has for each page of the old one, and
 * with what probability one in doubt is alive.
 */
static void
weigh_entries(BtreeScan *scan, double *mean, double *variance)
{
	StewardIndexHeap *heap = scan->task->heap;
	double		npages = Max(scan->pages.npages, 1);
	double		doubtful = scan->unknown / Max(scan->npages, 1);
	double		known;
	double		ignored;

	scan->probability = scan->looked_up >= 0 ? scan->looked_up : 1;
	estimate_entries(scan, false, mean, variance);
	if (scan->looked_up >= 0)
		*variance += doubtful * doubtful * scan->looked_up_variance;

	if (!scan->task->every_row || heap == NULL || !heap->counted)
		return;
	{
		double		rows = heap->rows / npages;
		double		deviation = (heap->rows_high - heap->rows_low) / 2 /
			NORMAL_QUANTILE / npages;
		double		rows_variance = deviation * deviation;

		if (scan->unknown > 0 && scan->looked_up < 0)
		{
			*mean = rows;
			*variance = rows_variance;
		}
		else if (*variance + rows_variance > 0)
		{
			*mean = (*mean * rows_variance + rows * *variance) /
				(*variance + rows_variance);
			*variance = *variance * rows_variance /
				(*variance + rows_variance);
		}
	}
	if (scan->unknown > 0)
	{
		estimate_entries(scan, true, &known, &ignored);
		scan->probability = (*mean - known) / doubtful;
		scan->probability = Max(Min(scan->probability, 1), 0);
	}
}

/*
 * Estimate the new leaf level, in pages for each page of the old index.
 */
static void
estimate_leaves(BtreeScan *scan, StewardEstimate *estimate)
{
	StewardObservation *observations =
		palloc0_array(StewardObservation, scan->npages + 1);
	StewardControls controls = {0};
	double		unit = lengthof(scan->leaf->tids);
	double		mean;
	double		variance;
	double		capacity;
	double		bytes = 0;
	double		entries = 0;

	weigh_entries(scan, &mean, &variance);
	capacity = pack_sample(scan);

	for (int i = 0; i < scan->npages; i++)
		observations[i].block = scan->blocks[i];
	for (int i = 0; i < scan->nleaves; i++)
	{
		LeafCopy   *copy = &scan->leaves[i];
		StewardObservation *observation = &observations[copy->observation];
		double		live = copy->known +
			(copy->entries - copy->known) * scan->probability;

		observation->value = copy->bytes / capacity;
		observation->control[0] = live / unit;
		bytes += observation->value;
		entries += observation->control[0];
	}
	controls.n = 1;
	controls.mean[0] = mean / unit;
	controls.variance[0] = variance / unit / unit;
	controls.prior[0] = entries > 0 ? bytes / entries : 0;
	controls.uncertain = 1;
	steward_estimate_mean(observations, scan->npages, scan->pages.npages,
						  &controls, MODEL_ERROR, estimate);
	pfree(observations);
}

/* Is the estimate good enough to stop? */
static bool
estimate_settled(const BtreeScan *scan, const StewardEstimate *estimate)
{
	return scan->damaged != InvalidBlockNumber ||
		steward_estimate_settled(estimate);
}

/*
 * Find out about entries in doubt, and about the number of rows if that may
 * improve the estimate.
 */
static void
consult_heap(BtreeScan *scan, const StewardEstimate *estimate)
{
	const StewardIndexTask *task = scan->task;

	if (task->heap == NULL)
		return;
	if (task->every_row && !task->heap->counted &&
		(scan->unknown > 0 || !steward_estimate_settled(estimate)))
	{
		steward_index_heap_count(task->heap, task->sample_blocks / 3,
								 task->sample_blocks);
		count_entries(scan);
	}
	if (scan->unknown > 0 && scan->looked_up < 0 &&
		(!task->every_row || scan->rules.deduplicate))
	{
		look_up_entries(scan);
		count_entries(scan);
	}
}

/* Pages of the new index: leaves, inner pages, metapage. */
static double
whole_index(const BtreeScan *scan, double leaves)
{
	double		pivot = scan->fill.pages > 0 ?
		scan->fill.pivot_bytes / scan->fill.pages : 16;

	leaves = Max(leaves, 0);
	if (leaves > 0 && leaves < 1)
		leaves = 1;
	return 1 + leaves + steward_btree_inner_pages(leaves, pivot);
}

/*
 * All leaves were read: pack them in key order.  What is in doubt is only
 * the fate of entries.
 */
static bool
estimate_whole(BtreeScan *scan, StewardIndexBloat *result)
{
	int		   *order = palloc_array(int, scan->nleaves + 1);
	double		mean;
	double		variance;
	double		leaves;
	double		error;

	if (!find_key_order(scan, order))
		return false;
	weigh_entries(scan, &mean, &variance);
	leaves = pack_all(scan, order);
	error = scan->unknown > 0 && mean > 0 ?
		leaves * NORMAL_QUANTILE * sqrt(variance) / mean +
		scan->unknown / scan->entries : 0;
	result->pages = whole_index(scan, leaves);
	result->pages_low = whole_index(scan, floor(leaves - error));
	result->pages_high = whole_index(scan, ceil(leaves + error));
	return true;
}

/* Fill in what the index has too much now. */
static void
describe_present(const BtreeScan *scan, StewardIndexBloat *result)
{
	const StewardIndexHeap *heap = scan->task->heap;
	double		scale = (double) scan->pages.npages / Max(scan->npages, 1);
	double		gone = scan->entries - scan->known -
		scan->unknown * scan->probability;
	double		bytes = 0;
	double		tids = 0;

	for (int i = 0; i < scan->nleaves; i++)
	{
		PageHeader	header = (PageHeader) scan->leaves[i].page;

		bytes += header->pd_special - header->pd_upper +
			header->pd_lower - SizeOfPageHeaderData;
	}
	tids = scan->entries + scan->killed;
	result->deleted_pages = scan->pages.nfree + scale * scan->nempty;
	if (tids > 0)
		result->dead_bytes = scale * bytes * (gone + scan->killed) / tids;
	if (tids > 0 && heap != NULL && heap->counted && heap->rows > 0)
		result->held_bytes = scale * bytes *
			(scan->entries - gone) / tids * heap->held / heap->rows;
}

/*
 * Read stage after stage of the sample until the estimate settles.
 */
static void
sample_pages(BtreeScan *scan, StewardIndexBloat *result)
{
	const StewardIndexTask *task = scan->task;
	StewardBlockSample sample;
	StewardEstimate estimate = {0};

	steward_sample_init(&sample, scan->pages.npages,
						task->sample_blocks * SAMPLE_GROWTH,
						Min((int64) task->sample_blocks * SAMPLE_GROWTH,
							task->budget));
	scan->maxpages = sample.maximum;
	scan->blocks = palloc_array(BlockNumber, scan->maxpages + 1);
	scan->leaves = palloc_array(LeafCopy, scan->maxpages + 1);

	while (steward_sample_stage(&sample))
	{
		result->blocks_read +=
			steward_index_pages_read(task->index, &scan->pages, sample.batch,
									 sample.nbatch, visit_page, scan);
		if (scan->damaged != InvalidBlockNumber || !count_entries(scan))
			return;
		if (sample.complete)
		{
			consult_heap(scan, &estimate);
			result->exact = scan->unknown == 0;
			if (scan->damaged != InvalidBlockNumber ||
				estimate_whole(scan, result))
				return;
		}
		if (scan->unknown == 0)
			estimate_leaves(scan, &estimate);
		if (scan->unknown > 0 || !estimate_settled(scan, &estimate))
		{
			consult_heap(scan, &estimate);
			estimate_leaves(scan, &estimate);
		}
		if (estimate_settled(scan, &estimate))
			break;
	}
	result->pages = whole_index(scan, estimate.mean * scan->pages.npages);
	result->pages_low = whole_index(scan,
									estimate.low * scan->pages.npages - 1);
	result->pages_high = whole_index(scan,
									 estimate.high * scan->pages.npages + 1);
}

/*
 * Estimate a b-tree.
 */
void
steward_btree_bloat(const StewardIndexTask *task, StewardIndexBloat *result)
{
	BtreeScan  *scan = palloc0_object(BtreeScan);
	BlockNumber meta = BTREE_METAPAGE;
	bool		ok = false;

	scan->task = task;
	scan->leaf = palloc_object(StewardBtreeLeaf);
	scan->damaged = InvalidBlockNumber;
	scan->looked_up = -1;
	scan->probability = 1;
	pg_prng_seed(&scan->random, pg_prng_uint64(&pg_global_prng_state));
	steward_btree_rules(task->index, &scan->rules);

	if (task->nblocks > 0)
		result->blocks_read += steward_blocks_read(task->index, MAIN_FORKNUM,
												   &meta, 1, visit_meta, &ok);
	if (!ok)
	{
		result->reason = steward_index_damaged(task->index, BTREE_METAPAGE);
		return;
	}
	steward_index_pages(task->index, BTREE_METAPAGE + 1, task->nblocks,
						&scan->pages);
	result->blocks_read += scan->pages.map_blocks;
	result->pages = result->pages_low = result->pages_high = 1;
	if (scan->pages.npages > 0)
		sample_pages(scan, result);
	if (scan->damaged != InvalidBlockNumber)
	{
		result->reason = steward_index_damaged(task->index, scan->damaged);
		return;
	}
	describe_present(scan, result);
}
