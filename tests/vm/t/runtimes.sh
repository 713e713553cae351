#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: containers of podman, ctr and a CRI are called by their names, also short-lived ones, and charged what they wrote
# needs: fast-disk 2G
# needs: time 1500
# needs: memory 3072
# needs: package jq bpftool e2fsprogs podman crun containerd runc python3 busybox-static curl
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
readonly DATA=/mnt/data ROOTFS=/mnt/rootfs OUT=/dev/shm/runtimes
readonly POD_UID=2942c55e-c9cb-428a-93f4-eaf89c1f3ce0
direct=3 buffered=5 # pages of 4 KiB; times the number of the container

clients=()

# podman and containerd keep their files where they always do, but that has to be a real file system.
storage_make() {
	mounted ext4 "$(disk fast0)" /mnt
	local d
	for d in containers containerd; do
		mkdir -p /mnt/$d /var/lib/$d
		mount --bind /mnt/$d /var/lib/$d
		defer unmount /var/lib/$d
	done
	mkdir -p $DATA $OUT $ROOTFS/{bin,data,dev,proc,sys,tmp}
	cp "$(command -v busybox)" $ROOTFS/bin/busybox
	for d in sh dd sleep; do ln -s busybox $ROOTFS/bin/$d; done
}

# What a container does: says that it runs, writes, and stays until it may go.
script() { # NAME NUMBER
	echo ": >/data/$1.runs
		dd if=/dev/zero of=/data/$1 bs=4096 count=$((direct * $2)) oflag=direct
		dd if=/dev/zero of=/data/$1 bs=4096 count=$((buffered * $2)) seek=$((direct * $2)) conv=notrunc,fsync
		: >/data/$1.wrote
		until [ -e /data/go ]; do sleep 0.2; done"
}

client() { # FILE COMMAND...: in the background; waited for at the end
	local out=$OUT/$1
	shift
	"$@" </dev/null >"$out" 2>&1 &
	clients+=("$! $out")
}

podman_run() { # NAME NUMBER
	client "$1" podman --cgroup-manager=cgroupfs run --rm --network=none --log-driver=none --volume $DATA:/data \
		--name "$1" base /bin/sh -c "$(script "$1" "$2")"
}

ctr_run() { # FILE NUMBER NAMESPACE ID OPTION...
	client "$1" ctr --namespace "$3" run --rm --null-io --mount type=bind,src=$DATA,dst=/data,options=rbind:rw "${@:5}" \
		--rootfs $ROOTFS "$4" /bin/sh -c "$(script "$1" "$2")"
}

# As a CRI has them: the names are in annotations, the id is a number.
cri_run() { # NAME NUMBER
	local id
	id=$(printf '%064x' "$2")
	ctr_run "$1" "$2" k8s.io "$id" --cgroup "/kubepods/burstable/pod$POD_UID/$id" \
		--annotation io.kubernetes.cri.container-type=container --annotation "io.kubernetes.cri.container-name=$1" \
		--annotation io.kubernetes.cri.sandbox-name=web-0 --annotation io.kubernetes.cri.sandbox-namespace=prod \
		--annotation io.kubernetes.cri.sandbox-uid=$POD_UID
}

containerd_start() {
	# no CRI: it wants a network
	echo 'disabled_plugins = ["io.containerd.grpc.v1.cri"]' >$OUT/containerd.toml
	containerd --config $OUT/containerd.toml >$OUT/containerd.log 2>&1 &
	defer kill $!
	wait_for 240 "containerd to answer" eval "ctr version >/dev/null 2>&1"
}

known() { # NAME STATE
	[ "$(ctl ps --all --json | jq -r --arg n "$1" 'select(.container == $n) | .state')" = "$2" ]
}

# Its name, runtime, cgroup and age in ps, and exactly its bytes in rows.
judge() { # FILE NUMBER CONTAINER RUNTIME CGROUP-PATTERN
	local line bytes=$(((direct + buffered) * $2 * 4096)) look=first
	wait_for 60 "$1 to run" test -e "$DATA/$1.runs"
	known "$3" running || look=later
	wait_for 60 "$3 to be known" known "$3" running
	echo "$3: known at the $look look"
	line=$(ctl ps --all --json | jq -c --arg n "$3" 'select(.container == $n)')
	same "runtime of $3" "$(jq -r .runtime <<<"$line")" "$4"
	[[ "$(jq -r .cgroup <<<"$line")" =~ $5 ]] || fail "cgroup of $3: $line"
	same "$3 has an age" "$(jq '.age >= 0 and .age < 600' <<<"$line")" true
	wait_for 60 "$1 to have written" test -e "$DATA/$1.wrote"
	same "data written by $3" "$(written "$3")" $bytes
	echo "$3: $4, $bytes bytes of data, all its own"
}

