"""The pool of connections to one server: what is kept of txredisapi, and what is replaced in it.

Kept of txredisapi 1.6: its protocol class with the hiredis reader, its pool and its reconnecting. Replaced, each for a
reason that `etc/docs/txredisapi.md` tells: sending and receiving, time-outs, and what happens on a new connection. A
connection that the server leaves without a reply for too long is given up, and its fellows with it; one is in the pool
only after the server has greeted back as a primary that has loaded its data, and has said which one it is. What replies
mean is left to `oauthd.stores.connection`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis
from attrs import define, field
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from txredisapi import HiredisProtocol, InvalidData, RedisFactory, ResponseError

from oauthd.metrics import StoreCounts
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.scripts import Script

Command = tuple[Any, ...]
"""Words of bytes, str or int; or what `Script.on` gives."""

Reply = Any

FIRST_DELAY, LONGEST_DELAY = 0.1, 0.5  # seconds between two tries to connect


class ReplyLost(StoreUnavailable):
    """The connection ended before the reply came; whether the command was carried out is unknown."""


@define(slots=True)
class _Exchange:
    """Commands sent together and the replies that have come."""

    count: int
    sent_at: float
    done: Deferred[list[Reply]] = field(factory=Deferred)
    replies: list[Reply] = field(factory=list)


class StoreProtocol(HiredisProtocol):
    """One connection. Replies arrive in the order of the commands, so a queue tells whose they are.

    :ivar server_id: which server it is, in a few words that no other one has; "" where it does not tell.
    """

    factory: StoreFactory
    server_id = ""

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        """Introduce ourselves; only then the pool gets the connection."""
        self._waiting: deque[_Exchange] = deque()
        self._under_way = 0
        self._watch: IDelayedCall | None = None
        self._due = 0.0
        self._excused = self._silent = self._left = False
        self._idle: list[Deferred[None]] = []
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.factory.made.add(self)
        ensureDeferred(self._greet())

    @property
    def stands(self) -> bool:
        """May commands be sent?"""
        return bool(self.connected) and not self._left

    @property
    def under_way(self) -> int:
        """How many commands wait for their replies."""
        return self._under_way

    def exchange(self, *commands: Command) -> Deferred[list[Reply]]:
        """Send commands together; their replies, errors among them as exceptions.

        Cancelling the Deferred leaves the connection as it is: the replies are dropped when they come.
        """
        exchange = _Exchange(len(commands), self.factory.reactor.seconds())
        self._waiting.append(exchange)
        self._under_way += exchange.count
        if self._watch is None:
            self._look_at(exchange.sent_at + self.factory.reply_timeout)
        self.transport.write(b"".join(map(_packed, commands)))
        return exchange.done

    def idle(self) -> Deferred[None]:
        """Fires when nothing is under way any more."""
        done: Deferred[None] = Deferred()
        if self._waiting:
            self._idle.append(done)
        else:
            done.callback(None)
        return done

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:  # noqa: N802
        """Hand out the replies that are complete."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._received(reply)
        except InvalidData:
            self.leave("what it says is not the Redis protocol")

    def _received(self, reply: Reply) -> None:
        if not self._waiting:
            self.leave("it said something unasked")
            return
        exchange = self._waiting[0]
        exchange.replies.append(reply)
        self._excused = False
        self._under_way -= 1
        if len(exchange.replies) == exchange.count:
            self._waiting.popleft()
            self.factory.latency.observe(self.factory.reactor.seconds() - exchange.sent_at)
            exchange.done.callback(exchange.replies)
            if not self._waiting:
                self._rest()

    def leave(self, why: str) -> None:
        """Give the connection up at once."""
        if not self._left:
            self._left = True  # it is lost only in the next turn of the reactor
            self.factory.note(why)
            self.transport.abortConnection()

    def connectionLost(self, why: Failure = connectionDone) -> None:  # noqa: N802
        """Tell everybody who waits."""
        super().connectionLost(why)
        self.factory.made.discard(self)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        waiting, self._waiting, self._under_way = self._waiting, deque(), 0
        error = StoreUnavailable if self._silent else ReplyLost
        for exchange in waiting:
            exchange.done.errback(error("the connection to the store was lost"))
        self._rest()

    def _rest(self) -> None:
        idle, self._idle = self._idle, []
        for done in idle:
            done.callback(None)

    def _look(self) -> None:
        """Has the oldest exchange waited too long? One timer serves them all."""
        reactor, limit = self.factory.reactor, self.factory.reply_timeout
        late, self._watch = reactor.seconds() - self._due, None
        if not self._waiting:
            return
        if late > limit / 10 and not self._excused:
            # It was this process that stood still: what it has not sent or read yet is given its time, once.
            self._excused = True
            for exchange in self._waiting:
                exchange.sent_at = reactor.seconds()
        if self._waiting[0].sent_at + limit > reactor.seconds():
            self._look_at(self._waiting[0].sent_at + limit)
        else:
            self._silent = True
            why = f"no reply within {limit:g} s"
            # Whoever stands still does so on all connections. Each would find out for itself, one after the other.
            fellows = list(self.factory.pool) if self in self.factory.pool else []
            for connection in (self, *fellows):
                connection.leave(why)

    def _look_at(self, due: float) -> None:
        self._due = due
        self._watch = self.factory.reactor.callLater(max(due - self.factory.reactor.seconds(), 0), self._look)

    async def _greet(self) -> None:
        try:
            replies = await self.exchange(*self.factory.greeting)
        except StoreUnavailable:
            return
        why = objection(self.factory.greeting, replies)
        if why:
            self.leave(why)
        else:
            self.server_id = _identity(replies)
            super().connectionMade()


