#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Who is watched, and that it can be changed while the agent runs.
bats_require_minimum_version 1.5.0
load lib
load locks
load insight

setup() {
	insight_setup
	filesystem_make ext4
}

teardown() {
	insight_teardown
}

# How a container is watched: "MODE SET", "" if it is not listed.
watched() { # NAME
	ctl insight --json | jq -r --arg c "$1" 'select(.container == $c) | "\(.mode) \(.set)"'
}

is_watched() { # NAME "MODE SET"
	[ "$(watched "$1")" = "$2" ]
}

is_not_listed() { # NAME
	[ -z "$(watched "$1")" ]
}

# A file that openssl makes in a group, on the disk when this returns.
encrypt_in() { # NAME FILE
	in_group "$1" sh -c 'head -c 4000000 /dev/zero | openssl enc -aes-256-ctr -pass pass:k -pbkdf2 -out "$1" && sync "$1"' - "$dir/mnt/$2"
}

is_called() { # FILE PATTERN
	ctl patterns --json | jq -es --arg f "$dir/mnt/$1" --arg p "$2" 'any(.file == $f and .pattern == $p)'
}

is_not_called() { # FILE
	ctl patterns --json | jq -es --arg f "$dir/mnt/$1" 'all(.file != $f)'
}

probe_state() { # NAME
	ctl status --json | jq -rs --arg n "$1" '.[0].probes | map(select(.name == $n)) | .[0].state'
}

@test "with --insight off one container is watched alone, until it is switched off or ends" {
	command -v openssl >/dev/null || skip "not installed: openssl"
	agent_start --insight off
	in_group "$a" true
	in_group "$b" true
	run -0 ctl insight
	[[ "$output" = *"nobody is watched: vstorctl insight CONTAINER on watches one container"* ]]
	[ "$(probe_state sample)" = off ]
	run -0 ctl insight "$a" on
	[[ "$output" = "what '$a' writes to files is watched all the time from now on"* ]]
	is_watched "$a" "full true"
	is_not_listed "$b"
	[ "$(probe_state sample)" = attached ]
	[ "$(probe_state copy_folio)" = attached ]
	encrypt_in "$b" other
	encrypt_in "$a" mine
	until_true is_called mine encrypt
	is_not_called other
	ctl insight --json | jq -e '.age >= 0 and .given_up == false'
	run -0 ctl insight "$a"
	[[ "$output" = *"$a"*full*"vstorctl insight"* ]]
	run -0 ctl insight "$a" off
	is_watched "$a" "off true"
	[ "$(probe_state sample)" = off ]
	[ "$(probe_state copy_folio)" = off ]
	run -0 ctl insight "$a" default
	[[ "$output" = *"like all others: vstord runs with --insight off"* ]]
	is_not_listed "$a"
	# a container that ends is forgotten, and another one in its cgroup is not the same
	ctl insight "$c" on
	is_watched "$c" "full true"
	rmdir "$tree/$c"
	until_true is_not_listed "$c"
	mkdir "$tree/$c"
	sleep 1.2 # a tick
	is_not_listed "$c"
	[ "$(probe_state sample)" = off ]
}

@test "with --insight sampled one container is left out" {
	command -v openssl >/dev/null || skip "not installed: openssl"
	agent_start --insight sampled
	in_group "$a" true
	run -0 ctl insight "$a" off
	[[ "$output" = "what '$a' writes to files is not watched any more" ]]
	encrypt_in "$a" mine
	encrypt_in "$b" other
	until_true is_called other encrypt
	is_not_called mine
	is_watched "$a" "off true"
	is_watched "$b" "sampled false"
	run -0 ctl insight "$a" default
	encrypt_in "$a" again
	until_true is_called again encrypt
}

@test "who may not, and what cannot be" {
	agent_start --insight off
	run -1 ctl insight there-is-no-such-container on
	[[ "$output" = *"there-is-no-such-container"* ]]
	run -2 ctl insight "$a" sometimes
	[[ "$output" = *"'sometimes' is none of on, off and default"* ]]
	run -0 get "/v1/insight?container=/no/such/cgroup" -d on
	[[ "$output" = *"no container runs in the cgroup '/no/such/cgroup'"* ]]
	run -0 get "/v1/insight?container=/$a" -d sometimes
	[[ "$output" = *"'sometimes' is none of on, off and default: nothing was changed"* ]]
	# as somebody who may ask and not change
	chmod 666 "$sock"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$VSTORCTL" --socket "$sock" insight "$a" on
	[ "$status" -ne 0 ]
	[[ "$output" = *"only root may do this: nothing was changed"* ]]
	is_not_listed "$a"
}

writes_and_is_given_up() {
	dd if=/dev/urandom of="$dir/mnt/x" bs=4K count=2000 conv=notrunc,fsync status=none
	ctl patterns | grep -q 'the agent looks at no files for a time, because its probes took more than their budget'
}

@test "patterns and insight say when nobody is watched because of the budget" {
	agent_start --insight full --interval 0.1 --budget 0.001
	within 30 writes_and_is_given_up
	ctl insight | grep -q 'Nobody is watched at the moment, because the probes took more than their budget'
	run -0 ctl insight "$a" on
	[[ "$output" = *"will be watched when the probes are within their budget again"* ]]
}
