/*-------------------------------------------------------------------------
 *
 * tracker.c
 *	  Watching every statement of the server.
 *
 * Latency is what the client waits for: the time in the executor, or in a
 * utility command, plus the time from the arrival of the client's message
 * until then, in which the statement is parsed, waits for locks, and is
 * planned.  The latter is "waited" here.
 *
 * Time in the executor.  The server has a timer for the whole of a query,
 * which runs only while the query does, not while a client thinks between two
 * fetches.  pg_stat_statements asks for it too, and then it is shared.  If we
 * are the only ones, we allocate it, and with all its counters if
 * pg_stat_statements is loaded, which would otherwise find a timer without
 * the block counters that it wants.  Our hooks are installed when all other
 * libraries have been loaded (steward_tracker_install()), so that we come
 * after pg_stat_statements whatever their order in shared_preload_libraries,
 * and see the query ids that it hides from those it calls.
 *
 * Time before.  The server notes when each message arrives.  One clock after
 * ExecutorStart gives the rest.  In the extended protocol the statement
 * executes in another message than it was parsed in, so that the time of the
 * Parse message is kept until its query is executed for the first time, in
 * whatever message, and the same for PREPARE.
 * Several statements in one message share its arrival; for the second one
 * the end of the first counts.  Processes without a client have no messages,
 * and nested statements none of their own: they have waited for nothing.
 *
 * Nesting.  A query is nested if another one is running, which its timer
 * tells, or a utility command is.  No hook around ExecutorRun is needed.  The
 * query of a cursor WITH HOLD, which the end of a transaction may run, has no
 * timer if it was not measured itself; its portal tells.
 *
 * Alone.  Nearly every query of a client is alone when it starts: the process
 * has no other query open and is in no utility command (tracker.around).  Such
 * a query is not nested, needs no memory and need not be searched for.  Only
 * the others pay for what they need (open_another(), end_another()).
 *
 * Errors.  A query that is started gets an OpenQuery and a callback for the end
 * of its memory.  If that comes before ExecutorEnd, the query was aborted.
 * Where memory outlives a subtransaction, the subtransaction's end is what
 * counts.  How a statement is counted that failed before it got so far is told
 * in unidentified.c.
 *
 * Not measured: parallel workers (their leader is), statements without a query
 * id, EXPLAIN without ANALYZE.  EXECUTE is counted as the statement that it
 * executes, PREPARE not at all.
 *
 * Nothing here raises an error of its own.  All state is local to the process.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "storage/ipc.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/observer.h"
#include "base/shmem.h"
#include "latency/execution.h"
#include "latency/n_plus_one_record.h"
#include "latency/store_record.h"
#include "latency/tracker.h"
#include "latency/unidentified.h"

/* A query that was started and has not ended. */
typedef struct OpenQuery
{
	struct OpenQuery *next;		/* older one in tracker.open */
	Instrumentation *timer;
	Oid			role;
	SubTransactionId subxact;
	StewardExecution execution; /* query is NULL when it has been counted */
	MemoryContextCallback gone;
} OpenQuery;

/* State of this process. */
static struct Tracker
{
	/* What a statement that starts may be nested in. */
	uint32		around;			/* number of open queries and utility
								 * commands, plus "held" */
	int			utility_depth;
	bool		held;			/* a cursor WITH HOLD was ever declared */

	bool		crowded;		/* a query was not alone, and since it was
								 * started, none has ended alone */
	OpenQuery  *open;			/* newest first, "alone" always last */
	OpenQuery	alone;			/* for one that is alone when it starts; its
								 * nesting is always 0 */

	/* The latest statement of the client that was started. */
	int			location;		/* in its message, like in PlannedStmt */
	int			length;
	TimestampTz message;		/* arrival of that message */
	TimestampTz started;
	int64		elapsed_ns;		/* when it has ended */

	/* The latest Parse message. */
	int64		parse_queryid;
	int64		parse_us;
	TimestampTz parse_message;

	TimestampTz failed_message; /* in which a failure was counted */
}			tracker;

