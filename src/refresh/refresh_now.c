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
#include "base/rows.h"
#include "refresh/matview_lock.h"
#include "refresh/refresh_run.h"

PG_FUNCTION_INFO_V1(pg_steward_refresh_matview_now);

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

/* Append a number, or null for one that is not known. */
static void
append_count(StewardRows *rows, int64 count)
{
	if (count < 0)
		steward_rows_null(rows);
	else
		steward_rows_int64(rows, count);
}

/* One row: what a refresh did. */
static void
append_outcome(StewardRows *rows, const StewardRefreshOutcome *outcome)
{
	steward_rows_text(rows, steward_refresh_method_name(outcome->method));
	append_count(rows, outcome->ninserted);
	append_count(rows, outcome->ndeleted);
	append_count(rows, outcome->nupdated);
	append_count(rows, outcome->nunchanged);
	steward_rows_float8(rows, outcome->duration_ms);
	steward_rows_float8(rows, outcome->cpu_ms);
	steward_rows_int64(rows, outcome->wal_bytes);
	steward_rows_int64(rows, outcome->temp_bytes);
	steward_rows_text(rows, outcome->note);
	steward_rows_end_row(rows);
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
	StewardRefreshOutcome outcome;
	StewardRows rows;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null",
						PG_ARGISNULL(0) ? "matview" : "wait")));
	view = PG_GETARG_OID(0);
	if (!PG_ARGISNULL(1))
		method = parse_method(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PreventCommandDuringRecovery("refresh_matview_now()");
	PreventCommandIfReadOnly("refresh_matview_now()");
	PreventCommandIfParallelMode("refresh_matview_now()");
	steward_matview_check(view);
	steward_rows_begin(&rows, fcinfo);
	if (!PG_GETARG_BOOL(2))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("there is no refresh worker yet"),
				 errhint("Wait for the refresh.")));

	steward_refresh_run(view, method, -1, false, &outcome);
	append_outcome(&rows, &outcome);
	return (Datum) 0;
}
