# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the agent itself needs while many containers do I/O: processor, memory, time of a tick, time to the first sample;
# and whether each container's row is right.

# The hierarchy whose cgroups own I/O on this host: version 1 blkio, or version 2.
find_hierarchy() {
	HIERARCHY=$(awk '$3 == "cgroup" && ("," $4 ",") ~ /,blkio,/ { print $2; exit }' /proc/mounts)
	[ -n "$HIERARCHY" ] || HIERARCHY=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$HIERARCHY" ] || complain "no cgroup hierarchy is mounted"
	SLICE=$HIERARCHY/vstorbench$$.slice
}

make_cgroups() { # COUNT; named as docker names them
	local i
	mkdir "$SLICE"
	CGROUPS=()
	for ((i = 0; i < $1; i++)); do
		CGROUPS+=("$(printf '%s/docker-%064x.scope' "$SLICE" $((i + 1)))")
	done
	mkdir "${CGROUPS[@]}"
}

# shellcheck disable=SC2317 # called by trap
remove_cgroups() {
	local n
	[ -n "${SLICE-}" ] && [ -d "$SLICE" ] || return 0
	for ((n = 0; n < 100; n++)); do # a cgroup stays busy until its last process is reaped
		find "$SLICE" -depth -type d -exec rmdir {} + 2>/dev/null && return 0
		sleep 0.05
	done
	echo "bench: cannot remove $SLICE" >&2
}

start_tenants() {
	"$BUILD/tenants" "$LOOP" "${CGROUPS[@]}" >"$TMP/tenants" 2>"$TMP/tenants.log" &
	TENANTS_PID=$!
	until grep -q '^ready' "$TMP/tenants.log"; do
		kill -0 "$TENANTS_PID" 2>/dev/null || { cat "$TMP/tenants.log" >&2; complain "the containers do not start"; }
		sleep 0.05
	done
}

# Starts the agent; the milliseconds until it answers with rows are left in FIRST_MS.
start_agent() {
	local from=${EPOCHREALTIME/[.,]/} n
	run_probe vstord 2>"$TMP/log" &
	PROBE_PID=$!
	for ((n = 0; n < 1000; n++)); do
		if ask '/v1/io?max_age=0' 2>/dev/null | grep '"type":"row"' >/dev/null; then
			FIRST_MS=$(((${EPOCHREALTIME/[.,]/} - from) / 1000))
			return
		fi
		kill -0 "$PROBE_PID" 2>/dev/null || break
	done
	cat "$TMP/log" >&2
	complain "vstord does not start; above is what it said"
}

