/*-------------------------------------------------------------------------
 *
 * pgbouncer_parse.h
 *	  Reads the answers of PgBouncer's admin console.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_PGBOUNCER_PARSE_H
#define STEWARD_PGBOUNCER_PARSE_H

#include "libpq-fe.h"

#include "pool/pgbouncer.h"

/* What a console is asked for, one after the other. */
typedef struct StewardBouncerQuery
{
	const char *sql;
	const char *key;			/* a column that the answer must have */
	bool		required;		/* we cannot do without */

	/* take a row with this key; the row has one tuple */
	void		(*take) (StewardConsole *console, const char *key,
						 const PGresult *row);
} StewardBouncerQuery;

extern const StewardBouncerQuery *steward_bouncer_query(int n);

#endif							/* STEWARD_PGBOUNCER_PARSE_H */
