"""RFC 9701, JWT Response for OAuth Token Introspection: section by section, what holds of the running server."""

from __future__ import annotations

from functools import partial
from typing import Any

from joserfc import jwe
from msgspec.structs import replace

from oauthd.protocol import client_metadata
from oauthd.protocol.jose import CONTENT_ENCRYPTION, KEY_ENCRYPTION
from tests.server import ISSUER, App, ServerCase, ok
from tests.specs.test_userinfo_tokens import CURVE, ENCRYPTIONS, RSA, SIGNATURE, key_set
from tests.specs.tokens import Read, verified
from tests.wire import Answer

MEDIA_TYPE = "application/token-introspection+jwt"
INTROSPECT = "/oauth2/introspect"


class SignedCase(ServerCase):
    """An application with a token, and a resource server."""

    async def prepare(self) -> None:
        """Make them."""
        self.app, self.api = await self.server.client(), await self.server.client("api")
        self.alice = await self.server.user()
        self.token: str = (await self.server.signed_in(self.app, self.alice, scope="openid read"))["access_token"]

    async def ask(self, token: str, caller: App | None = None, accept: str = MEDIA_TYPE, **form: str) -> Answer:
        """Ask about a token; "" for no Accept field."""
        headers = [("Accept", accept)] if accept else []
        basic = (caller or self.api).basic
        return await self.server.post(INTROSPECT, {"token": token, **form}, basic=basic, headers=headers)

    async def told(self, token: str, caller: App | None = None, algorithm: str = "RS256", **form: str) -> Read:
        """What a signed answer says, its signature verified by another library."""
        answer = await self.ask(token, caller, **form)
        self.assertEqual((answer.status, answer.header("content-type")), (200, MEDIA_TYPE), answer.body)
        self.assertEqual(answer.header("cache-control"), "no-store")
        read = await verified(self.server, answer.body.decode(), algorithm)
        self.assertEqual(read.header["typ"], "token-introspection+jwt")
        return read


class RequestTests(SignedCase):
    """Section 4: who asks for a JWT."""

    async def test_section_4_accept(self) -> None:
        """Whoever names the media type is told by a JWT, among others too and in any case."""
        both = f"application/json;q=0.5, {MEDIA_TYPE};q=0.9"
        for accept in (MEDIA_TYPE, MEDIA_TYPE.upper(), both, f"{MEDIA_TYPE},a/b"):
            self.assertEqual((await self.ask(self.token, accept=accept)).header("content-type"), MEDIA_TYPE)

    async def test_section_4_others(self) -> None:
        """Whoever does not gets JSON as ever: no wildcard means it, nor does a registered algorithm."""
        jws = await self.server.client("jws", introspection_algorithm="ES256")
        odd = (f"{MEDIA_TYPE};q=0", f"x{MEDIA_TYPE}", f"{MEDIA_TYPE}x")
        for accept in ("", "*/*", "application/*", "application/json", "application/jwt", *odd):
            for caller in (self.api, jws):
                answer = await self.ask(self.token, caller, accept)
                self.assertEqual(answer.header("content-type"), "application/json")
                self.assertTrue(ok(answer)["active"])

    async def test_section_4_form(self) -> None:
        """The form is that of RFC 7662, and errors are JSON."""
        self.refused(await self.ask(""), "invalid_request")
        headers = [("Accept", MEDIA_TYPE)]
        twice = await self.server.post(INTROSPECT, [("token", "a")] * 2, basic=self.api.basic, headers=headers)
        self.refused(twice, "invalid_request")


class ResponseTests(SignedCase):
    """Section 5: what is in the JWT."""

    async def test_section_5_claims(self) -> None:
        """Exactly `iss`, `aud` for the caller, `iat`, and all that JSON would say within `token_introspection`."""
        for caller in (self.api, self.app):
            told = await self.told(self.token, caller)
            self.assertEqual(
                told.claims,
                {
                    "iss": ISSUER,
                    "aud": caller.client_id,
                    "iat": int(self.server.clock.seconds()),
                    "token_introspection": await self.server.introspect(self.token, caller),
                },
            )

    async def test_section_5_inactive(self) -> None:
        """Invalid, expired, revoked and others' tokens say `active` false and nothing else."""
        refresh = (await self.server.signed_in(self.app, self.alice, scope="read"))["refresh_token"]
        await self.server.post("/oauth2/revoke", {"token": self.token}, basic=self.app.basic)
        for token in ("unknown", self.token, refresh, "x" * 20000):
            self.assertEqual((await self.told(token)).claims["token_introspection"], {"active": False})
        self.assertTrue((await self.told(refresh, self.app)).claims["token_introspection"]["active"])

    async def test_section_5_not_intended(self) -> None:
        """A token for another resource server's resource is inactive in a JWT, too."""
        owner = await self.server.client("owner", resources=("https://rs.example",))
        answer = await self.server.token(self.app, "client_credentials", resource="https://rs.example")
        token = ok(answer)["access_token"]
        for _ in range(2):
            self.assertFalse((await self.told(token)).claims["token_introspection"]["active"])
            self.assertTrue((await self.told(token, owner)).claims["token_introspection"]["active"])

    async def test_section_5_callers(self) -> None:
        """Who does not authenticate at all is told so with status 400; who fails to, with 401 as ever."""
        headers, form = [("Accept", MEDIA_TYPE)], {"token": self.token}
        self.refused(await self.server.post(INTROSPECT, form, headers=headers), "invalid_client", 400)
        spa = await self.server.client("spa", public=True)
        named = form | {"client_id": spa.client_id}
        self.refused(await self.server.post(INTROSPECT, named, headers=headers), "invalid_client", 400)
        for basic in (("api", "wrong"), ("unknown", "wrong")):
            answer = await self.server.post(INTROSPECT, form, basic=basic, headers=headers)
            self.refused(answer, "invalid_client", 401)
        posted = form | {"client_id": "api", "client_secret": "wrong"}
        self.refused(await self.server.post(INTROSPECT, posted, headers=headers), "invalid_client", 401)
        nosy = await self.server.client("nosy", introspects=False)
        self.refused(await self.ask(self.token, nosy), "unauthorized_client")

    async def test_section_8_1_no_access_token(self) -> None:
        """The JWT is none of our tokens: introspection knows it not, and no resource of ours takes it."""
        signed = (await self.ask(self.token)).body.decode()
        self.assertFalse((await self.server.introspect(signed))["active"])
        self.assertEqual((await self.server.userinfo(signed)).status, 401)

    async def test_demands(self) -> None:
        """What the caller demands holds for signed answers as for others."""
        met = await self.told(self.token, required_scope="read", max_age="60")
        self.assertTrue(met.claims["token_introspection"]["active"])
        unmet = await self.told(self.token, required_scope="write")
        self.assertEqual(unmet.claims["token_introspection"], {"active": False})


