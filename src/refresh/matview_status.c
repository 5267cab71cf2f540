/*-------------------------------------------------------------------------
 *
 * matview_status.c
 *	  Reports about scheduled refreshes: get_matview_status() and
 *	  get_matview_refresh_history().
 *
 * Policy and state come from tables that only superusers may read, as they are
 * when the report starts; whether a view is fresh comes from the change clock,
 * and when it is due from the registry of the background worker, as they are
 * when its row is made.  All materialized views are listed, as their names are
 * in catalogs that everybody may read; why a refresh failed, and why changes
 * cannot be followed, is shown to who may refresh the view and to members of
 * pg_read_all_stats.
 *
 * Without preloading, and on a standby, there is neither clock nor registry:
 * then what the tables know is shown.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/rows.h"
#include "base/shmem.h"
#include "refresh/freshness.h"
#include "refresh/matview_lock.h"
#include "refresh/policy.h"
#include "refresh/policy_read.h"
#include "refresh/policy_table.h"
#include "refresh/refresh_due.h"
#include "refresh/refresh_registry.h"

PG_FUNCTION_INFO_V1(pg_steward_get_matview_status);
PG_FUNCTION_INFO_V1(pg_steward_get_matview_refresh_history);

/* Bytes of an error message in the status; the history has all. */
#define STATUS_ERROR_BYTES 100

#define HIDDEN_TEXT "skipped: needs pg_read_all_stats"

/* A materialized view, and what the tables know of it. */
typedef struct StatusRow
{
	Oid			view;
	char	   *schema_name;
	char	   *name;
	bool		populated;
	StewardPolicy *policy;		/* NULL if it has none */
	char	   *schedule;		/* as text */
	TimestampTz created;		/* the policy */
	bool		has_run;		/* the following are not null */
	double		duration_ms;
	char	   *method;
	int64		rows_changed;	/* -1: not known, as below */
	int64		wal_bytes;
	char	   *error;
	int64		skips;
} StatusRow;

/* Columns of the query. */
enum
{
	COL_VIEW = 1,
	COL_SCHEMA,
	COL_NAME,
	COL_POPULATED,
	COL_SCHEDULE,
	COL_CREATED,
	COL_DURATION,
	COL_METHOD,
	COL_ROWS_CHANGED,
	COL_WAL_BYTES,
	COL_ERROR,
	COL_SKIPS
};

/* May this user see what can tell about the content of the view? */
static bool
may_see_details(Oid view)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		(get_rel_name(view) != NULL && STEWARD_MAY_MAINTAIN(view, GetUserId()));
}

