/*-------------------------------------------------------------------------
 *
 * refresh_backoff.c
 *	  How long a refresh that failed is left alone.
 *
 * A failure is transient if the same command may succeed later without
 * anybody's help: a lock, a deadlock, a lack of resources, a cancel.  It is
 * repeated after 5 seconds, then after twice as long each time, but at least
 * every 10 intervals of the schedule or every hour, whichever is shorter.
 * Others (a division by zero, a missing right) are rarer repeated: from a
 * minute on.  20 % of chance are added or taken, so that views that failed
 * together do not come back together.
 *
 * After SUSPEND_AFTER failures in a row a view is suspended, unless the last
 * one was for want of a lock or of resources, or to give way: then the view is
 * all right.
 *
 * A refresh during which the server crashed waits for five minutes; after
 * QUARANTINE_AFTER crashes somebody has to look at the view first.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "refresh/refresh_backoff.h"

#define TRANSIENT_MS 5000
#define LASTING_MS 60000
#define LONGEST_MS 3600000
#define JITTER 0.2
#define INTERVALS 10
#define CRASH_MS 300000
#define SUSPEND_AFTER 10
#define QUARANTINE_AFTER 3

/* Is this SQLSTATE of the class, which has two characters, or the same? */
static bool
belongs_to(const char *sqlstate, const char *class)
{
	return strncmp(sqlstate, class, strlen(class)) == 0;
}

/* Is it a matter of what others do at the moment? */
static bool
is_congestion(const char *sqlstate)
{
	return belongs_to(sqlstate, "40") || belongs_to(sqlstate, "53") ||
		belongs_to(sqlstate, "55P03") || belongs_to(sqlstate, "57P");
}

/* May a command that failed so succeed later, with nothing changed? */
bool
steward_backoff_is_transient(const char *sqlstate)
{
	return is_congestion(sqlstate) || belongs_to(sqlstate, "57") ||
		belongs_to(sqlstate, "58") || belongs_to(sqlstate, "08");
}

/*
 * Judge a failure.
 */
void
steward_backoff_rule(const StewardFailure *failure, StewardBackoff *result)
{
	bool		transient = failure->gave_way ||
		steward_backoff_is_transient(failure->sqlstate);
	double		first = transient ? TRANSIENT_MS : LASTING_MS;
	double		longest = LONGEST_MS;
	double		delay = first;

	if (failure->interval_ms > 0)
		longest = Min(longest, (double) failure->interval_ms * INTERVALS);
	longest = Max(longest, first);
	for (int i = 1; i < failure->failures && delay < longest; i++)
		delay *= 2;
	delay = Min(delay, longest);
	delay *= 1 - JITTER + 2 * JITTER * failure->random;

	result->delay_ms = (int64) delay;
	result->suspend = failure->failures >= SUSPEND_AFTER &&
		!failure->gave_way && !is_congestion(failure->sqlstate);
}

/*
 * The same for a refresh during which the server crashed, the number of
 * crashes including this one; "suspend" means the quarantine.
 */
void
steward_backoff_crashed(int crashes, StewardBackoff *result)
{
	result->delay_ms = CRASH_MS;
	result->suspend = crashes >= QUARANTINE_AFTER;
}
