#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# vstorctl doctor: without an agent, as root and as nobody, with one, and for machines.

VSTORCTL=${VSTORCTL:-$BATS_TEST_DIRNAME/../../build/vstorctl}
VSTORD=${VSTORD:-$BATS_TEST_DIRNAME/../../build/vstord}

setup() {
	[ -x "$VSTORCTL" ] || { echo "no $VSTORCTL: run make first"; return 1; }
	dir=$(mktemp -d /tmp/vstor-doctor-XXXXXX)
	chmod 755 "$dir"
	export LC_ALL=C.UTF-8
	unset NO_COLOR
	server=
}

teardown() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	[ -z "$server" ] || wait "$server" 2>/dev/null || true
	[ -z "$dir" ] || rm -rf "$dir"
}

doctor() {
	"$VSTORCTL" --socket "$dir/none.sock" doctor "$@"
}

# An agent that answers every request with this status line.
serve() { # JSON
	printf '%s\n' "$1" >"$dir/status"
	python3 - "$dir" 3>&- <<'PY' &
import os, socket, sys
d = sys.argv[1]
s = socket.socket(socket.AF_UNIX)
s.bind(d + "/part.sock")
s.listen(8)
os.rename(d + "/part.sock", d + "/agent.sock")
body = open(d + "/status", "rb").read()
while True:
    c, _ = s.accept()
    while b"\r\n\r\n" not in c.recv(65536):
        pass
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    c.close()
PY
	server=$!
	server_shows test -S "$dir/agent.sock"
}

# Wait until a command holds, as long as the server lives.
server_shows() { # COMMAND...
	local end=$((SECONDS + 60))
	until "$@"; do
		kill -0 "$server" && [ $SECONDS -lt $end ] || { cat "$dir"/log >&2; return 1; }
		sleep 0.05
	done
}

# `! grep` alone does not end a test
lacks() {
	if grep "$@"; then
		return 1
	fi
}

needs_root() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
}

@test "doctor: every line of --json has the schema, each feature once" {
	doctor --json >"$dir/out" || [ $? -eq 4 ] || [ $? -eq 5 ]
	jq -se 'length > 20 and all(.[]; . as $line |
		.schema == 1 and (.feature | length > 0) and (.group | length > 0) and (.required | type == "boolean")
		and (.state | IN("found", "missing", "unknown")) and (.detail | type == "string")
		and (.lacking | type == "boolean") and (.lacking | not or $line.state != "found")
		and (.cost | endswith(".")) and (.remedy | endswith(".")))
		and (map([.feature, .probe]) | length == (unique | length))' "$dir/out"
}

@test "doctor: twice the same, and nothing in it that changes" {
	doctor --json >"$dir/a" || [ $? -ge 4 ]
	doctor --json >"$dir/b" || [ $? -ge 4 ]
	cmp "$dir/a" "$dir/b"
	lacks -E '0x[0-9a-f]{4}|ffffffff|"pid"|"time"' "$dir/a"
}

@test "doctor: the exit code follows from the required features" {
	rc=0
	doctor --json >"$dir/out" || rc=$?
	want=$(jq -s 'map(select(.required)) | if any(.state == "missing") then 5
		elif any(.state == "unknown") then 4 else 0 end' "$dir/out")
	[ "$rc" -eq "$want" ]
}

@test "doctor: the last line counts what is lacking, and not what costs nothing" {
	needs_root
	doctor --json >"$dir/json" || [ $? -ge 4 ]
	run doctor
	lacking=$(jq -s 'map(select(.lacking and (.required | not))) | length' "$dir/json")
	case $lacking in
	0) lacks "Of the optional ones" <<<"$output" ;;
	1) [[ "$output" == *"Of the optional ones 1 is missing or cannot be seen."* ]] ;;
	*) [[ "$output" == *"Of the optional ones $lacking are missing or cannot be seen."* ]] ;;
	esac
	fentry=$(jq -r 'select(.feature == "fentry") | .state' "$dir/json")
	[ "$fentry" != found ] || skip "fentry is allowed here: nothing that costs nothing is missing"
	[[ "$output" == *"· fentry"*"costs: Nothing"* ]]
	jq -se 'any(.[]; .feature == "fentry" and (.lacking | not))' "$dir/json"
}

@test "doctor: what the kernel's own files say is what it says" {
	doctor --json >"$dir/out" || [ $? -ge 4 ]
	state() { jq -r "select(.feature == \"$1\") | .state" "$dir/out"; }
	if [ -r /sys/kernel/btf/vmlinux ]; then [ "$(state btf)" = found ]; else [ "$(state btf)" != found ]; fi
	for fs in ext4 xfs btrfs; do
		! grep -qw "$fs" /proc/filesystems || [ "$(state $fs)" = found ] || [ ! -e "/sys/kernel/btf/$fs" ]
	done
	version=$(uname -r | sed 's/^\([0-9]*\.[0-9]*\).*/\1/')
	jq -re 'select(.feature == "kernel-version") | .detail' "$dir/out" | grep -F "Linux $version,"
}

@test "doctor: without an agent it still reports, and says how to get one" {
	run doctor
	[ "$status" -eq 0 ] || [ "$status" -eq 4 ] || [ "$status" -eq 5 ]
	[[ "$output" == *"kernel-version"* ]]
	[[ "$output" == *"not asked: no agent"*"$dir/none.sock"* ]]
}

