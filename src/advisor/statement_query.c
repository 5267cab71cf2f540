/*-------------------------------------------------------------------------
 *
 * statement_query.c
 *	  From the text of a statement to what the planner takes.
 *
 * A text goes through the server's parser, analyzer and rewriter, with
 * parameters whose types are inferred.  That is done anew at each visit of a
 * statement, in a subtransaction that is rolled back in the end: it costs
 * little compared to planning, no lock is kept longer than the visit, and no
 * tree can outlive a change of its tables.
 *
 * The first visit may take several attempts.  When one fails, the error tells
 * what to try next: to mend the text, to give a type to parameters that the
 * analyzer could not infer, or another search path.  Statements of functions
 * contain names of variables; such a name is taken for a parameter.
 *
 * Planning evaluates constant expressions, and so might call functions of
 * users.  Two things stand against it.  Calls of functions in other languages
 * than C, without columns among their arguments, are replaced by parameters.
 * And everything is done in a security-restricted operation, as the role that
 * executes the statement in reality, so that nobody gets more rights by
 * sending a statement for others to analyze (the idiom that guards index
 * expressions in autovacuum).  A caller who may not act as that role stays
 * himself, or he could choose what its names mean by his search path; then a
 * statement that calls functions of third parties is left out.
 *
 * The hook that looks at analyzed statements is not called: other modules
 * would count statements that nobody executes.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "base/query.h"
#include "advisor/param_classes.h"
#include "advisor/statement_read.h"
#include "advisor/statement_text.h"
#include "advisor/workload.h"

/* Attempts to read a text, at most. */
#define MAX_ATTEMPTS 16

/* Statements that may wait pg_steward.lock_timeout for a lock; then none does. */
#define MAX_LOCK_WAITS 3

/* Search paths: StewardReading.path */
#define PATH_CALLER 0
#define PATH_ROLE 1
#define PATH_FOUND 2

/* Types to try for a parameter, in this order. */
static const Oid type_order[] = {TEXTOID, INT4OID, NUMERICOID, TIMESTAMPTZOID,
INTERVALOID};

