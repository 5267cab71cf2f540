/*-------------------------------------------------------------------------
 *
 * pool_event.c
 *	  Keeps changes of the pool's pressure in tables, and notifies.
 *
 * The launcher, which sees a change, is connected to no database.  It puts the
 * event into a small ring in shared memory and, one database after the other,
 * starts a worker that lives for some milliseconds: if the database has the
 * extension, the worker adds the event to steward.pool_event there, removes
 * old ones, and sends a notification if a channel is set.  Events are rare, so
 * that which databases have the extension is asked each time.
 *
 * All of this may fail without harm: the log has the event already.  If no
 * worker can be had, it is tried again for RETRY_MS.  On a standby nothing is
 * started.
 *
 * The worker becomes the owner of the table before it touches it, in a
 * security-restricted operation, so that nothing that hangs on the table runs
 * with more rights.  It waits for no lock longer than 100 ms.
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
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/launcher.h"
#include "base/shmem.h"
#include "pool/pool_event.h"

/* Events that wait at the same time; older ones are lost. */
#define MAX_EVENTS 8

/* Databases that are visited for an event, at most. */
#define MAX_DATABASES 200

/* How long a worker is tried to be had, and how often. */
#define RETRY_MS (10 * 60 * 1000L)
#define RETRY_STEP_MS 1000L

#define IDLE_MS 60000L

typedef struct PoolEvent
{
	TimestampTz at;
	StewardPressureNews news;
	StewardPressureLevel level;
	StewardPressureCause cause;
	int			used;
	int			usable;
	int64		refused;
	char		detail[4096];
} PoolEvent;

/* Shared, guarded by lock; written by the launcher. */
typedef struct EventRing
{
	LWLock	   *lock;
	uint64		next;			/* number of the next event */
	uint64		taken;			/* those before are being delivered, or were */
	PoolEvent	events[MAX_EVENTS];
} EventRing;

/* Shared; NULL unless preloaded. */
static EventRing *event_ring;

/* What a worker is told: events from first up to, not including, end. */
typedef struct WorkerOrder
{
	uint64		first;
	uint64		end;
} WorkerOrder;

/* What the launcher has to do; in its process only. */
static struct
{
	WorkerOrder order;			/* events that are being delivered */
	Oid			databases[MAX_DATABASES];
	int			ndatabases;
	int			visited;
	TimestampTz give_up_at;
	BackgroundWorkerHandle *worker;
}			delivery;

extern PGDLLEXPORT void pg_steward_pool_event_main(Datum arg);

static Size
ring_size(void)
{
	return sizeof(EventRing);
}

static void
ring_attach(void *area, LWLockPadded *locks, bool found)
{
	event_ring = area;
	if (found)
		return;
	memset(area, 0, sizeof(EventRing));
	event_ring->lock = &locks[0].lock;
}

static const StewardShmemArea ring_area = {
	.name = "pg_steward_pool_event",
	.nlocks = 1,
	.size = ring_size,
	.attach = ring_attach,
};

/*
 * Remember an event; it is delivered by the launcher's task.  Detail is cut to
 * 4 kB.
 */
void
steward_pool_event_add(StewardPool *pool, StewardPressureNews news,
					   const StewardPressureState *state,
					   const StewardPoolCount *count, int64 refused,
					   const char *detail)
{
	PoolEvent  *event;

	LWLockAcquire(event_ring->lock, LW_EXCLUSIVE);
	event = &event_ring->events[event_ring->next % MAX_EVENTS];
	event->at = count->at;
	event->news = news;
	event->level = state->level;
	event->cause = state->cause;
	event->used = count->used;
	event->usable = count->usable;
	event->refused = refused;
	strlcpy(event->detail, detail, sizeof(event->detail));
	event_ring->next++;
	LWLockRelease(event_ring->lock);
}

/* --- in the launcher ----------------------------------------------------- */

/*
 * Fill in the databases that can be connected to.  False if somebody has
 * locked their catalog; then the events are in the log only.
 */
