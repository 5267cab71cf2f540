/*-------------------------------------------------------------------------
 *
 * refresh_registry.c
 *	  What the launcher and its refresh workers know of all databases.
 *
 * The launcher is connected to no database and cannot read policies.  It works
 * on a copy of them in shared memory, the registry: databases, their views
 * with schedules, what is due, and which worker does what.
 *
 * - A worker that is connected to a database loads its policies and publishes
 *   them, views before those that are computed from them.  It does so at its
 *   first visit, and whenever somebody has changed a policy.
 * - The launcher decides from the registry what is due, and starts workers.
 * - A worker takes views that are due, one by one, and notes what came of it.
 * - Whoever changes policies raises a flag for the database, without a lock.
 *
 * Views of a database are contiguous, and so are the numbers of the views that
 * each is computed from, its upstreams; these count from the first view of
 * the database.  A database that is published anew moves to the end, and those
 * behind it close the gap.  Nobody keeps a pointer without holding the lock.
 *
 * The registry dies with shared memory.  Whatever must survive is in tables of
 * the databases.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/launcher.h"
#include "base/shmem.h"
#include "refresh/refresh_registry.h"
#include "refresh/refresh_shared.h"

/* Upstreams are at most as many as there are views, times this. */
#define UPSTREAMS_PER_VIEW 4

/* Shared; NULL unless preloaded. */
static StewardRegistry *shared_registry;

static Size
registry_size(void)
{
	Size		size = offsetof(StewardRegistry, views);

	size = add_size(size, mul_size(sizeof(StewardRefreshView),
								   steward_refresh_max_views));
	return add_size(size, mul_size(sizeof(int) * UPSTREAMS_PER_VIEW,
								   steward_refresh_max_views));
}

/*
 * Was the server shut down, as opposed to have crashed, before it was started
 * now?  Asked before recovery, while the control file says so.
 */
static bool
was_shut_down(void)
{
	bool		crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);
	bool		clean = crc_ok && (control->state == DB_SHUTDOWNED ||
								   control->state == DB_SHUTDOWNED_IN_RECOVERY);

	pfree(control);
	return clean;
}

static void
registry_attach(void *area, LWLockPadded *locks, bool found)
{
	StewardRegistry *registry = area;

	shared_registry = registry;
	if (found)
		return;
	memset(area, 0, registry_size());
	registry->lock = &locks[0].lock;
	registry->clean_start = was_shut_down();
	registry->max_views = steward_refresh_max_views;
	registry->max_upstreams = steward_refresh_max_views * UPSTREAMS_PER_VIEW;
	for (int i = 0; i < STEWARD_REFRESH_FLAGS; i++)
		pg_atomic_init_u32(&registry->flags[i], InvalidOid);
	pg_atomic_init_u32(&registry->flag_all, 0);
	pg_atomic_init_u32(&registry->flag_list, 1);
}

static const StewardShmemArea registry_area = {
	.name = "pg_steward_refresh",
	.nlocks = 1,
	.size = registry_size,
	.attach = registry_attach,
};

/* Register the area, while the library is being preloaded. */
void
steward_registry_init(void)
{
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		steward_shmem_register(&registry_area);
}

/* The registry, NULL if there is none. */
StewardRegistry *
steward_registry(void)
{
	return shared_registry;
}

/* --- flags, without the lock --------------------------------------------- */

/*
 * See the header.  A flag that is raised already need not be raised again: it
 * is lowered before what it stands for is read.
 */
void
steward_registry_flag(Oid database)
{
	StewardRegistry *registry = shared_registry;
	bool		raised = false;

	if (registry == NULL)
		return;
	for (int i = 0; i < STEWARD_REFRESH_FLAGS && !raised; i++)
	{
		uint32		expected = InvalidOid;

		raised = pg_atomic_compare_exchange_u32(&registry->flags[i], &expected,
												database) ||
			expected == database;
	}
	if (!raised)
		pg_atomic_write_u32(&registry->flag_all, 1);
	steward_launcher_wake();
}

/* See the header. */
void
steward_registry_flag_list(void)
{
	if (shared_registry == NULL)
		return;
	pg_atomic_write_u32(&shared_registry->flag_list, 1);
	steward_launcher_wake();
}

