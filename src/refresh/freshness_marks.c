/*-------------------------------------------------------------------------
 *
 * freshness_marks.c
 *	  What is remembered of the latest refresh of each materialized view.
 *
 * An array of marks with an index over it, and a pool of the relations that
 * each depends on, all of fixed size in shared memory.  One lock guards them:
 * shared for those who look, who take it for less than a microsecond a view,
 * exclusive for those who put or remove a mark.  Marks are put by commits, so
 * nothing here allocates memory or raises an error.
 *
 * When there are too many views, the mark that nobody asked about for the
 * longest time makes room.  When the pool is full it is compacted; a view that
 * still does not fit has no mark.
 *
 * Marks are never written to disk: they hold only together with the clock.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "base/guc.h"
#include "base/shmem.h"
#include "refresh/freshness_marks.h"

#define RELATIONS_PER_VIEW 64	/* on average, in the pool */

/* Shared.  All guarded by the lock. */
typedef struct Marks
{
	LWLock	   *lock;			/* constant */
	uint32		max;			/* constant */
	uint32		nbuckets;		/* constant */
	uint32		pool_size;		/* constant */
	uint32		nmarks;
	uint32		pool_used;
} Marks;

/* All process-local state of this file. */
static struct
{
	Marks	   *shared;			/* NULL unless preloaded */
	StewardMark *marks;			/* the first nmarks are in use */
	uint32	   *buckets;		/* number of a mark + 1, or 0 */
	uint32	   *pool;
}			local;

static uint32
pool_size(void)
{
	return (uint32) steward_refresh_max_views * RELATIONS_PER_VIEW;
}

static Size
marks_size(void)
{
	Size		size = MAXALIGN(sizeof(Marks));

	size = add_size(size, mul_size(steward_refresh_max_views,
								   sizeof(StewardMark)));
	size = add_size(size, mul_size(steward_refresh_max_views,
								   2 * sizeof(uint32)));
	return add_size(size, mul_size(pool_size(), sizeof(uint32)));
}

static void
marks_attach(void *area, LWLockPadded *locks, bool found)
{
	char	   *next = (char *) area + MAXALIGN(sizeof(Marks));

	local.shared = (Marks *) area;
	local.marks = (StewardMark *) next;
	next += steward_refresh_max_views * sizeof(StewardMark);
	local.buckets = (uint32 *) next;
	next += steward_refresh_max_views * 2 * sizeof(uint32);
	local.pool = (uint32 *) next;
	if (found)
		return;
	memset(area, 0, marks_size());
	local.shared->lock = &locks[0].lock;
	local.shared->max = (uint32) steward_refresh_max_views;
	local.shared->nbuckets = (uint32) steward_refresh_max_views * 2;
	local.shared->pool_size = pool_size();
}

static const StewardShmemArea marks_area = {
	.name = "pg_steward_freshness",
	.nlocks = 1,
	.size = marks_size,
	.attach = marks_attach,
};

/* Register the memory, while the library is being preloaded. */
void
steward_marks_init(void)
{
	steward_shmem_register(&marks_area);
}

/* The lock of all marks. */
LWLock *
steward_marks_lock(void)
{
	return local.shared->lock;
}

static uint32
home_bucket(Oid database, Oid view)
{
	return hash_combine(murmurhash32(database), murmurhash32(view)) %
		local.shared->nbuckets;
}

/*
 * The mark of a view, or NULL.  The caller holds the lock.
 */
StewardMark *
steward_marks_find(Oid database, Oid view)
{
	uint32		bucket = home_bucket(database, view);

	/* less than half of the buckets are in use: there is an end */
	while (local.buckets[bucket] != 0)
	{
		StewardMark *mark = &local.marks[local.buckets[bucket] - 1];

		if (mark->view == view && mark->database == database)
			return mark;
		bucket = (bucket + 1) % local.shared->nbuckets;
	}
	return NULL;
}

