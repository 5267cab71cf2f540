/*-------------------------------------------------------------------------
 *
 * pool_store.c
 *	  What is remembered about connections, in shared memory.
 *
 * Two rings of fixed size: every sample of the last day (at the default
 * interval), and the last month in quarters of an hour, together 650 kB.  A
 * quarter keeps the worst of its time, because it is read to find out how bad
 * it was.  The launcher is the only writer; readers copy what they want under
 * the lock, which takes a fraction of a millisecond.
 *
 * Nothing is kept over a restart: connections are not, either.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lwlock.h"

#include "base/shmem.h"
#include "pool/pool_store.h"

#define QUARTER_USECS (INT64CONST(900) * USECS_PER_SEC)

/* Shared; NULL unless preloaded. */
static StewardPool *pool_area;

static Size
pool_size(void)
{
	return sizeof(StewardPool);
}

static void
pool_attach(void *area, LWLockPadded *locks, bool found)
{
	pool_area = area;
	if (found)
		return;
	memset(area, 0, sizeof(StewardPool));
	pool_area->lock = &locks[0].lock;
	for (int i = 0; i < STEWARD_REFUSED_KINDS; i++)
		pg_atomic_init_u64(&pool_area->refused[i], 0);
	pg_atomic_init_u64(&pool_area->connects, 0);
	pg_atomic_init_u64(&pool_area->auth_failures, 0);
}

static const StewardShmemArea pool_shmem_area = {
	.name = "pg_steward_pool",
	.nlocks = 1,
	.size = pool_size,
	.attach = pool_attach,
};

/* Register the area, while the library is being preloaded. */
void
steward_pool_store_init(void)
{
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		steward_shmem_register(&pool_shmem_area);
}

/* The shared struct, or NULL if the library was not preloaded. */
StewardPool *
steward_pool(void)
{
	return pool_area;
}

/* Clients refused since the start, of all kinds. */
uint64
steward_pool_refused(const StewardPool *pool)
{
	uint64		sum = 0;

	for (int i = 0; i < STEWARD_REFUSED_KINDS; i++)
		sum += pg_atomic_read_u64((pg_atomic_uint64 *) &pool->refused[i]);
	return sum;
}

/* Append to a ring of this many entries. */
static void
ring_append(StewardPoolRing *ring, StewardPoolSample *entries, uint32 size,
			const StewardPoolSample *sample)
{
	entries[ring->next] = *sample;
	ring->next = (ring->next + 1) % size;
	ring->count = Min(ring->count + 1, size);
}

/* Fold a sample into the quarter of an hour that is being filled. */
static void
fold_sample(StewardPoolSample *quarter, const StewardPoolSample *sample)
{
	quarter->at = sample->at;
	quarter->usable = sample->usable;
	quarter->used = Max(quarter->used, sample->used);
	quarter->half_open = Max(quarter->half_open, sample->half_open);
	quarter->active = Max(quarter->active, sample->active);
	quarter->idle = Max(quarter->idle, sample->idle);
	quarter->idle_in_transaction = Max(quarter->idle_in_transaction,
									   sample->idle_in_transaction);
	quarter->refused = Min(quarter->refused + sample->refused, PG_UINT16_MAX);
	quarter->connects = Min(quarter->connects + sample->connects,
							PG_UINT16_MAX);
	quarter->queued = Max(quarter->queued, sample->queued);
	quarter->level = Max(quarter->level, sample->level);
	quarter->oldest_idle_in_transaction =
		Max(quarter->oldest_idle_in_transaction,
			sample->oldest_idle_in_transaction);
}

/*
 * Remember a sample.  The caller holds the lock exclusively.
 */
void
steward_pool_remember(StewardPool *pool, const StewardPoolSample *sample)
{
	StewardPoolSample *quarter = &pool->quarter;

	ring_append(&pool->samples_ring, pool->samples, STEWARD_POOL_SAMPLES,
				sample);

	if (quarter->at != 0 &&
		quarter->at / QUARTER_USECS != sample->at / QUARTER_USECS)
	{
		ring_append(&pool->quarters_ring, pool->quarters,
					STEWARD_POOL_QUARTERS, quarter);
		memset(quarter, 0, sizeof(*quarter));
	}
	fold_sample(quarter, sample);
}

/* Entry of a ring, counted from the oldest. */
static const StewardPoolSample *
ring_entry(const StewardPoolRing *ring, const StewardPoolSample *entries,
		   uint32 size, uint32 n)
{
	return &entries[(ring->next + size - ring->count + n) % size];
}

/*
 * Copy what is known since a time, oldest first: quarters of an hour as far
 * as they are older than the oldest single sample, then these.  Returns the
 * number; the array is palloc'd in the current memory context.
 */
int
steward_pool_copy(StewardPool *pool, TimestampTz since,
				  StewardPoolSample **samples)
{
	StewardPoolSample *result;
	TimestampTz oldest = DT_NOEND;
	int			n = 0;

	result = palloc(sizeof(StewardPoolSample) *
					(STEWARD_POOL_SAMPLES + STEWARD_POOL_QUARTERS));

	LWLockAcquire(pool->lock, LW_SHARED);
	if (pool->samples_ring.count > 0)
		oldest = ring_entry(&pool->samples_ring, pool->samples,
							STEWARD_POOL_SAMPLES, 0)->at;
	for (uint32 i = 0; i < pool->quarters_ring.count; i++)
	{
		const StewardPoolSample *entry =
			ring_entry(&pool->quarters_ring, pool->quarters,
					   STEWARD_POOL_QUARTERS, i);

		if (entry->at >= since && entry->at < oldest)
			result[n++] = *entry;
	}
	for (uint32 i = 0; i < pool->samples_ring.count; i++)
	{
		const StewardPoolSample *entry =
			ring_entry(&pool->samples_ring, pool->samples,
					   STEWARD_POOL_SAMPLES, i);

		if (entry->at >= since)
			result[n++] = *entry;
	}
	LWLockRelease(pool->lock);

	*samples = result;
	return n;
}
