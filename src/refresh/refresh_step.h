/*-------------------------------------------------------------------------
 *
 * refresh_step.h
 *	  A worker refreshes one materialized view.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_STEP_H
#define STEWARD_REFRESH_STEP_H

#include "refresh/refresh_shared.h"

extern void steward_refresh_step(StewardRegistry *registry,
								 StewardRefreshView *view, bool has_policy);

#endif							/* STEWARD_REFRESH_STEP_H */
