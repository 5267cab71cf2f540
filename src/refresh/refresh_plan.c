/*-------------------------------------------------------------------------
 *
 * refresh_plan.c
 *	  Decides which views of the registry are due.
 *
 * Views of a database stand in an order in which each comes after those that
 * it is computed from, its upstreams.  One pass in this order asks the change
 * clock how fresh each view is, and applies the rule of refresh_due.c.  What a
 * view lacks includes what its upstreams lack, if these are refreshed when
 * needed (a target lag, on change, downstream); those that are refreshed at
 * times of their own keep to them.  A second pass, backwards, takes along the
 * upstreams of views that are due.  So a wave goes from the tables on; that it
 * ends where nothing has changed follows from the clock: the worker looks
 * again, exactly, before it refreshes a view.
 *
 * An upstream whose refresh fails lets views after it wait, unless their
 * policy wants them to go on with what there is.
 *
 * Everything here works on the registry, whose lock the caller holds
 * exclusively.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/compat.h"
#include "refresh/freshness.h"
#include "refresh/refresh_due.h"
#include "refresh/refresh_plan.h"

/* How often it is looked whether a suspended view has been redefined. */
#define LOOK_AGAIN_US (60 * USECS_PER_SEC)

/* What one pass knows of a view. */
typedef struct ViewPlan
{
	TimestampTz stale_since;	/* with its upstreams */
	bool		followed;
	bool		populated;
	bool		blocked;		/* by an upstream that fails */
	int64		takes_ms;
} ViewPlan;

/* The views of one database, and what is being planned for them. */
typedef struct Wave
{
	StewardRefreshView *views;
	int			nviews;
	int		   *upstreams;
	ViewPlan   *plans;
	TimestampTz now;
	int			pressure;
} Wave;

/* Is the view refreshed when those that are computed from it need it? */
static bool
is_pulled(const StewardRefreshView *view)
{
	return (view->schedule.kind == STEWARD_LAG ||
			view->schedule.kind == STEWARD_DOWNSTREAM ||
			view->schedule.kind == STEWARD_ON_CHANGE) &&
		!view->paused && !view->suspended;
}

/* Does its refresh fail at present? */
static bool
is_failing(const StewardRefreshView *view)
{
	return view->failures > 0 || view->suspended;
}

/* Ask the clock about a view itself. */
static void
look_at_view(Oid database, StewardRefreshView *view, ViewPlan *plan,
			 TimestampTz now)
{
	TimestampTz since = 0;
	bool		recheck = false;
	StewardFreshness freshness =
		steward_freshness_peek(database, view->view,
							   view->assume_deterministic, &since, &recheck);

	plan->populated = freshness != STEWARD_NEVER_POPULATED;
	plan->followed = freshness != STEWARD_UNKNOWN;
	plan->blocked = false;
	plan->takes_ms = (int64) Max(view->typical_ms, 0);
	view->recheck = recheck;
	if (freshness == STEWARD_FRESH && !recheck)
		view->stale_since = 0;
	else if (view->stale_since == 0 || view->stale_since > now)
		view->stale_since = since > 0 && since < now ? since : now;
	plan->stale_since = view->stale_since;
}

/* Add what the upstreams of a view lack. */
static void
look_at_upstreams(Wave *wave, StewardRefreshView *view, ViewPlan *plan)
{
	for (int i = 0; i < view->nupstreams; i++)
	{
		int			number = wave->upstreams[view->first_upstream + i];
		const StewardRefreshView *upstream = &wave->views[number];
		const ViewPlan *before = &wave->plans[number];

		if (is_failing(upstream) || before->blocked)
		{
			plan->blocked |= !view->continue_on_upstream_error;
			continue;
		}
		if (!is_pulled(upstream))
			continue;
		if (!before->followed || !before->populated)
			plan->followed = false;
		else if (before->stale_since == 0)
			continue;
		else if (plan->stale_since == 0 ||
				 before->stale_since < plan->stale_since)
			plan->stale_since = before->stale_since;
		plan->takes_ms += before->takes_ms;
	}
}

/* Is the view due by itself? */
static void
decide_view(Wave *wave, StewardRefreshView *view, ViewPlan *plan)
{
	StewardDueInput input;
	StewardDueDecision decision;

	if (view->running)
		return;
	if (view->paused || view->suspended)
	{
		view->queued_since = 0;
		view->next_due = DT_NOEND;
		return;
	}
	if (view->next_due == DT_NOEND)
		view->next_due = 0;
	input.schedule = &view->schedule;
	input.now = wave->now;
	input.next_due = view->next_due;
	input.last_ok = Max(view->last_ok, view->last_check);
	input.last_attempt = Max(view->last_attempt, view->last_check);
	input.not_before = view->not_before;
	input.stale_since = plan->stale_since;
	input.populated = plan->populated;
	input.followed = plan->followed;
	input.takes_ms = plan->takes_ms;
	input.pressure = wave->pressure;
	steward_due_rule(&input, &decision);

	view->next_due = decision.next_due;
	if (decision.skipped)
		view->skips++;
	if (decision.due && !plan->blocked && view->queued_since == 0)
		view->queued_since = wave->now;
	else if (plan->blocked)
		view->queued_since = 0;
}

