/*-------------------------------------------------------------------------
 *
 * table_bloat.c
 *	  get_table_bloat(): the bloat of many tables, one after the other.
 *
 * Here tables are chosen, and each is measured or gets a reason why not;
 * bloat_report.c puts partitions together and writes the rows.  Files are
 * looked at first: what is too small to waste as much as the caller asks for -
 * for a partition, the whole tree - is not read at all.
 *
 * All samples of one call together read at most pg_steward.bloat_max_blocks
 * blocks of tables (maps not counted).  Each table may use the share of what
 * is left that corresponds to its size; biggest first, so that what settled
 * early leaves more for the rest.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/rows.h"
#include "storage/bloat_report.h"
#include "storage/bloat_target.h"
#include "storage/block_sample.h"
#include "storage/heap_bloat.h"

PG_FUNCTION_INFO_V1(pg_steward_table_bloat);

/* A table with fewer blocks to read than this gets none. */
#define MIN_SHARE 16

typedef enum BloatMethod
{
	METHOD_SAMPLE,
	METHOD_EXACT,
	METHOD_QUICK
} BloatMethod;

/* A table to be measured. */
typedef struct BloatTable
{
	Oid			relid;
	Oid			root;			/* table whose size decides, see above */
	List	   *ancestors;		/* partitioned tables above it, OIDs */
	const char *schema;			/* names, kept in case it is dropped */
	const char *name;
	int64		bytes;			/* heap and TOAST, by their files */
	double		need;			/* blocks that a sample may take */
} BloatTable;

/* Arguments and state of a call. */
typedef struct BloatRun
{
	BloatMethod method;
	int			sample_blocks;
	Oid			target;			/* or InvalidOid for all tables */
	bool		partitioned;	/* the target is a partitioned table */
	int64		min_waste;
	bool		bounded;		/* bloat_max_blocks applies */
	int			patience_ms;
	int64		blocks_left;
	double		need_left;
} BloatRun;

/* What is handed through steward_target_guarded(). */
typedef struct BloatWork
{
	BloatRun   *run;
	BloatTable *table;
	StewardHeapBloat bloat;
	const char *reason;
} BloatWork;

/* The method of this name. */
static BloatMethod
parse_method(const char *name)
{
	if (strcmp(name, "sample") == 0)
		return METHOD_SAMPLE;
	if (strcmp(name, "exact") == 0)
		return METHOD_EXACT;
	if (strcmp(name, "quick") == 0)
		return METHOD_QUICK;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid method of measuring bloat: \"%s\"", name),
			 errhint("Methods are \"sample\", \"exact\" and \"quick\".")));
}

/*
 * Read and check the arguments: those of get_table_bloat().  What is null has
 * its default.
 */
static void
begin_run(BloatRun *run, FunctionCallInfo fcinfo)
{
	memset(run, 0, sizeof(BloatRun));
	run->target = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	run->min_waste = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	run->method = METHOD_SAMPLE;
	if (!PG_ARGISNULL(2))
		run->method = parse_method(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	run->sample_blocks = PG_ARGISNULL(3) ? 300 : PG_GETARG_INT32(3);
	if (run->min_waste < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"min_waste_bytes\" must not be negative")));
	if (run->sample_blocks < 10 || run->sample_blocks > 1000000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"sample_blocks\" must be between 10 and 1000000"),
				 errhint("To read all blocks, use the method \"exact\".")));
	run->bounded = run->method == METHOD_SAMPLE ||
		(run->method == METHOD_EXACT && !OidIsValid(run->target));
	run->patience_ms = steward_target_patience();
	run->blocks_left = steward_bloat_max_blocks;
}

/* Blocks that a sample of this relation may take. */
static double
blocks_needed(const BloatRun *run, int64 bytes)
{
	int64		whole = bytes / BLCKSZ;
	double		blocks = (double) whole;

	if (run->method == METHOD_SAMPLE)
		blocks = Min(blocks,
					 (double) run->sample_blocks * STEWARD_SAMPLE_GROWTH);
	return blocks;
}

static int
compare_roots(const void *left, const void *right)
{
	Oid			a = ((const BloatTable *) left)->root;
	Oid			b = ((const BloatTable *) right)->root;

	return (a > b) - (a < b);
}

static int
compare_sizes(const void *left, const void *right)
{
	const BloatTable *a = left;
	const BloatTable *b = right;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return (a->relid > b->relid) - (a->relid < b->relid);
}

