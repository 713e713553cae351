#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: on ext4, xfs and btrfs the books balance and a container's writes are its own; stopping leaves nothing
# needs: fast-disk 1G
# needs: fast-disk 512M
# needs: time 600
# needs: package jq bpftool xfsprogs btrfs-progs e2fsprogs
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
dev=$(disk fast0)
buffered=48 direct=16 # MiB

agent_start
for fs in ext4 xfs btrfs; do
	cgroup_new "on-$fs"
	mounted $fs "$dev" /mnt
	in_cgroup "on-$fs" dd if=/dev/zero of=/mnt/buffered bs=1M count=$buffered conv=fsync status=none
	charged "$fs, buffered" "on-$fs" $((buffered << 20)) '.kind == "data"'
	in_cgroup "on-$fs" dd if=/dev/zero of=/mnt/direct bs=1M count=$direct oflag=direct status=none
	kinds='.kind == "data"'
	# before 6.3 nothing tells the file of direct I/O on btrfs; whose it is, is known all the same
	[ "$fs $VSTOR_KERNEL" != "btrfs 6.1" ] || kinds="($kinds or .kind == \"unknown\")"
	charged "$fs, buffered and direct" "on-$fs" $(((buffered + direct) << 20)) "$kinds"
	forget_pages
	in_cgroup "on-$fs" dd if=/mnt/buffered of=/dev/null bs=1M status=none
	at_least "$fs, bytes read" "$(rows_sum bytes ".cgroup == \"/on-$fs\" and .op == \"read\" and .kind == \"data\"")" \
		$(((buffered << 20) * 99 / 100))
	unmount /mnt
	books_balance "after $fs"
done
agent_stop
