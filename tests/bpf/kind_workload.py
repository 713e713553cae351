# SPDX-License-Identifier: GPL-2.0-only
"""
A mixed workload in phases. Within a phase that fills, nothing is freed, so that the maps at its end tell the truth about
all that was written in it. The first folder of a path is the group under which its bytes are reported.
"""

import ctypes
import mmap
import os
import random
import shutil
import subprocess

KIB, MIB = 1 << 10, 1 << 20
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_COLLAPSE, FALLOC_ZERO = 1, 2, 8, 16
libc = ctypes.CDLL(None, use_errno=True)
rnd = random.Random(7)
NOISE = rnd.randbytes(MIB)


def noise(n):
    return (NOISE * (n // MIB + 1))[:n]


def fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)) and not mode:
        os.ftruncate(fd, offset + length)  # this filesystem cannot


def put(path, size, unit=MIB):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb", buffering=0) as f:
        for at in range(0, size, unit):
            f.write(noise(min(unit, size - at)))


class Pages:
    """Memory that starts at a page, as direct I/O needs it."""

    def __init__(self, size):
        self.map = mmap.mmap(-1, size)
        self.map[:] = noise(size)
        self.view = memoryview(self.map)

    def __getitem__(self, n):
        return self.view[:n]


buffer = Pages(16 * MIB)


def direct(path, flags=0):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT | flags, 0o644)


def put_direct(path, size, unit):
    fd = direct(path)
    for at in range(0, size, unit):
        os.pwritev(fd, [buffer[min(unit, size - at)]], at)
    os.close(fd)


def fill_buffered(root):
    b = f"{root}/buffered"
    for i in range(600):
        put(f"{b}/small/{i % 20}/f{i}", rnd.choice((0, 100, 1500, 4096, 5000, 16000, 40000, 64 * KIB)))
    for name, size in (("m1", 900 * KIB), ("m1e", MIB), ("m2", 1536 * KIB), ("m3", 3 * MIB), ("m5", 4 * MIB), ("m7", 7 * MIB), ("l12", 12 * MIB),
                       ("l40", 40 * MIB)):
        put(f"{b}/{name}", size)
    put(f"{b}/bytes", 300 * KIB + 17, 1000)
    for i in range(1500):
        put(f"{b}/wide/{i:04}-{'x' * 60}", 0)
    os.makedirs(f"{root}/links")
    for i in range(100):
        os.symlink("t" * (20 if i % 2 else 900), f"{root}/links/s{i}")
        os.link(f"{b}/small/{i % 20}/f{i}", f"{root}/links/h{i}")
    block = os.statvfs(root).f_bsize
    for i in range(50):
        os.setxattr(f"{b}/small/{i % 20}/f{i}", "user.a", noise(400 if i % 2 or block < 4096 else 2500))


def fill_special(root):
    b = f"{root}/buffered"
    with open(f"{b}/mmapped", "w+b") as f:
        f.truncate(3 * MIB)
        with mmap.mmap(f.fileno(), 0) as m:
            for at in range(0, len(m), 4096):
                m[at:at + 100] = NOISE[:100]
            m.flush()
    with open(f"{b}/sparse", "wb") as f:
        f.truncate(20 * MIB)
        for at in range(0, 20 * MIB, 256 * KIB):
            os.pwrite(f.fileno(), NOISE[:4096], at)
    for name, keep in (("allocated", 0), ("kept", FALLOC_KEEP_SIZE)):
        with open(f"{b}/{name}", "wb") as f:
            fallocate(f.fileno(), keep, 0, 6 * MIB)
            for at in range(0, 100 * KIB if keep else 6 * MIB, 48 * KIB):
                os.pwrite(f.fileno(), NOISE[:20 * KIB], at)


