/*-------------------------------------------------------------------------
 *
 * pgbouncer.h
 *	  What PgBouncer says about its pools.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_PGBOUNCER_H
#define STEWARD_PGBOUNCER_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "storage/lwlock.h"

#include "base/conninfo.h"

#define STEWARD_MAX_CONSOLES	STEWARD_MAX_CONNINFOS

/* Pools and databases of a console that are kept; the rest is counted. */
#define STEWARD_CONSOLE_POOLS		64
#define STEWARD_CONSOLE_DATABASES	64

typedef enum StewardConsoleState
{
	STEWARD_CONSOLE_STARTING,	/* not asked yet */
	STEWARD_CONSOLE_OK,
	STEWARD_CONSOLE_UNREACHABLE,
	STEWARD_CONSOLE_TIMEOUT,
	STEWARD_CONSOLE_REFUSED,	/* it does not let us in, or not see */
	STEWARD_CONSOLE_INVALID		/* it answers what PgBouncer would not */
} StewardConsoleState;

/* Numbers of a pool; -1 is unknown. */
typedef struct StewardPoolNumbers
{
	int64		cl_active;
	int64		cl_waiting;
	int64		sv_active;
	int64		sv_idle;
	int64		sv_used;
	int64		pool_size;
	int64		reserve;
	int64		maxwait_ms;
} StewardPoolNumbers;

/* A pool; names are cut to the length of names. */
typedef struct StewardBouncerPool
{
	char		database[NAMEDATALEN];
	char		user[NAMEDATALEN];
	char		mode[16];
	StewardPoolNumbers numbers;

	/* monotonic clock, 0: it is not so; see pgbouncer_rule.c */
	int64		waiting_since;	/* clients wait in every sample */
	int64		slow_since;		/* the first of them for too long */
} StewardBouncerPool;

/* Statistics of a database; -1 is unknown.  Times in microseconds. */
typedef struct StewardDatabaseNumbers
{
	int64		total_xact_count;
	int64		total_query_count;
	int64		total_received;
	int64		total_sent;
	int64		total_xact_time;
	int64		total_query_time;
	int64		total_wait_time;
	int64		avg_xact_count; /* a second, as the other averages of counts */
	int64		avg_query_count;
	int64		avg_recv;
	int64		avg_sent;
	int64		avg_xact_time;
	int64		avg_query_time;
	int64		avg_wait_time;
} StewardDatabaseNumbers;

typedef struct StewardBouncerDatabase
{
	char		database[NAMEDATALEN];
	StewardDatabaseNumbers numbers;
} StewardBouncerDatabase;

/*
 * What a console said the last time.  Pools and databases are of sampled_at,
 * and there are none unless the state is OK.
 */
typedef struct StewardConsole
{
	StewardConsoleState state;
	char		label[128];		/* host:port */
	char		error[256];		/* printable ASCII */
	TimestampTz sampled_at;		/* 0: never */
	int64		sampled_ms;		/* likewise, monotonic clock */
	int64		retry_ms;		/* not to be asked before, monotonic clock */
	int			failures;		/* in a row */

	int64		clients;		/* -1 is unknown, here and below */
	int64		max_client_conn;
	int64		default_pool_size;
	StewardPoolNumbers sums;	/* over all pools; maxwait_ms is the longest */
	int			npools;
	int			npools_seen;	/* those not kept included */
	int			ndatabases;
	int			ndatabases_seen;
	StewardBouncerPool pools[STEWARD_CONSOLE_POOLS];
	StewardBouncerDatabase databases[STEWARD_CONSOLE_DATABASES];
} StewardConsole;

/* Shared, guarded by lock; written by the poller alone. */
typedef struct StewardBouncers
{
	LWLock	   *lock;
	uint32		setting_hash;	/* of the setting that the consoles are of */
	int			nconsoles;
	StewardConsole consoles[STEWARD_MAX_CONSOLES];
} StewardBouncers;

/* The queues of all consoles, for the sampler. */
typedef struct StewardQueues
{
	int64		waiting;		/* clients */
	bool		lasting;		/* in one of them for too long */
} StewardQueues;

/* pgbouncer.c */
extern void steward_pgbouncer_init(void);

/* pgbouncer_store.c */
extern void steward_pgbouncer_store_init(void);
extern StewardBouncers *steward_bouncers(void);
extern void steward_console_clear(StewardConsole *console);
extern const char *steward_console_state_name(StewardConsoleState state);
extern void steward_copy_printable(char *target, Size size, const char *text,
								   bool ascii);

/* pgbouncer_rule.c */
extern void steward_queue_track(StewardConsole *console,
								const StewardConsole *before);
extern bool steward_console_is_current(const StewardConsole *console,
									   int64 now);
extern void steward_queues(int64 now, StewardQueues *queues);
extern void steward_queues_describe(int64 now, StringInfo text, int top);

#endif							/* STEWARD_PGBOUNCER_H */
