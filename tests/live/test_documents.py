"""The flows of the two contract documents against a real daemon, as printed there: paths, bodies, members of answers.

`ApiDocumentTests` follows the API documentation (family `/oauth2`), section by section; `FlowTests` and
`ManagementTests` follow the sequence diagrams (family `/oauth`, admin API `/api/v1`). What a document prints as an
example value is compared by its kind; what it prints as a rule, as it stands.
"""

from __future__ import annotations

import json
import time
from typing import Any

from tests.live.daemon import Daemon, LiveCase
from tests.live.visitor import DEVICE_GRANT, PASSWORD, App, Browser, Visitor, expect
from tests.wire import Answer

CALLBACK = "https://your-app.com/callback"
FORM = "application/x-www-form-urlencoded"
FAMILIES = (
    ("/oauth2", "/oauth2/token"),
    ("/oauth", "/oauth/tokens"),
    ("/oauth", "/oauth/token"),
)
"""Prefix and token endpoint of each."""


class DocumentCase(LiveCase):
    """Tests that send what the documents print."""

    def serve(self, **settings: str) -> Daemon:
        """A daemon, and somebody to administer it."""
        daemon = self.daemon(**settings)
        self.http = daemon.http
        self.visitor = Visitor.of(daemon.http, daemon.credentials)
        return daemon

    def printed(self, target: str, body: str, status: int = 200, **more: Any) -> Any:
        """POST a body as it is printed; the decoded answer."""
        kind = "application/json" if body.startswith("{") else FORM
        headers = [("Content-Type", kind), *more.pop("headers", ())]
        with_body = self.http.line()
        self.addCleanup(with_body.close)
        with_body.connection.putrequest("POST", target)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            with_body.connection.putheader(name, value)
        with_body.connection.endheaders(body.encode())
        response = with_body.connection.getresponse()
        found = tuple((name.lower(), value) for name, value in response.getheaders())
        answer = expect(Answer(response.status, found, response.read()), status)
        self.assertEqual(answer.header("content-type"), "application/json")
        return answer.json()

    def register(self, name: str, client_type: str, redirect_uris: str) -> App:
        """Register a client as the document does; its answer is checked on the way."""
        body = json.dumps({"name": name, "client_type": client_type, "redirect_uris": redirect_uris}, indent=4)
        made = self.printed("/oauth2/register_client", body, 201)
        self.assertIs(type(made["id"]), int)
        self.assertTrue(made["client_id"])
        self.assertEqual((made["name"], made["client_type"], made["is_active"]), (name, client_type, True))
        return App(made["client_id"], made.get("client_secret", ""))

    def assert_tokens(self, answer: dict[str, Any], scope: str | None, *more: str) -> None:
        """The members of a token answer as printed, and these besides; no scope where None is given."""
        scopes = set() if scope is None else {"scope"}
        self.assertEqual(set(answer), {"access_token", "token_type", "expires_in"} | scopes | set(more))
        self.assertTrue(answer["access_token"].startswith("eyJ"))
        self.assertEqual((answer["token_type"], answer["expires_in"]), ("Bearer", 1800))
        self.assertEqual(answer.get("scope"), scope)


