# SPDX-License-Identifier: GPL-2.0-only
# Containers without a runtime, for tests with a real agent; after lib.bash. shellcheck shell=bash

# What must be there for them, and an agent that finds runtimes' files below $root: in its own mount namespace, so that
# nothing of this machine's is touched.
containers_setup() {
	root=$dir/root
	seed=$$.$BATS_TEST_NUMBER
	cgroups=()
	churns=()
	mapfile -t trees < <(awk '$3 == "cgroup2" { print $2 }
		$3 == "cgroup" && $4 ~ /(^|,)(blkio|memory)(,|$)/ { print $2 }' /proc/mounts)
	[ ${#trees[@]} -gt 0 ] || skip "no cgroup file system is mounted"
	[ -w "${trees[0]}" ] || skip "${trees[0]} cannot be written to"
	command -v python3 >/dev/null || skip "not installed: python3"
	mkdir -p "$root/var/lib/docker/containers" "$root/run"
	cat >"$dir/vstord" <<-END
		#!/bin/sh
		exec unshare --mount --propagation private sh -c \\
			'mount --bind "$root/var/lib" /var/lib && mount --bind "$root/run" /run && exec "$VSTORD" "\$@"' vstord "\$@"
	END
	chmod +x "$dir/vstord"
	VSTORD=$dir/vstord
}

# For tests with a real runtime: $dir/as-runtime runs it. It sees what is below $root for its own, as the agent does, and
# cgroup v2 alone, whatever else this machine has: so crun runs, which starts a container in the least time. Mounts end with
# it. $dir/rootfs is for the containers.
runtime_setup() { # PROGRAM...
	local tool
	for tool in "$@" crun busybox; do
		command -v "$tool" >/dev/null || skip "not installed: $tool"
	done
	unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$unified" ] || skip "cgroup v2 is not mounted"
	trees=("$unified")
	mkdir -p "$dir/rootfs/bin" "$dir/rootfs/dev" "$dir/rootfs/proc"
	cp "$(command -v busybox)" "$dir/rootfs/bin/busybox"
	cat >"$dir/as-runtime" <<-END
		#!/bin/sh
		exec unshare --mount --propagation private sh -c 'mount --bind "$root/var/lib" /var/lib &&
			mount --bind "$root/run" /run && mount --bind "$unified" /sys/fs/cgroup && exec "\$@"' sh "\$@"
	END
	chmod +x "$dir/as-runtime"
}

# So many containers with such names have two reads of $loop each, in their own rows.
read_twice_each() { # COUNT REGEX
	ctl io --total --json | jq -se --argjson n "$1" --arg names "$2" --arg d "${loop#/dev/}" '[.[] | select(.device == $d
		and .op == "read" and (.container | test($names)))] | group_by(.container) | map(map(.ios) | add)
		| if length == $n and all(. == 2) then true else "\(length) of \($n), I/Os \(.)" | halt_error end'
}

containers_teardown() {
	local i tries
	for i in "${churns[@]}"; do
		containers_py clean /dev/null --seed "$i" --count 1000 || true
	done
	for ((i = ${#cgroups[@]} - 1; i >= 0; i--)); do
		for ((tries = 0; tries < 400; tries++)); do
			[ -d "${cgroups[i]}" ] || break
			! compgen -G "${cgroups[i]}/*/cgroup.procs" >/dev/null || break # another run's
			xargs -r kill -9 <"${cgroups[i]}/cgroup.procs" 2>/dev/null
			rmdir "${cgroups[i]}" 2>/dev/null && break
			sleep 0.05
		done
	done
}

containers_py() { # COMMAND FILE OPTION...
	local t args=()
	for t in "${trees[@]}"; do args+=(--tree "$t"); done
	python3 "$BATS_TEST_DIRNAME/containers.py" "$@" --root "$root" "${args[@]}"
}

churn() { # NAME OPTION...
	churns+=("$seed" "$seed.again")
	containers_py run "$dir/$1" --device "$loop" --seed "$seed" "${@:2}" >"$dir/out" 3>&-
	echo "# agent $1: $(cat "$dir/out")" >&3
}

# As many, one by one, beside the agent while it runs and while it is stopped.
cycles() { # NAME OPTION...
	churns+=("$seed.$1")
	containers_py cycles "$dir/$1" --device "$loop" --seed "$seed.$1" --watch "$agent" "${@:2}" 3>&-
	echo "# from files to removal, microseconds: $(cat "$dir/$1")" >&3
}

containers_check() { # NAME
	ctl io --total --json >"$dir/rows"
	containers_py check "$dir/$1" "$dir/rows" >"$dir/checked" 2>"$dir/wrong"
	cat "$dir/wrong" "$dir/checked"
}

# A loop device, and what a container would read beside what it is told to: partitions are looked for by the first that opens
# it, and programs that nobody used for a while are not in memory any more.
device_make() { # MB
	loop_make "$1"
	in_cgroup "" dd if="$loop" of=/dev/null bs=4k count=1 iflag=direct status=none
}

# Reads with as many requests at once as the device has, on every CPU.
requests_use() {
	fio --name=use --filename="$loop" --rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=256 --numjobs=2 \
		--number_ios=2000 --size=16M >/dev/null 3>&-
}

# All are counted, each its own, and none of the parent cgroup, which the kernel charges now and then. An I/O whose
# end the kernel did not tell is counted when its request is used again: so use them all.
containers_counted() { # NAME
	requests_use
	containers_check "$1"
	jq -e '.counted == .containers and .ios_of_parents == 0' "$dir/checked" >/dev/null
}

# The books of our device balance; those of others wait for what they do next.
loop_holds() {
	ctl check --json | jq -se --arg d "${loop#/dev/}" 'any(.[]; .device == $d and .holds)' >/dev/null ||
		{ ctl check; requests_use; return 1; }
}

# --- single ones; an id is 4 hex digits here. The rest of the 64 tells them from those of another run ---

long() { # ID
	printf '%s%08x%052d' "$1" $$ 0
}

cgroup_new() { # PATH: and those above it
	local t part d
	local -a parts
	IFS=/ read -ra parts -d '' < <(printf '%s/\0' "${1#/}") || true
	for t in "${trees[@]}"; do
		d=$t
		for part in "${parts[@]}"; do
			! grep -qsw io "$d/cgroup.controllers" || echo +io +memory >"$d/cgroup.subtree_control"
			d=$d/$part
			[ ! -d "$d" ] || continue
			mkdir "$d"
			cgroups+=("$d")
		done
	done
}

in_cgroup() { # PATH COMMAND...
	local path=$1
	shift
	(for t in "${trees[@]}"; do echo $BASHPID >"$t$path/cgroup.procs" || exit; done && exec "$@")
}

container_files() { # ID NAME
	local d
	d=$root/var/lib/docker/containers/$(long "$1")
	mkdir -p "$d"
	python3 -c 'import os, sys, json
text = json.dumps({"Name": "/@", "Config": {"Image": "test"}}).encode()
name = os.fsencode(sys.argv[1])
escaped = b"".join(b"\\u%04x" % c if c < 32 else bytes([c]) for c in name)
os.write(1, text.replace(b"@", escaped))' "$2" >"$d/config.v2.json"
}

container_new() { # ID NAME
	container_files "$1" "$2"
	cgroup_new "/docker/$(long "$1")"
}

in_container() { # ID COMMAND...
	in_cgroup "/docker/$(long "$1")" "${@:2}"
}

container_end() { # ID
	local t
	for t in "${trees[@]}"; do rmdir "$t/docker/$(long "$1")"; done
}
