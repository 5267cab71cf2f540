/*-------------------------------------------------------------------------
 *
 * pgbouncer_reports.c
 *	  SQL functions over what PgBouncer said.
 *
 * Who is not a member of pg_monitor gets one row for each console, with sums
 * and without names: pools have those of databases and roles, which may belong
 * to other servers.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/acl.h"

#include "base/guc.h"
#include "base/machine.h"
#include "base/rows.h"
#include "pool/pgbouncer.h"

PG_FUNCTION_INFO_V1(pg_steward_get_pgbouncer_pools);
PG_FUNCTION_INFO_V1(pg_steward_get_pgbouncer_stats);

#define NEEDS_MONITOR "skipped: needs pg_monitor"

/* Columns behind the state that reports have. */
#define POOL_COLUMNS 14
#define STATS_COLUMNS 21

/* Append a number; -1 is null. */
static void
append_number(StewardRows *rows, int64 number)
{
	if (number < 0)
		steward_rows_null(rows);
	else
		steward_rows_int64(rows, number);
}

/* Append a number divided by this; -1 is null. */
static void
append_divided(StewardRows *rows, int64 number, double divisor)
{
	if (number < 0)
		steward_rows_null(rows);
	else
		steward_rows_float8(rows, number / divisor);
}

/*
 * Append a text of another program; empty is null.  What the database's
 * encoding does not allow loses its bytes outside of ASCII.
 */
static void
append_foreign(StewardRows *rows, const char *text)
{
	char	   *copy;

	if (text[0] == '\0')
	{
		steward_rows_null(rows);
		return;
	}
	copy = pstrdup(text);
	if (!pg_verify_mbstr(GetDatabaseEncoding(), copy, strlen(copy), true))
	{
		for (char *p = copy; *p != '\0'; p++)
		{
			if (IS_HIGHBIT_SET(*p))
				*p = '?';
		}
	}
	steward_rows_text(rows, copy);
}

static void
append_nulls(StewardRows *rows, int n)
{
	for (int i = 0; i < n; i++)
		steward_rows_null(rows);
}

/* What keeps every console from being asked, or NULL. */
static const char *
why_nothing(void)
{
	StewardBouncers *bouncers = steward_bouncers();
	int			nconsoles;

	if (bouncers == NULL)
		return "skipped: needs pg_steward in shared_preload_libraries";
	if (steward_pgbouncer_conninfo == NULL ||
		steward_pgbouncer_conninfo[strspn(steward_pgbouncer_conninfo, "; \t\n")] == '\0')
		return "skipped: needs pg_steward.pgbouncer_conninfo";
	LWLockAcquire(bouncers->lock, LW_SHARED);
	nconsoles = bouncers->nconsoles;
	LWLockRelease(bouncers->lock);
	return nconsoles > 0 ? NULL : "skipped: the poller has not started";
}

/*
 * Copy the console with this number; false if there is none.
 */
static bool
copy_console(int n, StewardConsole *console)
{
	StewardBouncers *bouncers = steward_bouncers();
	bool		found;

	LWLockAcquire(bouncers->lock, LW_SHARED);
	found = n < bouncers->nconsoles;
	if (found)
		*console = bouncers->consoles[n];
	LWLockRelease(bouncers->lock);
	return found;
}

/* Append the columns that say which console it is, and how it is. */
static void
append_console(StewardRows *rows, const StewardConsole *console, bool monitor)
{
	bool		stale = console->state == STEWARD_CONSOLE_OK &&
		!steward_console_is_current(console, steward_monotonic_ms());

	append_foreign(rows, monitor ? console->label : "");
	steward_rows_text(rows, stale ? "stale" :
					  steward_console_state_name(console->state));
}

/* Append why there is no more, or what is left out; null for nothing. */
static void
append_error(StewardRows *rows, const StewardConsole *console, bool monitor,
			 int seen, int kept, const char *what)
{
	if (!monitor)
		steward_rows_text(rows, NEEDS_MONITOR);
	else if (seen > kept)
		steward_rows_text(rows, psprintf("truncated: %d of %d %s are not shown",
										 seen - kept, seen, what));
	else
		append_foreign(rows, console->error);
}

/* A row for a pool, or, with empty names, for all pools of a console. */
static void
append_pool(StewardRows *rows, const StewardConsole *console,
			const StewardPoolNumbers *numbers, const char *database,
			const char *user, const char *mode, bool monitor)
{
	bool		all = database[0] == '\0';

	append_console(rows, console, monitor);
	append_foreign(rows, database);
	append_foreign(rows, user);
	if (console->state == STEWARD_CONSOLE_OK)
	{
		append_number(rows, numbers->cl_active);
		append_number(rows, numbers->cl_waiting);
		append_number(rows, numbers->sv_active);
		append_number(rows, numbers->sv_idle);
		append_number(rows, numbers->sv_used);
		append_number(rows, numbers->pool_size);
		append_number(rows, numbers->reserve);
		append_foreign(rows, mode);
		append_divided(rows, numbers->maxwait_ms, 1000.0);
	}
	else
		append_nulls(rows, 9);
	steward_rows_timestamptz(rows, console->sampled_at);
	if (all)
		append_error(rows, console, monitor, console->npools_seen,
					 console->npools, "pools");
	else
		append_foreign(rows, console->error);
	steward_rows_end_row(rows);
}

