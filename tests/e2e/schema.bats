#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Every command's --json against docs/vstorctl.schema.json: one word for one thing, whichever command tells it.
load lib
# shellcheck disable=SC2154 # lib.bash and bats set what is used here

SCHEMA=$BATS_TEST_DIRNAME/../../docs/vstorctl.schema.json

setup() {
	agent_setup
	/usr/bin/python3 -c 'import jsonschema' || skip "python3-jsonschema is not installed"
}

teardown() {
	agent_teardown
}

fits() { # NAME COMMAND...: each line of the command's --json is what the schema says of NAME
	ctl "${@:2}" --json 2>/dev/null | /usr/bin/python3 "$BATS_TEST_DIRNAME/schema_check.py" "$SCHEMA" "$1"
	checked+=("${2}")
}

has_knobs() {
	ctl policy status --json | jq -es 'any(.type == "knob")'
}

has_slow() {
	ctl slow --json | grep -q .
}

@test "the --json of every command is as the schema says" {
	checked=()
	loop_make 64
	fio --name=some --filename="$loop" --rw=randrw --bs=4k --direct=1 --rate_iops=50 --time_based --runtime=300 \
		--output=/dev/null 3>&- &
	others+=("$!")
	printf 'version: 1\nrules:\n- {name: r, match: {device: "%s"}, max: {write: 900MiB/s}}\n' "${loop#/dev/}" >"$dir/policy.yaml"
	agent_start --interval 0.5 --policy "$dir/policy.yaml"
	within 10 has_slow
	fits io io
	fits io io --total
	fits locks locks --total
	fits blame blame --total
	fits explain explain host -d 500ms
	fits slow slow
	fits ps ps --all
	fits check check
	fits status status
	fits doctor doctor
	fits policy policy status
	fits policy policy plan "$dir/policy.yaml"
	"$VSTORCTL" policy check "$dir/policy.yaml" --json |
		/usr/bin/python3 "$BATS_TEST_DIRNAME/schema_check.py" "$SCHEMA" policy-check
	within 10 has_knobs
	for view in io locks blame actions; do
		fits "top-$view" top -n 2 -d 500ms --view "$view"
	done
	ctl insight host on >/dev/null
	fits insight insight
	ctl insight host default >/dev/null
	ctl top -n 2 -d 500ms --view cache --json >"$dir/lines"
	if [ -s "$dir/lines" ]; then fits top-cache top -n 2 -d 500ms --view cache; else echo "# top --view cache has no line on this host" >&3; fi
	# each of these may have no line here, but what there is must fit
	for c in patterns lifetimes cache; do
		if ctl $c --json | grep -q .; then fits "$c" "$c"; else echo "# $c has no line on this host" >&3; fi
		checked+=("$c")
	done
	# no command is left out: report writes HTML, calibrate is tested with the disk that it needs
	for c in $("$VSTORCTL" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		case $c in help | report | calibrate) continue ;; esac
		[[ " ${checked[*]} " == *" $c "* ]] || { echo "the --json of $c is not checked"; return 1; }
	done
}

@test "the schema refuses a field that it does not know, and one of another type" {
	good='{"schema":1,"time":1.5,"interval":1.0,"waiter":"a","waiter_cgroup":"/a","holder":"b","holder_cgroup":"/b","resource":"lock:x","waits":1,"wait_us":2.5,"evidence":"owner"}'
	judge() { jq -c "$1" <<<"$good" | /usr/bin/python3 "$BATS_TEST_DIRNAME/schema_check.py" "$SCHEMA" blame; }
	judge .
	run judge '.wait_us = {total: 2.5}'
	[ "$status" = 1 ]
	run judge '.total_us = 1'
	[ "$status" = 1 ]
	run judge 'del(.holder_cgroup)'
	[ "$status" = 1 ]
}
