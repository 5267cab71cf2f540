/*-------------------------------------------------------------------------
 *
 * gist_tree.c
 *	  How full the pages of a new GiST index are, tried out in memory.
 *
 * Leaf tuples are inserted, in the order of the heap, into a tree of one inner
 * page, with the server's own functions for choosing a page and for splitting
 * it.  Where the server would sort first (gistbuild.c: operator classes with
 * sort support), they are sorted and split in the same portions of four pages.
 *
 * Support functions of operator classes are installed by superusers, but may
 * themselves call functions of a user, such as the subtype_diff of a range
 * type.  They run as the owner of the table, in a security-restricted
 * operation, just as in REINDEX.
 *
 * Memory: the current context has the tree; what an insertion needs is freed
 * after it.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/gist_private.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sortsupport.h"

#include "base/compat.h"
#include "storage/gist_tree.h"

/* Leaves of the small tree. */
#define MAX_LEAVES 48

/* Pages that the server splits at once when it builds from sorted tuples. */
#define SORTED_PAGES 4

/* Part by which the size may differ from the one whose density is looked up. */
#define PHASE_WINDOW 0.05
#define PHASES 8

/* Differences of density that are chance. */
#define FLAT 0.12

/* The small tree. */
typedef struct GistTree
{
	Relation	index;
	GISTSTATE  *state;
	MemoryContext context;		/* for one insertion */
	Page		root;			/* used from the second leaf on */
	int			nleaves;
	Page		leaves[MAX_LEAVES];
	double		bytes;			/* of leaf tuples */
	int			nsteps;
	double		step_bytes[STEWARD_GIST_KEPT];	/* after each insertion */
	int			step_leaves[STEWARD_GIST_KEPT];
} GistTree;

static int
compare_tids(const void *left, const void *right)
{
	return ItemPointerCompare(&(*(const IndexTuple *) left)->t_tid,
							  &(*(const IndexTuple *) right)->t_tid);
}

/* An empty leaf or inner page in memory. */
static Page
new_page(uint32 flags)
{
	Page		page = palloc(BLCKSZ);

	gistinitpage(page, flags);
	return page;
}

/*
 * Put the pages that came out of a split into the tree, the first one in the
 * place of leaf number "leaf".  Returns false if there is no room for them.
 */
static bool
take_split(GistTree *tree, int leaf, SplitPageLayout *split)
{
	for (bool first = true; split != NULL; split = split->next, first = false)
	{
		int			place = first ? leaf : tree->nleaves;
		char	   *data = (char *) split->list;

		if (place >= MAX_LEAVES ||
			PageGetFreeSpace(tree->root) < IndexTupleSize(split->itup))
			return false;
		if (first)
			gistinitpage(tree->leaves[place], F_LEAF);
		else
		{
			MemoryContext old =
				MemoryContextSwitchTo(GetMemoryChunkContext(tree));

			tree->leaves[place] = new_page(F_LEAF);
			tree->nleaves++;
			MemoryContextSwitchTo(old);
		}
		for (int i = 0; i < split->block.num; i++)
		{
			IndexTuple	tuple = (IndexTuple) data;

			gistfillbuffer(tree->leaves[place], &tuple, 1,
						   InvalidOffsetNumber);
			data += IndexTupleSize(tuple);
		}
		ItemPointerSetBlockNumber(&split->itup->t_tid, place);
		gistfillbuffer(tree->root, &split->itup, 1, InvalidOffsetNumber);
	}
	return true;
}

/*
 * Insert a tuple as gistdoinsert() of the server does during a build.  Returns
 * false if the tree is as large as it may become.
 */
