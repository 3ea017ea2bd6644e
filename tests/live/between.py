"""A proxy in between whose every connection is a process of its own, so that one of them can be stopped.

As a program: `python -m tests.live.between PORT TARGET FILE` passes on what comes to PORT on loopback to TARGET, and
writes a line for each connection to FILE: the process and its own port towards the target. Each process follows
SIGSTOP as any other: the two ends then seem to stand, and nothing goes through.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

from oauthd.runtime.process import die_with_parent
from tests.ports import free_port
from tests.stores.replicas import wait_until

SOURCE = Path(__file__).parents[2]


class Between:
    """The proxy, from the test's side."""

    def __init__(self, target: int, folder: Path) -> None:
        self.port = free_port()
        self._file = folder / f"between-{self.port}"
        self._file.touch()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.live.between", str(self.port), str(target), str(self._file)],
            cwd=SOURCE,
            start_new_session=True,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 (see there)
        )
        wait_until(self._listens, "the proxy listens")

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    @property
    def ports(self) -> dict[int, int]:
        """Processes by their ports towards the target, those of the past too."""
        lines = (line.split() for line in self._file.read_text().splitlines())
        return {int(port): int(pid) for pid, port in lines}

    def stop(self, port: int) -> None:
        """Stop the process of the connection that has this port towards the target."""
        os.kill(self.ports[port], signal.SIGSTOP)

    def close(self) -> None:
        """End it, and all its connections, stopped or not."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def serve(port: int, target: int, file: str) -> None:
    """Accept for ever; one process for each connection."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            near, _ = listener.accept()
            if not os.fork():
                listener.close()
                with near, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", target)) as far:
                    with open(file, "a") as told:
                        told.write(f"{os.getpid()} {far.getsockname()[1]}\n")
                    _pass_on(near, far)
                os._exit(0)
            near.close()


def _pass_on(near: socket.socket, far: socket.socket) -> None:
    other = {near: far, far: near}
    for one in other:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        for one in select.select([near, far], [], [])[0]:
            data = one.recv(65536)
            if not data:
                return
            other[one].sendall(data)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
