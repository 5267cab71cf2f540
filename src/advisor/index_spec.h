/*-------------------------------------------------------------------------
 *
 * index_spec.h
 *	  What an index is to the advisor: a description, whether it exists or not.
 *
 * A StewardIndex describes one logical index of a table, or of a partitioned
 * table as a whole.  Candidates, what-if plans and the choice among them all
 * deal with descriptions; nothing in the catalogs stands behind one unless
 * "existing" says so.
 *
 * Memory: a description, with everything it points to, is allocated in the
 * current memory context of the function that returns it, and is freed with
 * that context.  Functions never change their arguments, but for those that
 * say so.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_INDEX_SPEC_H
#define STEWARD_INDEX_SPEC_H

#include "access/attmap.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "storage/block.h"

/*
 * Why a candidate was proposed, for reasons shown to users.  An index can
 * have several; those of equal candidates are united.
 */
#define STEWARD_WHY_EQUALITY	(1 << 0)	/* key compared for equality */
#define STEWARD_WHY_RANGE		(1 << 1)	/* last key compared by range */
#define STEWARD_WHY_JOIN		(1 << 2)	/* key compared with another table */
#define STEWARD_WHY_SORT		(1 << 3)	/* delivers ORDER BY */
#define STEWARD_WHY_GROUP		(1 << 4)	/* delivers GROUP BY, DISTINCT,
											 * window or merge join order */
#define STEWARD_WHY_LIMIT		(1 << 5)	/* order, and the query has LIMIT */
#define STEWARD_WHY_COVERING	(1 << 6)	/* index-only scan possible */
#define STEWARD_WHY_PARTIAL		(1 << 7)	/* has a predicate */
#define STEWARD_WHY_EXPRESSION	(1 << 8)	/* has an expression as key */
#define STEWARD_WHY_OR_ARM		(1 << 9)	/* one arm of an OR: of use only
											 * with the others of its group */
#define STEWARD_WHY_CONTAINS	(1 << 10)	/* inverted: arrays, jsonb, text
											 * search, trigrams */
#define STEWARD_WHY_CORRELATED	(1 << 11)	/* block range: values follow the
											 * order of the table */
#define STEWARD_WHY_NEAREST		(1 << 12)	/* order by distance */

/*
 * What ANALYZE would find out about an expression, once it is indexed.  The
 * planner is told, because it would plan with it.
 */
typedef struct StewardExprStats
{
	float4		null_frac;
	float4		distinct;		/* as pg_statistic.stadistinct */
	int32		width;			/* bytes */
	Oid			collation;		/* by which the histogram is sorted */
	struct varlena *histogram;	/* array of values, or NULL */
} StewardExprStats;

/*
 * One physical index of a logical one: the table's own, or that of one leaf
 * partition.  Ordered by relid, so that the planner hook can search.
 */
typedef struct StewardIndexPart
{
	Oid			relid;			/* table or leaf partition */
	AttrMap    *attmap;			/* column numbers of the parent, as of this
								 * partition; NULL if they are the same */
	BlockNumber pages;			/* with metapage */
	double		tuples;			/* index entries; for GIN heap rows */
	int			tree_height;	/* levels above the leaves, -1: not a tree */
	StewardExprStats *exprs;	/* of a b-tree's expressions, or NULL */
} StewardIndexPart;

/*
 * A logical index.  Arrays are indexed by column, from 0: the first nkeys are
 * keys, the rest up to ncolumns are INCLUDE columns.
 */
typedef struct StewardIndex
{
	int			id;				/* chosen by whoever makes what-if plans: 1 to
								 * STEWARD_INDEX_MAX_ID, unique among those
								 * visible together; 0 before */
	Oid			relid;			/* table, or the topmost partitioned table
								 * that is indexed as a whole */
	Oid			existing;		/* its index, InvalidOid if hypothetical */
	Oid			am;				/* access method */
	bool		unique;			/* existing ones only */
	bool		partitioned;	/* relid is a partitioned table */
	uint32		why;			/* STEWARD_WHY_ bits, hypothetical ones only */

	int			nkeys;
	int			ncolumns;
	AttrNumber	attnums[INDEX_MAX_KEYS];	/* column of relid, 0: the next of
											 * exprs; never negative */
	Oid			opclass[INDEX_MAX_KEYS];	/* keys only, as the rest */
	Oid			opfamily[INDEX_MAX_KEYS];
	Oid			opcintype[INDEX_MAX_KEYS];
	Oid			collation[INDEX_MAX_KEYS];	/* InvalidOid: not collatable */
	int16		options[INDEX_MAX_KEYS];	/* INDOPTION_DESC,
											 * INDOPTION_NULLS_FIRST */

	/*
	 * As the relation cache has them: Vars have varno 1, predicate is a list
	 * of clauses that are to be ANDed.
	 */
	List	   *exprs;
	List	   *predicate;

	/*
	 * Set by steward_index_estimate(); nparts is 0 before, and after it for a
	 * partitioned table without partitions.
	 */
	bool		estimated;
	int			nparts;
	StewardIndexPart *parts;
	double		pages;			/* sum over parts */
	double		tuples;
	double		selectivity;	/* share of the rows that the predicate keeps,
								 * 1 without one */
} StewardIndex;

#define STEWARD_INDEX_MAX_ID	1000000	/* small: ids are kept in Bitmapsets */
#define STEWARD_INDEX_BYTES(index) ((index)->pages * (double) BLCKSZ)

/* Construction; index_spec.c */
extern StewardIndex *steward_index_create(Oid relid, Oid am);
extern bool steward_index_add_key(StewardIndex *index, AttrNumber attnum,
								  Node *expr, Oid opclass, Oid collation,
								  int16 options);
extern bool steward_index_add_include(StewardIndex *index, AttrNumber attnum);
extern StewardIndex *steward_index_copy(const StewardIndex *index);
extern StewardIndex *steward_index_from_existing(Oid indexid);
extern List *steward_index_list_existing(Oid relid);

/* Comparison; index_spec.c */
extern bool steward_index_equal(const StewardIndex *a, const StewardIndex *b);
extern uint32 steward_index_hash(const StewardIndex *index);
extern bool steward_index_covers(const StewardIndex *wide,
								 const StewardIndex *narrow);
extern bool steward_index_key_prefix(const StewardIndex *narrow,
									 const StewardIndex *wide);
extern bool steward_index_has_column(const StewardIndex *index,
									 AttrNumber attnum);
extern Bitmapset *steward_index_columns(const StewardIndex *index);

/* Derivation of one index from others; index_spec.c */
extern StewardIndex *steward_index_widen(const StewardIndex *index,
										 const Bitmapset *attnums);
extern StewardIndex *steward_index_narrow(const StewardIndex *index,
										  int nkeys);
extern StewardIndex *steward_index_without_include(const StewardIndex *index);
extern StewardIndex *steward_index_without_predicate(const StewardIndex *index);
extern StewardIndex *steward_index_merge(const StewardIndex *a,
										 const StewardIndex *b);
extern StewardIndex *steward_index_for_table(const StewardIndex *index,
											 Oid relid);
extern AttrMap *steward_index_attmap(Oid parent, Oid child);

/* Text; index_ddl.c */
extern char *steward_index_definition(const StewardIndex *index,
									  bool concurrently);
extern char *steward_index_columns_text(const StewardIndex *index);

#endif							/* STEWARD_INDEX_SPEC_H */