/* Constant after loading. */
static int	timer_options;
static ExecutorStart_hook_type prev_ExecutorStart;
static ExecutorEnd_hook_type prev_ExecutorEnd;
static ProcessUtility_hook_type prev_ProcessUtility;
static post_parse_analyze_hook_type prev_post_parse_analyze;

static inline bool
timer_is_running(const Instrumentation *timer)
{
	return !INSTR_TIME_IS_ZERO(timer->starttime);
}

/*
 * How many statements run around one that starts now, if there may be any.
 */
static pg_noinline int
count_running(void)
{
	int			nesting = tracker.utility_depth;

	for (OpenQuery *open = tracker.open; open != NULL; open = open->next)
	{
		if (open->execution.query != NULL && timer_is_running(open->timer))
			nesting++;
	}
	if (nesting == 0 && ActivePortal != NULL &&
		(ActivePortal->cursorOptions & CURSOR_OPT_HOLD))
		return 1;
	return nesting;
}

static inline int
current_nesting(void)
{
	return tracker.around == 0 ? 0 : count_running();
}

/* Is a query to be measured, as far as it does not depend on its nesting? */
static inline bool
may_be_measured(const QueryDesc *query, int eflags)
{
	return steward_track != STEWARD_TRACK_NONE &&
		query->plannedstmt->queryId != 0 &&
		!(eflags & EXEC_FLAG_EXPLAIN_ONLY);
}

/* Is a statement to be measured that is nested in so many others? */
static inline bool
is_measured(int nesting)
{
	return (nesting == 0 || steward_track == STEWARD_TRACK_ALL) &&
		!IsParallelWorker();
}

/* When the latest statement of the client ended, or had to wait no more. */
static TimestampTz
latest_end(void)
{
	return tracker.started + tracker.elapsed_ns / NS_IN_US;
}

/*
 * How long a client's statement, about to run now, has been on its way.
 */
static pg_attribute_always_inline int64
time_since_message(TimestampTz now, const PlannedStmt *statement)
{
	TimestampTz message = GetCurrentStatementStartTimestamp();
	TimestampTz from = message;
	int64		waited_us;

	if (message == tracker.message)
		from = latest_end();
	tracker.message = message;
	tracker.location = statement->stmt_location;
	tracker.length = statement->stmt_len;
	tracker.started = now;
	tracker.elapsed_ns = 0;
	waited_us = now > from ? now - from : 0;

	if (tracker.parse_queryid == statement->queryId)
	{
		if (tracker.parse_message != message)
			waited_us += tracker.parse_us;
		tracker.parse_queryid = 0;
	}
	return waited_us;
}

/* The same for any statement: nobody waits for those that have no message. */
static pg_noinline int64
time_waited(TimestampTz now, const PlannedStmt *statement, int nesting)
{
	if (nesting > 0 || MyBackendType != B_BACKEND)
		return 0;
	return time_since_message(now, statement);
}

/*
 * Count a statement in its histogram.  The hot path has its own copy of this.
 */
static pg_noinline void
count_statement(int64 queryid, Oid role, bool toplevel, int64 elapsed_ns,
				int64 waited_us, bool aborted, TimestampTz end)
{
	record_execution(queryid, role, toplevel,
					 elapsed_ns + waited_us * NS_IN_US, waited_us, aborted,
					 end);
	if (toplevel)
		tracker.elapsed_ns = elapsed_ns;
}

/* Count a statement that failed. */
static void
count_failure(int64 queryid, Oid role, bool toplevel, int64 elapsed_ns,
			  int64 waited_us)
{
	count_statement(queryid, role, toplevel, elapsed_ns, waited_us, true,
					GetCurrentTimestamp());
	if (toplevel)
		tracker.failed_message = GetCurrentStatementStartTimestamp();
}

/* A planned statement will not end any more. */
static void
abort_query(OpenQuery *open)
{
	int64		elapsed_ns = STEWARD_TIMER_NS(open->timer);

	open->execution.query = NULL;
	if (timer_is_running(open->timer))
	{
		instr_time	now;

		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, open->timer->starttime);
		elapsed_ns += INSTR_TIME_GET_NANOSEC(now);
	}
	count_failure(open->execution.queryid, open->role,
				  open->execution.nesting == 0, elapsed_ns,
				  open->execution.waited_us);
}