def fill_synced(root):
    """Copy on write frees the end of a file at each of these."""
    b = f"{root}/buffered"
    with open(f"{b}/log", "ab", buffering=0) as f:
        for i in range(100):
            f.write(NOISE[:3000])
            os.fsync(f.fileno())
    fd = os.open(f"{b}/dsync", os.O_WRONLY | os.O_CREAT | os.O_DSYNC)
    for i in range(60):
        os.write(fd, NOISE[:5000])
    os.close(fd)
    for i in range(60):
        put(f"{b}/synced/f{i}", 9000)
        fd = os.open(f"{b}/synced/f{i}", os.O_WRONLY)
        os.fsync(fd)
        os.close(fd)
        os.rename(f"{b}/synced/f{i}", f"{b}/synced/g{i}")


def fill_direct(root):
    """Writes of one call each; small and large, in order and not, within the file and at its end."""
    d = f"{root}/direct"
    for name, size, unit in (("d600k", 600 * KIB, 600 * KIB), ("d1m5", 1536 * KIB, 1536 * KIB), ("d4m", 4 * MIB, 4 * MIB)):
        put_direct(f"{d}/{name}", size, unit)
    for i in range(100):
        put_direct(f"{d}/small/f{i}", rnd.choice((4096, 8192, 65536)), 4096)
    fd = direct(f"{d}/random")
    os.ftruncate(fd, 16 * MIB)
    for _ in range(600):
        os.pwritev(fd, [buffer[rnd.choice((4096, 16384, 65536))]], rnd.randrange(0, 16 * MIB - 65536) & ~4095)
    os.close(fd)
    fd = direct(f"{d}/allocated")
    fallocate(fd, 0, 0, 8 * MIB)
    for at in range(0, 8 * MIB, 256 * KIB):
        os.pwritev(fd, [buffer[256 * KIB]], at)
    os.close(fd)
    fd = direct(f"{d}/synced", os.O_DSYNC)
    os.ftruncate(fd, 3 * MIB)
    for at in range(0, 3 * MIB, 64 * KIB):
        os.pwritev(fd, [buffer[64 * KIB]], at)
    os.close(fd)
    fd = direct(f"{d}/tail")
    os.pwritev(fd, [buffer[64 * KIB]], 0)
    try:
        os.pwritev(fd, [buffer[512]], 64 * KIB)
    except OSError:
        pass  # larger sectors
    os.close(fd)


def fill_direct_from_files(root, tmpfs):
    """The memory is a file's: the pages point to it, not to the file that is written."""
    d = f"{root}/direct"
    put(f"{tmpfs}/source", 3 * MIB)
    for name, source in (("from-disk", f"{root}/buffered/l12"), ("from-tmpfs", f"{tmpfs}/source")):
        with open(source, "r+b") as f, mmap.mmap(f.fileno(), 3 * MIB) as m:
            view = memoryview(m)
            fd = direct(f"{d}/{name}")
            os.ftruncate(fd, 3 * MIB)
            for at in range(0, 3 * MIB, 128 * KIB):
                os.pwritev(fd, [view[at:at + 128 * KIB]], at)
            os.close(fd)
            view.release()


def fill_aio(root):
    """With many writes under way. Returns what could not be done."""
    if not shutil.which("fio"):
        return ["asynchronous I/O: fio is not installed"]
    missing = []
    for engine in ("libaio", "io_uring"):
        run = subprocess.run(["fio", "--name=a", f"--filename={root}/direct/{engine}", f"--ioengine={engine}", "--direct=1",
                              "--rw=randwrite", "--bs=16k", "--size=12m", "--iodepth=16", "--output=/dev/null"],
                             cwd="/", capture_output=True, text=True)
        if run.returncode:
            missing.append(f"asynchronous I/O: fio's {engine} does not run here")
    return missing


def fill_growing(root):
    """Files that are written out while they still grow: their final size is nowhere yet."""
    put_direct(f"{root}/grow-direct/dd", 64 * MIB, MIB)
    put_direct(f"{root}/grow-direct/call", 12 * MIB, 12 * MIB)  # one call, but mapped in parts
    os.makedirs(f"{root}/grow-synced")
    with open(f"{root}/grow-synced/log", "wb", buffering=0) as f:
        for _ in range(300):
            f.write(noise(8192))
            os.fsync(f.fileno())


