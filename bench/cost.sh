# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What a request costs in the probes: nanoseconds of their programs at its issue and its completion, by the kernel's
# run-time statistics. Every probe in turn in each round, so that what else the machine does is shared out.

measure_cost() { # ROUNDS SECONDS: lines "WORKLOAD PROBE ROUND" and before and after "NS RUNS NS RUNS"
	local round probe w before after probes
	mapfile -t probes < <(present empty vstord biolatency bpftrace)
	for ((round = 1; round <= $1; round++)); do
		for probe in "${probes[@]}"; do
			note "cost: round $round of $1, $probe"
			start_probe "$probe"
			for w in "${COST_WORKLOADS[@]}"; do
				set_load "$w" "$2"
				before=$(probe_times)
				"$BUILD/stats" "${LOAD[@]}"
				after=$(probe_times)
				echo "$w $probe $round $before $after"
			done
			stop_probe
		done
	done
}

summarize_cost() {
	awk -v OFS='\t' "$AWK_STATS"'
	$9 > $5 && $11 > $7 {
		issue = ($8 - $4) / ($9 - $5)
		complete = ($10 - $6) / ($11 - $7)
		if (!($1 in loads)) load[++n_loads] = $1
		loads[$1]
		if (!($2 in probes)) probe[++n_probes] = $2
		probes[$2]
		put("i " $1 " " $2, issue)
		put("c " $1 " " $2, complete)
		put("b " $1 " " $2, issue + complete)
		at[$1, $2, $3] = issue + complete
	}
	END {
		print "load", "probe", "issue_ns", "complete_ns", "both_ns", "both_min", "both_max", "to_vstord", "to_floor", "rounds"
		for (l = 1; l <= n_loads; l++) {
			for (p = 1; p <= n_probes; p++) {
				k = load[l] " " probe[p]
				if (!(rounds = count["b " k])) continue
				for (r = 1; r <= rounds; r++) { # of the same round
					if (at[load[l], "vstord", r]) put("v " k, at[load[l], probe[p], r] / at[load[l], "vstord", r])
					if (at[load[l], "empty", r]) put("f " k, at[load[l], probe[p], r] / at[load[l], "empty", r])
				}
				print load[l], probe[p], round1(med("i " k)), round1(med("c " k)), round1(med("b " k)), round1(min("b " k)),
					round1(max("b " k)), round2(med("v " k)), round2(med("f " k)), rounds
			}
		}
	}'
}

print_cost() {
	awk -F'\t' '
	NR == 1 {
		printf "%-14s %-11s %8s %9s %8s  %-14s %10s %9s\n", "load", "probe", "issue", "complete", "both ns",
			"(min - max)", "to vstord", "to floor"
		next
	}
	{
		printf "%-14s %-11s %8.0f %9.0f %8.0f  %-14s %9.2fx %8.2fx\n", $1 == last ? "" : $1, $2, $3, $4, $5,
			sprintf("(%.0f - %.0f)", $6, $7), $8, $9
		last = $1
	}' "$1"
}

bench_cost() { # ROUNDS SECONDS
	COST_WORKLOADS=(psync-1x1 libaio-1x16 io_uring-2x16)
	measure_cost "$1" "$2" >"$TMP/cost.raw"
	note ""
	summarize_cost <"$TMP/cost.raw" >"$TMP/cost.tsv"
	if [ -n "$JSON" ]; then
		to_json cost <"$TMP/cost.tsv"
		return
	fi
	echo "Cost of a request in the probes, 4 KiB random reads, medians of $1 rounds ('empty' is the floor: programs that do nothing)"
	print_cost "$TMP/cost.tsv"
	awk -F'\t' '$2 == "vstord" { print $1, $5 }' "$TMP/cost.tsv" |
		while read -r load both; do verdict "vstord, issue + complete, $load" "$both" 300 ns; done
}
