/*-------------------------------------------------------------------------
 *
 * refusals.c
 *	  Counts clients that are refused, and those that come in.
 *
 * A refused client leaves no trace but a log line: it is written by a process
 * that ends at once, often before it has a slot or a place in
 * pg_stat_activity.  The hook of the log sees all of them.  What it does there
 * is to look at the SQLSTATE and to add to a counter; it neither allocates nor
 * logs, so that it cannot be entered again.
 *
 * The server uses SQLSTATE 53300 for several limits, and names them by the
 * untranslated text of the message.  A text that is not known here counts as
 * "other".
 *
 * Incoming clients are counted when the server has checked who they are.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/elog.h"

#include "pool/pool_store.h"
#include "pool/refusals.h"

/*
 * The hook as libpq/auth.h declares it.  That header cannot be included: it
 * needs those of the security libraries, which servers are built with but
 * extensions are not.
 */
struct Port;
typedef void (*ClientAuthentication_hook_type) (struct Port *port, int status);
extern PGDLLIMPORT ClientAuthentication_hook_type ClientAuthentication_hook;

/* The hooks that were there before; set up before the first fork. */
static struct
{
	emit_log_hook_type emit_log;
	ClientAuthentication_hook_type client_authentication;
}			previous;

/* Which limit a message of SQLSTATE 53300 speaks of. */
static StewardRefusal
refusal_kind(const char *message)
{
	static const struct
	{
		const char *part;
		StewardRefusal kind;
	}			known[] =
	{
		{"too many clients already", STEWARD_REFUSED_SLOTS},
		{"remaining connection slots are reserved", STEWARD_REFUSED_RESERVED},
		{"too many connections for database", STEWARD_REFUSED_DATABASE},
		{"too many connections for role", STEWARD_REFUSED_ROLE},
	};

	for (int i = 0; message != NULL && i < lengthof(known); i++)
	{
		if (strstr(message, known[i].part) != NULL)
			return known[i].kind;
	}
	return STEWARD_REFUSED_OTHER;
}

static void
count_refusal(ErrorData *edata)
{
	StewardPool *pool = steward_pool();

	if (edata->sqlerrcode == ERRCODE_TOO_MANY_CONNECTIONS &&
		edata->elevel >= FATAL && pool != NULL)
		pg_atomic_fetch_add_u64(&pool->refused[refusal_kind(edata->message_id)],
								1);
	if (previous.emit_log)
		previous.emit_log(edata);
}

static void
count_connect(struct Port *port, int status)
{
	StewardPool *pool = steward_pool();

	if (pool != NULL)
		pg_atomic_fetch_add_u64(status == STATUS_OK ? &pool->connects :
								&pool->auth_failures, 1);
	if (previous.client_authentication)
		previous.client_authentication(port, status);
}

/*
 * Install the hooks.  Does nothing unless the library is being preloaded: in a
 * session that loaded it later it is too late for both.
 */
void
steward_refusals_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;

	previous.emit_log = emit_log_hook;
	emit_log_hook = count_refusal;
	previous.client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = count_connect;
}
