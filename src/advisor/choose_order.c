/*-------------------------------------------------------------------------
 *
 * choose_order.c
 *	  The chosen indexes in the order of advice, and what each is worth.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/move.h"

/* The move that drops a member. */
static StewardMove
drop_one(StewardSearch *search, int candidate)
{
	StewardMove move = {0};

	move.ndrop = 1;
	move.drop[0] = candidate;
	steward_move_value(search, &move);
	return move;
}

/*
 * What would be lost, in ms a day, if a chosen candidate were not there.
 */
double
steward_choose_loss(StewardSearch *search, int candidate)
{
	return -drop_one(search, candidate).gain;
}

/*
 * Is a chosen candidate worth it?
 */
bool
steward_choose_pays(StewardSearch *search, int candidate)
{
	StewardMove move = drop_one(search, candidate);

	return steward_move_pays(search, &move);
}

/*
 * Take a candidate out of the set.
 */
void
steward_choose_drop(StewardSearch *search, int candidate)
{
	StewardMove move = drop_one(search, candidate);

	steward_move_apply(search, &move);
}

/* Keep the better one of two moves: that which gains more by member. */
static void
prefer(const StewardMove *move, StewardMove *best)
{
	if (move->nadd > 0 &&
		(best->nadd == 0 || move->gain / move->nadd > best->gain / best->nadd))
		*best = *move;
}

/*
 * The best next step: one of these candidates, or what is missing of a set
 * that helps only together.
 */
static void
find_next(StewardSearch *search, const int *wanted, int n, StewardMove *best)
{
	StewardAdvice *advice = search->advice;

	memset(best, 0, sizeof(StewardMove));
	for (int i = 0; i < n; i++)
	{
		int			candidate = wanted[i];
		StewardMove *move = &search->one[candidate];

		if (advice->candidates[candidate].chosen)
			continue;
		if (search->one_at[candidate] < search->concerned[candidate])
		{
			move->nadd = 1;
			move->add[0] = candidate;
			move->ndrop = 0;
			steward_move_value(search, move);
			search->one_at[candidate] = search->now;
		}
		prefer(move, best);
	}
	for (int i = 0; i < search->nsynergies; i++)
	{
		const StewardMove *synergy = &search->synergies[i];
		StewardMove *move = &search->together[i];

		if (steward_synergy_changed(search, i))
		{
			move->nadd = move->ndrop = 0;
			for (int k = 0; k < synergy->nadd; k++)
				if (!advice->candidates[synergy->add[k]].chosen)
					move->add[move->nadd++] = synergy->add[k];
			steward_move_value(search, move);
			search->together_at[i] = search->now;
		}
		prefer(move, best);
	}
}

/*
 * An index may make statements slower that one after it makes good: then they
 * share what they save together, also with those before if nothing comes after.
 */
static void
share_losses(StewardAdvice *advice)
{
	StewardCandidate *candidates = advice->candidates;
	const int  *order = advice->chosen;
	double		cumulative = 0;
	double		sum = 0;
	int			first = 0;

	for (int i = 0; i < advice->nchosen; i++)
	{
		sum += candidates[order[i]].saved_ms;
		if (sum <= 0 && i < advice->nchosen - 1)
			continue;
		while (sum <= 0 && first > 0)
			sum += candidates[order[--first]].saved_ms;
		for (int k = first; k <= i; k++)
			candidates[order[k]].saved_ms = sum / (i - first + 1);
		first = i + 1;
		sum = 0;
	}
	for (int i = 0; i < advice->nchosen; i++)
	{
		cumulative += candidates[order[i]].saved_ms;
		candidates[order[i]].cumulative_ms = cumulative;
	}
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
	bool	   *is_wanted = palloc0(Max(advice->ncandidates, 1) * sizeof(bool));
	StewardSearch *search;

	memcpy(wanted, advice->chosen, n * sizeof(int));
	for (int i = 0; i < n; i++)
	{
		advice->candidates[wanted[i]].chosen = false;
		is_wanted[wanted[i]] = true;
	}
	advice->nchosen = 0;
	search = steward_search_create(advice);
	steward_search_remember(search, is_wanted);

	while (advice->nchosen < n)
	{
		StewardMove best;
		double		share;

		find_next(search, wanted, n, &best);
		share = best.gain;
		for (int i = 0; i < best.nadd; i++)
			share += advice->candidates[best.add[i]].write_ms;
		share /= best.nadd;
		for (int i = 0; i < best.nadd; i++)
			advice->candidates[best.add[i]].saved_ms = share;
		steward_move_apply(search, &best);
	}
	share_losses(advice);
}
