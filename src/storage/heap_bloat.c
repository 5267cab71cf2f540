/*-------------------------------------------------------------------------
 *
 * heap_bloat.c
 *	  What a rewrite of a table would free.
 *
 * Waste is the size now less the size after VACUUM FULL, of the heap and of
 * its TOAST table each.  The size after it is predicted (rewrite_model.c) from
 * the rows on a sample of blocks (block_sample.c, heap_scan.c), with the help
 * of the maps (free_map.c, estimate.c), or from all blocks.
 *
 * The value of a sampled page is the number of new pages that it accounts for:
 *
 *		(bytes kept + leftover - closings * mean leftover) * density
 *
 * where "leftover" is what stayed free on the new pages that were closed while
 * this page was packed, and density is pages a byte, gaps included.  The last
 * two terms add up to nothing over the sample; with them the values vary only
 * as much as the new size is uncertain: a page of wide rows with a big gap
 * carries few bytes, but makes a page with a big gap again.
 *
 * Which of these gaps arise depends on the order of wide rows.  Within a page
 * it is known, but the row that follows the last one of a sampled page is not,
 * and it is not any row: it was one that did not fit.  So if gaps are big, the
 * block before each sampled one is read, too, and its rows are packed first,
 * onto a fresh page, without being counted.
 *
 * The new TOAST table is filled in the order of the heap's rows.  From those
 * that were seen follows the gap on its pages, and from a full scan its size;
 * from a sample of the old TOAST table, what is to be kept.
 *
 * Values of dropped columns stay in TOAST, where their chunks look like any
 * others; VACUUM FULL does not copy them, and takes values back into rows that
 * became shorter.  The heap tells how much of TOAST is lost so.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/heapam.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/bloat_target.h"
#include "storage/block_sample.h"
#include "storage/estimate.h"
#include "storage/free_map.h"
#include "storage/heap_bloat.h"
#include "storage/heap_scan.h"

/*
 * If what a rewrite leaves free on its pages differs by more than this share
 * of a page, rows are so wide that their order matters.
 */
#define WIDE_GAP 0.012

/* One in so many blocks of the first stage is read first. */
#define PILOT_STEP 5

/* What a lead-in of one block leaves of the gaps' deviation, as an error. */
#define LED_ERROR 0.05

/* So many new pages give the gap of a TOAST table's pages. */
#define ENOUGH_PAGES 200

/* Intervals are never narrower than this share of a relation, and a page. */
#define FLOOR_SHARE 0.001
#define FLOOR_PAGES 1.0

/* What is known of one relation, heap or TOAST. */
typedef struct RelationResult
{
	BlockNumber nblocks;
	bool		complete;		/* all blocks were read */
	bool		led;			/* with the block before each sampled one */
	bool		known;			/* a TOAST table whose new size is known from
								 * all of the heap */
	StewardHeapScan scan;
	const StewardPacking *values;	/* of a TOAST table: what the heap's rows
									 * say about the new one */
	StewardEstimate estimate;	/* new pages a page */
	StewardEstimate lost;		/* bytes in TOAST of values that leave it, a
								 * page */
	double		visible_share;
	int64		blocks_read;
} RelationResult;

/*
 * Read all blocks.
 */
static void
read_everything(Relation rel, RelationResult *result)
{
	StewardHeapScan *scan = &result->scan;
	bool		progress = MyBEEntry != NULL &&
		MyBEEntry->st_progress_command == PROGRESS_COMMAND_INVALID;

	if (progress)
	{
		pgstat_progress_start_command(PROGRESS_COMMAND_ANALYZE,
									  RelationGetRelid(rel));
		pgstat_progress_update_param(PROGRESS_ANALYZE_PHASE,
									 PROGRESS_ANALYZE_PHASE_ACQUIRE_SAMPLE_ROWS);
		pgstat_progress_update_param(PROGRESS_ANALYZE_BLOCKS_TOTAL,
									 result->nblocks);
		scan->report_progress = true;
	}
	result->blocks_read = steward_blocks_read(rel, MAIN_FORKNUM, NULL,
											  result->nblocks,
											  steward_heap_scan_page, scan);
	if (progress)
		pgstat_progress_end_command();
	result->complete = true;
}

/* Does the heap tell what the new TOAST table's pages will look like? */
static bool
gap_is_known(const RelationResult *result)
{
	return result->values && result->values->closed >= ENOUGH_PAGES;
}

/* New pages a byte that is kept. */
static double
new_density(const RelationResult *result)
{
	if (gap_is_known(result))
		return steward_packing_density(result->values);
	return steward_packing_density(&result->scan.packing);
}

