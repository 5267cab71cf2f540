/*-------------------------------------------------------------------------
 *
 * cron.h
 *	  Schedules in the five fields of cron.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_CRON_H
#define STEWARD_CRON_H

/*
 * What the fields name, one bit a value.  Plain data, may live in shared
 * memory.
 */
typedef struct StewardCron
{
	uint64		minutes;		/* 0 to 59 */
	uint32		hours;			/* 0 to 23 */
	uint32		days;			/* of the month, 1 to 31 */
	uint32		months;			/* 1 to 12 */
	uint8		weekdays;		/* 0 is Sunday, to 6 */
	bool		any_day;		/* the field begins with "*" */
	bool		any_weekday;	/* likewise */
} StewardCron;

#define STEWARD_CRON_ALL_HOURS 0x00ffffffU

extern void steward_cron_parse(const char *text, StewardCron *cron);
extern bool steward_cron_next_local(const StewardCron *cron, int64 after,
									int64 *next);

#endif							/* STEWARD_CRON_H */
