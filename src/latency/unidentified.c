/*-------------------------------------------------------------------------
 *
 * unidentified.c
 *	  Query ids of statements that failed before they had one.
 *
 * A statement gets its query id at the end of parse analysis.  If it is
 * cancelled while it waits for a lock in parse analysis, or when a prepared
 * statement is bound, nobody knows its id, and these are the statements that
 * waited longest.  So for each statement that is analyzed we remember which
 * id its text got, and look there when one fails.  Texts are compared without
 * literals, comments and white space, and only as far as pg_stat_activity
 * shows them (track_activity_query_size), because that is where the text of a
 * failed statement is found.  One that was never analyzed before is counted
 * under query id 0.
 *
 * The memory is a table of pairs (hash of database and text, query id) that is
 * indexed by the hash; a newer pair replaces an older one.  It needs no lock:
 * the first word of a pair is stored XORed with the second, so that a pair
 * that was read while it was written does not match.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "utils/backend_status.h"

#include "base/compat.h"
#include "base/shmem.h"
#include "latency/unidentified.h"

#define MEMORY_PAIRS 4096		/* a power of two */

typedef struct Pair
{
	pg_atomic_uint64 check;		/* hash XOR query id; anyone writes */
	pg_atomic_uint64 queryid;	/* anyone writes */
} Pair;

static Pair *memory;			/* shared; NULL unless preloaded */

static Size
memory_size(void)
{
	return MEMORY_PAIRS * sizeof(Pair);
}

static void
attach_memory(void *area, LWLockPadded *locks, bool found)
{
	memory = area;
	for (int i = 0; !found && i < MEMORY_PAIRS; i++)
	{
		pg_atomic_init_u64(&memory[i].check, 0);
		pg_atomic_init_u64(&memory[i].queryid, 0);
	}
}

static const StewardShmemArea memory_area = {
	.name = "pg_steward query texts",
	.size = memory_size,
	.attach = attach_memory,
};

/*
 * Ask for the shared memory; only while the library is being preloaded.
 */
void
steward_unidentified_init(void)
{
	steward_shmem_register(&memory_area);
}

static inline bool
is_word(unsigned char c)
{
	return isalnum(c) || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

/*
 * Hash of the first statement of a text, without what may differ between two
 * executions.  This need not be SQL's lexer: if it errs, it errs in the same
 * way whenever it sees the text.
 */
static uint64
hash_statement(const char *text, const char *end)
{
	uint64		hash = MyDatabaseId;
	unsigned char last = ' ';

	for (const char *p = text; p < end && *p != '\0' && *p != ';'; p++)
	{
		unsigned char c = *p;

		if (c == '\'')
		{
			while (p + 1 < end && p[1] != '\0' && *++p != '\'')
				;
			c = '#';
		}
		else if (c == '/' && p + 1 < end && p[1] == '*')
		{
			for (p += 2; p + 1 < end && *p != '\0' && !(p[0] == '*' && p[1] == '/'); p++)
				;
			if (p + 1 >= end || *p == '\0')
				break;
			p++;
			continue;
		}
		else if (isdigit(c) && !is_word(last))
		{
			while (p + 1 < end && (is_word(p[1]) || p[1] == '.'))
				p++;
			c = '#';
		}
		last = c;
		if (!isspace(c))
			hash = (hash ^ c) * UINT64CONST(0x100000001b3);
	}
	hash *= UINT64CONST(0xd6e8feb86659fd93);
	return hash ^ (hash >> 32);
}

/* End of the part of a message that pg_stat_activity shows. */
static const char *
visible_end(const char *message)
{
	return message + pgstat_track_activity_query_size - 1;
}

/*
 * Remember the query id of a statement, given as a part of the client's
 * message like in PlannedStmt; length 0 stands for all the rest.
 */
void
steward_unidentified_learn(const char *message, int location, int length,
						   int64 queryid)
{
	int			start = Max(location, 0);
	const char *end = visible_end(message);
	uint64		hash;
	Pair	   *pair;

	if (start >= pgstat_track_activity_query_size - 1)
		return;
	if (length > 0)
		end = Min(end, message + start + length);
	hash = hash_statement(message + start, end);
	pair = &memory[hash & (MEMORY_PAIRS - 1)];
	if (pg_atomic_read_u64(&pair->queryid) == (uint64) queryid &&
		pg_atomic_read_u64(&pair->check) == (hash ^ (uint64) queryid))
		return;
	pg_atomic_write_u64(&pair->check, hash ^ (uint64) queryid);
	pg_atomic_write_u64(&pair->queryid, (uint64) queryid);
}

/* Where the statement that may have failed begins, or NULL. */
static const char *
failed_statement(int location)
{
	const char *message;

	if (MyBEEntry == NULL)
		return NULL;
	message = MyBEEntry->st_activity_raw;
	if (strnlen(message, pgstat_track_activity_query_size - 1) <= location)
		return NULL;
	message += location;
	while (*message == ';' || isspace((unsigned char) *message))
		message++;
	return message;
}

/*
 * Is there another statement in this session's latest message after this
 * place?
 */
bool
steward_unidentified_more(int location)
{
	const char *statement = failed_statement(location);

	return statement != NULL && *statement != '\0';
}

/*
 * Query id of the statement that begins at a place of this session's latest
 * message, or 0.
 */
int64
steward_unidentified_guess(int location)
{
	const char *statement = failed_statement(location);
	uint64		hash;
	uint64		queryid;
	Pair	   *pair;

	if (statement == NULL)
		return 0;
	hash = hash_statement(statement, visible_end(MyBEEntry->st_activity_raw));
	pair = &memory[hash & (MEMORY_PAIRS - 1)];
	queryid = pg_atomic_read_u64(&pair->queryid);
	if (pg_atomic_read_u64(&pair->check) != (hash ^ queryid))
		return 0;
	return (int64) queryid;
}
