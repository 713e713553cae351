#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Many cgroups that do I/O: one process that goes from one to the next and does direct reads and writes in each.

  record_load.py run NAME --device DEV [--count N] [--rate R] [--seconds S] --tree ROOT...
  record_load.py clean NAME --tree ROOT...

NAME is a directory in each cgroup hierarchy; below it are units c0.service, c1.service, ... Each does R reads and R writes a
second. Prints "ready" when all exist, and at the end how many rounds it made. With R 0 there is one I/O each, then silence.
"""
import argparse
import mmap
import os
import random
import time

PAGE = 4096


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("command", choices=["run", "clean"])
    p.add_argument("name")
    p.add_argument("--tree", action="append", required=True)
    p.add_argument("--device")
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--rate", type=int, default=1)
    p.add_argument("--seconds", type=float, default=10)
    return p.parse_args()


def paths(args, i):
    return [os.path.join(tree, args.name, f"c{i}.service") for tree in args.tree]


def enter(directories):
    for directory in directories:
        with open(os.path.join(directory, "cgroup.procs"), "w") as f:
            f.write("0")


def io(args, fd, buf, blocks):
    size = random.choice([1, 1, 1, 2, 4, 16]) * PAGE
    at = random.randrange(blocks - 16) * PAGE
    os.preadv(fd, [memoryview(buf)[:size]], at)
    os.pwritev(fd, [memoryview(buf)[:size]], at)


def round_of(args, fd, buf, blocks):
    for i in range(args.count):
        enter(paths(args, i))
        for _ in range(max(args.rate, 1)):
            io(args, fd, buf, blocks)
    enter(args.tree)


def run(args):
    for i in range(args.count):
        for path in paths(args, i):
            os.makedirs(path, exist_ok=True)
    fd = os.open(args.device, os.O_RDWR | os.O_DIRECT)
    blocks = os.lseek(fd, 0, os.SEEK_END) // PAGE
    buf = mmap.mmap(-1, 16 * PAGE)
    random.seed(1)
    round_of(args, fd, buf, blocks)
    print("ready", flush=True)
    begin, rounds = time.monotonic(), 0
    while time.monotonic() - begin < args.seconds:
        if args.rate:
            round_of(args, fd, buf, blocks)
            rounds += 1
        time.sleep(max(0, begin + (rounds if args.rate else args.seconds) - time.monotonic()))
    print(f"rounds {rounds} in {time.monotonic() - begin:.1f}", flush=True)


def clean(args):
    for tree in args.tree:
        top = os.path.join(tree, args.name)
        for root, directories, _ in os.walk(top, topdown=False):
            for d in directories:
                os.rmdir(os.path.join(root, d))
        if os.path.isdir(top):
            os.rmdir(top)


if __name__ == "__main__":
    arguments_ = arguments()
    (run if arguments_.command == "run" else clean)(arguments_)
