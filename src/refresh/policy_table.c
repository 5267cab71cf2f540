/*-------------------------------------------------------------------------
 *
 * policy_table.c
 *	  Access to the tables in which policies and their state are kept.
 *
 * Users have no privileges on these tables: messages of failed refreshes can
 * contain data, and a policy is to be changed only by who may refresh its
 * view.  The functions in C that users call check that, and then do as little
 * as possible here, as the owner of the table and in a security-restricted
 * operation, with a fixed search path.  None of our functions is SECURITY
 * DEFINER, and no text of a user becomes part of a statement.
 *
 * An error ends a section by itself, as the abort of the (sub)transaction
 * restores user, settings and snapshots, and closes SPI.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "refresh/policy_table.h"

/* Arguments of a statement, at most. */
#define MAX_ARGS 24

/*
 * The table of policies and its owner; false if this database does not have
 * the extension.  A table of that name which does not belong to the extension
 * is not ours.  Needs a transaction.
 */
bool
steward_policy_table_exists(Oid *table, Oid *owner)
{
	Oid			schema = get_namespace_oid("steward", true);
	Oid			extension;
	HeapTuple	tuple;

	if (!OidIsValid(schema))
		return false;
	*table = get_relname_relid("matview_policy", schema);
	if (!OidIsValid(*table))
		return false;
	extension = get_extension_oid("pg_steward", true);
	if (!OidIsValid(extension) ||
		getExtensionOfObject(RelationRelationId, *table) != extension)
		return false;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(*table));
	if (!HeapTupleIsValid(tuple))
		return false;
	*owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return true;
}

/*
 * Open a section; false, with nothing opened, if this database does not have
 * the extension.
 */
bool
steward_policy_table_begin(StewardTableScope *scope)
{
	Oid			table;
	Oid			owner;

	if (!steward_policy_table_exists(&table, &owner))
		return false;
	GetUserIdAndSecContext(&scope->user, &scope->security);
	SetUserIdAndSecContext(owner,
						   scope->security | SECURITY_RESTRICTED_OPERATION);
	steward_query_begin(&scope->query);
	scope->snapshot = !ActiveSnapshotSet();
	if (scope->snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	return true;
}

/* Run a statement of ours; returns the rows that it found or changed. */
static uint64
run(const char *sql, int nargs, const StewardArg *args, bool read_only)
{
	Oid			types[MAX_ARGS] = {0};
	Datum		values[MAX_ARGS] = {0};
	char		nulls[MAX_ARGS] = {0};
	int			rc;

	if (nargs > MAX_ARGS)
		elog(ERROR, "too many arguments: %d", nargs);
	for (int i = 0; i < nargs; i++)
	{
		types[i] = args[i].type;
		values[i] = args[i].value;
		nulls[i] = args[i].isnull ? 'n' : ' ';
	}
	rc = SPI_execute_with_args(sql, nargs, types, values, nulls, read_only, 0);
	if (rc < 0)
		elog(ERROR, "statement of pg_steward failed: %s",
			 SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * Run a SELECT in an open section; rows are read with steward_query_value().
 * It sees what was committed before the section, on a standby, too.
 */
uint64
steward_policy_table_select(const char *sql, int nargs, const StewardArg *args)
{
	return run(sql, nargs, args, true);
}

/* Run a statement that changes rows, and returns their number. */
uint64
steward_policy_table_write(const char *sql, int nargs, const StewardArg *args)
{
	return run(sql, nargs, args, false);
}

/* Close the section. */
void
steward_policy_table_end(StewardTableScope *scope)
{
	if (scope->snapshot)
		PopActiveSnapshot();
	steward_query_end(&scope->query);
	SetUserIdAndSecContext(scope->user, scope->security);
}

/* Arguments of each type; text and moments can be null. */
static StewardArg
make_arg(Oid type, Datum value, bool isnull)
{
	StewardArg	arg = {.type = type, .value = value, .isnull = isnull};

	return arg;
}

StewardArg
steward_arg_oid(Oid value)
{
	return make_arg(OIDOID, ObjectIdGetDatum(value), false);
}

StewardArg
steward_arg_int64(int64 value)
{
	return make_arg(INT8OID, Int64GetDatum(value), false);
}

/* A count, null if it is -1: not known. */
StewardArg
steward_arg_count(int64 value)
{
	return make_arg(INT8OID, Int64GetDatum(value), value < 0);
}

StewardArg
steward_arg_float8(double value)
{
	return make_arg(FLOAT8OID, Float8GetDatum(value), false);
}

/* A text, null for NULL. */
StewardArg
steward_arg_text(const char *value)
{
	return make_arg(TEXTOID, value ? CStringGetTextDatum(value) : (Datum) 0,
					value == NULL);
}

/* A truth value. */
StewardArg
steward_arg_bool(bool value)
{
	return make_arg(BOOLOID, BoolGetDatum(value), false);
}

/* A moment, null for 0. */
StewardArg
steward_arg_time(TimestampTz value)
{
	return make_arg(TIMESTAMPTZOID, TimestampTzGetDatum(value), value == 0);
}
