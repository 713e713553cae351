# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Which locks containers collide on when each creates, renames and removes files in a directory of its own, on each file
# system; and what the probe of locks costs where two CPUs fight for one spinlock.

LOCK_FILES=65536

build_lock_load() {
	LOCK_LOAD=$BUILD/lock_load
	[ "$LOCK_LOAD" -nt "$BENCH/../tests/bpf/lock_load.c" ] ||
		"${CC:-cc}" -D_GNU_SOURCE -O2 -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter -pthread -o "$LOCK_LOAD" \
			"$BENCH/../tests/bpf/lock_load.c"
}

# N containers at work at once, each in a cgroup and a directory of its own. The files are divided among them.
churn_in_containers() { # N DIRECTORY
	local tree i pids=()
	tree=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$tree" ] || complain "no cgroup version 2 is mounted"
	for ((i = 0; i < $1; i++)); do
		mkdir -p "$2/$i" "$tree/vstor-bench-locks-$i"
		(echo "$BASHPID" >"$tree/vstor-bench-locks-$i/cgroup.procs" &&
			exec "$LOCK_LOAD" churn "$2/$i" 1 $((LOCK_FILES / $1)) >/dev/null) &
		pids+=($!)
	done
	wait "${pids[@]}"
	for ((i = 0; i < $1; i++)); do rmdir "$tree/vstor-bench-locks-$i"; done
}

# The device may be busy for a moment after it was unmounted.
make_filesystem() { # FS
	local n force=-f
	[ "$1" != ext4 ] || force=-F
	for ((n = 0; n < 50; n++)); do
		! "mkfs.$1" -q $force "$LOOP" >"$TMP/mkfs" 2>&1 || return 0
		sleep 0.1
	done
	complain "mkfs.$1 $LOOP: $(cat "$TMP/mkfs")"
}

# Lines "CONTAINERS FS LOCK NAMED-BY WAITS US", of those containers.
measure_locks() { # CONTAINERS
	local fs
	for fs in ext4 xfs btrfs; do
		command -v "mkfs.$fs" >/dev/null || { echo "bench: no mkfs.$fs here: left out" >&2; continue; }
		note "locks: $1 containers on $fs"
		make_filesystem "$fs"
		mkdir -p "$TMP/mnt"
		mount "$LOOP" "$TMP/mnt"
		start_agent_with_locks
		churn_in_containers "$1" "$TMP/mnt"
		"$VSTORCTL" --socket "$TMP/vstor.sock" locks --total --json |
			jq -r --arg n "$1" --arg fs "$fs" '[$n, $fs, .lock, .named_by, .waits, .wait_us.total] | @tsv'
		stop_probe
		umount "$TMP/mnt"
	done
}

start_agent_with_locks() {
	local n
	: >"$TMP/log"
	"$VSTORD" --socket "$TMP/vstor.sock" >/dev/null 2>>"$TMP/log" &
	PROBE_PID=$!
	for ((n = 0; n < 400; n++)); do
		! grep -q "^vstord: ready" "$TMP/log" || return 0
		kill -0 "$PROBE_PID" 2>/dev/null || break
		sleep 0.05
	done
	cat "$TMP/log" >&2
	complain "vstord does not start; above is what it said"
}

# A line for each lock with 20 waits or more on some file system: waits and milliseconds on each.
print_locks() {
	awk -F'\t' '
	{
		n = $1
		waits[$3, $2] += $5
		us[$3, $2] += $6
		total[$3] += $5
		all += $6
		if ($4 != "none") named += $6
		if ($4 == "field" || $4 == "symbol" || $3 !~ /\(\)$/) known += $6
	}
	END {
		printf "%-46s %21s %21s %21s\n", n " containers: waits, and their milliseconds", "ext4", "xfs", "btrfs"
		for (l in total) if (total[l] >= 20) {
			printf "%-46s", l | "sort -k2 -n -r"
			split("ext4 xfs btrfs", fs, " ")
			for (i = 1; i <= 3; i++) printf " %9d %9.1f ms", waits[l, fs[i]], us[l, fs[i]] / 1e3 | "sort -k2 -n -r"
			printf "\n" | "sort -k2 -n -r"
		}
		close("sort -k2 -n -r")
		if (all) printf "of the wait, %.2f %% has a name, %.2f %% that of a lock (not only that of a function)\n", 100 * named / all, 100 * known / all
	}' "$1"
}

# Nanoseconds of begin and end together, by the kernel's statistics. The two threads may happen to share a CPU: then they
# hardly wait, and it is tried again.
measure_lock_cost() {
	local n before after runs=0
	start_agent_with_locks
	for ((n = 0; n < 20 && runs < 100000; n++)); do
		before=$(lock_times)
		"$BUILD/stats" "$LOCK_LOAD" spin 2 1000000 >/dev/null
		after=$(lock_times)
		runs=$(awk '{ print $6 - $2 }' <<<"$before $after")
	done
	stop_probe
	[ "$runs" -ge 100000 ] || complain "two threads did not fight for a spinlock: is there only one CPU?"
	awk '{ printf "%.0f\n", ($5 - $1) / ($6 - $2) + ($7 - $3) / ($8 - $4) }' <<<"$before $after"
}

lock_times() { # "NS RUNS NS RUNS"
	local id
	sed -n 's/^prog_id:[[:space:]]*//p' "/proc/$PROBE_PID/fdinfo/"* 2>/dev/null | sort -un |
		while read -r id; do bpftool -j prog show id "$id" 2>/dev/null || true; done |
		jq -rs '[.[] | select(.name == "vst_lock_begin" or .name == "vst_lock_end")] | sort_by(.name)
			| map(.run_time_ns // 0, .run_cnt // 0) | @tsv'
}

bench_locks() {
	local n
	build_lock_load
	for n in 2 16; do
		measure_locks $n >"$TMP/locks.$n"
		note ""
		if [ -n "$JSON" ]; then
			{ printf 'containers\tfs\tlock\tnamed_by\twaits\twait_us\n'; cat "$TMP/locks.$n"; } | to_json locks
		else
			print_locks "$TMP/locks.$n"
			echo
		fi
	done
	[ -n "$JSON" ] || verdict "contended begin + end, two CPUs and one spinlock" "$(measure_lock_cost)" 300 ns
}
