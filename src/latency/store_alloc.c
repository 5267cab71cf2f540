/*-------------------------------------------------------------------------
 *
 * store_alloc.c
 *	  Latency histograms in shared memory: hash table, entries, pages.
 *
 * Everything here runs under the store's lock, held exclusively, or in the
 * postmaster while it is alone; see store.c for what runs beside it.
 *
 * When there is no free entry, or no free page, a clock hand walks over the
 * entries.  Each execution stamps its entry with the number of the hand's lap;
 * an entry that was used in this lap or in the last one stays, and gets a
 * credit.  One that was not used loses a credit, and makes room when it has
 * none.  With many new statements a lap takes only milliseconds, and a session
 * that executes a statement all the time may not be given a CPU for several of
 * them; credits bridge that.  A new entry is stamped as if it had not been used
 * for long, and has no credit: what is executed only once does not drive out
 * what is executed again and again.  No counter is looked at.
 * Removed entries go through limbo (store.c); as hazard words are all read
 * then, a few entries are removed at once.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/proc.h"

#include "latency/store_layout.h"

/* Entries that are removed at once when there is no room. */
#define EVICT_AT_ONCE 8

/* An entry that was not used for so many laps loses a credit each lap. */
#define UNUSED_LAPS 2

/* And cannot have more of them: laps in which it stays unused. */
#define MAX_CREDIT 32

/* After so many laps without executions every entry has been removed. */
#define LAPS_TO_EVICT (UNUSED_LAPS + MAX_CREDIT + 1)

/*
 * The entry of a key, or NULL.  A shared lock is enough.
 */
LatencyEntry *
steward_store_find(const StewardLatencyKey *key)
{
	uint64		owner = OWNER_OF(key->database, key->role);
	uint32		number = pg_atomic_read_u32(chain_of(key->queryid, owner));

	while (number != 0)
	{
		LatencyEntry *entry = &steward_store.entries[number - 1];
		uint32		state = pg_atomic_read_u32(&entry->state);

		if (entry->queryid == key->queryid && entry->owner == owner &&
			(state & ENTRY_KIND_MASK) == live_state(key->toplevel))
			return entry;
		number = pg_atomic_read_u32(&entry->next);
	}
	return NULL;
}

/* Take an entry out of the chain of its key. */
static void
unlink_entry(LatencyEntry *entry)
{
	uint32		number = entry - steward_store.entries + 1;
	pg_atomic_uint32 *link = chain_of(entry->queryid, entry->owner);

	while (pg_atomic_read_u32(link) != number)
		link = &steward_store.entries[pg_atomic_read_u32(link) - 1].next;
	pg_atomic_write_u32(link, pg_atomic_read_u32(&entry->next));
}

/*
 * Forget a key.  The entry can be reused after steward_store_collect().
 */
void
steward_store_remove(LatencyEntry *entry)
{
	StoreShared *shared = steward_store.shared;
	uint32		state = pg_atomic_read_u32(&entry->state);

	unlink_entry(entry);
	pg_atomic_write_u32(&entry->state,
						(state & ~ENTRY_LIFE_MASK) | ENTRY_LIMBO);
	pg_atomic_write_u32(&entry->next, shared->limbo);
	shared->limbo = entry - steward_store.entries + 1;
	shared->used_entries--;
}

/* Give back an entry and its pages; nobody can be using them. */
static void
free_entry(LatencyEntry *entry)
{
	StoreShared *shared = steward_store.shared;
	uint32		state = pg_atomic_read_u32(&entry->state);

	for (int row = 0; row < STEWARD_HISTOGRAM_ROWS; row++)
	{
		uint32		page = pg_atomic_read_u32(&entry->pages[row]);

		if (page == 0)
			continue;
		pg_atomic_write_u32(&steward_store.pages[page - 1].counts[0],
							shared->free_pages);
		shared->free_pages = page;
		shared->used_pages--;
		pg_atomic_write_u32(&entry->pages[row], 0);
	}
	steward_store_forget_spills(entry);

	pg_atomic_write_u32(&entry->state,
						(state & ~(ENTRY_GENERATION - 1)) + ENTRY_GENERATION);
	pg_atomic_write_u32(&entry->next, shared->free_entries);
	shared->free_entries = entry - steward_store.entries + 1;
}

