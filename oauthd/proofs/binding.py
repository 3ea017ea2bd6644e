"""What a token is bound to: the key of a DPoP proof (RFC 9449), the certificate of mutual TLS (RFC 8705).

A proof binds anybody's token; a certificate binds those of clients that are registered for it, and of strict ones that
show no proof. Refused is a client that must bind its tokens and proves nothing: it is never given a token that whoever
finds it could use.
"""

from __future__ import annotations

from attrs import frozen

from oauthd.proofs.dpop import Proofs
from oauthd.protocol import profile
from oauthd.protocol.certificates import thumbprint
from oauthd.protocol.errors import INVALID_DPOP_PROOF, INVALID_REQUEST
from oauthd.protocol.messages import Request
from oauthd.protocol.records import UNBOUND, Binding, Client


@frozen
class Bindings:
    """Finds what a request proves to hold.

    :ivar profile: what the server holds every client to; "" for nothing.
    """

    proofs: Proofs
    profile: str

    async def of(self, request: Request, client: Client) -> Binding:
        """What the tokens of this request are to be bound to.

        :raises OAuthError: `invalid_dpop_proof`, `use_dpop_nonce`, `invalid_request`.
        """
        strict = profile.is_strict(client, self.profile)
        jkt = await self.proofs.key(request, strict)
        if client.dpop_bound and not jkt:  # RFC 9449 section 5.2
            raise INVALID_DPOP_PROOF("this client must send a DPoP proof")
        certificate = request.connection.certificate
        if client.certificate_bound and not certificate:  # RFC 8705 section 3.4
            raise INVALID_REQUEST("this client must use a client certificate on this connection")
        if strict and not (jkt or certificate):  # FAPI 2.0 Security Profile section 5.3.2.1 items 4 and 5
            raise INVALID_REQUEST("this client must send a DPoP proof, or use a client certificate on this connection")
        bound = certificate and (client.certificate_bound or (strict and not jkt))
        x5t = thumbprint(certificate) if bound else ""
        return Binding(jkt, x5t) if jkt or x5t else UNBOUND

    async def pushed(self, request: Request, client: Client, asked: str) -> str:
        """The key that a pushed authorization request binds its code to, "" for none (RFC 9449 section 10.1).

        :param asked: the `dpop_jkt` of that request, wherever it stood.
        :raises OAuthError: `invalid_dpop_proof`, `use_dpop_nonce`.
        """
        shown = await self.proofs.key(request, profile.is_strict(client, self.profile))
        if asked and shown and asked != shown:
            raise INVALID_DPOP_PROOF("dpop_jkt is not the thumbprint of the DPoP proof's key")
        return shown or asked

    def fields(self, binding: Binding) -> tuple[tuple[str, str], ...]:
        """What the answer to a request that proved this adds to its head."""
        return self.proofs.fields() if binding.jkt else ()
