#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: bcache under ext4: the keeper keeps small files and metadata while six times the cache is streamed past; without it they are gone; settings by policy
# needs: fast-disk 1G
# needs: fast-disk 72M
# needs: time 900
# needs: package jq bpftool bcache-tools python3
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
readonly MNT=/run/cached BC=/sys/block/bcache0/bcache POLICY=/dev/shm/policy.yaml
origin=$(basename "$(disk fast0)")
cache_mb=72 stream_mb=$((72 * 6))

sectors_read() { # DISK
	awk -v d="$1" '$3 == d { print $6 }' /proc/diskstats
}

# What the agent says of the cached device.
device() { # FIELD
	ctl cache --json | jq -r "select(.is_device) | .$1"
}

attached() {
	ctl status --json | jq -e 'all(.probes[] | select(.group == "cache"); .state == "attached")' >/dev/null
}

keeper_is() { # STATE
	ctl policy status --json | jq -es --arg s "$1" 'any(.[]; .actuator == "cache" and .target == "bcache0" and .state == $s)' >/dev/null
}

keeper_ended() {
	! keeper_is applied
}

# Many directories: their blocks and inodes are the metadata. In a shell each file would be two processes, and those take their time here.
make_files() {
	python3 - "$MNT/t" <<-'P'
		import os, sys
		for d in range(120):
		    path = f"{sys.argv[1]}/d{d}"
		    os.makedirs(path)
		    for f in range(2):
		        open(f"{path}/f{f}", "wb").write(b"x" * (2000 + (2 * d + f) * 40))
	P
}

read_files() {
	forget_pages
	find $MNT/t -type f -exec cat {} + >/dev/null
}

# Reads the files again: how much of that came from the cache, in per mille, in $resident.
measure() { # WHAT
	local all below
	all=$(sectors_read bcache0) below=$(sectors_read "$origin")
	read_files
	all=$(($(sectors_read bcache0) - all)) below=$(($(sectors_read "$origin") - below))
	resident=$((1000 - below * 1000 / all))
	note "$1: $((all / 2)) KiB read, $((below / 2)) KiB of it from the slow disk: $((resident / 10)).$((resident % 10)) % resident"
}

admitted_more() { # BYTES
	[ "$(device admitted_bytes)" -ge "$1" ]
}

# Reads a file larger than the cache. $extra: what the slow disk read beyond the file itself, in sectors.
stream() { # [PART-MB]: wait after each part until the agent has seen it
	local all below at before part=${1:-$stream_mb}
	all=$(sectors_read bcache0) below=$(sectors_read "$origin")
	for ((at = 0; at < stream_mb; at += part)); do
		[ $# = 0 ] || before=$(device admitted_bytes)
		dd if=$MNT/big of=/dev/null bs=1M skip=$at count="$part" status=none
		[ $# = 0 ] || wait_for 60 "the agent to see $part MiB" admitted_more $((before + (part << 20) * 9 / 10))
	done
	all=$(($(sectors_read bcache0) - all)) below=$(($(sectors_read "$origin") - below))
	extra=$((below - stream_mb * 2048))
	echo "stream: $((all / 2048)) MiB read of bcache0, $((below / 2048)) MiB of the slow disk"
}

# The settings of bcache, as a policy names them.
settings() {
	local f
	for f in sequential_cutoff readahead_cache_policy cache_mode writeback_percent cache/congested_read_threshold_us; do
		echo "$f $(cat $BC/$f)"
	done
}

settings_are() { # TEXT
	[ "$(settings)" = "$1" ]
}

settings_refused() {
	ctl policy status --json | jq -es 'any(.[]; .attribute == "cache_mode" and .state == "refused" and (tostring | contains("lru")))' >/dev/null
}

bcache_make --bucket 128k # of at least 513 buckets: bcache refuses fewer
echo 0 >$BC/sequential_cutoff # all of the stream goes into the cache
echo 0 >$BC/cache/congested_read_threshold_us
echo 0 >$BC/cache/congested_write_threshold_us
echo none >$BC/cache_mode
mounted ext4 /dev/bcache0 $MNT
mount -o remount,noatime $MNT
dd if=/dev/zero of=$MNT/big bs=4M count=$((stream_mb / 4)) oflag=direct status=none
make_files
umount $MNT # while it is mounted its journal holds the metadata in memory
mount -o noatime /dev/bcache0 $MNT
echo writethrough >$BC/cache_mode

cat >$POLICY <<-P
	version: 1
	rules:
	  - {name: keep small files, match: {device: "bcache*"}, cache: keep}
P
agent_start_with --interval 1 --act --policy $POLICY -v
wait_for 60 "the probes of caches" attached
wait_for 60 "the keeper" keeper_is applied
ctl policy status

read_files
read_files
measure "before the stream"
at_least "per mille resident before the stream" $resident 990
stream $((cache_mb / 4)) # at once it would be over in a few ticks; a cache of a real size takes minutes
reads=$(device keeper_reads_bytes)
note "keeper: $((reads / 1024)) KiB in $(device keeper_passes) passes, $((reads * 1000 / (stream_mb << 20))) per mille of the stream; the slow disk read $((extra / 2)) KiB more than the stream"
ctl cache
grep keeper $AGENT_LOG | tail -30
measure "after $((stream_mb / cache_mb)) times the cache, with the keeper"
kept=$resident
ctl policy revert
wait_for 60 "the keeper to end" keeper_ended
read_files
read_files
stream
measure "after $((stream_mb / cache_mb)) times the cache, without it"
at_least "per mille resident with the keeper" $kept 950
[ $((reads * 100)) -le $((stream_mb << 20)) ] || fail "the keeper read $reads bytes, more than 1 % of the stream"
[ $((extra * 100)) -le $((stream_mb * 2048)) ] || fail "the slow disk read $extra sectors more than the stream, more than 1 %"
[ $resident -lt 500 ] || fail "without the keeper $resident per mille are resident: the stream does not push anything out, so the test shows nothing"

# Settings by policy: applied, taken back when they would have no effect, applied again, undone when the agent stops.
before=$(settings)
cat >$POLICY <<-P
	version: 1
	bcache:
	  - {device: "bcache*", sequential_cutoff: 1MiB, readahead_cache_policy: meta-only, cache_mode: writearound}
	  - {device: bcache0, writeback_percent: 20, congested_read_threshold_us: 5000}
	rules:
	  - {name: keep small files, match: {device: "bcache*"}, cache: keep}
P
wanted="sequential_cutoff 1.0M
readahead_cache_policy all [meta-only]
cache_mode writethrough writeback [writearound] none
writeback_percent 20
cache/congested_read_threshold_us 5000"
wait_for 60 "the settings of the policy" settings_are "$wanted"
echo fifo >$BC/cache/cache0/cache_replacement_policy
wait_for 60 "the settings to be taken back, because fifo pays no attention to reads" settings_are "$before"
wait_for 60 "the reason" settings_refused
ctl policy status
echo lru >$BC/cache/cache0/cache_replacement_policy
wait_for 60 "the settings of the policy once more" settings_are "$wanted"
agent_stop
same "settings after the agent ended" "$(settings)" "$before"
