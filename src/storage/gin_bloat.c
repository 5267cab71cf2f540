/*-------------------------------------------------------------------------
 *
 * gin_bloat.c
 *	  What REINDEX would free of a GIN index.
 *
 * A build collects keys with their TIDs in maintenance_work_mem and inserts
 * them in order of the keys (gininsert.c).  A leaf of the entry tree that is
 * full is split in the middle, and what follows goes to the right half; so
 * the leaves stay half full, with the rest of the item in the middle on top.
 * When memory was used up several times, later rounds fill them further.
 * Leaves of posting trees are filled to the brim, one tree after the other; a
 * posting list that has become short enough returns to the entry tree.  The
 * pending list and keys without TIDs are gone.
 *
 * What is modelled: entries that die do so independently; compressed posting
 * lists shrink in proportion.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/ginblock.h"
#include "access/gin_private.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/index_sample.h"

/* Entry tuples with up to so many TIDs are counted by their number. */
#define MAX_COUNTED 16

/* Bits of a TID's offset in a posting list. */
#define TID_OFFSET_BITS 11

/* Memory of a build for a key, and for a TID (lists grow by doubling). */
#define KEY_MEMORY 140.0
#define TID_MEMORY 9.0

/* Density of leaves that were filled further by later rounds. */
#define MIXED_DENSITY 0.68

/* Part of the new index by which the model may be off. */
#define MODEL_ERROR 0.08

#define ENTRY_SPACE \
	((double) (BLCKSZ - SizeOfPageHeaderData - \
			   MAXALIGN(sizeof(GinPageOpaqueData))))

/* Values of a page. */
enum
{
	VALUE_BYTES,				/* of everything that stays */
	VALUE_KEYS,					/* key bytes of entry tuples */
	VALUE_LISTS,				/* posting lists in entry tuples, bytes */
	VALUE_DATA,					/* posting lists in trees, bytes */
	VALUE_TREES,				/* last leaves of posting trees */
	VALUE_ROOTS,				/* inner pages of posting trees */
	VALUE_PENDING				/* entries of the pending list */
};

/* Sums over the sample. */
typedef struct GinSums
{
	double		tuples;			/* of the entry tree's leaves, with TIDs */
	double		key_bytes;
	double		counted[MAX_COUNTED + 1];	/* key bytes by number of TIDs */
	double		lists;			/* posting lists of one tuple or more */
	double		last_bytes;		/* on last leaves of posting trees */
	double		last_leaves;
} GinSums;

/*
 * Offer the TIDs of one segment of a posting list: the first one, then
 * differences to the one before, seven bits a byte (ginpostinglist.c).  The
 * server's own function trusts what it reads.  Returns false if the segment
 * makes no sense.
 */
static bool
read_segment(StewardIndexSample *sample, const GinPostingList *segment)
{
	const uint8 *byte = (const uint8 *) segment->bytes;
	const uint8 *end = byte + segment->nbytes;
	ItemPointerData tid = segment->first;
	uint64		value = (uint64) ItemPointerGetBlockNumberNoCheck(&tid) <<
		TID_OFFSET_BITS | ItemPointerGetOffsetNumberNoCheck(&tid);

	for (;;)
	{
		uint64		step = 0;
		int			shift = 0;

		if (!ItemPointerIsValid(&tid) ||
			(value >> TID_OFFSET_BITS) > MaxBlockNumber)
			return false;
		steward_index_sample_entry(sample, &tid);
		if (byte >= end)
			return true;
		do
		{
			if (byte >= end || shift > 42)
				return false;
			step |= (uint64) (*byte & 0x7F) << shift;
			shift += 7;
		} while (*byte++ & 0x80);
		value += step;
		ItemPointerSet(&tid, (BlockNumber) (value >> TID_OFFSET_BITS),
					   value & ((1 << TID_OFFSET_BITS) - 1));
	}
}

/*
 * Offer the TIDs of a compressed posting list.  Returns false if it leads out
 * of its space or makes no sense.
 */
