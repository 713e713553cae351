# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the measurements share: a fast disk, load on it, the probes to compare and what the kernel says of their programs.

SIZE_MB=1024 # of the disk

complain() {
	echo "bench: $*" >&2
	exit 1
}

note() { # one line that overwrites itself, for whoever waits
	[ ! -t 2 ] || printf '\r\033[K%s' "$*" >&2
}

# --- setting up, cleaning up; all that runs beside the script is started by it and not in a subshell, so that it
# is known at the end ---

# shellcheck disable=SC2317 # called by trap
on_exit() {
	local pid
	set +e
	note ""
	# those that still run: another's process may have the number of one that has ended
	for pid in $(jobs -pr); do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	remove_cgroups
	remove_lock_places
	[ -z "${LOOP-}" ] || losetup -d "$LOOP"
	[ -z "${IMAGE-}" ] || rm -f "$IMAGE"
	[ -z "${TRACEFS-}" ] || umount "$TRACEFS"
	[ -z "${TMP-}" ] || rm -rf "$TMP"
}

# Builds the helpers that are missing or older than their source.
build_helpers() {
	local src out clang
	mkdir -p "$BUILD"
	for src in "$BENCH"/*.c; do
		out=$BUILD/$(basename "$src" .c)
		[ ! "$out" -nt "$src" ] || continue
		case $src in
		*.bpf.c)
			clang=$(command -v clang-19 clang-18 clang-17 clang-16 clang | head -1)
			"$clang" -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter \
				"-I/usr/include/$(uname -m)-linux-gnu" -c "$src" -o "$out" ;;
		*)
			"${CC:-cc}" -D_GNU_SOURCE -O2 -std=gnu11 -Wall -Wextra -Werror -o "$out" "$src" -lbpf ;;
		esac
	done
}

# A disk without hardware: a loop device over memory, without an I/O scheduler.
make_disk() {
	IMAGE=$(mktemp /dev/shm/vstor-bench-XXXXXX)
	fallocate -l "${SIZE_MB}M" "$IMAGE"
	LOOP=$(losetup --find --show "$IMAGE") || complain "no loop device is free"
	DISK=${LOOP#/dev/}
	echo none >"/sys/block/$DISK/queue/scheduler"
}

# bpftrace finds tracepoints by their files, which are not mounted everywhere.
mount_tracefs() {
	[ ! -d /sys/kernel/tracing/events ] || return 0
	mount -t tracefs tracefs /sys/kernel/tracing || complain "cannot mount tracefs, which bpftrace needs"
	TRACEFS=/sys/kernel/tracing
}

set_up() {
	local tool
	[ "$(id -u)" = 0 ] || complain "only root may load BPF programs: run it as root"
	for tool in fio losetup bpftool jq curl; do
		command -v "$tool" >/dev/null || complain "$tool is not installed: scripts/deps bench --install"
	done
	[ -x "$VSTORD" ] || complain "$VSTORD is not built: run make"
	TMP=$(mktemp -d /tmp/vstor-bench-XXXXXX)
	trap on_exit EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	mount_tracefs
	build_helpers
	make_disk
}

# --- load ---

# name (engine-JOBSxREQUESTS): fio's engine, requests in flight, jobs
declare -A WORKLOADS=(
	[psync-1x1]="psync 1 1"
	[psync-8x1]="psync 1 8"
	[libaio-1x16]="libaio 16 1"
	[io_uring-2x16]="io_uring 16 2"
)

set_load() { # WORKLOAD SECONDS: 4 KiB random reads; the command is left in LOAD
	local engine depth jobs
	read -r engine depth jobs <<<"${WORKLOADS[$1]}"
	LOAD=(fio --name=bench "--filename=$LOOP" --readonly --rw=randread --bs=4k --direct=1 "--ioengine=$engine"
		"--iodepth=$depth" "--numjobs=$jobs" --thread --time_based "--runtime=$2" --norandommap
		--gtod_reduce=1 --output=/dev/null)
}

stop_load() {
	kill "$LOAD_PID"
	wait "$LOAD_PID" 2>/dev/null || true
	LOAD_PID=""
}

# --- the probes that are compared ---

ONE_LINER='tracepoint:block:block_rq_issue { @start[args->dev, args->sector] = nsecs; }
tracepoint:block:block_rq_complete /@start[args->dev, args->sector]/ {
	@us = hist((nsecs - @start[args->dev, args->sector]) / 1000);
	delete(@start[args->dev, args->sector]);
}'

# Those of the named ones that are here.
present() { # PROBE...
	local probe
	for probe; do
		case $probe in
		biolatency | bpftrace)
			command -v "$probe" >/dev/null || { echo "bench: no $probe here: left out" >&2; continue; } ;;
		esac
		echo "$probe"
	done
}

run_probe() { # PROBE: becomes it
	case $1 in
	empty) exec "$BUILD/attach" "$BUILD/empty.bpf" ;;
	vstord) exec "$VSTORD" --socket "$TMP/vstor.sock" --budget 0 ;;
	biolatency) exec biolatency 1000000 1 ;;
	bpftrace) exec bpftrace -e "$ONE_LINER" ;;
	esac
}

ask() { # PATH: of the agent
	curl -sf --max-time 5 --unix-socket "$TMP/vstor.sock" "http://vstor$1"
}

# Nanoseconds and runs of its programs at a request's issue and completion, by the kernel: "NS RUNS NS RUNS".
probe_times() {
	local id
	sed -n 's/^prog_id:[[:space:]]*//p' "/proc/$PROBE_PID/fdinfo/"* 2>/dev/null | sort -un |
		while read -r id; do bpftool -j prog show id "$id" 2>/dev/null || true; done |
		jq -rs 'def of($n): [.[] | select((.name // "") | contains($n)) | .run_time_ns // 0, .run_cnt // 0];
			of("rq_issue") + of("rq_comple") | if length == 4 then @tsv else "0 0 0 0" end'
}

