#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: file systems, loop, bcache and dm-cache work in the guest
# needs: fast-disk 1G
# needs: fast-disk 512M
# needs: time 300
# needs: package bcache-tools dmsetup thin-provisioning-tools
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

sectors() { # DISK, read and written
	awk '{ print $3 + $7 }' "/sys/class/block/$(basename "$(disk "$1")")/stat"
}

modprobe -a loop ext4 xfs btrfs bcache dm-mod dm-cache dm-cache-smq
# tracing a module's own functions and tracepoints needs its types
for m in loop ext4 xfs btrfs bcache dm_cache; do
	[ -e /sys/kernel/btf/$m ] || [ ! -e /sys/module/$m/initstate ] || fail "module $m has no BTF"
done

truncate -s 64M /dev/shm/image
defer rm -f /dev/shm/image
loop=$(losetup -f --show /dev/shm/image)
defer losetup -d "$loop"
keeps_data "$loop" 8

# shellcheck disable=SC2119 # without options
bcache_make
# or a stream, or a disk that is slow just now, goes past the cache
echo 0 >/sys/block/bcache0/bcache/sequential_cutoff
for f in /sys/fs/bcache/*-*/congested_{read,write}_threshold_us; do echo 0 >"$f"; done
before=$(sectors fast1)
keeps_data /dev/bcache0 16
at_least "sectors that bcache read and wrote in its cache" $(($(sectors fast1) - before)) $((32 * 2048))
bcache_gone
wipefs -qa "$(disk fast0)" "$(disk fast1)"

dm_cache_make
keeps_data /dev/mapper/cached 16
# "0 LENGTH cache BLOCK USED/TOTAL BLOCK USED/TOTAL READ-HITS READ-MISSES WRITE-HITS WRITE-MISSES ..."
read -r _ _ _ _ _ _ _ rh rm wh wm _ < <(dmsetup status cached)
at_least "reads and writes that dm-cache looked up" $((rh + rm + wh + wm)) 32
