/*-------------------------------------------------------------------------
 *
 * pressure.h
 *	  The rule that decides when a connection pool is under pressure.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_PRESSURE_H
#define STEWARD_PRESSURE_H

typedef enum StewardPressureLevel
{
	STEWARD_PRESSURE_OK,
	STEWARD_PRESSURE_WARNING,
	STEWARD_PRESSURE_CRITICAL
} StewardPressureLevel;

/* What made the level rise. */
typedef enum StewardPressureCause
{
	STEWARD_CAUSE_NONE,
	STEWARD_CAUSE_LONG,			/* above a threshold for long enough */
	STEWARD_CAUSE_FULL,			/* at the threshold that is no matter of time */
	STEWARD_CAUSE_REFUSED,		/* a client was refused */
	STEWARD_CAUSE_QUEUE			/* clients wait in a pooler */
} StewardPressureCause;

/* Thresholds: percent of the usable slots, and seconds. */
typedef struct StewardPressureLimits
{
	double		warning_pct;
	double		critical_pct;
	double		immediate_pct;
	int			warning_after;
	int			critical_after;
	int			clear_after;
	int			reminder;		/* 0: none */
	int			gap;			/* longest time between samples that counts */
} StewardPressureLimits;

/* What is known at one moment; the clock is any that never goes back. */
typedef struct StewardPressureSample
{
	int64		now_ms;
	int			used;			/* slots */
	int			usable;			/* slots for ordinary users */
	int64		refused;		/* since the last sample */
	bool		queued;			/* clients wait in a pooler for too long */
} StewardPressureSample;

/*
 * What is remembered from one sample to the next.  All zero at the start; a
 * "since" is 0 while its condition does not hold.
 */
typedef struct StewardPressureState
{
	int64		last_ms;		/* the latest sample */
	int64		above_warning_since;
	int64		above_critical_since;
	int64		calm_warning_since; /* below the threshold minus hysteresis, */
	int64		calm_critical_since;	/* and nobody was refused */
	int64		level_since;
	int64		last_said;		/* the latest change or reminder */
	StewardPressureLevel level;
	StewardPressureCause cause;
} StewardPressureState;

/* What a sample means. */
typedef enum StewardPressureNews
{
	STEWARD_NEWS_NONE,
	STEWARD_NEWS_RAISED,
	STEWARD_NEWS_LOWERED,		/* from critical to warning */
	STEWARD_NEWS_CLEARED,
	STEWARD_NEWS_REMINDER
} StewardPressureNews;

/* Points below a threshold that end what the threshold began. */
#define STEWARD_PRESSURE_HYSTERESIS 10.0

extern double steward_pressure_pct(int used, int usable);
extern StewardPressureNews steward_pressure_step(StewardPressureState *state,
												 const StewardPressureLimits *limits,
												 const StewardPressureSample *sample);
extern const char *steward_pressure_level_name(StewardPressureLevel level);
extern const char *steward_pressure_cause_name(StewardPressureCause cause);
extern const char *steward_pressure_news_name(StewardPressureNews news);

#endif							/* STEWARD_PRESSURE_H */
