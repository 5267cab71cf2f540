/*-------------------------------------------------------------------------
 *
 * brin_bloat.c
 *	  What REINDEX would free of a BRIN index.
 *
 * Next to nothing, as a rule: a new index has one summary for each range of
 * the table, next to each other, and a map of the ranges before.  But where
 * summaries have grown they leave holes behind, and where the table has shrunk
 * there are too many of them.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/brin.h"
#include "access/brin_page.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/index_sample.h"

/* Part of the new index by which the model may be off. */
#define MODEL_ERROR 0.05

/* Values of a page. */
enum
{
	VALUE_BYTES,				/* of summaries, with line pointers */
	VALUE_SUMMARIES
};

/* Read a page. */
static bool
read_page(StewardIndexSample *sample, Page page, StewardPageValues *values)
{
	OffsetNumber max = PageGetMaxOffsetNumber(page);

	if (BRIN_IS_REVMAP_PAGE(page))
		return true;
	if (!BRIN_IS_REGULAR_PAGE(page))
		return false;
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		ItemId		id = PageGetItemId(page, off);

		if (!ItemIdIsUsed(id))
			continue;
		values->value[VALUE_BYTES] += MAXALIGN(ItemIdGetLength(id)) +
			sizeof(ItemIdData);
		values->value[VALUE_SUMMARIES]++;
	}
	values->used = values->value[VALUE_BYTES];
	values->empty = values->used == 0;
	return true;
}

/*
 * Estimate a BRIN index.
 */
void
steward_brin_bloat(const StewardIndexTask *task, StewardIndexBloat *result)
{
	StewardIndexSample *sample = palloc0_object(StewardIndexSample);
	double		error;
	double		ignored;
	double		bytes;
	double		summaries;
	BrinOptions *options = (BrinOptions *) task->index->rd_options;
	BlockNumber per_range = options && options->pagesPerRange > 0 ?
		options->pagesPerRange : BRIN_DEFAULT_PAGES_PER_RANGE;
	double		ranges = ceil((double) task->heap->nblocks / per_range);
	double		space = BLCKSZ - SizeOfPageHeaderData -
		MAXALIGN(sizeof(BrinSpecialSpace));
	int			entries_per_page = REVMAP_PAGE_MAXITEMS;

	sample->task = task;
	sample->reader = read_page;
	sample->special = sizeof(BrinSpecialSpace);
	steward_index_sample_read(sample, BRIN_METAPAGE_BLKNO + 1, result);
	bytes = steward_index_sample_mean(sample, VALUE_BYTES, &error);
	summaries = steward_index_sample_mean(sample, VALUE_SUMMARIES, &ignored);
	steward_index_sample_describe(sample, 1, result);

	if (summaries > 0)
		bytes *= Max(ranges, 1) / summaries;
	result->pages = 1 + ceil(Max(ranges, 1) / entries_per_page) +
		Max(ceil(bytes / space), 1);
	error = error / space + MODEL_ERROR * result->pages + 1;
	result->pages_low = result->pages - error;
	result->pages_high = result->pages + error;
}
