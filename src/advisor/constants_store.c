/*-------------------------------------------------------------------------
 *
 * constants_store.c
 *	  Sampled constants of statements, in shared memory.
 *
 * pg_stat_statements has $n where a statement had constants.  While
 * pg_steward.sample_constants is on, up to three sets of them are kept here for
 * each statement, and up to three sets of values of the parameters that it has
 * of its own, so that index advice can plan it as it is executed.
 *
 * Nothing here is shown to anybody.  The advisor reads samples for callers who
 * may read all data and all statements, see workload.c; they never reach the
 * log, a file or a replica, and are gone when the server stops.  Those of
 * statements that pg_stat_statements has forgotten are forgotten as well when
 * advice is next asked for, and reset_sampled_constants() forgets all.
 *
 * The area has a fixed number of entries, found through a hash table with
 * chains, and of blocks of 64 bytes, of which a sample takes a list.  If either
 * runs out, the entry that was executed longest ago makes room.
 *
 * Everything is guarded by one LWLock.  That is enough because a session comes
 * here ever more rarely the more often it has executed a statement
 * (constants_capture.c), and stays for the copying of a kilobyte at most.
 * Nothing raises an error or allocates memory under the lock.
 *
 * Which sample is kept: the first three, then a random one is replaced with
 * probability 3/n for the n-th, but never less than 3/64, so that they follow a
 * change of habits (reservoir sampling, Vitter 1985, with a floor).  The first
 * one is compared with each newcomer, to know which constants stay the same.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/lwlock.h"

#include "base/guc.h"
#include "base/shmem.h"
#include "advisor/constants.h"

/* A block: the number of the next one, and bytes of a sample. */
#define BLOCK_BYTES 60

/* Share of the memory for entries: one for so many bytes. */
#define BYTES_PER_ENTRY 512

/* Every newcomer is looked at up to this number, then one of so many. */
#define LOOKED_AT_ALL 32
#define LOOKED_AT_EVERY 16

/* The reservoir's floor. */
#define RESERVOIR 64

/* A constant is steady if it was seen so often, and differed in 5 % at most. */
#define STEADY_SEEN 5
#define STEADY_SHARE 20

typedef struct SampleBlock
{
	uint32		next;			/* + 1 */
	char		bytes[BLOCK_BYTES];
} SampleBlock;

typedef struct SampleSlot
{
	uint32		first;			/* block, + 1; 0: empty */
	uint32		length;
} SampleSlot;

typedef struct Entry
{
	StewardConstantsKey key;
	uint32		next;			/* in chain or free list, + 1 */
	uint32		newer;			/* by last offer, + 1 */
	uint32		older;
	uint32		offers[STEWARD_SAMPLE_KINDS];
	uint32		seen[STEWARD_SAMPLE_KINDS]; /* offers that were looked at */
	SampleSlot	slots[STEWARD_SAMPLE_KINDS][STEWARD_SAMPLES];
	uint32		compared;		/* constants compared with the first sample */
	uint8		differed[STEWARD_WATCHED];
} Entry;

typedef struct ConstantsShared
{
	/* Constant after creation. */
	uint32		nentries;
	uint32		nblocks;
	uint32		nheads;			/* a power of two */

	/* Guarded by the lock; "epoch" is read without it. */
	uint32		epoch;			/* changes when something was forgotten */
	uint32		free_entries;	/* lists, + 1 */
	uint32		free_blocks;
	uint32		newest;			/* + 1 */
	uint32		oldest;
	uint32		used_entries;
	uint32		used_blocks;
	int64		evictions;
} ConstantsShared;

/* Where everything is; constant in a process once attached. */
static struct
{
	ConstantsShared *shared;	/* NULL unless preloaded */
	LWLock	   *lock;
	uint32	   *heads;			/* entry + 1; these by the lock */
	Entry	   *entries;
	SampleBlock *blocks;
}			store;

/* Number of entries, and of blocks in what they leave. */
static uint32
count_entries(void)
{
	return (uint32) ((Size) steward_constants_memory * 1024 / BYTES_PER_ENTRY);
}

static uint32
count_blocks(void)
{
	Size		taken = mul_size(count_entries(),
								 sizeof(Entry) + 2 * sizeof(uint32));

	return (uint32) (((Size) steward_constants_memory * 1024 - taken) / sizeof(SampleBlock));
}

static uint32
count_heads(void)
{
	return pg_nextpower2_32(count_entries());
}

static Size
store_size(void)
{
	Size		size = CACHELINEALIGN(sizeof(ConstantsShared));

	size = add_size(size, CACHELINEALIGN(mul_size(count_heads(), sizeof(uint32))));
	size = add_size(size, CACHELINEALIGN(mul_size(count_entries(), sizeof(Entry))));
	return add_size(size, mul_size(count_blocks(), sizeof(SampleBlock)));
}

