/*-------------------------------------------------------------------------
 *
 * analyze_query.c
 *	  analyze_query(): one statement, its plan, and the indexes it lacks.
 *
 * The text may come from pg_stat_statements, with $n in place of constants;
 * then it can be planned but not run.  The plan is what EXPLAIN would show the
 * caller.  Running it means: a single SELECT that locks and changes nothing,
 * in a subtransaction that is read-only and rolled back, ended by a timeout.
 * The timeout is that of the server for statements; what was set before
 * applies if it ends earlier, and again afterwards.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_param.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/query.h"
#include "base/rows.h"
#include "advisor/advice.h"
#include "advisor/suggest.h"
#include STEWARD_EXPLAIN_STATE_HEADER

PG_FUNCTION_INFO_V1(pg_steward_analyze_query);

/* Indexes that are shown for one statement, at most. */
#define MAX_INDEXES 5

/* An index must save this share of the statement. */
#define MIN_GAIN 0.01

/* Longest search for them. */
#define SEARCH_MS 10000

/* The analysis of one statement. */
typedef struct Analysis
{
	MemoryContext context;		/* for the texts */
	bool		run;			/* execute it in this visit */
	char	   *plan;
	double		cost;
	double		execution_ms;
	int64		rows;
} Analysis;

/* A timeout of ours in place of the one that was set. */
typedef struct Timer
{
	bool		ours;			/* ours would fire first */
	TimestampTz ours_at;
	bool		was_active;
	TimestampTz was_at;
} Timer;

/*
 * Refuse what could change something.
 */
static void
check_read_only(List *queries)
{
	Query	   *query = linitial_node(Query, queries);

	if (list_length(queries) != 1 || query->commandType != CMD_SELECT ||
		query->hasModifyingCTE || query->rowMarks != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("only a SELECT that changes and locks nothing can be run"),
				 errhint("Call analyze_query() with \"run\" => false.")));
	if (query_contains_extern_params(query))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_PARAMETER),
				 errmsg("a statement with parameters cannot be run"),
				 errhint("Put values in place of $1 and so on, or call analyze_query() with \"run\" => false.")));
}

/*
 * Let a plan be shown with all partitions that its parameters, which have no
 * values, decide on.  Below 16, where EXPLAIN does not know such plans, the
 * executor would ask for the values when it starts.
 */
static void
show_all_partitions(Plan *plan)
{
	List	   *children = NIL;
	ListCell   *lc;

	if (plan == NULL)
		return;
	check_stack_depth();
	if (IsA(plan, Append))
	{
		children = ((Append *) plan)->appendplans;
		STEWARD_FORGET_PRUNING((Append *) plan);
	}
	else if (IsA(plan, MergeAppend))
	{
		children = ((MergeAppend *) plan)->mergeplans;
		STEWARD_FORGET_PRUNING((MergeAppend *) plan);
	}
	else if (IsA(plan, SubqueryScan))
		show_all_partitions(((SubqueryScan *) plan)->subplan);
	foreach(lc, children)
		show_all_partitions(lfirst(lc));
	show_all_partitions(outerPlan(plan));
	show_all_partitions(innerPlan(plan));
}

/*
 * Show the plan of a query, as EXPLAIN does, and execute it before if that was
 * asked for.
 */
static void
explain_one(Analysis *analysis, Query *query, const char *text, StringInfo out)
{
	PlannedStmt *plan = STEWARD_PLAN_QUERY(query, text,
										   query->commandType == CMD_SELECT ?
										   CURSOR_OPT_PARALLEL_OK : 0);
	ExplainState *es = NewExplainState();
	QueryDesc  *desc;
	instr_time	start;
	instr_time	duration;
	ListCell   *lc;

	if (!analysis->run)
	{
		show_all_partitions(plan->planTree);
		foreach(lc, plan->subplans)
			show_all_partitions(lfirst(lc));
	}
	es->costs = true;
	es->format = EXPLAIN_FORMAT_TEXT;
	es->analyze = es->timing = es->buffers = analysis->run;
	desc = CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot,
						   None_Receiver, NULL, NULL,
						   analysis->run ? INSTRUMENT_ALL : 0);
	INSTR_TIME_SET_CURRENT(start);
	ExecutorStart(desc, analysis->run ? 0 : STEWARD_EXPLAIN_FLAGS);
	if (analysis->run)
	{
		STEWARD_EXECUTOR_RUN(desc);
		ExecutorFinish(desc);
		INSTR_TIME_SET_CURRENT(duration);
		INSTR_TIME_SUBTRACT(duration, start);
		analysis->execution_ms = INSTR_TIME_GET_MILLISEC(duration);
		analysis->rows = (int64) desc->estate->es_processed;
	}
	ExplainPrintPlan(es, desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	analysis->cost += plan->planTree->total_cost;
	appendStringInfoString(out, es->str->data);
}

/* Visit of the statement. */
static void
explain(StewardStatement *statement, List *queries, void *arg)
{
	Analysis   *analysis = arg;
	StringInfoData out;
	ListCell   *lc;

	initStringInfo(&out);
	analysis->cost = 0;
	if (analysis->run)
	{
		check_read_only(queries);
		XactReadOnly = true;	/* until the subtransaction ends */
	}
	foreach(lc, queries)
		explain_one(analysis, lfirst_node(Query, lc), statement->text, &out);
	while (out.len > 0 && out.data[out.len - 1] == '\n')
		out.data[--out.len] = '\0';
	analysis->plan = MemoryContextStrdup(analysis->context, out.data);
}

