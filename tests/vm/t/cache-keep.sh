#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: bcache under ext4: a large file that vstorctl cache keep names stays in the cache while three times the cache is streamed past; it is followed as it grows, and dropped when it is gone
# needs: fast-disk 1G
# needs: fast-disk 72M
# needs: time 900
# needs: package jq bpftool bcache-tools python3
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
readonly MNT=/run/cached BC=/sys/block/bcache0/bcache
origin=$(basename "$(disk fast0)")
cache_mb=72 stream_mb=$((72 * 3)) kept_mb=12

sectors_read() { # DISK
	awk -v d="$1" '$3 == d { print $6 }' /proc/diskstats
}

pin() { # NAME FIELD
	ctl cache --json | jq -r "select(.is_pin and .name == \"$1\") | .$2"
}

attached() {
	ctl status --json | jq -e 'all(.probes[] | select(.group == "cache"); .state == "attached")' >/dev/null
}

pin_at_least() { # NAME FIELD VALUE
	local is
	is=$(pin "$1" "$2")
	[ "${is:-0}" -ge "$3" ]
}

no_pin() { # NAME
	[ -z "$(pin "$1" state)" ]
}

admitted_more() { # BYTES
	[ "$(ctl cache --json | jq -r 'select(.is_device) | .admitted_bytes')" -ge "$1" ]
}

keeper_ended() {
	! ctl policy status --json | jq -es 'any(.[]; .actuator == "cache" and .state == "applied")' >/dev/null
}

# In parts, because a pass of the keeper can begin once a tick only.
stream() {
	local at before part=$((cache_mb / 4))
	for ((at = 0; at < stream_mb; at += part)); do
		before=$(ctl cache --json | jq -r 'select(.is_device) | .admitted_bytes')
		dd if=$MNT/big of=/dev/null bs=1M skip=$at count=$part status=none
		wait_for 60 "the agent to see $part MiB" admitted_more $((before + (part << 20) * 9 / 10))
	done
}

# How much of the kept file comes from the cache, in per mille, in $resident. Direct, so that nothing but the file is read.
measure() { # WHAT
	local below
	below=$(sectors_read "$origin")
	dd if=$MNT/kept of=/dev/null bs=64k iflag=direct status=none
	below=$(($(sectors_read "$origin") - below))
	resident=$((1000 - below * 1000 / (kept_mb * 2048)))
	note "$1: $((below / 2)) KiB of $kept_mb MiB read from the slow disk: $((resident / 10)).$((resident % 10)) % resident"
}

bcache_make --bucket 128k
echo 0 >$BC/sequential_cutoff
echo 0 >$BC/cache/congested_read_threshold_us
echo 0 >$BC/cache/congested_write_threshold_us
echo none >$BC/cache_mode
mounted ext4 /dev/bcache0 $MNT
dd if=/dev/zero of=$MNT/big bs=4M count=$((stream_mb / 4)) oflag=direct status=none
dd if=/dev/zero of=$MNT/kept bs=1M count=$kept_mb oflag=direct status=none
mkdir $MNT/tree
for f in 1 2 3; do dd if=/dev/zero of=$MNT/tree/$f bs=64k count=1 oflag=direct status=none; done
sync
echo writethrough >$BC/cache_mode

agent_start_with --interval 1 --act -v
wait_for 60 "the probes of caches" attached
if ctl cache keep /dev/shm; then fail "/dev/shm is on no disk, and was kept"; fi
no_pin /dev/shm || fail "what was refused is still listed"
if setpriv --reuid=65534 --clear-groups "$TREE/build/vstorctl" cache keep $MNT/kept; then fail "nobody's request was granted"; fi
ctl cache keep $MNT/kept
ctl cache keep $MNT/tree
same "files and directories of the tree" "$(pin $MNT/tree files)" 4
same "bytes of the file" "$(pin $MNT/kept bytes)" $((kept_mb << 20))
wait_for 120 "the keeper to bring the file in" pin_at_least $MNT/kept resident_bytes $(((kept_mb << 20) * 95 / 100))
ctl cache
measure "before the stream"
at_least "per mille resident before the stream" $resident 950
stream
ctl cache
grep keeper $AGENT_LOG | tail -20
measure "after $((stream_mb / cache_mb)) times the cache"
kept=$resident

dd if=/dev/zero of=$MNT/tree/4 bs=64k count=2 oflag=direct status=none
wait_for 60 "the tree to have another file" pin_at_least $MNT/tree bytes $((5 * 65536))
rm -r $MNT/tree
wait_for 60 "the tree to be dropped" no_pin $MNT/tree
ctl cache unkeep $MNT/kept
wait_for 60 "the keeper to end" keeper_ended
stream
measure "after as much again, without the request"
at_least "per mille resident with the request" $kept 950
[ $resident -lt 500 ] || fail "without the request $resident per mille are resident: the stream does not push anything out, so the test shows nothing"
agent_stop
