"""`client_secret_jwt`: an assertion authenticated by HMAC with the client's secret (OpenID Connect Core section 9).

The secret itself never travels, and the server must know it: it is sealed for clients that registered this method. What
an assertion says is for `assertions`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from oauthd.proofs.assertions import TYPES, AssertionMethod
from oauthd.proofs.interface import Unproven
from oauthd.protocol import jose
from oauthd.protocol.records import Client
from oauthd.protocol.seals import SealBroken
from oauthd.stores.clients import Clients

NOBODYS: Final = bytes(64)
"""The secret of an unknown client, so that it takes as long as any other; what it verifies is believed of nobody."""


@frozen
class ClientSecretJwt(AssertionMethod):
    """Verifies with the client's secrets."""

    clients: Clients

    method = "client_secret_jwt"

    async def verified(
        self, client: Client | None, assertion: str, allowed: Collection[str], kid: str | None
    ) -> Mapping[str, Any]:
        """The claims, if it is made with a live secret of the client."""
        refused = "it has no secret that is known here itself: it must be given another"
        for secret in self._secrets(client):
            try:
                return jose.verify_hmac(assertion, secret, allowed, typ=TYPES, now=None)[1]
            except jose.TokenRefused as error:
                refused = str(error)
        raise Unproven(log=f"a client_assertion is refused: {refused}")

    def _secrets(self, client: Client | None) -> Sequence[bytes]:
        if client is None:
            return (NOBODYS,)
        try:
            return self.clients.open_secrets(client)
        except SealBroken:
            raise Unproven(log="the master key that sealed a client's secret is gone") from None
