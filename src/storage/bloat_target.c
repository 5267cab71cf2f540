/*-------------------------------------------------------------------------
 *
 * bloat_target.c
 *	  Which relations a bloat report may look into, and how it opens them.
 *
 * A report over many relations must not stop at one of them, and must not
 * stand in anybody's way:
 *
 * - A lock is taken only if it is free.  A request that waits would make all
 *   that come after it wait, too; so a lock that is held is asked for again
 *   and again, for at most pg_steward.lock_timeout in the whole report.
 * - While a relation is read, somebody may come to wait for our lock: VACUUM
 *   that wants to truncate, DDL, on a standby the replay of either, which
 *   would cancel us.  Long scans ask steward_target_in_the_way() now and then
 *   and end early.
 * - Each relation is read in a subtransaction.  An error about it, be it a
 *   damaged page or a missing file, becomes the reason why its row has no
 *   numbers.  Cancellation, shutdown and lack of memory end the report.
 *
 * Contents of tables are counted, never shown; who may have them counted is
 * who may run pgstattuple: members of pg_stat_scan_tables (pg_monitor is
 * one), superusers, and the owner.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_authid_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_tablespace_d.h"
#include "common/relpath.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relmapper.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/guc.h"
#include "storage/bloat_target.h"

/* Pause between two attempts to get a lock, milliseconds. */
#define LOCK_RETRY_MS 5

/*
 * May the caller have this relation's contents counted?  For an index, the
 * owner of the table is the owner of the index.
 */
bool
steward_target_permitted(Oid relid)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_STAT_SCAN_TABLES) ||
		object_ownercheck(RelationRelationId, relid, GetUserId());
}

/*
 * Why this relation cannot be looked into, told from its catalog entry alone
 * and without a lock; NULL if it can.
 */
const char *
steward_target_refusal(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class class;
	const char *reason = NULL;

	if (!HeapTupleIsValid(tuple))
		return "skipped: dropped meanwhile";
	class = (Form_pg_class) GETSTRUCT(tuple);

	if (!steward_target_permitted(relid))
		reason = "skipped: needs pg_stat_scan_tables, or ownership of the table";
	else if (class->relkind == RELKIND_FOREIGN_TABLE)
		reason = "skipped: foreign table, its rows are stored elsewhere";
	else if (!RELKIND_HAS_STORAGE(class->relkind) ||
			 class->relkind == RELKIND_SEQUENCE)
		reason = "skipped: has no rows of its own";
	else if (class->relpersistence == RELPERSISTENCE_TEMP &&
			 !isTempOrTempToastNamespace(class->relnamespace))
		reason = "skipped: temporary table of another session";
	else if (class->relpersistence == RELPERSISTENCE_UNLOGGED &&
			 RecoveryInProgress())
		reason = "skipped: unlogged tables are empty on a standby";
	else if (class->relkind != RELKIND_INDEX &&
			 class->relam != HEAP_TABLE_AM_OID)
		reason = "skipped: access method is not heap";
	ReleaseSysCache(tuple);
	return reason;
}

/*
 * How long a report may try to get locks in all, milliseconds; -1 for ever.
 */
int
steward_target_patience(void)
{
	if (steward_lock_timeout == 0)
		return LockTimeout > 0 ? LockTimeout : -1;
	if (LockTimeout > 0)
		return Min(LockTimeout, steward_lock_timeout);
	return steward_lock_timeout;
}

/*
 * Open a relation under AccessShareLock without ever queueing for it.  Waiting
 * uses up *patience_ms.  Returns NULL and a reason if the lock is not to be
 * had or the relation is gone.
 */
Relation
steward_target_open(Oid relid, int *patience_ms, const char **reason)
{
	Relation	rel;

	while (!ConditionalLockRelationOid(relid, AccessShareLock))
	{
		CHECK_FOR_INTERRUPTS();
		if (*patience_ms == 0)
		{
			*reason = "skipped: locked by another session";
			return NULL;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOCK_RETRY_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		if (*patience_ms > 0)
			*patience_ms = Max(*patience_ms - LOCK_RETRY_MS, 0);
	}

	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(relid, AccessShareLock);
		*reason = "skipped: dropped meanwhile";
	}
	return rel;
}

