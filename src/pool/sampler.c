/*-------------------------------------------------------------------------
 *
 * sampler.c
 *	  Watches the number of connections.
 *
 * A task of the launcher: every pg_steward.pool_sample_interval it counts the
 * connections (pool_count.c), lets the rule judge them (pressure.c), remembers
 * both (pool_store.c) and says what has changed (pool_log.c).  It runs no SQL,
 * is connected to no database, and takes a slot that clients cannot have, so
 * that it goes on when they are refused.
 *
 * Time is that of the monotonic clock; the wall clock only labels samples.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/launcher.h"
#include "base/machine.h"
#include "base/pressure_level.h"
#include "pool/pgbouncer.h"
#include "pool/pool_count.h"
#include "pool/pool_log.h"
#include "pool/pool_store.h"
#include "pool/sampler.h"

/* When sampling is off, or there is nothing else to do. */
#define IDLE_MS 60000L

/* When the next sample is due, in the launcher; 0: now. */
static int64 next_sample_ms;

/* The thresholds as they are set now. */
void
steward_sampler_limits(StewardPressureLimits *limits)
{
	limits->warning_pct = steward_pool_warning_pct;
	limits->critical_pct = steward_pool_critical_pct;
	limits->immediate_pct = steward_pool_immediate_pct;
	limits->warning_after = steward_pool_warning_after;
	limits->critical_after = steward_pool_critical_after;
	limits->clear_after = steward_pool_clear_after;
	limits->reminder = steward_pool_reminder;
	limits->gap = Max(steward_pool_sample_interval, 1) * 3;
}

/*
 * Fill in who is nearest to a CONNECTION LIMIT.  Somebody who locks the
 * catalogs of roles or databases makes us go without it.
 */
static void
look_at_limits(void *count)
{
	steward_pool_limits(count);
}

static uint16
cut_to_16(int64 value)
{
	return (uint16) Max(Min(value, PG_UINT16_MAX), 0);
}

/* The form in which a sample is kept. */
static void
pack_sample(const StewardPoolCount *count, const StewardPressureSample *input,
			int64 connects, int64 queued, StewardPressureLevel level,
			StewardPoolSample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->at = count->at;
	sample->usable = cut_to_16(count->usable);
	sample->used = cut_to_16(count->used);
	sample->half_open = cut_to_16(count->half_open);
	sample->active = cut_to_16(count->active);
	sample->idle = cut_to_16(count->idle);
	sample->idle_in_transaction = cut_to_16(count->idle_in_transaction);
	sample->refused = cut_to_16(input->refused);
	sample->connects = cut_to_16(connects);
	sample->queued = cut_to_16(queued);
	sample->level = level;
	if (count->oldest_idle_in_transaction != 0)
		sample->oldest_idle_in_transaction = (uint32)
			(TimestampDifferenceMilliseconds(count->oldest_idle_in_transaction,
											 count->at) / 1000);
}

/*
 * Judge and remember a count.  Returns what is to be said.
 */
static StewardPressureNews
record_count(StewardPool *pool, const StewardPoolCount *count, int64 now_ms,
			 int64 *refused)
{
	StewardPressureLimits limits;
	StewardPressureSample input;
	StewardPressureNews news;
	StewardPressureLevel before;
	StewardPoolSample sample;
	StewardQueues queues;
	uint64		refused_now = steward_pool_refused(pool);
	uint64		connects_now = pg_atomic_read_u64(&pool->connects);

	steward_sampler_limits(&limits);
	steward_queues(now_ms, &queues);

	LWLockAcquire(pool->lock, LW_EXCLUSIVE);
	*refused = refused_now - pool->refused_seen;
	input.now_ms = now_ms;
	input.used = count->used;
	input.usable = count->usable;
	input.refused = *refused;
	input.queued = queues.lasting;
	before = pool->pressure.level;
	news = steward_pressure_step(&pool->pressure, &limits, &input);
	if (pool->pressure.level != before)
		pool->level_since = count->at;

	pool->connects_last = (uint32) (connects_now - pool->connects_seen);
	pool->interval_seconds = pool->sampled == 0 ? 0 :
		(now_ms - pool->monotonic_ms) / 1000.0;
	pool->refused_seen = refused_now;
	pool->connects_seen = connects_now;
	pool->monotonic_ms = now_ms;
	pool->sampled++;
	pool->latest = *count;
	if (count->used > pool->peak_used || pool->peak_at == 0)
	{
		pool->peak_used = count->used;
		pool->peak_usable = count->usable;
		pool->peak_at = count->at;
	}
	pack_sample(count, &input, pool->connects_last, queues.waiting,
				pool->pressure.level, &sample);
	steward_pool_remember(pool, &sample);
	steward_pressure_level_set((int) pool->pressure.level);
	LWLockRelease(pool->lock);
	return news;
}

/*
 * The task of the launcher.
 */
static long
sampler_run(void)
{
	StewardPool *pool = steward_pool();
	int64		now = steward_monotonic_ms();
	int64		interval = steward_pool_sample_interval * INT64CONST(1000);
	int64		refused;
	StewardPoolCount count;
	StewardPressureNews news;

	if (pool == NULL || interval == 0)
		return IDLE_MS;
	if (next_sample_ms > now + interval)
		next_sample_ms = now;	/* the interval was shortened */
	if (now < next_sample_ms)
		return (long) (next_sample_ms - now);

	steward_pool_count(&count);
	(void) steward_launcher_read_catalogs(look_at_limits, &count);
	news = record_count(pool, &count, now, &refused);
	if (news != STEWARD_NEWS_NONE)
		steward_pool_say(pool, news, &count, refused);

	/* keep to the beat, unless it was missed altogether */
	next_sample_ms = next_sample_ms + interval > now ?
		next_sample_ms + interval : now + interval;
	return (long) Max(next_sample_ms - steward_monotonic_ms(), 1);
}

static const StewardLauncherTask sampler_task = {
	.name = "pool sampler",
	.run = sampler_run,
};

/* Register the task, while the library is being preloaded. */
void
steward_sampler_init(void)
{
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		steward_launcher_register(&sampler_task);
}
