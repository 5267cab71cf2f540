/*-------------------------------------------------------------------------
 *
 * latency_reports.c
 *	  SQL functions over the latency histograms.
 *
 * Who may see what is as in pg_stat_statements: figures of all statements are
 * for everyone, but which statement of another role they belong to is only
 * for members of pg_read_all_stats.  Without that right, the id of others'
 * statements is null and asking for it finds nothing.
 *
 * A period is given as an interval, null for everything since the reset.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/rows.h"
#include "base/shmem.h"
#include "latency/store.h"

#define NS_IN_MS 1000000.0
#define MAX_PERIOD_MINUTES 60

PG_FUNCTION_INFO_V1(pg_steward_query_latency);
PG_FUNCTION_INFO_V1(pg_steward_latency_histogram);
PG_FUNCTION_INFO_V1(pg_steward_latency_summary);
PG_FUNCTION_INFO_V1(pg_steward_latency_info);
PG_FUNCTION_INFO_V1(pg_steward_latency_self_check);
PG_FUNCTION_INFO_V1(pg_steward_reset_latency);

/* Rights of the caller; looked up once a report. */
typedef struct Viewer
{
	Oid			role;
	bool		sees_all;
} Viewer;

static Viewer
current_viewer(void)
{
	Viewer		viewer;

	viewer.role = GetUserId();
	viewer.sees_all = has_privs_of_role(viewer.role, ROLE_PG_READ_ALL_STATS);
	return viewer;
}

static bool
may_identify(const Viewer *viewer, const StewardLatencyKey *key)
{
	return viewer->sees_all || viewer->role == key->role;
}

/*
 * Minutes of the period in an argument, 0 for a null one.
 */
static int
period_arg(FunctionCallInfo fcinfo, int argno)
{
	Interval   *period;
	double		minutes;

	if (PG_ARGISNULL(argno))
		return 0;
	period = PG_GETARG_INTERVAL_P(argno);
	minutes = ceil(period->time / (double) USECS_PER_MINUTE) +
		(period->day + period->month * (double) DAYS_PER_MONTH) * 24 * 60;
	if (minutes < 1 || minutes > MAX_PERIOD_MINUTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"period\" must be between 1 and %d minutes",
						MAX_PERIOD_MINUTES),
				 errhint("Use null for everything since the last reset.")));
	return (int) minutes;
}

/*
 * Percentiles in an array argument, as fractions.  Returns a palloc'd array.
 */
static double *
fractions_arg(FunctionCallInfo fcinfo, int argno, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	double	   *fractions;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"percentiles\" must not be null")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argno), FLOAT8OID, sizeof(float8),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, n);
	fractions = palloc((*n + 1) * sizeof(double));
	for (int i = 0; i < *n; i++)
	{
		fractions[i] = nulls[i] ? NAN : DatumGetFloat8(elements[i]);
		if (!(fractions[i] >= 0 && fractions[i] <= 1))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("percentiles must be between 0 and 1"),
					 errhint("The 95th percentile is 0.95.")));
	}
	return fractions;
}

/*
 * Append a number of ms, rounded to less than a millionth of it from 1 us up;
 * NaN is a null value.
 */
static void
rows_ms(StewardRows *rows, double ms)
{
	double		scale = ms < 1 ? 1e9 : 1e6;

	if (isnan(ms))
		steward_rows_null(rows);
	else
		steward_rows_float8(rows, rint(ms * scale) / scale);
}

/* Append a share as per cent with four decimals; NaN is a null value. */
static void
rows_pct(StewardRows *rows, double share)
{
	if (isnan(share))
		steward_rows_null(rows);
	else
		steward_rows_float8(rows, rint(share * 1e6) / 1e4);
}

/* Append one row of query_latency(). */
static void
latency_row(StewardRows *rows, const StewardLatency *latency, bool identified,
			bool whole, double sum_ms, double fraction, TimestampTz since)
{
	steward_rows_datum(rows, Int64GetDatum(latency->key.queryid), !identified);
	steward_rows_oid(rows, latency->key.database);
	steward_rows_oid(rows, latency->key.role);
	steward_rows_bool(rows, latency->key.toplevel);
	steward_rows_int64(rows, latency->histogram.total);
	steward_rows_datum(rows, Int64GetDatum(latency->aborted), !whole);
	rows_ms(rows, sum_ms);
	rows_ms(rows, whole ? latency->waited_ns / NS_IN_MS : NAN);
	steward_rows_float8(rows, fraction);
	rows_ms(rows, steward_histogram_percentile_ms(&latency->histogram, fraction));
	steward_rows_timestamptz(rows, whole ? latency->since : Max(since, latency->since));
	steward_rows_end_row(rows);
}

