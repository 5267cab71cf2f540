/*-------------------------------------------------------------------------
 *
 * policy_api.c
 *	  Functions by which users schedule refreshes of materialized views.
 *
 * Each checks its arguments and that the caller may refresh the view, and then
 * writes steward.matview_policy as the owner of that table (policy_table.c).
 * The constraints of the table say the same as the checks here, which are
 * there for better messages; the constraints also hold for what comes in by
 * other ways, as a dump.
 *
 * Nothing here waits for a lock longer than five seconds, and views are not
 * locked: the policy of a view that is dropped meanwhile is removed
 * when policies are loaded.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/shmem.h"
#include "refresh/matview_lock.h"
#include "refresh/policy.h"
#include "refresh/policy_read.h"
#include "refresh/policy_table.h"

PG_FUNCTION_INFO_V1(pg_steward_schedule_matview_refresh);
PG_FUNCTION_INFO_V1(pg_steward_alter_matview_refresh);
PG_FUNCTION_INFO_V1(pg_steward_unschedule_matview_refresh);
PG_FUNCTION_INFO_V1(pg_steward_pause_matview_refresh);
PG_FUNCTION_INFO_V1(pg_steward_resume_matview_refresh);

/* The longest time that can be asked for. */
#define MAX_PERIOD_US (3650 * USECS_PER_DAY)

/*
 * Arguments of schedule_matview_refresh() and alter_matview_refresh(), in their
 * order; also parameters of our statements, from $1.
 */
enum
{
	ARG_VIEW,
	ARG_EVERY,
	ARG_CRON,
	ARG_TIME_ZONE,
	ARG_LAG,
	ARG_DOWNSTREAM,
	ARG_DEBOUNCE,
	ARG_METHOD,
	ARG_YIELD_AFTER,
	ARG_MAX_RUNTIME,
	ARG_ASSUME,
	ARG_UPSTREAM_ERROR,
	ARG_PAUSED,
	NUM_ARGS
};

/* Raise an error if the argument is not a usable time of at least "least". */
static void
check_period(FunctionCallInfo fcinfo, int argno, const char *name, int64 least)
{
	Interval   *period;
	int64		length;

	if (PG_ARGISNULL(argno))
		return;
	period = PG_GETARG_INTERVAL_P(argno);
	if (period->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a time of fixed length", name),
				 errdetail("Months and years are longer or shorter."),
				 errhint("Use days, or a schedule like cron => '@monthly'.")));
	/* beyond days that can be multiplied, the sign is all that matters */
	if (period->day > 4000 || period->day < -4000)
		length = period->day > 0 ? PG_INT64_MAX : PG_INT64_MIN;
	else if (period->time > MAX_PERIOD_US * 2 || period->time < -MAX_PERIOD_US * 2)
		length = period->time;
	else
		length = period->day * USECS_PER_DAY + period->time;

	if (length < 0 || (length == 0 && least > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg(least > 0 ? "argument \"%s\" must be greater than zero" :
						"argument \"%s\" must not be negative", name)));
	if (length < least)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be at least 1 second", name)));
	if (length > MAX_PERIOD_US)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be at most 3650 days", name)));
}

/*
 * How many schedules the arguments name; an error for more than one.
 */
static int
count_schedules(FunctionCallInfo fcinfo)
{
	int			n = !PG_ARGISNULL(ARG_EVERY) + !PG_ARGISNULL(ARG_CRON) +
		!PG_ARGISNULL(ARG_LAG) + !PG_ARGISNULL(ARG_DEBOUNCE) +
		(!PG_ARGISNULL(ARG_DOWNSTREAM) && PG_GETARG_BOOL(ARG_DOWNSTREAM));

	if (n > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a materialized view has one schedule only"),
				 errhint("Give one of \"every\", \"cron\", \"target_lag\", \"downstream\" and \"on_change_debounce\".")));
	return n;
}