/* A value of the query's row, copied into the current memory context. */
static char *
copy_text(uint64 row, int column)
{
	bool		isnull;
	Datum		value = steward_query_value(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static int64
copy_int64(uint64 row, int column, int64 none)
{
	bool		isnull;
	Datum		value = steward_query_value(row, column, &isnull);

	return isnull ? none : DatumGetInt64(value);
}

/* A row of the query, palloc'd. */
static StatusRow *
copy_row(uint64 row)
{
	StatusRow  *copy = palloc0_object(StatusRow);
	bool		isnull;
	Datum		value;

	copy->view = DatumGetObjectId(steward_query_value(row, COL_VIEW, &isnull));
	copy->schema_name = copy_text(row, COL_SCHEMA);
	copy->name = copy_text(row, COL_NAME);
	copy->populated =
		DatumGetBool(steward_query_value(row, COL_POPULATED, &isnull));
	copy->schedule = copy_text(row, COL_SCHEDULE);
	copy->created = copy_int64(row, COL_CREATED, 0);
	value = steward_query_value(row, COL_DURATION, &isnull);
	copy->has_run = !isnull;
	copy->duration_ms = isnull ? 0 : DatumGetFloat8(value);
	copy->method = copy_text(row, COL_METHOD);
	copy->rows_changed = copy_int64(row, COL_ROWS_CHANGED, -1);
	copy->wal_bytes = copy_int64(row, COL_WAL_BYTES, -1);
	copy->error = copy_text(row, COL_ERROR);
	copy->skips = copy_int64(row, COL_SKIPS, -1);
	return copy;
}

/* A period in the unit that makes it short, as "5 min". */
static char *
describe_period(int64 period_us)
{
	static const struct
	{
		int64		length_us;
		const char *name;
	}			units[] = {
		{USECS_PER_DAY, "d"},
		{USECS_PER_HOUR, "h"},
		{USECS_PER_MINUTE, "min"},
		{USECS_PER_SEC, "s"}
	};

	for (int i = 0; i < lengthof(units); i++)
	{
		if (period_us % units[i].length_us == 0)
			return psprintf(INT64_FORMAT " %s", period_us / units[i].length_us,
							units[i].name);
	}
	return psprintf("%g s", (double) period_us / USECS_PER_SEC);
}

/* A schedule as text; that of cron is given. */
static char *
describe_schedule(const StewardSchedule *schedule, char *cron)
{
	char	   *period = describe_period(schedule->period_us);

	switch (schedule->kind)
	{
		case STEWARD_EVERY:
			return psprintf("every %s", period);
		case STEWARD_CRON:
			return cron;
		case STEWARD_LAG:
			return psprintf("lag %s", period);
		case STEWARD_DOWNSTREAM:
			return "downstream";
		case STEWARD_ON_CHANGE:
			return psprintf("%s after change", period);
	}
	return NULL;				/* keep compiler quiet */
}

/* The policies of a list in the order of views: find that of one. */
static StewardPolicy *
find_policy(List *policies, Oid view)
{
	int			low = 0;
	int			high = list_length(policies);

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		StewardPolicy *policy = list_nth(policies, middle);

		if (policy->view == view)
			return policy;
		if (policy->view < view)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * All materialized views of this database, a list of StatusRow in the current
 * memory context, by schema and name.
 */
static List *
read_tables(void)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext old;
	StewardTableScope scope;
	List	   *policies = NIL;
	List	   *views = NIL;
	uint64		nrows;

	if (!steward_policy_table_begin(&scope))
		return NIL;
	nrows = steward_policy_select(InvalidOid);
	old = MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < nrows; row++)
		policies = lappend(policies, steward_policy_row(row));
	MemoryContextSwitchTo(old);

	nrows = steward_policy_table_select(STEWARD_SELECT "c.oid, n.nspname::text, c.relname::text, c.relispopulated,"
										"       format('cron %s (%s)', p.cron, p.time_zone),"
										"       p.created, s.last_duration_ms, s.last_method, s.last_rows_changed, s.last_wal_bytes,"
										"       s.last_error, s.skips"
										"  FROM pg_class c"
										"       JOIN pg_namespace n ON n.oid = c.relnamespace"
										"       LEFT JOIN steward.matview_policy p ON p.matview = c.oid"
										"       LEFT JOIN steward.matview_state s ON s.matview = p.matview"
										" WHERE c.relkind = 'm'"
										" ORDER BY n.nspname, c.relname", 0, NULL);
	old = MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < nrows; row++)
	{
		StatusRow  *view = copy_row(row);

		view->policy = find_policy(policies, view->view);
		if (view->policy != NULL)
			view->schedule = describe_schedule(&view->policy->schedule,
											   view->schedule);
		views = lappend(views, view);
	}
	MemoryContextSwitchTo(old);
	steward_policy_table_end(&scope);
	return views;
}

/*
 * Is the view fresh, since when not, and what keeps us from knowing?
 */
static StewardFreshness
ask_clock(const StatusRow *row, char **reason, TimestampTz *stale_since)
{
	StewardFreshness state = STEWARD_UNKNOWN;
	bool		assume = row->policy != NULL &&
		row->policy->assume_deterministic;
	bool		recheck = false;

	*reason = NULL;
	*stale_since = 0;
	if (!row->populated)
		return STEWARD_NEVER_POPULATED;
	if (!steward_is_preloaded())
	{
		*reason = "pg_steward is not preloaded";
		return STEWARD_UNKNOWN;
	}
	if (RecoveryInProgress())
	{
		*reason = "known on the primary only";
		return STEWARD_UNKNOWN;
	}
	state = steward_freshness_peek(MyDatabaseId, row->view, assume,
								   stale_since, &recheck);
	if (recheck || state == STEWARD_UNKNOWN)
		state = steward_freshness_check(row->view, assume, reason,
										stale_since);
	return state;
}

