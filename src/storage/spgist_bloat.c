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

/* Density of a new index, for operator families that are not listed below. */
#define USUAL_DENSITY 0.69

/* Operator families of the server, as in pg_opfamily.dat. */
#define RANGE_FAMILY 3474
#define QUAD_POINT_FAMILY 4015
#define TEXT_FAMILY 4017

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

/* Density of the pages of a new index, as measured. */
static double
fresh_density(Relation index)
{
	switch (index->rd_opfamily[0])
	{
		case RANGE_FAMILY:
			return 0.61;
		case QUAD_POINT_FAMILY:
			return 0.75;
		case TEXT_FAMILY:
			return 0.78;
		default:
			return USUAL_DENSITY;
	}
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
	double		capacity = SPGIST_PAGE_CAPACITY * fresh_density(task->index);

	sample->task = task;
	sample->reader = read_page;
	sample->special = sizeof(SpGistPageOpaqueData);
	steward_index_sample_read(sample, SPGIST_ROOT_BLKNO, result);
	alive = steward_index_sample_alive(sample, &doubt);
	leaves = steward_index_sample_mean(sample, VALUE_LEAF_BYTES, &error) *
		alive / capacity;
	inner = steward_index_sample_mean(sample, VALUE_INNER_BYTES, &ignored) *
		alive / capacity;
	steward_index_sample_describe(sample, alive, result);

	/* metapage, root, root of nulls */
	result->pages = 3 + leaves + inner;
	error = error / capacity +
		(doubt + MODEL_ERROR) * result->pages + 1;
	result->pages_low = result->pages - error;
	result->pages_high = result->pages + error;
}
