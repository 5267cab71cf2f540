/*-------------------------------------------------------------------------
 *
 * refresh_progress.c
 *	  What running refreshes are doing.
 *
 * Each process that refreshes takes a slot in shared memory for as long, and
 * gives it back when it ends, however it ends.  A refresh inside of another
 * (called by a function of its view) takes a slot of its own.  If all slots
 * are taken, a refresh goes unseen.
 *
 * The lock guards which slots are taken and what is constant while they are.
 * Phase and counters are atomic, written by the owner of the slot only.
 *
 * In background workers the phase is also what pg_stat_activity shows.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/lwlock.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/rows.h"
#include "base/shmem.h"
#include "refresh/refresh_progress.h"

PG_FUNCTION_INFO_V1(pg_steward_get_matview_refresh_progress);

/* Refreshes that can be seen at a time. */
#define MAX_REFRESHES 64

static const char *const phase_names[] = {
	[STEWARD_REFRESH_PHASE_START] = "starting",
	[STEWARD_REFRESH_PHASE_LOCK] = "waiting for a lock",
	[STEWARD_REFRESH_PHASE_STORED] = "reading stored rows",
	[STEWARD_REFRESH_PHASE_COMPUTE] = "executing the query",
	[STEWARD_REFRESH_PHASE_COMPARE] = "comparing",
	[STEWARD_REFRESH_PHASE_APPLY] = "writing differences",
	[STEWARD_REFRESH_PHASE_INDEXES] = "building indexes",
	[STEWARD_REFRESH_PHASE_EXCHANGE] = "exchanging tables",
	[STEWARD_REFRESH_PHASE_SERVER] = "REFRESH by the server"
};

/* One refresh.  pid 0: free. */
typedef struct ProgressSlot
{
	int			pid;
	Oid			userid;
	Oid			database;
	Oid			view;
	TimestampTz started;
	pg_atomic_uint32 method;	/* StewardRefreshMethod */
	pg_atomic_uint32 phase;		/* StewardRefreshPhase */
	pg_atomic_uint64 counts[STEWARD_REFRESH_COUNTS];
} ProgressSlot;

typedef struct ProgressShared
{
	LWLock	   *lock;
	ProgressSlot slots[MAX_REFRESHES];
} ProgressShared;

/* State of this process. */
static struct
{
	ProgressShared *shared;		/* NULL unless preloaded */
	ProgressSlot *slot;			/* of the innermost refresh, or NULL */
}			progress;

static Size
progress_size(void)
{
	return sizeof(ProgressShared);
}

static void
progress_attach(void *area, LWLockPadded *locks, bool found)
{
	progress.shared = area;
	if (found)
		return;
	memset(area, 0, sizeof(ProgressShared));
	progress.shared->lock = &locks[0].lock;
	for (int i = 0; i < MAX_REFRESHES; i++)
	{
		ProgressSlot *slot = &progress.shared->slots[i];

		pg_atomic_init_u32(&slot->method, 0);
		pg_atomic_init_u32(&slot->phase, 0);
		for (int k = 0; k < STEWARD_REFRESH_COUNTS; k++)
			pg_atomic_init_u64(&slot->counts[k], 0);
	}
}

static const StewardShmemArea progress_shmem_area = {
	.name = "pg_steward_refresh_progress",
	.nlocks = 1,
	.size = progress_size,
	.attach = progress_attach,
};

/* Register the area, while the library is being preloaded. */
void
steward_refresh_progress_init(void)
{
	if (process_shared_preload_libraries_in_progress)
		steward_shmem_register(&progress_shmem_area);
}

/*
 * A refresh of this view begins.  Returns what steward_refresh_progress_end() needs,
 * which must be called whether it succeeds or not, also if the process ends.
 */
int
steward_refresh_progress_begin(Oid view, StewardRefreshMethod method)
{
	int			previous = -1;
	ProgressSlot *mine = NULL;

	if (progress.shared == NULL)
		return -1;
	if (progress.slot != NULL)
		previous = progress.slot - progress.shared->slots;

	LWLockAcquire(progress.shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_REFRESHES && mine == NULL; i++)
		if (progress.shared->slots[i].pid == 0)
			mine = &progress.shared->slots[i];
	if (mine != NULL)
	{
		mine->pid = MyProcPid;
		mine->userid = GetUserId();
		mine->database = MyDatabaseId;
		mine->view = view;
		mine->started = GetCurrentTimestamp();
		pg_atomic_write_u32(&mine->method, method);
		pg_atomic_write_u32(&mine->phase, STEWARD_REFRESH_PHASE_START);
		for (int i = 0; i < STEWARD_REFRESH_COUNTS; i++)
			pg_atomic_write_u64(&mine->counts[i], 0);
	}
	LWLockRelease(progress.shared->lock);
	progress.slot = mine;
	return previous;
}

