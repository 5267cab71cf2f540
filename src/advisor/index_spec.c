/*-------------------------------------------------------------------------
 *
 * index_spec.c
 *	  Descriptions of indexes: construction, comparison, derivation.
 *
 * Descriptions are canonical where the server gives freedom: INCLUDE columns
 * are kept in the order of their numbers, predicates as sets of clauses.  So
 * two candidates that do the same are equal.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "advisor/index_spec.h"
#include "base/compat.h"

/*
 * A description without columns.
 */
StewardIndex *
steward_index_create(Oid relid, Oid am)
{
	StewardIndex *index = palloc0(sizeof(StewardIndex));

	index->relid = relid;
	index->am = am;
	index->partitioned = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
	index->selectivity = 1.0;
	return index;
}

/* Is this column, or this expression, a key already? */
static bool
has_key(const StewardIndex *index, AttrNumber attnum, Node *expr)
{
	if (attnum == 0)
		return list_member(index->exprs, expr);
	for (int i = 0; i < index->nkeys; i++)
		if (index->attnums[i] == attnum)
			return true;
	return false;
}

/*
 * Append a key: a column, or with attnum 0 an expression (varno 1), which is
 * copied.  opclass InvalidOid means the default one of its type.  Returns
 * false, and leaves the index as it was, if it is a key already, if there is
 * no operator class, or no room.  Keys are added before INCLUDE columns.
 */
bool
steward_index_add_key(StewardIndex *index, AttrNumber attnum, Node *expr,
					  Oid opclass, Oid collation, int16 options)
{
	int			n = index->nkeys;

	Assert(index->nkeys == index->ncolumns);
	Assert(attnum > 0 || (attnum == 0 && expr != NULL));
	if (n >= INDEX_MAX_KEYS || has_key(index, attnum, expr))
		return false;
	if (!OidIsValid(opclass))
		opclass = GetDefaultOpClass(attnum > 0 ?
									get_atttype(index->relid, attnum) :
									exprType(expr), index->am);
	if (!OidIsValid(opclass))
		return false;

	index->attnums[n] = attnum;
	index->opclass[n] = opclass;
	index->opfamily[n] = get_opclass_family(opclass);
	index->opcintype[n] = get_opclass_input_type(opclass);
	index->collation[n] = collation;
	index->options[n] = options;
	if (attnum == 0)
	{
		index->exprs = lappend(index->exprs, copyObject(expr));
		index->why |= STEWARD_WHY_EXPRESSION;
	}
	index->nkeys++;
	index->ncolumns++;
	return true;
}

/*
 * Add an INCLUDE column at its place.  Returns false, with nothing changed, if
 * the index has the column or no room, or its access method has no INCLUDE.
 */
bool
steward_index_add_include(StewardIndex *index, AttrNumber attnum)
{
	int			at = index->ncolumns;

	Assert(attnum > 0);
	if (index->ncolumns >= INDEX_MAX_KEYS ||
		index->am != BTREE_AM_OID ||
		steward_index_has_column(index, attnum))
		return false;

	while (at > index->nkeys && index->attnums[at - 1] > attnum)
	{
		index->attnums[at] = index->attnums[at - 1];
		at--;
	}
	index->attnums[at] = attnum;
	index->ncolumns++;
	return true;
}

/* A copy of a value of variable length; NULL stays NULL. */
static struct varlena *
copy_varlena(const struct varlena *value)
{
	struct varlena *copy;

	if (value == NULL)
		return NULL;
	copy = palloc(VARSIZE(value));
	memcpy(copy, value, VARSIZE(value));
	return copy;
}

/*
 * A copy with everything it points to, estimates included, in the current
 * memory context.
 */
StewardIndex *
steward_index_copy(const StewardIndex *index)
{
	StewardIndex *copy = palloc(sizeof(StewardIndex));

	*copy = *index;
	copy->exprs = copyObject(index->exprs);
	copy->predicate = copyObject(index->predicate);
	if (index->nparts > 0)
	{
		copy->parts = palloc(index->nparts * sizeof(StewardIndexPart));
		memcpy(copy->parts, index->parts,
			   index->nparts * sizeof(StewardIndexPart));
		for (int i = 0; i < index->nparts; i++)
		{
			const StewardIndexPart *part = &index->parts[i];
			Size		size = list_length(index->exprs) *
				sizeof(StewardExprStats);

			if (part->exprs != NULL)
			{
				copy->parts[i].exprs = palloc(size);
				memcpy(copy->parts[i].exprs, part->exprs, size);
				for (int e = 0; e < list_length(index->exprs); e++)
					copy->parts[i].exprs[e].histogram =
						copy_varlena(part->exprs[e].histogram);
			}
			if (part->attmap != NULL)
			{
				copy->parts[i].attmap = make_attrmap(part->attmap->maplen);
				memcpy(copy->parts[i].attmap->attnums, part->attmap->attnums,
					   part->attmap->maplen * sizeof(AttrNumber));
			}
		}
	}
	return copy;
}

