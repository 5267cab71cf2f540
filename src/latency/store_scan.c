/*-------------------------------------------------------------------------
 *
 * store_scan.c
 *	  Latency histograms in shared memory: reading.
 *
 * A scan copies one entry at a time under the shared lock and releases it
 * before the caller computes anything, so that a report over thousands of
 * entries never keeps a new statement waiting.  For a period, the records of
 * the log are copied first; an entry whose minute ended since then has added
 * a record, which is why each copy of an entry is preceded by reading what
 * the log has got meanwhile.  An entry is thus consistent in itself, while
 * two entries may be from different moments.
 *
 * Memory is never allocated under the lock: where copies find no room, the
 * lock is released, room is made, and reading goes on.
 *
 * Memory belongs to the context in which the scan began.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "latency/store_layout.h"

/* Copy of a record of the log; the pairs are in the scan's words. */
typedef struct PastMinute
{
	uint32		state;
	uint32		npairs;
	uint64		pairs;			/* first one */
	int64		next;			/* of the same entry, -1 for none */
} PastMinute;

struct StewardStoreScan
{
	uint32		next;			/* entry */
	bool		whole;			/* everything since the reset */
	uint32		cutoff;			/* else, the first minute that counts */
	uint32		last;			/* and the last one */

	/* Of a period only. */
	uint64		log_read;		/* position in the log */
	int64	   *first;			/* past minute of each entry, -1 for none */
	PastMinute *past;
	int64		npast;
	int64		max_past;
	uint32	   *words;
	uint64		nwords;
	uint64		max_words;
};

/*
 * Start reading what happened in the last so many minutes, 0 for all.
 */
StewardStoreScan *
steward_store_scan_begin(int minutes)
{
	StewardStoreScan *scan = palloc0(sizeof(StewardStoreScan));

	scan->whole = minutes == 0;
	if (scan->whole)
		return scan;

	scan->last = MINUTE_OF(GetCurrentTimestamp()) + 1;
	scan->cutoff = scan->last - 1 - minutes;
	scan->first = palloc_extended(steward_store.shared->nentries * sizeof(int64),
								  MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < steward_store.shared->nentries; i++)
		scan->first[i] = -1;
	scan->max_past = 1024;
	scan->past = palloc(scan->max_past * sizeof(PastMinute));
	scan->max_words = 2 * MAX_PAIRS;
	scan->words = palloc(scan->max_words * sizeof(uint32));
	return scan;
}

/*
 * Is a minute part of the scan's period?  One in the future is not: a clock
 * that was set back has been there.
 */
static inline bool
counts_minute(const StewardStoreScan *scan, uint32 minute)
{
	return scan->whole || (minute >= scan->cutoff && minute <= scan->last);
}

/* Is there room for the copy of one more record of the log? */
static inline bool
has_room(const StewardStoreScan *scan)
{
	return scan->npast < scan->max_past &&
		scan->nwords + MAX_PAIRS <= scan->max_words;
}

/* Make room for at least one more record.  Not under the lock. */
static void
grow_copies(StewardStoreScan *scan)
{
	if (scan->npast == scan->max_past)
		scan->past = repalloc_huge(scan->past,
								   (scan->max_past *= 2) * sizeof(PastMinute));
	if (scan->nwords + MAX_PAIRS > scan->max_words)
		scan->words = repalloc_huge(scan->words,
									(scan->max_words *= 2) * sizeof(uint32));
}

/* Copy one record of the log, for which there is room. */
static void
copy_record(StewardStoreScan *scan, const LogRecord *record)
{
	PastMinute *past = &scan->past[scan->npast];

	past->state = record->state;
	past->npairs = record->npairs;
	past->pairs = scan->nwords;
	past->next = scan->first[record->entry];
	scan->first[record->entry] = scan->npast++;
	for (uint32 i = 0; i < record->npairs; i++)
		scan->words[scan->nwords++] =
			LOG_WORD(scan->log_read + LOG_RECORD_WORDS + i);
}

/*
 * Copy the records that the log has got since the last time.  False if there
 * is no room for all of them; those that were copied are not read again.
 * Shared lock.
 */
static bool
read_log(StewardStoreScan *scan)
{
	StoreShared *shared = steward_store.shared;

	scan->log_read = Max(scan->log_read, shared->log_tail);
	while (scan->log_read < shared->log_head)
	{
		LogRecord	record;

		for (int i = 0; i < LOG_RECORD_WORDS; i++)
			((uint32 *) &record)[i] = LOG_WORD(scan->log_read + i);
		if (counts_minute(scan, record.minute))
		{
			if (!has_room(scan))
				return false;
			copy_record(scan, &record);
		}
		scan->log_read += LOG_RECORD_WORDS + record.npairs;
	}
	return true;
}

/*
 * Take the shared lock; for a period, with everything that is in the log
 * copied.  May raise an error for lack of memory, then without the lock.
 */
static void
lock_store(StewardStoreScan *scan)
{
	LWLockAcquire(steward_store.lock, LW_SHARED);
	while (!scan->whole && !read_log(scan))
	{
		LWLockRelease(steward_store.lock);
		grow_copies(scan);
		LWLockAcquire(steward_store.lock, LW_SHARED);
	}
}

