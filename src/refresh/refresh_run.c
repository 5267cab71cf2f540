/*-------------------------------------------------------------------------
 *
 * refresh_run.c
 *	  Refreshing a materialized view by one of several methods.
 *
 * "diff" compares and writes differences (diff.c), "swap" fills a new table
 * and exchanges it for the old one (swap.c); "plain" and "concurrently" are
 * REFRESH of the server.
 *
 *					lock on the view			costs
 *	diff			ShareUpdateExclusive		the query, a scan, differences
 *	concurrently	Exclusive					the query, a temporary table, a
 *												join with it, differences
 *	swap			ShareUpdateExclusive, then	the query, a new table and
 *					AccessExclusive a moment	indexes, all in WAL
 *	plain			AccessExclusive throughout	the same
 *
 * "auto" is diff wherever that is possible, whatever the share of the rows is
 * that changes: the others cost more, lock out readers, or both, and swap, which
 * is cheaper than diff if most rows change, breaks snapshots that are older and
 * cancels queries of standbys.  Where it would pay, the note says so.  A view
 * without data, which nobody can read, is filled by plain.  One that diff
 * cannot refresh otherwise is refreshed by concurrently, or, without a unique
 * index, by plain.
 *
 * Everything happens in the transaction of the caller.  The view is locked
 * first, then it is noted what "fresh" refers to (freshness.c), then the
 * snapshot is taken.  The query runs as the owner of the view, restricted like
 * REFRESH does it, by every method.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/resource.h>

#include "access/genam.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "executor/spi.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "refresh/diff.h"
#include "refresh/freshness.h"
#include "refresh/matview_lock.h"
#include "refresh/refresh_progress.h"
#include "refresh/refresh_run.h"
#include "refresh/swap.h"

/* Share of changed rows from which on writing all of them is cheaper. */
#define MANY_CHANGES 0.25

/* Rows of a view for which the method makes a difference worth a word. */
#define MANY_ROWS 10000

static const char *const method_names[] = {
	"auto", "diff", "plain", "concurrently", "swap"
};

/* What this process has used up at the beginning. */
typedef struct UsageStart
{
	instr_time	time;
	double		cpu_ms;
	uint64		wal_bytes;
	int64		temp_blocks;
} UsageStart;

/*
 * The method of this name, in any case of letters.  Returns false if there is
 * none.
 */
bool
steward_refresh_parse_method(const char *name, StewardRefreshMethod *method)
{
	for (int i = 0; i < lengthof(method_names); i++)
	{
		if (pg_strcasecmp(name, method_names[i]) == 0)
		{
			*method = i;
			return true;
		}
	}
	return false;
}

/* The name of a method, as users write it. */
const char *
steward_refresh_method_name(StewardRefreshMethod method)
{
	return method_names[method];
}

/* Time that this process has spent on processors, in milliseconds. */
static double
processor_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000.0 +
		(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000.0;
}

/*
 * Blocks that this process, and parallel workers that have ended, wrote to
 * temporary files and temporary tables.
 */
static int64
temp_blocks(void)
{
	return pgBufferUsage.temp_blks_written + pgBufferUsage.local_blks_written;
}

/* Begin to count. */
static void
start_usage(UsageStart *start)
{
	INSTR_TIME_SET_CURRENT(start->time);
	start->cpu_ms = processor_ms();
	start->wal_bytes = pgWalUsage.wal_bytes;
	start->temp_blocks = temp_blocks();
}

/* What was used since then. */
static void
end_usage(const UsageStart *start, StewardRefreshOutcome *outcome)
{
	instr_time	duration;

	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start->time);
	outcome->duration_ms = INSTR_TIME_GET_MILLISEC(duration);
	outcome->cpu_ms = processor_ms() - start->cpu_ms;
	outcome->wal_bytes = (int64) (pgWalUsage.wal_bytes - start->wal_bytes);
	outcome->temp_bytes = (temp_blocks() - start->temp_blocks) * BLCKSZ;
}

