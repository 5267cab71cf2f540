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
 * covers; or a narrower one in place of what covers it.  Moves are ranked by
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

#include "advisor/advice.h"

/* Members that a move adds or removes, at most. */
#define MAX_MOVE 6

/*
 * INCLUDE columns have to gain so many times as much as a new index, and this
 * share of what the index gains without them: what they save are reads of the
 * table, which cost the planner more than a server with a warm cache.
 */
#define INCLUDE_FACTOR 2.0
#define INCLUDE_SHARE 0.05

/* Savings for one call that count for INCLUDE columns: some random reads. */
#define INCLUDE_COST 20.0

/* Share of the bytes allowed, beyond which room is short. */
#define TIGHT_SHARE 0.5

/* Passes of improvement, at most. */
#define MAX_PASSES 8

/* What every index costs in the ranking, whatever its size. */
#define BYTES_AT_LEAST (64.0 * 1024.0)

/* A change of the set. */
typedef struct Move
{
	int			nadd;
	int			ndrop;
	int			add[MAX_MOVE];
	int			drop[MAX_MOVE];
	double		gain;			/* ms a day, net of writes */
	double		bytes;			/* added */
} Move;

/* Scratch space: changes to the statements that a move concerns. */
typedef struct Scratch
{
	StewardAdvice *advice;
	int			ntouched;
	int		   *touched;		/* whatif numbers */
	bool	   *is_touched;
	uint64	   *visible;		/* by whatif number, after the move */
	int		   *compared;		/* whatif numbers */
	double	   *compared_ms;
	double		bytes;			/* of what is chosen */
	int			nsynergies;
	Move	   *synergies;		/* sets that help only together: add[] */

	/* values of moves stay valid until a move concerns one of their members */
	int			now;			/* moves made so far */
	int		   *concerned;		/* by candidate: number of the latest such move */
	Move	   *one;			/* by candidate: the move that adds it */
	int		   *one_at;			/* when that was valued; -1: never */
	Move	   *together;		/* by synergy, likewise */
	int		   *together_at;
} Scratch;

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
touch(Scratch *scratch, int candidate, bool add)
{
	StewardCandidate *it = &scratch->advice->candidates[candidate];

	for (int i = 0; i < it->nusers; i++)
	{
		int			number = it->users[i].whatif;
		uint64		bit = UINT64CONST(1) << it->users[i].local;

		if (!scratch->is_touched[number])
		{
			scratch->is_touched[number] = true;
			scratch->touched[scratch->ntouched++] = number;
			scratch->visible[number] = scratch->advice->whatifs[number].visible;
		}
		if (add)
			scratch->visible[number] |= bit;
		else
			scratch->visible[number] &= ~bit;
	}
}

/* Begin and end with the changes of a move. */
static void
touch_move(Scratch *scratch, const Move *move)
{
	for (int i = 0; i < move->nadd; i++)
		touch(scratch, move->add[i], true);
	for (int i = 0; i < move->ndrop; i++)
		touch(scratch, move->drop[i], false);
}

static void
untouch(Scratch *scratch)
{
	while (scratch->ntouched > 0)
		scratch->is_touched[scratch->touched[--scratch->ntouched]] = false;
}

/*
 * Compute what a move gains and how many bytes it adds.
 */
static void
value_move(Scratch *scratch, Move *move)
{
	StewardAdvice *advice = scratch->advice;

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
	touch_move(scratch, move);
	for (int i = 0; i < scratch->ntouched; i++)
	{
		int			number = scratch->touched[i];
		StewardWhatif *whatif = &advice->whatifs[number];

		move->gain += whatif->ms - steward_whatif_ms(whatif, scratch->visible[number]);
	}
	untouch(scratch);
}

/* Does the set keep within its limits after a move? */
static bool
fits(Scratch *scratch, const Move *move)
{
	StewardAdvice *advice = scratch->advice;

	return scratch->bytes + move->bytes <= advice->max_bytes &&
		advice->nchosen + move->nadd - move->ndrop <= advice->max_indexes;
}

/* Values of moves with candidates of this one's table are out of date. */
static void
concern_table(Scratch *scratch, int candidate)
{
	StewardAdvice *advice = scratch->advice;

	for (int i = steward_pool_first(advice, advice->candidates[candidate].index->relid);
		 i >= 0; i = advice->candidates[i].next)
		scratch->concerned[i] = scratch->now;
}

/*
 * Make a move.
 */
