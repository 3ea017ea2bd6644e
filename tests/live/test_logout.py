"""Back-channel logout with real clients: a worker that is killed while it sends, and what is given up."""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import threading
from typing import Any
from urllib.parse import parse_qsl

from tests.fetcher.servers import Authority
from tests.live.crew import all_of, caller
from tests.live.daemon import Daemon, until
from tests.live.test_command import CommandCase
from tests.live.test_pages_look import Answering, LoopbackServer
from tests.live.visitor import PASSWORD, REDIRECT, App, Browser, Visitor, expect

CLIENTS = 3


class Told:
    """The logout endpoint of all clients.

    :ivar heard: the claims of each logout token that came.
    :ivar status: what it answers.
    :ivar free: cleared, whoever comes waits for its answer.
    """

    def __init__(self, certificate: str) -> None:
        self.heard: list[dict[str, Any]] = []
        self.status = 200
        self.free = threading.Event()
        self.free.set()
        endpoint = self

        class Post(Answering):
            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
                claims = form["logout_token"].split(".")[1]
                endpoint.heard.append(json.loads(base64.urlsafe_b64decode(claims + "==")))
                endpoint.free.wait()
                self.answer(endpoint.status)

        self._server = LoopbackServer(Post)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.address = f"https://localhost:{self.port}/told"

    def close(self) -> None:
        """Let everybody go, and stop."""
        self.free.set()
        self._server.close()


class LogoutTests(CommandCase):
    """A server of two workers, and clients that are told of sign-outs."""

    def setUp(self) -> None:
        """Start them, and sign in at each client."""
        super().setUp()
        authority = Authority.made()
        self.addCleanup(os.unlink, ca_file := authority.file())
        certificate = self.folder / "client.pem"
        certificate.write_bytes(authority.vouches_as_text("localhost"))
        self.endpoint = Told(str(certificate))
        self.addCleanup(self.endpoint.close)
        self.server: Daemon = self.daemon(
            "--workers", "2", fetch_open_hosts="localhost", fetch_ca_file=ca_file, fetch_timeout="8"
        )
        self.finding = {"OAUTHD_SERVER_DATA": str(self.server.data)}
        self.visitor = Visitor.of(self.server.http, self.server.credentials)
        self.visitor.user()
        self.browser = Browser(self.server.http)
        expect(self.browser.finish(self.browser.open("/login"), "alice", PASSWORD))
        members = {"first_party": True, "backchannel_logout_uri": self.endpoint.address}
        self.apps = [self.visitor.client(f"App {number}", **members) for number in range(CLIENTS)]
        for app in self.apps:
            self.enter(app)

    def enter(self, app: App) -> None:
        """Get a code in the browser's session."""
        asked = {"response_type": "code", "client_id": app.client_id, "redirect_uri": REDIRECT, "scope": "openid"}
        answer = self.browser.open("/oauth2/authorize", asked)
        self.assertIn("code=", answer.location)

    def leave(self) -> None:
        """Sign out on our own page."""
        page = self.browser.open("/logout")
        expect(self.browser.press(page, "yes"))

    def whom(self, first: int = 0) -> set[str]:
        """Who was told, from the one of that number on."""
        return {said["aud"] for said in self.endpoint.heard[first:]}

    def test_a_worker_killed(self) -> None:
        """What a worker had taken when it was killed is sent by another one: each message comes, at least once."""
        before = all_of(self.server, 2)
        self.endpoint.free.clear()
        self.leave()
        until(lambda: self.endpoint.heard, "somebody is told")
        pid: int = until(lambda: caller(self.server, self.endpoint.port), "a worker is there")
        self.assertIn(pid, before.values())
        os.kill(pid, signal.SIGKILL)
        seen = len(self.endpoint.heard)
        self.endpoint.free.set()
        everybody = {app.client_id for app in self.apps}
        until(lambda: self.whom(seen) == everybody, "all are told by another worker", 120)
        self.assertEqual(len({said["jti"] for said in self.endpoint.heard}), len(self.endpoint.heard))
        self.assertEqual(self.json("message", "list"), [])

    def test_given_up(self) -> None:
        """What clients refuse is listed, sent again for one of them, and forgotten for another."""
        self.endpoint.status = 400
        self.leave()
        until(lambda: len(self.json("message", "list")) == CLIENTS, "all are given up")
        first, second, third = self.apps
        self.assertEqual({row[1] for row in self.oauthd("message", "list").rows}, {"logout"})
        self.endpoint.status = 200
        seen = len(self.endpoint.heard)
        self.oauthd("message", "send", "--client", first.client_id)
        until(lambda: self.whom(seen) == {first.client_id}, "it is sent again")
        self.oauthd("message", "drop", "--client", second.client_id)
        (left,) = self.json("message", "list")
        self.assertEqual((left["client_id"], left["tries"]), (third.client_id, 1))
        self.oauthd("message", "drop", left["message_id"])
        self.assertEqual(self.json("message", "list"), [])
        self.assertIn("404", self.refused("message", "send", left["message_id"]))
