/*-------------------------------------------------------------------------
 *
 * freshness.c
 *	  Does a materialized view hold what its query would return?
 *
 * A refresh marks its view: it ticks the change clock, reads the definition,
 * and only then takes the snapshot for the query.  When it commits, the mark
 * becomes public.  The view is fresh as long as
 *
 *	- no relation that the query reads has moved since the tick, nor the
 *	  database as a whole (change_clock.c has the proof for rows);
 *	- the definition, closure of views, partitions and functions included, has
 *	  the same signature (matview_sources.c);
 *	- the view itself has not moved since the mark became public, so that its
 *	  rows are still those of this refresh.
 *
 * The view's own time: at its commit a refresh first moves the slot of the
 * view, as any writer, then ticks the clock once more, all before it releases
 * its lock on the view.  Whoever changes the view afterwards, say by REFRESH
 * with an old snapshot, had to wait for this lock and moves the slot to the
 * later time.
 *
 * Definitions.  Reading catalogs takes a connection and a fraction of a
 * millisecond; looking at the board takes neither.  The mark therefore keeps
 * all relations of the closure.  As long as the definition of none has moved
 * since the catalogs were last read, the signature is that of the mark.  When
 * one has moved, "recheck" says that somebody with a connection has to read
 * them.  He ticks before he reads, and if nothing is different the mark
 * remembers the new time.  He reads with a snapshot taken after his tick, not
 * from caches, because those may lag behind.  If the definition is found to be
 * different the mark says so until the next refresh.  A transaction that has
 * written something does not decide for others: it sees what is not committed.
 *
 * The signature is read before the refresh plans its query.  If a definition
 * is changed in between, the mark has the older one, and the view is found
 * stale.  That the refresh uses nothing older than the signature is ensured by
 * accepting invalidation messages after the tick, and by definitions being
 * moved again once messages have been sent.
 *
 * A refresh in a transaction with one snapshot from its beginning (REPEATABLE
 * READ) would mark what the snapshot does not show: it leaves no mark.
 * Neither does one that is rolled back, also to a savepoint, or prepared.
 *
 * User-defined functions in SQL or a procedural language may call others,
 * which the closure does not know: for a view that uses one, any change of
 * pg_proc counts as a change of its data.
 *
 * Some functions depend on settings such as TimeZone (determinism.c).  The
 * mark has a hash of them.  What counts are the settings of background
 * workers, which all have the same: one that finds a view refreshed with other
 * settings calls it stale.  Sessions, with settings of their own, do not ask.
 *
 * Nothing is known on a standby: refreshes, and commits as callbacks, happen
 * on the primary.  After promotion and after any restart there is no mark.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/shmem.h"
#include "refresh/change_clock.h"
#include "refresh/freshness.h"
#include "refresh/freshness_marks.h"
#include "refresh/matview_sources.h"

#define READ_ATTEMPTS 10

/* A mark that waits for the commit; in TopTransactionContext. */
typedef struct PendingMark
{
	struct PendingMark *next;
	int			nest_level;		/* of the subtransaction it belongs to */
	bool		forget;			/* rather remove the mark that is there */
	StewardMark mark;
	uint32	   *relations;
} PendingMark;

/* Marks of the current transaction, latest first. */
static PendingMark *pending;

static const char *const state_names[] = {
	"unknown", "fresh", "stale", "never_populated"
};

/* The name of a state, as users see it. */
const char *
steward_freshness_name(StewardFreshness state)
{
	return state_names[state];
}

/* Write the hashes of some relations, and collect their bits. */
static uint32 *
put_hashes(uint32 *next, List *relations, uint64 *bits)
{
	ListCell   *cell;

	foreach(cell, relations)
	{
		*next = steward_clock_hash(MyDatabaseId, lfirst_oid(cell));
		*bits |= STEWARD_CLOCK_BIT(*next);
		next++;
	}
	return next;
}

