/*-------------------------------------------------------------------------
 *
 * bloat_target.h
 *	  Which relations a bloat report may look into, and how it opens them.
 *
 * How a report uses it, for each relation:
 *
 *		reason = steward_target_refusal(relid);		(NULL: go on)
 *		ok = steward_target_guarded(work, &state, &reason);
 *
 * and in work():
 *
 *		rel = steward_target_open(relid, &patience_ms, &reason);
		(NULL: locked or gone; patience_ms = steward_target_patience() at the
		start of the report)
 *		...
 *		steward_target_close(rel);
 *
 * Reasons are phrases for the report's column "reason", in the memory context
 * of the caller.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_BLOAT_TARGET_H
#define STEWARD_BLOAT_TARGET_H

#include "access/transam.h"
#include "utils/relcache.h"

typedef void (*StewardTargetWork) (void *arg);

extern bool steward_target_permitted(Oid relid);
extern const char *steward_target_refusal(Oid relid);
extern int	steward_target_patience(void);
extern Relation steward_target_open(Oid relid, int *patience_ms,
									const char **reason);
extern void steward_target_close(Relation rel);
extern bool steward_target_guarded(StewardTargetWork work, void *arg,
								   const char **reason);
extern bool steward_target_in_the_way(Relation rel);
extern TransactionId steward_target_horizon(Relation rel);
extern int64 steward_target_file_bytes(Oid relid);

#endif							/* STEWARD_BLOAT_TARGET_H */
