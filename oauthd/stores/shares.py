"""What processes share of limits through the store: common buckets, how many processes there are, and how full it is.

Asked once a second in the background, never for a request. A bucket's name in the store is a digest, so that the store
names neither clients nor addresses; it ends when it would be full. What the answers mean is `oauthd.protocol.rates`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import define, field, frozen

from oauthd.protocol.rates import Limit
from oauthd.stores import naming, scripts
from oauthd.stores.connection import RedisConnection
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.pool import Command

LATELY = 3  # seconds for which a process counts among those who share
MEASURED = 900  # milliseconds for which one process's look at the server's memory is everybody's
_FIELD = re.compile(rb"^(used_memory|maxmemory):([0-9]+)\r?$", re.MULTILINE)
_PRESENCE = Limit(1.0, 1.0)


@frozen
class Spent:
    """What a process gave out of a bucket.

    :ivar name: of the bucket, a digest.
    """

    name: bytes
    limit: Limit
    tokens: float


@frozen
class Settled:
    """A common bucket.

    :ivar level: tokens it holds, with all that was told; below 0 is a debt.
    :ivar count: processes that told of it lately.
    """

    level: float
    count: int


@frozen
class Memory:
    """How full the server is, in bytes.

    :ivar most: what it may use; 0 where nothing bounds it.
    """

    used: int
    most: int


@define(eq=False)
class Shares:
    """One process's side.

    :ivar process: a name that no other process has.
    """

    connection: RedisConnection
    process: str = field(repr=False)

    async def settle(self, spent: Sequence[Spent]) -> tuple[int, list[Settled]]:
        """Tell what was given out; how many processes there are, and the common buckets, in order.

        :raises StoreUnavailable: then it is unknown whether it was told.
        """
        presence = self._told(naming.PROCESSES, _PRESENCE, 0)
        buckets = [self._told(naming.bucket(one.name), one.limit, one.tokens) for one in spent]
        # Not again when a reply is lost: what is told twice would count twice.
        replies = await self.connection.call(presence, *buckets, again=False)
        (_, count), *settled = replies
        return int(count), [Settled(float(level), int(count)) for level, count in settled]

    def _told(self, key: bytes, limit: Limit, tokens: float) -> Command:
        return scripts.SETTLE.on(
            key, args=(repr(limit.per_second), repr(limit.burst), repr(tokens), self.process, LATELY)
        )

    async def memory(self) -> Memory:
        """How full the server is, as it was a second ago at most.

        :raises StoreUnavailable: `NotPermitted` where the server does not tell.
        """
        (kept,) = await self.connection.call(("GET", naming.MEMORY))
        if kept is not None:
            used, _, most = kept.partition(b" ")
            return Memory(int(used), int(most))
        (told,) = await self.connection.call(("INFO", "memory"))
        found = {name: int(value) for name, value in _FIELD.findall(told)}
        memory = Memory(found.get(b"used_memory", 0), found.get(b"maxmemory", 0))
        if not memory.most or memory.used < memory.most:  # a full one takes nothing, so each looks for itself
            try:
                await self.connection.call(("SET", naming.MEMORY, f"{memory.used} {memory.most}", "PX", MEASURED))
            except StoreUnavailable:
                return memory
        return memory
