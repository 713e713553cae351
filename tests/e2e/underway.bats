#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# I/O and waits that have begun and not ended: who waits for what, and since when.
bats_require_minimum_version 1.5.0
load lib
load locks

setup() {
	agent_setup
	locks_setup "$BUILD/tests/bpf/lock_load"
	inner='' frozen=''
}

teardown() {
	[ -z "$frozen" ] || fsfreeze -u "$dir/mnt" || true
	locks_teardown
	[ ! -d "$dir/inner" ] || ! mountpoint -q "$dir/inner" || umount "$dir/inner"
	[ -z "${bdi-}" ] || [ ! -e "$bdi" ] || { echo 0 >"$bdi/max_bytes" && echo 0 >"$bdi/strict_limit" && echo 100 >"$bdi/max_ratio"; }
	[ -z "$inner" ] || losetup -d "$inner" || true
	agent_teardown
}

# An ext4 with a file that is a disk: $loop, $inner, mounted at $dir/mnt.
disk_on_file() {
	filesystem_make ext4
	truncate -s 512M "$dir/mnt/image"
	inner=$(losetup -f --show "$dir/mnt/image")
}

freeze() {
	sync -f "$dir/mnt"
	fsfreeze -f "$dir/mnt"
	frozen=1
}

thaw() {
	fsfreeze -u "$dir/mnt"
	frozen=''
}

# Runs a command in a group that goes on: $going.
going_on() { # NAME COMMAND...
	(join_group "$1" && exec "${@:2}" >/dev/null 3>&-) &
	going=$!
	others+=("$going")
}

# The rows of a reply that are a container's.
rows() { # PATH FILTER
	get "$1?max_age=0" | jq -c "select(.type != \"snapshot\" and (.container // .waiter) == \"$a\") | select($2)"
}

# "TIME US": the snapshot's, and how long a container has waited for it until then.
waited() { # PATH FILTER
	get "$1?max_age=0" | jq -rs --arg a "$a" "(.[0].time) as \$t | [.[1:][] | select((.container // .waiter) == \$a) | select($2)
		| .wait_us // .wait.sum_us] | \"\(\$t) \(add // 0)\""
}

# Reads it again and again into a file until the process ends, and once more.
watch() { # PROCESS FILE PATH FILTER
	exec 3>&- # bats waits for everybody who has it
	while kill -0 "$1" 2>/dev/null; do
		waited "$3" "$4" >>"$2"
		sleep 0.3
	done
	sleep 0.2
	waited "$3" "$4" >>"$2"
}

# No interval has more waiting than the tasks could do, to 1 % and 5 ms; prints all of it.
charged_as_it_passed() { # FILE TASKS
	awk -v tasks="$2" 'NR > 1 { d = ($1 - t) * 1e6 * tasks; if ($2 - us > d * 1.01 + 5000 || $2 < us) {
			printf "between %s and %s: %d us, and %d passed\n", t, $1, $2 - us, d >"/dev/stderr"; bad = 1 } }
		{ t = $1; us = $2 } END { print us; exit bad }' "$1"
}

within_1_percent() { # US WANTED-US
	awk -v a="$1" -v b="$2" 'BEGIN { d = a > b ? a - b : b - a; exit !(d <= 0.01 * b) }' || {
		echo "$1 us, but it took $2" >&2
		return 1
	}
}

now_us() {
	echo $((${EPOCHREALTIME/./}))
}

