/*-------------------------------------------------------------------------
 *
 * advice.c
 *	  One run of the index advisor, from the workload to the indexes chosen.
 *
 * 1. Each statement is analyzed and planned as things are, and brings its
 *    candidates (candidates.c).
 * 2. Costs become milliseconds: a unit of the planner's cost takes as long as
 *    it took this statement on average, within limits around what is typical
 *    of the workload, since a mean may hide waits for locks.
 * 3. Each statement that could gain is planned with its candidates (explore.c),
 *    and then with what turned out best for others, or was derived from that
 *    (pool.c).
 * 4. The best set is searched for (choose.c), minding writes (write_cost.c).
 *    Statements that were not planned with what was chosen, and what might be
 *    better in its place, are planned with that, and the search goes on.
 * 5. The whole workload is planned once more with that set.  What no plan uses
 *    is taken out, and so is what gains too little after all; repeated while
 *    something changes.
 *
 * A run has a deadline.  Each step that asks the planner may do so up to a
 * share of the time, statements with most time first, and leaves the rest to
 * later steps; so what was found by then is chosen from, with a tenth of the
 * time at least even if one question took longer than all of it.  The first
 * statement is always looked at.  Whatever was cut short is told by
 * advice->late.  How far a run is can be seen by other sessions (progress.c).
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "advisor/move.h"
#include "advisor/progress.h"

/* ms of one unit of cost, if no statement tells: a warm cache, 2020s CPU */
#define UNIT_MS_DEFAULT 0.004

/* How far a statement may deviate from what is typical. */
#define UNIT_MS_SPREAD 10.0

/*
 * LIMIT does not matter if a statement takes so many times as long as it would
 * with it; then this many rows are taken for its value.
 */
#define END_FACTOR 2.0
#define END_ROWS 1e6

/* Shares of the time until the deadline, by which steps have to be over. */
#define COLLECT_SHARE 0.3
#define EXPLORE_SHARE 0.55
#define EXTEND_SHARE 0.65
#define REFINE_SHARE 0.8

/* Share of that time which the choice has in any case. */
#define CHOOSE_SHARE 0.1

/* Rounds of verification, at most. */
#define MAX_ROUNDS 4

/* A chosen index may gain this share of the least gain after verification. */
#define VERIFIED_SHARE 0.5

/* A statement's mean time for one unit of cost, to find the median. */
typedef struct UnitSample
{
	double		unit;
	double		weight;
} UnitSample;

/*
 * An empty run over a workload.  Limits: bytes (infinite for none), number of
 * indexes, share of the workload's time that an index must gain.
 */
StewardAdvice *
steward_advice_create(StewardWorkload *workload, double max_bytes,
					  int max_indexes, double min_gain, TimestampTz deadline)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "pg_steward index advice",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	StewardAdvice *advice = palloc0(sizeof(StewardAdvice));

	advice->context = context;
	advice->workload = workload;
	advice->sizes = steward_size_cache_create();
	advice->max_bytes = max_bytes;
	advice->max_indexes = max_indexes;
	advice->min_gain = min_gain;
	advice->started = GetCurrentTimestamp();
	advice->deadline = deadline;
	advice->whatifs = palloc_extended(Max(workload->nstatements, 1) * sizeof(StewardWhatif),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	MemoryContextSwitchTo(old);
	return advice;
}

/*
 * Is the time up?
 */
bool
steward_advice_late(StewardAdvice *advice)
{
	if (GetCurrentTimestamp() < advice->deadline)
		return false;
	advice->late = true;
	return true;
}

/* When this share of the time until the deadline is over. */
static TimestampTz
time_of(const StewardAdvice *advice, double share)
{
	return advice->started +
		(TimestampTz) ((double) (advice->deadline - advice->started) * share);
}

/* Is there no time left for a step that has to be over by then? */
static bool
step_is_late(StewardAdvice *advice, TimestampTz end)
{
	if (GetCurrentTimestamp() < end)
		return false;
	advice->late = true;
	return true;
}

/*
 * Do something in a subtransaction that is rolled back, so that locks it takes
 * are released.  False if it could not get one in time; other errors are
 * raised.  Memory that outlives it has to be allocated in a context that does.
 */
bool
steward_advice_apart(StewardWork work, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
	return error == NULL;
}

