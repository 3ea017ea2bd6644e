"""What people agreed to, remembered per user, client and scopes.

Of a client that registered itself, also by where they were told that they are sent: it could name a place that people
trust, and then another of its own. The redirect URIs that an operator has registered are trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import frozen

from oauthd.protocol.records import Client, Consent, User
from oauthd.protocol.redirects import RedirectUri
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

    async def find(self, user: User, client: Client, redirect: RedirectUri) -> tuple[str, ...] | None:
        """The scopes that the user agreed to for this client there; None where there was no consent."""
        (stored,) = await self.store.get(_ref(user, client, redirect))
        if stored is None or stored.record.client_number != client.number:
            return None
        scope: tuple[str, ...] = stored.record.scope
        return scope

    async def remember(self, user: User, client: Client, redirect: RedirectUri, scope: Iterable[str]) -> None:
        """Keep what the user agreed to, beside what was agreed to before."""
        agreed = tuple(dict.fromkeys((*(await self.find(user, client, redirect) or ()), *scope)))
        record = Consent(agreed, client.number, int(self.clock()) + self.lifetime)
        await self.store.put(Write(_ref(user, client, redirect), record))


def _ref(user: User, client: Client, redirect: RedirectUri) -> Ref[Consent]:
    place = kinds.digest(redirect.place).hex() if client.registered_itself else ""
    return kinds.CONSENT.at(f"{user.user_id}:{client.client_id}{place and ':'}{place}")
