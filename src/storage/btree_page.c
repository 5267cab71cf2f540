/*-------------------------------------------------------------------------
 *
 * btree_page.c
 *	  What one page of a b-tree would become in a new index.
 *
 * The arithmetic of the server's index build (nbtsort.c), applied to the
 * entries of leaf pages that somebody else has read: no buffer, lock or
 * estimate here.
 *
 * A build adds sorted entries to a leaf until the space left is below what the
 * fillfactor reserves, then moves the last one to the next page and keeps a
 * truncated copy as the high key.  If the operator classes permit and the
 * index is not unique, entries with equal keys become posting lists of at most
 * a tenth of a page.  Inner pages hold the high keys, filled to 70 %.
 *
 * Keys are compared byte by byte.  Where the server would merge entries at
 * all, equal keys have equal bytes, but for values that one row stores
 * compressed and another does not, which then count as different.  No
 * function of an operator class is called, so that nothing of the index's
 * owner is executed.
 *
 * Pages are not trusted.  Whoever reads them passes a copy, and all offsets
 * and lengths are checked before use: a page that contradicts itself is called
 * damaged.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/nbtree.h"
#include "access/tupmacs.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "storage/btree_page.h"
#include "storage/index_sample.h"

/* Space for items on a page, whose high key has a line pointer already. */
#define PAGE_SPACE \
	((int) (BLCKSZ - SizeOfPageHeaderData - \
			MAXALIGN(sizeof(BTPageOpaqueData)) - sizeof(ItemIdData)))

/* What suffix truncation may add to a high key. */
#define PIVOT_TID ((int) MAXALIGN(sizeof(ItemPointerData)))

/*
 * Fill in how the server would build this index now.  Storage parameters are
 * those of the catalog, whatever they were when the index was built.
 */
void
steward_btree_rules(Relation index, StewardBtreeRules *rules)
{
	rules->deduplicate = !index->rd_index->indisunique &&
		BTGetDeduplicateItems(index) && _bt_allequalimage(index, false);
	rules->max_posting = MAXALIGN_DOWN(BLCKSZ * 10 / 100) - sizeof(ItemIdData);
	rules->leaf_full = BTGetTargetPageFreeSpace(index);
	rules->nkeyatts = IndexRelationGetNumberOfKeyAttributes(index);
	rules->desc = RelationGetDescr(index);
}

/*
 * What sort of page this is.  Looks at nothing but the page's header and
 * special space.
 */
StewardBtreeKind
steward_btree_page_kind(Page page)
{
	PageHeader	header = (PageHeader) page;
	BTPageOpaque opaque;

	if (PageIsNew(page))
		return STEWARD_BTREE_NEW;
	if (PageGetPageSize(page) != BLCKSZ ||
		header->pd_special != BLCKSZ - MAXALIGN(sizeof(BTPageOpaqueData)) ||
		header->pd_lower < SizeOfPageHeaderData ||
		header->pd_lower > header->pd_upper ||
		header->pd_upper > header->pd_special)
		return STEWARD_BTREE_DAMAGED;

	opaque = (BTPageOpaque) ((char *) page + header->pd_special);
	if (P_ISMETA(opaque))
		return STEWARD_BTREE_META;
	if (P_IGNORE(opaque))
		return STEWARD_BTREE_DELETED;
	if (P_ISLEAF(opaque) != (opaque->btpo_level == 0))
		return STEWARD_BTREE_DAMAGED;
	return P_ISLEAF(opaque) ? STEWARD_BTREE_LEAF : STEWARD_BTREE_INNER;
}

/* Bytes of the key of a leaf tuple: all but a posting list. */
static inline int
key_size(IndexTuple tuple)
{
	return BTreeTupleIsPosting(tuple) ? BTreeTupleGetPostingOffset(tuple) :
		IndexTupleSize(tuple);
}

/*
 * Do two leaf tuples have the same key, to the byte?  Flags are compared, too,
 * but those that tell of the posting list.
 */
bool
steward_btree_same_key(IndexTuple a, IndexTuple b)
{
	Size		size = MAXALIGN(key_size(a));
	uint16		flags = INDEX_VAR_MASK | INDEX_NULL_MASK;

	return size == MAXALIGN(key_size(b)) &&
		(a->t_info & flags) == (b->t_info & flags) &&
		memcmp((char *) a + sizeof(IndexTupleData),
			   (char *) b + sizeof(IndexTupleData),
			   Min(key_size(a), key_size(b)) - sizeof(IndexTupleData)) == 0;
}

/*
 * Bytes of the high key between two different keys: the right one up to the
 * first column in which they differ (_bt_truncate() of the server; it appends
 * a TID if no key column differs).  Both are equal up to that column, so one
 * offset serves both.
 */