@test "a disk that does not answer: its request is shown with its age, and charged as it passes" {
	disk_on_file
	agent_start
	freeze
	begin=$(now_us)
	going_on "$a" dd if=/dev/zero of="$inner" bs=64k count=1 oflag=direct status=none
	within 2 in_flight
	rows /v1/io '.in_flight' | jq -se --arg d "${inner#/dev/}" 'length == 1 and .[0].device == $d and .[0].op == "write"
		and .[0].ios == 0 and .[0].in_flight.ios == 1 and .[0].in_flight.sum_us == .[0].in_flight.oldest_us'
	resource=device:${inner#/dev/}
	within 2 rows_any /v1/blame ".resource == \"$resource\" and .waiting.tasks == 1 and .waiting.oldest_us > 1000000"
	within 3 grep -q "$a waits for disk ${inner#/dev/} since .*1 write request is in flight" "$dir/log"
	age=$(rows /v1/io '.in_flight' | jq .in_flight.oldest_us)
	[ "${age%.*}" -le $(($(now_us) - begin)) ]
	watch "$going" "$dir/seen" /v1/blame ".resource == \"$resource\"" &
	watcher=$!
	sleep 3
	thaw
	wait "$going"
	end=$(now_us)
	wait $watcher
	all=$(charged_as_it_passed "$dir/seen" 1)
	run ! in_flight
	took=$(rows /v1/io ".device == \"${inner#/dev/}\" and .op == \"write\" and .ios == 1" | jq .latency.sum_us)
	[ "${took%.*}" -gt 4000000 ] && [ "${took%.*}" -le $((end - begin)) ]
	within_1_percent "$all" "$took"
	grep -q "over after .*$a waits for disk" "$dir/log"
}

in_flight() {
	rows /v1/io '.in_flight.ios > 0' | grep -q .
}

rows_any() { # PATH FILTER
	rows "$@" | grep -q .
}

@test "a frozen file system: two tasks wait for it, named, each second counts for both" {
	filesystem_make ext4
	# makes a file, and says how many us that took
	cat >"$dir/make" <<-'END'
		#!/bin/bash
		begin=${EPOCHREALTIME/./}
		: >"$1"
		echo $((${EPOCHREALTIME/./} - begin)) >"$2"
	END
	chmod +x "$dir/make"
	agent_start
	freeze
	going_on "$a" "$dir/make" "$dir/mnt/one" "$dir/one"
	one=$going
	going_on "$a" "$dir/make" "$dir/mnt/two" "$dir/two"
	is_frozen=".resource == \"freeze:${loop#/dev/}\""
	within 2 rows_any /v1/waits "$is_frozen and .waiting.tasks == 2"
	rows /v1/waits "$is_frozen" | tee /dev/stderr | jq -se --arg o "file system on ${loop#/dev/}" 'length == 1 and .[0].object == $o and .[0].waits == 0'
	within 2 rows_any /v1/blame "$is_frozen and .waiting.tasks == 2"
	[ -z "$(rows /v1/locks '.waiting.tasks > 0')" ] # it is no lock
	watch "$going" "$dir/seen" /v1/waits "$is_frozen" &
	watcher=$!
	within 4 grep -q "$a: 2 tasks wait since .* because the file system on ${loop#/dev/} is frozen" "$dir/log"
	sleep 2
	thaw
	wait "$going"
	wait "$one"
	wait $watcher
	all=$(charged_as_it_passed "$dir/seen" 2)
	within_1_percent "$all" $(($(cat "$dir/one") + $(cat "$dir/two")))
	rows /v1/waits "$is_frozen" | jq -se 'length == 1 and .[0].waits == 2 and (.[0].waiting | not)'
	read -r _ blamed < <(waited /v1/blame "$is_frozen")
	within_1_percent "$blamed" "$all"
}

# An ext4 at $dir/inner on a disk that stops with freeze and goes on with thaw: $inner. Before the first commit of an empty
# journal the kernel writes its superblock, and tells of the commit when that is done: so here is that first one.
inner_filesystem() { # MKFS-OPTION...
	disk_on_file
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$@" "$inner"
	mkdir "$dir/inner"
	mount "$inner" "$dir/inner"
	mkdir "$dir/inner/first"
	sync "$dir/inner/first"
}

# Of what passes between two looks all is charged, to 1 % and 5 ms, for so many tasks.
all_is_charged() { # TASKS PATH FILTER
	local begin was end is
	read -r begin was < <(waited "$2" "$3")
	sleep 2
	read -r end is < <(waited "$2" "$3")
	awk -v d="$begin $end" -v us="$was $is" -v n="$1" 'BEGIN { split(d, t, " "); split(us, u, " ")
		want = (t[2] - t[1]) * 1e6 * n; got = u[2] - u[1]; off = want > got ? want - got : got - want
		if (off > want / 100 + 5000) { printf "%d us charged, %d passed\n", got, want >"/dev/stderr"; exit 1 } }'
}

