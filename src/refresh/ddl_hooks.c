/*-------------------------------------------------------------------------
 *
 * ddl_hooks.c
 *	  Keeps refresh workers out of the way of commands on whole databases.
 *
 * DROP DATABASE, ALTER DATABASE ... RENAME and SET TABLESPACE, and CREATE
 * DATABASE for its template, want to be alone in a database.  From then on
 * until its transaction ends, as long as it keeps the database locked, a hold
 * keeps our workers out (refresh_holds.c).  For DROP this is done in the object
 * access hook, which runs after the server has checked the right to drop; for
 * the others the right is checked here, so that nobody can stop workers with a
 * command that is going to fail.
 *
 * Creating, updating and dropping the extension makes the launcher look at the
 * database when that is committed; a worker in it ends when it is dropped.  So
 * does COMMIT PREPARED while some transaction is about to change policies.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "refresh/ddl_hooks.h"
#include "refresh/policy.h"
#include "refresh/refresh_registry.h"
#include "refresh/refresh_shared.h"

/* All process-local state of this file. */
static struct
{
	ProcessUtility_hook_type prev_utility;
	object_access_hook_type prev_access;
	int			running;		/* commands of ours that are being executed */
	/* by this transaction */
	bool		list_changed;	/* databases were created, renamed, moved */
	bool		dropped;		/* the extension, in this database */
}			hooks;

/* Is this COMMIT PREPARED? */
static bool
commits_prepared(Node *command)
{
	return IsA(command, TransactionStmt) &&
		((TransactionStmt *) command)->kind == TRANS_STMT_COMMIT_PREPARED;
}

/* May the current user create databases? */
static bool
may_create_databases(void)
{
	HeapTuple	tuple;
	bool		result = superuser();

	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		result |= ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * Hold the database of this name, if it exists and the current user may do
 * with it what is about to happen: with his own ones anything, others he may
 * copy if they are templates.
 */
static void
hold_database(const char *name, bool as_template)
{
	Oid			database = name == NULL ? InvalidOid :
		get_database_oid(name, true);
	HeapTuple	tuple;
	bool		is_template = false;

	if (!OidIsValid(database))
		return;
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	if (!HeapTupleIsValid(tuple))
		return;
	is_template = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	ReleaseSysCache(tuple);

	if (as_template && !may_create_databases())
		return;
	if (!(as_template && is_template) &&
		!STEWARD_OWNS_DATABASE(database, GetUserId()))
		return;
	steward_registry_hold(database);
}

/* The string value of an option, NULL if it is not given. */
static char *
option_value(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

/* Is this command one for which something is to be done? */
static bool
concerns_us(Node *command)
{
	switch (nodeTag(command))
	{
		case T_DropdbStmt:
		case T_CreatedbStmt:
		case T_AlterDatabaseStmt:
			return true;
		case T_RenameStmt:
			return ((RenameStmt *) command)->renameType == OBJECT_DATABASE;
		default:
			return false;
	}
}

/* Do what such a command needs before it runs. */
static void
prepare_command(Node *command)
{
	hooks.list_changed = true;
	if (IsA(command, RenameStmt))
		hold_database(((RenameStmt *) command)->subname, false);
	else if (IsA(command, AlterDatabaseStmt))
	{
		AlterDatabaseStmt *alter = (AlterDatabaseStmt *) command;

		if (option_value(alter->options, "tablespace") != NULL)
			hold_database(alter->dbname, false);
	}
	else if (IsA(command, CreatedbStmt))
		hold_database(option_value(((CreatedbStmt *) command)->options,
								   "template"), true);
	/* for DROP DATABASE see access_object() */
}

/* The hook for commands. */
static void
process_command(PlannedStmt *pstmt, const char *queryString,
				bool readOnlyTree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	if (!concerns_us(pstmt->utilityStmt))
	{
		bool		changes_policies = commits_prepared(pstmt->utilityStmt) &&
			steward_policy_is_changing();

		hooks.prev_utility(pstmt, queryString, readOnlyTree, context, params,
						   queryEnv, dest, qc);
		if (changes_policies)
			steward_registry_flag(MyDatabaseId);
		return;
	}
	hooks.running++;
	PG_TRY();
	{
		prepare_command(pstmt->utilityStmt);
		hooks.prev_utility(pstmt, queryString, readOnlyTree, context, params,
						   queryEnv, dest, qc);
	}
	PG_FINALLY();
	{
		hooks.running--;
	}
	PG_END_TRY();
}

/* The hook for objects, after rights have been checked. */
static void
access_object(ObjectAccessType access, Oid classId, Oid objectId, int subId,
			  void *arg)
{
	if (hooks.prev_access)
		hooks.prev_access(access, classId, objectId, subId, arg);

	if (classId == DatabaseRelationId && access == OAT_DROP)
		steward_registry_hold(objectId);
	else if (classId == ExtensionRelationId &&
			 (access == OAT_DROP || access == OAT_POST_CREATE ||
			  access == OAT_POST_ALTER) &&
			 objectId == get_extension_oid("pg_steward", true))
	{
		steward_policy_changed();
		hooks.dropped = access == OAT_DROP;
	}
}

/*
 * What is to be done when the locks are about to be released, and what is to be
 * told only when it is committed.  SET TABLESPACE commits while it is running,
 * and goes on.
 */
static void
end_transaction(XactEvent event, void *arg)
{
	if (hooks.running > 0)
		return;
	if (hooks.list_changed &&
		(event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		 event == XACT_EVENT_PREPARE))
		steward_registry_release();
	if (event == XACT_EVENT_COMMIT)
	{
		if (hooks.list_changed)
			steward_registry_flag_list();
		if (hooks.dropped)
			steward_registry_end_workers(MyDatabaseId);
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		hooks.list_changed = hooks.dropped = false;
}

/* Install the hooks, while the library is being preloaded. */
void
steward_ddl_hooks_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	hooks.prev_utility = ProcessUtility_hook ? ProcessUtility_hook :
		standard_ProcessUtility;
	ProcessUtility_hook = process_command;
	hooks.prev_access = object_access_hook;
	object_access_hook = access_object;
	RegisterXactCallback(end_transaction, NULL);
}
