/*-------------------------------------------------------------------------
 *
 * index_sample.c
 *	  Sample of an index's pages, for access methods other than btree.
 *
 * The access method's reader gets a copy of each page and reduces it to a few
 * numbers, of which the means over the index are estimated, and to entries,
 * of which some are looked up in the heap to see how many are alive.  All
 * that is specific to an access method - what a new index would look like -
 * is in its own file.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/itup.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/index_sample.h"

/* Blocks of the heap that are looked at for single entries. */
#define MAX_LOOKUPS 100

/* Half width of a mean, in parts of it, that ends sampling. */
#define TARGET_PRECISION 0.01

/* Share of empty pages that a build may leave behind. */
#define BUILD_EMPTY 0.02

/* Header of the page makes sense? */
static bool
header_is_sound(Page page, Size special)
{
	PageHeader	header = (PageHeader) page;

	return PageGetPageSize(page) == BLCKSZ &&
		header->pd_special == BLCKSZ - MAXALIGN(special) &&
		header->pd_lower >= SizeOfPageHeaderData &&
		header->pd_lower <= header->pd_upper &&
		header->pd_upper <= header->pd_special;
}

/*
 * Copy a page and have it read: a StewardBlockVisitor.
 */
static bool
visit_page(Relation rel, Buffer buffer, BlockNumber block, void *arg)
{
	StewardIndexSample *sample = arg;
	StewardPageValues *values = &sample->values[sample->npages];
	Page		page = BufferGetPage(buffer);

	memset(values, 0, sizeof(StewardPageValues));
	values->block = block;
	if (PageIsNew(page))
		values->empty = true;
	else
	{
		memcpy(sample->page, page, BLCKSZ);
		if (!header_is_sound(sample->page, sample->special) ||
			!sample->reader(sample, sample->page, values))
		{
			sample->damaged = block;
			return false;
		}
	}
	sample->npages++;
	return true;
}

/* Read all pages. */
static void
read_all(StewardIndexSample *sample, StewardIndexBloat *result)
{
	sample->maxpages = sample->pages.npages;
	sample->values = MemoryContextAllocHuge(CurrentMemoryContext,
											sizeof(StewardPageValues) *
											(sample->maxpages + 1));
	result->blocks_read +=
		steward_index_pages_read(sample->task->index, &sample->pages, NULL,
								 sample->pages.npages, visit_page, sample);
	sample->complete = true;
}

static int
compare_values(const void *left, const void *right)
{
	BlockNumber a = ((const StewardPageValues *) left)->block;
	BlockNumber b = ((const StewardPageValues *) right)->block;

	return (a > b) - (a < b);
}

/*
 * Read the index's pages from "first" on, as many as the task permits and the
 * precision of value 0 asks for.  The caller has set task, reader, special
 * and state; the rest is set here.
 */
void
steward_index_sample_read(StewardIndexSample *sample, BlockNumber first,
						  StewardIndexBloat *result)
{
	const StewardIndexTask *task = sample->task;
	StewardBlockSample blocks;

	sample->damaged = InvalidBlockNumber;
	sample->page = palloc(BLCKSZ);
	pg_prng_seed(&sample->random, pg_prng_uint64(&pg_global_prng_state));
	steward_index_pages(task->index, first, task->nblocks, &sample->pages);
	result->blocks_read += sample->pages.map_blocks;
	if (task->exact)
	{
		read_all(sample, result);
		return;
	}

	steward_sample_init(&blocks, sample->pages.npages,
						task->sample_blocks * 2,
						Min((int64) task->sample_blocks * 2 - MAX_LOOKUPS,
							task->budget));
	sample->maxpages = blocks.maximum;
	sample->values = palloc_array(StewardPageValues, sample->maxpages + 1);
	while (sample->damaged == InvalidBlockNumber &&
		   steward_sample_stage(&blocks))
	{
		double		mean;
		double		error;

		result->blocks_read +=
			steward_index_pages_read(task->index, &sample->pages,
									 blocks.batch, blocks.nbatch, visit_page,
									 sample);
		sample->complete = blocks.complete;
		qsort(sample->values, sample->npages, sizeof(StewardPageValues),
			  compare_values);
		mean = steward_index_sample_mean(sample, 0, &error);
		if (error <= TARGET_PRECISION * mean)
			break;
	}
}

