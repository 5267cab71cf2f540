/*-------------------------------------------------------------------------
 *
 * index_foreign_key.c
 *	  Which indexes help a foreign key.
 *
 * Whenever a row of the referenced table goes away or changes its key, the
 * server looks for rows that refer to it (ri_triggers.c):
 *
 *		SELECT ... FROM referencing WHERE $1 = a AND $2 = b
 *
 * An index helps if the planner can use it for that condition and it narrows
 * the search by all of the columns: a valid b-tree that starts with them, in
 * any order, or a hash index on the only one.  Its operator family has to know
 * the foreign key's operator, its collations have to be those of the
 * condition, and a predicate has to follow from the condition, which says of
 * its columns that they are not null.  Of a temporal foreign key (PERIOD) the
 * range is compared by overlap: an index starts with the other columns; GiST
 * will do.
 *
 * As in index_compare.c, everything comes from the catalog caches: no lock is
 * taken and nothing of a user's is evaluated.
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
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"

PG_FUNCTION_INFO_V1(pg_steward_index_serves_key);
PG_FUNCTION_INFO_V1(pg_steward_key_indexable);

/* A foreign key, as far as the look-up of referencing rows goes. */
typedef struct ForeignKey
{
	Oid			table;
	bool		period;
	int			ncolumns;		/* without that of PERIOD */
	AttrNumber	column[INDEX_MAX_KEYS];
	Oid			operator[INDEX_MAX_KEYS];	/* column = value */
	Oid			type[INDEX_MAX_KEYS];
	Oid			collation[INDEX_MAX_KEYS];
} ForeignKey;

/*
 * Collation of "$1 = column" in the look-up: that of the column, unless the
 * referenced one has another, under which different texts can be equal (see
 * ri_GenerateQualCollation()).
 */
static Oid
lookup_collation(Oid referencing, Oid referenced)
{
	if (OidIsValid(referenced) && referenced != referencing &&
		!get_collation_isdeterministic(referenced))
		return referenced;
	return referencing;
}

/* Type and collation of a column; false if the table is gone by now. */
static bool
read_column(Oid table, AttrNumber attnum, Oid *type, Oid *collation)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(table),
										Int16GetDatum(attnum));

	if (!HeapTupleIsValid(tuple))
		return false;
	*type = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;
	*collation = ((Form_pg_attribute) GETSTRUCT(tuple))->attcollation;
	ReleaseSysCache(tuple);
	return true;
}

/* Access method of an index; InvalidOid if it is gone by now. */
static Oid
access_method(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	Oid			am = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		am = ((Form_pg_class) GETSTRUCT(tuple))->relam;
		ReleaseSysCache(tuple);
	}
	return am;
}

/* Read a foreign key; false if there is none of that OID. */
static bool
read_foreign_key(Oid constraint, ForeignKey *key)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(constraint));
	Form_pg_constraint form;
	AttrNumber	referenced[INDEX_MAX_KEYS];
	Oid			operators[INDEX_MAX_KEYS];
	Oid			referenced_table;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if (form->contype != CONSTRAINT_FOREIGN)
	{
		ReleaseSysCache(tuple);
		return false;
	}
	DeconstructFkConstraintRow(tuple, &key->ncolumns, key->column, referenced,
							   operators, NULL, NULL, NULL, NULL);
	key->table = form->conrelid;
	key->period = STEWARD_CONSTRAINT_HAS_PERIOD(form);
	if (key->period)
		key->ncolumns--;
	referenced_table = form->confrelid;
	ReleaseSysCache(tuple);

	for (int i = 0; i < key->ncolumns; i++)
	{
		Oid			type;
		Oid			collation;

		if (!read_column(referenced_table, referenced[i], &type, &collation) ||
			!read_column(key->table, key->column[i],
						 &key->type[i], &key->collation[i]))
			return false;
		key->collation[i] = lookup_collation(key->collation[i], collation);
		key->operator[i] = get_commutator(operators[i]);
		if (!OidIsValid(key->operator[i]))
			key->operator[i] = operators[i];
	}
	return true;
}

/* Position of a column in a foreign key, -1 if it is none of its columns. */
static int
key_position(const ForeignKey *key, AttrNumber column)
{
	for (int i = 0; i < key->ncolumns; i++)
	{
		if (key->column[i] == column)
			return i;
	}
	return -1;
}

