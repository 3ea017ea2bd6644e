"""Backchannel authentication with real clients, told over TLS at endpoints of their own by ping and by push."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import ssl
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

from oauthd.protocol.ciba import AUTH_REQ_ID, RT_HASH
from oauthd.protocol.grant_types import CIBA
from tests.fetcher.servers import Authority
from tests.live.daemon import Daemon, LiveCase, until
from tests.live.test_pages_look import Answering, LoopbackServer
from tests.live.visitor import PASSWORD, App, Browser, Visitor, expect

TOLD_BY = "a token that only this client has given".replace(" ", "-")


class Notified:
    """A client's notification endpoint.

    :ivar heard: headers and body of each message.
    :ivar statuses: what it answers to the next ones; 204 when there are no more.
    """

    def __init__(self, certificate: str) -> None:
        self.heard: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.statuses: list[int] = []
        endpoint = self

        class Post(Answering):
            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = json.loads(self.rfile.read(int(headers["content-length"])))
                # Answered first: who waits for the message goes on when all of it is over.
                self.answer(endpoint.statuses.pop(0) if endpoint.statuses else 204)
                endpoint.heard.append((headers, body))

        self._server = LoopbackServer(Post)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"https://localhost:{self._server.server_address[1]}/told"
        self.close = self._server.close

    def message(self, number: int) -> tuple[dict[str, str], dict[str, Any]]:
        """That message, when it has come."""
        until(lambda: len(self.heard) > number, "the client is told")
        return self.heard[number]


class CibaTests(LiveCase):
    """A server, a person's browser, and clients that are told."""

    def setUp(self) -> None:
        """Start them."""
        super().setUp()
        authority = Authority.made()
        self.addCleanup(os.unlink, ca_file := authority.file())
        certificate = self.folder / "client.pem"
        certificate.write_bytes(authority.vouches_as_text("localhost"))
        self.endpoint = Notified(str(certificate))
        self.addCleanup(self.endpoint.close)
        self.server: Daemon = self.daemon(
            "--workers", "2", fetch_open_hosts="localhost", fetch_ca_file=ca_file, outbox_first_wait="1"
        )
        self.visitor = Visitor.of(self.server.http, self.server.credentials)
        self.visitor.user()
        self.browser = Browser(self.server.http)
        self.browser.finish(self.browser.open("/login"), "alice", PASSWORD)

    def client(self, mode: str, **members: Any) -> App:
        """A client that is told in this way."""
        return self.visitor.client(
            "Till 4",
            redirect_uris=[],
            grant_types=[CIBA, "refresh_token"],
            backchannel_token_delivery_mode=mode,
            backchannel_client_notification_endpoint=self.endpoint.address,
            **members,
        )

    def asked(self, app: App) -> str:
        """The auth_req_id of a request about alice."""
        form = {"scope": "openid offline_access", "login_hint": "alice", "client_notification_token": TOLD_BY}
        answer = expect(self.server.http.post("/oauth2/bc-authorize", form, basic_auth=app.auth))
        return str(answer.json()["auth_req_id"])

    def decide(self, decision: str) -> None:
        """Alice opens the first request that waits, and decides."""
        page = expect(self.browser.open("/requests"))
        link = next(part for part in page.text.split('"') if "request=" in part).replace("&amp;", "&")
        expect(self.browser.press(expect(self.browser.open(link)), decision))

    def verified(self, id_token: str) -> dict[str, Any]:
        """The claims of an id token, verified by the published keys."""
        keys = KeySet.import_key_set(self.server.http.get("/oauth2/jwks").json())
        return dict(jwt.decode(id_token, keys, algorithms=["RS256"]).claims)

    def test_push(self) -> None:
        """Sections 10.3 and 12: tokens arrive once the endpoint receives them, the same each time; so does a denial."""
        app = self.client("push")
        self.endpoint.statuses = [503]
        auth_req_id = self.asked(app)
        self.decide("allow")
        first, (headers, told) = self.endpoint.message(0), self.endpoint.message(1)
        self.assertEqual(first[1], told)
        self.assertEqual((headers["authorization"], headers["content-type"]), (f"Bearer {TOLD_BY}", "application/json"))
        self.assertEqual(told["auth_req_id"], auth_req_id)
        claims = self.verified(told["id_token"])
        self.assertEqual((claims["aud"], claims[AUTH_REQ_ID]), (app.client_id, auth_req_id))
        for name, token in (("at_hash", "access_token"), (RT_HASH, "refresh_token")):
            half = hashlib.sha256(told[token].encode()).digest()[:16]
            self.assertEqual(claims[name], base64.urlsafe_b64encode(half).rstrip(b"=").decode())
        self.assertTrue(self.visitor.is_active(app, told["access_token"]))
        self.visitor.tokens(app, grant_type="refresh_token", refresh_token=told["refresh_token"])

        denied = self.asked(app)
        self.decide("deny")
        _, told = self.endpoint.message(2)
        self.assertEqual((told["auth_req_id"], told["error"]), (denied, "access_denied"))
        self.assertEqual(len(self.endpoint.heard), 3)

    def test_ping(self) -> None:
        """Section 10.2: the client is told that there is something to ask for, and asks."""
        app = self.client("ping")
        auth_req_id = self.asked(app)
        self.decide("allow")
        headers, told = self.endpoint.message(0)
        self.assertEqual((headers["authorization"], told), (f"Bearer {TOLD_BY}", {"auth_req_id": auth_req_id}))
        tokens = self.visitor.tokens(app, grant_type=CIBA, auth_req_id=auth_req_id)
        self.assertTrue(self.visitor.is_active(app, tokens["access_token"]))
        self.assertNotIn(AUTH_REQ_ID, self.verified(tokens["id_token"]))

    def test_sign_out(self) -> None:
        """What was pushed ends with the session that it was approved in, where the client asked for that."""
        app = self.client("push", logout_ends_tokens=True)
        form = {"scope": "openid", "login_hint": "alice", "client_notification_token": TOLD_BY}
        expect(self.server.http.post("/oauth2/bc-authorize", form, basic_auth=app.auth))
        self.decide("allow")
        _, told = self.endpoint.message(0)
        self.assertTrue(self.visitor.is_active(app, told["access_token"]))
        asked = {"id_token_hint": told["id_token"], "client_id": app.client_id}
        expect(self.browser.open("/oauth2/logout", asked))
        until(lambda: not self.visitor.is_active(app, told["access_token"]), "its tokens end")
