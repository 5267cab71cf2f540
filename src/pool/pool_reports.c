/*-------------------------------------------------------------------------
 *
 * pool_reports.c
 *	  SQL functions over what the sampler knows.
 *
 * Everything here is numbers without names, for everyone.  The count of this
 * moment is made by the caller itself, so that it is there, too, where the
 * library is not preloaded or the sampler is off.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/launcher.h"
#include "base/rows.h"
#include "base/shmem.h"
#include "pool/pool_count.h"
#include "pool/pool_log.h"
#include "pool/pool_store.h"
#include "pool/sampler.h"

PG_FUNCTION_INFO_V1(pg_steward_pool_now);
PG_FUNCTION_INFO_V1(pg_steward_pool_history);
PG_FUNCTION_INFO_V1(pg_steward_pool_replay);

/* What the sampler says, copied out of shared memory. */
typedef struct SamplerView
{
	StewardPressureState pressure;
	TimestampTz latest_at;
	TimestampTz level_since;
	TimestampTz peak_at;
	double		peak_pct;
	double		connects_per_second;
	bool		running;
} SamplerView;

static void
look_at_sampler(StewardPool *pool, SamplerView *view)
{
	LWLockAcquire(pool->lock, LW_SHARED);
	view->pressure = pool->pressure;
	view->latest_at = pool->latest.at;
	view->level_since = pool->level_since;
	view->peak_at = pool->peak_at;
	view->peak_pct = steward_pressure_pct(pool->peak_used, pool->peak_usable);
	view->connects_per_second = pool->interval_seconds > 0 ?
		pool->connects_last / pool->interval_seconds : 0;
	LWLockRelease(pool->lock);
	view->running = steward_launcher_pid() != 0 &&
		steward_pool_sample_interval > 0;
}

/* Append the length of a period that lasts, in seconds; 0 if it does not. */
static void
append_period(StewardRows *rows, const SamplerView *view, int64 since)
{
	steward_rows_float8(rows, since == 0 ? 0 :
						(view->pressure.last_ms - since) / 1000.0);
}

/* Append the columns that only a sampler can fill; nulls without one. */
static void
append_sampler(StewardRows *rows, StewardPool *pool,
			   const StewardPoolCount *count)
{
	SamplerView view;

	if (pool == NULL)
	{
		for (int i = 0; i < 7 + STEWARD_REFUSED_KINDS + 2; i++)
			steward_rows_null(rows);
		steward_rows_text(rows, "skipped: needs pg_steward in shared_preload_libraries");
		steward_rows_text(rows, steward_pool_hint(count, STEWARD_CAUSE_NONE));
		return;
	}

	look_at_sampler(pool, &view);
	steward_rows_timestamptz(rows, view.latest_at);
	if (view.latest_at == 0)
		steward_rows_null(rows);
	else
		steward_rows_float8(rows, view.peak_pct);
	steward_rows_timestamptz(rows, view.peak_at);
	append_period(rows, &view, view.pressure.above_warning_since);
	append_period(rows, &view, view.pressure.above_critical_since);
	steward_rows_timestamptz(rows, view.level_since);
	steward_rows_float8(rows, view.connects_per_second);
	for (int i = 0; i < STEWARD_REFUSED_KINDS; i++)
		steward_rows_int64(rows, pg_atomic_read_u64(&pool->refused[i]));
	steward_rows_int64(rows, pg_atomic_read_u64(&pool->connects));
	steward_rows_int64(rows, pg_atomic_read_u64(&pool->auth_failures));
	if (view.latest_at == 0 || !view.running)
		steward_rows_text(rows, steward_pool_sample_interval == 0 ?
						  "skipped: needs pg_steward.pool_sample_interval above 0" :
						  "skipped: the sampler is not running");
	else
		steward_rows_text(rows,
						  steward_pressure_level_name(view.pressure.level));
	steward_rows_text(rows, steward_pool_hint(count, view.pressure.cause));
}

/*
 * pool_now(): one row, see its declaration in 52_pool.sql.
 */
