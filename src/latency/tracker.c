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
 * Errors.  A query that is started gets an OpenQuery in its own memory, with
 * a callback for the end of that memory.  If that comes before ExecutorEnd,
 * the query was aborted.  Where memory outlives a subtransaction, the
 * subtransaction's end is what counts.  How a statement is counted that failed
 * before it got so far is told in unidentified.c.
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
#include "base/shmem.h"
#include "latency/execution.h"
#include "latency/n_plus_one.h"
#include "latency/store_record.h"
#include "latency/tracker.h"
#include "latency/unidentified.h"

#define NS_IN_US INT64CONST(1000)

/* A query that was started and has not ended. */
typedef struct OpenQuery
{
	struct OpenQuery *next;		/* older one in tracker.open */
	Instrumentation *timer;
	Oid			role;
	SubTransactionId subxact;
	bool		counted;
	StewardExecution execution; /* rows and elapsed_ns when it has ended */
	MemoryContextCallback gone;
} OpenQuery;

/* State of this process. */
static struct
{
	OpenQuery  *open;			/* newest first */
	int			utility_depth;

	/* The latest statement of the client that was started. */
	int			location;		/* in its message, like in PlannedStmt */
	int			length;
	TimestampTz message;		/* arrival of that message */
	TimestampTz started;
	int64		elapsed_ns;		/* when it has ended */

	/* The latest Parse message. */
	int64		parse_queryid;
	int64		parse_ns;
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

/* How many statements run around one that starts now. */
static int
count_running(void)
{
	int			nesting = tracker.utility_depth;

	for (OpenQuery *open = tracker.open; open != NULL; open = open->next)
	{
		if (!open->counted && timer_is_running(open->timer))
			nesting++;
	}
	return nesting;
}

static inline int
current_nesting(void)
{
	int			nesting = tracker.open == NULL ? tracker.utility_depth :
		count_running();

	if (nesting == 0 && ActivePortal != NULL &&
		(ActivePortal->cursorOptions & CURSOR_OPT_HOLD))
		return 1;
	return nesting;
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
static inline int64
time_since_message(TimestampTz now, const PlannedStmt *statement)
{
	TimestampTz message = GetCurrentStatementStartTimestamp();
	TimestampTz from = message;
	int64		waited_ns;

	if (MyBackendType != B_BACKEND)
		return 0;
	if (message == tracker.message)
		from = latest_end();
	tracker.message = message;
	tracker.location = statement->stmt_location;
	tracker.length = statement->stmt_len;
	tracker.started = now;
	tracker.elapsed_ns = 0;
	waited_ns = now > from ? (now - from) * NS_IN_US : 0;

	if (tracker.parse_queryid == statement->queryId)
	{
		if (tracker.parse_message != message)
			waited_ns += tracker.parse_ns;
		tracker.parse_queryid = 0;
	}
	return waited_ns;
}

/*
 * Count a statement in its histogram.  The hot path has its own copy of this.
 */
static pg_noinline void
count_statement(int64 queryid, Oid role, bool toplevel, int64 elapsed_ns,
				int64 waited_ns, bool aborted, TimestampTz end)
{
	record_execution(queryid, role, toplevel, elapsed_ns, waited_ns, aborted,
					 end);
	if (toplevel)
		tracker.elapsed_ns = elapsed_ns;
}

/* Count a statement that failed. */
static void
count_failure(int64 queryid, Oid role, bool toplevel, int64 elapsed_ns,
			  int64 waited_ns)
{
	count_statement(queryid, role, toplevel, elapsed_ns, waited_ns, true,
					GetCurrentTimestamp());
	if (toplevel)
		tracker.failed_message = GetCurrentStatementStartTimestamp();
}

/*
 * A planned statement ended well: hand it to everyone who wants to know.
 * For the minute in which it ended, 1024 ns are as good as a microsecond.
 */
static inline void
finish_execution(const StewardExecution *execution, Oid role)
{
	record_execution(execution->queryid, role, execution->toplevel,
					 execution->elapsed_ns, execution->waited_ns, false,
					 execution->started + (execution->elapsed_ns >> 10));
	if (execution->toplevel)
		tracker.elapsed_ns = execution->elapsed_ns;
	steward_nplusone_record(execution);
}

/* A planned statement will not end any more. */
static void
abort_query(OpenQuery *open)
{
	int64		elapsed_ns = STEWARD_TIMER_NS(open->timer) +
		STEWARD_TIMER_UNFINISHED_NS(open->timer);

	open->counted = true;
	if (timer_is_running(open->timer))
	{
		instr_time	now;

		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, open->timer->starttime);
		elapsed_ns += INSTR_TIME_GET_NANOSEC(now);
	}
	count_failure(open->execution.queryid, open->role,
				  open->execution.toplevel, elapsed_ns,
				  open->execution.waited_ns);
}

/* Callback: the memory of a query goes away. */
static void
query_is_gone(void *arg)
{
	OpenQuery  *open = arg;
	OpenQuery **link = &tracker.open;

	while (*link != open)
		link = &(*link)->next;
	*link = open->next;
	if (!open->counted)
		abort_query(open);
}

/*
 * Note that a query has started.
 */
static void
open_query(QueryDesc *query, int nesting)
{
	MemoryContext memory = query->estate->es_query_cxt;
	Instrumentation *timer;
	StewardExecution *execution;
	OpenQuery  *open;

	if (STEWARD_QUERY_TIMER(query) == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(memory);

		STEWARD_ALLOCATE_TIMER(query, timer_options);
		MemoryContextSwitchTo(old);
	}
	timer = STEWARD_QUERY_TIMER(query);
	if (!timer->need_timer)
		return;

	open = MemoryContextAlloc(memory, sizeof(OpenQuery));
	open->timer = timer;
	open->role = GetUserId();
	open->subxact = GetCurrentSubTransactionId();
	open->counted = false;
	execution = &open->execution;
	execution->query = query;
	execution->queryid = query->plannedstmt->queryId;
	execution->command = query->operation;
	execution->toplevel = nesting == 0;
	execution->nesting = nesting;
	execution->started = GetCurrentTimestamp();
	execution->waited_ns = nesting > 0 ? 0 :
		time_since_message(execution->started, query->plannedstmt);
	open->gone.func = query_is_gone;
	open->gone.arg = open;
	MemoryContextRegisterResetCallback(memory, &open->gone);
	open->next = tracker.open;
	tracker.open = open;
}

/* ExecutorStart_hook */
static void
executor_start(QueryDesc *query, int eflags)
{
	bool		measured = false;
	int			nesting = 0;

	if (steward_track != STEWARD_TRACK_NONE &&
		query->plannedstmt->queryId != 0 &&
		!(eflags & EXEC_FLAG_EXPLAIN_ONLY) && !IsParallelWorker())
	{
		nesting = current_nesting();
		measured = nesting == 0 || steward_track == STEWARD_TRACK_ALL;
	}
	if (measured)
		STEWARD_REQUEST_TIMER(query, INSTRUMENT_TIMER);

	if (prev_ExecutorStart)
		prev_ExecutorStart(query, eflags);
	else
		standard_ExecutorStart(query, eflags);

	if (measured)
		open_query(query, nesting);
}

/* The open query of a descriptor, or NULL. */
static inline OpenQuery *
find_open_query(const QueryDesc *query)
{
	for (OpenQuery *open = tracker.open; open != NULL; open = open->next)
	{
		if (open->execution.query == query && !open->counted)
			return open;
	}
	return NULL;
}

/* ExecutorEnd_hook */
static void
executor_end(QueryDesc *query)
{
	OpenQuery  *open = find_open_query(query);

	if (open != NULL)
	{
		open->counted = true;
		STEWARD_TIMER_STOP(open->timer);
		open->execution.elapsed_ns = STEWARD_TIMER_NS(open->timer);
		open->execution.rows = STEWARD_ROWS_PROCESSED(query);
		finish_execution(&open->execution, open->role);
	}

	if (prev_ExecutorEnd)
		prev_ExecutorEnd(query);
	else
		standard_ExecutorEnd(query);
}

/* Call the next one of ProcessUtility_hook. */
static void
next_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			 ProcessUtilityContext context, ParamListInfo params,
			 QueryEnvironment *queryEnv, DestReceiver *dest,
			 QueryCompletion *qc)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context, params,
							queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

