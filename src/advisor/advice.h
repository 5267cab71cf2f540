/*-------------------------------------------------------------------------
 *
 * advice.h
 *	  One run of the index advisor, from the workload to the indexes chosen.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_ADVICE_H
#define STEWARD_ADVICE_H

#include "datatype/timestamp.h"

#include "advisor/hypothetical.h"
#include "advisor/index_size.h"
#include "advisor/index_spec.h"
#include "advisor/workload.h"

/* Candidates of one run, at most. */
#define STEWARD_MAX_POOL 25000

/* Candidates that are tried for one statement: bits of a uint64. */
#define STEWARD_MAX_LOCAL 60

/* Planner calls for one statement, at most. */
#define STEWARD_MAX_PLANS 130

/* Gains below this share of a statement's cost are noise of the planner. */
#define STEWARD_NOISE 0.002

/* A statement that may use a candidate, and its number there. */
typedef struct StewardUser
{
	int			whatif;
	int			local;
} StewardUser;

/*
 * An index that might be built.  Its number in the run is its id for the
 * planner, minus one.
 */
typedef struct StewardCandidate
{
	StewardIndex *index;
	double		bytes;
	double		table_bytes;
	double		write_ms;		/* a day, what keeping it up costs */
	int			next;			/* next candidate of the same table, or -1 */
	int			plain;			/* the one with the same keys and fewest
								 * INCLUDE columns, if fewer than this; or -1 */
	bool		winner;			/* among the best of some statement */
	int			nusers;			/* statements that may use it */
	StewardUser *users;

	/* the choice; choose.c */
	bool		chosen;
	bool		refined;		/* was chosen when the latest refinement began */
	double		saved_ms;		/* a day, beyond what those before it save */
	double		cumulative_ms;	/* saved with all up to this one */
} StewardCandidate;

/*
 * What a statement costs with some indexes: the planner chose those in "used"
 * while others may have been visible, too.  It would choose the same whenever
 * these are there and nothing cheaper is.
 */
typedef struct StewardConfig
{
	uint64		used;			/* bits: local numbers */
	double		planned;		/* as the planner sees it */
	double		cost;			/* with the risk that it does not see */
} StewardConfig;

/*
 * All that is known of a statement after the planner was asked; from then on
 * the search needs no planner.
 */
typedef struct StewardWhatif
{
	StewardStatement *statement;
	double		ms_per_cost;	/* a day: ms of one unit of cost */
	double		base_ms;		/* a day, without any new index */
	StewardConfig base;
	List	   *used_existing;	/* OIDs of indexes in the base plan */
	uint32		risks;			/* STEWARD_RISK_ of the base plan */
	int			nbase_plans;
	double	   *base_plans;		/* cost of each plan of it, with its risk */
	double		worst;			/* cost of the base plan run to its end */
	double		rows;			/* of one execution, as LIMIT is to be taken */
	bool		runs_to_end;	/* LIMIT does not end its scans early */

	bool		explored;
	uint64		best_used;		/* local numbers: used if everything is there */
	List	   *groups;			/* own candidates: List of List of int */
	int			nlocal;
	int		   *local;			/* candidates by local number */
	int			nconfigs;
	StewardConfig *configs;
	int			nplans;			/* planner calls */

	/* the choice; choose.c */
	uint64		visible;		/* local numbers of what is chosen */
	double		ms;				/* a day, with that */
	uint32		chosen_risks;
	List	   *chosen_used;	/* candidates in the verified plan */
} StewardWhatif;

typedef struct StewardAdvice
{
	MemoryContext context;
	StewardWorkload *workload;
	StewardSizeCache *sizes;

	/* what the caller asked for */
	double		max_bytes;		/* infinite for no limit */
	int			max_indexes;
	double		min_gain;		/* share of the workload's time */
	TimestampTz started;
	TimestampTz deadline;

	int			ncandidates;
	int			maxcandidates;
	StewardCandidate *candidates;
	struct HTAB *tables;		/* first candidate of a table */

	int			nwhatifs;
	StewardWhatif *whatifs;

	double		total_ms;		/* a day, of all statements that were planned */
	double		unit_ms;		/* typical ms of one unit of cost */
	int64		nplans;
	bool		late;			/* the deadline came first */

	/* the result, in the order of advice */
	int			nchosen;
	int		   *chosen;			/* candidates */
} StewardAdvice;

/* advice.c */
extern StewardAdvice *steward_advice_create(StewardWorkload *workload,
											double max_bytes, int max_indexes,
											double min_gain,
											TimestampTz deadline);
extern void steward_advice_run(StewardAdvice *advice);
extern void steward_advice_link_users(StewardAdvice *advice);
extern bool steward_advice_late(StewardAdvice *advice);
typedef void (*StewardWork) (void *arg);
extern bool steward_advice_apart(StewardWork work, void *arg);
extern char *steward_advice_definition(const StewardIndex *index);

/* pool.c */
extern int	steward_pool_add(StewardAdvice *advice, const StewardIndex *index);
extern int	steward_pool_first(StewardAdvice *advice, Oid relid);
extern double steward_pool_table_bytes(StewardAdvice *advice);
extern void steward_pool_derive(StewardAdvice *advice);

/* whatif.c */
extern void steward_whatif_collect(StewardStatement *statement, List *queries,
								   void *whatif_and_advice);
extern int	steward_whatif_local_number(const StewardWhatif *whatif,
										int candidate);
extern int	steward_whatif_add_local(StewardWhatif *whatif, int candidate);
extern void steward_whatif_verify(StewardStatement *statement, List *queries,
								  void *whatif_and_advice);
extern void steward_whatif_conclude(StewardAdvice *advice,
									StewardWhatif *whatif);

/* explore.c */
extern void steward_whatif_explore(StewardStatement *statement, List *queries,
								   void *whatif_and_advice);
extern void steward_whatif_extend(StewardStatement *statement, List *queries,
								  void *whatif_and_advice);
extern bool steward_whatif_wants_more(StewardAdvice *advice,
									  StewardWhatif *whatif);

/* What visits get as their argument. */
typedef struct StewardWhatifVisit
{
	StewardAdvice *advice;
	StewardWhatif *whatif;
	int			nlocal_before;	/* the third visit is about later ones */
} StewardWhatifVisit;

/* write_cost.c */
extern void steward_write_cost_load(StewardAdvice *advice);

/* choose.c */
extern void steward_choose(StewardAdvice *advice);
extern void steward_choose_mark(StewardAdvice *advice);

/* choose_order.c */
extern void steward_choose_order(StewardAdvice *advice);
extern const StewardConfig *steward_whatif_config(const StewardWhatif *whatif,
												 uint64 visible);
extern double steward_whatif_ms(const StewardWhatif *whatif, uint64 visible);

#endif							/* STEWARD_ADVICE_H */
