"""RFC 8705 section 2: clients that authenticate with a certificate.

The certificate is what the listener or a trusted proxy tells of; how it comes from there is tested beside those.
"""

from __future__ import annotations

import base64
import json
from functools import cache
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from msgspec.structs import replace
from treq.testing import RequestTraversalAgent

from oauthd.config import MtlsSettings
from oauthd.proofs.client_authentication import Caller
from oauthd.proofs.interface import FAILED
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.messages import Connection, Headers, Parameters, Request
from tests.certificates import builder
from tests.proofs.signing import Key, claims, form, key, key_set
from tests.proofs.test_client_keys import KeyPage
from tests.server import ISSUER, NOW, App, ServerCase, ok

DN = "CN=app,O=Example,C=DE"


@cache
def certificate(signing: Key, common: str = "app", number: int = 1) -> bytes:
    """A certificate of that key, with names of every kind; another one for each number."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("app.example"),
            x509.UniformResourceIdentifier("urn:example:app"),
            x509.IPAddress(ip_address("192.0.2.7")),
            x509.RFC822Name("app@example.com"),
        ]
    )
    made = builder(name, name, signing.private).add_extension(names, critical=False)
    return made.sign(signing.private, hashes.SHA256()).public_bytes(Encoding.DER)


class CertificateCase(ServerCase):
    """Requests on connections on which a certificate was shown."""

    sections = {"mtls": MtlsSettings(proxy_header="Client-Cert", proxy_vouches=True)}
    key = key("ES256")

    async def caller(self, der: bytes = b"", vouched: bool = True, headers: Any = (), **sent: str) -> Caller | None:
        """Who it is; None where that is refused."""
        request = Request(
            "POST",
            "/oauth2/token",
            form=Parameters(tuple(({"client_id": "app"} | sent).items())),
            headers=Headers(tuple(headers)),
            connection=Connection(True, "192.0.2.1", certificate=der, vouched=vouched),
        )
        try:
            return await self.server.application.authentication.client(request)
        except OAuthError as error:
            if error.kind.code != "invalid_client":
                raise
            self.told = error.description
            return None

    async def let_in(self, der: bytes = b"", vouched: bool = True, **sent: str) -> bool:
        """Is the client let in?"""
        return await self.caller(der, vouched, **sent) is not None

    async def registered(self, name: str = "app", **fields: Any) -> App:
        """A client with these facts."""
        return await self.server.client(name, **fields)


class Section21Tests(CertificateCase):
    """Section 2.1: a certificate that an authority vouches for."""

    async def test_section_2_1_2_each_kind_of_subject(self) -> None:
        """The client is let in with the subject that it registered, exactly, and with no other."""
        der = certificate(self.key)
        right = {
            "subject_dn": DN, "san_dns": "app.example", "san_uri": "urn:example:app", "san_ip": "192.0.2.7",
            "san_email": "app@example.com",
        }  # fmt: skip
        wrong = {
            "subject_dn": "CN=app2,O=Example,C=DE", "san_dns": "example", "san_uri": "urn:example:app2",
            "san_ip": "192.0.2.70", "san_email": "app@example.org",
        }  # fmt: skip
        for number, name in enumerate(right):
            for value, good in ((right[name], True), (wrong[name], False), ("", False), ("*", False)):
                client_id = f"c{number}-{len(value)}-{good}"
                await self.registered(client_id, auth_method="tls_client_auth", tls_subject={name: value})
                self.assertEqual(await self.let_in(der, client_id=client_id), good, (name, value))

    async def test_section_2_1_nobody_vouches(self) -> None:
        """Names in a certificate that anybody could have made mean nothing."""
        await self.registered(auth_method="tls_client_auth", tls_subject={"subject_dn": DN}, jwks=key_set(self.key))
        self.assertFalse(await self.let_in(certificate(self.key), vouched=False))
        self.assertFalse(await self.let_in())
        self.assertFalse(await self.let_in(b"no certificate"))
        self.assertTrue(await self.let_in(certificate(self.key)))

    async def test_section_2_1_2_exactly_one_subject(self) -> None:
        """A client that has registered none, or more than one, is not let in."""
        for number, subject in enumerate(({}, {"subject_dn": DN, "san_dns": "app.example"}, {"san_x": "app"})):
            await self.registered(f"c{number}", auth_method="tls_client_auth", tls_subject=subject)
            self.assertFalse(await self.let_in(certificate(self.key), client_id=f"c{number}"))


class Section22Tests(CertificateCase):
    """Section 2.2: a certificate that the client has registered itself."""

    async def test_section_2_2_its_key(self) -> None:
        """A certificate of a registered key is good, whoever issued it and whatever its names are."""
        await self.registered(auth_method="self_signed_tls_client_auth", jwks=key_set(key(kid="x"), self.key))
        for vouched in (False, True):
            self.assertTrue(await self.let_in(certificate(self.key), vouched))
            self.assertTrue(await self.let_in(certificate(self.key, "else"), vouched))
            self.assertFalse(await self.let_in(certificate(key(kid="y")), vouched))
        self.assertFalse(await self.let_in())
        self.assertFalse(await self.let_in(b"no certificate"))

    async def test_section_2_2_rsa(self) -> None:
        """Section 2.2: an RSA key in a key set proves its certificate, another RSA key does not."""
        signing = key("RS256", "rsa")
        await self.registered(auth_method="self_signed_tls_client_auth", jwks=key_set(signing))
        self.assertTrue(await self.let_in(certificate(signing)))
        self.assertFalse(await self.let_in(certificate(key("PS256", "pss"))))

    async def test_section_2_2_the_certificate_itself(self) -> None:
        """Where the client registered the certificate with its key, no other one of that key is good."""
        der = certificate(self.key)
        registered = {**self.key.jwk, "x5c": [base64.b64encode(der).decode(), "AA=="]}
        await self.registered(auth_method="self_signed_tls_client_auth", jwks={"keys": [registered]})
        self.assertTrue(await self.let_in(der, False))
        self.assertFalse(await self.let_in(certificate(self.key, number=2), False))

    async def test_section_2_2_strange_keys(self) -> None:
        """Keys that are for something else, or none at all, let nobody in and are in nobody's way."""
        strange: list[dict[str, Any]] = [{}, {"kty": "EC"}, {"kty": "x"}, {"x5c": "x"}, {"x5c": []}, {"kty": ["EC"]}]
        encrypting = {**self.key.jwk, "use": "enc"}
        await self.registered(auth_method="self_signed_tls_client_auth", jwks={"keys": [*strange, encrypting]})
        self.assertFalse(await self.let_in(certificate(self.key)))
        keys = {"keys": [*strange, self.key.jwk]}
        await self.server.application.clients.update("app", lambda client: replace(client, jwks=keys))
        self.assertTrue(await self.let_in(certificate(self.key)))

    async def test_section_2_2_fetched(self) -> None:
        """Keys at the client's address are looked through again for a new certificate, once a minute at most."""
        page = KeyPage()
        page.body = json.dumps(key_set(self.key)).encode()
        self.server.application.fetcher.agent = RequestTraversalAgent(page)
        uri = f"https://app.example/{self.id()}"
        await self.registered(auth_method="self_signed_tls_client_auth", jwks_uri=uri)
        self.assertTrue(await self.let_in(certificate(self.key)))
        for _ in range(5):
            self.assertFalse(await self.let_in(certificate(key(kid="y"))))
        self.assertEqual(page.asked, 1)
        page.code = 500
        self.server.application.client_keys._sets.clear()
        self.server.application.fetcher._kept._drop(next(iter(self.server.application.fetcher._kept._answers)))
        self.assertFalse(await self.let_in(certificate(self.key)))
        self.assertEqual(self.told, FAILED)


