/*-------------------------------------------------------------------------
 *
 * schedule.h
 *	  When a materialized view is to be refreshed.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_SCHEDULE_H
#define STEWARD_SCHEDULE_H

#include "datatype/timestamp.h"

#include "refresh/cron.h"

typedef enum StewardScheduleKind
{
	STEWARD_EVERY,				/* so long after the start of the last one */
	STEWARD_CRON,				/* at times of the wall clock */
	STEWARD_LAG,				/* so that content is never older than this */
	STEWARD_DOWNSTREAM,			/* as the views that read it need it */
	STEWARD_ON_CHANGE			/* so long after a table behind it changed */
} StewardScheduleKind;

#define STEWARD_TIME_ZONE_LEN 64

/* Plain data, may live in shared memory. */
typedef struct StewardSchedule
{
	StewardScheduleKind kind;
	int64		period_us;		/* of "every", the lag, or the debounce time */
	StewardCron cron;
	char		time_zone[STEWARD_TIME_ZONE_LEN];	/* of cron */
} StewardSchedule;

extern bool steward_time_zone_is_valid(const char *name);
extern TimestampTz steward_schedule_next(const StewardSchedule *schedule,
										 TimestampTz after);

#endif							/* STEWARD_SCHEDULE_H */
