"""`none`: a public client names itself and proves nothing (RFC 6749 section 3.2.1)."""

from __future__ import annotations

from attrs import frozen

from oauthd.proofs.interface import NAME, Credentials
from oauthd.protocol.messages import Request
from oauthd.protocol.records import Client


@frozen
class NoProof:
    """Reads the `client_id` of the form."""

    method = "none"
    place = NAME
    unregistered = True
    lasts = True
    algorithms = ()

    def presented(self, request: Request) -> Credentials | None:
        """The bare client_id."""
        return named(request)

    def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Only a public client needs no proof."""
        return client is not None and not client.confidential


def named(request: Request) -> Credentials | None:
    """The client that a request without secret or assertion says it is from, and what its connection has shown."""
    client_id = request.form.one("client_id")
    shown = request.connection
    return None if client_id is None else Credentials(client_id, "", shown.certificate, shown.vouched)