static int
pivot_size(const StewardBtreeRules *rules, IndexTuple left, IndexTuple right)
{
	bool		hasnulls = IndexTupleHasNulls(right) || IndexTupleHasNulls(left);
	int			start = IndexInfoFindDataOffset(right->t_info);
	int			size = Min(key_size(left), key_size(right));
	int			off = 0;

	/* Nulls shift what follows: settle for the whole tuple. */
	if (hasnulls || start > size)
		return MAXALIGN(key_size(right));

	for (int i = 0; i < rules->nkeyatts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(rules->desc, i);
		char	   *rvalue = (char *) right + start;
		char	   *lvalue = (char *) left + start;
		int			end;

		off = att_align_pointer(off, att->attalign, att->attlen, rvalue + off);
		if (start + off >= size)
			return MAXALIGN(key_size(right));
		end = att->attlen > 0 ? off + att->attlen :
			att->attlen == -1 ? off + VARSIZE_ANY(rvalue + off) :
			off + (int) strnlen(rvalue + off, size - start - off) + 1;
		if (start + end > size)
			return MAXALIGN(Min(start + end, key_size(right)));
		if (memcmp(lvalue + off, rvalue + off, end - off) != 0)
			return MAXALIGN(start + end);
		off = end;
	}
	return MAXALIGN(start + off) + PIVOT_TID;
}

/*
 * Take the TIDs of a leaf tuple into the leaf.  Returns false if its posting
 * list is none.
 */
static bool
take_tids(StewardBtreeLeaf *leaf, IndexTuple tuple, int *ntids)
{
	int			offset;

	if (!BTreeTupleIsPosting(tuple))
	{
		if ((tuple->t_info & INDEX_ALT_TID_MASK) != 0 ||
			leaf->ntids >= lengthof(leaf->tids))
			return false;
		leaf->tids[leaf->ntids] = tuple->t_tid;
		*ntids = 1;
		return true;
	}

	*ntids = BTreeTupleGetNPosting(tuple);
	offset = BTreeTupleGetPostingOffset(tuple);
	if (*ntids < 2 || offset < sizeof(IndexTupleData) ||
		offset != MAXALIGN(offset) ||
		offset + *ntids * sizeof(ItemPointerData) > IndexTupleSize(tuple) ||
		leaf->ntids + *ntids > lengthof(leaf->tids))
		return false;
	memcpy(&leaf->tids[leaf->ntids], (char *) tuple + offset,
		   *ntids * sizeof(ItemPointerData));
	return true;
}

/*
 * Does the right sibling begin with the key that this page ends with?  Then
 * the high key needed a TID to tell the pages apart.
 */
static bool
continues_right(Page page)
{
	BTPageOpaque opaque = BTPageGetOpaque(page);
	IndexTuple	high;

	if (P_RIGHTMOST(opaque) || PageGetMaxOffsetNumber(page) < P_HIKEY)
		return false;
	high = steward_index_sample_tuple(page, P_HIKEY);
	return high != NULL && BTreeTupleIsPivot(high) &&
		(ItemPointerGetOffsetNumberNoCheck(&high->t_tid) &
		 BT_PIVOT_HEAP_TID_ATTR) != 0;
}

/*
 * Bytes of the high key between the page on the left and this one, of whose
 * first tuple the key has so many: not known, but this page's own high key is
 * one of the same kind.
 */
static int
first_pivot_size(Page page, int key_bytes)
{
	IndexTuple	high = NULL;

	if (!P_RIGHTMOST(BTPageGetOpaque(page)) &&
		PageGetMaxOffsetNumber(page) >= P_HIKEY)
		high = steward_index_sample_tuple(page, P_HIKEY);
	return high == NULL ? key_bytes : (int) MAXALIGN(IndexTupleSize(high));
}

/*
 * Take a leaf page apart: groups of equal keys, in order, with the TIDs that
 * are not known to be dead.  Returns false if the page is damaged.
 */
