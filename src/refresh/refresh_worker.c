/*-------------------------------------------------------------------------
 *
 * refresh_worker.c
 *	  A background worker that refreshes materialized views of one database.
 *
 * Started by the launcher when there is something to do in a database, it
 * takes views that are due from the registry, refreshes them one by one, and
 * ends when nothing was due for IDLE_MS, or at once if another database waits
 * for a worker.
 *
 * It is connected as the bootstrap superuser, but a view is refreshed with the
 * rights of its owner.  Settings are those of the database, except the ones
 * that would make it fail or wait; the same as autovacuum sets.  TimeZone,
 * DateStyle and others on which results depend are left as the server and the
 * database have them: a view is to show what its users would see.  They are
 * the same for all workers of a database, and freshness.c compares them with
 * those of the latest refresh, so a change of ALTER DATABASE ... SET is seen.
 *
 * SIGTERM ends it at any moment; whoever comes next finds out from the registry
 * that it was no crash.  SIGINT cancels a refresh.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/sinval.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/guc.h"
#include "refresh/refresh_load.h"
#include "refresh/refresh_plan.h"
#include "refresh/refresh_registry.h"
#include "refresh/refresh_slots.h"
#include "refresh/refresh_step.h"

/* How long a worker waits for more to do, and how often it looks. */
#define IDLE_MS 5000
#define LOOK_MS 1000

/* After so long it makes room for another database, even if more is due. */
#define TURN_US (5 * USECS_PER_SEC)

/*
 * Where a refresh and a user wait for each other, who looks first gives way:
 * that is to be the refresh.
 */
#define DEADLOCK_MS "10"

extern PGDLLEXPORT void pg_steward_refresh_worker_main(Datum arg);

static void
override(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

/* Settings that must not come from the server, the database or a role. */
static void
pin_settings(void)
{
	override("search_path", "pg_catalog, pg_temp");
	override("zero_damaged_pages", "false");
	override("default_transaction_isolation", "read committed");
	override("default_transaction_read_only", "false");
	override("default_transaction_deferrable", "false");
	override("session_replication_role", "origin");
	override("row_security", "on");
	override("synchronous_commit", "local");
	override("stats_fetch_consistency", "none");
	pgstat_report_appname("pg_steward refresh worker");
}

/* How long the worker waits for a lock; may change while it runs. */
static void
set_lock_timeout(void)
{
	char		value[16];

	snprintf(value, sizeof(value), "%d", steward_refresh_lock_timeout);
	override("lock_timeout", value);
}

/*
 * Set limits of time.  They are set before the process connects, since that is
 * a transaction already, which transaction_timeout could end, and may wait for
 * somebody who renames the database.
 */
static void
pin_timeouts(void)
{
	override("statement_timeout", "0");
	override("idle_in_transaction_session_timeout", "0");
	STEWARD_NO_TRANSACTION_TIMEOUT();
	override("deadlock_timeout", DEADLOCK_MS);
	set_lock_timeout();
}

/*
 * Does this database have the extension, in the version of this library?  A
 * session that has another one updates it, or the server has to be restarted.
 */
static bool
has_extension(void)
{
	Relation	relation;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum("pg_steward"));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		version = heap_getattr(tuple,
										   Anum_pg_extension_extversion,
										   RelationGetDescr(relation),
										   &isnull);

		found = !isnull && strcmp(TextDatumGetCString(version),
								  PG_STEWARD_VERSION) == 0;
		if (!found)
			ereport(LOG,
					(errmsg("materialized views of database %u are not refreshed, because extension \"pg_steward\" there is of another version than the library",
							MyDatabaseId),
					 errhint("Restart the server, or run ALTER EXTENSION pg_steward UPDATE in that database.")));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	return found;
}

/* React to signals; does not return if the process has to end. */
static void
handle_signals(void)
{
	QueryCancelPending = false; /* there is no refresh */
	if (ProcDiePending)
		proc_exit(0);			/* nothing is lost, nothing to be said */
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		set_lock_timeout();
	}
	ProcessCatchupInterrupt();
}

