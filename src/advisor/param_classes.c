/*-------------------------------------------------------------------------
 *
 * param_classes.c
 *	  Typical values of a statement's parameters.
 *
 * A normalized text does not tell which values were asked for.  For a
 * parameter that is compared for equality with a column whose values are
 * unevenly spread, an average value does not exist: nine of ten executions may
 * ask for the value that most rows have, or for one that few have.  Such a
 * statement is planned for both, the most common value and a rare one, and
 * each counts as often as its values occur in the table.  The parameter with
 * the most common value decides; two at a time are not distinguished.
 *
 * LIMIT has a parameter as well, for which the planner would assume a tenth of
 * all rows.  How many rows one execution returned is known, so that this many
 * are assumed, and a small page where they are not; OFFSET skips some pages.
 *
 * Values come from the statistics of the column.  They are given to the
 * planner for estimation only, so that it does not choose a plan that holds
 * for them alone, and are shown to nobody.
 *
 * All of this is guesswork, and only done if there are no samples of what the
 * statement was executed with (constants_classes.c).
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advisor/param_classes.h"

/* The most common value makes a class from this share of the rows on... */
#define COMMON_SHARE 0.2

/* ... if it is so many times as common as the rarest one known. */
#define COMMON_FACTOR 4.0

/* Rows of LIMIT, if fewer were returned or nothing is known. */
#define LIMIT_AT_LEAST 10

/* Pages that OFFSET skips. */
#define OFFSET_PAGES 5

/* Parameters of LIMIT and OFFSET in one statement, at most. */
#define MAX_LIMITS 16

/* The search for the parameter that decides. */
typedef struct Search
{
	Query	   *query;			/* whose range table is in force */
	int			nparams;		/* highest parameter seen */
	int			ntypes;			/* allocated */
	StewardParamType *types;	/* of parameters, by number - 1 */
	Param	   *param;			/* best so far, or NULL */
	double		share;
	Datum		common;
	Datum		rare;
	int			nlimits;
	int			limits[MAX_LIMITS]; /* numbers of parameters */
	int64		limit_values[MAX_LIMITS];
	int64		rows;			/* of one execution */
} Search;

/* Look at the statistics of a column that is compared with a parameter. */
static void
consider_column(Search *search, Var *var, Param *param)
{
	RangeTblEntry *rte;
	HeapTuple	tuple;
	AttStatsSlot slot;

	if (search->query == NULL || var->varlevelsup > 0 ||
		var->varno <= 0 || var->varattno <= 0 ||
		var->varno > list_length(search->query->rtable))
		return;
	rte = rt_fetch(var->varno, search->query->rtable);
	if (rte->rtekind != RTE_RELATION)
		return;
	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(rte->relid),
							Int16GetDatum(var->varattno), BoolGetDatum(rte->inh));
	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(rte->relid),
								Int16GetDatum(var->varattno), BoolGetDatum(false));
	if (!HeapTupleIsValid(tuple))
		return;
	if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_MCV, InvalidOid,
						 ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
	{
		int			last = slot.nvalues - 1;

		if (last > 0 && slot.nnumbers == slot.nvalues &&
			slot.numbers[0] >= COMMON_SHARE && slot.numbers[0] > search->share &&
			slot.numbers[0] >= COMMON_FACTOR * slot.numbers[last] &&
			(slot.valuetype == param->paramtype ||
			 IsBinaryCoercible(slot.valuetype, param->paramtype)))
		{
			bool		byval = get_typbyval(slot.valuetype);
			int			length = get_typlen(slot.valuetype);

			search->param = param;
			search->share = slot.numbers[0];
			search->common = datumCopy(slot.values[0], byval, length);
			search->rare = datumCopy(slot.values[last], byval, length);
		}
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
}

/* Note a parameter of LIMIT or OFFSET. */
static void
note_limit(Search *search, Node *node, int64 value)
{
	if (node == NULL || !IsA(node, Param) || search->nlimits >= MAX_LIMITS ||
		((Param *) node)->paramkind != PARAM_EXTERN ||
		((Param *) node)->paramtype != INT8OID)
		return;
	search->limits[search->nlimits] = ((Param *) node)->paramid;
	search->limit_values[search->nlimits++] = value;
}

/* Note a parameter and its type. */
static void
note_param(Search *search, const Param *param)
{
	int			needed = Max(param->paramid, search->nparams);

	if (search->types == NULL || needed > search->ntypes)
	{
		int			allocate = Max(2 * needed, 16);
		StewardParamType *types = palloc0(allocate * sizeof(StewardParamType));

		for (int i = 0; i < allocate; i++)
			types[i].typmod = -1;
		if (search->types != NULL)
			memcpy(types, search->types, search->nparams * sizeof(StewardParamType));
		search->types = types;
		search->ntypes = allocate;
	}
	search->nparams = needed;
	search->types[param->paramid - 1].type = param->paramtype;
}

/*
 * Note what unit the number in an interval counts, as in interval $1 year: it
 * is part of the type that the literal was read with.
 */
