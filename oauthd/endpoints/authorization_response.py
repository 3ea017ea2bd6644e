"""The authorization response (RFC 6749 sections 4.1.2 and 4.1.2.1) on its way to the client, in the mode it asked for.

Success and error go alike. Outside a signed response the issuer is a parameter of its own (RFC 9207 section 2); in one
it is a claim, and stands for that (RFC 9207 section 2.4). A response that is to be encrypted and cannot be is not sent
in clear: the person is told on a page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from attrs import frozen

from oauthd.keys import Keys, NoSigningKey
from oauthd.protocol import jose, response_modes
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.messages import Parameters, Response, see_other
from oauthd.protocol.records import Client
from oauthd.protocol.redirects import RedirectUri

UNSEALED = "the application's key cannot be used, so that its answer cannot be encrypted; tell its makers"


class ClientKeys(Protocol):
    """Where the keys of clients come from."""

    def of(self, client: Client, kid: str) -> Awaitable[Sequence[Mapping[str, Any]]]:
        """Its public JWKs."""
        ...


@frozen
class AuthorizationResponses:
    """Sends responses to clients.

    :ivar algorithm: signs for clients that ask for none in particular.
    :ivar form: makes the page that posts parameters to a redirect URI.
    :ivar in_thread: runs slow signatures.
    :ivar client_keys: None to know of those that are registered inline alone.
    """

    issuer: str
    keys: Keys
    algorithm: str
    form: Callable[[RedirectUri, Iterable[tuple[str, str]]], Response]
    in_thread: Callable[..., Awaitable[Any]]
    clock: Callable[[], float]
    client_keys: ClientKeys | None = None

    async def send(
        self, client: Client, redirect: RedirectUri, parameters: Parameters, *pairs: tuple[str, str]
    ) -> Response:
        """The response that takes parameters to the client.

        :param parameters: those of the request: its `response_mode` and its `state`.
        :raises OAuthError: when it cannot be encrypted; not to be redirected.
        """
        mode = response_modes.of_errors(parameters, redirect)
        states = [value for name, value in parameters if name == "state"]
        answer = (*pairs, *((("state", states[0]),) if len(states) == 1 and states[0] else ()))
        if mode.signed:
            answer = ((response_modes.RESPONSE, await self._signed(client, answer)),)
        else:
            answer = (*answer, ("iss", self.issuer))
        return self.form(redirect, answer) if mode.by_form else see_other(mode.location(redirect, answer))

    async def _signed(self, client: Client, pairs: Iterable[tuple[str, str]]) -> str:
        """The response as a JWT, encrypted where the client wants it so (JARM section 2.2)."""
        try:
            signer = self.keys.signer(client.response_algorithm or self.algorithm)
        except NoSigningKey:
            raise INVALID_REQUEST("no key signs as the application wants it; tell its makers") from None
        claims = response_modes.claims(self.issuer, client.client_id, int(self.clock()), pairs)
        data = signer.unsigned(claims)
        signature = await self.in_thread(signer.signature, data) if signer.slow else signer.signature(data)
        token = signer.signed(data, signature)
        return await self._encrypted(client, token) if client.response_encryption else token

    async def _encrypted(self, client: Client, token: str) -> str:
        alg, enc = client.response_encryption
        inline: Sequence[Mapping[str, Any]] = client.jwks.get("keys", ())
        for key in inline if self.client_keys is None else await self.client_keys.of(client, ""):
            if jose.encrypts_with(key, alg):
                return jose.encrypt(token.encode(), key, alg, enc, cty="JWT")  # RFC 7519 section 5.2
        raise INVALID_REQUEST(UNSEALED)
