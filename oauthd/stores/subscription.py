"""The one connection on which a process hears what changes; made again whenever it ends.

What counts is not that it stands but that it speaks: who listens sends heartbeats, and has it replaced (`renew`) when
they do not come back. A subscription that ended may have missed something; the next one knows nothing of that.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hiredis
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from txredisapi import ResponseError

from oauthd.stores.address import Primary
from oauthd.stores.pool import FIRST_DELAY, LONGEST_DELAY, Reply, objection

GREETING_TIME = 2.0  # seconds from a connection to its subscription


class _Listener(Protocol):
    """One connection: greets, subscribes, and hands on what it hears."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._reader = hiredis.Reader(replyError=ResponseError)
        self._greeted: list[Reply] = []
        self.subscribed = False

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        transport: Any = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        commands = (*self._subscription.primary.greeting, ("SUBSCRIBE", self._subscription.channel))
        transport.write(b"".join(map(hiredis.pack_command, commands)))

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                if not self.subscribed:
                    self._greet(reply)
                elif isinstance(reply, list) and len(reply) == 3 and reply[0] == b"message":
                    self._subscription.heard(reply[2])
                else:
                    self.leave("it says something that is no message")
                    return
        except hiredis.ProtocolError:
            self.leave("what it says is not the Redis protocol")

    def _greet(self, reply: Reply) -> None:
        greeting = self._subscription.primary.greeting
        if len(self._greeted) < len(greeting):
            self._greeted.append(reply)
            return
        why = objection(greeting, self._greeted)
        if isinstance(reply, ResponseError):
            why = f"it answers {str(reply).split(' ')[0]} to SUBSCRIBE"
        if why:
            self.leave(why)
        else:
            self.subscribed = True
            self._subscription.came()

    def leave(self, why: str) -> None:
        """Give the connection up."""
        self._subscription.note(why)
        transport: Any = self.transport
        transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self._subscription.went(self)


class Subscription:
    """Hears a channel.

    :param heard: called with each message.
    :param began: called when a subscription stands; nothing sent before may be heard on it.
    :param ended: called when it is gone.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        primary: Primary,
        channel: bytes,
        heard: Callable[[bytes], None],
        began: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self.primary = primary
        self.channel = channel
        self.heard = heard
        self._reactor = reactor
        self._began, self._ended = began, ended
        self._endpoint = primary.endpoint(self.note)
        self._factory = Factory.forProtocol(lambda: _Listener(self))
        self._factory.noisy = False
        self._listener: _Listener | None = None
        self._connecting: Deferred[Any] | None = None
        self._timer: IDelayedCall | None = None
        self._delay = FIRST_DELAY
        self._why = ""
        self._stopped = True

    @property
    def stands(self) -> bool:
        """Are we subscribed?"""
        return self._listener is not None and self._listener.subscribed

    def start(self) -> None:
        """Subscribe, and go on doing so."""
        self._stopped = False
        self.primary.watch(self.renew)
        self._connect()

    def stop(self) -> None:
        """End it."""
        if self._stopped:
            return
        self._stopped = True
        self.primary.unwatch(self.renew)
        self._cancel_timer()
        if self._connecting is not None:
            self._connecting.cancel()
        self.renew()

    def renew(self) -> None:
        """Give the connection up; the next one begins anew."""
        if self._listener is not None:
            transport: Any = self._listener.transport
            transport.abortConnection()

    def _connect(self) -> None:
        self._timer = None
        self._connecting = self._endpoint.connect(self._factory)
        self._connecting.addCallbacks(self._connected, self._failed)

    def _connected(self, listener: Any) -> None:
        self._connecting = None
        self._listener = listener
        self._timer = self._reactor.callLater(GREETING_TIME, listener.leave, "it does not greet back")

    def _failed(self, failure: Failure) -> None:
        self._connecting = None
        self._again()

    def _again(self) -> None:
        if not self._stopped:
            self._timer = self._reactor.callLater(self._delay, self._connect)
            self._delay = min(self._delay * 2, LONGEST_DELAY)

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def came(self) -> None:
        """A connection has subscribed."""
        self._cancel_timer()
        self._delay = FIRST_DELAY
        self._why = ""
        self._began()

    def went(self, listener: _Listener) -> None:
        """A connection is gone."""
        self._cancel_timer()
        self._listener = None
        if listener.subscribed:
            if not self._stopped:
                self._log.warn("the subscription to changes was lost; nothing is answered from memory meanwhile")
            self._ended()
        self._again()

    def note(self, why: str) -> None:
        """Tell why a connection or a try failed, once."""
        if why != self._why and not self._stopped:
            self._log.warn("subscribing to changes failed: {why}", why=why)
        self._why = why

