# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the probes take from a disk that is as fast as the machine: I/Os per second with a probe against those without,
# just before and just after, under one load that never stops. The load is many threads that each wait for one read:
# it takes all the processor time there is, so what a probe takes is missing, and of the loads that were tried it is the
# one that is steady (3 % from one half second to the next; with queues of requests it was 14 to 30 %).

iops() { # SECONDS: reads of the disk per second, over this time
	local a b from to
	read -r a _ <"/sys/block/$DISK/stat"
	from=${EPOCHREALTIME/[.,]/}
	sleep "$1"
	read -r b _ <"/sys/block/$DISK/stat"
	to=${EPOCHREALTIME/[.,]/}
	echo $(((b - a) * 1000000 / (to - from)))
}

# The agent takes its own cost for a second in thirty; not in the one that is measured.
wait_for_self_test() {
	local n
	for ((n = 0; n < 100; n++)); do
		[ "$(ask /v1/status | jq '.self.event_ns > 0')" != true ] || return 0
		sleep 0.1
	done
	complain "vstord does not tell its own cost"
}

measure_loss() { # WORKLOAD ROUNDS SECONDS: lines "WORKLOAD PROBE ROUND BEFORE WITH AFTER"
	local round i probe probes before with after
	mapfile -t probes < <(present vstord biolatency bpftrace)
	set_load "$1" 86400
	"${LOAD[@]}" &
	LOAD_PID=$!
	iops 1 >/dev/null # until it is at speed
	before=$(iops "$3")
	for ((round = 1; round <= $2; round++)); do
		for ((i = 0; i < ${#probes[@]}; i++)); do
			probe=${probes[(i + round) % ${#probes[@]}]}
			note "loss: round $round of $2, $probe"
			start_probe "$probe"
			[ "$probe" != vstord ] || wait_for_self_test
			with=$(iops "$3")
			stop_probe
			sleep 0.3 # the kernel takes programs and maps down after the last user has gone
			after=$(iops "$3")
			echo "$1 $probe $round $before $with $after"
			before=$after
		done
	done
	stop_load
}

summarize_loss() {
	awk -v OFS='\t' "$AWK_STATS"'
	{
		load = $1
		put("without " $2, ($4 + $6) / 2)
		put("with " $2, $5)
		put("lost " $2, 100 * (1 - 2 * $5 / ($4 + $6)))
	}
	END {
		print "load", "probe", "without_iops", "with_iops", "lost_percent", "lost_min", "lost_max", "pairs"
		n = split("vstord biolatency bpftrace", probe, " ")
		for (i = 1; i <= n; i++) {
			p = probe[i]
			if (count["lost " p])
				print load, p, int(med("without " p)), int(med("with " p)), round2(med("lost " p)),
					round2(min("lost " p)), round2(max("lost " p)), count["lost " p]
		}
	}'
}

print_loss() {
	awk -F'\t' '
	NR == 1 {
		printf "%-14s %-11s %13s %10s %8s  %s\n", "load", "probe", "without IOPS", "with", "lost %", "(min - max)"
		next
	}
	{
		printf "%-14s %-11s %13d %10d %8.1f  %s\n", $1 == last ? "" : $1, $2, $3, $4, $5,
			sprintf("(%.1f - %.1f)", $6, $7)
		last = $1
	}' "$1"
}

bench_loss() { # ROUNDS SECONDS
	local ours theirs
	measure_loss psync-8x1 "$1" "$2" >"$TMP/loss.raw"
	note ""
	summarize_loss <"$TMP/loss.raw" >"$TMP/loss.tsv"
	if [ -n "$JSON" ]; then
		to_json loss <"$TMP/loss.tsv"
		return
	fi
	echo "I/Os per second lost to the probes, 4 KiB random reads, medians of $1 pairs"
	print_loss "$TMP/loss.tsv"
	ours=$(awk -F'\t' '$2 == "vstord" { print $5 }' "$TMP/loss.tsv")
	theirs=$(awk -F'\t' '$2 == "biolatency" { print $5 / 2 }' "$TMP/loss.tsv")
	verdict "vstord, I/Os per second lost" "$ours" 5 %
	[ -z "$theirs" ] || verdict "the same, half of biolatency's" "$ours" "$theirs" %
}
