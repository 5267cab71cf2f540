/*-------------------------------------------------------------------------
 *
 * btree_page.h
 *	  What one page of a b-tree would become in a new index.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_BTREE_PAGE_H
#define STEWARD_BTREE_PAGE_H

#include "access/itup.h"
#include "storage/bufpage.h"
#include "utils/relcache.h"

/* How the server would build this index; see btree_page.c. */
typedef struct StewardBtreeRules
{
	bool		deduplicate;	/* equal keys are merged to posting lists */
	int			max_posting;	/* bytes of a tuple with a posting list */
	int			leaf_full;		/* free bytes at which a leaf counts as full */
	int			nkeyatts;		/* without INCLUDE columns */
	TupleDesc	desc;
} StewardBtreeRules;

typedef enum StewardBtreeKind
{
	STEWARD_BTREE_NEW,
	STEWARD_BTREE_DELETED,		/* or half-dead: no entries */
	STEWARD_BTREE_INNER,
	STEWARD_BTREE_LEAF,
	STEWARD_BTREE_META,
	STEWARD_BTREE_DAMAGED
} StewardBtreeKind;

/* Entries with one key: neighbours with equal keys if those are merged. */
typedef struct StewardBtreeGroup
{
	IndexTuple	key;			/* in the page */
	int			key_bytes;		/* of a tuple with one TID, aligned */
	int			pivot_bytes;	/* of the high key, if a page ended before */
	int			first_tid;		/* place among the page's TIDs */
	int			ntids;
} StewardBtreeGroup;

/* The content of one leaf page.  Points into the page. */
typedef struct StewardBtreeLeaf
{
	int			ngroups;
	int			ntids;
	int			nkilled;		/* TIDs of entries marked dead (LP_DEAD) */
	bool		continues;		/* last key goes on at the right sibling */
	StewardBtreeGroup groups[MaxIndexTuplesPerPage];
	ItemPointerData tids[BLCKSZ / sizeof(ItemPointerData)];
} StewardBtreeLeaf;

/* A level of leaf pages that is being filled. */
typedef struct StewardBtreeFill
{
	int			free;			/* bytes on the current page */
	int			nitems;			/* data items on it */
	int			last_bytes;		/* of the last item */
	int			last_posting;	/* of its posting list */
	int			last_pivot;		/* of the high key made from it */
	double		pages;			/* completed */
	double		bytes;			/* items of the completed pages, with their
								 * line pointers */
	double		pivot_bytes;	/* sum over the high keys of those */
} StewardBtreeFill;

extern void steward_btree_rules(Relation index, StewardBtreeRules *rules);
extern StewardBtreeKind steward_btree_page_kind(Page page);
extern bool steward_btree_leaf(const StewardBtreeRules *rules, Page page,
							   StewardBtreeLeaf *leaf);
extern bool steward_btree_same_key(IndexTuple a, IndexTuple b);

extern void steward_btree_fill_init(StewardBtreeFill *fill);
extern double steward_btree_add(const StewardBtreeRules *rules,
								StewardBtreeFill *fill,
								const StewardBtreeGroup *group,
								int ntids, bool continues);
extern double steward_btree_inner_pages(double leaf_pages,
										double pivot_bytes);

#endif							/* STEWARD_BTREE_PAGE_H */
