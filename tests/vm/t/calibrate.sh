#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: calibrate measures a disk of known speed, and with what it proposes io.weight takes effect
# needs: slow-disk 1000,50:512M
# needs: time 300
# needs: package jq
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
dev=$(disk slow0)
number=$(cat "/sys/class/block/${dev#/dev/}/dev")
out=/dev/shm/calibration

between() { # WHAT GOT LOW HIGH
	if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then fail "$1: got $2, wanted $3 to $4"; fi
	echo "$1: $2 ($3 to $4)"
}

figure() { # FILTER
	jq -r "$1 | round" $out
}

"$TREE/build/vstorctl" calibrate "$dev" --write-raw --seconds 4 --json >$out
between "random reads a second" "$(figure .read.random_iops)" 900 1150
between "random writes a second" "$(figure .write.random_iops)" 900 1150
between "sequential MB read a second" "$(figure '.read.bytes_per_second / 1e6')" 42 58
between "sequential MB written a second" "$(figure '.write.bytes_per_second / 1e6')" 42 58

# The kernel takes the lines as they are.
echo "$number $(jq -r .model $out)" >$CGROUPS/io.cost.model
echo "$number $(jq -r .qos $out)" >$CGROUPS/io.cost.qos
defer sh -c "echo '$number enable=0' >$CGROUPS/io.cost.qos"
grep -q "^$number .*enable=1" $CGROUPS/io.cost.qos || fail "iocost is not enabled: $(cat $CGROUPS/io.cost.qos)"

reads() { # CGROUP
	awk -v d="$number" '$1 == d { for (i = 2; i <= NF; i++) if (sub("^rios=", "", $i)) n = $i } END { print n + 0 }' "$CGROUPS/$1/io.stat"
}

busy() {
	[ "$(reads light)" -ge 20 ] && [ "$(reads heavy)" -ge 20 ]
}

cgroup_new light
cgroup_new heavy
echo 100 >$CGROUPS/light/io.weight
echo 800 >$CGROUPS/heavy/io.weight
for c in light heavy; do
	in_cgroup $c fio --name=$c --filename="$dev" --readonly --rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=100 \
		--time_based --runtime=120 --group_reporting >/dev/null &
done
wait_for 100 "both to read" busy
sleep 5 # the weights' shares settle
light=$(reads light) heavy=$(reads heavy)
sleep 20
light=$(($(reads light) - light)) heavy=$(($(reads heavy) - heavy))
# On an idle machine 600 to 760. While an emulated guest waits for a processor, the heavy one seems not to want its share,
# and iocost lends it to the light one; without weights it is 100.
between "reads of the heavy one for 100 of the light one (weights 800:100)" $((heavy * 100 / light)) 200 1000
