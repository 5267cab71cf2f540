/*-------------------------------------------------------------------------
 *
 * determinism.c
 *	  Does an expression depend on anything but rows?
 *
 * Immutable functions do not, by their label; a wrong label is not noticed.
 * Volatile ones do.  The server calls stable what does not change during a
 * statement, for very different reasons: the time of the transaction, who
 * asks, the content of tables or catalogs, or merely settings of formats and
 * the time zone.  Only the last can be followed.  The list below was made by
 * reading what each function does; whatever is not in it counts as depending
 * on more.  In particular the input functions of dates are not in it: they
 * know "now" and "today".  Some of the list write values of any type, and
 * depend on more if the type does: names of catalog objects, labels of enum
 * values, columns of composite types.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "refresh/determinism.h"

/* Stable functions that depend on their arguments and settings only. */
static const Oid by_settings[] = {
	/* between times with and without zone */
	F_DATE_TIMESTAMPTZ, F_TIMESTAMP_TIMESTAMPTZ, F_TIMESTAMPTZ_TIMESTAMP,
	F_TIMESTAMPTZ_DATE, F_TIME_TIMESTAMPTZ, F_TIMETZ_TIMESTAMPTZ,
	F_TIMESTAMPTZ_DATE_TIME,
	F_DATE_EQ_TIMESTAMPTZ, F_DATE_NE_TIMESTAMPTZ, F_DATE_LT_TIMESTAMPTZ,
	F_DATE_LE_TIMESTAMPTZ, F_DATE_GT_TIMESTAMPTZ, F_DATE_GE_TIMESTAMPTZ,
	F_TIMESTAMPTZ_EQ_DATE, F_TIMESTAMPTZ_NE_DATE, F_TIMESTAMPTZ_LT_DATE,
	F_TIMESTAMPTZ_LE_DATE, F_TIMESTAMPTZ_GT_DATE, F_TIMESTAMPTZ_GE_DATE,
	F_TIMESTAMP_EQ_TIMESTAMPTZ, F_TIMESTAMP_NE_TIMESTAMPTZ,
	F_TIMESTAMP_LT_TIMESTAMPTZ, F_TIMESTAMP_LE_TIMESTAMPTZ,
	F_TIMESTAMP_GT_TIMESTAMPTZ, F_TIMESTAMP_GE_TIMESTAMPTZ,
	F_TIMESTAMPTZ_EQ_TIMESTAMP, F_TIMESTAMPTZ_NE_TIMESTAMP,
	F_TIMESTAMPTZ_LT_TIMESTAMP, F_TIMESTAMPTZ_LE_TIMESTAMP,
	F_TIMESTAMPTZ_GT_TIMESTAMP, F_TIMESTAMPTZ_GE_TIMESTAMP,
	/* arithmetic */
	F_DATE_TRUNC_TEXT_TIMESTAMPTZ, F_DATE_PART_TEXT_TIMESTAMPTZ,
	F_EXTRACT_TEXT_TIMESTAMPTZ, F_TIMESTAMPTZ_PL_INTERVAL,
	F_TIMESTAMPTZ_MI_INTERVAL, F_INTERVAL_PL_TIMESTAMPTZ,
	F_GENERATE_SERIES_TIMESTAMPTZ_TIMESTAMPTZ_INTERVAL,
	/* formats */
	F_TO_CHAR_TIMESTAMPTZ_TEXT, F_TO_CHAR_TIMESTAMP_TEXT,
	F_TO_CHAR_INTERVAL_TEXT, F_TO_CHAR_NUMERIC_TEXT, F_TO_CHAR_INT4_TEXT,
	F_TO_CHAR_INT8_TEXT, F_TO_CHAR_FLOAT4_TEXT, F_TO_CHAR_FLOAT8_TEXT,
	F_TO_TIMESTAMP_TEXT_TEXT, F_TO_DATE, F_TO_NUMBER,
	F_TIMESTAMPTZ_OUT, F_TIMESTAMP_OUT, F_DATE_OUT, F_TIME_OUT, F_TIMETZ_OUT,
	F_INTERVAL_OUT, F_BYTEAOUT
};

/* The same, of values of any type. */
static const Oid by_type[] = {
	F_CONCAT, F_CONCAT_WS, F_FORMAT_TEXT_ANY, F_FORMAT_TEXT,
	F_ARRAY_TO_STRING_ANYARRAY_TEXT, F_ARRAY_TO_STRING_ANYARRAY_TEXT_TEXT,
	F_ARRAY_OUT, F_TO_JSON, F_TO_JSONB,
	F_JSON_BUILD_OBJECT_ANY, F_JSONB_BUILD_OBJECT_ANY,
	F_JSON_BUILD_ARRAY_ANY, F_JSONB_BUILD_ARRAY_ANY,
	F_JSON_AGG, F_JSONB_AGG, F_JSON_OBJECT_AGG, F_JSONB_OBJECT_AGG
};

