/*-------------------------------------------------------------------------
 *
 * n_plus_one.c
 *	  Statements that run once for each row of another one.
 *
 * "101 queries for one page": an application reads a list and then runs one
 * more statement for each of its rows.  Each of them is fast, so that no list
 * of slow statements shows them; together they are most of the page.
 *
 * Each backend remembers its latest statements and, apart from them, its
 * latest lists: statements that returned more than one row.  A group is what
 * a statement, the child, ran since a list, the parent, ran.  It ends when
 * the parent runs again, when the transaction ends that both ran in, when the
 * client pauses outside a transaction, and at the end of the session.  Which
 * of several lists is the parent is decided then, by the number of rows they
 * returned (n_plus_one_group.c).  A statement that returns lists itself may be
 * child and parent at the same time, so that nested loops are found as two
 * pairs.
 *
 * A parent that is still running while its children run (a cursor, a FOR loop
 * of PL/pgSQL, a function called by a query) ends after them.  It is known by
 * its start, which was before theirs.
 *
 * Statements inside functions have no lists: there is no round trip to save,
 * and the statement that called the function is the parent.
 *
 * Cost.  An execution (n_plus_one_record.h) writes one cache line of its
 * statement and one of the session.  No clock is read, no memory allocated, no lock taken.  A counter
 * of the session, its version, changes when a list runs; only then a
 * statement looks at the lists.  Shared memory is written when a group
 * reaches the threshold, when it has grown fourfold, when it has reached the
 * number of rows of a list, and when it ends.
 *
 * The time that one combined statement would save is taken to be the shortest
 * pause between the statements of a group, which is a round trip and the time
 * to parse and plan, for all executions but one.  Time in the executor is not
 * saved: the same rows have to be read.
 *
 * Limits: children that are spread over several connections are not seen as a
 * group.  A cursor of DECLARE has no query id, and cannot be a parent.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/ipc.h"

#include "base/guc.h"
#include "latency/n_plus_one.h"
#include "latency/n_plus_one_record.h"

/* Versions for clients' statements are apart from those for lists. */
#define FIRST_CLIENT_VERSION (UINT32_C(1) << 31)

RepeatSession steward_repeat_session pg_attribute_aligned(PG_CACHE_LINE_SIZE);

#define session steward_repeat_session

/*
 * End all groups that are published, and forget all lists.
 */
void
steward_repeat_end_burst(RepeatReason reason)
{
	while (session.open != 0)
	{
		int			index = pg_rightmost_one_pos64(session.open);

		steward_repeat_close(index, PG_UINT32_MAX, reason);
		session.open &= ~(UINT64CONST(1) << index);
	}
	for (int i = 0; i < REPEAT_LISTS; i++)
	{
		session.lists[i].queryid = 0;
		session.lists[i].rows = 0;
		session.lists[i].epoch = ++session.epoch;
	}
	session.burst++;
	session.version++;
}

/* before_shmem_exit callback */
static void
end_session(int code, Datum arg)
{
	steward_repeat_end_burst(REPEAT_EXIT);
}

/*
 * Find a place for a statement that is not remembered, in place of the one in
 * its set with the longest time since its transaction.
 */
RepeatStatement *
steward_repeat_remember(int64 queryid)
{
	int			first = STEWARD_REPEAT_FIRST(queryid);
	RepeatStatement *statement;
	RepeatContext *context;
	int			index = first;

	for (int i = first; i < first + REPEAT_WAYS; i++)
	{
		if (session.statements[i].xact < session.statements[index].xact)
			index = i;
	}
	if (session.open & (UINT64CONST(1) << index))
	{
		steward_repeat_close(index, PG_UINT32_MAX, REPEAT_EXIT);
		session.open &= ~(UINT64CONST(1) << index);
	}

	statement = &session.statements[index];
	context = &session.contexts[index];
	memset(statement, 0, sizeof(RepeatStatement));
	memset(context, 0, sizeof(RepeatContext));
	for (int i = 0; i < REPEAT_LISTS; i++)
		context->epoch[i] = session.lists[i].epoch - 1;
	statement->next_look = 1;
	statement->version = session.version - 1;
	context->burst = session.burst;
	session.queryids[index] = queryid;
	if (session.last_statement == statement)
		session.last_statement = NULL;
	if (!session.registered)
	{
		session.registered = true;
		session.client_version = FIRST_CLIENT_VERSION;
		before_shmem_exit(end_session, (Datum) 0);
	}
	return statement;
}

/* Start a group anew, with the next execution as its first. */
static void
restart_group(RepeatStatement *statement, RepeatContext *context)
{
	statement->group_base = statement->calls;
	statement->next_look = statement->calls + 1;
	for (int i = 0; i < REPEAT_LISTS; i++)
		context->base[i] = statement->calls;
}

