/*-------------------------------------------------------------------------
 *
 * n_plus_one_rule.c
 *	  What the groups of repeated statements mean.
 *
 * A child runs for the rows of a parent if groups follow often enough when
 * the parent returns enough rows (trigger rate), and one of these holds:
 * - most groups have an execution for each row;
 * - they have about the same share of the rows each time, as with a client
 *	 that remembers what it has read, or asks only for some of the rows, or
 *	 asks several times;
 * - most groups ran while the parent did;
 * - in total there are as many executions of the child as rows of the parent,
 *	 which also holds where a pooler tears groups apart;
 * - in total there are as many executions of the child as rows of another
 *	 child of the same parent, whose groups these are rows of: the inner loop
 *	 of two, with lists too short to make groups of their own.
 * A parent that only happened to run before has groups of any size, or few,
 * or of one size after few rows as after many.
 *
 * Groups without such a parent are candidates only if they are one piece of
 * work for themselves ("coherent"): connections in use all the time repeat
 * the same few statements without end.  What is repeated the same number of
 * times between two executions of a list is one, too, even if the list has
 * nothing to do with it.
 *
 * Nested statements are never n_plus_one: no round trip can be saved.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "common/int.h"

#include "latency/n_plus_one_rule.h"

/* The numbers of the rule. */
#define MIN_TRIGGER_RATE 0.2
#define MIN_MATCHED 0.5
#define MIN_STEADY_RATIO 0.1
#define MAX_STEADY_RATIO 1.05
#define MIN_STEADY_RATE 0.4
#define MAX_LOOP_PAUSE 5.5		/* mean pause / shortest pause of a group */
#define NO_PAUSE_NS 10000.0		/* mean pause of a pipeline, at most */
#define MAX_REGULAR_DEVIATION2 0.01 /* of executions, by chance none */
#define MIN_REGULAR_RATE 0.8
#define MIN_INNER_AGREEMENT 0.9 /* of executions and rows, either way */
#define MIN_TOTAL_GROUPS 5
#define MIN_TOTAL_RATIO 0.9
#define MAX_TOTAL_RATIO 1.1
#define MAX_TOTAL_DEVIATION2 0.7
#define MIN_COHERENT 0.5
#define MAX_ROWS_PER_EXECUTION 5.0
#define MIN_DISTINCT 0.8
#define MAX_DISTINCT 0.25

/* So many executions are no accident, even if it was only once. */
#define SINGLE_GROUP_MATCHED 20
#define SINGLE_GROUP_COHERENT 50

/* How much a pair tells about its parent. */
typedef enum Evidence
{
	EVIDENCE_NONE,
	EVIDENCE_TOTALS,			/* only the totals agree */
	EVIDENCE_GROUPS,			/* the groups do */
} Evidence;

/* A share, 0 of nothing. */
static double
ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

/*
 * How often the parent was followed by a group, when it returned enough rows.
 */
double
steward_repeat_trigger_rate(const StewardRepeatRow *row)
{
	uint64		calls = row->parent.list_calls > 0 ?
		row->parent.list_calls : row->parent.calls;

	return Min(1, ratio(row->repeat.groups, calls));
}

/*
 * Do groups have the same share of the parent's rows each time, and less
 * variation than by chance?  Pauses are not asked: a busy machine disturbs
 * them, but not numbers.
 */
static bool
is_steady(const StewardRepeatRow *row)
{
	const StewardRepeat *repeat = &row->repeat;
	double		mean = repeat->ratio_sum / repeat->groups;
	double		rate = steward_repeat_trigger_rate(row);

	return mean >= MIN_STEADY_RATIO && mean <= MAX_STEADY_RATIO &&
		rate >= MIN_STEADY_RATE &&
		steward_repeat_deviation2(repeat) <=
		steward_repeat_accident2(rate, repeat->groups) &&
		steward_repeat_grows(repeat);
}