class ApiDocumentTests(DocumentCase):
    """The API documentation."""

    def authorize(self, app: App, scope: str = "openid") -> str:
        """Steps 1 and 2 of the authorization code flow: a person agrees; the code that came back."""
        query = f"response_type=code&client_id={app.client_id}&redirect_uri={CALLBACK}&scope={scope}&state=YOUR_STATE"
        browser = Browser(self.http)
        answer = browser.finish(browser.send("GET", f"/oauth2/authorize?{query}"), "alice", PASSWORD)
        self.assertEqual(answer.status, 303)
        self.assertTrue(answer.location.startswith(f"{CALLBACK}?"))
        self.assertEqual(answer.redirected["state"], "YOUR_STATE")
        return answer.redirected["code"]

    def test_authorization_code(self) -> None:
        """Section 1: register, send the person, exchange the code; section 5: who she is."""
        self.serve()
        subject = self.visitor.user("alice")
        app = self.register("Your App Name", "confidential", CALLBACK)
        tokens = self.printed(
            "/oauth2/token",
            f"grant_type=authorization_code&code={self.authorize(app)}&redirect_uri={CALLBACK}"
            f"&client_id={app.client_id}&client_secret={app.secret}",
        )
        self.assert_tokens(tokens, "openid", "refresh_token", "id_token")
        who = expect(self.http.get("/oauth2/userinfo", bearer=tokens["access_token"])).json()
        self.assertEqual(who, {"sub": subject, "username": "alice", "email": "alice@example.com"})

    def test_authorization_without_scope(self) -> None:
        """Scope and state are optional: the answers then have none of them, and nobody learns who the person is."""
        self.serve()
        self.visitor.user("alice")
        app = self.register("Your App Name", "confidential", CALLBACK)
        browser = Browser(self.http)
        asked = f"/oauth2/authorize?response_type=code&client_id={app.client_id}&redirect_uri={CALLBACK}"
        answer = browser.finish(browser.send("GET", asked), "alice", PASSWORD)
        self.assertEqual(set(answer.redirected), {"code", "iss"})
        tokens = self.printed(
            "/oauth2/token",
            f"grant_type=authorization_code&code={answer.redirected['code']}&redirect_uri={CALLBACK}"
            f"&client_id={app.client_id}&client_secret={app.secret}",
        )
        self.assert_tokens(tokens, None, "refresh_token")
        refused = expect(self.http.get("/oauth2/userinfo", bearer=tokens["access_token"]), 403)
        self.assertEqual(refused.error, "insufficient_scope")

    def test_client_credentials(self) -> None:
        """Section 2: a service registers and gets a token, and a refresh token with it, without any scope."""
        self.serve()
        app = self.register("Your Service", "confidential", "")
        pair = f"client_id={app.client_id}&client_secret={app.secret}"
        tokens = self.printed("/oauth2/token", f"grant_type=client_credentials&{pair}")
        self.assert_tokens(tokens, None, "refresh_token")
        self.assertTrue(self.visitor.is_active(app, tokens["access_token"]))
        again = f"grant_type=refresh_token&refresh_token={tokens['refresh_token']}&{pair}"
        self.assert_tokens(self.printed("/oauth2/token", again), None, "refresh_token")

    def test_device(self) -> None:
        """Sections 3 and 4: a device asks, waits, and is let in by a person at the printed address; it refreshes."""
        daemon = self.serve()
        subject = self.visitor.user("alice")
        app = self.register("Living room", "public", "")
        self.assertEqual(app.secret, "")
        asked = self.printed("/oauth2/device_authorize", f"client_id={app.client_id}&scope=openid")
        self.assertEqual((asked["expires_in"], asked["interval"]), (1800, 5))
        self.assertEqual(asked["verification_uri"], f"{daemon.issuer}/device")
        complete = f"{asked['verification_uri']}?user_code={asked['user_code']}"
        self.assertEqual(asked["verification_uri_complete"], complete)

        poll = f"grant_type={DEVICE_GRANT}&device_code={asked['device_code']}&client_id={app.client_id}"
        waiting = self.printed("/oauth2/token", poll, 400)
        self.assertEqual(waiting["error"], "authorization_pending")
        browser = Browser(self.http)
        page = browser.finish(browser.send("GET", complete.removeprefix(daemon.issuer)), "alice", PASSWORD)
        self.assertEqual((page.status, page.forms), (200, []))
        time.sleep(asked["interval"])  # the device does as it was told
        tokens = self.printed("/oauth2/token", poll)
        self.assert_tokens(tokens, "openid", "refresh_token", "id_token")
        who = expect(self.http.get("/oauth2/userinfo", bearer=tokens["access_token"])).json()
        self.assertEqual(who["sub"], subject)

        again = f"grant_type=refresh_token&refresh_token={tokens['refresh_token']}&client_id={app.client_id}"
        new = self.printed("/oauth2/token", again)
        self.assert_tokens(new, "openid", "refresh_token", "id_token")
        self.assertNotEqual(new["refresh_token"], tokens["refresh_token"])

    def test_confidential_clients_need_their_secret(self) -> None:
        """The printed requests without a secret are for public clients; a confidential one gets 401 without it."""
        self.serve()
        app = self.register("Your Service", "confidential", "")
        pair = f"client_id={app.client_id}&client_secret={app.secret}"
        tokens = self.printed("/oauth2/token", f"grant_type=client_credentials&{pair}")
        bare = f"grant_type=refresh_token&refresh_token={tokens['refresh_token']}&client_id={app.client_id}"
        self.assertEqual(self.printed("/oauth2/token", bare, 401)["error"], "invalid_client")
        self.printed("/oauth2/token", f"{bare}&client_secret={app.secret}")

    def test_public_clients_need_pkce(self) -> None:
        """Note 2: a public client without PKCE is sent back with an error, and no code."""
        self.serve()
        app = self.register("Public", "public", CALLBACK)
        asked = f"/oauth2/authorize?response_type=code&client_id={app.client_id}&redirect_uri={CALLBACK}&state=s"
        answer = Browser(self.http).open(asked)
        self.assertEqual((answer.status, answer.redirected["error"]), (303, "invalid_request"))

    def test_redirect_uris_are_validated(self) -> None:
        """Note 2: a redirect URI that is not the registered one is never redirected to."""
        self.serve()
        app = self.register("Your App Name", "confidential", CALLBACK)
        asked = f"/oauth2/authorize?response_type=code&client_id={app.client_id}&redirect_uri={CALLBACK}/x&scope=openid"
        answer = Browser(self.http).open(asked)
        self.assertEqual((answer.status, answer.location), (400, ""))

    def test_expiration_is_configurable(self) -> None:
        """Notes 1 and 4: 30 minutes and 7 days, or what the settings say."""
        for settings, access, refresh in (
            ({}, 1800, 7 * 86400),
            ({"tokens_access_lifetime": "60", "tokens_refresh_idle": "3600"}, 60, 3600),
        ):
            self.serve(**settings)
            app = self.register("Your Service", "confidential", "")
            tokens = self.visitor.tokens(app, grant_type="client_credentials")
            self.assertEqual(tokens["expires_in"], access)
            told = self.visitor.introspect(app, tokens["refresh_token"])
            self.assertEqual(told["exp"] - told["iat"], refresh)

    def test_errors_have_detail(self) -> None:
        """Note 3: errors of all endpoints have fitting statuses and a `detail` with words."""
        self.serve()
        for method, target, body, status in (
            ("POST", "/oauth2/register_client", "{", 400),
            ("POST", "/oauth2/token", "grant_type=client_credentials&client_id=x&client_secret=y", 401),
            ("POST", "/oauth2/token", "client_id=x&client_id=y", 400),
            ("POST", "/oauth2/device_authorize", "client_id=nobody", 401),
            ("POST", "/oauth2/introspect", "token=x", 401),
            ("POST", "/oauth2/revoke", "token=x", 401),
            ("GET", "/oauth2/userinfo", "", 401),
            ("GET", "/oauth2/nothing", "", 404),
            ("GET", "/oauth2/token", "", 405),
            ("GET", "/api/v1/users", "", 401),
        ):
            headers = [("Content-Type", "application/json" if body.startswith("{") else FORM)]
            line = self.http.line()
            self.addCleanup(line.close)
            line.connection.request(method, target, body or None, dict(headers))
            response = line.connection.getresponse()
            told = json.loads(response.read())
            self.assertEqual(response.status, status, target)
            self.assertIs(type(told["detail"]), str, target)
            self.assertTrue(told["detail"] and told["error"], target)

    def test_openid_configuration(self) -> None:
        """Note 5: the metadata is at its well-known place, also below the base URL, and names the printed endpoints."""
        daemon = self.serve()
        found = expect(self.http.get("/.well-known/openid-configuration"))
        self.assertEqual(found.body, expect(self.http.get("/oauth2/.well-known/openid-configuration")).body)
        metadata = found.json()
        for member, path in (
            ("authorization_endpoint", "/oauth2/authorize"),
            ("token_endpoint", "/oauth2/token"),
            ("device_authorization_endpoint", "/oauth2/device_authorize"),
            ("userinfo_endpoint", "/oauth2/userinfo"),
        ):
            self.assertEqual(metadata[member], daemon.issuer + path)


