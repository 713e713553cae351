#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# vstorctl against agents that play a part: what it prints, its exit codes, and what it does when things go wrong.

bats_require_minimum_version 1.5.0

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

# --- usage ---

@test "help, help of each command and version" {
	run ctl help
	ends 0 'Commands:'
	for c in $(ctl help | sed -n '/^Commands/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		run "$VSTORCTL" help "$c"
		ends 0 "^vstorctl $c"
		run "$VSTORCTL" "$c" --help
		ends 0 "^vstorctl $c"
		run "$VSTORCTL" "$c" -h
		ends 0 "^vstorctl $c"
	done
	run "$VSTORCTL" --version
	ends 0 '^vstorctl [0-9]'
	run "$VSTORCTL" io --version
	ends 0 '^vstorctl [0-9]'
}

@test "wrong usage is one clear line, a hint and exit code 2" {
	while read -r pattern args; do
		# shellcheck disable=SC2086 # words
		run ctl $args
		ends 2 "${pattern//_/ }"
		ends 2 "Try 'vstorctl help"
		[ "${#lines[@]}" -eq 2 ]
	done <<-'END'
		unknown_option_'--frobnicate' io --frobnicate
		unknown_option_'-x' io -x
		unknown_option_'--total' ps --total
		unknown_option_'--nope' --nope
		no_command_'iostat' iostat
		no_command_'iostat' help iostat
		'more'_is_too_much check more
		needs_a_value io -d
		takes_no_value io --json=yes
		'0'_is_not_a_time io -d 0
		'x'_is_not_a_time io -d x
		'1s'_is_not_a_time io -d 1s
		'nan'_is_not_a_time io -d nan
		'-1'_is_not_a_time top -d -1
		'-1'_is_not_a_number io -n -1
		'2x'_is_not_a_number io -n 2x
		'.1'_is_not_a_number io -n +1
		'99999999999999999999'_is_not_a_number io -n 99999999999999999999
		at_once:_it_has_no io --total -n 3
		is_no_column_of_the_view_'io' top --sort NOPE
		is_no_column_of_the_view_'locks' top --view locks --sort RB/s
		none_of_io,_locks,_blame top --view disks
		which_container? explain
		'x'_is_not_a_time explain mysql -d x
		at_once:_it_has_no explain mysql --total -d 3
		'more'_is_too_much explain mysql more
		none_of_human,_raw,_kib top --units furlongs
	END
	run "$VSTORCTL"
	ends 2 'Commands:'
	run "$VSTORCTL" --socket "/$(printf 'x%.0s' {1..200})" ps
	ends 2 'no path of a socket'
}

@test "options stand before or after the command" {
	play normal
	run "$VSTORCTL" --json --socket "$sock" ps
	ends 0 '"schema":1'
	run "$VSTORCTL" ps --json --socket="$sock"
	ends 0 '"schema":1'
}

# --- an agent that is not there, or not well ---

@test "no agent: exit code 3, what happened, to what, what to do" {
	for c in io check ps status locks blame "explain mysql" "top -b" "top --json" "top -b --view locks"; do
		# shellcheck disable=SC2086
		run ctl $c
		ends 3 "no agent: there is no socket $sock. Start vstord, or .*--socket"
	done
}

@test "a dead agent's socket: exit code 3" {
	play normal
	quit
	run ctl ps
	ends 3 "nobody listens on $sock any more"
}

@test "a socket that is not permitted: exit code 4" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to become somebody else"
	play normal
	chmod 600 "$sock"
	cp "$VSTORCTL" "$dir/vstorctl" # where nobody may go
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/vstorctl" --socket "$sock" ps
	ends 4 "not permitted to use the agent's socket $sock: run vstorctl as root"
}

@test "an agent that hangs is given up after 5 s: exit code 3" {
	play hang
	SECONDS=0
	run ctl ps
	ends 3 'does not answer: nothing came for 5 s'
	[ "$SECONDS" -ge 4 ] # not before; later is the machine's
}

