/*-------------------------------------------------------------------------
 *
 * relation_sizes.c
 *	  Sizes by relation, by table and by schema and tablespace.
 *
 * The directories have been read (relation_files.c); here each number on disk
 * meets its relation, and TOAST and indexes meet their tables.  This is done
 * with two plain scans of pg_class and one of pg_index under one snapshot,
 * taken after the directories were read: joins in SQL cost twice the time of
 * reading the directories, and the caches of the server would keep an entry
 * for each relation that was looked up.  Locks are taken on these two
 * catalogs only, as any query takes them.
 *
 * The first scan of pg_class and that of pg_index note whom TOAST and indexes
 * belong to, the second scan of pg_class has each relation's bytes.  All
 * memory is of the caller's context: 32 bytes for each relation on disk and
 * 8 more if it belongs to a table, 64 for each table.
 *
 * The roll-up of partitions is helped by partition_members(), because the
 * planner's idea of a recursive query over pg_inherits is so wrong that it
 * compiles the report before it runs it, which takes a second.
 *
 * The snapshot is the server's own for catalogs, so that a rewrite committed
 * while we were reading, or made by the caller's transaction, is seen.  What
 * was committed since the directories began to be read, by a snapshot taken
 * then, may have been written at that moment: its files are looked at again.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_tablespace_d.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/relmapper.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/rows.h"
#include "storage/relation_files.h"

PG_FUNCTION_INFO_V1(pg_steward_relation_sizes);
PG_FUNCTION_INFO_V1(pg_steward_table_sizes);
PG_FUNCTION_INFO_V1(pg_steward_storage_sums);
PG_FUNCTION_INFO_V1(pg_steward_partition_members);

/* To whom a TOAST table, an index or a partition belongs. */
typedef struct Belonging
{
	Oid			relid;
	Oid			owner;
} Belonging;

/* A table or materialized view with what belongs to it. */
typedef struct TableSizes
{
	Oid			relid;
	Oid			schema;
	int64		main_bytes;		/* of heap_bytes, the main fork */
	int64		heap_bytes;
	int64		toast_bytes;	/* with its index */
	int64		indexes_bytes;
} TableSizes;

/* What a relation is to its table. */
typedef enum StoragePart
{
	PART_TABLE,
	PART_INDEX,
	PART_TOAST,
	PART_SEQUENCE,
	PART_OTHER					/* files of no relation */
} StoragePart;

static const char *const part_names[] = {
	"table", "index", "toast", "sequence", "other"
};

/* Relations of one schema in one tablespace.  Hashed as bytes: no padding. */
typedef struct StorageSumKey
{
	Oid			schema;			/* of the table; 0: files of no relation */
	Oid			tablespace;
	int32		part;			/* StoragePart */
} StorageSumKey;

typedef struct StorageSum
{
	StorageSumKey key;
	int64		relations;
	int64		bytes;
} StorageSum;

/* A pass over the catalogs. */
typedef struct SizePass
{
	Snapshot	before;			/* taken before the directories were read */
	Snapshot	snapshot;		/* and after */
	StewardFilesTable *files;
	HTAB	   *tables;			/* of TableSizes */
	Belonging  *belongings;		/* sorted by relid once complete */
	int			nbelongings;
	int			max_belongings;
	HTAB	   *sums;			/* of StorageSum, or NULL */
	StewardRows *rows;			/* one for each relation, or NULL */
} SizePass;

typedef void (*CatalogVisitor) (SizePass *pass, HeapTuple tuple);

/*
 * A hash table in the current memory context whose keys are plain bytes.
 */
