#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# vstorctl top against agents that play a part: as text, and on a terminal.

bats_require_minimum_version 1.5.0
load play

@test "top -b: n frames, sorted, filtered, in units, with kinds" {
	play normal
	run ctl top -b -n 2 -d 0.1
	[ "$(grep -c '^CONTAINER' <<<"$output")" -eq 2 ]
	[ "$(grep -c '^batch/copy' <<<"$output")" -eq 2 ]
	[ "$(sed -n '/^CONTAINER/{n;p;q}' <<<"$output" | cut -c1-10)" = batch/copy ]
	run ctl top -n 1 -d 0.1 --sort p99
	[ "$(sed -n '/^CONTAINER/{n;p;q}' <<<"$output" | cut -c1-14)" = "[unattributed]" ]
	run ctl top -n 1 -d 0.1 --sort CONTAINER --reverse
	[ "$(sed -n '/^CONTAINER/{n;p;q}' <<<"$output" | cut -c1-14)" = "[unattributed]" ]
	run ctl top -n 1 -d 0.1 --filter MYSQL -k
	ends 0 '^  data lt1m'
	absent grep -q '^batch' <<<"$output"
	run ctl top -n 1 -d 0.1 --units kib
	ends 0 'RKiB/s'
	# stacked devices are never added up, so they have no line above
	absent grep -q '^dm-0' <<<"$output"
}

@test "top -b: the views of locks and of blame, with their own columns, totals, sorting and filter" {
	play normal
	run ctl top -b -n 1 -d 0.1
	ends 0 '^prod/mysql-0/mysqld .* [0-9.]+ms ext4_inode_info.vfs_inode.i_rwsem +batch/etl '
	ends 0 '^batch/etl .* prod/mysql-0/mysqld ' # it does no I/O, but it waits
	run ctl top -b -n 2 -d 0.1 --view locks
	ends 0 '^vstor .* io \[locks\] blame '
	ends 0 '^ext4_inode.*vfs_inode.i_rwsem +[0-9.]+ms/s +[0-9.]+ waits/s  p99 +32us  2 waiters$'
	[ "$(grep -Ec '^CONTAINER +LOCK +OBJECT +TYPE +NAMED BY WAIT/s WAITS/s' <<<"$output")" -eq 2 ]
	[ "$(sed -n '/^CONTAINER/{n;s/ .*//;p;q}' <<<"$output")" = prod/mysql-0/mysqld ]
	run ctl top -n 1 -d 0.1 --view LOCKS --sort waits/s --reverse --filter etl
	[ "$(sed -n '/^CONTAINER/,$p' <<<"$output" | cut -d ' ' -f 1 | xargs)" = "CONTAINER batch/etl" ]
	run ctl top -n 1 -d 0.1 --view blame --units raw
	ends 0 '^batch/etl +[0-9.]+/s of waiting by prod/mysql-0/mysqld$'
	[ "$(grep -c '^prod/mysql-0/mysqld' <<<"$output")" -eq 6 ] # 5, and a total
	run ctl top -n 1 -d 0.1 --view blame --filter nobody
	ends 0 '^no line has a name with this text in it$'
	run ctl top -n 1 -d 0.1 --view blame --json
	jq -es 'length == 6 and all(.schema == 1 and .view == "blame") and (map(select(.resource == "device:vda"))[0] |
		.holder == "batch/copy" and .holder_cgroup == "/slice/batch/copy" and .evidence == "share" and .share > 0.14 and .share < 0.16)' <<<"$output"
	run ctl top -n 1 -d 0.1 --view locks --json
	jq -es 'length == 3 and all(.view == "locks" and .wait_us > 0) and (map(select(.lock == "rq.__lock"))[0].blocked_by == "unattributed")' <<<"$output"
}

# What the agent was asked for since this was asked for last.
asked_since() {
	curl -sS --unix-socket "$sock" http://vstor/counts | jq -cS .
}

@test "top asks for what the view needs, once a frame" {
	play normal
	asked() { # VIEW
		ctl top -n 4 -d 0.1 --view "$1" --json >"$dir/out"
		asked_since
	}
	[ "$(asked io)" = '{"/v1/blame":5,"/v1/io":5,"/v1/waits":1}' ]
	[ "$(asked blame)" = '{"/v1/blame":5,"/v1/io":5,"/v1/waits":1}' ]
	[ "$(asked locks)" = '{"/v1/blame":5,"/v1/io":5,"/v1/locks":5,"/v1/waits":1}' ]
}

