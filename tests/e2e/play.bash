# SPDX-License-Identifier: GPL-2.0-only
# Shared by the tests of vstorctl: agents that play a part, and a terminal. shellcheck shell=bash

VSTORCTL=${VSTORCTL:-$BATS_TEST_DIRNAME/../../build/vstorctl}
FIXTURES=$BATS_TEST_DIRNAME/../fixtures
AGENT=$FIXTURES/replay_agent.py

setup() {
	[ -x "$VSTORCTL" ] || { echo "no $VSTORCTL: run make first"; return 1; }
	dir=$(mktemp -d /tmp/vstor-ctl-XXXXXX)
	chmod 755 "$dir"
	sock=$dir/s
	agent=
	export LC_ALL=C.UTF-8
	unset NO_COLOR
}

teardown() {
	[ -z "${terminal-}" ] || tmux -S "$dir/tmux" kill-server 2>/dev/null || true
	quit
	[ -z "${dir-}" ] || rm -rf "$dir"
}

# An agent that plays a part; returns when it listens.
play() { # PART
	mkfifo "$dir/ready"
	/usr/bin/python3 "$AGENT" "$sock" "$1" >"$dir/ready" 2>"$dir/agent.err" 3>&- &
	agent=$!
	read -r _ <"$dir/ready"
	rm "$dir/ready"
}

# One whose replies differ from those of the part "normal" by what Python on stdin puts into replies; r is that agent's module.
play_own() {
	rm -f "$sock"
	mkfifo "$dir/ready"
	{
		cat <<-'END'
			import sys
			sys.path.insert(0, sys.argv[2])
			import replay_agent as r
			replies = {}
		END
		cat
		cat <<-'END'
			r.play = {**r.NORMAL, **replies, "name": "own"}
			with r.Server(sys.argv[1], r.Handler) as server:
			    print("ready", flush=True)
			    server.serve_forever()
		END
	} >"$dir/own.py"
	/usr/bin/python3 -B "$dir/own.py" "$sock" "$FIXTURES" >"$dir/ready" 2>"$dir/agent.err" 3>&- &
	agent=$!
	read -r _ <"$dir/ready"
	rm "$dir/ready"
}

quit() {
	[ -z "${agent-}" ] || kill -9 "$agent" 2>/dev/null || true
	[ -z "${agent-}" ] || wait "$agent" 2>/dev/null || true
	agent=
}

ctl() {
	"$VSTORCTL" --socket "$sock" "$@"
}

# Wait until a command holds; a minute, for a machine may be busy.
until_true() {
	local end=$((SECONDS + 60))
	while [ $SECONDS -lt $end ]; do
		"$@" && return
		sleep 0.05
	done
	echo "never came true: $*" >&2
	return 1
}

# That run ended with this exit code and said this (an extended regular expression).
ends() { # CODE REGEX
	echo "exit $status: $output"
	[ "$status" -eq "$1" ] && grep -Eq -e "$2" <<<"$output"
}

# A command that must not hold (bats does not mind a failing "! command").
absent() {
	if "$@"; then
		echo "must not be: $*" >&2
		return 1
	fi
}

# A terminal of this size with a shell in it.
terminal() { # COLUMNS LINES
	command -v tmux >/dev/null || skip "no tmux"
	terminal=yes
	tmux -S "$dir/tmux" -f /dev/null -u new-session -d -x "$1" -y "$2" "PS1='$ ' bash --norc" 3>&-
}

keys() {
	tmux -S "$dir/tmux" send-keys "$@"
}

screen() {
	tmux -S "$dir/tmux" capture-pane -p
}

shows() { # REGEX
	screen | grep -Eq -e "$1"
}

shows_not() {
	absent shows "$1"
}
