#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Metrics as Prometheus gets them: Debian's promtool judges the text, and Debian's Prometheus scrapes two agents.
bats_require_minimum_version 1.5.0
load lib
load containers

setup() {
	agent_setup
	rules=$BATS_TEST_DIRNAME/../../dashboards/rules.yaml
	cgroups=()
	churns=()
}

teardown() {
	exec 7>&- || true
	[ -z "${crowd-}" ] || { kill "$crowd" 2>/dev/null || true; wait "$crowd" || true; }
	agent_teardown
	[ -z "${root-}" ] || containers_teardown
}

needs() { # PROGRAM PACKAGE
	command -v "$1" >/dev/null || skip "not installed: $1 (apt-get install --no-install-recommends $2)"
}

# The URL that the agent chose: $url.
metrics_url() { # LOG
	url=$(sed -n 's|^vstord: metrics at \(http://[^ ]*\)$|\1|p' "${1:-$dir/log}")
	[ -n "$url" ]
}

scrape() { # CURL-OPTION...
	curl -sS --max-time 20 "$@" "$url"
}

# The value of one series; empty if it is not there.
value_of() { # FILE SERIES
	awk -v s="$2" 'index($0, s " ") == 1 { print $NF }' "$1"
}

@test "without --metrics there is no TCP socket; the control socket has the metrics anyway" {
	agent_start
	run -0 ss -Hltnp
	[[ $output != *"pid=$agent,"* ]]
	get /metrics >"$dir/m"
	grep -q '^vstor_build_info{version="' "$dir/m"
	get /metrics -o /dev/null -w '%{content_type}\n' | grep -qx 'text/plain; version=0.0.4; charset=utf-8'
}

@test "bad addresses and limits are refused with the reason" {
	run -2 "$VSTORD" --metrics localhost:9469
	[[ $output == *"--metrics 'localhost:9469' is not ADDR:PORT"* ]]
	run -2 "$VSTORD" --metrics :9469
	[[ $output == *"0.0.0.0:PORT is every address"* ]]
	run -2 "$VSTORD" --metrics-series 12
	[[ $output == *"not a number from 500 to"* ]]
	agent_start --metrics 0
	metrics_url
	run -1 timeout 60 "$VSTORD" --socket "$dir/other.sock" --metrics "$(sed 's|.*//\(.*\)/metrics|\1|' <<<"$url")"
	[[ $output == *"cannot serve metrics at 127.0.0.1:"*"in use"*"--metrics"* ]]
	[ ! -e "$dir/other.sock" ]
}

