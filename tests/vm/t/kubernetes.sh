#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: the container image under podman, and the Pod of deploy/kubernetes under podman kube play: names, volumes, probes, reload, handover
# needs: systemd
# needs: make image
# needs: memory 3072
# needs: time 1500
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/podman.sh
. "$(dirname "$0")/../lib/podman.sh"
readonly OUT=/run/kubernetes SOCKET=/run/vstor/vstor.sock
AGENT=vstor # the container

step() {
	echo "--- $(date +%T) $*"
}

# The documents of a kind, of what kustomize made.
documents() { # KIND FILE
	awk -v kind="kind: $1" '
		function flush() { if (found) printf "---\n%s", text; text = ""; found = 0 }
		/^---$/ { flush(); next }
		{ text = text $0 "\n" }
		$0 == kind { found = 1 }
		END { flush() }' "$2"
}

# podman has no DaemonSet: the Pod of its template.
daemonset_pod() { # FILE
	echo "---"
	echo "apiVersion: v1"
	echo "kind: Pod"
	documents DaemonSet "$1" | awk '
		/^  template:$/ { on = 1; next }
		on && /^ ? ? ?[^ ]/ { on = 0 }
		on { print substr($0, 5) }
		on && /^    metadata:$/ { print "  name: vstor" }'
}

overlay() { # NAME
	kubectl kustomize "$TREE/deploy/kubernetes/$1" >"$OUT/$1.all"
	{ documents ConfigMap "$OUT/$1.all"; daemonset_pod "$OUT/$1.all"; } >"$OUT/$1.yaml"
}

play() { # OVERLAY OPTION...
	podman kube play "${@:2}" --network none "$OUT/$1.yaml" >$OUT/said 2>&1 || { cat $OUT/said; fail "podman kube play $1"; }
}

ctl() {
	podman exec $AGENT /usr/bin/vstorctl "$@"
}

answers() {
	ctl status >/dev/null 2>&1
}

up() {
	wait_for 600 "the agent in the Pod to answer" answers_or_ended
	answers || { podman logs $AGENT | tail -n 20; fail "the agent ended"; }
}

answers_or_ended() {
	answers || [ "$(podman inspect --format '{{.State.Running}}' $AGENT 2>/dev/null)" != true ]
}

limit() {
	awk -v d="$DISK" '$1 == d { for (i = 2; i <= NF; i++) if ($i ~ /^wbps=/) v = $i } END { print v ? v : "-" }' "$CGROUP/io.max"
}

limit_is() { # VALUE
	[ "$(limit)" = "$1" ]
}

not_limited() {
	limit_is - || limit_is wbps=max
}

policy() { # RATE
	printf 'version: 1\nrules:\n- {name: slow, match: {container: shop}, max: {write: %s}}\n' "$1"
}

status_of() { # FIELD
	ctl policy status --json | jq -s "map(select(.type == \"policy\"))[0].$1"
}

acting() {
	[ "$(status_of actor)" = '"ready"' ]
}

mkdir -p $OUT
# What kube play of podman 4.3.1 does not read of the Pod: hostPID, and the annotation for AppArmor.
mkdir -p /etc/containers
printf '[containers]\npidns = "host"\napparmor_profile = "unconfined"\n' >/etc/containers/containers.conf
podman load -q -i "$(find "$TREE/build" -maxdepth 1 -name 'vstor-*-image.tar')" >$OUT/loaded
podman_base
shop_start
CGROUP=$(shop_cgroup) DISK=$(root_disk)

step "podman run"
mkdir -p /run/vstor
overlay observe
mapfile -t caps < <(awk '/ add:$/ { on = 1; next } on && /^ *- / { print $2; next } { on = 0 }' $OUT/observe.yaml)
at_least "capabilities in the manifest" "${#caps[@]}" 5
podman run --detach --name $AGENT --network=none --pid=host --read-only --cap-drop=ALL "${caps[@]/#/--cap-add=}" \
	--volume /sys/fs/cgroup:/sys/fs/cgroup:ro --volume /run/vstor:/run/vstor "$(sed -n 's/.*: //p' $OUT/loaded | tail -n 1)" \
	--host-root=/proc/1/root >/dev/null
