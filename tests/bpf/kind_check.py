# SPDX-License-Identifier: GPL-2.0-only
"""
kind_check.py CASE: makes a filesystem on a loop device over memory, does a mixed workload on it and compares, for each
block, what the probes say with what the extent maps say. Run it in a mount namespace of its own (unshare -m):
it mounts on /mnt. Nothing stays behind, even if it is killed. Exit code 1: the bars are not met; 77: cannot run here.
"""

import argparse
import collections
import ctypes
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kind_truth as truth
import kind_workload as workload

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("BUILD", f"{TOP}/build")
MIB = 1 << 20
SIZE = 900 * MIB
LOOP_CLR_FD = 0x4C01
F1_MIN, SIZE_MIN, AGENT_MAX, AMBIGUOUS_MAX = 0.99, 0.98, 0.01, 0.05

# name: (file system, options of mkfs, options of mount)
CASES = {
    "ext4": ("ext4", [], ""),
    "ext4-1k": ("ext4", ["-b", "1024"], ""),
    "ext4-bigalloc": ("ext4", ["-O", "bigalloc"], ""),
    "ext4-nojournal": ("ext4", ["-O", "^has_journal"], ""),
    "ext4-inline": ("ext4", ["-O", "inline_data"], ""),
    "ext4-data-journal": ("ext4", [], "data=journal"),
    "ext4-nodelalloc": ("ext4", [], "nodelalloc,dioread_lock"),
    "ext3": ("ext3", [], ""),
    "xfs": ("xfs", [], ""),
    "xfs-1k": ("xfs", ["-b", "size=1024"], ""),
    "xfs-rmap": ("xfs", ["-m", "rmapbt=1", "-i", "size=1024"], ""),
    "btrfs": ("btrfs", ["-m", "single", "-d", "single"], ""),
    "btrfs-dup": ("btrfs", ["-m", "dup", "-d", "single"], ""),
    "btrfs-dup-data": ("btrfs", ["-m", "dup", "-d", "dup"], ""),
    "btrfs-v1": ("btrfs", ["-m", "dup", "-d", "single", "-R", "^free-space-tree"], "space_cache=v1"),
    "btrfs-compress": ("btrfs", ["-m", "dup", "-d", "single"], "compress-force=zstd"),
    "btrfs-nocow": ("btrfs", ["-m", "dup", "-d", "single"], "nodatacow"),
}
GROUP = {"links": "buffered"}  # hard links
QUIET = {"ext4": ["-q", "-F"], "ext3": ["-q", "-F"], "xfs": ["-q", "-f"], "btrfs": ["-q", "-f"]}


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Disk:
    """A loop device over memory. It goes away with the last descriptor, so with this process."""

    def __init__(self, size):
        self.memory = os.memfd_create("kind")
        os.ftruncate(self.memory, size)
        self.image = f"/proc/{os.getpid()}/fd/{self.memory}"
        self.path = run("losetup", "--find", "--show", self.image).stdout.strip()
        self.fd = os.open(self.path, os.O_RDONLY)
        other = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(other, LOOP_CLR_FD)  # in use: it is cleared when it is not any more
        os.close(other)
        self.name = os.path.basename(self.path)
        number = os.fstat(self.fd).st_rdev
        self.number = f"{os.major(number)}:{os.minor(number)}"


