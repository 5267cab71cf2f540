/*-------------------------------------------------------------------------
 *
 * user_code.c
 *	  Functions of users in statements that are planned for advice.
 *
 * The planner evaluates what it can: calls of immutable functions with
 * constant arguments, and for estimates of stable ones.  Statements that are
 * planned for advice were sent by others.  What the planner would evaluate is
 * therefore replaced by a parameter, whose value it does not know either, if a
 * function in it is neither the server's nor written in C, which takes a
 * superuser.  Whether there may be other ways is not relied upon: see
 * statement_query.c on the role that plans.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/syscache.h"

#include "advisor/user_code.h"

/* What is known about a function that a user could have written. */
typedef struct UserFunction
{
	Oid			owner;
	bool		evaluable;		/* the planner may run it to find its value */
} UserFunction;

/*
 * Look a function up.  False if it is one of the server's, or in a language
 * that only superusers can use.
 */
static bool
find_user_function(Oid function, UserFunction *found)
{
	HeapTuple	tuple;
	Form_pg_proc form;
	bool		result;

	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	result = form->prolang != INTERNALlanguageId &&
		form->prolang != ClanguageId;
	found->owner = form->proowner;
	found->evaluable = form->provolatile != PROVOLATILE_VOLATILE &&
		!form->proretset;
	ReleaseSysCache(tuple);
	return result;
}

/* Could the planner run code of a user to find the value of this? */
static bool
calls_user_code(Oid function)
{
	UserFunction found;

	return find_user_function(function, &found) && found.evaluable;
}

/*
 * Does the caller trust a function to be called with his rights?  Those of
 * superusers and his own, and what only superusers can create.
 */
static bool
is_foreign_code(Oid function, void *caller)
{
	UserFunction found;

	return find_user_function(function, &found) &&
		found.owner != *(Oid *) caller && !superuser_arg(found.owner);
}

/* Find a call of such a function. */
static bool
foreign_code_walker(Node *node, Oid *caller)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_foreign_code, caller))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, foreign_code_walker, caller, 0);
	return expression_tree_walker(node, foreign_code_walker, caller);
}

/*
 * Does a query call functions that the caller need not trust?
 */
bool
steward_calls_foreign_code(Query *query, Oid caller)
{
	return foreign_code_walker((Node *) query, &caller);
}

/* Does an expression depend on rows?  Then the planner cannot evaluate it. */
static bool
depends_on_rows(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) || IsA(node, Aggref) || IsA(node, GroupingFunc) ||
		IsA(node, WindowFunc) || IsA(node, SubLink) || IsA(node, Query) ||
		IsA(node, SetToDefault) || IsA(node, CaseTestExpr) ||
		IsA(node, CoerceToDomainValue))
		return true;
	return expression_tree_walker(node, depends_on_rows, context);
}

/*
 * Replace calls that the planner might evaluate by parameters.
 */
static Node *
replace_user_code(Node *node, int *next_param)
{
	Oid			function = InvalidOid;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
		return (Node *) query_tree_mutator((Query *) node, replace_user_code,
										   next_param, 0);
	if (IsA(node, FuncExpr))
		function = ((FuncExpr *) node)->funcid;
	else if (IsA(node, OpExpr) || IsA(node, DistinctExpr) || IsA(node, NullIfExpr))
	{
		set_opfuncid((OpExpr *) node);
		function = ((OpExpr *) node)->opfuncid;
	}
	else if (IsA(node, ScalarArrayOpExpr))
	{
		set_sa_opfuncid((ScalarArrayOpExpr *) node);
		function = ((ScalarArrayOpExpr *) node)->opfuncid;
	}
	if (OidIsValid(function) && calls_user_code(function) &&
		!depends_on_rows(node, NULL))
	{
		Param	   *param = makeNode(Param);

		param->paramkind = PARAM_EXTERN;
		param->paramid = (*next_param)++;
		param->paramtype = exprType(node);
		param->paramtypmod = exprTypmod(node);
		param->paramcollid = exprCollation(node);
		param->location = -1;
		return (Node *) param;
	}
	return expression_tree_mutator(node, replace_user_code, next_param);
}

/*
 * A copy of a query in which nothing of a user is left for the planner to
 * evaluate.  New parameters are numbered from *next_param on.
 */
Query *
steward_replace_user_code(Query *query, int *next_param)
{
	return (Query *) replace_user_code((Node *) query, next_param);
}