@test "top: a line without reads and writes says what it has" {
	play normal
	run ctl top -n 1 -d 0.1 -k
	ends 0 '^.unattributed. \(flush\) +vdb '
	ends 0 '^  flush '
	ends 0 '^vdb .* p99 912us \(flush\)$'
	quit
	play_own <<-'END'
		def rows():
		    yield from r.rows()
		    none = {"sum_us": 0, "max_us": 0, "buckets": []}
		    yield {**r.row(9, "merged", "write", "data", "lt1m", 4, 0, 4096, 40), "latency": none, "queue": none, "device_time": none}
		replies["rows"] = rows
	END
	run ctl top -n 1 -d 0.1
	ends 0 '^batch'
	absent grep -q '^merged' <<<"$output"
	run ctl top -n 1 -d 0.1 --json
	jq -es 'map(select(.container == "merged")) | length == 1 and .[0].merges > 0' <<<"$output"
}

@test "top: a figure of the agent that means nothing yet is not shown" {
	play_own <<-'END'
		r.SELF = {**r.SELF, "cpu_percent": 0.0, "rss_bytes": 0, "tick_us": 0}
		def io(path):
		    r.SELF["event_ns"] = 900.0 - r.agent.requests  # measured anew with every reply
		    yield from r.reply_io(path)
		replies["/v1/io"] = io
		def status(path):
		    status.runs += 400
		    reply = r.json.loads("".join(r.reply_status(path)))
		    for probe in reply["probes"]:
		        probe["runs"] = status.runs
		    yield r.json.dumps(reply) + "\n"
		status.runs = 0
		replies["/v1/status"] = status
	END
	run ctl top -n 5 -d 0.1
	ends 0 '^agent - CPU  -  tick -  lost 0  containers'
	[ "$(grep -c 'ns/IO' <<<"$output")" -eq 3 ] # 400, 800, 1200 runs
	grep -q '895 ns/IO' <<<"$output"
	quit
	play normal
	run ctl top -n 1 -d 0.1
	ends 0 '^agent 0.11% CPU  9.5MB  tick 812us  lost 0  212 ns/IO  containers 203$'
}

@test "top --json: the lines of io, locks and blame" {
	play normal
	run ctl top -n 1 -d 0.1 --json
	jq -es 'all(.schema == 1 and .view == "io" and (.lock_wait_us | type) == "number" and (.p99_us | type) == "number")
		and (map(select(.device == "vda" and .kind == "journal"))[0] | .witness == "blkcg" and .class == 5 and .ios == 10)' <<<"$output"
	# what was written for io works with top: the same lines with the same fields and the same amounts
	script='{container, cgroup, device, layer, op, kind, size, patterns, class, witness, ios, bytes, merges, errors, requeues, p50_us, p99_us, max_us,
		queue_p50_us, queue_p99_us, queue_max_us, device_p50_us, device_p99_us, device_max_us, in_flight}'
	diff <(ctl io -d 0.1 --json | jq -cS "$script" | sort) <(jq -cS "$script" <<<"$output" | sort)
	[ "$(ctl io -d 0.1 --json | wc -l)" -ge 4 ]
	# and so it is with the waits
	for view in locks blame; do
		ctl top -n 1 -d 0.1 --view $view --json | jq -cS 'del(.view, .time, .interval)' >"$dir/top"
		ctl $view -d 0.1 --json | jq -cS 'keys - ["stack", "time", "interval"]' | sort -u >"$dir/fields"
		jq -r '.[]' "$dir/fields" | sort -u >"$dir/all"
		jq -r 'keys[]' "$dir/top" | sort -u >"$dir/has"
		[ -z "$(comm -23 "$dir/all" "$dir/has")" ]
	done
}

fits() { # COLUMNS LINES: the last line of the screen is the line of keys
	screen | tail -n 1 | grep -q '^q quit' && [ "$(screen | wc -L)" -le "$1" ] && [ "$(screen | wc -l)" -eq "$2" ]
}

# For a second time: what was asked for the first time has been shown.
asked_again() {
	asked=$((asked + $(asked_since | jq '."/v1/io" // 0')))
	[ $asked -ge 2 ]
}

