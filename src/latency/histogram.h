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

#define NS_IN_US INT64CONST(1000)

#define STEWARD_HISTOGRAM_UNIT_NS	64	/* width of the first buckets */
#define STEWARD_HISTOGRAM_UNIT_BITS 6
#define STEWARD_HISTOGRAM_ROWS		33	/* octaves, 64 ns to 73 minutes */
#define STEWARD_HISTOGRAM_COLUMNS	16	/* buckets an octave */
#define STEWARD_HISTOGRAM_COLUMN_BITS 4
#define STEWARD_HISTOGRAM_END_NS	(INT64CONST(1) << 42)
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
 * Bucket of a duration that is in the range, 0 to STEWARD_HISTOGRAM_END_NS.
 * Above the first row, the leading bit gives the octave and the four bits
 * after it the column.
 */
static pg_attribute_always_inline uint32
steward_histogram_bucket_within(int64 duration_ns)
{
	uint64		units = (uint64) duration_ns >> STEWARD_HISTOGRAM_UNIT_BITS;
	uint32		shift = pg_leftmost_one_pos64(units | STEWARD_HISTOGRAM_COLUMNS) -
		STEWARD_HISTOGRAM_COLUMN_BITS;

	return shift * STEWARD_HISTOGRAM_COLUMNS + (uint32) (units >> shift);
}

/*
 * Bucket of any duration.  A negative one, which only a clock that was set back
 * can produce, counts as 0; what exceeds the range is in the last bucket.
 */
static inline uint32
steward_histogram_bucket(int64 duration_ns)
{
	if (duration_ns < 0)
		return 0;
	if (duration_ns >= STEWARD_HISTOGRAM_END_NS)
		return STEWARD_HISTOGRAM_BUCKETS - 1;
	return steward_histogram_bucket_within(duration_ns);
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
