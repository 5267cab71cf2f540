/*-------------------------------------------------------------------------
 *
 * index_bloat.c
 *	  What REINDEX would free, for every access method of the server.
 *
 * The SQL function (23_index_bloat.sql) chooses the indexes, names them and
 * says what to do; this file opens one after the other and hands it to the
 * estimator of its access method.  The waste of an index is its size now minus
 * its size after REINDEX of the heap as it is: entries for rows that are dead,
 * but still visible to an old snapshot, stay.
 *
 * Each index is read in a subtransaction, with its table and then itself
 * locked for reading, both only if nobody makes us wait; so a damaged page or
 * a lock costs one row its numbers, and no more.  What was learnt about a
 * table is kept for its next index, as long as the table keeps its file.
 *
 * Memory is freed after each table, and what an estimator needed after each
 * index.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_type_d.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/rows.h"
#include "storage/bloat_target.h"
#include "storage/index_bloat.h"

PG_FUNCTION_INFO_V1(pg_steward_index_bloat);

/* Values of the argument "method", and of the column. */
#define METHOD_SAMPLE "sample"
#define METHOD_EXACT "exact"
#define METHOD_QUICK "quick"
#define METHOD_MODEL "model"
#define METHOD_CATALOG "catalog"

#define MIN_SAMPLE_BLOCKS 10
#define MAX_SAMPLE_BLOCKS 1000000

/* State of one call. */
typedef struct IndexReport
{
	bool		exact;
	bool		quick;
	int			sample_blocks;
	int64		budget;			/* blocks left; -1: no limit */
	int			patience_ms;	/* left for waiting for locks */

	MemoryContext table_context;	/* of "heap" */
	Oid			table;			/* that "heap" is about */
	Oid			table_file;		/* its file number */
	bool		heap_known;
	StewardIndexHeap heap;

	/* about the current index */
	Oid			index;
	BlockNumber nblocks;
	StewardIndexBloat bloat;
	int64		heap_blocks_read;
} IndexReport;

/*
 * Get the state of the index's heap ready, with what is known from the
 * table's other indexes.
 */
static void
prepare_heap(IndexReport *report, Relation heap)
{
	MemoryContext old = MemoryContextSwitchTo(report->table_context);

	if (!report->heap_known ||
		report->table_file != heap->rd_rel->relfilenode ||
		RelationGetNumberOfBlocks(heap) < report->heap.nblocks)
	{
		report->heap_known = false;
		MemoryContextReset(report->table_context);
		steward_index_heap_init(&report->heap, heap);
		report->table_file = heap->rd_rel->relfilenode;
		report->heap_known = true;
	}
	report->heap.heap = heap;
	MemoryContextSwitchTo(old);
}

/* Hand an index to the estimator of its access method. */
static void
estimate_by_method(const StewardIndexTask *task, StewardIndexBloat *bloat)
{
	Oid			method = task->index->rd_rel->relam;

	switch (method)
	{
		case BTREE_AM_OID:
			steward_btree_bloat(task, bloat);
			break;
		case HASH_AM_OID:
			steward_hash_bloat(task, bloat);
			break;
		case GIST_AM_OID:
			steward_gist_bloat(task, bloat);
			break;
		case GIN_AM_OID:
			steward_gin_bloat(task, bloat);
			break;
		case SPGIST_AM_OID:
			steward_spgist_bloat(task, bloat);
			break;
		case BRIN_AM_OID:
			steward_brin_bloat(task, bloat);
			break;
		default:
			bloat->reason = psprintf("withheld: no model of access method \"%s\"",
									 get_am_name(method));
			break;
	}
}

/*
 * Estimate an open index.
 */
static void
estimate_index(IndexReport *report, Relation heap, Relation index)
{
	StewardIndexTask task = {0};
	StewardIndexBloat *bloat = &report->bloat;
	int64		before;

	report->nblocks = RelationGetNumberOfBlocks(index);
	before = report->heap_known ? report->heap.blocks_read : 0;
	prepare_heap(report, heap);
	before = Min(before, report->heap.blocks_read);

	task.index = index;
	task.heap = &report->heap;
	task.nblocks = report->nblocks;
	task.sample_blocks = report->sample_blocks;
	task.budget = report->budget < 0 ? PG_INT64_MAX : report->budget;
	task.exact = report->exact;
	task.every_row = index->rd_index->indisvalid &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);

	if (report->quick && index->rd_rel->relam != BTREE_AM_OID)
		bloat->reason = "withheld: quick works for b-trees only";
	else if (report->quick)
		steward_quick_index_bloat(&task, bloat);
	else
		estimate_by_method(&task, bloat);
	report->heap_blocks_read = report->heap.blocks_read - before;
	bloat->method = report->quick ? METHOD_QUICK :
		bloat->model ? METHOD_MODEL :
		bloat->exact ? METHOD_EXACT : METHOD_SAMPLE;
}

/*
 * Open the current index and its table, in the order in which the server
 * locks them, and estimate it: runs inside steward_target_guarded().
 */
static void
work_on_index(void *arg)
{
	IndexReport *report = arg;
	Relation	heap;
	Relation	index;

	heap = steward_target_open(report->table, &report->patience_ms,
							   &report->bloat.reason);
	if (heap == NULL)
		return;
	index = steward_target_open(report->index, &report->patience_ms,
								&report->bloat.reason);
	if (index != NULL)
	{
		estimate_index(report, heap, index);
		steward_target_close(index);
	}
	steward_target_close(heap);
}

/* Bytes that so many pages less would be, never negative. */
static int64
wasted_bytes(const IndexReport *report, double pages)
{
	double		wasted = report->nblocks - rint(pages);

	return (int64) Max(wasted, 0) * BLCKSZ;
}

