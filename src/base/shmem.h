/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  Shared memory of pg_steward.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_SHMEM_H
#define STEWARD_SHMEM_H

#include "datatype/timestamp.h"
#include "storage/lwlock.h"

/*
 * One piece of shared memory, owned by one subject.  The descriptor is a
 * static constant of the subject.
 */
typedef struct StewardShmemArea
{
	const char *name;			/* shown in pg_shmem_allocations, and the
								 * LWLock tranche; starts with pg_steward */
	int			nlocks;			/* LWLocks wanted, 0 for none */
	Size		(*size) (void); /* bytes; called after all settings are known */

	/*
	 * Called in every process that attaches.  "found" is false exactly once,
	 * for the process that has to initialize the memory.  "locks" points to
	 * nlocks locks, or is NULL.
	 */
	void		(*attach) (void *area, LWLockPadded *locks, bool found);
} StewardShmemArea;

extern void steward_shmem_register(const StewardShmemArea *area);
extern void steward_shmem_init(void);

extern bool steward_is_preloaded(void);
extern TimestampTz steward_shmem_start_time(void);
extern Size steward_shmem_size(void);

extern bool steward_library_in_preload_list(const char *library);
extern char *steward_preload_hint(void);
extern void steward_require_preload(void);

#endif							/* STEWARD_SHMEM_H */
