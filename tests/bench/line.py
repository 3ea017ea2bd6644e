"""One plain connection that stays open: for what is timed a request at a time. It blocks."""

from __future__ import annotations

import os
import re
import select
import socket
from collections.abc import Iterable
from pathlib import Path

from tests.bench.processes import PATIENCE
from tests.bench.stage import Ask

_LENGTH = re.compile(rb"^content-length: *(\d+)\r$", re.IGNORECASE | re.MULTILINE)


def written(ask: Ask, port: int, token: str = "", method: str = "POST") -> bytes:
    """The request as it goes over the wire, the same bytes each time but for the token."""
    head, _, body = ask.text.partition("\n\n")
    path, *fields = head.split("\n")
    content = body.replace("%s", token).encode()
    lines = (f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *fields, f"Content-Length: {len(content)}", "", "")
    return "\r\n".join(lines).encode() + content


class Line:
    """A connection to a server.

    :ivar local: its own port.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local: int = self._socket.getsockname()[1]
        self._port = port

    def ask(self, request: bytes) -> bytes:
        """Send a request and wait for its answer, head and body."""
        self.send(request)
        return self.receive()

    def send(self, request: bytes) -> None:
        """Send a request and wait for nothing."""
        self._socket.sendall(request)

    def ready(self) -> bool:
        """Has an answer begun to come?"""
        return bool(select.select([self._socket], [], [], 0)[0])

    def receive(self) -> bytes:
        """Wait for an answer."""
        data = b""
        while (whole := _whole(data)) is None or len(data) < whole:
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionResetError("the server closed the connection")
            data += more
        return data

    def owner(self, candidates: Iterable[int]) -> int:
        """Which of these processes has accepted this connection; 0 for none of them."""
        mine, its = f":{self.local:04X}", f":{self._port:04X}"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            cells = line.split()
            if cells[1].endswith(its) and cells[2].endswith(mine):
                wanted = f"socket:[{cells[9]}]"
                return next((pid for pid in candidates if wanted in _open_files(pid)), 0)
        return 0

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def status(answer: bytes) -> int:
    """The status of an answer."""
    return int(answer[9:12])


def _whole(data: bytes) -> int | None:
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    found = _LENGTH.search(data, 0, head + 2)
    return head + 4 + (int(found[1]) if found else 0)


def _open_files(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(os.readlink(entry))
        except OSError:
            continue
    return found
