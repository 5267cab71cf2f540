/*-------------------------------------------------------------------------
 *
 * choose.c
 *	  The search for the best set of indexes.
 *
 * Everything needed is known: what each statement costs with which indexes
 * (whatif.c), what each index costs to keep up (write_cost.c) and how big it
 * is.  The value of a set is the time it saves a day minus the time that
 * writes take for it.
 *
 * Greedy search by moves, each valued as a whole: add an index; add those
 * together that help only together; put a wider one in place of those it
 * steward_candidate_covers; or a narrower one in place of what covers it.  Moves are ranked by
 * gain per byte if there is a budget of bytes, else by gain per square root of
 * bytes, so that a small index comes first and a wider one replaces it only if
 * that pays by itself.  Then improvement: drop what gains less than was asked
 * for, exchange one for another.  Each move takes a few hundred comparisons a
 * statement concerned, so that thousands of candidates are no obstacle; the
 * search ends with the deadline at the latest, and what is chosen by then is
 * valid.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "port/pg_bitutils.h"

#include "advisor/move.h"

/* Share of the bytes allowed, beyond which room is short. */
#define TIGHT_SHARE 0.5

/* Passes of improvement, at most. */
#define MAX_PASSES 8

/* What every index costs in the ranking, whatever its size. */
#define BYTES_AT_LEAST (64.0 * 1024.0)

/*
 * The move that adds one candidate: in place of those it covers, or of those
 * that cover it.
 */
static void
add_one(StewardSearch *search, int candidate, StewardMove *move)
{
	StewardAdvice *advice = search->advice;

	move->nadd = 1;
	move->add[0] = candidate;
	move->ndrop = 0;
	for (int i = 0; i < advice->nchosen && move->ndrop < STEWARD_MAX_MOVE; i++)
	{
		if (steward_candidate_covers(advice, candidate, advice->chosen[i]) ||
			steward_candidate_covers(advice, advice->chosen[i], candidate))
			move->drop[move->ndrop++] = advice->chosen[i];
	}
	steward_move_value(search, move);
}

/*
 * The move that adds what is missing of a set that helps only together; it
 * adds nothing if at most one is missing, because other moves see to that.
 */
static void
add_synergy(StewardSearch *search, const StewardMove *synergy, StewardMove *move)
{
	StewardAdvice *advice = search->advice;

	move->nadd = move->ndrop = 0;
	for (int i = 0; i < synergy->nadd; i++)
	{
		if (!advice->candidates[synergy->add[i]].chosen)
			move->add[move->nadd++] = synergy->add[i];
	}
	if (move->nadd < 2)
	{
		move->nadd = 0;
		return;
	}
	for (int i = 0; i < advice->nchosen; i++)
	{
		for (int k = 0; k < move->nadd; k++)
		{
			if (move->ndrop < STEWARD_MAX_MOVE &&
				(steward_candidate_covers(advice, move->add[k], advice->chosen[i]) ||
				 steward_candidate_covers(advice, advice->chosen[i], move->add[k])))
			{
				move->drop[move->ndrop++] = advice->chosen[i];
				break;
			}
		}
	}
	steward_move_value(search, move);
}

/* Is the value of a synergy out of date? */
static bool
synergy_changed(StewardSearch *search, int i)
{
	const StewardMove *synergy = &search->synergies[i];

	for (int k = 0; k < synergy->nadd; k++)
		if (search->concerned[synergy->add[k]] > search->together_at[i])
			return true;
	return search->together_at[i] < 0;
}

/* Rank of a move among others; higher is better. */
static double
rank_move(StewardAdvice *advice, const StewardMove *move)
{
	double		bytes = Max(move->bytes, 0) + BYTES_AT_LEAST;

	return move->gain / (isinf(advice->max_bytes) ? sqrt(bytes) : bytes);
}

/* Keep the better one of two moves, if it is worth making. */
static void
consider(StewardSearch *search, const StewardMove *move, double least, StewardMove *best)
{
	StewardAdvice *advice = search->advice;

	if (move->gain <= 0 || move->gain < least || !steward_move_fits(search, move))
		return;
	if ((best->nadd + best->ndrop == 0 ||
		 rank_move(advice, move) > rank_move(advice, best)) &&
		steward_move_include_pays(search, move, least))
		*best = *move;
}

/*
 * Make the best move of all that add something; false if none is worth it.
 */
