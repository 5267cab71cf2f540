# Shell functions that test/run and test/demo share; to be sourced by bash.
#
# Nothing here touches an existing installation or cluster.  Servers are run
# from a private copy of Debian's files: the server finds its libraries and its
# share directory relative to its own program, so that a copy of two
# directories (50 MB, a tenth of a second) is a complete installation, into
# which the extension is installed instead of into the system's directories.

# say WORDS...: progress, on standard error, with the seconds since the start
say()
{
	printf '[%3ds] %s\n' "$SECONDS" "$*" >&2
}

# die WORDS...: give up
die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# installed PACKAGE: is it?
installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# restore_packaging: undo what need_packages told Debian's packaging; callers
# do this too when they are interrupted
restore_packaging()
{
	[ -n "${QUIETED-}" ] || return 0
	if [ -e "$QUIETED.ucf-dist" ]; then
		mv "$QUIETED.ucf-dist" "$QUIETED"
	elif ! installed postgresql-common; then
		rm -f "$QUIETED"
	fi
	QUIETED=
}

# need_packages PACKAGE...: install what is missing.  Debian's packaging would
# create and start a cluster when a server is first installed; it is told not
# to while we install, and its own default is restored afterwards.
need_packages()
{
	local missing=() package common=/etc/postgresql-common/createcluster.conf

	for package in "$@"; do
		installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	[ "$(id -u)" = 0 ] ||
		die "packages are missing; as root: apt-get install ${missing[*]}"

	say "installing ${missing[*]}"
	if ! installed postgresql-common && [ ! -e $common ]; then
		QUIETED=$common
		mkdir -p "${common%/*}"
		echo 'create_main_cluster = false' >$common
	fi
	{
		apt-get -q update &&
			DEBIAN_FRONTEND=noninteractive apt-get -q -y \
				-o Dpkg::Options::=--force-confold \
				--no-install-recommends install "${missing[@]}"
	} >"$WORK/apt.log" 2>&1 </dev/null || {
		restore_packaging
		tail -n 20 "$WORK/apt.log" >&2
		die "could not install packages"
	}
	restore_packaging
}

# as_user COMMAND...: run it as the unprivileged user, in the work directory.
# PostgreSQL refuses to run as root.
as_user()
{
	if [ "$(id -u)" = 0 ]; then
		(cd "$WORK" && runuser -u "$TEST_USER" -- "$@")
	else
		(cd "$WORK" && "$@")
	fi
}

# make_work_directory: sets WORK, a directory of the unprivileged user with a
# short name, because paths of Unix sockets are limited
make_work_directory()
{
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/pg_steward.XXXXXX")
	chmod 755 "$WORK"
}

# choose_user: sets TEST_USER and hands it the work directory; after
# need_packages, which may bring the user
choose_user()
{
	if [ "$(id -u)" = 0 ]; then
		TEST_USER=postgres
		chown "$TEST_USER" "$WORK"
	else
		TEST_USER=$(id -un)
	fi
}

# private_server MAJOR: copy Debian's server and set BIN and PG_CONFIG
private_server()
{
	local major=$1 root=$WORK/server$1 part

	mkdir -p "$root/usr/lib/postgresql" "$root/usr/share/postgresql"
	for part in lib share; do
		cp -a "/usr/$part/postgresql/$major" "$root/usr/$part/postgresql/"
	done
	# the copy must not bring along what is installed of ours
	rm -f "$root/usr/lib/postgresql/$major/lib/pg_steward.so" \
		"$root/usr/share/postgresql/$major/extension/"pg_steward*
	rm -rf "$root/usr/lib/postgresql/$major/lib/bitcode/pg_steward"*
	ln -s /usr/include "$root/usr/include"
	BIN=$root/usr/lib/postgresql/$major/bin
	# shellcheck disable=SC2034 # for the scripts that source this file
	PG_CONFIG=$BIN/pg_config
}

# copy_tree SOURCE TARGET: the files of the project, without build products
copy_tree()
{
	mkdir -p "$2"
	tar -C "$1" -c --exclude=./.git --exclude='*.o' --exclude='*.so' \
		--exclude='*.bc' --exclude=./tmp_check --exclude=./tmp_instance \
		--exclude=./results --exclude=./output_iso --exclude=./log . |
		tar -C "$2" -x --no-same-owner
}