/*
 * Does a predicate hold for all rows in which the columns of a foreign key are
 * equal to something?
 */
static bool
holds_for_key(Node *predicate, const ForeignKey *key)
{
	ListCell   *cell;

	check_stack_depth();
	if (IsA(predicate, NullTest))
	{
		NullTest   *test = (NullTest *) predicate;

		return test->nulltesttype == IS_NOT_NULL && !test->argisrow &&
			IsA(test->arg, Var) &&
			key_position(key, ((Var *) test->arg)->varattno) >= 0;
	}
	if (IsA(predicate, BoolExpr))
	{
		BoolExpr   *expression = (BoolExpr *) predicate;
		bool		all = expression->boolop == AND_EXPR;

		if (expression->boolop == NOT_EXPR)
			return false;
		foreach(cell, expression->args)
		{
			if (holds_for_key(lfirst(cell), key) != all)
				return !all;
		}
		return all;
	}
	if (IsA(predicate, List))
	{
		foreach(cell, (List *) predicate)
		{
			if (!holds_for_key(lfirst(cell), key))
				return false;
		}
		return true;
	}
	return false;
}

/* Do the first keys of an index compare the columns as the look-up does? */
static bool
keys_serve(HeapTuple tuple, const ForeignKey *key)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
	bool		seen[INDEX_MAX_KEYS] = {false};
	bool		isnull;
	oidvector  *opclasses;
	oidvector  *collations;

	opclasses = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indclass, &isnull));
	collations = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
										Anum_pg_index_indcollation, &isnull));
	for (int i = 0; i < key->ncolumns; i++)
	{
		int			position = key_position(key, form->indkey.values[i]);
		Oid			collation = collations->values[i];

		if (position < 0 || seen[position])
			return false;
		seen[position] = true;
		if (OidIsValid(collation) && collation != key->collation[position])
			return false;
		if (!op_in_opfamily(key->operator[position],
							get_opclass_family(opclasses->values[i])))
			return false;
	}
	return true;
}

/*
 * index_serves_key(index, constraint) returns boolean: is this index of the
 * referencing table usable for the look-up?  False if either does not exist.
 */
Datum
pg_steward_index_serves_key(PG_FUNCTION_ARGS)
{
	Oid			index = PG_GETARG_OID(0);
	ForeignKey	key;
	HeapTuple	tuple;
	Form_pg_index form;
	Oid			am;
	bool		serves;

	if (!read_foreign_key(PG_GETARG_OID(1), &key))
		PG_RETURN_BOOL(false);
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		PG_RETURN_BOOL(false);
	form = (Form_pg_index) GETSTRUCT(tuple);
	am = access_method(index);

	serves = form->indrelid == key.table &&
		form->indisvalid && form->indisready && form->indislive &&
		form->indnkeyatts >= key.ncolumns &&
		(am == BTREE_AM_OID ||
		 (am == HASH_AM_OID && key.ncolumns == 1) ||
		 (am == GIST_AM_OID && key.period)) &&
		keys_serve(tuple, &key);
	if (serves && !heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
	{
		bool		isnull;
		Datum		value = SysCacheGetAttr(INDEXRELID, tuple,
											Anum_pg_index_indpred, &isnull);

		serves = holds_for_key(stringToNode(TextDatumGetCString(value)), &key);
	}
	ReleaseSysCache(tuple);
	PG_RETURN_BOOL(serves);
}

/*
 * key_indexable(constraint) returns boolean: would an ordinary b-tree on the
 * columns serve it?  Not if the columns are cast for the comparison, as those
 * of type integer are that refer to numeric.
 */
Datum
pg_steward_key_indexable(PG_FUNCTION_ARGS)
{
	ForeignKey	key;

	if (!read_foreign_key(PG_GETARG_OID(0), &key))
		PG_RETURN_BOOL(false);
	for (int i = 0; i < key.ncolumns; i++)
	{
		Oid			opclass = GetDefaultOpClass(key.type[i], BTREE_AM_OID);

		if (!OidIsValid(opclass) ||
			!op_in_opfamily(key.operator[i], get_opclass_family(opclass)))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}
