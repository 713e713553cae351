#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Real containers of podman's, as fast as they start here: each has its name, its id and its I/O.
bats_require_minimum_version 1.5.0
load lib
load containers

COUNT=60 # started by 6 podmans at a time

setup() {
	local tool
	agent_setup
	containers_setup
	for tool in podman runc conmon busybox; do
		command -v $tool >/dev/null || [ -x /usr/libexec/podman/$tool ] || skip "not installed: $tool"
	done
	mkdir -p "$dir/rootfs/bin" "$root/var/lib/containers/storage" "$root/run/containers"
	cp "$(command -v busybox)" "$dir/rootfs/bin/busybox"
	printf '[engine]\nlock_type = "file"\n' >"$dir/containers.conf" # else its locks stay in /dev/shm
	# the limits that podman wants are more than this machine may have
	cat >"$dir/runc" <<-'END'
		#!/bin/sh
		prev=
		for a; do
			case $prev in --bundle | -b) bundle=$a ;; esac
			prev=$a
		done
		if [ -n "${bundle-}" ]; then
			sed -Ezi 's/"rlimits":\s*\[[^]]*\]\s*,//; s/,\s*"rlimits":\s*\[[^]]*\]//' "$bundle/config.json"
		fi
		exec runc "$@"
	END
	# a podman for each container that ends takes as long as to start one
	cat >"$dir/conmon" <<-'END'
		#!/bin/bash
		for a; do
			case $a in
			--exit-command | --exit-command-arg) skip=1 ;;
			*) [ -n "${skip-}" ] || kept+=("$a"); skip= ;;
			esac
		done
		exec conmon "${kept[@]}"
	END
	chmod +x "$dir/runc" "$dir/conmon"
	pod run --rm --network=none --log-driver=none --rootfs "$dir/rootfs" /bin/busybox true >"$dir/first" 2>&1 ||
		skip "podman starts no container here: $(tail -1 "$dir/first")"
}

teardown() {
	if [ -x "$dir/runc" ]; then
		pod rm --force --all >/dev/null 2>&1 || true
		umount "$root/var/lib/containers/storage/overlay" 2>/dev/null || true # podman's, of its own store
	fi
	agent_teardown
	# podman keeps these, empty; whoever has containers of his own has them in use
	find /sys/fs/cgroup -depth -path '*/libpod_parent*' -type d -exec rmdir {} + 2>/dev/null || true
	containers_teardown
}

# Its files are where the agent looks for them: it sees $root/var/lib as /var/lib.
pod() {
	CONTAINERS_CONF=$dir/containers.conf podman --root "$root/var/lib/containers/storage" --runroot "$root/run/containers" \
		--tmpdir "$dir/libpod" --conmon "$dir/conmon" --runtime "$dir/runc" --cgroup-manager=cgroupfs "$@" 3>&-
}

@test "podman's containers that live for a moment are called by their names" {
	local i k begin took starters=()
	loop_make 16
	for ((i = 0; i < COUNT; i++)); do
		pod create --network=none --log-driver=none --privileged --name "web-$i" --rootfs "$dir/rootfs" /bin/busybox sh -c \
			"busybox dd if=$loop of=/dev/null bs=4096 count=2 skip=$i iflag=direct 2>/dev/null; busybox usleep 50000" >/dev/null
	done
	agent_start
	begin=${EPOCHREALTIME/[.,]/}
	for ((k = 0; k < 6; k++)); do
		pod start $(seq -f 'web-%g' $((k * COUNT / 6)) $(((k + 1) * COUNT / 6 - 1))) >/dev/null &
		starters+=($!)
	done
	wait "${starters[@]}"
	took=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
	named() {
		ctl ps --all --json | jq -se --argjson n "$COUNT" '[.[] | select(.runtime == "podman" and (.container | test("^web-[0-9]+$")))]
			| if length == $n then true else "\(length) of \($n): \(map(.container))" | halt_error end'
	}
	until_true named
	echo "# $COUNT started in $took ms: $((COUNT * 1000 / took)) a second, all named" >&3
	pod ps --all --no-trunc --format '{{.Names}} {{.ID}}' | sort >"$dir/podmans"
	ctl ps --all --json | jq -r 'select(.runtime == "podman" and (.container | test("^web-"))) | "\(.container) \(.id)"' | sort >"$dir/ours"
	diff "$dir/podmans" "$dir/ours"
	# two reads of the device each, in its own row
	counted() {
		ctl io --total --json | jq -se --argjson n "$COUNT" --arg d "${loop#/dev/}" '[.[] | select(.device == $d and .op == "read"
			and (.container | test("^web-")))] | group_by(.container) | map(map(.ios) | add)
			| if length == $n and all(. == 2) then true else "\(length) of \($n), I/Os \(.)" | halt_error end'
	}
	until_true counted
}
