#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# vstorctl against agents that play a part: what it prints, its exit codes, and what it does when things go wrong.

bats_require_minimum_version 1.5.0
load play

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
		unexpected_argument_'more' check more
		needs_a_value io -d
		takes_no_value io --json=yes
		'0'_is_not_a_duration io -d 0
		'x'_is_not_a_duration io -d x
		'0x10'_is_not_a_duration io -d 0x10
		'1sec'_is_not_a_duration io -d 1sec
		'1ms'_is_not_a_duration io -d 1ms
		'nan'_is_not_a_duration io -d nan
		'-1'_is_not_a_duration top -d -1
		'-1'_is_not_a_number io -n -1
		'2x'_is_not_a_number io -n 2x
		'.1'_is_not_a_number io -n +1
		'99999999999999999999'_is_not_a_number io -n 99999999999999999999
		at_once:_it_has_no io --total -n 3
		is_no_column_of_the_view_'io' top --sort NOPE
		is_no_column_of_the_view_'locks' top --view locks --sort RB/s
		none_of_io,_locks,_blame top --view disks
		which_container? explain
		'x'_is_not_a_duration explain mysql -d x
		at_once:_it_has_no explain mysql --total -d 3
		unexpected_argument_'more' explain mysql more
		unexpected_argument_'more' io mysql more
		none_of_human,_raw,_kib top --units furlongs
	END
	for args in "" --json; do
		# shellcheck disable=SC2086 # none, or one
		run "$VSTORCTL" $args
		ends 2 'Commands:'
		ends 2 'no command was given'
	done
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

@test "a reply is taken whole, also when nobody reads what is printed yet" {
	play_own <<-END
		def containers(path):
		    for i in range(20000):
		        yield r.line(type="container", container=f"c{i}", runtime="docker", id="", cgroup=f"/{i}", namespace="", pod="",
		                     name=f"c{i}", image="", state="running", age=1, ios=1, bytes=512)
		    open("$dir/sent", "w")
		replies["/v1/ps"] = containers
	END
	run bash -o pipefail -c '"$1" --socket "$2" ps --json | { for ((i = 0; i < 600; i++)); do [ ! -e "$3" ] || break; sleep 0.1; done; [ -e "$3" ] && wc -l; }' \
		- "$VSTORCTL" "$sock" "$dir/sent"
	ends 0 '^20000$'
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
		p50_us: 31.744, p99_us: 69.632, max_us: 73.728, queue_p50_us: 15.872, queue_p99_us: 15.872, queue_max_us: 16.384,
		device_p50_us: 31.744, device_p99_us: 69.632, device_max_us: 73.728}' <<<"$output"
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
	jq -es 'map(.max_us) | all(. == 912.2)' <<<"$output"
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
		replies["rows"] = replies["lock"] = replies["blame"] = lambda: iter(())
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
	jq -es 'sort_by(.container) | .[0].queue_max_us == 0 and .[0].queue_p99_us == 0 and (.[1] | [.queue_p50_us, .queue_p99_us, .queue_max_us]) == [0.512, 0.512, 0.7]' <<<"$output"
	run ctl top -n 1 -d 0.1 --json
	jq -es 'sort_by(.container) | .[0].queue_p99_us == 0 and .[1].queue_p99_us == 0.512' <<<"$output"
	run ctl top -n 1 -d 0.1
	ends 0 '^c0 .* 0 +[0-9.]+us +[0-9.]+us +- +0 +0 +- +blkcg'
	ends 0 '^c1 .* <1us +[0-9.]+us +[0-9.]+us +- +0 +0 +- +blkcg'
}

@test "http_proxy in the environment does not matter" {
	play normal
	http_proxy=http://127.0.0.1:1 run ctl ps
	ends 0 mysqld
}

@test "io and status fit a terminal of 80 columns, with what matters most" {
	play normal
	terminal 80 24
	keys "clear; '$VSTORCTL' --socket $sock io -d 0.1" Enter
	has_lines() { [ "$(screen | grep -c "$1")" -eq "$2" ]; }
	until_true has_lines '^[[a-z]' 5 # a row a line
	shows '^batch/copy'
	shows '^CONTAINER +DEVICE +OP +KIND +SIZE +IOS +BYTES +.*LATENCY P99'
	keys "clear; '$VSTORCTL' --socket $sock io -d 0.1 | cat" Enter
	until_true shows 'DEVICE_TIME MAX|DEVICE MAX' # elsewhere everything is shown
	keys "clear; '$VSTORCTL' --socket $sock status" Enter
	until_true shows '^bio_queue: no tracepoint$'
	shows '^PROBE +TRACEPOINT +STATE +RUNS +NS/RUN$'
	has_lines '^  [a-z]' 6 # mode, cost, tick, tables, lost, keeps
	has_lines '^            [A-Za-z]' 3 # each capability in two lines, cut between words
	shows '^            CAP_SYS_ADMIN: .*, read the types of$'
}