/* Fill in the schedule among the parameters. */
static void
take_schedule(FunctionCallInfo fcinfo, StewardArg *args)
{
	static const int periods[] = {ARG_EVERY, ARG_LAG, ARG_DEBOUNCE};

	check_period(fcinfo, ARG_EVERY, "every", USECS_PER_SEC);
	check_period(fcinfo, ARG_LAG, "target_lag", USECS_PER_SEC);
	check_period(fcinfo, ARG_DEBOUNCE, "on_change_debounce", USECS_PER_SEC);
	for (int i = 0; i < lengthof(periods); i++)
	{
		args[periods[i]].type = INTERVALOID;
		args[periods[i]].isnull = PG_ARGISNULL(periods[i]);
		args[periods[i]].value = PG_GETARG_DATUM(periods[i]);
	}
	args[ARG_DOWNSTREAM] = steward_arg_bool(!PG_ARGISNULL(ARG_DOWNSTREAM) &&
											PG_GETARG_BOOL(ARG_DOWNSTREAM));
	args[ARG_CRON] = steward_arg_text(NULL);
	if (!PG_ARGISNULL(ARG_CRON))
	{
		StewardCron cron;
		char	   *fields = text_to_cstring(PG_GETARG_TEXT_PP(ARG_CRON));

		steward_cron_parse(fields, &cron);
		args[ARG_CRON] = steward_arg_text(fields);
	}
	args[ARG_TIME_ZONE] = steward_arg_text(NULL);
	if (!PG_ARGISNULL(ARG_TIME_ZONE))
	{
		char	   *zone = text_to_cstring(PG_GETARG_TEXT_PP(ARG_TIME_ZONE));

		if (!steward_time_zone_is_valid(zone))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("time zone \"%s\" not recognized", zone),
					 errhint("See pg_timezone_names for names.")));
		args[ARG_TIME_ZONE] = steward_arg_text(zone);
	}
}

/* Fill in the other parameters; what is not given is null. */
static void
take_options(FunctionCallInfo fcinfo, StewardArg *args)
{
	static const int booleans[] = {ARG_ASSUME, ARG_PAUSED};

	args[ARG_METHOD] = steward_arg_text(NULL);
	if (!PG_ARGISNULL(ARG_METHOD))
	{
		char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_METHOD));
		StewardRefreshMethod method;

		if (!steward_refresh_parse_method(name, &method))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unrecognized refresh method \"%s\"", name),
					 errhint("Methods are \"auto\", \"diff\", \"plain\", \"concurrently\" and \"swap\".")));
		args[ARG_METHOD] =
			steward_arg_text(steward_refresh_method_name(method));
	}
	check_period(fcinfo, ARG_YIELD_AFTER, "yield_after", 0);
	check_period(fcinfo, ARG_MAX_RUNTIME, "max_runtime", USECS_PER_SEC);
	for (int i = ARG_YIELD_AFTER; i <= ARG_MAX_RUNTIME; i++)
	{
		args[i].type = INTERVALOID;
		args[i].isnull = PG_ARGISNULL(i);
		args[i].value = PG_GETARG_DATUM(i);
	}
	args[ARG_UPSTREAM_ERROR] = steward_arg_text(NULL);
	if (!PG_ARGISNULL(ARG_UPSTREAM_ERROR))
	{
		char	   *what = text_to_cstring(PG_GETARG_TEXT_PP(ARG_UPSTREAM_ERROR));

		if (strcmp(what, "wait") != 0 && strcmp(what, "continue") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unrecognized value for argument \"on_upstream_error\": \"%s\"", what),
					 errhint("Values are \"wait\" and \"continue\".")));
		args[ARG_UPSTREAM_ERROR] = steward_arg_text(what);
	}
	for (int i = 0; i < lengthof(booleans); i++)
	{
		args[booleans[i]].type = BOOLOID;
		args[booleans[i]].isnull = PG_ARGISNULL(booleans[i]);
		args[booleans[i]].value = PG_GETARG_DATUM(booleans[i]);
	}
}

/*
 * The view that the first argument names, which the caller may refresh; also
 * that this transaction may write.
 */
static Oid
take_view(FunctionCallInfo fcinfo, const char *function)
{
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	if (PG_ARGISNULL(ARG_VIEW))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "matview")));
	steward_matview_check(PG_GETARG_OID(ARG_VIEW));
	return PG_GETARG_OID(ARG_VIEW);
}

/* Open a section, with numbers and names of views brought up to date. */
static void
begin_change(StewardTableScope *scope)
{
	if (!steward_policy_table_begin(scope))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" of the extension does not exist",
						"steward.matview_policy")));
	/* the worker may be writing the same rows, for a moment */
	(void) set_config_option("lock_timeout", "5s", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	steward_policy_follow_views();
}

/* Raise an error: there is no policy to change. */
static void
report_no_policy(Oid view)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("materialized view \"%s\" has no refresh policy",
					get_rel_name(view)),
			 errhint("Use schedule_matview_refresh() to create one.")));
}

/* Say so if nothing will come of a policy. */
static void
warn_unless_preloaded(void)
{
	if (!steward_is_preloaded())
		ereport(WARNING,
				(errmsg("materialized views are not refreshed until pg_steward is preloaded"),
				 errhint("%s", steward_preload_hint())));
}

/*
 * schedule_matview_refresh(matview regclass, every interval, ...)
 */
