#!/bin/bash
# Enable pg_steward in the application's database.
#
# For /docker-entrypoint-initdb.d of the official PostgreSQL images, where it
# may be executed or sourced, and for each later start, where it repairs what
# an interrupted first start left out (pg_steward-entrypoint).  It can be run
# as often as one likes: what is there is left as it is, except for passwords,
# which become those of the secrets.  All of it happens in one transaction.
#
# From the environment, each with a default:
#   POSTGRES_USER, POSTGRES_DB        as the official image has them
#   PG_STEWARD_SCHEMA                 where the reports go: public
#   PG_STEWARD_EXTENSIONS             more extensions: pg_trgm btree_gin, none
#   PG_STEWARD_TEXT_SEARCH            text search: pg_catalog.english
#   PG_STEWARD_MONITORING_USER        the role that may read all reports: monitoring
#   PG_STEWARD_MONITORING_PASSWORD    its password; without it nobody can log in
#   PG_STEWARD_APP_USER               owner of the database, no superuser: none
#   PG_STEWARD_APP_PASSWORD           his password
#   PG_STEWARD_PGBOUNCER_PASSWORD     makes role and function for PgBouncer's
#                                     auth_query
# Each password may be in a file, named by the variable with _FILE appended.
# PG_STEWARD_SOCKET is the directory of the socket of a server that was started
# for repairs.

