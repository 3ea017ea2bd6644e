"""RFC 8705 sections 3.3 and 5: what the metadata tell of mutual TLS, and where clients find endpoints for it."""

from __future__ import annotations

from typing import Any

from oauthd.config import MtlsSettings
from tests.possession import Holder
from tests.server import ISSUER, ServerCase

BASE = "https://mtls.example.com:8443"
LISTENER = "ssl:8443:privateKey=/k.pem:certKey=/c.pem"
METADATA = "/.well-known/openid-configuration"


class Document(ServerCase):
    """A server and its metadata."""

    async def document(self) -> Any:
        """The metadata."""
        return (await self.server.get(METADATA)).json()


class OffTests(Document):
    """Nobody is asked for certificates."""

    async def test_nothing_said(self) -> None:
        """There is nothing about mutual TLS then."""
        document = await self.document()
        self.assertEqual({"tls_client_certificate_bound_access_tokens", "mtls_endpoint_aliases"} & set(document), set())


class ListenerTests(Document):
    """A listener of its own, under a name of its own."""

    sections = {"mtls": MtlsSettings(listen=(LISTENER,), base=BASE)}

    async def test_section_3_3(self) -> None:
        """Tokens that are bound to certificates are on offer."""
        self.assertIs((await self.document())["tls_client_certificate_bound_access_tokens"], True)

    async def test_section_5(self) -> None:
        """Every endpoint that clients call themselves has an alias at the same path, those for browsers have none."""
        document = await self.document()
        aliases = document["mtls_endpoint_aliases"]
        self.assertEqual(
            sorted(aliases),
            [
                "backchannel_authentication_endpoint",
                "device_authorization_endpoint",
                "introspection_endpoint",
                "pushed_authorization_request_endpoint",
                "revocation_endpoint",
                "token_endpoint",
                "userinfo_endpoint",
            ],
        )
        for name, url in aliases.items():
            self.assertEqual(url.removeprefix(BASE), document[name].removeprefix(ISSUER), name)


    async def test_proofs_for_an_alias(self) -> None:
        """A DPoP proof may name the alias as the address of the request (RFC 9449 section 4.2), but nobody else's."""
        app, holder = await self.server.client(), Holder()
        for base, status in ((BASE, 200), (ISSUER, 200), ("https://other.example.com:8443", 400)):
            now = self.server.clock.seconds()
            proof = holder.proof("POST", "/oauth2/token", now, htu=f"{base}/oauth2/token")
            form = {"grant_type": "client_credentials"}
            answer = await self.server.post("/oauth2/token", form, basic=app.basic, headers=[("DPoP", proof)])
            self.assertEqual(answer.status, status, base)


class ProxyTests(Document):
    """A proxy that asks for certificates under the issuer itself."""

    sections = {"mtls": MtlsSettings(proxy_header="Client-Cert")}

    async def test_no_aliases(self) -> None:
        """Tokens are bound, and there are no other addresses."""
        document = await self.document()
        self.assertIs(document["tls_client_certificate_bound_access_tokens"], True)
        self.assertNotIn("mtls_endpoint_aliases", document)
