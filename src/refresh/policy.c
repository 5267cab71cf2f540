/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  What the background worker reads and writes of policies.
 *
 * A policy is a row of steward.matview_policy, written by users (policy_api.c)
 * and read here.  What became of it is a row of steward.matview_state, written
 * here and by resuming.  They are two tables so that a user who holds a lock on
 * his policy in an open transaction does not keep the worker from noting a
 * result.  Nothing of the state must be lost for the schedule to work: where
 * there is no row, nothing has happened yet.
 *
 * The view of a policy is stored twice, by number and by name.  In a running
 * database the number counts, and the name is brought up to date when the view
 * or its schema was renamed.  In a restored one there are names only, from
 * which a trigger finds numbers; views that a dump creates behind the data
 * (those that depend on a primary key, for example) are looked for again at
 * each load.  Where a number no longer exists the view was dropped in a way
 * that policy_change.c did not see, and its rows are removed.
 *
 * Each function runs in a transaction of the caller.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "base/guc.h"
#include "refresh/policy.h"
#include "refresh/policy_read.h"
#include "refresh/policy_table.h"

/* Weight of the latest refresh in the average share of changed rows. */
#define DELTA_WEIGHT "0.3"

/* Good refreshes of which the typical duration is made. */
#define TYPICAL_RUNS "20"

/* Rows of the history that one result may remove. */
#define PRUNE_ROWS "1000"

/* Rows of the history that one view may have, and how often that is checked. */
#define MAX_ROWS_OF_VIEW "10000"
#define PRUNE_EVERY 100

/* How long a table that is locked is waited for, and how often it is tried. */
#define LOCK_WAIT_MS 1000
#define LOCK_STEP_MS 50

/* Bytes of an error message that are kept. */
#define MAX_ERROR_BYTES 1000

/*
 * Is a number or name out of date, or something left of a view that is gone?
 */
static bool
views_moved(void)
{
	return steward_policy_table_select(STEWARD_SELECT "1"
									   " FROM steward.matview_policy p"
									   "      LEFT JOIN pg_class c ON c.oid = p.matview AND c.relkind = 'm'"
									   "      LEFT JOIN pg_namespace n ON n.oid = c.relnamespace"
									   " WHERE c.oid IS NULL"
									   "    OR p.matview_name IS DISTINCT FROM format('%I.%I', n.nspname, c.relname)"
									   " UNION ALL"
									   " SELECT 1"
									   "  FROM steward.matview_state s"
									   " WHERE NOT EXISTS (SELECT FROM steward.matview_policy p WHERE p.matview = s.matview)"
									   " LIMIT 1", 0, NULL) > 0;
}

/*
 * Bring numbers and names of views up to date, and remove what belongs to
 * views that are gone.  In an open section, but not on a standby.  Rows that
 * somebody has locked, who may keep his transaction open for long, are left
 * for the next time.
 */
void
steward_policy_follow_views(void)
{
	if (!views_moved())
		return;
	steward_policy_table_write("UPDATE steward.matview_policy p"
							   "   SET matview_name = m.name"
							   "  FROM (SELECT f.ctid, format('%I.%I', n.nspname, c.relname) AS name"
							   "          FROM steward.matview_policy f"
							   "               JOIN pg_class c ON c.oid = f.matview AND c.relkind = 'm'"
							   "               JOIN pg_namespace n ON n.oid = c.relnamespace"
							   "         WHERE f.matview_name IS DISTINCT FROM format('%I.%I', n.nspname, c.relname)"
							   "           FOR UPDATE OF f SKIP LOCKED) m"
							   " WHERE p.ctid = m.ctid",
							   0, NULL);
	steward_policy_table_write("DELETE FROM steward.matview_policy p"
							   " WHERE p.ctid = ANY (ARRAY(SELECT f.ctid FROM steward.matview_policy f"
							   "                            WHERE f.matview IS NOT NULL"
							   "                              AND NOT EXISTS (SELECT FROM pg_class c"
							   "                                               WHERE c.oid = f.matview AND c.relkind = 'm')"
							   "                              FOR UPDATE SKIP LOCKED))",
							   0, NULL);
	/* two rows may wait for one view */
	steward_policy_table_write("UPDATE steward.matview_policy p"
							   "   SET matview = c.oid"
							   "  FROM (SELECT DISTINCT ON (f.oid) f.oid, w.ctid"
							   "          FROM steward.matview_policy w"
							   "               JOIN pg_class f ON f.oid = to_regclass(w.matview_name) AND f.relkind = 'm'"
							   "         WHERE w.matview IS NULL) c"
							   " WHERE p.ctid = c.ctid"
							   "   AND NOT EXISTS (SELECT FROM steward.matview_policy o WHERE o.matview = c.oid)"
							   "   AND p.ctid = ANY (ARRAY(SELECT f.ctid FROM steward.matview_policy f"
							   "                            WHERE f.matview IS NULL FOR UPDATE SKIP LOCKED))",
							   0, NULL);
	steward_policy_table_write("DELETE FROM steward.matview_state s"
							   " WHERE s.ctid = ANY (ARRAY(SELECT f.ctid FROM steward.matview_state f"
							   "                            WHERE NOT EXISTS (SELECT FROM steward.matview_policy p"
							   "                                               WHERE p.matview = f.matview)"
							   "                              FOR UPDATE SKIP LOCKED))",
							   0, NULL);
}