@test "top on a terminal: keys, resize, the terminal as it was" {
	play normal
	terminal 80 24
	keys "stty -a | sed 1d >$dir/before; '$VSTORCTL' --socket $sock top -d 0.1; echo rc=\$?; stty -a | sed 1d >$dir/after" Enter
	until_true shows '^batch/copy +dm-0'
	until_true fits 80 24
	shows '^CONTAINER .*P99 +LWAIT BLOCKED BY$'
	keys t
	until_true shows '^  data lt1m'
	keys t
	until_true shows_not '^  data lt1m'
	keys /
	until_true shows '^filter'
	keys mysql
	until_true shows_not '^batch/copy'
	until_true shows '^prod/mysql'
	keys BSpace BSpace Enter
	until_true shows "filter 'mys'"
	keys Escape
	until_true shows '^batch/copy'
	keys '>' r
	until_true shows 'sort IO/s reversed'
	until_true shows '^.unattributed.'
	keys '<' r u
	until_true shows 'sort B/s +units raw'
	keys u u p
	until_true shows PAUSED
	keys ' '
	until_true shows_not PAUSED
	keys d
	until_true shows '^seconds: '
	keys x Enter
	until_true shows 'no duration'
	keys d 0.3 Enter
	until_true shows ' 0.3s  sort'
	keys '+'
	until_true shows ' 0.5s  sort'
	keys h
	until_true shows '^QP99|^CONTAINER +who did it'
	keys End
	until_true shows '^ge10m%'
	keys h
	until_true shows '^batch/copy'
	tmux -S "$dir/tmux" resize-window -x 60 -y 15
	until_true fits 60 15
	until_true shows '^batch/copy'
	tmux -S "$dir/tmux" resize-window -x 20 -y 4
	tmux -S "$dir/tmux" resize-window -x 250 -y 50
	until_true shows 'WIT.* ge10m%'
	keys q
	until_true shows '^rc=0'
	until_true cmp "$dir/before" "$dir/after"
}

@test "top on a terminal: Tab goes from I/O to locks to blame, each as it was left" {
	play normal
	terminal 80 24
	keys "'$VSTORCTL' --socket $sock top -d 0.1" Enter
	until_true shows '^batch/copy +dm-0'
	keys Down # the first line, that of batch/copy, is selected
	keys Enter
	until_true shows '^explained: the last interval'
	until_true shows '^I/O on dm-0: read'
	keys x
	until_true shows '^batch/copy +dm-0'
	keys End Enter
	until_true shows '^explained: the last interval'
	absent shows '^I/O on dm-0: read'
	keys x Home
	until_true shows '^batch/copy +dm-0'
	keys '>' # IO/s
	until_true shows 'io. locks blame .* sort IO/s'
	keys Tab
	until_true shows ' io .locks. blame .* sort WAIT/s$'
	until_true shows '^prod/mysql-0/mysqld +ext4_in.*i_rwsem +[0-9.]+ms .* batch/etl$'
	until_true shows '^ext4_inode.*vfs_inode.i_rwsem .* 2 waiters$'
	fits 80 24
	keys t
	until_true shows 'only lines of I/O have kinds'
	keys v
	until_true shows ' io locks .blame. '
	until_true shows '^prod/mysql-0/mysqld +batch/etl +journal:vda +[0-9.]+ms share$'
	keys / copy Enter
	until_true shows_not '^batch/etl +prod/mysql'
	until_true shows '^prod/mysql-0/mysqld +batch/copy +device:vda'
	asked_since >"$dir/out"
	asked=0
	until_true asked_again # and so the view that was left is forgotten
	keys Escape p
	until_true shows PAUSED
	keys Tab Tab Tab # past the actions and caches to a view of the same moment
	until_true shows 'io. locks blame .* sort IO/s'
	until_true shows '^batch/copy +dm-0'
	keys BTab BTab BTab BTab # one that was not asked for then
	until_true shows ' io .locks. blame '
	until_true shows '^paused before this view was seen'
	keys p
	until_true shows '^prod/mysql-0/mysqld +ext4_in.*i_rwsem'
	keys h
	until_true shows 'columns of this view'
	until_true shows '^WAITS/s +waits a second'
	keys h
	tmux -S "$dir/tmux" resize-window -x 60 -y 12
	until_true fits 60 12
	tmux -S "$dir/tmux" resize-window -x 160 -y 30
	until_true shows '^CONTAINER .* OBJECT .* TYPE .* MAX BLOCKED BY'
	quit
	until_true shows '^NO DATA'
	shows '^prod/mysql-0/mysqld +ext4_in.*i_rwsem'
	play restart
	until_true shows_not '^NO DATA'
	until_true shows '^prod/mysql-0/mysqld +ext4_in.*i_rwsem'
	keys q
	until_true shows_not 'locks'
}