/*
 * Leave out tables whose tree is smaller than min_bytes; order the others by
 * size.  Returns how many are left.
 */
static int
select_tables(BloatTable *tables, int n, int64 min_bytes)
{
	int			kept = 0;

	qsort(tables, n, sizeof(BloatTable), compare_roots);
	for (int first = 0, next; first < n; first = next)
	{
		int64		bytes = 0;

		for (next = first; next < n && tables[next].root == tables[first].root; next++)
			bytes += tables[next].bytes;
		if (bytes < min_bytes)
			continue;
		for (int i = first; i < next; i++)
			tables[kept++] = tables[i];
	}
	qsort(tables, kept, sizeof(BloatTable), compare_sizes);
	return kept;
}

/*
 * Refuse what the report is not about.
 */
static void
check_is_table(Oid relid, char relkind)
{
	bool		is_index = relkind == RELKIND_INDEX ||
		relkind == RELKIND_PARTITIONED_INDEX;

	if (relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW ||
		relkind == RELKIND_TOASTVALUE || relkind == RELKIND_FOREIGN_TABLE)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("\"%s\" is not a table or materialized view",
					get_rel_name(relid)),
			 is_index ? errhint("Use get_index_bloat() for indexes.") : 0));
}

/*
 * Fill in a table, which may have been dropped.  Its ancestors count up to the
 * target.
 */
static void
describe_table(const BloatRun *run, Oid relid, BloatTable *table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			toast = InvalidOid;

	memset(table, 0, sizeof(BloatTable));
	table->relid = table->root = relid;
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);

		check_is_table(relid, class->relkind);
		toast = class->reltoastrelid;
		table->name = pstrdup(NameStr(class->relname));
		table->schema = get_namespace_name(class->relnamespace);
		if (class->relispartition && relid != run->target)
			table->ancestors = get_partition_ancestors(relid);
		ReleaseSysCache(tuple);
	}
	if (OidIsValid(run->target) &&
		list_member_oid(table->ancestors, run->target))
		while (llast_oid(table->ancestors) != run->target)
			table->ancestors = list_delete_last(table->ancestors);
	if (table->ancestors != NIL)
		table->root = llast_oid(table->ancestors);

	table->bytes = steward_target_file_bytes(relid);
	table->need = blocks_needed(run, table->bytes);
	if (OidIsValid(toast))
	{
		int64		bytes = steward_target_file_bytes(toast);

		table->bytes += bytes;
		table->need += blocks_needed(run, bytes);
	}
}

/*
 * OIDs of the tables that the call is about, partitioned ones left out: the
 * target and all below it, or all but system catalogs.  No lock is taken on
 * them.
 */
static List *
choose_tables(BloatRun *run)
{
	List	   *members = NIL;
	List	   *chosen = NIL;
	ListCell   *lc;

	if (OidIsValid(run->target))
	{
		run->partitioned =
			get_rel_relkind(run->target) == RELKIND_PARTITIONED_TABLE;
		if (!run->partitioned)
			return list_make1_oid(run->target);
		members = find_all_inheritors(run->target, NoLock, NULL);
		foreach(lc, members)
		{
			if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_PARTITIONED_TABLE)
				chosen = lappend_oid(chosen, lfirst_oid(lc));
		}
	}
	else
	{
		Relation	catalog = table_open(RelationRelationId, AccessShareLock);
		SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL,
											  0, NULL);
		HeapTuple	tuple;

		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);

			if ((class->relkind == RELKIND_RELATION ||
				 class->relkind == RELKIND_MATVIEW) &&
				class->oid >= FirstNormalObjectId)
				chosen = lappend_oid(chosen, class->oid);
		}
		systable_endscan(scan);
		table_close(catalog, AccessShareLock);
	}
	return chosen;
}

/*
 * The tables to be measured, biggest first.
 */
static BloatTable *
list_tables(BloatRun *run, int *ntables)
{
	List	   *chosen = choose_tables(run);
	BloatTable *tables = palloc_array(BloatTable, list_length(chosen) + 1);
	ListCell   *lc;
	int			n = 0;

	foreach(lc, chosen)
	{
		CHECK_FOR_INTERRUPTS();
		describe_table(run, lfirst_oid(lc), &tables[n++]);
	}
	*ntables = select_tables(tables, n,
							 OidIsValid(run->target) ? 0 : run->min_waste);
	for (int i = 0; i < *ntables; i++)
		run->need_left += tables[i].need;
	return tables;
}

/*
 * Blocks that a table may use of what is left; 0 if it is too few.
 */
