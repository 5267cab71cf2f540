/*-------------------------------------------------------------------------
 *
 * pool_count.c
 *	  Counts connections.
 *
 * The number that decides whether the next client gets in is that of the free
 * process slots; it is read from the server's own list of them.  What
 * pg_stat_activity shows is less: a client that has not yet said who it is
 * has a slot, but on servers before 18 no entry there, and on 18 and newer an
 * entry without a role.  The difference is called half open.
 *
 * Everything else comes from the server's table of backend states, of which
 * it makes a copy for us.  The copy is of one moment per entry; counts may be
 * off by connections that come and go meanwhile.
 *
 * Walsenders, autovacuum and background workers have slots of other kinds, and
 * are not counted.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/postmaster.h"
#include "storage/proc.h"
#include "utils/backend_status.h"
#include "utils/hsearch.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "pool/pool_count.h"

/* What connections are grouped by. */
typedef struct ConsumerKey
{
	Oid			database;
	Oid			role;
	int			state;			/* BackendState, or -1 for any */
	char		application[NAMEDATALEN];
} ConsumerKey;

typedef struct Consumer
{
	ConsumerKey key;			/* must be first */
	int			count;
	TimestampTz oldest;			/* in this state since */
} Consumer;

/* Is this entry a client's backend that has come in? */
static bool
is_client(const PgBackendStatus *entry)
{
	return entry->st_procpid > 0 && entry->st_backendType == B_BACKEND &&
		OidIsValid(entry->st_userid);
}

/* Add a client to the counts. */
static void
count_client(StewardPoolCount *count, const PgBackendStatus *entry)
{
	count->clients++;
	switch (entry->st_state)
	{
		case STATE_RUNNING:
		case STATE_FASTPATH:
			count->active++;
			break;
		case STATE_IDLE:
			count->idle++;
			break;
		case STATE_IDLEINTRANSACTION:
		case STATE_IDLEINTRANSACTION_ABORTED:
			count->idle_in_transaction++;
			if (count->oldest_idle_in_transaction == 0 ||
				entry->st_state_start_timestamp < count->oldest_idle_in_transaction)
				count->oldest_idle_in_transaction = entry->st_state_start_timestamp;
			break;
		default:
			count->untracked++;
			break;
	}
}

/*
 * Count the connections of this moment, without the limits of roles and
 * databases.  Takes the server's spinlock of the free slots for as long as it
 * takes to walk their list, as each incoming connection may, and no other
 * lock.
 */
void
steward_pool_count(StewardPoolCount *count)
{
	int			nfree;
	int			n;

	memset(count, 0, sizeof(*count));
	count->at = GetCurrentTimestamp();
	count->max_connections = MaxConnections;
	count->usable = Max(MaxConnections - STEWARD_RESERVED_SLOTS, 0);
	STEWARD_COUNT_FREE_SLOTS(MaxConnections, nfree);
	count->used = MaxConnections - nfree;

	pgstat_clear_backend_activity_snapshot();
	n = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n; i++)
	{
		LocalPgBackendStatus *local = pgstat_get_local_beentry_by_index(i);

		if (local != NULL && is_client(&local->backendStatus))
			count_client(count, &local->backendStatus);
	}
	pgstat_clear_backend_activity_snapshot();

	/* some may have come or gone since the slots were counted */
	count->used = Max(count->used, count->clients);
	count->half_open = count->used - count->clients;
}

/*
 * Hash table of the connections of this moment by database and role, and if
 * by_state also by state and application.  In the current memory context.
 */
static HTAB *
group_clients(bool by_state)
{
	HASHCTL		ctl;
	HTAB	   *groups;
	int			n;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(ConsumerKey);
	ctl.entrysize = sizeof(Consumer);
	ctl.hcxt = CurrentMemoryContext;
	groups = hash_create("pg_steward connections", 64, &ctl,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	pgstat_clear_backend_activity_snapshot();
	n = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n; i++)
	{
		LocalPgBackendStatus *local = pgstat_get_local_beentry_by_index(i);
		PgBackendStatus *entry;
		ConsumerKey key;
		Consumer   *consumer;
		bool		found;

		if (local == NULL || !is_client(&local->backendStatus))
			continue;
		entry = &local->backendStatus;
		memset(&key, 0, sizeof(key));
		key.database = entry->st_databaseid;
		key.role = entry->st_userid;
		key.state = -1;
		if (by_state)
		{
			key.state = entry->st_state;
			strlcpy(key.application, entry->st_appname, NAMEDATALEN);
		}
		consumer = hash_search(groups, &key, HASH_ENTER, &found);
		if (!found)
		{
			consumer->count = 0;
			consumer->oldest = entry->st_state_start_timestamp;
		}
		consumer->count++;
		consumer->oldest = Min(consumer->oldest,
							   entry->st_state_start_timestamp);
	}
	pgstat_clear_backend_activity_snapshot();
	return groups;
}

/* CONNECTION LIMIT of a role, -1 for none. */
static int
role_limit(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	int			limit = -1;

	if (!HeapTupleIsValid(tuple))
		return -1;
	if (!((Form_pg_authid) GETSTRUCT(tuple))->rolsuper)
		limit = ((Form_pg_authid) GETSTRUCT(tuple))->rolconnlimit;
	ReleaseSysCache(tuple);
	return limit;
}

/* CONNECTION LIMIT of a database, -1 for none. */
static int
database_limit(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID,
										ObjectIdGetDatum(database));
	int			limit = -1;

	if (!HeapTupleIsValid(tuple))
		return -1;
	limit = ((Form_pg_database) GETSTRUCT(tuple))->datconnlimit;
	ReleaseSysCache(tuple);
	return limit;
}

