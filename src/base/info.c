/*-------------------------------------------------------------------------
 *
 * info.c
 *	  What the loaded library says about itself.
 *
 * The SQL function get_steward_info() joins this with what the catalogs say.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/rows.h"
#include "base/shmem.h"

PG_FUNCTION_INFO_V1(pg_steward_module_info);

/*
 * module_info(): one row, see its declaration in 00_header.sql.
 */
Datum
pg_steward_module_info(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	bool		ready = steward_is_preloaded() &&
		steward_library_in_preload_list("pg_stat_statements");

	steward_rows_begin(&rows, fcinfo);
	steward_rows_text(&rows, PG_STEWARD_VERSION);
	steward_rows_bool(&rows, steward_is_preloaded());
	steward_rows_timestamptz(&rows, steward_shmem_start_time());
	steward_rows_int64(&rows, steward_is_preloaded() ? steward_shmem_size() : 0);
	steward_rows_bool(&rows, steward_library_in_preload_list("pg_stat_statements"));
	steward_rows_text(&rows, ready ? NULL : steward_preload_hint());
	steward_rows_end_row(&rows);
	return (Datum) 0;
}
