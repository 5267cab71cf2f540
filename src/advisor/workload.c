/*-------------------------------------------------------------------------
 *
 * workload.c
 *	  The statements that an index should serve.
 *
 * They come from pg_stat_statements of the current database, with the time
 * they took, or from the caller.  Several entries with one query identifier
 * (of several roles, or sent by clients as well as by functions) are one
 * statement.  Counts are turned into rates: what was counted since the last
 * reset, for a day.
 *
 * Nothing of a workload is ever executed.  Texts are analyzed and planned
 * only; see statement_query.c.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/query.h"
#include "base/statements.h"
#include "advisor/constants.h"
#include "advisor/workload.h"

#define SECONDS_A_DAY 86400.0

/* A search_path that is set for a role, a database, or one in the other. */
typedef struct RolePath
{
	Oid			role;			/* InvalidOid: any */
	bool		database;		/* for this database only */
	char	   *search_path;
} RolePath;

/* Entries that are one statement. */
typedef struct StatementKey
{
	int64		queryid;
	Oid			userid;			/* InvalidOid if it makes no difference */
	Oid			unused;			/* no padding: the key is hashed as bytes */
} StatementKey;

typedef struct StatementEntry
{
	StatementKey key;
	int			number;
} StatementEntry;

/* An empty workload, in a memory context of its own. */
static StewardWorkload *
create_workload(const char *search_path)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "pg_steward workload",
												  ALLOCSET_DEFAULT_SIZES);
	StewardWorkload *workload = MemoryContextAllocZero(context,
													   sizeof(StewardWorkload));

	workload->context = context;
	workload->caller = GetUserId();
	workload->reads_all = has_privs_of_role(workload->caller,
											ROLE_PG_READ_ALL_DATA);
	workload->sees_constants = workload->reads_all &&
		has_privs_of_role(workload->caller, ROLE_PG_READ_ALL_STATS);
	workload->search_path = MemoryContextStrdup(context, search_path);
	workload->days = 1;
	return workload;
}

/* Value of a column of the latest result, which may not be null. */
static Datum
value_of(uint64 row, int column)
{
	bool		isnull;
	Datum		value = steward_query_value(row, column, &isnull);

	if (isnull)
		elog(ERROR, "null in column %d of pg_stat_statements", column);
	return value;
}

/*
 * Read which search paths are set for roles and for this database.
 */
static void
load_role_paths(StewardWorkload *workload)
{
	uint64		nrows;

	nrows = steward_query_select(STEWARD_SELECT
								 "s.setrole, s.setdatabase <> 0, substr(c, 13)"
								 " FROM pg_db_role_setting s, unnest(s.setconfig) c"
								 " WHERE starts_with(c, 'search_path=')"
								 " AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d"
								 "  WHERE d.datname = current_database()))"
								 " ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC",
								 0, NULL, NULL);
	for (uint64 row = 0; row < nrows; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(workload->context);
		RolePath   *path = palloc(sizeof(RolePath));

		path->role = DatumGetObjectId(value_of(row, 1));
		path->database = DatumGetBool(value_of(row, 2));
		path->search_path = TextDatumGetCString(value_of(row, 3));
		workload->role_paths = lappend(workload->role_paths, path);
		MemoryContextSwitchTo(old);
	}
}

/*
 * The search path that sessions of a role start with, NULL if none is set.
 */
char *
steward_workload_role_path(StewardWorkload *workload, Oid role)
{
	ListCell   *lc;

	/* they are sorted as the server gives precedence */
	foreach(lc, workload->role_paths)
	{
		RolePath   *path = lfirst(lc);

		if (path->role == role || !OidIsValid(path->role))
			return path->search_path;
	}
	return NULL;
}

/*
 * Days since pg_stat_statements began to count.
 */
static double
days_observed(const StewardStatements *statements)
{
	const int	forbidden = ERRCODE_INSUFFICIENT_PRIVILEGE;
	char	   *sql;
	uint64		nrows;
	double		seconds;

	sql = psprintf(STEWARD_SELECT "extract(epoch FROM clock_timestamp() -"
				   " coalesce(s.stats_reset, pg_postmaster_start_time()))::float8"
				   " FROM %s_info s", statements->view);
	/* that view came with this column */
	if (!statements->has_toplevel ||
		!steward_query_try_select(sql, 0, NULL, NULL, &forbidden, 1, &nrows) ||
		nrows == 0)
		(void) steward_query_select(STEWARD_SELECT
									"extract(epoch FROM clock_timestamp() -"
									" pg_postmaster_start_time())::float8",
									0, NULL, NULL);
	seconds = DatumGetFloat8(value_of(0, 1));
	return Max(seconds, 1.0) / SECONDS_A_DAY;
}

