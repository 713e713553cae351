#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: beside a running agent vstorctl doctor says what is kept in golden/doctor-KERNEL
# needs: fast-disk 1G
# needs: fast-disk 512M
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../lib/agent.sh
. "$(dirname "$0")/../lib/agent.sh"
kept=$TREE/tests/vm/golden/doctor-$VSTOR_KERNEL now=/dev/shm/doctor

# Whatever ran before in this guest: every module that has a row or a symbol is loaded, io is enabled, there are disks.
modprobe -a ext4 xfs btrfs dm_mod bcache
echo +memory +io >"$CGROUPS/cgroup.subtree_control"
agent_start
LC_ALL=C.UTF-8 ctl doctor >$now
agent_stop
if [ "${1-}" = --print ]; then # for golden/update
	cat $now
	exit
fi
[ -e "$kept" ] || fail "there is no ${kept#"$TREE/"}: make it with tests/vm/golden/update $VSTOR_KERNEL"
diff -u --label kept "$kept" --label now $now ||
	fail "vstorctl doctor says something else. If that is right: tests/vm/golden/update $VSTOR_KERNEL"
