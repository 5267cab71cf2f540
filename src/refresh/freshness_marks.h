/*-------------------------------------------------------------------------
 *
 * freshness_marks.h
 *	  What is remembered of the latest refresh of each materialized view.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_FRESHNESS_MARKS_H
#define STEWARD_FRESHNESS_MARKS_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/lwlock.h"

/*
 * A mark says: the view holds what its query returned for a snapshot that was
 * taken after the clock showed "base".  Fields that are not atomic change
 * under the lock, held exclusively.
 */
typedef struct StewardMark
{
	Oid			database;
	Oid			view;
	uint32		hash;			/* of the view, on the board of changes */
	uint64		base;			/* before the snapshot */
	uint64		own_base;		/* after the commit of the refresh */
	uint64		signature;		/* of the definition */
	uint64		settings;		/* hash of settings it depends on, or 0 */
	uint64		bits;			/* of what is stored in a relation */
	uint64		definition_bits;	/* of all, see change_clock.h */
	bool		assumed;		/* taken for deterministic because told so */
	bool		calls_user_functions;
	bool		calls_user_code;
	uint32		first;			/* of its relations, in the pool */
	uint32		nstored;		/* hashes of relations that are stored */
	uint32		nothers;		/* hashes of views and partitioned tables */
	pg_atomic_uint64 definitions_base;	/* definitions were read after */
	pg_atomic_uint64 stale_since;	/* TimestampTz, 0 while fresh */
	pg_atomic_uint32 redefined; /* seen to have another signature */
	pg_atomic_uint64 asked;		/* TimestampTz of the latest question */
} StewardMark;

extern void steward_marks_init(void);
extern LWLock *steward_marks_lock(void);
extern StewardMark *steward_marks_find(Oid database, Oid view);
extern const uint32 *steward_marks_relations(const StewardMark *mark);
extern bool steward_marks_put(const StewardMark *mark, const uint32 *relations);
extern void steward_marks_remove(Oid database, Oid view);

#endif							/* STEWARD_FRESHNESS_MARKS_H */
