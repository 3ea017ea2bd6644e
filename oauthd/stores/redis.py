"""Records in a Redis-compatible server: the verbs of `IStore` as commands and scripts.

The injected clock decides whether a record lives. The server's own time to live is set `MARGIN` seconds longer, counted
from our now and not from a date, so that it makes no difference what the server's clock says; it only sweeps. Whatever
can end has a time to live from its birth, indexes included.

What others may have kept something of is told in the step that changes it, by the name of its key on one channel, and
`changed` is told in this process too, as soon as the step may have happened and before the caller goes on.

An index names records by score: when they end, or for lasting kinds their number or date. It is a hint: the record
decides, so a listing looks at each record it shows, and takes out members whose record is gone or has left the index.

Left to others: connections and their errors (`connection`), bytes (`codec`), names (`naming`), what records mean.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import compress
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from oauthd.protocol import standing
from oauthd.protocol.records import Generations
from oauthd.stores import cursor as cursors
from oauthd.stores import naming, scripts
from oauthd.stores.codec import codec
from oauthd.stores.connection import RedisConnection
from oauthd.stores.durable import Confirming
from oauthd.stores.indexes import Indexes, entering
from oauthd.stores.interface import (
    Commit,
    IStore,
    Kind,
    Page,
    Ref,
    Stored,
    Told,
    Write,
    no_indexes,
)
from oauthd.stores.kinds import ACCESS_TOKEN, GRANT, KINDS, SESSION, grants_of_session
from oauthd.stores.pool import Command
from oauthd.stores.queues import Queues
from oauthd.stores.revocations import Revocations
from oauthd.stores.steps import has_ended, raw, step, time_to_live

LONGEST_PAGE = 1000
REVOKED = (ACCESS_TOKEN, GRANT, SESSION)
"""What is revoked by being forgotten; its keys are never used again."""


@implementer(IStore)
class RedisStore(Queues):
    """The store.

    :param clock: wall-clock seconds since the epoch.
    :param kinds: every kind that indexes may name.
    :param channel: where changes are told to all processes.
    :param revoking: sends what revokes; None: as everything else.
    :param memory: remembers what was revoked and issued, for another server that may not know of it.
    :ivar indexes: what is still to be written of lists.
    :ivar changed: called with the name of each key that this process may have changed.
    """

    _log = Logger()

    def __init__(
        self,
        connection: RedisConnection,
        clock: Callable[[], float],
        kinds: Iterable[Kind[Any]] = KINDS,
        channel: bytes = naming.CHANNEL,
        revoking: Confirming | None = None,
        memory: Revocations | None = None,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._members = naming.Members(kinds)
        self._channel = channel
        self._revoke = connection.call if revoking is None else revoking.call
        self._waits = revoking is not None and bool(revoking.replicas or revoking.fsync)
        self._memory = memory
        self.indexes = Indexes(connection.call, connection.soon, clock)
        self.changed: list[Callable[[bytes], None]] = []

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

    async def records(self, kind: Kind[Any], idents: Iterable[bytes]) -> list[Any]:
        """Read many records of one kind; see `IStore`. A reference and a `Stored` for each cost 2 us."""
        (raws,) = await self._connection.call(("MGET", *[b"%b:%b" % (kind.prefix, ident) for ident in idents]))
        decode, now = codec(kind.record).decode, self._clock()
        records = [None if raw is None else decode(raw) for raw in raws]
        return [None if record is None or has_ended(kind, record, now) else record for record in records]

    async def get_with_generations(
        self, refs: Sequence[Ref[Any]], subjects: Sequence[str]
    ) -> tuple[list[Stored[Any] | None], list[int | None]]:
        """Records and generations in one read, which nothing can come between; see `IStore`."""
        names = [*map(naming.key, refs), *map(naming.generation, subjects)]
        (raws,) = await self._connection.call(("MGET", *names))
        now, numbers = self._clock(), raws[len(refs) :]
        found = [None if raw is None else _living(ref, raw, now) for ref, raw in zip(refs, raws, strict=False)]
        return found, list(map(number_in_force, numbers))

    async def present(self, refs: Sequence[Ref[Any]]) -> list[bool]:
        """Which records stand; see `IStore`."""
        if not refs:
            return []
        (found,) = await self._connection.call(scripts.PRESENT.on(*map(naming.key, refs)))
        return [one == ord("1") for one in found]

    async def put(self, *writes: Write[Any]) -> None:
        """Write records and their index entries; see `IStore`."""
        commands = self._puts(writes)
        if commands:
            await self._connection.call(*commands)
        self._remember(writes)

    def _puts(self, writes: Iterable[Write[Any]]) -> list[Command]:
        """Commands that write records; what lists them follows, for lasting ones at once."""
        now = self._clock()
        commands: list[Command] = []
        for write in writes:
            ttl = time_to_live(write, now)
            commands.append(("SET", naming.key(write.ref), raw(write), *(("EX", ttl) if ttl else ())))
            names = write.ref.kind.indexes(write.record)
            if write.ref.kind.lasting:
                commands.extend(_lists(write, name) for name in names)
            else:
                self.indexes.enter(write.ref, names, write.record.expires_at, ttl)
        return commands

    def _remember(self, writes: Iterable[Write[Any]]) -> None:
        if self._memory is not None:
            for write in writes:
                if write.ref.kind is ACCESS_TOKEN:
                    self._memory.wrote(naming.key(write.ref))

    async def commit(self, commit: Commit) -> bool:
        """Carry out an atomic step; see `IStore`.

        A commit sent again because its reply was lost is recognised when one of the records it replaces carries an
        attempt id (`spent`) that it did not carry before: only this makes it certain that nobody else wrote the same.

        :raises ValueError: when its records do not share a slot.
        """
        (done,) = await self.commits((commit,))
        return done

    async def commits(self, commits: Sequence[Commit]) -> list[bool]:
        """Carry out atomic steps; see `IStore`.

        :raises ValueError: when the records of one do not share a slot; then none is carried out.
        """
        now = self._clock()
        steps = [step(commit, now, self._channel) for commit in commits]
        commands: list[Command] = []
        places: list[int] = []
        for commit, one in zip(commits, steps, strict=True):
            if one is not None:
                commands += self._puts(commit.puts)
                commands += _given(commit, now)
                places.append(len(commands))
                commands.append(one.command)
        if not commands:
            return [False] * len(commits)
        sent = [one for one in steps if one is not None]
        try:
            # One that would not recognise itself is refused then, if it was carried out and changed something.
            again = any(one.witnessed for one in sent)
            replies = await self._connection.call(*commands, again=again)
        finally:
            for one in sent:
                self._tell_here(one.told)  # also where it failed: its outcome may be unknown
        place = iter(places)
        done = [one is not None and bool(replies[next(place)]) for one in steps]
        for commit in compress(commits, done):
            self._remember(commit.puts)
            self._list(commit, now)
        return done

    def _list(self, commit: Commit, now: float) -> None:
        """Bring the indexes in step with a commit; nobody waits for it, since the step itself is done."""
        kept: dict[Ref[Any], Collection[str]] = dict.fromkeys(commit.forgets, ())
        for write in commit.writes:
            names = kept[write.ref] = tuple(write.ref.kind.indexes(write.record))
            if not names:
                continue
            if not write.ref.kind.lasting:
                self.indexes.enter(write.ref, names, write.record.expires_at, time_to_live(write, now))
            else:
                commands = [_lists(write, name) for name in names]
                ensureDeferred(self._connection.call(*commands)).addErrback(self._unlisted)
        for stored in commit.expected:
            if stored.ref in kept:
                left = [name for name in stored.ref.kind.indexes(stored.record) if name not in kept[stored.ref]]
                self.indexes.leave(stored.ref, left)

    def _list_again(self, write: Write[Any], lives: int) -> None:
        names = tuple(write.ref.kind.indexes(write.record))
        if names:
            self.indexes.enter(write.ref, names, write.record.expires_at, lives)

    def _unlisted(self, failure: Failure) -> None:
        self._log.warn("the index of a lasting record was not written: {error}", error=failure.getErrorMessage())

    async def forget(self, *refs: Ref[Any]) -> None:
        """Remove records and what indexes say of them; see `IStore`."""
        if not refs:
            return
        told = [naming.key(ref) for ref in refs if ref.kind.told is not Told.NOTHING]
        revoked = [naming.key(ref) for ref in refs if ref.kind in REVOKED]
        try:
            raws = await (self._revoke if revoked else self._connection.call)(*map(self._removal, refs))
        finally:
            self._tell_here(told)
            if self._memory is not None:
                for name in revoked:  # also where it failed: it was asked for, and doing it again harms nobody
                    self._memory.forgot(name)
        entries = [
            _leaves(ref, name)
            for ref, raw in zip(refs, raws, strict=True)
            if isinstance(raw, bytes)
            for name in ref.kind.indexes(codec(ref.kind.record).decode(raw))
        ]
        if entries:
            await self._connection.call(*entries)

    async def bury(self, *writes: Write[Any]) -> None:
        """Write the end of something; see `IStore`. Done twice it is the same."""
        now = self._clock()
        commands: list[Command] = []
        for write in writes:
            words = (self._channel, raw(write), time_to_live(write, now))
            commands.append(scripts.BURY.on(naming.key(write.ref), args=words))
        names = [naming.key(write.ref) for write in writes]
        try:
            await self._revoke(*commands)
        finally:
            self._tell_here(names)
            if self._memory is not None:
                for name, command in zip(names, commands, strict=True):  # also where it failed
                    self._memory.buried(name, command)

    async def scan(self, index: str, cursor: str | None = None, limit: int = 100) -> Page[Any]:
        """A page of an index; see `IStore`. `limit` is held between 1 and `LONGEST_PAGE`."""
        position = None if cursor is None else cursors.read(index, cursor)
        limit = min(max(limit, 1), LONGEST_PAGE)
        where = naming.index(index)
        after = () if position is None else (position.score, position.member)
        await self.indexes.written()
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

    async def count(self, index: str) -> int:
        """How many an index lists; see `IStore`."""
        return await self._number(("ZCARD", naming.index(index)))

    async def next_number(self, name: str) -> int:
        """The next integer of a sequence; one may be left out when a reply was lost."""
        return await self._number(("INCR", naming.sequence(name)))

    async def generations(self, client_id: str, user_id: str = "") -> Generations:
        """Today's generations; see `IStore`. None for what has not begun or has ended."""
        named = [f"client:{client_id}"] * bool(client_id) + [f"user:{user_id}"] * bool(user_id)
        (raws,) = await self._connection.call(("MGET", naming.WORLD, *map(naming.generation, named)))
        numbers = map(number_in_force, raws)
        return Generations(next(numbers), next(numbers) if client_id else 0, next(numbers) if user_id else 0)

    async def begin(self, subject: str) -> int:
        """Start a subject's generation if it has not begun or has ended; the number in force, from 1."""
        return await self._generation(scripts.BEGIN, subject)

    async def raise_generation(self, subject: str) -> int:
        """Raise a subject's generation; the number in force, 0 for a subject that has not begun or has ended."""
        unbegun = () if standing.needs_beginning(subject) else (1,)
        number = await self._generation(scripts.RAISE, subject, *unbegun)
        if self._memory is not None:
            self._memory.raised(naming.generation(subject), number, *unbegun)
        return number

    async def confirm(self) -> None:
        """Wait until what was written before is confirmed, where revocations are; see `IStore`."""
        if self._waits:
            await self._revoke(("DEL", naming.BEAT))

    async def end(self, subject: str, keep: int) -> None:
        """End a subject; see `IStore`. `keep` is in seconds, at least the longest life of what it was issued."""
        number = await self._generation(scripts.END, subject, keep)
        if self._memory is not None:
            self._memory.ended(naming.generation(subject), number, keep)

    async def _generation(self, script: scripts.Script, subject: str, *more: int) -> int:
        name = naming.generation(subject)
        send = self._connection.call if script is scripts.BEGIN else self._revoke
        try:
            (number,) = await send(script.on(name, args=(self._channel, *more)))
        finally:
            self._tell_here([name])
        return int(number)

    def _removal(self, ref: Ref[Any]) -> Command:
        name = naming.key(ref)
        if ref.kind.told is not Told.NOTHING:
            return scripts.FORGET.on(name, args=(self._channel,))
        # GETDEL tells which indexes the record was in.
        return ("DEL" if ref.kind.indexes is no_indexes else "GETDEL", name)

    def _tell_here(self, names: Iterable[bytes]) -> None:
        for name in names:
            for listener in self.changed:
                listener(name)

    async def _number(self, command: Command) -> int:
        (number,) = await self._connection.call(command)
        return int(number)


