#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Whose an I/O is, on this host's own kernel and cgroups, whatever they are; the guests have every case (tests/vm/t/owner-*).
bats_require_minimum_version 1.5.0
load lib
load locks

setup() {
	agent_setup
	locks_setup "$BUILD/tests/bpf/lock_load"
	memory=$(awk '$3 == "cgroup" && "," $4 "," ~ /,memory,/ { print $2; exit }' /proc/mounts)
	[ -z "$memory" ] || mkdir "$memory/$a" "$memory/$b"
}

teardown() {
	locks_teardown
	[ -z "${memory-}" ] || rmdir "$memory/$a" "$memory/$b"
	agent_teardown
}

# As runtimes do: in its cgroup of each hierarchy that counts.
in_container() { # NAME COMMAND...
	([ -z "$memory" ] || echo $BASHPID >"$memory/$1/cgroup.procs"
		in_group "$@")
}

# How many bytes of files' data a container wrote to the disk.
written_by() { # CONTAINER
	ctl io --total --json | jq -s --arg c "$1" --arg dev "${loop#/dev/}" \
		'map(select(.container == $c and .device == $dev and .op == "write" and .kind == "data") | .bytes) | add // 0'
}

@test "who wrote into the page cache is charged, whoever writes it out; a direct write is its task's" {
	for fs in ext4 xfs btrfs; do
		filesystem_make $fs
		agent_start
		in_container "$a" dd if=/dev/zero of="$dir/mnt/buffered" bs=1M count=16 status=none
		sync "$dir/mnt/buffered"
		in_container "$b" dd if=/dev/zero of="$dir/mnt/direct" bs=1M count=16 oflag=direct status=none
		by_a=$(written_by "$a") by_b=$(written_by "$b")
		echo "$fs: $by_a bytes of $a, $by_b of $b"
		[ "$by_a" -eq $((16 << 20)) ]
		[ "$by_b" -eq $((16 << 20)) ]
		agent_stop
		filesystem_gone
	done
}