static void
apply(Scratch *scratch, Move *move)
{
	StewardAdvice *advice = scratch->advice;

	scratch->now++;
	for (int i = 0; i < move->nadd; i++)
		concern_table(scratch, move->add[i]);
	for (int i = 0; i < move->ndrop; i++)
		concern_table(scratch, move->drop[i]);
	touch_move(scratch, move);
	for (int i = 0; i < scratch->ntouched; i++)
	{
		StewardWhatif *whatif = &advice->whatifs[scratch->touched[i]];

		whatif->visible = scratch->visible[scratch->touched[i]];
		whatif->ms = steward_whatif_ms(whatif, whatif->visible);
		for (int k = 0; k < whatif->nlocal; k++)
			scratch->concerned[whatif->local[k]] = scratch->now;
	}
	untouch(scratch);

	for (int i = 0; i < move->ndrop; i++)
	{
		int			kept = 0;

		for (int k = 0; k < advice->nchosen; k++)
			if (advice->chosen[k] != move->drop[i])
				advice->chosen[kept++] = advice->chosen[k];
		advice->nchosen = kept;
		advice->candidates[move->drop[i]].chosen = false;
		scratch->bytes -= advice->candidates[move->drop[i]].bytes;
	}
	for (int i = 0; i < move->nadd; i++)
	{
		advice->chosen[advice->nchosen++] = move->add[i];
		advice->candidates[move->add[i]].chosen = true;
		scratch->bytes += advice->candidates[move->add[i]].bytes;
	}
}

/* Is the second index of no use beside the first? */
static bool
covers(StewardAdvice *advice, int wide, int narrow)
{
	StewardIndex *a = advice->candidates[wide].index;
	StewardIndex *b = advice->candidates[narrow].index;

	return a->relid == b->relid && steward_index_covers(a, b);
}

/*
 * The move that adds one candidate: in place of those it covers, or of those
 * that cover it.
 */
static void
add_one(Scratch *scratch, int candidate, Move *move)
{
	StewardAdvice *advice = scratch->advice;

	move->nadd = 1;
	move->add[0] = candidate;
	move->ndrop = 0;
	for (int i = 0; i < advice->nchosen && move->ndrop < MAX_MOVE; i++)
	{
		if (covers(advice, candidate, advice->chosen[i]) ||
			covers(advice, advice->chosen[i], candidate))
			move->drop[move->ndrop++] = advice->chosen[i];
	}
	value_move(scratch, move);
}

/*
 * The move that adds what is missing of a set that helps only together; it
 * adds nothing if at most one is missing, because other moves see to that.
 */
static void
add_synergy(Scratch *scratch, const Move *synergy, Move *move)
{
	StewardAdvice *advice = scratch->advice;

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
			if (move->ndrop < MAX_MOVE &&
				(covers(advice, move->add[k], advice->chosen[i]) ||
				 covers(advice, advice->chosen[i], move->add[k])))
			{
				move->drop[move->ndrop++] = advice->chosen[i];
				break;
			}
		}
	}
	value_move(scratch, move);
}

/* Is the value of a synergy out of date? */
static bool
synergy_changed(Scratch *scratch, int i)
{
	const Move *synergy = &scratch->synergies[i];

	for (int k = 0; k < synergy->nadd; k++)
		if (scratch->concerned[synergy->add[k]] > scratch->together_at[i])
			return true;
	return scratch->together_at[i] < 0;
}

/* Rank of a move among others; higher is better. */
static double
rank_move(StewardAdvice *advice, const Move *move)
{
	double		bytes = Max(move->bytes, 0) + BYTES_AT_LEAST;

	return move->gain / (isinf(advice->max_bytes) ? sqrt(bytes) : bytes);
}

/*
 * What the first of two moves gains beyond the second, in statements that get
 * noticeably cheaper by it.
 */
static double
noticeable_gain(Scratch *scratch, const Move *move, const Move *other)
{
	StewardAdvice *advice = scratch->advice;
	double		gain = 0;
	int			n;

	touch_move(scratch, move);
	n = scratch->ntouched;
	for (int i = 0; i < n; i++)
	{
		int			number = scratch->touched[i];

		scratch->compared[i] = number;
		scratch->compared_ms[i] = steward_whatif_ms(&advice->whatifs[number],
													scratch->visible[number]);
	}
	untouch(scratch);
	touch_move(scratch, other);
	for (int i = 0; i < n; i++)
	{
		int			number = scratch->compared[i];
		StewardWhatif *whatif = &advice->whatifs[number];
		double		saved = steward_whatif_ms(whatif, scratch->is_touched[number] ?
											  scratch->visible[number] : whatif->visible) -
			scratch->compared_ms[i];

		if (saved >= INCLUDE_COST * whatif->ms_per_cost)
			gain += saved;
	}
	untouch(scratch);
	return gain;
}

/*
 * Are the INCLUDE columns of the index that a move adds worth it, compared to
 * the same index without them?  That may be among the candidates, or be there
 * already.
 */
