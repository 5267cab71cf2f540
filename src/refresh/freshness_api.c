/*-------------------------------------------------------------------------
 *
 * freshness_api.c
 *	  SQL functions about what materialized views depend on.
 *
 * They are internal, for looking into a decision of the worker; reports for
 * users are made of the same.  They take no lock on the view and disclose
 * nothing but parts of its definition, which anybody can read.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "base/compat.h"
#include "base/rows.h"
#include "refresh/freshness.h"
#include "refresh/matview_sources.h"

PG_FUNCTION_INFO_V1(pg_steward_matview_freshness);
PG_FUNCTION_INFO_V1(pg_steward_matview_definition);
PG_FUNCTION_INFO_V1(pg_steward_matview_sources);

/* Append a time, or null for 0. */
static void
append_time(StewardRows *rows, TimestampTz time)
{
	if (time == 0)
		steward_rows_null(rows);
	else
		steward_rows_timestamptz(rows, time);
}

/*
 * matview_freshness(matview, assume_deterministic): the exact state, and what
 * can be told without reading catalogs.
 */
Datum
pg_steward_matview_freshness(PG_FUNCTION_ARGS)
{
	Oid			view = PG_GETARG_OID(0);
	StewardFreshness peeked;
	StewardFreshness state;
	StewardRows rows;
	TimestampTz stale_since;
	bool		recheck;
	char	   *reason;

	steward_rows_begin(&rows, fcinfo);
	peeked = steward_freshness_peek(MyDatabaseId, view, PG_GETARG_BOOL(1),
									&stale_since, &recheck);
	state = steward_freshness_check(view, PG_GETARG_BOOL(1), &reason,
									&stale_since);
	steward_rows_text(&rows, steward_freshness_name(state));
	steward_rows_text(&rows, reason);
	append_time(&rows, stale_since);
	steward_rows_text(&rows, steward_freshness_name(peeked));
	steward_rows_bool(&rows, recheck);
	steward_rows_int64(&rows, (int64) steward_freshness_marked(view));
	steward_rows_end_row(&rows);
	return (Datum) 0;
}

/*
 * matview_definition(matview, assume_deterministic): the signature, and
 * whether changes can be followed.
 */
Datum
pg_steward_matview_definition(PG_FUNCTION_ARGS)
{
	StewardSources sources;
	StewardRows rows;

	steward_rows_begin(&rows, fcinfo);
	steward_sources_read(PG_GETARG_OID(0), PG_GETARG_BOOL(1), &sources);
	steward_rows_int64(&rows, (int64) sources.signature);
	steward_rows_text(&rows, sources.obstacle);
	steward_rows_bool(&rows, sources.depends_on_settings);
	steward_rows_end_row(&rows);
	return (Datum) 0;
}

/* Append relations of one kind. */
static void
append_sources(StewardRows *rows, List *relations, const char *kind)
{
	ListCell   *cell;

	foreach(cell, relations)
	{
		steward_rows_text(rows, kind);
		steward_rows_oid(rows, lfirst_oid(cell));
		steward_rows_end_row(rows);
	}
}

/* matview_sources(matview): what the view is made of. */
Datum
pg_steward_matview_sources(PG_FUNCTION_ARGS)
{
	StewardSources sources;
	StewardRows rows;

	steward_rows_begin(&rows, fcinfo);
	steward_sources_read(PG_GETARG_OID(0), true, &sources);
	append_sources(&rows, sources.tables, "table");
	append_sources(&rows, sources.matviews, "materialized view");
	append_sources(&rows, sources.others, "view");
	return (Datum) 0;
}