@test "a journal on a disk that does not answer: two tasks wait for its commit, each second counts for both" {
	inner_filesystem
	cat >"$dir/sync" <<-'END'
		#!/bin/bash
		begin=${EPOCHREALTIME/./}
		sync "$1"
		echo $((${EPOCHREALTIME/./} - begin)) >"$2"
	END
	chmod +x "$dir/sync"
	agent_start
	until_true journal_is_watched
	mkdir "$dir/inner/one" "$dir/inner/two"
	freeze
	going_on "$a" "$dir/sync" "$dir/inner/one" "$dir/one"
	one=$going
	going_on "$a" "$dir/sync" "$dir/inner/two" "$dir/two"
	its=".resource == \"journal:${inner#/dev/}\""
	within 2 rows_any /v1/waits "$its and .waiting.tasks == 2 and .waits == 0"
	within 2 rows_any /v1/blame "$its and .waiting.tasks == 2 and .waiting.oldest_us > 1000000"
	ctl ps --json | jq -se --arg a "$a" --arg r "journal:${inner#/dev/}" 'any(.[]; .container == $a
		and any(.under_way[]?; .resource == $r and .waiting.tasks == 2))'
	watch "$going" "$dir/seen" /v1/waits "$its" &
	watcher=$!
	all_is_charged 2 /v1/blame "$its"
	within 4 grep -q "$a: 2 tasks wait since .* for the journal of the file system on ${inner#/dev/}" "$dir/log"
	thaw
	wait "$going"
	wait "$one"
	wait $watcher
	all=$(charged_as_it_passed "$dir/seen" 2)
	within_1_percent "$all" $(($(cat "$dir/one") + $(cat "$dir/two")))
	rows /v1/waits "$its" | jq -se 'length == 1 and .[0].waits == 2 and (.[0].waiting | not) and .[0].wait.max_us > 2e6'
	read -r _ blamed < <(waited /v1/blame "$its")
	within_1_percent "$blamed" "$all"
}

journal_is_watched() {
	ctl status --json | jq -e 'any(.probes[]; .name == "commit_begin" and .state == "attached")'
}

@test "a full journal on a disk that does not answer: who wants to change something waits, and blames who filled it" {
	inner_filesystem -J size=4
	mkdir "$dir/inner/a" "$dir/inner/b"
	agent_start
	until_true journal_is_watched
	going_on "$b" "$BUILD/tests/bpf/disk_load" meta "$dir/inner/b"
	filler=$going
	sleep 1
	freeze
	sleep 1
	going_on "$a" "$BUILD/tests/bpf/disk_load" touch "$dir/inner/a" 1
	its=".resource == \"journal:${inner#/dev/}\" and .waiting.tasks == 1"
	within 6 rows_any /v1/blame "$its and .holder == \"$b\" and .waiting.oldest_us > 1000000"
	all_is_charged 1 /v1/blame ".resource == \"journal:${inner#/dev/}\""
	thaw
	kill -TERM "$going" "$filler"
	wait "$going" "$filler"
	within 2 not_waiting /v1/blame ".resource == \"journal:${inner#/dev/}\""
}

not_waiting() { # PATH FILTER
	! rows_any "$1" "$2 and .waiting"
}

