"""The store as everybody above sees it: kinds of record, references, and a few verbs.

A `Kind` says name, class and indexes. A `Ref` finds one record; references with the same `slot` share a hash slot, so
one script may touch them together. The record's own `expires_at` decides when it ends; the server's TTL only sweeps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Generic, TypeVar

from attrs import field, frozen
from zope.interface import Interface

from oauthd.protocol.frozen import Frozen

R = TypeVar("R")


class StoreUnavailable(Exception):
    """The store did not answer, or refused to write: the outcome is unknown. Ends in a 503, never in a guess."""


class Told(Enum):
    """Which changes of a kind of record are told on the channel of the store, by the name of its key."""

    NOTHING = 0
    REMOVALS = 1
    """Only that it is gone: what was read of it holds until then."""
    CHANGES = 2


def no_indexes(record: Any) -> Iterable[str]:
    """Most kinds are found by reference only."""
    return ()


@frozen(eq=False)
class Kind(Generic[R]):
    """A kind of record; there is one of each.

    :ivar name: prefix of its keys, short; unique.
    :ivar record: its class.
    :ivar indexes: names of the indexes that list a record of this kind.
    :ivar lasting: its records have no end (clients, users, keys); all others have `expires_at`.
    :ivar prefix: the name as it stands in keys.
    :ivar told: what is told to everybody who may have kept something of such a record, in the step that does it.
    """

    name: str
    record: type[R]
    indexes: Callable[[R], Iterable[str]] = field(default=no_indexes, repr=False)
    lasting: bool = False
    told: Told = Told.NOTHING
    prefix: bytes = field(init=False, repr=False)

    @prefix.default
    def _prefix(self) -> bytes:
        return self.name.encode()

    def at(self, ident: bytes | str, slot: str = "") -> Ref[R]:
        """The reference of one record; `slot` is the hash tag it shares with its family."""
        return Ref(self, ident.encode() if isinstance(ident, str) else ident, slot)


class Ref(Frozen, Generic[R], frozen=True):
    """Where one record stands."""

    kind: Kind[R]
    ident: bytes
    slot: str = ""


class Stored(Frozen, Generic[R], frozen=True):
    """A record as it was read; `raw` is what a later `swap` or `commit` compares."""

    secret = ("raw",)

    ref: Ref[R]
    record: R
    raw: bytes


class Write(Frozen, Generic[R], frozen=True):
    """A record to be written at a reference."""

    ref: Ref[R]
    record: R


class Commit(Frozen, frozen=True):
    """One atomic step within a slot.

    :ivar expected: records that must still be exactly as read.
    :ivar absent: references that must be unused.
    :ivar alive: references that must exist (a grant), whatever they hold.
    :ivar writes: what is then written; a write at an `expected` reference replaces it.
    :ivar forgets: what is then removed.
    :ivar puts: what is written first and in any case, in the same round trip; of any slots. As `IStore.put`.
    """

    expected: tuple[Stored[Any], ...] = ()
    absent: tuple[Ref[Any], ...] = ()
    alive: tuple[Ref[Any], ...] = ()
    writes: tuple[Write[Any], ...] = ()
    forgets: tuple[Ref[Any], ...] = ()
    puts: tuple[Write[Any], ...] = ()

    def writing(self, writes: Iterable[Write[Any]], puts: Iterable[Write[Any]] = ()) -> Commit:
        """The same step with other writes."""
        return Commit(self.expected, self.absent, self.alive, tuple(writes), self.forgets, tuple(puts))


@frozen
class Page(Generic[R]):
    """A page of a listing; `cursor` continues after it, None at the end."""

    items: tuple[Stored[R], ...]
    cursor: str | None


class Claims(Frozen, frozen=True):
    """What was taken from a queue.

    :ivar held: until when; the next one may take it then.
    :ivar waiting: how many stand in the queue, those that are held included.
    :ivar broken: those of which what is stored cannot be read, by any version of this program.
    """

    items: tuple[Stored[Any], ...]
    held: float
    waiting: int
    broken: tuple[Ref[Any], ...] = ()


class IStore(Interface):
    """Records in a Redis-compatible server. Every verb raises `StoreUnavailable` when the outcome is unknown."""

    def get(*refs: Ref[Any]) -> Awaitable[tuple[Stored[Any] | None, ...]]:
        """Read records in one round trip, in the order asked; None for absent or expired."""

    def records(kind: Kind[Any], idents: Iterable[bytes]) -> Awaitable[list[Any]]:
        """The records alone, or None, of many of one kind that have no slot; as `get` at a third of its cost."""

    def get_with_generations(
        refs: Sequence[Ref[Any]], subjects: Sequence[str]
    ) -> Awaitable[tuple[list[Stored[Any] | None], list[int | None]]]:
        """Records and today's generations of subjects (`world`, `client:ID`, `user:ID`), all as of one instant."""

    def present(refs: Sequence[Ref[Any]]) -> Awaitable[list[bool]]:
        """Which records stand, in the order asked, by the server's time to live alone: a little longer than they live.

        For whoever asks about many: a tenth of the cost of reading them.
        """

    def put(*writes: Write[Any]) -> Awaitable[None]:
        """Write records with their indexes, unconditionally, in one round trip; not atomic across records.

        Only for records of which nobody can have kept anything: nothing is told.
        """

    def commit(commit: Commit) -> Awaitable[bool]:
        """Carry out an atomic step; False when a condition did not hold (then nothing was written).

        A retry after a lost reply is recognised, and True, when a record that it replaces carries its attempt id
        (`spent`) for the first time; any other commit is refused when its expected record has changed, by itself too.
        All references share a slot, or there is only one. Indexes of the written records are kept in step afterwards.
        """

    def commits(commits: Sequence[Commit]) -> Awaitable[list[bool]]:
        """Carry out several such steps in one round trip, one after the other; of each what `commit` would say.

        When the reply is lost they are sent again where one of them would recognise itself; False may then be said of
        another that was carried out. Alone it would be `StoreUnavailable`.
        """

    def forget(*refs: Ref[Any]) -> Awaitable[None]:
        """Remove records."""

    def bury(*writes: Write[Any]) -> Awaitable[None]:
        """Write records of the end of things that are not records themselves; told and confirmed as removals are."""

    def scan(index: str, cursor: str | None = None, limit: int = 100) -> Awaitable[Page[Any]]:
        """A page of an index, in the order of its scores; dead members are skipped (a page may be short).

        :raises ValueError: when the cursor is not one of ours.
        """

    def count(index: str) -> Awaitable[int]:
        """How many records an index lists; of those that end, some may have ended."""

    def enqueue(due: float, *writes: Write[Any]) -> Awaitable[None]:
        """Write records of one slot, and let them wait in its queue until they are due; what returns is in both."""

    def claim(slot: str, until: float, most: int) -> Awaitable[Claims]:
        """Take some of what is due in the queue of a slot; it is due again at `until`, if nothing is done with it."""

    def requeue(write: Write[Any], held: float, due: float | None) -> Awaitable[bool]:
        """Change a record that was taken, and let it wait again, or (None) not any more; False where it was lost.

        :param held: `Claims.held`: who was slower than that has lost it to the next one, or it is gone.
        """

    def dequeue(ref: Ref[Any]) -> Awaitable[None]:
        """Remove a record, and its place in the queue, whoever holds it."""

    def next_number(name: str) -> Awaitable[int]:
        """The next integer of a named sequence, from 1."""

    def generations(client_id: str, user_id: str = "") -> Awaitable[Any]:
        """Today's `Generations` of the world, this client and this user (0 where none is named)."""

    def begin(subject: str) -> Awaitable[int]:
        """Start a subject's generation (`client:ID`, `user:ID`, `world`) above any it had; the number in force.

        A subject that has begun and not ended stays at its number.
        """

    def raise_generation(subject: str) -> Awaitable[int]:
        """Kill all that was issued under the subject so far, in one step; the number now in force, 0 for none.

        A resource (`resource:URI`) needs no beginning: it stands at 0 until it is raised.
        """

    def confirm() -> Awaitable[None]:
        """What was ended before is confirmed as it is now; for whoever finds it ended already, and cannot know that."""

    def end(subject: str, keep: int) -> Awaitable[None]:
        """End a subject for good; its last number is remembered for `keep` seconds."""
