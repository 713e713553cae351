# SPDX-License-Identifier: GPL-2.0-only
# A filesystem and two containers for the tests of insight; after lib.bash and locks.bash. shellcheck shell=bash

insight_setup() {
	agent_setup /var/tmp
	locks_setup "$BUILD/tests/bpf/lock_load"
	HINT_LOAD=$BUILD/tests/bpf/hint_load
	[ -x "$HINT_LOAD" ] || { echo "no $HINT_LOAD: run make tests first"; return 1; }
}

insight_teardown() {
	locks_teardown
	agent_teardown
}

# Bytes of the rows since the agent started that a filter of jq selects, on the loop device.
bytes_of() { # FILTER
	ctl io --total --json | jq -s --arg dev "${loop#/dev/}" "map(select(.device == \$dev and ($1)) | .bytes) | add // 0"
}

# Nothing of a file is in the page cache.
forget() { # FILE
	sync "$1"
	dd if="$1" iflag=nocache count=0 status=none
}
