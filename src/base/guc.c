/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  Every setting of pg_steward: its variable, its definition, its limits.
 *
 * Settings are defined when the library is loaded, whether by
 * shared_preload_libraries or by the first call of one of its functions, and
 * the prefix is reserved afterwards, so that a misspelt name is reported.
 * What a setting means to a subject is explained in that subject's file.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/conninfo.h"
#include "base/guc.h"

int			steward_lock_timeout = 100;
int			steward_track = STEWARD_TRACK_TOP;
int			steward_max_queries = 5000;
bool		steward_save = true;
int			steward_latency_warning = 100;
int			steward_latency_critical = 200;
bool		steward_nplusone = true;
int			steward_nplusone_threshold = 5;
int			steward_nplusone_gap = 50;
int			steward_nplusone_max = 1000;
int			steward_pool_sample_interval = 5;
int			steward_pool_warning_after = 600;
int			steward_pool_critical_after = 300;
int			steward_pool_clear_after = 120;
int			steward_pool_reminder = 3600;
double		steward_pool_warning_pct = 75;
double		steward_pool_critical_pct = 90;
double		steward_pool_immediate_pct = 97;
int			steward_pool_event_retention = 30;
char	   *steward_notify_channel = NULL;
int			steward_bloat_max_blocks = 100000;
char	   *steward_pgbouncer_conninfo = NULL;
int			steward_pgbouncer_interval = 5;
int			steward_pgbouncer_maxwait = 1000;
int			steward_pgbouncer_maxwait_after = 60;
int			steward_pgbouncer_waiting_after = 120;
int			steward_refresh_diff_memory = 65536;
bool		steward_sample_constants = false;
int			steward_constants_memory = 1024;

static const struct config_enum_entry track_options[] = {
	{"none", STEWARD_TRACK_NONE, false},
	{"top", STEWARD_TRACK_TOP, false},
	{"all", STEWARD_TRACK_ALL, false},
	{NULL, 0, false}
};

/*
 * Settings of src/latency.  One that is fixed at server start can be defined
 * only then; in a session that loads the library later it has no effect, but
 * its name is known.
 */