/*
 * Does each row cause several executions?  If the number of rows is always
 * the same, so may be the size of groups of any kind; then several means two
 * or three, each reading next to nothing.
 */
static bool
is_multiple(const StewardRepeatRow *row)
{
	const StewardRepeat *repeat = &row->repeat;
	double		mean = repeat->ratio_sum / repeat->groups;
	double		deviation2 = steward_repeat_deviation2(repeat);

	if (mean <= MAX_STEADY_RATIO || deviation2 > 0.1 ||
		steward_repeat_trigger_rate(row) < 0.8)
		return false;
	if (steward_repeat_lists_vary(repeat))
		return steward_repeat_grows(repeat);
	return deviation2 < 0.001 && mean < 3.5 && fabs(mean - rint(mean)) < 0.01 &&
		ratio(repeat->sum.rows, repeat->executions) <= 2;
}

/*
 * Are the pauses those of a loop?  Where statements come independently, most
 * pauses are much longer than the shortest one of the group.
 */
static bool
has_pauses_of_loop(const StewardRepeat *repeat)
{
	return repeat->sum.pause_ns <= Max(MAX_LOOP_PAUSE * repeat->sum.saved_ns,
									   NO_PAUSE_NS * repeat->executions);
}

/*
 * Are there as many executions as rows in total, in groups that could be
 * pieces of loops?
 */
static bool
totals_agree(const StewardRepeatRow *row)
{
	const StewardRepeat *repeat = &row->repeat;
	double		total = ratio(row->child.calls, row->parent.rows);

	return repeat->groups >= MIN_TOTAL_GROUPS &&
		total >= MIN_TOTAL_RATIO && total <= MAX_TOTAL_RATIO &&
		steward_repeat_deviation2(repeat) <= MAX_TOTAL_DEVIATION2 &&
		has_pauses_of_loop(repeat) &&
		steward_repeat_grows(repeat);
}

/*
 * Is it repeated the same number of times after each execution of the parent?
 */
static bool
is_regular(const StewardRepeatRow *row, int min_groups)
{
	const StewardRepeat *repeat = &row->repeat;

	return repeat->sum.parent != 0 && repeat->groups >= min_groups &&
		steward_repeat_trigger_rate(row) >= MIN_REGULAR_RATE &&
		steward_repeat_executions2(repeat) <= MAX_REGULAR_DEVIATION2;
}

/* What one pair for itself tells. */
static Evidence
evidence_of(const StewardRepeatRow *row, int min_groups)
{
	const StewardRepeat *repeat = &row->repeat;

	if (repeat->sum.parent == 0)
		return EVIDENCE_NONE;
	if (repeat->groups < min_groups &&
		(repeat->matched < repeat->groups ||
		 repeat->max_executions < SINGLE_GROUP_MATCHED) &&
		(repeat->enclosed < repeat->groups ||
		 repeat->max_executions < SINGLE_GROUP_COHERENT))
		return EVIDENCE_NONE;
	if (repeat->enclosed >= MIN_MATCHED * repeat->groups)
		return EVIDENCE_GROUPS;
	if (steward_repeat_trigger_rate(row) < MIN_TRIGGER_RATE)
		return EVIDENCE_NONE;
	if (repeat->matched >= MIN_MATCHED * repeat->groups ||
		is_steady(row) || is_multiple(row))
		return EVIDENCE_GROUPS;
	return totals_agree(row) ? EVIDENCE_TOTALS : EVIDENCE_NONE;
}

/* Share of different values among those looked at; 1 if none were. */
static double
distinct_share(const StewardRepeat *repeat)
{
	return repeat->sum.sampled > 0 ?
		ratio(repeat->sum.distinct, repeat->sum.sampled) : 1;
}

