"""Many connections as one selectable of the reactor.

Twisted makes a logging context for each event of each connection, which nothing here reads and which costs more than
looking up a known request. So the connections that can be on the fast lane stand in an epoll of their own, and that one
stands in the reactor's. What is done with a connection that is ready is what the reactor does, by its own methods: only
reading is moved; writing, timers and ends stay where they are.
"""

# ruff: noqa: N802 - names of twisted.internet
# mypy: allow-untyped-calls

from __future__ import annotations

import select
from contextlib import suppress
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

_log = Logger(namespace="oauthd.web")
MOST_READY = 256  # connections read in one go, before the reactor looks at everything else


def readers(reactor: Any) -> Readers | None:
    """Readers beside this reactor; None for one of another kind."""
    return Readers(reactor) if isinstance(reactor, EPollReactor) else None


@implementer(IReadDescriptor)
class Readers:
    """Reads connections that were taken over with `take`; in the reactor as long as there are any."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._epoll = select.epoll()
        self._reading: dict[int, Any] = {}

    def take(self, transport: Any) -> None:
        """Read a connection from now on: one of Twisted's own for TCP or unix sockets, that is being read."""
        transport.stopReading()
        transport.reactor = _Beside(self, self._reactor)
        transport.startReading()

    def addReader(self, transport: Any) -> None:
        """Begin to read."""
        fd = transport.fileno()
        if fd < 0 or self._reading.get(fd) is transport:
            return
        if not self._reading:
            self._reactor.addReader(self)
        try:
            self._epoll.register(fd, select.EPOLLIN)
        except FileExistsError:
            self._epoll.modify(fd, select.EPOLLIN)
        self._reading[fd] = transport

    def removeReader(self, transport: Any) -> None:
        """Read no more."""
        fd = transport.fileno()
        if self._reading.get(fd) is not transport:
            fd = next((one for one, known in self._reading.items() if known is transport), -1)
        if fd < 0:
            return
        del self._reading[fd]
        with suppress(OSError):  # it was closed, and the kernel has forgotten it
            self._epoll.unregister(fd)
        if not self._reading:
            self._reactor.removeReader(self)

    def doRead(self) -> None:
        """Read every connection that has something to say."""
        reading = self._reading
        for fd, event in self._epoll.poll(0, MOST_READY):
            transport = reading.get(fd)
            if transport is None:
                continue  # one before it in this round has ended it
            try:
                why = transport.doRead() if event & select.EPOLLIN else CONNECTION_DONE
            except Exception as error:
                _log.failure("reading a connection failed")
                why = error
            if why:
                self._end(transport, why)

    def _end(self, transport: Any, why: Exception) -> None:
        self.removeReader(transport)
        if isinstance(why, ConnectionDone):
            transport.readConnectionLost(Failure(why))  # the peer has closed its half
        else:
            transport.connectionLost(Failure(why))

    def fileno(self) -> int:
        """Of the epoll."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """For the one context that is made."""
        return "oauthd.web"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops."""


class _Beside:
    """The reactor as a connection sees it that is read by `Readers`."""

    def __init__(self, readers: Readers, reactor: Any) -> None:
        self.addReader, self.removeReader = readers.addReader, readers.removeReader
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)
