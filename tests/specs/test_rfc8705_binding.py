"""RFC 8705 sections 3 to 7, certificate-bound tokens: what holds, whatever way the certificate came.

How a certificate is read from TLS or from a proxy is shown elsewhere; here it stands in the request.
"""

from __future__ import annotations

import hashlib
import json
from ipaddress import ip_network
from typing import Any

from oauthd.config import MtlsSettings, ServerSettings
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.messages import Connection, Headers, Parameters, Request, Response
from tests.certificates import Pair
from tests.possession import Holder, encoded
from tests.server import VERIFIER, App, ServerCase, ok
from tests.specs.tokens import verified
from tests.wire import Answer, basic

OWN, OTHER = b"a certificate in DER", b"another one"  # nobody but TLS looks into it
FORM = "application/x-www-form-urlencoded"


def x5t(certificate: bytes) -> str:
    """Its thumbprint (section 3.1)."""
    return encoded(hashlib.sha256(certificate).digest())


class CertificateCase(ServerCase):
    """Requests on connections with a client certificate."""

    async def prepare(self) -> None:
        """A client whose tokens are bound, a public one, and a user."""
        self.app = await self.server.client(certificate_bound=True)
        self.native = await self.server.client("native", public=True, certificate_bound=True)
        self.alice = await self.server.user()

    async def sent(self, endpoint: str, certificate: bytes, request: Request) -> dict[str, Any] | str:
        """The JSON that an endpoint answers on such a connection, or the error that it ends in."""
        connection = Connection(secure=True, certificate=certificate)
        asked = Request(
            request.method, request.path, form=request.form, headers=request.headers, content_type=FORM,
            body=b"x" if request.form.pairs else b"", connection=connection,
        )  # fmt: skip
        try:
            self.response: Response = await self.server.application.endpoints[endpoint](asked)
        except OAuthError as error:
            return error.kind.code
        return dict(json.loads(self.response.body))

    async def asked(self, app: App, certificate: bytes, proof: str = "", **form: str) -> Any:
        """A token request."""
        named = {} if app.basic else {"client_id": app.client_id}
        headers = [("authorization", basic(*app.basic))] if app.basic else []
        headers += [("dpop", proof)] if proof else []
        pairs = tuple((named | form).items())
        request = Request("POST", "/oauth2/token", form=Parameters(pairs), headers=Headers(tuple(headers)))
        return await self.sent("token", certificate, request)

    async def machine(self, certificate: bytes, app: App | None = None, proof: str = "") -> Any:
        """A client's own token."""
        return await self.asked(app or self.app, certificate, proof, grant_type="client_credentials")

    async def signed_in(self, app: App, certificate: bytes) -> Any:
        """The answer to a whole flow."""
        code = await self.server.code(app, self.alice)
        more = {} if app.basic else {"code_verifier": VERIFIER}
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.redirect_uri, **more}
        return await self.asked(app, certificate, **form)

    async def refreshed(self, app: App, certificate: bytes, token: str) -> Any:
        """A refresh."""
        return await self.asked(app, certificate, grant_type="refresh_token", refresh_token=token)

    async def userinfo(self, token: str, certificate: bytes) -> Any:
        """A request to a resource of ours."""
        headers = Headers((("authorization", f"Bearer {token}"),))
        return await self.sent("userinfo", certificate, Request("GET", "/oauth2/userinfo", headers=headers))


