/*-------------------------------------------------------------------------
 *
 * store.c
 *	  Latency histograms in shared memory: counting.
 *
 * There is one entry for each key, found through a chained hash table, and
 * one histogram page for each row (octave) of its histogram that was ever
 * touched.  All memory is allocated at server start; the server's kernel backs
 * it when it is first written.  Files:
 *
 *	store_layout.h	what lies in shared memory
 *	store_record.h	counting, as far as it is inline
 *	store.c			creation, the rest of counting, reset
 *	store_alloc.c	hash table, entries, pages, eviction
 *	store_window.c	minutes and the log of past minutes
 *	store_scan.c	reading
 *	store_file.c	keeping everything over a restart
 *
 * Counting takes no lock.  A backend finds the entry by reading the chain,
 * publishes its number in the backend's hazard word, adds to the entry's sum
 * of times, which is a full barrier, checks that the entry is still the same,
 * adds to the other counters, and clears the word.  Who removes an entry first
 * takes it out of its chain and changes its state, then passes a full barrier,
 * then reads all hazard words.  Either the remover sees the word, or the
 * backend sees the new state and takes back what it added.  An entry that is
 * seen in a hazard word, or has a sum that is not 0 after it was cleared, stays
 * in limbo and is reused when that has changed; nobody ever waits for it.
 *
 * A chain may be changed while it is read.  A reader can then miss a key that
 * is there, or be led into another chain, but never find a wrong key, because
 * keys are compared.  Who does not find a key takes the lock and looks again.
 *
 * The lock guards everything but counters.  It is taken exclusively for what
 * happens seldom: the first execution of a key, the first one of a key in a
 * new octave, the first one in a new minute (only if the lock is free), when
 * the word for the sums of short executions is nearly full (SUMS_OF()), and
 * for resets; and shared, for one entry at a time, by reports.  Under it nothing
 * waits and nothing raises an error.
 *
 * Reports are exact up to the executions that are being counted meanwhile.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "latency/store_record.h"
#include "latency/tracker.h"

Store		steward_store;

/* Sizes of the parts, in the order in which they lie. */
typedef struct StoreSizes
{
	Size		shared;
	Size		hazards;
	Size		entries;
	Size		heads;
	Size		pages;
	Size		details;
	Size		log;
} StoreSizes;

static Size store_size(void);
static void attach_store(void *area, LWLockPadded *locks, bool found);

static const StewardShmemArea store_area = {
	.name = "pg_steward latency",
	.nlocks = 1,
	.size = store_size,
	.attach = attach_store,
};

/*
 * Ask for the shared memory; only while the library is being preloaded.
 */
void
steward_store_init(void)
{
	steward_shmem_register(&store_area);
}

static uint32
power_of_two_from(uint32 wanted)
{
	return pg_nextpower2_32(Max(wanted, 64));
}

static uint32
log_words(void)
{
	return pg_prevpower2_32(Max(steward_max_queries * LOG_WORDS_PER_ENTRY,
								16 * 1024));
}