/* Callback: the memory of the query that was started alone goes away. */
static void
alone_is_gone(void *arg)
{
	tracker.around--;
	if (unlikely(tracker.alone.execution.query != NULL))
		abort_query(&tracker.alone);
}

/* Callback: the memory of another query goes away. */
static void
query_is_gone(void *arg)
{
	OpenQuery  *open = arg;
	OpenQuery **link = &tracker.open;

	while (*link != open)
		link = &(*link)->next;
	*link = open->next;
	tracker.around--;
	if (open->execution.query != NULL)
		abort_query(open);
}

/*
 * The timer of a query that has none yet; NULL if it can have none.
 */
static pg_noinline Instrumentation *
allocate_timer(QueryDesc *query)
{
	MemoryContext old = MemoryContextSwitchTo(query->estate->es_query_cxt);

	STEWARD_ALLOCATE_TIMER(query, timer_options);
	MemoryContextSwitchTo(old);
	return STEWARD_QUERY_TIMER(query);
}

/*
 * Fill in what is known of a query that has started, except for the nesting
 * and the time it waited; false if it cannot be measured.
 */
static pg_attribute_always_inline bool
open_query(OpenQuery *open, QueryDesc *query)
{
	Instrumentation *timer = STEWARD_QUERY_TIMER(query);

	if (unlikely(timer == NULL) && (timer = allocate_timer(query)) == NULL)
		return false;
	if (unlikely(!timer->need_timer))
		return false;
	open->timer = timer;
	open->role = GetUserId();
	open->subxact = GetCurrentSubTransactionId();
	open->execution.query = query;
	open->execution.queryid = query->plannedstmt->queryId;
	open->execution.started = GetCurrentTimestamp();
	MemoryContextRegisterResetCallback(query->estate->es_query_cxt,
									   &open->gone);
	tracker.around++;
	return true;
}

/*
 * Note that a query has started that is not alone, or not a client's, if it is
 * to be measured.  It has an OpenQuery in its own memory.
 */
static pg_noinline void
open_another(QueryDesc *query)
{
	int			nesting = current_nesting();
	OpenQuery  *open;

	if (!is_measured(nesting))
		return;
	open = MemoryContextAlloc(query->estate->es_query_cxt, sizeof(OpenQuery));
	open->gone.func = query_is_gone;
	open->gone.arg = open;
	open->execution.nesting = nesting;
	if (!open_query(open, query))
		return;
	open->execution.waited_us = time_waited(open->execution.started,
											query->plannedstmt, nesting);
	open->next = tracker.open;
	tracker.open = open;
	tracker.crowded = true;
}

/*
 * Let the observer see a query that is measured, if it has started with
 * parameters.  The query itself is open by now.
 */
static pg_noinline void
show_started(const QueryDesc *query)
{
	if (steward_observer.started && query->params != NULL &&
		(tracker.alone.execution.query == query ||
		 tracker.open->execution.query == query))
		steward_observer.started(query);
}

/* ExecutorStart_hook */
static void
executor_start(QueryDesc *query, int eflags)
{
	if (STEWARD_REQUESTS_TIMER && may_be_measured(query, eflags) &&
		is_measured(current_nesting()))
		STEWARD_REQUEST_TIMER(query, INSTRUMENT_TIMER);

	prev_ExecutorStart(query, eflags);

	if (!may_be_measured(query, eflags))
		return;
	if (unlikely(tracker.around != 0 || MyBackendType != B_BACKEND))
		open_another(query);
	else if (open_query(&tracker.alone, query))
		tracker.alone.execution.waited_us =
			time_since_message(tracker.alone.execution.started,
							   query->plannedstmt);
	if (unlikely(steward_sample_constants))
		show_started(query);
}

/*
 * A query ended well: hand it to everyone who wants to know.  For the minute
 * in which it ended, 1024 ns are as good as a microsecond.
 */
