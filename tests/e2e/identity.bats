#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# A container is its cgroup, whatever it is called: one row for each key, names that follow, and the right one of several
# hierarchies.
bats_require_minimum_version 1.5.0
load lib
load containers

setup() {
	agent_setup
	containers_setup
	moved=
}

teardown() {
	agent_teardown
	[ -z "$moved" ] || rmdir "$moved" || true
	containers_teardown
}

read_some() { # PATH COUNT
	in_cgroup "$1" dd if="$loop" of=/dev/null bs=4k count="$2" iflag=direct status=none
}

# The rows of our device below a path: "container ios", sorted.
rows_below() { # PATH
	ctl io --total --json | jq -r --arg p "$1" --arg d "${loop#/dev/}" \
		'select((.cgroup | startswith($p)) and .device == $d and .op == "read") | "\(.container) \(.ios)"' | sort
}

rows_are() { # PATH LINE...
	[ "$(rows_below "$1")" = "$(printf '%s\n' "${@:2}")" ] || { rows_below "$1"; return 1; }
}

no_key_twice() {
	ctl io --total --json | jq -se 'group_by([.cgroup, .container, .device, .layer, .op, .kind, .size, .witness, .patterns, .class]) |
		map(select(length > 1)) == []' >/dev/null
}

@test "a container that is removed and made again, and one with many cgroups inside, have one row for each key" {
	device_make 16
	agent_start
	for i in 1 2 3; do
		container_new aaaa db
		in_container aaaa dd if="$loop" of=/dev/null bs=4k count="$i" iflag=direct status=none
		container_end aaaa
	done
	until_true rows_are "/docker/$(long aaaa)" "db 6"
	for unit in a b c; do
		cgroup_new "/lxc.payload.web$$/system.slice/$unit.service"
		read_some "/lxc.payload.web$$/system.slice/$unit.service" 2
	done
	until_true rows_are "/lxc.payload.web$$" "web$$ 6"
	no_key_twice
}

@test "jobs below a delegated unit are told apart by name" {
	device_make 16
	unit=/vstor$$.slice/slurmstepd.scope
	agent_start
	cgroup_new "$unit/job_101/step_0/user/task_0"
	cgroup_new "$unit/job_102/step_batch/user/task_0"
	read_some "$unit/job_101/step_0/user/task_0" 2
	read_some "$unit/job_102/step_batch/user/task_0" 3
	until_true rows_are "$unit/" "job_101 2" "job_102 3"
	no_key_twice
	# any unit that systemd has marked; `setfattr` may not be there
	python3 -c 'import os, sys; os.setxattr(sys.argv[1], "trusted.delegate", b"1")' "${trees[0]}$unit" ||
		skip "cgroups have no extended attributes here"
	other=/vstor$$.slice/batch.service
	cgroup_new "$other"
	for t in "${trees[@]}"; do python3 -c 'import os, sys; os.setxattr(sys.argv[1], "trusted.delegate", b"1")' "$t$other"; done
	for part in one two supervisor; do
		cgroup_new "$other/$part/inner"
		read_some "$other/$part/inner" 1
	done
	until_true rows_are "$other" "batch.service 1" "batch.service/one 1" "batch.service/two 1"
}

@test "a container that is renamed, and a version 1 cgroup that is moved, get their new names" {
	agent_start
	container_new aaaa web
	named() { get /v1/ps | jq -se --arg c "$1" --arg id "$(long "$2")" 'any(.[]; .container == $c and .id == $id)' >/dev/null; }
	until_true named web aaaa
	# docker writes another file and renames it
	d=$root/var/lib/docker/containers/$(long aaaa)
	echo '{"Name":"/web-old","Config":{"Image":"test"}}' >"$d/new"
	mv "$d/new" "$d/config.v2.json"
	container_new bbbb web
	until_true named web bbbb
	until_true named web-old aaaa
	v1=$(awk '$3 == "cgroup" && $4 ~ /(^|,)blkio(,|$)/ { print $2; exit }' /proc/mounts)
	[ -n "$v1" ] || skip "no version 1 hierarchy, whose cgroups alone can be moved"
	mkdir "$v1/before-$$"
	known() { get /v1/ps | jq -se --arg c "$1" 'any(.[]; .cgroup == $c)' >/dev/null; }
	device_make 16
	(echo $BASHPID >"$v1/before-$$/cgroup.procs" && exec dd if="$loop" of=/dev/null bs=4k count=1 iflag=direct status=none)
	until_true known "/before-$$"
	moved=$v1/after-$$
	mv "$v1/before-$$" "$moved"
	# what it does from then on
	reads() {
		(echo $BASHPID >"$moved/cgroup.procs" && exec dd if="$loop" of=/dev/null bs=4k count=1 iflag=direct status=none)
		rows_below "/after-$$" | grep "^after-$$ "
	}
	until_true reads
	no_key_twice
}

