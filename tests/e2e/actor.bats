#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# vstor-actor on this kernel: real cgroup files, its journal, and the way back whatever happens. A few lines of C play
# vstord (actor_drive). The cgroup v2 files are tested in a guest: tests/vm/t/actor.sh.
bats_require_minimum_version 1.5.0
# shellcheck source=tests/e2e/lib.bash
load lib

ACTOR=$BUILD/vstor-actor
DRIVE=$BUILD/tests/e2e/actor_drive
BLKIO=/sys/fs/cgroup/blkio
WBPS=blkio.throttle.write_bps_device
WIOPS=blkio.throttle.write_iops_device

setup() {
	agent_setup
	[ -x "$DRIVE" ] || { echo "no $DRIVE: run make tests first"; return 1; }
	[ -e $BLKIO/$WBPS ] || skip "no cgroup v1 blkio hierarchy at $BLKIO"
	cg=/${dir##*/}
	mkdir "$BLKIO$cg"
	loop_make 16
	dev=$(lsblk -dno MAJ:MIN "$loop" | tr -d ' ')
	state=$dir/state
	mkdir -m 700 "$state"
	drive=
}

teardown() {
	local d
	drive_end
	"$ACTOR" --revert --now --state "$state" 2>/dev/null || true
	for d in $(find "$BLKIO$cg" -mindepth 1 -depth -type d 2>/dev/null) "$BLKIO$cg"; do rmdir "$d" || true; done
	if mountpoint -q "$state"; then umount "$state"; fi
	agent_teardown
}

# Starts the stand-in of vstord.
drive_start() { # [HANDOVER-SECONDS [PREFIX-COMMAND...]]
	rm -f "$dir/in" "$dir/out"
	mkfifo "$dir/in"
	"${@:2}" "$DRIVE" "$ACTOR" "$state" "${1:-0}" <"$dir/in" >"$dir/out" 2>>"$dir/log" 3>&- &
	drive=$!
	exec 9>"$dir/in"
	sees '^ready'
	actor=$(sed -n 's/^ready.*pid=\([0-9]*\).*/\1/p' "$dir/out" | tail -n 1)
}

drive_end() {
	[ -n "$drive" ] || return 0
	exec 9>&-
	wait "$drive" || true
	drive=
	actor_ends
}

actor_ends() {
	until_true actor_is_gone
}

actor_is_gone() {
	! kill -0 "$actor" 2>/dev/null || grep -q '^State:.*Z' "/proc/$actor/status"
}

actors_were() { # HOW-MANY
	[ "$(grep -c ^ready "$dir/out")" = "$1" ]
}

# Sends one command; its fields are the arguments.
tell() { # COMMAND...
	local IFS=$'\t'
	printf '%s\n' "$*" >&9
}

sees() { # REGEX
	within 20 grep -qP -e "$1" "$dir/out" || { cat "$dir/out" "$dir/log" >&2; return 1; }
}

# A step on a throttle file of our cgroup, and its outcome.
step() { # ID ATTR VALUE STATE
	tell step "$1" 0 "$cg" "$2" "$dev" "$3"
	sees "^outcome\t$1\t$4\t"
}

holds() { # ATTR VALUE: 0 is no limit; what a limit is
	echo "$1 of $cg: $(cat "$BLKIO$cg/$1"), should be $2"
	[ "$(awk -v d="$dev" '$1 == d { print $2 }' "$BLKIO$cg/$1")" = "${2#0}" ]
}

log_says() { # REGEX
	within 20 grep -qE -e "$1" "$dir/log" || { cat "$dir/log" >&2; return 1; }
}

@test "a step is journaled, written and listed; goodbye restores it and leaves nothing" {
	drive_start
	echo "$dev 5000000" >"$BLKIO$cg/$WIOPS"
	step 1 $WBPS 1048576 applied
	step 2 $WIOPS 100 applied
	step 3 $WIOPS 200 applied
	holds $WBPS 1048576
	holds $WIOPS 200
	run -0 "$ACTOR" --list --state "$state"
	grep -q "$WBPS $dev of $cg: was 0, vstor wrote 1048576; rule drive: a test asked for it" <<<"$output"
	grep -q "$WIOPS $dev of $cg: was 5000000, vstor wrote 200" <<<"$output"
	tell revert 4 0 "$cg" $WBPS "$dev"
	sees '^outcome\t4\treverted\t0\t'
	holds $WBPS 0
	tell stop
	sees '^stopped\tSuccess'
	holds $WIOPS 5000000
	[ -z "$(ls -A "$state")" ]
	actor_ends
}

@test "the actor holds two capabilities, no way to more, and a filter of system calls" {
	drive_start
	status=$(cat "/proc/$actor/status")
	for set in Prm Eff Bnd; do
		[ "$(sed -n "s/^Cap$set:\t//p" <<<"$status")" = 0000000000800002 ] # CAP_DAC_OVERRIDE, CAP_SYS_NICE
	done
	[ "$(sed -n 's/^CapAmb:\t//p' <<<"$status")" = 0000000000000000 ]
	grep -q '^NoNewPrivs:	1' <<<"$status"
	grep -q '^Seccomp:	2' <<<"$status"
}

@test "only what is on the whitelist is written" {
	drive_start
	mkdir "$BLKIO$cg/below"
	ln -s "$BLKIO$cg" "$dir/link"
	tell step 1 0 "$cg" cgroup.procs "$dev" 1
	sees '^outcome\t1\trefused\t-1\t.*not an attribute that vstor may write'
	tell step 2 0 "$cg" ../$WBPS "$dev" 1048576
	sees '^outcome\t2\trefused\t-1\t'
	tell step 3 0 "$cg/below/../../.." $WBPS "$dev" 1048576
	sees '^outcome\t3\trefused\t-18\t' # EXDEV: it leads out of the root
	tell step 4 0 "$cg" $WBPS default 1048576
	sees "^outcome\t4\trefused\t-1\t.*has no key 'default'"
	tell step 5 0 "$cg" $WBPS "$dev" 100
	sees '^outcome\t5\trefused\t-22\t.*number from 65536'
	tell step 6 0 / $WBPS "$dev" 1048576
	sees '^outcome\t6\trefused\t-1\t.*cgroups below the root'
	tell step 7 0 "$cg" $WBPS 999:999 1048576
	sees '^outcome\t7\trefused\t-19\t.*no block device'
	tell step 8 0 "$cg/none" $WBPS "$dev" 1048576
	sees '^outcome\t8\trefused\t-2\t'
	tell step 9 0 "$cg" io.max "$dev wbps" 1048576
	sees '^outcome\t9\trefused\t-95\t.*has no io.max: its controller is on cgroup v1 here'
	tell step 10 7 "$cg" $WBPS "$dev" 1048576
	sees '^error\tstep\tInvalid argument'
	holds $WBPS 0
	tell status
	sees '^status\tready.*knobs=0.*writes=0'
}

@test "SIGKILL of the agent at 70 random points: every knob back within 2 s, no foreign change overwritten" {
	timeout 300 python3 "$BATS_TEST_DIRNAME/actor_kill.py" "$DRIVE" "$ACTOR" "$state" "$BLKIO$cg" "$dev" agent 70 3>&- 2>"$dir/log" | tee /dev/fd/3
}

@test "SIGKILL of the actor at 70 random points: every knob back within 2 s, no foreign change overwritten" {
	timeout 300 python3 "$BATS_TEST_DIRNAME/actor_kill.py" "$DRIVE" "$ACTOR" "$state" "$BLKIO$cg" "$dev" actor 70 3>&- 2>"$dir/log" | tee /dev/fd/3
}

@test "SIGKILL of both at 70 random points: every knob back at the next start, no foreign change overwritten" {
	timeout 300 python3 "$BATS_TEST_DIRNAME/actor_kill.py" "$DRIVE" "$ACTOR" "$state" "$BLKIO$cg" "$dev" both 70 3>&- 2>"$dir/log" | tee /dev/fd/3
}

kill_both() {
	kill -STOP "$drive" # so that neither sees the other's end
	kill -KILL "$actor"
	kill -KILL "$drive"
	wait "$drive" || true
	exec 9>&-
	actor_ends
	drive=
}

@test "--revert undoes what two killed processes left, for ExecStopPost" {
	drive_start
	step 1 $WBPS 1048576 applied
	kill_both
	holds $WBPS 1048576
	run -0 "$ACTOR" --revert --state "$state"
	grep -q 'reverted 1 of 1 knobs' <<<"$output"
	holds $WBPS 0
	[ -z "$(ls -A "$state")" ]
	run -0 "$ACTOR" --revert --state "$state"
	run -0 "$ACTOR" --revert --state "$dir/none"
	[ ! -e "$dir/none" ]
}

@test "SIGTERM makes the actor undo everything and end; vstord starts another" {
	drive_start
	step 1 $WBPS 1048576 applied
	kill -TERM "$actor"
	sees '^lost'
	holds $WBPS 0
	log_says 'asked to end: reverted 1 of 1 knobs'
	within 5 actors_were 2
}

@test "a foreign change is left alone, and after three the actor stands aside until somebody asks again" {
	drive_start
	step 1 $WBPS 1048576 applied
	echo "$dev 777777" >"$BLKIO$cg/$WBPS"
	step 2 $WBPS 2097152 conflict
	step 3 $WBPS 2097152 conflict
	tell list
	sees '^knob\t3?.*\tconflict\t-16\t.*conflicts=1\t'
	holds $WBPS 777777
	echo "$dev 0" >"$BLKIO$cg/$WBPS" # back to the old value, as systemd does
	step 4 $WBPS 2097152 conflict
	step 5 $WBPS 2097152 applied
	echo "$dev 888888" >"$BLKIO$cg/$WBPS"
	step 6 $WBPS 2097152 conflict
	echo "$dev 0" >"$BLKIO$cg/$WBPS"
	step 7 $WBPS 2097152 conflict
	step 8 $WBPS 2097152 conflict
	sees '^outcome\t8\t.*does not touch it again until vstorctl policy apply'
	holds $WBPS 0
	tell forget
	step 9 $WBPS 2097152 applied
	holds $WBPS 2097152
	echo "$dev 999999" >"$BLKIO$cg/$WBPS"
	tell stop
	sees '^outcome\t0\tconflict\t.*now=999999'
	sees '^stopped'
	holds $WBPS 999999
	[ -z "$(ls -A "$state")" ]
}

@test "a cgroup that is gone has nothing to undo, and one of the same name is another" {
	drive_start
	step 1 $WBPS 1048576 applied
	rmdir "$BLKIO$cg"
	mkdir "$BLKIO$cg"
	echo "$dev 1048576" >"$BLKIO$cg/$WBPS" # the administrator's, though it is what we wrote into the other one
	tell list
	sees '^knob\t1\treverted\t0\t'
	step 2 $WBPS 2097152 applied
	rmdir "$BLKIO$cg"
	mkdir "$BLKIO$cg"
	echo "$dev 2097152" >"$BLKIO$cg/$WBPS"
	tell stop
	sees '^outcome\t0\treverted\t.*'
	sees '^stopped'
	holds $WBPS 2097152
	[ -z "$(ls -A "$state")" ]
}

@test "a full disk: refuses with the reason, and still undoes" {
	mount -t tmpfs -o size=64k,mode=700 vstor-test "$state"
	drive_start
	step 1 $WBPS 1048576 applied
	dd if=/dev/zero of="$state/filler" bs=4k status=none 2>/dev/null || true
	for i in {10..200}; do tell step "$i" 0 "$cg" $WIOPS "$dev" "$i"; done # until the journal's last page is full
	sees '^outcome\t200\trefused\t-28\t.*nothing was changed, because the journal .* cannot be written: No space left'
	was=$(awk -v d="$dev" '$1 == d { print $2 }' "$BLKIO$cg/$WIOPS")
	[ "$was" -lt 200 ]
	run -0 "$ACTOR" --list --state "$state" # no half record
	grep -q "vstor wrote 1048576" <<<"$output"
	run ! grep -q 'cannot be read' <<<"$output"
	rm "$state/filler"
	step 201 $WIOPS 201 applied
	dd if=/dev/zero of="$state/filler" bs=4k status=none 2>/dev/null || true
	tell stop
	sees '^stopped'
	holds $WBPS 0
	holds $WIOPS 0
	[ "$(ls -A "$state")" = filler ]
}

@test "a read-only state directory: refuses with the reason" {
	mount -t tmpfs -o size=64k,mode=700,ro vstor-test "$state"
	drive_start
	grep -q '^ready	refusing.*Read-only file system. vstor changes nothing without its journal' "$dir/out"
	step 1 $WBPS 1048576 refused
	sees '^outcome\t1\trefused\t-30\t'
	holds $WBPS 0
	log_says 'Read-only file system'
}

@test "a state directory that others can write into: refuses with the reason" {
	chmod 777 "$state"
	drive_start
	grep -q '^ready	refusing.*others than user 0 can write' "$dir/out"
	step 1 $WBPS 1048576 refused
	holds $WBPS 0
}

leave_journal() {
	drive_start
	step 1 $WBPS 1048576 applied
	step 2 $WIOPS 100 applied
	step 3 $WIOPS 200 applied
	kill_both
	size=$(stat -c %s "$state/journal")
}

@test "a corrupt journal: refuses with the reason, changes and undoes nothing, lists what it can" {
	leave_journal
	printf '\377' | dd of="$state/journal" bs=1 seek=$((size / 2)) conv=notrunc status=none
	sum=$(sha256sum "$state/journal")
	drive_start
	grep -q '^ready	refusing.*cannot be trusted' "$dir/out"
	log_says 'Run vstor-actor --list --state'
	step 1 $WBPS 3145728 refused
	sees '^outcome\t1\trefused\t-117\t'
	holds $WBPS 1048576
	tell stop
	sees '^stopped'
	holds $WBPS 1048576
	[ "$sum" = "$(sha256sum "$state/journal")" ]
	run -1 "$ACTOR" --revert --state "$state"
	holds $WBPS 1048576
	run -0 "$ACTOR" --list --state "$state"
	grep -q "cannot be read beyond byte" <<<"$output"
	grep -q "$WBPS $dev of $cg: was 0, vstor wrote 1048576" <<<"$output"
}

@test "a journal that ends in half a record: says so and undoes the rest" {
	leave_journal
	truncate -s $((size - 5)) "$state/journal"
	run -0 "$ACTOR" --revert --state "$state"
	grep -q 'dropped .* bytes of a record that was cut off' <<<"$output"
	holds $WBPS 0
	holds $WIOPS 0
	[ -z "$(ls -A "$state")" ]
}

@test "a journal of another boot is discarded with a message" {
	leave_journal
	echo 01234567-89ab-cdef-0123-456789abcdef >"$dir/boot_id"
	run -0 unshare -m sh -c 'mount --bind "$1" /proc/sys/kernel/random/boot_id && exec "$2" --revert --state "$3"' - "$dir/boot_id" "$ACTOR" "$state"
	grep -q 'discarded, because it was written before the last reboot' <<<"$output"
	holds $WBPS 1048576
	[ -z "$(ls -A "$state")" ]
}

@test "a journal that somebody removes or changes while it is in use: no more steps, but the way back" {
	drive_start
	step 1 $WBPS 1048576 applied
	rm "$state/journal"
	step 2 $WIOPS 100 refused
	sees '^outcome\t2\trefused\t-117\t.*was removed by somebody else'
	holds $WIOPS 0
	tell stop
	sees '^stopped'
	holds $WBPS 0
}

@test "two actors never share a journal; the second gets it when the first ends" {
	drive_start
	step 1 $WBPS 1048576 applied
	run -0 "$ACTOR" --revert --state "$state"
	grep -q 'another vstor-actor holds the journal' <<<"$output"
	holds $WBPS 1048576
	first=$drive
	mkfifo "$dir/in2"
	"$DRIVE" "$ACTOR" "$state" 0 <"$dir/in2" >"$dir/out2" 2>>"$dir/log" 3>&- 9>&- &
	others+=($!)
	exec 8>"$dir/in2"
	within 20 grep -q '^ready	refusing.*another vstor-actor holds the journal' "$dir/out2"
	holds $WBPS 1048576
	tell stop
	sees '^stopped'
	wait "$first"
	within 20 grep -q '^ready	ready.*starts=[2-9].*deaths=0' "$dir/out2" # the one that refused was replaced
	printf 'step\t7\t0\t%s\t%s\t%s\t2097152\n' "$cg" $WBPS "$dev" >&8
	within 20 grep -q '^outcome	7	applied' "$dir/out2"
	holds $WBPS 2097152
	printf 'stop\n' >&8
	within 20 grep -q '^stopped' "$dir/out2"
	holds $WBPS 0
	exec 8>&-
}

@test "a rolling restart with handover writes no knob" {
	drive_start 30
	step 1 $WBPS 1048576 applied
	step 2 $WIOPS 100 applied
	first=$actor
	tell keep
	sees '^stopped\tSuccess'
	wait "$drive"
	holds $WBPS 1048576
	kill -TERM "$first" # of a service manager that ends the whole group: the wait goes on
	run -0 "$ACTOR" --revert --state "$state" # ExecStopPost= of the old unit
	holds $WBPS 1048576
	drive_start 30
	[ "$actor" = "$first" ]
	grep -q '^ready	ready.*adopted=1	knobs=2.*	writes=2	' "$dir/out"
	[ "$(grep -c '^knob	.*	applied	' "$dir/out")" = 2 ]
	tell status
	sees '^status.*\twrites=2\treverts=0'
	holds $WBPS 1048576
	holds $WIOPS 100
	tell stop
	sees '^outcome\t0\treverted'
	sees '^stopped'
	holds $WBPS 0
	holds $WIOPS 0
	actor_ends
	[ -z "$(ls -A "$state")" ]
}

# As a container runtime does it, once the first process of the container has ended.
@test "handover: the actor outlives the cgroups of the agent" {
	local h hierarchies=()
	mapfile -t hierarchies < <(awk '$4 == "/" && / - cgroup2? / { print $5 }' /proc/self/mountinfo)
	[ ${#hierarchies[@]} -ge 2 ]
	for h in "${hierarchies[@]}"; do
		mkdir -p "$h$cg"
		case $h in */cpuset) cat "$h/cpuset.cpus" >"$h$cg/cpuset.cpus"; cat "$h/cpuset.mems" >"$h$cg/cpuset.mems" ;; esac
	done
	drive_start 30 bash -c 'for h in '"${hierarchies[*]}"'; do echo $$ >"$h'"$cg"'/cgroup.procs"; done; exec "$@"' -
	[ "$(grep -c ":$cg\$" "/proc/$actor/cgroup")" -ge 2 ]
	step 1 $WBPS 1048576 applied
	tell keep
	sees '^stopped\tSuccess'
	wait "$drive"
	[ "$(grep -vc ':/$' "/proc/$actor/cgroup")" = 0 ]
	for h in "${hierarchies[@]}"; do
		[ -z "$(cat "$h$cg/cgroup.procs")" ]
		[ "$h" = "$BLKIO" ] || rmdir "$h$cg"
	done
	holds $WBPS 1048576
	drive_start 30
	sees '^ready.*adopted=1'
	tell stop
	sees '^stopped'
	holds $WBPS 0
}

@test "handover without a successor: everything reverted when the time is over" {
	drive_start 2
	step 1 $WBPS 1048576 applied
	tell keep
	sees '^stopped\tSuccess'
	wait "$drive"
	sleep 1
	holds $WBPS 1048576
	within 3 holds $WBPS 0
	log_says 'no successor came: reverted 1 of 1 knobs'
	actor_ends
	[ -z "$(ls -A "$state")" ]
}

@test "handover: a crash is not one, nobody else can take over, and --revert --now ends the wait" {
	drive_start 30
	step 1 $WBPS 1048576 applied
	kill -KILL "$drive"
	wait "$drive" || true
	within 2 holds $WBPS 0
	actor_ends
	drive_start 30
	step 1 $WBPS 1048576 applied
	tell keep
	sees '^stopped'
	wait "$drive"
	chmod 755 "$dir" "$state"
	run ! setpriv --reuid 65534 --regid 65534 --clear-groups socat -u /dev/null UNIX-CONNECT:"$state/actor.sock",socktype=5
	grep -q 'Permission denied' <<<"$output"
	holds $WBPS 1048576
	run -0 "$ACTOR" --revert --now --state "$state"
	holds $WBPS 0
	actor_ends
	[ -z "$(ls -A "$state")" ]
}

@test "a thread's I/O priority: set, restored, and never another thread's" {
	echo bfq >"/sys/block/${loop#/dev/}/queue/scheduler" || skip "this kernel has no bfq"
	sleep 1000 3>&- &
	others+=($!)
	tid=$!
	drive_start
	ionice -c 2 -n 3 -p "$tid"
	tell step 1 1 "$tid" ioprio "" "best-effort 7"
	sees '^outcome\t1\tapplied\t0\t.*old=best-effort 3\tnow=best-effort 7'
	[ "$(ionice -p "$tid")" = "best-effort: prio 7" ]
	tell step 2 1 "$tid" ioprio "" "realtime 0"
	sees '^outcome\t2\trefused\t-22\t'
	tell step 3 1 "$tid" ioprio "" idle
	sees '^outcome\t3\tapplied\t0\t'
	tell step 4 1 4194303 ioprio "" idle
	sees '^outcome\t4\trefused\t-3\t'
	tell stop
	sees '^stopped'
	[ "$(ionice -p "$tid")" = "best-effort: prio 3" ]
	echo none >"/sys/block/${loop#/dev/}/queue/scheduler"
}

@test "bfq weights: refused without bfq; the default does not wipe a disk's own weight" {
	drive_start
	tell step 1 0 "$cg" blkio.bfq.weight_device "$dev" 300
	sees '^outcome\t1\trefused\t-95\t.*its scheduler is not bfq'
	echo bfq >"/sys/block/${loop#/dev/}/queue/scheduler" || skip "this kernel has no bfq"
	echo "$dev 250" >"$BLKIO$cg/blkio.bfq.weight_device"
	tell step 2 0 "$cg" blkio.bfq.weight default 200
	sees '^outcome\t2\tapplied\t0\t.*old=100\tnow=200'
	grep -qx "$dev 250" "$BLKIO$cg/blkio.bfq.weight_device"
	tell step 3 0 "$cg" blkio.bfq.weight_device "$dev" 400
	sees '^outcome\t3\tapplied\t0\t.*old=250\tnow=400'
	tell stop
	sees '^stopped'
	grep -qx "$dev 250" "$BLKIO$cg/blkio.bfq.weight_device"
	[ "$(cat "$BLKIO$cg/blkio.bfq.weight")" = 100 ]
	echo none >"/sys/block/${loop#/dev/}/queue/scheduler"
}

@test "usage errors, and a malformed message ends the actor after it undid everything" {
	run -2 "$ACTOR"
	run -2 "$ACTOR" --fd 0 </dev/null
	run -2 "$ACTOR" --list now
	run -0 "$ACTOR" --version
	run -0 "$ACTOR" --probe
	grep -q "cgroup-io $WBPS: yes" <<<"$output"
	grep -q "cgroup-io io.weight: no: the block I/O controller is on cgroup v1 here" <<<"$output"
	run -0 python3 - "$ACTOR" "$state" <<-'END'
	import socket, subprocess, sys
	ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
	p = subprocess.Popen([sys.argv[1], "--fd", str(theirs.fileno()), "--state", sys.argv[2]],
	                     pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True)
	theirs.close()
	ours.send(b"x" * 5000)
	print(p.wait(10), p.stderr.read(), ours.recv(10) == b"")
	END
	[ "$output" = "0  True" ]
	[ -z "$(ls -A "$state")" ]
}

@test "an actor that cannot be started is reported with the reason, and tried again" {
	mkfifo "$dir/in"
	"$DRIVE" "$dir/no-such-program" "$state" 0 <"$dir/in" >"$dir/out" 2>>"$dir/log" 3>&- &
	drive=$!
	actor=$drive
	exec 9>"$dir/in"
	sees "^lost\tdown\t.*cannot run $dir/no-such-program: No such file or directory"
	step_error=$(printf 'error\tstep\tTransport endpoint is not connected')
	tell step 1 0 "$cg" $WBPS "$dev" 1048576
	sees "^$step_error"
	cp "$ACTOR" "$dir/no-such-program"
	sees '^ready\tready'
	actor=$(sed -n 's/^ready.*pid=\([0-9]*\).*/\1/p' "$dir/out")
	step 1 $WBPS 1048576 applied
	tell stop
	sees '^stopped'
	holds $WBPS 0
}