/*
 * Make everything free, and overwrite what was there.  The caller holds the
 * lock exclusively, or nobody else can be there.
 */
static void
clear_store(void)
{
	ConstantsShared *shared = store.shared;

	memset(store.heads, 0, shared->nheads * sizeof(uint32));
	memset(store.entries, 0, shared->nentries * sizeof(Entry));
	memset(store.blocks, 0, shared->nblocks * sizeof(SampleBlock));
	for (uint32 i = 0; i + 1 < shared->nentries; i++)
		store.entries[i].next = i + 2;
	for (uint32 i = 0; i + 1 < shared->nblocks; i++)
		store.blocks[i].next = i + 2;
	shared->free_entries = shared->free_blocks = 1;
	shared->newest = shared->oldest = 0;
	shared->used_entries = shared->used_blocks = 0;
	shared->epoch++;
}

static void
store_attach(void *area, LWLockPadded *locks, bool found)
{
	char	   *place = area;

	store.shared = area;
	if (!found)
	{
		memset(store.shared, 0, sizeof(ConstantsShared));
		store.shared->nentries = count_entries();
		store.shared->nblocks = count_blocks();
		store.shared->nheads = count_heads();
	}
	place += CACHELINEALIGN(sizeof(ConstantsShared));
	store.heads = (uint32 *) place;
	place += CACHELINEALIGN(store.shared->nheads * sizeof(uint32));
	store.entries = (Entry *) place;
	place += CACHELINEALIGN(store.shared->nentries * sizeof(Entry));
	store.blocks = (SampleBlock *) place;
	store.lock = &locks[0].lock;
	if (!found)
		clear_store();
}

static const StewardShmemArea store_area = {
	.name = "pg_steward_constants",
	.nlocks = 1,
	.size = store_size,
	.attach = store_attach,
};

/*
 * Register the area and the observer, while the library is being preloaded.
 */
void
steward_constants_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	steward_shmem_register(&store_area);
	steward_constants_observe();
}

/* Is there a store? */
bool
steward_constants_exist(void)
{
	return store.shared != NULL;
}

/*
 * A number that changes when samples were forgotten, so that sessions come and
 * bring new ones.  No lock: an old value is as good for a while.
 */
uint32
steward_constants_epoch(void)
{
	return *(volatile uint32 *) &store.shared->epoch;
}

/* Head of the chain of a key. */
static uint32 *
chain_of(const StewardConstantsKey *key)
{
	uint32		hash = hash_bytes((const unsigned char *) key, sizeof(*key));

	return &store.heads[hash & (store.shared->nheads - 1)];
}

/* The entry of a key, or NULL.  Lock held. */
static Entry *
find_entry(const StewardConstantsKey *key)
{
	uint32		number = *chain_of(key);

	while (number != 0)
	{
		Entry	   *entry = &store.entries[number - 1];

		if (memcmp(&entry->key, key, sizeof(*key)) == 0)
			return entry;
		number = entry->next;
	}
	return NULL;
}

/* Take an entry out of the list by age.  Lock held, as in what follows. */
static void
unlink_age(Entry *entry)
{
	if (entry->newer)
		store.entries[entry->newer - 1].older = entry->older;
	else
		store.shared->newest = entry->older;
	if (entry->older)
		store.entries[entry->older - 1].newer = entry->newer;
	else
		store.shared->oldest = entry->newer;
	entry->newer = entry->older = 0;
}

/* Make an entry the newest. */
static void
link_newest(Entry *entry)
{
	uint32		number = entry - store.entries + 1;

	entry->newer = 0;
	entry->older = store.shared->newest;
	if (store.shared->newest)
		store.entries[store.shared->newest - 1].newer = number;
	else
		store.shared->oldest = number;
	store.shared->newest = number;
}

/* Give the blocks of a sample back, overwritten. */
static void
free_sample(SampleSlot *slot)
{
	uint32		number = slot->first;

	while (number != 0)
	{
		SampleBlock *block = &store.blocks[number - 1];
		uint32		next = block->next;

		memset(block->bytes, 0, BLOCK_BYTES);
		block->next = store.shared->free_blocks;
		store.shared->free_blocks = number;
		store.shared->used_blocks--;
		number = next;
	}
	slot->first = 0;
	slot->length = 0;
}

/* Forget a statement. */
static void
free_entry(Entry *entry)
{
	uint32		number = entry - store.entries + 1;
	uint32	   *link = chain_of(&entry->key);

	for (int kind = 0; kind < STEWARD_SAMPLE_KINDS; kind++)
		for (int i = 0; i < STEWARD_SAMPLES; i++)
			free_sample(&entry->slots[kind][i]);
	while (*link != number)
		link = &store.entries[*link - 1].next;
	*link = entry->next;
	unlink_age(entry);
	memset(entry, 0, sizeof(Entry));
	entry->next = store.shared->free_entries;
	store.shared->free_entries = number;
	store.shared->used_entries--;
}

