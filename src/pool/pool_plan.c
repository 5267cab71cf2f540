/*-------------------------------------------------------------------------
 *
 * pool_plan.c
 *	  What the reports about pool sizes need beside arithmetic.
 *
 * The arithmetic itself is SQL, in 54_pool_plan.sql, where it can be read.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "base/query.h"
#include "base/statements.h"

PG_FUNCTION_INFO_V1(pg_steward_require);
PG_FUNCTION_INFO_V1(pg_steward_measured_query_ms);

/*
 * require(condition boolean, message text, hint text) returns true, or raises
 * the error.  For checks of arguments in SQL.
 */
Datum
pg_steward_require(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || !PG_GETARG_BOOL(0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s", PG_ARGISNULL(1) ? "invalid argument" :
						text_to_cstring(PG_GETARG_TEXT_PP(1))),
				 PG_ARGISNULL(2) ? 0 :
				 errhint("%s", text_to_cstring(PG_GETARG_TEXT_PP(2)))));
	PG_RETURN_BOOL(true);
}

/*
 * measured_query_ms() returns float8: mean time of the statements of this
 * database that clients sent, null if pg_stat_statements has none.
 */
Datum
pg_steward_measured_query_ms(PG_FUNCTION_ARGS)
{
	StewardQueryScope scope;
	StringInfoData sql;
	uint64		nrows = 0;
	char	   *view;
	Datum		value = (Datum) 0;
	bool		isnull = true;
	double		result = 0;

	steward_query_begin(&scope);
	view = steward_statements_find();
	if (view != NULL)
	{
		initStringInfo(&sql);
		appendStringInfo(&sql, STEWARD_SELECT
						 "(sum(s.total_exec_time) / nullif(sum(s.calls), 0))::float8"
						 " FROM %s s WHERE s.dbid = (SELECT d.oid FROM pg_database d"
						 " WHERE d.datname = current_database())", view);
		if (steward_statements_select(sql.data, 0, NULL, NULL, &nrows) &&
			nrows > 0)
			value = steward_query_value(0, 1, &isnull);
		if (!isnull)
			result = DatumGetFloat8(value);
	}
	steward_query_end(&scope);

	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(result);
}
