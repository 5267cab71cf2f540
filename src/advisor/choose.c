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
 * together that help only together; put a wider one in place of those that it
 * covers; or a narrower one in place of what covers it.  Moves are ranked by
 * gain per square root of bytes, so that a small index comes first and a wider
 * one replaces it only if that pays by itself (worth.c).  If there is a budget
 * of bytes, the search is done by gain per byte, too, and in between, because
 * none of them fills every budget best.
 *
 * Then improvement: drop what is not worth it, exchange one for another.  In
 * the end, members are exchanged for such that are better at no more cost, and
 * get the keys that were left out because they gain little on average.  Each
 * move takes a few hundred comparisons a statement concerned, so that thousands
 * of candidates are no obstacle; the search ends with the deadline at the
 * latest, and what is chosen by then is valid.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "advisor/move.h"

/* Share of the bytes allowed, beyond which room is short. */
#define TIGHT_SHARE 0.5

/* An exchange may gain this share of what a new index has to. */
#define EXCHANGE_SHARE 0.1

/* Passes of improvement, at most. */
#define MAX_PASSES 8

/* Powers of bytes by which moves are ranked, one search each. */
static const double size_powers[] = {0.5, 0.75, 1.0};

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
	for (int i = steward_pool_first(advice, advice->candidates[candidate].index->relid);
		 i >= 0 && move->ndrop < STEWARD_MAX_MOVE; i = advice->candidates[i].next)
	{
		if (advice->candidates[i].chosen &&
			(steward_candidate_covers(advice, candidate, i) ||
			 steward_candidate_covers(advice, i, candidate)))
			move->drop[move->ndrop++] = i;
	}
	steward_move_value(search, move);
}

/* Rank of a move among others; higher is better. */
static double
rank_move(StewardSearch *search, const StewardMove *move)
{
	return move->gain / pow(Max(move->bytes, 0) + BYTES_AT_LEAST,
							search->size_power);
}

/* Keep the better one of two moves, if it is worth making. */
static void
consider(StewardSearch *search, const StewardMove *move, StewardMove *best)
{
	if (steward_move_may_pay(search, move) && steward_move_fits(search, move) &&
		(best->nadd + best->ndrop == 0 ||
		 rank_move(search, move) > rank_move(search, best)) &&
		steward_move_pays(search, move) &&
		steward_move_include_pays(search, move))
		*best = *move;
}

/*
 * Make the best move of all that add something, or of those that time suffices
 * for; false if none is worth it, or time is up.
 */
static bool
grow(StewardSearch *search)
{
	StewardAdvice *advice = search->advice;
	StewardMove		best = {0};

	for (int i = 0; i < advice->ncandidates; i++)
	{
		if ((i & 255) == 255)
		{
			CHECK_FOR_INTERRUPTS();
			if (steward_advice_late(advice))
				break;
		}
		if (advice->candidates[i].chosen || advice->candidates[i].nusers == 0)
			continue;
		if (search->one_at[i] < search->concerned[i])
		{
			add_one(search, i, &search->one[i]);
			search->one_at[i] = search->now;
		}
		consider(search, &search->one[i], &best);
	}
	for (int i = 0; i < search->nsynergies; i++)
	{
		if (steward_synergy_changed(search, i))
		{
			steward_synergy_complete(search, &search->synergies[i], &search->together[i]);
			search->together_at[i] = search->now;
		}
		if (search->together[i].nadd > 0)
			consider(search, &search->together[i], &best);
	}
	if (best.nadd == 0)
		return false;
	steward_move_apply(search, &best);
	return !steward_advice_late(advice);
}

/*
 * Drop members that are not worth it, the least useful first.
 */
