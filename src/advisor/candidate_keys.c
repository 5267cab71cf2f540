/*-------------------------------------------------------------------------
 *
 * candidate_keys.c
 *	  One comparison or sort key of a statement as key of a possible index.
 *
 * A comparison can use an index if one side is a column of the table, or an
 * expression over its columns that always gives the same result, and the other
 * side has none of them.  Which access method serves it is asked of the
 * catalogs: first the default b-tree operator class of the type, then GIN and
 * GiST classes whose family has the operator, from extensions as well.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "catalog/pg_index.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "parser/parse_coerce.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advisor/candidate_terms.h"
#include "advisor/index_spec.h"
#include "base/compat.h"

/* Does an expression contain what an index cannot: parameters, subqueries? */
static bool
contains_unindexable(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) || IsA(node, SubLink) || IsA(node, SubPlan) ||
		IsA(node, AlternativeSubPlan) || IsA(node, PlaceHolderVar) ||
		IsA(node, Aggref) || IsA(node, WindowFunc) ||
		IsA(node, GroupingFunc) || IsA(node, CurrentOfExpr))
		return true;
	if (IsA(node, Var) && (((Var *) node)->varattno <= 0 ||
						   ((Var *) node)->varlevelsup > 0))
		return true;
	return expression_tree_walker(node, contains_unindexable, context);
}

/*
 * The operand as key of an index on this table, with varno 1: a column, whose
 * number is returned, or an expression (number 0).  NULL if it cannot be one.
 */
Node *
steward_key_operand(PlannerInfo *root, RelOptInfo *rel, Node *node, AttrNumber *attnum)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	*attnum = 0;
	if (node == NULL || IsA(node, Const) || contains_unindexable(node, NULL) ||
		!bms_equal(pull_varnos(root, node), rel->relids))
		return NULL;
	if (IsA(node, Var))
		*attnum = ((Var *) node)->varattno;
	else if (contain_mutable_functions(node) || expression_returns_set(node))
		return NULL;
	node = copyObject(node);
	ChangeVarNodes(node, rel->relid, 1, 0);
	return node;
}

/* Does the other side stay the same while the table is scanned? */
static bool
is_constant_for(PlannerInfo *root, RelOptInfo *rel, Node *node)
{
	return !bms_overlap(pull_varnos(root, node), rel->relids) &&
		!contain_volatile_functions(node);
}

/* A key from an operand that is indexable; NULL if it is not. */
static StewardKey *
make_key(PlannerInfo *root, RelOptInfo *rel, Node *node, Oid am, Oid opclass, Oid collation)
{
	StewardKey *key;
	AttrNumber	attnum;
	Node	   *operand = steward_key_operand(root, rel, node, &attnum);

	if (operand == NULL)
		return NULL;
	key = palloc0(sizeof(StewardKey));
	key->attnum = attnum;
	key->expr = operand;
	key->am = am;
	key->opclass = opclass;
	key->collation = type_is_collatable(exprType(operand)) ? collation :
		InvalidOid;
	key->selectivity = 1.0;
	return key;
}

/*
 * A b-tree key without a comparison, as booleans and IS NULL have.
 */
StewardKey *
steward_key_of_expression(PlannerInfo *root, RelOptInfo *rel, Node *node, Oid opclass,
						  Oid collation)
{
	if (!OidIsValid(opclass))
		opclass = GetDefaultOpClass(exprType(node), BTREE_AM_OID);
	if (!OidIsValid(opclass))
		return NULL;
	return make_key(root, rel, node, BTREE_AM_OID, opclass, collation);
}

/*
 * Operator class of this access method for values of this type whose family
 * has the operator.  If there are several, the default one, or else the first,
 * is returned, and the others go to "more" (OIDs), if not NULL.
 */
