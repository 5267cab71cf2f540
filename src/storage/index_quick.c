/*-------------------------------------------------------------------------
 *
 * index_quick.c
 *	  What REINDEX would free of a b-tree, by statistics alone.
 *
 * If all keys have one size and hardly any two are equal, the number of
 * entries tells the size of a new index; and if nothing much happened since
 * ANALYZE, pg_class tells the number of entries.  No page of the index or of
 * the table is read.  Where a condition fails, the answer is a reason: a
 * number from statistics that do not fit would look as good as a right one.
 *
 * Statistics of columns are read from the catalog directly, so that the
 * answer is the same for all who may have it; no value of a column shows.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "catalog/pg_statistic.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "storage/btree_page.h"
#include "storage/index_bloat.h"

/* Share of the table that may have changed since ANALYZE. */
#define MAX_CHANGED 0.1

/* Share of distinct values from which on a column counts as unique. */
#define MIN_DISTINCT 0.95

/* Entries that are packed to see how many fit a page. */
#define PACKED 100000

/* What pg_statistic says of one column of the table. */
typedef struct ColumnStatistics
{
	bool		found;
	double		null_share;
	double		distinct;		/* share of the rows; 0: not in proportion */
} ColumnStatistics;

static void
read_statistics(Relation heap, AttrNumber column, ColumnStatistics *result)
{
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH,
										ObjectIdGetDatum(RelationGetRelid(heap)),
										Int16GetDatum(column),
										BoolGetDatum(false));

	memset(result, 0, sizeof(ColumnStatistics));
	if (!HeapTupleIsValid(tuple))
		return;
	result->found = true;
	result->null_share = ((Form_pg_statistic) GETSTRUCT(tuple))->stanullfrac;
	result->distinct = -((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct;
	ReleaseSysCache(tuple);
}

/*
 * Have the statistics of the table and its index been made, and little
 * changed since?
 */
static bool
statistics_are_fresh(const StewardIndexTask *task)
{
	Relation	heap = task->heap->heap;
	Form_pg_class class = heap->rd_rel;
	double		changed;

	if (class->relpages <= 0 || class->reltuples < 0 ||
		task->index->rd_rel->reltuples < 0)
		return false;
	changed = (double) DatumGetInt64(DirectFunctionCall1(pg_stat_get_mod_since_analyze,
														 ObjectIdGetDatum(RelationGetRelid(heap))));
	return changed <= MAX_CHANGED * class->reltuples &&
		fabs((double) class->relpages - task->heap->nblocks) <=
		MAX_CHANGED * task->heap->nblocks;
}

/*
 * Bytes of every entry, or 0 and a reason if they differ or have equal keys.
 */
static int
entry_bytes(const StewardIndexTask *task, const StewardBtreeRules *rules,
			const char **reason)
{
	Form_pg_index form = task->index->rd_index;
	bool		distinct = !rules->deduplicate;
	int			size = 0;

	for (int i = 0; i < form->indnatts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(rules->desc, i);
		AttrNumber	column = form->indkey.values[i];
		ColumnStatistics statistics;

		if (att->attlen <= 0)
		{
			*reason = "withheld: keys differ in size, which statistics do not tell exactly enough";
			return 0;
		}
		read_statistics(task->heap->heap, column, &statistics);
		if (column == 0 ||
			(!TupleDescAttr(RelationGetDescr(task->heap->heap),
							column - 1)->attnotnull &&
			 (!statistics.found || statistics.null_share > 0)))
		{
			*reason = "withheld: keys may be null, or are not in the statistics";
			return 0;
		}
		distinct |= statistics.found && statistics.distinct >= MIN_DISTINCT;
		size = att_align_nominal(size, att->attalign) + att->attlen;
	}
	if (!distinct)
	{
		*reason = "withheld: keys may be equal, and share entries";
		return 0;
	}
	return MAXALIGN(sizeof(IndexTupleData)) + MAXALIGN(size);
}

/*
 * Estimate a b-tree without reading it: no interval.
 */
void
steward_quick_index_bloat(const StewardIndexTask *task,
						  StewardIndexBloat *result)
{
	StewardBtreeRules rules;
	StewardBtreeFill fill;
	StewardBtreeGroup group = {0};
	double		entries = task->index->rd_rel->reltuples;
	double		leaves;

	steward_btree_rules(task->index, &rules);
	if (!statistics_are_fresh(task))
	{
		result->reason = "withheld: too much changed since the table was analyzed";
		return;
	}
	group.key_bytes = entry_bytes(task, &rules, &result->reason);
	if (result->reason != NULL)
		return;

	group.pivot_bytes = group.key_bytes;
	rules.deduplicate = false;
	steward_btree_fill_init(&fill);
	(void) steward_btree_add(&rules, &fill, &group,
							 (int) Min(entries, PACKED), false);
	leaves = entries > PACKED ?
		fill.pages * entries / PACKED : fill.pages + (fill.nitems > 0 ? 1 : 0);
	result->pages = 1 + ceil(leaves) +
		steward_btree_inner_pages(ceil(leaves), group.pivot_bytes);
	result->pages_low = result->pages_high = result->pages;
}
