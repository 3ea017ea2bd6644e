"""RFC 9126, OAuth 2.0 Pushed Authorization Requests: section by section, what holds of the running server."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from oauthd.config import AuthorizationSettings, DpopSettings, ServerSettings, TokenSettings
from oauthd.protocol import opaque
from oauthd.protocol.pkce import challenge_of
from oauthd.stores import kinds
from oauthd.stores.interface import Write
from oauthd.stores.pushed_requests import PushedRequests
from tests.possession import Holder
from tests.server import ISSUER, REDIRECT, VERIFIER, App, Browser, ServerCase, ok, together
from tests.specs import holders
from tests.specs.tokens import verified
from tests.wire import Answer

URN = "urn:ietf:params:oauth:request_uri:"


class PushedCase(ServerCase):
    """A client that pushes its requests, and a user."""

    async def prepare(self) -> None:
        """Make them."""
        self.app = await self.server.client()
        self.alice = await self.server.user()

    async def push(self, app: App | None = None, **more: str | None) -> Answer:
        """Push a request as its client does."""
        app = app or self.app
        return await self.server.post("/oauth2/par", self.server.asking(app, **more), basic=app.basic)

    async def pushed(self, app: App | None = None, **more: str | None) -> str:
        """The request_uri of a pushed request."""
        answer = await self.push(app, **more)
        self.assertEqual(answer.status, 201, answer.body)
        return str(answer.json()["request_uri"])

    async def visit(self, request_uri: str, browser: Browser | None = None, **more: str) -> Answer:
        """Come to the authorization endpoint with it."""
        query = {"client_id": self.app.client_id, "request_uri": request_uri, **more}
        return await (browser or self.server.browser()).get("/oauth2/authorize", query)

    async def answered(self, request_uri: str, browser: Browser | None = None, **more: str) -> dict[str, str]:
        """What the client is told at the end."""
        browser = browser or self.server.browser()
        return (await browser.finish(await self.visit(request_uri, browser, **more), self.alice)).redirected


class Section2Tests(PushedCase):
    """Section 2: the endpoint."""

    async def test_section_2_1_request(self) -> None:
        """Section 2.1: the parameters of an authorization request, posted by an authenticated client."""
        for path in ("/oauth2/par", "/oauth/par"):
            answer = await self.server.post(path, self.server.asking(self.app), basic=self.app.basic)
            self.assertEqual(answer.status, 201)
        form = {name: value for name, value in self.server.asking(self.app).items() if name != "client_id"}
        self.assertEqual((await self.server.post("/oauth2/par", form, basic=self.app.basic)).status, 201)

    async def test_section_2_authentication(self) -> None:
        """Section 2.1: a client authenticates as at the token endpoint, by the same methods, or is refused."""
        asking = self.server.asking(self.app)
        self.refused(await self.server.post("/oauth2/par", asking), "invalid_client", 401)
        wrong = await self.server.post("/oauth2/par", asking, basic=(self.app.client_id, "wrong"))
        self.refused(wrong, "invalid_client", 401)
        inside = await self.server.post("/oauth2/par", asking | {"client_secret": self.app.secret})
        self.assertEqual(inside.status, 201)
        other = await self.server.client("other")
        self.refused(await self.server.post("/oauth2/par", asking, basic=other.basic), "invalid_client", 401)

    async def test_section_2_1_no_secret_is_kept(self) -> None:
        """Section 2.1: what authenticates is no part of the request, and is not kept with it."""
        form = self.server.asking(self.app, state="kept") | {"client_secret": self.app.secret}
        self.assertEqual((await self.server.post("/oauth2/par", form)).status, 201)
        dump = b"".join((await self.server.dump()).values())
        self.assertNotIn(self.app.secret.encode(), dump)

    async def test_section_2_1_no_request_uri(self) -> None:
        """Section 2.1: a request_uri cannot be pushed, neither one of ours nor another's."""
        for uri in (await self.pushed(), "https://app.example/request.jwt", ""):
            self.refused(await self.push(request_uri=uri), "invalid_request")

    async def test_section_2_1_public_clients(self) -> None:
        """Section 2.1: a public client pushes by its name alone, and must use PKCE as ever."""
        public = await self.server.client("public", public=True)
        self.assertEqual((await self.push(public)).status, 201)
        self.refused(await self.push(public, code_challenge=None, code_challenge_method=None), "invalid_request")

    async def test_section_2_2_answer(self) -> None:
        """Section 2.2: 201, a request_uri that nobody can guess, its lifetime, and nothing is cached."""
        answer = await self.push()
        self.assertEqual((answer.status, answer.json()["expires_in"]), (201, 60))
        self.assertEqual(answer.header("cache-control"), "no-store")
        self.assertEqual(set(answer.json()), {"request_uri", "expires_in"})
        value = answer.json()["request_uri"].removeprefix(URN)
        self.assertGreater(len(value), 60)
        self.assertNotEqual(answer.json()["request_uri"], await self.pushed())

    async def test_section_2_2_at_rest(self) -> None:
        """Section 2.2: the store holds no request_uri, so that whoever reads it cannot use one."""
        value = (await self.pushed()).removeprefix(URN)
        dump = await self.server.dump()
        self.assertNotIn(value.encode(), b"".join([*dump, *dump.values()]))

    async def test_section_2_3_errors(self) -> None:
        """Section 2.3: errors are told in JSON to the client, by the codes of the authorization endpoint."""
        errors: dict[str, dict[str, str | None]] = {
            "unsupported_response_type": {"response_type": "token"},
            "invalid_scope": {"scope": "openid nothing"},
            "invalid_target": {"resource": "https://nobody.example"},
            "invalid_request": {"prompt": "none login"},
            "registration_not_supported": {"registration": "{}"},
        }
        for code, more in errors.items():
            self.refused(await self.push(None, **more), code)

    async def test_section_2_3_redirect_uri(self) -> None:
        """Sections 2.3 and 2.4: a redirect_uri that is not registered, or missing, is invalid_request."""
        for uri in ("https://evil.example/cb", REDIRECT + "/x", None):
            self.refused(await self.push(redirect_uri=uri), "invalid_request")

    async def test_section_2_3_method_and_body(self) -> None:
        """Section 2.3: anything but a POST is 405, anything but a form refused, as is what is too long."""
        for method in ("GET", "PUT"):
            answer = await self.server.http.request(method, "/oauth2/par", basic_auth=self.app.basic)
            self.assertEqual(answer.status, 405)
        answer = await self.server.http.request(
            "POST", "/oauth2/par", json_body=self.server.asking(self.app), basic_auth=self.app.basic
        )
        self.assertEqual(answer.status, 415)
        self.refused(await self.push(state="x" * 9000), "invalid_request")

    async def test_repeated_parameters(self) -> None:
        """RFC 6749 section 3.1: a parameter twice is refused; a resource may come twice (RFC 8707 section 2)."""
        await self.server.client("owner", resources=("https://a.example", "https://b.example"))
        pairs = list(self.server.asking(self.app).items())
        twice = await self.server.post("/oauth2/par", [*pairs, ("state", "2")], basic=self.app.basic)
        self.refused(twice, "invalid_request")
        resources = [("resource", "https://a.example"), ("resource", "https://b.example")]
        answer = await self.server.post("/oauth2/par", [*pairs, *resources], basic=self.app.basic)
        told = await self.answered(answer.json()["request_uri"])
        tokens = ok(await self.server.redeem(self.app, told["code"]))
        (stored,) = await self.server.store.get(kinds.access_token(tokens["access_token"]))
        assert stored is not None
        self.assertEqual(stored.record.audience, ("https://a.example", "https://b.example"))


