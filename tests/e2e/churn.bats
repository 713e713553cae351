#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Containers that come and go beside the agent: named, counted, not held up, forgotten in time; and names that hurt.
bats_require_minimum_version 1.5.0
load lib
load containers

setup() {
	agent_setup
	containers_setup
}

teardown() {
	agent_teardown
	containers_teardown
}

row_field() { # FIELD OF-CONTAINER: on our device
	ctl io --total --json | jq -s --arg c "$2" --arg f "$1" --arg d "${loop#/dev/}" \
		'[.[] | select(.container == $c and .device == $d) | .[$f]] | add // 0'
}

row_is() { # FIELD OF-CONTAINER VALUE
	local got
	got=$(row_field "$1" "$2")
	[ "$got" = "$3" ] || { echo "$1 of $2: $got"; return 1; }
}

# Without what it did elsewhere than on our device: pages of dd, if memory has lost them, are read from where that is.
ps_line() { # NAME
	ctl io --total --json | jq -sc --arg c "$1" --arg d "${loop#/dev/}" 'map(select(.container == $c and .device != $d)) |
		{ios: (map(.ios) | add // 0), bytes: (map(.bytes) | add // 0)}' >"$dir/elsewhere"
	get "/v1/ps?max_age=0" | jq -c --arg c "$1" --slurpfile e "$dir/elsewhere" 'select(.container == $c) |
		if .ios > 0 then .ios -= $e[0].ios | .bytes -= $e[0].bytes else . end | {id: .id[:4], state, restarts, ios, bytes}'
}

ps_is() { # NAME LINE...
	[ "$(ps_line "$1")" = "$(printf '%s\n' "${@:2}")" ] || { ps_line "$1"; return 1; }
}

self() { # FIELD
	get "/v1/status?max_age=0" | jq ".self.$1"
}

@test "1,000 containers come and go beside the agent: none held up, all named and counted, their places taken back" {
	device_make 256
	churn off --count 300
	agent_start
	before=$(agent_kib) rows=$(self rows) slots=$(self slots)
	churn on --count 1000 --watch "$agent"
	[ "$(jq .rmdir.busy "$dir/off")" = 0 ]
	[ "$(jq .rmdir.busy "$dir/on")" = 0 ]
	echo "held: $(jq -c .descriptors_held "$dir/on")"
	[ "$(jq -c .descriptors_held "$dir/on")" = "[]" ]
	[ "$(jq .descriptors_looked_at "$dir/on")" -ge 100 ] # one for every ten containers, however long that takes
	until_true containers_counted on
	echo "# $(cat "$dir/checked")" >&3
	[ "$(jq .named "$dir/checked")" -ge 990 ]
	until_true loop_holds
	cycles pairs --count 1000
	[ "$(jq .busy "$dir/pairs")" = 0 ]
	# nothing of the kernel's or of the disk's is waited for otherwise: twice as long is far beyond chance
	jq -e '.ratio < 2' "$dir/pairs"
	grown=$(($(agent_kib) - before))
	echo "# the agent grew by $grown KiB; it keeps the 1,000 for 10 minutes" >&3
	# of each its name, its two rows, and the locks it waited for, of which a busy machine has more
	[ "$grown" -le 8192 ]
	# ... but not their places in the kernel's tables: they go 10 s after the end, and 30 s in which nobody gets them. Each
	# container had two, for its read and its write; the few that remain are of who else is there.
	taken_back() {
		echo "rows $(self rows), were $rows; slots $(self slots), were $slots"
		[ "$(self rows)" -le $((rows + 200)) ] && [ "$(self slots)" -le $((slots + 200)) ]
	}
	within 180 taken_back
	containers_check on
	jq -e '.counted == 1000' "$dir/checked"
	churn again --count 300 --seed "$seed.again" --watch "$agent"
	until_true containers_counted again
	echo "# $(self rows) rows, $(self slots) slots in use, $(self containers) containers known, $(agent_kib) KiB" >&3
}

@test "a container started anew is one line of ps, with what all its runs did" {
	device_make 16
	agent_start
	container_new aaaa db
	in_container aaaa dd if="$loop" of=/dev/null bs=4k count=2 iflag=direct status=none
	until_true ps_is db '{"id":"aaaa","state":"running","restarts":0,"ios":2,"bytes":8192}'
	container_new dddd new
	begin=$EPOCHREALTIME
	until_true ps_is new '{"id":"dddd","state":"running","restarts":0,"ios":0,"bytes":0}'
	echo "# a new container is known after $(awk "BEGIN { printf \"%.2f\", $EPOCHREALTIME - $begin }") s" >&3
	container_end aaaa
	until_true ps_is db '{"id":"aaaa","state":"exited","restarts":0,"ios":2,"bytes":8192}'
	# docker rm, docker run
	container_new bbbb db
	in_container bbbb dd if="$loop" of=/dev/null bs=4k count=3 iflag=direct status=none
	until_true ps_is db '{"id":"bbbb","state":"running","restarts":1,"ios":5,"bytes":20480}'
	# docker restart
	container_end bbbb
	container_new bbbb db
	in_container bbbb dd if="$loop" of=/dev/null bs=8k count=1 iflag=direct status=none
	until_true ps_is db '{"id":"bbbb","state":"running","restarts":2,"ios":6,"bytes":28672}'
	get "/v1/ps?max_age=0" | jq -s 'map({(.container): .age}) | add' >"$dir/ages"
	jq -e '.db <= .new' "$dir/ages" # its last start's, then
	# what runs at the same time stays apart
	container_new cccc db
	until_true ps_is db '{"id":"bbbb","state":"running","restarts":2,"ios":6,"bytes":28672}' \
		'{"id":"cccc","state":"running","restarts":0,"ios":0,"bytes":0}'
	# in rows the identity is the cgroup, and the name finds all of them
	until_true row_is ios db 6
	[ "$(ctl io --total --json | jq -r 'select(.container == "db") | .cgroup' | sort -u | wc -l)" = 2 ]
}

@test "events that were lost leave no ghosts and nobody without a name" {
	agent_start
	container_new aaaa before
	until_true ps_is before '{"id":"aaaa","state":"running","restarts":0,"ios":0,"bytes":0}'
	kill -STOP "$agent"
	tree=${trees[0]}
	filler=$tree/vstor-e2e-$$
	mkdir "$filler"
	cgroups+=("$filler")
	for _ in 1 2; do # more events than the ring has room for
		mkdir "$filler"/{1..600}
		rmdir "$filler"/{1..600}
	done
	container_end aaaa
	container_new bbbb after
	kill -CONT "$agent"
	until_true ps_is before '{"id":"aaaa","state":"exited","restarts":0,"ios":0,"bytes":0}'
	until_true ps_is after '{"id":"bbbb","state":"running","restarts":0,"ios":0,"bytes":0}'
	[ "$(self lost.no_event)" -gt 0 ]
	echo "# $(self lost.no_event) events lost" >&3
}

# Every output is UTF-8 without control characters, every line of JSON is JSON.
outputs_are_clean() {
	ctl ps --json >"$dir/json"
	ctl io --total --json >>"$dir/json"
	ctl top --json -n 1 -d 0.1 >>"$dir/json"
	get "/v1/ps?max_age=0" >>"$dir/json"
	get "/v1/io?max_age=0" >>"$dir/json"
	ctl ps >"$dir/text"
	ctl io --total >>"$dir/text"
	ctl top -b -n 1 -d 0.1 >>"$dir/text"
	python3 - "$dir/json" "$dir/text" <<-'END'
		import json, sys, unicodedata
		for line in open(sys.argv[1], "rb").read().decode("utf-8", "strict").splitlines():
		    json.loads(line)
		text = open(sys.argv[2], "rb").read().decode("utf-8", "strict")
		bad = {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs")}
		sys.exit(f"in the text: {bad!r}" if bad else 0)
	END
}

# An I/O whose end the kernel does not show, because another tracer comes or goes, is its container's all the same.
@test "another agent that comes and goes takes no I/O from its container" {
	local i other path=/vstor-e2e-$$-ends
	device_make 64
	agent_start
	cgroup_new "$path"
	for scheduler in none mq-deadline; do
		echo "$scheduler" >"/sys/block/${loop#/dev/}/queue/scheduler"
		in_cgroup "$path" fio --name=r --filename="$loop" --rw=randrw --fsync=100 --bs=4k --direct=1 --ioengine=libaio --iodepth=16 \
			--size=64M --io_size=4G --time_based --runtime=8 --output-format=json >"$dir/fio.$scheduler" 3>&- &
		load=$!
		for i in 1 2 3 4; do
			rm -f "$dir/other.log" # else what the one before said could be taken for this one's
			"$VSTORD" --socket "$dir/other" 2>"$dir/other.log" 3>&- &
			other=$!
			until_true grep -q 'ready:' "$dir/other.log"
			kill "$other"
			wait "$other"
		done
		wait "$load"
	done
	# what a scheduler merges into another request is fio's I/O, too
	did() { jq -s '[.[].jobs[0] | .read.total_ios + .write.total_ios] | add' "$dir"/fio.*; }
	counted() {
		ctl check --json | jq -se --arg d "${loop#/dev/}" 'any(.[]; .device == $d and .holds)' >/dev/null || { ctl check; return 1; }
		ctl io --total --json | jq -se --argjson did "$(did)" --arg c "$path" --arg d "${loop#/dev/}" '[.[] | select(.cgroup == $c
			and .device == $d and (.op == "read" or .op == "write")) | .ios + .merges] | add | if . == $did then true else "\(.) of \($did)" | halt_error end'
	}
	until_true counted
	echo "# $(did) I/Os, $(ctl check --json | jq -c --arg d "${loop#/dev/}" 'select(.device == $d) | .lost')" >&3
}

@test "cgroups with names that hurt do no harm" {
	device_make 16
	names=($'\e]0;title\a\e[31mred\e[0m' $'\xff\xfe\x80\xc0\xaf' "$(printf 'x%.0s' {1..255})" '"quote\' $'tab\tcr\rbs\b' \
		$'\u202egnp.exe' '{"schema":1}' $'c1\u009b31m' '.hidden' '...' '%s%n%p' ' ' $'\x7f' '-rf')
	for when in found told; do # by the scan at the start, and by an event
		for name in "${names[@]}"; do
			cgroup_new "/vstor-e2e-$$-$when/$name"
			in_cgroup "/vstor-e2e-$$-$when/$name" dd if="$loop" of=/dev/null bs=4k count=1 iflag=direct status=none
		done
		[ "$when" = told ] || agent_start
	done
	# deeper than an event has room for
	deep=/vstor-e2e-$$-deep
	for i in 1 2 3 4 5 6; do deep=$deep/$(printf "$i%.0s" {1..250}); done
	cgroup_new "$deep"
	in_cgroup "$deep" dd if="$loop" of=/dev/null bs=4k count=1 iflag=direct status=none
	# whatever is below a container's cgroup is the container's
	container_new aaaa inside
	cgroup_new "/docker/$(long aaaa)/"$'\e[2J'
	in_cgroup "/docker/$(long aaaa)/"$'\e[2J' dd if="$loop" of=/dev/null bs=4k count=1 iflag=direct status=none
	outputs_are_clean
	told() {
		ctl io --total --json | jq -r --arg c "/vstor-e2e-$$-told/" 'select(.cgroup | startswith($c)) | .container' |
			sort -u | tee "$dir/told" | cat -A
		[ "$(wc -l <"$dir/told")" -ge ${#names[@]} ]
	}
	until_true told
	until_true row_is ios inside 1
	until_true loop_holds
}

@test "runtime files that hurt do no harm" {
	device_make 16
	agent_start
	container_new 1111 $'\e[31mred\e[0m\n\a'
	container_new 2222 "$(printf 'long%.0s' {1..1024})"
	container_new 3333 $'\xff\xfe name'
	container_new 4444 broken
	echo '{"Name":"/broken' >"$root/var/lib/docker/containers/$(long 4444)/config.v2.json"
	container_files 5555 huge
	truncate -s 100M "$root/var/lib/docker/containers/$(long 5555)/config.v2.json"
	container_files 6666 link
	ln -sf /dev/zero "$root/var/lib/docker/containers/$(long 6666)/config.v2.json"
	container_files 7777 fifo
	rm "$root/var/lib/docker/containers/$(long 7777)/config.v2.json"
	mkfifo "$root/var/lib/docker/containers/$(long 7777)/config.v2.json"
	container_files 8888 nested
	{ printf '[%.0s' {1..60000}; } >"$root/var/lib/docker/containers/$(long 8888)/config.v2.json"
	before=$(agent_kib)
	all_told() {
		[ "$(ctl io --total --json | jq -c --arg run "$(printf %08x $$)" \
			'select(.cgroup | test("^/docker/[1-8]{4}" + $run)) | .container' | sort -u | wc -l)" = 8 ]
	}
	for id in 5555 6666 7777 8888; do cgroup_new "/docker/$(long $id)"; done
	for id in 1111 2222 3333 4444 5555 6666 7777 8888; do
		in_container $id dd if="$loop" of=/dev/null bs=4k count=1 iflag=direct status=none
	done
	outputs_are_clean
	until_true all_told
	for id in 5555 6666 7777 8888; do # by its id, then
		until_true row_is ios "docker/$(long $id | cut -c1-12)" 1
	done
	[ $(($(agent_kib) - before)) -le 4096 ]
}
