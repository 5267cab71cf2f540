/*-------------------------------------------------------------------------
 *
 * n_plus_one_rule.h
 *	  What the groups of repeated statements mean.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_N_PLUS_ONE_RULE_H
#define STEWARD_N_PLUS_ONE_RULE_H

#include "latency/n_plus_one_store.h"

typedef enum StewardRepeatKind
{
	STEWARD_REPEAT_NONE,
	STEWARD_REPEAT_N_PLUS_ONE,
	STEWARD_REPEAT_WRITE,
	STEWARD_REPEAT_LOOKUP,
	STEWARD_REPEAT_DUPLICATE,
} StewardRepeatKind;

/* A candidate for the report. */
typedef struct StewardRepeatCandidate
{
	StewardRepeatKind kind;
	StewardRepeatRow row;
} StewardRepeatCandidate;

/* n_plus_one_chance.c */
extern double steward_repeat_deviation2(const StewardRepeat *repeat);
extern double steward_repeat_executions2(const StewardRepeat *repeat);
extern bool steward_repeat_lists_vary(const StewardRepeat *repeat);
extern bool steward_repeat_grows(const StewardRepeat *repeat);
extern double steward_repeat_accident2(double rate, uint32 groups);

/* n_plus_one_rule.c */
extern double steward_repeat_trigger_rate(const StewardRepeatRow *row);
extern StewardRepeatCandidate *steward_repeat_candidates(StewardRepeatRow *rows,
														 int nrows,
														 int min_groups,
														 int *ncandidates);

#endif							/* STEWARD_N_PLUS_ONE_RULE_H */
