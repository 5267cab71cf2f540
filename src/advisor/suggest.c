/*-------------------------------------------------------------------------
 *
 * suggest.c
 *	  get_index_suggestions() and what goes with it.
 *
 * Suggestions are computed anew by each call; nothing is stored, so that they
 * work on a standby as well.  Only the statements behind the latest
 * suggestions are remembered by the session, for
 * get_index_suggestion_queries(), and only for the role that asked.
 *
 * Constants never appear in the results: statements are shown as
 * pg_stat_statements has them, to whom it shows them.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "catalog/pg_am.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/query.h"
#include "base/rows.h"
#include "advisor/advice.h"
#include "advisor/suggest.h"

PG_FUNCTION_INFO_V1(pg_steward_index_suggestions);
PG_FUNCTION_INFO_V1(pg_steward_index_suggestion_queries);
PG_FUNCTION_INFO_V1(pg_steward_index_advisor_skipped);

/* Statements that are shown and remembered for one suggestion, at most. */
#define MAX_EVIDENCE 20

/* Bytes of texts that a session remembers, at most. */
#define MAX_REMEMBERED (4 * 1024 * 1024)

/* Queries of the caller's for which the reason is told, at most. */
#define MAX_NOTICES 10

/* A statement behind a suggestion. */
typedef struct Remembered
{
	int			rank;
	int64		queryid;
	double		calls;			/* a day */
	double		before_ms;		/* for one call */
	double		after_ms;
	char	   *text;
} Remembered;

/* What the session remembers of its latest suggestions. */
static struct
{
	MemoryContext context;
	Oid			role;
	List	   *statements;		/* of Remembered */
	Size		bytes;
}			latest;

/*
 * Round to three decimals, as all times of reports are.
 */
double
steward_rounded(double value)
{
	return rint(value * 1000) / 1000;
}

/*
 * A share in percent, with two decimals; 0 of nothing.
 */
double
steward_percentage(double part, double whole)
{
	return whole > 0 ? rint(part / whole * 10000) / 100 : 0;
}

/* Raise an error about an argument. */
static void
refuse_argument(const char *name, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for argument \"%s\"", name),
			 errhint("%s", hint)));
}

/*
 * Milliseconds of an interval argument.
 */
double
steward_interval_ms(Interval *interval)
{
	return ((interval->month * (double) DAYS_PER_MONTH + interval->day) *
			SECS_PER_DAY) * 1000.0 + interval->time / 1000.0;
}

/*
 * Fill in what a caller may ask for; the arguments start with max_bytes at
 * position 0, null means the default or no limit.  Errors are raised for what
 * makes no sense.
 */
static StewardAdvice *
create_from_arguments(FunctionCallInfo fcinfo, StewardWorkload *workload)
{
	double		max_bytes = PG_ARGISNULL(0) ? get_float8_infinity() :
		(double) PG_GETARG_INT64(0);
	int			max_indexes = PG_ARGISNULL(1) ? PG_INT32_MAX : PG_GETARG_INT32(1);
	double		min_gain_pct = PG_ARGISNULL(2) ? 0 : PG_GETARG_FLOAT8(2);
	double		ms = PG_ARGISNULL(3) ? 1000.0 * SECS_PER_DAY :
		steward_interval_ms(PG_GETARG_INTERVAL_P(3));

	if (max_bytes < 0)
		refuse_argument("max_bytes", "It is the disk space for all new indexes, NULL for no limit.");
	if (max_indexes < 0)
		refuse_argument("max_indexes", "Use NULL for no limit.");
	if (!(min_gain_pct >= 0 && min_gain_pct <= 100))
		refuse_argument("min_gain_pct", "It is the share of the time of all statements that an index has to save, 0 to 100.");
	if (!(ms > 0))
		refuse_argument("deadline", "It is the time after which the best set so far is returned, and must be positive.");
	if (workload == NULL)
		return NULL;			/* checked only */
	return steward_advice_create(workload, max_bytes, max_indexes,
								 min_gain_pct / 100,
								 GetCurrentTimestamp() +
								 (int64) Min(ms, 1000.0 * SECS_PER_DAY) * 1000);
}

/*
 * The workload a caller means: his queries (arguments 4 and 5) or that of
 * pg_stat_statements.
 */
static StewardWorkload *
workload_from_arguments(FunctionCallInfo fcinfo, const char *search_path)
{
	if (PG_ARGISNULL(4) && !PG_ARGISNULL(5))
		refuse_argument("weights", "Weights belong to the argument \"queries\".");
	if (PG_ARGISNULL(4))
		return steward_workload_load(search_path);
	return steward_workload_from_array(search_path, PG_GETARG_ARRAYTYPE_P(4),
									   PG_ARGISNULL(5) ? NULL : PG_GETARG_ARRAYTYPE_P(5));
}

