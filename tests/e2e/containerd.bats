#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Real containers of containerd's, as a CRI has them in pods: each has its name, its id and its I/O.
bats_require_minimum_version 1.5.0
load lib
load containers

COUNT=120
PODS=6 # the containers of one have one shim, as a CRI wants it, and start one after the other

setup() {
	local uid i
	workers=()
	agent_setup /dev/shm # containerd waits for the disk at each step
	containers_setup
	runtime_setup containerd ctr containerd-shim-runc-v2
	mkdir "$dir/bin"
	ln -s "$(command -v crun)" "$dir/bin/runc" # what the shim calls
	cgroup_new "/vstor-e2e-$$" # by which containerd is found at the end, and the shims, which do not end with it
	uid=$(</proc/sys/kernel/random/uuid)
	for ((i = 0; i < PODS; i++)); do
		pods[i]=${uid%?}$i
		cgroup_new "/kubepods/burstable/pod${pods[i]}"
	done
	for ((i = 0; i < COUNT; i++)); do cgroups+=("$unified$(cgroup "$i")"); done
	cat >"$dir/containerd.toml" <<-END
		version = 2
		root = "/var/lib/containerd"
		state = "/run/containerd"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
	END
	PATH=$dir/bin:$PATH in_cgroup "/vstor-e2e-$$" "$dir/as-runtime" containerd --config "$dir/containerd.toml" >"$dir/containerd.log" 2>&1 3>&- &
	containerd=$!
	until_true answers_or_gone
	echo true >"$dir/script"
	{ create 0 && start 0 && until_true ended && remove; } >"$dir/first" 2>&1 ||
		skip "containerd starts no container here: $(cat "$dir/first" "$dir/containerd.log" | tail -1)"
}

teardown() {
	[ ${#workers[@]} = 0 ] || wait "${workers[@]}" || true # they end by themselves
	[ -z "${pods-}" ] || containers_teardown
	agent_teardown
}

ctr() {
	command ctr --address "$root/run/containerd/containerd.sock" --namespace k8s.io "$@" 3>&-
}

answers_or_gone() {
	ctr version || ! kill -0 "$containerd" 2>/dev/null
}

cid() { # NUMBER
	printf '%08x%056d' $$ "$1"
}

cgroup() { # NUMBER
	echo "/kubepods/burstable/pod${pods[$1 % PODS]}/$(cid "$1")"
}

create() { # NUMBER
	jq -n --arg root "$dir/rootfs" --rawfile script "$dir/script" --arg cgroup "$(cgroup "$1")" --arg i "$1" --arg pod $(($1 % PODS)) \
		--arg uid "${pods[$1 % PODS]}" '{ociVersion: "1.0.2", root: {path: $root},
		process: {user: {uid: 0, gid: 0}, cwd: "/", env: ["PATH=/bin"], args: ["busybox", "sh", "-c", $script, $i]},
		mounts: [{destination: "/proc", type: "proc", source: "proc"}, {destination: "/dev", type: "bind", source: "/dev", options: ["rbind"]}],
		linux: {cgroupsPath: $cgroup, namespaces: [{type: "pid"}, {type: "mount"}], resources: {devices: [{allow: true, access: "rwm"}]}},
		annotations: {"container-type": "container", "container-name": "c-\($i)", "sandbox-id": $uid, "sandbox-name": "web-\($pod)",
			"sandbox-namespace": "prod", "sandbox-uid": $uid} | with_entries(.key |= "io.kubernetes.cri." + .)}' >"$dir/spec.$1"
	ctr containers create --config "$dir/spec.$1" "$(cid "$1")"
}

start() { # NUMBER
	ctr tasks start --null-io --detach "$(cid "$1")"
}

ended() {
	local tasks
	tasks=$(ctr tasks list) && ! grep RUNNING <<<"$tasks"
}

remove() {
	# shellcheck disable=SC2046 # ids
	ctr tasks rm $(ctr tasks list --quiet) && ctr containers rm $(ctr containers list --quiet)
}

each() { # COMMAND
	local i k
	for ((k = 0; k < PODS; k++)); do
		for ((i = k; i < COUNT; i += PODS)); do "$1" "$i" || exit; done 3>&- &
		workers+=($!)
	done
	for k in "${workers[@]}"; do wait "$k"; done
	workers=()
}

@test "containerd's containers that live for a moment are called by their names" {
	local i begin took
	loop_make 16
	# shellcheck disable=SC2016 # $0 is the container's number
	echo 'busybox dd if='"$loop"' of=/dev/null bs=4096 count=2 skip=$0 iflag=direct 2>/dev/null; busybox usleep 50000' >"$dir/script"
	each create
	agent_start
	begin=${EPOCHREALTIME/[.,]/}
	each start
	took=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
	until_true ended
	remove >"$dir/removed"
	for ((i = 0; i < COUNT; i++)); do echo "prod/web-$((i % PODS))/c-$i $(cid "$i") $(cgroup "$i")"; done | sort >"$dir/expected"
	named() {
		ctl ps --all --json | jq -r 'select(.runtime == "containerd" and .state == "exited") | "\(.container) \(.id) \(.cgroup)"' |
			grep "^prod/web-./c-" | sort | diff "$dir/expected" -
	}
	until_true named
	echo "# $COUNT started in $took ms: $((COUNT * 1000 / took)) a second, all named" >&3
	until_true read_twice_each "$COUNT" '^prod/web-./c-'
}
