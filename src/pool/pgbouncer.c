/*-------------------------------------------------------------------------
 *
 * pgbouncer.c
 *	  The process that asks PgBouncer how its clients fare.
 *
 * A background worker of its own, started with the server, also on a standby.
 * It has shared memory and nothing else: no database, and no slot for the
 * signals by which backends wait for each other, so that whatever it is held
 * up by, nobody waits for it.  It is not in pg_stat_activity, either.  Without
 * a console to ask it sleeps.
 *
 * Each console has a connection that never blocks (pgbouncer_client.c); the
 * loop waits for all of them at the same time.  When the list of consoles
 * changes, all start anew.
 *
 * The client library has one computation of which the other side says how long
 * it is, the proof that one knows a password.  There is a timer for this: if
 * it takes longer than a second, it ends the process, and the postmaster starts
 * another after RESTART_SECONDS.  What is interrupted is lost with the process.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/conninfo.h"
#include "base/guc.h"
#include "base/machine.h"
#include "pool/pgbouncer.h"
#include "pool/pgbouncer_client.h"

#define RESTART_SECONDS 5

/* What this process has; in no other. */
static struct
{
	StewardConsoleClient clients[STEWARD_MAX_CONSOLES];
	int			nclients;
	char	   *conninfos;		/* the setting that they were made of */
	TimeoutId	guard;
}			poller;

extern PGDLLEXPORT void pg_steward_pgbouncer_main(Datum arg);

/*
 * Ask the postmaster for the process.  Does nothing unless the library is
 * being preloaded.
 */
void
steward_pgbouncer_init(void)
{
	BackgroundWorker worker;

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	steward_pgbouncer_store_init();

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_library_name, "pg_steward",
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pg_steward_pgbouncer_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pg_steward pgbouncer", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "pg_steward pgbouncer", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

/* A before_shmem_exit callback: children are ended, others told. */
static void
poller_exit(int code, Datum arg)
{
	LWLockReleaseAll();			/* an error may have left it to us */
	for (int i = 0; i < poller.nclients; i++)
		steward_client_abandon(&poller.clients[i]);
}

/*
 * The timer: somebody makes us compute for too long.  This is a signal
 * handler, and ends the process as the server's own handler for SIGTERM in
 * background workers does.
 */
static void
give_up(void)
{
	proc_exit(1);
}

/*
 * Have a client for each connection string of the setting.  What is known of
 * the consoles is forgotten, unless a process before us has asked the same.
 */
static void
open_clients(const char *setting)
{
	StewardBouncers *bouncers = steward_bouncers();
	uint32		hash = DatumGetUInt32(hash_any((const unsigned char *) setting,
											   strlen(setting)));
	const char *list = setting;
	char	   *conninfo;
	int			n = 0;

	for (int i = 0; i < poller.nclients; i++)
		steward_client_close(&poller.clients[i]);
	poller.nclients = 0;

	LWLockAcquire(bouncers->lock, LW_EXCLUSIVE);
	if (hash != bouncers->setting_hash)
		memset(bouncers->consoles, 0, sizeof(bouncers->consoles));
	bouncers->setting_hash = hash;
	LWLockRelease(bouncers->lock);

	while (n < STEWARD_MAX_CONSOLES &&
		   (conninfo = steward_conninfo_next(&list)) != NULL)
	{
		steward_client_open(&poller.clients[n], n, conninfo, poller.guard);
		poller.nclients = ++n;
		pfree(conninfo);
	}

	LWLockAcquire(bouncers->lock, LW_EXCLUSIVE);
	bouncers->nconsoles = n;
	LWLockRelease(bouncers->lock);
}

/* Take over the setting, if it has changed. */
static void
follow_setting(void)
{
	const char *setting = steward_pgbouncer_conninfo ?
		steward_pgbouncer_conninfo : "";

	if (poller.conninfos != NULL && strcmp(poller.conninfos, setting) == 0)
		return;
	open_clients(setting);
	if (poller.conninfos != NULL)
		pfree(poller.conninfos);
	poller.conninfos = MemoryContextStrdup(TopMemoryContext, setting);
}

/* React to signals; does not return if the process has to end. */
static void
handle_signals(void)
{
	CHECK_FOR_INTERRUPTS();
	if (ShutdownRequestPending)
		proc_exit(1);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/*
 * Wait until something happens to one of the clients, or is due; then tell
 * them.  Also returns for signals.
 */
static void
wait_for_clients(void)
{
	WaitEventSet *set = STEWARD_CREATE_WAIT_SET(STEWARD_MAX_CONSOLES + 2);
	WaitEvent	occurred[STEWARD_MAX_CONSOLES + 2];
	uint32		events[STEWARD_MAX_CONSOLES] = {0};
	int64		due = PG_INT64_MAX;
	long		timeout = -1;
	int			n;

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < poller.nclients; i++)
	{
		StewardConsoleClient *client = &poller.clients[i];
		pgsocket	socket = steward_client_socket(client);

		due = Min(due, steward_client_due(client));
		if (socket != PGINVALID_SOCKET)
			AddWaitEventToSet(set, client->wait, socket, NULL, &events[i]);
	}
	if (due != PG_INT64_MAX)
		timeout = (long) Min(Max(due - steward_monotonic_ms(), 0), 60000);

	n = WaitEventSetWait(set, timeout, occurred, lengthof(occurred),
						 PG_WAIT_EXTENSION);
	FreeWaitEventSet(set);
	for (int i = 0; i < n; i++)
	{
		if (occurred[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		else if (occurred[i].user_data != NULL)
			*(uint32 *) occurred[i].user_data = occurred[i].events;
	}
	handle_signals();
	for (int i = 0; i < poller.nclients; i++)
		steward_client_step(&poller.clients[i], steward_monotonic_ms(),
							events[i]);
}

/*
 * Entry point of the process.
 */
void
pg_steward_pgbouncer_main(Datum arg)
{
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGPIPE, PG_SIG_IGN);
	BackgroundWorkerUnblockSignals();

	poller.guard = RegisterTimeout(USER_TIMEOUT, give_up);
	before_shmem_exit(poller_exit, (Datum) 0);

	context = AllocSetContextCreate(TopMemoryContext, "pg_steward pgbouncer",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	for (;;)
	{
		handle_signals();
		follow_setting();
		wait_for_clients();
		MemoryContextReset(context);
	}
}