def change(root):
    b = f"{root}/buffered"
    for i in range(0, 600, 3):
        with open(f"{b}/small/{i % 20}/f{i}", "ab") as f:
            f.write(NOISE[:3000])
    for i in range(1, 600, 3):
        with open(f"{b}/small/{i % 20}/f{i}", "r+b") as f:
            f.write(NOISE[:5000])
    for name in ("m3", "m7", "l40"):
        with open(f"{b}/{name}", "r+b") as f:
            for _ in range(100):
                os.pwrite(f.fileno(), NOISE[:8192], rnd.randrange(0, 2 * MIB))
    os.makedirs(f"{b}/moved")
    for i in range(2, 600, 3):
        os.rename(f"{b}/small/{i % 20}/f{i}", f"{b}/moved/f{i}")
    fd = direct(f"{root}/direct/d4m")
    for at in range(0, 4 * MIB, 512 * KIB):
        os.pwritev(fd, [buffer[100 * KIB]], at)
    os.close(fd)


def free(root):
    b = f"{root}/buffered"
    shutil.rmtree(f"{b}/wide")
    for i in range(0, 600, 2):
        for path in (f"{b}/small/{i % 20}/f{i}", f"{b}/moved/f{i}"):
            if os.path.exists(path):
                os.unlink(path)
    os.truncate(f"{b}/m7", 1200 * KIB)
    os.unlink(f"{b}/l12")
    with open(f"{b}/l40", "r+b") as f:
        fallocate(f.fileno(), FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 20 * MIB + 100, 3 * MIB)
    with open(f"{b}/m5", "r+b") as f:
        fallocate(f.fileno(), FALLOC_ZERO, MIB + 100, MIB)
    with open(f"{b}/m3", "r+b") as f:
        fallocate(f.fileno(), FALLOC_COLLAPSE, 64 * KIB, 64 * KIB)


def refill(root):
    b = f"{root}/buffered"
    for i in range(400):
        put(f"{b}/again/{i % 7}/f{i}", rnd.choice((2000, 9000, 30000)))
    put(f"{b}/again/m4", 4 * MIB)
    put(f"{b}/again/l11", 11 * MIB)
    put_direct(f"{root}/direct/again", 2 * MIB - 4096, 2 * MIB - 4096)


def read_all(root):
    """After a new mount: nothing is cached."""
    sink = Pages(MIB)
    for n, (folder, _, names) in enumerate(sorted(os.walk(root))):
        for i, name in enumerate(sorted(names)):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                os.readlink(path)
                continue
            group = os.path.relpath(path, root).split("/")[0]
            os.listxattr(path)
            if group == "buffered":
                read_buffered(path, i + n)
            else:
                read_direct(path, sink)


def read_buffered(path, how):
    fd = os.open(path, os.O_RDONLY)
    size = os.fstat(fd).st_size
    if how % 4 == 0:
        while os.read(fd, 128 * KIB):
            pass
    elif how % 4 == 1 and size:
        with mmap.mmap(fd, size, prot=mmap.PROT_READ) as m:
            sum(m[at] for at in range(0, size, 4096))
    elif how % 4 == 2:
        for _ in range(min(size // 8192, 100)):
            os.pread(fd, 5000, rnd.randrange(size))
    else:
        os.posix_fadvise(fd, 0, size, os.POSIX_FADV_WILLNEED)
        null = os.open("/dev/null", os.O_WRONLY)
        at = 0
        while at < size:
            at += os.sendfile(null, fd, at, MIB)
        os.close(null)
    os.close(fd)


def read_direct(path, sink):
    """With a buffer that is larger than most files."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    at = 0
    while n := os.preadv(fd, [sink[MIB]], at):
        at += n
        if n % 512:
            break
    os.close(fd)
