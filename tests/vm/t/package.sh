#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: Debian's package on a host with systemd: install, a scrape with a container's name, volumes, acting, upgrade with handover, kill, purge
# needs: systemd
# needs: make deb
# needs: memory 3072
# needs: time 1500
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/podman.sh
. "$(dirname "$0")/../lib/podman.sh"
readonly OUT=/run/package CONF=/etc/vstor/vstord.conf DROP_IN=/run/systemd/system/vstor.service.d
SOCKET=/run/vstor/vstor.sock

# Everything that a package could leave: files, groups, links of systemd, what is in /run.
system_state() {
	find /etc /usr /opt /var/lib/systemd -xdev ! -path '/etc/*-' ! -path '/etc/*.lock' | sort
	find /run /sys/fs/bpf -name '*vst*' ! -path "$DROP_IN*" ! -path '/run/systemd/units/*' | sort
	cut -d: -f1 /etc/group /etc/passwd
	pgrep -l vstor || true
}

unit() { # PROPERTY
	systemctl show --value -p "$1" vstor.service
}

pid() {
	unit MainPID
}

# The kernel's value, "-" if there is none.
limit() {
	awk -v d="$DISK" '$1 == d { for (i = 2; i <= NF; i++) if ($i ~ /^wbps=/) v = $i } END { print v ? v : "-" }' "$CGROUP/io.max"
}

limit_is() { # VALUE
	[ "$(limit)" = "$1" ]
}

not_limited() {
	limit_is - || limit_is wbps=max
}

fed() {
	[ "$(unit WatchdogTimestampMonotonic)" -gt 0 ]
}

failed() {
	[ "$(unit ActiveState)" = failed ]
}

written() { # knobs that the agent of now had written
	vstorctl policy status --json | jq -s 'map(select(.type == "policy"))[0].writes'
}

acting() {
	[ "$(vstorctl policy status --json | jq -rs 'map(select(.type == "policy"))[0].actor')" = ready ]
}

refusals() { # SINCE: what the sandbox refused
	journalctl -u vstor.service -o cat --since "@$1" | grep -iE 'not permitted|permission denied|read-only file|EPERM|EACCES' || true
}

step() {
	echo "--- $(date +%T) $*"
}

deb=$(find "$TREE/build" -maxdepth 1 -name 'vstor_*_amd64.deb')
[ -n "$deb" ] || fail "no package in build/: make deb"
export DEBIAN_FRONTEND=noninteractive
mkdir -p $OUT $DROP_IN
# an emulated machine takes minutes for what the verifier does in a second
printf '[Service]\nTimeoutStartSec=900\n' >$DROP_IN/emulated.conf
systemctl daemon-reload
podman_base
shop_start
system_state >$OUT/before
began=$(date +%s)
cp "$deb" $OUT/vstor.deb # apt's own user reads it

step install
apt-get install -y -q $OUT/vstor.deb >$OUT/apt 2>&1 || { cat $OUT/apt; journalctl -u vstor --no-pager | tail -n 40; fail "apt-get install"; }
same "the service" "$(unit Type) $(unit ActiveState) $(unit SubState)" "notify active running"
ready=$SECONDS
wait_for 60 "the container's name in a scrape" scrape_names shop --unix-socket $SOCKET http://vstor/metrics
note "the first scrape with the container's name came $((SECONDS - ready)) s after the start"
same "the socket" "$(stat -c '%G %a' $SOCKET)" "vstor 660"
group=$(getent group vstor | cut -d: -f3)
setpriv --reuid=nobody --regid=nogroup --groups="$group" vstorctl status >/dev/null || fail "a member of the group may not look"
same "status for a user outside the group" "$(setpriv --reuid=nobody --regid=nogroup --clear-groups vstorctl status >/dev/null 2>&1 || echo $?)" 4
wait_for 60 "the watchdog to be fed" fed
vstorctl check || fail "the books do not balance"
systemd-analyze security --no-pager --threshold=40 vstor.service >$OUT/security || { tail -n 3 $OUT/security; fail "exposed more than 4.0"; }
note "$(grep 'Overall exposure' $OUT/security | sed 's/^[^O]*//')"

step "volumes beside an agent that observes"
volumes_come_and_go

step "everything it can do, in the sandbox"
printf 'version: 1\nrules:\n- {name: slow, match: {container: shop}, max: {write: 30MiB/s}}\n' >/etc/vstor/policy.yaml
echo 'VSTORD_OPTIONS=--metrics 9469 --policy /etc/vstor/policy.yaml --act --handover 300 --fsync --insight full' >$CONF
CGROUP=$(shop_cgroup) DISK=$(root_disk)
systemctl restart vstor
wait_for 120 "the limit" limit_is wbps=31457280
wait_for 60 "a scrape over TCP" scrape_names shop http://127.0.0.1:9469/metrics
vstorctl patterns >/dev/null
same "what the sandbox refused" "$(refusals "$began")" ""
step "volumes beside an agent that acts"
volumes_come_and_go

step upgrade
dpkg-deb -R $OUT/vstor.deb $OUT/newer
sed -i 's/^Version: .*/&+1/' $OUT/newer/DEBIAN/control
dpkg-deb -Znone -b $OUT/newer $OUT/newer.deb >/dev/null
rm -r $OUT/newer
before=$(pid)
(while [ ! -e $OUT/stop ]; do limit; sleep 0.05; done >$OUT/limits) &
watcher=$!
apt-get install -y -q $OUT/newer.deb >$OUT/apt 2>&1 || { cat $OUT/apt; fail "upgrade"; }
[ "$(pid)" != "$before" ] || fail "the upgrade did not restart the service"
wait_for 120 "the new agent to take over" acting
: >$OUT/stop
wait $watcher
at_least "looks at the limit" "$(wc -l <$OUT/limits)" 20
same "the limit during the upgrade" "$(sort -u $OUT/limits)" wbps=31457280
same "knobs that the new agent wrote" "$(written)" 0
note "upgrade: the limit was there at each of $(wc -l <$OUT/limits) looks, and no knob was written"
grep -q 'handover 300' $CONF || fail "the upgrade replaced the configuration"

step "both programs killed"
printf '[Service]\nRestart=no\n' >$DROP_IN/no-restart.conf
systemctl daemon-reload
systemctl kill --signal=KILL vstor
wait_for 60 "systemd to see it" failed
wait_for 60 "ExecStopPost= to undo the limit" not_limited
[ ! -e /run/vstor/journal ] || fail "a journal is left: $(vstor-actor --list)"
rm $DROP_IN/no-restart.conf
systemctl daemon-reload
systemctl start vstor
wait_for 120 "the limit again" limit_is wbps=31457280

step purge
apt-get purge -y -q vstor >$OUT/apt 2>&1 || { cat $OUT/apt; fail purge; }
not_limited || fail "the limit is still there: $(limit)"
rm -f /etc/vstor/policy.yaml # the administrator's own
rmdir /etc/vstor 2>/dev/null || true
systemctl daemon-reload
system_state >$OUT/after
diff $OUT/before $OUT/after || fail "purge left what is above"
same "units" "$(systemctl list-units --all --no-legend 'vstor*')" ""
