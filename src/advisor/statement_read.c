/*-------------------------------------------------------------------------
 *
 * statement_read.c
 *	  One attempt to read the text of a statement.
 *
 * The text is parsed, analyzed and rewritten as its StewardReading says.  Types
 * of parameters are inferred, as when a client prepares a statement without
 * naming them.  Errors are raised; statement_query.c decides what to try next.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_param.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "advisor/statement_read.h"
#include "advisor/statement_text.h"
#include "advisor/user_code.h"
#include "base/compat.h"

/* Variables of functions in one statement, at most. */
#define MAX_VARIABLES 100

/*
 * The statement that a PREPARE names, any other one as it is: executions of a
 * prepared statement count for the text of its PREPARE.  Types of parameters
 * that it declares are kept in the attempt.
 */
static RawStmt *
strip_prepare(StewardAttempt *attempt, RawStmt *tree)
{
	RawStmt    *inner;

	if (!IsA(tree->stmt, PrepareStmt))
		return tree;
	attempt->declared = ((PrepareStmt *) tree->stmt)->argtypes;
	inner = makeNode(RawStmt);
	inner->stmt = ((PrepareStmt *) tree->stmt)->query;
	return inner;
}

/*
 * Parse a text in the form that the statement's reading says.
 */
static RawStmt *
parse_text(StewardAttempt *attempt)
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
	attempt->declared = NIL;
	if (list_length(trees) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the text has %d statements, not one", list_length(trees))));
	attempt->next_param = attempt->first_variable =
		steward_text_max_param(text) + 1;
	return strip_prepare(attempt, linitial_node(RawStmt, trees));
}

/* Parameters: the server's hook, with its own state. */
static Node *
refer_to_param(ParseState *pstate, ParamRef *ref)
{
	StewardAttempt    *attempt = pstate->p_ref_hook_state;
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
	StewardAttempt    *attempt = pstate->p_ref_hook_state;
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
	StewardAttempt    *attempt = pstate->p_ref_hook_state;
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
 * Start with the types of parameters that are known: those that another
 * attempt brought up, or else those that a PREPARE declares.
 */
static void
set_known_types(StewardAttempt *attempt, ParseState *pstate)
{
	StewardReading *reading = &attempt->statement->reading;
	ListCell   *lc;

	attempt->ntypes = Max(reading->npresets, list_length(attempt->declared));
	if (attempt->ntypes == 0)
		return;
	attempt->types = palloc0(attempt->ntypes * sizeof(Oid));
	foreach(lc, attempt->declared)
		attempt->types[foreach_current_index(lc)] =
			typenameTypeId(pstate, lfirst_node(TypeName, lc));
	for (int i = 0; i < reading->npresets; i++)
	{
		if (OidIsValid(reading->presets[i]))
			attempt->types[i] = reading->presets[i];
	}
}

/*
 * substring(x, $1, $2) and substring(x from $1 for $2) could be about a pattern
 * and its escape character, which the analyzer prefers.  Nearly always it is
 * about positions.
 */
static bool
preset_positions(Node *node, StewardAttempt *attempt)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) && list_length(((FuncCall *) node)->args) == 3 &&
		strcmp(strVal(llast(((FuncCall *) node)->funcname)), "substring") == 0)
	{
		Node	   *start = lsecond(((FuncCall *) node)->args);
		Node	   *length = lthird(((FuncCall *) node)->args);

		if (IsA(start, ParamRef) && IsA(length, ParamRef))
		{
			steward_reading_preset(attempt->workload, &attempt->statement->reading,
								   ((ParamRef *) start)->number, INT4OID);
			steward_reading_preset(attempt->workload, &attempt->statement->reading,
								   ((ParamRef *) length)->number, INT4OID);
		}
	}
	return raw_expression_tree_walker(node, preset_positions, attempt);
}

/*
 * Analyze a parsed text.  Types of parameters are inferred, as when a client
 * prepares a statement without naming them, but for those given already.
 */
static Query *
analyze(StewardAttempt *attempt, RawStmt *tree)
{
	ParseState *pstate = make_parsestate(NULL);
	Query	   *query;

	pstate->p_sourcetext = attempt->text;
	if (IsA(tree->stmt, SelectStmt) || IsA(tree->stmt, UpdateStmt) ||
		IsA(tree->stmt, DeleteStmt))
		(void) preset_positions(tree->stmt, attempt);
	set_known_types(attempt, pstate);
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
unwrap_utility(StewardAttempt *attempt, Query *query)
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

/*
 * May the caller act as the role that executes a statement?
 */
bool
steward_may_become_role(StewardWorkload *workload, StewardStatement *statement)
{
	return SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(statement->userid)) &&
		has_privs_of_role(workload->caller, statement->userid);
}

/*
 * The statement as a list of queries for the planner; NIL if there is nothing
 * to advise on.
 */
List *
steward_statement_read(StewardAttempt *attempt)
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
		if (!steward_may_become_role(attempt->workload, statement) &&
			steward_calls_foreign_code(one, attempt->workload->caller))
		{
			statement->skipped = "calls a function of another role: needs membership in the role that executes it";
			return NIL;
		}
		(void) collect_tables((Node *) one, &tables);
		result = lappend(result, attempt->workload->own ? one :
						 steward_replace_user_code(one, &attempt->next_param));
	}
	if (statement->tables == NIL)
	{
		MemoryContext old = MemoryContextSwitchTo(attempt->workload->context);

		statement->tables = list_copy(tables);
		MemoryContextSwitchTo(old);
	}
	return check_rights(attempt->workload, statement, tables) ? result : NIL;
}
