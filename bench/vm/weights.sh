#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# In a guest: what a policy with the weights 100 and 800 does on a slow disk. Prints a line for each phase:
#   weights KERNEL SCHEDULER PHASE LIGHT_READS HEAVY_READS SECONDS
set -euo pipefail
TREE=${TREE:?}
C=/sys/fs/cgroup DEV=${VSTOR_DISK_slow0:?} NAME=${VSTOR_DISK_slow0#/dev/}
D=$(cat "/sys/class/block/$NAME/dev")
KERNEL=$(uname -r | cut -d. -f1,2)
agent=
SETTLE=${SETTLE:-8} SECONDS_EACH=${SECONDS_EACH:-20} SCHEDULERS=${SCHEDULERS:-none bfq}
trap 'kill $agent 2>/dev/null || true; echo 1 >$C/light.slice/app.service/cgroup.kill; echo 1 >$C/heavy.slice/app.service/cgroup.kill; wait' EXIT

reads() { # SLICE
	awk -v d="$D" '$1 == d { for (i = 2; i <= NF; i++) if (sub("^rios=", "", $i)) n = $i } END { print n + 0 }' "$C/$1.slice/io.stat"
}

load_begin() { # SLICE
	(
		echo $BASHPID >"$C/$1.slice/app.service/cgroup.procs"
		exec fio --name="$1" --filename="$DEV" --readonly --rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=100 \
			--time_based --runtime=600 >/dev/null 2>&1
	) &
	until [ "$(reads "$1")" -gt 20 ]; do sleep 0.2; done
}

phase() { # SCHEDULER NAME
	local light heavy
	sleep "$SETTLE"
	light=$(reads light) heavy=$(reads heavy)
	sleep "$SECONDS_EACH"
	printf 'weights\t%s\t%s\t%s\t%d\t%d\t%d\n' "$KERNEL" "$1" "$2" $(($(reads light) - light)) $(($(reads heavy) - heavy)) "$SECONDS_EACH"
}

agent_start() { # OPTION...
	mkdir -p /run/vstor
	rm -f /dev/shm/vstord.log
	"$TREE/build/vstord" --budget 0 --state /run/vstor "$@" 2>/dev/shm/vstord.log &
	agent=$!
	until grep -qs ready: /dev/shm/vstord.log; do
		kill -0 $agent 2>/dev/null || { cat /dev/shm/vstord.log >&2; exit 1; }
		sleep 0.2
	done
}

agent_stop() {
	kill -TERM $agent
	wait $agent || true
	agent=
}

one_scheduler() { # none|bfq
	echo "$1" >"/sys/block/$NAME/queue/scheduler"
	echo "# $1: the disk takes $(sed -n 's/^nr_tags=//p' "/sys/kernel/debug/block/$NAME/hctx0/tags") requests at once, nr_requests $(cat "/sys/block/$NAME/queue/nr_requests")"
	load_begin light
	load_begin heavy
	phase "$1" without
	agent_start --policy /dev/shm/policy.yaml --act
	phase "$1" weights
	if [ "$1" = bfq ]; then
		# as many as both readers have in flight: who waits for a free request is not ordered by weight
		echo 256 >"/sys/block/$NAME/queue/nr_requests"
		phase "$1" weights-nr_requests-256
	fi
	echo 1 >$C/heavy.slice/app.service/cgroup.kill
	phase "$1" heavy-rests
	"$TREE/build/vstorctl" policy status | sed 's/^/# /'
	agent_stop
	echo 1 >$C/light.slice/app.service/cgroup.kill
	wait
}

modprobe bfq
echo "+io +memory" >$C/cgroup.subtree_control
for s in light heavy; do
	mkdir -p $C/$s.slice
	echo "+io +memory" >$C/$s.slice/cgroup.subtree_control
	mkdir -p $C/$s.slice/app.service
done
cat >/dev/shm/policy.yaml <<YAML
version: 1
rules:
  - {name: light, match: {cgroup: "/light.slice"}, weight: 100}
  - {name: heavy, match: {cgroup: "/heavy.slice"}, weight: 800}
YAML
for scheduler in $SCHEDULERS; do
	if [ "$scheduler" = none ]; then
		model=$("$TREE/build/vstorctl" calibrate "$DEV" --json)
		echo "# model $(jq -r .model <<<"$model")"
		echo "$D $(jq -r .model <<<"$model")" >$C/io.cost.model
		echo "$D $(jq -r .qos <<<"$model")" >$C/io.cost.qos
	fi
	one_scheduler "$scheduler"
	[ "$scheduler" != none ] || echo "$D enable=0" >$C/io.cost.qos
done
