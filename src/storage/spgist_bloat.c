/*-------------------------------------------------------------------------
 *
 * spgist_bloat.c
 *	  What REINDEX would free of an SP-GiST index.
 *
 * Live leaf and inner tuples need as many pages as the usual density of a new
 * index tells, which depends on how the operator class divides the space: in
 * four (points), by one character (texts), or in two (k-d trees, networks).
 * Tuples that mark where others were moved to or deleted are gone.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/spgist_private.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/index_sample.h"

/* Density of leaf and inner pages of a new index. */
#define LEAF_DENSITY 0.69
#define INNER_DENSITY 0.69

/* Part of the new index by which the model may be off. */
#define MODEL_ERROR 0.12

/* Values of a page. */
enum
{
	VALUE_LEAF_BYTES,
	VALUE_INNER_BYTES
};

/* Read a page. */
static bool
read_page(StewardIndexSample *sample, Page page, StewardPageValues *values)
{
	SpGistPageOpaque opaque = SpGistPageGetOpaque(page);
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	bool		leaf = SpGistPageIsLeaf(page);

	if (opaque->spgist_page_id != SPGIST_PAGE_ID || SpGistPageIsMeta(page))
		return false;
	values->empty = true;
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		ItemId		id = PageGetItemId(page, off);
		SpGistDeadTuple tuple;
		double		bytes = ItemIdGetLength(id) + sizeof(ItemIdData);

		if (!ItemIdHasStorage(id) ||
			ItemIdGetLength(id) < sizeof(SpGistInnerTupleData) ||
			ItemIdGetOffset(id) < ((PageHeader) page)->pd_upper ||
			ItemIdGetOffset(id) + ItemIdGetLength(id) >
			((PageHeader) page)->pd_special)
			return false;
		tuple = (SpGistDeadTuple) PageGetItem(page, id);
		values->used += bytes;
		if (tuple->tupstate != SPGIST_LIVE)
			continue;
		values->empty = false;
		if (leaf)
		{
			values->value[VALUE_LEAF_BYTES] += bytes;
			steward_index_sample_entry(sample,
									   &((SpGistLeafTuple) tuple)->heapPtr);
		}
		else
			values->value[VALUE_INNER_BYTES] += bytes;
	}
	return true;
}

/*
 * Estimate an SP-GiST index.
 */
void
steward_spgist_bloat(const StewardIndexTask *task, StewardIndexBloat *result)
{
	StewardIndexSample *sample = palloc0_object(StewardIndexSample);
	double		error;
	double		doubt;
	double		ignored;
	double		alive;
	double		leaves;
	double		inner;

	sample->task = task;
	sample->reader = read_page;
	sample->special = sizeof(SpGistPageOpaqueData);
	steward_index_sample_read(sample, SPGIST_ROOT_BLKNO, result);
	alive = steward_index_sample_alive(sample, &doubt);
	leaves = steward_index_sample_mean(sample, VALUE_LEAF_BYTES, &error) *
		alive / SPGIST_PAGE_CAPACITY / LEAF_DENSITY;
	inner = steward_index_sample_mean(sample, VALUE_INNER_BYTES, &ignored) *
		alive / SPGIST_PAGE_CAPACITY / INNER_DENSITY;
	steward_index_sample_describe(sample, alive, result);

	/* metapage, root, root of nulls */
	result->pages = 3 + leaves + inner;
	error = error / SPGIST_PAGE_CAPACITY / LEAF_DENSITY +
		(doubt + MODEL_ERROR) * result->pages + 1;
	result->pages_low = result->pages - error;
	result->pages_high = result->pages + error;
}
