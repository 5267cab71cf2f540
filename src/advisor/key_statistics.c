/*-------------------------------------------------------------------------
 *
 * key_statistics.c
 *	  What is known about the values of tables' columns and expressions.
 *
 * Columns: what ANALYZE left in pg_statistic.  Its most common values and the
 * bounds of its histogram are a sample, from which the widths of values come
 * with their spread; only sizes are taken from them, never values.
 *
 * Everything is kept in the cache, so that a table is asked once.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_statistic.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "advisor/key_statistics.h"
#include "base/compat.h"

/* Correlation from which on a table counts as ordered by a column. */
#define CLUSTERED_CORRELATION 0.99

/* What the planner assumes, too, when it knows nothing. */
#define UNKNOWN_DISTINCT 200

/*
 * An empty cache, in the current memory context.
 */
StewardSizeCache *
steward_size_cache_create(void)
{
	StewardSizeCache *cache = palloc0(sizeof(StewardSizeCache));
	HASHCTL		control = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(StewardTableStats),
		.hcxt = CurrentMemoryContext
	};

	cache->context = CurrentMemoryContext;
	cache->tables = hash_create("pg_steward table statistics", 64, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return cache;
}

/* Sets of columns that no two rows share, if not null. */
static List *
unique_keys(Relation relation)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(relation))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;
		Bitmapset  *columns = NULL;
		bool		usable;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		usable = form->indisunique && form->indisvalid &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
		for (int i = 0; usable && i < form->indnkeyatts; i++)
		{
			if (form->indkey.values[i] > 0)
				columns = bms_add_member(columns, form->indkey.values[i]);
			else
				usable = false;
		}
		ReleaseSysCache(tuple);
		if (usable)
			result = lappend(result, columns);
	}
	return result;
}

/* Foreign keys of more than one column. */
static List *
composite_foreign_keys(Relation relation)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(relation))
	{
		ForeignKeyCacheInfo *key = lfirst(lc);

		if (key->nkeys > 1)
			result = lappend(result, copyObject(key));
	}
	return result;
}

/*
 * What is known about a table or partition itself.  Takes AccessShareLock, and
 * keeps it, as the planner would have.
 */
StewardTableStats *
steward_table_stats(StewardSizeCache *cache, Oid relid)
{
	bool		found;
	StewardTableStats *table;
	MemoryContext old;
	Relation	relation;
	BlockNumber pages = 0;

	table = hash_search(cache->tables, &relid, HASH_FIND, NULL);
	if (table != NULL)
		return table;

	relation = table_open(relid, AccessShareLock);
	old = MemoryContextSwitchTo(cache->context);
	table = hash_search(cache->tables, &relid, HASH_ENTER, &found);
	memset((char *) table + sizeof(Oid), 0,
		   sizeof(StewardTableStats) - sizeof(Oid));
	table->natts = RelationGetNumberOfAttributes(relation);
	table->columns = palloc0(table->natts * sizeof(StewardKeyStats *));
	if (RELKIND_HAS_STORAGE(relation->rd_rel->relkind))
		estimate_rel_size(relation, NULL, &pages, &table->tuples,
						  &table->allvisfrac);
	table->pages = pages;
	for (int i = 0; i < table->natts; i++)
		if (!TupleDescAttr(RelationGetDescr(relation), i)->attisdropped)
			table->live_columns = bms_add_member(table->live_columns, i + 1);
	table->unique_keys = unique_keys(relation);
	table->foreign_keys = composite_foreign_keys(relation);
	MemoryContextSwitchTo(old);
	table_close(relation, NoLock);
	return table;
}

/* Bytes of a value in an index tuple, without header and padding. */
static int
value_width(Datum value, int16 typlen)
{
	if (typlen == -1)
		return VARSIZE_ANY_EXHDR(DatumGetPointer(value));
	if (typlen == -2)
		return strlen(DatumGetCString(value)) + 1;
	return typlen;
}

/* Bring the widths in a random order, the same every time. */
static void
shuffle_widths(StewardKeyStats *stats, uint32 seed)
{
	for (int i = STEWARD_KEY_VALUES - 1; i > 0; i--)
	{
		int			other;
		int			width = stats->widths[i];

		seed = seed * 1664525 + 1013904223;
		other = (seed >> 8) % (i + 1);
		stats->widths[i] = stats->widths[other];
		stats->widths[other] = width;
	}
}

/*
 * Choose the widths that stand for all values: nulls, most common values and
 * the rest by their shares, the rest from the histogram or else "width".
 */
