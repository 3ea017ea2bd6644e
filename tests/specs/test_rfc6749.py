"""RFC 6749, The OAuth 2.0 Authorization Framework: section by section, what holds of the running server."""

from __future__ import annotations

import base64

from oauthd.protocol.records import Scope
from tests.server import ISSUER, PASSWORD, REDIRECT, App, ServerCase, ok
from tests.wire import Answer

FAMILIES = ("/oauth2/token", "/oauth/token", "/oauth/tokens")


class ClientAuthenticationTests(ServerCase):
    """Section 2.3: how a client proves itself."""

    async def asked(self, app: App, **more: object) -> Answer:
        """A client_credentials request with the credentials given."""
        form = {"grant_type": "client_credentials"}
        form.update(more.pop("form", {}))  # type: ignore[call-overload]
        return await self.server.post("/oauth2/token", form, **more)  # type: ignore[arg-type]

    def refused_client(self, answer: Answer) -> None:
        """The client is refused and told how to authenticate."""
        self.refused(answer, "invalid_client", 401)
        self.assertRegex(answer.header("www-authenticate"), r"\ABasic realm=")

    async def test_section_2_3_1_basic(self) -> None:
        """Section 2.3.1: id and secret by HTTP Basic authenticate."""
        app = await self.server.client()
        ok(await self.asked(app, basic=app.basic))

    async def test_section_2_3_1_post(self) -> None:
        """Section 2.3.1: id and secret in the form authenticate."""
        app = await self.server.client()
        ok(await self.asked(app, form={"client_id": app.client_id, "client_secret": app.secret}))

    async def test_section_2_3_1_basic_is_form_urlencoded(self) -> None:
        """Section 2.3.1 and Appendix B: a secret with colon, blank, plus, percent and umlaut survives Basic."""
        app = await self.server.client("a:b c", secret="p:ss +%41\u00e4" * 4)
        ok(await self.asked(app, basic=app.basic))

    async def test_section_2_3_1_basic_is_decoded_once(self) -> None:
        """Appendix B: %-encoding of id and secret is undone exactly once; the raw secret is another one."""
        app = await self.server.client("percent", secret="%41" * 12)
        header = base64.b64encode(f"percent:{app.secret}".encode()).decode()
        self.refused_client(await self.asked(app, headers=[("Authorization", f"Basic {header}")]))
        ok(await self.asked(app, basic=app.basic))

    async def test_section_2_3_1_not_in_the_query(self) -> None:
        """Section 2.3.1: credentials in the request URI do not count."""
        app = await self.server.client()
        query = f"?client_id={app.client_id}&client_secret={app.secret}"
        self.refused_client(await self.server.post(f"/oauth2/token{query}", {"grant_type": "client_credentials"}))

    async def test_section_2_3_one_method_only(self) -> None:
        """Section 2.3: Basic together with a secret in the form is refused, even where both are right."""
        app = await self.server.client()
        form = {"client_id": app.client_id, "client_secret": app.secret}
        self.refused(await self.asked(app, form=form, basic=app.basic), "invalid_request")

    async def test_two_authorization_headers(self) -> None:
        """Section 2.3: two Authorization header fields are refused."""
        app = await self.server.client()
        twice = [("Authorization", "Basic eDp5"), ("Authorization", "Basic eDp5")]
        self.refused(await self.asked(app, headers=twice), "invalid_request")

    async def test_client_id_beside_basic(self) -> None:
        """Section 3.2.1: the same client_id may stand in the form beside Basic; with another nobody is let in."""
        app = await self.server.client()
        ok(await self.asked(app, form={"client_id": app.client_id}, basic=app.basic))
        self.refused(await self.asked(app, form={"client_id": "another"}, basic=app.basic), "invalid_client", 401)

    async def test_section_5_2_challenge(self) -> None:
        """Section 5.2: wrong, unknown, inactive and missing credentials are 401 invalid_client with a challenge."""
        app = await self.server.client()
        gone = await self.server.client("gone", is_active=False)
        for attempt in (
            {"basic": (app.client_id, app.secret + "x")},
            {"basic": (app.client_id, "")},
            {"basic": ("unknown", app.secret)},
            {"basic": gone.basic},
            {"form": {"client_id": app.client_id}},
            {"form": {"client_id": app.client_id, "client_secret": ""}},
            {"form": {"client_id": app.client_id, "client_secret": "wrong"}},
            {"form": {"client_id": "x" * 5000}},
            {"headers": [("Authorization", "Basic")]},
            {"headers": [("Authorization", "Basic !!!")]},
            {"headers": [("Authorization", f"Bearer {app.secret}")]},
            {"headers": [("Authorization", "Digest username=app")]},
        ):
            self.refused_client(await self.asked(app, **attempt))

    async def test_unknown_and_wrong_look_the_same(self) -> None:
        """Section 5.2: whether a client exists cannot be told from the answer."""
        app = await self.server.client()
        wrong = await self.asked(app, basic=(app.client_id, "wrong"))
        unknown = await self.asked(app, basic=("unknown", "wrong"))
        self.assertEqual((wrong.status, wrong.body), (unknown.status, unknown.body))

    async def test_section_3_2_1_public(self) -> None:
        """Section 3.2.1: a public client names itself; a secret that it sends all the same is refused."""
        app = await self.server.client(public=True)
        answer = await self.asked(app, form={"client_id": app.client_id, "grant_type": "refresh_token"})
        self.refused(answer, "invalid_request")  # it came as far as the missing refresh token
        answer = await self.asked(app, form={"client_id": app.client_id, "client_secret": "made up"})
        self.refused_client(answer)

    async def test_every_endpoint_authenticates(self) -> None:
        """Section 2.3: a confidential client without its secret gets nowhere, whichever endpoint it calls."""
        app = await self.server.client()
        for path in (*FAMILIES, "/oauth2/revoke", "/oauth2/introspect", "/oauth2/device_authorize"):
            self.refused_client(await self.server.post(path, {"client_id": app.client_id, "token": "x"}))

    async def test_rotated_secret(self) -> None:
        """A former secret works until its overlap ends, and not a second longer."""
        app = await self.server.client()
        _, new = await self.server.application.clients.rotate_secret(app.client_id, 60)
        for secret in (app.secret, new):
            ok(await self.asked(app, basic=(app.client_id, secret)))
        self.server.clock.advance(60)
        self.refused_client(await self.asked(app, basic=app.basic))
        ok(await self.asked(app, basic=(app.client_id, new)))


