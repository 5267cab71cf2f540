/*-------------------------------------------------------------------------
 *
 * tracker.h
 *	  Watching every statement of the server.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_TRACKER_H
#define STEWARD_TRACKER_H

extern void steward_tracker_init(void);
extern void steward_tracker_install(void);

#endif							/* STEWARD_TRACKER_H */