static int64
share_of_budget(BloatRun *run, const BloatTable *table)
{
	double		share;

	if (!run->bounded)
		return PG_INT64_MAX;
	if (run->need_left <= run->blocks_left)
		share = PG_INT32_MAX;
	else if (run->method == METHOD_EXACT)
		share = table->need <= run->blocks_left ? table->need : 0;
	else
		share = table->need * run->blocks_left / run->need_left;
	run->need_left -= table->need;
	return share >= Min(table->need, MIN_SHARE) ? (int64) share : 0;
}

/* Measure one table that is open. */
static void
measure(BloatWork *work, Relation rel, int64 budget)
{
	BloatRun   *run = work->run;
	StewardHeapBloatOptions options = {
		.sample_blocks = run->sample_blocks,
		.budget = budget,
		.exact = run->method == METHOD_EXACT,
		.toast = true,
		.patience_ms = &run->patience_ms,
	};

	if (run->method == METHOD_QUICK)
	{
		steward_quick_bloat_estimate(rel, &run->patience_ms, &work->bloat,
									 &work->reason);
		return;
	}

	steward_heap_bloat_estimate(rel, &options, &work->bloat);
	run->blocks_left -= Min(work->bloat.blocks_read, run->blocks_left);
	if (work->bloat.interrupted)
		work->reason = "skipped: gave way to another session that needs the table";
}

/* Open and measure one table; called in a subtransaction. */
static void
measure_table(void *arg)
{
	BloatWork  *work = arg;
	BloatRun   *run = work->run;
	Relation	rel;
	int64		budget = PG_INT64_MAX;

	if (run->method != METHOD_QUICK)
		budget = share_of_budget(run, work->table);
	if (budget == 0 && work->table->need > 0)
	{
		work->reason = "skipped: pg_steward.bloat_max_blocks is used up by other tables";
		return;
	}
	rel = steward_target_open(work->table->relid, &run->patience_ms,
							  &work->reason);
	if (rel == NULL)
		return;
	measure(work, rel, budget);
	steward_target_close(rel);
}

/*
 * What a table's row says.  Sizes come from its files where the table was not
 * opened.
 */
static void
fill_row(const BloatWork *work, StewardBloatRow *row)
{
	const StewardHeapBloat *bloat = &work->bloat;
	bool		quick = work->run->method == METHOD_QUICK;

	row->relid = work->table->relid;
	row->ancestors = work->table->ancestors;
	row->schema = work->table->schema;
	row->name = work->table->name;
	row->heap = bloat->heap;
	row->toast = bloat->toast;
	row->heap_known = work->reason == NULL;
	row->toast_known = row->heap_known && bloat->toast_reason == NULL;
	row->interval = !quick;
	row->counts_known = row->heap_known && !quick;
	row->dead_bytes = bloat->dead_bytes;
	row->free_bytes = bloat->free_bytes;
	row->held_bytes = bloat->held_bytes;
	row->blocks_read = bloat->blocks_read;
	row->reason = work->reason;
	if (row->reason == NULL && bloat->toast_reason != NULL)
		row->reason = psprintf("TOAST: %s", bloat->toast_reason);
	if (!row->heap_known && row->heap.bytes == 0 && row->toast.bytes == 0)
	{
		row->heap.bytes = steward_target_file_bytes(row->relid);
		row->toast.bytes = Max(work->table->bytes - row->heap.bytes, 0);
	}
}

/*
 * get_table_bloat(): columns as declared in 22_bloat.sql.
 */
Datum
pg_steward_table_bloat(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"sample", "exact", "quick"};
	StewardRows rows;
	BloatRun	run;
	BloatTable *tables;
	StewardBloatRow *measured;
	int			ntables;

	steward_rows_begin(&rows, fcinfo);
	begin_run(&run, fcinfo);
	tables = list_tables(&run, &ntables);
	measured = palloc0_array(StewardBloatRow, ntables + 1);
	for (int i = 0; i < ntables; i++)
	{
		BloatWork	work = {.run = &run, .table = &tables[i]};

		CHECK_FOR_INTERRUPTS();
		work.reason = steward_target_refusal(tables[i].relid);
		if (work.reason == NULL)
			(void) steward_target_guarded(measure_table, &work, &work.reason);
		fill_row(&work, &measured[i]);
	}
	steward_bloat_report(&rows, measured, ntables, run.target,
						 run.partitioned, run.min_waste, names[run.method]);
	return (Datum) 0;
}
