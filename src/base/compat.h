/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between the server versions that pg_steward supports.
 *
 * This is the only file that may test PG_VERSION_NUM.  The rest of the code
 * calls the interface of the newest server; what older servers lack is
 * emulated here under the new name.  Versions 15 to 19.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_COMPAT_H
#define STEWARD_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "pg_steward needs PostgreSQL 15 or newer"
#endif

/*
 * Since 18 the server can tell users which version of a module it loaded
 * (pg_get_loaded_modules()).
 */
#if PG_VERSION_NUM >= 180000
#define STEWARD_MODULE_MAGIC(module_name, module_version) \
	PG_MODULE_MAGIC_EXT(.name = (module_name), .version = (module_version))
#else
#define STEWARD_MODULE_MAGIC(module_name, module_version) \
	PG_MODULE_MAGIC
#endif

/*
 * For variables that our files share: since 16 the server builds modules so
 * that their symbols are hidden from others, and faster to reach.
 */
#if defined(__GNUC__)
#define STEWARD_HIDDEN __attribute__((visibility("hidden")))
#else
#define STEWARD_HIDDEN
#endif

#define STEWARD_SERVER_MAJOR (PG_VERSION_NUM / 10000)

/* Number of this process among all that can attach to shared memory. */
#if PG_VERSION_NUM >= 170000
#define STEWARD_PROC_NUMBER MyProcNumber
#else
#define STEWARD_PROC_NUMBER (MyProc->pgprocno)
#endif

/* Macros for values of variable length: a header of their own since 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Type of PlannedStmt.queryId, and the header of query jumbling. */
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif

/* Planning a query with all hooks: EXPLAIN has a say since 19. */
#if PG_VERSION_NUM >= 190000
#define STEWARD_PLAN_QUERY(query, text, cursor_options) \
	pg_plan_query(query, text, cursor_options, NULL, NULL)
#else
#define STEWARD_PLAN_QUERY(query, text, cursor_options) \
	pg_plan_query(query, text, cursor_options, NULL)
#endif

/* Executing a query to its end; whether it is the only time is gone in 18. */
#if PG_VERSION_NUM >= 180000
#define STEWARD_EXECUTOR_RUN(query) ExecutorRun(query, ForwardScanDirection, 0)
#else
#define STEWARD_EXECUTOR_RUN(query) \
	ExecutorRun(query, ForwardScanDirection, 0, true)
#endif

/* Only to show a plan, parameters having no values: since 16. */
#if PG_VERSION_NUM >= 160000
#define STEWARD_EXPLAIN_FLAGS \
	(EXEC_FLAG_EXPLAIN_ONLY | EXEC_FLAG_EXPLAIN_GENERIC)
#define STEWARD_FORGET_PRUNING(append) ((void) (append))
#else
/* the executor is not to prune partitions by values that are not there */
#define STEWARD_EXPLAIN_FLAGS EXEC_FLAG_EXPLAIN_ONLY
#define STEWARD_FORGET_PRUNING(append) ((append)->part_prune_info = NULL)
#endif

/* State of EXPLAIN: a header of its own since 18. */
#if PG_VERSION_NUM >= 180000
#define STEWARD_EXPLAIN_STATE_HEADER "commands/explain_state.h"
#else
#define STEWARD_EXPLAIN_STATE_HEADER "commands/explain.h"
#endif

/* File numbers of mapped catalogs, and who owns a temporary schema. */
#if PG_VERSION_NUM < 160000
#define RelationMapOidToFilenumber(relid, shared) \
	RelationMapOidToFilenode(relid, shared)
#endif
#if PG_VERSION_NUM < 170000
#define GetTempNamespaceProcNumber(schema) GetTempNamespaceBackendId(schema)
#endif

/* Parameters of post_parse_analyze_hook. */
#if PG_VERSION_NUM >= 190000
#define POST_PARSE_ANALYZE_PARAMS \
	ParseState *pstate, Query *query, const JumbleState *jstate
