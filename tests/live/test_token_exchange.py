"""Token exchange and JWT grants by Authlib's client, against a daemon with two workers."""

from __future__ import annotations

import json
import time
from typing import Any

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523.assertion import sign_jwt_bearer_assertion

from oauthd.protocol.grant_types import JWT_BEARER, TOKEN_EXCHANGE
from oauthd.protocol.token_exchange import ACCESS_TOKEN, JWT
from tests.live.crew import all_of
from tests.live.daemon import LiveCase
from tests.live.visitor import App, Browser, Visitor, expect
from tests.specs.holders import Holder

FILES, IDP = "https://files.example/v1", "https://idp.example"
TRUSTED = Holder(kid="idp")


class ExchangeTests(LiveCase):
    """A front end, an agent behind it, a resource, and an issuer that is trusted."""

    def setUp(self) -> None:
        """Start, and register everybody."""
        super().setUp()
        file = self.folder / "oauthd.toml"
        issuers = json.dumps([f"{IDP} {json.dumps(TRUSTED.jwks)} sub=username"])
        file.write_text(f"[exchange]\nissuers = {issuers}\n[jwt_bearer]\nissuers = {issuers}\n")
        self.server = self.daemon("--config", str(file), "--workers", "2")
        all_of(self.server, 2)
        self.visitor = Visitor.of(self.server.http, self.server.credentials)
        self.alice = self.visitor.user()
        self.web = self.visitor.client("Web")
        self.files = self.visitor.client("Files", resources=[FILES])
        rules = [{"from": self.web.client_id, "audience": [FILES]}, {"from": IDP, "audience": [FILES]}]
        self.agent = self.visitor.client("Agent", grant_types=[TOKEN_EXCHANGE, JWT_BEARER], exchanges=rules)

    def fetched(self, app: App, **parameters: Any) -> dict[str, Any]:
        """What Authlib's client gets from the token endpoint."""
        session: Any = OAuth2Session(app.client_id, app.secret)
        found: dict[str, Any] = session.fetch_token(f"{self.server.issuer}/oauth2/token", **parameters)
        return found

    def vouched(self) -> str:
        """A JWT of the trusted issuer, made by Authlib."""
        end = int(time.time()) + 300
        key = TRUSTED.key.as_dict(private=True)
        header = {"alg": "ES256", "kid": "idp"}
        return str(sign_jwt_bearer_assertion(key, IDP, self.server.issuer, "alice", expires_at=end, header=header))

    def test_chain(self) -> None:
        """A person's token is exchanged, introspected with its actor, and dead at both workers when that is revoked."""
        browser = Browser(self.server.http)
        tokens = self.visitor.redeem(self.web, self.visitor.code(browser, self.web, scope="openid"))
        answer = self.fetched(
            self.agent,
            grant_type=TOKEN_EXCHANGE,
            subject_token=tokens["access_token"],
            subject_token_type=ACCESS_TOKEN,
            requested_token_type=ACCESS_TOKEN,
            resource=FILES,
        )
        self.assertEqual((answer["issued_token_type"], answer["token_type"]), (ACCESS_TOKEN, "Bearer"))
        told = self.visitor.introspect(self.files, answer["access_token"])
        self.assertEqual((told["sub"], told["aud"], told["scope"]), (self.alice, FILES, "openid"))
        self.assertEqual(told["act"], {"sub": self.agent.client_id})
        expect(self.server.http.post("/oauth2/revoke", {"token": tokens["access_token"]}, basic_auth=self.web.auth))
        for _ in range(8):  # whichever worker answers
            self.assertFalse(self.visitor.is_active(self.files, answer["access_token"]))
        self.assertEqual(self.server.stop(), 0)

    def test_issuer(self) -> None:
        """A JWT of the issuer is exchanged, and is a grant, once."""
        assertion = self.vouched()
        answer = self.fetched(
            self.agent, grant_type=TOKEN_EXCHANGE, subject_token=assertion, subject_token_type=JWT, resource=FILES
        )
        told = self.visitor.introspect(self.files, answer["access_token"])
        self.assertEqual((told["sub"], told["act"]), (self.alice, {"sub": self.agent.client_id}))
        answer = self.fetched(self.agent, grant_type=JWT_BEARER, assertion=assertion)
        self.assertEqual(self.visitor.introspect(self.web, answer["access_token"])["sub"], self.alice)
        form = {"grant_type": JWT_BEARER, "assertion": assertion}
        again = self.server.http.post("/oauth2/token", form, basic_auth=self.agent.auth)
        self.assertEqual((again.status, again.error), (400, "invalid_grant"))
        self.assertEqual(self.server.stop(), 0)
