/*-------------------------------------------------------------------------
 *
 * candidate_proposals.c
 *	  Combinations of the keys that a statement asks for to indexes.
 *
 * With E the keys compared for equality, J those compared with other tables, R
 * those compared by range and S the keys of a wanted order, these are proposed,
 * the most promising first:
 *
 *	E, E+R, E+S, E+S+R		all of E, then single keys and pairs of it
 *	J+E, E+J				for each other table; with R and S as above
 *	R, S, S+R				S alone if an index-only scan can gain, or LIMIT
 *							without E
 *
 * each with INCLUDE of what else is needed, where an index-only scan is
 * possible and would not visit the table often; and with a predicate, where a
 * condition without parameters keeps few rows.  GIN and GiST for conditions
 * that b-trees do not serve, BRIN for ranges over a column whose order the table
 * follows.  The arms of an OR are a group: one without the others is useless.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advisor/candidate_terms.h"
#include "advisor/index_spec.h"
#include "base/compat.h"

/* Keys of an index, at most. */
#define MAX_KEYS 5

/* INCLUDE columns, and bytes of all columns, at most. */
#define MAX_INCLUDED 10
#define MAX_COVERING_BYTES 300

/* Pages that are all visible, at least, for index-only scans to pay. */
#define MIN_ALL_VISIBLE 0.5

/* For BRIN: correlation, and pages of the table, at least. */
#define BRIN_CORRELATION 0.95
#define BRIN_PAGES 1024

/* Is this key's column, if it is one, fixed by the predicate? */
static bool
is_in_predicate(StewardKey *key, List *predicate)
{
	Bitmapset  *offset = NULL;

	if (key->attnum == 0 || predicate == NIL)
		return false;
	pull_varattnos((Node *) predicate, 1, &offset);
	return bms_is_member(key->attnum - FirstLowInvalidHeapAttributeNumber,
						 offset);
}

/* An index with these keys; NULL if there is none. */
static StewardIndex *
make_index(StewardProposal *proposal, List *keys, List *predicate)
{
	StewardIndex *index;
	ListCell   *lc;

	if (keys == NIL)
		return NULL;
	index = steward_index_create(proposal->relid,
								 ((StewardKey *) linitial(keys))->am);
	foreach(lc, keys)
	{
		StewardKey *key = lfirst(lc);

		if (index->nkeys < MAX_KEYS && key->am == index->am &&
			steward_index_add_key(index, key->attnum, key->expr, key->opclass,
								  key->collation, key->options))
			index->why |= key->why;
	}
	index->predicate = predicate;
	if (predicate != NIL)
		index->why |= STEWARD_WHY_PARTIAL;
	return index->nkeys > 0 ? index : NULL;
}

/*
 * Columns that an index-only scan needs: those of the output and of conditions
 * that the predicate does not imply.  Never empty if the scan needs a system
 * column in a condition: then it has the number 0, which no index has.
 */
static Bitmapset *
needed_columns(StewardTerms *terms, List *predicate)
{
	Bitmapset  *offset = NULL;
	Bitmapset  *result = bms_copy(terms->output);
	int			member = -1;
	ListCell   *lc;

	foreach(lc, terms->conditions)
		if (!list_member(predicate, lfirst(lc)))
			pull_varattnos(lfirst(lc), 1, &offset);
	while ((member = bms_next_member(offset, member)) >= 0)
		result = bms_add_member(result,
								Max(member + FirstLowInvalidHeapAttributeNumber,
									0));
	return result;
}

/*
 * The index with INCLUDE of all that the statement needs of the table, or as it
 * is if it has that; NULL if that is not possible, or too much.
 */
