/*-------------------------------------------------------------------------
 *
 * n_plus_one_group.c
 *	  Groups of one session: whose children they are, and telling the store.
 *
 * A group has several lists that ran before it, and each could be its parent.
 * A list that returned as many rows as there were executions after it is; of
 * several such lists, the latest.  Without one, it is the list whose number of
 * rows comes nearest, as long as the executions are at most
 * MAX_PER_ROW times as many, unless an earlier list that has not run again
 * may yet be matched.  Otherwise the group has no parent.
 *
 * An execution belongs to one group.  When a group has found its parent, the
 * counts since the other lists are lowered by its size, so that an inner loop
 * is not reported again as a child of the outer list.
 *
 * A group that goes on is in the store already ("published"), with what was
 * known of it then.  When it has grown REPEAT_GROWTH-fold, matches a list or
 * ends, that is taken back and the new figures are added.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/guc.h"

#include "base/guc.h"
#include "latency/n_plus_one_session.h"

/* More executions a row than this are no matter of that list. */
#define MAX_PER_ROW 10

/* A list may yet be matched if it has so many rows per execution so far. */
#define MAX_ROWS_TO_COME 4

/* Without transaction or parent, more executions than this are no group. */
#define MAX_LOOSE_GROUP 1000

/* Statements of a loop have pauses of about the shortest one. */
#define MAX_LOOP_PAUSE 6.0

/* A group is published again when it has grown by this factor. */
#define REPEAT_GROWTH 4

#define session steward_repeat_session

/*
 * A group starts with this execution, which is counted already.
 */
void
steward_repeat_begin(int index, const StewardExecution *execution,
					 int64 latency_ns)
{
	RepeatStatement *statement = &session.statements[index];
	RepeatContext *context = &session.contexts[index];

	if (context->sampled > 0)
		context->sampled_groups++;
	context->sampled = 0;
	context->distinct = 0;
	context->nesting = execution->nesting;
	context->command = execution->query->operation;
	context->published = false;
	context->started = execution->started;
	context->rows_base = statement->rows - execution->rows;
	context->time_base = statement->time_ns - latency_ns;
	context->pause_base = statement->pause_ns;
	context->consecutive_base = statement->consecutive;
	statement->min_pause_ns = PG_UINT32_MAX;
}

/*
 * Set the number of calls at which to look at the group again: for samples of
 * its first executions, at the threshold, when the group has doubled, and
 * when it may match a list.
 */
void
steward_repeat_next_look(int index)
{
	RepeatStatement *statement = &session.statements[index];
	RepeatContext *context = &session.contexts[index];
	uint32		count = statement->calls - statement->group_base;
	uint32		next = steward_nplusone_threshold;

	if (count == 0 || (context->sampled < REPEAT_SAMPLES &&
					   count <= REPEAT_SAMPLES &&
					   context->sampled_groups < REPEAT_SAMPLED_GROUPS))
	{
		statement->next_look = statement->calls + 1;
		return;
	}
	if (count >= next)
		next = Max(count + 1, REPEAT_GROWTH * context->group.executions);
	next += statement->group_base;
	for (int i = 0; i < REPEAT_LISTS; i++)
	{
		uint32		match = context->base[i] + context->list_rows[i];

		if (context->list_rows[i] >= steward_nplusone_threshold &&
			match > statement->calls && match < next)
			next = match;
	}
	statement->next_look = next;
}

/* What was counted of a statement since the last time. */
static void
take_totals(int index, StewardRepeatTotals *totals)
{
	RepeatStatement *statement = &session.statements[index];
	RepeatContext *context = &session.contexts[index];

	totals->calls = statement->calls - context->stored_calls;
	totals->list_calls = statement->list_calls - context->stored_list_calls;
	totals->rows = statement->rows - context->stored_rows;
	context->stored_calls = statement->calls;
	context->stored_list_calls = statement->list_calls;
	context->stored_rows = statement->rows;
}

/* The place of a statement, or -1. */
static int
place_of(int64 queryid)
{
	int			first = STEWARD_REPEAT_FIRST(queryid);

	for (int i = first; i < first + REPEAT_WAYS; i++)
	{
		if (session.queryids[i] == queryid)
			return i;
	}
	return -1;
}

