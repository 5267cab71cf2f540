/*-------------------------------------------------------------------------
 *
 * n_plus_one_report.c
 *	  get_n_plus_one_queries(): statements that are repeated where one would
 *	  do.
 *
 * Groups are those of all databases and roles.  Texts are looked up in
 * pg_stat_statements, if it is there; they are missing otherwise, and for
 * statements that it has evicted.  As in pg_stat_statements, which statements
 * other roles run is only for members of pg_read_all_stats.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/query.h"
#include "base/rows.h"
#include "base/shmem.h"
#include "base/statements.h"
#include "latency/n_plus_one_rule.h"

#define HIDDEN_TEXT "<insufficient privilege>"

PG_FUNCTION_INFO_V1(pg_steward_n_plus_one_queries);
PG_FUNCTION_INFO_V1(pg_steward_n_plus_one_pairs);
PG_FUNCTION_INFO_V1(pg_steward_n_plus_one_info);
PG_FUNCTION_INFO_V1(pg_steward_reset_n_plus_one);

/* Text of a statement, in the report's memory. */
typedef struct QueryText
{
	int64		queryid;
	Oid			database;
	char	   *text;
} QueryText;

typedef struct QueryTexts
{
	int			count;
	QueryText  *texts;
} QueryTexts;

/*
 * Look up the texts of candidates, cut to a length, 0 for all of it.
 */
static QueryTexts
read_texts(const StewardRepeatCandidate *candidates, int ncandidates,
		   int32 query_length)
{
	MemoryContext caller = CurrentMemoryContext;
	StewardQueryScope scope;
	QueryTexts	texts = {0};
	char	   *view;
	uint64		nrows;

	steward_query_begin(&scope);
	if (ncandidates > 0 && (view = steward_statements_find()) != NULL)
	{
		Oid			argtypes[2] = {INT8ARRAYOID, INT4OID};
		Datum		values[2];
		Datum	   *ids = palloc(2 * ncandidates * sizeof(Datum));

		for (int i = 0; i < ncandidates; i++)
		{
			ids[2 * i] = Int64GetDatum(candidates[i].row.repeat.sum.child);
			ids[2 * i + 1] = Int64GetDatum(candidates[i].row.repeat.sum.parent);
		}
		values[0] = PointerGetDatum(construct_array(ids, 2 * ncandidates, INT8OID,
													sizeof(int64), FLOAT8PASSBYVAL,
													TYPALIGN_DOUBLE));
		values[1] = Int32GetDatum(query_length);
		/* a text that pg_stat_statements could not read is null */
		if (!steward_statements_select(psprintf(STEWARD_SELECT
												"s.queryid, s.dbid, min(" STEWARD_SHORT_TEXT("s.query", "$2") ")"
												" FROM %s s WHERE s.queryid = ANY ($1)"
												"  AND s.query IS NOT NULL"
												" GROUP BY s.queryid, s.dbid",
												view),
									   2, argtypes, values, &nrows))
			nrows = 0;
		texts.count = nrows;
		texts.texts = MemoryContextAlloc(caller, (texts.count + 1) * sizeof(QueryText));
		for (int i = 0; i < texts.count; i++)
		{
			QueryText  *entry = &texts.texts[i];
			bool		isnull;
			char	   *query;

			entry->queryid = DatumGetInt64(steward_query_value(i, 1, &isnull));
			entry->database = DatumGetObjectId(steward_query_value(i, 2, &isnull));
			query = TextDatumGetCString(steward_query_value(i, 3, &isnull));
			entry->text = MemoryContextStrdup(caller, query);
		}
	}
	steward_query_end(&scope);
	return texts;
}

/* A text that was looked up, or NULL. */
static const char *
text_of(const QueryTexts *texts, Oid database, int64 queryid)
{
	for (int i = 0; i < texts->count; i++)
	{
		if (texts->texts[i].queryid == queryid &&
			texts->texts[i].database == database)
			return texts->texts[i].text;
	}
	return NULL;
}

static const char *
kind_name(StewardRepeatKind kind)
{
	switch (kind)
	{
		case STEWARD_REPEAT_N_PLUS_ONE:
			return "n_plus_one";
		case STEWARD_REPEAT_WRITE:
			return "row_by_row_write";
		case STEWARD_REPEAT_LOOKUP:
			return "repeated_lookup";
		case STEWARD_REPEAT_DUPLICATE:
			return "duplicate_query";
		case STEWARD_REPEAT_NONE:
			break;
	}
	return NULL;
}