static void
fill_widths(StewardKeyStats *stats, const AttStatsSlot *mcv,
			const AttStatsSlot *histogram, int width)
{
	double		common = 0;

	for (int i = 0; i < mcv->nnumbers; i++)
		common += mcv->numbers[i];
	for (int i = 0; i < STEWARD_KEY_VALUES; i++)
	{
		double		at = (i + 0.5) / STEWARD_KEY_VALUES - stats->null_frac;
		double		rest = 1 - stats->null_frac - common;

		stats->widths[i] = width;
		if (at < 0)
			stats->widths[i] = STEWARD_NULL_WIDTH;
		else if (at < common)
		{
			int			v = 0;

			while (v < mcv->nnumbers - 1 && at >= mcv->numbers[v])
				at -= mcv->numbers[v++];
			if (v < mcv->nvalues)
				stats->widths[i] = value_width(mcv->values[v], stats->typlen);
		}
		else if (histogram->nvalues > 0 && rest > 0)
		{
			int			v = (int) ((at - common) / rest * histogram->nvalues);

			v = Max(Min(v, histogram->nvalues - 1), 0);
			stats->widths[i] = value_width(histogram->values[v], stats->typlen);
		}
	}
}

/* Fill in from a row of pg_statistic. */
static void
read_statistics(StewardKeyStats *stats, HeapTuple tuple, double rows)
{
	Form_pg_statistic form = (Form_pg_statistic) GETSTRUCT(tuple);
	AttStatsSlot mcv = {0};
	AttStatsSlot histogram = {0};
	int			width = form->stawidth;

	stats->null_frac = form->stanullfrac;
	if (form->stadistinct > 0)
		stats->distinct = form->stadistinct;
	else if (form->stadistinct < 0)
		stats->distinct = -form->stadistinct * rows;
	else
		stats->distinct = Min(UNKNOWN_DISTINCT, rows);
	stats->distinct = Max(stats->distinct, 1);

	(void) get_attstatsslot(&mcv, tuple, STATISTIC_KIND_MCV, InvalidOid,
							ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS);
	(void) get_attstatsslot(&histogram, tuple, STATISTIC_KIND_HISTOGRAM,
							InvalidOid, ATTSTATSSLOT_VALUES);
	if (stats->typlen == -1)
		width = Max(width - (width <= VARATT_SHORT_MAX ? 1 : VARHDRSZ), 0);
	else if (stats->typlen > 0)
		width = stats->typlen;
	else
		width = stats->widths[0];
	fill_widths(stats, &mcv, &histogram, width);
	if (mcv.nnumbers > 0)
	{
		stats->nmcv = mcv.nnumbers;
		stats->mcv_freq = palloc(mcv.nnumbers * sizeof(float4));
		memcpy(stats->mcv_freq, mcv.numbers, mcv.nnumbers * sizeof(float4));
	}
	free_attstatsslot(&mcv);
	free_attstatsslot(&histogram);
}

/*
 * Statistics of a value of which only the type is known, in the current memory
 * context.
 */
StewardKeyStats *
steward_guess_stats(Oid type, int32 typmod, double rows)
{
	StewardKeyStats *stats = palloc0(sizeof(StewardKeyStats));
	bool		byval;
	int			width = get_typavgwidth(type, typmod);

	get_typlenbyvalalign(type, &stats->typlen, &byval, &stats->typalign);
	stats->distinct = Max(Min(UNKNOWN_DISTINCT, rows), 1);
	if (type == BOOLOID)
		stats->distinct = 2;
	if (type == NAMEOID)
	{
		/* kept as a string of its length */
		stats->typlen = -2;
		stats->typalign = TYPALIGN_CHAR;
		width = 16;
	}
	for (int i = 0; i < STEWARD_KEY_VALUES; i++)
		stats->widths[i] = width;
	return stats;
}

/* Does the order of rows follow this column's order, closely? */
static bool
is_clustered(HeapTuple tuple)
{
	AttStatsSlot slot;
	bool		result = false;

	if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_CORRELATION, InvalidOid,
						 ATTSTATSSLOT_NUMBERS))
	{
		result = slot.nnumbers > 0 &&
			fabs(slot.numbers[0]) >= CLUSTERED_CORRELATION;
		free_attstatsslot(&slot);
	}
	return result;
}

/*
 * Statistics of a column.
 */
