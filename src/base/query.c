/*-------------------------------------------------------------------------
 *
 * query.c
 *	  Runner for the SQL that pg_steward executes itself.
 *
 * Between steward_query_begin() and steward_query_end() an SPI connection is
 * open and two settings are pinned: search_path, so that no object of a user
 * can stand in for one of the server's, and lock_timeout, so that a report
 * never queues behind an exclusive lock for longer than
 * pg_steward.lock_timeout.  A shorter lock_timeout of the session is kept.
 * An error ends the section by itself: aborting the transaction or
 * subtransaction restores the settings and closes SPI.
 *
 * Statements run read-only, as the caller, with the caller's snapshot; they
 * therefore work on a standby, and see just what the caller may see.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/resowner.h"

#include "base/guc.h"
#include "base/query.h"

/* Set one of the server's settings until the section ends. */
static void
pin_setting(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Open a section.  Memory allocated until steward_query_end() belongs to SPI
 * and goes away with it; results are to be copied out.
 */
void
steward_query_begin(StewardQueryScope *scope)
{
	scope->guc_nest_level = NewGUCNestLevel();
	pin_setting("search_path", "pg_catalog, pg_temp");
	if (steward_lock_timeout > 0 &&
		(LockTimeout == 0 || LockTimeout > steward_lock_timeout))
	{
		char		value[16];

		snprintf(value, sizeof(value), "%d", steward_lock_timeout);
		pin_setting("lock_timeout", value);
	}

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

/*
 * Run a SELECT and return the number of its rows; steward_query_value() reads
 * them.  Arguments are never null.  The next call replaces the result.
 */
uint64
steward_query_select(const char *sql, int nargs, Oid *argtypes, Datum *values)
{
	int			rc = SPI_execute_with_args(sql, nargs, argtypes, values, NULL,
										   true, 0);

	if (rc != SPI_OK_SELECT)
		elog(ERROR, "query of pg_steward failed: %s",
			 SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * The same, in a subtransaction: returns false, with nothing changed, if the
 * SELECT fails with one of these SQLSTATEs.  During a parallel operation there
 * can be no subtransaction; then every error is raised.
 */
bool
steward_query_try_select(const char *sql, int nargs, Oid *argtypes,
						 Datum *values, const int *sqlstates, int nsqlstates,
						 uint64 *nrows)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool ok = true;

	if (IsInParallelMode())
	{
		*nrows = steward_query_select(sql, nargs, argtypes, values);
		return true;
	}

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		*nrows = steward_query_select(sql, nargs, argtypes, values);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;
		bool		expected = false;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		for (int i = 0; i < nsqlstates; i++)
			expected |= error->sqlerrcode == sqlstates[i];
		if (!expected)
		{
			MemoryContextSwitchTo(context);
			CurrentResourceOwner = owner;
			ReThrowError(error);
		}
		FreeErrorData(error);
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return ok;
}

/*
 * One value of the latest result; row counts from 0, column from 1.  Values
 * passed by reference point into SPI's memory.
 */
Datum
steward_query_value(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 column, isnull);
}

/*
 * Close the section.
 */
void
steward_query_end(StewardQueryScope *scope)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	AtEOXact_GUC(true, scope->guc_nest_level);
}
