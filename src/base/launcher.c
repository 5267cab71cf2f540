/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  The one background process that pg_steward always has.
 *
 * The launcher is started with the server, also on a standby, when the library
 * is preloaded.  It is connected to no database, so that it is in nobody's
 * way: databases can be dropped, renamed and copied.  Whatever subjects want to
 * be done regularly, they register as a task; work that needs a database they
 * give to a worker of its own.
 *
 * The loop is that of the server's own launchers: wait for the latch or until
 * the first task is due, handle signals, run the tasks.  Tasks are short, so
 * that a fast shutdown and a barrier of the server never wait for one.
 *
 * An error in a task ends the process, which is the simplest way to be sure
 * that nothing of it is left; the postmaster starts it again after
 * RESTART_SECONDS.  State that has to survive this is in shared memory.  The
 * exit code is never 0: the postmaster would not start it again.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "storage/sinval.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/launcher.h"
#include "base/shmem.h"

#define MAX_TASKS 8
#define RESTART_SECONDS 5

/* A wait is never longer, whatever the tasks say. */
#define MAX_WAIT_MS 60000L

/* Who is the launcher; both fields are guarded by mutex. */
typedef struct StewardLauncher
{
	slock_t		mutex;
	int			pid;			/* 0: not running */
	Latch	   *latch;
} StewardLauncher;

/* All process-local state of this file; set up before the first fork. */
static struct
{
	const StewardLauncherTask *tasks[MAX_TASKS];
	int			ntasks;
	StewardLauncher *shared;	/* NULL unless preloaded */
}			launcher;

extern PGDLLEXPORT void pg_steward_launcher_main(Datum arg);

/*
 * Register a task.  For init functions of subjects, while the library is being
 * preloaded.
 */
void
steward_launcher_register(const StewardLauncherTask *task)
{
	if (launcher.ntasks >= MAX_TASKS)
		elog(ERROR, "too many launcher tasks");
	launcher.tasks[launcher.ntasks++] = task;
}

static Size
launcher_size(void)
{
	return sizeof(StewardLauncher);
}

static void
launcher_attach(void *area, LWLockPadded *locks, bool found)
{
	launcher.shared = area;
	if (!found)
	{
		memset(area, 0, sizeof(StewardLauncher));
		SpinLockInit(&launcher.shared->mutex);
	}
}

static const StewardShmemArea launcher_area = {
	.name = "pg_steward_launcher",
	.size = launcher_size,
	.attach = launcher_attach,
};

/*
 * Ask the postmaster for the process.  Does nothing unless the library is
 * being preloaded.
 */
void
steward_launcher_init(void)
{
	BackgroundWorker worker;

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;

	steward_shmem_register(&launcher_area);

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_library_name, "pg_steward",
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pg_steward_launcher_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pg_steward launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "pg_steward launcher", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

/* Process id of the running launcher, 0 if there is none. */
int
steward_launcher_pid(void)
{
	int			pid;

	if (launcher.shared == NULL)
		return 0;
	SpinLockAcquire(&launcher.shared->mutex);
	pid = launcher.shared->pid;
	SpinLockRelease(&launcher.shared->mutex);
	return pid;
}

/* Have the launcher run its tasks now.  Never fails, may do nothing. */
void
steward_launcher_wake(void)
{
	Latch	   *latch;

	if (launcher.shared == NULL)
		return;
	SpinLockAcquire(&launcher.shared->mutex);
	latch = launcher.shared->latch;
	SpinLockRelease(&launcher.shared->mutex);
	if (latch != NULL)
		SetLatch(latch);
}

/*
 * For tasks: call "read", which reads shared catalogs, in a transaction.
 * Returns false if somebody has locked one of them, and read did not get to
 * its end.  Memory comes from the current memory context.
 */
bool
steward_launcher_read_catalogs(void (*read) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool done = true;

	StartTransactionCommand();
	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		read(arg);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			PG_RE_THROW();
		FlushErrorState();
		AbortCurrentTransaction();
		done = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	pgstat_report_activity(STATE_IDLE, NULL);
	return done;
}

/* Enter or leave the shared struct; a before_shmem_exit callback. */
static void
set_running(bool running)
{
	SpinLockAcquire(&launcher.shared->mutex);
	launcher.shared->pid = running ? MyProcPid : 0;
	launcher.shared->latch = running ? MyLatch : NULL;
	SpinLockRelease(&launcher.shared->mutex);
}

static void
launcher_exit(int code, Datum arg)
{
	set_running(false);
}

/* React to signals; does not return if the process has to end. */
static void
handle_signals(void)
{
	QueryCancelPending = false; /* there is no query */
	CHECK_FOR_INTERRUPTS();
	if (ShutdownRequestPending)
		proc_exit(1);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	/* others must not wait until we read a catalog the next time */
	ProcessCatchupInterrupt();
}

/*
 * Run every task.  Returns the milliseconds until the first wants to run
 * again.
 */
static long
run_tasks(void)
{
	long		wait = MAX_WAIT_MS;

	for (int i = 0; i < launcher.ntasks; i++)
		wait = Min(wait, launcher.tasks[i]->run());
	return Max(wait, 1);
}

/*
 * Entry point of the process.
 */
void
pg_steward_launcher_main(Datum arg)
{
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGINT, StatementCancelHandler);	/* lock_timeout needs it */
	BackgroundWorkerUnblockSignals();

	/* to connect is a transaction already */
	STEWARD_NO_TRANSACTION_TIMEOUT();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	before_shmem_exit(launcher_exit, (Datum) 0);
	set_running(true);

	/* reading shared catalogs must not wait for a lock */
	SetConfigOption("lock_timeout", "100", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog", PGC_SUSET, PGC_S_OVERRIDE);

	context = AllocSetContextCreate(TopMemoryContext, "pg_steward launcher",
									ALLOCSET_DEFAULT_SIZES);
	pgstat_report_appname("pg_steward launcher");

	for (;;)
	{
		long		wait;

		handle_signals();
		MemoryContextSwitchTo(context);
		wait = run_tasks();
		MemoryContextReset(context);

		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 wait, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}
