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

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parse_param.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/query.h"
#include "advisor/statement_text.h"
#include "advisor/workload.h"

/* Attempts to read a text, at most. */
#define MAX_ATTEMPTS 16

/* Statements that may wait pg_steward.lock_timeout for a lock; then none does. */
#define MAX_LOCK_WAITS 3

/* Variables of functions in one statement, at most. */
#define MAX_VARIABLES 100

/* Forms of a text: StewardReading.mode */
#define MODE_STATEMENT 0
#define MODE_EXPRESSION 1
#define MODE_ASSIGNMENT 2

/* Search paths: StewardReading.path */
#define PATH_CALLER 0
#define PATH_ROLE 1
#define PATH_FOUND 2

/* Types to try for a parameter, in this order. */
static const Oid type_order[] = {TEXTOID, INT4OID, NUMERICOID, TIMESTAMPTZOID,
INTERVALOID};

/* State of one attempt. */
typedef struct Attempt
{
	StewardWorkload *workload;
	StewardStatement *statement;
	const char *text;			/* as parsed */
	Oid		   *types;			/* of parameters, as far as inferred */
	int			ntypes;
	int			next_param;		/* numbers for parameters of our own */

	/* the server's hooks for parameters, around which ours are put */
	void	   *param_state;
	ParseParamRefHook param_hook;
	CoerceParamHook coerce_hook;
	List	   *variables;		/* names of variables; as String nodes */
	int			first_variable; /* number of the first one's parameter */

	volatile bool analyzed;		/* beyond what another attempt could mend */
} Attempt;

/*
 * Parse a text in the form that the statement's reading says.
 */
static RawStmt *
parse_text(Attempt *attempt)
{
	StewardReading *reading = &attempt->statement->reading;
	const char *text = attempt->statement->text;
	List	   *trees;

	if (reading->mode == MODE_ASSIGNMENT)
	{
		text = steward_text_assigned_value(text);
		if (text == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("the text is no statement")));
	}
	if (reading->repaired)
		text = steward_text_repair(text);
	attempt->text = text;
	trees = raw_parser(text, reading->mode == MODE_STATEMENT ?
					   RAW_PARSE_DEFAULT : RAW_PARSE_PLPGSQL_EXPR);
	if (list_length(trees) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the text has %d statements, not one", list_length(trees))));
	attempt->next_param = attempt->first_variable =
		steward_text_max_param(text) + 1;
	return linitial_node(RawStmt, trees);
}

/* Parameters: the server's hook, with its own state. */
static Node *
refer_to_param(ParseState *pstate, ParamRef *ref)
{
	Attempt    *attempt = pstate->p_ref_hook_state;
	Node	   *result;

	pstate->p_ref_hook_state = attempt->param_state;
	result = attempt->param_hook(pstate, ref);
	pstate->p_ref_hook_state = attempt;
	return result;
}

/* Conversion of parameters, likewise. */
static Node *
coerce_param(ParseState *pstate, Param *param, Oid type, int32 typmod,
			 int location)
{
	Attempt    *attempt = pstate->p_ref_hook_state;
	Node	   *result;

	pstate->p_ref_hook_state = attempt->param_state;
	result = attempt->coerce_hook(pstate, param, type, typmod, location);
	pstate->p_ref_hook_state = attempt;
	return result;
}

/*
 * A name that is no column: a variable of the function that has the statement.
 * A qualified name is one of its arguments or a field of a record; each name
 * is one parameter.
 */
static Node *
refer_to_variable(ParseState *pstate, ColumnRef *column, Node *found)
{
	Attempt    *attempt = pstate->p_ref_hook_state;
	ParamRef   *ref;
	char	   *name;
	int			number = 0;
	ListCell   *lc;

	if (found != NULL || !IsA(llast(column->fields), String) ||
		list_length(attempt->variables) >= MAX_VARIABLES)
		return NULL;
	name = NameListToString(column->fields);
	foreach(lc, attempt->variables)
	{
		if (strcmp(lfirst(lc), name) == 0)
			break;
		number++;
	}
	if (lc == NULL)
	{
		attempt->variables = lappend(attempt->variables, name);
		attempt->next_param++;
	}
	ref = makeNode(ParamRef);
	ref->number = attempt->first_variable + number;
	ref->location = column->location;
	return refer_to_param(pstate, ref);
}

/*
 * Analyze a parsed text.  Types of parameters are inferred, as when a client
 * prepares a statement without naming them, but for those given already.
 */
