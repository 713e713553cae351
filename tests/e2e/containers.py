#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Containers as the kernel and a runtime's files show them, without a runtime: as many and as short-lived as a test
needs. Each has a cgroup in every hierarchy named, a file that tells its name, and one process that does I/O.

  containers.py run FILE ...      start them, write to FILE what must be seen of them, remove them
  containers.py cycles FILE ...   make and remove them one by one, every other ten beside an agent that is stopped (SIGSTOP)
  containers.py check FILE ROWS   compare with the output of `vstorctl io --total --json`
  containers.py clean ...         remove what a killed run left

An I/O is a read and a write, direct, of one request each, on --device; or a direct and a buffered write to a file of
its own in --directory.
"""
import argparse
import ctypes
import errno
import hashlib
import json
import mmap
import os
import select
import shutil
import signal
import sys
import time

PAGE = 4096


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("command", choices=["run", "cycles", "check", "clean"])
    p.add_argument("file")
    p.add_argument("rows", nargs="?")
    p.add_argument("--tree", action="append", default=[], help="root of a cgroup hierarchy")
    p.add_argument("--runtime", choices=["docker", "cri"], default="docker")
    p.add_argument("--root", default="", help="where the runtime's files are: /var/lib/docker and so on below it")
    p.add_argument("--seed", default="0", help="ids follow from it")
    p.add_argument("--count", type=int, default=10)
    p.add_argument("--device", help="a block device of its own")
    p.add_argument("--directory", help="a directory on a filesystem of its own")
    p.add_argument("--life", type=float, default=0.05, help="seconds that each lives at least")
    p.add_argument("--rate", type=float, default=1e9, help="starts a second at most")
    p.add_argument("--crowd", action="store_true",
                   help="all exist at once; say 'ready', do I/O at a line of input, say 'done', go at its end")
    p.add_argument("--watch", type=int,
                   help="pid of the agent: which descriptors does it hold? Each container then lives until the agent ran after "
                        "its start, however busy the machine")
    return p.parse_args()


class Container:
    def __init__(self, a, n):
        self.n = n
        self.id = hashlib.sha256(f"{a.seed}-{n}".encode()).hexdigest()
        self.pid = None
        if a.runtime == "docker":
            self.name = f"churn-{a.seed}-{n}"
            self.path = f"/docker/{self.id}"
        else:
            pod = f"pod-{a.seed}-{n // 2}"
            self.name = f"prod/{pod}/part-{n % 2}"
            self.pod_uid = hashlib.md5(pod.encode()).hexdigest()
            self.path = f"/kubepods/burstable/pod{self.pod_uid}/{self.id}"
            self.annotations = {
                "io.kubernetes.cri.container-type": "container",
                "io.kubernetes.cri.container-name": f"part-{n % 2}",
                "io.kubernetes.cri.sandbox-name": pod,
                "io.kubernetes.cri.sandbox-namespace": "prod",
                "io.kubernetes.cri.sandbox-uid": self.pod_uid,
                "io.kubernetes.cri.image-name": "registry.example/part:1",
            }
        # sizes that differ, so that a mix-up shows
        self.read = (1 + n % 4) * PAGE if a.device else 0
        self.write = (1 + n % 7) * PAGE
        self.buffered = 0 if a.device else (1 + n % 5) * PAGE

    def directory(self, a):
        if a.runtime == "docker":
            return f"{a.root}/var/lib/docker/containers/{self.id}"
        return f"{a.root}/run/containerd/io.containerd.runtime.v2.task/k8s.io/{self.id}"

    def write_files(self, a):
        d = self.directory(a)
        os.makedirs(d)
        if a.runtime == "docker":
            what, name = {"ID": self.id, "Name": "/" + self.name, "Config": {"Image": "churn"}}, "config.v2.json"
        else:
            what, name = {"ociVersion": "1.0.2", "annotations": self.annotations}, "config.json"
        with open(f"{d}/{name}", "w") as f:
            json.dump(what, f)

    def remove_files(self, a):
        shutil.rmtree(self.directory(a))

    def expected(self):
        return {"name": self.name, "cgroup": self.path, "write": self.write, "buffered": self.buffered,
                "reads": bool(self.read), "read_bytes": self.read}


def page(size):
    m = mmap.mmap(-1, size)
    m.write(b"v" * size)
    return m


def work(a, c):
    """What the container's process does."""
    if a.device:
        fd = os.open(a.device, os.O_RDWR | os.O_DIRECT)
        assert os.preadv(fd, [page(c.read)], c.n * 16 * PAGE) == c.read
        assert os.pwritev(fd, [page(c.write)], c.n * 16 * PAGE) == c.write
    else:
        fd = os.open(f"{a.directory}/{c.id}", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
        assert os.pwritev(fd, [page(c.write)], 0) == c.write
        os.close(fd)
        fd = os.open(f"{a.directory}/{c.id}", os.O_RDWR)
        assert os.pwrite(fd, b"b" * c.buffered, c.write) == c.buffered
        os.fsync(fd)
    os.close(fd)


class Times:
    """Of calls that somebody could delay, in microseconds."""

    def __init__(self):
        self.us = []
        self.busy = 0

    def call(self, fn, *args):
        begin = time.perf_counter_ns()
        fn(*args)
        self.us.append((time.perf_counter_ns() - begin) / 1e3)

    def summary(self):
        s = sorted(self.us)
        return {"n": len(s), "p50_us": round(s[len(s) // 2]), "p99_us": round(s[len(s) * 99 // 100]),
                "max_us": round(s[-1]), "busy": self.busy}


class Watch:
    """
    Descriptors of the agent. The loop holds none while it sleeps, and a thread that looks up names opens a file for
    milliseconds: whatever stays open for longer than a second is held.
    """

    LOOP = ("232", "281")  # epoll_wait, epoll_pwait
    HELD = ("/sys/fs/cgroup", "/var/lib/", "/run/containerd", "anon_inode:inotify")

    def __init__(self, pid):
        self.pid = pid
        self.held = set()
        self.open = {}  # (descriptor, path): since when every look found it
        self.looks = 0
        self.at = 0  # the begin of the last look

    def sleep(self):
        """Which of its sleeps it is in: two equal answers, and it has not run in between. None: it runs."""
        with open(f"/proc/{self.pid}/status") as f:
            switches = [line for line in f if line.startswith("voluntary")]
        with open(f"/proc/{self.pid}/syscall") as f:
            return switches if f.read().split()[0] in self.LOOP else None

    def look(self):
        begin, before = time.monotonic(), self.sleep()
        if not before:
            return
        found = []
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                path = os.readlink(f"/proc/{self.pid}/fd/{fd}")
            except OSError:
                continue
            # the threads open the root of a hierarchy again and again, which keeps no container
            if path.startswith(self.HELD) and not os.path.ismount(path):
                found.append((fd, path))
        if self.sleep() == before:
            self.open = {key: self.open.get(key, begin) for key in found}
            self.held |= {path for (_, path), since in self.open.items() if begin - since > 1}
            self.looks += 1
            self.at = begin

    def look_after(self, moment):
        """Returns when it has been seen asleep later than that: it has done whatever it was told of until then."""
        end = time.monotonic() + 60
        while self.pid and self.at <= moment:
            self.look()
            if time.monotonic() > end:
                raise RuntimeError(f"process {self.pid} was never seen asleep in its loop")


class Runner:
    def __init__(self, a):
        self.a = a
        self.mkdir, self.rmdir, self.umount = Times(), Times(), Times()
        self.watch = Watch(a.watch)
        self.made = []  # parents that were not there
        self.lives = []  # seconds from the cgroup to its end: whoever is called by its name was known within that

    def parents(self, c):
        """Directories above a container's cgroup; on v2 what they may hand down."""
        for tree in self.a.tree:
            d = tree
            for part in c.path.strip("/").split("/")[:-1]:
                self.hand_down(d)
                d = f"{d}/{part}"
                if not os.path.isdir(d):
                    os.mkdir(d)
                    self.made.append(d)
            self.hand_down(d)

    def hand_down(self, d):
        f = f"{d}/cgroup.subtree_control"
        if os.path.exists(f) and "io" in open(f"{d}/cgroup.controllers").read().split():
            with open(f, "w") as out:
                out.write("+io +memory")

    def make(self, c):
        c.write_files(self.a)  # as every runtime does it: first the files
        for tree in self.a.tree:
            self.mkdir.call(os.mkdir, tree + c.path)

    def fork(self, c, wait_for=None):
        """The process enters its cgroups itself, as runtimes' first process does."""
        c.pid = os.fork()
        if c.pid:
            return
        status = 1
        try:
            for tree in self.a.tree:
                with open(f"{tree}{c.path}/cgroup.procs", "w") as f:
                    f.write("0")
            if wait_for:
                entered, go = wait_for
                os.close(go[1])
                os.write(entered, b".")
                os.read(go[0], 1)  # ends when the other side is closed
            work(self.a, c)
            status = 0
        except BaseException as e:
            print(f"containers.py: container {c.n}: {e!r}", file=sys.stderr)
        finally:
            os._exit(status)

    def reap(self, c):
        pid, status = os.waitpid(c.pid, 0)
        if status:
            raise RuntimeError(f"the process of container {c.n} ended with {status}")

    def remove(self, c):
        for tree in self.a.tree:
            if not self.not_busy(self.rmdir, os.rmdir, tree + c.path):
                remove_cgroup(tree + c.path)
        c.remove_files(self.a)

    def not_busy(self, times, fn, path):
        try:
            times.call(fn, path)
            return True
        except OSError as e:
            if e.errno != errno.EBUSY:
                raise
            times.busy += 1
            return False

    def churn(self):
        """One after the other, overlapping: each lives its time, the next starts meanwhile."""
        alive, begin = [], time.monotonic()
        for n in range(self.a.count):
            while time.monotonic() - begin < n / self.a.rate:
                time.sleep(0.001)
            c = Container(self.a, n)
            self.parents(c)
            self.make(c)
            c.born = time.monotonic()
            self.fork(c)
            alive.append(c)
            while alive and time.monotonic() - alive[0].born >= self.a.life:
                self.end(alive.pop(0))
            if n % 10 == 9:
                self.watch.look_after(time.monotonic())
        took = time.monotonic() - begin
        for c in alive:
            time.sleep(max(0, self.a.life - (time.monotonic() - c.born)))
            self.end(c)
        return took

    def cycles(self):
        """Each from its files to its removal, with a mount of its own as runtimes have it. Nothing may be found busy, and
        what happens beside a stopped agent cannot wait for it, wherever that was when it stopped."""
        times = {"stopped": Times(), "running": Times()}
        try:
            for n in range(self.a.count):
                beside = "running" if n // 10 % 2 else "stopped"
                if n % 10 == 0:
                    os.kill(self.a.watch, signal.SIGSTOP if beside == "stopped" else signal.SIGCONT)
                c = Container(self.a, n)
                self.parents(c)
                times[beside].call(self.cycle, c)
        finally:
            os.kill(self.a.watch, signal.SIGCONT)
        out = {k: t.summary() for k, t in times.items()}
        out["ratio"] = round(out["running"]["p50_us"] / out["stopped"]["p50_us"], 3)
        out["busy"] = self.rmdir.busy + self.umount.busy
        return out

    def cycle(self, c):
        self.make(c)
        rootfs = f"{c.directory(self.a)}/rootfs"
        os.mkdir(rootfs)
        mount(rootfs)
        self.fork(c)
        self.reap(c)
        self.not_busy(self.umount, unmount, rootfs)
        os.rmdir(rootfs)
        self.remove(c)

    def end(self, c):
        self.reap(c)
        self.watch.look_after(c.born)
        self.lives.append(time.monotonic() - c.born)
        self.remove(c)

    def crowd(self):
        all = [Container(self.a, n) for n in range(self.a.count)]
        entered, go = os.pipe(), os.pipe()
        begin = time.monotonic()
        for c in all:
            self.parents(c)
            self.make(c)
            self.fork(c, (entered[1], go))
            if not select.select([entered[0]], [], [], 60)[0]:
                raise RuntimeError(f"the process of container {c.n} did not come so far")
            os.read(entered[0], 1)
        took = time.monotonic() - begin
        os.close(go[0])
        print("ready", flush=True)
        sys.stdin.readline()
        begin = time.monotonic()
        os.close(go[1])
        for c in all:
            self.reap(c)
        print(f"done {time.monotonic() - begin:.3f}", flush=True)
        sys.stdin.read()
        for c in all:
            self.remove(c)
        return took


libc = ctypes.CDLL(None, use_errno=True)
MNT_DETACH = 2


def call(name, *args):
    if getattr(libc, name)(*args):
        raise OSError(ctypes.get_errno(), f"{name} {args[0].decode()}: {os.strerror(ctypes.get_errno())}")


def mount(d):
    call("mount", b"containers.py", d.encode(), b"tmpfs", 0, None)


def unmount(d, flags=0):
    call("umount2", d.encode(), flags)


def remove_cgroup(d):
    """With whatever runs in it."""
    end = time.monotonic() + 20
    while os.path.isdir(d):
        try:
            for pid in open(f"{d}/cgroup.procs").read().split():
                os.kill(int(pid), signal.SIGKILL)
            os.rmdir(d)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def clean(a):
    parents = set()
    for n in range(a.count):
        c = Container(a, n)
        for tree in a.tree:
            remove_cgroup(tree + c.path)
            d = os.path.dirname(c.path)
            while d != "/":
                parents.add(tree + d)
                d = os.path.dirname(d)
        try:
            unmount(f"{c.directory(a)}/rootfs", MNT_DETACH)
        except OSError:
            pass
        shutil.rmtree(c.directory(a), ignore_errors=True)
    for d in sorted(parents, key=len, reverse=True):
        try:
            os.rmdir(d)
        except OSError:
            pass  # not there, or not empty: somebody else's


def run(a):
    r = Runner(a)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if a.command == "cycles":
            with open(a.file, "w") as f:
                json.dump(r.cycles(), f)
            return
        took = r.crowd() if a.crowd else r.churn()
        lives = sorted(r.lives) or [0]
        out = {"device": os.path.basename(a.device or ""), "starts_per_second": round(a.count / took, 1),
               "life_s": {"p50": round(lives[len(lives) // 2], 3), "max": round(lives[-1], 3)}, "mkdir": r.mkdir.summary(),
               "rmdir": r.rmdir.summary(),
               "descriptors_looked_at": r.watch.looks, "descriptors_held": sorted(r.watch.held),
               "containers": [Container(a, n).expected() for n in range(a.count)]}
        with open(a.file, "w") as f:
            json.dump(out, f)
        print(json.dumps({k: v for k, v in out.items() if k != "containers"}), flush=True)
    finally:
        clean(a)


def check(a):
    with open(a.file) as f:
        ran = json.load(f)
    want = ran["containers"]
    rows = {}
    with open(a.rows) as f:
        for line in f:
            row = json.loads(line)
            # elsewhere a container reads, for one, pages of programs that memory has lost
            if ran["device"] in ("", row["device"]):
                rows.setdefault(row["cgroup"], []).append(row)
    named = counted = missing = 0
    for c in want:
        mine = rows.get(c["cgroup"], [])
        names = {r["container"] for r in mine}
        named += names == {c["name"]}
        got = tuple(sum(r[f] for r in mine if r["op"] == op) for op in ("read", "write") for f in ("ios", "bytes"))
        right = got == (c["reads"], c["read_bytes"], 1, c["write"])
        if c["buffered"]:
            data = sum(r["bytes"] for r in mine if r["kind"] == "data" and r["op"] == "write")
            right = data == c["write"] + c["buffered"]
        counted += right
        missing += c["reads"] + 1 - got[0] - got[2]
        if names != {c["name"]} or not right:
            print(f"wrong: {c}: got {names or 'no row'}, reads and writes {got}", file=sys.stderr)
    # the kernel charges the parent where it cannot make a cgroup's blkg at once
    parents = sum(r["ios"] for p in {os.path.dirname(c["cgroup"]) for c in want} for r in rows.get(p, []))
    print(json.dumps({"containers": len(want), "named": named, "counted": counted, "ios_missing": missing,
                      "ios_of_parents": parents}))


def main():
    a = arguments()
    {"run": run, "cycles": run, "check": check, "clean": clean}[a.command](a)


main()
