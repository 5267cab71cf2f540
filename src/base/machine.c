/*-------------------------------------------------------------------------
 *
 * machine.c
 *	  What the server may use of the machine, and its clock.
 *
 * In a container the machine has more processors than the server may use; the
 * limit is set by a control group (cgroup), of version 1 or 2, of the process
 * or of any group above it.  Its files are looked for where the process's own
 * path says; where that is not visible, as in most containers, the mounted root
 * is the group of the container.
 *
 * Whatever cannot be read is taken for no limit.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "fmgr.h"
#include "storage/fd.h"

#include "base/machine.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

PG_FUNCTION_INFO_V1(pg_steward_machine_cpus);

/*
 * First line of a file without its newline, in a buffer; false if there is
 * none.
 */
static bool
read_line(const char *path, char *buffer, int size)
{
	FILE	   *file = AllocateFile(path, "r");
	bool		ok;

	if (file == NULL)
		return false;
	ok = fgets(buffer, size, file) != NULL;
	FreeFile(file);
	if (ok)
		buffer[strcspn(buffer, "\n")] = '\0';
	return ok;
}

/*
 * Path of this process in the hierarchy of a controller; NULL stands for the
 * single hierarchy of version 2.  False if it is in none.
 */
static bool
cgroup_path(const char *controller, char *path, int size)
{
	FILE	   *file = AllocateFile("/proc/self/cgroup", "r");
	char		line[MAXPGPATH];
	bool		found = false;

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL)
	{
		char	   *names = strchr(line, ':');
		char	   *own = names ? strchr(names + 1, ':') : NULL;

		if (own == NULL)
			continue;
		*own++ = '\0';
		names++;
		own[strcspn(own, "\n")] = '\0';
		if (controller == NULL)
			found = names[0] == '\0';
		else
		{
			for (char *name = strtok(names, ","); name; name = strtok(NULL, ","))
				found |= strcmp(name, controller) == 0;
		}
		if (found)
			strlcpy(path, own, size);
	}
	FreeFile(file);
	return found;
}

/* Processors by version 2's "QUOTA PERIOD" of a group, or fallback. */
static double
group_limit_v2(const char *directory, double fallback)
{
	char		path[MAXPGPATH * 2];
	char		line[128];
	long		quota,
				period;

	snprintf(path, sizeof(path), "%s/cpu.max", directory);
	if (read_line(path, line, sizeof(line)) &&
		sscanf(line, "%ld %ld", &quota, &period) == 2 &&
		quota > 0 && period > 0)
		return Min(fallback, (double) quota / period);
	return fallback;
}

/* The same, by version 1's two files. */
static double
group_limit_v1(const char *directory, double fallback)
{
	char		path[MAXPGPATH * 2];
	char		quota[64];
	char		period[64];

	snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", directory);
	if (!read_line(path, quota, sizeof(quota)))
		return fallback;
	snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", directory);
	if (!read_line(path, period, sizeof(period)) ||
		atol(quota) <= 0 || atol(period) <= 0)
		return fallback;
	return Min(fallback, (double) atol(quota) / atol(period));
}

/*
 * The smallest limit of a group and all above it, up to the mounted root.
 */
static double
hierarchy_limit(const char *root, const char *own, double fallback,
				double (*group_limit) (const char *, double))
{
	char		path[MAXPGPATH];
	double		limit = group_limit(root, fallback);

	strlcpy(path, own, sizeof(path));
	while (path[0] != '\0' && strcmp(path, "/") != 0)
	{
		char		directory[MAXPGPATH * 2];
		char	   *slash = strrchr(path, '/');

		snprintf(directory, sizeof(directory), "%s%s", root, path);
		limit = group_limit(directory, limit);
		if (slash == NULL)
			break;
		*slash = '\0';
	}
	return limit;
}

/*
 * Processors that this process may use at the same time, perhaps a fraction
 * of one: by its affinity and by the limits of control groups.
 */
double
steward_machine_cpus(void)
{
	double		cpus = Max(sysconf(_SC_NPROCESSORS_ONLN), 1);
	char		own[MAXPGPATH];

#ifdef CPU_COUNT
	cpu_set_t	set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		cpus = Min(cpus, CPU_COUNT(&set));
#endif

	if (cgroup_path(NULL, own, sizeof(own)))
		cpus = hierarchy_limit(CGROUP_ROOT, own, cpus, group_limit_v2);
	if (cgroup_path("cpu", own, sizeof(own)))
	{
		cpus = hierarchy_limit(CGROUP_ROOT "/cpu", own, cpus, group_limit_v1);
		cpus = hierarchy_limit(CGROUP_ROOT "/cpu,cpuacct", own, cpus,
							   group_limit_v1);
	}
	return cpus;
}

/* Milliseconds of a clock that never goes back, the same in all processes. */
int64
steward_monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64CONST(1000) + now.tv_nsec / 1000000;
}

/* machine_cpus() returns float8 */
Datum
pg_steward_machine_cpus(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(steward_machine_cpus());
}
