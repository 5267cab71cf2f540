/*-------------------------------------------------------------------------
 *
 * constants_classes.c
 *	  Sampled constants of a statement as values of its parameters.
 *
 * The normalized text has a parameter where the statement had a constant.  A
 * sample gives it its value again: the planner is told that it is a constant,
 * and plans as it does for the statement itself, with partial indexes and keys
 * that have a constant in them.  Values of parameters that the statement has of
 * its own serve estimation only, as in a generic plan, which has to work for
 * others as well.
 *
 * Which parameter a constant belongs to follows from its place among all
 * parameters of the text, since numbers depend on the version of the server.
 * A text that has another number of them is not that of the sample.
 *
 * Literals go through the input function of the type that the analyzer infers
 * for the parameter.  Whatever fails, fails in a subtransaction, and costs the
 * statement its samples only.  Types whose input may run code of users, as
 * domains, are left alone.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "advisor/constants.h"
#include "advisor/param_classes.h"
#include "advisor/statement_text.h"

/* What is needed to make classes of a statement. */
typedef struct Making
{
	const StewardStatement *statement;
	const StewardParamType *types;	/* of parameters, by number - 1 */
	int			ntypes;
	int		   *numbers;		/* of parameters in the order of the text */
	int			nnumbers;
} Making;

/* Values without any known. */
static ParamListInfo
make_unknown(int count)
{
	ParamListInfo params = makeParamList(count);

	for (int i = 0; i < count; i++)
	{
		params->params[i].value = (Datum) 0;
		params->params[i].isnull = true;
		params->params[i].pflags = 0;
		params->params[i].ptype = InvalidOid;
	}
	return params;
}

/* Set a parameter to a literal, in the current memory context. */
static void
set_literal(ParamExternData *param, const StewardParamType *type,
			const StewardItem *item)
{
	Oid			function;
	Oid			argument;

	if (item->kind != STEWARD_ITEM_NULL)
	{
		getTypeInputInfo(type->type, &function, &argument);
		param->value = OidInputFunctionCall(function,
											pnstrdup(item->bytes, item->length),
											argument, type->typmod);
	}
	param->isnull = item->kind == STEWARD_ITEM_NULL;
	param->ptype = type->type;
	param->pflags = PARAM_FLAG_CONST;
}

/*
 * The value that an item holds, as it is in memory; false if its type has
 * changed since.
 */
static bool
restore_datum(const StewardItem *item, Datum *value)
{
	int16		length;
	bool		by_value;
	char	   *copy;

	if (!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(item->type)))
		return false;
	get_typlenbyval(item->type, &length, &by_value);
	if (by_value)
	{
		if (item->length == sizeof(Datum))
			memcpy(value, item->bytes, sizeof(Datum));
		return item->length == sizeof(Datum);
	}
	copy = palloc(item->length + 1);
	memcpy(copy, item->bytes, item->length);
	copy[item->length] = '\0';
	*value = PointerGetDatum(copy);
	if (length == -1)
		return item->length > 0 && VARSIZE_ANY(copy) == item->length;
	return length == -2 || length == item->length;
}

/* Set a parameter to a value that was bound to it. */
static void
set_datum(ParamExternData *param, const StewardParamType *type,
		  const StewardItem *item)
{
	Datum		value = (Datum) 0;

	if (item->kind == STEWARD_ITEM_DATUM && !restore_datum(item, &value))
		return;
	if (item->kind == STEWARD_ITEM_DATUM && item->type != type->type &&
		!IsBinaryCoercible(item->type, type->type))
	{
		StewardItem literal = {STEWARD_ITEM_LITERAL};
		Oid			function;
		bool		varlena;

		/* the analyzer guessed a type where the client has told one */
		getTypeOutputInfo(item->type, &function, &varlena);
		literal.bytes = OidOutputFunctionCall(function, value);
		literal.length = strlen(literal.bytes);
		set_literal(param, type, &literal);
	}
	else
	{
		param->value = value;
		param->isnull = item->kind == STEWARD_ITEM_NULL;
		param->ptype = type->type;
	}
	param->pflags = 0;
}

