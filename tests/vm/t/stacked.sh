#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: dm-linear, dm-cache and bcache have rows of layer "stacked", beside those of their disks, and their books balance
# needs: fast-disk 1G
# needs: fast-disk 512M
# needs: time 600
# needs: package jq bpftool bcache-tools dmsetup thin-provisioning-tools
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
mib=16

# The probes of stacked devices are attached while there is such a device, from the next reading on.
followed() {
	ctl status --json | jq -e 'all(.probes[] | select(.name | startswith("bio_queue")); .state == "attached")' >/dev/null
}

written() { # NAME DEVICE
	local name
	name=$(lsblk -dno KNAME "$2")
	wait_for 60 "the probes of stacked devices" followed
	cgroup_new "$1"
	in_cgroup "$1" dd if=/dev/zero of="$2" bs=64K count=$((mib * 16)) oflag=direct status=none
	charged "$1" "$1" $((mib << 20)) ".device == \"$name\" and .layer == \"stacked\""
	books_balance "$1"
	grep -q "^$1: $name stacked: " <<<"$BALANCE" || fail "$1: vstorctl check says nothing about $name"
}

agent_start
dm_make linear "0 $(blockdev --getsz "$(disk fast0)") linear $(disk fast0) 0"
written linear /dev/mapper/linear
# nothing lies between dm-linear and its disk
charged "linear's disk" linear $((mib << 20)) ".device == \"$(basename "$(disk fast0)")\" and .layer == \"leaf\""
dm_gone linear

dm_cache_make
written dm-cache /dev/mapper/cached
dm_gone cached
dm_gone cache
dm_gone meta
wipefs -qa "$(disk fast0)" "$(disk fast1)"

bcache_make
written bcache /dev/bcache0
bcache_gone
agent_stop
