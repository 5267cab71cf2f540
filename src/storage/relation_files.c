/*-------------------------------------------------------------------------
 *
 * relation_files.c
 *	  The sizes of all relations of this database, from the directories.
 *
 * pg_relation_size() and its family open each relation with a lock: they wait
 * behind ALTER TABLE or VACUUM FULL, and leave a relation cache entry behind
 * for every table looked at.  Here the database's directories, one for each
 * tablespace, are read once, and each file is attributed to its relation by
 * its name, which is the relation's file number.  Nothing is locked and
 * nothing is cached.  The SQL functions join the result with pg_class.
 *
 * File names (see relpath.c of the server): "<number>" with "_fsm", "_vm" or
 * "_init" for the other forks and ".<n>" for further segments of 1 GB;
 * temporary relations have "t<backend>_" in front, and their numbers may
 * coincide with those of permanent relations, so that the backend is part of
 * the key.  All that is not named so (PG_VERSION, pg_filenode.map, ...) is
 * summed up in one row of file number 0.
 *
 * A file that disappears between reading the directory and asking for its
 * size is a relation that was dropped; it counts as nothing.  The sum over
 * all rows equals pg_database_size(), which reads the same directories, as
 * long as nothing changes in between.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_tablespace_d.h"
#include "common/relpath.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/rows.h"

PG_FUNCTION_INFO_V1(pg_steward_relation_files);

/* Owner of a file of a permanent relation. */
#define NOT_TEMPORARY (-1)

/* Identity of a relation on disk.  Hashed as bytes: no padding. */
typedef struct RelationFilesKey
{
	Oid			tablespace;
	Oid			number;			/* 0: files that belong to no relation */
	int32		temp_owner;		/* number in the schema name pg_temp_<n>, or
								 * NOT_TEMPORARY */
} RelationFilesKey;

typedef struct RelationFiles
{
	RelationFilesKey key;
	int64		main_bytes;
	int64		all_bytes;		/* all forks */
} RelationFiles;

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
	static const char *const forks[] = {"_fsm", "_vm", "_init"};
	const char *p = name;
	uint32		value;
	uint32		segment;

	*number = InvalidOid;
	*temp_owner = NOT_TEMPORARY;
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
	for (int i = 0; i < lengthof(forks); i++)
	{
		size_t		len = strlen(forks[i]);

		if (strncmp(p, forks[i], len) == 0)
		{
			p += len;
			*main_fork = false;
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
 * Add the files of one directory to the table.  A directory that does not
 * exist is a tablespace without files of this database.
 */
static void
read_directory(HTAB *files, Oid tablespace, const char *path)
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
		RelationFilesKey key;
		RelationFiles *entry;
		struct stat st;
		bool		main_fork;
		bool		found;

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
			key.temp_owner = NOT_TEMPORARY;

		entry = hash_search(files, &key, HASH_ENTER, &found);
		if (!found)
			entry->main_bytes = entry->all_bytes = 0;
		entry->all_bytes += st.st_size;
		if (main_fork)
			entry->main_bytes += st.st_size;
	}
	FreeDir(dir);
}

/*
 * Read the directories of this database in all tablespaces.
 */
static HTAB *
read_database(void)
{
	HASHCTL		ctl;
	HTAB	   *files;
	DIR		   *dir;
	struct dirent *de;

	ctl.keysize = sizeof(RelationFilesKey);
	ctl.entrysize = sizeof(RelationFiles);
	ctl.hcxt = CurrentMemoryContext;
	files = hash_create("pg_steward relation files", 1024, &ctl,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

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

	return files;
}

/*
 * relation_files(): columns as declared in 20_storage.sql.
 */
Datum
pg_steward_relation_files(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	HASH_SEQ_STATUS status;
	RelationFiles *entry;

	steward_rows_begin(&rows, fcinfo);
	hash_seq_init(&status, read_database());
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		steward_rows_oid(&rows, entry->key.tablespace);
		steward_rows_oid(&rows, entry->key.number);
		steward_rows_int32(&rows, entry->key.temp_owner);
		steward_rows_int64(&rows, entry->main_bytes);
		steward_rows_int64(&rows, entry->all_bytes);
		steward_rows_end_row(&rows);
	}
	return (Datum) 0;
}
