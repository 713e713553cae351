#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Kills vstord's stand-in (actor_drive), vstor-actor or both with SIGKILL at random points while knobs are written.

    actor_kill.py DRIVE ACTOR STATE-DIR CGROUP MAJ:MIN WHO ROUNDS

CGROUP is the path of an empty cgroup v1 blkio directory. WHO is agent, actor or both. In each round steps stream to the
actor, two knobs are changed by somebody else on the way, then the processes are killed. Every knob must hold its old
value within 2 s, or the foreign one. Prints one line of figures; exit status 1 and a message if something does not hold.
"""
import os
import random
import signal
import subprocess
import sys
import threading
import time

FILES = ["blkio.throttle.%s_device" % x for x in ("read_bps", "write_bps", "read_iops", "write_iops")]
LIMIT = 2.0


def fail(text):
    print("FAILED: " + text)
    sys.exit(1)


class Knob:
    def __init__(self, cgroup, relative, name, dev, old):
        self.path = os.path.join(cgroup, name)
        self.relative, self.name, self.dev = relative, name, dev
        self.old = old
        self.write(old)
        self.expected = old

    def write(self, value):
        with open(self.path, "w") as f:
            f.write("%s %s" % (self.dev, value))

    def read(self):
        with open(self.path) as f:
            for line in f:
                dev, value = line.split()
                if dev == self.dev:
                    return int(value)
        return 0


class Drive:
    def __init__(self, drive, actor, state):
        self.p = subprocess.Popen([drive, actor, state, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  bufsize=1)
        self.lock = threading.Condition()
        self.actor = 0
        self.ready = 0
        self.outcomes = {}
        self.conflicts = 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.p.stdout:
            f = line.rstrip("\n").split("\t")
            with self.lock:
                if f[0] == "ready":
                    if f[1] != "ready":
                        print("the actor refuses: " + line)
                    self.actor = int(f[2].split("=")[1])
                    self.ready += 1
                elif f[0] == "outcome":
                    self.outcomes[int(f[1])] = f[2]
                    self.conflicts += f[2] == "conflict"
                elif f[0] == "lost":
                    self.actor = 0
                self.lock.notify_all()

    def wait(self, what, seconds=10):
        with self.lock:
            if not self.lock.wait_for(what, seconds):
                fail("nothing came from the actor for %d s" % seconds)

    def send(self, number, knob, value):
        self.p.stdin.write("step\t%d\t0\t%s\t%s\t%s\t%d\n" % (number, knob.relative, knob.name, knob.dev, value))
        self.p.stdin.flush()


def undone(knobs):
    return [k for k in knobs if k.read() != k.expected]


def wait_undone(knobs, what):
    begin = time.monotonic()
    while undone(knobs):
        if time.monotonic() - begin > LIMIT:
            fail("%s: after %.0f s %s" % (what, LIMIT, "; ".join(
                "%s holds %d, not %d" % (k.path, k.read(), k.expected) for k in undone(knobs))))
        time.sleep(0.002)
    return time.monotonic() - begin


def wait_gone(pid):
    """Until a process has ended; a zombie has."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            with open("/proc/%d/stat" % pid) as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.002)
    fail("process %d did not end" % pid)


class Stream:
    """Steps, as fast as the actor takes them, from another thread until the pipe breaks or stop() is called."""

    def __init__(self, drive, knobs):
        self.drive, self.knobs = drive, knobs
        self.sent = 0
        self.going = True
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while self.going:
            with self.drive.lock:
                busy = self.sent - len(self.drive.outcomes) > 200
            if busy:
                time.sleep(0.0005)
                continue
            try:
                self.drive.send(1000 + self.sent, random.choice(self.knobs), random.randint(10 ** 6, 10 ** 8))
            except (BrokenPipeError, ValueError):
                return
            self.sent += 1

    def stop(self):
        self.going = False
        self.thread.join()


def foreign_changes(drive, knobs):
    """The actor sets two knobs, then somebody else changes them; later steps on them must be refused."""
    for i, k in enumerate(random.sample(knobs, 2)):
        drive.send(i + 1, k, 7654321 + i)
        drive.wait(lambda: i + 1 in drive.outcomes)
        if drive.outcomes[i + 1] != "applied":
            fail("a step on %s: %s" % (k.path, drive.outcomes[i + 1]))
        k.expected = random.randint(1000, 9999)
        k.write(k.expected)


def reset(knobs):
    for k in knobs:
        k.expected = k.old
        k.write(k.old)


def main():
    drive_path, actor_path, state, cgroup, dev, who, rounds = sys.argv[1:]
    seed = int(os.environ.get("SEED", random.randrange(10 ** 6)))
    random.seed(seed)
    relative = "/" + os.path.relpath(cgroup, "/sys/fs/cgroup/blkio")
    knobs = []
    for c in range(8):
        os.makedirs("%s/c%d" % (cgroup, c), exist_ok=True)
        knobs += [Knob("%s/c%d" % (cgroup, c), "%s/c%d" % (relative, c), name, dev, 0 if c % 2 else 5 * 10 ** 6 + c)
                  for name in FILES]
    drive = None
    times, steps, conflicts, left = [], 0, 0, 0
    for n in range(int(rounds)):
        if not drive or n % 4 == 0 and who == "actor":
            if drive:
                drive.p.stdin.close()
                drive.p.wait()
                wait_gone(drive.actor)
            drive = Drive(drive_path, actor_path, state)
            drive.wait(lambda: drive.actor)
        drive.outcomes.clear()
        before = drive.ready
        foreign_changes(drive, knobs)
        stream = Stream(drive, knobs)
        time.sleep(random.random() * 0.04)
        actor = drive.actor
        victims = {"agent": [drive.p.pid], "actor": [actor], "both": random.sample([drive.p.pid, actor], 2)}[who]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        stream.stop()
        if who == "actor":
            times.append(wait_undone(knobs, "killed the actor in round %d" % n))
            drive.wait(lambda: drive.ready > before)
        else:
            drive.p.wait()
        if who == "agent":
            times.append(wait_undone(knobs, "killed the agent in round %d" % n))
            wait_gone(actor)
            if os.listdir(state):
                fail("left in the state directory: %s" % os.listdir(state))
        if who == "both":
            wait_gone(actor)
            conflicts += drive.conflicts
            drive.conflicts = 0
            left += len(undone(knobs))
            begin = time.monotonic()
            drive = Drive(drive_path, actor_path, state)
            wait_undone(knobs, "killed both in round %d" % n)
            times.append(time.monotonic() - begin)
            drive.wait(lambda: drive.actor)
        steps += stream.sent
        conflicts += drive.conflicts
        drive.conflicts = 0
        if who == "agent":
            drive = None
        reset(knobs)
    if drive:
        drive.p.stdin.close()
        drive.p.wait()
        wait_gone(drive.actor)
    if os.listdir(state):
        fail("left in the state directory: %s" % os.listdir(state))
    if who == "both" and not left:
        fail("no knob was ever left set when both were killed: nothing was tested")
    print("killed %s %s times: %d knobs, %d steps, %d foreign changes kept, %d steps refused because of them, "
          "undone in %.3f s at most (median %.3f)%s, seed %d" %
          (who, rounds, len(knobs), steps, 2 * int(rounds), conflicts, max(times), sorted(times)[len(times) // 2],
           ", %d knobs were left for the next start" % left if who == "both" else "", seed))


main()
