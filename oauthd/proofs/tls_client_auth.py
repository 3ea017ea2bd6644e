"""`tls_client_auth`: a certificate that an authority vouches for, with the subject that the client registered (RFC 8705
section 2.1).

Whether somebody whom we trust has vouched for it is found out where the TLS connection ends, here or at a trusted
proxy; a certificate that is merely shown proves a key and no name.
"""

from __future__ import annotations

from attrs import frozen

from oauthd.proofs.interface import NAME, Credentials, Unproven
from oauthd.proofs.none import named
from oauthd.protocol import certificates
from oauthd.protocol.messages import Request
from oauthd.protocol.records import Client


@frozen
class TlsClientAuth:
    """Compares the subject."""

    method = "tls_client_auth"
    place = NAME
    unregistered = False
    lasts = False
    algorithms = ()

    def presented(self, request: Request) -> Credentials | None:
        """The client_id of the form, and the certificate of the connection."""
        return named(request)

    def proves(self, client: Client | None, credentials: Credentials) -> bool:
        """Does the certificate show exactly the registered subject?"""
        if client is None or not credentials.certificate:
            raise Unproven(log="no certificate was shown that could be the client's")
        if not credentials.vouched:
            raise Unproven(log="a client's certificate was issued by nobody who is trusted")
        if not certificates.shows(credentials.certificate, client.tls_subject):
            raise Unproven(log="a client's certificate does not show the subject that is registered")
        return True
