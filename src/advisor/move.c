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

/*
 * INCLUDE columns have to gain so many times as much as a new index, and this
 * share of what the index gains without them: what they save are reads of the
 * table, which cost the planner more than a server with a warm cache.
 */
#define INCLUDE_FACTOR 2.0
#define INCLUDE_SHARE 0.05

/* An index of this size and share of its table is a copy of the table. */
#define COPY_BYTES (8.0 * 1024 * 1024)
#define COPY_SHARE 0.6

/* Savings for one call that count for INCLUDE columns: dozens of reads. */
#define INCLUDE_COST 100.0

/*
 * Time of a statement a day when these of its indexes are there: that of the
 * plan that the planner thinks cheapest.
 */
double
steward_whatif_ms(const StewardWhatif *whatif, uint64 visible)
{
	const StewardConfig *best = &whatif->base;

	for (int i = 0; i < whatif->nconfigs; i++)
	{
		const StewardConfig *config = &whatif->configs[i];

		if ((config->used & ~visible) == 0 && config->used != 0 &&
			config->planned < best->planned)
			best = config;
	}
	return best->cost * whatif->ms_per_cost;
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

/* Begin and end with the changes of a move. */
static void
touch_move(StewardSearch *search, const StewardMove *move)
{
	for (int i = 0; i < move->nadd; i++)
		touch(search, move->add[i], true);
	for (int i = 0; i < move->ndrop; i++)
		touch(search, move->drop[i], false);
}

static void
untouch(StewardSearch *search)
{
	while (search->ntouched > 0)
		search->is_touched[search->touched[--search->ntouched]] = false;
}

/*
 * Compute what a move gains and how many bytes it adds.
 */
void
steward_move_value(StewardSearch *search, StewardMove *move)
{
	StewardAdvice *advice = search->advice;

	move->gain = move->bytes = 0;
	for (int i = 0; i < move->nadd; i++)
	{
		move->gain -= advice->candidates[move->add[i]].write_ms;
		move->bytes += advice->candidates[move->add[i]].bytes;
	}
	for (int i = 0; i < move->ndrop; i++)
	{
		move->gain += advice->candidates[move->drop[i]].write_ms;
		move->bytes -= advice->candidates[move->drop[i]].bytes;
	}
	touch_move(search, move);
	for (int i = 0; i < search->ntouched; i++)
	{
		int			number = search->touched[i];
		StewardWhatif *whatif = &advice->whatifs[number];

		move->gain += whatif->ms - steward_whatif_ms(whatif, search->visible[number]);
	}
	untouch(search);
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
	touch_move(search, move);
	for (int i = 0; i < search->ntouched; i++)
	{
		StewardWhatif *whatif = &advice->whatifs[search->touched[i]];

		whatif->visible = search->visible[search->touched[i]];
		whatif->ms = steward_whatif_ms(whatif, whatif->visible);
		for (int k = 0; k < whatif->nlocal; k++)
			search->concerned[whatif->local[k]] = search->now;
	}
	untouch(search);

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

/*
 * What the first of two moves gains beyond the second, in statements that get
 * noticeably cheaper by it.
 */
static double
noticeable_gain(StewardSearch *search, const StewardMove *move, const StewardMove *other)
{
	StewardAdvice *advice = search->advice;
	double		gain = 0;
	int			n;

	touch_move(search, move);
	n = search->ntouched;
	for (int i = 0; i < n; i++)
	{
		int			number = search->touched[i];

		search->compared[i] = number;
		search->compared_ms[i] = steward_whatif_ms(&advice->whatifs[number],
													search->visible[number]);
	}
	untouch(search);
	touch_move(search, other);
	for (int i = 0; i < n; i++)
	{
		int			number = search->compared[i];
		StewardWhatif *whatif = &advice->whatifs[number];
		double		saved = steward_whatif_ms(whatif, search->is_touched[number] ?
											  search->visible[number] : whatif->visible) -
			search->compared_ms[i];

		if (saved >= INCLUDE_COST * whatif->ms_per_cost)
			gain += saved;
	}
	untouch(search);
	return gain;
}

/*
 * Are the INCLUDE columns of the index that a move adds worth it, compared to
 * the same index without them?  That may be among the candidates, or be there
 * already.
 */
bool
steward_move_include_pays(StewardSearch *search, const StewardMove *move, double least)
{
	StewardAdvice *advice = search->advice;
	StewardCandidate *candidate = &advice->candidates[move->add[0]];
	StewardMove		other = *move;
	double		worth = 0;

	if (move->nadd != 1 ||
		candidate->index->ncolumns == candidate->index->nkeys)
		return true;
	if (candidate->bytes > COPY_BYTES &&
		candidate->bytes > COPY_SHARE * candidate->table_bytes)
		return false;
	other.nadd = other.ndrop = 0;
	if (candidate->plain >= 0 && advice->candidates[candidate->plain].chosen)
	{
		other.ndrop = 1;
		other.drop[0] = candidate->plain;
		steward_move_value(search, &other);
		worth = -other.gain;
		other.ndrop = 0;
	}
	else if (candidate->plain >= 0)
	{
		other = *move;
		other.add[0] = candidate->plain;
		steward_move_value(search, &other);
		worth = other.gain;
	}
	return noticeable_gain(search, move, &other) >=
		Max(INCLUDE_FACTOR * least, INCLUDE_SHARE * worth);
}

/* StewardSearch space for a run, with what is chosen already. */
StewardSearch *
steward_search_create(StewardAdvice *advice)
{
	StewardSearch    *search = palloc0(sizeof(StewardSearch));
	int			n = Max(advice->nwhatifs, 1);

	search->advice = advice;
	search->touched = palloc(n * sizeof(int));
	search->is_touched = palloc0(n * sizeof(bool));
	search->visible = palloc0(n * sizeof(uint64));
	search->compared = palloc(n * sizeof(int));
	search->compared_ms = palloc(n * sizeof(double));
	for (int i = 0; i < advice->nwhatifs; i++)
	{
		StewardWhatif *whatif = &advice->whatifs[i];

		whatif->visible = 0;
		for (int k = 0; k < whatif->nlocal; k++)
			if (advice->candidates[whatif->local[k]].chosen)
				whatif->visible |= UINT64CONST(1) << k;
		whatif->ms = steward_whatif_ms(whatif, whatif->visible);
	}
	for (int i = 0; i < advice->nchosen; i++)
		search->bytes += advice->candidates[advice->chosen[i]].bytes;

	search->concerned = palloc0(Max(advice->ncandidates, 1) * sizeof(int));
	return search;
}
