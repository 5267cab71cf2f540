# pg_steward: build, install and test with PGXS.
#
#   make && make install               with the pg_config found in PATH
#   make PG_CONFIG=... install         for another server
#   make installcheck                  all suites, on temporary servers of
#                                      their own (not as root); test/run does
#                                      this and everything around it
EXTENSION  = pg_steward
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)
MODULE_big = $(EXTENSION)
OBJS = \
	src/advisor/advice.o \
	src/advisor/analyze_query.o \
	src/advisor/btree_size.o \
	src/advisor/candidate_keys.o \
	src/advisor/candidate_proposals.o \
	src/advisor/candidate_terms.o \
	src/advisor/candidates.o \
	src/advisor/choose.o \
	src/advisor/choose_order.o \
	src/advisor/constants_capture.o \
	src/advisor/constants_classes.o \
	src/advisor/constants_item.o \
	src/advisor/constants_reports.o \
	src/advisor/constants_store.o \
	src/advisor/droppable.o \
	src/advisor/explore.o \
	src/advisor/expression_stats.o \
	src/advisor/gin_size.o \
	src/advisor/hypothetical.o \
	src/advisor/index_compare.o \
	src/advisor/index_ddl.o \
	src/advisor/index_definition.o \
	src/advisor/index_foreign_key.o \
	src/advisor/index_inspect.o \
	src/advisor/index_size.o \
	src/advisor/index_spec.o \
	src/advisor/index_state.o \
	src/advisor/key_combinations.o \
	src/advisor/key_sample.o \
	src/advisor/key_statistics.o \
	src/advisor/move.o \
	src/advisor/param_classes.o \
	src/advisor/plan_usage.o \
	src/advisor/pool.o \
	src/advisor/progress.o \
	src/advisor/row_sample.o \
	src/advisor/statement_cost.o \
	src/advisor/statement_query.o \
	src/advisor/statement_read.o \
	src/advisor/statement_text.o \
	src/advisor/suggest.o \
	src/advisor/synergy.o \
	src/advisor/user_code.o \
	src/advisor/whatif.o \
	src/advisor/workload.o \
	src/advisor/worth.o \
	src/advisor/write_cost.o \
	src/base/conninfo.o \
	src/base/guc.o \
	src/base/info.o \
	src/base/launcher.o \
	src/base/machine.o \
	src/base/observer.o \
	src/base/pressure_level.o \
	src/base/query.o \
	src/base/read_stream.o \
	src/base/rows.o \
	src/base/shmem.o \
	src/base/statements.o \
	src/latency/histogram.o \
	src/latency/latency_reports.o \
	src/latency/n_plus_one.o \
	src/latency/n_plus_one_chance.o \
	src/latency/n_plus_one_group.o \
	src/latency/n_plus_one_report.o \
	src/latency/n_plus_one_rule.o \
	src/latency/n_plus_one_store.o \
	src/latency/n_plus_one_values.o \
	src/latency/slow_queries.o \
	src/latency/store.o \
	src/latency/store_alloc.o \
	src/latency/store_file.o \
	src/latency/store_scan.o \
	src/latency/store_window.o \
	src/latency/tracker.o \
	src/latency/unidentified.o \
	src/pg_steward.o \
	src/pool/activity.o \
	src/pool/pgbouncer.o \
	src/pool/pgbouncer_client.o \
	src/pool/pgbouncer_parse.o \
	src/pool/pgbouncer_reports.o \
	src/pool/pgbouncer_resolve.o \
	src/pool/pgbouncer_rule.o \
	src/pool/pgbouncer_store.o \
	src/pool/pool_count.o \
	src/pool/pool_event.o \
	src/pool/pool_log.o \
	src/pool/pool_plan.o \
	src/pool/pool_reports.o \
	src/pool/pool_store.o \
	src/pool/pressure.o \
	src/pool/refusals.o \
	src/pool/sampler.o \
	src/refresh/change_clock.o \
	src/refresh/clock_board.o \
	src/refresh/clock_prepared.o \
	src/refresh/cron.o \
	src/refresh/ddl_hooks.o \
	src/refresh/determinism.o \
	src/refresh/diff.o \
	src/refresh/diff_apply.o \
	src/refresh/diff_match.o \
	src/refresh/exchange_files.o \
	src/refresh/freshness.o \
	src/refresh/freshness_api.o \
	src/refresh/freshness_marks.o \
	src/refresh/matview_lock.o \
	src/refresh/matview_query.o \
	src/refresh/matview_sources.o \
	src/refresh/matview_status.o \
	src/refresh/policy.o \
	src/refresh/policy_api.o \
	src/refresh/policy_change.o \
	src/refresh/policy_read.o \
	src/refresh/policy_table.o \
	src/refresh/refresh_backoff.o \
	src/refresh/refresh_due.o \
	src/refresh/refresh_holds.o \
	src/refresh/refresh_launcher.o \
	src/refresh/refresh_load.o \
	src/refresh/refresh_now.o \
	src/refresh/refresh_plan.o \
	src/refresh/refresh_progress.o \
	src/refresh/refresh_registry.o \
	src/refresh/refresh_run.o \
	src/refresh/refresh_slots.o \
	src/refresh/refresh_step.o \
	src/refresh/refresh_waiters.o \
	src/refresh/refresh_worker.o \
	src/refresh/row_hash.o \
	src/refresh/row_table.o \
	src/refresh/schedule.o \
	src/refresh/server_refresh.o \
	src/refresh/swap.o \
	src/storage/bloat_report.o \
	src/storage/bloat_target.o \
	src/storage/block_sample.o \
	src/storage/brin_bloat.o \
	src/storage/btree_bloat.o \
	src/storage/btree_fate.o \
	src/storage/btree_page.o \
	src/storage/btree_whole.o \
	src/storage/disk_usage.o \
	src/storage/estimate.o \
	src/storage/free_map.o \
	src/storage/gin_bloat.o \
	src/storage/gist_bloat.o \
	src/storage/gist_tree.o \
	src/storage/hash_bloat.o \
	src/storage/heap_bloat.o \
	src/storage/heap_scan.o \
	src/storage/index_bloat.o \
	src/storage/index_heap.o \
	src/storage/index_pages.o \
	src/storage/index_quick.o \
	src/storage/index_sample.o \
	src/storage/quick_bloat.o \
	src/storage/relation_files.o \
	src/storage/relation_sizes.o \
	src/storage/rewrite_model.o \
	src/storage/spgist_bloat.o \
	src/storage/table_bloat.o