/*
 * query_latency(queryid bigint, percentiles float8[], period interval): a row
 * for each histogram and percentile, in no order.
 */
Datum
pg_steward_query_latency(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	StewardStoreScan *scan;
	StewardLatency *latency = palloc(sizeof(StewardLatency));
	Viewer		viewer = current_viewer();
	TimestampTz since;
	int			minutes = period_arg(fcinfo, 2);
	int			nfractions;
	double	   *fractions = fractions_arg(fcinfo, 1, &nfractions);

	steward_require_preload();
	steward_rows_begin(&rows, fcinfo);
	scan = steward_store_scan_begin(minutes);
	since = steward_store_scan_since(scan);
	while (steward_store_scan_next(scan, latency))
	{
		bool		identified = may_identify(&viewer, &latency->key);
		double		sum_ms;

		if (!PG_ARGISNULL(0) &&
			!(identified && latency->key.queryid == PG_GETARG_INT64(0)))
			continue;
		sum_ms = minutes > 0 ? steward_histogram_sum_ms(&latency->histogram) :
			(latency->elapsed_ns + latency->waited_ns) / NS_IN_MS;
		for (int i = 0; i < nfractions; i++)
			latency_row(&rows, latency, identified, minutes == 0, sum_ms,
						fractions[i], since);
	}
	return (Datum) 0;
}

/*
 * Add up the histograms of one query, or, for a null id, of everything that
 * clients sent; nested statements are part of those.  Returns the number of
 * aborted executions.
 */
static uint64
sum_histograms(StewardStoreScan *scan, FunctionCallInfo fcinfo, int argno,
			   StewardHistogram *sum)
{
	StewardLatency *latency = palloc(sizeof(StewardLatency));
	Viewer		viewer = current_viewer();
	uint64		aborted = 0;

	memset(sum, 0, sizeof(StewardHistogram));
	while (steward_store_scan_next(scan, latency))
	{
		if (argno < 0 || PG_ARGISNULL(argno))
		{
			if (!latency->key.toplevel)
				continue;
		}
		else if (latency->key.queryid != PG_GETARG_INT64(argno) ||
				 !may_identify(&viewer, &latency->key))
			continue;
		aborted += latency->aborted;
		for (int i = 0; i < STEWARD_HISTOGRAM_BUCKETS; i++)
			steward_histogram_add(sum, i, latency->histogram.counts[i]);
	}
	return aborted;
}

/*
 * get_latency_histogram(queryid bigint, period interval)
 */
Datum
pg_steward_latency_histogram(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	StewardHistogram *sum = palloc(sizeof(StewardHistogram));
	int			minutes = period_arg(fcinfo, 1);

	steward_require_preload();
	steward_rows_begin(&rows, fcinfo);
	(void) sum_histograms(steward_store_scan_begin(minutes), fcinfo, 0, sum);
	for (int i = 0; i < STEWARD_HISTOGRAM_BUCKETS; i++)
	{
		if (sum->counts[i] == 0)
			continue;
		steward_rows_float8(&rows, steward_histogram_lower_ns(i) / NS_IN_MS);
		steward_rows_float8(&rows, steward_histogram_lower_ns(i + 1) / NS_IN_MS);
		steward_rows_int64(&rows, sum->counts[i]);
		steward_rows_end_row(&rows);
	}
	return (Datum) 0;
}

/* What the 95th percentile says about the server. */
static const char *
verdict_of(double p95_ms)
{
	if (isnan(p95_ms))
		return "no data";
	if (p95_ms > steward_latency_critical)
		return "critical";
	if (p95_ms > steward_latency_warning)
		return "warning";
	return "ok";
}

/*
 * get_latency_summary(period interval): one row over everything.
 */
