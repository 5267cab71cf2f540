/*-------------------------------------------------------------------------
 *
 * rows.h
 *	  Helper for functions that return a set of rows.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_ROWS_H
#define STEWARD_ROWS_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "nodes/execnodes.h"

/* A row under construction.  Columns are appended from left to right. */
typedef struct StewardRows
{
	ReturnSetInfo *result;
	int			ncolumns;
	int			next;			/* column that is filled next */
	Datum	   *values;
	bool	   *nulls;
} StewardRows;

extern void steward_rows_begin(StewardRows *rows, FunctionCallInfo fcinfo);
extern void steward_rows_datum(StewardRows *rows, Datum value, bool isnull);
extern void steward_rows_null(StewardRows *rows);
extern void steward_rows_bool(StewardRows *rows, bool value);
extern void steward_rows_int32(StewardRows *rows, int32 value);
extern void steward_rows_int64(StewardRows *rows, int64 value);
extern void steward_rows_count(StewardRows *rows, int64 count);
extern void steward_rows_oid(StewardRows *rows, Oid value);
extern void steward_rows_float8(StewardRows *rows, double value);
extern void steward_rows_text(StewardRows *rows, const char *value);
extern void steward_rows_timestamptz(StewardRows *rows, TimestampTz value);
extern void steward_rows_end_row(StewardRows *rows);

extern int64 steward_limit_arg(FunctionCallInfo fcinfo, int argno);

#endif							/* STEWARD_ROWS_H */
