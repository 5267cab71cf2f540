/*-------------------------------------------------------------------------
 *
 * schedule.c
 *	  The next time that a schedule names.
 *
 * For "every" that is arithmetic.  Times of cron are those of a wall clock,
 * and a wall clock with daylight saving time is not monotonic.  We cut time
 * into pieces in which the offset of the zone does not change, and in each
 * piece look for the next local time.  At the ends of pieces, as cron does:
 *
 * - where the clock is put forward, what falls into the missing hour comes
 *	 once, at the moment of the change;
 * - where it is put back, what falls into the repeated hour comes the first
 *	 time only;
 * - a schedule for all hours is not tied to the wall clock's hour: what it
 *	 names in the missing hour is left out, and it goes on through the repeated
 *	 one.
 *
 * Several missed times are one run: a caller asks for the next time after the
 * present, not after the last run.
 *
 * No memory is kept but that of the server for its time zones, and no catalog
 * is read: this works in the launcher.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "refresh/schedule.h"

PG_FUNCTION_INFO_V1(pg_steward_cron_next);

/* How far back a change of the offset may be that still concerns us. */
#define LOOK_BACK_SECS (25 * 3600)

/* A piece of time, in seconds since 1970, in which the offset is the same. */
typedef struct ZonePiece
{
	pg_time_t	start;
	pg_time_t	end;			/* when the next one starts */
	bool		last;			/* there is no next one */
	long		offset;			/* local time less UTC, in seconds */
	long		next_offset;
} ZonePiece;

/* Can times be reckoned in a zone of this name? */
bool
steward_time_zone_is_valid(const char *name)
{
	pg_tz	   *zone;

	if (strlen(name) >= STEWARD_TIME_ZONE_LEN)
		return false;
	zone = pg_tzset(name);
	return zone != NULL && pg_tz_acceptable(zone);
}

/* The piece of time that contains "at". */
static void
find_piece(pg_time_t at, pg_tz *zone, ZonePiece *piece)
{
	int			isdst;
	int			next_isdst;
	int			found;

	piece->start = at;
	piece->offset = piece->next_offset = 0;
	found = pg_next_dst_boundary(&at, &piece->offset, &isdst, &piece->end,
								 &piece->next_offset, &next_isdst, zone);
	piece->last = found <= 0;
}

/* Seconds since 2000 of the wall clock at a moment, at this offset. */
static int64
local_time(pg_time_t at, long offset)
{
	return (int64) at + offset -
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY;
}

/* The moment at which the wall clock, at this offset, shows this. */
static pg_time_t
moment(int64 local, long offset)
{
	return local - offset +
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY;
}

/*
 * The next moment after "after" that a cron schedule names; false if there is
 * none.
 */
static bool
next_by_cron(const StewardCron *cron, pg_tz *zone, pg_time_t after,
			 pg_time_t *next)
{
	bool		all_hours = cron->hours == STEWARD_CRON_ALL_HOURS;
	int64		floor = PG_INT64_MIN;	/* local times up to here are done */
	ZonePiece	piece;

	find_piece(after - LOOK_BACK_SECS, zone, &piece);
	for (;;)
	{
		int64		from;
		int64		local;

		/* in this piece? */
		from = local_time(Max(after, piece.start - 1), piece.offset);
		if (!steward_cron_next_local(cron, Max(from, floor), &local))
			return false;
		if (piece.last || moment(local, piece.offset) < piece.end)
		{
			*next = moment(local, piece.offset);
			if (*next > after)
				return true;
		}
		if (piece.last)
			return false;

		/*
		 * Not before its end.  The wall clock goes from local_time(end,
		 * offset) to local_time(end, next_offset).
		 */
		floor = PG_INT64_MIN;
		if (!all_hours && piece.next_offset > piece.offset && piece.end > after)
		{
			from = local_time(piece.end, piece.offset);
			if (steward_cron_next_local(cron, from - 1, &local) &&
				local < local_time(piece.end, piece.next_offset))
			{
				*next = piece.end;
				return true;
			}
		}
		if (!all_hours && piece.next_offset < piece.offset)
			floor = local_time(piece.end, piece.offset) - 1;
		find_piece(piece.end, zone, &piece);
	}
}

/*
 * The first time after "after" that an "every" or "cron" schedule names, or
 * DT_NOEND if there is none, as for the other kinds.
 */
TimestampTz
steward_schedule_next(const StewardSchedule *schedule, TimestampTz after)
{
	pg_tz	   *zone;
	pg_time_t	next;
	TimestampTz result;

	if (TIMESTAMP_NOT_FINITE(after))
		return DT_NOEND;
	if (schedule->kind == STEWARD_EVERY)
	{
		result = after + schedule->period_us;
		return result > after && IS_VALID_TIMESTAMP(result) ? result : DT_NOEND;
	}
	if (schedule->kind != STEWARD_CRON)
		return DT_NOEND;

	/* a zone that the server lost with an update of its data: go on in UTC */
	zone = pg_tzset(schedule->time_zone);
	if (zone == NULL)
		zone = pg_tzset("GMT");
	if (zone == NULL ||
		!next_by_cron(&schedule->cron, zone, timestamptz_to_time_t(after),
					  &next))
		return DT_NOEND;
	result = time_t_to_timestamptz(next);
	return IS_VALID_TIMESTAMP(result) ? result : DT_NOEND;
}

/*
 * cron_next(cron text, time_zone text, after timestamptz) returns timestamptz
 */
Datum
pg_steward_cron_next(PG_FUNCTION_ARGS)
{
	StewardSchedule schedule = {.kind = STEWARD_CRON};
	char	   *zone = text_to_cstring(PG_GETARG_TEXT_PP(1));
	TimestampTz next;

	steward_cron_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &schedule.cron);
	if (!steward_time_zone_is_valid(zone))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", zone)));
	strlcpy(schedule.time_zone, zone, sizeof(schedule.time_zone));
	next = steward_schedule_next(&schedule, PG_GETARG_TIMESTAMPTZ(2));
	if (TIMESTAMP_NOT_FINITE(next))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(next);
}
