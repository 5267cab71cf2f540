/*-------------------------------------------------------------------------
 *
 * n_plus_one_values.c
 *	  Whether a statement that repeats asks for something else each time.
 *
 * The values of the first few executions of a group are hashed, and different
 * hashes are counted.  Values are the parameters; where a statement has none, they are
 * in its text, which is hashed instead.  Nothing is kept of the values.
 *
 * Parameters that would have to be computed, those of PL/pgSQL, are not
 * looked at.  Then nothing is known about the group.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "nodes/params.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "latency/n_plus_one_session.h"

/* Bytes of a value, or of a text, that are looked at. */
#define MAX_VALUE_BYTES 256
#define MAX_TEXT_BYTES 2048

/* Hash of a value that is not null. */
static uint64
hash_value(const ParamExternData *param)
{
	int16		length;
	bool		by_value;
	const unsigned char *bytes;

	get_typlenbyval(param->ptype, &length, &by_value);
	if (by_value)
		return hash_bytes_extended((const unsigned char *) &param->value,
								   sizeof(Datum), 0);
	bytes = (const unsigned char *) DatumGetPointer(param->value);
	if (length == -1)
		length = Min(VARSIZE_ANY(bytes), MAX_VALUE_BYTES);
	else if (length == -2)
		length = strnlen((const char *) bytes, MAX_VALUE_BYTES);
	return hash_bytes_extended(bytes, length, 0);
}

/* Hash of all parameters.  Notes arrays of more than one value. */
static uint64
hash_params(RepeatContext *context, const ParamListInfo params)
{
	uint64		hash = 0;

	for (int i = 0; i < params->numParams; i++)
	{
		const ParamExternData *param = &params->params[i];

		if (!OidIsValid(param->ptype) || param->isnull)
			continue;
		hash = hash_combine64(hash, hash_value(param) + i);
		if (!context->flags_known &&
			OidIsValid(get_element_type(param->ptype)))
			context->flags |= STEWARD_REPEAT_BATCHED;
	}
	return hash;
}

/* Hash of the statement's text. */
static uint64
hash_text(const QueryDesc *query)
{
	const char *text = query->sourceText;
	int			location = query->plannedstmt->stmt_location;
	int			length = query->plannedstmt->stmt_len;

	if (location > 0)
		text += location;
	if (length <= 0 || length > MAX_TEXT_BYTES)
		length = strnlen(text, MAX_TEXT_BYTES);
	return hash_bytes_extended((const unsigned char *) text, length, 0);
}

/* What can be told from the plan. */
static int
flags_of_plan(const PlannedStmt *plan)
{
	int			flags = 0;
	ListCell   *lc;

	if (plan->rowMarks != NIL)
		flags |= STEWARD_REPEAT_LOCKS;
	foreach(lc, plan->relationOids)
	{
		if (lfirst_oid(lc) >= FirstNormalObjectId)
			flags |= STEWARD_REPEAT_TABLES;
	}
	return flags;
}

/* Count the hash of an execution's values, if it is a new one. */
static void
count_hash(RepeatContext *context, uint64 hash)
{
	int			i = 0;

	while (i < context->distinct && context->hashes[i] != (uint32) hash)
		i++;
	if (i == context->distinct)
		context->hashes[context->distinct++] = (uint32) hash;
	context->sampled++;
}

/*
 * Look at the values of an execution, and at its plan if that is not known.
 * At most REPEAT_SAMPLES executions of a group.
 */
void
steward_repeat_sample(RepeatContext *context,
					  const StewardExecution *execution)
{
	const ParamListInfo params = execution->query->params;

	if (params != NULL && params->numParams > 0)
	{
		if (params->paramFetch == NULL)
			count_hash(context, hash_params(context, params));
	}
	else if (execution->query->sourceText != NULL)
		count_hash(context, hash_text(execution->query));

	if (!context->flags_known)
	{
		context->flags |= flags_of_plan(execution->query->plannedstmt);
		if (execution->nesting > 0)
			context->flags |= STEWARD_REPEAT_NESTED;
		context->flags_known = true;
	}
}
