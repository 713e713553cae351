# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For a test in the guest, which sources it. A test stops at the first command that fails, and says which.
set -eEuo pipefail
trap 'echo "line $LINENO: $BASH_COMMAND: status $?"' ERR
trap undo EXIT

TREE=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../..")
CGROUPS=/sys/fs/cgroup
readonly TREE CGROUPS
export TREE

fail() {
	echo "failed: $*"
	exit 1
}

# Not to be tested here, and why.
skip() {
	echo "skip: $*"
	exit 77
}

# For people: shown also if the test passes.
note() {
	echo "# $*"
}

same() { # WHAT GOT WANTED
	[ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
}

at_least() { # WHAT GOT WANTED (whole numbers)
	[ "$2" -ge "$3" ] || fail "$1: got $2, wanted at least $3"
	echo "$1: $2 (at least $3)"
}

wait_for() { # SECONDS WHAT COMMAND...
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "waited in vain for $what"
		sleep 0.1
	done
}

# What was deferred is done when the test ends, the last first; all of it, whatever fails.
UNDO=()
defer() { # COMMAND...
	UNDO+=("$(printf '%q ' "$@")")
}

undo() {
	local i
	set +e
	trap - ERR
	for ((i = ${#UNDO[@]} - 1; i >= 0; i--)); do eval "${UNDO[i]}"; done
}

disk() { # NAME
	local v=VSTOR_DISK_$1
	[ -b "${!v-}" ] || fail "the guest has no disk $1: see the '# needs:' lines of this test"
	echo "${!v}"
}

# A cgroup of the root with memory and io: what a container has.
cgroup_new() { # NAME
	echo +memory +io >$CGROUPS/cgroup.subtree_control
	mkdir "$CGROUPS/$1"
	defer cgroup_gone "$1"
}

cgroup_gone() { # NAME
	[ -d "$CGROUPS/$1" ] || return 0
	echo 1 >"$CGROUPS/$1/cgroup.kill"
	wait_for 60 "cgroup $1 to be empty" grep -qx "populated 0" "$CGROUPS/$1/cgroup.events"
	rmdir "$CGROUPS/$1"
}

in_cgroup() { # NAME COMMAND...
	local name=$1
	shift
	(echo $BASHPID >"$CGROUPS/$name/cgroup.procs" && exec "$@")
}

mounted() { # FILE-SYSTEM DEVICE DIRECTORY
	local force=-f
	[ "$1" != ext4 ] || force=-F
	# mkfs.btrfs warns of this and that, -q or not
	"mkfs.$1" -q $force "$2" >/dev/shm/mkfs 2>&1 || { cat /dev/shm/mkfs; fail "mkfs.$1 $2"; }
	mkdir -p "$3"
	mount -t "$1" "$2" "$3"
	defer unmount "$3"
}

# For undoing: they are harmless on what is gone already.
unmount() {
	! mountpoint -q "$1" || umount "$1"
}

dm_gone() { # NAME
	! dmsetup info "$1" >/dev/null 2>&1 || dmsetup remove --retry "$1"
}

forget_pages() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# Random bytes written to it come back from the device, not from memory.
keeps_data() { # DEVICE MIB
	head -c "$2M" /dev/urandom >/dev/shm/pattern
	defer rm -f /dev/shm/pattern
	dd if=/dev/shm/pattern of="$1" bs=1M oflag=direct status=none
	forget_pages
	dd if="$1" bs=1M count="$2" iflag=direct status=none | cmp - /dev/shm/pattern || fail "$1 gave back other bytes than were written"
}

# --- stacked devices: fast0 behind, fast1 as the cache before it ---

bcache_make() { # [OPTION-OF-MAKE-BCACHE...]; prints nothing; the device is /dev/bcache0
	local d
	modprobe bcache
	make-bcache --writeback "$@" -B "$(disk fast0)" -C "$(disk fast1)" >/dev/null
	defer bcache_gone
	for d in "$(disk fast0)" "$(disk fast1)"; do
		[ -e "/sys/class/block/${d#/dev/}/bcache" ] || echo "$d" >/sys/fs/bcache/register
	done
	wait_for 60 /dev/bcache0 test -b /dev/bcache0
	wait_for 60 "the cache to be attached" grep -qv "no cache" /sys/block/bcache0/bcache/state
}

bcache_gone() {
	local f
	for f in /sys/block/bcache*/bcache/stop /sys/fs/bcache/*-*/stop; do
		[ ! -e "$f" ] || echo 1 >"$f"
	done
	wait_for 60 "bcache to let go of its disks" bcache_none
}

bcache_none() {
	! compgen -G '/sys/block/bcache*' >/dev/null && ! compgen -G '/sys/fs/bcache/*-*' >/dev/null
}

dm_make() { # NAME TABLE
	dmsetup create "$1" --table "$2"
	defer dm_gone "$1"
	[ -b "/dev/mapper/$1" ] || fail "device mapper made $1, but no /dev/mapper/$1"
}

dm_cache_make() { # the device is /dev/mapper/cached, its blocks are 64 KiB
	local meta=16384 cache=262144
	modprobe -a dm-cache dm-cache-smq
	dd if=/dev/zero of="$(disk fast1)" bs=1M count=8 oflag=direct status=none
	dm_make meta "0 $meta linear $(disk fast1) 0"
	dm_make cache "0 $cache linear $(disk fast1) $meta"
	dm_make cached "0 $(blockdev --getsz "$(disk fast0)") cache /dev/mapper/meta /dev/mapper/cache $(disk fast0) 128 1 writeback smq 0"
}