written() { # CONTAINER
	rows_sum bytes "$(jq -n --arg n "$1" '".container == \($n | tojson) and .op == \"write\" and .kind == \"data\""' -r)"
}

# Made and removed one after the other, as containerd has them: with a cgroup, files and a mount. None may find anything
# busy, also not beside an agent that is stopped in the middle of something.
cycles() { # COUNT
	local before
	before=$(agent_memory)
	python3 "$TREE/tests/e2e/containers.py" cycles $OUT/cycles --runtime cri --tree $CGROUPS --directory $DATA --seed cycles \
		--count "$1" --watch $AGENT
	echo "$1 cycles from files to removal: $(<$OUT/cycles)"
	same "mounts and cgroups that were busy" "$(jq .busy $OUT/cycles)" 0
	jq -e '.ratio < 2' $OUT/cycles >/dev/null || fail "beside the agent they take twice as long as beside a stopped one"
	same "the agent's mount namespace" "$(readlink /proc/$AGENT/ns/mnt)" "$(readlink /proc/self/ns/mnt)"
	note "$1 cycles: $(jq .ratio $OUT/cycles) of the time that they take beside a stopped agent (median), none busy; the agent's" \
		"memory grew by $(($(agent_memory) - before)) KiB"
	# of each of the last 4,096 that ended in 10 minutes its name and its rows are kept
	[ $(($(agent_memory) - before)) -le $(($1 * 8)) ] || fail "the agent's memory grew by $(($(agent_memory) - before)) KiB"
}

agent_memory() { # KiB
	awk '/^(Anonymous|Swap):/ { n += $2 } END { print n }' /proc/$AGENT/smaps_rollup
}

# Short-lived ones by themselves: no runtime starts so many here, where instructions are emulated.
starts() { # COUNT
	python3 "$TREE/tests/e2e/containers.py" run $OUT/starts --runtime cri --tree $CGROUPS --directory $DATA --count "$1" \
		--rate 20 --watch $AGENT | tee $OUT/said
	ctl io --total --json >$OUT/rows
	python3 "$TREE/tests/e2e/containers.py" check $OUT/starts $OUT/rows >$OUT/checked 2>$OUT/wrong || { cat $OUT/wrong; fail check; }
	head -5 $OUT/wrong
	note "$(jq .starts_per_second $OUT/said) starts a second, of which half live $(jq .life_s.p50 $OUT/said) s or less: $(<$OUT/checked)"
	at_least "containers called by their names" "$(jq .named $OUT/checked)" $(($1 * 99 / 100))
	at_least "containers charged exactly what they wrote" "$(jq .counted $OUT/checked)" $(($1 * 99 / 100))
	same "cgroups that could not be removed" "$(jq .rmdir.busy $OUT/said)" 0
	same "descriptors that the agent held" "$(jq -c .descriptors_held $OUT/said)" "[]"
}

storage_make
agent_start
starts 200
cycles 400

tar -C $ROOTFS -c . | podman --cgroup-manager=cgroupfs import -q - base
for i in 1 2 3; do podman_run shop-$i $i; done
containerd_start
ctr_run redis-1 4 default redis-1
ctr_run redis-2 5 example redis-2
cri_run app 6
cri_run log 7
for i in 1 2 3; do judge shop-$i $i shop-$i podman '^/libpod_parent/libpod-[0-9a-f]{64}$'; done
judge redis-1 4 redis-1 ctr '^/default/redis-1$'
judge redis-2 5 redis-2 ctr '^/example/redis-2$'
judge app 6 prod/web-0/app containerd "^/kubepods/burstable/pod$POD_UID/0*6\$"
judge log 7 prod/web-0/log containerd "^/kubepods/burstable/pod$POD_UID/0*7\$"

: >$DATA/go
for c in "${clients[@]}"; do wait "${c%% *}" || { cat "${c#* }"; fail "a client of a runtime failed: ${c#* }"; }; done
i=0
for c in shop-1 shop-2 shop-3 redis-1 redis-2 prod/web-0/app prod/web-0/log; do
	i=$((i + 1))
	wait_for 60 "the end of $c to be known" known $c exited
	same "data written by $c, which has ended" "$(written $c)" $(((direct + buffered) * i * 4096))
	at_least "I/Os of $c in ps" "$(ctl ps --all --json | jq --arg n $c 'select(.container == $n) | .ios')" 2
done
books_balance "after all of it"
agent_stop