/* Is this use of a limit nearer to it than what was found before? */
static void
consider_limit(StewardPoolCount *count, int used, int limit, Oid role,
			   Oid database)
{
	if (limit <= 0 || used <= 0)
		return;
	if (count->tightest_limit > 0 &&
		(double) used / limit <=
		(double) count->tightest_used / count->tightest_limit)
		return;
	count->tightest_used = used;
	count->tightest_limit = limit;
	count->tightest_role = role;
	count->tightest_database = database;
}

/*
 * Find the role or database that is nearest to its CONNECTION LIMIT.  In a
 * transaction; reads the catalogs of roles and databases through their caches.
 */
void
steward_pool_limits(StewardPoolCount *count)
{
	HTAB	   *groups = group_clients(false);
	HASHCTL		ctl;
	HTAB	   *sums;
	HASH_SEQ_STATUS scan;
	Consumer   *consumer;

	/* one sum for each role, and one for each database */
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(ConsumerKey);
	ctl.entrysize = sizeof(Consumer);
	ctl.hcxt = CurrentMemoryContext;
	sums = hash_create("pg_steward connection limits", 64, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	hash_seq_init(&scan, groups);
	while ((consumer = hash_seq_search(&scan)) != NULL)
	{
		for (int side = 0; side < 2; side++)
		{
			ConsumerKey key;
			Consumer   *sum;
			bool		found;

			memset(&key, 0, sizeof(key));
			if (side == 0)
				key.role = consumer->key.role;
			else
				key.database = consumer->key.database;
			sum = hash_search(sums, &key, HASH_ENTER, &found);
			sum->count = (found ? sum->count : 0) + consumer->count;
		}
	}

	hash_seq_init(&scan, sums);
	while ((consumer = hash_seq_search(&scan)) != NULL)
	{
		int			limit = OidIsValid(consumer->key.role) ?
			role_limit(consumer->key.role) :
			database_limit(consumer->key.database);

		consider_limit(count, consumer->count, limit, consumer->key.role,
					   consumer->key.database);
	}
	hash_destroy(sums);
	hash_destroy(groups);
}

/* Most connections first, then the oldest. */
static int
compare_consumers(const void *a, const void *b)
{
	const Consumer *left = a;
	const Consumer *right = b;

	if (left->count != right->count)
		return right->count - left->count;
	if (left->oldest != right->oldest)
		return left->oldest < right->oldest ? -1 : 1;
	return memcmp(&left->key, &right->key, sizeof(ConsumerKey));
}

/* The state's name, as in pg_stat_activity. */
static const char *
state_name(int state)
{
	switch (state)
	{
		case STATE_RUNNING:
			return "active";
		case STATE_FASTPATH:
			return "fastpath function call";
		case STATE_IDLE:
			return "idle";
		case STATE_IDLEINTRANSACTION:
			return "idle in transaction";
		case STATE_IDLEINTRANSACTION_ABORTED:
			return "idle in transaction (aborted)";
		default:
			return "disabled";
	}
}

/* Append a name in double quotes, without what would break the line. */
static void
append_quoted(StringInfo text, const char *name)
{
	appendStringInfoChar(text, '"');
	for (const char *p = name; *p != '\0'; p++)
		appendStringInfoChar(text, (*p == '"' || (unsigned char) *p < ' ') ?
							 '?' : *p);
	appendStringInfoChar(text, '"');
}

/* Name of a role or database by syscache, or its number if it is gone. */
static void
append_object(StringInfo text, int cache, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(oid));

	if (!HeapTupleIsValid(tuple))
	{
		appendStringInfo(text, "\"%u\"", oid);
		return;
	}
	append_quoted(text, cache == AUTHOID ?
				  NameStr(((Form_pg_authid) GETSTRUCT(tuple))->rolname) :
				  NameStr(((Form_pg_database) GETSTRUCT(tuple))->datname));
	ReleaseSysCache(tuple);
}

/*
 * Append the groups of connections that take most slots, as key=value, one
 * after the other in braces.  In a transaction.
 */
void
steward_pool_describe_consumers(StringInfo text, int top)
{
	HTAB	   *groups = group_clients(true);
	long		n = hash_get_num_entries(groups);
	Consumer   *consumers = palloc(sizeof(Consumer) * Max(n, 1));
	TimestampTz now = GetCurrentTimestamp();
	HASH_SEQ_STATUS scan;
	Consumer   *consumer;

	n = 0;
	hash_seq_init(&scan, groups);
	while ((consumer = hash_seq_search(&scan)) != NULL)
		consumers[n++] = *consumer;
	hash_destroy(groups);
	qsort(consumers, n, sizeof(Consumer), compare_consumers);

	for (int i = 0; i < Min(n, top); i++)
	{
		consumer = &consumers[i];
		appendStringInfoString(text, i > 0 ? ", {database=" : "{database=");
		append_object(text, DATABASEOID, consumer->key.database);
		appendStringInfoString(text, " role=");
		append_object(text, AUTHOID, consumer->key.role);
		appendStringInfoString(text, " application_name=");
		append_quoted(text, consumer->key.application);
		appendStringInfo(text, " state=\"%s\" count=%d oldest_seconds=%ld}",
						 state_name(consumer->key.state), consumer->count,
						 consumer->oldest == 0 ? 0L :
						 (long) (TimestampDifferenceMilliseconds(consumer->oldest, now) / 1000));
	}
	pfree(consumers);
}
