/*-------------------------------------------------------------------------
 *
 * candidates.c
 *	  Indexes that might help a statement.
 *
 * The statement is planned once, and for each table that the planner looks at,
 * what it asks of that table (candidate_terms.c) is combined to indexes
 * (candidate_proposals.c), up to a limit a table.  Of a partitioned table the
 * whole is indexed, of an inheritance tree each table, as a group.
 *
 * What existing indexes do is not proposed again, nor anything for a table of
 * which a unique key is given.  Whether a candidate is any good is not decided
 * here: it is the planner's cost that tells.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "nodes/pathnodes.h"
#include "optimizer/pathnode.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "advisor/candidate_terms.h"
#include "advisor/candidates.h"
#include "advisor/key_statistics.h"
#include "base/compat.h"

/* Candidates of one table. */
typedef struct Table
{
	Oid			relid;
	List	   *members;		/* tables that each need an index: itself, or all
								 * of an inheritance tree */
	List	   *existing;		/* StewardIndex * of all members */
	double		pages;			/* over all partitions or members */
	double		allvisfrac;
	int			count;			/* candidates */
	List	   *groups;			/* of Lists of StewardIndex * */
} Table;

/* One run. */
typedef struct Collection
{
	StewardSizeCache *cache;
	MemoryContext context;
	int			flags;
	List	   *tables;			/* of Table */
} Collection;

/* Where proposals for one table go. */
typedef struct Target
{
	Collection *collection;
	Table	   *table;
} Target;

/* Are indexes of this table our business? */
static bool
is_candidate_table(Oid relid)
{
	char		kind = get_rel_relkind(relid);

	return relid >= FirstNormalObjectId &&
		(kind == RELKIND_RELATION || kind == RELKIND_MATVIEW ||
		 kind == RELKIND_PARTITIONED_TABLE) &&
		!isOtherTempNamespace(get_rel_namespace(relid));
}

/*
 * The table's entry in the collection, made when it is first met.
 */
static Table *
find_table(Collection *collection, Oid relid, bool inherits)
{
	Table	   *table;
	MemoryContext old;
	List	   *storage;
	double		visible = 0;
	ListCell   *lc;

	foreach(lc, collection->tables)
	{
		table = lfirst(lc);
		if (table->relid == relid)
			return table;
	}

	old = MemoryContextSwitchTo(collection->context);
	table = palloc0(sizeof(Table));
	table->relid = relid;
	table->members = list_make1_oid(relid);
	storage = table->members;
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		storage = find_all_inheritors(relid, NoLock, NULL);
	else if (inherits)
		table->members = storage = find_all_inheritors(relid, NoLock, NULL);
	foreach(lc, storage)
	{
		StewardTableStats *stats;

		if (!RELKIND_HAS_STORAGE(get_rel_relkind(lfirst_oid(lc))))
			continue;
		stats = steward_table_stats(collection->cache, lfirst_oid(lc));
		table->pages += stats->pages;
		visible += stats->pages * stats->allvisfrac;
	}
	table->allvisfrac = visible / Max(table->pages, 1);
	foreach(lc, table->members)
		table->existing = list_concat(table->existing,
									  steward_index_list_existing(lfirst_oid(lc)));
	collection->tables = lappend(collection->tables, table);
	MemoryContextSwitchTo(old);
	return table;
}

/* Does an existing index do all that this one would? */
static bool
is_served(Table *table, StewardIndex *index)
{
	ListCell   *lc;

	foreach(lc, table->existing)
		if (steward_index_covers(lfirst(lc), index))
			return true;
	return false;
}

/* The same index, if it is proposed already, by itself. */
static StewardIndex *
find_proposed(Table *table, StewardIndex *index)
{
	ListCell   *lc;

	foreach(lc, table->groups)
	{
		List	   *group = lfirst(lc);

		if (list_length(group) == 1 &&
			steward_index_equal(linitial(group), index))
			return linitial(group);
	}
	return NULL;
}

/*
 * Keep a group of indexes as candidates, unless they are known or served.  Of
 * an inheritance tree all members get the indexes.
 */
static void
add_group(void *arg, List *indexes)
{
	Target	   *target = arg;
	Table	   *table = target->table;
	List	   *group = NIL;
	ListCell   *lc;
	ListCell   *lc2;
	MemoryContext old;

	foreach(lc, indexes)
		foreach(lc2, table->members)
		{
			StewardIndex *index = steward_index_for_table(lfirst(lc),
														  lfirst_oid(lc2));
			bool		twice = false;
			ListCell   *lc3;

			if (is_served(table, index))
				continue;
			foreach(lc3, group)
				twice = twice || steward_index_equal(lfirst(lc3), index);
			if (!twice)
				group = lappend(group, index);
		}
	if (group == NIL ||
		table->count + list_length(group) > STEWARD_MAX_CANDIDATES)
		return;
	if (list_length(group) == 1)
	{
		StewardIndex *known = find_proposed(table, linitial(group));

		if (known != NULL)
		{
			known->why |= ((StewardIndex *) linitial(group))->why;
			return;
		}
	}

	old = MemoryContextSwitchTo(target->collection->context);
	indexes = NIL;
	foreach(lc, group)
		indexes = lappend(indexes, steward_index_copy(lfirst(lc)));
	table->groups = lappend(table->groups, indexes);
	table->count += list_length(indexes);
	MemoryContextSwitchTo(old);
}

/*
 * Callback: the planner has found its paths for one entry of the range table.
 */
static void
look_at_table(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte,
			  void *arg)
{
	Collection *collection = arg;
	StewardTerms terms;
	Target		target = {collection, NULL};
	StewardProposal proposal;

	if (rte->rtekind != RTE_RELATION || !IS_SIMPLE_REL(rel) ||
		IS_DUMMY_REL(rel) || rte->tablesample != NULL ||
		!is_candidate_table(rte->relid))
		return;

	/* members of an inheritance tree are indexed with their parent */
	if (root->append_rel_array != NULL &&
		root->append_rel_array[rel->relid] != NULL &&
		OidIsValid(root->append_rel_array[rel->relid]->parent_reloid))
		return;

	target.table = find_table(collection, rte->relid, rte->inh);
	if (target.table->pages < STEWARD_MIN_TABLE_PAGES)
		return;
	steward_terms_collect(root, rel,
						  (collection->flags & STEWARD_COLLECT_CONSTANTS) != 0,
						  &terms);
	proposal.relid = rte->relid;
	proposal.pages = target.table->pages;
	proposal.allvisfrac = target.table->allvisfrac;
	proposal.existing = target.table->existing;
	proposal.terms = &terms;
	proposal.add = add_group;
	proposal.arg = &target;
	steward_propose(&proposal);
}

/*
 * See candidates.h.
 */
List *
steward_candidates_collect(StewardSizeCache *cache, Query *query,
						   int cursor_options, ParamListInfo params,
						   int flags, StewardPlan *base)
{
	Collection	collection = {cache, CurrentMemoryContext, flags, NIL};
	List	   *result = NIL;
	ListCell   *lc;
	ListCell   *lc2;
	ListCell   *lc3;

	steward_whatif_look(query, cursor_options, params, look_at_table,
						&collection, base);
	foreach(lc, collection.tables)
		foreach(lc2, ((Table *) lfirst(lc))->groups)
		{
			foreach(lc3, (List *) lfirst(lc2))
				steward_index_estimate(cache, lfirst(lc3));
			result = lappend(result, lfirst(lc2));
		}
	return result;
}
