/*-------------------------------------------------------------------------
 *
 * change_clock.c
 *	  Which relations have changed since a moment: a clock and a board.
 *
 * The clock is a number in shared memory.  The board has slots, each with the
 * time of the latest change of the rows, and of the definition, of relations
 * that share the slot by their hash.  Who wants to know whether something
 * changes ticks the clock and keeps the new time T.  Whoever commits a change
 * afterwards moves the slot to the time he reads on the clock *after* his
 * commit became visible.  "Changed since T" is: slot >= T.
 *
 * Proof.  A reader ticks the clock to T, then takes a snapshot.  A commit that
 * this snapshot does not see leaves the array of running transactions after
 * the snapshot was taken; both happen under ProcArrayLock, so the writer, who
 * reads the clock after that, reads at least T.  Slots never go back.  What
 * the snapshot does see may be published late, with a time of T or more, or a
 * slot may be shared: that makes a view look changed that is not, never the
 * other way round.
 *
 * Who writes.  The server counts, for each transaction and table, the rows
 * inserted, updated and deleted, and truncation (pgstat_relation.c); counts of
 * rolled back subtransactions are gone by the end.  We read these counts, no
 * statistics: they are exact and belong to this transaction.  All ways to
 * change rows go through them: DML, COPY, foreign key actions, logical
 * replication, refreshes.  Rewriting a table by ALTER TABLE, CLUSTER or tools
 * does not, but changes its file number: that is a change of definition.  If
 * counting (track_counts) was off at any time of a transaction that wrote,
 * everything in the database counts as changed; a hook on the assignment of
 * the setting notices that.
 *
 * Definitions.  The server tells each backend, itself included, which
 * relations' cache entries are invalid: after any change of pg_class,
 * pg_attribute, rules, inheritance.  What is invalidated while a transaction
 * writes is moved when it commits, together with pg_inherits, pg_rewrite and
 * pg_proc as such.  Backends learn of new definitions shortly after the commit
 * became visible, when messages have been sent; a refresh in this gap could
 * use what is old though a snapshot shows the new.  Therefore definitions are
 * moved again after the messages were sent (resource release callback), and
 * a reader accepts messages after it has ticked.
 *
 * The gap between becoming visible and moving the slot: before a commit
 * becomes visible the backend shows, in an entry of its own, bits for what it
 * is about to move, and withdraws them after it did.  A checker looks at these
 * first and at slots afterwards, and takes what is being committed for
 * changed.  So a check is exact for the moment at which it begins.  (An
 * extension that writes tables in a commit callback that is called after ours
 * does move its slots, but is not announced before.)
 *
 * Prepared transactions become visible by COMMIT PREPARED, in any process and
 * without a callback.  What they changed is put in a list at PREPARE, before
 * it takes effect.  Whoever checks or ticks looks first which of the listed
 * are no longer running, in the array of running transactions itself, and
 * moves slots for them.  Prepared transactions that are not in the list, those
 * of before a restart or promotion, are found by whoever ticks, and count as
 * changing everything in their database.  If definitions are among the
 * changes, an entry stays, and they are moved by each check, as long as the
 * transaction has the lock on its number: that is released after messages
 * were sent.
 *
 * Only relations that somebody wants to watch have a tag on the board; the
 * tag is set before the tick, so a commit that matters finds it.  Others, such
 * as temporary tables, are not written down: they would only share slots.
 *
 * Order of memory: the tick is an atomic addition, a full barrier, before
 * ProcArrayLock is taken.  The writer has a full barrier before it reads the
 * clock.  Announcements are stored before the commit takes ProcArrayLock or a
 * WAL lock and withdrawn after a write barrier behind the slots; the checker
 * has full barriers between announcements and slots.
 *
 * A crash of any process makes the server create shared memory anew, and with
 * it an empty board: no time of before is known to anybody.
 *
 * Not noticed: changes that do not follow the rules of the server, such as
 * those of pg_surgery or of superusers who write into catalogs.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/guc_tables.h"
#include "utils/inval.h"
#include "utils/pgstat_internal.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "refresh/change_clock.h"
#include "refresh/clock_board.h"
#include "refresh/clock_prepared.h"

#define MAX_INVALIDATED 64		/* of one transaction, by name */

/* All process-local state of this file. */
static struct
{
	StewardClockEnd end;
	object_access_hook_type prev_object_access;
	GucBoolAssignHook prev_assign_track_counts;

	/* of the current transaction */
	PgStat_SubXactStatus *counts;	/* since its end began */
	bool		untracked;		/* counting was off for a while */
	bool		late;			/* definitions to be moved again */
	bool		everything;		/* late: of the whole database */
	int			preparing;		/* own entry, or -1 */
	bool		many_invalidated;	/* more than fit */
	int			ninvalidated;
	Oid			invalidated[MAX_INVALIDATED];
}			local;