static bool
include_pays(Scratch *scratch, const Move *move, double least)
{
	StewardAdvice *advice = scratch->advice;
	StewardCandidate *candidate = &advice->candidates[move->add[0]];
	Move		other = *move;
	double		worth = 0;

	if (move->nadd != 1 ||
		candidate->index->ncolumns == candidate->index->nkeys)
		return true;
	other.nadd = other.ndrop = 0;
	if (candidate->plain >= 0 && advice->candidates[candidate->plain].chosen)
	{
		other.ndrop = 1;
		other.drop[0] = candidate->plain;
		value_move(scratch, &other);
		worth = -other.gain;
		other.ndrop = 0;
	}
	else if (candidate->plain >= 0)
	{
		other = *move;
		other.add[0] = candidate->plain;
		value_move(scratch, &other);
		worth = other.gain;
	}
	return noticeable_gain(scratch, move, &other) >=
		Max(INCLUDE_FACTOR * least, INCLUDE_SHARE * worth);
}

/* Keep the better one of two moves, if it is worth making. */
static void
consider(Scratch *scratch, const Move *move, double least, Move *best)
{
	StewardAdvice *advice = scratch->advice;

	if (move->gain <= 0 || move->gain < least || !fits(scratch, move))
		return;
	if ((best->nadd + best->ndrop == 0 ||
		 rank_move(advice, move) > rank_move(advice, best)) &&
		include_pays(scratch, move, least))
		*best = *move;
}

/*
 * Make the best move of all that add something; false if none is worth it.
 */
static bool
grow(Scratch *scratch, double least)
{
	StewardAdvice *advice = scratch->advice;
	Move		best = {0};

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
		if (scratch->one_at[i] < scratch->concerned[i])
		{
			add_one(scratch, i, &scratch->one[i]);
			scratch->one_at[i] = scratch->now;
		}
		consider(scratch, &scratch->one[i], least, &best);
	}
	for (int i = 0; i < scratch->nsynergies; i++)
	{
		if (synergy_changed(scratch, i))
		{
			add_synergy(scratch, &scratch->synergies[i], &scratch->together[i]);
			scratch->together_at[i] = scratch->now;
		}
		if (scratch->together[i].nadd > 0)
			consider(scratch, &scratch->together[i], least, &best);
	}
	if (best.nadd == 0)
		return false;
	apply(scratch, &best);
	return true;
}

/*
 * Drop members that gain less than was asked for, the least useful first.
 */
static bool
shrink(Scratch *scratch, double least)
{
	StewardAdvice *advice = scratch->advice;
	Move		best = {0};

	for (int i = 0; i < advice->nchosen; i++)
	{
		Move		move = {0};

		move.ndrop = 1;
		move.drop[0] = advice->chosen[i];
		value_move(scratch, &move);
		if (-move.gain < least && (best.ndrop == 0 || move.gain > best.gain))
			best = move;
	}
	if (best.ndrop == 0)
		return false;
	apply(scratch, &best);
	return true;
}

/*
 * Exchange one member for one that is not, if that gains noticeably: for one
 * of the same table, or any other if the limits leave no room to add it.
 */
static bool
exchange(Scratch *scratch, double least)
{
	StewardAdvice *advice = scratch->advice;
	bool		tight = advice->nchosen >= advice->max_indexes ||
		scratch->bytes > TIGHT_SHARE * advice->max_bytes;
	Move		best = {0};

	for (int i = 0; i < advice->nchosen; i++)
	{
		for (int k = 0; k < advice->ncandidates; k++)
		{
			Move		move = {0};

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
			value_move(scratch, &move);
			if (move.gain > least && fits(scratch, &move) &&
				(best.nadd == 0 || move.gain > best.gain) &&
				include_pays(scratch, &move, least))
				best = move;
		}
	}
	if (best.nadd == 0)
		return false;
	apply(scratch, &best);
	return true;
}

/*
 * Collect the sets of a statement whose members gain together what none of
 * them, and no smaller set of them, gains.
 */
static void
find_synergies(Scratch *scratch, StewardWhatif *whatif)
{
	for (int i = 0; i < whatif->nconfigs; i++)
	{
		StewardConfig *config = &whatif->configs[i];
		int			members = pg_popcount64(config->used);
		double		least = whatif->base.cost;
		Move	   *synergy;

		if (members < 2 || members > MAX_MOVE)
			continue;
		for (int k = 0; k < whatif->nconfigs; k++)
		{
			StewardConfig *part = &whatif->configs[k];

			if (k != i && (part->used & ~config->used) == 0)
				least = Min(least, part->cost);
		}
		if (config->cost >= least * (1 - STEWARD_NOISE))
			continue;
		if ((scratch->nsynergies & (scratch->nsynergies - 1)) == 0)
		{
			Size		size = Max(16, scratch->nsynergies * 2) * sizeof(Move);

			scratch->synergies = scratch->synergies == NULL ? palloc(size) :
				repalloc_huge(scratch->synergies, size);
		}
		synergy = &scratch->synergies[scratch->nsynergies++];
		memset(synergy, 0, sizeof(Move));
		for (int k = 0; k < whatif->nlocal; k++)
			if (config->used & (UINT64CONST(1) << k))
				synergy->add[synergy->nadd++] = whatif->local[k];
	}
}

