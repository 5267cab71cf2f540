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
 * Small indexes are read whole, and for the method exact all are; see
 * btree_whole.c.
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
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/bloat_target.h"
#include "storage/btree_scan.h"

/* Blocks in relation to what the user asked for: the average is below 1. */
#define SAMPLE_GROWTH 2

/*
 * Blocks of the heap that are looked at for single entries, at most where the
 * number of rows tells how many are alive, and at least.
 */
#define MAX_LOOKUPS 160
#define MIN_LOOKUPS 60

/* Leaf pages that are filled before their average is trusted. */
#define MIN_FILLED 20

/*
 * Take over one page of the sample: a StewardBlockVisitor.
 */
static bool
visit_page(Relation rel, Buffer buffer, BlockNumber block, void *arg)
{
	StewardBtreeScan  *scan = arg;
	Page		page = BufferGetPage(buffer);
	StewardLeafCopy   *copy;

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
			memset(copy, 0, sizeof(StewardLeafCopy));
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

/*
 * Pack what survives of one page onto the new leaf level.  Returns its bytes.
 */
double
steward_btree_pack_leaf(StewardBtreeScan *scan)
{
	StewardBtreeLeaf *leaf = scan->leaf;
	double		bytes = 0;

	for (int i = 0; i < leaf->ngroups; i++)
	{
		int			live = steward_btree_surviving(scan, &leaf->groups[i]);

		scan->survivors += live;
		bytes += steward_btree_add(&scan->rules, &scan->fill,
								   &leaf->groups[i], live,
								   leaf->continues && i == leaf->ngroups - 1);
	}
	return bytes;
}

/*
 * Pack the sample onto new leaves, as often as it takes to fill some.  Returns
 * the bytes of a full leaf.
 */
static double
pack_sample(StewardBtreeScan *scan)
{
	double		packed = 0;

	steward_btree_fill_init(&scan->fill);
	for (int round = 0; round < MIN_FILLED; round++)
	{
		for (int i = 0; i < scan->nleaves; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (!steward_btree_open_leaf(scan, &scan->leaves[i]))
				return 0;
			if (round == 0)
			{
				scan->survivors = 0;
				packed += scan->leaves[i].bytes = steward_btree_pack_leaf(scan);
				scan->leaves[i].survivors = scan->survivors;
			}
			else
				steward_btree_pack_leaf(scan);
		}
		if (scan->fill.pages >= MIN_FILLED || packed == 0)
			break;
	}
	return scan->fill.pages > 0 ? scan->fill.bytes / scan->fill.pages :
		BLCKSZ - scan->rules.leaf_full;
}

/*
 * Estimate, from the sample alone, the entries that are alive or in doubt, or
 * those known to be alive: mean of a page and its variance.
 */
static void
estimate_entries(StewardBtreeScan *scan, bool known, double *mean, double *variance)
{
	StewardObservation *observations =
		palloc0_array(StewardObservation, scan->npages + 1);
	StewardControls controls = {0};
	StewardEstimate estimate;
	int			unit = lengthof(scan->leaf->tids);

	for (int i = 0; i < scan->npages; i++)
		observations[i].block = scan->blocks[i];
	for (int i = 0; i < scan->nleaves; i++)
	{
		StewardLeafCopy   *copy = &scan->leaves[i];
		double		entries = known ? copy->known : copy->known +
			(copy->entries - copy->known) * scan->probability;

		observations[copy->observation].value = entries / unit;
	}
	controls.uncertain = 1;
	steward_estimate_mean(observations, scan->npages, scan->pages.npages,
						  &controls, 0, 0, &estimate);
	*mean = estimate.mean * unit;
	*variance = estimate.spread * unit / STEWARD_BTREE_QUANTILE;
	*variance *= *variance;
	pfree(observations);
}

/*
 * Settle how many entries the new index has for each page of the old one, and
 * with what probability one in doubt is alive.
 */
void
steward_btree_weigh(StewardBtreeScan *scan, double *mean, double *variance)
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

	if (scan->task->every_row && heap != NULL && heap->counted)
	{
		double		rows = heap->rows / npages;
		double		deviation = (heap->rows_high - heap->rows_low) / 2 /
			STEWARD_BTREE_QUANTILE / npages;
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
	steward_btree_set_probability(scan, scan->probability);
}

/*
 * By what part the new leaf level may be larger or smaller because it is not
 * known well how often entries with equal keys share their fate: compares
 * one standard deviation more with one less.
 */
static double
correlation_doubt(StewardBtreeScan *scan)
{
	StewardFateClass fate[STEWARD_FATE_CLASSES];
	double		bytes[2] = {0};

	if (scan->unknown == 0 || !scan->rules.deduplicate)
		return 0;
	memcpy(fate, scan->fate, sizeof(fate));
	for (int i = 0; i < 2; i++)
	{
		for (int j = 0; j < STEWARD_FATE_CLASSES; j++)
			scan->fate[j].together = Min(1, fate[j].together +
										 (i == 0 ? -1 : 1) *
										 fate[j].together_error);
		pack_sample(scan);
		for (int j = 0; j < scan->nleaves; j++)
			bytes[i] += scan->leaves[j].bytes;
	}
	memcpy(scan->fate, fate, sizeof(fate));
	return fabs(bytes[0] - bytes[1]) / Max(bytes[0] + bytes[1], 1) *
		STEWARD_BTREE_QUANTILE;
}

/*
 * Estimate the new leaf level, in pages for each page of the old index.
 */
static void
estimate_leaves(StewardBtreeScan *scan, StewardEstimate *estimate)
{
	StewardObservation *observations =
		palloc0_array(StewardObservation, scan->npages + 1);
	StewardControls controls = {0};
	int			unit = lengthof(scan->leaf->tids);
	double		mean;
	double		variance;
	double		capacity;
	double		doubt;
	double		bytes = 0;
	double		entries = 0;

	steward_btree_weigh(scan, &mean, &variance);
	doubt = correlation_doubt(scan);
	capacity = pack_sample(scan);

	for (int i = 0; i < scan->npages; i++)
		observations[i].block = scan->blocks[i];
	for (int i = 0; i < scan->nleaves; i++)
	{
		StewardLeafCopy   *copy = &scan->leaves[i];
		StewardObservation *observation = &observations[copy->observation];

		observation->value = copy->bytes / capacity;
		observation->control[0] = copy->survivors / unit;
		bytes += observation->value;
		entries += observation->control[0];
	}
	controls.n = 1;
	controls.mean[0] = mean / unit;
	controls.variance[0] = variance / unit / unit;
	controls.prior[0] = entries > 0 ? bytes / entries : 0;
	controls.uncertain = 1;
	steward_estimate_mean(observations, scan->npages, scan->pages.npages,
						  &controls, 0, STEWARD_BTREE_MODEL_ERROR, estimate);
	estimate->low -= doubt * estimate->mean;
	estimate->high += doubt * estimate->mean;
	pfree(observations);
}

/* Is the estimate good enough to stop? */
static bool
estimate_settled(const StewardBtreeScan *scan, const StewardEstimate *estimate)
{
	return scan->damaged != InvalidBlockNumber ||
		steward_estimate_settled(estimate);
}

/* Blocks of the heap that were read for this index. */
static int64
heap_blocks(const StewardBtreeScan *scan)
{
	return scan->task->heap == NULL ? 0 :
		scan->task->heap->blocks_read - scan->heap_before;
}

/*
 * Find out about entries in doubt, and about the number of rows if that may
 * improve the estimate; with no more blocks than are left of the sample.
 */
static void
consult_heap(StewardBtreeScan *scan, const StewardEstimate *estimate)
{
	const StewardIndexTask *task = scan->task;
	int64		most = (int64) task->sample_blocks * SAMPLE_GROWTH -
		scan->npages - heap_blocks(scan);

	if (task->heap == NULL || (task->exact && scan->unknown == 0))
		return;
	if (task->every_row && !task->heap->counted &&
		(scan->unknown > 0 || !steward_estimate_settled(estimate)))
	{
		steward_index_heap_count(task->heap, task->sample_blocks / 3,
								 Max(Min(most, task->sample_blocks), 100));
		steward_btree_count(scan);
	}
	most = (int64) task->sample_blocks * SAMPLE_GROWTH - scan->npages -
		heap_blocks(scan);
	if (scan->unknown > 0 && scan->looked_up < 0 &&
		(!task->every_row || scan->rules.deduplicate))
	{
		if (task->every_row)
			most = Min(most, MAX_LOOKUPS);
		steward_btree_look_up(scan, Max(most, MIN_LOOKUPS) /
						(scan->rules.deduplicate ? 2 : 1));
		steward_btree_count(scan);
	}
}

/* Pages of the new index: leaves, inner pages, metapage. */
double
steward_btree_new_pages(const StewardBtreeScan *scan, double leaves)
{
	double		pivot = scan->fill.pages > 0 ?
		scan->fill.pivot_bytes / scan->fill.pages : 16;

	leaves = Max(leaves, 0);
	if (leaves > 0 && leaves < 1)
		leaves = 1;
	return 1 + leaves + steward_btree_inner_pages(leaves, pivot);
}

/* Fill in what the index has too much now. */
static void
describe_present(const StewardBtreeScan *scan, StewardIndexBloat *result)
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

/* Pages of which copies may be kept to read an index whole, in key order. */
static BlockNumber
copies_allowed(void)
{
	return maintenance_work_mem / (BLCKSZ / 1024);
}

/*
 * Read stage after stage of the sample until the estimate settles.
 */
static void
sample_pages(StewardBtreeScan *scan, StewardIndexBloat *result)
{
	const StewardIndexTask *task = scan->task;
	StewardBlockSample sample;
	StewardEstimate estimate = {0};
	bool		whole = scan->pages.npages <= copies_allowed();

	if (task->exact && whole)
		steward_sample_init(&sample, scan->pages.npages,
							scan->pages.npages, PG_INT64_MAX);
	else
		steward_sample_init(&sample, scan->pages.npages,
							task->sample_blocks * SAMPLE_GROWTH,
							Min((int64) task->sample_blocks * SAMPLE_GROWTH,
								task->budget));
	scan->blocks = palloc_array(BlockNumber, sample.maximum + 1);
	scan->leaves = palloc_array(StewardLeafCopy, sample.maximum + 1);

	while (steward_sample_stage(&sample))
	{
		result->blocks_read +=
			steward_index_pages_read(task->index, &scan->pages, sample.batch,
									 sample.nbatch, visit_page, scan);
		if (scan->damaged != InvalidBlockNumber || !steward_btree_count(scan))
			return;
		if (task->exact && whole && !sample.complete)
			continue;
		if (sample.complete)
		{
			consult_heap(scan, &estimate);
			result->exact = scan->unknown == 0;
			if (scan->damaged != InvalidBlockNumber ||
				steward_btree_in_order(scan, result))
				return;
		}
		if (scan->unknown == 0)
			estimate_leaves(scan, &estimate);
		if (scan->unknown > 0 || !estimate_settled(scan, &estimate))
		{
			consult_heap(scan, &estimate);
			estimate_leaves(scan, &estimate);
		}
		/* The next stage doubles the sample. */
		if (estimate_settled(scan, &estimate) ||
			2 * scan->npages + heap_blocks(scan) >
			(int64) task->sample_blocks * SAMPLE_GROWTH)
			break;
	}
	result->pages = steward_btree_new_pages(scan, estimate.mean * scan->pages.npages);
	result->pages_low = steward_btree_new_pages(scan,
									estimate.low * scan->pages.npages - 1);
	result->pages_high = steward_btree_new_pages(scan,
									 estimate.high * scan->pages.npages + 1);
}

/*
 * Estimate a b-tree.
 */
void
steward_btree_bloat(const StewardIndexTask *task, StewardIndexBloat *result)
{
	StewardBtreeScan  *scan = palloc0_object(StewardBtreeScan);
	BlockNumber meta = BTREE_METAPAGE;
	bool		ok = false;

	scan->task = task;
	scan->leaf = palloc_object(StewardBtreeLeaf);
	scan->damaged = InvalidBlockNumber;
	scan->looked_up = -1;
	scan->probability = 1;
	for (int i = 0; i < STEWARD_FATE_CLASSES; i++)
		scan->fate[i].seen = 1;
	scan->heap_before = task->heap ? task->heap->blocks_read : 0;
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
	result->exact = scan->pages.npages == 0;
	if (task->exact)
		steward_index_heap_look_at_all(task->heap);
	if (scan->pages.npages > 0)
		sample_pages(scan, result);
	if (task->exact && scan->pages.npages > copies_allowed() &&
		scan->damaged == InvalidBlockNumber)
		steward_btree_in_file_order(scan, result);
	if (scan->interrupted)
	{
		result->reason = "skipped: given up because another session waits for the lock";
		return;
	}
	if (scan->damaged != InvalidBlockNumber)
	{
		result->reason = steward_index_damaged(task->index, scan->damaged);
		return;
	}
	describe_present(scan, result);
}
