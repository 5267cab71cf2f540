/*-------------------------------------------------------------------------
 *
 * refresh_now.c
 *	  refresh_matview_now(): refreshing a materialized view on demand.
 *
 * It refreshes even what is fresh: whoever asks for it has reasons, such as
 * data that changes without a table changing.  Without a method the view's
 * policy decides, and without a policy "auto".
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/rows.h"
#include "base/shmem.h"
#include "refresh/freshness.h"
#include "refresh/matview_lock.h"
#include "refresh/policy_read.h"
#include "refresh/policy_table.h"
#include "refresh/refresh_registry.h"
#include "refresh/refresh_run.h"

PG_FUNCTION_INFO_V1(pg_steward_refresh_matview_now);

/* Columns of the result before the note. */
#define RESULT_NUMBERS 9

/* The method of this name, which a user gave. */
static StewardRefreshMethod
parse_method(const char *name)
{
	StewardRefreshMethod method = STEWARD_REFRESH_AUTO;

	if (!steward_refresh_parse_method(name, &method))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized refresh method \"%s\"", name),
				 errhint("Methods are \"auto\", \"diff\", \"plain\", \"concurrently\" and \"swap\".")));
	return method;
}

/* One row: what a refresh did. */
static void
append_outcome(StewardRows *rows, const StewardRefreshOutcome *outcome)
{
	steward_rows_text(rows, steward_refresh_method_name(outcome->method));
	steward_rows_count(rows, outcome->ninserted);
	steward_rows_count(rows, outcome->ndeleted);
	steward_rows_count(rows, outcome->nupdated);
	steward_rows_count(rows, outcome->nunchanged);
	steward_rows_float8(rows, outcome->duration_ms);
	steward_rows_float8(rows, outcome->cpu_ms);
	steward_rows_int64(rows, outcome->wal_bytes);
	steward_rows_int64(rows, outcome->temp_bytes);
	steward_rows_text(rows, outcome->note);
	steward_rows_end_row(rows);
}

/* What the policy of a view, if it has one, says about its refreshes. */
typedef struct Wishes
{
	StewardRefreshMethod method;
	double		delta_ratio;
	bool		assume_deterministic;
} Wishes;

/* Read the policy. */
static void
read_policy(Oid view, Wishes *wishes)
{
	StewardTableScope scope;

	wishes->method = STEWARD_REFRESH_AUTO;
	wishes->delta_ratio = -1;
	wishes->assume_deterministic = false;
	if (!steward_policy_table_begin(&scope))
		return;
	if (steward_policy_select(view) > 0)
	{
		StewardPolicy *policy = steward_policy_row(0);

		wishes->method = parse_method(policy->method);
		wishes->delta_ratio = policy->delta_ratio;
		wishes->assume_deterministic = policy->assume_deterministic;
	}
	steward_policy_table_end(&scope);
}

/*
 * Leave the refresh to the worker, which comes as soon as it can, whether this
 * transaction commits or not.  It refreshes as the policy says.
 */
static void
hand_over(Oid view, bool has_method, StewardRows *rows)
{
	if (has_method)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot choose the method of a refresh by the worker"),
				 errhint("Leave out the method, which is that of the view's policy, or wait.")));
	steward_require_preload();
	if (steward_max_refresh_workers == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there are no refresh workers"),
				 errhint("Set \"pg_steward.max_refresh_workers\", or wait for the refresh.")));
	if (!steward_registry_request(MyDatabaseId, view))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many refreshes are waiting for a worker"),
				 errhint("Try again later, or wait for the refresh.")));

	for (int i = 0; i < RESULT_NUMBERS; i++)
		steward_rows_null(rows);
	steward_rows_text(rows, "handed over to the refresh worker");
	steward_rows_end_row(rows);
}

/* Say in the note that the view was fresh. */
static void
note_freshness(StewardRefreshOutcome *outcome)
{
	if (outcome->note == NULL)
		outcome->note = pstrdup("the view was fresh");
	else
		outcome->note = psprintf("%s; the view was fresh", outcome->note);
}

/*
 * refresh_matview_now(matview regclass, method text, wait boolean) returns one
 * row: see the comment in SQL.
 */
Datum
pg_steward_refresh_matview_now(PG_FUNCTION_ARGS)
{
	Oid			view;
	StewardRefreshMethod method = STEWARD_REFRESH_AUTO;
	bool		has_method = !PG_ARGISNULL(1);
	StewardRefreshOutcome outcome;
	StewardRows rows;
	Wishes		wishes;
	char	   *reason;
	TimestampTz stale_since;
	bool		fresh;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null",
						PG_ARGISNULL(0) ? "matview" : "wait")));
	view = PG_GETARG_OID(0);
	if (has_method)
		method = parse_method(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PreventCommandDuringRecovery("refresh_matview_now()");
	PreventCommandIfReadOnly("refresh_matview_now()");
	PreventCommandIfParallelMode("refresh_matview_now()");
	steward_matview_check(view);
	steward_rows_begin(&rows, fcinfo);
	if (!PG_GETARG_BOOL(2))
	{
		hand_over(view, has_method, &rows);
		return (Datum) 0;
	}

	read_policy(view, &wishes);
	fresh = steward_freshness_check(view, wishes.assume_deterministic, &reason,
									&stale_since) == STEWARD_FRESH;
	steward_refresh_run(view, has_method ? method : wishes.method,
						wishes.delta_ratio, wishes.assume_deterministic,
						&outcome);
	if (fresh)
		note_freshness(&outcome);
	append_outcome(&rows, &outcome);
	return (Datum) 0;
}