static uint32
hazard_count(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

static void
compute_sizes(StoreSizes *sizes)
{
	Size		nentries = steward_max_queries;

	sizes->shared = CACHELINEALIGN(sizeof(StoreShared));
	sizes->hazards = mul_size(hazard_count(), sizeof(Hazard));
	sizes->entries = CACHELINEALIGN(mul_size(nentries, sizeof(LatencyEntry)));
	sizes->heads = mul_size(power_of_two_from(nentries), sizeof(uint32));
	sizes->pages = mul_size(mul_size(nentries, PAGES_PER_ENTRY),
							sizeof(HistogramPage));
	sizes->details = CACHELINEALIGN(mul_size(nentries, sizeof(LatencyDetails)));
	sizes->log = mul_size(log_words(), sizeof(uint32));
}

static Size
store_size(void)
{
	StoreSizes	sizes;
	Size		size = PG_CACHE_LINE_SIZE;

	compute_sizes(&sizes);
	size = add_size(size, sizes.shared);
	size = add_size(size, sizes.hazards);
	size = add_size(size, sizes.entries);
	size = add_size(size, sizes.heads);
	size = add_size(size, sizes.pages);
	size = add_size(size, sizes.details);
	return add_size(size, sizes.log);
}

/*
 * Fill the memory.  Entries and pages are cleared when they are first used, so
 * that what is never needed stays untouched.
 */
static void
create_store(StoreShared *shared)
{
	memset(shared, 0, sizeof(StoreShared));
	shared->nentries = steward_max_queries;
	shared->nheads = power_of_two_from(steward_max_queries);
	shared->npages = steward_max_queries * PAGES_PER_ENTRY;
	shared->nhazards = hazard_count();
	shared->nlog = log_words();
	pg_atomic_init_u32(&shared->lap, 2);
	pg_atomic_init_u64(&shared->dropped, 0);
	shared->reset_at = GetCurrentTimestamp();
	shared->first_minute = MINUTE_OF(shared->reset_at);

	for (uint32 i = 0; i < shared->nhazards; i++)
		pg_atomic_init_u32(&steward_store.hazards[i].entry, 0);
	for (uint32 i = 0; i < shared->nheads; i++)
		pg_atomic_init_u32(&steward_store.heads[i], 0);
}

/*
 * Find the parts, and let the statements come.  The postmaster also reads
 * what the last shutdown left and will write at the next.
 */
static void
attach_store(void *area, LWLockPadded *locks, bool found)
{
	StoreSizes	sizes;
	char	   *part = (char *) CACHELINEALIGN(area);

	compute_sizes(&sizes);
	steward_store.shared = (StoreShared *) part;
	steward_store.hazards = (Hazard *) (part += sizes.shared);
	steward_store.entries = (LatencyEntry *) (part += sizes.hazards);
	steward_store.heads = (pg_atomic_uint32 *) (part += sizes.entries);
	steward_store.pages = (HistogramPage *) (part += sizes.heads);
	steward_store.details = (LatencyDetails *) (part += sizes.pages);
	steward_store.log = (uint32 *) (part + sizes.details);
	steward_store.lock = &locks[0].lock;
	steward_store.head_shift =
		64 - pg_leftmost_one_pos32(power_of_two_from(steward_max_queries));

	if (!found)
		create_store(steward_store.shared);
	if (!IsUnderPostmaster)
	{
		on_shmem_exit(steward_store_save, (Datum) 0);
		if (!found)
			steward_store_load();
	}
	steward_tracker_install();
}

/*
 * Count an execution that is not short, or the first one of this process,
 * which then finds its hazard word.
 */
void
steward_store_record_long(int64 queryid, Oid role, bool toplevel,
						  int64 latency_ns, int64 waited_us, bool aborted,
						  TimestampTz when)
{
	if (steward_store.hazard == NULL)
	{
		steward_store.hazard =
			&steward_store.hazards[STEWARD_PROC_NUMBER].entry;
		steward_store.short_ns =
			SUMS_UNDER_WAY_NS / steward_store.shared->nhazards;
	}
	if (!record_unlocked(queryid, role, toplevel, latency_ns, waited_us,
						 aborted, when, false))
		steward_store_record_locked(queryid, role, toplevel, latency_ns,
									waited_us, aborted, when);
}

/*
 * Count an execution with everything that may be missing: entry, page, a new
 * minute.  Without room, the execution is counted as dropped; and also if this
 * process has the lock, which an error raised under it, against the rule, would
 * have left to us.
 */
void
steward_store_record_locked(int64 queryid, Oid role, bool toplevel,
							int64 latency_ns, int64 waited_us, bool aborted,
							TimestampTz when)
{
	StewardLatencyKey key = {queryid, MyDatabaseId, role, toplevel};
	int			bucket = steward_histogram_bucket(latency_ns);
	LatencyEntry *entry;
	HistogramPage *page = NULL;

	if (LWLockHeldByMe(steward_store.lock))
	{
		pg_atomic_fetch_add_u64(&steward_store.shared->dropped, 1);
		return;
	}
	LWLockAcquire(steward_store.lock, LW_EXCLUSIVE);
	entry = steward_store_find(&key);
	if (entry != NULL)
		entry->lap = pg_atomic_read_u32(&steward_store.shared->lap);
	else
		entry = steward_store_insert(&key, when);
	if (entry != NULL)
	{
		steward_store_roll(entry, MINUTE_OF(when));
		page = steward_store_page(entry, bucket / STEWARD_HISTOGRAM_COLUMNS);
	}
	if (page != NULL)
	{
		add_sums(entry, latency_ns, waited_us, false);
		count_execution(entry, page, bucket, aborted);
	}
	else
		pg_atomic_fetch_add_u64(&steward_store.shared->dropped, 1);
	LWLockRelease(steward_store.lock);
}

/*
 * The first execution of an entry in a new minute puts the last one into the
 * log.  If the lock is taken, one of the next executions will do it, and a
 * few executions are booked a minute early.
 */
void
steward_store_next_minute(LatencyEntry *entry, uint32 state, TimestampTz when)
{
	if (!LWLockConditionalAcquire(steward_store.lock, LW_EXCLUSIVE))
		return;
	if (pg_atomic_read_u32(&entry->state) == state)
		steward_store_roll(entry, MINUTE_OF(when));
	LWLockRelease(steward_store.lock);
}

/*
 * Make room in the word for the sums of short executions.  This is done under
 * the lock, so that a report finds the times in one of the two places.  If this
 * process has the lock, see above, somebody else will do it.
 */
void
steward_store_empty_sums(LatencyEntry *entry, uint32 state)
{
	uint64		sums;

	if (LWLockHeldByMe(steward_store.lock))
		return;
	LWLockAcquire(steward_store.lock, LW_EXCLUSIVE);
	if (pg_atomic_read_u32(&entry->state) == state)
	{
		sums = pg_atomic_exchange_u64(&entry->sums, SUMS_NOTHING);
		add_sums(entry, SUMS_LATENCY_NS(sums), SUMS_WAITED_US(sums), false);
	}
	LWLockRelease(steward_store.lock);
}

/*
 * Forget the keys that a filter names; returns how many there were.
 */
int64
steward_store_reset(const StewardResetFilter *filter)
{
	StoreShared *shared = steward_store.shared;
	int64		removed = 0;

	LWLockAcquire(steward_store.lock, LW_EXCLUSIVE);
	for (uint32 i = 0; i < shared->fresh_entries; i++)
	{
		LatencyEntry *entry = &steward_store.entries[i];
		uint32		state = pg_atomic_read_u32(&entry->state);

		if ((state & ENTRY_LIFE_MASK) != ENTRY_LIVE ||
			(filter->has_queryid && filter->queryid != entry->queryid) ||
			(filter->has_database &&
			 filter->database != OWNER_DATABASE(entry->owner)) ||
			(filter->has_role && filter->role != OWNER_ROLE(entry->owner)))
			continue;
		steward_store_remove(entry);
		removed++;
	}
	steward_store_collect();
	if (!filter->has_queryid && !filter->has_database && !filter->has_role)
	{
		shared->reset_at = GetCurrentTimestamp();
		shared->evictions = 0;
		pg_atomic_write_u64(&shared->dropped, 0);
	}
	LWLockRelease(steward_store.lock);
	return removed;
}

/*
 * Fill in how full the store is and what was lost.
 */
void
steward_store_info(StewardStoreInfo *info)
{
	StoreShared *shared = steward_store.shared;

	LWLockAcquire(steward_store.lock, LW_SHARED);
	info->entries = shared->used_entries;
	info->max_entries = shared->nentries;
	info->pages = shared->used_pages;
	info->max_pages = shared->npages;
	info->evictions = shared->evictions;
	info->dropped = pg_atomic_read_u64(&shared->dropped);
	info->reset_at = shared->reset_at;
	LWLockRelease(steward_store.lock);
}
