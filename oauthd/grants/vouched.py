"""Grants that begin because somebody is vouched for: by a JWT of a trusted issuer, or by an id token of ours.

The person must be one of ours, and active: nobody is made here. What begins so ends with the person's generation, as
every grant, and with what vouched for it, unless a refresh token is handed out.

Refused is a JWT from before all that its person had was revoked, as far as clocks agree, and then one that does not say
when it was issued (draft-parecki-oauth-global-token-revocation-06 section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from oauthd.grants.interface import Ask, Redemption
from oauthd.protocol import opaque
from oauthd.protocol.beginning import SignedIn, begin
from oauthd.protocol.jose import TokenRefused
from oauthd.protocol.records import User
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, IStore
from oauthd.stores.users import Users
from oauthd.trusted_jwt import Vouched

LONGEST_ID = 128


@frozen
class Person:
    """An active user, and the generation in force at the same instant."""

    user: User
    generation: int


@frozen
class People:
    """Finds those who are vouched for.

    :ivar leeway: seconds by which clocks may differ.
    """

    store: IStore
    users: Users
    leeway: int

    async def active(self, user_id: str) -> Person | None:
        """The active user of that id."""
        if not 0 < len(user_id) <= LONGEST_ID:
            return None
        (stored,), (number,) = await self.store.get_with_generations((kinds.user(user_id),), (f"user:{user_id}",))
        if stored is None or number is None or not stored.record.is_active:
            return None
        return Person(stored.record, number)

    async def meant(self, vouched: Vouched) -> Person | None:
        """The active user whom a trusted issuer means.

        :raises TokenRefused: where it vouched before all that the user had was revoked.
        """
        user_id = vouched.name if vouched.issuer.sub == "id" else await self.users.id_of(vouched.name)
        person = None if user_id is None else await self.active(user_id)
        if person is not None and person.user.vouched_after:
            issued = vouched.claims.get("iat")
            if issued is None or issued <= person.user.vouched_after + self.leeway:
                raise TokenRefused("it is from before all that its user had was revoked, or does not say (iat)")
        return person


@frozen
class Beginning:
    """Makes such grants.

    :ivar refresh_absolute: seconds that one with a refresh token lasts.
    """

    entropy: Callable[[int], bytes]
    refresh_absolute: int

    def redemption(
        self,
        ask: Ask,
        person: Person,
        scope: tuple[str, ...],
        audience: tuple[str, ...],
        until: int,
        *,
        refresh: bool = False,
        issued: str = "",
        auth_time: int = 0,
        acr: str = "",
        session: str = "",
        **facts: Any,
    ) -> Redemption:
        """A token of a new grant.

        :param until: the end of what vouches, wall-clock seconds.
        :param auth_time: of the sign-in that is vouched for, as `acr` and `session` are.
        :param facts: further fields of the grant.
        """
        grant_id = opaque.new_grant_id(self.entropy)
        last = ask.now + self.refresh_absolute
        ends_at = last if refresh else min(last, until)
        by = SignedIn(person.user, person.generation, auth_time, acr, session)
        grant = begin(
            ask.client,
            ask.generations,
            by,
            scope=scope,
            now=ask.now,
            ends_at=ends_at,
            audience=audience,
            **facts,
        )
        return Redemption(
            scope=scope,
            generations=grant.generations,
            grant_id=grant_id,
            grant=grant,
            audience=audience,
            commit=Commit(absent=(kinds.grant(grant_id),)),
            refresh=refresh,
            refresh_scope=scope,
            refresh_audience=audience,
            issued=issued,
        )


def end_of(claims: Any) -> int:
    """The end of a token that was verified, in whole seconds."""
    return int(claims["exp"])
