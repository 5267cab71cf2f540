/*-------------------------------------------------------------------------
 *
 * worth.c
 *	  Is a change of the set worth making?
 *
 * An index has to gain the share of all time that the caller asked for.  In
 * proportion: more, if it takes more than a fifth of the space of the tables,
 * and a multiple of what it costs writers.  Less than that is enough where
 * somebody notices: a statement that becomes several times as fast, by a
 * millisecond at least for each call, would otherwise be lost beside a few that
 * take most of the time and cannot be helped.  Statements that take most of the
 * time and can be helped entirely count with what they take then, lest the rest
 * has to wait until that is done.
 *
 * INCLUDE columns are a matter of their own.  What they save are visits of the
 * table, and those cost the planner more than a server whose cache is warm;
 * what they cost is a copy of the columns.
 *
 * Keys beyond those that a plan needs most are another.  An index on a alone
 * finds all rows with one value of a; if a statement wants only the first of
 * them by b, or those in a range of b, the index on (a, b) reads just these.
 * By the planner's averages that gains little where values of a are rare, but
 * some value may be frequent, and tables grow.  So such keys are added if they
 * make a plan noticeably cheaper at all, unless the index gets much bigger.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/move.h"

/*
 * From this share of the space of all tables on, what an index has to gain
 * grows with its size.
 */
#define SIZE_SHARE 0.2

/* An index gains at least this share of what it costs writers. */
#define WRITE_SHARE 0.5

/*
 * This share of the least gain is enough if a call of some statement becomes so
 * many times as fast, so many ms faster, and saves this part of what it takes
 * today; unless the caller asked for more than this share of all time.
 */
#define NOTICED_SHARE 0.1
#define NOTICED_FACTOR 4.0
#define NOTICED_MS 1.0
#define NOTICED_PART 0.2
#define NOTICED_MIN_GAIN 0.01

/*
 * A statement that takes this share of all time and can be made so many times
 * as fast does not count with what it takes today; again, unless the caller
 * asked for more than NOTICED_MIN_GAIN.
 */
#define DOMINANT_SHARE 0.1
#define DOMINANT_FACTOR 10.0

/*
 * INCLUDE columns have to gain so many times as much as a new index, and this
 * share of what the index gains without them.
 */
#define INCLUDE_FACTOR 2.0
#define INCLUDE_SHARE 0.05

/* An index of this size and share of its table is a copy of the table. */
#define COPY_BYTES (8.0 * 1024 * 1024)
#define COPY_SHARE 0.6

/*
 * Savings for one call that count for INCLUDE columns: dozens of reads, that
 * are a part of what the statement takes today, or many.
 */
#define INCLUDE_COST 250.0
#define INCLUDE_PART 0.2
#define INCLUDE_COST_MANY 2000.0

/*
 * More keys have to save this part of what the statements take by then.  They
 * may make the index so many times as big, or so big compared to its table, and
 * cost writers so many times as much.
 */
#define COMPLETE_PART 0.05
#define COMPLETE_SIZE 6.0
#define COMPLETE_TABLE 0.25
#define COMPLETE_WRITE 1.6

/*
 * What makes an index bigger, but for keys that complete it, has to gain at
 * least this share, by byte, of what it gains without that.
 */
#define GROWTH_SHARE 0.05

/*
 * The time a day of which an index has to gain a share: that of all statements,
 * but for those that dominate others and can be helped.
 */
double
steward_time_to_share(const StewardAdvice *advice)
{
	double		others = 0;
	double		least = 0;

	if (advice->min_gain > NOTICED_MIN_GAIN)
		return advice->total_ms;
	for (int i = 0; i < advice->nwhatifs; i++)
	{
		const StewardWhatif *whatif = &advice->whatifs[i];
		double		ms = whatif->base_ms;

		for (int k = 0; k < whatif->nconfigs; k++)
			ms = Min(ms, whatif->configs[k].cost * whatif->ms_per_cost);
		if (whatif->base_ms >= DOMINANT_SHARE * advice->total_ms &&
			whatif->base_ms >= DOMINANT_FACTOR * ms)
			least += ms;
		else
			others += whatif->base_ms;
	}
	return others > 0 ? others + least : advice->total_ms;
}

/*
 * Does a move (or the opposite of one that drops) make a call of some statement
 * so much faster that it is noticed?
 */
static bool
is_noticed(StewardSearch *search, const StewardMove *move)
{
	StewardAdvice *advice = search->advice;
	bool		result = false;

	steward_move_begin(search, move);
	for (int i = 0; i < search->ntouched && !result; i++)
	{
		int			number = search->touched[i];
		StewardWhatif *whatif = &advice->whatifs[number];
		double		changed = steward_whatif_ms(whatif, search->visible[number]);
		double		slow = Max(whatif->ms, changed);
		double		fast = Min(whatif->ms, changed);

		if ((move->nadd == 0) == (changed < whatif->ms))
			continue;			/* the wrong direction */
		result = slow >= NOTICED_FACTOR * fast &&
			slow - fast >= NOTICED_MS * whatif->statement->calls &&
			slow - fast >= NOTICED_PART * whatif->base_ms;
	}
	steward_move_end(search);
	return result;
}

