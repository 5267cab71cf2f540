/*-------------------------------------------------------------------------
 *
 * hypothetical.h
 *	  What a statement would cost with other indexes than there are.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_HYPOTHETICAL_H
#define STEWARD_HYPOTHETICAL_H

#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"

#include "advisor/index_spec.h"

/* What may go wrong with the planner's estimate of a plan. */

/*
 * LIMIT stops a scan that is ordered by an index, but filters rows: if those
 * that pass the filter are not spread evenly, the scan runs far longer.
 * full_cost is what it costs if it runs to its end.
 */
#define STEWARD_RISK_LIMIT		(1 << 0)

/* A range or pattern is compared with an unknown value: a default guess. */
#define STEWARD_RISK_UNKNOWN	(1 << 1)

/*
 * Several columns of one table are compared, without extended statistics on
 * them: the planner takes them for independent.
 */
#define STEWARD_RISK_CORRELATED	(1 << 2)

/* The result of a what-if plan. */
typedef struct StewardPlan
{
	double		startup_cost;	/* in the planner's units, as the rest */
	double		total_cost;
	double		full_cost;		/* as if no LIMIT ended a scan early; equals
								 * total_cost without LIMIT */
	double		unseen_cost;	/* of index scans, what the planner does not
								 * see (fetch_cost.c); not in the others */
	double		rows;
	uint32		risks;			/* STEWARD_RISK_ bits */
	Bitmapset  *used;			/* ids of the visible indexes in the plan */
	List	   *used_existing;	/* OIDs of existing indexes in the plan; of
								 * partitions' indexes the topmost parent */
} StewardPlan;

/*
 * Plan an analyzed and rewritten statement as if the indexes in "visible"
 * (StewardIndex *, estimated, with ids) existed, and those in "masked" (OIDs;
 * of a partitioned index with all its parts) did not.  Both may be NIL.
 *
 * The query is copied; utility statements are an error (caller's fault).
 * params may be NULL: then parameters are unknown.  A parameter with
 * PARAM_FLAG_CONST is treated like a constant, others serve estimation only.
 * Nothing outside this call ever sees the hypothetical indexes, not even a
 * query that a function runs while the planner evaluates it.
 *
 * An index on an expression comes with statistics, as ANALYZE will collect them;
 * so it can change estimates, and the cost, even of plans that do not use it.
 *
 * The result's members are allocated in the current memory context; all that
 * the planner allocates is freed.  Errors of the planner are raised.  Locks on
 * the tables are the caller's, from analysis.
 */
extern void steward_whatif_plan(Query *query, int cursor_options,
								ParamListInfo params, List *visible,
								List *masked, StewardPlan *result);

/*
 * For other parts that watch the planner: plan as above, and call "look" for
 * each table when the planner has its paths (as set_rel_pathlist_hook does).
 */
struct PlannerInfo;
struct RelOptInfo;
typedef void (*StewardLook) (struct PlannerInfo *root, struct RelOptInfo *rel,
							 RangeTblEntry *rte, void *arg);
extern void steward_whatif_look(Query *query, int cursor_options,
								ParamListInfo params, StewardLook look,
								void *arg, StewardPlan *result);

/*
 * What a finished plan uses and risks; plan_usage.c.  tables are those of the
 * planner, StewardPlannedTable *.
 */
extern void steward_plan_summarize(PlannedStmt *plan, List *tables,
								   StewardPlan *result);

/* OID that stands for the hypothetical index with this id, and back. */
#define STEWARD_INDEX_OID(id)	((Oid) (PG_UINT32_MAX - (uint32) (id)))
#define STEWARD_INDEX_ID(oid)	((int) (PG_UINT32_MAX - (uint32) (oid)))

#endif							/* STEWARD_HYPOTHETICAL_H */
