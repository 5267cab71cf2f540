/*-------------------------------------------------------------------------
 *
 * heap_bloat.h
 *	  What a rewrite of a table would free.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_HEAP_BLOAT_H
#define STEWARD_HEAP_BLOAT_H

#include "utils/relcache.h"

/* Bytes that a rewrite frees, with an interval of 95 %. */
typedef struct StewardWaste
{
	int64		bytes;			/* size of the main fork now */
	int64		wasted;
	int64		wasted_low;
	int64		wasted_high;
} StewardWaste;

/*
 * Estimate of a heap and, if asked for, of its TOAST table.  Tuples and bytes
 * below are of the heap unless they say otherwise, estimated over all blocks.
 */
typedef struct StewardHeapBloat
{
	StewardWaste heap;
	StewardWaste toast;
	double		live_tuples;	/* rows that somebody's new snapshot may see */
	double		recently_dead_tuples;	/* still visible to an old snapshot */
	double		kept_tuples;	/* both: what a rewrite copies */
	double		heap_only_tuples;	/* of kept: without an index entry */
	double		dead_tuples;	/* removable, stubs of them included */
	double		dead_bytes;		/* of heap and TOAST */
	double		free_bytes;		/* of heap and TOAST */
	double		held_bytes;		/* recently dead, of heap and TOAST */
	double		visible_share;	/* pages marked all-visible, 0 to 1 */
	int64		blocks_read;	/* of all forks, of heap and TOAST */
	bool		exact;			/* every block of the heap was read */
	bool		interrupted;	/* given up because others wait for the lock */
	const char *toast_reason;	/* why there is nothing about TOAST, or NULL */
} StewardHeapBloat;

/* How to read. */
typedef struct StewardHeapBloatOptions
{
	int			sample_blocks;	/* as the argument of get_table_bloat() */
	int64		budget;			/* most blocks, for heap and TOAST each */
	bool		exact;			/* read all blocks */
	bool		toast;			/* also look at the TOAST table */
	int		   *patience_ms;	/* for the TOAST table's lock, see
								 * bloat_target.h */
} StewardHeapBloatOptions;

/* heap_bloat.c */
extern void steward_heap_bloat_estimate(Relation rel,
										const StewardHeapBloatOptions *options,
										StewardHeapBloat *result);

/* quick_bloat.c */
extern void steward_quick_bloat_estimate(Relation rel, int *patience_ms,
										 StewardHeapBloat *bloat,
										 const char **reason);

#endif							/* STEWARD_HEAP_BLOAT_H */
