# SPDX-License-Identifier: GPL-2.0-only
# Two containers that wait for each other, for tests with a real agent; after lib.bash. shellcheck shell=bash

# $a, $b and $c: cgroups, and what the agent calls them: systemd's units are called by their name.
locks_setup() { # LOCK_LOAD
	LOCK_LOAD=$1
	[ -x "$LOCK_LOAD" ] || { echo "no $LOCK_LOAD: run make tests first"; return 1; }
	tree=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$tree" ] && [ -w "$tree" ] || skip "no cgroup 2 file system that can be written to"
	a=locks-a-$$-$BATS_TEST_NUMBER.service
	b=locks-b-$$-$BATS_TEST_NUMBER.service
	c=locks-c-$$-$BATS_TEST_NUMBER.service
	mkdir "$tree/$a" "$tree/$b" "$tree/$c"
}

locks_teardown() {
	local g
	for g in "${a-}" "${b-}" "${c-}"; do
		[ -n "$g" ] && [ -d "$tree/$g" ] || continue
		echo 1 >"$tree/$g/cgroup.kill"
		until_true rmdir "$tree/$g"
	done
}

# The shell that calls it goes into a group. Where memory and blkio are of version 1, it leaves what it is in there: a
# container's cgroup counts more than a service's, whatever hierarchy that is in (bpf/task.bpf.h).
join_group() { # NAME
	local root
	for root in $(v1_roots); do
		echo "$BASHPID" >"$root/cgroup.procs" || return
	done
	echo "$BASHPID" >"$tree/$1/cgroup.procs"
}

v1_roots() {
	awk '$3 == "cgroup" && $4 ~ /(^|,)(memory|blkio)(,|$)/ { print $2 }' /proc/mounts
}

in_group() { # NAME COMMAND...
	(join_group "$1" && exec "${@:2}" 3>&-)
}

in_both() { # COMMAND...
	local one two
	in_group "$a" "$@" &
	one=$!
	in_group "$b" "$@" &
	two=$!
	wait $one && wait $two
}

# Somebody in a group who waits for FILE's lock, over and over, until wait_end.
wait_begin() { # NAME FILE
	(join_group "$1" && exec "$LOCK_LOAD" wait "$2" >/dev/null 3>&-) &
	waiter=$!
	others+=("$waiter")
	until_true grep -q . "$tree/$1/cgroup.procs"
}

wait_end() {
	kill -TERM "$waiter"
	wait "$waiter"
}

# The part of the wait of a container for a lock that is blamed on another: "ALL-US PART".
blamed_on() { # WAITER HOLDER LOCK
	ctl blame --total --json >"$dir/blame"
	jq -sr --arg w "$1" --arg h "$2" --arg lock "lock:$3" 'map(select(.waiter == $w and .resource == $lock))
		| (map(.wait_us) | add // 0) as $all | (map(select(.holder == $h) | .wait_us) | add // 0) as $part
		| "\($all) \(if $all > 0 then $part / $all else 0 end)"' "$dir/blame"
}

# Is this part within so many points of that?
within_points() { # POINTS PART PART
	awk -v p="$1" -v a="$2" -v b="$3" 'BEGIN { d = a > b ? a - b : b - a; exit !(d * 100 <= p) }' || {
		echo "$2 is not within $1 points of $3" >&2
		cat "$dir/blame" >&2
		return 1
	}
}

filesystem_make() { # FS
	command -v "mkfs.$1" >/dev/null || skip "not installed: mkfs.$1"
	loop_make 1024
	"mkfs.$1" -q "$loop" >/dev/null 2>&1
	mkdir -p "$dir/mnt"
	mount "$loop" "$dir/mnt"
}

filesystem_gone() {
	umount "$dir/mnt"
	losetup -d "$loop"
	rm -f "$image"
	loop='' image=''
}

# Runs commands of LOCK_LOAD in $a under perf's own look at the same tracepoints, and prints for each lock
# "LOCK TYPE PERF-WAITS PERF-US WAITS US". The agent is attached first, else what perf takes after its clock to record the begin is
# in its waits and not in ours. In a mount namespace of its own: perf wants the trace file system mounted.
compare_with_perf() { # COMMANDS
	cat >"$dir/under-perf" <<-END
		curl -sS --unix-socket "$sock" "http://vstor/v1/locks?max_age=0&names=1" >"$dir/before"
		$(for root in $(v1_roots); do echo "echo \$\$ >$root/cgroup.procs"; done)
		echo \$\$ >"$tree/$a/cgroup.procs"
		$1
		echo \$\$ >"$tree/cgroup.procs"
		curl -sS --unix-socket "$sock" "http://vstor/v1/locks?max_age=0&names=1" >"$dir/after"
	END
	unshare --mount --propagation private sh -c '[ -e /sys/kernel/tracing/events ] || mount -t tracefs none /sys/kernel/tracing; exec "$@"' perf \
		perf lock record -a -m 8192 -o "$dir/perf.data" -- sh -e "$dir/under-perf" >"$dir/perf" 2>&1 </dev/null 3>&- || {
		cat "$dir/perf" >&2
		return 1
	}
	perf script -i "$dir/perf.data" --ns -F comm,tid,cpu,time,event,trace,ip,sym 2>/dev/null |
		python3 "$BATS_TEST_DIRNAME/locks_perf.py" "$a" lock_load "$BATS_TEST_DIRNAME/../../agent/waits/lock_tables.h" "$dir/before" "$dir/after"
}
