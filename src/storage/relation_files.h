/*-------------------------------------------------------------------------
 *
 * relation_files.h
 *	  Bytes on disk by file number.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_RELATION_FILES_H
#define STEWARD_RELATION_FILES_H

/* temp_owner of a permanent relation's files */
#define STEWARD_NOT_TEMPORARY (-1)

/* Identity of a relation on disk. */
typedef struct StewardFilesKey
{
	Oid			tablespace;
	Oid			number;			/* 0: files that belong to no relation */
	int32		temp_owner;		/* number in the schema name pg_temp_<n>, or
								 * STEWARD_NOT_TEMPORARY */
} StewardFilesKey;

/* What its files take.  32 bytes, there is one for each relation. */
typedef struct StewardFiles
{
	StewardFilesKey key;
	char		status;			/* of the hash table */
	bool		claimed;		/* for the caller: found in a catalog */
	int64		main_bytes;
	int64		all_bytes;		/* all forks */
} StewardFiles;

/* All of them, with a position for steward_files_next(). */
typedef struct StewardFilesTable StewardFilesTable;

extern StewardFilesTable *steward_files_read(void);
extern StewardFiles *steward_files_find(StewardFilesTable *table,
										const StewardFilesKey *key,
										bool changed);
extern StewardFiles *steward_files_next(StewardFilesTable *table);
extern void steward_files_free(StewardFilesTable *table);

#endif							/* STEWARD_RELATION_FILES_H */
