/*-------------------------------------------------------------------------
 *
 * index_size.h
 *	  How big an index would be.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_INDEX_SIZE_H
#define STEWARD_INDEX_SIZE_H

#include "advisor/index_spec.h"

/*
 * What estimates have learned about tables: rows, widths, distinct values,
 * samples.  One serves one run of the advisor, so that a table is looked at
 * once however many candidates it has.  Lives in the memory context that was
 * current at creation, grows with the number of tables and of distinct keys,
 * and is freed with that context.
 */
typedef struct StewardSizeCache StewardSizeCache;

extern StewardSizeCache *steward_size_cache_create(void);

/*
 * Fill in parts, pages, tuples, tree height and selectivity of an index that
 * does not exist, or take them from the one that does.  Does nothing if that
 * was done before.  The parts are allocated in the memory context that holds
 * the index.  Takes AccessShareLock on the table and its partitions until the
 * end of the transaction.  May read up to 30,000 rows of the table, for keys
 * of GIN indexes and for expressions, if the caller may read the table.
 */
extern void steward_index_estimate(StewardSizeCache *cache,
								   StewardIndex *index);

/* Estimated rows of a table, over all partitions of a partitioned one. */
extern double steward_table_rows(StewardSizeCache *cache, Oid relid);

#endif							/* STEWARD_INDEX_SIZE_H */
