/*-------------------------------------------------------------------------
 *
 * diff.h
 *	  Differential refresh of materialized views.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_DIFF_H
#define STEWARD_DIFF_H

#include "refresh/diff_apply.h"

extern const char *steward_diff_obstacle(Oid view);
extern void steward_diff_refresh(Oid view, StewardDiffResult *result);

#endif							/* STEWARD_DIFF_H */
