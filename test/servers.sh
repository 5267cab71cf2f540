# Shell functions of test/run: servers that this Debian does not ship; to be
# sourced by bash after lib.sh.
#
# Other majors.  Packages of newer Debian releases do not run here (their C
# library is newer), so that PostgreSQL 17, 18 and 19 live in one directory
# with a small newer Debian of their own, entered with chroot.  It is built
# once and kept in the cache.  Whatever enters it does so in a mount and
# process namespace of its own: mounts and servers disappear with the process
# that needed them, however it ends.  The cached directory itself is not
# written to: work is done in a directory that is mounted into it.
#
# Assertions.  No packaged server checks them; one is built from Debian's
# source package, with the client requests for valgrind compiled in.
#
# Both are fetched from the archive that the machine's own apt sources name.

CACHE=${XDG_CACHE_HOME:-/var/cache}/pg_steward

# What is built, from where.  Raise the recipe number to have caches rebuilt.
SERVERS_RECIPE=2
SERVERS_DAYS=30
SERVERS_BASE=forky
SERVERS_OTHER_SUITES='trixie experimental'
OTHER_MAJORS='17 18 19'

# skip WORDS...: end a step that cannot be done; the words become its reason
skip()
{
	printf '%s\n' "$*"
	exit 77
}

# debian_mirror: print the address of the archive this machine uses
debian_mirror()
{
	local release

	release=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
	apt-get --print-uris update 2>/dev/null |
		sed -n "s,^'\\(.*\\)/dists/$release/InRelease'.*,\\1,p" | head -n 1
}

# can_isolate: may we make namespaces and mount?  Reason in REASON.
can_isolate()
{
	if [ "$(id -u)" != 0 ]; then
		REASON="only root can enter a newer Debian"
		return 1
	fi
	REASON=$(unshare --mount --pid --fork --kill-child \
		mount -t tmpfs tmpfs /mnt 2>&1) && return
	REASON="cannot mount, which is needed to enter a newer Debian: $REASON"
	return 1
}

# last_error LOG: the line that says best why apt or mmdebstrap gave up
last_error()
{
	{ grep -a '^Err:' "$1" | head -n 1; grep -aE '^E: ' "$1" | head -n 1; } |
		grep -m 1 . || tail -n 1 "$1"
}

# servers_current: is the cached directory complete, of this recipe and young?
servers_current()
{
	[ "$(cat "$CACHE/servers/pg_steward.recipe" 2>/dev/null)" = "$SERVERS_RECIPE" ]
}

servers_young()
{
	[ -n "$(find "$CACHE/servers/pg_steward.recipe" -mtime "-$SERVERS_DAYS" 2>/dev/null)" ]
}

# build_servers: make the directory with the other majors, unless it is cached.
# A half-built one has another name and is thrown away.
build_servers()
{
	local log=$WORK/mmdebstrap.log

	if servers_current && servers_young; then
		echo "cached in $CACHE/servers"
		return 0
	fi
	mkdir -p "$CACHE"
	exec 9>"$CACHE/lock"
	flock 9
	servers_current && servers_young && return 0

	if ! make_servers "$CACHE/servers.new" >"$log" 2>&1; then
		rm -rf --one-file-system "$CACHE/servers.new"
		cat "$log"
		if servers_current; then
			echo "the old ones in $CACHE/servers are used"
			return 0
		fi
		skip "could not be made: $(last_error "$log")"
	fi
	cat "$log"
	if [ -d "$CACHE/servers" ]; then
		rm -rf --one-file-system "$CACHE/servers"
	fi
	mv "$CACHE/servers.new" "$CACHE/servers"
}

