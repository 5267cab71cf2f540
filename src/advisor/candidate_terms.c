/*-------------------------------------------------------------------------
 *
 * candidate_terms.c
 *	  What a statement asks of one table, as keys of possible indexes.
 *
 * The planner has done the hard part when it comes to a table's paths: views and
 * subqueries are pulled up, expressions folded, ORs and ANDs sorted out, joins
 * reduced to clauses that mention the table and to equivalence classes.  So the
 * terms come from baserestrictinfo (conditions), joininfo and equivalence
 * classes (comparisons with other tables), pathkeys (orders wanted by ORDER BY,
 * GROUP BY, DISTINCT and windows) and reltarget (columns wanted).
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advisor/candidate_terms.h"
#include "advisor/index_spec.h"
#include "base/compat.h"

/* Arms of an OR that are considered, at most. */
#define MAX_ARMS 8

/* Rows that a predicate may keep at most to be worth one. */
#define MAX_PREDICATE_SHARE 0.6
#define MAX_CONSTANT_SHARE 0.05

/* Values that a column may have to be called a category. */
#define MAX_CATEGORIES 100

/* Where the terms of one table are collected. */
typedef struct Collector
{
	PlannerInfo *root;
	RelOptInfo *rel;
	bool		constants;
	StewardTerms *terms;
} Collector;

/* Are these the same key, whatever it is compared with? */
bool
steward_key_equal(const StewardKey *a, const StewardKey *b)
{
	return a->attnum == b->attnum && a->am == b->am &&
		a->opclass == b->opclass && a->collation == b->collation &&
		(a->attnum != 0 || equal(a->expr, b->expr));
}

/* Append a key; of two equal ones the first stays, with the reasons of both. */
static List *
add_key(List *keys, StewardKey *key)
{
	ListCell   *lc;

	foreach(lc, keys)
	{
		StewardKey *old = lfirst(lc);

		if (steward_key_equal(old, key))
		{
			old->why |= key->why;
			old->nulls &= key->nulls;
			old->selectivity = Min(old->selectivity, key->selectivity);
			old->others = bms_union(old->others, key->others);
			return keys;
		}
	}
	return lappend(keys, key);
}

/* Keys by selectivity, most selective first. */
static int
compare_selectivity(const ListCell *a, const ListCell *b)
{
	double		left = ((StewardKey *) lfirst(a))->selectivity;
	double		right = ((StewardKey *) lfirst(b))->selectivity;

	return left < right ? -1 : left > right;
}

/* File a key by its strategy: 0 for other access methods than b-tree. */
static void
file_key(StewardTerms *terms, StewardKey *key, int strategy)
{
	if (key->am != BTREE_AM_OID)
	{
		key->why |= key->am == GIN_AM_OID ? STEWARD_WHY_CONTAINS :
			STEWARD_WHY_RANGE;
		terms->contains = add_key(terms->contains, key);
	}
	else if (strategy != BTEqualStrategyNumber)
	{
		key->why |= STEWARD_WHY_RANGE;
		terms->range = add_key(terms->range, key);
	}
	else if (!bms_is_empty(key->others))
	{
		key->why |= STEWARD_WHY_JOIN;
		terms->join = add_key(terms->join, key);
	}
	else
	{
		key->why |= STEWARD_WHY_EQUALITY;
		terms->equal = add_key(terms->equal, key);
	}
}

/* Tables but this one that a condition mentions. */
static Relids
other_tables(Collector *collector, Node *clause)
{
	return bms_difference(pull_varnos(collector->root, clause),
						  collector->rel->relids);
}

/* The comparison of whole rows: their columns in order are one range. */
static void
collect_row_comparison(Collector *collector, RowCompareExpr *row,
					   double selectivity)
{
	List	   *keys = NIL;
	int			count = Min(list_length(row->largs), list_length(row->rargs));

	for (int i = 0; i < count; i++)
	{
		int			strategy;
		StewardKey *key;

		key = steward_key_from_comparison(collector->root, collector->rel,
										  list_nth_oid(row->opnos, i),
										  list_nth_oid(row->inputcollids, i),
										  list_nth(row->largs, i),
										  list_nth(row->rargs, i),
										  false, &strategy);
		if (key == NULL || key->am != BTREE_AM_OID)
			break;
		key->selectivity = selectivity;
		key->why = STEWARD_WHY_RANGE;
		keys = lappend(keys, key);
	}
	if (list_length(keys) > 1)
		collector->terms->sorts = lappend(collector->terms->sorts, keys);
	if (keys != NIL)
		file_key(collector->terms, linitial(keys), BTGreaterStrategyNumber);
}