/*
 * The policies of this database with their state, a list of StewardPolicy in
 * the current memory context; NIL if it does not have the extension.
 */
List *
steward_policy_load(void)
{
	MemoryContext context = CurrentMemoryContext;
	StewardTableScope scope;
	List	   *policies = NIL;
	uint64		nrows;

	if (!steward_policy_table_begin(&scope))
		return NIL;
	if (!RecoveryInProgress())
	{
		steward_policy_follow_views();
		/* what that wrote is to be read */
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
	}
	nrows = steward_policy_select(InvalidOid);
	for (uint64 row = 0; row < nrows; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		policies = lappend(policies, steward_policy_row(row));
		MemoryContextSwitchTo(old);
	}
	steward_policy_table_end(&scope);
	return policies;
}

/*
 * Lock one of our tables for writing; false if somebody has locked it and does
 * not let go of it soon.
 */
static bool
lock_table(const char *name)
{
	Oid			table = get_relname_relid(name,
										  get_namespace_oid("steward", false));

	for (int waited = 0; !ConditionalLockRelationOid(table, RowExclusiveLock);
		 waited += LOCK_STEP_MS)
	{
		if (waited >= LOCK_WAIT_MS)
			return false;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOCK_STEP_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

/*
 * Lock the state of a view; false if somebody else has it locked, who may keep
 * his transaction open for long.  In an open section.
 */
static bool
lock_state(Oid view)
{
	StewardArg	args[1];

	if (!lock_table("matview_state"))
		return false;
	args[0] = steward_arg_oid(view);
	return steward_policy_table_write("SELECT 1 FROM steward.matview_state"
									  " WHERE matview = $1 FOR UPDATE SKIP LOCKED",
									  1, args) > 0 ||
		steward_policy_table_write("SELECT 1 FROM steward.matview_state"
								   " WHERE matview = $1", 1, args) == 0;
}

/*
 * Note that a refresh starts.  A moment that is still there at the next load
 * is of a refresh that found no end.  False, with nothing noted, if somebody
 * has the state of the view locked, as by an open transaction that resumed it.
 */
bool
steward_policy_started(Oid view)
{
	StewardTableScope scope;
	StewardArg	args[2];
	bool		locked;

	if (!steward_policy_table_begin(&scope))
		return true;
	args[0] = steward_arg_oid(view);
	args[1] = steward_arg_time(GetCurrentTimestamp());
	locked = lock_state(view);
	if (locked)
		steward_policy_table_write("INSERT INTO steward.matview_state AS s (matview, running_since, last_attempt)"
								   " SELECT p.matview, $2, $2 FROM steward.matview_policy p WHERE p.matview = $1"
								   " ON CONFLICT (matview) DO UPDATE"
								   " SET running_since = excluded.running_since, last_attempt = excluded.last_attempt",
								   2, args);
	steward_policy_table_end(&scope);
	return locked;
}

/* Rows changed by a refresh, -1 if that is not known. */
static int64
rows_changed(const StewardRefreshOutcome *result)
{
	if (result->ninserted < 0 || result->ndeleted < 0)
		return -1;
	return result->ninserted + result->ndeleted + Max(result->nupdated, 0);
}

/*
 * Share of the rows that a refresh changed, 0 to 1, or -1 if that is not known.
 * A row that was deleted and one that was inserted are one row changed.
 */
static double
changed_ratio(const StewardRefreshOutcome *result)
{
	int64		changed;
	int64		total;

	if (result->nunchanged < 0 || rows_changed(result) < 0)
		return -1;
	changed = Max(result->ninserted, result->ndeleted) +
		Max(result->nupdated, 0);
	total = result->nunchanged + changed;
	return total > 0 ? (double) changed / (double) total : 0;
}

/* To microseconds: more is noise. */
static double
round_ms(double ms)
{
	return rint(ms * 1000) / 1000;
}

/* An error's message as a value, cut at the end of a character. */
static StewardArg
error_arg(const char *error)
{
	int			length;

	if (error == NULL)
		return steward_arg_text(NULL);
	length = pg_mbcliplen(error, (int) strlen(error), MAX_ERROR_BYTES);
	return steward_arg_text(pnstrdup(error, length));
}

/* The statement that notes a good refresh, with a typical duration. */
#define SUCCESS_SQL(typical) \
	"UPDATE steward.matview_state" \
	"   SET last_ok = $2, last_attempt = $2, last_method = $3," \
	"       last_duration_ms = $4, last_rows_changed = $5," \
	"       delta_ratio = coalesce(delta_ratio + " DELTA_WEIGHT " * ($6 - delta_ratio), $6, delta_ratio)," \
	"       typical_duration_ms = " typical "," \
	"       last_wal_bytes = $7, consecutive_failures = 0, crash_count = 0," \
	"       last_error = NULL, last_sqlstate = NULL, not_before = NULL," \
	"       suspended = NULL, running_since = NULL, skips = 0" \
	" WHERE matview = $1"

/*
 * The state after a good refresh, whose history is written, unless that is
 * locked.  The typical duration is the one that nine of ten of the latest ones
 * kept, interpolated as percentile_cont() does it.
 */
static void
write_success(Oid view, const StewardRun *run, bool has_history)
{
	double		ratio = changed_ratio(&run->result);
	StewardArg	args[7];

	args[0] = steward_arg_oid(view);
	args[1] = steward_arg_time(run->started);
	args[2] = steward_arg_text(steward_refresh_method_name(run->result.method));
	args[3] = steward_arg_float8(round_ms(run->result.duration_ms));
	args[4] = steward_arg_count(rows_changed(&run->result));
	args[5] = steward_arg_float8(ratio);
	args[5].isnull = ratio < 0;
	args[6] = steward_arg_count(run->result.wal_bytes);
	steward_policy_table_write(has_history ?
							   SUCCESS_SQL("(SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY r.duration_ms)"
										   "   FROM (SELECT h.duration_ms FROM steward.matview_refresh_history h"
										   "          WHERE h.matview = $1 AND h.outcome IN ('ok', 'verified_equal')"
										   "          ORDER BY h.id DESC LIMIT " TYPICAL_RUNS ") r)") :
							   SUCCESS_SQL("coalesce(typical_duration_ms, $4)"),
							   7, args);
}

/* The state after any other one. */
static void
write_failure(Oid view, const StewardRun *run)
{
	StewardArg	args[8];

	args[0] = steward_arg_oid(view);
	args[1] = steward_arg_time(run->started);
	args[2] = steward_arg_int64(run->consecutive_failures);
	args[3] = steward_arg_int64(run->crash_count);
	args[4] = error_arg(run->error);
	args[5] = steward_arg_text(run->sqlstate);
	args[6] = steward_arg_time(run->not_before);
	args[7] = steward_arg_text(run->suspended);
	steward_policy_table_write("UPDATE steward.matview_state"
							   "   SET last_attempt = $2, consecutive_failures = $3, crash_count = $4,"
							   "       last_error = $5, last_sqlstate = $6, not_before = $7,"
							   "       suspended = $8, running_since = NULL"
							   " WHERE matview = $1", 8, args);
}

/*
 * Add the run to the history.  Returns the number of its row, -1 if there is no
 * policy any more.
 */
static int64
write_history(Oid view, const StewardRun *run, bool good)
{
	const StewardRefreshOutcome *result = &run->result;
	TimestampTz now = GetCurrentTimestamp();
	StewardArg	args[14];
	bool		isnull;

	args[0] = steward_arg_oid(view);
	args[1] = steward_arg_time(run->started);
	args[2] = steward_arg_time(now);
	args[3] = steward_arg_text(good ? steward_refresh_method_name(result->method) : NULL);
	args[4] = steward_arg_text(run->outcome);
	args[5] = steward_arg_count(good ? result->ninserted : -1);
	args[6] = steward_arg_count(good ? result->ndeleted : -1);
	args[7] = steward_arg_count(good ? result->nupdated : -1);
	args[8] = steward_arg_count(good ? result->wal_bytes : -1);
	args[9] = steward_arg_count(good ? result->temp_bytes : -1);
	args[10] = steward_arg_float8(round_ms(result->cpu_ms));
	args[10].isnull = !good;
	args[11] = steward_arg_float8(good ? round_ms(result->duration_ms) :
								  (double) Max(now - run->started, 0) / 1000.0);
	args[12] = steward_arg_text(run->sqlstate);
	args[13] = error_arg(run->error);
	if (steward_policy_table_write("INSERT INTO steward.matview_refresh_history"
							   " (matview, started, finished, method, outcome, rows_inserted, rows_deleted,"
							   "  rows_updated, wal_bytes, temp_bytes, cpu_ms, duration_ms, sqlstate, error)"
							   " SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14"
							   "  WHERE EXISTS (SELECT FROM steward.matview_policy WHERE matview = $1)"
							   " RETURNING id", 14, args) == 0)
		return -1;
	return DatumGetInt64(steward_query_value(0, 1, &isnull));
}

/* Remove what is too old, some rows at a time. */
static void
prune_history(void)
{
	StewardArg	args[1];

	args[0] = steward_arg_int64(steward_refresh_history_retention);
	steward_policy_table_write("DELETE FROM steward.matview_refresh_history"
							   " WHERE ctid = ANY (ARRAY(SELECT ctid FROM steward.matview_refresh_history"
							   "                          WHERE finished < now() - $1 * interval '1 day'"
							   "                          ORDER BY finished LIMIT " PRUNE_ROWS "))",
							   1, args);
}

/*
 * A view that is refreshed each second leaves more in that time than anybody
 * reads: remove what is beyond a number of rows.
 */
static void
prune_view(Oid view)
{
	StewardArg	args[1];

	args[0] = steward_arg_oid(view);
	steward_policy_table_write("DELETE FROM steward.matview_refresh_history"
							   " WHERE ctid = ANY (ARRAY(SELECT ctid FROM steward.matview_refresh_history"
							   "                          WHERE matview = $1"
							   "                            AND id <= (SELECT id FROM steward.matview_refresh_history"
							   "                                        WHERE matview = $1"
							   "                                        ORDER BY id DESC OFFSET " MAX_ROWS_OF_VIEW " LIMIT 1)"
							   "                            FOR UPDATE SKIP LOCKED))",
							   1, args);
}

/* Add the run to the history, and remove what is too much there. */
static void
keep_history(Oid view, const StewardRun *run, bool good)
{
	int64		id = write_history(view, run, good);

	prune_history();
	if (id % PRUNE_EVERY == 0)
		prune_view(view);
}

/*
 * Note how a refresh ended: state and history.  Nothing is written for a view
 * whose policy is gone, no state if somebody has locked that meanwhile, and no
 * history if somebody keeps that locked: what came of the refresh counts, not
 * whether it can be told.
 */
void
steward_policy_finished(Oid view, const StewardRun *run)
{
	bool		good = strcmp(run->outcome, "ok") == 0 ||
		strcmp(run->outcome, "verified_equal") == 0;
	StewardTableScope scope;
	bool		has_history;

	if (!steward_policy_table_begin(&scope))
		return;
	has_history = lock_table("matview_refresh_history");
	if (has_history)
		keep_history(view, run, good);
	else
		ereport(LOG,
				(errmsg("table %s is locked, a refresh of materialized view with OID %u is missing there",
						"steward.matview_refresh_history", view)));
	if (!lock_state(view))
		ereport(LOG,
				(errmsg("state of materialized view with OID %u is locked, its refresh is noted in the history only",
						view)));
	else if (good)
		write_success(view, run, has_history);
	else
		write_failure(view, run);
	steward_policy_table_end(&scope);
}

/*
 * The state says that a refresh is running, but it has ended: then the state
 * was locked, and what came of it could not be noted there.
 */
void
steward_policy_settled(Oid view, TimestampTz last_ok)
{
	StewardTableScope scope;
	StewardArg	args[2];

	if (!steward_policy_table_begin(&scope))
		return;
	args[0] = steward_arg_oid(view);
	args[1] = steward_arg_time(last_ok);
	if (lock_state(view))
		steward_policy_table_write("UPDATE steward.matview_state"
								   "   SET running_since = NULL, last_ok = greatest(last_ok, $2)"
								   " WHERE matview = $1", 2, args);
	steward_policy_table_end(&scope);
}

/* Add to the number of refreshes that were not needed. */
void
steward_policy_skipped(Oid view, int64 skips)
{
	StewardTableScope scope;
	StewardArg	args[2];

	if (skips <= 0 || !steward_policy_table_begin(&scope))
		return;
	args[0] = steward_arg_oid(view);
	args[1] = steward_arg_int64(skips);
	steward_policy_table_write("UPDATE steward.matview_state"
							   " SET skips = skips + $2 WHERE matview = $1",
							   2, args);
	steward_policy_table_end(&scope);
}
