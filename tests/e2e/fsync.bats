#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# How long fsync takes: what the probes count, against what a program measured itself.
bats_require_minimum_version 1.5.0
load lib
load locks

setup() {
	agent_setup
	FSYNC_LOAD=$BUILD/tests/bpf/fsync_load
	FSYNC_ROWS=$BUILD/tests/bpf/fsync_rows
	[ -x "$FSYNC_ROWS" ] || { echo "no $FSYNC_ROWS: run make tests first"; return 1; }
	locks_setup "$FSYNC_LOAD"
}

teardown() {
	locks_teardown
	agent_teardown
}

# The probes of fsync that are attached, a line each.
attached() {
	ctl status --json | jq -r '.probes[] | select(.state == "attached") | .name' | grep -E '^(fsync_(ext4|xfs|btrfs)|(fsync|fdatasync|msync)_call)'
}

# The agent's rows and open calls of this test's disk: others on the host call fsync too.
disk_rows() {
	"$FSYNC_ROWS" "$agent" | awk -v d="$(cat "/sys/class/block/${loop#/dev/}/dev")" '$1 == "row" && $4 == d || $1 == "open" && $5 == d'
}

is_measured() { # FS
	attached | grep -q "^fsync_$1_begin$"
}

# What a group's rows say: "COUNT SUM-NS MAX-NS IN-HISTOGRAM DEVICE", zeroes if there are none.
row() { # GROUP
	"$FSYNC_ROWS" "$agent" | awk -v id="$(stat -c %i "$tree/$1")" '$1 == "row" && $2 == id { n += $5; ns += $6; max = $7; h += $8; dev = $4 }
		END { printf "%d %.0f %.0f %d %s\n", n, ns, max, h, dev }'
}

# One load more in a group is that much more in its row. Each try has to count right and never more time than the program
# saw from outside; one of three has to have 98 % of it, less 20 us for the way into the file system and back, of an msync
# 200 us, which looks its mapping up: who comes back from a call may wait for a processor.
agrees() { # GROUP HOW N THREADS
	local n0 ns0 n ns max hist dev program_n program_ns program_max try way=20000
	[ "$2" != msync ] || way=200000
	for try in 1 2 3; do
		read -r n0 ns0 _ <<<"$(row "$1")"
		in_group "$1" "$FSYNC_LOAD" "$2" "$dir/mnt/file" "$3" "$4" >"$dir/program"
		read -r program_n program_ns program_max <"$dir/program"
		read -r n ns max hist dev <<<"$(row "$1")"
		echo "$2, try $try: the program counted $program_n in $program_ns ns, the probes $((n - n0)) in $((ns - ns0)) ns"
		[ $((n - n0)) -eq "$program_n" ]
		[ "$hist" -eq "$n" ]
		[ "$dev" = "$(cat "/sys/class/block/${loop#/dev/}/dev")" ]
		[ $((ns - ns0)) -le "$program_ns" ]
		[ "$max" -le "$program_max" ] || [ "$n0" -gt 0 ]
		[ $((ns - ns0 + program_n * way)) -lt $((program_ns * 98 / 100)) ] || return 0
	done
	return 1
}

fsync_agrees() { # FS
	local how
	agent_start --fsync
	filesystem_make "$1"
	until_true is_measured "$1"
	for how in fsync fdatasync msync; do
		agrees "$a" $how 100 2
	done
	# another container has a row of its own
	[ "$(row "$b")" = "0 0 0 0 " ]
	agrees "$b" fsync 50 1
	[ "$(disk_rows | grep -c '^open')" -eq 0 ]
}

@test "fsync: ext4: each call counts, in its container, for as long as it took" {
	fsync_agrees ext4
	# an O_SYNC write is an fsync after a write
	read -r n0 _ <<<"$(row "$a")"
	in_group "$a" "$FSYNC_LOAD" osync "$dir/mnt/file" 20 >"$dir/program"
	read -r n _ <<<"$(row "$a")"
	[ $((n - n0)) -eq 20 ]
}

@test "fsync: xfs: each call counts, in its container, for as long as it took" {
	fsync_agrees xfs
}

@test "fsync: btrfs: each call counts, in its container, for as long as it took" {
	fsync_agrees btrfs
}

@test "fsync: O_SYNC on xfs is measured, or the log says that it is not" {
	agent_start --fsync
	filesystem_make xfs
	until_true is_measured xfs
	in_group "$a" "$FSYNC_LOAD" osync "$dir/mnt/file" 20 >"$dir/program"
	if attached | grep -q fsync_xfs_end; then
		read -r n _ <<<"$(row "$a")"
		[ "$n" -eq 20 ]
	else
		until_true grep -q "O_SYNC.*are not measured on xfs and btrfs" "$dir/log"
		[ "$(row "$a")" = "0 0 0 0 " ]
	fi
}

@test "fsync: nothing is attached that nobody asked for" {
	agent_start
	filesystem_make xfs
	until_true ctl status --json
	[ -z "$(attached)" ]
	ctl status --json | jq -e '[.probes[] | select(.name == "fsync_ext4_begin" or .name == "fsync_call_end")]
		| length == 2 and all(.[]; .state == "off" and .why == "no rule and nobody asks for it")'
	run "$FSYNC_ROWS" "$agent"
	[ "$status" -eq 2 ]
}

@test "fsync: returns of system calls are hooked only while an xfs or a btrfs is mounted" {
	! findmnt -t xfs,btrfs >/dev/null || skip "an xfs or a btrfs is mounted on this host"
	agent_start --fsync
	until_true is_measured ext4
	! attached | grep call_end || false
	filesystem_make btrfs
	until_true is_measured btrfs
	attached | grep -q call_end || attached | grep -q fsync_btrfs_end
	filesystem_gone
	until_true lacks_calls
}

lacks_calls() {
	! attached | grep -E "call_end|btrfs"
}

@test "fsync: one that is under way has a begin and an age" {
	local blkio group slow
	blkio=$(awk '$3 == "cgroup" && "," $4 "," ~ /,blkio,/ { print $2; exit }' /proc/mounts)
	[ -n "$blkio" ] || skip "no blkio controller of version 1 to slow a disk down with: tests/vm/t/fsync.sh does it otherwise"
	agent_start --fsync
	filesystem_make ext4
	until_true is_measured ext4
	group=$blkio/vstor-fsync-$$
	mkdir "$group"
	echo "$(cat "/sys/class/block/${loop#/dev/}/dev") 131072" >"$group/blkio.throttle.write_bps_device"
	(join_group "$a" && echo $BASHPID >"$group/cgroup.procs" && exec "$FSYNC_LOAD" fsync "$dir/mnt/slow" 1 >"$dir/program" 3>&-) &
	slow=$!
	until_true fsync_is_open 500000000
	until_true fsync_is_open 1000000000
	wait $slow
	rmdir "$group"
	[ "$(disk_rows | grep -c '^open')" -eq 0 ]
	# whose it is, the tests above say: here the task is in a cgroup of its own in each hierarchy
	disk_rows | awk '$1 == "row" { n += $5; ns += $6 } END { exit !(n == 1 && ns >= 1000000000) }'
}

fsync_is_open() { # NS
	disk_rows | awk -v ns="$1" '$1 == "open" && $6 >= ns { yes = 1 } END { exit !yes }'
}
