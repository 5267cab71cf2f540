/*-------------------------------------------------------------------------
 *
 * statements.h
 *	  Access to pg_stat_statements.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_STATEMENTS_H
#define STEWARD_STATEMENTS_H

/* Where pg_stat_statements lives in the current database. */
typedef struct StewardStatements
{
	char	   *view;			/* quoted and schema-qualified name of the view */
	bool		has_toplevel;	/* column present since version 1.9 */
	bool		has_stats_since;	/* column present since version 1.11 */
} StewardStatements;

extern void steward_statements_require(StewardStatements *statements);

#endif							/* STEWARD_STATEMENTS_H */
