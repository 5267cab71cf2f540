/*-------------------------------------------------------------------------
 *
 * pgbouncer_parse.c
 *	  Reads the answers of PgBouncer's admin console.
 *
 * Columns differ between versions of PgBouncer, so that they are looked up by
 * their names: what is not known is ignored, what is missing or is no number
 * is unknown.  Rows are taken one by one as they come; if there are more than
 * are kept, those with the longer queues stay.
 *
 * The console's own pool, of the database "pgbouncer", is left out.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "pool/pgbouncer_parse.h"

#define OWN_DATABASE "pgbouncer"

/* A text as a number that is not negative; -1 if it is none. */
static int64
parse_number(const char *text)
{
	char	   *end;
	long long	value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < 0)
		return -1;
	return value;
}

/* A column as text; NULL if it is not there. */
static const char *
text_column(const PGresult *row, const char *name)
{
	int			column = PQfnumber(row, name);

	if (column < 0 || PQgetisnull(row, 0, column))
		return NULL;
	return PQgetvalue(row, 0, column);
}

/* A column as a number; -1 is unknown. */
static int64
number_column(const PGresult *row, const char *name)
{
	const char *text = text_column(row, name);

	return text ? parse_number(text) : -1;
}

/* Add to a sum of what is known. */
static void
add_known(int64 *sum, int64 value)
{
	if (value > 0)
		*sum += Min(value, INT_MAX);
}

/* Where a pool is to be stored: free, or that of the shortest queue. */
static StewardBouncerPool *
place_for_pool(StewardConsole *console, const StewardPoolNumbers *numbers)
{
	StewardBouncerPool *shortest = &console->pools[0];

	if (console->npools < STEWARD_CONSOLE_POOLS)
		return &console->pools[console->npools++];
	for (int i = 1; i < STEWARD_CONSOLE_POOLS; i++)
	{
		if (console->pools[i].numbers.cl_waiting < shortest->numbers.cl_waiting)
			shortest = &console->pools[i];
	}
	return numbers->cl_waiting > shortest->numbers.cl_waiting ? shortest : NULL;
}

/*
 * A row of SHOW POOLS.  The wait has a column of its own for the microseconds.
 */
static void
take_pool(StewardConsole *console, const char *key, const PGresult *row)
{
	StewardPoolNumbers numbers;
	StewardBouncerPool *pool;
	int64		seconds = number_column(row, "maxwait");
	int64		micros = number_column(row, "maxwait_us");

	if (strcmp(key, OWN_DATABASE) == 0)
		return;

	numbers.cl_active = number_column(row, "cl_active");
	numbers.cl_waiting = number_column(row, "cl_waiting");
	numbers.sv_active = number_column(row, "sv_active");
	numbers.sv_idle = number_column(row, "sv_idle");
	numbers.sv_used = number_column(row, "sv_used");
	numbers.pool_size = numbers.reserve = -1;
	numbers.maxwait_ms = seconds < 0 ? -1 :
		Min(seconds, INT_MAX) * 1000 + Max(micros, 0) % 1000000 / 1000;

	console->npools_seen++;
	add_known(&console->sums.cl_active, numbers.cl_active);
	add_known(&console->sums.cl_waiting, numbers.cl_waiting);
	add_known(&console->sums.sv_active, numbers.sv_active);
	add_known(&console->sums.sv_idle, numbers.sv_idle);
	add_known(&console->sums.sv_used, numbers.sv_used);
	console->sums.maxwait_ms = Max(console->sums.maxwait_ms,
								   numbers.maxwait_ms);

	pool = place_for_pool(console, &numbers);
	if (pool == NULL)
		return;
	pool->numbers = numbers;
	steward_copy_printable(pool->database, NAMEDATALEN, key, false);
	steward_copy_printable(pool->user, NAMEDATALEN,
						   text_column(row, "user") ? text_column(row, "user") : "",
						   false);
	steward_copy_printable(pool->mode, sizeof(pool->mode),
						   text_column(row, "pool_mode") ? text_column(row, "pool_mode") : "",
						   true);
}

/*
 * A row of SHOW DATABASES, which comes after the pools: how many server
 * connections each of its pools may have.
 */
static void
take_database(StewardConsole *console, const char *key, const PGresult *row)
{
	char		name[NAMEDATALEN];
	int64		pool_size = number_column(row, "pool_size");
	int64		reserve = number_column(row, "reserve_pool");

	if (reserve < 0)
		reserve = number_column(row, "reserve_pool_size");
	steward_copy_printable(name, NAMEDATALEN, key, false);
	for (int i = 0; i < console->npools; i++)
	{
		if (strcmp(console->pools[i].database, name) != 0)
			continue;
		console->pools[i].numbers.pool_size = pool_size;
		console->pools[i].numbers.reserve = reserve;
		add_known(&console->sums.pool_size, pool_size);
		add_known(&console->sums.reserve, reserve);
	}
}

/* A row of SHOW STATS. */
static void
take_stats(StewardConsole *console, const char *key, const PGresult *row)
{
	StewardDatabaseNumbers *numbers;

	if (strcmp(key, OWN_DATABASE) == 0)
		return;
	if (console->ndatabases_seen++ >= STEWARD_CONSOLE_DATABASES)
		return;
	steward_copy_printable(console->databases[console->ndatabases].database,
						   NAMEDATALEN, key, false);
	numbers = &console->databases[console->ndatabases++].numbers;
	numbers->total_xact_count = number_column(row, "total_xact_count");
	numbers->total_query_count = number_column(row, "total_query_count");
	numbers->total_received = number_column(row, "total_received");
	numbers->total_sent = number_column(row, "total_sent");
	numbers->total_xact_time = number_column(row, "total_xact_time");
	numbers->total_query_time = number_column(row, "total_query_time");
	numbers->total_wait_time = number_column(row, "total_wait_time");
	numbers->avg_xact_count = number_column(row, "avg_xact_count");
	numbers->avg_query_count = number_column(row, "avg_query_count");
	numbers->avg_recv = number_column(row, "avg_recv");
	numbers->avg_sent = number_column(row, "avg_sent");
	numbers->avg_xact_time = number_column(row, "avg_xact_time");
	numbers->avg_query_time = number_column(row, "avg_query_time");
	numbers->avg_wait_time = number_column(row, "avg_wait_time");
}

/* A row of SHOW LISTS: what it counts, and how many. */
static void
take_list(StewardConsole *console, const char *key, const PGresult *row)
{
	if (strcmp(key, "used_clients") == 0)
		console->clients = number_column(row, "items");
}

/* A row of SHOW CONFIG: a setting. */
static void
take_setting(StewardConsole *console, const char *key, const PGresult *row)
{
	if (strcmp(key, "max_client_conn") == 0)
		console->max_client_conn = number_column(row, "value");
	else if (strcmp(key, "default_pool_size") == 0)
		console->default_pool_size = number_column(row, "value");
}

/* The question with this number, from 0; NULL behind the last. */
const StewardBouncerQuery *
steward_bouncer_query(int n)
{
	static const StewardBouncerQuery queries[] =
	{
		{"SHOW POOLS", "database", true, take_pool},
		{"SHOW DATABASES", "name", false, take_database},
		{"SHOW STATS", "database", false, take_stats},
		{"SHOW LISTS", "list", false, take_list},
		{"SHOW CONFIG", "key", false, take_setting},
	};

	return n < lengthof(queries) ? &queries[n] : NULL;
}
