# SPDX-License-Identifier: GPL-2.0-only
"""
kind_other.py [CASE...]: what is not a file's data on a plain filesystem: raw devices, swap, a loop device's file, discards,
encrypted files, bio-based devices. Each case says what kinds its I/O may be of. Like kind_check.py, run it in a mount
namespace of its own. Exit code 1: something was of another kind.
"""

import collections
import ctypes
import fcntl
import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kind_workload as workload
from kind_check import Agent, Disk, Trace, die_with_parent, run

MIB = 1 << 20


class Skip(Exception):
    pass


class Watch:
    """
    The I/O of one device while it does something; wanted is {op: kinds}, least the bytes there must be at least, most
    what may be of another kind.
    """

    def __init__(self, folder, disk, what, wanted, least=1, most=0):
        self.folder, self.disk, self.what, self.wanted, self.least, self.most = folder, disk, what, wanted, least, most

    def __enter__(self):
        self.trace = Trace(self.disk, f"{self.folder}/trace")
        return self

    def __exit__(self, kind, *_):
        events = list(self.trace.events())
        if kind:
            return
        seen, wrong = collections.Counter(), collections.Counter()
        for e in events:
            if e.op in self.wanted:
                seen[e.op] += e.bytes
                ok = self.wanted[e.op]
                if e.kind not in ok and f"{e.kind}/{e.size}" not in ok:
                    wrong[e.op, e.kind, e.size, e.opf, e.end_io, e.page, e.comm] += e.bytes
        for op in self.wanted:
            if seen[op] < self.least:
                Watch.failed = True
                print(f"FAIL {self.what}: {seen[op]} bytes of {op}, expected at least {self.least}")
        if sum(wrong.values()) <= self.most:
            wrong.clear()
        for key, n in wrong.most_common():
            Watch.failed = True
            print(f"FAIL {self.what}: {n} bytes are {' '.join(key)}, expected {' or '.join(self.wanted[key[0]])}")
        if not wrong and all(seen[op] >= self.least for op in self.wanted):
            print(f"ok   {self.what}: {dict(seen)}")


Watch.failed = False


def need(*tools):
    for tool in tools:
        if not shutil.which(tool, path=os.environ["PATH"] + ":/sbin:/usr/sbin"):
            raise Skip(f"{tool} is not installed")


def mounted(disk, fstype, *mkfs, options="defaults"):
    need(f"mkfs.{fstype}")
    run(f"mkfs.{fstype}", "-q", *mkfs, disk.path)
    run("mount", "-o", options, disk.path, "/mnt")


def raw(folder):
    disk = Disk(400 * MIB)
    for fstype in ("ext4", "xfs", "btrfs"):
        need(f"mkfs.{fstype}")
        with Watch(folder, disk, f"mkfs.{fstype}", {"write": ["raw"]}):
            run(f"mkfs.{fstype}", "-q", "-f" if fstype != "ext4" else "-F", disk.path)
    dd = lambda *a: run("dd", "status=none", *a)
    both = {"read": ["raw"], "write": ["raw"]}
    with Watch(folder, disk, "raw, direct", both, 16 * MIB):
        for bs, count in ("4k", 1024), ("1M", 16), ("8M", 2):
            dd("if=/dev/zero", f"of={disk.path}", f"bs={bs}", f"count={count}", "oflag=direct")
            dd(f"if={disk.path}", "of=/dev/null", f"bs={bs}", f"count={count}", "iflag=direct")
    with Watch(folder, disk, "raw, buffered", both, 16 * MIB):
        dd("if=/dev/zero", f"of={disk.path}", "bs=1M", "count=16", "conv=fsync")
        run("blockdev", "--flushbufs", disk.path)
        dd(f"if={disk.path}", "of=/dev/null", "bs=1M", "count=16")
    with Watch(folder, disk, "raw, direct, from files", {"write": ["raw"]}, 6 * MIB):
        workload.put(f"{folder}/source", 3 * MIB)
        with open(f"{folder}/source", "r+b") as f, mmap.mmap(f.fileno(), 0) as m, memoryview(m) as view:
            fd = os.open(disk.path, os.O_RDWR | os.O_DIRECT)
            for unit in 4096, MIB:
                for at in range(0, 3 * MIB, unit):
                    os.pwritev(fd, [view[at:at + unit]], at)
            os.close(fd)
    if shutil.which("fio"):
        for engine in "libaio", "io_uring":
            with Watch(folder, disk, f"raw, {engine}", both, 4 * MIB):
                run("fio", "--name=a", f"--filename={disk.path}", f"--ioengine={engine}", "--direct=1", "--rw=randrw", "--bs=16k",
                    "--size=16m", "--iodepth=8", *(["--fixedbufs"] if engine == "io_uring" else []), "--output=/dev/null", cwd="/")


