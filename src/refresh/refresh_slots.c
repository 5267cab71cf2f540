/*-------------------------------------------------------------------------
 *
 * refresh_slots.c
 *	  Starting refresh workers, and knowing what they do.
 *
 * The launcher gives a slot of the registry to a database and has the
 * postmaster start a worker, which claims the slot and gives it back when it
 * ends, in whatever way short of a crash; a crash takes the registry along.
 * So it does not matter if the launcher ends in between.  A generation number
 * tells a worker that came too late that its slot is somebody else's.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/launcher.h"
#include "refresh/refresh_slots.h"

/* A worker that was started by a launcher that is gone, and did not come. */
#define LOST_US (10 * USECS_PER_SEC)

/* A database that nobody gets into is tried again after so long, at most. */
#define MAX_RETRY_SECONDS 60

/* Handles of workers that this launcher has started. */
static BackgroundWorkerHandle *handles[STEWARD_MAX_REFRESH_WORKERS];

/* The slot of this worker. */
static StewardRefreshSlot *my_slot;

/* Slots in use; the caller holds the lock. */
int
steward_slots_used(StewardRegistry *registry)
{
	int			used = 0;

	for (int i = 0; i < STEWARD_MAX_REFRESH_WORKERS; i++)
		used += registry->slots[i].state != STEWARD_SLOT_FREE;
	return used;
}

/* The slot that serves a database, or NULL; the caller holds the lock. */
StewardRefreshSlot *
steward_slot_of(StewardRegistry *registry, Oid database)
{
	for (int i = 0; i < STEWARD_MAX_REFRESH_WORKERS; i++)
		if (registry->slots[i].state != STEWARD_SLOT_FREE &&
			registry->slots[i].database == database)
			return &registry->slots[i];
	return NULL;
}

/* Take a free slot for a database; -1 if there is none. */
static int
take_slot(StewardRegistry *registry, Oid database, uint32 *generation)
{
	int			number = -1;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	for (int i = 0; i < STEWARD_MAX_REFRESH_WORKERS && number < 0; i++)
	{
		StewardRefreshSlot *slot = &registry->slots[i];

		if (slot->state != STEWARD_SLOT_FREE)
			continue;
		number = i;
		*generation = slot->generation + 1;
		memset(slot, 0, sizeof(*slot));
		slot->generation = *generation;
		slot->state = STEWARD_SLOT_STARTING;
		slot->database = database;
		slot->since = GetCurrentTimestamp();
	}
	LWLockRelease(registry->lock);
	return number;
}

/*
 * Start a worker for a database.  False if the server has no room for another
 * background worker.
 */
bool
steward_slot_start(StewardRegistry *registry, Oid database)
{
	StewardSlotOrder order = {0};
	BackgroundWorker worker;
	MemoryContext context;
	bool		ok;

	order.slot = take_slot(registry, database, &order.generation);
	if (order.slot < 0)
		return false;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	strlcpy(worker.bgw_library_name, "pg_steward",
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pg_steward_refresh_worker_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pg_steward refresh worker",
			sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "pg_steward refresh worker",
			sizeof(worker.bgw_type));
	memcpy(worker.bgw_extra, &order, sizeof(order));

	if (handles[order.slot] != NULL)
		pfree(handles[order.slot]);
	handles[order.slot] = NULL;
	/* the handle has to outlive this run of the task */
	context = MemoryContextSwitchTo(TopMemoryContext);
	ok = RegisterDynamicBackgroundWorker(&worker, &handles[order.slot]);
	MemoryContextSwitchTo(context);
	if (!ok)
	{
		handles[order.slot] = NULL;
		LWLockAcquire(registry->lock, LW_EXCLUSIVE);
		registry->slots[order.slot].state = STEWARD_SLOT_FREE;
		LWLockRelease(registry->lock);
	}
	return ok;
}

/* Nobody gets into this database at present: wait before the next try. */
static void
note_failure(StewardRegistry *registry, Oid database)
{
	StewardRefreshDatabase *entry = steward_registry_database(registry,
															  database);

	if (entry == NULL)
		return;
	entry->failures = Min(entry->failures + 1, 7);
	entry->retry_at = GetCurrentTimestamp() +
		Min(1 << (entry->failures - 1), MAX_RETRY_SECONDS) * USECS_PER_SEC;
}

/*
 * Free slots of workers that never came: the postmaster could not fork, or
 * the library could not be loaded.
 */
void
steward_slots_reap(StewardRegistry *registry)
{
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	for (int i = 0; i < STEWARD_MAX_REFRESH_WORKERS; i++)
	{
		StewardRefreshSlot *slot = &registry->slots[i];
		bool		ended = false;
		pid_t		pid;

		if (handles[i] != NULL &&
			GetBackgroundWorkerPid(handles[i], &pid) == BGWH_STOPPED)
		{
			pfree(handles[i]);
			handles[i] = NULL;
			ended = true;
		}
		if (slot->state == STEWARD_SLOT_STARTING &&
			(ended || (handles[i] == NULL && slot->since < now - LOST_US)))
		{
			note_failure(registry, slot->database);
			slot->state = STEWARD_SLOT_FREE;
		}
	}
	LWLockRelease(registry->lock);
}

/* --- in the worker ------------------------------------------------------- */

/* Give the slot back; a before_shmem_exit callback. */
static void
slot_exit(int code, Datum arg)
{
	StewardRegistry *registry = steward_registry();
	StewardRefreshDatabase *entry;
	StewardRefreshView *view;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	entry = steward_registry_database(registry, my_slot->database);
	view = OidIsValid(my_slot->view) ?
		steward_registry_view(registry, my_slot->database, my_slot->view) :
		NULL;
	if (view != NULL && view->running)
	{
		view->running = false;
		view->interrupted = true;
		if (entry != NULL)
			entry->reload = true;
	}
	/* what it was to load has still to be loaded, but not at once */
	if (my_slot->loading && entry != NULL)
		entry->reload = true;
	if (!my_slot->loaded || my_slot->loading)
		note_failure(registry, my_slot->database);
	my_slot->state = STEWARD_SLOT_FREE;
	my_slot->pid = 0;
	my_slot->latch = NULL;
	LWLockRelease(registry->lock);
	steward_launcher_wake();
}

/*
 * Claim the slot that this worker was started for; it is given back when the
 * process ends.  NULL if it is not to do anything after all.
 */
StewardRefreshSlot *
steward_slot_claim(StewardRegistry *registry, const StewardSlotOrder *order)
{
	StewardRefreshSlot *slot = &registry->slots[order->slot];
	bool		held;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	if (slot->state != STEWARD_SLOT_STARTING ||
		slot->generation != order->generation)
	{
		LWLockRelease(registry->lock);
		return NULL;
	}
	slot->state = STEWARD_SLOT_RUNNING;
	slot->pid = MyProcPid;
	slot->latch = MyLatch;
	held = steward_registry_is_held(registry, slot->database,
									GetCurrentTimestamp());
	/* then it was not tried to get in */
	slot->loaded = held;
	my_slot = slot;
	LWLockRelease(registry->lock);
	before_shmem_exit(slot_exit, (Datum) 0);
	return held ? NULL : slot;
}

/* The slot of this worker. */
StewardRefreshSlot *
steward_slot_mine(void)
{
	return my_slot;
}
