"""OpenID Connect Core 1.0, the authorization code flow: section by section, what holds of the running server."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from msgspec.structs import replace

from oauthd.config import KeySettings, UserinfoSettings
from oauthd.stores.users import ADMINISTRATOR
from tests.server import ISSUER, REDIRECT, App, Browser, ServerCase, form_of, ok
from tests.specs.tokens import published, verified
from tests.wire import Answer

DIGESTS = {"RS256": "sha256", "PS256": "sha256", "ES256": "sha256", "EdDSA": "sha512"}
DAY = 86400


class CoreCase(ServerCase):
    """A client, a user, and a browser."""

    async def prepare(self) -> None:
        """Make them."""
        self.app = await self.server.client()
        self.alice = await self.server.user()
        self.browser = self.server.browser()

    async def ask(self, app: App | None = None, browser: Browser | None = None, **parameters: str | None) -> Answer:
        """An authorization request; the page or redirect that it leads to."""
        browser = browser or self.browser
        return await browser.open("/oauth2/authorize", self.server.asking(app or self.app, **parameters))

    async def sign_in(self, **parameters: str | None) -> dict[str, str]:
        """Sign in and agree; what the client is told."""
        return await self.server.authorize(self.app, self.alice, self.browser, **parameters)

    def asks_to_sign_in(self, page: Answer) -> None:
        """The page is the sign-in page."""
        self.assertEqual(page.status, 200, page.body)
        self.assertIn("password", form_of(page).fields)

    def asks_for_consent(self, page: Answer) -> None:
        """The page is the consent page."""
        self.assertEqual(page.status, 200, page.body)
        self.assertIn("allow", page.forms[-1].decisions)

    async def id_token(self, told: dict[str, str], app: App | None = None) -> dict[str, Any]:
        """The verified claims of the id token that a code brings."""
        tokens = ok(await self.server.redeem(app or self.app, told["code"]))
        return (await verified(self.server, tokens["id_token"], "RS256")).claims


class IdTokenTests(CoreCase):
    """Sections 2, 3.1.3.3, 3.1.3.6 and 12.2: the id token."""

    async def test_section_2_claims(self) -> None:
        """Section 2: the id token says who issued it, about whom, for whom, when, and how the person signed in."""
        self.server.clock.advance(100)
        told = await self.sign_in(nonce="n-0S6_WzA2Mj")
        self.server.clock.advance(20)
        tokens = ok(await self.server.redeem(self.app, told["code"]))
        read = await verified(self.server, tokens["id_token"], "RS256")
        now = int(self.server.clock.seconds())
        claims = read.claims
        self.assertEqual(read.header["typ"], "JWT")
        for name, value in {
            "iss": ISSUER,
            "sub": self.alice.user_id,
            "aud": "app",
            "iat": now,
            "exp": now + 3600,
            "auth_time": now - 20,
            "nonce": "n-0S6_WzA2Mj",
        }.items():
            self.assertEqual(claims[name], value, name)
        self.assertLessEqual(len(claims["sub"]), 255)
        self.assertTrue(claims["sub"].isascii())

    async def test_section_3_1_2_1_only_with_openid(self) -> None:
        """Section 3.1.2.1: without `openid` there is no id token."""
        tokens = ok(await self.server.redeem(self.app, (await self.sign_in(scope="read email"))["code"]))
        self.assertNotIn("id_token", tokens)

    async def test_section_2_nonce(self) -> None:
        """Section 2: without a nonce there is none in the id token; a long and odd one comes back unchanged."""
        self.assertNotIn("nonce", await self.id_token(await self.sign_in()))
        for nonce in ("\u00e4&= \U0001f511", "n" * 3000):
            self.assertEqual((await self.id_token(await self.sign_in(nonce=nonce)))["nonce"], nonce)

    async def test_section_3_1_3_6_algorithms_and_at_hash(self) -> None:
        """Sections 3.1.3.6 and 3.1.3.7: each algorithm a client may choose verifies, and so does its at_hash."""
        for algorithm, digest in DIGESTS.items():
            app = await self.server.client(algorithm.lower(), id_token_algorithm=algorithm)
            tokens = await self.server.signed_in(app, self.alice)
            read = await verified(self.server, tokens["id_token"], algorithm)
            self.assertEqual((read.header["alg"], read.claims["aud"]), (algorithm, app.client_id))
            half = hashlib.new(digest, tokens["access_token"].encode()).digest()
            expected = base64.urlsafe_b64encode(half[: len(half) // 2]).rstrip(b"=").decode()
            self.assertEqual(read.claims["at_hash"], expected)

    async def test_at_hash_of_an_opaque_token(self) -> None:
        """Section 3.1.3.6: at_hash is of the token as it is handed out, opaque ones included."""
        app = await self.server.client("opaque", access_format="opaque")
        tokens = await self.server.signed_in(app, self.alice)
        half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
        claims = (await verified(self.server, tokens["id_token"], "RS256")).claims
        self.assertEqual(claims["at_hash"], base64.urlsafe_b64encode(half).rstrip(b"=").decode())

    async def test_section_10_1_kid(self) -> None:
        """Section 10.1: an id token names the key, which is published with its algorithm and without a private part."""
        tokens = await self.server.signed_in(self.app, self.alice)
        header = json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[0] + "=="))
        keys = {key["kid"]: key for key in ok(await self.server.get("/oauth2/jwks"))["keys"]}
        key = keys[header["kid"]]
        self.assertEqual((key["alg"], key["use"], key["kty"]), ("RS256", "sig", "RSA"))
        for one in keys.values():
            self.assertTrue({"d", "p", "q", "dp", "dq", "qi", "k"}.isdisjoint(one))

    async def test_section_12_2_refreshed(self) -> None:
        """Section 12.2: the id token of a refresh has issuer, subject, audience, auth_time of the first, a new iat."""
        tokens = ok(await self.server.redeem(self.app, (await self.sign_in(nonce="once"))["code"]))
        first = (await verified(self.server, tokens["id_token"], "RS256")).claims
        self.server.clock.advance(600)
        again = ok(await self.server.refresh(self.app, tokens["refresh_token"]))
        second = (await verified(self.server, again["id_token"], "RS256")).claims
        for name in ("iss", "sub", "aud", "auth_time"):
            self.assertEqual(first[name], second[name])
        self.assertEqual(second["iat"], first["iat"] + 600)
        self.assertEqual(second.get("nonce", "once"), "once")

    async def test_refresh_without_openid(self) -> None:
        """A refresh that leaves `openid` out brings no id token."""
        tokens = await self.server.signed_in(self.app, self.alice, scope="openid read")
        answer = ok(await self.server.refresh(self.app, tokens["refresh_token"], scope="read"))
        self.assertNotIn("id_token", answer)

    async def test_a_changed_token_does_not_verify(self) -> None:
        """The verifier of these tests notices another claim: nothing here passes by accident."""
        tokens = await self.server.signed_in(self.app, self.alice)
        head, body, signature = tokens["id_token"].split(".")
        changed = base64.urlsafe_b64encode(base64.urlsafe_b64decode(body + "==").replace(b"app", b"apq")).decode()
        with self.assertRaises(JoseError):
            await verified(self.server, f"{head}.{changed.rstrip('=')}.{signature}", "RS256")


class RequestTests(CoreCase):
    """Section 3.1.2.1: what an authentication request may say; section 15.1: what must be understood."""

    async def test_redirect_uri_is_required(self) -> None:
        """Section 3.1.2.1: with `openid` a request without redirect_uri is refused, on a page."""
        self.refused_page(await self.ask(redirect_uri=None))

    async def test_prompt_none_signed_out(self) -> None:
        """Section 3.1.2.6: prompt=none without a session is login_required, and nobody sees a page."""
        self.refused_by_redirect((await self.ask(prompt="none")).redirected, "login_required")

    async def test_prompt_none_without_consent(self) -> None:
        """Section 3.1.2.6: prompt=none for what the person has not agreed to is consent_required."""
        await self.sign_in()
        self.refused_by_redirect((await self.ask(prompt="none", scope="openid email")).redirected, "consent_required")

    async def test_prompt_none(self) -> None:
        """Section 3.1.2.1: prompt=none with a session and consent brings a code at once."""
        first = await self.id_token(await self.sign_in())
        self.server.clock.advance(60)
        second = await self.id_token((await self.ask(prompt="none")).redirected)
        self.assertEqual((second["sub"], second["auth_time"]), (first["sub"], first["auth_time"]))

    async def test_prompt_none_alone(self) -> None:
        """Section 3.1.2.1: prompt=none together with another value, or an unknown value, is invalid_request."""
        for prompt in ("none login", "login none consent", "Login", "nonsense"):
            self.refused_by_redirect((await self.ask(prompt=prompt)).redirected, "invalid_request")

    async def test_prompt_login(self) -> None:
        """Section 3.1.2.1: prompt=login asks for the password again, and the new sign-in is what is told."""
        first = await self.id_token(await self.sign_in())
        self.server.clock.advance(60)
        page = await self.ask(prompt="login")
        self.asks_to_sign_in(page)
        second = await self.id_token((await self.browser.finish(page, self.alice)).redirected)
        self.assertEqual(second["auth_time"], first["auth_time"] + 60)

    async def test_prompt_login_cannot_be_skipped(self) -> None:
        """Section 3.1.2.3: who goes round the sign-in page, or agrees before signing in, is asked to sign in."""
        await self.sign_in()
        page = await self.ask(prompt="login")
        interaction = form_of(page).fields["interaction"]
        self.asks_to_sign_in(await self.browser.open("/oauth2/authorize", {"interaction": interaction}))
        consent = await self.browser.open("/consent", {"interaction": interaction})
        self.asks_to_sign_in(await self.browser.submit(consent, "allow"))

    async def test_prompt_login_is_personal(self) -> None:
        """Section 3.1.2.1: one person's new sign-in is not another's, who came into the browser since."""
        await self.sign_in()
        bob = await self.server.user("bob")
        page = await self.browser.sign_in(await self.ask(prompt="login consent"), self.alice)
        interaction = form_of(page, "allow").fields["interaction"]
        await self.browser.sign_in(await self.browser.open("/login"), bob)
        self.asks_to_sign_in(await self.browser.open("/oauth2/authorize", {"interaction": interaction}))

    async def test_prompt_consent(self) -> None:
        """Section 3.1.2.1: prompt=consent asks though it was agreed to before, first-party clients included."""
        first = await self.server.client("first", first_party=True)
        for app in (self.app, first):
            await self.server.authorize(app, self.alice, self.browser)
            page = await self.ask(app, prompt="consent")
            self.asks_for_consent(page)
            self.assertIn("code", (await self.browser.submit(page, "allow")).redirected)

    async def test_prompt_login_consent(self) -> None:
        """Section 3.1.2.1: both can be asked for."""
        await self.sign_in()
        page = await self.ask(prompt="login consent")
        self.asks_to_sign_in(page)
        page = await self.browser.sign_in(page, self.alice)
        self.asks_for_consent(page)
        self.assertIn("code", (await self.browser.submit(page, "allow")).redirected)

    async def test_prompt_select_account(self) -> None:
        """Section 3.1.2.1: prompt=select_account lets another person sign in."""
        await self.sign_in()
        bob = await self.server.user("bob")
        page = await self.ask(prompt="select_account")
        self.asks_to_sign_in(page)
        told = (await self.browser.finish(page, bob)).redirected
        self.assertEqual((await self.id_token(told))["sub"], bob.user_id)

    async def test_max_age(self) -> None:
        """Section 3.1.2.1: a sign-in longer ago than max_age is asked for again, and auth_time says when."""
        await self.sign_in()
        self.server.clock.advance(100)
        self.assertIn("code", (await self.ask(max_age="1000")).redirected)
        page = await self.ask(max_age="50")
        self.asks_to_sign_in(page)
        claims = await self.id_token((await self.browser.finish(page, self.alice)).redirected)
        self.assertEqual(claims["auth_time"], int(self.server.clock.seconds()))

    async def test_max_age_zero(self) -> None:
        """Section 3.1.2.1: max_age=0 asks always, and ends after one sign-in, however slow the person is."""
        await self.sign_in()
        page = await self.ask(max_age="0")
        self.asks_to_sign_in(page)
        self.server.clock.advance(5)
        self.assertIn("code", (await self.browser.sign_in(page, self.alice)).redirected)

    async def test_max_age_with_prompt_none(self) -> None:
        """Section 3.1.2.6: an old sign-in and prompt=none is login_required."""
        await self.sign_in()
        self.server.clock.advance(100)
        told = (await self.ask(max_age="50", prompt="none")).redirected
        self.refused_by_redirect(told, "login_required")

    async def test_max_age_zero_in_the_same_second(self) -> None:
        """Section 3.1.2.1: max_age=0 is as prompt=login, even for who signed in within this very second."""
        self.server.clock.advance(0.75)  # a whole second
        await self.sign_in()
        self.asks_to_sign_in(await self.ask(max_age="0"))
        self.refused_by_redirect((await self.ask(max_age="0", prompt="none")).redirected, "login_required")

    async def test_default_max_age(self) -> None:
        """Registration section 2: a client's default_max_age counts where the request has none, and yields to it."""
        app = await self.server.client("strict", default_max_age=50)
        await self.server.authorize(app, self.alice, self.browser)
        self.server.clock.advance(100)
        self.asks_to_sign_in(await self.ask(app))
        self.refused_by_redirect((await self.ask(app, prompt="none")).redirected, "login_required")
        self.assertIn("code", (await self.ask(app, max_age="1000", prompt="none")).redirected)

    async def test_prompt_and_max_age(self) -> None:
        """Each asks by itself: prompt=consent within max_age shows consent alone, beyond it sign-in comes first."""
        await self.sign_in()
        self.server.clock.advance(100)
        self.asks_for_consent(await self.ask(prompt="consent", max_age="1000"))
        page = await self.ask(prompt="consent", max_age="50")
        self.asks_to_sign_in(page)
        page = await self.browser.sign_in(page, self.alice)
        self.asks_for_consent(page)
        self.assertIn("code", (await self.browser.submit(page, "allow")).redirected)

    async def test_every_prompt_at_once(self) -> None:
        """prompt=login, consent and select_account together are one sign-in and one consent, in any order."""
        await self.sign_in()
        page = await self.ask(prompt="consent select_account login")
        self.asks_to_sign_in(page)
        page = await self.browser.sign_in(page, self.alice)
        self.asks_for_consent(page)
        self.assertIn("code", (await self.browser.submit(page, "allow")).redirected)

    async def test_auth_time(self) -> None:
        """Section 2: auth_time is told always, so also where max_age or require_auth_time makes it a must."""
        demanding = await self.server.client("demanding", require_auth_time=True)
        for app, asked in ((self.app, {"max_age": "1000"}), (self.app, {}), (demanding, {})):
            told = await self.server.authorize(app, self.alice, self.browser, **asked)
            claims = await self.id_token(told, app)
            self.assertEqual(claims["auth_time"], int(self.server.clock.seconds()))

    async def test_acr_and_amr(self) -> None:
        """Section 2: acr and amr say how the person signed in; id token, access token and introspection agree."""
        app = await self.server.client("wishful", default_acr_values=("urn:x",))
        tokens = await self.server.signed_in(app, self.alice, acr_values="urn:y")
        claims = (await verified(self.server, tokens["id_token"], "RS256")).claims
        access = (await verified(self.server, tokens["access_token"], "ES256")).claims
        introspected = await self.server.introspect(tokens["access_token"])
        self.assertEqual({one["acr"] for one in (claims, access, introspected)}, {"urn:oauthd:pwd"})
        self.assertEqual(claims["amr"], ["pwd"])

    async def test_max_age_malformed(self) -> None:
        """A max_age that is no number of seconds is invalid_request, however long."""
        for value in ("-1", "1.5", "soon", "\u0661", "9" * 12, "9" * 5000, "0x10", "1 "):
            self.refused_by_redirect((await self.ask(max_age=value)).redirected, "invalid_request")

    async def test_display(self) -> None:
        """Section 3.1.2.1: each display value gets the page; an unknown one is invalid_request."""
        for value in ("page", "popup", "touch", "wap"):
            self.asks_to_sign_in(await self.ask(display=value))
        self.refused_by_redirect((await self.ask(display="hologram")).redirected, "invalid_request")

    async def test_wishes(self) -> None:
        """Section 15.1: ui_locales, claims_locales and acr_values are understood, whether they can be met or not."""
        told = await self.sign_in(ui_locales="fr-CA fr en", claims_locales="de", acr_values="urn:unknown 2")
        self.assertIn("code", told)

    async def test_login_hint(self) -> None:
        """Section 3.1.2.1: login_hint fills in the name, whatever it is made of, and runs nothing."""
        page = await self.ask(login_hint="alice")
        self.assertEqual(form_of(page).fields["login"], "alice")
        evil = '"><script>alert(1)</script>'
        page = await self.ask(login_hint=evil)
        self.assertEqual(form_of(page).fields["login"], evil)
        self.assertNotIn("<script", page.text)

    async def test_section_3_1_2_6_not_supported(self) -> None:
        """Section 3.1.2.6: request, request_uri and registration have errors of their own."""
        errors = {"request": "invalid_request_object", "request_uri": "invalid_request_uri"}
        for name, error in (errors | {"registration": "registration_not_supported"}).items():
            wanted: dict[str, Any] = {name: "https://app.example/x"}
            self.refused_by_redirect((await self.ask(**wanted)).redirected, error)

    async def test_interaction_id(self) -> None:
        """FAPI 1.0 Baseline section 6.2.1: userinfo tells and logs an interaction id: the caller's, or a new one."""
        app = await self.server.client("baseline")
        token = (await self.server.signed_in(app, await self.server.user("bob")))["access_token"]
        good, wrong = "c770aef3-6784-41f7-8e0e-ff5f97bddb3a", "c770aef3"
        others = set()
        for sent in ((good,), (wrong,), (good, good), (good + "0",), ()):
            headers = [("x-fapi-interaction-id", one) for one in sent]
            for bearer, status in ((token, 200), ("none", 401)):
                self.server.events.clear()
                answer = await self.server.get("/oauth2/userinfo", bearer=bearer, headers=headers)
                told = answer.header("x-fapi-interaction-id")
                self.assertEqual((answer.status, str(UUID(told))), (status, told))
                self.assertEqual(told == good, sent == (good,))
                others.add(told)
                logged = [facts["interaction_id"] for facts in self.server.told("userinfo.told")]
                self.assertEqual(logged, [told] if status == 200 else [])
        self.assertEqual(len(others), 1 + 2 * 4)

    async def test_section_15_1_unknown_parameters(self) -> None:
        """Section 15.1: parameters that are not known are ignored, on every step of the way."""
        self.assertIn("code", await self.sign_in(extra="x", claims='{"id_token":{"acr":null}}', vtr="P1"))

    async def test_section_3_1_2_1_post(self) -> None:
        """Section 3.1.2.1: a POST is answered like a GET, and finds the session that a cross-site POST hides."""
        await self.sign_in()
        asked = self.server.asking(self.app, nonce="posted")
        answer = await self.server.post("/oauth2/authorize", asked)  # from another site: without cookies
        claims = await self.id_token((await self.browser.follow(answer)).redirected)
        self.assertEqual(claims["nonce"], "posted")


