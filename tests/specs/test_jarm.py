"""JWT Secured Authorization Response Mode for OAuth 2.0 (JARM): responses signed, and encrypted where wanted."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import OctKey
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from oauthd.config import KeySettings, TokenSettings
from oauthd.protocol import jose
from oauthd.protocol.response_modes import LIFETIME
from tests.server import ISSUER, NOW, REDIRECT, App, ServerCase, ok
from tests.specs.tokens import Read, verified
from tests.wire import Answer


class _Flow(ServerCase):
    """Flows and what comes of them."""

    async def prepare(self) -> None:
        """A client and a user."""
        self.app, self.alice = await self.server.client(), await self.server.user()

    async def answered(self, mode: str, app: App | None = None, **parameters: str) -> Answer:
        """The answer at the end of a flow."""
        browser = self.server.browser()
        asking = self.server.asking(app or self.app, response_mode=mode, **parameters)
        page = await browser.sign_in(await browser.open("/oauth2/authorize", asking), self.alice)
        return await browser.submit(page, "allow")

    async def refused_by(self, app: App, mode: str, **parameters: str) -> Answer:
        """The answer to a request that fails."""
        asking = self.server.asking(app, **{"response_mode": mode, "prompt": "none", **parameters})
        return await self.server.get("/oauth2/authorize", asking)

    def response(self, answer: Answer, place: str) -> str:
        """The one parameter of an answer, from where it must be."""
        if place == "form_post":
            (form,) = answer.forms
            self.assertEqual(form.action, REDIRECT)
            told = form.fields
        else:
            split = urlsplit(answer.location)
            told = dict(parse_qsl(getattr(split, place), strict_parsing=True))
        self.assertEqual(list(told), ["response"], "everything else is inside")
        return told["response"]

    async def read(self, answer: Answer, place: str = "query", algorithm: str = "RS256") -> Read:
        """The verified response."""
        return await verified(self.server, self.response(answer, place), algorithm)


class SignedTests(_Flow):
    """Section 2: signed responses."""

    async def test_section_2_1_and_2_3(self) -> None:
        """Sections 2.1 and 2.3: each mode has one parameter, a JWT with iss, aud, exp, code and state."""
        places = {"jwt": "query", "query.jwt": "query", "fragment.jwt": "fragment", "form_post.jwt": "form_post"}
        for number, (mode, place) in enumerate(places.items()):
            app = await self.server.client(f"app{number}")
            claims = (await self.read(await self.answered(mode, app), place)).claims
            self.assertEqual(claims.keys(), {"iss", "aud", "exp", "code", "state"})
            self.assertEqual((claims["iss"], claims["aud"], claims["state"]), (ISSUER, app.client_id, "st&te"))
            self.assertEqual(claims["exp"], int(NOW) + LIFETIME)
            ok(await self.server.redeem(app, claims["code"]))

    async def test_section_2_1_lifetime(self) -> None:
        """Section 2.1: a response is good for ten minutes at most."""
        self.assertLessEqual(LIFETIME, 600)

    async def test_section_2_1_errors(self) -> None:
        """Section 2.1: an error is a signed response as well, also one that the person caused."""
        claims = (await self.read(await self.refused_by(self.app, "jwt"))).claims
        self.assertEqual((claims["error"], claims["state"], claims["aud"]), ("login_required", "st&te", "app"))
        self.assertIn("error_description", claims)
        self.assertNotIn("code", claims)
        browser = self.server.browser()
        asking = self.server.asking(self.app, response_mode="fragment.jwt")
        page = await browser.sign_in(await browser.open("/oauth2/authorize", asking), self.alice)
        claims = (await self.read(await browser.submit(page, "deny"), "fragment")).claims
        self.assertEqual(claims["error"], "access_denied")

    async def test_section_2_1_without_state(self) -> None:
        """A request without a state gets none back."""
        asking = {"response_mode": "jwt", "prompt": "none", "state": None}
        answer = await self.server.get("/oauth2/authorize", self.server.asking(self.app, **asking))
        self.assertNotIn("state", (await self.read(answer)).claims)

    async def test_section_3_algorithm(self) -> None:
        """Section 3: `authorization_signed_response_alg` of the client decides; RS256 without."""
        self.assertEqual((await self.read(await self.refused_by(self.app, "jwt"))).header["alg"], "RS256")
        for algorithm in ("ES256", "PS256", "EdDSA"):
            app = await self.server.client(f"app-{algorithm}", response_algorithm=algorithm)
            read = await self.read(await self.refused_by(app, "jwt"), algorithm=algorithm)
            self.assertEqual(read.header["alg"], algorithm)

    async def test_section_3_under_fapi(self) -> None:
        """FAPI 2.0 Security Profile section 5.4.1: a client that is held to it is never answered with RS256."""
        app = await self.server.client("strict", profile="fapi2")
        read = await self.read(await self.refused_by(app, "jwt"), algorithm="PS256")
        self.assertEqual(read.header["alg"], "PS256")

    async def test_section_3_under_fapi_1(self) -> None:
        """FAPI 1.0 Advanced section 8.6: neither is one of the older profile."""
        app = await self.server.client("older", profile="fapi1")
        asked = {"nonce": "n", "scope": "openid"}
        read = await self.read(await self.refused_by(app, "jwt", **asked), algorithm="PS256")
        self.assertEqual(read.header["alg"], "PS256")

    async def test_section_2_2_by_secret(self) -> None:
        """Section 2.2: a MAC is made with the client's own secret (OpenID Connect Core section 10.1)."""
        app = await self.server.client("mac", response_algorithm="HS256")
        token = self.response(await self.refused_by(app, "jwt"), "query")
        claims = jwt.decode(token, OctKey.import_key(app.secret), algorithms=["HS256"]).claims
        self.assertEqual((claims["error"], claims["aud"]), ("login_required", "mac"))
        wrong = OctKey.import_key(self.app.secret)
        self.assertRaises(BadSignatureError, jwt.decode, token, wrong, algorithms=["HS256"])

    async def test_no_key_no_answer_in_clear(self) -> None:
        """An algorithm that no key here signs with is told to the person: nothing is sent unsigned."""
        app = await self.server.client("odd", response_algorithm="ES512")
        self.refused_page(await self.refused_by(app, "jwt"))

    async def test_values_cannot_take_the_place_of_claims(self) -> None:
        """What a request names iss, aud or exp is no part of the response."""
        answer = await self.refused_by(self.app, "jwt", iss="https://evil.example", aud="other", exp="9")
        claims = (await self.read(answer)).claims
        self.assertEqual((claims["iss"], claims["aud"], claims["exp"]), (ISSUER, "app", int(NOW) + LIFETIME))

    async def test_a_hostile_state_in_a_form(self) -> None:
        """A state full of markup is inside the token, and the page holds base64url alone."""
        page = await self.refused_by(self.app, "form_post.jwt", state='"><script>alert(1)</script>')
        self.assertRegex(self.response(page, "form_post"), r"\A[A-Za-z0-9_.-]+\Z")
        self.assertNotIn("alert", page.text)

    async def test_section_4_metadata(self) -> None:
        """Section 4: the algorithms are announced."""
        document = ok(await self.server.get("/.well-known/openid-configuration"))
        self.assertIn("RS256", document["authorization_signing_alg_values_supported"])
        self.assertNotIn("none", document["authorization_signing_alg_values_supported"])
        self.assertEqual(
            document["authorization_encryption_alg_values_supported"], list(jose.KEY_ENCRYPTION)
        )
        self.assertEqual(
            document["authorization_encryption_enc_values_supported"], list(jose.CONTENT_ENCRYPTION)
        )

    async def test_section_5_unreadable_requests(self) -> None:
        """Section 5: an error of a request that cannot be read is signed as well, whatever stands outside of it."""
        app = await self.server.client("signed", response_algorithm="ES256")
        named = {"client_id": app.client_id, "redirect_uri": REDIRECT, "state": "s"}
        wrong = ({"request": "no.request.object"}, {"request_uri": "https://app.example/unknown"})
        for place, mode in (("query", ""), ("query", "query"), ("fragment", "fragment")):
            for sent in wrong:
                answer = await self.server.get("/oauth2/authorize", {**named, **sent, "response_mode": mode})
                claims = (await self.read(answer, place, "ES256")).claims
                self.assertRegex(claims["error"], r"\Ainvalid_request_(object|uri)\Z")
                self.assertEqual(claims["state"], "s")


