/*-------------------------------------------------------------------------
 *
 * n_plus_one_record.h
 *	  Statements that run once for each row of another one: one execution.
 *
 * This is done for each statement of the server, and therefore inline.  Most
 * of them are alone: no other query was open while they were, and they are not
 * nested.  For these the compiler leaves out what is about others.
 *
 * A statement that was not alone ("crowded") may be nested, or end after one
 * that started later.  So the start and the nesting of the latest one that
 * ended are kept, but only if it was crowded: what comes after one that was
 * alone started after that, and is nested no less deep.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_N_PLUS_ONE_RECORD_H
#define STEWARD_N_PLUS_ONE_RECORD_H

#include "access/xact.h"

#include "base/guc.h"
#include "latency/n_plus_one_session.h"

/* n_plus_one.c */
extern void steward_repeat_end_burst(RepeatReason reason);
extern RepeatStatement *steward_repeat_remember(int64 queryid);
extern void steward_repeat_look_at_lists(RepeatStatement *statement);
extern void steward_repeat_look_at_caller(RepeatStatement *statement);
extern void steward_repeat_end_transaction(RepeatStatement *statement);
extern void steward_repeat_end_open_transactions(TimestampTz xact);
extern void steward_repeat_remember_list(RepeatStatement *statement,
										 int64 queryid, uint64 rows,
										 TimestampTz xact);
extern void steward_repeat_look_at_group(RepeatStatement *statement,
										 const StewardExecution *execution,
										 int64 latency_ns);

/* The place of a statement; it gets one if it has none. */
static pg_attribute_always_inline RepeatStatement *
find_repetition(int64 queryid)
{
	int			first = STEWARD_REPEAT_FIRST(queryid);

	for (int i = first; i < first + REPEAT_WAYS; i++)
	{
		if (likely(steward_repeat_session.queryids[i] == queryid))
			return &steward_repeat_session.statements[i];
	}
	return steward_repeat_remember(queryid);
}

/*
 * A client's statement has ended, in a transaction that is not that of the
 * latest one.
 */
static pg_attribute_always_inline void
begin_transaction(TimestampTz xact, int64 idle_ns)
{
	if (unlikely(idle_ns > steward_nplusone_gap * REPEAT_NS_PER_MS))
		steward_repeat_end_burst(REPEAT_PAUSE);
	else if (unlikely(steward_repeat_session.repeated))
		steward_repeat_end_open_transactions(xact);
}

/*
 * Count an execution, after a pause since the latest one.
 */
static pg_attribute_always_inline void
count_repetition(RepeatStatement *statement, uint64 rows, int64 latency_ns,
				 int64 pause_ns)
{
	statement->calls++;
	statement->rows += rows;
	statement->time_ns += latency_ns;
	if (steward_repeat_session.last_statement == statement)
		statement->consecutive++;
	if (pause_ns < statement->min_pause_ns)
		statement->min_pause_ns = Max(pause_ns, 0);
	statement->pause_ns += Min(pause_ns,
							   REPEAT_MAX_PAUSE * (int64) statement->min_pause_ns);
}

/*
 * A planned statement has ended.  Called for each of them, with or without
 * nested ones; "crowded" unless it was alone.  Raises no error.
 */
static pg_attribute_always_inline void
record_repetition(const StewardExecution *execution, int64 elapsed_ns,
				  int64 latency_ns, bool crowded)
{
	RepeatSession *state = &steward_repeat_session;
	RepeatStatement *statement;
	bool		nested = crowded && execution->nesting > 0;
	TimestampTz xact = GetCurrentTransactionStartTimestamp();
	int64		start_ns = execution->started * REPEAT_NS_PER_US;
	int64		pause_ns = start_ns - state->last_end_ns;

	if (xact != state->last_xact && !nested)
		begin_transaction(xact, pause_ns - (latency_ns - elapsed_ns));
	if (crowded && (execution->started < state->last_started ||
					execution->nesting < state->last_nesting))
		steward_repeat_enclose(execution);

	statement = find_repetition(execution->queryid);
	if (nested)
	{
		if (statement->version != state->client_version)
			steward_repeat_look_at_caller(statement);
	}
	else if (unlikely(statement->version != state->version))
		steward_repeat_look_at_lists(statement);
	if (statement->xact != xact)
	{
		if (unlikely(statement->calls - statement->xact_base > 1))
			steward_repeat_end_transaction(statement);
		statement->xact = xact;
		statement->xact_base = statement->calls;
	}
	else
		state->repeated = true;

	count_repetition(statement, execution->rows, latency_ns, pause_ns);
	state->last_end_ns = start_ns + elapsed_ns;
	state->last_xact = xact;
	state->last_statement = statement;
	if (unlikely(statement->calls == statement->next_look))
		steward_repeat_look_at_group(statement, execution, latency_ns);

	if (crowded)
	{
		state->last_started = execution->started;
		state->last_nesting = execution->nesting;
		if (nested)
			return;
		state->client_version++;
	}
	if (execution->rows > 1 && execution->query->operation == CMD_SELECT)
		steward_repeat_remember_list(statement, execution->queryid,
									 execution->rows, xact);
}

#endif							/* STEWARD_N_PLUS_ONE_RECORD_H */
