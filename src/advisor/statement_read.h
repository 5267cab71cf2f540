/*-------------------------------------------------------------------------
 *
 * statement_read.h
 *	  One attempt to read the text of a statement.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_STATEMENT_READ_H
#define STEWARD_STATEMENT_READ_H

#include "parser/parse_node.h"

#include "advisor/workload.h"

/* Forms of a text: StewardReading.mode */
#define MODE_STATEMENT 0
#define MODE_EXPRESSION 1
#define MODE_ASSIGNMENT 2

/* State of one attempt. */
typedef struct StewardAttempt
{
	StewardWorkload *workload;
	StewardStatement *statement;
	const char *text;			/* as parsed */
	Oid		   *types;			/* of parameters, as far as inferred */
	int			ntypes;
	List	   *declared;		/* types that a PREPARE names, TypeNames */
	int			next_param;		/* numbers for parameters of our own */

	/* the server's hooks for parameters, around which ours are put */
	void	   *param_state;
	ParseParamRefHook param_hook;
	CoerceParamHook coerce_hook;
	List	   *variables;		/* names of variables; as String nodes */
	int			first_variable; /* number of the first one's parameter */

	volatile bool analyzed;		/* beyond what another attempt could mend */
} StewardAttempt;

extern List *steward_statement_read(StewardAttempt *attempt);
extern bool steward_may_become_role(StewardWorkload *workload,
									StewardStatement *statement);

#endif							/* STEWARD_STATEMENT_READ_H */
