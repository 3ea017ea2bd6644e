"""Statements to one client as tokens: signed with our key, or with the client's secret, and encrypted to its key then.

RFC 7519 section 11.2 and OpenID Connect Core section 16.14: signed first, then encrypted, with `cty` saying so (RFC
7519 section 5.2). Which algorithms a client may choose is settled when it registers. A client without a key that fits
gets nothing instead of a token that everybody can read; one without a secret that is known here, and long enough for
HMAC (Core section 10.1), gets nothing instead of a token that is signed otherwise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from attrs import frozen

from oauthd.fetcher import FetchRefused
from oauthd.keys import Keys, NoSigningKey
from oauthd.protocol import jose
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.records import Client
from oauthd.protocol.seals import SealBroken

KeysOf = Callable[[Client], Awaitable[Sequence[Mapping[str, Any]]]]
"""The public keys of a client, inline or fetched."""


@frozen
class NestedJwts:
    """Makes tokens for clients.

    :ivar secrets_of: a client's live secrets, the newest first; of those that are known as they are.
    :ivar in_thread: calls its first argument with the others, outside the reactor's thread.
    """

    keys: Keys
    keys_of: KeysOf
    secrets_of: Callable[[Client], Sequence[bytes]]
    in_thread: Callable[..., Awaitable[Any]]

    async def signed(
        self,
        client: Client,
        claims: Mapping[str, Any],
        algorithm: str,
        encryption: Sequence[str] = (),
        typ: str = "JWT",
        issuer: str = "",
    ) -> str:
        """The claims, signed; and encrypted then, if there is an encryption.

        :param encryption: `alg` and `enc`, () for none.
        :param issuer: is said outside of what is encrypted, too (RFC 7519 section 5.3).
        :raises OAuthError: `invalid_request` when there is no key or secret to sign with, or none to encrypt to.
        """
        if self._in_thread(algorithm):
            signer = self._signer(algorithm, typ)
            # The thread does the arithmetic alone: what it does in Python would hold the reactor up.
            data = signer.unsigned(claims)
            token = signer.signed(data, await self.in_thread(signer.signature, data))
        else:
            token = self.signed_at_once(client, claims, algorithm, typ)
        return await self.encrypted(client, token, encryption, "JWT", issuer) if encryption else token

    def waits(self, algorithm: str, encryption: Sequence[str] = ()) -> bool:
        """Is there something to wait for, a thread or the client's keys?

        :raises OAuthError: `invalid_request` when there is no key to sign with.
        """
        return bool(encryption) or self._in_thread(algorithm)

    def signed_at_once(self, client: Client, claims: Mapping[str, Any], algorithm: str, typ: str = "JWT") -> str:
        """As `signed`, where nothing `waits`."""
        if algorithm in jose.HMAC:
            return self._by_secret(client, claims, algorithm, typ)
        return self._signer(algorithm, typ).sign(claims)

    def _in_thread(self, algorithm: str) -> bool:
        return algorithm not in jose.HMAC and self._signer(algorithm, "JWT").slow

    def _signer(self, algorithm: str, typ: str) -> jose.Signer:
        try:
            return self.keys.signer(algorithm, typ)
        except NoSigningKey:  # the client registered it when there was one
            raise INVALID_REQUEST("no key signs as the client registered") from None

    def _by_secret(self, client: Client, claims: Mapping[str, Any], algorithm: str, typ: str) -> str:
        with suppress(SealBroken):  # the master key that sealed it is gone
            for secret in self.secrets_of(client)[:1]:
                with suppress(ValueError):  # too short: RFC 7518 section 3.2
                    return jose.sign_hmac(claims, secret, algorithm, typ)
        raise INVALID_REQUEST("the client has no secret that its tokens can be signed with")

    async def encrypted(
        self, client: Client, content: str, encryption: Sequence[str], cty: str = "", issuer: str = ""
    ) -> str:
        """The content, encrypted.

        :param cty: what the content is, `JWT` for a token.
        :raises OAuthError: `invalid_request` when the client has no key to encrypt to.
        """
        alg, enc = encryption
        try:
            keys = await self.keys_of(client)
        except FetchRefused as error:
            raise INVALID_REQUEST(f"the document at the client's jwks_uri {error.description}", log=error.log) from None
        for key in keys:
            if jose.encrypts_with(key, alg):
                try:
                    # A tenth of a millisecond: with a public key, RSA is the quick one.
                    return jose.encrypt(content.encode(), key, alg, enc, cty=cty, iss=issuer)
                except jose.TokenRefused:
                    continue
        raise INVALID_REQUEST("the client has no public key for the encryption that it is registered with")