def number_in_force(raw: bytes | None) -> int | None:
    """A stored generation as a number; None for one that has not begun, or has ended (and is kept as a negative)."""
    return None if raw is None or raw[:1] == b"-" or raw == b"0" else int(raw)


def _living(ref: Ref[Any], raw: bytes, now: float) -> Stored[Any] | None:
    record = codec(ref.kind.record).decode(raw)
    return None if has_ended(ref.kind, record, now) else Stored(ref, record, raw)


def _lists(write: Write[Any], name: str) -> Command:
    """The command that enters a lasting record into an index."""
    score = getattr(write.record, "number", None) or getattr(write.record, "created_at", 0)
    return ("ZADD", naming.index(name), score, naming.member(write.ref))


def _given(commit: Commit, now: float) -> Iterable[Command]:
    """The commands that list the grants which a commit begins. They end with their session, by its list: so they stand
    there before the step, and whoever ends the session afterwards finds them, in whatever process."""
    there = {*commit.alive, *(stored.ref for stored in commit.expected)}
    for write in commit.writes:
        if write.ref.kind is GRANT and write.record.session and write.ref not in there:
            name, lives = grants_of_session(write.record.session), time_to_live(write, now)
            yield entering(write.ref, name, write.record.expires_at, lives, now)


def _leaves(ref: Ref[Any], name: str) -> Command:
    return ("ZREM", naming.index(name), naming.member(ref))