/* Close it and give the lock back at once. */
void
steward_target_close(Relation rel)
{
	relation_close(rel, AccessShareLock);
}

/*
 * Does this error concern one relation, so that the report can go on?
 */
static bool
error_is_local(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category != ERRCODE_INSUFFICIENT_RESOURCES &&
		category != ERRCODE_OPERATOR_INTERVENTION &&
		category != ERRCODE_TRANSACTION_ROLLBACK;
}

/*
 * Run work(arg) in a subtransaction.  Returns false if it failed with an
 * error that concerns the relation only; *reason then has its text.  What
 * work() allocates in the current memory context stays.
 */
bool
steward_target_guarded(StewardTargetWork work, void *arg,
					   const char **reason)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool ok = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!error_is_local(error->sqlerrcode))
			ReThrowError(error);
		*reason = psprintf("failed: %s", error->message);
		FreeErrorData(error);
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return ok;
}

/*
 * Is somebody waiting for a lock that ours keeps him from?
 *
 * Locks as weak as ours are not in the shared table of locks, until somebody
 * asks for a stronger one.  So the number of requests there, which costs next
 * to nothing, tells that all is well; only if there are several, the queue
 * itself is looked at.
 */
bool
steward_target_in_the_way(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			database = rel->rd_lockInfo.lockRelId.dbId;
	LOCKTAG		tag;
	LockData   *locks;
	bool		waiting = false;

	SET_LOCKTAG_RELATION(tag, database, relid);
	if (LockWaiterCount(&tag) < 2)
		return false;

	locks = GetLockStatusData();
	for (int i = 0; i < locks->nelements; i++)
	{
		LockInstanceData *lock = &locks->locks[i];

		waiting |= lock->waitLockMode == AccessExclusiveLock &&
			lock->locktag.locktag_type == LOCKTAG_RELATION &&
			lock->locktag.locktag_field1 == database &&
			lock->locktag.locktag_field2 == relid;
	}
	pfree(locks->locks);
	pfree(locks);
	return waiting;
}

/*
 * Transactions before this one are over for everybody who might look at the
 * relation: what they deleted is dead, and VACUUM FULL drops it.
 */
TransactionId
steward_target_horizon(Relation rel)
{
	return GetOldestNonRemovableTransactionId(rel);
}

/*
 * Bytes of a relation's main fork on disk, without a lock, for rows that say
 * nothing else; 0 if there are no files.  Of temporary relations, only those
 * of this session are found.
 */
int64
steward_target_file_bytes(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class class;
	Oid			tablespace;
	RelFileNumber number;
	Oid			database;
	int			owner;
	char	   *path;
	int64		bytes = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	class = (Form_pg_class) GETSTRUCT(tuple);
	number = class->relfilenode;
	if (number == 0 && RELKIND_HAS_STORAGE(class->relkind))
		number = RelationMapOidToFilenumber(relid, class->relisshared);
	tablespace = class->reltablespace ? class->reltablespace : MyDatabaseTableSpace;
	database = tablespace == GLOBALTABLESPACE_OID ? InvalidOid : MyDatabaseId;
	owner = class->relpersistence == RELPERSISTENCE_TEMP ?
		ProcNumberForTempRelations() : INVALID_PROC_NUMBER;
	ReleaseSysCache(tuple);
	if (number == 0)
		return 0;

	path = STEWARD_RELATION_PATH(database, tablespace, number, owner);
	for (int segment = 0;; segment++)
	{
		char	   *name = segment == 0 ? pstrdup(path) :
			psprintf("%s.%d", path, segment);
		struct stat st;
		int			rc = stat(name, &st);

		pfree(name);
		if (rc != 0)
			break;
		bytes += st.st_size;
	}
	pfree(path);
	return bytes;
}