class OfflineTests(CoreCase):
    """Section 11: offline_access, by the rules that the documentation gives."""

    async def test_asked_for(self) -> None:
        """A client that is registered for refresh tokens gets the scope, and one that works without the person."""
        page = await self.browser.sign_in(await self.ask(scope="openid offline_access"), self.alice)
        self.asks_for_consent(page)
        self.assertIn("Keep access while you are away", page.text)
        told = (await self.browser.submit(page, "allow")).redirected
        tokens = ok(await self.server.redeem(self.app, told["code"]))
        self.assertEqual(tokens["scope"], "openid offline_access")
        self.server.clock.advance(3 * DAY)  # the session has ended since
        self.refused_by_redirect((await self.ask(prompt="none")).redirected, "login_required")
        self.assertIn("access_token", ok(await self.server.refresh(self.app, tokens["refresh_token"])))

    async def test_consent_is_explicit(self) -> None:
        """Consent to other scopes does not cover it, with or without prompt=consent; consent to it is remembered."""
        await self.sign_in(scope="openid email")
        told = (await self.ask(scope="openid offline_access", prompt="none")).redirected
        self.refused_by_redirect(told, "consent_required")
        page = await self.ask(scope="openid offline_access")
        self.asks_for_consent(page)
        await self.browser.submit(page, "allow")
        self.assertIn("code", (await self.ask(scope="openid offline_access", prompt="none")).redirected)

    async def test_ignored_without_refresh_tokens(self) -> None:
        """It is ignored, and no error, where the client gets no refresh tokens."""
        app = await self.server.client("online", grant_types=("authorization_code",))
        page = await self.browser.sign_in(await self.ask(app, scope="openid offline_access"), self.alice)
        self.assertNotIn("while you are away", page.text)
        told = (await self.browser.submit(page, "allow")).redirected
        tokens = ok(await self.server.redeem(app, told["code"]))
        self.assertEqual(tokens["scope"], "openid")
        self.assertNotIn("refresh_token", tokens)

    async def test_by_default(self) -> None:
        """Nor does a default scope bring it to such a client."""
        app = await self.server.client(
            "defaulting", grant_types=("authorization_code",), default_scopes=("openid", "offline_access")
        )
        told = await self.server.authorize(app, self.alice, self.browser, scope=None)
        self.assertEqual(ok(await self.server.redeem(app, told["code"]))["scope"], "openid")


