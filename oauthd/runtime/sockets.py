"""What Twisted's ports leave out: a group of sockets on one TCP port, unix sockets of others, an end without losses.

A connection is made by the kernel before anybody accepts it, and closing the socket that it waits at resets it, request
and all. So a socket first lets no new connection begin (`withhold`, `UnixPort.withdraw`), then its queue is emptied,
then it is closed.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

from twisted.internet import tcp, unix
from twisted.python.failure import Failure

_SO_ATTACH_FILTER = 26  # Linux; Python has no name for it
# A classic BPF program. A TCP packet whose flags have SYN and not ACK begins a connection: it is dropped.
_NO_SYN = (
    (0x30, 0, 0, 13),  # load the byte with the flags, counted from the TCP header
    (0x54, 0, 0, 0x12),  # SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # take all of it
)


def group(port: int, interface: str, backlog: int, count: int) -> list[socket.socket]:
    """Sockets that listen on one port, among which the kernel shares connections out.

    :param port: 0 for one that is free.
    :raises OSError: somebody else has the port, even one who would share it.
    """
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    with _bound(family, interface, port, socket.SO_REUSEADDR) as alone:
        number = alone.getsockname()[1]
    found: list[socket.socket] = []
    try:
        for _ in range(count):
            found.append(_bound(family, interface, number, socket.SO_REUSEADDR, socket.SO_REUSEPORT))
            found[-1].listen(backlog)
    except OSError:
        for one in found:
            one.close()
        raise
    return found


def _bound(family: socket.AddressFamily, interface: str, port: int, *options: int) -> socket.socket:
    made = socket.socket(family)
    try:
        made.setblocking(False)
        for option in options:
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        made.bind((interface, port))
    except OSError:
        made.close()
        raise
    return made


def withhold(listening: socket.socket) -> None:
    """Let no new connection begin at a TCP socket that belongs to us; those that have begun are made.

    Whoever tries is not answered and tries again a second later, when the socket is closed or somebody else's. Only on
    Linux; elsewhere a connection made at the last moment is reset.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _NO_SYN))
    with suppress(OSError):
        described = struct.pack("@HP", len(_NO_SYN), ctypes.addressof(program))
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


class UnixPort(unix.Port):
    """A unix socket of ours that can leave the file system before it is closed."""

    _withdrawn = False

    def withdraw(self) -> None:
        """Remove its path: nobody finds it any more; those who wait at it do."""
        if not self._withdrawn:
            self._withdrawn = True
            with suppress(OSError):
                os.unlink(self._bindPath)

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        """Close it; its path was removed before, and may be somebody else's by now."""
        if not self._withdrawn:
            super().connectionLost(reason)
            return
        if self.lockFile is not None:
            self.lockFile.unlock()
        tcp.Port.connectionLost(self, reason)


class SharedUnixPort(unix.Port):
    """A unix socket of another process, whose path, mode and queue are not ours to change."""

    factory: Any
    socket: Any
    _shouldShutdown = False  # noqa: N815 - Twisted's name; to shut it down would end it for all

    def startListening(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to accept. Twisted would open the path to everybody."""
        self.factory.doStart()
        self.socket = self._preexistingSocket
        self._preexistingSocket = None
        self.connected = True
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.numberAccepts = 100
        self.startReading()

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        """Accept no more. Twisted would remove the path."""
        tcp.Port.connectionLost(self, reason)


def adopted(reactor: Any, descriptor: int, factory: Any) -> Any:
    """A port over a copy of a listening socket that somebody else opened."""
    with socket.socket(fileno=os.dup(descriptor)) as found:
        found.setblocking(False)
        if found.family != socket.AF_UNIX:
            return reactor.adoptStreamPort(found.fileno(), found.family, factory)
        port = SharedUnixPort._fromListeningDescriptor(reactor, found.fileno(), factory)
        port.startListening()
        return port