class FlowTests(DocumentCase):
    """The sequence diagrams of tokens, in the printed family and with both other names of the token endpoint."""

    def setUp(self) -> None:
        """Make what the diagrams take for granted: a scope, a client that may ask for it, a user, a resource server."""
        super().setUp()
        self.serve()
        self.visitor.api("POST", "/oauth/scopes", {"name": "read_write", "description": "Read and write"}, 201)
        self.client = self.visitor.client("C", redirect_uris=[CALLBACK], scopes=["read_write"])
        self.resource_server = self.visitor.client("RS", redirect_uris=[], grant_types=["client_credentials"])
        self.visitor.user("alice")

    def token(self, endpoint: str, form: str) -> dict[str, Any]:
        """A token request with Basic authentication; its answer."""
        answer = self.http.request(
            "POST", endpoint, form=[tuple(pair.split("=", 1)) for pair in form.split("&")], basic_auth=self.client.auth
        )
        found: dict[str, Any] = expect(answer).json()
        return found

    def validate(self, family: str, tokens: dict[str, Any], username: str | None) -> None:
        """The resource server asks whether the token of a request is good, and learns whose it is and what for."""
        asked = {"token": tokens["access_token"]}
        answer = self.http.post(f"{family}/introspect", asked, basic_auth=self.resource_server.auth)
        told = expect(answer).json()
        seen = (told["active"], told["scope"], told["client_id"])
        self.assertEqual(seen, (True, "read_write", self.client.client_id))
        self.assertEqual(told.get("username"), username)

    def test_client_credentials(self) -> None:
        """A machine gets an access token; it has no refresh token unless it was registered for one."""
        for family, endpoint in FAMILIES:
            tokens = self.token(endpoint, "grant_type=client_credentials&scope=read_write")
            self.assert_tokens(tokens, "read_write")
            self.validate(family, tokens, None)

    def test_password(self) -> None:
        """A trusted client trades a person's password for both tokens; a wrong password gets none."""
        for family, endpoint in FAMILIES:
            form = "grant_type=password&username=alice&password={}&scope=read_write"
            tokens = self.token(endpoint, form.format(PASSWORD))
            self.assert_tokens(tokens, "read_write", "refresh_token")
            self.validate(family, tokens, "alice")
            wrong = {"grant_type": "password", "username": "alice", "password": "wrong", "scope": "read_write"}
            answer = expect(self.http.post(endpoint, wrong, basic_auth=self.client.auth), 400)
            self.assertEqual(answer.error, "invalid_grant")

    def test_authorization_code(self) -> None:
        """A person is sent, agrees, and is redirected with a code, which the client redeems."""
        for family, endpoint in FAMILIES:
            browser = Browser(self.http)
            asked = {
                "response_type": "code",
                "client_id": self.client.client_id,
                "redirect_uri": CALLBACK,
                "scope": "read_write",
            }
            answer = browser.finish(browser.send("GET", f"{family}/authorize", query=asked), "alice", PASSWORD)
            self.assertTrue(answer.location.startswith(f"{CALLBACK}?"))
            code = answer.redirected["code"]
            tokens = self.token(endpoint, f"grant_type=authorization_code&code={code}&redirect_uri={CALLBACK}")
            self.assert_tokens(tokens, "read_write", "refresh_token")
            self.validate(family, tokens, "alice")

    def test_refresh_token(self) -> None:
        """A refresh token is traded for two new ones, and the new access token is good."""
        for family, endpoint in FAMILIES:
            first = self.token(endpoint, f"grant_type=password&username=alice&password={PASSWORD}&scope=read_write")
            tokens = self.token(endpoint, f"grant_type=refresh_token&refresh_token={first['refresh_token']}")
            self.assert_tokens(tokens, "read_write", "refresh_token")
            self.assertNotEqual(tokens["access_token"], first["access_token"])
            self.assertNotEqual(tokens["refresh_token"], first["refresh_token"])
            self.validate(family, tokens, "alice")

    def test_families_are_one_server(self) -> None:
        """What one family issues the other one knows and ends, and devices and userinfo are in both."""
        tokens = self.token("/oauth/tokens", "grant_type=client_credentials&scope=read_write")
        self.validate("/oauth2", tokens, None)
        expect(self.http.post("/oauth2/revoke", {"token": tokens["access_token"]}, basic_auth=self.client.auth))
        asked = {"token": tokens["access_token"]}
        answer = self.http.post("/oauth/introspect", asked, basic_auth=self.resource_server.auth)
        self.assertEqual(expect(answer).body, b'{"active":false}')
        made = expect(self.http.post("/oauth/device_authorize", {}, basic_auth=self.client.auth)).json()
        self.assertTrue(made["device_code"])
        self.assertEqual(self.http.get("/oauth/userinfo").status, 401)