static bool
insert_tuple(GistTree *tree, IndexTuple tuple)
{
	OffsetNumber downlink = InvalidOffsetNumber;
	Size		reserve = RelationGetTargetPageFreeSpace(tree->index,
														 GIST_DEFAULT_FILLFACTOR);
	int			leaf = 0;
	bool		room = true;

	if (tree->nleaves > 1)
	{
		IndexTuple	old;
		IndexTuple	adjusted;

		downlink = gistchoose(tree->index, tree->root, tuple, tree->state);
		old = (IndexTuple) PageGetItem(tree->root,
									   PageGetItemId(tree->root, downlink));
		leaf = ItemPointerGetBlockNumber(&old->t_tid);
		adjusted = gistgetadjusted(tree->index, old, tuple, tree->state);
		if (adjusted != NULL)
		{
			ItemPointerSetBlockNumber(&adjusted->t_tid, leaf);
			if (gistnospace(tree->root, &adjusted, 1, downlink, 0))
				return false;
			PageIndexTupleDelete(tree->root, downlink);
			gistfillbuffer(tree->root, &adjusted, 1, InvalidOffsetNumber);
			downlink = PageGetMaxOffsetNumber(tree->root);
		}
	}

	if (!gistnospace(tree->leaves[leaf], &tuple, 1, InvalidOffsetNumber,
					 reserve))
		gistfillbuffer(tree->leaves[leaf], &tuple, 1, InvalidOffsetNumber);
	else
	{
		int			n;
		IndexTuple *tuples = gistextractpage(tree->leaves[leaf], &n);
		SplitPageLayout *split;

		tuples = gistjoinvector(tuples, &n, &tuple, 1);
		split = gistSplit(tree->index, tree->leaves[leaf], tuples, n,
						  tree->state);
		if (downlink != InvalidOffsetNumber)
			PageIndexTupleDelete(tree->root, downlink);
		room = take_split(tree, leaf, split);
	}
	if (!room)
		return false;
	tree->bytes += IndexTupleSize(tuple) + sizeof(ItemIdData);
	tree->step_bytes[tree->nsteps] = tree->bytes;
	tree->step_leaves[tree->nsteps++] = tree->nleaves;
	return true;
}

/* The density of the small tree while it had about so many bytes. */
static double
density_around(const GistTree *tree, double bytes)
{
	double		sum = 0;
	int			counted = 0;

	for (int i = 0; i < tree->nsteps; i++)
		if (fabs(tree->step_bytes[i] - bytes) <= PHASE_WINDOW * bytes)
		{
			sum += tree->step_bytes[i] / (STEWARD_GIST_SPACE * tree->step_leaves[i]);
			counted++;
		}
	return counted > 0 ? sum / counted : STEWARD_GIST_DENSITY;
}

/*
 * The density of a new index of so many bytes.  Pages of evenly spread values
 * all split at about the same time, so that the density goes up and down with
 * each doubling.  If that of the small tree did during its last one, what
 * counts is the density that it had when it was smaller than the new index by
 * a power of two; else the average.  Returns 0 if the tree remained too small.
 */
static double
density_in_phase(const GistTree *tree, double bytes)
{
	double		last = tree->bytes * (1 - PHASE_WINDOW);
	double		lowest = 1;
	double		highest = 0;
	double		average = 0;
	double		weight;

	if (tree->nleaves < 4)
		return 0;
	for (int i = 0; i < PHASES; i++)
	{
		double		density = density_around(tree, last * pow(2, -(i + 0.5) / PHASES));

		lowest = Min(lowest, density);
		highest = Max(highest, density);
		average += density / PHASES;
	}
	while (bytes > last)
		bytes /= 2;
	weight = (highest - lowest - FLAT) / FLAT;
	weight = Max(Min(weight, 1), 0);
	return weight * density_around(tree, bytes) + (1 - weight) * average;
}

/*
 * Insert the tuples in the order of the heap.  Returns the density for a new
 * index with so many bytes, 0 if there are too few tuples to tell.
 */
