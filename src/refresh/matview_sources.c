/*-------------------------------------------------------------------------
 *
 * matview_sources.c
 *	  What the content of a materialized view depends on.
 *
 * The query of the view is read from its rule, and those of the views that it
 * uses, as far as tables and other materialized views, with partitions and
 * children.  The same walk makes a signature of everything that can change the
 * result though no row changes: rules, columns, the files of tables (a rewrite
 * may change all rows), inheritance, owners, row security, functions.
 *
 * Catalogs are read with one snapshot taken here, not by caches: a cache may
 * lag behind what is committed, and who compares signatures must not miss
 * anything that is (freshness.c).  Rows of catalogs are taken into the
 * signature by place and transaction, (ctid, xmin): a changed row has another
 * place, even within one transaction.  No lock is taken on any relation, so
 * this waits for nobody; what is dropped meanwhile is an obstacle.
 *
 * What can only be followed on trust is an obstacle: foreign tables, system
 * catalogs, sequences, table access methods that keep rows elsewhere, row
 * security that applies to the reader, functions that depend on more than
 * their arguments (determinism.c).  The owner of a policy can vouch for the
 * last ones (assume_deterministic), because he may know better; not for
 * tables, which we would not see change.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "refresh/determinism.h"
#include "refresh/matview_sources.h"

/* How a relation is read: named by a query of a role, perhaps with ONLY. */
typedef struct Reading
{
	Oid			relation;
	Oid			reader;
	bool		children;
} Reading;

/* A walk through the closure of one view. */
typedef struct Walk
{
	StewardSources *sources;
	Snapshot	snapshot;
	bool		assume_deterministic;
	List	   *seen;			/* of Reading: what was walked through */
	List	   *functions;		/* user-defined functions that were read */
	Oid			owner;			/* whose rule is being read */
	Oid			relation;		/* its relation */
} Walk;

static void walk_relation(Walk *walk, Oid relation, bool children, Oid reader);

/* Take something into the signature. */
static void
sign(Walk *walk, const void *bytes, size_t length)
{
	walk->sources->signature =
		hash_bytes_extended((const unsigned char *) bytes, (int) length,
							walk->sources->signature);
}

static void
sign_number(Walk *walk, uint64 number)
{
	sign(walk, &number, sizeof(number));
}

/* Take a row of a catalog into the signature: by place and transaction. */
static void
sign_row(Walk *walk, HeapTuple row)
{
	sign_number(walk, row->t_tableOid);
	sign_number(walk, HeapTupleHeaderGetRawXmin(row->t_data));
	sign_number(walk, ItemPointerGetBlockNumber(&row->t_self));
	sign_number(walk, ItemPointerGetOffsetNumber(&row->t_self));
}

/* Note the first reason why changes cannot be followed. */
static void
set_obstacle(Walk *walk, char *reason)
{
	if (walk->sources->obstacle == NULL)
		walk->sources->obstacle = reason;
}

/* The same, for a reason that the user may overrule. */
static void
set_doubt(Walk *walk, char *reason)
{
	if (walk->assume_deterministic)
		walk->sources->assumed = true;
	else
		set_obstacle(walk, reason);
}

/* The name of a relation for messages, by catalog row. */
static char *
relation_name(Form_pg_class form)
{
	char	   *schema = get_namespace_name(form->relnamespace);

	return quote_qualified_identifier(schema, NameStr(form->relname));
}

/*
 * A copy of the one row that an index of a catalog finds by OID, or NULL.
 */
static HeapTuple
read_row(Walk *walk, Oid catalog, Oid index, AttrNumber column, Oid key)
{
	Relation	relation = table_open(catalog, AccessShareLock);
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&scankey, column, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(key));
	scan = systable_beginscan(relation, index, true, walk->snapshot, 1, &scankey);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
		row = heap_copytuple(row);
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return row;
}

/* Note that a view calls a function of users, and take it into the signature. */
static void
read_user_function(Walk *walk, Oid function, Form_pg_proc form, HeapTuple row)
{
	walk->sources->calls_user_functions = true;
	if (form->prolang != ClanguageId && form->prolang != INTERNALlanguageId)
		walk->sources->calls_user_code = true;
	sign_number(walk, function);
	sign_row(walk, row);
}

