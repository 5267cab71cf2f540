/*-------------------------------------------------------------------------
 *
 * estimate.c
 *	  From observations of some blocks to a mean over all, with an interval.
 *
 * Pure arithmetic, no server state.
 *
 * The mean is a regression estimate (Cochran, "Sampling Techniques", 3rd ed.,
 * chapter 7): what the maps say about all blocks - their control variates -
 * corrects the mean of those looked at, by slopes that are fitted to the
 * sample.  A map that lies makes the interval wider, never the mean wrong.
 * Where the sample has nothing to fit a slope to, the prior slope holds.
 *
 * The sample is stratified with one block a stratum, whose variance is
 * estimated from the differences of neighbours (Cochran, section 5A.12;
 * Wolter, "Introduction to Variance Estimation", chapter 8):
 *
 *		s^2 = sum (e[i+1] - e[i])^2 / (2 (n - 1))
 *
 * of the residuals e, which is the usual one when order tells nothing, and
 * errs to the safe side when it does.  The quantile is Student's, and the
 * correction for a finite population applies.
 *
 * Pages of a kind that the sample did not meet are bounded as in Wilson's
 * score interval: z^2 / n pages may hide in n of which none was found, and an
 * interval from few is widened by half of that before the variance is added.
 * An unseen page may be empty, or full.  Pages for which a map vouches hide
 * nothing.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "storage/estimate.h"

/* Quantile of the normal distribution for a two-sided interval of 95 %. */
#define NORMAL_QUANTILE 1.959964

/* Sampling goes on until the interval is narrower than this, in pages a page. */
#define TARGET_SPREAD 0.012
#define TARGET_UNSEEN 0.021

/*
 * Sampling ends when the sample looks quiet, which a small one may do by
 * chance: intervals are widened by this, divided by the root of its size.
 */
#define STOPPING_MARGIN 2.0

/* A control variate that varies less than this in the sample is left out. */
#define MIN_VARIANCE 1e-9

/*
 * The 97.5 % quantile of Student's distribution (expansion of Cornish and
 * Fisher; Abramowitz and Stegun 26.7.5).  Good to 1 % from 3 degrees on.
 */
double
steward_student_quantile(double freedom)
{
	double		z = NORMAL_QUANTILE;
	double		v = Max(freedom, 2.0);

	return z + (pow(z, 3) + z) / (4 * v) +
		(5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * v * v) +
		(3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) /
		(384 * v * v * v);
}

/*
 * Solve a * slope = b for a symmetric positive semidefinite matrix, by Gauss'
 * elimination.  A row whose pivot vanishes - a variate that is constant, or
 * the sum of others - gets slope 0.  Returns the number of slopes fitted.
 */
static int
solve_normal_equations(int n, double a[][STEWARD_MAX_CONTROLS],
					   double *b, double *slope)
{
	double		scale[STEWARD_MAX_CONTROLS];
	bool		used[STEWARD_MAX_CONTROLS] = {false};
	int			fitted = 0;

	for (int i = 0; i < n; i++)
		scale[i] = a[i][i];
	for (;;)
	{
		int			pivot = -1;
		double		best = 1e-6;

		for (int i = 0; i < n; i++)
			if (!used[i] && scale[i] > MIN_VARIANCE &&
				a[i][i] / scale[i] > best)
			{
				pivot = i;
				best = a[i][i] / scale[i];
			}
		if (pivot < 0)
			break;
		used[pivot] = true;
		fitted++;
		for (int i = 0; i < n; i++)
		{
			double		factor;

			if (i == pivot)
				continue;
			factor = a[i][pivot] / a[pivot][pivot];
			for (int j = 0; j < n; j++)
				a[i][j] -= factor * a[pivot][j];
			b[i] -= factor * b[pivot];
		}
	}
	for (int i = 0; i < n; i++)
		slope[i] = used[i] ? b[i] / a[i][i] : 0;
	return fitted;
}

/*
 * Fit slopes of value - prior * control on the controls.  sample_mean[] gets
 * the means of the controls in the sample.  Returns the number fitted.
 */
