/*-------------------------------------------------------------------------
 *
 * refresh_waiters.h
 *	  Sees whom refresh workers are in the way of, and how far standbys are.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_WAITERS_H
#define STEWARD_REFRESH_WAITERS_H

#include "refresh/refresh_shared.h"

extern void steward_waiters_watch(StewardRegistry *registry, TimestampTz now);
extern int64 steward_replica_lag_ms(void);

#endif							/* STEWARD_REFRESH_WAITERS_H */
