/*-------------------------------------------------------------------------
 *
 * hypothetical.c
 *	  What a statement would cost with other indexes than there are.
 *
 * The planner reads a table's indexes into a list of IndexOptInfo and lets a
 * hook change it; from then on it looks at nothing else.  While a plan of ours
 * is made, our hook removes the indexes that are masked and appends those that
 * are visible, completely filled in as the server does for real ones, with
 * "hypothetical" set, by which cost functions know that there is no relation
 * to open.  The plan is never executed.
 *
 * Nobody else sees them.  The planner's global struct refers to the parameters
 * it was called with; ours are unique to the call, and the hook acts only
 * below them.  So a query which a function runs through SPI, because the
 * planner evaluates that function, is planned as always.  We call the standard
 * planner, past planner_hook: what other extensions do there (hints, plan
 * statistics, tracking) is about statements that run.  The hooks are installed
 * by the first call in a session; in others they cost nothing.
 *
 * The planner also asks for statistics of the expressions that an index has;
 * there the hook for them answers (expression_stats.c).
 *
 * A hypothetical index needs an OID.  It gets one from the end of the range,
 * by its id; nothing but pg_statistic is ever looked up with it.  The indexes
 * of all partitions of one logical index have the same.
 *
 * A partitioned table itself needs nothing in the list: the planner scans its
 * partitions, which are found in the index's parts, and of the parent's
 * indexes it wants only unique ones, as proofs, from 16 on.  The same goes for
 * an inheritance parent, which appears again as its own child.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/attmap.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"

#include "advisor/expression_stats.h"
#include "advisor/fetch_cost.h"
#include "advisor/hypothetical.h"
#include "base/compat.h"

/* A planner call of ours, while it runs. */
typedef struct WhatIf
{
	ParamListInfo params;		/* identifies the call, see above */
	List	   *visible;		/* StewardIndex * */
	List	   *masked;			/* OIDs of indexes of tables and partitions */
	StewardLook look;			/* or NULL */
	void	   *look_arg;
	List	   *tables;			/* StewardPlannedTable *, of this plan */
} WhatIf;

/* State of this backend. */
static struct
{
	WhatIf	   *active;			/* NULL outside of our calls */
	bool		installed;
	build_table_hook_type previous_build_table;
	set_rel_pathlist_hook_type previous_set_rel_pathlist;
	get_index_stats_hook_type previous_get_index_stats;
}			whatif;

/* Does this planner call belong to us, and not to a function it evaluates? */
static bool
is_ours(PlannerInfo *root)
{
	return whatif.active != NULL &&
		root->glob->boundParams == whatif.active->params;
}

/* Leave out the existing indexes that are masked. */
static void
mask_indexes(RelOptInfo *rel)
{
	ListCell   *lc;

	if (whatif.active->masked == NIL)
		return;
	foreach(lc, rel->indexlist)
	{
		IndexOptInfo *info = lfirst(lc);

		if (list_member_oid(whatif.active->masked, info->indexoid))
			rel->indexlist = foreach_delete_current(rel->indexlist, lc);
	}
}

