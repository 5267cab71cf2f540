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
#include "access/twophase.h"
#include "catalog/catalog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/guc_tables.h"
#include "utils/inval.h"
#include "utils/pgstat_internal.h"
#include "utils/rel.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "refresh/change_clock.h"

#define NDATABASES 1024			/* slots of whole databases */
#define MAX_PREPARED_CHANGES 16 /* of one prepared transaction */
#define MAX_INVALIDATED 64		/* of one transaction, by name */
#define TAG_NONE 0
#define TAG_MANY PG_UINT32_MAX

/* A place on the board.  Atomic, no lock. */
typedef struct Slot
{
	pg_atomic_uint64 moved[STEWARD_CHANGES];	/* time of the latest change */
} Slot;

/* What a backend is about to commit.  Atomic; written by that backend only. */
typedef struct Announcement
{
	pg_atomic_uint32 database;
	pg_atomic_uint64 bits[STEWARD_CHANGES];
} Announcement;

/* A change of a prepared transaction. */
typedef struct PreparedChange
{
	uint32		hash;
	StewardChange change;
} PreparedChange;

/* A transaction that is, or may be, prepared.  Guarded by the lock. */
typedef struct PreparedEntry
{
	FullTransactionId xid;		/* invalid: free */
	Oid			database;
	int			procno;			/* of the backend that prepares it, or -1 */
	bool		everything;		/* it may have changed all relations */
	bool		definitions;	/* some changes are of definitions */
	bool		finished;		/* seen to be at its end */
	int			nchanges;
	PreparedChange changes[MAX_PREPARED_CHANGES];
} PreparedEntry;

/* Shared memory.  What is not atomic is constant after creation. */
typedef struct Clock
{
	LWLock	   *lock;			/* of the prepared transactions */
	uint32		seed;			/* of the hash: collisions do not last */
	uint32		nslots;			/* a power of two */
	uint32		nannouncements;
	uint32		nprepared_max;
	pg_atomic_uint64 now;
	pg_atomic_uint32 nprepared; /* entries in use; written under the lock */
	Slot		databases[NDATABASES];
} Clock;

/* All process-local state of this file. */
static struct
{
	Clock	   *clock;			/* NULL unless preloaded */
	Slot	   *slots;
	pg_atomic_uint32 *tags;		/* per slot */
	Announcement *announcements;
	PreparedEntry *prepared;
	StewardClockEnd end;
	object_access_hook_type prev_object_access;
	GucBoolAssignHook prev_assign_track_counts;
	uint32		database_hash;	/* of database_hashed */
	Oid			database_hashed;

	/* of the current transaction */
	PgStat_SubXactStatus *counts;	/* since its end began */
	bool		untracked;		/* counting was off for a while */
	bool		announced;
	bool		late;			/* definitions to be moved again */
	bool		everything;		/* late: of the whole database */
	int			preparing;		/* own entry, or -1 */
	bool		many_invalidated;	/* more than fit */
	int			ninvalidated;
	Oid			invalidated[MAX_INVALIDATED];
}			local;

/* Number of slots: the setting, rounded down to a power of two. */
static uint32
slot_count(void)
{
	uint32		n = 1;

	while (n * 2 <= (uint32) steward_refresh_clock_slots)
		n *= 2;
	return n;
}

static Size
clock_size(void)
{
	Size		size = MAXALIGN(sizeof(Clock));

	size = add_size(size, mul_size(slot_count(), sizeof(Slot)));
	size = add_size(size, mul_size(MaxBackends, sizeof(Announcement)));
	size = add_size(size, mul_size(MaxBackends + max_prepared_xacts,
								   sizeof(PreparedEntry)));
	return add_size(size, mul_size(slot_count(), sizeof(pg_atomic_uint32)));
}

static void
init_slots(Slot *slots, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
	{
		for (int change = 0; change < STEWARD_CHANGES; change++)
			pg_atomic_init_u64(&slots[i].moved[change], 0);
	}
}

