"""How often user codes may be tried (RFC 8628 section 5.1): per source and altogether, in windows of a minute.

A try is counted before its outcome is known and given back when it was right, so parallel guesses share one count.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from oauthd.config import DeviceSettings
from oauthd.protocol.records import Tally
from oauthd.protocol.seals import Seals
from oauthd.stores import kinds, tallies
from oauthd.stores.interface import IStore, Ref


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
        one = tallies.of_source(self.seals, "user code tries", source)
        return [(one, self.settings.source_tries), (kinds.TALLY.at("user codes"), self.settings.total_tries)]

    async def _change(self, ref: Ref[Tally], by: int, limit: int | None) -> None:
        await tallies.change(self.store, ref, by, limit, int(self.clock()), "codes were tried")
