/*-------------------------------------------------------------------------
 *
 * expression_stats.c
 *	  Statistics of a hypothetical index's expressions, for the planner.
 *
 * ANALYZE collects statistics about an expression only once it is indexed, and
 * until then the planner takes half a percent of the rows for each comparison
 * with it.  To know what it will do with the index, it must be told what ANALYZE
 * is going to find: the share of nulls, the number of different values and a
 * histogram, from the sample that the index's size needed anyway.  They are handed over in the
 * form the planner reads them in, a row of pg_statistic.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_statistic.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "advisor/expression_stats.h"
#include "base/compat.h"

/*
 * A row of pg_statistic about this column (from 1) of the index, in the current
 * memory context; NULL if there is nothing to tell.
 */
HeapTuple
steward_expression_tuple(Oid indexid, AttrNumber column,
						 const StewardIndex *index,
						 const StewardIndexPart *part)
{
	Datum		values[Natts_pg_statistic] = {0};
	bool		nulls[Natts_pg_statistic] = {0};
	const StewardExprStats *stats;
	Relation	catalog;
	HeapTuple	tuple;
	int			nth = 0;

	if (part->exprs == NULL || column < 1 || column > index->ncolumns ||
		index->attnums[column - 1] != 0)
		return NULL;
	for (int i = 0; i < column - 1; i++)
		if (index->attnums[i] == 0)
			nth++;
	stats = &part->exprs[nth];

	/* slots stay empty but the first, for the histogram */
	values[Anum_pg_statistic_starelid - 1] = ObjectIdGetDatum(indexid);
	values[Anum_pg_statistic_staattnum - 1] = Int16GetDatum(column);
	values[Anum_pg_statistic_stainherit - 1] = BoolGetDatum(false);
	values[Anum_pg_statistic_stanullfrac - 1] = Float4GetDatum(stats->null_frac);
	values[Anum_pg_statistic_stawidth - 1] = Int32GetDatum(stats->width);
	values[Anum_pg_statistic_stadistinct - 1] = Float4GetDatum(stats->distinct);
	for (int i = 0; i < STATISTIC_NUM_SLOTS; i++)
	{
		nulls[Anum_pg_statistic_stanumbers1 - 1 + i] = true;
		nulls[Anum_pg_statistic_stavalues1 - 1 + i] = true;
	}
	if (stats->histogram != NULL)
	{
		TypeCacheEntry *type = lookup_type_cache(ARR_ELEMTYPE((ArrayType *) stats->histogram),
												 TYPECACHE_LT_OPR);

		values[Anum_pg_statistic_stakind1 - 1] =
			Int16GetDatum(STATISTIC_KIND_HISTOGRAM);
		values[Anum_pg_statistic_staop1 - 1] = ObjectIdGetDatum(type->lt_opr);
		values[Anum_pg_statistic_stacoll1 - 1] =
			ObjectIdGetDatum(stats->collation);
		values[Anum_pg_statistic_stavalues1 - 1] =
			PointerGetDatum(stats->histogram);
		nulls[Anum_pg_statistic_stavalues1 - 1] = false;
	}
	catalog = table_open(StatisticRelationId, AccessShareLock);
	tuple = heap_form_tuple(RelationGetDescr(catalog), values, nulls);
	table_close(catalog, AccessShareLock);
	return tuple;
}
