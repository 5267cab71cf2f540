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

/* What the catalogs say of the extension in this database. */
typedef struct StatementsExtension
{
	char	   *schema_name;
	Oid			view;			/* InvalidOid if there is none of the name */
	bool		readable;		/* by the caller */
} StatementsExtension;

/*
 * Look the extension up; false if it is not installed.  In a query section.
 */
static bool
look_up(StatementsExtension *extension)
{
	Oid			schema;
	bool		isnull;

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
		return false;

	schema = DatumGetObjectId(steward_query_value(0, 1, &isnull));
	extension->schema_name = TextDatumGetCString(steward_query_value(0, 2, &isnull));
	extension->readable = DatumGetBool(steward_query_value(0, 3, &isnull));
	extension->view = get_relname_relid("pg_stat_statements", schema);
	return true;
}

/*
 * Quoted and schema-qualified name of the view, or NULL if there is none that
 * the caller can read.  Any version of it has texts.  To be called inside a
 * query section, in whose memory the string is allocated.
 */
char *
steward_statements_find(void)
{
	StatementsExtension extension;

	if (!steward_library_in_preload_list("pg_stat_statements") ||
		!look_up(&extension) ||
		!OidIsValid(extension.view) || !extension.readable)
		return NULL;
	return quote_qualified_identifier(extension.schema_name,
									  "pg_stat_statements");
}

/*
 * Fill in where pg_stat_statements is, or raise
 * ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE with what has to be done about it.
 * To be called inside a query section (query.c), in whose memory the string
 * is allocated.
 */
void
steward_statements_require(StewardStatements *statements)
{
	StatementsExtension extension;

	if (!steward_library_in_preload_list("pg_stat_statements"))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_stat_statements is not loaded at server start"),
				 errdetail("This function reads the counters that pg_stat_statements collects when it is named in \"shared_preload_libraries\"."),
				 errhint("%s", steward_preload_hint())));

	if (!look_up(&extension))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pg_stat_statements\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION pg_stat_statements.")));

	if (!extension.readable)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for view pg_stat_statements"),
				 errhint("Grant USAGE on schema \"%s\" and SELECT on its view pg_stat_statements to role \"%s\".",
						 extension.schema_name,
						 GetUserNameFromId(GetUserId(), false))));

	if (!OidIsValid(extension.view) ||
		get_attnum(extension.view, "total_exec_time") == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pg_stat_statements\" is too old in this database"),
				 errdetail("Version 1.8 or newer is needed."),
				 errhint("Run ALTER EXTENSION pg_stat_statements UPDATE.")));

	statements->view = quote_qualified_identifier(extension.schema_name,
												  "pg_stat_statements");
	statements->has_toplevel =
		get_attnum(extension.view, "toplevel") != InvalidAttrNumber;
	statements->has_stats_since =
		get_attnum(extension.view, "stats_since") != InvalidAttrNumber;
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
