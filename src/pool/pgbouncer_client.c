/*-------------------------------------------------------------------------
 *
 * pgbouncer_client.c
 *	  A connection to PgBouncer's admin console that never blocks.
 *
 * A state machine over the asynchronous functions of the client library:
 *
 *	IDLE -> RESOLVING -> CONNECTING -> ASKING -> IDLE
 *
 * The connection is kept for the next time, which begins with ASKING.  If it
 * is found broken then, PgBouncer was restarted, and a new one is made.
 *
 * The whole of it has LIMIT_MS.  Who does not keep to it, closes the
 * connection or answers something else, is asked again after the interval,
 * then after twice that, up to RETRY_MS.
 *
 * The other side is not trusted.  What it sends is limited in bytes, answers
 * are taken row by row, and its notices go nowhere.  The console understands
 * simple queries only, so that these are sent.
 *
 * One thing the library does on its own: it computes as long as the server
 * says for a SCRAM proof, if it has a password.  There is a timer for that, see
 * pgbouncer.c; the time of the next try is in shared memory before anything is
 * begun, so that it is known to the next process.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/ioctl.h>

#include "lib/stringinfo.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/machine.h"
#include "pool/pgbouncer_client.h"
#include "pool/pgbouncer_parse.h"

#define LIMIT_MS 2000
#define RETRY_MS 60000
#define GUARD_MS 1000
#define MAX_ANSWER_BYTES (4 * 1024 * 1024)

#define MAX_PARAMETERS 64

/* Parameters for the library, ended by NULL. */
typedef struct Parameters
{
	const char *keywords[MAX_PARAMETERS + 1];
	const char *values[MAX_PARAMETERS + 1];
	int			n;
} Parameters;

static void begin_query(StewardConsoleClient *client);

/* Pause after so many failures in a row, in milliseconds. */
static int64
pause_after(int failures)
{
	int64		pause = steward_pgbouncer_interval * INT64CONST(1000);

	for (int i = 1; i < failures && pause < RETRY_MS; i++)
		pause *= 2;
	return failures > 0 ?
		Min(pause, Max(RETRY_MS, steward_pgbouncer_interval * INT64CONST(1000))) :
		pause;
}

/* Set up for one console.  It is asked at once, unless it failed lately. */
void
steward_client_open(StewardConsoleClient *client, int slot,
					const char *conninfo, TimeoutId guard)
{
	StewardBouncers *bouncers = steward_bouncers();
	int64		now = steward_monotonic_ms();

	memset(client, 0, sizeof(*client));
	client->slot = slot;
	client->guard = guard;
	client->conninfo = strdup(conninfo);
	if (client->conninfo == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	LWLockAcquire(bouncers->lock, LW_SHARED);
	client->draft = bouncers->consoles[slot];
	LWLockRelease(bouncers->lock);
	client->next_ms = Min(client->draft.retry_ms, now + RETRY_MS);
}

/* Forget the connection, and what is under way. */
static void
disconnect(StewardConsoleClient *client)
{
	steward_resolve_end(&client->resolver);
	if (client->conn != NULL)
		PQfinish(client->conn);
	client->conn = NULL;
	client->proven = client->established = false;
}

/* The end of it. */
void
steward_client_close(StewardConsoleClient *client)
{
	disconnect(client);
	free(client->conninfo);
	memset(client, 0, sizeof(*client));
}

/*
 * The process ends.  If it does so because of this client, let the next one
 * know, which leaves it alone for the longest pause: others are not asked while
 * there is no process.  The connection is not touched any more.
 */
void
steward_client_abandon(StewardConsoleClient *client)
{
	StewardBouncers *bouncers = steward_bouncers();
	StewardConsole *console = &bouncers->consoles[client->slot];

	steward_resolve_end(&client->resolver);
	if (!client->guarded)
		return;
	LWLockAcquire(bouncers->lock, LW_EXCLUSIVE);
	steward_console_clear(console);
	memcpy(console->label, client->draft.label, sizeof(console->label));
	console->state = STEWARD_CONSOLE_TIMEOUT;
	strlcpy(console->error, "it makes its client compute for too long",
			sizeof(console->error));
	console->failures++;
	console->retry_ms = steward_monotonic_ms() + RETRY_MS;
	LWLockRelease(bouncers->lock);
}

/* What to wait on; PGINVALID_SOCKET for nothing. */
pgsocket
steward_client_socket(const StewardConsoleClient *client)
{
	switch (client->phase)
	{
		case STEWARD_CLIENT_IDLE:
			return PGINVALID_SOCKET;
		case STEWARD_CLIENT_RESOLVING:
			return client->resolver.fd;
		default:
			return PQsocket(client->conn);
	}
}

/* When to call steward_client_step() at the latest. */
int64
steward_client_due(const StewardConsoleClient *client)
{
	return client->phase == STEWARD_CLIENT_IDLE ?
		client->next_ms : client->deadline_ms;
}

/*
 * Make the draft public, and say in the log if the console has come or gone.
 */
static void
publish(StewardConsoleClient *client)
{
	StewardBouncers *bouncers = steward_bouncers();
	StewardConsole *console = &bouncers->consoles[client->slot];
	StewardConsole *draft = &client->draft;
	StewardConsoleState before;

	LWLockAcquire(bouncers->lock, LW_EXCLUSIVE);
	before = console->state;
	if (draft->state == STEWARD_CONSOLE_OK)
		steward_queue_track(draft, console);
	memcpy(console, draft, sizeof(*console));
	LWLockRelease(bouncers->lock);

	if (before == draft->state)
		return;
	if (before == STEWARD_CONSOLE_OK || before == STEWARD_CONSOLE_STARTING)
	{
		if (draft->state == STEWARD_CONSOLE_OK)
			return;
		ereport(LOG,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("PgBouncer console \"%s\" cannot be read: %s",
						draft->label, steward_console_state_name(draft->state)),
				 errdetail_internal("%s", draft->error)));
	}
	else if (draft->state == STEWARD_CONSOLE_OK)
		ereport(LOG,
				(errmsg("PgBouncer console \"%s\" can be read again",
						draft->label)));
}

