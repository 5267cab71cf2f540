/*-------------------------------------------------------------------------
 *
 * refresh_launcher.c
 *	  The launcher's part in refreshing materialized views.
 *
 * A task of the launcher.  Once a second, and whenever somebody wakes it up:
 *
 * - It keeps a list of the databases.  A new one is visited by a worker, one
 *   database at a time, to see whether it has policies.
 * - It decides from the registry which views are due (refresh_plan.c).  Views
 *   that are fresh cost nothing but this.
 * - It starts a worker for the database that waits for longest, as long as
 *   there are less than pg_steward.max_refresh_workers.  There is never more
 *   than one in a database.  If the pool of connections is under pressure, or
 *   a standby is behind, there is one in the server, and what can wait waits.
 * - It cancels refreshes that users wait for (refresh_waiters.c).
 *
 * On a standby it waits for the promotion.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/launcher.h"
#include "base/machine.h"
#include "base/pressure_level.h"
#include "refresh/refresh_launcher.h"
#include "refresh/refresh_plan.h"
#include "refresh/refresh_registry.h"
#include "refresh/refresh_slots.h"
#include "refresh/refresh_waiters.h"

/* Until the next look: with nothing to watch, with policies, with workers. */
#define IDLE_MS 60000L
#define TICK_MS 1000L
#define WATCH_MS 200L

/* Views that become due within so long are decided together. */
#define GATHER_MS 100L

/* The list of databases is read again after so long, in any case. */
#define LIST_MS 60000

/* The wall clock was set, if it is so far from the other one. */
#define JUMP_US (60 * USECS_PER_SEC)

/* A server without room for workers is asked again after so long, at most. */
#define MAX_FULL_MS 4000

/* State of this process. */
static struct
{
	int64		listed_ms;		/* when the databases were listed; 0: never */
	int64		wall_offset_us; /* wall clock minus monotonic clock; 0: none */
	int64		full_ms;		/* no room for a worker: ask again after this */
	int64		full_delay_ms;
	int			full_count;
}			state;

/* --- databases ------------------------------------------------------------ */

/* Mark a database as listed, and add it if it is new; lock held. */
static void
list_database(StewardRegistry *registry, Oid database)
{
	StewardRefreshDatabase *entry = steward_registry_database(registry,
															  database);

	if (entry == NULL)
	{
		if (registry->ndatabases >= STEWARD_MAX_REFRESH_DATABASES)
			return;
		entry = &registry->databases[registry->ndatabases++];
		memset(entry, 0, sizeof(*entry));
		entry->database = database;
		entry->first_view = registry->nviews;
		entry->first_upstream = registry->nupstreams;
	}
	entry->listed = true;
}

/* Collect the databases that can be connected to in an array of List type. */
static void
read_databases(void *arg)
{
	List	  **databases = arg;
	MemoryContext context = CurrentMemoryContext;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (database->datallowconn && !database->datistemplate &&
			database->datconnlimit != -2)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			*databases = lappend_oid(*databases, database->oid);
			MemoryContextSwitchTo(old);
		}
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
}

/* Bring the registry's list of databases up to date. */
static void
list_databases(StewardRegistry *registry)
{
	List	   *databases = NIL;
	ListCell   *cell;

	if (!steward_launcher_read_catalogs(read_databases, &databases))
	{
		/* somebody has locked the catalog: try again */
		pg_atomic_write_u32(&registry->flag_list, 1);
		return;
	}
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	for (int i = 0; i < registry->ndatabases; i++)
		registry->databases[i].listed = false;
	foreach(cell, databases)
	{
		list_database(registry, lfirst_oid(cell));
	}
	for (int i = registry->ndatabases - 1; i >= 0; i--)
		if (!registry->databases[i].listed)
			steward_registry_forget(registry, &registry->databases[i]);
	LWLockRelease(registry->lock);
}

/* Have a database loaded again, or all; lock held. */
static void
reload_databases(StewardRegistry *registry, Oid database, bool all)
{
	for (int i = 0; i < registry->ndatabases; i++)
	{
		StewardRefreshDatabase *entry = &registry->databases[i];
		StewardRefreshSlot *slot;

		if (!all && entry->database != database)
			continue;
		entry->reload = true;
		entry->failures = 0;
		entry->retry_at = 0;
		slot = steward_slot_of(registry, entry->database);
		if (slot != NULL && slot->latch != NULL)
			SetLatch(slot->latch);
	}
}