def raw_other_mounted(folder):
    """The memory is a file's of a filesystem that is on a device."""
    one, two = Disk(400 * MIB), Disk(64 * MIB)
    mounted(one, "ext4")
    workload.put("/mnt/f", 3 * MIB)
    with Watch(folder, two, "raw, direct, from files on another device", {"write": ["raw"], "read": ["raw"]}, 3 * MIB):
        with open("/mnt/f", "r+b") as f, mmap.mmap(f.fileno(), 0) as m, memoryview(m) as view:
            fd = os.open(two.path, os.O_RDWR | os.O_DIRECT)
            for unit in 4096, MIB:
                for at in range(0, 3 * MIB, unit):
                    os.pwritev(fd, [view[at:at + unit]], at)
                    os.preadv(fd, [view[at:at + unit]], at)
            os.close(fd)
    run("umount", "/mnt")


def memory_group():
    """A cgroup of 24 MiB. Returns its folder."""
    for root, limit in ("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"):
        group = f"{root}/vstor-kind-{os.getpid()}"
        if not os.path.exists(f"{root}/cgroup.procs"):
            continue
        os.mkdir(group)
        if os.path.exists(f"{group}/{limit}"):
            with open(f"{group}/{limit}", "w") as f:
                f.write(str(24 * MIB))
            return group
        os.rmdir(group)
    raise Skip("no cgroup with a memory limit can be made here")


def fill_memory(group):
    """In the group, with more than it may have."""
    hog = "m = bytearray(64 << 20)\nfor r in range(2):\n  for i in range(0, len(m), 4096): m[i] = 1 + i % 250"
    subprocess.run(["sh", "-c", f"echo $$ >{group}/cgroup.procs && exec /usr/bin/python3 -c '{hog}'"], check=True,
                   preexec_fn=die_with_parent)


def swap(folder):
    disk = Disk(128 * MIB)
    run("mkswap", disk.path)
    group = memory_group()
    try:
        try:
            run("swapon", "-p", "1000", disk.path)
        except RuntimeError as e:
            raise Skip(f"{e}")
        with Watch(folder, disk, "swap", {"read": ["swap"], "write": ["swap"]}, 4 * MIB):
            fill_memory(group)
    finally:
        subprocess.run(["swapoff", disk.path], capture_output=True)
        os.rmdir(group)


def swap_file(folder):
    disk = Disk(400 * MIB)
    mounted(disk, "ext4")
    run("dd", "if=/dev/zero", "of=/mnt/swap", "bs=1M", "count=128", "conv=fsync")
    os.chmod("/mnt/swap", 0o600)
    run("mkswap", "/mnt/swap")
    group = memory_group()
    try:
        try:
            run("swapon", "-p", "1000", "/mnt/swap")
        except RuntimeError as e:
            raise Skip(f"{e}")
        with Watch(folder, disk, "swap file", {"read": ["swap", "metadata"], "write": ["swap", "metadata", "journal"]}, 4 * MIB):
            fill_memory(group)
    finally:
        subprocess.run(["swapoff", "/mnt/swap"], capture_output=True)
        os.rmdir(group)
        run("umount", "/mnt")