/* Catalogs of which any change may concern definitions. */
static const Oid catalogs[] = {
	InheritsRelationId, RewriteRelationId, ProcedureRelationId
};

/* Does a mark have to look at a catalog of the list? */
static bool
uses_catalog(const StewardMark *mark, Oid catalog)
{
	return catalog != ProcedureRelationId || mark->calls_user_functions;
}

/*
 * Fill a mark from the sources of the view; the array of relations is palloc'd
 * in the current memory context.
 */
static uint32 *
fill_mark(StewardMark *mark, Oid view, const StewardSources *sources)
{
	uint32	   *relations;
	uint32	   *next;

	memset(mark, 0, sizeof(*mark));
	mark->database = MyDatabaseId;
	mark->view = view;
	mark->hash = steward_clock_hash(MyDatabaseId, view);
	mark->signature = sources->signature;
	mark->assumed = sources->assumed;
	mark->calls_user_functions = sources->calls_user_functions;
	mark->calls_user_code = sources->calls_user_code;
	mark->nstored = list_length(sources->tables) + list_length(sources->matviews);
	mark->nothers = list_length(sources->others);
	if (sources->depends_on_settings)
		mark->settings = steward_sources_settings();

	relations = palloc_array(uint32, mark->nstored + mark->nothers + 1);
	next = put_hashes(relations, sources->tables, &mark->bits);
	next = put_hashes(next, sources->matviews, &mark->bits);
	mark->definition_bits = mark->bits;
	(void) put_hashes(next, sources->others, &mark->definition_bits);

	mark->bits |= STEWARD_CLOCK_BIT(mark->hash);
	mark->definition_bits |= STEWARD_CLOCK_BIT(mark->hash);
	for (int i = 0; i < lengthof(catalogs); i++)
	{
		if (uses_catalog(mark, catalogs[i]))
			mark->definition_bits |=
				STEWARD_CLOCK_BIT(steward_clock_hash(MyDatabaseId, catalogs[i]));
	}
	pg_atomic_init_u64(&mark->definitions_base, 0);
	pg_atomic_init_u64(&mark->stale_since, 0);
	pg_atomic_init_u32(&mark->redefined, 0);
	pg_atomic_init_u64(&mark->asked, (uint64) GetCurrentTimestamp());
	return relations;
}

/* Have changes of all that a mark depends on written down. */
static void
watch_relations(const StewardMark *mark, const uint32 *relations)
{
	for (uint32 i = 0; i < mark->nstored + mark->nothers; i++)
		steward_clock_watch(relations[i]);
	steward_clock_watch(mark->hash);
	for (int i = 0; i < lengthof(catalogs); i++)
		steward_clock_watch(steward_clock_hash(MyDatabaseId, catalogs[i]));
}

/*
 * Read the sources after a tick, all of them being watched before it: read,
 * watch, tick, and read again until nothing new appears.  Returns the time of
 * the tick, or 0 if definitions change all the time.
 */
static uint64
read_after_tick(Oid view, bool assume_deterministic, StewardSources *sources,
				StewardMark *mark, uint32 **relations)
{
	uint64		signature;
	uint64		base;

	steward_sources_read(view, assume_deterministic, sources);
	for (int i = 0; i < READ_ATTEMPTS; i++)
	{
		CHECK_FOR_INTERRUPTS();
		*relations = fill_mark(mark, view, sources);
		watch_relations(mark, *relations);
		signature = sources->signature;
		steward_clock_settle();
		base = steward_clock_tick();
		steward_clock_adopt_prepared();
		AcceptInvalidationMessages();
		steward_sources_read(view, assume_deterministic, sources);
		if (sources->signature == signature)
			return base;
	}
	return 0;
}

/*
 * Mark a view that is about to be refreshed.  Called in the transaction of the
 * refresh, after the lock on the view was taken and before the snapshot for
 * its query is.  The mark becomes public when the transaction commits.
 * Without preloading this does nothing.
 */
