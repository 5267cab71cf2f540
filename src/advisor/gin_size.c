/*-------------------------------------------------------------------------
 *
 * gin_size.c
 *	  How big a GIN index would be when it has just been built.
 *
 * An inverted index has one entry for each different key in the values of a
 * column, with the list of rows that have it.  No statistics of the server tell
 * how many keys there are, so values are sampled and taken apart by the
 * operator class itself.
 *
 * Keys that the sample has often are in the table in proportion; from the rest
 * the number of different keys is estimated (Haas and Stokes, as for columns).
 * Then the server's format is followed (ginpostinglist.c, ginentrypage.c): an
 * entry is an index tuple with the key and the compressed list of rows, whose
 * differences take 1 to 4 bytes; a list too long for a third of a page is a tree
 * of pages of its own, which a build fills.  Entry pages are split in the
 * middle, so that keys that arrive in order leave them half full, and more only
 * when the build needs several passes over maintenance_work_mem.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/gin.h"
#include "access/ginblock.h"
#include "access/htup_details.h"
#include "access/itup.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "advisor/key_statistics.h"
#include "base/compat.h"

/* Ends of a sample, whichever comes first. */
#define SAMPLE_ROWS 10000
#define SAMPLE_ENTRIES 80000

/* A key is frequent if the sample has it so often; others are averaged. */
#define FREQUENT 5

/* Bytes of an entry page that tuples and their line pointers may take. */
#define PAGE_ROOM \
	((double) (BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(GinPageOpaqueData))))

/* Share of it that is used after a build in several passes. */
#define MANY_PASSES_FILL 0.68

/* Bytes of a build's memory for a key and for a row of its list. */
#define BUILD_KEY_BYTES 100
#define BUILD_ROW_BYTES 8

/* Keys of a column's values, from a sample. */
typedef struct GinSample
{
	Node	   *expr;			/* a Var for a column */
	Oid			opclass;
	double		rows;
	double		entries;		/* pairs of key and row */
	double		keys;			/* different ones */
	double		once;			/* of those, seen in one row */
	double		key_bytes;		/* average, as stored */
	int			nfrequent;
	double	   *frequent;		/* rows with each frequent key */
} GinSample;

/* A key while values are sampled. */
typedef struct SampledKey
{
	uint32		hash;			/* hash table key */
	uint32		count;			/* rows */
	uint32		last_row;		/* in which it was seen, so that a row counts
								 * once */
} SampledKey;

typedef struct Sampler
{
	GinSample  *sample;
	FmgrInfo	extract;
	Oid			collation;
	int16		key_typlen;
	bool		key_byval;
	HTAB	   *keys;
	MemoryContext row_context;
	double		bytes;
} Sampler;

/* Count a key that the row has; the null one stands for what is no key. */
static void
count_key(Sampler *sampler, Datum key, bool isnull)
{
	GinSample  *sample = sampler->sample;
	uint32		row = (uint32) sample->rows;
	uint32		hash = 0;
	int			width = 0;
	SampledKey *entry;
	bool		found;

	if (!isnull && sampler->key_typlen == -1)
	{
		struct varlena *plain = PG_DETOAST_DATUM_PACKED(key);

		width = VARSIZE_ANY_EXHDR(plain) + 1;
		hash = hash_bytes((unsigned char *) VARDATA_ANY(plain), width - 1);
	}
	else if (!isnull)
	{
		width = datumGetSize(key, sampler->key_byval, sampler->key_typlen);
		hash = datum_image_hash(key, sampler->key_byval, sampler->key_typlen);
	}

	entry = hash_search(sampler->keys, &hash, HASH_ENTER, &found);
	if (!found)
	{
		entry->count = 0;
		entry->last_row = PG_UINT32_MAX;
		sampler->bytes += width;
	}
	if (entry->last_row == row)
		return;
	entry->last_row = row;
	entry->count++;
	sample->entries++;
}

/* Take one value apart. */
static bool
sample_value(Datum value, bool isnull, void *arg)
{
	Sampler    *sampler = arg;
	MemoryContext old = MemoryContextSwitchTo(sampler->row_context);

	if (isnull)
		count_key(sampler, (Datum) 0, true);
	else
	{
		int32		nkeys = 0;
		bool	   *nulls = NULL;
		Datum	   *keys;

		keys = (Datum *)
			DatumGetPointer(FunctionCall3Coll(&sampler->extract,
											  sampler->collation, value,
											  PointerGetDatum(&nkeys),
											  PointerGetDatum(&nulls)));
		if (keys == NULL || nkeys <= 0)
			count_key(sampler, (Datum) 0, true);
		else
			for (int i = 0; i < nkeys; i++)
				count_key(sampler, keys[i], nulls != NULL && nulls[i]);
	}
	sampler->sample->rows++;
	MemoryContextSwitchTo(old);
	MemoryContextReset(sampler->row_context);
	return sampler->sample->entries < SAMPLE_ENTRIES;
}

