#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What applications say about their I/O reaches the rows; what they do not say does not.
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

MB=$((1 << 20))

# All of the data that was read or written since the agent started has the class that was given, and there is enough of it.
all_hinted() { # OP CLASS
	local all class other
	all=$(bytes_of ".op == \"$1\" and .kind == \"data\"")
	class=$(bytes_of ".op == \"$1\" and .kind == \"data\" and .class == $2 and (.patterns | index(\"hinted\"))")
	other=$(bytes_of ".kind != \"data\" and (.patterns | index(\"hinted\"))")
	echo "$1: $class of $all bytes have class $2; $other bytes of other kinds are hinted"
	[ "$all" -ge $((64 * MB)) ] && [ "$class" -eq "$all" ] && [ "$other" -eq 0 ]
}

none_hinted() {
	local n
	n=$(bytes_of '.patterns | index("hinted")')
	echo "$n bytes are hinted"
	[ "$n" -eq 0 ]
}

# Each MiB of direct I/O has its own class.
each_its_own() { # OP
	local class n
	for class in 0 1 2 3 4 5; do
		n=$(bytes_of ".op == \"$1\" and .class == $class and (.patterns | index(\"hinted\"))")
		echo "$1, class $class: $n bytes"
		[ "$n" -eq $(((64 + 5 - class) / 6 * MB)) ] || return
	done
}

@test "direct I/O: each call's class, on ext4, xfs and btrfs, for all calls" {
	for fs in ext4 xfs btrfs; do
		filesystem_make $fs
		# newer kernels make direct writes buffered ones where btrfs keeps checksums: see the next test
		[ $fs != btrfs ] || chattr +C "$dir/mnt"
		for call in "" ,at ,vector ,vector,at; do
			agent_start
			"$HINT_LOAD" "direct$call" "$dir/mnt/f"
			echo "$fs, direct$call:"
			each_its_own write
			agent_stop
			agent_start
			"$HINT_LOAD" "direct,read$call" "$dir/mnt/f"
			each_its_own read
			agent_stop
		done
		filesystem_gone
	done
}

@test "direct writes that btrfs makes buffered ones have a class, all of them" {
	filesystem_make btrfs
	agent_start
	"$HINT_LOAD" direct "$dir/mnt/f"
	sync -f "$dir/mnt"
	all=$(bytes_of '.op == "write" and .kind == "data"')
	hinted=$(bytes_of '.op == "write" and .kind == "data" and .class >= 0 and (.patterns | index("hinted"))')
	echo "$hinted of $all bytes are hinted"
	[ "$all" -eq $((64 * MB)) ] && [ "$hinted" -eq "$all" ]
}

@test "buffered writes have the class of their file, whoever writes them out" {
	for fs in ext4 xfs btrfs; do
		filesystem_make $fs
		agent_start
		"$HINT_LOAD" class=2 "$dir/mnt/f"
		echo "$fs:"
		all_hinted write 2
		agent_stop
		filesystem_gone
	done
}

@test "buffered reads have the class of the call that reads ahead" {
	filesystem_make ext4
	"$HINT_LOAD" plain "$dir/mnt/f"
	forget "$dir/mnt/f"
	agent_start
	"$HINT_LOAD" read,class=3 "$dir/mnt/f"
	all_hinted read 3
}

@test "fcntl(F_SET_RW_HINT): direct and buffered writes" {
	for how in plain plain,direct; do
		filesystem_make ext4
		agent_start
		"$HINT_LOAD" "$how,life=2" "$dir/mnt/f" # RWH_WRITE_LIFE_SHORT
		echo "$how:"
		all_hinted write 4
		agent_stop
		filesystem_gone
	done
}

@test "I/O priority: a thread's for reads, a request's of libaio" {
	filesystem_make xfs
	"$HINT_LOAD" plain "$dir/mnt/f"
	forget "$dir/mnt/f"
	agent_start
	"$HINT_LOAD" plain,read,ioprio,class=5 "$dir/mnt/f"
	all_hinted read 5
	agent_stop
	agent_start
	"$HINT_LOAD" aio,direct "$dir/mnt/f"
	each_its_own write
}

@test "classes out of range are counted, and change nothing" {
	filesystem_make ext4
	agent_start
	"$HINT_LOAD" direct,class=6 "$dir/mnt/f"
	"$HINT_LOAD" direct,class=255 "$dir/mnt/f"
	none_hinted
	[ "$(get /v1/status | jq .self.hints_refused)" -ge 2048 ]
}

