/*-------------------------------------------------------------------------
 *
 * row_sample.c
 *	  How many combinations of values there are, from a sample of rows.
 *
 * ANALYZE counts the values of each column by itself.  How often a combination
 * of columns repeats, and so how much a b-tree can merge, depends on how they
 * go together, which it knows only where extended statistics were created.  So
 * where it matters, pages of the table are read, once in a run of the advisor,
 * and of each row a hash of every column is kept.
 *
 * All rows of a page are taken, which would bias an estimate if equal values
 * are near each other.  For combinations the estimate is therefore relative: by
 * how much it exceeds that of the column with most values, both from the sample,
 * times the number that ANALYZE found.  For a column that the table is ordered
 * by, on the other hand, pages are what ANALYZE's sample of rows lacks: they
 * show how many rows in a row are equal, and all combinations with one value of
 * that column.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "advisor/key_statistics.h"
#include "base/compat.h"

/* Rows of a sample, tables that are sampled at most, and their least size. */
#define SAMPLE_ROWS 4000
#define MAX_SAMPLES 200
#define MIN_PAGES 100

/* Runs of a value, on average, up to which equal values stand together. */
#define MAX_RUNS 1.5

/* Rows of a run, on average, from which the table is taken to be ordered. */
#define MIN_RUN 4

#define NULL_HASH 0x9e3779b9

/* Hashes of the columns of some rows, row by row. */
typedef struct StewardRowSample
{
	int			rows;
	int			natts;
	uint32	   *hashes;
	Datum	   *values;			/* room for one row */
	bool	   *nulls;
} StewardRowSample;

/* Hash of a value as it is stored. */
static uint32
hash_value(Datum value, Form_pg_attribute att)
{
	if (att->attlen == -1)
	{
		struct varlena *plain = (struct varlena *) DatumGetPointer(value);

		if (VARATT_IS_EXTERNAL(plain) || VARATT_IS_COMPRESSED(plain))
			return hash_bytes((unsigned char *) plain, VARSIZE_ANY(plain));
		return hash_bytes((unsigned char *) VARDATA_ANY(plain),
						  VARSIZE_ANY_EXHDR(plain));
	}
	if (att->attlen == -2)
		return hash_bytes((unsigned char *) DatumGetCString(value),
						  strlen(DatumGetCString(value)));
	return datum_image_hash(value, att->attbyval, att->attlen);
}

/* Keep the hashes of one row. */
static bool
keep_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	StewardRowSample *sample = arg;
	int			column = 0;
	uint32	   *hashes = &sample->hashes[sample->rows * sample->natts];

	heap_deform_tuple(tuple, desc, sample->values, sample->nulls);
	for (int i = 0; i < desc->natts && column < sample->natts; i++)
		hashes[column++] = sample->nulls[i] ? NULL_HASH :
			hash_value(sample->values[i], TupleDescAttr(desc, i));
	sample->rows++;
	return true;
}

/*
 * The table's sample, taken when it is first asked for; NULL if there is none.
 * Columns are those that SELECT * delivers: dropped ones are missing.
 */
static StewardRowSample *
get_sample(StewardSizeCache *cache, StewardTableStats *table)
{
	MemoryContext old;
	StewardRowSample *sample;

	if (table->sampled || cache->samples >= MAX_SAMPLES ||
		table->pages < MIN_PAGES)
		return table->sample;
	table->sampled = true;
	cache->samples++;
	old = MemoryContextSwitchTo(cache->context);
	sample = palloc0(sizeof(StewardRowSample));
	sample->natts = bms_num_members(table->live_columns);
	sample->hashes = palloc(SAMPLE_ROWS * Max(sample->natts, 1) * sizeof(uint32));
	sample->values = palloc(table->natts * sizeof(Datum));
	sample->nulls = palloc(table->natts * sizeof(bool));
	MemoryContextSwitchTo(old);
	(void) steward_sample_rows(table, SAMPLE_ROWS, keep_row, sample);
	if (sample->rows > 0)
		table->sample = sample;
	return table->sample;
}

/* Order of hashes. */
static int
compare_hashes(const void *a, const void *b)
{
	uint32		left = *(const uint32 *) a;
	uint32		right = *(const uint32 *) b;

	return left < right ? -1 : left > right;
}

/*
 * Different combinations of these columns in the sample, and how many of them
 * there are only once.
 */
