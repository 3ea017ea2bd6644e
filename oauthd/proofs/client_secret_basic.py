"""`client_secret_basic`: client id and secret by HTTP Basic (RFC 6749 section 2.3.1)."""

from __future__ import annotations

from attrs import frozen

from oauthd.proofs.interface import HEADER, Credentials
from oauthd.protocol import basic
from oauthd.protocol.messages import Request
from oauthd.protocol.records import Client
from oauthd.stores.clients import Clients


@frozen
class ClientSecretBasic:
    """Reads the Authorization header."""

    clients: Clients

    method = "client_secret_basic"
    place = HEADER
    unregistered = True
    lasts = True
    algorithms = ()

    def presented(self, request: Request) -> Credentials | None:
        """The Basic credentials of the request."""
        header = request.headers.one("authorization")
        return None if header is None else Credentials(*basic.credentials(header))

    def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Is it a live secret of the client?"""
        return self.clients.knows_secret(client, credentials.secret)
