/*-------------------------------------------------------------------------
 *
 * gist_bloat.c
 *	  What REINDEX would free of a GiST index.
 *
 * How full the pages of a new GiST index are depends on how its operator
 * class splits them, and on the order in which rows come: anything from half
 * to nine tenths.  So a small one is built in memory (gist_tree.c) of some
 * thousand leaf tuples of the sample, and the density of its leaves is taken
 * for that of the large one.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/gist_private.h"
#include "access/tupmacs.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/gist_tree.h"
#include "storage/index_sample.h"

/* Bytes of the leaf tuples that are kept for the small tree. */
#define MAX_KEPT_BYTES (1024 * 1024)

/*
 * Part of the new index by which the model may be off, and what each further
 * column adds: a small tree is split by the first ones only.
 */
#define MODEL_ERROR 0.07
#define COLUMN_ERROR 0.05

/*
 * The same, if single values of the first column take more than this part of
 * a page: then the server splits by other columns, but the small tree does
 * not.
 */
#define CROWDED_ERROR 0.5
#define CROWDED_PAGES 0.25

/* Values of a page. */
enum
{
	VALUE_LEAF_BYTES			/* of live tuples, with line pointers */
};

/* Keep a leaf tuple, or not: a random choice of all that are offered. */
static void
keep_tuple(StewardIndexSample *sample, IndexTuple tuple)
{
	StewardGistTuples *tuples = sample->state;
	double		place = tuples->offered++;

	if (tuples->n == 0)
		tuples->most = Min(STEWARD_GIST_KEPT, MAX_KEPT_BYTES / IndexTupleSize(tuple));
	if (place >= tuples->most)
	{
		place = floor(pg_prng_double(&sample->random) * tuples->offered);
		if (place >= tuples->most)
			return;
		pfree(tuples->tuples[(int) place]);
	}
	else
		tuples->n++;
	tuples->tuples[(int) place] = CopyIndexTuple(tuple);
}

/*
 * Do the values of a tuple lie within it?  They are handed to functions of the
 * operator class, which trust their lengths.
 */
static bool
values_are_sound(TupleDesc desc, IndexTuple tuple)
{
	int			size = IndexTupleSize(tuple);
	int			off = IndexInfoFindDataOffset(tuple->t_info);
	uint8	   *present = (uint8 *) tuple + sizeof(IndexTupleData);

	if (off > size)
		return false;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		char	   *value;

		if (IndexTupleHasNulls(tuple) &&
			(present[i / 8] & (1 << (i % 8))) == 0)
			continue;
		/* the first byte tells whether there is padding before */
		if (off >= size)
			return false;
		off = att_align_pointer(off, att->attalign, att->attlen,
								(char *) tuple + off);
		value = (char *) tuple + off;
		if (off >= size ||
			(att->attlen == -1 && !VARATT_IS_1B(value) &&
			 off + VARHDRSZ > size) ||
			(att->attlen == -1 && VARATT_IS_EXTERNAL(value)) ||
			(att->attlen == -1 && VARSIZE_ANY(value) < VARHDRSZ_SHORT) ||
			(att->attlen == -2 && memchr(value, 0, size - off) == NULL))
			return false;
		off = att_addlength_pointer(off, att->attlen, value);
		if (off > size)
			return false;
	}
	return true;
}

/* Read a page. */
static bool
read_page(StewardIndexSample *sample, Page page, StewardPageValues *values)
{
	GISTPageOpaque opaque = GistPageGetOpaque(page);
	OffsetNumber max = PageGetMaxOffsetNumber(page);

	if (opaque->gist_page_id != GIST_PAGE_ID)
		return false;
	if ((opaque->flags & F_DELETED) != 0)
	{
		values->empty = true;
		return true;
	}
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		IndexTuple	tuple = steward_index_sample_tuple(page, off);
		double		bytes;

		if (tuple == NULL)
			return false;
		bytes = IndexTupleSize(tuple) + sizeof(ItemIdData);
		values->used += bytes;
		if ((opaque->flags & F_LEAF) == 0)
			continue;
		if (ItemIdIsDead(PageGetItemId(page, off)))
		{
			sample->nkilled++;
			continue;
		}
		if (!values_are_sound(RelationGetDescr(sample->task->index), tuple))
			return false;
		values->value[VALUE_LEAF_BYTES] += bytes;
		steward_index_sample_entry(sample, &tuple->t_tid);
		keep_tuple(sample, tuple);
	}
	values->empty = max == 0;
	return true;
}

