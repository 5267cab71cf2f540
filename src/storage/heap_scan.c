/*-------------------------------------------------------------------------
 *
 * heap_scan.c
 *	  Counting what is on the pages of a heap or TOAST table.
 *
 * Rows are judged as VACUUM FULL judges them: what no snapshot can see any
 * more is dropped; what an old one may still see is copied, and reported as
 * held.  Rows of transactions in progress are copied.  On a page marked
 * all-visible every row is live, which saves looking at each.
 *
 * Rows of a TOAST table are chunks.  Those of one value lie together in a new
 * file, but may be far apart in the old one, where a page is not the place to
 * pack them from.  The last chunk of a value is shorter than all others and
 * its number tells how many there are: whoever meets it has met one value of
 * known size, and each value has one.  So the values of the tails seen are
 * packed as a sample of all, while bytes are counted of all chunks seen.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/heaptoast.h"
#include "catalog/pg_class.h"
#include "commands/progress.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/backend_progress.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/bloat_target.h"
#include "storage/heap_scan.h"

/* Blocks between two looks at who waits, and reports of progress. */
#define BLOCKS_BETWEEN_CHECKS 128

/* Bytes of a chunk's row before its data; see rewrite_model.c. */
#define CHUNK_HEADER (MAXALIGN(SizeofHeapTupleHeader) + sizeof(Oid) + \
					  sizeof(int32) + VARHDRSZ)

/*
 * Prepare to scan pages of a relation that is open.  Memory comes from the
 * current context.
 */
void
steward_heap_scan_init(StewardHeapScan *scan, Relation rel)
{
	memset(scan, 0, sizeof(StewardHeapScan));
	scan->horizon = steward_target_horizon(rel);
	scan->is_toast = rel->rd_rel->relkind == RELKIND_TOASTVALUE;
	steward_reform_init(&scan->reform, rel);
	steward_packing_init(&scan->packing,
						 RelationGetTargetPageFreeSpace(rel, HEAP_DEFAULT_FILLFACTOR));
	scan->last_block = InvalidBlockNumber;
}

/* Account for a chunk that is kept. */
static void
keep_chunk(StewardHeapScan *scan, HeapTuple tuple)
{
	Size		size = tuple->t_len - CHUNK_HEADER;
	int32		number;

	scan->counts.bytes += MAXALIGN(tuple->t_len) + sizeof(ItemIdData);
	if (tuple->t_len <= CHUNK_HEADER || size >= TOAST_MAX_CHUNK_SIZE)
		return;
	memcpy(&number, (char *) tuple->t_data + tuple->t_data->t_hoff + sizeof(Oid),
		   sizeof(number));
	if (number >= 0)
		steward_packing_add_value(&scan->packing,
								  (int64) number * TOAST_MAX_CHUNK_SIZE + size);
}

/* Account for a row that is kept. */
static void
keep_tuple(StewardHeapScan *scan, HeapTuple tuple)
{
	if (scan->is_toast)
	{
		keep_chunk(scan, tuple);
		return;
	}
	steward_packing_add(&scan->packing,
						steward_reform_tuple(&scan->reform, tuple,
											 &scan->values,
											 &scan->counts.lost));
	scan->counts.heap_only += HeapTupleHeaderIsHeapOnly(tuple->t_data);
}

/* Account for a row of a page that is not all-visible. */
static void
judge_tuple(StewardHeapScan *scan, HeapTuple tuple, Buffer buffer)
{
	Size		bytes = MAXALIGN(tuple->t_len) + sizeof(ItemIdData);

	switch (HeapTupleSatisfiesVacuum(tuple, scan->horizon, buffer))
	{
		case HEAPTUPLE_DEAD:
			scan->counts.dead++;
			scan->counts.dead_bytes += bytes;
			return;
		case HEAPTUPLE_RECENTLY_DEAD:
			scan->counts.recently_dead++;
			scan->counts.held_bytes += bytes;
			break;
		case HEAPTUPLE_LIVE:
		case HEAPTUPLE_INSERT_IN_PROGRESS:
		case HEAPTUPLE_DELETE_IN_PROGRESS:
			scan->counts.live++;
			break;
	}
	keep_tuple(scan, tuple);
}