static Oid
find_opclass(Oid am, Oid type, Oid opno, List **more)
{
	CatCList   *classes = SearchSysCacheList1(CLAAMNAMENSP,
											  ObjectIdGetDatum(am));
	Oid			best = InvalidOid;
	List	   *found = NIL;

	for (int i = 0; i < classes->n_members; i++)
	{
		Form_pg_opclass form =
			(Form_pg_opclass) GETSTRUCT(&classes->members[i]->tuple);
		bool		fits = form->opcintype == type ||
			(form->opcintype == ANYARRAYOID && OidIsValid(get_element_type(type))) ||
			(form->opcintype == ANYRANGEOID && type_is_range(type)) ||
			(form->opcintype == ANYMULTIRANGEOID && type_is_multirange(type)) ||
			(!IsPolymorphicType(form->opcintype) &&
			 IsBinaryCoercible(type, form->opcintype));

		if (!fits || get_op_opfamily_strategy(opno, form->opcfamily) == 0)
			continue;
		found = lappend_oid(found, form->oid);
		if (!OidIsValid(best) || form->opcdefault)
			best = form->oid;
	}
	ReleaseCatCacheList(classes);
	if (more != NULL)
		*more = list_delete_oid(found, best);
	return best;
}

/* Is this the C locale of a catalog's provider and name of locale? */
static bool
locale_is_c(char provider, bool isnull, Datum name)
{
	char	   *string;

	if (provider == 'b')		/* the server's own, since 17 */
		return true;
	if (provider != COLLPROVIDER_LIBC || isnull)
		return false;
	string = TextDatumGetCString(name);
	return strcmp(string, "C") == 0 || strcmp(string, "POSIX") == 0;
}

/*
 * Does this collation compare bytes, so that a prefix of a text is a range?  The
 * server's own function for it is declared where ICU's headers are needed.
 */
