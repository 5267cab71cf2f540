/*-------------------------------------------------------------------------
 *
 * relation_files.c
 *	  The sizes of all relations of this database, from the directories.
 *
 * pg_relation_size() and its family open each relation with a lock: they wait
 * behind ALTER TABLE or VACUUM FULL, and leave a relation cache entry behind
 * for every table looked at.  Here the database's directories, one for each
 * tablespace, and the directory of the shared catalogs are read once, and each
 * file is attributed to its relation by its name, which is the relation's file
 * number.  Nothing is locked and nothing is cached.  relation_sizes.c joins
 * the result with the catalogs.
 *
 * File names (see relpath.c of the server): "<number>" with "_fsm", "_vm" or
 * "_init" for the other forks and ".<n>" for further segments of 1 GB;
 * temporary relations have "t<backend>_" in front, and their numbers may
 * coincide with those of permanent relations, so that the backend is part of
 * the key.  All that is not named so (PG_VERSION, pg_filenode.map, ...) is
 * summed up under file number 0.
 *
 * A file that disappears between reading the directory and asking for its
 * size is a relation that was dropped; it counts as nothing.  The sum over
 * all but the shared catalogs equals pg_database_size(), which reads the same
 * directories, as long as nothing changes in between.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_tablespace_d.h"
#include "common/hashfn.h"
#include "common/relpath.h"
#include "miscadmin.h"
#include "storage/fd.h"

#include "base/compat.h"
#include "storage/relation_files.h"

/* One array, no chains: a hundred thousand files are looked up twice. */
static inline uint32
hash_key(StewardFilesKey key)
{
	return hash_combine(murmurhash32(key.number),
						key.tablespace ^ (uint32) key.temp_owner);
}

static inline bool
equal_keys(StewardFilesKey a, StewardFilesKey b)
{
	return a.number == b.number && a.tablespace == b.tablespace &&
		a.temp_owner == b.temp_owner;
}

#define SH_PREFIX files
#define SH_ELEMENT_TYPE StewardFiles
#define SH_KEY_TYPE StewardFilesKey
#define SH_KEY key
#define SH_HASH_KEY(table, key) hash_key(key)
#define SH_EQUAL(table, a, b) equal_keys(a, b)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct StewardFilesTable
{
	files_hash *hash;
	files_iterator position;
	bool		started;
};

/* What stands behind the number in names of the forks; "" is the main one. */
static const char *const fork_suffixes[] = {"_fsm", "_vm", "_init", ""};

/*
 * Read an unsigned number of at most 10 digits.  Advances *s past it; returns
 * false when there is none or it does not fit.
 */
static bool
parse_number(const char **s, uint32 *number)
{
	uint64		value = 0;
	const char *p = *s;

	while (*p >= '0' && *p <= '9' && p - *s < 10)
		value = value * 10 + (*p++ - '0');
	if (p == *s || value > PG_UINT32_MAX)
		return false;
	*s = p;
	*number = (uint32) value;
	return true;
}

/*
 * Split the name of a relation's file.  Returns false when it is not one;
 * then *number is 0.
 */
static bool
parse_file_name(const char *name, Oid *number, int32 *temp_owner,
				bool *main_fork)
{
	const char *p = name;
	uint32		value;
	uint32		segment;

	*number = InvalidOid;
	*temp_owner = STEWARD_NOT_TEMPORARY;
	*main_fork = true;

	if (*p == 't')
	{
		p++;
		if (!parse_number(&p, &value) || *p++ != '_')
			return false;
		*temp_owner = (int32) value;
	}
	if (!parse_number(&p, &value))
		return false;
	for (int i = 0; i < lengthof(fork_suffixes); i++)
	{
		size_t		len = strlen(fork_suffixes[i]);

		if (strncmp(p, fork_suffixes[i], len) == 0)
		{
			p += len;
			*main_fork = (len == 0);
			break;
		}
	}
	if (*p == '.')
	{
		p++;
		if (!parse_number(&p, &segment))
			return false;
	}
	if (*p != '\0')
		return false;
	*number = value;
	return true;
}

/*
 * Find or make the entry of a relation.
 */
static StewardFiles *
enter_files(files_hash *files, const StewardFilesKey *key)
{
	bool		found;
	StewardFiles *entry = files_insert(files, *key, &found);

	if (!found)
	{
		entry->claimed = false;
		entry->main_bytes = entry->all_bytes = 0;
	}
	return entry;
}

/*
 * Add the files of one directory to the table.  A directory that does not
 * exist is a tablespace without files of this database.
 */
