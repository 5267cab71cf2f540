/*-------------------------------------------------------------------------
 *
 * gist_tree.h
 *	  A small GiST index in memory.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_GIST_TREE_H
#define STEWARD_GIST_TREE_H

#include "access/gist.h"
#include "access/itup.h"

#include "storage/index_bloat.h"

/* Leaf tuples that are kept for the small tree. */
#define STEWARD_GIST_KEPT 12000

/* Density if there are too few tuples to tell, and of inner pages. */
#define STEWARD_GIST_DENSITY 0.65

/* Space for tuples and line pointers on a page. */
#define STEWARD_GIST_SPACE \
	((double) (BLCKSZ - SizeOfPageHeaderData - \
			   MAXALIGN(sizeof(GISTPageOpaqueData))))

/* Leaf tuples of the sample. */
typedef struct StewardGistTuples
{
	double		offered;
	int			n;
	int			most;
	IndexTuple *tuples;
} StewardGistTuples;

extern double steward_gist_density(const StewardIndexTask *task,
								   StewardGistTuples *tuples, double bytes);

#endif							/* STEWARD_GIST_TREE_H */
