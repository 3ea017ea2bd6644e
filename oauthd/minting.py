"""What the token endpoint hands out: access tokens (RFC 9068 JWT or opaque), refresh tokens and id tokens.

Nothing is stored here: each mint returns the string and the write that makes it real, and the caller commits. Of a JWT
that is not to be written down that write is of the kind `UNWRITTEN`, which nobody carries out. ES256 and
EdDSA are signed inline; RSA goes to the signing pool, for it would hold the reactor up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from attrs import frozen

from oauthd.config import Settings, longest_access
from oauthd.keys import Keys
from oauthd.nested_jwt import NestedJwts
from oauthd.protocol import ciba, opaque, profile
from oauthd.protocol.acr import AMR, PASSWORD
from oauthd.protocol.authorization_details import Details
from oauthd.protocol.claims import STANDARD
from oauthd.protocol.claims_request import requested
from oauthd.protocol.confirmation import confirmation
from oauthd.protocol.frozen import Frozen
from oauthd.protocol.jose import Signer, at_hash
from oauthd.protocol.logout import sid, tells_sid
from oauthd.protocol.records import UNBOUND, AccessToken, Binding, Client, Generations, Grant, RefreshToken, User
from oauthd.protocol.token_policy import Claim, TokenPolicy, told
from oauthd.stateless_tokens import TYPE as ACCESS_TOKEN_TYPE
from oauthd.stateless_tokens import StatelessTokens
from oauthd.stores import kinds
from oauthd.stores.interface import Write
from oauthd.stores.status_lists import StatusLists
from oauthd.stores.users import Users
from oauthd.subjects import Subjects

NOTHING: Mapping[str, Any] = MappingProxyType({})
STANDARD_NAMES = frozenset(STANDARD)


class Manner(Frozen, frozen=True):
    """How access tokens of one client and audience are made, by whatever is declared of both.

    Two tokens are alike where all of this is: whoever hands one out again compares all of it (`endpoints/token_reuse`).

    :ivar algorithm: signs them; "" for opaque ones.
    :ivar lifetime: seconds.
    :ivar claims: those that are declared for them.
    :ivar listed: do they stand in a status list? Opaque ones do not: nobody reads them without us.
    :ivar stateless: are they not written down?
    """

    algorithm: str
    lifetime: int
    claims: tuple[Claim, ...]
    listed: bool
    stateless: bool


class Order(Frozen, frozen=True):
    """What an access token is to say.

    :ivar subject: user id, or client id where no user is involved (RFC 9068 section 2.2).
    :ivar grant_id: its grant, "" for none.
    :ivar ends_at: end of its grant, which no token outlives; None for no grant.
    :ivar binding: what its sender must prove to hold.
    :ivar details: authorization details (RFC 9396).
    :ivar resource_generations: today's, of the audience; () where all are 0.
    :ivar named: the `sub` where it is neither the user nor the client; "" else.
    :ivar act: who acts (RFC 8693 section 4.1), and `may_act`: who may (section 4.4).
    :ivar under: further generations that it stands on, and `parents`: names (`oauthd.protocol.standing`).
    :ivar as_jwt: whatever the client's format is.
    """

    client: Client
    scope: tuple[str, ...]
    generations: Generations
    user_id: str = ""
    username: str = ""
    grant_id: str = ""
    audience: tuple[str, ...] = ()
    auth_time: int = 0
    acr: str = ""
    ends_at: int | None = None
    binding: Binding = UNBOUND
    details: Details = ()
    resource_generations: tuple[int, ...] = ()
    named: str = ""
    act: dict[str, Any] = {}
    may_act: dict[str, Any] = {}
    under: tuple[tuple[str, int], ...] = ()
    parents: tuple[bytes, ...] = ()
    as_jwt: bool = False

    @property
    def subject(self) -> str:
        """The `sub` of the token."""
        return self.user_id or self.client.client_id


class Draft(Frozen, frozen=True):
    """An access token of which all is there but the signature: a signature is made faster next to another one.

    :ivar signer: None for an opaque token.
    :ivar content: what is to be signed; else the token.
    :ivar written: is it to be written down?
    """

    secret = ("content",)

    record: AccessToken
    signer: Signer | None
    content: bytes
    written: bool = True

    def token(self) -> str:
        """The finished token."""
        signer, content = self.signer, self.content
        return content.decode("ascii") if signer is None else signer.signed(content, signer.signature(content))

    def finished(self) -> tuple[str, Write[AccessToken]]:
        """The token and the record that makes it live."""
        token = self.token()
        return token, _write(token, self.record, self.written)


@frozen
class Minting:
    """Makes tokens as the settings and the client say."""

    issuer: str
    settings: Settings
    keys: Keys
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    nested: NestedJwts
    users: Users
    subjects: Subjects
    statuses: StatusLists
    stateless: StatelessTokens
    policy: TokenPolicy = TokenPolicy()

    async def access_token(self, order: Order) -> tuple[str, Write[AccessToken]]:
        """An access token and the record that makes it live."""
        manner = self.manner(order.client, order.audience, order.as_jwt)
        extra: dict[str, Any] = {}
        if manner.claims:  # as the user is now: what changes is so from the next token on
            user = await self.users.find(order.user_id) if order.user_id else None
            extra = told(manner.claims, user)
        status = await self.statuses.place() + 1 if manner.listed else 0
        record, signer = self._record(order, manner, status, extra), self._access_signer(manner)
        if signer is None or not signer.slow:
            return self._draft(order, manner, record, signer).finished()
        claims = self._access_claims(order, manner, record)
        token = await self.nested.signed(order.client, claims, manner.algorithm, typ=ACCESS_TOKEN_TYPE)
        return token, _write(token, record, not _is_stateless(order, manner))

    def draft(self, order: Order) -> Draft | None:
        """An access token that is still to be signed; None where there is something to wait for.

        That is a thread that signs, a look at the user, a place in the status lists.
        """
        manner = self.manner(order.client, order.audience, order.as_jwt)
        signer = self._access_signer(manner)
        if manner.claims or (signer is not None and signer.slow):
            return None
        place = self.statuses.at_hand() if manner.listed else -1
        if place is None:
            return None
        return self._draft(order, manner, self._record(order, manner, place + 1, {}), signer)

    def _draft(self, order: Order, manner: Manner, record: AccessToken, signer: Signer | None) -> Draft:
        if signer is None:
            return Draft(record, None, opaque.make(opaque.ACCESS_TOKEN, self.entropy).encode())
        claims = self._access_claims(order, manner, record)
        return Draft(record, signer, signer.unsigned(claims), not _is_stateless(order, manner))

    def access_token_waits(self, client: Client) -> bool:
        """Must a thread sign the client's access tokens, or are their users looked at?"""
        manner = self.manner(client, ())  # for resources it may be another one: `draft` looks again
        signer = self._access_signer(manner)
        return bool(manner.claims) or (signer is not None and signer.slow)

    def manner(self, client: Client, audience: tuple[str, ...], as_jwt: bool = False) -> Manner:
        """How access tokens of a client for these resources are made.

        :param as_jwt: whatever format there would be.
        """
        tokens, policy = self.settings.tokens, self.policy
        lifetime, own = tokens.access_lifetime, client.access_lifetime
        if own is not None:
            lifetime = min(own, longest_access(self.settings))  # what signed it must still be published then
        signed = as_jwt or policy.format(client.access_format or tokens.access_format, audience) != "opaque"
        algorithm = ""
        if signed:
            usual = policy.algorithm(client.access_algorithm or tokens.access_algorithm, audience)
            algorithm = profile.signs(client, usual, self.keys.algorithms, self.settings.server.profile)
        return Manner(
            algorithm=algorithm,
            lifetime=policy.lifetime(lifetime, audience) if audience else lifetime,
            claims=policy.claims_for(client, audience),
            listed=signed and client.status_listed,
            stateless=signed and client.stateless,
        )

    def _access_signer(self, manner: Manner) -> Signer | None:
        return self.keys.signer(manner.algorithm, ACCESS_TOKEN_TYPE) if manner.algorithm else None

    def _record(self, order: Order, manner: Manner, status: int, extra: dict[str, Any]) -> AccessToken:
        now = int(self.clock())
        expires_at = now + manner.lifetime
        told = self.subjects.of(order.client, order.user_id)
        return AccessToken(
            client_id=order.client.client_id,
            scope=order.scope,
            issued_at=now,
            # What is said is what holds: the token is dead with its grant.
            expires_at=expires_at if order.ends_at is None else min(expires_at, order.ends_at),
            jti=opaque.new_identifier(self.entropy),
            generations=order.generations,
            user_id=order.user_id,
            username=order.username,
            grant=order.grant_id,
            audience=order.audience,
            details=order.details,
            auth_time=order.auth_time,
            subject=order.named or (told if told != order.user_id else ""),
            acr=order.acr,
            binding=order.binding,
            resource_generations=order.resource_generations,
            status=status,  # its place in the status lists, from 1; 0 for none
            act=order.act,
            may_act=order.may_act,
            under=order.under,
            parents=order.parents,
            extra=extra,
        )

    def refresh_token(
        self,
        grant_id: str,
        grant: Grant,
        scope: tuple[str, ...],
        audience: tuple[str, ...],
        binding: Binding = UNBOUND,
        idle: int | None = None,
    ) -> tuple[str, Write[RefreshToken]]:
        """A refresh token of a grant: idle lifetime (None for the server's), never past the grant's absolute end."""
        now = int(self.clock())
        token = opaque.make(opaque.REFRESH_TOKEN, self.entropy, grant_id)
        record = RefreshToken(
            client_id=grant.client_id,
            user_id=grant.user_id,
            scope=scope,
            issued_at=now,
            expires_at=min(now + (self.settings.tokens.refresh_idle if idle is None else idle), grant.ends_at),
            generations=grant.generations,
            audience=audience,
            binding=binding,
        )
        return token, Write(kinds.refresh_token(grant_id, token), record)

    async def id_token(
        self, client: Client, grant: Grant, access_token: str, nonce: str, more: Mapping[str, str] = NOTHING
    ) -> str:
        """An id token (OpenID Connect Core section 2) for the grant's user.

        :param more: claims besides.
        """
        user = await self.users.find(grant.user_id) if _tells_of_user(grant) else None
        claims = {**self._id_claims(client, grant, access_token, nonce, user), **more}
        return await self.nested.signed(client, claims, self._id_algorithm(client), client.id_token_encryption)

    def vouching(self, client: Client, auth_req_id: str, refresh_token: str) -> Mapping[str, str]:
        """What the id token of a pushed answer says besides (CIBA Core section 10.3.1)."""
        hashed = at_hash(refresh_token, self._id_algorithm(client)) if refresh_token else None
        return {ciba.AUTH_REQ_ID: auth_req_id, **({ciba.RT_HASH: hashed} if hashed else {})}

    def id_token_waits(self, client: Client, grant: Grant) -> bool:
        """Is there something to wait for: a look at the user, a thread, the client's keys?"""
        return _tells_of_user(grant) or self.nested.waits(self._id_algorithm(client), client.id_token_encryption)

    def id_token_at_once(self, client: Client, grant: Grant, access_token: str, nonce: str) -> str:
        """As `id_token`, where nothing `id_token_waits` for."""
        claims = self._id_claims(client, grant, access_token, nonce, None)
        return self.nested.signed_at_once(client, claims, self._id_algorithm(client))

    def _id_algorithm(self, client: Client) -> str:
        usual = self.settings.tokens.id_token_algorithm
        return profile.signs_id_tokens(client, usual, self.keys.algorithms, self.settings.server.profile)

    def _id_claims(
        self, client: Client, grant: Grant, access_token: str, nonce: str, user: User | None
    ) -> dict[str, Any]:
        now = int(self.clock())
        claims: dict[str, Any] = {
            **(requested(user, grant.claims["id_token"]) if user else {}),
            "iss": self.issuer,
            "sub": self.subjects.of(client, grant.user_id),
            "aud": client.client_id,
            "exp": now + self.settings.tokens.id_token_lifetime,
            "iat": now,
        }
        if hashed := at_hash(access_token, self._id_algorithm(client)):
            claims["at_hash"] = hashed  # Core section 3.1.3.6
        if grant.auth_time:
            context = grant.acr or PASSWORD
            claims |= {"auth_time": grant.auth_time, "acr": context, "amr": list(AMR.get(context, ()))}
        if nonce:
            claims["nonce"] = nonce
        strict = profile.is_strict(client, self.settings.server.profile)
        if grant.session and tells_sid(client, strict):
            # Back-Channel Logout section 2.1: all id tokens have it, where logout tokens can
            claims["sid"] = sid(grant.session, client.client_id)
        return claims

    def _access_claims(self, order: Order, manner: Manner, record: AccessToken) -> Mapping[str, Any]:
        # RFC 9068 section 2.2; without a resource the audience is the default one, the issuer (section 3).
        audience = order.audience or (self.issuer,)
        claims: dict[str, Any] = {
            **record.extra,  # none of which is called like what follows
            "iss": self.issuer,
            "sub": record.subject or order.subject,
            "aud": audience[0] if len(audience) == 1 else list(audience),
            "exp": record.expires_at,
            "iat": record.issued_at,
            "jti": record.jti,
            "client_id": record.client_id,
        }
        if record.scope:
            claims["scope"] = " ".join(record.scope)
        if record.auth_time:
            claims["auth_time"] = record.auth_time
        if record.acr:
            claims["acr"] = record.acr  # RFC 9068 section 2.2.1
        if record.binding is not UNBOUND:
            claims["cnf"] = confirmation(record.binding)
        if record.details:
            claims["authorization_details"] = list(record.details)  # RFC 9396 section 9.1
        if record.status:
            claims["status"] = self.statuses.reference(record.status - 1)  # draft-ietf-oauth-status-list section 6.2
        if record.act:
            claims["act"] = record.act  # RFC 8693 section 4.1
        if record.may_act:
            claims["may_act"] = record.may_act  # RFC 8693 section 4.4
        return self.stateless.completed(record, claims) if _is_stateless(order, manner) else claims


def _is_stateless(order: Order, manner: Manner) -> bool:
    # What stands on other tokens says more than a client wants to send: it is written down.
    return manner.stateless and not (order.parents or order.under)


def _write(token: str, record: AccessToken, written: bool) -> Write[AccessToken]:
    return Write(kinds.access_token(token) if written else kinds.UNWRITTEN.at(b""), record)


def _tells_of_user(grant: Grant) -> bool:
    """Is the id token to say more of the user than who it is (OpenID Connect Core section 5.5)?"""
    return not STANDARD_NAMES.isdisjoint(grant.claims.get("id_token", ()))