static int
compare_hashes(const void *left, const void *right)
{
	uint32		a = *(const uint32 *) left;
	uint32		b = *(const uint32 *) right;

	return (a > b) - (a < b);
}

/*
 * Do the tuples with the same value of the first column, in an index of so
 * many bytes, take a considerable part of a page?
 */
static bool
values_are_crowded(Relation index, const StewardGistTuples *tuples, double bytes)
{
	TupleDesc	desc = RelationGetDescr(index);
	Form_pg_attribute att = TupleDescAttr(desc, 0);
	uint32	   *hashes = palloc_array(uint32, tuples->n + 1);
	int			distinct = 0;

	if (IndexRelationGetNumberOfKeyAttributes(index) == 1)
		return false;
	for (int i = 0; i < tuples->n; i++)
	{
		bool		isnull;
		Datum		value = index_getattr(tuples->tuples[i], 1, desc, &isnull);

		hashes[i] = isnull ? 0 :
			datum_image_hash(value, att->attbyval, att->attlen);
	}
	qsort(hashes, tuples->n, sizeof(uint32), compare_hashes);
	for (int i = 0; i < tuples->n; i++)
		distinct += i == 0 || hashes[i] != hashes[i - 1];
	pfree(hashes);

	/* mostly seen once: more of them are not in the sample */
	if (distinct > tuples->n / 2)
		return false;
	return bytes > CROWDED_PAGES * STEWARD_GIST_SPACE * distinct;
}

/* Pages of the new index, with so many leaves. */
static double
whole_index(double leaves, double tuple_bytes)
{
	double		fanout = Max(STEWARD_GIST_SPACE * STEWARD_GIST_DENSITY / tuple_bytes, 2);
	double		pages = Max(ceil(leaves), 1);
	double		level = pages;

	while (level > 1)
	{
		level = ceil(level / fanout);
		pages += level;
	}
	return pages;
}

/*
 * Estimate a GiST index.
 */
void
steward_gist_bloat(const StewardIndexTask *task, StewardIndexBloat *result)
{
	StewardIndexSample *sample = palloc0_object(StewardIndexSample);
	StewardGistTuples *tuples = palloc0_object(StewardGistTuples);
	double		density;
	double		model = MODEL_ERROR + COLUMN_ERROR *
		(IndexRelationGetNumberOfKeyAttributes(task->index) - 1);
	double		error;
	double		doubt;
	double		alive;
	double		bytes;
	double		tuple_bytes;

	tuples->tuples = palloc_array(IndexTuple, STEWARD_GIST_KEPT);
	sample->task = task;
	sample->reader = read_page;
	sample->special = sizeof(GISTPageOpaqueData);
	sample->state = tuples;
	steward_index_sample_read(sample, GIST_ROOT_BLKNO, result);
	alive = steward_index_sample_alive(sample, &doubt);
	bytes = steward_index_sample_mean(sample, VALUE_LEAF_BYTES, &error);
	steward_index_sample_describe(sample, alive, result);
	if (result->reason != NULL)
		return;

	error = error * alive + bytes * doubt;
	bytes *= alive;
	tuple_bytes = 32;
	for (int i = 0; i < tuples->n; i++)
		tuple_bytes = (i == 0 ? 0 : tuple_bytes) +
			(IndexTupleSize(tuples->tuples[i]) + (double) sizeof(ItemIdData)) /
			tuples->n;
	density = tuples->n > 0 && bytes > STEWARD_GIST_SPACE / 2 ?
		steward_gist_density(task, tuples, bytes) : 0;
	if (density == 0)
	{
		density = STEWARD_GIST_DENSITY;
		model *= 2;
	}
	if (values_are_crowded(task->index, tuples, bytes))
		model = CROWDED_ERROR;
	/* below one page there is nothing to split */
	if (bytes < STEWARD_GIST_SPACE * 0.9)
		density = 1;
	result->pages = whole_index(bytes / STEWARD_GIST_SPACE / density, tuple_bytes);
	error = error / STEWARD_GIST_SPACE / density + model * result->pages + 1;
	result->pages_low = result->pages - error;
	result->pages_high = result->pages + error;
	steward_index_sample_temper(sample, alive, result);
}