/* Types whose output depends on nothing but the value and settings. */
static const Oid plain_types[] = {
	BOOLOID, INT2OID, INT4OID, INT8OID, OIDOID, FLOAT4OID, FLOAT8OID,
	NUMERICOID, TEXTOID, VARCHAROID, BPCHAROID, NAMEOID, CHAROID, UUIDOID,
	JSONOID, JSONBOID, BYTEAOID, DATEOID, TIMEOID, TIMETZOID, TIMESTAMPOID,
	TIMESTAMPTZOID, INTERVALOID, INETOID, CIDROID, MACADDROID, BITOID,
	VARBITOID, UNKNOWNOID
};

/* Types that SQL/JSON makes of a value, whatever the settings and the time. */
static const Oid json_types[] = {
	BOOLOID, INT2OID, INT4OID, INT8OID, FLOAT4OID, FLOAT8OID, NUMERICOID,
	TEXTOID, VARCHAROID, BPCHAROID, UUIDOID, JSONOID, JSONBOID
};

static bool
is_in(Oid oid, const Oid *list, int length)
{
	for (int i = 0; i < length; i++)
	{
		if (list[i] == oid)
			return true;
	}
	return false;
}

/* Is a type, or what an array or domain is made of, one of the plain ones? */
static bool
is_plain_type(Oid type)
{
	Oid			base = getBaseType(type);
	Oid			element = get_element_type(base);

	if (OidIsValid(element))
		return is_plain_type(element);
	return is_in(base, plain_types, lengthof(plain_types));
}

/* Are all arguments of a call of plain types? */
static bool
has_plain_arguments(Node *call)
{
	List	   *arguments = NIL;
	ListCell   *cell;

	switch (nodeTag(call))
	{
		case T_FuncExpr:
			arguments = ((FuncExpr *) call)->args;
			break;
		case T_OpExpr:
			arguments = ((OpExpr *) call)->args;
			break;
		case T_WindowFunc:
			arguments = ((WindowFunc *) call)->args;
			break;
		case T_CoerceViaIO:
			arguments = list_make1(((CoerceViaIO *) call)->arg);
			break;
		case T_Aggref:
			foreach(cell, ((Aggref *) call)->args)
			{
				arguments = lappend(arguments,
									lfirst_node(TargetEntry, cell)->expr);
			}
			break;
		default:
			return false;
	}
	foreach(cell, arguments)
	{
		if (!is_plain_type(exprType(lfirst(cell))))
			return false;
	}
	return true;
}

/*
 * What the result of a function depends on; "call" is the node that calls it.
 */
StewardDeterminism
steward_function_determinism(Oid function, Node *call, char volatility)
{
	if (volatility == PROVOLATILE_IMMUTABLE)
		return STEWARD_DETERMINED;
	if (volatility != PROVOLATILE_STABLE)
		return STEWARD_UNDETERMINED;
	if (is_in(function, by_settings, lengthof(by_settings)))
		return STEWARD_BY_SETTINGS;
	if (is_in(function, by_type, lengthof(by_type)) && has_plain_arguments(call))
		return STEWARD_BY_SETTINGS;
	return STEWARD_UNDETERMINED;
}

/*
 * Why the value of a node that calls no function by its number is not
 * determined by rows, as a phrase after "because", or NULL if it is.
 */
const char *
steward_expression_obstacle(Node *node)
{
	if (IsA(node, SQLValueFunction))
		return "it uses the current date, time, user or schema";
	if (IsA(node, NextValueExpr))
		return "it reads a sequence";
	if (IsA(node, TableSampleClause))
		return "it samples a table";
	if (IsA(node, XmlExpr) &&
		(((XmlExpr *) node)->op == IS_XMLELEMENT ||
		 ((XmlExpr *) node)->op == IS_XMLFOREST))
		return "it makes XML of values, whose form depends on settings";
	/* columns are read by input functions, and those of dates know "now" */
	if (IsA(node, TableFunc))
		return "it uses XMLTABLE or JSON_TABLE, which convert text";
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varattno < 0 && var->varattno != TableOidAttributeNumber)
			return "it reads a system column";
	}
	if (STEWARD_IS_SQL_JSON(node) &&
		(contain_mutable_functions(node) ||
		 !is_in(exprType(node), json_types, lengthof(json_types))))
		return "it uses an SQL/JSON function that depends on more than rows";
	return NULL;
}
