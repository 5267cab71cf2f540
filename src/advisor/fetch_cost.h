/*-------------------------------------------------------------------------
 *
 * fetch_cost.h
 *	  What fetching rows by indexes costs beyond what the planner charges.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_FETCH_COST_H
#define STEWARD_FETCH_COST_H

#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

/* A table of a statement that was planned, with the planner's paths for it. */
typedef struct StewardPlannedTable
{
	PlannerInfo *root;
	RelOptInfo *rel;
} StewardPlannedTable;

/*
 * For an index scan of a plan made with these tables (StewardPlannedTable *),
 * which is executed "loops" times and delivers "rows" to a join in all (0 if
 * that is not known).  In the planner's units, for all executions; 0 if the
 * planner charges enough, or the scan is shared among workers.  Needs the
 * planner's memory, and changes none of it.
 */
extern double steward_fetch_cost(List *tables, Plan *scan, Oid indexid,
								 double loops, double rows);

#endif							/* STEWARD_FETCH_COST_H */
