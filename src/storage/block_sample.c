/*-------------------------------------------------------------------------
 *
 * block_sample.c
 *	  Choice of blocks of a relation at random, and reading of them.
 *
 * Bloat is rarely spread evenly: old rows were deleted at the front, a load
 * that failed lies at the end.  So the relation is cut into as many strata of
 * equal length as blocks are to be read, and each stratum gives one block at
 * random (stratified sampling, Cochran, "Sampling Techniques", chapter 5).
 * What differs between regions then adds nothing to the error.
 *
 * A sample grows by halving its strata: the half in which the block of the
 * first stage lies keeps it - within that half it is as random as a new one -
 * and the other half gets a block of its own.  After every stage the sample
 * is therefore a stratified one of twice the size, and nothing was read in
 * vain.  A sample that would grow to more than half of the relation takes all
 * of it instead.
 *
 * Blocks are read in ascending order through a small ring of buffers
 * (BAS_BULKREAD), so that shared buffers keep what the workload put there,
 * with read-ahead by the server's read stream.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/block_sample.h"

/* A relation of so few blocks is read whole, whatever the user asked for. */
#define WHOLE_BLOCKS 100

/* Smallest first stage: below, an interval says nothing. */
#define MIN_INITIAL 16

/* Doublings from the first stage to the last. */
#define STAGES 5

/* Draws within a stratum until one gives a block not chosen before. */
#define MAX_DRAWS 20

/* What the callback of the read stream needs to know. */
typedef struct BlockQueue
{
	const BlockNumber *blocks;	/* NULL: all from 0 */
	int64		count;
	int64		next;
} BlockQueue;

/*
 * Prepare a sample of a relation of this many blocks, which the caller shall
 * hold a lock on.  sample_blocks is the average that the user asked for, from
 * 1; the first stage takes a third of it, later ones up to
 * STEWARD_SAMPLE_GROWTH times.  The sample never exceeds "budget" blocks.
 */
void
steward_sample_init(StewardBlockSample *sample, BlockNumber nblocks,
					int sample_blocks, int64 budget)
{
	int64		maximum = (int64) sample_blocks * STEWARD_SAMPLE_GROWTH;
	int64		initial;

	memset(sample, 0, sizeof(StewardBlockSample));
	sample->nblocks = nblocks;

	maximum = Max(maximum, WHOLE_BLOCKS);
	maximum = Min(maximum, budget);
	maximum = Max(maximum, MIN_INITIAL);
	maximum = Min(maximum, nblocks);
	sample->maximum = (int) Min(maximum, INT_MAX / 4);

	initial = ((int64) sample_blocks * STEWARD_SAMPLE_GROWTH) >> STAGES;
	initial = Max(initial, MIN_INITIAL);
	sample->initial = (int) Min(initial, sample->maximum);

	sample->chosen = palloc_array(BlockNumber, sample->maximum + 1);
	sample->positions = palloc_array(double, sample->maximum + 1);
	sample->batch = palloc_array(BlockNumber, sample->maximum + 1);
	pg_prng_seed(&sample->random, pg_prng_uint64(&pg_global_prng_state));
}

/* Take every block that was not chosen before. */
static void
choose_rest(StewardBlockSample *sample)
{
	int			known = 0;

	sample->nbatch = 0;
	for (BlockNumber block = 0; block < sample->nblocks; block++)
	{
		if (known < sample->nchosen && sample->chosen[known] == block)
			known++;
		else
			sample->batch[sample->nbatch++] = block;
	}
	for (BlockNumber block = 0; block < sample->nblocks; block++)
		sample->chosen[block] = block;
	sample->nchosen = sample->nblocks;
	sample->complete = true;
}

/*
 * Draw a block from the stratum, other than its neighbours in the sample.
 */
static double
draw_position(StewardBlockSample *sample, int stratum, int nstrata,
			  BlockNumber before, BlockNumber after)
{
	double		position = 0;

	for (int i = 0; i < MAX_DRAWS; i++)
	{
		BlockNumber block;

		position = (stratum + pg_prng_double(&sample->random)) / nstrata;
		block = (BlockNumber) (position * sample->nblocks);
		if (block != before && block != after)
			return position;
	}
	return -1;
}

