/*-------------------------------------------------------------------------
 *
 * index_size.c
 *	  How big an index would be.
 *
 * An index is estimated for each physical table it would stand on: the table,
 * or each leaf partition.  B-trees and GIN have models of their own
 * (btree_size.c, gin_size.c); those of the other access methods, which are
 * small or rarely proposed, are here.
 *
 * The share of rows that a predicate keeps is asked of the planner itself: it
 * plans a SELECT with that WHERE clause, and so applies all it knows.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/brin.h"
#include "access/brin_page.h"
#include "access/brin_tuple.h"
#include "access/gist.h"
#include "access/itup.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "advisor/hypothetical.h"
#include "advisor/key_statistics.h"
#include "base/compat.h"

/* Share of a GiST page that is used after a build by insertion. */
#define GIST_FILL 0.7

/* Tuples that a hash bucket is meant to have; see _hash_init(). */
#define HASH_FILL 0.75

/*
 * Estimated rows of a table, over all partitions of a partitioned one.
 */
double
steward_table_rows(StewardSizeCache *cache, Oid relid)
{
	double		rows = 0;
	ListCell   *lc;

	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return steward_table_stats(cache, relid)->tuples;
	foreach(lc, find_all_inheritors(relid, AccessShareLock, NULL))
		if (RELKIND_HAS_STORAGE(get_rel_relkind(lfirst_oid(lc))))
			rows += steward_table_stats(cache, lfirst_oid(lc))->tuples;
	return rows;
}

/*
 * Share of the table's rows that pass the index's predicate: rows of the plan
 * of SELECT FROM table WHERE predicate.
 */
static double
predicate_selectivity(StewardSizeCache *cache, const StewardIndex *index)
{
	double		rows = steward_table_rows(cache, index->relid);
	List	   *context = deparse_context_for(get_rel_name(index->relid),
											  index->relid);
	StringInfoData sql;
	StewardPlan plan;
	RawStmt    *raw;
	Query	   *query;

	if (index->predicate == NIL || rows < 1)
		return 1.0;
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT FROM %s%s WHERE %s",
					 index->partitioned ? "" : "ONLY ",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(index->relid)),
												get_rel_name(index->relid)),
					 deparse_expression((Node *) make_ands_explicit(index->predicate),
										context, false, false));
	raw = linitial(pg_parse_query(sql.data));
	query = parse_analyze_fixedparams(raw, sql.data, NULL, 0, NULL);
	steward_whatif_plan(query, 0, NULL, NIL, NIL, &plan);
	pfree(sql.data);
	return Min(plan.rows / rows, 1.0);
}

/* Order of parts in an index. */
static int
compare_parts(const void *a, const void *b)
{
	Oid			left = ((const StewardIndexPart *) a)->relid;
	Oid			right = ((const StewardIndexPart *) b)->relid;

	return left < right ? -1 : left > right;
}

/* Find the tables on which the index would stand. */
static void
list_parts(StewardIndex *index)
{
	List	   *tables = list_make1_oid(index->relid);
	ListCell   *lc;

	LockRelationOid(index->relid, AccessShareLock);
	if (index->partitioned)
		tables = find_all_inheritors(index->relid, AccessShareLock, NULL);
	index->parts = palloc0(list_length(tables) * sizeof(StewardIndexPart));
	index->nparts = 0;
	foreach(lc, tables)
	{
		Oid			relid = lfirst_oid(lc);
		StewardIndexPart *part = &index->parts[index->nparts];

		if (!RELKIND_HAS_STORAGE(get_rel_relkind(relid)))
			continue;
		part->relid = relid;
		part->attmap = relid == index->relid ? NULL :
			steward_index_attmap(index->relid, relid);
		index->nparts++;
	}
	qsort(index->parts, index->nparts, sizeof(StewardIndexPart),
		  compare_parts);
}