class MetadataTests(SignedCase):
    """Sections 6 and 7: what a client registers, and what the server offers."""

    async def test_section_6_algorithms(self) -> None:
        """The client's algorithm signs; RS256 where it has registered none."""
        self.assertEqual((await self.told(self.token)).header["alg"], "RS256")
        for algorithm in ("RS256", "ES256", "PS256", "EdDSA"):
            caller = await self.server.client(algorithm.lower(), introspection_algorithm=algorithm)
            self.assertEqual((await self.told(self.token, caller, algorithm)).header["alg"], algorithm)

    async def test_under_fapi(self) -> None:
        """FAPI 2.0 section 5.4.1: by an algorithm of the profile, whatever was chosen."""
        await self.server.application.clients.update("api", partial(replace, profile="fapi1"))
        self.assertEqual((await self.told(self.token, algorithm="PS256")).header["alg"], "PS256")

    async def test_section_6_encryption(self) -> None:
        """With an encryption the JWT is nested: signed, then encrypted to the caller's key, and `cty` says so."""
        key: Any
        for n, (key, alg, enc) in enumerate(ENCRYPTIONS):
            caller = await self.server.client(
                f"nested-{n}", jwks=key_set(SIGNATURE, RSA, CURVE), introspection_algorithm="ES256",
                introspection_encryption=(alg, enc),
            )  # fmt: skip
            answer = await self.ask(self.token, caller)
            self.assertEqual(answer.header("content-type"), MEDIA_TYPE)
            opened = jwe.decrypt_compact(answer.body, key, algorithms=[alg, enc])
            self.assertEqual((opened.protected["alg"], opened.protected["enc"]), (alg, enc))
            self.assertEqual(opened.protected["cty"], "JWT")
            assert opened.plaintext is not None
            told = await verified(self.server, opened.plaintext.decode(), "ES256")
            self.assertTrue(told.claims["token_introspection"]["active"])
            self.assertEqual(told.claims["aud"], caller.client_id)

    async def test_encryption_cannot_be_left_out(self) -> None:
        """Who has its answers encrypted gets no others: whoever found its secret reads nothing without its key."""
        caller = await self.server.client(
            "sealed", jwks=key_set(CURVE), introspection_encryption=("ECDH-ES", "A128GCM")
        )
        for accept in ("", "application/json", "*/*"):
            self.refused(await self.ask(self.token, caller, accept), "invalid_request")
        many = {"tokens": [self.token]}
        batch = await self.server.http.request("POST", f"{INTROSPECT}/batch", json_body=many, basic_auth=caller.basic)
        self.refused(batch, "invalid_request")
        self.assertEqual((await self.ask(self.token, caller)).header("content-type"), MEDIA_TYPE)

    async def test_section_6_no_key(self) -> None:
        """A client without a key that fits gets nothing that others could read."""
        caller = await self.server.client("keyless", introspection_encryption=("RSA-OAEP-256", "A128GCM"))
        self.refused(await self.ask(self.token, caller), "invalid_request")

    def test_section_6_registration(self) -> None:
        """The members are registered and told by the names of the specification; `none` is not among the algorithms."""
        members = {
            "introspection_signed_response_alg": "ES256",
            "introspection_encrypted_response_alg": "ECDH-ES",
            "jwks": key_set(CURVE),
        }
        read, problems = self.registered(members)
        self.assertEqual(problems, {})
        self.assertEqual(read["introspection_algorithm"], "ES256")
        self.assertEqual(read["introspection_encryption"], ("ECDH-ES", "A128CBC-HS256"))  # the default of `enc`
        for bad in ({"introspection_signed_response_alg": "none"}, {"introspection_encrypted_response_alg": "RSA1_5"}):
            self.assertEqual(set(self.registered(bad)[1]), set(bad))

    def registered(self, members: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """The fields of a record that members become, and what is wrong with them."""
        table = client_metadata.rows(self.server.application.offered)
        read, problems = client_metadata.problems_of(members, table)
        return client_metadata.fields(read, table) if not problems else {}, problems

    async def test_section_7(self) -> None:
        """The metadata names the algorithms."""
        told = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertIn("RS256", told["introspection_signing_alg_values_supported"])
        self.assertNotIn("none", told["introspection_signing_alg_values_supported"])
        self.assertEqual(told["introspection_encryption_alg_values_supported"], list(KEY_ENCRYPTION))
        self.assertEqual(told["introspection_encryption_enc_values_supported"], list(CONTENT_ENCRYPTION))