static bool
shrink(StewardSearch *search)
{
	StewardAdvice *advice = search->advice;
	StewardMove		best = {0};

	for (int i = 0; i < advice->nchosen; i++)
	{
		StewardMove		move = {0};

		move.ndrop = 1;
		move.drop[0] = advice->chosen[i];
		steward_move_value(search, &move);
		if ((best.ndrop == 0 || move.gain > best.gain) &&
			!steward_move_pays(search, &move))
			best = move;
	}
	if (best.ndrop == 0)
		return false;
	steward_move_apply(search, &best);
	return true;
}

/*
 * What an exchange of two indexes of different tables gains: as much as one
 * gains and the other loses, since few statements know both.
 */
static double
expected_gain(StewardSearch *search, int candidate, double loss)
{
	if (search->one_at[candidate] < search->concerned[candidate])
	{
		add_one(search, candidate, &search->one[candidate]);
		search->one_at[candidate] = search->now;
	}
	return search->one[candidate].gain - loss;
}

/*
 * Find the best exchange for one member, if it is better than what is known.
 * False if time is up.
 */
static bool
exchange_one(StewardSearch *search, int member, bool tight, double least,
			 StewardMove *best)
{
	StewardAdvice *advice = search->advice;
	Oid			table = advice->candidates[member].index->relid;
	double		loss = steward_choose_loss(search, member);

	for (int k = 0; k < advice->ncandidates; k++)
	{
		StewardMove move = {0};

		if ((k & 255) == 255)
		{
			CHECK_FOR_INTERRUPTS();
			if (steward_advice_late(advice))
				return false;
		}
		if (advice->candidates[k].chosen || advice->candidates[k].nusers == 0)
			continue;
		if (advice->candidates[k].index->relid != table &&
			(!tight || expected_gain(search, k, loss) <= Max(least, best->gain)))
			continue;
		move.nadd = move.ndrop = 1;
		move.add[0] = k;
		move.drop[0] = member;
		steward_move_value(search, &move);
		if (move.gain > Max(least, STEWARD_NOISE * move.before_ms) &&
			steward_move_fits(search, &move) &&
			(best->nadd == 0 || move.gain > best->gain) &&
			(tight || move.bytes <= 0 || steward_move_pays(search, &move)) &&
			steward_move_include_pays(search, &move))
			*best = move;
	}
	return true;
}

/*
 * Exchange members for such that are not, if that gains noticeably: for one of
 * the same table, or any other if the limits leave no room to add it.
 */
static bool
exchange(StewardSearch *search, double least)
{
	StewardAdvice *advice = search->advice;
	bool		tight = advice->nchosen >= advice->max_indexes ||
		search->bytes > TIGHT_SHARE * advice->max_bytes;
	bool		changed = false;

	/* a move takes one member out and adds its successor behind the last */
	for (int i = advice->nchosen - 1; i >= 0; i--)
	{
		StewardMove best = {0};

		if (!exchange_one(search, advice->chosen[i], tight, least, &best))
			return false;
		if (best.nadd == 0)
			continue;
		steward_move_apply(search, &best);
		changed = true;
	}
	return changed;
}

/*
 * Put better indexes in place of members, where that costs next to nothing.
 */
static bool
complete(StewardSearch *search)
{
	StewardAdvice *advice = search->advice;
	StewardMove best = {0};
	bool		changed = false;

	for (int i = advice->nchosen - 1; i >= 0; i--)
	{
		int			member = advice->chosen[i];

		CHECK_FOR_INTERRUPTS();
		memset(&best, 0, sizeof(best));
		for (int k = steward_pool_first(advice, advice->candidates[member].index->relid);
			 k >= 0; k = advice->candidates[k].next)
		{
			StewardMove move = {0};

			if (advice->candidates[k].chosen || advice->candidates[k].nusers == 0)
				continue;
			move.nadd = move.ndrop = 1;
			move.add[0] = k;
			move.drop[0] = member;
			steward_move_value(search, &move);
			if (move.gain > best.gain && steward_move_fits(search, &move) &&
				steward_move_completes(search, &move))
				best = move;
		}
		if (best.nadd > 0)
		{
			steward_move_apply(search, &best);
			changed = true;
		}
	}
	return changed;
}

