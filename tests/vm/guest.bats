#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2016,SC2317 # the guest's shell expands; what is called through wait_for is called
# How `guest` ends: its statuses, its messages, and that nothing of it stays.

setup() {
	GUEST=$BATS_TEST_DIRNAME/guest
	CACHE=${VSTOR_GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vstor-guest}
	cd "$BATS_TEST_DIRNAME" || return
}

setup_file() {
	"$BATS_TEST_DIRNAME/guest" kernels 6.1
}

# A PATH with these programs only.
only() { # PROGRAM...
	local p
	mkdir "$BATS_TEST_TMPDIR/bin"
	for p; do ln -s "$(command -v "$p")" "$BATS_TEST_TMPDIR/bin/"; done
	echo "$BATS_TEST_TMPDIR/bin"
}

descendant() { # PID NAME → the process of that name below it
	local p
	for p in $(pgrep -P "$1"); do
		if [ "$(<"/proc/$p/comm")" = "$2" ]; then echo "$p"; else descendant "$p" "$2"; fi
	done
}

wait_for() { # COMMAND...
	local end=$((SECONDS + 300))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

@test "output and status are the command's, arguments arrive as they are, disks are there" {
	run "$GUEST" run -k 6.1 --fast-disk 16M --slow-disk 300:32M -- bash -c \
		'echo "$1"; echo two >/dev/stderr; blockdev --getsize64 $VSTOR_DISK_fast0 $VSTOR_DISK_slow0; uname -r; exit 37' x 'a  "b $c'
	[ "$status" = 37 ]
	[ "${lines[0]}" = 'a  "b $c' ]
	[ "${lines[1]}" = two ]
	[ "${lines[2]}" = $((16 << 20)) ]
	[ "${lines[3]}" = $((32 << 20)) ]
	[[ ${lines[4]} == 6.1.* ]]
}

@test "what the guest writes does not reach this machine" {
	run "$GUEST" run -k 6.1 -- bash -c 'echo x >written-by-the-guest && cat written-by-the-guest'
	[ "$status" = 0 ]
	[ "$output" = x ]
	[ ! -e written-by-the-guest ]
}

@test "much output arrives whole, and a process left behind holds nothing up" {
	run "$GUEST" run -k 6.1 -- bash -c 'sleep 100000 & seq 200000'
	[ "$status" = 0 ]
	[ "${#lines[@]}" = 200000 ]
	[ "${lines[199999]}" = 200000 ]
}

@test "a kernel panic: 122, and the console" {
	run "$GUEST" run -k 6.1 -- bash -c 'echo before; echo c >/proc/sysrq-trigger'
	[ "$status" = 122 ]
	[[ $output == *before*"the kernel crashed"*"Kernel panic - not syncing: sysrq triggered crash"* ]]
	[[ $output != *"once more"* ]]
}

# A PATH with a qemu that panics so many times before it is one.
panics_at_boot() { # TIMES
	mkdir "$BATS_TEST_TMPDIR/bin"
	cat >"$BATS_TEST_TMPDIR/bin/qemu-system-x86_64" <<-END
		#!/bin/bash
		if [ "\$(wc -l <"$BATS_TEST_TMPDIR/starts")" -lt $1 ]; then
			echo >>"$BATS_TEST_TMPDIR/starts"
			echo "Kernel panic - not syncing: not yet" >"\$(printf '%s\n' "\$@" | sed -n 's/^file:\(.*console\)$/\1/p')"
			exit 0
		fi
		exec $(command -v qemu-system-x86_64) "\$@"
	END
	chmod +x "$BATS_TEST_TMPDIR/bin/qemu-system-x86_64"
	: >"$BATS_TEST_TMPDIR/starts"
	echo "$BATS_TEST_TMPDIR/bin:$PATH"
}

@test "a panic before the command began: said, and booted once more" {
	PATH=$(panics_at_boot 1) run "$GUEST" run -k 6.1 -- echo hello
	[ "$status" = 0 ]
	[[ ${lines[0]} == "guest: the kernel crashed (Kernel panic - not syncing: not yet) before the command began: booting once more" ]]
	[ "${lines[1]}" = hello ]
}

@test "a panic before the command began, twice: 122" {
	PATH=$(panics_at_boot 2) run "$GUEST" run -k 6.1 -- echo hello
	[ "$status" = 122 ]
	[[ $output == *"once more"*"the kernel crashed. Its console"*"not yet"* ]]
	[ "$(wc -l <"$BATS_TEST_TMPDIR/starts")" = 2 ]
}

@test "a command over its limit: 124, and who waits for what" {
	run "$GUEST" run -k 6.1 -t 3 -- sleep 100000
	[ "$status" = 124 ]
	[[ $output == *"after its limit of 3 s"*"sysrq: Show Blocked State"* ]]
}

@test "a guest that hangs: 123" {
	export VSTOR_GUEST_BOOT_LIMIT=120
	run "$GUEST" run -k 6.1 -t 3 -- bash -c 'echo -1 >/proc/sys/kernel/sched_rt_runtime_us
		for i in 1 2 3 4; do chrt -f 99 bash -c "while :; do :; done" & done; wait'
	[ "$status" = 123 ]
	[[ $output == *"the guest hung"* ]]
}

@test "a qemu that cannot start: 121, and what it says" {
	run "$GUEST" run -k 6.1 -m 999999999 -- true
	[ "$status" = 121 ]
	[[ $output == *"guest: qemu: "*"before the command did"* ]]
}

@test "a qemu that dies: 121" {
	"$GUEST" run -k 6.1 -- sleep 100000 >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local guest=$! status=0
	qemu_runs() { qemu=$(descendant "$guest" qemu-system-x86) && [ -n "$qemu" ]; }
	wait_for qemu_runs
	kill -SEGV "$qemu"
	wait $guest || status=$?
	[ "$status" = 121 ]
	grep -q "before the command did" "$BATS_TEST_TMPDIR/out"
}

@test "no kernel: 120, and the package" {
	VSTOR_GUEST_CACHE=$BATS_TEST_TMPDIR run "$GUEST" run -k 6.1 -- true
	[ "$status" = 120 ]
	[[ $output == *"package linux-image-6.1"* ]]
}

@test "no qemu: 120, and the package" {
	PATH=$(only bash dirname realpath awk) run "$GUEST" run -k 6.1 -- true
	[ "$status" = 120 ]
	[[ $output == *"apt-get install qemu-system-x86"* ]]
}

@test "without apt's lists the kernel that is there stays" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\nexit 100\n' | tee "$BATS_TEST_TMPDIR/bin/apt-get" >"$BATS_TEST_TMPDIR/bin/apt-cache"
	chmod +x "$BATS_TEST_TMPDIR"/bin/*
	PATH=$BATS_TEST_TMPDIR/bin:$PATH run "$GUEST" kernels 6.1
	[ "$status" = 0 ]
	[[ $output == *"staying with $CACHE/6.1_"* ]]
}

@test "wrong usage: 2" {
	run "$GUEST" run -k 5.0 -- true
	[ "$status" = 2 ]
	run "$GUEST" run -k 6.1
	[ "$status" = 2 ]
	run "$GUEST" run -k 6.1 --fast-disk much -- true
	[ "$status" = 2 ]
	run "$GUEST" run -k
	[ "$status" = 2 ]
	run "$GUEST" frobnicate
	[ "$status" = 2 ]
}

@test "killed, it takes qemu along, and the next run removes its files" {
	"$GUEST" run -k 6.1 -- sleep 100000 >/dev/null 2>&1 3>&- &
	local guest=$!
	qemu_runs() { qemu=$(descendant "$guest" qemu-system-x86) && [ -n "$qemu" ]; }
	wait_for qemu_runs
	local dir
	dir=$(tr '\0' '\n' <"/proc/$qemu/cmdline" | sed -n 's/^file:\(.*\)\/console$/\1/p')
	[ -d "$dir" ]
	kill -KILL $guest
	qemu_gone() { [ ! -e "/proc/$qemu" ]; }
	wait_for qemu_gone
	run "$GUEST" run -k 6.1 -- true
	[ "$status" = 0 ]
	[ ! -e "$dir" ]
}

@test "terminated, it leaves nothing" {
	"$GUEST" run -k 6.1 -- sleep 100000 >/dev/null 2>&1 3>&- &
	local guest=$! status=0
	qemu_runs() { qemu=$(descendant "$guest" qemu-system-x86) && [ -n "$qemu" ]; }
	wait_for qemu_runs
	local dir
	dir=$(tr '\0' '\n' <"/proc/$qemu/cmdline" | sed -n 's/^file:\(.*\)\/console$/\1/p')
	kill -TERM $guest
	wait $guest || status=$?
	[ $status = 143 ]
	[ ! -e "/proc/$qemu" ]
	[ ! -e "$dir" ]
}
