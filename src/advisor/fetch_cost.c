/*-------------------------------------------------------------------------
 *
 * fetch_cost.c
 *	  What fetching rows by indexes costs beyond what the planner charges.
 *
 * The planner takes some index scans for cheaper than they turn out to be.  It
 * will use such an index if it is there; whether it is worth to be there is
 * another question, so advice adds what is missing to the planner's cost.
 *
 * A row that is fetched by an index takes more CPU than the next row of a page
 * that is scanned.  Where the planner charges a read for it, that is covered.
 * It hardly charges anything where rows are in the order of the index, where so
 * many are fetched that each page is counted once, and where reads are shared
 * among the executions of the inner side of a nested loop, whose number it does
 * not know yet (get_loop_count() in indxpath.c takes the rows of the smallest
 * outer table, although few of them may be left when other joins are done).
 * Then those rows cost what they do in a database that is cached, at least.
 *
 * How many rows are fetched is not in the plan tree.  The path that a scan was
 * made from knows, so it is looked for among the planner's paths, by index and
 * costs.  A join may know better: conditions on several columns are taken for
 * independent, while foreign keys tell the size of a join correctly.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/amapi.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"

#include "advisor/fetch_cost.h"

/*
 * CPU of a row fetched by an index, in units of cost, with one unit worth what
 * it is in a sequential scan of cached pages: where each row is on another page
 * than the one before, and where they are in the order of the index.  Measured
 * on tables of 20 to 140 MB in shared buffers: 0.6 for the former, less with a
 * larger or faster cache; 0.03, 0.07 and 0.1 for the latter, as the next row is
 * the next one, on the same page, or a few pages away; 0.03 without a visit to
 * the table.  In nested loops the same rows are often fetched again soon, from
 * nearer caches: 0.15 for rows that are scattered.
 */
#define SCATTERED_ROW_COST 0.2
#define ORDERED_ROW_COST 0.1

/* The same without a visit to the table, and of a descent into an index. */
#define INDEX_ONLY_ROW_COST 0.05
#define DESCENT_COST 0.35

/* The correlation that an index of several columns has if it is perfect. */
#define MULTICOLUMN_CORRELATION 0.75

/* Does this path make that plan node? */
static bool
makes_plan(const Path *path, const Plan *plan)
{
	return path->startup_cost == plan->startup_cost &&
		path->total_cost == plan->total_cost;
}

/*
 * The path that a scan was made from, and its table; NULL if it is not found,
 * as when workers share the scan.
 */
static IndexPath *
find_path(List *tables, const Plan *plan, Oid indexid, PlannerInfo **root)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, tables)
	{
		StewardPlannedTable *table = lfirst(lc);

		foreach(lc2, table->rel->pathlist)
		{
			Path	   *path = lfirst(lc2);

			if (!makes_plan(path, plan))
				continue;
			if (IsA(path, ProjectionPath))
				path = ((ProjectionPath *) path)->subpath;
			if (IsA(path, IndexPath) &&
				((IndexPath *) path)->indexinfo->indexoid == indexid)
			{
				*root = table->root;
				return (IndexPath *) path;
			}
		}
	}
	return NULL;
}

/*
 * Are rows in the order of the index (1), or is each of them somewhere else (0)?
 */
static double
order_of(IndexPath *path, PlannerInfo *root, double loops)
{
	amcostestimate_function estimate = (amcostestimate_function) path->indexinfo->amcostestimate;
	Cost		startup;
	Cost		total;
	Selectivity selectivity;
	double		correlation;
	double		pages;

	estimate(root, path, loops, &startup, &total, &selectivity, &correlation,
			 &pages);
	if (path->indexinfo->nkeycolumns > 1)
		correlation = Min(fabs(correlation) / MULTICOLUMN_CORRELATION, 1);
	return correlation * correlation;
}

/*
 * See fetch_cost.h.
 */
double
steward_fetch_cost(List *tables, Plan *scan, Oid indexid, double loops,
				   double rows)
{
	PlannerInfo *root;
	IndexPath  *path = find_path(tables, scan, indexid, &root);
	double		cost;

	if (path == NULL || path->path.parallel_aware)
		return 0;
	loops = Max(loops, 1);
	rows = Max(rows, loops * clamp_row_est(path->indexselectivity *
										   path->path.parent->tuples));
	if (path->path.pathtype == T_IndexOnlyScan)
		cost = INDEX_ONLY_ROW_COST;
	else
		cost = SCATTERED_ROW_COST + order_of(path, root, loops) *
			(ORDERED_ROW_COST - SCATTERED_ROW_COST);
	cost = loops * DESCENT_COST + rows * cost;
	return Max(cost - loops * path->path.total_cost, 0);
}
