/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  Shared memory plumbing, and what to say when there is none.
 *
 * Shared memory can only be had by a library named in
 * shared_preload_libraries.  The postmaster loads it, each subject registers
 * its area from its own init function, the sizes are summed up in the request
 * hook and the areas are attached in the startup hook, under AddinShmemInitLock.
 * A library that was loaded later, by the first call of one of its SQL
 * functions, registers nothing: steward_is_preloaded() is false and functions
 * that need the memory call steward_require_preload() first.
 *
 * Nothing is requested during a binary upgrade: the servers that pg_upgrade
 * starts must not carry state or work of ours.
 *
 * Apart from the areas of the subjects there is one small struct of our own.
 * It is written once, by the process that creates it, and needs no lock.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/shmem.h"

#define MAX_AREAS 16

/* Shared; constant after creation. */
typedef struct StewardShared
{
	TimestampTz start_time;		/* when this memory was created */
} StewardShared;

/* All process-local state of this file; set up before the first fork. */
static struct
{
	const StewardShmemArea *areas[MAX_AREAS];
	int			nareas;
	StewardShared *shared;		/* NULL unless preloaded */
	shmem_request_hook_type prev_shmem_request_hook;
	shmem_startup_hook_type prev_shmem_startup_hook;
}			shmem;

static void shmem_request(void);
static void shmem_startup(void);

/*
 * Install the hooks.  Does nothing unless the library is being preloaded.
 */
void
steward_shmem_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;

	shmem.prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = shmem_request;
	shmem.prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

/*
 * Ask for an area of shared memory.  For init functions of subjects, while
 * the library is being preloaded.  The descriptor must stay valid.
 */
void
steward_shmem_register(const StewardShmemArea *area)
{
	if (shmem.nareas >= MAX_AREAS)
		elog(ERROR, "too many shared memory areas");
	shmem.areas[shmem.nareas++] = area;
}

/*
 * Total size of our shared memory, in bytes.
 */
Size
steward_shmem_size(void)
{
	Size		size = MAXALIGN(sizeof(StewardShared));

	for (int i = 0; i < shmem.nareas; i++)
		size = add_size(size, CACHELINEALIGN(shmem.areas[i]->size()));
	return size;
}

static void
shmem_request(void)
{
	if (shmem.prev_shmem_request_hook)
		shmem.prev_shmem_request_hook();

	RequestAddinShmemSpace(steward_shmem_size());
	for (int i = 0; i < shmem.nareas; i++)
	{
		if (shmem.areas[i]->nlocks > 0)
			RequestNamedLWLockTranche(shmem.areas[i]->name,
									  shmem.areas[i]->nlocks);
	}
}

static void
shmem_startup(void)
{
	bool		found;

	if (shmem.prev_shmem_startup_hook)
		shmem.prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);

	shmem.shared = ShmemInitStruct("pg_steward", sizeof(StewardShared), &found);
	if (!found)
		shmem.shared->start_time = GetCurrentTimestamp();

	for (int i = 0; i < shmem.nareas; i++)
	{
		const StewardShmemArea *area = shmem.areas[i];
		void	   *memory = ShmemInitStruct(area->name, area->size(), &found);
		LWLockPadded *locks = NULL;

		if (area->nlocks > 0)
			locks = GetNamedLWLockTranche(area->name);
		area->attach(memory, locks, found);
	}

	LWLockRelease(AddinShmemInitLock);
}

/*
 * Is our shared memory there?
 */
bool
steward_is_preloaded(void)
{
	return shmem.shared != NULL;
}

/*
 * When our shared memory was created: at server start, or when the server
 * restarted itself after a crash.  0 when there is none.
 */
TimestampTz
steward_shmem_start_time(void)
{
	return shmem.shared ? shmem.shared->start_time : 0;
}

/*
 * File name of a preloaded library as users may write it, reduced to what
 * identifies it: no directory, no suffix.  Returns a palloc'd string.
 */
static char *
library_base_name(const char *entry)
{
	const char *slash = strrchr(entry, '/');
	char	   *name = pstrdup(slash ? slash + 1 : entry);
	size_t		len = strlen(name);
	size_t		suffix = strlen(DLSUFFIX);

	if (len > suffix && strcmp(name + len - suffix, DLSUFFIX) == 0)
		name[len - suffix] = '\0';
	return name;
}

/*
 * Does shared_preload_libraries name this library?  The setting cannot change
 * while the server runs, so it tells what was loaded.
 */
bool
steward_library_in_preload_list(const char *library)
{
	List	   *entries = NIL;
	ListCell   *lc;
	bool		result = false;

	if (shared_preload_libraries_string == NULL ||
		!SplitDirectoriesString(pstrdup(shared_preload_libraries_string), ',',
								&entries))
		return false;

	foreach(lc, entries)
	{
		if (strcmp(library_base_name(lfirst(lc)), library) == 0)
			result = true;
	}
	list_free_deep(entries);
	return result;
}

/*
 * The line that postgresql.conf needs, as a full-sentence hint.  Libraries
 * that are preloaded already are kept in it, unless the caller may not see
 * them.  Returns a palloc'd, translated string.
 */
char *
steward_preload_hint(void)
{
	StringInfoData list;

	initStringInfo(&list);
	if (has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_SETTINGS) &&
		shared_preload_libraries_string != NULL)
		appendStringInfoString(&list, shared_preload_libraries_string);
	if (!steward_library_in_preload_list("pg_stat_statements") || list.len == 0)
		appendStringInfo(&list, "%spg_stat_statements", list.len > 0 ? "," : "");
	if (!steward_library_in_preload_list("pg_steward") ||
		strstr(list.data, "pg_steward") == NULL)
		appendStringInfo(&list, "%spg_steward", list.len > 0 ? "," : "");

	return psprintf(_("Add the line \"shared_preload_libraries = '%s'\" to postgresql.conf and restart the server."),
					list.data);
}

/*
 * Raise the error for functions that need our shared memory when there is
 * none.
 */
void
steward_require_preload(void)
{
	if (steward_is_preloaded())
		return;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("pg_steward is not loaded at server start"),
			 errdetail("This function reads shared memory, which only a library named in \"shared_preload_libraries\" can have."),
			 errhint("%s", steward_preload_hint())));
}
