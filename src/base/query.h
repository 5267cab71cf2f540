/*-------------------------------------------------------------------------
 *
 * query.h
 *	  Runner for the SQL that pg_steward executes itself.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_QUERY_H
#define STEWARD_QUERY_H

#include "executor/spi.h"

/*
 * Every statement of ours starts so: reports can leave it out, and a DBA who
 * meets one in a log knows where it comes from.  The comment stands behind
 * the first word, because since 18 pg_stat_statements keeps no comment before
 * it.
 */
#define STEWARD_SELECT "SELECT /* pg_steward */ "

/* A section in which our own SQL may run; see query.c. */
typedef struct StewardQueryScope
{
	int			guc_nest_level;
} StewardQueryScope;

extern void steward_query_begin(StewardQueryScope *scope);
extern uint64 steward_query_select(const char *sql, int nargs, Oid *argtypes,
								   Datum *values);
extern bool steward_query_try_select(const char *sql, int nargs,
									 Oid *argtypes, Datum *values,
									 const int *sqlstates, int nsqlstates,
									 uint64 *nrows);
extern Datum steward_query_value(uint64 row, int column, bool *isnull);
extern void steward_query_end(StewardQueryScope *scope);

#endif							/* STEWARD_QUERY_H */
