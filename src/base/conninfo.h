/*-------------------------------------------------------------------------
 *
 * conninfo.h
 *	  A setting that is a list of connection strings.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_CONNINFO_H
#define STEWARD_CONNINFO_H

#include "utils/guc.h"

/* Connection strings in a list, at most. */
#define STEWARD_MAX_CONNINFOS 8

extern char *steward_conninfo_next(const char **list);
extern bool steward_conninfo_check(char **newval, void **extra,
								   GucSource source);

#endif							/* STEWARD_CONNINFO_H */
