/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  Helper for functions that return a set of rows.
 *
 * The server's InitMaterializedSRF() sets up the tuplestore; what it leaves
 * to each caller is the array arithmetic, where adding a column in the middle
 * renumbers all that follow.  Here a row is written column by column in the
 * order of the function's declaration, and steward_rows_end_row() checks that
 * neither side has a column more than the other.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/rows.h"

PG_FUNCTION_INFO_V1(pg_steward_check_limit);

/*
 * Start the result of a set-returning function.  Raises an error when the
 * caller cannot take a materialized set.  The arrays live in the current
 * memory context.
 */
void
steward_rows_begin(StewardRows *rows, FunctionCallInfo fcinfo)
{
	InitMaterializedSRF(fcinfo, 0);
	rows->result = (ReturnSetInfo *) fcinfo->resultinfo;
	rows->ncolumns = rows->result->setDesc->natts;
	rows->next = 0;
	rows->values = palloc0(rows->ncolumns * sizeof(Datum));
	rows->nulls = palloc0(rows->ncolumns * sizeof(bool));
}

/*
 * Append a column.  The value must stay valid until steward_rows_end_row().
 */
void
steward_rows_datum(StewardRows *rows, Datum value, bool isnull)
{
	if (rows->next >= rows->ncolumns)
		elog(ERROR, "function result has only %d columns", rows->ncolumns);
	rows->values[rows->next] = value;
	rows->nulls[rows->next] = isnull;
	rows->next++;
}

void
steward_rows_null(StewardRows *rows)
{
	steward_rows_datum(rows, (Datum) 0, true);
}

void
steward_rows_bool(StewardRows *rows, bool value)
{
	steward_rows_datum(rows, BoolGetDatum(value), false);
}

void
steward_rows_int32(StewardRows *rows, int32 value)
{
	steward_rows_datum(rows, Int32GetDatum(value), false);
}

void
steward_rows_int64(StewardRows *rows, int64 value)
{
	steward_rows_datum(rows, Int64GetDatum(value), false);
}

/* Append a count, or null for a negative one: it is not known. */
void
steward_rows_count(StewardRows *rows, int64 count)
{
	steward_rows_datum(rows, Int64GetDatum(count), count < 0);
}

void
steward_rows_oid(StewardRows *rows, Oid value)
{
	steward_rows_datum(rows, ObjectIdGetDatum(value), false);
}

void
steward_rows_float8(StewardRows *rows, double value)
{
	steward_rows_datum(rows, Float8GetDatum(value), false);
}

/* Append a text column; a NULL pointer is a null value. */
void
steward_rows_text(StewardRows *rows, const char *value)
{
	if (value == NULL)
		steward_rows_null(rows);
	else
		steward_rows_datum(rows, CStringGetTextDatum(value), false);
}

/* Append a timestamp; 0, which no event of ours can carry, is a null value. */
void
steward_rows_timestamptz(StewardRows *rows, TimestampTz value)
{
	steward_rows_datum(rows, TimestampTzGetDatum(value), value == 0);
}

/*
 * Store the row and start the next one.
 */
void
steward_rows_end_row(StewardRows *rows)
{
	if (rows->next != rows->ncolumns)
		elog(ERROR, "function result has %d columns, but %d were filled",
			 rows->ncolumns, rows->next);
	tuplestore_putvalues(rows->result->setResult, rows->result->setDesc,
						 rows->values, rows->nulls);
	rows->next = 0;
}

/*
 * Check the number of rows that a user asked for in the argument
 * "limit_count" at this position; null means all.
 */
int64
steward_limit_arg(FunctionCallInfo fcinfo, int argno)
{
	int32		limit;

	if (PG_ARGISNULL(argno))
		return PG_INT64_MAX;

	limit = PG_GETARG_INT32(argno);
	if (limit < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"limit_count\" must not be negative"),
				 errhint("Use NULL for all rows.")));
	return limit;
}

/*
 * check_limit(int) returns bigint: the same for reports written in SQL, for
 * their LIMIT clause.
 */
Datum
pg_steward_check_limit(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(steward_limit_arg(fcinfo, 0));
}