static bool
grow(StewardSearch *search, double least)
{
	StewardAdvice *advice = search->advice;
	StewardMove		best = {0};

	for (int i = 0; i < advice->ncandidates; i++)
	{
		if ((i & 255) == 255)
		{
			CHECK_FOR_INTERRUPTS();
			if (steward_advice_late(advice))
				return false;
		}
		if (advice->candidates[i].chosen || advice->candidates[i].nusers == 0)
			continue;
		if (search->one_at[i] < search->concerned[i])
		{
			add_one(search, i, &search->one[i]);
			search->one_at[i] = search->now;
		}
		consider(search, &search->one[i], least, &best);
	}
	for (int i = 0; i < search->nsynergies; i++)
	{
		if (synergy_changed(search, i))
		{
			add_synergy(search, &search->synergies[i], &search->together[i]);
			search->together_at[i] = search->now;
		}
		if (search->together[i].nadd > 0)
			consider(search, &search->together[i], least, &best);
	}
	if (best.nadd == 0)
		return false;
	steward_move_apply(search, &best);
	return true;
}

/*
 * Drop members that gain less than was asked for, the least useful first.
 */
static bool
shrink(StewardSearch *search, double least)
{
	StewardAdvice *advice = search->advice;
	StewardMove		best = {0};

	for (int i = 0; i < advice->nchosen; i++)
	{
		StewardMove		move = {0};

		move.ndrop = 1;
		move.drop[0] = advice->chosen[i];
		steward_move_value(search, &move);
		if (-move.gain < least && (best.ndrop == 0 || move.gain > best.gain))
			best = move;
	}
	if (best.ndrop == 0)
		return false;
	steward_move_apply(search, &best);
	return true;
}

/*
 * Exchange one member for one that is not, if that gains noticeably: for one
 * of the same table, or any other if the limits leave no room to add it.
 */
static bool
exchange(StewardSearch *search, double least)
{
	StewardAdvice *advice = search->advice;
	bool		tight = advice->nchosen >= advice->max_indexes ||
		search->bytes > TIGHT_SHARE * advice->max_bytes;
	StewardMove		best = {0};

	for (int i = 0; i < advice->nchosen; i++)
	{
		for (int k = 0; k < advice->ncandidates; k++)
		{
			StewardMove		move = {0};

			if ((k & 255) == 255)
			{
				CHECK_FOR_INTERRUPTS();
				if (steward_advice_late(advice))
					return false;
			}
			if (advice->candidates[k].chosen || advice->candidates[k].nusers == 0 ||
				(!tight && advice->candidates[k].index->relid !=
				 advice->candidates[advice->chosen[i]].index->relid))
				continue;
			move.nadd = move.ndrop = 1;
			move.add[0] = k;
			move.drop[0] = advice->chosen[i];
			steward_move_value(search, &move);
			if (move.gain > least && steward_move_fits(search, &move) &&
				(best.nadd == 0 || move.gain > best.gain) &&
				steward_move_include_pays(search, &move, least))
				best = move;
		}
	}
	if (best.nadd == 0)
		return false;
	steward_move_apply(search, &best);
	return true;
}

/*
 * Collect the sets of a statement whose members gain together what none of
 * them, and no smaller set of them, gains.
 */
static void
find_synergies(StewardSearch *search, StewardWhatif *whatif)
{
	for (int i = 0; i < whatif->nconfigs; i++)
	{
		StewardConfig *config = &whatif->configs[i];
		int			members = pg_popcount64(config->used);
		double		least = whatif->base.cost;
		StewardMove	   *synergy;

		if (members < 2 || members > STEWARD_MAX_MOVE)
			continue;
		for (int k = 0; k < whatif->nconfigs; k++)
		{
			StewardConfig *part = &whatif->configs[k];

			if (k != i && (part->used & ~config->used) == 0)
				least = Min(least, part->cost);
		}
		if (config->cost >= least * (1 - STEWARD_NOISE))
			continue;
		if ((search->nsynergies & (search->nsynergies - 1)) == 0)
		{
			Size		size = Max(16, search->nsynergies * 2) * sizeof(StewardMove);

			search->synergies = search->synergies == NULL ? palloc(size) :
				repalloc_huge(search->synergies, size);
		}
		synergy = &search->synergies[search->nsynergies++];
		memset(synergy, 0, sizeof(StewardMove));
		for (int k = 0; k < whatif->nlocal; k++)
			if (config->used & (UINT64CONST(1) << k))
				synergy->add[synergy->nadd++] = whatif->local[k];
	}
}