/* The poll has failed: text is what the library or the other side said. */
static void
fail(StewardConsoleClient *client, StewardConsoleState state, const char *text)
{
	steward_console_clear(&client->draft);
	client->draft.state = state;
	steward_copy_printable(client->draft.error, sizeof(client->draft.error),
						   text, true);
	disconnect(client);
	client->draft.failures++;
	client->next_ms = client->draft.retry_ms =
		steward_monotonic_ms() + pause_after(client->draft.failures);
	client->phase = STEWARD_CLIENT_IDLE;
	publish(client);
}

/* The poll has succeeded. */
static void
succeed(StewardConsoleClient *client, int64 now)
{
	client->draft.state = STEWARD_CONSOLE_OK;
	client->draft.failures = 0;
	client->draft.sampled_at = GetCurrentTimestamp();
	client->draft.sampled_ms = now;
	client->draft.retry_ms = 0;
	client->proven = true;
	client->phase = STEWARD_CLIENT_IDLE;
	/* keep to the beat, unless it was missed */
	client->next_ms += pause_after(0);
	if (client->next_ms <= now)
		client->next_ms = now + pause_after(0);
	publish(client);
}

/* --- connecting ---------------------------------------------------------- */

/* Add a parameter; a later one overrides an earlier one. */
static void
add_parameter(Parameters *parameters, const char *keyword, const char *value)
{
	if (parameters->n >= MAX_PARAMETERS)
		return;
	parameters->keywords[parameters->n] = keyword;
	parameters->values[parameters->n++] = value;
	parameters->keywords[parameters->n] = NULL;
	parameters->values[parameters->n] = NULL;
}

/*
 * The parameters of the connection string, over defaults of ours.  They point
 * into options.
 */
static void
fill_parameters(Parameters *parameters, const PQconninfoOption *options)
{
	parameters->n = 0;
	add_parameter(parameters, "dbname", "pgbouncer");
	add_parameter(parameters, "fallback_application_name", "pg_steward");
	/* looking for tickets of Kerberos may block */
	add_parameter(parameters, "gssencmode", "disable");
	for (const PQconninfoOption *option = options; option->keyword; option++)
	{
		if (option->val != NULL && option->val[0] != '\0')
			add_parameter(parameters, option->keyword, option->val);
	}
}

/* Value of an option, NULL if it is not set. */
static const char *
option_value(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *option = options; option->keyword; option++)
	{
		if (strcmp(option->keyword, keyword) == 0)
			return option->val && option->val[0] ? option->val : NULL;
	}
	return NULL;
}

/*
 * The host that a name server is to be asked for, in a malloc'd copy; NULL if
 * none.  What a service or the environment says about it is known to the
 * library only after it has begun to connect, so that it is made to begin and
 * to stumble over a port that is none, which comes before the look-up.
 */