static StewardIndex *
make_covering(StewardProposal *proposal, StewardIndex *index)
{
	StewardTerms *terms = proposal->terms;
	Bitmapset  *needed = NULL;
	Bitmapset  *missing = NULL;
	int			bytes = 0;
	int			attnum = -1;

	if (index->am != BTREE_AM_OID || !terms->index_only ||
		proposal->allvisfrac < MIN_ALL_VISIBLE)
		return NULL;
	needed = needed_columns(terms, index->predicate);
	while ((attnum = bms_next_member(needed, attnum)) >= 0)
	{
		int			width = attnum == 0 ? 0 :
			get_attavgwidth(proposal->relid, attnum);

		bytes += width > 0 ? width : 32;
		if (!steward_index_has_column(index, attnum))
			missing = bms_add_member(missing, attnum);
	}
	if (bms_is_member(0, needed) || bms_num_members(missing) > MAX_INCLUDED || bytes > MAX_COVERING_BYTES)
		return NULL;
	if (bms_is_empty(missing))
		return index;
	return steward_index_widen(index, missing);
}

/* Propose an index, and with "cover" also the covering one. */
static void
propose(StewardProposal *proposal, List *keys, List *predicate, bool plain,
		bool cover)
{
	StewardIndex *index = make_index(proposal, keys, predicate);
	StewardIndex *covering;

	if (index == NULL)
		return;
	if (plain)
		proposal->add(proposal->arg, list_make1(index));
	covering = cover ? make_covering(proposal, index) : NULL;
	if (covering != NULL)
		proposal->add(proposal->arg, list_make1(covering));
}

/* Both lists in a new one. */
static List *
join_keys(List *a, List *b)
{
	return list_concat(list_copy(a), b);
}

/* Keys that are compared with one value, or with many. */
static List *
keys_by_array(List *keys, bool array)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, keys)
		if (((StewardKey *) lfirst(lc))->array == array)
			result = lappend(result, lfirst(lc));
	return result;
}

/* Keys whose columns the predicate does not fix. */
static List *
keys_beside(List *keys, List *predicate)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, keys)
		if (!is_in_predicate(lfirst(lc), predicate))
			result = lappend(result, lfirst(lc));
	return result;
}

/*
 * Propose what starts with these keys: alone, with a range, with an order, with
 * both.  Keys compared with many values go behind an order, which they would
 * disturb.
 */
static void
extend(StewardProposal *proposal, List *base, List *predicate, bool cover)
{
	StewardTerms *terms = proposal->terms;
	List	   *ranges;
	bool		alone;
	ListCell   *lc;

	/* with equal keys LIMIT has a better index, that does not hope for luck */
	alone = terms->limit && terms->equal == NIL;
	base = keys_beside(base, predicate);
	ranges = keys_beside(terms->range, predicate);
	foreach(lc, ranges)
		propose(proposal, lappend(list_copy(base), lfirst(lc)), predicate, true,
				cover);
	foreach(lc, terms->sorts)
	{
		List	   *order = lfirst(lc);
		StewardKey *first = linitial(order);
		List	   *keys = join_keys(keys_by_array(base, false), order);

		if (first->am != BTREE_AM_OID)
			continue;
		keys = join_keys(keys, keys_by_array(base, true));
		propose(proposal, keys, predicate,
				base != NIL || predicate != NIL || alone ||
				(first->why & STEWARD_WHY_RANGE) != 0, cover);
		if (ranges != NIL)
			propose(proposal, join_keys(keys, ranges), predicate,
					base != NIL || alone, cover);
	}
	propose(proposal, base, predicate, true,
			cover && ranges == NIL && terms->sorts == NIL);
}

/* Keys that one other table is compared with. */
static List *
keys_of_other(List *joins, int other)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, joins)
		if (bms_is_member(other, ((StewardKey *) lfirst(lc))->others))
			result = lappend(result, lfirst(lc));
	return result;
}