/*
 * Choose a set.  advice->chosen has room for all candidates.
 */
void
steward_choose(StewardAdvice *advice)
{
	StewardSearch    *search = steward_search_create(advice);
	double		least = advice->min_gain * advice->total_ms;

	for (int i = 0; i < advice->nwhatifs; i++)
		find_synergies(search, &advice->whatifs[i]);
	search->one = palloc(Max(advice->ncandidates, 1) * sizeof(StewardMove));
	search->one_at = palloc(Max(advice->ncandidates, 1) * sizeof(int));
	memset(search->one_at, -1, advice->ncandidates * sizeof(int));
	search->together = MemoryContextAllocHuge(CurrentMemoryContext,
											   Max(search->nsynergies, 1) * sizeof(StewardMove));
	search->together_at = palloc(Max(search->nsynergies, 1) * sizeof(int));
	memset(search->together_at, -1, search->nsynergies * sizeof(int));
	for (int pass = 0; pass < MAX_PASSES; pass++)
	{
		bool		changed = false;

		while (grow(search, least))
			changed = true;
		while (shrink(search, least))
			changed = true;
		if (steward_advice_late(advice))
			break;
		if (exchange(search, Max(least / 10, advice->total_ms * STEWARD_NOISE)))
			changed = true;
		if (!changed || steward_advice_late(advice))
			break;
	}
	while (shrink(search, least))
		 /* what the last exchange made superfluous */ ;
}

/*
 * What would be lost, in ms a day, if a chosen candidate were not there.
 */
double
steward_choose_loss(StewardAdvice *advice, int candidate)
{
	StewardSearch    *search = steward_search_create(advice);
	StewardMove		move = {0};

	move.ndrop = 1;
	move.drop[0] = candidate;
	steward_move_value(search, &move);
	return -move.gain;
}

/*
 * Take a candidate out of the set.
 */
void
steward_choose_drop(StewardAdvice *advice, int candidate)
{
	StewardMove		move = {0};

	move.ndrop = 1;
	move.drop[0] = candidate;
	steward_move_apply(steward_search_create(advice), &move);
}

/*
 * Put the chosen ones in the order of advice: next comes always what gains
 * most in addition to those before it.  Members of a set that help only
 * together come one after the other and share the gain.
 */
void
steward_choose_order(StewardAdvice *advice)
{
	int			n = advice->nchosen;
	int		   *wanted = palloc(Max(n, 1) * sizeof(int));
	double		cumulative = 0;
	StewardSearch    *search;

	memcpy(wanted, advice->chosen, n * sizeof(int));
	for (int i = 0; i < n; i++)
		advice->candidates[wanted[i]].chosen = false;
	advice->nchosen = 0;
	search = steward_search_create(advice);
	for (int i = 0; i < advice->nwhatifs; i++)
		find_synergies(search, &advice->whatifs[i]);

	while (advice->nchosen < n)
	{
		StewardMove		best = {0};
		double		share;

		for (int i = 0; i < n + search->nsynergies; i++)
		{
			StewardMove		move = {0};
			bool		possible = true;

			if (i < n && !advice->candidates[wanted[i]].chosen)
				move.add[move.nadd++] = wanted[i];
			for (int k = 0; i >= n && k < search->synergies[i - n].nadd; k++)
			{
				int			member = search->synergies[i - n].add[k];
				bool		is_wanted = false;

				for (int m = 0; m < n; m++)
					is_wanted |= wanted[m] == member;
				possible &= is_wanted;
				if (!advice->candidates[member].chosen)
					move.add[move.nadd++] = member;
			}
			if (!possible || move.nadd == 0)
				continue;
			steward_move_value(search, &move);
			if (best.nadd == 0 ||
				move.gain / move.nadd > best.gain / best.nadd)
				best = move;
		}
		share = best.gain;
		for (int i = 0; i < best.nadd; i++)
			share += advice->candidates[best.add[i]].write_ms;
		share /= best.nadd;
		for (int i = 0; i < best.nadd; i++)
		{
			cumulative += share;
			advice->candidates[best.add[i]].saved_ms = share;
			advice->candidates[best.add[i]].cumulative_ms = cumulative;
		}
		steward_move_apply(search, &best);
	}
}