class ModesTests(_Flow):
    """FAPI 2.0 Message Signing section 5.3.3: the response modes that a client may ask for."""

    async def test_registered(self) -> None:
        """Those that are registered can be asked for, and no others; without any, all can."""
        app = await self.server.client("some", response_modes=("query", "form_post"))
        for other in ("fragment", "jwt", "query.jwt"):
            self.refused(await self.pushed(app, other), "invalid_request")
        for mode in ("query", "form_post", None):
            self.assertEqual((await self.pushed(app, mode)).status, 201)
        self.assertEqual((await self.pushed(self.app, "fragment.jwt")).status, 201)

    async def test_signed_alone(self) -> None:
        """Where only signed ones are, the error of asking for another, or for none, is signed as well."""
        app = await self.server.client("signed", response_modes=("jwt",))
        for asked in ("query", None):
            asking = self.server.asking(app, prompt="none", response_mode=asked)
            claims = (await self.read(await self.server.get("/oauth2/authorize", asking))).claims
            self.assertEqual(claims["error"], "invalid_request")
        self.assertEqual((await self.read(await self.refused_by(app, "jwt"))).claims["error"], "login_required")

    async def pushed(self, app: App, mode: str | None) -> Answer:
        """The answer to a pushed request."""
        asking = self.server.asking(app, **({} if mode is None else {"response_mode": mode}))
        return await self.server.post("/oauth2/par", asking, basic=app.basic)


