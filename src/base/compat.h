/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between the server versions that pg_steward supports.
 *
 * This is the only file that may test PG_VERSION_NUM.  The rest of the code
 * calls the interface of the newest server; what older servers lack is
 * emulated here under the new name.  Versions 15 to 19.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_COMPAT_H
#define STEWARD_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "pg_steward needs PostgreSQL 15 or newer"
#endif

/*
 * Since 18 the server can tell users which version of a module it loaded
 * (pg_get_loaded_modules()).
 */
#if PG_VERSION_NUM >= 180000
#define STEWARD_MODULE_MAGIC(module_name, module_version) \
	PG_MODULE_MAGIC_EXT(.name = (module_name), .version = (module_version))
#else
#define STEWARD_MODULE_MAGIC(module_name, module_version) \
	PG_MODULE_MAGIC
#endif

/*
 * For variables that our files share: since 16 the server builds modules so
 * that their symbols are hidden from others, and faster to reach.
 */
#if defined(__GNUC__)
#define STEWARD_HIDDEN __attribute__((visibility("hidden")))
#else
#define STEWARD_HIDDEN
#endif

#define STEWARD_SERVER_MAJOR (PG_VERSION_NUM / 10000)

/* Number of this process among all that can attach to shared memory. */
#if PG_VERSION_NUM >= 170000
#define STEWARD_PROC_NUMBER MyProcNumber
#else
#define STEWARD_PROC_NUMBER (MyProc->pgprocno)
#endif

/* Macros for values of variable length: a header of their own since 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Type of PlannedStmt.queryId, and the header of query jumbling. */
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif

/* Parameters of post_parse_analyze_hook. */
#if PG_VERSION_NUM >= 190000
#define POST_PARSE_ANALYZE_PARAMS \
	ParseState *pstate, Query *query, const JumbleState *jstate
#else
#define POST_PARSE_ANALYZE_PARAMS \
	ParseState *pstate, Query *query, JumbleState *jstate
#endif
#define POST_PARSE_ANALYZE_ARGS pstate, query, jstate

/* Nanoseconds of a time difference: since 16. */
#if PG_VERSION_NUM < 160000
#define INSTR_TIME_GET_NANOSEC(t) \
	((int64) (t).tv_sec * INT64CONST(1000000000) + (int64) (t).tv_nsec)
#endif

/*
 * Rows of a query, after its timer was stopped.  Before 16 the executor knows
 * only those of the latest fetch from a cursor, but the timer counts all.
 */
#if PG_VERSION_NUM >= 160000
#define STEWARD_ROWS_PROCESSED(query) ((query)->estate->es_total_processed)
#else
#define STEWARD_ROWS_PROCESSED(query) \
	((uint64) (query)->totaltime->ntuples)
#endif

/*
 * The timer of a whole query.  Since 19 it is requested before ExecutorStart
 * and has a name of its own; before, whoever wants it allocates it afterwards.
 */
#if PG_VERSION_NUM >= 190000
#define STEWARD_QUERY_TIMER(query) ((query)->query_instr)
#define STEWARD_REQUEST_TIMER(query, options) \
	((query)->query_instr_options |= (options))
#define STEWARD_ALLOCATE_TIMER(query, options) ((void) 0)
#define STEWARD_TIMER_STOP(timer) ((void) 0)
#define STEWARD_TIMER_NS(timer) INSTR_TIME_GET_NANOSEC((timer)->total)
#define STEWARD_TIMER_UNFINISHED_NS(timer) 0
#else
#define STEWARD_QUERY_TIMER(query) ((query)->totaltime)
#define STEWARD_REQUEST_TIMER(query, options) ((void) 0)
#define STEWARD_ALLOCATE_TIMER(query, options) \
	((query)->totaltime = InstrAlloc(1, (options), false))
#define STEWARD_TIMER_STOP(timer) InstrEndLoop(timer)
#define STEWARD_TIMER_NS(timer) ((int64) ((timer)->total * 1e9))
#define STEWARD_TIMER_UNFINISHED_NS(timer) \
	INSTR_TIME_GET_NANOSEC((timer)->counter)
#endif

/* Actions of signals that are no function: names of the server's since 19. */
#if PG_VERSION_NUM < 190000
#define PG_SIG_DFL SIG_DFL
#define PG_SIG_IGN SIG_IGN
#endif

/* A set of sockets to wait for, which the caller frees. */
#if PG_VERSION_NUM >= 170000
#define STEWARD_CREATE_WAIT_SET(n) CreateWaitEventSet(NULL, (n))
#else
#define STEWARD_CREATE_WAIT_SET(n) CreateWaitEventSet(CurrentMemoryContext, (n))
#endif

/*
 * Slots that ordinary users cannot have, and how many of max_connections are
 * free; users of these include storage/proc.h and postmaster/postmaster.h.
 * Before 16 one can only ask whether there are at least so many.
 */
#if PG_VERSION_NUM >= 160000
#define STEWARD_RESERVED_SLOTS \
	(SuperuserReservedConnections + ReservedConnections)
#define STEWARD_COUNT_FREE_SLOTS(max, nfree) \
	((void) HaveNFreeProcs((max), &(nfree)))
#else
#define STEWARD_RESERVED_SLOTS (ReservedBackends)
#define pgstat_get_local_beentry_by_index(i) \
	pgstat_fetch_stat_local_beentry(i)
#define STEWARD_COUNT_FREE_SLOTS(max, nfree) \
	do { \
		int			high_ = (max) + 1; \
\
		(nfree) = 0; \
		while (high_ - (nfree) > 1) \
		{ \
			int			middle_ = (nfree) + (high_ - (nfree)) / 2; \
\
			if (HaveNFreeProcs(middle_)) \
				(nfree) = middle_; \
			else \
				high_ = middle_; \
		} \
	} while (0)
#endif

#endif							/* STEWARD_COMPAT_H */
