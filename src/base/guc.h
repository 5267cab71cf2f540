/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  Settings of pg_steward.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_GUC_H
#define STEWARD_GUC_H

#include "base/compat.h"

/* pg_steward.lock_timeout: milliseconds, 0 waits without limit */
extern int	steward_lock_timeout;

/* pg_steward.track: which statements are measured */
typedef enum StewardTrack
{
	STEWARD_TRACK_NONE,
	STEWARD_TRACK_TOP,
	STEWARD_TRACK_ALL
} StewardTrack;

extern STEWARD_HIDDEN int steward_track;

/* pg_steward.max_queries: keys with a histogram, fixed at server start */
extern int	steward_max_queries;

/* pg_steward.save: keep histograms over a restart */
extern bool steward_save;

/* pg_steward.latency_warning, latency_critical: milliseconds */
extern int	steward_latency_warning;
extern int	steward_latency_critical;

/* pg_steward.n_plus_one and n_plus_one_*: see latency/n_plus_one.c */
extern STEWARD_HIDDEN bool steward_nplusone;
extern int	steward_nplusone_threshold; /* executions */
extern STEWARD_HIDDEN int steward_nplusone_gap; /* milliseconds */
extern int	steward_nplusone_max;	/* pairs kept in shared memory */

/* pg_steward.pool_*: see pool/sampler.c and pool/pressure.c */
extern int	steward_pool_sample_interval;	/* seconds, 0: off */
extern int	steward_pool_warning_after; /* seconds */
extern int	steward_pool_critical_after;	/* seconds */
extern int	steward_pool_clear_after;	/* seconds */
extern int	steward_pool_reminder;	/* seconds, 0: none */
extern double steward_pool_warning_pct;
extern double steward_pool_critical_pct;
extern double steward_pool_immediate_pct;
extern int	steward_pool_event_retention;	/* days */
extern char *steward_notify_channel;
/* pg_steward.bloat_max_blocks: blocks that one bloat report may read */
extern int	steward_bloat_max_blocks;

/* pg_steward.pgbouncer_*: see pool/pgbouncer.c and pool/pgbouncer_rule.c */
extern char *steward_pgbouncer_conninfo;	/* a list, see conninfo.c */
extern int	steward_pgbouncer_interval; /* seconds */
extern int	steward_pgbouncer_maxwait;	/* milliseconds */
extern int	steward_pgbouncer_maxwait_after;	/* seconds */
extern int	steward_pgbouncer_waiting_after;	/* seconds */

/* pg_steward.refresh_diff_memory: kilobytes, see refresh/diff_match.c */
extern int	steward_refresh_diff_memory;

/* pg_steward.sample_constants*: see advisor/constants_store.c */
extern STEWARD_HIDDEN bool steward_sample_constants;
extern int	steward_constants_memory;	/* kilobytes */

extern void steward_guc_init(void);

#endif							/* STEWARD_GUC_H */