static void
read_directory(files_hash *files, Oid tablespace, const char *path)
{
	DIR		   *dir = AllocateDir(path);
	struct dirent *de;

	if (dir == NULL)
	{
		if (errno == ENOENT)
			return;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open directory \"%s\": %m", path)));
	}

	while ((de = ReadDir(dir, path)) != NULL)
	{
		StewardFilesKey key;
		StewardFiles *entry;
		struct stat st;
		bool		main_fork;

		CHECK_FOR_INTERRUPTS();

		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(dir), de->d_name, &st, 0) != 0)
		{
			if (errno == ENOENT)
				continue;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not stat file \"%s/%s\": %m",
							path, de->d_name)));
		}

		key.tablespace = tablespace;
		if (!parse_file_name(de->d_name, &key.number, &key.temp_owner,
							 &main_fork))
			key.temp_owner = STEWARD_NOT_TEMPORARY;

		entry = enter_files(files, &key);
		entry->all_bytes += st.st_size;
		if (main_fork)
			entry->main_bytes += st.st_size;
	}
	FreeDir(dir);
}

/*
 * Read the directories of this database in all tablespaces, and that of the
 * shared catalogs.  The table lives in the current memory context.
 */
StewardFilesTable *
steward_files_read(void)
{
	StewardFilesTable *table = palloc0(sizeof(StewardFilesTable));
	files_hash *files = files_create(CurrentMemoryContext, 1000, NULL);
	DIR		   *dir;
	struct dirent *de;

	read_directory(files, GLOBALTABLESPACE_OID, "global");
	read_directory(files, DEFAULTTABLESPACE_OID,
				   GetDatabasePath(MyDatabaseId, DEFAULTTABLESPACE_OID));

	/* Each further tablespace is a link named by its OID. */
	dir = AllocateDir("pg_tblspc");
	while ((de = ReadDir(dir, "pg_tblspc")) != NULL)
	{
		const char *p = de->d_name;
		uint32		tablespace;

		if (parse_number(&p, &tablespace) && *p == '\0')
			read_directory(files, tablespace,
						   GetDatabasePath(MyDatabaseId, tablespace));
	}
	FreeDir(dir);

	table->hash = files;
	return table;
}

/*
 * Ask for the sizes of all segments of one fork.
 */
static int64
fork_bytes(const char *directory, const StewardFilesKey *key,
		   const char *suffix)
{
	int64		bytes = 0;

	for (uint32 segment = 0;; segment++)
	{
		char		path[MAXPGPATH];
		char		owner[16] = "";
		char		tail[16] = "";
		struct stat st;

		if (key->temp_owner != STEWARD_NOT_TEMPORARY)
			snprintf(owner, sizeof(owner), "t%d_", key->temp_owner);
		if (segment > 0)
			snprintf(tail, sizeof(tail), ".%u", segment);
		snprintf(path, sizeof(path), "%s/%s%u%s%s", directory, owner,
				 key->number, suffix, tail);

		CHECK_FOR_INTERRUPTS();
		if (stat(path, &st) != 0)
		{
			if (errno == ENOENT)
				return bytes;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not stat file \"%s\": %m", path)));
		}
		bytes += st.st_size;
	}
}

/*
 * The files of one relation; never NULL.  A relation that was rewritten or
 * created after its directory was read has a number not seen there: its files
 * are looked at now, so that what is being rewritten does not appear empty.
 * If "changed", they were seen at a moment when they were still being written,
 * and are looked at again.  The result is valid until the next call.
 */
StewardFiles *
steward_files_find(StewardFilesTable *table, const StewardFilesKey *key,
				   bool changed)
{
	StewardFiles *entry = files_lookup(table->hash, *key);
	char	   *directory;

	if (entry != NULL && !changed)
		return entry;

	directory = GetDatabasePath(key->tablespace == GLOBALTABLESPACE_OID ?
								InvalidOid : MyDatabaseId, key->tablespace);
	entry = enter_files(table->hash, key);
	entry->main_bytes = entry->all_bytes = 0;
	for (int i = 0; i < lengthof(fork_suffixes); i++)
	{
		int64		bytes = fork_bytes(directory, key, fork_suffixes[i]);

		entry->all_bytes += bytes;
		if (fork_suffixes[i][0] == '\0')
			entry->main_bytes = bytes;
	}
	pfree(directory);
	return entry;
}

/*
 * One relation after the other, in no order, NULL after the last; nothing may
 * be looked up in between.
 */
StewardFiles *
steward_files_next(StewardFilesTable *table)
{
	if (!table->started)
		files_start_iterate(table->hash, &table->position);
	table->started = true;
	return files_iterate(table->hash, &table->position);
}

/*
 * Release all of it.
 */
void
steward_files_free(StewardFilesTable *table)
{
	files_destroy(table->hash);
	pfree(table);
}
