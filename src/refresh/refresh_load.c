/*-------------------------------------------------------------------------
 *
 * refresh_load.c
 *	  A worker brings the policies of its database into the registry.
 *
 * Policies are loaded with their state, and put into an order in which views
 * come before those that are computed from them, by a depth-first search.
 * Only views with a policy count; what a view reads through ordinary views is
 * known to matview_sources.c.
 *
 * The worker is the only one in its database, so that a refresh that the state
 * says is running has found no end.  Either a worker was told to end within it,
 * or the server was shut down: then it is tried again soon.  Or the server
 * crashed, perhaps because of it: see refresh_backoff.c.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/shmem.h"
#include "refresh/matview_sources.h"
#include "refresh/policy.h"
#include "refresh/policy_table.h"
#include "refresh/refresh_backoff.h"
#include "refresh/refresh_load.h"
#include "refresh/refresh_slots.h"

/* A wait that the state names is never longer. */
#define MAX_WAIT_US (USECS_PER_HOUR + USECS_PER_HOUR / 2)

typedef enum VisitState
{
	NOT_VISITED,
	VISITING,
	VISITED
} VisitState;

/* A view while it is being loaded. */
typedef struct LoadedView
{
	StewardRefreshView view;
	TimestampTz running_since;
	bool		quarantined;	/* only users end that */
	List	   *matviews;		/* Oids that it reads */
	VisitState	visit;
	int			position;		/* in the result */
} LoadedView;

/* All views of the database. */
typedef struct LoadedViews
{
	LoadedView *views;
	int			nviews;
	StewardRefreshView *ordered;
	int			nordered;
	int		   *upstreams;
	int			nupstreams;
	int			max_upstreams;
} LoadedViews;

/*
 * What the view is computed from.  A definition that cannot be read must not
 * keep other views from being loaded: the error comes again when the view is
 * refreshed, and is noted then.
 */