Datum
pg_steward_schedule_matview_refresh(PG_FUNCTION_ARGS)
{
	Oid			view = take_view(fcinfo, "schedule_matview_refresh()");
	StewardArg	args[NUM_ARGS];
	StewardTableScope scope;

	if (count_schedules(fcinfo) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no schedule is given"),
				 errhint("Give one of \"every\", \"cron\", \"target_lag\", \"downstream\" and \"on_change_debounce\".")));
	args[ARG_VIEW] = steward_arg_oid(view);
	take_schedule(fcinfo, args);
	take_options(fcinfo, args);
	if (args[ARG_CRON].isnull && !args[ARG_TIME_ZONE].isnull)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"time_zone\" needs a schedule of kind \"cron\"")));
	if (!args[ARG_CRON].isnull && args[ARG_TIME_ZONE].isnull)
		args[ARG_TIME_ZONE] =
			steward_arg_text(pg_get_timezone_name(session_timezone));
	warn_unless_preloaded();

	begin_change(&scope);
	if (steward_policy_table_write("SELECT 1 FROM steward.matview_policy WHERE matview = $1",
								   1, args) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("materialized view \"%s\" has a refresh policy already",
						get_rel_name(view)),
				 errhint("Use alter_matview_refresh() to change it.")));
	steward_policy_table_write("DELETE FROM steward.matview_state WHERE matview = $1",
							   1, args);
	steward_policy_table_write("INSERT INTO steward.matview_policy"
							   " (matview, matview_name, every, cron, time_zone, target_lag, downstream,"
							   "  on_change_debounce, method, yield_after, max_runtime,"
							   "  assume_deterministic, on_upstream_error, paused, created)"
							   " SELECT $1, format('%I.%I', n.nspname, c.relname), $2, $3, $4, $5, $6, $7,"
							   "        coalesce($8, 'auto'), $9, $10, coalesce($11, false),"
							   "        coalesce($12, 'wait'), coalesce($13, false), clock_timestamp()"
							   "   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
							   "  WHERE c.oid = $1", NUM_ARGS, args);
	steward_policy_table_end(&scope);
	PG_RETURN_VOID();
}

/* What the policy of a view has now: a cron schedule, or "downstream"? */
static void
look_at_schedule(Oid view, bool *is_cron, bool *is_downstream)
{
	StewardArg	args[1];
	bool		isnull;

	args[0] = steward_arg_oid(view);
	if (steward_policy_table_write("SELECT cron IS NOT NULL, downstream"
								   "  FROM steward.matview_policy"
								   " WHERE matview = $1 FOR UPDATE",
								   1, args) == 0)
		report_no_policy(view);
	*is_cron = DatumGetBool(steward_query_value(0, 1, &isnull));
	*is_downstream = DatumGetBool(steward_query_value(0, 2, &isnull));
}

/*
 * alter_matview_refresh(matview regclass, every interval, ...): changes what is
 * not null; a schedule replaces the one that was.
 */
Datum
pg_steward_alter_matview_refresh(PG_FUNCTION_ARGS)
{
	Oid			view = take_view(fcinfo, "alter_matview_refresh()");
	int			nschedules = count_schedules(fcinfo);
	StewardArg	args[NUM_ARGS + 2];
	StewardTableScope scope;
	bool		is_cron;
	bool		is_downstream;

	args[ARG_VIEW] = steward_arg_oid(view);
	take_schedule(fcinfo, args);
	take_options(fcinfo, args);
	args[NUM_ARGS] = steward_arg_bool(nschedules > 0);
	args[NUM_ARGS + 1] =
		steward_arg_text(pg_get_timezone_name(session_timezone));

	begin_change(&scope);
	look_at_schedule(view, &is_cron, &is_downstream);
	if (nschedules > 0)
		is_cron = !args[ARG_CRON].isnull;
	if (!args[ARG_TIME_ZONE].isnull && !is_cron)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"time_zone\" needs a schedule of kind \"cron\"")));
	if (nschedules == 0 && is_downstream && !PG_ARGISNULL(ARG_DOWNSTREAM))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no schedule is given"),
				 errdetail("The schedule of materialized view \"%s\" is \"downstream\".",
						   get_rel_name(view)),
				 errhint("Give the schedule that is to replace it, or use unschedule_matview_refresh().")));
	steward_policy_table_write("UPDATE steward.matview_policy"
							   "   SET every = CASE WHEN $14 THEN $2 ELSE every END,"
							   "       cron = CASE WHEN $14 THEN $3 ELSE cron END,"
							   "       time_zone = CASE WHEN $14 AND $3 IS NULL THEN NULL"
							   "                        WHEN $14 THEN coalesce($4, time_zone, $15)"
							   "                        ELSE coalesce($4, time_zone) END,"
							   "       target_lag = CASE WHEN $14 THEN $5 ELSE target_lag END,"
							   "       downstream = CASE WHEN $14 THEN $6 ELSE downstream END,"
							   "       on_change_debounce = CASE WHEN $14 THEN $7 ELSE on_change_debounce END,"
							   "       method = coalesce($8, method),"
							   "       yield_after = coalesce($9, yield_after),"
							   "       max_runtime = coalesce($10, max_runtime),"
							   "       assume_deterministic = coalesce($11, assume_deterministic),"
							   "       on_upstream_error = coalesce($12, on_upstream_error),"
							   "       paused = coalesce($13, paused)"
							   " WHERE matview = $1", NUM_ARGS + 2, args);
	steward_policy_table_end(&scope);
	PG_RETURN_VOID();
}

