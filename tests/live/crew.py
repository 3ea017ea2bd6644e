"""The workers of a daemon, from outside: who they are, and which of them has a connection."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator

from tests.live.daemon import Daemon, until
from tests.live.visitor import Line

_SERVES = re.compile(r"worker ([0-9]+) \(process ([0-9]+)\) serves")


def workers(daemon: Daemon) -> dict[int, int]:
    """Process by number: those who serve now, as the log says."""
    return {int(number): int(pid) for number, pid in _SERVES.findall(daemon.output) if lives(int(pid))}


def all_of(daemon: Daemon, count: int) -> dict[int, int]:
    """The workers, when there are so many."""
    found: dict[int, int] = until(lambda: len(now := workers(daemon)) == count and now, f"{count} workers serve")
    return found


def replaced(daemon: Daemon, number: int, pid: int) -> dict[int, int]:
    """The workers, when another process than this one is worker NUMBER."""

    def look() -> dict[int, int] | None:
        now = workers(daemon)
        return now if now.get(number, pid) != pid else None

    found: dict[int, int] = until(look, f"worker {number} is replaced")
    return found


def children(pid: int) -> list[int]:
    """The workers that a process has made, the one that waits included."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit() and parent_of(int(entry)) == pid and "oauthd.runtime.worker" in command_of(int(entry)):
                found.append(int(entry))
    return found


def parent_of(pid: int) -> int:
    """The process that made another one."""
    with open(f"/proc/{pid}/stat") as facts:
        return int(facts.read().rpartition(")")[2].split()[1])


def command_of(pid: int) -> str:
    """The command line of a process."""
    with open(f"/proc/{pid}/cmdline") as words:
        return words.read().replace("\0", " ")


def lives(pid: int) -> bool:
    """Is there such a process, and not just its remains?"""
    try:
        with open(f"/proc/{pid}/stat") as facts:
            return facts.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def owner(daemon: Daemon, connection: socket.socket) -> int:
    """The process that has accepted a TCP connection; 0 while nobody has."""
    return _holder(daemon, f":{daemon.port:04X}", f":{connection.getsockname()[1]:04X}")


def caller(daemon: Daemon, port: int) -> int:
    """The process that has a connection to a port of somebody else's; 0 while nobody has."""
    return _holder(daemon, "", f":{port:04X}")


def _holder(daemon: Daemon, near: str, far: str) -> int:
    """The worker with a connection between addresses that end so."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    inodes = [row[9] for row in rows if row[1].endswith(near) and row[2].endswith(far) and row[9] != "0"]
    assert daemon.process is not None
    for pid in children(daemon.process.pid):
        with contextlib.suppress(OSError):
            if inodes and f"socket:[{inodes[0]}]" in _sockets(pid):
                return pid
    return 0


def _sockets(pid: int) -> Iterator[str]:
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/{pid}/fd/{number}")


def owner_of(daemon: Daemon, line: Line) -> int:
    """The process that serves a line that has been used."""
    return owner(daemon, line.connection.sock)


def lines_to_all(daemon: Daemon, each: int = 1) -> dict[int, list[Line]]:
    """Open connections, so many at least to each of two workers, by its process."""
    found: dict[int, list[Line]] = {pid: [] for pid in all_of(daemon, 2).values()}
    for _ in range(64 * each * len(found)):
        if all(len(lines) >= each for lines in found.values()):
            return found
        line = daemon.http.line()
        assert line.request("GET", "/oauth2/jwks").status == 200
        found[owner_of(daemon, line)].append(line)
    raise AssertionError(f"the kernel shares out badly: { {pid: len(lines) for pid, lines in found.items()} }")
