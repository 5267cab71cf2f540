/*-------------------------------------------------------------------------
 *
 * explore.c
 *	  What is asked of the planner about the indexes of one statement.
 *
 * Configurations (whatif.c) are looked for in this order: no new index; all of
 * them (most statements end here, since nothing helps); each alone; groups that
 * are of use only together; all but each of those in use, for the next best;
 * pairs of the most promising, triples of the best pairs.  A question whose
 * answer follows from an earlier one is not asked: if a plan used U while V
 * was visible, the same plan is chosen for any set between U and V.
 *
 * Later visits ask about the best candidates of other statements, and about
 * what was chosen so far.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "advisor/advice.h"
#include "advisor/param_classes.h"
#include "advisor/statement_cost.h"

/* Members of pairs, and pairs that are extended to triples, at most. */
#define PAIR_MEMBERS 10
#define TRIPLE_PAIRS 4
#define TRIPLE_MEMBERS 4

/* Candidates of a statement that others try as well, beside its favourites. */
#define WINNERS 2

/* Candidates of others that a statement tries, at most. */
#define MORE_CANDIDATES 16

/* Planner calls before other statements' candidates are tried. */
#define EXPLORE_PLANS 90

/* An answer of the planner. */
typedef struct Answer
{
	uint64		visible;
	StewardConfig config;
} Answer;

/* The exploration of one statement. */
typedef struct Exploration
{
	StewardAdvice *advice;
	StewardWhatif *whatif;
	List	   *queries;
	StewardParamClasses classes;
	int			maxplans;		/* of the statement, from all visits so far */
	int			nanswers;
	Answer		answers[2 * STEWARD_MAX_PLANS];
	int			order[STEWARD_MAX_LOCAL];	/* local numbers, best alone first */
	double		alone[STEWARD_MAX_LOCAL];	/* cost with only this one */
} Exploration;

/*
 * Plan the statement with a set of its candidates.  The answer is kept; one
 * that is known already is not asked for.
 */
static StewardConfig
ask(Exploration *exploration, uint64 visible)
{
	StewardWhatif *whatif = exploration->whatif;
	Answer	   *answer;
	StewardStatementCost cost;
	List	   *indexes = NIL;
	int			id = -1;

	for (int i = 0; i < exploration->nanswers; i++)
	{
		answer = &exploration->answers[i];
		if ((visible & ~answer->visible) == 0 &&
			(answer->config.used & ~visible) == 0)
			return answer->config;
	}

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < whatif->nlocal; i++)
	{
		if (visible & (UINT64CONST(1) << i))
			indexes = lappend(indexes,
							  exploration->advice->candidates[whatif->local[i]].index);
	}
	steward_statement_cost(whatif, exploration->queries, &exploration->classes,
				   indexes, &cost);
	answer = &exploration->answers[exploration->nanswers++];
	answer->visible = visible;
	answer->config.used = 0;
	answer->config.planned = cost.planned;
	answer->config.cost = cost.cost;
	while ((id = bms_next_member(cost.used, id)) >= 0)
		answer->config.used |= UINT64CONST(1) << steward_whatif_local_number(whatif, id - 1);
	list_free(indexes);
	return answer->config;
}

/* May another question be asked? */
static bool
may_ask(Exploration *exploration)
{
	return exploration->whatif->nplans +
		list_length(exploration->queries) * exploration->classes.count <= exploration->maxplans &&
		exploration->nanswers < lengthof(exploration->answers);
}

/* Which candidates are tried first: a statement's own. */
static void
choose_local(StewardAdvice *advice, StewardWhatif *whatif)
{
	ListCell   *lc;
	ListCell   *lc2;

	whatif->local = MemoryContextAlloc(advice->context,
									   STEWARD_MAX_LOCAL * sizeof(int));
	foreach(lc, whatif->groups)
	{
		foreach(lc2, (List *) lfirst(lc))
			(void) steward_whatif_add_local(whatif, lfirst_int(lc2));
	}
}