class HintTests(CoreCase):
    """Section 3.1.2.1: id_token_hint."""

    async def prepare(self) -> None:
        """An id token of alice, who stays signed in."""
        await super().prepare()
        self.hint = ok(await self.server.redeem(self.app, (await self.sign_in())["code"]))["id_token"]

    async def test_same_person(self) -> None:
        """The person of the hint is signed in: a code, at once."""
        self.assertIn("code", (await self.ask(id_token_hint=self.hint, prompt="none")).redirected)

    async def test_after_its_end(self) -> None:
        """A hint counts after its own end."""
        self.server.clock.advance(2 * 3600)
        self.assertIn("code", (await self.ask(id_token_hint=self.hint, prompt="none")).redirected)

    async def test_nobody(self) -> None:
        """The person of the hint is not signed in: login_required, or the sign-in page."""
        stranger = self.server.browser()
        told = (await self.ask(browser=stranger, id_token_hint=self.hint, prompt="none")).redirected
        self.refused_by_redirect(told, "login_required")
        page = await self.ask(browser=stranger, id_token_hint=self.hint)
        self.assertIn("code", (await stranger.finish(page, self.alice)).redirected)

    async def test_another_person(self) -> None:
        """Another person is signed in: login_required, or the sign-in page; and never a code for the other one."""
        bob = await self.server.user("bob")
        browser = self.server.browser()
        await self.server.authorize(self.app, bob, browser)
        told = (await self.ask(browser=browser, id_token_hint=self.hint, prompt="none")).redirected
        self.refused_by_redirect(told, "login_required")
        page = await self.ask(browser=browser, id_token_hint=self.hint)
        self.asks_to_sign_in(page)
        told = (await browser.finish(page, bob)).redirected
        self.refused_by_redirect(told, "login_required")

    async def test_what_is_no_hint(self) -> None:
        """A hint that we did not sign, another kind of token, and rubbish are invalid_request."""
        tokens = await self.server.signed_in(self.app, self.alice)
        head, body, signature = self.hint.split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
        key = RSAKey.generate_key(2048, {"kid": json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]})
        forged = jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)
        public = next(one for one in (await published(self.server)).keys if isinstance(one, RSAKey)).as_pem()
        for hint in (
            "rubbish",
            "a.b.c",
            f"{none}.{body}.",
            f"{none}.{body}.{signature}",
            forged,
            tokens["access_token"],
            tokens["refresh_token"],
            self.hint + "x",
            "x" * 6000,
            public.decode().replace("\n", ""),
        ):
            told = (await self.ask(id_token_hint=hint, prompt="none")).redirected
            self.refused_by_redirect(told, "invalid_request")


