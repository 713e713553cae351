#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""locks_perf.py BEFORE AFTER <`perf script` of contention events: for each type of lock, what perf recorded and by how much
two answers of /v1/locks differ, as "TYPE PERF-WAITS PERF-US WAITS US"."""
import collections
import json
import re
import sys

EVENT = re.compile(r"\s*(\d+)\s+\[(\d+)\]\s+(\d+)\.(\d+):\s+lock:contention_(begin|end): (0x\w+) \((?:flags=|ret=)?(.*)\)")


def type_of(flags):
    flags = set(flags.split("|"))
    if "MUTEX" in flags:
        return "mutex"
    if "PERCPU" in flags:
        return "percpu-rwsem"
    if "RT" in flags:
        return "rtmutex"
    sides = flags & {"READ", "WRITE"}
    if "SPIN" in flags:
        return "rwlock" if sides else "spinlock"
    return "rwsem" if sides else "semaphore"


def perf_waits(lines):
    """{type: [waits, ns]}; a mutex is waited for from its first begin, a semaphore around its own spinlock."""
    begun, found = {}, collections.defaultdict(lambda: [0, 0])
    for line in lines:
        match = EVENT.match(line)
        if not match:
            continue
        tid, cpu, seconds, rest, what, lock, flags = match.groups()
        now = int(seconds) * 10**9 + int(rest)
        who = (tid if tid != "0" else "idle" + cpu, lock)
        if what == "begin":
            kind = type_of(flags)
            begun.setdefault((*who, kind in ("spinlock", "rwlock")), (now, kind))
            continue
        for spins in (True, False):
            if (*who, spins) in begun:
                start, kind = begun.pop((*who, spins))
                found[kind][0] += 1
                found[kind][1] += now - start
                break
    return found


def rows(path):
    with open(path, encoding="utf-8") as file:
        return {row["row"]: row for row in map(json.loads, file) if row["type"] == "lock"}


def main():
    before, after = rows(sys.argv[1]), rows(sys.argv[2])
    theirs, ours = perf_waits(sys.stdin), collections.defaultdict(lambda: [0, 0.0])
    for number, row in after.items():
        old = before.get(number, {"waits": 0, "wait": {"sum_us": 0}})
        ours[row["lock_type"]][0] += row["waits"] - old["waits"]
        ours[row["lock_type"]][1] += row["wait"]["sum_us"] - old["wait"]["sum_us"]
    for kind in sorted(set(theirs) | set(ours)):
        print(kind, theirs[kind][0], round(theirs[kind][1] / 1e3), ours[kind][0], round(ours[kind][1]))


main()
