/*-------------------------------------------------------------------------
 *
 * clock_board.c
 *	  The clock and the board of changes, in shared memory.
 *
 * See change_clock.c for what they mean and why that is right.  All is atomic:
 * there is no lock, so that commits can write.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/proc.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "refresh/change_clock.h"
#include "refresh/clock_board.h"

#define NDATABASES 1024			/* slots of whole databases */
#define TAG_NONE 0
#define TAG_MANY PG_UINT32_MAX

/* A place on the board.  Atomic, no lock. */
typedef struct Slot
{
	pg_atomic_uint64 moved[STEWARD_CHANGES];	/* time of the latest change */
} Slot;

/* What a backend is about to commit.  Atomic; written by that backend only. */
typedef struct Announcement
{
	pg_atomic_uint32 database;
	pg_atomic_uint64 bits[STEWARD_CHANGES];
} Announcement;

/* Shared memory.  What is not atomic is constant after creation. */
typedef struct Clock
{
	uint32		seed;			/* of the hash: collisions do not last */
	uint32		nslots;			/* a power of two */
	uint32		nannouncements;
	pg_atomic_uint64 now;
	Slot		databases[NDATABASES];
} Clock;

/* All process-local state of this file. */
static struct
{
	Clock	   *clock;			/* NULL unless preloaded */
	Slot	   *slots;
	pg_atomic_uint32 *tags;		/* per slot */
	Announcement *announcements;
	uint32		database_hash;	/* of database_hashed */
	Oid			database_hashed;
	bool		announced;		/* by this backend */
}			local;

/* Number of slots: the setting, rounded down to a power of two. */
static uint32
slot_count(void)
{
	uint32		n = 1;

	while (n * 2 <= (uint32) steward_refresh_clock_slots)
		n *= 2;
	return n;
}

static Size
clock_size(void)
{
	Size		size = MAXALIGN(sizeof(Clock));

	size = add_size(size, mul_size(slot_count(), sizeof(Slot)));
	size = add_size(size, mul_size(MaxBackends, sizeof(Announcement)));
	return add_size(size, mul_size(slot_count(), sizeof(pg_atomic_uint32)));
}

static void
init_slots(Slot *slots, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
	{
		for (int change = 0; change < STEWARD_CHANGES; change++)
			pg_atomic_init_u64(&slots[i].moved[change], 0);
	}
}

/* Fill a new board. */
static void
init_clock(Clock *clock)
{
	clock->seed = pg_prng_uint32(&pg_global_prng_state);
	clock->nslots = slot_count();
	clock->nannouncements = (uint32) MaxBackends;
	pg_atomic_init_u64(&clock->now, 1);
	init_slots(clock->databases, NDATABASES);
	init_slots(local.slots, clock->nslots);
	for (uint32 i = 0; i < clock->nslots; i++)
		pg_atomic_init_u32(&local.tags[i], TAG_NONE);
	for (uint32 i = 0; i < clock->nannouncements; i++)
	{
		pg_atomic_init_u32(&local.announcements[i].database, InvalidOid);
		for (int change = 0; change < STEWARD_CHANGES; change++)
			pg_atomic_init_u64(&local.announcements[i].bits[change], 0);
	}
}

static void
clock_attach(void *area, LWLockPadded *locks, bool found)
{
	char	   *next = (char *) area + MAXALIGN(sizeof(Clock));

	local.clock = (Clock *) area;
	local.slots = (Slot *) next;
	next += slot_count() * sizeof(Slot);
	local.announcements = (Announcement *) next;
	next += MaxBackends * sizeof(Announcement);
	local.tags = (pg_atomic_uint32 *) next;
	local.database_hashed = InvalidOid;
	if (!found)
		init_clock(local.clock);
}

static const StewardShmemArea clock_area = {
	.name = "pg_steward_clock",
	.nlocks = 0,
	.size = clock_size,
	.attach = clock_attach,
};

/* Register the memory, while the library is being preloaded. */
void
steward_board_register(void)
{
	steward_shmem_register(&clock_area);
}

/* Is there a clock?  Without it nothing can be said about changes. */
bool
steward_clock_runs(void)
{
	return local.clock != NULL;
}

/*
 * The hash by which a relation is known on the board.
 */
uint32
steward_clock_hash(Oid database, Oid relation)
{
	if (local.database_hashed != database)
	{
		local.database_hash = murmurhash32(database ^ local.clock->seed);
		local.database_hashed = database;
	}
	return murmurhash32(relation ^ local.database_hash);
}