@test "promtool accepts the text; OpenMetrics, gzip and plain text are the same; the sums are those of vstorctl" {
	needs promtool prometheus
	loop_make 64
	agent_start --metrics 0
	metrics_url
	dd if=/dev/zero of="$loop" bs=64k count=100 oflag=direct status=none
	counted() { [ "$(scrape | awk -v d="device=\"${loop#/dev/}\"" '/^vstor_device_seen_bytes_total/ && index($0, d) { print $NF }')" -ge 6553600 ]; }
	until_true counted
	scrape >"$dir/m"
	promtool check metrics <"$dir/m" # its words are shown if it fails
	scrape -H 'Accept: application/openmetrics-text' -D "$dir/head" >"$dir/om"
	grep -qi '^content-type: application/openmetrics-text; version=1.0.0' "$dir/head"
	[ "$(tail -n 1 "$dir/om")" = "# EOF" ]
	scrape -H 'Accept-Encoding: gzip' -D "$dir/head" >"$dir/gz"
	grep -qi '^content-encoding: gzip' "$dir/head"
	gzip -t "$dir/gz"
	[ "$(stat -c %s "$dir/gz")" -lt $(($(stat -c %s "$dir/m") / 3)) ]
	# the same series in all, and none twice
	for f in m om; do grep -v '^#' "$dir/$f" | sed 's/ [^ ]*$//' | sort >"$dir/$f.series"; done
	gzip -dc "$dir/gz" | grep -v '^#' | sed 's/ [^ ]*$//' | sort >"$dir/gz.series"
	[ -z "$(uniq -d "$dir/m.series")" ]
	names() { sed 's/{.*//' "$1" | sort -u; }
	diff <(names "$dir/m.series") <(names "$dir/om.series")
	diff <(names "$dir/m.series") <(names "$dir/gz.series")
	# what the rows of the agent add up to
	written=$(ctl io --total --json | jq -s --arg d "${loop#/dev/}" '[.[] | select(.device == $d and .op == "write") | .bytes] | add')
	scrape >"$dir/m"
	added=$(awk -v d="device=\"${loop#/dev/}\"" '/^vstor_io_bytes_total/ && index($0, d) && /op="write"/ { n += $NF } END { print n }' "$dir/m")
	[ "$written" = "$added" ]
	[ "$added" -ge 6553600 ]
}

@test "one rendering a snapshot, however many scrape; clients that hang are thrown out" {
	needs socat socat
	agent_start --metrics 0 --interval 60
	metrics_url
	scrape --compressed >"$dir/m"
	before=$(value_of "$dir/m" vstor_metrics_renders_total)
	for _ in 1 2 3 4 5 6 7 8; do scrape -H 'Accept-Encoding: gzip' >/dev/null; done
	scrape --compressed >"$dir/m"
	[ "$(value_of "$dir/m" vstor_metrics_renders_total)" = "$before" ]
	get '/v1/io?max_age=0' >/dev/null # a new snapshot
	scrape --compressed >"$dir/m"
	[ "$(value_of "$dir/m" vstor_metrics_renders_total)" = $((before + 1)) ]
	port=${url##*:}
	port=${port%%/*}
	for _ in $(seq 40); do
		sleep 600 3>&- | socat - "TCP:127.0.0.1:$port" >/dev/null 2>&1 3>&- &
		others+=($!)
	done
	for _ in 1 2 3; do scrape >"$dir/m"; done
	grep -q ^vstor_build_info "$dir/m"
	run -0 curl -sS --max-time 20 -o /dev/null -w '%{http_code}' -X POST -d x "$url"
	[ "$output" = 405 ]
	run -0 curl -sS --max-time 20 -o /dev/null -w '%{http_code}' "${url%metrics}none"
	[ "$output" = 404 ]
}

@test "a limit of series holds, and what is left out is counted" {
	agent_start --metrics 0 --metrics-series 500
	metrics_url
	scrape >"$dir/m"
	[ "$(grep -vc '^#' "$dir/m")" -le 500 ]
	[ "$(value_of "$dir/m" vstor_metrics_series)" = "$(grep -vc '^#' "$dir/m")" ]
	[ "$(value_of "$dir/m" vstor_metrics_series_limit)" = 500 ]
	[ "$(value_of "$dir/m" vstor_metrics_dropped_series_total)" -ge 0 ]
}

# A second agent, with a socket and a log of its own.
second_agent() {
	"$VSTORD" --socket "$dir/s2.sock" --budget 0 --metrics 0 2>"$dir/log2" 3>&- &
	others+=($!)
	second=$!
	second_ready() { grep -qs 'ready:' "$dir/log2" || ! kill -0 "$second" 2>/dev/null; }
	until_true second_ready
	grep -q 'ready:' "$dir/log2"
}

query() { # PROMQL
	curl -sS --max-time 10 -G "http://127.0.0.1:$prom_port/api/v1/query" --data-urlencode "query=$1" | jq -r '.data.result[].value[1]'
}

@test "Prometheus scrapes two agents and its recording rules add them up" {
	needs prometheus prometheus
	needs promtool prometheus
	loop_make 64
	agent_start --metrics 0
	metrics_url
	first=${url#http://}
	second_agent
	metrics_url "$dir/log2"
	prom_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	# rates over seconds in place of minutes, so that the test does not last that long
	sed -e 's/\[5m\]/[6s]/g' -e 's/\[15m\]/[6s]/g' -e 's/interval: 30s/interval: 1s/' "$rules" >"$dir/rules.yaml"
	cat >"$dir/prometheus.yml" <<-END
		global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
		rule_files: [rules.yaml]
		scrape_configs:
		  - job_name: vstor
		    static_configs: [{targets: ["${first%/metrics}", "$(sed 's|http://\(.*\)/metrics|\1|' <<<"$url")"]}]
	END
	promtool check config "$dir/prometheus.yml"
	prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/tsdb" \
		--web.listen-address="127.0.0.1:$prom_port" >"$dir/prometheus.log" 2>&1 3>&- &
	others+=($!)
	both_up() { [ "$(query 'sum(up{job="vstor"})')" = 2 ]; }
	until_true both_up
	fio --name=w --filename="$loop" --rw=randwrite --bs=64k --direct=1 --rate=4m,4m --time_based --runtime=40 \
		--output="$dir/fio" 3>&- &
	others+=($!)
	# both agents see the same writes, so the fleet writes twice what a host does
	d=${loop#/dev/}
	adds_up() {
		local all one
		all=$(query "sum(instance_device:vstor_io_bytes:rate5m{device=\"$d\",op=\"write\"})")
		one=$(query "max(instance_device:vstor_io_bytes:rate5m{device=\"$d\",op=\"write\"})")
		echo "fleet $all, a host $one"
		awk -v all="$all" -v one="$one" 'BEGIN { exit !(one > 2e6 && one < 8e6 && all > 1.8 * one && all < 2.01 * one) }'
	}
	until_true adds_up
	[ "$(query 'count(count by (instance) (vstor_build_info))')" = 2 ]
	[ "$(query "count(fleet:vstor_io_bytes:rate5m{op=\"write\"})")" = 1 ]
	# no sample was refused, and no rule failed
	! grep -E 'level=(warn|error)' "$dir/prometheus.log" | grep -vE 'Error on ingesting out-of-order|deadline exceeded' || false
	[ "$(curl -sS "http://127.0.0.1:$prom_port/api/v1/rules" | jq '[.data.groups[].rules[] | select(.health == "err")] | length')" = 0 ]
}

# Nanoseconds that the agent's threads other than the loop have run.
server_ns() {
	cat "/proc/$agent/task"/*/schedstat 2>/dev/null | awk '{ n += $1 } END { printf "%.0f", n }' # mawk's %d ends at 2^31
	echo " $(awk '{ print $1 }' "/proc/$agent/task/$agent/schedstat")"
}

@test "250 containers: at most 10,000 series and 2 MB, and a scrape costs little" {
	local all loop_ns all2 loop2 n=60 i size p99 cpu
	containers_setup
	loop_make 256
	agent_start --metrics 0 --interval 0.2
	metrics_url
	mkfifo "$dir/in"
	churns+=("$seed")
	containers_py run "$dir/many" --device "$loop" --seed "$seed" --count 250 --crowd <"$dir/in" >"$dir/said" 2>&1 3>&- &
	crowd=$!
	exec 7>"$dir/in"
	said() { grep -q "^$1" "$dir/said" || ! kill -0 "$crowd" 2>/dev/null; }
	within 180 said ready
	named() { [ "$(ctl ps --json | jq -r 'select(.state == "running" and (.container | startswith("churn-"))) | .cgroup' | wc -l)" = 250 ]; }
	until_true named
	echo >&7
	within 180 said done
	all_there() { [ "$(scrape | grep -c '^vstor_io_latency_seconds_count{.*container="churn-.*op="read"')" = 250 ]; }
	until_true all_there
	scrape >"$dir/m"
	promtool check metrics <"$dir/m"
	size=$(stat -c %s "$dir/m")
	read -r all loop_ns < <(server_ns)
	for ((i = 0; i < n; i++)); do
		scrape -H 'Accept-Encoding: gzip' -o "$dir/gz" -w '%{time_total}\n' >>"$dir/times"
		sleep 0.2 # so that each has a snapshot of its own
	done
	read -r all2 loop2 < <(server_ns)
	exec 7>&-
	wait "$crowd"
	crowd=
	p99=$(sort -n "$dir/times" | tail -n 1)
	cpu=$((((all2 - all) - (loop2 - loop_ns)) / n / 1000))
	echo "# $(value_of "$dir/m" vstor_metrics_series) series, $size bytes ($(stat -c %s "$dir/gz") compressed)," \
		"a scrape takes $cpu us of a processor; the slowest of $n took $p99 s on this machine" >&3
	[ "$(value_of "$dir/m" vstor_metrics_series)" -le 10000 ]
	[ "$(value_of "$dir/m" vstor_metrics_dropped_series_total)" = 0 ]
	[ "$size" -le 2000000 ]
	# 1 % of a core with a scrape every 15 s; the wall-clock time of a busy machine is not judged
	[ "$cpu" -gt 0 ]
	[ "$cpu" -le 100000 ]
}
