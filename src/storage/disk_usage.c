/*-------------------------------------------------------------------------
 *
 * disk_usage.c
 *	  What takes the server's disk space, and how much is left.
 *
 * The data directory is divided into areas: databases, WAL, temporary files,
 * log, and so on; tablespaces are areas elsewhere.  Each area is a directory
 * that is walked, and whatever a walk meets that is the directory of another
 * area is left to that one.  Directories are recognized by device and inode,
 * so that it makes no difference whether pg_wal is a symbolic link, a
 * tablespace lies inside the data directory, or the log directory is the data
 * directory itself: nothing is counted twice, and the last area, "other", is
 * all of the data directory that belongs to none.  Symbolic links are not
 * followed otherwise.
 *
 * Two sums are kept: the lengths of the files, as all size functions of the
 * server have it, and the blocks allocated for files and directories, as du
 * has it.  They differ for small and sparse files.
 *
 * Files come and go during the walk; what is gone counts as nothing.  What
 * may not be read by the server's user (lost+found at the root of a volume) is
 * counted as unreadable and does no harm to the rest.  A log directory
 * outside the data directory may hold other things below it, so that only its
 * own files are taken.
 *
 * Beside each area stands its file system: device number, where it is
 * mounted, and the space that statvfs() reports.  A mount point is found by
 * going up until the device changes.  A network file system that does not
 * answer makes these calls wait, and they cannot be cancelled.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "catalog/pg_authid_d.h"
#include "catalog/pg_tablespace_d.h"
#include "common/file_utils.h"
#include "common/relpath.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/syslogger.h"
#include "storage/fd.h"
#include "utils/acl.h"

#include "base/compat.h"
#include "base/rows.h"

PG_FUNCTION_INFO_V1(pg_steward_disk_areas);

/* A directory that is summed up by itself. */
typedef struct DiskArea
{
	const char *name;
	Oid			tablespace;		/* 0 if it belongs to none */
	char	   *path;			/* as resolved by the operating system */
	bool		flat;			/* files of the directory itself only */
	dev_t		device;
	ino_t		inode;
	int64		bytes;
	int64		allocated_bytes;
	int64		files;
	int64		unreadable;
} DiskArea;

typedef struct DiskAreas
{
	DiskArea   *areas;
	int			nareas;
	int			max_areas;
} DiskAreas;

/* Parts of the data directory with an area of their own. */
static const struct
{
	const char *name;
	const char *directory;
}			data_areas[] =
{
	{"databases", "base"},
	{"temporary files", "base/" PG_TEMP_FILES_DIR},
	{"shared catalogs", "global"},
	{"wal", "pg_wal"},
	{"transaction status", "pg_xact"},
	{"multixacts", "pg_multixact"},
	{"replication slots", "pg_replslot"}
};

/*
 * Only those who may read the server's directories by other functions.
 */
static void
check_privilege(void)
{
	if (has_privs_of_role(GetUserId(), ROLE_PG_MONITOR))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to examine disk usage"),
			 errdetail("Only roles with privileges of the \"%s\" role may do this.",
					   "pg_monitor"),
			 errhint("Ask a superuser to GRANT pg_monitor to role \"%s\".",
					 GetUserNameFromId(GetUserId(), false))));
}

/*
 * The area of a directory, or NULL.
 */
static DiskArea *
find_area(DiskAreas *all, const struct stat *st)
{
	for (int i = 0; i < all->nareas; i++)
	{
		if (all->areas[i].inode == st->st_ino &&
			all->areas[i].device == st->st_dev)
			return &all->areas[i];
	}
	return NULL;
}

/*
 * Add an area, unless the directory does not exist, is none, or is one
 * already.
 */
static DiskArea *
add_area(DiskAreas *all, const char *name, Oid tablespace, const char *path)
{
	DiskArea   *area;
	struct stat st;
	char	   *resolved;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode) ||
		find_area(all, &st) != NULL)
		return NULL;
	resolved = realpath(path, NULL);

	if (all->nareas == all->max_areas)
	{
		all->max_areas *= 2;
		all->areas = repalloc(all->areas, all->max_areas * sizeof(DiskArea));
	}
	area = &all->areas[all->nareas++];
	memset(area, 0, sizeof(DiskArea));
	area->name = name;
	area->tablespace = tablespace;
	area->path = pstrdup(resolved != NULL ? resolved : path);
	area->device = st.st_dev;
	area->inode = st.st_ino;
	free(resolved);
	return area;
}

/*
 * Is this path inside that directory?  Both are resolved.
 */
static bool
is_inside(const char *path, const char *directory)
{
	size_t		len = strlen(directory);

	return strncmp(path, directory, len) == 0 && path[len] == '/';
}

/*
 * Tablespaces, each with its temporary files.  Only the directory of this
 * server's version counts, as in pg_tablespace_size().
 */
static void
add_tablespaces(DiskAreas *all)
{
	DIR		   *dir = AllocateDir("pg_tblspc");
	struct dirent *de;

	while ((de = ReadDirExtended(dir, "pg_tblspc", LOG)) != NULL)
	{
		char		path[MAXPGPATH];
		Oid			tablespace = (Oid) strtoul(de->d_name, NULL, 10);

		if (!OidIsValid(tablespace))
			continue;
		snprintf(path, sizeof(path), "pg_tblspc/%u/%s", tablespace,
				 TABLESPACE_VERSION_DIRECTORY);
		add_area(all, "tablespace", tablespace, path);
		snprintf(path, sizeof(path), "pg_tblspc/%u/%s/%s", tablespace,
				 TABLESPACE_VERSION_DIRECTORY, PG_TEMP_FILES_DIR);
		add_area(all, "temporary files", tablespace, path);
	}
	FreeDir(dir);
}

