#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: who waits at a slow disk or for its journal blames those who fill them, each for its part
# needs: slow-disk 300:256M
# needs: time 600
# needs: package jq bpftool e2fsprogs
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
dev=$(disk slow0)
load=$TREE/build/tests/bpf/disk_load
[ -x "$load" ] || fail "build/tests/bpf/disk_load is not built: make tests"

load_begin() { # NAME ARGUMENT...
	(echo $BASHPID >"$CGROUPS/$1/cgroup.procs" && exec "$load" "${@:2}" >"/dev/shm/$1") &
	loads+=($!)
}

loads_end() {
	kill -TERM "${loads[@]}"
	wait "${loads[@]}"
	loads=()
}

# How many us a container waited for a resource until now: in all, and for each of these holders.
waited() { # WAITER RESOURCE HOLDER...
	ctl blame --total --json | jq -rs --arg waiter "/$1" --arg resource "$2" '
		map(select(.waiter_cgroup == $waiter and .resource == $resource)) as $rows | ["", $ARGS.positional[]]
		| map(("/" + .) as $h | [$rows[] | select($h == "/" or .holder_cgroup == $h) | .wait_us] | add // 0 | floor)
		| join(" ")' --args "${@:3}"
}

has_waited() { # US WAITER RESOURCE [HOLDER]
	local us
	us=$(waited "${@:2}")
	[ "${us##* }" -ge "$1" ]
}

part() { # OF ALL: per mille
	echo $(($1 * 1000 / $2))
}

alike() { # WHAT GOT WANTED: per mille, to 10 points
	if [ $(($2 - $3)) -gt 100 ] || [ $(($3 - $2)) -gt 100 ]; then fail "$1: got $2 per mille, wanted about $3"; fi
	echo "$1: $2 per mille (about $3)"
}

nearly_all() { # WHAT PART ALL
	at_least "per mille of $1" "$(part "$2" "$3")" 950
	[ "$2" -le $(($3 + 2)) ] || fail "$1: $2 is more than all, $3" # the last digits are cut off
}

# Who changed how many blocks of which transaction, as the kernel counts them from now on: the clock of an emulated machine does not
# say how much of a transaction a container gets done.
handles=/sys/kernel/tracing/events/jbd2/jbd2_handle_stats
by_transaction='hist:keys=tid,common_pid:vals=dirtied_blocks'

blocks_begin() {
	echo "$by_transaction" >$handles/trigger
}

# The part of a process of the transactions in which another one changed something, too: of each the same, and by blocks. Per mille.
blocks_end() { # PROCESS OTHER
	awk -v p="$1" -v other="$2" '$1 == "{" { blocks = 0; for (i = 6; i < NF; i++) if ($i == "dirtied_blocks:") blocks = $(i + 1)
			all[$3] += blocks; if ($5 == p) its[$3] += blocks; if ($5 == other) both[$3] = 1 }
		END { for (t in both) if (all[t]) { n++; mean += its[t] / all[t]; part += its[t]; sum += all[t] }
			if (n) printf "%d %d\n", mean / n * 1000, part / sum * 1000; else print "0 0" }' $handles/hist
	echo "!$by_transaction" >$handles/trigger
}

between() { # WHAT GOT A B: per mille, to 10 points
	local low=$3 high=$4
	[ "$low" -le "$high" ] || low=$4 high=$3
	if [ "$2" -lt $((low - 100)) ] || [ "$2" -gt $((high + 100)) ]; then fail "$1: got $2 per mille, wanted $low to $high"; fi
	echo "$1: $2 per mille (between $low and $high)"
}

did() { # CONTAINER IOS
	[ "$(rows_sum ios ".cgroup == \"/$1\"")" -ge "$2" ]
}

journal_is() {
	ctl status --json | jq -e --arg s "$1" '
		[.probes[] | select(.group == "journal" and (.why | startswith("this kernel has another") | not)) | .state] | unique == [$s]' >/dev/null
}

loads=()
agent_start
for c in w-a w-b w-c; do cgroup_new $c; done
load_begin w-a read "$dev" 1 4
wait_for 60 "reads of a container that is alone" did w-a 400
load_begin w-b read "$dev" 16 4
load_begin w-c read "$dev" 8 4
wait_for 120 "a container to wait" has_waited 4000000 w-a "device:${dev#/dev/}"
loads_end
read -r all b c < <(waited w-a "device:${dev#/dev/}" w-b w-c)
ios_b=$(</dev/shm/w-b) ios_c=$(</dev/shm/w-c)
note "w-a waited $all us, $b of it for w-b and $c for w-c; they read $ios_b and $ios_c times"
alike "w-b's part of what both are blamed for, and of what was served" "$(part "$b" $((b + c)))" "$(part "$ios_b" $((ios_b + ios_c)))"
nearly_all "the wait that is one's or the other's" $((b + c)) "$all"

