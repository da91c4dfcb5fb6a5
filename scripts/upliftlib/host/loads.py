#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Loads that workloads.py runs as a process of their own; one line of JSON, {"ns": a operation}.

usage: loads.py exec COUNT PROGRAM [ARGUMENT...]   start a program and wait for it, so many times
       loads.py echo SOCKETS ROUNDS                a server: every client asks, all are answered; in each round
"""

import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable


def storm(count: str, *argv: str) -> float:
    """Nanoseconds to run a program."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]

    def once() -> None:
        status = os.waitpid(os.posix_spawn(argv[0], argv, os.environ, file_actions=actions), 0)[1]
        if status:
            sys.exit(f"{argv[0]} ended with status {os.waitstatus_to_exitcode(status)}")
    for _ in range(3):
        once()
    start = time.monotonic_ns()
    for _ in range(int(count)):
        once()
    return (time.monotonic_ns() - start) / int(count)


def echo(sockets: str, rounds: str) -> float:
    """Nanoseconds to serve a request."""
    pairs = [socket.socketpair() for _ in range(int(sockets))]
    # the kernel's best way to wait for many
    waiter = selectors.DefaultSelector()
    for server, _ in pairs:
        waiter.register(server, selectors.EVENT_READ, server)

    def once() -> None:
        for _, client in pairs:
            client.send(b"?")
        waiting = len(pairs)
        while waiting:
            for key, _ in waiter.select():
                key.data.send(key.data.recv(16))
                waiting -= 1
        for _, client in pairs:
            client.recv(16)
    once()
    start = time.monotonic_ns()
    for _ in range(int(rounds)):
        once()
    return (time.monotonic_ns() - start) / int(rounds) / len(pairs)


def main(argv: list[str]) -> None:
    """The command, see above."""
    loads: dict[str, Callable[..., float]] = {"exec": storm, "echo": echo}
    load = loads.get(argv[1] if len(argv) > 1 else "")
    if load is None or len(argv) < 4:
        sys.exit(__doc__)
    print(json.dumps({"ns": load(*argv[2:])}))


if __name__ == "__main__":
    main(sys.argv)
