#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What the agent keeps of its capabilities once it is ready, and that what comes later still works with these.
bats_require_minimum_version 1.5.0
load lib
load locks

# CAP_DAC_READ_SEARCH 2, CAP_SYS_PTRACE 19, CAP_SYS_ADMIN 21, CAP_SYSLOG 34, CAP_PERFMON 38, CAP_BPF 39
KEPT=000000c400280004
READ=0000000000000004
NONE=0000000000000000
OVERRIDE=000000c400280006 # and CAP_DAC_OVERRIDE 1

setup() {
	agent_setup
	cp "$VSTORD" "${VSTORD%/*}/vstor-actor" "$dir/" # where other users can start them
	chmod 755 "$dir/vstord" "$dir/vstor-actor"
}

teardown() {
	agent_teardown
}

set_of() { # SET TASK-DIRECTORY
	sed -n "s/^Cap$1:\t//p" "$2/status"
}

# The sets of all threads but the first, each once.
others_have() {
	local task
	for task in "/proc/$agent/task"/*; do
		[ "${task##*/}" = "$agent" ] || set_of Eff "$task"
	done | sort -u
}

keeps() { # HEX
	local set
	for set in Eff Prm; do
		echo "$set: $(set_of $set "/proc/$agent")"
		[ "$(set_of $set "/proc/$agent")" = "$1" ]
	done
	[ "$(set_of Inh "/proc/$agent")" = "$NONE" ]
}

# The set that status lists, from the kernel's numbers of capabilities.
listed() {
	local mask=0 name
	for name in $(ctl status --json | jq -r '.capabilities[].name' | sort -u); do
		mask=$((mask | 1 << $(awk -v c="$name" '$1 == "#define" && $2 == c { print $3 }' /usr/include/linux/capability.h)))
	done
	printf '%016x\n' "$mask"
}

attached() { # NAME-OF-PROBE
	ctl status --json | jq -e --arg n "$1" 'any(.probes[]; .name == $n and .state == "attached")'
}

nothing_failed() {
	run ! grep -E "cannot|could not" "$dir/log"
}