static double
count_distinct(StewardTableStats *table, const StewardRowSample *sample,
			   const Bitmapset *columns, double *once)
{
	uint32	   *combined = palloc0(sample->rows * sizeof(uint32));
	double		distinct = 0;
	int			attnum = -1;
	int			run = 1;

	while ((attnum = bms_next_member(columns, attnum)) >= 0)
	{
		/* dropped columns before it are missing in the sample */
		int			at = bms_member_index(table->live_columns, attnum);

		for (int i = 0; i < sample->rows && at >= 0; i++)
			combined[i] = hash_combine(combined[i],
									   sample->hashes[i * sample->natts + at]);
	}
	qsort(combined, sample->rows, sizeof(uint32), compare_hashes);
	*once = 0;
	for (int i = 1; i <= sample->rows; i++)
	{
		if (i < sample->rows && combined[i] == combined[i - 1])
		{
			run++;
			continue;
		}
		distinct++;
		if (run == 1)
			(*once)++;
		run = 1;
	}
	pfree(combined);
	return distinct;
}

/* How often a column changes from one row of the sample to the next, plus 1. */
static double
count_runs(StewardTableStats *table, const StewardRowSample *sample,
		   AttrNumber attnum)
{
	int			at = bms_member_index(table->live_columns, attnum);
	double		runs = 1;

	for (int i = 1; i < sample->rows && at >= 0; i++)
		runs += sample->hashes[i * sample->natts + at] !=
			sample->hashes[(i - 1) * sample->natts + at];
	return runs;
}

/*
 * Estimated number of values of a column by which the table is ordered.  Each
 * page adds a value that the page before it has, too.  0 if there is no sample,
 * or if equal values are near each other but not together: their rows are on
 * more pages then, which the sample does not show.
 */
double
steward_clustered_distinct(StewardSizeCache *cache, StewardTableStats *table,
						   AttrNumber attnum)
{
	StewardRowSample *sample = get_sample(cache, table);
	Bitmapset  *alone;
	double		once;
	double		distinct;
	double		pages;

	if (sample == NULL)
		return 0;
	alone = bms_make_singleton(attnum);
	distinct = count_distinct(table, sample, alone, &once);
	bms_free(alone);
	if (count_runs(table, sample, attnum) > MAX_RUNS * distinct)
		return 0;
	pages = sample->rows / Max(table->tuples / table->pages, 1);
	distinct -= pages * (1 - distinct / sample->rows);
	return Max(table->tuples * distinct / sample->rows, 1);
}

/*
 * If the table is ordered by one of these columns, a combination is only where
 * that one's value is, which the pages of the sample show a part of, or all: as
 * many rows as are there in all, for all values in the sample.  The table's
 * rows if there is no such column.
 */
static double
group_rows(StewardSizeCache *cache, StewardTableStats *table,
		   const StewardRowSample *sample, const Bitmapset *columns)
{
	double		on_page = Max(table->tuples / table->pages, 1);
	double		distinct = 1;
	int			attnum = -1;

	while ((attnum = bms_next_member(columns, attnum)) >= 0)
	{
		if (count_runs(table, sample, (AttrNumber) attnum) * MIN_RUN <= sample->rows)
			distinct = Max(distinct,
						   steward_clustered_distinct(cache, table,
													  (AttrNumber) attnum));
	}
	return Min(sample->rows * Max(table->tuples / distinct / on_page, 1),
			   table->tuples);
}

/*
 * Estimated number of combinations of these columns in the table, of which
 * "widest" has the most values, "widest_distinct".  0 if there is no sample.
 */
double
steward_sampled_distinct(StewardSizeCache *cache, StewardTableStats *table,
						 const Bitmapset *columns, int widest,
						 double widest_distinct)
{
	StewardRowSample *sample = get_sample(cache, table);
	Bitmapset  *alone;
	double		once;
	double		distinct;
	double		rows;
	double		all;
	double		one;

	if (sample == NULL)
		return 0;
	distinct = count_distinct(table, sample, columns, &once);
	rows = group_rows(cache, table, sample, columns);
	if (rows < table->tuples)
		return Min(steward_estimate_distinct(sample->rows, distinct, once, rows) *
				   table->tuples / rows, table->tuples);
	all = steward_estimate_distinct(sample->rows, distinct, once,
									table->tuples);
	alone = bms_make_singleton(widest);
	distinct = count_distinct(table, sample, alone, &once);
	one = steward_estimate_distinct(sample->rows, distinct, once,
									table->tuples);
	bms_free(alone);
	return Min(widest_distinct * Max(all / one, 1), table->tuples);
}
