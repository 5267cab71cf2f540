/*-------------------------------------------------------------------------
 *
 * n_plus_one_store.c
 *	  Groups of repeated statements, summed up in shared memory.
 *
 * A node belongs to a pair of parent and child of one role in one database.
 * A node without a parent stands for the child alone: it has the groups for
 * which no parent was found, and it carries the totals of that statement,
 * also when the statement is the parent of others.
 *
 * The number of nodes is fixed.  When all are in use, the one that was
 * written longest ago makes room.  Nodes are found through a hash table with
 * chains of node numbers.
 *
 * Backends write when a group reaches the threshold, when it has grown much
 * and when it ends, never for a single statement.  Membership (heads, next, keys,
 * the list of free nodes) is guarded by the one LWLock, shared to look,
 * exclusive to change; what a node has counted is guarded by its spinlock, so
 * that backends that report groups of known pairs do not wait for one
 * another.
 *
 * Nothing here raises an error, allocates memory or reads a catalog while it
 * writes: it is called when statements end, and at exit.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "port/pg_bitutils.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/shmem.h"
#include "latency/n_plus_one_store.h"

/* Nodes for each of pg_steward.n_plus_one_max: a pair and its two totals. */
#define NODES_PER_PAIR 3

typedef struct RepeatKey
{
	int64		parent;
	int64		child;
	Oid			database;
	Oid			role;
} RepeatKey;

typedef struct RepeatNode
{
	RepeatKey			key;			/* by the LWLock */
	uint32		next;			/* in chain or free list, + 1; by the LWLock */
	uint64		incarnation;	/* never used before; by the LWLock */
	slock_t		mutex;			/* guards the rest */
	StewardRepeatTotals totals; /* of the child */
	StewardRepeat repeat;
} RepeatNode;

typedef struct RepeatShared
{
	/* Constant after creation. */
	uint32		nnodes;
	uint32		nheads;			/* a power of two */

	/* Guarded by the LWLock. */
	uint32		used;
	uint32		free_nodes;		/* list, + 1 */
	uint64		incarnations;	/* nodes ever made */
	uint64		evictions;
	TimestampTz reset_at;
} RepeatShared;

/* Where everything is; constant in a process once attached. */
static struct
{
	RepeatShared	   *shared;			/* NULL unless preloaded */
	LWLock	   *lock;
	uint32	   *heads;			/* node + 1; by the LWLock */
	TimestampTz *seen;			/* one a node, when it was written; written
								 * under the LWLock, shared, by anyone */
	RepeatNode	   *nodes;
}			store;

static uint32
count_nodes(void)
{
	return steward_nplusone_max * NODES_PER_PAIR;
}

static Size
store_size(void)
{
	Size		size = CACHELINEALIGN(sizeof(RepeatShared));

	size = add_size(size, mul_size(pg_nextpower2_32(2 * count_nodes()),
								   sizeof(uint32)));
	size = add_size(size, mul_size(count_nodes(), sizeof(TimestampTz)));
	size = add_size(size, PG_CACHE_LINE_SIZE);
	return add_size(size, mul_size(count_nodes(), sizeof(RepeatNode)));
}

/*
 * Make all nodes free.  The caller holds the lock exclusively, or nobody else
 * can be there.
 */
static void
clear_nodes(void)
{
	memset(store.heads, 0, store.shared->nheads * sizeof(uint32));
	for (uint32 i = 0; i < store.shared->nnodes; i++)
		store.nodes[i].next = i + 2;
	store.nodes[store.shared->nnodes - 1].next = 0;
	store.shared->free_nodes = 1;
	store.shared->used = 0;
	store.shared->reset_at = GetCurrentTimestamp();
}

static void
store_attach(void *area, LWLockPadded *locks, bool found)
{
	char	   *place = area;
	RepeatShared	   *shared = area;

	if (!found)
	{
		memset(shared, 0, sizeof(RepeatShared));
		shared->nnodes = count_nodes();
		shared->nheads = pg_nextpower2_32(2 * count_nodes());
	}
	place += CACHELINEALIGN(sizeof(RepeatShared));
	store.heads = (uint32 *) place;
	place += shared->nheads * sizeof(uint32);
	store.seen = (TimestampTz *) place;
	place += shared->nnodes * sizeof(TimestampTz);
	store.nodes = (RepeatNode *) CACHELINEALIGN(place);
	store.lock = &locks[0].lock;
	store.shared = shared;

	if (!found)
	{
		for (uint32 i = 0; i < shared->nnodes; i++)
			SpinLockInit(&store.nodes[i].mutex);
		clear_nodes();
	}
}