/*
 * When a view is due about which the launcher has not decided: no worker has
 * read the policy yet, or a refresh has just ended.  DT_NOEND if it is fresh
 * and has no times of its own.
 */
static TimestampTz
due_by_policy(const StatusRow *row, StewardFreshness state,
			  TimestampTz stale_since)
{
	const StewardPolicy *policy = row->policy;
	StewardDueInput input = {0};
	StewardDueDecision decision;

	if (policy->schedule.kind == STEWARD_EVERY ||
		policy->schedule.kind == STEWARD_CRON)
		return Max(steward_schedule_next(&policy->schedule,
										 Max(policy->last_attempt,
											 row->created)),
				   policy->not_before);
	if (state == STEWARD_FRESH)
		return DT_NOEND;
	input.schedule = &policy->schedule;
	input.now = GetCurrentTimestamp();
	input.last_ok = policy->last_ok;
	input.last_attempt = policy->last_attempt;
	input.not_before = policy->not_before;
	input.stale_since = stale_since != 0 ? stale_since : input.now;
	input.populated = state != STEWARD_NEVER_POPULATED;
	input.followed = state != STEWARD_UNKNOWN;
	input.takes_ms = (int64) Max(policy->typical_duration_ms, 0);
	steward_due_rule(&input, &decision);
	return decision.next_due;
}

/*
 * When the view is due, 0 if that is not known or never, and what it does, as
 * a suffix of the schedule.
 */
static TimestampTz
ask_registry(const StatusRow *row, StewardFreshness state,
			 TimestampTz stale_since, const char **doing)
{
	const StewardPolicy *policy = row->policy;
	TimestampTz next_due = 0;
	bool		running = false;
	bool		queued = false;

	if (steward_is_preloaded() && !RecoveryInProgress())
	{
		(void) steward_registry_look(MyDatabaseId, row->view, &next_due,
									 &running, &queued);
		if (next_due == 0)
			next_due = due_by_policy(row, state, stale_since);
	}
	if (running)
		*doing = ", running";
	else if (policy->suspended != NULL)
		*doing = psprintf(", %s", policy->suspended);
	else if (policy->paused)
		*doing = ", paused";
	else
		*doing = queued ? ", queued" : "";
	if (policy->suspended != NULL || policy->paused ||
		TIMESTAMP_NOT_FINITE(next_due))
		return 0;
	return next_due;
}

/* An error message in one line of limited length. */
static char *
shorten(const char *error)
{
	int			length = (int) strlen(error);
	char	   *line;

	if (length > STATUS_ERROR_BYTES)
		length = pg_mbcliplen(error, length, STATUS_ERROR_BYTES - 3);
	line = psprintf("%.*s%s", length, error, error[length] ? "..." : "");
	for (char *p = line; *p != '\0'; p++)
	{
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	}
	return line;
}

/* Append the columns about the latest refreshes and the next one. */
static void
append_policy(StewardRows *rows, const StatusRow *row, TimestampTz next_due,
			  bool details)
{
	const StewardPolicy *policy = row->policy;
	TimestampTz now = GetCurrentTimestamp();
	int64		overdue_ms = Max(now - next_due, 0) / 1000;
	int64		skips = Max(row->skips, 0);

	steward_rows_timestamptz(rows, policy->last_ok);
	if (row->has_run)
		steward_rows_float8(rows, row->duration_ms);
	else
		steward_rows_null(rows);
	steward_rows_text(rows, row->method);
	steward_rows_count(rows, row->rows_changed);
	steward_rows_count(rows, row->wal_bytes);
	if (steward_is_preloaded())
		skips += steward_registry_skips(MyDatabaseId, row->view);
	steward_rows_int64(rows, skips);
	steward_rows_timestamptz(rows, next_due);
	if (next_due == 0)
		steward_rows_null(rows);
	else
		steward_rows_float8(rows, (double) overdue_ms / 1000.0);
	steward_rows_int32(rows, policy->consecutive_failures);
	steward_rows_text(rows, policy->last_sqlstate);
	if (row->error == NULL || details)
		steward_rows_text(rows, row->error ? shorten(row->error) : NULL);
	else
		steward_rows_text(rows, HIDDEN_TEXT);
}

