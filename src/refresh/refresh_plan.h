/*-------------------------------------------------------------------------
 *
 * refresh_plan.h
 *	  Decides which views of the registry are due.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_PLAN_H
#define STEWARD_REFRESH_PLAN_H

#include "refresh/refresh_shared.h"

extern void steward_plan_decide(StewardRegistry *registry,
								StewardRefreshDatabase *entry, TimestampTz now,
								int pressure);
extern TimestampTz steward_plan_work_since(StewardRegistry *registry,
										   StewardRefreshDatabase *entry,
										   TimestampTz now);
extern bool steward_plan_take(StewardRegistry *registry, Oid database,
							  StewardRefreshView *view, bool *has_policy);
extern void steward_plan_shift(StewardRegistry *registry, int64 us);

#endif							/* STEWARD_REFRESH_PLAN_H */