Datum
pg_steward_latency_summary(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	StewardStoreScan *scan;
	StewardHistogram *sum = palloc(sizeof(StewardHistogram));
	int			minutes = period_arg(fcinfo, 0);
	uint64		aborted;
	double		p95_ms;

	steward_require_preload();
	steward_rows_begin(&rows, fcinfo);
	scan = steward_store_scan_begin(minutes);
	aborted = sum_histograms(scan, fcinfo, -1, sum);
	p95_ms = steward_histogram_percentile_ms(sum, 0.95);

	steward_rows_int64(&rows, sum->total);
	steward_rows_datum(&rows, Int64GetDatum(aborted), minutes > 0);
	rows_ms(&rows, steward_histogram_percentile_ms(sum, 0.5));
	rows_ms(&rows, p95_ms);
	rows_ms(&rows, steward_histogram_percentile_ms(sum, 0.99));
	steward_rows_int32(&rows, steward_latency_warning);
	rows_pct(&rows, steward_histogram_share_above(sum, steward_latency_warning));
	steward_rows_int32(&rows, steward_latency_critical);
	rows_pct(&rows, steward_histogram_share_above(sum, steward_latency_critical));
	steward_rows_text(&rows, steward_histogram_sparkline(sum));
	steward_rows_text(&rows, verdict_of(p95_ms));
	steward_rows_timestamptz(&rows, steward_store_scan_since(scan));
	steward_rows_end_row(&rows);
	return (Datum) 0;
}

/*
 * latency_info(): how full the store is and what was lost; no row without
 * shared memory.
 */
Datum
pg_steward_latency_info(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	StewardStoreInfo info;

	steward_rows_begin(&rows, fcinfo);
	if (!steward_is_preloaded())
		return (Datum) 0;
	steward_store_info(&info);
	steward_rows_int64(&rows, info.entries);
	steward_rows_int64(&rows, info.max_entries);
	steward_rows_int64(&rows, info.pages);
	steward_rows_int64(&rows, info.max_pages);
	steward_rows_int64(&rows, info.evictions);
	steward_rows_int64(&rows, info.dropped);
	steward_rows_timestamptz(&rows, info.reset_at);
	steward_rows_end_row(&rows);
	return (Datum) 0;
}

/*
 * latency_self_check(durations_ms float8[], percentiles float8[]): what the
 * reports would say of such durations.
 */
Datum
pg_steward_latency_self_check(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	StewardHistogram *histogram = palloc0(sizeof(StewardHistogram));
	Datum	   *durations;
	bool	   *nulls;
	int			ndurations;
	int			nfractions;
	double	   *fractions = fractions_arg(fcinfo, 1, &nfractions);

	steward_rows_begin(&rows, fcinfo);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), FLOAT8OID, sizeof(float8),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &durations, &nulls,
					  &ndurations);
	for (int i = 0; i < ndurations; i++)
	{
		double		ns = nulls[i] ? NAN : DatumGetFloat8(durations[i]) * NS_IN_MS;

		if (!(fabs(ns) < 9e18))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("durations must be finite")));
		steward_histogram_add(histogram, steward_histogram_bucket((int64) ns), 1);
	}
	for (int i = 0; i < nfractions; i++)
	{
		steward_rows_float8(&rows, fractions[i]);
		rows_ms(&rows, steward_histogram_percentile_ms(histogram, fractions[i]));
		steward_rows_end_row(&rows);
	}
	return (Datum) 0;
}

/*
 * reset_query_latency(queryid bigint, database_name name, username name):
 * forget what matches all arguments that are not null; returns the number of
 * histograms.
 */
Datum
pg_steward_reset_latency(PG_FUNCTION_ARGS)
{
	StewardResetFilter filter = {0};

	steward_require_preload();
	filter.has_queryid = !PG_ARGISNULL(0);
	filter.has_database = !PG_ARGISNULL(1);
	filter.has_role = !PG_ARGISNULL(2);
	if (filter.has_queryid)
		filter.queryid = PG_GETARG_INT64(0);
	if (filter.has_database)
		filter.database = get_database_oid(NameStr(*PG_GETARG_NAME(1)), false);
	if (filter.has_role)
		filter.role = get_role_oid(NameStr(*PG_GETARG_NAME(2)), false);
	PG_RETURN_INT64(steward_store_reset(&filter));
}
