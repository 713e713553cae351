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

# Starts a load in a group, and no other's memory; its process in $load, what it says in the end in $dir/NAME.
load_begin() { # NAME ARGUMENT...
	local memory
	memory=$(awk '$3 == "cgroup" && "," $4 "," ~ /,memory,/ { print $2; exit }' /proc/mounts)
	([ -z "$memory" ] || echo "$BASHPID" >"$memory/cgroup.procs"
		echo "$BASHPID" >"$tree/$1/cgroup.procs" && exec "$DISK_LOAD" "${@:2}" >"$dir/$1" 3>&-) &
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

# How many us a container waited for a resource until now: in all, and for each of these holders.
waited() { # WAITER RESOURCE HOLDER...
	ctl blame --total --json | jq -rs --arg waiter "$1" --arg resource "$2" '
		map(select(.waiter == $waiter and .resource == $resource)) as $rows | [null, $ARGS.positional[]]
		| map(. as $h | [$rows[] | select($h == null or .holder == $h) | .wait_us] | add // 0 | floor) | join(" ")' --args "${@:3}"
}

has_waited() { # US WAITER RESOURCE
	[ "$(waited "$2" "$3")" -ge "$1" ]
}

has_waited_for() { # HOLDER WAITER RESOURCE
	local part
	read -r _ part < <(waited "$2" "$3" "$1")
	[ "$part" -gt 0 ]
}

# The last digits of each are cut off.
nearly_all() { # PART ALL
	[ $(($1 * 100)) -ge $(($2 * 95)) ] && [ "$1" -le $(($2 + 2)) ]
}

@test "a disk's queue: who fills it is blamed by who waits, for nearly all of it" {
	loop_make 256
	small_queue
	agent_start
	load_begin "$a" read "$loop" 1 4
	one=$load
	until_true in_table "$a"
	read -r before before_b < <(waited "$a" "device:${loop#/dev/}" "$b") # for whoever looks at a new disk
	load_begin "$b" read "$loop" 32 4
	until_true has_waited $((before + 100000)) "$a" "device:${loop#/dev/}"
	load_end "$one" "$load"
	read -r all by_b < <(waited "$a" "device:${loop#/dev/}" "$b")
	all=$((all - before)) by_b=$((by_b - before_b))
	echo "$a waited $all us, $by_b of it for $b"
	nearly_all $by_b $all
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
	read -r all by_b by_c < <(waited "$a" "device:${loop#/dev/}" "$b" "$c")
	ios_b=$(<"$dir/$b") ios_c=$(<"$dir/$c")
	part=$((ios_b * 1000 / (ios_b + ios_c)))
	said=$((by_b * 1000 / (by_b + by_c)))
	echo "$a waited $all us: $by_b for $b, $by_c for $c; of what was served meanwhile $part per mille was of $b"
	[ $((said - part)) -le 100 ] && [ $((part - said)) -le 100 ]
	nearly_all $((by_b + by_c)) "$all"
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
	read -r before before_b < <(waited "$a" "journal:${loop#/dev/}" "$b")
	[ "$before_b" = 0 ]
	load_begin "$b" meta "$dir/mnt/b"
	until_true has_waited_for "$b" "$a" "journal:${loop#/dev/}" # until it works, who waits waits for itself
	read -r before before_b < <(waited "$a" "journal:${loop#/dev/}" "$b")
	until_true has_waited $((before + 100000)) "$a" "journal:${loop#/dev/}"
	load_end "$one" "$load"
	read -r all by_b < <(waited "$a" "journal:${loop#/dev/}" "$b")
	all=$((all - before)) by_b=$((by_b - before_b))
	echo "$a waited $all us, $by_b of it for $b"
	nearly_all "$by_b" $all
	umount "$dir/mnt"
}

@test "a journal that is full: who fills it is blamed by who wants to begin a change" {
	loop_make 1024
	mkfs.ext4 -q -J size=4 "$loop"
	mkdir -p "$dir/mnt"
	mount "$loop" "$dir/mnt"
	mkdir "$dir/mnt/a" "$dir/mnt/b"
	agent_start
	load_begin "$a" touch "$dir/mnt/a" 1
	one=$load
	load_begin "$b" meta "$dir/mnt/b"
	until_true has_waited 20000 "$a" "journal:${loop#/dev/}"
	load_end "$one" "$load"
	read -r all by_b < <(waited "$a" "journal:${loop#/dev/}" "$b")
	echo "$a waited $all us, $by_b of it for $b"
	[ $((by_b * 100)) -ge $((all * 90)) ] && [ "$by_b" -le $((all + 2)) ] # its own changes fill it, too
	umount "$dir/mnt"
}

@test "the probes of journals are there while an ext4 is mounted" {
	agent_start
	until_true probe_is commit_begin
	ctl status --json | jq -e '.probes | map(select(.group == "journal")) | length == 9 and
		(map(select(.why | startswith("this kernel has another") | not) | .state) | unique | length) == 1' >/dev/null
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
	until_true has_waited_for "$b" "$a" "dirty:${loop#/dev/}" # before, nobody's data has reached the disk
	read -r before before_a before_b < <(waited "$a" "dirty:${loop#/dev/}" "$a" "$b")
	until_true has_waited $((before + 300000)) "$a" "dirty:${loop#/dev/}"
	load_end "$one" "$load"
	read -r all by_a by_b < <(waited "$a" "dirty:${loop#/dev/}" "$a" "$b")
	all=$((all - before)) by_a=$((by_a - before_a)) by_b=$((by_b - before_b))
	echo "$a paused for $all us: $by_a by what it wrote itself, $by_b by what $b wrote"
	[ "$by_b" -gt 0 ]
	nearly_all $((by_a + by_b)) $all
	umount "$dir/mnt"
}
