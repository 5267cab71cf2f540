/*-------------------------------------------------------------------------
 *
 * plan_usage.c
 *	  What a finished plan uses, costs and risks.
 *
 * One walk over the plan tree collects the indexes that its nodes name, what
 * LIMIT is supposed to save, and what the planner had to guess.
 *
 * A LIMIT above a plan that delivers rows as it goes is charged only its share
 * of that plan's cost, as if the rows that pass its filters were spread evenly.
 * full_cost adds the rest back, as often as the LIMIT is executed (once for
 * each row of the outer side, inside a nested loop).
 *
 * What index scans cost beyond what the planner charges depends on how often
 * they are executed, and on what a join gets from them (fetch_cost.c); the walk
 * knows both.  Of a plan that LIMIT ends early only a share counts.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/partition.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "advisor/fetch_cost.h"
#include "advisor/hypothetical.h"
#include "base/compat.h"

typedef struct Walk
{
	PlannedStmt *stmt;
	List	   *tables;			/* of the planner */
	StewardPlan *result;
	double		unlimited;		/* cost that LIMITs save */
	Bitmapset  *initplans;		/* subplans that an initPlan list names */
} Walk;

/* How a node is executed. */
typedef struct Place
{
	double		loops;			/* how often */
	double		executed;		/* share of these that LIMITs above let happen */
	double		share;			/* that, times the share of its rows that LIMITs
								 * let it deliver */
	double		delivers;		/* rows that a join gets from it in all, or 0 */
	bool		limited;		/* a LIMIT above ends it early, and nothing
								 * between reads it to its end */
} Place;

/* What one scan compares. */
typedef struct Compared
{
	Bitmapset  *columns;
	bool		unknown;		/* a range or pattern against a parameter */
} Compared;

static const Place once = {1, 1, 1, 0, false};

static void walk_plan(Walk *walk, Plan *plan, Place place);

/* Note an index that the plan uses. */
static void
use_index(Walk *walk, Oid indexid)
{
	StewardPlan *result = walk->result;

	if (STEWARD_INDEX_ID(indexid) > 0 &&
		STEWARD_INDEX_ID(indexid) <= STEWARD_INDEX_MAX_ID &&
		get_rel_relkind(indexid) == '\0')
	{
		result->used = bms_add_member(result->used, STEWARD_INDEX_ID(indexid));
		return;
	}
	if (get_rel_relispartition(indexid))
	{
		List	   *ancestors = get_partition_ancestors(indexid);

		if (ancestors != NIL)
			indexid = llast_oid(ancestors);
	}
	result->used_existing = list_append_unique_oid(result->used_existing,
												   indexid);
}

/* Collect what an expression compares, and with what. */
static bool
compare_walker(Node *node, Compared *compared)
{
	if (node == NULL)
		return false;
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		OpExpr	   *op = (OpExpr *) node;

		for (int i = 0; i < 2; i++)
		{
			Node	   *side = list_nth(op->args, i);
			Node	   *other = list_nth(op->args, 1 - i);

			while (IsA(side, RelabelType))
				side = (Node *) ((RelabelType *) side)->arg;
			while (IsA(other, RelabelType))
				other = (Node *) ((RelabelType *) other)->arg;
			if (!IsA(side, Var))
				continue;
			if (((Var *) side)->varattno > 0)
				compared->columns = bms_add_member(compared->columns,
												   ((Var *) side)->varattno);
			if (IsA(other, Param) &&
				((Param *) other)->paramkind == PARAM_EXTERN &&
				!op_mergejoinable(op->opno, exprType(side)) &&
				!op_hashjoinable(op->opno, exprType(side)))
				compared->unknown = true;
		}
	}
	return expression_tree_walker(node, compare_walker, (void *) compared);
}

/* Do extended statistics of the table cover two of these columns? */
static bool
has_extended_statistics(Oid relid)
{
	Relation	relation = table_open(relid, NoLock);
	bool		found = RelationGetStatExtList(relation) != NIL;

	table_close(relation, NoLock);
	return found;
}

/* Risks of one scan of a table with these lists of conditions. */
static void
judge_scan(Walk *walk, Scan *scan, List *conditions, List *filter)
{
	Compared	compared = {NULL, false};
	RangeTblEntry *rte = rt_fetch(scan->scanrelid, walk->stmt->rtable);

	compare_walker((Node *) conditions, &compared);
	compare_walker((Node *) filter, &compared);
	if (compared.unknown)
		walk->result->risks |= STEWARD_RISK_UNKNOWN;
	if (bms_membership(compared.columns) == BMS_MULTIPLE &&
		rte->rtekind == RTE_RELATION && !has_extended_statistics(rte->relid))
		walk->result->risks |= STEWARD_RISK_CORRELATED;
	bms_free(compared.columns);
}

/* Walk a list of plans. */
static void
walk_list(Walk *walk, List *plans, Place place)
{
	ListCell   *lc;

	place.delivers = 0;
	foreach(lc, plans)
		walk_plan(walk, lfirst(lc), place);
}

/* A plain or an index-only scan. */
static void
use_index_scan(Walk *walk, Plan *plan, Oid indexid, const Place *place)
{
	use_index(walk, indexid);
	if (place->limited && plan->qual != NIL)
		walk->result->risks |= STEWARD_RISK_LIMIT;
	walk->result->unseen_cost += place->share *
		steward_fetch_cost(walk->tables, plan, indexid, place->loops,
						   place->delivers);
}