/* Append a part of a sentence. */
static void
append_part(StringInfo text, const char *part)
{
	appendStringInfo(text, "%s%s", text->len > 0 ? ", " : "", part);
}

/*
 * Why an index is suggested, and what might make it worse than it looks.
 */
static char *
reason_text(const StewardCandidate *candidate, uint32 risks, int together)
{
	static const struct
	{
		uint32		why;
		const char *text;
	}			parts[] =
	{
		{STEWARD_WHY_EQUALITY, "finds rows by equality"},
		{STEWARD_WHY_RANGE, "finds rows by range"},
		{STEWARD_WHY_JOIN, "finds rows of a join"},
		{STEWARD_WHY_CONTAINS, "finds what values contain"},
		{STEWARD_WHY_CORRELATED, "skips blocks, as values follow the order of the table"},
		{STEWARD_WHY_NEAREST, "delivers the nearest first"},
		{STEWARD_WHY_LIMIT, "delivers the order up to LIMIT"},
		{STEWARD_WHY_SORT, "delivers the order"},
		{STEWARD_WHY_GROUP, "delivers groups"},
		{STEWARD_WHY_COVERING, "answers without the table"},
		{STEWARD_WHY_EXPRESSION, "has the expression as key"},
		{STEWARD_WHY_PARTIAL, "has only the rows asked for"},
		{STEWARD_WHY_OR_ARM, "is one arm of an OR"},
	};
	StringInfoData text;
	uint32		why = candidate->index->why;

	if (why & STEWARD_WHY_LIMIT)
		why &= ~STEWARD_WHY_SORT;
	initStringInfo(&text);
	for (int i = 0; i < lengthof(parts); i++)
		if (why & parts[i].why)
			append_part(&text, parts[i].text);
	if (together > 1)
		append_part(&text, "works together with others of this list");
	if (risks & STEWARD_RISK_CORRELATED)
		append_part(&text, "the estimate takes columns for independent (CREATE STATISTICS would tell)");
	if (risks & STEWARD_RISK_UNKNOWN)
		append_part(&text, "the estimate guesses the share of a range or pattern");
	if (risks & STEWARD_RISK_LIMIT)
		append_part(&text, "LIMIT may end a scan later than estimated");
	return text.data;
}

/* How far an estimate can be trusted. */
static const char *
confidence_text(const StewardCandidate *candidate, uint32 risks)
{
	if (risks & STEWARD_RISK_LIMIT)
		return "low";
	if ((risks & (STEWARD_RISK_UNKNOWN | STEWARD_RISK_CORRELATED)) ||
		candidate->index->am == GIN_AM_OID || candidate->index->am == GIST_AM_OID)
		return "medium";
	return "high";
}

/* ms for one call of a statement, from its ms a day. */
static double
per_call(const StewardWhatif *whatif, double ms)
{
	return whatif->statement->calls > 0 ? ms / whatif->statement->calls : 0;
}

/* Keep a statement for get_index_suggestion_queries(). */
static void
remember(int rank, const StewardWhatif *whatif)
{
	MemoryContext old = MemoryContextSwitchTo(latest.context);
	Remembered *it = palloc0(sizeof(Remembered));
	Size		length = strlen(whatif->statement->text);

	it->rank = rank;
	it->queryid = whatif->statement->queryid;
	it->calls = whatif->statement->calls;
	it->before_ms = per_call(whatif, whatif->base_ms);
	it->after_ms = per_call(whatif, whatif->ms);
	if (latest.bytes + length <= MAX_REMEMBERED)
	{
		it->text = pstrdup(whatif->statement->text);
		latest.bytes += length;
	}
	latest.statements = lappend(latest.statements, it);
	MemoryContextSwitchTo(old);
}

/* The statements of a suggestion and the risks of their plans. */
typedef struct Evidence
{
	int			improved;
	uint32		risks;
	StringInfoData json;
	int			together;		/* suggestions used by one plan, at most */
} Evidence;

/*
 * Collect what speaks for a suggestion.
 */