/* Argument of define(). */
typedef struct Definition
{
	const StewardIndex *index;
	MemoryContext context;
	char	   *text;
} Definition;

/* The command that creates an index, with the locks that takes. */
static void
define(void *arg)
{
	Definition *it = arg;
	MemoryContext old;

	LockRelationOid(it->index->relid, AccessShareLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(it->index->relid)))
		return;
	(void) find_all_inheritors(it->index->relid, AccessShareLock, NULL);
	old = MemoryContextSwitchTo(it->context);
	it->text = steward_index_definition(it->index, true);
	MemoryContextSwitchTo(old);
}

/*
 * The command that creates an index; instead of it words if its table is locked
 * or gone.  In the current memory context.
 */
char *
steward_advice_definition(const StewardIndex *index)
{
	Definition	definition = {index, CurrentMemoryContext};

	if (!steward_advice_apart(define, &definition))
		return "skipped: the table is locked";
	return definition.text ? definition.text : "skipped: the table was dropped";
}

/*
 * First visit of each statement: its candidates.
 */
static void
collect(StewardAdvice *advice)
{
	StewardWorkload *workload = advice->workload;
	TimestampTz end = time_of(advice, COLLECT_SHARE);

	for (int i = 0; i < workload->nstatements; i++)
	{
		StewardStatement *statement = &workload->statements[i];
		StewardWhatif *whatif = &advice->whatifs[advice->nwhatifs];
		StewardWhatifVisit visit = {advice, whatif};

		steward_progress_note(STEWARD_PHASE_COLLECT, i, workload->nstatements, 0);
		if (advice->nwhatifs > 0 && step_is_late(advice, end))
		{
			if (!statement->skipped)
				statement->skipped = "the deadline came first";
			continue;
		}
		if (steward_statement_visit(workload, statement,
									steward_whatif_collect, &visit))
		{
			whatif->statement = statement;
			advice->nwhatifs++;
		}
		else
			memset(whatif, 0, sizeof(StewardWhatif));
	}
}

/* Order of samples. */
static int
compare_units(const void *a, const void *b)
{
	double		x = ((const UnitSample *) a)->unit;
	double		y = ((const UnitSample *) b)->unit;

	return x < y ? -1 : x > y;
}

/*
 * Time of one unit of cost that is typical of the workload: the median,
 * weighted by time.
 */
static double
typical_unit(StewardAdvice *advice)
{
	UnitSample *samples = palloc_extended(Max(advice->nwhatifs, 1) * sizeof(UnitSample),
										  MCXT_ALLOC_HUGE);
	double		weight = 0;
	double		passed = 0;
	double		result = UNIT_MS_DEFAULT;
	int			n = 0;

	for (int i = 0; i < advice->nwhatifs; i++)
	{
		StewardWhatif *whatif = &advice->whatifs[i];

		if (whatif->statement->total_ms > 0 && whatif->statement->calls > 0 &&
			whatif->base.cost > 0)
		{
			samples[n].weight = whatif->statement->total_ms;
			samples[n].unit = whatif->statement->total_ms /
				whatif->statement->calls / whatif->base.cost;
			weight += samples[n++].weight;
		}
	}
	if (n > 0)
		qsort(samples, n, sizeof(UnitSample), compare_units);
	for (int i = 0; i < n; i++)
	{
		passed += samples[i].weight;
		result = samples[i].unit;
		if (passed >= weight / 2)
			break;
	}
	pfree(samples);
	return result;
}

/*
 * Turn costs into time.  Where LIMIT may end a plan early, the time that was
 * measured tells which cost between the planner's and that of the whole plan
 * is right; if it is close to the latter, too few rows are found for LIMIT to
 * matter.
 */
