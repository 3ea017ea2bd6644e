"""Answers about access tokens: from memory, else in one read for all that were asked in a turn of the reactor.

A token is alive while its record exists, the generations it was issued under are in force (those of its resources,
too), and its grant (if it has one) stands. What is kept of it is the finished answer, under the SHA-256 of the token,
on the cells of all of that. A token that was seen alive and is dead now stays as a tombstone: it never comes back, and
who goes on asking for it costs no read. One that was never seen alive is not kept: it may be issued the next moment.

A token that is not written down has no record, its signature tells the same; and one more name to stand on, the record
of its revocation, which is read with the rest of what it stands on. An answer about it hears of that by its `grave`.

Nobody is told that a token is alive by a reply that was on its way for longer than a proof counts (this process may
have stood still), nor by a number from memory that was no more when the reply came: then it is read again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.records import AccessToken
from oauthd.stores import kinds, naming
from oauthd.stores.cache import ACCESS_TOKEN_PREFIX, TOO_LATE, TRIES, Cache, Waiter, Waiters, fire, tell
from oauthd.stores.entries import ALWAYS, Cell, Entry, SignedEntry
from oauthd.stores.interface import IStore, Ref, StoreUnavailable
from oauthd.stores.tokens import Unwritten, nobody

MOST_UNDER_WAY = 2  # reads; what is asked meanwhile goes together with the next one, and costs less
LARGEST_BATCH = 256  # keys in one read: a longer one would hold everybody's replies up
SOON = 10.0  # seconds: a grant that ends sooner is read again, for it may have been given longer

_Standing = tuple[object, ...]
"""Client, user, grant, audience and generations of a token, and is it not written down? All that it stands on."""

NOBODY = -1  # the number of a subject that has no generation today, and of a grant that is gone


@frozen
class _Look:
    """What one look into the store found.

    :ivar records: of the tokens that exist, each with what it stands on.
    :ivar graves: of those that are not written down, the names of the records that would revoke them.
    :ivar buried: those of these names that there are.
    :ivar standings: for each thing to stand on, one of the tokens that do: most of a batch stand on the same.
    :ivar numbers: what stands of all that they stand on.
    :ivar remembered: the names whose number is from memory.
    :ivar touched: the names heard of meanwhile; None: any may have changed.
    :ivar sent: when, by the monotonic clock.
    """

    records: dict[bytes, tuple[AccessToken, _Standing]]
    standings: dict[_Standing, AccessToken]
    graves: dict[bytes, bytes]
    buried: frozenset[bytes]
    numbers: dict[bytes, float]
    remembered: frozenset[bytes]
    touched: frozenset[bytes] | None
    sent: float


@frozen
class _Ground:
    """What tokens of the same standing stand on.

    :ivar alive: are the generations in force, and does the grant stand?
    :ivar until: when the grant ends.
    :ivar cells: of all of that; None where something was heard of one of them, and nothing may be kept.
    """

    alive: bool
    until: float
    cells: tuple[Cell, ...] | None


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
            records: dict[bytes, tuple[AccessToken, _Standing]] = {}
            standings: dict[_Standing, AccessToken] = {}
            graves: dict[bytes, Ref[Any]] = {}
            for digest, stored in zip(batch, await self.store.records(kinds.ACCESS_TOKEN, batch), strict=True):
                signed = stored is None and digest in texts
                record = self.unwritten(texts[digest]) if signed else stored
                if record is None:
                    continue
                issued = record.generations
                standing = (
                    record.client_id, record.user_id, record.grant, issued.world, issued.client, issued.user,
                    record.audience, record.resource_generations, signed,
                )  # fmt: skip
                if None not in standing:  # issued under generations of nobody it was dead from the beginning
                    records[digest] = record, standing
                    standings[standing] = record
                    if signed:
                        graves[digest] = kinds.revoked(record.jti)
            remembered, numbers, buried = await self._numbers(standings, remembering, graves.values())
            touched = self.cache.touched(ticket)
            named = {digest: naming.key(ref) for digest, ref in graves.items()} if graves else {}
            known = remembered | numbers
            return _Look(records, standings, named, buried, known, frozenset(remembered), touched, ticket.sent)
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
        self, standings: dict[_Standing, AccessToken], remembering: bool, graves: Iterable[Ref[Any]]
    ) -> tuple[dict[bytes, float], dict[bytes, float], frozenset[bytes]]:
        """What stands of all that these tokens stand on: from memory, and read now; and which of the graves there are.

        These are always read: nobody remembers that there is none.
        """
        remembered: dict[bytes, float] = {}
        subjects: dict[bytes, str] = {}
        grants: dict[bytes, Ref[Any]] = {}
        for standing, record in standings.items():
            for name, subject in _stands_on(record, bool(standing[-1])):
                number = self.cache.number(name) if remembering else None
                if number is None:
                    subjects[name] = subject
                else:
                    remembered[name] = number
            if not record.grant:
                continue
            ref = kinds.grant(record.grant)
            name = naming.key(ref)
            number = self.cache.number(name) if remembering else None
            if number is None or number <= self.cache.clock() + SOON:
                grants[name] = ref
            else:
                remembered[name] = number
        read: dict[bytes, float] = {}
        buried: frozenset[bytes] = frozenset()
        refs = [*grants.values(), *graves]
        if subjects or refs:
            found, numbers = await self.store.get_with_generations(refs, list(subjects.values()))
            for name, stored in zip(grants, found, strict=False):
                read[name] = NOBODY if stored is None else stored.record.expires_at
            for (name, subject), today in zip(subjects.items(), numbers, strict=True):
                read[name] = today or (0 if subject.startswith("resource:") else NOBODY)
            if len(refs) > len(grants):
                buried = frozenset([naming.key(one.ref) for one in found[len(grants) :] if one is not None])
        return remembered, read, buried

    def _entries(self, batch: Iterable[bytes], look: _Look) -> list[Entry]:
        """What is now known of each token of a batch; kept, where it may be. Nothing else happens meanwhile."""
        cache, now = self.cache, self.cache.clock()
        touched = look.touched if cache.fresh else None
        aged = look.sent + cache.longest
        found: list[Entry] = []
        grounds: dict[_Standing, _Ground] = {}
        try:
            for standing, record in look.standings.items():
                grounds[standing] = self._ground(record, look, touched, aged, bool(standing[-1]))
            for digest in batch:
                known = look.records.get(digest)
                if known is not None:
                    record, ground = known[0], grounds[known[1]]
                    until = min(record.expires_at, ground.until)
                    grave = look.graves.get(digest, b"") if look.graves else b""
                    if ground.alive and now < until and grave not in look.buried:
                        found.append(self._alive(digest, record, until, look, ground.cells, touched, grave))
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
        self, digest: bytes, record: AccessToken, until: float, look: _Look, cells: tuple[Cell, ...] | None,
        touched: frozenset[bytes] | None, grave: bytes,
    ) -> Entry:  # fmt: skip
        answer, aged = self.write(record), look.sent + self.cache.longest
        keeps = cells is not None and not (touched and (grave or ACCESS_TOKEN_PREFIX + digest) in touched)
        if cells is None or not keeps:
            # Good for this one use, and no longer than a proof counts.
            entry = Entry(answer, until, look.sent + self.cache.max_staleness, ())
        elif grave:
            entry = SignedEntry(answer, until, aged, cells, grave)
        else:
            entry = Entry(answer, until, aged, cells)
        if record.audience:
            entry.views = {}
        if keeps:
            self.cache.keep(digest, entry)
        return entry

    def _ground(
        self, record: AccessToken, look: _Look, touched: frozenset[bytes] | None, aged: float, signed: bool
    ) -> _Ground:
        """What a token stands on, as the numbers tell; its cells are held, and know the numbers that were read."""
        names = [name for name, _ in _issued_under(record, signed)]
        resources = [name for name, _ in _resources(record.audience)]
        issued = (record.generations.world, record.generations.client, record.generations.user)
        # A machine's token was issued under no user's generation, and none for resources that nobody had revoked yet.
        alive = all(
            (number or 0) >= look.numbers[name] > 0 for name, number in zip(names, issued, strict=False)
        ) and all(
            number >= look.numbers[name]
            for name, number in zip(resources, record.resource_generations or (0,) * len(resources), strict=True)
        )
        until = math.inf
        if record.grant:
            name = naming.key(kinds.grant(record.grant))
            names.append(name)
            until = look.numbers[name]  # it may be given longer: then this is read again
        if not alive or touched is None or not touched.isdisjoint((*names, *resources)):
            return _Ground(alive, until, None)
        return _Ground(alive, until, self._cells(names, resources, look, aged))

    def _cells(self, names: list[bytes], resources: list[bytes], look: _Look, aged: float) -> tuple[Cell, ...]:
        """The four cells of these names, and of resources, which fall with the world's; held."""
        cache = self.cache
        cells = (*map(cache.cell, names), *(ALWAYS,) * (4 - len(names)))
        if resources:
            cells = (cache.whole((names[0], *resources)), *cells[1:])
        cache.hold(cells)  # else the first entry, evicted at once, would take its cells with it
        for name in (*names, *resources):
            if name not in look.remembered:
                cell = cache.cell(name)
                cell.number, cell.aged = look.numbers[name], aged
        return cells