/* Average bytes of the index's columns, aligned, of those that are not null. */
static double
average_columns(StewardSizeCache *cache, const StewardIndex *index,
				const StewardIndexPart *part)
{
	StewardTableStats *table = steward_table_stats(cache, part->relid);
	StewardKeyStats *columns[INDEX_MAX_KEYS];
	AttrNumber	attnums[INDEX_MAX_KEYS];
	double		sum = 0;

	steward_part_columns(cache, table, index, part, attnums, columns);
	for (int c = 0; c < index->ncolumns; c++)
	{
		double		column = 0;
		int			values = 0;

		for (int i = 0; i < STEWARD_KEY_VALUES; i++)
			if (columns[c]->widths[i] != STEWARD_NULL_WIDTH)
			{
				column += columns[c]->widths[i];
				values++;
			}
		sum += values > 0 ? column / values : 0;
	}
	return MAXALIGN((uint64) ceil(sum));
}

/*
 * Block ranges: a metapage, a map of 6 bytes a range and a tuple a range, with
 * the least and the greatest value of each column (minmax classes).
 */
static void
brin_size(StewardSizeCache *cache, const StewardIndex *index,
		  StewardIndexPart *part, double tuples)
{
	StewardTableStats *table = steward_table_stats(cache, part->relid);
	double		ranges = ceil(Max(table->pages, 1) /
							  BRIN_DEFAULT_PAGES_PER_RANGE);
	double		tuple = MAXALIGN(SizeOfBrinTuple + (index->nkeys * 2 + 7) / 8) +
		2 * average_columns(cache, index, part) + sizeof(ItemIdData);
	int			entries_per_page = REVMAP_PAGE_MAXITEMS;
	double		per_page = floor((BLCKSZ - SizeOfPageHeaderData -
								  MAXALIGN(sizeof(BrinSpecialSpace))) / tuple);

	part->tuples = tuples;
	part->tree_height = -1;
	part->pages = 1 + ceil(ranges / entries_per_page) +
		ceil(ranges / Max(per_page, 1));
}

/*
 * Hash: buckets, a power of two or quarters between two of them, of which each
 * is a page, for tuples of 16 bytes; overflow pages for values that repeat more
 * than a page holds.
 */
static void
hash_size(StewardSizeCache *cache, const StewardIndex *index,
		  StewardIndexPart *part, double tuples)
{
	StewardTableStats *table = steward_table_stats(cache, part->relid);
	StewardKeyStats *columns[INDEX_MAX_KEYS];
	AttrNumber	attnums[INDEX_MAX_KEYS];
	double		room = (BLCKSZ - SizeOfPageHeaderData - 16) / 20.0;
	double		wanted = Max(tuples / floor(room * HASH_FILL), 2);
	double		power = pow(2, floor(log(wanted) / log(2)));
	double		buckets = power;
	double		overflow = 0;
	double		rest = 1;
	double		rare;

	steward_part_columns(cache, table, index, part, attnums, columns);
	while (buckets < wanted)
		buckets += power < 512 ? power : power / 4;
	for (int i = 0; i < columns[0]->nmcv; i++)
	{
		overflow += Max(ceil(tuples * columns[0]->mcv_freq[i] / room) - 1, 0);
		rest -= columns[0]->mcv_freq[i];
	}
	rare = Max(columns[0]->distinct - columns[0]->nmcv, 1);
	overflow += rare * Max(ceil(tuples * rest / rare / room) - 1, 0);
	part->tuples = tuples;
	part->tree_height = -1;
	part->pages = buckets + ceil(overflow) + 2;
}

/* Rough: leaf tuples with the key's width, and a hundredth above them. */
static void
gist_size(StewardSizeCache *cache, const StewardIndex *index,
		  StewardIndexPart *part, double tuples)
{
	double		tuple = sizeof(IndexTupleData) +
		average_columns(cache, index, part) + sizeof(ItemIdData);
	double		room = (BLCKSZ - SizeOfPageHeaderData -
						MAXALIGN(sizeof(GISTPageOpaqueData))) * GIST_FILL;
	double		level = ceil(Max(tuples, 1) / Max(floor(room / tuple), 1));

	part->tuples = tuples;
	part->tree_height = -1;
	part->pages = level;
	while (level > 1)
	{
		level = ceil(level * tuple / room);
		part->pages += level;
	}
}