/* Do changes of the rows of this catalog change what views are? */
static inline bool
defines_views(Oid catalog)
{
	return catalog == InheritsRelationId || catalog == RewriteRelationId ||
		catalog == ProcedureRelationId;
}

/* Does this entry of the counts say that rows are changed? */
static inline bool
counts_change(const PgStat_TableXactStatus *entry)
{
	return entry->tuples_inserted > 0 || entry->tuples_updated > 0 ||
		entry->tuples_deleted > 0 || entry->truncdropped;
}

/*
 * Which kind of change, if any, is worth writing down of a relation whose rows
 * were changed?  Those of catalogs are definitions.
 */
static inline bool
change_of(const PgStat_TableXactStatus *entry, StewardChange *change)
{
	Oid			relation = STEWARD_COUNTS_RELATION(entry->parent);

	if (!counts_change(entry) || STEWARD_COUNTS_SHARED(entry->parent))
		return false;
	if (relation >= FirstNormalObjectId)
		*change = STEWARD_CHANGE_DATA;
	else if (defines_views(relation))
		*change = STEWARD_CHANGE_DEFINITION;
	else
		return false;
	return true;
}

/*
 * Does a transaction change definitions whose invalidation is still to come?
 * Then pending messages must be processed, to know which relations.
 */
static bool
changes_catalogs(void)
{
	for (PgStat_TableXactStatus *entry = local.counts->first; entry != NULL;
		 entry = entry->next)
	{
		Oid			relation = STEWARD_COUNTS_RELATION(entry->parent);

		if (relation == RelationRelationId ||
			relation == AttributeRelationId ||
			relation == AttrDefaultRelationId || defines_views(relation))
			return true;
	}
	return false;
}

/* Must everything count as changed?  That is, are the counts incomplete? */
static bool
counts_incomplete(void)
{
	return local.untracked || !pgstat_track_counts || local.counts == NULL;
}

/*
 * The relcache callback: remember what is invalidated by, or meanwhile for, a
 * transaction that writes.
 */
static void
note_invalidated(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || relation < FirstNormalObjectId ||
		!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return;
	for (int i = local.ninvalidated - 1; i >= 0; i--)
	{
		if (local.invalidated[i] == relation)
			return;
	}
	if (local.ninvalidated < MAX_INVALIDATED)
		local.invalidated[local.ninvalidated++] = relation;
	else
		local.many_invalidated = true;
}

/*
 * Get hold of the counts of a transaction that is about to end.  Returns
 * whether it writes.  Here errors and allocations are still allowed.
 */
static bool
read_counts(void)
{
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return false;
	local.counts = pgstat_get_xact_stack_level(1);
	if (changes_catalogs())
		CommandCounterIncrement();
	return true;
}

/* Say what will be committed. */
static void
announce(void)
{
	uint64		bits[STEWARD_CHANGES] = {0, 0};
	StewardChange change;

	if (counts_incomplete() || local.many_invalidated)
		bits[STEWARD_CHANGE_DATA] = bits[STEWARD_CHANGE_DEFINITION] = PG_UINT64_MAX;
	for (PgStat_TableXactStatus *entry = local.counts->first; entry != NULL;
		 entry = entry->next)
	{
		if (change_of(entry, &change))
			bits[change] |= STEWARD_CLOCK_BIT(steward_clock_hash(MyDatabaseId,
																 STEWARD_COUNTS_RELATION(entry->parent)));
	}
	for (int i = 0; i < local.ninvalidated; i++)
		bits[STEWARD_CHANGE_DEFINITION] |=
			STEWARD_CLOCK_BIT(steward_clock_hash(MyDatabaseId,
												 local.invalidated[i]));
	if ((bits[STEWARD_CHANGE_DATA] | bits[STEWARD_CHANGE_DEFINITION]) == 0)
		return;

	steward_board_announce(bits);
}

/* Move the definitions that this transaction changed. */
static void
move_definitions(uint64 time)
{
	if (local.many_invalidated)
		steward_board_move_database(MyDatabaseId, STEWARD_CHANGE_DEFINITION, time);
	for (int i = 0; i < local.ninvalidated; i++)
		steward_board_move(steward_clock_hash(MyDatabaseId, local.invalidated[i]),
					  STEWARD_CHANGE_DEFINITION, time);
	for (PgStat_TableXactStatus *entry = local.counts ? local.counts->first : NULL;
		 entry != NULL; entry = entry->next)
	{
		StewardChange change;

		if (change_of(entry, &change) && change == STEWARD_CHANGE_DEFINITION)
			steward_board_move(steward_clock_hash(MyDatabaseId,
											 STEWARD_COUNTS_RELATION(entry->parent)),
						  change, time);
	}
}

