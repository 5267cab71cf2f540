/*-------------------------------------------------------------------------
 *
 * refresh_holds.c
 *	  Keeps refresh workers out of a database for DDL that must be alone in it.
 *
 * DROP DATABASE and its relatives fail after five seconds if somebody else is
 * connected.  Before they look, the session that runs one puts a hold on the
 * database: no worker is started in it, one that is starting turns back, and
 * one that is there is told to end.  The hold ends with the transaction, which
 * has the database locked as long; or by itself after HOLD_SECONDS, if that
 * takes so long, or the session dies in between.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "refresh/refresh_registry.h"
#include "refresh/refresh_shared.h"

#define HOLD_SECONDS 60

/* How long the end of a worker is awaited, and how often it is looked for. */
#define WAIT_MS 2000
#define STEP_MS 10

/* Is the database held?  The caller holds the lock. */
bool
steward_registry_is_held(StewardRegistry *registry, Oid database,
						 TimestampTz now)
{
	for (int i = 0; i < STEWARD_REFRESH_HOLDS; i++)
	{
		StewardRefreshHold *hold = &registry->holds[i];

		if (hold->database == database && now < hold->until)
			return true;
	}
	return false;
}

/* Put a hold on the database, if there is room; the lock is held. */
static void
add_hold(StewardRegistry *registry, Oid database)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < STEWARD_REFRESH_HOLDS; i++)
	{
		StewardRefreshHold *hold = &registry->holds[i];

		if (!OidIsValid(hold->database) || now >= hold->until)
		{
			hold->database = database;
			hold->pid = MyProcPid;
			hold->until = now + HOLD_SECONDS * USECS_PER_SEC;
			return;
		}
	}
}

/*
 * Is a worker in the database, or on its way into it?  If wanted, it is told to
 * end.
 */
static bool
end_workers(StewardRegistry *registry, Oid database, bool tell)
{
	bool		found = false;

	LWLockAcquire(registry->lock, LW_SHARED);
	for (int i = 0; i < STEWARD_MAX_REFRESH_WORKERS; i++)
	{
		StewardRefreshSlot *slot = &registry->slots[i];

		if (slot->state == STEWARD_SLOT_FREE || slot->database != database)
			continue;
		found = true;
		if (tell && slot->pid != 0)
			(void) kill(slot->pid, SIGTERM);
	}
	LWLockRelease(registry->lock);
	return found;
}

/*
 * Have workers in a database end, without waiting for that.  No error and no
 * memory: may be called while a transaction commits.
 */
void
steward_registry_end_workers(Oid database)
{
	if (steward_registry() != NULL)
		(void) end_workers(steward_registry(), database, true);
}

/*
 * Put a hold on a database until steward_registry_release(), and wait until
 * our workers have left it, but not longer than WAIT_MS: the statement itself
 * waits for sessions, too.
 */
void
steward_registry_hold(Oid database)
{
	StewardRegistry *registry = steward_registry();

	if (registry == NULL)
		return;
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	add_hold(registry, database);
	LWLockRelease(registry->lock);

	for (int waited = 0; waited < WAIT_MS; waited += STEP_MS)
	{
		/* a signal may get lost in a worker that is just starting */
		if (!end_workers(registry, database, waited % 200 == 0))
			break;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 STEP_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* End the holds of this session. */
void
steward_registry_release(void)
{
	StewardRegistry *registry = steward_registry();
	bool		released = false;

	if (registry == NULL)
		return;
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	for (int i = 0; i < STEWARD_REFRESH_HOLDS; i++)
	{
		StewardRefreshHold *hold = &registry->holds[i];

		if (OidIsValid(hold->database) && hold->pid == MyProcPid)
		{
			hold->database = InvalidOid;
			released = true;
		}
	}
	LWLockRelease(registry->lock);
	if (released)
		steward_registry_flag_list();
}
