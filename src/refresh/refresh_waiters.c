/*-------------------------------------------------------------------------
 *
 * refresh_waiters.c
 *	  Sees whom refresh workers are in the way of, and how far standbys are.
 *
 * A refresh takes locks that readers do not mind, but other commands on the
 * view or its tables may: they must not wait for long.  While refreshes run,
 * the launcher looks several times a second for processes that wait for a
 * lock.  It is cheap to see that nobody waits; only for somebody who has waited
 * for as long as the policy allows, the lock manager is asked who is in the
 * way, in the same way as pg_blocking_pids() does.  If it is a worker of ours,
 * its refresh is cancelled, and tried again later.
 *
 * Waiting is read without locks: a process that is seen wrongly is asked about
 * again in the next round, or is not blocked by us.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "refresh/refresh_waiters.h"

/* Is one process, by its number, among those that another waits for? */
static bool
is_blocked_by(int waiter_pid, int pid)
{
	ArrayType  *blockers =
		DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids,
											   Int32GetDatum(waiter_pid)));
	int32	   *pids = (int32 *) ARR_DATA_PTR(blockers);
	int			npids = ArrayGetNItems(ARR_NDIM(blockers),
									   ARR_DIMS(blockers));
	bool		found = false;

	for (int i = 0; i < npids; i++)
		found |= pids[i] == pid;
	pfree(blockers);
	return found;
}

/* Does somebody wait for this worker for longer than allowed? */
static bool
is_in_the_way(const StewardRefreshSlot *slot, TimestampTz now)
{
	for (int i = 0; i < (int) ProcGlobal->allProcCount; i++)
	{
		PGPROC	   *proc = STEWARD_PROC_AT(i);
		int			pid = proc->pid;
		TimestampTz since;

		if (pid == 0 || pid == slot->pid ||
			proc->waitStatus != PROC_WAIT_STATUS_WAITING)
			continue;
		since = (TimestampTz) pg_atomic_read_u64(&proc->waitStart);
		if (since == 0 || now - since < slot->yield_after_ms * 1000)
			continue;
		if (is_blocked_by(pid, slot->pid))
			return true;
	}
	return false;
}

/*
 * Cancel refreshes that others wait for.  Only a refresh that is the same as
 * when it was looked at is cancelled: the lock keeps the worker from going on
 * to the next one.
 */
void
steward_waiters_watch(StewardRegistry *registry, TimestampTz now)
{
	for (int i = 0; i < STEWARD_MAX_REFRESH_WORKERS; i++)
	{
		StewardRefreshSlot slot;

		LWLockAcquire(registry->lock, LW_SHARED);
		slot = registry->slots[i];
		LWLockRelease(registry->lock);
		if (slot.state != STEWARD_SLOT_RUNNING || !slot.refreshing ||
			slot.yield_after_ms <= 0 || slot.gave_way ||
			now - slot.since < slot.yield_after_ms * 1000 ||
			!is_in_the_way(&slot, now))
			continue;

		LWLockAcquire(registry->lock, LW_EXCLUSIVE);
		if (registry->slots[i].generation == slot.generation &&
			registry->slots[i].refreshing &&
			registry->slots[i].since == slot.since)
		{
			registry->slots[i].gave_way = true;
			(void) kill(slot.pid, SIGINT);
		}
		LWLockRelease(registry->lock);
	}
}

/*
 * By how much the slowest standby is behind, in milliseconds; -1 if there is
 * none, or it is not known.
 */
int64
steward_replica_lag_ms(void)
{
	int64		lag = -1;

	for (int i = 0; i < max_wal_senders; i++)
	{
		WalSnd	   *sender = &WalSndCtl->walsnds[i];

		SpinLockAcquire(&sender->mutex);
		if (sender->pid != 0 && sender->state == WALSNDSTATE_STREAMING &&
			sender->applyLag > 0)
			lag = Max(lag, sender->applyLag / 1000);
		SpinLockRelease(&sender->mutex);
	}
	return lag;
}
