"""What people agreed to, remembered per user, client and scopes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import frozen

from oauthd.protocol.records import Client, Consent, User
from oauthd.stores import kinds
from oauthd.stores.interface import IStore, Ref, Write


@frozen
class Consents:
    """Remembered consents.

    :ivar lifetime: seconds until a person is asked again.
    """

    store: IStore
    clock: Callable[[], float]
    lifetime: int

    async def find(self, user: User, client: Client) -> tuple[str, ...] | None:
        """The scopes that the user agreed to for this client; None where there was no consent."""
        (stored,) = await self.store.get(self._ref(user, client))
        if stored is None or stored.record.client_number != client.number:
            return None
        scope: tuple[str, ...] = stored.record.scope
        return scope

    async def remember(self, user: User, client: Client, scope: Iterable[str]) -> None:
        """Keep what the user agreed to, beside what was agreed to before."""
        agreed = tuple(dict.fromkeys((*(await self.find(user, client) or ()), *scope)))
        record = Consent(agreed, client.number, int(self.clock()) + self.lifetime)
        await self.store.put(Write(self._ref(user, client), record))

    def _ref(self, user: User, client: Client) -> Ref[Consent]:
        return kinds.CONSENT.at(f"{user.user_id}:{client.client_id}")
