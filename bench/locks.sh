# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Which locks containers collide on when each creates, renames and removes files in a directory of its own, on each file
# system; what the probe of locks costs where two CPUs fight for one spinlock, and what it takes from loads that do nothing but wait.

LOCK_BPF=${LOCK_BPF:-$BENCH/../build/lock.bpf.o}

# shellcheck disable=SC2317 # called at exit
remove_lock_places() {
	local g
	! mountpoint -q "$TMP/mnt" || umount "$TMP/mnt"
	for g in $(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/vstor-bench-locks-*; do
		[ ! -d "$g" ] || { echo 1 >"$g/cgroup.kill"; sleep 0.2; rmdir "$g"; }
	done
}

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
				| [$n, $fs, .lock, .named_by, .waits, .wait_us] | @tsv'
		stop_probe
		umount "$TMP/mnt"
	done
}

start_agent_with_locks() {
	local n
	: >"$TMP/log"
	"$VSTORD" --socket "$TMP/vstor.sock" --budget 0 >/dev/null 2>>"$TMP/log" &
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

# --- what the probe costs: it is attached and detached in turns of a moment, while a load never stops ---

start_lock_load() { # COMMAND...
	"$LOCK_LOAD" --count "$TMP/done" "$@" >/dev/null &
	LOAD_PID=$!
	sleep 0.5
}

# Nanoseconds of begin and end together, by the kernel's statistics, while two processes in these cgroups fight for one spinlock:
# lines "PROBE QUARTILE MEDIAN", of windows in which they did.
measure_lock_cost() { # ROUNDS CGROUP CGROUP
	start_lock_load spin 2 1000000000 "$2" "$3"
	"$BUILD/windows" -s $(($1 * 10)) 30 "$BUILD/empty_lock.bpf" "$LOCK_BPF" |
		awk "$AWK_STATS"'$3 >= 500 { put($1, $2) } END { for (i = 0; i < 2; i++) print i, round1(quarter(i)), round1(med(i)) }'
	stop_load
}

print_lock_cost() { # ROUNDS
	local tree a b who
	tree=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	a=$tree/vstor-bench-locks-a b=$tree/vstor-bench-locks-b
	mkdir "$a" "$b"
	for who in "one container:$a" "two containers:$b"; do
		note "locks: cost, ${who%%:*}"
		measure_lock_cost "$1" "$a" "${who#*:}" >"$TMP/cost"
		awk -v who="${who%%:*}" '{ q[$1] = $2; m[$1] = $3 }
			END { printf "two CPUs and one spinlock, %s: begin + end %.0f ns (median %.0f), programs that do nothing %.0f (%.0f)\n", who, q[1], m[1], q[0], m[0] }' \
			"$TMP/cost"
		verdict "contended begin + end, ${who%%:*}, lower quartile" "$(awk '$1 == 1 { print $2 }' "$TMP/cost")" 300 ns
	done
	rmdir "$a" "$b"
}

# Percent of its speed that a load loses in a window with the probe, against the one beside it without: "MEDIAN LOW HIGH", the
# last two the bounds of the median in 95 of 100 cases.
measure_lock_loss() { # ROUNDS LOAD...
	start_lock_load "${@:2}"
	"$BUILD/windows" -c "$TMP/done" $(($1 * 60)) 60 - "$LOCK_BPF" | awk "$AWK_STATS"'
		{ speed[$1] = $4 }
		NR % 2 == 0 && speed[0] > 0 { put("loss", 100 * (1 - speed[1] / speed[0])) }
		END { print round2(med("loss")), round2(med_low("loss")), round2(med_high("loss")) }'
	stop_load
}

print_lock_loss() { # ROUNDS
	local loss low high load
	make_filesystem ext4
	mkdir -p "$TMP/mnt"
	mount "$LOOP" "$TMP/mnt"
	mkdir "$TMP/mnt/shared"
	truncate -s 16M "$TMP/mnt/file"
	for load in "churn $TMP/mnt/shared 8:8 processes make, rename and remove files in one directory" \
		"read $TMP/mnt/file 4:4 processes read on in one open file"; do
		note "locks: loss, ${load#*:}"
		# shellcheck disable=SC2086 # words
		measure_lock_loss "$1" ${load%%:*} 1000000000 >"$TMP/lost"
		read -r loss low high <"$TMP/lost"
		verdict "${load#*:}" "$loss" 2 %
		echo "  $(($1 * 60)) pairs of windows of 60 ms, the true median within $low and $high %"
	done
	umount "$TMP/mnt"
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
	[ -z "$JSON" ] || return 0
	print_lock_cost "$2"
	print_lock_loss "$2"
}