static bool
read_list(StewardIndexSample *sample, char *list, int bytes)
{
	while (bytes >= (int) offsetof(GinPostingList, bytes))
	{
		GinPostingList *segment = (GinPostingList *) list;
		int			size = SizeOfGinPostingList(segment);

		if (size > bytes || !read_segment(sample, segment))
			return false;
		list += size;
		bytes -= size;
	}
	return true;
}

/* Read a leaf of the entry tree. */
static bool
read_entries(StewardIndexSample *sample, Page page, StewardPageValues *values)
{
	GinSums    *sums = sample->state;
	OffsetNumber max = PageGetMaxOffsetNumber(page);

	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		IndexTuple	tuple = steward_index_sample_tuple(page, off);
		int			key;
		int			list;
		int			n;

		if (tuple == NULL)
			return false;
		key = IndexTupleSize(tuple);
		list = 0;
		n = MAX_COUNTED;
		if (!GinIsPostingTree(tuple))
		{
			key = GinGetPostingOffset(tuple);
			if (key < (int) sizeof(IndexTupleData) || key > IndexTupleSize(tuple))
				return false;
			list = IndexTupleSize(tuple) - key;
			n = GinGetNPosting(tuple);
			if (n > 0 && GinItupIsCompressed(tuple) &&
				!read_list(sample, (char *) tuple + key, list))
				return false;
		}
		values->used += IndexTupleSize(tuple) + sizeof(ItemIdData);
		if (n == 0)
			continue;
		key += sizeof(ItemIdData);
		values->value[VALUE_KEYS] += key;
		values->value[VALUE_LISTS] += list;
		sums->tuples++;
		sums->lists += list > 0;
		sums->key_bytes += key;
		sums->counted[Min(n, MAX_COUNTED)] += key;
	}
	return true;
}

/* Read a leaf of a posting tree. */
static bool
read_postings(StewardIndexSample *sample, Page page, StewardPageValues *values)
{
	GinSums    *sums = sample->state;
	PageHeader	header = (PageHeader) page;
	int			start = MAXALIGN(SizeOfPageHeaderData) +
		MAXALIGN(sizeof(ItemPointerData));
	int			bytes;

	if (!GinPageIsCompressed(page) || header->pd_lower < start)
		return GinPageIsCompressed(page) == 0;
	bytes = header->pd_lower - start;
	if (!read_list(sample, (char *) page + start, bytes))
		return false;
	values->used = bytes;
	values->value[VALUE_DATA] = bytes;
	values->empty = bytes == 0;
	if (GinPageRightMost(page))
	{
		values->value[VALUE_TREES] = 1;
		sums->last_leaves++;
		sums->last_bytes += bytes;
	}
	return true;
}

/* Read a page. */
static bool
read_page(StewardIndexSample *sample, Page page, StewardPageValues *values)
{
	uint16		flags = GinPageGetOpaque(page)->flags;
	bool		ok = true;

	if (flags & GIN_META)
		return false;
	if (flags & GIN_DELETED)
		values->empty = true;
	else if (flags & GIN_LIST)
	{
		/* pending entries join lists, most of which are there already */
		values->empty = true;
		values->value[VALUE_PENDING] = PageGetMaxOffsetNumber(page);
	}
	else if ((flags & (GIN_DATA | GIN_LEAF)) == GIN_DATA)
		values->value[VALUE_ROOTS] = 1;
	else if (flags & GIN_DATA)
		ok = read_postings(sample, page, values);
	else if (flags & GIN_LEAF)
		ok = read_entries(sample, page, values);

	values->value[VALUE_BYTES] = values->value[VALUE_KEYS] +
		values->value[VALUE_LISTS] + values->value[VALUE_DATA];
	return ok;
}

/* Share of the keys that keep a TID, if this share of the TIDs is alive. */
static double
keys_alive(const GinSums *sums, double alive)
{
	double		bytes = 0;

	if (sums->key_bytes == 0)
		return 1;
	for (int n = 1; n <= MAX_COUNTED; n++)
		bytes += sums->counted[n] *
			(n == MAX_COUNTED ? 1 : 1 - pow(1 - alive, n));
	return bytes / sums->key_bytes;
}