/* Account for all rows of a page. */
static void
scan_tuples(StewardHeapScan *scan, Relation rel, Buffer buffer,
			BlockNumber block)
{
	Page		page = BufferGetPage(buffer);
	OffsetNumber last = PageGetMaxOffsetNumber(page);
	bool		all_visible = PageIsAllVisible(page);
	HeapTupleData tuple;

	scan->counts.visible += all_visible;
	tuple.t_tableOid = RelationGetRelid(rel);
	for (OffsetNumber number = FirstOffsetNumber; number <= last; number++)
	{
		ItemId		item = PageGetItemId(page, number);

		if (ItemIdIsDead(item))
		{
			scan->counts.dead++;
			scan->counts.dead_bytes += sizeof(ItemIdData);
		}
		if (!ItemIdIsNormal(item))
			continue;
		if (ItemIdGetLength(item) < SizeofHeapTupleHeader ||
			ItemIdGetOffset(item) + ItemIdGetLength(item) > BLCKSZ)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("damaged line pointer %u in block %u of relation \"%s\"",
							number, block, RelationGetRelationName(rel))));

		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		ItemPointerSet(&tuple.t_self, block, number);
		if (all_visible)
		{
			scan->counts.live++;
			keep_tuple(scan, &tuple);
		}
		else
			judge_tuple(scan, &tuple, buffer);
	}
}

/*
 * Account for a page whose rows are packed only for what they leave on the new
 * page that the next one's rows come to.
 */
static void
lead_in(StewardHeapScan *scan, Relation rel, Buffer buffer, BlockNumber block)
{
	StewardHeapCounts counts = scan->counts;
	StewardPacking packing = scan->packing;
	StewardPacking values = scan->values;

	if (!PageIsNew(BufferGetPage(buffer)))
		scan_tuples(scan, rel, buffer, block);
	scan->counts = counts;
	scan->values = values;
	packing.used = scan->packing.used;
	packing.ntuples = scan->packing.ntuples;
	scan->packing = packing;
}

/* Account for a page, and note it. */
static void
count_page(StewardHeapScan *scan, Relation rel, Buffer buffer,
		   BlockNumber block)
{
	StewardPacking before = scan->packing;
	double		bytes = scan->counts.bytes;
	double		lost = scan->counts.lost;
	Page		page = BufferGetPage(buffer);

	if (PageIsNew(page))
		scan->counts.free_bytes += BLCKSZ - SizeOfPageHeaderData;
	else
	{
		scan_tuples(scan, rel, buffer, block);
		scan->counts.free_bytes += PageGetExactFreeSpace(page);
	}
	if (!scan->is_toast)
		scan->counts.bytes += scan->packing.bytes - before.bytes;

	if (scan->pages)
	{
		StewardHeapPage *record = &scan->pages[scan->counts.pages];

		record->block = block;
		record->bytes = scan->counts.bytes - bytes;
		record->closings = scan->packing.closed - before.closed;
		record->leftover = scan->packing.leftover - before.leftover;
		record->lost = scan->counts.lost - lost;
	}
	scan->counts.pages++;
}

/*
 * Visitor for steward_blocks_read().  Ends the scan when somebody waits for
 * our lock.
 */
bool
steward_heap_scan_page(Relation rel, Buffer buffer, BlockNumber block,
					   void *arg)
{
	StewardHeapScan *scan = arg;

	if (scan->leading && scan->leading[scan->visited])
		lead_in(scan, rel, buffer, block);
	else
		count_page(scan, rel, buffer, block);
	scan->last_block = block;
	scan->visited++;

	if (scan->visited % BLOCKS_BETWEEN_CHECKS == 0)
	{
		if (scan->report_progress)
			pgstat_progress_update_param(PROGRESS_ANALYZE_BLOCKS_DONE,
										 scan->visited);
		scan->interrupted = steward_target_in_the_way(rel);
	}
	return !scan->interrupted;
}
