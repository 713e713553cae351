#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# In a guest: a database that fsyncs each write, beside bulk writers on the same slow disk. Prints a line for each phase:
#   neighbours KERNEL WRITERS PLACE LOAD PHASE FSYNCS_PER_S P50_MS P99_MS BULK_MB_PER_S AGENT_CPU_PERCENT
# PLACE: separate (two file systems on one disk) or shared (one ext4 and so one journal). LOAD: overwrite or allocate.
set -euo pipefail
TREE=${TREE:?} PLACE=${PLACE:?} LOAD=${LOAD:?} WRITERS=${WRITERS:?}
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"
trap clean_up EXIT

say() { printf 'neighbours\t%s\t%s\t%s\t%s\t%s\n' "$KERNEL" "$WRITERS" "$PLACE" "$LOAD" "$(tr ' ' '\t' <<<"$*")"; }

# The objective, unless OBJECTIVE names one: 1.95 times the p99 that the database has when it is alone beside the agent.
policy() {
	local us
	us=$(awk -v ms="$1" 'BEGIN { printf "%.0f", ms * 1950 }')
	cat <<-YAML
	version: 1
	rules:
	  - {name: database first, match: {cgroup: "/db.slice"}, protect: {p99_fsync: ${OBJECTIVE:-${us}us}}}
	  - {name: may be capped, match: {cgroup: "${CAPPED:-/bulk.slice}"}, max: allowed}
	YAML
}

second_by_second() { # FROM: the p99 of each of the seconds that follow
	local s
	printf '# p99 of each second:'
	for s in {0..9}; do printf ' %s' "$(db_window $((${1%.*} + s)) $((${1%.*} + s + 1)) | cut -d' ' -f3)"; done
	echo
}

set_up
db_begin
sleep 5
say "alone $(window "$SECONDS_EACH")"
# an objective is set by what the agent shows, and in an emulated guest its probes cost the database much
OBJECTIVE=10s policy 0 >/dev/shm/policy.yaml
agent_start /dev/shm/policy.yaml
sleep 5
alone=$(window "$SECONDS_EACH")
say "alone-with-agent $alone"
agent_stop
for ((i = 1; i <= WRITERS; i++)); do bulk_begin $i; done
sleep 8
say "unprotected $(window "$SECONDS_EACH")"
db_end
sleep 2
say "bulk-unprotected $(window 8)"
db_begin
read -r _ _ p99 _ <<<"$alone"
policy "$p99" >/dev/shm/policy.yaml
sed -n 's/.*p99_fsync: /# objective p99_fsync /; s/}}$//p' /dev/shm/policy.yaml
agent_start /dev/shm/policy.yaml
begin=$EPOCHREALTIME
sleep "${SEARCH:-25}" # the loop finds its caps
second_by_second "$begin"
say "protected $(window "$SECONDS_EACH")"
begin=$EPOCHREALTIME
bulk_begin late
sleep 5
say "protected-and-one-more $(window "$SECONDS_EACH")"
second_by_second "$begin"
db_end
sleep 10
say "bulk-given-back $(window "$SECONDS_EACH")"
db_begin
sleep 10
say "protected-again $(window "$SECONDS_EACH")"
bulk_end
sync
sleep 12
say "alone-with-agent-again $(window "$SECONDS_EACH")"
db_end
"$TREE/build/vstorctl" policy log 2>/dev/null | sed 's/^/# /' | tail -n "${LOG_LINES:-40}"
agent_stop
left=$(cat $C/bulk.slice/*/io.max $C/bulk.slice/io.max | grep -c . || true)
say "left $left - - - -"
grep -v 'ready:' /dev/shm/vstord.log | sed 's/^/# vstord: /' | tail -n 5
db_begin
sleep 3
say "alone-again $(window "$SECONDS_EACH")"
