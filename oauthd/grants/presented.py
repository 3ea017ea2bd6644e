"""Tokens that are presented to be exchanged, or to show who acts (RFC 8693 section 2.1): which they are, and alive.

Access tokens of this server, of either format, as the store has them; refresh tokens of the client that asks, and of
nobody else; id tokens that our keys signed, of sign-ins that stand; JWTs of issuers that the operator trusts. An access
token with an audience is for its owners and for its own client: nobody else exchanges it. One that is bound to a
key or a certificate is exchanged by its own client with that proof, and by others with one of their own, so that no
bearer token comes of it.

What is wrong with a token is not told: whoever found one learns nothing of it here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from attrs import field, frozen

from oauthd.grants.interface import Ask
from oauthd.grants.vouched import People, Person, end_of
from oauthd.protocol import jose, logout, scopes
from oauthd.protocol.authorization_details import Details
from oauthd.protocol.confirmation import covers
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.introspection import may_see
from oauthd.protocol.records import Binding, Client, Generations, Session
from oauthd.protocol.standing import NOWHERE, Standing
from oauthd.protocol.token_exchange import foreign_act, foreign_may_act
from oauthd.stores import kinds
from oauthd.stores.clients import Clients
from oauthd.stores.interface import IStore, Ref, Stored
from oauthd.stores.sessions import Sessions
from oauthd.stores.tokens import Tokens
from oauthd.trusted_jwt import TrustedJwts

SESSIONS = 100  # of a user, looked at in one step


@frozen
class Presented:
    """A token that is alive, and may be used by who presents it as far as that depends on no rule.

    :ivar kind: as rules call it.
    :ivar source: the client that it was issued to, or its issuer if that is `foreign`.
    :ivar subject: the `sub` of a machine, or as a foreign issuer says it.
    :ivar scope: None where it says nothing of scopes.
    :ivar until: its end.
    :ivar person: whom it means, where it stands in no grant of ours.
    :ivar grant_id: its grant; "" for none.
    :ivar issued: the generations that it was issued under.
    :ivar standing: all that it stands on, itself too.
    :ivar again: does it stand still? Of one that nothing can stand on.
    """

    kind: str
    source: str
    until: int
    foreign: bool = False
    subject: str = ""
    user_id: str = ""
    username: str = ""
    auth_time: int = 0
    acr: str = ""
    session: str = ""
    scope: tuple[str, ...] | None = None
    audience: tuple[str, ...] = ()
    details: Details = ()
    act: dict[str, Any] = field(factory=dict)
    may_act: dict[str, Any] = field(factory=dict)
    person: Person | None = None
    grant_id: str = ""
    issued: Generations | None = None
    standing: Standing = NOWHERE
    again: Callable[[], Awaitable[bool]] | None = None


@frozen
class PresentedTokens:
    """Reads tokens.

    :ivar id_token: the claims of an id token that was issued to this client, ended ones too.
    :ivar issuer: our own name.
    """

    store: IStore
    tokens: Tokens
    clients: Clients
    sessions: Sessions
    id_token: Callable[[str, Client], Mapping[str, Any]]
    jwts: TrustedJwts
    people: People
    issuer: str

    async def read(self, ask: Ask, token: str, kind: str) -> Presented | None:
        """The token; None for one that is not alive, or not for who presents it.

        :raises OAuthError: `temporarily_unavailable`; `invalid_request` for claims that cannot be judged.
        """
        if kind == "refresh_token":
            return await self._refresh(ask, token)
        if kind == "id_token":
            return await self._id_token(ask, token)
        if kind == "access_token":
            return await self._access(ask, token)
        try:
            _, claims = jose.peek(token)
            if claims.get("iss") == self.issuer:  # section 3: an access token that is a JWT may be called either
                return await self._access(ask, token)
            return await self._foreign(ask, token)
        except jose.TokenRefused:
            return None

    async def _access(self, ask: Ask, token: str) -> Presented | None:
        alive = await self.tokens.look(token)
        if alive is None:
            return None
        found, grant = alive.record, alive.grant
        if not may_see(ask.client, found.client_id, found.audience):
            return None
        if not _proved(ask, found.client_id, found.binding):
            return None
        return Presented(
            kind="access_token",
            source=found.client_id,
            until=found.expires_at,
            subject="" if found.user_id else found.subject or found.client_id,
            user_id=found.user_id,
            username=found.username,
            auth_time=found.auth_time,
            acr=found.acr,
            scope=found.scope,
            audience=found.audience,
            details=found.details,
            act=found.act,
            may_act=found.may_act or (grant.may_act if grant else {}),
            grant_id=found.grant,
            issued=found.generations,
            standing=alive.standing,
        )

    async def _refresh(self, ask: Ask, token: str) -> Presented | None:
        found = await self.tokens.find_refresh(token)
        if found is None or found[1].client_id != ask.client.client_id or not covers(ask.binding, found[1].binding):
            return None
        grant_id, refresh = found
        (stored,) = await self.store.get(kinds.grant(grant_id))
        if stored is None:
            return None
        grant = stored.record
        return Presented(
            kind="refresh_token",
            source=refresh.client_id,
            until=min(refresh.expires_at, grant.ends_at),
            subject="" if refresh.user_id else refresh.client_id,
            user_id=refresh.user_id,
            username=grant.username,
            auth_time=grant.auth_time,
            acr=grant.acr,
            session=grant.session,
            scope=refresh.scope,
            audience=refresh.audience,
            details=grant.details,
            act=grant.act,
            may_act=grant.may_act,
            grant_id=grant_id,
            issued=refresh.generations,
            standing=Standing.within(refresh.generations, refresh.client_id, refresh.user_id, grant_id),
        )

    async def _id_token(self, ask: Ask, token: str) -> Presented | None:
        """An id token, which was issued to the client that is its audience (OpenID Connect Core section 2)."""
        try:
            _, unverified = jose.peek(token)
            audience = unverified.get("aud")
            client = await self.clients.find(audience) if isinstance(audience, str) else None
            if client is None or not client.is_active or client.subject_type != "public":
                return None  # nobody finds a person by a pairwise subject
            if client.id_token_algorithm in jose.HMAC:
                return None  # whoever holds the client's secret could have made it, for anybody
            claims = self.id_token(token, client)
        except (jose.TokenRefused, OAuthError):
            return None
        until, subject = claims.get("exp"), claims.get("sub")
        if claims.get("aud") != audience or "iat" not in claims or until is None or not until > ask.now:
            return None
        person = await self.people.active(subject) if isinstance(subject, str) else None
        under = (await self.store.generations(client.client_id)).client  # before the session: what ends from now counts
        session = await self._session(person, client, claims.get("sid")) if person else None
        if person is None or session is None or under is None:
            return None
        numbers = (f"user:{person.user.user_id}", person.generation), (f"client:{client.client_id}", under)
        return Presented(
            kind="id_token",
            source=client.client_id,
            until=int(until),
            user_id=person.user.user_id,
            auth_time=int(claims.get("auth_time", 0)),
            acr=str(claims.get("acr", "")),
            session=session.record.sid,
            person=person,
            standing=Standing(numbers),
            again=partial(self._is_there, session.ref),
        )

    async def _session(self, person: Person, client: Client, known: object) -> Stored[Session] | None:
        """The session that an id token speaks of: it is good for as long as that stands, so that it ends with all else.

        :param known: the `sid` that the client was told (OpenID Connect Front-Channel Logout section 3).
        """
        cursor: str | None = None
        while isinstance(known, str):
            page = await self.sessions.page(person.user.user_id, cursor, SESSIONS)
            for stored in page.items:
                if stored.record.sid and logout.sid(stored.record.sid, client.client_id) == known:
                    return stored
            if (cursor := page.cursor) is None:
                break
        return None

    async def _is_there(self, ref: Ref[Session]) -> bool:
        (stored,) = await self.store.get(ref)
        return stored is not None

    async def _foreign(self, ask: Ask, token: str) -> Presented | None:
        vouched = await self.jwts.read(token)
        claims, issuer, until = vouched.claims, vouched.issuer.issuer, end_of(vouched.claims)
        if until <= ask.now:
            return None
        said = claims.get("scope")
        person = await self.people.meant(vouched)
        return Presented(
            kind="jwt",
            source=issuer,
            until=until,
            foreign=True,
            subject=str(claims["sub"]),
            user_id=person.user.user_id if person else "",
            scope=scopes.parse(said) if isinstance(said, str) else None,
            act=foreign_act(claims.get("act"), issuer),
            may_act=foreign_may_act(claims.get("may_act"), issuer),
            person=person,
            standing=Standing(((f"user:{person.user.user_id}", person.generation),)) if person else NOWHERE,
        )


def _proved(ask: Ask, client_id: str, binding: Binding) -> bool:
    """Does the request prove enough for a token that is bound (RFC 9449 section 7.2, RFC 8705 section 3)?"""
    if not binding:
        return True
    return covers(ask.binding, binding) if client_id == ask.client.client_id else bool(ask.binding)