Datum
pg_steward_pool_now(PG_FUNCTION_ARGS)
{
	StewardRows rows;
	StewardPoolCount count;

	steward_pool_count(&count);
	steward_pool_limits(&count);

	steward_rows_begin(&rows, fcinfo);
	steward_rows_int32(&rows, count.max_connections);
	steward_rows_int32(&rows, count.usable);
	steward_rows_int32(&rows, count.used);
	steward_rows_int32(&rows, count.half_open);
	steward_rows_int32(&rows, count.clients);
	steward_rows_int32(&rows, count.active);
	steward_rows_int32(&rows, count.idle);
	steward_rows_int32(&rows, count.idle_in_transaction);
	steward_rows_int32(&rows, count.untracked);
	append_sampler(&rows, steward_pool(), &count);
	steward_rows_end_row(&rows);
	return (Datum) 0;
}

/*
 * pool_history(since timestamptz): a row for each sample.
 */
Datum
pg_steward_pool_history(PG_FUNCTION_ARGS)
{
	TimestampTz since = PG_GETARG_TIMESTAMPTZ(0);
	StewardPool *pool = steward_pool();
	StewardPoolSample *samples;
	StewardRows rows;
	int			n;

	steward_require_preload();
	steward_rows_begin(&rows, fcinfo);
	n = steward_pool_copy(pool, since, &samples);
	for (int i = 0; i < n; i++)
	{
		const StewardPoolSample *sample = &samples[i];

		CHECK_FOR_INTERRUPTS();
		steward_rows_timestamptz(&rows, sample->at);
		steward_rows_int32(&rows, sample->usable);
		steward_rows_int32(&rows, sample->used);
		steward_rows_int32(&rows, sample->half_open);
		steward_rows_int32(&rows, sample->active);
		steward_rows_int32(&rows, sample->idle);
		steward_rows_int32(&rows, sample->idle_in_transaction);
		steward_rows_int64(&rows, sample->oldest_idle_in_transaction);
		steward_rows_int32(&rows, sample->refused);
		steward_rows_int32(&rows, sample->connects);
		steward_rows_text(&rows, steward_pressure_level_name(sample->level));
		steward_rows_int32(&rows, sample->queued);
		steward_rows_end_row(&rows);
	}
	pfree(samples);
	return (Datum) 0;
}

/* Elements of an array of float8 without nulls, in a palloc'd array. */
static double *
float8_array(ArrayType *array, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	double	   *result;

	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &elements, &nulls, n);
	result = palloc((*n + 1) * sizeof(double));
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("array must not contain nulls")));
		result[i] = DatumGetFloat8(elements[i]);
		if (!(fabs(result[i]) <= INT_MAX))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("array element is out of range")));
	}
	return result;
}

/*
 * pool_replay(at_seconds float8[], used float8[], refused float8[], usable
 * integer, queued float8[]): what the sampler would have said, with its present
 * thresholds.  An empty array means that nobody was queued.
 */
Datum
pg_steward_pool_replay(PG_FUNCTION_ARGS)
{
	StewardPressureLimits limits;
	StewardPressureState state;
	StewardRows rows;
	int			n,
				nused,
				nrefused,
				nqueued;
	double	   *at = float8_array(PG_GETARG_ARRAYTYPE_P(0), &n);
	double	   *used = float8_array(PG_GETARG_ARRAYTYPE_P(1), &nused);
	double	   *refused = float8_array(PG_GETARG_ARRAYTYPE_P(2), &nrefused);
	double	   *queued = float8_array(PG_GETARG_ARRAYTYPE_P(4), &nqueued);

	if (nused != n || nrefused != n || (nqueued != n && nqueued != 0))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("arrays must have the same number of elements")));

	memset(&state, 0, sizeof(state));
	steward_sampler_limits(&limits);
	steward_rows_begin(&rows, fcinfo);
	for (int i = 0; i < n; i++)
	{
		StewardPressureSample sample;
		StewardPressureNews news;

		CHECK_FOR_INTERRUPTS();
		sample.now_ms = (int64) (at[i] * 1000);
		sample.used = (int) used[i];
		sample.usable = PG_GETARG_INT32(3);
		sample.refused = (int64) refused[i];
		sample.queued = nqueued > 0 && queued[i] > 0;
		news = steward_pressure_step(&state, &limits, &sample);
		if (news == STEWARD_NEWS_NONE)
			continue;
		steward_rows_float8(&rows, at[i]);
		steward_rows_text(&rows, steward_pressure_news_name(news));
		steward_rows_text(&rows, steward_pressure_level_name(state.level));
		steward_rows_text(&rows, steward_pressure_cause_name(state.cause));
		steward_rows_end_row(&rows);
	}
	return (Datum) 0;
}
