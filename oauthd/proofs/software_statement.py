"""Software statements: metadata of a client that somebody else vouches for (RFC 7591 section 2.3).

A statement is a JWT of an issuer whom the operator trusts, by whose published keys it is verified. Refused as
`invalid_software_statement`: whatever is no such token, is for another server, or is past its end; as
`unapproved_software_statement`: one of an issuer whom nobody here trusts, and a used one where each counts once.
Its members come before those that the client sends itself (section 2.3).

The specification gives statements no `typ`, and neither `aud` nor `exp`, for they may be a part of the software. So
that a JWT which the same issuer signed for something else is none (RFC 8725 sections 2.8 and 3.12), its `typ` is `JWT`
or missing unless the operator has said how that issuer calls statements; of `aud` and `exp`, too, he says who must have
them. That a statement says something of a client at all, is looked at by who reads it.

To the client that was registered with it, the same statement is good again: it must send all that it registered when it
changes itself (RFC 7592 section 2.2), at a time when the statement may have ended and its key may be gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from attrs import frozen

from oauthd.config.registration import StatementIssuer
from oauthd.fetcher import FetchRefused
from oauthd.protocol import jose
from oauthd.protocol.errors import (
    INVALID_SOFTWARE_STATEMENT,
    TEMPORARILY_UNAVAILABLE,
    UNAPPROVED_SOFTWARE_STATEMENT,
    OAuthError,
)
from oauthd.protocol.json_body import strict
from oauthd.stores import kinds
from oauthd.stores.once import Once

Fetch = Callable[[str, Collection[str]], Awaitable[bytes]]
"""Fetches the document at a URL, of one of these media types; raises `FetchRefused`."""

KEY_SETS = ("application/json", "application/jwk-set+json")  # RFC 7517 section 8.5
_CLAIMS = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})  # RFC 7519 section 4.1: of the token itself


@frozen
class Statement:
    """A statement that holds.

    :ivar members: what it vouches for.
    :ivar digest: what it is known by.
    :ivar name: what it counts once by, and `until` (seconds since 1970) so long; "" where it is not counted.
    """

    members: Mapping[str, Any] = {}
    digest: bytes = b""
    name: str = ""
    until: int = 0


NO_STATEMENT: Final = Statement()


@frozen
class SoftwareStatements:
    """Reads statements.

    :ivar issuers: whom we trust -> where its keys are, and what its statements must have (`StatementIssuer`).
    :ivar issuer: our own name.
    :ivar each_once: does a statement register one client only?
    :ivar algorithms: those that may sign statements.
    """

    issuers: Mapping[str, str]
    fetch: Fetch
    once: Once
    issuer: str
    each_once: bool
    clock: Callable[[], float]
    algorithms: Collection[str] = jose.ASYMMETRIC

    async def read(self, statement: object, known: bytes = b"") -> Statement:
        """What a statement says. It is not used up by that.

        :param known: the digest of the one that the client was registered with.
        :raises OAuthError: `invalid_software_statement`, `unapproved_software_statement`, `temporarily_unavailable`.
        """
        try:
            if not isinstance(statement, str):
                raise jose.TokenRefused("it is no string")
            _, unverified = jose.peek(statement)
            trusted = self._trusted(unverified.get("iss"))
            digest = kinds.digest(statement)
            claims = unverified if digest == known else await self._verified(statement, trusted)
        except jose.TokenRefused as error:
            raise INVALID_SOFTWARE_STATEMENT(f"the software statement is refused: {error}") from None
        self._for_us(claims, trusted)
        name, until = self._name(claims) if self.each_once and digest != known else ("", 0)
        return Statement({key: value for key, value in claims.items() if key not in _CLAIMS}, digest, name, until)

    async def spend(self, statement: Statement) -> None:
        """Use a statement up, where each counts once; last, when all the rest was found to be right.

        :raises OAuthError: `unapproved_software_statement` for one that was used before.
        """
        if statement.name and not await self.once.use("software statement", statement.name, statement.until):
            raise UNAPPROVED_SOFTWARE_STATEMENT("the software statement was used before")

    def _trusted(self, issuer: object) -> StatementIssuer:
        if not isinstance(issuer, str):
            raise jose.TokenRefused("it has no iss")  # RFC 7591 section 2.3
        found = self.issuers.get(issuer)
        if found is None:
            raise UNAPPROVED_SOFTWARE_STATEMENT("nobody here trusts the issuer of the software statement")
        return StatementIssuer.of(found)

    async def _verified(self, statement: str, trusted: StatementIssuer) -> Mapping[str, Any]:
        keys = await self._fetched(trusted.keys)
        _, claims = jose.verify_with(
            statement,
            keys,
            self.algorithms,
            typ=(trusted.typ,),
            now=self.clock(),
            exp_optional="exp" not in trusted.needs,
        )
        return claims

    async def _fetched(self, uri: str) -> list[dict[str, Any]]:
        """The issuer's keys. It is the operator who named the address: that it fails is no fault of the client's."""
        try:
            document = strict((await self.fetch(uri, KEY_SETS)).decode(), "the document")
            keys = document.get("keys") if isinstance(document, dict) else None
        except (FetchRefused, UnicodeDecodeError, OAuthError) as error:
            log = error.description if isinstance(error, FetchRefused | OAuthError) else "it is not UTF-8"
            raise _no_keys(log) from None
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise _no_keys("it is no JWK Set")
        return keys

    def _for_us(self, claims: Mapping[str, Any], trusted: StatementIssuer) -> None:
        for name in trusted.needs:
            if name not in claims:
                raise INVALID_SOFTWARE_STATEMENT(f"the software statement has no {name}")
        audience = claims.get("aud", self.issuer)
        if self.issuer not in (audience if isinstance(audience, list) else [audience]):
            raise INVALID_SOFTWARE_STATEMENT("the software statement is for another server")  # RFC 7519 section 4.1.3

    def _name(self, claims: Mapping[str, Any]) -> tuple[str, int]:
        jti, until = claims.get("jti"), claims.get("exp")
        if not isinstance(jti, str) or not jti or not isinstance(until, int | float):
            raise INVALID_SOFTWARE_STATEMENT("the software statement has no jti and exp, by which it counts once")
        return f"{claims['iss']}\0{jti}", int(until) + 60


def _no_keys(log: str) -> OAuthError:
    text = "the keys of the software statement's issuer cannot be had at the moment"
    return TEMPORARILY_UNAVAILABLE(text, log=f"keys of a software statement's issuer: {log}")
