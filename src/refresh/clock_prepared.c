/*-------------------------------------------------------------------------
 *
 * clock_prepared.c
 *	  Prepared transactions that the change clock has to notice.
 *
 * See change_clock.c for why there is a list.  One lock guards it; it is taken
 * before ProcArrayLock, and only if there is any entry.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"

#include "base/compat.h"
#include "base/shmem.h"
#include "refresh/change_clock.h"
#include "refresh/clock_board.h"
#include "refresh/clock_prepared.h"

/* A transaction that is, or may be, prepared.  Guarded by the lock. */
typedef struct PreparedEntry
{
	FullTransactionId xid;		/* invalid: free */
	Oid			database;
	int			procno;			/* of the backend that prepares it, or -1 */
	bool		finished;		/* seen to be at its end */
	StewardPrepared what;
} PreparedEntry;

/* Shared memory; entries follow. */
typedef struct PreparedList
{
	LWLock	   *lock;			/* constant */
	uint32		max;			/* constant */
	pg_atomic_uint32 used;		/* entries in use; written under the lock */
} PreparedList;

/* All process-local state of this file. */
static struct
{
	PreparedList *list;			/* NULL unless preloaded */
	PreparedEntry *entries;
}			local;

/* Each backend can be preparing one more than there can be. */
static int
entry_count(void)
{
	return MaxBackends + max_prepared_xacts;
}

static Size
list_size(void)
{
	return add_size(MAXALIGN(sizeof(PreparedList)),
					mul_size(entry_count(), sizeof(PreparedEntry)));
}

static void
list_attach(void *area, LWLockPadded *locks, bool found)
{
	local.list = (PreparedList *) area;
	local.entries = (PreparedEntry *) ((char *) area +
									   MAXALIGN(sizeof(PreparedList)));
	if (found)
		return;
	memset(area, 0, list_size());
	local.list->lock = &locks[0].lock;
	local.list->max = (uint32) entry_count();
	pg_atomic_init_u32(&local.list->used, 0);
}

static const StewardShmemArea list_area = {
	.name = "pg_steward_prepared",
	.nlocks = 1,
	.size = list_size,
	.attach = list_attach,
};

/* Register the memory, while the library is being preloaded. */
void
steward_prepared_register(void)
{
	steward_shmem_register(&list_area);
}

/*
 * Is a transaction of the list still running or prepared?  The caller holds
 * ProcArrayLock.  A process is in the array of running transactions if its
 * place there has its transaction: places are kept dense, and a place that a
 * process has left has that of another or none.
 */
static bool
is_running(const PreparedEntry *entry)
{
	TransactionId xid = XidFromFullTransactionId(entry->xid);

	/* an identifier that has been used again is another transaction */
	if (U64FromFullTransactionId(ReadNextFullTransactionId()) -
		U64FromFullTransactionId(entry->xid) > PG_INT32_MAX)
		return false;

	if (entry->procno >= 0)
	{
		PGPROC	   *proc = &ProcGlobal->allProcs[entry->procno];

		if (proc->xid == xid && ProcGlobal->xids[proc->pgxactoff] == xid)
			return true;
	}
	for (int i = 0; i < max_prepared_xacts; i++)
	{
		PGPROC	   *proc = &PreparedXactProcs[i];

		if (proc->xid == xid && ProcGlobal->xids[proc->pgxactoff] == xid)
			return true;
	}
	return false;
}

/*
 * Does a prepared transaction still have the lock on its number?  It does
 * until all messages about what it changed have been sent.
 */
