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

extern double steward_interval_ms(Interval *interval);
extern double steward_rounded(double value);
extern double steward_percentage(double part, double whole);

#endif							/* STEWARD_SUGGEST_H */
