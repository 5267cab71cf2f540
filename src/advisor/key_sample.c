/*-------------------------------------------------------------------------
 *
 * key_sample.c
 *	  Values of keys that ANALYZE knows nothing about, from a sample of rows.
 *
 * Expressions that are not indexed yet have no statistics, and the keys inside
 * arrays, documents and texts have none that tell an index's size.  So some
 * pages of the table are read, chosen at random (TABLESAMPLE SYSTEM), at most
 * STEWARD_SAMPLE_PAGES of them, once for each expression in a run of the
 * advisor.
 *
 * The rows are read by SQL with the rights of the caller: who may not read the
 * table, or not all its rows, gets guesses.  An expression is evaluated only if
 * all its functions are the server's own, and row security policies never are,
 * so that no code of another user runs.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/ruleutils.h"
#include "utils/typcache.h"

#include "advisor/key_statistics.h"
#include "base/compat.h"
#include "base/query.h"

/* Pages of a table that a sample reads, and rows fetched at a time. */
#define STEWARD_SAMPLE_PAGES 2000
#define FETCH_ROWS 500

/* Rows of a sample for the statistics of an expression. */
#define EXPRESSION_ROWS 10000

/* Values of them for its histogram, no longer than this, and its bounds. */
#define HISTOGRAM_SAMPLE 2000
#define HISTOGRAM_BYTES 100
#define HISTOGRAM_BOUNDS 101

/* Statistics of one expression, by the expression. */
typedef struct ExpressionStats
{
	Node	   *expr;
	StewardKeyStats *stats;
} ExpressionStats;

/* A value of a sample, by its hash, so that equal ones are counted. */
typedef struct SampledValue
{
	uint32		hash;			/* key */
	uint32		count;
} SampledValue;

/* Values of an expression while they are sampled. */
typedef struct ExpressionSample
{
	int16		typlen;
	bool		typbyval;
	double		rows;
	double		nulls;
	int			widths[STEWARD_KEY_VALUES];
	HTAB	   *values;			/* of SampledValue */
	MemoryContext context;		/* of the values kept for the histogram */
	int			nkept;
	Datum		kept[HISTOGRAM_SAMPLE];
} ExpressionSample;

/* Is this function written by somebody else than the server's authors? */
static bool
is_foreign_function(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/* Does the expression call functions that are not the server's? */
static bool
calls_foreign_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_foreign_function, NULL))
		return true;
	return expression_tree_walker(node, calls_foreign_function, context);
}

/* May, and should, this expression over the table be evaluated? */
static bool
may_sample(StewardTableStats *table, Node *expr)
{
	return table->pages > 0 &&
		pg_class_aclcheck(table->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(table->relid, InvalidOid, true) != RLS_ENABLED &&
		!calls_foreign_function(expr, NULL) &&
		!contain_mutable_functions(expr);
}

/*
 * Call "row" for rows of a random sample, until it returns false or there were
 * max_rows of them.  "list" is what to select.  Returns the number of rows.
 * Tuples live until "row" returns.
 */
static double
sample_rows(StewardTableStats *table, const char *list, double max_rows,
			StewardSampleTuple row, void *arg)
{
	StringInfoData sql;
	double		share;
	double		rows = 0;
	bool		more = true;
	SPIPlanPtr	plan;
	Portal		portal;

	share = Min(1.0, STEWARD_SAMPLE_PAGES / table->pages);
	if (table->tuples > 0)
		share = Min(share, 1.5 * max_rows / table->tuples);
	share = Max(share, Min(1.0, 10 / table->pages));

	initStringInfo(&sql);
	appendStringInfo(&sql, STEWARD_SELECT "%s FROM ONLY %s TABLESAMPLE SYSTEM (%.8f) REPEATABLE (1)",
					 list,
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(table->relid)),
												get_rel_name(table->relid)),
					 share * 100);
	plan = SPI_prepare(sql.data, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare sample: %s",
			 SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	while (more)
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		for (uint64 i = 0; i < SPI_processed && more; i++)
			more = row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, arg) &&
				++rows < max_rows;
		more = more && SPI_processed > 0;
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	return rows;
}

/* Hands the only column of a sampled row on. */
typedef struct OnlyColumn
{
	Oid			type;			/* what "row" takes it for */
	StewardSampleRow row;
	void	   *arg;
} OnlyColumn;

/*
 * What reads an expression's text may in theory find another meaning than the
 * one that was written down; values of another type would be misread.
 */
static bool
hand_on(HeapTuple tuple, TupleDesc desc, void *arg)
{
	OnlyColumn *only = arg;
	bool		isnull;
	Datum		value;

	if (TupleDescAttr(desc, 0)->atttypid != only->type)
		return false;
	value = heap_getattr(tuple, 1, desc, &isnull);
	return only->row(value, isnull, only->arg);
}

