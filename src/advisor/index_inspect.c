/*-------------------------------------------------------------------------
 *
 * index_inspect.c
 *	  SQL functions that show what the advisor's parts think.
 *
 * They are internal, for tests and for finding out why an index is advised or
 * not: the candidates of a statement with what each alone would change, and the
 * models of size and cost beside an index that exists.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "nodes/nodes.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "storage/bufmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "advisor/candidates.h"
#include "advisor/hypothetical.h"
#include "advisor/index_size.h"
#include "base/compat.h"
#include "base/rows.h"

PG_FUNCTION_INFO_V1(pg_steward_index_candidates);
PG_FUNCTION_INFO_V1(pg_steward_index_model);
PG_FUNCTION_INFO_V1(pg_steward_index_whatif);

/*
 * Analyze and rewrite one statement that the planner takes.  Parameters ($1)
 * get the types that their use implies.
 */
static Query *
analyze_statement(const char *sql)
{
	List	   *raw = pg_parse_query(sql);
	Oid		   *types = NULL;
	int			ntypes = 0;
	List	   *queries;
	Query	   *query;

	if (list_length(raw) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("exactly one statement is expected")));
	queries = pg_analyze_and_rewrite_varparams(linitial(raw), sql, &types,
											   &ntypes, NULL);
	if (list_length(queries) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the statement is rewritten to %d statements",
						list_length(queries))));
	query = linitial(queries);
	if (query->commandType == CMD_UTILITY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("utility statements have no plan")));
	return query;
}

/*
 * index_candidates(query, constants) returns setof record: each candidate, what
 * the statement costs without it and with the candidates of its group alone.
 */
Datum
pg_steward_index_candidates(PG_FUNCTION_ARGS)
{
	char	   *sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			flags = PG_GETARG_BOOL(1) ? STEWARD_COLLECT_CONSTANTS : 0;
	StewardSizeCache *cache = steward_size_cache_create();
	Query	   *query = analyze_statement(sql);
	StewardRows rows;
	StewardPlan base;
	List	   *groups;
	ListCell   *lc;
	ListCell   *lc2;
	int			group = 0;

	steward_rows_begin(&rows, fcinfo);
	groups = steward_candidates_collect(cache, query, CURSOR_OPT_PARALLEL_OK,
										NULL, flags, &base);
	foreach(lc, groups)
	{
		StewardPlan plan;
		int			id = 0;

		group++;
		foreach(lc2, (List *) lfirst(lc))
			((StewardIndex *) lfirst(lc2))->id = ++id;
		steward_whatif_plan(query, CURSOR_OPT_PARALLEL_OK, NULL, lfirst(lc),
							NIL, &plan);
		foreach(lc2, (List *) lfirst(lc))
		{
			StewardIndex *index = lfirst(lc2);

			steward_rows_int32(&rows, group);
			steward_rows_oid(&rows, index->relid);
			steward_rows_text(&rows, steward_index_definition(index, false));
			steward_rows_text(&rows, steward_index_definition(index, true));
			steward_rows_float8(&rows, STEWARD_INDEX_BYTES(index));
			steward_rows_float8(&rows, base.total_cost);
			steward_rows_float8(&rows, plan.total_cost);
			steward_rows_float8(&rows, plan.full_cost);
			steward_rows_bool(&rows, bms_is_member(index->id, plan.used));
			steward_rows_int32(&rows, plan.risks);
			steward_rows_end_row(&rows);
		}
	}
	return (Datum) 0;
}

/* The description of an existing index, as if it did not exist. */
static StewardIndex *
describe_index(Oid indexid)
{
	StewardIndex *index;
	char		kind = get_rel_relkind(indexid);

	if (kind != RELKIND_INDEX && kind != RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index", get_rel_name(indexid))));
	index = steward_index_from_existing(indexid);
	if (index == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", get_rel_name(indexid))));
	index->existing = InvalidOid;
	index->unique = false;
	return index;
}

/*
 * index_model(regclass) returns record: the size of an existing index beside
 * that which the advisor would have expected of it.
 */
Datum
pg_steward_index_model(PG_FUNCTION_ARGS)
{
	Oid			indexid = PG_GETARG_OID(0);
	StewardIndex *index = describe_index(indexid);
	StewardRows rows;
	double		pages = 0;
	double		tuples = 0;
	int			height = -1;

	if (!index->partitioned)
	{
		Relation	relation = index_open(indexid, AccessShareLock);

		pages = RelationGetNumberOfBlocks(relation);
		tuples = relation->rd_rel->reltuples;
		if (index->am == BTREE_AM_OID)
			height = _bt_getrootheight(relation);
		index_close(relation, AccessShareLock);
	}
	steward_index_estimate(steward_size_cache_create(), index);

	steward_rows_begin(&rows, fcinfo);
	steward_rows_text(&rows, steward_index_definition(index, false));
	steward_rows_float8(&rows, pages * BLCKSZ);
	steward_rows_float8(&rows, STEWARD_INDEX_BYTES(index));
	steward_rows_float8(&rows, tuples);
	steward_rows_float8(&rows, index->tuples);
	steward_rows_int32(&rows, height);
	steward_rows_int32(&rows, index->nparts > 0 ?
					   index->parts[0].tree_height : -1);
	steward_rows_end_row(&rows);
	return (Datum) 0;
}

/*
 * index_whatif(query, regclass) returns record: what a statement costs with an
 * existing index, without it, and with a hypothetical copy in its place.
 */
Datum
pg_steward_index_whatif(PG_FUNCTION_ARGS)
{
	char	   *sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid			indexid = PG_GETARG_OID(1);
	StewardIndex *index = describe_index(indexid);
	Query	   *query = analyze_statement(sql);
	List	   *masked = list_make1_oid(indexid);
	StewardPlan real;
	StewardPlan without;
	StewardPlan hypothetical;
	StewardRows rows;

	index->id = 1;
	steward_index_estimate(steward_size_cache_create(), index);
	steward_whatif_plan(query, CURSOR_OPT_PARALLEL_OK, NULL, NIL, NIL, &real);
	steward_whatif_plan(query, CURSOR_OPT_PARALLEL_OK, NULL, NIL, masked,
						&without);
	steward_whatif_plan(query, CURSOR_OPT_PARALLEL_OK, NULL,
						list_make1(index), masked, &hypothetical);

	steward_rows_begin(&rows, fcinfo);
	steward_rows_float8(&rows, real.total_cost);
	steward_rows_float8(&rows, without.total_cost);
	steward_rows_float8(&rows, hypothetical.total_cost);
	steward_rows_bool(&rows, list_member_oid(real.used_existing, indexid));
	steward_rows_bool(&rows, bms_is_member(1, hypothetical.used));
	steward_rows_end_row(&rows);
	return (Datum) 0;
}
