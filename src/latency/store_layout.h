/*-------------------------------------------------------------------------
 *
 * store_layout.h
 *	  Shared memory of the latency histograms, for the store_*.c files only.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_STORE_LAYOUT_H
#define STEWARD_STORE_LAYOUT_H

#include "port/atomics.h"
#include "storage/lwlock.h"

#include "base/compat.h"
#include "latency/store.h"

/* Pages and log words that are there for each of pg_steward.max_queries. */
#define PAGES_PER_ENTRY		11
#define LOG_WORDS_PER_ENTRY 150

/* Buckets whose count passed 2^31; see move_to_spill(). */
#define MAX_SPILLS			512

/*
 * Life of an entry: the low bits of its state word.  Above one bit of the key
 * is a generation that grows with each reuse, so that an unchanged word means an
 * unchanged key.
 */
#define ENTRY_FREE			0
#define ENTRY_LIVE			1
#define ENTRY_LIMBO			2	/* unlinked, perhaps somebody still writes */
#define ENTRY_LIFE_MASK		3
#define ENTRY_TOPLEVEL		4	/* part of the key */
#define ENTRY_KIND_MASK		(ENTRY_LIFE_MASK | ENTRY_TOPLEVEL)
#define ENTRY_GENERATION	8	/* increment of the generation */

/*
 * One histogram row of one key: what was counted, and what had been counted
 * when the entry's minute began.  Two cache lines.
 */
typedef struct HistogramPage
{
	pg_atomic_uint32 counts[STEWARD_HISTOGRAM_COLUMNS]; /* anyone adds */
	uint32		base[STEWARD_HISTOGRAM_COLUMNS];	/* by the lock */
} HistogramPage;

/*
 * The times of short executions are added up in one word, so that counting
 * one takes one atomic addition for them: latency in ns above bit 27, and below
 * the part of it that was waited, in microseconds.  A short execution is one
 * of less than Store.short_ns, of which all backends together can add at most
 * 2^33 ns.  Who finds the topmost bit set, at 68 s, adds up the word elsewhere
 * (steward_store_empty_sums()) before it adds again; until then, the lower part
 * cannot exceed (2^36 + 2^33) / 1000 < 2^27, nor the upper one 2^37.
 *
 * What is added to an entry that turns out to be another one is subtracted
 * again, and the word may have been emptied in between.  It starts at a value
 * from which as much as can be under way can be subtracted.
 */
#define SUMS_WAITED_BITS	27
#define SUMS_UNDER_WAY_NS	(INT64CONST(1) << 33)
#define SUMS_NOTHING		SUMS_OF(SUMS_UNDER_WAY_NS, SUMS_UNDER_WAY_NS / 1000)
#define SUMS_OF(latency_ns, waited_us) \
	(((uint64) (latency_ns) << SUMS_WAITED_BITS) + (uint64) (waited_us))
#define SUMS_LATENCY_NS(sums) \
	((int64) ((sums) >> SUMS_WAITED_BITS) - SUMS_UNDER_WAY_NS)
#define SUMS_WAITED_US(sums) \
	((int64) ((sums) & ((UINT64CONST(1) << SUMS_WAITED_BITS) - 1)) - \
	 SUMS_UNDER_WAY_NS / 1000)

/*
 * One key.  Key fields are written only while the state is not ENTRY_LIVE.
 * Three cache lines, of which the first two are read for each execution.
 */
typedef struct LatencyEntry
{
	int64		queryid;
	uint64		owner;			/* database and role, see OWNER_OF() */
	pg_atomic_uint32 state;		/* written under the lock */
	pg_atomic_uint32 next;		/* in hash chain, free list or limbo, + 1;
								 * written under the lock */
	pg_atomic_uint64 sums;		/* see SUMS_OF(); anyone adds */
	TimestampTz minute_start;	/* of the minute that base counts are from; by
								 * the lock, read by anyone */
	uint32		lap;			/* of the eviction clock in which it was last
								 * used; anyone writes */
	pg_atomic_uint32 aborted;	/* anyone adds */
	pg_atomic_uint32 pages[STEWARD_HISTOGRAM_ROWS]; /* + 1, 0: none yet;
													 * written under the lock */
	uint32		unused[3];
} LatencyEntry;

StaticAssertDecl(sizeof(LatencyEntry) == 192, "three cache lines");

/* The same key: what few executions need. */
typedef struct LatencyDetails
{
	pg_atomic_uint64 latency_ns;	/* beyond "sums"; anyone adds */
	pg_atomic_uint64 waited_us; /* part of it; anyone adds */
	TimestampTz since;			/* by the lock */
	uint8		credit;			/* for eviction; by the lock */
} LatencyDetails;

/* Entry in use by a backend, + 1; 0 for none.  A cache line for each. */
typedef union Hazard
{
	pg_atomic_uint32 entry;
	char		pad[PG_CACHE_LINE_SIZE];
} Hazard;