@test "an agent that hangs later is waited for, then given up: exit code 3" {
	play stall
	run ctl io -d 0.1
	ends 3 'nothing came for 5 s'
	ends 3 'waiting up to'
}

@test "garbage of every sort: exit code 1 and no crash" {
	while read -r part pattern; do
		play "$part"
		for c in io check ps status locks blame "explain mysql" "top -b -n 1"; do
			# shellcheck disable=SC2086
			run timeout 60 "$VSTORCTL" --socket "$sock" $c
			case $part in
			wrongtypes) ends 1 "field missing|no snapshot" ;;
			*) ends 1 "$pattern" ;;
			esac
		done
		quit
	done <<-'END'
		garbage not a JSON object
		noise does not speak HTTP
		schema2 speaks schema 2
		longline longer than 1 MiB
		wrongtypes -
	END
}

@test "a reply that breaks off: exit code 3" {
	play breakoff
	run ctl io
	ends 3 'broke off its reply'
}

@test "a refusal is shown, its escapes are not" {
	play refuse
	run ctl ps
	ends 1 'refused: out of order'
}

@test "empty replies are no success" {
	play nodevices
	run ctl check
	ends 1 'nothing was checked: .* empty'
	run ctl status
	ends 1 'is empty'
	run ctl io
	ends 1 'no snapshot'
}

# --- what it prints ---

@test "io --json: the difference of two replies, as the contract says" {
	play normal
	run ctl io --json -d 0.1
	ends 0 mysqld
	[ "${#lines[@]}" -eq 5 ] # the row that did not change is not there
	jq -es 'all(.schema == 1 and (.time | type) == "number" and .interval >= 0.09)' <<<"$output"
	jq -es 'map(select(.kind == "data" and .device == "vda"))[0] | del(.time, .interval) == {
		schema: 1, container: "prod/mysql-0/mysqld", cgroup: "/slice/prod/mysql-0/mysqld", device: "vda", layer: "leaf",
		op: "write", kind: "data", size: "lt1m", patterns: [], class: 4, witness: "blkcg",
		ios: 40, bytes: 163840, merges: 2, errors: 0, requeues: 0,
		latency_us: {p50: 31.744, p99: 69.632, max: 73.728}, queue_us: {p50: 15.872, p99: 15.872, max: 16.384},
		device_us: {p50: 31.744, p99: 69.632, max: 73.728}}' <<<"$output"
}

@test "io: samples follow each other at the pace asked for, without gap" {
	play normal
	run ctl io --json -d 0.2 -n 5
	[ "$status" -eq 0 ]
	jq -es '[group_by(.time)[] | {interval: .[0].interval, ios: (map(.ios) | add)}] | length == 5 and all(.ios == 257)
		and (map(.interval) | add) > 0.99' <<<"$output" # none early; late is the machine's
	jq -es '(group_by(.time) | map(.[0])) as $s | [range(1; 5)] |
		all(($s[.].time - $s[. - 1].time - $s[.].interval) | fabs < 0.001)' <<<"$output"
}

@test "io --total: everything since the agent started, at once" {
	play normal
	run ctl io --total --json
	ends 0 '"host"'
	[ "${#lines[@]}" -eq 6 ]
	jq -es 'map(.latency_us.max) | all(. == 912.2)' <<<"$output"
}

@test "io without I/O says so, and nothing in JSON" {
	play idle
	run ctl io -d 0.1
	ends 0 'no I/O'
	run ctl io -d 0.1 --json
	[ "$status" -eq 0 ] && [ -z "$output" ]
}

@test "io goes on when the agent restarts" {
	play restart
	run --separate-stderr ctl io --json -d 0.1 -n 2
	[ "$status" -eq 0 ]
	# shellcheck disable=SC2154 # bats sets it
	[[ $stderr == *"started anew"* ]]
	jq -es 'length == 10 and (map(select(.op == "flush")) | all(.ios == 2))' <<<"$output"
}