/*
 * Offer an entry: which of them are kept is random (reservoir sampling).
 */
void
steward_index_sample_entry(StewardIndexSample *sample, ItemPointer tid)
{
	double		place = sample->ntids++;

	if (place >= STEWARD_INDEX_TIDS)
	{
		place = floor(pg_prng_double(&sample->random) * sample->ntids);
		if (place >= STEWARD_INDEX_TIDS)
			return;
	}
	sample->tids[(int) place] = *tid;
}

static int
compare_blocks(const void *left, const void *right)
{
	BlockNumber a = *(const BlockNumber *) left;
	BlockNumber b = *(const BlockNumber *) right;

	return (a > b) - (a < b);
}

/*
 * Read the blocks of the heap to which entries in doubt refer, up to a limit.
 */
static void
look_up_entries(StewardIndexSample *sample, int ntids)
{
	BlockNumber *blocks = palloc_array(BlockNumber, ntids + 1);
	int			n = 0;
	int			distinct = 0;

	/* The reservoir is in the order of reading: take every so many. */
	for (int i = 0; i < ntids; i++)
	{
		ItemPointer tid = &sample->tids[(i * (int64) 7919) % ntids];

		if (n >= MAX_LOOKUPS && !sample->task->exact)
			break;
		if (steward_index_heap_entry(sample->task->heap, tid) ==
			STEWARD_ENTRY_UNKNOWN)
			blocks[n++] = ItemPointerGetBlockNumberNoCheck(tid);
	}
	qsort(blocks, n, sizeof(BlockNumber), compare_blocks);
	for (int i = 0; i < n; i++)
		if (i == 0 || blocks[i] != blocks[i - 1])
			blocks[distinct++] = blocks[i];
	steward_index_heap_probe(sample->task->heap, blocks, distinct);
	pfree(blocks);
}

/*
 * The share alive of the entries that were kept, by those whose fate is known.
 */
static double
alive_by_entries(StewardIndexSample *sample, int ntids, double sure,
				 double *error)
{
	double		seen = 0;
	double		alive = 0;
	double		p;

	look_up_entries(sample, ntids);
	for (int i = 0; i < ntids; i++)
	{
		BlockNumber block =
			ItemPointerGetBlockNumberNoCheck(&sample->tids[i]);
		StewardEntryState state =
			steward_index_heap_entry(sample->task->heap, &sample->tids[i]);

		if (steward_index_heap_visible(sample->task->heap, block) ||
			state == STEWARD_ENTRY_UNKNOWN)
			continue;
		seen++;
		alive += state == STEWARD_ENTRY_LIVE;
	}
	if (seen == 0)
		return 1;
	p = alive / seen;
	*error = 1.96 * (1 - sure) *
		(sqrt(p * (1 - p) / seen) + 1 / (seen + 2));
	return sure + (1 - sure) * p;
}

/*
 * The share of entries that REINDEX keeps, and the half width of its interval
 * of 95 %.  If the index has entries for every row, it is the share of the
 * rows, unless scans have marked entries dead already.
 */
double
steward_index_sample_alive(StewardIndexSample *sample, double *error)
{
	const StewardIndexTask *task = sample->task;
	int			ntids = (int) Min(sample->ntids, STEWARD_INDEX_TIDS);
	double		sure = 0;

	*error = 0;
	if (ntids == 0)
		return 1;
	for (int i = 0; i < ntids; i++)
		sure += steward_index_heap_visible(task->heap,
										   ItemPointerGetBlockNumberNoCheck(&sample->tids[i]));
	if (sure == ntids)
		return 1;

	if (task->every_row && sample->nkilled == 0)
	{
		steward_index_heap_count(task->heap, task->sample_blocks / 3,
								 task->exact ? task->heap->nblocks :
								 MAX_LOOKUPS * 3 / 2);
		*error = task->heap->alive_error;
		return task->heap->alive_share;
	}
	return alive_by_entries(sample, ntids, sure / ntids, error);
}

