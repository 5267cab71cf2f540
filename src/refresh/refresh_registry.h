/*-------------------------------------------------------------------------
 *
 * refresh_registry.h
 *	  What the launcher and its refresh workers know of all databases.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_REGISTRY_H
#define STEWARD_REFRESH_REGISTRY_H

#include "datatype/timestamp.h"

/*
 * Tell the launcher that policies of a database have changed.  No error, no
 * memory, no lock: may be called while a transaction commits.
 */
extern void steward_registry_flag(Oid database);

/* The list of databases itself has changed; the same promises. */
extern void steward_registry_flag_list(void);

/*
 * Have a worker refresh the view as soon as possible, stale or not.  False if
 * there is no worker, or too much is asked for.
 */
extern bool steward_registry_request(Oid database, Oid view);

/*
 * What is known of a view with a policy; false if nothing.  next_due is 0 if
 * it is not decided, DT_NOEND if it will not be due by itself.
 */
extern bool steward_registry_look(Oid database, Oid view,
								  TimestampTz *next_due, bool *running,
								  bool *queued);

/* How often the view was found fresh when it was due, since its refresh. */
extern int64 steward_registry_skips(Oid database, Oid view);

extern void steward_registry_init(void);

#endif							/* STEWARD_REFRESH_REGISTRY_H */