@test "without hints there are none: plain calls between hinted ones, a compiler, a database" {
	filesystem_make ext4
	agent_start
	"$HINT_LOAD" direct,between,class=1 "$dir/mnt/f"
	# of each offset one call is hinted, one is not
	[ "$(bytes_of '.op == "write" and .class == 1 and (.patterns | index("hinted"))')" -eq $((64 * MB)) ]
	agent_stop
	agent_start
	for i in 1 2 3 4; do
		cc -O2 -D_GNU_SOURCE -I"$BATS_TEST_DIRNAME/../../include" -o "$dir/mnt/x$i" "$BATS_TEST_DIRNAME/../bpf/hint_load.c"
	done
	python3 - "$dir/mnt/db" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		db.execute("create table t (a integer primary key, b text)")
		for i in range(200):
		    db.execute("insert into t values (?, ?)", (i, "x" * 5000))
		    db.commit()
	END
	sync -f "$dir/mnt"
	[ "$(bytes_of '.op == "write"')" -gt $MB ]
	none_hinted
}

@test "sequential is what goes on where it ended: streams, also several at once, not scattered I/O" {
	filesystem_make ext4
	truncate -s 256M "$dir/mnt/f"
	fallocate -l 256M "$dir/mnt/f"
	dd if=/dev/zero of="$dir/mnt/f" bs=1M count=256 conv=notrunc status=none
	forget "$dir/mnt/f"
	agent_start
	dd if="$dir/mnt/f" of=/dev/null iflag=direct bs=256K count=512 status=none &
	one=$!
	dd if="$dir/mnt/f" of=/dev/null iflag=direct bs=256K count=512 skip=512 status=none
	wait $one
	all=$(bytes_of '.op == "read" and .kind == "data"')
	stream=$(bytes_of '.op == "read" and .kind == "data" and (.patterns | index("sequential"))')
	echo "$stream of $all bytes are sequential"
	[ "$all" -ge $((256 * MB)) ]
	awk -v s="$stream" -v a="$all" 'BEGIN { exit !(s >= 0.95 * a) }'
	agent_stop
	agent_start
	fio --name=x --filename="$dir/mnt/f" --rw=randread --bs=4k --direct=1 --size=256M --io_size=32M --randseed=1 >/dev/null
	all=$(bytes_of '.op == "read" and .kind == "data"')
	stream=$(bytes_of '.op == "read" and .kind == "data" and (.patterns | index("sequential"))')
	echo "scattered: $stream of $all bytes are sequential"
	[ "$all" -ge $((32 * MB)) ]
	awk -v s="$stream" -v a="$all" 'BEGIN { exit !(s <= 0.01 * a) }'
}

class_set() { # CLASS FILE
	python3 -c 'import os, sys; os.setxattr(sys.argv[2], "user.vstor.class", sys.argv[1].encode())' "$@"
}

# One MiB after the other of a file, each on the disk before the next.
write_slowly() { # FILE SECONDS
	local end=$((SECONDS + $2))
	while ((SECONDS < end)); do
		dd if=/dev/zero of="$1" bs=256K count=4 conv=notrunc,fsync status=none
		sleep 0.1
	done
}

# New writes to a file reach the disk with that class: those of 8 MiB, by whoever writes them out.
writes_have_class() { # FILE CLASS
	local before after
	before=$(bytes_of ".op == \"write\" and .kind == \"data\" and .class == $2 and (.patterns | index(\"hinted\"))")
	dd if=/dev/zero of="$1" bs=1M count=8 conv=notrunc status=none
	sync -f "$1" # not the task that wrote it
	after=$(bytes_of ".op == \"write\" and .kind == \"data\" and .class == $2 and (.patterns | index(\"hinted\"))")
	echo "$((after - before)) bytes of $1 have class $2"
	[ $((after - before)) -ge $((8 * MB)) ]
}

refused() {
	ctl status --json | jq -s '.[0].self.hints_refused'
}

@test "user.vstor.class of a file, or of the nearest directory that has it, is the class of its I/O" {
	filesystem_make ext4
	mkdir -p "$dir/mnt/a/b/c"
	class_set 2 "$dir/mnt/a"
	class_set 4 "$dir/mnt/a/b"
	truncate -s 8M "$dir/mnt/none" "$dir/mnt/a/two" "$dir/mnt/a/b/c/four" "$dir/mnt/a/b/own" "$dir/mnt/a/bad"
	class_set 5 "$dir/mnt/a/b/own"
	class_set 9 "$dir/mnt/a/bad"
	agent_start
	write_slowly "$dir/mnt/a/two" 4
	within 10 writes_have_class "$dir/mnt/a/two" 2
	write_slowly "$dir/mnt/a/b/c/four" 4
	within 10 writes_have_class "$dir/mnt/a/b/c/four" 4
	write_slowly "$dir/mnt/a/b/own" 4
	within 10 writes_have_class "$dir/mnt/a/b/own" 5
	[ "$(refused)" -eq 0 ]
	write_slowly "$dir/mnt/a/bad" 4
	[ "$(refused)" -eq 1 ]
	run writes_have_class "$dir/mnt/a/bad" 2
	[ "$status" -ne 0 ]
	run writes_have_class "$dir/mnt/none" 2
	[ "$status" -ne 0 ]
}
