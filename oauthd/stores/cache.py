"""What was read is kept in memory, for as long as it is proven that nothing about it has changed.

One bounded cache for all look-ups that repeat: what introspection answers, clients with their generations, scopes,
resources; absences too, where they are known. Its contract:

- An entry stands on *cells*, one for each name whose change would change it (its client, its grant, the world). A
  change flips the cell, and every hit looks at the cells: however many entries stand on one, no sweep is needed.
- Nothing counts without a proof of freshness (`prove`), whoever proves it: `lease` is compared with the monotonic
  clock at every hit, so that a process which stood still does not serve what was true before.
- A read that is to be kept holds a `Ticket` from before it was sent. A change that was heard meanwhile, and touches
  the entry, voids it: what was read is then used once and not kept.
- No entry outlives its own end or the longest age, counted from when its read was sent; no number known of a name
  that age either. A read whose reply took longer than a proof counts is sent again.

What is evicted is what was not used since the bound was last reached (second chance: nearly as good as strict LRU, and
a hit costs one flag). Absences have a small place of their own, so that who asks for what is not there takes nothing
from what is. Who hears of changes is left to `invalidation`, what the values mean to those who keep them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.metrics import CacheCounts
from oauthd.stores.entries import ALWAYS, CELL_BYTES, Cell, Entry, size_of
from oauthd.stores.interface import StoreUnavailable

T = TypeVar("T")
Waiter = Callable[["Entry | Failure"], object]
"""Told what came of a read. A Deferred is one by `fire`; for each token of many it would cost more than its answer."""
Waiters = list[Waiter]

MOST_ABSENCES = 1000
MOST_HEARD = 4096  # changes remembered for open tickets; beyond that all of them are void
MOST_CHANCES = 1000  # entries passed over at one eviction, so that a cache full of used ones does not hold all up
PIECE = 2000  # what is thrown away at once; about a millisecond
TRIES = 3  # reads that came back too late
TOO_LATE = "the store answers too late to tell what is so now"

ACCESS_TOKEN_PREFIX = b"a:"
_log = Logger(namespace="oauthd.stores")


@define(frozen=True)
class Ticket:
    """The right to keep what a read finds, from before the read was sent."""

    sent: float
    age: int
    heard: int


@define(eq=False)
class Cache:
    """The cache of one process.

    :ivar monotonic: seconds that never go back; `lease` and ages are counted by it.
    :ivar clock: wall-clock seconds, for ends.
    :ivar max_staleness: seconds that a proof counts, from when it was sent.
    :ivar most_entries: how many entries are kept, and `most_bytes` how much they may take.
    :ivar longest: seconds that an entry is kept at most.
    :ivar tally: what it counts.
    :ivar lease: until when (monotonic) what is kept counts.
    """

    monotonic: Callable[[], float]
    clock: Callable[[], float]
    max_staleness: float = 2.0
    most_entries: int = 200_000
    most_bytes: int = 256 * 1024 * 1024
    longest: float = 600.0
    tally: CacheCounts = field(factory=CacheCounts)
    lease: float = -math.inf
    proven_at: float = -math.inf
    entries: dict[bytes, Entry] = field(factory=dict, init=False, repr=False)
    size: int = field(default=0, init=False)
    _cells: dict[bytes, Cell] = field(factory=dict, init=False, repr=False)
    _order: deque[bytes] = field(factory=deque, init=False, repr=False)
    _absences: dict[bytes, Entry] = field(factory=dict, init=False, repr=False)
    _former: list[dict[bytes, Any]] = field(factory=list, init=False, repr=False)
    _heard: list[bytes] = field(factory=list, init=False, repr=False)
    _open: int = field(default=0, init=False)
    _age: int = field(default=0, init=False)
    _reads: dict[bytes, Waiters] = field(factory=dict, init=False, repr=False)

    # proof

    @property
    def fresh(self) -> bool:
        """Does what is kept count now?"""
        return self.monotonic() < self.lease

    def prove(self, sent: float) -> None:
        """Everything that was told before the monotonic instant `sent` has been heard."""
        if not self._former:  # else somebody may hold an entry in hand that does not know yet
            self.proven_at = max(self.proven_at, sent)
            self.lease = self.proven_at + self.max_staleness

    def flush(self) -> None:
        """Something may not have been heard: forget everything, and keep no read that is under way.

        A large cache is thrown away in pieces, by `sweep`; until that is done nothing can be proven.
        """
        self.tally.voids += 1
        self.lease = self.proven_at = -math.inf
        self.tally.entries = self.tally.bytes = 0
        self._former += [one for one in (self._cells, self._absences, self.entries) if one]
        self.entries, self._cells, self._order, self._absences, self.size = {}, {}, deque(), {}, 0
        self._void_all()
        self.sweep()

    def sweep(self) -> bool:
        """Throw away a piece of what was flushed; is anything left?"""
        former, due = self._former, PIECE
        while former and due:
            table = former[-1]
            pieces = min(due, len(table))
            for _ in range(pieces):
                table.popitem()[1].aged = -math.inf  # somebody may hold it in hand
            due -= pieces
            if not table:
                former.pop()
        return bool(former)

    def _void_all(self) -> None:
        self._age += 1
        self._heard.clear()
        self._reads = {}

    # looking up

    def find(self, name: bytes) -> Entry | None:
        """The entry of that name, if it counts."""
        entry = self.entries.get(name)
        if entry is None or not self.counts(entry):
            entry = self._absences.get(name)
            if entry is None or not self.counts(entry):
                self.tally.misses += 1
                return None
        entry.hot = True
        self.tally.hits += 1
        return entry

    def counts(self, entry: Entry) -> bool:
        """May this entry, kept or in hand, be used now?"""
        now = self.monotonic()
        return now < self.lease and now < entry.aged and entry.stands and self.clock() < entry.until

    # keeping

    def open(self) -> Ticket:
        """A ticket, to be taken before the read is sent and given back by `close`."""
        self._open += 1
        return Ticket(self.monotonic(), self._age, len(self._heard))

    def close(self, ticket: Ticket) -> None:
        """Give a ticket back."""
        self._open -= 1
        if not self._open:
            self._heard.clear()
            # Positions begin anew; nobody holds one.

    def touched(self, ticket: Ticket) -> frozenset[bytes] | None:
        """The names heard of since the ticket was taken; None when it is void for all of them."""
        if ticket.age != self._age:
            return None
        return frozenset(self._heard[ticket.heard :])

    def cell(self, name: bytes) -> Cell:
        """The cell of a name. An entry that is made with it is to be kept before anything else can happen."""
        cell = self._cells.get(name)
        if cell is None:
            cell = self._cells[name] = Cell(name)
        return cell

    def whole(self, names: Iterable[bytes]) -> Cell:
        """The cell that falls when any of these names changes: for what stands on more than an entry has cells for.

        Its parts stand for a name each: one that fell with others would not take it along.
        """
        parts = tuple(map(self.cell, names))
        name = b"\0".join([part.name for part in parts])
        whole = self._cells.get(name)
        if whole is None:
            if any(part.parts for part in parts):
                raise ValueError("the parts of a whole are no wholes")
            whole = self._cells[name] = Cell(name)
            whole.parts = parts
            self.hold(parts)
            for part in parts:
                part.wholes = part.wholes or set()
                part.wholes.add(whole)
        return whole

    def hold(self, cells: Iterable[Cell]) -> None:
        """Let cells hear of changes as if an entry stood on each, until `release`."""
        for cell in cells:
            cell.entries += 1

    def release(self, cells: Iterable[Cell]) -> None:
        """Hold cells no longer; those on which nothing stands are forgotten."""
        for cell in cells:
            cell.entries -= 1
            if cell.entries == 0 and cell.stands and cell is not ALWAYS:
                del self._cells[cell.name]
                self._part(cell)

    def _part(self, whole: Cell) -> None:
        """Nothing stands on it any more, or it has fallen: its parts are let go."""
        for part in whole.parts:
            if part.wholes is not None:
                part.wholes.discard(whole)
        self.release(whole.parts)

    def number(self, name: bytes) -> float | None:
        """What is known of a name that entries stand on, if it counts."""
        cell = self._cells.get(name)
        if cell is None or not self.monotonic() < min(self.lease, cell.aged):
            return None
        return cell.number

    def keep(self, name: bytes, entry: Entry) -> None:
        """Keep an entry whose ticket was not touched; what was kept under the name before is replaced."""
        entries = self.entries
        # Before a former entry lets go of them; without a loop, for every miss comes here (0.15 us).
        entry.first.entries += 1
        entry.second.entries += 1
        entry.third.entries += 1
        entry.fourth.entries += 1
        if entry.value is None:
            self._keep_absence(name, entry)
            return
        if self._absences:
            self._let_go(self._absences.pop(name, None))
        former = entries.pop(name, None)
        if former is None:
            self._order.append(name)
        else:
            self._drop(former)
        entries[name] = entry
        self.size += size_of(entry)
        self._fit()

    def _fit(self) -> None:
        """Evict until the bounds hold."""
        weight = self.weight
        while len(self.entries) > self.most_entries or (weight > self.most_bytes and self._order):
            self._evict()
            weight = self.weight
        self.tally.entries, self.tally.bytes = len(self.entries), weight

    @property
    def weight(self) -> int:
        """What all of it takes, by estimate."""
        return self.size + CELL_BYTES * len(self._cells)

    def _evict(self) -> None:
        entries, order = self.entries, self._order
        for _ in range(MOST_CHANCES):
            entry = entries[order[0]]
            if not entry.hot:
                break
            entry.hot = False
            order.rotate(-1)
        self._drop(entries.pop(order.popleft()))
        self.tally.evicted += 1

    def _keep_absence(self, name: bytes, entry: Entry) -> None:
        absences = self._absences
        self.gone(name)
        self._let_go(absences.pop(name, None))
        absences[name] = entry
        if len(absences) > MOST_ABSENCES:
            self._let_go(absences.pop(next(iter(absences))))
        self._fit()  # it has cells, too

    def _drop(self, entry: Entry) -> None:
        self.size -= size_of(entry)
        self._let_go(entry)

    def _let_go(self, entry: Entry | None) -> None:
        if entry is None:
            return
        entry.aged = -math.inf  # whoever has it in hand would not hear of changes any more
        self.release(entry.cells)

    # changes

    def changed(self, name: bytes) -> None:
        """Something about this name has changed, or may have."""
        if self._open:
            if len(self._heard) >= MOST_HEARD:
                self._void_all()
            else:
                self._heard.append(name)
                self._reads = {}  # who asks from now on must not get what was read before
        cell = self._cells.pop(name, None)
        if cell is not None:
            cell.stands = False
            for whole in tuple(cell.wholes or ()):
                del self._cells[whole.name]
                whole.stands = False
                self._part(whole)
            self._part(cell)
        if name[:2] == ACCESS_TOKEN_PREFIX:  # others may stand on it, besides
            self.gone(name[2:])

    def gone(self, name: bytes) -> None:
        """What has that name is no more: its entry, if there is one, is an old one from now on."""
        for entry in (self.entries.get(name), self._absences.get(name)):
            if entry is not None:
                entry.until = -math.inf

    # reading through

    async def through(
        self, name: bytes, subjects: Iterable[bytes], read: Callable[[], Awaitable[Any]], fresh: bool = False
    ) -> Entry:
        """The entry of that name; read, and kept, when there is none that counts. One read at a time for a name.

        :param subjects: at most four names whose change would change it.
        :param fresh: not from memory: it is read now.
        """
        entry = None if fresh else self.find(name)
        if entry is not None:
            return entry
        waiting: Deferred[Entry] = Deferred()
        waiters = self.join(name, partial(fire, waiting), fresh)
        if waiters is not None:
            reading = ensureDeferred(self._read(name, tuple(subjects), read))
            reading.addBoth(self.tell, name, waiters)
        return await waiting

    async def timely(self, read: Callable[[], Awaitable[T]]) -> T:
        """What a read finds that is not kept; read again where the reply was on its way for too long.

        :raises StoreUnavailable: where it always is.
        """
        for _ in range(TRIES):
            sent = self.monotonic()
            found = await read()
            if self.monotonic() < sent + self.max_staleness:
                return found
        raise StoreUnavailable(TOO_LATE)

    def join(self, name: bytes, waiter: Waiter, fresh: bool = False) -> Waiters | None:
        """Wait for a read of that name; those to be told of it when there is none yet, and who asks must read.

        :param fresh: not one that is under way.
        """
        waiters = None if fresh else self._reads.get(name)
        if waiters is not None:
            waiters.append(waiter)
            self.tally.shared += 1
            return None
        waiters = self._reads[name] = [waiter]
        return waiters

    async def _read(self, name: bytes, subjects: tuple[bytes, ...], read: Callable[[], Awaitable[Any]]) -> Entry:
        for _ in range(TRIES):
            ticket = self.open()
            try:
                value = await read()
                touched = self.touched(ticket)
            finally:
                self.close(ticket)
            if self.monotonic() < ticket.sent + self.max_staleness:
                break
        else:
            raise StoreUnavailable(TOO_LATE)
        kept = self.entries.get(name)
        if kept is not None and kept.value == value and self.counts(kept):
            return kept  # what others hold in hand goes on counting
        aged = ticket.sent + self.longest
        if touched is None or not touched.isdisjoint(subjects) or not self.fresh:
            self.tally.unkept += 1
            return Entry(value, -math.inf, aged, ())  # good for this one use
        entry = Entry(value, math.inf, aged, tuple(map(self.cell, subjects)))
        self.keep(name, entry)
        return entry

    def tell(self, outcome: Entry | Failure, name: bytes, waiters: Waiters) -> None:
        """Give those who wait for a read what came of it."""
        self.leave(name, waiters)
        tell(outcome, waiters)

    def leave(self, name: bytes, waiters: Waiters) -> None:
        """Let nobody join a read any more."""
        if self._reads.get(name) is waiters:
            del self._reads[name]


def tell(outcome: Entry | Failure, waiters: Waiters) -> None:
    """Give them what came of a read; one that fails over it harms no other."""
    for waiter in waiters:
        try:
            waiter(outcome)
        except Exception:
            _log.failure("who waited for a read failed over it")


def fire(waiting: Deferred[Entry], outcome: Entry | Failure) -> None:
    """The waiter that is a Deferred; one that was cancelled cancels nobody else."""
    if not waiting.called:
        waiting.callback(outcome)  # a Failure here is an errback