/* The part of a logical index that belongs to this table, or NULL. */
static const StewardIndexPart *
find_part(const StewardIndex *index, Oid relid)
{
	int			low = 0;
	int			high = index->nparts - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		const StewardIndexPart *part = &index->parts[middle];

		if (part->relid == relid)
			return part;
		if (part->relid < relid)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

/*
 * Expressions of the index as those of this entry of the range table: with the
 * partition's column numbers, and its varno.
 */
static List *
expressions_of(List *exprs, const StewardIndexPart *part, Index varno)
{
	List	   *result = copyObject(exprs);

	if (result != NIL && part->attmap != NULL)
	{
		bool		whole_row;

		result = (List *) map_variable_attnos((Node *) result, 1, 0,
											  part->attmap, InvalidOid,
											  &whole_row);
	}
	if (result != NIL && varno != 1)
		ChangeVarNodes((Node *) result, 1, varno, 0);
	return result;
}

/* What the planner copies from the access method's table of functions. */
static void
fill_access_method(IndexOptInfo *info, Relation table)
{
	const IndexAmRoutine *am = GetIndexAmRoutineByAmId(info->relam, false);

	info->amcanorderbyop = am->amcanorderbyop;
	info->amoptionalkey = am->amoptionalkey;
	info->amsearcharray = am->amsearcharray;
	info->amsearchnulls = am->amsearchnulls;
	info->amcanparallel = am->amcanparallel;
	info->amhasgettuple = am->amgettuple != NULL;
	info->amhasgetbitmap = am->amgetbitmap != NULL &&
		STEWARD_TABLE_HAS_BITMAP_SCAN(table);
	info->amcanmarkpos = am->ammarkpos != NULL && am->amrestrpos != NULL;
	info->amcostestimate = am->amcostestimate;
}

/* Columns, operator families and directions. */
static void
fill_columns(IndexOptInfo *info, const StewardIndex *index,
			 const StewardIndexPart *part)
{
	bool		btree = index->am == BTREE_AM_OID;

	info->ncolumns = index->ncolumns;
	info->nkeycolumns = index->nkeys;
	info->indexkeys = palloc(index->ncolumns * sizeof(int));
	info->canreturn = palloc(index->ncolumns * sizeof(bool));
	info->opclassoptions = palloc0(index->ncolumns * sizeof(bytea *));
	for (int i = 0; i < index->ncolumns; i++)
	{
		AttrNumber	attnum = index->attnums[i];

		if (attnum > 0 && part->attmap != NULL)
			attnum = part->attmap->attnums[attnum - 1];
		info->indexkeys[i] = attnum;
		info->canreturn[i] = btree;
	}

	info->indexcollations = palloc(index->nkeys * sizeof(Oid));
	info->opfamily = palloc(index->nkeys * sizeof(Oid));
	info->opcintype = palloc(index->nkeys * sizeof(Oid));
	for (int i = 0; i < index->nkeys; i++)
	{
		info->indexcollations[i] = index->collation[i];
		info->opfamily[i] = index->opfamily[i];
		info->opcintype[i] = index->opcintype[i];
	}

	if (btree)
	{
		info->sortopfamily = info->opfamily;
		info->reverse_sort = palloc(index->nkeys * sizeof(bool));
		info->nulls_first = palloc(index->nkeys * sizeof(bool));
		for (int i = 0; i < index->nkeys; i++)
		{
			info->reverse_sort[i] = (index->options[i] & INDOPTION_DESC) != 0;
			info->nulls_first[i] =
				(index->options[i] & INDOPTION_NULLS_FIRST) != 0;
		}
	}
}

/*
 * Target list of the index: its columns, as the plan of an index-only scan
 * refers to them.
 */
static List *
index_targetlist(const IndexOptInfo *info, Relation table, Index varno)
{
	TupleDesc	desc = RelationGetDescr(table);
	ListCell   *next_expr = list_head(info->indexprs);
	List	   *result = NIL;

	for (int i = 0; i < info->ncolumns; i++)
	{
		AttrNumber	attnum = info->indexkeys[i];
		Expr	   *expr;

		if (attnum != 0)
		{
			Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);

			expr = (Expr *) makeVar(varno, attnum, att->atttypid,
									att->atttypmod, att->attcollation, 0);
		}
		else
		{
			expr = lfirst(next_expr);
			next_expr = lnext(info->indexprs, next_expr);
		}
		result = lappend(result, makeTargetEntry(expr, i + 1, NULL, false));
	}
	return result;
}

/* Columns that this partition has: one may be missing after a race. */
static bool
has_columns(const IndexOptInfo *info, Relation table)
{
	for (int i = 0; i < info->ncolumns; i++)
	{
		AttrNumber	attnum = info->indexkeys[i];

		if (attnum < 0 || attnum > RelationGetNumberOfAttributes(table) ||
			(attnum > 0 &&
			 TupleDescAttr(RelationGetDescr(table), attnum - 1)->attisdropped))
			return false;
	}
	return true;
}

/*
 * What the planner would know about this index of the table if it existed.
 */
static IndexOptInfo *
make_index_info(const StewardIndex *index, const StewardIndexPart *part,
				RelOptInfo *rel, Relation table)
{
	IndexOptInfo *info = makeNode(IndexOptInfo);

	info->indexoid = STEWARD_INDEX_OID(index->id);
	info->reltablespace = InvalidOid;
	info->rel = rel;
	info->relam = index->am;
	info->pages = Max(part->pages, 1);
	info->tuples = index->predicate == NIL ? rel->tuples :
		Min(part->tuples, rel->tuples);
	info->tree_height = part->tree_height;
	fill_columns(info, index, part);
	if (!has_columns(info, table))
		return NULL;
	fill_access_method(info, table);
	info->indexprs = expressions_of(index->exprs, part, rel->relid);
	info->indpred = expressions_of(index->predicate, part, rel->relid);
	info->indextlist = index_targetlist(info, table, rel->relid);
	info->immediate = true;
	info->hypothetical = true;
	return info;
}

/*
 * Hook: the planner has read the catalogs about a table.  Hypothetical indexes
 * go to the end of the list, so that of two that cost the same an existing one
 * is taken.
 */
static void
add_indexes(BUILD_TABLE_PARAMS)
{
	Relation	table = NULL;
	Oid			relid;
	ListCell   *lc;

	if (whatif.previous_build_table)
		whatif.previous_build_table(BUILD_TABLE_ARGS);
	relid = BUILD_TABLE_OID;
	if (!is_ours(root) || !OidIsValid(relid))
		return;
	mask_indexes(rel);
	if (BUILD_TABLE_IS_PARENT)
		return;

	foreach(lc, whatif.active->visible)
	{
		const StewardIndex *index = lfirst(lc);
		const StewardIndexPart *part = find_part(index, relid);
		IndexOptInfo *info;

		if (part == NULL)
			continue;
		if (table == NULL)
			table = table_open(relid, NoLock);
		info = make_index_info(index, part, rel, table);
		if (info != NULL)
			rel->indexlist = lappend(rel->indexlist, info);
	}
	if (table != NULL)
		table_close(table, NoLock);
}