/* What to try. */
static const char *
suggestion_of(const StewardRepeatCandidate *candidate)
{
	if (candidate->row.repeat.sum.flags & STEWARD_REPEAT_NESTED)
		return "candidate inside a function: replace the loop by one statement over the set of rows";
	switch (candidate->kind)
	{
		case STEWARD_REPEAT_N_PLUS_ONE:
			return "candidate: read all of it with the parent query (a join, or the eager loading of the ORM), or with one query for all keys (= ANY of an array)";
		case STEWARD_REPEAT_WRITE:
			return "candidate: write many rows by one statement (INSERT with several VALUES or unnest() of arrays, UPDATE or DELETE joined with them) or by COPY";
		case STEWARD_REPEAT_LOOKUP:
			return "candidate: read all keys by one query (= ANY of an array)";
		case STEWARD_REPEAT_DUPLICATE:
			return "candidate: the same question with the same values; ask once and keep the answer";
		case STEWARD_REPEAT_NONE:
			break;
	}
	return NULL;
}

/* A statement's text and whether it may be shown. */
static void
put_text(StewardRows *rows, const QueryTexts *texts, Oid database,
		 int64 queryid, bool visible)
{
	if (queryid == 0)
		steward_rows_null(rows);
	else
		steward_rows_text(rows, visible ? text_of(texts, database, queryid) :
						  HIDDEN_TEXT);
}

static void
put_queryid(StewardRows *rows, int64 queryid, bool visible)
{
	if (queryid == 0 || !visible)
		steward_rows_null(rows);
	else
		steward_rows_int64(rows, queryid);
}

static double
round_ms(int64 ns)
{
	return rint(ns / 1000.0) / 1000.0;
}

static void
put_candidate(StewardRows *rows, const StewardRepeatCandidate *candidate,
			  const QueryTexts *texts, bool visible)
{
	const StewardRepeat *repeat = &candidate->row.repeat;
	const StewardRepeatGroup *sum = &repeat->sum;

	steward_rows_text(rows, kind_name(candidate->kind));
	put_text(rows, texts, sum->database, sum->child, visible);
	put_text(rows, texts, sum->database, sum->parent, visible);
	steward_rows_int64(rows, repeat->groups);
	steward_rows_int64(rows, steward_repeat_median(repeat));
	steward_rows_int64(rows, repeat->max_executions);
	steward_rows_float8(rows, rint(100.0 * sum->rows / repeat->executions) / 100);
	if (sum->parent != 0)
		steward_rows_float8(rows, rint(100.0 * repeat->parent_rows_sum / repeat->groups) / 100);
	else
		steward_rows_null(rows);
	steward_rows_float8(rows, round_ms(sum->time_ns));
	steward_rows_float8(rows, round_ms(sum->saved_ns));
	steward_rows_bool(rows, (sum->flags & STEWARD_REPEAT_NESTED) != 0);
	steward_rows_text(rows, visible ? sum->application : NULL);
	steward_rows_text(rows, get_database_name(sum->database));
	steward_rows_text(rows, GetUserNameFromId(sum->role, true));
	steward_rows_timestamptz(rows, sum->first_seen);
	steward_rows_timestamptz(rows, sum->last_seen);
	steward_rows_text(rows, suggestion_of(candidate));
	put_queryid(rows, sum->child, visible);
	put_queryid(rows, sum->parent, visible);
	steward_rows_end_row(rows);
}

/* Order by what could be saved, then by time, most first. */
static int
compare_candidates(const void *a, const void *b)
{
	const StewardRepeatGroup *sa = &((const StewardRepeatCandidate *) a)->row.repeat.sum;
	const StewardRepeatGroup *sb = &((const StewardRepeatCandidate *) b)->row.repeat.sum;

	if (sa->saved_ns != sb->saved_ns)
		return sa->saved_ns > sb->saved_ns ? -1 : 1;
	if (sa->time_ns != sb->time_ns)
		return sa->time_ns > sb->time_ns ? -1 : 1;
	return 0;
}

