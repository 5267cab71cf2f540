/*-------------------------------------------------------------------------
 *
 * store_record.h
 *	  Latency histograms in shared memory: counting one execution.
 *
 * This is the hot path, executed once for each statement of the server, and
 * therefore inline: no lock, no error, at most three atomic operations.  See
 * store.c for why it is safe.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_STORE_RECORD_H
#define STEWARD_STORE_RECORD_H

#include "latency/store_layout.h"

/* store.c */
extern void steward_store_record_locked(int64 queryid, Oid role, bool toplevel,
										int64 elapsed_ns, int64 waited_ns,
										bool aborted, TimestampTz when);
extern void steward_store_next_minute(LatencyEntry *entry, uint32 state,
									  uint32 minute);
extern void steward_store_find_hazard(void);

/*
 * Add one execution to the counters of an entry that cannot go away, except
 * for the sum of times.
 */
static pg_attribute_always_inline void
count_execution(LatencyEntry *entry, HistogramPage *page, int bucket,
				int64 waited_ns, bool aborted)
{
	pg_atomic_fetch_add_u32(&page->counts[bucket % STEWARD_HISTOGRAM_COLUMNS],
							1);
	if (waited_ns > 0)
		pg_atomic_fetch_add_u64(&entry->waited_ns, waited_ns);
	if (aborted)
		pg_atomic_fetch_add_u32(&entry->aborted, 1);
}

/*
 * Count one execution of a statement, if its entry and page are there and
 * stay.  Else false, and nothing is done.
 */
static pg_attribute_always_inline bool
record_unlocked(int64 queryid, uint64 owner, bool toplevel, int64 elapsed_ns,
				int64 waited_ns, bool aborted, TimestampTz when)
{
	uint32		bucket = steward_histogram_bucket(elapsed_ns + waited_ns);
	uint32		minute = MINUTE_OF(when);
	pg_atomic_uint32 *link = chain_of(queryid, owner);
	LatencyEntry *entry;
	uint32		number;
	uint32		state;
	uint32		page;
	uint32		lap;

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
	if (unlikely(entry->minute != minute))
		steward_store_next_minute(entry, state, minute);

	if (unlikely(steward_store.hazard == NULL))
		steward_store_find_hazard();
	pg_atomic_write_u32(steward_store.hazard, number);
	pg_atomic_fetch_add_u64(&entry->elapsed_ns, elapsed_ns);
	page = pg_atomic_read_u32(&entry->pages[bucket / STEWARD_HISTOGRAM_COLUMNS]);
	if (unlikely(pg_atomic_read_u32(&entry->state) != state || page == 0))
	{
		pg_atomic_fetch_sub_u64(&entry->elapsed_ns, elapsed_ns);
		pg_atomic_write_u32(steward_store.hazard, 0);
		return false;
	}

	lap = pg_atomic_read_u32(&steward_store.shared->lap);
	if (entry->lap != lap)
		entry->lap = lap;
	count_execution(entry, &steward_store.pages[page - 1], bucket, waited_ns,
					aborted);
	pg_write_barrier();
	pg_atomic_write_u32(steward_store.hazard, 0);
	return true;
}

/*
 * Count one execution of a statement in this database, whose latency is the
 * sum of both times.  "when" is about the time at which it ended.
 */
static pg_attribute_always_inline void
record_execution(int64 queryid, Oid role, bool toplevel, int64 elapsed_ns,
				 int64 waited_ns, bool aborted, TimestampTz when)
{
	if (unlikely(!record_unlocked(queryid, OWNER_OF(MyDatabaseId, role),
								  toplevel, elapsed_ns, waited_ns, aborted,
								  when)))
		steward_store_record_locked(queryid, role, toplevel, elapsed_ns,
									waited_ns, aborted, when);
}

#endif							/* STEWARD_STORE_RECORD_H */