@test "caps: once ready each thread has what the table says, and status says why" {
	agent_start
	keeps $KEPT
	[ "$(others_have)" = "$NONE
$READ" ]
	[ "$(listed)" = $KEPT ]
	ctl status --json | jq -e '.capabilities | length == 6 and all(.[]; (.why | length > 20) and .threads[0] == "loop")'
	ctl status | grep -q "^  keeps     CAP_BPF: to load the probes of filesystems"
	ctl status | grep -q "^            CAP_SYS_ADMIN: to measure what the probes cost"
}

@test "caps: filesystems that are mounted later get their probes, and the cost is measured" {
	agent_start --fsync --interval 0.1
	findmnt -t xfs || run ! attached xfs_write # that it comes later is seen only where no xfs is mounted
	loop_make 340
	mkdir "$dir/mnt"
	mkfs.xfs -q "$loop"
	mount "$loop" "$dir/mnt"
	until_true attached xfs_write
	until_true attached fsync_xfs_begin
	umount "$dir/mnt"
	mkfs.ext4 -qF "$loop"
	mount "$loop" "$dir/mnt"
	until_true attached handle_start
	until_true attached fsync_ext4_begin
	within 20 lived 5 # the cost is measured every 30 intervals, so at least once since it was ready
	is_measured
	keeps $KEPT
	nothing_failed
}

lived() { # SECONDS
	ctl status --json | jq -e --argjson s "$1" '.uptime > $s'
}

is_measured() {
	dd if=/dev/zero of="$dir/mnt/file" bs=4k count=64 oflag=direct status=none
	within 20 cost_is_known
}

cost_is_known() {
	ctl status --json | jq -e '.self.cost_percent > 0 and any(.probes[]; .runs > 0 and .run_ns > 0)'
}

@test "caps: the actor that is started again has its own" {
	local first
	printf 'version: 1\nrules: []\n' >"$dir/policy.yaml"
	agent_start --act --policy "$dir/policy.yaml" --state "$dir/state"
	keeps $KEPT
	within 10 actor_is_not 0
	first=$(actor_pid)
	kill -9 "$first"
	within 10 actor_is_not "$first"
	[ "$(set_of Eff "/proc/$(actor_pid)")" = 0000000000800002 ] # CAP_DAC_OVERRIDE, CAP_SYS_NICE
	kill -HUP "$agent"
	agent_stop
}

actor_pid() {
	ctl policy status --json | jq -r 'select(.type == "policy").actor_pid'
}

actor_is_not() { # PID
	ctl policy status --json |
		jq -es --argjson p "$1" 'map(select(.type == "policy"))[0] | .actor_pid != $p and .actor == "ready"'
}

@test "caps: so has the one of an agent with no_new_privs, as the unit starts it" {
	local first
	printf 'version: 1\nrules: []\n' >"$dir/policy.yaml"
	printf '#!/bin/sh\nexec setpriv --no-new-privs %s "$@"\n' "$dir/vstord" >"$dir/plain"
	chmod 755 "$dir/plain"
	VSTORD=$dir/plain
	agent_start --act --policy "$dir/policy.yaml" --state "$dir/state"
	within 10 actor_is_not 0
	first=$(actor_pid)
	kill -9 "$first"
	within 10 actor_is_not "$first"
	[ "$(set_of Eff "/proc/$(actor_pid)")" = 0000000000800002 ]
	agent_stop
}

@test "caps: a socket in another user's directory is removed at the end" {
	mkdir "$dir/foreign"
	chown 65534 "$dir/foreign"
	sock=$dir/foreign/s.sock
	agent_start
	keeps $OVERRIDE
	[ "$(listed)" = $OVERRIDE ]
	ctl status | grep -q "CAP_DAC_OVERRIDE: to remove the control socket"
	agent_stop
	[ ! -e "$sock" ]
}

# The agent as a user who has these only.
start_as_user() { # CAPABILITIES OPTION...
	chown 65534 "$dir"
	cat >"$dir/plain" <<-END
		#!/bin/sh
		exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all,$1 --ambient-caps=$1 $dir/vstord "\$@"
	END
	chmod 755 "$dir/plain"
	VSTORD=$dir/plain
	agent_start "${@:2}"
}

@test "caps: what a user other than root was not given does not come, and the rest goes" {
	start_as_user +bpf,+perfmon,+sys_admin,+sys_nice,+net_admin -v
	[ "$(set_of Prm "/proc/$agent")" = 000000c000200000 ]
	[ "$(set_of Amb "/proc/$agent")" = 000000c000200000 ]
	[ "$(listed)" = 000000c000200000 ]
	[ "$(others_have)" = $NONE ]
	run ! grep "cannot give up" "$dir/log"
}

@test "caps: a user other than root who acts keeps what the actor needs, also when that is started again" {
	local first
	printf 'version: 1\nrules: []\n' >"$dir/policy.yaml"
	start_as_user +bpf,+perfmon,+sys_admin,+sys_nice,+dac_override,+net_admin \
		--act --policy "$dir/policy.yaml" --state "$dir/state"
	[ "$(set_of Prm "/proc/$agent")" = 000000c000a00002 ]
	within 10 actor_is_not 0
	first=$(actor_pid)
	kill -9 "$first"
	within 10 actor_is_not "$first"
	[ "$(set_of Eff "/proc/$(actor_pid)")" = 0000000000800002 ]
	ctl status | grep -q "CAP_SYS_NICE: to hand it to vstor-actor"
}

as_user() { # CAPABILITIES COMMAND...
	setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps="-all,$1" --ambient-caps="$1" "${@:2}"
}

# Whether these are enough depends on the kernel: types that are in modules are for CAP_SYS_ADMIN only. doctor knows.
@test "caps: with CAP_BPF and CAP_PERFMON only it starts, or says that it may not, as doctor does" {
	local code=0
	cp "$VSTORCTL" "$dir/vstorctl"
	chmod 755 "$dir/vstorctl"
	run as_user +bpf,+perfmon "$dir/vstorctl" --socket "$dir/none.sock" doctor
	if start_as_user +bpf,+perfmon; then
		[ "$(set_of Prm "/proc/$agent")" = 000000c000000000 ]
		[[ "$output" == *"✓ capabilities"*"CAP_BPF and CAP_PERFMON, which is enough here"* ]]
		return
	fi
	wait "$agent" || code=$?
	agent=
	[ $code -eq 4 ]
	grep -q 'not permitted: capabilities: this user does not have CAP_SYS_ADMIN' "$dir/log"
	[ "$status" -eq 4 ]
	[[ "$output" == *"? capabilities"*"this user does not have CAP_SYS_ADMIN, and struct "* ]]
}
