/*-------------------------------------------------------------------------
 *
 * n_plus_one_store.h
 *	  Groups of repeated statements, summed up in shared memory.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_N_PLUS_ONE_STORE_H
#define STEWARD_N_PLUS_ONE_STORE_H

#include "datatype/timestamp.h"
#include "nodes/nodes.h"

/* What is known about a statement that repeats. */
#define STEWARD_REPEAT_NESTED	0x01	/* runs inside a function */
#define STEWARD_REPEAT_LOCKS	0x02	/* SELECT ... FOR UPDATE and the like */
#define STEWARD_REPEAT_TABLES	0x04	/* reads or writes tables of users */
#define STEWARD_REPEAT_BATCHED	0x08	/* an array is among its parameters */

/*
 * One group: executions of "child" that followed one execution of "parent",
 * or one another.
 */
typedef struct StewardRepeatGroup
{
	int64		parent;			/* queryid, 0 for none */
	int64		child;			/* queryid */
	Oid			database;
	Oid			role;
	CmdType		command;		/* of the child */
	int			flags;			/* of the child, STEWARD_REPEAT_... */
	uint32		executions;		/* of the child */
	uint32		parent_rows;	/* of the parent; 0 without one */
	bool		enclosed;		/* the parent was still running */
	bool		coherent;		/* one piece of work, also without a parent */
	uint32		sampled;		/* executions whose values were looked at */
	uint32		distinct;		/* of them, with different values */
	uint64		rows;			/* of all executions */
	int64		time_ns;		/* latency of all executions */
	int64		pause_ns;		/* between the executions, limited */
	int64		saved_ns;		/* see n_plus_one.c */
	TimestampTz first_seen;
	TimestampTz last_seen;
	char		application[NAMEDATALEN];
	uint64		node;			/* where it was counted; set by the store */
} StewardRepeatGroup;

/* Buckets of executions per group: exact to 16, then 8 an octave. */
#define STEWARD_REPEAT_BUCKETS (16 + 8 * 24)

/* All groups of one parent and child. */
typedef struct StewardRepeat
{
	StewardRepeatGroup sum;		/* sums, or the latest value where a sum makes
								 * no sense */
	uint64		executions;
	uint32		groups;
	uint32		matched;		/* groups with an execution for each row */
	uint32		enclosed;		/* groups inside their parent */
	uint32		coherent;		/* groups that are one piece of work */
	uint32		max_executions;
	double		ratio_sum;		/* of executions / parent_rows */
	double		ratio_sum2;		/* of its square */
	double		parent_rows_sum;
	double		parent_rows_sum2;
	uint16		buckets[STEWARD_REPEAT_BUCKETS];
} StewardRepeat;

/* Totals of one statement, in the backends where it was parent or child. */
typedef struct StewardRepeatTotals
{
	uint64		calls;
	uint64		list_calls;		/* that returned enough rows for a group */
	uint64		rows;
} StewardRepeatTotals;

typedef struct StewardRepeatInfo
{
	int			nodes;			/* in use, for pairs and for statements */
	int			max_nodes;
	uint64		evictions;
	TimestampTz reset_at;
} StewardRepeatInfo;

extern void steward_repeat_store_init(void);
extern void steward_repeat_publish(StewardRepeatGroup *group,
								   const StewardRepeatGroup *previous,
								   const StewardRepeatTotals *child,
								   const StewardRepeatTotals *parent);
extern double steward_repeat_bucket_middle(int bucket);
extern uint32 steward_repeat_median(const StewardRepeat *repeat);

typedef struct StewardRepeatRow
{
	StewardRepeat repeat;
	StewardRepeatTotals parent;
	StewardRepeatTotals child;
} StewardRepeatRow;

extern StewardRepeatRow *steward_repeat_read(int *nrows);
extern void steward_repeat_info(StewardRepeatInfo *info);
extern void steward_repeat_reset(void);

#endif							/* STEWARD_N_PLUS_ONE_STORE_H */