/* A copy that is another index: hypothetical, its size unknown, without id. */
static StewardIndex *
derive_index(const StewardIndex *index)
{
	StewardIndex *copy = palloc(sizeof(StewardIndex));

	*copy = *index;
	copy->id = 0;
	copy->existing = InvalidOid;
	copy->unique = false;
	copy->exprs = copyObject(index->exprs);
	copy->predicate = copyObject(index->predicate);
	copy->estimated = false;
	copy->nparts = 0;
	copy->parts = NULL;
	copy->pages = 0;
	copy->tuples = 0;
	return copy;
}

/*
 * The description of an index of the database, not estimated.  Takes
 * AccessShareLock for the moment.  NULL if the index is not valid.
 */
StewardIndex *
steward_index_from_existing(Oid indexid)
{
	Relation	relation = index_open(indexid, AccessShareLock);
	Form_pg_index form = relation->rd_index;
	StewardIndex *index = NULL;

	if (form->indisvalid && form->indislive)
	{
		index = steward_index_create(form->indrelid, relation->rd_rel->relam);
		index->existing = indexid;
		index->unique = form->indisunique;
		index->nkeys = form->indnkeyatts;
		index->ncolumns = form->indnatts;
		for (int i = 0; i < index->ncolumns; i++)
			index->attnums[i] = form->indkey.values[i];
		for (int i = 0; i < index->nkeys; i++)
		{
			index->opfamily[i] = relation->rd_opfamily[i];
			index->opcintype[i] = relation->rd_opcintype[i];
			index->collation[i] = relation->rd_indcollation[i];
			index->options[i] = relation->rd_indoption[i];
			index->opclass[i] = get_index_column_opclass(indexid, i + 1);
		}
		index->exprs = RelationGetIndexExpressions(relation);
		index->predicate = RelationGetIndexPredicate(relation);
	}
	index_close(relation, AccessShareLock);
	return index;
}

/*
 * All valid indexes of a table, or of a partitioned table as a whole.  Takes
 * AccessShareLock for the moment.
 */
List *
steward_index_list_existing(Oid relid)
{
	Relation	relation = table_open(relid, AccessShareLock);
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(relation))
	{
		StewardIndex *index = steward_index_from_existing(lfirst_oid(lc));

		if (index != NULL)
			result = lappend(result, index);
	}
	table_close(relation, AccessShareLock);
	return result;
}

/* The expression of key or column "column", NULL if it is a plain column. */
static Node *
column_expr(const StewardIndex *index, int column)
{
	int			nth = 0;

	if (index->attnums[column] != 0)
		return NULL;
	for (int i = 0; i < column; i++)
		if (index->attnums[i] == 0)
			nth++;
	return list_nth(index->exprs, nth);
}

/*
 * Do two keys order and find the same?  With "flipped" the first is the
 * reverse of the second, which serves as well when the index is read
 * backwards.
 */
static bool
equal_key(const StewardIndex *a, int i, const StewardIndex *b, int j,
		  bool flipped)
{
	int			options = b->options[j];

	if (flipped)
		options ^= INDOPTION_DESC | INDOPTION_NULLS_FIRST;
	return a->attnums[i] == b->attnums[j] &&
		a->opfamily[i] == b->opfamily[j] &&
		a->opcintype[i] == b->opcintype[j] &&
		a->collation[i] == b->collation[j] &&
		a->options[i] == options &&
		equal(column_expr(a, i), column_expr(b, j));
}

/* Are the clauses the same, in whatever order? */
static bool
equal_predicate(const StewardIndex *a, const StewardIndex *b)
{
	return list_length(a->predicate) == list_length(b->predicate) &&
		list_difference(a->predicate, b->predicate) == NIL;
}

/* Are the keys of a the first ones of b's, in one direction or the other? */
static bool
keys_are_prefix(const StewardIndex *a, const StewardIndex *b)
{
	bool		same = true;
	bool		flipped = a->am == BTREE_AM_OID;

	if (a->nkeys > b->nkeys)
		return false;
	for (int i = 0; i < a->nkeys && (same || flipped); i++)
	{
		same = same && equal_key(a, i, b, i, false);
		flipped = flipped && equal_key(a, i, b, i, true);
	}
	return same || flipped;
}

