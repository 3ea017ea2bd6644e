"""The outbox: what clients are to be told by a request of ours, kept in the store until they have been.

Whoever has something to tell waits until it is written down, and not until it is told. What a message is made of lies
sealed by the master key, for there may be a token in it; what it says is made anew each time that it is sent. One that
was given up is kept for a while, so that somebody can look at it, or have it sent again.

Sending is for `oauthd.deliveries`, the queue for `oauthd.stores.queues`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen
from msgspec.structs import replace

from oauthd.config import OutboxSettings
from oauthd.protocol import opaque
from oauthd.protocol.errors import CONFLICT, NOT_FOUND
from oauthd.protocol.frozen import Frozen
from oauthd.protocol.records import Outgoing
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds
from oauthd.stores.interface import Claims, IStore, Page, Ref, Stored, Write

PURPOSE = "outbox"
LOST = "lost"
"""The sort of what stands for a message that cannot be read."""
LONGEST_REASON = 200  # characters


class Note(Frozen, frozen=True):
    """Something that a client is to be told.

    :ivar sort: what it is: a name of the makers that `oauthd.deliveries` has.
    :ivar facts: what it is made of, in words of JSON.
    :ivar until: seconds since the epoch; it makes no sense from then on. None for as long as the settings say.
    """

    secret = ("facts",)

    sort: str
    client_id: str
    facts: Mapping[str, Any]
    until: int | None = None


@frozen
class Outbox:
    """The messages.

    :ivar told: called when some were put in.
    """

    store: IStore
    seals: Seals
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    settings: OutboxSettings
    told: list[Callable[[], None]] = field(factory=list)

    async def add(self, *notes: Note) -> None:
        """Write messages down, to be sent as soon as may be; nobody waits for that.

        :raises StoreUnavailable: when it is not known whether they stand there.
        """
        if not notes:
            return
        now = self.clock()
        await self.store.enqueue(now, *(self._write(note, int(now)) for note in notes))
        for listener in self.told:
            listener()

    def _write(self, note: Note, now: int) -> Write[Outgoing]:
        until = now + self.settings.lifetime
        until = until if note.until is None else min(until, note.until)
        message_id = opaque.new_identifier(self.entropy)
        record = Outgoing(
            message_id=message_id,
            sort=note.sort,
            client_id=note.client_id,
            sealed=self.seals.seal(PURPOSE, json.dumps(dict(note.facts)).encode()),
            created_at=now,
            until=until,
            expires_at=until + self.settings.keep_dead,
        )
        return Write(kinds.outgoing(message_id), record)

    def facts(self, record: Outgoing) -> Mapping[str, Any]:
        """What a message is made of.

        :raises SealBroken: when the master key that sealed it is gone.
        """
        facts: Mapping[str, Any] = json.loads(self.seals.open(PURPOSE, record.sealed))
        return facts

    # for whoever sends them

    async def claim(self, until: float, most: int) -> Claims:
        """Take some that are due; nobody else has them until then."""
        return await self.store.claim(kinds.OUTBOX_SLOT, until, most)

    async def done(self, stored: Stored[Outgoing]) -> None:
        """It was told, or is not wanted any more."""
        await self.store.dequeue(stored.ref)

    async def again(self, stored: Stored[Outgoing], held: float, due: float, reason: str | None = None) -> None:
        """It is to be sent later.

        :param reason: why this attempt failed; None where there was none.
        """
        record = stored.record
        if reason is not None:
            record = replace(record, tries=record.tries + 1, reason=reason[:LONGEST_REASON])
        await self.store.requeue(Write(stored.ref, record), held, due)

    async def bury(self, stored: Stored[Outgoing], held: float, reason: str, failed: bool = True) -> bool:
        """It is given up; False where somebody else has it by now.

        :param failed: was there an attempt just now?
        """
        now, record = int(self.clock()), stored.record
        dead = replace(
            record,
            tries=record.tries + failed,
            reason=reason[:LONGEST_REASON],
            dead_at=now,
            expires_at=now + self.settings.keep_dead,
        )
        return await self.store.requeue(Write(stored.ref, dead), held, None)

    async def replace(self, ref: Ref[Outgoing], held: float) -> bool:
        """Give up one that cannot be read: in its place stands that it was there; False where somebody else has it."""
        now = int(self.clock())
        dead = Outgoing(
            message_id=ref.ident.decode(errors="replace"),
            sort=LOST,
            client_id="",
            sealed=b"",
            created_at=now,
            until=now,
            dead_at=now,
            reason="what was stored of it cannot be read",
            expires_at=now + self.settings.keep_dead,
        )
        return await self.store.requeue(Write(ref, dead), held, None)

    # for whoever looks at the dead ones

    async def page(self, cursor: str | None, limit: int) -> Page[Outgoing]:
        """A page of those that were given up, by when they will be forgotten."""
        page: Page[Outgoing] = await self.store.scan(kinds.DEAD, cursor, limit)
        return page

    async def revive(self, message_id: str) -> Outgoing:
        """Send one that was given up again, as if it were new; as it was before.

        :raises OAuthError: `not_found`; `conflict` for one of which nothing is left.
        """
        stored, now = await self._dead(message_id), int(self.clock())
        if stored.record.sort == LOST:
            raise CONFLICT("nothing is left of this message that could be sent")
        until = now + self.settings.lifetime
        record = replace(
            stored.record, until=until, tries=0, dead_at=0, reason="", expires_at=until + self.settings.keep_dead
        )
        await self.store.enqueue(now, Write(stored.ref, record))
        for listener in self.told:
            listener()
        return stored.record

    async def drop(self, message_id: str) -> Outgoing:
        """Forget one that was given up; as it was.

        :raises OAuthError: `not_found`.
        """
        stored = await self._dead(message_id)
        await self.store.forget(stored.ref)
        return stored.record

    async def _dead(self, message_id: str) -> Stored[Outgoing]:
        (stored,) = await self.store.get(kinds.outgoing(message_id))
        if stored is None or not stored.record.dead_at:
            raise NOT_FOUND("there is no such message that was given up")
        found: Stored[Outgoing] = stored
        return found
