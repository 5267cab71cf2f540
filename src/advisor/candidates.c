/*-------------------------------------------------------------------------
 *
 * candidates.c
 *	  Indexes that might help a statement.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/candidates.h"

/*
 * See candidates.h.
 */
List *
steward_candidates_collect(StewardSizeCache *cache, Query *query,
						   int cursor_options, ParamListInfo params,
						   int flags, StewardPlan *base)
{
	return NIL;
}