/* What a move has to gain, in ms a day. */
static double
least_gain(StewardSearch *search, double bytes)
{
	return search->least *
		Max(1, bytes / Max(SIZE_SHARE * search->table_bytes, 1));
}

/*
 * May a candidate complete a member: has it more keys, without being much
 * bigger?
 */
bool
steward_candidate_completes(StewardAdvice *advice, int candidate, int member)
{
	const StewardCandidate *old = &advice->candidates[member];
	const StewardCandidate *new = &advice->candidates[candidate];

	return new->index->nkeys > old->index->nkeys &&
		new->index->ncolumns - new->index->nkeys <=
		old->index->ncolumns - old->index->nkeys &&
		new->bytes <= Max(COMPLETE_SIZE * old->bytes,
						  COMPLETE_TABLE * old->table_bytes) &&
		steward_index_covers(new->index, old->index);
}

/*
 * If a move puts bigger indexes in the place of others: does it gain enough for
 * its bytes, compared to those?
 */
static bool
growth_pays(StewardSearch *search, const StewardMove *move)
{
	StewardMove without = {0};

	if (move->nadd == 0 || move->ndrop == 0 || move->bytes <= 0 ||
		(move->ndrop == 1 &&
		 steward_candidate_completes(search->advice, move->add[0], move->drop[0])))
		return true;
	without.ndrop = move->ndrop;
	memcpy(without.drop, move->drop, sizeof(without.drop));
	steward_move_value(search, &without);
	return move->gain * -without.bytes >=
		GROWTH_SHARE * -without.gain * move->bytes;
}

/*
 * May a move that adds be worth it?  False is certain, and cheap to find out.
 */
bool
steward_move_may_pay(StewardSearch *search, const StewardMove *move)
{
	double		share = search->advice->min_gain > NOTICED_MIN_GAIN ? 1 : NOTICED_SHARE;

	return move->gain > 0 &&
		move->gain >= WRITE_SHARE * move->write_ms &&
		move->gain >= share * least_gain(search, move->bytes);
}

/*
 * Is what a move adds worth it?  Of a move that only drops: is what it drops?
 */
bool
steward_move_pays(StewardSearch *search, const StewardMove *move)
{
	StewardMove opposite = *move;

	if (move->nadd == 0)
	{
		opposite.gain = -move->gain;
		opposite.write_ms = -move->write_ms;
		opposite.bytes = -move->bytes;
	}
	return steward_move_may_pay(search, &opposite) &&
		(opposite.gain >= least_gain(search, opposite.bytes) ||
		 is_noticed(search, move)) &&
		growth_pays(search, move);
}

/* Do savings for one call of a statement, in cost, count for INCLUDE columns? */
static bool
saves_reads(const StewardWhatif *whatif, double cost)
{
	return cost >= INCLUDE_COST &&
		(cost >= INCLUDE_COST_MANY || cost >= INCLUDE_PART * whatif->base.cost);
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

	steward_move_begin(search, move);
	n = search->ntouched;
	for (int i = 0; i < n; i++)
	{
		int			number = search->touched[i];

		search->compared[i] = number;
		search->compared_ms[i] = steward_whatif_ms(&advice->whatifs[number],
												   search->visible[number]);
	}
	steward_move_end(search);
	steward_move_begin(search, other);
	for (int i = 0; i < n; i++)
	{
		int			number = search->compared[i];
		StewardWhatif *whatif = &advice->whatifs[number];
		double		saved = steward_whatif_ms(whatif, search->is_touched[number] ?
											  search->visible[number] : whatif->visible) -
			search->compared_ms[i];

		if (saved > 0 && saves_reads(whatif, saved / whatif->ms_per_cost))
			gain += saved;
	}
	steward_move_end(search);
	return gain;
}

/*
 * Are the INCLUDE columns of the index that a move adds worth it, compared to
 * the same index without them?  That may be among the candidates, or be there
 * already.
 */
bool
steward_move_include_pays(StewardSearch *search, const StewardMove *move)
{
	StewardAdvice *advice = search->advice;
	StewardCandidate *candidate = &advice->candidates[move->add[0]];
	StewardMove other = *move;
	double		worth = 0;
	double		gain;

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
	gain = noticeable_gain(search, move, &other);
	if (candidate->plain >= 0)
	{
		double		plain = advice->candidates[candidate->plain].bytes;

		if (gain * plain < GROWTH_SHARE * worth * (candidate->bytes - plain))
			return false;
	}
	return gain >= Max(INCLUDE_FACTOR * search->least, INCLUDE_SHARE * worth);
}

/*
 * Does a move put, in place of a member, an index that is better and costs
 * nothing more, or one that completes its keys?
 */
bool
steward_move_completes(StewardSearch *search, const StewardMove *move)
{
	StewardAdvice *advice = search->advice;
	const StewardCandidate *old = &advice->candidates[move->drop[0]];
	const StewardCandidate *new = &advice->candidates[move->add[0]];

	if (move->gain <= COMPLETE_PART * move->before_ms)
		return false;
	if (new->bytes <= old->bytes && new->write_ms <= old->write_ms &&
		new->index->ncolumns - new->index->nkeys <=
		old->index->ncolumns - old->index->nkeys)
		return true;
	return new->write_ms <= COMPLETE_WRITE * old->write_ms &&
		steward_candidate_completes(advice, move->add[0], move->drop[0]);
}