class AuthorizationRequestTests(ServerCase):
    """Sections 3.1 and 4.1.1: what a request to the authorization endpoint may say."""

    async def asked(self, app: App, *pairs: tuple[str, str], **parameters: str | None) -> Answer:
        """An authorization request in a new browser; `pairs` come on top."""
        query = [*self.server.asking(app, **parameters).items(), *pairs]
        return await self.server.get("/oauth2/authorize", query)

    async def test_section_4_1_2_state(self) -> None:
        """Section 4.1.2: the code comes with the state exactly as it was sent, whatever it is made of."""
        app, alice = await self.server.client(), await self.server.user()
        for state in ("a&b=c#d", "\u00e4 \U0001f511 +%20", "x" * 4000):
            told = await self.server.authorize(app, alice, state=state)
            self.assertEqual((set(told), told["state"]), ({"code", "state", "iss"}, state))

    async def test_section_4_1_2_no_state(self) -> None:
        """Section 4.1.2: without a state none comes back, and an empty one counts as none (section 3.1)."""
        app, alice = await self.server.client(), await self.server.user()
        for state in (None, ""):
            self.assertEqual(set(await self.server.authorize(app, alice, state=state)), {"code", "iss"})

    async def test_section_3_1_get_and_post(self) -> None:
        """Section 3.1: a request may come by POST, long ones included."""
        app, alice = await self.server.client(), await self.server.user()
        for state in ("short", "long" * 2000):
            browser = self.server.browser()
            answer = await browser.post("/oauth2/authorize", self.server.asking(app, state=state))
            told = (await browser.finish(answer, alice)).redirected
            self.assertEqual(told["state"], state)
            ok(await self.server.redeem(app, told["code"]))

    async def test_post_does_not_read_the_query(self) -> None:
        """Section 3.1: parameters of the query and of the form never mix."""
        app = await self.server.client()
        asked = self.server.asking(app)
        client_id = asked.pop("client_id")
        answer = await self.server.post(f"/oauth2/authorize?client_id={client_id}", asked)
        self.refused_page(await self.server.browser().follow(answer))

    async def test_both_families(self) -> None:
        """The contract: /oauth/authorize is the same endpoint."""
        app, alice = await self.server.client(), await self.server.user()
        browser = self.server.browser()
        answer = await browser.get("/oauth/authorize", self.server.asking(app))
        self.assertIn("code", (await browser.finish(answer, alice)).redirected)

    async def test_section_3_1_unknown_parameters(self) -> None:
        """Section 3.1: parameters that nobody knows are ignored."""
        app, alice = await self.server.client(), await self.server.user()
        told = await self.server.authorize(app, alice, utm_source="mail", claims_locales="de", x="")
        self.assertIn("code", told)

    async def test_section_3_1_repeated(self) -> None:
        """Section 3.1: a repeated parameter is invalid_request, known or not."""
        app = await self.server.client()
        for name in ("response_type", "scope", "nonce", "prompt", "code_challenge", "utm_source"):
            answer = await self.asked(app, (name, "x"), (name, "y"), **{name: None})
            self.refused_by_redirect(answer.redirected, "invalid_request")

    async def test_section_3_1_repeated_state(self) -> None:
        """Section 3.1: with two states neither comes back, for nobody knows which was meant."""
        app = await self.server.client()
        answer = await self.asked(app, ("state", "another"))
        self.refused_by_redirect(answer.redirected, "invalid_request", state="")

    async def test_section_3_1_repeated_client_or_redirect(self) -> None:
        """Section 3.1: where client or redirect URI is repeated nobody is redirected, equal or not."""
        app = await self.server.client()
        for pair in (("client_id", app.client_id), ("redirect_uri", REDIRECT), ("redirect_uri", "https://evil.example")):
            self.refused_page(await self.asked(app, pair))

    async def test_section_4_1_2_1_unknown_client(self) -> None:
        """Section 4.1.2.1: an unknown, missing or inactive client gets a page, never a redirect."""
        app = await self.server.client()
        gone = await self.server.client("gone", is_active=False)
        for client_id in ("unknown", None, "", gone.client_id, "\u00e4{}", "x" * 5000):
            self.refused_page(await self.asked(app, client_id=client_id))

    async def test_section_3_1_2_3_exact_redirect_uri(self) -> None:
        """Section 3.1.2.3, RFC 9700 2.1: whatever is not the registered URI to the letter is a page."""
        app = await self.server.client(redirect_uris=("https://app.example/cb?x=1", "http://localhost:9000/cb"))
        for uri in (
            "https://app.example/cb",
            "https://app.example/cb?x=1&y=2",
            "https://app.example/cb?x=1#f",
            "https://app.example/cb?x=%31",
            "https://APP.example/cb?x=1",
            "https://app.example/CB?x=1",
            "https://app.example:443/cb?x=1",
            "https://app.example//cb?x=1",
            "https://app.example/./cb?x=1",
            "https://app.example.evil.example/cb?x=1",
            "https://user@app.example/cb?x=1",
            "http://app.example/cb?x=1",
            "http://localhost:9001/cb",
            "http://127.0.0.1:9000/cb",
            "//app.example/cb?x=1",
            "javascript:alert(1)",
        ):
            self.refused_page(await self.asked(app, redirect_uri=uri))

    async def test_rfc8252_section_7_3_loopback_port(self) -> None:
        """RFC 8252 section 7.3: of 127.0.0.1 and [::1] any port will do, and the code is bound to the one used."""
        app = await self.server.client(public=True, redirect_uris=("http://127.0.0.1/cb", "http://[::1]:1/cb"))
        alice = await self.server.user()
        for uri in ("http://127.0.0.1:51004/cb", "http://[::1]:51004/cb", "http://127.0.0.1/cb"):
            code = await self.server.code(app, alice, redirect_uri=uri)
            answer = await self.server.redeem(app, code, redirect_uri="http://127.0.0.1:51005/cb")
            self.refused(answer, "invalid_grant")
            ok(await self.server.redeem(app, code, redirect_uri=uri))

    async def test_section_3_1_2_query_is_kept(self) -> None:
        """Section 3.1.2: the query of a redirect URI is kept, and parameters are added to it."""
        app = await self.server.client(redirect_uris=("https://app.example/cb?tenant=7",))
        alice = await self.server.user()
        told = await self.server.authorize(app, alice)
        self.assertEqual((told["tenant"], set(told)), ("7", {"tenant", "code", "state", "iss"}))

    async def test_section_3_1_2_3_left_out(self) -> None:
        """Section 3.1.2.3: the only registered redirect URI may be left out, and then in the token request too."""
        app, alice = await self.server.client(), await self.server.user()
        code = await self.server.code(app, alice, redirect_uri=None, scope="read")
        ok(await self.server.redeem(app, code, redirect_uri=None))

    async def test_section_3_1_2_3_left_out_of_several(self) -> None:
        """Section 3.1.2.3: with several registered redirect URIs, or none, one must be named."""
        for number, uris in enumerate(((), (REDIRECT, "https://app.example/other"))):
            app = await self.server.client(f"app{number}", redirect_uris=uris)
            asked = {"response_type": "code", "client_id": app.client_id, "scope": "read"}
            self.refused_page(await self.server.get("/oauth2/authorize", asked))

    async def test_section_4_1_2_1_response_type(self) -> None:
        """Sections 3.1.1 and 4.1.2.1: a missing response_type is invalid_request, another one unsupported."""
        app = await self.server.client()
        self.refused_by_redirect((await self.asked(app, response_type=None)).redirected, "invalid_request")
        for wanted in ("token", "id_token", "code id_token", "code token", "none", "CODE", "code "):
            answer = await self.asked(app, response_type=wanted)
            self.refused_by_redirect(answer.redirected, "unsupported_response_type")

    async def test_response_mode(self) -> None:
        """Multiple Response Types section 2.1: `query` is understood; a mode that is not, is refused by query."""
        app = await self.server.client()
        self.assertTrue((await self.asked(app, response_mode="query")).location.startswith("/login"))
        for mode in ("web_message", "FORM_POST", "query.jws", "code"):
            self.refused_by_redirect((await self.asked(app, response_mode=mode)).redirected, "invalid_request")

    async def test_section_4_1_2_1_unauthorized_client(self) -> None:
        """Section 4.1.2.1: a client that is not registered for the grant is told so."""
        app = await self.server.client(grant_types=("client_credentials",))
        self.refused_by_redirect((await self.asked(app)).redirected, "unauthorized_client")

    async def test_section_4_1_2_1_invalid_scope(self) -> None:
        """Sections 3.3 and 4.1.2.1: a scope that is unknown, malformed, or not for this client is invalid_scope."""
        app = await self.server.client(scopes=("openid", "read"))
        for scope in ("openid unknown", "openid write", "openid admin", 'openid "', "openid \u00e4", "x" * 3000):
            self.refused_by_redirect((await self.asked(app, scope=scope)).redirected, "invalid_scope")

    async def test_section_4_1_2_1_access_denied(self) -> None:
        """Section 4.1.2.1: a person who refuses, at sign-in or at consent, sends access_denied back."""
        app, alice = await self.server.client(), await self.server.user()
        browser = self.server.browser()
        page = await browser.open("/oauth2/authorize", self.server.asking(app))
        told = (await browser.submit(page, "deny")).redirected
        self.refused_by_redirect(told, "access_denied")
        page = await browser.sign_in(await browser.open("/oauth2/authorize", self.server.asking(app)), alice)
        told = (await browser.submit(page, "deny")).redirected
        self.refused_by_redirect(told, "access_denied")

    async def test_section_10_16_redirects_are_not_kept(self) -> None:
        """RFC 9700 4.2.4: a redirect with a code is not stored, and names no referrer."""
        app, alice = await self.server.client(), await self.server.user()
        browser = self.server.browser()
        answer = await browser.finish(await browser.get("/oauth2/authorize", self.server.asking(app)), alice)
        self.assertEqual(answer.status, 303)  # RFC 9700 section 4.12
        self.assertEqual(answer.header("cache-control"), "no-store")
        self.assertEqual(answer.header("referrer-policy"), "no-referrer")
        self.assertEqual(answer.header("access-control-allow-origin"), "")