/* Fill a new board. */
static void
init_clock(Clock *clock, LWLockPadded *locks)
{
	clock->lock = &locks[0].lock;
	clock->seed = pg_prng_uint32(&pg_global_prng_state);
	clock->nslots = slot_count();
	clock->nannouncements = (uint32) MaxBackends;
	clock->nprepared_max = (uint32) (MaxBackends + max_prepared_xacts);
	pg_atomic_init_u64(&clock->now, 1);
	pg_atomic_init_u32(&clock->nprepared, 0);
	init_slots(clock->databases, NDATABASES);
	init_slots(local.slots, clock->nslots);
	for (uint32 i = 0; i < clock->nslots; i++)
		pg_atomic_init_u32(&local.tags[i], TAG_NONE);
	for (uint32 i = 0; i < clock->nannouncements; i++)
	{
		pg_atomic_init_u32(&local.announcements[i].database, InvalidOid);
		for (int change = 0; change < STEWARD_CHANGES; change++)
			pg_atomic_init_u64(&local.announcements[i].bits[change], 0);
	}
	memset(local.prepared, 0, clock->nprepared_max * sizeof(PreparedEntry));
}

static void
clock_attach(void *area, LWLockPadded *locks, bool found)
{
	char	   *next = (char *) area + MAXALIGN(sizeof(Clock));

	local.clock = (Clock *) area;
	local.slots = (Slot *) next;
	next += slot_count() * sizeof(Slot);
	local.announcements = (Announcement *) next;
	next += MaxBackends * sizeof(Announcement);
	local.prepared = (PreparedEntry *) next;
	next += (MaxBackends + max_prepared_xacts) * sizeof(PreparedEntry);
	local.tags = (pg_atomic_uint32 *) next;
	local.database_hashed = InvalidOid;
	if (!found)
		init_clock(local.clock, locks);
}

static const StewardShmemArea clock_area = {
	.name = "pg_steward_clock",
	.nlocks = 1,
	.size = clock_size,
	.attach = clock_attach,
};

/* Is there a clock?  Without it nothing can be said about changes. */
bool
steward_clock_runs(void)
{
	return local.clock != NULL;
}

/*
 * The hash by which a relation is known on the board.
 */
uint32
steward_clock_hash(Oid database, Oid relation)
{
	if (local.database_hashed != database)
	{
		local.database_hash = murmurhash32(database ^ local.clock->seed);
		local.database_hashed = database;
	}
	return murmurhash32(relation ^ local.database_hash);
}

/* The slot of a relation. */
static inline uint32
slot_number(uint32 hash)
{
	return hash & (local.clock->nslots - 1);
}

/* The tag of a relation: none of those with a meaning of their own. */
static inline uint32
relation_tag(uint32 hash)
{
	return (hash == TAG_NONE || hash == TAG_MANY) ? 1 : hash;
}

/* The slot of a database as a whole. */
static Slot *
database_slot(Oid database)
{
	return &local.clock->databases[murmurhash32(database ^ local.clock->seed) %
								   NDATABASES];
}

/*
 * From now on changes of this relation are written down.  To be called before
 * the tick of which one wants to know what changes afterwards.  There is no
 * way back: a tag costs nothing.
 */
void
steward_clock_watch(uint32 hash)
{
	pg_atomic_uint32 *tag = &local.tags[slot_number(hash)];
	uint32		wanted = relation_tag(hash);
	uint32		old = pg_atomic_read_u32(tag);

	while (old != wanted && old != TAG_MANY)
	{
		if (pg_atomic_compare_exchange_u32(tag, &old,
										   old == TAG_NONE ? wanted : TAG_MANY))
			break;
	}
}

/*
 * Advance the clock.  What changes for a snapshot that is taken afterwards has
 * moved since the time that is returned.
 */
uint64
steward_clock_tick(void)
{
	return pg_atomic_add_fetch_u64(&local.clock->now, 1);
}

/* Move a time forward, never back. */
static inline void
move_to(pg_atomic_uint64 *moved, uint64 time)
{
	uint64		old = pg_atomic_read_u64(moved);

	while (old < time)
	{
		if (pg_atomic_compare_exchange_u64(moved, &old, time))
			break;
	}
}

/* Move the slot of a relation, if it is watched. */
static inline void
move_relation(uint32 hash, StewardChange change, uint64 time)
{
	uint32		n = slot_number(hash);
	uint32		tag = pg_atomic_read_u32(&local.tags[n]);

	if (tag != TAG_NONE && (tag == TAG_MANY || tag == relation_tag(hash)))
		move_to(&local.slots[n].moved[change], time);
}

