# SPDX-License-Identifier: GPL-2.0-only
"""What each block of a filesystem was when it was read or written, by the extent maps of its files."""

import array
import bisect
import collections
import fcntl
import os
import re
import stat
import struct
import subprocess
import time

SECTOR = 512
FS_IOC_FIEMAP = 0xC020660B
FIEMAP_FLAG_SYNC = 1
EXTENT_LAST = 0x1
# place unknown, delayed allocation, inline in metadata; compressed: its length on the device is not told
EXTENT_NOWHERE = 0x2 | 0x4 | 0x200 | 0x8
BANDS = ((1 << 20, "lt1m"), (2 << 20, "lt2m"), (5 << 20, "lt5m"), (10 << 20, "lt10m"))

File = collections.namedtuple("File", "path size group")
Truth = collections.namedtuple("Truth", "kind size file")
METADATA = Truth("metadata", "none", None)
TRANSIENT = Truth("data", None, None)  # a file's, but no map shows whose
AMBIGUOUS = Truth(None, None, None)


def band(size):
    return next((name for limit, name in BANDS if size < limit), "ge10m")


def extents(fd):
    """(physical, length) of each extent that has its own blocks, in bytes."""
    start, head, one = 0, 32, 56
    while True:
        buf = bytearray(head + 512 * one)
        struct.pack_into("=QQLLLL", buf, 0, start, (1 << 64) - 1 - start, FIEMAP_FLAG_SYNC, 0, 512, 0)
        fcntl.ioctl(fd, FS_IOC_FIEMAP, buf)
        n = struct.unpack_from("=L", buf, 20)[0]
        for i in range(n):
            logical, physical, length = struct.unpack_from("=QQQ", buf, head + i * one)
            flags = struct.unpack_from("=L", buf, head + i * one + 40)[0]
            if not flags & EXTENT_NOWHERE:
                yield physical, length
            start = logical + length
            if flags & EXTENT_LAST:
                return
        if not n:
            return


class Chunks:
    """btrfs: from the filesystem's addresses to the device's, and what each part of the device is for."""

    def __init__(self, image, sectors):
        out = subprocess.run(["btrfs", "inspect-internal", "dump-tree", "-t", "chunk", image],
                             capture_output=True, text=True, check=True).stdout
        self.list = []
        self.is_data = bytearray(sectors)
        item = re.compile(r"CHUNK_ITEM (\d+)\).*?length (\d+) .*?type (\S+)(.*?)(?=\n\titem |\Z)", re.S)
        for logical, length, kind, rest in item.findall(out):
            logical, length = int(logical), int(length)
            places = [int(x) for x in re.findall(r"stripe \d+ devid \d+ offset (\d+)", rest)]
            self.list.append((logical, length, places))
            if kind.split("|")[0] == "DATA" and "METADATA" not in kind:
                for at in places:
                    self.is_data[at // SECTOR:(at + length) // SECTOR] = b"\1" * (length // SECTOR)
        for at in (64 << 10, 64 << 20):  # the superblock's copies lie within chunks of any kind
            self.is_data[at // SECTOR:at // SECTOR + 8] = bytes(8)

    def places(self, logical, length):
        for base, size, places in self.list:
            if base <= logical < base + size:
                return [(at + logical - base, min(length, base + size - logical)) for at in places]
        raise LookupError(f"no chunk holds {logical}")


class Checkpoint:
    """Who owned each sector at one moment, and the sizes of the files then."""

    def __init__(self, sectors):
        self.time = 0
        self.owner = array.array("i", [0]) * sectors
        self.files = [None]
        self.chunks = None

    def add(self, file, places):
        self.files.append(file)
        number = len(self.files) - 1
        for at, length in places:
            first, end = at // SECTOR, -(-(at + length) // SECTOR)
            self.owner[first:end] = array.array("i", [number]) * (end - first)


def checkpoint(root, fstype, image, sectors, groups):
    """Writes everything back and takes the maps. The filesystem must be idle. groups(path) names a file's group."""
    fd = os.open(root, os.O_RDONLY)
    libc_syncfs(fd)
    os.close(fd)
    now = Checkpoint(sectors)
    if fstype == "btrfs":
        now.chunks = Chunks(image, sectors)
    seen = set()
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            if not stat.S_ISREG(st.st_mode) or st.st_ino in seen:
                continue
            seen.add(st.st_ino)
            fd = os.open(path, os.O_RDONLY)
            places = list(extents(fd))
            os.close(fd)
            if now.chunks:
                places = [p for at, length in places for p in now.chunks.places(at, length)]
            path = os.path.relpath(path, root)
            now.add(File(path, st.st_size, groups(path)), places)
    now.time = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return now


def libc_syncfs(fd):
    import ctypes
    if ctypes.CDLL(None, use_errno=True).syncfs(fd):
        raise OSError(ctypes.get_errno(), "syncfs")


class History:
    def __init__(self, checkpoints):
        self.points = checkpoints
        self.times = [c.time for c in checkpoints]

    def of(self, when, sector, count):
        """(truth, sectors) for each piece of what was read or written at that time."""
        i = bisect.bisect_left(self.times, when)
        after = self.points[min(i, len(self.points) - 1)]
        before = self.points[max(i - 1, 0)]
        new, old = after.owner[sector:sector + count], before.owner[sector:sector + count]
        if new.count(new[0]) == len(new) and old.count(old[0]) == len(old):
            yield self.one(before, after, old[0], new[0], sector), count
            return
        start = 0
        for at in range(1, len(new) + 1):
            if at == len(new) or new[at] != new[start] or old[at] != old[start]:
                yield self.one(before, after, old[start], new[start], sector + start), at - start
                start = at

    @staticmethod
    def one(before, after, old, new, sector):
        if new:
            file = after.files[new]
            if old and before.files[old].path != file.path and after is not before:
                # freed and given to another file in between; the same file under a new name has the same group
                if before.files[old].group != file.group or band(before.files[old].size) != band(file.size):
                    return AMBIGUOUS
            return Truth("data", band(file.size), file)
        if after.chunks:
            if not after.chunks.is_data[sector] and not before.chunks.is_data[sector]:
                return METADATA
            if old:
                return Truth("data", band(before.files[old].size), before.files[old])
            return TRANSIENT if after.chunks.is_data[sector] and before.chunks.is_data[sector] else AMBIGUOUS
        return AMBIGUOUS if old else METADATA