/*
 * Each candidate alone, but for those that an earlier answer decides; then
 * sort them, best first.
 */
static void
ask_singles(Exploration *exploration)
{
	StewardWhatif *whatif = exploration->whatif;

	for (int i = 0; i < whatif->nlocal; i++)
	{
		int			at = i;

		exploration->alone[i] = whatif->base.cost;
		if (may_ask(exploration))
			exploration->alone[i] = ask(exploration, UINT64CONST(1) << i).cost;
		while (at > 0 &&
			   exploration->alone[exploration->order[at - 1]] > exploration->alone[i])
		{
			exploration->order[at] = exploration->order[at - 1];
			at--;
		}
		exploration->order[at] = i;
	}
}

/*
 * Groups, and what remains when the planner may use everything but one of the
 * indexes that it would like most.
 */
static void
ask_groups(Exploration *exploration, uint64 all, uint64 used)
{
	StewardWhatif *whatif = exploration->whatif;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, whatif->groups)
	{
		uint64		members = 0;

		foreach(lc2, (List *) lfirst(lc))
		{
			int			number = steward_whatif_local_number(whatif, lfirst_int(lc2));

			if (number >= 0)
				members |= UINT64CONST(1) << number;
		}
		if (pg_popcount64(members) > 1 && may_ask(exploration))
			(void) ask(exploration, members);
	}
	if (pg_popcount64(used) > 1 && may_ask(exploration))
		(void) ask(exploration, used);
	for (int i = 0; i < whatif->nlocal; i++)
	{
		uint64		bit = UINT64CONST(1) << i;

		if ((used & bit) && may_ask(exploration))
			(void) ask(exploration, all & ~bit);
	}
}

/* Pairs of the best, and triples of the best pairs. */
static void
ask_combinations(Exploration *exploration, double least)
{
	StewardWhatif *whatif = exploration->whatif;
	int			members = Min(PAIR_MEMBERS, whatif->nlocal);
	uint64		best[TRIPLE_PAIRS];
	double		best_cost[TRIPLE_PAIRS];
	int			nbest = 0;

	for (int i = 0; i < members; i++)
	{
		for (int k = i + 1; k < members && may_ask(exploration); k++)
		{
			uint64		pair = UINT64CONST(1) << exploration->order[i] |
				UINT64CONST(1) << exploration->order[k];
			StewardConfig config = ask(exploration, pair);
			int			at;

			if (config.used != pair)
				continue;
			if (nbest < TRIPLE_PAIRS)
				at = nbest++;
			else if (best_cost[TRIPLE_PAIRS - 1] > config.cost)
				at = TRIPLE_PAIRS - 1;
			else
				continue;
			for (; at > 0 && best_cost[at - 1] > config.cost; at--)
			{
				best[at] = best[at - 1];
				best_cost[at] = best_cost[at - 1];
			}
			best[at] = pair;
			best_cost[at] = config.cost;
		}
	}
	for (int i = 0; i < nbest; i++)
	{
		if (best_cost[i] <= least * (1 + STEWARD_NOISE))
			break;				/* nothing to gain any more */
		for (int k = 0; k < Min(TRIPLE_MEMBERS, members) && may_ask(exploration); k++)
			(void) ask(exploration,
					   best[i] | UINT64CONST(1) << exploration->order[k]);
	}
}

/*
 * Keep the answers as configurations: one for each set of used indexes, the
 * cheapest.
 */
static void
keep_configs(Exploration *exploration)
{
	StewardWhatif *whatif = exploration->whatif;
	Size		size = (whatif->nconfigs + exploration->nanswers + 1) * sizeof(StewardConfig);

	whatif->configs = whatif->configs ? repalloc(whatif->configs, size) :
		MemoryContextAlloc(exploration->advice->context, size);
	for (int i = 0; i < exploration->nanswers; i++)
	{
		StewardConfig *config = &exploration->answers[i].config;
		int			k = 0;

		while (k < whatif->nconfigs && whatif->configs[k].used != config->used)
			k++;
		if (k == whatif->nconfigs)
			whatif->configs[whatif->nconfigs++] = *config;
		else if (whatif->configs[k].planned > config->planned)
			whatif->configs[k] = *config;
	}
}

