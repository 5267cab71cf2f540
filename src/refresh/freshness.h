/*-------------------------------------------------------------------------
 *
 * freshness.h
 *	  Does a materialized view hold what its query would return?
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_FRESHNESS_H
#define STEWARD_FRESHNESS_H

#include "datatype/timestamp.h"

typedef enum StewardFreshness
{
	STEWARD_UNKNOWN,
	STEWARD_FRESH,
	STEWARD_STALE,
	STEWARD_NEVER_POPULATED
} StewardFreshness;

extern void steward_freshness_mark(Oid view, bool assume_deterministic);
extern StewardFreshness steward_freshness_check(Oid view,
												bool assume_deterministic,
												char **reason,
												TimestampTz *stale_since);
extern StewardFreshness steward_freshness_peek(Oid database, Oid view,
											   bool assume_deterministic,
											   TimestampTz *stale_since,
											   bool *recheck);
extern uint64 steward_freshness_marked(Oid view);
extern bool steward_freshness_has_mark(Oid view, bool *assumed);
extern const char *steward_freshness_name(StewardFreshness state);
extern void steward_freshness_init(void);

#endif							/* STEWARD_FRESHNESS_H */
