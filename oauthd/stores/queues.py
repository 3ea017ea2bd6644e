"""Queues of records: what waits until it is due, taken by one of many, and due again where that one never came back.

A queue is a sorted set beside its records, in their slot; the score is the time when a record is due. Unlike an index
it is written in one step with them: what was confirmed is in the queue. Whoever takes a record moves its time to the
end of its lease. So nothing is lost with a process that dies, and nothing is held by it for longer than that; and what
took longer than its lease may be done twice. What a program of another version has written stays for that one; what
none can read is named, for whoever takes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from oauthd.stores import naming, scripts
from oauthd.stores.codec import Unreadable
from oauthd.stores.connection import RedisConnection
from oauthd.stores.interface import Claims, Ref, Stored, Write
from oauthd.stores.steps import raw, time_to_live

MOST_AT_ONCE = 100  # records in one script


def _queue(slot: str) -> bytes:
    """The key of the queue of a slot."""
    return naming.index("{" + slot + "}")


class Queues:
    """The verbs of `IStore` for queues; a part of the store."""

    _connection: RedisConnection
    _clock: Callable[[], float]
    _members: naming.Members
    get: Callable[..., Awaitable[Sequence[Stored[Any] | None]]]

    async def enqueue(self, due: float, *writes: Write[Any]) -> None:
        """Write records and queue them; see `IStore`."""
        now = self._clock()
        commands = []
        for first in range(0, len(writes), MOST_AT_ONCE):
            piece = writes[first : first + MOST_AT_ONCE]
            words: list[scripts.Word] = [due]
            for write in piece:
                words += (naming.member(write.ref), raw(write), time_to_live(write, now))
            keys = (_queue(piece[0].ref.slot), *(naming.key(write.ref) for write in piece))
            commands.append(scripts.ENQUEUE.on(*keys, args=tuple(words)))
        if commands:
            await self._connection.call(*commands)

    async def claim(self, slot: str, until: float, most: int) -> Claims:
        """Take what is due; see `IStore`."""
        queue = _queue(slot)
        (reply,) = await self._connection.call(scripts.CLAIM.on(queue, args=(self._clock(), until, most)))
        waiting, members = int(reply[0]), reply[1]
        refs = [(member, self._members.ref(member)) for member in members]
        known = [(member, ref) for member, ref in refs if ref is not None]  # the others are of a newer program
        found = await self._read([ref for _, ref in known])
        gone = [member for (member, _), stored in zip(known, found, strict=True) if stored is None]
        if gone:
            await self._connection.call(("ZREM", queue, *gone))
        return Claims(
            items=tuple(one for one in found if isinstance(one, Stored)),
            held=until,
            waiting=waiting - len(gone),
            broken=tuple(ref for (_, ref), one in zip(known, found, strict=True) if type(one) is Unreadable),
        )

    async def _read(self, refs: Sequence[Ref[Any]]) -> Sequence[Stored[Any] | Unreadable | None]:
        """What was taken; one that cannot be read keeps nobody from the others."""
        try:
            return await self.get(*refs)
        except Unreadable:
            return [await self._one(ref) for ref in refs]

    async def _one(self, ref: Ref[Any]) -> Stored[Any] | Unreadable | None:
        try:
            (stored,) = await self.get(ref)
        except Unreadable as unreadable:
            return unreadable
        return stored

    async def requeue(self, write: Write[Any], held: float, due: float | None) -> bool:
        """Change what was taken; see `IStore`."""
        name, lives = naming.key(write.ref), time_to_live(write, self._clock())
        words = (held, "" if due is None else due, naming.member(write.ref), raw(write), lives)
        (done,) = await self._connection.call(scripts.REQUEUE.on(_queue(write.ref.slot), name, args=words))
        if done:
            self._list_again(write, lives)
        return bool(done)

    async def dequeue(self, ref: Ref[Any]) -> None:
        """Remove a record and its place; see `IStore`."""
        queue = _queue(ref.slot)
        await self._connection.call(("ZREM", queue, naming.member(ref)), ("DEL", naming.key(ref)))

    def _list_again(self, write: Write[Any], lives: int) -> None:
        """Bring the lists that show it in step."""
        raise NotImplementedError
