#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: vstord --act on cgroup v2: iocost is enabled when asked; a weight and a limit are set once, follow a cgroup that is made anew, and are undone
# needs: fast-disk 256M
# needs: time 300
# needs: package jq bpftool
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
disk=$(disk fast0)
dev=$(lsblk -dno MAJ:MIN "$disk" | tr -d ' ')
policy=/dev/shm/policy.yaml

wbps_is() { # VALUE
	[ "$(awk -v d="$dev" '$1 == d { print $3 }' $CGROUPS/bulk/io.max)" = "$1" ]
}

state_is() { # ATTRIBUTE STATE
	ctl policy status --json | jq -es --arg a "$1" --arg s "$2" \
		'map(select(.target == "/bulk" and .attribute == $a)) | length > 0 and all(.state == $s)' >/dev/null
}

steps() { # how many steps the log has
	ctl policy log --json | jq -s 'map(select(.attribute // "" != "")) | length'
}

populate() {
	in_cgroup bulk sleep 1000 &
	reads
}

# A disk gets limits once it is seen in use.
reads() {
	in_cgroup bulk dd if="$disk" of=/dev/null bs=64k count=16 iflag=direct status=none
}

show() {
	ctl policy status
	ctl policy log | tail -n 20
}

cost() { # FILE: this disk's words
	awk -v d="$dev" '$1 == d { $1 = ""; print substr($0, 2) }' "$CGROUPS/$1"
}

cost_has() { # FILE WORD...
	local file=$1 word
	shift
	for word; do [[ " $(cost "$file") " == *" $word "* ]] || return 1; done
}

cost_was() { # FILE WORDS: as before, which for a disk that had no line yet is the kernel's default
	if [ -n "$2" ]; then
		same "$1 afterwards" "$(cost "$1")" "$2"
	elif [ "$1" = io.cost.qos ]; then
		! cost_has "$1" enable=1 || fail "$1 afterwards: $(cost "$1")"
	else
		! cost_has "$1" ctrl=user || fail "$1 afterwards: $(cost "$1")"
	fi
}

model="ctrl=user model=linear rbps=500000000 rseqiops=40000 rrandiops=30000 wbps=400000000 wseqiops=30000 wrandiops=20000"
qos="enable=1 ctrl=user rpct=95.00 rlat=16000 wpct=90.00 wlat=17000 min=25.00 max=100.00"
cat >$policy <<-EOF
	version: 1
	iocost:
	- {device: ${disk#/dev/}, model: "$model", qos: "$qos"}
	rules:
	- {name: usual, match: {cgroup: /bulk}, weight: 100}
	- {name: slow, match: {cgroup: /bulk}, max: {write: 1MiB/s}}
EOF
defer rm -f $policy
model_before=$(cost io.cost.model) qos_before=$(cost io.cost.qos)
! cost_has io.cost.qos enable=1 || fail "iocost is enabled on a new disk: $(cost io.cost.qos)"
defer sh -c "echo '$dev enable=0' >$CGROUPS/io.cost.qos" # also of a run that failed in the middle
cgroup_new bulk
populate
agent_start_with --interval 1 --act --policy $policy
reads

wait_for 60 "the limit to be set" wbps_is wbps=1048576
wait_for 60 "the weight, which counts once iocost is enabled, to be applied" state_is io.weight applied # the kernel's default has that value
# shellcheck disable=SC2086 # lists of words
cost_has io.cost.model $model || fail "io.cost.model: $(cost io.cost.model), wanted $model"
# shellcheck disable=SC2086
cost_has io.cost.qos $qos || fail "io.cost.qos: $(cost io.cost.qos), wanted $qos"
same "io.weight" "$(cat $CGROUPS/bulk/io.weight)" "default 100"

# a step that changes nothing is not sent again and again
before=$(steps)
sleep 5
after=$(steps)
note "steps: $before, and 5 s later $after"
at_least "steps logged" "$before" 1
same "steps after 5 s without news" "$after" "$before"
[ "$before" -le 20 ] || fail "$before steps for four knobs: $(show)"

# a service that is restarted has the same path and a new cgroup
cgroup_gone bulk
mkdir $CGROUPS/bulk
populate
wait_for 60 "the limit of the new cgroup" wbps_is wbps=1048576
wait_for 60 "the new weight to count as applied" state_is io.weight applied
wait_for 60 "the new limit to count as applied" state_is io.max applied

agent_stop
wbps_is "" || fail "io.max afterwards: $(cat $CGROUPS/bulk/io.max)"
same "io.weight afterwards" "$(cat $CGROUPS/bulk/io.weight)" "default 100"
cost_was io.cost.model "$model_before"
cost_was io.cost.qos "$qos_before"
same "files of the actor afterwards" "$(ls -A /run/vstor 2>/dev/null || true)" ""