/* Take the flags that were raised, and read the list if it is time to. */
static void
take_flags(StewardRegistry *registry, int64 now_ms)
{
	bool		all = pg_atomic_exchange_u32(&registry->flag_all, 0) != 0;

	if (pg_atomic_exchange_u32(&registry->flag_list, 0) != 0 ||
		state.listed_ms == 0 || now_ms - state.listed_ms >= LIST_MS)
	{
		list_databases(registry);
		state.listed_ms = now_ms;
	}
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	for (int i = 0; i < STEWARD_REFRESH_FLAGS; i++)
	{
		Oid			database = pg_atomic_exchange_u32(&registry->flags[i],
													  InvalidOid);

		if (!OidIsValid(database))
			continue;
		if (steward_registry_database(registry, database) == NULL)
			pg_atomic_write_u32(&registry->flag_list, 1);
		reload_databases(registry, database, false);
	}
	if (all)
		reload_databases(registry, InvalidOid, true);
	LWLockRelease(registry->lock);
}

/* --- what is due ---------------------------------------------------------- */

/* Has the wall clock been set?  Then all times in the registry move with it. */
static void
follow_clock(StewardRegistry *registry, TimestampTz now, int64 now_ms)
{
	int64		offset = now - now_ms * 1000;
	int64		jump = offset - state.wall_offset_us;

	if (state.wall_offset_us != 0 && (jump > JUMP_US || jump < -JUMP_US))
	{
		ereport(LOG,
				(errmsg("the clock was set by " INT64_FORMAT " s: times of refreshes are decided anew",
						jump / USECS_PER_SEC)));
		LWLockAcquire(registry->lock, LW_EXCLUSIVE);
		steward_plan_shift(registry, jump);
		LWLockRelease(registry->lock);
	}
	state.wall_offset_us = offset;
}

/* How much work is to be put off: 0 none, see pressure_level.h. */
static int
pressure_level(void)
{
	int			level = steward_pressure_level_get();

	if (steward_refresh_replica_lag_limit > 0 && level == 0 &&
		steward_replica_lag_ms() >
		steward_refresh_replica_lag_limit * INT64CONST(1000))
		level = 1;
	return level;
}

/* Decide what is due in all databases. */
static void
decide(StewardRegistry *registry, TimestampTz now, int pressure)
{
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	for (int i = 0; i < registry->ndatabases; i++)
		if (registry->databases[i].nviews > 0)
			steward_plan_decide(registry, &registry->databases[i], now,
								pressure);
	LWLockRelease(registry->lock);
}

/* --- workers ------------------------------------------------------------- */

/*
 * The database that waits for a worker for longest, InvalidOid if none does;
 * those that wait are counted.  Databases that nobody has looked at come last
 * and one at a time.  Workers that are idle in their database are woken up.
 */
static Oid
choose_database(StewardRegistry *registry, TimestampTz now)
{
	Oid			best = InvalidOid;
	TimestampTz best_since = DT_NOEND;
	Oid			unseen = InvalidOid;
	bool		looking = false;

	registry->nwaiting = 0;
	for (int i = 0; i < registry->ndatabases; i++)
	{
		StewardRefreshDatabase *entry = &registry->databases[i];
		StewardRefreshSlot *slot = steward_slot_of(registry, entry->database);
		TimestampTz since;

		if (slot != NULL && entry->state == STEWARD_DATABASE_NEW)
			looking = true;
		if (slot == NULL && (entry->retry_at > now ||
							 steward_registry_is_held(registry,
													  entry->database, now)))
			continue;
		if (entry->state == STEWARD_DATABASE_NEW && !entry->reload)
		{
			if (slot == NULL)
				unseen = entry->database;
			continue;
		}
		since = steward_plan_work_since(registry, entry, now);
		if (since == DT_NOEND)
			continue;
		if (slot != NULL)
		{
			if (slot->latch != NULL && !slot->refreshing)
				SetLatch(slot->latch);
			continue;
		}
		registry->nwaiting++;
		if (since < best_since)
		{
			best_since = since;
			best = entry->database;
		}
	}
	if (OidIsValid(unseen))
		registry->nwaiting++;	/* workers that only wait are to make room */
	if (!OidIsValid(best) && !looking)
		best = unseen;
	return best;
}