/*
 * The lists have changed since the statement looked at them.  End its group
 * if the parent ran again, and start to count for the new ones.
 */
void
steward_repeat_look_at_lists(RepeatStatement *statement)
{
	int			index = statement - session.statements;
	RepeatContext *context = &session.contexts[index];
	uint32		over = 0;

	statement->version = session.version;
	if (context->burst != session.burst)
	{
		context->burst = session.burst;
		restart_group(statement, context);
	}
	for (int i = 0; i < REPEAT_LISTS; i++)
	{
		if (context->epoch[i] != session.lists[i].epoch)
			over |= 1U << i;
	}
	if (statement->calls - statement->group_base >= steward_nplusone_threshold)
		steward_repeat_close(index, over, REPEAT_LIST);
	for (int i = 0; i < REPEAT_LISTS; i++)
	{
		const RepeatList *list = &session.lists[i];

		if (!(over & (1U << i)))
			continue;
		context->epoch[i] = list->epoch;
		context->base[i] = statement->calls;
		context->list_queryid[i] = list->queryid;
		context->list_rows[i] =
			list->queryid == session.queryids[index] ? 0 : list->rows;
	}
	if (statement->calls > statement->group_base)
		steward_repeat_next_look(index);
}

/*
 * A statement inside a function: its caller is another one than before.
 */
void
steward_repeat_look_at_caller(RepeatStatement *statement)
{
	statement->version = session.client_version;
	restart_group(statement,
				  &session.contexts[statement - session.statements]);
}

/*
 * The transaction of a statement's latest execution is over.
 */
void
steward_repeat_end_transaction(RepeatStatement *statement)
{
	int			index = statement - session.statements;
	RepeatContext *context = &session.contexts[index];
	uint32		over = 0;

	for (int i = 0; i < REPEAT_LISTS; i++)
	{
		if (session.lists[i].xact == statement->xact &&
			session.lists[i].epoch == context->epoch[i])
			over |= 1U << i;
	}
	if (statement->calls - statement->xact_base >= steward_nplusone_threshold)
		steward_repeat_close(index, over, REPEAT_XACT);
	for (int i = 0; i < REPEAT_LISTS; i++)
	{
		if (over & (1U << i))
			context->list_rows[i] = 0;
	}
}

/*
 * A transaction starts: those of statements with a published group are over,
 * unless it is the same.
 */
void
steward_repeat_end_open_transactions(TimestampTz xact)
{
	uint64		open = session.open;

	session.repeated = false;
	while (open != 0)
	{
		int			index = pg_rightmost_one_pos64(open);
		RepeatStatement *statement = &session.statements[index];

		open &= open - 1;
		if (statement->xact != xact &&
			statement->calls - statement->xact_base > 1)
		{
			steward_repeat_end_transaction(statement);
			statement->xact_base = statement->calls;
		}
	}
}

/*
 * Remember a statement that returned several rows.
 */
void
steward_repeat_remember_list(RepeatStatement *statement, int64 queryid,
							 uint64 rows, TimestampTz xact)
{
	RepeatList *list = &session.lists[0];

	if (rows >= steward_nplusone_threshold)
		statement->list_calls++;

	for (int i = 0; i < REPEAT_LISTS; i++)
	{
		if (session.lists[i].queryid == queryid)
		{
			list = &session.lists[i];
			break;
		}
		if ((int32) (session.lists[i].used - list->used) < 0)
			list = &session.lists[i];
	}
	list->queryid = queryid;
	list->rows = Min(rows, PG_UINT32_MAX);
	list->epoch = ++session.epoch;
	list->xact = xact;
	list->used = ++session.order;
	session.version++;
}

/*
 * Publish a group, or look at the values of one of its first executions.
 */
void
steward_repeat_look_at_group(RepeatStatement *statement,
							 const StewardExecution *execution,
							 int64 latency_ns)
{
	int			index = statement - session.statements;
	RepeatContext *context = &session.contexts[index];
	uint32		count = statement->calls - statement->group_base;

	if (count == 1)
		steward_repeat_begin(index, execution, latency_ns);
	else if (context->sampled < REPEAT_SAMPLES &&
			 context->sampled_groups < REPEAT_SAMPLED_GROUPS)
		steward_repeat_sample(context, execution);
	steward_repeat_close(index, 0, REPEAT_GREW);
	steward_repeat_next_look(index);
}

/*
 * Prepare for being preloaded.
 */
void
steward_nplusone_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	steward_repeat_store_init();
}