StewardKeyStats *
steward_column_stats(StewardSizeCache *cache, StewardTableStats *table,
					 AttrNumber attnum)
{
	StewardKeyStats *stats;
	MemoryContext old;
	HeapTuple	tuple;
	Oid			type;
	int32		typmod;
	Oid			collation;
	bool		clustered = false;
	ListCell   *lc;

	if (attnum < 1 || attnum > table->natts)
		elog(ERROR, "table %u has no column %d", table->relid, attnum);
	if (table->columns[attnum - 1] != NULL)
		return table->columns[attnum - 1];

	old = MemoryContextSwitchTo(cache->context);
	get_atttypetypmodcoll(table->relid, attnum, &type, &typmod, &collation);
	stats = steward_guess_stats(type, typmod, table->tuples);
	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(table->relid),
							Int16GetDatum(attnum), BoolGetDatum(false));
	if (HeapTupleIsValid(tuple))
	{
		read_statistics(stats, tuple, table->tuples);
		clustered = is_clustered(tuple);
		ReleaseSysCache(tuple);
		shuffle_widths(stats, attnum);
	}
	foreach(lc, table->unique_keys)
	{
		int			only;

		if (bms_get_singleton_member(lfirst(lc), &only) && only == attnum)
			stats->distinct = Max(table->tuples * (1 - stats->null_frac), 1);
	}
	table->columns[attnum - 1] = stats;
	MemoryContextSwitchTo(old);

	/* where equal values stand together, few of them look like all */
	if (clustered && stats->distinct < 0.9 * table->tuples &&
		stats->distinct > table->tuples / 100)
		stats->distinct = Max(stats->distinct,
							  steward_clustered_distinct(cache, table, attnum));
	return stats;
}

/* Is this the column, perhaps relabelled? */
static bool
is_column(Node *node, AttrNumber attnum)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node != NULL && IsA(node, Var) &&
		((Var *) node)->varattno == attnum;
}

/* Statistics of a column in those rows that pass the index's predicate. */
static StewardKeyStats *
restrict_stats(StewardKeyStats *stats, AttrNumber attnum, List *predicate)
{
	ListCell   *lc;

	foreach(lc, predicate)
	{
		Node	   *clause = lfirst(lc);
		bool		is_null = false;
		bool		not_null = false;
		bool		one_value = false;

		if (IsA(clause, NullTest) &&
			is_column((Node *) ((NullTest *) clause)->arg, attnum))
		{
			is_null = ((NullTest *) clause)->nulltesttype == IS_NULL;
			not_null = !is_null;
		}
		else if (IsA(clause, OpExpr) &&
				 list_length(((OpExpr *) clause)->args) == 2 &&
				 is_column(linitial(((OpExpr *) clause)->args), attnum))
		{
			not_null = true;
			one_value = op_mergejoinable(((OpExpr *) clause)->opno,
										 exprType(linitial(((OpExpr *) clause)->args)));
		}
		if (is_null || not_null)
		{
			StewardKeyStats *copy = palloc(sizeof(StewardKeyStats));
			int			nonnull = 0;

			*copy = *stats;
			copy->null_frac = is_null ? 1 : 0;
			copy->nmcv = 0;
			if (is_null || one_value)
				copy->distinct = 1;
			for (int i = 0; i < STEWARD_KEY_VALUES && nonnull == 0; i++)
				if (stats->widths[i] != STEWARD_NULL_WIDTH)
					nonnull = stats->widths[i];
			for (int i = 0; i < STEWARD_KEY_VALUES; i++)
			{
				if (is_null)
					copy->widths[i] = STEWARD_NULL_WIDTH;
				else if (copy->widths[i] == STEWARD_NULL_WIDTH)
					copy->widths[i] = nonnull;
			}
			stats = copy;
		}
	}
	return stats;
}

/*
 * The columns of an index, keys and others, as one of its tables has them:
 * numbers (0 for an expression) and statistics.  Where the predicate of the
 * index fixes a key to null, to a constant or to anything but null, these are
 * changed copies.
 */
void
steward_part_columns(StewardSizeCache *cache, StewardTableStats *table,
					 const StewardIndex *index, const StewardIndexPart *part,
					 AttrNumber *attnums, StewardKeyStats **columns)
{
	ListCell   *next_expr = list_head(index->exprs);

	for (int i = 0; i < index->ncolumns; i++)
	{
		AttrNumber	attnum = index->attnums[i];

		if (attnum == 0)
		{
			columns[i] = steward_expression_stats(cache, table, part,
												  lfirst(next_expr));
			attnums[i] = 0;
			next_expr = lnext(index->exprs, next_expr);
			continue;
		}
		attnums[i] = part->attmap != NULL ?
			part->attmap->attnums[attnum - 1] : attnum;
		columns[i] = steward_column_stats(cache, table, attnums[i]);
		if (index->predicate != NIL)
			columns[i] = restrict_stats(columns[i], attnum, index->predicate);
	}
}