static const StewardShmemArea store_area = {
	.name = "pg_steward_n_plus_one",
	.nlocks = 1,
	.size = store_size,
	.attach = store_attach,
};

/*
 * Ask for the memory.  Called while the library is being preloaded.
 */
void
steward_repeat_store_init(void)
{
	steward_shmem_register(&store_area);
}

static uint32 *
chain_of(const RepeatKey *key)
{
	uint32		hash = hash_bytes((const unsigned char *) key, sizeof(RepeatKey));

	return &store.heads[hash & (store.shared->nheads - 1)];
}

/*
 * The node of a key, or NULL.  The caller holds the lock.
 */
static RepeatNode *
find_node(const RepeatKey *key)
{
	for (uint32 i = *chain_of(key); i != 0; i = store.nodes[i - 1].next)
	{
		if (memcmp(&store.nodes[i - 1].key, key, sizeof(RepeatKey)) == 0)
			return &store.nodes[i - 1];
	}
	return NULL;
}

/*
 * Free the node that was written longest ago.  The caller holds the lock
 * exclusively.
 */
static void
evict_node(void)
{
	uint32		oldest = 0;
	uint32	   *link;

	for (uint32 i = 1; i < store.shared->nnodes; i++)
	{
		if (store.seen[i] < store.seen[oldest])
			oldest = i;
	}
	link = chain_of(&store.nodes[oldest].key);
	while (*link != oldest + 1)
		link = &store.nodes[*link - 1].next;
	*link = store.nodes[oldest].next;
	store.nodes[oldest].next = store.shared->free_nodes;
	store.shared->free_nodes = oldest + 1;
	store.shared->used--;
	store.shared->evictions++;
}

/*
 * Make a node.  The caller holds the lock exclusively.
 */
static RepeatNode *
insert_node(const RepeatKey *key)
{
	uint32	   *link = chain_of(key);
	RepeatNode	   *node;

	if (store.shared->free_nodes == 0)
		evict_node();
	node = &store.nodes[store.shared->free_nodes - 1];
	store.shared->free_nodes = node->next;
	store.shared->used++;

	node->key = *key;
	node->incarnation = ++store.shared->incarnations;
	memset(&node->totals, 0, sizeof(node->totals));
	memset(&node->repeat, 0, sizeof(node->repeat));
	node->next = *link;
	*link = node - store.nodes + 1;
	return node;
}

/*
 * The node of a key, made if there is none.  The caller holds the lock shared;
 * it is held exclusively afterwards if a node had to be made, which "exclusive"
 * tells.
 */
static RepeatNode *
provide_node(const RepeatKey *key, bool *exclusive, TimestampTz now)
{
	RepeatNode *node = find_node(key);

	if (node == NULL && !*exclusive)
	{
		LWLockRelease(store.lock);
		LWLockAcquire(store.lock, LW_EXCLUSIVE);
		*exclusive = true;
		node = find_node(key);
	}
	if (node == NULL)
		node = insert_node(key);
	store.seen[node - store.nodes] = now;
	return node;
}

/* Bucket of a number of executions. */
static int
bucket_of(uint32 executions)
{
	int			octave;

	if (executions < 16)
		return executions;
	octave = pg_leftmost_one_pos32(executions);
	return Min(16 + (octave - 4) * 8 + ((executions >> (octave - 3)) & 7),
			   STEWARD_REPEAT_BUCKETS - 1);
}

/* Smallest number of executions in a bucket. */
static uint32
bucket_start(int bucket)
{
	if (bucket < 16)
		return bucket;
	return (uint32) (8 + (bucket & 7)) << ((bucket - 16) / 8 + 1);
}

/*
 * Number of executions that stands for a bucket: its middle.
 */
double
steward_repeat_bucket_middle(int bucket)
{
	return (bucket_start(bucket) + bucket_start(bucket + 1) - 1) / 2.0;
}

