/*-------------------------------------------------------------------------
 *
 * droppable.c
 *	  get_droppable_indexes(): existing indexes that can go.
 *
 * An index is a candidate if it only serves speed: not unique, behind no
 * constraint, not the replica identity, no part of a partitioned index, and
 * not the last one that supports a foreign key, whose checks the workload
 * does not show.  It is then hidden from the planner, together with those that
 * were found droppable before it, and each statement that uses it is planned
 * anew.  If none gets more expensive, it can go.
 *
 * An index that no statement of the workload uses may serve one that is not
 * tracked.  Such an index is reported only if another one does all that it
 * does, or if it was never scanned in a time that is long enough.
 *
 * The biggest are tried first, so that of two that could replace each other
 * the smaller one stays.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/query.h"
#include "base/rows.h"
#include "advisor/advice.h"
#include "advisor/hypothetical.h"
#include "advisor/param_classes.h"
#include "advisor/suggest.h"

PG_FUNCTION_INFO_V1(pg_steward_droppable_indexes);

/* A statement may get more expensive by this share. */
#define COST_TOLERANCE 0.005

/* Statements shown as evidence, at most. */
#define MAX_EVIDENCE 20

/* Indexes that are locked at the same time, at most. */
#define MAX_LOCKED 64

/* What a statement costs with the indexes not dropped so far. */
typedef struct Use
{
	StewardStatement *statement;
	double		cost;
	List	   *indexes;		/* OIDs in its plan */
	double		other_cost;		/* of the trial under way */
	List	   *other_indexes;
} Use;

/* An index that might go. */
typedef struct Existing
{
	Oid			oid;
	Oid			table;
	char	   *schema_name;
	char	   *table_name;
	char	   *index_name;
	double		bytes;
	int64		scans;
	double		counted_days;	/* age of the counter; 0: not known */
	List	   *foreign_keys;	/* OIDs of those it supports */
	StewardIndex *index;
	bool		dropped;
} Existing;

/* A run. */
typedef struct Trial
{
	StewardWorkload *workload;
	MemoryContext context;
	List	   *visible;		/* suggestions assumed to be built */
	List	   *masked;			/* OIDs */
	int			nuses;
	Use		   *uses;
	int			nexisting;
	Existing   *existing;
	Use		   *current;		/* statement being visited */
	int			ndescribed;		/* of existing */
} Trial;

/*
 * Indexes that only serve speed, the biggest first, and the foreign keys whose
 * columns they begin with.  Those of partitions count with their parent.
 */
static const char existing_sql[] = STEWARD_SELECT
"i.indexrelid, i.indrelid, n.nspname::text, t.relname::text, x.relname::text,"
" p.pages * current_setting('block_size')::float8, p.scans,"
" coalesce((SELECT extract(epoch FROM clock_timestamp() - pg_stat_get_db_stat_reset_time(d.oid))::float8 / 86400"
"  FROM pg_database d WHERE d.datname = current_database()), 0),"
" (SELECT array_agg(k.oid) FROM pg_constraint k"
"  WHERE k.conrelid = i.indrelid AND k.contype = 'f' AND i.indpred IS NULL"
"  AND (SELECT array_agg(u.a ORDER BY u.a) FROM unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) u(a))"
"    = (SELECT array_agg(c.a ORDER BY c.a) FROM unnest(k.conkey) c(a)))"
" FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid"
" JOIN pg_class t ON t.oid = i.indrelid"
" JOIN pg_namespace n ON n.oid = t.relnamespace,"
" LATERAL (WITH RECURSIVE part AS (SELECT i.indexrelid AS oid UNION ALL"
"   SELECT h.inhrelid FROM pg_inherits h, part WHERE h.inhparent = part.oid)"
"  SELECT sum(c.relpages)::float8 AS pages,"
"  sum(pg_stat_get_numscans(c.oid))::bigint AS scans"
"  FROM part JOIN pg_class c ON c.oid = part.oid) p"
" WHERE i.indisvalid AND i.indisready AND i.indislive"
" AND t.relkind IN ('r', 'p', 'm') AND t.relpersistence <> 't'"
" AND NOT x.relispartition AND i.indexrelid >= 16384"
" AND (%s OR pg_has_role(t.relowner, 'USAGE'))"
" ORDER BY p.pages DESC, i.indexrelid DESC";

