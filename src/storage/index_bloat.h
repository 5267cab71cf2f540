/*-------------------------------------------------------------------------
 *
 * index_bloat.h
 *	  What REINDEX would free, for every access method of the server.
 *
 * An estimator of an access method gets a StewardIndexTask and fills in a
 * StewardIndexBloat.  It runs inside steward_target_guarded(): what it raises
 * becomes the reason why the index's row has no numbers.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_INDEX_BLOAT_H
#define STEWARD_INDEX_BLOAT_H

#include "storage/block.h"
#include "storage/bufpage.h"
#include "utils/relcache.h"

#include "storage/block_sample.h"
#include "storage/index_heap.h"

/* What to estimate, and how. */
typedef struct StewardIndexTask
{
	Relation	index;
	StewardIndexHeap *heap;		/* NULL if it cannot be looked at */
	BlockNumber nblocks;		/* of the index */
	int			sample_blocks;	/* as the argument of get_index_bloat() */
	int64		budget;			/* most blocks of the index to read */
	bool		exact;			/* read all blocks */
	bool		every_row;		/* one entry for each row: no predicate */
} StewardIndexTask;

/* The index after REINDEX.  Sizes in pages, with the interval of 95 %. */
typedef struct StewardIndexBloat
{
	double		pages;
	double		pages_low;
	double		pages_high;
	double		deleted_pages;	/* without content, now */
	double		dead_bytes;		/* entries for rows that are gone, now */
	double		held_bytes;		/* entries for deleted rows that an old
								 * snapshot may still see, now */
	int64		blocks_read;	/* of the index, with its free space map */
	bool		model;			/* by a model of the build, not by its rules */
	bool		exact;			/* every block was read */
	const char *method;			/* for the report; not set by estimators */
	const char *reason;			/* why there are no numbers, or NULL */
} StewardIndexBloat;

/*
 * Pages of an index that hold or may hold something: all but the first ones,
 * which are special, and those that the free space map calls free.
 */
typedef struct StewardIndexPages
{
	BlockNumber npages;
	BlockNumber nfree;			/* left out: free by the map */
	BlockNumber *blocks;		/* ascending; NULL: all from "first" on */
	BlockNumber first;
	int64		map_blocks;		/* of the map, read for this */
} StewardIndexPages;

/* index_pages.c */
extern void steward_index_pages(Relation index, BlockNumber first,
								BlockNumber nblocks, StewardIndexPages *pages);
extern BlockNumber steward_index_page_block(const StewardIndexPages *pages,
											BlockNumber rank);
extern int64 steward_index_pages_read(Relation index,
									  const StewardIndexPages *pages,
									  const BlockNumber *ranks, int64 count,
									  StewardBlockVisitor visit, void *arg);
extern const char *steward_index_damaged(Relation index, BlockNumber block);

/* btree_bloat.c and others, one for each access method */
extern void steward_btree_bloat(const StewardIndexTask *task,
								StewardIndexBloat *result);
extern void steward_hash_bloat(const StewardIndexTask *task,
							   StewardIndexBloat *result);
extern void steward_gist_bloat(const StewardIndexTask *task,
							   StewardIndexBloat *result);
extern void steward_gin_bloat(const StewardIndexTask *task,
							  StewardIndexBloat *result);
extern void steward_spgist_bloat(const StewardIndexTask *task,
								 StewardIndexBloat *result);
extern void steward_brin_bloat(const StewardIndexTask *task,
							   StewardIndexBloat *result);

/* index_quick.c */
extern void steward_quick_index_bloat(const StewardIndexTask *task,
									  StewardIndexBloat *result);

#endif							/* STEWARD_INDEX_BLOAT_H */