up
wait_for 60 "the container's name in a scrape" scrape_names shop --unix-socket $SOCKET http://vstor/metrics
ctl check || fail "the books do not balance"
note "podman run: $(ctl ps --json | jq -s 'map(select(.runtime == "podman")) | length') containers of podman by name"
podman rm --force --time 20 $AGENT >/dev/null

step "kube play: observe"
play observe
AGENT=vstor-vstor
up
wait_for 60 "the container's name in a scrape" scrape_names shop --unix-socket $SOCKET http://vstor/metrics
same "privileged" "$(podman inspect --format '{{.HostConfig.Privileged}}' $AGENT)" false
same "a root that is read-only" "$(podman inspect --format '{{.HostConfig.ReadonlyRootfs}}' $AGENT)" true
ctl check || fail "the books do not balance"
wait_for 60 "podman's healthcheck, which is the Pod's livenessProbe" podman healthcheck run $AGENT
volumes_come_and_go
same "the agent's mounts of volumes" "$(grep -cE ' /(srv|proc/1/root)' "/proc/$(podman inspect --format '{{.State.Pid}}' $AGENT)/mountinfo")" 0
not_limited || fail "an agent that observes set a limit: $(limit)"
podman kube down $OUT/observe.yaml >/dev/null

step "kube play: act"
overlay act
play act
up
wait_for 120 "the actor" acting
# as the kubelet does it when the ConfigMap has changed
volume=$(podman volume inspect --format '{{.Mountpoint}}' vstor-policy)
mkdir "$volume"/..1
policy 30MiB/s >"$volume"/..1/policy.yaml
ln -s ..1 "$volume"/..data_tmp
mv -T "$volume"/..data_tmp "$volume"/..data
ln -sf ..data/policy.yaml "$volume"/policy.yaml.new
mv "$volume"/policy.yaml.new "$volume"/policy.yaml
wait_for 60 "the limit" limit_is wbps=31457280
mkdir "$volume"/..2
policy 20MiB/s >"$volume"/..2/policy.yaml
ln -s ..2 "$volume"/..data_tmp
mv -T "$volume"/..data_tmp "$volume"/..data
wait_for 60 "the changed ConfigMap" limit_is wbps=20971520

step "an update, with handover"
(while [ ! -e $OUT/stop ]; do limit; sleep 0.05; done >$OUT/limits) &
watcher=$!
podman rm --force --time 20 $AGENT >/dev/null
podman kube down $OUT/act.yaml >/dev/null
mkdir -p $OUT/next
sed 's/^    rules: \[\]$/    rules: [{name: slow, match: {container: shop}, max: {write: 20MiB\/s}}]/; /^    #/d' $OUT/act.yaml >$OUT/next.yaml
podman volume rm -f vstor-policy >/dev/null 2>&1 || true
play next
up
wait_for 120 "the next Pod to take over" acting
: >$OUT/stop
wait $watcher
at_least "looks at the limit" "$(wc -l <$OUT/limits)" 20
same "the limit during the update" "$(sort -u $OUT/limits)" wbps=20971520
same "knobs that the next Pod wrote" "$(status_of writes)" 0
podman kube down $OUT/next.yaml >/dev/null
note "update: the limit was there at each of $(wc -l <$OUT/limits) looks, and no knob was written"

step "no next Pod"
podman run --rm --network=none --pid=host --cap-drop=ALL --cap-add=DAC_OVERRIDE --volume /sys/fs/cgroup:/sys/fs/cgroup --volume /run/vstor:/run/vstor \
	--entrypoint /usr/sbin/vstor-actor localhost/vstor:0.1.0 --revert --now
wait_for 60 "the limit to be undone" not_limited
same "what is left in /run/vstor" "$(ls -A /run/vstor)" ""