static HTAB *
make_table(const char *name, Size keysize, Size entrysize)
{
	HASHCTL		ctl;

	ctl.keysize = keysize;
	ctl.entrysize = entrysize;
	ctl.hcxt = CurrentMemoryContext;
	return hash_create(name, 256, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Show each row of a catalog to the visitor.
 */
static void
scan_catalog(Oid catalog, SizePass *pass, CatalogVisitor visit)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false,
										  pass->snapshot, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		visit(pass, tuple);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
add_belonging(SizePass *pass, Oid relid, Oid owner)
{
	if (pass->nbelongings == pass->max_belongings)
	{
		pass->max_belongings *= 2;
		pass->belongings =
			repalloc_huge(pass->belongings,
						  pass->max_belongings * sizeof(Belonging));
	}
	pass->belongings[pass->nbelongings].relid = relid;
	pass->belongings[pass->nbelongings].owner = owner;
	pass->nbelongings++;
}

static int
compare_belongings(const void *a, const void *b)
{
	Oid			x = ((const Belonging *) a)->relid;
	Oid			y = ((const Belonging *) b)->relid;

	return (x > y) - (x < y);
}

static void
sort_belongings(SizePass *pass)
{
	qsort(pass->belongings, pass->nbelongings, sizeof(Belonging),
		  compare_belongings);
}

/*
 * A snapshot of the catalogs as they are now.
 */
static Snapshot
catalogs_now(void)
{
	InvalidateCatalogSnapshot();
	return RegisterSnapshot(GetCatalogSnapshot(RelationRelationId));
}

/*
 * Begin to read the catalogs.
 */
static void
start_catalogs(SizePass *pass)
{
	pass->max_belongings = 1024;
	pass->nbelongings = 0;
	pass->belongings = palloc(pass->max_belongings * sizeof(Belonging));
	pass->snapshot = catalogs_now();
}

/*
 * The owner of a relation, or InvalidOid.
 */
static Oid
owner_of(SizePass *pass, Oid relid)
{
	Belonging	wanted = {relid, InvalidOid};
	Belonging  *found = bsearch(&wanted, pass->belongings, pass->nbelongings,
								sizeof(Belonging), compare_belongings);

	return found != NULL ? found->owner : InvalidOid;
}

/*
 * Visitor of pg_index.
 */
static void
note_index(SizePass *pass, HeapTuple tuple)
{
	Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

	add_belonging(pass, index->indexrelid, index->indrelid);
}

/*
 * First visitor of pg_class: tables, and the owners of TOAST tables.
 */
static void
note_table(SizePass *pass, HeapTuple tuple)
{
	Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);
	TableSizes *table;

	if (class->relkind != RELKIND_RELATION &&
		class->relkind != RELKIND_MATVIEW)
		return;

	table = hash_search(pass->tables, &class->oid, HASH_ENTER, NULL);
	table->schema = class->relnamespace;
	table->main_bytes = table->heap_bytes = 0;
	table->toast_bytes = table->indexes_bytes = 0;
	if (OidIsValid(class->reltoastrelid))
		add_belonging(pass, class->reltoastrelid, class->oid);
}

/*
 * The files of a relation, or NULL if it cannot have any.
 */
static StewardFiles *
files_of(SizePass *pass, HeapTuple tuple)
{
	Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);
	StewardFilesKey key;

	if (!RELKIND_HAS_STORAGE(class->relkind))
		return NULL;

	key.tablespace = class->relisshared ? GLOBALTABLESPACE_OID :
		OidIsValid(class->reltablespace) ? class->reltablespace :
		MyDatabaseTableSpace;
	key.number = class->relfilenode;
	if (!OidIsValid(key.number))	/* a catalog that is found by the map */
		key.number = RelationMapOidToFilenumber(class->oid,
												class->relisshared);
	if (!OidIsValid(key.number))
		return NULL;
	key.temp_owner = STEWARD_NOT_TEMPORARY;
	if (class->relpersistence == RELPERSISTENCE_TEMP)
		key.temp_owner = GetTempNamespaceProcNumber(class->relnamespace);

	return steward_files_find(pass->files, &key,
							  XidInMVCCSnapshot(HeapTupleHeaderGetXmin(tuple->t_data),
												pass->before));
}

/*
 * Add a relation to the sums of its schema and tablespace.
 */
static void
add_to_sums(SizePass *pass, Oid schema, Oid tablespace, StoragePart part,
			int64 bytes)
{
	StorageSumKey key = {schema, tablespace, part};
	StorageSum *sum;
	bool		found;

	sum = hash_search(pass->sums, &key, HASH_ENTER, &found);
	if (!found)
		sum->relations = sum->bytes = 0;
	sum->relations++;
	sum->bytes += bytes;
}

/*
 * Attribute a relation to its table.  Sequences have none.
 */
static void
add_to_table(SizePass *pass, Form_pg_class class, StewardFiles *files)
{
	StoragePart part = PART_TABLE;
	Oid			owner = class->oid;
	TableSizes *table;

	if (class->relkind == RELKIND_SEQUENCE)
		part = PART_SEQUENCE;
	else if (class->relkind == RELKIND_TOASTVALUE)
	{
		part = PART_TOAST;
		owner = owner_of(pass, class->oid);
	}
	else if (class->relkind == RELKIND_INDEX)
	{
		Oid			toast_owner;

		part = PART_INDEX;
		owner = owner_of(pass, class->oid);
		toast_owner = owner_of(pass, owner);
		if (OidIsValid(toast_owner))
		{
			part = PART_TOAST;
			owner = toast_owner;
		}
	}

	table = hash_search(pass->tables, &owner, HASH_FIND, NULL);
	if (pass->sums != NULL)
		add_to_sums(pass,
					table != NULL ? table->schema : class->relnamespace,
					files->key.tablespace, part, files->all_bytes);
	if (table == NULL)
		return;
	if (part == PART_TABLE)
	{
		table->main_bytes = files->main_bytes;
		table->heap_bytes = files->all_bytes;
	}
	else if (part == PART_TOAST)
		table->toast_bytes += files->all_bytes;
	else
		table->indexes_bytes += files->all_bytes;
}

/*
 * Second visitor of pg_class: the sizes.
 */
static void
measure_relation(SizePass *pass, HeapTuple tuple)
{
	Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);
	StewardFiles *files = files_of(pass, tuple);

	if (files == NULL)
		return;
	files->claimed = true;
	if (pass->rows != NULL)
	{
		steward_rows_oid(pass->rows, class->oid);
		steward_rows_int64(pass->rows, files->main_bytes);
		steward_rows_int64(pass->rows, files->all_bytes);
		steward_rows_end_row(pass->rows);
	}
	else
		add_to_table(pass, class, files);
}

