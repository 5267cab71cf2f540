# Shell functions of the benchmarks of index advice; to be sourced by bash.  The
# caller has set "here", the top of the tree, and sourced test/lib.sh.

# stop_bench_server: unless KEEP is set
stop_bench_server()
{
	if [ -f "$WORK/data/postmaster.pid" ]; then
		as_user "$BIN/pg_ctl" -D "$WORK/data" -m immediate stop >/dev/null || true
	fi
	rm -rf "$WORK"
}

# start_bench_server SETTING...: a private server 15 with the extension, with
# pg_qualstats and HypoPG where they are installed or unpacked in PEERS; sets
# "peers", the names of those there are.
start_bench_server()
{
	local extensions libraries=pg_stat_statements,pg_steward setting options=

	make_work_directory
	[ -n "${KEEP-}" ] || trap stop_bench_server EXIT
	need_packages postgresql-15 postgresql-server-dev-15 gcc make
	choose_user
	private_server 15
	if [ -n "${PEERS-}" ]; then
		cp -a "$PEERS/usr/lib/postgresql/15/." "${BIN%/bin}/"
		cp -a "$PEERS/usr/share/postgresql/15/." "$WORK/server15/usr/share/postgresql/15/"
	fi
	# shellcheck disable=SC2154 # the caller's
	copy_tree "$here" "$WORK/build"
	make -s -C "$WORK/build" PG_CONFIG="$PG_CONFIG" with_llvm=no install >/dev/null

	extensions=$WORK/server15/usr/share/postgresql/15/extension
	# shellcheck disable=SC2034 # for the caller
	peers=
	if [ -e "$extensions/pg_qualstats.control" ]; then libraries+=,pg_qualstats peers+=" qualstats"; fi
	if [ -e "$extensions/hypopg.control" ]; then peers+=" hypopg"; fi
	for setting in "$@"; do options+=" -c $setting"; done
	as_user "$BIN/initdb" -D "$WORK/data" -A trust -U postgres >/dev/null
	as_user "$BIN/pg_ctl" -D "$WORK/data" -w -l "$WORK/log" start -o "-c listen_addresses='' \
	 -c unix_socket_directories='$WORK' -c fsync=off -c autovacuum=off -c jit=off \
	 -c max_parallel_workers_per_gather=0 -c shared_preload_libraries=$libraries$options" >/dev/null
}

# sql ARGUMENT...: psql that prints bare values and stops at an error
sql()
{
	as_user "$BIN/psql" -XAtq -h "$WORK" -U postgres -d "${database:-postgres}" -v ON_ERROR_STOP=1 "$@"
}

# table ARGUMENT...: psql that prints tables
table()
{
	as_user "$BIN/psql" -Xq -P footer=off -h "$WORK" -U postgres -d postgres "$@"
}

# seconds_of COMMAND...: prints how many it took
seconds_of()
{
	{ time "$@" >/dev/null; } 2>&1 | sed -n 's/^real.*m\(.*\)s/\1/p'
}

# create_bench DIRECTORY: its tables and statements, what executes and measures
# them, and the extensions
create_bench()
{
	local part

	say "creating tables"
	sql -o /dev/null -f - <"$1/schema.sql"
	sql -f - <"$here/test/bench/index_advisor_common/harness.sql"
	sql -f - <"$1/statements.sql"
	for part in $peers; do
		sql -c "CREATE EXTENSION ${part/#qualstats/pg_qualstats}"
	done
	sql -c 'CREATE EXTENSION pg_steward CASCADE' 2>/dev/null
	sql -c 'VACUUM ANALYZE'
	sql -f - <"$here/test/bench/index_advisor_common/peers.sql"
}

# execute_bench [SETTING...]: the workload, for pg_stat_statements and
# pg_qualstats, with the settings on
execute_bench()
{
	local setting

	say "executing the workload"
	sql -c 'SELECT * FROM bench.workload()' >"$WORK/workload.sql"
	case $peers in
		*qualstats*) sql -c 'ALTER SYSTEM SET pg_qualstats.sample_rate = 1' -c 'SELECT pg_reload_conf()' -o /dev/null ;;
	esac
	for setting in "$@"; do
		sql -o /dev/null -c "ALTER SYSTEM SET $setting = on" -c 'SELECT pg_reload_conf()'
	done
	sql -o /dev/null -c 'SELECT pg_stat_statements_reset()' -c 'SELECT pg_stat_force_next_flush()'
	sql -o /dev/null -f - <"$WORK/workload.sql"
	sql -o /dev/null -c "ALTER SYSTEM SET pg_stat_statements.track = 'none'" -c 'SELECT pg_reload_conf()'
	for setting in "$@"; do
		sql -o /dev/null -c "ALTER SYSTEM RESET $setting" -c 'SELECT pg_reload_conf()'
	done
	sql -c 'VACUUM ANALYZE'
}

# qualstats_choice: what Debian's pg_qualstats advises; it then stops to watch
qualstats_choice()
{
	sql -c "SELECT coalesce(v ->> 'ddl', v #>> '{}') || ';' FROM
	          jsonb_array_elements(pg_qualstats_index_advisor(min_filter => 100)::jsonb -> 'indexes') v"
	sql -o /dev/null -c 'ALTER SYSTEM SET pg_qualstats.enabled = off' -c 'SELECT pg_reload_conf()'
}