# a journal: who calls fsync now and then waits for who fills the transactions
mounted ext4 "$dev" /mnt
mkdir /mnt/{a,b,c}
load_begin w-a fsync /mnt/a 200 # so that few of the changes are its own
wait_for 60 "commits" has_waited 1 w-a "journal:${dev#/dev/}"
read -r before before_b before_self < <(waited w-a "journal:${dev#/dev/}" w-b w-a)
blocks_begin
load_begin w-b meta /mnt/b
wait_for 120 "a container to wait for the journal" has_waited $((before + 3000000)) w-a "journal:${dev#/dev/}"
fsyncer=${loads[0]} filler=${loads[1]}
loads_end
read -r mean sum < <(blocks_end "$filler" "$fsyncer")
read -r all b self < <(waited w-a "journal:${dev#/dev/}" w-b w-a)
all=$((all - before)) b=$((b - before_b)) self=$((self - before_self))
note "w-a waited $all us for the journal, $b of it for w-b, $self for itself"
nearly_all "the wait for the journal that is w-b's or its own" $((b + self)) $all
between "w-b's part of it, and of the blocks" "$(part "$b" $all)" "$mean" "$sum"

# who only changes something waits, too: for a commit that takes no more changes, for room
blocks_begin
load_begin w-c touch /mnt/c 20
load_begin w-b meta /mnt/b
wait_for 120 "a container to wait for a change" has_waited 20000 w-c "journal:${dev#/dev/}"
toucher=${loads[0]} filler=${loads[1]}
loads_end
read -r mean sum < <(blocks_end "$filler" "$toucher")
read -r all b self < <(waited w-c "journal:${dev#/dev/}" w-b w-c)
note "w-c waited $all us for changes, $b of it for w-b, $self for itself"
nearly_all "the wait for changes that is w-b's or its own" $((b + self)) "$all"
# whoever waits for room waits for the largest transactions, so w-b's part may be larger, but not smaller
at_least "per mille of it that is w-b's" "$(part "$b" "$all")" $(((mean < sum ? mean : sum) - 100))

# the limit of dirty pages: the disk is slow with small requests, so who only writes has to pause
event=/sys/kernel/tracing/events/writeback/balance_dirty_pages

tick_us=4000 # CONFIG_HZ of Debian's kernels is 250

paused() { # PROCESS: us, as the kernel plans them, and how many pauses they are
	awk -v p="$1" '$1 == "{" && $3 == p { for (i = 5; i < NF; i++) if ($i == "pause:" || $i == "hitcount:") v[$i] = $(i + 1) }
		END { print v["pause:"] * 1000, v["hitcount:"] + 0 }' $event/hist
}

wrote() { # CONTAINER: bytes
	rows_sum bytes ".cgroup == \"/$1\" and .op == \"write\" and .kind == \"data\""
}

largest=/sys/block/${dev#/dev/}/queue/max_sectors_kb
as_it_was=$(<"$largest")
echo 4 >"$largest"
echo $((8 << 20)) >/proc/sys/vm/dirty_bytes
defer sh -c 'echo 20 >/proc/sys/vm/dirty_ratio'
echo 'hist:keys=common_pid:vals=pause if pause > 0' >$event/trigger
defer sh -c "echo '!hist:keys=common_pid:vals=pause if pause > 0' >$event/trigger"
wrote_b=$(wrote w-b) wrote_c=$(wrote w-c)
load_begin w-b dirty /mnt/b/file 64
load_begin w-c dirty /mnt/c/file 64
writer=${loads[0]}
wait_for 120 "a writer to pause for who fills memory" has_waited 1 w-b "dirty:${dev#/dev/}" w-c
read -r before before_b before_c < <(waited w-b "dirty:${dev#/dev/}" w-b w-c)
# what counts is what was written in the 10 seconds before, or since they began
wait_for 180 "a writer to pause" has_waited $((before + 8000000)) w-b "dirty:${dev#/dev/}"
loads_end
echo "$as_it_was" >"$largest"
read -r all b c < <(waited w-b "dirty:${dev#/dev/}" w-b w-c)
read -r kernel pauses < <(paused "$writer")
note "w-b paused for $all us, $b for what it wrote and $c for w-c's; the kernel planned $kernel us in $pauses pauses"
at_least "per mille of its pauses that we know" "$(part "$all" "$kernel")" 950
# the kernel tells how long a pause shall be; it ends with the tick after that
at_least "per mille of what we know that are its pauses" "$(part $((kernel + pauses * tick_us)) "$all")" 950
nearly_all "its pauses since both write" $((b - before_b + c - before_c)) $((all - before))
wrote_b=$(($(wrote w-b) - wrote_b)) wrote_c=$(($(wrote w-c) - wrote_c))
alike "w-b's own part, and of what was written" "$(part $((b - before_b)) $((b - before_b + c - before_c)))" \
	"$(part $wrote_b $((wrote_b + wrote_c)))"

unmount /mnt

# the probes of the journal hold no module when nothing is mounted
wait_for 60 "the probes of the journal to be off" journal_is off
rmmod ext4
wait_for 60 "the probes of the journal to be off" journal_is off
mounted ext4 "$dev" /mnt
mkdir /mnt/a
wait_for 60 "the probes of the journal to be back" journal_is attached
load_begin w-a fsync /mnt/a 20
before=$(waited w-a "journal:${dev#/dev/}")
wait_for 60 "waits of a module that came back" has_waited $((before + 1)) w-a "journal:${dev#/dev/}"
loads_end
unmount /mnt
agent_stop