/*
 * Is the group one piece of work, whatever its parent?  It is if one
 * transaction ran it, or if the client ran nothing else meanwhile, did not
 * wait long between two executions, and ended at some time.
 */
static bool
is_coherent(int index, uint32 count, RepeatReason reason)
{
	RepeatStatement *statement = &session.statements[index];
	RepeatContext *context = &session.contexts[index];
	uint32		in_xact = statement->calls - statement->xact_base;
	uint32		consecutive = statement->consecutive - context->consecutive_base;
	int64		pause_ns = statement->pause_ns - context->pause_base;

	if (in_xact >= count - count / 8)
		return true;
	return (reason == REPEAT_PAUSE || reason == REPEAT_EXIT) &&
		count <= MAX_LOOSE_GROUP &&
		consecutive >= (count - 1) - (count - 1) / 8 &&
		pause_ns <= MAX_LOOP_PAUSE * count * statement->min_pause_ns &&
		pause_ns / count <= steward_nplusone_gap * INT64CONST(1000000) / 10;
}

/*
 * Put a group into the store, in place of what the store knew about it.
 * "count" is the number of its latest executions that it consists of.
 */
static void
publish_group(int index, uint32 count, int64 parent, uint32 parent_rows,
			  bool enclosed, RepeatReason reason)
{
	RepeatStatement *statement = &session.statements[index];
	RepeatContext *context = &session.contexts[index];
	StewardRepeatGroup group = context->group;
	StewardRepeatTotals child_totals;
	StewardRepeatTotals parent_totals;
	double		share = (double) count / (statement->calls - statement->group_base);
	int			parent_place = parent != 0 ? place_of(parent) : -1;

	if (!context->published)
	{
		group.role = GetUserId();
		strlcpy(group.application, application_name ? application_name : "",
				NAMEDATALEN);
		group.first_seen = context->started;
	}
	group.parent = parent;
	group.child = session.queryids[index];
	group.database = MyDatabaseId;
	group.command = context->command;
	group.flags = context->flags;
	group.executions = count;
	group.parent_rows = parent_rows;
	group.enclosed = enclosed;
	group.coherent = is_coherent(index, count, reason);
	if (context->published && group.executions == context->group.executions &&
		group.parent == context->group.parent &&
		group.coherent == context->group.coherent && !enclosed)
		return;
	group.sampled = context->sampled;
	group.distinct = context->distinct;
	group.rows = (statement->rows - context->rows_base) * share;
	group.time_ns = (statement->time_ns - context->time_base) * share;
	group.pause_ns = (statement->pause_ns - context->pause_base) * share;
	group.saved_ns = 0;
	if (context->nesting == 0 && statement->min_pause_ns != PG_UINT32_MAX)
		group.saved_ns = (int64) statement->min_pause_ns * (count - 1);
	group.last_seen = session.last_end_ns / REPEAT_NS_PER_US;

	take_totals(index, &child_totals);
	if (parent_place >= 0)
		take_totals(parent_place, &parent_totals);
	steward_repeat_publish(&group, context->published ? &context->group : NULL,
						   &child_totals,
						   parent_place >= 0 ? &parent_totals : NULL);
	context->group = group;
	context->published = true;
	session.open |= UINT64CONST(1) << index;
}

/* The group is finished: count its executions for nothing else. */
static void
finish_group(int index, uint32 count)
{
	RepeatStatement *statement = &session.statements[index];
	RepeatContext *context = &session.contexts[index];

	context->published = false;
	session.open &= ~(UINT64CONST(1) << index);
	statement->group_base = statement->calls;
	statement->next_look = statement->calls + 1;
	for (int i = 0; i < REPEAT_LISTS; i++)
	{
		uint32		since = statement->calls - context->base[i];

		context->base[i] += Min(count, since);
	}
}

/* How far a number of executions is from one a row: 0 for a match. */
static double
distance_to(uint32 count, uint32 rows)
{
	if (count == rows)
		return 0;
	if (count > rows)
		return (double) count / rows;
	return (double) rows / count;
}

/*
 * The list among "over" that is the parent, or -1; and the number of
 * executions since.  With "others", any other list is taken if it matches.
 */