/*
 * Count everything in a database as changed, because one cannot know.
 */
void
steward_clock_move_database(Oid database)
{
	Slot	   *slot = database_slot(database);
	uint64		time;

	pg_memory_barrier();
	time = pg_atomic_read_u64(&local.clock->now);
	for (int change = 0; change < STEWARD_CHANGES; change++)
		move_to(&slot->moved[change], time);
}

/*
 * Has this relation changed since a time that the clock has shown?  Callers
 * ask after they have settled (below) and looked at what is being committed.
 */
bool
steward_clock_moved(uint32 hash, StewardChange change, uint64 since)
{
	return pg_atomic_read_u64(&local.slots[slot_number(hash)].moved[change]) >= since;
}

/* May anything in this database have changed since a time? */
bool
steward_clock_database_moved(Oid database, StewardChange change, uint64 since)
{
	return pg_atomic_read_u64(&database_slot(database)->moved[change]) >= since;
}

/*
 * Is anybody about to commit changes of relations of these bits?
 */
bool
steward_clock_committing(Oid database, StewardChange change, uint64 bits)
{
	bool		result = false;

	pg_memory_barrier();
	for (uint32 i = 0; i < local.clock->nannouncements; i++)
	{
		Announcement *announcement = &local.announcements[i];

		if ((pg_atomic_read_u64(&announcement->bits[change]) & bits) != 0 &&
			pg_atomic_read_u32(&announcement->database) == database)
		{
			result = true;
			break;
		}
	}
	pg_memory_barrier();
	return result;
}

/*
 * Is a transaction of the list still running or prepared?  The caller holds
 * ProcArrayLock.  A process is in the array of running transactions if its
 * place there has its transaction: places are kept dense, and a place that a
 * process has left has that of another or none.
 */
static bool
is_running(const PreparedEntry *entry)
{
	TransactionId xid = XidFromFullTransactionId(entry->xid);

	/* an identifier that has been used again is another transaction */
	if (U64FromFullTransactionId(ReadNextFullTransactionId()) -
		U64FromFullTransactionId(entry->xid) > PG_INT32_MAX)
		return false;

	if (entry->procno >= 0)
	{
		PGPROC	   *proc = &ProcGlobal->allProcs[entry->procno];

		if (proc->xid == xid && ProcGlobal->xids[proc->pgxactoff] == xid)
			return true;
	}
	for (int i = 0; i < max_prepared_xacts; i++)
	{
		PGPROC	   *proc = &PreparedXactProcs[i];

		if (proc->xid == xid && ProcGlobal->xids[proc->pgxactoff] == xid)
			return true;
	}
	return false;
}

/*
 * Does a prepared transaction still have the lock on its number?  It does
 * until all messages about what it changed have been sent.
 */