/*
 * unschedule_matview_refresh(matview regclass)
 */
Datum
pg_steward_unschedule_matview_refresh(PG_FUNCTION_ARGS)
{
	Oid			view = take_view(fcinfo, "unschedule_matview_refresh()");
	StewardTableScope scope;
	StewardArg	args[1];

	args[0] = steward_arg_oid(view);
	begin_change(&scope);
	if (steward_policy_table_write("DELETE FROM steward.matview_policy WHERE matview = $1",
								   1, args) == 0)
		report_no_policy(view);
	steward_policy_table_write("DELETE FROM steward.matview_state WHERE matview = $1",
							   1, args);
	steward_policy_table_end(&scope);
	PG_RETURN_VOID();
}

/*
 * The views with a policy that the user may refresh, as an array of OIDs; in an
 * open section.
 */
static StewardArg
manageable_views(Oid user)
{
	StewardArg	arg = {.type = OIDARRAYOID};
	uint64		nrows = steward_policy_table_write("SELECT matview FROM steward.matview_policy"
												   " WHERE matview IS NOT NULL ORDER BY 1",
												   0, NULL);
	Datum	   *views = palloc(Max(nrows, 1) * sizeof(Datum));
	int			nviews = 0;

	for (uint64 row = 0; row < nrows; row++)
	{
		bool		isnull;
		Datum		view = steward_query_value(row, 1, &isnull);

		if (get_rel_name(DatumGetObjectId(view)) != NULL &&
			STEWARD_MAY_MAINTAIN(DatumGetObjectId(view), user))
			views[nviews++] = view;
	}
	arg.value = PointerGetDatum(construct_array(views, nviews, OIDOID,
												sizeof(Oid), true,
												TYPALIGN_INT));
	return arg;
}

/* Pause or resume one view or all; returns how many policies that are. */
static int64
set_paused(FunctionCallInfo fcinfo, const char *function, bool paused)
{
	StewardTableScope scope;
	StewardArg	args[2];
	uint64		n;

	if (PG_ARGISNULL(ARG_VIEW))
	{
		PreventCommandDuringRecovery(function);
		PreventCommandIfReadOnly(function);
		PreventCommandIfParallelMode(function);
	}
	else
		(void) take_view(fcinfo, function);

	begin_change(&scope);
	if (PG_ARGISNULL(ARG_VIEW))
		args[0] = manageable_views(scope.user);
	else
	{
		Datum		view = PG_GETARG_DATUM(ARG_VIEW);

		args[0] = (StewardArg)
		{
			.type = OIDARRAYOID
		};
		args[0].value = PointerGetDatum(construct_array(&view, 1, OIDOID,
														sizeof(Oid), true,
														TYPALIGN_INT));
	}
	args[1] = steward_arg_bool(paused);
	n = steward_policy_table_write("UPDATE steward.matview_policy SET paused = $2"
								   " WHERE matview = ANY ($1)", 2, args);
	if (n == 0 && !PG_ARGISNULL(ARG_VIEW))
		report_no_policy(PG_GETARG_OID(ARG_VIEW));
	if (!paused)
		steward_policy_table_write("UPDATE steward.matview_state"
								   "   SET suspended = NULL, consecutive_failures = 0,"
								   "       crash_count = 0, not_before = NULL"
								   " WHERE matview = ANY ($1)", 1, args);
	steward_policy_table_end(&scope);
	return (int64) n;
}

/*
 * pause_matview_refresh(matview regclass) returns bigint
 */
Datum
pg_steward_pause_matview_refresh(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(set_paused(fcinfo, "pause_matview_refresh()", true));
}

/*
 * resume_matview_refresh(matview regclass) returns bigint
 */
Datum
pg_steward_resume_matview_refresh(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(set_paused(fcinfo, "resume_matview_refresh()", false));
}
