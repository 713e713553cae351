#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: I/O on a suspended dm device and tasks at a frozen file system are shown with their age, and charged as it passes
# needs: fast-disk 512M
# needs: time 300
# needs: package jq bpftool dmsetup e2fsprogs
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"

# A command in a cgroup that goes on: $going.
going_on() { # CGROUP COMMAND...
	(echo $BASHPID >"$CGROUPS/$1/cgroup.procs" && exec "${@:2}") &
	going=$!
}

followed() {
	ctl status --json | jq -e 'all(.probes[] | select(.name | startswith("bio_queue")); .state == "attached")' >/dev/null
}

dm_awake() { # NAME
	! dmsetup info "$1" >/dev/null 2>&1 || dmsetup resume "$1"
}

# The lines of a reply, made now.
reply() { # PATH
	curl -sS --max-time 30 --unix-socket "$SOCKET" "http://vstor$1?max_age=0"
}

rows() { # PATH CGROUP FILTER
	reply "$1" | jq -c "select((.cgroup // .waiter_cgroup) == \"/$2\") | select($3)"
}

any() { # PATH CGROUP FILTER
	rows "$@" | grep -q .
}

us_of() { # PATH CGROUP FILTER
	rows "$@" | jq -s 'map(.wait_us // .wait.sum_us) | add // 0 | floor'
}

# When the snapshot was made, in us, and what was charged until then.
moment_and_us() { # PATH CGROUP FILTER
	reply "$1" | jq -rs "[.[0].time * 1e6, ([.[1:][] | select((.cgroup // .waiter_cgroup) == \"/$2\") | select($3)
		| .wait_us // .wait.sum_us] | add // 0)] | map(floor) | join(\" \")"
}

alike() { # WHAT GOT WANTED [STARTS-US]: to 1 %, 20 ms for the test's own looks, and what its programs take to start
	local d=$(($2 - $3))
	[ ${d#-} -le $(($3 / 100 + 20000 + ${4-0})) ] || fail "$1: got $2 us, wanted $3"
	echo "$1: $2 us (about $3)"
}

agent_start
dm_make linear "0 $(blockdev --getsz "$(disk fast0)") linear $(disk fast0) 0"
name=$(lsblk -dno KNAME /dev/mapper/linear)
wait_for 60 "the probes of stacked devices" followed
cgroup_new u-a
defer dm_awake linear
dmsetup suspend linear
going_on u-a dd if=/dev/zero of=/dev/mapper/linear bs=64K count=1 oflag=direct status=none
its="(.device // \"\") == \"$name\" and .op == \"write\""
wait_for 60 "the write to be shown" any /v1/io u-a "$its and .in_flight.ios == 1 and .in_flight.oldest_us > 1500000"
any /v1/blame u-a ".resource == \"device:$name\" and .waiting.tasks == 1" || fail "blame does not show who waits for $name"
read -r begin first < <(moment_and_us /v1/blame u-a ".resource == \"device:$name\"")
sleep 5
read -r end more < <(moment_and_us /v1/blame u-a ".resource == \"device:$name\"")
alike "what was charged while it was suspended, and what passed" $((more - first)) $((end - begin))
dmsetup resume linear
wait $going
wait_for 60 "the write to have ended" any /v1/io u-a "$its and .ios == 1 and (.in_flight | not)"
took=$(rows /v1/io u-a "$its" | jq '.latency.sum_us | floor')
wait_for 60 "the rest to be charged" any /v1/blame u-a ".resource == \"device:$name\" and .wait_us > $took * 0.99"
alike "what was charged of the write, and what it took" "$(us_of /v1/blame u-a ".resource == \"device:$name\"")" "$took"

# a file system that is frozen
mounted ext4 /dev/mapper/linear /mnt
kname=$(lsblk -dno KNAME /dev/mapper/linear)
fsfreeze -f /mnt
# shellcheck disable=SC2016 # expanded there
going_on u-a bash -c 'begin=${EPOCHREALTIME/./}; : >/mnt/new; echo $((${EPOCHREALTIME/./} - begin)) >/dev/shm/took'
wait_for 60 "the task to be shown" any /v1/waits u-a ".resource == \"freeze:$kname\" and .waiting.tasks == 1 and .waiting.oldest_us > 1500000"
any /v1/blame u-a ".resource == \"freeze:$kname\" and .waiting.tasks == 1" || fail "blame does not show who waits for a frozen file system"
sleep 3
fsfreeze -u /mnt
wait $going
wait_for 60 "its wait to have ended" any /v1/waits u-a ".resource == \"freeze:$kname\" and .waits == 1"
alike "what was charged of a frozen file system" "$(us_of /v1/waits u-a ".resource == \"freeze:$kname\"")" "$(</dev/shm/took)" 800000
umount /mnt
dm_gone linear
agent_stop
