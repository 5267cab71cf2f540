/*-------------------------------------------------------------------------
 *
 * btree_whole.c
 *	  A b-tree of which all pages are read.
 *
 * If copies of all its leaves fit into maintenance_work_mem, they are packed
 * in key order, and the result is what REINDEX makes of them, but for entries
 * that could not be looked up.  A larger one is packed in the order of the
 * file, page after page, without copies: then entries with equal keys on two
 * pages do not meet.
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

/* Blocks between two looks for others that wait for our lock. */
#define WAITER_CHECK 1024

static int
compare_copies(const void *left, const void *right)
{
	BlockNumber a = ((const StewardLeafCopy *) left)->block;
	BlockNumber b = ((const StewardLeafCopy *) right)->block;

	return (a > b) - (a < b);
}

/*
 * The copies in key order, when all leaves were read: order[] gets their
 * places.  Returns false if the pages do not make up a chain, for they were
 * read one after the other and may have been split in between.
 */
static bool
find_key_order(StewardBtreeScan *scan, int *order)
{
	BlockNumber block = InvalidBlockNumber;
	int			n = 0;

	qsort(scan->leaves, scan->nleaves, sizeof(StewardLeafCopy), compare_copies);
	for (int i = 0; i < scan->nleaves; i++)
		if (P_LEFTMOST(BTPageGetOpaque(scan->leaves[i].page)))
			block = scan->leaves[i].block;
	while (n < scan->nleaves && block != P_NONE)
	{
		StewardLeafCopy	key;
		StewardLeafCopy   *copy;

		key.block = block;
		copy = bsearch(&key, scan->leaves, scan->nleaves, sizeof(StewardLeafCopy),
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
pack_all(StewardBtreeScan *scan, const int *order)
{
	StewardBtreeGroup waiting = {NULL};
	int			nwaiting = 0;

	scan->survivors = 0;
	steward_btree_fill_init(&scan->fill);
	for (int i = 0; i < scan->nleaves; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!steward_btree_open_leaf(scan, &scan->leaves[order[i]]))
			return 0;
		for (int j = 0; j < scan->leaf->ngroups; j++)
		{
			StewardBtreeGroup *group = &scan->leaf->groups[j];
			int			live = steward_btree_surviving(scan, group);

			scan->survivors += live;
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

/*
 * All leaves were read: pack them in key order.  What is in doubt is only
 * the fate of entries.
 */
bool
steward_btree_in_order(StewardBtreeScan *scan, StewardIndexBloat *result)
{
	int		   *order = palloc_array(int, scan->nleaves + 1);
	double		mean;
	double		variance;
	double		leaves;
	double		error;

	if (!find_key_order(scan, order))
		return false;
	steward_btree_weigh(scan, &mean, &variance);
	leaves = pack_all(scan, order);
	if (scan->unknown > 0 && scan->survivors > 0)
		leaves *= mean * scan->npages / scan->survivors;
	error = scan->unknown > 0 && mean > 0 ?
		leaves * STEWARD_BTREE_QUANTILE * sqrt(variance) / mean +
		scan->unknown / scan->entries : 0;
	/* what the model leaves out: pages that were split meanwhile, and such */
	if (leaves > 2)
		error += 1 + leaves * STEWARD_BTREE_MODEL_ERROR;
	result->pages = steward_btree_new_pages(scan, leaves);
	result->pages_low = steward_btree_new_pages(scan, floor(leaves - error));
	result->pages_high = steward_btree_new_pages(scan, ceil(leaves + error));
	return true;
}

/*
 * Pack one page of an index that is read whole: a StewardBlockVisitor.  Ends
 * the reading if somebody waits for our lock.
 */
static bool
visit_every_page(Relation rel, Buffer buffer, BlockNumber block, void *arg)
{
	StewardBtreeScan *scan = arg;
	StewardLeafCopy copy = {0};

	if (block % WAITER_CHECK == 0 &&
		(steward_target_in_the_way(rel) ||
		 steward_target_in_the_way(scan->task->heap->heap)))
	{
		scan->interrupted = true;
		return false;
	}
	switch (steward_btree_page_kind(BufferGetPage(buffer)))
	{
		case STEWARD_BTREE_DAMAGED:
		case STEWARD_BTREE_META:
			scan->damaged = block;
			return false;
		case STEWARD_BTREE_NEW:
		case STEWARD_BTREE_DELETED:
		case STEWARD_BTREE_INNER:
			return true;
		case STEWARD_BTREE_LEAF:
			break;
	}
	copy.block = block;
	copy.page = scan->scratch;
	memcpy(copy.page, BufferGetPage(buffer), BLCKSZ);
	if (!steward_btree_open_leaf(scan, &copy))
		return false;
	scan->bytes += steward_btree_pack_leaf(scan);
	return true;
}

/*
 * Read all pages, in the order of the file.  The sample, which was taken
 * before, says what to make of entries that could not be looked up.
 */
void
steward_btree_in_file_order(StewardBtreeScan *scan, StewardIndexBloat *result)
{
	const StewardIndexTask *task = scan->task;
	bool		in_doubt = scan->unknown > 0;
	double		relative = (result->pages_high - result->pages_low) / 2 /
		Max(result->pages, 1);
	double		leaves;
	double		error;

	scan->all_alive = task->heap->map.visible_share == 1;
	scan->bytes = 0;
	scan->scratch = palloc(BLCKSZ);
	steward_btree_fill_init(&scan->fill);
	result->blocks_read +=
		steward_index_pages_read(task->index, &scan->pages, NULL,
								 scan->pages.npages, visit_every_page, scan);
	if (scan->interrupted || scan->damaged != InvalidBlockNumber)
		return;
	leaves = scan->fill.pages > 0 ?
		scan->bytes / (scan->fill.bytes / scan->fill.pages) : 1;
	error = leaves * (in_doubt ? relative : STEWARD_BTREE_MODEL_ERROR) + 1;
	result->pages = steward_btree_new_pages(scan, leaves);
	result->pages_low = steward_btree_new_pages(scan, leaves - error);
	result->pages_high = steward_btree_new_pages(scan, leaves + error);
	result->exact = !in_doubt;
}