/* Hook: the planner has found its paths for a table. */
static void
look_at_rel(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	StewardPlannedTable *table;

	if (whatif.previous_set_rel_pathlist)
		whatif.previous_set_rel_pathlist(root, rel, rti, rte);
	if (!is_ours(root))
		return;
	table = palloc(sizeof(StewardPlannedTable));
	table->root = root;
	table->rel = rel;
	whatif.active->tables = lappend(whatif.active->tables, table);
	if (whatif.active->look != NULL)
		whatif.active->look(root, rel, rte, whatif.active->look_arg);
}

/*
 * Hook: the planner wants statistics of an index's expression.
 */
static bool
tell_statistics(PlannerInfo *root, Oid indexid, AttrNumber column,
				VariableStatData *vardata)
{
	ListCell   *lc;

	if (is_ours(root))
		foreach(lc, whatif.active->visible)
		{
			const StewardIndex *index = lfirst(lc);
			const StewardIndexPart *part = index->parts;

			if (STEWARD_INDEX_OID(index->id) != indexid || index->nparts == 0)
				continue;
			if (vardata->rel != NULL && IS_SIMPLE_REL(vardata->rel))
				part = find_part(index, planner_rt_fetch(vardata->rel->relid,
														 root)->relid);
			vardata->statsTuple = part == NULL ? NULL :
				steward_expression_tuple(indexid, column, index, part);
			vardata->freefunc = heap_freetuple;

			/* there are values in it only if the caller may read the table */
			vardata->acl_ok = true;
			return true;
		}
	return whatif.previous_get_index_stats != NULL &&
		whatif.previous_get_index_stats(root, indexid, column, vardata);
}

/* Put ourselves in front of the hooks, once in a session. */
static void
install_hooks(void)
{
	if (whatif.installed)
		return;
	whatif.previous_build_table = build_table_hook;
	build_table_hook = add_indexes;
	whatif.previous_set_rel_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = look_at_rel;
	whatif.previous_get_index_stats = get_index_stats_hook;
	get_index_stats_hook = tell_statistics;
	whatif.installed = true;
}

/* Indexes of partitions of those given, and these. */
static List *
expand_masked(List *masked)
{
	List	   *result = list_copy(masked);
	ListCell   *lc;

	foreach(lc, masked)
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_INDEX)
			result = list_concat(result,
								 find_all_inheritors(lfirst_oid(lc), NoLock,
													 NULL));
	return result;
}

/*
 * Plan the query under these circumstances.  The planner scribbles on its
 * input and leaves much behind: it gets a copy and a context of its own.
 */
static void
plan_query(Query *query, int cursor_options, WhatIf *call,
		   StewardPlan *result)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "pg_steward what-if",
												  ALLOCSET_DEFAULT_SIZES);
	WhatIf	   *outer = whatif.active;
	PlannedStmt *plan = NULL;

	if (query->commandType == CMD_UTILITY)
		elog(ERROR, "utility statements have no plan");
	install_hooks();
	MemoryContextSwitchTo(context);
	if (call->params == NULL)
		call->params = makeParamList(0);
	call->masked = expand_masked(call->masked);

	PG_TRY();
	{
		whatif.active = call;
		plan = STEWARD_STANDARD_PLANNER(copyObject(query), cursor_options,
										call->params);
	}
	PG_FINALLY();
	{
		whatif.active = outer;
	}
	PG_END_TRY();

	MemoryContextSwitchTo(caller);
	if (result != NULL)
		steward_plan_summarize(plan, call->tables, result);
	MemoryContextDelete(context);
}

/*
 * See hypothetical.h.
 */
void
steward_whatif_plan(Query *query, int cursor_options, ParamListInfo params,
					List *visible, List *masked, StewardPlan *result)
{
	WhatIf		call = {params, visible, masked, NULL, NULL, NIL};
	ListCell   *lc;

	foreach(lc, visible)
	{
		StewardIndex *index = lfirst(lc);

		if (!index->estimated || index->id < 1 ||
			index->id > STEWARD_INDEX_MAX_ID)
			elog(ERROR, "hypothetical index %d is not ready to be planned with",
				 index->id);
	}
	plan_query(query, cursor_options, &call, result);
}

/*
 * See hypothetical.h.  "look" runs in the planner's memory context.
 */
void
steward_whatif_look(Query *query, int cursor_options, ParamListInfo params,
					StewardLook look, void *arg, StewardPlan *result)
{
	WhatIf		call = {params, NIL, NIL, look, arg, NIL};

	plan_query(query, cursor_options, &call, result);
}
