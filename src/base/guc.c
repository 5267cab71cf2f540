/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  Every setting of pg_steward: its variable, its definition, its limits.
 *
 * Settings are defined when the library is loaded, whether by
 * shared_preload_libraries or by the first call of one of its functions, and
 * the prefix is reserved afterwards, so that a misspelt name is reported.
 * What a setting means to a subject is explained in that subject's file.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "base/guc.h"

int			steward_lock_timeout = 100;

/*
 * Define all settings.  Called once for each process that loads the library
 * itself, from _PG_init().
 */
void
steward_guc_init(void)
{
	DefineCustomIntVariable("pg_steward.lock_timeout",
							"Longest time that SQL run by pg_steward itself waits for a lock, in milliseconds.",
							"Reports take no lock that reading or writing rows would conflict with. "
							"Zero waits without limit. Any user may change it.",
							&steward_lock_timeout,
							100,
							0, INT_MAX,
							PGC_USERSET,
							GUC_UNIT_MS,
							NULL, NULL, NULL);

	MarkGUCPrefixReserved("pg_steward");
}