class ConsentTests(CoreCase):
    """Section 3.1.2.4: who is asked, when, and for what."""

    async def test_asked_once(self) -> None:
        """Consent is remembered for user, client and scopes; a further scope is asked for, a part of them is not."""
        await self.sign_in(scope="openid email profile")
        self.assertIn("code", (await self.ask(scope="openid email")).redirected)
        self.asks_for_consent(await self.ask(scope="openid phone"))
        self.asks_for_consent(await self.ask(await self.server.client("other"), scope="openid"))

    async def test_scopes_add_up(self) -> None:
        """What was agreed to at different times is remembered together."""
        await self.sign_in(scope="openid email")
        await self.browser.finish(await self.ask(scope="openid phone"), self.alice)
        self.assertIn("code", (await self.ask(scope="openid email phone")).redirected)

    async def test_empty_scope_is_remembered(self) -> None:
        """Consent to an empty scope is remembered, too."""
        await self.sign_in(scope=None)
        self.assertIn("code", (await self.ask(scope=None)).redirected)

    async def test_refusal_is_not_remembered(self) -> None:
        """After a refusal the next request asks again."""
        page = await self.browser.sign_in(await self.ask(), self.alice)
        self.assertEqual((await self.browser.submit(page, "deny")).redirected["error"], "access_denied")
        self.asks_for_consent(await self.ask())

    async def test_consent_is_forgotten_in_time(self) -> None:
        """A year later the person is asked again."""
        await self.sign_in()
        self.server.clock.advance(365 * DAY)
        page = await self.ask()
        self.asks_for_consent(await self.browser.sign_in(page, self.alice))

    async def test_a_client_made_anew_is_asked_for(self) -> None:
        """A later client of the same id does not inherit the consent."""
        await self.sign_in()
        await self.server.application.clients.delete("app")
        self.asks_for_consent(await self.ask(await self.server.client("app")))

    async def test_another_person_is_asked(self) -> None:
        """One person's consent is not another's."""
        await self.sign_in()
        bob = await self.server.user("bob")
        browser = self.server.browser()
        self.asks_for_consent(await browser.sign_in(await self.ask(browser=browser), bob))

    async def test_first_party(self) -> None:
        """A first-party client's people are not asked."""
        app = await self.server.client("first", first_party=True)
        page = await self.ask(app, scope="openid email")
        self.assertIn("code", (await self.browser.sign_in(page, self.alice)).redirected)

    async def test_rfc8252_section_8_6_native(self) -> None:
        """RFC 8252 section 8.6: public clients on loopback or private schemes are always asked for."""
        for number, uri in enumerate(("http://127.0.0.1/cb", "http://localhost:9/cb", "com.example.app:/cb")):
            for own in (False, True):
                app = await self.server.client(f"{number}{own}", public=True, redirect_uris=(uri,), first_party=own)
                await self.server.authorize(app, self.alice, self.browser)
                self.asks_for_consent(await self.ask(app))
                self.refused_by_redirect((await self.ask(app, prompt="none")).redirected, "consent_required")

    async def test_rfc8252_section_8_6_claimed_https(self) -> None:
        """RFC 8252 section 8.6: an https address of its own shows that it is the operator's public client."""
        app = await self.server.client("own", public=True, first_party=True)
        await self.server.authorize(self.app, self.alice, self.browser)
        self.assertIn("code", (await self.ask(app, prompt="none")).redirected)

    async def test_rfc8252_section_8_6_remembered_elsewhere(self) -> None:
        """What was agreed to for a client's website is asked for again where an application on the device asks."""
        app = await self.server.client("both", public=True, redirect_uris=(REDIRECT, "http://127.0.0.1/cb"))
        await self.server.authorize(app, self.alice, self.browser)
        self.assertIn("code", (await self.ask(app)).redirected)
        self.asks_for_consent(await self.ask(app, redirect_uri="http://127.0.0.1:9/cb"))

    async def test_confidential_on_loopback_is_remembered(self) -> None:
        """A confidential client proves itself, so its people are not asked again on loopback either."""
        app = await self.server.client("daemon", redirect_uris=("http://127.0.0.1/cb",))
        await self.server.authorize(app, self.alice, self.browser)
        self.assertIn("code", (await self.ask(app)).redirected)

    async def test_more_scope_in_between(self) -> None:
        """When the client's default grows between consent and code the person is asked again."""
        app = await self.server.client("growing", default_scopes=("read",))
        page = await self.browser.sign_in(await self.ask(app, scope=None), self.alice)
        answer = await self.browser.press(page, "allow")
        clients = self.server.application.clients
        await clients.update("growing", lambda client: replace(client, default_scopes=("read", "write")))
        self.asks_for_consent(await self.browser.follow(answer))

    async def test_another_session_in_between(self) -> None:
        """When another person's session comes between consent and code, that person has agreed to nothing."""
        bob = await self.server.user("bob", claims={"name": "Bob"})
        page = await self.browser.sign_in(await self.ask(), self.alice)
        answer = await self.browser.press(page, "allow")
        await self.browser.sign_in(await self.browser.open("/login"), bob)
        page = await self.browser.follow(answer)
        self.asks_for_consent(page)
        self.assertIn("Bob", page.text)

    async def test_public_on_https_is_remembered(self) -> None:
        """A public client behind an https address is remembered like others."""
        app = await self.server.client("spa", public=True)
        await self.server.authorize(app, self.alice, self.browser)
        self.assertIn("code", (await self.ask(app)).redirected)

    async def test_what_the_page_says(self) -> None:
        """The page names client, person, scopes in words, what openid lets out, and where the person will be sent."""
        page = await self.browser.sign_in(await self.ask(scope="openid phone read"), self.alice)
        for words in ("App", "Alice Example", "See your phone number", "May read", "email address", "app.example"):
            self.assertIn(words, page.text)

    async def test_scope_of_the_page_is_what_is_granted(self) -> None:
        """What the form sends besides its decision changes nothing: the granted scope is the one asked for."""
        page = await self.browser.sign_in(await self.ask(scope="openid"), self.alice)
        told = (await self.browser.submit(page, "allow", scope="openid write")).redirected
        self.assertEqual(ok(await self.server.redeem(self.app, told["code"]))["scope"], "openid")

    async def test_demoted_in_between(self) -> None:
        """Who loses the administrator's role between consent and code does not get the administrator's scope."""
        app = await self.server.client("console", scopes=("openid", "admin"))
        await self.server.user("other-boss", roles=(ADMINISTRATOR,))
        boss = await self.server.user("boss", roles=(ADMINISTRATOR,))
        await self.server.authorize(app, boss, self.browser, scope="openid admin")
        await self.server.application.users.update(boss.user_id, lambda user: replace(user, roles=()))
        told = (await self.ask(app, scope="openid admin")).redirected
        self.refused_by_redirect(told, "invalid_scope")


