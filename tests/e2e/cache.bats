#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# vstorctl cache keep, unkeep and what-if, as far as they need no bcache: who may ask, what is refused, what is listed. tests/vm/t/cache-keep.sh has the rest.
# shellcheck disable=SC2154 # lib.bash and bats set what is used here
load lib

setup() {
	agent_setup
	root=$(awk '$9 == "cgroup" && $NF ~ /(^|,)memory(,|$)/ { print $5; exit }' /proc/self/mountinfo)
	[ -n "$root" ] || root=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
	cg=$root/vstor-e2e-$$-$BATS_TEST_NUMBER
}

teardown() {
	[ ! -d "${cg-/nowhere}" ] || rmdir "$cg"
	agent_teardown
}

pins() { # FIELD
	ctl cache --json | jq -r "select(.is_pin) | .$1"
}

no_pins() {
	[ -z "$(pins name)" ]
}

@test "cache keep: a path without a cache below it is refused, and nothing is left" {
	agent_start
	: >"$dir/file"
	run ctl cache keep "$dir/file"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"is not kept: it is on"*"which has no cache"* || $output == *"does not tell where its files lie"* ]]
	within 5 no_pins
	run ctl cache keep "$dir/nothing"
	[ "$status" != 0 ]
	no_pins
	run ctl cache unkeep "$dir/file"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"is not kept by"* ]]
}

@test "cache keep: a container is listed until it is taken back, or gone" {
	mkdir "$cg"
	agent_start
	within 10 ctl cache keep "/${cg##*/}"
	[ "$(pins name)" = "/${cg##*/}" ]
	[ "$(pins what)" = container ]
	run ctl cache
	[[ $output == *"KEPT BY REQUEST"* ]]
	run ctl cache keep "/${cg##*/}"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *"kept already"* ]]
	ctl cache unkeep "/${cg##*/}"
	within 5 no_pins
	ctl cache keep "/${cg##*/}"
	rmdir "$cg"
	within 10 no_pins
}

@test "cache keep: only root may ask for it" {
	agent_start
	chmod 777 "$dir" "$sock"
	run setpriv --reuid=65534 --clear-groups curl -s --unix-socket "$sock" -X POST -d "path /" http://vstor/v1/cache/keep
	echo "$output"
	[[ $output == *"only root may"* || -z $output ]]
	no_pins
	run get /v1/cache/keep -X POST -d "nonsense"
	[[ $output == *"neither 'path /...' nor 'container /CGROUP'"* ]]
	run get /v1/cache/keep -X POST -d "path relative"
	[[ $output == *"neither 'path /...'"* ]]
	no_pins
}

@test "cache: usage" {
	for c in keep unkeep "what-if more" wrong "keep -s 1G x" "keep -d 1s x" "-s 1G" "what-if -d 1s"; do
		# shellcheck disable=SC2086 # the words are arguments
		run ctl cache $c
		echo "$c: $output"
		[ "$status" = 2 ]
	done
	agent_start
	run ctl cache what-if
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *"no device here is cached"* || $output == *"HIT %"* ]]
}