static void
read_sources(LoadedView *loaded)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		StewardSources sources = {0};

		steward_sources_read(loaded->view.view,
							 loaded->view.assume_deterministic, &sources);
		loaded->matviews = sources.matviews;
		loaded->view.signature = sources.signature;
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (geterrcode() == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/* A moment of the past, whatever was stored. */
static TimestampTz
past(TimestampTz at, TimestampTz now)
{
	return Max(Min(at, now), 0);
}

/* The registry's form of a policy. */
static void
fill_view(StewardRefreshView *view, const StewardPolicy *policy,
		  TimestampTz now)
{
	memset(view, 0, sizeof(*view));
	view->view = policy->view;
	view->schedule = policy->schedule;
	strlcpy(view->method, policy->method, sizeof(view->method));
	view->yield_after_ms = policy->yield_after_ms;
	view->max_runtime_ms = policy->max_runtime_ms;
	view->assume_deterministic = policy->assume_deterministic;
	view->continue_on_upstream_error = policy->continue_on_upstream_error;
	view->paused = policy->paused;
	view->suspended = policy->suspended != NULL;
	view->typical_ms = policy->typical_duration_ms;
	view->delta_ratio = policy->delta_ratio;
	view->failures = policy->consecutive_failures;
	view->crashes = policy->crash_count;
	view->last_ok = past(policy->last_ok, now);
	view->last_attempt = past(policy->last_attempt, now);
	view->not_before = Min(policy->not_before, now + MAX_WAIT_US);
}

/* Read policies, and what their views are computed from, in a transaction. */
static void
read_policies(LoadedViews *all)
{
	MemoryContext context = CurrentMemoryContext;
	TimestampTz now;
	List	   *policies;
	ListCell   *cell;

	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	now = GetCurrentTimestamp();
	policies = steward_policy_load();
	PushActiveSnapshot(GetTransactionSnapshot());
	all->views = MemoryContextAllocHuge(context,
										sizeof(LoadedView) *
										Max(list_length(policies), 1));
	foreach(cell, policies)
	{
		StewardPolicy *policy = lfirst(cell);
		LoadedView *loaded = &all->views[all->nviews++];

		CHECK_FOR_INTERRUPTS();
		memset(loaded, 0, sizeof(*loaded));
		fill_view(&loaded->view, policy, now);
		loaded->running_since = policy->running_since;
		loaded->quarantined = policy->suspended != NULL &&
			strcmp(policy->suspended, "quarantined") == 0;
		read_sources(loaded);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

/* The view of this number among those with a policy, or NULL. */
static LoadedView *
find_view(LoadedViews *all, Oid view)
{
	for (int i = 0; i < all->nviews; i++)
		if (all->views[i].view.view == view)
			return &all->views[i];
	return NULL;
}

/*
 * Append a view to the result, after those that it is computed from.  A cycle,
 * which the server does not allow, would be cut somewhere.
 */
static void
append_view(LoadedViews *all, LoadedView *loaded)
{
	ListCell   *cell;

	check_stack_depth();
	loaded->visit = VISITING;
	foreach(cell, loaded->matviews)
	{
		LoadedView *upstream = find_view(all, lfirst_oid(cell));

		if (upstream != NULL && upstream->visit == NOT_VISITED)
			append_view(all, upstream);
	}
	loaded->view.first_upstream = all->nupstreams;
	foreach(cell, loaded->matviews)
	{
		LoadedView *upstream = find_view(all, lfirst_oid(cell));

		if (upstream == NULL || upstream->visit != VISITED)
			continue;
		if (all->nupstreams == all->max_upstreams)
		{
			all->max_upstreams *= 2;
			all->upstreams = repalloc(all->upstreams,
									  sizeof(int) * all->max_upstreams);
		}
		all->upstreams[all->nupstreams++] = upstream->position;
		loaded->view.nupstreams++;
	}
	loaded->visit = VISITED;
	loaded->position = all->nordered;
	all->ordered[all->nordered++] = loaded->view;
}

/* Put the views into order. */
static void
order_views(LoadedViews *all)
{
	all->ordered = MemoryContextAllocHuge(CurrentMemoryContext,
										  sizeof(StewardRefreshView) *
										  Max(all->nviews, 1));
	all->max_upstreams = Max(all->nviews, 16);
	all->upstreams = palloc_array(int, all->max_upstreams);
	for (int i = 0; i < all->nviews; i++)
		if (all->views[i].visit == NOT_VISITED)
			append_view(all, &all->views[i]);
}

/*
 * Was it a crash that ended the refresh of this view?  Not if its worker had
 * the time to say that it ends, or the server was shut down in between, or if
 * shared memory is older, which no crash survives (the database may be a copy).
 */
static bool
has_crashed(StewardRegistry *registry, const LoadedView *loaded)
{
	StewardRefreshView *view;
	bool		interrupted = false;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	view = steward_registry_view(registry, MyDatabaseId, loaded->view.view);
	if (view != NULL)
	{
		interrupted = view->interrupted;
		view->interrupted = false;
	}
	LWLockRelease(registry->lock);
	return !interrupted && !registry->clean_start &&
		loaded->running_since < steward_shmem_start_time();
}

/*
 * Has the refresh of this view ended, and the worker only could not note that
 * in the state, which somebody had locked?
 */
static bool
has_ended(StewardRegistry *registry, const LoadedView *loaded,
		  TimestampTz *last_ok)
{
	StewardRefreshView *view;
	bool		ended;

	LWLockAcquire(registry->lock, LW_SHARED);
	view = steward_registry_view(registry, MyDatabaseId, loaded->view.view);
	ended = view != NULL && !view->interrupted &&
		view->last_attempt >= loaded->running_since;
	if (ended)
		*last_ok = view->last_ok;
	LWLockRelease(registry->lock);
	return ended;
}

/* Note how a refresh has ended that could not do so itself. */
static void
finish_interrupted(StewardRegistry *registry, LoadedView *loaded)
{
	StewardRefreshView *view = &loaded->view;
	StewardBackoff backoff;
	StewardRun	run = {0};
	TimestampTz last_ok;

	if (has_ended(registry, loaded, &last_ok))
	{
		StartTransactionCommand();
		steward_policy_settled(view->view, last_ok);
		CommitTransactionCommand();
		view->last_ok = Max(view->last_ok, last_ok);
		return;
	}
	run.started = loaded->running_since;
	if (has_crashed(registry, loaded))
	{
		view->crashes++;
		steward_backoff_crashed(view->crashes, &backoff);
		run.outcome = "crashed";
		run.sqlstate = "57P02";
		run.error = "the server crashed during the refresh";
		run.suspended = backoff.suspend ? "quarantined" : NULL;
	}
	else
	{
		StewardFailure failure = {"57P01", false, view->failures + 1, 0, 0.5};

		steward_backoff_rule(&failure, &backoff);
		run.outcome = "cancelled";
		run.sqlstate = "57P01";
		run.error = "the worker was terminated during the refresh";
	}
	view->failures++;
	view->suspended = loaded->quarantined = run.suspended != NULL;
	view->not_before = GetCurrentTimestamp() + backoff.delay_ms * 1000;
	run.not_before = view->not_before;
	run.crash_count = view->crashes;
	run.consecutive_failures = view->failures;
	if (run.suspended != NULL)
		ereport(WARNING,
				(errmsg("materialized view with OID %u is no longer refreshed, because the server crashed %d times during that",
						view->view, view->crashes),
				 errhint("Resume it with resume_matview_refresh().")));

	StartTransactionCommand();
	steward_policy_finished(view->view, &run);
	CommitTransactionCommand();
}

/*
 * A view that was suspended because of errors gets another chance when it, or
 * something that it uses, has been redefined.
 */
static void
resume_redefined(StewardRegistry *registry, LoadedView *loaded)
{
	StewardRefreshView *view = &loaded->view;
	StewardRefreshView *before;
	bool		redefined;
	StewardTableScope scope;
	StewardArg	args[1];

	LWLockAcquire(registry->lock, LW_SHARED);
	before = steward_registry_view(registry, MyDatabaseId, view->view);
	redefined = before != NULL && before->suspended &&
		before->signature != 0 && view->signature != 0 &&
		before->signature != view->signature;
	LWLockRelease(registry->lock);
	if (!redefined)
		return;

	StartTransactionCommand();
	if (steward_policy_table_begin(&scope))
	{
		args[0] = steward_arg_oid(view->view);
		steward_policy_table_write("UPDATE steward.matview_state"
								   "   SET suspended = NULL, consecutive_failures = 0, not_before = NULL"
								   " WHERE matview = $1 AND suspended = 'suspended'",
								   1, args);
		steward_policy_table_end(&scope);
	}
	CommitTransactionCommand();
	view->suspended = false;
	view->failures = 0;
	view->not_before = 0;
}

/*
 * Load the policies of this database, and publish them.  Not in a transaction.
 */
void
steward_refresh_load(StewardRegistry *registry)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "pg_steward policies",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	StewardRefreshDatabase *entry;
	LoadedViews all = {0};

	/* whatever changes from now on is loaded the next time */
	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	entry = steward_registry_database(registry, MyDatabaseId);
	if (entry != NULL)
	{
		entry->reload = false;
		entry->loaded_at = GetCurrentTimestamp();
	}
	steward_slot_mine()->loading = true;
	LWLockRelease(registry->lock);

	read_policies(&all);
	for (int i = 0; i < all.nviews; i++)
	{
		if (all.views[i].running_since != 0)
			finish_interrupted(registry, &all.views[i]);
		if (all.views[i].view.suspended && !all.views[i].quarantined)
			resume_redefined(registry, &all.views[i]);
		MemoryContextSwitchTo(context);
	}
	order_views(&all);

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	steward_registry_publish(registry, MyDatabaseId, all.ordered, all.nordered,
							 all.upstreams, all.nupstreams);
	steward_slot_mine()->loading = false;
	LWLockRelease(registry->lock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
