/*-------------------------------------------------------------------------
 *
 * gist_bloat.c
 *	  What REINDEX would free of a GiST index.
 *
 * How full the pages of a new GiST index are depends on how its operator
 * class splits them, and on the order in which rows come: anything from half
 * to nine tenths.  So a small one is built: some thousand leaf tuples of the
 * sample are inserted, in the order of the heap, into a tree in memory of one
 * inner page, with the server's own functions for choosing a page and for
 * splitting it.  Where the server would sort first (gistbuild.c: operator
 * classes with sort support), the tuples are sorted and split in the same
 * portions of four pages.  The density of the small tree's leaves is taken for
 * that of the large one.
 *
 * Support functions of operator classes are installed by superusers, but may
 * themselves call functions of a user, such as the subtype_diff of a range
 * type.  They run as the owner of the table, in a security-restricted
 * operation, just as in REINDEX.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/gist_private.h"
#include "access/tupmacs.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sortsupport.h"

#include "base/compat.h"
#include "storage/index_sample.h"

/* Leaf tuples that are kept for the small tree, and their bytes. */
#define MAX_KEPT 12000
#define MAX_KEPT_BYTES (1024 * 1024)

/* Leaves of the small tree. */
#define MAX_LEAVES 48

/* Pages that the server splits at once when it builds from sorted tuples. */
#define SORTED_PAGES 4

/* Part by which the size may differ from the one whose density is looked up. */
#define PHASE_WINDOW 0.05
#define PHASES 8

/* Differences of density that are chance. */
#define FLAT 0.12

/* Density if there are too few tuples to tell, and of inner pages. */
#define USUAL_DENSITY 0.65

/*
 * Part of the new index by which the model may be off, and what each further
 * column adds: a small tree is split by the first ones only.
 */
#define MODEL_ERROR 0.07
#define COLUMN_ERROR 0.05

#define PAGE_SPACE \
	((double) (BLCKSZ - SizeOfPageHeaderData - \
			   MAXALIGN(sizeof(GISTPageOpaqueData))))

/* Values of a page. */
enum
{
	VALUE_LEAF_BYTES			/* of live tuples, with line pointers */
};

/* Leaf tuples of the sample. */
typedef struct GistTuples
{
	double		offered;
	int			n;
	int			most;
	IndexTuple *tuples;
} GistTuples;

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
	double		step_bytes[MAX_KEPT];	/* after each insertion */
	int			step_leaves[MAX_KEPT];
} GistTree;

/* Keep a leaf tuple, or not: a random choice of all that are offered. */
static void
keep_tuple(StewardIndexSample *sample, IndexTuple tuple)
{
	GistTuples *tuples = sample->state;
	double		place = tuples->offered++;

	if (tuples->n == 0)
		tuples->most = Min(MAX_KEPT, MAX_KEPT_BYTES / IndexTupleSize(tuple));
	if (place >= tuples->most)
	{
		place = floor(pg_prng_double(&sample->random) * tuples->offered);
		if (place >= tuples->most)
			return;
		pfree(tuples->tuples[(int) place]);
	}
	else
		tuples->n++;
	tuples->tuples[(int) place] = CopyIndexTuple(tuple);
}

/*
 * Do the values of a tuple lie within it?  They are handed to functions of the
 * operator class, which trust their lengths.
 */
static bool
values_are_sound(TupleDesc desc, IndexTuple tuple)
{
	int			size = IndexTupleSize(tuple);
	int			off = IndexInfoFindDataOffset(tuple->t_info);
	uint8	   *present = (uint8 *) tuple + sizeof(IndexTupleData);

	if (off > size)
		return false;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		char	   *value;

		if (IndexTupleHasNulls(tuple) &&
			(present[i / 8] & (1 << (i % 8))) == 0)
			continue;
		/* the first byte tells whether there is padding before */
		if (off >= size)
			return false;
		off = att_align_pointer(off, att->attalign, att->attlen,
								(char *) tuple + off);
		value = (char *) tuple + off;
		if (off >= size ||
			(att->attlen == -1 && !VARATT_IS_1B(value) &&
			 off + VARHDRSZ > size) ||
			(att->attlen == -1 && VARATT_IS_EXTERNAL(value)) ||
			(att->attlen == -1 && VARSIZE_ANY(value) < VARHDRSZ_SHORT) ||
			(att->attlen == -2 && memchr(value, 0, size - off) == NULL))
			return false;
		off = att_addlength_pointer(off, att->attlen, value);
		if (off > size)
			return false;
	}
	return true;
}

