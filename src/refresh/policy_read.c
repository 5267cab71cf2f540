/*-------------------------------------------------------------------------
 *
 * policy_read.c
 *	  Rows of policies as structures.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "refresh/policy_read.h"
#include "refresh/policy_table.h"

/* A period in microseconds, as the server compares intervals. */
#define PERIOD_US(column) \
	"(1000000 * extract(epoch FROM " column "))::bigint"

/* Columns of the row, in the order of the query. */
enum
{
	COL_VIEW = 1,
	COL_OWNER,
	COL_EVERY,
	COL_CRON,
	COL_TIME_ZONE,
	COL_LAG,
	COL_DOWNSTREAM,
	COL_DEBOUNCE,
	COL_METHOD,
	COL_YIELD_AFTER,
	COL_MAX_RUNTIME,
	COL_ASSUME,
	COL_CONTINUE,
	COL_PAUSED,
	COL_LAST_OK,
	COL_LAST_ATTEMPT,
	COL_NOT_BEFORE,
	COL_RUNNING_SINCE,
	COL_TYPICAL,
	COL_DELTA,
	COL_FAILURES,
	COL_CRASHES,
	COL_SUSPENDED,
	COL_SQLSTATE
};

/*
 * Read the policy of a view, or all policies if it is InvalidOid.  Returns the
 * number of rows, for steward_policy_row().
 */
uint64
steward_policy_select(Oid view)
{
	StewardArg	args[1];

	args[0] = steward_arg_oid(view);
	return steward_policy_table_select(STEWARD_SELECT "c.oid, c.relowner,"
									   PERIOD_US("p.every") ", p.cron, p.time_zone,"
									   PERIOD_US("p.target_lag") ", p.downstream,"
									   PERIOD_US("p.on_change_debounce") ", p.method,"
									   PERIOD_US("p.yield_after") "/ 1000,"
									   PERIOD_US("p.max_runtime") "/ 1000,"
									   " p.assume_deterministic, p.on_upstream_error = 'continue', p.paused,"
									   " s.last_ok, s.last_attempt, s.not_before, s.running_since,"
									   " s.typical_duration_ms, s.delta_ratio, s.consecutive_failures,"
									   " s.crash_count, s.suspended, s.last_sqlstate"
									   "  FROM steward.matview_policy p"
									   "       JOIN pg_class c ON c.oid = p.matview AND c.relkind = 'm'"
									   "       LEFT JOIN steward.matview_state s ON s.matview = c.oid"
									   " WHERE $1 = 0 OR c.oid = $1"
									   " ORDER BY c.oid", 1, args);
}

/* A value of the row; or what stands for null. */
static int64
get_int64(uint64 row, int column, int64 none)
{
	bool		isnull;
	Datum		value = steward_query_value(row, column, &isnull);

	return isnull ? none : DatumGetInt64(value);
}

static int
get_int32(uint64 row, int column)
{
	bool		isnull;
	Datum		value = steward_query_value(row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

static double
get_float8(uint64 row, int column)
{
	bool		isnull;
	Datum		value = steward_query_value(row, column, &isnull);

	return isnull ? -1 : DatumGetFloat8(value);
}

static Oid
get_oid(uint64 row, int column)
{
	bool		isnull;

	return DatumGetObjectId(steward_query_value(row, column, &isnull));
}

static bool
get_bool(uint64 row, int column)
{
	bool		isnull;

	return DatumGetBool(steward_query_value(row, column, &isnull));
}

/* A text, palloc'd in the current memory context, or NULL. */
static char *
get_text(uint64 row, int column)
{
	bool		isnull;
	Datum		value = steward_query_value(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* The schedule of the row. */
static void
read_schedule(uint64 row, StewardSchedule *schedule)
{
	char	   *cron = get_text(row, COL_CRON);
	char	   *zone = get_text(row, COL_TIME_ZONE);

	memset(schedule, 0, sizeof(StewardSchedule));
	if (cron != NULL)
	{
		schedule->kind = STEWARD_CRON;
		steward_cron_parse(cron, &schedule->cron);
		strlcpy(schedule->time_zone, zone ? zone : "GMT",
				sizeof(schedule->time_zone));
	}
	else if ((schedule->period_us = get_int64(row, COL_EVERY, 0)) > 0)
		schedule->kind = STEWARD_EVERY;
	else if ((schedule->period_us = get_int64(row, COL_LAG, 0)) > 0)
		schedule->kind = STEWARD_LAG;
	else if ((schedule->period_us = get_int64(row, COL_DEBOUNCE, 0)) > 0)
		schedule->kind = STEWARD_ON_CHANGE;
	else
		schedule->kind = STEWARD_DOWNSTREAM;
}

/*
 * A row of steward_policy_select(), palloc'd with its texts in the current
 * memory context.
 */
StewardPolicy *
steward_policy_row(uint64 row)
{
	StewardPolicy *policy = palloc0_object(StewardPolicy);

	policy->view = get_oid(row, COL_VIEW);
	policy->owner = get_oid(row, COL_OWNER);
	read_schedule(row, &policy->schedule);
	policy->method = get_text(row, COL_METHOD);
	policy->yield_after_ms = get_int64(row, COL_YIELD_AFTER,
									   STEWARD_YIELD_BY_SETTING);
	policy->max_runtime_ms = get_int64(row, COL_MAX_RUNTIME, 0);
	policy->assume_deterministic = get_bool(row, COL_ASSUME);
	policy->continue_on_upstream_error = get_bool(row, COL_CONTINUE);
	policy->paused = get_bool(row, COL_PAUSED);
	policy->last_ok = get_int64(row, COL_LAST_OK, 0);
	policy->last_attempt = get_int64(row, COL_LAST_ATTEMPT, 0);
	policy->not_before = get_int64(row, COL_NOT_BEFORE, 0);
	policy->running_since = get_int64(row, COL_RUNNING_SINCE, 0);
	policy->typical_duration_ms = get_float8(row, COL_TYPICAL);
	policy->delta_ratio = get_float8(row, COL_DELTA);
	policy->consecutive_failures = get_int32(row, COL_FAILURES);
	policy->crash_count = get_int32(row, COL_CRASHES);
	policy->suspended = get_text(row, COL_SUSPENDED);
	policy->last_sqlstate = get_text(row, COL_SQLSTATE);
	return policy;
}
