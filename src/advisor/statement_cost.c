/*-------------------------------------------------------------------------
 *
 * statement_cost.c
 *	  What a statement costs with a set of indexes.
 *
 * Costs are those of the planner, with two things that it does not see.  Rows
 * that are fetched by indexes cost more than it charges (fetch_cost.c).  And
 * where LIMIT is expected to end an ordered scan that filters rows, the planner
 * assumes rows that pass to be spread evenly, while reality is often several
 * times slower.  Half of the difference to a scan that runs to its end is
 * added, or all of it where the number of those rows is a guess.  If such a
 * plan gets dearer than today's for one class of parameters (param_classes.c),
 * no gain of another class makes up for that: the statement is charged as if
 * it were executed with that class alone.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/plannodes.h"
#include "utils/memutils.h"

#include "advisor/statement_cost.h"

/* Share of the risk of LIMIT that counts as cost. */
#define RISK_SHARE 0.5

/*
 * See statement_cost.h.
 */
int
steward_cursor_options(const Query *query)
{
	return query->commandType == CMD_SELECT ? CURSOR_OPT_PARALLEL_OK : 0;
}

/*
 * What a plan costs beyond what the planner charges.  Where it is a guess how
 * many rows are found, so would this be.
 */
static double
unseen_cost(const StewardPlan *plan)
{
	return plan->risks & STEWARD_RISK_UNKNOWN ? 0 : plan->unseen_cost;
}

/* Cost of a plan with a share of the risk that the planner does not see. */
static double
risky_cost(const StewardPlan *plan)
{
	double		share = RISK_SHARE;
	double		cost = plan->total_cost + unseen_cost(plan);

	if (!(plan->risks & STEWARD_RISK_LIMIT) || plan->full_cost <= plan->total_cost)
		return cost;
	if (plan->risks & (STEWARD_RISK_UNKNOWN | STEWARD_RISK_CORRELATED))
		share = 1.0;			/* how many rows pass is a guess as well */
	return cost + share * (plan->full_cost - plan->total_cost);
}

/* Add a plan, which stands for a share of the executions. */
static void
add_plan(StewardStatementCost *result, const StewardPlan *plan, double share)
{
	result->planned += share * plan->total_cost;
	result->fetched += share * (plan->total_cost + unseen_cost(plan));
	result->cost += share * risky_cost(plan);
	result->worst += share * (Max(plan->full_cost, plan->total_cost) +
							  unseen_cost(plan));
	result->risks |= plan->risks;
	result->used = bms_add_members(result->used, plan->used);
	result->used_existing = list_concat_unique_oid(result->used_existing,
												   plan->used_existing);
}

/*
 * See statement_cost.h.
 */
void
steward_statement_cost(StewardWhatif *whatif, List *queries,
					   const StewardParamClasses *classes, List *indexes,
					   StewardStatementCost *result)
{
	ListCell   *lc;
	int			n = 0;
	double		least = 0;

	memset(result, 0, sizeof(StewardStatementCost));
	result->nplans = list_length(queries) * classes->count;
	result->plans = palloc(Max(result->nplans, 1) * sizeof(double));
	foreach(lc, queries)
	{
		Query	   *query = lfirst_node(Query, lc);

		for (int i = 0; i < classes->count; i++, n++)
		{
			StewardPlan plan = {0};

			steward_whatif_plan(query, steward_cursor_options(query),
								classes->list[i].params, indexes, NIL, &plan);
			whatif->nplans++;
			add_plan(result, &plan, classes->list[i].share);
			result->plans[n] = risky_cost(&plan);
			if (indexes != NIL && (plan.risks & STEWARD_RISK_LIMIT) &&
				result->nplans == whatif->nbase_plans &&
				result->plans[n] > whatif->base_plans[n])
				least = Max(least, whatif->base.cost * result->plans[n] /
							whatif->base_plans[n]);
		}
	}
	result->cost = Max(result->cost, least);
}

/*
 * See statement_cost.h.
 */
void
steward_statement_keep_base(StewardAdvice *advice, StewardWhatif *whatif,
							const StewardStatementCost *base)
{
	if (whatif->nbase_plans < base->nplans)
		whatif->base_plans = MemoryContextAlloc(advice->context,
												base->nplans * sizeof(double));
	whatif->nbase_plans = base->nplans;
	for (int i = 0; i < base->nplans; i++)
		whatif->base_plans[i] = Max(base->plans[i], 1e-3);
	whatif->base.planned = base->planned;
	whatif->base.cost = base->fetched;
}
