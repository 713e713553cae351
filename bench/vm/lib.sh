# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Shared by the measurements in a guest: a slow disk with two file systems, a database that calls fsync after each write, bulk
# writers, and the agent. The caller sets TREE, DATABASE (the program), PLACE (separate or shared), LOAD (overwrite or allocate) and WRITERS.
C=/sys/fs/cgroup DEV=${VSTOR_DISK_slow0:?}
D=$(cat "/sys/class/block/${DEV#/dev/}/dev")
# shellcheck disable=SC2034 # for those who include this
KERNEL=$(uname -r | cut -d. -f1,2)
SECONDS_EACH=${SECONDS_EACH:-14}
bulk=() agent="" db=""

# All files of the bulk writers together are many times the limit of dirty pages. A writer whose whole file fits below it
# would only change pages that are dirty already: it would use this guest's processor and no disk.
BULK_MB=$((400 / WRITERS > 40 ? 400 / WRITERS : 40))

clean_up() {
	kill ${bulk[@]+"${bulk[@]}"} ${agent:+"$agent"} ${db:+"$db"} 2>/dev/null || true
	wait
}

make_disk() {
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
}

# The files exist before anything is measured: the first write of a block changes more metadata than the next one.
make_files() {
	local i
	dd if=/dev/zero of=/db/data bs=1M count=48 conv=fsync status=none
	[ "$LOAD" = overwrite ] || return 0
	for i in $(seq "$WRITERS") late; do
		dd if=/dev/zero "of=/bulk/f$i" bs=1M "count=$BULK_MB" status=none
	done
	sync
	# a page in the cache belongs to the cgroup that read or wrote it first, and its writeback is charged to that one
	echo 3 >/proc/sys/vm/drop_caches
}

set_up() {
	make_disk
	echo "+io +memory" >$C/cgroup.subtree_control
	mkdir -p $C/db.slice/ $C/bulk.slice
	echo "+io +memory" >$C/db.slice/cgroup.subtree_control
	echo "+io +memory" >$C/bulk.slice/cgroup.subtree_control
	mkdir $C/db.slice/database.service
	# writers meet the limit of dirty pages, not the end of a guest's memory
	echo $((64 << 20)) >/proc/sys/vm/dirty_bytes
	echo $((32 << 20)) >/proc/sys/vm/dirty_background_bytes
	make_files
}

stat_of() { # SLICE FIELD
	awk -v d="$D" -v f="^$2=" '$1 == d { for (i = 2; i <= NF; i++) if (sub(f, "", $i)) n = $i } END { printf "%.0f\n", n }' "$C/$1.slice/io.stat"
}

# Works until db_end; each fsync is a line in the log.
db_begin() {
	(
		echo $BASHPID >$C/db.slice/database.service/cgroup.procs
		exec "$DATABASE" /db/data 48
	) >>/dev/shm/db.log &
	db=$!
	until [ -s /dev/shm/db.log ]; do sleep 0.2; done
}

db_end() {
	kill "$db"
	wait "$db" || true
	db=""
}

db_window() { # FROM TO → fsyncs in a second, p50 ms, p99 ms
	awk -v a="$1" -v b="$2" '$1 >= a && $1 < b { print $2 }' /dev/shm/db.log | sort -n |
		awk -v s="$1" -v e="$2" '{ v[NR] = $1 }
			END { printf "%.1f %.2f %.2f\n", NR / (e - s), v[int((NR + 1) / 2)] / 1e3, v[int(NR * 0.99 + 0.999)] / 1e3 }'
}

write_bulk() { # FILE
	if [ "$LOAD" = overwrite ]; then
		exec bash -c 'while :; do dd if=/dev/zero of="$1" bs=1M count="$2" conv=notrunc status=none; done' - "$1" "$BULK_MB"
	else
		exec bash -c 'i=0; while :; do dd if=/dev/zero of="$1.$((i % 4))" bs=1M count=$(($2 / 4)) status=none; rm -f "$1.$(((i + 2) % 4))"; i=$((i + 1)); done' - "$1" "$BULK_MB"
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

agent_cpu() { # seconds of a processor that the agent has used so far
	[ -n "$agent" ] || { echo 0; return; }
	awk -v hz="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); printf "%.2f\n", ($12 + $13) / hz }' "/proc/$agent/stat"
}

# What everybody does in the next seconds: fsyncs in a second, p50 ms, p99 ms, bulk MB in a second, percent of a processor for
# the agent. The first three are - while the database does not run.
window() { # SECONDS
	local begin=$EPOCHREALTIME end bytes cpu fsyncs="- - -"
	bytes=$(stat_of bulk wbytes) cpu=$(agent_cpu)
	sleep "$1"
	end=$EPOCHREALTIME
	bytes="$bytes $(stat_of bulk wbytes)" cpu="$cpu $(agent_cpu)"
	if [ -n "$db" ]; then
		sleep 1 # until the log is written
		fsyncs=$(db_window "$begin" "$end")
	fi
	echo "$fsyncs $(awk -v s="$begin" -v e="$end" '{ printf "%.1f %.0f", ($2 - $1) / (e - s) / 1e6, ($4 - $3) / (e - s) * 100 }' <<<"$bytes $cpu")"
}

agent_start() { # POLICY-FILE OPTION...
	mkdir -p /run/vstor
	rm -f /dev/shm/vstord.log
	"$TREE/build/vstord" --budget 0 --policy "$1" --act --state /run/vstor "${@:2}" 2>/dev/shm/vstord.log &
	agent=$!
	until grep -qs ready: /dev/shm/vstord.log; do
		kill -0 "$agent" 2>/dev/null || { cat /dev/shm/vstord.log >&2; exit 1; }
		sleep 0.2
	done
}

agent_stop() {
	kill -TERM "$agent"
	wait "$agent" || true
	agent=""
}
