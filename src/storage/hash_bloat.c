/*-------------------------------------------------------------------------
 *
 * hash_bloat.c
 *	  What REINDEX would free of a hash index.
 *
 * A new hash index has as many buckets as the planner's estimate of the
 * table's rows asks for, rounded up to the next of the sizes that the server
 * allocates at once (hashpage.c, _hash_init_metabuffer()), one page each, and
 * more if more rows turn up.  Overflow pages come on top where a bucket gets
 * more entries than a page holds: with unequal keys hardly ever, but all
 * entries of one key share a bucket.  Their number is found by dealing keys
 * as often repeated as those of the sample out to buckets at random.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/hash.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/index_sample.h"

/* Bytes of an entry: header, hash code, line pointer. */
#define ENTRY_BYTES \
	((int) (MAXALIGN(sizeof(IndexTupleData)) + MAXALIGN(sizeof(uint32)) + \
			sizeof(ItemIdData)))

/* Entries of a page. */
#define PAGE_ENTRIES \
	((int) ((BLCKSZ - SizeOfPageHeaderData - \
			 MAXALIGN(sizeof(HashPageOpaqueData))) / ENTRY_BYTES))

/* Buckets that are filled to see how many overflow. */
#define TRIAL_BUCKETS 2000

/* Repetitions of a key that are told apart. */
#define MAX_REPEATED 1024

/* Values of a page. */
enum
{
	VALUE_ENTRIES,				/* all */
	VALUE_FULL					/* on pages that are full of one key */
};

/* How often keys are repeated, in the sample. */
typedef struct HashKeys
{
	double		keys;
	double		repeated[MAX_REPEATED + 1]; /* keys with so many entries */
} HashKeys;

/*
 * Read a page: entries, and how often hash codes are repeated.  Entries of a
 * page are sorted by hash code.
 */
static bool
read_page(StewardIndexSample *sample, Page page, StewardPageValues *values)
{
	HashPageOpaque opaque = HashPageGetOpaque(page);
	HashKeys   *keys = sample->state;
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	uint32		last = 0;
	int			run = 0;
	int			runs = 0;
	int			live = 0;

	if (opaque->hasho_page_id != HASHO_PAGE_ID)
		return false;
	if ((opaque->hasho_flag & (LH_BUCKET_PAGE | LH_OVERFLOW_PAGE)) == 0)
	{
		values->empty = (opaque->hasho_flag & LH_PAGE_TYPE) == LH_UNUSED_PAGE;
		return true;
	}

	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		IndexTuple	tuple = steward_index_sample_tuple(page, off);
		uint32		code;

		if (tuple == NULL ||
			IndexTupleSize(tuple) < sizeof(IndexTupleData) + sizeof(uint32))
			return false;
		if (ItemIdIsDead(PageGetItemId(page, off)))
		{
			sample->nkilled++;
			continue;
		}
		memcpy(&code, (char *) tuple + sizeof(IndexTupleData), sizeof(uint32));
		if (run > 0 && code != last)
		{
			keys->repeated[Min(run, MAX_REPEATED)]++;
			keys->keys++;
			runs++;
			run = 0;
		}
		last = code;
		run++;
		live++;
		steward_index_sample_entry(sample, &tuple->t_tid);
	}
	/* A page full of one key is a part of something that is larger. */
	if (run > 0 && (runs > 0 || run < PAGE_ENTRIES - 1))
	{
		keys->repeated[Min(run, MAX_REPEATED)]++;
		keys->keys++;
	}
	else if (run > 0)
		values->value[VALUE_FULL] = run;
	values->value[VALUE_ENTRIES] = live;
	values->used = live * ENTRY_BYTES;
	values->empty = live == 0;
	return true;
}

/* A number from Poisson's distribution (Knuth's method, in steps). */
static int
draw_poisson(pg_prng_state *random, double mean)
{
	int			n = 0;

	while (mean > 0)
	{
		double		step = Min(mean, 500);
		double		limit = exp(-step);
		double		product = pg_prng_double(random);

		while (product > limit)
		{
			n++;
			product *= pg_prng_double(random);
		}
		mean -= step;
	}
	return n;
}

/*
 * Overflow pages of so many buckets, with so many entries on average, if this
 * share of each key's entries is alive.
 */
