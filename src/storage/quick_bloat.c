/*-------------------------------------------------------------------------
 *
 * quick_bloat.c
 *	  What a rewrite of a table would free, by the maps alone.
 *
 * The free space map knows what VACUUM found: a page that the visibility map
 * still marks all-visible has not changed since.  If nearly all pages are
 * marked, the map's sum is the free space of now, and no block of the table
 * needs to be read.  What the map cannot know is the size of rows, from which
 * follows the gap that a rewrite leaves on each page: half a mean row, by the
 * activity counters' number of rows.  Where that is not good enough the answer
 * is withheld, in words.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/heapam.h"
#include "storage/bufmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/bloat_target.h"
#include "storage/free_map.h"
#include "storage/heap_bloat.h"
#include "storage/rewrite_model.h"

#define PAGE_BYTES (double) (BLCKSZ - SizeOfPageHeaderData)

/* Smaller shares of all-visible pages do not give an answer. */
#define MIN_VISIBLE_SHARE 0.95

/* Most pages of a free space map that are read. */
#define MAX_MAP_PAGES 1000

/* Categories of the map round down: by half of one on average. */
#define MEAN_ROUNDING (BLCKSZ / 512.0)

/* Rows of a relation, by the activity counters; 0 if they know nothing. */
static double
counted_rows(Oid relid)
{
	return (double) DatumGetInt64(DirectFunctionCall1(pg_stat_get_live_tuples,
													  ObjectIdGetDatum(relid)));
}

/*
 * Why the maps of this relation do not tell its bloat; NULL if they do.
 */
static const char *
reason_to_withhold(Relation rel, const StewardFreeMap *map)
{
	StewardReform reform;

	steward_reform_init(&reform, rel);
	if (reform.always)
		return "withheld: dropped columns do not show in the free space map, use method 'sample'";
	if (map->visible_share < MIN_VISIBLE_SHARE)
		return psprintf("withheld: %.0f %% of the pages changed since the last VACUUM, use method 'sample'",
						100 * (1 - map->visible_share));
	if (counted_rows(RelationGetRelid(rel)) <= 0)
		return "withheld: the number of rows is not known, use method 'sample'";
	return NULL;
}

/*
 * Fill in the waste of one relation from its maps.  Returns a reason, in the
 * context of the caller, if that is not possible.
 */
static const char *
examine_maps(Relation rel, StewardWaste *waste, StewardHeapBloat *bloat)
{
	StewardFreeMap map;
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	Size		reserve = RelationGetTargetPageFreeSpace(rel, HEAP_DEFAULT_FILLFACTOR);
	const char *reason;
	double		bytes;
	double		gap;
	double		pages;

	waste->bytes = (int64) nblocks * BLCKSZ;
	if (nblocks == 0)
		return NULL;
	steward_freemap_read(&map, rel, nblocks, MAX_MAP_PAGES);
	bloat->blocks_read += map.blocks_read;
	reason = reason_to_withhold(rel, &map);
	if (reason)
		return reason;

	bytes = nblocks * (PAGE_BYTES * (1 - map.mean_free) - MEAN_ROUNDING);
	gap = reserve + bytes / counted_rows(RelationGetRelid(rel)) / 2;
	pages = ceil(Max(bytes, 0) / Max(PAGE_BYTES - gap, PAGE_BYTES / 10));
	waste->wasted = (int64) (nblocks - Min(pages, nblocks)) * BLCKSZ;
	bloat->free_bytes += nblocks * PAGE_BYTES * map.mean_free;
	return NULL;
}

/*
 * Estimate by the maps what a rewrite of this table, which is open, would
 * free.  *reason says why there is no answer, or is NULL; there is no interval
 * in any case.  Memory for the maps is released before it returns.
 */
void
steward_quick_bloat_estimate(Relation rel, int *patience_ms,
							 StewardHeapBloat *bloat, const char **reason)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(old, "pg_steward quick bloat",
											   ALLOCSET_DEFAULT_SIZES);
	Oid			toast_id = rel->rd_rel->reltoastrelid;
	const char *withheld;

	memset(bloat, 0, sizeof(StewardHeapBloat));
	MemoryContextSwitchTo(work);
	withheld = examine_maps(rel, &bloat->heap, bloat);
	if (OidIsValid(toast_id))
	{
		Relation	toast_rel = steward_target_open(toast_id, patience_ms,
													&bloat->toast_reason);

		if (toast_rel)
		{
			bloat->toast_reason = examine_maps(toast_rel, &bloat->toast, bloat);
			steward_target_close(toast_rel);
		}
	}
	MemoryContextSwitchTo(old);
	*reason = withheld ? pstrdup(withheld) : NULL;
	if (bloat->toast_reason)
		bloat->toast_reason = pstrdup(bloat->toast_reason);
	MemoryContextDelete(work);
}
