/*-------------------------------------------------------------------------
 *
 * refresh_progress.h
 *	  What running refreshes are doing.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_PROGRESS_H
#define STEWARD_REFRESH_PROGRESS_H

#include "refresh/refresh_run.h"

/* What a refresh is at; see phase_names in refresh_progress.c. */
typedef enum StewardRefreshPhase
{
	STEWARD_REFRESH_PHASE_START,
	STEWARD_REFRESH_PHASE_LOCK,
	STEWARD_REFRESH_PHASE_STORED,
	STEWARD_REFRESH_PHASE_COMPUTE,
	STEWARD_REFRESH_PHASE_COMPARE,
	STEWARD_REFRESH_PHASE_APPLY,
	STEWARD_REFRESH_PHASE_INDEXES,
	STEWARD_REFRESH_PHASE_EXCHANGE,
	STEWARD_REFRESH_PHASE_SERVER
} StewardRefreshPhase;

typedef enum StewardRefreshCount
{
	STEWARD_ROWS_COMPUTED,		/* by the query of the view */
	STEWARD_ROWS_COMPARED,		/* stored ones, looked at */
	STEWARD_ROWS_APPLIED,		/* written or deleted */
	STEWARD_REFRESH_COUNTS
} StewardRefreshCount;

extern void steward_refresh_progress_init(void);
extern int	steward_refresh_progress_begin(Oid view, StewardRefreshMethod method);
extern void steward_refresh_progress_method(StewardRefreshMethod method);
extern void steward_refresh_progress_phase(StewardRefreshPhase phase);
extern void steward_refresh_progress_count(StewardRefreshCount which);
extern void steward_refresh_progress_end(int previous);

#endif							/* STEWARD_REFRESH_PROGRESS_H */
