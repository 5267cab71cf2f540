/*-------------------------------------------------------------------------
 *
 * write_cost.c
 *	  What keeping up an index costs.
 *
 * Rows that are inserted and updated come from the same statements, and so
 * from the same time, as what an index would save: pg_stat_statements counts
 * them by statement.  Tables about which the workload has no such statement
 * (triggers and functions write them, and are not tracked) have the counters
 * of the table, if those were collected for a day at least.
 *
 * Times are CPU time for a row, measured on PostgreSQL 15 with a table of one
 * to five indexes: an insert takes 3.8 microseconds, 1.6 to 4.5 more for each
 * b-tree, depending on its width.  An update that leaves indexes alone (HOT)
 * takes 4.7, and 16.3 if an index on one of its columns stands in the way;
 * all other indexes of the table get new entries then.  Which columns updates
 * set is read from the workload's statements.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"

#include "base/query.h"
#include "advisor/advice.h"

/* Microseconds for a new index entry. */
#define BTREE_US 1.6
#define BTREE_US_MOST 4.5
#define BTREE_US_BYTE 0.05		/* for each byte of an entry beyond 16 */
#define HASH_US 2.0
#define GIN_US 8.0				/* with the cleanup of the pending list */
#define GIST_US 8.0
#define BRIN_US 0.9

/* Microseconds to see that a row is not in a partial index. */
#define PREDICATE_US 0.5

/* Microseconds more for an update that cannot leave the indexes alone. */
#define HOT_LOST_US 11.6

/* Share of updates that leave indexes alone, if nothing is known. */
#define HOT_DEFAULT 0.8

#define US_PER_MS 1000.0

/* Rows written to a table by statements of the workload, a day. */
typedef struct TableWrites
{
	Oid			relid;
	double		inserted;
	double		updated;
	List	   *updates;		/* statements: of StewardStatement * */
} TableWrites;

typedef struct WriteRates
{
	HTAB	   *tables;
	double		counter_days;	/* since tables count, 0 if not known */
} WriteRates;

/* Counters of a table. */
static double
counter(PGFunction function, Oid relid)
{
	return (double) DatumGetInt64(DirectFunctionCall1(function,
													  ObjectIdGetDatum(relid)));
}

/*
 * Sum up what the workload's statements write.
 */
static void
sum_writes(StewardAdvice *advice, WriteRates *rates)
{
	HASHCTL		control = {.keysize = sizeof(Oid),
	.entrysize = sizeof(TableWrites), .hcxt = CurrentMemoryContext};

	rates->tables = hash_create("pg_steward writes", 64, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < advice->workload->nstatements; i++)
	{
		StewardStatement *statement = &advice->workload->statements[i];
		TableWrites *writes;
		bool		found;
		double		rows = statement->rows;

		if (!OidIsValid(statement->target) || statement->command == CMD_DELETE)
			continue;
		/* given by the caller: nobody counted its rows */
		if (statement->queryid == 0 && rows == 0)
			rows = statement->calls;
		writes = hash_search(rates->tables, &statement->target, HASH_ENTER,
							 &found);
		if (!found)
		{
			writes->inserted = writes->updated = 0;
			writes->updates = NIL;
		}
		if (statement->command == CMD_INSERT)
			writes->inserted += rows;
		else
			writes->updated += rows;
		if (statement->updated)
			writes->updates = lappend(writes->updates, statement);
	}
}

/*
 * Since when the tables of this database count, in days; 0 if that is unknown
 * or too short to tell a load from a rate.
 */
static double
days_of_counters(void)
{
	bool		isnull;
	double		days;

	(void) steward_query_select(STEWARD_SELECT
								"extract(epoch FROM clock_timestamp() -"
								" pg_stat_get_db_stat_reset_time(d.oid))::float8 / 86400"
								" FROM pg_database d WHERE d.datname = current_database()",
								0, NULL, NULL);
	days = DatumGetFloat8(steward_query_value(0, 1, &isnull));
	return isnull || days < 1 ? 0 : days;
}