class UserinfoTests(CoreCase):
    """Sections 5.3 and 5.4: the userinfo endpoint."""

    CLAIMS = {
        "name": "Alice Example",
        "email": "alice@example.com",
        "email_verified": True,
        "phone_number": "+41 44 000 00 00",
        "phone_number_verified": False,
        "address": {"country": "CH"},
        "locale": "de-CH",
        "secret_note": "nobody's business",
    }

    async def prepare(self) -> None:
        """A user with claims of all scopes."""
        await super().prepare()
        self.alice = await self.server.user("carol", claims=self.CLAIMS)

    async def told(self, scope: str) -> dict[str, Any]:
        """What userinfo tells a client with that scope."""
        tokens = await self.server.signed_in(self.app, self.alice, scope=scope)
        return ok(await self.server.userinfo(tokens["access_token"]))

    async def test_contract(self) -> None:
        """The contract: `openid` alone brings sub, username and email."""
        told = await self.told("openid")
        self.assertEqual(told, {"sub": self.alice.user_id, "username": "carol", "email": "alice@example.com"})

    async def test_section_5_4_scopes(self) -> None:
        """Section 5.4: each scope brings its claims, and no others."""
        base = set(await self.told("openid"))
        for scope, claims in {
            "email": {"email_verified"},
            "phone": {"phone_number", "phone_number_verified"},
            "address": {"address"},
            "profile": {"name", "locale", "updated_at", "preferred_username"},
        }.items():
            self.assertEqual(set(await self.told(f"openid {scope}")) - base, claims)

    async def test_section_5_3_2_sub(self) -> None:
        """Section 5.3.2: `sub` is the one of the id token."""
        tokens = await self.server.signed_in(self.app, self.alice)
        claims = (await verified(self.server, tokens["id_token"], "RS256")).claims
        self.assertEqual(ok(await self.server.userinfo(tokens["access_token"]))["sub"], claims["sub"])

    async def test_claims_as_they_are_now(self) -> None:
        """A changed claim is told at the next request."""
        tokens = await self.server.signed_in(self.app, self.alice)
        changed = self.CLAIMS | {"email": "new@example.com"}
        users = self.server.application.users
        await users.update(self.alice.user_id, lambda user: replace(user, claims=changed))
        self.assertEqual(ok(await self.server.userinfo(tokens["access_token"]))["email"], "new@example.com")