/*
 * Turn the pages seen into observations and estimate: new pages, and bytes of
 * TOAST that are lost.
 */
static void
estimate_pages(Relation rel, const StewardFreeMap *map,
			   StewardObservation *observations, RelationResult *result)
{
	StewardHeapScan *scan = &result->scan;
	const StewardPacking *packing = &scan->packing;
	int			n = scan->counts.pages;
	double		density = new_density(result);
	double		mean_leftover = packing->leftover / Max(packing->closed, 1);
	double		weight = packing->bytes > 0 ? scan->counts.bytes / packing->bytes : 0;
	StewardControls controls = map->controls;

	double		gap_error = 0;

	if (gap_is_known(result))
	{
		/* the gap is estimated on its own, with an error of its own */
		weight = 0;
		gap_error = density * steward_packing_gap_deviation(result->values) /
			sqrt(result->values->closed);
	}
	else if (result->led)
		gap_error = LED_ERROR * density *
			steward_packing_gap_deviation(packing);

	for (int i = 0; i < n; i++)
	{
		StewardHeapPage *page = &scan->pages[i];

		observations[i].block = page->block;
		steward_freemap_observe(map, rel, &observations[i]);
		observations[i].value = density *
			(page->bytes +
			 weight * (page->leftover - page->closings * mean_leftover));
	}
	steward_estimate_mean(observations, n, result->nblocks, &controls,
						  gap_error,
						  Max(FLOOR_SHARE, FLOOR_PAGES / result->nblocks),
						  &result->estimate);

	memset(&result->lost, 0, sizeof(StewardEstimate));
	if (scan->counts.lost == 0)
		return;
	for (int i = 0; i < n; i++)
	{
		observations[i].block = scan->pages[i].block;
		steward_freemap_observe(map, rel, &observations[i]);
		observations[i].value = scan->pages[i].lost;
	}
	memset(controls.prior, 0, sizeof(controls.prior));
	controls.uncertain = 0;
	steward_estimate_mean(observations, n, result->nblocks, &controls, 0, 0,
						  &result->lost);
}

/*
 * Is what a TOAST table of this size loses known well enough?
 */
static bool
lost_settled(const RelationResult *result, BlockNumber toast_blocks)
{
	return result->lost.spread * result->nblocks <=
		FLOOR_SHARE * 10 * toast_blocks * BLCKSZ;
}

/*
 * Is the order of rows across pages needed?  Asked when some were seen.
 */
static bool
rows_are_wide(const StewardHeapScan *scan)
{
	const StewardPacking *packing = &scan->packing;

	return !scan->is_toast &&
		steward_packing_gap_deviation(packing) > WIDE_GAP * BLCKSZ;
}

/*
 * Read the blocks of an array.  If they are to be led in, each is preceded by
 * the block before it.
 */
static void
read_blocks(Relation rel, const BlockNumber *blocks, int count, bool led,
			RelationResult *result)
{
	StewardHeapScan *scan = &result->scan;
	BlockNumber *queue = palloc_array(BlockNumber, 2 * count);
	bool	   *leading = palloc_array(bool, 2 * count);
	int			n = 0;

	for (int i = 0; i < count; i++)
	{
		if (led && blocks[i] > 0 && (n == 0 || queue[n - 1] != blocks[i] - 1))
		{
			leading[n] = true;
			queue[n++] = blocks[i] - 1;
		}
		leading[n] = false;
		queue[n++] = blocks[i];
	}
	scan->leading = led ? leading : NULL;
	scan->visited = 0;
	result->blocks_read +=
		steward_blocks_read(rel, MAIN_FORKNUM, queue, n,
							steward_heap_scan_page, scan);
	scan->leading = NULL;
	pfree(queue);
	pfree(leading);
}

/*
 * Forget what was seen, and see it again with the blocks before.
 */
static void
start_again(Relation rel, const StewardBlockSample *sample,
			RelationResult *result)
{
	StewardHeapScan *scan = &result->scan;

	memset(&scan->counts, 0, sizeof(scan->counts));
	steward_packing_init(&scan->packing, scan->packing.reserve);
	steward_packing_init(&scan->values, scan->values.reserve);
	result->led = true;
	read_blocks(rel, sample->chosen, sample->nchosen, true, result);
}

/*
 * Read the first stage.  Some of its blocks tell whether the others have to be
 * led in.
 */