static char *
host_to_resolve(const Parameters *parameters)
{
	Parameters	probe = *parameters;
	PGconn	   *conn;
	PQconninfoOption *options;
	char	   *host = NULL;

	add_parameter(&probe, "port", "none");
	conn = PQconnectStartParams(probe.keywords, probe.values, 0);
	options = conn ? PQconninfo(conn) : NULL;
	if (options != NULL &&
		option_value(options, "hostaddr") == NULL &&
		steward_resolve_needed(option_value(options, "host")))
		host = strdup(option_value(options, "host"));
	PQconninfoFree(options);
	PQfinish(conn);
	return host;
}

/* Set the label, as far as the connection string says it. */
static void
label_from_options(StewardConsoleClient *client,
				   const PQconninfoOption *options)
{
	const char *host = option_value(options, "host");
	const char *port = option_value(options, "port");
	char		text[sizeof(client->draft.label)];

	if (client->draft.label[0] != '\0')
		return;
	if (host == NULL)
		host = option_value(options, "hostaddr");
	if (host == NULL)
		host = option_value(options, "service");
	snprintf(text, sizeof(text), "%s%s%s", host ? host : "local",
			 port ? ":" : "", port ? port : "");
	steward_copy_printable(client->draft.label, sizeof(client->draft.label),
						   text, true);
}

/* Set the label from what the library found out. */
static void
label_from_connection(StewardConsoleClient *client)
{
	char		text[sizeof(client->draft.label)];
	const char *host = PQhost(client->conn);

	if (host == NULL || host[0] == '\0')
		return;
	snprintf(text, sizeof(text), "%s:%s", host, PQport(client->conn));
	steward_copy_printable(client->draft.label, sizeof(client->draft.label),
						   text, true);
}

/* Notices of the other side are of no interest. */
static void
ignore_notice(void *arg, const PGresult *result)
{
}

/*
 * Begin to connect.  Addresses are those that were looked up, separated by
 * commas, or NULL if there was nothing to look up.
 */
static void
start_connecting(StewardConsoleClient *client, Parameters *parameters,
				 const char *host, const char *addresses)
{
	StringInfoData hosts;

	initStringInfo(&hosts);
	if (addresses != NULL)
	{
		/* the library wants as many hosts as addresses */
		appendStringInfoString(&hosts, host);
		for (const char *p = addresses; *p != '\0'; p++)
		{
			if (*p == ',')
				appendStringInfo(&hosts, ",%s", host);
		}
		add_parameter(parameters, "host", hosts.data);
		add_parameter(parameters, "hostaddr", addresses);
	}
	client->conn = PQconnectStartParams(parameters->keywords,
										parameters->values, 0);
	pfree(hosts.data);
	if (client->conn == NULL)
	{
		fail(client, STEWARD_CONSOLE_UNREACHABLE, "out of memory");
		return;
	}
	PQsetNoticeReceiver(client->conn, ignore_notice, NULL);
	label_from_connection(client);
	if (PQstatus(client->conn) == CONNECTION_BAD)
	{
		fail(client, STEWARD_CONSOLE_UNREACHABLE,
			 PQerrorMessage(client->conn));
		return;
	}
	client->phase = STEWARD_CLIENT_CONNECTING;
	client->wait = WL_SOCKET_WRITEABLE;
}

/*
 * Connect, first or again: look up the host, or, if that is done or not
 * needed, begin to connect.
 */
static void
connect_console(StewardConsoleClient *client)
{
	char	   *error = NULL;
	PQconninfoOption *options = PQconninfoParse(client->conninfo, &error);
	Parameters	parameters;
	char	   *host;

	if (options == NULL)
	{
		fail(client, STEWARD_CONSOLE_UNREACHABLE,
			 error ? error : "out of memory");
		PQfreemem(error);
		return;
	}
	label_from_options(client, options);
	fill_parameters(&parameters, options);
	host = host_to_resolve(&parameters);
	if (host == NULL)
		start_connecting(client, &parameters, NULL, NULL);
	else if (client->phase == STEWARD_CLIENT_RESOLVING)
		start_connecting(client, &parameters, host,
						 steward_resolve_addresses(&client->resolver));
	else if (steward_resolve_start(&client->resolver, host))
	{
		client->phase = STEWARD_CLIENT_RESOLVING;
		client->wait = WL_SOCKET_READABLE;
	}
	else
		fail(client, STEWARD_CONSOLE_UNREACHABLE, strerror(errno));
	free(host);
	PQconninfoFree(options);
}