/* The name of the view with its schema, quoted. */
static char *
qualified_name(Oid view)
{
	char	   *name = get_rel_name(view);
	char	   *schema = get_namespace_name(get_rel_namespace(view));

	if (name == NULL || schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", view)));
	return quote_qualified_identifier(schema, name);
}

/*
 * Does the view have a unique index of which REFRESH CONCURRENTLY approves: a
 * valid one, over all rows, over plain columns?
 */
static bool
has_unique_index(Oid view)
{
	Relation	relation = relation_open(view, AccessShareLock);
	bool		found = false;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(relation))
	{
		Relation	candidate = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = candidate->rd_index;

		found = form->indisunique && form->indimmediate && form->indisvalid &&
			candidate->rd_rel->relam == BTREE_AM_OID &&
			RelationGetIndexPredicate(candidate) == NIL &&
			RelationGetIndexExpressions(candidate) == NIL;
		index_close(candidate, AccessShareLock);
		if (found)
			break;
	}
	relation_close(relation, AccessShareLock);
	return found;
}

/*
 * Rows that this (sub)transaction has inserted into or deleted from the view,
 * which it has locked; -1 if the server does not count them.
 */
static void
count_in_transaction(Oid view, int64 *ninserted, int64 *ndeleted)
{
	Relation	relation = relation_open(view, AccessShareLock);

	*ninserted = *ndeleted = -1;
	if (pgstat_should_count_relation(relation))
	{
		PgStat_TableXactStatus *trans = relation->pgstat_info->trans;
		bool		mine = trans != NULL &&
			trans->nest_level == GetCurrentTransactionNestLevel();

		*ninserted = mine ? trans->tuples_inserted : 0;
		*ndeleted = mine ? trans->tuples_deleted : 0;
	}
	relation_close(relation, AccessShareLock);
}

/*
 * Let the server refresh the view, which is locked.  Its counters tell what it
 * did, as far as they can: a plain refresh starts them from zero, and does not
 * count what it replaces.
 */
static void
refresh_by_server(Oid view, bool concurrently, StewardRefreshOutcome *outcome)
{
	int64		inserted_before = 0;
	int64		deleted_before = 0;
	char	   *command = psprintf("REFRESH MATERIALIZED VIEW %s%s",
								   concurrently ? "CONCURRENTLY " : "",
								   qualified_name(view));

	if (concurrently)
		count_in_transaction(view, &inserted_before, &deleted_before);
	SPI_connect();
	if (SPI_execute(command, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not execute \"%s\"", command);
	SPI_finish();
	count_in_transaction(view, &outcome->ninserted, &outcome->ndeleted);
	if (!concurrently)
		outcome->ndeleted = -1;
	else if (outcome->ninserted >= 0 && inserted_before >= 0)
	{
		outcome->ninserted -= inserted_before;
		outcome->ndeleted -= deleted_before;
	}
}

/* Refresh the view, which is locked, by difference. */
static void
refresh_by_diff(Oid view, StewardRefreshOutcome *outcome)
{
	StewardDiffResult diff;

	steward_diff_refresh(view, &diff);
	outcome->ninserted = diff.ninserted;
	outcome->ndeleted = diff.ndeleted;
	outcome->nupdated = diff.nupdated;
	outcome->nunchanged = diff.nunchanged;
}

/* Does the view have content, without looking at it under a lock? */
bool
steward_refresh_is_populated(Oid view)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
	bool		populated = false;

	if (HeapTupleIsValid(tuple))
	{
		populated = ((Form_pg_class) GETSTRUCT(tuple))->relispopulated;
		ReleaseSysCache(tuple);
	}
	return populated;
}

/* What "auto" means for this view; the note says why it is not diff. */
static StewardRefreshMethod
choose_method(Oid view, char **note)
{
	const char *obstacle = steward_diff_obstacle(view);
	StewardRefreshMethod method;

	if (obstacle == NULL)
		return STEWARD_REFRESH_DIFF;
	if (steward_refresh_is_populated(view) && has_unique_index(view))
		method = STEWARD_REFRESH_CONCURRENTLY;
	else
		method = STEWARD_REFRESH_PLAIN;
	*note = psprintf("not refreshed by difference because %s", obstacle);
	ereport(NOTICE,
			(errmsg("materialized view \"%s\" is refreshed by method \"%s\"",
					get_rel_name(view), method_names[method]),
			 errdetail("This is because %s.", obstacle)));
	return method;
}