static void
read_first(Relation rel, const StewardBlockSample *sample,
		   RelationResult *result)
{
	BlockNumber *part = palloc_array(BlockNumber, sample->nbatch);

	for (int turn = 0; turn < 2; turn++)
	{
		int			n = 0;

		for (int i = 0; i < sample->nbatch; i++)
			if ((i % PILOT_STEP != 0) == turn)
				part[n++] = sample->batch[i];
		read_blocks(rel, part, n, false, result);
		if (result->scan.interrupted || rows_are_wide(&result->scan))
			break;
	}
	pfree(part);
}

/*
 * Read a sample of the blocks, in stages, until the interval is narrow enough
 * or the sample as big as it may become.
 */
static void
read_sample(Relation rel, const StewardHeapBloatOptions *options,
			BlockNumber toast_blocks, RelationResult *result)
{
	StewardBlockSample sample;
	StewardFreeMap map = {0};	/* not needed where all blocks are read */
	StewardObservation *observations;
	StewardHeapScan *scan = &result->scan;

	steward_sample_init(&sample, result->nblocks, options->sample_blocks,
						options->budget);
	observations = palloc_array(StewardObservation, sample.maximum + 1);
	scan->pages = palloc_array(StewardHeapPage, sample.maximum + 1);

	while (!scan->interrupted && steward_sample_stage(&sample))
	{
		if (map.nblocks == 0 && !sample.complete)
		{
			steward_freemap_read(&map, rel, result->nblocks,
								 Max(sample.maximum / 3, 4));
			result->blocks_read += map.blocks_read;
		}
		if (sample.complete && sample.nbatch < sample.nchosen)
		{
			/* in order, once and for all */
			memset(&scan->counts, 0, sizeof(scan->counts));
			steward_packing_init(&scan->packing, scan->packing.reserve);
			steward_packing_init(&scan->values, scan->values.reserve);
			read_blocks(rel, sample.chosen, sample.nchosen, false, result);
			break;
		}
		if (scan->counts.pages == 0 && !sample.complete)
			read_first(rel, &sample, result);
		else
			read_blocks(rel, sample.batch, sample.nbatch, result->led, result);
		if (sample.complete)
			break;
		if (!result->led && rows_are_wide(scan))
			start_again(rel, &sample, result);
		estimate_pages(rel, &map, observations, result);
		if (result->known)
			break;
		if (steward_estimate_settled(&result->estimate) &&
			lost_settled(result, toast_blocks))
			break;
		/* twice as many would be four times, unless that is all there are */
		if (result->led && sample.maximum < result->nblocks &&
			5 * sample.nchosen > sample.maximum)
			break;
	}
	result->visible_share = map.visible_share;
	result->complete = sample.complete && !scan->interrupted;
}

/*
 * All blocks were read: nothing is to be estimated.
 */
static void
take_exact(RelationResult *result)
{
	StewardHeapScan *scan = &result->scan;
	StewardEstimate *estimate = &result->estimate;
	double		pages = steward_packing_pages(&scan->packing);

	if (result->nblocks == 0)
		return;
	result->visible_share = (double) scan->counts.visible / result->nblocks;
	if (scan->is_toast)
		pages = scan->counts.bytes * new_density(result);
	memset(estimate, 0, sizeof(StewardEstimate));
	estimate->mean = estimate->low = estimate->high = pages / result->nblocks;
	memset(&result->lost, 0, sizeof(StewardEstimate));
	result->lost.mean = scan->counts.lost / result->nblocks;
	result->lost.low = result->lost.high = result->lost.mean;
}

/*
 * Look into one relation that is open.  For a heap, toast_blocks is the size
 * of its TOAST table; for a TOAST table, "heap" is what its rows say.
 */
static void
examine(Relation rel, const StewardHeapBloatOptions *options,
		BlockNumber toast_blocks, const RelationResult *heap,
		RelationResult *result)
{
	memset(result, 0, sizeof(RelationResult));
	result->nblocks = RelationGetNumberOfBlocks(rel);
	if (heap)
	{
		result->values = &heap->scan.values;
		result->known = heap->complete;
	}
	steward_heap_scan_init(&result->scan, rel);
	if (options->exact)
		read_everything(rel, result);
	else
		read_sample(rel, options, toast_blocks, result);
	if (result->complete)
		take_exact(result);
}

/*
 * Bytes that a relation of nblocks blocks loses when it gets this many pages.
 */
static int64
pages_to_waste(BlockNumber nblocks, double new_pages)
{
	double		pages = ceil(new_pages - 1e-6);

	pages = Min(Max(pages, 0), nblocks);
	return (int64) (nblocks - pages) * BLCKSZ;
}