/* The look-up says something. */
static void
go_on_resolving(StewardConsoleClient *client)
{
	if (!steward_resolve_read(&client->resolver))
		return;
	if (steward_resolve_error(&client->resolver) != NULL)
	{
		char		text[sizeof(client->draft.error)];

		snprintf(text, sizeof(text), "could not look up the host: %s",
				 steward_resolve_error(&client->resolver));
		fail(client, STEWARD_CONSOLE_UNREACHABLE, text);
		return;
	}
	connect_console(client);
	steward_resolve_end(&client->resolver);
}

/*
 * What kind of failure it was: there is nobody, there is somebody who does
 * not let us in, or somebody who is not PgBouncer.
 */
static StewardConsoleState
connection_failure(const StewardConsoleClient *client)
{
	const char *message = PQerrorMessage(client->conn);

	if (PQconnectionNeedsPassword(client->conn) ||
		strstr(message, "FATAL") != NULL || strstr(message, "ERROR") != NULL)
		return STEWARD_CONSOLE_REFUSED;
	return client->established ? STEWARD_CONSOLE_INVALID :
		STEWARD_CONSOLE_UNREACHABLE;
}

/* The connection has made a step. */
static void
go_on_connecting(StewardConsoleClient *client)
{
	PostgresPollingStatusType status;

	client->guarded = true;
	enable_timeout_after(client->guard, GUARD_MS);
	status = PQconnectPoll(client->conn);
	disable_timeout(client->guard, false);
	client->guarded = false;
	label_from_connection(client);
	switch (PQstatus(client->conn))
	{
		case CONNECTION_BAD:
			break;
		case CONNECTION_NEEDED:
		case CONNECTION_STARTED:
			client->established = false;
			break;
		default:
			client->established = true;
			break;
	}
	switch (status)
	{
		case PGRES_POLLING_READING:
			client->wait = WL_SOCKET_READABLE;
			break;
		case PGRES_POLLING_OK:
			if (PQsetnonblocking(client->conn, 1) != 0)
				fail(client, STEWARD_CONSOLE_UNREACHABLE,
					 PQerrorMessage(client->conn));
			else
			{
				client->phase = STEWARD_CLIENT_ASKING;
				client->query = 0;
				begin_query(client);
			}
			break;
		case PGRES_POLLING_FAILED:
			fail(client, connection_failure(client),
				 PQerrorMessage(client->conn));
			break;
		default:
			client->wait = WL_SOCKET_WRITEABLE;
			break;
	}
}

/* --- asking -------------------------------------------------------------- */

/*
 * The connection is gone.  A kept one may have been closed long ago, which is
 * found out only now, and is a reason to make another.
 */
static void
lost(StewardConsoleClient *client)
{
	if (client->proven)
	{
		disconnect(client);
		steward_console_clear(&client->draft);
		client->phase = STEWARD_CLIENT_IDLE;
		connect_console(client);
	}
	else
		fail(client, STEWARD_CONSOLE_UNREACHABLE,
			 PQerrorMessage(client->conn));
}

/* Send what is still to be sent, and say what to wait for.  False if lost. */
static bool
flush(StewardConsoleClient *client)
{
	int			left = PQflush(client->conn);

	client->wait = WL_SOCKET_READABLE | (left > 0 ? WL_SOCKET_WRITEABLE : 0);
	return left >= 0;
}

/* Ask the question whose turn it is. */
static void
begin_query(StewardConsoleClient *client)
{
	const StewardBouncerQuery *query = steward_bouncer_query(client->query);

	client->useful = false;
	if (!PQsendQuery(client->conn, query->sql) ||
		!PQsetSingleRowMode(client->conn) || !flush(client))
		lost(client);
}

/*
 * Take one result of the answer.  False if the poll has failed with it.
 */
static bool
take_result(StewardConsoleClient *client, const PGresult *result)
{
	const StewardBouncerQuery *query = steward_bouncer_query(client->query);
	int			key = PQfnumber(result, query->key);

	switch (PQresultStatus(result))
	{
		case PGRES_SINGLE_TUPLE:
			if (key >= 0 && !PQgetisnull(result, 0, key))
				query->take(&client->draft, PQgetvalue(result, 0, key), result);
			return true;
		case PGRES_TUPLES_OK:
			client->useful = key >= 0;
			return true;
		case PGRES_FATAL_ERROR:
			if (PQstatus(client->conn) == CONNECTION_BAD)
			{
				lost(client);
				return false;
			}
			if (!query->required)
				return true;
			fail(client, STEWARD_CONSOLE_REFUSED, PQresultErrorMessage(result));
			return false;
		case PGRES_COMMAND_OK:
		case PGRES_EMPTY_QUERY:
			return true;
		default:
			fail(client, STEWARD_CONSOLE_INVALID,
				 "the answer is not that of PgBouncer");
			return false;
	}
}

