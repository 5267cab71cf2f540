/*-------------------------------------------------------------------------
 *
 * free_map.c
 *	  What the free space map and the visibility map say about each block.
 *
 * Together they are a four-thousandth of a relation's size, and tell most of
 * what distinguishes one page from another: the free space that VACUUM found,
 * and whether anything was changed since.  Neither is trusted: they are
 * control variates of the estimate (estimate.c), for all blocks and for those
 * sampled, and if they say nothing of use the slopes become zero.  An
 * all-visible page has no dead rows, for certain.
 *
 * The lowest level of the free space map is copied page by page, as freespace.c
 * of the server has no function for that; the position of these pages is that
 * of fsm_logical_to_physical().  A map of more pages than the caller allows is
 * itself sampled, one page a stratum (double sampling, Cochran, "Sampling
 * Techniques", chapter 12), and the uncertainty of its mean is passed on.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/visibilitymapdefs.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"
#include "storage/fsm_internals.h"
#include "storage/smgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/free_map.h"

/* Control variates. */
enum
{
	CONTROL_FREE,				/* recorded free space */
	CONTROL_VISIBLE,			/* marked all-visible: 0 or 1 */
	CONTROL_FREE_VISIBLE,		/* their product */
	NCONTROLS
};

/* Levels of the free space map's tree: as many as 2^32 blocks need. */
#define FREE_MAP_DEPTH 3

/* Bytes of the visibility map on a page, and heap blocks they stand for. */
#define VISIBLE_BYTES (BLCKSZ - MAXALIGN(SizeOfPageHeaderData))
#define VISIBLE_PER_BYTE (BITS_PER_BYTE / BITS_PER_HEAPBLOCK)

/* Recorded free space of a category, in pages. */
#define CATEGORY_PAGES(category) \
	((category) * (BLCKSZ / 256.0) / (BLCKSZ - SizeOfPageHeaderData))

/* Number of blocks of a fork; 0 if it does not exist. */
static BlockNumber
fork_blocks(Relation rel, ForkNumber fork)
{
	if (!smgrexists(RelationGetSmgr(rel), fork))
		return 0;
	return smgrnblocks(RelationGetSmgr(rel), fork);
}

/*
 * Where the page of this number of the map's lowest level lies in its fork.
 */
static BlockNumber
free_map_block(BlockNumber leaf)
{
	BlockNumber pages = 0;

	for (int level = 0; level < FREE_MAP_DEPTH; level++)
	{
		pages += leaf + 1;
		leaf /= LeafNodesPerPage;
	}
	return pages - 1;
}

/*
 * Copy categories of the blocks that one page of the map stands for.  What
 * the map does not reach is category 0.
 */
static void
copy_categories(StewardFreeMap *map, Relation rel, BlockNumber leaf,
				BlockNumber fork_nblocks, uint8 *categories, int count)
{
	BlockNumber block = free_map_block(leaf);
	Buffer		buffer;

	memset(categories, 0, count);
	if (block >= fork_nblocks)
		return;
	buffer = ReadBufferExtended(rel, FSM_FORKNUM, block, RBM_ZERO_ON_ERROR,
								NULL);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (!PageIsNew(BufferGetPage(buffer)))
	{
		FSMPage		page = (FSMPage) PageGetContents(BufferGetPage(buffer));

		memcpy(categories, &page->fp_nodes[NonLeafNodesPerPage], count);
	}
	UnlockReleaseBuffer(buffer);
	map->blocks_read++;
}

/* Copy the visibility map. */
static void
read_visible(StewardFreeMap *map, Relation rel)
{
	BlockNumber fork_nblocks = fork_blocks(rel, VISIBILITYMAP_FORKNUM);
	BlockNumber needed = (map->nblocks + VISIBLE_BYTES * VISIBLE_PER_BYTE - 1) /
		(VISIBLE_BYTES * VISIBLE_PER_BYTE);
	BlockNumber count = Min(fork_nblocks, needed);

	if (count == 0)
		return;
	map->visible = palloc_extended((Size) count * VISIBLE_BYTES,
								   MCXT_ALLOC_HUGE);
	map->visible_blocks = Min((uint64) count * VISIBLE_BYTES * VISIBLE_PER_BYTE,
							  map->nblocks);
	for (BlockNumber block = 0; block < count; block++)
	{
		Buffer		buffer;
		uint8	   *target = map->visible + (Size) block * VISIBLE_BYTES;

		CHECK_FOR_INTERRUPTS();
		buffer = ReadBufferExtended(rel, VISIBILITYMAP_FORKNUM, block,
									RBM_ZERO_ON_ERROR, NULL);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		if (PageIsNew(BufferGetPage(buffer)))
			memset(target, 0, VISIBLE_BYTES);
		else
			memcpy(target, PageGetContents(BufferGetPage(buffer)),
				   VISIBLE_BYTES);
		UnlockReleaseBuffer(buffer);
		map->blocks_read++;
	}
}

/* Is this block marked all-visible? */
static bool
block_is_visible(const StewardFreeMap *map, BlockNumber block)
{
	if (block >= map->visible_blocks)
		return false;
	return map->visible[block / VISIBLE_PER_BYTE] >>
		(block % VISIBLE_PER_BYTE * BITS_PER_HEAPBLOCK) &
		VISIBILITYMAP_ALL_VISIBLE;
}

