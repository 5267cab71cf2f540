/*-------------------------------------------------------------------------
 *
 * cron.c
 *	  Schedules in the five fields of cron.
 *
 * minute, hour, day of the month, month, day of the week; as crontab(5) has
 * them: "*", numbers, ranges, lists, steps, the first three letters of English
 * months and days, Sunday being 0 and 7, and @hourly and its like.  As there,
 * where both days are restricted, either suffices: "0 0 13 * fri" is every
 * 13th and every Friday.  A field that begins with "*" does not restrict, even
 * with a step; then both have to hold.
 *
 * A schedule that names no day of any year, as "0 0 31 2 *", is an error.
 *
 * Times here are local: seconds of the wall clock, without a zone.  What the
 * clock does twice a year is left to schedule.c.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#include "refresh/cron.h"

PG_FUNCTION_INFO_V1(pg_steward_is_cron);

/*
 * Days that are searched.  29 February falls on a given weekday every 28
 * years, or after 40 around a year like 2100.
 */
#define SEARCH_DAYS (41 * 366)

/* One of the five fields. */
typedef struct CronField
{
	const char *name;			/* for messages */
	int			low;
	int			high;
	const char *const *names;	/* of the values from low on, or NULL */
	int			nnames;
} CronField;

static const char *const month_names[] = {
	"jan", "feb", "mar", "apr", "may", "jun",
	"jul", "aug", "sep", "oct", "nov", "dec"
};

static const char *const weekday_names[] = {
	"sun", "mon", "tue", "wed", "thu", "fri", "sat"
};

#define NFIELDS 5

static const CronField fields[NFIELDS] = {
	{"minute", 0, 59, NULL, 0},
	{"hour", 0, 23, NULL, 0},
	{"day of month", 1, 31, NULL, 0},
	{"month", 1, 12, month_names, lengthof(month_names)},
	{"day of week", 0, 7, weekday_names, lengthof(weekday_names)}
};

/* Names for whole schedules. */
static const struct
{
	const char *name;
	const char *text;
}			nicknames[] = {
	{"@hourly", "0 * * * *"},
	{"@daily", "0 0 * * *"},
	{"@midnight", "0 0 * * *"},
	{"@weekly", "0 0 * * 0"},
	{"@monthly", "0 0 1 * *"},
	{"@yearly", "0 0 1 1 *"},
	{"@annually", "0 0 1 1 *"}
};

/* Raise the error about a field. */
static void
reject_field(const CronField *field, const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s in cron schedule: \"%s\"", field->name, text),
			 field->names != NULL ?
			 errdetail("Values are %d to %d and the names \"%s\" to \"%s\", also in lists \"a,b\", ranges \"a-b\" and steps \"*/n\" or \"a-b/n\".",
					   field->low, field->high,
					   field->names[0], field->names[field->nnames - 1]) :
			 errdetail("Values are %d to %d, also in lists \"a,b\", ranges \"a-b\" and steps \"*/n\" or \"a-b/n\".",
					   field->low, field->high)));
}

/*
 * Read a number of at most four digits at *p and move behind it.
 */
static bool
scan_number(const char **p, int *value)
{
	int			ndigits = 0;

	*value = 0;
	while (**p >= '0' && **p <= '9' && ndigits < 4)
	{
		*value = *value * 10 + (**p - '0');
		(*p)++;
		ndigits++;
	}
	return ndigits > 0;
}

/*
 * Read a value of the field at *p, a number or a name, and move behind it.
 */
static bool
scan_value(const CronField *field, const char **p, int *value)
{
	if (scan_number(p, value))
		return *value >= field->low && *value <= field->high;
	for (int i = 0; i < field->nnames; i++)
	{
		if (pg_strncasecmp(*p, field->names[i], 3) == 0)
		{
			*p += 3;
			*value = field->low + i;
			return true;
		}
	}
	return false;
}

/*
 * Read one member of the list at *p, move behind it, and add what it names.
 */
static bool
scan_member(const CronField *field, const char **p, uint64 *bits)
{
	int			low = field->low;
	int			high = field->high;
	int			step = 1;
	bool		range = true;

	if (**p == '*')
		(*p)++;
	else
	{
		if (!scan_value(field, p, &low))
			return false;
		high = low;
		range = false;
		if (**p == '-')
		{
			(*p)++;
			if (!scan_value(field, p, &high) || high < low)
				return false;
			range = true;
		}
	}
	if (**p == '/')
	{
		(*p)++;
		/* crontab(5): steps stand behind ranges; "5/15" would mean nothing */
		if (!range || !scan_number(p, &step) || step < 1)
			return false;
	}
	for (int i = low; i <= high; i += step)
		*bits |= UINT64CONST(1) << i;
	return true;
}

/* What a field names, one bit a value. */
static uint64
parse_field(const CronField *field, const char *text)
{
	const char *p = text;
	uint64		bits = 0;

	for (;;)
	{
		if (!scan_member(field, &p, &bits))
			reject_field(field, text);
		if (*p == '\0')
			return bits;
		if (*p != ',')
			reject_field(field, text);
		p++;
	}
}

/*
 * Cut a text into fields at white space; returns their number, which counts
 * further ones than fit.  The text is changed.
 */
static int
split_fields(char *text, char **words)
{
	int			nwords = 0;
	char	   *rest = text;
	char	   *word;

	while ((word = strtok_r(rest, " \t\r\n", &rest)) != NULL)
	{
		if (nwords < NFIELDS)
			words[nwords] = word;
		nwords++;
	}
	return nwords;
}

