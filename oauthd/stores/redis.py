"""Records in a Redis-compatible server: the verbs of `IStore` as commands and scripts.

The injected clock decides whether a record lives. The server's own time to live is set `MARGIN` seconds longer, counted
from our now and not from a date, so that it makes no difference what the server's clock says; it only sweeps. Whatever
can end has a time to live from its birth, indexes included.

An index names records by score: when they end, or for lasting kinds their number or date. It is a hint: the record
decides, so a listing looks at each record it shows, and takes out members whose record is gone or has left the index.

Left to others: connections and their errors (`connection`), bytes (`codec`), names (`naming`), what records mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from oauthd.protocol.records import Generations
from oauthd.stores import cursor as cursors
from oauthd.stores import naming, scripts
from oauthd.stores.codec import codec
from oauthd.stores.connection import RedisConnection
from oauthd.stores.interface import Commit, IStore, Kind, Page, Ref, Stored, StoreUnavailable, Write, no_indexes
from oauthd.stores.kinds import KINDS
from oauthd.stores.pool import Command

MARGIN = 60  # seconds that the server keeps a record after its end
LONGEST_PAGE = 1000


@implementer(IStore)
class RedisStore:
    """The store.

    :param clock: wall-clock seconds since the epoch.
    :param kinds: every kind that indexes may name.
    """

    _log = Logger()

    def __init__(
        self, connection: RedisConnection, clock: Callable[[], float], kinds: Iterable[Kind[Any]] = KINDS
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._members = naming.Members(kinds)

    async def get(self, *refs: Ref[Any]) -> tuple[Stored[Any] | None, ...]:
        """Read records in one round trip; see `IStore`.

        :raises Unreadable: for a record of a version too far from ours.
        """
        if not refs:
            return ()
        # One MGET costs a tenth of as many GETs. A cluster would want one for each slot.
        (raws,) = await self._connection.call(("MGET", *map(naming.key, refs)))
        now = self._clock()
        return tuple(
            None if raw is None else _living(ref, raw, now) for ref, raw in zip(refs, raws, strict=True)
        )

    async def put(self, *writes: Write[Any]) -> None:
        """Write records and their index entries; see `IStore`."""
        now = self._clock()
        commands: list[Command] = []
        for write in writes:
            commands.append(_set(write, now))
            commands.extend(_entries(write, write.ref.kind.indexes(write.record), now))
        if commands:
            await self._connection.call(*commands)

    async def commit(self, commit: Commit) -> bool:
        """Carry out an atomic step; see `IStore`.

        A commit sent again because its reply was lost is recognised when one of the records it replaces carries an
        attempt id (`spent`) that it did not carry before: only this makes it certain that nobody else wrote the same.

        :raises ValueError: when its records do not share a slot.
        """
        now = self._clock()
        if any(_ended(stored.ref.kind, stored.record, now) for stored in commit.expected):
            return False
        command, witnessed = _step(commit, now)
        (done,) = await self._connection.call(command, again=witnessed)
        if not done:
            return False
        entries = _changes(commit, now)
        if entries:
            try:
                await self._connection.call(*entries)
            except StoreUnavailable as error:
                # The step itself is done and must not look failed. A record is missing in a list, or is skipped there.
                self._log.warn("the indexes of a commit were not written: {error}", error=str(error))
        return True

    async def forget(self, *refs: Ref[Any]) -> None:
        """Remove records and what indexes say of them; see `IStore`."""
        if not refs:
            return
        # GETDEL tells which indexes the record was in.
        raws = await self._connection.call(
            *(("DEL" if ref.kind.indexes is no_indexes else "GETDEL", naming.key(ref)) for ref in refs)
        )
        entries = [
            _leaves(ref, name)
            for ref, raw in zip(refs, raws, strict=True)
            if isinstance(raw, bytes)
            for name in ref.kind.indexes(codec(ref.kind.record).decode(raw))
        ]
        if entries:
            await self._connection.call(*entries)

    async def scan(self, index: str, cursor: str | None = None, limit: int = 100) -> Page[Any]:
        """A page of an index; see `IStore`. `limit` is held between 1 and `LONGEST_PAGE`."""
        position = None if cursor is None else cursors.read(index, cursor)
        limit = min(max(limit, 1), LONGEST_PAGE)
        where = naming.index(index)
        after = () if position is None else (position.score, position.member)
        (found,) = await self._connection.call(scripts.PAGE.on(where, args=(self._clock(), limit + 1, *after)))
        seen = [(found[n], found[n + 1], self._members.ref(found[n])) for n in range(0, len(found), 2)][:limit]
        stored = iter(await self.get(*(ref for _, _, ref in seen if ref is not None)))
        items: list[Stored[Any]] = []
        stale: list[bytes] = []
        for member, score, ref in seen:
            if ref is None:
                continue  # of a newer program: not ours to judge
            item = next(stored)
            if item is not None and index in ref.kind.indexes(item.record):
                items.append(item)
            else:
                stale += (member, score)
        if stale:
            await self._connection.call(scripts.DROP.on(where, args=tuple(stale)))
        if len(found) <= 2 * limit:
            return Page(tuple(items), None)
        member, score, _ = seen[-1]
        return Page(tuple(items), cursors.written(index, cursors.Position(float(score), member)))

    async def next_number(self, name: str) -> int:
        """The next integer of a sequence; one may be left out when a reply was lost."""
        return await self._number(("INCR", naming.sequence(name)))

    async def generations(self, client_id: str, user_id: str = "") -> Generations:
        """Today's generations; see `IStore`. None for what has not begun or has ended."""
        named = [f"client:{client_id}"] * bool(client_id) + [f"user:{user_id}"] * bool(user_id)
        (raws,) = await self._connection.call(("MGET", naming.WORLD, *map(naming.generation, named)))
        numbers = iter([None if raw is None or int(raw) <= 0 else int(raw) for raw in raws])
        return Generations(next(numbers), next(numbers) if client_id else 0, next(numbers) if user_id else 0)

    async def begin(self, subject: str) -> int:
        """Start a subject's generation if it has not begun or has ended; the number in force, from 1."""
        return await self._number(scripts.BEGIN.on(naming.generation(subject)))

    async def raise_generation(self, subject: str) -> int:
        """Raise a subject's generation; the number in force, 0 for a subject that has not begun or has ended."""
        return await self._number(scripts.RAISE.on(naming.generation(subject)))

    async def end(self, subject: str, keep: int) -> None:
        """End a subject; see `IStore`. `keep` is in seconds, at least the longest life of what it was issued."""
        await self._number(scripts.END.on(naming.generation(subject), args=(keep,)))

    async def _number(self, command: Command) -> int:
        (number,) = await self._connection.call(command)
        return int(number)