/*
 * Same table, access method, keys (with their order and direction), set of
 * INCLUDE columns and predicate.
 */
bool
steward_index_equal(const StewardIndex *a, const StewardIndex *b)
{
	if (a->relid != b->relid || a->am != b->am || a->nkeys != b->nkeys ||
		a->ncolumns != b->ncolumns)
		return false;
	for (int i = 0; i < a->nkeys; i++)
		if (!equal_key(a, i, b, i, false))
			return false;
	for (int i = a->nkeys; i < a->ncolumns; i++)
		if (!steward_index_has_column(b, a->attnums[i]))
			return false;
	return equal_predicate(a, b);
}

/*
 * Hash value that equal indexes share.
 */
uint32
steward_index_hash(const StewardIndex *index)
{
	uint32		hash = hash_combine(murmurhash32(index->relid),
									murmurhash32(index->am));
	uint32		included = 0;

	for (int i = 0; i < index->nkeys; i++)
		hash = hash_combine(hash,
							murmurhash32((uint32) index->attnums[i] ^
										 (uint32) index->options[i] << 16));
	for (int i = index->nkeys; i < index->ncolumns; i++)
		included += murmurhash32((uint32) index->attnums[i]);
	return hash_combine(hash, included + list_length(index->predicate));
}

/*
 * Does "wide" do all that "narrow" does?  So for equal predicates and, for a
 * b-tree, if narrow's keys are the first of wide's (or all of them reversed)
 * and wide has narrow's other columns; for GIN if wide has its keys; for
 * others if the keys are equal.
 */
bool
steward_index_covers(const StewardIndex *wide, const StewardIndex *narrow)
{
	if (wide->relid != narrow->relid || wide->am != narrow->am ||
		!equal_predicate(wide, narrow))
		return false;

	if (narrow->am == GIN_AM_OID)
	{
		for (int i = 0; i < narrow->nkeys; i++)
		{
			bool		found = false;

			for (int j = 0; j < wide->nkeys && !found; j++)
				found = equal_key(narrow, i, wide, j, false);
			if (!found)
				return false;
		}
		return true;
	}

	if (narrow->am != BTREE_AM_OID && narrow->nkeys != wide->nkeys)
		return false;
	if (!keys_are_prefix(narrow, wide))
		return false;
	for (int i = narrow->nkeys; i < narrow->ncolumns; i++)
		if (!steward_index_has_column(wide, narrow->attnums[i]))
			return false;
	return true;
}

/*
 * Are narrow's keys the first of wide's (or all of them reversed), on the same
 * table with the same access method and predicate, whatever they INCLUDE?
 */
bool
steward_index_key_prefix(const StewardIndex *narrow, const StewardIndex *wide)
{
	return narrow->relid == wide->relid && narrow->am == wide->am &&
		equal_predicate(narrow, wide) && keys_are_prefix(narrow, wide);
}

/*
 * Is this column a key or INCLUDE column?  Use in an expression is not enough.
 */
bool
steward_index_has_column(const StewardIndex *index, AttrNumber attnum)
{
	for (int i = 0; i < index->ncolumns; i++)
		if (index->attnums[i] == attnum)
			return true;
	return false;
}

/*
 * Numbers of all columns whose update needs a new entry: keys, INCLUDE columns
 * and those in expressions and the predicate.
 */
Bitmapset *
steward_index_columns(const StewardIndex *index)
{
	Bitmapset  *offset = NULL;
	Bitmapset  *result = NULL;
	int			member = -1;

	pull_varattnos((Node *) index->exprs, 1, &offset);
	pull_varattnos((Node *) index->predicate, 1, &offset);
	while ((member = bms_next_member(offset, member)) >= 0)
		if (member + FirstLowInvalidHeapAttributeNumber > 0)
			result = bms_add_member(result, member +
									FirstLowInvalidHeapAttributeNumber);
	for (int i = 0; i < index->ncolumns; i++)
		if (index->attnums[i] > 0)
			result = bms_add_member(result, index->attnums[i]);
	return result;
}

/*
 * The index with these columns INCLUDEd as well; NULL if that adds nothing or
 * is not possible.  Not estimated.
 */
StewardIndex *
steward_index_widen(const StewardIndex *index, const Bitmapset *attnums)
{
	StewardIndex *wide = derive_index(index);
	int			attnum = -1;

	while ((attnum = bms_next_member(attnums, attnum)) >= 0)
		if (!steward_index_has_column(wide, attnum) &&
			!steward_index_add_include(wide, attnum))
			return NULL;
	if (wide->ncolumns == index->ncolumns)
		return NULL;
	wide->why |= STEWARD_WHY_COVERING;
	return wide;
}