class ScopeTests(ServerCase):
    """Section 3.3: which scope a request gets."""

    async def test_default_scope(self) -> None:
        """Section 3.3: a request without scope gets the client's default, told in the answer."""
        app = await self.server.client(default_scopes=("read", "write"))
        alice = await self.server.user()
        self.assertEqual((await self.server.signed_in(app, alice, scope=None))["scope"], "read write")
        self.assertEqual(ok(await self.server.token(app, "client_credentials"))["scope"], "read write")

    async def test_empty_scope(self) -> None:
        """Section 3.3: without a default the scope is empty, and the answer leaves it out."""
        app, alice = await self.server.client(), await self.server.user()
        tokens = await self.server.signed_in(app, alice, scope=None)
        self.assertNotIn("scope", tokens)
        self.assertEqual((await self.server.introspect(tokens["access_token"])).get("scope", ""), "")
        self.refused(await self.server.userinfo(tokens["access_token"]), "insufficient_scope", 403)

    async def test_reserved_scopes_must_be_allowed_by_name(self) -> None:
        """A client without a scope list gets every scope but `admin` and `account`; one with a list gets that list."""
        free, alice = await self.server.client("free"), await self.server.user()
        for scope in ("admin", "account"):
            self.refused(await self.server.token(free, "client_credentials", scope=scope), "invalid_scope")
        ok(await self.server.token(free, "client_credentials", scope="read write email"))
        named = await self.server.client("named", scopes=("account", "openid"))
        self.assertEqual((await self.server.signed_in(named, alice, scope="account"))["scope"], "account")

    async def test_admin_scope_goes_to_administrators_only(self) -> None:
        """A person who is no administrator cannot give `admin`, neither by asking for it nor by a default."""
        app = await self.server.client(scopes=("openid", "admin"), default_scopes=("openid", "admin"))
        alice = await self.server.user("alice")
        boss = await self.server.user("boss", roles=("admin",))
        self.refused_by_redirect(await self.server.authorize(app, alice, scope="openid admin"), "invalid_scope")
        self.assertEqual((await self.server.signed_in(app, alice, scope=None))["scope"], "openid")
        self.assertEqual((await self.server.signed_in(app, boss, scope=None))["scope"], "openid admin")
        self.assertEqual((await self.server.signed_in(app, boss, scope="admin"))["scope"], "admin")

    async def test_scopes_at_first_start(self) -> None:
        """The first scopes exist, and a scope created later can be asked for at once."""
        app = await self.server.client()
        ok(await self.server.token(app, "client_credentials", scope="openid profile email address phone"))
        ok(await self.server.token(app, "client_credentials", scope="offline_access"))
        self.refused(await self.server.token(app, "client_credentials", scope="later"), "invalid_scope")
        await self.server.application.scopes.create(Scope(0, "later"))
        ok(await self.server.token(app, "client_credentials", scope="later"))

    async def test_a_scope_twice_is_one(self) -> None:
        """Section 3.3: naming a scope twice grants it once, in the order first named."""
        app = await self.server.client()
        answer = ok(await self.server.token(app, "client_credentials", scope="write read write"))
        self.assertEqual(answer["scope"], "write read")