/* Forget the statement that was executed longest ago, but not this one. */
static bool
evict_oldest(const Entry *but)
{
	uint32		number = store.shared->oldest;

	if (but != NULL && number != 0 && &store.entries[number - 1] == but)
		number = but->newer;
	if (number == 0)
		return false;
	free_entry(&store.entries[number - 1]);
	store.shared->evictions++;
	return true;
}

/* A new entry for a key. */
static Entry *
make_entry(const StewardConstantsKey *key)
{
	uint32	   *head = chain_of(key);
	uint32		number;
	Entry	   *entry;

	if (store.shared->free_entries == 0)
		(void) evict_oldest(NULL);
	number = store.shared->free_entries;
	entry = &store.entries[number - 1];
	store.shared->free_entries = entry->next;
	store.shared->used_entries++;
	memset(entry, 0, sizeof(Entry));
	entry->key = *key;
	entry->next = *head;
	*head = number;
	link_newest(entry);
	return entry;
}

/* Copy bytes to new blocks; false if there is no room even so. */
static bool
write_sample(Entry *entry, SampleSlot *slot, const char *bytes, int length)
{
	uint32	   *link = &slot->first;
	int			needed = (length + BLOCK_BYTES - 1) / BLOCK_BYTES;

	if (needed > store.shared->nblocks)
		return false;
	while (store.shared->nblocks - store.shared->used_blocks < needed)
	{
		if (!evict_oldest(entry))
			return false;
	}
	for (int done = 0; done < length; done += BLOCK_BYTES)
	{
		uint32		number = store.shared->free_blocks;
		SampleBlock *block = &store.blocks[number - 1];

		store.shared->free_blocks = block->next;
		store.shared->used_blocks++;
		block->next = 0;
		memcpy(block->bytes, bytes + done, Min(length - done, BLOCK_BYTES));
		*link = number;
		link = &block->next;
	}
	slot->length = length;
	return true;
}

/* Copy a sample out. */
static void
read_sample(const SampleSlot *slot, StewardSample *sample)
{
	uint32		number = slot->first;
	int			length = slot->length;

	sample->length = length;
	for (int done = 0; done < length; done += BLOCK_BYTES)
	{
		const SampleBlock *block = &store.blocks[number - 1];

		memcpy(sample->bytes + done, block->bytes, Min(length - done, BLOCK_BYTES));
		number = block->next;
	}
}

/*
 * A statement is executed: should the session bring its constants?
 */
bool
steward_constants_offer(const StewardConstantsKey *key, StewardSampleKind kind)
{
	Entry	   *entry;
	uint32		offers;

	LWLockAcquire(store.lock, LW_EXCLUSIVE);
	entry = find_entry(key);
	if (entry == NULL)
		entry = make_entry(key);
	else if (entry->newer != 0)
	{
		unlink_age(entry);
		link_newest(entry);
	}
	offers = ++entry->offers[kind];
	LWLockRelease(store.lock);
	return offers <= LOOKED_AT_ALL || offers % LOOKED_AT_EVERY == 0;
}

/*
 * Compare a newcomer's constants with those of the first sample.  If it is
 * going to take its place, of those that differ nothing good is known.
 */
static void
compare_constants(Entry *entry, const char *bytes, int length, bool replaces)
{
	StewardSample first;
	const char *at = first.bytes;
	StewardItem mine;
	StewardItem other;
	const char *end;

	read_sample(&entry->slots[STEWARD_CONSTANTS][0], &first);
	end = bytes + length;
	if (entry->compared == PG_UINT8_MAX)
	{
		entry->compared /= 2;
		for (int i = 0; i < STEWARD_WATCHED; i++)
			entry->differed[i] /= 2;
	}
	entry->compared++;
	for (int i = 0; i < STEWARD_WATCHED; i++)
	{
		bool		has_mine = steward_item_next(&at, first.bytes + first.length, &mine);
		bool		has_other = steward_item_next(&bytes, end, &other);

		if (!has_mine && !has_other)
			break;
		if (has_mine != has_other || mine.kind != other.kind ||
			mine.length != other.length || mine.number != other.number ||
			(mine.length > 0 && memcmp(mine.bytes, other.bytes, mine.length) != 0))
			entry->differed[i] = replaces ? entry->compared : entry->differed[i] + 1;
	}
}

/* Slot for a newcomer, or -1 if it is not kept. */
static int
choose_slot(const Entry *entry, StewardSampleKind kind)
{
	uint32		seen = entry->seen[kind];
	uint64		chance;

	for (int i = 0; i < STEWARD_SAMPLES; i++)
		if (entry->slots[kind][i].first == 0)
			return i;
	chance = pg_prng_uint64_range(&pg_global_prng_state, 0,
								  Min(seen, RESERVOIR) - 1);
	return chance < STEWARD_SAMPLES ? (int) chance : -1;
}

