"""`client_secret_jwt`: an assertion authenticated by HMAC with the client's secret (OpenID Connect Core section 9).

The secret itself never travels, and the server must know it: it is sealed for clients that registered this method. What
an assertion says is for `assertions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from oauthd.proofs import assertions
from oauthd.proofs.assertions import Assertions
from oauthd.proofs.interface import ASSERTION, Credentials, Unproven
from oauthd.protocol import jose
from oauthd.protocol.messages import Request
from oauthd.protocol.records import Client
from oauthd.protocol.seals import SealBroken
from oauthd.stores.clients import Clients

NOBODYS: Final = bytes(64)
"""The secret of an unknown client, so that it takes as long as any other; what it verifies is believed of nobody."""


@frozen
class ClientSecretJwt:
    """Verifies with the client's secrets.

    :ivar algorithms: those that are accepted.
    """

    clients: Clients
    assertions: Assertions
    algorithms: tuple[str, ...]

    method = "client_secret_jwt"
    place = ASSERTION
    unregistered = False
    lasts = False

    def presented(self, request: Request) -> Credentials | None:
        """The assertion in the form."""
        return assertions.presented(request)

    async def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Is it made with a live secret of the client, good, and used for the first time?"""
        self.assertions.header(credentials.secret)
        allowed = self.assertions.allowed(client, self.algorithms)
        refused = "it has no secret that is known here itself: it must be given another"
        for secret in self._secrets(client):
            try:
                _, claims = jose.verify_hmac(credentials.secret, secret, allowed, typ=assertions.TYPES, now=None)
            except jose.TokenRefused as error:
                refused = str(error)
            else:
                return client is not None and await self.assertions.spend(client, claims, credentials.path)
        raise Unproven(log=f"a client_assertion is refused: {refused}")

    def _secrets(self, client: Client | None) -> Sequence[bytes]:
        if client is None:
            return (NOBODYS,)
        try:
            return self.clients.open_secrets(client)
        except SealBroken:
            raise Unproven(log="the master key that sealed a client's secret is gone") from None
