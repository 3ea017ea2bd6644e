"""No secret anywhere outside its answer: not in the output, not in a log, not in the files of the store."""

from __future__ import annotations

import base64
import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from oauthd.proofs.assertions import ASSERTION_TYPE
from oauthd.protocol.pkce import challenge_of
from tests.live.daemon import LiveCase
from tests.live.visitor import DEVICE_GRANT, REDIRECT, App, Browser, Visitor, expect
from tests.possession import Holder
from tests.specs.holders import Holder as Signer
from tests.wire import Answer

# Words that stand for themselves wherever they leak; each is used once.
FIRST, SECOND, THIRD = "Sesame-0pen-Sesame-1", "Sesame-0pen-Sesame-2", "Sesame-0pen-Sesame-3"
WRONG = "Wrong-Sesame-of-a-guesser"
NAME_FOR_PASSWORD = "Typed-into-the-wrong-field-9"
MEANT_TO_HOLD_THEM = frozenset({"admin-credentials.json", "master.key"})
SIGNER = Signer()
NOWHERE = "https://nowhere.invalid/request"
_numbers = itertools.count()
SHORTEST = 16  # characters: what is shorter is found by chance


class SecretsTests(LiveCase):
    """A mixed run of every flow, well and badly used."""

    def setUp(self) -> None:
        """A daemon that logs everything, and an embedded store."""
        super().setUp()
        self.server = self.daemon(log_level="debug")
        self.http = self.server.http
        self.visitor = Visitor.of(self.http, self.server.credentials)
        self.secrets: set[str] = {self.visitor.token, FIRST, SECOND, THIRD, WRONG, NAME_FOR_PASSWORD}
        self.secrets |= {self.server.credentials[name] for name in ("password", "client_secret")}

    def test_nowhere(self) -> None:
        """Every secret that was given or taken is found in no file of the server but the two that are meant to."""
        app = self.clients()
        self.people(app)
        self.machines(app)
        self.devices(app)
        self.mistakes(app)
        browsers = [self.browsing(app), self.browsing(app)]
        for browser in browsers:
            self.secrets |= browser.seen
        self.profile(app)
        self.proofs()
        self.registrations()
        self.assert_hidden()
        self.assertEqual(self.server.stop(), 0)
        self.assert_hidden()

    def keep(self, answer: Any) -> Any:
        """Remember the secrets of a JSON answer."""
        told = answer.json() if isinstance(answer, Answer) else answer
        for name in ("access_token", "refresh_token", "id_token", "client_secret", "device_code"):
            if isinstance(told.get(name), str):
                self.secrets.add(told[name])
        return told

    def clients(self) -> App:
        """Registered in both ways, with a rotated secret and one that was chosen."""
        chosen = "a-secret-that-somebody-chose-at-random-0123456789"
        self.secrets.add(chosen)
        self.visitor.client("Chosen", client_secret=chosen)
        app = self.visitor.client(scopes=["openid", "profile", "email", "account", "offline_access"])
        self.secrets.add(app.secret)
        rotated = self.keep(self.visitor.api("POST", f"/oauth/clients/{app.client_id}/secret"))
        body = {"name": "Simple", "client_type": "confidential", "redirect_uris": ""}
        simple = self.keep(expect(self.http.request("POST", "/oauth2/register_client", json_body=body), 201))
        form = {"grant_type": "client_credentials"}
        self.keep(self.visitor.tokens(App(simple["client_id"], simple["client_secret"]), **form))
        return App(app.client_id, rotated["client_secret"])

    def people(self, app: App) -> None:
        """Passwords, tokens of people, refreshes, introspection, revocation by value."""
        self.visitor.user("alice", FIRST)
        person = {"grant_type": "password", "username": "alice", "password": FIRST, "scope": "openid profile email"}
        tokens = self.keep(self.visitor.tokens(app, **person))
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        again = self.keep(self.visitor.tokens(app, **refresh))
        self.keep(self.visitor.tokens(app, **refresh))  # inside the grace window: the kept answer
        expect(self.http.get("/oauth2/userinfo", bearer=again["access_token"]))
        self.visitor.introspect(app, again["access_token"])
        self.visitor.introspect(app, again["refresh_token"])
        self.visitor.api("POST", "/oauth/tokens/revoke", {"token": again["access_token"]})
        form = {"token": again["refresh_token"], "client_id": app.client_id, "client_secret": app.secret}
        expect(self.http.post("/oauth2/revoke", form))

    def machines(self, app: App) -> None:
        """Tokens of both formats."""
        self.keep(self.visitor.tokens(app, grant_type="client_credentials"))
        opaque = self.visitor.client("Opaque", access_format="opaque")
        self.secrets.add(opaque.secret)
        token = self.keep(self.visitor.tokens(opaque, grant_type="client_credentials"))["access_token"]
        self.assertTrue(self.visitor.is_active(opaque, token))
        self.visitor.api("GET", "/oauth/tokens")

    def devices(self, app: App) -> None:
        """A device, polled, approved and redeemed."""
        form = {"client_id": app.client_id, "scope": "openid"}
        device = self.keep(expect(self.http.post("/oauth2/device_authorize", form, basic_auth=app.auth)))
        poll = {"grant_type": DEVICE_GRANT, "device_code": device["device_code"]}
        expect(self.http.post("/oauth2/token", poll, basic_auth=app.auth), 400)
        browser = Browser(self.http)
        expect(browser.finish(browser.open("/device", {"user_code": device["user_code"]}), "alice", FIRST))
        self.secrets |= browser.seen
        self.keep(expect(self.http.post("/oauth2/token", poll, basic_auth=app.auth)))

    def browsing(self, app: App) -> Browser:
        """A sign-in with consent, the code redeemed twice, and a sign-out."""
        browser = Browser(self.http)
        more = {"scope": "openid email", "state": "the-state-of-a-client-12345", "nonce": "n-0S6_WzA2Mj-abcdef"}
        code = self.visitor.code(browser, app, "alice", FIRST, prompt="login consent", **more)
        self.secrets.add(code)
        tokens = self.keep(self.visitor.redeem(app, code))
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
        expect(self.http.post("/oauth2/token", form, basic_auth=app.auth), 400)
        browser.open("/oauth2/logout", {"id_token_hint": tokens["id_token"], "client_id": app.client_id})
        return browser

    def mistakes(self, app: App) -> None:
        """Secrets where they do not belong, and wrong ones: these are somebody's secrets, too."""
        auth, post = app.auth, self.http.post
        token = self.keep(self.visitor.tokens(app, grant_type="client_credentials"))["access_token"]
        for name in ("alice", NAME_FOR_PASSWORD):
            typed = {"grant_type": "password", "username": name, "password": WRONG}
            expect(post("/oauth2/token", typed, basic_auth=auth), 400)
        expect(post("/oauth2/token", {"grant_type": "client_credentials"}, basic_auth=(app.client_id, WRONG)), 401)
        expect(self.http.get("/oauth2/userinfo", query={"access_token": token}), 401)
        misplaced = {"client_id": app.client_id, "client_secret": app.secret, "code": token}
        expect(self.http.get("/oauth2/authorize", query=misplaced), 303)
        expect(self.http.get(f"/nowhere/{token}"), 404)
        expect(self.http.request(token, "/oauth2/token"), 405)
        expect(self.http.request("POST", "/oauth2/token", json_body={"client_secret": app.secret}), 415)
        expect(self.http.get(f"/oauth2/jwks?access_token={token}", headers=[("Cookie", f"oauthd_session={token}")]))
        expect(self.http.request("DELETE", f"/api/v1/oauth/tokens/{token}", bearer=self.visitor.token), 404)
        self.visitor.api("POST", "/users", {"password": SECOND}, 422)

    def profile(self, app: App) -> None:
        """Passwords changed by the person and by an administrator."""
        person = {"grant_type": "password", "username": "alice", "password": FIRST, "scope": "account"}
        token = self.keep(self.visitor.tokens(app, **person))["access_token"]
        body = {"current_password": FIRST, "password": SECOND}
        expect(self.http.request("PUT", "/api/v1/users/profile/password", json_body=body, bearer=token), 204)
        users = self.visitor.api("GET", "/users")["users"]
        alice = next(user["user_id"] for user in users if user["username"] == "alice")
        self.visitor.api("PUT", f"/users/{alice}/password", {"password": THIRD}, 204)
        self.keep(self.visitor.tokens(app, **person | {"password": THIRD}))

    def proofs(self) -> None:
        """A client with keys: pushed and signed requests, assertions, proofs, signed responses; good and bad ones."""
        shown = {"token_endpoint_auth_method": "private_key_jwt", "authorization_signed_response_alg": "ES256"}
        app = self.visitor.client("Keyed", jwks=SIGNER.jwks, request_uris=[NOWHERE], **shown)
        verifier = "verifier-of-a-client-that-nobody-else-knows-0123456789"
        asked = {
            "response_type": "code", "client_id": app.client_id, "redirect_uri": REDIRECT, "scope": "openid email",
            "code_challenge": challenge_of(verifier), "code_challenge_method": "S256", "response_mode": "jwt",
        }  # fmt: skip
        self.secrets.add(verifier)
        signed = self.remember(SIGNER.sign({**asked, "iss": app.client_id, "aud": self.server.issuer, **_times()}))
        pushed = self.prove("/oauth2/par", app, {"request": signed}, 201)
        self.prove("/oauth2/par", app, {"request": signed}, 400)
        self.secrets.add(pushed["request_uri"])
        browser = Browser(self.http)
        sent = {"client_id": app.client_id, "request_uri": pushed["request_uri"]}
        for odd in (sent | {"request": signed}, sent | {"request_uri": NOWHERE}, {"request": signed + "x"}):
            expect(browser.send("GET", "/oauth2/authorize", query={"client_id": app.client_id} | odd), 400)
        answer = expect(browser.finish(browser.send("GET", "/oauth2/authorize", query=sent), "alice", THIRD), 303)
        response = self.remember(answer.redirected["response"])
        claims = json.loads(base64.urlsafe_b64decode(response.split(".")[1] + "=="))
        code = {"grant_type": "authorization_code", "code": self.remember(claims["code"]), "redirect_uri": REDIRECT}
        self.prove("/oauth2/token", app, code | {"code_verifier": WRONG * 2}, 400)
        tokens = self.prove("/oauth2/token", app, code | {"code_verifier": verifier})
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        tokens = self.prove("/oauth2/token", app, refresh)
        self.prove("/oauth2/introspect", app, {"token": tokens["access_token"]})
        self.prove("/oauth2/revoke", app, refresh | {"token": tokens["refresh_token"]}, None)
        for proof, status in ((self.proof("GET", "/oauth2/userinfo", token=tokens["access_token"]), 401), (WRONG, 401)):
            headers = [("Authorization", f"DPoP {tokens['access_token']}"), ("DPoP", proof)]
            expect(self.http.get("/oauth2/userinfo", headers=headers), status)
        self.secrets |= browser.seen

    def prove(self, path: str, app: App, form: dict[str, str], status: int | None = 200) -> dict[str, Any]:
        """A request with an assertion and a proof, and once more, when both are used up."""
        said = {"iss": app.client_id, "sub": app.client_id, "aud": self.server.issuer, **_times()}
        assertion = self.remember(SIGNER.sign(said))
        form = form | {"client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
        headers = [("DPoP", self.proof("POST", path))]
        answer = self.http.post(path, form, headers=headers)
        if status is not None:
            expect(answer, status)
        expect(self.http.post(path, form, headers=headers), 401)
        return dict(self.keep(answer)) if answer.body else {}

    def proof(self, method: str, path: str, **more: Any) -> str:
        """A DPoP proof for this server."""
        made = Holder().proof(method, path, time.time(), htu=self.server.issuer + path, **more)
        return self.remember(made)

    def remember(self, secret: Any) -> str:
        """A secret, which is looked for in the end."""
        self.secrets.add(str(secret))
        return str(secret)

    def registrations(self) -> None:
        """Clients that register and change themselves, by the tokens for that; rightly and wrongly."""
        made = self.visitor.api("POST", "/oauth/initial-access-tokens", {"uses": 2}, 201)
        initial = self.remember(made["token"])
        body = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_jwt"}
        for bearer, status in ((initial, 201), (initial + "x", 401)):
            answer = expect(self.http.request("POST", "/oauth2/register", json_body=body, bearer=bearer), status)
        told = self.keep(expect(self.http.request("POST", "/oauth2/register", json_body=body, bearer=initial), 201))
        place, token = f"/oauth2/register/{told['client_id']}", self.remember(told["registration_access_token"])
        mine = body | {"client_id": told["client_id"]}
        for more, status in (({"client_secret": WRONG}, 400), ({"client_secret": told["client_secret"]}, 200)):
            answer = self.http.request("PUT", place, json_body=mine | more, bearer=token)
            again = self.keep(expect(answer, status))
        expect(self.http.get(place, bearer=token), 401)
        token = self.remember(again["registration_access_token"])
        expect(self.http.get(place, bearer=token))
        expect(self.http.request("DELETE", place, bearer=token), 204)

    def assert_hidden(self) -> None:
        """No file of the server holds a secret, in any spelling in which one may have got there."""
        self.assertGreater(len(self.secrets), 40)
        files = {path: path.read_bytes() for path in self.server.folder.rglob("*") if path.is_file()}
        names = {path.name for path in files}
        self.assertLessEqual({"output.log", "valkey.log", *MEANT_TO_HOLD_THEM}, names)
        self.assertTrue([name for name in names if ".aof" in name])
        self.assertTrue(any(b"alice" in content for content in files.values()))  # looking finds what is there
        for path, content in files.items():
            if path.name not in MEANT_TO_HOLD_THEM:
                self.assertEqual(self.found_in(path, content), [])

    def found_in(self, path: Path, content: bytes) -> list[str]:
        """Which secrets a file holds: file, and the beginning of each."""
        return [
            f"{path.name}: {secret[:6]}..., {len(secret)} characters, as {spelling[:9]!r}"
            for secret in sorted(self.secrets)
            for spelling in _spellings(secret)
            if len(secret) >= SHORTEST and spelling in content
        ]

    def test_searching(self) -> None:
        """The search finds a secret in each of its spellings, and a part of it that is as good as the whole."""
        secret = "eyJhbGciOi.eyJpc3MiOi+J.c2lnbmF0 dXJlc2lnbmF0dXJl"
        self.secrets = {secret}
        place = self.folder / "some.log"
        for content in (
            secret, json.dumps({"a": secret}), quote(secret, safe=""), quote_plus(secret), secret[-30:],
            base64.b64encode(b"client:" + secret.encode()).decode(), secret.encode().hex(),
        ):  # fmt: skip
            self.assertTrue(self.found_in(place, f"before {content} after".encode()), content)
        self.assertEqual(self.found_in(place, b"before and after"), [])


def _times() -> dict[str, Any]:
    now = int(time.time())
    return {"nbf": now, "exp": now + 60, "jti": f"jti-{next(_numbers)}"}


def _spellings(secret: str) -> Iterator[bytes]:
    """A secret as it may be written down somewhere."""
    plain = secret.encode()
    # The end of a token is the part that cannot be guessed: a signature, or random letters.
    yield plain if len(plain) < 64 else plain[-30:]
    yield plain[-30:]
    yield quote(secret, safe="").encode()
    yield quote_plus(secret).encode()
    yield plain.hex().encode()
    for lead in range(3):  # base64 within something longer begins at any of three places
        encoded = base64.b64encode(bytes(lead) + plain).rstrip(b"=")
        yield re.sub(rb"\A..?.?.?", b"", encoded)[:-2]
