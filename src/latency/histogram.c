/*-------------------------------------------------------------------------
 *
 * histogram.c
 *	  Arithmetic of latency histograms.
 *
 * Buckets are log-linear.  A duration is counted in units of 64 ns.  The
 * first row has 16 buckets of one unit; each further row is an octave, from
 * 16 * 2^(r-1) to 32 * 2^(r-1) units, cut into 16 buckets of equal width.
 * 33 rows reach 2^42 ns, 73 minutes; the last bucket takes what is longer.
 *
 * The error bound.  A bucket of row 1 or above is [lo, hi) with lo = (16 + c)w
 * and hi = (17 + c)w for a column c of 0..15 and some width w.  Every duration
 * x in it is reported as the harmonic mean v = 2 lo hi / (lo + hi).  v/x falls
 * as x grows, so |v - x|/x is largest at an end of the bucket:
 *
 *	at x = lo:	2 hi / (lo + hi) - 1 = (hi - lo) / (hi + lo)
 *	at x = hi:	1 - 2 lo / (lo + hi) = (hi - lo) / (hi + lo)
 *
 * and (hi - lo) / (hi + lo) = 1 / (33 + 2c) <= 1/33 = 3.03 %.  A percentile is
 * the smallest duration that at least this share of the executions did not
 * exceed (nearest rank, as percentile_disc()), which is one of the durations,
 * and counting buckets from below finds exactly its bucket; so 3.03 % is the
 * bound of every percentile between 1.02 us, where row 1 starts, and 73
 * minutes, whatever the distribution.  Below, the error is less than 64 ns.
 *
 * Counts add and subtract without loss: histograms of several queries add up
 * to that of all, and an older state subtracted from a newer one leaves what
 * happened in between.
 *
 * Nothing here touches shared memory; there is no state.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"

#include "latency/histogram.h"

#define NS_IN_MS 1000000.0

/*
 * Lower end of a bucket in ns, inclusive; also the upper end, exclusive, of
 * the bucket before it.
 */
double
steward_histogram_lower_ns(int bucket)
{
	int			row = bucket / STEWARD_HISTOGRAM_COLUMNS;
	int			column = bucket % STEWARD_HISTOGRAM_COLUMNS;

	if (row == 0)
		return (double) column * STEWARD_HISTOGRAM_UNIT_NS;
	return ldexp(STEWARD_HISTOGRAM_COLUMNS + column, row - 1) *
		STEWARD_HISTOGRAM_UNIT_NS;
}

/*
 * The duration in ns that stands for all in a bucket.
 */
double
steward_histogram_value_ns(int bucket)
{
	double		lower = steward_histogram_lower_ns(bucket);
	double		upper = steward_histogram_lower_ns(bucket + 1);

	if (bucket < STEWARD_HISTOGRAM_COLUMNS)
		return (lower + upper) / 2;
	return 2 * lower * upper / (lower + upper);
}

/*
 * Count executions.
 */
void
steward_histogram_add(StewardHistogram *histogram, int bucket, uint64 count)
{
	histogram->counts[bucket] += count;
	histogram->total += count;
}

/*
 * A percentile in ms; the fraction is between 0 and 1.  NaN if nothing was
 * counted.
 */
double
steward_histogram_percentile_ms(const StewardHistogram *histogram,
								double fraction)
{
	double		rank = ceil(fraction * (double) histogram->total);
	uint64		seen = 0;
	int			last = 0;

	if (histogram->total == 0)
		return NAN;
	for (int i = 0; i < STEWARD_HISTOGRAM_BUCKETS; i++)
	{
		if (histogram->counts[i] == 0)
			continue;
		seen += histogram->counts[i];
		last = i;
		if ((double) seen >= rank)
			break;
	}
	return steward_histogram_value_ns(last) / NS_IN_MS;
}

/*
 * Sum of all durations in ms, within the error bound of a percentile and
 * usually much closer, because errors of both signs cancel out.
 */
double
steward_histogram_sum_ms(const StewardHistogram *histogram)
{
	double		sum = 0;

	for (int i = 0; i < STEWARD_HISTOGRAM_BUCKETS; i++)
	{
		if (histogram->counts[i] > 0)
			sum += (double) histogram->counts[i] * steward_histogram_value_ns(i);
	}
	return sum / NS_IN_MS;
}

/*
 * Share of the executions, 0 to 1, that took longer than a threshold; NaN if
 * nothing was counted.
 */
double
steward_histogram_share_above(const StewardHistogram *histogram,
							  double threshold_ms)
{
	uint64		above = 0;

	if (histogram->total == 0)
		return NAN;
	for (int i = 0; i < STEWARD_HISTOGRAM_BUCKETS; i++)
	{
		if (histogram->counts[i] > 0 &&
			steward_histogram_value_ns(i) > threshold_ms * NS_IN_MS)
			above += histogram->counts[i];
	}
	return (double) above / (double) histogram->total;
}

/*
 * Picture of a histogram in twelve characters, two for each power of ten: the
 * first is below 0.03 ms, then up to 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000
 * and 3000 ms, the last is above.  The scale is always the same, so that rows
 * of a report can be compared.  Heights are relative to the highest.  Block
 * characters need a database in UTF-8, others get ASCII.  Returns a palloc'd
 * string in the encoding of the database.
 */
char *
steward_histogram_sparkline(const StewardHistogram *histogram)
{
	static const double ends_ms[STEWARD_SPARKLINE_LENGTH - 1] =
	{0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000};
	static const char *const blocks[] =
	{"\xc2\xb7", "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
	"\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88"};
	static const char *const ascii[] =
	{".", "_", "-", "~", "=", "+", "*", "%", "#"};
	const char *const *levels =
		GetDatabaseEncoding() == PG_UTF8 ? blocks : ascii;
	int			nlevels = lengthof(blocks) - 1;
	uint64		columns[STEWARD_SPARKLINE_LENGTH] = {0};
	uint64		highest = 0;
	Size		size = STEWARD_SPARKLINE_LENGTH * 3 + 1;
	char	   *result = palloc(size);
	int			column = 0;

	for (int i = 0; i < STEWARD_HISTOGRAM_BUCKETS; i++)
	{
		if (histogram->counts[i] == 0)
			continue;
		while (column < lengthof(ends_ms) &&
			   steward_histogram_value_ns(i) >= ends_ms[column] * NS_IN_MS)
			column++;
		columns[column] += histogram->counts[i];
		highest = Max(highest, columns[column]);
	}

	result[0] = '\0';
	for (int i = 0; i < STEWARD_SPARKLINE_LENGTH; i++)
	{
		int			level = 0;

		if (columns[i] > 0)
			level = (int) ceil((double) columns[i] * nlevels / (double) highest);
		strlcat(result, levels[level], size);
	}
	return result;
}
