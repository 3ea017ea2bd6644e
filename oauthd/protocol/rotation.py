"""The life of signing keys, as rules over a `KeyRing`: announced, signing, retired, gone.

Of the keys of one algorithm the newest whose `signs_from` has come is the one that signs; a key retires when everything
that its successor found signed by it has ended. So the stages follow from the ring and the clock alone, and nodes
whose clocks differ a little, or that read the ring late, go wrong nowhere: a key is published long before and long
after it signs. What keys are made of and how they are stored is for `oauthd.keys`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from oauthd.protocol.records import KeyRing, SealedKey

LATE: Final = 300
"""Seconds for which another node may go on signing with a key after its successor has taken over."""


class Stage(Enum):
    """The stages of a key's life."""

    ANNOUNCED = "announced"
    SIGNING = "signing"
    RETIRED = "retired"


def of_algorithm(ring: KeyRing, algorithm: str) -> tuple[SealedKey, ...]:
    """The keys of one algorithm in the order in which they sign; within a second, in which they were made."""
    keys = (key for key in ring.keys if key.algorithm == algorithm)
    return tuple(sorted(keys, key=lambda key: key.signs_from))


def signing(ring: KeyRing, algorithm: str, now: float) -> SealedKey | None:
    """The key that signs now; the first one also on a node whose clock says that it was not made yet."""
    keys = of_algorithm(ring, algorithm)
    begun = [key for key in keys if key.signs_from <= now]
    return begun[-1] if begun else next(iter(keys), None)


def stage(ring: KeyRing, key: SealedKey, now: float) -> Stage:
    """Where a key of the ring stands."""
    if signing(ring, key.algorithm, now) == key:
        return Stage.SIGNING
    return Stage.ANNOUNCED if key.signs_from > now else Stage.RETIRED


def published(ring: KeyRing, algorithms: Sequence[str], now: float) -> tuple[SealedKey, ...]:
    """The keys that a verifier may meet, by algorithm, oldest first: the same order on every node."""
    others = sorted({key.algorithm for key in ring.keys} - set(algorithms))
    ordered = (key for algorithm in (*algorithms, *others) for key in of_algorithm(ring, algorithm))
    return tuple(key for key in ordered if not _gone(key, now))


def swept(ring: KeyRing, now: float) -> KeyRing:
    """The ring without what no verifier needs any more."""
    return KeyRing(tuple(key for key in ring.keys if not _gone(key, now)))


def joined(ring: KeyRing, fresh: Iterable[SealedKey], retirement: int) -> KeyRing:
    """The ring with new keys, and every key that has a successor given its end.

    :param retirement: seconds from a key's last signature until the last thing it signed has ended.
    """
    ring = KeyRing((*ring.keys, *fresh))
    ends: dict[str, int] = {}
    for algorithm in {key.algorithm for key in ring.keys}:
        for key, successor in pairwise(of_algorithm(ring, algorithm)):
            # An end once set never comes nearer: what was signed meanwhile counted on it.
            ends[key.kid] = max(key.retires_at or 0, successor.signs_from + retirement + LATE)
    return KeyRing(tuple(replace(key, retires_at=ends.get(key.kid, key.retires_at)) for key in ring.keys))


def missing(ring: KeyRing, algorithms: Iterable[str]) -> tuple[str, ...]:
    """The algorithms that have no key yet."""
    return tuple(algorithm for algorithm in algorithms if not of_algorithm(ring, algorithm))


def due(ring: KeyRing, algorithms: Iterable[str], now: float, period: int, announce: int) -> tuple[str, ...]:
    """The algorithms whose next key must be announced now, so that it signs `period` seconds after the last began."""
    if not period:
        return ()
    newest = {algorithm: keys[-1] for algorithm in algorithms if (keys := of_algorithm(ring, algorithm))}
    return tuple(name for name, key in newest.items() if key.signs_from + period - announce <= now)


def _gone(key: SealedKey, now: float) -> bool:
    return key.retires_at is not None and key.retires_at <= now
