/*-------------------------------------------------------------------------
 *
 * server_refresh.c
 *	  REFRESH MATERIALIZED VIEW of a view whose freshness we know.
 *
 * Who refreshes a view by the server's command, by hand or by a scheduler of
 * his own, wants it to count as fresh afterwards, and the worker not to refresh
 * it once more.  A mark of freshness (freshness.c) has to be made after the view
 * was locked and before the snapshot of its query is taken.  The server takes
 * the snapshot before the command begins, and the lock in it.  So for views that
 * have a mark already we lock first, with the check of the caller's rights that
 * the command makes, mark the view, and give the command a new snapshot.
 *
 * Views that we do not know are left alone, as are transactions with a single
 * snapshot, and refreshes of our own, which have made their mark.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "refresh/freshness.h"
#include "refresh/server_refresh.h"

static ProcessUtility_hook_type prev_process_utility = NULL;

/*
 * Lock and mark the view that a command is going to refresh; false if it is
 * none of ours.
 */
static bool
mark_view(const RefreshMatViewStmt *command)
{
	bool		assumed;
	Oid			view;

	if (command->skipData || IsolationUsesXactSnapshot())
		return false;
	view = RangeVarGetRelid(command->relation, NoLock, true);
	if (!OidIsValid(view) || !steward_freshness_has_mark(view, &assumed))
		return false;
	view = RangeVarGetRelidExtended(command->relation,
									command->concurrent ? ExclusiveLock : AccessExclusiveLock,
									0, STEWARD_CHECK_MAINTAIN, NULL);
	/* the name may stand for another one now */
	if (get_rel_relkind(view) != RELKIND_MATVIEW ||
		!steward_freshness_has_mark(view, &assumed))
		return false;
	steward_freshness_mark(view, assumed);
	return true;
}

/* The hook for commands. */
static void
process_utility(PlannedStmt *pstmt, const char *queryString,
				bool readOnlyTree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	bool		marked = IsA(pstmt->utilityStmt, RefreshMatViewStmt) &&
		mark_view((RefreshMatViewStmt *) pstmt->utilityStmt);

	if (marked)
		PushActiveSnapshot(GetTransactionSnapshot());
	prev_process_utility(pstmt, queryString, readOnlyTree, context, params,
						 queryEnv, dest, qc);
	if (marked)
		PopActiveSnapshot();
}

/* Install the hook, while the library is being preloaded. */
void
steward_server_refresh_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	prev_process_utility = ProcessUtility_hook ? ProcessUtility_hook :
		standard_ProcessUtility;
	ProcessUtility_hook = process_utility;
}