/*
 * Density of the entry tree's leaves, for tuples of this size, if a build
 * dumps its memory so many times.
 */
static double
entry_density(double tuple_bytes, double rounds)
{
	double		half = (ENTRY_SPACE + tuple_bytes) / 2 / ENTRY_SPACE;

	half = Min(half, 0.9);
	if (rounds <= 1)
		return half;
	if (rounds < 2)
		return Min(half * (1 + (rounds - 1) * 0.6), MIXED_DENSITY);
	return MIXED_DENSITY;
}

/*
 * Estimate a GIN index.
 */
void
steward_gin_bloat(const StewardIndexTask *task, StewardIndexBloat *result)
{
	StewardIndexSample *sample = palloc0_object(StewardIndexSample);
	GinSums    *sums = palloc0_object(GinSums);
	double		sum[STEWARD_INDEX_VALUES];
	double		ignored;
	double		error;
	double		doubt;
	double		alive;
	double		scale;
	double		entry_bytes;
	double		tuple_bytes;
	double		rounds;
	double		leaves;
	double		inner;
	double		several;		/* trees of more than one leaf */
	double		single;
	double		single_bytes;
	double		data;
	double		heads;
	double		list_bytes;
	double		pending;

	sample->task = task;
	sample->reader = read_page;
	sample->special = sizeof(GinPageOpaqueData);
	sample->state = sums;
	steward_index_sample_read(sample, GIN_ROOT_BLKNO, result);
	alive = steward_index_sample_alive(sample, &doubt);
	for (int i = 0; i < STEWARD_INDEX_VALUES; i++)
		sum[i] = steward_index_sample_mean(sample, i,
										   i == 0 ? &error : &ignored);
	steward_index_sample_describe(sample, alive, result);
	if (result->reason != NULL)
		return;
	scale = (double) sample->pages.npages / Max(sample->npages, 1);

	/* posting trees: short ones return to the entry tree */
	several = Min(sum[VALUE_ROOTS], sum[VALUE_TREES]);
	single = sum[VALUE_TREES] - several;
	single_bytes = sums->last_leaves > 0 ?
		sums->last_bytes / sums->last_leaves * alive : 0;
	data = (sum[VALUE_DATA] * alive - single * single_bytes) /
		GinDataPageMaxDataSize + several * 1.5;
	data = Max(data, several * 2);
	/* the first TID of a list is not compressed, and stays with its key */
	heads = sums->lists * scale * offsetof(GinPostingList, bytes);
	list_bytes = Max(sum[VALUE_LISTS] - heads, 0) * alive;
	pending = sum[VALUE_PENDING] * alive *
		(sum[VALUE_LISTS] + sum[VALUE_DATA]) / Max(sample->ntids * scale, 1);
	entry_bytes = (sum[VALUE_KEYS] + heads) * keys_alive(sums, alive) +
		list_bytes + pending;
	if (single_bytes < GinMaxItemSize * 0.9)
		entry_bytes += single * single_bytes;
	else
		data += single;

	/* entry tree */
	tuple_bytes = sums->tuples > 0 ? entry_bytes / (sums->tuples * scale) : 32;
	rounds = (sums->tuples * scale * KEY_MEMORY +
			  sample->ntids * scale * alive * TID_MEMORY) /
		(maintenance_work_mem * 1024.0);
	leaves = entry_bytes / ENTRY_SPACE / entry_density(tuple_bytes, rounds);
	leaves = entry_bytes < ENTRY_SPACE ? 1 : Max(leaves, 2);
	inner = sums->tuples > 0 ? sums->key_bytes / sums->tuples : 16;
	inner = leaves <= 1 ? 0 :
		ceil(leaves * inner / (ENTRY_SPACE * entry_density(inner, rounds)));

	result->pages = 1 + leaves + inner + data;
	error = (error + doubt * sum[VALUE_BYTES]) / ENTRY_SPACE / 0.55 +
		MODEL_ERROR * result->pages + 1;
	result->pages_low = result->pages - error;
	result->pages_high = result->pages + error;
}