/*
 * Call "row" for values of an expression (varno 1) in rows of a random sample,
 * until it returns false or there were max_rows of them.  Returns the number of
 * rows, 0 also if the table may not be read.  Values live until "row" returns.
 */
double
steward_sample_values(StewardTableStats *table, Node *expr, double max_rows,
					  StewardSampleRow row, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	StewardQueryScope scope;
	OnlyColumn	only = {exprType(expr), row, arg};
	volatile double rows = 0;

	if (!may_sample(table, expr))
		return 0;
	PG_TRY();
	{
		steward_query_begin(&scope);
		rows = sample_rows(table,
						   psprintf("(%s)",
									deparse_expression(expr,
													   deparse_context_for(get_rel_name(table->relid),
																		   table->relid),
													   false, true)),
						   max_rows, hand_on, &only);
		steward_query_end(&scope);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		/* our SQL may have a sampled constant in it: not for the log */
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		error->context = NULL;
		error->internalquery = NULL;
		ReThrowError(error);
	}
	PG_END_TRY();
	return rows;
}

/*
 * The same for whole rows, with the table's columns.
 */
double
steward_sample_rows(StewardTableStats *table, double max_rows,
					StewardSampleTuple row, void *arg)
{
	StewardQueryScope scope;
	double		rows;

	if (!may_sample(table, NULL))
		return 0;
	steward_query_begin(&scope);
	rows = sample_rows(table, "*", max_rows, row, arg);
	steward_query_end(&scope);
	return rows;
}

/*
 * An expression of the index's table as one over this part of it, with varno 1.
 */
Node *
steward_part_expression(const StewardIndexPart *part, Node *expr)
{
	bool		whole_row;

	if (part->attmap == NULL)
		return expr;
	return map_variable_attnos(expr, 1, 0, part->attmap, InvalidOid,
							   &whole_row);
}

/* Count a sampled value of an expression. */
static bool
count_value(Datum value, bool isnull, void *arg)
{
	ExpressionSample *sample = arg;
	int			at = ((int) sample->rows) % STEWARD_KEY_VALUES;
	SampledValue *entry;
	uint32		hash;
	bool		found;

	sample->rows++;
	if (isnull)
	{
		sample->nulls++;
		sample->widths[at] = STEWARD_NULL_WIDTH;
		return true;
	}
	if (sample->typlen == -1)
	{
		struct varlena *plain = PG_DETOAST_DATUM_PACKED(value);

		sample->widths[at] = VARSIZE_ANY_EXHDR(plain);
		hash = hash_bytes((unsigned char *) VARDATA_ANY(plain),
						  VARSIZE_ANY_EXHDR(plain));
		if ((Pointer) plain != DatumGetPointer(value))
			pfree(plain);
	}
	else
	{
		sample->widths[at] = datumGetSize(value, sample->typbyval,
										  sample->typlen);
		hash = datum_image_hash(value, sample->typbyval, sample->typlen);
	}
	entry = hash_search(sample->values, &hash, HASH_ENTER, &found);
	entry->count = found ? entry->count + 1 : 1;

	/* of all rows about equally many, without knowing how many will come */
	if (sample->widths[at] <= HISTOGRAM_BYTES &&
		((int) sample->rows) % (EXPRESSION_ROWS / HISTOGRAM_SAMPLE) == 0 &&
		sample->nkept < HISTOGRAM_SAMPLE)
	{
		MemoryContext old = MemoryContextSwitchTo(sample->context);

		sample->kept[sample->nkept++] = sample->typlen == -1 ?
			PointerGetDatum(PG_DETOAST_DATUM_COPY(value)) :
			datumCopy(value, sample->typbyval, sample->typlen);
		MemoryContextSwitchTo(old);
	}
	return true;
}

/* How values of the expression are compared. */
typedef struct Comparison
{
	FmgrInfo   *compare;
	Oid			collation;
} Comparison;

static int
compare_values(const void *a, const void *b, void *arg)
{
	Comparison *comparison = arg;

	return DatumGetInt32(FunctionCall2Coll(comparison->compare,
										   comparison->collation,
										   *(const Datum *) a,
										   *(const Datum *) b));
}

/*
 * Bounds of a histogram from the values kept, in the current memory context;
 * NULL if the type has no order or there are too few values.  Values wider than
 * the limit are missing, so that it is none if there were many.
 */
static ArrayType *
make_histogram(ExpressionSample *sample, Node *expr)
{
	TypeCacheEntry *type = lookup_type_cache(exprType(expr),
											 TYPECACHE_CMP_PROC_FINFO |
											 TYPECACHE_LT_OPR);
	Comparison	comparison = {&type->cmp_proc_finfo, exprCollation(expr)};
	Datum		bounds[HISTOGRAM_BOUNDS];
	int			nbounds = Min(sample->nkept, HISTOGRAM_BOUNDS);

	if (nbounds < 10 || !OidIsValid(type->cmp_proc_finfo.fn_oid) ||
		!OidIsValid(type->lt_opr) ||
		sample->nkept < 0.8 * (sample->rows - sample->nulls) /
		((double) EXPRESSION_ROWS / HISTOGRAM_SAMPLE))
		return NULL;
	qsort_arg(sample->kept, sample->nkept, sizeof(Datum), compare_values,
			  &comparison);
	for (int i = 0; i < nbounds; i++)
		bounds[i] = sample->kept[(int64) i * (sample->nkept - 1) / (nbounds - 1)];
	return construct_array(bounds, nbounds, type->type_id, type->typlen,
						   type->typbyval, type->typalign);
}

