/*-------------------------------------------------------------------------
 *
 * pool_event.h
 *	  Keeps changes of the pool's pressure in tables, and notifies.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_POOL_EVENT_H
#define STEWARD_POOL_EVENT_H

#include "pool/pool_store.h"

extern void steward_pool_event_init(void);
extern void steward_pool_event_add(StewardPool *pool, StewardPressureNews news,
								   const StewardPressureState *state,
								   const StewardPoolCount *count,
								   int64 refused, const char *detail);

#endif							/* STEWARD_POOL_EVENT_H */