/* Kind of a child whose parent is known. */
static StewardRepeatKind
kind_with_parent(const StewardRepeatRow *row)
{
	const StewardRepeat *repeat = &row->repeat;

	if ((repeat->sum.flags & STEWARD_REPEAT_TABLES) == 0 ||
		(repeat->sum.flags & STEWARD_REPEAT_BATCHED) != 0)
		return STEWARD_REPEAT_NONE;
	if (repeat->sum.command != CMD_SELECT)
		return STEWARD_REPEAT_WRITE;
	if (distinct_share(repeat) <= MAX_DISTINCT)
		return STEWARD_REPEAT_DUPLICATE;
	if (repeat->sum.flags & STEWARD_REPEAT_NESTED)
		return STEWARD_REPEAT_LOOKUP;
	return STEWARD_REPEAT_N_PLUS_ONE;
}

/* Kind of a child without a parent. */
static StewardRepeatKind
kind_alone(const StewardRepeatRow *row, int min_groups)
{
	const StewardRepeat *repeat = &row->repeat;
	double		rows = ratio(repeat->sum.rows, repeat->executions);

	if ((repeat->sum.flags & STEWARD_REPEAT_TABLES) == 0 ||
		(repeat->sum.flags & (STEWARD_REPEAT_BATCHED | STEWARD_REPEAT_LOCKS)) != 0 ||
		repeat->coherent < MIN_COHERENT * repeat->groups ||
		(repeat->groups < min_groups &&
		 repeat->max_executions < SINGLE_GROUP_COHERENT))
		return STEWARD_REPEAT_NONE;
	if (repeat->sum.command != CMD_SELECT)
		return rows <= MAX_ROWS_PER_EXECUTION ?
			STEWARD_REPEAT_WRITE : STEWARD_REPEAT_NONE;
	if (distinct_share(repeat) <= MAX_DISTINCT)
		return STEWARD_REPEAT_DUPLICATE;
	if (distinct_share(repeat) >= MIN_DISTINCT && rows <= MAX_ROWS_PER_EXECUTION)
		return STEWARD_REPEAT_LOOKUP;
	return STEWARD_REPEAT_NONE;
}

/* Order by child, then by number of groups, most first. */
static int
compare_rows(const void *a, const void *b)
{
	const StewardRepeat *ra = &((const StewardRepeatRow *) a)->repeat;
	const StewardRepeat *rb = &((const StewardRepeatRow *) b)->repeat;

	if (ra->sum.database != rb->sum.database)
		return ra->sum.database < rb->sum.database ? -1 : 1;
	if (ra->sum.role != rb->sum.role)
		return ra->sum.role < rb->sum.role ? -1 : 1;
	if (ra->sum.child != rb->sum.child)
		return ra->sum.child < rb->sum.child ? -1 : 1;
	if (ra->groups != rb->groups)
		return ra->groups > rb->groups ? -1 : 1;
	return 0;
}

static bool
same_child(const StewardRepeatRow *a, const StewardRepeatRow *b)
{
	return a->repeat.sum.database == b->repeat.sum.database &&
		a->repeat.sum.role == b->repeat.sum.role &&
		a->repeat.sum.child == b->repeat.sum.child;
}

/* Add the groups of one pair to another one of the same child. */
static void
merge_row(StewardRepeatRow *into, const StewardRepeatRow *row)
{
	StewardRepeat *a = &into->repeat;
	const StewardRepeat *b = &row->repeat;

	a->groups += b->groups;
	a->matched += b->matched;
	a->enclosed += b->enclosed;
	a->coherent += b->coherent;
	a->executions += b->executions;
	a->max_executions = Max(a->max_executions, b->max_executions);
	a->sum.flags |= b->sum.flags;
	a->sum.sampled += b->sum.sampled;
	a->sum.distinct += b->sum.distinct;
	a->sum.rows += b->sum.rows;
	a->sum.time_ns += b->sum.time_ns;
	a->sum.pause_ns += b->sum.pause_ns;
	a->sum.saved_ns += b->sum.saved_ns;
	a->sum.first_seen = Min(a->sum.first_seen, b->sum.first_seen);
	if (b->sum.last_seen > a->sum.last_seen)
	{
		a->sum.last_seen = b->sum.last_seen;
		memcpy(a->sum.application, b->sum.application, NAMEDATALEN);
	}
	for (int i = 0; i < STEWARD_REPEAT_BUCKETS; i++)
		a->buckets[i] = Min(PG_UINT16_MAX, a->buckets[i] + b->buckets[i]);
}