/*
 * Number of different values among N, from a sample: the estimator of Haas and
 * Stokes that ANALYZE uses, n * d / (n - f1 + f1 * n / N) with d different
 * values in a sample of n, f1 of them once.
 */
double
steward_estimate_distinct(double n, double d, double f1, double total)
{
	if (n < 1)
		return 1;
	total = Max(total, n);
	return Max(Min(n * d / (n - f1 + f1 * n / total), total), d);
}

/* Number of different values of the expression in the table. */
static double
estimate_distinct(const ExpressionSample *sample, double total)
{
	double		n = sample->rows - sample->nulls;
	double		f1 = 0;
	HASH_SEQ_STATUS scan;
	SampledValue *entry;

	hash_seq_init(&scan, sample->values);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (entry->count == 1)
			f1++;
	return steward_estimate_distinct(n, hash_get_num_entries(sample->values),
									 f1, total * n / sample->rows);
}

/* Statistics of an expression from a sample; false if there is none. */
static bool
sample_expression(StewardTableStats *table, Node *expr,
				  StewardKeyStats *stats)
{
	ExpressionSample *sample = palloc0(sizeof(ExpressionSample));
	HASHCTL		control = {
		.keysize = sizeof(uint32),
		.entrysize = sizeof(SampledValue),
		.hcxt = CurrentMemoryContext
	};
	bool		sampled;

	get_typlenbyval(exprType(expr), &sample->typlen, &sample->typbyval);
	if (sample->typlen == -2)
		return false;
	sample->values = hash_create("pg_steward sample", 1024, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	sample->context = AllocSetContextCreate(CurrentMemoryContext,
											"pg_steward values",
											ALLOCSET_DEFAULT_SIZES);
	sampled = steward_sample_values(table, expr, EXPRESSION_ROWS, count_value,
									sample) >= 1;
	if (sampled)
	{
		int			filled = Min(sample->rows, STEWARD_KEY_VALUES);

		stats->null_frac = sample->nulls / sample->rows;
		stats->distinct = estimate_distinct(sample, table->tuples);
		stats->histogram = make_histogram(sample, expr);
		for (int i = 0; i < STEWARD_KEY_VALUES; i++)
			stats->widths[i] = sample->widths[i % filled];
	}
	hash_destroy(sample->values);
	MemoryContextDelete(sample->context);
	pfree(sample);
	return sampled;
}

/*
 * Statistics from the columns that the expression is made of, if it cannot be
 * sampled: as many values as they have combinations; for the type of the only
 * column, its widths.
 */
static void
derive_from_columns(StewardSizeCache *cache, StewardTableStats *table,
					Node *expr, StewardKeyStats *stats)
{
	List	   *vars = pull_var_clause(expr, 0);
	double		distinct = 1;
	ListCell   *lc;

	foreach(lc, vars)
	{
		Var		   *var = lfirst(lc);
		StewardKeyStats *column;

		if (var->varattno < 1)
			continue;
		column = steward_column_stats(cache, table, var->varattno);
		distinct *= column->distinct;
		stats->null_frac = Max(stats->null_frac, column->null_frac);
		if (list_length(vars) == 1 && var->vartype == exprType(expr))
			memcpy(stats->widths, column->widths, sizeof(stats->widths));
	}
	if (exprType(expr) != BOOLOID)
		stats->distinct = Max(Min(distinct, table->tuples), 1);
}

/*
 * Statistics of an expression over the index's table (varno 1) in this part.
 */
StewardKeyStats *
steward_expression_stats(StewardSizeCache *cache, StewardTableStats *table,
						 const StewardIndexPart *part, Node *expr)
{
	Node	   *own = steward_part_expression(part, expr);
	ExpressionStats *entry;
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, table->expressions)
	{
		entry = lfirst(lc);
		if (equal(entry->expr, own))
			return entry->stats;
	}

	old = MemoryContextSwitchTo(cache->context);
	entry = palloc(sizeof(ExpressionStats));
	entry->expr = copyObject(own);
	entry->stats = steward_guess_stats(exprType(own), exprTypmod(own),
									   table->tuples);
	if (!sample_expression(table, own, entry->stats))
		derive_from_columns(cache, table, own, entry->stats);
	table->expressions = lappend(table->expressions, entry);
	MemoryContextSwitchTo(old);
	return entry->stats;
}
