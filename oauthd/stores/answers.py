"""Answers about access tokens: from memory, else in one read for all that were asked in a turn of the reactor.

A token is alive while its record exists, the generations it was issued under are in force, and its grant (if it has
one) stands. What is kept of it is the finished answer, under the SHA-256 of the token, on the cells of all of that. A
token that was seen alive and is dead now stays as a tombstone: it never comes back, and who goes on asking for it costs
no read. A token that was never seen alive is not kept: it may be issued the next moment (R-KEY, R-FILL).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.records import AccessToken
from oauthd.stores import kinds, naming
from oauthd.stores.cache import ACCESS_TOKEN_PREFIX, Cache, Entry, Waiters
from oauthd.stores.interface import IStore, Ref

LARGEST_BATCH = 256  # keys in one read: a longer one would hold everybody's replies up

NOBODY = -1  # the number of a subject that has no generation today, and of a grant that is gone


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

    def find(self, digest: bytes) -> Deferred[Entry]:
        """The entry about the token of that SHA-256: its `value` is the answer, `views` is not None where it has an
        audience. Not kept, it is good for one use.

        Fails with `StoreUnavailable`. Cancelling it cancels nothing that others wait for.
        """
        unsent = self._next.get(digest)
        if unsent is not None:
            waiting: Deferred[Entry] = Deferred()
            unsent.append(waiting)
            return waiting
        waiting, waiters = self.cache.join(digest)
        if waiters is not None:
            if not self._next:
                self.reactor.callLater(0, self._send)
            self._next[digest] = waiters
        return waiting

    def _send(self) -> None:
        asked, self._next = list(self._next.items()), {}
        for start in range(0, len(asked), LARGEST_BATCH):
            batch = dict(asked[start : start + LARGEST_BATCH])
            ensureDeferred(self._read(batch)).addErrback(self._failed, batch)

    def _failed(self, failure: Failure, batch: dict[bytes, Waiters]) -> None:
        for digest, waiters in batch.items():
            self.cache.tell(failure, digest, waiters)

    async def _read(self, batch: dict[bytes, Waiters]) -> None:
        cache = self.cache
        ticket = cache.open()
        try:
            found = await self.store.get(*map(kinds.ACCESS_TOKEN.at, batch))
            records = {digest: stored.record for digest, stored in zip(batch, found, strict=True) if stored is not None}
            numbers = await self._numbers(records.values())
            touched = cache.touched(ticket)
        finally:
            cache.close(ticket)
        if not cache.fresh:
            touched = None
        aged = ticket.sent + cache.longest
        for digest, waiters in batch.items():
            record = records.get(digest)
            if record is None:
                entry = self._dead(digest, touched is not None, aged)
            else:
                entry = self._entry(digest, record, numbers, touched, aged)
            cache.tell(entry, digest, waiters)

    async def _numbers(self, records: Any) -> dict[bytes, float]:
        """What stands of all that these tokens stand on: known, or read now."""
        known: dict[bytes, float] = {}
        subjects: dict[bytes, str] = {}
        grants: dict[bytes, Ref[Any]] = {}
        for record in records:
            for name, subject in _subjects(record):
                if name not in known:
                    number = self.cache.number(name)
                    if number is None:
                        subjects[name] = subject
                    else:
                        known[name] = number
            if record.grant:
                ref = kinds.grant(record.grant)
                name = naming.key(ref)
                number = self.cache.number(name)
                if number is None or number <= self.cache.clock():  # it may have been given longer
                    grants[name] = ref
                else:
                    known[name] = number
        if not subjects and not grants:
            return known
        found, numbers = await self.store.get_with_generations(list(grants.values()), list(subjects.values()))
        for name, stored in zip(grants, found, strict=True):
            known[name] = NOBODY if stored is None else stored.record.expires_at
        for name, today in zip(subjects, numbers, strict=True):
            known[name] = NOBODY if today is None else today
        return known

    def _dead(self, digest: bytes, keep: bool, aged: float) -> Entry:
        entry = Entry(INACTIVE, math.inf, aged, ())
        if keep and digest in self.cache.entries:
            self.cache.keep(digest, entry)
        return entry

    def _entry(
        self, digest: bytes, record: AccessToken, numbers: dict[bytes, float], touched: frozenset[bytes] | None,
        aged: float,
    ) -> Entry:  # fmt: skip
        until: float = record.expires_at
        names = [naming.WORLD, *(name for name, _ in _subjects(record)[1:])]
        issued = (record.generations.world, record.generations.client, record.generations.user)
        # A machine's token was issued under no user's generation.
        needed = zip(names, issued, strict=False)
        alive = all(number is not None and number >= numbers[name] > 0 for name, number in needed)
        if record.grant:
            name = naming.key(kinds.grant(record.grant))
            names.append(name)
            until = min(until, numbers[name])  # it may be given longer: then this is read again
            alive = alive and until > self.cache.clock()
        if not alive:
            return self._dead(digest, touched is not None, aged)
        keep = touched is not None and touched.isdisjoint(names) and ACCESS_TOKEN_PREFIX + digest not in touched
        cells = tuple(map(self.cache.cell, names)) if keep else ()
        for cell in cells:
            cell.number = numbers[cell.name]
        entry = Entry(self.write(record), until, aged, cells)
        if record.audience:
            entry.views = {}
        if keep:
            self.cache.keep(digest, entry)
        return entry


def _subjects(record: AccessToken) -> list[tuple[bytes, str]]:
    """The names of the generations that a token was issued under, and their subjects."""
    found = [(naming.WORLD, "world"), _subject("client", record.client_id)]
    if record.generations.user:
        found.append(_subject("user", record.user_id))
    return found


def _subject(sort: str, ident: str) -> tuple[bytes, str]:
    subject = f"{sort}:{ident}"
    return naming.generation(subject), subject