static bool
has_lock(const PreparedEntry *entry)
{
	LOCKTAG		tag;

	SET_LOCKTAG_TRANSACTION(tag, XidFromFullTransactionId(entry->xid));
	if (LockAcquire(&tag, ShareLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ShareLock, true);
	return false;
}

/*
 * Move the slots of what a prepared transaction changed: of data once, of
 * definitions each time.
 */
static void
move_prepared(const PreparedEntry *entry)
{
	uint64		time;

	pg_memory_barrier();
	time = pg_atomic_read_u64(&local.clock->now);
	for (int change = 0; change < STEWARD_CHANGES; change++)
	{
		if (change == STEWARD_CHANGE_DATA && entry->finished)
			continue;
		if (entry->everything)
			move_to(&database_slot(entry->database)->moved[change], time);
		for (int i = 0; i < entry->nchanges; i++)
		{
			if (entry->changes[i].change == change)
				move_relation(entry->changes[i].hash, change, time);
		}
	}
}

/* Forget an entry.  The caller holds the lock exclusively. */
static void
free_prepared(PreparedEntry *entry)
{
	entry->xid = InvalidFullTransactionId;
	pg_atomic_fetch_sub_u32(&local.clock->nprepared, 1);
}

/* Settle, by a caller that holds the lock exclusively. */
static void
settle_locked(void)
{
	for (uint32 i = 0; i < local.clock->nprepared_max; i++)
	{
		PreparedEntry *entry = &local.prepared[i];
		bool		running;
		bool		lingers;

		if (!FullTransactionIdIsValid(entry->xid))
			continue;
		LWLockAcquire(ProcArrayLock, LW_SHARED);
		running = is_running(entry);
		LWLockRelease(ProcArrayLock);
		if (running)
			continue;

		lingers = (entry->definitions || entry->everything) && has_lock(entry);
		move_prepared(entry);
		entry->finished = true;
		if (!lingers)
			free_prepared(entry);
	}
}

/*
 * Write down what prepared transactions changed that have come to their end.
 * To be called before one looks at slots, and before one ticks the clock.
 */
void
steward_clock_settle(void)
{
	pg_memory_barrier();
	if (pg_atomic_read_u32(&local.clock->nprepared) == 0)
		return;
	LWLockAcquire(local.clock->lock, LW_EXCLUSIVE);
	settle_locked();
	LWLockRelease(local.clock->lock);
}

/* A free entry for a prepared transaction, or NULL. */
static PreparedEntry *
allocate_prepared(FullTransactionId xid, Oid database)
{
	for (uint32 i = 0; i < local.clock->nprepared_max; i++)
	{
		PreparedEntry *entry = &local.prepared[i];

		if (FullTransactionIdIsValid(entry->xid))
			continue;
		memset(entry, 0, sizeof(*entry));
		entry->xid = xid;
		entry->database = database;
		entry->procno = -1;
		pg_atomic_fetch_add_u32(&local.clock->nprepared, 1);
		return entry;
	}
	return NULL;
}

/* The transaction with its epoch, for one that is running. */
static FullTransactionId
full_xid(TransactionId xid)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint32		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return FullTransactionIdFromEpochAndXid(epoch, xid);
}

/* Is there an entry for it? */
static bool
is_listed(FullTransactionId xid)
{
	for (uint32 i = 0; i < local.clock->nprepared_max; i++)
	{
		if (FullTransactionIdEquals(local.prepared[i].xid, xid))
			return true;
	}
	return false;
}

/*
 * List prepared transactions that were there before the clock was, or before
 * this server was promoted.  To be called after a tick: whatever is prepared
 * later lists itself.
 */
void
steward_clock_adopt_prepared(void)
{
	if (max_prepared_xacts == 0)
		return;
	LWLockAcquire(local.clock->lock, LW_EXCLUSIVE);
	LWLockAcquire(ProcArrayLock, LW_SHARED);
	for (int i = 0; i < max_prepared_xacts; i++)
	{
		PGPROC	   *proc = &PreparedXactProcs[i];
		PreparedEntry *entry;
		FullTransactionId xid;

		if (!TransactionIdIsValid(proc->xid) ||
			ProcGlobal->xids[proc->pgxactoff] != proc->xid)
			continue;
		xid = full_xid(proc->xid);
		if (is_listed(xid))
			continue;
		entry = allocate_prepared(xid, proc->databaseId);
		if (entry == NULL)
		{
			LWLockRelease(ProcArrayLock);
			LWLockRelease(local.clock->lock);
			elog(ERROR, "no room for prepared transactions");
		}
		entry->everything = true;
	}
	LWLockRelease(ProcArrayLock);
	LWLockRelease(local.clock->lock);
}

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
	Announcement *mine = &local.announcements[STEWARD_PROC_NUMBER];
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

	pg_atomic_write_u32(&mine->database, MyDatabaseId);
	pg_write_barrier();
	for (int i = 0; i < STEWARD_CHANGES; i++)
		pg_atomic_write_u64(&mine->bits[i], bits[i]);
	local.announced = true;
	pg_memory_barrier();
}

/* Take that back: it has been written down, or will not happen. */
static void
withdraw(void)
{
	Announcement *mine;

	if (!local.announced)
		return;
	mine = &local.announcements[STEWARD_PROC_NUMBER];
	pg_memory_barrier();
	for (int i = 0; i < STEWARD_CHANGES; i++)
		pg_atomic_write_u64(&mine->bits[i], 0);
	local.announced = false;
}