static bool
list_databases(void)
{
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	delivery.ndatabases = delivery.visited = 0;

	StartTransactionCommand();
	if (!ConditionalLockRelationOid(DatabaseRelationId, AccessShareLock))
	{
		CommitTransactionCommand();
		return false;
	}
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, NoLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while (delivery.ndatabases < MAX_DATABASES &&
		   (tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

		if (database->datallowconn && !database->datistemplate &&
			database->datconnlimit != -2)
			delivery.databases[delivery.ndatabases++] = database->oid;
	}
	table_endscan(scan);
	table_close(relation, NoLock);
	CommitTransactionCommand();
	pgstat_report_activity(STATE_IDLE, NULL);
	return true;
}

/* Start the worker for the next database; false if there is no slot. */
static bool
start_worker(void)
{
	BackgroundWorker worker;
	MemoryContext context;
	bool		ok;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg =
		ObjectIdGetDatum(delivery.databases[delivery.visited]);
	strlcpy(worker.bgw_library_name, "pg_steward",
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pg_steward_pool_event_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pg_steward pool events", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "pg_steward pool events", sizeof(worker.bgw_type));
	memcpy(worker.bgw_extra, &delivery.order, sizeof(delivery.order));

	/* the handle has to outlive this run of the task */
	context = MemoryContextSwitchTo(TopMemoryContext);
	ok = RegisterDynamicBackgroundWorker(&worker, &delivery.worker);
	MemoryContextSwitchTo(context);
	if (!ok)
		delivery.worker = NULL;
	return ok;
}

/* Has the worker that was started ended, or is there none? */
static bool
worker_ended(void)
{
	pid_t		pid;

	if (delivery.worker == NULL)
		return true;
	if (GetBackgroundWorkerPid(delivery.worker, &pid) != BGWH_STOPPED)
		return false;
	pfree(delivery.worker);
	delivery.worker = NULL;
	delivery.visited++;
	return true;
}

/*
 * Take the events that are new as what is to be delivered, or, if not wanted,
 * forget them.  False if there are none.
 */
static bool
take_events(bool wanted)
{
	WorkerOrder *order = &delivery.order;

	LWLockAcquire(event_ring->lock, LW_EXCLUSIVE);
	order->first = event_ring->taken;
	order->end = event_ring->taken = event_ring->next;
	LWLockRelease(event_ring->lock);

	if (!wanted || order->first == order->end)
		return false;
	if (order->end - order->first > MAX_EVENTS)
		order->first = order->end - MAX_EVENTS;
	delivery.give_up_at = GetCurrentTimestamp() + RETRY_MS * INT64CONST(1000);
	return true;
}

/*
 * The task of the launcher: deliver events to one database after the other.
 * It is woken up when a worker has ended.
 */
static long
event_run(void)
{
	if (event_ring == NULL || !worker_ended())
		return IDLE_MS;

	if (RecoveryInProgress())
	{
		(void) take_events(false);	/* the log has them */
		return IDLE_MS;
	}
	if (delivery.visited >= delivery.ndatabases &&
		(!take_events(true) || !list_databases()))
		return IDLE_MS;
	if (delivery.visited < delivery.ndatabases && !start_worker())
	{
		if (GetCurrentTimestamp() < delivery.give_up_at)
			return RETRY_STEP_MS;
		delivery.visited = delivery.ndatabases;
	}
	return IDLE_MS;
}

static const StewardLauncherTask event_task = {
	.name = "pool events",
	.run = event_run,
};

/*
 * Register the ring and the task, after the sampler's.
 */
void
steward_pool_event_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	steward_shmem_register(&ring_area);
	steward_launcher_register(&event_task);
}

/* --- in the worker ------------------------------------------------------- */

/* The event as JSON, for a notification; palloc'd. */
static char *
event_json(const PoolEvent *event)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"event\": \"pool_pressure\", \"at\": \"%s\", \"news\": \"%s\", \"status\": \"%s\", \"cause\": \"%s\"",
					 timestamptz_to_str(event->at),
					 steward_pressure_news_name(event->news),
					 steward_pressure_level_name(event->level),
					 steward_pressure_cause_name(event->cause));
	appendStringInfo(&json, ", \"used\": %d, \"usable\": %d, \"utilisation_pct\": %.1f, \"refused\": " INT64_FORMAT "}",
					 event->used, event->usable,
					 steward_pressure_pct(event->used, event->usable),
					 event->refused);
	return json.data;
}

