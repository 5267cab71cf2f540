/*-------------------------------------------------------------------------
 *
 * observer.h
 *	  What another subject wants to see of the statements that are tracked.
 *
 * The hooks around every statement are installed once, by latency/tracker.c.
 * Who else wants to look sets these pointers while the library is preloaded;
 * they are called for statements that pg_steward.track includes, while
 * pg_steward.sample_constants is on.  They must not raise errors of their own.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_OBSERVER_H
#define STEWARD_OBSERVER_H

#include "executor/execdesc.h"
#include "parser/parse_node.h"

#include "base/compat.h"

typedef struct StewardObserver
{
	/* A statement was analyzed; it has a query id and may have constants. */
	void		(*analyzed) (POST_PARSE_ANALYZE_PARAMS);

	/* A query has started, with its parameters; not in a parallel worker. */
	void		(*started) (const QueryDesc *query);
} StewardObserver;

/* Set before the first fork; empty unless preloaded. */
extern STEWARD_HIDDEN StewardObserver steward_observer;

#endif							/* STEWARD_OBSERVER_H */