/*
 * Entries of this database, those that took most time first.  Statements of
 * our own are left out.
 */
static char *
load_sql(const StewardStatements *statements)
{
	return psprintf(STEWARD_SELECT
					"s.queryid, s.userid, %s,"
					" CASE WHEN octet_length(s.query) <= %d THEN s.query END,"
					" s.calls::float8, s.total_exec_time, s.rows::float8,"
					" s.query IS NULL OR s.query = '<insufficient privilege>'"
					" FROM %s s"
					" WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())"
					" AND NOT coalesce(starts_with(s.query, '" STEWARD_SELECT "') AND NOT %s, false)"
					" ORDER BY s.total_exec_time DESC, s.queryid, s.userid LIMIT %d",
					statements->has_toplevel ? "s.toplevel" : "true",
					STEWARD_MAX_TEXT, statements->view,
					statements->has_toplevel ? "s.toplevel" : "true",
					STEWARD_MAX_STATEMENTS);
}

/* Copy a row of the latest result that has a text into a new statement. */
static void
fill_statement(StewardWorkload *workload, StewardStatement *statement,
			   uint64 row)
{
	bool		isnull;
	Datum		value = steward_query_value(row, 4, &isnull);

	statement->queryid = DatumGetInt64(value_of(row, 1));
	statement->userid = DatumGetObjectId(value_of(row, 2));
	statement->toplevel = DatumGetBool(value_of(row, 3));
	if (isnull)
	{
		statement->text = "";
		statement->skipped = MemoryContextStrdup(workload->context,
												 psprintf("the text is longer than %d kB",
														  STEWARD_MAX_TEXT / 1024));
	}
	else
	{
		MemoryContext old = MemoryContextSwitchTo(workload->context);

		statement->text = TextDatumGetCString(value);
		MemoryContextSwitchTo(old);
	}
}

/*
 * Collect the rows of the latest result.  Before version 18 the identifier
 * tells the tables; since then only their names, so that statements of
 * different roles may be about different tables.
 */