/* The slot of a relation. */
static inline uint32
slot_number(uint32 hash)
{
	return hash & (local.clock->nslots - 1);
}

/* The tag of a relation: none of those with a meaning of their own. */
static inline uint32
relation_tag(uint32 hash)
{
	return (hash == TAG_NONE || hash == TAG_MANY) ? 1 : hash;
}

/* The slot of a database as a whole. */
static Slot *
database_slot(Oid database)
{
	return &local.clock->databases[murmurhash32(database ^ local.clock->seed) %
								   NDATABASES];
}

/*
 * From now on changes of this relation are written down.  To be called before
 * the tick of which one wants to know what changes afterwards.  There is no
 * way back: a tag costs nothing.
 */
void
steward_clock_watch(uint32 hash)
{
	pg_atomic_uint32 *tag = &local.tags[slot_number(hash)];
	uint32		wanted = relation_tag(hash);
	uint32		old = pg_atomic_read_u32(tag);

	while (old != wanted && old != TAG_MANY)
	{
		if (pg_atomic_compare_exchange_u32(tag, &old,
										   old == TAG_NONE ? wanted : TAG_MANY))
			break;
	}
}

/*
 * Advance the clock.  What changes for a snapshot that is taken afterwards has
 * moved since the time that is returned.
 */
uint64
steward_clock_tick(void)
{
	return pg_atomic_add_fetch_u64(&local.clock->now, 1);
}

/* Move a time forward, never back. */
static inline void
move_to(pg_atomic_uint64 *moved, uint64 time)
{
	uint64		old = pg_atomic_read_u64(moved);

	while (old < time)
	{
		if (pg_atomic_compare_exchange_u64(moved, &old, time))
			break;
	}
}

/*
 * What the clock shows to who has just made a change visible, or has found
 * that somebody did.
 */
uint64
steward_board_now(void)
{
	pg_memory_barrier();
	return pg_atomic_read_u64(&local.clock->now);
}

/* Move the slot of a relation to a time, if it is watched. */
void
steward_board_move(uint32 hash, StewardChange change, uint64 time)
{
	uint32		n = slot_number(hash);
	uint32		tag = pg_atomic_read_u32(&local.tags[n]);

	if (tag != TAG_NONE && (tag == TAG_MANY || tag == relation_tag(hash)))
		move_to(&local.slots[n].moved[change], time);
}

/* Move a database as a whole. */
void
steward_board_move_database(Oid database, StewardChange change, uint64 time)
{
	move_to(&database_slot(database)->moved[change], time);
}

/*
 * Has this relation changed since a time that the clock has shown?  Callers
 * ask after they have settled (below) and looked at what is being committed.
 */
bool
steward_clock_moved(uint32 hash, StewardChange change, uint64 since)
{
	return pg_atomic_read_u64(&local.slots[slot_number(hash)].moved[change]) >= since;
}

/* May anything in this database have changed since a time? */
bool
steward_clock_database_moved(Oid database, StewardChange change, uint64 since)
{
	return pg_atomic_read_u64(&database_slot(database)->moved[change]) >= since;
}

/*
 * Is anybody about to commit changes of relations of these bits?
 */
bool
steward_clock_committing(Oid database, StewardChange change, uint64 bits)
{
	bool		result = false;

	pg_memory_barrier();
	for (uint32 i = 0; i < local.clock->nannouncements; i++)
	{
		Announcement *announcement = &local.announcements[i];

		if ((pg_atomic_read_u64(&announcement->bits[change]) & bits) != 0 &&
			pg_atomic_read_u32(&announcement->database) == database)
		{
			result = true;
			break;
		}
	}
	pg_memory_barrier();
	return result;
}

/*
 * Say what this backend is about to commit, by bits for each kind of change.
 */
void
steward_board_announce(const uint64 *bits)
{
	Announcement *mine = &local.announcements[STEWARD_PROC_NUMBER];

	pg_atomic_write_u32(&mine->database, MyDatabaseId);
	pg_write_barrier();
	for (int i = 0; i < STEWARD_CHANGES; i++)
		pg_atomic_write_u64(&mine->bits[i], bits[i]);
	local.announced = true;
	pg_memory_barrier();
}

/* Take that back: it has been written down, or will not happen. */
void
steward_board_withdraw(void)
{
	Announcement *mine;

	if (!local.announced)
		return;
	mine = &local.announcements[STEWARD_PROC_NUMBER];
	pg_memory_barrier();
	for (int i = 0; i < STEWARD_CHANGES; i++)
		pg_atomic_write_u64(&mine->bits[i], 0);
	local.announced = false;
}
