#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: dm-linear, dm-cache, bcache, dm-stripe and zram have rows of layer "stacked", beside those of their disks; books balance
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

writes() { # NAME DEVICE UNIT
	local name
	name=$(lsblk -dno KNAME "$2")
	wait_for 60 "the probes of stacked devices" followed
	cgroup_new "$1"
	in_cgroup "$1" dd if=/dev/zero of="$2" bs="$3" count=${mib}M iflag=count_bytes oflag=direct status=none
	charged "$1" "$1" $((mib << 20)) ".device == \"$name\" and .layer == \"stacked\""
}

written() { # NAME DEVICE
	local name
	name=$(lsblk -dno KNAME "$2")
	writes "$1" "$2" 64K
	books_balance "$1"
	grep -q "^$1: $name stacked: " <<<"$BALANCE" || fail "$1: vstorctl check says nothing about $name"
}

# Drivers count as they like: dm an I/O for each part of a bio that it splits (from 6.12 on check complains, for then dm has
# iostats), zram no discard. The bytes read and written must be the kernel's, and the disks below are judged.
bytes_balance() { # WHAT DEVICE
	local name check
	name=$(lsblk -dno KNAME "$2")
	check=$(ctl check --json 2>/dev/null) || true
	same "bytes of $1, beside the kernel's" $(($(moved "$name") - moved)) $(($(kernel_moved "$name") - kernel_moved))
	jq -se 'map(select(.layer == "leaf")) | length > 0 and all(.holds)' <<<"$check" >/dev/null || fail "disks below $1: $check"
	echo "$1: $(jq -r --arg d "$name" 'select(.device == $d) | "\(.seen.ios) I/Os of \(.kernel.ios)"' <<<"$check")"
}

# From here on. Who opens a device first looks for partitions; before Linux 6.3, zram has no bio for that.
bytes_begin() { # DEVICE
	local name
	name=$(lsblk -dno KNAME "$1")
	blockdev --getsz "$1" >/dev/null
	wait_for 60 "the probes of stacked devices" followed
	moved=$(moved "$name") kernel_moved=$(kernel_moved "$name")
}

# Bytes read and written of all that had this name.
moved() { # NAME
	rows_sum bytes ".device == \"$1\" and (.op == \"read\" or .op == \"write\")"
}

kernel_moved() { # NAME
	awk '{ print ($3 + $7) * 512 }' "/sys/class/block/$1/stat"
}

# What a cache holds for others, it writes to their disk in a thread of its own: that is nobody's, whoever wrote it.
written_back() { # CGROUP
	local back=/sys/block/bcache0/bcache below theirs nobodys
	below=".device == \"$(basename "$(disk fast0)")\" and .layer == \"leaf\" and .op == \"write\""
	theirs=$(rows_sum bytes "$below and .cgroup == \"/$1\"")
	nobodys=$(rows_sum bytes "$below and .witness == \"none\"")
	echo 0 >$back/writeback_percent # as fast as it can
	echo 1 >$back/writeback_running
	wait_for 60 "the cache to have written all of it back" grep -qx clean $back/state
	same "bytes written back that were charged to $1" $(($(rows_sum bytes "$below and .cgroup == \"/$1\"") - theirs)) 0
	at_least "bytes written back, unattributed" $(($(rows_sum bytes "$below and .witness == \"none\"") - nobodys)) $((mib << 20))
}

zram_gone() {
	echo 1 >/sys/block/zram0/reset
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

# shellcheck disable=SC2119 # without options
bcache_make
echo 0 >/sys/block/bcache0/bcache/sequential_cutoff # all of it goes into the cache
echo 0 >/sys/block/bcache0/bcache/writeback_running
written bcache /dev/bcache0
written_back bcache
bcache_gone

# 16 chunks in each bio
dm_make striped "0 $((800 * 2048)) striped 2 128 $(disk fast0) 0 $(disk fast1) 0"
bytes_begin /dev/mapper/striped
writes striped /dev/mapper/striped 1M
dd if=/dev/mapper/striped of=/dev/null bs=1M count=$mib iflag=direct status=none
bytes_balance striped /dev/mapper/striped
dm_gone striped

modprobe zram
echo $((mib * 4))M >/sys/block/zram0/disksize
defer zram_gone
bytes_begin /dev/zram0
writes zram /dev/zram0 64K
dd if=/dev/zram0 of=/dev/null bs=64K count=$((mib * 16)) iflag=direct status=none
blkdiscard -f /dev/zram0 # without it it reads first
# zram of 6.1 takes single pages without a bio: who looks for partitions meanwhile is seen by one of the two only (once 12 KiB)
if [ "$VSTOR_KERNEL" = 6.1 ]; then
	echo "zram: its bytes are not compared with the kernel's, on 6.1 these are not the same I/Os"
else
	bytes_balance zram /dev/zram0
fi
same "bytes discarded" "$(rows_sum bytes '.device == "zram0" and .op == "discard"')" $((mib << 22))
agent_stop