/* Lock the view as the method needs it, before its snapshot. */
static void
lock_view(Oid view, StewardRefreshMethod method)
{
	if (method == STEWARD_REFRESH_PLAIN)
		steward_matview_lock_exclusive(view, NIL, LockTimeout);
	else
		steward_matview_lock(view, method == STEWARD_REFRESH_CONCURRENTLY ?
							 ExclusiveLock : ShareUpdateExclusiveLock);
}

/* Do it, by a method that is not auto. */
static void
refresh_by_method(Oid view, bool assume_deterministic,
				  StewardRefreshOutcome *outcome)
{
	steward_refresh_progress_method(outcome->method);
	steward_refresh_progress_phase(STEWARD_REFRESH_PHASE_LOCK);
	lock_view(view, outcome->method);
	steward_freshness_mark(view, assume_deterministic);
	switch (outcome->method)
	{
		case STEWARD_REFRESH_DIFF:
			refresh_by_diff(view, outcome);
			break;
		case STEWARD_REFRESH_SWAP:
			outcome->ninserted = steward_swap_refresh(view, &outcome->note);
			outcome->ndeleted = -1;
			break;
		default:
			steward_refresh_progress_phase(STEWARD_REFRESH_PHASE_SERVER);
			refresh_by_server(view,
							  outcome->method == STEWARD_REFRESH_CONCURRENTLY,
							  outcome);
			break;
	}
}

/*
 * After a refresh by difference that was ours to choose: say that another
 * method would be cheaper, where that matters.
 */
static void
recommend_swap(double delta_ratio, StewardRefreshOutcome *outcome)
{
	int64		nrows = outcome->ninserted + outcome->nupdated +
		outcome->nunchanged;

	if (delta_ratio >= MANY_CHANGES && nrows >= MANY_ROWS)
		outcome->note = psprintf("%.0f %% of the rows change from one refresh to the next: method \"swap\" would cost less, if it may lock the view for a moment",
								 Min(delta_ratio, 1.0) * 100);
}

/* The refresh is over, also by an error or the end of the process. */
static void
end_progress(int code, Datum previous)
{
	steward_refresh_progress_end(DatumGetInt32(previous));
}

/*
 * Refresh a materialized view in the current transaction, which keeps its lock
 * on the view.  The user needs the right to; delta_ratio is the share of rows
 * that a refresh of this view changes as a rule, negative if not known.
 * Raises an error, and changes nothing, if the user may not, the method cannot
 * refresh the view, a lock is not granted in time, or the query fails.
 */
void
steward_refresh_run(Oid view, StewardRefreshMethod method, double delta_ratio,
					bool assume_deterministic, StewardRefreshOutcome *outcome)
{
	UsageStart	start;
	int			previous;

	memset(outcome, 0, sizeof(*outcome));
	outcome->nupdated = outcome->nunchanged = -1;
	steward_matview_check(view);
	start_usage(&start);

	previous = steward_refresh_progress_begin(view, method);
	PG_ENSURE_ERROR_CLEANUP(end_progress, Int32GetDatum(previous));
	{
		outcome->method = method;
		if (method == STEWARD_REFRESH_AUTO)
			outcome->method = choose_method(view, &outcome->note);
		refresh_by_method(view, assume_deterministic, outcome);
		if (method == STEWARD_REFRESH_AUTO &&
			outcome->method == STEWARD_REFRESH_DIFF)
			recommend_swap(delta_ratio, outcome);
	}
	PG_END_ENSURE_ERROR_CLEANUP(end_progress, Int32GetDatum(previous));
	steward_refresh_progress_end(previous);
	end_usage(&start, outcome);
}