/* Make the row of a view. */
static void
append_view(StewardRows *rows, const StatusRow *row)
{
	bool		details = may_see_details(row->view);
	StewardFreshness state;
	TimestampTz stale_since;
	TimestampTz next_due = 0;
	const char *doing = "";
	char	   *reason;

	state = ask_clock(row, &reason, &stale_since);
	if (row->policy != NULL)
		next_due = ask_registry(row, state, stale_since, &doing);
	steward_rows_text(rows, row->schema_name);
	steward_rows_text(rows, row->name);
	steward_rows_text(rows, row->policy != NULL ?
					  psprintf("%s%s", row->schedule, doing) : NULL);
	steward_rows_text(rows, steward_freshness_name(state));
	steward_rows_timestamptz(rows, stale_since);
	if (row->policy != NULL)
		append_policy(rows, row, next_due, details);
	else
	{
		for (int i = 0; i < 11; i++)
			steward_rows_null(rows);
	}
	if (reason == NULL || details)
		steward_rows_text(rows, reason);
	else
		steward_rows_text(rows, HIDDEN_TEXT);
	steward_rows_end_row(rows);
}

/*
 * get_matview_status()
 */
Datum
pg_steward_get_matview_status(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	List	   *views;
	ListCell   *cell;

	steward_rows_begin(&rows, fcinfo);
	views = read_tables();
	foreach(cell, views)
	{
		StatusRow  *row = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (get_rel_name(row->view) == NULL)
			continue;			/* dropped meanwhile */
		append_view(&rows, row);
	}
	return (Datum) 0;
}

/*
 * get_matview_refresh_history(matview regclass, limit_count int)
 */
Datum
pg_steward_get_matview_refresh_history(PG_FUNCTION_ARGS)
{
	int64		limit = steward_limit_arg(fcinfo, 1);
	StewardRows rows;
	StewardTableScope scope;
	StewardArg	args[2];
	uint64		nrows;

	steward_rows_begin(&rows, fcinfo);
	args[0] = steward_arg_oid(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0));
	args[1] = steward_arg_int64(limit);
	if (!steward_policy_table_begin(&scope))
		return (Datum) 0;
	nrows = steward_policy_table_select(STEWARD_SELECT "c.oid, n.nspname::text, c.relname::text,"
										"       h.started, h.finished, h.method, h.outcome, h.duration_ms,"
										"       h.rows_inserted, h.rows_deleted, h.rows_updated, h.wal_bytes,"
										"       h.temp_bytes, h.cpu_ms, h.sqlstate, h.error"
										"  FROM steward.matview_refresh_history h"
										"       JOIN pg_class c ON c.oid = h.matview AND c.relkind = 'm'"
										"       JOIN pg_namespace n ON n.oid = c.relnamespace"
										" WHERE $1 = 0 OR h.matview = $1"
										" ORDER BY h.id DESC LIMIT $2", 2, args);
	SetUserIdAndSecContext(scope.user, scope.security);
	for (uint64 i = 0; i < nrows; i++)
	{
		bool		isnull;
		Oid			view = DatumGetObjectId(steward_query_value(i, 1, &isnull));
		bool		details = may_see_details(view);

		for (int column = 2; column <= 16; column++)
		{
			Datum		value = steward_query_value(i, column, &isnull);

			if (column == 16 && !isnull && !details)
				steward_rows_text(&rows, HIDDEN_TEXT);
			else
				steward_rows_datum(&rows, value, isnull);
		}
		steward_rows_end_row(&rows);
	}
	steward_policy_table_end(&scope);
	return (Datum) 0;
}
