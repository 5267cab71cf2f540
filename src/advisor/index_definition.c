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
 * DROP INDEX CONCURRENTLY and REINDEX CONCURRENTLY take an index out of the
 * catalogs although others hold that lock.  But between marking it dead and
 * doing so they wait for all who held it then.  So an index that is still live
 * once we have the lock stays until we give it back, and one that is not has
 * no definition either: the server's function would fail in its middle.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/pg_index.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(pg_steward_index_definition);

/* Is there such an index, which nobody has begun to drop? */
static bool
index_is_live(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool		live = false;

	if (HeapTupleIsValid(tuple))
	{
		live = ((Form_pg_index) GETSTRUCT(tuple))->indislive;
		ReleaseSysCache(tuple);
	}
	return live;
}

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
	if (index_is_live(index))
		definition = DirectFunctionCall1(pg_get_indexdef,
										 ObjectIdGetDatum(index));
	UnlockRelationOid(table, AccessShareLock);

	if (definition == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(definition);
}