static bool
collation_is_c(Oid collation)
{
	HeapTuple	tuple;
	bool		isnull;
	bool		result;
	Datum		name;

	if (collation == DEFAULT_COLLATION_OID)
	{
		tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
		if (!HeapTupleIsValid(tuple))
			return false;
		name = SysCacheGetAttr(DATABASEOID, tuple,
							   Anum_pg_database_datcollate, &isnull);
		result = locale_is_c(((Form_pg_database) GETSTRUCT(tuple))->datlocprovider,
							 isnull, name);
	}
	else
	{
		tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
		if (!HeapTupleIsValid(tuple))
			return false;
		name = SysCacheGetAttr(COLLOID, tuple,
							   Anum_pg_collation_collcollate, &isnull);
		result = locale_is_c(((Form_pg_collation) GETSTRUCT(tuple))->collprovider,
							 isnull, name);
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Is this LIKE with a pattern that starts with an ordinary character?
 */
static bool
is_prefix_pattern(Oid opno, Node *right)
{
	Const	   *pattern = (Const *) right;
	char	   *string;
	bool		result;

	if (opno != OID_TEXT_LIKE_OP || !IsA(right, Const) ||
		pattern->constisnull)
		return false;
	string = TextDatumGetCString(pattern->constvalue);
	result = string[0] != '\0' && strchr("%_\\", string[0]) == NULL;
	pfree(string);
	return result;
}

/*
 * The key for "left opno right"; NULL if no index serves it.  The key's side is
 * exchanged if needed.  "strategy" receives the b-tree strategy of the
 * comparison, 0 for other access methods.
 */
StewardKey *
steward_key_from_comparison(PlannerInfo *root, RelOptInfo *rel, Oid opno, Oid collation,
							Node *left, Node *right, bool is_array,
							int *strategy)
{
	Node	   *operand = left;
	AttrNumber	attnum;
	StewardKey *key;
	List	   *more = NIL;
	Oid			type;
	Oid			opclass;

	if (steward_key_operand(root, rel, left, &attnum) == NULL ||
		!is_constant_for(root, rel, right))
	{
		opno = get_commutator(opno);
		if (is_array || !OidIsValid(opno) ||
			steward_key_operand(root, rel, right, &attnum) == NULL ||
			!is_constant_for(root, rel, left))
			return NULL;
		operand = right;
		right = left;
	}

	while (IsA(operand, RelabelType))
		operand = (Node *) ((RelabelType *) operand)->arg;
	type = getBaseType(exprType(operand));
	opclass = GetDefaultOpClass(type, BTREE_AM_OID);
	if (OidIsValid(opclass))
	{
		*strategy = get_op_opfamily_strategy(opno, get_opclass_family(opclass));
		if (*strategy != 0)
			return make_key(root, rel, operand, BTREE_AM_OID, opclass, collation);
		if (is_prefix_pattern(opno, right) &&
			get_opclass_family(opclass) == TEXT_BTREE_FAM_OID)
		{
			*strategy = BTGreaterEqualStrategyNumber;
			if (!collation_is_c(collation))
				opclass = TEXT_BTREE_PATTERN_OPS_OID;
			return make_key(root, rel, operand, BTREE_AM_OID, opclass, collation);
		}
	}
	if (is_array)
		return NULL;

	*strategy = 0;
	opclass = find_opclass(GIN_AM_OID, type, opno, &more);
	if (OidIsValid(opclass))
	{
		key = make_key(root, rel, operand, GIN_AM_OID, opclass, collation);
		if (key != NULL)
			key->more_opclasses = more;
		return key;
	}
	opclass = find_opclass(GIST_AM_OID, type, opno, NULL);
	if (OidIsValid(opclass))
		return make_key(root, rel, operand, GIST_AM_OID, opclass, collation);
	return NULL;
}

/* ORDER BY column <-> constant: a GiST key that delivers the nearest first. */
static StewardKey *
key_of_distance(PlannerInfo *root, RelOptInfo *rel, Node *node, PathKey *pathkey)
{
	OpExpr	   *op = (OpExpr *) node;
	StewardKey *key;
	AttrNumber	attnum;
	Node	   *left;
	Node	   *right;
	Oid			opno;
	Oid			opclass;

	if (!IsA(node, OpExpr) || list_length(op->args) != 2 ||
		STEWARD_PATHKEY_IS_DESC(pathkey))
		return NULL;
	opno = op->opno;
	left = linitial(op->args);
	right = lsecond(op->args);
	if (steward_key_operand(root, rel, left, &attnum) == NULL)
	{
		opno = get_commutator(opno);
		left = lsecond(op->args);
		right = linitial(op->args);
	}
	if (!OidIsValid(opno) || !is_constant_for(root, rel, right))
		return NULL;
	opclass = GetDefaultOpClass(exprType(left), GIST_AM_OID);
	if (!OidIsValid(opclass) ||
		get_op_opfamily_sortfamily(opno, get_opclass_family(opclass)) !=
		pathkey->pk_opfamily)
		return NULL;
	key = make_key(root, rel, left, GIST_AM_OID, opclass, op->inputcollid);
	if (key != NULL)
		key->why = STEWARD_WHY_NEAREST;
	return key;
}

/*
 * The key that delivers one element of an order; NULL if the table has none.
 */
StewardKey *
steward_key_from_pathkey(PlannerInfo *root, RelOptInfo *rel, PathKey *pathkey)
{
	EquivalenceClass *ec = pathkey->pk_eclass;
	EquivalenceMemberIterator it;
	EquivalenceMember *em;

	if (ec->ec_has_volatile)
		return NULL;
	setup_eclass_member_iterator(&it, ec, rel->relids);
	while ((em = eclass_member_iterator_next(&it)) != NULL)
	{
		StewardKey *key;
		Oid			opclass;

		if (em->em_is_const || !bms_equal(em->em_relids, rel->relids))
			continue;
		key = key_of_distance(root, rel, (Node *) em->em_expr, pathkey);
		if (key != NULL)
			return key;
		opclass = GetDefaultOpClass(exprType((Node *) em->em_expr),
									BTREE_AM_OID);
		if (!OidIsValid(opclass) ||
			get_opclass_family(opclass) != pathkey->pk_opfamily)
			continue;
		key = make_key(root, rel, (Node *) em->em_expr, BTREE_AM_OID, opclass,
					   ec->ec_collation);
		if (key == NULL)
			continue;
		if (STEWARD_PATHKEY_IS_DESC(pathkey))
			key->options |= INDOPTION_DESC;
		if (pathkey->pk_nulls_first)
			key->options |= INDOPTION_NULLS_FIRST;
		return key;
	}
	return NULL;
}
