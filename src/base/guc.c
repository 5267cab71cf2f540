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
int			steward_bloat_max_blocks = 100000;

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
	define_storage_settings();

	MarkGUCPrefixReserved("pg_steward");
}
