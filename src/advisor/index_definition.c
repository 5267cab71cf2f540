/*-------------------------------------------------------------------------
 *
 * index_definition.c
 *	  The definition of an index, without waiting for a lock.
 *
 * pg_get_indexdef() opens the index's table, and so waits as long as somebody
 * holds an exclusive lock on it, or merely waits for one.  A report must not.
 * The lock that it would wait for is therefore tried first; when it cannot be
 * had at once, there is no definition.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/index.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(pg_steward_index_definition);

/*
 * index_definition(oid) returns text.  The lock is released at once, as the
 * server's own function does.
 */
Datum
pg_steward_index_definition(PG_FUNCTION_ARGS)
{
	Oid			index = PG_GETARG_OID(0);
	Oid			table = IndexGetRelation(index, true);
	Datum		definition = (Datum) 0;

	if (!OidIsValid(table) ||
		!ConditionalLockRelationOid(table, AccessShareLock))
		PG_RETURN_NULL();

	/* Dropped before we had the lock?  It cannot be from now on. */
	if (SearchSysCacheExists1(INDEXRELID, ObjectIdGetDatum(index)))
		definition = DirectFunctionCall1(pg_get_indexdef,
										 ObjectIdGetDatum(index));
	UnlockRelationOid(table, AccessShareLock);

	if (definition == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(definition);
}
