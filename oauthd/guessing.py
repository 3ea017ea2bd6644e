"""How often user codes may be tried (RFC 8628 section 5.1): per source and altogether, in windows of a minute.

A try is counted before its outcome is known and given back when it was right, so parallel guesses share one count.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen

from oauthd.config import DeviceSettings
from oauthd.protocol.errors import TOO_MANY_REQUESTS
from oauthd.protocol.lockout import canonical_source
from oauthd.protocol.records import Tally
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, IStore, Ref, Stored, Write

WINDOW = 60  # seconds
RETRIES = 20


@frozen
class Guessing:
    """Counts tries of user codes."""

    store: IStore
    seals: Seals
    settings: DeviceSettings
    clock: Callable[[], float]

    async def count(self, source: str) -> None:
        """Count a try.

        :raises OAuthError: `too_many_requests` with Retry-After when there were too many.
        """
        for ref, limit in self._counters(source):
            await self._change(ref, 1, limit)

    async def give_back(self, source: str) -> None:
        """The try was right: it does not count."""
        for ref, _ in self._counters(source):
            await self._change(ref, -1, None)

    def _counters(self, source: str) -> list[tuple[Ref[Tally], int]]:
        one = kinds.TALLY.at(self.seals.digest("user code tries", canonical_source(source).encode())[:16])
        return [(one, self.settings.source_tries), (kinds.TALLY.at("user codes"), self.settings.total_tries)]

    async def _change(self, ref: Ref[Tally], by: int, limit: int | None) -> None:
        for _ in range(RETRIES):
            (stored,) = await self.store.get(ref)
            now = int(self.clock())
            tally = stored.record if stored else Tally(0, now + WINDOW)
            if limit is not None and tally.count >= limit:
                wait = str(max(1, tally.expires_at - now))
                raise TOO_MANY_REQUESTS("too many codes were tried", headers={"Retry-After": wait})
            if stored is None and by < 0:
                return
            if await self._swap(ref, stored, evolve(tally, count=max(0, tally.count + by))):
                return
        raise TOO_MANY_REQUESTS("too many codes are being tried at once", headers={"Retry-After": "1"})

    async def _swap(self, ref: Ref[Tally], stored: Stored[Tally] | None, tally: Tally) -> bool:
        write = (Write(ref, tally),)
        if stored is None:
            return await self.store.commit(Commit(absent=(ref,), writes=write))
        return await self.store.commit(Commit(expected=(stored,), writes=write))