class DefaultTests(_Flow):
    """Section 3, where the operator has another default for id tokens."""

    sections = {"tokens": TokenSettings(id_token_algorithm="ES256")}

    async def test_section_3_default(self) -> None:
        """Without an algorithm of its own a client's responses are signed with RS256 all the same."""
        self.assertEqual((await self.read(await self.refused_by(self.app, "jwt"))).header["alg"], "RS256")


class OtherDefaultTests(_Flow):
    """The same, where no key signs with RS256."""

    sections = {"tokens": TokenSettings(id_token_algorithm="ES256"), "keys": KeySettings(algorithms=("ES256",))}

    async def test_no_such_key(self) -> None:
        """The default of id tokens takes its place."""
        read = await self.read(await self.refused_by(self.app, "jwt"), algorithm="ES256")
        self.assertEqual(read.header["alg"], "ES256")


class EncryptedTests(_Flow):
    """Section 2.2: signed first, encrypted then."""

    async def prepare(self) -> None:
        """A client with a key."""
        await super().prepare()
        self.key = JWK.generate(kty="EC", crv="P-256", use="enc", kid="mine")

    async def encrypting(self, alg: str, enc: str, key: JWK, name: str) -> App:
        """A client that wants its responses encrypted."""
        jwks: dict[str, Any] = {"keys": [key.export_public(as_dict=True)]}
        return await self.server.client(name, response_encryption=(alg, enc), jwks=jwks)

    def opened(self, token: str, key: JWK) -> tuple[dict[str, Any], str]:
        """Header and content of an encrypted response."""
        sealed = JWE()
        sealed.deserialize(token, key)
        return json.loads(jose.decode(token.split(".")[0])), sealed.payload.decode()

    async def test_section_2_2(self) -> None:
        """Section 2.2: a nested JWT (RFC 7519 section 5.2), whose content is the signed response."""
        rsa = JWK.generate(kty="RSA", size=2048, use="enc", kid="rsa")
        for number, (alg, enc, key) in enumerate(
            (("ECDH-ES", "A256GCM", self.key), ("RSA-OAEP-256", "A128CBC-HS256", rsa))
        ):
            app = await self.encrypting(alg, enc, key, f"sealed{number}")
            token = self.response(await self.answered("jwt", app), "query")
            header, inner = self.opened(token, key)
            self.assertEqual((header["alg"], header["enc"], header["cty"]), (alg, enc, "JWT"))
            claims = (await verified(self.server, inner, "RS256")).claims
            self.assertEqual(claims["aud"], app.client_id)
            ok(await self.server.redeem(app, claims["code"]))

    async def test_errors_are_encrypted_too(self) -> None:
        """An error tells nobody else anything either."""
        app = await self.encrypting("ECDH-ES", "A128GCM", self.key, "sealed")
        _, inner = self.opened(self.response(await self.refused_by(app, "jwt"), "query"), self.key)
        self.assertEqual((await verified(self.server, inner, "RS256")).claims["error"], "login_required")

    async def test_without_a_key_nothing_is_sent(self) -> None:
        """A client whose key does not serve gets no answer in clear: the person is told."""
        signing = JWK.generate(kty="EC", crv="P-256", use="sig", kid="mine")
        app = await self.encrypting("ECDH-ES", "A128GCM", signing, "sealed")
        self.refused_page(await self.refused_by(app, "jwt"))

    async def test_section_3_no_other_modes(self) -> None:
        """Section 5: a client that wants its responses signed or encrypted gets none that are not, errors included."""
        for app in (
            await self.encrypting("ECDH-ES", "A128GCM", self.key, "sealed"),
            await self.server.client("signed", response_algorithm="ES256"),
        ):
            for mode in ("query", "fragment", "form_post", None):
                place = mode or "query"
                asking = self.server.asking(app, response_mode=mode)
                token = self.response(await self.server.get("/oauth2/authorize", asking), place)
                encrypted = bool(app.record.response_encryption)
                inner = self.opened(token, self.key)[1] if encrypted else token
                claims = (await verified(self.server, inner, "RS256" if encrypted else "ES256")).claims
                self.assertEqual((claims["error"], claims["state"]), ("invalid_request", "st&te"))
            form = self.server.asking(app, response_mode="form_post")
            self.refused(await self.server.post("/oauth2/par", form, basic=app.basic), "invalid_request")