/*
 * Count a group in its bucket.  When a bucket is full, all are halved: they
 * serve for a median.
 */
static void
count_bucket(StewardRepeat *repeat, uint32 executions)
{
	uint16	   *bucket = &repeat->buckets[bucket_of(executions)];

	if (*bucket == PG_UINT16_MAX)
	{
		for (int i = 0; i < STEWARD_REPEAT_BUCKETS; i++)
			repeat->buckets[i] /= 2;
	}
	(*bucket)++;
}

/* Did the child run once for each row, give or take what is lost at edges? */
static bool
group_matches(const StewardRepeatGroup *group)
{
	int64		difference = (int64) group->executions - group->parent_rows;
	int64		tolerance = group->parent_rows / 16;

	return group->parent_rows > 0 &&
		difference <= tolerance && -difference <= tolerance;
}

/* Add what sums up, or take it away again. */
static void
sum_group(StewardRepeat *repeat, const StewardRepeatGroup *group, int sign)
{
	StewardRepeatGroup *sum = &repeat->sum;

	repeat->groups += sign;
	repeat->matched += sign * group_matches(group);
	repeat->enclosed += sign * group->enclosed;
	repeat->coherent += sign * group->coherent;
	sum->sampled += sign * (int32) group->sampled;
	sum->distinct += sign * (int32) group->distinct;
	sum->rows += sign * (int64) group->rows;
	sum->time_ns += sign * group->time_ns;
	sum->pause_ns += sign * group->pause_ns;
	sum->saved_ns += sign * group->saved_ns;
	if (group->parent_rows > 0)
	{
		double		ratio = (double) group->executions / group->parent_rows;

		repeat->ratio_sum += sign * ratio;
		repeat->ratio_sum2 += sign * ratio * ratio;
		repeat->parent_rows_sum += sign * (double) group->parent_rows;
		repeat->parent_rows_sum2 += sign * (double) group->parent_rows *
			group->parent_rows;
	}
}

static RepeatKey
key_of_group(const StewardRepeatGroup *group)
{
	RepeatKey			key;

	memset(&key, 0, sizeof(key));
	key.parent = group->parent;
	key.child = group->child;
	key.database = group->database;
	key.role = group->role;
	return key;
}

/* Count a group.  The caller holds the node's spinlock. */
static void
add_group(StewardRepeat *repeat, const StewardRepeatGroup *group)
{
	sum_group(repeat, group, 1);
	count_bucket(repeat, group->executions);
	repeat->max_executions = Max(repeat->max_executions, group->executions);
	repeat->executions += group->executions;
	repeat->sum.parent = group->parent;
	repeat->sum.child = group->child;
	repeat->sum.database = group->database;
	repeat->sum.role = group->role;
	repeat->sum.command = group->command;
	repeat->sum.flags |= group->flags;
	if (repeat->sum.first_seen == 0)
		repeat->sum.first_seen = group->first_seen;
	repeat->sum.last_seen = Max(repeat->sum.last_seen, group->last_seen);
	memcpy(repeat->sum.application, group->application, NAMEDATALEN);
}

/*
 * Take back a group that was added with these figures, unless they are gone,
 * by a reset or an eviction.  The caller holds the node's spinlock.
 */
static void
remove_group(RepeatNode *node, const StewardRepeatGroup *group)
{
	uint16	   *bucket = &node->repeat.buckets[bucket_of(group->executions)];

	if (node->incarnation != group->node)
		return;
	if (*bucket > 0)
		(*bucket)--;
	sum_group(&node->repeat, group, -1);
	node->repeat.executions -= group->executions;
}

/* Add to the totals of a statement.  Under the lock, like provide_node(). */
static void
add_totals(const StewardRepeatGroup *group, int64 queryid,
		   const StewardRepeatTotals *totals, bool *exclusive)
{
	RepeatKey	key = key_of_group(group);
	RepeatNode *node;

	key.parent = 0;
	key.child = queryid;
	node = provide_node(&key, exclusive, group->last_seen);
	SpinLockAcquire(&node->mutex);
	node->totals.calls += totals->calls;
	node->totals.list_calls += totals->list_calls;
	node->totals.rows += totals->rows;
	SpinLockRelease(&node->mutex);
}

