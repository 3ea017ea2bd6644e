"""The bits of all status lists, looked at regularly by one process for all: what has ended since, however it did.

A token is alive while all stands that it stands on (`oauthd.protocol.standing`); as for introspection, but for
thousands in one read. A list says as of when
its bits hold (`checked_at`): the moment before the first of its places was looked at, never a later one. So it does not
matter how long a sweep takes, or whether two processes sweep at once: nothing stale is ever told as fresh, and bits
that one has set stay set.

A look at each list begins at the latest when the last one is half of `ttl` old. Whoever holds the lease does it, and
goes on as long as it lives; when it does not, another one follows after a quarter of `ttl`. So what is ended is told
within `ttl`, with a quarter of it to spare for the sweep itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import compress
from typing import ClassVar

from attrs import define, field
from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from oauthd.metrics import StatusListCounts
from oauthd.protocol import status_list
from oauthd.protocol.records import Lease, StatusEntry, StatusList
from oauthd.protocol.standing import ACCESS_TOKEN, Standing
from oauthd.protocol.status_list import SIZE, Places
from oauthd.stores import kinds
from oauthd.stores.interface import IStore, Stored
from oauthd.stores.status_lists import BLOCK, HOLD, KEEP, RANGE, SLOW, where
from oauthd.stores.swap import readings, swap

LEASE = kinds.LEASE.at("status lists")
PIECE = 256  # places that are looked at at once: a millisecond
REST = 3  # times as long as a piece took, until the next one: a quarter of a core at most, while there is time

_Known = dict[str, int | None]
"""The generations that were read in one look at a list."""


@define(eq=False)
class StatusSweep:
    """Keeps the bits of all lists as they should be.

    :ivar holder: what this process calls itself, like no other.
    :ivar ttl: seconds within which whatever was ended must be told.
    """

    store: IStore
    clock: Callable[[], float]
    reactor: IReactorTime
    holder: str
    ttl: int
    counts: StatusListCounts = field(factory=StatusListCounts)
    _under_way: bool = field(default=False, init=False)
    _log: ClassVar[Logger] = Logger()

    @property
    def pause(self) -> float:
        """Seconds until it is to be asked again whether something is due."""
        return self.ttl / 8

    async def due(self) -> None:
        """Look at what is due, where no other process does.

        :raises StoreUnavailable: when the store is away; the next call goes on.
        """
        if self._under_way:
            return
        self._under_way = True
        try:
            await self._due()
        finally:
            self._under_way = False

    async def _due(self) -> None:
        (ranged,) = await self.store.get(RANGE)
        if ranged is None or not await self._leads():
            return
        numbers = range(ranged.record.first, ranged.record.last + 1)
        found = await self.store.records(kinds.STATUS_LIST, [b"%d" % number for number in numbers])
        ages = {n: self.clock() - one.checked_at for n, one in zip(numbers, found, strict=True) if one is not None}
        await self._forget_first(ages)
        for number in sorted(ages, key=ages.__getitem__, reverse=True):
            if ages[number] < self.ttl / 2 - self.pause:
                return
            if not await self._leads():
                return
            await self.look(number)

    async def _leads(self) -> bool:
        """Is it for this process to sweep? Then for a quarter of `ttl` more."""
        now = int(self.clock())
        mine = Lease(self.holder, now + max(self.ttl // 4, 2))
        (stored,) = await self.store.get(LEASE)
        if stored is not None and stored.record.holder != self.holder:
            return False
        return (stored is not None and stored.record == mine) or await swap(self.store, LEASE, stored, mine)

    async def _forget_first(self, there: Mapping[int, object]) -> None:
        """Begin with the first list that there still is; the last one may come again at any time."""
        async for stored in readings(self.store, RANGE):
            if stored is None:
                return
            first = min(there, default=stored.record.last)
            if first <= stored.record.first:
                return
            if await swap(self.store, RANGE, stored, replace(stored.record, first=min(first, stored.record.last))):
                return

    async def look(self, number: int) -> None:
        """Look at every place of a list that was given out, and tell what it came to."""
        began = self.clock()
        stored, ranged = await self.store.get(where(number), RANGE)
        if stored is None or ranged is None:
            return
        if stored.record.checked_at + self.ttl < began:
            self.counts.late += 1
            self._log.warn("status list {number} is late: it was not looked at for longer than ttl", number=number)
        places, dead, alive = Places(ranged.record.seed, number), set[int](), 0
        known: _Known = {}
        for start in range(0, stored.record.blocks * BLOCK, PIECE):
            at = self.reactor.seconds()
            some = [places[nth] for nth in range(start, start + PIECE)]
            ended, live = await self._piece(number * SIZE, some, known)
            dead |= ended
            alive += live
            if self.clock() - began < self.ttl / 8:
                await deferLater(self.reactor, REST * (self.reactor.seconds() - at))
        over = not alive and not dead and number < ranged.record.last
        await self._tell(number, stored, dead, int(began), over=over)

    async def _tell(
        self, number: int, read: Stored[StatusList], dead: Collection[int], began: int, *, over: bool
    ) -> None:
        if over and read.record.given_at + HOLD + 2 * SLOW < began and await swap(self.store, read.ref, read, None):
            return  # every token of it has expired, and there will be no others (section 13.1)
        async for stored in readings(self.store, where(number)):
            if stored is None:
                return
            old = stored.record
            array = status_list.compressed(dead, old.array) if dead else old.array
            told = replace(old, array=array, checked_at=max(old.checked_at, began), expires_at=began + KEEP)
            if await swap(self.store, stored.ref, stored, told):
                return

    async def _piece(self, base: int, places: Sequence[int], known: _Known) -> tuple[set[int], int]:
        """Which of these places have ended, and how many are alive; expired ones and those of nobody are neither.

        :param known: what was read in this look already.
        """
        found = await self.store.records(kinds.STATUS, [b"%d" % (base + place) for place in places])
        entries = [(place, one) for place, one in zip(places, found, strict=True) if one is not None]
        self.counts.looked += len(entries)
        if not entries:
            return set(), 0
        dead = {place for place, one in entries if one.ended}
        standings = {place: _standing(one) for place, one in entries if place not in dead}
        dead.update([place for place, standing in standings.items() if not standing.began])
        left = {place: standing for place, standing in standings.items() if standing.began}
        await self._read(left.values(), known)
        names = list({name for standing in left.values() for name in standing.names})
        stands = await self.store.present(list(map(kinds.standing_on, names)))
        there = frozenset(compress(names, stands))
        dead.update([place for place, standing in left.items() if not standing.holds(known, there)])
        return dead, len(entries) - len(dead)

    async def _read(self, standings: Iterable[Standing], known: _Known) -> None:
        """Know the generations that these were issued under, as they are today."""
        missing = list({subject for one in standings for subject, _ in one.numbers} - known.keys())
        if missing:
            _, numbers = await self.store.get_with_generations((), missing)
            known.update(zip(missing, numbers, strict=True))


def _standing(entry: StatusEntry) -> Standing:
    return Standing.of(entry, ACCESS_TOKEN + entry.digest if entry.digest else b"")