cpu_ns() { # of all threads of the agent
	cat "/proc/$PROBE_PID/task"/*/schedstat | awk '{ n += $1 } END { printf "%d\n", n }'
}

agent_cpu() { # SECONDS; percent of a processor
	local a b from to
	a=$(cpu_ns) from=${EPOCHREALTIME/[.,]/}
	sleep "$1"
	b=$(cpu_ns) to=${EPOCHREALTIME/[.,]/}
	awk "BEGIN { printf \"%.3f\", ($b - $a) / ($to - $from) / 10 }"
}

# Containers whose I/Os in the agent's rows are not those that its process did.
wrong_rows() {
	ask '/v1/io?max_age=0' | jq -r 'select(.type == "row") | "\(.cgroup) \(.ios)"' >"$TMP/rows"
	awk -v root="$HIERARCHY" '
		FNR == NR { seen[root $1] += $2; next }
		seen[$1] != $2 { wrong++ }
		END { print wrong + 0 }' "$TMP/rows" "$TMP/tenants"
}

median() {
	sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'
}

stop_tenants() {
	kill "$TENANTS_PID"
	wait "$TENANTS_PID" || { cat "$TMP/tenants.log" >&2; complain "a container's process failed"; }
	TENANTS_PID=""
}

# Median milliseconds from the agent's start to its first rows, while the containers are at work; left in FIRST_MS.
measure_first() {
	local n
	: >"$TMP/first"
	start_tenants
	for ((n = 0; n < 5; n++)); do
		start_agent
		echo "$FIRST_MS" >>"$TMP/first"
		stop_probe
	done
	stop_tenants
	FIRST_MS=$(median <"$TMP/first")
}

measure_ticks() { # microseconds, of a few ticks
	local n
	for ((n = 0; n < 5; n++)); do
		sleep 1.1
		ask /v1/status | jq .self.tick_us
	done | median
}

start_top() {
	"$VSTORCTL" --socket "$TMP/vstor.sock" top -b -d 1 -n 100000 >/dev/null 2>"$TMP/top.log" &
	TOP_PID=$!
}

stop_top() {
	kill -0 "$TOP_PID" 2>/dev/null || { cat "$TMP/top.log" >&2; complain "vstorctl top ended by itself"; }
	kill "$TOP_PID"
	wait "$TOP_PID" 2>/dev/null || true
	TOP_PID=""
}

measure_agent() { # CONTAINERS SECONDS: a line of tab-separated values more in agent.tsv
	local cpu with_top=- rss ticks rows
	note "agent: $1 containers, start"
	make_cgroups "$1"
	measure_first
	printf '%s\t' "$1" "$FIRST_MS" >>"$TMP/agent.tsv"
	# the agent comes first now: so it sees all that the containers do
	start_agent
	start_tenants
	note "agent: $1 containers"
	cpu=$(agent_cpu "$2")
	if [ -x "$VSTORCTL" ]; then
		note "agent: $1 containers, with vstorctl top"
		start_top
		with_top=$(agent_cpu "$2")
		stop_top
	fi
	ticks=$(measure_ticks)
	rss=$(awk '$1 == "VmRSS:" { printf "%.1f", $2 / 1024 }' "/proc/$PROBE_PID/status")
	stop_tenants
	rows=$(ask /v1/status | jq .self.rows)
	printf '%s\t' "$rows" "$cpu" "$with_top" "$ticks" "$rss" >>"$TMP/agent.tsv"
	wrong_rows >>"$TMP/agent.tsv"
	stop_probe
	remove_cgroups
}

bench_agent() { # SECONDS
	local n first cpu ticks rss wrong
	find_hierarchy
	printf '%s\t' containers first_ms rows cpu_percent cpu_percent_with_top tick_us rss_mib >"$TMP/agent.tsv"
	echo wrong_containers >>"$TMP/agent.tsv"
	for n in 200 1000; do
		measure_agent "$n" "$1"
	done
	note ""
	if [ -n "$JSON" ]; then
		to_json agent <"$TMP/agent.tsv"
		return
	fi
	echo "The agent, each container reading and writing a block every second, at 1 s, over $1 s"
	awk -F'\t' -v fmt='%-11s %14s %7s %8s %15s %9s %9s %11s\n' '
	NR == 1 { printf fmt, "containers", "first rows ms", "rows", "cpu %", "cpu % with top", "tick us", "RSS MiB", "wrong rows" }
	NR > 1 { printf fmt, $1, $2, $3, $4, $5, $6, $7, $8 }' "$TMP/agent.tsv"
	while IFS=$'\t' read -r n first _ cpu _ ticks rss wrong; do
		if [ "$n" = 200 ]; then
			verdict "200 containers, first rows" "$first" 500 ms
			verdict "200 containers, processor" "$cpu" 0.5 %
			verdict "200 containers, memory" "$rss" 20 MiB
		elif [ "$n" = 1000 ]; then
			verdict "1,000 containers, tick" "$ticks" 20000 us
			verdict "1,000 containers, memory" "$rss" 32 MiB
			verdict "1,000 containers, of which rows are wrong" "$wrong" 0 ""
		fi
	done <"$TMP/agent.tsv"
}
