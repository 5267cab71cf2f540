/*-------------------------------------------------------------------------
 *
 * estimate.h
 *	  From observations of some blocks to a mean over all, with an interval.
 *
 * The unit of a value is a page: 0.7 says that what a rewrite keeps of this
 * block fills 0.7 pages of the new file.  Mean times blocks is then the new
 * size.  An index estimator without a free space map of use passes controls
 * with n = 0 and uncertain = 1.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_ESTIMATE_H
#define STEWARD_ESTIMATE_H

#include "storage/block.h"

#define STEWARD_MAX_CONTROLS 3

/* One block that was looked at. */
typedef struct StewardObservation
{
	BlockNumber block;
	bool		vouched;		/* a map says that the page holds no surprise */
	double		value;			/* pages that a rewrite makes of it */
	double		control[STEWARD_MAX_CONTROLS];
} StewardObservation;

/* What is known about all blocks without looking at them. */
typedef struct StewardControls
{
	int			n;				/* number of control variates */
	double		mean[STEWARD_MAX_CONTROLS]; /* over all blocks */
	double		prior[STEWARD_MAX_CONTROLS];	/* slope where the sample is
												 * silent */
	double		variance[STEWARD_MAX_CONTROLS]; /* of "mean", 0 if counted */
	double		uncertain;		/* share of blocks that no map vouches for */
} StewardControls;

/* Mean pages a block after a rewrite. */
typedef struct StewardEstimate
{
	double		mean;
	double		low;			/* 95 % interval */
	double		high;
	double		spread;			/* half width that more blocks would reduce */
	double		unseen;			/* what pages of a kind not seen may add */
} StewardEstimate;

extern void steward_estimate_mean(StewardObservation *observations, int n,
								  BlockNumber population,
								  const StewardControls *controls,
								  double scale_error, double floor,
								  StewardEstimate *estimate);
extern bool steward_estimate_settled(const StewardEstimate *estimate);
extern double steward_student_quantile(double freedom);

#endif							/* STEWARD_ESTIMATE_H */