@test "dirty pages of a disk that does not answer: who has to pause waits, and it is charged as it passes" {
	inner_filesystem
	bdi=/sys/class/bdi/$(lsblk -dno MAJ:MIN "$inner" | tr -d ' ')
	[ -e "$bdi/max_bytes" ] || skip "this kernel has no limit of dirty bytes for one disk"
	echo 1 >"$bdi/strict_limit"
	echo $((4 << 20)) >"$bdi/max_bytes"
	agent_start
	freeze
	going_on "$a" dd if=/dev/zero of="$dir/inner/file" bs=1M count=16 status=none
	its=".resource == \"dirty:${inner#/dev/}\""
	within 5 rows_any /v1/waits "$its and .waiting.tasks == 1 and .waiting.oldest_us > 1000000"
	within 2 rows_any /v1/blame "$its and .waiting.tasks == 1"
	watch "$going" "$dir/seen" /v1/waits "$its" &
	watcher=$!
	all_is_charged 1 /v1/waits "$its"
	within 4 grep -q "$a: 1 task waits since .* for ${inner#/dev/} to write dirty pages" "$dir/log"
	thaw
	wait "$going"
	wait $watcher
	all=$(charged_as_it_passed "$dir/seen" 1)
	[ "${all%.*}" -gt 3000000 ]
	read -r _ blamed < <(waited /v1/blame "$its")
	within_1_percent "$blamed" "$all"
}

@test "a lock that is held for seconds: who waits, for which file, because of whom" {
	agent_start
	file=$dir/file
	going_on "$b" "$LOCK_LOAD" sleep "$file" 1 5000
	holder=$going
	until_true grep -q . "$tree/$b/cgroup.procs"
	sleep 0.5 # it asks for the byte that is long in coming
	going_on "$a" dd if=/dev/zero of="$file" bs=1 count=1 conv=notrunc status=none
	waits='(.lock // "" | endswith("i_rwsem")) and .waiting.tasks == 1'
	within 2 rows_any /v1/locks "$waits"
	within 2 rows_any /v1/blame "$waits and .holder == \"$b\" and .evidence == \"owner\""
	within 2 rows_any /v1/locks "$waits and (.object // \"\" | contains(\"/file (inode\"))"
	watch "$going" "$dir/seen" /v1/locks '.lock_type == "rwsem"' &
	watcher=$!
	wait "$going"
	wait "$holder"
	wait $watcher
	all=$(charged_as_it_passed "$dir/seen" 1)
	[ "${all%.*}" -gt 3000000 ]
	read -r _ blamed < <(waited /v1/blame '.lock_type == "rwsem"')
	within_1_percent "$blamed" "$all"
	# what was charged while it went on is what it took
	rows /v1/locks '.lock_type == "rwsem" and .wait.max_us > 3e6' | jq -se 'length == 1 and (.[0].wait.sum_us - .[0].wait.max_us | fabs) < 0.01 * .[0].wait.max_us'
}

@test "a mutex that is held for 10 seconds: who waits, and because of whom, while it is held" {
	agent_start
	mkfifo "$dir/fifo"
	going_on "$b" "$LOCK_LOAD" sleep "$dir/fifo" 1 10000
	holder=$going
	until_true grep -q . "$tree/$b/cgroup.procs"
	sleep 0.5 # it asks for the byte that is long in coming
	going_on "$a" dd if=/dev/zero of="$dir/fifo" bs=1 count=1 conv=notrunc status=none
	its='(.lock // "") == "pipe_inode_info.mutex"'
	within 2 rows_any /v1/locks "$its and .lock_type == \"mutex\" and .waiting.tasks == 1 and .waiting.oldest_us > 1000000"
	within 2 rows_any /v1/blame "$its and .waiting.tasks == 1 and .holder == \"$b\" and .evidence == \"owner\""
	watch "$going" "$dir/seen" /v1/locks "$its" &
	watcher=$!
	all_is_charged 1 /v1/blame "$its"
	within 4 grep -q "$a: 1 task waits since .* for lock pipe_inode_info.mutex" "$dir/log"
	wait "$going"
	wait "$holder"
	wait $watcher
	all=$(charged_as_it_passed "$dir/seen" 1)
	[ "${all%.*}" -gt 8500000 ] && [ "${all%.*}" -lt 10200000 ]
	rows /v1/locks "$its" | jq -se 'length == 1 and (.[0].wait.sum_us - .[0].wait.max_us | fabs) < 0.01 * .[0].wait.max_us'
	read -r _ blamed < <(waited /v1/blame "$its")
	within_1_percent "$blamed" "$all"
}