@test "io: what a broken reply had is neither lost nor counted twice" {
	play breakonce
	run --separate-stderr ctl io --json -d 0.1 -n 3
	[ "$status" -eq 0 ]
	[[ $stderr == *"broke off"* ]]
	# 4 replies after the first, one of them broken: 3 samples, which together have all of the 4
	jq -es 'map(select(.kind == "journal") | .ios) | add == 40' <<<"$output"
}

@test "io -n 0 ends with 0 at SIGINT, after what was printed" {
	play normal
	"$VSTORCTL" --socket "$sock" io --json -d 0.1 -n 0 >"$dir/out" 3>&- &
	local pid=$! rc=0
	until_true test -s "$dir/out"
	# a shell's background job ignores SIGINT unless it asks for it, as vstorctl does
	kill -INT "$pid"
	wait "$pid" || rc=$?
	[ "$rc" -eq 0 ]
	jq -es 'length > 0' "$dir/out"
}

@test "a reader that leaves early is no error" {
	play big
	for c in "io --json --total" "io --total" "top -b -d 0.1" "help"; do
		# shellcheck disable=SC2086
		run bash -o pipefail -c "'$VSTORCTL' --socket '$sock' $c 2>'$dir/err' | head -n 1 >/dev/null"
		echo "$c: $status $(cat "$dir/err")"
		[ "$status" -eq 0 ] && [ ! -s "$dir/err" ]
	done
}

@test "output that cannot be written is an error" {
	play normal
	run bash -c "'$VSTORCTL' --socket '$sock' ps 2>&1 >/dev/full"
	ends 1 'output cannot be written: No space left'
}

@test "check: 0 when the books balance, 1 and a sentence when not" {
	play normal
	run ctl check
	ends 0 'The books balance'
	quit
	play unbalanced
	run ctl check
	ends 1 'vda: the kernel counted 812 I/Os .*, vstor saw 700 .*misses I/O, 14 % off; no_cell 112: .* no room'
	run --separate-stderr ctl check --json
	[ "$status" -eq 1 ]
	jq -es 'length == 2 and .[0].lost == {no_cell: 112} and .[0].holds == false and .[0].kernel.ios == 812 and .[0].seen.ios == 700
		and .[1].lost == {}' <<<"$output"
}

@test "check: nothing that could be checked" {
	play_own <<-'END'
		replies["/v1/check"] = lambda path: iter(())
	END
	run ctl check
	ends 0 'no device did any I/O since the agent started \([0-9]+ s ago\)'
	run ctl check --json
	[ "$status" -eq 0 ] && [ -z "$output" ]
	quit
	play_own <<-'END'
		replies["/v1/check"] = lambda path: list(r.reply_check())[1:]
	END
	run ctl check
	ends 1 'nothing was checked: the kernel counts the I/O of none of 1 device '
}

@test "ps: what runs and what did I/O; --all shows the rest, and how many that are is told" {
	play_own <<-'END'
		def containers(path):
		    for name, runtime, state, ios in (("db", "docker", "running", 5), ("new", "docker", "running", 0),
		                                      ("old", "docker", "exited", 9), ("cron.service", "systemd", "running", 3),
		                                      ("idle.service", "systemd", "running", 0), ("gone.service", "systemd", "exited", 0)):
		        yield r.line(type="container", container=name, runtime=runtime, id="", cgroup="/" + name, namespace="", pod="",
		                     name=name, image="", state=state, age=1, ios=ios, bytes=512 * ios)
		replies["/v1/ps"] = containers
	END
	run --separate-stderr ctl ps
	[ "$(cut -d ' ' -f 1 <<<"$output" | xargs)" = "CONTAINER cron.service db new" ]
	[ "$stderr" = "Not shown (ps --all does): 2 ended, 1 unit without I/O" ]
	run --separate-stderr ctl ps --json
	[ "$(jq -r .container <<<"$output" | xargs)" = "db new cron.service" ]
	[ "$stderr" = "Not shown (ps --all does): 2 ended, 1 unit without I/O" ]
	for all in -a --all; do
		run --separate-stderr ctl ps "$all" --json
		[ "$(jq -r .container <<<"$output" | xargs)" = "db new old cron.service idle.service gone.service" ]
		[ -z "$stderr" ]
		run --separate-stderr ctl ps "$all"
		[ "${#lines[@]}" -eq 7 ] && [ -z "$stderr" ]
	done
}