bool
steward_btree_leaf(const StewardBtreeRules *rules, Page page,
				   StewardBtreeLeaf *leaf)
{
	BTPageOpaque opaque = BTPageGetOpaque(page);
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	IndexTuple	previous = NULL;

	leaf->ngroups = leaf->ntids = leaf->nkilled = 0;
	leaf->continues = rules->deduplicate && continues_right(page);

	for (OffsetNumber off = P_FIRSTDATAKEY(opaque); off <= max; off++)
	{
		IndexTuple	tuple = steward_index_sample_tuple(page, off);
		StewardBtreeGroup *group;
		int			ntids;

		if (tuple == NULL || !take_tids(leaf, tuple, &ntids))
			return false;
		if (ItemIdIsDead(PageGetItemId(page, off)))
		{
			leaf->nkilled += ntids;
			continue;
		}
		if (rules->deduplicate && previous != NULL &&
			steward_btree_same_key(previous, tuple))
		{
			leaf->groups[leaf->ngroups - 1].ntids += ntids;
			leaf->ntids += ntids;
			continue;
		}
		if (leaf->ngroups >= lengthof(leaf->groups))
			return false;

		group = &leaf->groups[leaf->ngroups++];
		group->key = tuple;
		group->key_bytes = MAXALIGN(key_size(tuple));
		group->pivot_bytes = previous == NULL ?
			first_pivot_size(page, group->key_bytes) :
			pivot_size(rules, previous, tuple);
		group->first_tid = leaf->ntids;
		group->ntids = ntids;
		leaf->ntids += ntids;
		previous = tuple;
	}
	return true;
}

/* Start an empty leaf level. */
void
steward_btree_fill_init(StewardBtreeFill *fill)
{
	memset(fill, 0, sizeof(StewardBtreeFill));
	fill->free = PAGE_SPACE;
}

/* Add one tuple to the leaf level: _bt_buildadd() of the server. */
static void
add_item(const StewardBtreeRules *rules, StewardBtreeFill *fill,
		 int bytes, int posting, int pivot)
{
	int			space = Max(fill->free - (int) sizeof(ItemIdData), 0);

	if (space < bytes + PIVOT_TID ||
		(space + fill->last_posting < rules->leaf_full && fill->nitems >= 2))
	{
		int			moved = fill->last_bytes + sizeof(ItemIdData);

		fill->pages++;
		fill->bytes += PAGE_SPACE - fill->free - moved;
		fill->pivot_bytes += fill->last_pivot;
		fill->free = PAGE_SPACE - moved;
		fill->nitems = 1;
	}
	fill->free -= bytes + sizeof(ItemIdData);
	fill->nitems++;
	fill->last_bytes = bytes;
	fill->last_posting = posting;
	fill->last_pivot = pivot;
}

/*
 * Add a key with this many TIDs to the leaf level.  Returns the bytes that
 * its tuples take, with line pointers.
 *
 * "continues" tells that more TIDs of the key are on another page that is
 * looked at by itself, and will pay for the last, incomplete posting list.
 * If there are enough for several lists, so will on average be the next one's
 * begin; if not, it is one list, and all that this part adds are its TIDs.
 */
double
steward_btree_add(const StewardBtreeRules *rules, StewardBtreeFill *fill,
				  const StewardBtreeGroup *group, int ntids, bool continues)
{
	const int	line = sizeof(ItemIdData);
	const int	tid = sizeof(ItemPointerData);
	int			most;
	int			pivot = group->pivot_bytes;
	double		bytes = 0;

	most = (rules->max_posting - group->key_bytes) / tid;
	while (most > 1 &&
		   MAXALIGN(group->key_bytes + most * tid) > rules->max_posting)
		most--;
	if (!rules->deduplicate || most < 2)
	{
		for (int i = 0; i < ntids; i++)
		{
			add_item(rules, fill, group->key_bytes, 0, pivot);
			pivot = group->key_bytes + PIVOT_TID;
		}
		return (double) ntids * (group->key_bytes + line);
	}

	while (ntids > 0)
	{
		int			now = Min(ntids, most);
		int			size = now == 1 ? group->key_bytes :
			MAXALIGN(group->key_bytes + now * tid);

		if (continues && now < most)
		{
			if (bytes > 0)
				return bytes + (double) now / most *
					(MAXALIGN(group->key_bytes + most * tid) + line);
			return now * tid;
		}
		add_item(rules, fill, size, size - group->key_bytes, pivot);
		pivot = group->key_bytes + PIVOT_TID;
		bytes += size + line;
		ntids -= now;
	}
	return bytes;
}

/*
 * Number of inner pages above so many leaves, whose high keys have this size
 * on average.  An inner page is full when less than 30 % are free; its last
 * item then becomes its high key, and its first one has no key.
 */
double
steward_btree_inner_pages(double leaf_pages, double pivot_bytes)
{
	double		item = pivot_bytes + sizeof(ItemIdData);
	int			full = BLCKSZ * (100 - BTREE_NONLEAF_FILLFACTOR) / 100;
	int			first = sizeof(IndexTupleData) + sizeof(ItemIdData);
	int			space = PAGE_SPACE - first - sizeof(ItemIdData) - full;
	double		fanout = floor(space / item) + 1;
	double		pages = 0;
	double		level = leaf_pages;

	/* at least two items and the high key, whatever their size */
	fanout = Max(fanout, 2);
	while (level > 1)
	{
		level = ceil(level / fanout);
		pages += level;
	}
	return pages;
}