/* Indexes for nested loops and merge joins with each other table. */
static void
propose_joins(StewardProposal *proposal)
{
	StewardTerms *terms = proposal->terms;
	Relids		others = NULL;
	int			other = -1;
	ListCell   *lc;

	foreach(lc, terms->join)
		others = bms_union(others, ((StewardKey *) lfirst(lc))->others);
	while ((other = bms_next_member(others, other)) >= 0)
	{
		List	   *keys = keys_of_other(terms->join, other);

		if (terms->equal != NIL)
		{
			propose(proposal, join_keys(keys, terms->equal), NIL, true, true);
			propose(proposal, join_keys(terms->equal, keys), NIL, true, true);
		}
		extend(proposal, keys, NIL, true);
	}
	foreach(lc, terms->join)
		propose(proposal, list_make1(lfirst(lc)), NIL, true, true);
}

/* A key for a partial index of which nothing is compared or sorted. */
static List *
key_of_primary(StewardProposal *proposal)
{
	ListCell   *lc;

	foreach(lc, proposal->existing)
	{
		StewardIndex *index = lfirst(lc);
		StewardKey *key;

		if (!index->unique || index->am != BTREE_AM_OID ||
			index->attnums[0] == 0 || index->relid != proposal->relid)
			continue;
		key = palloc0(sizeof(StewardKey));
		key->attnum = index->attnums[0];
		key->am = BTREE_AM_OID;
		key->opclass = index->opclass[0];
		key->collation = index->collation[0];
		return list_make1(key);
	}
	return NIL;
}

/* Partial indexes: with each predicate, and with all together. */
static void
propose_partial(StewardProposal *proposal)
{
	StewardTerms *terms = proposal->terms;
	ListCell   *lc;

	foreach(lc, terms->predicates)
	{
		List	   *predicate = list_make1(lfirst(lc));

		extend(proposal, terms->equal, predicate, true);
		if (keys_beside(terms->equal, predicate) == NIL &&
			terms->range == NIL && terms->sorts == NIL)
		{
			if (terms->join != NIL)
				propose(proposal, keys_beside(terms->join, predicate), predicate,
						true, true);
			else
				propose(proposal, key_of_primary(proposal), predicate, true,
						true);
		}
	}
	if (list_length(terms->predicates) > 1)
	{
		List	   *rest = keys_beside(terms->equal, terms->predicates);

		extend(proposal, rest, terms->predicates, true);
		if (rest == NIL && terms->range == NIL && terms->sorts == NIL)
			propose(proposal, key_of_primary(proposal), terms->predicates, true,
					true);
	}
}

/* Fewer of the keys compared for equality, and another order of them. */
static void
propose_subsets(StewardProposal *proposal)
{
	List	   *equal = proposal->terms->equal;
	int			count = Min(list_length(equal), 4);

	if (count < 2)
		return;
	for (int i = 0; i < count; i++)
		extend(proposal, list_make1(list_nth(equal, i)), NIL, false);
	for (int i = 0; i < count; i++)
		for (int j = 0; j < count; j++)
			if (i != j)
				propose(proposal, list_make2(list_nth(equal, i),
											 list_nth(equal, j)),
						NIL, true, false);
}

/* GIN and GiST: each key with each class that serves it, and all of GIN. */
static void
propose_others(StewardProposal *proposal)
{
	StewardTerms *terms = proposal->terms;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, terms->contains)
	{
		StewardKey *key = lfirst(lc);

		propose(proposal, list_make1(key), NIL, true, false);
		foreach(lc2, key->more_opclasses)
		{
			StewardKey *other = palloc(sizeof(StewardKey));

			*other = *key;
			other->opclass = lfirst_oid(lc2);
			propose(proposal, list_make1(other), NIL, true, false);
		}
		foreach(lc2, terms->predicates)
			propose(proposal, list_make1(key), list_make1(lfirst(lc2)), true,
					false);
	}
	if (list_length(terms->contains) > 1)
		propose(proposal, terms->contains, NIL, true, false);
	foreach(lc, terms->sorts)
	{
		StewardKey *first = linitial((List *) lfirst(lc));

		if (first->am != BTREE_AM_OID)
			propose(proposal, list_make1(first), NIL, true, false);
	}
}