/* No room for a worker: try again later, and say so from time to time. */
static void
note_full(int64 now_ms)
{
	state.full_delay_ms = Min(Max(state.full_delay_ms * 2, TICK_MS),
							  MAX_FULL_MS);
	state.full_ms = now_ms + state.full_delay_ms;
	state.full_count++;
	/* a line for each doubling of the time */
	if ((state.full_count & (state.full_count - 1)) == 0)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("there is no room for a worker that refreshes materialized views"),
				 errhint("Consider increasing \"max_worker_processes\", which is %d.",
						 max_worker_processes)));
}

/* Start workers for databases that wait for one. */
static void
dispatch(StewardRegistry *registry, TimestampTz now, int64 now_ms,
		 int pressure)
{
	int			limit = Min(steward_max_refresh_workers,
							pressure > 0 ? 1 : STEWARD_MAX_REFRESH_WORKERS);

	if (now_ms < state.full_ms)
		return;
	for (;;)
	{
		Oid			database;
		int			used;

		LWLockAcquire(registry->lock, LW_EXCLUSIVE);
		used = steward_slots_used(registry);
		database = choose_database(registry, now);
		LWLockRelease(registry->lock);
		if (!OidIsValid(database) || used >= limit)
			return;
		if (!steward_slot_start(registry, database))
		{
			note_full(now_ms);
			return;
		}
		state.full_count = 0;
		state.full_delay_ms = 0;
	}
}

/*
 * When to look again, in milliseconds: soon enough for changes to be noticed,
 * and when the next view is due.  Each look is at all views, so there are not
 * as many looks as views with times of their own.
 */
static long
next_look(StewardRegistry *registry)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = DT_NOEND;
	long		wait = IDLE_MS;

	LWLockAcquire(registry->lock, LW_SHARED);
	for (int i = 0; i < registry->nviews; i++)
		if (registry->views[i].next_due > now)
			next = Min(next, registry->views[i].next_due);
	if (registry->nviews > 0 || registry->nwaiting > 0)
		wait = TICK_MS;
	for (int i = 0; i < registry->ndatabases && wait > TICK_MS; i++)
		if (registry->databases[i].state == STEWARD_DATABASE_NEW ||
			registry->databases[i].reload)
			wait = TICK_MS;
	for (int i = 0; i < STEWARD_MAX_REFRESH_WORKERS; i++)
		if (registry->slots[i].state != STEWARD_SLOT_FREE)
			wait = WATCH_MS;
	LWLockRelease(registry->lock);
	if (pg_atomic_read_u32(&registry->flag_list) != 0)
		wait = Min(wait, TICK_MS);
	return Min(wait, Max(TimestampDifferenceMilliseconds(now, next) + 1,
						 GATHER_MS));
}

/* The task. */
static long
refresh_run(void)
{
	StewardRegistry *registry = steward_registry();
	TimestampTz now;
	int64		now_ms;
	int			pressure;

	if (registry == NULL)
		return IDLE_MS;
	if (RecoveryInProgress())
	{
		/* what a server did that is not this one does not count as a crash */
		registry->clean_start = true;
		return TICK_MS;
	}
	now = GetCurrentTimestamp();
	now_ms = steward_monotonic_ms();

	steward_slots_reap(registry);
	steward_waiters_watch(registry, now);
	if (steward_max_refresh_workers == 0)
		return next_look(registry);
	take_flags(registry, now_ms);
	follow_clock(registry, now, now_ms);
	pressure = pressure_level();
	decide(registry, now, pressure);
	dispatch(registry, now, now_ms, pressure);
	return next_look(registry);
}

static const StewardLauncherTask refresh_task = {
	.name = "refresh",
	.run = refresh_run,
};

/* Register the task, while the library is being preloaded. */
void
steward_refresh_launcher_init(void)
{
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		steward_launcher_register(&refresh_task);
}
