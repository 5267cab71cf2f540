/*-------------------------------------------------------------------------
 *
 * bloat_report.h
 *	  Rows of get_table_bloat().
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_BLOAT_REPORT_H
#define STEWARD_BLOAT_REPORT_H

#include "nodes/pg_list.h"

#include "base/rows.h"
#include "storage/heap_bloat.h"

/* One table, or a partitioned table that stands for all below it. */
typedef struct StewardBloatRow
{
	Oid			relid;
	List	   *ancestors;		/* partitioned tables above it, OIDs */
	const char *schema;			/* names; looked up if NULL */
	const char *name;
	StewardWaste heap;
	StewardWaste toast;
	bool		heap_known;		/* the waste is known */
	bool		toast_known;
	bool		interval;		/* with an interval */
	bool		counts_known;	/* rows were looked at */
	double		dead_bytes;
	double		free_bytes;
	double		held_bytes;
	int64		blocks_read;
	const char *reason;

	/* partitioned tables only */
	int			parts;
	int			incomplete;		/* of them, with a reason */
	double		heap_low_square;	/* squares of distances to the bounds */
	double		heap_high_square;
	double		toast_low_square;
	double		toast_high_square;
} StewardBloatRow;

extern void steward_bloat_report(StewardRows *rows, StewardBloatRow *tables,
								 int ntables, Oid target, bool partitioned,
								 int64 min_waste, const char *method);

#endif							/* STEWARD_BLOAT_REPORT_H */