class SparseUserinfoTests(ServerCase):
    """Userinfo when the setting that widens `openid` is off."""

    sections = {"userinfo": UserinfoSettings(identity_with_openid=False)}

    async def test_section_5_4_openid_alone(self) -> None:
        """Section 5.4: `openid` alone brings `sub` alone, and the consent page does not speak of the email address."""
        app, alice = await self.server.client(), await self.server.user()
        browser = self.server.browser()
        page = await browser.sign_in(await browser.open("/oauth2/authorize", self.server.asking(app)), alice)
        self.assertNotIn("email", page.text)
        told = (await browser.submit(page, "allow")).redirected
        token = ok(await self.server.redeem(app, told["code"]))["access_token"]
        self.assertEqual(ok(await self.server.userinfo(token)), {"sub": alice.user_id})
        token = (await self.server.signed_in(app, alice, scope="openid email"))["access_token"]
        self.assertIn("email", ok(await self.server.userinfo(token)))


class RotationTests(ServerCase):
    """Section 10.1.1: signing keys change, and everything goes on."""

    sections = {"keys": KeySettings(announce=DAY, rotation_period=90 * DAY)}

    async def prepare(self) -> None:
        """A client, a user, and a token signed by the first key."""
        self.app, self.alice = await self.server.client(), await self.server.user()
        self.keys = self.server.application.keys
        self.first = await self.server.signed_in(self.app, self.alice)

    async def kid(self, token: str, algorithm: str = "RS256") -> str:
        """The key of a token that verifies."""
        kid: str = (await verified(self.server, token, algorithm)).header["kid"]
        return kid

    async def signing(self) -> int:
        """How many published keys are for signatures."""
        return sum(key.as_dict(private=False).get("use") == "sig" for key in (await published(self.server)).keys)

    async def test_announced_then_signing_then_retired(self) -> None:
        """A new key is published before it signs, the old one after it signed, as long as its tokens live."""
        old = await self.kid(self.first["id_token"])
        await self.keys.rotate()
        self.assertEqual(await self.signing(), 8)
        self.assertEqual(await self.kid((await self.server.signed_in(self.app, self.alice))["id_token"]), old)
        self.server.clock.advance(DAY)
        new = await self.server.signed_in(self.app, self.alice)
        self.assertNotEqual(await self.kid(new["id_token"]), old)
        self.assertEqual(await self.kid(self.first["id_token"]), old)
        self.server.clock.advance(DAY)
        await self.keys.tend()
        self.assertEqual(await self.signing(), 4)

    async def test_tokens_of_the_old_key_go_on(self) -> None:
        """A token signed before a rotation verifies, is active and refreshes until it ends."""
        await self.keys.rotate(0)
        await self.kid(self.first["access_token"], "ES256")
        self.assertTrue(await self.server.active(self.first["access_token"]))
        again = ok(await self.server.refresh(self.app, self.first["refresh_token"]))
        old, new = self.first["access_token"], again["access_token"]
        self.assertNotEqual(await self.kid(old, "ES256"), await self.kid(new, "ES256"))
        self.server.clock.advance(1799)
        await self.keys.tend()
        await self.kid(old, "ES256")
        self.assertTrue(await self.server.active(old))

    async def test_by_period(self) -> None:
        """Keys rotate by themselves when their period is over."""
        self.server.clock.advance(89 * DAY)
        self.assertGreaterEqual(len(await self.keys.tend()), 4)
        self.assertEqual(await self.signing(), 8)
        self.assertEqual(await self.keys.tend(), ())

    async def test_hint_of_the_old_key(self) -> None:
        """An id_token_hint signed before the rotation still counts."""
        await self.keys.rotate(0)
        told = await self.server.authorize(self.app, self.alice, id_token_hint=self.first["id_token"])
        self.assertIn("code", told)
