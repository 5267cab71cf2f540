/*-------------------------------------------------------------------------
 *
 * pool_log.c
 *	  Says that the connection pool is under pressure.
 *
 * One line in the server's log for each change of the level, and a reminder
 * from time to time.  For programs that read logs: the SQLSTATE is 53300, as
 * that of a refused client, the primary message depends on nothing but the
 * level, and the numbers are key=value in the detail.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/timestamp.h"

#include "base/launcher.h"
#include "base/machine.h"
#include "pool/pgbouncer.h"
#include "pool/pool_count.h"
#include "pool/pool_event.h"
#include "pool/pool_log.h"

/* Groups of connections that are named. */
#define TOP_CONSUMERS 5

/* Pools of PgBouncer that are named. */
#define TOP_QUEUES 5

/*
 * What to do about it, a full sentence or two.  The string is a constant.
 */
const char *
steward_pool_hint(const StewardPoolCount *count, StewardPressureCause cause)
{
	if (cause == STEWARD_CAUSE_QUEUE)
		return _("Clients wait in PgBouncer: see get_pgbouncer_pools(), and get_pool_recommendations() for whether the server can take larger pools.");
	if (count->half_open * 4 >= count->used && count->half_open > 2)
		return _("Many connections have not authenticated: look for clients that connect and stay silent, and consider a lower \"authentication_timeout\".");
	if (count->idle_in_transaction * 4 >= count->used &&
		count->idle_in_transaction > 2)
		return _("Transactions are left open: see get_idle_in_transaction(), and consider \"idle_in_transaction_session_timeout\".");
	if (cause == STEWARD_CAUSE_REFUSED && count->tightest_limit > 0 &&
		count->tightest_used >= count->tightest_limit &&
		count->used < count->usable)
		return _("A role or database has reached its CONNECTION LIMIT: make its pools smaller, or raise the limit.");
	if (count->idle * 2 >= count->used)
		return _("Most connections are idle: make the clients' pools smaller, or put a pooler in front; see get_pool_recommendations().");
	return _("The connections are busy: see get_blocking() and get_slow_queries() for what keeps them.");
}

/* Append the numbers. */
static void
describe_numbers(StringInfo text, StewardPool *pool,
				 const StewardPressureState *state,
				 const StewardPoolCount *count, int64 refused)
{
	int64		level_ms = state->last_ms - state->level_since;

	appendStringInfo(text, "status=%s cause=\"%s\" used=%d usable=%d max_connections=%d utilisation_pct=%.1f",
					 steward_pressure_level_name(state->level),
					 steward_pressure_cause_name(state->cause),
					 count->used, count->usable, count->max_connections,
					 steward_pressure_pct(count->used, count->usable));
	appendStringInfo(text, " half_open=%d active=%d idle=%d idle_in_transaction=%d",
					 count->half_open, count->active, count->idle,
					 count->idle_in_transaction);
	appendStringInfo(text, " oldest_idle_in_transaction_seconds=%ld",
					 count->oldest_idle_in_transaction == 0 ? 0L :
					 (long) (TimestampDifferenceMilliseconds(count->oldest_idle_in_transaction,
															 count->at) / 1000));
	appendStringInfo(text, " refused=" INT64_FORMAT " refused_total=" UINT64_FORMAT,
					 refused, steward_pool_refused(pool));
	appendStringInfo(text, " status_seconds=" INT64_FORMAT,
					 state->level_since == 0 ? INT64CONST(0) : level_ms / 1000);
}

/* Append where clients wait in PgBouncer, if they do. */
static void
describe_queues(StringInfo text)
{
	int64		now = steward_monotonic_ms();
	StewardQueues queues;

	steward_queues(now, &queues);
	if (queues.waiting == 0)
		return;
	appendStringInfo(text, " queued=" INT64_FORMAT " pools=[", queues.waiting);
	steward_queues_describe(now, text, TOP_QUEUES);
	appendStringInfoChar(text, ']');
}

/* Who takes the slots; reads the catalogs that have the names. */
static void
list_consumers(void *text)
{
	steward_pool_describe_consumers(text, TOP_CONSUMERS);
}

/* Append them, or an empty list if they cannot be had without waiting. */
static void
describe_consumers(StringInfo text)
{
	StringInfoData consumers;

	initStringInfo(&consumers);
	if (!steward_launcher_read_catalogs(list_consumers, &consumers))
		resetStringInfo(&consumers);
	appendStringInfo(text, " top=[%s]", consumers.data);
}

/*
 * Say it.  Called by the launcher, outside a transaction.
 */
void
steward_pool_say(StewardPool *pool, StewardPressureNews news,
				 const StewardPoolCount *count, int64 refused)
{
	StewardPressureState state;
	StringInfoData detail;
	const char *level;

	LWLockAcquire(pool->lock, LW_SHARED);
	state = pool->pressure;
	LWLockRelease(pool->lock);

	initStringInfo(&detail);
	describe_numbers(&detail, pool, &state, count, refused);
	describe_queues(&detail);
	describe_consumers(&detail);
	if (news != STEWARD_NEWS_REMINDER)
		steward_pool_event_add(pool, news, &state, count, refused,
							   detail.data);

	if (news == STEWARD_NEWS_CLEARED)
	{
		ereport(LOG,
				(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
				 errmsg("connection pool pressure is over"),
				 errdetail_internal("%s", detail.data)));
		return;
	}

	level = steward_pressure_level_name(state.level);
	ereport(WARNING,
			(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
			 news == STEWARD_NEWS_REMINDER ?
			 errmsg("connection pool pressure is still at level %s", level) :
			 errmsg("connection pool pressure is at level %s", level),
			 errdetail_internal("%s", detail.data),
			 errhint("%s", steward_pool_hint(count, state.cause))));
}
