/*-------------------------------------------------------------------------
 *
 * policy_change.c
 *	  Changes of policies that the background worker must learn of, and of
 *	  views that policies must follow.
 *
 * Triggers of steward.matview_policy call us, so that it does not matter who
 * changes it: our functions, a restored dump, a superuser by hand.  The worker
 * is told when the transaction commits.  One that is prepared keeps its lock on
 * the table; whoever sees that, about to execute COMMIT PREPARED, tells the
 * worker afterwards (ddl_hooks.c).  That may be one time too many.
 *
 * With the library preloaded, a hook follows views: when one is dropped, its
 * policy goes in the same transaction; when one is renamed or created, the
 * worker is told, as it keeps the names and finds views that a dump restored
 * behind their policies.  The hook never waits: if the policy is locked, its
 * row stays and is removed when policies are loaded next.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/shmem.h"
#include "refresh/policy.h"
#include "refresh/policy_table.h"
#include "refresh/refresh_registry.h"

PG_FUNCTION_INFO_V1(pg_steward_find_policy_view);
PG_FUNCTION_INFO_V1(pg_steward_policy_changed);

/* Of this backend. */
static struct
{
	bool		registered;		/* our transaction callback is */
	bool		changed;		/* in this transaction */
}			policy_change;

static object_access_hook_type prev_object_access_hook = NULL;

/*
 * At the end of a transaction.  No error may be raised here.
 */
static void
tell_worker(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (policy_change.changed)
				steward_registry_flag(MyDatabaseId);
			policy_change.changed = false;
			break;
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			policy_change.changed = false;
			break;
		default:
			break;
	}
}

/*
 * Policies of this database change with this transaction: tell the worker when
 * it commits.
 */
void
steward_policy_changed(void)
{
	if (!steward_is_preloaded())
		return;
	if (!policy_change.registered)
	{
		RegisterXactCallback(tell_worker, NULL);
		policy_change.registered = true;
	}
	policy_change.changed = true;
}

/*
 * Does any other transaction, also a prepared one, hold the lock of who changes
 * policies of this database?  Waits for nobody.
 */
bool
steward_policy_is_changing(void)
{
	Oid			table;
	Oid			owner;
	LOCKTAG		tag;
	int			count = 0;

	if (!steward_is_preloaded() ||
		!steward_policy_table_exists(&table, &owner))
		return false;
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, table);
	(void) GetLockConflicts(&tag, ShareLock, &count);
	return count > 0;
}

/*
 * policy_changed(): trigger behind each statement that changes policies.
 */
Datum
pg_steward_policy_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a trigger",
						"policy_changed")));
	steward_policy_changed();
	PG_RETURN_POINTER(NULL);
}

/* The materialized view of this qualified name, or InvalidOid. */
static Oid
find_view(text *name)
{
	List	   *names = textToQualifiedNameList(name);
	Oid			view = RangeVarGetRelid(makeRangeVarFromNameList(names),
										NoLock, true);

	if (OidIsValid(view) && get_rel_relkind(view) != RELKIND_MATVIEW)
		return InvalidOid;
	return view;
}

/*
 * find_policy_view(): trigger before each new row; a number from another
 * database means nothing here.
 */
Datum
pg_steward_find_policy_view(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	int			columns[1];
	Datum		values[1];
	bool		nulls[1];
	int			name_column;
	Datum		name;
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BY_INSERT(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a trigger",
						"find_policy_view")));
	desc = RelationGetDescr(data->tg_relation);
	columns[0] = SPI_fnumber(desc, "matview");
	name_column = SPI_fnumber(desc, "matview_name");
	if (columns[0] <= 0 || name_column <= 0)
		elog(ERROR, "table \"%s\" has no column of a view",
			 RelationGetRelationName(data->tg_relation));
	name = heap_getattr(data->tg_trigtuple, name_column, desc, &isnull);
	if (isnull)
		PG_RETURN_POINTER(data->tg_trigtuple);	/* a constraint says so */
	values[0] = ObjectIdGetDatum(find_view(DatumGetTextPP(name)));
	nulls[0] = !OidIsValid(DatumGetObjectId(values[0]));
	PG_RETURN_POINTER(heap_modify_tuple_by_cols(data->tg_trigtuple, desc, 1,
												columns, values, nulls));
}

/*
 * Delete the policy of a view that is being dropped, unless somebody has it
 * locked.  By a snapshot of now, as that of a transaction in REPEATABLE READ
 * would make of an older row an error.
 */
static void
delete_policy(Oid view)
{
	StewardTableScope scope;
	Oid			table;
	Oid			owner;
	Oid			types[1] = {OIDOID};
	Datum		values[1];
	SPIPlanPtr	plan;

	if (!steward_policy_table_exists(&table, &owner))
		return;
	/* what stays behind locks is removed when policies are loaded */
	steward_policy_changed();
	if (!ConditionalLockRelationOid(table, RowExclusiveLock))
		return;
	if (!steward_policy_table_begin(&scope))
		return;					/* dropped before we had the lock */
	values[0] = ObjectIdGetDatum(view);
	plan = SPI_prepare("DELETE FROM steward.matview_policy"
					   " WHERE ctid = ANY (ARRAY(SELECT ctid FROM steward.matview_policy"
					   "                          WHERE matview = $1 FOR UPDATE SKIP LOCKED))",
					   1, types);
	if (plan == NULL ||
		SPI_execute_snapshot(plan, values, NULL, GetLatestSnapshot(),
							 InvalidSnapshot, false, true, 0) < 0)
		elog(ERROR, "statement of pg_steward failed: %s",
			 SPI_result_code_string(SPI_result));
	steward_policy_table_end(&scope);
}

/* Is a relation that is just being created a materialized view? */
static bool
creates_matview(Oid relation)
{
	Relation	catalog = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key[1];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	/* the row is too young to be found in the cache */
	ScanKeyInit(&key[0], Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relation));
	scan = systable_beginscan(catalog, ClassOidIndexId, true, SnapshotSelf, 1,
							  key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple) &&
		((Form_pg_class) GETSTRUCT(tuple))->relkind == RELKIND_MATVIEW;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/* Does this database have policies, as far as can be seen without looking? */
static bool
has_policies(void)
{
	Oid			table;
	Oid			owner;

	return steward_policy_table_exists(&table, &owner);
}

/*
 * Something happens to an object.
 */
static void
follow_view(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id,
			void *arg)
{
	if (prev_object_access_hook)
		(*prev_object_access_hook) (access, class_id, object_id, sub_id, arg);

	if (sub_id != 0 || !IsUnderPostmaster || !IsTransactionState())
		return;
	if (class_id == RelationRelationId)
	{
		if (access == OAT_DROP)
		{
			if (get_rel_relkind(object_id) == RELKIND_MATVIEW)
				delete_policy(object_id);
		}
		else if (access == OAT_POST_ALTER)
		{
			if (get_rel_relkind(object_id) == RELKIND_MATVIEW && has_policies())
				steward_policy_changed();
		}
		else if (access == OAT_POST_CREATE)
		{
			if (creates_matview(object_id) && has_policies())
				steward_policy_changed();
		}
	}
	else if (class_id == NamespaceRelationId && access == OAT_POST_ALTER)
	{
		if (has_policies())
			steward_policy_changed();
	}
}

/*
 * Install the hook; called when the library is preloaded or loaded.
 */
void
steward_policy_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	prev_object_access_hook = object_access_hook;
	object_access_hook = follow_view;
}
