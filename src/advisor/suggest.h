/*-------------------------------------------------------------------------
 *
 * suggest.h
 *	  What reports of the index advisor share.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_SUGGEST_H
#define STEWARD_SUGGEST_H

#include "datatype/timestamp.h"

/* What is suggested if the caller does not say otherwise. */
#define STEWARD_MAX_INDEXES 20
#define STEWARD_MIN_GAIN 0.005
#define STEWARD_DEADLINE_MS 30000

extern double steward_interval_ms(Interval *interval);
extern double steward_rounded(double value);
extern double steward_percentage(double part, double whole);

#endif							/* STEWARD_SUGGEST_H */
