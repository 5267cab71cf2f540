/*-------------------------------------------------------------------------
 *
 * matview_lock.c
 *	  Who may refresh a materialized view, and locking it.
 *
 * A request for AccessExclusiveLock makes everybody wait who asks for any
 * lock after it, readers too, for as long as it waits itself.  So it is made
 * in short tries with pauses between them in which the queue moves: each waits
 * for pg_steward.lock_timeout at most, in a subtransaction that its failure
 * aborts.  Weaker locks keep no reader waiting and are asked for as usual,
 * with the lock_timeout of the session.
 *
 * Somebody may wait for a lock on the view that this transaction holds while
 * he holds one that we wait for.  The server's search for deadlocks might
 * choose him.  So as long as anybody waits for us, a try only takes what it
 * gets at once; and a try is shorter than deadlock_timeout, by default, so
 * that it is over before whoever started to wait meanwhile looks for a
 * deadlock.  One case is beyond us: who reads the view in a transaction and
 * asks for a lock on the same view that keeps writers out, in the milliseconds
 * of a try, is told of the deadlock at once, without any search (ProcSleep()).
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "base/guc.h"
#include "refresh/matview_lock.h"

/* The pause after a try, and what it grows to, in milliseconds. */
#define FIRST_PAUSE 100
#define LONGEST_PAUSE 1000

/*
 * Raise an error unless this is a materialized view that the user may refresh.
 * Takes no lock: a view that is dropped meanwhile is reported as missing.
 */
void
steward_matview_check(Oid view)
{
	char	   *name = get_rel_name(view);
	char		kind = get_rel_relkind(view);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", view)));
	if (kind != RELKIND_MATVIEW)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a materialized view", name)));
	if (!STEWARD_MAY_MAINTAIN(view, GetUserId()))
		aclcheck_error(STEWARD_MAINTAIN_ERROR, OBJECT_MATVIEW, name);
}

/*
 * The lock is ours: check what may have changed while we waited.
 */
static void
check_locked(Oid view, const char *name)
{
	if (get_rel_name(view) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("materialized view \"%s\" was dropped meanwhile", name)));
	steward_matview_check(view);
}

/*
 * Lock the view until the transaction ends, in a mode that keeps no reader
 * waiting.  Raises an error if the user may not, the view is gone, or the lock
 * is not granted within lock_timeout.
 */
void
steward_matview_lock(Oid view, LOCKMODE mode)
{
	char	   *name;

	steward_matview_check(view);
	name = get_rel_name(view);
	LockRelationOid(view, mode);
	check_locked(view, name);
}

/* Wait for the lock as long as one try may take, or raise an error. */
static void
wait_for_lock(Oid view)
{
	int			nestlevel = NewGUCNestLevel();

	if (steward_lock_timeout > 0 &&
		(LockTimeout == 0 || LockTimeout > steward_lock_timeout))
	{
		char		value[16];

		snprintf(value, sizeof(value), "%d", steward_lock_timeout);
		(void) set_config_option("lock_timeout", value, PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	}
	LockRelationOid(view, AccessExclusiveLock);
	AtEOXact_GUC(false, nestlevel);
}

/*
 * Does anybody wait for a lock on the view that this transaction holds?
 * Weaker locks may be on the fast path, where the server cannot tell (and does
 * not survive the question); a refresh holds a stronger one.
 */
static bool
others_wait(Oid view)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, view);
	for (LOCKMODE mode = ShareUpdateExclusiveLock; mode < AccessExclusiveLock; mode++)
		if (LockHeldByMe(&tag, mode, false) &&
			LockHasWaiters(&tag, mode, false))
			return true;
	return false;
}

/*
 * Get the lock on the view, waiting for it if that is allowed, and those on
 * other relations, which belong to it, without waiting.  What was granted
 * stays, whether all was or not.
 */
static bool
lock_all(Oid view, List *others, bool wait)
{
	ListCell   *cell;

	if (!ConditionalLockRelationOid(view, AccessExclusiveLock))
	{
		if (!wait)
			return false;
		wait_for_lock(view);
	}
	foreach(cell, others)
	{
		if (!ConditionalLockRelationOid(lfirst_oid(cell), AccessExclusiveLock))
			return false;
	}
	return true;
}

/*
 * One try: true if all locks were granted, else none is held.
 */
static bool
try_exclusive(Oid view, List *others)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool		wait = !others_wait(view);
	volatile bool locked = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		locked = lock_all(view, others, wait);
		if (locked)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE &&
			error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED)
			ReThrowError(error);
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return locked;
}

/*
 * Lock the view against everybody, until the transaction ends, and with it
 * other relations, such as its indexes, without keeping others waiting behind
 * for longer than pg_steward.lock_timeout at a time.  Gives up with an error
 * after so many milliseconds; 0: never.
 */
void
steward_matview_lock_exclusive(Oid view, List *others, int patience_ms)
{
	int			pause = FIRST_PAUSE;
	instr_time	start;
	instr_time	now;
	char	   *name;

	steward_matview_check(view);
	name = get_rel_name(view);
	INSTR_TIME_SET_CURRENT(start);
	while (!try_exclusive(view, others))
	{
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
		if (patience_ms > 0 && INSTR_TIME_GET_MILLISEC(now) >= patience_ms)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("could not obtain exclusive lock on materialized view \"%s\"",
							name),
					 errdetail("It was in use throughout %d ms, in which the lock was asked for again and again, shortly.",
							   patience_ms)));
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 pause, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		pause = Min(pause * 2, LONGEST_PAUSE);
	}
	check_locked(view, name);
}
