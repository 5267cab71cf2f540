/*-------------------------------------------------------------------------
 *
 * rewrite_model.h
 *	  How VACUUM FULL would store rows again.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REWRITE_MODEL_H
#define STEWARD_REWRITE_MODEL_H

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "utils/relcache.h"

/* Pages of a new heap, filled one after the other. */
typedef struct StewardPacking
{
	Size		reserve;		/* bytes a page that fillfactor keeps free */
	Size		used;			/* bytes of the page being filled */
	int			ntuples;		/* tuples on it */
	int64		closed;			/* pages that are full */
	double		leftover;		/* bytes left unused on those */
	double		leftover_square;	/* their squares */
	double		bytes;			/* put in, with line pointers */
} StewardPacking;

/* How rows of a table change when they are formed again. */
typedef struct StewardReform
{
	TupleDesc	desc;
	bool		always;			/* there are columns that were dropped */
	Oid			toast;			/* TOAST table, or InvalidOid */
	Size		target;			/* length above which values go to TOAST */
	Datum	   *values;
	bool	   *nulls;
	struct StewardReformValue *parts;	/* of the row being formed */
} StewardReform;

extern void steward_packing_init(StewardPacking *packing, Size reserve);
extern void steward_packing_add(StewardPacking *packing, Size length);
extern void steward_packing_add_value(StewardPacking *packing, int64 bytes);
extern double steward_packing_density(const StewardPacking *packing);
extern double steward_packing_gap_deviation(const StewardPacking *packing);
extern int64 steward_packing_pages(const StewardPacking *packing);

extern double steward_value_chunk_bytes(int64 bytes);

extern void steward_reform_init(StewardReform *reform, Relation rel);
extern Size steward_reform_tuple(StewardReform *reform, HeapTuple tuple,
								 StewardPacking *toast, double *lost_bytes);

#endif							/* STEWARD_REWRITE_MODEL_H */
