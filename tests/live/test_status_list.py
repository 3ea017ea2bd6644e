"""Status lists from outside: two workers, and a reader that is made with a library of others."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

from tests.live.daemon import PATIENCE, LiveCase
from tests.live.test_client_libraries import node_folder
from tests.live.visitor import Visitor

MACHINE = {"grant_type": "client_credentials"}


class StatusListTests(LiveCase):
    """draft-ietf-oauth-status-list, as a resource server sees it."""

    def setUp(self) -> None:
        """A daemon with two workers, and the reader."""
        super().setUp()
        server = self.daemon("--workers", "2", status_lists_ttl="10")
        self.visitor = Visitor.of(server.http, server.credentials)
        issuer = server.http.get("/.well-known/openid-configuration").json()["issuer"]
        self.reader = subprocess.Popen(
            ["node", "status_list.mjs", issuer],
            cwd=node_folder(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self.end)

    def end(self) -> None:
        """End the reader."""
        self.reader.kill()
        self.reader.communicate()

    def read(self, token: str) -> dict[str, Any]:
        """What the reader finds out of a token."""
        assert self.reader.stdin is not None and self.reader.stdout is not None
        self.reader.stdin.write(f"{token}\n")
        self.reader.stdin.flush()
        found: dict[str, Any] = json.loads(self.reader.stdout.readline())
        return found

    def token(self, app: Any) -> str:
        """An access token of a client's own."""
        return str(self.visitor.tokens(app, **MACHINE)["access_token"])

    def test_library(self) -> None:
        """A library's reader sees tokens of both workers as they are, and what ends them, one by one or all at once."""
        facts = {"grant_types": ["client_credentials"], "status_listed": True}
        app, other = self.visitor.client("app", **facts), self.visitor.client("other", **facts)
        tokens = [self.token(app) for _ in range(12)]
        apart = self.token(other)
        for token in (*tokens, apart):
            self.assertEqual(
                self.read(token),
                {"status": 0, "type": "application/statuslist+jwt", "ttl": 10, "aggregated": True},
            )
        self.visitor.http.post("/oauth2/revoke", {"token": tokens[0]}, basic_auth=app.auth)
        self.assertEqual([self.read(token)["status"] for token in (*tokens, apart)], [1, *[0] * 12])
        self.visitor.api("DELETE", f"/oauth/tokens?client_id={app.client_id}", status=204)
        until = time.monotonic() + PATIENCE
        while self.read(tokens[1])["status"] == 0 and time.monotonic() < until:
            time.sleep(0.5)
        self.assertEqual([self.read(token)["status"] for token in (*tokens, apart)], [*[1] * 12, 0])
