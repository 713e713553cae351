#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Who waits for whom at what is no lock: containers that really do.
bats_require_minimum_version 1.5.0
load lib
load locks

setup() {
	agent_setup
	DISK_LOAD=$BUILD/tests/bpf/disk_load
	locks_setup "$DISK_LOAD"
}

teardown() {
	# settings of a loop device stay when its file is gone
	if [ -n "${loop-}" ]; then
		echo none >"/sys/block/${loop#/dev/}/queue/scheduler"
		[ ! -e "${bdi-}/max_bytes" ] || { echo 0 >"$bdi/strict_limit" && echo 100 >"$bdi/max_ratio"; }
	fi
	locks_teardown
	agent_teardown
}

# Starts a load in a group; its process in $load, what it says in the end in $dir/NAME.
load_begin() { # NAME ARGUMENT...
	(echo "$BASHPID" >"$tree/$1/cgroup.procs" && exec "$DISK_LOAD" "${@:2}" >"$dir/$1" 3>&-) &
	load=$!
	others+=("$load")
}

load_end() { # PROCESS...
	kill -TERM "$@"
	wait "$@"
}

# Few requests at a time: the rest waits in the queue before it.
small_queue() {
	echo mq-deadline >"/sys/block/${loop#/dev/}/queue/scheduler"
	echo 4 >"/sys/block/${loop#/dev/}/queue/nr_requests"
}

# Of the time that a container waited for a resource until now, in us: all, or what a holder has to answer for.
waited() { # WAITER RESOURCE [HOLDER]
	ctl blame --total --json | jq -s --arg waiter "$1" --arg resource "$2" --arg holder "${3-}" '
		map(select(.waiter == $waiter and .resource == $resource and ($holder == "" or .holder == $holder)) | .wait_us)
		| add // 0 | floor'
}

has_waited() { # US WAITER RESOURCE
	[ "$(waited "$2" "$3")" -ge "$1" ]
}

@test "a disk's queue: who fills it is blamed by who waits, for nearly all of it" {
	loop_make 256
	small_queue
	agent_start
	load_begin "$a" read "$loop" 1 4
	one=$load
	until_true in_table "$a"
	before=$(waited "$a" "device:${loop#/dev/}") # for whoever looks at a new disk
	load_begin "$b" read "$loop" 32 4
	until_true has_waited $((before + 100000)) "$a" "device:${loop#/dev/}"
	load_end "$one" "$load"
	all=$(($(waited "$a" "device:${loop#/dev/}") - before))
	by_b=$(waited "$a" "device:${loop#/dev/}" "$b")
	echo "$a waited $all us, $by_b of it for $b"
	[ $((by_b * 100)) -ge $((all * 95)) ]
	ctl blame --total --json | jq -se --arg b "$b" 'all(.[]; .schema == 1 and .waits > 0 and .wait_us > 0
		and (.resource | startswith("device:") | not) or .evidence == "share")'
	ctl blame --total | grep -q "device:${loop#/dev/} .*share"
}

in_table() { # CONTAINER
	ctl io --total --json | jq -se --arg c "$1" 'any(.[]; .container == $c and .ios > 1000)'
}

@test "of two who fill a disk's queue each is blamed for its part" {
	loop_make 256
	small_queue
	agent_start
	load_begin "$a" read "$loop" 1 4
	one=$load
	load_begin "$b" read "$loop" 24 4
	two=$load
	load_begin "$c" read "$loop" 12 4
	until_true has_waited 200000 "$a" "device:${loop#/dev/}"
	load_end "$two" "$load" "$one"
	all=$(waited "$a" "device:${loop#/dev/}")
	by_b=$(waited "$a" "device:${loop#/dev/}" "$b")
	by_c=$(waited "$a" "device:${loop#/dev/}" "$c")
	ios_b=$(<"$dir/$b") ios_c=$(<"$dir/$c")
	part=$((ios_b * 1000 / (ios_b + ios_c)))
	said=$((by_b * 1000 / (by_b + by_c)))
	echo "$a waited $all us: $by_b for $b, $by_c for $c; of what was served meanwhile $part per mille was of $b"
	[ $((said - part)) -le 100 ] && [ $((part - said)) -le 100 ]
	[ $(((by_b + by_c) * 100)) -ge $((all * 95)) ]
}

@test "a journal: who fills it is blamed by who calls fsync" {
	loop_make 1024
	mkfs.ext4 -q "$loop"
	mkdir -p "$dir/mnt"
	mount "$loop" "$dir/mnt"
	mkdir "$dir/mnt/a" "$dir/mnt/b"
	agent_start
	load_begin "$a" fsync "$dir/mnt/a" 100
	one=$load
	until_true has_waited 1 "$a" "journal:${loop#/dev/}"
	# alone it can only wait for itself
	[ "$(waited "$a" "journal:${loop#/dev/}" "$b")" = 0 ]
	before=$(waited "$a" "journal:${loop#/dev/}")
	load_begin "$b" meta "$dir/mnt/b"
	until_true has_waited $((before + 100000)) "$a" "journal:${loop#/dev/}"
	load_end "$one" "$load"
	all=$(($(waited "$a" "journal:${loop#/dev/}") - before))
	by_b=$(waited "$a" "journal:${loop#/dev/}" "$b")
	echo "$a waited $all us, $by_b of it for $b"
	[ $((by_b * 100)) -ge $((all * 95)) ]
	# who never calls fsync does not wait
	[ "$(waited "$b" "journal:${loop#/dev/}")" = 0 ]
	umount "$dir/mnt"
}

@test "the probes of journals are there while an ext4 is mounted" {
	agent_start
	until_true probe_is commit_begin
	ctl status --json | jq -e '.probes | map(select(.tracepoint | test("^(jbd2|ext4)_"))) | length == 5 and
		(map(.state) | unique | length) == 1' >/dev/null
}

probe_is() { # PROBE: attached if an ext4 is mounted, else off
	local wanted=off
	! grep -q ' - ext4 ' /proc/self/mountinfo || wanted=attached
	ctl status --json | jq -e --arg p "$1" --arg s "$wanted" '.probes | any(.[]; .name == $p and .state == $s)'
}

@test "the limit of dirty pages: who has to pause blames who fills memory" {
	loop_make 1024
	mkfs.ext4 -q "$loop"
	mkdir -p "$dir/mnt"
	mount "$loop" "$dir/mnt"
	# a limit of its own for this disk, since Linux 6.2
	bdi=/sys/class/bdi/$(lsblk -dno MAJ:MIN "$loop" | tr -d ' ')
	[ -e "$bdi/max_bytes" ] || skip "this kernel has no limit of dirty bytes for one disk"
	echo 1 >"$bdi/strict_limit"
	echo $((8 << 20)) >"$bdi/max_bytes"
	agent_start
	load_begin "$a" dirty "$dir/mnt/a" 300
	one=$load
	load_begin "$b" dirty "$dir/mnt/b" 300
	until_true has_waited 300000 "$a" "dirty:${loop#/dev/}"
	load_end "$one" "$load"
	all=$(waited "$a" "dirty:${loop#/dev/}")
	by_a=$(waited "$a" "dirty:${loop#/dev/}" "$a")
	by_b=$(waited "$a" "dirty:${loop#/dev/}" "$b")
	echo "$a paused for $all us: $by_a by what it wrote itself, $by_b by what $b wrote"
	[ "$by_b" -gt 0 ] && [ $(((by_a + by_b) * 100)) -ge $((all * 95)) ]
	umount "$dir/mnt"
}