/* What statements take with what is chosen, and writes for it, in ms a day. */
static double
total_ms(StewardAdvice *advice)
{
	double		result = 0;

	for (int i = 0; i < advice->nwhatifs; i++)
		result += advice->whatifs[i].ms;
	for (int i = 0; i < advice->nchosen; i++)
		result += advice->candidates[advice->chosen[i]].write_ms;
	return result;
}

/*
 * Choose a set, starting with what is chosen.  What the statements take with
 * it, and writes for it, in ms a day.
 */
static double
choose_by(StewardAdvice *advice, double size_power)
{
	StewardSearch *search = steward_search_create(advice);

	search->size_power = size_power;
	steward_search_remember(search, NULL);
	for (int pass = 0; pass < MAX_PASSES; pass++)
	{
		bool		changed = false;

		while (grow(search))
			changed = true;
		while (shrink(search))
			changed = true;
		if (steward_advice_late(advice))
			break;
		if (exchange(search, search->least * EXCHANGE_SHARE))
			changed = true;
		if (!changed || steward_advice_late(advice))
			break;
	}
	for (int pass = 0; pass < MAX_PASSES && !steward_advice_late(advice); pass++)
		if (!complete(search))
			break;
	while (shrink(search))
		 /* what that made superfluous */ ;
	return total_ms(advice);
}

/* Make a set the chosen one. */
static void
set_chosen(StewardAdvice *advice, const int *chosen, int count)
{
	for (int i = 0; i < advice->nchosen; i++)
		advice->candidates[advice->chosen[i]].chosen = false;
	for (int i = 0; i < count; i++)
	{
		advice->chosen[i] = chosen[i];
		advice->candidates[chosen[i]].chosen = true;
	}
	advice->nchosen = count;
}

/*
 * Choose a set, starting with what is chosen.  advice->chosen has room for all
 * candidates.
 */
void
steward_choose(StewardAdvice *advice)
{
	Size		size = Max(advice->ncandidates, 1) * sizeof(int);
	int		   *first = palloc(size);
	int		   *best = palloc(size);
	int			nfirst = advice->nchosen;
	int			nbest = 0;
	double		best_ms = 0;

	memcpy(first, advice->chosen, nfirst * sizeof(int));
	for (int i = 0; i < lengthof(size_powers); i++)
	{
		double		ms;

		if (i > 0 && (isinf(advice->max_bytes) || steward_advice_late(advice)))
			break;
		set_chosen(advice, first, nfirst);
		ms = choose_by(advice, size_powers[i]);
		ereport(DEBUG1,
				(errmsg_internal("index advisor: by bytes to the power of %g: %d indexes, %.0f ms a day",
								 size_powers[i], advice->nchosen, ms)));
		if (i > 0 && ms >= best_ms)
			continue;
		best_ms = ms;
		nbest = advice->nchosen;
		memcpy(best, advice->chosen, nbest * sizeof(int));
	}
	set_chosen(advice, best, nbest);
	for (int i = 0; i < advice->nwhatifs; i++)
		steward_whatif_see_chosen(advice, &advice->whatifs[i]);
}

/*
 * After a choice: mark as winners, which all statements of their table try,
 * what was chosen and what might complete it, and nothing else.
 */
void
steward_choose_mark(StewardAdvice *advice)
{
	for (int i = 0; i < advice->ncandidates; i++)
		advice->candidates[i].winner = advice->candidates[i].refined =
			advice->candidates[i].chosen;
	for (int i = 0; i < advice->nchosen; i++)
	{
		int			member = advice->chosen[i];

		for (int k = steward_pool_first(advice, advice->candidates[member].index->relid);
			 k >= 0; k = advice->candidates[k].next)
			if (steward_candidate_completes(advice, k, member))
				advice->candidates[k].winner = true;
	}
}