# The install script is assembled from one file a topic, in order.
SQL_PIECES = $(sort $(wildcard src/sql/[0-9]*.sql))
DATA_built = $(EXTENSION)--$(EXTVERSION).sql
DATA       = $(wildcard src/sql/$(EXTENSION)--*--*.sql)

PG_CPPFLAGS = -I$(srcdir)/src -I$(libpq_srcdir) -DPG_STEWARD_VERSION=\"$(EXTVERSION)\"
PG_CFLAGS   = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -fno-plt -fno-semantic-interposition \
	$(STEWARD_CFLAGS)
# the client library asks PgBouncer
SHLIB_LINK  = $(libpq) $(STEWARD_LDFLAGS)

TEMP = --temp-instance=tmp_instance --temp-config=test/regress.conf
REGRESS = \
	setup \
	members \
	slow_queries \
	latency \
	n_plus_one \
	sizes \
	table_bloat \
	disk_usage \
	connections \
	pool \
	cache_and_indexes \
	advisor \
	index_hygiene \
	vacuum \
	advisor_models \
	advisor_candidates \
	advisor_moves \
	constants \
	replication \
	index_bloat \
	refresh_diff \
	freshness \
	matview_cron \
	matview_policy \
	refresh_swap \
	privileges
REGRESS_OPTS   = $(TEMP)
ISOLATION      = bloat_locks index_builds locked_relations refresh_diff refresh_locks
ISOLATION_OPTS = $(TEMP) --inputdir=test/isolation --load-extension=pg_stat_statements --load-extension=$(EXTENSION)
TAP_TESTS      = 1
PROVE_TESTS   ?= test/t/*.pl

EXTRA_CLEAN = output_iso results tmp_check tmp_check_iso tmp_instance log \
	$(wildcard src/*.gcno src/*.gcda src/*/*.gcno src/*/*.gcda)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_PIECES) $(EXTENSION).control
	cat $(SQL_PIECES) > $@

$(OBJS): $(wildcard src/*/*.h) $(EXTENSION).control
