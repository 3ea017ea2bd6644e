"""Clients with certificates, through a real daemon: one process, and two workers."""

from __future__ import annotations

import hashlib
import ssl
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.certificates import Issuer, Pair, self_signed
from tests.live.daemon import Daemon, LiveCase
from tests.live.visitor import Http, Visitor, expect
from tests.ports import free_port

MACHINE = {"grant_type": "client_credentials"}


class MutualTlsTests(LiveCase):
    """RFC 8705 from outside."""

    flags: tuple[str, ...] = ()

    def setUp(self) -> None:
        """A daemon with a listener that asks for certificates, and an authority that it trusts."""
        super().setUp()
        own = self_signed()
        self.own = self.folder / "own.pem"
        self.own.write_bytes(own.dumpPEM() + b"\n" + own.privateKey.dump(1))
        self.own.chmod(0o644)
        self.authority = Issuer.root("Corporation")
        authorities = self.folder / "authorities.pem"
        authorities.write_bytes(self.authority.pem)
        self.port = free_port()
        self.base = f"https://localhost:{self.port}"
        self.server: Daemon = self.daemon(
            *self.flags,
            mtls_listen=f"ssl:{self.port}:interface=127.0.0.1:privateKey={self.own}:certKey={self.own}",
            mtls_base=self.base,
            mtls_ca_file=str(authorities),
            registration_allow="open",
            registration_grant_types="client_credentials",
            registration_auth_methods="tls_client_auth,self_signed_tls_client_auth",
        )
        self.api = Visitor.of(self.server.http, self.server.credentials).client("api")

    def through(self, pair: Pair | None = None) -> Http:
        """The way to that listener with a certificate, or without one."""
        context = ssl.create_default_context(cafile=str(self.own))
        if pair is not None:
            path = self.folder / "client.pem"
            path.write_bytes(
                pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                + b"".join(one.public_bytes(Encoding.PEM) for one in (pair.certificate, *pair.chain))
            )
            context.load_cert_chain(path)
        return Http("localhost", self.port, context)

    def registered(self, **members: Any) -> str:
        """A client with these members; its id."""
        body = {"client_name": "App", "grant_types": ["client_credentials"], "response_types": [], **members}
        answer = expect(self.server.http.request("POST", "/oauth2/register", json_body=body), 201)
        return str(answer.json()["client_id"])

    def confirmed(self, token: str) -> Any:
        """What an introspection says that the token is bound to."""
        form = {"token": token}
        answer = expect(self.server.http.post("/oauth2/introspect", form, basic_auth=self.api.auth))
        return answer.json().get("cnf")

    def test_an_authority_s(self) -> None:
        """A client of tls_client_auth gets a token with its certificate alone, bound to it; no other gets one."""
        client_id = self.registered(
            token_endpoint_auth_method="tls_client_auth",
            tls_client_auth_subject_dn="CN=app",
            tls_client_certificate_bound_access_tokens=True,
        )
        form = {**MACHINE, "client_id": client_id}
        pair = self.authority.authority("Department").issue("app")
        for _ in range(4):  # so that each worker is asked
            token = expect(self.through(pair).post("/oauth2/token", form)).json()["access_token"]
            self.assertEqual(self.confirmed(token), {"x5t#S256": x5t(pair.der)})
        impostor = Issuer.root("Corporation").issue("app")
        for other in (None, Pair.self_made("CN=app"), self.authority.issue("other"), impostor):
            answer = expect(self.through(other).post("/oauth2/token", form), 401)
            self.assertEqual(answer.json()["error"], "invalid_client")
        # Where nobody asks there is no certificate, whatever a header says.
        headers = [("Client-Cert", pair.field)]
        expect(self.server.http.request("POST", "/oauth2/token", form=form, headers=headers), 401)
        self.assertNotIn("CN=", self.server.output)

    def test_a_self_made_one(self) -> None:
        """A client of self_signed_tls_client_auth gets one with the certificate that it registered."""
        pair = Pair.self_made("CN=app")
        numbers = pair.key.public_key().public_numbers()
        key = {"kty": "EC", "crv": "P-256", "x": number(numbers.x), "y": number(numbers.y)}
        client_id = self.registered(
            token_endpoint_auth_method="self_signed_tls_client_auth",
            jwks={"keys": [{**key, "x5c": [b64encode(pair.der).decode()]}]},
        )
        form = {**MACHINE, "client_id": client_id}
        expect(self.through(pair).post("/oauth2/token", form))
        expect(self.through(Pair.self_made("CN=app")).post("/oauth2/token", form), 401)

    def test_metadata(self) -> None:
        """The metadata name the listener, and it serves what they name."""
        found = expect(self.through().get("/.well-known/openid-configuration")).json()
        self.assertEqual(found["issuer"], self.server.issuer)
        self.assertEqual(found["mtls_endpoint_aliases"]["token_endpoint"], f"{self.base}/oauth2/token")
        self.assertIn("tls_client_auth", found["token_endpoint_auth_methods_supported"])


class WorkersTests(MutualTlsTests):
    """The same by two workers."""

    flags = ("--workers", "2")


class RefusalTests(LiveCase):
    """What keeps it from starting."""

    def test_no_authorities(self) -> None:
        """A file of authorities that is not there, or holds none, is told by name."""
        empty: Path = self.folder / "empty.pem"
        empty.write_text("")
        for name in ("mtls_ca_file", "fetch_ca_file"):
            for path in (empty, self.folder / "missing.pem"):
                said = self.prepared(**{name: str(path)}).refused()
                self.assertIn(f"{name.replace('_', '.', 1)} cannot be used", said)


def x5t(der: bytes) -> str:
    """Section 3.1."""
    return urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def number(value: int) -> str:
    """A coordinate of a key (RFC 7518 section 6.2.1.2)."""
    return urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()