class Section2Tests(CertificateCase):
    """Section 2: which method is meant, and what is learned."""

    async def test_section_2_by_registration(self) -> None:
        """The client_id alone names the client; what it must show is what it registered, and nothing else will do."""
        der = certificate(self.key)
        asked: dict[str, Any] = {"tls_subject": {"subject_dn": DN}, "jwks": key_set(self.key)}
        for method in ("", "none", "client_secret_basic", "private_key_jwt", "tls_client_auth"):
            await self.registered(f"with-{method}", auth_method=method, **asked)
            good = method == "tls_client_auth"
            self.assertEqual(await self.let_in(der, client_id=f"with-{method}"), good, method)
        await self.server.client("open", public=True, **asked)
        self.assertTrue(await self.let_in(der, client_id="open"))

    async def test_section_2_no_other_method(self) -> None:
        """A client with certificates is let in by no secret and no assertion."""
        secret = "s" * 43
        for method in ("tls_client_auth", "self_signed_tls_client_auth"):
            name = f"with-{method}"
            facts = {"auth_method": method, "jwks": key_set(self.key), "tls_subject": {"subject_dn": DN}}
            await self.registered(name, secret=secret, **facts)
            der = certificate(self.key)
            self.assertFalse(await self.let_in(der, client_id=name, client_secret=secret))
            basic = base64.b64encode(f"{name}:{secret}".encode()).decode()
            self.assertIsNone(await self.caller(der, headers=[("authorization", f"Basic {basic}")], client_id=name))
            assertion = self.key.token(claims(name, ISSUER, NOW))
            self.assertFalse(await self.let_in(der, True, **form(assertion, client_id=name)))
            self.assertTrue(await self.let_in(der, client_id=name))

    async def test_section_2_each_time(self) -> None:
        """A certificate proves its client for this request alone: nothing is remembered, and nobody learns from it."""
        await self.registered(auth_method="self_signed_tls_client_auth", jwks=key_set(self.key))
        caller = await self.caller(certificate(self.key))
        assert caller is not None
        self.assertFalse(caller.lasts)
        self.assertEqual((await self.server.application.clients.known("app")).value.proofs, {})
        self.assertFalse(await self.let_in())

    async def test_section_2_everybody_is_told_the_same(self) -> None:
        """An unknown client, another certificate and none at all: one answer."""
        await self.registered(auth_method="self_signed_tls_client_auth", jwks=key_set(self.key))
        await self.registered("ca", auth_method="tls_client_auth", tls_subject={"subject_dn": DN})
        await self.registered("idle", auth_method="tls_client_auth", tls_subject={"subject_dn": DN}, is_active=False)
        told = set()
        for name in ("app", "ca", "idle", "nobody"):
            for der in (b"", b"x", certificate(key(kid="y"), "else")):
                self.assertFalse(await self.let_in(der, client_id=name))
                told.add(self.told)
        self.assertEqual(len(told), 1)

    async def test_section_2_strict(self) -> None:
        """FAPI 2.0 section 5.3.2.1 item 6: both methods are good enough."""
        facts = {"jwks": key_set(self.key), "tls_subject": {"subject_dn": DN}, "profile": "fapi2"}
        for method in ("tls_client_auth", "self_signed_tls_client_auth"):
            await self.registered(f"with-{method}", auth_method=method, **facts)
            self.assertTrue(await self.let_in(certificate(self.key), client_id=f"with-{method}"))