/*
 * Count a group, in place of what it was counted as before ("previous", may
 * be NULL), and what its statements have done since the last time; the parent's
 * totals may be NULL.
 */
void
steward_repeat_publish(StewardRepeatGroup *group,
					   const StewardRepeatGroup *previous,
					   const StewardRepeatTotals *child,
					   const StewardRepeatTotals *parent)
{
	RepeatKey	key = key_of_group(group);
	RepeatNode *node;
	bool		exclusive = false;

	LWLockAcquire(store.lock, LW_SHARED);
	if (previous != NULL && previous->parent != group->parent)
	{
		RepeatKey	old = key_of_group(previous);

		node = find_node(&old);
		if (node != NULL)
		{
			SpinLockAcquire(&node->mutex);
			remove_group(node, previous);
			SpinLockRelease(&node->mutex);
		}
		previous = NULL;
	}

	node = provide_node(&key, &exclusive, group->last_seen);
	SpinLockAcquire(&node->mutex);
	if (previous != NULL)
		remove_group(node, previous);
	add_group(&node->repeat, group);
	group->node = node->incarnation;
	SpinLockRelease(&node->mutex);

	add_totals(group, group->child, child, &exclusive);
	if (parent != NULL)
		add_totals(group, group->parent, parent, &exclusive);
	LWLockRelease(store.lock);
}

/*
 * Median of executions per group; exact up to 16, then too high by less than
 * an eighth, and never more than the maximum.
 */
uint32
steward_repeat_median(const StewardRepeat *repeat)
{
	uint64		total = 0;
	uint64		before = 0;

	for (int i = 0; i < STEWARD_REPEAT_BUCKETS; i++)
		total += repeat->buckets[i];
	for (int i = 0; i < STEWARD_REPEAT_BUCKETS; i++)
	{
		before += repeat->buckets[i];
		if (before > 0 && before * 2 >= total)
			return Min(bucket_start(i + 1) - 1, repeat->max_executions);
	}
	return 0;
}

/* Totals of a statement; zeros if they are not known.  Under the lock. */
static StewardRepeatTotals
read_totals(const RepeatKey *pair, int64 queryid)
{
	StewardRepeatTotals totals = {0};
	RepeatKey			key = *pair;
	RepeatNode	   *node;

	key.parent = 0;
	key.child = queryid;
	node = find_node(&key);
	if (node != NULL)
	{
		SpinLockAcquire(&node->mutex);
		totals = node->totals;
		SpinLockRelease(&node->mutex);
	}
	return totals;
}

/*
 * Copies of all pairs that have groups, in the current memory context.
 */
StewardRepeatRow *
steward_repeat_read(int *nrows)
{
	StewardRepeatRow *rows;

	*nrows = 0;
	rows = palloc_extended(mul_size(store.shared->nnodes, sizeof(StewardRepeatRow)),
						   MCXT_ALLOC_HUGE);

	LWLockAcquire(store.lock, LW_SHARED);
	for (uint32 head = 0; head < store.shared->nheads; head++)
	{
		for (uint32 i = store.heads[head]; i != 0; i = store.nodes[i - 1].next)
		{
			RepeatNode	   *node = &store.nodes[i - 1];
			StewardRepeatRow *row = &rows[*nrows];

			SpinLockAcquire(&node->mutex);
			row->repeat = node->repeat;
			SpinLockRelease(&node->mutex);
			if (row->repeat.groups == 0)
				continue;
			row->child = read_totals(&node->key, node->key.child);
			row->parent = read_totals(&node->key, node->key.parent);
			(*nrows)++;
		}
	}
	LWLockRelease(store.lock);
	return rows;
}

/*
 * How full the store is.
 */
void
steward_repeat_info(StewardRepeatInfo *info)
{
	LWLockAcquire(store.lock, LW_SHARED);
	info->nodes = store.shared->used;
	info->max_nodes = store.shared->nnodes;
	info->evictions = store.shared->evictions;
	info->reset_at = store.shared->reset_at;
	LWLockRelease(store.lock);
}

/*
 * Forget everything.
 */
void
steward_repeat_reset(void)
{
	LWLockAcquire(store.lock, LW_EXCLUSIVE);
	clear_nodes();
	store.shared->evictions = 0;
	LWLockRelease(store.lock);
}
