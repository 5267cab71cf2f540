/*-------------------------------------------------------------------------
 *
 * refresh_load.h
 *	  A worker brings the policies of its database into the registry.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_LOAD_H
#define STEWARD_REFRESH_LOAD_H

#include "refresh/refresh_shared.h"

extern void steward_refresh_load(StewardRegistry *registry);

#endif							/* STEWARD_REFRESH_LOAD_H */