/*
 * The sum of a value over the index, and the half width of its interval of
 * 95 %.
 */
double
steward_index_sample_mean(StewardIndexSample *sample, int value,
						  double *error)
{
	StewardObservation *observations;
	StewardControls controls = {0};
	StewardEstimate estimate;
	double		unit = 1e-9;

	observations = MemoryContextAllocExtended(CurrentMemoryContext,
											  sizeof(StewardObservation) *
											  (sample->npages + 1),
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int64 i = 0; i < sample->npages; i++)
		unit = Max(unit, sample->values[i].value[value]);
	for (int64 i = 0; i < sample->npages; i++)
	{
		observations[i].block = sample->values[i].block;
		observations[i].value = sample->values[i].value[value] / unit;
	}
	controls.uncertain = 1;
	steward_estimate_mean(observations, sample->npages, sample->pages.npages,
						  &controls, 0, 0, &estimate);
	pfree(observations);
	*error = (estimate.high - estimate.low) / 2 * unit *
		sample->pages.npages;
	return estimate.mean * unit * sample->pages.npages;
}

/*
 * Fill in what the index has too much now, if this share of its entries is
 * alive.
 */
void
steward_index_sample_describe(StewardIndexSample *sample, double alive,
							  StewardIndexBloat *result)
{
	const StewardIndexHeap *heap = sample->task->heap;
	double		scale = (double) sample->pages.npages / Max(sample->npages, 1);
	double		empty = 0;
	double		used = 0;

	for (int64 i = 0; i < sample->npages; i++)
	{
		empty += sample->values[i].empty;
		used += sample->values[i].used;
	}
	result->deleted_pages = sample->pages.nfree + scale * empty;
	result->dead_bytes = scale * used * (1 - alive);
	if (heap != NULL && heap->counted && heap->rows > 0)
		result->held_bytes = scale * used * alive * heap->held / heap->rows;
	if (sample->damaged != InvalidBlockNumber)
		result->reason = steward_index_damaged(sample->task->index,
											   sample->damaged);
	result->exact = false;
	result->model = true;
}

/*
 * Temper an estimate that a model made: where nothing was deleted, and the
 * index is no larger than a new one may be, it most likely is about as good as
 * new.  What lies within the model's error counts for the less the smaller it
 * is: by the square of its part of the error.  The interval, which has zero in
 * it, stays.
 */
void
steward_index_sample_temper(const StewardIndexSample *sample, double alive,
							StewardIndexBloat *result)
{
	double		blocks = sample->task->nblocks;
	double		waste = blocks - result->pages;
	double		error = result->pages_high - result->pages;

	if (alive == 1 && result->deleted_pages <= 2 + BUILD_EMPTY * blocks &&
		waste > 0 && waste < error)
		result->pages = blocks - waste * (waste / error) * (waste / error);
}

/*
 * The index tuple at this place of a copied page, or NULL if it leads out of
 * the page.
 */
IndexTuple
steward_index_sample_tuple(Page page, OffsetNumber offset)
{
	ItemId		id = PageGetItemId(page, offset);
	PageHeader	header = (PageHeader) page;
	IndexTuple	tuple;

	if (!ItemIdHasStorage(id) ||
		ItemIdGetOffset(id) < header->pd_upper ||
		ItemIdGetOffset(id) != MAXALIGN(ItemIdGetOffset(id)) ||
		ItemIdGetLength(id) < sizeof(IndexTupleData) ||
		ItemIdGetOffset(id) + ItemIdGetLength(id) > header->pd_special)
		return NULL;
	tuple = (IndexTuple) PageGetItem(page, id);
	if (IndexTupleSize(tuple) < sizeof(IndexTupleData) ||
		IndexTupleSize(tuple) > ItemIdGetLength(id))
		return NULL;
	return tuple;
}