/* Run a statement of ours that returns nothing of interest. */
static void
run(const char *sql, int nargs, Oid *types, Datum *values)
{
	int			rc = SPI_execute_with_args(sql, nargs, types, values, NULL,
										   false, 0);

	if (rc < 0)
		elog(ERROR, "statement of pg_steward failed: %s",
			 SPI_result_code_string(rc));
}

/*
 * The detail as a value of type text, palloc'd.  Names in it come from catalogs
 * that all databases share, and from PgBouncer, so that they may not be in the
 * encoding of this database; then they lose their bytes outside of ASCII.
 */
static Datum
detail_datum(const char *detail)
{
	char	   *copy = pstrdup(detail);

	if (!pg_verify_mbstr(GetDatabaseEncoding(), copy, strlen(copy), true))
	{
		for (char *p = copy; *p != '\0'; p++)
		{
			if (IS_HIGHBIT_SET(*p))
				*p = '?';
		}
	}
	return CStringGetTextDatum(copy);
}

/* Add an event to the table, and notify. */
static void
keep_event(const PoolEvent *event)
{
	Oid			types[8] = {TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID,
	INT4OID, INT4OID, INT8OID, TEXTOID};
	Datum		values[8];
	Oid			notify_types[2] = {TEXTOID, TEXTOID};
	Datum		notify_values[2];

	values[0] = TimestampTzGetDatum(event->at);
	values[1] = CStringGetTextDatum(steward_pressure_news_name(event->news));
	values[2] = CStringGetTextDatum(steward_pressure_level_name(event->level));
	values[3] = CStringGetTextDatum(steward_pressure_cause_name(event->cause));
	values[4] = Int32GetDatum(event->used);
	values[5] = Int32GetDatum(event->usable);
	values[6] = Int64GetDatum(event->refused);
	values[7] = detail_datum(event->detail);
	run("INSERT INTO steward.pool_event"
		" (at, news, status, cause, used, usable, refused, detail)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", 8, types, values);

	if (steward_notify_channel != NULL && steward_notify_channel[0] != '\0')
	{
		notify_values[0] = CStringGetTextDatum(steward_notify_channel);
		notify_values[1] = CStringGetTextDatum(event_json(event));
		run("SELECT pg_catalog.pg_notify($1, $2)", 2, notify_types,
			notify_values);
	}
}

/*
 * Owner of the table if this database has it, else InvalidOid.  In a
 * transaction.
 */
static Oid
event_table_owner(void)
{
	Oid			schema = get_namespace_oid("steward", true);
	Oid			relid = OidIsValid(schema) ?
		get_relname_relid("pool_event", schema) : InvalidOid;
	HeapTuple	tuple;
	Oid			owner = InvalidOid;

	if (!OidIsValid(relid) ||
		!OidIsValid(get_extension_oid("pg_steward", true)))
		return InvalidOid;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/* Keep the events of an order, as the owner of the table. */
static void
keep_events(const WorkerOrder *order, Oid owner)
{
	Oid			user;
	int			context;
	Oid			types[1] = {INT4OID};
	Datum		values[1];

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_RESTRICTED_OPERATION);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	for (uint64 i = order->first; i < order->end; i++)
	{
		PoolEvent	event;

		LWLockAcquire(event_ring->lock, LW_SHARED);
		event = event_ring->events[i % MAX_EVENTS];
		LWLockRelease(event_ring->lock);
		keep_event(&event);
	}
	values[0] = Int32GetDatum(steward_pool_event_retention);
	run("DELETE FROM steward.pool_event"
		" WHERE at < pg_catalog.now() - pg_catalog.make_interval(days => $1)",
		1, types, values);
	PopActiveSnapshot();
	SPI_finish();
	SetUserIdAndSecContext(user, context);
}

/*
 * Entry point of the worker; arg is the database's OID.
 */
void
pg_steward_pool_event_main(Datum arg)
{
	WorkerOrder order;
	Oid			owner;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg),
											  InvalidOid, 0);

	SetConfigOption("lock_timeout", "100", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET,
					PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET,
					PGC_S_OVERRIDE);

	StartTransactionCommand();
	owner = event_table_owner();
	if (OidIsValid(owner))
		keep_events(&order, owner);
	CommitTransactionCommand();
	pgstat_report_stat(true);
	proc_exit(0);
}
