/*-------------------------------------------------------------------------
 *
 * key_combinations.c
 *	  How many different combinations of values some columns of a table have.
 *
 * Sources, the surest first: unique indexes, extended statistics, the rows of
 * the table that a foreign key of several columns refers to, a sample of rows
 * (row_sample.c), and, where there is nothing, independence of the columns.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_statistic_ext_data.h"
#include "statistics/statistics.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "advisor/key_statistics.h"
#include "base/compat.h"

/* A column that extended statistics, a key or nothing has accounted for. */
static bool
is_left(const Bitmapset *left, const Bitmapset *columns)
{
	return bms_membership(columns) == BMS_MULTIPLE &&
		bms_is_subset(columns, left);
}

/*
 * The largest group of these columns whose number of combinations extended
 * statistics of the table know; NULL if there is none.
 */
static Bitmapset *
group_of_statistics(StewardTableStats *table, const Bitmapset *left,
					double *distinct)
{
	Relation	relation = table_open(table->relid, NoLock);
	List	   *statistics = RelationGetStatExtList(relation);
	Bitmapset  *best = NULL;
	ListCell   *lc;

	table_close(relation, NoLock);
	foreach(lc, statistics)
	{
		Oid			id = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache2(STATEXTDATASTXOID,
											ObjectIdGetDatum(id),
											BoolGetDatum(false));
		MVNDistinct *data;

		if (!HeapTupleIsValid(tuple))
			continue;
		if (heap_attisnull(tuple, Anum_pg_statistic_ext_data_stxdndistinct,
						   NULL))
		{
			ReleaseSysCache(tuple);
			continue;
		}
		ReleaseSysCache(tuple);
		data = statext_ndistinct_load(id, false);
		for (int i = 0; i < data->nitems; i++)
		{
			Bitmapset  *columns = NULL;
			bool		plain = true;

			for (int c = 0; c < data->items[i].nattributes; c++)
			{
				if (data->items[i].attributes[c] > 0)
					columns = bms_add_member(columns,
											 data->items[i].attributes[c]);
				else
					plain = false;	/* an expression */
			}
			if (plain && is_left(left, columns) &&
				bms_num_members(columns) > bms_num_members(best))
			{
				best = columns;
				*distinct = data->items[i].ndistinct;
			}
		}
	}
	return best;
}

/*
 * The largest group of these columns that is a foreign key: no more
 * combinations than the table has rows to which it refers.
 */
static Bitmapset *
group_of_foreign_key(StewardSizeCache *cache, StewardTableStats *table,
					 const Bitmapset *left, double *distinct)
{
	Bitmapset  *best = NULL;
	ListCell   *lc;

	foreach(lc, table->foreign_keys)
	{
		ForeignKeyCacheInfo *key = lfirst(lc);
		Bitmapset  *columns = NULL;

		for (int i = 0; i < key->nkeys; i++)
			columns = bms_add_member(columns, key->conkey[i]);
		if (is_left(left, columns) &&
			bms_num_members(columns) > bms_num_members(best))
		{
			double		rows = steward_table_rows(cache, key->confrelid);

			best = columns;
			/* as many as are met by that many rows drawn at random */
			*distinct = Max(rows, 1) *
				(1 - exp(-table->tuples / Max(rows, 1)));
		}
	}
	return best;
}

/*
 * Different combinations of "known" ones and another column with "distinct"
 * values: each of the known occurs in some rows, for which the others are drawn
 * at random.
 */
static double
combine_distinct(double rows, double known, double distinct)
{
	double		each = Max(rows / known, 1);

	if (distinct <= 1)
		return known;
	return Min(known * distinct * (1 - pow(1 - 1 / distinct, each)), rows);
}

/* Descending order of numbers. */
static int
compare_descending(const void *a, const void *b)
{
	double		left = *(const double *) a;
	double		right = *(const double *) b;

	return left > right ? -1 : left < right;
}

/*
 * Different combinations of those columns that nothing is known about, from a
 * sample of rows, if they may depend on each other and it matters; else 0.
 */
static double
combine_columns(StewardSizeCache *cache, StewardTableStats *table, int nkeys,
				const AttrNumber *attnums, StewardKeyStats **keys,
				const Bitmapset *columns)
{
	double		most = 1;
	double		product = 1;
	int			widest = 0;

	for (int i = 0; i < nkeys; i++)
	{
		if (attnums[i] == 0 || !bms_is_member(attnums[i], columns))
			continue;
		product *= keys[i]->distinct;
		if (widest == 0 || keys[i]->distinct > most)
		{
			widest = attnums[i];
			most = keys[i]->distinct;
		}
	}
	/* all different anyway, or repeated so often that it is all the same */
	if (table->tuples < 1.1 * most || table->tuples > 1000 * product)
		return 0;
	return steward_sampled_distinct(cache, table, columns, widest, most);
}

/*
 * How many different combinations of these keys the table has.
 */
double
steward_distinct_rows(StewardSizeCache *cache, StewardTableStats *table,
					  int nkeys, const AttrNumber *attnums,
					  StewardKeyStats **keys)
{
	Bitmapset  *left = NULL;
	double		factors[INDEX_MAX_KEYS];
	int			nfactors = 0;
	double		result;
	ListCell   *lc;

	if (nkeys == 1)
		return keys[0]->distinct;
	for (int i = 0; i < nkeys; i++)
		if (attnums[i] > 0)
			left = bms_add_member(left, attnums[i]);
	foreach(lc, table->unique_keys)
		if (bms_is_subset(lfirst(lc), left))
			return Max(table->tuples, 1);

	for (;;)
	{
		double		distinct = 1;
		Bitmapset  *group = group_of_statistics(table, left, &distinct);

		if (group == NULL)
			group = group_of_foreign_key(cache, table, left, &distinct);
		if (group == NULL)
			break;
		factors[nfactors++] = Max(distinct, 1);
		left = bms_difference(left, group);
	}
	if (bms_membership(left) == BMS_MULTIPLE)
	{
		factors[nfactors] = combine_columns(cache, table, nkeys, attnums, keys,
											left);
		if (factors[nfactors] > 0)
		{
			nfactors++;
			left = NULL;
		}
	}
	for (int i = 0; i < nkeys; i++)
		if (attnums[i] == 0 || bms_is_member(attnums[i], left))
			factors[nfactors++] = keys[i]->distinct +
				(keys[i]->null_frac > 0 ? 1 : 0);

	qsort(factors, nfactors, sizeof(double), compare_descending);
	result = factors[0];
	for (int i = 1; i < nfactors; i++)
		result = combine_distinct(table->tuples, result, factors[i]);
	return Max(Min(result, table->tuples), 1);
}
