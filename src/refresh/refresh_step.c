/*-------------------------------------------------------------------------
 *
 * refresh_step.c
 *	  A worker refreshes one materialized view.
 *
 * Three transactions, so that the refresh itself holds no lock on tables of
 * the extension, and what came of it is noted even if it fails:
 *
 * 1. Look once more, exactly, whether the view is fresh: the launcher does not
 *	  read catalogs, and a view before this one may have turned out to be
 *	  unchanged.  Note that a refresh starts.
 * 2. Refresh.  In this time the launcher may cancel it in favor of users.
 * 3. Note the result, in the tables and in the registry, and when to try again
 *	  if it failed.
 *
 * An error in the first or third ends the worker; the second one's are its
 * result.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "refresh/freshness.h"
#include "refresh/policy.h"
#include "refresh/refresh_backoff.h"
#include "refresh/refresh_due.h"
#include "refresh/refresh_slots.h"
#include "refresh/refresh_step.h"

/* How long a view waits whose state a user has locked. */
#define LOCKED_WAIT_US (5 * USECS_PER_SEC)

/* What the worker does now, for pg_stat_activity. */
static void
report_activity(const char *phase, const char *name)
{
	char	   *activity = psprintf("pg_steward: %s %s", phase, name);

	pgstat_report_activity(STATE_RUNNING, activity);
	pfree(activity);
}

/*
 * Name of the view with its schema, quoted, in the memory of the step; NULL if
 * it is gone.
 */
static char *
view_name(Oid view, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	char	   *name = get_rel_name(view);
	char	   *schema = name == NULL ? NULL :
		get_namespace_name(get_rel_namespace(view));
	char	   *result = schema == NULL ? NULL :
		quote_qualified_identifier(schema, name);

	MemoryContextSwitchTo(old);
	return result;
}

/* Why a view is not refreshed. */
typedef enum SkipReason
{
	SKIP_GONE,
	SKIP_FRESH,
	SKIP_LOCKED					/* a user has locked its state */
} SkipReason;

/*
 * First transaction.  False if there is nothing to refresh: the view is gone,
 * or it is fresh and nobody insists; or if that could not be noted.
 */
static bool
begin_refresh(const StewardRefreshView *view, bool has_policy,
			  MemoryContext context, char **name, SkipReason *reason)
{
	bool		fresh = false;
	bool		locked = false;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	*name = view_name(view->view, context);
	if (*name != NULL)
		report_activity("checking", *name);
	if (*name != NULL && !view->requested)
	{
		char	   *obstacle = NULL;
		TimestampTz since = 0;

		fresh = steward_freshness_check(view->view, view->assume_deterministic,
										&obstacle, &since) == STEWARD_FRESH;
	}
	PopActiveSnapshot();
	if (*name != NULL && !fresh && has_policy)
		locked = !steward_policy_started(view->view);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	*reason = fresh ? SKIP_FRESH : locked ? SKIP_LOCKED : SKIP_GONE;
	return *name != NULL && !fresh && !locked;
}

/* From now on the refresh may be cancelled in favor of others, or not. */
static bool
allow_cancel(StewardRegistry *registry, bool allow, int64 yield_after_ms)
{
	StewardRefreshSlot *slot = steward_slot_mine();
	bool		gave_way;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	slot->refreshing = allow;
	slot->yield_after_ms = yield_after_ms;
	slot->since = GetCurrentTimestamp();
	gave_way = slot->gave_way;
	slot->gave_way = false;
	LWLockRelease(registry->lock);
	if (!allow)
		QueryCancelPending = false; /* it came too late */
	return gave_way;
}

/*
 * The method of a view.  One without content can only be filled; a method that
 * is not known, of a newer version, is auto.
 */
static StewardRefreshMethod
method_of(const StewardRefreshView *view)
{
	StewardRefreshMethod method;

	if (!steward_refresh_is_populated(view->view))
		return STEWARD_REFRESH_PLAIN;
	if (!steward_refresh_parse_method(view->method, &method))
		method = STEWARD_REFRESH_AUTO;
	return method;
}

/*
 * Second transaction.  The error, copied to the context, or NULL.
 */
