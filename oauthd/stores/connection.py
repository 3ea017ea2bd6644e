"""One Redis-compatible server that answers commands, by whichever connection stands at the moment.

What this promises: every call ends, soon after the reply time-out at the latest. A server that is away, stopped,
loading, full, read-only or out of reach in any other way is `StoreUnavailable`; a command that the server understood
and refused is `CommandRefused`, a bug of ours. Nothing needs a restart: connecting is tried again without end, half a
second after the last try at most. No key, value or password is ever part of an error or a log line.

Which commands are sent, and what they mean, is left to `oauthd.stores.redis`.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from txredisapi import ResponseError

from oauthd.stores.address import Noting, endpoint
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.pool import Command, Reply, ReplyLost, StoreFactory, StoreProtocol, greeting
from oauthd.stores.scripts import Script

DEEP = 256  # commands under way, from which on the next connection is used: one at a time makes larger batches

# The server's state, not our command, stands in the way. Before Redis 7 a script hides the word behind others.
_STATES = re.compile(
    r"(?:^|-)(LOADING|READONLY|OOM|MISCONF|BUSY|NOREPLICAS|NOAUTH|WRONGPASS|NOPERM|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|"
    r"ASK|UNKILLABLE)\b|^ERR (max number of clients reached)"
)
# States of this machine that a new greeting would find: all connections are given up, and may reach a better one.
_WORTH_LEAVING = frozenset({"LOADING", "READONLY", "NOAUTH", "MASTERDOWN"})
_LINE = re.compile(r"user_script:(\d+)")


class CommandRefused(Exception):
    """The server understood a command and refused it: an error in this program, not an outage."""


class NotPermitted(StoreUnavailable):
    """The server's rules (ACL) forbid the command: an error in its settings, or a managed server."""


