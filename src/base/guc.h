/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  Settings of pg_steward.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_GUC_H
#define STEWARD_GUC_H

/* pg_steward.lock_timeout: milliseconds, 0 waits without limit */
extern int	steward_lock_timeout;

extern void steward_guc_init(void);

#endif							/* STEWARD_GUC_H */