@test "top on a terminal: an agent that goes and comes back" {
	play normal
	terminal 80 24
	keys "'$VSTORCTL' --socket $sock top -d 0.1" Enter
	until_true shows '^batch/copy'
	quit
	until_true shows '^NO DATA for .* nobody listens'
	shows '^batch/copy'
	play restart
	until_true shows_not '^NO DATA'
	until_true shows '^batch/copy'
}

@test "top on a terminal: signals give it back as it was" {
	play normal
	terminal 80 24
	keys "stty -a >$dir/before" Enter
	for signal in TERM INT HUP; do
		keys "clear; '$VSTORCTL' --socket $sock top -d 0.1 & echo pid=\$! >$dir/pid; fg; echo rc=\$?; stty -a >$dir/after-$signal" Enter
		until_true shows '^batch/copy'
		until_true test -s "$dir/pid"
		kill "-$signal" "$(sed 's/pid=//' "$dir/pid")"
		until_true shows '^rc=0'
		until_true cmp "$dir/before" "$dir/after-$signal"
		rm "$dir/pid"
	done
}

@test "top on a terminal: NO_COLOR, and no colour where nothing is wrong" {
	play normal
	terminal 80 24
	keys "NO_COLOR=1 '$VSTORCTL' --socket $sock top -d 0.1" Enter
	until_true shows '^batch/copy'
	quit
	until_true shows '^NO DATA'
	tmux -S "$dir/tmux" capture-pane -p -e >"$dir/screen"
	absent grep -qP '\x1b\[[0-9;]*3[0-7]m' "$dir/screen"
	keys q
	until_true shows_not '^NO DATA'
	play normal
	keys "'$VSTORCTL' --socket $sock top -d 0.1" Enter
	until_true shows '^batch/copy'
	quit
	until_true shows '^NO DATA'
	tmux -S "$dir/tmux" capture-pane -p -e | grep -qP '\x1b\[[0-9;]*31m'
}

# An agent that has lost I/Os before, and with each reply loses N more, of this cause.
play_losing() { # CAUSE N
	play_own <<-END
		r.SELF["lost"] = {"no_start": 5, "no_state": 3, "no_end": 50, "missed": 9}
		def io(path):
		    r.SELF["lost"]["$1"] += $2
		    yield from r.reply_io(path)
		replies["/v1/io"] = io
	END
}

red() {
	tmux -S "$dir/tmux" capture-pane -p -e | grep -P '\x1b\[[0-9;]*31m'
}

@test "top on a terminal: red while I/O is being lost, not for what was lost before or for times" {
	terminal 80 24
	for part in "no_state 0" "no_end 2" "missed 7" "no_state 4"; do
		# shellcheck disable=SC2086
		play_losing $part
		keys "clear; '$VSTORCTL' --socket $sock top -d 0.1" Enter
		case $part in
		"no_state 0" | missed*)
			until_true shows 'lost 58  212'
			absent red
			;;
		no_end*)
			until_true shows 'lost [0-9]+ \(\+[0-9]+ no_end\)  212'
			absent red
			;;
		*)
			until_true shows 'lost [0-9]+ \(\+[0-9]+ no_state\)  212'
			red | grep -q lost
			;;
		esac
		keys q
		until_true shows_not 'lost [0-9]'
		quit
	done
}

@test "top on a terminal: no agent, unknown terminal" {
	terminal 80 24
	keys "'$VSTORCTL' --socket $sock top; echo rc=\$?" Enter
	until_true shows '^rc=3'
	shows 'no agent: there is no socket'
	play normal
	keys "clear; TERM=unheard-of '$VSTORCTL' --socket $sock top; echo rc=\$?" Enter
	until_true shows '^rc=5'
	shows "terminal 'unheard-of'"
}