static double
density_by_insertion(GistTree *tree, StewardGistTuples *tuples, double bytes)
{
	qsort(tuples->tuples, tuples->n, sizeof(IndexTuple), compare_tids);
	tree->root = new_page(0);
	tree->leaves[0] = new_page(F_LEAF);
	tree->nleaves = 1;
	for (int i = 0; i < tuples->n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(tree->context);
		bool		room;

		CHECK_FOR_INTERRUPTS();
		room = insert_tuple(tree, tuples->tuples[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(tree->context);
		if (!room)
			break;
	}
	return density_in_phase(tree, bytes);
}

/* How to compare tuples of an index that is built sorted. */
typedef struct GistOrder
{
	Relation	index;
	int			nkeys;
	SortSupport keys;
} GistOrder;

static int
compare_sorted(const void *left, const void *right, void *arg)
{
	GistOrder  *order = arg;

	for (int i = 0; i < order->nkeys; i++)
	{
		bool		lnull;
		bool		rnull;
		Datum		l = index_getattr(*(const IndexTuple *) left, i + 1,
									  RelationGetDescr(order->index), &lnull);
		Datum		r = index_getattr(*(const IndexTuple *) right, i + 1,
									  RelationGetDescr(order->index), &rnull);
		int			compare = ApplySortComparator(l, lnull, r, rnull,
												  &order->keys[i]);

		if (compare != 0)
			return compare;
	}
	return 0;
}

/* Would the server sort before it builds? */
static bool
is_built_sorted(Relation index)
{
	GiSTOptions *options = (GiSTOptions *) index->rd_options;

	if (options != NULL && options->buffering_mode != GIST_OPTION_BUFFERING_AUTO)
		return false;
	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
		if (!OidIsValid(index_getprocid(index, i + 1, GIST_SORTSUPPORT_PROC)))
			return false;
	return true;
}

/*
 * Sort the tuples, and split them in portions of four full pages, as
 * gist_indexsortbuild() of the server does.  Returns the density, 0 if there
 * are too few.
 */
static double
density_by_sorting(GistTree *tree, StewardGistTuples *tuples)
{
	GistOrder	order = {tree->index};
	double		pages = 0;
	double		bytes = 0;
	int			first = 0;
	int			full = 0;
	double		used = 0;

	order.nkeys = IndexRelationGetNumberOfKeyAttributes(tree->index);
	order.keys = palloc0_array(SortSupportData, order.nkeys);
	for (int i = 0; i < order.nkeys; i++)
	{
		order.keys[i].ssup_cxt = CurrentMemoryContext;
		order.keys[i].ssup_collation = tree->index->rd_indcollation[i];
		order.keys[i].ssup_attno = i + 1;
		PrepareSortSupportFromGistIndexRel(tree->index, &order.keys[i]);
	}
	qsort_arg(tuples->tuples, tuples->n, sizeof(IndexTuple), compare_sorted,
			  &order);

	tree->leaves[0] = new_page(F_LEAF);
	for (int i = 0; i < tuples->n; i++)
	{
		double		size = IndexTupleSize(tuples->tuples[i]) +
			sizeof(ItemIdData);

		if (used + size > STEWARD_GIST_SPACE && ++full == SORTED_PAGES)
		{
			MemoryContext old = MemoryContextSwitchTo(tree->context);
			SplitPageLayout *split;

			CHECK_FOR_INTERRUPTS();
			split = gistSplit(tree->index, tree->leaves[0],
							  tuples->tuples + first, i - first, tree->state);
			for (; split != NULL; split = split->next)
			{
				pages++;
				bytes += split->lenlist +
					split->block.num * sizeof(ItemIdData);
			}
			MemoryContextSwitchTo(old);
			MemoryContextReset(tree->context);
			first = i;
			full = 0;
			used = 0;
		}
		else if (used + size > STEWARD_GIST_SPACE)
			used = 0;
		used += size;
	}
	return pages > 0 ? bytes / (pages * STEWARD_GIST_SPACE) : 0;
}

/*
 * Density of the leaves of a new index with tuples like these; 0 if there are
 * too few to tell.
 */
double
steward_gist_density(const StewardIndexTask *task, StewardGistTuples *tuples, double bytes)
{
	GistTree   *tree = palloc0_object(GistTree);
	double		density;
	Oid			user;
	int			security;
	int			nest_level;

	tree->index = task->index;
	tree->context = AllocSetContextCreate(CurrentMemoryContext,
										  "pg_steward GiST insertion",
										  ALLOCSET_DEFAULT_SIZES);

	/* An error ends the subtransaction, which restores all this. */
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(task->heap->heap->rd_rel->relowner,
						   security | SECURITY_RESTRICTED_OPERATION);
	nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);

	tree->state = initGISTstate(task->index);
	tree->state->tempCxt = tree->context;
	density = is_built_sorted(task->index) ?
		density_by_sorting(tree, tuples) :
		density_by_insertion(tree, tuples, bytes);
	freeGISTstate(tree->state);

	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(user, security);
	MemoryContextDelete(tree->context);
	return density;
}