class ManagementTests(DocumentCase):
    """The sequence diagram of the admin API."""

    def setUp(self) -> None:
        """Start a daemon."""
        super().setUp()
        self.serve()
        self.api = self.visitor.api

    def test_clients(self) -> None:
        """A client is registered, listed, updated and removed; with it go its tokens."""
        body = {"name": "Reports", "redirect_uris": [CALLBACK], "grant_types": ["client_credentials"]}
        made = self.api("POST", "/oauth/clients", body, 201)
        app = App(made["client_id"], made["client_secret"])
        self.assertEqual({name: made[name] for name in body}, body)
        listed = self.api("GET", "/oauth/clients")["clients"]
        self.assertIn(app.client_id, [client["client_id"] for client in listed])
        self.assertNotIn(app.secret, json.dumps(listed))
        changed = self.api("PUT", f"/oauth/clients/{app.client_id}", {"name": "Figures"})
        self.assertEqual((changed["name"], changed["redirect_uris"]), ("Figures", [CALLBACK]))

        token = self.visitor.tokens(app, grant_type="client_credentials")["access_token"]
        self.assertTrue(self.visitor.is_active(self.visitor.admin, token))
        self.api("DELETE", f"/oauth/clients/{app.client_id}", status=204)
        self.assertFalse(self.visitor.is_active(self.visitor.admin, token))
        self.api("GET", f"/oauth/clients/{app.client_id}", status=404)
        answer = self.http.post("/oauth2/token", {"grant_type": "client_credentials"}, basic_auth=app.auth)
        self.assertEqual((answer.status, answer.error), (401, "invalid_client"))

    def test_users(self) -> None:
        """A user is registered and listed, updates the own profile, and is deactivated: tokens and sign-in are over."""
        self.api("POST", "/oauth/scopes", {"name": "read_write", "description": "Read and write"}, 201)
        body = {"username": "ada", "password": PASSWORD, "roles": ["author"]}
        made = self.api("POST", "/users", body, 201)
        self.assertEqual((made["username"], made["roles"], made["is_active"]), ("ada", ["author"], True))
        self.assertNotIn(PASSWORD, json.dumps(made))
        self.assertIn("ada", [user["username"] for user in self.api("GET", "/users")["users"]])

        app = self.visitor.client("App", scopes=["read_write", "openid", "email"])
        form = {"grant_type": "password", "username": "ada", "password": PASSWORD, "scope": "read_write openid email"}
        token = self.visitor.tokens(app, **form)["access_token"]
        profile = {"email": "ada@example.com", "nickname": "Countess"}
        changed = self.http.request("PUT", "/api/v1/users/profile", json_body=profile, bearer=token)
        self.assertEqual(expect(changed).json()["claims"]["nickname"], "Countess")
        who = expect(self.http.get("/oauth/userinfo", bearer=token)).json()
        self.assertEqual((who["sub"], who["email"]), (made["user_id"], "ada@example.com"))

        self.api("DELETE", f"/users/{made['user_id']}", status=204)
        self.assertFalse(self.visitor.is_active(self.visitor.admin, token))
        answer = self.http.post("/oauth/tokens", form, basic_auth=app.auth)
        self.assertEqual((answer.status, answer.error), (400, "invalid_grant"))
        listed = {user["username"]: user["is_active"] for user in self.api("GET", "/users")["users"]}
        self.assertIs(listed["ada"], False)

    def test_profile_is_the_own(self) -> None:
        """A token of a machine, or one without the scope for it, changes nobody's profile."""
        self.visitor.user("ada")
        app = self.visitor.client("App")
        form = {"grant_type": "password", "username": "ada", "password": PASSWORD, "scope": "openid"}
        for token in (self.visitor.tokens(app, **form)["access_token"], self.visitor.token):
            answer = self.http.request("PUT", "/api/v1/users/profile", json_body={"nickname": "x"}, bearer=token)
            self.assertEqual((answer.status, answer.error), (403, "insufficient_scope"))

    def test_scopes(self) -> None:
        """A scope is created, listed and updated under its number."""
        made = self.api("POST", "/oauth/scopes", {"name": "read_write", "description": "Read and write"}, 201)
        self.assertIs(type(made["scope_id"]), int)
        listed = {scope["name"]: scope for scope in self.api("GET", "/oauth/scopes")["scopes"]}
        self.assertEqual(listed["read_write"], made)
        self.assertIn("openid", listed)
        changed = self.api("PUT", f"/oauth/scopes/{made['scope_id']}", {"description": "Read and change"})
        self.assertEqual(changed, made | {"description": "Read and change"})

    def test_tokens(self) -> None:
        """Active tokens are listed without their values, and one is ended by its id; the list forgets it."""
        app = self.visitor.client("App")
        token = self.visitor.tokens(app, grant_type="client_credentials")["access_token"]
        path = f"/oauth/tokens?client_id={app.client_id}"
        (listed,) = self.api("GET", path)["tokens"]
        self.assertEqual((listed["kind"], listed["client_id"]), ("access", app.client_id))
        everything = json.dumps(self.api("GET", "/oauth/tokens"))
        self.assertIn(listed["token_id"], everything)
        self.assertNotIn(token, everything)
        self.api("DELETE", f"/oauth/tokens/{listed['token_id']}", status=204)
        self.assertFalse(self.visitor.is_active(app, token))
        self.assertEqual(self.api("GET", path)["tokens"], [])
        self.api("DELETE", f"/oauth/tokens/{listed['token_id']}", status=404)

    def test_revoke_by_value(self) -> None:
        """A client revokes its own token by value, in JSON or as a form, by Basic or with its credentials inside."""
        app = self.visitor.client("App")
        inside = {"client_id": app.client_id, "client_secret": app.secret}
        ways: list[dict[str, Any]] = [
            {"json_body": {}, "basic_auth": app.auth},
            {"json_body": inside},
            {"form": {}, "basic_auth": app.auth},
            {"form": inside},
        ]
        for way in ways:
            token = self.visitor.tokens(app, grant_type="client_credentials")["access_token"]
            body = "json_body" if "json_body" in way else "form"
            sent = way | {body: way[body] | {"token": token}}
            self.assertEqual(self.http.request("POST", "/api/v1/oauth/tokens/revoke", **sent).status, 200)
            self.assertFalse(self.visitor.is_active(app, token), way)

    def test_revoke_by_strangers(self) -> None:
        """Another client ends nothing, nobody at all gets 401, and an administrator ends any token."""
        app, other = self.visitor.client("App"), self.visitor.client("Other")
        token = self.visitor.tokens(app, grant_type="client_credentials")["access_token"]
        path, body = "/api/v1/oauth/tokens/revoke", {"token": token}
        self.http.request("POST", path, json_body=body, basic_auth=other.auth)
        self.assertEqual(self.http.request("POST", path, json_body=body).status, 401)
        self.assertEqual(self.http.request("POST", path, json_body=body, basic_auth=(app.client_id, "x")).status, 401)
        self.assertTrue(self.visitor.is_active(app, token))
        self.assertEqual(self.http.request("POST", path, json_body=body, bearer=self.visitor.token).status, 200)
        self.assertFalse(self.visitor.is_active(app, token))

    def test_administrators_only(self) -> None:
        """Without an administrator's token there is 401, with another client's 403, and nothing happens."""
        app = self.visitor.client("App")
        token = self.visitor.tokens(app, grant_type="client_credentials")["access_token"]
        for method, path, body in (
            ("POST", "/oauth/clients", {"name": "x"}),
            ("GET", "/oauth/clients", None),
            ("PUT", f"/oauth/clients/{app.client_id}", {"name": "x"}),
            ("DELETE", f"/oauth/clients/{app.client_id}", None),
            ("POST", "/users", {"username": "x"}),
            ("GET", "/users", None),
            ("DELETE", "/users/x", None),
            ("POST", "/oauth/scopes", {"name": "x"}),
            ("GET", "/oauth/scopes", None),
            ("PUT", "/oauth/scopes/1", {"description": "x"}),
            ("GET", "/oauth/tokens", None),
            ("DELETE", f"/oauth/tokens/a.{'x' * 43}", None),
        ):
            for bearer, status in (("", 401), (token, 403)):
                answer = self.http.request(method, f"/api/v1{path}", json_body=body, bearer=bearer)
                self.assertEqual(answer.status, status, f"{method} {path}")
        self.assertEqual(self.api("GET", f"/oauth/clients/{app.client_id}")["name"], "App")