/* Mark what other statements should try as well. */
static void
mark_winners(Exploration *exploration)
{
	StewardWhatif *whatif = exploration->whatif;
	StewardCandidate *candidates = exploration->advice->candidates;

	for (int i = 0; i < Min(WINNERS, whatif->nlocal); i++)
	{
		int			number = exploration->order[i];

		if (exploration->alone[number] < whatif->base.cost * (1 - STEWARD_NOISE))
			candidates[whatif->local[number]].winner = true;
	}
	for (int i = 0; i < whatif->nlocal; i++)
	{
		if (whatif->best_used & (UINT64CONST(1) << i))
			candidates[whatif->local[i]].winner = true;
	}
}

/* Begin to ask, with what earlier visits found. */
static Exploration *
begin_exploration(StewardWhatifVisit *visit, List *queries)
{
	Exploration *exploration = palloc0(sizeof(Exploration));

	exploration->advice = visit->advice;
	exploration->whatif = visit->whatif;
	exploration->queries = queries;
	exploration->maxplans = STEWARD_MAX_PLANS;
	steward_param_classes(visit->whatif->statement, queries, visit->whatif->rows,
						  &exploration->classes);
	exploration->answers[0].config = visit->whatif->base;
	exploration->nanswers = 1;
	for (int i = 0; i < Min(visit->whatif->nconfigs, STEWARD_MAX_PLANS - 1); i++)
	{
		Answer	   *answer = &exploration->answers[exploration->nanswers];

		answer->config = visit->whatif->configs[i];
		answer->visible = answer->config.used;
		if (answer->config.used != 0)
			exploration->nanswers++;
	}
	return exploration;
}

/*
 * Plan the statement as things are once more, because it is known now that
 * LIMIT does not end its scans.  What it takes was measured, and stays.
 */
static void
plan_base_again(Exploration *exploration)
{
	StewardWhatif *whatif = exploration->whatif;
	StewardStatementCost base;

	steward_statement_cost(whatif, exploration->queries, &exploration->classes, NIL,
				   &base);
	steward_statement_keep_base(exploration->advice, whatif, &base);
	whatif->ms_per_cost = whatif->base_ms / Max(whatif->base.cost, 1e-3);
	exploration->answers[0].config = whatif->base;
}

/*
 * Second visit: ask the planner about the statement's own candidates.
 */
void
steward_whatif_explore(StewardStatement *statement, List *queries,
					   void *whatif_and_advice)
{
	StewardWhatifVisit *visit = whatif_and_advice;
	StewardWhatif *whatif = visit->whatif;
	Exploration *exploration = begin_exploration(visit, queries);
	StewardConfig all;
	uint64		visible;

	choose_local(visit->advice, whatif);
	if (whatif->nlocal == 0)
		return;
	exploration->maxplans = EXPLORE_PLANS;
	if (whatif->runs_to_end)
		plan_base_again(exploration);
	visible = (UINT64CONST(1) << whatif->nlocal) - 1;
	all = ask(exploration, visible);
	if (all.planned < whatif->base.planned * (1 - STEWARD_NOISE))
	{
		whatif->best_used = all.used;
		ask_singles(exploration);
		ask_groups(exploration, visible, all.used);
		if (exploration->alone[exploration->order[0]] >
			all.cost * (1 + STEWARD_NOISE))
			ask_combinations(exploration, all.cost);
		mark_winners(exploration);
	}
	keep_configs(exploration);
	whatif->explored = true;
}