@test "doctor: root may load programs" {
	needs_root
	# what a host forbids is not our failure, but then it must say why
	run doctor --json
	load=$(jq -r 'select(.feature == "bpf-load") | .state + " " + .detail' <<<"$output")
	[[ "$load" == "found "* ]] || skip "this host refuses: $load"
	[ "$status" -eq 0 ]
}

@test "doctor: a plain user sees what is readable, and is told to be root" {
	needs_root
	cp "$VSTORCTL" "$dir/vstorctl"
	chmod 755 "$dir/vstorctl"
	run setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
		"$dir/vstorctl" --socket "$dir/none.sock" doctor
	[ "$status" -eq 4 ]
	[[ "$output" == *"? capabilities"*"this user does not have CAP_BPF and CAP_PERFMON"* ]]
	[[ "$output" == *"✓ btf"* ]]
	[[ "$output" == *"vstord cannot start here: not permitted: capabilities"*"Run it as root"* ]]
}

@test "doctor: marks are plain where the terminal is not UTF-8, and colours only on a terminal" {
	LC_ALL=C run doctor
	[[ "$output" == *"+ kernel-version"* ]]
	LC_ALL=C lacks -P '[\x80-\xff]' <<<"$output"
	run doctor
	[[ "$output" == *"✓ kernel-version"* ]]
	[[ "$output" != *$'\033'* ]]
}

@test "doctor: NO_COLOR is heard on a terminal" {
	script -qec "stty cols 60; '$VSTORCTL' --socket '$dir/none.sock' doctor" /dev/null >"$dir/color" </dev/null || true
	NO_COLOR=1 script -qec "stty cols 60; '$VSTORCTL' --socket '$dir/none.sock' doctor" /dev/null >"$dir/plain" </dev/null || true
	grep -q $'\033\[32m' "$dir/color"
	lacks -q $'\033' "$dir/plain"
	# sentences are broken at the terminal's width
	tr -d '\r' <"$dir/plain" | awk '/^      / && length > 60 { print; bad = 1 } END { exit bad }'
}

@test "doctor: the agent's probes, with the cost of one that is missing" {
	serve "$(jq -c . <<-'JSON'
		{"schema":1,"type":"status","probes":[
		{"name":"rq_issue","tracepoint":"block_rq_issue","state":"attached","why":""},
		{"name":"bio_queue","tracepoint":"block_bio_queue","state":"off","why":"no stacked device"},
		{"name":"rq_requeue","tracepoint":"block_rq_requeue","state":"missing","why":"refused\u001b[31m"}]}
	JSON
	)"
	run "$VSTORCTL" --socket "$dir/agent.sock" doctor
	[[ "$output" == *"✓ probe rq_issue"*"attached at block_rq_issue"* ]]
	[[ "$output" == *"✓ probe bio_queue"*"off at block_bio_queue: no stacked device"* ]]
	[[ "$output" == *"✗ probe rq_requeue"*'required; missing at block_rq_requeue: refused\x1b[31m'*"costs: vstord does not start"* ]]
	[[ "$output" != *$'\033'* ]]
	run "$VSTORCTL" --socket "$dir/agent.sock" doctor --json
	jq -se 'map(select(.group == "agent")) | length == 3 and map(.state) == ["found", "found", "missing"]
		and all(.[]; .schema == 1)' <<<"$output"
}

@test "doctor: what a probe of the agent costs is what its tracepoint's row says" {
	serve "$("$VSTORCTL" --socket "$dir/none.sock" doctor --json | jq -sc '{schema: 1, type: "status",
		probes: map(select(.probe) | {name: .probe, tracepoint: .feature, state: "missing", why: "test"})}')"
	"$VSTORCTL" --socket "$dir/agent.sock" doctor --json >"$dir/out" || [ $? -ge 4 ]
	jq -se '(map(select(.group == "tracepoints")) | map([.probe, .required, .cost])) as $rows
		| (map(select(.group == "agent")) | map([.probe, .required, .cost])) as $agent
		| ($rows | map(select(.[2] | startswith("Nothing: ") | not))) as $cost # what another probe does here costs nothing
		| ($rows | length > 20) and (($rows | length) - ($cost | length) <= 2) and ($rows | map(.[:2])) == ($agent | map(.[:2])) and $cost - $agent == []' "$dir/out"
}

@test "doctor: an answer that is no status does not end the report" {
	serve '{"schema":1,"type":"status","probes":[{"nom":"x"}]}'
	run "$VSTORCTL" --socket "$dir/agent.sock" doctor
	[[ "$output" == *"not asked:"* ]]
	[[ "$output" == *"vstord can"* ]]
}

@test "doctor: the running agent's probes are all attached" {
	needs_root
	[ -x "$VSTORD" ] || { echo "no $VSTORD: run make first"; return 1; }
	"$VSTORD" --socket "$dir/vstor.sock" 3>&- 2>"$dir/log" &
	server=$!
	server_shows grep -q 'ready:' "$dir/log" # there is a socket before there are probes
	run "$VSTORCTL" --socket "$dir/vstor.sock" doctor --json
	[ "$status" -eq 0 ]
	jq -se 'map(select(.group == "agent")) | length >= 2 and all(.[]; .state == "found")' <<<"$output"
	# and what an agent attaches to is not said to be missing here
	jq -se '[.[] | select(.group == "agent" and (.detail | startswith("attached"))) | .probe] as $used | ($used | length) > 10
		and ([.[] | select(.group == "tracepoints" and .state != "found" and (.probe | IN($used[])))] | length == 0)' <<<"$output"
}

@test "doctor: takes no operands" {
	run doctor everything
	[ "$status" -eq 2 ]
}