/* Count everything in a database as changed, because one cannot know. */
static void
move_everything(Oid database)
{
	uint64		time = steward_board_now();

	for (int change = 0; change < STEWARD_CHANGES; change++)
		steward_board_move_database(database, change, time);
}

/*
 * Write down what this transaction has changed: it is visible now.  No error,
 * no allocation, no lock.
 */
static void
move_committed(void)
{
	uint64		time;
	StewardChange change;

	time = steward_board_now();
	if (counts_incomplete())
	{
		local.everything = local.late = true;
		move_everything(MyDatabaseId);
	}
	if (local.counts != NULL)
	{
		for (PgStat_TableXactStatus *entry = local.counts->first;
			 entry != NULL; entry = entry->next)
		{
			if (!change_of(entry, &change))
				continue;
			if (change == STEWARD_CHANGE_DEFINITION)
				local.late = true;
			else
				steward_board_move(steward_clock_hash(MyDatabaseId,
												 STEWARD_COUNTS_RELATION(entry->parent)),
							  change, time);
		}
	}
	if (local.late || local.ninvalidated > 0 || local.many_invalidated)
	{
		local.late = true;
		move_definitions(time);
	}
}

/*
 * List the transaction that is being prepared, with what it changes.
 */
static void
list_prepared(void)
{
	StewardPrepared what;
	StewardChange change;

	memset(&what, 0, sizeof(what));
	what.everything = counts_incomplete() || local.many_invalidated;
	for (PgStat_TableXactStatus *entry = local.counts->first; entry != NULL;
		 entry = entry->next)
	{
		if (change_of(entry, &change))
			steward_prepared_add(&what, STEWARD_COUNTS_RELATION(entry->parent),
								 change);
	}
	for (int i = 0; i < local.ninvalidated; i++)
		steward_prepared_add(&what, local.invalidated[i],
							 STEWARD_CHANGE_DEFINITION);
	local.preparing = steward_prepared_list(&what);
}

/* Be ready for the next transaction. */
static void
reset_transaction(void)
{
	local.counts = NULL;
	local.untracked = false;
	local.late = local.everything = false;
	local.preparing = -1;
	local.many_invalidated = false;
	local.ninvalidated = 0;
}

/* The callback at the end of transactions. */
static void
end_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (read_counts())
				announce();
			break;
		case XACT_EVENT_COMMIT:
			if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
				move_committed();
			if (!local.late)
			{
				steward_board_withdraw();
				reset_transaction();
			}
			local.end(true);
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (read_counts())
				list_prepared();
			break;
		case XACT_EVENT_PREPARE:
			reset_transaction();
			local.end(false);
			break;
		case XACT_EVENT_ABORT:
			if (local.preparing >= 0)
				steward_prepared_unlist(local.preparing);
			steward_board_withdraw();
			reset_transaction();
			local.end(false);
			break;
		default:
			break;				/* parallel workers do not write */
	}
}

/*
 * Messages about definitions have been sent: move them again.
 */
static void
release_resources(ResourceReleasePhase phase, bool is_commit, bool is_top,
				  void *arg)
{
	uint64		time;

	if (!local.late || phase != RESOURCE_RELEASE_LOCKS || !is_top)
		return;
	time = steward_board_now();
	if (local.everything)
		steward_board_move_database(MyDatabaseId, STEWARD_CHANGE_DEFINITION, time);
	move_definitions(time);
	steward_board_withdraw();
	reset_transaction();
}

/* A new database may have the number of one that was dropped. */
static void
watch_objects(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id,
			  void *arg)
{
	if (local.prev_object_access)
		local.prev_object_access(access, class_id, object_id, sub_id, arg);
	if (access == OAT_POST_CREATE && class_id == DatabaseRelationId &&
		steward_clock_runs())
		move_everything(object_id);
}

/* Notice when counting is off, be it for a moment. */
static void
assign_track_counts(bool value, void *extra)
{
	if (!value || !pgstat_track_counts)
		local.untracked = true;
	if (local.prev_assign_track_counts)
		local.prev_assign_track_counts(value, extra);
}

/*
 * Create the clock and follow transactions, while the library is being
 * preloaded.  Without that there is no clock.
 */
void
steward_clock_init(StewardClockEnd end)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;

	reset_transaction();
	local.end = end;
	steward_board_register();
	steward_prepared_register();
	RegisterXactCallback(end_transaction, NULL);
	RegisterResourceReleaseCallback(release_resources, NULL);
	CacheRegisterRelcacheCallback(note_invalidated, (Datum) 0);
	local.prev_object_access = object_access_hook;
	object_access_hook = watch_objects;
	STEWARD_HOOK_BOOL_SETTING("track_counts", assign_track_counts,
							  local.prev_assign_track_counts);
}
