/*-------------------------------------------------------------------------
 *
 * heap_scan.h
 *	  Counting what is on the pages of a heap or TOAST table.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_HEAP_SCAN_H
#define STEWARD_HEAP_SCAN_H

#include "access/transam.h"
#include "storage/buf.h"
#include "storage/block.h"
#include "utils/relcache.h"

#include "storage/rewrite_model.h"

/* What the rewrite makes of one page. */
typedef struct StewardHeapPage
{
	BlockNumber block;
	double		bytes;			/* of rows kept, as stored again */
	double		closings;		/* pages of the new file closed meanwhile */
	double		leftover;		/* bytes left unused on those */
	double		lost;			/* bytes in TOAST of values that leave it */
} StewardHeapPage;

/* Sums over the pages seen. */
typedef struct StewardHeapCounts
{
	int64		pages;
	int64		visible;		/* of them, marked all-visible */
	double		bytes;			/* of rows kept, as stored again */
	double		lost;			/* bytes in TOAST of values that leave it */
	double		live;			/* rows */
	double		recently_dead;
	double		heap_only;		/* of those kept, without an index entry */
	double		dead;			/* with line pointers of removed ones */
	double		dead_bytes;
	double		held_bytes;		/* recently dead */
	double		free_bytes;
} StewardHeapCounts;

/* A scan in progress. */
typedef struct StewardHeapScan
{
	TransactionId horizon;
	bool		is_toast;
	bool		report_progress;
	int64		total_blocks;	/* of a scan of everything, else 0 */
	bool		interrupted;	/* ended because others wait for the lock */
	StewardReform reform;
	StewardPacking packing;
	StewardPacking values;		/* new TOAST table, as far as rows seen say */
	StewardHeapCounts counts;
	StewardHeapPage *pages;		/* each page seen, or NULL: sums only */
	const bool *leading;		/* of each page to come: it only leads in, see
								 * heap_bloat.c; NULL: none does */
	int64		visited;
	BlockNumber last_block;
} StewardHeapScan;

extern void steward_heap_scan_init(StewardHeapScan *scan, Relation rel);
extern bool steward_heap_scan_page(Relation rel, Buffer buffer,
								   BlockNumber block, void *arg);

#endif							/* STEWARD_HEAP_SCAN_H */