/* Add the counters of an entry.  Shared lock. */
static void
add_counters(const StewardStoreScan *scan, LatencyEntry *entry,
			 StewardHistogram *histogram)
{
	for (int row = 0; row < STEWARD_HISTOGRAM_ROWS; row++)
	{
		uint32		number = pg_atomic_read_u32(&entry->pages[row]);
		HistogramPage *page = &steward_store.pages[number - 1];

		for (int i = 0; number != 0 && i < STEWARD_HISTOGRAM_COLUMNS; i++)
		{
			uint32		count = pg_atomic_read_u32(&page->counts[i]);

			if (!scan->whole)
				count -= page->base[i];
			if (count > 0)
				steward_histogram_add(histogram,
									  row * STEWARD_HISTOGRAM_COLUMNS + i,
									  count);
		}
	}
}

/* Copy an entry.  Shared lock. */
static void
copy_entry(const StewardStoreScan *scan, LatencyEntry *entry,
		   StewardLatency *latency)
{
	StoreShared *shared = steward_store.shared;
	LatencyDetails *details = details_of(entry);
	uint64		sums = pg_atomic_read_u64(&entry->sums);
	uint32		number = entry - steward_store.entries;

	memset(latency, 0, sizeof(StewardLatency));
	latency->key.queryid = entry->queryid;
	latency->key.database = OWNER_DATABASE(entry->owner);
	latency->key.role = OWNER_ROLE(entry->owner);
	latency->key.toplevel =
		(pg_atomic_read_u32(&entry->state) & ENTRY_TOPLEVEL) != 0;
	latency->since = details->since;
	latency->waited_ns = NS_IN_US *
		(pg_atomic_read_u64(&details->waited_us) + SUMS_WAITED_US(sums));
	pg_read_barrier();
	latency->elapsed_ns = pg_atomic_read_u64(&details->latency_ns) +
		SUMS_LATENCY_NS(sums) - latency->waited_ns;
	if ((int64) latency->elapsed_ns < 0)
		latency->elapsed_ns = 0;	/* somebody is subtracting, see store.c */
	latency->aborted = pg_atomic_read_u32(&entry->aborted);

	if (counts_minute(scan, MINUTE_OF(entry->minute_start)))
		add_counters(scan, entry, &latency->histogram);
	for (int i = 0; scan->whole && i < shared->nspills; i++)
	{
		if (shared->spills[i].entry == number)
			steward_histogram_add(&latency->histogram,
								  shared->spills[i].bucket,
								  shared->spills[i].count);
	}
}

/* Add what the log knows of an entry that was in a state. */
static void
add_past(const StewardStoreScan *scan, uint32 number, uint32 state,
		 StewardHistogram *histogram)
{
	int64		i = scan->whole ? -1 : scan->first[number];

	for (; i >= 0; i = scan->past[i].next)
	{
		const PastMinute *past = &scan->past[i];

		for (uint32 j = 0; past->state == state && j < past->npairs; j++)
		{
			uint32		pair = scan->words[past->pairs + j];

			steward_histogram_add(histogram, pair >> PAIR_COUNT_BITS,
								  pair & PAIR_MAX_COUNT);
		}
	}
}

/* Copy an entry with its past, if it is in use.  After lock_store(). */
static bool
read_entry(StewardStoreScan *scan, LatencyEntry *entry,
		   StewardLatency *latency)
{
	uint32		state = pg_atomic_read_u32(&entry->state);

	if ((state & ENTRY_LIFE_MASK) != ENTRY_LIVE)
		return false;
	copy_entry(scan, entry, latency);
	add_past(scan, entry - steward_store.entries, state, &latency->histogram);
	return true;
}

/*
 * Read the next entry of which anything is known.  False after the last.
 */
bool
steward_store_scan_next(StewardStoreScan *scan, StewardLatency *latency)
{
	bool		found = false;

	while (!found)
	{
		lock_store(scan);
		if (scan->next >= steward_store.shared->fresh_entries)
		{
			LWLockRelease(steward_store.lock);
			return false;
		}
		found = read_entry(scan, &steward_store.entries[scan->next++], latency);
		LWLockRelease(steward_store.lock);
		found = found && latency->histogram.total > 0;
	}
	return true;
}

/*
 * Read the entry of a key.  False if there is none.
 */
bool
steward_store_scan_find(StewardStoreScan *scan, const StewardLatencyKey *key,
						StewardLatency *latency)
{
	LatencyEntry *entry;
	bool		found;

	lock_store(scan);
	entry = steward_store_find(key);
	found = entry != NULL && read_entry(scan, entry, latency);
	LWLockRelease(steward_store.lock);
	return found;
}

/*
 * Since when a scan knows everything: the start of its period, or later if
 * the log does not reach so far back, or the last reset of everything.
 */
TimestampTz
steward_store_scan_since(StewardStoreScan *scan)
{
	StoreShared *shared = steward_store.shared;
	TimestampTz since;

	LWLockAcquire(steward_store.lock, LW_SHARED);
	since = shared->reset_at;
	if (!scan->whole)
	{
		uint32		minute = Max(scan->cutoff, shared->log_lost + 1);

		minute = Max(minute, shared->first_minute);
		since = Max(since, MINUTE_START(minute));
	}
	LWLockRelease(steward_store.lock);
	return since;
}