@test "a path longer than an event has room for still shows whose it is" {
	device_make 16
	agent_start
	deep=/vstor-e2e-$$-deep
	for i in 1 2 3 4; do deep=$deep/$(printf "$i%.0s" {1..250}); done
	container_files cccc deep
	cgroup_new "$deep/docker/$(long cccc)"
	read_some "$deep/docker/$(long cccc)" 2
	until_true rows_are "$deep" "deep 2"
}

@test "what a runtime leaves in its own unified cgroup is the container's of version 1" {
	[ ${#trees[@]} -gt 1 ] || skip "no version 1 hierarchy counts owners here"
	# shellcheck source=SCRIPTDIR/locks.bash
	. "$BATS_TEST_DIRNAME/locks.bash"
	unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	all=("${trees[@]}")
	v1=()
	for t in "${trees[@]}"; do [ "$t" = "$unified" ] || v1+=("$t"); done
	service=/vstor$$.slice/containerd.service
	trees=("$unified")
	cgroup_new "$service"
	trees=("${v1[@]}")
	filesystem_make ext4
	agent_start
	for id in aaaa bbbb; do
		container_new $id "one-$id"
		(for t in "${v1[@]}"; do echo $BASHPID >"$t/docker/$(long $id)/cgroup.procs"; done
			echo $BASHPID >"$unified$service/cgroup.procs"
			exec python3 - "$dir/mnt/file" 3>&- <<-'END') &
				import os, sys
				for i in range(100):
				    fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
				    os.write(fd, b"x" * 4096)
				    os.fsync(fd)
				    os.close(fd)
			END
	done
	wait %2 %3
	trees=("${all[@]}")
	journal_waits() {
		ctl blame --total --json | jq -r 'select(.resource | startswith("journal:")) | .waiter' | sort -u >"$dir/waiters"
		cat "$dir/waiters"
		grep -q '^one-' "$dir/waiters"
	}
	until_true journal_waits
	run ! grep containerd.service "$dir/waiters"
	for view in locks blame io; do
		ctl $view --total --json | jq -e --arg s "$service" 'select(.cgroup == $s or .waiter == "containerd.service")' &&
			{ echo "$view gives something to the service"; return 1; }
	done
	agent_stop
	filesystem_gone
}

@test "an agent that sees a part of the cgroups says so, and takes nobody for ended whom it cannot see" {
	unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$unified" ] || skip "cgroup v2 is not mounted"
	device_make 16
	container_new aaaa seen
	cgroup_new "/vstor-e2e-$$"
	in_cgroup "/docker/$(long aaaa)" sleep 60 3>&- &
	others+=($!)
	# as in a container with a private cgroup namespace: it sees what is below its own cgroup
	cat >"$dir/private" <<-END
		#!/bin/sh
		echo \$\$ >"$unified/vstor-e2e-$$/cgroup.procs"
		exec unshare --mount --cgroup --propagation private sh -c 'umount -R /sys/fs/cgroup; mount -t tmpfs none /sys/fs/cgroup &&
			mkdir /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified && exec "$VSTORD" "\$@"' vstord "\$@"
	END
	chmod +x "$dir/private"
	VSTORD=$dir/private agent_start
	grep -q 'shows a part of the host' "$dir/log"
	in_cgroup "/docker/$(long aaaa)" dd if="$loop" of=/dev/null bs=4k count=2 iflag=direct status=none
	running() { get /v1/ps | jq -se 'map(select(.ios == 2)) | length == 1 and .[0].state == "running"' >/dev/null || { get /v1/ps; return 1; }; }
	until_true running
}
