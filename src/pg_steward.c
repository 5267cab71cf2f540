/*-------------------------------------------------------------------------
 *
 * pg_steward.c
 *	  Entry point of the library.
 *
 * Loading has two forms.  Named in shared_preload_libraries, the library is
 * loaded by the postmaster: subjects register shared memory, hooks and
 * workers.  Otherwise it is loaded by the first call of one of its SQL
 * functions: settings are defined, reports work, nothing else happens.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "advisor/constants.h"
#include "base/compat.h"
#include "advisor/progress.h"
#include "base/guc.h"
#include "base/launcher.h"
#include "base/shmem.h"
#include "latency/n_plus_one.h"
#include "latency/tracker.h"
#include "pool/pgbouncer.h"
#include "pool/pool_event.h"
#include "pool/pool_store.h"
#include "pool/refusals.h"
#include "pool/sampler.h"

STEWARD_MODULE_MAGIC("pg_steward", PG_STEWARD_VERSION);

extern PGDLLEXPORT void _PG_init(void);

/*
 * Initialize each part, in the order of their dependencies.
 */
void
_PG_init(void)
{
	steward_guc_init();
	steward_shmem_init();
	steward_tracker_init();
	steward_nplusone_init();
	steward_constants_init();
	steward_launcher_init();
	steward_progress_init();
	steward_pool_store_init();
	steward_refusals_init();
	steward_sampler_init();
	steward_pool_event_init();
	steward_pgbouncer_init();
}
