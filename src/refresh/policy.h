/*-------------------------------------------------------------------------
 *
 * policy.h
 *	  Policies of materialized views, and what became of them.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_POLICY_H
#define STEWARD_POLICY_H

#include "nodes/pg_list.h"

#include "refresh/refresh_run.h"
#include "refresh/schedule.h"

/* yield_after_ms of a policy that leaves it to the setting */
#define STEWARD_YIELD_BY_SETTING (-1)

/* A row of steward.matview_policy, with its row of steward.matview_state. */
typedef struct StewardPolicy
{
	Oid			view;
	Oid			owner;			/* of the view */
	StewardSchedule schedule;
	char	   *method;
	int64		yield_after_ms; /* 0: never; or STEWARD_YIELD_BY_SETTING */
	int64		max_runtime_ms; /* 0: no limit */
	bool		assume_deterministic;
	bool		continue_on_upstream_error;
	bool		paused;

	/* state; moments are 0 and numbers -1 where there is none */
	TimestampTz last_ok;
	TimestampTz last_attempt;
	TimestampTz not_before;
	TimestampTz running_since;
	double		typical_duration_ms;
	double		delta_ratio;
	int			consecutive_failures;
	int			crash_count;
	char	   *suspended;		/* NULL, "suspended" or "quarantined" */
	char	   *last_sqlstate;	/* NULL if the last run was good */
} StewardPolicy;

/* How a run of the worker ended. */
typedef struct StewardRun
{
	const char *outcome;		/* ok, verified_equal, failed, yielded,
								 * cancelled, crashed */
	TimestampTz started;
	StewardRefreshOutcome result;	/* of ok and verified_equal */
	const char *sqlstate;		/* NULL if good */
	const char *error;			/* message, NULL if good */
	TimestampTz not_before;		/* backoff, 0 for none */
	const char *suspended;		/* as in the policy */
	int			crash_count;
	int			consecutive_failures;	/* with this run */
} StewardRun;

/* policy.c */
extern List *steward_policy_load(void);
extern bool steward_policy_started(Oid view);
extern void steward_policy_finished(Oid view, const StewardRun *run);
extern void steward_policy_settled(Oid view, TimestampTz last_ok);
extern void steward_policy_skipped(Oid view, int64 skips);

/* policy_change.c */
extern void steward_policy_changed(void);
extern bool steward_policy_is_changing(void);
extern void steward_policy_init(void);

#endif							/* STEWARD_POLICY_H */
