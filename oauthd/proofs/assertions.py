"""Client assertions: JWTs that authenticate a client, whatever they are signed with.

RFC 7521 section 4.2, RFC 7523 sections 2.2 and 3, OpenID Connect Core section 9, and draft-ietf-oauth-rfc7523bis, which
updates them after assertions for one server could be used at another: whoever is named in `aud` must be us, and nobody
else beside us. Of assertions with the type of that draft it is the issuer alone, under FAPI 2.0 as a string; of others
it may still be one of our endpoints, which clients in use name.

What is wrong with the form of an assertion is told to everybody, for it depends on no client; what it says is judged,
and told of, only once the client's own key has verified it. It counts once, wherever it arrives, and is spent last.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from attrs import frozen

from oauthd.proofs.interface import ASSERTION, Credentials, Unproven
from oauthd.protocol import jose, profile
from oauthd.protocol.errors import INVALID_CLIENT
from oauthd.protocol.messages import Request
from oauthd.protocol.records import Client
from oauthd.stores.once import Once

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 section 2.2
TYPES: Final = ("JWT", "client-authentication+jwt")
"""What `typ` may be (rfc7523bis section 4): no token, proof or request object passes for an assertion."""
LONGEST: Final = 8192  # characters; room for the longest signature there is
LONGEST_JTI: Final = 512
FARTHEST: Final = 3600
"""Seconds that `exp` may lie ahead, where `iat` bounds the life: some libraries write an hour unless told otherwise."""


def presented(request: Request) -> Credentials | None:
    """The assertion in the form, and the client that it says it is from.

    :raises OAuthError: `invalid_client` for what cannot be one (RFC 7521 section 4.2.1).
    """
    for name, _ in request.form.pairs:
        if name.startswith("client_assertion"):
            break
    else:
        return None  # nearly everybody, which is why nothing is looked up
    assertion, kind = request.form.one("client_assertion"), request.form.one("client_assertion_type")
    if assertion is None and kind is None:
        return None
    if assertion is None or kind != ASSERTION_TYPE:
        raise INVALID_CLIENT(f"client_assertion must be together with client_assertion_type={ASSERTION_TYPE}")
    if len(assertion) > LONGEST:
        raise INVALID_CLIENT(f"the client_assertion is longer than {LONGEST} characters")
    try:
        _, claims = jose.peek(assertion)
    except jose.TokenRefused as error:
        raise INVALID_CLIENT(f"the client_assertion is refused: {error}") from None
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise INVALID_CLIENT("the client_assertion has no sub, which must be the client_id")
    return Credentials(subject, assertion, path=request.path)


def is_typed(header: Mapping[str, Any]) -> bool:
    """Does it say that it is a client assertion and nothing else?"""
    typ = header.get("typ")
    return isinstance(typ, str) and _named(typ) == TYPES[1]


def _named(typ: str) -> str:
    """A type without what does not count (RFC 7515 section 4.1.9)."""
    return typ.lower().removeprefix("application/")


@frozen
class Assertions:
    """What an assertion must be.

    :ivar bases: the URLs under which our endpoints are reached; the first is the issuer.
    :ivar token_paths: where the token endpoint stands under each.
    :ivar algorithms: those that any of the methods accepts.
    :ivar leeway: seconds by which clocks may differ.
    :ivar longest: seconds that an assertion counts, from when it was issued.
    :ivar profile: what the server holds every client to.
    """

    bases: tuple[str, ...]
    token_paths: tuple[str, ...]
    once: Once
    clock: Callable[[], float]
    algorithms: Collection[str]
    leeway: int
    longest: int
    profile: str

    def header(self, assertion: str) -> Mapping[str, Any]:
        """Its header, which depends on no client as far as it is judged here. Nothing of it is verified.

        :raises Unproven: for an algorithm or a type that nobody may use.
        """
        header, _ = jose.peek(assertion)
        if header.get("alg") not in tuple(self.algorithms):
            accepted = ", ".join(self.algorithms)
            raise Unproven(f"the alg of the client_assertion is none that is accepted here: {accepted}")
        typ = header.get("typ", "JWT")
        if not is_typed(header) and (not isinstance(typ, str) or _named(typ) != TYPES[0].lower()):
            raise Unproven(f"the typ of the client_assertion must be {' or '.join(TYPES)}, or be left out")
        return header

    def allowed(self, client: Client | None, algorithms: Collection[str]) -> list[str]:
        """Of these algorithms those that a client may use: one alone, if it registered it."""
        if client is None:
            return list(algorithms)
        known = profile.accepted(client, self.profile) or algorithms
        registered = (client.auth_algorithm,) if client.auth_algorithm else algorithms
        return [name for name in algorithms if name in registered and name in known]

    async def spend(self, client: Client, header: Mapping[str, Any], claims: Mapping[str, Any], path: str) -> bool:
        """Judge what an assertion of this client says, whose signature has verified, and use it up.

        :param path: where it was sent.
        :raises Unproven: when it says something else than it must, or was used before.
        """
        for name in ("iss", "sub"):  # RFC 7523 section 3 rules 1 and 2
            if claims.get(name) != client.client_id:
                raise Unproven(f"the {name} of the client_assertion must be the client_id")
        self._check_audience(client, claims.get("aud"), path, is_typed(header))
        until = self._end(claims, self.clock())
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_JTI:  # OpenID Connect Core section 9
            raise Unproven(f"the client_assertion must have a jti of 1 to {LONGEST_JTI} characters")
        if not await self.once.use("client assertion", f"{client.client_id} {jti}", until):  # RFC 7523 section 3 rule 7
            raise Unproven("the client_assertion was used before: each needs a jti of its own")
        return True

    def _check_audience(self, client: Client, audience: object, path: str, typed: bool) -> None:
        issuer = self.bases[0]
        if profile.is_strict(client, self.profile):
            if audience != issuer:  # FAPI 2.0 section 5.3.2.1 item 8: a string
                raise Unproven(f"the aud of the client_assertion must be {issuer}, as a string")
            return
        # rfc7523bis section 4: so it is for everybody; the type is how a client says that it keeps to that.
        if typed and audience not in (issuer, [issuer]):
            raise Unproven(f"the aud of a client_assertion with the typ {TYPES[1]} must be {issuer} alone")
        # RFC 9126 section 2 adds the endpoint that is called. Array or not, nobody else may be meant as well.
        ours = {issuer, *(base + place for base in self.bases for place in (*self.token_paths, path))}
        named = audience if isinstance(audience, list) else [audience]
        if not named or not all(isinstance(one, str) and one in ours for one in named):
            raise Unproven(f"the aud of the client_assertion must be {issuer}, and nobody else beside it")

    def _end(self, claims: Mapping[str, Any], now: float) -> int:
        """When it counts no more, leeway included; its times are numbers."""
        ahead = min(max(self.leeway, profile.PROMPT), profile.LATE)
        for name in ("iat", "nbf"):  # RFC 7523 section 3 rules 5 and 6, FAPI 2.0 section 5.3.2.1 item 13
            if claims.get(name, now) > now + ahead:
                raise Unproven(f"the {name} of the client_assertion lies in the future: our clocks differ")
        if "exp" not in claims:  # RFC 7523 section 3 rule 4
            raise Unproven("the client_assertion has no exp")
        issued: float | None = claims.get("iat")
        end: float = claims["exp"]
        if end + self.leeway <= now:
            raise Unproven("the client_assertion has ended (exp)")
        if end > now + ahead + (self.longest if issued is None else max(FARTHEST, self.longest)):
            raise Unproven("the exp of the client_assertion is too far ahead")
        if issued is not None:
            end = min(end, issued + self.longest)
            if end + self.leeway <= now:
                raise Unproven(f"the client_assertion was issued (iat) more than {self.longest} seconds ago")
        return math.ceil(end + self.leeway)


@frozen
class AssertionMethod(ABC):
    """What all methods with an assertion have in common: where it stands, how it is judged, and that it counts once.

    :ivar algorithms: those that are accepted.
    """

    assertions: Assertions
    algorithms: tuple[str, ...]

    place = ASSERTION
    unregistered = False
    lasts = False

    def presented(self, request: Request) -> Credentials | None:
        """The assertion in the form."""
        return presented(request)

    async def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Is it made with what the client has, good, and used for the first time?"""
        header = self.assertions.header(credentials.secret)
        kid = header.get("kid")
        allowed = self.assertions.allowed(client, self.algorithms)
        named = kid if isinstance(kid, str) else None
        claims = await self.verified(client, credentials.secret, allowed, named)
        return client is not None and await self.assertions.spend(client, header, claims, credentials.path)

    @abstractmethod
    async def verified(
        self, client: Client | None, assertion: str, allowed: Collection[str], kid: str | None
    ) -> Mapping[str, Any]:
        """The claims, if the client made it; an unknown client costs the same.

        :param allowed: the algorithms that this client may use.
        :param kid: the key that it names.
        :raises Unproven: it is not the client's.
        """
