#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Every lifetime in its bucket, and every byte that dies before it reaches the disk counted.
bats_require_minimum_version 1.5.0
load lib
load locks
load insight

setup() {
	insight_setup
}

teardown() {
	insight_teardown
}

MIB=$((1 << 20))

# Writes MIB of a file in group $a, over what is there.
put() { # FILE MIB [SEEK]
	in_group "$a" dd if=/dev/zero of="$dir/mnt/$1" bs=64K count=$((16 * $2)) seek=$((16 * ${3:-0})) conv=notrunc status=none
}

# "BYTES DEAD" of an end in all buckets together, or in one.
lived() { # END [BUCKET]
	ctl lifetimes --json "$a" | jq -rs --arg e "$1" --arg b "${2-}" 'map(select(.end == $e)) |
		(map(if $b == "" then .bytes else .ages[$b] end) | add // 0) as $all | "\($all) \(map(.dead_bytes) | add // 0)"'
}

is_lived() { # END "MIB DEAD-MIB"
	local bytes dead
	read -r bytes dead < <(lived "$1")
	echo "$1: $bytes bytes, $dead of them dead; meant: $2 MiB"
	[ "$((bytes / MIB)).$((bytes % MIB)) $((dead / MIB)).$((dead % MIB))" = "${2% *}.0 ${2#* }.0" ]
}

# All of an end in one bucket.
all_in() { # END BUCKET
	local all in
	read -r all _ < <(lived "$1")
	read -r in _ < <(lived "$1" "$2")
	echo "$1: $in of $all bytes are in $2"
	[ "$all" -gt 0 ] && [ "$all" = "$in" ]
}

lifetimes_on() { # FS
	filesystem_make "$1"
	agent_start --insight off
	in_group "$a" true
	ctl insight "$a" on
	is_lived overwrite "0 0"
	# 4 MiB that nobody writes out; 2 of them are overwritten after 1.5 s, in memory
	put x 4
	sleep 1.5
	put x 2 1
	within 10 is_lived overwrite "2 2"
	all_in overwrite lt10s
	# on the disk: overwritten after some 0.3 s
	sync -f "$dir/mnt"
	sleep 0.3
	put x 1
	within 10 is_lived overwrite "3 2"
	read -r n _ < <(lived overwrite lt10s)
	[ "$n" = $((3 * MIB)) ] # the first of the 4 was written in the beginning
	# truncated: 3 of 4 MiB, 1 of which is in memory only, as it has just been written again
	put x 1 3
	within 10 is_lived overwrite "4 2"
	truncate -s 1M "$dir/mnt/x"
	within 10 is_lived truncate "3 1"
	# unlinked: what is left, in memory only
	rm "$dir/mnt/x"
	within 10 is_lived unlink "1 1"
	# another file, on the disk, and one that is renamed over it
	put y 2
	sync -f "$dir/mnt"
	put z 1
	mv "$dir/mnt/z" "$dir/mnt/y"
	until_true is_lived unlink "3 1"
	# who is not watched is not counted
	in_group "$b" dd if=/dev/zero of="$dir/mnt/b" bs=1M count=2 status=none
	rm "$dir/mnt/b"
	is_lived unlink "3 1"
	run -0 ctl lifetimes
	[[ "$output" = *"UNWRITTEN"*"$a"* ]]
	[[ "$output" != *"$b"* ]]
}

@test "lifetimes of data on ext4" {
	lifetimes_on ext4
}

@test "lifetimes of data on xfs" {
	lifetimes_on xfs
}

@test "lifetimes of data on btrfs" {
	lifetimes_on btrfs
}

@test "without anybody who is watched all the time, nothing is counted, and it says what to do" {
	agent_start --insight off
	run -0 ctl lifetimes
	[[ "$output" = "nobody is watched all the time: vstorctl insight CONTAINER on, or start vstord with --insight full" ]]
}
