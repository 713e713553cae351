# SPDX-License-Identifier: GPL-2.0-only
# Shared by the tests that start a real agent. shellcheck shell=bash
BUILD=${BUILD:-$BATS_TEST_DIRNAME/../../build}
VSTORD=$BUILD/vstord
VSTORCTL=$BUILD/vstorctl

# A directory, a socket path in it; skips where no agent can run.
agent_setup() {
	[ -x "$VSTORD" ] && [ -x "$VSTORCTL" ] || skip "no $VSTORD or $VSTORCTL: run make first"
	[ "$(id -u)" = 0 ] || skip "needs root"
	dir=$(mktemp -d /tmp/vstor-e2e-XXXXXX)
	chmod 755 "$dir"
	sock=$dir/s.sock
	agent=
	loop=
	export LC_ALL=C.UTF-8
}

agent_teardown() {
	agent_stop || true
	if [ -n "${dir-}" ] && mountpoint -q "$dir/mnt"; then umount "$dir/mnt"; fi
	[ -z "${loop-}" ] || losetup -d "$loop" || true
	[ -z "${image-}" ] || rm -f "$image"
	[ -z "${dir-}" ] || rm -rf "$dir"
}

# Wait until a command holds, at most 30 s.
until_true() {
	local i
	for ((i = 0; i < 600; i++)); do
		"$@" && return
		sleep 0.05
	done
	echo "never came true: $*" >&2
	return 1
}

agent_start() { # OPTION...
	"$VSTORD" --socket "$sock" "$@" 2>"$dir/log" 3>&- &
	agent=$!
	until_true agent_ready
}

agent_ready() {
	kill -0 "$agent" 2>/dev/null || { cat "$dir/log" >&2; return 0; }
	grep -q 'ready:' "$dir/log"
}

agent_stop() { # SIGNAL
	local code=0
	[ -n "${agent-}" ] || return 0
	kill "-${1:-TERM}" "$agent" 2>/dev/null || true
	wait "$agent" || code=$?
	agent=
	return "$code"
}

ctl() {
	"$VSTORCTL" --socket "$sock" "$@"
}

get() { # PATH [CURL-OPTION...]
	curl -sS --max-time 20 --unix-socket "$sock" "http://vstor$1" "${@:2}"
}

# A loop device over memory: $loop.
loop_make() { # MB
	image=$(mktemp /dev/shm/vstor-e2e-XXXXXX)
	truncate -s "$1M" "$image"
	loop=$(losetup -f --show "$image")
}

# Ids of the BPF programs that a process holds.
programs_of() { # PID
	sed -n 's/^prog_id:[[:space:]]*//p' "/proc/$1"/fdinfo/* 2>/dev/null | sort -un
}