/* May this index go as far as the catalogs are concerned? */
static const char eligible_sql[] = STEWARD_SELECT
"i.indexrelid FROM pg_index i WHERE NOT i.indisunique AND NOT i.indisprimary"
" AND NOT i.indisexclusion AND NOT i.indisreplident AND NOT i.indisclustered"
" AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)"
" AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
"  AND d.objid = i.indexrelid AND d.deptype = 'e')"
" AND i.indexrelid >= 16384";

/* Value of a column of the latest result, which may not be null. */
static Datum
value_of(uint64 row, int column)
{
	bool		isnull;

	return steward_query_value(row, column, &isnull);
}

/*
 * Load all indexes; those that may not go at all are marked as such by a
 * negative number of scans.
 */
static void
load_existing(Trial *trial)
{
	uint64		nrows = steward_query_select(psprintf(existing_sql,
													  trial->workload->reads_all ? "true" : "false"),
											 0, NULL, NULL);
	MemoryContext old = MemoryContextSwitchTo(trial->context);
	List	   *eligible = NIL;

	trial->nexisting = nrows;
	trial->existing = palloc_extended(Max(nrows, 1) * sizeof(Existing),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 row = 0; row < nrows; row++)
	{
		Existing   *it = &trial->existing[row];
		bool		isnull;
		Datum		keys;

		it->oid = DatumGetObjectId(value_of(row, 1));
		it->table = DatumGetObjectId(value_of(row, 2));
		it->schema_name = TextDatumGetCString(value_of(row, 3));
		it->table_name = TextDatumGetCString(value_of(row, 4));
		it->index_name = TextDatumGetCString(value_of(row, 5));
		it->bytes = DatumGetFloat8(value_of(row, 6));
		it->scans = DatumGetInt64(value_of(row, 7));
		it->counted_days = DatumGetFloat8(value_of(row, 8));
		keys = steward_query_value(row, 9, &isnull);
		if (!isnull)
		{
			Datum	   *values;
			int			n;

			deconstruct_array(DatumGetArrayTypeP(keys), OIDOID, sizeof(Oid),
							  true, TYPALIGN_INT, &values, NULL, &n);
			for (int i = 0; i < n; i++)
				it->foreign_keys = lappend_oid(it->foreign_keys,
											   DatumGetObjectId(values[i]));
		}
	}
	MemoryContextSwitchTo(old);

	nrows = steward_query_select(eligible_sql, 0, NULL, NULL);
	for (uint64 row = 0; row < nrows; row++)
		eligible = lappend_oid(eligible, DatumGetObjectId(value_of(row, 1)));
	list_sort(eligible, list_oid_cmp);
	for (int i = 0; i < trial->nexisting; i++)
	{
		if (!list_member_oid(eligible, trial->existing[i].oid))
			trial->existing[i].scans = -1;
	}
}

/* Plan a query of the statement under visit, with values of its parameters. */
static void
plan_class(Trial *trial, Query *query, const StewardParamClass *class)
{
	Use		   *use = trial->current;
	StewardPlan plan = {0};
	MemoryContext old;

	steward_whatif_plan(query, query->commandType == CMD_SELECT ?
						CURSOR_OPT_PARALLEL_OK : 0, class->params,
						trial->visible, trial->masked, &plan);
	use->other_cost += class->share * plan.total_cost;
	old = MemoryContextSwitchTo(trial->context);
	use->other_indexes = list_concat_unique_oid(use->other_indexes,
												plan.used_existing);
	MemoryContextSwitchTo(old);
}

/* Plan the statement under visit with what is visible and masked now. */
static void
plan_visit(StewardStatement *statement, List *queries, void *arg)
{
	Trial	   *trial = arg;
	Use		   *use = trial->current;
	StewardParamClasses classes;
	ListCell   *lc;

	steward_param_classes(statement, queries, 0, &classes);
	if (classes.steady == NULL)
	{
		/* a guess of values must not tell what can go */
		classes.count = 1;
		classes.list[0].params = NULL;
		classes.list[0].share = 1;
	}
	use->other_cost = 0;
	use->other_indexes = NIL;
	foreach(lc, queries)
	{
		for (int i = 0; i < classes.count; i++)
			plan_class(trial, lfirst_node(Query, lc), &classes.list[i]);
	}
}

