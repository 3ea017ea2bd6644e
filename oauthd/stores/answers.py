"""Answers about access tokens: from memory, else in one read for all that were asked in a turn of the reactor.

A token is alive while its record exists, the generations it was issued under are in force, and its grant (if it has
one) stands. What is kept of it is the finished answer, under the SHA-256 of the token, on the cells of all of that. A
token that was seen alive and is dead now stays as a tombstone: it never comes back, and who goes on asking for it costs
no read. A token that was never seen alive is not kept: it may be issued the next moment (R-KEY, R-FILL).

Nobody is told that a token is alive by a reply that was on its way for longer than a proof counts (this process may
have stood still), nor by a number from memory that was no more when the reply came: then it is read again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.records import AccessToken
from oauthd.stores import kinds, naming
from oauthd.stores.cache import ACCESS_TOKEN_PREFIX, ALWAYS, TOO_LATE, TRIES, Cache, Entry, Waiters
from oauthd.stores.interface import IStore, Ref, StoreUnavailable

MOST_UNDER_WAY = 2  # reads; what is asked meanwhile goes together with the next one, and costs less
LARGEST_BATCH = 256  # keys in one read: a longer one would hold everybody's replies up
SOON = 10.0  # seconds: a grant that ends sooner is read again, for it may have been given longer

NOBODY = -1  # the number of a subject that has no generation today, and of a grant that is gone


@frozen
class _Look:
    """What one look into the store found.

    :ivar records: of the tokens that exist.
    :ivar numbers: what stands of all that they stand on.
    :ivar remembered: the names whose number is from memory.
    :ivar touched: the names heard of meanwhile; None: any may have changed.
    :ivar sent: when, by the monotonic clock.
    """

    records: dict[bytes, AccessToken]
    numbers: dict[bytes, float]
    remembered: frozenset[bytes]
    touched: frozenset[bytes] | None
    sent: float


@frozen
class _Ground:
    """What tokens of the same client, user, grant and generations stand on.

    :ivar names: of the cells.
    :ivar alive: are the generations in force, and does the grant stand?
    :ivar until: when the grant ends.
    :ivar keeps: was nothing heard of any of them?
    """

    names: tuple[bytes, ...]
    alive: bool
    until: float
    keeps: bool


@define(eq=False)
class Answers:
    """Finds answers about access tokens.

    :ivar write: the answer about a live token.
    """

    store: IStore
    cache: Cache
    reactor: IReactorTime
    write: Callable[[AccessToken], bytes]
    _next: dict[bytes, Waiters] = field(factory=dict, init=False, repr=False)
    _under_way: int = field(default=0, init=False)

    def find(self, digest: bytes) -> Deferred[Entry]:
        """The entry about the token of that SHA-256: its `value` is the answer, `views` is not None where it has an
        audience. Not kept, it is good for one use.

        Fails with `StoreUnavailable`. Cancelling it cancels nothing that others wait for.
        """
        kept = self.cache.entries.get(digest)
        if kept is not None and self.cache.counts(kept):
            return succeed(kept)  # who asks has no view of it yet
        unsent = self._next.get(digest)
        if unsent is not None:
            waiting: Deferred[Entry] = Deferred()
            unsent.append(waiting)
            return waiting
        waiting, waiters = self.cache.join(digest)
        if waiters is not None:
            if not self._next and self._under_way < MOST_UNDER_WAY:
                self.reactor.callLater(0, self._send)
            self._next[digest] = waiters
        return waiting

    def _send(self) -> None:
        asked, self._next = list(self._next.items()), {}
        for start in range(0, len(asked), LARGEST_BATCH):
            batch = dict(asked[start : start + LARGEST_BATCH])
            self._under_way += 1
            ensureDeferred(self._read(batch)).addErrback(self._failed, batch).addBoth(self._done)

    def _done(self, nothing: object) -> None:
        self._under_way -= 1
        if self._next and self._under_way < MOST_UNDER_WAY:
            self._send()

    def _failed(self, failure: Failure, batch: dict[bytes, Waiters]) -> None:
        alone = len(batch) == 1 or isinstance(failure.value, StoreUnavailable)
        for digest, waiters in batch.items():
            if alone:
                self.cache.tell(failure, digest, waiters)
            else:  # a record that nobody can read shall harm nobody else
                ensureDeferred(self._read({digest: waiters})).addErrback(self._failed, {digest: waiters})

    async def _read(self, batch: dict[bytes, Waiters]) -> None:
        cache = self.cache
        for attempt in range(TRIES):
            look = await self._look(batch, remembering=not attempt)
            if self._holds(look):
                break
        else:
            raise StoreUnavailable(TOO_LATE)
        touched = look.touched if cache.fresh else None
        aged = look.sent + cache.longest
        grounds: dict[tuple[Any, ...], _Ground] = {}  # most tokens of a batch stand on the same
        for digest, waiters in batch.items():
            record = look.records.get(digest)
            if record is None:
                entry = self._dead(digest, touched is not None, aged)
            else:
                issued = record.generations
                key = (record.client_id, record.user_id, record.grant, issued.world, issued.client, issued.user)
                ground = grounds.get(key)
                if ground is None:
                    ground = grounds[key] = _ground(record, look.numbers, touched)
                entry = self._entry(digest, record, ground, look, touched, aged)
            cache.tell(entry, digest, waiters)

    async def _look(self, batch: dict[bytes, Waiters], remembering: bool) -> _Look:
        ticket = self.cache.open()
        try:
            found = await self.store.get(*map(kinds.ACCESS_TOKEN.at, batch))
            records = {
                digest: stored.record
                for digest, stored in zip(batch, found, strict=True)
                if stored is not None and _begun(stored.record)
            }
            remembered, numbers = await self._numbers(records.values(), remembering)
            return _Look(records, remembered | numbers, frozenset(remembered), self.cache.touched(ticket), ticket.sent)
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
        self, records: Collection[AccessToken], remembering: bool
    ) -> tuple[dict[bytes, float], dict[bytes, float]]:
        """What stands of all that these tokens stand on: from memory, and read now."""
        remembered: dict[bytes, float] = {}
        subjects: dict[bytes, str] = {}
        grants: dict[bytes, Ref[Any]] = {}
        for stands_on in {_stands_on(record) for record in records}:
            for name, subject in stands_on:
                number = self.cache.number(name) if remembering else None
                if number is None:
                    subjects[name] = subject
                else:
                    remembered[name] = number
        for grant_id in {record.grant for record in records if record.grant}:
            ref = kinds.grant(grant_id)
            name = naming.key(ref)
            number = self.cache.number(name) if remembering else None
            if number is None or number <= self.cache.clock() + SOON:
                grants[name] = ref
            else:
                remembered[name] = number
        read: dict[bytes, float] = {}
        if subjects or grants:
            found, numbers = await self.store.get_with_generations(list(grants.values()), list(subjects.values()))
            for name, stored in zip(grants, found, strict=True):
                read[name] = NOBODY if stored is None else stored.record.expires_at
            for name, today in zip(subjects, numbers, strict=True):
                read[name] = NOBODY if today is None else today
        return remembered, read

    def _dead(self, digest: bytes, keep: bool, aged: float) -> Entry:
        entry = Entry(INACTIVE, math.inf, aged, ())
        if keep and digest in self.cache.entries:
            self.cache.keep(digest, entry)
        return entry

    def _entry(
        self, digest: bytes, record: AccessToken, ground: _Ground, look: _Look, touched: frozenset[bytes] | None,
        aged: float,
    ) -> Entry:  # fmt: skip
        cache, until = self.cache, min(record.expires_at, ground.until)
        if not ground.alive or until <= cache.clock():
            return self._dead(digest, touched is not None, aged)
        answer = self.write(record)
        if not ground.keeps or (touched and ACCESS_TOKEN_PREFIX + digest in touched):
            entry = Entry(answer, until, -math.inf, ())  # good for this one use
        else:
            # Asked for each time: what is told of the entry before may have changed or evicted anything.
            entry = Entry(answer, until, aged, tuple(map(cache.cell, ground.names)))
        if record.audience:
            entry.views = {}
        if entry.first is not ALWAYS:
            for name, cell in zip(ground.names, entry.cells, strict=False):
                if name not in look.remembered:
                    cell.number, cell.aged = look.numbers[name], aged
            cache.keep(digest, entry)
        return entry


def _ground(record: AccessToken, numbers: dict[bytes, float], touched: frozenset[bytes] | None) -> _Ground:
    """What a token stands on, as the numbers tell."""
    names = [name for name, _ in _stands_on(record)]
    issued = (record.generations.world, record.generations.client, record.generations.user)
    # A machine's token was issued under no user's generation.
    alive = all((number or 0) >= numbers[name] > 0 for name, number in zip(names, issued, strict=False))
    until = math.inf
    if record.grant:
        name = naming.key(kinds.grant(record.grant))
        names.append(name)
        until = numbers[name]  # it may be given longer: then this is read again
    return _Ground(tuple(names), alive, until, touched is not None and touched.isdisjoint(names))


def _begun(record: AccessToken) -> bool:
    """Was it issued under generations at all? Under those of nobody it was dead from the beginning."""
    generations = record.generations
    return None not in (generations.world, generations.client, generations.user)


def _stands_on(record: AccessToken) -> tuple[tuple[bytes, str], ...]:
    """The names of the generations that a token was issued under, and their subjects."""
    return _subjects(record.client_id, record.user_id if record.generations.user else "")  # 0 for a machine


@lru_cache(maxsize=4096)
def _subjects(client_id: str, user_id: str) -> tuple[tuple[bytes, str], ...]:
    machine = (naming.WORLD, "world"), _subject("client", client_id)
    return (*machine, _subject("user", user_id)) if user_id else machine


def _subject(sort: str, ident: str) -> tuple[bytes, str]:
    subject = f"{sort}:{ident}"
    return naming.generation(subject), subject
