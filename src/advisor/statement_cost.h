/*-------------------------------------------------------------------------
 *
 * statement_cost.h
 *	  What a statement costs with a set of indexes.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_STATEMENT_COST_H
#define STEWARD_STATEMENT_COST_H

#include "advisor/advice.h"
#include "advisor/param_classes.h"

/*
 * What a set of indexes means to a statement, all of its queries and classes of
 * parameters together, in the planner's units for one execution.
 */
typedef struct StewardStatementCost
{
	double		planned;		/* as the planner sees it */
	double		fetched;		/* and with what it does not charge for rows
								 * that are fetched by indexes */
	double		cost;			/* and with the risk of LIMITs */
	double		worst;			/* as fetched, if no LIMIT ends a scan early */
	uint32		risks;			/* STEWARD_RISK_ */
	int			nplans;
	double	   *plans;			/* cost of each, by query and class */
	Bitmapset  *used;			/* ids of indexes */
	List	   *used_existing;	/* OIDs */
} StewardStatementCost;

/* Options for the planner, as when a client sends the statement. */
extern int	steward_cursor_options(const Query *query);

/*
 * Plan all queries of a statement, for all classes of parameters, with these
 * indexes; NIL for none.  The result is in the current memory context.
 */
extern void steward_statement_cost(StewardWhatif *whatif, List *queries,
								   const StewardParamClasses *classes,
								   List *indexes, StewardStatementCost *result);

/* Remember what the statement costs as things are. */
extern void steward_statement_keep_base(StewardAdvice *advice,
										StewardWhatif *whatif,
										const StewardStatementCost *base);

#endif							/* STEWARD_STATEMENT_COST_H */