static void read_function(Walk *walk, Oid function, Node *call);
static bool walk_node(Node *node, Walk *walk);

/* The functions behind an aggregate of users. */
static void
read_aggregate(Walk *walk, Oid function, Node *call)
{
	HeapTuple	row = read_row(walk, AggregateRelationId, AggregateFnoidIndexId,
							   Anum_pg_aggregate_aggfnoid, function);
	Form_pg_aggregate form;
	Oid			parts[9];

	if (!HeapTupleIsValid(row))
		return;
	form = (Form_pg_aggregate) GETSTRUCT(row);
	sign_row(walk, row);
	parts[0] = form->aggtransfn;
	parts[1] = form->aggfinalfn;
	parts[2] = form->aggcombinefn;
	parts[3] = form->aggserialfn;
	parts[4] = form->aggdeserialfn;
	parts[5] = form->aggmtransfn;
	parts[6] = form->aggminvtransfn;
	parts[7] = form->aggmfinalfn;
	parts[8] = InvalidOid;
	for (int i = 0; OidIsValid(parts[0]) && i < lengthof(parts); i++)
	{
		if (OidIsValid(parts[i]))
			read_function(walk, parts[i], call);
	}
}

/*
 * Look at the expressions that stand for arguments of a function which a call
 * does not give: they are no part of the call, the planner adds them.
 */
static void
read_defaults(Walk *walk, HeapTuple row)
{
	Relation	functions = table_open(ProcedureRelationId, AccessShareLock);
	bool		isnull;
	Datum		defaults = heap_getattr(row, Anum_pg_proc_proargdefaults,
										RelationGetDescr(functions), &isnull);

	table_close(functions, AccessShareLock);
	if (!isnull)
		(void) walk_node(stringToNode(TextDatumGetCString(defaults)), walk);
}

/* Look at a function that is called. */
static void
read_function(Walk *walk, Oid function, Node *call)
{
	bool		is_user = function >= FirstNormalObjectId;
	HeapTuple	row;
	Form_pg_proc form;

	if (is_user && list_member_oid(walk->functions, function))
		return;
	if (is_user)
	{
		walk->functions = lappend_oid(walk->functions, function);
		row = read_row(walk, ProcedureRelationId, ProcedureOidIndexId,
					   Anum_pg_proc_oid, function);
	}
	else
		row = SearchSysCacheCopy1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(row))
	{
		set_obstacle(walk, pstrdup("a function that it calls was dropped"));
		return;
	}
	form = (Form_pg_proc) GETSTRUCT(row);
	if (is_user)
		read_user_function(walk, function, form, row);

	switch (steward_function_determinism(function, call, form->provolatile))
	{
		case STEWARD_DETERMINED:
			break;
		case STEWARD_BY_SETTINGS:
			walk->sources->depends_on_settings = true;
			break;
		case STEWARD_UNDETERMINED:
			set_doubt(walk, psprintf("it calls the %s function %s()",
									 form->provolatile == PROVOLATILE_VOLATILE ?
									 "volatile" : "stable",
									 NameStr(form->proname)));
			break;
	}
	if (is_user && form->prokind == PROKIND_AGGREGATE)
		read_aggregate(walk, function, call);
	if (is_user && form->pronargdefaults > 0)
		read_defaults(walk, row);
	heap_freetuple(row);
}

/* A function and the node that calls it. */
typedef struct Call
{
	Walk	   *walk;
	Node	   *node;
} Call;

/* The callback of check_functions_in_node(): goes on to the next one. */
static bool
read_called_function(Oid function, void *context)
{
	Call	   *call = context;

	read_function(call->walk, function, call->node);
	return false;
}

/* Look at an entry of a range table. */
static void
walk_entry(Walk *walk, RangeTblEntry *entry)
{
	if (entry->tablesample != NULL)
		set_doubt(walk, pstrdup("it samples a table"));
	/* before 16 a rule has its own relation in its range table, unused */
	if (entry->rtekind == RTE_RELATION && entry->relid != walk->relation)
		walk_relation(walk, entry->relid, entry->inh, walk->owner);
}

