#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: what a recording of 200 containers takes on disk, idle and busy; the guest is quiet, unlike the machine of the e2e tests
# needs: fast-disk 256M
# needs: time 400
# needs: package jq python3
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
dev=$(disk fast0)
rec=/dev/shm/record
said=/dev/shm/said

load() { # run|clean OPTION...
	python3 "$TREE/tests/e2e/record_load.py" "$1" vstor-record --tree "$CGROUPS" "${@:2}"
}

bytes() {
	ctl status --json | jq .recording.bytes
}

measure() { # WORD RATE MOST_BYTES_AN_HOUR
	local before from n s hour
	load run --device "$dev" --count 200 --rate "$2" --seconds 36 >"$said" &
	wait_for 120 "200 containers" grep -q ready "$said"
	sleep 5
	before=$(bytes) from=$(date +%s%N)
	sleep 25
	n=$(($(bytes) - before)) s=$((($(date +%s%N) - from) / 1000000))
	wait $!
	hour=$((n * 3600 / s)) # in units of 1000
	note "$1: $n bytes in $s ms, $hour KB an hour; $(tail -n 1 "$said")"
	[ $hour -le "$3" ] || fail "a recording of 200 $1 containers takes $hour KB an hour, at most $3 are wanted"
}

agent_start_with --interval 1 --record $rec
defer load clean
measure idle 0 1500
measure busy 1 30000
agent_stop
"$TREE/build/vstorctl" --replay $rec io --json | jq -es 'length > 100' >/dev/null || fail "the recording lacks containers"
