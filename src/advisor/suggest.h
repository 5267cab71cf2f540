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

#endif							/* STEWARD_SUGGEST_H */
