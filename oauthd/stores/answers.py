"""Answers about access tokens: from memory, else in one read for all that were asked in a turn of the reactor.

A token is alive while its record exists and all holds that it stands on (`oauthd.protocol.standing`). What is kept of
it is the finished answer, under the SHA-256 of the token, on four cells for all of that. A token that was seen alive
and is dead now stays as a tombstone: it never comes back, and who goes on asking for it costs no read. One that was
never seen alive is not kept: it may be issued the next moment.

A token that is not written down has no record, its signature tells the same; and one more name to stand on, the record
of its revocation, its grave, which is read with the rest of what it stands on.

Nobody is told that a token is alive by a reply that was on its way for longer than a proof counts (this process may
have stood still), nor by a number from memory that was no more when the reply came: then it is read again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.records import AccessToken
from oauthd.protocol.standing import Standing
from oauthd.stores import kinds, naming
from oauthd.stores.cache import ACCESS_TOKEN_PREFIX, TOO_LATE, TRIES, Cache, Waiter, Waiters, fire, tell
from oauthd.stores.entries import ALWAYS, Cell, Entry
from oauthd.stores.interface import IStore, Ref, StoreUnavailable
from oauthd.stores.tokens import Unwritten, nobody

MOST_UNDER_WAY = 2  # reads; what is asked meanwhile goes together with the next one, and costs less
LARGEST_BATCH = 256  # keys in one read: a longer one would hold everybody's replies up
SOON = 10.0  # seconds: a grant that ends sooner is read again, for it may have been given longer

_Shared = tuple[object, ...]
"""All that says what a token stands on; what most tokens of a batch have in common."""


@frozen
class _Look:
    """What one look into the store found.

    :ivar records: of the tokens that exist, each with what it shares with others.
    :ivar standings: what these stand on.
    :ivar graves: of those that are not written down, the names of the records that would revoke them.
    :ivar buried: those of these names that there are.
    :ivar today: the generations in force.
    :ivar found: what there is of all else that they stand on, and when it ends.
    :ivar remembered: the names of which something is from memory.
    :ivar touched: the names heard of meanwhile; None: any may have changed.
    :ivar sent: when, by the monotonic clock.
    """

    records: dict[bytes, tuple[AccessToken, _Shared]]
    standings: dict[_Shared, _Places]
    graves: dict[bytes, bytes]
    buried: frozenset[bytes]
    today: dict[str, float | None]
    found: dict[bytes, float]
    remembered: frozenset[bytes]
    touched: frozenset[bytes] | None
    sent: float


@frozen
class _Places:
    """What tokens of the same standing stand on, and where that is.

    :ivar numbers: names of the generations, with their subjects.
    :ivar things: references to all else, with their names, here and in the standing.
    :ivar signed: are they not written down? Then they stand on our keys, too.
    """

    standing: Standing
    numbers: tuple[tuple[bytes, str], ...]
    things: tuple[tuple[bytes, bytes, Ref[Any]], ...]
    signed: bool

    @classmethod
    def of(cls, standing: Standing, signed: bool) -> _Places:
        """The places of these."""
        numbers = tuple([(naming.generation(subject), subject) for subject, _ in standing.numbers])
        refs = [(thing, kinds.standing_on(thing)) for thing in standing.names]
        return cls(standing, numbers, tuple([(naming.key(ref), thing, ref) for thing, ref in refs]), signed)

    @property
    def names(self) -> list[bytes]:
        """All names that something is heard of by."""
        names = [name for name, _ in self.numbers]
        names += [name for name, _, _ in self.things]
        if self.signed:
            names.append(naming.SIGNED)
        return names


@frozen
class _Ground:
    """What tokens of the same standing stand on.

    :ivar alive: does it hold?
    :ivar until: when the first of it ends.
    :ivar cells: of all of that; None where something was heard of one of them, and nothing may be kept.
    :ivar things: names of what the fourth cell stands for.
    """

    alive: bool
    until: float
    cells: tuple[Cell, ...] | None = None
    things: tuple[bytes, ...] = ()


@define(eq=False)
class Answers:
    """Finds answers about access tokens.

    :ivar write: the answer about a live token.
    :ivar unwritten: finds tokens that are not written down.
    """

    store: IStore
    cache: Cache
    reactor: IReactorTime
    write: Callable[[AccessToken], bytes]
    unwritten: Unwritten = nobody
    _next: dict[bytes, Waiters] = field(factory=dict, init=False, repr=False)
    _texts: dict[bytes, bytes] = field(factory=dict, init=False, repr=False)
    _under_way: int = field(default=0, init=False)

    def find(self, digest: bytes, token: bytes = b"") -> Deferred[Entry]:
        """The entry about the token of that SHA-256: its `value` is the answer, `views` is not None where it has an
        audience. Not kept, it is good for one use, before its age ends.

        :param token: itself; without it only one that is written down is found.

        Fails with `StoreUnavailable`. Cancelling it cancels nothing that others wait for.
        """
        waiting: Deferred[Entry] = Deferred()
        self.ask(digest, partial(fire, waiting), token)
        return waiting

    def keys_changed(self) -> None:
        """Other keys sign, or some no more: what only a signature vouched for is to be verified again."""
        self.cache.changed(naming.SIGNED)

    def ask(self, digest: bytes, waiter: Waiter, token: bytes = b"") -> None:
        """As `find`, for who needs no Deferred: the waiter is told, at once or later."""
        cache = self.cache
        kept = cache.entries.get(digest)
        if kept is not None and cache.counts(kept):
            waiter(kept)  # who asks has no view of it yet
            return
        unsent = self._next.get(digest)
        if unsent is not None:
            unsent.append(waiter)
            return
        waiters = cache.join(digest, waiter)
        if waiters is not None:
            if not self._next and self._under_way < MOST_UNDER_WAY:
                self.reactor.callLater(0, self._send)
            self._next[digest] = waiters
            if token[:3] == b"eyJ":  # a JWT may be one that is not written down
                self._texts[digest] = token

    def _send(self) -> None:
        asked, self._next = list(self._next.items()), {}
        for start in range(0, len(asked), LARGEST_BATCH):
            batch = dict(asked[start : start + LARGEST_BATCH])
            texts = {one: self._texts.pop(one) for one in batch if one in self._texts} if self._texts else {}
            self._under_way += 1
            ensureDeferred(self._read(batch, texts)).addErrback(self._failed, batch, texts).addBoth(self._done)

    def _done(self, nothing: object) -> None:
        self._under_way -= 1
        if self._next and self._under_way < MOST_UNDER_WAY:
            self._send()

    def _failed(self, failure: Failure, batch: dict[bytes, Waiters], texts: dict[bytes, bytes]) -> None:
        alone = len(batch) == 1 or isinstance(failure.value, StoreUnavailable)
        for digest, waiters in batch.items():
            if alone:
                self.cache.tell(failure, digest, waiters)
            else:  # a record that nobody can read shall harm nobody else
                one = {digest: waiters}
                ensureDeferred(self._read(one, texts)).addErrback(self._failed, one, texts)

    async def _read(self, batch: dict[bytes, Waiters], texts: dict[bytes, bytes]) -> None:
        cache = self.cache
        for attempt in range(TRIES):
            look = await self._look(batch, texts, remembering=not attempt)
            if self._holds(look):
                break
        else:
            raise StoreUnavailable(TOO_LATE)
        found = self._entries(batch, look)
        # All is kept, and none of it can be joined any more, before anybody is told: whoever is may change anything.
        for digest, waiters in batch.items():
            cache.leave(digest, waiters)
        for entry, waiters in zip(found, batch.values(), strict=True):
            tell(entry, waiters)

    async def _look(self, batch: dict[bytes, Waiters], texts: dict[bytes, bytes], remembering: bool) -> _Look:
        ticket = self.cache.open()
        try:
            records: dict[bytes, tuple[AccessToken, _Shared]] = {}
            standings: dict[_Shared, _Places] = {}
            graves: dict[bytes, Ref[Any]] = {}
            for digest, stored in zip(batch, await self.store.records(kinds.ACCESS_TOKEN, batch), strict=True):
                signed = stored is None and digest in texts
                record = self.unwritten(texts[digest]) if signed else stored
                if record is None:
                    continue
                issued = record.generations
                shared = (
                    record.client_id, record.user_id, record.grant, issued.world, issued.client, issued.user,
                    record.audience, record.resource_generations, record.under, record.parents, record.parent,
                    signed,
                )  # fmt: skip
                if None not in shared:  # issued under generations of nobody it was dead from the beginning
                    records[digest] = record, shared
                    if shared not in standings:
                        standings[shared] = _Places.of(Standing.of(record), signed)
                    if signed:
                        graves[digest] = kinds.revoked(record.jti)
            look = await self._numbers(standings.values(), remembering, graves.values())
            touched = self.cache.touched(ticket)
            named = {digest: naming.key(ref) for digest, ref in graves.items()} if graves else {}
            today, found, buried, remembered = look
            return _Look(records, standings, named, buried, today, found, remembered, touched, ticket.sent)
        finally:
            self.cache.close(ticket)

    def _holds(self, look: _Look) -> bool:
        """Is what was found still so, as far as can be known?"""
        cache = self.cache
        if not cache.monotonic() < look.sent + cache.max_staleness:
            return False
        if not look.remembered:
            return True
        return cache.fresh and look.touched is not None and look.touched.isdisjoint(look.remembered)

    async def _numbers(
        self, standings: Iterable[_Places], remembering: bool, graves: Iterable[Ref[Any]]
    ) -> tuple[dict[str, float | None], dict[bytes, float], frozenset[bytes], frozenset[bytes]]:
        """What stands of all that these tokens stand on, from memory and read now: the generations, and all else; which
        of the graves there are; the names of what is from memory.

        Whether there is what must not be is always read: nobody remembers that there is none.
        """
        cache = self.cache
        today: dict[str, float | None] = {}
        ends: dict[bytes, float] = {}
        remembered: set[bytes] = set()
        subjects: dict[str, None] = {}
        things: dict[bytes, Ref[Any]] = {}
        for places in standings:
            for name, subject in places.numbers:
                number = cache.number(name) if remembering else None
                if number is None:
                    subjects[subject] = None
                else:
                    remembered.add(name)
                    today[subject] = number
            for name, thing, ref in places.things:
                number = cache.number(name) if remembering else None
                if number is None or number <= cache.clock() + SOON:
                    things[thing] = ref
                else:
                    remembered.add(name)
                    ends[thing] = number
        buried: frozenset[bytes] = frozenset()
        refs = [*things.values(), *graves]
        if subjects or refs:
            found, numbers = await self.store.get_with_generations(refs, list(subjects))
            ends.update(
                [(name, one.record.expires_at) for name, one in zip(things, found, strict=False) if one is not None]
            )
            today.update(zip(subjects, numbers, strict=True))
            if len(refs) > len(things):
                buried = frozenset([naming.key(one.ref) for one in found[len(things) :] if one is not None])
        return today, ends, buried, frozenset(remembered)

    def _entries(self, batch: Iterable[bytes], look: _Look) -> list[Entry]:
        """What is now known of each token of a batch; kept, where it may be. Nothing else happens meanwhile."""
        cache, now = self.cache, self.cache.clock()
        touched = look.touched if cache.fresh else None
        aged = look.sent + cache.longest
        found: list[Entry] = []
        grounds: dict[_Shared, _Ground] = {}
        try:
            for shared, places in look.standings.items():
                grounds[shared] = self._ground(places, look, touched, aged)
            for digest in batch:
                known = look.records.get(digest)
                if known is not None:
                    record, ground = known[0], grounds[known[1]]
                    until = min(record.expires_at, ground.until)
                    grave = look.graves.get(digest, b"") if look.graves else b""
                    if ground.alive and now < until and grave not in look.buried:
                        found.append(self._alive(digest, record, until, look, ground, touched, grave))
                        continue
                entry = Entry(INACTIVE, math.inf, aged, ())
                if touched is not None and digest in cache.entries:
                    cache.keep(digest, entry)  # the tombstone
                found.append(entry)
        finally:
            for ground in grounds.values():
                cache.release(ground.cells or ())
        return found

    def _alive(
        self, digest: bytes, record: AccessToken, until: float, look: _Look, ground: _Ground,
        touched: frozenset[bytes] | None, grave: bytes,
    ) -> Entry:  # fmt: skip
        answer, aged, cells = self.write(record), look.sent + self.cache.longest, ground.cells
        own = ACCESS_TOKEN_PREFIX + digest
        keeps = cells is not None and not (touched and (own in touched or grave in touched))
        if cells is None or not keeps:
            # Good for this one use, and no longer than a proof counts.
            entry = Entry(answer, until, look.sent + self.cache.max_staleness, ())
        elif grave:
            # Taken now, for it is held by the entry alone.
            entry = Entry(answer, until, aged, (*cells[:3], self._cell((*ground.things, grave))))
        else:
            entry = Entry(answer, until, aged, cells)
        if record.audience:
            entry.views = {}
        if keeps:
            self.cache.keep(digest, entry)
        return entry

    def _ground(
        self, places: _Places, look: _Look, touched: frozenset[bytes] | None, aged: float
    ) -> _Ground:
        """What tokens stand on, as was found; its cells are held, and know the numbers that were read."""
        standing = places.standing
        if not standing.holds(look.today, look.found):
            return _Ground(False, math.inf)
        # A grant may be given longer: then this is read again.
        until = min([look.found[thing] for thing in standing.there], default=math.inf)
        if touched is None or not touched.isdisjoint(places.names):
            return _Ground(True, until)
        cache, slots = self.cache, _slots(places)
        cells = tuple(map(self._cell, slots))
        cache.hold(cells)  # else the first entry, evicted at once, would take its cells with it
        for name, subject in places.numbers:
            if name not in look.remembered:
                self._know(name, look.today[subject] or 0, aged)
        for name, thing, _ in places.things:
            if name not in look.remembered and thing in look.found:
                self._know(name, look.found[thing], aged)
        return _Ground(True, until, cells, slots[3])

    def _cell(self, names: tuple[bytes, ...]) -> Cell:
        """The one cell of these names."""
        if len(names) > 1:
            return self.cache.whole(names)
        return self.cache.cell(names[0]) if names else ALWAYS

    def _know(self, name: bytes, number: float, aged: float) -> None:
        cell = self.cache.cell(name)
        cell.number, cell.aged = number, aged


def _slots(places: _Places) -> tuple[tuple[bytes, ...], ...]:
    """The names of what tokens stand on, by the cell that falls with them: those of the world and of resources, of
    clients, of people, and of all that is no generation.

    What many tokens stand on does not share a cell with what each has of its own: its fall would have to fell them all.
    """
    world: list[bytes] = [naming.SIGNED] if places.signed else []
    clients: list[bytes] = []
    users: list[bytes] = []
    for name, subject in places.numbers:
        sort = subject[:2]
        (clients if sort == "cl" else users if sort == "us" else world).append(name)
    return tuple(world), tuple(clients), tuple(users), tuple([name for name, _, _ in places.things])
