/*-------------------------------------------------------------------------
 *
 * rewrite_model.c
 *	  How VACUUM FULL would store rows again.
 *
 * What a rewrite frees is not the free space that is seen now: some of it is
 * there again afterwards, because of fillfactor and because rows do not fit
 * without a gap; and some that is used now goes away, because dropped columns
 * and line pointers without a row are not copied.  So the rewrite is imitated:
 *
 * - Rows are packed as raw_heap_insert() of rewriteheap.c does, and
 *   RelationGetBufferForTuple() for TOAST: when the next row does not fit, or
 *   would use what fillfactor reserves, the page is closed for good.
 * - A row is as long as heap_form_tuple() makes it, from its values without
 *   those of dropped columns and with defaults that were only noted in the
 *   catalog so far.
 * - A value in TOAST becomes chunks of TOAST_MAX_CHUNK_SIZE and a tail, in
 *   sequence.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "access/heaptoast.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/rewrite_model.h"

#define PAGE_BYTES (BLCKSZ - SizeOfPageHeaderData)

/* A chunk's row is a header, value's OID, number, length and data. */
#define CHUNK_HEADER (MAXALIGN(SizeofHeapTupleHeader) + sizeof(Oid) + \
					  sizeof(int32) + VARHDRSZ)
#define CHUNK_LENGTH(bytes) (CHUNK_HEADER + (bytes))

/* Bytes that a row takes on a page. */
#define STORED_BYTES(length) (MAXALIGN(length) + sizeof(ItemIdData))

/* Start with an empty file. */
void
steward_packing_init(StewardPacking *packing, Size reserve)
{
	memset(packing, 0, sizeof(StewardPacking));
	packing->reserve = reserve;
}

/* Close the page being filled. */
static void
close_page(StewardPacking *packing)
{
	double		leftover = PAGE_BYTES - packing->used;

	packing->closed++;
	packing->leftover += leftover;
	packing->leftover_square += leftover * leftover;
	packing->used = 0;
	packing->ntuples = 0;
}

/*
 * Store a row of this length.
 */
void
steward_packing_add(StewardPacking *packing, Size length)
{
	Size		bytes = STORED_BYTES(length);

	if (packing->ntuples > 0 &&
		(packing->used + bytes + packing->reserve > PAGE_BYTES ||
		 packing->ntuples >= MaxHeapTuplesPerPage))
		close_page(packing);
	packing->used += bytes;
	packing->ntuples++;
	packing->bytes += bytes;
}

/*
 * Store the chunks of a value of this size.  A big one fills pages with
 * nothing but whole chunks, which are not gone through one by one.
 */
void
steward_packing_add_value(StewardPacking *packing, int64 bytes)
{
	Size		whole = STORED_BYTES(CHUNK_LENGTH(TOAST_MAX_CHUNK_SIZE));
	int64		chunks = bytes / TOAST_MAX_CHUNK_SIZE;
	Size		tail = bytes % TOAST_MAX_CHUNK_SIZE;

	for (; chunks > 0; chunks--)
	{
		if (chunks > 2 * EXTERN_TUPLES_PER_PAGE &&
			packing->used + whole + packing->reserve > PAGE_BYTES)
		{
			int64		pages = (chunks - 1) / EXTERN_TUPLES_PER_PAGE;
			double		filled = EXTERN_TUPLES_PER_PAGE * whole;

			close_page(packing);
			packing->closed += pages;
			packing->leftover += pages * (PAGE_BYTES - filled);
			packing->leftover_square +=
				pages * (PAGE_BYTES - filled) * (PAGE_BYTES - filled);
			packing->bytes += pages * filled;
			chunks -= pages * EXTERN_TUPLES_PER_PAGE;
		}
		steward_packing_add(packing, CHUNK_LENGTH(TOAST_MAX_CHUNK_SIZE));
	}
	if (tail > 0)
		steward_packing_add(packing, CHUNK_LENGTH(tail));
}