static void
collect_statements(StewardWorkload *workload, uint64 nrows)
{
	HASHCTL		control = {.keysize = sizeof(StatementKey),
	.entrysize = sizeof(StatementEntry), .hcxt = CurrentMemoryContext};
	HTAB	   *known = hash_create("pg_steward statements", Max(nrows, 16),
									&control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	workload->statements = MemoryContextAllocHuge(workload->context,
												  Max(nrows, 1) * sizeof(StewardStatement));
	memset(workload->statements, 0, Max(nrows, 1) * sizeof(StewardStatement));
	for (uint64 row = 0; row < nrows; row++)
	{
		StatementKey key = {0};
		StatementEntry *entry;
		StewardStatement *statement;
		bool		found;

		CHECK_FOR_INTERRUPTS();
		if (DatumGetBool(value_of(row, 8)))
		{
			workload->nhidden++;
			workload->hidden_ms += DatumGetFloat8(value_of(row, 6)) / workload->days;
			continue;
		}
		key.queryid = DatumGetInt64(value_of(row, 1));
		if (STEWARD_SERVER_MAJOR >= 18)
			key.userid = DatumGetObjectId(value_of(row, 2));
		entry = hash_search(known, &key, HASH_ENTER, &found);
		if (!found)
		{
			entry->number = workload->nstatements++;
			fill_statement(workload, &workload->statements[entry->number], row);
		}
		statement = &workload->statements[entry->number];
		statement->calls += DatumGetFloat8(value_of(row, 5)) / workload->days;
		statement->total_ms += DatumGetFloat8(value_of(row, 6)) / workload->days;
		statement->rows += DatumGetFloat8(value_of(row, 7)) / workload->days;
	}
	hash_destroy(known);
}

/*
 * Give the statements their sampled constants, if the caller may have advice
 * from them: DDL may contain them, and any choice tells something.  He sees all
 * statements, so that samples of others are of ones that are forgotten; unless
 * there were too many to look at.
 */
static void
load_constants(StewardWorkload *workload, bool complete)
{
	StewardConstantsKey *keys;
	MemoryContext old;

	if (!workload->sees_constants || !steward_constants_exist())
		return;
	keys = MemoryContextAllocHuge(workload->context,
								  Max(workload->nstatements, 1) * sizeof(StewardConstantsKey));
	old = MemoryContextSwitchTo(workload->context);
	for (int i = 0; i < workload->nstatements; i++)
	{
		StewardStatement *statement = &workload->statements[i];

		CHECK_FOR_INTERRUPTS();
		steward_constants_key(statement->queryid, statement->userid, &keys[i]);
		statement->constants = steward_constants_read(&keys[i]);
	}
	MemoryContextSwitchTo(old);
	if (complete && workload->nhidden == 0)
	{
		qsort(keys, workload->nstatements, sizeof(StewardConstantsKey),
			  steward_constants_compare);
		(void) steward_constants_retain(MyDatabaseId, keys, workload->nstatements);
	}
	pfree(keys);
}

/*
 * The workload of this database.  search_path is that of the caller's session.
 * Raises an error if pg_stat_statements cannot be read.  The result is
 * allocated in the current memory context; a text that cannot be had in the
 * encoding of this database costs all of them.
 */
StewardWorkload *
steward_workload_load(const char *search_path)
{
	StewardWorkload *workload = create_workload(search_path);
	StewardStatements statements;
	uint64		nrows;

	steward_statements_require(&statements);
	load_role_paths(workload);
	workload->days = days_observed(&statements);
	if (!steward_statements_select(load_sql(&statements), 0, NULL, NULL, &nrows))
		ereport(ERROR,
				(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
				 errmsg("a text in pg_stat_statements is not valid in the encoding of this database"),
				 errhint("Pass the statements in question in the argument \"queries\".")));
	collect_statements(workload, nrows);
	load_constants(workload, nrows < STEWARD_MAX_STATEMENTS);
	return workload;
}

/*
 * A workload of the caller's own texts, each executed as often a day as its
 * weight says (NULL: once).  The arrays are checked here.
 */
StewardWorkload *
steward_workload_from_array(const char *search_path, ArrayType *queries,
							ArrayType *weights)
{
	StewardWorkload *workload = create_workload(search_path);
	Datum	   *texts;
	Datum	   *numbers = NULL;
	bool	   *text_nulls;
	bool	   *number_nulls = NULL;
	int			ntexts;
	int			nnumbers = 0;
	MemoryContext old;

	deconstruct_array(queries, TEXTOID, -1, false, TYPALIGN_INT,
					  &texts, &text_nulls, &ntexts);
	if (weights)
		deconstruct_array(weights, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
						  TYPALIGN_DOUBLE, &numbers, &number_nulls, &nnumbers);
	if (weights && nnumbers != ntexts)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("arguments \"queries\" and \"weights\" must have the same number of elements"),
				 errdetail("There are %d queries and %d weights.", ntexts, nnumbers)));
	if (ntexts > STEWARD_MAX_STATEMENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("argument \"queries\" must not have more than %d elements",
						STEWARD_MAX_STATEMENTS)));

	old = MemoryContextSwitchTo(workload->context);
	workload->statements = palloc0(Max(ntexts, 1) * sizeof(StewardStatement));
	for (int i = 0; i < ntexts; i++)
	{
		StewardStatement *statement = &workload->statements[i];
		double		weight = 1;

		if (weights)
			weight = number_nulls[i] ? get_float8_nan() :
				DatumGetFloat8(numbers[i]);
		if (text_nulls[i] || isnan(weight) || isinf(weight) || weight < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 text_nulls[i] ?
					 errmsg("argument \"queries\" must not contain nulls") :
					 errmsg("argument \"weights\" must contain finite numbers that are not negative")));
		statement->text = TextDatumGetCString(texts[i]);
		statement->userid = workload->caller;
		statement->toplevel = true;
		statement->calls = weight;
		if (strlen(statement->text) > STEWARD_MAX_TEXT)
			statement->skipped = psprintf("the text is longer than %d kB",
										  STEWARD_MAX_TEXT / 1024);
	}
	workload->nstatements = ntexts;
	MemoryContextSwitchTo(old);
	return workload;
}
