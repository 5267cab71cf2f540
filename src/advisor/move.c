/*-------------------------------------------------------------------------
 *
 * move.c
 *	  Changes of the set of chosen indexes, and their value.
 *
 * A move adds and drops some candidates at once.  Its value is the time a day
 * that the statements concerned save with it, less the time that writes take
 * for what it adds; it takes a look at the configurations of those statements
 * and no planner.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "advisor/move.h"

/* How often time that a statement loses is added to what it takes then. */
#define HARM_FACTOR 2.0

/*
 * The plan that the planner thinks cheapest when these of a statement's indexes
 * are there.
 */
const StewardConfig *
steward_whatif_config(const StewardWhatif *whatif, uint64 visible)
{
	const StewardConfig *best = &whatif->base;

	for (int i = 0; i < whatif->nconfigs; i++)
	{
		const StewardConfig *config = &whatif->configs[i];

		if ((config->used & ~visible) == 0 && config->used != 0 &&
			config->planned < best->planned)
			best = config;
	}
	return best;
}

/*
 * Time of a statement a day when these of its indexes are there.  What it takes
 * longer than today counts several times: nobody wants to pay for other
 * statements with this one.
 */
double
steward_whatif_ms(const StewardWhatif *whatif, uint64 visible)
{
	double		cost = steward_whatif_config(whatif, visible)->cost;

	cost += HARM_FACTOR * Max(cost - whatif->base.cost, 0);
	return cost * whatif->ms_per_cost;
}

/* Note that a move makes a candidate visible, or not, to its statements. */
static void
touch(StewardSearch *search, int candidate, bool add)
{
	StewardCandidate *it = &search->advice->candidates[candidate];

	for (int i = 0; i < it->nusers; i++)
	{
		int			number = it->users[i].whatif;
		uint64		bit = UINT64CONST(1) << it->users[i].local;

		if (!search->is_touched[number])
		{
			search->is_touched[number] = true;
			search->touched[search->ntouched++] = number;
			search->visible[number] = search->advice->whatifs[number].visible;
		}
		if (add)
			search->visible[number] |= bit;
		else
			search->visible[number] &= ~bit;
	}
}

/*
 * Begin with the changes of a move: search->touched are the statements it
 * concerns, and search->visible what they see then.
 */
void
steward_move_begin(StewardSearch *search, const StewardMove *move)
{
	for (int i = 0; i < move->nadd; i++)
		touch(search, move->add[i], true);
	for (int i = 0; i < move->ndrop; i++)
		touch(search, move->drop[i], false);
}

/* End it. */
void
steward_move_end(StewardSearch *search)
{
	while (search->ntouched > 0)
		search->is_touched[search->touched[--search->ntouched]] = false;
}

/*
 * Compute what a move gains, how many bytes it adds, and what its statements
 * take before it.
 */
void
steward_move_value(StewardSearch *search, StewardMove *move)
{
	StewardAdvice *advice = search->advice;

	move->gain = move->bytes = move->write_ms = move->before_ms = 0;
	for (int i = 0; i < move->nadd; i++)
	{
		move->write_ms += advice->candidates[move->add[i]].write_ms;
		move->bytes += advice->candidates[move->add[i]].bytes;
	}
	for (int i = 0; i < move->ndrop; i++)
	{
		move->write_ms -= advice->candidates[move->drop[i]].write_ms;
		move->bytes -= advice->candidates[move->drop[i]].bytes;
	}
	move->gain = -move->write_ms;
	steward_move_begin(search, move);
	for (int i = 0; i < search->ntouched; i++)
	{
		int			number = search->touched[i];
		StewardWhatif *whatif = &advice->whatifs[number];

		move->before_ms += whatif->ms;
		move->gain += whatif->ms - steward_whatif_ms(whatif, search->visible[number]);
	}
	steward_move_end(search);
}