#else
#define POST_PARSE_ANALYZE_PARAMS \
	ParseState *pstate, Query *query, JumbleState *jstate
#endif
#define POST_PARSE_ANALYZE_ARGS pstate, query, jstate

/*
 * Where constants stand in a text.  Since 18 lists of them are one, and of
 * known length.
 */
#if PG_VERSION_NUM >= 180000
#define STEWARD_IS_LIST(location_len) ((location_len)->squashed)
#define STEWARD_IS_PARAM(location_len) ((location_len)->extern_param)
#else
#define STEWARD_IS_LIST(location_len) false
#define STEWARD_IS_PARAM(location_len) false
#endif

/* The scanner warns of backslashes in strings until 18, unless told not to. */
#if PG_VERSION_NUM >= 190000
#define STEWARD_QUIET_SCANNER(extra) ((void) (extra))
#else
#define STEWARD_QUIET_SCANNER(extra) ((extra)->escape_string_warning = false)
#endif

/* Nanoseconds of a time difference: since 16. */
#if PG_VERSION_NUM < 160000
#define INSTR_TIME_GET_NANOSEC(t) \
	((int64) (t).tv_sec * INT64CONST(1000000000) + (int64) (t).tv_nsec)
#endif

/*
 * Rows of a query.  Before 16 the executor knows only those of the latest
 * fetch from a cursor, but the timer counts all: like time, apart from what it
 * has summed up already.
 */
#if PG_VERSION_NUM >= 160000
#define STEWARD_ROWS_PROCESSED(query) ((query)->estate->es_total_processed)
#else
#define STEWARD_ROWS_PROCESSED(query) \
	((uint64) (int64) ((query)->totaltime->ntuples + \
					   (query)->totaltime->tuplecount))
#endif

/*
 * The timer of a whole query.  Since 19 it is requested before ExecutorStart
 * and has a name of its own; before, whoever wants it allocates it afterwards.
 */
#if PG_VERSION_NUM >= 190000
#define STEWARD_QUERY_TIMER(query) ((query)->query_instr)
#define STEWARD_REQUEST_TIMER(query, options) \
	((query)->query_instr_options |= (options))
#define STEWARD_REQUESTS_TIMER true
#define STEWARD_ALLOCATE_TIMER(query, options) ((void) 0)
#define STEWARD_TIMER_NS(timer) INSTR_TIME_GET_NANOSEC((timer)->total)
#else
#define STEWARD_QUERY_TIMER(query) ((query)->totaltime)
#define STEWARD_REQUEST_TIMER(query, options) ((void) 0)
#define STEWARD_REQUESTS_TIMER false
#define STEWARD_ALLOCATE_TIMER(query, options) \
	((query)->totaltime = InstrAlloc(1, (options), false))
#define STEWARD_TIMER_NS(timer) \
	((int64) ((timer)->total * 1e9) + \
	 (int64) INSTR_TIME_GET_NANOSEC((timer)->counter))
#endif

/* Foreign keys over periods of time (Form_pg_constraint): since 18. */
#if PG_VERSION_NUM >= 180000
#define STEWARD_CONSTRAINT_HAS_PERIOD(form) ((form)->conperiod)
#else
#define STEWARD_CONSTRAINT_HAS_PERIOD(form) false
#endif

/* Actions of signals that are no function: names of the server's since 19. */
#if PG_VERSION_NUM < 190000
#define PG_SIG_DFL SIG_DFL
#define PG_SIG_IGN SIG_IGN
#endif

/* A set of sockets to wait for, which the caller frees. */
#if PG_VERSION_NUM >= 170000
#define STEWARD_CREATE_WAIT_SET(n) CreateWaitEventSet(NULL, (n))
#else
#define STEWARD_CREATE_WAIT_SET(n) CreateWaitEventSet(CurrentMemoryContext, (n))
#endif

