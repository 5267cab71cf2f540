/*-------------------------------------------------------------------------
 *
 * observer.c
 *	  What another subject wants to see of the statements that are tracked.
 *
 * See observer.h.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/observer.h"

StewardObserver steward_observer;
