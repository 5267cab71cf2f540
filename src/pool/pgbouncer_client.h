/*-------------------------------------------------------------------------
 *
 * pgbouncer_client.h
 *	  A connection to PgBouncer's admin console that never blocks.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_PGBOUNCER_CLIENT_H
#define STEWARD_PGBOUNCER_CLIENT_H

#include "libpq-fe.h"
#include "utils/timeout.h"

#include "pool/pgbouncer.h"
#include "pool/pgbouncer_resolve.h"

typedef enum StewardClientPhase
{
	STEWARD_CLIENT_IDLE,		/* until next_ms; perhaps connected */
	STEWARD_CLIENT_RESOLVING,
	STEWARD_CLIENT_CONNECTING,
	STEWARD_CLIENT_ASKING
} StewardClientPhase;

/* Local to the poller.  Times are of the monotonic clock. */
typedef struct StewardConsoleClient
{
	int			slot;			/* of the console in shared memory */
	char	   *conninfo;		/* malloc'd */
	TimeoutId	guard;			/* ends the process */
	StewardClientPhase phase;
	int64		next_ms;		/* when it is asked again */
	int64		deadline_ms;	/* when it is given up, unless idle */
	PGconn	   *conn;			/* NULL: not connected */
	bool		proven;			/* it has answered over this connection */
	bool		established;	/* the network part of it is done */
	bool		guarded;		/* in a call that may end the process */
	int			query;			/* the question that is open */
	bool		useful;			/* its answer has the column it must have */
	int64		received;		/* bytes, in this poll */
	uint32		wait;			/* WL_SOCKET_... to wait for */
	StewardResolver resolver;
	StewardConsole draft;		/* what is known of the answer */
} StewardConsoleClient;

extern void steward_client_open(StewardConsoleClient *client, int slot,
								const char *conninfo, TimeoutId guard);
extern void steward_client_close(StewardConsoleClient *client);
extern void steward_client_abandon(StewardConsoleClient *client);
extern void steward_client_step(StewardConsoleClient *client, int64 now,
								uint32 events);
extern pgsocket steward_client_socket(const StewardConsoleClient *client);
extern int64 steward_client_due(const StewardConsoleClient *client);

#endif							/* STEWARD_PGBOUNCER_CLIENT_H */