/* The answer to a question is complete: go on with the next. */
static void
end_query(StewardConsoleClient *client, int64 now)
{
	const StewardBouncerQuery *query = steward_bouncer_query(client->query);
	char		text[sizeof(client->draft.error)];

	if (query->required && !client->useful)
	{
		snprintf(text, sizeof(text),
				 "the answer to %s has no column \"%s\"", query->sql, query->key);
		fail(client, STEWARD_CONSOLE_INVALID, text);
		return;
	}
	client->query++;
	if (steward_bouncer_query(client->query) == NULL)
		succeed(client, now);
	else
		begin_query(client);
}

/* The console says something, or can be told something. */
static void
go_on_asking(StewardConsoleClient *client, uint32 events, int64 now)
{
	int			query = client->query;

	if ((events & WL_SOCKET_READABLE) && !PQconsumeInput(client->conn))
	{
		lost(client);
		return;
	}
	if (!flush(client))
	{
		lost(client);
		return;
	}
	/* until there is no more, the question has changed, or it has failed */
	while (client->phase == STEWARD_CLIENT_ASKING && client->query == query &&
		   !PQisBusy(client->conn))
	{
		PGresult   *result = PQgetResult(client->conn);
		bool		more = result != NULL;

		if (more)
			more = take_result(client, result);
		else
			end_query(client, now);
		PQclear(result);
		if (!more)
			break;
	}
}

/* --- the whole ----------------------------------------------------------- */

/*
 * Count what has come in.  False if it is too much; the library would keep a
 * message in memory until it is complete.
 */
static bool
count_bytes(StewardConsoleClient *client)
{
	int			bytes = 0;

	if (ioctl(PQsocket(client->conn), FIONREAD, &bytes) == 0)
		client->received += bytes;
	return client->received <= MAX_ANSWER_BYTES;
}

/* It is time to ask. */
static void
begin_poll(StewardConsoleClient *client, int64 now)
{
	StewardBouncers *bouncers = steward_bouncers();

	steward_console_clear(&client->draft);
	client->deadline_ms = now + LIMIT_MS;
	client->received = 0;

	/* for the process after us, should we not get to the end of this */
	LWLockAcquire(bouncers->lock, LW_EXCLUSIVE);
	bouncers->consoles[client->slot].retry_ms =
		now + pause_after(client->draft.failures + 1);
	LWLockRelease(bouncers->lock);

	if (client->conn != NULL)
	{
		client->phase = STEWARD_CLIENT_ASKING;
		client->query = 0;
		begin_query(client);
	}
	else
		connect_console(client);
}

/*
 * Do what can be done now without waiting.  Events are those of the socket
 * that have happened, 0 for none.
 */
void
steward_client_step(StewardConsoleClient *client, int64 now, uint32 events)
{
	int64		interval = steward_pgbouncer_interval * INT64CONST(1000);

	if (client->phase == STEWARD_CLIENT_IDLE)
	{
		if (client->draft.failures == 0 && client->next_ms > now + interval)
			client->next_ms = now;	/* the interval was shortened */
		if (now >= client->next_ms)
		{
			client->next_ms = Max(client->next_ms, now - interval);
			begin_poll(client, now);
		}
		return;
	}
	if (now >= client->deadline_ms)
	{
		fail(client, STEWARD_CONSOLE_TIMEOUT,
			 client->phase == STEWARD_CLIENT_RESOLVING ?
			 "the host could not be looked up within 2 seconds" :
			 "there was no complete answer within 2 seconds");
		return;
	}
	if (events == 0)
		return;
	if (client->phase == STEWARD_CLIENT_RESOLVING)
	{
		go_on_resolving(client);
		return;
	}
	if ((events & WL_SOCKET_READABLE) && !count_bytes(client))
		fail(client, STEWARD_CONSOLE_INVALID, "the answer is too long");
	else if (client->phase == STEWARD_CLIENT_CONNECTING)
		go_on_connecting(client);
	else
		go_on_asking(client, events, now);
}