/*
 * Add up the controls of "count" blocks from "first" on.
 */
static void
sum_controls(const StewardFreeMap *map, BlockNumber first,
			 const uint8 *categories, int count, double *sum)
{
	int64		all = 0;
	int64		of_visible = 0;
	int64		visible = 0;

	for (int i = 0; i < count; i++)
	{
		bool		is_visible = block_is_visible(map, first + i);

		all += categories[i];
		visible += is_visible;
		of_visible += is_visible ? categories[i] : 0;
	}
	sum[CONTROL_FREE] += CATEGORY_PAGES(all);
	sum[CONTROL_VISIBLE] += visible;
	sum[CONTROL_FREE_VISIBLE] += CATEGORY_PAGES(of_visible);
}

/* Blocks that this page of the map's lowest level stands for. */
static int
blocks_of_leaf(const StewardFreeMap *map, BlockNumber leaf)
{
	return Min(LeafNodesPerPage, map->nblocks - leaf * LeafNodesPerPage);
}

/*
 * Read the whole free space map: one byte a block.
 */
static void
read_categories(StewardFreeMap *map, Relation rel, BlockNumber leaves,
				BlockNumber fork_nblocks)
{
	double		sum[NCONTROLS] = {0};

	map->categories = palloc(map->nblocks);
	for (BlockNumber leaf = 0; leaf < leaves; leaf++)
	{
		BlockNumber first = leaf * LeafNodesPerPage;
		int			count = blocks_of_leaf(map, leaf);

		CHECK_FOR_INTERRUPTS();
		copy_categories(map, rel, leaf, fork_nblocks,
						map->categories + first, count);
		sum_controls(map, first, map->categories + first, count, sum);
	}
	for (int i = 0; i < NCONTROLS; i++)
		map->controls.mean[i] = sum[i] / map->nblocks;
}

/*
 * Read a sample of the free space map's pages, one a stratum.  Means become
 * estimates, whose variance comes from the differences of neighbours.
 */
static void
sample_categories(StewardFreeMap *map, Relation rel, BlockNumber leaves,
				  BlockNumber fork_nblocks, int maximum)
{
	uint8		categories[LeafNodesPerPage];
	double		last[NCONTROLS] = {0};

	for (int stratum = 0; stratum < maximum; stratum++)
	{
		double		at = (stratum + pg_prng_double(&pg_global_prng_state)) / maximum;
		BlockNumber leaf = Min((BlockNumber) (at * leaves), leaves - 1);
		int			count = blocks_of_leaf(map, leaf);
		double		sum[NCONTROLS] = {0};

		CHECK_FOR_INTERRUPTS();
		copy_categories(map, rel, leaf, fork_nblocks, categories, count);
		sum_controls(map, leaf * LeafNodesPerPage, categories, count, sum);
		for (int i = 0; i < NCONTROLS; i++)
		{
			double		mean = sum[i] / count;
			double		step = mean - last[i];

			map->controls.mean[i] += mean / maximum;
			if (stratum > 0)
				map->controls.variance[i] +=
					step * step / (2.0 * (maximum - 1)) / maximum;
			last[i] = mean;
		}
	}
}

/*
 * Read both maps of a relation of nblocks blocks, on which the caller holds a
 * lock, into the current memory context.  Of a free space map of more than
 * "maximum" pages, so many are read.
 */
void
steward_freemap_read(StewardFreeMap *map, Relation rel, BlockNumber nblocks,
					 int maximum)
{
	BlockNumber leaves = (nblocks + LeafNodesPerPage - 1) / LeafNodesPerPage;
	BlockNumber fork_nblocks;

	memset(map, 0, sizeof(StewardFreeMap));
	map->nblocks = nblocks;
	map->controls.n = NCONTROLS;
	map->controls.prior[CONTROL_FREE] = -1;
	map->controls.uncertain = 1;
	if (nblocks == 0)
		return;

	fork_nblocks = fork_blocks(rel, FSM_FORKNUM);
	read_visible(map, rel);
	if (leaves <= maximum)
		read_categories(map, rel, leaves, fork_nblocks);
	else
		sample_categories(map, rel, leaves, fork_nblocks, maximum);

	map->mean_free = map->controls.mean[CONTROL_FREE];
	map->visible_share = map->controls.mean[CONTROL_VISIBLE];
	map->controls.uncertain = 1 - map->visible_share;
}

/*
 * Fill in what the maps say about the block of an observation.
 */
void
steward_freemap_observe(const StewardFreeMap *map, Relation rel,
						StewardObservation *observation)
{
	BlockNumber block = observation->block;
	bool		visible = block_is_visible(map, block);
	double		free;

	if (map->categories)
		free = CATEGORY_PAGES(map->categories[block]);
	else
		free = GetRecordedFreeSpace(rel, block) /
			(double) (BLCKSZ - SizeOfPageHeaderData);
	observation->vouched = visible;
	observation->control[CONTROL_FREE] = free;
	observation->control[CONTROL_VISIBLE] = visible;
	observation->control[CONTROL_FREE_VISIBLE] = visible ? free : 0;
}