/* The rows of one console. */
static void
append_pools(StewardRows *rows, const StewardConsole *console, bool monitor)
{
	for (int i = 0; monitor && i < console->npools; i++)
	{
		const StewardBouncerPool *pool = &console->pools[i];

		append_pool(rows, console, &pool->numbers, pool->database, pool->user,
					pool->mode, monitor);
	}
	if (!monitor || console->npools == 0 ||
		console->npools_seen > console->npools)
		append_pool(rows, console, &console->sums, "", "", "", monitor);
}

/*
 * get_pgbouncer_pools(): see its declaration in 53_pgbouncer.sql.
 */
Datum
pg_steward_get_pgbouncer_pools(PG_FUNCTION_ARGS)
{
	bool		monitor = has_privs_of_role(GetUserId(), ROLE_PG_MONITOR);
	StewardConsole *console = palloc(sizeof(StewardConsole));
	const char *reason = why_nothing();
	StewardRows rows;

	steward_rows_begin(&rows, fcinfo);
	if (reason != NULL)
	{
		steward_rows_null(&rows);
		steward_rows_text(&rows, reason);
		append_nulls(&rows, POOL_COLUMNS - 1);
		steward_rows_end_row(&rows);
		return (Datum) 0;
	}
	for (int i = 0; copy_console(i, console); i++)
		append_pools(&rows, console, monitor);
	pfree(console);
	return (Datum) 0;
}

/* The columns of a console's clients. */
static void
append_clients(StewardRows *rows, const StewardConsole *console)
{
	bool		ok = console->state == STEWARD_CONSOLE_OK;

	append_number(rows, ok ? console->clients : -1);
	append_number(rows, ok ? console->max_client_conn : -1);
	if (ok && console->clients >= 0 && console->max_client_conn > 0)
		steward_rows_float8(rows, 100.0 * console->clients /
							console->max_client_conn);
	else
		steward_rows_null(rows);
	append_number(rows, ok ? console->default_pool_size : -1);
}

/* The numbers of a database; PgBouncer's times are in microseconds. */
static void
append_statistics(StewardRows *rows, const StewardDatabaseNumbers *numbers)
{
	append_number(rows, numbers->total_xact_count);
	append_number(rows, numbers->total_query_count);
	append_number(rows, numbers->total_received);
	append_number(rows, numbers->total_sent);
	append_divided(rows, numbers->total_xact_time, 1000.0);
	append_divided(rows, numbers->total_query_time, 1000.0);
	append_divided(rows, numbers->total_wait_time, 1000.0);
	append_number(rows, numbers->avg_xact_count);
	append_number(rows, numbers->avg_query_count);
	append_number(rows, numbers->avg_recv);
	append_number(rows, numbers->avg_sent);
	append_divided(rows, numbers->avg_xact_time, 1000.0);
	append_divided(rows, numbers->avg_query_time, 1000.0);
	append_divided(rows, numbers->avg_wait_time, 1000.0);
}

/* A row for a database, or, if it is NULL, for the console alone. */
static void
append_database(StewardRows *rows, const StewardConsole *console,
				const StewardBouncerDatabase *database, bool monitor)
{
	append_console(rows, console, monitor);
	append_clients(rows, console);
	append_foreign(rows, database ? database->database : "");
	if (database)
		append_statistics(rows, &database->numbers);
	else
		append_nulls(rows, 14);
	steward_rows_timestamptz(rows, console->sampled_at);
	if (database)
		append_foreign(rows, console->error);
	else
		append_error(rows, console, monitor, console->ndatabases_seen,
					 console->ndatabases, "databases");
	steward_rows_end_row(rows);
}

/*
 * get_pgbouncer_stats(): see its declaration in 53_pgbouncer.sql.
 */
Datum
pg_steward_get_pgbouncer_stats(PG_FUNCTION_ARGS)
{
	bool		monitor = has_privs_of_role(GetUserId(), ROLE_PG_MONITOR);
	StewardConsole *console = palloc(sizeof(StewardConsole));
	const char *reason = why_nothing();
	StewardRows rows;

	steward_rows_begin(&rows, fcinfo);
	if (reason != NULL)
	{
		steward_rows_null(&rows);
		steward_rows_text(&rows, reason);
		append_nulls(&rows, STATS_COLUMNS);
		steward_rows_end_row(&rows);
		return (Datum) 0;
	}
	for (int i = 0; copy_console(i, console); i++)
	{
		for (int j = 0; monitor && j < console->ndatabases; j++)
			append_database(&rows, console, &console->databases[j], monitor);
		if (!monitor || console->ndatabases == 0 ||
			console->ndatabases_seen > console->ndatabases)
			append_database(&rows, console, NULL, monitor);
	}
	pfree(console);
	return (Datum) 0;
}