static int
choose_parent(int index, uint32 over, bool others, uint32 *count)
{
	RepeatStatement *statement = &session.statements[index];
	RepeatContext *context = &session.contexts[index];
	uint32		in_group = statement->calls - statement->group_base;
	double		best_distance = 0;
	int			best = -1;

	for (int i = 0; i < REPEAT_LISTS; i++)
	{
		uint32		since = Min(statement->calls - context->base[i], in_group);
		uint32		rows = context->list_rows[i];
		double		distance;

		if (since < steward_nplusone_threshold || rows < 2 ||
			since > (uint64) MAX_PER_ROW * rows)
			continue;
		distance = distance_to(since, rows);
		if (!(over & (1U << i)))
		{
			if (distance > 0 || !others)
				continue;
			distance = 0.5;
		}
		if (best < 0 || distance < best_distance ||
			(distance == best_distance &&
			 (int16) (context->epoch[i] - context->epoch[best]) > 0))
		{
			best = i;
			best_distance = distance;
			*count = since;
		}
	}
	return best;
}

/* May a list that has not run again turn out to be the parent? */
static bool
parent_may_come(int index, uint32 over)
{
	RepeatStatement *statement = &session.statements[index];
	RepeatContext *context = &session.contexts[index];

	for (int i = 0; i < REPEAT_LISTS; i++)
	{
		uint32		since = statement->calls - context->base[i];
		uint32		rows = context->list_rows[i];

		if (!(over & (1U << i)) && since <= rows &&
			since >= steward_nplusone_threshold &&
			rows <= (uint64) MAX_ROWS_TO_COME * since)
			return true;
	}
	return false;
}

/* Does a group that goes on deserve to be published? */
static bool
is_worth_publishing(int index, int parent, uint32 count)
{
	RepeatContext *context = &session.contexts[index];

	if (!context->published || count >= REPEAT_GROWTH * context->group.executions)
		return true;
	return parent >= 0 && count == context->list_rows[parent];
}

/*
 * Look at a group of which "over" are the lists that can have no more
 * children in it.  Finishes it if its parent is among them, or if it can have
 * none; publishes it if it has just grown.
 */
void
steward_repeat_close(int index, uint32 over, RepeatReason reason)
{
	RepeatStatement *statement = &session.statements[index];
	RepeatContext *context = &session.contexts[index];
	uint32		in_group = statement->calls - statement->group_base;
	uint32		count = in_group;
	int			parent = -1;

	if (in_group < steward_nplusone_threshold)
		return;

	if (context->nesting == 0)
		parent = choose_parent(index, reason == REPEAT_GREW ? PG_UINT32_MAX : over,
							   reason == REPEAT_XACT, &count);
	if (reason == REPEAT_GREW && !is_worth_publishing(index, parent, count))
		return;
	if (reason == REPEAT_LIST || reason == REPEAT_XACT)
	{
		if (parent < 0 && reason == REPEAT_LIST)
			return;
		if ((parent < 0 || count != context->list_rows[parent]) &&
			parent_may_come(index, over))
			return;
	}
	if (parent < 0 && reason == REPEAT_XACT)
		count = Min(statement->calls - statement->xact_base, in_group);
	if (count < steward_nplusone_threshold)
		return;

	if (parent >= 0)
		publish_group(index, count, context->list_queryid[parent],
					  context->list_rows[parent], false, reason);
	else
		publish_group(index, count, 0, 0, false, reason);
	if (reason != REPEAT_GREW)
		finish_group(index, count);
}

/*
 * A statement ends that started before others which have ended: what they
 * repeated since, they repeated inside it.
 */
void
steward_repeat_enclose(const StewardExecution *parent)
{
	uint64		open = session.open;

	while (open != 0)
	{
		int			index = pg_rightmost_one_pos64(open);
		RepeatStatement *statement = &session.statements[index];
		RepeatContext *context = &session.contexts[index];

		open &= open - 1;
		if (session.queryids[index] == parent->queryid ||
			context->started < parent->started ||
			context->nesting < parent->nesting ||
			(context->nesting == parent->nesting && parent->rows < 2))
			continue;
		publish_group(index, statement->calls - statement->group_base,
					  parent->queryid, Min(parent->rows, PG_UINT32_MAX), true,
					  REPEAT_LIST);
		finish_group(index, statement->calls - statement->group_base);
	}
}
