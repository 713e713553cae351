# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the probes take from a disk that is as fast as the machine: I/Os per second with a probe against those without, in
# turns of a moment, under one load that never stops and takes all the processor time there is, so that what a probe takes
# is missing. Only the probes: they are taken over from the programs that attached them, and these ended. What the agent
# takes besides is in the part "agent".

LOSS_LOADS=(psync-8x1 io_uring-2x16)

# Starts them one by one; their numbers are left in HELD.
hold_probes() { # PROBE...
	local probe n
	for probe; do
		start_probe "$probe"
		HELD+=("$PROBE_PID")
		PROBE_PID=""
		[ "$probe" = vstord ] || continue
		for ((n = 0; n < 400; n++)); do # locks and waits come last
			! grep -q "^vstord: ready" "$TMP/log" || continue 2
			sleep 0.05
		done
		complain "vstord does not get ready"
	done
}

measure_loss() { # WORKLOAD ROUNDS PROBE...: lines "WORKLOAD PROBE WITHOUT WITH"
	local names="empty ${*:3}"
	HELD=()
	hold_probes "${@:3}"
	set_load "$1" 86400
	"${LOAD[@]}" &
	LOAD_PID=$!
	note "loss: $1"
	"$BUILD/windows" -d "$DISK" $(($2 * 40)) 60 - "$BUILD/empty.bpf" "${HELD[@]/#/@}" |
		awk -v at="$1" -v names="$names" '
			BEGIN { n = split(names, name, " ") }
			{ speed[$1] = $4 }
			NR % (n + 1) == 0 && speed[0] > 0 { for (i = 1; i <= n; i++) print at, name[i], speed[0], speed[i] }'
	stop_load
}

summarize_loss() {
	awk -v OFS='\t' "$AWK_STATS"'
	{
		if (!(($1, $2) in seen)) which[++n] = $1 " " $2
		seen[$1, $2]
		put("without " $1 " " $2, $3)
		put("with " $1 " " $2, $4)
		put("lost " $1 " " $2, 100 * (1 - $4 / $3))
	}
	END {
		print "load", "probe", "without_iops", "with_iops", "lost_percent", "lost_low", "lost_high", "pairs"
		for (i = 1; i <= n; i++) {
			w = which[i]
			split(w, at, " ")
			print at[1], at[2], int(med("without " w)), int(med("with " w)), round2(med("lost " w)),
				round2(med_low("lost " w)), round2(med_high("lost " w)), count["lost " w]
		}
	}'
}

print_loss() {
	awk -F'\t' '
	NR == 1 {
		printf "%-14s %-11s %13s %10s %8s  %s\n", "load", "probe", "without IOPS", "with", "lost %", "(the true median)"
		next
	}
	{
		printf "%-14s %-11s %13d %10d %8.1f  %s\n", $1 == last ? "" : $1, $2, $3, $4, $5,
			sprintf("(%.1f to %.1f)", $6, $7)
		last = $1
	}' "$1"
}

bench_loss() { # ROUNDS
	local load probes ours theirs
	mapfile -t probes < <(present vstord biolatency bpftrace)
	for load in "${LOSS_LOADS[@]}"; do measure_loss "$load" "$1" "${probes[@]}"; done >"$TMP/loss.raw"
	note ""
	summarize_loss <"$TMP/loss.raw" >"$TMP/loss.tsv"
	if [ -n "$JSON" ]; then
		to_json loss <"$TMP/loss.tsv"
		return
	fi
	echo "I/Os per second lost to the probes, 4 KiB random reads, medians of $(($1 * 40)) pairs of windows of 60 ms"
	print_loss "$TMP/loss.tsv"
	for load in "${LOSS_LOADS[@]}"; do
		ours=$(awk -F'\t' -v at="$load" '$1 == at && $2 == "vstord" { print $5 }' "$TMP/loss.tsv")
		theirs=$(awk -F'\t' -v at="$load" '$1 == at && $2 == "biolatency" { print $5 / 2 }' "$TMP/loss.tsv")
		verdict "vstord, I/Os per second lost, $load" "$ours" 5 %
		[ -z "$theirs" ] || verdict "the same, half of biolatency's, $load" "$ours" "$theirs" %
	done
}