/* Plan all statements as things are. */
static void
load_uses(Trial *trial)
{
	trial->uses = MemoryContextAllocExtended(trial->context,
											 Max(trial->workload->nstatements, 1) * sizeof(Use),
											 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < trial->workload->nstatements; i++)
	{
		Use		   *use = &trial->uses[trial->nuses];

		trial->current = use;
		use->statement = &trial->workload->statements[i];
		if (!steward_statement_visit(trial->workload, use->statement,
									 plan_visit, trial))
			continue;
		use->cost = use->other_cost;
		use->indexes = use->other_indexes;
		trial->nuses++;
	}
}

/*
 * Would a foreign key lose its last index?
 */
static bool
supports_foreign_key(Trial *trial, Existing *index)
{
	ListCell   *lc;

	foreach(lc, index->foreign_keys)
	{
		bool		other = false;

		for (int i = 0; i < trial->nexisting && !other; i++)
		{
			Existing   *it = &trial->existing[i];

			other = it != index && !it->dropped &&
				list_member_oid(it->foreign_keys, lfirst_oid(lc));
		}
		if (!other)
			return true;
	}
	return false;
}

/* Read the descriptions of some indexes; those that are locked have none. */
static void
describe(void *arg)
{
	Trial	   *trial = arg;
	MemoryContext old = MemoryContextSwitchTo(trial->context);
	int			end = Min(trial->ndescribed + MAX_LOCKED, trial->nexisting);

	while (trial->ndescribed < end)
	{
		Existing   *it = &trial->existing[trial->ndescribed++];

		CHECK_FOR_INTERRUPTS();
		if (ConditionalLockRelationOid(it->table, AccessShareLock) &&
			ConditionalLockRelationOid(it->oid, AccessShareLock))
			it->index = steward_index_from_existing(it->oid);
	}
	MemoryContextSwitchTo(old);
}

/* Another index that does all that this one does, or NULL. */
static Existing *
find_covering(Trial *trial, Existing *index)
{
	for (int i = 0; i < trial->nexisting; i++)
	{
		Existing   *it = &trial->existing[i];

		if (it != index && !it->dropped && it->table == index->table &&
			it->index && index->index &&
			steward_index_covers(it->index, index->index))
			return it;
	}
	return NULL;
}

/*
 * Hide an index and plan the statements that use it.  False if one of them
 * would get more expensive, or cannot be planned any more.
 */
static bool
try_without(Trial *trial, Existing *index, int *nusers)
{
	bool		ok = true;

	*nusers = 0;
	trial->masked = lappend_oid(trial->masked, index->oid);
	for (int i = 0; i < trial->nuses && ok; i++)
	{
		Use		   *use = &trial->uses[i];

		if (!list_member_oid(use->indexes, index->oid))
			continue;
		(*nusers)++;
		trial->current = use;
		ok = steward_statement_visit(trial->workload, use->statement,
									 plan_visit, trial) &&
			use->other_cost <= use->cost * (1 + COST_TOLERANCE);
	}
	if (!ok)
		trial->masked = list_delete_last(trial->masked);
	return ok;
}

