/*-------------------------------------------------------------------------
 *
 * row_hash.h
 *	  Hashes that stand for whole rows.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_ROW_HASH_H
#define STEWARD_ROW_HASH_H

#include "executor/tuptable.h"
#include "nodes/bitmapset.h"

/* 128 bits; equal for two rows if and only if they are the same, bit by bit */
typedef struct StewardRowHash
{
	uint64		high;
	uint64		low;
} StewardRowHash;

/* The secret key of one comparison, and memory for one value at a time */
typedef struct StewardRowHasher
{
	uint64		key[2];
	MemoryContext scratch;
} StewardRowHasher;

extern void steward_row_hasher_init(StewardRowHasher *hasher);
extern void steward_row_hash(StewardRowHasher *hasher, TupleTableSlot *slot,
							 const Bitmapset *columns, StewardRowHash *hash);

#endif							/* STEWARD_ROW_HASH_H */