class Trace:
    def __init__(self, disk, file):
        self.file = file
        self.child = subprocess.Popen([f"{BUILD}/tests/bpf/kind_trace", disk.number, file], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        if self.child.stdout.readline() != "ready\n":
            raise RuntimeError("kind_trace does not start")

    def events(self):
        self.child.stdin.close()
        if self.child.wait():
            raise RuntimeError("the trace is not complete")
        names = ("time", "sector", "bytes", "op", "kind", "size", "opf", "end_io", "page", "ino", "comm")
        event = collections.namedtuple("Event", names)
        with open(self.file) as f:
            for line in f:
                v = line.rstrip("\n").split("\t")
                yield event(int(v[0]), int(v[1]), int(v[2]), *v[3:])


class Agent:
    """The product, over the same workload."""

    def __init__(self, folder, disk):
        self.socket, self.disk = f"{folder}/s", disk.name
        self.log = open(f"{folder}/vstord.log", "w+")
        self.child = subprocess.Popen([f"{BUILD}/vstord", "--socket", self.socket, "--budget", "0"], stderr=self.log,
                                      preexec_fn=die_with_parent)
        self.wait_for("answers", self.answers)

    def wait_for(self, what, holds):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.child.poll() is None:
            if holds():
                return
            time.sleep(0.02)
        self.log.seek(0)
        raise RuntimeError(f"it never came true that vstord {what}: {self.log.read()}")

    def answers(self):
        try:
            return self.get("/v1/status?max_age=0")
        except OSError:
            return False

    def follows_stacked_devices(self):
        status = self.get("/v1/status?max_age=0")[0]
        return all(p["state"] == "attached" for p in status["probes"] if p["name"] == "bio_queue")

    def get(self, path):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.socket)
            http_ = http.client.HTTPConnection("vstor")
            http_.sock = s
            http_.request("GET", path)
            lines = http_.getresponse().read().decode().splitlines()
        return [json.loads(line) for line in lines]

    def rows(self):
        return [r for r in self.get("/v1/io?max_age=0") if r["type"] == "row" and r["device"] == self.disk]

    def totals(self):
        sums = collections.Counter()
        for r in self.rows():
            sums[r["op"], r["kind"], r["size"]] += r["bytes"]
        return sums

    def stop(self):
        self.child.terminate()
        self.child.wait()


