/*-------------------------------------------------------------------------
 *
 * candidates.h
 *	  Indexes that might help a statement.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_CANDIDATES_H
#define STEWARD_CANDIDATES_H

#include "advisor/hypothetical.h"
#include "advisor/index_size.h"
#include "advisor/index_spec.h"

/* Candidates of one statement for one table, at most. */
#define STEWARD_MAX_CANDIDATES	40

/*
 * Tables with fewer pages get no candidates: the planner reads them whole
 * whatever indexes there are.
 */
#define STEWARD_MIN_TABLE_PAGES	8

/*
 * Flag: constants of the statement are typical, so that "column = constant" may
 * become a predicate, if it keeps fewer than 5 % of the rows.  Without it only
 * boolean columns, IS NULL and IS NOT NULL do.
 */
#define STEWARD_COLLECT_CONSTANTS	(1 << 0)

/*
 * Plan the statement (see steward_whatif_plan) with the indexes there are, and
 * return the candidates for its tables: a List of groups, each a List of
 * StewardIndex * that are of use only together; most have one member.  They
 * are estimated, have id 0, differ from each other, and none is covered by an
 * existing index.  The most promising of a table come first.
 *
 * "base", if not NULL, receives the plan without candidates.  Left out: system
 * catalogs, foreign tables, other sessions' temporary tables, tables of fewer
 * than STEWARD_MIN_TABLE_PAGES pages.  Everything is allocated in the current
 * memory context.
 */
extern List *steward_candidates_collect(StewardSizeCache *cache, Query *query,
										int cursor_options,
										ParamListInfo params, int flags,
										StewardPlan *base);

#endif							/* STEWARD_CANDIDATES_H */