# In a subshell: nothing of this remains in the shell that sources it.
pg_steward_enable()
(
	set -eu -o pipefail

	user=${POSTGRES_USER:-postgres}
	database=${POSTGRES_DB:-$user}
	schema=${PG_STEWARD_SCHEMA:-public}
	monitoring=${PG_STEWARD_MONITORING_USER:-monitoring}
	app=${PG_STEWARD_APP_USER-}
	extensions=${PG_STEWARD_EXTENSIONS-}
	text_search=${PG_STEWARD_TEXT_SEARCH:-pg_catalog.english}
	repairing=${PG_STEWARD_SOCKET:+yes}

	say()
	{
		printf 'pg_steward: %s\n' "$*"
	}

	die()
	{
		say "$@" >&2
		exit 1
	}

	# secret NAME: print the password, from the variable or its file
	secret()
	{
		local name=$1 file_name=$1_FILE password

		if [ -n "${!name-}" ] && [ -n "${!file_name-}" ]; then
			die "both $name and $file_name are set, use one of them"
		fi
		password=${!name-}
		if [ -n "${!file_name-}" ]; then
			[ -r "${!file_name}" ] ||
				die "cannot read \"${!file_name}\", which $file_name names"
			password=$(cat "${!file_name}")
			[ -n "$password" ] ||
				die "\"${!file_name}\", which $file_name names, is empty"
		fi
		case $password in
			*$'\n'* | *$'\r'*) die "the password of $name has several lines" ;;
		esac
		printf '%s' "$password"
	}

	# sql DATABASE: run what comes on standard input.  Statements with passwords
	# are kept out of the log and the statistics, whatever the server's settings
	# say, and errors are shown without the statement.  A standby that should
	# confirm commits may be missing.
	sql()
	{
		local quiet=(log_statement=none log_min_duration_statement=-1
			log_min_duration_sample=-1 log_transaction_sample_rate=0
			log_duration=off log_min_error_statement=panic
			pg_stat_statements.track=none pg_steward.track=none
			track_activities=off synchronous_commit=local
			default_transaction_read_only=off client_min_messages=warning
			password_encryption=scram-sha-256)

		PGHOST=${PG_STEWARD_SOCKET-} PGHOSTADDR='' PGAPPNAME=pg_steward-init \
			PGOPTIONS=$(printf -- '-c %s ' "${quiet[@]}") \
			psql --no-psqlrc --no-password --quiet --no-align --tuples-only \
			--set ON_ERROR_STOP=1 --set VERBOSITY=terse \
			--username "$user" --dbname "$1" --file -
	}

	# create_database: the official script does this first, if it got that far
	create_database()
	{
		sql postgres <<-'SQL'
			\getenv database database
			SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS missing \gset
			\if :missing
				CREATE DATABASE :"database";
				\echo ', database'
			\endif
		SQL
	}

	# foreign_objects: statements that would remove what is in the way of our
	# functions, one a line; the extension is created, compared and rolled back
	foreign_objects()
	{
		sql "$database" <<-'SQL'
			\getenv schema schema
			SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_steward') AS installed,
				EXISTS (SELECT FROM pg_namespace WHERE nspname = 'steward') AS occupied \gset
			\if :installed
				\q
			\endif
			\if :occupied
				\echo 'ALTER SCHEMA steward RENAME TO steward_before;'
				\q
			\endif
			SET client_min_messages = error;
			BEGIN;
			CREATE SCHEMA steward_probe;
			CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
			CREATE EXTENSION pg_steward SCHEMA steward_probe;
			SELECT format('DROP ROUTINE %s;', p.oid::regprocedure)
			  FROM pg_proc p
			 WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = :'schema')
			   AND p.proname IN (SELECT n.proname FROM pg_proc n
			                      WHERE n.pronamespace = 'steward_probe'::regnamespace)
			   AND NOT EXISTS (SELECT FROM pg_depend d
			                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
			                      AND d.deptype = 'e')
			 ORDER BY 1;
			ROLLBACK;
		SQL
	}

	# explain_foreign STATEMENTS
	explain_foreign()
	{
		say "database \"$database\" has functions of its own with names that pg_steward needs."
		say "If they are helpers that pg_steward replaces, or after renaming them, run"
		while read -r statement; do
			say "  $statement"
		done <<<"$1"
		say "and start again; or set PG_STEWARD_SCHEMA to a schema for pg_steward's functions."
	}

	# enable INSTALL: everything in one transaction; prints a line with a plus
	# sign for each thing that was not there, then a line about what there is.
	# INSTALL is true unless pg_steward cannot be created.
	enable()
	{
		install=$1 sql "$database" <<-'SQL'
				\getenv install install
				\getenv database database
				\getenv schema schema
				\getenv monitoring monitoring
				\getenv app app
				\getenv extensions extensions
				\getenv text_search text_search
				\getenv monitoring_password monitoring_password
				\getenv app_password app_password
				\getenv pgbouncer_password pgbouncer_password
				BEGIN;
				SELECT :'monitoring_password' <> '' AS monitoring_secret,
					:'app' <> '' AS app_wanted, :'app_password' <> '' AS app_secret,
					:'pgbouncer_password' <> '' AS pooled,
					NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements') AS no_statements,
					NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_steward') AS no_steward,
					NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'monitoring') AS no_monitoring,
					NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'app') AS no_app,
					NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgbouncer') AS no_pgbouncer,
					coalesce((SELECT e.extversion <> a.default_version
					            FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname
					           WHERE e.extname = 'pg_steward'), false) AS old_steward \gset

				\if :no_statements
					CREATE EXTENSION pg_stat_statements;
					\echo '+ extension pg_stat_statements'
				\endif
				\if :install
					\if :no_steward
						CREATE SCHEMA IF NOT EXISTS :"schema";
						CREATE EXTENSION pg_steward SCHEMA :"schema";
						\echo '+ extension pg_steward'
					\elif :old_steward
						ALTER EXTENSION pg_steward UPDATE;
						\echo '+ newer version of pg_steward'
					\endif
				\endif
				SELECT format('CREATE EXTENSION %I', x.name)
				  FROM regexp_split_to_table(:'extensions', '[ ,]+') x(name)
				 WHERE x.name <> '' AND x.name NOT IN (SELECT extname FROM pg_extension) \gexec

				\if :no_monitoring
					CREATE ROLE :"monitoring" LOGIN CONNECTION LIMIT 10;
					ALTER ROLE :"monitoring" SET default_transaction_read_only = on;
					ALTER ROLE :"monitoring" SET statement_timeout = '60s';
					\echo '+ role' :monitoring
				\endif
				GRANT pg_monitor TO :"monitoring";
				GRANT CONNECT ON DATABASE :"database" TO :"monitoring";
				SELECT DISTINCT format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, :'monitoring')
				  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
				 WHERE e.extname IN ('pg_steward', 'pg_stat_statements')
				   AND NOT has_schema_privilege(:'monitoring', n.oid, 'USAGE') \gexec
				\if :monitoring_secret
					ALTER ROLE :"monitoring" PASSWORD :'monitoring_password';
				\endif

				\if :app_wanted
					\if :no_app
						CREATE ROLE :"app" LOGIN;
						ALTER DATABASE :"database" OWNER TO :"app";
						\echo '+ role' :app
					\endif
					\if :app_secret
						ALTER ROLE :"app" PASSWORD :'app_password';
					\endif
				\endif

				\if :pooled
					\if :no_pgbouncer
						CREATE ROLE pgbouncer LOGIN;
						\echo '+ role pgbouncer'
					\endif
					ALTER ROLE pgbouncer PASSWORD :'pgbouncer_password';
					GRANT CONNECT ON DATABASE :"database" TO pgbouncer;
					CREATE SCHEMA IF NOT EXISTS pgbouncer;
					-- PgBouncer asks for the verifiers of others, but for none that
					-- could do more than an application should
					CREATE OR REPLACE FUNCTION pgbouncer.get_auth(name text)
					RETURNS TABLE (username text, verifier text)
					LANGUAGE sql STABLE STRICT SECURITY DEFINER ROWS 1
					SET search_path = pg_catalog, pg_temp
					AS $$
						SELECT a.rolname::text, a.rolpassword
						  FROM pg_authid a
						 WHERE a.rolname = $1 AND a.rolcanlogin
						   AND (a.rolvaliduntil IS NULL OR a.rolvaliduntil > now())
						   AND NOT a.rolsuper AND NOT a.rolreplication AND NOT a.rolbypassrls
					$$;
					REVOKE ALL ON SCHEMA pgbouncer FROM PUBLIC;
					REVOKE ALL ON FUNCTION pgbouncer.get_auth(text) FROM PUBLIC;
					GRANT USAGE ON SCHEMA pgbouncer TO pgbouncer;
					GRANT EXECUTE ON FUNCTION pgbouncer.get_auth(text) TO pgbouncer;
				\endif

				-- defaults of the database, unless somebody has chosen others
				SELECT format('ALTER DATABASE %I SET %I = %L', :'database', v.name, v.value)
				  FROM (VALUES ('timezone', 'UTC'), ('random_page_cost', '1.1'),
				               ('default_text_search_config', :'text_search')) v(name, value)
				 WHERE NOT EXISTS (
					SELECT FROM pg_db_role_setting s, unnest(s.setconfig) c
					 WHERE s.setrole = 0
					   AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = :'database')
					   AND lower(split_part(c, '=', 1)) = v.name) \gexec
				COMMIT;

				-- initdb has the superuser's password in a statement, which a preloaded
				-- pg_stat_statements remembers for everybody who may read statistics
				SELECT current_setting('shared_preload_libraries') ~ '\mpg_stat_statements\M' AS remembered,
					(SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_stat_statements') AS statements_schema \gset
				\if :remembered
					SELECT count(:statements_schema.pg_stat_statements_reset(userid, dbid, queryid)) AS forgotten
					  FROM :statements_schema.pg_stat_statements
					 WHERE query ~* '^\s*(alter|create)\s+(user|role)\M.*\mpassword\M' \gset
				\endif

				SELECT format('%s in database "%s": %s; roles %s%s',
					CASE WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_steward')
					     THEN 'enabled' ELSE 'NOT enabled' END,
					:'database',
					(SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname <> 'pg_steward', extname)
					   FROM pg_extension WHERE extname <> 'plpgsql'),
					(SELECT string_agg(rolname || CASE WHEN rolpassword IS NULL THEN ' (no password)' ELSE '' END,
					                   ', ' ORDER BY rolname)
					   FROM pg_authid WHERE rolname IN (:'monitoring', :'app', 'pgbouncer')),
					(SELECT format('; %I is a superuser, which a role for monitoring should not be', rolname)
					   FROM pg_roles WHERE rolname = :'monitoring' AND rolsuper));
			SQL
	}

	# preload: the library must be in shared_preload_libraries.  During the first
	# start of an image that does not know pg_steward the line can be added: the
	# server is started again afterwards.
	preload()
	{
		local libraries source file

		libraries=$(sql "$database" <<<'SHOW shared_preload_libraries')
		case ,${libraries// /}, in
			*,pg_steward,*) return ;;
		esac
		case ,${libraries// /}, in
			*,pg_stat_statements,*) libraries+=,pg_steward ;;
			*) libraries+=${libraries:+,}pg_stat_statements,pg_steward ;;
		esac
		source=$(sql "$database" <<<"SELECT source FROM pg_settings WHERE name = 'shared_preload_libraries'")
		file=$(sql "$database" <<<'SHOW config_file')
		if [ -z "$repairing" ] && [ "$source" != 'command line' ] && [ -w "$file" ]; then
			printf "shared_preload_libraries = '%s'\n" "$libraries" >>"$file"
			return
		fi
		say "the server does not preload pg_steward, so that latency, N+1 queries and pool pressure are missing: put"
		say "  shared_preload_libraries = '$libraries'"
		if [ "$source" = 'command line' ]; then
			say "into the command that starts the server, which has another list, and restart."
		else
			say "into postgresql.conf, or include /etc/postgresql/conf.d, and restart."
		fi
	}

	monitoring_password=$(secret PG_STEWARD_MONITORING_PASSWORD)
	app_password=$(secret PG_STEWARD_APP_PASSWORD)
	pgbouncer_password=$(secret PG_STEWARD_PGBOUNCER_PASSWORD)

	# psql takes them from its environment
	export database schema monitoring app extensions text_search
	export monitoring_password app_password pgbouncer_password

	# Left behind if the first start ends before the last script has run.
	marker=${PGDATA-}/pg_steward.initializing
	if [ -z "$repairing" ] && [ -e /docker-entrypoint-initdb.d/zz-pg_steward-end.sh ]; then
		: >"$marker"
	fi

	created=''
	[ -z "$repairing" ] || created=$(create_database)
	available=$(sql "$database" <<<"SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_steward'")
	[ "$available" = 1 ] || die "its files are not installed in this server"

	install=true
	foreign=$(foreign_objects)
	if [ -n "$foreign" ]; then
		explain_foreign "$foreign"
		install=false
	fi
	preload
	result=$(enable $install)
	if [ -n "$repairing" ]; then
		created+=$(sed -n 's/^+ /, /p' <<<"$result" | tr -d '\n')
		if [ -e "$marker" ]; then
			say "the first start did not get to its end: the scripts in /docker-entrypoint-initdb.d" \
				"that come after the one that failed have not run"
			rm -f "$marker"
		fi
		[ -z "$created" ] || say "repaired: created ${created#, }"
	fi
	say "$(tail -n 1 <<<"$result")"
)

pg_steward_enable