/*
 * Append the row of the current index.
 */
static void
append_row(IndexReport *report, StewardRows *rows)
{
	StewardIndexBloat *bloat = &report->bloat;
	int64		bytes = (int64) report->nblocks * BLCKSZ;
	bool		known = bloat->reason == NULL;
	bool		interval = known && !report->quick;
	int64		wasted = known ? wasted_bytes(report, bloat->pages) : 0;
	int64		low = Min(wasted_bytes(report, bloat->pages_high), wasted);
	int64		high = Max(wasted_bytes(report, bloat->pages_low), wasted);

	if (!known && bytes == 0)
		bytes = steward_target_file_bytes(report->index);
	steward_rows_oid(rows, report->index);
	steward_rows_int64(rows, bytes);
	steward_rows_datum(rows, Int64GetDatum(wasted), !known);
	steward_rows_datum(rows, Int64GetDatum(low), !interval);
	steward_rows_datum(rows, Int64GetDatum(high), !interval);
	steward_rows_datum(rows, Int64GetDatum((int64) rint(bloat->deleted_pages) *
										   BLCKSZ), !known);
	steward_rows_datum(rows, Int64GetDatum((int64) rint(bloat->dead_bytes)),
					   !interval);
	steward_rows_datum(rows, Int64GetDatum((int64) rint(bloat->held_bytes)),
					   !interval);
	steward_rows_int64(rows, bloat->blocks_read + report->heap_blocks_read);
	steward_rows_text(rows, known ? bloat->method : NULL);
	steward_rows_text(rows, bloat->reason);
	steward_rows_end_row(rows);
}

/* Is this index valid?  One that is gone counts as valid. */
static bool
index_is_valid(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool		valid = true;

	if (HeapTupleIsValid(tuple))
	{
		valid = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
		ReleaseSysCache(tuple);
	}
	return valid;
}

/*
 * Measure the current index, within what is left of the budget.
 */
static void
measure_index(IndexReport *report)
{
	StewardIndexBloat *bloat = &report->bloat;

	if (!index_is_valid(report->index))
	{
		/* no query uses it: all of it is waste */
		report->nblocks = steward_target_file_bytes(report->index) / BLCKSZ;
		bloat->method = METHOD_CATALOG;
		return;
	}
	if (report->budget == 0)
	{
		bloat->reason = "skipped: pg_steward.bloat_max_blocks were read";
		return;
	}
	if (!steward_target_guarded(work_on_index, report, &bloat->reason))
		report->heap_known = false;
	if (report->budget > 0)
		report->budget -= Min(report->budget,
							  bloat->blocks_read + report->heap_blocks_read);
}

/*
 * Report one index.
 */
static void
report_index(IndexReport *report, Oid index, StewardRows *rows)
{
	Oid			table = IndexGetRelation(index, true);

	report->index = index;
	report->nblocks = 0;
	report->heap_blocks_read = 0;
	memset(&report->bloat, 0, sizeof(StewardIndexBloat));
	if (table != report->table)
	{
		report->table = table;
		report->heap_known = false;
		MemoryContextReset(report->table_context);
	}

	report->bloat.reason = steward_target_refusal(index);
	if (report->bloat.reason == NULL)
		report->bloat.reason = steward_target_refusal(table);
	if (report->bloat.reason == NULL)
		measure_index(report);
	append_row(report, rows);
}

/*
 * Check the arguments of index_bloat() and take them over.
 */
static void
take_arguments(FunctionCallInfo fcinfo, IndexReport *report)
{
	char	   *method = PG_ARGISNULL(1) ? "" :
		text_to_cstring(PG_GETARG_TEXT_PP(1));

	report->exact = strcmp(method, METHOD_EXACT) == 0;
	report->quick = strcmp(method, METHOD_QUICK) == 0;
	if (!report->exact && !report->quick && strcmp(method, METHOD_SAMPLE) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for \"method\": \"%s\"", method),
				 errhint("Methods are sample, exact and quick.")));

	report->sample_blocks = PG_ARGISNULL(2) ? 300 : PG_GETARG_INT32(2);
	if (report->sample_blocks < MIN_SAMPLE_BLOCKS ||
		report->sample_blocks > MAX_SAMPLE_BLOCKS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"sample_blocks\" must be between %d and %d",
						MIN_SAMPLE_BLOCKS, MAX_SAMPLE_BLOCKS)));

	report->budget = PG_GETARG_BOOL(3) && !report->exact ?
		steward_bloat_max_blocks : -1;
	report->patience_ms = steward_target_patience();
}

/*
 * index_bloat(): arguments and columns as declared in 23_index_bloat.sql.
 */
Datum
pg_steward_index_bloat(PG_FUNCTION_ARGS)
{
	IndexReport *report = palloc0_object(IndexReport);
	MemoryContext context;
	MemoryContext old;
	StewardRows rows;
	Datum	   *indexes;
	int			nindexes = 0;

	steward_rows_begin(&rows, fcinfo);
	take_arguments(fcinfo, report);
	if (!PG_ARGISNULL(0))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), OIDOID, sizeof(Oid), true,
						  TYPALIGN_INT, &indexes, NULL, &nindexes);

	report->table_context = AllocSetContextCreate(CurrentMemoryContext,
												  "pg_steward heap of an index",
												  ALLOCSET_DEFAULT_SIZES);
	context = AllocSetContextCreate(CurrentMemoryContext,
									"pg_steward index bloat",
									ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < nindexes; i++)
	{
		CHECK_FOR_INTERRUPTS();
		old = MemoryContextSwitchTo(context);
		report_index(report, DatumGetObjectId(indexes[i]), &rows);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
	MemoryContextDelete(report->table_context);
	return (Datum) 0;
}
