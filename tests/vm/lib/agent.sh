# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For a test in the guest that needs the agent; after lib/test.sh.

readonly SOCKET=/run/vstor/vstor.sock AGENT_LOG=/dev/shm/vstord.log
AGENT=
BALANCE=

agent_start() {
	agent_start_with --interval 1
}

agent_start_with() { # OPTION...
	local p
	for p in vstord vstorctl; do [ -x "$TREE/build/$p" ] || fail "build/$p is not built: make"; done
	rm -f "$AGENT_LOG" # of a test before
	"$TREE/build/vstord" --budget 0 "$@" 2>"$AGENT_LOG" & # all that an emulated machine does takes long
	AGENT=$!
	defer agent_kill
	wait_for 300 "vstord to be ready" agent_ready_or_gone # on a busy host the verifier of an emulated 6.12 takes minutes
	grep -q "^vstord: ready" "$AGENT_LOG" || { cat "$AGENT_LOG"; fail "vstord did not start"; }
}

agent_ready_or_gone() {
	grep -qs "^vstord: ready" "$AGENT_LOG" || ! kill -0 "$AGENT" 2>/dev/null
}

agent_kill() { # for a test that failed: what it said helps
	[ -n "$AGENT" ] || return 0
	kill -KILL "$AGENT" 2>/dev/null
	wait "$AGENT" 2>/dev/null
	sed 's/^/vstord said: /' "$AGENT_LOG"
}

# Stopping leaves nothing: no program, map, pin or socket.
agent_stop() {
	local status=0
	kill -TERM "$AGENT"
	wait "$AGENT" || status=$?
	same "status of vstord after SIGTERM" $status 0
	AGENT=
	wait_for 60 "the kernel to free vstord's programs and maps" agent_left_nothing
	[ ! -e "$SOCKET" ] || fail "$SOCKET is still there"
	same "what is pinned" "$(find /sys/fs/bpf -name 'vst*')" ""
}

agent_left_nothing() {
	! { bpftool -j prog list && bpftool -j map list; } | jq -e 'any(.[]; (.name // "") | startswith("vst"))' | grep -q true
}

ctl() {
	"$TREE/build/vstorctl" "$@"
}

# The rows until now that a jq filter selects, as one number: the sum of a field.
rows_sum() { # FIELD FILTER
	ctl io --total --json | jq -s "[.[] | select($2) | .$1] | add // 0"
}

# Says it device by device, also in $BALANCE.
books_balance() { # WHEN
	local out status=0
	out=$(ctl check --json 2>&1) || status=$?
	[ $status = 0 ] || {
		echo "$out"
		ctl io --total --json | jq -c '[.container, .device, .layer, .op, .kind, .witness, .ios, .bytes]'
		cat /proc/diskstats
		fail "$1: the books do not balance (vstorctl check: $status)"
	}
	BALANCE=$(jq -r --arg when "$1" '"\($when): \(.device) \(.layer): \(.seen.ios) I/Os of \(.kernel.ios), lost \(.lost) \(.why)"' <<<"$out")
	echo "$BALANCE"
}

# At least 99 % of the bytes written, and not more than 101.
charged() { # WHAT CGROUP BYTES FILTER
	local got permille
	got=$(rows_sum bytes ".cgroup == \"/$2\" and .op == \"write\" and $4")
	permille=$((got * 1000 / $3))
	echo "$1: $got of $3 bytes charged to /$2"
	if [ $permille -lt 990 ] || [ $permille -gt 1010 ]; then
		ctl io --total --json | jq -c '[.cgroup, .device, .layer, .op, .kind, .size, .witness, .ios, .bytes]'
		fail "$1: $((permille / 10)).$((permille % 10)) % of the bytes written were charged to /$2"
	fi
}
