/*-------------------------------------------------------------------------
 *
 * pgbouncer_rule.c
 *	  The rule that decides when clients wait in PgBouncer for too long.
 *
 * A queue is normal for a moment: it is what a pooler is for.  It is worth a
 * warning if clients wait in every sample of pgbouncer_waiting_after, or if in
 * every sample of pgbouncer_maxwait_after the first of them has waited longer
 * than pgbouncer_maxwait.
 *
 * The poller notes with each pool since when this is so.  As for connections,
 * "every sample" can only be said if there were samples: after a gap, or when
 * the console did not answer, both start anew.  The sampler asks whether they
 * have lasted for long enough.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/lwlock.h"

#include "base/guc.h"
#include "pool/pgbouncer.h"

/* A poll that takes its whole time, and the beat of the launcher. */
#define SLACK_MS 3000

/* The oldest sample that counts, in milliseconds. */
static int64
longest_gap(void)
{
	return steward_pgbouncer_interval * INT64CONST(3000) + SLACK_MS;
}

/* The same pool in an earlier answer, or NULL. */
static const StewardBouncerPool *
find_pool(const StewardConsole *console, const StewardBouncerPool *pool)
{
	for (int i = 0; i < console->npools; i++)
	{
		const StewardBouncerPool *found = &console->pools[i];

		if (strcmp(found->database, pool->database) == 0 &&
			strcmp(found->user, pool->user) == 0)
			return found;
	}
	return NULL;
}

/*
 * Note in an answer since when clients wait, given the answer before.  A clock
 * of 0 is taken for 1: 0 means that nobody waits.
 */
void
steward_queue_track(StewardConsole *console, const StewardConsole *before)
{
	bool		follows = before->state == STEWARD_CONSOLE_OK &&
		console->sampled_ms - before->sampled_ms <= longest_gap();
	int64		now = Max(console->sampled_ms, 1);

	for (int i = 0; i < console->npools; i++)
	{
		StewardBouncerPool *pool = &console->pools[i];
		const StewardBouncerPool *earlier =
			follows ? find_pool(before, pool) : NULL;

		pool->waiting_since = pool->slow_since = 0;
		if (pool->numbers.cl_waiting <= 0)
			continue;
		pool->waiting_since = earlier && earlier->waiting_since ?
			earlier->waiting_since : now;
		if (pool->numbers.maxwait_ms > steward_pgbouncer_maxwait)
			pool->slow_since = earlier && earlier->slow_since ?
				earlier->slow_since : now;
	}
}

/* Do clients of this pool wait for too long? */
static bool
lasts(const StewardConsole *console, const StewardBouncerPool *pool)
{
	int64		now = console->sampled_ms;

	return (pool->waiting_since != 0 && now - pool->waiting_since >=
			steward_pgbouncer_waiting_after * INT64CONST(1000)) ||
		(pool->slow_since != 0 && now - pool->slow_since >=
		 steward_pgbouncer_maxwait_after * INT64CONST(1000));
}

/* Is this console's answer one of now? */
bool
steward_console_is_current(const StewardConsole *console, int64 now)
{
	return console->state == STEWARD_CONSOLE_OK &&
		now - console->sampled_ms <= longest_gap();
}

/*
 * Sum up the queues of all consoles that have answered lately.
 */
void
steward_queues(int64 now, StewardQueues *queues)
{
	StewardBouncers *bouncers = steward_bouncers();

	memset(queues, 0, sizeof(*queues));
	if (bouncers == NULL)
		return;

	LWLockAcquire(bouncers->lock, LW_SHARED);
	for (int i = 0; i < bouncers->nconsoles; i++)
	{
		const StewardConsole *console = &bouncers->consoles[i];

		if (!steward_console_is_current(console, now))
			continue;
		queues->waiting += Max(console->sums.cl_waiting, 0);
		for (int j = 0; j < console->npools && !queues->lasting; j++)
			queues->lasting = lasts(console, &console->pools[j]);
	}
	LWLockRelease(bouncers->lock);
}

/* Append a pool as key=value, in braces. */
static void
describe_pool(StringInfo text, const char *label,
			  const StewardBouncerPool *pool)
{
	const StewardPoolNumbers *numbers = &pool->numbers;

	appendStringInfo(text, "{console=\"%s\" database=\"%s\" user=\"%s\"", label,
					 pool->database, pool->user);
	appendStringInfo(text, " cl_waiting=" INT64_FORMAT " maxwait_seconds=%.1f",
					 numbers->cl_waiting, Max(numbers->maxwait_ms, 0) / 1000.0);
	appendStringInfo(text, " sv_active=" INT64_FORMAT " pool_size=" INT64_FORMAT "}",
					 numbers->sv_active, numbers->pool_size);
}

/*
 * Append the pools in which clients wait, those with most first, without what
 * would break the line.  The values are copied first: the lock is short.
 */
void
steward_queues_describe(int64 now, StringInfo text, int top)
{
	StewardBouncers *bouncers = steward_bouncers();
	StewardBouncerPool *pools;
	char		(*labels)[sizeof(bouncers->consoles[0].label)];
	int			n = 0;

	pools = palloc(top * sizeof(*pools));
	labels = palloc(top * sizeof(*labels));

	LWLockAcquire(bouncers->lock, LW_SHARED);
	for (int i = 0; i < bouncers->nconsoles; i++)
	{
		const StewardConsole *console = &bouncers->consoles[i];

		for (int j = 0; j < console->npools; j++)
		{
			const StewardBouncerPool *pool = &console->pools[j];
			int			at = n;

			if (pool->numbers.cl_waiting <= 0 ||
				!steward_console_is_current(console, now))
				continue;
			/* insert it, and let what is behind the last place fall */
			while (at > 0 && pools[at - 1].numbers.cl_waiting <
				   pool->numbers.cl_waiting)
				at--;
			if (at >= top)
				continue;
			n = Min(n + 1, top);
			memmove(&pools[at + 1], &pools[at], (n - at - 1) * sizeof(*pools));
			memmove(&labels[at + 1], &labels[at],
					(n - at - 1) * sizeof(*labels));
			pools[at] = *pool;
			memcpy(labels[at], console->label, sizeof(*labels));
		}
	}
	LWLockRelease(bouncers->lock);

	for (int i = 0; i < n; i++)
	{
		for (char *p = pools[i].database; *p; p++)
			*p = *p == '"' ? '?' : *p;
		for (char *p = pools[i].user; *p; p++)
			*p = *p == '"' ? '?' : *p;
		if (i > 0)
			appendStringInfoString(text, ", ");
		describe_pool(text, labels[i], &pools[i]);
	}
	pfree(labels);
	pfree(pools);
}
