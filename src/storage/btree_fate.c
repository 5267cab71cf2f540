/*-------------------------------------------------------------------------
 *
 * btree_fate.c
 *	  Which entries of a b-tree REINDEX would keep.
 *
 * Entries whose heap page is all-visible are alive, and of those whose heap
 * page was looked at the fate is known (index_heap.c).  The others are in
 * doubt.  How many of them are alive in all is for btree_bloat.c to say; this
 * file deals it out among them, by chance.
 *
 * Where entries with equal keys share a posting list, it matters whether their
 * rows died together (all orders of a customer who left), independently, or
 * in turn (versions of a row, of which one is alive).  Keys are classed by
 * their number of entries; of each class the share alive and the correlation
 * within a key come from the entries whose fate was seen.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "base/compat.h"
#include "storage/btree_scan.h"

/* Entries of a class whose fate was seen, below which it says nothing. */
#define MIN_SEEN 20

/* Take a copied page apart, into scan->leaf. */
bool
steward_btree_open_leaf(StewardBtreeScan *scan, const StewardLeafCopy *copy)
{
	if (steward_btree_leaf(&scan->rules, copy->page, scan->leaf))
		return true;
	scan->damaged = copy->block;
	return false;
}

static StewardEntryState
entry_state(const StewardBtreeScan *scan, ItemPointer tid)
{
	if (scan->task->heap == NULL)
		return STEWARD_ENTRY_LIVE;
	return steward_index_heap_entry(scan->task->heap, tid);
}

/* The class of keys with so many entries: 1, 2, 3 to 4, 5 to 8, more. */
static int
fate_class(int ntids)
{
	return ntids <= 2 ? ntids - 1 : ntids <= 4 ? 2 : ntids <= 8 ? 3 : 4;
}

/*
 * Count what is known about the entries of all copied pages.  Returns false
 * if a page is damaged.
 */
bool
steward_btree_count(StewardBtreeScan *scan)
{
	scan->killed = scan->entries = scan->known = scan->unknown = 0;
	for (int i = 0; i < STEWARD_FATE_CLASSES; i++)
		scan->fate[i].unknown = 0;

	for (int i = 0; i < scan->nleaves; i++)
	{
		StewardLeafCopy *copy = &scan->leaves[i];
		StewardBtreeLeaf *leaf = scan->leaf;
		int			known = 0;
		int			unknown = 0;

		CHECK_FOR_INTERRUPTS();
		if (!steward_btree_open_leaf(scan, copy))
			return false;
		for (int g = 0; g < leaf->ngroups; g++)
		{
			StewardBtreeGroup *group = &leaf->groups[g];
			int			before = unknown;

			for (int j = 0; j < group->ntids; j++)
			{
				StewardEntryState state =
					entry_state(scan, &leaf->tids[group->first_tid + j]);

				known += state == STEWARD_ENTRY_LIVE;
				unknown += state == STEWARD_ENTRY_UNKNOWN;
			}
			scan->fate[fate_class(group->ntids)].unknown += unknown - before;
		}
		copy->known = known;
		copy->entries = known + unknown;
		scan->killed += leaf->nkilled;
		scan->entries += leaf->ntids;
		scan->known += known;
		scan->unknown += unknown;
	}
	scan->all_alive = scan->known == scan->entries;
	return true;
}

/*
 * Set the probability that an entry in doubt is alive.  The classes keep what
 * distinguishes them.
 */
void
steward_btree_set_probability(StewardBtreeScan *scan, double probability)
{
	double		average = 0;

	scan->probability = probability;
	for (int i = 0; i < STEWARD_FATE_CLASSES; i++)
		average += scan->fate[i].unknown * scan->fate[i].seen;
	average /= Max(scan->unknown, 1);
	for (int i = 0; i < STEWARD_FATE_CLASSES; i++)
	{
		StewardFateClass *fate = &scan->fate[i];

		if (probability < average)
			fate->probability = fate->seen * probability / average;
		else if (average < 1)
			fate->probability = 1 -
				(1 - fate->seen) * (1 - probability) / (1 - average);
		else
			fate->probability = 1;
	}
}

