/*-------------------------------------------------------------------------
 *
 * execution.h
 *	  One finished execution of a statement, as the tracker hands it on.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_EXECUTION_H
#define STEWARD_EXECUTION_H

#include "datatype/timestamp.h"
#include "executor/execdesc.h"
#include "nodes/nodes.h"

/*
 * Valid during the call that receives it.
 */
typedef struct StewardExecution
{
	QueryDesc  *query;			/* its plan, parameters and source text */
	int64		queryid;
	int			nesting;		/* statements running around this one; 0: sent
								 * by the client itself */
	uint64		rows;			/* processed or returned, when it has ended */
	TimestampTz started;		/* when the executor was ready to run it */
	int64		waited_us;		/* from the client's message to the executor:
								 * parse, locks, plan; 0 if nested */
} StewardExecution;

#endif							/* STEWARD_EXECUTION_H */
