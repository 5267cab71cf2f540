/*-------------------------------------------------------------------------
 *
 * index_compare.c
 *	  Can one index do all the work of another?
 *
 * An index is redundant if another one of its table finds the same rows for
 * the same conditions, in the same order, and enforces what it enforces.
 * Texts of definitions cannot tell: the same expression can be written in two
 * ways, and two that look alike may differ in an operator class.  What the
 * catalogs hold is compared here instead:
 *
 *	- keys: columns, or expression trees by equal();
 *	- operator classes: for b-trees those of one family and type are the same,
 *	  elsewhere only an operator class and itself; its parameters;
 *	- collations, by identity, as the planner does;
 *	- directions and NULLS order: a b-tree can be read backwards, so all keys
 *	  equal or all keys turned round;
 *	- the columns of INCLUDE, which may be keys of the other b-tree;
 *	- the trees of the predicates;
 *	- uniqueness, with NULLS NOT DISTINCT and deferrability.
 *
 * A b-tree covers those whose keys are its first ones.  Of all other access
 * methods only copies with the same parameters are covered: for them the
 * number and order of keys, or a parameter, is a choice of its own.  A partial
 * index is never covered by a whole one: it is smaller on purpose.
 *
 * Rows of pg_index and pg_class come from the catalog caches.  No lock is
 * taken, no index is opened, and no expression is evaluated, for that would
 * run functions of other users with the rights of the caller.  Whether an
 * index is valid is for the caller to ask.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_opclass.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(pg_steward_index_covers);

/* What an index is, copied out of the catalog caches. */
typedef struct IndexShape
{
	Oid			index;
	Oid			table;
	Oid			am;
	int			nkeys;
	int			ncolumns;		/* keys and INCLUDE */
	bool		unique;
	bool		exclusion;
	bool		immediate;
	bool		nulls_not_distinct;
	AttrNumber	column[INDEX_MAX_KEYS]; /* 0 is the next of expressions */
	Oid			opclass[INDEX_MAX_KEYS];
	Oid			collation[INDEX_MAX_KEYS];
	int16		option[INDEX_MAX_KEYS];
	List	   *expressions;
	Node	   *predicate;
	Datum		parameters;		/* reloptions, 0 for none */
} IndexShape;

/* A tree out of a column of pg_index, NULL if that is null. */
static void *
read_tree(HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(INDEXRELID, tuple, attnum, &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(value));
}

/* Copy the arrays of pg_index that have an element a key. */
static void
read_keys(HeapTuple tuple, IndexShape *shape)
{
	bool		isnull;
	oidvector  *opclasses;
	oidvector  *collations;
	int2vector *options;

	opclasses = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indclass, &isnull));
	collations = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indcollation, &isnull));
	options = (int2vector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indoption, &isnull));
	for (int i = 0; i < shape->nkeys; i++)
	{
		shape->opclass[i] = opclasses->values[i];
		shape->collation[i] = collations->values[i];
		shape->option[i] = options->values[i];
	}
}

/*
 * Read what an index is, into the current memory context.  Returns false if
 * there is no such index.
 */
static bool
read_shape(Oid index, IndexShape *shape)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	HeapTuple	class;
	Form_pg_index form;
	Datum		parameters;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return false;
	class = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(class))
	{
		ReleaseSysCache(tuple);
		return false;
	}

	form = (Form_pg_index) GETSTRUCT(tuple);
	shape->index = index;
	shape->table = form->indrelid;
	shape->am = ((Form_pg_class) GETSTRUCT(class))->relam;
	shape->nkeys = form->indnkeyatts;
	shape->ncolumns = form->indnatts;
	shape->unique = form->indisunique;
	shape->exclusion = form->indisexclusion;
	shape->immediate = form->indimmediate;
	shape->nulls_not_distinct = form->indnullsnotdistinct;
	for (int i = 0; i < shape->ncolumns; i++)
		shape->column[i] = form->indkey.values[i];
	read_keys(tuple, shape);
	shape->expressions = read_tree(tuple, Anum_pg_index_indexprs);
	shape->predicate = read_tree(tuple, Anum_pg_index_indpred);

	parameters = SysCacheGetAttr(RELOID, class, Anum_pg_class_reloptions,
								 &isnull);
	shape->parameters = isnull ? (Datum) 0 : datumCopy(parameters, false, -1);

	ReleaseSysCache(class);
	ReleaseSysCache(tuple);
	return true;
}

/* Two text arrays, of which 0 is none. */
static bool
same_parameters(Datum a, Datum b)
{
	if (a == (Datum) 0 || b == (Datum) 0)
		return a == b;
	return datum_image_eq(a, b, false, -1);
}

/* Parameters of the operator class of a key, 0 for none. */
static Datum
key_parameters(Oid index, int key)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(index),
										Int16GetDatum(key + 1));
	Datum		parameters = (Datum) 0;
	bool		isnull;

	if (HeapTupleIsValid(tuple))
	{
		parameters = SysCacheGetAttr(ATTNUM, tuple,
									 Anum_pg_attribute_attoptions, &isnull);
		parameters = isnull ? (Datum) 0 : datumCopy(parameters, false, -1);
		ReleaseSysCache(tuple);
	}
	return parameters;
}

