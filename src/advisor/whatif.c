/*-------------------------------------------------------------------------
 *
 * whatif.c
 *	  What each statement would cost with which indexes.
 *
 * The planner is asked before the search, never during it.  Of each statement
 * we keep configurations: the set of new indexes that a plan uses, and its
 * cost.  With any set of indexes the planner would choose the cheapest plan
 * whose indexes are all there, so that the cost for a set follows from the
 * configurations contained in it.  That is the idea of INUM (Papadomanolakis,
 * Dash, Ailamaki, VLDB 2007) with whole plans in place of plan templates.
 *
 * This file has the first and the last visit of a statement; what the planner
 * is asked in between is in explore.c, and what an answer means in
 * statement_cost.c.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/parsenodes.h"
#include "utils/memutils.h"

#include "advisor/advice.h"
#include "advisor/candidates.h"
#include "advisor/param_classes.h"
#include "advisor/statement_cost.h"

/* Local number of a candidate of a statement, or -1. */
int
steward_whatif_local_number(const StewardWhatif *whatif, int candidate)
{
	for (int i = 0; i < whatif->nlocal; i++)
		if (whatif->local[i] == candidate)
			return i;
	return -1;
}

/*
 * Add a candidate to those that are tried for a statement; its local number,
 * or -1 if there is no room.
 */
int
steward_whatif_add_local(StewardWhatif *whatif, int candidate)
{
	int			number = steward_whatif_local_number(whatif, candidate);

	if (number >= 0)
		return number;
	if (whatif->local == NULL || whatif->nlocal >= STEWARD_MAX_LOCAL)
		return -1;
	whatif->local[whatif->nlocal] = candidate;
	return whatif->nlocal++;
}

/*
 * Add a group of candidates to the pool, and their numbers to the statement.
 */
static void
add_group(StewardAdvice *advice, StewardWhatif *whatif, List *group)
{
	List	   *numbers = NIL;
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, group)
	{
		int			number = steward_pool_add(advice, lfirst(lc));

		old = MemoryContextSwitchTo(advice->context);
		if (number >= 0)
			numbers = lappend_int(numbers, number);
		MemoryContextSwitchTo(old);
	}
	old = MemoryContextSwitchTo(advice->context);
	if (numbers != NIL)
		whatif->groups = lappend(whatif->groups, numbers);
	MemoryContextSwitchTo(old);
}

/* Add the candidates of a query, whose parameters have these values. */
static void
collect_candidates(StewardAdvice *advice, StewardWhatif *whatif, Query *query,
				   ParamListInfo params, int flags)
{
	List	   *groups = steward_candidates_collect(advice->sizes, query,
													steward_cursor_options(query),
													params, flags, NULL);
	ListCell   *lc;

	whatif->nplans++;
	foreach(lc, groups)
	{
		add_group(advice, whatif, lfirst(lc));
	}
}

/*
 * First visit: plan the statement as things are, and add its candidates to
 * the pool.  Whatif numbers of groups are those of the pool.
 */
void
steward_whatif_collect(StewardStatement *statement, List *queries,
					   void *whatif_and_advice)
{
	StewardWhatifVisit *visit = whatif_and_advice;
	StewardAdvice *advice = visit->advice;
	StewardWhatif *whatif = visit->whatif;
	StewardParamClasses classes;
	StewardStatementCost base;
	MemoryContext old;
	ListCell   *lc;

	whatif->rows = statement->calls > 0 ? statement->rows / statement->calls : 0;
	steward_param_classes(statement, queries, whatif->rows, &classes);
	steward_statement_cost(whatif, queries, &classes, NIL, &base);
	whatif->worst = base.worst;
	whatif->risks = base.risks;
	steward_statement_keep_base(advice, whatif, &base);
	old = MemoryContextSwitchTo(advice->context);
	whatif->used_existing = list_copy(base.used_existing);
	MemoryContextSwitchTo(old);

	foreach(lc, queries)
	{
		Query	   *query = lfirst_node(Query, lc);

		collect_candidates(advice, whatif, query, classes.steady,
						   classes.steady ? STEWARD_COLLECT_CONSTANTS : 0);
		/* keys that a constant is part of */
		for (int i = 0; classes.steady && i < classes.count; i++)
			collect_candidates(advice, whatif, query, classes.list[i].params, 0);
	}
}