/* Executions of one bucket beyond what its counter can hold; by the lock. */
typedef struct Spill
{
	uint32		entry;
	uint32		bucket;
	uint64		count;
} Spill;

typedef struct StoreShared
{
	/* Constant after creation, except for the lap: read all the time. */
	uint32		nentries;
	uint32		nheads;			/* a power of two */
	uint32		npages;
	uint32		nhazards;
	uint32		nlog;			/* words, a power of two */
	pg_atomic_uint32 lap;		/* of the eviction clock; under the lock */
	char		pad[PG_CACHE_LINE_SIZE - 6 * sizeof(uint32)];

	/* Guarded by the lock. */
	uint32		used_entries;
	uint32		fresh_entries;	/* entries never used yet start here */
	uint32		free_entries;	/* list, index + 1 */
	uint32		limbo;			/* list, index + 1 */
	uint32		hand;			/* of the eviction clock */
	uint32		used_pages;
	uint32		fresh_pages;
	uint32		free_pages;		/* list through counts[0], index + 1 */
	uint64		log_head;		/* words ever written */
	uint64		log_tail;		/* oldest record still there */
	uint32		log_lost;		/* newest minute that was overwritten */
	uint32		first_minute;	/* the log knows nothing before */
	uint64		evictions;
	TimestampTz reset_at;
	int			nspills;
	Spill		spills[MAX_SPILLS];
	pg_atomic_uint64 dropped;	/* anyone adds */
} StoreShared;

/* Where everything is; constant in a process once it has counted something. */
typedef struct Store
{
	StoreShared *shared;		/* NULL unless preloaded */
	LatencyEntry *entries;
	LatencyDetails *details;	/* of each entry */
	pg_atomic_uint32 *heads;	/* entry + 1; written under the lock */
	uint32		head_shift;		/* 64 - log2(number of heads) */
	HistogramPage *pages;
	Hazard	   *hazards;
	pg_atomic_uint32 *hazard;	/* ours; NULL until something is counted */
	int64		short_ns;		/* executions below are short; 0 as long as
								 * there is no hazard word */
	uint32	   *log;			/* by the lock */
	LWLock	   *lock;
} Store;

extern STEWARD_HIDDEN Store steward_store;

/* Database and role in one word. */
#define OWNER_OF(database, role) (((uint64) (role) << 32) | (database))
#define OWNER_DATABASE(owner) ((Oid) (owner))
#define OWNER_ROLE(owner) ((Oid) ((owner) >> 32))

/* First words of a record of the log; pairs follow. */
typedef struct LogRecord
{
	uint32		entry;
	uint32		state;			/* of the entry, with its generation */
	uint32		minute;
	uint32		npairs;
} LogRecord;

#define LOG_RECORD_WORDS 4
#define LOG_WORD(position) \
	(steward_store.log[(position) & (steward_store.shared->nlog - 1)])

/* A pair of the log: bucket and count in one word. */
#define PAIR_COUNT_BITS 22
#define PAIR_MAX_COUNT ((1U << PAIR_COUNT_BITS) - 1)
#define MAX_PAIRS (2 * STEWARD_HISTOGRAM_BUCKETS)

#define MINUTE_OF(timestamp) \
	((uint32) ((uint64) (timestamp) / USECS_PER_MINUTE))
#define MINUTE_START(minute) ((TimestampTz) (minute) * USECS_PER_MINUTE)

/* The details of an entry. */
static inline LatencyDetails *
details_of(const LatencyEntry *entry)
{
	return &steward_store.details[entry - steward_store.entries];
}

/*
 * Head of the chain in which a key belongs.  Query ids are hashes already,
 * owners are not.
 */
static inline pg_atomic_uint32 *
chain_of(int64 queryid, uint64 owner)
{
	uint64		hash = (uint64) queryid +
		owner * UINT64CONST(0x9e3779b97f4a7c15);

	return &steward_store.heads[hash >> steward_store.head_shift];
}

/* The bits of a state that say whether this is the entry, in use, of a key. */
static inline uint32
live_state(bool toplevel)
{
	return ENTRY_LIVE + toplevel * ENTRY_TOPLEVEL;
}

/* store_alloc.c: all under the lock, held exclusively */
extern LatencyEntry *steward_store_find(const StewardLatencyKey *key);
extern LatencyEntry *steward_store_insert(const StewardLatencyKey *key,
										  TimestampTz since);
extern HistogramPage *steward_store_page(LatencyEntry *entry, int row);
extern void steward_store_remove(LatencyEntry *entry);
extern void steward_store_collect(void);

/* store_window.c */
extern void steward_store_roll(LatencyEntry *entry, uint32 minute);
extern void steward_store_spill(LatencyEntry *entry, int bucket, uint64 count);
extern void steward_store_forget_spills(LatencyEntry *entry);

/* store_file.c */
extern void steward_store_load(void);
extern void steward_store_save(int code, Datum arg);

#endif							/* STEWARD_STORE_LAYOUT_H */