/* Set a setting until the subtransaction ends. */
static void
set_for_now(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Become the role that executes a statement, if the caller may, with the
 * settings under which its text is to be read.  The end of the subtransaction undoes it.
 */
static void
enter_statement(StewardWorkload *workload, StewardStatement *statement)
{
	Oid			user;
	int			security;

	set_for_now("search_path", statement->reading.search_path ?
				statement->reading.search_path : workload->search_path);
	set_for_now("client_min_messages", "error");
	if (workload->nlocked >= MAX_LOCK_WAITS)
		set_for_now("lock_timeout", "1");
	GetUserIdAndSecContext(&user, &security);
	if (steward_may_become_role(workload, statement))
		user = statement->userid;
	SetUserIdAndSecContext(user, security | SECURITY_RESTRICTED_OPERATION);
}

/*
 * Is an error no statement's fault, so that it must reach the caller?
 */
bool
steward_is_interruption(int sqlerrcode)
{
	return ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
		ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_SYSTEM_ERROR ||
		sqlerrcode == ERRCODE_OUT_OF_MEMORY ||
		sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE;
}

/*
 * Place of an error in the text, in bytes, or -1.  The error counts characters;
 * inside a function its position has become that of an internal query.
 */
static int
error_offset(StewardAttempt *attempt, ErrorData *error)
{
	int			position = error->cursorpos > 0 ? error->cursorpos :
		error->internalpos;

	if (position <= 0 || attempt->text == NULL)
		return -1;
	return pg_mbcharcliplen(attempt->text, strlen(attempt->text), position - 1);
}

/* Make room for the types of so many parameters. */
static void
grow_presets(StewardWorkload *workload, StewardReading *reading, int needed)
{
	Oid		   *presets;

	if (needed <= reading->npresets)
		return;
	presets = MemoryContextAllocZero(workload->context, needed * sizeof(Oid));
	if (reading->npresets > 0)
		memcpy(presets, reading->presets, reading->npresets * sizeof(Oid));
	reading->presets = presets;
	reading->npresets = needed;
}

/*
 * Parameters that are all results of a CASE were taken for text, for lack of
 * anything else, so that sum() of them does not exist: try numbers.  False if
 * there are none.
 */
static bool
preset_case_types(StewardAttempt *attempt)
{
	StewardReading *reading = &attempt->statement->reading;
	Bitmapset  *params = steward_text_case_params(attempt->text);
	int			param = -1;
	bool		changed = false;

	while ((param = bms_next_member(params, param)) >= 0)
	{
		if (param > attempt->ntypes || attempt->types[param - 1] != TEXTOID)
			continue;
		grow_presets(attempt->workload, reading, param);
		if (!OidIsValid(reading->presets[param - 1]))
		{
			reading->presets[param - 1] = INT4OID;
			changed = true;
		}
	}
	return changed;
}

/*
 * Give a type to a parameter, before the text is read.  The widest one stays.
 */
void
steward_reading_preset(StewardWorkload *workload, StewardReading *reading,
					   int param, Oid type)
{
	if (param < 1 || param > PG_INT16_MAX)
		return;
	grow_presets(workload, reading, param);
	if (reading->presets[param - 1] != NUMERICOID)
		reading->presets[param - 1] = type;
}

/*
 * Give types to parameters after an error: those that have none left in the
 * whole statement, or those at the place of the error their next one.  False
 * if there is nothing to try.
 */
static bool
preset_types(StewardAttempt *attempt, ErrorData *error)
{
	StewardReading *reading = &attempt->statement->reading;
	Bitmapset  *params = NULL;
	int			needed;
	int			param = -1;
	bool		changed = false;

	if (error->sqlerrcode == ERRCODE_INDETERMINATE_DATATYPE)
	{
		for (int i = 0; i < attempt->ntypes; i++)
		{
			if (attempt->types[i] == UNKNOWNOID)
				params = bms_add_member(params, i + 1);
		}
	}
	if (params == NULL && error_offset(attempt, error) >= 0)
		params = steward_text_params_at(attempt->text,
										error_offset(attempt, error));
	needed = params ? bms_prev_member(params, -1) : 0;
	if (needed > PG_INT16_MAX)
		return false;

	grow_presets(attempt->workload, reading, needed);
	while ((param = bms_next_member(params, param)) >= 0)
	{
		Oid		   *preset = &reading->presets[param - 1];
		int			next = 0;

		if (param <= attempt->ntypes && !OidIsValid(*preset) &&
			OidIsValid(attempt->types[param - 1]) &&
			attempt->types[param - 1] != UNKNOWNOID)
			continue;			/* inferred */
		if (OidIsValid(*preset))
		{
			while (next < lengthof(type_order) && type_order[next] != *preset)
				next++;
			next++;
		}
		else if (error->sqlerrcode != ERRCODE_INDETERMINATE_DATATYPE)
			next = 1;			/* an operator or function: try a number */
		if (next < lengthof(type_order))
		{
			*preset = type_order[next];
			changed = true;
		}
	}
	return changed || (error->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION &&
					   attempt->text != NULL && preset_case_types(attempt));
}

/*
 * The search path to try next, when a name was not found: that of the role,
 * then the only schema that has a table of the name.
 */
static bool
next_search_path(StewardAttempt *attempt, ErrorData *error)
{
	StewardWorkload *workload = attempt->workload;
	StewardReading *reading = &attempt->statement->reading;
	Oid			argtype = TEXTOID;
	Datum		value;
	bool		isnull;
	char	   *name;

	if (reading->path == PATH_CALLER)
	{
		reading->path = PATH_ROLE;
		reading->search_path =
			steward_workload_role_path(workload, attempt->statement->userid);
		if (reading->search_path)
			return true;
	}
	if (reading->path == PATH_FOUND || error_offset(attempt, error) < 0)
		return false;
	reading->path = PATH_FOUND;
	name = steward_text_name_at(attempt->text, error_offset(attempt, error));
	if (name == NULL)
		return false;
	value = CStringGetTextDatum(name);
	if (steward_query_select(STEWARD_SELECT "quote_ident(n.nspname)"
							 " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
							 " WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
							 " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'",
							 1, &argtype, &value) != 1)
		return false;
	name = TextDatumGetCString(steward_query_value(0, 1, &isnull));
	reading->search_path =
		MemoryContextStrdup(workload->context,
							reading->search_path ?
							psprintf("%s, %s", reading->search_path, name) :
							workload->search_path[0] ?
							psprintf("%s, %s", workload->search_path, name) : name);
	return true;
}

/*
 * Decide what to do differently after an error.  False if nothing is left to
 * try.
 */
static bool
try_otherwise(StewardAttempt *attempt, ErrorData *error)
{
	StewardReading *reading = &attempt->statement->reading;

	switch (error->sqlerrcode)
	{
		case ERRCODE_SYNTAX_ERROR:
			if (!reading->repaired)
				return reading->repaired = true;
			if (attempt->statement->toplevel || reading->mode == MODE_ASSIGNMENT)
				return false;
			reading->mode++;
			return true;
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_INVALID_SCHEMA_NAME:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_UNDEFINED_COLUMN:
			return next_search_path(attempt, error);
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_AMBIGUOUS_FUNCTION:
		case ERRCODE_INDETERMINATE_DATATYPE:
		case ERRCODE_AMBIGUOUS_PARAMETER:
		case ERRCODE_DATATYPE_MISMATCH:
		case ERRCODE_CANNOT_COERCE:
		case ERRCODE_WRONG_OBJECT_TYPE:
			return preset_types(attempt, error) ||
				(error->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION &&
				 next_search_path(attempt, error));
		default:
			return false;
	}
}

/*
 * One attempt: read the statement and, if that works, let "visit" see it.
 * Returns NULL, or the error, allocated in the current memory context.
 */
static ErrorData *
try_visit(StewardAttempt *attempt, StewardVisit visit, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		List	   *queries;

		enter_statement(attempt->workload, attempt->statement);
		steward_constants_preset_types(attempt->workload, attempt->statement);
		queries = steward_statement_read(attempt);
		if (queries != NIL && visit)
			visit(attempt->statement, queries, arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error && steward_is_interruption(error->sqlerrcode))
		ReThrowError(error);
	return error;
}

/*
 * Visit a statement: true if "visit" saw it to the end.  If it cannot be
 * planned, statement->skipped tells why afterwards, and further visits do
 * nothing; errors of "visit" count as such.  visit may be NULL.
 */
bool
steward_statement_visit(StewardWorkload *workload, StewardStatement *statement,
						StewardVisit visit, void *arg)
{
	MemoryContext context;
	MemoryContext old;
	ErrorData  *error = NULL;

	if (statement->skipped || statement->irrelevant)
		return false;
	context = AllocSetContextCreate(CurrentMemoryContext,
									"pg_steward statement",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	for (int i = 0; i < MAX_ATTEMPTS; i++)
	{
		StewardAttempt    *attempt = palloc0(sizeof(StewardAttempt));

		CHECK_FOR_INTERRUPTS();
		attempt->workload = workload;
		attempt->statement = statement;
		error = try_visit(attempt, visit, arg);
		if (error && attempt->analyzed && statement->constants)
			statement->constants = NULL;	/* perhaps it is these */
		else if (error == NULL || attempt->analyzed ||
				 !try_otherwise(attempt, error))
			break;
	}
	if (error)
		statement->sqlerrcode = error->sqlerrcode;
	if (error && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
	{
		workload->nlocked++;
		statement->skipped = "one of its tables is locked";
	}
	else if (error && error->sqlerrcode == ERRCODE_SYNTAX_ERROR &&
			 statement->queryid != 0 &&
			 steward_text_is_command(statement->text, statement->toplevel))
		statement->irrelevant = true;
	else if (error)
		statement->skipped = MemoryContextStrdup(workload->context,
												 error->message);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return statement->skipped == NULL && !statement->irrelevant;
}