/* The relations of a mark: those that are stored, then the others. */
const uint32 *
steward_marks_relations(const StewardMark *mark)
{
	return local.pool + mark->first;
}

static void
enter_bucket(uint32 n)
{
	uint32		bucket = home_bucket(local.marks[n].database,
									 local.marks[n].view);

	while (local.buckets[bucket] != 0)
		bucket = (bucket + 1) % local.shared->nbuckets;
	local.buckets[bucket] = n + 1;
}

/* Copy a mark: atomic fields, too, for nobody else can see it now. */
static void
copy_mark(StewardMark *to, const StewardMark *from)
{
	memcpy(to, from, sizeof(StewardMark));
}

/* Remove a mark by its place; the last one moves there. */
static void
remove_mark(uint32 n)
{
	uint32		last = --local.shared->nmarks;

	if (n != last)
		copy_mark(&local.marks[n], &local.marks[last]);
	memset(local.buckets, 0, local.shared->nbuckets * sizeof(uint32));
	for (uint32 i = 0; i < local.shared->nmarks; i++)
		enter_bucket(i);
}

/* Forget a view.  The caller holds the lock exclusively. */
void
steward_marks_remove(Oid database, Oid view)
{
	StewardMark *mark = steward_marks_find(database, view);

	if (mark != NULL)
		remove_mark((uint32) (mark - local.marks));
}

/* Remove the mark that nobody asked about for the longest time. */
static void
evict_mark(void)
{
	uint32		oldest = 0;

	for (uint32 i = 1; i < local.shared->nmarks; i++)
	{
		if (pg_atomic_read_u64(&local.marks[i].asked) <
			pg_atomic_read_u64(&local.marks[oldest].asked))
			oldest = i;
	}
	remove_mark(oldest);
}

/*
 * Move all relations to the beginning of the pool, without gaps: one mark
 * after the other, in the order of their places.
 */
static void
compact_pool(void)
{
	uint32		used = 0;

	for (uint32 done = 0; done < local.shared->nmarks; done++)
	{
		StewardMark *next = NULL;

		for (uint32 i = 0; i < local.shared->nmarks; i++)
		{
			StewardMark *mark = &local.marks[i];

			if (mark->first >= used && mark->nstored + mark->nothers > 0 &&
				(next == NULL || mark->first < next->first))
				next = mark;
		}
		if (next == NULL)
			break;
		memmove(local.pool + used, local.pool + next->first,
				(next->nstored + next->nothers) * sizeof(uint32));
		next->first = used;
		used += next->nstored + next->nothers;
	}
	local.shared->pool_used = used;
}

/*
 * Remember a mark, in place of an earlier one of the same view.  Returns false
 * if there is no room for its relations; then the view has no mark.  The
 * caller holds the lock exclusively.
 */
bool
steward_marks_put(const StewardMark *mark, const uint32 *relations)
{
	uint32		nrelations = mark->nstored + mark->nothers;
	StewardMark *place = steward_marks_find(mark->database, mark->view);

	/* as a rule there are as many relations as before */
	if (place != NULL && place->nstored + place->nothers == nrelations)
	{
		uint32		first = place->first;

		copy_mark(place, mark);
		place->first = first;
		memcpy(local.pool + first, relations, nrelations * sizeof(uint32));
		return true;
	}

	steward_marks_remove(mark->database, mark->view);
	if (local.shared->nmarks == local.shared->max)
		evict_mark();
	if (nrelations > local.shared->pool_size - local.shared->pool_used)
		compact_pool();
	if (nrelations > local.shared->pool_size - local.shared->pool_used)
		return false;

	place = &local.marks[local.shared->nmarks];
	copy_mark(place, mark);
	place->first = local.shared->pool_used;
	memcpy(local.pool + place->first, relations, nrelations * sizeof(uint32));
	local.shared->pool_used += nrelations;
	enter_bucket(local.shared->nmarks++);
	return true;
}