/*
 * A number from the gamma distribution (Marsaglia and Tsang, "A simple method
 * for generating gamma variables", 2000).
 */
static double
draw_gamma(pg_prng_state *random, double shape)
{
	double		boost = 1;
	double		d;

	if (shape < 1)
	{
		boost = pow(Max(pg_prng_double(random), 1e-300), 1 / shape);
		shape++;
	}
	d = shape - 1.0 / 3;
	for (;;)
	{
		double		u = Max(pg_prng_double(random), 1e-300);
		double		x = sqrt(-2 * log(u)) *
			cos(2 * M_PI * pg_prng_double(random));
		double		v = pow(1 + x / sqrt(9 * d), 3);

		if (v > 0 && log(Max(pg_prng_double(random), 1e-300)) <
			x * x / 2 + d - d * v + d * log(v))
			return d * v * boost;
	}
}

/*
 * The chance of a key's entries in doubt, drawn from what the known ones say:
 * chances of keys have a beta distribution, whose spread is the correlation.
 */
static double
draw_chance(StewardBtreeScan *scan, const StewardFateClass *fate,
			int alive, int dead)
{
	double		strength = Max(1 / fate->together - 1, 0.001);
	double		a = alive + fate->probability * strength;
	double		b = dead + (1 - fate->probability) * strength;
	double		x;
	double		y;

	if (a <= 0 || b <= 0)
		return a > 0 ? 1 : 0;
	x = draw_gamma(&scan->random, a);
	y = draw_gamma(&scan->random, b);
	if (x + y > 0)
		return x / (x + y);
	/* both vanish: all or none */
	return pg_prng_double(&scan->random) < a / (a + b) ? 1 : 0;
}

/*
 * How many of the "unknown" entries of a key are alive, by chance, if "alive"
 * and "dead" others are known.
 */
static int
deal_out(StewardBtreeScan *scan, const StewardFateClass *fate,
		 int alive, int dead, int unknown)
{
	pg_prng_state *random = &scan->random;
	int			total = alive + dead + unknown;
	double		chance = fate->probability;
	int			n = 0;

	/* As many as ever, one for the other? */
	if (total > 1 &&
		pg_prng_double(random) < -fate->together * (total - 1))
	{
		n = (int) floor(total * chance + pg_prng_double(random));
		return Max(Min(n - alive, unknown), 0);
	}

	if (total > 1 && fate->together > 0)
		chance = draw_chance(scan, fate, alive, dead);
	for (int i = 0; i < unknown; i++)
		n += pg_prng_double(random) < chance;
	return n;
}

/* How many of a key's entries survive, those in doubt by chance. */
int
steward_btree_surviving(StewardBtreeScan *scan,
						const StewardBtreeGroup *group)
{
	int			alive = 0;
	int			dead = 0;

	if (scan->all_alive)
		return group->ntids;
	for (int i = 0; i < group->ntids; i++)
	{
		StewardEntryState state =
			entry_state(scan, &scan->leaf->tids[group->first_tid + i]);

		alive += state == STEWARD_ENTRY_LIVE;
		dead += state == STEWARD_ENTRY_DEAD;
	}
	if (alive + dead == group->ntids)
		return alive;
	return alive + deal_out(scan, &scan->fate[fate_class(group->ntids)],
							alive, dead, group->ntids - alive - dead);
}

/* An entry in doubt, and another one with the same key, if there is. */
typedef struct Lookup
{
	ItemPointerData tid;
	ItemPointerData partner;
	bool		paired;
} Lookup;

/* A block of the heap that is looked at for the sake of some entries. */
typedef struct LookupBlock
{
	BlockNumber block;
	int			entries;		/* of the sample, that refer to it */
	int			alive;			/* of those */
} LookupBlock;

/*
 * Choose entries in doubt at random, each with the same probability (reservoir
 * sampling).  Returns their number.
 */
