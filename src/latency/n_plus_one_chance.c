/*-------------------------------------------------------------------------
 *
 * n_plus_one_chance.c
 *	  How much groups of repeated statements vary, and how much they would by
 *	  chance.
 *
 * Everything is computed from the sums and buckets of a pair, in doubles.
 * Variation is the squared coefficient of variation: variance divided by the
 * square of the mean.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "base/guc.h"
#include "latency/n_plus_one_rule.h"

#define MIN_LISTS_DEVIATION2 0.01	/* of rows of the parent */
#define MIN_ELASTICITY 0.25
#define MAX_ACCIDENT_RATE 0.95	/* what chance is measured at, at most */
#define MIN_ACCIDENT_SHARE 0.01 /* of the deviation that chance has */
#define MAX_ACCIDENT_SHARE 0.3

/*
 * Squared coefficient of variation of executions / rows of the parent.
 */
double
steward_repeat_deviation2(const StewardRepeat *repeat)
{
	double		mean = repeat->ratio_sum / repeat->groups;

	return mean > 0 ?
		Max(0, repeat->ratio_sum2 / repeat->groups / (mean * mean) - 1) : 0;
}

/*
 * Squared coefficient of variation of the rows of the parent.
 */
static double
lists_deviation2(const StewardRepeat *repeat)
{
	double		mean = repeat->parent_rows_sum / repeat->groups;

	return mean > 0 ?
		Max(0, repeat->parent_rows_sum2 / repeat->groups / (mean * mean) - 1) : 0;
}

/*
 * Squared coefficient of variation of the executions in a group, as exact as
 * the buckets are.
 */
double
steward_repeat_executions2(const StewardRepeat *repeat)
{
	double		count = 0;
	double		sum = 0;
	double		sum2 = 0;

	for (int i = 0; i < STEWARD_REPEAT_BUCKETS; i++)
	{
		double		executions;

		if (repeat->buckets[i] == 0)
			continue;
		executions = steward_repeat_bucket_middle(i);
		count += repeat->buckets[i];
		sum += repeat->buckets[i] * executions;
		sum2 += repeat->buckets[i] * executions * executions;
	}
	return sum > 0 ? Max(0, count * sum2 / (sum * sum) - 1) : 0;
}

/*
 * Does the parent return more rows at some times than at others?
 */
bool
steward_repeat_lists_vary(const StewardRepeat *repeat)
{
	return lists_deviation2(repeat) >= MIN_LISTS_DEVIATION2;
}

/*
 * Do groups grow with the rows of the parent?  What has nothing to do with it
 * is repeated as often after few rows as after many.
 *
 * If executions e are rows r to the power of beta, times noise, then
 *		Var(log(e / r)) = Var(log e) + (1 - 2 beta) Var(log r),
 * and the squared coefficients of variation are about these variances.
 * beta is 1 for a loop over the rows, whatever share of them it takes, and
 * less for a client that remembers what it has read: the more rows, the more
 * of them it knows.  It is false only if beta, with its standard error, is
 * below MIN_ELASTICITY.  True if the parent has the same number of rows each
 * time, when nothing can be known.
 */
bool
steward_repeat_grows(const StewardRepeat *repeat)
{
	double		lists = lists_deviation2(repeat);
	double		executions = steward_repeat_executions2(repeat);
	double		beta;
	double		error;

	if (lists < MIN_LISTS_DEVIATION2)
		return true;
	beta = (executions + lists - steward_repeat_deviation2(repeat)) / (2 * lists);
	error = sqrt(executions / (lists * repeat->groups));
	return beta + error >= MIN_ELASTICITY;
}

/*
 * Squared coefficient of variation that groups have by chance.  Statements
 * that have nothing to do with the parent come between its executions in
 * geometrically distributed numbers, of mean m; the share q^t, q = m / (m + 1),
 * of them reaches the threshold t.  This is the trigger rate, and tells m.
 * Those that reach it have a mean of t + m and a variance of m (m + 1).
 */
static double
accident_deviation2(double rate)
{
	double		threshold = steward_nplusone_threshold;
	double		q = pow(Min(rate, MAX_ACCIDENT_RATE), 1 / threshold);
	double		mean = q / (1 - q);

	return mean * (mean + 1) / ((threshold + mean) * (threshold + mean));
}

/*
 * Share of the deviation that chance has, that a number of groups may have.
 * The fewer there are, the more often chance looks steady: (n - 3) / (n + 25)
 * is what one of 50 samples of n such groups stays below, by simulation with
 * n from 3 to 30 and trigger rates from 0.4 to 0.95.  Never more than
 * MAX_ACCIDENT_SHARE: what comes independently may come more evenly, as where
 * a pooler deals it out to its connections.
 */
static double
steady_share(uint32 groups)
{
	return Min(MAX_ACCIDENT_SHARE,
			   Max(MIN_ACCIDENT_SHARE, (groups - 3.0) / (groups + 25.0)));
}

/*
 * The most that the squared coefficient of variation of groups can be, if
 * they are not to be by chance; from the trigger rate and their number.
 */
double
steward_repeat_accident2(double rate, uint32 groups)
{
	return steady_share(groups) * accident_deviation2(rate);
}