/*
 * get_n_plus_one_queries(limit_count int, min_groups int, query_length int);
 * columns as declared in 12_n_plus_one.sql.
 */
Datum
pg_steward_n_plus_one_queries(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	StewardRepeatRow *pairs;
	StewardRepeatCandidate *candidates;
	QueryTexts	texts;
	Oid			viewer = GetUserId();
	bool		sees_all = has_privs_of_role(viewer, ROLE_PG_READ_ALL_STATS);
	int64		limit = steward_limit_arg(fcinfo, 0);
	int			min_groups = PG_ARGISNULL(1) ? 1 : PG_GETARG_INT32(1);
	int32		query_length = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	int			npairs;
	int			count;

	if (min_groups < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"min_groups\" must be positive")));
	if (query_length < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"query_length\" must not be negative"),
				 errhint("Use 0 for the whole text.")));
	steward_require_preload();

	steward_rows_begin(&rows, fcinfo);
	pairs = steward_repeat_read(&npairs);
	candidates = steward_repeat_candidates(pairs, npairs, min_groups, &count);
	qsort(candidates, count, sizeof(StewardRepeatCandidate), compare_candidates);
	count = Min(count, limit);
	texts = read_texts(candidates, count, query_length);
	for (int i = 0; i < count; i++)
		put_candidate(&rows, &candidates[i], &texts,
					  sees_all || candidates[i].row.repeat.sum.role == viewer);
	return (Datum) 0;
}

/*
 * steward.n_plus_one_pairs(): what is known about each pair, before it is
 * judged.
 */
Datum
pg_steward_n_plus_one_pairs(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	StewardRepeatRow *pairs;
	Oid			viewer = GetUserId();
	bool		sees_all = has_privs_of_role(viewer, ROLE_PG_READ_ALL_STATS);
	int			npairs;

	steward_require_preload();
	steward_rows_begin(&rows, fcinfo);
	pairs = steward_repeat_read(&npairs);
	for (int i = 0; i < npairs; i++)
	{
		const StewardRepeat *repeat = &pairs[i].repeat;
		const StewardRepeatGroup *sum = &repeat->sum;
		bool		visible = sees_all || sum->role == viewer;

		put_queryid(&rows, sum->child, visible);
		put_queryid(&rows, sum->parent, visible);
		steward_rows_int64(&rows, repeat->groups);
		steward_rows_int64(&rows, repeat->matched);
		steward_rows_int64(&rows, repeat->enclosed);
		steward_rows_int64(&rows, repeat->coherent);
		steward_rows_int64(&rows, repeat->executions);
		steward_rows_float8(&rows, repeat->ratio_sum / repeat->groups);
		steward_rows_float8(&rows, steward_repeat_deviation2(repeat));
		steward_rows_float8(&rows, steward_repeat_trigger_rate(&pairs[i]));
		steward_rows_int64(&rows, pairs[i].child.calls);
		steward_rows_int64(&rows, pairs[i].parent.calls);
		steward_rows_int64(&rows, pairs[i].parent.rows);
		steward_rows_int64(&rows, sum->sampled);
		steward_rows_int64(&rows, sum->distinct);
		steward_rows_float8(&rows, round_ms(sum->pause_ns));
		steward_rows_float8(&rows, round_ms(sum->saved_ns));
		steward_rows_int32(&rows, sum->flags);
		steward_rows_end_row(&rows);
	}
	return (Datum) 0;
}

/*
 * steward.n_plus_one_info(): how full the store is.
 */
Datum
pg_steward_n_plus_one_info(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	StewardRepeatInfo info;

	steward_require_preload();
	steward_rows_begin(&rows, fcinfo);
	steward_repeat_info(&info);
	steward_rows_int32(&rows, info.nodes);
	steward_rows_int32(&rows, info.max_nodes);
	steward_rows_int64(&rows, info.evictions);
	steward_rows_timestamptz(&rows, info.reset_at);
	steward_rows_end_row(&rows);
	return (Datum) 0;
}

/*
 * reset_n_plus_one(): forget all groups.
 */
Datum
pg_steward_reset_n_plus_one(PG_FUNCTION_ARGS)
{
	steward_require_preload();
	steward_repeat_reset();
	PG_RETURN_VOID();
}