static int
choose_lookups(StewardBtreeScan *scan, Lookup *lookups, int maximum)
{
	StewardBtreeLeaf *leaf = scan->leaf;
	double		seen = 0;
	int			n = 0;

	for (int i = 0; i < scan->nleaves; i++)
	{
		if (!steward_btree_open_leaf(scan, &scan->leaves[i]))
			return 0;
		for (int g = 0; g < leaf->ngroups; g++)
		{
			StewardBtreeGroup *group = &leaf->groups[g];
			ItemPointer tids = &leaf->tids[group->first_tid];

			for (int j = 0; j < group->ntids; j++)
			{
				Lookup	   *lookup;
				int			other;

				if (entry_state(scan, &tids[j]) != STEWARD_ENTRY_UNKNOWN)
					continue;
				seen++;
				if (n < maximum)
					lookup = &lookups[n++];
				else
				{
					double		place = pg_prng_double(&scan->random) * seen;

					if (place >= maximum)
						continue;
					lookup = &lookups[(int) place];
				}
				other = pg_prng_uint64_range(&scan->random, 0,
											 group->ntids - 1);
				lookup->tid = tids[j];
				lookup->partner = tids[other];
				lookup->paired = scan->rules.deduplicate && other != j;
			}
		}
	}
	return n;
}

static int
compare_lookup_blocks(const void *left, const void *right)
{
	BlockNumber a = ((const LookupBlock *) left)->block;
	BlockNumber b = ((const LookupBlock *) right)->block;

	return (a > b) - (a < b);
}

/*
 * Look at the blocks of the heap to which these entries refer.  Returns their
 * number; blocks[] gets them, ascending.
 */
static int
read_lookups(StewardBtreeScan *scan, const Lookup *lookups, int nlookups,
			 LookupBlock *blocks)
{
	BlockNumber *numbers = palloc_array(BlockNumber, 2 * nlookups);
	int			n = 0;
	int			distinct = 0;

	memset(blocks, 0, sizeof(LookupBlock) * 2 * nlookups);
	for (int i = 0; i < nlookups; i++)
	{
		blocks[n++].block =
			ItemPointerGetBlockNumberNoCheck(&lookups[i].tid);
		if (lookups[i].paired)
			blocks[n++].block =
				ItemPointerGetBlockNumberNoCheck(&lookups[i].partner);
	}
	qsort(blocks, n, sizeof(LookupBlock), compare_lookup_blocks);
	for (int i = 0; i < n; i++)
		if (distinct == 0 || blocks[i].block != numbers[distinct - 1])
		{
			blocks[distinct].block = blocks[i].block;
			numbers[distinct++] = blocks[i].block;
		}
	steward_index_heap_probe(scan->task->heap, numbers, distinct);
	pfree(numbers);
	return distinct;
}

/*
 * Count the entries of the sample that refer to these blocks, and how many of
 * them are alive.
 */
static void
count_lookups(StewardBtreeScan *scan, LookupBlock *blocks, int nblocks)
{
	for (int i = 0; i < scan->nleaves; i++)
	{
		if (!steward_btree_open_leaf(scan, &scan->leaves[i]))
			return;
		for (int j = 0; j < scan->leaf->ntids; j++)
		{
			ItemPointer tid = &scan->leaf->tids[j];
			LookupBlock key;
			LookupBlock *block;

			key.block = ItemPointerGetBlockNumberNoCheck(tid);
			block = bsearch(&key, blocks, nblocks, sizeof(LookupBlock),
							compare_lookup_blocks);
			if (block == NULL)
				continue;
			block->entries++;
			block->alive += entry_state(scan, tid) == STEWARD_ENTRY_LIVE;
		}
	}
}

/*
 * What part of the entries in doubt is alive: the mean over those chosen, each
 * standing for all of the sample that refer to its block, which is as right
 * and less uncertain (Rao and Blackwell).
 */
