/*-------------------------------------------------------------------------
 *
 * spgist_bloat.c
 *	  What REINDEX would free of an SP-GiST index.
 *
 * How full the pages of a new index are depends on the keys and on the order
 * of the rows: from a third (points along a line) to more than nine tenths
 * (random texts).  No constant fits, but the index itself tells.  A leaf tuple
 * that VACUUM removes leaves a placeholder of four bytes and a header behind,
 * and a new tuple on the page takes its place first.  So the places of a page
 * say how many tuples it had when it was full, and the new index needs as many
 * pages less as there are placeholders among them.
 *
 * A build leaves placeholders, too, where it moves tuples to other pages:
 * some for each hundred tuples, as measured for the operator families of the
 * server.  The quadtree leaves more the more regular the order of the points
 * is, and fewer places on a page; by the places the two are told apart.
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

/* Operator families of the server, as in pg_opfamily.dat. */
#define RANGE_FAMILY 3474
#define NETWORK_FAMILY 3794
#define QUAD_POINT_FAMILY 4015
#define KD_POINT_FAMILY 4016
#define TEXT_FAMILY 4017

/*
 * Share of a page that tuples and placeholders take in a quadtree of random
 * points and in one of points along a line, and the placeholders of the two
 * for each tuple.
 */
#define RANDOM_FILL 0.92
#define LINE_FILL 0.66
#define RANDOM_PLACEHOLDERS 0.14
#define LINE_PLACEHOLDERS 0.98

/* Pages of a new index are never fuller than that. */
#define HIGHEST_DENSITY 0.95

/*
 * Part of the new index by which the model may be off, and what is added as
 * the index shrinks: how full pages are goes up and down as an index grows.
 */
#define MODEL_ERROR 0.07
#define SHRINK_ERROR 0.3

/* Values of a page. */
enum
{
	VALUE_LIVE,					/* leaf tuples */
	VALUE_GONE,					/* places of leaf tuples that are gone */
	VALUE_BYTES					/* live tuples, leaf and inner */
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
		{
			if (leaf)
				values->value[VALUE_GONE]++;
			continue;
		}
		values->empty = false;
		values->value[VALUE_BYTES] += bytes;
		if (leaf)
		{
			values->value[VALUE_LIVE]++;
			steward_index_sample_entry(sample,
									   &((SpGistLeafTuple) tuple)->heapPtr);
		}
	}
	/* a page without content tells nothing of the others */
	if (values->empty)
		values->value[VALUE_GONE] = 0;
	return true;
}

/*
 * Placeholders that a build leaves for each leaf tuple, and the most that it
 * does.  "fill" is the share of a page that tuples and placeholders take, if
 * each place has a tuple.
 */
static double
fresh_placeholders(Relation index, double fill, double *most)
{
	double		usual;

	switch (index->rd_opfamily[0])
	{
		case TEXT_FAMILY:
			*most = 0.15;
			return 0.06;
		case NETWORK_FAMILY:
			*most = 0.15;
			return 0.05;
		case RANGE_FAMILY:
			*most = 0.35;
			return 0.15;
		case KD_POINT_FAMILY:
			*most = 0.6;
			return 0.25;
		case QUAD_POINT_FAMILY:
			usual = RANDOM_PLACEHOLDERS +
				(LINE_PLACEHOLDERS - RANDOM_PLACEHOLDERS) *
				(RANDOM_FILL - fill) / (RANDOM_FILL - LINE_FILL);
			usual = Max(Min(usual, LINE_PLACEHOLDERS), RANDOM_PLACEHOLDERS);
			*most = usual + 0.25;
			return usual;
		default:
			*most = 0.5;
			return 0.15;
	}
}

/*
 * The part of the pages that are in use now that a new index has, if a build
 * leaves so many placeholders for each leaf tuple.
 */
static double
part_kept(double live, double gone, double placeholders)
{
	if (live == 0)
		return 0;
	return Min(live * (1 + placeholders) / (live + gone), 1);
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
	double		alive;
	double		live;
	double		gone;
	double		bytes;
	double		used;
	double		usual;
	double		most;
	double		shrunk;

	sample->task = task;
	sample->reader = read_page;
	sample->special = sizeof(SpGistPageOpaqueData);
	steward_index_sample_read(sample, SPGIST_ROOT_BLKNO, result);
	alive = steward_index_sample_alive(sample, &doubt);
	live = steward_index_sample_mean(sample, VALUE_LIVE, &error);
	error = live > 0 ? error / live : 0;
	gone = steward_index_sample_mean(sample, VALUE_GONE, &bytes);
	bytes = steward_index_sample_mean(sample, VALUE_BYTES, &used) /
		SPGIST_PAGE_CAPACITY;
	steward_index_sample_describe(sample, alive, result);

	used = Max(sample->pages.npages + sample->pages.nfree -
			   result->deleted_pages, 0);
	usual = fresh_placeholders(task->index,
							   live > 0 && used > 0 ?
							   bytes / used * (live + gone) / live : 1,
							   &most);
	bytes = bytes * alive / HIGHEST_DENSITY;

	/* the metapage is not among the pages, and the root of nulls looks empty */
	result->pages = 2 + Max(used * alive * part_kept(live, gone, usual), bytes);
	result->pages_low = 2 +
		Max(used * alive * part_kept(live, gone, 0), bytes);
	result->pages_high = 2 + used * alive * part_kept(live, gone, most);
	shrunk = 1 - alive * part_kept(live, gone, usual);
	error = ((error + SHRINK_ERROR) * shrunk + doubt + MODEL_ERROR) *
		result->pages + 1;
	result->pages_low -= error;
	result->pages_high += error;
	steward_index_sample_temper(sample, alive, result);
}
