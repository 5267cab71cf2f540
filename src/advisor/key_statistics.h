/*-------------------------------------------------------------------------
 *
 * key_statistics.h
 *	  What is known about the values of tables' columns and expressions.
 *
 * For the size model only; other parts use index_size.h.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_KEY_STATISTICS_H
#define STEWARD_KEY_STATISTICS_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/array.h"
#include "utils/hsearch.h"

#include "advisor/index_size.h"

/* Number of values that stand for all values of a column. */
#define STEWARD_KEY_VALUES	256

/* A value takes no room but a bit, since it is null. */
#define STEWARD_NULL_WIDTH	(-1)

/* Statistics of one column or expression of one table without children. */
typedef struct StewardKeyStats
{
	int16		typlen;
	char		typalign;
	double		null_frac;
	double		distinct;		/* different values, without null, at least 1 */
	int			nmcv;
	float4	   *mcv_freq;		/* shares of all rows, descending */

	/*
	 * Bytes of values as an index tuple holds them, without header and
	 * padding, in a random order that respects their shares; equal for types
	 * of fixed length.
	 */
	int			widths[STEWARD_KEY_VALUES];

	/* of expressions: values at equal shares of the rows, ascending, or NULL */
	ArrayType  *histogram;
} StewardKeyStats;

/* What one run of the advisor knows about one table or partition. */
typedef struct StewardTableStats
{
	Oid			relid;			/* hash key, must be first */
	double		pages;
	double		tuples;
	double		allvisfrac;
	int			natts;
	Bitmapset  *live_columns;	/* numbers of those that are not dropped */
	List	   *unique_keys;	/* Bitmapsets of column numbers */
	List	   *foreign_keys;	/* of ForeignKeyCacheInfo, 2 columns or more */
	StewardKeyStats **columns;	/* by column number - 1, NULL: not yet asked */
	List	   *expressions;	/* of ExpressionStats */
	List	   *gins;			/* of GinSample */
	struct StewardRowSample *sample;	/* or NULL */
	bool		sampled;		/* that was tried */
} StewardTableStats;

struct StewardSizeCache
{
	MemoryContext context;
	HTAB	   *tables;
	int			samples;		/* tables of which rows were sampled */
};

extern StewardTableStats *steward_table_stats(StewardSizeCache *cache,
											  Oid relid);
extern StewardKeyStats *steward_column_stats(StewardSizeCache *cache,
											 StewardTableStats *table,
											 AttrNumber attnum);
extern StewardKeyStats *steward_guess_stats(Oid type, int32 typmod,
											 double rows);
extern void steward_part_columns(StewardSizeCache *cache,
								 StewardTableStats *table,
								 const StewardIndex *index,
								 const StewardIndexPart *part,
								 AttrNumber *attnums,
								 StewardKeyStats **columns);

/* key_combinations.c */
extern double steward_distinct_rows(StewardSizeCache *cache,
									StewardTableStats *table, int nkeys,
									const AttrNumber *attnums,
									StewardKeyStats **keys);

/* key_sample.c */
typedef bool (*StewardSampleRow) (Datum value, bool isnull, void *arg);
typedef bool (*StewardSampleTuple) (HeapTuple tuple, TupleDesc desc,
									void *arg);
extern double steward_sample_values(StewardTableStats *table, Node *expr,
									double max_rows, StewardSampleRow row,
									void *arg);
extern double steward_sample_rows(StewardTableStats *table, double max_rows,
								  StewardSampleTuple row, void *arg);
extern double steward_estimate_distinct(double n, double d, double f1,
										double total);
extern Node *steward_part_expression(const StewardIndexPart *part,
									 Node *expr);
extern StewardKeyStats *steward_expression_stats(StewardSizeCache *cache,
												 StewardTableStats *table,
												 const StewardIndexPart *part,
												 Node *expr);

/* row_sample.c */
extern double steward_sampled_distinct(StewardSizeCache *cache,
									   StewardTableStats *table,
									   const Bitmapset *columns, int widest,
									   double widest_distinct);
extern double steward_clustered_distinct(StewardSizeCache *cache,
										 StewardTableStats *table,
										 AttrNumber attnum);

/* btree_size.c, gin_size.c */
extern void steward_btree_size(StewardSizeCache *cache,
							   const StewardIndex *index,
							   StewardIndexPart *part, double tuples);
extern void steward_gin_size(StewardSizeCache *cache,
							 const StewardIndex *index,
							 StewardIndexPart *part, double tuples);

#endif							/* STEWARD_KEY_STATISTICS_H */