/* The method is decided. */
void
steward_refresh_progress_method(StewardRefreshMethod method)
{
	if (progress.slot != NULL)
		pg_atomic_write_u32(&progress.slot->method, method);
}

/*
 * The refresh enters a phase.  May allocate memory, and needs a transaction.
 */
void
steward_refresh_progress_phase(StewardRefreshPhase phase)
{
	if (progress.slot == NULL)
		return;
	pg_atomic_write_u32(&progress.slot->phase, phase);
	if (MyBgworkerEntry != NULL)
	{
		char	   *name = get_rel_name(progress.slot->view);
		char	   *activity = psprintf("refreshing %s: %s",
										name != NULL ? name : "?",
										phase_names[phase]);

		pgstat_report_activity(STATE_RUNNING, activity);
		pfree(activity);
	}
}

/* One row more. */
void
steward_refresh_progress_count(StewardRefreshCount which)
{
	if (progress.slot != NULL)
	{
		pg_atomic_uint64 *count = &progress.slot->counts[which];

		pg_atomic_write_u64(count, pg_atomic_read_u64(count) + 1);
	}
}

/* The refresh is over, and the one around it, if any, goes on. */
void
steward_refresh_progress_end(int previous)
{
	if (progress.slot != NULL)
	{
		LWLockAcquire(progress.shared->lock, LW_EXCLUSIVE);
		progress.slot->pid = 0;
		LWLockRelease(progress.shared->lock);
	}
	progress.slot = previous >= 0 ? &progress.shared->slots[previous] : NULL;
}

/* Who may see what a refresh does: who runs it, or may see it in statistics. */
static bool
may_see(const ProgressSlot *slot)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		has_privs_of_role(GetUserId(), slot->userid) ||
		STEWARD_MAY_MAINTAIN(slot->view, GetUserId());
}

/*
 * Append a counter, or null where it does not count: rows that swap computes
 * are written at once, and compared with nothing.
 */
static void
append_counter(StewardRows *rows, ProgressSlot *slot,
			   StewardRefreshMethod method, StewardRefreshCount which)
{
	if (method == STEWARD_REFRESH_SWAP && which == STEWARD_ROWS_APPLIED)
		which = STEWARD_ROWS_COMPUTED;
	if (method == STEWARD_REFRESH_DIFF ||
		(method == STEWARD_REFRESH_SWAP && which == STEWARD_ROWS_COMPUTED))
		steward_rows_int64(rows,
						   (int64) pg_atomic_read_u64(&slot->counts[which]));
	else
		steward_rows_null(rows);
}

/* One row: a refresh of a view of this database. */
static void
append_slot(StewardRows *rows, ProgressSlot *slot, const char *name)
{
	StewardRefreshMethod method = pg_atomic_read_u32(&slot->method);
	StewardRefreshPhase phase = pg_atomic_read_u32(&slot->phase);
	bool		visible = may_see(slot);

	steward_rows_int32(rows, slot->pid);
	steward_rows_text(rows, get_namespace_name(get_rel_namespace(slot->view)));
	steward_rows_text(rows, name);
	if (visible)
	{
		steward_rows_text(rows, steward_refresh_method_name(method));
		steward_rows_text(rows, phase_names[phase]);
		for (int i = 0; i < STEWARD_REFRESH_COUNTS; i++)
			append_counter(rows, slot, method, i);
		steward_rows_float8(rows,
							(double) (GetCurrentTimestamp() - slot->started) / 1000.0);
	}
	else
	{
		steward_rows_null(rows);
		steward_rows_text(rows, "skipped: needs pg_read_all_stats");
		for (int i = 0; i < STEWARD_REFRESH_COUNTS; i++)
			steward_rows_null(rows);
		steward_rows_null(rows);
	}
	steward_rows_end_row(rows);
}

/*
 * get_matview_refresh_progress(): see the comment in SQL.
 */
Datum
pg_steward_get_matview_refresh_progress(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	ProgressSlot *copy;

	steward_require_preload();
	steward_rows_begin(&rows, fcinfo);
	copy = palloc(sizeof(progress.shared->slots));
	LWLockAcquire(progress.shared->lock, LW_SHARED);
	memcpy(copy, progress.shared->slots, sizeof(progress.shared->slots));
	LWLockRelease(progress.shared->lock);

	for (int i = 0; i < MAX_REFRESHES; i++)
	{
		ProgressSlot *slot = &copy[i];
		char	   *name;

		if (slot->pid == 0 || slot->database != MyDatabaseId)
			continue;
		name = get_rel_name(slot->view);
		if (name != NULL)
			append_slot(&rows, slot, name);
	}
	pfree(copy);
	return (Datum) 0;
}
