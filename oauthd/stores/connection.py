"""One Redis-compatible server that answers commands, by whichever connection stands at the moment.

What this promises: every call ends, soon after the reply time-out at the latest. A server that is away, stopped,
loading, full, read-only or out of reach in any other way is `StoreUnavailable`; a command that the server understood
and refused is `CommandRefused`, a bug of ours. Nothing needs a restart: connecting is tried again without end, half a
second after the last try at most. All connections go to one server: when a new one reaches another than the others
(after a failover, or a restart), those are given up, and `on_new_server` is told before anything else is sent to it. No
key, value or password is ever part of an error or a log line.

Which commands are sent, and what they mean, is left to `oauthd.stores.redis`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from txredisapi import ResponseError

from oauthd.metrics import StoreCounts
from oauthd.stores.address import Primary
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.pool import Command, Reply, ReplyLost, StoreFactory, StoreProtocol
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

    Nothing is opened before `start`.

    :param primary: the server; shared by all connections of a process.
    :param size: how many connections are kept open.
    :param reply_timeout: seconds to wait for a reply, and for a connection when there is none.
    :param counts: what is counted here.
    :param where: the server by the parameters of `Primary`, where `primary` is not given.
    :ivar server_id: which server answers, or answered last; "" before the first, or where none tells.
    :ivar on_new_server: called when the server that answers is not the one that did before: another one after a
        failover, or the same after a restart or as a primary again. Some of what was written may be missing there.
        Called too after each outage of a server that does not tell who it is.
    :ivar failovers: how often the server turned out to be another one.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        primary: Primary | None = None,
        size: int = 2,
        reply_timeout: float = 1.0,
        counts: StoreCounts | None = None,
        **where: Any,
    ) -> None:
        self._reactor: IReactorTime = reactor
        self._reply_timeout = reply_timeout
        self._size = size
        self._primary = primary or Primary(reactor, timeout=reply_timeout, **where)
        self._counts = counts or StoreCounts()
        self._factory = StoreFactory(
            reactor, self._primary.greeting, size, reply_timeout, self._came, self._went, self._note
        )
        self._factory.latency = self._counts.latency
        self._waiters: list[Deferred[None]] = []
        self._down_since: float | None = None
        self._why = "it was not started"
        self._stopped = True
        self._met = False
        self.server_id = ""
        self.on_new_server: list[Callable[[], None]] = []
        self.failovers = 0

    @property
    def available(self) -> bool:
        """Is there a connection that has greeted the server?"""
        return any(protocol.stands for protocol in self._factory.pool)

    @property
    def why(self) -> str:
        """Why the last connection or try failed; without any value, fit for a log."""
        return self._why

    def start(self) -> None:
        """Open the connections; once only."""
        self._stopped = False
        self._why = "it has not answered yet"
        self._down_since = self._reactor.seconds()
        self._primary.watch(self._moved)
        self._factory.startConnecting(self._primary.endpoint(self._note))

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
        self._primary.unwatch(self._moved)
        await gatherResults([protocol.idle() for protocol in self._factory.pool])
        done = self._factory.disconnect()
        for slot in self._factory.slots:
            if slot.protocol is not None:
                slot.protocol.transport.abortConnection()  # a silent server would never end a TLS connection
        await done

    def soon(self, do: Callable[[], None]) -> None:
        """Do something at the end of this turn of the reactor."""
        self._reactor.callLater(0, do)

    async def call(self, *commands: Command, again: bool = True) -> list[Reply]:
        """Send commands in one write and wait for their replies.

        :param again: the commands may be carried out twice: they are sent anew when a connection is lost.
        :raises StoreUnavailable: when the outcome is unknown or the server cannot do it now.
        :raises CommandRefused: when the server found one of them wrong.
        """
        try:
            for _ in range(self._size if again else 0):  # a server that ends takes all connections with it
                try:
                    return await self._call(commands)
                except ReplyLost:
                    continue
            return await self._call(commands)
        except StoreUnavailable:
            self._counts.unavailable += 1
            raise
        except CommandRefused:
            self._counts.refused += 1
            raise

    async def replies(self, *commands: Command) -> list[Reply]:
        """As `call`, for commands that may be carried out twice; errors are among the replies, see `problem`.

        All are sent on one connection and none a second time on its own: what one of them says of the others holds.

        :raises StoreUnavailable: when the outcome is unknown.
        """
        for _ in range(self._size):
            try:
                return (await self._exchange(commands))[1]
            except ReplyLost:
                continue
        return (await self._exchange(commands))[1]

    def problem(self, commands: Sequence[Command], replies: Sequence[Reply]) -> Exception | None:
        """What the first error among replies means: what `call` would raise; None where there is none."""
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, ResponseError):
                return self._error(command, str(reply))
        return None

    async def _call(self, commands: tuple[Command, ...]) -> list[Reply]:
        protocol = self._pick()
        if protocol is None:
            protocol, replies = await self._exchange(commands)
        else:
            replies = await protocol.exchange(*commands)
        for reply in replies:
            if isinstance(reply, ResponseError):
                return await self._repair(protocol, commands, replies)
        return replies

    async def _exchange(self, commands: tuple[Command, ...]) -> tuple[StoreProtocol, list[Reply]]:
        protocol = self._pick()
        if protocol is None:
            await self._wait(self._patience())
            protocol = self._pick()
            if protocol is None:
                raise StoreUnavailable("no connection to the store")
        return protocol, await protocol.exchange(*commands)

    async def _repair(
        self, protocol: StoreProtocol, commands: tuple[Command, ...], replies: list[Reply]
    ) -> list[Reply]:
        """Send the source of scripts that the server does not know; raise whatever else went wrong."""
        unknown = [n for n, reply in enumerate(replies) if _unknown_script(reply)]
        if unknown and protocol.stands:
            sources = [("EVAL", commands[n][0].source, *commands[n][1:]) for n in unknown]
            for n, reply in zip(unknown, await protocol.exchange(*sources), strict=True):
                replies[n] = reply
        problem = self.problem(commands, replies)
        if problem is not None:
            raise problem
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
        pool: list[StoreProtocol] = self._factory.pool
        for protocol in pool:
            if protocol.stands and protocol.under_way < DEEP:
                return protocol
        standing = (protocol for protocol in pool if protocol.stands)
        return min(standing, key=lambda protocol: protocol.under_way, default=None)

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

    def _came(self, protocol: StoreProtocol) -> None:
        """A connection is ready."""
        self._counts.connections = len(self._factory.pool)
        self._meet(protocol)
        if self._down_since is not None:
            self._log.info("the store answers")
            self._down_since = None
        self._why = "the connection was closed"  # unless something else is said when it goes
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _meet(self, protocol: StoreProtocol) -> None:
        """See whether it is the server that we know."""
        before, self.server_id = self.server_id, protocol.server_id or self._primary.place
        known, self._met = self._met, True
        if not known or (self.server_id == before and (before or self._down_since is None)):
            return
        if self.server_id != before:
            self.failovers += 1
            self._log.warn("the store is another server than before, or the same after a restart")
            for other in list(self._factory.pool):
                if other is not protocol:
                    other.leave("another server is the store now")
        for tell in tuple(self.on_new_server):
            tell()

    def _moved(self) -> None:
        """The sentinels name another server."""
        for protocol in list(self._factory.made):
            protocol.leave("the sentinels name another server")

    def _went(self) -> None:
        """A connection is gone."""
        self._counts.connections = len(self._factory.pool)
        if not self._stopped:
            self._counts.lost += 1
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