/* Scratch space for a run, with what is chosen already. */
static Scratch *
create_scratch(StewardAdvice *advice)
{
	Scratch    *scratch = palloc0(sizeof(Scratch));
	int			n = Max(advice->nwhatifs, 1);

	scratch->advice = advice;
	scratch->touched = palloc(n * sizeof(int));
	scratch->is_touched = palloc0(n * sizeof(bool));
	scratch->visible = palloc0(n * sizeof(uint64));
	scratch->compared = palloc(n * sizeof(int));
	scratch->compared_ms = palloc(n * sizeof(double));
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
		scratch->bytes += advice->candidates[advice->chosen[i]].bytes;

	scratch->concerned = palloc0(Max(advice->ncandidates, 1) * sizeof(int));
	return scratch;
}

/*
 * Choose a set.  advice->chosen has room for all candidates.
 */
void
steward_choose(StewardAdvice *advice)
{
	Scratch    *scratch = create_scratch(advice);
	double		least = advice->min_gain * advice->total_ms;

	for (int i = 0; i < advice->nwhatifs; i++)
		find_synergies(scratch, &advice->whatifs[i]);
	scratch->one = palloc(Max(advice->ncandidates, 1) * sizeof(Move));
	scratch->one_at = palloc(Max(advice->ncandidates, 1) * sizeof(int));
	memset(scratch->one_at, -1, advice->ncandidates * sizeof(int));
	scratch->together = MemoryContextAllocHuge(CurrentMemoryContext,
											   Max(scratch->nsynergies, 1) * sizeof(Move));
	scratch->together_at = palloc(Max(scratch->nsynergies, 1) * sizeof(int));
	memset(scratch->together_at, -1, scratch->nsynergies * sizeof(int));
	for (int pass = 0; pass < MAX_PASSES; pass++)
	{
		bool		changed = false;

		while (grow(scratch, least))
			changed = true;
		while (shrink(scratch, least))
			changed = true;
		if (steward_advice_late(advice))
			break;
		if (exchange(scratch, Max(least / 10, advice->total_ms * STEWARD_NOISE)))
			changed = true;
		if (!changed || steward_advice_late(advice))
			break;
	}
	while (shrink(scratch, least))
		 /* what the last exchange made superfluous */ ;
}

/*
 * What would be lost, in ms a day, if a chosen candidate were not there.
 */
double
steward_choose_loss(StewardAdvice *advice, int candidate)
{
	Scratch    *scratch = create_scratch(advice);
	Move		move = {0};

	move.ndrop = 1;
	move.drop[0] = candidate;
	value_move(scratch, &move);
	return -move.gain;
}

/*
 * Take a candidate out of the set.
 */
void
steward_choose_drop(StewardAdvice *advice, int candidate)
{
	Move		move = {0};

	move.ndrop = 1;
	move.drop[0] = candidate;
	apply(create_scratch(advice), &move);
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
	Scratch    *scratch;

	memcpy(wanted, advice->chosen, n * sizeof(int));
	for (int i = 0; i < n; i++)
		advice->candidates[wanted[i]].chosen = false;
	advice->nchosen = 0;
	scratch = create_scratch(advice);
	for (int i = 0; i < advice->nwhatifs; i++)
		find_synergies(scratch, &advice->whatifs[i]);

	while (advice->nchosen < n)
	{
		Move		best = {0};
		double		share;

		for (int i = 0; i < n + scratch->nsynergies; i++)
		{
			Move		move = {0};
			bool		possible = true;

			if (i < n && !advice->candidates[wanted[i]].chosen)
				move.add[move.nadd++] = wanted[i];
			for (int k = 0; i >= n && k < scratch->synergies[i - n].nadd; k++)
			{
				int			member = scratch->synergies[i - n].add[k];
				bool		is_wanted = false;

				for (int m = 0; m < n; m++)
					is_wanted |= wanted[m] == member;
				possible &= is_wanted;
				if (!advice->candidates[member].chosen)
					move.add[move.nadd++] = member;
			}
			if (!possible || move.nadd == 0)
				continue;
			value_move(scratch, &move);
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
		apply(scratch, &best);
	}
}