static void
measure(StewardAdvice *advice)
{
	advice->unit_ms = typical_unit(advice);
	for (int i = 0; i < advice->nwhatifs; i++)
	{
		StewardWhatif *whatif = &advice->whatifs[i];
		double		unit = advice->unit_ms;

		if (whatif->statement->total_ms > 0 && whatif->statement->calls > 0)
		{
			double		mean = whatif->statement->total_ms / whatif->statement->calls;
			double		least = whatif->base.cost;

			whatif->base.cost = Min(Max(mean / advice->unit_ms, least),
									Max(whatif->worst, least));
			if (whatif->base.cost > END_FACTOR * least &&
				whatif->base.cost > sqrt(least * whatif->worst))
			{
				whatif->runs_to_end = true;
				whatif->rows = END_ROWS;
			}
			unit = mean / Max(whatif->base.cost, 1e-3);
			unit = Min(Max(unit, advice->unit_ms / UNIT_MS_SPREAD),
					   advice->unit_ms * UNIT_MS_SPREAD);
		}
		whatif->ms_per_cost = unit * whatif->statement->calls;
		whatif->base_ms = whatif->base.cost * whatif->ms_per_cost;
		advice->total_ms += whatif->base_ms;
	}
}

/*
 * Second visit of those statements that have candidates.
 */
static void
explore(StewardAdvice *advice)
{
	TimestampTz end = time_of(advice, EXPLORE_SHARE);
	int			explored = 0;

	for (int i = 0; i < advice->nwhatifs; i++)
	{
		StewardWhatif *whatif = &advice->whatifs[i];
		StewardWhatifVisit visit = {advice, whatif};

		steward_progress_note(STEWARD_PHASE_EXPLORE, i, advice->nwhatifs, 0);
		if (whatif->groups == NIL)
			continue;
		if (explored++ > 0 && step_is_late(advice, end))
			break;
		(void) steward_statement_visit(advice->workload, whatif->statement,
									   steward_whatif_explore, &visit);
	}
}

/*
 * Third visit, of those for which there are candidates of others; until then.
 */
static void
extend(StewardAdvice *advice, TimestampTz end)
{
	for (int i = 0; i < advice->nwhatifs; i++)
	{
		StewardWhatif *whatif = &advice->whatifs[i];
		StewardWhatifVisit visit = {advice, whatif, whatif->nlocal};

		steward_progress_note(STEWARD_PHASE_EXTEND, i, advice->nwhatifs,
							  advice->nchosen);
		if (step_is_late(advice, end))
			break;
		if (steward_whatif_wants_more(advice, whatif))
			(void) steward_statement_visit(advice->workload, whatif->statement,
										   steward_whatif_extend, &visit);
	}
}

/* Find the candidate that is this one with fewer INCLUDE columns, or -1. */
static int
find_plain(StewardAdvice *advice, int candidate)
{
	StewardIndex *index = advice->candidates[candidate].index;
	int			best = -1;
	int			best_columns = index->ncolumns;

	if (index->ncolumns == index->nkeys)
		return -1;
	for (int i = steward_pool_first(advice, index->relid); i >= 0;
		 i = advice->candidates[i].next)
	{
		StewardIndex *other = advice->candidates[i].index;

		if (other->nkeys == index->nkeys && other->ncolumns < best_columns &&
			advice->candidates[i].nusers > 0 && steward_index_covers(index, other))
		{
			best = i;
			best_columns = other->ncolumns;
		}
	}
	return best;
}

/*
 * Let candidates know the statements that may use them, and each other.
 */
void
steward_advice_link_users(StewardAdvice *advice)
{
	for (int i = 0; i < advice->ncandidates; i++)
		advice->candidates[i].nusers = 0;
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < advice->nwhatifs; i++)
		{
			StewardWhatif *whatif = &advice->whatifs[i];

			for (int k = 0; k < whatif->nlocal && whatif->nconfigs > 1; k++)
			{
				StewardCandidate *candidate =
				&advice->candidates[whatif->local[k]];

				if (pass == 1)
					candidate->users[candidate->nusers] = (StewardUser) {i, k};
				candidate->nusers++;
			}
		}
		for (int i = 0; i < advice->ncandidates && pass == 0; i++)
		{
			StewardCandidate *candidate = &advice->candidates[i];

			candidate->users = candidate->nusers == 0 ? NULL :
				MemoryContextAlloc(advice->context,
								   candidate->nusers * sizeof(StewardUser));
			candidate->nusers = 0;
		}
	}
	for (int i = 0; i < advice->ncandidates; i++)
		advice->candidates[i].plain = find_plain(advice, i);
}

/*
 * Last visit of the statements that concern chosen indexes.  For those that
 * time does not suffice for, what is known of them has to do.
 */