/* Nodes of scans. */
static void
walk_scan(Walk *walk, Plan *plan, const Place *place)
{
	switch (nodeTag(plan))
	{
		case T_IndexScan:
			{
				IndexScan  *scan = (IndexScan *) plan;

				use_index_scan(walk, plan, scan->indexid, place);
				judge_scan(walk, &scan->scan, scan->indexqualorig, plan->qual);
				break;
			}
		case T_IndexOnlyScan:
			{
				IndexOnlyScan *scan = (IndexOnlyScan *) plan;

				/* here conditions name columns of the index */
				use_index_scan(walk, plan, scan->indexid, place);
				judge_scan(walk, &scan->scan, scan->indexqual, plan->qual);
				break;
			}
		case T_BitmapIndexScan:
			use_index(walk, ((BitmapIndexScan *) plan)->indexid);
			break;
		case T_BitmapHeapScan:
			judge_scan(walk, (Scan *) plan,
					   ((BitmapHeapScan *) plan)->bitmapqualorig, plan->qual);
			break;
		case T_SeqScan:
		case T_SampleScan:
			judge_scan(walk, (Scan *) plan, NIL, plan->qual);
			break;
		default:
			break;
	}
}

/* Is the input read to its end before the first row comes out? */
static bool
is_blocking(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_Sort:
		case T_Hash:
		case T_Material:
		case T_ModifyTable:
			return true;
		case T_Agg:
			return ((Agg *) plan)->aggstrategy != AGG_SORTED;
		default:
			return false;
	}
}

/* How the inner side of a nested loop is executed. */
static Place
inner_place(const NestLoop *join, const Place *place)
{
	const Plan *plan = &join->join.plan;
	const Plan *inner = plan->righttree;
	Place		result = {0};

	result.loops = place->loops * Max(plan->lefttree->plan_rows, 1);
	result.executed = result.share = place->share;
	if (join->join.jointype == JOIN_INNER || join->join.jointype == JOIN_LEFT)
		result.delivers = place->loops * plan->plan_rows;
	if (IsA(inner, Memoize) && ((const Memoize *) inner)->est_entries > 0)
		result.loops = Min(result.loops, ((const Memoize *) inner)->est_entries);
	return result;
}

/* One node and all below it. */
static void
walk_plan(Walk *walk, Plan *plan, Place place)
{
	Place		right;
	ListCell   *lc;

	if (plan == NULL)
		return;
	check_stack_depth();
	walk_scan(walk, plan, &place);

	foreach(lc, plan->initPlan)
	{
		int			id = ((SubPlan *) lfirst(lc))->plan_id;

		walk->initplans = bms_add_member(walk->initplans, id);
		walk_plan(walk, list_nth(walk->stmt->subplans, id - 1), once);
	}
	place.delivers = 0;
	if (IsA(plan, Limit) && plan->lefttree != NULL)
	{
		walk->unlimited += place.loops *
			Max(plan->lefttree->total_cost - plan->total_cost, 0);
		place.limited = true;
		place.share *= Min(plan->plan_rows / Max(plan->lefttree->plan_rows, 1), 1);
	}
	else if (is_blocking(plan))
	{
		place.limited = false;
		if (bms_is_empty(plan->extParam))
			place.loops = place.executed = 1;	/* its result is kept */
		place.share = place.executed;
	}
	right = place;
	if (IsA(plan, NestLoop))
		right = inner_place((NestLoop *) plan, &place);
	right.limited = false;

	walk_plan(walk, plan->lefttree, place);
	walk_plan(walk, plan->righttree, right);
	switch (nodeTag(plan))
	{
		case T_Append:
			walk_list(walk, ((Append *) plan)->appendplans, place);
			break;
		case T_MergeAppend:
			walk_list(walk, ((MergeAppend *) plan)->mergeplans, place);
			break;
		case T_BitmapAnd:
			walk_list(walk, ((BitmapAnd *) plan)->bitmapplans, place);
			break;
		case T_BitmapOr:
			walk_list(walk, ((BitmapOr *) plan)->bitmapplans, place);
			break;
		case T_SubqueryScan:
			walk_plan(walk, ((SubqueryScan *) plan)->subplan, place);
			break;
		case T_CustomScan:
			place.limited = false;
			walk_list(walk, ((CustomScan *) plan)->custom_plans, place);
			break;
		default:
			break;
	}
}

/*
 * Fill in the result from a plan.  What it needs to keep is allocated in the
 * current memory context.
 */
void
steward_plan_summarize(PlannedStmt *stmt, List *tables, StewardPlan *result)
{
	Walk		walk = {stmt, tables, result, 0, NULL};
	ListCell   *lc;
	int			id = 0;

	memset(result, 0, sizeof(StewardPlan));
	walk_plan(&walk, stmt->planTree, once);
	foreach(lc, stmt->subplans)
		if (!bms_is_member(++id, walk.initplans))
			walk_plan(&walk, lfirst(lc), once);
	bms_free(walk.initplans);

	result->startup_cost = stmt->planTree->startup_cost;
	result->total_cost = stmt->planTree->total_cost;
	result->full_cost = stmt->planTree->total_cost + walk.unlimited;
	result->rows = stmt->planTree->plan_rows;
}