@test "ps and status" {
	play normal
	run ctl ps
	ends 0 '^prod/mysql-0/mysqld +containerd +running +13m32s +812 +3.2M +docker.io/library/mysql:8.0 +/slice'
	run ctl ps --json
	jq -es 'length == 2 and .[0].runtime == "containerd"' <<<"$output"
	run ctl status
	ends 0 '0.11 % of a core, 9.5MB memory.*212 ns per I/O'
	ends 0 'bio_queue +block_bio_queue +missing +0 +-$'
	ends 0 '^bio_queue: no tracepoint$'
	run ctl status --json
	jq -e '.pid > 0 and .schema == 1' <<<"$output"
}

@test "hostile names are harmless in every output" {
	play hostile
	for c in "io --total" ps "top -b -n 1 -d 0.1" "io --total --json" "ps --json" "top --json -n 1 -d 0.1" \
		"locks --total" "blame --total" "locks --total --json" "blame --total --json" "top -b -n 1 -d 0.1 --view locks" \
		"top -b -n 1 -d 0.1 --view blame" "top --json -n 1 -d 0.1 --view blame" "explain ünïcödé --total" \
		"explain back --total --json"; do

		# shellcheck disable=SC2086
		ctl $c >"$dir/out" 2>&1
		[ -s "$dir/out" ]
		# no control character but newline, in ASCII or as UTF-8, and nothing that turns the writing direction
		absent env LC_ALL=C grep -qP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xaa-\xae]' "$dir/out"
		iconv -f UTF-8 -t UTF-8 "$dir/out" >/dev/null
	done
	ctl ps >"$dir/out"
	grep -qF '\x1b[2J\x1b]0;owned\x07' "$dir/out"
	grep -qF 'line\x0abreak\x09tab' "$dir/out"
	[ "$(wc -l <"$dir/out")" -eq 10 ] # a header and nine names: no name makes a line of its own
}

@test "1,000 containers with 8 rows each" {
	play big
	ctl io --total --json >"$dir/out"
	[ "$(wc -l <"$dir/out")" -eq 8000 ]
	run ctl top -b -n 1 -d 0.1 --filter pod-77/
	[ "$(grep -c '^namespace' <<<"$output")" -eq 1 ]
}

@test "what never waited has a wait of 0, and what waited hardly at all is less than a microsecond" {
	play_own <<-'END'
		def rows():
		    for i, longest in enumerate((0, 0.7)):
		        row = r.row(i + 1, f"c{i}", "read", "data", "lt1m", 4, 10, 4096, 40)
		        row["queue"] = {"sum_us": 0, "max_us": longest, "buckets": [[0, row["ios"]]]}
		        yield row
		replies["rows"] = rows
		replies["blame"] = lambda: iter(())
	END
	run ctl io --json -d 0.1
	jq -es 'sort_by(.container) | .[0].queue_us == {p50: 0, p99: 0, max: 0} and .[1].queue_us == {p50: 0.512, p99: 0.512, max: 0.7}' <<<"$output"
	run ctl top -n 1 -d 0.1 --json
	jq -es 'sort_by(.container) | .[0].queue_p99_us == 0 and .[1].queue_p99_us == 0.512' <<<"$output"
	run ctl top -n 1 -d 0.1
	ends 0 '^c0 .* 0 +[0-9.]+us +[0-9.]+us +- +0 +blkcg'
	ends 0 '^c1 .* <1us +[0-9.]+us +[0-9.]+us +- +0 +blkcg'
}

