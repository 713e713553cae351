#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The books balance: what the agent saw is what the kernel counted, at full speed and in every shape of I/O.
bats_require_minimum_version 1.5.0
load lib

setup() {
	agent_setup
}

teardown() {
	agent_teardown
	[ -z "${zram-}" ] || zram_remove
}

# The device's books balance, with nothing lost for want of room. An I/O whose end the kernel did not tell is counted late.
book() { # DEVICE
	until_true holds "$1"
}

holds() { # DEVICE
	ctl check --json | jq -c --arg d "$1" 'select(.device == $d)' | tee "$dir/book"
	jq -e '.holds and (.lost.no_cell // 0) == 0 and (.lost.no_state // 0) == 0' "$dir/book" >/dev/null
}

seen_at_least() { # IOS
	jq -e --argjson n "$1" '.seen.ios >= $n' "$dir/book" >/dev/null
}

@test "4 KiB reads at full speed on a loop device" {
	loop_make 512
	agent_start
	fio --name=r --filename="$loop" --rw=randread --bs=4k --direct=1 --ioengine=io_uring --iodepth=16 --numjobs=2 \
		--size=512M --io_size=1G --norandommap --output-format=json >"$dir/fio"
	book "${loop#/dev/}"
	[ "$(jq '[.jobs[].read.total_ios] | add' "$dir/fio")" -ge 400000 ]
	seen_at_least 400000
	until_true ctl check
}

@test "mixed sizes, writes, discards and flushes on a loop device" {
	loop_make 256
	agent_start
	fio --name=w --filename="$loop" --rw=randrw --bsrange=512-256k --bs_unaligned=0 --blockalign=512 --direct=1 \
		--ioengine=libaio --iodepth=8 --number_ios=20000 --size=200M --fsync=50 >/dev/null
	blkdiscard "$loop"
	book "${loop#/dev/}"
	ctl io --total --json | jq -r --arg d "${loop#/dev/}" 'select(.device == $d) | .op' | sort -u >"$dir/ops"
	[ "$(tr '\n' ' ' <"$dir/ops")" = "discard flush read write " ]
}

@test "buffered writes through each filesystem" {
	for fs in ext4 xfs btrfs; do
		command -v "mkfs.$fs" >/dev/null || { echo "# skip $fs: no mkfs.$fs" >&3; continue; }
		loop_make 512
		"mkfs.$fs" -q "$loop" >/dev/null
		mkdir -p "$dir/mnt"
		agent_start
		mount "$loop" "$dir/mnt"
		fio --name=b --directory="$dir/mnt" --rw=write --bs=64k --size=64M --numjobs=2 --end_fsync=1 >/dev/null
		for i in $(seq 1 500); do echo "$i" >"$dir/mnt/f$i"; done
		sync "$dir/mnt"
		umount "$dir/mnt"
		book "${loop#/dev/}"
		seen_at_least 64
		agent_stop
		losetup -d "$loop"
		rm -f "$image"
		loop='' image=''
	done
}

@test "the disk that /var/tmp is on" {
	disk=$(realpath -q "/sys/dev/block/$(findmnt -no MAJ:MIN -T /var/tmp)") ||
		skip "/var/tmp is not on a block device: $(findmnt -no SOURCE,FSTYPE -T /var/tmp)"
	[ ! -e "$disk/partition" ] || disk=$(dirname "$disk")
	disk=$(basename "$disk")
	agent_start
	image=$(mktemp /var/tmp/vstor-e2e-XXXXXX)
	dd if=/dev/zero of="$image" bs=1M count=64 conv=fsync status=none
	dd if="$image" of=/dev/null bs=1M iflag=direct status=none
	book "$disk"
	seen_at_least 64
}

@test "an agent that starts in the middle of the traffic" {
	loop_make 256
	fio --name=r --filename="$loop" --rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=32 \
		--runtime=300 --time_based --size=256M >/dev/null 2>&1 3>&- &
	fio=$!
	others+=("$fio")
	moving() { [ "$(awk -v d="${loop#/dev/}" '$3 == d {print $4}' /proc/diskstats)" -gt 1000 ]; }
	until_true moving
	agent_start
	busy() { holds "${loop#/dev/}" && seen_at_least 50000; }
	until_true busy
	kill "$fio"
	wait "$fio" || true
	book "${loop#/dev/}"
}

# A zram device of our own: $zram. It is bio-based: there are no requests.
zram_add() { # MB
	[ -e /sys/class/zram-control/hot_add ] || skip "no zram on this kernel; tests/vm has dm and bcache"
	zram=zram$(cat /sys/class/zram-control/hot_add)
	echo 1 >"/sys/block/$zram/queue/iostats" # or the kernel's numbers are not compared with
	echo "$1M" >"/sys/block/$zram/disksize"
}

zram_remove() {
	echo "${zram#zram}" >/sys/class/zram-control/hot_remove
	zram=
}

@test "a stacked device has rows of its own layer, and its books balance" {
	agent_start
	zram_add 64
	attached() { get /v1/status | jq -e '[.probes[] | select(.name == "bio_queue")][0].state == "attached"' >/dev/null; }
	until_true attached
	dd if=/dev/urandom of="/dev/$zram" bs=64k count=200 oflag=direct status=none
	dd if="/dev/$zram" of=/dev/null bs=64k count=200 iflag=direct status=none
	book "$zram"
	jq -e '.accounted and .layer == "stacked" and .seen.bytes >= 2 * 13107200' "$dir/book"
	blkdiscard -l 4M "/dev/$zram" # the kernel counts no discards of zram's
	rows() { ctl io --total --json | jq -s --arg d "$zram" 'map(select(.device == $d))' | tee "$dir/rows"; }
	rows
	zram_remove
	jq -e 'all(.layer == "stacked") and (map(.op) | unique) == ["discard", "read", "write"]' "$dir/rows"
	jq -e 'map(select(.op == "write") | .bytes) | add >= 13107200' "$dir/rows"
	jq -e 'map(select(.op == "discard") | .bytes) | add == 4194304' "$dir/rows"
}
