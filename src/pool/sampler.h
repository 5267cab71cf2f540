/*-------------------------------------------------------------------------
 *
 * sampler.h
 *	  Watches the number of connections.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_SAMPLER_H
#define STEWARD_SAMPLER_H

#include "pool/pressure.h"

extern void steward_sampler_init(void);
extern void steward_sampler_limits(StewardPressureLimits *limits);

#endif							/* STEWARD_SAMPLER_H */