/* The text for which a schedule like "@daily" stands, or the text itself. */
static const char *
resolve_nickname(const char *text)
{
	if (text[0] != '@')
		return text;
	for (int i = 0; i < lengthof(nicknames); i++)
	{
		if (pg_strcasecmp(text, nicknames[i].name) == 0)
			return nicknames[i].text;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid cron schedule: \"%s\"", text),
			 errhint("Use @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually, or five fields.")));
	return NULL;				/* keep compiler quiet */
}

/* Is there a day of the month that one of the months has? */
static bool
names_some_day(const StewardCron *cron)
{
	/* in a leap year */
	static const int ndays[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	/* either of the two days suffices, and weekdays come in every month */
	if (!cron->any_day && !cron->any_weekday)
		return true;
	for (int month = 1; month <= 12; month++)
	{
		uint32		all = (uint32) ((UINT64CONST(1) << (ndays[month - 1] + 1)) - 1);

		if ((cron->months & (1U << month)) != 0 && (cron->days & all) != 0)
			return true;
	}
	return false;
}

/*
 * Read a schedule, or raise an error that says which field is wrong.  A palloc
 * of the text's size is left in the current memory context.
 */
void
steward_cron_parse(const char *text, StewardCron *cron)
{
	char	   *words[NFIELDS];
	uint64		weekdays;
	int			nwords = split_fields(pstrdup(text), words);

	memset(cron, 0, sizeof(StewardCron));
	if (nwords == 1 && words[0][0] == '@')
		nwords = split_fields(pstrdup(resolve_nickname(words[0])), words);
	if (nwords != NFIELDS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid cron schedule: \"%s\"", text),
				 errdetail_plural("It has %d field instead of five: minute, hour, day of month, month, day of week.",
								  "It has %d fields instead of five: minute, hour, day of month, month, day of week.",
								  nwords, nwords)));
	cron->minutes = parse_field(&fields[0], words[0]);
	cron->hours = (uint32) parse_field(&fields[1], words[1]);
	cron->days = (uint32) parse_field(&fields[2], words[2]);
	cron->months = (uint32) parse_field(&fields[3], words[3]);
	weekdays = parse_field(&fields[4], words[4]);
	/* Sunday is 0 and 7 */
	cron->weekdays = (uint8) ((weekdays | weekdays >> 7) & 0x7f);
	cron->any_day = words[2][0] == '*';
	cron->any_weekday = words[4][0] == '*';

	if (!names_some_day(cron))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cron schedule \"%s\" never comes", text),
				 errdetail("None of its months has such a day.")));
}

/* Does the schedule name this day? */
static bool
matches_day(const StewardCron *cron, int julian)
{
	int			year;
	int			month;
	int			day;
	bool		by_day;
	bool		by_weekday;

	j2date(julian, &year, &month, &day);
	if ((cron->months & (1U << month)) == 0)
		return false;
	by_day = (cron->days & (1U << day)) != 0;
	by_weekday = (cron->weekdays & (1U << j2day(julian))) != 0;
	if (cron->any_day || cron->any_weekday)
		return by_day && by_weekday;
	return by_day || by_weekday;
}

/*
 * The first minute of a day, counted from its beginning, that the schedule
 * names and that is not before "from"; -1 if there is none.
 */
static int
next_minute_of_day(const StewardCron *cron, int from)
{
	for (int hour = from / 60; hour < 24; hour++)
	{
		uint64		minutes = cron->minutes;

		if ((cron->hours & (1U << hour)) == 0)
			continue;
		if (hour == from / 60)
			minutes &= ~UINT64CONST(0) << (from % 60);
		for (int minute = 0; minute < 60; minute++)
		{
			if ((minutes & (UINT64CONST(1) << minute)) != 0)
				return hour * 60 + minute;
		}
	}
	return -1;
}

/*
 * The first time after "after" that a schedule names, both as seconds of the
 * wall clock since 2000-01-01.  False if there is none, which the parser rules
 * out.
 */
bool
steward_cron_next_local(const StewardCron *cron, int64 after, int64 *next)
{
	int64		start = after - after % SECS_PER_MINUTE;
	int64		day;
	int			from;

	if (after % SECS_PER_MINUTE < 0)
		start -= SECS_PER_MINUTE;
	start += SECS_PER_MINUTE;		/* the next full minute */
	day = start / SECS_PER_DAY;
	if (start % SECS_PER_DAY < 0)
		day--;
	from = (int) ((start - day * SECS_PER_DAY) / SECS_PER_MINUTE);

	for (int i = 0; i < SEARCH_DAYS; i++, day++, from = 0)
	{
		int			minute;

		if (!matches_day(cron, (int) (day + POSTGRES_EPOCH_JDATE)))
			continue;
		minute = next_minute_of_day(cron, from);
		if (minute >= 0)
		{
			*next = day * SECS_PER_DAY + (int64) minute * SECS_PER_MINUTE;
			return true;
		}
	}
	return false;
}

/*
 * is_cron(cron text) returns boolean: for the constraint of the table.
 */
Datum
pg_steward_is_cron(PG_FUNCTION_ARGS)
{
	StewardCron cron;

	steward_cron_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &cron);
	PG_RETURN_BOOL(true);
}
