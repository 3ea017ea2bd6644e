"""Software statements: metadata of a client that somebody else vouches for (RFC 7591 section 2.3).

A statement is a JWT of an issuer whom the operator trusts, by whose published keys it is verified. Refused as
`invalid_software_statement`: whatever is no such token, is for another server, or is past its end; as
`unapproved_software_statement`: one of an issuer whom nobody here trusts, and a used one where each counts once.
Its members come before those that the client sends itself (section 2.3).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from attrs import frozen

from oauthd.fetcher import FetchRefused
from oauthd.protocol import jose
from oauthd.protocol.errors import (
    INVALID_SOFTWARE_STATEMENT,
    TEMPORARILY_UNAVAILABLE,
    UNAPPROVED_SOFTWARE_STATEMENT,
    OAuthError,
)
from oauthd.protocol.json_body import strict
from oauthd.stores.once import Once

Fetch = Callable[[str, Collection[str]], Awaitable[bytes]]
"""Fetches the document at a URL, of one of these media types; raises `FetchRefused`."""

KEY_SETS = ("application/json", "application/jwk-set+json")  # RFC 7517 section 8.5
_CLAIMS = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})  # RFC 7519 section 4.1: of the token itself


@frozen
class SoftwareStatements:
    """Reads statements.

    :ivar issuers: whom we trust -> where its keys are.
    :ivar issuer: our own name.
    :ivar each_once: does a statement register one client only?
    """

    issuers: Mapping[str, str]
    fetch: Fetch
    once: Once
    issuer: str
    each_once: bool
    clock: Callable[[], float]

    async def members(self, statement: object) -> dict[str, Any]:
        """The members that the statement vouches for.

        :raises OAuthError: `invalid_software_statement`, `unapproved_software_statement`, `temporarily_unavailable`.
        """
        try:
            if not isinstance(statement, str):
                raise jose.TokenRefused("it is no string")
            _, unverified = jose.peek(statement)
            uri = self._keys_of(unverified.get("iss"))
            _, claims = jose.verify_with(
                statement, await self._fetched(uri), jose.ASYMMETRIC, now=self.clock(), exp_optional=True
            )
        except jose.TokenRefused as error:
            raise INVALID_SOFTWARE_STATEMENT(f"the software statement is refused: {error}") from None
        self._for_us(claims)
        await self._spent(claims)
        return {name: value for name, value in claims.items() if name not in _CLAIMS}

    def _keys_of(self, issuer: object) -> str:
        if not isinstance(issuer, str):
            raise jose.TokenRefused("it has no iss")  # RFC 7591 section 2.3
        uri = self.issuers.get(issuer)
        if uri is None:
            raise UNAPPROVED_SOFTWARE_STATEMENT("nobody here trusts the issuer of the software statement")
        return uri

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

    def _for_us(self, claims: Mapping[str, Any]) -> None:
        audience = claims.get("aud", self.issuer)
        if self.issuer not in (audience if isinstance(audience, list) else [audience]):
            raise INVALID_SOFTWARE_STATEMENT("the software statement is for another server")  # RFC 7519 section 4.1.3

    async def _spent(self, claims: Mapping[str, Any]) -> None:
        if not self.each_once:
            return
        jti, until = claims.get("jti"), claims.get("exp")
        if not isinstance(jti, str) or not jti or not isinstance(until, int | float):
            raise INVALID_SOFTWARE_STATEMENT("the software statement has no jti and exp, by which it counts once")
        if not await self.once.use("software statement", f"{claims['iss']}\0{jti}", int(until) + 60):
            raise UNAPPROVED_SOFTWARE_STATEMENT("the software statement was used before")


def _no_keys(log: str) -> OAuthError:
    text = "the keys of the software statement's issuer cannot be had at the moment"
    return TEMPORARILY_UNAVAILABLE(text, log=f"keys of a software statement's issuer: {log}")