/* --- looking things up, with the lock held ------------------------------- */

/* Numbers of upstreams; the caller holds the lock. */
int *
steward_registry_upstreams(StewardRegistry *registry)
{
	return (int *) &registry->views[registry->max_views];
}

/* The entry of a database, NULL if there is none; the caller holds the lock. */
StewardRefreshDatabase *
steward_registry_database(StewardRegistry *registry, Oid database)
{
	for (int i = 0; i < registry->ndatabases; i++)
		if (registry->databases[i].database == database)
			return &registry->databases[i];
	return NULL;
}

/* The entry of a view, NULL if there is none; the caller holds the lock. */
StewardRefreshView *
steward_registry_view(StewardRegistry *registry, Oid database, Oid view)
{
	StewardRefreshDatabase *entry = steward_registry_database(registry,
															  database);

	if (entry == NULL)
		return NULL;
	for (int i = 0; i < entry->nviews; i++)
	{
		StewardRefreshView *found = &registry->views[entry->first_view + i];

		if (found->view == view)
			return found;
	}
	return NULL;
}

/* --- publishing, with the lock held exclusively -------------------------- */

/* Take the views of a database out; others move up. */
static void
remove_views(StewardRegistry *registry, StewardRefreshDatabase *entry)
{
	int		   *upstreams = steward_registry_upstreams(registry);
	int			view_end = entry->first_view + entry->nviews;
	int			upstream_end = entry->first_upstream + entry->nupstreams;

	memmove(&registry->views[entry->first_view], &registry->views[view_end],
			sizeof(StewardRefreshView) * (registry->nviews - view_end));
	memmove(&upstreams[entry->first_upstream], &upstreams[upstream_end],
			sizeof(int) * (registry->nupstreams - upstream_end));
	registry->nviews -= entry->nviews;
	registry->nupstreams -= entry->nupstreams;
	for (int i = 0; i < registry->ndatabases; i++)
	{
		StewardRefreshDatabase *other = &registry->databases[i];

		if (other->first_view >= view_end)
			other->first_view -= entry->nviews;
		if (other->first_upstream >= upstream_end)
			other->first_upstream -= entry->nupstreams;
	}
	entry->first_view = entry->first_upstream = 0;
	entry->nviews = entry->nupstreams = 0;
}

/* Are two schedules the same? */
static bool
same_schedule(const StewardSchedule *a, const StewardSchedule *b)
{
	return a->kind == b->kind && a->period_us == b->period_us &&
		a->cron.minutes == b->cron.minutes && a->cron.hours == b->cron.hours &&
		a->cron.days == b->cron.days && a->cron.months == b->cron.months &&
		a->cron.weekdays == b->cron.weekdays &&
		a->cron.any_day == b->cron.any_day &&
		a->cron.any_weekday == b->cron.any_weekday &&
		strcmp(a->time_zone, b->time_zone) == 0;
}

/* Keep what is known of a view whose policy is loaded again. */
static void
keep_state(StewardRefreshView *view, const StewardRefreshView *before)
{
	view->stale_since = before->stale_since;
	view->queued_since = before->queued_since;
	view->requested = before->requested;
	view->running = before->running;
	view->last_check = before->last_check;
	view->skips = before->skips;
	if (before->not_before != 0 && view->not_before == 0)
		view->next_due = GetCurrentTimestamp(); /* resumed */
	else if (same_schedule(&view->schedule, &before->schedule))
		view->next_due = before->next_due;
	else
		view->queued_since = 0;
	if (view->paused || view->suspended)
		view->queued_since = 0;
}

/*
 * Replace the views of a database, which is in the registry, and their
 * upstreams.  If there is not enough room, the last are left out: they are not
 * refreshed, and the log says so.  The caller holds the lock exclusively.
 */
