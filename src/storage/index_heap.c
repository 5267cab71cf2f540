/*-------------------------------------------------------------------------
 *
 * index_heap.c
 *	  Which entries of an index the heap still needs.
 *
 * Until VACUUM comes by, an index has entries for rows that are long dead, and
 * looks full of life.  A new index would have one entry for each row that the
 * server's index build takes (heapam_index_build_range_scan()): rows that are
 * visible to somebody or may become so, unless they were replaced by a newer
 * version in the same HOT chain.  The entry refers to the chain's root.
 *
 * Three sources tell what that comes to, from the cheapest on:
 *
 * - the visibility map: what points to an all-visible page is alive;
 * - a sample of the heap, which counts the rows that need an entry: for an
 *   index on all rows, the number of entries after REINDEX;
 * - pages of the heap to which sampled entries point, which tell about those
 *   entries one by one: for partial indexes, and to see whether the dead ones
 *   have keys in common.
 *
 * Reading sets hint bits, as every reader does.  The caller holds a lock on
 * the heap.  What is kept is in the memory context that was current when the
 * StewardIndexHeap was initialized.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/heapam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/block_sample.h"
#include "storage/bloat_target.h"
#include "storage/index_heap.h"

/* Most pages of the free space map that are read. */
#define MAX_MAP_PAGES 1000

/*
 * Share of the mean to which rows are to be known before the sample ends; it
 * is the precision of the index's size.
 */
#define TARGET_PRECISION 0.005

/* What a reading collects. */
typedef struct RootsReading
{
	StewardIndexHeap *heap;
	StewardRoots *roots;
	int			nroots;
} RootsReading;

/*
 * Begin with a heap: its size, its maps, and the horizon behind which deleted
 * rows are dead to all.
 */
void
steward_index_heap_init(StewardIndexHeap *heap, Relation rel)
{
	memset(heap, 0, sizeof(StewardIndexHeap));
	heap->heap = rel;
	heap->context = CurrentMemoryContext;
	heap->nblocks = RelationGetNumberOfBlocks(rel);
	heap->horizon = steward_target_horizon(rel);
	steward_freemap_read(&heap->map, rel, heap->nblocks, MAX_MAP_PAGES);
	heap->blocks_read = heap->map.blocks_read;
}

/*
 * The tuple at this line pointer, or NULL if it leads out of the page.
 */
static HeapTupleHeader
checked_tuple(Page page, ItemId id)
{
	if (!ItemIdIsNormal(id) ||
		ItemIdGetLength(id) < SizeofHeapTupleHeader ||
		ItemIdGetOffset(id) + ItemIdGetLength(id) > BLCKSZ)
		return NULL;
	return (HeapTupleHeader) PageGetItem(page, id);
}

/*
 * Find the root of each tuple of a page: roots[offset - 1], 0 if there is
 * none.  As heap_get_root_tuples() of the server, but for pages that may be
 * damaged.
 */
static void
find_roots(Page page, OffsetNumber max, OffsetNumber *roots)
{
	memset(roots, 0, sizeof(OffsetNumber) * MaxHeapTuplesPerPage);
	for (OffsetNumber root = FirstOffsetNumber; root <= max; root++)
	{
		ItemId		id = PageGetItemId(page, root);
		HeapTupleHeader tuple = checked_tuple(page, id);
		TransactionId xmax = InvalidTransactionId;
		OffsetNumber next;

		if (ItemIdIsRedirected(id))
			next = ItemIdGetRedirect(id);
		else if (tuple != NULL && !HeapTupleHeaderIsHeapOnly(tuple))
			next = root;
		else
			continue;

		while (next >= FirstOffsetNumber && next <= max &&
			   roots[next - 1] == 0)
		{
			tuple = checked_tuple(page, PageGetItemId(page, next));
			if (tuple == NULL ||
				(TransactionIdIsValid(xmax) &&
				 !TransactionIdEquals(xmax, HeapTupleHeaderGetXmin(tuple))))
				break;
			roots[next - 1] = root;
			if (!HeapTupleHeaderIsHotUpdated(tuple))
				break;
			next = ItemPointerGetOffsetNumberNoCheck(&tuple->t_ctid);
			xmax = HeapTupleHeaderGetUpdateXid(tuple);
		}
	}
}

/*
 * Would an index build make an entry for this tuple?  *held is set if only
 * because somebody's snapshot may still see it.
 */
static bool
needs_entry(HeapTuple tuple, TransactionId horizon, Buffer buffer, bool *held)
{
	bool		replaced = HeapTupleHeaderIsHotUpdated(tuple->t_data);

	*held = false;
	switch (HeapTupleSatisfiesVacuum(tuple, horizon, buffer))
	{
		case HEAPTUPLE_DEAD:
			return false;
		case HEAPTUPLE_RECENTLY_DEAD:
			*held = !replaced;
			return !replaced;
		case HEAPTUPLE_DELETE_IN_PROGRESS:
			return !replaced;
		case HEAPTUPLE_LIVE:
		case HEAPTUPLE_INSERT_IN_PROGRESS:
			break;
	}
	return true;
}