# make_servers DIRECTORY
make_servers()
{
	local root=$1 mirror suite sources=()

	rm -rf --one-file-system "$root"
	mirror=$(debian_mirror)
	[ -n "$mirror" ] || {
		echo "E: apt's sources name no Debian archive"
		return 1
	}
	for suite in $SERVERS_BASE $SERVERS_OTHER_SUITES; do
		sources+=("deb $mirror $suite main")
	done
	cat >"$WORK/install_majors" <<-END
		for major in $OTHER_MAJORS; do
			package=postgresql-\$major
			suite=
			if ! apt-get install -s \$package >/dev/null 2>&1; then
				suite='-t experimental'
				if ! apt-get install -s \$suite \$package >/tmp/log 2>&1; then
					grep -m 1 '^E: ' /tmp/log >/pg_steward.missing.\$major ||
						echo 'cannot be installed' >/pg_steward.missing.\$major
					continue
				fi
			fi
			apt-get install -y --no-install-recommends \$suite \$package || exit 1
			# headers only: the package asks for a second compiler
			cd /tmp && apt-get download -o APT::Sandbox::User=root \\
				postgresql-server-dev-\$major || exit 1
			dpkg -x postgresql-server-dev-\${major}_*.deb / || exit 1
		done
		# the client library is of the newest, and serves all
		cd /tmp && apt-get download -o APT::Sandbox::User=root \
			libpq-dev=\$(dpkg-query -W -f '\${Version}' libpq5) || exit 1
		dpkg -x libpq-dev_*.deb / || exit 1
		rm -f /tmp/*
	END
	# Some machines have apt clean up its lists and archives after each use;
	# mmdebstrap heeds such settings, and must not see the machine's own.
	# The release files of development suites expire by the clock.
	# shellcheck disable=SC2016 # expanded by inner shells
	unshare --mount --pid --fork --kill-child bash -c '
		for directory in /var/lib/apt/lists /var/cache/apt; do
			mount -t tmpfs tmpfs $directory || exit 1
		done
		exec "$@"' bash \
		mmdebstrap --mode=root --variant=apt \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--include=gcc,libc6-dev,make,perl,libipc-run-perl \
		--essential-hook='mkdir -p "$1/etc/postgresql-common"' \
		--essential-hook='echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"' \
		--customize-hook="cp '$WORK/install_majors' \"\$1/tmp/install_majors\"" \
		--customize-hook='chroot "$1" sh /tmp/install_majors' \
		"$SERVERS_BASE" "$root" "${sources[@]}" || return 1
	mkdir -p "$root/dev/shm" "$root/mnt"
	echo $SERVERS_RECIPE >"$root/pg_steward.recipe"
}

# server_missing MAJOR: say why it is not in the cached directory; fails if
# it is
server_missing()
{
	local root=$CACHE/servers

	[ -d "$root/usr/lib/postgresql/$1" ] && return 1
	cat "$root/pg_steward.missing.$1" 2>/dev/null ||
		echo "the newer Debian could not be made"
}

# server_release MAJOR: print what exactly it is
server_release()
{
	chroot "$CACHE/servers" dpkg-query -W -f "\${Version}" "postgresql-$1"
}

# in_servers DIRECTORY COMMAND...: run it among the other majors, with the
# directory as /mnt
in_servers()
{
	local directory=$1

	shift
	# shellcheck disable=SC2016 # the inner shell expands
	unshare --mount --pid --fork --kill-child bash -c '
		set -e
		root=$1 directory=$2
		shift 2
		mount -t proc proc "$root/proc"
		mount -t tmpfs tmpfs "$root/dev/shm"
		mount -t tmpfs tmpfs "$root/tmp"
		chmod 1777 "$root/tmp" "$root/dev/shm"
		mount --bind "$directory" "$root/mnt"
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			HOME=/mnt "$@"' \
		bash "$CACHE/servers" "$directory" "$@"
}

# --- the server with assertions ---------------------------------------------

ASSERT_RECIPE=1
ASSERT_MAJOR=15

# build_assert_server: like build_servers
build_assert_server()
{
	local log=$WORK/assert.log

	[ "$(cat "$CACHE/assert/pg_steward.recipe" 2>/dev/null)" = $ASSERT_RECIPE ] && {
		echo "cached in $CACHE/assert"
		return 0
	}
	mkdir -p "$CACHE" 2>/dev/null || skip "the cache $CACHE cannot be written"
	exec 9>"$CACHE/lock"
	flock 9
	[ -d "$CACHE/assert" ] && rm -rf "$CACHE/assert"
	fetch_assert_source >"$log" 2>&1 || {
		cat "$log"
		skip "the source could not be had: $(last_error "$log")"
	}
	make_assert_server || return 1
	echo $ASSERT_RECIPE >"$CACHE/assert/pg_steward.recipe"
}

# fetch_assert_source: unpack the source package in $WORK/source, by lists of
# our own: the machine's apt stays as it is
fetch_assert_source()
{
	local mirror lists=$WORK/lists options

	mirror=$(debian_mirror)
	[ -n "$mirror" ] || {
		echo "E: apt's sources name no Debian archive"
		return 1
	}
	mkdir -p "$lists/partial" "$WORK/source"
	echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $(. /etc/os-release && echo "$VERSION_CODENAME") main" \
		>"$WORK/source.list"
	options=(-o "Dir::Etc::sourcelist=$WORK/source.list"
		-o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$lists"
		-o APT::Sandbox::User=root)
	apt-get -q "${options[@]}" update &&
		cd "$WORK/source" &&
		apt-get -q "${options[@]}" source --download-only postgresql-$ASSERT_MAJOR &&
		tar xf postgresql-${ASSERT_MAJOR}_*.orig.tar.bz2 --strip-components=1
}

# make_assert_server: configured for the cache, where it stays
make_assert_server()
{
	cd "$WORK/source" || return 1
	./configure -q --prefix="$CACHE/assert" --enable-cassert --enable-debug \
		--enable-tap-tests --without-readline CPPFLAGS=-DUSE_VALGRIND \
		CFLAGS="-O1 -g -fno-omit-frame-pointer" &&
		make -s -j"$(nproc)" && make -s -j"$(nproc)" -C contrib &&
		make -s install && make -s -C contrib install &&
		cp src/tools/valgrind.supp "$CACHE/assert/"
}