/* Microseconds for a new entry of an index. */
static double
entry_us(const StewardIndex *index)
{
	double		bytes = index->tuples > 0 ?
		STEWARD_INDEX_BYTES(index) / index->tuples : 16;

	switch (index->am)
	{
		case BTREE_AM_OID:
			return Min(BTREE_US + BTREE_US_BYTE * Max(bytes - 16, 0),
					   BTREE_US_MOST);
		case HASH_AM_OID:
			return HASH_US;
		case GIN_AM_OID:
			return GIN_US;
		case BRIN_AM_OID:
			return BRIN_US;
		default:
			return GIST_US;
	}
}

/*
 * Add what writes to one table cost an index, in ms a day.  hot is the share
 * of updates of the logical table that leave its indexes alone today.
 */
static double
cost_of_writes(const StewardIndex *index, const Bitmapset *columns,
			   const TableWrites *writes, double hot)
{
	double		entry = entry_us(index) * index->selectivity +
		(index->predicate ? PREDICATE_US * (1 - index->selectivity) : 0);
	double		us = writes->inserted * entry;
	double		known = 0;
	ListCell   *lc;

	foreach(lc, writes->updates)
	{
		StewardStatement *statement = lfirst(lc);
		double		rows = statement->rows > 0 || statement->queryid != 0 ?
			statement->rows : statement->calls;

		if (statement->command == CMD_INSERT)
			continue;			/* ON CONFLICT: rows are counted as inserted */
		known += rows;
		us += rows * (1 - hot) * entry;
		if (bms_overlap(columns, statement->updated))
			us += rows * hot * (HOT_LOST_US + entry);
	}
	us += Max(writes->updated - known, 0) * (1 - hot) * entry;
	return us / US_PER_MS;
}

/* Cost of an index for the writes to one physical table, from all sources. */
static double
cost_for_table(WriteRates *rates, const StewardIndex *index,
			   const Bitmapset *columns, Oid relid, double hot)
{
	TableWrites *writes = hash_search(rates->tables, &relid, HASH_FIND, NULL);
	TableWrites counted = {0};

	if (writes)
		return cost_of_writes(index, columns, writes, hot);
	if (rates->counter_days == 0)
		return 0;
	counted.inserted = counter(pg_stat_get_tuples_inserted, relid) / rates->counter_days;
	counted.updated = counter(pg_stat_get_tuples_updated, relid) / rates->counter_days;
	return cost_of_writes(index, columns, &counted, hot);
}

/*
 * Fill in the write cost of all candidates.  To be called inside a query
 * section, when each statement has been visited.
 */
void
steward_write_cost_load(StewardAdvice *advice)
{
	WriteRates	rates;

	sum_writes(advice, &rates);
	rates.counter_days = days_of_counters();
	for (int i = 0; i < advice->ncandidates; i++)
	{
		StewardCandidate *candidate = &advice->candidates[i];
		StewardIndex *index = candidate->index;
		Bitmapset  *columns = steward_index_columns(index);
		double		updated = 0;
		double		hot = 0;

		for (int k = 0; k < index->nparts; k++)
		{
			updated += counter(pg_stat_get_tuples_updated, index->parts[k].relid);
			hot += counter(pg_stat_get_tuples_hot_updated, index->parts[k].relid);
		}
		hot = updated > 0 ? hot / updated : HOT_DEFAULT;

		candidate->write_ms = 0;
		if (index->partitioned)
			candidate->write_ms = cost_for_table(&rates, index, columns,
												 index->relid, hot);
		for (int k = 0; k < index->nparts; k++)
			candidate->write_ms += cost_for_table(&rates, index, columns,
												  index->parts[k].relid, hot);
		bms_free(columns);
	}
	hash_destroy(rates.tables);
}
