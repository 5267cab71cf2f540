/*-------------------------------------------------------------------------
 *
 * matview_lock.h
 *	  Who may refresh a materialized view, and locking it.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_MATVIEW_LOCK_H
#define STEWARD_MATVIEW_LOCK_H

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

extern void steward_matview_check(Oid view);
extern void steward_matview_lock(Oid view, LOCKMODE mode);
extern void steward_matview_lock_exclusive(Oid view, List *others,
										   int patience_ms);

#endif							/* STEWARD_MATVIEW_LOCK_H */