/* Let statements be cancelled after ms, unless they are to be earlier. */
static void
start_timer(Timer *timer, int ms)
{
	timer->was_active = get_timeout_active(STATEMENT_TIMEOUT);
	timer->was_at = timer->was_active ?
		get_timeout_finish_time(STATEMENT_TIMEOUT) : 0;
	timer->ours_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
	timer->ours = !timer->was_active || timer->ours_at < timer->was_at;
	if (timer->ours)
		enable_timeout_at(STATEMENT_TIMEOUT, timer->ours_at);
}

/* Put back what was set before. */
static void
stop_timer(Timer *timer)
{
	if (!timer->ours)
		return;
	disable_timeout(STATEMENT_TIMEOUT, false);
	if (timer->was_active)
		enable_timeout_at(STATEMENT_TIMEOUT, timer->was_at);
}

/*
 * Run the statement; false if it was cancelled because it took too long.
 */
static bool
run_statement(StewardWorkload *workload, StewardStatement *statement,
			  Analysis *analysis, int timeout_ms)
{
	MemoryContext context = CurrentMemoryContext;
	Timer		timer;
	volatile bool finished = true;

	start_timer(&timer, timeout_ms);
	PG_TRY();
	{
		(void) steward_statement_visit(workload, statement, explain, analysis);
		stop_timer(&timer);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		stop_timer(&timer);
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_QUERY_CANCELED || !timer.ours ||
			GetCurrentTimestamp() < timer.ours_at)
			PG_RE_THROW();
		FlushErrorState();		/* the visit has rolled everything back */
		finished = false;
	}
	PG_END_TRY();
	return finished;
}

/* Raise what made a visit fail. */
static void
require_visited(StewardStatement *statement)
{
	if (statement->irrelevant)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("only SELECT, INSERT, UPDATE, DELETE and MERGE have a plan")));
	if (statement->skipped)
		ereport(ERROR,
				(errcode(statement->sqlerrcode ? statement->sqlerrcode :
						 ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot analyze the query: %s", statement->skipped)));
}

/*
 * Append what indexes would help: the cost with them and their definitions.
 */
static void
index_columns(StewardRows *rows, StewardWorkload *workload, double cost)
{
	StewardAdvice *advice =
		steward_advice_create(workload, get_float8_infinity(), MAX_INDEXES,
							  MIN_GAIN,
							  TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SEARCH_MS));
	Datum	   *texts;
	double		with = cost;

	steward_advice_run(advice);
	texts = palloc0(Max(advice->nchosen, 1) * sizeof(Datum));
	for (int i = 0; i < advice->nchosen; i++)
		texts[i] = CStringGetTextDatum(steward_advice_definition(advice->candidates[advice->chosen[i]].index));
	if (advice->nchosen > 0 && advice->whatifs[0].base_ms > 0)
		with = cost * advice->whatifs[0].ms / advice->whatifs[0].base_ms;
	steward_rows_float8(rows, steward_rounded(with));
	steward_rows_float8(rows, steward_percentage(cost - with, cost));
	steward_rows_datum(rows,
					   PointerGetDatum(construct_array(texts,
													   advice->nchosen, TEXTOID,
													   -1, false, TYPALIGN_INT)),
					   false);
}

/*
 * analyze_query(query text, run bool, timeout interval); columns as declared
 * in 34_advisor.sql.
 */
Datum
pg_steward_analyze_query(PG_FUNCTION_ARGS)
{
	char	   *search_path = pstrdup(namespace_search_path);
	bool		run = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	double		ms = PG_ARGISNULL(2) ? 5000 :
		steward_interval_ms(PG_GETARG_INTERVAL_P(2));
	Analysis	analysis = {.context = CurrentMemoryContext};
	StewardQueryScope scope;
	StewardWorkload *workload;
	StewardRows rows;
	Datum		text;
	char	   *note = NULL;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"query\" must not be null")));
	if (!(ms >= 1 && ms <= PG_INT32_MAX))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"timeout\""),
				 errhint("It is the longest time that the query may run, at least a millisecond.")));

	steward_rows_begin(&rows, fcinfo);
	text = PG_GETARG_DATUM(0);
	steward_query_begin(&scope);
	workload = steward_workload_from_array(search_path,
										   construct_array(&text, 1, TEXTOID, -1,
														   false, TYPALIGN_INT), NULL);
	workload->own = true;
	(void) steward_statement_visit(workload, &workload->statements[0], explain,
								   &analysis);
	require_visited(&workload->statements[0]);
	if (run)
	{
		double		cost = analysis.cost;

		analysis.run = true;
		if (!run_statement(workload, &workload->statements[0], &analysis, (int) ms))
			note = psprintf("cancelled after %.0f ms", ms);
		require_visited(&workload->statements[0]);
		analysis.cost = cost;
	}
	workload->own = false;

	steward_rows_float8(&rows, steward_rounded(analysis.cost));
	index_columns(&rows, workload, analysis.cost);
	if (run && note == NULL)
	{
		steward_rows_float8(&rows, steward_rounded(analysis.execution_ms));
		steward_rows_int64(&rows, analysis.rows);
	}
	else
	{
		steward_rows_null(&rows);
		steward_rows_null(&rows);
	}
	steward_rows_text(&rows, note);
	steward_rows_text(&rows, analysis.plan);
	steward_rows_end_row(&rows);
	steward_query_end(&scope);
	return (Datum) 0;
}
