/*-------------------------------------------------------------------------
 *
 * slow_queries.c
 *	  get_slow_queries(): the statements that cost most.
 *
 * The figures are those of pg_stat_statements, read in one pass by one
 * statement, so that shares and rows come from the same moment.  What the
 * server hides from the caller stays hidden: the view is read as the caller.
 * Statements that carry our own tag are left out, before shares are computed.
 *
 * Percentiles come from our own histograms, which need this library to be
 * preloaded; without it these columns are null.  They are looked up for the
 * rows that are shown; only an order by a percentile needs all of them.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/query.h"
#include "base/rows.h"
#include "base/shmem.h"
#include "base/statements.h"
#include "latency/store.h"

PG_FUNCTION_INFO_V1(pg_steward_slow_queries);

/* Columns of the report's statement that the code knows. */
#define COLUMN_CALLS 2
#define COLUMNS_BEFORE_LATENCY 6
#define COLUMN_QUERYID 15
#define COLUMN_CALLER_LAST 16
#define COLUMN_DATABASE 17
#define COLUMN_ROLE 18
#define COLUMN_TOPLEVEL 19

#define LATENCY_COLUMNS 7

/* What a user can order by, and the expression that does it. */
static const struct
{
	const char *name;
	const char *expression;
}			orders[] =
{
	{"mean", "s.mean_exec_time"},
	{"total", "s.total_exec_time"},
	{"calls", "s.calls"},
	{"max", "s.max_exec_time"},
	{"rows", "s.rows"},
	{"io", "s.shared_blks_read + s.shared_blks_written + s.local_blks_read + "
	"s.local_blks_written + s.temp_blks_read + s.temp_blks_written"},
	{"temp", "s.temp_blks_read + s.temp_blks_written"},
	{"wal", "s.wal_bytes"},
	{"p95", "l.latency_ms"},
	{"p99", "l.latency_ms"},
};

/*
 * Expression for an order, or an error that lists what there is.
 */
static const char *
order_expression(const char *name)
{
	StringInfoData list;

	for (int i = 0; i < lengthof(orders); i++)
	{
		if (strcmp(orders[i].name, name) == 0)
			return orders[i].expression;
	}

	initStringInfo(&list);
	for (int i = 0; i < lengthof(orders); i++)
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", orders[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for argument \"order_by\": \"%s\"", name),
			 errhint("Valid values are %s.", list.data)));
	return NULL;				/* keep compiler quiet */
}

/*
 * What the report's statement joins to order by a percentile.
 */
static const char *
percentile_join(const char *order_by, const char *toplevel)
{
	if (order_by[0] != 'p')
		return "";
	return psprintf("LEFT JOIN steward.query_latency(NULL, '{0.%s}', NULL) l"
					" ON l.queryid = s.queryid AND l.dbid = s.dbid"
					" AND l.userid = s.userid AND l.toplevel = %s ",
					order_by + 1, toplevel);
}

/*
 * Where the rows come from, without our own statements.  They are nested in
 * the call of this function: a statement that a client sent is not ours,
 * whatever it looks like.  Texts can be left out.
 */
static char *
source_sql(const StewardStatements *statements, bool with_texts)
{
	if (!with_texts)
		return psprintf("%s(false)", statements->view);
	return psprintf("%s WHERE query IS NULL OR"
					" NOT (starts_with(query, '" STEWARD_SELECT "')%s)",
					statements->view,
					statements->has_toplevel ? " AND NOT toplevel" : "");
}

/*
 * The report's statement.  Parameters: $1 smallest mean time in ms, $2 number
 * of rows, $3 length of the query text, 0 for all of it.  Rows are chosen
 * first; only those are worked on.
 */
static char *
report_sql(const StewardStatements *statements, const char *order_by,
		   bool with_texts)
{
	const char *toplevel = statements->has_toplevel ? "s.toplevel" : "true";

	return psprintf(STEWARD_SELECT
					"CASE WHEN %s THEN 'skipped: a text is not valid in the encoding of this database'"
					"  ELSE " STEWARD_SHORT_TEXT("s.query", "$3") " END,"
					" s.calls,"
					" round(s.total_exec_time::numeric, 3)::float8,"
					" round(s.mean_exec_time::numeric, 3)::float8,"
					" round(s.max_exec_time::numeric, 3)::float8,"
					" round(s.stddev_exec_time::numeric, 3)::float8,"
					" round(s.min_exec_time::numeric, 3)::float8,"
					" s.rows,"
					" round((100 * s.total_exec_time / nullif(s.all_exec_time, 0))::numeric, 2)::float8,"
					" round(100.0 * s.shared_blks_hit / nullif(s.shared_blks_hit + s.shared_blks_read, 0), 2)::float8,"
					" (s.temp_blks_read + s.temp_blks_written) * current_setting('block_size')::bigint,"
					" s.wal_bytes::bigint,"
					" r.rolname::text,"
					" d.datname::text,"
					" s.queryid,"
					" %s,"
					" s.dbid, s.userid, %s "
					"FROM (SELECT s.*, row_number() OVER (ORDER BY %s DESC NULLS LAST,"
					"             s.total_exec_time DESC, s.queryid, s.userid, s.dbid) AS place"
					"      FROM (SELECT *, sum(total_exec_time) OVER () AS all_exec_time"
					"            FROM %s) s"
					"      %s"
					"      WHERE s.mean_exec_time >= $1"
					"      ORDER BY place LIMIT $2) s"
					" LEFT JOIN pg_roles r ON r.oid = s.userid"
					" LEFT JOIN pg_database d ON d.oid = s.dbid "
					"ORDER BY s.place",
					with_texts ? "false" : "true",
					statements->has_stats_since ? "s.stats_since" : "NULL::timestamptz",
					toplevel, order_expression(order_by),
					source_sql(statements, with_texts),
					percentile_join(order_by, toplevel));
}

