/*-------------------------------------------------------------------------
 *
 * refresh_launcher.h
 *	  The launcher's part in refreshing materialized views.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_LAUNCHER_H
#define STEWARD_REFRESH_LAUNCHER_H

extern void steward_refresh_launcher_init(void);

#endif							/* STEWARD_REFRESH_LAUNCHER_H */