/*
 * Slots that ordinary users cannot have, and how many of max_connections are
 * free; users of these include storage/proc.h and postmaster/postmaster.h.
 * Before 16 one can only ask whether there are at least so many.
 */
#if PG_VERSION_NUM >= 160000
#define STEWARD_RESERVED_SLOTS \
	(SuperuserReservedConnections + ReservedConnections)
#define STEWARD_COUNT_FREE_SLOTS(max, nfree) \
	((void) HaveNFreeProcs((max), &(nfree)))
#else
#define STEWARD_RESERVED_SLOTS (ReservedBackends)
#define pgstat_get_local_beentry_by_index(i) \
	pgstat_fetch_stat_local_beentry(i)
#define STEWARD_COUNT_FREE_SLOTS(max, nfree) \
	do { \
		int			high_ = (max) + 1; \
\
		(nfree) = 0; \
		while (high_ - (nfree) > 1) \
		{ \
			int			middle_ = (nfree) + (high_ - (nfree)) / 2; \
\
			if (HaveNFreeProcs(middle_)) \
				(nfree) = middle_; \
			else \
				high_ = middle_; \
		} \
	} while (0)
#endif

/*
 * Reading ahead: read_stream_begin_relation() and family since 17, and since
 * 18 in batches, for callbacks that take no lock.
 */
#if PG_VERSION_NUM >= 170000
#include "storage/read_stream.h"
#else
#define STEWARD_NEEDS_READ_STREAM
#include "base/read_stream.h"
#define ReadStream StewardReadStream
#define READ_STREAM_MAINTENANCE 0x01
#define READ_STREAM_SEQUENTIAL 0x02
#define read_stream_begin_relation steward_read_stream_begin
#define read_stream_next_buffer steward_read_stream_next
#define read_stream_end steward_read_stream_end
#endif
#if PG_VERSION_NUM < 180000
#define READ_STREAM_USE_BATCHING 0
#endif

/* File number of a relation, and the path of its first file. */
#if PG_VERSION_NUM < 160000
typedef Oid RelFileNumber;
#define RelationMapOidToFilenumber(relid, shared) \
	RelationMapOidToFilenode(relid, shared)
#define object_ownercheck(classid, objectid, roleid) \
	pg_class_ownercheck(objectid, roleid)
#endif
#if PG_VERSION_NUM < 170000
#define INVALID_PROC_NUMBER InvalidBackendId
#define ProcNumberForTempRelations() BackendIdForTempRelations()
#endif
#if PG_VERSION_NUM >= 180000
#define STEWARD_RELATION_PATH(database, tablespace, number, owner) \
	pstrdup(GetRelationPath(database, tablespace, number, owner, \
							MAIN_FORKNUM).str)
#else
#define STEWARD_RELATION_PATH(database, tablespace, number, owner) \
	GetRelationPath(database, tablespace, number, owner, MAIN_FORKNUM)
#endif

/* Result of gistSplit(): spelt differently before 16. */
#if PG_VERSION_NUM < 160000
#define SplitPageLayout SplitedPageLayout
#endif

/* Allocation by type: since 16. */
#ifndef palloc_array
#define palloc_array(type, count) ((type *) palloc(sizeof(type) * (count)))
#define palloc0_array(type, count) ((type *) palloc0(sizeof(type) * (count)))
#endif
#ifndef palloc_object
#define palloc_object(type) ((type *) palloc(sizeof(type)))
#define palloc0_object(type) ((type *) palloc0(sizeof(type)))
#endif

/*
 * The hook in which extensions change the planner's list of a table's indexes.
 * Until 18 it runs at the end of get_relation_info(), and so for tables only.
 */
#if PG_VERSION_NUM >= 190000
#define build_table_hook build_simple_rel_hook
#define build_table_hook_type build_simple_rel_hook_type
#define BUILD_TABLE_PARAMS \
	PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte
