/*-------------------------------------------------------------------------
 *
 * pool.c
 *	  All candidates of one run, each once.
 *
 * Statements bring their own candidates.  Others are derived from pairs of
 * those that turned out best for some statement, because the best index for
 * two statements may be none that either of them would ask for: the keys of
 * one with the columns of both.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "advisor/advice.h"

/* Candidates of one table from which others are derived, at most. */
#define MAX_DERIVE_FROM 24

/* Candidates that are derived for one table, at most. */
#define MAX_DERIVED 30

typedef struct TableEntry
{
	Oid			relid;
	int			first;			/* candidate */
} TableEntry;

/*
 * First candidate of a table, or -1; "next" leads to the others.
 */
int
steward_pool_first(StewardAdvice *advice, Oid relid)
{
	TableEntry *entry;

	if (advice->tables == NULL)
		return -1;
	entry = hash_search(advice->tables, &relid, HASH_FIND, NULL);
	return entry ? entry->first : -1;
}

/* Space of all tables that have candidates, in bytes. */
double
steward_pool_table_bytes(StewardAdvice *advice)
{
	HASH_SEQ_STATUS status;
	TableEntry *entry;
	double		bytes = 0;

	if (advice->tables == NULL)
		return 0;
	hash_seq_init(&status, advice->tables);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->first >= 0)
			bytes += advice->candidates[entry->first].table_bytes;
	return bytes;
}

/* Entry of a table, made if need be. */
static TableEntry *
enter_table(StewardAdvice *advice, Oid relid)
{
	TableEntry *entry;
	bool		found;

	if (advice->tables == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(Oid),
		.entrysize = sizeof(TableEntry), .hcxt = advice->context};

		advice->tables = hash_create("pg_steward tables", 64, &control,
									 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(advice->tables, &relid, HASH_ENTER, &found);
	if (!found)
		entry->first = -1;
	return entry;
}

/* Size of the table of an index, as of its latest VACUUM or ANALYZE. */
static double
table_bytes(const StewardIndex *index)
{
	double		pages = 0;

	for (int i = 0; i < index->nparts; i++)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID,
											ObjectIdGetDatum(index->parts[i].relid));

		if (!HeapTupleIsValid(tuple))
			continue;
		pages += Max(((Form_pg_class) GETSTRUCT(tuple))->relpages, 0);
		ReleaseSysCache(tuple);
	}
	return pages * BLCKSZ;
}

/*
 * Number of a candidate, which is copied and estimated if it is new.  -1 if
 * there is no room, or no estimate.  Takes a lock on its table.
 */
int
steward_pool_add(StewardAdvice *advice, const StewardIndex *index)
{
	TableEntry *entry = enter_table(advice, index->relid);
	StewardCandidate *candidate;
	MemoryContext old;

	for (int i = entry->first; i >= 0; i = advice->candidates[i].next)
	{
		if (steward_index_equal(advice->candidates[i].index, index))
		{
			advice->candidates[i].index->why |= index->why;
			return i;
		}
	}
	if (advice->ncandidates >= STEWARD_MAX_POOL)
		return -1;

	old = MemoryContextSwitchTo(advice->context);
	if (advice->ncandidates == advice->maxcandidates)
	{
		advice->maxcandidates = Max(64, advice->maxcandidates * 2);
		advice->candidates = advice->candidates == NULL ?
			palloc(advice->maxcandidates * sizeof(StewardCandidate)) :
			repalloc(advice->candidates,
					 advice->maxcandidates * sizeof(StewardCandidate));
	}
	candidate = &advice->candidates[advice->ncandidates];
	memset(candidate, 0, sizeof(StewardCandidate));
	candidate->index = steward_index_copy(index);
	steward_index_estimate(advice->sizes, candidate->index);
	candidate->index->id = advice->ncandidates + 1;
	candidate->bytes = STEWARD_INDEX_BYTES(candidate->index);
	candidate->table_bytes = table_bytes(candidate->index);
	candidate->next = entry->first;
	candidate->plain = -1;
	MemoryContextSwitchTo(old);
	if (candidate->index->nparts == 0)
		return -1;
	entry->first = advice->ncandidates;
	return advice->ncandidates++;
}

/* Argument of derive_for_table(). */
typedef struct Derivation
{
	StewardAdvice *advice;
	int			first;			/* candidate of the table */
} Derivation;

/*
 * Derive what may serve two statements from pairs of a table's candidates:
 * one's keys with the INCLUDE columns of both, and the keys of one behind
 * those of the other if they begin alike.
 */
static void
derive_for_table(void *arg)
{
	StewardAdvice *advice = ((Derivation *) arg)->advice;
	int			first = ((Derivation *) arg)->first;
	int			from[MAX_DERIVE_FROM];
	int			nfrom = 0;
	int			budget = MAX_DERIVED;

	/* the most recent ones are first in the list: those of cheap statements */
	for (int i = first; i >= 0; i = advice->candidates[i].next)
	{
		if (advice->candidates[i].index->am != BTREE_AM_OID ||
			!advice->candidates[i].winner)
			continue;
		if (nfrom == MAX_DERIVE_FROM)
		{
			memmove(from, from + 1, (MAX_DERIVE_FROM - 1) * sizeof(int));
			nfrom--;
		}
		from[nfrom++] = i;
	}
	for (int a = nfrom - 1; a >= 0; a--)
	{
		for (int b = nfrom - 1; b >= 0; b--)
		{
			StewardIndex *one = advice->candidates[from[a]].index;
			StewardIndex *other = advice->candidates[from[b]].index;
			StewardIndex *merged;

			if (a == b || budget <= 0 ||
				one->attnums[0] != other->attnums[0] ||
				steward_index_covers(one, other) ||
				steward_index_covers(other, one))
				continue;
			merged = steward_index_merge(one, other);
			if (merged != NULL)
			{
				int			number = steward_pool_add(advice, merged);

				if (number >= 0)
					advice->candidates[number].winner = true;
				budget--;
			}
		}
	}
}

/*
 * Derive candidates of all tables.  To be called when all statements have been
 * explored.  Tables that are locked by others get none.
 */
void
steward_pool_derive(StewardAdvice *advice)
{
	Derivation	derivation = {advice};
	HASH_SEQ_STATUS status;
	TableEntry *entry;

	if (advice->tables == NULL)
		return;
	hash_seq_init(&status, advice->tables);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		derivation.first = entry->first;
		(void) steward_advice_apart(derive_for_table, &derivation);
	}
}
