/*-------------------------------------------------------------------------
 *
 * n_plus_one_session.h
 *	  What a backend remembers of its latest statements, for the
 *	  n_plus_one* files only.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_N_PLUS_ONE_SESSION_H
#define STEWARD_N_PLUS_ONE_SESSION_H

#include "base/compat.h"
#include "latency/execution.h"
#include "latency/n_plus_one_store.h"

/* Statements remembered: sets of four, found by bits of the query id. */
#define REPEAT_SETS			16
#define REPEAT_WAYS			4
#define REPEAT_STATEMENTS	(REPEAT_SETS * REPEAT_WAYS)

/* Latest statements that returned several rows. */
#define REPEAT_LISTS		8

/* Executions whose values are looked at, in a group; groups in a session. */
#define REPEAT_SAMPLES		8
#define REPEAT_SAMPLED_GROUPS 8

/*
 * A pause counts for at most so many times the shortest one of the group: what
 * is typical shall not be hidden by a few long ones.
 */
#define REPEAT_MAX_PAUSE 8

#define REPEAT_NS_PER_US INT64CONST(1000)
#define REPEAT_NS_PER_MS INT64CONST(1000000)

/*
 * A statement: what each execution of it writes.  One cache line.  All counts
 * are of the session; "_base" is such a count at an earlier moment.
 */
typedef struct RepeatStatement
{
	uint32		calls;
	uint32		next_look;		/* number of calls at which to publish */
	uint32		group_base;		/* calls before the group */
	uint32		xact_base;		/* calls before the transaction */
	uint32		version;		/* of the session's lists, when last looked */
	uint32		consecutive;	/* calls right after a call */
	uint32		list_calls;		/* that returned threshold or more rows */
	uint32		min_pause_ns;	/* shortest pause before one, in the group */
	uint64		rows;
	int64		time_ns;
	int64		pause_ns;		/* pauses before all calls, limited */
	TimestampTz xact;			/* start of the latest call's transaction */
} RepeatStatement;

StaticAssertDecl(sizeof(RepeatStatement) <= 64, "fits a cache line");

/* The same statement: what changes with groups and parents. */
typedef struct RepeatContext
{
	/* Lists that ran before, by number, and calls after them. */
	uint16		epoch[REPEAT_LISTS];	/* of the list, when counting began */
	uint32		base[REPEAT_LISTS];
	uint32		list_rows[REPEAT_LISTS];	/* 0: cannot be the parent */
	int64		list_queryid[REPEAT_LISTS];

	uint32		burst;			/* of the session, when the group began */
	bool		published;		/* "group" is in the store */
	bool		flags_known;
	uint8		sampled_groups;
	uint8		sampled;		/* in this group */
	uint8		distinct;		/* of them, with different values */
	uint32		hashes[REPEAT_SAMPLES]; /* of those values */
	int			flags;			/* STEWARD_REPEAT_... */
	int			nesting;
	CmdType		command;
	TimestampTz started;		/* of the group */

	/* Totals when the group began, and those already in the store. */
	uint64		rows_base;
	int64		time_base;
	int64		pause_base;
	uint32		consecutive_base;
	uint32		stored_calls;
	uint32		stored_list_calls;
	uint64		stored_rows;

	StewardRepeatGroup group;	/* what was published */
} RepeatContext;

/* A statement that returned several rows; a parent of what follows. */
typedef struct RepeatList
{
	int64		queryid;		/* 0: none */
	uint32		rows;
	uint16		epoch;			/* changes with each execution */
	TimestampTz xact;
	uint32		used;			/* order of executions */
} RepeatList;

/* State of this process. */
typedef struct RepeatSession
{
	int64		last_end_ns;	/* of the latest statement, since 2000 */
	TimestampTz last_xact;
	RepeatStatement *last_statement;
	uint32		version;		/* changes when lists or bursts do */
	uint32		burst;			/* ends with a pause outside a transaction */
	uint32		order;			/* counts lists */
	uint16		epoch;			/* counts lists */
	bool		registered;		/* will be called at exit */
	bool		repeated;		/* a statement ran twice in a transaction,
								 * lately */
	uint64		open;			/* statements with a published group */

	/* Of statements that were not alone, see n_plus_one_record.h. */
	TimestampTz last_started;
	int			last_nesting;
	uint32		client_version; /* changes with each statement of the client
								 * that nested ones came before */
	int64		queryids[REPEAT_STATEMENTS];
	RepeatStatement statements[REPEAT_STATEMENTS];
	RepeatList	lists[REPEAT_LISTS];
	RepeatContext contexts[REPEAT_STATEMENTS];
} RepeatSession;

extern STEWARD_HIDDEN RepeatSession steward_repeat_session;

/* Index of the first place of the set in which a statement is. */
#define STEWARD_REPEAT_FIRST(queryid) \
	((int) ((queryid) & (REPEAT_SETS - 1)) * REPEAT_WAYS)

/* Why a group is looked at. */
typedef enum RepeatReason
{
	REPEAT_GREW,				/* it may be published, but goes on */
	REPEAT_LIST,				/* a parent ran again */
	REPEAT_XACT,				/* its transaction is over */
	REPEAT_PAUSE,				/* the client paused */
	REPEAT_EXIT,				/* the session ends, or forgets it */
} RepeatReason;

/* n_plus_one_group.c */
extern void steward_repeat_begin(int index, const StewardExecution *execution,
								 int64 latency_ns);
extern void steward_repeat_next_look(int index);
extern void steward_repeat_close(int index, uint32 over, RepeatReason reason);
extern void steward_repeat_enclose(const StewardExecution *parent);

/* n_plus_one_values.c */
extern void steward_repeat_sample(RepeatContext *context,
								  const StewardExecution *execution);

#endif							/* STEWARD_N_PLUS_ONE_SESSION_H */