#define BUILD_TABLE_ARGS root, rel, rte
#define BUILD_TABLE_OID (rte->rtekind == RTE_RELATION ? rte->relid : InvalidOid)
#define BUILD_TABLE_IS_PARENT (rte->inh)
#else
#define build_table_hook get_relation_info_hook
#define build_table_hook_type get_relation_info_hook_type
#define BUILD_TABLE_PARAMS \
	PlannerInfo *root, Oid table_oid, bool is_parent, RelOptInfo *rel
#define BUILD_TABLE_ARGS root, table_oid, is_parent, rel
#define BUILD_TABLE_OID table_oid
#define BUILD_TABLE_IS_PARENT is_parent
#endif

/* The planner without hooks: EXPLAIN has a say since 19. */
#if PG_VERSION_NUM >= 190000
#define STEWARD_STANDARD_PLANNER(query, cursor_options, params) \
	standard_planner(query, NULL, cursor_options, params, NULL)
#else
#define STEWARD_STANDARD_PLANNER(query, cursor_options, params) \
	standard_planner(query, NULL, cursor_options, params)
#endif

/* Does this sort key go from great to small?  CompareType since 18. */
#if PG_VERSION_NUM >= 180000
#define STEWARD_PATHKEY_IS_DESC(key) ((key)->pk_cmptype == COMPARE_GT)
#else
#define STEWARD_PATHKEY_IS_DESC(key) \
	((key)->pk_strategy == BTGreaterStrategyNumber)
#endif

/*
 * Members of an equivalence class, with those of the child tables in "relids":
 * apart since 18.
 */
#if PG_VERSION_NUM < 180000
#include "nodes/pathnodes.h"

typedef struct EquivalenceMemberIterator
{
	EquivalenceClass *ec;
	int			next;
} EquivalenceMemberIterator;

#define setup_eclass_member_iterator(it, eclass, relids) \
	((it)->ec = (eclass), (it)->next = 0)
#define eclass_member_iterator_next(it) \
	((it)->next < list_length((it)->ec->ec_members) ? \
	 (EquivalenceMember *) list_nth((it)->ec->ec_members, (it)->next++) : NULL)
#endif

/* Can bitmap heap scans read tables of this kind?  One callback since 18. */
#if PG_VERSION_NUM >= 180000
#define STEWARD_TABLE_HAS_BITMAP_SCAN(table) \
	((table)->rd_tableam->scan_bitmap_next_tuple != NULL)
#else
#define STEWARD_TABLE_HAS_BITMAP_SCAN(table) \
	((table)->rd_tableam->scan_bitmap_next_block != NULL)
#endif

/* Map of column numbers; the third argument is there since 16. */
#if PG_VERSION_NUM >= 160000
#define STEWARD_ATTRMAP_BY_NAME(in, out) \
	build_attrmap_by_name_if_req(in, out, false)
#else
#define STEWARD_ATTRMAP_BY_NAME(in, out) \
	build_attrmap_by_name_if_req(in, out)
#endif

/*
 * Rights to refresh a materialized view: since 17 they can be granted.  For
 * files that include utils/acl.h and catalog/pg_class.h, or, for the check while
 * a name is looked up, commands/tablecmds.h.
 */
#if PG_VERSION_NUM >= 170000
#define STEWARD_MAY_MAINTAIN(relation, role) \
	(pg_class_aclcheck((relation), (role), ACL_MAINTAIN) == ACLCHECK_OK)
#define STEWARD_MAINTAIN_ERROR ACLCHECK_NO_PRIV
#define STEWARD_CHECK_MAINTAIN RangeVarCallbackMaintainsTable
#elif PG_VERSION_NUM >= 160000
#define STEWARD_MAY_MAINTAIN(relation, role) \
	object_ownercheck(RelationRelationId, (relation), (role))
#define STEWARD_MAINTAIN_ERROR ACLCHECK_NOT_OWNER
#define STEWARD_CHECK_MAINTAIN RangeVarCallbackOwnsTable
#else
#define STEWARD_MAY_MAINTAIN(relation, role) \
	pg_class_ownercheck((relation), (role))
