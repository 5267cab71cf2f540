/*-------------------------------------------------------------------------
 *
 * store.h
 *	  Latency histograms in shared memory.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_STORE_H
#define STEWARD_STORE_H

#include "datatype/timestamp.h"

#include "latency/histogram.h"

/* What a histogram belongs to. */
typedef struct StewardLatencyKey
{
	int64		queryid;		/* 0: failed before it was identified */
	Oid			database;
	Oid			role;
	bool		toplevel;
} StewardLatencyKey;

/* What is known about one key, copied out of shared memory. */
typedef struct StewardLatency
{
	StewardLatencyKey key;
	TimestampTz since;			/* when counting began */
	uint64		elapsed_ns;		/* sum of the times in execution */
	uint64		waited_ns;		/* sum of the times before */
	uint64		aborted;		/* executions that ended in an error */
	StewardHistogram histogram; /* of all executions, or of a period */
} StewardLatency;

/* Everything except for histograms. */
typedef struct StewardStoreInfo
{
	int64		entries;
	int64		max_entries;
	int64		pages;			/* histogram pages in use */
	int64		max_pages;
	int64		evictions;		/* keys that made room for others */
	int64		dropped;		/* executions that found no room */
	TimestampTz reset_at;
} StewardStoreInfo;

/*
 * Which keys a reset is for; what is not set stands for all.  0 is a query id
 * like others.
 */
typedef struct StewardResetFilter
{
	bool		has_queryid;
	bool		has_database;
	bool		has_role;
	int64		queryid;
	Oid			database;
	Oid			role;
} StewardResetFilter;

typedef struct StewardStoreScan StewardStoreScan;

/* store.c */
extern void steward_store_init(void);
extern int64 steward_store_reset(const StewardResetFilter *filter);
extern void steward_store_info(StewardStoreInfo *info);

/* store_scan.c */
extern StewardStoreScan *steward_store_scan_begin(int minutes);
extern bool steward_store_scan_next(StewardStoreScan *scan,
									StewardLatency *latency);
extern bool steward_store_scan_find(StewardStoreScan *scan,
									const StewardLatencyKey *key,
									StewardLatency *latency);
extern TimestampTz steward_store_scan_since(StewardStoreScan *scan);

#endif							/* STEWARD_STORE_H */
