#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""locks_perf.py CONTAINER TASKS TABLES BEFORE AFTER <`perf script` of contention events with stacks: lock by lock, what perf recorded
of the tasks of that name, and by how much two answers of /v1/locks differ for the container that they are in, most time first, as
"LOCK TYPE PERF-WAITS PERF-US WAITS US".

perf knows addresses and stacks only. A lock is called what the table of agent/waits/lock_tables.h says of the functions that
take this address. Where that says nothing the two cannot be matched, and all those of a type are one row, "(others)"."""
import collections
import json
import re
import sys

EVENT = re.compile(
    r"\s*(.+?)\s+(\d+)\s+\[(\d+)\]\s+(\d+)\.(\d+):\s+lock:contention_(begin|end): (0x\w+) \((?:flags=|ret=)?(.*)\)")
FRAME = re.compile(r"\s+([0-9a-f]+) (\S+)")
TAKER = re.compile(r'X\("([^"]+)", (\w+), (\w+), "([^"]*)", ((?:\s*"[^"]*")+)\)')
IMAGE = 0xFFFFFFFF80000000  # above: variables
SPINNING = ("spinlock", "rwlock")

# Those that the agent tells by the slab cache alone, and what takes them in the loads of the test. Functions that take a
# task's pi_lock take a run queue's lock, too; but of that address others are seen that take nothing else.
KNOWN = [
    ("inode.i_rwsem", "rwsem", "path_openat open_last_lookups do_unlinkat do_renameat2 lock_rename lock_two_directories"),
    ("file.f_pos_lock", "mutex", "fdget_pos __fdget_pos"),
    ("files_struct.file_lock", "spinlock", "alloc_fd file_close_fd close_fd pick_file fd_install __get_unused_fd_flags"),
    ("xfs_buf.b_sema", "semaphore", "xfs_buf_lock xfs_buf_trylock xfs_buf_find_lock"),
    ("dentry.d_lockref", "spinlock", "lockref_get_not_dead lockref_get lockref_put_or_lock dput d_alloc d_alloc_parallel "
     "__d_move d_move __dentry_kill d_delete"),
    ("task_struct.pi_lock", "spinlock", "try_to_wake_up task_rq_lock"),
]


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


def read_takers(path):
    """[(lock, type, how, callers, functions)]: ours, and those of VST_LOCK_TAKERS."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S).replace("\\\n", "")
    words = lambda strings: set("".join(re.findall(r'"([^"]*)"', strings)).split())
    known = [(lock, kind, "KNOWN", set(), set(functions.split())) for lock, kind, functions in KNOWN]
    return known + [(lock, kind.lower().replace("_", "-"), how, set(by.split()), words(functions))
                    for lock, kind, how, by, functions in TAKER.findall(text)]


def lock_code():
    """Is a function at this address lock code, of locks that spin or not?"""
    at = {}
    with open("/proc/kallsyms", encoding="utf-8") as file:
        for line in file:
            address, _, name = line.split()[:3]
            if name.startswith(("__lock_text_", "__sched_text_", "percpu_rwsem_wait")):
                at[name] = int(address, 16)

    def is_inside(ip, spins):
        if at["__lock_text_start"] <= ip < at["__lock_text_end"]:
            return True
        return not spins and (at["__sched_text_start"] <= ip < at["__sched_text_end"] or
                              0 <= ip - at.get("percpu_rwsem_wait", ip + 1) < 512)
    return is_inside


class Perf:
    """The waits of some tasks, by address and type."""

    def __init__(self, tasks):
        self.tasks, self.begun = tasks, {}
        self.is_lock_code = lock_code()
        self.waits = collections.defaultdict(lambda: [0, 0])  # (address, type): [waits, ns]
        self.stacks = collections.defaultdict(collections.Counter)  # (address, type): {three functions: times}

    def read(self, lines):
        event, frames = None, []
        for line in lines:
            match = EVENT.match(line)
            if match:
                self.take(event, frames)
                event, frames = match.groups(), []
                continue
            match = FRAME.match(line)
            if match:
                frames.append((int(match[1], 16), match[2].split(".")[0]))
        self.take(event, frames)

    def take(self, event, frames):
        """A mutex is waited for from its first begin, a semaphore around its own spinlock."""
        if not event or event[0] != self.tasks:
            return
        _, tid, _, seconds, rest, what, lock, flags = event
        now, lock = int(seconds) * 10**9 + int(rest), int(lock, 16)
        if what == "begin":
            kind = type_of(flags)
            self.begun.setdefault((tid, lock, kind in SPINNING), (now, kind, frames))
            return
        for spins in (True, False):
            if (tid, lock, spins) in self.begun:
                start, kind, frames = self.begun.pop((tid, lock, spins))
                self.waits[lock, kind][0] += 1
                self.waits[lock, kind][1] += now - start
                self.stacks[lock, kind][self.callers(frames, spins)] += 1
                return

    def callers(self, frames, spins):
        inside = False
        for i, (ip, _) in enumerate(frames):
            if self.is_lock_code(ip, spins):
                inside = True
            elif inside:
                return tuple(name for _, name in frames[i:i + 3])
        return ()

    def name(self, lock, kind, takers):
        """By whichever of those that take this address is known; None: none of them is."""
        if kind == "spinlock" and (lock, "semaphore") in self.waits:
            inner = self.name(lock, "semaphore", takers)
            return inner and inner + ".lock"
        for sure in ("ALONE", "KNOWN", "MEMBER"):
            for callers, _ in self.stacks[lock, kind].most_common():
                for name, type_, how, by, functions in takers:
                    if type_ == kind and how == sure and callers and callers[0] in functions and (
                            lock >= IMAGE or "." in name) and (not by or by & set(callers[1:])):
                        return name
        return None


def short(lock):
    """A member by its own name: which structure it is reached through is told in more than one way."""
    name = lock.split(".")
    return ".".join(name[-2:]) if name[-1] in ("lock", "wait_lock", "__lock") and len(name) > 1 else name[-1]


def ours(container, before, after):
    def rows(path):
        with open(path, encoding="utf-8") as file:
            return {row["row"]: row for row in map(json.loads, file) if row["type"] == "lock"}
    old = rows(before)
    for number, row in rows(after).items():
        was = old.get(number, {"waits": 0, "wait": {"sum_us": 0}})
        if row["container"] == container:
            yield row["lock"], row["lock_type"], row["waits"] - was["waits"], row["wait"]["sum_us"] - was["wait"]["sum_us"]


def main():
    container, tasks, tables, before, after = sys.argv[1:]
    takers, perf = read_takers(tables), Perf(tasks)
    perf.read(sys.stdin)
    theirs, found = (collections.defaultdict(lambda: [0, 0.0]) for _ in range(2))
    for (lock, kind), (waits, ns) in perf.waits.items():
        name = perf.name(lock, kind, takers)
        row = theirs[short(name) if name else "(others)", kind]
        row[0] += waits
        row[1] += ns / 1e3
    for lock, kind, waits, us in ours(container, before, after):
        key = short(lock), kind
        row = found[key if key in theirs else ("(others)", kind)]
        row[0] += waits
        row[1] += us
    # a name that perf's stacks alone led to: its waits are among our others of that type
    for name, kind in [key for key in theirs if key not in found]:
        row = theirs.pop((name, kind))
        for i in range(2):
            theirs["(others)", kind][i] += row[i]
    for key in sorted(set(theirs) | set(found), key=lambda key: -theirs[key][1]):
        print(*key, theirs[key][0], round(theirs[key][1]), found[key][0], round(found[key][1]))


main()