#define STEWARD_MAINTAIN_ERROR ACLCHECK_NOT_OWNER
#define STEWARD_CHECK_MAINTAIN RangeVarCallbackOwnsTable
#endif

/* Is this a background worker? */
#if PG_VERSION_NUM < 170000
#define AmBackgroundWorkerProcess() IsBackgroundWorker
#endif

/*
 * The search path of maintenance commands, until the GUC nest level ends:
 * since 17.
 */
#if PG_VERSION_NUM < 170000
#define RestrictSearchPath() \
	((void) set_config_option("search_path", "pg_catalog, pg_temp", \
							  PGC_USERSET, PGC_S_SESSION, \
							  GUC_ACTION_SAVE, true, 0, false))
#endif

/*
 * The range table of an executor state that changes one relation; "updated"
 * are the columns that UPDATE changes, as in RTEPermissionInfo.
 */
#if PG_VERSION_NUM >= 160000
#if PG_VERSION_NUM >= 180000
#define STEWARD_EXEC_INIT_RANGE_TABLE(estate, table, infos) \
	ExecInitRangeTable((estate), (table), (infos), bms_make_singleton(1))
#else
#define STEWARD_EXEC_INIT_RANGE_TABLE(estate, table, infos) \
	ExecInitRangeTable((estate), (table), (infos))
#endif
#define STEWARD_INIT_RANGE_TABLE(estate, rte, updated) \
	do { \
		List	   *infos_ = NIL; \
\
		addRTEPermissionInfo(&infos_, (rte))->updatedCols = (updated); \
		STEWARD_EXEC_INIT_RANGE_TABLE(estate, list_make1(rte), infos_); \
	} while (0)
#else
#define STEWARD_INIT_RANGE_TABLE(estate, rte, updated) \
	do { \
		(rte)->updatedCols = (updated); \
		ExecInitRangeTable((estate), list_make1(rte)); \
	} while (0)
#endif

/*
 * What an update asks of the indexes, since 16 also "summarizing ones only".
 * Since 19 table_tuple_update(), table_tuple_delete() and
 * ExecInsertIndexTuples() take flags.
 */
#if PG_VERSION_NUM >= 160000
#define STEWARD_UPDATE_INDEXES TU_UpdateIndexes
#define STEWARD_INDEXES_ANY(which) ((which) != TU_None)
#define STEWARD_INDEXES_SUMMARIZING(which) ((which) == TU_Summarizing)
#else
#define STEWARD_UPDATE_INDEXES bool
#define STEWARD_INDEXES_ANY(which) (which)
#define STEWARD_INDEXES_SUMMARIZING(which) false
#endif
#if PG_VERSION_NUM >= 190000
#define STEWARD_TUPLE_DELETE(rel, tid, cid, snapshot, failure) \
	table_tuple_delete((rel), (tid), (cid), 0, (snapshot), InvalidSnapshot, \
					   true, (failure))
#define STEWARD_TUPLE_UPDATE(rel, tid, slot, cid, snapshot, failure, mode, which) \
	table_tuple_update((rel), (tid), (slot), (cid), 0, (snapshot), \
					   InvalidSnapshot, true, (failure), (mode), (which))
#define STEWARD_INSERT_INDEX_TUPLES(info, slot, estate, update, summarizing) \
	ExecInsertIndexTuples((info), (estate), \
						  ((update) ? EIIT_IS_UPDATE : 0) | \
						  ((summarizing) ? EIIT_ONLY_SUMMARIZING : 0), \
						  (slot), NIL, NULL)
#else
#define STEWARD_TUPLE_DELETE(rel, tid, cid, snapshot, failure) \
	table_tuple_delete((rel), (tid), (cid), (snapshot), InvalidSnapshot, \
					   true, (failure), false)