/* The parameter of a number and its type; NULL if nothing can be set. */
static ParamExternData *
find_param(const Making *making, ParamListInfo params, int number,
		   const StewardParamType **type)
{
	if (number < 1 || number > Min(params->numParams, making->ntypes))
		return NULL;
	*type = &making->types[number - 1];
	if (!OidIsValid((*type)->type) ||
		!steward_constants_has_type((*type)->type))
		return NULL;
	return &params->params[number - 1];
}

/*
 * Set the constants of a sample.  False if it is of another text.  "own"
 * receives the numbers that the statement's own parameters have in the
 * normalized text, by their number - 1, up to nown.
 */
static bool
set_constants(const Making *making, const StewardSample *sample,
			  ParamListInfo params, int *own, int nown)
{
	const char *at = sample->bytes;
	const char *end = at + sample->length;
	StewardItem item;
	int			place = 0;

	while (steward_item_next(&at, end, &item))
	{
		const StewardParamType *type;
		ParamExternData *param;
		int			number;

		if (place >= making->nnumbers)
			return false;
		number = making->numbers[place++];
		if (item.kind == STEWARD_ITEM_PARAM && item.number >= 1 &&
			item.number <= nown)
			own[item.number - 1] = number;
		if (item.kind != STEWARD_ITEM_LITERAL &&
			item.kind != STEWARD_ITEM_NUMBER && item.kind != STEWARD_ITEM_NULL)
			continue;
		param = find_param(making, params, number, &type);
		if (param)
			set_literal(param, type, &item);
	}
	return place == making->nnumbers;
}

/*
 * Type that the parser gives to a number which is no plain integer, for which
 * the column's type might be taken; InvalidOid for any other.
 */
static Oid
type_of_number(const StewardItem *item)
{
	char	   *text;
	int64		value;
	char	   *end;

	if (item->kind != STEWARD_ITEM_NUMBER)
		return InvalidOid;
	text = pnstrdup(item->bytes, item->length);
	errno = 0;
	value = strtoi64(text, &end, 0);
	if (errno != 0 || *end != '\0')
		return strpbrk(text, "_xXoObB") ? InvalidOid : NUMERICOID;
	return value >= PG_INT32_MIN && value <= PG_INT32_MAX ? InvalidOid : INT8OID;
}

/*
 * Let the analyzer know the types of such numbers in a statement's samples,
 * because comparing an integer with 0.5 is comparing numerics.  Once a
 * statement; a text that is none raises an error.
 */
void
steward_constants_preset_types(StewardWorkload *workload,
							   StewardStatement *statement)
{
	const StewardConstants *constants = statement->constants;
	StewardReading *reading = &statement->reading;
	int			count;
	int		   *numbers = NULL;

	if (constants == NULL || reading->npresets > 0)
		return;
	for (int i = 0; i < constants->count[STEWARD_CONSTANTS]; i++)
	{
		const StewardSample *sample = &constants->samples[STEWARD_CONSTANTS][i];
		const char *at = sample->bytes;
		StewardItem item;

		for (int place = 0; steward_item_next(&at, sample->bytes + sample->length, &item); place++)
		{
			Oid			type = type_of_number(&item);

			if (!OidIsValid(type))
				continue;
			if (numbers == NULL)
				numbers = steward_text_params(statement->text, &count);
			if (place < count)
				steward_reading_preset(workload, reading, numbers[place], type);
		}
	}
}

/* Set the values of a sample. */
static void
set_values(const Making *making, const StewardSample *sample,
		   ParamListInfo params, const int *own, int nown)
{
	const char *at = sample->bytes;
	const char *end = at + sample->length;
	StewardItem item;

	for (int i = 0; i < nown && steward_item_next(&at, end, &item); i++)
	{
		const StewardParamType *type;
		ParamExternData *param = find_param(making, params, own[i], &type);

		if (param && item.kind != STEWARD_ITEM_UNKNOWN)
			set_datum(param, type, &item);
	}
}

/* Sample number i of a kind, or NULL; the fewer ones are used in turn. */
static const StewardSample *
sample_of(const StewardConstants *constants, StewardSampleKind kind, int i)
{
	return constants->count[kind] == 0 ? NULL :
		&constants->samples[kind][i % constants->count[kind]];
}