static int
fit_slopes(const StewardObservation *observations, int n,
		   const StewardControls *controls, double *sample_mean,
		   double *slope)
{
	double		a[STEWARD_MAX_CONTROLS][STEWARD_MAX_CONTROLS] = {{0}};
	double		b[STEWARD_MAX_CONTROLS] = {0};
	double		value_mean = 0;
	int			fitted;

	for (int j = 0; j < controls->n; j++)
		sample_mean[j] = 0;
	for (int i = 0; i < n; i++)
	{
		value_mean += observations[i].value / n;
		for (int j = 0; j < controls->n; j++)
			sample_mean[j] += observations[i].control[j] / n;
	}
	for (int i = 0; i < n; i++)
	{
		double		value = observations[i].value - value_mean;
		double		x[STEWARD_MAX_CONTROLS];

		for (int j = 0; j < controls->n; j++)
		{
			x[j] = observations[i].control[j] - sample_mean[j];
			value -= controls->prior[j] * x[j];
		}
		for (int j = 0; j < controls->n; j++)
		{
			b[j] += x[j] * value / n;
			for (int k = 0; k < controls->n; k++)
				a[j][k] += x[j] * x[k] / n;
		}
	}
	fitted = solve_normal_equations(controls->n, a, b, slope);
	for (int j = 0; j < controls->n; j++)
		slope[j] += controls->prior[j];
	return fitted;
}

static int
compare_observations(const void *left, const void *right)
{
	BlockNumber a = ((const StewardObservation *) left)->block;
	BlockNumber b = ((const StewardObservation *) right)->block;

	return (a > b) - (a < b);
}

/* What is left of a value when its controls are accounted for. */
static double
residual(const StewardObservation *observation,
		 const StewardControls *controls, const double *slope)
{
	double		value = observation->value;

	for (int j = 0; j < controls->n; j++)
		value -= slope[j] * observation->control[j];
	return value;
}

/*
 * Variance of the estimated mean, from the differences of neighbours.
 */
static double
variance_of_mean(const StewardObservation *observations, int n,
				 const StewardControls *controls, const double *slope,
				 int fitted)
{
	double		sum = 0;
	double		last = 0;

	for (int i = 0; i < n; i++)
	{
		double		rest = residual(&observations[i], controls, slope);

		if (i > 0)
			sum += (rest - last) * (rest - last);
		last = rest;
	}
	return sum / (2.0 * Max(n - 1 - fitted, 1)) / n;
}

/*
 * Estimate the mean over the population from n observations, which are sorted
 * by block.  If all blocks were observed, it is their mean.  scale_error is the
 * relative standard error of a factor that all values have in common, 0 if
 * there is none.  The interval is never narrower than "floor" to either side,
 * for what the model of a page leaves out.
 */
void
steward_estimate_mean(StewardObservation *observations, int n,
					  BlockNumber population,
					  const StewardControls *controls, double scale_error,
					  double floor, StewardEstimate *estimate)
{
	double		sample_mean[STEWARD_MAX_CONTROLS];
	double		slope[STEWARD_MAX_CONTROLS] = {0};
	double		mean = 0;
	double		part = 1 - (double) n / Max(population, 1);
	double		variance;
	double		spread;
	double		emptier;
	double		fuller;
	int			uncertain = 0;
	int			fitted = 0;

	memset(estimate, 0, sizeof(StewardEstimate));
	if (n == 0)
		return;

	qsort(observations, n, sizeof(StewardObservation), compare_observations);
	for (int i = 0; i < n; i++)
	{
		mean += observations[i].value / n;
		uncertain += !observations[i].vouched;
	}
	if (n >= population)
	{
		estimate->mean = mean;
		estimate->low = mean - floor;
		estimate->high = mean + floor;
		return;
	}

	fitted = fit_slopes(observations, n, controls, sample_mean, slope);
	variance = part *
		variance_of_mean(observations, n, controls, slope, fitted);
	for (int j = 0; j < controls->n; j++)
	{
		mean += slope[j] * (controls->mean[j] - sample_mean[j]);
		variance += slope[j] * slope[j] * controls->variance[j];
	}
	mean = Max(mean, 0);

	estimate->mean = mean;
	estimate->spread = (1 + STOPPING_MARGIN / sqrt(n)) *
		steward_student_quantile((n - 1 - fitted) * 2.0 / 3) * sqrt(variance);
	estimate->unseen = part * controls->uncertain *
		Min(NORMAL_QUANTILE * NORMAL_QUANTILE / Max(uncertain, 1), 1);
	emptier = estimate->unseen / 2 * Min(mean, 1);
	fuller = estimate->unseen / 2 * Max(1 - mean, 0);
	spread = hypot(estimate->spread, NORMAL_QUANTILE * mean * scale_error);
	estimate->low = mean - Max(floor, emptier + hypot(spread, emptier));
	estimate->high = mean + Max(floor, fuller + hypot(spread, fuller));
	estimate->low = Max(estimate->low, 0);
}

/*
 * Is the interval narrow enough to stop sampling?
 */
bool
steward_estimate_settled(const StewardEstimate *estimate)
{
	return estimate->spread <= TARGET_SPREAD &&
		estimate->unseen <= TARGET_UNSEEN;
}