/* Do two operator classes of b-trees sort the same values alike? */
static bool
same_opclass(Oid am, Oid a, Oid b)
{
	HeapTuple	tuple_a;
	HeapTuple	tuple_b;
	bool		same = false;

	if (a == b)
		return true;
	if (am != BTREE_AM_OID)
		return false;

	tuple_a = SearchSysCache1(CLAOID, ObjectIdGetDatum(a));
	tuple_b = SearchSysCache1(CLAOID, ObjectIdGetDatum(b));
	if (HeapTupleIsValid(tuple_a) && HeapTupleIsValid(tuple_b))
	{
		Form_pg_opclass form_a = (Form_pg_opclass) GETSTRUCT(tuple_a);
		Form_pg_opclass form_b = (Form_pg_opclass) GETSTRUCT(tuple_b);

		same = form_a->opcfamily == form_b->opcfamily &&
			form_a->opcintype == form_b->opcintype &&
			form_a->opckeytype == form_b->opckeytype;
	}
	if (HeapTupleIsValid(tuple_a))
		ReleaseSysCache(tuple_a);
	if (HeapTupleIsValid(tuple_b))
		ReleaseSysCache(tuple_b);
	return same;
}

/*
 * Are the keys of b the first ones of a, all in the same direction or all in
 * the other one?
 */
static bool
keys_are_first(const IndexShape *a, const IndexShape *b)
{
	const int16 turned = INDOPTION_DESC | INDOPTION_NULLS_FIRST;
	bool		forward = true;
	bool		backward = a->am == BTREE_AM_OID;
	int			expression = 0;

	for (int i = 0; i < b->nkeys; i++)
	{
		if (a->column[i] != b->column[i])
			return false;
		if (a->column[i] == 0)
		{
			if (expression >= list_length(a->expressions) ||
				expression >= list_length(b->expressions) ||
				!equal(list_nth(a->expressions, expression),
					   list_nth(b->expressions, expression)))
				return false;
			expression++;
		}
		if (!same_opclass(a->am, a->opclass[i], b->opclass[i]) ||
			a->collation[i] != b->collation[i] ||
			!same_parameters(key_parameters(a->index, i),
							 key_parameters(b->index, i)))
			return false;
		forward &= a->option[i] == b->option[i];
		backward &= a->option[i] == (b->option[i] ^ turned);
	}
	return forward || backward;
}

/*
 * Can an index-only scan of a return all that b has behind its keys?  A b-tree
 * returns its keys, too; of other access methods not all can.
 */
static bool
included_are_in(const IndexShape *a, const IndexShape *b)
{
	for (int i = b->nkeys; i < b->ncolumns; i++)
	{
		bool		found = false;

		for (int j = a->am == BTREE_AM_OID ? 0 : a->nkeys;
			 j < a->ncolumns && !found; j++)
			found = a->column[j] == b->column[i];
		if (!found)
			return false;
	}
	return true;
}

/* Does a refuse every row that b refuses, and as early? */
static bool
enforces_as_much(const IndexShape *a, const IndexShape *b)
{
	if (b->exclusion)
		return false;
	if (!b->unique)
		return true;
	return a->unique && !a->exclusion && a->nkeys == b->nkeys &&
		a->nulls_not_distinct == b->nulls_not_distinct &&
		(a->immediate || !b->immediate);
}

/*
 * index_covers(a, b) returns text: how index a makes b redundant, or null if
 * it does not.  "identical": the same keys and columns; "included": the same
 * keys, a has more columns in INCLUDE; "prefix": a has more keys.
 */
Datum
pg_steward_index_covers(PG_FUNCTION_ARGS)
{
	IndexShape	a = {0};
	IndexShape	b = {0};
	const char *how;

	if (!read_shape(PG_GETARG_OID(0), &a) ||
		!read_shape(PG_GETARG_OID(1), &b) ||
		a.index == b.index || a.table != b.table || a.am != b.am)
		PG_RETURN_NULL();

	if (a.am == BTREE_AM_OID ? a.nkeys < b.nkeys : a.nkeys != b.nkeys)
		PG_RETURN_NULL();
	if (a.am != BTREE_AM_OID && a.am != HASH_AM_OID &&
		!same_parameters(a.parameters, b.parameters))
		PG_RETURN_NULL();
	if (!keys_are_first(&a, &b) || !included_are_in(&a, &b) ||
		!equal(a.predicate, b.predicate) || !enforces_as_much(&a, &b))
		PG_RETURN_NULL();

	if (a.nkeys > b.nkeys)
		how = "prefix";
	else if (included_are_in(&b, &a))
		how = "identical";
	else
		how = "included";
	PG_RETURN_TEXT_P(cstring_to_text(how));
}
