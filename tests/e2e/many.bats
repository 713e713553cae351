#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# As many containers at once as a host is meant to have.
bats_require_minimum_version 1.5.0
load lib
load containers

setup() {
	agent_setup
	containers_setup
}

teardown() {
	exec 7>&- || true
	[ -z "${crowd-}" ] || { kill "$crowd" 2>/dev/null || true; wait "$crowd" || true; }
	agent_teardown
	containers_teardown
}

# They have said it; an end without a word is told.
crowd_says() { # WORD
	said_or_gone() { grep -q "^$1" "$dir/said" || ! kill -0 "$crowd" 2>/dev/null; }
	within 180 said_or_gone "$1"
	grep -q "^$1" "$dir/said" || { cat "$dir/said" >&2; return 1; }
}

@test "1,000 containers that do I/O within one tick: every row right, every name known" {
	device_make 256
	agent_start --interval 60 # so that all of it is one tick's
	mkfifo "$dir/in"
	churns+=("$seed")
	containers_py run "$dir/many" --device "$loop" --seed "$seed" --count 1000 --crowd <"$dir/in" >"$dir/said" 2>&1 3>&- &
	crowd=$!
	exec 7>"$dir/in"
	crowd_says ready
	named() { [ "$(ctl ps --json | jq -r 'select(.state == "running" and (.container | startswith("churn-"))) | .cgroup' | wc -l)" = 1000 ]; }
	until_true named
	get '/v1/io?max_age=0' >/dev/null # the tick begins
	echo >&7
	crowd_says done
	ctl io --total --json >/dev/null # and ends
	get /v1/status | jq -c .self >"$dir/self"
	exec 7>&-
	wait "$crowd"
	crowd=
	until_true containers_counted many
	echo "# $(cat "$dir/checked")" >&3
	[ "$(jq .named "$dir/checked")" = 1000 ]
	# the kernel makes a cgroup's blkg at its first I/O; where it cannot at once, it charges the parent
	late=$(ctl io --total --json | jq -c 'select((.container | startswith("churn-")) and .witness == "task")' | wc -l)
	echo "# $late rows of containers that the block layer did not know yet" >&3
	until_true loop_holds
	echo "# $(grep ^done "$dir/said") s of I/O; the tick: $(jq .tick_us "$dir/self") us (aim 20000)," \
		"$(jq .rows "$dir/self") rows, $(jq .containers "$dir/self") containers, memory $(agent_kib Rss) KiB (at most 32768)" >&3
	[ "$(agent_kib Rss)" -le 32768 ]
}
