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
 * Valid during the call that receives it.  Latency is elapsed_ns + waited_ns.
 */
typedef struct StewardExecution
{
	int64		queryid;
	CmdType		command;
	bool		toplevel;		/* sent by the client itself */
	int			nesting;		/* statements running around this one */
	uint64		rows;			/* processed or returned */
	int64		elapsed_ns;		/* inside the executor */
	int64		waited_ns;		/* from the client's message to the executor:
								 * parse, locks, plan; 0 if nested */
	TimestampTz started;		/* when the executor was ready to run it */
	QueryDesc  *query;			/* its plan, parameters and source text */
} StewardExecution;

#endif							/* STEWARD_EXECUTION_H */