class Section4Tests(PushedCase):
    """Section 4: the authorization request."""

    async def test_section_4_flow(self) -> None:
        """Section 4: client_id and request_uri are enough, and bring the code that was asked for."""
        told = await self.answered(await self.pushed(nonce="n-1", scope="openid read"))
        self.assertEqual((told["state"], told["iss"]), ("st&te", ISSUER))
        self.assertEqual(ok(await self.server.redeem(self.app, told["code"]))["scope"], "openid read")

    async def test_section_4_posted(self) -> None:
        """Section 4: the browser may post them, too."""
        browser = self.server.browser()
        form = {"client_id": "app", "request_uri": await self.pushed()}
        answer = await browser.finish(await browser.post("/oauth2/authorize", form), self.alice)
        self.assertIn("code", answer.redirected)

    async def test_section_4_get_and_post_never_mix(self) -> None:
        """What stands in the query of a POST is not read."""
        target = f"/oauth2/authorize?client_id=app&request_uri={await self.pushed()}"
        self.refused_page(await self.server.browser().follow(await self.server.post(target, {"state": "x"})))

    async def test_section_4_nothing_else_counts(self) -> None:
        """RFC 9101 section 6.3: what stands beside the request_uri changes nothing and adds nothing."""
        request_uri = await self.pushed(scope="openid", state=None)
        swapped = {"scope": "openid write", "state": "evil", "redirect_uri": "https://evil.example", "prompt": "none"}
        swapped |= {"response_type": "token", "nonce": "evil", "resource": "https://x.example"}
        told = await self.answered(request_uri, None, **swapped)
        self.assertEqual(set(told), {"code", "iss"})
        self.assertEqual(ok(await self.server.redeem(self.app, told["code"]))["scope"], "openid")

    async def test_section_4_pkce(self) -> None:
        """Section 4: a challenge that was pushed cannot be left out or exchanged on the way."""
        pushed = await self.pushed(code_challenge=challenge_of(VERIFIER), code_challenge_method="S256")
        other = "x" * 50
        told = await self.answered(pushed, code_challenge=challenge_of(other), code_challenge_method="S256")
        self.refused(await self.server.redeem(self.app, told["code"], code_verifier=other), "invalid_grant")
        ok(await self.server.redeem(self.app, told["code"], code_verifier=VERIFIER))

    async def test_section_2_2_bound_to_its_client(self) -> None:
        """Section 2.2: the request_uri of another client is refused, and stays good for its own."""
        request_uri = await self.pushed()
        other = await self.server.client("other", redirect_uris=("https://other.example/cb",))
        query = {"client_id": other.client_id, "request_uri": request_uri}
        self.refused_page(await self.server.browser().get("/oauth2/authorize", query))
        named = await self.server.browser().get("/oauth2/authorize", query | {"redirect_uri": other.redirect_uri})
        self.assertTrue(named.location.startswith(other.redirect_uri))
        self.refused_by_redirect(named.redirected, "invalid_request_uri", state="")
        evil = await self.server.browser().get("/oauth2/authorize", query | {"redirect_uri": self.app.redirect_uri})
        self.refused_page(evil)
        self.assertIn("code", await self.answered(request_uri))

    async def test_section_4_used_once(self) -> None:
        """Section 4: after its answer the request_uri is invalid, for the same browser and for any other."""
        request_uri, browser = await self.pushed(), self.server.browser()
        self.assertIn("code", await self.answered(request_uri, browser))
        for again in (browser, self.server.browser()):
            answer = await self.visit(request_uri, again, redirect_uri=REDIRECT, state="s")
            self.refused_by_redirect(answer.redirected, "invalid_request_uri", state="s")
            self.refused_page(await self.visit(request_uri, again))

    async def test_section_4_used_once_in_parallel(self) -> None:
        """Section 4: of thirty requests with one request_uri, at two nodes and of two people, one brings a code."""
        await self.server.application.clients.update("app", lambda client: replace(client, first_party=True))
        bob = await self.server.user("bob")
        browsers = []
        for person in (self.alice, bob):
            browser = self.server.browser()
            await self.server.authorize(self.app, person, browser)
            browsers.append(browser)
        sibling = self.server.sibling()
        await sibling.application.keys.open()
        browsers.append(Browser(sibling, cookies=dict(browsers[0].cookies)))
        request_uri = await self.pushed()
        answers = await together(self.visit(request_uri, browser) for browser in browsers for _ in range(10))
        codes = [answer.redirected["code"] for answer in answers if "code=" in answer.location]
        self.assertEqual(len(codes), 1)
        ok(await self.server.redeem(self.app, codes[0]))

    async def test_section_4_reloaded(self) -> None:
        """Section 4: a reload before the answer is a new beginning, and the first answer is the only one."""
        request_uri, browser = await self.pushed(), self.server.browser()
        first = await browser.follow(await self.visit(request_uri, browser))
        second = await browser.follow(await self.visit(request_uri, browser))
        self.assertEqual((first.status, second.status), (200, 200))
        told = (await browser.finish(await browser.sign_in(second, self.alice), self.alice)).redirected
        self.assertIn("code", told)
        late = await browser.follow(await browser.sign_in(first, self.alice))
        self.refused_page(late)  # the application has its answer, and the person is told
        self.assertIn("answered already", late.text)
        ok(await self.server.redeem(self.app, told["code"]))

    async def test_section_4_a_flow_outlasts_it(self) -> None:
        """Section 4: who has been sent to the sign-in page may take longer than the request_uri lives, once."""
        request_uri, browser, other = await self.pushed(), self.server.browser(), self.server.browser()
        pages = [await one.follow(await self.visit(request_uri, one)) for one in (browser, other)]
        self.server.clock.advance(600)
        self.refused_page(await self.visit(request_uri))
        told = await browser.finish(await browser.sign_in(pages[0], self.alice), self.alice)
        self.assertIn("code", told.redirected)
        self.server.clock.advance(1000)  # the code has ended, and its grant
        self.refused_page(await other.follow(await other.sign_in(pages[1], self.alice)))

    async def test_section_4_expired(self) -> None:
        """Section 4: an expired request_uri is refused, to the second."""
        request_uri = await self.pushed()
        self.server.clock.advance(59)
        self.assertEqual((await self.visit(request_uri)).location[:6], "/login")
        request_uri = await self.pushed()
        self.server.clock.advance(60)
        self.refused_page(await self.visit(request_uri))

    async def test_section_4_made_up(self) -> None:
        """Section 4: whatever looks like a request_uri and is none is refused."""
        good = await self.pushed()
        others = (URN, URN + "x", good[:-1], good + "x", good.upper(), URN + "x" * 5000, "urn:other", "https://x.example")
        for uri in others:
            self.refused_page(await self.visit(uri))

    async def test_section_4_pressed_twice(self) -> None:
        """People press twice: the second press brings no second code, but a page that says so."""
        browser = self.server.browser()
        page = await browser.sign_in(await browser.follow(await self.visit(await self.pushed(), browser)), self.alice)
        first = await browser.submit(page, "allow")
        for decision in ("allow", "deny"):
            second = await browser.submit(page, decision)
            self.refused_page(second)
        self.assertEqual(len(self.server.told("code.issued")), 1)
        ok(await self.server.redeem(self.app, first.redirected["code"]))

    async def test_section_4_decided_at_once(self) -> None:
        """Of decisions that come at once, in two tabs of one browser and of another person, one brings a code."""
        request_uri, bob = await self.pushed(prompt="consent"), await self.server.user("bob")
        browser, other = self.server.browser(), self.server.browser()
        pages = []
        for one, person in ((browser, self.alice), (browser, self.alice), (other, bob)):
            page = await one.follow(await self.visit(request_uri, one))
            pages.append((one, page if "allow" in page.forms[-1].decisions else await one.sign_in(page, person)))
        presses = [one.submit(page, "allow") for one, page in pages for _ in range(4)]
        answers = await together(presses)
        codes = [answer.redirected["code"] for answer in answers if "code=" in answer.location]
        self.assertEqual((len(codes), len(self.server.told("code.issued"))), (1, 1))
        for answer in answers:
            if not answer.location:
                self.refused_page(answer)
            self.assertNotIn("error=", answer.location)
        ok(await self.server.redeem(self.app, codes[0]))

    async def test_section_4_refused_and_pressed_again(self) -> None:
        """A flow that was refused since the request was used elsewhere does not begin anew by a second press."""
        request_uri, browser, thief = await self.pushed(), self.server.browser(), self.server.browser()
        page = await thief.sign_in(await thief.follow(await self.visit(request_uri, thief)), self.alice)
        self.assertIn("code", await self.answered(request_uri, browser))
        for decision in ("allow", "allow", "deny"):
            self.refused_page(await thief.submit(page, decision))

    async def test_section_4_changed_policy(self) -> None:
        """Section 4: the request is checked again when it comes by browser, as client and server are by then."""
        request_uri = await self.pushed(scope="openid read")
        await self.server.application.clients.update("app", lambda client: replace(client, scopes=("openid",)))
        self.refused_by_redirect((await self.visit(request_uri)).redirected, "invalid_scope")
        request_uri = await self.pushed()
        await self.server.application.clients.update("app", lambda client: replace(client, is_active=False))
        self.refused_page(await self.visit(request_uri))

    async def test_section_4_lost_reply(self) -> None:
        """Where the step that spends it is lost before it is done, the request stays good."""
        await self.server.application.clients.update("app", lambda client: replace(client, first_party=True))
        browser = self.server.browser()
        await self.server.authorize(self.app, self.alice, browser)
        request_uri = await self.pushed()
        spend = self.server.application.pushed.spend

        async def lost(*arguments: Any) -> bool:
            self.server.store.crash_before = 1
            return await spend(*arguments)

        patched = self.patch(PushedRequests, "spend", lambda pushed, *arguments: lost(*arguments))
        self.assertEqual((await self.visit(request_uri, browser)).status, 503)
        patched.restore()
        self.assertIn("code", (await self.visit(request_uri, browser)).redirected)

    async def test_hint(self) -> None:
        """OpenID Connect Core section 3.1.2.1: whom a pushed id_token_hint names is known; the hint is not kept."""
        hint = (await self.server.signed_in(self.app, self.alice))["id_token"]
        request_uri = await self.pushed(id_token_hint=hint)
        self.assertNotIn(hint.encode(), b"".join((await self.server.dump()).values()))
        bob, browser = await self.server.user("bob"), self.server.browser()
        page = await browser.follow(await self.visit(request_uri, browser))
        answer = await browser.follow(await browser.sign_in(page, bob))
        self.refused_by_redirect(answer.redirected, "login_required")

    async def test_dpop_jkt(self) -> None:
        """RFC 9449 section 10: a pushed dpop_jkt is kept with the code; one that is no thumbprint is refused."""
        told = await self.answered(await self.pushed(dpop_jkt="A" * 43), dpop_jkt="B" * 43)
        grant_id = opaque.parse(opaque.CODE, told["code"]) or ""
        (stored,) = await self.server.store.get(kinds.code(grant_id, told["code"]))
        assert stored is not None
        self.assertEqual(stored.record.jkt, "A" * 43)
        for wrong in ("A" * 42, "A" * 44, "A" * 42 + "+"):
            self.refused(await self.push(dpop_jkt=wrong), "invalid_request")


