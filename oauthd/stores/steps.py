"""Records and atomic steps as the server is sent them: in which bytes, for how long, under which conditions."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from oauthd.stores import naming, scripts
from oauthd.stores.codec import codec
from oauthd.stores.interface import Commit, Kind, Told, Write
from oauthd.stores.pool import Command

MARGIN = 60  # seconds that the server keeps a record after its end


def has_ended(kind: Kind[Any], record: Any, now: float) -> bool:
    """Is the record none any more?"""
    return not kind.lasting and record.expires_at <= now


def time_to_live(write: Write[Any], now: float) -> int:
    """Seconds the server keeps a record from now on; 0 for ever."""
    return 0 if write.ref.kind.lasting else max(math.ceil(write.record.expires_at - now), 0) + MARGIN


def raw(write: Write[Any]) -> bytes:
    """The stored form of a record."""
    return codec(write.ref.kind.record).encode(write.record)


class Step(NamedTuple):
    """A commit as it is sent.

    :ivar witnessed: would a second call recognise the first?
    :ivar told: the names that it tells of.
    """

    command: Command
    witnessed: bool
    told: list[bytes]


def step(commit: Commit, now: float, channel: bytes) -> Step | None:
    """The script call of a commit; None where a record that it expects has ended.

    :raises ValueError: when its records do not share a slot.
    """
    if any(has_ended(stored.ref.kind, stored.record, now) for stored in commit.expected):
        return None
    refs = [stored.ref for stored in commit.expected]
    refs += commit.absent
    refs += commit.alive
    refs += [write.ref for write in commit.writes]
    refs += commit.forgets
    if len({ref.slot for ref in refs}) > 1 or (not refs[0].slot and len(set(refs)) > 1):
        raise ValueError("the records of a commit must share a slot")
    witness, testimony = _witness(commit)
    told = _told(commit)
    words: list[scripts.Word] = [
        len(commit.expected), len(commit.absent), len(commit.alive), len(commit.writes), len(commit.forgets),
        witness, testimony, now, len(told),
    ]  # fmt: skip
    words += [stored.raw for stored in commit.expected]
    for write in commit.writes:
        words += (raw(write), time_to_live(write, now))
    if told:
        words += (channel, *told)
    return Step(scripts.COMMIT.on(*map(naming.key, refs), args=tuple(words)), witness > 0, told)


def _told(commit: Commit) -> list[bytes]:
    """The names that a commit tells of."""
    changed = [write.ref for write in commit.writes if write.ref.kind.told is Told.CHANGES]
    removed = [ref for ref in commit.forgets if ref.kind.told is not Told.NOTHING]
    return [naming.key(ref) for ref in (*changed, *removed)]


def _witness(commit: Commit) -> tuple[int, int]:
    """Which expected record, replaced by which write, carries the attempt's id; counted from 1, or 0 and 0."""
    for number, write in enumerate(commit.writes, 1):
        if getattr(write.record, "spent", None) is not None:
            for which, stored in enumerate(commit.expected, 1):
                if stored.ref == write.ref and stored.record.spent is None:
                    return which, number
    return 0, 0