/*
 * The index with only its first keys, without INCLUDE columns; NULL if it does
 * not have more.  Not estimated.
 */
StewardIndex *
steward_index_narrow(const StewardIndex *index, int nkeys)
{
	StewardIndex *narrow;
	int			nexprs = 0;

	if (nkeys < 1 || nkeys > index->nkeys || nkeys == index->ncolumns)
		return NULL;
	narrow = derive_index(index);
	for (int i = 0; i < nkeys; i++)
		if (narrow->attnums[i] == 0)
			nexprs++;
	narrow->exprs = list_truncate(narrow->exprs, nexprs);
	if (nexprs == 0)
		narrow->why &= ~STEWARD_WHY_EXPRESSION;
	narrow->nkeys = narrow->ncolumns = nkeys;
	narrow->why &= ~STEWARD_WHY_COVERING;
	return narrow;
}

/*
 * The index without its INCLUDE columns; NULL if it has none.  Not estimated.
 */
StewardIndex *
steward_index_without_include(const StewardIndex *index)
{
	return steward_index_narrow(index, index->nkeys);
}

/*
 * The index over all rows; NULL if it is.  Not estimated.
 */
StewardIndex *
steward_index_without_predicate(const StewardIndex *index)
{
	StewardIndex *whole;

	if (index->predicate == NIL)
		return NULL;
	whole = derive_index(index);
	whole->predicate = NIL;
	whole->selectivity = 1.0;
	whole->why &= ~STEWARD_WHY_PARTIAL;
	return whole;
}

/*
 * One b-tree for what two do: the keys of a, then those keys of b that a lacks,
 * then all INCLUDE columns.  Queries that enter b by its first key lose, unless
 * the keys of one are the first of the other's.  NULL if table, access method
 * or predicate differ, or there are too many columns.  Not estimated.
 */
StewardIndex *
steward_index_merge(const StewardIndex *a, const StewardIndex *b)
{
	StewardIndex *merged;

	if (a->relid != b->relid || a->am != BTREE_AM_OID ||
		b->am != BTREE_AM_OID || !equal_predicate(a, b))
		return NULL;

	merged = derive_index(a);
	merged->ncolumns = merged->nkeys;
	merged->why |= b->why;
	for (int i = 0; i < b->nkeys; i++)
	{
		Node	   *expr = column_expr(b, i);

		if (!has_key(merged, b->attnums[i], expr) &&
			!steward_index_add_key(merged, b->attnums[i], expr, b->opclass[i],
								   b->collation[i], b->options[i]))
			return NULL;
	}
	for (int i = a->nkeys; i < a->ncolumns; i++)
		if (!steward_index_has_column(merged, a->attnums[i]) &&
			!steward_index_add_include(merged, a->attnums[i]))
			return NULL;
	for (int i = b->nkeys; i < b->ncolumns; i++)
		if (!steward_index_has_column(merged, b->attnums[i]) &&
			!steward_index_add_include(merged, b->attnums[i]))
			return NULL;
	return merged;
}

/*
 * Column numbers of a table as those of one of its partitions or children; NULL
 * if they are the same.  Both are locked by the caller.
 */
AttrMap *
steward_index_attmap(Oid parent, Oid child)
{
	Relation	parent_rel = table_open(parent, NoLock);
	Relation	child_rel = table_open(child, NoLock);
	AttrMap    *map = STEWARD_ATTRMAP_BY_NAME(RelationGetDescr(child_rel),
											  RelationGetDescr(parent_rel));

	table_close(child_rel, NoLock);
	table_close(parent_rel, NoLock);
	return map;
}

/*
 * The same index on one partition or child of its table, itself no parent.  Not
 * estimated.  Both are locked by the caller.
 */
StewardIndex *
steward_index_for_table(const StewardIndex *index, Oid relid)
{
	StewardIndex *own = derive_index(index);
	AttrMap    *map;
	bool		whole_row;

	if (relid == index->relid)
		return own;
	own->relid = relid;
	own->partitioned = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
	map = steward_index_attmap(index->relid, relid);
	if (map == NULL)
		return own;
	for (int i = 0; i < own->ncolumns; i++)
		if (own->attnums[i] > 0)
			own->attnums[i] = map->attnums[own->attnums[i] - 1];
	own->exprs = (List *) map_variable_attnos((Node *) own->exprs, 1, 0, map,
											  InvalidOid, &whole_row);
	own->predicate = (List *) map_variable_attnos((Node *) own->predicate, 1, 0,
												  map, InvalidOid, &whole_row);
	return own;
}
