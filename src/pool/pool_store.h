/*-------------------------------------------------------------------------
 *
 * pool_store.h
 *	  What is remembered about connections, in shared memory.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_POOL_STORE_H
#define STEWARD_POOL_STORE_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/lwlock.h"

#include "pool/pressure.h"

/* Why a client was refused. */
typedef enum StewardRefusal
{
	STEWARD_REFUSED_SLOTS,		/* max_connections is reached */
	STEWARD_REFUSED_RESERVED,	/* only reserved slots are left */
	STEWARD_REFUSED_DATABASE,	/* CONNECTION LIMIT of the database */
	STEWARD_REFUSED_ROLE,		/* CONNECTION LIMIT of the role */
	STEWARD_REFUSED_OTHER,
	STEWARD_REFUSED_KINDS
} StewardRefusal;

/* The connections at one moment. */
typedef struct StewardPoolCount
{
	TimestampTz at;
	int			max_connections;
	int			usable;			/* for ordinary users */
	int			used;			/* slots, those of half-open ones included */
	int			half_open;		/* not yet authenticated */
	int			clients;		/* client backends */
	int			active;
	int			idle;
	int			idle_in_transaction;
	int			untracked;		/* track_activities is off */
	TimestampTz oldest_idle_in_transaction; /* since when, 0: none */
	int			tightest_used;	/* of the role or database that is nearest to */
	int			tightest_limit; /* its CONNECTION LIMIT; limit 0: none */
	Oid			tightest_role;
	Oid			tightest_database;
} StewardPoolCount;

/*
 * A sample as the rings keep it: numbers above 65535 are cut.  In the ring of
 * quarters of an hour, counts are the largest of that time, refused and
 * connects are sums.
 */
typedef struct StewardPoolSample
{
	TimestampTz at;
	uint16		usable;
	uint16		used;
	uint16		half_open;
	uint16		active;
	uint16		idle;
	uint16		idle_in_transaction;
	uint16		refused;		/* since the sample before */
	uint16		connects;		/* likewise */
	uint16		queued;			/* clients waiting in poolers */
	uint16		level;			/* StewardPressureLevel */
	uint32		oldest_idle_in_transaction; /* seconds */
} StewardPoolSample;

/* One day at the default interval, and a month. */
#define STEWARD_POOL_SAMPLES	17280
#define STEWARD_POOL_QUARTERS	2976

/* A ring of samples; next is the position after the latest. */
typedef struct StewardPoolRing
{
	uint32		next;
	uint32		count;
} StewardPoolRing;

/*
 * Written by the launcher alone, under lock; read under lock in shared mode.
 * The counters are atomics that any process increments.
 */
typedef struct StewardPool
{
	LWLock	   *lock;
	pg_atomic_uint64 refused[STEWARD_REFUSED_KINDS];
	pg_atomic_uint64 connects;	/* passed authentication */
	pg_atomic_uint64 auth_failures;

	/* guarded by lock */
	StewardPoolCount latest;	/* at = 0: none yet */
	StewardPressureState pressure;
	TimestampTz level_since;	/* 0: since the start */
	uint64		refused_seen;	/* at the latest sample */
	uint64		connects_seen;
	uint32		connects_last;	/* in the latest interval */
	double		interval_seconds;	/* between the latest two samples */
	int			peak_used;
	int			peak_usable;
	TimestampTz peak_at;
	int64		monotonic_ms;	/* clock of the latest sample */
	uint64		sampled;		/* samples taken */
	StewardPoolSample quarter;	/* being filled */
	StewardPoolRing samples_ring;
	StewardPoolRing quarters_ring;
	StewardPoolSample samples[STEWARD_POOL_SAMPLES];
	StewardPoolSample quarters[STEWARD_POOL_QUARTERS];
} StewardPool;

extern void steward_pool_store_init(void);
extern StewardPool *steward_pool(void);
extern uint64 steward_pool_refused(const StewardPool *pool);
extern void steward_pool_remember(StewardPool *pool,
								  const StewardPoolSample *sample);
extern int	steward_pool_copy(StewardPool *pool, TimestampTz since,
							  StewardPoolSample **samples);

#endif							/* STEWARD_POOL_STORE_H */