class StoreFactory(RedisFactory):
    """The pool: makes connections, again and again, and tells its owner when one is ready or gone.

    :ivar greeting: what each new connection says first.
    :ivar latency: from sending commands to their last reply.
    :ivar made: every connection that stands, those too that have not been greeted back.
    """

    protocol = StoreProtocol

    def __init__(
        self,
        reactor: IReactorTime,
        greeting: tuple[Command, ...],
        size: int,
        reply_timeout: float,
        came: Callable[[StoreProtocol], None],
        went: Callable[[], None],
        note: Callable[[str], None],
    ) -> None:
        # Without password and dbid: txredisapi's own AUTH and SELECT end the reconnecting when they fail.
        super().__init__(None, None, size, isLazy=True, charset=None, convertNumbers=False)
        self.initialDelay, self.maxDelay = FIRST_DELAY, LONGEST_DELAY
        self.reactor = reactor
        self.greeting = greeting
        self.reply_timeout = reply_timeout
        self.note = note
        self.latency = StoreCounts().latency
        self.made: set[StoreProtocol] = set()
        self._came, self._went = came, went

    def addConnection(self, conn: HiredisProtocol) -> None:  # noqa: N802
        """A connection is ready."""
        super().addConnection(conn)
        if isinstance(conn, StoreProtocol) and conn in self.pool:
            self._came(conn)

    def delConnection(self, conn: HiredisProtocol) -> None:  # noqa: N802
        """A connection of the pool is gone."""
        super().delConnection(conn)
        self.connectionQueue.remove(conn)  # txredisapi keeps it there for ever
        self._went()


# Managed servers may forbid these. A replica shows itself at the first write then, and another primary not at all.
_OPTIONAL = frozenset({"ROLE", "INFO"})


def greeting(user: str | None, password: str | None, db: int) -> tuple[Command, ...]:
    """The first commands of a connection: who we are, where we work, and what we have reached."""
    commands: list[Command] = []
    if password is not None:
        commands.append(("AUTH", user, password) if user else ("AUTH", password))
    if db:
        commands.append(("SELECT", db))
    # A loading server says so to PING, and a replica that was a primary a moment ago says so to ROLE.
    return (*commands, ("PING",), ("ROLE",), ("INFO", "server"), ("INFO", "replication"))


def objection(greeting: tuple[Command, ...], replies: list[Reply]) -> str:
    """Why a connection is of no use; "" when it is."""
    for command, reply in zip(greeting, replies, strict=True):
        if isinstance(reply, ResponseError) and command[0] not in _OPTIONAL:
            return f"it answers {str(reply).split(' ')[0]} to {command[0]}"
    role = replies[-3]
    if isinstance(role, list) and role[0] != b"master":
        return "it is a replica"
    return ""


def _identity(replies: list[Reply]) -> str:
    """What a server calls itself: this run of it, and this history of its data, which a replica inherits."""
    run, history = (_fact(reply, name) for reply, name in zip(replies[-2:], (b"run_id", b"master_replid"), strict=True))
    return f"{run} {history}" if run or history else ""


def _fact(info: Reply, name: bytes) -> str:
    found = re.search(rb"^%b:(\w+)\r?$" % name, info, re.MULTILINE) if isinstance(info, bytes) else None
    return found[1].decode() if found else ""


def _packed(command: Command) -> bytes:
    first = command[0]
    if first.__class__ is Script:
        packed: bytes = hiredis.pack_command(("EVALSHA", first.sha, *command[1:]))
    else:
        packed = hiredis.pack_command(command)
    return packed
