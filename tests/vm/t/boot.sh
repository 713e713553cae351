#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# desc: the kernel is the one asked for, with BTF, cgroup v2 and its io controller
# core
# shellcheck source=SCRIPTDIR/../lib/test.sh
. "$(dirname "$0")/../lib/test.sh"

case $(uname -r) in
"$VSTOR_KERNEL".*) ;;
*) fail "kernel $(uname -r) runs, $VSTOR_KERNEL was asked for" ;;
esac
at_least "bytes of BTF" "$(stat -c %s /sys/kernel/btf/vmlinux)" 1000000
same "file system of $CGROUPS" "$(stat -fc %T "$CGROUPS")" cgroup2fs
grep -qw io "$CGROUPS/cgroup.controllers" || fail "no io controller: $(cat "$CGROUPS/cgroup.controllers")"
cgroup_new a
cgroup_new a/b
[ -e "$CGROUPS/a/io.stat" ] || fail "io is enabled, but a cgroup has no io.stat"
same "cgroup of a process put there" "$(in_cgroup a/b cat /proc/self/cgroup)" 0::/a/b
mountpoint -q /sys/fs/bpf || fail "no bpf file system"
# what the guest writes stays in the guest
echo guest >"$TREE/tests/vm/written-by-the-guest"
