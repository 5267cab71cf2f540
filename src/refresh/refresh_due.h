/*-------------------------------------------------------------------------
 *
 * refresh_due.h
 *	  The rule that says when a materialized view is to be refreshed.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_DUE_H
#define STEWARD_REFRESH_DUE_H

#include "datatype/timestamp.h"

#include "refresh/schedule.h"

/* What is known of a view; 0 is a time that is not known. */
typedef struct StewardDueInput
{
	const StewardSchedule *schedule;
	TimestampTz now;
	TimestampTz next_due;		/* as decided before */
	TimestampTz last_ok;
	TimestampTz last_attempt;
	TimestampTz not_before;		/* after a failure */
	TimestampTz stale_since;	/* the view or what it is computed from */
	bool		populated;
	bool		followed;		/* it is known when it changes */
	int64		takes_ms;		/* with what has to be refreshed before */
	int			pressure;		/* see base/pressure_level.h */
} StewardDueInput;

typedef struct StewardDueDecision
{
	bool		due;
	bool		skipped;		/* its time had come, but it is fresh */
	TimestampTz next_due;		/* when to look again, DT_NOEND: never */
} StewardDueDecision;

extern void steward_due_rule(const StewardDueInput *input,
							 StewardDueDecision *decision);
extern TimestampTz steward_due_after_run(const StewardSchedule *schedule,
										 TimestampTz next_due,
										 TimestampTz now);

#endif							/* STEWARD_REFRESH_DUE_H */