static void
note_unit(Search *search, const FuncExpr *call)
{
	Node	   *interval = linitial(call->args);
	Node	   *typmod = lsecond(call->args);

	if (!IsA(interval, Param) || !IsA(typmod, Const) ||
		((Param *) interval)->paramkind != PARAM_EXTERN ||
		((Const *) typmod)->constisnull)
		return;
	note_param(search, (Param *) interval);
	search->types[((Param *) interval)->paramid - 1].typmod =
		DatumGetInt32(((Const *) typmod)->constvalue);
}

/*
 * Find comparisons for equality of a column with a parameter, and parameters
 * of LIMIT.
 */
static bool
search_walker(Node *node, Search *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *outer = search->query;
		bool		result;

		search->query = (Query *) node;
		note_limit(search, search->query->limitCount, search->rows);
		note_limit(search, search->query->limitOffset,
				   search->rows * OFFSET_PAGES);
		result = query_tree_walker(search->query, search_walker, search, 0);
		search->query = outer;
		return result;
	}
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN)
		note_param(search, (Param *) node);
	if (IsA(node, FuncExpr) &&
		((FuncExpr *) node)->funcid == F_INTERVAL_INTERVAL_INT4)
		note_unit(search, (FuncExpr *) node);
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2 &&
		get_oprrest(((OpExpr *) node)->opno) == F_EQSEL)
	{
		Node	   *left = linitial(((OpExpr *) node)->args);
		Node	   *right = lsecond(((OpExpr *) node)->args);

		while (IsA(left, RelabelType))
			left = (Node *) ((RelabelType *) left)->arg;
		while (IsA(right, RelabelType))
			right = (Node *) ((RelabelType *) right)->arg;
		if (IsA(left, Var) && IsA(right, Param) &&
			((Param *) right)->paramkind == PARAM_EXTERN)
			consider_column(search, (Var *) left, (Param *) right);
		else if (IsA(right, Var) && IsA(left, Param) &&
				 ((Param *) left)->paramkind == PARAM_EXTERN)
			consider_column(search, (Var *) right, (Param *) left);
	}
	return expression_tree_walker(node, search_walker, search);
}

/*
 * Values of the parameters of LIMIT, and of the one that decides.  NULL if there
 * are none of either.
 */
static ParamListInfo
make_params(const Search *search, Datum value)
{
	ParamListInfo params;

	if (search->param == NULL && search->nlimits == 0)
		return NULL;
	params = makeParamList(search->nparams);
	for (int i = 0; i < search->nparams; i++)
	{
		params->params[i].value = (Datum) 0;
		params->params[i].isnull = true;
		params->params[i].pflags = 0;
		params->params[i].ptype = InvalidOid;
	}
	for (int i = 0; i < search->nlimits; i++)
	{
		ParamExternData *param = &params->params[search->limits[i] - 1];

		param->value = Int64GetDatum(search->limit_values[i]);
		param->isnull = false;
		param->ptype = INT8OID;
	}
	if (search->param)
	{
		ParamExternData *param = &params->params[search->param->paramid - 1];

		param->value = value;
		param->isnull = false;
		param->ptype = search->param->paramtype;
	}
	return params;
}

/*
 * Let LIMIT and OFFSET have values in classes of samples that lack them.
 */
static void
set_limits(const Search *search, ParamListInfo params)
{
	for (int i = 0; i < search->nlimits; i++)
	{
		ParamExternData *param = &params->params[search->limits[i] - 1];

		if (OidIsValid(param->ptype))
			continue;
		param->value = Int64GetDatum(search->limit_values[i]);
		param->isnull = false;
		param->ptype = INT8OID;
		param->pflags = 0;
	}
}

/*
 * Fill in the classes of a statement; most have one.  rows is how many rows an
 * execution returns or changes on average.  Everything is allocated in the
 * current memory context; locks on the tables are the caller's.
 */
void
steward_param_classes(const StewardStatement *statement, List *queries,
					  double rows, StewardParamClasses *classes)
{
	Search		search = {0};
	ListCell   *lc;

	search.rows = (int64) Min(Max(rows, LIMIT_AT_LEAST), PG_INT32_MAX);
	foreach(lc, queries)
		(void) search_walker((Node *) lfirst_node(Query, lc), &search);
	if (steward_constants_classes(statement, search.types, search.nparams, classes))
	{
		for (int i = 0; i < classes->count; i++)
			set_limits(&search, classes->list[i].params);
		set_limits(&search, classes->steady);
		return;
	}

	memset(classes, 0, sizeof(StewardParamClasses));
	classes->count = 1;
	classes->list[0].share = 1;
	if (search.param == NULL)
	{
		classes->list[0].params = make_params(&search, (Datum) 0);
		return;
	}
	classes->count = 2;
	classes->list[0].params = make_params(&search, search.common);
	classes->list[0].share = search.share;
	classes->list[1].params = make_params(&search, search.rare);
	classes->list[1].share = 1 - search.share;
}
