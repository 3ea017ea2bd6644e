"""What one serving process has of the store: connections, cache, proof; several of them in one test, on fake clocks.

The heartbeats go by the real reactor; ages and leases by clocks that tests turn, so that a proof lasts until a test
says otherwise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure

from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.records import AccessToken
from oauthd.stores import naming
from oauthd.stores.address import Primary
from oauthd.stores.answers import Answers
from oauthd.stores.cache import Cache
from oauthd.stores.connection import RedisConnection
from oauthd.stores.entries import Entry
from oauthd.stores.interface import Ref
from oauthd.stores.invalidation import Invalidation
from oauthd.stores.pool import Command
from oauthd.stores.redis import RedisStore
from tests.stores.servers import reactor

_origins = count()


class Holding:
    """A store whose replies to reads can be held back, and which tells what was read.

    :ivar plain: the store itself.
    :ivar reads: the names of each read, in order.
    """

    def __init__(self, store: RedisStore) -> None:
        self.plain = store
        self.reads: list[tuple[bytes, ...]] = []
        self._held: list[Deferred[None]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    async def get(self, *refs: Ref[Any]) -> Any:
        """Read records."""
        self.reads.append(tuple(map(naming.key, refs)))
        return await self._reply(self.plain.get(*refs))

    async def records(self, kind: Any, idents: Any) -> Any:
        """Read records of one kind."""
        self.reads.append(tuple(naming.key(kind.at(ident)) for ident in idents))
        return await self._reply(self.plain.records(kind, idents))

    async def get_with_generations(self, refs: Any, subjects: Any) -> Any:
        """Read records and generations."""
        self.reads.append((*map(naming.key, refs), *map(naming.generation, subjects)))
        return await self._reply(self.plain.get_with_generations(refs, subjects))

    async def _reply(self, reading: Awaitable[Any]) -> Any:
        found: Any
        try:
            found = await reading
        except Exception:
            found = Failure()
        if self._held is not None:
            release: Deferred[None] = Deferred()
            self._held.append(release)
            await release
        if isinstance(found, Failure):
            found.raiseException()
        return found

    @contextmanager
    def holding(self) -> Iterator[None]:
        """The store answers, and the answers stay on their way until `release`, or the end of this."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            for release in held:
                release.callback(None)

    async def arrived(self, number: int = 1) -> None:
        """Wait until so many answers are held."""
        await until(lambda: self._held is not None and len(self._held) >= number)

    def release(self) -> None:
        """Let those come that are held now."""
        assert self._held is not None
        held, self._held = self._held, []
        for release in held:
            release.callback(None)


@define(eq=False)
class Node:
    """One process.

    :ivar monotonic: its clock for ages and leases; it stands unless a test turns it.
    :ivar beat: sends heartbeats.
    """

    connection: RedisConnection
    store: Holding
    cache: Cache
    invalidation: Invalidation
    answers: Answers
    monotonic: Clock
    beat: Callable[[Command], Awaitable[Any]] = field()

    @classmethod
    def on(
        cls, connection: RedisConnection, clock: Clock, write: Callable[[AccessToken], bytes], monotonic: Any = None,
        subscribed_by: str = "", **where: Any,
    ) -> Node:  # fmt: skip
        """A process that has not begun to hear anything.

        :param monotonic: the clock of ages and leases, where it is not a fake one of its own.
        :param subscribed_by: the socket by which the subscription goes, where it is another one.
        """
        own = Clock()
        cache = Cache(monotonic or own.seconds, clock.seconds)
        inner = RedisStore(connection, clock.seconds)
        inner.changed.append(cache.changed)
        store = Holding(inner)
        answers = Answers(store, cache, reactor, write)  # type: ignore[arg-type]  # all but declared
        if subscribed_by:
            where = {"path": subscribed_by}
        primary = Primary(reactor, timeout=1.0, **where)
        node: Node

        def call(command: Command) -> Awaitable[Any]:
            return node.beat(command)

        origin = b"node%d" % next(_origins)
        invalidation = Invalidation(reactor, primary, naming.CHANNEL, call, cache, origin)
        connection.on_new_server.append(invalidation.restart)
        node = cls(connection, store, cache, invalidation, answers, own, connection.call)
        return node

    async def start(self) -> None:
        """Subscribe, and wait for the first proof."""
        self.invalidation.start()
        await self.proven()

    async def proven(self) -> None:
        """Wait until what is kept counts."""
        await until(lambda: self.cache.fresh)

    async def void(self) -> None:
        """Wait until nothing counts."""
        await until(lambda: not self.cache.fresh)

    async def heard(self) -> None:
        """Wait until all that was told before has been heard."""
        self.invalidation._beat()
        mine = self.invalidation._number
        await until(lambda: b"beat:%b:%d" % (self.invalidation.origin, mine) not in self.invalidation._beats)

    def kept(self, digest: bytes) -> bytes | None:
        """The answer from memory, if there is one."""
        entry: Entry | None = self.cache.find(digest)
        return None if entry is None else entry.value

    def remembers_alive(self, digest: bytes) -> bool:
        """Would it be told from memory that the token is alive?"""
        return self.kept(digest) not in (None, INACTIVE)

    async def alive(self, digest: bytes) -> bool:
        """Is the token alive, in the way of the introspection endpoint: from memory, else from the store?"""
        value = self.kept(digest)
        if value is None:
            value = (await self.answers.find(digest)).value
        return value != INACTIVE


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something; the test's own time-out bounds it."""
    while not condition():
        await deferLater(reactor, 0.005)