/* A pair and what is known about its parent. */
typedef struct Verdict
{
	Evidence	evidence;
	const StewardRepeatRow *outer;	/* whose child is the parent, or NULL */
} Verdict;

/* Order by parent. */
static int
compare_parents(const void *a, const void *b)
{
	const StewardRepeatGroup *sa = &(*(StewardRepeatRow *const *) a)->repeat.sum;
	const StewardRepeatGroup *sb = &(*(StewardRepeatRow *const *) b)->repeat.sum;

	if (sa->database != sb->database)
		return sa->database < sb->database ? -1 : 1;
	if (sa->role != sb->role)
		return sa->role < sb->role ? -1 : 1;
	if (sa->parent != sb->parent)
		return sa->parent < sb->parent ? -1 : 1;
	return 0;
}

/* Do two numbers agree, but for a tenth? */
static bool
numbers_agree(double a, double b)
{
	return Min(a, b) >= MIN_INNER_AGREEMENT * Max(a, b);
}

/*
 * Is the child of "row" the inner loop of "outer", which has the same parent?
 * Both follow it together, and there is an execution for each row that the
 * child of "outer" returned: in the groups, or in total where executions are
 * missing in the groups, because some came after inner lists that were long
 * enough to have groups.
 */
static bool
is_inner_loop(const StewardRepeatRow *row, const StewardRepeatRow *outer)
{
	uint32		groups = row->repeat.groups;
	uint32		outer_groups = outer->repeat.groups;

	return outer->repeat.sum.child != row->repeat.sum.child &&
		groups >= MIN_MATCHED * outer_groups &&
		outer_groups >= MIN_INNER_AGREEMENT * groups &&
		(numbers_agree(outer->repeat.sum.rows, row->repeat.executions) ||
		 numbers_agree(outer->child.rows, row->child.calls));
}

/*
 * The pair of which the child of "row" is the inner loop, or NULL.  "outers"
 * are ordered by parent.
 */
static const StewardRepeatRow *
find_outer(StewardRepeatRow *row, StewardRepeatRow **outers, int nouters)
{
	int			low = 0;
	int			high = nouters;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (compare_parents(&outers[middle], &row) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < nouters && compare_parents(&outers[low], &row) == 0; low++)
	{
		if (is_inner_loop(row, outers[low]))
			return outers[low];
	}
	return NULL;
}

/*
 * What each pair tells, for itself and next to others of its parent.
 */
static Verdict *
judge_pairs(StewardRepeatRow *rows, int nrows, int min_groups)
{
	Verdict    *verdicts = palloc_extended(mul_size(nrows + 1, sizeof(Verdict)),
										   MCXT_ALLOC_HUGE);
	StewardRepeatRow **outers = palloc_extended(mul_size(nrows + 1,
														 sizeof(StewardRepeatRow *)),
												MCXT_ALLOC_HUGE);
	int			nouters = 0;

	for (int i = 0; i < nrows; i++)
	{
		verdicts[i].evidence = evidence_of(&rows[i], min_groups);
		verdicts[i].outer = NULL;
		if (verdicts[i].evidence == EVIDENCE_GROUPS &&
			kind_with_parent(&rows[i]) == STEWARD_REPEAT_N_PLUS_ONE)
			outers[nouters++] = &rows[i];
	}
	qsort(outers, nouters, sizeof(StewardRepeatRow *), compare_parents);
	for (int i = 0; i < nrows; i++)
	{
		if (verdicts[i].evidence != EVIDENCE_NONE ||
			rows[i].repeat.sum.parent == 0 || rows[i].repeat.groups < min_groups)
			continue;
		verdicts[i].outer = find_outer(&rows[i], outers, nouters);
		if (verdicts[i].outer != NULL)
			verdicts[i].evidence = EVIDENCE_GROUPS;
	}
	pfree(outers);
	return verdicts;
}

