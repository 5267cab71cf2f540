/*-------------------------------------------------------------------------
 *
 * pool_log.h
 *	  Says that the connection pool is under pressure.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_POOL_LOG_H
#define STEWARD_POOL_LOG_H

#include "pool/pool_store.h"

extern void steward_pool_say(StewardPool *pool, StewardPressureNews news,
							 const StewardPoolCount *count, int64 refused);
extern const char *steward_pool_hint(const StewardPoolCount *count,
									 StewardPressureCause cause);

#endif							/* STEWARD_POOL_LOG_H */
