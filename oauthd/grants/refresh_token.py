"""Refresh (RFC 6749 section 6) with rotation and one successor per token (RFC 9700 section 4.14.2).

A repeat by the same client with equal parameters inside the grace window gets the same answer, byte for byte: a race, a
lost reply and a crash look alike. Reuse after the window ends the grant. A token of another client changes nothing, nor
does one that is bound to a key which the request does not prove to hold. One that only who holds a key can use is not
rotated: whoever steals it has nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Any

from attrs import frozen
from msgspec.structs import replace

from oauthd.events import Events
from oauthd.grants.interface import Ask, Redemption, Repeated
from oauthd.grants.resources import narrowed_audience
from oauthd.protocol import opaque, profile, scopes
from oauthd.protocol.authorization_details import PARAMETER
from oauthd.protocol.confirmation import confirmation, covers
from oauthd.protocol.errors import INVALID_GRANT, INVALID_REQUEST
from oauthd.protocol.json_text import text
from oauthd.protocol.records import Answer, Client, Grant, RefreshToken, Spent
from oauthd.protocol.seals import SealBroken, Seals
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, IStore, Ref, Stored, Write
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.tokens import Tokens

FINGERPRINT = 32  # octets
UNKNOWN = "the refresh token is expired, revoked or unknown"


@frozen
class Refresh:
    """The grant type `refresh_token`.

    :ivar grace: seconds in which a repeat gets the same answer; 0 for none.
    :ivar refresh_idle: seconds that a refresh token lives unused.
    :ivar profile: what the server holds every client to; "" for nothing.
    """

    store: IStore
    tokens: Tokens
    catalogue: ScopeCatalogue
    events: Events
    seals: Seals
    grace: int
    refresh_idle: int
    profile: str

    grant_type = "refresh_token"
    varies = "refresh_token"

    async def redeem(self, ask: Ask) -> Redemption | Repeated:
        """The successor's tokens; or those of the first time, inside the grace window."""
        value = ask.parameters.required("refresh_token")
        refs = self.reads(ask)
        if refs is None:
            raise INVALID_GRANT(UNKNOWN)
        ref, grant_ref = refs
        stored, stored_grant, answer = await self.store.get(ref, grant_ref, kinds.answer(ref))
        if stored is None or stored_grant is None or stored.record.client_id != ask.client.client_id:
            raise INVALID_GRANT(UNKNOWN)
        if not covers(ask.binding, stored.record.binding):  # RFC 9449 section 5, RFC 8705 section 4
            raise INVALID_GRANT("the refresh token is bound to a key that the request does not prove to hold")
        grant: Grant = stored_grant.record
        if not await self.tokens.covers(grant, ask.generations):
            raise INVALID_GRANT(UNKNOWN)
        if stored.record.spent is not None:
            return await self._repeat(ask, value, ref.slot, grant, stored.record, answer.record if answer else None)
        return self._successor(ask, value, stored, stored_grant, await self._existing(stored.record.scope))

    def reads(self, ask: Ask) -> tuple[Ref[RefreshToken], Ref[Grant]] | None:
        """The token and its grant."""
        value = ask.parameters.one("refresh_token") or ""
        grant_id = opaque.parse(opaque.REFRESH_TOKEN, value)
        return None if grant_id is None else (kinds.refresh_token(grant_id, value), kinds.grant(grant_id))

    def redeem_at_once(self, ask: Ask, found: Sequence[Stored[Any] | None]) -> Redemption | None:
        """The successor's tokens, of a token of this client that was not used before and has lost no scope."""
        stored, stored_grant = found
        if stored is None or stored_grant is None:
            return None
        refresh: RefreshToken = stored.record
        if (
            refresh.spent is not None
            or refresh.client_id != ask.client.client_id
            or not covers(ask.binding, refresh.binding)
            or not self.tokens.covers_at_once(stored_grant.record, ask.generations)
        ):
            return None
        scopes_kept = self.catalogue.kept_at_once()
        if scopes_kept is None or not scopes_kept.names.issuperset(refresh.scope):
            return None
        return self._successor(ask, ask.parameters.required("refresh_token"), stored, stored_grant, refresh.scope)

    def _successor(
        self, ask: Ask, value: str, stored: Stored[RefreshToken], stored_grant: Stored[Grant], held: tuple[str, ...]
    ) -> Redemption:
        """What follows a token that is good: `held` is its scope, as far as it still exists."""
        refresh, grant, ref = stored.record, stored_grant.record, stored.ref
        scope = scopes.narrowed(ask.parameters.one("scope"), held)
        audience = narrowed_audience(refresh.audience, ask.parameters.all("resource"))
        rotates = self._rotates(ask.client, refresh)
        changed = (
            replace(refresh, spent=Spent(ask.attempt, ask.now))
            if rotates
            # Never back: two nodes whose clocks differ would undo each other's step for as long as both are asked.
            else replace(refresh, expires_at=max(refresh.expires_at, min(ask.now + self._idle(ask), grant.ends_at)))
        )
        return Redemption(
            scope=scope,
            generations=grant.generations,
            grant_id=ref.slot,
            standing=grant,
            audience=audience,
            commit=Commit(expected=(stored,), alive=(stored_grant.ref,), writes=(Write(ref, changed),)),
            refresh=rotates,
            # Section 6: the new refresh token's scope is that of the old one, whatever this answer was narrowed to.
            refresh_scope=held,
            refresh_audience=refresh.audience,
            same_refresh="" if rotates else value,
            keeps=partial(self._kept, ask, value, ref) if rotates and self.grace else None,
        )

    def _idle(self, ask: Ask) -> int:
        return self.refresh_idle if ask.client.refresh_lifetime is None else ask.client.refresh_lifetime

    def _rotates(self, client: Client, refresh: RefreshToken) -> bool:
        # RFC 9700 section 4.14.2: rotated, or good for nothing without a key; and then it stays as it is, as FAPI 2.0
        # demands (section 5.3.2.1 item 9), for an answer that is lost must not lose the grant.
        if refresh.binding or client.auth_method in profile.CLIENT_AUTHENTICATION:
            return False
        if profile.is_strict(client, self.profile):
            return False
        # RFC 9700 section 2.2.2: without rotation nobody would see that a public client's token was stolen.
        return client.rotates_refresh or not client.confidential

    async def _existing(self, scope: tuple[str, ...]) -> tuple[str, ...]:
        """What is left of a scope: nothing new is granted of one that was deleted."""
        known = (await self.catalogue.kept()).value.names
        if not known.issuperset(scope):  # taken away for good: not for a scope that was created a moment ago
            known = (await self.catalogue.all()).names
        return tuple(name for name in scope if name in known)

    def _kept(self, ask: Ask, value: str, ref: Ref[RefreshToken], body: bytes) -> Write[Answer]:
        """The finished answer, sealed for whoever holds the presented refresh token."""
        sealed = self.seals.seal_for(value, _fingerprint(ask) + body)
        return Write(kinds.answer(ref), Answer(sealed=sealed, expires_at=ask.now + self.grace))

    async def _repeat(
        self, ask: Ask, value: str, grant_id: str, grant: Grant, refresh: RefreshToken, answer: Answer | None
    ) -> Repeated:
        if answer is None:
            # RFC 9700 section 4.14.2: reuse; which of the two holders is the thief is unknown, so both lose it.
            await self.tokens.end_grant(grant_id)
            self.events.tell(
                "grant.replayed", client_id=refresh.client_id, user_id=refresh.user_id, grant_type=grant.grant_type
            )
            raise INVALID_GRANT(UNKNOWN)
        try:
            plain = self.seals.open_for(value, answer.sealed)
        except SealBroken as error:
            raise INVALID_GRANT(UNKNOWN) from error
        if plain[:FINGERPRINT] != _fingerprint(ask):
            raise INVALID_REQUEST("the refresh token was just used with other parameters")
        return Repeated(plain[FINGERPRINT:])


def _fingerprint(ask: Ask) -> bytes:
    """What must be equal for a repeat to be one: the client, what it asked for, and what it holds."""
    asked: list[Any] = [ask.client.client_id, ask.parameters.one("scope"), list(ask.parameters.all("resource"))]
    details = ask.parameters.one(PARAMETER)
    if details is not None:
        asked.append(details)
    if ask.binding:  # the answer has tokens that are bound to it
        asked.append(confirmation(ask.binding))
    return sha256(text(asked).encode()).digest()