/* Fill in size and waste from an interval of the new size, in pages. */
static void
set_waste(StewardWaste *waste, BlockNumber nblocks, double mean, double low,
		  double high)
{
	waste->bytes = (int64) nblocks * BLCKSZ;
	waste->wasted = pages_to_waste(nblocks, mean);
	waste->wasted_low = pages_to_waste(nblocks, high);
	waste->wasted_high = pages_to_waste(nblocks, low);
}

/* Add up what was counted, scaled to all blocks. */
static void
add_counts(StewardHeapBloat *bloat, const RelationResult *result)
{
	const StewardHeapCounts *counts = &result->scan.counts;
	double		scale;

	bloat->blocks_read += result->blocks_read;
	bloat->interrupted |= result->scan.interrupted;
	if (counts->pages == 0)
		return;
	scale = (double) result->nblocks / counts->pages;
	bloat->dead_bytes += counts->dead_bytes * scale;
	bloat->held_bytes += counts->held_bytes * scale;
	bloat->free_bytes += counts->free_bytes * scale;
	if (result->scan.is_toast)
		return;

	bloat->dead_tuples = counts->dead * scale;
	/* rows go with the bytes kept, of which more is known */
	if (counts->bytes > 0)
		scale = result->estimate.mean * result->nblocks /
			(counts->bytes * steward_packing_density(&result->scan.packing));
	bloat->live_tuples = counts->live * scale;
	bloat->recently_dead_tuples = counts->recently_dead * scale;
	bloat->kept_tuples = bloat->live_tuples + bloat->recently_dead_tuples;
	bloat->heap_only_tuples = counts->heap_only * scale;
	bloat->visible_share = result->visible_share;
	bloat->exact = result->complete;
}

/*
 * Put together what the TOAST table's pages and the heap's rows say about the
 * size of TOAST after a rewrite.
 */
static void
set_toast_waste(StewardHeapBloat *bloat, const RelationResult *heap,
				const RelationResult *toast)
{
	double		n = toast->nblocks;
	double		density = new_density(toast);
	double		lost = heap->lost.mean * heap->nblocks * density;
	double		spread = (heap->lost.high - heap->lost.mean) *
		heap->nblocks * density;
	double		mean = toast->estimate.mean * n;
	double		low = mean - toast->estimate.low * n;
	double		high = toast->estimate.high * n - mean;
	double		floor = Max(FLOOR_PAGES, FLOOR_SHARE * n);

	if (heap->complete)
	{
		/* every value was seen, in the order of the new file */
		mean = steward_packing_pages(&heap->scan.values);
		set_waste(&bloat->toast, toast->nblocks, mean, mean, mean);
		return;
	}
	mean -= lost;
	set_waste(&bloat->toast, toast->nblocks, mean,
			  mean - Max(floor, hypot(low, spread)),
			  mean + Max(floor, hypot(high, spread)));
}

/*
 * Estimate what a rewrite of this table would free.  The caller has it open
 * with AccessShareLock; it is a heap, not a TOAST table of itself unless its
 * TOAST is not asked for.  Its TOAST table is locked and released here.  May
 * raise an error on a damaged page: run it in steward_target_guarded().
 * Memory is released before it returns.
 */
void
steward_heap_bloat_estimate(Relation rel,
							const StewardHeapBloatOptions *options,
							StewardHeapBloat *bloat)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "pg_steward heap bloat",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	Oid			toast_id = rel->rd_rel->reltoastrelid;
	Relation	toast_rel = NULL;
	BlockNumber toast_blocks = 0;
	RelationResult heap;
	RelationResult toast;

	memset(bloat, 0, sizeof(StewardHeapBloat));
	if (options->toast && OidIsValid(toast_id))
		toast_rel = steward_target_open(toast_id, options->patience_ms,
										&bloat->toast_reason);
	if (toast_rel)
		toast_blocks = RelationGetNumberOfBlocks(toast_rel);

	examine(rel, options, toast_blocks, NULL, &heap);
	add_counts(bloat, &heap);
	set_waste(&bloat->heap, heap.nblocks, heap.estimate.mean * heap.nblocks,
			  heap.estimate.low * heap.nblocks,
			  heap.estimate.high * heap.nblocks);
	if (toast_rel)
	{
		examine(toast_rel, options, 0, &heap, &toast);
		add_counts(bloat, &toast);
		set_toast_waste(bloat, &heap, &toast);
		steward_target_close(toast_rel);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}
