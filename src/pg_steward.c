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
#include "advisor/constants.h"
#include "advisor/progress.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/launcher.h"
#include "base/pressure_level.h"
#include "base/shmem.h"
#include "latency/n_plus_one.h"
#include "latency/tracker.h"
#include "pool/pgbouncer.h"
#include "pool/pool_event.h"
#include "pool/pool_store.h"
#include "pool/refusals.h"
#include "pool/sampler.h"
#include "refresh/ddl_hooks.h"
#include "refresh/freshness.h"
#include "refresh/policy.h"
#include "refresh/refresh_launcher.h"
#include "refresh/refresh_progress.h"
#include "refresh/refresh_registry.h"
#include "refresh/server_refresh.h"

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
	steward_pressure_level_init();
	steward_pool_store_init();
	steward_refusals_init();
	steward_sampler_init();
	steward_pool_event_init();
	steward_pgbouncer_init();
	steward_freshness_init();
	steward_policy_init();
	steward_registry_init();
	steward_refresh_launcher_init();
	steward_ddl_hooks_init();
	steward_refresh_progress_init();
	steward_server_refresh_init();
}