class RedisConnection:
    """A server that answers commands, by whichever connection stands at the moment.

    Either `host` and `port` or `path` (a unix socket) is given. Nothing is opened before `start`.

    :param tls: TLS, with the server's certificate checked against `host`.
    :param ca_file: path of the authorities (PEM) to check against; None: the system's.
    :param user: name of an ACL user; None: the default user.
    :param db: number of the database.
    :param size: how many connections are kept open.
    :param reply_timeout: seconds to wait for a reply, and for a connection when there is none.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        host: str | None = None,
        port: int | None = None,
        path: str | None = None,
        tls: bool = False,
        user: str | None = None,
        password: str | None = None,
        db: int = 0,
        ca_file: str | None = None,
        size: int = 2,
        reply_timeout: float = 1.0,
    ) -> None:
        self._reactor: IReactorTime = reactor
        self._reply_timeout = reply_timeout
        self._size = size
        reached = endpoint(reactor, host, port, path, tls, ca_file, reply_timeout)
        self._endpoint = Noting(reached, self._note)
        self._factory = StoreFactory(
            reactor, greeting(user, password, db), size, reply_timeout, self._came, self._went, self._note
        )
        self._waiters: list[Deferred[None]] = []
        self._down_since: float | None = None
        self._why = "it was not started"
        self._stopped = True

    @property
    def available(self) -> bool:
        """Is there a connection that has greeted the server?"""
        return bool(self._factory.pool)

    @property
    def why(self) -> str:
        """Why the last connection or try failed; without any value, fit for a log."""
        return self._why

    def start(self) -> None:
        """Open the connections; once only."""
        self._stopped = False
        self._why = "it has not answered yet"
        self._down_since = self._reactor.seconds()
        self._factory.startConnecting(self._endpoint)

    async def ready(self, seconds: float) -> None:
        """Wait for the first connection.

        :raises StoreUnavailable: after `seconds`; its text says why.
        """
        if not self.available:
            await self._wait(seconds)

    async def stop(self) -> None:
        """Let what is under way end (a reply time-out at most), then close; a second call does nothing."""
        if self._stopped:
            return
        self._stopped = True
        await gatherResults([protocol.idle() for protocol in self._factory.pool])
        done = self._factory.disconnect()
        for slot in self._factory.slots:
            if slot.protocol is not None:
                slot.protocol.transport.abortConnection()  # a silent server would never end a TLS connection
        await done

    async def call(self, *commands: Command, again: bool = True) -> list[Reply]:
        """Send commands in one write and wait for their replies.

        :param again: the commands may be carried out twice: they are sent anew when a connection is lost.
        :raises StoreUnavailable: when the outcome is unknown or the server cannot do it now.
        :raises CommandRefused: when the server found one of them wrong.
        """
        for _ in range(self._size if again else 0):  # a server that ends takes all connections with it
            try:
                return await self._call(commands)
            except ReplyLost:
                continue
        return await self._call(commands)

    async def _call(self, commands: tuple[Command, ...]) -> list[Reply]:
        protocol = self._pick()
        if protocol is None:
            await self._wait(self._patience())
            protocol = self._pick()
            if protocol is None:
                raise StoreUnavailable("no connection to the store")
        replies = await protocol.exchange(*commands)
        for reply in replies:
            if isinstance(reply, ResponseError):
                return await self._repair(protocol, commands, replies)
        return replies

    async def _repair(
        self, protocol: StoreProtocol, commands: tuple[Command, ...], replies: list[Reply]
    ) -> list[Reply]:
        """Send the source of scripts that the server does not know; raise whatever else went wrong."""
        unknown = [n for n, reply in enumerate(replies) if _unknown_script(reply)]
        if unknown and protocol.connected:
            sources = [("EVAL", commands[n][0].source, *commands[n][1:]) for n in unknown]
            for n, reply in zip(unknown, await protocol.exchange(*sources), strict=True):
                replies[n] = reply
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, ResponseError):
                raise self._error(command, str(reply))
        return replies

    def _error(self, command: Command, text: str) -> Exception:
        name = command[0].name if isinstance(command[0], Script) else command[0]
        if _unknown_script(text):
            return ReplyLost("the connection to the store was lost")
        state = _state(text)
        if state:
            if state in _WORTH_LEAVING:
                for connected in list(self._factory.pool):
                    connected.leave(f"it answers {state}")
            else:
                self._log.warn("the store answers {state} to {name}", state=state, name=name)
            return (NotPermitted if state == "NOPERM" else StoreUnavailable)(f"the store answers {state}")
        line = _LINE.search(text)
        # The server quotes arguments in its error texts: only what cannot be a value is repeated.
        return CommandRefused(f"the store refused {name}{f' at line {line[1]}' if line else ''}: {text.split(' ')[0]}")

    def _pick(self) -> StoreProtocol | None:
        if self._stopped:
            raise StoreUnavailable("the store is closed")
        connected: list[StoreProtocol] = [protocol for protocol in self._factory.pool if protocol.connected]
        for protocol in connected:
            if protocol.under_way < DEEP:
                return protocol
        return min(connected, key=lambda protocol: protocol.under_way, default=None)

    def _patience(self) -> float:
        if self._down_since is None:
            return self._reply_timeout
        return self._down_since + self._reply_timeout - self._reactor.seconds()

    async def _wait(self, seconds: float) -> None:
        """Wait for a connection."""
        if seconds > 0:
            waiter: Deferred[None] = Deferred()
            self._waiters.append(waiter)
            timer = self._reactor.callLater(seconds, self._give_up, waiter)
            try:
                await waiter
            finally:
                if timer.active():
                    timer.cancel()
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        if not self.available:
            raise StoreUnavailable(f"no connection to the store: {self._why}")

    def _give_up(self, waiter: Deferred[None]) -> None:
        self._waiters.remove(waiter)
        waiter.callback(None)

    def _came(self) -> None:
        """A connection is ready."""
        if self._down_since is not None:
            self._log.info("the store answers")
            self._down_since = None
        self._why = "the connection was closed"  # unless something else is said when it goes
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _went(self) -> None:
        """A connection is gone."""
        if not self.available and not self._stopped:
            self._down_since = self._reactor.seconds()
            self._log.warn("the store is away: {why}", why=self._why)

    def _note(self, why: str) -> None:
        """Remember why a connection or a try failed; a new reason is logged."""
        if why != self._why and not self._stopped:
            self._log.warn("a connection to the store failed: {why}", why=why)
        self._why = why


def _unknown_script(reply: Reply) -> bool:
    return isinstance(reply, ResponseError | str) and str(reply).startswith("NOSCRIPT")


def _state(text: str) -> str:
    found = _STATES.search(text)
    return (found[1] or found[2]) if found else ""

