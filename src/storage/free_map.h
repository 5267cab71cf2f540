/*-------------------------------------------------------------------------
 *
 * free_map.h
 *	  What the free space map and the visibility map say about each block.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_FREE_MAP_H
#define STEWARD_FREE_MAP_H

#include "storage/block.h"
#include "utils/relcache.h"

#include "storage/estimate.h"

/* Both maps of one relation. */
typedef struct StewardFreeMap
{
	BlockNumber nblocks;
	uint8	   *categories;		/* free space of each block, 1/256 of a page;
								 * NULL if the map was sampled */
	BlockNumber free_pages;		/* pages of the map */
	uint8	   *visible;		/* the visibility map's bits, or NULL */
	BlockNumber visible_blocks; /* blocks that it covers */
	double		visible_share;	/* pages marked all-visible, 0 to 1 */
	double		mean_free;		/* recorded free space, pages a page */
	int64		blocks_read;
	StewardControls controls;
} StewardFreeMap;

extern void steward_freemap_read(StewardFreeMap *map, Relation rel,
								 BlockNumber nblocks, int maximum);
extern void steward_freemap_observe(const StewardFreeMap *map, Relation rel,
									StewardObservation *observation);

#endif							/* STEWARD_FREE_MAP_H */