/* Let the sums of an entry be nothing. */
static inline void
clear_sums(LatencyEntry *entry)
{
	pg_atomic_write_u64(&entry->sums, SUMS_NOTHING);
	pg_atomic_write_u32(&entry->aborted, 0);
	pg_atomic_write_u64(&details_of(entry)->latency_ns, 0);
	pg_atomic_write_u64(&details_of(entry)->waited_us, 0);
}

/* The same for all entries in limbo. */
static void
clear_limbo(void)
{
	uint32		number = steward_store.shared->limbo;

	while (number != 0)
	{
		LatencyEntry *entry = &steward_store.entries[number - 1];

		clear_sums(entry);
		number = pg_atomic_read_u32(&entry->next);
	}
}

/* Are the sums of an entry nothing? */
static inline bool
is_clear(LatencyEntry *entry)
{
	return pg_atomic_read_u64(&entry->sums) == SUMS_NOTHING &&
		pg_atomic_read_u32(&entry->aborted) == 0 &&
		pg_atomic_read_u64(&details_of(entry)->latency_ns) == 0 &&
		pg_atomic_read_u64(&details_of(entry)->waited_us) == 0;
}

/*
 * Make the entries in limbo that nobody uses any more available.
 *
 * Sums are cleared before hazard words are read, and must still be so after
 * that.  A backend that came in between, and cleared its word before it could
 * be seen, may have added to them, or subtracted what was added before they
 * were cleared.  A backend that publishes its word later finds the new state,
 * so that it subtracts what it adds, and leaves nothing.  An entry in use, or not
 * clear, stays in limbo and is cleared once more.
 */
void
steward_store_collect(void)
{
	StoreShared *shared = steward_store.shared;
	uint32		busy[64];
	int			nbusy = 0;
	uint32		number = shared->limbo;
	uint32		kept = 0;

	if (number == 0)
		return;

	/* After this, a backend that publishes an entry sees its new state. */
	clear_limbo();
	pg_memory_barrier();
	for (uint32 i = 0; i < shared->nhazards; i++)
	{
		uint32		hazard = pg_atomic_read_u32(&steward_store.hazards[i].entry);

		if (hazard == 0)
			continue;
		if (nbusy == lengthof(busy))
			return;				/* a busy moment: another time */
		busy[nbusy++] = hazard;
	}
	pg_read_barrier();

	while (number != 0)
	{
		LatencyEntry *entry = &steward_store.entries[number - 1];
		uint32		next = pg_atomic_read_u32(&entry->next);
		bool		in_use = !is_clear(entry);

		for (int i = 0; i < nbusy; i++)
			in_use |= busy[i] == number;
		if (in_use)
		{
			pg_atomic_write_u32(&entry->next, kept);
			kept = number;
		}
		else
			free_entry(entry);
		number = next;
	}
	shared->limbo = kept;
}

/*
 * Has an entry not been used for so long that it may be removed?  Called once
 * a lap, it keeps the books of credits.
 */
static bool
is_worn_out(const LatencyEntry *entry, uint32 lap)
{
	uint8	   *credit = &details_of(entry)->credit;

	if (lap - entry->lap < UNUSED_LAPS)
	{
		if (*credit < MAX_CREDIT)
			(*credit)++;
		return false;
	}
	if (*credit > 0)
	{
		(*credit)--;
		return false;
	}
	return true;
}

/*
 * Remove a few entries that were not used lately, but not the one for which
 * room is needed.  Usually some are found within a few steps.  If all have
 * been in use, credits are used up in many laps; as each of them was earned in
 * a step before, this is rare, and a step costs little more on average.
 */
