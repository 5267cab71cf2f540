/*-------------------------------------------------------------------------
 *
 * pressure.c
 *	  The rule that decides when a connection pool is under pressure.
 *
 * Pure arithmetic over samples and a clock that the caller gives, so that a
 * day can be replayed in a test.
 *
 * Up: WARNING when every sample of warning_after seconds was above
 * warning_pct, or when clients wait in a pooler for too long; CRITICAL
 * likewise, or at once at immediate_pct or when a client was refused.
 *
 * Down: a level ends when every sample of clear_after seconds was more than
 * STEWARD_PRESSURE_HYSTERESIS points below its threshold and nobody was
 * refused or queued.  Who falls from CRITICAL while still near the threshold of
 * WARNING is at WARNING; from there it is one step to OK.  A pool that swings
 * around a threshold therefore changes its level once, not with each swing.
 *
 * "Every sample of N seconds" can only be said if there were samples: after a
 * gap longer than limits->gap, or when the clock goes back, all these periods
 * start anew.  The level itself is kept.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pool/pressure.h"

/*
 * Share of the usable slots in use, in percent; more than 100 if reserved
 * slots are in use, too.
 */
double
steward_pressure_pct(int used, int usable)
{
	if (usable <= 0)
		return used > 0 ? 100.0 : 0.0;
	return 100.0 * used / usable;
}

/* Start or end a period.  A clock of 0 is taken for 1: 0 means no period. */
static void
track_period(int64 *since, bool holds, int64 now)
{
	if (!holds)
		*since = 0;
	else if (*since == 0)
		*since = Max(now, 1);
}

/* Has the period lasted so long? */
static bool
lasted(int64 since, int64 now, int seconds)
{
	return since != 0 && now - since >= seconds * INT64CONST(1000);
}

/* Bring the periods up to the sample. */
static void
track_periods(StewardPressureState *state, const StewardPressureLimits *limits,
			  const StewardPressureSample *sample, double pct)
{
	int64		now = sample->now_ms;
	bool		troubled = sample->refused > 0 || sample->queued;

	if (state->last_ms != 0 &&
		(now < state->last_ms ||
		 now - state->last_ms > limits->gap * INT64CONST(1000)))
	{
		state->above_warning_since = state->above_critical_since = 0;
		state->calm_warning_since = state->calm_critical_since = 0;
		state->level_since = Min(state->level_since, Max(now, 1));
		state->last_said = Min(state->last_said, Max(now, 1));
	}
	state->last_ms = Max(now, 1);

	track_period(&state->above_warning_since, pct > limits->warning_pct, now);
	track_period(&state->above_critical_since, pct > limits->critical_pct, now);
	track_period(&state->calm_warning_since, !troubled &&
				 pct < limits->warning_pct - STEWARD_PRESSURE_HYSTERESIS, now);
	track_period(&state->calm_critical_since, !troubled &&
				 pct < limits->critical_pct - STEWARD_PRESSURE_HYSTERESIS &&
				 pct < limits->immediate_pct, now);
}

/* The level that this sample asks for, and why; it may be below the current. */
static StewardPressureLevel
wanted_level(const StewardPressureState *state,
			 const StewardPressureLimits *limits,
			 const StewardPressureSample *sample, double pct,
			 StewardPressureCause *cause)
{
	int64		now = sample->now_ms;

	if (sample->refused > 0)
		*cause = STEWARD_CAUSE_REFUSED;
	else if (pct >= limits->immediate_pct)
		*cause = STEWARD_CAUSE_FULL;
	else if (lasted(state->above_critical_since, now, limits->critical_after))
		*cause = STEWARD_CAUSE_LONG;
	else
	{
		if (lasted(state->above_warning_since, now, limits->warning_after))
			*cause = STEWARD_CAUSE_LONG;
		else
			*cause = sample->queued ? STEWARD_CAUSE_QUEUE : STEWARD_CAUSE_NONE;
		return *cause == STEWARD_CAUSE_NONE ? STEWARD_PRESSURE_OK :
			STEWARD_PRESSURE_WARNING;
	}
	return STEWARD_PRESSURE_CRITICAL;
}

/* The level that is left when nothing asks for more. */
static StewardPressureLevel
remaining_level(const StewardPressureState *state,
				const StewardPressureLimits *limits, int64 now)
{
	if (lasted(state->calm_warning_since, now, limits->clear_after))
		return STEWARD_PRESSURE_OK;
	if (state->level == STEWARD_PRESSURE_CRITICAL &&
		lasted(state->calm_critical_since, now, limits->clear_after))
		return STEWARD_PRESSURE_WARNING;
	return state->level;
}

/*
 * Take a sample into account.  Returns what is to be said about it.
 */
StewardPressureNews
steward_pressure_step(StewardPressureState *state,
					  const StewardPressureLimits *limits,
					  const StewardPressureSample *sample)
{
	double		pct = steward_pressure_pct(sample->used, sample->usable);
	int64		now = sample->now_ms;
	StewardPressureLevel before = state->level;
	StewardPressureLevel wanted;
	StewardPressureCause cause;
	StewardPressureNews news = STEWARD_NEWS_NONE;

	track_periods(state, limits, sample, pct);
	wanted = wanted_level(state, limits, sample, pct, &cause);

	if (wanted > before)
	{
		state->level = wanted;
		state->cause = cause;
		news = STEWARD_NEWS_RAISED;
	}
	else
	{
		state->level = Max(wanted, remaining_level(state, limits, now));
		if (state->level < before)
			news = state->level == STEWARD_PRESSURE_OK ?
				STEWARD_NEWS_CLEARED : STEWARD_NEWS_LOWERED;
		else if (state->level > STEWARD_PRESSURE_OK && limits->reminder > 0 &&
				 lasted(state->last_said, now, limits->reminder))
			news = STEWARD_NEWS_REMINDER;
	}

	if (state->level != before)
		state->level_since = Max(now, 1);
	if (news != STEWARD_NEWS_NONE)
		state->last_said = Max(now, 1);
	if (state->level == STEWARD_PRESSURE_OK)
		state->cause = STEWARD_CAUSE_NONE;
	else if (news == STEWARD_NEWS_LOWERED)
		state->cause = STEWARD_CAUSE_LONG;
	return news;
}

/* Names as reports and log lines show them. */
const char *
steward_pressure_level_name(StewardPressureLevel level)
{
	switch (level)
	{
		case STEWARD_PRESSURE_OK:
			return "ok";
		case STEWARD_PRESSURE_WARNING:
			return "warning";
		case STEWARD_PRESSURE_CRITICAL:
			return "critical";
	}
	return "???";
}

/* What made it rise. */
const char *
steward_pressure_cause_name(StewardPressureCause cause)
{
	switch (cause)
	{
		case STEWARD_CAUSE_NONE:
			return "none";
		case STEWARD_CAUSE_LONG:
			return "above threshold";
		case STEWARD_CAUSE_FULL:
			return "nearly full";
		case STEWARD_CAUSE_REFUSED:
			return "clients refused";
		case STEWARD_CAUSE_QUEUE:
			return "clients wait in a pooler";
	}
	return "???";
}

/* What has changed; NULL for nothing. */
const char *
steward_pressure_news_name(StewardPressureNews news)
{
	switch (news)
	{
		case STEWARD_NEWS_NONE:
			return NULL;
		case STEWARD_NEWS_RAISED:
			return "raised";
		case STEWARD_NEWS_LOWERED:
			return "lowered";
		case STEWARD_NEWS_CLEARED:
			return "cleared";
		case STEWARD_NEWS_REMINDER:
			return "reminder";
	}
	return "???";
}
