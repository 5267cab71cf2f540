/*-------------------------------------------------------------------------
 *
 * matview_query.c
 *	  Executing the query of a materialized view as its owner.
 *
 * Everything that belongs to the view runs like REFRESH runs it, as its owner
 * in a security-restricted operation: planning (which evaluates functions),
 * execution, and the expressions and predicates of indexes.  The search path
 * is "pg_catalog, pg_temp" on all servers, as REFRESH has it since 17, and
 * settings that a function changes are restored.  An error restores user and
 * settings with the abort of its (sub)transaction.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "refresh/matview_query.h"
#include "refresh/refresh_progress.h"

/* A receiver that counts rows, and hands them on. */
typedef struct CountingReceiver
{
	DestReceiver pub;
	DestReceiver *next;
	uint64		nrows;
	Relation	view;
} CountingReceiver;

/*
 * Become the owner of the view, until steward_matview_leave_owner() or an
 * error.
 */
void
steward_matview_enter_owner(Relation view, StewardOwnerContext *context)
{
	GetUserIdAndSecContext(&context->userid, &context->sec_context);
	SetUserIdAndSecContext(view->rd_rel->relowner,
						   context->sec_context | SECURITY_RESTRICTED_OPERATION);
	context->nestlevel = NewGUCNestLevel();
	RestrictSearchPath();
}

/* Be again who called, with his settings. */
void
steward_matview_leave_owner(const StewardOwnerContext *context)
{
	AtEOXact_GUC(false, context->nestlevel);
	SetUserIdAndSecContext(context->userid, context->sec_context);
}

/*
 * The query of the view, a copy that may be changed.
 */
static Query *
view_query(Relation view)
{
	RuleLock   *rules = view->rd_rules;
	RewriteRule *rule;

	if (!view->rd_rel->relhasrules || rules == NULL || rules->numLocks != 1)
		elog(ERROR, "materialized view \"%s\" does not have exactly one rule",
			 RelationGetRelationName(view));
	rule = rules->rules[0];
	if (rule->event != CMD_SELECT || !rule->isInstead ||
		list_length(rule->actions) != 1)
		elog(ERROR, "the rule of materialized view \"%s\" is not a SELECT",
			 RelationGetRelationName(view));
	return copyObject(linitial_node(Query, rule->actions));
}

/* The rows of the query must be rows of the view. */
static void
check_row_type(Relation view, TupleDesc computed)
{
	TupleDesc	stored = RelationGetDescr(view);

	if (computed->natts != stored->natts)
		elog(ERROR, "query of materialized view \"%s\" has %d columns instead of %d",
			 RelationGetRelationName(view), computed->natts, stored->natts);
	for (int i = 0; i < stored->natts; i++)
	{
		if (TupleDescAttr(stored, i)->attisdropped ||
			TupleDescAttr(stored, i)->atttypid != TupleDescAttr(computed, i)->atttypid)
			elog(ERROR, "column %d of materialized view \"%s\" does not have the type of the query",
				 i + 1, RelationGetRelationName(view));
	}
}

/* The functions of the counting receiver. */
static void
start_counting(DestReceiver *self, int operation, TupleDesc desc)
{
	CountingReceiver *receiver = (CountingReceiver *) self;

	check_row_type(receiver->view, desc);
	receiver->next->rStartup(receiver->next, operation, desc);
}

static bool
count_row(TupleTableSlot *slot, DestReceiver *self)
{
	CountingReceiver *receiver = (CountingReceiver *) self;

	CHECK_FOR_INTERRUPTS();
	receiver->nrows++;
	steward_refresh_progress_count(STEWARD_ROWS_COMPUTED);
	return receiver->next->receiveSlot(slot, receiver->next);
}

static void
end_counting(DestReceiver *self)
{
	CountingReceiver *receiver = (CountingReceiver *) self;

	receiver->next->rShutdown(receiver->next);
}

static void
destroy_counting(DestReceiver *self)
{
}

/*
 * Execute the query of the view with the active snapshot; its rows go to the
 * receiver.  Returns their number.  The caller has become the owner.
 */
uint64
steward_matview_execute(Relation view, DestReceiver *destination)
{
	CountingReceiver receiver;
	Query	   *query = view_query(view);
	List	   *rewritten;
	PlannedStmt *plan;
	QueryDesc  *desc;
	char	   *text;

	text = psprintf("REFRESH MATERIALIZED VIEW %s",
					quote_qualified_identifier(get_namespace_name(RelationGetNamespace(view)),
											   RelationGetRelationName(view)));
	AcquireRewriteLocks(query, true, false);
	rewritten = QueryRewrite(query);
	if (list_length(rewritten) != 1)
		elog(ERROR, "query of a materialized view was rewritten to %d queries",
			 list_length(rewritten));
	plan = STEWARD_PLAN_QUERY(linitial_node(Query, rewritten), text,
							  CURSOR_OPT_PARALLEL_OK);

	memset(&receiver, 0, sizeof(receiver));
	receiver.pub.receiveSlot = count_row;
	receiver.pub.rStartup = start_counting;
	receiver.pub.rShutdown = end_counting;
	receiver.pub.rDestroy = destroy_counting;
	receiver.pub.mydest = DestNone;
	receiver.next = destination;
	receiver.view = view;

	/* planning may have run functions: see what they did */
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	desc = CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot,
						   &receiver.pub, NULL, NULL, 0);
	ExecutorStart(desc, 0);
	STEWARD_EXECUTOR_RUN(desc);
	ExecutorFinish(desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	PopActiveSnapshot();
	return receiver.nrows;
}