def do_workload(disk, fstype, options, tmpfs):
    """The phases. Returns their names and the maps at their ends."""
    names, points, missing = [], [], []

    def mount():
        run("mount", "-t", fstype, *(["-o", options] if options else []), disk.path, "/mnt")

    def phase(name, *steps):
        for step in steps:
            missing.extend(step() or [])
        points.append(truth.checkpoint("/mnt", fstype, disk.image, SIZE // truth.SECTOR, lambda p: GROUP.get(p.split("/")[0], p.split("/")[0])))
        names.append(name)

    mount()
    phase("mount")
    phase("fill", lambda: workload.fill_buffered("/mnt"), lambda: workload.fill_special("/mnt"))
    phase("synced", lambda: workload.fill_synced("/mnt"))
    phase("direct", lambda: workload.fill_direct("/mnt"), lambda: workload.fill_direct_from_files("/mnt", tmpfs),
          lambda: workload.fill_aio("/mnt"))
    phase("grow", lambda: workload.fill_growing("/mnt"))
    phase("change", lambda: workload.change("/mnt"))
    phase("free", lambda: workload.free("/mnt"))
    phase("refill", lambda: workload.refill("/mnt"))
    run("umount", "/mnt")
    mount()
    phase("read", lambda: workload.read_all("/mnt"))
    run("umount", "/mnt")
    for what in missing:
        print(f"not tested: {what}")
    return names, points


class Score:
    def __init__(self):
        self.bytes = collections.Counter()  # (op, group, true kind, true size, kind, size)
        self.wrong = collections.Counter()

    def add(self, phase, event, t, n):
        group = t.file.group if t.file else "-"
        self.bytes[event.op, group, t.kind, t.size, event.kind, event.size] += n
        kind = "metadata" if event.kind == "journal" else event.kind
        if t.kind and kind != t.kind or t.size and event.size != t.size:
            self.wrong[phase, event.op, t.kind, t.size, event.kind, event.size, event.opf, event.end_io, event.page,
                       event.comm.split(":")[0], t.file.path.split("/")[0] + "/" + t.file.path.split("/")[1]
                       if t.file and "/" in t.file.path else "-"] += n

    def sum(self, **want):
        names = ("op", "group", "true", "true_size", "kind", "size")
        return sum(n for key, n in self.bytes.items()
                   if all(value(key[names.index(name)]) if callable(value) else key[names.index(name)] == value
                          for name, value in want.items()))

    def f1(self, kind):
        said = {"metadata": ("metadata", "journal")}.get(kind, (kind,))
        ops = lambda o: o in ("read", "write")
        hit = self.sum(op=ops, true=kind, kind=lambda k: k in said)
        missed = self.sum(op=ops, true=kind, kind=lambda k: k not in said)
        false = self.sum(op=ops, true=lambda t: t and t != kind, kind=lambda k: k in said)
        return 2 * hit / max(2 * hit + missed + false, 1)

    def size_share(self, group=lambda g: True, op=lambda o: True):
        total = right = 0
        for (o, g, kind, size, _, said), n in self.bytes.items():
            if kind == "data" and size and group(g) and op(o):
                total += n
                right += n * (said == size)
        return (right / total if total else 1), total


def judge(events, names, points):
    score, history = Score(), truth.History(points)
    start = points[0].time
    for e in events:
        if e.time <= start or e.op not in ("read", "write") or not e.bytes:
            continue
        i = min(truth.bisect.bisect_left(history.times, e.time), len(names) - 1)
        for t, sectors in history.of(e.time, e.sector, e.bytes // truth.SECTOR):
            score.add(names[i], e, t, sectors * truth.SECTOR)
    return score


def report(case, score):
    print(f"== {case}: bytes (KiB) by truth and decision")
    kinds = ["metadata", "journal", "data", "swap", "raw", "unknown"]
    for op in ("write", "read"):
        print(f"{op:6} {'truth':14}" + "".join(f"{k:>12}" for k in kinds))
        for t in ("metadata", "data", None):
            print(f"{'':6} {t or 'not known':14}" +
                  "".join(f"{score.sum(op=op, true=t, kind=k) / 1024:12.0f}" for k in kinds))
    for op in ("write", "read"):
        for group in ("buffered", "direct", "grow-direct", "grow-synced"):
            share, total = score.size_share(lambda g: g == group, lambda o: o == op)
            if total:
                print(f"size band right, {op} {group:12} {share:8.4f} of {total / MIB:.1f} MiB")
    for key, n in score.wrong.most_common(25):
        print(f"  wrong {n / 1024:9.1f} KiB: {' '.join(str(k) for k in key)}")


def check(case, score, agent, events_total):
    failed = []

    def bar(what, value, ok):
        print(f"{'ok  ' if ok else 'FAIL'} {case}: {what} {value:.5f}")
        if not ok:
            failed.append(what)

    for kind in ("metadata", "data"):
        bar(f"F1 of {kind}", score.f1(kind), score.f1(kind) >= F1_MIN)
    share, _ = score.size_share(lambda g: not g.startswith("grow"))
    bar("size band right, files that do not grow meanwhile", share, share >= SIZE_MIN)
    share, _ = score.size_share()
    bar("size band right, all", share, True)
    total = score.sum()
    share = score.sum(true=None) / total
    bar("share of bytes whose truth is not known", share, share < AMBIGUOUS_MAX)
    share = score.sum(kind=lambda k: k in ("raw", "unknown")) / total
    bar("share of raw and unknown", share, share < 1 - F1_MIN)
    for op in ("read", "write") if agent else ():
        of = {k: n for k, n in events_total.items() if k[0] == op}
        for key in set(of) | {k for k in agent if k[0] == op}:
            off = abs(agent[key] - events_total[key]) / sum(of.values())
            if off > AGENT_MAX:
                bar(f"vstord against the trace, {'/'.join(key)}: {agent[key]} {events_total[key]}", off, False)
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--no-agent", action="store_true", help="only what the probes decide")
    parser.add_argument("--keep", help="copy the trace to this file")
    args = parser.parse_args()
    fstype, mkfs, options = CASES[args.case]
    if not shutil.which(f"mkfs.{fstype}", path=os.environ["PATH"] + ":/sbin:/usr/sbin"):
        print(f"skipped: no mkfs.{fstype}")
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="vstor-kind-", dir="/dev/shm") as folder:
        disk = Disk(SIZE)
        trace = Trace(disk, f"{folder}/trace")
        agent = None if args.no_agent else Agent(folder, disk)
        try:
            run(f"mkfs.{fstype}", *QUIET[fstype], *mkfs, disk.path)
            names, points = do_workload(disk, fstype, options, folder)
            said = agent.totals() if agent else None
        finally:
            if agent:
                agent.stop()
            subprocess.run(["umount", "-l", "/mnt"], capture_output=True)
        if args.keep:
            shutil.copy(trace.file, args.keep)
        events = list(trace.events())
    totals = collections.Counter()
    for e in events:
        totals[e.op, e.kind, e.size] += e.bytes
    score = judge(events, names, points)
    report(args.case, score)
    return 1 if check(args.case, score, said, totals) else 0


if __name__ == "__main__":
    sys.exit(main())
