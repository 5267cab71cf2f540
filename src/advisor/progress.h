/*-------------------------------------------------------------------------
 *
 * progress.h
 *	  How far index advice is, for other sessions to see.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_PROGRESS_H
#define STEWARD_PROGRESS_H

/* Phases of a run, in their order. */
typedef enum StewardAdvicePhase
{
	STEWARD_PHASE_START,
	STEWARD_PHASE_COLLECT,
	STEWARD_PHASE_EXPLORE,
	STEWARD_PHASE_EXTEND,
	STEWARD_PHASE_CHOOSE,
	STEWARD_PHASE_VERIFY
} StewardAdvicePhase;

extern void steward_progress_init(void);
extern void steward_progress_begin(void);
extern void steward_progress_note(StewardAdvicePhase phase, int done, int total,
								  int chosen);
extern void steward_progress_end(void);

#endif							/* STEWARD_PROGRESS_H */