#define STEWARD_TUPLE_UPDATE(rel, tid, slot, cid, snapshot, failure, mode, which) \
	table_tuple_update((rel), (tid), (slot), (cid), (snapshot), \
					   InvalidSnapshot, true, (failure), (mode), (which))
#if PG_VERSION_NUM >= 160000
#define STEWARD_INSERT_INDEX_TUPLES(info, slot, estate, update, summarizing) \
	ExecInsertIndexTuples((info), (slot), (estate), (update), false, NULL, \
						  NIL, (summarizing))
#else
#define STEWARD_INSERT_INDEX_TUPLES(info, slot, estate, update, summarizing) \
	ExecInsertIndexTuples((info), (slot), (estate), (update), false, NULL, NIL)
#endif
#endif

/* Reading values from a sort, since 16 with a choice to copy them. */
#if PG_VERSION_NUM >= 160000
#define STEWARD_SORT_GETDATUM(sort, value, isnull) \
	tuplesort_getdatum((sort), true, false, (value), (isnull), NULL)
#else
#define STEWARD_SORT_GETDATUM(sort, value, isnull) \
	tuplesort_getdatum((sort), true, (value), (isnull), NULL)
#endif

/* A table in the counts of a transaction: its names are shorter since 16. */
#if PG_VERSION_NUM >= 160000
#define STEWARD_COUNTS_RELATION(table) ((table)->id)
#define STEWARD_COUNTS_SHARED(table) ((table)->shared)
#else
#define STEWARD_COUNTS_RELATION(table) ((table)->t_id)
#define STEWARD_COUNTS_SHARED(table) ((table)->t_shared)
#endif

/*
 * To be told when a boolean setting of the server is assigned.  For files that
 * include utils/guc_tables.h.
 */
#if PG_VERSION_NUM >= 190000
#define STEWARD_HOOK_BOOL_SETTING(setting, hook, previous) \
	do { \
		struct config_generic *record_ = \
			find_option((setting), false, false, ERROR); \
\
		(previous) = record_->_bool.assign_hook; \
		record_->_bool.assign_hook = (hook); \
	} while (0)
#elif PG_VERSION_NUM >= 160000
#define STEWARD_HOOK_BOOL_SETTING(setting, hook, previous) \
	do { \
		struct config_bool *record_ = (struct config_bool *) \
			find_option((setting), false, false, ERROR); \
\
		(previous) = record_->assign_hook; \
		record_->assign_hook = (hook); \
	} while (0)
#else
#define STEWARD_HOOK_BOOL_SETTING(setting, hook, previous) \
	do { \
		struct config_generic **records_ = get_guc_variables(); \
		bool		found_ = false; \
\
		for (int i_ = 0; i_ < GetNumConfigOptions(); i_++) \
		{ \
			struct config_bool *record_ = (struct config_bool *) records_[i_]; \
\
			if (strcmp(records_[i_]->name, (setting)) != 0) \
				continue; \
			(previous) = record_->assign_hook; \
			record_->assign_hook = (hook); \
			found_ = true; \
		} \
		if (!found_) \
			elog(ERROR, "there is no setting \"%s\"", (setting)); \
	} while (0)
#endif

/* Constructors and queries of SQL/JSON: since 16 and 17. */
#if PG_VERSION_NUM >= 170000
#define STEWARD_IS_SQL_JSON(node) \
	(IsA(node, JsonExpr) || IsA(node, JsonConstructorExpr))
#elif PG_VERSION_NUM >= 160000
#define STEWARD_IS_SQL_JSON(node) IsA(node, JsonConstructorExpr)
#else
#define STEWARD_IS_SQL_JSON(node) false
#endif

/* A tuple descriptor made by hand is complete: must be told since 19. */
#if PG_VERSION_NUM < 190000
#define TupleDescFinalize(desc) ((void) 0)
#endif