static Query *
analyze(Attempt *attempt, RawStmt *tree)
{
	StewardReading *reading = &attempt->statement->reading;
	ParseState *pstate = make_parsestate(NULL);
	Query	   *query;

	pstate->p_sourcetext = attempt->text;
	attempt->ntypes = reading->npresets;
	if (reading->npresets > 0)
	{
		attempt->types = palloc(reading->npresets * sizeof(Oid));
		memcpy(attempt->types, reading->presets, reading->npresets * sizeof(Oid));
	}
	setup_parse_variable_parameters(pstate, &attempt->types, &attempt->ntypes);
	if (!attempt->statement->toplevel)
	{
		attempt->param_state = pstate->p_ref_hook_state;
		attempt->param_hook = pstate->p_paramref_hook;
		attempt->coerce_hook = pstate->p_coerce_param_hook;
		pstate->p_ref_hook_state = attempt;
		pstate->p_paramref_hook = refer_to_param;
		pstate->p_coerce_param_hook = coerce_param;
		pstate->p_post_columnref_hook = refer_to_variable;
	}
	query = transformTopLevelStmt(pstate, tree);
	if (!attempt->statement->toplevel)
		pstate->p_ref_hook_state = attempt->param_state;
	check_variable_parameters(pstate, query);
	free_parsestate(pstate);
	return query;
}

/*
 * The query inside a utility statement whose time is that of the query, or
 * NULL.  Loading by COPY counts as insertion.
 */
static Query *
unwrap_utility(Attempt *attempt, Query *query)
{
	Node	   *utility = query->utilityStmt;
	Node	   *inner = NULL;

	if (IsA(utility, DeclareCursorStmt))
		inner = ((DeclareCursorStmt *) utility)->query;
	else if (IsA(utility, CreateTableAsStmt))
		inner = ((CreateTableAsStmt *) utility)->query;
	else if (IsA(utility, CopyStmt))
	{
		CopyStmt   *copy = (CopyStmt *) utility;

		if (copy->query)
		{
			RawStmt    *tree = makeNode(RawStmt);

			tree->stmt = copy->query;
			inner = (Node *) analyze(attempt, tree);
		}
		else if (copy->is_from && copy->relation)
		{
			attempt->statement->command = CMD_INSERT;
			attempt->statement->target = RangeVarGetRelid(copy->relation,
														  NoLock, true);
		}
	}
	if (inner == NULL || !IsA(inner, Query) ||
		((Query *) inner)->commandType == CMD_UTILITY)
		return NULL;
	return (Query *) inner;
}

/*
 * Note what a statement writes: columns that an UPDATE changes decide whether
 * it can leave indexes alone.
 */
static void
note_written(StewardWorkload *workload, StewardStatement *statement,
			 Query *query)
{
	List	   *changed = query->commandType == CMD_UPDATE ? query->targetList : NIL;
	MemoryContext old;
	ListCell   *lc;

	if (query->commandType == CMD_SELECT || query->resultRelation <= 0)
		return;
	statement->command = query->commandType;
	statement->target = rt_fetch(query->resultRelation, query->rtable)->relid;
	if (query->onConflict)
		changed = query->onConflict->onConflictSet;
	if (statement->updated != NULL)
		return;

	old = MemoryContextSwitchTo(workload->context);
	foreach(lc, changed)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);

		if (!entry->resjunk && entry->resno > 0)
			statement->updated = bms_add_member(statement->updated, entry->resno);
	}
	MemoryContextSwitchTo(old);
}

/*
 * Tables that a statement reads or writes, its subqueries and views included.
 */
static bool
collect_tables(Node *node, List **tables)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *entry = (RangeTblEntry *) node;

		if (entry->rtekind == RTE_RELATION && entry->relkind != RELKIND_VIEW)
			*tables = list_append_unique_oid(*tables, entry->relid);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, collect_tables, tables,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, collect_tables, tables);
}

/*
 * May the caller have advice on these tables?  Plans reveal what statistics
 * say about the rows.
 */
static bool
check_rights(StewardWorkload *workload, StewardStatement *statement,
			 List *tables)
{
	ListCell   *lc;
	bool		relevant = false;

	foreach(lc, tables)
	{
		Oid			table = lfirst_oid(lc);

		if (table < FirstNormalObjectId)
			continue;
		relevant = true;
		if (!workload->reads_all &&
			!object_ownercheck(RelationRelationId, table, workload->caller))
		{
			statement->skipped =
				MemoryContextStrdup(workload->context,
									psprintf("needs pg_read_all_data, or ownership of table \"%s\"",
											 get_rel_name(table)));
			return false;
		}
	}
	statement->irrelevant = !relevant && !workload->own;
	return relevant || workload->own;
}

/* Could the planner run code of a user to find the value of this? */
static bool
calls_user_code(Oid function)
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
		form->prolang != ClanguageId &&
		form->provolatile != PROVOLATILE_VOLATILE && !form->proretset;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Does the caller trust a function to be called with his rights?  Those of
 * superusers and his own, and what only superusers can create.
 */
static bool
is_foreign_code(Oid function, void *caller)
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
		form->prolang != ClanguageId &&
		form->proowner != *(Oid *) caller && !superuser_arg(form->proowner);
	ReleaseSysCache(tuple);
	return result;
}

