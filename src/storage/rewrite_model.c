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
 * - Values in TOAST are brought back and sent there again, the biggest first
 *   and only until the row is short enough, as heap_toast_insert_or_update()
 *   does.  A value that had to leave when its row was longer may return.
 *   Compression is not tried again: it was when the value was stored.
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

/* A value of the row that is being formed. */
struct StewardReformValue
{
	int64		old_bytes;		/* in TOAST now; -1 if it is not there */
	int64		new_bytes;		/* in TOAST afterwards; -1 likewise */
	Size		size;			/* in the row, if not in TOAST */
	bool		movable;		/* may go to TOAST */
	bool		main;			/* but only if there is no other way */
};

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
	reform->target = RelationGetToastTupleTarget(rel, TOAST_TUPLE_TARGET);
	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped)
			reform->always = true;
	}
	reform->values = palloc_array(Datum, desc->natts);
	reform->nulls = palloc_array(bool, desc->natts);
	reform->parts = palloc_array(struct StewardReformValue, desc->natts);
}

/*
 * Look at a value of variable length: where it is, and how long it would be
 * in the row.
 */
static void
describe_value(const StewardReform *reform, int i,
			   struct StewardReformValue *part)
{
	char		storage = TupleDescAttr(reform->desc, i)->attstorage;
	struct varlena *value = (struct varlena *) DatumGetPointer(reform->values[i]);

	part->old_bytes = part->new_bytes = -1;
	part->size = VARSIZE_ANY(value);
	if (VARATT_IS_EXTERNAL_ONDISK(value))
	{
		struct varatt_external pointer;

		VARATT_EXTERNAL_GET_POINTER(pointer, value);
		if (pointer.va_toastrelid == reform->toast)
		{
			part->old_bytes = VARATT_EXTERNAL_GET_EXTSIZE(pointer);
			part->size = part->old_bytes + VARHDRSZ;
		}
	}
	part->main = storage == TYPSTORAGE_MAIN;
	part->movable = storage != TYPSTORAGE_PLAIN;
	if (part->old_bytes >= 0 && !part->movable)
		part->new_bytes = part->old_bytes;	/* would fail if it did not fit */
}

/*
 * Length of the row's data, as heap_compute_data_size() counts it, with each
 * value where it is to be.
 */
static Size
data_size(const StewardReform *reform)
{
	TupleDesc	desc = reform->desc;
	Size		size = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		struct StewardReformValue *part = &reform->parts[i];

		if (reform->nulls[i])
			continue;
		if (attribute->attlen != -1)
		{
			size = att_align_datum(size, attribute->attalign,
								   attribute->attlen, reform->values[i]);
			size = att_addlength_datum(size, attribute->attlen,
									   reform->values[i]);
		}
		else if (part->new_bytes >= 0)
			size += TOAST_POINTER_SIZE;
		else if (part->size - VARHDRSZ + VARHDRSZ_SHORT <= VARATT_SHORT_MAX &&
				 attribute->attstorage != TYPSTORAGE_PLAIN)
			size += VARATT_IS_SHORT(DatumGetPointer(reform->values[i])) ?
				part->size : part->size - VARHDRSZ + VARHDRSZ_SHORT;
		else
			size = att_align_nominal(size, attribute->attalign) + part->size;
	}
	return size;
}

/*
 * Decide which values of the row go to TOAST: the biggest ones, until the rest
 * is no longer than the target.  Those of STORAGE MAIN have a turn of their own.
 */
static void
move_values(StewardReform *reform, Size header, Size target, bool main)
{
	while (header + data_size(reform) > target)
	{
		struct StewardReformValue *biggest = NULL;
		Size		size = MAXALIGN(TOAST_POINTER_SIZE);

		for (int i = 0; i < reform->desc->natts; i++)
		{
			struct StewardReformValue *part = &reform->parts[i];

			if (reform->nulls[i] ||
				TupleDescAttr(reform->desc, i)->attlen != -1 ||
				!part->movable || part->main != main ||
				part->new_bytes >= 0 || part->size <= size)
				continue;
			biggest = part;
			size = part->size;
		}
		if (biggest == NULL)
			break;
		biggest->new_bytes = biggest->size - VARHDRSZ;
	}
}

/*
 * Length of a row with values in TOAST, after those have found their places.
 */
static Size
reform_toasted(StewardReform *reform, Size header, StewardPacking *toast,
			   double *lost_bytes)
{
	for (int i = 0; i < reform->desc->natts; i++)
		if (!reform->nulls[i] && TupleDescAttr(reform->desc, i)->attlen == -1)
			describe_value(reform, i, &reform->parts[i]);
	move_values(reform, header, reform->target, false);
	move_values(reform, header, TOAST_TUPLE_TARGET_MAIN, true);

	for (int i = 0; i < reform->desc->natts; i++)
	{
		struct StewardReformValue *part = &reform->parts[i];

		if (reform->nulls[i] || TupleDescAttr(reform->desc, i)->attlen != -1)
			continue;
		if (part->new_bytes >= 0)
			steward_packing_add_value(toast, part->new_bytes);
		if (part->old_bytes >= 0 && part->new_bytes < 0)
			*lost_bytes += steward_value_chunk_bytes(part->old_bytes);
		else if (part->old_bytes < 0 && part->new_bytes >= 0)
			*lost_bytes -= steward_value_chunk_bytes(part->new_bytes);
	}
	return header + data_size(reform);
}

/*
 * Take the values of dropped columns out of the row.
 */
static void
drop_values(StewardReform *reform, double *lost_bytes)
{
	for (int i = 0; i < reform->desc->natts; i++)
	{
		struct StewardReformValue part;

		if (!TupleDescAttr(reform->desc, i)->attisdropped || reform->nulls[i])
			continue;
		if (TupleDescAttr(reform->desc, i)->attlen == -1)
		{
			describe_value(reform, i, &part);
			if (part.old_bytes >= 0)
				*lost_bytes += steward_value_chunk_bytes(part.old_bytes);
		}
		reform->nulls[i] = true;
	}
}

/*
 * Form a row again: returns its length in the heap, stores its values in the
 * new TOAST table, and adds to *lost_bytes what of its values is in the old
 * one and will not be in the new one.
 */
Size
steward_reform_tuple(StewardReform *reform, HeapTuple tuple,
					 StewardPacking *toast, double *lost_bytes)
{
	TupleDesc	desc = reform->desc;
	Size		header = offsetof(HeapTupleHeaderData, t_bits);
	bool		has_nulls = false;
	bool		toasted = HeapTupleHasExternal(tuple) &&
		OidIsValid(reform->toast);

	if (!toasted && !reform->always &&
		HeapTupleHeaderGetNatts(tuple->t_data) >= desc->natts)
		return tuple->t_len;

	heap_deform_tuple(tuple, desc, reform->values, reform->nulls);
	if (reform->always)
		drop_values(reform, lost_bytes);
	for (int i = 0; i < desc->natts; i++)
		has_nulls |= reform->nulls[i];
	if (has_nulls)
		header += BITMAPLEN(desc->natts);
	header = MAXALIGN(header);

	if (toasted)
		return reform_toasted(reform, header, toast, lost_bytes);
	return header +
		heap_compute_data_size(desc, reform->values, reform->nulls);
}
