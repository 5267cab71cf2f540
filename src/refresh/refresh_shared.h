/*-------------------------------------------------------------------------
 *
 * refresh_shared.h
 *	  The registry of refreshes in shared memory, for its own processes.
 *
 * See refresh_registry.c.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_SHARED_H
#define STEWARD_REFRESH_SHARED_H

#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "refresh/schedule.h"

/* Highest value of pg_steward.max_refresh_workers. */
#define STEWARD_MAX_REFRESH_WORKERS 16

/* Databases that are served. */
#define STEWARD_MAX_REFRESH_DATABASES 4096

#define STEWARD_REFRESH_FLAGS 64
#define STEWARD_REFRESH_HOLDS 16
#define STEWARD_REFRESH_REQUESTS 64
#define STEWARD_METHOD_LEN 16

/* A materialized view with a policy. */
typedef struct StewardRefreshView
{
	/* as loaded by a worker */
	Oid			view;
	StewardSchedule schedule;
	char		method[STEWARD_METHOD_LEN];
	int64		yield_after_ms; /* 0: never, -1: as set */
	int64		max_runtime_ms; /* 0: no limit */
	bool		assume_deterministic;
	bool		continue_on_upstream_error;
	bool		paused;
	bool		suspended;		/* or in quarantine */
	int			first_upstream; /* in upstreams[], from its database's first */
	int			nupstreams;
	uint64		signature;		/* of its definition */

	/* as loaded, and changed by each run */
	double		typical_ms;
	double		delta_ratio;
	int			failures;
	int			crashes;
	TimestampTz last_ok;
	TimestampTz last_attempt;
	TimestampTz not_before;

	/* kept while the server runs */
	TimestampTz next_due;		/* 0: to be decided */
	TimestampTz stale_since;	/* first noticed; 0: fresh */
	TimestampTz queued_since;	/* due since then; 0: not due */
	TimestampTz last_check;		/* a worker found it fresh */
	bool		requested;		/* somebody wants it now */
	bool		running;
	bool		interrupted;	/* a worker ended in an orderly way within it */
	bool		recheck;		/* its definition may have changed */
	int64		skips;
} StewardRefreshView;

typedef enum StewardDatabaseState
{
	STEWARD_DATABASE_NEW,		/* nobody has looked at it */
	STEWARD_DATABASE_ABSENT,	/* it does not have the extension */
	STEWARD_DATABASE_ACTIVE
} StewardDatabaseState;

/* A database; its views are in an order in which upstreams come first. */
typedef struct StewardRefreshDatabase
{
	Oid			database;
	StewardDatabaseState state;
	bool		listed;			/* used while the list is read */
	bool		reload;			/* a worker is to load the policies */
	TimestampTz loaded_at;
	int			first_view;
	int			nviews;
	int			first_upstream;
	int			nupstreams;
	int			failures;		/* workers that did not get in, in a row */
	TimestampTz retry_at;
} StewardRefreshDatabase;

typedef enum StewardSlotState
{
	STEWARD_SLOT_FREE,
	STEWARD_SLOT_STARTING,
	STEWARD_SLOT_RUNNING
} StewardSlotState;

/* A worker. */
typedef struct StewardRefreshSlot
{
	StewardSlotState state;
	uint32		generation;		/* changes each time the slot is given away */
	int			pid;			/* 0 while starting */
	Latch	   *latch;
	Oid			database;
	Oid			view;			/* that it works on, or InvalidOid */
	bool		refreshing;		/* may be cancelled in favor of others */
	bool		gave_way;		/* was cancelled in favor of others */
	bool		loading;		/* reads policies, which are not published yet */
	bool		loaded;			/* got into the database */
	int64		yield_after_ms; /* for this refresh */
	TimestampTz since;
} StewardRefreshSlot;

/* DDL that wants to be alone in a database. */
typedef struct StewardRefreshHold
{
	Oid			database;		/* InvalidOid: unused */
	int			pid;
	TimestampTz until;
} StewardRefreshHold;

typedef struct StewardRefreshRequest
{
	Oid			database;		/* InvalidOid: unused */
	Oid			view;
} StewardRefreshRequest;

/* All of it.  What is not atomic is guarded by lock. */
typedef struct StewardRegistry
{
	LWLock	   *lock;
	bool		clean_start;	/* the server had been shut down; constant */

	/* set without the lock, taken by the launcher */
	pg_atomic_uint32 flags[STEWARD_REFRESH_FLAGS];	/* databases */
	pg_atomic_uint32 flag_all;	/* more than there is room for */
	pg_atomic_uint32 flag_list;

	int			ndatabases;
	int			nviews;
	int			max_views;
	int			nupstreams;
	int			max_upstreams;
	int			nwaiting;		/* databases that wait for a worker */
	StewardRefreshSlot slots[STEWARD_MAX_REFRESH_WORKERS];
	StewardRefreshHold holds[STEWARD_REFRESH_HOLDS];
	StewardRefreshRequest requests[STEWARD_REFRESH_REQUESTS];
	StewardRefreshDatabase databases[STEWARD_MAX_REFRESH_DATABASES];
	StewardRefreshView views[FLEXIBLE_ARRAY_MEMBER];
	/* behind the views: int upstreams[], see steward_registry_upstreams() */
} StewardRegistry;

/* refresh_registry.c */
extern StewardRegistry *steward_registry(void);
extern int *steward_registry_upstreams(StewardRegistry *registry);
extern StewardRefreshDatabase *steward_registry_database(StewardRegistry *registry,
														 Oid database);
extern StewardRefreshView *steward_registry_view(StewardRegistry *registry,
												 Oid database, Oid view);
extern void steward_registry_publish(StewardRegistry *registry,
									 Oid database,
									 const StewardRefreshView *views,
									 int nviews, const int *upstreams,
									 int nupstreams);
extern void steward_registry_forget(StewardRegistry *registry,
									StewardRefreshDatabase *entry);
extern void steward_registry_absent(StewardRegistry *registry, Oid database);

/* refresh_holds.c */
extern bool steward_registry_is_held(StewardRegistry *registry, Oid database,
									 TimestampTz now);
extern void steward_registry_hold(Oid database);
extern void steward_registry_release(void);
extern void steward_registry_end_workers(Oid database);

#endif							/* STEWARD_REFRESH_SHARED_H */
