"""Places in status lists (draft-ietf-oauth-status-list): given out, remembered, told.

Each token that is listed has a place of its own for ever: "the same (uri, idx) for two tokens" must not happen (section
13.3). One sequence numbers the blocks of all lists, so a process that needs places asks the store once for `BLOCK` of
them and nobody waits for anybody. It uses a block for `HOLD` seconds at most, so that it is known when a list gets no
more tokens. What each place stands on is written next to the token's own record, in the same exchange, and holds all
that is needed to judge it: a token without a record of its own can be listed too.

Bits only ever go from valid to invalid. One token's end is entered here at once (`mark`); what ends many, and what went
past here, is found by `status_sweep`, which looks at every place regularly. Signing a list is for the endpoint.

A failover may forget that blocks were given out. So a process that meets another server gives up what it has in hand,
and leaves out more blocks than can have been forgotten before it takes one; and with `store.revocation_wait` or
`store.revocation_fsync` a block counts only when it is confirmed.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from attrs import define, field
from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredLock, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.protocol import status_list
from oauthd.protocol.records import AccessToken, StatusEntry, StatusList, StatusRange
from oauthd.protocol.status_list import SIZE, Places
from oauthd.stores import kinds
from oauthd.stores.interface import IStore, Ref, Stored, StoreUnavailable, Write
from oauthd.stores.swap import readings, swap

BLOCK = 1024  # places that a process is given at once
BLOCKS = SIZE // BLOCK  # of a list
AHEAD = 16  # blocks that are noted at once, for who asks next has nothing to note then
LOW = 256  # places in hand, from which on the next block is asked for before it is needed
HOLD = 3600  # seconds for which places in hand may be used
SKIP = 64  # blocks that another server may have forgotten: those of a second, at 65,000 tokens a second
SLOW = 60  # seconds: a block that took longer to get is not used
KEEP = 30 * 86400  # seconds for which a list outlives the last look at it
_SEQUENCE = "status blocks"
RANGE = kinds.STATUS_RANGE.at(b"", "all")


def where(number: int) -> Ref[StatusList]:
    """Where a list stands."""
    return kinds.STATUS_LIST.at(b"%d" % number)


def entry(index: int) -> Ref[StatusEntry]:
    """Where it stands what a place stands on; places are counted through all lists."""
    return kinds.STATUS.at(b"%d" % index)


def listing(access: Write[AccessToken]) -> tuple[Write[StatusEntry], ...]:
    """What is to be written with a listed access token; () for one that is not."""
    record = access.record
    if not record.status:
        return ()
    told = StatusEntry(
        expires_at=record.expires_at,
        client_id=record.client_id,
        user_id=record.user_id if record.generations.user else "",
        grant=record.grant,
        generations=record.generations,
        digest=access.ref.ident if access.ref.kind is kinds.ACCESS_TOKEN else b"",
        audience=record.audience,
        resource_generations=record.resource_generations,
        under=record.under,
        parents=record.parents,
    )
    return (Write(entry(record.status - 1), told),)


@define(eq=False)
class StatusLists:
    """The status lists of this store.

    :ivar clock: wall-clock seconds.
    :ivar base: what the addresses of lists begin with; their number follows.
    """

    store: IStore
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    base: str
    _log: ClassVar[Logger] = Logger()
    _hand: list[int] = field(factory=list, init=False, repr=False)
    _until: float = field(default=0.0, init=False)
    _drawing: bool = field(default=False, init=False)
    _waiting: list[Deferred[None]] = field(factory=list, init=False, repr=False)
    _epoch: int = field(default=0, init=False)
    _skips: int = field(default=0, init=False)
    _marks: dict[int, set[int]] = field(factory=dict, init=False, repr=False)
    _lock: DeferredLock = field(factory=DeferredLock, init=False, repr=False)

    # places for new tokens

    def at_hand(self) -> int | None:
        """A place, counted through all lists; None where the store must be asked first."""
        if self._hand and self.clock() >= self._until:
            self._hand.clear()
        if len(self._hand) <= LOW and not self._drawing and self._hand:
            self._draw()
        return self._hand.pop() if self._hand else None

    async def place(self) -> int:
        """A place, counted through all lists.

        :raises StoreUnavailable: when there is none in hand, and the store does not give any.
        """
        while (found := self.at_hand()) is None:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            if not self._drawing:
                self._draw()
            await waiting
        return found

    def give_up(self) -> None:
        """Use none of the places in hand any more."""
        self._epoch += 1
        self._hand.clear()

    def another_server(self) -> None:
        """The store is another server, which may not know what the last one gave out, to this process or to others."""
        self.give_up()
        self._skips = SKIP

    def reference(self, index: int) -> Any:
        """The `status` claim of a token in that place."""
        number, place = divmod(index, SIZE)
        return status_list.reference(self.uri(number), place)

    def uri(self, number: int) -> str:
        """The address of a list."""
        return f"{self.base}{number}"

    def _draw(self) -> None:
        self._drawing = True
        ensureDeferred(self._drawn()).addBoth(self._told)

    def _told(self, outcome: Failure | None) -> None:
        self._drawing = False
        waiting, self._waiting = self._waiting, []
        if outcome is not None and not waiting and outcome.check(StoreUnavailable) is None:
            self._log.failure("no places in status lists were given out", outcome)
        for one in waiting:
            # A failure each: one that is passed on to several is emptied by the first.
            one.callback(None) if outcome is None else one.errback(Failure(outcome.value))

    async def _drawn(self) -> None:
        """Take another block; those who wait are told then, and look for themselves."""
        began, epoch = self.clock(), self._epoch
        while self._skips:
            await self.store.next_number(_SEQUENCE)
            self._skips -= 1
        block = await self.store.next_number(_SEQUENCE) - 1
        number, part = divmod(block, BLOCKS)
        given = await self._given(number, part, int(began))
        await self.store.confirm()
        # This process may have stood still meanwhile, or met another server: then nothing is in hand, and it is asked
        # again.
        if self._epoch == epoch and self.clock() < began + SLOW:
            places = Places(given.seed, number)
            self._hand[:0] = [number * SIZE + places[nth] for nth in range(part * BLOCK, (part + 1) * BLOCK)]
            self._until = began + HOLD if len(self._hand) == BLOCK else min(self._until, began + HOLD)

    async def _given(self, number: int, part: int, now: int) -> StatusRange:
        """Remember that a block of a list was given out; the list before the range, or it would be taken for gone."""
        async for stored in readings(self.store, where(number)):
            old = stored.record if stored is not None else StatusList(0, await self._true_since(number, now), 0, 0)
            if part < old.blocks and now <= old.given_at + SLOW:
                return await self._ranged(number)  # however many ask at once, most of them change nothing
            blocks, expires_at = max(old.blocks, part // AHEAD * AHEAD + AHEAD), max(old.expires_at, now + KEEP)
            given = replace(old, blocks=blocks, given_at=max(old.given_at, now), expires_at=expires_at)
            if await swap(self.store, where(number), stored, given):
                return await self._ranged(number)
        raise StoreUnavailable("a status list keeps changing")

    async def _true_since(self, number: int, now: int) -> int:
        """As of when it is true that nothing of a list has ended that is not there: now, if there never was one."""
        (ranged,) = await self.store.get(RANGE)
        return now if ranged is None or number > ranged.record.last else 0

    async def _ranged(self, number: int) -> StatusRange:
        found: Stored[StatusRange] | None
        async for found in readings(self.store, RANGE):
            if found is not None and found.record.first <= number <= found.record.last:
                return found.record
            old = StatusRange(self.entropy(32), number, number) if found is None else found.record
            wider = replace(old, first=min(old.first, number), last=max(old.last, number))
            if await swap(self.store, RANGE, found, wider):
                return wider
        raise StoreUnavailable("the range of status lists keeps changing")

    # what is told of them

    async def find(self, number: int) -> Stored[StatusList] | None:
        """A list as it is told now; None where there is none of that number, or none any more."""
        (stored,) = await self.store.get(where(number))
        return stored

    async def numbers(self) -> list[int]:
        """The numbers of all lists."""
        (stored,) = await self.store.get(RANGE)
        if stored is None:
            return []
        numbers = range(stored.record.first, stored.record.last + 1)
        found = await self.store.records(kinds.STATUS_LIST, [b"%d" % number for number in numbers])
        return [number for number, one in zip(numbers, found, strict=True) if one is not None]

    async def ended(self, token: AccessToken) -> None:
        """A token was ended by itself: enter that at once, where it is listed."""
        if token.status:
            await self.mark([token.status - 1])

    async def end(self, status: int, expires_at: int) -> None:
        """End a listed token that has no record of its own.

        :param status: `AccessToken.status` as it was minted: its place, from 1.
        :raises StoreUnavailable: when it is not known whether that is remembered.
        """
        await self.store.put(Write(entry(status - 1), StatusEntry(expires_at=expires_at, ended=True)))
        await self.store.confirm()
        await self.mark([status - 1])

    async def mark(self, indexes: Iterable[int]) -> None:
        """Set bits, as far as that is possible now; what is missed here is found by the sweep.

        Those of one list go together: while one change of it is on its way, the next ones gather.
        """
        for index in indexes:
            number, place = divmod(index, SIZE)
            self._marks.setdefault(number, set()).add(place)
        await self._lock.acquire()
        try:
            marks, self._marks = self._marks, {}
            for number, places in marks.items():
                await self._set(number, places)
        except StoreUnavailable:
            self._log.info("a revocation was not entered in its status list at once: the store is away")
        finally:
            self._lock.release()

    async def _set(self, number: int, places: set[int]) -> None:
        async for stored in readings(self.store, where(number)):
            if stored is None:
                return
            array = status_list.compressed(places, stored.record.array)
            if array == stored.record.array:
                return
            if await swap(self.store, stored.ref, stored, replace(stored.record, array=array)):
                return