static void
define_latency_settings(void)
{
	GucContext	at_start = process_shared_preload_libraries_in_progress ?
		PGC_POSTMASTER : PGC_SIGHUP;

	DefineCustomEnumVariable("pg_steward.track",
							 "Which statements pg_steward measures.",
							 "\"top\" are those that clients send, \"all\" also those that functions run. "
							 "Only superusers may change it.",
							 &steward_track,
							 STEWARD_TRACK_TOP,
							 track_options,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("pg_steward.max_queries",
							"Number of statements for which pg_steward keeps latency histograms.",
							"Each takes 2.2 kB of shared memory. If there are more, those that were not executed for the longest time make room.",
							&steward_max_queries,
							5000,
							100, 1000000,
							at_start,
							0,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("pg_steward.save",
							 "Keeps latency histograms over a clean restart of the server.",
							 NULL,
							 &steward_save,
							 true,
							 PGC_SIGHUP,
							 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("pg_steward.latency_warning",
							"Latency that reports call slow, in milliseconds.",
							"Any user may change it.",
							&steward_latency_warning,
							100,
							0, INT_MAX,
							PGC_USERSET,
							GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("pg_steward.latency_critical",
							"Latency that reports call too slow, in milliseconds.",
							"Any user may change it.",
							&steward_latency_critical,
							200,
							0, INT_MAX,
							PGC_USERSET,
							GUC_UNIT_MS,
							NULL, NULL, NULL);
}

/* Settings of src/latency/n_plus_one*.c. */
static void
define_nplusone_settings(void)
{
	GucContext	at_start = process_shared_preload_libraries_in_progress ?
		PGC_POSTMASTER : PGC_SIGHUP;

	DefineCustomBoolVariable("pg_steward.n_plus_one",
							 "Looks for statements that clients repeat where one would do.",
							 "Only superusers may change it.",
							 &steward_nplusone,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("pg_steward.n_plus_one_threshold",
							"Number of executions of one statement from which they are a group.",
							"Only superusers may change it.",
							&steward_nplusone_threshold,
							5,
							3, 1000000,
							PGC_SUSET,
							0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("pg_steward.n_plus_one_gap",
							"Pause of a client outside a transaction that ends a group of statements, in milliseconds.",
							"Only superusers may change it.",
							&steward_nplusone_gap,
							50,
							1, 60000,
							PGC_SUSET,
							GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("pg_steward.n_plus_one_max",
							"Number of pairs of statements for which pg_steward keeps groups.",
							"If there are more, those that were not seen for the longest time make room.",
							&steward_nplusone_max,
							1000,
							10, 100000,
							at_start,
							0,
							NULL, NULL, NULL);
}

/* Settings of src/advisor. */
static void
define_advisor_settings(void)
{
	GucContext	at_start = process_shared_preload_libraries_in_progress ?
		PGC_POSTMASTER : PGC_SIGHUP;

	DefineCustomBoolVariable("pg_steward.sample_constants",
							 "Keeps a few constants and parameter values of each statement in shared memory, for index advice.",
							 "They are shown to nobody, but indexes that are suggested to roles that may read all data can contain them. "
							 "Only superusers may change it.",
							 &steward_sample_constants,
							 false,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("pg_steward.sample_constants_memory",
							"Shared memory for sampled constants, in kilobytes.",
							"If it is full, those of statements that were not executed for the longest time make room.",
							&steward_constants_memory,
							1024,
							64, 1024 * 1024,
							at_start,
							GUC_UNIT_KB,
							NULL, NULL, NULL);
}

/* A share of the slots, and a time, both read when the server reloads. */
static void
define_pool_pct(const char *name, const char *description, double *variable)
{
	DefineCustomRealVariable(name, description,
							 "In percent of the slots that are not reserved.",
							 variable, *variable, 0, 100,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_pool_seconds(const char *name, const char *description,
					const char *more, int *variable, int min, int max)
{
	DefineCustomIntVariable(name, description, more, variable, *variable,
							min, max, PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);
}

/* A channel that pg_notify() takes, or none. */
static bool
check_channel(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || strlen(*newval) < NAMEDATALEN)
		return true;
	GUC_check_errdetail("A channel name is at most %d bytes long.",
						NAMEDATALEN - 1);
	return false;
}

/* Settings of src/pool. */
static void
define_pool_settings(void)
{
	define_pool_seconds("pg_steward.pool_sample_interval",
						"Time between two counts of the connections, in seconds.",
						"Zero turns counting, its history and its warnings off.",
						&steward_pool_sample_interval, 0, 3600);
	define_pool_pct("pg_steward.pool_warning_pct",
					"Use of connection slots that is a warning if it lasts.",
					&steward_pool_warning_pct);
	define_pool_seconds("pg_steward.pool_warning_after",
						"How long the use of slots must be above pool_warning_pct, in seconds.",
						NULL, &steward_pool_warning_after, 0, 86400);
	define_pool_pct("pg_steward.pool_critical_pct",
					"Use of connection slots that is critical if it lasts.",
					&steward_pool_critical_pct);
	define_pool_seconds("pg_steward.pool_critical_after",
						"How long the use of slots must be above pool_critical_pct, in seconds.",
						NULL, &steward_pool_critical_after, 0, 86400);
	define_pool_pct("pg_steward.pool_immediate_pct",
					"Use of connection slots that is critical at once.",
					&steward_pool_immediate_pct);
	define_pool_seconds("pg_steward.pool_clear_after",
						"How long the use of slots must be 10 points below a threshold to end its level, in seconds.",
						NULL, &steward_pool_clear_after, 0, 86400);
	define_pool_seconds("pg_steward.pool_reminder",
						"Time after which a level that lasts is logged again, in seconds.",
						"Zero logs changes only.",
						&steward_pool_reminder, 0, 7 * 86400);
	DefineCustomIntVariable("pg_steward.pool_event_retention",
							"How long changes of the pool's level are kept in steward.pool_event, in days.",
							NULL,
							&steward_pool_event_retention, 30, 1, 3650,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("pg_steward.notify_channel",
							   "Channel on which databases that have the extension are notified of changes of the pool's level.",
							   "The payload is JSON. Empty for none.",
							   &steward_notify_channel, "",
							   PGC_SIGHUP, 0, check_channel, NULL, NULL);
}

/* Settings of src/storage. */
static void
define_storage_settings(void)
{
	DefineCustomIntVariable("pg_steward.bloat_max_blocks",
							"Most blocks of tables or indexes that one bloat report reads.",
							"They are divided among relations by size; what gets none says so. Any user may change it.",
							&steward_bloat_max_blocks,
							100000,
							100, INT_MAX,
							PGC_USERSET,
							0,
							NULL, NULL, NULL);
}

/* Settings of src/pool/pgbouncer*.c. */
static void
define_pgbouncer_settings(void)
{
	DefineCustomStringVariable("pg_steward.pgbouncer_conninfo",
							   "Connection strings of the admin consoles of PgBouncer that are watched, separated by semicolons.",
							   "Passwords belong into a passfile or service. Empty for none.",
							   &steward_pgbouncer_conninfo, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   steward_conninfo_check, NULL, NULL);
	define_pool_seconds("pg_steward.pgbouncer_interval",
						"Time between two looks at PgBouncer, in seconds.",
						NULL, &steward_pgbouncer_interval, 1, 3600);
	DefineCustomIntVariable("pg_steward.pgbouncer_maxwait",
							"Time that the first client in a queue of PgBouncer may wait, in milliseconds.",
							NULL, &steward_pgbouncer_maxwait, 1000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	define_pool_seconds("pg_steward.pgbouncer_maxwait_after",
						"How long clients must wait longer than pgbouncer_maxwait to make it a warning, in seconds.",
						NULL, &steward_pgbouncer_maxwait_after, 0, 86400);
	define_pool_seconds("pg_steward.pgbouncer_waiting_after",
						"How long clients must wait in a queue of PgBouncer to make it a warning, in seconds.",
						"However short each of them waits.",
						&steward_pgbouncer_waiting_after, 0, 86400);
}

/* Settings of src/refresh. */
static void
define_refresh_settings(void)
{
	DefineCustomIntVariable("pg_steward.refresh_diff_memory",
							"Memory for comparing the rows of a materialized view with its query, in kilobytes.",
							"What does not fit goes to temporary files. Any user may change it.",
							&steward_refresh_diff_memory,
							65536,
							64, MAX_KILOBYTES,
							PGC_USERSET,
							GUC_UNIT_KB,
							NULL, NULL, NULL);
}

/*
 * Define all settings.  Called once for each process that loads the library
 * itself, from _PG_init().
 */
void
steward_guc_init(void)
{
	DefineCustomIntVariable("pg_steward.lock_timeout",
							"Longest time that SQL run by pg_steward itself waits for a lock, in milliseconds.",
							"Reports take no lock that reading or writing rows would conflict with. "
							"Zero waits without limit. Any user may change it.",
							&steward_lock_timeout,
							100,
							0, INT_MAX,
							PGC_USERSET,
							GUC_UNIT_MS,
							NULL, NULL, NULL);

	define_latency_settings();
	define_nplusone_settings();
	define_advisor_settings();
	define_pool_settings();
	define_storage_settings();
	define_pgbouncer_settings();
	define_refresh_settings();

	MarkGUCPrefixReserved("pg_steward");
}
