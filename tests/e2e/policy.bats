#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# From a policy file to real knobs of the kernel, and back: rules, reload, undo, conflicts, handover.
load lib

setup() {
	agent_setup
	root=$(blkio_root) || skip "no blkio controller on cgroup v1 here: this test is for hybrid hosts"
	[ -e "$root/blkio.throttle.write_bps_device" ] || skip "the kernel has no blkio.throttle"
	loop_make 64
	dev=$(tr -d ' ' <"/sys/class/block/${loop#/dev/}/dev")
	cg=$root/vstor-e2e-$$-$BATS_TEST_NUMBER
	mkdir -p "$cg/bulk" "$cg/db"
	dd if="$loop" of=/dev/null bs=64k count=16 iflag=direct status=none # a disk that was never used gets no knobs
	policy=$dir/policy.yaml
}

teardown() {
	local p
	for p in $(cat "${cg-/nowhere}"/*/cgroup.procs 2>/dev/null); do kill -9 "$p" 2>/dev/null || true; done
	[ -z "${link_made-}" ] || rm -f "$link_made"
	trace_end
	[ -z "${memory-}" ] || { agent_stop || true; rm -rf "$memory"; }
	[ -z "${cg-}" ] || within 10 cgroups_gone
	agent_teardown
}

blkio_root() {
	awk '$9 == "cgroup" && $NF ~ /(^|,)blkio(,|$)/ { print $5; f = 1; exit } END { exit !f }' /proc/self/mountinfo
}

cgroups_gone() {
	rmdir "$cg"/* "$cg" 2>/dev/null || true
	[ ! -d "$cg" ]
}

# A rule that limits what the container bulk writes; the cgroup's path is this test's own.
limit() { # BYTES
	printf 'version: 1\nrules:\n- {name: slow, match: {cgroup: "/%s/bulk", device: "%s"}, max: {write: %s}}\n' \
		"${cg##*/}" "${loop#/dev/}" "$1"
}

# Processes make a cgroup count; these sleep.
populate() { # NAME
	sh -c 'echo $$ >"$1/cgroup.procs"; exec sleep 300' sh "$cg/$1" 3>&- &
	others+=($!)
}

value() { # NAME: of the disk in this container's limit; "": none
	awk -v d="$dev" '$1 == d { print $2 }' "$cg/$1/blkio.throttle.write_bps_device"
}

is() { # NAME VALUE
	echo "$1 has '$(value "$1")', wanted '$2'"
	[ "$(value "$1")" = "$2" ]
}

state_is() { # STATE
	ctl policy status --json | jq -es --arg t "/${cg##*/}/bulk" --arg s "$1" \
		'map(select(.target == $t)) | length > 0 and all(.state == $s)'
}

start() { # OPTION...
	agent_start --policy "$policy" --state "$dir/state" "$@"
}

@test "a limit is set, told, and holds" {
	limit 1MiB/s >"$policy"
	populate bulk
	start --act
	within 5 is bulk 1048576
	is db ""
	within 2 state_is applied
	ctl policy status --json | jq -es --arg d "$dev" 'map(select(.type == "knob"))[0] |
		.actuator == "cgroup-io" and .attribute == "blkio.throttle.write_bps_device" and .key == $d and
		.old == "0" and .new == "1048576" and .rule == "slow" and (.why | test("slow"))'
	ctl status --json | jq -e '.mode == "act" and .policy.error == ""'
	ctl policy log | grep -q 'applied.*slow'
	within 5 explained
	ctl policy explain "/${cg##*/}/bulk"
	run ctl policy explain '[kernel]'
	[ "$status" = 1 ]
	[[ $output == *'No rule can be about it'* ]]
	# 3 MiB at 1 MiB/s
	sh -c 'echo $$ >"$1/cgroup.procs"; exec dd if=/dev/zero of="$2" bs=64k count=48 oflag=direct status=none' \
		sh "$cg/bulk" "$loop" &
	local begin=$SECONDS
	wait $!
	echo "took $((SECONDS - begin)) s"
	[ $((SECONDS - begin)) -ge 2 ]
	ctl policy explain "${cg##*/}/bul" | grep -q "^${cg##*/}/bulk, cgroup " # a part of the name
}

explained() {
	ctl policy explain "/${cg##*/}/bulk" --json |
		jq -es --arg d "${loop#/dev/}" 'map(select(.type == "rule" and .wins and .device == $d and .rule == "slow")) | length == 1'
}

@test "a rule may name the disk by a link, which may come and go" {
	local link=/dev/disk/by-id/vstor-e2e-$$-$BATS_TEST_NUMBER
	link_made=$link
	populate bulk
	printf 'version: 1\nrules:\n- {name: slow, match: {cgroup: "/%s/bulk", device: "%s"}, max: {write: 1MiB/s}}\n' \
		"${cg##*/}" "${link%-*}-*" >"$policy"
	start --act
	mkdir -p /dev/disk/by-id
	ln -s "../../${loop#/dev/}" "$link"
	within 5 is bulk 1048576
	within 5 explained
	rm "$link"
	within 5 is bulk ""
}

@test "stopping the agent undoes everything" {
	limit 1MiB/s >"$policy"
	populate bulk
	start --act
	within 5 is bulk 1048576
	agent_stop
	is bulk ""
	[ ! -e "$dir/state/journal" ]
}

@test "killing the agent undoes everything within 2 s" {
	limit 1MiB/s >"$policy"
	populate bulk
	start --act
	within 5 is bulk 1048576
	kill -9 "$agent"
	wait "$agent" || true
	agent=
	within 2 is bulk ""
}

@test "both are killed: the next start undoes everything, also without --act" {
	local pid
	limit 1MiB/s >"$policy"
	populate bulk
	start --act
	within 5 is bulk 1048576
	pid=$(ctl policy status --json | jq -r 'select(.type == "policy").actor_pid')
	kill -STOP "$agent" # or it would start another actor
	kill -9 "$pid"
	kill -9 "$agent"
	wait "$agent" || true
	agent=
	is bulk 1048576
	[ -e "$dir/state/journal" ]
	start
	is bulk ""
	[ ! -e "$dir/state/journal" ]
}

@test "killing the actor undoes everything, and the agent sets it again" {
	local pid
	limit 1MiB/s >"$policy"
	populate bulk
	start --act
	within 5 is bulk 1048576
	pid=$(ctl policy status --json | jq -r 'select(.type == "policy").actor_pid')
	kill -9 "$pid"
	within 5 actor_differs "$pid"
	within 5 is bulk 1048576
	within 5 state_is applied
	ctl policy status --json | jq -es 'map(select(.type == "policy"))[0].actor_deaths == 1'
}

@test "an actor that refuses is replaced once the reason is gone, and then acts" {
	local other=$BUILD/tests/e2e/actor_drive
	[ -x "$other" ] || { echo "no $other: run make tests first"; return 1; }
	mkdir -m 700 "$dir/state"
	mkfifo "$dir/in"
	"$other" "$BUILD/vstor-actor" "$dir/state" 0 <"$dir/in" >"$dir/out" 2>&1 3>&- & # holds the journal
	others+=($!)
	exec 9>"$dir/in"
	within 20 grep -q '^ready' "$dir/out"
	limit 1MiB/s >"$policy"
	populate bulk
	start --act
	within 10 actor_is refusing
	within 5 state_is refused
	ctl policy status | grep -q 'another vstor-actor holds the journal'
	is bulk ""
	sleep 3 # it is tried again and again, and told once
	[ "$(grep -c 'refuses to change anything' "$dir/log")" = 1 ]
	printf 'stop\n' >&9
	exec 9>&-
	within 10 actor_is ready
	within 10 is bulk 1048576
	within 5 state_is applied
	ctl policy status --json | jq -es 'map(select(.type == "policy"))[0] | .actor_deaths == 0 and .writes == 1'
	agent_stop
	is bulk ""
	[ ! -e "$dir/state/journal" ]
}

actor_is() { # STATE
	ctl policy status --json | jq -es --arg s "$1" 'map(select(.type == "policy"))[0].actor == $s'
}

actor_differs() { # PID
	ctl policy status --json |
		jq -es --argjson p "$1" 'map(select(.type == "policy"))[0] | .actor_pid != $p and .actor == "ready"'
}

@test "without --act nothing is written, and status says what would be" {
	limit 1MiB/s >"$policy"
	populate bulk
	start
	within 5 state_is planned
	is bulk ""
	ctl status --json | jq -e '.mode == "plan"'
	run ctl policy plan
	[[ $output == *"write 1048576 into blkio.throttle.write_bps_device $dev of /${cg##*/}/bulk"*", where 0 is now"* ]]
	[[ $output == *"because of rule slow"* ]]
	[ ! -e "$dir/state" ]
}

@test "the policy is read again when its file changes, and at SIGHUP" {
	limit 1MiB/s >"$policy"
	populate bulk
	start --act
	within 5 is bulk 1048576
	# another file beside it that changes all the time does not put that off
	while :; do echo >"$dir/beside"; sleep 0.02; done 3>&- &
	others+=("$!")
	limit 2MiB/s >"$policy" # written in place
	within 3 is bulk 2097152
	limit 3MiB/s >"$dir/new" # renamed over it
	mv "$dir/new" "$policy"
	within 3 is bulk 3145728
	echo 'version: 1' >"$policy" # bad: the last good one stays, and everybody says so
	within 3 told_bad
	is bulk 3145728
	ctl status | grep -q 'BAD.*rules'
	ctl policy status | grep -q 'BAD.*rules'
	ctl policy log | grep -q 'not in force'
	grep -q 'bad policy' "$dir/log"
	kill -HUP "$agent"
	sleep 0.3
	is bulk 3145728
	printf 'version: 1\nrules:\n- {name: other, match: {container: nobody}, weight: 5}\n' >"$policy"
	within 3 is bulk ""
	ctl status --json | jq -e '.policy.error == ""'
}

told_bad() {
	ctl status --json | jq -e '.policy.error != ""'
}

@test "a rule that counts only with an option of the agent is told" {
	printf 'version: 1\nrules:\n- {name: x, match: all, when: alarm mass_encryption, max: none}\n' >"$policy"
	start
	within 5 needs_insight
	ctl policy check "$policy" | grep -q "note .*rule 'x' waits for the alarm mass_encryption"
}

needs_insight() {
	ctl policy status | grep -q "note .*rule 'x' waits for the alarm mass_encryption: it counts only where vstord looks"
}

@test "apply, plan FILE and revert" {
	limit 1MiB/s >"$policy"
	limit 4MiB/s >"$dir/other.yaml"
	echo 'version: 3' >"$dir/bad.yaml"
	populate bulk
	start --act
	within 5 is bulk 1048576
	ctl policy plan "$dir/other.yaml" --json | jq -es 'map(select(.type == "knob"))[0] | .new == "4194304" and .old == "1048576"'
	run ctl policy plan - <"$dir/other.yaml"
	[[ $output == "1 value would be written now"*"write 4194304 into blkio.throttle.write_bps_device"* ]]
	printf 'version: 1\nrules:\n- {name: no, match: {container: nobody}, weight: 5}\n' >"$dir/none.yaml"
	ctl policy plan "$dir/none.yaml" | grep -q '^nothing would be written now: no rule asks'
	is bulk 1048576
	ctl policy apply "$dir/other.yaml"
	within 2 is bulk 4194304
	run ctl policy apply "$dir/bad.yaml"
	[ "$status" = 1 ]
	[[ $output == *bad.yaml:1:* ]]
	is bulk 4194304
	ctl policy revert
	within 2 is bulk ""
	within 2 undone_because 'vstorctl policy revert asked for it'
	ctl status --json | jq -e '.mode == "observe"'
	sleep 1.5 # the next tick
	is bulk ""
	kill -HUP "$agent" # its own file counts again
	within 2 is bulk 1048576
	run ctl policy explain nobody
	[ "$status" = 1 ]
	run ctl policy frob
	[ "$status" = 2 ]
}

undone_because() { # TEXT
	ctl policy log --json | jq -es --arg t "$1" 'map(select(.state == "reverted"))[-1].why == $t'
}

@test "why something is undone is told: the rule went, the container went, vstord stops" {
	limit 1MiB/s >"$policy"
	populate bulk
	start --act
	within 5 is bulk 1048576
	# explain knows who did some I/O
	sh -c 'echo $$ >"$1/cgroup.procs"; exec dd if="$2" of=/dev/null bs=64k count=4 iflag=direct status=none' \
		sh "$cg/bulk" "$loop"
	within 5 own_limit_told
	printf 'version: 1\nrules:\n- {name: other, match: {container: nobody}, weight: 5}\n' >"$policy"
	within 5 undone_because 'no rule asks for it any more'
	printf 'version: 1\nrules:\n- {name: slow, match: {container: nobody}, weight: 5}\n' >"$policy"
	limit 1MiB/s >"$policy"
	within 5 is bulk 1048576
	agent_stop
	grep -q '1048576 -> 0: vstord stops' "$dir/log"
}

own_limit_told() {
	ctl explain "/${cg##*/}/bulk" --total | tr '\n' ' ' |
		grep -q "vstor itself has set blkio.throttle.write_bps_device $dev to 1048576 on /${cg##*/}/bulk, by rule slow"
}

@test "without vstor-actor or a state directory it only observes, and says so once" {
	limit 1MiB/s >"$policy"
	populate bulk
	: >"$dir/file"
	agent_start --policy "$policy" --state "$dir/file/state" --act
	within 5 refuses
	grep -q 'ready: .*act' "$dir/log"
	ctl status --json | jq -e '.mode == "plan" and .policy.actor_error != ""'
	ctl status | grep -q 'actor .*state'
	agent_stop
	mkdir "$dir/bin"
	cp "$VSTORD" "$dir/bin/vstord"
	VSTORD=$dir/bin/vstord start --act
	grep -q "ready: only observing, in spite of --act, .*cannot run $dir/bin/vstor-actor: No such file" "$dir/log"
	sleep 3
	[ "$(grep -c 'cannot run .*vstor-actor' "$dir/log")" = 2 ] # this and the reason; not once a second
	[ "$(grep -c 'first reverts' "$dir/log")" = 0 ]
	is bulk ""
	ctl status --json | jq -e '.mode == "plan"'
}

refuses() {
	ctl status --json | jq -e '.policy.actor == "refusing"'
}

@test "what the administrator writes stays" {
	limit 1MiB/s >"$policy"
	populate bulk
	start --act
	within 5 is bulk 1048576
	echo "$dev 777216" >"$cg/bulk/blkio.throttle.write_bps_device"
	within 15 state_is conflict # the knobs are read again every 10 s
	is bulk 777216
	ctl policy status | grep -q 'somebody else changed it'
	agent_stop
	is bulk 777216
}

# The kernel notes when it makes each cgroup, by the monotonic clock. Without tracefs: when the shell asked for it.
trace_start() {
	instance=/sys/kernel/tracing/instances/vstor-e2e-$$
	mkdir "$instance" 2>/dev/null || { instance=; return 0; }
	echo mono >"$instance/trace_clock"
	echo 1 >"$instance/events/cgroup/cgroup_mkdir/enable"
}

trace_end() {
	[ -n "${instance-}" ] || return 0
	echo 0 >"$instance/events/enable"
	cp "$instance/trace" "$dir/trace"
	rmdir "$instance"
	instance=
}

# Milliseconds from the moment in which the cgroup was made to the one in which its limit was written.
delay_of() { # NAME ASKED
	local made=$2
	if [ -e "$dir/trace" ]; then
		made=$(awk -v p="path=/${cg##*/}/$1" -v o="$(python3 -c 'import time; print(time.time() - time.monotonic())')" '
			$NF == p && /: cgroup_mkdir:/ { for (i = 1; i < NF; i++) if ($(i + 1) == "cgroup_mkdir:") printf "%.6f", $i + o }' \
			"$dir/trace")
		[ -n "$made" ] || { echo "the kernel did not note that it made $1" >&2; cat "$dir/trace" >&2; return 1; }
	fi
	jq -s --arg t "/${cg##*/}/$1" --argjson made "$made" \
		'map(select(.type == "knob" and .target == $t))[0] | (.since - $made) * 1000 | round' "$dir/status"
}

# Milliseconds that the agent's loop and the actor, one after the other, have waited for a processor.
starved() {
	cat "/proc/$agent/schedstat" "/proc/$actor/schedstat" | awk '{ ns += $2 } END { printf "%d\n", ns / 1e6 }'
}

has_limit() { # NAME
	[ -n "$(value "$1")" ]
}

@test "each container that starts is limited within 100 ms" {
	local i ms bad=0 asked=() starved=() actor
	printf 'version: 1\nrules:\n- {name: new, match: {cgroup: "/%s/new*", device: "%s"}, max: {write: 1MiB/s}}\n' \
		"${cg##*/}" "${loop#/dev/}" >"$policy"
	# a journal in memory, as in /run/vstor: elsewhere its fsync waits for a disk that other tests use
	memory=$(mktemp -d /dev/shm/vstor-e2e-XXXXXX)
	start --act -i 10 --state "$memory" # no tick comes to help
	within 5 actor_is ready
	actor=$(ctl policy status --json | jq -r 'select(.type == "policy").actor_pid')
	trace_start
	for i in 1 2 3 4 5; do
		starved[i]=$(starved)
		asked[i]=$EPOCHREALTIME
		mkdir "$cg/new$i"
		within 2 has_limit "new$i"
		starved[i]=$(($(starved) - starved[i]))
	done
	trace_end
	ctl policy status --json >"$dir/status"
	for i in 1 2 3 4 5; do
		ms=$(delay_of "new$i" "${asked[i]}")
		echo "new$i: $ms ms, of which other programs had the processors for ${starved[i]}"
		if [ "$ms" -lt -1 ] || [ $((ms - starved[i])) -gt 100 ]; then bad=1; fi
	done
	[ $bad = 0 ]
}

@test "a successor takes over without writing a knob, and without one everything is undone" {
	limit 1MiB/s >"$policy"
	populate bulk
	start --act --handover 5
	within 5 is bulk 1048576
	agent_stop
	is bulk 1048576
	start --act --handover 5
	within 5 state_is applied
	sleep 2
	is bulk 1048576
	ctl policy status --json | jq -es 'map(select(.type == "policy"))[0] | .writes == 1 and .reverts == 0'
	agent_stop
	is bulk 1048576
	within 7 is bulk ""
}

@test "a cgroup that goes while it is limited leaves nothing behind" {
	limit 1MiB/s >"$policy"
	populate bulk
	start --act
	within 5 is bulk 1048576
	kill -9 "${others[@]}"
	within 5 rmdir "$cg/bulk"
	within 5 knobs_are 0
	agent_stop
	[ ! -e "$dir/state/journal" ]
}

knobs_are() { # N
	ctl policy status --json | jq -es --argjson n "$1" 'map(select(.type == "knob" and .state == "applied")) | length == $n'
}