/* Does a statement call functions that the caller need not trust? */
static bool
calls_foreign_code(Node *node, Oid *caller)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_foreign_code, caller))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, calls_foreign_code, caller, 0);
	return expression_tree_walker(node, calls_foreign_code, caller);
}

/* May the caller act as the role that executes a statement? */
static bool
may_become_role(StewardWorkload *workload, StewardStatement *statement)
{
	return SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(statement->userid)) &&
		has_privs_of_role(workload->caller, statement->userid);
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
replace_user_code(Node *node, Attempt *attempt)
{
	Oid			function = InvalidOid;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
		return (Node *) query_tree_mutator((Query *) node, replace_user_code,
										   attempt, 0);
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
		param->paramid = attempt->next_param++;
		param->paramtype = exprType(node);
		param->paramtypmod = exprTypmod(node);
		param->paramcollid = exprCollation(node);
		param->location = -1;
		return (Node *) param;
	}
	return expression_tree_mutator(node, replace_user_code, attempt);
}

/*
 * The statement as a list of queries for the planner; NIL if there is nothing
 * to advise on.
 */
static List *
read_statement(Attempt *attempt)
{
	StewardStatement *statement = attempt->statement;
	Query	   *query = analyze(attempt, parse_text(attempt));
	List	   *rewritten;
	List	   *tables = NIL;
	List	   *result = NIL;
	ListCell   *lc;

	if (query->commandType == CMD_UTILITY)
	{
		query = unwrap_utility(attempt, query);
		if (query == NULL)
		{
			statement->irrelevant = true;
			return NIL;
		}
	}
	attempt->analyzed = true;
	note_written(attempt->workload, statement, query);
	rewritten = pg_rewrite_query(query);
	foreach(lc, rewritten)
	{
		Query	   *one = lfirst_node(Query, lc);

		if (one->commandType == CMD_UTILITY)
			continue;
		if (!may_become_role(attempt->workload, statement) &&
			calls_foreign_code((Node *) one, &attempt->workload->caller))
		{
			statement->skipped = "calls a function of another role: needs membership in the role that executes it";
			return NIL;
		}
		(void) collect_tables((Node *) one, &tables);
		result = lappend(result, attempt->workload->own ? (Node *) one :
						 replace_user_code((Node *) one, attempt));
	}
	return check_rights(attempt->workload, statement, tables) ? result : NIL;
}

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
	if (may_become_role(workload, statement))
		user = statement->userid;
	SetUserIdAndSecContext(user, security | SECURITY_RESTRICTED_OPERATION);
}

/* Errors that are no statement's fault, and must reach the caller. */
static bool
is_interruption(int sqlerrcode)
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
error_offset(Attempt *attempt, ErrorData *error)
{
	int			position = error->cursorpos > 0 ? error->cursorpos :
		error->internalpos;

	if (position <= 0 || attempt->text == NULL)
		return -1;
	return pg_mbcharcliplen(attempt->text, strlen(attempt->text), position - 1);
}

/*
 * Give types to parameters after an error: those that have none left in the
 * whole statement, or those at the place of the error their next one.  False
 * if there is nothing to try.
 */
static bool
preset_types(Attempt *attempt, ErrorData *error)
{
	StewardReading *reading = &attempt->statement->reading;
	Bitmapset  *params = NULL;
	MemoryContext old;
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
	if (needed == 0 || needed > PG_INT16_MAX)
		return false;

	old = MemoryContextSwitchTo(attempt->workload->context);
	if (needed > reading->npresets)
	{
		Oid		   *presets = palloc0(needed * sizeof(Oid));

		if (reading->npresets > 0)
			memcpy(presets, reading->presets, reading->npresets * sizeof(Oid));
		reading->presets = presets;
		reading->npresets = needed;
	}
	MemoryContextSwitchTo(old);
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
	return changed;
}

/*
 * The search path to try next, when a name was not found: that of the role,
 * then the only schema that has a table of the name.
 */
static bool
next_search_path(Attempt *attempt, ErrorData *error)
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
try_otherwise(Attempt *attempt, ErrorData *error)
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
try_visit(Attempt *attempt, StewardVisit visit, void *arg)
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
		queries = read_statement(attempt);
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
	if (error && is_interruption(error->sqlerrcode))
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
		Attempt    *attempt = palloc0(sizeof(Attempt));

		CHECK_FOR_INTERRUPTS();
		attempt->workload = workload;
		attempt->statement = statement;
		error = try_visit(attempt, visit, arg);
		if (error == NULL || attempt->analyzed || !try_otherwise(attempt, error))
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
			 statement->queryid != 0 && steward_text_is_command(statement->text))
		statement->irrelevant = true;
	else if (error)
		statement->skipped = MemoryContextStrdup(workload->context,
												 error->message);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return statement->skipped == NULL && !statement->irrelevant;
}