class BoundTokenTests(CertificateCase):
    """Section 3."""

    async def test_section_3_1_jwt(self) -> None:
        """Section 3.1: a JWT names the certificate's thumbprint; the token is of type Bearer all the same."""
        told = await self.machine(OWN)
        self.assertEqual(told["token_type"], "Bearer")
        claims = (await verified(self.server, told["access_token"], "ES256")).claims
        self.assertEqual(claims["cnf"], {"x5t#S256": x5t(OWN)})

    async def test_section_3_2_introspection(self) -> None:
        """Section 3.2: introspection tells it, too."""
        token = (await self.machine(OWN))["access_token"]
        for _ in range(2):
            told = await self.server.introspect(token)
            self.assertEqual((told["cnf"], told["token_type"]), ({"x5t#S256": x5t(OWN)}, "Bearer"))

    async def test_section_3_at_a_resource(self) -> None:
        """Section 3: our resources answer on connections of that certificate alone; others are invalid_token."""
        token = (await self.signed_in(self.app, OWN))["access_token"]
        self.assertEqual((await self.userinfo(token, OWN))["sub"], self.alice.user_id)
        for certificate in (OTHER, b""):
            self.assertEqual(await self.userinfo(token, certificate), "invalid_token")
        answer = await self.server.userinfo(token)
        self.refused(answer, "invalid_token", 401)

    async def test_section_3_4_client_that_must(self) -> None:
        """Section 3.4: a client that is registered for bound tokens gets none that are not; nothing is spent."""
        self.assertEqual(await self.machine(b""), "invalid_request")
        self.assertEqual(await self.signed_in(self.app, b""), "invalid_request")

    async def test_a_client_that_is_not_registered_for_it(self) -> None:
        """A certificate alone binds nothing of a client that has not asked for it."""
        app = await self.server.client("plain")
        token = (await self.machine(OWN, app))["access_token"]
        self.assertNotIn("cnf", await self.server.introspect(token))

    async def test_both(self) -> None:
        """A token that is bound to a key and to a certificate wants both of them."""
        holder = Holder()
        now = self.server.clock.seconds()
        told = await self.machine(OWN, proof=holder.proof("POST", "/oauth2/token", now))
        self.assertEqual(told["token_type"], "DPoP")
        expected = {"jkt": holder.jkt, "x5t#S256": x5t(OWN)}
        self.assertEqual((await self.server.introspect(told["access_token"]))["cnf"], expected)

    async def test_nothing_is_learned(self) -> None:
        """An answer with a bound token teaches nothing."""
        await self.machine(OWN)
        self.assertIsNone(self.response.lesson)


class RefreshTests(CertificateCase):
    """Sections 4 and 7.1: refresh tokens."""

    async def test_section_4_public_client(self) -> None:
        """Section 4: a public client's refresh token is bound to the certificate, and stays as it is."""
        tokens = await self.signed_in(self.native, OWN)
        for _ in range(2):
            told = await self.refreshed(self.native, OWN, tokens["refresh_token"])
            self.assertEqual(told["refresh_token"], tokens["refresh_token"])

    async def test_section_4_stolen(self) -> None:
        """With another certificate, or none, it is refused and changes nothing."""
        tokens = await self.signed_in(self.native, OWN)
        self.assertEqual(await self.refreshed(self.native, OTHER, tokens["refresh_token"]), "invalid_grant")
        self.assertEqual(await self.refreshed(self.native, b"", tokens["refresh_token"]), "invalid_request")
        self.assertTrue(await self.server.active(tokens["access_token"]))
        self.assertIn("access_token", await self.refreshed(self.native, OWN, tokens["refresh_token"]))

    async def test_section_6_3_new_certificate(self) -> None:
        """Sections 6.3 and 7.1: a confidential client goes on with another certificate; the token follows it."""
        tokens = await self.signed_in(self.app, OWN)
        told = await self.refreshed(self.app, OTHER, tokens["refresh_token"])
        claims = (await verified(self.server, told["access_token"], "ES256")).claims
        self.assertEqual(claims["cnf"], {"x5t#S256": x5t(OTHER)})


