#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Real containers of podman's, as fast as they start here: each has its name, its id and its I/O.
bats_require_minimum_version 1.5.0
load lib
load containers

COUNT=120 # started by 6 podmans at a time

setup() {
	starters=()
	agent_setup /dev/shm # podman waits for the disk at each step
	containers_setup
	runtime_setup podman conmon
	# no limits other than this machine can have; and its locks would be in /dev/shm, for all to see
	cat >"$dir/containers.conf" <<-'END'
		[containers]
		pids_limit = 0
		default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
		[engine]
		lock_type = "file"
		events_logger = "none"
	END
	# A podman for each container that ends takes as long as to start one. What removes the container is crun: ask that.
	cat >"$dir/conmon" <<-END
		#!/bin/sh
		exec conmon "\$@" --exit-command "$dir/ended"
	END
	cat >"$dir/ended" <<-'END'
		#!/bin/sh
		for id; do :; done
		exec crun delete "$id"
	END
	chmod +x "$dir/conmon" "$dir/ended"
	{ create first true && pod start first && pod rm --force first; } >"$dir/first" 2>&1 ||
		skip "podman starts no container here: $(tail -1 "$dir/first")"
}

teardown() {
	[ ${#starters[@]} = 0 ] || wait "${starters[@]}" || true # they end by themselves
	[ ! -x "${dir-}/ended" ] || { pod rm --force --time 0 --all; cgroups_remove; } >/dev/null 2>&1 || true
	agent_teardown
	containers_teardown
}

# podman keeps these, empty, and each conmon is in one until it has ended; whoever has containers of his own has them in use.
cgroups_remove() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		find "$unified/libpod_parent" -depth -type d -exec rmdir {} + || true
		[ -d "$unified/libpod_parent" ] || break
		sleep 0.05
	done
}

pod() {
	CONTAINERS_CONF=$dir/containers.conf "$dir/as-runtime" podman --root /var/lib/containers/storage --runroot /run/containers/storage \
		--conmon "$dir/conmon" --runtime crun --cgroup-manager=cgroupfs "$@" 3>&-
}

create() { # NAME COMMAND
	pod create --name "$1" --network=none --log-driver=none --privileged --rootfs "$dir/rootfs" /bin/busybox sh -c "$2" >/dev/null
}

@test "podman's containers that live for a moment are called by their names" {
	local i k begin took
	loop_make 16
	for ((i = 0; i < COUNT; i++)); do
		create "web-$i" "busybox dd if=$loop of=/dev/null bs=4096 count=2 skip=$i iflag=direct 2>/dev/null; busybox usleep 50000"
	done
	agent_start
	begin=${EPOCHREALTIME/[.,]/}
	for ((k = 0; k < 6; k++)); do
		pod start $(seq -f 'web-%g' $((k * COUNT / 6)) $(((k + 1) * COUNT / 6 - 1))) >/dev/null &
		starters+=($!)
	done
	wait "${starters[@]}"
	starters=()
	took=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
	pod ps --all --no-trunc --format '{{.Names}} {{.ID}}' | sort >"$dir/podmans"
	named() {
		ctl ps --all --json | jq -r 'select(.runtime == "podman" and .state == "exited") | "\(.container) \(.id)"' | grep ^web- |
			sort | diff "$dir/podmans" -
	}
	until_true named
	echo "# $COUNT started in $took ms: $((COUNT * 1000 / took)) a second, all named" >&3
	until_true read_twice_each "$COUNT" '^web-'
}