/*
 * Choose the blocks of the next stage: sample->batch.  Returns false, with an
 * empty batch, when the sample is complete or would exceed its maximum.
 */
bool
steward_sample_stage(StewardBlockSample *sample)
{
	int			nstrata = sample->initial;
	double	   *old;
	int			nold = sample->nchosen;
	int			used = 0;

	sample->nbatch = 0;
	if (sample->complete)
		return false;
	if (nold > 0)
	{
		/* Positions that found no block leave a stratum empty: count strata. */
		nstrata = sample->initial;
		while (nstrata < nold)
			nstrata *= 2;
		nstrata *= 2;
	}
	if (sample->maximum >= sample->nblocks &&
		(sample->nblocks <= WHOLE_BLOCKS || nstrata > sample->nblocks / 2))
	{
		choose_rest(sample);
		return sample->nbatch > 0;
	}
	/* The last stage may be short of a few per cent by rounding. */
	if (nold > 0 && nstrata > sample->maximum)
		return false;

	old = palloc_array(double, nold + 1);
	memcpy(old, sample->positions, nold * sizeof(double));
	sample->nchosen = 0;
	for (int i = 0; i < nstrata; i++)
	{
		BlockNumber before = InvalidBlockNumber;
		BlockNumber after = InvalidBlockNumber;
		double		position;
		bool		fresh = true;

		if (sample->nchosen > 0)
			before = sample->chosen[sample->nchosen - 1];
		if (used < nold)
			after = (BlockNumber) (old[used] * sample->nblocks);

		if (used < nold && old[used] < (double) (i + 1) / nstrata)
		{
			position = old[used++];
			fresh = false;
		}
		else
			position = draw_position(sample, i, nstrata, before, after);
		if (position < 0)
			continue;

		sample->positions[sample->nchosen] = position;
		sample->chosen[sample->nchosen] =
			(BlockNumber) (position * sample->nblocks);
		if (fresh)
			sample->batch[sample->nbatch++] = sample->chosen[sample->nchosen];
		sample->nchosen++;
	}
	pfree(old);
	return sample->nbatch > 0;
}

/* The next block for the read stream.  Takes no lock, as batching requires. */
static BlockNumber
next_block(ReadStream *stream, void *private_data, void *per_buffer_data)
{
	BlockQueue *queue = private_data;
	int64		next = queue->next;

	if (next >= queue->count)
		return InvalidBlockNumber;
	queue->next++;
	return queue->blocks ? queue->blocks[next] : (BlockNumber) next;
}

/*
 * Read blocks of a fork and show each to the visitor, under a share lock on
 * its buffer.  "blocks" must ascend; NULL stands for the first "count" blocks
 * of the fork.  Returns the number of blocks visited.
 *
 * The caller holds at least AccessShareLock on the relation, so that it cannot
 * be truncated.  A damaged page or a missing file raises the server's error.
 */
int64
steward_blocks_read(Relation rel, ForkNumber fork, const BlockNumber *blocks,
					int64 count, StewardBlockVisitor visit, void *arg)
{
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	BlockQueue	queue = {blocks, count, 0};
	ReadStream *stream;
	Buffer		buffer;
	int64		visited = 0;
	bool		more = true;

	stream = read_stream_begin_relation(READ_STREAM_MAINTENANCE |
										(blocks ? 0 : READ_STREAM_SEQUENTIAL) |
										READ_STREAM_USE_BATCHING,
										strategy, rel, fork, next_block,
										&queue, 0);
	while (more &&
		   (buffer = read_stream_next_buffer(stream, NULL)) != InvalidBuffer)
	{
		CHECK_FOR_INTERRUPTS();

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		more = visit(rel, buffer, BufferGetBlockNumber(buffer), arg);
		UnlockReleaseBuffer(buffer);
		visited++;
	}
	read_stream_end(stream);
	FreeAccessStrategy(strategy);
	return visited;
}