/* When this process got into the database. */
static TimestampTz started;

/* What the worker is to do next. */
typedef enum NextStep
{
	STEP_LOAD,
	STEP_REFRESH,
	STEP_WAIT,
	STEP_END
} NextStep;

/* Decide; a view that is to be refreshed is taken. */
static NextStep
next_step(StewardRegistry *registry, StewardRefreshView *view,
		  bool *has_policy)
{
	StewardRefreshDatabase *entry;
	StewardRefreshSlot *slot = steward_slot_mine();
	TimestampTz now = GetCurrentTimestamp();
	NextStep	step = STEP_END;
	bool		leave;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	entry = steward_registry_database(registry, MyDatabaseId);
	leave = entry == NULL ||
		steward_registry_is_held(registry, MyDatabaseId, now) ||
		(registry->nwaiting > 0 && now - started > TURN_US);
	if (!leave && (entry->reload || entry->state != STEWARD_DATABASE_ACTIVE))
		step = STEP_LOAD;
	else if (!leave && steward_max_refresh_workers > 0 &&
			 steward_plan_take(registry, MyDatabaseId, view, has_policy))
	{
		slot->view = view->view;
		step = STEP_REFRESH;
	}
	else if (!leave && registry->nwaiting == 0 && entry->nviews > 0 &&
			 steward_max_refresh_workers > 0)
		step = STEP_WAIT;
	LWLockRelease(registry->lock);
	return step;
}

/*
 * Load the policies; false if the database does not have the extension.
 */
static bool
load(StewardRegistry *registry)
{
	StewardRefreshDatabase *entry;

	pgstat_report_activity(STATE_RUNNING, "pg_steward: loading policies");
	if (!has_extension())
	{
		LWLockAcquire(registry->lock, LW_EXCLUSIVE);
		entry = steward_registry_database(registry, MyDatabaseId);
		if (entry != NULL)
			entry->reload = false;
		steward_registry_absent(registry, MyDatabaseId);
		LWLockRelease(registry->lock);
		return false;
	}
	steward_refresh_load(registry);
	return true;
}

/* The worker got in, and knows what there is to do. */
static void
note_success(StewardRegistry *registry)
{
	StewardRefreshDatabase *entry;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	steward_slot_mine()->loaded = true;
	entry = steward_registry_database(registry, MyDatabaseId);
	if (entry != NULL)
	{
		entry->failures = 0;
		entry->retry_at = 0;
	}
	LWLockRelease(registry->lock);
}

/* Do what there is to do, until nothing is left. */
static void
work(StewardRegistry *registry)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "pg_steward refresh",
												  ALLOCSET_DEFAULT_SIZES);
	int			idle_ms = 0;

	while (idle_ms < IDLE_MS)
	{
		StewardRefreshView view;
		bool		has_policy = false;
		NextStep	step;

		handle_signals();
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		step = next_step(registry, &view, &has_policy);
		if (step == STEP_END || (step == STEP_LOAD && !load(registry)))
			break;
		note_success(registry);
		if (step == STEP_REFRESH)
			steward_refresh_step(registry, &view, has_policy);
		if (step != STEP_WAIT)
		{
			pgstat_report_stat(true);
			pgstat_report_activity(STATE_IDLE, NULL);
			idle_ms = 0;
			continue;
		}
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOOK_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		idle_ms += LOOK_MS;
	}
	/* whatever is left, it was not for want of getting in */
	note_success(registry);
}

/*
 * Entry point of the process; arg is the database's OID.
 */
void
pg_steward_refresh_worker_main(Datum arg)
{
	StewardRegistry *registry = steward_registry();
	StewardSlotOrder order;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, StatementCancelHandler);
	BackgroundWorkerUnblockSignals();

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	if (registry == NULL || steward_slot_claim(registry, &order) == NULL)
		proc_exit(0);
	pin_timeouts();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg),
											  InvalidOid, 0);
	pin_settings();
	started = GetCurrentTimestamp();
	work(registry);
	pgstat_report_stat(true);
	proc_exit(0);
}
