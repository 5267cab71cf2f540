/*-------------------------------------------------------------------------
 *
 * policy_table.h
 *	  Access to the tables in which policies and their state are kept.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_POLICY_TABLE_H
#define STEWARD_POLICY_TABLE_H

#include "base/query.h"

/* A section in which our tables may be read and written. */
typedef struct StewardTableScope
{
	Oid			user;			/* who opened it */
	int			security;		/* his security context */
	bool		snapshot;		/* we pushed one */
	StewardQueryScope query;
} StewardTableScope;

/* An argument of a statement; see the macros. */
typedef struct StewardArg
{
	Oid			type;
	Datum		value;
	bool		isnull;
} StewardArg;

extern bool steward_policy_table_exists(Oid *table, Oid *owner);
extern bool steward_policy_table_begin(StewardTableScope *scope);
extern uint64 steward_policy_table_select(const char *sql, int nargs,
										  const StewardArg *args);
extern uint64 steward_policy_table_write(const char *sql, int nargs,
										 const StewardArg *args);
extern void steward_policy_table_end(StewardTableScope *scope);

extern StewardArg steward_arg_oid(Oid value);
extern StewardArg steward_arg_int64(int64 value);
extern StewardArg steward_arg_count(int64 value);
extern StewardArg steward_arg_float8(double value);
extern StewardArg steward_arg_text(const char *value);
extern StewardArg steward_arg_bool(bool value);
extern StewardArg steward_arg_time(TimestampTz value);

#endif							/* STEWARD_POLICY_TABLE_H */