/*
 * File the keys that one condition offers.  Returns false if it has none.
 */
static bool
collect_condition(Collector *collector, Node *clause, double selectivity)
{
	StewardKey *key = NULL;
	int			strategy = BTEqualStrategyNumber;

	if (IsA(clause, RestrictInfo))
		clause = (Node *) ((RestrictInfo *) clause)->clause;
	if (IsA(clause, RowCompareExpr))
	{
		collect_row_comparison(collector, (RowCompareExpr *) clause,
							   selectivity);
		return true;
	}
	if (IsA(clause, OpExpr) && list_length(((OpExpr *) clause)->args) == 2)
	{
		OpExpr	   *op = (OpExpr *) clause;

		key = steward_key_from_comparison(collector->root, collector->rel,
										  op->opno, op->inputcollid,
										  linitial(op->args),
										  lsecond(op->args), false, &strategy);
	}
	else if (IsA(clause, ScalarArrayOpExpr) &&
			 ((ScalarArrayOpExpr *) clause)->useOr)
	{
		ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) clause;

		key = steward_key_from_comparison(collector->root, collector->rel,
										  op->opno, op->inputcollid,
										  linitial(op->args),
										  lsecond(op->args), true, &strategy);
		if (key != NULL)
			key->array = true;
	}
	else if (IsA(clause, NullTest) && !((NullTest *) clause)->argisrow)
	{
		NullTest   *test = (NullTest *) clause;

		if (test->nulltesttype == IS_NULL)
			key = steward_key_of_expression(collector->root, collector->rel,
											(Node *) test->arg, InvalidOid,
											exprCollation((Node *) test->arg));
		if (key != NULL)
			key->nulls = true;
	}
	else
	{
		Node	   *arg = clause;

		if (is_notclause(arg))
			arg = (Node *) get_notclausearg((Expr *) arg);
		else if (IsA(arg, BooleanTest))
			arg = (Node *) ((BooleanTest *) arg)->arg;
		if (exprType(arg) == BOOLOID && IsA(arg, Var))
			key = steward_key_of_expression(collector->root, collector->rel,
											arg, InvalidOid, InvalidOid);
	}
	if (key == NULL)
		return false;
	key->selectivity = selectivity;
	key->others = other_tables(collector, clause);
	file_key(collector->terms, key, strategy);
	return true;
}

/*
 * An OR: if each arm offers a key, the arms are a group of indexes.
 */
static void
collect_alternatives(Collector *collector, RestrictInfo *info)
{
	List	   *arms = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	if (list_length(((BoolExpr *) info->orclause)->args) > MAX_ARMS)
		return;
	foreach(lc, ((BoolExpr *) info->orclause)->args)
	{
		Node	   *arm = lfirst(lc);
		StewardTerms terms = {0};
		Collector	own = *collector;
		List	   *keys;
		bool		found = false;

		own.terms = &terms;
		if (is_andclause(arm))
		{
			foreach(lc2, ((BoolExpr *) arm)->args)
				found |= collect_condition(&own, lfirst(lc2), 0.1);
		}
		else
			found = collect_condition(&own, arm, 0.1);
		if (!found)
			return;

		/* equal keys and one range; or another access method */
		keys = list_concat(list_concat(NIL, terms.equal), terms.join);
		if (terms.range != NIL)
			keys = lappend(keys, linitial(terms.range));
		if (keys == NIL && terms.contains != NIL)
			keys = list_make1(linitial(terms.contains));
		if (keys == NIL)
			return;
		foreach(lc2, keys)
			((StewardKey *) lfirst(lc2))->why |= STEWARD_WHY_OR_ARM;
		arms = lappend(arms, keys);
	}
	collector->terms->alternatives = lappend(collector->terms->alternatives,
											 arms);
}