/* Look at everything in a query. */
static bool
walk_node(Node *node, Walk *walk)
{
	const char *obstacle;
	Call		call = {walk, node};

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		walk_entry(walk, (RangeTblEntry *) node);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, walk_node, walk,
								 QTW_EXAMINE_RTES_BEFORE);
	obstacle = steward_expression_obstacle(node);
	if (obstacle != NULL)
		set_doubt(walk, pstrdup(obstacle));
	(void) check_functions_in_node(node, read_called_function, &call);
	return expression_tree_walker(node, walk_node, walk);
}

/* Read the rule of a view and walk through its query. */
static void
walk_rule(Walk *walk, Oid view, Oid reader)
{
	Oid			outer_owner = walk->owner;
	Oid			outer_relation = walk->relation;
	Relation	rules = table_open(RewriteRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;
	List	   *actions = NIL;

	ScanKeyInit(&key, Anum_pg_rewrite_ev_class, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(view));
	scan = systable_beginscan(rules, RewriteRelRulenameIndexId, true,
							  walk->snapshot, 1, &key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Form_pg_rewrite form = (Form_pg_rewrite) GETSTRUCT(row);
		bool		isnull;
		Datum		action;

		if (form->ev_type != '1')	/* not the one of SELECT */
			continue;
		sign_row(walk, row);
		action = heap_getattr(row, Anum_pg_rewrite_ev_action,
							  RelationGetDescr(rules), &isnull);
		if (!isnull)
			actions = list_concat(actions,
								  stringToNode(TextDatumGetCString(action)));
	}
	systable_endscan(scan);
	table_close(rules, AccessShareLock);

	walk->owner = reader;
	walk->relation = view;
	(void) walk_node((Node *) actions, walk);
	walk->owner = outer_owner;
	walk->relation = outer_relation;
}

/*
 * Take the columns of a relation into the signature.  Returns whether the
 * server computes some when they are read.
 */
static bool
sign_columns(Walk *walk, Oid relation)
{
	Relation	columns = table_open(AttributeRelationId, AccessShareLock);
	bool		computed = false;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relation));
	ScanKeyInit(&keys[1], Anum_pg_attribute_attnum, BTGreaterStrategyNumber,
				F_INT2GT, Int16GetDatum(0));
	scan = systable_beginscan(columns, AttributeRelidNumIndexId, true,
							  walk->snapshot, 2, keys);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(row);

		sign(walk, NameStr(form->attname), strlen(NameStr(form->attname)));
		sign_number(walk, form->atttypid);
		sign_number(walk, (uint64) form->atttypmod);
		sign_number(walk, form->attcollation);
		sign_number(walk, form->attisdropped);
		if (form->attgenerated != '\0' &&
			form->attgenerated != ATTRIBUTE_GENERATED_STORED)
			computed = true;
	}
	systable_endscan(scan);
	table_close(columns, AccessShareLock);
	return computed;
}

/* Take the expressions of a relation's columns into the signature. */
static void
sign_expressions(Walk *walk, Oid relation)
{
	Relation	expressions = table_open(AttrDefaultRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&key, Anum_pg_attrdef_adrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relation));
	scan = systable_beginscan(expressions, AttrDefaultIndexId, true,
							  walk->snapshot, 1, &key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
		sign_row(walk, row);
	systable_endscan(scan);
	table_close(expressions, AccessShareLock);
}

/*
 * The children of a table, in the order of their OIDs; each row of pg_inherits
 * goes into the signature.
 */
static List *
read_children(Walk *walk, Oid parent)
{
	Relation	inherits = table_open(InheritsRelationId, AccessShareLock);
	List	   *children = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&key, Anum_pg_inherits_inhparent, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(parent));
	scan = systable_beginscan(inherits, InheritsParentIndexId, true,
							  walk->snapshot, 1, &key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Form_pg_inherits form = (Form_pg_inherits) GETSTRUCT(row);

		children = lappend_oid(children, form->inhrelid);
		sign_row(walk, row);
	}
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	list_sort(children, list_oid_cmp);
	return children;
}