static void
collect_evidence(StewardAdvice *advice, int candidate, int rank,
				 Evidence *evidence)
{
	memset(evidence, 0, sizeof(Evidence));
	initStringInfo(&evidence->json);
	appendStringInfoChar(&evidence->json, '[');
	for (int i = 0; i < advice->nwhatifs; i++)
	{
		StewardWhatif *whatif = &advice->whatifs[i];

		if (whatif->ms >= whatif->base_ms ||
			!list_member_int(whatif->chosen_used, candidate))
			continue;
		evidence->improved++;
		evidence->risks |= whatif->chosen_risks;
		evidence->together = Max(evidence->together,
								 list_length(whatif->chosen_used));
		if (evidence->improved > MAX_EVIDENCE)
			continue;
		remember(rank, whatif);
		appendStringInfo(&evidence->json, "%s{", evidence->improved > 1 ? "," : "");
		if (whatif->statement->queryid != 0)
			appendStringInfo(&evidence->json, "\"queryid\":" INT64_FORMAT ",",
							 whatif->statement->queryid);
		else
			appendStringInfo(&evidence->json, "\"query\":%d,",
							 (int) (whatif->statement - advice->workload->statements) + 1);
		appendStringInfo(&evidence->json,
						 "\"calls_per_day\":%.0f,\"cost_before\":%.2f,\"cost_after\":%.2f,"
						 "\"ms_before\":%.3f,\"ms_after\":%.3f}",
						 whatif->statement->calls, whatif->base.planned,
						 steward_whatif_config(whatif, whatif->visible)->planned,
						 per_call(whatif, whatif->base_ms),
						 per_call(whatif, whatif->ms));
	}
	appendStringInfoChar(&evidence->json, ']');
}

/*
 * One row of get_index_suggestions(); false if the table is gone.
 */
static bool
suggestion_row(StewardRows *rows, StewardAdvice *advice, int candidate, int rank)
{
	StewardCandidate *it = &advice->candidates[candidate];
	char	   *table_name = get_rel_name(it->index->relid);
	Evidence	evidence;

	if (table_name == NULL)
		return false;			/* dropped meanwhile */
	collect_evidence(advice, candidate, rank, &evidence);
	steward_rows_int32(rows, rank);
	steward_rows_text(rows, get_namespace_name(get_rel_namespace(it->index->relid)));
	steward_rows_text(rows, table_name);
	steward_rows_text(rows, get_am_name(it->index->am));
	steward_rows_int64(rows, (int64) it->bytes);
	steward_rows_float8(rows, steward_rounded(it->saved_ms));
	steward_rows_float8(rows, steward_percentage(it->saved_ms, advice->total_ms));
	steward_rows_float8(rows, steward_percentage(it->cumulative_ms, advice->total_ms));
	steward_rows_float8(rows, steward_rounded(it->write_ms));
	steward_rows_int32(rows, evidence.improved);
	steward_rows_text(rows, confidence_text(it, evidence.risks));
	steward_rows_text(rows, steward_advice_definition(it->index));
	steward_rows_text(rows, reason_text(it, evidence.risks, evidence.together));
	steward_rows_datum(rows, DirectFunctionCall1(jsonb_in,
												 CStringGetDatum(evidence.json.data)), false);
	steward_rows_end_row(rows);
	return true;
}

