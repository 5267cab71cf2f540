/*-------------------------------------------------------------------------
 *
 * bloat_report.c
 *	  Rows of get_table_bloat(): partitions summed up, sorted, with advice.
 *
 * Partitions are measured each on its own, so that their errors are
 * independent: the distance from the sum to its bounds is the root of the sum
 * of the squares of theirs.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xlog.h"
#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "storage/bloat_report.h"

/* Advice: VACUUM if more than this share of a table is dead rows, ... */
#define VACUUM_SHARE 0.1
/* ... a rewrite if it frees this share, and surely that. */
#define REWRITE_SHARE 0.2
#define REWRITE_SURE_SHARE 0.1
/* ... and somebody's old snapshot is mentioned if it holds this share. */
#define HELD_SHARE 0.1

/* A row with what it is sorted by. */
typedef struct SortedRow
{
	StewardBloatRow *row;
	const char *schema;
	const char *name;
	int64		size;
	int64		waste;			/* -1 if not known */
} SortedRow;

/* Advice is given for tables that the report is about, in this state. */
typedef struct AdviceContext
{
	int64		min_waste;
	bool		standby;
	bool		repack;
	bool		squeeze;
} AdviceContext;

/* Add what is known of a table's waste to a partitioned table's. */
static void
add_waste(StewardWaste *sum, double *low_square, double *high_square,
		  const StewardWaste *waste, bool known)
{
	double		low = (double) (waste->wasted - waste->wasted_low);
	double		high = (double) (waste->wasted_high - waste->wasted);

	sum->bytes += waste->bytes;
	if (!known)
		return;
	sum->wasted += waste->wasted;
	*low_square += low * low;
	*high_square += high * high;
}

/* Bounds of a sum. */
static void
set_bounds(StewardWaste *sum, double low_square, double high_square)
{
	sum->wasted_low = Max(sum->wasted - (int64) sqrt(low_square), 0);
	sum->wasted_high = Min(sum->wasted + (int64) sqrt(high_square), sum->bytes);
}

/* Add a partition to a partitioned table above it. */
static void
add_partition(StewardBloatRow *sum, const StewardBloatRow *part)
{
	add_waste(&sum->heap, &sum->heap_low_square, &sum->heap_high_square,
			  &part->heap, part->heap_known);
	add_waste(&sum->toast, &sum->toast_low_square, &sum->toast_high_square,
			  &part->toast, part->toast_known);
	sum->heap_known |= part->heap_known;
	sum->toast_known |= part->toast_known;
	sum->interval |= part->interval;
	sum->counts_known |= part->counts_known;
	sum->dead_bytes += part->dead_bytes;
	sum->free_bytes += part->free_bytes;
	sum->held_bytes += part->held_bytes;
	sum->blocks_read += part->blocks_read;
	sum->parts++;
	if (part->reason != NULL)
	{
		sum->incomplete++;
		sum->reason = part->reason;
	}
}

/*
 * Sum up partitions.  Returns the partitioned tables' rows, as a table by OID.
 */
static HTAB *
sum_partitions(const StewardBloatRow *tables, int ntables)
{
	HASHCTL		ctl;
	HTAB	   *sums;

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(StewardBloatRow);
	ctl.hcxt = CurrentMemoryContext;
	sums = hash_create("pg_steward bloat of partitioned tables", 64, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < ntables; i++)
	{
		ListCell   *lc;

		foreach(lc, tables[i].ancestors)
		{
			Oid			relid = lfirst_oid(lc);
			bool		found;
			StewardBloatRow *sum = hash_search(sums, &relid, HASH_ENTER, &found);

			if (!found)
			{
				memset(sum, 0, sizeof(StewardBloatRow));
				sum->relid = relid;
			}
			add_partition(sum, &tables[i]);
		}
	}
	return sums;
}

/* Complete the row of a partitioned table. */
static void
finish_sum(StewardBloatRow *sum)
{
	set_bounds(&sum->heap, sum->heap_low_square, sum->heap_high_square);
	set_bounds(&sum->toast, sum->toast_low_square, sum->toast_high_square);
	if (sum->incomplete > 0)
		sum->reason = psprintf("%d of %d partitions incomplete, such as: %s",
							   sum->incomplete, sum->parts, sum->reason);
}

