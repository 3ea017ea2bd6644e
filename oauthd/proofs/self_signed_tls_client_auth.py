"""`self_signed_tls_client_auth`: a certificate that the client itself has registered (RFC 8705 section 2.2).

It stands in the client's key set, with its certificate (`x5c`: then exactly this one will do) or as the bare key.
Nobody vouches for it, and nobody is asked.
"""

from __future__ import annotations

import base64

from attrs import frozen

from oauthd.fetcher import FetchRefused
from oauthd.proofs.client_keys import ClientKeys, Key, missing
from oauthd.proofs.interface import NAME, Credentials, Unproven
from oauthd.proofs.none import named
from oauthd.protocol import certificates, jose
from oauthd.protocol.messages import Request
from oauthd.protocol.records import Client


@frozen
class SelfSignedTlsClientAuth:
    """Looks for the certificate among the client's keys."""

    keys: ClientKeys

    method = "self_signed_tls_client_auth"
    place = NAME
    unregistered = False
    lasts = False
    algorithms = ()

    def presented(self, request: Request) -> Credentials | None:
        """The client_id of the form, and the certificate of the connection."""
        return named(request)

    async def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Is the certificate one of the client's?"""
        if client is None or not credentials.certificate:
            raise Unproven(log="no certificate was shown that could be the client's")
        shown = base64.b64encode(credentials.certificate).decode("ascii")
        try:
            thumbprint = jose.thumbprint(certificates.public_jwk(credentials.certificate))
            keys = await self.keys.holding(client, lambda key: _is(key, shown, thumbprint))
        except FetchRefused as error:
            raise missing(error) from None
        except jose.TokenRefused as error:
            raise Unproven(log=f"a client's certificate is refused: {error}") from None
        return any(_is(key, shown, thumbprint) for key in keys)


def _is(key: Key, shown: str, thumbprint: str) -> bool:
    """Is it the key of this certificate, and the certificate itself where the client registered one?"""
    if key.get("use", "sig") != "sig":
        return False
    chain = key.get("x5c")
    if chain is not None:  # RFC 7517 section 4.7: the first is the key's own
        return isinstance(chain, list) and chain[:1] == [shown]
    try:
        return jose.thumbprint(key) == thumbprint
    except jose.TokenRefused:
        return False