static bool
has_lock(const PreparedEntry *entry)
{
	LOCKTAG		tag;

	SET_LOCKTAG_TRANSACTION(tag, XidFromFullTransactionId(entry->xid));
	if (LockAcquire(&tag, ShareLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ShareLock, true);
	return false;
}

/*
 * Move the slots of what a prepared transaction changed: of data once, of
 * definitions each time.
 */
static void
move_prepared(const PreparedEntry *entry)
{
	uint64		time = steward_board_now();

	for (int change = 0; change < STEWARD_CHANGES; change++)
	{
		if (change == STEWARD_CHANGE_DATA && entry->finished)
			continue;
		if (entry->what.everything)
			steward_board_move_database(entry->database, change, time);
		for (int i = 0; i < entry->what.nchanges; i++)
		{
			if (entry->what.changes[i].change == change)
				steward_board_move(entry->what.changes[i].hash, change, time);
		}
	}
}

/* Forget an entry.  The caller holds the lock exclusively. */
static void
free_prepared(PreparedEntry *entry)
{
	entry->xid = InvalidFullTransactionId;
	pg_atomic_fetch_sub_u32(&local.list->used, 1);
}

/* Settle, by a caller that holds the lock exclusively. */
static void
settle_locked(void)
{
	for (uint32 i = 0; i < local.list->max; i++)
	{
		PreparedEntry *entry = &local.entries[i];
		bool		running;
		bool		lingers;

		if (!FullTransactionIdIsValid(entry->xid))
			continue;
		LWLockAcquire(ProcArrayLock, LW_SHARED);
		running = is_running(entry);
		LWLockRelease(ProcArrayLock);
		if (running)
			continue;

		lingers = (entry->what.definitions || entry->what.everything) && has_lock(entry);
		move_prepared(entry);
		entry->finished = true;
		if (!lingers)
			free_prepared(entry);
	}
}

/*
 * Write down what prepared transactions changed that have come to their end.
 * To be called before one looks at slots, and before one ticks the clock.
 */
void
steward_clock_settle(void)
{
	pg_memory_barrier();
	if (pg_atomic_read_u32(&local.list->used) == 0)
		return;
	LWLockAcquire(local.list->lock, LW_EXCLUSIVE);
	settle_locked();
	LWLockRelease(local.list->lock);
}

/* A free entry for a prepared transaction, or NULL. */
static PreparedEntry *
allocate_prepared(FullTransactionId xid, Oid database)
{
	for (uint32 i = 0; i < local.list->max; i++)
	{
		PreparedEntry *entry = &local.entries[i];

		if (FullTransactionIdIsValid(entry->xid))
			continue;
		memset(entry, 0, sizeof(*entry));
		entry->xid = xid;
		entry->database = database;
		entry->procno = -1;
		pg_atomic_fetch_add_u32(&local.list->used, 1);
		return entry;
	}
	return NULL;
}

/* The transaction with its epoch, for one that is running. */
static FullTransactionId
full_xid(TransactionId xid)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint32		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return FullTransactionIdFromEpochAndXid(epoch, xid);
}

/* Is there an entry for it? */
static bool
is_listed(FullTransactionId xid)
{
	for (uint32 i = 0; i < local.list->max; i++)
	{
		if (FullTransactionIdEquals(local.entries[i].xid, xid))
			return true;
	}
	return false;
}

/*
 * List prepared transactions that were there before the clock was, or before
 * this server was promoted.  To be called after a tick: whatever is prepared
 * later lists itself.
 */
void
steward_clock_adopt_prepared(void)
{
	if (max_prepared_xacts == 0)
		return;
	LWLockAcquire(local.list->lock, LW_EXCLUSIVE);
	LWLockAcquire(ProcArrayLock, LW_SHARED);
	for (int i = 0; i < max_prepared_xacts; i++)
	{
		PGPROC	   *proc = &PreparedXactProcs[i];
		PreparedEntry *entry;
		FullTransactionId xid;

		if (!TransactionIdIsValid(proc->xid) ||
			ProcGlobal->xids[proc->pgxactoff] != proc->xid)
			continue;
		xid = full_xid(proc->xid);
		if (is_listed(xid))
			continue;
		entry = allocate_prepared(xid, proc->databaseId);
		if (entry == NULL)
		{
			LWLockRelease(ProcArrayLock);
			LWLockRelease(local.list->lock);
			elog(ERROR, "no room for prepared transactions");
		}
		entry->what.everything = true;
	}
	LWLockRelease(ProcArrayLock);
	LWLockRelease(local.list->lock);
}

/* Note a change of a transaction that is being prepared. */
void
steward_prepared_add(StewardPrepared *what, Oid relation, StewardChange change)
{
	if (change == STEWARD_CHANGE_DEFINITION)
		what->definitions = true;
	if (what->nchanges == STEWARD_PREPARED_CHANGES)
	{
		what->everything = true;
		return;
	}
	what->changes[what->nchanges].hash = steward_clock_hash(MyDatabaseId,
															relation);
	what->changes[what->nchanges++].change = change;
}

/*
 * List the current transaction, which is being prepared, with what it changes.
 * Returns its place.
 */
int
steward_prepared_list(const StewardPrepared *what)
{
	PreparedEntry *entry;
	int			place;

	LWLockAcquire(local.list->lock, LW_EXCLUSIVE);
	settle_locked();
	entry = allocate_prepared(GetTopFullTransactionId(), MyDatabaseId);
	if (entry == NULL)
	{
		LWLockRelease(local.list->lock);
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many prepared transactions are waiting to be noticed"),
				 errhint("Try again after a minute.")));
	}
	entry->procno = STEWARD_PROC_NUMBER;
	entry->what = *what;
	place = (int) (entry - local.entries);
	LWLockRelease(local.list->lock);
	return place;
}

/*
 * The current transaction was to be prepared and is not: forget its entry.
 */
void
steward_prepared_unlist(int place)
{
	PreparedEntry *entry = &local.entries[place];

	LWLockAcquire(local.list->lock, LW_EXCLUSIVE);
	/* somebody may have settled it, and the place may be in use again */
	if (FullTransactionIdEquals(entry->xid, GetTopFullTransactionIdIfAny()))
		free_prepared(entry);
	LWLockRelease(local.list->lock);
}
