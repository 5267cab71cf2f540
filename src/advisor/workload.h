/*-------------------------------------------------------------------------
 *
 * workload.h
 *	  The statements that an index should serve.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_WORKLOAD_H
#define STEWARD_WORKLOAD_H

#include "nodes/bitmapset.h"
#include "nodes/nodes.h"
#include "nodes/pg_list.h"
#include "utils/array.h"

/* Statements that one run looks at, those with most time first. */
#define STEWARD_MAX_STATEMENTS 10000

/* Longer texts are skipped, in bytes. */
#define STEWARD_MAX_TEXT (256 * 1024)

/*
 * How a text is to be read, found by trial at the first visit and used again
 * at the next ones; see statement_query.c.
 */
typedef struct StewardReading
{
	bool		repaired;		/* mend the text first */
	int			mode;			/* as a statement, an expression, ... */
	int			path;			/* which search path was tried last */
	char	   *search_path;
	int			npresets;
	Oid		   *presets;		/* types of parameters, InvalidOid: not set */
} StewardReading;

typedef struct StewardStatement
{
	int64		queryid;		/* 0: given by the caller */
	Oid			userid;			/* role that executes it */
	bool		toplevel;		/* sent by a client, not by a function */
	const char *text;

	/* a day, estimated from the time that was observed */
	double		calls;
	double		total_ms;		/* of execution; 0: not known */
	double		rows;

	StewardReading reading;
	struct StewardConstants *constants; /* samples, NULL: none to be used */

	int			sqlerrcode;		/* why it is left out, if for an error */
	const char *skipped;		/* why it is left out, NULL if it is not */
	bool		irrelevant;		/* needs no plan, or reads no user's table */

	/* what it reads and writes: set by the first visit */
	List	   *tables;			/* OIDs */
	CmdType		command;		/* CMD_INSERT for COPY, CMD_UNKNOWN: nothing */
	Oid			target;
	Bitmapset  *updated;		/* columns of target, as they are */
} StewardStatement;

typedef struct StewardWorkload
{
	MemoryContext context;		/* holds all of it */
	Oid			caller;
	bool		own;			/* the caller wants just this to happen:
								 * nothing is replaced */
	bool		reads_all;		/* the caller may read all tables */
	bool		sees_constants; /* he may have advice from samples */
	char	   *search_path;	/* the caller's */
	List	   *role_paths;		/* of RolePath *, workload.c */
	int			nstatements;
	StewardStatement *statements;
	int			nhidden;		/* statements whose text is hidden */
	double		hidden_ms;
	int			nlocked;		/* statements on a locked table so far */
	double		days;			/* time observed, in days */
} StewardWorkload;

/*
 * Called with a statement, analyzed and rewritten (a List of Query, none of
 * them a utility statement).  It runs in a subtransaction that is rolled back
 * afterwards, as the role that executes the statement if the caller may act as
 * that, with locks on its tables, in a memory context that is freed afterwards.
 */
typedef void (*StewardVisit) (StewardStatement *statement, List *queries,
							  void *arg);

/* workload.c; to be called inside a query section (base/query.c) */
extern StewardWorkload *steward_workload_load(const char *search_path);
extern StewardWorkload *steward_workload_from_array(const char *search_path,
													ArrayType *queries,
													ArrayType *weights);
extern char *steward_workload_role_path(StewardWorkload *workload, Oid role);

/* statement_query.c */
extern bool steward_is_interruption(int sqlerrcode);
extern void steward_reading_preset(StewardWorkload *workload,
								   StewardReading *reading, int param, Oid type);
extern bool steward_statement_visit(StewardWorkload *workload,
									StewardStatement *statement,
									StewardVisit visit, void *arg);

#endif							/* STEWARD_WORKLOAD_H */
