/*-------------------------------------------------------------------------
 *
 * refresh_backoff.h
 *	  How long a refresh that failed is left alone.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_BACKOFF_H
#define STEWARD_REFRESH_BACKOFF_H

/* What is known of a failure. */
typedef struct StewardFailure
{
	const char *sqlstate;		/* five characters */
	bool		gave_way;		/* it was stopped for a user's sake */
	int			failures;		/* in a row, with this one */
	int64		interval_ms;	/* of the schedule, 0: none */
	double		random;			/* 0 to 1 */
} StewardFailure;

/* What follows from it. */
typedef struct StewardBackoff
{
	int64		delay_ms;
	bool		suspend;		/* not again before somebody looks at it */
} StewardBackoff;

extern bool steward_backoff_is_transient(const char *sqlstate);
extern void steward_backoff_rule(const StewardFailure *failure,
								 StewardBackoff *result);
extern void steward_backoff_crashed(int crashes, StewardBackoff *result);

#endif							/* STEWARD_REFRESH_BACKOFF_H */
