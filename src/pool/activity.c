/*-------------------------------------------------------------------------
 *
 * activity.c
 *	  A fresh look at what the server's processes do.
 *
 * The server copies the state of all processes when a transaction first looks
 * at pg_stat_activity, and shows the same copy until the transaction ends.  A
 * report that compares it with the clock would let statements age that ended
 * long ago.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/backend_status.h"

PG_FUNCTION_INFO_V1(pg_steward_forget_activity);

/*
 * forget_activity() returns void.  Other statistics keep their snapshot.
 */
Datum
pg_steward_forget_activity(PG_FUNCTION_ARGS)
{
	pgstat_clear_backend_activity_snapshot();
	PG_RETURN_VOID();
}