static pg_attribute_always_inline void
end_query(OpenQuery *open, const QueryDesc *query, bool crowded)
{
	StewardExecution *execution = &open->execution;
	bool		toplevel = !crowded || execution->nesting == 0;
	int64		elapsed_ns = STEWARD_TIMER_NS(open->timer);
	int64		latency_ns = elapsed_ns + execution->waited_us * NS_IN_US;

	execution->rows = STEWARD_ROWS_PROCESSED(query);
	record_execution(execution->queryid, open->role, toplevel, latency_ns,
					 execution->waited_us, false,
					 execution->started + (elapsed_ns >> 10));
	if (toplevel)
		tracker.elapsed_ns = elapsed_ns;
	if (steward_nplusone)
		record_repetition(execution, elapsed_ns, latency_ns, crowded);
	execution->query = NULL;
}

/* The same for a query that may not have been alone all the time. */
static pg_noinline void
end_another(const QueryDesc *query)
{
	OpenQuery  *open = tracker.open;

	while (open != NULL && open->execution.query != query)
		open = open->next;
	if (open == NULL)
		return;
	end_query(open, query, true);
	if (tracker.around == 1 && open->execution.nesting == 0)
		tracker.crowded = false;
}

/* ExecutorEnd_hook */
static void
executor_end(QueryDesc *query)
{
	if (likely(tracker.alone.execution.query == query && !tracker.crowded))
		end_query(&tracker.alone, query, false);
	else if (tracker.around != 0)
		end_another(query);

	prev_ExecutorEnd(query);
}

/*
 * A holdable cursor is run when its transaction ends, outside of any command;
 * once one was declared, current_nesting() has to look for that.
 */
static inline void
note_cursor(const Node *command)
{
	if (IsA(command, DeclareCursorStmt) && !tracker.held &&
		(((const DeclareCursorStmt *) command)->options & CURSOR_OPT_HOLD))
	{
		tracker.held = true;
		tracker.around++;
	}
}

/*
 * ProcessUtility_hook.  The statement may be freed by the call (COMMIT in a
 * procedure); all that is needed of it is read before.
 */
static void
process_utility(PlannedStmt *pstmt, const char *queryString,
				bool readOnlyTree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	int64		queryid = pstmt->queryId;
	Oid			role = GetUserId();
	int			nesting;
	bool		toplevel;
	bool		measured;
	TimestampTz started = 0;
	int64		waited_us = 0;
	instr_time	start;
	instr_time	elapsed;

	note_cursor(pstmt->utilityStmt);
	if (steward_track == STEWARD_TRACK_NONE || IsParallelWorker() ||
		IsA(pstmt->utilityStmt, ExecuteStmt) ||
		IsA(pstmt->utilityStmt, PrepareStmt))
	{
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context, params,
							queryEnv, dest, qc);
		return;
	}

	nesting = current_nesting();
	toplevel = nesting == 0;
	measured = queryid != 0 && is_measured(nesting);
	if (measured)
	{
		started = GetCurrentTimestamp();
		waited_us = time_waited(started, pstmt, nesting);
	}
	INSTR_TIME_SET_CURRENT(start);
	tracker.utility_depth++;
	tracker.around++;
	PG_TRY();
	{
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context, params,
							queryEnv, dest, qc);
	}
	PG_CATCH();
	{
		tracker.utility_depth--;
		tracker.around--;
		INSTR_TIME_SET_CURRENT(elapsed);
		INSTR_TIME_SUBTRACT(elapsed, start);
		if (measured)
			count_failure(queryid, role, toplevel,
						  INSTR_TIME_GET_NANOSEC(elapsed), waited_us);
		PG_RE_THROW();
	}
	PG_END_TRY();

	tracker.utility_depth--;
	tracker.around--;
	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, start);
	if (measured)
		count_statement(queryid, GetUserId(), toplevel,
						INSTR_TIME_GET_NANOSEC(elapsed), waited_us, false,
						started + INSTR_TIME_GET_NANOSEC(elapsed) / NS_IN_US);
}

/*
 * post_parse_analyze_hook: note how long a client's statement took so far.  If
 * it is in a Parse message, or prepared by PREPARE, that is all that will be
 * known of it.
 */
