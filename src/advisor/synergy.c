/*-------------------------------------------------------------------------
 *
 * synergy.c
 *	  Sets of indexes that help only together.
 *
 * The arms of an OR, or both sides of a join: none of them gains by itself, so
 * that no move that adds one index would find them.  They are collected from
 * the configurations of all statements (whatif.c) before a search, and each is
 * a move of its own, that adds what is missing of the set.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "advisor/move.h"

/*
 * Collect the sets of a statement whose members gain together what none of
 * them, and no smaller set of them, gains.
 */
static void
find_synergies(StewardSearch *search, const StewardWhatif *whatif)
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

/* Are all members of a set among the candidates that are wanted? */
static bool
is_wanted(const StewardMove *synergy, const bool *wanted)
{
	for (int i = 0; i < synergy->nadd; i++)
		if (!wanted[synergy->add[i]])
			return false;
	return true;
}

/*
 * Make room for the values of moves, so that each is computed again only when
 * another move has concerned it; and collect the sets that help only together:
 * those of wanted candidates (by number), or all if that is NULL.
 */
void
steward_search_remember(StewardSearch *search, const bool *wanted)
{
	StewardAdvice *advice = search->advice;
	int			kept = 0;

	for (int i = 0; i < advice->nwhatifs; i++)
		find_synergies(search, &advice->whatifs[i]);
	for (int i = 0; wanted != NULL && i < search->nsynergies; i++)
		if (is_wanted(&search->synergies[i], wanted))
			search->synergies[kept++] = search->synergies[i];
	if (wanted != NULL)
		search->nsynergies = kept;

	search->one = palloc(Max(advice->ncandidates, 1) * sizeof(StewardMove));
	search->one_at = palloc(Max(advice->ncandidates, 1) * sizeof(int));
	memset(search->one_at, -1, advice->ncandidates * sizeof(int));
	search->together = MemoryContextAllocHuge(CurrentMemoryContext,
											  Max(search->nsynergies, 1) * sizeof(StewardMove));
	search->together_at = palloc(Max(search->nsynergies, 1) * sizeof(int));
	memset(search->together_at, -1, search->nsynergies * sizeof(int));
}

/*
 * The move that adds what is missing of a set that helps only together; it
 * adds nothing if at most one is missing, because other moves see to that.
 */
void
steward_synergy_complete(StewardSearch *search, const StewardMove *synergy, StewardMove *move)
{
	StewardAdvice *advice = search->advice;
	int			nadd;

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
	nadd = move->nadd;
	for (int k = 0; k < nadd; k++)
	{
		int			candidate = move->add[k];

		for (int i = steward_pool_first(advice, advice->candidates[candidate].index->relid);
			 i >= 0; i = advice->candidates[i].next)
		{
			bool		twice = false;

			if (!advice->candidates[i].chosen ||
				!(steward_candidate_covers(advice, candidate, i) ||
				  steward_candidate_covers(advice, i, candidate)))
				continue;
			for (int m = 0; m < move->ndrop; m++)
				twice = twice || move->drop[m] == i;
			if (!twice && move->ndrop < STEWARD_MAX_MOVE)
				move->drop[move->ndrop++] = i;
		}
	}
	steward_move_value(search, move);
}

/* Is the value of a synergy out of date? */
bool
steward_synergy_changed(StewardSearch *search, int i)
{
	const StewardMove *synergy = &search->synergies[i];

	for (int k = 0; k < synergy->nadd; k++)
		if (search->concerned[synergy->add[k]] > search->together_at[i])
			return true;
	return search->together_at[i] < 0;
}