class StrictTests(CertificateCase):
    """FAPI 2.0 Security Profile section 5.3.2.1 items 4 and 5: sender-constrained tokens alone, by one of both ways."""

    async def binding(self, certificate: bytes, proof: str = "", **fields: Any) -> Any:
        """What the tokens of a strict client would be bound to, or the error that its request ends in."""
        client = (await self.server.client("strict", profile="fapi2", **fields)).record
        headers = Headers((("dpop", proof),) if proof else ())
        connection = Connection(secure=True, certificate=certificate)
        request = Request("POST", "/oauth2/token", headers=headers, connection=connection)
        try:
            return await self.server.application.bindings.of(request, client)
        except OAuthError as error:
            return error.kind.code

    def proof(self, holder: Holder) -> str:
        """A proof."""
        return holder.proof("POST", "/oauth2/token", self.server.clock.seconds())

    async def test_one_of_both(self) -> None:
        """A key, or a certificate, is enough; nothing is not."""
        self.assertEqual(await self.binding(b""), "invalid_request")
        await self.server.application.clients.delete("strict")
        bound = await self.binding(OWN)
        self.assertEqual((bound.jkt, bound.x5t), ("", x5t(OWN)))
        await self.server.application.clients.delete("strict")
        bound = await self.binding(OWN, self.proof(Holder()))
        self.assertEqual((bound.jkt, bound.x5t), (Holder().jkt, ""))

    async def test_algorithms(self) -> None:
        """Section 5.4.1: its proofs are signed with the algorithms of the profile, whatever else is on."""
        for algorithm in ("PS256", "Ed25519"):
            holder = Holder(algorithm=algorithm)
            self.assertEqual((await self.binding(b"", self.proof(holder))).jkt, holder.jkt)
            await self.server.application.clients.delete("strict")
        other = Holder(algorithm="ES384")
        self.assertEqual(await self.binding(b"", self.proof(other)), "invalid_dpop_proof")
        self.assertIn("ES384", self.server.settings.dpop.algorithms)


class StrictServerTests(StrictTests):
    """The same, where the server holds every client to it."""

    sections = {"server": ServerSettings(profile="fapi2")}


class ProxyTests(ServerCase):
    """The same from a request on the wire, where a trusted proxy tells of the certificate."""

    sections = {
        "server": ServerSettings(trusted_proxies=(ip_network("192.0.2.1/32"),)),
        "mtls": MtlsSettings(proxy_header="Client-Cert"),
    }

    async def send(self, method: str, path: str, pair: Pair | None, source: str = "192.0.2.1", **more: Any) -> Answer:
        """A request as the proxy passes it on."""
        headers = [*more.pop("headers", ()), *([("Client-Cert", pair.field)] if pair else [])]
        return await self.server.http.request(method, path, source=source, headers=headers, **more)

    async def test_a_whole_life(self) -> None:
        """A token is bound to the certificate that the proxy tells of, works through it, and nowhere else."""
        app = await self.server.client(certificate_bound=True, scopes=("admin",))
        own, other = Pair.self_made("CN=own"), Pair.self_made("CN=other")
        form = {"grant_type": "client_credentials", "scope": "admin"}
        for pair, source in ((None, "192.0.2.1"), (own, "198.51.100.7")):
            answer = await self.send("POST", "/oauth2/token", pair, source, form=form, basic_auth=app.basic)
            self.refused(answer, "invalid_request")
        told = ok(await self.send("POST", "/oauth2/token", own, form=form, basic_auth=app.basic))
        token = told["access_token"]
        bound = (await self.server.introspect(token))["cnf"]
        self.assertEqual(bound, {"x5t#S256": x5t(own.der)})
        ok(await self.send("GET", "/api/v1/oauth/scopes", own, bearer=token))
        for pair, source in ((None, "192.0.2.1"), (other, "192.0.2.1"), (own, "198.51.100.7")):
            answer = await self.send("GET", "/api/v1/oauth/scopes", pair, source, bearer=token)
            self.refused(answer, "invalid_token", 401)

    async def test_metadata(self) -> None:
        """Section 3.3: the metadata says that tokens can be bound."""
        document = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertIs(document["tls_client_certificate_bound_access_tokens"], True)