/* A view is due: so are upstreams that it is waiting for. */
static void
pull_upstreams(Wave *wave, const StewardRefreshView *view)
{
	for (int i = 0; i < view->nupstreams; i++)
	{
		int			number = wave->upstreams[view->first_upstream + i];
		StewardRefreshView *upstream = &wave->views[number];
		const ViewPlan *plan = &wave->plans[number];

		if (is_pulled(upstream) && !is_failing(upstream) &&
			!upstream->running && upstream->queued_since == 0 &&
			(plan->stale_since != 0 || !plan->followed || !plan->populated))
			upstream->queued_since = view->queued_since;
	}
}

/*
 * Decide for all views of a database.
 */
void
steward_plan_decide(StewardRegistry *registry, StewardRefreshDatabase *entry,
					TimestampTz now, int pressure)
{
	Wave		wave;

	wave.views = &registry->views[entry->first_view];
	wave.nviews = entry->nviews;
	wave.upstreams = &steward_registry_upstreams(registry)[entry->first_upstream];
	wave.plans = palloc_array(ViewPlan, Max(entry->nviews, 1));
	wave.now = now;
	wave.pressure = pressure;
	for (int i = 0; i < wave.nviews; i++)
	{
		look_at_view(entry->database, &wave.views[i], &wave.plans[i], now);
		look_at_upstreams(&wave, &wave.views[i], &wave.plans[i]);
		decide_view(&wave, &wave.views[i], &wave.plans[i]);
		if (wave.views[i].suspended && wave.views[i].recheck &&
			now - entry->loaded_at > LOOK_AGAIN_US)
			entry->reload = true;
	}
	for (int i = wave.nviews - 1; i >= 0; i--)
		if (wave.views[i].queued_since != 0)
			pull_upstreams(&wave, &wave.views[i]);
	pfree(wave.plans);
}

/*
 * Since when there is something to do in the database; DT_NOEND if nothing.
 */
TimestampTz
steward_plan_work_since(StewardRegistry *registry,
						StewardRefreshDatabase *entry, TimestampTz now)
{
	TimestampTz since = DT_NOEND;

	for (int i = 0; i < entry->nviews; i++)
	{
		StewardRefreshView *view = &registry->views[entry->first_view + i];

		if (view->running)
			continue;
		if (view->queued_since != 0)
			since = Min(since, view->queued_since);
		if (view->requested)
			since = Min(since, now);
	}
	if (entry->reload)
		since = Min(since, now);
	for (int i = 0; i < STEWARD_REFRESH_REQUESTS; i++)
		if (registry->requests[i].database == entry->database)
			since = Min(since, now);
	return since;
}

/* Is an upstream of the view still to be refreshed? */
static bool
waits_for_upstream(StewardRegistry *registry, StewardRefreshDatabase *entry,
				   const StewardRefreshView *view)
{
	int		   *upstreams = steward_registry_upstreams(registry);

	for (int i = 0; i < view->nupstreams; i++)
	{
		int			number = upstreams[entry->first_upstream +
									   view->first_upstream + i];
		StewardRefreshView *upstream =
			&registry->views[entry->first_view + number];

		if (upstream->queued_since != 0 || upstream->requested ||
			upstream->running)
			return true;
	}
	return false;
}

/* Take a request for a view without a policy. */
static bool
take_request(StewardRegistry *registry, Oid database, StewardRefreshView *view)
{
	for (int i = 0; i < STEWARD_REFRESH_REQUESTS; i++)
	{
		StewardRefreshRequest *request = &registry->requests[i];

		if (request->database != database)
			continue;
		request->database = InvalidOid;
		memset(view, 0, sizeof(*view));
		view->view = request->view;
		strlcpy(view->method, "auto", sizeof(view->method));
		view->yield_after_ms = -1;
		view->delta_ratio = -1;
		view->requested = true;
		return true;
	}
	return false;
}

/*
 * Take the view that a worker in the database is to refresh next: of those
 * whose upstreams are done the one that waits for longest.  False if there is
 * none.  The copy still says whether the view was requested.
 */
bool
steward_plan_take(StewardRegistry *registry, Oid database,
				  StewardRefreshView *view, bool *has_policy)
{
	StewardRefreshDatabase *entry = steward_registry_database(registry,
															  database);
	StewardRefreshView *best = NULL;

	if (entry == NULL)
		return false;
	for (int i = 0; i < entry->nviews; i++)
	{
		StewardRefreshView *candidate = &registry->views[entry->first_view + i];

		if (candidate->running ||
			(candidate->queued_since == 0 && !candidate->requested) ||
			waits_for_upstream(registry, entry, candidate))
			continue;
		if (best == NULL || candidate->queued_since < best->queued_since)
			best = candidate;
	}
	*has_policy = best != NULL;
	if (best == NULL)
		return take_request(registry, database, view);
	*view = *best;
	best->running = true;
	best->requested = false;
	best->queued_since = 0;
	return true;
}

/* Move a time, if there is one. */
static void
shift(TimestampTz *at, int64 us)
{
	if (*at > 0 && *at < DT_NOEND)
		*at = Max(*at + us, 1);
}

/*
 * The wall clock was set, by so many microseconds: durations go on, times of
 * cron are decided anew.
 */
void
steward_plan_shift(StewardRegistry *registry, int64 us)
{
	for (int i = 0; i < registry->nviews; i++)
	{
		StewardRefreshView *view = &registry->views[i];

		shift(&view->last_ok, us);
		shift(&view->last_check, us);
		shift(&view->last_attempt, us);
		shift(&view->not_before, us);
		shift(&view->stale_since, us);
		shift(&view->queued_since, us);
		if (view->schedule.kind == STEWARD_CRON)
			view->next_due = 0;
		else
			shift(&view->next_due, us);
	}
}