/*
 * Bring the constants of an execution for which an offer was accepted.
 */
void
steward_constants_keep(const StewardConstantsKey *key, StewardSampleKind kind,
					   const char *bytes, int length)
{
	Entry	   *entry;

	if (length <= 0 || length > STEWARD_SAMPLE_BYTES)
		return;
	LWLockAcquire(store.lock, LW_EXCLUSIVE);
	entry = find_entry(key);
	if (entry != NULL)
	{
		int			slot;

		entry->seen[kind]++;
		slot = choose_slot(entry, kind);
		if (kind == STEWARD_CONSTANTS && entry->slots[kind][0].first != 0)
			compare_constants(entry, bytes, length, slot == 0);
		if (slot >= 0)
		{
			free_sample(&entry->slots[kind][slot]);
			(void) write_sample(entry, &entry->slots[kind][slot], bytes, length);
		}
	}
	LWLockRelease(store.lock);
}

/*
 * A copy of what is known of a statement, in the current memory context; NULL
 * if nothing is.
 */
StewardConstants *
steward_constants_read(const StewardConstantsKey *key)
{
	StewardConstants *copy;
	StewardSample *samples;
	Entry	   *entry;

	if (store.shared == NULL || store.shared->used_entries == 0)
		return NULL;
	copy = palloc0(sizeof(StewardConstants));
	samples = palloc(STEWARD_SAMPLE_KINDS * STEWARD_SAMPLES * sizeof(StewardSample));
	LWLockAcquire(store.lock, LW_SHARED);
	entry = find_entry(key);
	for (int kind = 0; entry != NULL && kind < STEWARD_SAMPLE_KINDS; kind++)
	{
		copy->samples[kind] = samples + kind * STEWARD_SAMPLES;
		for (int i = 0; i < STEWARD_SAMPLES; i++)
		{
			if (entry->slots[kind][i].first != 0)
				read_sample(&entry->slots[kind][i],
							&copy->samples[kind][copy->count[kind]++]);
		}
	}
	for (int i = 0; entry != NULL && i < STEWARD_WATCHED; i++)
	{
		if (entry->compared >= STEADY_SEEN &&
			entry->differed[i] * STEADY_SHARE <= entry->compared)
			copy->steady |= UINT32_C(1) << i;
	}
	LWLockRelease(store.lock);
	if (copy->count[STEWARD_CONSTANTS] + copy->count[STEWARD_VALUES] > 0)
		return copy;
	pfree(samples);
	pfree(copy);
	return NULL;
}

/* For sorting and searching keys. */
int
steward_constants_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(StewardConstantsKey));
}

/*
 * Forget the statements of a database (InvalidOid: of all) that are not among
 * these keys, which are sorted.  Returns their number.
 */
int64
steward_constants_retain(Oid database, const StewardConstantsKey *sorted,
						 int64 count)
{
	int64		forgotten = 0;

	if (store.shared == NULL)
		return 0;
	LWLockAcquire(store.lock, LW_EXCLUSIVE);
	if (count == 0 && !OidIsValid(database))
	{
		forgotten = store.shared->used_entries;
		clear_store();
	}
	else
	{
		uint32		number = store.shared->newest;

		while (number != 0)
		{
			Entry	   *entry = &store.entries[number - 1];

			number = entry->older;
			if ((OidIsValid(database) && entry->key.database != database) ||
				bsearch(&entry->key, sorted, count, sizeof(*sorted),
						steward_constants_compare) != NULL)
				continue;
			free_entry(entry);
			forgotten++;
		}
		if (forgotten > 0)
			store.shared->epoch++;
	}
	LWLockRelease(store.lock);
	return forgotten;
}

/*
 * How full the store is; zeros without one.
 */
void
steward_constants_state(StewardConstantsState *state)
{
	memset(state, 0, sizeof(StewardConstantsState));
	if (store.shared == NULL)
		return;
	LWLockAcquire(store.lock, LW_SHARED);
	state->statements = store.shared->used_entries;
	for (uint32 number = store.shared->newest; number != 0;
		 number = store.entries[number - 1].older)
	{
		const Entry *entry = &store.entries[number - 1];

		for (int i = 0; i < STEWARD_SAMPLE_KINDS * STEWARD_SAMPLES; i++)
			state->samples += entry->slots[i / STEWARD_SAMPLES][i % STEWARD_SAMPLES].first != 0;
	}
	state->used_bytes = store.shared->used_entries * (int64) sizeof(Entry) +
		store.shared->used_blocks * (int64) sizeof(SampleBlock);
	state->total_bytes = store_size();
	state->evictions = store.shared->evictions;
	LWLockRelease(store.lock);
}