/* Read a page. */
static bool
read_page(StewardIndexSample *sample, Page page, StewardPageValues *values)
{
	GISTPageOpaque opaque = GistPageGetOpaque(page);
	OffsetNumber max = PageGetMaxOffsetNumber(page);

	if (opaque->gist_page_id != GIST_PAGE_ID)
		return false;
	if ((opaque->flags & F_DELETED) != 0)
	{
		values->empty = true;
		return true;
	}
	for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
	{
		IndexTuple	tuple = steward_index_sample_tuple(page, off);
		double		bytes;

		if (tuple == NULL)
			return false;
		bytes = IndexTupleSize(tuple) + sizeof(ItemIdData);
		values->used += bytes;
		if ((opaque->flags & F_LEAF) == 0)
			continue;
		if (ItemIdIsDead(PageGetItemId(page, off)))
		{
			sample->nkilled++;
			continue;
		}
		if (!values_are_sound(RelationGetDescr(sample->task->index), tuple))
			return false;
		values->value[VALUE_LEAF_BYTES] += bytes;
		steward_index_sample_entry(sample, &tuple->t_tid);
		keep_tuple(sample, tuple);
	}
	values->empty = max == 0;
	return true;
}

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
			sum += tree->step_bytes[i] / (PAGE_SPACE * tree->step_leaves[i]);
			counted++;
		}
	return counted > 0 ? sum / counted : USUAL_DENSITY;
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
density_by_insertion(GistTree *tree, GistTuples *tuples, double bytes)
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
density_by_sorting(GistTree *tree, GistTuples *tuples)
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

		if (used + size > PAGE_SPACE && ++full == SORTED_PAGES)
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
		else if (used + size > PAGE_SPACE)
			used = 0;
		used += size;
	}
	return pages > 0 ? bytes / (pages * PAGE_SPACE) : 0;
}

/*
 * Density of the leaves of a new index with tuples like these; 0 if there are
 * too few to tell.
 */
static double
fresh_density(const StewardIndexTask *task, GistTuples *tuples, double bytes)
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

/* Pages of the new index, with so many leaves. */
static double
whole_index(double leaves, double tuple_bytes)
{
	double		fanout = Max(PAGE_SPACE * USUAL_DENSITY / tuple_bytes, 2);
	double		pages = Max(ceil(leaves), 1);
	double		level = pages;

	while (level > 1)
	{
		level = ceil(level / fanout);
		pages += level;
	}
	return pages;
}

/*
 * Estimate a GiST index.
 */
void
steward_gist_bloat(const StewardIndexTask *task, StewardIndexBloat *result)
{
	StewardIndexSample *sample = palloc0_object(StewardIndexSample);
	GistTuples *tuples = palloc0_object(GistTuples);
	double		density;
	double		model = MODEL_ERROR + COLUMN_ERROR *
		(IndexRelationGetNumberOfKeyAttributes(task->index) - 1);
	double		error;
	double		doubt;
	double		alive;
	double		bytes;
	double		tuple_bytes;

	tuples->tuples = palloc_array(IndexTuple, MAX_KEPT);
	sample->task = task;
	sample->reader = read_page;
	sample->special = sizeof(GISTPageOpaqueData);
	sample->state = tuples;
	steward_index_sample_read(sample, GIST_ROOT_BLKNO, result);
	alive = steward_index_sample_alive(sample, &doubt);
	bytes = steward_index_sample_mean(sample, VALUE_LEAF_BYTES, &error);
	steward_index_sample_describe(sample, alive, result);
	if (result->reason != NULL)
		return;

	error = error * alive + bytes * doubt;
	bytes *= alive;
	tuple_bytes = 32;
	for (int i = 0; i < tuples->n; i++)
		tuple_bytes = (i == 0 ? 0 : tuple_bytes) +
			(IndexTupleSize(tuples->tuples[i]) + (double) sizeof(ItemIdData)) /
			tuples->n;
	density = tuples->n > 0 && bytes > PAGE_SPACE / 2 ?
		fresh_density(task, tuples, bytes) : 0;
	if (density == 0)
	{
		density = USUAL_DENSITY;
		model *= 2;
	}
	/* below one page there is nothing to split */
	if (bytes < PAGE_SPACE * 0.9)
		density = 1;
	result->pages = whole_index(bytes / PAGE_SPACE / density, tuple_bytes);
	error = error / PAGE_SPACE / density + model * result->pages + 1;
	result->pages_low = result->pages - error;
	result->pages_high = result->pages + error;
}