/*
 * Look at one page of the heap: a StewardBlockVisitor.
 */
static bool
visit_page(Relation rel, Buffer buffer, BlockNumber block, void *arg)
{
	RootsReading *reading = arg;
	StewardRoots *result = &reading->roots[reading->nroots++];
	Page		page = BufferGetPage(buffer);
	OffsetNumber roots[MaxHeapTuplesPerPage];
	OffsetNumber max;

	memset(result, 0, sizeof(StewardRoots));
	result->block = block;
	if (PageIsNew(page))
		return true;
	max = Min(PageGetMaxOffsetNumber(page), MaxHeapTuplesPerPage);

	find_roots(page, max, roots);
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		ItemId		id = PageGetItemId(page, off);
		HeapTupleData tuple;
		bool		held;

		tuple.t_data = checked_tuple(page, id);
		if (tuple.t_data == NULL)
			continue;
		tuple.t_len = ItemIdGetLength(id);
		tuple.t_tableOid = RelationGetRelid(rel);
		ItemPointerSet(&tuple.t_self, block, off);
		if (!needs_entry(&tuple, reading->heap->horizon, buffer, &held))
			continue;
		result->nrows++;
		result->nheld += held;
		if (roots[off - 1] != 0)
			result->bits[roots[off - 1] / 8] |= 1 << (roots[off - 1] % 8);
	}

	/* roots that lead nowhere: stubs, dead rows, chains of dead rows */
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		ItemId		id = PageGetItemId(page, off);

		if ((result->bits[off / 8] >> (off % 8)) & 1)
			continue;
		if (ItemIdIsDead(id) || ItemIdIsRedirected(id) ||
			(ItemIdIsNormal(id) && roots[off - 1] == off))
			result->ngone++;
	}
	return true;
}

static int
compare_roots(const void *left, const void *right)
{
	BlockNumber a = ((const StewardRoots *) left)->block;
	BlockNumber b = ((const StewardRoots *) right)->block;

	return (a > b) - (a < b);
}

/*
 * Read these blocks (ascending, not read before) and remember their roots.
 */
static void
read_roots(StewardIndexHeap *heap, const BlockNumber *blocks, int64 nblocks)
{
	RootsReading reading;
	Size		size = sizeof(StewardRoots) * (heap->nroots + nblocks);

	if (nblocks == 0)
		return;
	heap->roots = heap->roots ?
		repalloc_huge(heap->roots, size) :
		MemoryContextAllocHuge(heap->context, size);
	reading.heap = heap;
	reading.roots = heap->roots;
	reading.nroots = heap->nroots;
	heap->blocks_read += steward_blocks_read(heap->heap, MAIN_FORKNUM, blocks,
											 nblocks, visit_page, &reading);
	if (heap->looked_at == NULL)
		heap->looked_at = MemoryContextAllocZero(heap->context,
												 heap->nblocks / 8 + 1);
	for (int i = heap->nroots; i < reading.nroots; i++)
		heap->looked_at[heap->roots[i].block / 8] |=
			1 << (heap->roots[i].block % 8);
	heap->nroots = reading.nroots;
	qsort(heap->roots, heap->nroots, sizeof(StewardRoots), compare_roots);
}

/* The page's roots, or NULL if it was not looked at; block < nblocks. */
static const StewardRoots *
find_page(const StewardIndexHeap *heap, BlockNumber block)
{
	StewardRoots key;

	if (heap->looked_at == NULL ||
		((heap->looked_at[block / 8] >> (block % 8)) & 1) == 0)
		return NULL;
	key.block = block;
	return bsearch(&key, heap->roots, heap->nroots, sizeof(StewardRoots),
				   compare_roots);
}

/*
 * Estimate the share of rows that are alive among those that indexes have
 * entries for, from the pages looked at: a ratio, whose variance is that of
 * its residuals (Cochran, "Sampling Techniques", chapter 6).
 */
static void
estimate_alive(StewardIndexHeap *heap)
{
	double		rows = 0;
	double		all = 0;
	double		squares = 0;
	double		part = 1 - (double) heap->nroots / Max(heap->nblocks, 1);

	for (int i = 0; i < heap->nroots; i++)
	{
		rows += heap->roots[i].nrows;
		all += heap->roots[i].nrows + heap->roots[i].ngone;
	}
	heap->alive_share = all > 0 ? rows / all : 1;
	for (int i = 0; i < heap->nroots; i++)
	{
		double		rest = heap->roots[i].nrows - heap->alive_share *
			(heap->roots[i].nrows + heap->roots[i].ngone);

		squares += rest * rest;
	}
	heap->alive_error = all > 0 ?
		1.96 * sqrt(squares * Max(part, 0)) / all + 2 * part / all : 1;
}

/*
 * Estimate the rows of the heap that need an entry, from the pages looked at.
 */