static void
post_parse_analyze(POST_PARSE_ANALYZE_PARAMS)
{
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(POST_PARSE_ANALYZE_ARGS);

	if (steward_track != STEWARD_TRACK_NONE && query->queryId != 0 &&
		MyBackendType == B_BACKEND && current_nesting() == 0)
	{
		TimestampTz message = GetCurrentStatementStartTimestamp();
		TimestampTz from = message == tracker.message ? latest_end() : message;
		TimestampTz now = GetCurrentTimestamp();

		tracker.parse_queryid = query->queryId;
		tracker.parse_message = message;
		tracker.parse_us = now > from ? now - from : 0;
		if (pstate->p_sourcetext != NULL)
			steward_unidentified_learn(pstate->p_sourcetext,
									   query->stmt_location, query->stmt_len,
									   query->queryId);
	}
	if (unlikely(steward_sample_constants) && steward_observer.analyzed &&
		query->queryId != 0 && steward_track != STEWARD_TRACK_NONE &&
		is_measured(current_nesting()))
		steward_observer.analyzed(POST_PARSE_ANALYZE_ARGS);
}

/*
 * Count a client's statement that failed before it was started.  Called when
 * a transaction or subtransaction has been aborted.  The server has reset
 * debug_query_string by then if the reason was an error, and only then.
 */
static void
count_early_failure(void)
{
	TimestampTz message = GetCurrentStatementStartTimestamp();
	TimestampTz from = message;
	TimestampTz now;
	int			location = 0;

	if (steward_track == STEWARD_TRACK_NONE || MyBackendType != B_BACKEND ||
		debug_query_string != NULL || proc_exit_inprogress ||
		tracker.failed_message == message || !OidIsValid(MyDatabaseId))
		return;
	if (tracker.message == message)
	{
		/* a statement of this message ran: is there another? */
		location = Max(tracker.location, 0) + tracker.length;
		from = latest_end();
		if (tracker.length == 0 || !steward_unidentified_more(location))
			return;
	}
	now = GetCurrentTimestamp();
	count_failure(steward_unidentified_guess(location), GetUserId(), true, 0,
				  now > from ? now - from : 0);
}

/*
 * Count the queries that a subtransaction started and that survive its end
 * only as memory.  InvalidSubTransactionId stands for all.
 */
static void
abort_queries(SubTransactionId subxact)
{
	for (OpenQuery *open = tracker.open; open != NULL; open = open->next)
	{
		if (open->execution.query != NULL && open->subxact >= subxact)
			abort_query(open);
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mySubid,
				 SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		abort_queries(mySubid);
		count_early_failure();
	}
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
	{
		abort_queries(InvalidSubTransactionId);
		count_early_failure();
	}
}

/*
 * Prepare for being preloaded: shared memory and query ids, whatever
 * pg_stat_statements does.
 */
void
steward_tracker_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	EnableQueryId();
	steward_store_init();
	steward_unidentified_init();
}

/*
 * Install the hooks.  Called when shared memory is attached, which is after
 * all libraries of shared_preload_libraries have been loaded, and once more
 * when the server restarts after a crash.
 */
void
steward_tracker_install(void)
{
	static bool installed = false;

	if (installed)
		return;
	installed = true;

	timer_options = steward_library_in_preload_list("pg_stat_statements") ?
		INSTRUMENT_ALL : INSTRUMENT_TIMER;
	tracker.open = &tracker.alone;
	tracker.alone.gone.func = alone_is_gone;

	prev_ExecutorStart = ExecutorStart_hook ? ExecutorStart_hook :
		standard_ExecutorStart;
	ExecutorStart_hook = executor_start;
	prev_ExecutorEnd = ExecutorEnd_hook ? ExecutorEnd_hook :
		standard_ExecutorEnd;
	ExecutorEnd_hook = executor_end;
	prev_ProcessUtility = ProcessUtility_hook ? ProcessUtility_hook :
		standard_ProcessUtility;
	ProcessUtility_hook = process_utility;
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = post_parse_analyze;
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
