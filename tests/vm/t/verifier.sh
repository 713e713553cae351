#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: the verifier takes every program, with at most 10 % more work than what is kept in golden/insns-KERNEL
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"
# shellcheck source=SCRIPTDIR/../../bpf/insns.bash
. "$TREE/tests/bpf/insns.bash"

now=/dev/shm/insns

# as a host has them that uses them: the probes then do all that they can
modprobe -a ext4 xfs btrfs dm_mod bcache
insns_now >$now
if [ "${1-}" = --print ]; then # for golden/update
	cat $now
	exit
fi
[ -e "$INSNS_KEPT" ] || fail "there is no ${INSNS_KEPT#"$TREE/"}: make it with tests/vm/golden/update $VSTOR_KERNEL"
insns_judge $now "tests/vm/golden/update $VSTOR_KERNEL" >$now.judged || { cat $now.judged; fail "see the lines that are not ok"; }
while read -r _ line; do note "$line"; done <$now.judged
