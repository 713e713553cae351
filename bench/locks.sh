# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Which locks containers collide on when each creates, renames and removes files in a directory of its own, on each file
# system; what the probe of locks costs where two CPUs fight for one spinlock, and what it takes from loads that do nothing but wait.

build_lock_load() {
	LOCK_LOAD=$BUILD/lock_load
	[ "$LOCK_LOAD" -nt "$BENCH/../tests/bpf/lock_load.c" ] ||
		"${CC:-cc}" -D_GNU_SOURCE -O2 -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter -pthread -o "$LOCK_LOAD" \
			"$BENCH/../tests/bpf/lock_load.c"
}

# N containers at work at once, each in a cgroup and a directory of its own.
churn_in_containers() { # N DIRECTORY FILES
	local tree i pids=()
	tree=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$tree" ] || complain "no cgroup version 2 is mounted"
	for ((i = 0; i < $1; i++)); do
		mkdir -p "$2/$i" "$tree/vstor-bench-locks-$i"
		(echo "$BASHPID" >"$tree/vstor-bench-locks-$i/cgroup.procs" &&
			exec "$LOCK_LOAD" churn "$2/$i" 1 "$3" >/dev/null) &
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
measure_locks() { # CONTAINERS FILES
	local fs
	for fs in ext4 xfs btrfs; do
		command -v "mkfs.$fs" >/dev/null || { echo "bench: no mkfs.$fs here: left out" >&2; continue; }
		note "locks: $1 containers on $fs"
		make_filesystem "$fs"
		mkdir -p "$TMP/mnt"
		mount "$LOOP" "$TMP/mnt"
		start_agent_with_locks
		churn_in_containers "$1" "$TMP/mnt" "$2"
		"$VSTORCTL" --socket "$TMP/vstor.sock" locks --total --json |
			jq -r --arg n "$1" --arg fs "$fs" 'select(.cgroup | test("/vstor-bench-locks-"))
				| [$n, $fs, .lock, .named_by, .waits, .wait_us.total] | @tsv'
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

# A line for each lock with 100 waits or more on all file systems: waits and milliseconds on each. First those that
# containers on many cores were found to collide on (MultiLanes, FAST 2014), whatever their numbers.
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
		n_hot = split("inode_hash_lock super_block.s_dentry_lru super_block.s_inode_list_lock rename_lock", hot, " ")
		for (i = 1; i <= n_hot; i++) rank[hot[i]] = 1e12 - i
		for (i in rank) total[i] += 0
		split("ext4 xfs btrfs", fs, " ")
		printf "%-46s %21s %21s %21s\n", n " containers: waits, and their milliseconds", "ext4", "xfs", "btrfs"
		sort = "sort -n -r | cut -f 2-"
		for (l in total) if (total[l] >= 100 || l in rank) {
			printf "%.0f\t%-46s", l in rank ? rank[l] : us[l, "ext4"] + us[l, "xfs"] + us[l, "btrfs"], l | sort
			for (i = 1; i <= 3; i++) printf " %9d %9.1f ms", waits[l, fs[i]], us[l, fs[i]] / 1e3 | sort
			printf "\n" | sort
		}
		close(sort)
		if (all) printf "of the wait, %.2f %% has a name, %.2f %% that of a lock (not only that of a function)\n", 100 * named / all, 100 * known / all
	}' "$1"
}

# Nanoseconds of begin and end together, by the kernel's statistics, of two processes in these cgroups. They may happen to share a
# CPU: then they hardly wait, and it is tried again.
measure_lock_cost() { # [CGROUP]...
	local n before after runs=0
	start_agent_with_locks
	for ((n = 0; n < 20 && runs < 100000; n++)); do
		before=$(lock_times)
		"$BUILD/stats" "$LOCK_LOAD" spin 2 1000000 "$@" >/dev/null
		after=$(lock_times)
		runs=$(awk '{ print $6 - $2 }' <<<"$before $after")
	done
	stop_probe
	[ "$runs" -ge 100000 ] || complain "two processes did not fight for a spinlock: is there only one CPU?"
	awk '{ printf "%.0f\n", ($5 - $1) / ($6 - $2) + ($7 - $3) / ($8 - $4) }' <<<"$before $after"
}

# Microseconds that a fixed amount of work takes.
work_us() { # LOAD...
	local from=${EPOCHREALTIME/[.,]/}
	"$LOCK_LOAD" "$@" >/dev/null
	echo $((${EPOCHREALTIME/[.,]/} - from))
}

# Percent that a load takes longer with an agent than just before and just after: the median of the rounds.
measure_lock_loss() { # ROUNDS LOAD...
	local round before with after
	work_us "${@:2}" >/dev/null
	before=$(work_us "${@:2}")
	for ((round = 1; round <= $1; round++)); do
		note "locks: round $round of $1, $2"
		start_agent_with_locks
		with=$(work_us "${@:2}")
		stop_probe
		sleep 0.3 # the kernel takes programs and maps down after the last user has gone
		after=$(work_us "${@:2}")
		echo "$before $with $after"
		before=$after
	done | awk "$AWK_STATS"'{ put("loss", 100 * (2 * $2 / ($1 + $3) - 1)) } END { print round2(med("loss")) }'
}

lock_times() { # "NS RUNS NS RUNS"
	local id
	sed -n 's/^prog_id:[[:space:]]*//p' "/proc/$PROBE_PID/fdinfo/"* 2>/dev/null | sort -un |
		while read -r id; do bpftool -j prog show id "$id" 2>/dev/null || true; done |
		jq -rs '[.[] | select(.name == "vst_lock_begin" or .name == "vst_lock_end")] | sort_by(.name)
			| map(.run_time_ns // 0, .run_cnt // 0) | @tsv'
}

print_lock_cost() { # ROUNDS
	local tree
	verdict "contended begin + end, two CPUs and one spinlock" "$(measure_lock_cost)" 300 ns
	tree=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	mkdir "$tree/vstor-bench-locks-a" "$tree/vstor-bench-locks-b"
	verdict "... of two containers" "$(measure_lock_cost "$tree/vstor-bench-locks-a" "$tree/vstor-bench-locks-b")" 300 ns
	rmdir "$tree/vstor-bench-locks-a" "$tree/vstor-bench-locks-b"
	make_filesystem ext4
	mkdir -p "$TMP/mnt"
	mount "$LOOP" "$TMP/mnt"
	mkdir "$TMP/mnt/shared"
	verdict "8 processes make, rename and remove files in one directory" \
		"$(measure_lock_loss "$1" churn "$TMP/mnt/shared" 8 2500)" 2 %
	umount "$TMP/mnt"
	verdict "4 processes write to one pipe" "$(measure_lock_loss "$1" pipe 4 100000)" 2 %
}

bench_locks() { # FILES ROUNDS
	local n
	build_lock_load
	for n in 2 16; do
		measure_locks $n "$1" >"$TMP/locks.$n"
		note ""
		if [ -n "$JSON" ]; then
			{ printf 'containers\tfs\tlock\tnamed_by\twaits\twait_us\n'; cat "$TMP/locks.$n"; } | to_json locks
		else
			print_locks "$TMP/locks.$n"
			echo
		fi
	done
	[ -n "$JSON" ] || print_lock_cost "$2"
}