/* Does a statement have a candidate that begins like this one? */
static bool
begins_alike(StewardAdvice *advice, const StewardWhatif *whatif, int candidate)
{
	StewardIndex *index = advice->candidates[candidate].index;

	for (int i = 0; i < whatif->nlocal; i++)
	{
		StewardIndex *mine = advice->candidates[whatif->local[i]].index;

		if (index->relid == mine->relid && index->am == mine->am &&
			index->attnums[0] == mine->attnums[0] &&
			(index->attnums[0] != 0 ||
			 equal(linitial(index->exprs), linitial(mine->exprs))))
			return true;
	}
	return false;
}

/* Order of candidates that begin alike: smaller ones first. */
static int
compare_bytes(const ListCell *a, const ListCell *b)
{
	const StewardCandidate *x = lfirst(a);
	const StewardCandidate *y = lfirst(b);

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? -1 : 1;
	return x->index->id - y->index->id;
}

/*
 * Add the best of other statements, and what was derived from them, to the
 * candidates of a statement that gains from an index at all.  False if there
 * is nothing to ask.
 */
bool
steward_whatif_wants_more(StewardAdvice *advice, StewardWhatif *whatif)
{
	int			own = whatif->nlocal;
	List	   *more = NIL;
	ListCell   *lc;

	if (!whatif->explored || whatif->best_used == 0)
		return false;
	for (int i = 0; i < own; i++)
	{
		Oid			table = advice->candidates[whatif->local[i]].index->relid;

		for (int k = steward_pool_first(advice, table); k >= 0;
			 k = advice->candidates[k].next)
		{
			if (advice->candidates[k].winner && steward_whatif_local_number(whatif, k) < 0 &&
				begins_alike(advice, whatif, k))
				more = list_append_unique_ptr(more, &advice->candidates[k]);
		}
	}
	list_sort(more, compare_bytes);
	foreach(lc, more)
	{
		if (whatif->nlocal >= own + MORE_CANDIDATES)
			break;
		(void) steward_whatif_add_local(whatif,
										(StewardCandidate *) lfirst(lc) - advice->candidates);
	}
	list_free(more);
	return whatif->nlocal > own || pg_popcount64(whatif->visible) > 1;
}

/*
 * Ask what happens if an index takes the place of each index of its table that
 * is in a set.
 */
static void
ask_in_place(Exploration *exploration, uint64 set, int number)
{
	StewardWhatif *whatif = exploration->whatif;
	StewardCandidate *candidates = exploration->advice->candidates;
	Oid			table = candidates[whatif->local[number]].index->relid;

	for (int i = 0; i < whatif->nlocal; i++)
	{
		uint64		bit = UINT64CONST(1) << i;

		if ((set & bit) && set != bit && i != number &&
			candidates[whatif->local[i]].index->relid == table &&
			may_ask(exploration))
			(void) ask(exploration, (set & ~bit) | UINT64CONST(1) << number);
	}
}

/*
 * Third visit: ask about what steward_whatif_wants_more() added, alone and in
 * place of the statement's own favourites; and about what is chosen, with one
 * of it left out or replaced.
 */
void
steward_whatif_extend(StewardStatement *statement, List *queries,
					  void *whatif_and_advice)
{
	StewardWhatifVisit *visit = whatif_and_advice;
	StewardWhatif *whatif = visit->whatif;
	Exploration *exploration = begin_exploration(visit, queries);

	for (int i = visit->nlocal_before; i < whatif->nlocal; i++)
	{
		if (may_ask(exploration))
			(void) ask(exploration, UINT64CONST(1) << i);
		ask_in_place(exploration, whatif->best_used, i);
	}
	if (whatif->visible != 0 && may_ask(exploration))
		(void) ask(exploration, whatif->visible);
	for (int i = 0; i < whatif->nlocal; i++)
	{
		uint64		bit = UINT64CONST(1) << i;

		if ((whatif->visible & bit) && whatif->visible != bit &&
			may_ask(exploration))
			(void) ask(exploration, whatif->visible & ~bit);
		if (visit->advice->candidates[whatif->local[i]].winner &&
			!(whatif->visible & bit))
			ask_in_place(exploration, whatif->visible, i);
	}
	keep_configs(exploration);
}

