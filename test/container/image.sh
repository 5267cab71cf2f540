# Shell functions of test/container/run: an image without a container engine; to
# be sourced by bash, in a mount namespace of its own.
#
# The base is the machine's own /usr, read-only, with a private copy of one
# server in it, arranged as the official image has it.  On top of that go the
# COPY and RUN instructions of our Dockerfile.  A container is that directory as
# the root of a process that is number 1 of its process namespace, with a network
# of its own and read-only but for what compose.yaml has in memory and the volume.

# shellcheck disable=SC2034,SC2153 # variables of the script that sources this
HERE_CONTAINER=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# build_image ROOT SERVER BUILD MAJOR: SERVER is the directory of a private
# server, BUILD what stands for /install in the build stage
build_image()
{
	local root=$1 server=$2 build=$3 major=$4 stage

	mkdir -p "$root"/{usr,etc,proc,dev,run/postgresql,tmp,var/lib/postgresql} \
		"$root"/{sys/fs/cgroup,extensions/pg_steward,run/secrets,run/pgbouncer,docker-entrypoint-initdb.d} "$root.local/bin" "$root.server"
	chmod 1777 "$root/tmp" "$root/var/lib/postgresql"
	ln -s usr/bin "$root/bin"
	ln -s usr/sbin "$root/sbin"
	ln -s usr/lib "$root/lib"
	[ ! -d /usr/lib64 ] || ln -s usr/lib64 "$root/lib64"
	ln -s ../run "$root/var/run"
	cp -a /etc/{passwd,group,nsswitch.conf,alternatives,ld.so.cache,ld.so.conf,ld.so.conf.d} \
		"$root/etc/"
	echo '127.0.0.1 localhost postgres' >"$root/etc/hosts"

	cp -a "$server/usr/lib" "$server/usr/share" "$root.server/"
	rm -f "$root.server/lib/postgresql/$major/lib/pg_steward.so" \
		"$root.server/share/postgresql/$major/extension/"pg_steward*
	mv "$root.server/share/postgresql/$major/postgresql.conf.sample" \
		"$root.server/share/postgresql/"
	ln -s ../postgresql.conf.sample "$root.server/share/postgresql/$major/"
	cp "$root.server/share/postgresql/postgresql.conf.sample" "$root.sample"
	cp -a "$root.server" "$root.official"

	mount --bind /usr "$root/usr" || return
	mount -o remount,bind,ro "$root/usr" || return
	mount --bind "$root.local" "$root/usr/local" || return
	mount --bind "$root.server/lib/postgresql" "$root/usr/lib/postgresql" || return
	mount --bind "$root.server/share/postgresql" "$root/usr/share/postgresql" || return

	# what the official image has beside the server
	install "$HERE_CONTAINER/official_start" "$root/usr/local/bin/docker-entrypoint.sh"
	install "$HERE_CONTAINER/official_start" "$root/usr/local/bin/docker-ensure-initdb.sh"
	cat >"$root/usr/local/bin/gosu" <<-'END'
		#!/bin/sh
		user=$1
		shift
		exec setpriv --reuid "$user" --regid "$user" --init-groups -- "$@"
	END
	chmod 755 "$root/usr/local/bin/gosu"

	for stage in pgbouncer postgres; do
		apply_stage "$root" "$build" "$major" $stage || return
	done
}

# apply_stage ROOT BUILD MAJOR STAGE: its COPY instructions, and those RUN
# instructions that install no packages
apply_stage()
{
	local root=$1 build=$2 major=$3 stage=$4 instruction from mode target rest source

	while IFS= read -r line; do
		# empty fields count
		IFS=$'\x1f' read -r instruction from mode target rest <<<"${line//$'\t'/$'\x1f'}"
		case $instruction in
			COPY)
				case $target in
					*/) mkdir -p "$root$target" ;;
					*) mkdir -p "$root${target%/*}" ;;
				esac
				for source in ${rest//$'\x1f'/ }; do
					if [ "$from" = build ]; then
						source=$build${source#/install}
					else
						source=$HERE_CONTAINER/../../$source
					fi
					# the content of a directory, as COPY does
					[ ! -d "$source" ] || source=$source/.
					cp -rL "$source" "$root$target" || return
					[ -z "$mode" ] || copied_mode "$mode" "$source" "$root$target"
				done
				;;
			RUN)
				case $line in
					*apt-get*) ;;
					*) chroot "$root" sh -c "${line#*$'\t'}" || return ;;
				esac
				;;
		esac
	done < <("$HERE_CONTAINER/dockerfile" "$stage" "$major")
}