/* The plans of those that used an index, as jsonb. */
static Datum
evidence(Trial *trial, Existing *index)
{
	StringInfoData json;
	int			n = 0;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (int i = 0; i < trial->nuses; i++)
	{
		Use		   *use = &trial->uses[i];

		if (!list_member_oid(use->indexes, index->oid))
			continue;
		if (n++ < MAX_EVIDENCE)
			appendStringInfo(&json, "%s{\"queryid\":" INT64_FORMAT
							 ",\"calls_per_day\":%.0f,\"cost_with\":%.2f,\"cost_without\":%.2f}",
							 n > 1 ? "," : "", use->statement->queryid,
							 use->statement->calls, use->cost, use->other_cost);
		use->cost = use->other_cost;
		use->indexes = use->other_indexes;
	}
	appendStringInfoChar(&json, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* Days for which we know that an index was not scanned. */
static double
days_known(Trial *trial, Existing *index)
{
	return index->counted_days > 0 ?
		Min(index->counted_days, trial->workload->days) : trial->workload->days;
}

/*
 * Decide about one index; true, with the reason and all, if it can go.
 */
static bool
is_droppable(Trial *trial, Existing *index, double min_days,
			 char **reason, int *nusers)
{
	Existing   *covering;

	if (index->scans < 0 || index->index == NULL ||
		supports_foreign_key(trial, index))
		return false;
	covering = find_covering(trial, index);
	*nusers = 0;
	for (int i = 0; i < trial->nuses; i++)
		*nusers += list_member_oid(trial->uses[i].indexes, index->oid);
	if (covering == NULL && *nusers == 0 &&
		(index->scans > 0 || days_known(trial, index) < min_days))
		return false;
	if (!try_without(trial, index, nusers))
		return false;

	if (covering && steward_index_covers(index->index, covering->index))
		*reason = psprintf("the same as %s", quote_identifier(covering->index_name));
	else if (covering)
		*reason = psprintf("%s does all that it does",
						   quote_identifier(covering->index_name));
	else if (*nusers > 0)
		*reason = psprintf("%d statements use it, and are as fast with other indexes",
						   *nusers);
	else
		*reason = psprintf("no scan in %.1f days, and no plan of the workload uses it",
						   days_known(trial, index));
	return true;
}

/*
 * Suggestions that are to be assumed built.
 */
static List *
suggested(StewardWorkload *workload)
{
	StewardAdvice *advice =
		steward_advice_create(workload, get_float8_infinity(),
							  STEWARD_MAX_INDEXES, STEWARD_MIN_GAIN,
							  TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														  STEWARD_DEADLINE_MS));
	List	   *result = NIL;

	steward_advice_run(advice);
	for (int i = 0; i < advice->nchosen; i++)
		result = lappend(result, advice->candidates[advice->chosen[i]].index);
	return result;
}

/* The only row if there are statements that the caller may not see. */
static void
skipped_row(StewardRows *rows)
{
	for (int i = 0; i < 6; i++)
		steward_rows_null(rows);
	steward_rows_text(rows, "skipped: needs pg_read_all_stats");
	steward_rows_null(rows);
	steward_rows_null(rows);
	steward_rows_end_row(rows);
}

/*
 * get_droppable_indexes(min_age interval, with_suggestions bool); columns as
 * declared in 34_advisor.sql.
 */
Datum
pg_steward_droppable_indexes(PG_FUNCTION_ARGS)
{
	char	   *search_path = pstrdup(namespace_search_path);
	double		min_days = PG_ARGISNULL(0) ? 0 :
		steward_interval_ms(PG_GETARG_INTERVAL_P(0)) / (1000.0 * SECS_PER_DAY);
	Trial		trial = {0};
	StewardQueryScope scope;
	StewardRows rows;

	if (min_days < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"min_age\" must not be negative")));
	steward_rows_begin(&rows, fcinfo);
	trial.context = CurrentMemoryContext;
	steward_query_begin(&scope);
	trial.workload = steward_workload_load(search_path);
	if (trial.workload->nhidden > 0)
	{
		skipped_row(&rows);
		steward_query_end(&scope);
		return (Datum) 0;
	}
	if (!PG_ARGISNULL(1) && PG_GETARG_BOOL(1))
		trial.visible = suggested(trial.workload);
	load_existing(&trial);
	while (trial.ndescribed < trial.nexisting)
		steward_advice_apart(describe, &trial);
	load_uses(&trial);
	for (int i = 0; i < trial.nexisting; i++)
	{
		Existing   *it = &trial.existing[i];
		char	   *reason;
		int			nusers;

		CHECK_FOR_INTERRUPTS();
		if (!is_droppable(&trial, it, min_days, &reason, &nusers))
			continue;
		it->dropped = true;
		steward_rows_text(&rows, it->schema_name);
		steward_rows_text(&rows, it->table_name);
		steward_rows_text(&rows, it->index_name);
		steward_rows_int64(&rows, (int64) it->bytes);
		steward_rows_int64(&rows, it->scans);
		steward_rows_int32(&rows, nusers);
		steward_rows_text(&rows, reason);
		steward_rows_text(&rows, psprintf("DROP INDEX %s%s",
										  it->index->partitioned ? "" : "CONCURRENTLY ",
										  quote_qualified_identifier(it->schema_name,
																	 it->index_name)));
		steward_rows_datum(&rows, evidence(&trial, it), false);
		steward_rows_end_row(&rows);
	}
	steward_query_end(&scope);
	return (Datum) 0;
}