/*
 * Values of class number i, or NULL if its sample is of another text.
 */
static ParamListInfo
make_class(const Making *making, int i)
{
	const StewardConstants *constants = making->statement->constants;
	const StewardSample *sample = sample_of(constants, STEWARD_CONSTANTS, i);
	ParamListInfo params = make_unknown(making->ntypes);
	int			nown = making->ntypes;
	int		   *own = palloc(Max(nown, 1) * sizeof(int));

	for (int k = 0; k < nown; k++)
		own[k] = k + 1;
	if (sample && !set_constants(making, sample, params, own, nown))
		return NULL;
	sample = sample_of(constants, STEWARD_VALUES, i);
	if (sample)
		set_values(making, sample, params, own, nown);
	return params;
}

/* Do two parameters have the same value? */
static bool
is_same(const ParamExternData *a, const ParamExternData *b)
{
	int16		length;
	bool		by_value;

	if (a->ptype != b->ptype || a->isnull != b->isnull || a->pflags != b->pflags)
		return false;
	if (!OidIsValid(a->ptype) || a->isnull)
		return true;
	get_typlenbyval(a->ptype, &length, &by_value);
	return datumIsEqual(a->value, b->value, by_value, length);
}

/* Do two classes have the same values? */
static bool
is_same_class(ParamListInfo a, ParamListInfo b)
{
	for (int i = 0; i < a->numParams; i++)
		if (!is_same(&a->params[i], &b->params[i]))
			return false;
	return true;
}

/*
 * The first class with those constants as constants that never change, and all
 * else for estimation.
 */
static ParamListInfo
make_steady(const Making *making, const StewardParamClasses *classes)
{
	ParamListInfo first = classes->list[0].params;
	ParamListInfo params = make_unknown(first->numParams);
	uint32		steady = making->statement->constants->steady;

	for (int i = 0; i < first->numParams; i++)
	{
		params->params[i] = first->params[i];
		params->params[i].pflags = 0;
	}
	for (int place = 0; place < Min(making->nnumbers, STEWARD_WATCHED); place++)
	{
		int			i = making->numbers[place] - 1;
		bool		same = (steady & (UINT32_C(1) << place)) != 0;

		if (i < 0 || i >= first->numParams)
			continue;
		for (int k = 1; k < classes->count; k++)
			same = same && is_same(&first->params[i], &classes->list[k].params->params[i]);
		if (same)
			params->params[i].pflags = first->params[i].pflags;
	}
	return params;
}

/* Make the classes; errors are raised. */
static void
make_classes(Making *making, StewardParamClasses *classes)
{
	const StewardConstants *constants = making->statement->constants;
	int			count = Max(constants->count[STEWARD_CONSTANTS],
							constants->count[STEWARD_VALUES]);

	making->numbers = steward_text_params(making->statement->text,
										  &making->nnumbers);
	for (int i = 0; i < count; i++)
	{
		ParamListInfo params = make_class(making, i);
		int			k = 0;

		if (params == NULL)
			continue;
		while (k < classes->count && !is_same_class(classes->list[k].params, params))
			k++;
		if (k == classes->count)
			classes->list[classes->count++].params = params;
		classes->list[k].share += 1.0 / count;
	}
	if (classes->count > 0)
		classes->steady = make_steady(making, classes);
}

/*
 * Make classes of a statement's samples; false if there are none that fit.
 * "types" are those of its parameters.  Everything is allocated in the current
 * memory context; no error of a value is raised.
 */
bool
steward_constants_classes(const StewardStatement *statement,
						  const StewardParamType *types, int ntypes,
						  StewardParamClasses *classes)
{
	Making		making = {statement, types, ntypes};
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	memset(classes, 0, sizeof(StewardParamClasses));
	if (statement->constants == NULL || ntypes == 0)
		return false;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		make_classes(&making, classes);
		ReleaseCurrentSubTransaction();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (steward_is_interruption(error->sqlerrcode))
			ReThrowError(error);
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return done && classes->count > 0;
}
