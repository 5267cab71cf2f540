/*-------------------------------------------------------------------------
 *
 * pgbouncer_resolve.h
 *	  Looks up the address of a host without waiting for it.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_PGBOUNCER_RESOLVE_H
#define STEWARD_PGBOUNCER_RESOLVE_H

/* Addresses of a host that are tried, at most. */
#define STEWARD_MAX_ADDRESSES 8

/* A look-up under way; all zero if there is none. */
typedef struct StewardResolver
{
	pid_t		pid;
	int			fd;				/* what it says comes from here */
	int			length;
	char		answer[512];
} StewardResolver;

extern bool steward_resolve_needed(const char *host);
extern bool steward_resolve_start(StewardResolver *resolver, const char *host);
extern bool steward_resolve_read(StewardResolver *resolver);
extern const char *steward_resolve_error(const StewardResolver *resolver);
extern const char *steward_resolve_addresses(const StewardResolver *resolver);
extern void steward_resolve_end(StewardResolver *resolver);

#endif							/* STEWARD_PGBOUNCER_RESOLVE_H */