/* Look up names and sums of a row. */
static void
prepare_row(SortedRow *sorted, StewardBloatRow *row)
{
	sorted->row = row;
	sorted->name = row->name ? row->name : get_rel_name(row->relid);
	sorted->schema = row->schema;
	if (sorted->schema == NULL && sorted->name != NULL)
		sorted->schema = get_namespace_name(get_rel_namespace(row->relid));
	sorted->size = row->heap.bytes + row->toast.bytes;
	sorted->waste = -1;
	if (row->heap_known || row->toast_known)
		sorted->waste = (row->heap_known ? row->heap.wasted : 0) +
			(row->toast_known ? row->toast.wasted : 0);
}

/* Order: most waste, unknown last, size, name. */
static int
compare_rows(const void *left, const void *right)
{
	const SortedRow *a = left;
	const SortedRow *b = right;
	int			order;

	if (a->waste != b->waste)
		return a->waste < b->waste ? 1 : -1;
	if (a->size != b->size)
		return a->size < b->size ? 1 : -1;
	order = strcmp(a->name ? a->name : "", b->name ? b->name : "");
	if (order == 0)
		order = strcmp(a->schema ? a->schema : "", b->schema ? b->schema : "");
	return order;
}

/* A number of bytes for people. */
static char *
pretty_size(int64 bytes)
{
	return text_to_cstring(DatumGetTextPP(DirectFunctionCall1(pg_size_pretty,
															  Int64GetDatum(bytes))));
}

