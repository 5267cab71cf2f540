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

#include "fmgr.h"

/* Where pg_stat_statements lives in the current database. */
typedef struct StewardStatements
{
	char	   *view;			/* quoted and schema-qualified name of the view */
	bool		has_toplevel;	/* column present since version 1.9 */
	bool		has_stats_since;	/* column present since version 1.11 */
} StewardStatements;

/*
 * Expression for a query's text in SQL of ours, cut to a length, 0 for all of
 * it.  A shortened text has its white space folded, because it is meant for
 * one line of a terminal; a whole text is left as it was written.  No
 * backslash: what it means depends on a setting.
 */
#define STEWARD_SHORT_TEXT(text, length) \
	"CASE WHEN " length " = 0 THEN " text \
	" ELSE left(btrim(regexp_replace(" text ", '[[:space:]]+', ' ', 'g')), " \
	length ") END"

extern char *steward_statements_find(void);
extern void steward_statements_require(StewardStatements *statements);
extern bool steward_statements_select(const char *sql, int nargs,
									  Oid *argtypes, Datum *values,
									  uint64 *nrows);

#endif							/* STEWARD_STATEMENTS_H */
