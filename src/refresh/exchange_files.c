/*-------------------------------------------------------------------------
 *
 * exchange_files.c
 *	  Exchanging the files of two relations.
 *
 * For tables and indexes that are alike and locked against everybody.  It is
 * all in pg_class: the file number, the tablespace, which transactions the
 * file knows, its statistics, and for tables which TOAST table its values are
 * in.  TOAST tables stay as they are and change their owners, because values
 * name the one they are in.  The server does the same at the end of CLUSTER
 * and REFRESH (cluster.c), but for tables only, building all indexes anew.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "storage/bufmgr.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "refresh/exchange_files.h"

/* The pg_class row of a relation, a copy. */
static HeapTuple
class_row(Oid relation)
{
	HeapTuple	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relation));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relation);
	return tuple;
}

/* Pages in the file of a relation, before the exchange. */
static BlockNumber
count_pages(Oid oid)
{
	Relation	relation = relation_open(oid, NoLock);
	BlockNumber npages = RelationGetNumberOfBlocks(relation);

	relation_close(relation, NoLock);
	return npages;
}

/*
 * Tell this process that the file of the first is new in this transaction,
 * and whether that of the second is: where the server does not write WAL for
 * new files, it must know them at commit.
 */
static void
exchange_age(Oid first_oid, Oid second_oid)
{
	Relation	first = relation_open(first_oid, NoLock);
	Relation	second = relation_open(second_oid, NoLock);

	second->rd_createSubid = first->rd_createSubid;
	second->rd_newRelfilelocatorSubid = first->rd_newRelfilelocatorSubid;
	second->rd_firstRelfilelocatorSubid = first->rd_firstRelfilelocatorSubid;
	RelationAssumeNewRelfilelocator(first);
	relation_close(first, NoLock);
	relation_close(second, NoLock);
}

/* The TOAST table, if there is one, belongs to this table from now on. */
static void
own_toast(Oid toast, Oid table)
{
	ObjectAddress dependent;
	ObjectAddress owner;

	if (!OidIsValid(toast))
		return;
	if (deleteDependencyRecordsFor(RelationRelationId, toast, false) != 1)
		elog(ERROR, "TOAST table %u does not depend on exactly one table",
			 toast);
	ObjectAddressSet(dependent, RelationRelationId, toast);
	ObjectAddressSet(owner, RelationRelationId, table);
	recordDependencyOn(&dependent, &owner, DEPENDENCY_INTERNAL);
}

/*
 * Exchange what two rows of pg_class say about files.  A table gets its
 * statistics besides: nrows is the number of rows of the second, nothing is
 * known about which pages are visible to all.
 */
static void
exchange_rows(Form_pg_class first, Form_pg_class second, BlockNumber npages,
			  int64 nrows)
{
	FormData_pg_class saved = *first;

	first->relfilenode = second->relfilenode;
	first->reltablespace = second->reltablespace;
	first->reltoastrelid = second->reltoastrelid;
	first->relfrozenxid = second->relfrozenxid;
	first->relminmxid = second->relminmxid;
	first->relpages = nrows >= 0 ? (int32) npages : second->relpages;
	first->reltuples = nrows >= 0 ? (float4) nrows : second->reltuples;
	first->relallvisible = second->relallvisible;

	second->relfilenode = saved.relfilenode;
	second->reltablespace = saved.reltablespace;
	second->reltoastrelid = saved.reltoastrelid;
	second->relfrozenxid = saved.relfrozenxid;
	second->relminmxid = saved.relminmxid;
	second->relpages = saved.relpages;
	second->reltuples = saved.reltuples;
	second->relallvisible = saved.relallvisible;
	STEWARD_EXCHANGE_ALL_FROZEN(first, second);
}

/*
 * Exchange the files of two relations that are alike, both locked exclusively.
 * The file of the second is one of this transaction.  It has nrows rows; -1
 * for indexes.  Visible after the next CommandCounterIncrement().
 */
void
steward_exchange_files(Oid first_oid, Oid second_oid, int64 nrows)
{
	Relation	classes = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	first = class_row(first_oid);
	HeapTuple	second = class_row(second_oid);
	Form_pg_class first_form = (Form_pg_class) GETSTRUCT(first);
	Form_pg_class second_form = (Form_pg_class) GETSTRUCT(second);
	CatalogIndexState indexes;

	if (first_form->relfilenode == 0 || second_form->relfilenode == 0 ||
		first_form->relam != second_form->relam ||
		first_form->relpersistence != second_form->relpersistence)
		elog(ERROR, "files of relations %u and %u cannot be exchanged",
			 first_oid, second_oid);

	exchange_rows(first_form, second_form, count_pages(second_oid), nrows);
	exchange_age(first_oid, second_oid);

	indexes = CatalogOpenIndexes(classes);
	CatalogTupleUpdateWithInfo(classes, &first->t_self, first, indexes);
	CatalogTupleUpdateWithInfo(classes, &second->t_self, second, indexes);
	CatalogCloseIndexes(indexes);
	if (first_form->reltoastrelid != second_form->reltoastrelid)
	{
		own_toast(first_form->reltoastrelid, first_oid);
		own_toast(second_form->reltoastrelid, second_oid);
	}

	heap_freetuple(first);
	heap_freetuple(second);
	table_close(classes, RowExclusiveLock);
	RelationCloseSmgrByOid(first_oid);
	RelationCloseSmgrByOid(second_oid);
}
