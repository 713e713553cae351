#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: how long fsync takes on ext4, xfs and btrfs, as a program measures it itself; also O_SYNC, and one that hangs
# needs: fast-disk 1G
# needs: time 900
# needs: package jq e2fsprogs xfsprogs btrfs-progs dmsetup
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
dev=$(disk fast0)
load=$TREE/build/tests/bpf/fsync_load rows=$TREE/build/tests/bpf/fsync_rows
[ -x "$rows" ] || fail "build/tests/bpf/fsync_rows is not built: make tests"

attached() { # PROBE
	ctl status --json | jq -e --arg p "$1" 'any(.probes[]; .name == $p and .state == "attached")' >/dev/null
}

row() { # CGROUP: "COUNT SUM-NS"
	"$rows" "$AGENT" | awk -v id="$(stat -c %i "$CGROUPS/$1")" '$1 == "row" && $2 == id { n += $5; ns += $6 } END { printf "%d %.0f\n", n, ns }'
}

# Each try has to count right; one of three has to have most of the time. Emulated, the way from the call to the probe takes
# 0.1 ms, and who comes back from a call may wait for a processor.
agrees() { # FS HOW
	local n0 ns0 n ns program_n program_ns part try
	for try in 1 2 3; do
		read -r n0 ns0 <<<"$(row a)"
		in_cgroup a "$load" "$2" "/mnt/$1/file" 20 >/dev/shm/program
		read -r program_n program_ns _ </dev/shm/program
		read -r n ns <<<"$(row a)"
		same "fsyncs by $2 on $1" $((n - n0)) "$program_n"
		[ "$2" != osync ] || return 0 # the write itself is not a part of it
		[ $((ns - ns0)) -le "$program_ns" ] || fail "$2 on $1: $((ns - ns0)) ns, and the program saw only $program_ns"
		part=$(((ns - ns0) * 1000 / program_ns))
		echo "$2 on $1, try $try: $part per mille of the time"
		[ $part -lt 900 ] || return 0
	done
	fail "$2 on $1: $part per mille of the time"
}

open_for() { # CGROUP NS
	"$rows" "$AGENT" | awk -v id="$(stat -c %i "$CGROUPS/$1")" -v ns="$2" '$1 == "open" && $3 == id && $6 >= ns { yes = 1 } END { exit !yes }'
}

not_attached() {
	! attached "$1"
}

cgroup_new a
agent_start_with --fsync
for fs in ext4 xfs btrfs; do # each module comes while the agent runs
	mounted $fs "$dev" /mnt/$fs
	wait_for 60 "the probes of $fs" attached fsync_${fs}_begin
	for how in fsync fdatasync msync osync; do agrees $fs $how; done
	unmount /mnt/$fs
	wait_for 60 "the probes of $fs to leave" not_attached fsync_${fs}_begin
done
if attached fsync_call_end; then fail "system calls are hooked, and functions could be"; fi

dmsetup create hang --table "0 $(blockdev --getsz "$dev") linear $dev 0"
defer dm_gone hang
mounted ext4 /dev/mapper/hang /mnt/hang
wait_for 60 "the probes of ext4" attached fsync_ext4_begin
in_cgroup a "$load" fsync /mnt/hang/file 1 >/dev/null
dmsetup suspend --noflush --nolockfs hang
defer dmsetup resume hang
in_cgroup a "$load" fsync /mnt/hang/file 1 >/dev/null &
pid=$!
wait_for 60 "the fsync to be under way for 2 s" open_for a 2000000000
read -r n ns <<<"$(row a)"
dmsetup resume hang
wait $pid
read -r n_after ns_after <<<"$(row a)"
same "fsyncs when it has ended" "$n_after" $((n + 1))
at_least "ms that it took" $(((ns_after - ns) / 1000000)) 2000
same "fsyncs under way" "$("$rows" "$AGENT" | grep -c ^open || true)" 0
agent_stop