/* Does row security apply to who reads this table? */
static bool
has_row_security(Form_pg_class form, Oid reader)
{
	return form->relrowsecurity &&
		(form->relforcerowsecurity || form->relowner != reader);
}

/* Is this a part of a hypertable, whose rows may be kept elsewhere? */
static bool
is_chunk(Form_pg_class form)
{
	char	   *schema = get_namespace_name(form->relnamespace);

	return schema != NULL && strcmp(schema, "_timescaledb_internal") == 0;
}

/* Why changes of the rows of a relation are not seen, or NULL. */
static char *
storage_obstacle(Form_pg_class form, Oid reader)
{
	const char *what = NULL;

	if (form->oid < FirstNormalObjectId)
		what = "system catalog";
	else if (form->relkind == RELKIND_FOREIGN_TABLE)
		what = "foreign table";
	else if (form->relkind == RELKIND_SEQUENCE)
		what = "sequence";
	else if (is_chunk(form))
		what = "hypertable chunk";
	if (what != NULL)
		return psprintf("it reads %s %s", what, relation_name(form));
	if (RELKIND_HAS_TABLE_AM(form->relkind) && form->relam != HEAP_TABLE_AM_OID)
		return psprintf("the access method of table %s is not heap",
						relation_name(form));
	if (has_row_security(form, reader))
		return psprintf("row security of table %s applies", relation_name(form));
	return NULL;
}

/* Take what matters of a relation into the signature. */
static void
sign_relation(Walk *walk, Form_pg_class form)
{
	sign_number(walk, form->oid);
	sign_number(walk, form->relkind);
	sign_number(walk, form->relowner);
	sign_number(walk, form->relam);
	sign_number(walk, form->relfilenode);
	sign_number(walk, form->relrowsecurity);
	sign_number(walk, form->relforcerowsecurity);
	sign_number(walk, form->relpersistence);
}

/* Does a view read with the rights of who reads it? */
static bool
is_security_invoker(HeapTuple row)
{
	Relation	relations = table_open(RelationRelationId, AccessShareLock);
	bytea	   *options = extractRelOptions(row, RelationGetDescr(relations), NULL);
	bool		result;

	table_close(relations, AccessShareLock);
	result = options != NULL && ((ViewOptions *) options)->security_invoker;
	return result;
}

/* A table, partitioned or not, and what inherits from it. */
static void
walk_table(Walk *walk, HeapTuple row, bool children, bool named, Oid reader,
		   bool computed)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(row);
	ListCell   *cell;

	if (named)
		computed = sign_columns(walk, form->oid);
	if (computed)
		sign_expressions(walk, form->oid);
	if (form->relkind == RELKIND_PARTITIONED_TABLE)
		walk->sources->others = list_append_unique_oid(walk->sources->others,
													   form->oid);
	else
		walk->sources->tables = lappend_oid(walk->sources->tables, form->oid);
	if (!children || !form->relhassubclass)
		return;

	foreach(cell, read_children(walk, form->oid))
	{
		Oid			child = lfirst_oid(cell);
		HeapTuple	child_row;
		char	   *obstacle;

		CHECK_FOR_INTERRUPTS();
		child_row = read_row(walk, RelationRelationId, ClassOidIndexId,
							 Anum_pg_class_oid, child);
		if (!HeapTupleIsValid(child_row))
		{
			set_obstacle(walk, pstrdup("a partition of a table was dropped"));
			continue;
		}
		/* row security of the parent alone is looked at */
		obstacle = storage_obstacle((Form_pg_class) GETSTRUCT(child_row),
									((Form_pg_class) GETSTRUCT(child_row))->relowner);
		if (obstacle != NULL)
			set_obstacle(walk, obstacle);
		sign_relation(walk, (Form_pg_class) GETSTRUCT(child_row));
		walk_table(walk, child_row, true, false, reader, computed);
		heap_freetuple(child_row);
	}
}