/*
 * Add a configuration that the planner has confirmed.  What was concluded for
 * the same set before is replaced.
 */
static void
keep_verified(StewardAdvice *advice, StewardWhatif *whatif,
			  StewardConfig *config)
{
	for (int i = 0; i < whatif->nconfigs; i++)
	{
		if (whatif->configs[i].used == config->used)
		{
			whatif->configs[i] = *config;
			return;
		}
	}
	whatif->configs = repalloc(whatif->configs,
							   (whatif->nconfigs + 1) * sizeof(StewardConfig));
	whatif->configs[whatif->nconfigs++] = *config;
}

/* Is this the index of a partitioned table of which a statement names a part? */
static bool
has_part_of(const StewardStatement *statement, const StewardIndex *index)
{
	if (!index->partitioned || list_member_oid(statement->tables, index->relid))
		return false;
	for (int i = 0; i < index->nparts; i++)
		if (list_member_oid(statement->tables, index->parts[i].relid))
			return true;
	return false;
}

/* The chosen indexes of a statement's tables, and of their parents. */
static List *
chosen_for(StewardAdvice *advice, const StewardStatement *statement)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, statement->tables)
	{
		for (int i = steward_pool_first(advice, lfirst_oid(lc)); i >= 0;
			 i = advice->candidates[i].next)
			if (advice->candidates[i].chosen)
				result = list_append_unique_ptr(result, advice->candidates[i].index);
	}
	for (int i = 0; i < advice->nchosen; i++)
	{
		StewardIndex *index = advice->candidates[advice->chosen[i]].index;

		if (has_part_of(statement, index))
			result = lappend(result, index);
	}
	return result;
}

/*
 * Last visit: plan the statement with everything that was chosen, and note
 * what it costs and uses.
 */
void
steward_whatif_verify(StewardStatement *statement, List *queries,
					  void *whatif_and_advice)
{
	StewardWhatifVisit *visit = whatif_and_advice;
	StewardAdvice *advice = visit->advice;
	StewardWhatif *whatif = visit->whatif;
	StewardConfig config = {0};
	bool		all_local = true;
	StewardParamClasses classes;
	StewardStatementCost outcome;
	int			id = -1;
	MemoryContext old;

	whatif->chosen_used = NIL;
	steward_param_classes(statement, queries, whatif->rows, &classes);
	steward_statement_cost(whatif, queries, &classes,
				   chosen_for(advice, statement), &outcome);
	config.planned = outcome.planned;
	config.cost = outcome.cost;
	whatif->chosen_risks = outcome.risks;
	old = MemoryContextSwitchTo(advice->context);
	while ((id = bms_next_member(outcome.used, id)) >= 0)
	{
		int			number = steward_whatif_add_local(whatif, id - 1);

		whatif->chosen_used = lappend_int(whatif->chosen_used, id - 1);
		if (number >= 0)
			config.used |= UINT64CONST(1) << number;
		else
			all_local = false;
	}
	MemoryContextSwitchTo(old);
	if (all_local && config.used != 0 && whatif->configs != NULL)
		keep_verified(advice, whatif, &config);
}

/*
 * In place of the last visit: what the planner would use of what was chosen, as
 * far as it was asked.
 */
void
steward_whatif_conclude(StewardAdvice *advice, StewardWhatif *whatif)
{
	const StewardConfig *best = steward_whatif_config(whatif, whatif->visible);
	MemoryContext old = MemoryContextSwitchTo(advice->context);

	whatif->chosen_used = NIL;
	for (int i = 0; i < whatif->nlocal; i++)
		if (best->used & (UINT64CONST(1) << i))
			whatif->chosen_used = lappend_int(whatif->chosen_used,
											  whatif->local[i]);
	MemoryContextSwitchTo(old);
}
