#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Is the kind true? Every block of a fresh filesystem after a mixed workload: what the probes said of it against what the
# extent maps say. KIND_CASES="ext4-1k ..." runs other variants; tests/bpf/kind_check.py has the list.

bats_require_minimum_version 1.5.0

TOP=$BATS_TEST_DIRNAME/../..

setup() {
	[ "$(id -u)" -eq 0 ] || skip "mounting and probing need root"
	for program in vstord tests/bpf/kind_trace; do
		[ -x "$TOP/build/$program" ] || { echo "no build/$program: run make all tests"; return 1; }
	done
}

# A mount namespace of its own: what is mounted goes away with it.
alone() { # PROGRAM ARGS
	local program=$1
	shift
	run unshare -m /usr/bin/python3 "$TOP/tests/bpf/$program" "$@"
	echo "$output"
	[ "$status" -ne 77 ] || skip "$(grep '^skipped' <<<"$output")"
	grep '^\(skipped\|not tested\)' <<<"$output" >&3 || true
	[ "$status" -eq 0 ]
}

@test "kind and size are true on ext4" { alone kind_check.py ext4; }

@test "kind and size are true on ext4 that journals data" { alone kind_check.py ext4-data-journal; }

@test "kind and size are true on xfs" { alone kind_check.py xfs; }

@test "kind and size are true on btrfs" { alone kind_check.py btrfs; }

@test "kind and size are true on btrfs with two copies of its metadata" { alone kind_check.py btrfs-dup; }

@test "kind and size are true on more variants, if asked for" {
	[ -n "${KIND_CASES-}" ] || skip "KIND_CASES names none"
	for case in $KIND_CASES; do
		alone kind_check.py "$case"
	done
}

@test "raw devices, swap, loop devices' files, discards, encrypted files and zram are told apart" { alone kind_other.py; }
