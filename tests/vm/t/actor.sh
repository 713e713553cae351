#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: vstor-actor on cgroup v2: io.max, io.weight, io.bfq.weight, io.cost.* and subtree_control are set, held, and back as they were
# needs: fast-disk 256M
# needs: time 300
# needs: package dmsetup
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
work=/dev/shm/actor state=/dev/shm/actor/state
ACTOR=$TREE/build/vstor-actor DRIVE=$TREE/build/tests/e2e/actor_drive
disk=$(disk fast0)
name=${disk#/dev/}
dev=$(lsblk -dno MAJ:MIN "$disk" | tr -d ' ')
id=0 drive="" actor=""

drive_start() {
	rm -rf $work/in $work/out
	mkfifo $work/in
	"$DRIVE" "$ACTOR" $state 0 <$work/in >$work/out 2>>$work/log &
	drive=$!
	exec 9>$work/in
	sees '^ready\tready'
	actor=$(sed -n 's/^ready.*pid=\([0-9]*\).*/\1/p' $work/out | tail -n 1)
}

drive_end() {
	exec 9>&-
	wait "$drive" || true
}

sees() { # REGEX
	wait_for 30 "$1 in $(tail -n 2 $work/out)" grep -qP -e "$1" $work/out
}

tell() { # COMMAND...
	local IFS=$'\t'
	printf '%s\n' "$*" >&9
}

step() { # TARGET ATTR KEY VALUE STATE [REGEX-OF-THE-REST]
	id=$((id + 1))
	tell step $id 0 "$1" "$2" "$3" "$4"
	sees "^outcome\t$id\t"
	grep -qP "^outcome\t$id\t$5\t${6-}" $work/out || fail "$2 $3 $4: $(grep -P "^outcome\t$id\t" $work/out)"
}

# The line of the disk (or "default") in a file of a cgroup.
line() { # FILE [KEY]
	awk -v k="${2:-$dev}" '$1 == k { sub(/^[^ ]* /, ""); print }' "$CGROUPS$1"
}

mkdir -p $work
mkdir -m 700 $state
defer rm -rf $work
cgroup_new pod
echo +io >$CGROUPS/pod/cgroup.subtree_control
mkdir $CGROUPS/pod/a $CGROUPS/pod/b
defer rmdir $CGROUPS/pod/a $CGROUPS/pod/b
echo "$dev riops=5000" >$CGROUPS/pod/a/io.max # the administrator's, in the same line as ours
drive_start
defer drive_end

# what can act here
probe=$("$ACTOR" --probe)
grep -qx 'cgroup-io io.max: yes' <<<"$probe" || fail "$probe"
grep -q "^cgroup-io io.weight: no: .*iocost is not enabled" <<<"$probe" || fail "$probe"
grep -q "^cgroup-io blkio.bfq.weight: no: .*cgroup v2 here" <<<"$probe" || fail "$probe"

# io.max: the parts of a line are knobs of their own
step /pod/a io.max "$dev wbps" 1048576 applied
step /pod/a io.max "$dev wiops" 100 applied
same "io.max" "$(line /pod/a/io.max)" "rbps=max wbps=1048576 riops=5000 wiops=100"
begin=$(date +%s%N)
in_cgroup pod/a dd if=/dev/zero of="$disk" bs=256k count=8 oflag=direct status=none
at_least "2 MiB at 1 MiB/s took ms" $((($(date +%s%N) - begin) / 1000000)) 900
step /pod/a io.max "$dev wbps" 2097152 applied
tell revert 1000 0 /pod/a io.max "$dev wbps"
sees '^outcome\t1000\treverted'
same "io.max after one revert" "$(line /pod/a/io.max)" "rbps=max wbps=max riops=5000 wiops=100"

# io.weight: refused while it would have no effect, set once iocost is enabled
step /pod/a io.weight default 300 refused '-95\t.*iocost is not enabled'
qos_before=$(line /io.cost.qos) model_before=$(line /io.cost.model)
step / io.cost.model "$dev" "ctrl=user model=linear rbps=100000000 rseqiops=1000 rrandiops=1000 wbps=100000000 wseqiops=1000 wrandiops=1000" applied
step / io.cost.qos "$dev" "enable=1 ctrl=user rpct=0 rlat=250000 wpct=95 wlat=10000 min=50 max=150" applied
[[ "$(line /io.cost.qos)" == "enable=1 ctrl=user rpct=0.00 "*" wpct=95.00 wlat=10000 min=50.00 max=150.00" ]] || fail "io.cost.qos: $(line /io.cost.qos)"
[[ "$(line /io.cost.model)" == "ctrl=user model=linear rbps=100000000 "* ]] || fail "io.cost.model: $(line /io.cost.model)"
step /pod/a io.weight default 300 applied 0
step /pod/a io.weight "$dev" 500 applied 0
same "io.weight" "$(tr '\n' ' ' <$CGROUPS/pod/a/io.weight)" "default 300 $dev 500 "

# the root has no weight, a stacked disk none either
step / io.weight default 300 refused -1
dmsetup create over --table "0 100000 linear $disk 0"
defer dm_gone over
over=$(lsblk -dno MAJ:MIN /dev/mapper/over | tr -d ' ')
step /pod/a io.max "$over wbps" 1048576 refused '-95\t.*stacked on other disks'
dmsetup remove over

# io in subtree_control of a cgroup that lacks it
mkdir $CGROUPS/pod/b/c
defer rmdir $CGROUPS/pod/b/c
step /pod/b/c io.max "$dev wbps" 1048576 refused '-95\t.*not in cgroup.subtree_control'
step /pod/b cgroup.subtree_control io + applied
step /pod/b/c io.max "$dev wbps" 1048576 applied

# everything back, after SIGKILL of the agent and after a kill of both
kill -KILL "$drive"
wait "$drive" || true
is_undone() {
	[ "$(line /pod/a/io.max)" = "rbps=max wbps=max riops=5000 wiops=max" ] &&
		[ "$(cat $CGROUPS/pod/a/io.weight)" = "default 100" ] &&
		[[ "$(line /io.cost.qos)" == "" || "$(line /io.cost.qos)" == "${qos_before:-enable=0 ctrl=auto}"* ]] &&
		[[ "$(line /io.cost.model)" == "" || "$(line /io.cost.model)" == "${model_before:-ctrl=auto}"* ]] &&
		! grep -qw io $CGROUPS/pod/b/cgroup.subtree_control && [ -z "$(ls -A $state)" ]
}
wait_for 10 "everything to be undone: $(tail -n 3 $work/log)" is_undone
drive_start
step /pod/a io.max "$dev wbps" 1048576 applied
kill -STOP "$drive"
kill -KILL "$actor"
kill -KILL "$drive"
wait "$drive" || true
same "io.max after both were killed" "$(line /pod/a/io.max)" "rbps=max wbps=1048576 riops=5000 wiops=max"
"$ACTOR" --revert --state $state
is_undone || fail "not undone: $(grep . $CGROUPS/pod/a/io.max $CGROUPS/pod/a/io.weight $CGROUPS/io.cost.*; ls -A $state)"

# io.bfq.weight
modprobe bfq
echo bfq >"/sys/block/$name/queue/scheduler"
defer eval "echo none >/sys/block/$name/queue/scheduler"
drive_start
step /pod/a io.bfq.weight default 500 applied
step /pod/a io.bfq.weight "$dev" 700 applied
echo 0 >"/sys/block/$name/queue/iosched/slice_idle"
step /pod/a io.bfq.weight "$dev" 800 refused '-95\t.*slice_idle is 0'
echo 8 >"/sys/block/$name/queue/iosched/slice_idle"

# a thread's priority; bfq heeds it
sleep 1000 &
tid=$!
defer kill "$tid"
before=$(ionice -p "$tid")
id=$((id + 1))
tell step $id 1 "$tid" ioprio "" "best-effort 7"
sees "^outcome\t$id\tapplied\t0\t"
same "ionice" "$(ionice -p "$tid")" "best-effort: prio 7"
tell stop
sees '^stopped\tSuccess'
same "ionice afterwards" "$(ionice -p "$tid")" "$before"
same "io.bfq.weight afterwards" "$(cat $CGROUPS/pod/a/io.bfq.weight)" "default 100"
is_undone || fail "not undone"