void
steward_registry_publish(StewardRegistry *registry, Oid database,
						 const StewardRefreshView *views, int nviews,
						 const int *upstreams, int nupstreams)
{
	StewardRefreshDatabase *entry = steward_registry_database(registry,
															  database);
	StewardRefreshView *before;
	int			nbefore;

	if (entry == NULL)
		return;
	nbefore = entry->nviews;
	before = palloc_array(StewardRefreshView, Max(nbefore, 1));
	memcpy(before, &registry->views[entry->first_view],
		   sizeof(StewardRefreshView) * nbefore);
	remove_views(registry, entry);

	entry->state = STEWARD_DATABASE_ACTIVE;
	entry->first_view = registry->nviews;
	entry->nviews = Min(nviews, registry->max_views - registry->nviews);
	if (entry->nviews < nviews)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("%d materialized views of database %u are not refreshed",
						nviews - entry->nviews, database),
				 errhint("Increase \"pg_steward.refresh_max_views\", which is %d.",
						 registry->max_views)));
	entry->first_upstream = registry->nupstreams;
	entry->nupstreams = Min(nupstreams, registry->max_upstreams -
							registry->nupstreams);
	if (entry->nupstreams > 0)
		memcpy(&steward_registry_upstreams(registry)[entry->first_upstream],
			   upstreams, sizeof(int) * entry->nupstreams);
	for (int i = 0; i < entry->nviews; i++)
	{
		StewardRefreshView *view = &registry->views[entry->first_view + i];

		*view = views[i];
		if (view->first_upstream + view->nupstreams > entry->nupstreams)
			view->nupstreams = 0;
		for (int j = 0; j < nbefore; j++)
			if (before[j].view == view->view)
				keep_state(view, &before[j]);
	}
	registry->nviews += entry->nviews;
	registry->nupstreams += entry->nupstreams;
	pfree(before);
}

/* Note that a database does not have the extension; the lock is held. */
void
steward_registry_absent(StewardRegistry *registry, Oid database)
{
	StewardRefreshDatabase *entry = steward_registry_database(registry,
															  database);

	if (entry == NULL)
		return;
	remove_views(registry, entry);
	entry->state = STEWARD_DATABASE_ABSENT;
}

/* Remove a database that is gone; the lock is held. */
void
steward_registry_forget(StewardRegistry *registry,
						StewardRefreshDatabase *entry)
{
	remove_views(registry, entry);
	registry->ndatabases--;
	*entry = registry->databases[registry->ndatabases];
}

/* --- for sessions -------------------------------------------------------- */

/* See the header. */
bool
steward_registry_request(Oid database, Oid view)
{
	StewardRegistry *registry = shared_registry;
	StewardRefreshView *entry;
	StewardRefreshRequest *unused = NULL;
	bool		taken = false;

	if (registry == NULL || steward_max_refresh_workers == 0)
		return false;
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	entry = steward_registry_view(registry, database, view);
	if (entry != NULL)
		entry->requested = taken = true;
	for (int i = 0; i < STEWARD_REFRESH_REQUESTS && !taken; i++)
	{
		StewardRefreshRequest *request = &registry->requests[i];

		if (request->database == database && request->view == view)
			taken = true;
		else if (!OidIsValid(request->database) && unused == NULL)
			unused = request;
	}
	if (!taken && unused != NULL)
	{
		unused->database = database;
		unused->view = view;
		taken = true;
	}
	LWLockRelease(registry->lock);
	steward_launcher_wake();
	return taken;
}

/* See the header. */
bool
steward_registry_look(Oid database, Oid view, TimestampTz *next_due,
					  bool *running, bool *queued)
{
	StewardRefreshView *entry;

	*next_due = 0;
	*running = *queued = false;
	if (shared_registry == NULL)
		return false;
	LWLockAcquire(shared_registry->lock, LW_SHARED);
	entry = steward_registry_view(shared_registry, database, view);
	if (entry != NULL)
	{
		*next_due = entry->next_due;
		*running = entry->running;
		*queued = !entry->running &&
			(entry->queued_since != 0 || entry->requested);
	}
	LWLockRelease(shared_registry->lock);
	return entry != NULL;
}

/* See the header. */
int64
steward_registry_skips(Oid database, Oid view)
{
	StewardRefreshView *entry;
	int64		skips = 0;

	if (shared_registry == NULL)
		return 0;
	LWLockAcquire(shared_registry->lock, LW_SHARED);
	entry = steward_registry_view(shared_registry, database, view);
	if (entry != NULL)
		skips = entry->skips;
	LWLockRelease(shared_registry->lock);
	return skips;
}
