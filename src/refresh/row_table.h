/*-------------------------------------------------------------------------
 *
 * row_table.h
 *	  A table in memory from hashes of rows to their places.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_ROW_TABLE_H
#define STEWARD_ROW_TABLE_H

#include "storage/itemptr.h"

#include "refresh/row_hash.h"

/* One row.  Rows are numbered from 1; 0 ends a chain. */
typedef struct StewardRowEntry
{
	StewardRowHash hash;
	uint32		next;			/* another hash in the same bucket */
	uint32		same;			/* another row with the same hash */
	ItemPointerData tid;
	bool		taken;			/* no longer in the table */
} StewardRowEntry;

typedef struct StewardRowTable StewardRowTable;

extern StewardRowTable *steward_row_table_create(void);
extern void steward_row_table_add(StewardRowTable *table,
								  const StewardRowHash *hash,
								  ItemPointer tid);
extern bool steward_row_table_full(StewardRowTable *table, int kilobytes);
extern bool steward_row_table_fits(int64 nrows, int kilobytes);
extern int	steward_row_table_kilobytes(StewardRowTable *table);
extern void steward_row_table_build(StewardRowTable *table);
extern bool steward_row_table_take(StewardRowTable *table,
								   const StewardRowHash *hash,
								   ItemPointer tid);
extern StewardRowEntry *steward_row_table_next(StewardRowTable *table,
											   uint32 *position);
extern void steward_row_table_free(StewardRowTable *table);

#endif							/* STEWARD_ROW_TABLE_H */