/* Type of the keys that an operator class stores for values of this type. */
static Oid
key_type(Oid opclass, Oid valuetype)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Oid			type;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	type = ((Form_pg_opclass) GETSTRUCT(tuple))->opckeytype;
	ReleaseSysCache(tuple);
	if (type == ANYELEMENTOID)
		type = get_base_element_type(valuetype);
	return OidIsValid(type) ? type : getBaseType(valuetype);
}

/* Keep of a finished sample what estimates need. */
static void
summarize_keys(Sampler *sampler)
{
	GinSample  *sample = sampler->sample;
	HASH_SEQ_STATUS scan;
	SampledKey *entry;

	sample->keys = hash_get_num_entries(sampler->keys);
	sample->frequent = palloc((sample->keys + 1) * sizeof(double));
	hash_seq_init(&scan, sampler->keys);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->count == 1)
			sample->once++;
		if (entry->count >= FREQUENT)
			sample->frequent[sample->nfrequent++] = entry->count;
	}
	sample->key_bytes = sampler->bytes / Max(sample->keys, 1);
}

/* Sample the values of a key column. */
static void
take_sample(StewardTableStats *table, Oid collation, GinSample *sample)
{
	Sampler		sampler = {sample};
	HASHCTL		control = {
		.keysize = sizeof(uint32),
		.entrysize = sizeof(SampledKey),
		.hcxt = CurrentMemoryContext
	};
	Oid			opfamily = get_opclass_family(sample->opclass);
	Oid			intype = get_opclass_input_type(sample->opclass);

	fmgr_info(get_opfamily_proc(opfamily, intype, intype,
								GIN_EXTRACTVALUE_PROC), &sampler.extract);
	sampler.collation = collation;
	get_typlenbyval(key_type(sample->opclass, exprType(sample->expr)),
					&sampler.key_typlen, &sampler.key_byval);
	sampler.keys = hash_create("pg_steward keys", 4096, &control,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	sampler.row_context = AllocSetContextCreate(CurrentMemoryContext,
												"pg_steward row",
												ALLOCSET_DEFAULT_SIZES);
	(void) steward_sample_values(table, sample->expr, SAMPLE_ROWS,
								 sample_value, &sampler);
	summarize_keys(&sampler);
	MemoryContextDelete(sampler.row_context);
	hash_destroy(sampler.keys);
}

/*
 * The sample of one key column of the index, taken when it is first needed.
 */
static GinSample *
get_sample(StewardSizeCache *cache, StewardTableStats *table,
		   const StewardIndex *index, const StewardIndexPart *part,
		   int column, Node *expr)
{
	GinSample  *sample;
	MemoryContext old;
	ListCell   *lc;

	expr = steward_part_expression(part, expr);
	foreach(lc, table->gins)
	{
		sample = lfirst(lc);
		if (sample->opclass == index->opclass[column] &&
			equal(sample->expr, expr))
			return sample;
	}
	old = MemoryContextSwitchTo(cache->context);
	sample = palloc0(sizeof(GinSample));
	sample->expr = copyObject(expr);
	sample->opclass = index->opclass[column];
	take_sample(table, index->collation[column], sample);
	table->gins = lappend(table->gins, sample);
	MemoryContextSwitchTo(old);
	return sample;
}

/*
 * Bytes of a compressed list of "rows" of the table's rows, spread at random:
 * differences within a page take 1 byte, others by the number of pages between.
 */
static double
list_bytes(const StewardTableStats *table, double rows)
{
	double		per_page = Max(table->tuples / Max(table->pages, 1), 1);
	double		gap = Max(table->tuples / Max(rows, 1), 1);
	double		same_page = 1 - exp(-per_page / gap);
	double		pages = Max(gap / per_page, 1);
	double		across = pages < 8 ? 2 : pages < 1024 ? 3 : 4;

	/* each list, and every 256 bytes of a long one, starts with a whole TID */
	return (rows * (same_page * 1.2 + (1 - same_page) * across)) * 264 / 256 +
		sizeof(GinPostingList);
}

/* Pages that hold "keys" keys with "rows" rows each, but for the entries. */
static double
posting_tree_pages(double bytes)
{
	double		level = ceil(bytes / (GinDataPageMaxDataSize - 64));
	double		pages = level;

	while (level > 1)
	{
		level = ceil(level * sizeof(PostingItem) / GinDataPageMaxDataSize);
		pages += level;
	}
	return pages;
}

/* Sizes that grow with each key. */
typedef struct GinTotals
{
	double		entry_bytes;
	double		tree_pages;
	double		keys;
	double		rows;
} GinTotals;

/* Add "keys" keys that "rows" rows have each. */
static void
add_keys(const StewardTableStats *table, GinTotals *totals, double key_bytes,
		 double keys, double rows)
{
	double		bytes = list_bytes(table, rows);
	double		tuple = MAXALIGN((uint64) (sizeof(IndexTupleData) + key_bytes));

	totals->keys += keys;
	totals->rows += keys * rows;
	if (tuple + bytes > GinMaxItemSize)
		totals->tree_pages += keys * posting_tree_pages(bytes);
	else
		tuple = MAXALIGN((uint64) (tuple + bytes));
	totals->entry_bytes += keys * (tuple + sizeof(ItemIdData));
}

/* Add what one key column needs for this many rows. */
static void
add_column(const StewardTableStats *table, const GinSample *sample,
		   double tuples, GinTotals *totals)
{
	double		scale = tuples / sample->rows;
	double		n = sample->entries;
	double		total = n * Max(scale, 1);
	double		distinct = n * sample->keys /
		(n - sample->once + sample->once * n / total);
	double		rare_entries = n;

	if (scale < 1)
		scale = 1;
	distinct = Max(Min(distinct, total), sample->keys);
	for (int i = 0; i < sample->nfrequent; i++)
	{
		add_keys(table, totals, sample->key_bytes, 1,
				 sample->frequent[i] * scale);
		rare_entries -= sample->frequent[i];
	}
	distinct -= sample->nfrequent;
	if (distinct >= 1 && rare_entries > 0)
		add_keys(table, totals, sample->key_bytes, distinct,
				 Max(rare_entries * scale / distinct, 1));
}

/*
 * Share of entry pages that is used after a build in one pass: when a page
 * overflows, the tuples up to the one that crosses its middle stay.
 */
static double
split_fill(double tuple)
{
	double		fit = Max(floor(PAGE_ROOM / tuple), 1);

	return Min((floor((fit + 1) / 2) + 1) * tuple / PAGE_ROOM, 1);
}

/*
 * Fill in pages and tuples of one part of the index that has this many rows.
 */
void
steward_gin_size(StewardSizeCache *cache, const StewardIndex *index,
				 StewardIndexPart *part, double tuples)
{
	StewardTableStats *table = steward_table_stats(cache, part->relid);
	ListCell   *next_expr = list_head(index->exprs);
	GinTotals	totals = {0};
	double		memory;
	double		fill;
	double		level;
	double		pages;

	for (int i = 0; i < index->nkeys; i++)
	{
		GinSample  *sample;
		Node	   *expr;

		if (index->attnums[i] == 0)
		{
			expr = lfirst(next_expr);
			next_expr = lnext(index->exprs, next_expr);
		}
		else
		{
			Oid			type;
			int32		typmod;
			Oid			collation;

			get_atttypetypmodcoll(index->relid, index->attnums[i], &type,
								  &typmod, &collation);
			expr = (Node *) makeVar(1, index->attnums[i], type, typmod,
									collation, 0);
		}
		sample = get_sample(cache, table, index, part, i, expr);
		if (sample->rows >= 1)
			add_column(table, sample, tuples, &totals);
		else
			/* not to be read: ten keys a row, a tenth of them different */
			add_keys(table, &totals, 8, Max(tuples, 1), 10);
	}

	memory = totals.keys * BUILD_KEY_BYTES + totals.rows * BUILD_ROW_BYTES;
	fill = memory > maintenance_work_mem * 1024.0 ? MANY_PASSES_FILL :
		split_fill(totals.entry_bytes / Max(totals.keys, 1));
	level = ceil(totals.entry_bytes / PAGE_ROOM / fill);
	pages = level + totals.tree_pages + 1;
	while (level > 1)
	{
		/* a key and a page number a page */
		level = ceil(level * 24 / (PAGE_ROOM * 0.5));
		pages += level;
	}
	part->tuples = tuples;
	part->tree_height = -1;
	part->pages = Max(pages, 2);
}