static void
evaluate_lookups(StewardBtreeScan *scan, const Lookup *lookups, int nlookups,
				 const LookupBlock *blocks, int nblocks)
{
	double		sum = 0;
	double		squares = 0;
	double		mean;

	for (int i = 0; i < nlookups; i++)
	{
		LookupBlock key;
		const LookupBlock *block;
		double		part;

		key.block = ItemPointerGetBlockNumberNoCheck(&lookups[i].tid);
		block = bsearch(&key, blocks, nblocks, sizeof(LookupBlock),
						compare_lookup_blocks);
		part = (double) block->alive / Max(block->entries, 1);
		sum += part;
		squares += part * part;
	}
	mean = sum / nlookups;
	scan->looked_up = mean;
	/* One more dead and one more alive: a sample of equals proves nothing. */
	scan->looked_up_variance =
		(Max(squares / nlookups - mean * mean, 0) + 0.25 / nlookups) /
		Max(nlookups - 1, 1);
}

/* Sums over the keys of one class whose entries were seen. */
typedef struct FateSums
{
	double		seen;			/* entries */
	double		alive;			/* of those */
	double		pairs;			/* of entries with equal keys, independent */
	double		both;			/* of those, both alive */
	double		single;			/* of those, the first alive */
} FateSums;

/*
 * Add a key whose entries were seen in the heap: not those that the visibility
 * map vouches for.
 */
static void
sum_fate(StewardBtreeScan *scan, const StewardBtreeGroup *group,
		 FateSums *sums)
{
	double		alive = 0;
	double		seen = 0;

	for (int j = 0; j < group->ntids; j++)
	{
		ItemPointer tid = &scan->leaf->tids[group->first_tid + j];
		StewardEntryState state;

		if (steward_index_heap_visible(scan->task->heap,
									   ItemPointerGetBlockNumberNoCheck(tid)))
			continue;
		state = entry_state(scan, tid);
		alive += state == STEWARD_ENTRY_LIVE;
		seen += state != STEWARD_ENTRY_UNKNOWN;
	}
	sums->seen += seen;
	sums->alive += alive;
	if (seen < 2)
		return;
	sums->pairs += seen - 1;
	sums->both += alive * (alive - 1) / seen;
	sums->single += alive * (seen - 1) / seen;
}

/*
 * What each class of keys says about entries in doubt: the share alive, and
 * the correlation within pairs by moments.  A correlation within its error
 * counts as none.
 */
static void
learn_fate(StewardBtreeScan *scan)
{
	FateSums	sums[STEWARD_FATE_CLASSES] = {{0}};

	for (int i = 0; i < scan->nleaves; i++)
	{
		if (!steward_btree_open_leaf(scan, &scan->leaves[i]))
			return;
		for (int g = 0; g < scan->leaf->ngroups; g++)
		{
			StewardBtreeGroup *group = &scan->leaf->groups[g];

			sum_fate(scan, group, &sums[fate_class(group->ntids)]);
		}
	}
	for (int i = 0; i < STEWARD_FATE_CLASSES; i++)
	{
		StewardFateClass *fate = &scan->fate[i];
		double		p = sums[i].single / Max(sums[i].pairs, 1);

		fate->seen = sums[i].seen >= MIN_SEEN ?
			sums[i].alive / sums[i].seen : scan->looked_up;
		fate->together = 0;
		fate->together_error = 1 / sqrt(Max(sums[i].pairs, 4));
		if (p < 0.01 || p > 0.99)
			continue;
		fate->together = (sums[i].both / sums[i].pairs - p * p) /
			(p * (1 - p));
		fate->together = Min(fate->together, 1);
		if (fabs(fate->together) < 1.5 * fate->together_error)
			fate->together = 0;
	}
}

/*
 * Look entries in doubt up in the heap.
 */
void
steward_btree_look_up(StewardBtreeScan *scan, int maximum)
{
	Lookup	   *lookups = palloc_array(Lookup, maximum + 1);
	LookupBlock *blocks = palloc_array(LookupBlock, 2 * maximum + 1);
	int			nlookups = choose_lookups(scan, lookups, maximum);
	int			nblocks;

	if (nlookups == 0)
		return;
	nblocks = read_lookups(scan, lookups, nlookups, blocks);
	count_lookups(scan, blocks, nblocks);
	evaluate_lookups(scan, lookups, nlookups, blocks, nblocks);
	if (scan->rules.deduplicate)
		learn_fate(scan);
	pfree(lookups);
	pfree(blocks);
}

