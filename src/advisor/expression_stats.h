/*-------------------------------------------------------------------------
 *
 * expression_stats.h
 *	  Statistics of a hypothetical index's expressions, for the planner.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_EXPRESSION_STATS_H
#define STEWARD_EXPRESSION_STATS_H

#include "access/htup.h"

#include "advisor/index_spec.h"

extern HeapTuple steward_expression_tuple(Oid indexid, AttrNumber column,
										  const StewardIndex *index,
										  const StewardIndexPart *part);

#endif							/* STEWARD_EXPRESSION_STATS_H */