static ErrorData *
refresh(const StewardRefreshView *view, const char *name,
		MemoryContext context, StewardRefreshOutcome *outcome)
{
	ErrorData  *volatile error = NULL;

	StartTransactionCommand();
	PG_TRY();
	{
		report_activity("refreshing", name);
		if (view->max_runtime_ms > 0)
			enable_timeout_after(STATEMENT_TIMEOUT,
								 (int) Min(view->max_runtime_ms, INT_MAX));
		PushActiveSnapshot(GetTransactionSnapshot());
		steward_refresh_run(view->view, method_of(view), view->delta_ratio,
							view->assume_deterministic, outcome);
		if (ActiveSnapshotSet())
			PopActiveSnapshot();
		disable_timeout(STATEMENT_TIMEOUT, false);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		disable_timeout(STATEMENT_TIMEOUT, false);
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		error_context_stack = NULL;
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return error;
}

/* Milliseconds between two refreshes, as far as the schedule says it. */
static int64
interval_ms(const StewardSchedule *schedule)
{
	return schedule->kind == STEWARD_CRON ||
		schedule->kind == STEWARD_DOWNSTREAM ? 0 :
		Max(schedule->period_us / 1000, 1);
}

/* Fill in what follows from an error. */
static void
judge_error(StewardRun *run, const StewardRefreshView *view,
			const ErrorData *error, bool gave_way, char *sqlstate)
{
	StewardBackoff backoff;
	StewardFailure failure;

	strlcpy(sqlstate, unpack_sql_state(error->sqlerrcode), 6);
	failure.sqlstate = sqlstate;
	failure.gave_way = gave_way;
	failure.failures = view->failures + 1;
	failure.interval_ms = interval_ms(&view->schedule);
	failure.random = pg_prng_double(&pg_global_prng_state);
	steward_backoff_rule(&failure, &backoff);

	run->outcome = gave_way ? "yielded" :
		error->sqlerrcode == ERRCODE_QUERY_CANCELED &&
		view->max_runtime_ms == 0 ? "cancelled" : "failed";
	run->sqlstate = sqlstate;
	run->error = gave_way ? "cancelled because others waited for it" :
		error->message;
	run->not_before = GetCurrentTimestamp() + backoff.delay_ms * 1000;
	run->suspended = backoff.suspend ? "suspended" : NULL;
	run->crash_count = view->crashes;
	run->consecutive_failures = failure.failures;
}

/* Tell that a view will not be refreshed any more; in a transaction. */
static void
say_suspended(const StewardRun *run, const char *name)
{
	ereport(WARNING,
			(errmsg("materialized view %s is no longer refreshed after %d failures",
					name, run->consecutive_failures),
			 errdetail("The last one was: %s", run->error),
			 errhint("Resume it with resume_matview_refresh().")));
	if (steward_notify_channel != NULL && steward_notify_channel[0] != '\0')
	{
		StringInfoData json;

		initStringInfo(&json);
		appendStringInfoString(&json,
							   "{\"event\": \"refresh_suspended\", \"matview\": ");
		escape_json(&json, name);
		appendStringInfo(&json, ", \"failures\": %d, \"sqlstate\": \"%s\"}",
						 run->consecutive_failures, run->sqlstate);
		Async_Notify(steward_notify_channel, json.data);
	}
}

/* Bring the registry's copy of the view up to date. */
static void
note_result(StewardRegistry *registry, Oid view, const StewardRun *run)
{
	StewardRefreshView *entry;
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	entry = steward_registry_view(registry, MyDatabaseId, view);
	steward_slot_mine()->view = InvalidOid;
	if (entry != NULL)
	{
		entry->running = false;
		entry->last_attempt = run->started;
		entry->failures = run->consecutive_failures;
		entry->crashes = run->crash_count;
		entry->not_before = run->not_before;
		entry->suspended = run->suspended != NULL;
		entry->next_due = run->sqlstate != NULL ? run->not_before :
			steward_due_after_run(&entry->schedule, entry->next_due, now);
		if (run->sqlstate == NULL)
		{
			entry->last_ok = run->started;
			entry->stale_since = 0;
			entry->skips = 0;
			entry->typical_ms = entry->typical_ms <= 0 ?
				run->result.duration_ms :
				0.8 * entry->typical_ms + 0.2 * run->result.duration_ms;
		}
	}
	LWLockRelease(registry->lock);
}

/* The worker looked at the view, and did not refresh it. */
static void
note_skip(StewardRegistry *registry, Oid view, SkipReason reason)
{
	StewardRefreshDatabase *database;
	StewardRefreshView *entry;
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	database = steward_registry_database(registry, MyDatabaseId);
	entry = steward_registry_view(registry, MyDatabaseId, view);
	steward_slot_mine()->view = InvalidOid;
	if (entry != NULL)
	{
		entry->running = false;
		entry->last_check = now;
		entry->next_due = steward_due_after_run(&entry->schedule,
												entry->next_due, now);
		if (reason == SKIP_FRESH)
		{
			entry->stale_since = 0;
			entry->skips++;
		}
		else if (reason == SKIP_LOCKED)
			entry->next_due = entry->not_before = now + LOCKED_WAIT_US;
	}
	/* if it is gone, so should be its policy */
	if (reason == SKIP_GONE && database != NULL)
		database->reload = true;
	LWLockRelease(registry->lock);
}

/*
 * Refresh a view that was taken from the registry.  Not in a transaction.
 */
void
steward_refresh_step(StewardRegistry *registry, StewardRefreshView *view,
					 bool has_policy)
{
	MemoryContext context = CurrentMemoryContext;
	StewardRun	run = {0};
	ErrorData  *error;
	char		sqlstate[6];
	char	   *name;
	SkipReason	reason;
	bool		gave_way;

	if (!begin_refresh(view, has_policy, context, &name, &reason))
	{
		note_skip(registry, view->view, reason);
		return;
	}
	run.started = GetCurrentTimestamp();
	(void) allow_cancel(registry, true,
						view->yield_after_ms < 0 ?
						steward_refresh_yield_after : view->yield_after_ms);
	error = refresh(view, name, context, &run.result);
	gave_way = allow_cancel(registry, false, 0) && error != NULL &&
		error->sqlerrcode == ERRCODE_QUERY_CANCELED;
	if (error != NULL)
		judge_error(&run, view, error, gave_way, sqlstate);
	else
		run.outcome = run.result.ninserted == 0 && run.result.ndeleted == 0 &&
			run.result.nupdated == 0 ? "verified_equal" : "ok";

	StartTransactionCommand();
	report_activity("noting the result of", name);
	if (has_policy)
		steward_policy_finished(view->view, &run);
	if (run.suspended != NULL && has_policy)
		say_suspended(&run, name);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	note_result(registry, view->view, &run);
}