void
steward_freshness_mark(Oid view, bool assume_deterministic)
{
	MemoryContext old;
	PendingMark *entry;
	StewardSources sources;
	uint64		base;

	if (!steward_clock_runs() || RecoveryInProgress())
		return;

	old = MemoryContextSwitchTo(TopTransactionContext);
	entry = palloc0_object(PendingMark);
	entry->nest_level = GetCurrentTransactionNestLevel();
	if (IsolationUsesXactSnapshot() && FirstSnapshotSet)
	{
		entry->mark.database = MyDatabaseId;
		entry->mark.view = view;
		entry->forget = true;
	}
	else
	{
		base = read_after_tick(view, assume_deterministic, &sources,
							   &entry->mark, &entry->relations);
		entry->mark.base = base;
		pg_atomic_write_u64(&entry->mark.definitions_base, base);
		entry->forget = base == 0 || sources.obstacle != NULL;
	}
	entry->next = pending;
	pending = entry;
	MemoryContextSwitchTo(old);
}

/* Make the mark of a committed refresh public. */
static void
publish(PendingMark *entry)
{
	LWLockAcquire(steward_marks_lock(), LW_EXCLUSIVE);
	if (entry->forget)
		steward_marks_remove(entry->mark.database, entry->mark.view);
	else
	{
		entry->mark.own_base = steward_clock_tick();
		(void) steward_marks_put(&entry->mark, entry->relations);
	}
	LWLockRelease(steward_marks_lock());
}

/*
 * The transaction is at its end: publish its marks, the earliest first.
 */
static void
end_transaction(bool committed)
{
	PendingMark *reversed = NULL;

	while (pending != NULL)
	{
		PendingMark *entry = pending;

		pending = entry->next;
		entry->next = reversed;
		reversed = entry;
	}
	for (; committed && reversed != NULL; reversed = reversed->next)
		publish(reversed);
}

/* Marks of a subtransaction become its parent's, or go with it. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mine,
				   SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (pending != NULL && pending->nest_level >= level)
			pending = pending->next;
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (PendingMark *entry = pending;
			 entry != NULL && entry->nest_level >= level; entry = entry->next)
			entry->nest_level = level - 1;
	}
}

/* Has what a mark depends on been changed?  The caller holds the lock. */
static bool
data_moved(const StewardMark *mark)
{
	const uint32 *relations = steward_marks_relations(mark);

	if (steward_clock_committing(mark->database, STEWARD_CHANGE_DATA,
								 mark->bits))
		return true;
	if (steward_clock_database_moved(mark->database, STEWARD_CHANGE_DATA,
									 mark->base) ||
		steward_clock_moved(mark->hash, STEWARD_CHANGE_DATA, mark->own_base))
		return true;
	if (mark->calls_user_code &&
		steward_clock_moved(steward_clock_hash(mark->database,
											   ProcedureRelationId),
							STEWARD_CHANGE_DEFINITION, mark->base))
		return true;
	for (uint32 i = 0; i < mark->nstored; i++)
	{
		if (steward_clock_moved(relations[i], STEWARD_CHANGE_DATA, mark->base))
			return true;
	}
	return false;
}

/*
 * May the definition have been changed since somebody read it?  The caller
 * holds the lock.
 */
static bool
definition_moved(const StewardMark *mark)
{
	const uint32 *relations = steward_marks_relations(mark);
	uint64		base = pg_atomic_read_u64((pg_atomic_uint64 *) &mark->definitions_base);

	if (steward_clock_committing(mark->database, STEWARD_CHANGE_DEFINITION,
								 mark->definition_bits) ||
		steward_clock_database_moved(mark->database, STEWARD_CHANGE_DEFINITION,
									 base) ||
		steward_clock_moved(mark->hash, STEWARD_CHANGE_DEFINITION, base))
		return true;
	for (int i = 0; i < lengthof(catalogs); i++)
	{
		if (uses_catalog(mark, catalogs[i]) &&
			steward_clock_moved(steward_clock_hash(mark->database, catalogs[i]),
								STEWARD_CHANGE_DEFINITION, base))
			return true;
	}
	for (uint32 i = 0; i < mark->nstored + mark->nothers; i++)
	{
		if (steward_clock_moved(relations[i], STEWARD_CHANGE_DEFINITION, base))
			return true;
	}
	return false;
}

