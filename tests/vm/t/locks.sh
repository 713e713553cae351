#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: locks that two containers fight for have their names on ext4, xfs and btrfs, and who holds one is blamed
# needs: fast-disk 2G
# needs: time 600
# needs: package jq bpftool xfsprogs btrfs-progs e2fsprogs
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
dev=$(disk fast0)
load=$TREE/build/tests/bpf/lock_load
[ -x "$load" ] || fail "build/tests/bpf/lock_load is not built: make tests"
declare -A i_rwsem=([ext4]=ext4_inode_info.vfs_inode.i_rwsem [xfs]=xfs_inode.i_vnode.i_rwsem
	[btrfs]=btrfs_inode.vfs_inode.i_rwsem)

# Of the waits until now that a jq filter selects, the sum of a field.
locks_sum() { # FIELD FILTER
	ctl locks --total --json | jq -s "[.[] | select($2) | .$1] | add // 0"
}

# ... and how many per mille of the time on this kernel have a name.
named() {
	ctl locks --total --json | jq -s '(map(.wait_us) | add) as $all
		| (map(select(.named_by != "none") | .wait_us) | add) * 1000 / $all | floor'
}

churn_in_both() { # DIRECTORY
	local one two
	in_cgroup lock-a "$load" churn "$1" 4 300 &
	one=$!
	in_cgroup lock-b "$load" churn "$1" 4 300 &
	two=$!
	wait $one && wait $two
}

agent_start
cgroup_new lock-a
cgroup_new lock-b
# one holds the file while the other waits for it
mounted ext4 "$dev" /mnt
(echo $BASHPID >"$CGROUPS/lock-b/cgroup.procs" && exec "$load" wait /mnt/file) &
waiter=$!
in_cgroup lock-a "$load" hold /mnt/file 8 48
kill -TERM $waiter
wait $waiter
ctl blame --total --json | jq -es '
	map(select(.waiter_cgroup == "/lock-b" and .resource == "lock:ext4_inode_info.vfs_inode.i_rwsem")) | (map(.wait_us) | add) as $all
	| (map(select(.holder_cgroup == "/lock-a") | .wait_us) | add) as $a
	| $all > 0 and $a >= 0.95 * $all' >/dev/null || {
	ctl blame --total --json | jq -c 'select(.waiter_cgroup == "/lock-b")'
	fail "less than 95 % of lock-b's wait for the file is blamed on lock-a, which held it"
}
# ... and what it is, and what its holder does while it sleeps with it
(echo $BASHPID >"$CGROUPS/lock-b/cgroup.procs" && exec "$load" wait /mnt/file) &
waiter=$!
object_told() {
	in_cgroup lock-a "$load" sleep /mnt/file 3 50 >/dev/null
	ctl blame --total --json | jq -es 'any(.[]; .waiter_cgroup == "/lock-b" and .holder_cgroup == "/lock-a"
		and (.object // "" | test("^/mnt/file \\(inode [0-9]+ on ")))' >/dev/null
}
wait_for 120 "the object of the lock to be told" object_told
if grep -q ' bpf_task_from_pid' /proc/kallsyms; then
	ctl blame --total --json | jq -es 'any(.[]; .waiter_cgroup == "/lock-b" and .holder_cgroup == "/lock-a"
		and (.stack // [] | index("handle_userfault")))' >/dev/null || {
		ctl blame --total --json | jq -c 'select(.waiter_cgroup == "/lock-b")'
		fail "no stack of lock-a, which slept with the lock"
	}
else
	ctl blame --total --json | jq -es 'all(.[]; has("stack") | not)' >/dev/null || fail "a stack, on a kernel that gives none"
fi
kill -TERM $waiter
wait $waiter
unmount /mnt
# two containers with one memory: most of the wait is for the one that changes it
# (until there is one: it may be over before the other process has begun)
mm_waited() {
	"$load" mm 30 64 "$CGROUPS/lock-a" "$CGROUPS/lock-b" >/dev/null
	ctl blame --total --json | jq -es 'any(.[]; .waiter_cgroup == "/lock-b" and .resource == "lock:mm_struct.mmap_lock")' >/dev/null
}
wait_for 120 "a wait for the common memory" mm_waited
ctl blame --total --json | jq -es '
	map(select(.waiter_cgroup == "/lock-b" and .resource == "lock:mm_struct.mmap_lock")) | (map(.wait_us) | add) as $all
	| (map(select(.holder_cgroup == "/lock-a") | .wait_us) | add) as $a
	| $all > 0 and $a >= 0.95 * $all' >/dev/null || {
	ctl blame --total --json | jq -c 'select(.waiter_cgroup == "/lock-b")'
	fail "less than 95 % of lock-b's wait for the common memory is blamed on lock-a, which changed it"
}

for fs in ext4 xfs btrfs; do
	mounted $fs "$dev" /mnt
	mkdir /mnt/shared
	churn_in_both /mnt/shared
	for c in lock-a lock-b; do
		at_least "$fs: waits of $c for the directory" \
			"$(locks_sum waits ".cgroup == \"/$c\" and .lock == \"${i_rwsem[$fs]}\" and .named_by == \"field\"")" 10
	done
	unmount /mnt
done
ctl locks --total --json | jq -r '[.lock, .lock_type, .named_by, .waits, .wait_us, .cgroup] | @tsv' | sort -t $'\t' -k5 -n -r | head -60
at_least "per mille of the wait with a name" "$(named)" 900

agent_stop
