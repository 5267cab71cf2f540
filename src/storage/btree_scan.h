/*-------------------------------------------------------------------------
 *
 * btree_scan.h
 *	  State of the estimate of one b-tree, for btree_bloat.c and btree_fate.c.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_BTREE_SCAN_H
#define STEWARD_BTREE_SCAN_H

#include "common/pg_prng.h"

#include "storage/btree_page.h"
#include "storage/index_bloat.h"

/* A leaf page that was read. */
typedef struct StewardLeafCopy
{
	BlockNumber block;
	int			observation;	/* its place among the observations */
	Page		page;
	double		entries;		/* that are or may be alive */
	double		known;			/* of those, known to be alive */
	double		bytes;			/* after REINDEX, and entries dealt out */
	double		survivors;
} StewardLeafCopy;

/*
 * What is known about the entries in doubt of keys with so many entries; see
 * btree_fate.c.
 */
typedef struct StewardFateClass
{
	double		unknown;		/* entries in doubt, in the sample */
	double		seen;			/* share alive of those seen; 1: none was */
	double		probability;	/* that one in doubt is alive */
	double		together;		/* correlation of entries with equal keys */
	double		together_error; /* of that, standard deviation */
} StewardFateClass;

#define STEWARD_FATE_CLASSES 5

/* Part of an index by which the model of a page may be off. */
#define STEWARD_BTREE_MODEL_ERROR 0.001

/* Half width of an interval of 95 %, in standard deviations. */
#define STEWARD_BTREE_QUANTILE 1.959964

typedef struct StewardBtreeScan
{
	const StewardIndexTask *task;
	StewardBtreeRules rules;
	StewardBtreeLeaf *leaf;		/* work space */
	StewardIndexPages pages;

	int			npages;			/* read, of any kind */
	int			nempty;			/* of those, deleted or new */
	BlockNumber *blocks;		/* read, by observation */
	StewardLeafCopy *leaves;
	int			nleaves;
	BlockNumber damaged;		/* InvalidBlockNumber: none */
	bool		interrupted;	/* somebody waits for our lock */
	int64		heap_before;	/* blocks of the heap read before */

	double		killed;			/* entries marked dead, in the sample */
	double		entries;		/* others, in the sample */
	double		known;			/* of those, alive for sure */
	double		unknown;		/* of those, in doubt */
	bool		all_alive;		/* none is in doubt, none is dead */
	double		probability;	/* that one in doubt is alive */
	double		looked_up;		/* probability, as looked up; < 0: was not */
	double		looked_up_variance;
	StewardFateClass fate[STEWARD_FATE_CLASSES];

	StewardBtreeFill fill;
	double		survivors;		/* entries that were packed */
	Page		scratch;		/* copy of the current page, and bytes ... */
	double		bytes;			/* that were added, if all pages are read */
	pg_prng_state random;
} StewardBtreeScan;

/* btree_fate.c */
extern bool steward_btree_open_leaf(StewardBtreeScan *scan,
									const StewardLeafCopy *copy);
extern bool steward_btree_count(StewardBtreeScan *scan);
extern void steward_btree_look_up(StewardBtreeScan *scan, int maximum);
extern void steward_btree_set_probability(StewardBtreeScan *scan,
										  double probability);
extern int	steward_btree_surviving(StewardBtreeScan *scan,
									const StewardBtreeGroup *group);

/* btree_bloat.c */
extern double steward_btree_pack_leaf(StewardBtreeScan *scan);
extern void steward_btree_weigh(StewardBtreeScan *scan, double *mean,
								double *variance);
extern double steward_btree_new_pages(const StewardBtreeScan *scan,
									  double leaves);

/* btree_whole.c */
extern bool steward_btree_in_order(StewardBtreeScan *scan,
								   StewardIndexBloat *result);
extern void steward_btree_in_file_order(StewardBtreeScan *scan,
										StewardIndexBloat *result);

#endif							/* STEWARD_BTREE_SCAN_H */