/*
 * Do all of it.  With "rows" a row is written for each relation, and nothing
 * else; otherwise the sums, if wanted, and the tables are left in *pass, in
 * the current memory context.
 */
static void
run_pass(SizePass *pass, StewardRows *rows, bool with_sums)
{
	pass->rows = rows;
	pass->before = catalogs_now();
	pass->files = steward_files_read();
	pass->tables = make_table("pg_steward tables", sizeof(Oid),
							  sizeof(TableSizes));
	pass->sums = !with_sums ? NULL :
		make_table("pg_steward storage sums", sizeof(StorageSumKey),
				   sizeof(StorageSum));
	start_catalogs(pass);
	if (rows == NULL)
	{
		scan_catalog(IndexRelationId, pass, note_index);
		scan_catalog(RelationRelationId, pass, note_table);
		sort_belongings(pass);
	}
	scan_catalog(RelationRelationId, pass, measure_relation);
	UnregisterSnapshot(pass->snapshot);
	UnregisterSnapshot(pass->before);
}

/*
 * relation_sizes(): see its declaration in 20_storage.sql.
 */
Datum
pg_steward_relation_sizes(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	SizePass	pass;

	steward_rows_begin(&rows, fcinfo);
	run_pass(&pass, &rows, false);
	steward_files_free(pass.files);
	return (Datum) 0;
}

/*
 * table_sizes(): see its declaration in 20_storage.sql.
 */
Datum
pg_steward_table_sizes(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	SizePass	pass;
	HASH_SEQ_STATUS status;
	TableSizes *table;

	steward_rows_begin(&rows, fcinfo);
	run_pass(&pass, NULL, false);
	steward_files_free(pass.files);
	pfree(pass.belongings);

	hash_seq_init(&status, pass.tables);
	while ((table = hash_seq_search(&status)) != NULL)
	{
		steward_rows_oid(&rows, table->relid);
		steward_rows_int64(&rows, table->main_bytes);
		steward_rows_int64(&rows, table->heap_bytes);
		steward_rows_int64(&rows, table->toast_bytes);
		steward_rows_int64(&rows, table->indexes_bytes);
		steward_rows_end_row(&rows);
	}
	hash_destroy(pass.tables);
	return (Datum) 0;
}

/*
 * storage_sums(): see its declaration in 20_storage.sql.
 */
Datum
pg_steward_storage_sums(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	SizePass	pass;
	HASH_SEQ_STATUS status;
	StewardFiles *files;
	StorageSum *sum;

	steward_rows_begin(&rows, fcinfo);
	run_pass(&pass, NULL, true);

	/* what no relation that we see claims */
	while ((files = steward_files_next(pass.files)) != NULL)
	{
		if (!files->claimed)
			add_to_sums(&pass, InvalidOid, files->key.tablespace, PART_OTHER,
						files->all_bytes);
	}
	steward_files_free(pass.files);
	hash_destroy(pass.tables);
	pfree(pass.belongings);

	hash_seq_init(&status, pass.sums);
	while ((sum = hash_seq_search(&status)) != NULL)
	{
		steward_rows_oid(&rows, sum->key.schema);
		steward_rows_oid(&rows, sum->key.tablespace);
		steward_rows_text(&rows, part_names[sum->key.part]);
		steward_rows_int64(&rows, sum->relations);
		steward_rows_int64(&rows, sum->bytes);
		steward_rows_end_row(&rows);
	}
	hash_destroy(pass.sums);
	return (Datum) 0;
}

/*
 * Visitor of pg_inherits: children of all kinds, unless being detached.
 */
static void
note_child(SizePass *pass, HeapTuple tuple)
{
	Form_pg_inherits inherits = (Form_pg_inherits) GETSTRUCT(tuple);

	if (!inherits->inhdetachpending)
		add_belonging(pass, inherits->inhrelid, inherits->inhparent);
}

/*
 * partition_members(): see its declaration in 20_storage.sql.  A partition has
 * one parent, so that the way up is a line.  Plain inheritance is followed,
 * too, as far as it is a line; the caller asks for partitioned tables only.
 */
Datum
pg_steward_partition_members(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	SizePass	pass;

	steward_rows_begin(&rows, fcinfo);
	start_catalogs(&pass);
	scan_catalog(InheritsRelationId, &pass, note_child);
	UnregisterSnapshot(pass.snapshot);
	sort_belongings(&pass);

	for (int i = 0; i < pass.nbelongings; i++)
	{
		Oid			member = pass.belongings[i].relid;
		Oid			above = pass.belongings[i].owner;

		while (OidIsValid(above))
		{
			CHECK_FOR_INTERRUPTS();
			steward_rows_oid(&rows, above);
			steward_rows_oid(&rows, member);
			steward_rows_end_row(&rows);
			above = owner_of(&pass, above);
		}
	}
	pfree(pass.belongings);
	return (Datum) 0;
}
