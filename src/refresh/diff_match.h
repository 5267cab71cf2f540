/*-------------------------------------------------------------------------
 *
 * diff_match.h
 *	  The difference between the stored rows of a view and computed ones.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_DIFF_MATCH_H
#define STEWARD_DIFF_MATCH_H

#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

#include "refresh/row_hash.h"
#include "refresh/row_table.h"

/* See diff_match.c.  Counts are final after steward_match_finish(). */
typedef struct StewardMatch
{
	TupleDesc	desc;			/* of the rows */
	int			kilobytes;		/* memory for all of it */
	StewardRowTable *table;		/* stored rows, then those to delete */

	/* instead of the table, if it does not fit */
	TupleTableSlot *key_slot;
	Tuplesortstate *stored_sort;	/* hash, TID */
	Tuplesortstate *computed_sort;	/* hash, number of the row */
	Tuplestorestate *computed;	/* all computed rows */
	int64		ncomputed;
	Tuplesortstate *deleted_sort;	/* TIDs */

	Tuplestorestate *inserted;	/* computed rows that are not stored */
	int64		nunchanged;
	int64		ndeleted;
	int64		ninserted;
} StewardMatch;

extern void steward_match_begin(StewardMatch *match, TupleDesc desc,
								int kilobytes);
extern void steward_match_stored(StewardMatch *match,
								 const StewardRowHash *hash, ItemPointer tid);
extern void steward_match_stored_done(StewardMatch *match);
extern void steward_match_computed(StewardMatch *match,
								   const StewardRowHash *hash,
								   TupleTableSlot *slot);
extern void steward_match_finish(StewardMatch *match);
extern StewardRowTable *steward_match_deleted_table(StewardMatch *match);
extern bool steward_match_next_deleted(StewardMatch *match, uint32 *position,
									   ItemPointer tid);
extern void steward_match_end(StewardMatch *match);

#endif							/* STEWARD_DIFF_MATCH_H */