/* Forget what the session remembers, and begin anew for the current role. */
static void
begin_remembering(void)
{
	if (latest.context == NULL)
		latest.context = AllocSetContextCreate(TopMemoryContext,
											   "pg_steward suggestions",
											   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(latest.context);
	latest.statements = NIL;
	latest.bytes = 0;
	latest.role = GetUserId();
}

/* Say what a run had to leave out. */
static void
report_limits(StewardAdvice *advice)
{
	int			given = 0;
	int			skipped = advice->workload->nhidden;

	for (int i = 0; i < advice->workload->nstatements; i++)
	{
		StewardStatement *statement = &advice->workload->statements[i];

		if (statement->skipped == NULL)
			continue;
		if (statement->queryid != 0)
			skipped++;
		else if (++given <= MAX_NOTICES)
			ereport(NOTICE,
					(errmsg("query %d was left out: %s", i + 1, statement->skipped)));
	}
	if (given > MAX_NOTICES)
		ereport(NOTICE,
				(errmsg("%d more queries were left out", given - MAX_NOTICES)));
	if (advice->late)
		ereport(NOTICE,
				(errmsg("the deadline came before everything was compared"),
				 errdetail("These are the best indexes found until then."),
				 errhint("Call get_index_suggestions() with a longer \"deadline\".")));
	if (skipped > 0)
		ereport(NOTICE,
				(errmsg("%d statements were left out", skipped),
				 errhint("Call get_index_advisor_skipped() for the reasons.")));
}

/*
 * get_index_suggestions(max_bytes bigint, max_indexes int, min_gain_pct float8,
 * deadline interval, queries text[], weights float8[]); columns as declared in
 * 34_advisor.sql.
 */
Datum
pg_steward_index_suggestions(PG_FUNCTION_ARGS)
{
	char	   *search_path = pstrdup(namespace_search_path);
	StewardQueryScope scope;
	StewardWorkload *workload;
	StewardAdvice *advice;
	StewardRows rows;
	int			rank = 0;

	(void) create_from_arguments(fcinfo, NULL);
	steward_rows_begin(&rows, fcinfo);
	steward_query_begin(&scope);
	workload = workload_from_arguments(fcinfo, search_path);
	advice = create_from_arguments(fcinfo, workload);
	steward_advice_run(advice);
	begin_remembering();
	for (int i = 0; i < advice->nchosen; i++)
	{
		if (suggestion_row(&rows, advice, advice->chosen[i], rank + 1))
			rank++;
	}
	report_limits(advice);
	steward_query_end(&scope);
	return (Datum) 0;
}

/* Run with defaults, to have something to remember. */
static void
run_with_defaults(void)
{
	char	   *search_path = pstrdup(namespace_search_path);
	StewardQueryScope scope;
	StewardAdvice *advice;

	steward_query_begin(&scope);
	advice = steward_advice_create(steward_workload_load(search_path),
								   get_float8_infinity(), STEWARD_MAX_INDEXES,
								   STEWARD_MIN_GAIN,
								   TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
															   STEWARD_DEADLINE_MS));
	steward_advice_run(advice);
	begin_remembering();
	for (int i = 0; i < advice->nchosen; i++)
	{
		Evidence	evidence;

		collect_evidence(advice, advice->chosen[i], i + 1, &evidence);
	}
	steward_query_end(&scope);
}

/*
 * get_index_suggestion_queries(rank int): the statements behind the session's
 * latest suggestions, those of one rank or all.
 */
Datum
pg_steward_index_suggestion_queries(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	ListCell   *lc;

	steward_rows_begin(&rows, fcinfo);
	if (latest.context == NULL || latest.role != GetUserId())
		run_with_defaults();
	foreach(lc, latest.statements)
	{
		Remembered *it = lfirst(lc);

		if (!PG_ARGISNULL(0) && it->rank != PG_GETARG_INT32(0))
			continue;
		steward_rows_int32(&rows, it->rank);
		if (it->queryid != 0)
			steward_rows_int64(&rows, it->queryid);
		else
			steward_rows_null(&rows);
		steward_rows_float8(&rows, steward_rounded(it->calls));
		steward_rows_float8(&rows, steward_rounded(it->before_ms));
		steward_rows_float8(&rows, steward_rounded(it->after_ms));
		steward_rows_float8(&rows, steward_rounded((it->before_ms - it->after_ms) * it->calls));
		steward_rows_text(&rows, it->text);
		steward_rows_end_row(&rows);
	}
	return (Datum) 0;
}

/*
 * get_index_advisor_skipped(): statements that suggestions do not consider.
 */
Datum
pg_steward_index_advisor_skipped(PG_FUNCTION_ARGS)
{
	char	   *search_path = pstrdup(namespace_search_path);
	StewardQueryScope scope;
	StewardWorkload *workload;
	StewardRows rows;

	steward_rows_begin(&rows, fcinfo);
	steward_query_begin(&scope);
	workload = steward_workload_load(search_path);
	for (int i = 0; i < workload->nstatements; i++)
	{
		StewardStatement *statement = &workload->statements[i];

		(void) steward_statement_visit(workload, statement, NULL, NULL);
		if (statement->skipped == NULL)
			continue;
		steward_rows_int64(&rows, statement->queryid);
		steward_rows_float8(&rows, steward_rounded(statement->calls));
		steward_rows_float8(&rows, steward_rounded(statement->total_ms));
		steward_rows_text(&rows, statement->skipped);
		steward_rows_text(&rows, statement->text);
		steward_rows_end_row(&rows);
	}
	if (workload->nhidden > 0)
	{
		steward_rows_null(&rows);
		steward_rows_null(&rows);
		steward_rows_float8(&rows, steward_rounded(workload->hidden_ms));
		steward_rows_text(&rows, psprintf("%d statements of other roles: needs pg_read_all_stats",
										  workload->nhidden));
		steward_rows_null(&rows);
		steward_rows_end_row(&rows);
	}
	steward_query_end(&scope);
	return (Datum) 0;
}
