/*-------------------------------------------------------------------------
 *
 * refresh_due.c
 *	  The rule that says when a materialized view is to be refreshed.
 *
 * Plain arithmetic: no clock, no shared memory.
 *
 * "every" and "cron" name times.  When one has come, a view that is fresh is
 * skipped; times that were missed, because the server was down or the worker
 * busy, are made up for by one run.  One that failed is repeated in between.
 *
 * A target lag is a promise about age: the view must be refreshed before what
 * it lacks is older than that.  The refresh therefore starts earlier than the
 * lag says, by the time it usually takes, that of the views before it
 * included, and by NOTICE_MS, since changes are noticed once a second.  "on
 * change" is the same without a promise: changes are collected for so long.
 * If it cannot be known when the view changes, it is taken to change with each
 * refresh.
 *
 * A downstream view has no time of its own: the caller takes it along with
 * those that are computed from it.
 *
 * Under pressure nothing starts earlier than it must, and in a critical
 * situation a lag may grow to the double, as an interval may.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "refresh/refresh_due.h"

/* From a change until a worker looks at the view, in milliseconds. */
#define NOTICE_MS 1500

#define US_PER_MS INT64CONST(1000)

/* A view whose changes cannot be followed is not refreshed more often. */
#define UNFOLLOWED_US (60 * USECS_PER_SEC)

/* The sum of a time and a duration, within the range of timestamps. */
static TimestampTz
add_time(TimestampTz at, int64 us)
{
	if (at >= DT_NOEND - Max(us, 0))
		return DT_NOEND;
	return at + us;
}

/* Decide for "every" and "cron". */
static void
decide_by_times(const StewardDueInput *input, bool stale,
				StewardDueDecision *decision)
{
	TimestampTz due = input->next_due;
	const StewardSchedule *schedule = input->schedule;

	if (due == 0 && input->not_before != 0)
		due = input->not_before;	/* the last one failed */
	else if (due == 0)
	{
		TimestampTz base = Max(input->last_ok, input->last_attempt);

		if (schedule->kind == STEWARD_CRON)
			due = steward_schedule_next(schedule, input->now);
		else
			due = base == 0 ? input->now :
				steward_schedule_next(schedule, Min(base, input->now));
	}
	if (input->pressure >= 2 && schedule->kind == STEWARD_EVERY &&
		due <= input->now)
	{
		/* it comes one interval later, and is not put off again */
		if (input->now < add_time(due, schedule->period_us))
		{
			decision->next_due = due;
			return;
		}
	}
	if (due > input->now)
	{
		decision->next_due = due;
		return;
	}
	if (stale)
		decision->due = true;
	else
	{
		decision->skipped = true;
		due = steward_due_after_run(schedule, due, input->now);
	}
	decision->next_due = due;
}

/* Decide for a lag and for "on change". */
static void
decide_by_age(const StewardDueInput *input, bool stale,
			  StewardDueDecision *decision)
{
	int64		lag = input->schedule->period_us;
	bool		promise = input->schedule->kind == STEWARD_LAG;
	TimestampTz base;
	int64		wait = lag;

	if (!input->populated || (stale && !input->followed && input->last_ok == 0))
	{
		decision->due = true;
		decision->next_due = input->now;
		return;
	}
	if (!stale)
	{
		/* a look at a fresh view counts once in its lag */
		TimestampTz look = input->next_due;

		if (look == 0 || look > add_time(input->now, lag))
			look = add_time(input->now, lag);
		else if (look <= input->now)
		{
			decision->skipped = true;
			look = add_time(input->now, lag);
		}
		decision->next_due = look;
		return;
	}

	base = input->followed ? input->stale_since : input->last_ok;
	base = Min(base, input->now);
	if (promise)
	{
		if (input->pressure == 0)
			wait -= Min(lag, (input->takes_ms + NOTICE_MS) * US_PER_MS);
		else if (input->pressure >= 2)
			wait = lag > DT_NOEND / 2 ? lag : 2 * lag;
	}
	else if (!input->followed)
		wait = Max(lag, UNFOLLOWED_US);
	decision->next_due = add_time(base, wait);
	decision->due = decision->next_due <= input->now;
}

/*
 * Decide.
 */
void
steward_due_rule(const StewardDueInput *input, StewardDueDecision *decision)
{
	bool		stale = !input->populated || !input->followed ||
		input->stale_since != 0;

	decision->due = decision->skipped = false;
	decision->next_due = DT_NOEND;
	switch (input->schedule->kind)
	{
		case STEWARD_EVERY:
		case STEWARD_CRON:
			decide_by_times(input, stale, decision);
			break;
		case STEWARD_LAG:
		case STEWARD_ON_CHANGE:
			decide_by_age(input, stale, decision);
			break;
		case STEWARD_DOWNSTREAM:
			break;
	}
	if (decision->due && input->not_before > input->now)
	{
		decision->due = false;
		decision->next_due = input->not_before;
	}
}

/*
 * The next time of "every" and "cron" after a run or a skip at "now": times
 * that have passed are left out.  0, to be decided, for other kinds.
 */
TimestampTz
steward_due_after_run(const StewardSchedule *schedule, TimestampTz next_due,
					  TimestampTz now)
{
	TimestampTz next;

	if (schedule->kind != STEWARD_EVERY && schedule->kind != STEWARD_CRON)
		return 0;
	if (schedule->kind == STEWARD_CRON || next_due == 0 || next_due > now)
		return steward_schedule_next(schedule, now);

	/* keep to the beat, unless it was missed altogether */
	next = steward_schedule_next(schedule, next_due);
	return next > now ? next : steward_schedule_next(schedule, now);
}