/* Move the definitions that this transaction changed. */
static void
move_definitions(uint64 time)
{
	if (local.many_invalidated)
		move_to(&database_slot(MyDatabaseId)->moved[STEWARD_CHANGE_DEFINITION],
				time);
	for (int i = 0; i < local.ninvalidated; i++)
		move_relation(steward_clock_hash(MyDatabaseId, local.invalidated[i]),
					  STEWARD_CHANGE_DEFINITION, time);
	for (PgStat_TableXactStatus *entry = local.counts ? local.counts->first : NULL;
		 entry != NULL; entry = entry->next)
	{
		StewardChange change;

		if (change_of(entry, &change) && change == STEWARD_CHANGE_DEFINITION)
			move_relation(steward_clock_hash(MyDatabaseId,
											 STEWARD_COUNTS_RELATION(entry->parent)),
						  change, time);
	}
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

	pg_memory_barrier();
	time = pg_atomic_read_u64(&local.clock->now);
	if (counts_incomplete())
	{
		local.everything = local.late = true;
		steward_clock_move_database(MyDatabaseId);
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
				move_relation(steward_clock_hash(MyDatabaseId,
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

/* List a change of the transaction that is being prepared. */
static void
list_change(PreparedEntry *entry, Oid relation, StewardChange change)
{
	if (change == STEWARD_CHANGE_DEFINITION)
		entry->definitions = true;
	if (entry->nchanges == MAX_PREPARED_CHANGES)
	{
		entry->everything = true;
		return;
	}
	entry->changes[entry->nchanges].hash = steward_clock_hash(MyDatabaseId,
															  relation);
	entry->changes[entry->nchanges++].change = change;
}

/*
 * List the transaction that is being prepared, with what it changes.
 */
static void
list_prepared(void)
{
	PreparedEntry *entry;
	StewardChange change;

	LWLockAcquire(local.clock->lock, LW_EXCLUSIVE);
	settle_locked();
	entry = allocate_prepared(GetTopFullTransactionId(), MyDatabaseId);
	if (entry == NULL)
	{
		LWLockRelease(local.clock->lock);
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many prepared transactions are waiting to be noticed"),
				 errhint("Try again after a minute.")));
	}
	local.preparing = (int) (entry - local.prepared);
	entry->procno = STEWARD_PROC_NUMBER;
	entry->everything = counts_incomplete() || local.many_invalidated;
	for (PgStat_TableXactStatus *count = local.counts->first; count != NULL;
		 count = count->next)
	{
		if (change_of(count, &change))
			list_change(entry, STEWARD_COUNTS_RELATION(count->parent), change);
	}
	for (int i = 0; i < local.ninvalidated; i++)
		list_change(entry, local.invalidated[i], STEWARD_CHANGE_DEFINITION);
	LWLockRelease(local.clock->lock);
}

/* The transaction that was to be prepared is not: forget its entry. */
static void
unlist_prepared(void)
{
	PreparedEntry *entry = &local.prepared[local.preparing];

	LWLockAcquire(local.clock->lock, LW_EXCLUSIVE);
	/* somebody may have settled it, and the place may be in use again */
	if (FullTransactionIdEquals(entry->xid, GetTopFullTransactionIdIfAny()))
		free_prepared(entry);
	LWLockRelease(local.clock->lock);
	local.preparing = -1;
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
				withdraw();
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
				unlist_prepared();
			withdraw();
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
	pg_memory_barrier();
	time = pg_atomic_read_u64(&local.clock->now);
	if (local.everything)
		move_to(&database_slot(MyDatabaseId)->moved[STEWARD_CHANGE_DEFINITION],
				time);
	move_definitions(time);
	withdraw();
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
		local.clock != NULL)
		steward_clock_move_database(object_id);
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
	steward_shmem_register(&clock_area);
	RegisterXactCallback(end_transaction, NULL);
	RegisterResourceReleaseCallback(release_resources, NULL);
	CacheRegisterRelcacheCallback(note_invalidated, (Datum) 0);
	local.prev_object_access = object_access_hook;
	object_access_hook = watch_objects;
	STEWARD_HOOK_BOOL_SETTING("track_counts", assign_track_counts,
							  local.prev_assign_track_counts);
}
