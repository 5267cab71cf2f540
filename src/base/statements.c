/*-------------------------------------------------------------------------
 *
 * statements.c
 *	  Finding pg_stat_statements, and saying what is missing.
 *
 * pg_stat_statements may be installed in any schema and in any version since
 * 1.8, the first with the column names used here; a database that was
 * upgraded keeps the old view until ALTER EXTENSION UPDATE.  Whether a newer
 * column exists is therefore asked of the view itself, never of the server
 * version.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/attnum.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/query.h"
#include "base/shmem.h"
#include "base/statements.h"

/*
 * Fill in where pg_stat_statements is, or raise
 * ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE with what has to be done about it.
 * To be called inside a query section (query.c), in whose memory the string
 * is allocated.
 */
void
steward_statements_require(StewardStatements *statements)
{
	Oid			schema;
	char	   *schema_name;
	Oid			view;
	bool		isnull;

	if (!steward_library_in_preload_list("pg_stat_statements"))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_stat_statements is not loaded at server start"),
				 errdetail("This function reads the counters that pg_stat_statements collects when it is named in \"shared_preload_libraries\"."),
				 errhint("%s", steward_preload_hint())));

	if (steward_query_select(STEWARD_SELECT
							 "e.extnamespace, n.nspname::text,"
							 " has_schema_privilege(n.oid, 'USAGE') AND"
							 " coalesce(has_table_privilege(c.oid, 'SELECT'), true)"
							 " FROM pg_extension e"
							 " JOIN pg_namespace n ON n.oid = e.extnamespace"
							 " LEFT JOIN pg_class c ON c.relnamespace = n.oid"
							 " AND c.relname = 'pg_stat_statements'"
							 " WHERE e.extname = 'pg_stat_statements'",
							 0, NULL, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pg_stat_statements\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION pg_stat_statements.")));

	schema = DatumGetObjectId(steward_query_value(0, 1, &isnull));
	schema_name = TextDatumGetCString(steward_query_value(0, 2, &isnull));
	if (!DatumGetBool(steward_query_value(0, 3, &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for view pg_stat_statements"),
				 errhint("Grant USAGE on schema \"%s\" and SELECT on its view pg_stat_statements to role \"%s\".",
						 schema_name, GetUserNameFromId(GetUserId(), false))));

	view = get_relname_relid("pg_stat_statements", schema);
	if (!OidIsValid(view) ||
		get_attnum(view, "total_exec_time") == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pg_stat_statements\" is too old in this database"),
				 errdetail("Version 1.8 or newer is needed."),
				 errhint("Run ALTER EXTENSION pg_stat_statements UPDATE.")));

	statements->view = quote_qualified_identifier(schema_name,
												  "pg_stat_statements");
	statements->has_toplevel =
		get_attnum(view, "toplevel") != InvalidAttrNumber;
	statements->has_stats_since =
		get_attnum(view, "stats_since") != InvalidAttrNumber;
}

/*
 * Run a SELECT that reads texts from pg_stat_statements.  Returns false if one
 * of them, which may belong to any database and be none that is asked for,
 * cannot be had in the encoding of this database: then none can.
 */
bool
steward_statements_select(const char *sql, int nargs, Oid *argtypes,
						  Datum *values, uint64 *nrows)
{
	const int	undecodable[] = {ERRCODE_UNTRANSLATABLE_CHARACTER,
	ERRCODE_CHARACTER_NOT_IN_REPERTOIRE};

	return steward_query_try_select(sql, nargs, argtypes, values, undecodable,
									lengthof(undecodable), nrows);
}
