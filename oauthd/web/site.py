"""All connections of a process: their limits, their number, and how they end.

A drain goes in this order: every answer from now on is the last of its connection; after a short grace, in which a
request that was already on its way is still answered, idle connections are closed; requests in flight, half-sent ones
included, have until the time-out; then what is half sent is refused, what is half answered is cut and what is still
idle is closed. The listening ports are closed by others, before.
"""

# ruff: noqa: N802 - names of twisted.web
# mypy: allow-untyped-calls

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.web.http import Request
from twisted.web.resource import IResource
from twisted.web.server import Site as TwistedSite

from oauthd.web.answering import AccessLog
from oauthd.web.channel import Channel, Limits
from oauthd.web.fastlane import Lane, LaneChannel
from oauthd.web.shield import Shield


def _nobody(method: str, route: str, status: int, seconds: float) -> None:
    """Nobody wants to know."""


class _Full(Protocol):
    """A connection beyond the limit: cut before anything is read. (A factory that gives None breaks TLS.)"""

    def connectionMade(self) -> None:
        self.transport.abortConnection()  # type: ignore[union-attr]


class Site(TwistedSite):
    """The factory of channels.

    :ivar shield: counts the work that a drain waits for.
    :ivar access: told of the requests that no endpoint saw.
    :ivar lane: what its connections remember; None for nothing.
    """

    noisy = False

    def __init__(
        self,
        resource: IResource,
        shield: Shield,
        reactor: IReactorTime,
        limits: Limits | None = None,
        access: AccessLog = _nobody,
        lane: Lane | None = None,
    ) -> None:
        self.limits = limits or Limits()
        super().__init__(resource, reactor=reactor, timeout=self.limits.idle_seconds)
        self.shield = shield
        self.access = access
        self.lane = lane
        self.channel: type[Channel] = Channel if lane is None else LaneChannel
        self.channels: set[Channel] = set()
        self.larger: set[Channel] = set()  # those whose request has a body beyond the usual limit
        self.draining = False
        self._drained: list[Deferred[None]] = []
        self._grace = 0.0

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # type: ignore[override]
        """A channel; one that closes at once when there are too many.

        Not the inherited way, which puts a proxy in front of each channel and offers HTTP/2 where a package for it is
        installed: that would go past every limit here.
        """
        if len(self.channels) >= self.limits.connections:
            return _Full()
        channel = self.channel()
        if isinstance(channel, LaneChannel) and self.lane is not None:
            channel.lane = self.lane
        channel.factory = self
        channel.site = self
        channel.callLater = self.reactor.callLater  # type: ignore[assignment, method-assign]
        channel.timeOut = self.limits.idle_seconds  # type: ignore[assignment]
        return channel

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 alone."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """No log file, and no timer that keeps the time for one."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: Request) -> None:
        """The access log of twisted.web shows queries, and with them codes: it is off."""

    def opened(self, channel: Channel) -> None:
        """A connection was made."""
        self.channels.add(channel)
        if self.draining:
            self._close_soon(channel)

    def closed(self, channel: Channel) -> None:
        """A connection is gone."""
        self.channels.discard(channel)
        self._look()

    def drain(self, seconds: float, grace: float) -> Deferred[None]:
        """End all connections; the Deferred fires when none is left and no work is running, or a little after the end.

        :param seconds: how long requests in flight may take.
        :param grace: how long idle connections stay open, if that is shorter. A client that has sent a request knows
            nothing of the end, and on a busy machine may take a while to get its bytes here.
        """
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        if not self.draining:
            self.draining = True
            self._grace = grace
            for channel in self.channels:
                self._close_soon(channel)
            self._end = self.reactor.callLater(seconds, self._cut)
        self._look()
        return drained

    def _close_soon(self, channel: Channel) -> None:
        def close() -> None:
            if channel in self.channels and channel.idle:
                channel.loseConnection()

        # Not at once when the time is over: a busy reactor may not have read yet what has arrived meanwhile.
        self.reactor.callLater(self._grace, lambda: self.reactor.callLater(0, close))

    def _look(self) -> None:
        if not self.draining or self.channels:
            return
        if self.shield.running:  # by a client that hung up
            self.shield.settled().addCallback(lambda _: self._look())
        else:
            self._finish()

    def _cut(self) -> None:
        for channel in tuple(self.channels):
            channel.stop()
        # Those who are refused now get the time to read why.
        self._end = self.reactor.callLater(self.limits.linger_seconds, self._finish)

    def _finish(self) -> None:
        if self._end.active():
            self._end.cancel()
        for channel in tuple(self.channels):
            channel.forceAbortClient()
        drained, self._drained = self._drained, []
        for waiting in drained:
            waiting.callback(None)