static void
verify(StewardAdvice *advice)
{
	for (int i = 0; i < advice->nwhatifs; i++)
	{
		StewardWhatif *whatif = &advice->whatifs[i];
		StewardWhatifVisit visit = {advice, whatif};

		steward_progress_note(STEWARD_PHASE_VERIFY, i, advice->nwhatifs,
							  advice->nchosen);
		if (whatif->groups == NIL)
			continue;
		if (steward_advice_late(advice))
			steward_whatif_conclude(advice, whatif);
		else
			(void) steward_statement_visit(advice->workload, whatif->statement,
										   steward_whatif_verify, &visit);
	}
	steward_advice_link_users(advice);
}

/*
 * Take out what no plan uses or what gains too little; true if there was
 * something.
 */
static bool
remove_useless(StewardAdvice *advice)
{
	bool		removed = false;
	bool	   *used = palloc0(Max(advice->ncandidates, 1) * sizeof(bool));
	StewardSearch *search = steward_search_create(advice);
	ListCell   *lc;

	search->least *= VERIFIED_SHARE;
	for (int i = 0; i < advice->nwhatifs; i++)
	{
		foreach(lc, advice->whatifs[i].chosen_used)
			used[lfirst_int(lc)] = true;
	}

	for (int i = advice->nchosen - 1; i >= 0; i--)
	{
		int			candidate = advice->chosen[i];

		if (used[candidate] && steward_choose_pays(search, candidate))
			continue;
		steward_choose_drop(search, candidate);
		removed = true;
	}
	return removed;
}

/*
 * Ask statements about what was chosen, and what might complete it, and choose
 * again, starting there.  False if nothing changed.
 */
static bool
refine(StewardAdvice *advice)
{
	int			nbefore = advice->nchosen;
	bool		changed;
	TimestampTz end = time_of(advice, REFINE_SHARE);

	if (nbefore == 0 || step_is_late(advice, end))
		return false;
	steward_choose_mark(advice);
	extend(advice, end);
	steward_advice_link_users(advice);
	steward_choose(advice);

	changed = advice->nchosen != nbefore;
	for (int i = 0; i < advice->nchosen; i++)
		changed |= !advice->candidates[advice->chosen[i]].refined;
	return changed;
}

/*
 * However long the planner took, the choice has some time.
 */
static void
leave_time_to_choose(StewardAdvice *advice)
{
	TimestampTz least = GetCurrentTimestamp() +
		(time_of(advice, CHOOSE_SHARE) - advice->started);

	advice->deadline = Max(advice->deadline, least);
}

/* All steps of a run. */
static void
run_steps(StewardAdvice *advice)
{
	MemoryContext scratch = AllocSetContextCreate(advice->context,
												  "pg_steward index choice",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	collect(advice);
	measure(advice);
	explore(advice);
	steward_pool_derive(advice);
	extend(advice, time_of(advice, EXTEND_SHARE));
	steward_write_cost_load(advice);
	steward_advice_link_users(advice);
	advice->chosen = MemoryContextAlloc(advice->context,
										Max(advice->ncandidates, 1) * sizeof(int));
	steward_progress_note(STEWARD_PHASE_CHOOSE, 0, advice->nwhatifs, 0);
	leave_time_to_choose(advice);
	steward_choose(advice);
	for (int round = 0; round < MAX_ROUNDS && refine(advice); round++)
		 /* again, around what was chosen now */ ;
	ereport(DEBUG1, (errmsg_internal("index advisor: %d indexes chosen",
									 advice->nchosen)));
	for (int round = 0; round < MAX_ROUNDS && advice->nchosen > 0; round++)
	{
		verify(advice);
		if (!remove_useless(advice))
			break;
	}
	steward_choose_order(advice);

	for (int i = 0; i < advice->nwhatifs; i++)
		advice->nplans += advice->whatifs[i].nplans;
	ereport(DEBUG1,
			(errmsg_internal("index advisor: %d candidates, " INT64_FORMAT " plans of %d statements",
							 advice->ncandidates, advice->nplans, advice->nwhatifs)));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

/*
 * Run.  To be called inside a query section.  The result is in
 * advice->chosen, and lives as long as the current memory context.
 */
void
steward_advice_run(StewardAdvice *advice)
{
	steward_progress_begin();
	PG_TRY();
	{
		run_steps(advice);
	}
	PG_FINALLY();
	{
		steward_progress_end();
	}
	PG_END_TRY();
}
