/*-------------------------------------------------------------------------
 *
 * matview_query.h
 *	  Executing the query of a materialized view as its owner.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_MATVIEW_QUERY_H
#define STEWARD_MATVIEW_QUERY_H

#include "tcop/dest.h"
#include "utils/rel.h"

/* What was in force before the owner's context. */
typedef struct StewardOwnerContext
{
	Oid			userid;
	int			sec_context;
	int			nestlevel;
} StewardOwnerContext;

extern void steward_matview_enter_owner(Relation view,
										StewardOwnerContext *context);
extern void steward_matview_leave_owner(const StewardOwnerContext *context);
extern uint64 steward_matview_execute(Relation view, DestReceiver *receiver);

#endif							/* STEWARD_MATVIEW_QUERY_H */