/* Since when a mark is known to be stale; now, if nobody knew. */
static TimestampTz
note_stale(StewardMark *mark, TimestampTz now)
{
	uint64		since = 0;

	if (pg_atomic_compare_exchange_u64(&mark->stale_since, &since, (uint64) now))
		return now;
	return (TimestampTz) since;
}

/*
 * What the board says about a view of any database; from shared memory, in
 * about a microsecond.  "recheck": the definition may have changed, or there
 * is no mark, so that only steward_freshness_check() can tell.  *stale_since
 * is set for stale views: when somebody first asked and it was stale.  A mark
 * that holds only if functions are assumed to be deterministic is none for
 * who does not assume that (any more).
 */
StewardFreshness
steward_freshness_peek(Oid database, Oid view, bool assume_deterministic,
					   TimestampTz *stale_since, bool *recheck)
{
	StewardFreshness state = STEWARD_UNKNOWN;
	StewardMark *mark;

	*stale_since = 0;
	*recheck = true;
	if (!steward_clock_runs() || RecoveryInProgress())
		return STEWARD_UNKNOWN;

	steward_clock_settle();
	LWLockAcquire(steward_marks_lock(), LW_SHARED);
	mark = steward_marks_find(database, view);
	if (mark != NULL && (assume_deterministic || !mark->assumed))
	{
		TimestampTz now = GetCurrentTimestamp();

		pg_atomic_write_u64(&mark->asked, (uint64) now);
		if (pg_atomic_read_u32(&mark->redefined) != 0 || data_moved(mark))
		{
			state = STEWARD_STALE;
			*stale_since = note_stale(mark, now);
			*recheck = false;
		}
		else
		{
			state = STEWARD_FRESH;
			*recheck = definition_moved(mark);
		}
	}
	LWLockRelease(steward_marks_lock());
	return state;
}

/* A copy of the mark of a view of this database; false if there is none. */
static bool
copy_of_mark(Oid view, StewardMark *copy)
{
	StewardMark *mark;

	LWLockAcquire(steward_marks_lock(), LW_SHARED);
	mark = steward_marks_find(MyDatabaseId, view);
	if (mark != NULL)
		memcpy(copy, mark, sizeof(*copy));
	LWLockRelease(steward_marks_lock());
	return mark != NULL;
}

/*
 * Identifies the mark of a view of this database: another one has another
 * number.  0 if there is none.
 */
uint64
steward_freshness_marked(Oid view)
{
	StewardMark mark;

	if (!steward_clock_runs() || !copy_of_mark(view, &mark))
		return 0;
	return mark.own_base;
}

/*
 * Has a view of this database a mark, and none that waits for the end of this
 * transaction?  *assumed: functions were assumed to be deterministic.
 */
bool
steward_freshness_has_mark(Oid view, bool *assumed)
{
	StewardMark mark;

	for (PendingMark *entry = pending; entry != NULL; entry = entry->next)
		if (entry->mark.view == view)
			return false;
	if (!steward_clock_runs() || RecoveryInProgress() ||
		!copy_of_mark(view, &mark))
		return false;
	*assumed = mark.assumed;
	return true;
}

/*
 * Tell others what was found out about a definition that was read after a
 * tick, unless the mark is another one now.  Returns since when the view is
 * stale, if it is.
 */