/*
 * What ANALYZE would say of a b-tree's expressions in this part, in the memory
 * context of the index.
 */
static void
describe_expressions(StewardSizeCache *cache, const StewardIndex *index,
					 StewardIndexPart *part)
{
	StewardTableStats *table = steward_table_stats(cache, part->relid);
	StewardExprStats *next;
	ListCell   *lc;

	next = part->exprs =
		MemoryContextAlloc(GetMemoryChunkContext((void *) index),
						   list_length(index->exprs) * sizeof(StewardExprStats));
	foreach(lc, index->exprs)
	{
		StewardKeyStats *stats = steward_expression_stats(cache, table, part,
														  lfirst(lc));
		double		width = 0;
		int			values = 0;

		for (int i = 0; i < STEWARD_KEY_VALUES; i++)
			if (stats->widths[i] != STEWARD_NULL_WIDTH)
			{
				width += stats->widths[i];
				values++;
			}
		next->null_frac = stats->null_frac;
		next->width = width / Max(values, 1);
		next->histogram = NULL;
		if (stats->histogram != NULL)
		{
			next->histogram =
				MemoryContextAlloc(GetMemoryChunkContext((void *) index),
								   VARSIZE(stats->histogram));
			memcpy(next->histogram, stats->histogram,
				   VARSIZE(stats->histogram));
		}
		next->collation = exprCollation(lfirst(lc));

		/* many different values are taken to grow with the table */
		next->distinct = stats->distinct > 0.1 * table->tuples ?
			-stats->distinct / Max(table->tuples, 1) : stats->distinct;
		next++;
	}
}

/* Size of one part. */
static void
estimate_part(StewardSizeCache *cache, const StewardIndex *index,
			  StewardIndexPart *part)
{
	double		tuples = rint(steward_table_stats(cache, part->relid)->tuples *
							  index->selectivity);

	if (index->am == BTREE_AM_OID && index->exprs != NIL)
		describe_expressions(cache, index, part);
	if (index->am == BTREE_AM_OID)
		steward_btree_size(cache, index, part, tuples);
	else if (index->am == GIN_AM_OID)
		steward_gin_size(cache, index, part, tuples);
	else if (index->am == BRIN_AM_OID)
		brin_size(cache, index, part, tuples);
	else if (index->am == HASH_AM_OID)
		hash_size(cache, index, part, tuples);
	else
		gist_size(cache, index, part, tuples);
}

/* Size of an index that exists: what it is. */
static void
measure_existing(StewardSizeCache *cache, StewardIndex *index)
{
	for (int i = 0; i < index->nparts; i++)
	{
		StewardIndexPart *part = &index->parts[i];

		part->tuples = steward_table_stats(cache, part->relid)->tuples;
		part->tree_height = -1;
	}
	if (!index->partitioned)
	{
		Relation	relation = relation_open(index->existing, AccessShareLock);

		index->parts[0].pages = RelationGetNumberOfBlocks(relation);
		if (index->predicate != NIL && relation->rd_rel->reltuples >= 0)
			index->parts[0].tuples = relation->rd_rel->reltuples;
		relation_close(relation, AccessShareLock);
		return;
	}
	for (int i = 0; i < index->nparts; i++)
		estimate_part(cache, index, &index->parts[i]);
}

/*
 * See index_size.h.
 */
void
steward_index_estimate(StewardSizeCache *cache, StewardIndex *index)
{
	MemoryContext old;

	if (index->estimated)
		return;
	old = MemoryContextSwitchTo(GetMemoryChunkContext(index));
	list_parts(index);
	MemoryContextSwitchTo(old);

	index->selectivity = predicate_selectivity(cache, index);
	if (OidIsValid(index->existing))
		measure_existing(cache, index);
	else
		for (int i = 0; i < index->nparts; i++)
			estimate_part(cache, index, &index->parts[i]);

	index->pages = 0;
	index->tuples = 0;
	for (int i = 0; i < index->nparts; i++)
	{
		index->pages += index->parts[i].pages;
		index->tuples += index->parts[i].tuples;
	}
	index->estimated = true;
}