static void
evict_entries(const LatencyEntry *spare)
{
	StoreShared *shared = steward_store.shared;
	int			evicted = 0;

	for (uint32 step = 0;
		 step < LAPS_TO_EVICT * shared->fresh_entries && evicted < EVICT_AT_ONCE; step++)
	{
		LatencyEntry *entry = &steward_store.entries[shared->hand];
		uint32		lap = pg_atomic_read_u32(&shared->lap);

		if (++shared->hand >= shared->fresh_entries)
		{
			shared->hand = 0;
			pg_atomic_write_u32(&shared->lap, lap + 1);
		}
		if ((pg_atomic_read_u32(&entry->state) & ENTRY_LIFE_MASK) != ENTRY_LIVE ||
			entry == spare || !is_worn_out(entry, lap))
			continue;
		steward_store_remove(entry);
		shared->evictions++;
		evicted++;
	}
	steward_store_collect();
}

/* An entry that is free, or NULL. */
static LatencyEntry *
take_entry(void)
{
	StoreShared *shared = steward_store.shared;
	LatencyEntry *entry;

	if (shared->free_entries == 0 && shared->fresh_entries < shared->nentries)
	{
		entry = &steward_store.entries[shared->fresh_entries++];
		memset(entry, 0, sizeof(LatencyEntry));
		clear_sums(entry);
		return entry;
	}
	if (shared->free_entries == 0)
		steward_store_collect();
	if (shared->free_entries == 0)
		evict_entries(NULL);
	if (shared->free_entries == 0)
		return NULL;
	entry = &steward_store.entries[shared->free_entries - 1];
	shared->free_entries = pg_atomic_read_u32(&entry->next);
	return entry;
}

/*
 * Create the entry of a key that has none.  NULL if there is no room.
 */
LatencyEntry *
steward_store_insert(const StewardLatencyKey *key, TimestampTz since)
{
	uint64		owner = OWNER_OF(key->database, key->role);
	pg_atomic_uint32 *chain = chain_of(key->queryid, owner);
	LatencyEntry *entry = take_entry();

	if (entry == NULL)
		return NULL;
	entry->queryid = key->queryid;
	entry->owner = owner;
	entry->lap = pg_atomic_read_u32(&steward_store.shared->lap) - UNUSED_LAPS;
	entry->minute_start = MINUTE_START(MINUTE_OF(since));
	details_of(entry)->credit = 0;
	details_of(entry)->since = since;
	steward_store.shared->used_entries++;

	pg_write_barrier();
	pg_atomic_write_u32(&entry->state,
						pg_atomic_read_u32(&entry->state) |
						live_state(key->toplevel));
	pg_atomic_write_u32(&entry->next, pg_atomic_read_u32(chain));
	pg_write_barrier();
	pg_atomic_write_u32(chain, entry - steward_store.entries + 1);
	return entry;
}

/*
 * The page of one row of an entry, created if need be.  NULL if there is no
 * room.
 */
HistogramPage *
steward_store_page(LatencyEntry *entry, int row)
{
	StoreShared *shared = steward_store.shared;
	uint32		number = pg_atomic_read_u32(&entry->pages[row]);
	HistogramPage *page;

	if (number != 0)
		return &steward_store.pages[number - 1];

	if (shared->free_pages == 0 && shared->fresh_pages < shared->npages)
		number = ++shared->fresh_pages;
	else
	{
		if (shared->free_pages == 0)
			steward_store_collect();
		if (shared->free_pages == 0)
			evict_entries(entry);
		if (shared->free_pages == 0)
			return NULL;
		number = shared->free_pages;
		shared->free_pages =
			pg_atomic_read_u32(&steward_store.pages[number - 1].counts[0]);
	}

	page = &steward_store.pages[number - 1];
	for (int i = 0; i < STEWARD_HISTOGRAM_COLUMNS; i++)
		pg_atomic_write_u32(&page->counts[i], 0);
	memset(page->base, 0, sizeof(page->base));
	shared->used_pages++;
	pg_write_barrier();
	pg_atomic_write_u32(&entry->pages[row], number);
	return page;
}