static double
overflow_pages(StewardIndexSample *sample, const HashKeys *keys,
			   double buckets, double load, double alive)
{
	double		entries = 0;
	double		overflow = 0;
	double		keys_of_bucket;
	double	   *cumulative;

	if (keys->keys == 0 || load <= 0)
		return 0;
	cumulative = palloc_array(double, MAX_REPEATED + 1);
	cumulative[0] = 0;
	for (int i = 1; i <= MAX_REPEATED; i++)
	{
		entries += i * keys->repeated[i];
		cumulative[i] = cumulative[i - 1] + keys->repeated[i] / keys->keys;
	}
	keys_of_bucket = load / Max(entries / keys->keys * alive, 1);

	for (int trial = 0; trial < TRIAL_BUCKETS; trial++)
	{
		double		n;

		CHECK_FOR_INTERRUPTS();
		if (entries == keys->keys)
		{
			/* all different: the normal distribution will do */
			double		u = Max(pg_prng_double(&sample->random), 1e-12);
			double		v = pg_prng_double(&sample->random);

			n = load + sqrt(load) * sqrt(-2 * log(u)) * cos(2 * M_PI * v);
		}
		else
		{
			int			k = draw_poisson(&sample->random, keys_of_bucket);

			n = 0;
			for (int i = 0; i < k; i++)
			{
				double		u = pg_prng_double(&sample->random);
				int			low = 1;
				int			high = MAX_REPEATED;

				while (low < high)
				{
					int			middle = (low + high) / 2;

					if (cumulative[middle] < u)
						low = middle + 1;
					else
						high = middle;
				}
				n += Max(low * alive, 1);
			}
		}
		overflow += Max(ceil(n / PAGE_ENTRIES) - 1, 0);
	}
	pfree(cumulative);
	return overflow / TRIAL_BUCKETS * buckets;
}

/* Buckets of a new index for so many rows. */
static double
initial_buckets(double rows, int fill)
{
	double		buckets = rows / fill;

	if (buckets <= 2)
		return 2;
	if (buckets >= 0x40000000)
		return 0x40000000;
	return _hash_get_totalbuckets(_hash_spareindex((uint32) buckets));
}

/*
 * Buckets when so many entries have been inserted: the server splits one when
 * there are more than the fill factor says, and allocates ahead.
 */
static double
grown_buckets(double buckets, double entries, int fill)
{
	double		needed = ceil(entries / fill);

	if (needed <= buckets || needed >= 0x40000000)
		return buckets;
	return _hash_get_totalbuckets(_hash_spareindex((uint32) needed));
}

/*
 * Estimate a hash index.
 */
void
steward_hash_bloat(const StewardIndexTask *task, StewardIndexBloat *result)
{
	StewardIndexSample *sample = palloc0_object(StewardIndexSample);
	HashKeys   *keys = palloc0_object(HashKeys);
	int			fill = HashGetTargetPageUsage(task->index) / ENTRY_BYTES;
	double		error;
	double		doubt;
	double		ignored;
	double		alive;
	double		entries;
	double		full;
	double		buckets;
	double		grown;
	double		overflow;
	double		rows;
	double		visible;
	double		spread;
	BlockNumber blocks;

	sample->task = task;
	sample->reader = read_page;
	sample->special = sizeof(HashPageOpaqueData);
	sample->state = keys;
	steward_index_sample_read(sample, HASH_METAPAGE + 1, result);
	alive = steward_index_sample_alive(sample, &doubt);
	entries = steward_index_sample_mean(sample, VALUE_ENTRIES, &error) * alive;
	full = steward_index_sample_mean(sample, VALUE_FULL, &ignored) * alive;

	spread = error * alive + entries * doubt;
	fill = Max(fill, 10);
	estimate_rel_size(task->heap->heap, NULL, &blocks, &rows, &visible);
	buckets = initial_buckets(rows, fill);
	grown = grown_buckets(buckets, entries, fill);
	overflow = full / PAGE_ENTRIES +
		overflow_pages(sample, keys, grown, (entries - full) / grown,
					   alive);

	/* metapage, buckets, first bitmap, overflow pages and their bitmaps */
	result->pages = 1 + grown + 1 + overflow + floor(overflow / (BLCKSZ * 4));
	error = overflow * 0.1 + 1.96 * sqrt(overflow) + error / PAGE_ENTRIES * overflow / grown +
		doubt * overflow + 1;
	result->pages_low = result->pages - error;
	result->pages_high = result->pages + error;
	result->pages_high +=
		grown_buckets(buckets, entries + spread, fill) - grown;
	result->pages_low -=
		grown - grown_buckets(buckets, entries - spread, fill);
	steward_index_sample_describe(sample, alive, result);
}
