/*-------------------------------------------------------------------------
 *
 * index_sample.h
 *	  Sample of an index's pages, for access methods other than btree.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_INDEX_SAMPLE_H
#define STEWARD_INDEX_SAMPLE_H

#include "access/itup.h"
#include "common/pg_prng.h"

#include "storage/index_bloat.h"

#define STEWARD_INDEX_VALUES 7
#define STEWARD_INDEX_TIDS 4000

/* What an access method makes of one page. */
typedef struct StewardPageValues
{
	BlockNumber block;
	bool		empty;			/* deleted, unused or without entries */
	double		used;			/* bytes of it that are in use */
	double		value[STEWARD_INDEX_VALUES];	/* as it likes */
} StewardPageValues;

typedef struct StewardIndexSample StewardIndexSample;

/*
 * Reads a copy of a page, whose header was checked, and whose special space
 * has the size that the access method gave.  Returns false if the page is
 * damaged.
 */
typedef bool (*StewardPageReader) (StewardIndexSample *sample, Page page,
								   StewardPageValues *values);

struct StewardIndexSample
{
	const StewardIndexTask *task;
	StewardPageReader reader;
	Size		special;		/* bytes of the special space */
	void	   *state;			/* of the access method */

	StewardIndexPages pages;
	int64		npages;			/* read */
	int64		maxpages;
	StewardPageValues *values;
	bool		complete;		/* all were read */
	BlockNumber damaged;		/* InvalidBlockNumber: none */

	double		nkilled;		/* entries marked dead */
	double		ntids;			/* entries offered */
	ItemPointerData tids[STEWARD_INDEX_TIDS];	/* random ones of them */
	Page		page;			/* copy of the current page */
	pg_prng_state random;
};

extern void steward_index_sample_read(StewardIndexSample *sample,
									  BlockNumber first,
									  StewardIndexBloat *result);
extern void steward_index_sample_entry(StewardIndexSample *sample,
									   ItemPointer tid);
extern double steward_index_sample_alive(StewardIndexSample *sample,
										 double *error);
extern double steward_index_sample_mean(StewardIndexSample *sample, int value,
										double *error);
extern void steward_index_sample_describe(StewardIndexSample *sample,
										  double alive,
										  StewardIndexBloat *result);
extern IndexTuple steward_index_sample_tuple(Page page, OffsetNumber offset);

#endif							/* STEWARD_INDEX_SAMPLE_H */