/* How long a utility command has been on its way. */
static pg_noinline int64
utility_waited(TimestampTz now, const PlannedStmt *statement, bool toplevel)
{
	return toplevel ? time_since_message(now, statement) : 0;
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
	int64		waited_ns = 0;
	instr_time	start;
	instr_time	elapsed;

	if (steward_track == STEWARD_TRACK_NONE || IsParallelWorker() ||
		IsA(pstmt->utilityStmt, ExecuteStmt) ||
		IsA(pstmt->utilityStmt, PrepareStmt))
	{
		next_utility(pstmt, queryString, readOnlyTree, context, params,
					 queryEnv, dest, qc);
		return;
	}

	nesting = current_nesting();
	toplevel = nesting == 0;
	measured = queryid != 0 &&
		(toplevel || steward_track == STEWARD_TRACK_ALL);
	if (measured)
	{
		started = GetCurrentTimestamp();
		waited_ns = utility_waited(started, pstmt, toplevel);
	}
	INSTR_TIME_SET_CURRENT(start);
	tracker.utility_depth++;
	PG_TRY();
	{
		next_utility(pstmt, queryString, readOnlyTree, context, params,
					 queryEnv, dest, qc);
	}
	PG_CATCH();
	{
		tracker.utility_depth--;
		INSTR_TIME_SET_CURRENT(elapsed);
		INSTR_TIME_SUBTRACT(elapsed, start);
		if (measured)
			count_failure(queryid, role, toplevel,
						  INSTR_TIME_GET_NANOSEC(elapsed), waited_ns);
		PG_RE_THROW();
	}
	PG_END_TRY();

	tracker.utility_depth--;
	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, start);
	if (measured)
		count_statement(queryid, GetUserId(), toplevel,
						INSTR_TIME_GET_NANOSEC(elapsed), waited_ns, false,
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
		tracker.parse_ns = now > from ? (now - from) * NS_IN_US : 0;
		if (pstate->p_sourcetext != NULL)
			steward_unidentified_learn(pstate->p_sourcetext,
									   query->stmt_location, query->stmt_len,
									   query->queryId);
	}
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
				  now > from ? (now - from) * NS_IN_US : 0);
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
		if (!open->counted && open->subxact >= subxact)
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
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	prev_ExecutorEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = executor_end;
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = post_parse_analyze;
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