@test "http_proxy in the environment does not matter" {
	play normal
	http_proxy=http://127.0.0.1:1 run ctl ps
	ends 0 mysqld
}

# --- who waits for whom ---

@test "locks and blame: rows that differ in nothing that is shown are one, an object and other resources are shown" {
	play normal
	run ctl locks --json -d 0.1
	jq -es 'length == 3 and .[0].wait_us.total == 30000 and .[0].object == "/data/x" and (.[2] | has("object") | not)
		and (map(select(.container == "batch/etl"))[0] | .waits == 8 and .wait_us.total == 8000)' <<<"$output"
	run ctl locks -d 0.1
	ends 0 '^prod/mysql-0/mysqld +ext4_inode_info.vfs_inode.i_rwsem +/data/x +rwsem +field +10 +30.0ms'
	run ctl blame -d 0.1
	ends 0 '^prod/mysql-0/mysqld +batch/etl +journal:vda +- +share +10 +40.0ms$'
	run ctl blame --json -d 0.1
	jq -es 'length == 6 and (map(.resource) | sort | unique) == ["device:vda", "journal:vda",
		"lock:ext4_inode_info.vfs_inode.i_rwsem", "lock:rq.__lock"]' <<<"$output"
}

@test "explain: sentences, then where they come from, then its I/O" {
	play normal
	run --separate-stderr ctl explain prod/mysql-0/mysqld -d 0.1
	ends 0 "^prod/mysql-0/mysqld waited [0-9]+ ms/s: [0-9]+ on vda's journal commit \(batch/etl\), [0-9]+ on vfs_inode.i_rwsem of /data/x \(73 % batch/etl, 27 % self\), [0-9]+ in vda's queue behind batch/copy\.$"
	ends 0 '^In all because of batch/etl 76 %, batch/copy 15 %, self 10 %\.$'
	ends 0 '^It made others wait [0-9]+ ms/s: batch/etl [0-9]+\.$'
	ends 0 '^lock:ext4_inode_info.vfs_inode.i_rwsem +/data/x +[0-9.]+ +10 % +self +owner$'
	ends 0 '^and 1 less: '
	ends 0 '^I/O on vda: read [0-9.]+/s .*B/s, write .*, p99 172us \(before the disk 39us, in it 172us\); data 73 %, journal 18 %, metadata 9 %\.$'
	ends 0 '^Evidence: 63 % is shared out among those who were served meanwhile\.$'
	[ -z "$stderr" ]
	run ctl explain host -d 0.1
	ends 0 '^host waited for nothing that vstor watches\.$'
	ends 0 '^It did no I/O\.$'
	ends 0 '^Not watched: '
	run ctl explain mysql -d 0.1 --json
	[ "${#lines[@]}" -eq 1 ]
	jq -e '.schema == 1 and .interval >= 0.09 and .container == "prod/mysql-0/mysqld" and .wait_us == 82010 and .locks_watched
		and (.causes | length) == 5 and .causes[0] == {resource: "journal:vda", holder: "batch/etl",
			holder_cgroup: "/slice/batch/etl", self: false, wait_us: 40000, share: 0.488, evidence: "share"}
		and (.causes | map(.wait_us) | add) == .wait_us and (.caused | map(.waiter)) == ["batch/etl"]
		and (.io | map(select(has("kind") | not)) | length) == 1 and (.io | map(.kind // empty) | sort) == ["data", "journal", "metadata"]
		and (.sentences | length) == 3 and (.remarks | length) == 2' <<<"$output"
	run ctl explain mysql --total
	ends 0 '^prod/mysql-0/mysqld waited'
	run ctl explain mysql -d 0.1 -n 2
	[ "$(grep -c 'waited [0-9]' <<<"$output")" -eq 2 ]
}

@test "explain: who is meant, and what is said if that is not clear" {
	play_own <<-'END'
		def containers(path):
		    for name, cgroup, state, id in (("prod/db-0/db", "/p0", "running", "abcdef012345"), ("prod/db-1/db", "/p1", "running", ""),
		                                    ("db.service", "/s", "running", ""), ("gone\x1b[2J", "/g", "exited", ""),
		                                    ("twin", "/t1", "running", ""), ("twin", "/t2", "running", ""),
		                                    ("anew", "/a1", "exited", ""), ("anew", "/a2", "running", "")):
		        yield r.line(type="container", container=name, runtime="", id=id, cgroup=cgroup, namespace="", pod="",
		                     name=name, image="", state=state, age=1, ios=0, bytes=0)
		replies["/v1/ps"] = containers
	END
	while read -r typed name; do
		run ctl explain "$typed" -d 0.05
		ends 0 "^$name waited"
	done <<-'END'
		prod/db-0/db prod/db-0/db
		db-1 prod/db-1/db
		abcdef prod/db-0/db
		/s db.service
		SERVICE db.service
		/t2 twin
		anew anew
		kernel kernel
	END
	run ctl explain db
	ends 2 "'db' may be any of 3: give more of the name"
	[ "${lines[1]} ${lines[3]}" = "  prod/db-0/db   db.service" ]
	run ctl explain twin
	ends 2 "2 containers are called 'twin' at once: give the cgroup of one instead"
	[ "${lines[2]}" = "  /t2" ]
	run ctl explain $'mysq\x1b'
	ends 1 "no container, unit or cgroup is called 'mysq.x1b', or has that in its name: 'vstorctl ps --all' lists them"
	run ctl explain gone -d 0.05
	ends 0 '^gone.x1b.2J waited for nothing'
}

@test "where locks are not watched it is said, and the rest is told" {
	play_own <<-'END'
		def unwatched(reply):
		    def answer(path):
		        for text in reply(path):
		            yield text.replace('"watched": true', '"watched": false')
		    return answer
		replies["lock"] = lambda: iter(())
		replies["blame"] = lambda: iter([])
		replies["/v1/locks"] = unwatched(r.reply_locks)
		replies["/v1/blame"] = unwatched(r.reply_blame)
	END
	for c in locks blame; do
		run ctl $c
		ends 5 "does not watch locks on this host: 'vstorctl doctor' says why"
	done
	run ctl explain mysql -d 0.1
	ends 0 '^prod/mysql-0/mysqld waited for nothing'
	ends 0 "^Locks are not watched on this host, 'vstorctl doctor' says why"
	ends 0 '^I/O on vda: read'
	run ctl top -b -n 1 -d 0.1 --view locks
	ends 0 "^locks are not watched on this host: 'vstorctl doctor' says why"
	run ctl top -b -n 1 -d 0.1
	ends 0 '^batch/copy'
}

# --- top ---

@test "top -b: n frames, sorted, filtered, in units, with kinds" {
	play normal
	run ctl top -b -n 2 -d 0.1
	[ "$(grep -c '^CONTAINER' <<<"$output")" -eq 2 ]
	[ "$(grep -c '^batch/copy' <<<"$output")" -eq 2 ]
	[ "$(sed -n '/^CONTAINER/{n;p;q}' <<<"$output" | cut -c1-10)" = batch/copy ]
	run ctl top -n 1 -d 0.1 --sort p99
	[ "$(sed -n '/^CONTAINER/{n;p;q}' <<<"$output" | cut -c1-12)" = unattributed ]
	run ctl top -n 1 -d 0.1 --sort CONTAINER --reverse
	[ "$(sed -n '/^CONTAINER/{n;p;q}' <<<"$output" | cut -c1-12)" = unattributed ]
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
		.holder == "batch/copy" and .holder_cgroup == "/slice/batch/copy" and .evidence == "share" and (.share_percent | round) == 15)' <<<"$output"
	run ctl top -n 1 -d 0.1 --view locks --json
	jq -es 'length == 3 and all(.view == "locks" and .wait_us > 0) and (map(select(.lock == "rq.__lock"))[0].blocked_by == "unattributed")' <<<"$output"
}

@test "top asks for what the view needs, once a frame" {
	play normal
	asked() { # VIEW
		ctl top -n 4 -d 0.1 --view "$1" --json >"$dir/out"
		get_counts
	}
	get_counts() { curl -sS --unix-socket "$sock" http://vstor/counts | jq -c .; }
	[ "$(asked io)" = '{"/v1/io":5,"/v1/blame":5}' ]
	[ "$(asked blame)" = '{"/v1/io":5,"/v1/blame":5}' ]
	[ "$(asked locks)" = '{"/v1/io":5,"/v1/locks":5,"/v1/blame":5}' ]
}

@test "top: a line without reads and writes says what it has" {
	play normal
	run ctl top -n 1 -d 0.1 -k
	ends 0 '^unattributed \(flush\) +vdb '
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

@test "top --json: a line per container and device" {
	play normal
	run ctl top -n 1 -d 0.1 --json
	jq -es 'length == 4 and all(.schema == 1 and .view == "io" and (.reads | type) == "number" and (.p99_us | type) == "number")
		and (map(select(.device == "vda"))[0] | .witness == "blkcg" and .class == 4 and (.metadata_percent | round) == 27)' <<<"$output"
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

fits() { # COLUMNS LINES: the last line of the screen is the line of keys
	screen | tail -n 1 | grep -q '^q quit' && [ "$(screen | wc -L)" -le "$1" ] && [ "$(screen | wc -l)" -eq "$2" ]
}

@test "top on a terminal: keys, resize, the terminal as it was" {
	play normal
	terminal 80 24
	keys "stty -a | sed 1d >$dir/before; '$VSTORCTL' --socket $sock top -d 0.1; echo rc=\$?; stty -a | sed 1d >$dir/after" Enter
	until_true shows '^batch/copy +dm-0'
	until_true fits 80 24
	shows '^CONTAINER .*P99 +LOCK/s BLOCKED BY$'
	keys t
	until_true shows '^  data lt1m'
	keys Enter
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
	until_true shows '^unattributed'
	keys '<' r u
	until_true shows 'sort B/s +units raw'
	keys u u p
	until_true shows PAUSED
	keys ' '
	until_true shows_not PAUSED
	keys d
	until_true shows '^seconds: '
	keys x Enter
	until_true shows 'no time'
	keys d 0.3 Enter
	until_true shows 'every 0.3 s'
	keys '+'
	until_true shows 'every 0.5 s'
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
	keys Escape p
	until_true shows PAUSED
	keys Tab # a view of the same moment
	until_true shows 'io. locks blame .* sort IO/s'
	until_true shows '^batch/copy +dm-0'
	keys BTab BTab # one that was perhaps not asked for then
	until_true shows ' io .locks. blame '
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

@test "io and status fit a terminal of 80 columns, with what matters most" {
	play normal
	terminal 80 24
	keys "clear; '$VSTORCTL' --socket $sock io -d 0.1" Enter
	has_lines() { [ "$(screen | grep -c "$1")" -eq "$2" ]; }
	until_true has_lines '^[a-z]' 5 # a row a line
	shows '^batch/copy'
	shows '^CONTAINER +DEVICE +OP +KIND +SIZE +IOS +BYTES +.*LATENCY P99'
	keys "clear; '$VSTORCTL' --socket $sock io -d 0.1 | cat" Enter
	until_true shows 'DEVICE_TIME MAX|DEVICE MAX' # elsewhere everything is shown
	keys "clear; '$VSTORCTL' --socket $sock status" Enter
	until_true shows '^bio_queue: no tracepoint$'
	shows '^PROBE +TRACEPOINT +STATE +RUNS +NS/RUN$'
	has_lines '^  [a-z]' 5 # mode, cost, tick, tables, lost
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