class Section5Tests(PushedCase):
    """Sections 5 and 6: metadata, and who must push."""

    async def metadata(self) -> dict[str, Any]:
        """The metadata document."""
        return ok(await self.server.get("/.well-known/oauth-authorization-server"))

    async def test_section_5_metadata(self) -> None:
        """Section 5: endpoint and demand stand in the metadata."""
        document = await self.metadata()
        self.assertEqual(document["pushed_authorization_request_endpoint"], ISSUER + "/oauth2/par")
        self.assertIs(document["require_pushed_authorization_requests"], False)

    async def test_section_6_by_client(self) -> None:
        """Section 6: a client registered so is refused at the authorization endpoint unless it pushed."""
        strict = await self.server.client("strict", profile="fapi2")
        self.app = await self.server.client("pushes", par_required=True)
        for app in (self.app, strict):
            answer = await self.server.browser().get("/oauth2/authorize", self.server.asking(app))
            self.refused_by_redirect(answer.redirected, "invalid_request")
        self.assertIn("code", await self.answered(await self.pushed()))


class StrictTests(PushedCase):
    """FAPI 2.0 Security Profile section 5.3.2.2 for one client that is held to it; it authenticates by its key."""

    signer = holders.Holder("PS256")
    sections = {"tokens": TokenSettings(code_lifetime=600)}

    async def prepare(self) -> None:
        """Register it."""
        await super().prepare()
        self.app = await self.server.client(
            "strict", profile="fapi2", auth_method="private_key_jwt", jwks=self.signer.jwks, dpop_bound=True
        )
        self.pkce = {"code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
        self.proofs = 0

    def proved(self, form: dict[str, str]) -> dict[str, str]:
        """A form with the client's assertion."""
        self.proofs += 1
        now, name = int(self.server.clock.seconds()), self.app.client_id
        claims = {"iss": name, "sub": name, "aud": ISSUER, "exp": now + 60, "iat": now, "jti": f"{self.proofs}"}
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        return form | {"client_assertion": self.signer.sign(claims), "client_assertion_type": kind}

    async def push_form(self, form: dict[str, str]) -> Answer:
        """Push as that client does."""
        return await self.server.post("/oauth2/par", self.proved(form))

    async def told(self, **more: str) -> dict[str, str]:
        """What the client is told at the end of a flow."""
        answer = await self.push_form(self.server.asking(self.app, **more) | self.pkce)
        return await self.answered(answer.json()["request_uri"])

    async def redeemed(self, code: str) -> Answer:
        """The answer to a code, with verifier, assertion and proof."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
        proof = ("DPoP", Holder().proof("POST", "/oauth2/token", self.server.clock.seconds()))
        return await self.server.post(
            "/oauth2/token", self.proved(form | {"code_verifier": VERIFIER}), headers=[proof]
        )

    async def test_section_5_3_2_2(self) -> None:
        """A whole flow: pushed by an assertion, signed in, redeemed with verifier, assertion and proof."""
        self.assertEqual(ok(await self.redeemed((await self.told())["code"]))["token_type"], "DPoP")

    async def test_section_5_3_2_1_item_11(self) -> None:
        """A code lives a minute at most, whatever the settings say."""
        for seconds, status in ((59, 200), (60, 400)):
            code = (await self.told())["code"]
            self.server.clock.advance(seconds)
            self.assertEqual((await self.redeemed(code)).status, status)

    async def test_section_5_3_2_2_item_14(self) -> None:
        """A nonce of 64 characters is carried to the id token; so is a state of thousands (note 4) to the response."""
        told = await self.told(nonce="n" * 64, state="s" * 4000)
        self.assertEqual(told["state"], "s" * 4000)
        claims = (await verified(self.server, ok(await self.redeemed(told["code"]))["id_token"], "PS256")).claims
        self.assertEqual(claims["nonce"], "n" * 64)

    async def test_section_5_2_3_item_3(self) -> None:
        """No page of another origin may read what the authorization endpoint says."""
        origin = [("Origin", "https://app.example")]
        for method in ("GET", "OPTIONS"):
            answer = await self.server.http.request(method, "/oauth2/authorize", headers=origin)
            self.assertEqual([name for name, _ in answer.headers if name.lower().startswith("access-control-")], [])

    async def test_section_5_3_2_2_what_is_demanded(self) -> None:
        """PKCE by S256 and redirect_uri are, and that the request is pushed."""
        good = self.server.asking(self.app, scope="read") | self.pkce
        for name in ("code_challenge", "redirect_uri"):
            left = {one: value for one, value in good.items() if one != name}
            self.refused(await self.push_form(left), "invalid_request")
        self.refused(await self.push_form(good | {"code_challenge_method": "plain"}), "invalid_request")
        self.assertEqual((await self.push_form(good)).status, 201)
        answer = await self.server.browser().get("/oauth2/authorize", good)
        self.refused_by_redirect(answer.redirected, "invalid_request")

    async def test_no_assertion_is_kept(self) -> None:
        """RFC 9126 section 2.1: the assertion that authenticates is not kept with the request."""
        form = self.proved(self.server.asking(self.app) | self.pkce)
        self.assertEqual((await self.server.post("/oauth2/par", form)).status, 201)
        self.assertNotIn(form["client_assertion"].encode(), b"".join((await self.server.dump()).values()))


class StrictServerTests(PushedCase):
    """The same of a server that holds all its clients to it."""

    sections = {"server": ServerSettings(profile="fapi2")}

    async def test_every_client_must_push(self) -> None:
        """Every client must push, and the metadata says so."""
        answer = await self.server.browser().get("/oauth2/authorize", self.server.asking(self.app))
        self.refused_by_redirect(answer.redirected, "invalid_request")
        document = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertIs(document["require_pushed_authorization_requests"], True)
        self.assertNotIn("RS256", document["request_object_signing_alg_values_supported"])


class DemandedTests(PushedCase):
    """Section 5: a server that demands it of everybody."""

    sections = {"authorization": AuthorizationSettings(pushed_required=True, pushed_lifetime=90)}

    async def test_section_5_required(self) -> None:
        """Section 5: every client must push, the metadata says so, and the lifetime is the one that is set."""
        answer = await self.server.browser().get("/oauth2/authorize", self.server.asking(self.app))
        self.refused_by_redirect(answer.redirected, "invalid_request")
        document = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertIs(document["require_pushed_authorization_requests"], True)
        pushed = await self.push()
        self.assertEqual(pushed.json()["expires_in"], 90)
        self.assertIn("code", await self.answered(pushed.json()["request_uri"]))


class PossessionTests(PushedCase):
    """RFC 9449 section 10.1: a DPoP proof with the push."""

    async def prepare(self) -> None:
        """Two keys."""
        await super().prepare()
        self.holder, self.thief = Holder(), Holder(1)

    def proof(self, holder: Holder, path: str = "/oauth2/par") -> tuple[str, str]:
        """The field of a proof of now."""
        return "DPoP", holder.proof("POST", path, self.server.clock.seconds())

    async def proved(self, *holders: Holder, **more: str) -> Answer:
        """Push with proofs."""
        headers = [self.proof(holder) for holder in holders]
        return await self.server.post(
            "/oauth2/par", self.server.asking(self.app, **more), basic=self.app.basic, headers=headers
        )

    async def redeemed(self, code: str, *holders: Holder) -> Answer:
        """Redeem with proofs."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
        headers = [self.proof(holder, "/oauth2/token") for holder in holders]
        return await self.server.post("/oauth2/token", form, basic=self.app.basic, headers=headers)

    async def test_section_10_1(self) -> None:
        """The code of a request that was pushed with a proof is redeemed by the holder of that key alone."""
        answer = await self.proved(self.holder)
        told = await self.answered(answer.json()["request_uri"], dpop_jkt=self.thief.jkt)
        for proving in ((), (self.thief,)):
            self.refused(await self.redeemed(told["code"], *proving), "invalid_grant")
        self.assertEqual(ok(await self.redeemed(told["code"], self.holder))["token_type"], "DPoP")

    async def test_section_10_1_both(self) -> None:
        """Proof and dpop_jkt name the same key, or the request is refused."""
        answer = await self.proved(self.holder, dpop_jkt=self.holder.jkt)
        told = await self.answered(answer.json()["request_uri"])
        self.refused(await self.redeemed(told["code"], self.thief), "invalid_grant")
        ok(await self.redeemed(told["code"], self.holder))
        self.refused(await self.proved(self.thief, dpop_jkt=self.holder.jkt), "invalid_dpop_proof")

    async def test_section_10_1_proofs(self) -> None:
        """A proof is judged as at the token endpoint: one, for this address, once."""
        self.refused(await self.proved(self.holder, self.holder), "invalid_dpop_proof")
        for path, error in (("/oauth2/token", "invalid_dpop_proof"), ("/oauth2/par", "")):
            field = self.proof(self.holder, path)
            form = self.server.asking(self.app)
            answers = [
                await self.server.post("/oauth2/par", form, basic=self.app.basic, headers=[field]) for _ in range(2)
            ]
            self.assertEqual([answer.error for answer in answers], [error, "invalid_dpop_proof"])

    async def test_section_5_2_a_client_that_must_prove(self) -> None:
        """Section 5.2 of it is about tokens: a client whose tokens are always bound may push without a proof."""
        await self.server.application.clients.update("app", lambda client: replace(client, dpop_bound=True))
        self.assertEqual((await self.proved()).status, 201)


class NonceTests(PossessionTests):
    """RFC 9449 section 8: the same where proofs must hold a nonce of ours."""

    sections = {"dpop": DpopSettings(nonce="required")}

    def proof(self, holder: Holder, path: str = "/oauth2/par") -> tuple[str, str]:
        """With the nonce of now."""
        now = self.server.clock.seconds()
        nonce = self.server.application.proofs.rules.nonces.current(now)
        return "DPoP", holder.proof("POST", path, now, nonce=nonce)

    async def test_section_8_2(self) -> None:
        """A push without a nonce is told one, and a good one the next."""
        plain = ("DPoP", self.holder.proof("POST", "/oauth2/par", self.server.clock.seconds()))
        answer = await self.server.post(
            "/oauth2/par", self.server.asking(self.app), basic=self.app.basic, headers=[plain]
        )
        self.refused(answer, "use_dpop_nonce")
        self.assertTrue(answer.header("dpop-nonce"))
        good = await self.proved(self.holder)
        self.assertEqual((good.status, bool(good.header("dpop-nonce"))), (201, True))


class FloodTests(PushedCase):
    """Whoever names a public client can push; he cannot fill the store."""

    async def test_by_source(self) -> None:
        """A source that pushes a thousand requests of public clients in a minute is told to wait; others are not."""
        public = await self.server.client("public", public=True)
        tally = kinds.TALLY.at(self.server.application.pushed.seals.digest("requests pushed", b"192.0.2.1")[:16])
        form = self.server.asking(public)
        self.assertEqual((await self.server.post("/oauth2/par", form, source="192.0.2.1")).status, 201)
        (stored,) = await self.server.store.get(tally)
        assert stored is not None
        await self.server.store.put(Write(tally, replace(stored.record, count=1000)))
        answer = await self.server.post("/oauth2/par", form, source="192.0.2.1")
        self.assertEqual((answer.status, answer.error), (429, "too_many_requests"))
        self.assertEqual((await self.server.post("/oauth2/par", form, source="192.0.2.2")).status, 201)
        pushed = await self.server.post(
            "/oauth2/par", self.server.asking(self.app), basic=self.app.basic, source="192.0.2.1"
        )
        self.assertEqual(pushed.status, 201)