def fast_commit(folder):
    """The journal of an ext4 whose fsyncs write single changes; not its superblock, which is written as metadata is."""
    disk = Disk(400 * MIB)
    # ext4's thread that fills what mkfs left out would write meanwhile
    mounted(disk, "ext4", "-F", "-O", "fast_commit", "-E", "lazy_itable_init=0,lazy_journal_init=0")
    with Watch(folder, disk, "fast commits of ext4", {"write": ["data/lt1m", "journal"]}, 100 * 5120, 16 << 10):
        for i in range(100):
            with open(f"/mnt/{i}", "wb") as f:
                f.write(workload.noise(4096))
                f.flush()
                os.fsync(f.fileno())
    run("umount", "/mnt")


def scrub(folder):
    """It reads all that is allocated, of whatever kind."""
    disk = Disk(400 * MIB)
    mounted(disk, "btrfs", "-f")
    workload.put("/mnt/f", 20 * MIB)
    run("sync", "-f", "/mnt")
    with Watch(folder, disk, "scrub of btrfs", {"read": ["unknown"]}, 20 * MIB, 64 << 10):
        run("btrfs", "scrub", "start", "-B", "/mnt")
    run("umount", "/mnt")


def loop_on_file(folder):
    for fstype, mkfs in ("ext4", ["-F"]), ("xfs", ["-f"]), ("btrfs", ["-f"]):
        for direct in "off", "on":
            disk = Disk(500 * MIB)
            mounted(disk, fstype, *mkfs)
            with open("/mnt/image", "wb") as f:
                f.truncate(100 * MIB)
            upper = run("losetup", "--find", "--show", f"--direct-io={direct}", "/mnt/image").stdout.strip()
            try:
                with Watch(folder, disk, f"file of a loop device on {fstype}, direct-io {direct}",
                           {"write": ["data/ge10m", "metadata", "journal"]}, 8 * MIB):
                    run("dd", "if=/dev/zero", f"of={upper}", "bs=1M", "count=8", "oflag=direct")
                    run("mkfs.ext4", "-q", "-F", upper)
                    run("sync", "-f", "/mnt/image")
            finally:
                run("losetup", "-d", upper)
                run("umount", "/mnt")


def discard(folder):
    for fstype, mkfs, options in ("ext4", ["-F"], "discard"), ("xfs", ["-f"], "discard"), ("btrfs", ["-f"], "discard=sync"):
        disk = Disk(400 * MIB)
        mounted(disk, fstype, *mkfs, options=options)
        with Watch(folder, disk, f"discard on {fstype}", {"discard": ["metadata"]}, MIB):
            workload.put("/mnt/f", 20 * MIB)
            run("sync", "-f", "/mnt/f")
            os.unlink("/mnt/f")
            run("sync", "-f", "/mnt")
            run("fstrim", "/mnt")
        run("umount", "/mnt")


def add_key():
    """fscrypt: gives the filesystem on /mnt a key, returns its identifier."""
    arg = bytearray(8 + 32 + 4 + 4 + 32)
    struct.pack_into("=I", arg, 0, 2)  # known by identifier
    struct.pack_into("=I", arg, 40, 64)
    arg += workload.NOISE[:64]
    fd = os.open("/mnt", os.O_RDONLY)
    fcntl.ioctl(fd, 0xC0506617, arg)
    os.close(fd)
    return bytes(arg[8:24])


