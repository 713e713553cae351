#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: dm-cache: vstorctl cache shows its sizes, mode, policy, dirty data, hits and misses as dmsetup does, and no keeper touches it
# needs: fast-disk 1G
# needs: fast-disk 512M
# needs: time 300
# needs: package jq bpftool dmsetup thin-provisioning-tools
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"

device() { # FIELD
	ctl cache --json | jq -r "select(.is_device and .cache_type == \"dm-cache\") | .$1"
}

# As dmsetup has it: "start length cache meta-block used/total block used/total read-hits read-misses write-hits write-misses demotions promotions dirty ..."
counted() { # the read hits, read misses, write hits, write misses, and dirty bytes
	dmsetup status --noflush cached | awk '{ print $8, $9, $10, $11, $14 * $6 * 512 }'
}

seen() {
	ctl cache --json | jq -r 'select(.is_device and .cache_type == "dm-cache") | "\(.read_hits) \(.read_misses) \(.write_hits) \(.write_misses) \(.dirty_bytes)"'
}

agrees() {
	[ "$(seen)" = "$(counted)" ]
}

dm_cache_make
name=$(lsblk -dno KNAME /dev/mapper/cached)
cat >/dev/shm/policy.yaml <<-P
	version: 1
	rules:
	  - {name: keep all, match: {device: "dm-*"}, cache: keep}
P
agent_start_with --interval 1 --act --policy /dev/shm/policy.yaml
dd if=/dev/zero of=/dev/mapper/cached bs=64k count=64 oflag=direct status=none
for _ in 1 2 3; do dd if=/dev/mapper/cached of=/dev/null bs=64k count=128 iflag=direct status=none; done
wait_for 60 "the counters of the dm-cache" agrees
note "read hits, read misses, write hits, write misses, dirty bytes: $(seen)"
ctl cache
same "the cached device" "$(device cache)" "$name"
same "the slow disk" "$(device origin)" "$(basename "$(disk fast0)")"
same "the cache's device" "$(device cache_device)" "$(lsblk -dno KNAME /dev/mapper/cache)"
same "its size" "$(device cache_bytes)" $((262144 * 512))
same "mode and policy" "$(device mode) $(device replacement)" "writeback smq"
if [ "$(device 'read_hits + .read_misses')" -lt 300 ]; then fail "384 reads were made, and fewer than 300 are counted"; fi
same "knobs of caches" "$(ctl policy status --json | jq -r 'select(.actuator == "cache" and .state == "applied") | .target')" ""
agent_stop
dm_gone cached
dm_gone cache
dm_gone meta
wipefs -qa "$(disk fast0)" "$(disk fast1)"
