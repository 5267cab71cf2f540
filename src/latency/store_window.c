/*-------------------------------------------------------------------------
 *
 * store_window.c
 *	  Latency histograms in shared memory: minutes.
 *
 * Counters are never set back.  What happened in a period is the difference
 * of two states of a histogram, and differences of histograms are exact.
 *
 * Each page holds, beside the counters, their values at the start of the
 * entry's current minute.  The first execution in a new minute appends the
 * difference to a log and copies the counters: this is the only work, done
 * once a minute for a statement that runs, never for one that does not, and
 * counting itself does not know of it.  The log is a ring of words shared by
 * all entries.  A record is an entry, a minute, and one word for each bucket
 * that was used in that minute.  When the ring is full, the oldest records are
 * overwritten; how far back it reaches is known (steward_store_scan_since()).
 *
 * What is exact: which executions there were.  What is bounded: the time at
 * which they count.  An execution counts in the minute in which it ended by
 * the clock of its start plus its duration, or, when the lock was taken at the
 * turn of the minute, in the one before.  "The last n minutes" are n whole
 * minutes and the current one.  The ring has 150 words a query, 2 MB for 5000:
 * an hour of 300 statements that run every minute and use 25 buckets, and more
 * the less regular statements are.
 *
 * A counter of 32 bits is emptied into a list of 64-bit counts when it has
 * passed 2^31, at the turn of a minute.  It would need 35 million executions a
 * second to wrap around before.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "latency/store_layout.h"

#define SPILL_AT (UINT32_C(1) << 31)

/*
 * Book executions beyond what a counter holds.  Exclusive lock.  If the list
 * is full, they are lost and counted as dropped.
 */
void
steward_store_spill(LatencyEntry *entry, int bucket, uint64 count)
{
	StoreShared *shared = steward_store.shared;
	uint32		number = entry - steward_store.entries;
	int			i;

	for (i = 0; i < shared->nspills; i++)
	{
		if (shared->spills[i].entry == number &&
			shared->spills[i].bucket == bucket)
			break;
	}
	if (i == MAX_SPILLS)
	{
		pg_atomic_fetch_add_u64(&shared->dropped, count);
		return;
	}
	if (i == shared->nspills)
	{
		shared->spills[i].entry = number;
		shared->spills[i].bucket = bucket;
		shared->spills[i].count = 0;
		shared->nspills++;
	}
	shared->spills[i].count += count;
}

/*
 * Remove what an entry has in the list.  Exclusive lock.
 */
void
steward_store_forget_spills(LatencyEntry *entry)
{
	StoreShared *shared = steward_store.shared;
	uint32		number = entry - steward_store.entries;

	for (int i = shared->nspills - 1; i >= 0; i--)
	{
		if (shared->spills[i].entry == number)
			shared->spills[i] = shared->spills[--shared->nspills];
	}
}

/* Overwrite the oldest records until there is room for so many words. */
static void
make_room(uint32 words)
{
	StoreShared *shared = steward_store.shared;

	while (shared->log_head + words - shared->log_tail > shared->nlog)
	{
		uint32		minute = LOG_WORD(shared->log_tail +
									  offsetof(LogRecord, minute) / sizeof(uint32));
		uint32		npairs = LOG_WORD(shared->log_tail +
									  offsetof(LogRecord, npairs) / sizeof(uint32));

		shared->log_lost = Max(shared->log_lost, minute);
		shared->log_tail += LOG_RECORD_WORDS + npairs;
	}
}

/* Append words to the log. */
static void
append_words(const uint32 *words, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
		LOG_WORD(steward_store.shared->log_head++) = words[i];
}

/*
 * Let the base of a page be its present counts; add a pair for each bucket
 * that was used, or several for a count that is too long for one.  Returns
 * the new number of pairs.
 */
static uint32
roll_page(LatencyEntry *entry, int row, HistogramPage *page, uint32 *pairs,
		  uint32 npairs)
{
	for (int i = 0; i < STEWARD_HISTOGRAM_COLUMNS; i++)
	{
		uint32		count = pg_atomic_read_u32(&page->counts[i]);
		uint32		used = count - page->base[i];
		int			bucket = row * STEWARD_HISTOGRAM_COLUMNS + i;

		if (used == 0)
			continue;
		page->base[i] = count;
		if (count >= SPILL_AT)
		{
			/* modulo 2^32, adding 2^31 is subtracting it */
			pg_atomic_fetch_add_u32(&page->counts[i], (int32) SPILL_AT);
			page->base[i] -= SPILL_AT;
			steward_store_spill(entry, bucket, SPILL_AT);
		}
		for (; used > 0 && npairs < MAX_PAIRS; npairs++)
		{
			uint32		part = Min(used, PAIR_MAX_COUNT);

			pairs[npairs] = ((uint32) bucket << PAIR_COUNT_BITS) | part;
			used -= part;
		}
	}
	return npairs;
}

/*
 * Start a new minute of an entry, unless it has begun.  Exclusive lock.
 *
 * A minute a little in the past is that of a statement that ended while
 * another one was counted; one far in the past means that the clock was set
 * back, and is believed.
 */
void
steward_store_roll(LatencyEntry *entry, uint32 minute)
{
	uint32		pairs[MAX_PAIRS];
	uint32		old_minute = MINUTE_OF(entry->minute_start);
	LogRecord	record;

	if (minute <= old_minute && minute + 2 >= old_minute)
		return;

	record.entry = entry - steward_store.entries;
	record.state = pg_atomic_read_u32(&entry->state);
	record.minute = old_minute;
	record.npairs = 0;
	for (int row = 0; row < STEWARD_HISTOGRAM_ROWS; row++)
	{
		uint32		page = pg_atomic_read_u32(&entry->pages[row]);

		if (page != 0)
			record.npairs = roll_page(entry, row, &steward_store.pages[page - 1],
									  pairs, record.npairs);
	}
	entry->minute_start = MINUTE_START(minute);
	if (record.npairs == 0)
		return;

	make_room(LOG_RECORD_WORDS + record.npairs);
	append_words((uint32 *) &record, LOG_RECORD_WORDS);
	append_words(pairs, record.npairs);
}
