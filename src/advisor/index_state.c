/*-------------------------------------------------------------------------
 *
 * index_state.c
 *	  What the catalogs as of the query's snapshot do not say about an index:
 *	  whether it is invalid at this moment, and since when it exists.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "access/htup_details.h"
#include "catalog/pg_index.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(pg_steward_index_invalid_now);
PG_FUNCTION_INFO_V1(pg_steward_index_created_at);
PG_FUNCTION_INFO_V1(pg_steward_check_minimum);

/*
 * index_invalid_now(oid) returns boolean: does the index exist, and is it
 * invalid, by the newest state of the catalogs?  A build that was under way
 * when the query's snapshot was taken may have ended since.
 */
Datum
pg_steward_index_invalid_now(PG_FUNCTION_ARGS)
{
	HeapTuple	tuple;
	bool		invalid = false;

	/* what other backends have changed, without the lock that would tell */
	AcceptInvalidationMessages();
	tuple = SearchSysCache1(INDEXRELID, PG_GETARG_DATUM(0));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		invalid = !form->indisvalid || !form->indisready || !form->indislive;
		ReleaseSysCache(tuple);
	}
	PG_RETURN_BOOL(invalid);
}

/*
 * index_created_at(oid) returns timestamptz: when the file of the index was
 * created.  The index is at least that old; it is older if it was rebuilt, its
 * table rewritten or truncated, or the files of the server copied since.  Null
 * without a file, and where the file system does not tell.
 */
Datum
pg_steward_index_created_at(PG_FUNCTION_ARGS)
{
#ifdef STATX_BTIME
	LOCAL_FCINFO(call, 1);
	Datum		path;
	struct statx info;

	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = PG_GETARG_DATUM(0);
	call->args[0].isnull = false;
	path = pg_relation_filepath(call);
	if (!call->isnull &&
		statx(AT_FDCWD, TextDatumGetCString(path), 0, STATX_BTIME, &info) == 0 &&
		(info.stx_mask & STATX_BTIME) != 0)
		PG_RETURN_TIMESTAMPTZ(time_t_to_timestamptz(info.stx_btime.tv_sec));
#endif
	PG_RETURN_NULL();
}

/*
 * check_minimum(value, argument) returns bigint: the value of a threshold that
 * a user gave as this argument, 0 for null, an error if it is negative.
 */
Datum
pg_steward_check_minimum(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_INT64(0);
	if (PG_GETARG_INT64(0) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be negative",
						PG_ARGISNULL(1) ? "value" :
						text_to_cstring(PG_GETARG_TEXT_PP(1))),
				 errhint("Use 0 for no limit.")));
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}