static TimestampTz
note_definition(const StewardMark *read, uint64 base, bool same)
{
	TimestampTz now = GetCurrentTimestamp();
	StewardMark *mark;

	/* what we see may not be there for others, now or ever */
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return now;

	LWLockAcquire(steward_marks_lock(), LW_SHARED);
	mark = steward_marks_find(MyDatabaseId, read->view);
	if (mark != NULL && mark->own_base == read->own_base)
	{
		if (!same)
		{
			pg_atomic_write_u32(&mark->redefined, 1);
			now = note_stale(mark, now);
		}
		else
		{
			uint64		old = pg_atomic_read_u64(&mark->definitions_base);

			while (old < base &&
				   !pg_atomic_compare_exchange_u64(&mark->definitions_base,
												   &old, base))
				continue;
		}
	}
	LWLockRelease(steward_marks_lock());
	return now;
}

/* Is this a relation without data?  False if it does not exist. */
static bool
is_unpopulated(Oid view)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
	bool		populated = true;

	if (HeapTupleIsValid(tuple))
	{
		populated = ((Form_pg_class) GETSTRUCT(tuple))->relispopulated;
		ReleaseSysCache(tuple);
	}
	return !populated;
}

/* What made a view stale. */
static char *
why_stale(Oid view)
{
	StewardMark mark;

	if (copy_of_mark(view, &mark) && pg_atomic_read_u32(&mark.redefined) != 0)
		return pstrdup("its definition has changed");
	return pstrdup("what it reads has changed");
}

/* Why nothing is known, though the view could be followed. */
static char *
why_no_mark(void)
{
	if (!steward_clock_runs())
		return pstrdup("pg_steward is not loaded at server start");
	if (RecoveryInProgress())
		return pstrdup("the server is a standby");
	return pstrdup("no suitable refresh by pg_steward since the server started");
}

/*
 * The same for a view of this database, exactly: reads catalogs where that is
 * needed.  Sets *reason for other states than fresh, in the current memory
 * context, and *stale_since for stale views.
 */
StewardFreshness
steward_freshness_check(Oid view, bool assume_deterministic, char **reason,
						TimestampTz *stale_since)
{
	StewardSources sources;
	StewardFreshness state;
	StewardMark mark;
	uint64		base;
	bool		recheck;
	bool		same;

	*reason = NULL;
	*stale_since = 0;
	if (is_unpopulated(view))
		return STEWARD_NEVER_POPULATED;

	if (!steward_clock_runs() || RecoveryInProgress() ||
		!copy_of_mark(view, &mark) || (mark.assumed && !assume_deterministic))
	{
		steward_sources_read(view, assume_deterministic, &sources);
		*reason = sources.obstacle ? sources.obstacle : why_no_mark();
		return STEWARD_UNKNOWN;
	}

	state = steward_freshness_peek(MyDatabaseId, view, assume_deterministic,
								   stale_since, &recheck);
	if (state == STEWARD_STALE)
	{
		*reason = why_stale(view);
		return state;
	}
	if (AmBackgroundWorkerProcess() && mark.settings != 0 &&
		mark.settings != steward_sources_settings())
	{
		*reason = pstrdup("it was refreshed with other settings");
		*stale_since = note_definition(&mark, 0, false);
		return STEWARD_STALE;
	}
	if (!recheck)
		return state;

	steward_clock_settle();
	base = steward_clock_tick();
	steward_clock_adopt_prepared();
	AcceptInvalidationMessages();
	steward_sources_read(view, mark.assumed, &sources);
	same = sources.obstacle == NULL && sources.signature == mark.signature;
	*stale_since = note_definition(&mark, base, same);
	if (!same)
	{
		*reason = pstrdup("its definition has changed");
		return STEWARD_STALE;
	}
	*stale_since = 0;

	/* once more, for the rows: time has passed */
	state = steward_freshness_peek(MyDatabaseId, view, assume_deterministic,
								   stale_since, &recheck);
	if (state == STEWARD_STALE)
		*reason = why_stale(view);
	else if (state == STEWARD_UNKNOWN)
		*reason = why_no_mark();
	return state;
}

/*
 * Keep marks and follow transactions, while the library is being preloaded.
 */
void
steward_freshness_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	steward_marks_init();
	steward_clock_init(end_transaction);
	RegisterSubXactCallback(end_subtransaction, NULL);
}