# copied_mode MODE SOURCE TARGET: what --chmod does to files
copied_mode()
{
	local file

	if [ -d "$2" ]; then
		for file in "$2"/*; do
			chmod "$1" "$3/$(basename "$file")"
		done
	elif [ -d "$3" ]; then
		chmod "$1" "$3/$(basename "$2")"
	else
		chmod "$1" "$3"
	fi
}

# What a container does first, in its namespaces; a script, because unshare
# wants a program: ROOT VOLUME BINDS COMMAND...  BINDS are SOURCE:TARGET words.
# shellcheck disable=SC2016 # expanded there
CONTAINER_START='
	set -e
	root=$1 volume=$2 binds=$3
	shift 3
	mount --rbind "$root" "$root"
	cd "$root"
	mount -t proc proc proc
	mount -t tmpfs -o mode=755 tmpfs dev
	mkdir dev/shm
	for file in null zero urandom random; do
		: >dev/$file
		mount --bind /dev/$file dev/$file
	done
	ln -s /proc/self/fd dev/fd
	mount -t tmpfs -o mode=1777 tmpfs dev/shm
	mount -t tmpfs -o mode=1777 tmpfs tmp
	mount -t tmpfs -o mode=1777 tmpfs run/postgresql
	mount -t tmpfs -o mode=1777 tmpfs run/pgbouncer
	mount --bind "$volume" var/lib/postgresql
	for bind in $binds; do
		mount --bind "${bind%%:*}" "$root${bind#*:}"
	done
	for layer in "" /usr/local /usr/lib/postgresql /usr/share/postgresql; do
		mount -o remount,bind,ro "$root$layer"
	done
	# the loopback interface, for machines without iproute2
	perl -MSocket -e "my (\$s, \$up) = (undef, pack(q(a16s), q(lo), 0x41)); socket(\$s, AF_INET, SOCK_DGRAM, 0) && ioctl(\$s, 0x8914, \$up) or die"
	exec chroot "$root" "$@"'

# start_container NAME VOLUME BINDS NETWORK [ENVIRONMENT...] -- COMMAND...:
# start it; its process is in CONTAINER, its output in $WORK/NAME.log.  NETWORK
# is empty, or the process whose network it shares.
start_container()
{
	local name=$1 volume=$2 binds=$3 network=$4 environment=() enter=() share=(--net)

	shift 4
	while [ "$1" != -- ]; do
		environment+=("$1")
		shift
	done
	shift
	if [ -n "$network" ]; then
		enter=(nsenter --target "$network" --net)
		share=()
	fi
	: >"$WORK/$name.log"
	"${enter[@]}" unshare --mount --propagation unchanged --pid --ipc "${share[@]}" --fork --kill-child \
		bash -c "$CONTAINER_START" bash "$WORK/image" "$volume" "$binds" \
		env -i PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/usr/lib/postgresql/$MAJOR/bin" \
		LANG=C.UTF-8 PG_MAJOR="$MAJOR" PGDATA="/var/lib/postgresql/$MAJOR/docker" \
		"${environment[@]}" "$@" >"$WORK/$name.log" 2>&1 </dev/null &
	UNSHARED=$!
	CONTAINER=
	while [ -z "$CONTAINER" ] && kill -0 $UNSHARED 2>/dev/null; do
		CONTAINER=$(cat "/proc/$UNSHARED/task/$UNSHARED/children" 2>/dev/null)
		CONTAINER=${CONTAINER// /}
	done
}

# in_container COMMAND...: run it there, as root
in_container()
{
	nsenter --target "$CONTAINER" --mount --pid --net --ipc --root env --chdir=/ -i \
		PATH="/usr/local/bin:/usr/sbin:/usr/bin:/usr/lib/postgresql/$MAJOR/bin" LANG=C.UTF-8 \
		"$@"
}

# end_container SIGNAL: end it and wait; status in STATUS, time in STOP_MS
end_container()
{
	local begin

	begin=$(date +%s%N)
	kill "-$1" "$CONTAINER" 2>/dev/null
	wait "$UNSHARED" 2>/dev/null
	STATUS=$?
	STOP_MS=$((($(date +%s%N) - begin) / 1000000))
}
