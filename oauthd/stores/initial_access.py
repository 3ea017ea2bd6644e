"""Initial access tokens (RFC 7591 section 3): issued by administrators, good for so many registrations until some time.

A token is known by its digest, and called by the beginning of that. A use is spent in one step, after everything about
the registration was found to be right, and before the client is stored: of a hundred that arrive at once with a token
for one, one gets its client.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from msgspec.structs import replace

from oauthd.protocol import opaque
from oauthd.protocol.errors import INVALID_TOKEN, NOT_FOUND, OAuthError
from oauthd.protocol.records import InitialAccess
from oauthd.stores import kinds
from oauthd.stores.interface import IStore, Page, Ref, Write
from oauthd.stores.swap import readings, swap

TRIES = 200  # many may register at the same time


@frozen
class InitialAccessTokens:
    """Every initial access token of the store."""

    store: IStore
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]

    async def issue(self, facts: InitialAccess) -> tuple[InitialAccess, str]:
        """A new token, told this once; its id and time are set here."""
        token = opaque.make(opaque.INITIAL_ACCESS, self.entropy)
        record = replace(facts, token_id=_token_id(token), created_at=int(self.clock()))
        await self.store.put(Write(_ref(record.token_id), record))
        return record, token

    async def find(self, token: str) -> InitialAccess:
        """What a token allows.

        :raises OAuthError: `invalid_token` for one that is unknown, used up or past its end.
        """
        if opaque.parse(opaque.INITIAL_ACCESS, token) is None:
            raise _dead()
        (stored,) = await self.store.get(_ref(_token_id(token)))
        if stored is None:
            raise _dead()
        record: InitialAccess = stored.record
        return record

    async def spend(self, token_id: str) -> None:
        """Count a use.

        :raises OAuthError: `invalid_token` when there is none left.
        """
        ref = _ref(token_id)
        async for stored in readings(self.store, ref, TRIES):
            if stored is None:
                raise _dead()
            left = stored.record.uses - 1
            if await swap(self.store, ref, stored, replace(stored.record, uses=left) if left > 0 else None):
                return
        raise _dead()

    async def page(self, cursor: str | None, limit: int) -> Page[InitialAccess]:
        """A page of those that can still be used."""
        page: Page[InitialAccess] = await self.store.scan(kinds.INITIAL, cursor, limit)
        return page

    async def revoke(self, token_id: str) -> None:
        """Take a token back; what was registered with it stays.

        :raises OAuthError: `not_found`.
        """
        ref = _ref(token_id)
        (stored,) = await self.store.get(ref)
        if stored is None:
            raise NOT_FOUND("there is no such initial access token")
        await self.store.forget(ref)


def _dead() -> OAuthError:
    return INVALID_TOKEN("the initial access token is expired, used up, revoked or unknown")


def _token_id(token: str) -> str:
    return kinds.digest(token).hex()[:32]


def _ref(token_id: str) -> Ref[InitialAccess]:
    return kinds.INITIAL_ACCESS.at(token_id)
