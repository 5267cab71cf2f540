/*-------------------------------------------------------------------------
 *
 * block_sample.h
 *	  Choice of blocks of a relation at random, and reading of them.
 *
 * How an estimator uses it (heap_bloat.c does; an index's does the same):
 *
 *		steward_sample_init(&sample, nblocks, sample_blocks);
 *		do
 *		{
 *			steward_sample_stage(&sample);		(false: nothing left to add)
 *			steward_blocks_read(rel, MAIN_FORKNUM, sample.batch,
 *								sample.nbatch, visit, &state);
 *			... keep one observation a visited block, sort them by block ...
 *			steward_estimate_mean(...);			(see estimate.h)
 *		} while (!steward_estimate_settled(...));
 *
 * All memory is allocated in the current memory context.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_BLOCK_SAMPLE_H
#define STEWARD_BLOCK_SAMPLE_H

#include "common/pg_prng.h"
#include "storage/block.h"
#include "storage/buf.h"
#include "utils/relcache.h"

/*
 * A sample may grow to this many times the blocks that the user asked for: on
 * average a relation needs fewer than those.
 */
#define STEWARD_SAMPLE_GROWTH	10

typedef struct StewardBlockSample
{
	BlockNumber nblocks;		/* blocks 0 to nblocks - 1 are sampled from */
	int			initial;		/* blocks of the first stage */
	int			maximum;		/* most blocks of all stages together */
	int			nchosen;		/* blocks chosen so far */
	BlockNumber *chosen;		/* all of them, ascending, distinct */
	double	   *positions;		/* where they were drawn, 0 to 1, ascending */
	int			nbatch;			/* blocks that the latest stage added */
	BlockNumber *batch;			/* those, ascending */
	bool		complete;		/* every block is chosen: nothing is estimated */
	pg_prng_state random;
} StewardBlockSample;

/*
 * Called for each block, with its buffer pinned and share-locked.  Must not
 * release either.  Returns false to end the reading.
 */
typedef bool (*StewardBlockVisitor) (Relation rel, Buffer buffer,
									 BlockNumber block, void *arg);

extern void steward_sample_init(StewardBlockSample *sample,
								BlockNumber nblocks, int sample_blocks,
								int64 budget);
extern bool steward_sample_stage(StewardBlockSample *sample);

extern int64 steward_blocks_read(Relation rel, ForkNumber fork,
								 const BlockNumber *blocks, int64 count,
								 StewardBlockVisitor visit, void *arg);

#endif							/* STEWARD_BLOCK_SAMPLE_H */