def _living(ref: Ref[Any], raw: bytes, now: float) -> Stored[Any] | None:
    record = codec(ref.kind.record).decode(raw)
    return None if _ended(ref.kind, record, now) else Stored(ref, record, raw)


def _ended(kind: Kind[Any], record: Any, now: float) -> bool:
    return not kind.lasting and record.expires_at <= now


def _ttl(kind: Kind[Any], record: Any, now: float) -> int:
    """Seconds the server keeps a record from now on; 0 for ever."""
    return 0 if kind.lasting else max(math.ceil(record.expires_at - now), 0) + MARGIN


def _raw(write: Write[Any]) -> bytes:
    return codec(write.ref.kind.record).encode(write.record)


def _set(write: Write[Any], now: float) -> Command:
    ttl = _ttl(write.ref.kind, write.record, now)
    return ("SET", naming.key(write.ref), _raw(write), *(("EX", ttl) if ttl else ()))


def _entries(write: Write[Any], names: Iterable[str], now: float) -> list[Command]:
    """Commands that enter a record into indexes."""
    kind, record, member = write.ref.kind, write.record, naming.member(write.ref)
    if kind.lasting:
        score = getattr(record, "number", None) or getattr(record, "created_at", 0)
        return [("ZADD", naming.index(name), score, member) for name in names]
    words = (record.expires_at, member, now, _ttl(kind, record, now))
    return [scripts.INDEX.on(naming.index(name), args=words) for name in names]


def _leaves(ref: Ref[Any], name: str) -> Command:
    return ("ZREM", naming.index(name), naming.member(ref))


def _changes(commit: Commit, now: float) -> list[Command]:
    """What a commit changes in the indexes."""
    commands: list[Command] = []
    kept: dict[Ref[Any], set[str]] = {ref: set() for ref in commit.forgets}
    for write in commit.writes:
        names = list(write.ref.kind.indexes(write.record))
        kept[write.ref] = set(names)
        commands.extend(_entries(write, names, now))
    for stored in commit.expected:
        if stored.ref in kept:
            left = set(stored.ref.kind.indexes(stored.record)) - kept[stored.ref]
            commands.extend(_leaves(stored.ref, name) for name in sorted(left))
    return commands


def _step(commit: Commit, now: float) -> tuple[Command, bool]:
    """The script call of a commit, and whether a second call would recognise the first."""
    written = [write.ref for write in commit.writes]
    refs = [*(stored.ref for stored in commit.expected), *commit.absent, *commit.alive, *written, *commit.forgets]
    keys = [naming.key(ref) for ref in refs]
    if len(set(keys)) > 1 and (len({ref.slot for ref in refs}) > 1 or not refs[0].slot):
        raise ValueError("the records of a commit must share a slot")
    raws = [_raw(write) for write in commit.writes]
    witness, testimony = _witness(commit, raws)
    words: list[scripts.Word] = [
        len(commit.expected), len(commit.absent), len(commit.alive), len(commit.writes), len(commit.forgets),
        witness, testimony, now,
    ]  # fmt: skip
    words.extend(stored.raw for stored in commit.expected)
    for write, raw in zip(commit.writes, raws, strict=True):
        words += (raw, _ttl(write.ref.kind, write.record, now))
    return scripts.COMMIT.on(*keys, args=tuple(words)), witness > 0


def _witness(commit: Commit, raws: list[bytes]) -> tuple[int, int]:
    """Which expected record, replaced by which write, carries the attempt's id; counted from 1, or 0 and 0."""
    replaced = {stored.ref: (number, stored) for number, stored in enumerate(commit.expected, 1)}
    for number, write in enumerate(commit.writes, 1):
        if write.ref in replaced and getattr(write.record, "spent", None) is not None:
            which, stored = replaced[write.ref]
            if stored.record.spent is None:
                return which, number
    return 0, 0