/* Copy columns of a row of the statement into the report. */
static void
copy_columns(StewardRows *rows, uint64 row, int first, int last)
{
	for (int column = first; column <= last; column++)
	{
		bool		isnull;
		Datum		value = steward_query_value(row, column, &isnull);

		steward_rows_datum(rows, value, isnull);
	}
}

/* Key of the histogram of a row; false if the caller may not know it. */
static bool
latency_key(uint64 row, StewardLatencyKey *key)
{
	bool		isnull;

	memset(key, 0, sizeof(StewardLatencyKey));
	key->database = DatumGetObjectId(steward_query_value(row, COLUMN_DATABASE, &isnull));
	key->role = DatumGetObjectId(steward_query_value(row, COLUMN_ROLE, &isnull));
	key->toplevel = DatumGetBool(steward_query_value(row, COLUMN_TOPLEVEL, &isnull));
	key->queryid = DatumGetInt64(steward_query_value(row, COLUMN_QUERYID, &isnull));
	return !isnull;
}

/* A number with three decimals, as all times of the report have. */
static void
rows_rounded(StewardRows *rows, double value)
{
	steward_rows_float8(rows, rint(value * 1000) / 1000);
}

/*
 * Append what the histogram of a row says, or nulls if there is none.
 */
static void
latency_columns(StewardRows *rows, uint64 row, StewardStoreScan *scan)
{
	StewardLatencyKey key;
	StewardLatency latency;
	const StewardHistogram *histogram = &latency.histogram;
	bool		isnull;
	double		calls;

	if (scan == NULL || !latency_key(row, &key) ||
		!steward_store_scan_find(scan, &key, &latency) ||
		histogram->total == 0)
	{
		for (int i = 0; i < LATENCY_COLUMNS; i++)
			steward_rows_null(rows);
		return;
	}

	calls = (double) DatumGetInt64(steward_query_value(row, COLUMN_CALLS, &isnull));
	rows_rounded(rows, steward_histogram_percentile_ms(histogram, 0.50));
	rows_rounded(rows, steward_histogram_percentile_ms(histogram, 0.95));
	rows_rounded(rows, steward_histogram_percentile_ms(histogram, 0.99));
	steward_rows_text(rows, steward_histogram_sparkline(histogram));
	steward_rows_int64(rows, latency.aborted);
	rows_rounded(rows, 100.0 * latency.waited_ns /
				 Max(latency.elapsed_ns + latency.waited_ns, 1));
	rows_rounded(rows, 100.0 * (histogram->total - latency.aborted) / calls);
}

/*
 * get_slow_queries(limit_count int, min_mean_ms float8, order_by text,
 * query_length int); columns as declared in 10_latency.sql.
 */
Datum
pg_steward_slow_queries(PG_FUNCTION_ARGS)
{
	StewardStatements statements;
	StewardQueryScope scope;
	StewardRows rows;
	Oid			argtypes[3] = {FLOAT8OID, INT8OID, INT4OID};
	Datum		values[3];
	StewardStoreScan *scan = NULL;
	char	   *order_by;
	uint64		nrows;

	/* A null argument means "no restriction", or the default order. */
	int64		limit = steward_limit_arg(fcinfo, 0);
	double		min_mean_ms = PG_ARGISNULL(1) ? 0 : PG_GETARG_FLOAT8(1);
	int32		query_length = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);

	if (query_length < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"query_length\" must not be negative"),
				 errhint("Use 0 for the whole text.")));
	order_by = PG_ARGISNULL(2) ? "mean" :
		text_to_cstring(PG_GETARG_TEXT_PP(2));
	(void) order_expression(order_by);

	steward_rows_begin(&rows, fcinfo);
	steward_query_begin(&scope);
	steward_statements_require(&statements);
	values[0] = Float8GetDatum(min_mean_ms);
	values[1] = Int64GetDatum(limit);
	values[2] = Int32GetDatum(query_length);
	if (!steward_statements_select(report_sql(&statements, order_by, true),
								   lengthof(argtypes), argtypes, values, &nrows))
		nrows = steward_query_select(report_sql(&statements, order_by, false),
									 lengthof(argtypes), argtypes, values);
	if (steward_is_preloaded())
		scan = steward_store_scan_begin(0);
	for (uint64 row = 0; row < nrows; row++)
	{
		copy_columns(&rows, row, 1, COLUMNS_BEFORE_LATENCY);
		latency_columns(&rows, row, scan);
		copy_columns(&rows, row, COLUMNS_BEFORE_LATENCY + 1, COLUMN_CALLER_LAST);
		steward_rows_end_row(&rows);
	}
	steward_query_end(&scope);

	return (Datum) 0;
}
