#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# vstord --record, and vstorctl --at and --replay: what was shown is shown again, whatever happens to the agent or the disk.

bats_require_minimum_version 1.5.0
load lib

setup() {
	agent_setup
	rec=$dir/rec
}

teardown() {
	local p
	for p in "${others[@]}"; do kill "$p" 2>/dev/null && wait "$p" || true; done
	load_py clean
	agent_teardown
	! mountpoint -q "$dir/full" || umount "$dir/full"
}

replay() {
	"$VSTORCTL" --replay "$rec" "$@"
}

recorded() { # BYTES: at least
	[ "$(cat "$rec"/*.vrec 2>/dev/null | wc -c)" -ge "${1:-1}" ]
}

# Some I/O that goes on until the test ends.
some_io() {
	loop_make 64
	fio --name=some --filename="$loop" --rw=randrw --bs=4k --direct=1 --rate_iops=50 --time_based --runtime=300 \
		--output=/dev/null 3>&- &
	others+=("$!")
}

load_py() { # run|clean OPTION...
	local t trees args=()
	mapfile -t trees < <(awk '$3 == "cgroup2" { print $2 }
		$3 == "cgroup" && $4 ~ /(^|,)(blkio|memory)(,|$)/ { print $2 }' /proc/mounts)
	for t in "${trees[@]}"; do args+=(--tree "$t"); done
	python3 "$BATS_TEST_DIRNAME/record_load.py" "$1" "vstor-record-$$" "${@:2}" "${args[@]}"
}

# Runs a command that shows an interval, and keeps what it prints. The agent ticks seldom, so the only snapshots near it are those that
# this command asked for; and a second later the next one comes.
live() { # NAME COMMAND...
	date +%s.%N >"$dir/$1.since"
	ctl "${@:2}" >"$dir/$1.live" 2>/dev/null
	date +%s.%N >"$dir/$1.when"
	sleep 1.1
}

# The times of the snapshots of the recording, in Unix seconds, one a line: a file has a head with a text, then frames (lib/record_file.h).
times() {
	python3 - "$rec"/*.vrec <<-'END'
		import struct, sys
		for path in sys.argv[1:]:
		    data = open(path, "rb").read()
		    at = 16 + struct.unpack_from("<8sII", data)[1]
		    while at + 32 <= len(data):
		        magic, size, _, _, time_us, _ = struct.unpack_from("<IIIIQQ", data, at)
		        assert magic == 0x4d524656
		        print(f"{time_us // 1000000}.{time_us % 1000000:06}")
		        at += 32 + size
	END
}

# The same from the recording, of one of the snapshots that were made while the command ran. Where the first line of the live output
# tells an interval, in hundredths of a second, it is one of the pairs of snapshots that are as far apart.
again() { # NAME COMMAND...
	local at d
	while read -r at d; do
		# shellcheck disable=SC2086 # an option and its value, or nothing
		replay "${@:2}" --at "@$at" ${d:+-d $d} >"$dir/$1.again" 2>/dev/null || continue
		! cmp -s "$dir/$1.live" "$dir/$1.again" || break
	done < <(times | awk -v since="$(cat "$dir/$1.since")" -v when="$(cat "$dir/$1.when")" \
		-v told="$(sed -n '1s/.*, interval \([0-9.]*\) s.*/\1/p' "$dir/$1.live")" '
		$1 < since || $1 > when { next }
		told == "" { print }
		{ for (i = 0; i < n; i++) if (sprintf("%.2f", $1 - t[i]) == told) printf "%s %.6f\n", $1, $1 - t[i]; t[n++] = $1 }')
	cmp "$dir/$1.live" "$dir/$1.again" || { diff "$dir/$1.live" "$dir/$1.again" >&2; return 1; }
}

@test "a replayed interval prints what was printed live, byte for byte: io, locks, blame, explain, check, ps, top" {
	some_io
	agent_start --interval 60 --record "$rec"
	sleep 1.1
	live io io
	live locks locks
	live blame blame -s
	live explain explain host
	live check check
	live ps ps --all
	live top top -b -n 1
	live json io --json
	grep -q "${loop#/dev/}" "$dir/io.live"
	agent_stop
	again io io
	again locks locks
	again blame blame -s
	again explain explain host
	again check check
	again ps ps --all
	again top top -b -n 1
	d=$(head -n 1 "$dir/json.live" | jq .interval)
	replay io --json --at "@$(head -n 1 "$dir/json.live" | jq .time)" -d "$d" >"$dir/json.again"
	cmp "$dir/json.live" "$dir/json.again"
}

@test "--at with a running agent finds its recording; one that does not record says so" {
	agent_start --interval 0.5
	run -1 ctl io --at -1s
	[[ "$output" = *"the agent does not record: start it with --record DIR"* ]]
	agent_stop
	agent_start --interval 0.2 --record "$rec"
	[ "$(ctl status --json | jq -r .recording.dir)" = "$rec" ]
	until_true recorded 1
	sleep 3
	run -0 ctl io --at -1s --json
	run -0 ctl ps --at "$(date +%H:%M:%S -d '1 second ago')" --all
	for command in slow patterns cache; do run -0 ctl $command --at -1s; done
	run -2 ctl status --at -1s
	run -2 ctl io --at yesterday
	[[ "$output" = *"'yesterday' is not a moment: give 02:47"* ]]
	run -1 ctl io --at -1h
	[[ "$output" = *"the recording begins at"* ]]
	"$VSTORD" --socket "$dir/other" --record "$rec" >"$dir/second" 2>&1 && false
	grep -q 'another vstord records there' "$dir/second"
}

@test "SIGKILL loses at most the last tick; an incomplete end is dropped, with a message" {
	some_io
	agent_start --interval 0.2 --record "$rec"
	sleep 4
	last=$(get /v1/status | jq .time)
	kill -KILL "$agent"
	killed=$(date +%s.%N)
	wait "$agent" || true
	agent=
	run -0 --separate-stderr replay top -b -n 1 --json -d 0.2
	[ -z "$stderr" ]
	run -0 replay io --total --json
	at=$(jq -s '.[0].time' <<<"$output")
	echo "# killed at $killed, recorded until $at, shown until $last" >&3
	jq -ne --argjson a "$at" --argjson l "$last" --argjson k "$killed" '$a >= $l - 0.25 and $a >= $k - 1'
	# a torn end: half of a frame
	f=$(echo "$rec"/*.vrec)
	cp "$f" "$dir/whole"
	truncate -s -7 "$f"
	run -0 --separate-stderr replay io --total --json
	[[ "$stderr" = *"ends in an incomplete snapshot, as after a crash: it is dropped"* ]]
	jq -se --argjson a "$at" '.[0].time < $a and .[0].time > $a - 1' <<<"$output"
	# a new agent goes on beside it
	cp "$dir/whole" "$f"
	agent_start --interval 0.2 --record "$rec"
	until_true test "$(find "$rec" -name '*.vrec' | wc -l)" = 2
	agent_stop
	run -0 replay io --at -1s -d 0.5
}

@test "damaged files give a clear error, and the rest stays readable" {
	some_io
	agent_start --interval 0.1 --record "$rec"
	sleep 3
	f=$(echo "$rec"/*.vrec)
	size=$(stat -c %s "$f") # the end of a snapshot
	sleep 1
	agent_stop
	cp "$f" "$dir/whole"
	printf '\xff\xff\xff' | dd of="$f" bs=1 seek="$size" conv=notrunc status=none
	run -0 --separate-stderr replay io --total --json
	[[ "$stderr" = *"is damaged at byte "*": what was recorded after "*" is lost"* ]]
	# the head
	cp "$dir/whole" "$f"
	printf 'x' | dd of="$f" bs=1 seek=100 conv=notrunc status=none
	run -1 replay io
	[[ "$output" = *"the head of $f is damaged"* ]]
	printf 'x' | dd of="$f" bs=1 seek=2 conv=notrunc status=none
	run -1 replay io
	[[ "$output" = *"is not a file of a recording, or its head is damaged: it is left out"* ]]
	[[ "$output" = *"has no recording"* ]]
	: >"$f"
	run -1 replay io
	run -1 "$VSTORCTL" io --replay "$dir/nowhere"
	[[ "$output" = *"cannot be opened: No such file or directory"* ]]
}

@test "a full disk: told in the log and in the status, ticks go on, and so does the recording when there is room" {
	mkdir "$dir/full"
	mount -t tmpfs -o size=256k none "$dir/full" || skip "cannot mount a tmpfs"
	rec=$dir/full/rec
	agent_start --interval 0.1 --record "$rec"
	until_true recorded 1
	dd if=/dev/zero of="$dir/full/fill" bs=4k status=none 2>/dev/null || true
	failing() { [ "$(get /v1/status | jq -r .recording.error)" = "No space left on device" ]; }
	until_true failing
	grep -q "nothing is recorded: there is no room for the recording in $rec" "$dir/log"
	seq=$(get /v1/status | jq .seq)
	more() { [ "$(get /v1/status | jq .seq)" -gt $((seq + 10)) ]; }
	within 10 more
	rm "$dir/full/fill"
	goes_on() { [ "$(get /v1/status | jq -r .recording.error)" = "" ]; }
	within 60 goes_on
	grep -q "recording to $rec goes on" "$dir/log"
	sleep 1
	agent_stop
	run -0 replay io --at -0.3s -d 0.2
}

@test "top steps with [ and ] and jumps with @" {
	command -v tmux >/dev/null || skip "not installed: tmux"
	some_io
	agent_start --interval 0.5 --record "$rec"
	sleep 5
	agent_stop
	tmux -S "$dir/tmux" -f /dev/null new-session -d -x 140 -y 24 "$VSTORCTL --replay $rec top 2>$dir/err" 3>&-
	others+=("$(tmux -S "$dir/tmux" display -p '#{pid}')")
	screen() { tmux -S "$dir/tmux" capture-pane -p >"$dir/screen"; grep -q "$1" "$dir/screen"; }
	clock() { tmux -S "$dir/tmux" capture-pane -p | sed -n '1s/^vstor \([0-9:]*\) .*/\1/p'; }
	until_true screen "RECORDING of $(hostname)"
	until_true screen "${loop#/dev/}"
	end=$(clock)
	tmux -S "$dir/tmux" send-keys '['
	earlier() { [[ "$(clock)" < "$1" ]]; }
	until_true earlier "$end"
	tmux -S "$dir/tmux" send-keys ']' ']' ']'
	until_true screen 'the recording ends here'
	is_at() { [ "$(clock)" = "$1" ]; }
	is_at "$end"
	there=$(date -d "$end 2 seconds ago" +%H:%M:%S)
	tmux -S "$dir/tmux" send-keys '@' "$there" Enter
	until_true is_at "$there"
	tmux -S "$dir/tmux" send-keys '@' nonsense Enter
	until_true screen "'nonsense' is not a moment"
	tmux -S "$dir/tmux" send-keys Tab
	until_true screen '\[locks\]'
	tmux -S "$dir/tmux" send-keys q
}

@test "report: one HTML file that is complete, with charts, and fetches nothing" {
	some_io
	agent_start --interval 0.2 --record "$rec"
	sleep 5
	agent_stop
	cd "$dir"
	run -0 replay report --for 1h
	[ -s "$output" ]
	python3 "$BATS_TEST_DIRNAME/report_check.py" "$output" "${loop#/dev/}"
	run -0 replay report --for 2s -o -
	[[ "$output" = *"</html>" ]]
	run -2 replay report --for soon
	run -1 replay report -o /nowhere/x
	[[ "$output" = *"the report cannot be written to /nowhere/x"* ]]
}

@test "200 containers at 1 s: what a recording takes on disk and of a core, idle and busy" {
	loop_make 64
	agent_start --record "$rec"
	measure() { # WORD SECONDS RATE MOST_MB_AN_HOUR
		load_py run --device "$loop" --count 200 --rate "$3" --seconds "$2" >"$dir/said" 3>&- &
		others+=("$!")
		until_true grep -q ready "$dir/said"
		sleep 2
		before=$(get /v1/status | jq .recording.bytes) begin=$(date +%s.%N) ticks=$(ticks_of recorder)
		wait "${others[-1]}"
		bytes=$(($(get /v1/status | jq .recording.bytes) - before))
		jq -ne --argjson b "$bytes" --argjson from "$begin" --argjson to "$(date +%s.%N)" --argjson most "$4" \
			--argjson ticks "$(($(ticks_of recorder) - ticks))" --arg word "$1" --arg rounds "$(tail -n 1 "$dir/said")" \
			'($to - $from) as $s | ($b / $s * 3600 / 1e6) as $mb | ($ticks / $s) as $percent |
			"# \($word): \($mb * 100 | round / 100) MB an hour, \($percent * 100 | round / 100) % of a core; \($rounds)",
			if $mb <= $most and $percent <= 0.3 then empty
			else error("\($mb) MB an hour of \($most), \($percent) % of a core of 0.3") end' -r >&3
	}
	ticks_of() { # THREAD
		local t
		for t in /proc/"$agent"/task/*; do
			[ "$(cat "$t/comm")" != "$1" ] || awk '{ print $14 + $15 }' "$t/stat"
		done
	}
	# others on this host are recorded as well; 30 MB an hour is the bound for 200 busy containers
	measure "hardly busy" 20 0 30 # how little an idle host takes is measured in a guest: here others work
	measure busy 20 1 30
}

@test "slow, patterns and cache are shown from a recording, of one container by a part of its name too" {
	some_io
	agent_start --interval 0.5 --record "$rec"
	within 10 slow_has_rows
	sleep 1
	agent_stop
	replay slow --json | jq -es --arg d "${loop#/dev/}" 'map(select(.device == $d and .latency_us > 0)) | length > 0'
	local name
	name=$(replay slow --json | jq -rs '.[0].container')
	replay slow "${name:0:$((${#name} - 1))}" -d 10s --json | jq -es --arg n "$name" 'length > 0 and all(.container == $n)'
	run replay slow no-such-container
	[ "$status" = 1 ]
	[[ $output == *"no container, unit or cgroup is called 'no-such-container'"* ]]
	run replay patterns --at -500ms
	[ "$status" = 0 ]
	run replay patterns no-such-container
	[ "$status" = 1 ]
	run replay cache -d 1s
	[ "$status" = 0 ]
	[[ $output == *"no device here is cached"* || $output == *" before "* ]]
}

slow_has_rows() {
	ctl slow --json | grep -q .
}