/*
 * Pages a byte: what one byte put in costs, gaps included.
 */
double
steward_packing_density(const StewardPacking *packing)
{
	double		gap = packing->reserve;

	if (packing->closed > 0)
		gap = packing->leftover / packing->closed;
	return 1 / (PAGE_BYTES - gap);
}

/* Standard deviation of the bytes left unused on a page. */
double
steward_packing_gap_deviation(const StewardPacking *packing)
{
	double		mean;

	if (packing->closed == 0)
		return 0;
	mean = packing->leftover / packing->closed;
	return sqrt(Max(packing->leftover_square / packing->closed - mean * mean, 0));
}

/* Pages of the file, if nothing more comes. */
int64
steward_packing_pages(const StewardPacking *packing)
{
	return packing->closed + (packing->ntuples > 0 ? 1 : 0);
}

/* Bytes on pages that the chunks of a value of this size take. */
double
steward_value_chunk_bytes(int64 bytes)
{
	int64		chunks = bytes / TOAST_MAX_CHUNK_SIZE;
	Size		tail = bytes % TOAST_MAX_CHUNK_SIZE;

	return (double) chunks * STORED_BYTES(CHUNK_LENGTH(TOAST_MAX_CHUNK_SIZE)) +
		(tail > 0 ? STORED_BYTES(CHUNK_LENGTH(tail)) : 0);
}

/*
 * Prepare to form rows of a table again, in the current memory context.
 */
void
steward_reform_init(StewardReform *reform, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	reform->desc = desc;
	reform->always = false;
	reform->toast = rel->rd_rel->reltoastrelid;
	reform->dropped = false;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped)
			continue;
		reform->always = true;
		if (attribute->attlen == -1 && OidIsValid(reform->toast))
			reform->dropped = true;
	}
	reform->values = palloc_array(Datum, desc->natts);
	reform->nulls = palloc_array(bool, desc->natts);
}

/*
 * Bytes that a value has in this TOAST table; -1 if it is not there.
 */
static int64
bytes_in_toast(Datum value, Oid toast)
{
	struct varatt_external pointer;

	if (!VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value)))
		return -1;
	VARATT_EXTERNAL_GET_POINTER(pointer, DatumGetPointer(value));
	if (pointer.va_toastrelid != toast)
		return -1;
	return VARATT_EXTERNAL_GET_EXTSIZE(pointer);
}

/*
 * Form a row again: returns its length in the heap, stores its values in the
 * new TOAST table, and adds to *dropped_bytes what its values of dropped
 * columns take in the old one.
 */
Size
steward_reform_tuple(StewardReform *reform, HeapTuple tuple,
					 StewardPacking *toast, double *dropped_bytes)
{
	TupleDesc	desc = reform->desc;
	Size		length = offsetof(HeapTupleHeaderData, t_bits);
	bool		has_nulls = false;
	bool		changes = reform->always ||
		HeapTupleHeaderGetNatts(tuple->t_data) < desc->natts;

	if (!changes && !HeapTupleHasExternal(tuple))
		return tuple->t_len;

	heap_deform_tuple(tuple, desc, reform->values, reform->nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!reform->nulls[i] && attribute->attlen == -1)
		{
			int64		bytes = bytes_in_toast(reform->values[i], reform->toast);

			if (bytes >= 0 && attribute->attisdropped)
				*dropped_bytes += steward_value_chunk_bytes(bytes);
			else if (bytes >= 0)
				steward_packing_add_value(toast, bytes);
		}
		reform->nulls[i] |= attribute->attisdropped;
		has_nulls |= reform->nulls[i];
	}
	if (!changes)
		return tuple->t_len;

	if (has_nulls)
		length += BITMAPLEN(desc->natts);
	return MAXALIGN(length) +
		heap_compute_data_size(desc, reform->values, reform->nulls);
}
