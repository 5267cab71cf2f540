/*-------------------------------------------------------------------------
 *
 * pgbouncer_resolve.c
 *	  Looks up the address of a host without waiting for it.
 *
 * The client library connects without blocking, but it looks up names with
 * getaddrinfo(), which can block for half a minute when a name server does not
 * answer, and cannot be interrupted.  So that a child process does it, which
 * can be killed at any moment: it is no child of the postmaster, lets go of
 * shared memory first, and does nothing but the look-up.  An alarm ends it if
 * nobody else does.
 *
 * It writes the addresses, separated by commas, or "!" and the reason why
 * there are none.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libpq/pqsignal.h"
#include "storage/pg_shmem.h"

#include "base/compat.h"
#include "pool/pgbouncer_resolve.h"

#define CHILD_SECONDS 5

/* Is this host a name, not an address or the directory of a socket? */
bool
steward_resolve_needed(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return host != NULL && host[0] != '\0' && host[0] != '/' &&
		host[0] != '@' && inet_pton(AF_INET, host, address) != 1 &&
		inet_pton(AF_INET6, host, address) != 1;
}

/* Append the addresses of a host to the text, as many as fit. */
static void
look_up(const char *host, char *text, size_t size)
{
	struct addrinfo hints;
	struct addrinfo *list = NULL;
	size_t		length = 0;
	int			n = 0;
	int			rc;

	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	rc = getaddrinfo(host, NULL, &hints, &list);
	if (rc != 0)
	{
		strlcpy(text, "!", size);
		strlcat(text, gai_strerror(rc), size);
		return;
	}
	text[0] = '\0';
	for (struct addrinfo *a = list; a && n < STEWARD_MAX_ADDRESSES; a = a->ai_next)
	{
		char		one[NI_MAXHOST];

		if (getnameinfo(a->ai_addr, a->ai_addrlen, one, sizeof(one), NULL, 0,
						NI_NUMERICHOST) != 0 ||
			length + strlen(one) + 2 > size)
			continue;
		if (n++ > 0)
			strlcat(text, ",", size);
		strlcat(text, one, size);
		length = strlen(text);
	}
	if (n == 0)
		strlcpy(text, "!no address", size);
}

/* The child; does not return. */
static void
run_child(const char *host, int fd)
{
	StewardResolver resolver;
	size_t		length;

	pqsignal(SIGTERM, PG_SIG_DFL);
	pqsignal(SIGINT, PG_SIG_DFL);
	pqsignal(SIGQUIT, PG_SIG_DFL);
	pqsignal(SIGHUP, PG_SIG_DFL);
	pqsignal(SIGALRM, PG_SIG_DFL);
	pqsignal(SIGURG, PG_SIG_IGN);
	sigprocmask(SIG_SETMASK, &UnBlockSig, NULL);
	alarm(CHILD_SECONDS);
	PGSharedMemoryDetach();

	look_up(host, resolver.answer, sizeof(resolver.answer));
	length = strlen(resolver.answer);
	_exit(write(fd, resolver.answer, length) == (ssize_t) length ? 0 : 1);
}

/*
 * Begin a look-up.  False, with errno, if there can be no child.  What comes
 * from resolver->fd is to be read with steward_resolve_read(), and the caller
 * ends it in any case.
 */
bool
steward_resolve_start(StewardResolver *resolver, const char *host)
{
	int			ends[2];

	memset(resolver, 0, sizeof(*resolver));
	if (pipe(ends) < 0)
		return false;
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
	{
		close(ends[0]);
		close(ends[1]);
		return false;
	}

	sigprocmask(SIG_SETMASK, &BlockSig, NULL);
	resolver->pid = fork();
	if (resolver->pid == 0)
		run_child(host, ends[1]);
	sigprocmask(SIG_SETMASK, &UnBlockSig, NULL);

	close(ends[1]);
	if (resolver->pid < 0)
	{
		int			save_errno = errno;

		close(ends[0]);
		memset(resolver, 0, sizeof(*resolver));
		errno = save_errno;
		return false;
	}
	resolver->fd = ends[0];
	return true;
}

/* Read what is there; true if that is all. */
bool
steward_resolve_read(StewardResolver *resolver)
{
	for (;;)
	{
		size_t		room = sizeof(resolver->answer) - 1 - resolver->length;
		ssize_t		n;

		if (room == 0)
			return true;
		n = read(resolver->fd, resolver->answer + resolver->length, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return false;
		if (n <= 0)
			return true;
		resolver->length += n;
	}
}

/* Why there is no address, or NULL if there is one. */
const char *
steward_resolve_error(const StewardResolver *resolver)
{
	if (resolver->answer[0] == '!')
		return resolver->answer + 1;
	return resolver->length == 0 ? "the look-up failed" : NULL;
}

/* The addresses, separated by commas. */
const char *
steward_resolve_addresses(const StewardResolver *resolver)
{
	return resolver->answer;
}

/* End the child, if there is one, and forget what it said. */
void
steward_resolve_end(StewardResolver *resolver)
{
	if (resolver->pid == 0)
		return;
	close(resolver->fd);
	kill(resolver->pid, SIGKILL);
	while (waitpid(resolver->pid, NULL, 0) < 0 && errno == EINTR)
		 /* again */ ;
	memset(resolver, 0, sizeof(*resolver));
}