class MetadataCase(ServerCase):
    """Sections 2.1.1 and 2.2.1: what the metadata say."""

    async def methods(self) -> set[str]:
        """The methods with certificates that are announced."""
        told = ok(await self.server.get("/.well-known/openid-configuration"))
        return {name for name in told["token_endpoint_auth_methods_supported"] if "tls" in name}


class NoMetadataTests(MetadataCase):
    """Where nobody asks for certificates."""

    async def test_announced(self) -> None:
        """Neither method is announced."""
        self.assertEqual(await self.methods(), set())


class VouchingMetadataTests(MetadataCase):
    """Where a proxy passes on certificates that it has verified."""

    sections = {"mtls": MtlsSettings(proxy_header="Client-Cert", proxy_vouches=True)}

    async def test_announced(self) -> None:
        """Both methods are announced."""
        self.assertEqual(await self.methods(), {"tls_client_auth", "self_signed_tls_client_auth"})


class ShowingMetadataTests(MetadataCase):
    """Where certificates come, and nobody is trusted to issue them."""

    sections = {"mtls": MtlsSettings(proxy_header="Client-Cert")}

    async def test_announced(self) -> None:
        """The method that needs an authority is not announced, the other one is."""
        self.assertEqual(await self.methods(), {"self_signed_tls_client_auth"})