/*
 * Determine all areas.
 */
static void
collect_areas(DiskAreas *all)
{
	DiskArea   *data;
	DiskArea   *log;
	char	   *data_path;

	all->nareas = 0;
	all->max_areas = 32;
	all->areas = palloc(all->max_areas * sizeof(DiskArea));

	data = add_area(all, "other", InvalidOid, ".");
	data_path = data != NULL ? data->path : DataDir;
	for (int i = 0; i < lengthof(data_areas); i++)
		add_area(all, data_areas[i].name,
				 strncmp(data_areas[i].directory, "base", 4) == 0 ?
				 DEFAULTTABLESPACE_OID :
				 strcmp(data_areas[i].directory, "global") == 0 ?
				 GLOBALTABLESPACE_OID : InvalidOid,
				 data_areas[i].directory);
	add_tablespaces(all);
	log = add_area(all, "log", InvalidOid, Log_directory);
	if (log != NULL)
		log->flat = !is_inside(log->path, data_path);
}

/*
 * Add what is in a directory to its area.
 */
static void
walk_directory(DiskAreas *all, DiskArea *area, const char *path)
{
	DIR		   *dir = AllocateDir(path);
	struct dirent *de;

	check_stack_depth();

	if (dir == NULL)
	{
		if (errno != ENOENT)
			area->unreadable++;
		return;
	}
	while ((de = ReadDirExtended(dir, path, DEBUG1)) != NULL)
	{
		char		child[MAXPGPATH * 2];
		struct stat st;

		CHECK_FOR_INTERRUPTS();

		if (strcmp(de->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		{
			if (errno != ENOENT)
				area->unreadable++;
			continue;
		}

		if (strcmp(de->d_name, ".") == 0)
			area->allocated_bytes += (int64) st.st_blocks * 512;
		else if (S_ISDIR(st.st_mode))
		{
			if (area->flat || find_area(all, &st) != NULL)
				continue;
			if (snprintf(child, sizeof(child), "%s/%s", path, de->d_name) >=
				(int) sizeof(child))
			{
				area->unreadable++;
				continue;
			}
			walk_directory(all, area, child);
		}
		else
		{
			area->bytes += st.st_size;
			area->allocated_bytes += (int64) st.st_blocks * 512;
			area->files++;
		}
		errno = 0;
	}
	if (errno != 0)
		area->unreadable++;		/* the rest of the directory */
	FreeDir(dir);
}

/*
 * Where the file system of an area is mounted: the highest directory above it
 * that is on the same device.  NULL if that cannot be told.
 */
static char *
mount_point(const DiskArea *area)
{
	char	   *path = pstrdup(area->path);

	if (path[0] != '/')
		return NULL;
	while (path[1] != '\0')
	{
		char	   *parent = pstrdup(path);
		struct stat st;

		*(strrchr(parent, '/') + (strrchr(parent, '/') == parent ? 1 : 0)) = '\0';
		if (stat(parent, &st) != 0)
			return NULL;
		if (st.st_dev != area->device)
			break;
		path = parent;
	}
	return path;
}

/*
 * The columns of an area's file system.  used_pct is that of df: of what
 * users can have, without the blocks reserved for root.
 */
static void
put_file_system(StewardRows *rows, const DiskArea *area)
{
	struct statvfs fs;
	double		used;

	steward_rows_int64(rows, (int64) area->device);
	steward_rows_text(rows, mount_point(area));
	if (statvfs(area->path, &fs) != 0)
	{
		for (int i = 0; i < 4; i++)
			steward_rows_null(rows);
		return;
	}
	steward_rows_int64(rows, (int64) fs.f_blocks * fs.f_frsize);
	steward_rows_int64(rows, (int64) fs.f_bfree * fs.f_frsize);
	steward_rows_int64(rows, (int64) fs.f_bavail * fs.f_frsize);
	used = (double) fs.f_blocks - (double) fs.f_bfree;
	if (used + fs.f_bavail > 0)
		steward_rows_float8(rows, 100.0 * used / (used + fs.f_bavail));
	else
		steward_rows_null(rows);
}

/*
 * disk_areas(): see its declaration in 25_disk.sql.
 */
Datum
pg_steward_disk_areas(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	DiskAreas	all;

	check_privilege();
	steward_rows_begin(&rows, fcinfo);
	collect_areas(&all);
	for (int i = 0; i < all.nareas; i++)
	{
		DiskArea   *area = &all.areas[i];

		walk_directory(&all, area, area->path);

		steward_rows_text(&rows, area->name);
		steward_rows_oid(&rows, area->tablespace);
		steward_rows_text(&rows, area->path);
		steward_rows_int64(&rows, area->bytes);
		steward_rows_int64(&rows, area->allocated_bytes);
		steward_rows_int64(&rows, area->files);
		steward_rows_int64(&rows, area->unreadable);
		put_file_system(&rows, area);
		steward_rows_end_row(&rows);
	}
	return (Datum) 0;
}
