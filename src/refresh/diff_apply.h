/*-------------------------------------------------------------------------
 *
 * diff_apply.h
 *	  Writing the difference into a materialized view.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_DIFF_APPLY_H
#define STEWARD_DIFF_APPLY_H

#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "refresh/diff_match.h"

/* What a differential refresh changed, in rows */
typedef struct StewardDiffResult
{
	int64		ninserted;
	int64		ndeleted;
	int64		nupdated;
	int64		nunchanged;
} StewardDiffResult;

extern void steward_diff_apply(Relation view, Snapshot snapshot,
							   StewardMatch *match, StewardRowHasher *hasher,
							   StewardDiffResult *result);

#endif							/* STEWARD_DIFF_APPLY_H */
