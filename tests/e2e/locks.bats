#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Who waits for which lock, and for whom: with processes in two cgroups that really do.
bats_require_minimum_version 1.5.0
load lib
load locks

setup() {
	agent_setup
	locks_setup "$BUILD/tests/bpf/lock_load"
}

teardown() {
	locks_teardown
	agent_teardown
}

# The inode's structure on each file system, as the kernel's types have it.
named() { # FS
	case $1 in
	ext4) echo ext4_inode_info.vfs_inode.i_rwsem ;;
	xfs) echo xfs_inode.i_vnode.i_rwsem ;;
	btrfs) echo btrfs_inode.vfs_inode.i_rwsem ;;
	esac
}

# More of it, until each has waited and each has made the other wait: how soon is the scheduler's.
both_told() { # FS
	local g
	in_both "$LOCK_LOAD" churn "$dir/mnt/shared" 4 1500 >/dev/null
	ctl locks --total --json >"$dir/locks"
	ctl blame --total --json >"$dir/blame"
	for g in "$a" "$b"; do
		jq -se --arg c "$g" --arg lock "$(named "$1")" 'map(select(.container == $c and .lock == $lock))
			| length == 1 and (.[0] | .type == "rwsem" and .named_by == "field" and .waits > 10
			and .wait_us.total >= .wait_us.max and .wait_us.max >= .wait_us.p99)' "$dir/locks" >/dev/null || {
			cat "$dir/locks"
			return 1
		}
	done
	jq -se --arg a "$a" --arg b "$b" --arg lock "lock:$(named "$1")" '
		def us(w; h): map(select(.waiter == w and .holder == h and .resource == $lock) | .wait_us) | add // 0;
		us($a; $b) > 0 and us($b; $a) > 0' "$dir/blame" >/dev/null || {
		cat "$dir/blame"
		return 1
	}
}

@test "two containers in one directory: the lock by its field, each container's waits, and both blame the other" {
	agent_start
	for fs in ext4 xfs btrfs; do
		filesystem_make $fs
		mkdir "$dir/mnt/shared"
		until_true both_told $fs
		filesystem_gone
	done
	jq -se 'all(.[]; .schema == 1 and .interval > 0 and .time > 0)' "$dir/locks" "$dir/blame"
}

@test "what a container waits is divided among those who held the lock" {
	filesystem_make ext4
	agent_start
	wait_begin "$b" "$dir/mnt/file"
	in_group "$a" "$LOCK_LOAD" hold "$dir/mnt/file" 12 96
	wait_end
	# all of it by a: 95 % of the wait at least
	ctl blame --total --json >"$dir/blame"
	jq -se --arg a "$a" --arg b "$b" '
		map(select(.waiter == $b and .resource == "lock:ext4_inode_info.vfs_inode.i_rwsem"))
		| (map(.wait_us) | add) as $all
		| (map(select(.holder == $a) | .wait_us) | add) as $by_a
		| $all > 10000 and $by_a >= 0.95 * $all' "$dir/blame" || {
		cat "$dir/blame"
		false
	}
}

@test "of two who hold a lock in turn, each is blamed for its part" {
	filesystem_make ext4
	agent_start
	wait_begin "$b" "$dir/mnt/file"
	start=$(date +%s%N)
	in_group "$a" "$LOCK_LOAD" hold "$dir/mnt/file" 16 96
	middle=$(date +%s%N)
	in_group "$c" "$LOCK_LOAD" hold "$dir/mnt/file" 6 96
	end=$(date +%s%N)
	wait_end
	ctl blame --total --json >"$dir/blame"
	# within 10 points of the time that each was at it
	jq -se --arg a "$a" --arg b "$b" --arg c "$c" --argjson part "$(((middle - start) * 1000 / (end - start)))" '
		def us(holder): map(select(.waiter == $b and .holder == holder and .resource == "lock:ext4_inode_info.vfs_inode.i_rwsem")
			| .wait_us) | add // 0;
		(us($a) / (us($a) + us($c))) as $share
		| [$part / 1000, $share], (us($c) > 10000 and (($share - $part / 1000) | fabs) < 0.1)' "$dir/blame" || {
		cat "$dir/blame"
		false
	}
}

@test "totals and blame are the same waits" {
	filesystem_make xfs
	mkdir "$dir/mnt/shared"
	agent_start
	in_both "$LOCK_LOAD" churn "$dir/mnt/shared" 4 1500
	ctl locks --total --json >"$dir/locks"
	ctl blame --total --json >"$dir/blame"
	jq -ne --slurpfile locks "$dir/locks" --slurpfile blame "$dir/blame" --arg c "$a" '
		($locks | map(select(.container == $c and .type == "rwsem") | .wait_us.total) | add) as $waited
		| ($blame | map(select(.waiter == $c and (.resource | endswith("i_rwsem"))) | .wait_us) | add) as $blamed
		| $blamed > 0.99 * $waited and $blamed < 1.01 * $waited'
	# what is lost is said; it is next to nothing
	get /v1/locks >"$dir/answer"
	jq -se '(map(select(.type == "lock") | .waits) | add) as $waits | .[0]
		| .type == "snapshot" and .watched and (.lost | map(values) | add) * 100 <= $waits' "$dir/answer" || {
		head -n 1 "$dir/answer"
		false
	}
}

@test "counts and times are those of perf lock, on the same run" {
	command -v perf >/dev/null || skip "not installed: linux-perf"
	filesystem_make xfs
	mkdir "$dir/mnt/shared"
	agent_start
	# whoever else begins to trace these locks meanwhile makes either of us miss some: then once more
	for try in 1 2 3; do
		compare_with_perf "$LOCK_LOAD" churn "$dir/mnt/shared" 8 3000 >"$dir/compared"
		cat "$dir/compared"
		! agrees_with_perf "$dir/compared" || return 0
	done
	return 1
}

# Of the kinds of lock that matter in this run; a spinlock's wait is changed by whoever looks at it.
agrees_with_perf() { # FILE
	awk '$2 >= 100 && $1 != "spinlock" {
		n++
		if ($4 < 0.98 * $2 || $4 > 1.02 * $2 || $5 < 0.95 * $3 || $5 > 1.05 * $3) { print "wrong: " $0; bad = 1 }
	} $1 == "spinlock" && $2 >= 100 && ($4 < 0.98 * $2 || $4 > 1.02 * $2) { print "wrong: " $0; bad = 1 }
	END { exit bad || !n }' "$1"
}

@test "an interval counts what happened in it, and nobody waits on a quiet host" {
	agent_start
	run -0 ctl locks -d 0.1 -n 2 --json
	run -0 ctl blame -d 0.1
	[[ "$output" == *"interval 0."* ]]
	run -2 ctl locks --total -d 1
	[[ "$output" == *"--total is one answer at once"* ]]
}