/*
 * Name the child of the outer loop as the parent of the inner one.  Its rows
 * are those of all its executions in a group.
 */
static void
set_parent(StewardRepeatRow *row, const StewardRepeatRow *outer)
{
	StewardRepeat *repeat = &row->repeat;

	repeat->sum.parent = outer->repeat.sum.child;
	repeat->parent_rows_sum = ratio(outer->repeat.sum.rows, outer->repeat.groups) *
		repeat->groups;
}

/*
 * Put together what the pairs of one child tell; append what is found.
 * "rows" are sorted, "verdicts" are about them.
 */
static int
judge_child(StewardRepeatRow *rows, const Verdict *verdicts, int nrows,
			int min_groups, StewardRepeatCandidate *candidates)
{
	StewardRepeatRow *rest = NULL;
	uint64		explained = 0;
	int			found = 0;

	for (int i = 0; i < nrows; i++)
	{
		Evidence	evidence = verdicts[i].evidence;

		/* totals agree with one parent, the one with most groups */
		if (evidence == EVIDENCE_GROUPS ||
			(evidence == EVIDENCE_TOTALS && explained == 0))
		{
			explained += rows[i].repeat.groups;
			candidates[found].kind = kind_with_parent(&rows[i]);
			candidates[found].row = rows[i];
			if (verdicts[i].outer != NULL)
				set_parent(&candidates[found].row, verdicts[i].outer);
			if (candidates[found].kind != STEWARD_REPEAT_NONE)
				found++;
		}
		else
		{
			if (is_regular(&rows[i], min_groups))
				rows[i].repeat.coherent = rows[i].repeat.groups;
			if (rest != NULL)
				merge_row(rest, &rows[i]);
			else
			{
				rest = &rows[i];
				rest->repeat.sum.parent = 0;
				rest->repeat.parent_rows_sum = 0;
			}
		}
	}

	/* what is left next to an explanation are its edges */
	if (rest != NULL && 2 * explained < rest->repeat.groups)
	{
		candidates[found].kind = kind_alone(rest, min_groups);
		candidates[found].row = *rest;
		if (candidates[found].kind != STEWARD_REPEAT_NONE)
			found++;
	}
	return found;
}

/*
 * Candidates among the pairs, in the current memory context.  Changes "rows".
 * Pairs with fewer groups than "min_groups" count only if the groups are big.
 */
StewardRepeatCandidate *
steward_repeat_candidates(StewardRepeatRow *rows, int nrows, int min_groups,
						  int *ncandidates)
{
	StewardRepeatCandidate *candidates;
	Verdict    *verdicts;
	int			last;

	*ncandidates = 0;
	/* a child has no more candidates than pairs, and one for the rest */
	candidates = palloc_extended(mul_size(2 * nrows + 1,
										  sizeof(StewardRepeatCandidate)),
								 MCXT_ALLOC_HUGE);
	qsort(rows, nrows, sizeof(StewardRepeatRow), compare_rows);
	verdicts = judge_pairs(rows, nrows, min_groups);
	for (int first = 0; first < nrows; first = last)
	{
		last = first + 1;
		while (last < nrows && same_child(&rows[first], &rows[last]))
			last++;
		*ncandidates += judge_child(&rows[first], &verdicts[first],
									last - first, min_groups,
									&candidates[*ncandidates]);
	}
	pfree(verdicts);
	return candidates;
}
