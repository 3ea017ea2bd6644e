"""`client_secret_post`: client id and secret in the form (RFC 6749 section 2.3.1); never in a query."""

from __future__ import annotations

from attrs import frozen

from oauthd.proofs.interface import SECRET, Credentials
from oauthd.protocol.messages import Request
from oauthd.protocol.records import Client
from oauthd.stores.clients import Clients


@frozen
class ClientSecretPost:
    """Reads the form."""

    clients: Clients

    method = "client_secret_post"
    place = SECRET
    unregistered = True
    lasts = True
    algorithms = ()

    def presented(self, request: Request) -> Credentials | None:
        """The secret in the form, with the client_id beside it."""
        secret = request.form.one("client_secret")
        return None if secret is None else Credentials(request.form.required("client_id"), secret)

    def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Is it a live secret of the client?"""
        return self.clients.knows_secret(client, credentials.secret)
