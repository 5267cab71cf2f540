/*-------------------------------------------------------------------------
 *
 * pressure_level.c
 *	  How hard the server's connection pool is pressed, for all subjects.
 *
 * The subject that watches the pool says it; a subject that can put off work
 * asks.  One atomic number in shared memory: there is nothing to lock, and
 * whoever reads an old value acts some milliseconds late.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"

#include "base/pressure_level.h"
#include "base/shmem.h"

/* Shared; NULL unless preloaded. */
static pg_atomic_uint32 *shared_level;

static Size
level_size(void)
{
	return sizeof(pg_atomic_uint32);
}

static void
level_attach(void *area, LWLockPadded *locks, bool found)
{
	shared_level = area;
	if (!found)
		pg_atomic_init_u32(shared_level, 0);
}

static const StewardShmemArea level_area = {
	.name = "pg_steward_pressure_level",
	.size = level_size,
	.attach = level_attach,
};

/* Register the area, while the library is being preloaded. */
void
steward_pressure_level_init(void)
{
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		steward_shmem_register(&level_area);
}

/* Tell the others; see the header for levels. */
void
steward_pressure_level_set(int level)
{
	if (shared_level != NULL)
		pg_atomic_write_u32(shared_level, (uint32) level);
}

/* The level that was told last, 0 if none was. */
int
steward_pressure_level_get(void)
{
	return shared_level == NULL ? 0 : (int) pg_atomic_read_u32(shared_level);
}