/* How closely the table's order follows the column's, 0 to 1. */
static double
correlation_of(Oid relid, AttrNumber attnum)
{
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid),
										Int16GetDatum(attnum),
										BoolGetDatum(false));
	AttStatsSlot slot;
	double		result = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_CORRELATION, InvalidOid,
						 ATTSTATSSLOT_NUMBERS))
	{
		if (slot.nnumbers > 0)
			result = fabs(slot.numbers[0]);
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Block range indexes on columns that the table's order follows.  Where the
 * nulls of a column are, its correlation does not tell.
 */
static void
propose_brin(StewardProposal *proposal)
{
	ListCell   *lc;

	if (proposal->pages < BRIN_PAGES)
		return;
	foreach(lc, join_keys(proposal->terms->range, proposal->terms->equal))
	{
		StewardKey *key = palloc(sizeof(StewardKey));
		Oid			relid = proposal->relid;

		*key = *(StewardKey *) lfirst(lc);
		if (key->attnum == 0 || key->nulls)
			continue;
		if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		{
			List	   *children = find_all_inheritors(relid, NoLock, NULL);
			Oid			last = llast_oid(children);

			if (correlation_of(last, get_attnum(last,
												get_attname(relid, key->attnum,
															false))) <
				BRIN_CORRELATION)
				continue;
		}
		else if (correlation_of(relid, key->attnum) < BRIN_CORRELATION)
			continue;
		key->am = BRIN_AM_OID;
		key->opclass = GetDefaultOpClass(exprType(key->expr), BRIN_AM_OID);
		key->options = 0;
		key->why |= STEWARD_WHY_CORRELATED;
		if (OidIsValid(key->opclass))
			propose(proposal, list_make1(key), NIL, true, false);
	}
}

/* The arms of each OR, as they are and behind the keys of all arms. */
static void
propose_alternatives(StewardProposal *proposal)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, proposal->terms->alternatives)
	{
		List	   *plain = NIL;
		List	   *behind = NIL;

		foreach(lc2, (List *) lfirst(lc))
		{
			List	   *arm = lfirst(lc2);
			StewardKey *first = linitial(arm);

			plain = lappend(plain, make_index(proposal, arm, NIL));
			if (first->am == BTREE_AM_OID)
				arm = join_keys(proposal->terms->equal, arm);
			behind = lappend(behind, make_index(proposal, arm, NIL));
		}
		proposal->add(proposal->arg, plain);
		if (proposal->terms->equal != NIL)
			proposal->add(proposal->arg, behind);
	}
}

/* Is a unique key given, so that there is one row, found already? */
static bool
is_unique_lookup(StewardProposal *proposal)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, proposal->existing)
	{
		StewardIndex *index = lfirst(lc);
		int			given = 0;

		if (!index->unique || index->predicate != NIL || index->exprs != NIL)
			continue;
		for (int i = 0; i < index->nkeys; i++)
			foreach(lc2, proposal->terms->equal)
			{
				StewardKey *key = lfirst(lc2);

				if (key->attnum == index->attnums[i] && !key->array &&
					key->opclass == index->opclass[i])
				{
					given++;
					break;
				}
			}
		if (given == index->nkeys)
			return true;
	}
	return false;
}

/*
 * Propose everything for one entry of the range table, through proposal->add.
 */
void
steward_propose(StewardProposal *proposal)
{
	if (is_unique_lookup(proposal))
		return;
	propose_others(proposal);
	extend(proposal, proposal->terms->equal, NIL, true);
	propose_alternatives(proposal);
	propose_partial(proposal);
	propose_joins(proposal);
	if (proposal->terms->equal != NIL)
		extend(proposal, NIL, NIL, true);
	propose_brin(proposal);
	propose_subsets(proposal);
}