# Until both programs have run.
start_probe() { # PROBE
	local n issue complete
	run_probe "$1" >/dev/null 2>"$TMP/log" &
	PROBE_PID=$!
	for ((n = 0; n < 200; n++)); do
		"$BUILD/stats" dd "if=$LOOP" of=/dev/null bs=4k count=1 iflag=direct status=none
		read -r _ issue _ complete < <(probe_times)
		[ "$issue" -eq 0 ] || [ "$complete" -eq 0 ] || return 0
		kill -0 "$PROBE_PID" 2>/dev/null || break
		sleep 0.05
	done
	cat "$TMP/log" >&2
	complain "$1 does not start; above is what it said"
}

stop_probe() {
	kill "$PROBE_PID"
	wait "$PROBE_PID" 2>/dev/null || true
	PROBE_PID=""
}

# --- figures ---

# awk functions for the summaries: values are put in by name, median, min and max are asked for.
AWK_STATS='
function put(name, x,    i) {
	for (i = ++count[name]; i > 1 && value[name, i - 1] > x; i--)
		value[name, i] = value[name, i - 1]
	value[name, i] = x
}
function med(name,    n) {
	n = count[name]
	return n ? (value[name, int((n + 1) / 2)] + value[name, int((n + 2) / 2)]) / 2 : 0
}
function min(name) { return value[name, 1] + 0 }
function max(name) { return value[name, count[name]] + 0 }
function quarter(name) { return value[name, int((count[name] + 3) / 4)] + 0 }
# The rank below which, and from the end above which, the true median is in 2.5 of 100 cases.
function rank(name,    r) {
	r = int((count[name] - 1.96 * sqrt(count[name])) / 2)
	return r < 1 ? 1 : r
}
function med_low(name) { return value[name, rank(name)] + 0 }
function med_high(name) { return value[name, count[name] + 1 - rank(name)] + 0 }
function round1(x) { return sprintf("%.1f", x) }
function round2(x) { return sprintf("%.2f", x) }
'

# Rows of tab-separated values, the first one the names, as one JSON object a line.
to_json() { # TYPE
	jq -Rrcn --arg type "$1" '
		(input / "\t") as $keys | inputs / "\t" | [[$keys, map(tonumber? // .)] | transpose[] | {(.[0]): .[1]}] | add |
		{schema: 1, type: $type} + .'
}

verdict() { # WHAT VALUE BAR UNIT
	awk -v what="$1" -v v="$2" -v bar="$3" -v unit="$4" 'BEGIN {
		printf "%-58s %8.4g %s  (bar %s: %s)\n", what, v, unit, bar, v + 0 <= bar + 0 ? "met" : "MISSED"
	}'
}
