"""JWTs of issuers whom the operator trusts: as subject or actor of an exchange, or as a grant (RFC 7523 section 3).

Refused is whatever the named issuer's own keys do not verify; another `typ` than the operator has said, so that a JWT
which the issuer signed for something else is none (RFC 8725 section 3.12); one for somebody else than this server, or
for somebody else beside it; one without `sub` or end. Whom it means, and whether it counts once, is for the grants.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from attrs import frozen

from oauthd.config.trust import TrustedIssuer
from oauthd.fetcher import FetchRefused
from oauthd.protocol import jose
from oauthd.protocol.errors import TEMPORARILY_UNAVAILABLE, OAuthError
from oauthd.protocol.json_body import strict

Fetch = Callable[[str, Collection[str]], Awaitable[bytes]]
"""Fetches the document at a URL, of one of these media types; raises `FetchRefused`."""

KEY_SETS: Final = ("application/json", "application/jwk-set+json")  # RFC 7517 section 8.5
LONGEST_NAME: Final = 255


@frozen
class Vouched:
    """A JWT that holds.

    :ivar name: whom it means, as the issuer's tokens say it (`TrustedIssuer.sub`).
    """

    claims: Mapping[str, Any]
    issuer: TrustedIssuer
    name: str


@frozen
class TrustedJwts:
    """Reads them.

    :ivar issuers: by name.
    :ivar audiences: our own names.
    :ivar leeway: seconds by which clocks may differ.
    """

    issuers: Mapping[str, TrustedIssuer]
    fetch: Fetch
    audiences: Collection[str]
    clock: Callable[[], float]
    leeway: int
    algorithms: Collection[str] = jose.ASYMMETRIC

    async def read(self, token: str) -> Vouched:
        """The JWT.

        :raises TokenRefused: when it is none that counts.
        :raises OAuthError: `temporarily_unavailable`, when the issuer's keys cannot be had.
        """
        _, unverified = jose.peek(token)
        name = unverified.get("iss")
        trusted = self.issuers.get(name) if isinstance(name, str) else None
        if trusted is None:
            raise jose.TokenRefused("nobody here trusts its issuer")  # RFC 7523 section 3 rule 1
        keys = trusted.keys or await self._fetched(trusted.uri)
        _, claims = jose.verify_with(
            token, keys, self.algorithms, typ=(trusted.typ,), now=self.clock(), leeway=self.leeway
        )  # rules 4 to 6, 9 and 10
        self._for_us(claims.get("aud"), trusted)
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:  # rule 2
            raise jose.TokenRefused("it has no sub")
        meant = claims.get(trusted.claim)
        if not isinstance(meant, str) or not 0 < len(meant) <= LONGEST_NAME:
            raise jose.TokenRefused("it names nobody")
        return Vouched(claims, trusted, meant)

    def _for_us(self, audience: object, trusted: TrustedIssuer) -> None:
        """Rule 3: it is for us. Nobody else is meant beside us, who could use it here."""
        ours = {*self.audiences, *((trusted.aud,) if trusted.aud else ())}
        named = audience if isinstance(audience, list) else [audience]
        if not named or not all(isinstance(one, str) and one in ours for one in named):
            raise jose.TokenRefused("its aud is not this server alone")

    async def _fetched(self, uri: str) -> list[dict[str, Any]]:
        """The issuer's keys. It is the operator who named the address: that it fails is no fault of the client's."""
        try:
            document = strict((await self.fetch(uri, KEY_SETS)).decode(), "the document")
            keys = document.get("keys") if isinstance(document, dict) else None
        except (FetchRefused, UnicodeDecodeError, OAuthError) as error:
            raise _no_keys(error.description if isinstance(error, FetchRefused | OAuthError) else "no UTF-8") from None
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise _no_keys("it is no JWK Set")
        return keys


def _no_keys(log: str) -> OAuthError:
    text = "the keys of the token's issuer cannot be had at the moment; try again"
    return TEMPORARILY_UNAVAILABLE(text, log=f"keys of a trusted issuer: {log}", headers={"Retry-After": "10"})
