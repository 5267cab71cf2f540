/*-------------------------------------------------------------------------
 *
 * pgbouncer_store.c
 *	  What PgBouncer said the last time, in shared memory.
 *
 * An area of fixed size, 200 kB: so many consoles, of each so many pools and
 * databases.  The poller is the only writer, and replaces a console as a whole
 * when it has an answer, or has given up waiting for one.  Readers copy a
 * console under the lock.
 *
 * All text in here comes from another program, which may not be the one it is
 * thought to be.  It is cut, and what is not printable is replaced, before it
 * is stored.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "base/shmem.h"
#include "pool/pgbouncer.h"

/* Shared; NULL unless preloaded. */
static StewardBouncers *bouncers;

static Size
bouncers_size(void)
{
	return sizeof(StewardBouncers);
}

static void
bouncers_attach(void *area, LWLockPadded *locks, bool found)
{
	bouncers = area;
	if (found)
		return;
	memset(area, 0, sizeof(StewardBouncers));
	bouncers->lock = &locks[0].lock;
}

static const StewardShmemArea bouncers_area = {
	.name = "pg_steward_pgbouncer",
	.nlocks = 1,
	.size = bouncers_size,
	.attach = bouncers_attach,
};

/* Register the area, while the library is being preloaded. */
void
steward_pgbouncer_store_init(void)
{
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		steward_shmem_register(&bouncers_area);
}

/* The shared struct, or NULL if the library was not preloaded. */
StewardBouncers *
steward_bouncers(void)
{
	return bouncers;
}

/* Forget what a console said, but not who it is and when it was asked. */
void
steward_console_clear(StewardConsole *console)
{
	console->error[0] = '\0';
	console->clients = -1;
	console->max_client_conn = -1;
	console->default_pool_size = -1;
	memset(&console->sums, 0, sizeof(console->sums));
	console->npools = console->npools_seen = 0;
	console->ndatabases = console->ndatabases_seen = 0;
}

/* Names as reports and log lines show them. */
const char *
steward_console_state_name(StewardConsoleState state)
{
	switch (state)
	{
		case STEWARD_CONSOLE_STARTING:
			return "starting";
		case STEWARD_CONSOLE_OK:
			return "ok";
		case STEWARD_CONSOLE_UNREACHABLE:
			return "unreachable";
		case STEWARD_CONSOLE_TIMEOUT:
			return "timeout";
		case STEWARD_CONSOLE_REFUSED:
			return "refused";
		case STEWARD_CONSOLE_INVALID:
			return "invalid answer";
	}
	return "???";
}

/*
 * Copy a text of another program into so many bytes: cut, control characters
 * replaced, and if "ascii" also all others that are not ASCII.  White space at
 * the end is left out.  The text is taken for UTF-8 when it is cut.
 */
void
steward_copy_printable(char *target, Size size, const char *text, bool ascii)
{
	int			length = strnlen(text, size);

	if (length >= (int) size)
		length = pg_encoding_mbcliplen(PG_UTF8, text, length, size - 1);
	for (int i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (c == '\n' || c == '\t')
			target[i] = ' ';
		else
			target[i] = (c < ' ' || c == 0x7f || (ascii && c > 0x7e)) ? '?' : c;
	}
	while (length > 0 && target[length - 1] == ' ')
		length--;
	memset(target + length, 0, size - length);
}
