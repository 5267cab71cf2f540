/*-------------------------------------------------------------------------
 *
 * store_record.h
 *	  Latency histograms in shared memory: counting one execution.
 *
 * This is the hot path, executed once for each statement of the server, and
 * therefore inline: no lock, no error, two atomic additions.  See store.c for
 * why it is safe.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_STORE_RECORD_H
#define STEWARD_STORE_RECORD_H

#include "latency/store_layout.h"

/* store.c */
extern void steward_store_record_long(int64 queryid, Oid role, bool toplevel,
									  int64 latency_ns, int64 waited_us,
									  bool aborted, TimestampTz when);
extern void steward_store_record_locked(int64 queryid, Oid role, bool toplevel,
										int64 latency_ns, int64 waited_us,
										bool aborted, TimestampTz when);
extern void steward_store_next_minute(LatencyEntry *entry, uint32 state,
									  TimestampTz when);
extern void steward_store_empty_sums(LatencyEntry *entry, uint32 state);

/*
 * Add to the sums of an entry, or subtract.  Returns what was in the word for
 * short executions before.  A full barrier.
 */
static pg_attribute_always_inline uint64
add_sums(LatencyEntry *entry, int64 latency_ns, int64 waited_us, bool is_short)
{
	if (is_short)
		return pg_atomic_fetch_add_u64(&entry->sums,
									   SUMS_OF(latency_ns, waited_us));
	pg_atomic_fetch_add_u64(&details_of(entry)->latency_ns, latency_ns);
	pg_atomic_fetch_add_u64(&details_of(entry)->waited_us, waited_us);
	return 0;
}

/*
 * Add one execution to the other counters of an entry that cannot go away.
 */
static pg_attribute_always_inline void
count_execution(LatencyEntry *entry, HistogramPage *page, uint32 bucket,
				bool aborted)
{
	pg_atomic_fetch_add_u32(&page->counts[bucket % STEWARD_HISTOGRAM_COLUMNS],
							1);
	if (aborted)
		pg_atomic_fetch_add_u32(&entry->aborted, 1);
}

/*
 * Count one execution of a statement, if its entry and page are there and
 * stay.  Else false, and nothing is done.
 */
static pg_attribute_always_inline bool
record_unlocked(int64 queryid, Oid role, bool toplevel, int64 latency_ns,
				int64 waited_us, bool aborted, TimestampTz when, bool is_short)
{
	uint64		owner = OWNER_OF(MyDatabaseId, role);
	uint32		bucket = is_short ?
		steward_histogram_bucket_within(latency_ns) :
		steward_histogram_bucket(latency_ns);
	pg_atomic_uint32 *link = chain_of(queryid, owner);
	LatencyEntry *entry;
	uint32		number;
	uint32		state;
	uint32		page;
	uint32		lap;
	uint64		sums;

	for (;; link = &entry->next)
	{
		number = pg_atomic_read_u32(link);
		if (number == 0)
			return false;
		entry = &steward_store.entries[number - 1];
		state = pg_atomic_read_u32(&entry->state);
		pg_read_barrier();
		if (entry->queryid == queryid && entry->owner == owner &&
			(state & ENTRY_KIND_MASK) == live_state(toplevel))
			break;
	}
	if (unlikely((uint64) (when - entry->minute_start) >=
				 USECS_PER_MINUTE))
		steward_store_next_minute(entry, state, when);
	page = pg_atomic_read_u32(&entry->pages[bucket / STEWARD_HISTOGRAM_COLUMNS]);
	if (unlikely(page == 0))
		return false;

	pg_atomic_write_u32(steward_store.hazard, number);
	sums = add_sums(entry, latency_ns, waited_us, is_short);
	if (unlikely(pg_atomic_read_u32(&entry->state) != state))
	{
		add_sums(entry, -latency_ns, -waited_us, is_short);
		pg_atomic_write_u32(steward_store.hazard, 0);
		return false;
	}

	lap = pg_atomic_read_u32(&steward_store.shared->lap);
	if (entry->lap != lap)
		entry->lap = lap;
	count_execution(entry, &steward_store.pages[page - 1], bucket, aborted);
	pg_write_barrier();
	pg_atomic_write_u32(steward_store.hazard, 0);
	if (unlikely((int64) sums < 0))
		steward_store_empty_sums(entry, state);
	return true;
}

/*
 * Count one execution of a statement in this database.  The latency includes
 * what was waited; "when" is about the time at which it ended.
 */
static pg_attribute_always_inline void
record_execution(int64 queryid, Oid role, bool toplevel, int64 latency_ns,
				 int64 waited_us, bool aborted, TimestampTz when)
{
	if (unlikely((uint64) latency_ns >= (uint64) steward_store.short_ns))
		steward_store_record_long(queryid, role, toplevel, latency_ns,
								  waited_us, aborted, when);
	else if (unlikely(!record_unlocked(queryid, role, toplevel, latency_ns,
									   waited_us, aborted, when, true)))
		steward_store_record_locked(queryid, role, toplevel, latency_ns,
									waited_us, aborted, when);
}

#endif							/* STEWARD_STORE_RECORD_H */