def _stands_on(record: AccessToken, signed: bool) -> tuple[tuple[bytes, str], ...]:
    """The names of the generations that a token stands on, and their subjects."""
    issued_under = _issued_under(record, signed)
    return (*issued_under, *_resources(record.audience)) if record.audience else issued_under


def _issued_under(record: AccessToken, signed: bool) -> tuple[tuple[bytes, str], ...]:
    """Those that it was issued under, of the world, its client and its user.

    :param signed: is it not written down? Then it stands on our keys, too.
    """
    return _subjects(record.client_id, record.user_id if record.generations.user else "", signed)  # 0 for a machine


@lru_cache(maxsize=4096)
def _subjects(client_id: str, user_id: str, signed: bool) -> tuple[tuple[bytes, str], ...]:
    machine = (naming.SIGNED if signed else naming.WORLD, "world"), _subject("client", client_id)
    return (*machine, _subject("user", user_id)) if user_id else machine


@lru_cache(maxsize=1024)
def _resources(audience: tuple[str, ...]) -> tuple[tuple[bytes, str], ...]:
    return tuple(_subject("resource", resource) for resource in audience)


def _subject(sort: str, ident: str) -> tuple[bytes, str]:
    subject = f"{sort}:{ident}"
    return naming.generation(subject), subject
