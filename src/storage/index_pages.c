/*-------------------------------------------------------------------------
 *
 * index_pages.c
 *	  Which pages of an index there are to look at.
 *
 * The free space map of an index knows no sizes: a page is free as a whole, to
 * be used anew, or it is not listed.  So free pages need not be read to know
 * that REINDEX drops them, and the sample is drawn from the others.  After a
 * crash the map may call pages free that are in use; a few of them are
 * looked at, and if one is not empty, the map is not used at all.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/free_map.h"
#include "storage/index_bloat.h"

/* Indexes of more blocks than this are sampled without regard to the map. */
#define MAX_MAPPED_BLOCKS (4 * 1024 * 1024)

/* Pages listed as free that are looked at. */
#define MAX_CHECKED 16

/* From this category of the map on, a page is free: all that is recorded. */
#define CATEGORY_FREE 128

/*
 * Is a page that the map calls free really without content?  Those that an
 * index deletes or never used have no line pointers, or a flag that is the
 * access method's own; the former is enough to find the map wrong as a whole.
 */
static bool
visit_free(Relation rel, Buffer buffer, BlockNumber block, void *arg)
{
	Page		page = BufferGetPage(buffer);
	int		   *used = arg;

	if (!PageIsNew(page) && PageGetMaxOffsetNumber(page) > 2)
		(*used)++;
	return true;
}

/* Look at a few of the free pages.  Returns false if any is in use. */
static bool
check_free_pages(Relation index, const BlockNumber *blocks,
				 BlockNumber nblocks, int64 *blocks_read)
{
	BlockNumber chosen[MAX_CHECKED];
	int			n = Min(nblocks, MAX_CHECKED);
	int			used = 0;

	for (int i = 0; i < n; i++)
		chosen[i] = blocks[(uint64) i * nblocks / n];
	*blocks_read += steward_blocks_read(index, MAIN_FORKNUM, chosen, n,
										visit_free, &used);
	return used == 0;
}

/*
 * Find the pages from "first" on that are not free.  Memory is the current
 * context's.
 */
void
steward_index_pages(Relation index, BlockNumber first, BlockNumber nblocks,
					StewardIndexPages *pages)
{
	StewardFreeMap map;
	BlockNumber *free_blocks;

	memset(pages, 0, sizeof(StewardIndexPages));
	pages->first = first;
	pages->npages = nblocks > first ? nblocks - first : 0;
	if (pages->npages == 0 || nblocks > MAX_MAPPED_BLOCKS)
		return;

	steward_freemap_read(&map, index, nblocks, MAX_MAPPED_BLOCKS / 1000);
	pages->map_blocks = map.blocks_read;
	if (map.categories == NULL)
		return;
	for (BlockNumber block = first; block < nblocks; block++)
		pages->nfree += map.categories[block] >= CATEGORY_FREE;
	if (pages->nfree == 0)
		return;

	free_blocks = palloc_array(BlockNumber, pages->nfree);
	pages->blocks = palloc_array(BlockNumber, pages->npages);
	pages->npages = pages->nfree = 0;
	for (BlockNumber block = first; block < nblocks; block++)
	{
		if (map.categories[block] >= CATEGORY_FREE)
			free_blocks[pages->nfree++] = block;
		else
			pages->blocks[pages->npages++] = block;
	}
	if (!check_free_pages(index, free_blocks, pages->nfree,
						  &pages->map_blocks))
	{
		pfree(pages->blocks);
		pages->blocks = NULL;
		pages->npages = nblocks - first;
		pages->nfree = 0;
	}
	pfree(free_blocks);
}

/* The block that is page number "rank", counted from 0. */
BlockNumber
steward_index_page_block(const StewardIndexPages *pages, BlockNumber rank)
{
	return pages->blocks ? pages->blocks[rank] : pages->first + rank;
}

/*
 * Read pages by their ranks, ascending; NULL reads the first "count".  The
 * visitor is told the block.  Returns the number read.
 */
int64
steward_index_pages_read(Relation index, const StewardIndexPages *pages,
						 const BlockNumber *ranks, int64 count,
						 StewardBlockVisitor visit, void *arg)
{
	BlockNumber *blocks;
	int64		nread;

	if (ranks == NULL && pages->blocks != NULL)
		return steward_blocks_read(index, MAIN_FORKNUM, pages->blocks, count,
								   visit, arg);
	blocks = MemoryContextAllocHuge(CurrentMemoryContext,
									sizeof(BlockNumber) * (count + 1));
	for (int64 i = 0; i < count; i++)
		blocks[i] = steward_index_page_block(pages, ranks ? ranks[i] : i);
	nread = steward_blocks_read(index, MAIN_FORKNUM, blocks, count, visit,
								arg);
	pfree(blocks);
	return nread;
}

/* The reason of an index with a page that contradicts itself. */
const char *
steward_index_damaged(Relation index, BlockNumber block)
{
	return psprintf("damaged page: block %u of index \"%s\"",
					block, RelationGetRelationName(index));
}