def encrypted(folder):
    disk = Disk(400 * MIB)
    mounted(disk, "ext4", "-F", "-O", "encrypt")
    try:
        key = add_key()
        os.mkdir("/mnt/secret")
        fd = os.open("/mnt/secret", os.O_RDONLY)
        # version 2, AES-256 for contents, AES-256-CTS for names, padding of 32
        fcntl.ioctl(fd, 0x800C6613, struct.pack("=BBBBBBBB16s", 2, 1, 4, 3, 0, 0, 0, 0, key))
        os.close(fd)
    except OSError as e:
        run("umount", "/mnt")
        raise Skip(f"no encryption here: {e}")
    with Watch(folder, disk, "encrypted ext4", {"write": ["data/lt5m", "metadata", "journal"], "read": ["data/lt5m", "metadata"]},
               3 * MIB):
        workload.put("/mnt/secret/f", 3 * MIB)
        run("sync", "-f", "/mnt/secret/f")
        fd = os.open("/mnt/secret/f", os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.read(fd, 3 * MIB)
        os.close(fd)
    run("umount", "/mnt")


class Zram:
    """A device of its own. There are no requests, so the agent's rows are asked."""

    def __init__(self, folder, size):
        if not os.path.exists("/sys/class/zram-control/hot_add"):
            raise Skip("no zram")
        self.folder, self.size, self.agent = folder, size, None

    def __enter__(self):
        with open("/sys/class/zram-control/hot_add") as f:
            self.number = f.read().strip()
        self.name, self.path = f"zram{self.number}", f"/dev/zram{self.number}"
        try:
            with open(f"/sys/block/{self.name}/disksize", "w") as f:
                f.write(self.size)
        except OSError:
            self.__exit__()
            raise
        return self

    def watch(self):
        self.agent = Agent(self.folder, self)
        self.agent.wait_for("follows stacked devices", self.agent.follows_stacked_devices)
        self.before = self.agent.totals()

    def seen(self):
        sums = self.agent.totals()
        sums.subtract(self.before)
        return {k: n for k, n in sums.items() if n}

    def __exit__(self, *_):
        if self.agent:
            self.agent.stop()
        subprocess.run(["umount", "/mnt"], capture_output=True)
        subprocess.run(["swapoff", self.path], capture_output=True)
        with open("/sys/class/zram-control/hot_remove", "w") as f:
            f.write(self.number)


def zram(folder):
    with Zram(folder, "300M") as disk:
        mounted(disk, "ext4", "-F")
        disk.watch()
        workload.put("/mnt/f", 12 * MIB)
        workload.put_direct("/mnt/d", 512 << 10, 4096)
        run("umount", "/mnt")
        got = {k: n for k, n in disk.seen().items() if k[0] == "write"}
        expected = {("write", "data", "ge10m"): 12 * MIB, ("write", "data", "lt1m"): 512 << 10}
        ok = all(got.get(k) == n for k, n in expected.items()) and not any(k[1] in ("raw", "unknown") for k in got)
        print(f"{'ok  ' if ok else 'FAIL'} zram: {got}")
        Watch.failed |= not ok


def zram_swap(folder):
    """What is read does not go through the swap cache."""
    group = memory_group()
    try:
        with Zram(folder, "128M") as disk:
            run("mkswap", disk.path)
            try:
                run("swapon", "-p", "1000", disk.path)
            except RuntimeError as e:
                raise Skip(f"{e}")
            disk.watch()
            fill_memory(group)
            got = disk.seen()
            ok = all(got.get((op, "swap", "none"), 0) >= 4 * MIB for op in ("read", "write"))
            ok = ok and all(k[1] == "swap" or k[:2] == ("read", "raw") and n < MIB for k, n in got.items())  # udev looks
            print(f"{'ok  ' if ok else 'FAIL'} swap on zram: {got}")
            Watch.failed |= not ok
    finally:
        os.rmdir(group)


CASES = {f.__name__.replace("_", "-"): f
         for f in (raw, raw_other_mounted, swap, swap_file, fast_commit, scrub, loop_on_file, discard, encrypted, zram, zram_swap)}


def main():
    for name in sys.argv[1:] or CASES:
        with tempfile.TemporaryDirectory(prefix="vstor-kind-", dir="/dev/shm") as folder:
            try:
                CASES[name](folder)
            except Skip as e:
                print(f"skipped: {name}: {e}")
            finally:
                subprocess.run(["umount", "-l", "/mnt"], capture_output=True)
    return 1 if Watch.failed else 0


if __name__ == "__main__":
    sys.exit(main())
