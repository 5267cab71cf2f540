/*-------------------------------------------------------------------------
 *
 * pool_count.h
 *	  Counts connections.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_POOL_COUNT_H
#define STEWARD_POOL_COUNT_H

#include "lib/stringinfo.h"

#include "pool/pool_store.h"

extern void steward_pool_count(StewardPoolCount *count);
extern void steward_pool_limits(StewardPoolCount *count);
extern void steward_pool_describe_consumers(StringInfo text, int top);

#endif							/* STEWARD_POOL_COUNT_H */
