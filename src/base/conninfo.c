/*-------------------------------------------------------------------------
 *
 * conninfo.c
 *	  A setting that is a list of connection strings.
 *
 * Strings are separated by semicolons; one within single quotes, or after a
 * backslash, belongs to a value, as the client library reads it.
 *
 * Settings can be read in files and are written to logs, so that secrets do
 * not belong there: a string with one is refused.  The message says so without
 * repeating the value, which the server's own would do.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "libpq-fe.h"

#include "base/conninfo.h"

/*
 * The next connection string of a list that is not empty, and in *list what is
 * left.  Palloc'd; NULL at the end.
 */
char *
steward_conninfo_next(const char **list)
{
	const char *p = *list;

	for (;;)
	{
		const char *start;
		bool		quoted = false;

		while (*p == ';' || isspace((unsigned char) *p))
			p++;
		if (*p == '\0')
		{
			*list = p;
			return NULL;
		}
		start = p;
		for (; *p != '\0' && (quoted || *p != ';'); p++)
		{
			if (*p == '\\' && p[1] != '\0')
				p++;
			else if (*p == '\'')
				quoted = !quoted;
		}
		*list = p;
		return pnstrdup(start, p - start);
	}
}

/*
 * Is this option a secret?  The library marks those that are not to be
 * displayed; it also knows keys that stand for a password.
 */
static bool
is_secret(const PQconninfoOption *option)
{
	return option->dispchar[0] == '*' ||
		strncmp(option->keyword, "scram_", 6) == 0;
}

/* Raise the complaint of the check hook about what is in the options. */
static bool
check_options(const PQconninfoOption *options, int number)
{
	for (const PQconninfoOption *option = options; option->keyword; option++)
	{
		if (option->val == NULL)
			continue;
		if (is_secret(option))
		{
			GUC_check_errmsg("connection string must not contain \"%s\"",
							 option->keyword);
			GUC_check_errdetail("Connection string %d has a secret, which many could read in a setting.",
								number);
			GUC_check_errhint("Put it into a file that only the server's user can read, named by \"passfile\", or into a service.");
			return false;
		}
		if ((strcmp(option->keyword, "host") == 0 ||
			 strcmp(option->keyword, "hostaddr") == 0) &&
			strchr(option->val, ',') != NULL)
		{
			GUC_check_errmsg("connection string must name one host");
			GUC_check_errdetail("Connection string %d has several.", number);
			GUC_check_errhint("Write one connection string for each, separated by semicolons.");
			return false;
		}
	}
	return true;
}

/* Check one connection string; the number counts from 1. */
static bool
check_conninfo(const char *conninfo, int number)
{
	char	   *error = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &error);
	bool		ok;

	if (options == NULL)
	{
		int			length = error ? strcspn(error, "\n") : 0;

		GUC_check_errmsg("invalid connection string");
		GUC_check_errdetail("Connection string %d: %.*s.", number,
							error ? length : 13, error ? error : "out of memory");
		GUC_check_errhint("Write \"host=... port=... user=...\", and a semicolon between two of these.");
		PQfreemem(error);
		return false;
	}
	ok = check_options(options, number);
	PQconninfoFree(options);
	return ok;
}

/*
 * Check hook: every string can be parsed, names one host and has no secret,
 * and there are not too many.
 */
bool
steward_conninfo_check(char **newval, void **extra, GucSource source)
{
	const char *list = *newval;
	char	   *conninfo;
	int			number = 0;
	bool		ok = true;

	while (ok && list != NULL && (conninfo = steward_conninfo_next(&list)) != NULL)
	{
		if (++number > STEWARD_MAX_CONNINFOS)
		{
			GUC_check_errmsg("too many connection strings");
			GUC_check_errdetail("There can be at most %d.",
								STEWARD_MAX_CONNINFOS);
			ok = false;
		}
		else
			ok = check_conninfo(conninfo, number);
		pfree(conninfo);
	}
	return ok;
}
