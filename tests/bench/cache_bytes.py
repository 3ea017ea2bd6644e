"""What an entry of the cache takes, and how long changing and emptying a full one holds the reactor up.

    python -m tests.bench.cache_bytes [entries]

Each kind is measured in a process of its own: resident memory for an entry, beside what the cache thinks it takes
(`ENTRY_BYTES` and its like in `oauthd.stores.cache`). Times are of the CPU.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace
from twisted.internet.task import Clock

from oauthd.protocol.introspection import INACTIVE, active
from oauthd.protocol.records import AccessToken
from oauthd.stores import naming
from oauthd.stores.answers import Answers
from oauthd.stores.cache import Cache
from oauthd.stores.codec import codec
from oauthd.stores.entries import Entry
from oauthd.stores.interface import Ref, Stored
from tests.bench.store_bytes import MACHINE, NOW, PERSON
from tests.stores.case import grant

ISSUER = "https://accounts.example.com"
MOST = 10_000_000
USER = "0" * 22


def machine(n: int) -> AccessToken:
    """A token of one client; opaque or JWT, its answer is the same."""
    return replace(MACHINE, jti=f"{n:022}", expires_at=NOW + 1800 + n // 100)


def one_users(n: int) -> AccessToken:
    """A token of one user and one grant."""
    return replace(PERSON, jti=f"{n:022}", user_id=USER, grant=USER, expires_at=NOW + 1800 + n // 100)


def own_grant(n: int) -> AccessToken:
    """A token of a user, under a grant of its own, ten to a user."""
    return replace(PERSON, jti=f"{n:022}", user_id=f"{n // 10:022}", grant=f"{n:022}", expires_at=NOW + 1800 + n // 100)


def own_user(n: int) -> AccessToken:
    """The only token of a user."""
    return replace(own_grant(n), user_id=f"{n:022}")


def bound(n: int) -> AccessToken:
    """A machine's token with an audience, that two callers have asked about."""
    return replace(machine(n), audience=("https://api.example.com",))


KINDS: dict[str, Callable[[int], AccessToken]] = {
    one.__name__: one for one in (machine, bound, one_users, own_grant, own_user)
}


class Recited:
    """A store in which every token stands."""

    def __init__(self, make: Callable[[int], AccessToken]) -> None:
        self._make = make

    async def get(self, *refs: Ref[Any]) -> tuple[Stored[Any] | None, ...]:
        """The token of each number."""
        written = codec(AccessToken)
        records = [written.encode(self._make(int.from_bytes(ref.ident, "big"))) for ref in refs]
        return tuple(Stored(ref, written.decode(raw), b"") for ref, raw in zip(refs, records, strict=True))

    async def get_with_generations(self, refs: Any, subjects: Any) -> tuple[list[Stored[Any]], list[int]]:
        """A grant for each reference, and the first generation."""
        return [Stored(ref, grant(9000), b"") for ref in refs], [1] * len(subjects)


def filled(make: Callable[[int], AccessToken], count: int) -> Cache:
    """A cache that has been asked about so many tokens."""
    reactor = Clock()
    cache = Cache(lambda: 0.0, lambda: float(NOW), most_entries=MOST, most_bytes=1 << 40)
    cache.prove(0.0)
    answers = Answers(Recited(make), cache, reactor, partial(active, issuer=ISSUER))  # type: ignore[arg-type]
    callers = [Entry(None, 0.0, 0.0, ()) for _ in range(2)]
    for begin in range(0, count, 100):
        # The digest is the token's number: as many random octets as any other, for what they take.
        asked = [answers.find(n.to_bytes(32, "big")) for n in range(begin, min(begin + 100, count))]
        reactor.advance(0)
        for one in asked:
            one.addCallback(partial(seen, callers))
    return cache


def seen(callers: list[Entry], entry: Entry) -> None:
    """These have asked."""
    if entry.views is not None:
        entry.views.update(dict.fromkeys(callers, INACTIVE))


def resident() -> int:
    """Octets of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def spent(work: Callable[[], Any]) -> float:
    """CPU milliseconds."""
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1e3


def measure(name: str, count: int) -> None:
    """Print one line."""
    filled(KINDS[name], 1000)  # whatever is made once
    gc.collect()
    before = resident()
    cache = filled(KINDS[name], count)
    gc.collect()
    taken, thought = (resident() - before) / count, cache.weight / count
    value = sum(len(entry.value) for entry in cache.entries.values()) / count
    subject = naming.generation(f"user:{USER}") if name == "one_users" else naming.WORLD
    change, flush = spent(lambda: cache.changed(subject)), spent(cache.flush)
    pieces = [flush]
    while cache._former:
        pieces.append(spent(cache.sweep))
    print(
        f"{name:10} {taken:6.0f} bytes an entry ({value:.0f} of them the answer), counted as {thought:.0f};  "
        f"change {change:.3f} ms, flush {flush:.2f} ms, then {len(pieces) - 1} pieces, {sum(pieces):.0f} ms in all, "
        f"longest {max(pieces):.1f}"
    )


def main(count: str = "100000", name: str = "") -> None:
    """Measure each kind in a process of its own."""
    if name:
        measure(name, int(count))
        return
    for one in KINDS:
        subprocess.run((sys.executable, "-m", "tests.bench.cache_bytes", count, one), check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
