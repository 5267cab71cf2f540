/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  How far index advice is, for other sessions to see.
 *
 * A run that has to do with thousands of statements takes seconds.  Each run
 * takes one of a few slots in shared memory, says there every tenth of a second
 * where it is, and gives it back in the end, however it ends.  If no slot is
 * free, or the library was not preloaded, it runs unseen.  A lock guards all
 * slots; it is held for the time of copying a few numbers.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "advisor/progress.h"
#include "base/rows.h"
#include "base/shmem.h"

PG_FUNCTION_INFO_V1(pg_steward_index_advisor_progress);

/* Runs that are seen at the same time, at most. */
#define MAX_SLOTS 16

/* Milliseconds between two notes of a run in the same phase. */
#define NOTE_MS 100

/* A run; guarded by the area's lock. */
typedef struct ProgressSlot
{
	int			pid;			/* 0: free */
	Oid			database;
	Oid			role;			/* that called */
	TimestampTz started;
	StewardAdvicePhase phase;
	int			done;			/* statements in this phase */
	int			total;
	int			chosen;			/* indexes */
} ProgressSlot;

typedef struct ProgressArea
{
	LWLock	   *lock;			/* constant */
	ProgressSlot slots[MAX_SLOTS];
} ProgressArea;

/* State of this process. */
static struct
{
	ProgressArea *area;			/* NULL unless preloaded */
	ProgressSlot *mine;			/* while a run is seen */
	TimestampTz noted;
	bool		exit_registered;
}			progress;

static Size
progress_size(void)
{
	return sizeof(ProgressArea);
}

static void
progress_attach(void *area, LWLockPadded *locks, bool found)
{
	progress.area = area;
	if (found)
		return;
	memset(area, 0, sizeof(ProgressArea));
	progress.area->lock = &locks[0].lock;
}

static const StewardShmemArea progress_shmem_area = {
	.name = "pg_steward_advisor_progress",
	.nlocks = 1,
	.size = progress_size,
	.attach = progress_attach,
};

/* Register the area, while the library is being preloaded. */
void
steward_progress_init(void)
{
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		steward_shmem_register(&progress_shmem_area);
}

/* Give the slot back when the process ends in the middle of a run. */
static void
leave_at_exit(int code, Datum arg)
{
	steward_progress_end();
}

/*
 * A run begins.  Runs inside a run, as no caller has them today, would be seen
 * as one.
 */
void
steward_progress_begin(void)
{
	if (progress.area == NULL || progress.mine != NULL)
		return;
	if (!progress.exit_registered)
	{
		before_shmem_exit(leave_at_exit, (Datum) 0);
		progress.exit_registered = true;
	}
	LWLockAcquire(progress.area->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_SLOTS; i++)
	{
		ProgressSlot *slot = &progress.area->slots[i];

		if (slot->pid != 0)
			continue;
		memset(slot, 0, sizeof(ProgressSlot));
		slot->pid = MyProcPid;
		slot->database = MyDatabaseId;
		slot->role = GetUserId();
		slot->started = GetCurrentTimestamp();
		progress.mine = slot;
		break;
	}
	LWLockRelease(progress.area->lock);
	progress.noted = 0;
}

/*
 * A run is here now.  Only a new phase is noted at once.
 */
void
steward_progress_note(StewardAdvicePhase phase, int done, int total, int chosen)
{
	ProgressSlot *slot = progress.mine;
	TimestampTz now;

	if (slot == NULL)
		return;
	now = GetCurrentTimestamp();
	if (slot->phase == phase && done > 0 &&
		!TimestampDifferenceExceeds(progress.noted, now, NOTE_MS))
		return;
	progress.noted = now;
	LWLockAcquire(progress.area->lock, LW_EXCLUSIVE);
	slot->phase = phase;
	slot->done = done;
	slot->total = total;
	slot->chosen = chosen;
	LWLockRelease(progress.area->lock);
}

/* A run is over. */
void
steward_progress_end(void)
{
	if (progress.mine == NULL)
		return;
	LWLockAcquire(progress.area->lock, LW_EXCLUSIVE);
	progress.mine->pid = 0;
	LWLockRelease(progress.area->lock);
	progress.mine = NULL;
}

/* The name of a phase. */
static const char *
phase_name(StewardAdvicePhase phase)
{
	switch (phase)
	{
		case STEWARD_PHASE_START:
			break;
		case STEWARD_PHASE_COLLECT:
			return "analyzing statements";
		case STEWARD_PHASE_EXPLORE:
			return "planning with new indexes";
		case STEWARD_PHASE_EXTEND:
			return "comparing indexes";
		case STEWARD_PHASE_CHOOSE:
			return "choosing";
		case STEWARD_PHASE_VERIFY:
			return "verifying";
	}
	return "starting";
}

/*
 * get_index_advisor_progress(): runs of the moment; those of others only for
 * pg_read_all_stats.
 */
Datum
pg_steward_index_advisor_progress(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	ProgressSlot slots[MAX_SLOTS];
	TimestampTz now = GetCurrentTimestamp();
	bool		sees_all = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);

	steward_require_preload();
	steward_rows_begin(&rows, fcinfo);
	LWLockAcquire(progress.area->lock, LW_SHARED);
	memcpy(slots, progress.area->slots, sizeof(slots));
	LWLockRelease(progress.area->lock);
	for (int i = 0; i < MAX_SLOTS; i++)
	{
		ProgressSlot *slot = &slots[i];
		char	   *database;
		char	   *role;

		if (slot->pid == 0 ||
			(!sees_all && !has_privs_of_role(GetUserId(), slot->role)))
			continue;
		database = get_database_name(slot->database);
		role = GetUserNameFromId(slot->role, true);
		steward_rows_int32(&rows, slot->pid);
		if (database)
			steward_rows_text(&rows, database);
		else
			steward_rows_null(&rows);
		if (role)
			steward_rows_text(&rows, role);
		else
			steward_rows_null(&rows);
		steward_rows_text(&rows, phase_name(slot->phase));
		steward_rows_int32(&rows, slot->done);
		steward_rows_int32(&rows, slot->total);
		steward_rows_int32(&rows, slot->chosen);
		steward_rows_float8(&rows, (double) (now - slot->started) / 1000000.0);
		steward_rows_end_row(&rows);
	}
	return (Datum) 0;
}