/* Does the set keep within its limits after a move? */
bool
steward_move_fits(StewardSearch *search, const StewardMove *move)
{
	StewardAdvice *advice = search->advice;

	return search->bytes + move->bytes <= advice->max_bytes &&
		advice->nchosen + move->nadd - move->ndrop <= advice->max_indexes;
}

/* Values of moves with candidates of this one's table are out of date. */
static void
concern_table(StewardSearch *search, int candidate)
{
	StewardAdvice *advice = search->advice;

	for (int i = steward_pool_first(advice, advice->candidates[candidate].index->relid);
		 i >= 0; i = advice->candidates[i].next)
		search->concerned[i] = search->now;
}

/*
 * Make a move.
 */
void
steward_move_apply(StewardSearch *search, StewardMove *move)
{
	StewardAdvice *advice = search->advice;

	search->now++;
	for (int i = 0; i < move->nadd; i++)
		concern_table(search, move->add[i]);
	for (int i = 0; i < move->ndrop; i++)
		concern_table(search, move->drop[i]);
	steward_move_begin(search, move);
	for (int i = 0; i < search->ntouched; i++)
	{
		StewardWhatif *whatif = &advice->whatifs[search->touched[i]];

		whatif->visible = search->visible[search->touched[i]];
		whatif->ms = steward_whatif_ms(whatif, whatif->visible);
		for (int k = 0; k < whatif->nlocal; k++)
			search->concerned[whatif->local[k]] = search->now;
	}
	steward_move_end(search);

	for (int i = 0; i < move->ndrop; i++)
	{
		int			kept = 0;

		for (int k = 0; k < advice->nchosen; k++)
			if (advice->chosen[k] != move->drop[i])
				advice->chosen[kept++] = advice->chosen[k];
		advice->nchosen = kept;
		advice->candidates[move->drop[i]].chosen = false;
		search->bytes -= advice->candidates[move->drop[i]].bytes;
	}
	for (int i = 0; i < move->nadd; i++)
	{
		advice->chosen[advice->nchosen++] = move->add[i];
		advice->candidates[move->add[i]].chosen = true;
		search->bytes += advice->candidates[move->add[i]].bytes;
	}
}

/*
 * Is the second index of no use beside the first?
 */
bool
steward_candidate_covers(StewardAdvice *advice, int wide, int narrow)
{
	StewardIndex *a = advice->candidates[wide].index;
	StewardIndex *b = advice->candidates[narrow].index;

	return a->relid == b->relid && steward_index_covers(a, b);
}

/* Let a statement see what is chosen. */
void
steward_whatif_see_chosen(StewardAdvice *advice, StewardWhatif *whatif)
{
	whatif->visible = 0;
	for (int k = 0; k < whatif->nlocal; k++)
		if (advice->candidates[whatif->local[k]].chosen)
			whatif->visible |= UINT64CONST(1) << k;
	whatif->ms = steward_whatif_ms(whatif, whatif->visible);
}

/* The state of a search, with what is chosen already. */
StewardSearch *
steward_search_create(StewardAdvice *advice)
{
	StewardSearch    *search = palloc0(sizeof(StewardSearch));
	int			n = Max(advice->nwhatifs, 1);

	search->advice = advice;
	search->least = advice->min_gain * steward_time_to_share(advice);
	search->table_bytes = steward_pool_table_bytes(advice);
	search->touched = palloc(n * sizeof(int));
	search->is_touched = palloc0(n * sizeof(bool));
	search->visible = palloc0(n * sizeof(uint64));
	search->compared = palloc(n * sizeof(int));
	search->compared_ms = palloc(n * sizeof(double));
	for (int i = 0; i < advice->nwhatifs; i++)
		steward_whatif_see_chosen(advice, &advice->whatifs[i]);
	for (int i = 0; i < advice->nchosen; i++)
		search->bytes += advice->candidates[advice->chosen[i]].bytes;

	search->concerned = palloc0(Max(advice->ncandidates, 1) * sizeof(int));
	return search;
}
