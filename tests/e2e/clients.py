#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""clients.py SOCKET KIND CLIENTS GETS: what other clients do to one that behaves.

CLIENTS clients at once drip (a byte of a request every 0.3 s, and again when they are thrown out), poll (GET /v1/io, again and
again) or ask for a fresh snapshot each time. Meanwhile another one does GETS requests of /v1/status, 30 ms apart. Prints the
median, the 99th percentile and the maximum of what these took, in ms; of fresh also a line "answered N".
"""
import os
import socket
import sys
import threading
import time

PATH, KIND, CLIENTS, GETS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
REQUEST = {"poll": b"/v1/io", "fresh": b"/v1/io?max_age=0"}
over = threading.Event()
connected = threading.Semaphore(0)
answers = [0] * CLIENTS


def get(path, timeout=10):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect(PATH)
        s.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        reply = b""
        while True:
            more = s.recv(1 << 16)
            if not more:
                return reply
            reply += more


def drip():
    while not over.is_set():
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(PATH)
                connected.release()
                for byte in b"GET /v1/status HTTP/1.1\r\nHost: " + 1000 * b"x":
                    s.sendall(bytes([byte]))
                    if over.wait(0.3):
                        return
        except OSError:  # it was thrown out
            over.wait(0.05)


def ask(number):
    connected.release()
    while not over.is_set():
        try:
            answers[number] += get(REQUEST[KIND]).startswith(b"HTTP/1.1 200")
        except OSError:
            over.wait(0.05)


def client(number):
    """In a thread, or, of those that poll, in processes: a thread of this program would wait for the others."""
    if KIND == "drip":
        drip()
    else:
        ask(number)


def behave():
    took = []
    for _ in range(GETS):
        begin = time.monotonic()
        reply = get(b"/v1/status")
        took.append((time.monotonic() - begin) * 1000)
        if not reply.startswith(b"HTTP/1.1 200"):
            sys.exit(f"no answer, but {reply[:80]!r}")
        time.sleep(0.03)
    return sorted(took)


def in_process():
    """The other clients in a process of their own; it ends, with what was answered on its pipe, when its input does."""
    here, there = os.pipe()
    result, report = os.pipe()
    pid = os.fork()
    if pid:
        os.close(here)
        os.close(report)
        os.read(result, 1)  # all are at it
        return pid, there, result
    os.close(there)
    os.close(result)
    threads = [threading.Thread(target=client, args=(i,), daemon=True) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    for _ in threads:
        connected.acquire()
    os.write(report, b".")
    os.read(here, 1)
    over.set()
    for t in threads:
        t.join(15)
    os.write(report, str(sum(answers)).encode())
    os._exit(0)


pid, stop, result = in_process()
times = behave()
os.close(stop)
answered = os.read(result, 32).decode()
os.waitpid(pid, 0)
print(f"{times[len(times) // 2]:.1f} {times[int(len(times) * 0.99)]:.1f} {times[-1]:.1f}")
if KIND == "fresh":
    print(f"answered {answered}")