/*
 * Was this walked through before?  If not, it is from now on: that also ends
 * views that refer to themselves.
 */
static bool
is_seen(Walk *walk, Oid relation, bool children, Oid reader)
{
	Reading    *reading;
	ListCell   *cell;

	foreach(cell, walk->seen)
	{
		reading = lfirst(cell);
		if (reading->relation == relation && reading->reader == reader &&
			reading->children == children)
			return true;
	}
	reading = palloc_object(Reading);
	reading->relation = relation;
	reading->reader = reader;
	reading->children = children;
	walk->seen = lappend(walk->seen, reading);
	return false;
}

/*
 * A relation that a query names.  "reader" is the role whose rights the query
 * has there.
 */
static void
walk_relation(Walk *walk, Oid relation, bool children, Oid reader)
{
	HeapTuple	row;
	Form_pg_class form;
	char	   *obstacle;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (is_seen(walk, relation, children, reader))
		return;
	row = read_row(walk, RelationRelationId, ClassOidIndexId, Anum_pg_class_oid,
				   relation);
	if (!HeapTupleIsValid(row))
	{
		set_obstacle(walk, pstrdup("a relation that it reads was dropped"));
		return;
	}
	form = (Form_pg_class) GETSTRUCT(row);
	sign_number(walk, reader);
	sign_number(walk, children);
	obstacle = storage_obstacle(form, reader);
	if (obstacle != NULL)
		set_obstacle(walk, obstacle);
	sign_relation(walk, form);

	switch (form->relkind)
	{
		case RELKIND_VIEW:
			walk->sources->others = list_append_unique_oid(walk->sources->others,
														   relation);
			walk_rule(walk, relation,
					  is_security_invoker(row) ? reader : form->relowner);
			break;
		case RELKIND_MATVIEW:
			(void) sign_columns(walk, relation);
			walk->sources->matviews =
				list_append_unique_oid(walk->sources->matviews, relation);
			break;
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			walk_table(walk, row, children, true, reader, false);
			break;
		default:
			if (obstacle == NULL)
				set_obstacle(walk, psprintf("%s is no table",
											relation_name(form)));
			break;
	}
	heap_freetuple(row);
}

/*
 * Read the sources of a materialized view, as they are committed now and for
 * the current transaction; in the current memory context.  If the view does
 * not exist, that is an obstacle.
 */
void
steward_sources_read(Oid view, bool assume_deterministic,
					 StewardSources *sources)
{
	Walk		walk;
	HeapTuple	row;

	memset(sources, 0, sizeof(*sources));
	memset(&walk, 0, sizeof(walk));
	walk.sources = sources;
	walk.assume_deterministic = assume_deterministic;
	walk.snapshot = RegisterSnapshot(GetLatestSnapshot());

	row = read_row(&walk, RelationRelationId, ClassOidIndexId, Anum_pg_class_oid,
				   view);
	if (!HeapTupleIsValid(row) ||
		((Form_pg_class) GETSTRUCT(row))->relkind != RELKIND_MATVIEW)
		set_obstacle(&walk, pstrdup("it is not a materialized view"));
	else
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(row);

		sign_number(&walk, view);
		sign_number(&walk, form->relowner);
		walk_rule(&walk, view, form->relowner);
	}
	list_sort(sources->tables, list_oid_cmp);
	list_deduplicate_oid(sources->tables);
	UnregisterSnapshot(walk.snapshot);
}

/*
 * A hash of the settings that functions depend on which may be followed.
 */
uint64
steward_sources_settings(void)
{
	static const char *const names[] = {
		"TimeZone", "DateStyle", "IntervalStyle", "bytea_output",
		"extra_float_digits", "lc_monetary", "lc_numeric", "lc_time"
	};
	uint64		hash = 1;

	for (int i = 0; i < lengthof(names); i++)
	{
		const char *value = GetConfigOption(names[i], false, false);

		hash = hash_bytes_extended((const unsigned char *) value,
								   (int) strlen(value), hash);
	}
	return Max(hash, 1);
}