/* For files that include catalog/pg_database.h and utils/acl.h. */
#if PG_VERSION_NUM >= 160000
#define STEWARD_OWNS_DATABASE(database, role) \
	object_ownercheck(DatabaseRelationId, (database), (role))
#else
#define STEWARD_OWNS_DATABASE(database, role) \
	pg_database_ownercheck((database), (role))
#endif

/* A limit to the duration of transactions: since 17. */
#if PG_VERSION_NUM >= 170000
#define STEWARD_NO_TRANSACTION_TIMEOUT() \
	SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE)
#else
#define STEWARD_NO_TRANSACTION_TIMEOUT() ((void) 0)
#endif

/* An entry of the array of processes; for files with storage/proc.h. */
#if PG_VERSION_NUM >= 170000
#define STEWARD_PROC_AT(i) GetPGProcByNumber(i)
#else
#define STEWARD_PROC_AT(i) (&ProcGlobal->allProcs[i])
#endif

/*
 * New tables that take the place of others: a header of another name since 19,
 * where rebuilding indexes is a choice.  finish_heap_swap() with what REFRESH
 * MATERIALIZED VIEW chooses.
 */
#if PG_VERSION_NUM >= 190000
#define STEWARD_MAKE_HEAP_HEADER "commands/repack.h"
#define STEWARD_FINISH_HEAP_SWAP(old, new, xid, multi, persistence) \
	finish_heap_swap((old), (new), false, false, true, true, true, \
					 (xid), (multi), (persistence))
#else
#define STEWARD_MAKE_HEAP_HEADER "commands/cluster.h"
#define STEWARD_FINISH_HEAP_SWAP(old, new, xid, multi, persistence) \
	finish_heap_swap((old), (new), false, false, true, true, \
					 (xid), (multi), (persistence))
#endif

/*
 * CREATE INDEX on a table that the caller made: no rights are checked.  A
 * number of partitions since 16, a parse state since 19.
 */
#if PG_VERSION_NUM >= 190000
#define STEWARD_DEFINE_INDEX(table, statement) \
	DefineIndex(NULL, (table), (statement), InvalidOid, InvalidOid, \
				InvalidOid, -1, false, false, false, false, true)
#elif PG_VERSION_NUM >= 160000
#define STEWARD_DEFINE_INDEX(table, statement) \
	DefineIndex((table), (statement), InvalidOid, InvalidOid, InvalidOid, \
				-1, false, false, false, false, true)
#else
#define STEWARD_DEFINE_INDEX(table, statement) \
	DefineIndex((table), (statement), InvalidOid, InvalidOid, InvalidOid, \
				false, false, false, false, true)
#endif

/*
 * Files that are new in a transaction: other names before 16.  Since 17 the
 * relation cache closes files by itself.
 */
#if PG_VERSION_NUM < 160000
#define rd_newRelfilelocatorSubid rd_newRelfilenodeSubid
#define rd_firstRelfilelocatorSubid rd_firstRelfilenodeSubid
#define RelationAssumeNewRelfilelocator(relation) \
	RelationAssumeNewRelfilenode(relation)
#endif
#if PG_VERSION_NUM >= 170000
#define RelationCloseSmgrByOid(relation) ((void) (relation))
#endif

/* Is a lock of this mode held, or (since 17, on request) a stronger one? */
#if PG_VERSION_NUM < 170000
#define LockHeldByMe(tag, mode, or_stronger) LockHeldByMe((tag), (mode))
#endif

/* Statistics of pg_class about frozen pages: since 18. */
#if PG_VERSION_NUM >= 180000
#define STEWARD_EXCHANGE_ALL_FROZEN(first, second) \
	do { \
		int32		frozen_ = (first)->relallfrozen; \
\
		(first)->relallfrozen = (second)->relallfrozen; \
		(second)->relallfrozen = frozen_; \
	} while (0)
#else
#define STEWARD_EXCHANGE_ALL_FROZEN(first, second) ((void) 0)
#endif

#endif							/* STEWARD_COMPAT_H */
