/*-------------------------------------------------------------------------
 *
 * refresh_run.h
 *	  Refreshing a materialized view by one of several methods.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_RUN_H
#define STEWARD_REFRESH_RUN_H

/* See refresh_run.c for what each does. */
typedef enum StewardRefreshMethod
{
	STEWARD_REFRESH_AUTO,
	STEWARD_REFRESH_DIFF,
	STEWARD_REFRESH_PLAIN,
	STEWARD_REFRESH_CONCURRENTLY,
	STEWARD_REFRESH_SWAP
} StewardRefreshMethod;

/* What a refresh did and took; a count is -1 where it is not known. */
typedef struct StewardRefreshOutcome
{
	StewardRefreshMethod method;	/* never auto */
	int64		ninserted;
	int64		ndeleted;
	int64		nupdated;
	int64		nunchanged;
	double		duration_ms;
	double		cpu_ms;			/* of this process */
	int64		wal_bytes;
	int64		temp_bytes;		/* written to temporary files and tables */
	char	   *note;			/* what one should know, or NULL; palloc'd */
} StewardRefreshOutcome;

extern bool steward_refresh_parse_method(const char *name,
										 StewardRefreshMethod *method);
extern const char *steward_refresh_method_name(StewardRefreshMethod method);
extern bool steward_refresh_is_populated(Oid view);
extern void steward_refresh_run(Oid view, StewardRefreshMethod method,
								double delta_ratio, bool assume_deterministic,
								StewardRefreshOutcome *outcome);

#endif							/* STEWARD_REFRESH_RUN_H */
