#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: who waits at a slow disk or for its journal blames those who fill them, each for its part
# needs: slow-disk 300:256M
# needs: time 600
# needs: package jq bpftool e2fsprogs
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
dev=$(disk slow0)
load=$TREE/build/tests/bpf/disk_load
[ -x "$load" ] || fail "build/tests/bpf/disk_load is not built: make tests"

load_begin() { # NAME ARGUMENT...
	(echo $BASHPID >"$CGROUPS/$1/cgroup.procs" && exec "$load" "${@:2}" >"/dev/shm/$1") &
	loads+=($!)
}

loads_end() {
	kill -TERM "${loads[@]}"
	wait "${loads[@]}"
	loads=()
}

waited() { # WAITER RESOURCE [HOLDER]
	ctl blame --total --json | jq -s --arg waiter "/$1" --arg resource "$2" --arg holder "${3-}" '
		map(select(.waiter_cgroup == $waiter and .resource == $resource and ($holder == "" or .holder_cgroup == "/" + $holder))
		| .wait_us) | add // 0 | floor'
}

has_waited() { # US WAITER RESOURCE
	[ "$(waited "$2" "$3")" -ge "$1" ]
}

did() { # CONTAINER IOS
	[ "$(rows_sum ios ".cgroup == \"/$1\"")" -ge "$2" ]
}

journal_is() {
	ctl status --json | jq -e --arg s "$1" '[.probes[] | select(.tracepoint | test("^(jbd2|ext4)_")) | .state] | unique == [$s]' >/dev/null
}

loads=()
agent_start
for c in w-a w-b w-c; do cgroup_new $c; done
load_begin w-a read "$dev" 1 4
wait_for 60 "reads of a container that is alone" did w-a 400
load_begin w-b read "$dev" 16 4
load_begin w-c read "$dev" 8 4
wait_for 120 "a container to wait" has_waited 4000000 w-a "device:${dev#/dev/}"
loads_end
all=$(waited w-a "device:${dev#/dev/}")
b=$(waited w-a "device:${dev#/dev/}" w-b)
c=$(waited w-a "device:${dev#/dev/}" w-c)
ios_b=$(</dev/shm/w-b) ios_c=$(</dev/shm/w-c)
part=$((ios_b * 1000 / (ios_b + ios_c)))
said=$((b * 1000 / (b + c)))
note "w-a waited $all us, $b of it for w-b and $c for w-c: $said per mille; of what was served, $part"
if [ $((said - part)) -gt 100 ] || [ $((part - said)) -gt 100 ]; then fail "the parts of the two are wrong"; fi
at_least "per mille of the wait that is one's or the other's" $(((b + c) * 1000 / all)) 950

# a journal: who calls fsync now and then waits for who fills the transactions
mounted ext4 "$dev" /mnt
mkdir /mnt/{a,b,c}
load_begin w-a fsync /mnt/a 20
wait_for 60 "commits" has_waited 1 w-a "journal:${dev#/dev/}"
load_begin w-b meta /mnt/b
before=$(waited w-a "journal:${dev#/dev/}")
mine=$(waited w-a "journal:${dev#/dev/}" w-a)
wait_for 120 "a container to wait for the journal" has_waited $((before + 3000000)) w-a "journal:${dev#/dev/}"
loads_end
all=$(($(waited w-a "journal:${dev#/dev/}") - before))
b=$(waited w-a "journal:${dev#/dev/}" w-b)
mine=$(($(waited w-a "journal:${dev#/dev/}" w-a) - mine))
note "w-a waited $all us for the journal, $b of it for w-b, $mine for itself"
at_least "per mille of the wait for the journal that is w-b's" $((b * 1000 / all)) 950

unmount /mnt

# the probes of the journal hold no module when nothing is mounted
wait_for 60 "the probes of the journal to be off" journal_is off
rmmod ext4
wait_for 60 "the probes of the journal to be off" journal_is off
mounted ext4 "$dev" /mnt
mkdir /mnt/a
wait_for 60 "the probes of the journal to be back" journal_is attached
load_begin w-a fsync /mnt/a 20
before=$(waited w-a "journal:${dev#/dev/}")
wait_for 60 "waits of a module that came back" has_waited $((before + 1)) w-a "journal:${dev#/dev/}"
loads_end
unmount /mnt
agent_stop