static void
estimate_rows(StewardIndexHeap *heap, StewardEstimate *estimate)
{
	StewardObservation *observations =
		palloc0_array(StewardObservation, heap->nroots + 1);
	StewardControls controls = heap->map.controls;
	double		unit = 1;
	double		held = 0;
	double		rows = 0;

	/* Values are shares of the fullest page; slopes are left to the fit. */
	for (int i = 0; i < heap->nroots; i++)
		unit = Max(unit, heap->roots[i].nrows);
	for (int j = 0; j < controls.n; j++)
		controls.prior[j] = 0;
	for (int i = 0; i < heap->nroots; i++)
	{
		observations[i].block = heap->roots[i].block;
		observations[i].value = heap->roots[i].nrows / unit;
		steward_freemap_observe(&heap->map, heap->heap, &observations[i]);
		rows += heap->roots[i].nrows;
		held += heap->roots[i].nheld;
	}
	steward_estimate_mean(observations, heap->nroots, heap->nblocks,
						  &controls, 0, 0, estimate);
	heap->rows = estimate->mean * unit * heap->nblocks;
	heap->rows_low = estimate->low * unit * heap->nblocks;
	heap->rows_high = estimate->high * unit * heap->nblocks;
	heap->held = rows > 0 ? heap->rows * held / rows : 0;
	pfree(observations);
}

/*
 * Count the rows that need an entry, by a sample of at most "budget" blocks.
 * Does nothing if that was done before.
 */
void
steward_index_heap_count(StewardIndexHeap *heap, int sample_blocks,
						 int64 budget)
{
	StewardBlockSample sample;
	StewardEstimate estimate;

	if (heap->counted)
		return;
	heap->counted = true;
	heap->alive_share = 1;
	if (heap->nblocks == 0)
		return;

	/* what was looked at for single entries is no random sample */
	heap->nroots = 0;
	if (heap->looked_at != NULL)
		memset(heap->looked_at, 0, heap->nblocks / 8 + 1);
	steward_sample_init(&sample, heap->nblocks, sample_blocks, budget);
	while (steward_sample_stage(&sample))
	{
		read_roots(heap, sample.batch, sample.nbatch);
		heap->complete = sample.complete;
		estimate_rows(heap, &estimate);
		if (steward_estimate_settled(&estimate) &&
			estimate.spread <= TARGET_PRECISION * estimate.mean)
			break;
	}
	estimate_alive(heap);
}

/*
 * Look at these blocks (ascending, distinct), other than those that were
 * looked at before.
 */
void
steward_index_heap_probe(StewardIndexHeap *heap, const BlockNumber *blocks,
						 int nblocks)
{
	BlockNumber *fresh = palloc_array(BlockNumber, nblocks + 1);
	int			nfresh = 0;

	for (int i = 0; i < nblocks; i++)
		if (blocks[i] < heap->nblocks && find_page(heap, blocks[i]) == NULL)
			fresh[nfresh++] = blocks[i];
	read_roots(heap, fresh, nfresh);
	pfree(fresh);
}

/*
 * Look at all blocks that are not all-visible, so that no entry is in doubt.
 * Returns false, with nothing done, if maintenance_work_mem does not suffice.
 */
bool
steward_index_heap_look_at_all(StewardIndexHeap *heap)
{
	BlockNumber *blocks;
	int64		n = 0;

	for (BlockNumber block = 0; block < heap->nblocks; block++)
		n += !steward_index_heap_visible(heap, block);
	if (n * (int64) (sizeof(StewardRoots) + sizeof(BlockNumber)) >
		maintenance_work_mem * INT64CONST(1024) ||
		n > INT_MAX)
		return false;

	blocks = palloc_extended(sizeof(BlockNumber) * (n + 1), MCXT_ALLOC_HUGE);
	n = 0;
	for (BlockNumber block = 0; block < heap->nblocks; block++)
		if (!steward_index_heap_visible(heap, block))
			blocks[n++] = block;
	steward_index_heap_probe(heap, blocks, (int) n);
	pfree(blocks);
	return true;
}

/* Does the visibility map call this block all-visible? */
bool
steward_index_heap_visible(const StewardIndexHeap *heap, BlockNumber block)
{
	return heap->map.visible != NULL && block < heap->map.visible_blocks &&
		((heap->map.visible[block / 4] >> (block % 4 * 2)) & 1) != 0;
}

/*
 * What would become of an index entry with this TID?  Reads nothing.
 */
StewardEntryState
steward_index_heap_entry(const StewardIndexHeap *heap, ItemPointer tid)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);
	OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(tid);
	const StewardRoots *page;

	if (block >= heap->nblocks || offset > MaxHeapTuplesPerPage)
		return STEWARD_ENTRY_DEAD;
	if (steward_index_heap_visible(heap, block))
		return STEWARD_ENTRY_LIVE;
	page = find_page(heap, block);
	if (page == NULL)
		return STEWARD_ENTRY_UNKNOWN;
	return (page->bits[offset / 8] >> (offset % 8)) & 1 ?
		STEWARD_ENTRY_LIVE : STEWARD_ENTRY_DEAD;
}
