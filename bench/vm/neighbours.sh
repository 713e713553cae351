#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# In a guest: a database that fsyncs each write, beside bulk writers on the same slow disk. Prints a line for each phase:
#   neighbours KERNEL WRITERS PLACE LOAD PHASE FSYNCS P50_MS P99_MS BULK_MB SECONDS
# PLACE: separate (two file systems on one disk) or shared (one ext4 and so one journal). LOAD: overwrite or allocate.
set -euo pipefail
export TREE=${TREE:?} PLACE=${PLACE:?} LOAD=${LOAD:?} WRITERS=${WRITERS:?}
SECONDS_EACH=${SECONDS_EACH:-14}
C=/sys/fs/cgroup DEV=${VSTOR_DISK_slow0:?}
D=$(cat "/sys/class/block/${DEV#/dev/}/dev")
KERNEL=$(uname -r | cut -d. -f1,2)
bulk=() agent=
trap 'kill ${bulk[@]+"${bulk[@]}"} $agent 2>/dev/null || true; wait' EXIT

say() { printf 'neighbours\t%s\t%s\t%s\t%s\t%s\n' "$KERNEL" "$WRITERS" "$PLACE" "$LOAD" "$(tr ' ' '\t' <<<"$*")"; }

set_up() {
	local half
	half=$(($(blockdev --getsz "$DEV") / 2 - 4096))
	addpart "$DEV" 1 2048 $half
	addpart "$DEV" 2 $((half + 4096)) $half
	for part in 1 2; do
		mkfs.ext4 -qF -E lazy_itable_init=0,lazy_journal_init=0 -N 4096 "$DEV$part" >/dev/null 2>&1
	done
	mkdir -p /db /bulk
	mount -o noatime "$DEV"1 /db
	if [ "$PLACE" = shared ]; then
		mkdir -p /db/bulk
		mount --bind /db/bulk /bulk
	else
		mount -o noatime "$DEV"2 /bulk
	fi
	echo "+io +memory" >$C/cgroup.subtree_control
	mkdir -p $C/db.slice/ $C/bulk.slice
	echo "+io +memory" >$C/db.slice/cgroup.subtree_control
	echo "+io +memory" >$C/bulk.slice/cgroup.subtree_control
	mkdir $C/db.slice/database.service
	# writers meet the limit of dirty pages, not the end of a guest's memory
	echo 67108864 >/proc/sys/vm/dirty_bytes
	echo 33554432 >/proc/sys/vm/dirty_background_bytes
}

database() { # SECONDS → fsyncs p50 p99
	(
		echo $BASHPID >$C/db.slice/database.service/cgroup.procs
		exec fio --name=db --directory=/db --rw=randwrite --bs=8k --fsync=1 --ioengine=psync --size=48M \
			--runtime="$1" --time_based --output-format=json >/dev/shm/db.json 2>/dev/null
	)
	jq -r '.jobs[0].sync | "\(.total_ios) \(.lat_ns.percentile["50.000000"] / 1e4 | round / 100) \(.lat_ns.percentile["99.000000"] / 1e4 | round / 100)"' /dev/shm/db.json
}

write_bulk() { # FILE
	if [ "$LOAD" = overwrite ]; then
		exec bash -c 'while :; do dd if=/dev/zero of="$1" bs=1M count=20 conv=notrunc status=none; done' - "$1"
	else
		exec bash -c 'i=0; while :; do dd if=/dev/zero of="$1.$((i % 4))" bs=1M count=5 status=none; rm -f "$1.$(((i + 2) % 4))"; i=$((i + 1)); done' - "$1"
	fi
}

bulk_begin() { # NUMBER
	local group=$C/bulk.slice/bulk-$1.service
	mkdir -p "$group"
	(
		echo $BASHPID >"$group/cgroup.procs"
		write_bulk "/bulk/f$1"
	) 2>/dev/null &
	bulk+=($!)
}

bulk_end() {
	local group
	for group in "$C"/bulk.slice/*.service; do echo 1 >"$group/cgroup.kill"; done
	wait "${bulk[@]}" 2>/dev/null || true
	bulk=()
}

bulk_bytes() {
	awk -v d="$D" '$1 == d { for (i = 2; i <= NF; i++) if (sub("^wbytes=", "", $i)) n = $i } END { printf "%d\n", n }' $C/bulk.slice/io.stat
}

bulk_mb() { # BYTES-BEFORE
	echo $((($(bulk_bytes) - $1) / 1000000))
}

phase() { # NAME SECONDS: the database beside what runs
	local before result
	before=$(bulk_bytes)
	result=$(database "$2")
	say "$1 $result $(bulk_mb "$before") $2"
}

idle() { # NAME SECONDS: the bulk writers alone
	local before
	before=$(bulk_bytes)
	sleep "$2"
	say "$1 - - - $(bulk_mb "$before") $2"
}

agent_start() {
	cat >/dev/shm/policy.yaml <<-YAML
	version: 1
	rules:
	  - {name: database first, match: {cgroup: "/db.slice"}, weight: 800, protect: {p99_fsync: ${OBJECTIVE:-6ms}}}
	  - {name: may be capped, match: {cgroup: "/bulk.slice"}, max: allowed}
	YAML
	mkdir -p /run/vstor
	"$TREE/build/vstord" --budget 0 --policy /dev/shm/policy.yaml --act --state /run/vstor 2>/dev/shm/vstord.log &
	agent=$!
	until grep -q ready: /dev/shm/vstord.log; do
		kill -0 $agent 2>/dev/null || { cat /dev/shm/vstord.log >&2; exit 1; }
		sleep 0.2
	done
}

set_up
database 6 >/dev/null
phase alone "$SECONDS_EACH"
for ((i = 1; i <= WRITERS; i++)); do bulk_begin $i; done
sleep 8
phase unprotected "$SECONDS_EACH"
idle bulk-unprotected "$SECONDS_EACH"
agent_start
database 20 >/dev/null # the loop finds its caps
phase protected "$SECONDS_EACH"
bulk_begin late
database 6 >/dev/null
phase protected-and-one-more "$SECONDS_EACH"
sleep 10
idle bulk-given-back "$SECONDS_EACH"
"$TREE/build/vstorctl" policy log 2>/dev/null | sed 's/^/# /' | tail -n "${LOG_LINES:-40}"
bulk_end
kill -TERM $agent
wait $agent || true
agent=
left=$(cat $C/bulk.slice/*/io.max $C/bulk.slice/io.max | grep -c . || true)
say "left $left - - - -"
grep -v 'ready:' /dev/shm/vstord.log | sed 's/^/# vstord: /' | tail -n 20
