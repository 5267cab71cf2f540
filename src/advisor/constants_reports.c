/*-------------------------------------------------------------------------
 *
 * constants_reports.c
 *	  What users can do with sampled constants: forget them, and see how many
 *	  there are.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/rows.h"
#include "base/shmem.h"
#include "advisor/constants.h"

PG_FUNCTION_INFO_V1(pg_steward_reset_constants);
PG_FUNCTION_INFO_V1(pg_steward_constants_state);

/*
 * reset_sampled_constants() returns the number of statements of which samples
 * were forgotten.
 */
Datum
pg_steward_reset_constants(PG_FUNCTION_ARGS)
{
	steward_require_preload();
	PG_RETURN_INT64(steward_constants_retain(InvalidOid, NULL, 0));
}

/*
 * sampled_constants(): one row, columns as declared in 34_advisor.sql.
 */
Datum
pg_steward_constants_state(PG_FUNCTION_ARGS)
{
	StewardConstantsState state;
	StewardRows rows;

	steward_require_preload();
	steward_constants_state(&state);
	steward_rows_begin(&rows, fcinfo);
	steward_rows_int64(&rows, state.statements);
	steward_rows_int64(&rows, state.samples);
	steward_rows_int64(&rows, state.used_bytes);
	steward_rows_int64(&rows, state.total_bytes);
	steward_rows_int64(&rows, state.evictions);
	steward_rows_end_row(&rows);
	return (Datum) 0;
}
