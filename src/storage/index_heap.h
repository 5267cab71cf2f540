/*-------------------------------------------------------------------------
 *
 * index_heap.h
 *	  Which entries of an index the heap still needs.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_INDEX_HEAP_H
#define STEWARD_INDEX_HEAP_H

#include "access/htup_details.h"
#include "access/transam.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

#include "storage/free_map.h"

/* Root line pointers of one heap page that a new index would refer to. */
typedef struct StewardRoots
{
	BlockNumber block;
	int			nrows;			/* rows that a new index would have entries for */
	int			nheld;			/* of those, deleted but visible to somebody */
	int			ngone;			/* rows that are gone, but not from indexes */
	uint8		bits[MaxHeapTuplesPerPage / 8 + 1];
} StewardRoots;

/* What is known about the heap.  Shared by the indexes of a table. */
typedef struct StewardIndexHeap
{
	Relation	heap;
	MemoryContext context;		/* of what is kept */
	BlockNumber nblocks;
	TransactionId horizon;
	StewardFreeMap map;
	int64		blocks_read;	/* of the heap and its maps, in all */

	bool		counted;		/* the numbers below are set */
	bool		complete;		/* they were counted, not estimated */
	double		rows;			/* that a new index would have entries for */
	double		rows_low;		/* 95 % interval */
	double		rows_high;
	double		held;			/* of rows, deleted but visible to somebody */
	double		alive_share;	/* of the rows that indexes know, and half
								 * width of its interval of 95 % */
	double		alive_error;

	int			nroots;			/* pages that were looked at, ascending */
	StewardRoots *roots;
	uint8	   *looked_at;		/* a bit for each block, NULL: none */
} StewardIndexHeap;

/* Fate of an entry. */
typedef enum StewardEntryState
{
	STEWARD_ENTRY_LIVE,
	STEWARD_ENTRY_DEAD,
	STEWARD_ENTRY_UNKNOWN
} StewardEntryState;

extern void steward_index_heap_init(StewardIndexHeap *heap, Relation rel);
extern void steward_index_heap_count(StewardIndexHeap *heap,
									 int sample_blocks, int64 budget);
extern void steward_index_heap_probe(StewardIndexHeap *heap,
									 const BlockNumber *blocks, int nblocks);
extern bool steward_index_heap_look_at_all(StewardIndexHeap *heap);
extern bool steward_index_heap_visible(const StewardIndexHeap *heap,
									   BlockNumber block);
extern StewardEntryState steward_index_heap_entry(const StewardIndexHeap *heap,
												  ItemPointer tid);

#endif							/* STEWARD_INDEX_HEAP_H */