class TokenRequestTests(ServerCase):
    """Sections 3.2, 4.1.3, 4.3, 4.4, 5 and 6: the token endpoint."""

    async def test_section_5_1_answer(self) -> None:
        """Section 5.1: the answer has its members, is JSON, and is not to be stored."""
        app, alice = await self.server.client(), await self.server.user()
        answer = await self.server.redeem(app, await self.server.code(app, alice, scope="read"))
        tokens = ok(answer)
        self.assertEqual(set(tokens), {"access_token", "token_type", "expires_in", "refresh_token", "scope"})
        self.assertEqual((tokens["token_type"], tokens["expires_in"], tokens["scope"]), ("Bearer", 1800, "read"))
        self.assertEqual(answer.header("content-type"), "application/json")
        self.assertEqual((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"))

    async def test_all_paths_are_one_endpoint(self) -> None:
        """The contract: both families and the singular serve the token endpoint."""
        app = await self.server.client()
        for path in FAMILIES:
            ok(await self.server.post(path, {"grant_type": "client_credentials"}, basic=app.basic))

    async def test_section_3_2_post_only(self) -> None:
        """Section 3.2: a token request by GET is 405, with the methods that there are."""
        answer = await self.server.get("/oauth2/token", {"grant_type": "client_credentials"})
        self.refused(answer, "method_not_allowed", 405)
        self.assertEqual(answer.header("allow"), "POST, OPTIONS")

    async def test_section_5_2_grant_type(self) -> None:
        """Section 5.2: a missing, an unknown and a forbidden grant_type have an error each."""
        app = await self.server.client(grant_types=("authorization_code",))
        for grant_type, error in (
            ("", "invalid_request"),
            ("implicit", "unsupported_grant_type"),
            ("CLIENT_CREDENTIALS", "unsupported_grant_type"),
            ("client_credentials", "unauthorized_client"),
            ("password", "unauthorized_client"),
            ("refresh_token", "unauthorized_client"),
        ):
            self.refused(await self.server.token(app, grant_type, refresh_token="x"), error)

    async def test_section_3_2_repeated(self) -> None:
        """Section 3.2: a repeated parameter is invalid_request, known or not, and nothing is spent."""
        app, alice = await self.server.client(), await self.server.user()
        code = await self.server.code(app, alice)
        asked = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)]
        for pair in (("grant_type", "authorization_code"), ("code", code), ("x", "1"), ("scope", "read")):
            form = [*asked, pair] if pair in asked else [*asked, pair, pair]
            self.refused(await self.server.post("/oauth2/token", form, basic=app.basic), "invalid_request")
        ok(await self.server.redeem(app, code))

    async def test_section_3_2_unknown_parameters(self) -> None:
        """Section 3.2: parameters that nobody knows are ignored."""
        app = await self.server.client()
        ok(await self.server.token(app, "client_credentials", audience="x", client_info="1", empty=""))

    async def test_not_a_form(self) -> None:
        """Section 3.2: a body that is no form is not read as one."""
        app = await self.server.client()
        request = self.server.http.request
        answer = await request(
            "POST", "/oauth2/token", json_body={"grant_type": "client_credentials"}, basic_auth=app.basic
        )
        self.assertEqual(answer.status, 415)
        answer = await request("POST", "/oauth2/token?grant_type=client_credentials", form={}, basic_auth=app.basic)
        self.refused(answer, "invalid_request")

    async def test_section_4_3_password(self) -> None:
        """Section 4.3: a client registered for it gets tokens for the password of a user."""
        app = await self.server.client(grant_types=("password", "refresh_token"))
        alice = await self.server.user("alice")
        tokens = ok(await self.server.token(app, "password", username="alice", password=PASSWORD, scope="read_write"))
        self.assertEqual(set(tokens), {"access_token", "token_type", "expires_in", "refresh_token", "scope"})
        told = await self.server.introspect(tokens["access_token"])
        self.assertEqual((told["sub"], told["username"], told["scope"]), (alice.user_id, "alice", "read_write"))

    async def test_section_4_3_2_wrong_password(self) -> None:
        """Section 5.2: a wrong password and an unknown name are the same invalid_grant."""
        app = await self.server.client(grant_types=("password",))
        await self.server.user("alice")
        await self.server.user("inactive", is_active=False)
        wrong = await self.server.token(app, "password", username="alice", password="wrong")
        unknown = await self.server.token(app, "password", username="nobody", password="wrong")
        inactive = await self.server.token(app, "password", username="inactive", password=PASSWORD)
        self.refused(wrong, "invalid_grant")
        self.assertEqual({wrong.body}, {unknown.body, inactive.body})

    async def test_section_4_3_2_missing(self) -> None:
        """Section 4.3.2: name and password are both required."""
        app = await self.server.client(grant_types=("password",))
        for form in ({"username": "alice"}, {"password": "x"}, {"username": "", "password": ""}):
            self.refused(await self.server.token(app, "password", **form), "invalid_request")

    async def test_section_4_4_client_credentials(self) -> None:
        """Section 4.4: a confidential client gets a token for itself, without a refresh token (4.4.3)."""
        app = await self.server.client()
        tokens = ok(await self.server.token(app, "client_credentials"))
        self.assertEqual(set(tokens), {"access_token", "token_type", "expires_in"})
        told = await self.server.introspect(tokens["access_token"])
        self.assertEqual((told["sub"], told["client_id"]), (app.client_id, app.client_id))
        self.assertNotIn("username", told)

    async def test_section_4_4_not_for_public_clients(self) -> None:
        """Section 4.4: a public client cannot have it, whatever it is registered for."""
        app = await self.server.client(public=True, grant_types=("client_credentials",))
        self.refused(await self.server.token(app, "client_credentials"), "unauthorized_client")

    async def test_section_4_4_3_refresh_where_configured(self) -> None:
        """The document prints a refresh token for client_credentials: a client so configured gets one that works."""
        app = await self.server.client(machine_refresh=True)
        tokens = ok(await self.server.token(app, "client_credentials", scope="read"))
        again = ok(await self.server.refresh(app, tokens["refresh_token"]))
        told = await self.server.introspect(again["access_token"])
        self.assertEqual((told["sub"], told["scope"]), (app.client_id, "read"))

    async def test_machine_refresh_wants_the_grant(self) -> None:
        """A refresh token goes to clients registered for that grant only, machines included."""
        app = await self.server.client(machine_refresh=True, grant_types=("client_credentials",))
        self.assertNotIn("refresh_token", ok(await self.server.token(app, "client_credentials")))

    async def test_section_10_4_refresh_only_where_registered(self) -> None:
        """Section 1.5: a client that is not registered for the refresh grant gets no refresh token."""
        app = await self.server.client(grant_types=("authorization_code",))
        tokens = await self.server.signed_in(app, await self.server.user(), scope="openid offline_access")
        self.assertNotIn("refresh_token", tokens)
        self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_section_6_scope(self) -> None:
        """Section 6: a refresh may narrow the scope, for itself alone, and never widen it."""
        app, alice = await self.server.client(), await self.server.user()
        tokens = await self.server.signed_in(app, alice, scope="read write")
        self.refused(await self.server.refresh(app, tokens["refresh_token"], scope="read email"), "invalid_scope")
        narrow = ok(await self.server.refresh(app, tokens["refresh_token"], scope="read"))
        self.assertEqual(narrow["scope"], "read")
        self.assertEqual(ok(await self.server.refresh(app, narrow["refresh_token"]))["scope"], "read write")

    async def test_section_5_2_error_shape(self) -> None:
        """Section 5.2: an error is JSON with error, error_description and `detail`, whatever Accept says."""
        answer = await self.server.post("/oauth2/token", {}, headers=[("Accept", "text/html")])
        self.refused(answer, "invalid_client", 401)
        self.assertEqual(set(answer.json()), {"error", "error_description", "detail"})
        self.assertEqual(answer.header("content-type"), "application/json")

    async def test_issuer_is_told_from_settings_alone(self) -> None:
        """Nothing that a caller sends becomes part of an address: Host and forwarded headers are not echoed."""
        headers = [("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https"), ("Forwarded", "host=evil")]
        answer = await self.server.http.request("GET", "/.well-known/openid-configuration", headers=headers)
        self.assertEqual(answer.json()["issuer"], ISSUER)
        self.assertNotIn("evil", answer.text)
