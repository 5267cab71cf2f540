/*-------------------------------------------------------------------------
 *
 * histogram.h
 *	  Arithmetic of latency histograms.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_HISTOGRAM_H
#define STEWARD_HISTOGRAM_H

#include "port/pg_bitutils.h"

#define STEWARD_HISTOGRAM_UNIT_NS	64	/* width of the first buckets */
#define STEWARD_HISTOGRAM_UNIT_BITS 6
#define STEWARD_HISTOGRAM_ROWS		33	/* octaves, 64 ns to 73 minutes */
#define STEWARD_HISTOGRAM_COLUMNS	16	/* buckets an octave */
#define STEWARD_HISTOGRAM_BUCKETS \
	(STEWARD_HISTOGRAM_ROWS * STEWARD_HISTOGRAM_COLUMNS)

#define STEWARD_SPARKLINE_LENGTH	12

/* A histogram in local memory, to add up and to ask. */
typedef struct StewardHistogram
{
	uint64		total;			/* sum of the counts */
	uint64		counts[STEWARD_HISTOGRAM_BUCKETS];
} StewardHistogram;

/*
 * Bucket of a duration.  A negative one, which only a clock that was set back
 * can produce, counts as 0; what exceeds the range is in the last bucket.
 */
static pg_attribute_always_inline uint32
steward_histogram_bucket(int64 duration_ns)
{
	uint64		units = duration_ns > 0 ?
		(uint64) duration_ns >> STEWARD_HISTOGRAM_UNIT_BITS : 0;
	uint32		octave;

	if (units < STEWARD_HISTOGRAM_COLUMNS)
		return (uint32) units;
	octave = pg_leftmost_one_pos64(units) - 3;
	if (octave >= STEWARD_HISTOGRAM_ROWS)
		return STEWARD_HISTOGRAM_BUCKETS - 1;
	return octave * STEWARD_HISTOGRAM_COLUMNS +
		(uint32) ((units >> (octave - 1)) & (STEWARD_HISTOGRAM_COLUMNS - 1));
}

extern double steward_histogram_lower_ns(int bucket);
extern double steward_histogram_value_ns(int bucket);
extern void steward_histogram_add(StewardHistogram *histogram, int bucket,
								  uint64 count);
extern double steward_histogram_percentile_ms(const StewardHistogram *histogram,
											  double fraction);
extern double steward_histogram_sum_ms(const StewardHistogram *histogram);
extern double steward_histogram_share_above(const StewardHistogram *histogram,
											double threshold_ms);
extern char *steward_histogram_sparkline(const StewardHistogram *histogram);

#endif							/* STEWARD_HISTOGRAM_H */
