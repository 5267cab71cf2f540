/*-------------------------------------------------------------------------
 *
 * refresh_now.c
 *	  Refreshing a materialized view at once, by the method of choice.
 *
 * "diff" is ours (diff.c); "plain" and "concurrently" are REFRESH of the
 * server; "auto" takes diff where it can.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/rows.h"
#include "refresh/diff.h"
#include "refresh/freshness.h"

PG_FUNCTION_INFO_V1(pg_steward_refresh_matview_now);

typedef enum RefreshMethod
{
	REFRESH_AUTO,
	REFRESH_DIFF,
	REFRESH_PLAIN,
	REFRESH_CONCURRENTLY
} RefreshMethod;

static const char *const method_names[] = {
	"auto", "diff", "plain", "concurrently"
};

/* What a refresh by the server did: -1 where it does not tell. */
typedef struct ServerCounts
{
	int64		ninserted;
	int64		ndeleted;
} ServerCounts;

/* The method of this name. */
static RefreshMethod
parse_method(const char *name)
{
	for (int i = 0; i < lengthof(method_names); i++)
		if (pg_strcasecmp(name, method_names[i]) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized refresh method \"%s\"", name),
			 errhint("Methods are \"auto\", \"diff\", \"plain\" and \"concurrently\".")));
	return REFRESH_AUTO;		/* keep compiler quiet */
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
count_in_transaction(Oid view, ServerCounts *counts)
{
	Relation	relation = relation_open(view, AccessShareLock);

	counts->ninserted = counts->ndeleted = -1;
	if (pgstat_should_count_relation(relation))
	{
		PgStat_TableXactStatus *trans = relation->pgstat_info->trans;
		bool		mine = trans != NULL &&
			trans->nest_level == GetCurrentTransactionNestLevel();

		counts->ninserted = mine ? trans->tuples_inserted : 0;
		counts->ndeleted = mine ? trans->tuples_deleted : 0;
	}
	relation_close(relation, AccessShareLock);
}

/*
 * Let the server refresh the view.  It checks and locks for itself.  Its
 * counters tell what it did, as far as they can: a plain refresh starts them
 * from zero, and does not count what it replaces.
 */
static void
refresh_by_server(Oid view, bool concurrently, ServerCounts *counts)
{
	ServerCounts before = {0, 0};
	char	   *command = psprintf("REFRESH MATERIALIZED VIEW %s%s",
								   concurrently ? "CONCURRENTLY " : "",
								   qualified_name(view));

	if (concurrently)
		count_in_transaction(view, &before);
	SPI_connect();
	if (SPI_execute(command, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not execute \"%s\"", command);
	SPI_finish();
	count_in_transaction(view, counts);
	if (!concurrently)
		counts->ndeleted = -1;
	else if (counts->ninserted >= 0 && before.ninserted >= 0)
	{
		counts->ninserted -= before.ninserted;
		counts->ndeleted -= before.ndeleted;
	}
}

/* Does the view have content, without looking at it under a lock? */
static bool
is_populated(Oid view)
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

/*
 * What "auto" means for this view; the note says why it is not diff.
 */
static RefreshMethod
choose_method(Oid view, char **note)
{
	const char *obstacle = steward_diff_obstacle(view);
	RefreshMethod method;

	if (obstacle == NULL)
		return REFRESH_DIFF;
	if (is_populated(view) && has_unique_index(view))
		method = REFRESH_CONCURRENTLY;
	else
		method = REFRESH_PLAIN;
	*note = psprintf("not refreshed by difference because %s", obstacle);
	ereport(NOTICE,
			(errmsg("materialized view \"%s\" is refreshed by method \"%s\"",
					get_rel_name(view), method_names[method]),
			 errdetail("This is because %s.", obstacle)));
	return method;
}

/* Append a number, or null for one that is not known. */
static void
append_count(StewardRows *rows, int64 count)
{
	if (count < 0)
		steward_rows_null(rows);
	else
		steward_rows_int64(rows, count);
}

/*
 * refresh_matview_now(matview regclass, method text) returns one row: see the
 * comment in SQL.
 */
Datum
pg_steward_refresh_matview_now(PG_FUNCTION_ARGS)
{
	Oid			view;
	RefreshMethod method;
	StewardRows rows;
	StewardDiffResult diff = {0, 0, -1, -1};
	uint64		wal_bytes = pgWalUsage.wal_bytes;
	instr_time	start;
	instr_time	duration;
	char	   *note = NULL;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null",
						PG_ARGISNULL(0) ? "matview" : "method")));
	view = PG_GETARG_OID(0);
	method = parse_method(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PreventCommandDuringRecovery("refresh_matview_now()");
	PreventCommandIfReadOnly("refresh_matview_now()");
	PreventCommandIfParallelMode("refresh_matview_now()");
	steward_diff_check(view);
	steward_rows_begin(&rows, fcinfo);

	INSTR_TIME_SET_CURRENT(start);
	if (method == REFRESH_AUTO)
		method = choose_method(view, &note);
	steward_freshness_mark(view, false);
	if (method == REFRESH_DIFF)
		steward_diff_refresh(view, &diff);
	else
	{
		ServerCounts counts;

		refresh_by_server(view, method == REFRESH_CONCURRENTLY, &counts);
		diff.ninserted = counts.ninserted;
		diff.ndeleted = counts.ndeleted;
	}
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);

	steward_rows_text(&rows, method_names[method]);
	append_count(&rows, diff.ninserted);
	append_count(&rows, diff.ndeleted);
	append_count(&rows, diff.nupdated);
	append_count(&rows, diff.nunchanged);
	steward_rows_float8(&rows, INSTR_TIME_GET_MILLISEC(duration));
	steward_rows_int64(&rows, (int64) (pgWalUsage.wal_bytes - wal_bytes));
	steward_rows_text(&rows, note);
	steward_rows_end_row(&rows);
	return (Datum) 0;
}
