#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2016 # the tests' shells expand
# That `run` tells every way in which a test can end, and that one does not take the others with it.

setup() {
	VM=$BATS_TEST_TMPDIR/tests/vm
	mkdir -p "$BATS_TEST_TMPDIR/tests"
	cp -r "$BATS_TEST_DIRNAME" "$VM"
	rm "$VM"/t/*
}

add() { # NAME HEAD-LINE COMMANDS
	printf '#!/bin/bash\n# desc: about %s\n%s\n. "$(dirname "$0")/../lib/test.sh"\n%s\n' "$1" "$2" "$3" >"$VM/t/$1.sh"
	chmod +x "$VM/t/$1.sh"
}

@test "each end of a test is told, and the others run all the same" {
	add a-passes "# core" 'echo a line of output; note a line for people'
	add b-fails "# core" 'echo why it fails; false; echo not reached'
	add c-skips "# core" 'skip no such thing here'
	add d-hangs "# needs: time 3" 'sleep 100000'
	add e-panics "# core" 'echo last words; echo c >/proc/sysrq-trigger; sleep 100000'
	add f-leaves "# needs: fast-disk 16M" 'modprobe loop; sleep 100000 & mkdir /sys/fs/cgroup/left; dd if=/dev/zero of=$(disk fast0) bs=1M count=1'
	add g-locks "# core" 'sleep 100000 & mkdir -p /sys/fs/cgroup/held; echo 1 >/sys/fs/cgroup/held/cgroup.freeze; echo $! >/sys/fs/cgroup/held/cgroup.procs'
	add h-passes "# core" '[ ! -e /sys/fs/cgroup/left ]; [ "$(pgrep -c sleep)" = 0 ] || ! pgrep sleep'
	add i-lacks "# needs: package no-such-package-at-all" 'true'
	run "$VM/run" 6.1
	echo "$output"
	[ "$status" = 1 ]
	grep -qx "ok 6.1 a-passes: about a-passes" <<<"$output"
	grep -qx "#   a line for people" <<<"$output"
	! grep -q "a line of output" <<<"$output" || return
	grep -qx "not ok 6.1 b-fails: about b-fails" <<<"$output"
	grep -qx "#   why it fails" <<<"$output"
	grep -qx "#   line [0-9]*: false: status 1" <<<"$output"
	grep -qx "skip 6.1 c-skips: no such thing here" <<<"$output"
	grep -qx "not ok 6.1 d-hangs: ran longer than its limit of 3 s" <<<"$output"
	grep -qx "not ok 6.1 e-panics: about e-panics" <<<"$output"
	grep -qx "#   last words" <<<"$output"
	grep -q "#   .*Kernel panic - not syncing: sysrq triggered crash" <<<"$output"
	grep -qx "ok 6.1 f-leaves: about f-leaves" <<<"$output"
	grep -qx "ok 6.1 g-locks: about g-locks" <<<"$output"
	grep -qx "ok 6.1 h-passes: about h-passes" <<<"$output"
	grep -qx "skip 6.1 i-lacks: not installed: no-such-package-at-all (apt-get install no-such-package-at-all)" <<<"$output"
	[ "${lines[-1]}" = "4 passed, 3 failed, 2 skipped" ]
}

@test "all passed: 0; --core leaves out the others" {
	add passes "# core" true
	add fails "# needs: time 10" false
	run "$VM/run" --core 6.1
	[ "$status" = 0 ]
	[ "${lines[-1]}" = "1 passed, 0 failed, 0 skipped" ]
}

@test "without a kernel every test fails, and says so" {
	add passes "# core" true
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\nexit 100\n' | tee "$BATS_TEST_TMPDIR/bin/apt-get" >"$BATS_TEST_TMPDIR/bin/apt-cache"
	chmod +x "$BATS_TEST_TMPDIR"/bin/*
	PATH=$BATS_TEST_TMPDIR/bin:$PATH VSTOR_GUEST_CACHE=$BATS_TEST_TMPDIR/cache run "$VM/run"
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = "0 passed, 2 failed, 0 skipped" ]
	[[ $output == *"not ok 6.1 passes"*"apt knows no package linux-image-6.1"* ]]
}

@test "wrong usage: 2" {
	add passes "# core" true
	run "$VM/run" 5.0
	[ "$status" = 2 ]
	run "$VM/run" 6.1 no-such-test
	[ "$status" = 2 ]
	run "$VM/run" --frobnicate
	[ "$status" = 2 ]
}
