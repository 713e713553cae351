# SPDX-License-Identifier: GPL-2.0-only
# Shared by the tests that start a real agent. shellcheck shell=bash
BUILD=${BUILD:-$BATS_TEST_DIRNAME/../../build}
VSTORD=$BUILD/vstord
VSTORCTL=$BUILD/vstorctl

# A directory, a socket path in it; skips where no agent can run.
agent_setup() { # WHERE: the directory is, other than /tmp
	[ -x "$VSTORD" ] && [ -x "$VSTORCTL" ] || { echo "no $VSTORD or $VSTORCTL: run make first"; return 1; }
	[ "$(id -u)" = 0 ] || skip "needs root"
	dir=$(mktemp -d "${1:-/tmp}/vstor-e2e-XXXXXX")
	chmod 755 "$dir"
	sock=$dir/s.sock
	agent=
	others=() # processes that end with the test
	loop=
	export LC_ALL=C.UTF-8
}

agent_teardown() {
	local p
	for p in "${others[@]}"; do kill "$p" 2>/dev/null || true; done
	agent_stop || true
	if [ -n "${dir-}" ] && mountpoint -q "$dir/mnt"; then umount "$dir/mnt"; fi
	[ -z "${loop-}" ] || losetup -d "$loop" || true
	[ -z "${image-}" ] || rm -f "$image"
	[ -z "${dir-}" ] || rm -rf "$dir"
}

# Wait until a command holds.
until_true() { # COMMAND...
	within 60 "$@"
}

# ... at most so long; to be generous costs nothing. What the command printed last is shown if it never holds.
within() { # SECONDS COMMAND...
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@" >"$dir/tried" 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt $end ] || { cat "$dir/tried" >&2; echo "never came true: $*" >&2; return 1; }
		sleep 0.05
	done
	rm -f "$dir/tried"
}

agent_start() { # OPTION...
	rm -f "$dir/log" # of one before
	"$VSTORD" --socket "$sock" --budget 0 "$@" 2>"$dir/log" 3>&- & # how busy the machine is must not matter
	agent=$!
	until_true agent_ready_or_gone
	grep -q 'ready:' "$dir/log" || { cat "$dir/log" >&2; return 1; }
}

agent_ready_or_gone() {
	grep -qs 'ready:' "$dir/log" || ! kill -0 "$agent" 2>/dev/null
}

# What the agent's own memory takes. Not its resident set: of that, files' pages come and go as the host needs memory, and
# /proc/PID/status is behind by some pages for each CPU.
agent_kib() { # FIELD: other than its own
	awk -v f="^${1:-(Anonymous|Swap)}:" '$0 ~ f { n += $2 } END { print n }' "/proc/$agent/smaps_rollup"
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
	local free
	free=$(df -m --output=avail /dev/shm | tail -n 1)
	[ "$free" -gt "$1" ] || skip "/dev/shm has $free MB, this needs $1"
	image=$(mktemp /dev/shm/vstor-e2e-XXXXXX)
	truncate -s "$1M" "$image"
	loop=$(losetup -f --show "$image")
}

# Ids of the BPF programs that a process holds.
programs_of() { # PID
	sed -n 's/^prog_id:[[:space:]]*//p' "/proc/$1"/fdinfo/* 2>/dev/null | sort -un
}