/* Append a line of advice. */
static void pg_attribute_printf(2, 3)
append_line(StringInfo advice, const char *format,...)
{
	int			needed;

	if (advice->len > 0)
		appendStringInfoChar(advice, '\n');
	for (;;)
	{
		va_list		args;

		va_start(args, format);
		needed = appendStringInfoVA(advice, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(advice, needed);
	}
}

/* The ways to rewrite a table. */
static void
append_rewrite(StringInfo advice, const SortedRow *sorted, const char *name,
			   const AdviceContext *context)
{
	append_line(advice, "VACUUM FULL %s; -- ACCESS EXCLUSIVE lock: nobody reads or writes the table meanwhile; needs %s of disk for the copy",
				name, pretty_size(sorted->size - sorted->waste));
	if (context->repack)
		append_line(advice, "-- or almost without blocking, in a shell: pg_repack --no-order --table=%s",
					quote_literal_cstr(name));
	if (context->squeeze)
		append_line(advice, "-- or almost without blocking: SELECT squeeze.squeeze_table(%s, %s);",
					quote_literal_cstr(sorted->schema),
					quote_literal_cstr(sorted->name));
}

/*
 * SQL that gets rid of a table's waste; NULL if it is not worth the trouble.
 */
static const char *
advise(const SortedRow *sorted, const AdviceContext *context)
{
	StewardBloatRow *row = sorted->row;
	double		size = sorted->size;
	int64		sure = (row->heap_known ? row->heap.wasted_low : 0) +
		(row->toast_known ? row->toast.wasted_low : 0);
	bool		vacuum = row->dead_bytes > VACUUM_SHARE * size;
	bool		held = row->held_bytes > HELD_SHARE * size;
	bool		rewrite = sorted->waste >= context->min_waste &&
		sorted->waste > REWRITE_SHARE * size &&
		(sure > REWRITE_SURE_SHARE * size || !row->interval);
	StringInfoData advice;
	const char *name;

	if (sorted->name == NULL || size == 0 || !(vacuum || held || rewrite))
		return NULL;
	initStringInfo(&advice);
	name = quote_qualified_identifier(sorted->schema, sorted->name);
	if (context->standby)
		append_line(&advice, "-- on the primary:");
	if (held)
		append_line(&advice, "-- first end the old transaction, replication slot or standby query that holds %s",
					pretty_size((int64) row->held_bytes));
	if (vacuum || held)
		append_line(&advice, "VACUUM %s;", name);
	if (rewrite)
		append_rewrite(&advice, sorted, name, context);
	return advice.data;
}

/* Append the columns of a heap's or TOAST table's waste. */
static void
append_waste(StewardRows *rows, const StewardWaste *waste, bool known,
			 bool interval)
{
	steward_rows_int64(rows, waste->bytes);
	steward_rows_datum(rows, Int64GetDatum(waste->wasted), !known);
	steward_rows_datum(rows, Int64GetDatum(waste->wasted_low),
					   !known || !interval);
	steward_rows_datum(rows, Int64GetDatum(waste->wasted_high),
					   !known || !interval);
}

/* Append a row to the result: columns as declared in 22_bloat.sql. */
static void
append_row(StewardRows *rows, const SortedRow *sorted, const char *method,
		   const AdviceContext *context)
{
	StewardBloatRow *row = sorted->row;
	bool		has_share = sorted->waste >= 0 && sorted->size > 0;
	double		share = has_share ? (double) sorted->waste / sorted->size : 0;

	steward_rows_text(rows, sorted->schema);
	steward_rows_text(rows, sorted->name);
	steward_rows_datum(rows, Float8GetDatum(rint(share * 10000) / 10000),
					   !has_share);
	steward_rows_text(rows, sorted->waste < 0 ? NULL :
					  pretty_size(sorted->waste));
	append_waste(rows, &row->heap, row->heap_known, row->interval);
	append_waste(rows, &row->toast, row->toast_known, row->interval);
	steward_rows_datum(rows, Float8GetDatum(rint(share * 10000) / 100),
					   !has_share);
	steward_rows_datum(rows, Int64GetDatum((int64) row->dead_bytes),
					   !row->counts_known);
	steward_rows_datum(rows, Int64GetDatum((int64) row->free_bytes),
					   !row->heap_known);
	steward_rows_datum(rows, Int64GetDatum((int64) row->held_bytes),
					   !row->counts_known);
	steward_rows_int64(rows, row->blocks_read);
	steward_rows_text(rows, method);
	steward_rows_text(rows, row->reason);
	steward_rows_text(rows, advise(sorted, context));
	steward_rows_end_row(rows);
}

/*
 * Write the report: the tables, and the partitioned tables above them.  Left
 * out is what wastes less than min_waste, or could not be measured and has no
 * more bytes than that; but not the target.  "partitioned" tells that the target is a partitioned table
 * and has a row even without partitions.
 */
void
steward_bloat_report(StewardRows *rows, StewardBloatRow *tables, int ntables,
					 Oid target, bool partitioned, int64 min_waste,
					 const char *method)
{
	HTAB	   *sums = sum_partitions(tables, ntables);
	StewardBloatRow empty = {.relid = target, .heap_known = true,
		.toast_known = true, .interval = true, .counts_known = true,
	.reason = "has no partitions"};
	AdviceContext context = {min_waste, RecoveryInProgress(),
		OidIsValid(get_extension_oid("pg_repack", true)),
	OidIsValid(get_extension_oid("pg_squeeze", true))};
	SortedRow  *sorted = palloc_array(SortedRow, ntables +
									  hash_get_num_entries(sums) + 1);
	HASH_SEQ_STATUS status;
	StewardBloatRow *sum;
	int			n = 0;

	for (int i = 0; i < ntables; i++)
		prepare_row(&sorted[n++], &tables[i]);
	hash_seq_init(&status, sums);
	while ((sum = hash_seq_search(&status)) != NULL)
	{
		finish_sum(sum);
		prepare_row(&sorted[n++], sum);
	}
	if (partitioned && hash_get_num_entries(sums) == 0)
		prepare_row(&sorted[n++], &empty);

	qsort(sorted, n, sizeof(SortedRow), compare_rows);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (sorted[i].row->relid == target || sorted[i].waste >= min_waste ||
			(sorted[i].row->reason != NULL && sorted[i].size >= min_waste))
			append_row(rows, &sorted[i], method, &context);
	}
}