/*
 * Is this one of few values that a column has, or a common one?  Else it is a
 * key of something rather than a state, and no predicate of an index.
 */
static bool
is_category(Collector *collector, const Var *var, const Const *value, Oid opno)
{
	Oid			relid = planner_rt_fetch(collector->rel->relid, collector->root)->relid;
	HeapTuple	tuple = NULL;
	AttStatsSlot slot;
	bool		result;

	/* of a parent with its children, if there are any, or of the table alone */
	for (int children = 1; children >= 0 && !HeapTupleIsValid(tuple); children--)
		tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid),
								Int16GetDatum(var->varattno), BoolGetDatum(children));
	if (!HeapTupleIsValid(tuple) || value->constisnull)
		return false;
	result = ((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct > 0 &&
		((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct <= MAX_CATEGORIES;
	if (!result &&
		get_attstatsslot(&slot, tuple, STATISTIC_KIND_MCV, InvalidOid,
						 ATTSTATSSLOT_VALUES))
	{
		for (int i = 0; i < slot.nvalues && !result; i++)
			result = DatumGetBool(OidFunctionCall2Coll(get_opcode(opno),
													   slot.stacoll,
													   slot.values[i],
													   value->constvalue));
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * A condition that could be an index's predicate: it has no parameters and
 * keeps few of the rows.
 */
static void
collect_predicate(Collector *collector, RestrictInfo *info,
				  double selectivity)
{
	Node	   *clause = (Node *) info->clause;
	Node	   *arg = clause;
	AttrNumber	attnum;
	bool		constant = false;

	if (is_notclause(arg))
		arg = (Node *) get_notclausearg((Expr *) arg);
	else if (IsA(arg, BooleanTest))
		arg = (Node *) ((BooleanTest *) arg)->arg;
	else if (IsA(arg, NullTest))
		arg = (Node *) ((NullTest *) arg)->arg;
	else if (IsA(arg, OpExpr) && list_length(((OpExpr *) arg)->args) == 2 &&
			 IsA(lsecond(((OpExpr *) arg)->args), Const) &&
			 op_mergejoinable(((OpExpr *) arg)->opno,
							  exprType(linitial(((OpExpr *) arg)->args))))
	{
		arg = linitial(((OpExpr *) arg)->args);
		constant = true;
	}
	while (IsA(arg, RelabelType))
		arg = (Node *) ((RelabelType *) arg)->arg;
	if (!IsA(arg, Var) || (constant && !collector->constants) ||
		selectivity > (constant ? MAX_CONSTANT_SHARE : MAX_PREDICATE_SHARE))
		return;
	if (steward_key_operand(collector->root, collector->rel, clause,
							&attnum) == NULL)
		return;
	if (constant &&
		!is_category(collector, (Var *) arg, lsecond(((OpExpr *) clause)->args),
					 ((OpExpr *) clause)->opno))
		return;
	collector->terms->predicates =
		list_append_unique(collector->terms->predicates,
						   steward_key_operand(collector->root, collector->rel,
											   clause, &attnum));
}

/* Conditions on the table alone. */
static void
collect_restrictions(Collector *collector)
{
	ListCell   *lc;

	foreach(lc, collector->rel->baserestrictinfo)
	{
		RestrictInfo *info = lfirst(lc);
		double		selectivity;

		if (info->pseudoconstant)
			continue;
		selectivity = clause_selectivity(collector->root, (Node *) info,
										 collector->rel->relid, JOIN_INNER,
										 NULL);
		if (restriction_is_or_clause(info))
			collect_alternatives(collector, info);
		else
			(void) collect_condition(collector, (Node *) info, selectivity);
		collect_predicate(collector, info, selectivity);
	}
}

/* A member of an equivalence class that is this table's: a join key. */
static bool
collect_member(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
			   EquivalenceMember *em, void *arg)
{
	Collector  *collector = arg;
	StewardKey *key = steward_key_of_expression(root, rel,
												(Node *) em->em_expr,
												InvalidOid, ec->ec_collation);

	if (key != NULL && !ec->ec_has_volatile)
	{
		key->others = bms_difference(ec->ec_relids, rel->relids);
		file_key(collector->terms, key, BTEqualStrategyNumber);
	}
	return false;				/* go on */
}

/* Comparisons with other tables. */
static void
collect_joins(Collector *collector)
{
	ListCell   *lc;

	foreach(lc, collector->rel->joininfo)
	{
		RestrictInfo *info = lfirst(lc);

		if (restriction_is_or_clause(info))
			collect_alternatives(collector, info);
		else
			(void) collect_condition(collector, (Node *) info, 0.1);
	}
	(void) generate_implied_equalities_for_column(collector->root,
												  collector->rel,
												  collect_member, collector,
												  NULL);
}

/*
 * An order that the statement wants: as many of its elements as this table
 * has, from the first on.
 */
static void
collect_order(Collector *collector, List *pathkeys, uint32 why)
{
	List	   *keys = NIL;
	bool		reverse = true;
	ListCell   *lc;

	foreach(lc, pathkeys)
	{
		StewardKey *key = steward_key_from_pathkey(collector->root,
												   collector->rel, lfirst(lc));

		if (key == NULL)
			break;
		key->why |= why;
		reverse = reverse &&
			key->options == (INDOPTION_DESC | INDOPTION_NULLS_FIRST);
		keys = lappend(keys, key);
		if (key->am != BTREE_AM_OID)
			break;
	}
	if (keys == NIL)
		return;

	/* an index that is plain in all keys can be read backwards */
	if (reverse)
		foreach(lc, keys)
			((StewardKey *) lfirst(lc))->options = 0;
	collector->terms->sorts = lappend(collector->terms->sorts, keys);
}

/* What an index-only scan must have: columns, and the conditions. */
static void
collect_needed(Collector *collector)
{
	RelOptInfo *rel = collector->rel;
	Bitmapset  *offset = NULL;
	int			member = -1;
	ListCell   *lc;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &offset);
	collector->terms->index_only = true;
	while ((member = bms_next_member(offset, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum <= 0)
			collector->terms->index_only = false;
		else
			collector->terms->output = bms_add_member(collector->terms->output,
													  attnum);
	}
	foreach(lc, rel->baserestrictinfo)
	{
		Node	   *clause = copyObject((Node *) ((RestrictInfo *) lfirst(lc))->clause);

		ChangeVarNodes(clause, rel->relid, 1, 0);
		collector->terms->conditions = lappend(collector->terms->conditions,
											   clause);
	}
}

/*
 * Collect everything for one entry of the range table.  With "constants"
 * comparisons with constants may become predicates.  Allocated in the current
 * memory context.
 */
void
steward_terms_collect(PlannerInfo *root, RelOptInfo *rel, bool constants,
					  StewardTerms *terms)
{
	Collector	collector = {root, rel, constants, terms};

	memset(terms, 0, sizeof(StewardTerms));
	terms->limit = root->limit_tuples > 0 || root->parse->limitCount != NULL ||
		root->tuple_fraction > 0;
	collect_restrictions(&collector);
	collect_joins(&collector);
	collect_order(&collector, root->query_pathkeys,
				  terms->limit ? STEWARD_WHY_SORT | STEWARD_WHY_LIMIT :
				  STEWARD_WHY_SORT);
	if (root->group_pathkeys != root->query_pathkeys)
		collect_order(&collector, root->group_pathkeys, STEWARD_WHY_GROUP);
	if (root->window_pathkeys != root->query_pathkeys)
		collect_order(&collector, root->window_pathkeys, STEWARD_WHY_GROUP);
	if (root->distinct_pathkeys != root->query_pathkeys)
		collect_order(&collector, root->distinct_pathkeys, STEWARD_WHY_GROUP);
	if (root->sort_pathkeys != root->query_pathkeys)
		collect_order(&collector, root->sort_pathkeys, STEWARD_WHY_SORT);
	collect_needed(&collector);
	list_sort(terms->equal, compare_selectivity);
	list_sort(terms->range, compare_selectivity);
}
