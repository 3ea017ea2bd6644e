"""Clients made with well-known libraries get along: discovery, sign-in, tokens, userinfo, refresh, revocation."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.live.daemon import LiveCase
from tests.live.visitor import REDIRECT, Browser, Visitor

LIBRARIES = Path(__file__).parent / "libraries"
PATIENCE = 120  # seconds for a process, on a machine that has other things to do


@functools.cache
def node_folder() -> Path:
    """A folder in which npm has put what package.json names."""
    folder = Path(tempfile.mkdtemp(prefix="oauthd-node-"))
    for name in ("package.json", *(file.name for file in LIBRARIES.glob("*.mjs"))):
        shutil.copy(LIBRARIES / name, folder)
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund"],
        cwd=folder,
        check=True,
        timeout=PATIENCE,
    )
    return folder


class LibraryCase(LiveCase):
    """A daemon, a person, and a client that is another process."""

    def setUp(self) -> None:
        """Start them."""
        super().setUp()
        self.server = self.daemon(users_lock_after="1000")
        self.visitor = Visitor.of(self.server.http, self.server.credentials)
        self.user_id = self.visitor.user()
        self.issuer = self.server.http.get("/.well-known/openid-configuration").json()["issuer"]

    def run_client(self, command: list[str], cwd: Path | None = None, **members: Any) -> dict[str, Any]:
        """Run a client to its end, as a browser with alice in front of it; what it found out."""
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=cwd) as process:
            assert process.stdin is not None and process.stdout is not None
            try:
                for line in process.stdout:
                    said = json.loads(line)
                    answer = self.answer(said, members)
                    process.stdin.write(json.dumps(answer) + "\n")
                    process.stdin.flush()
                    if "done" in said:
                        process.wait(PATIENCE)
                        found: dict[str, Any] = said["done"]
                        return found
            finally:
                process.kill()
        raise AssertionError("the client ended before it was done")

    def answer(self, said: dict[str, Any], members: dict[str, Any]) -> dict[str, Any]:
        """What a client is told."""
        if "keys" in said:
            keys = {} if members.get("token_endpoint_auth_method") == "client_secret_jwt" else {"jwks": said["keys"]}
            app = self.visitor.client(**keys, **members)
            return {"client_id": app.client_id, "client_secret": app.secret, "metadata": self.metadata(members)}
        if "visit" in said:
            return {"arrived": self.visit(said["visit"])}
        return {}

    def metadata(self, members: dict[str, Any]) -> dict[str, Any]:
        """What the client should know of its own registration."""
        told = {"id_token_signed_response_alg": members.get("id_token_algorithm", "RS256")}
        name = "authorization_signed_response_alg"
        return told | ({name: members[name]} if name in members else {})

    def visit(self, url: str) -> str:
        """Where a browser is sent in the end."""
        parts = urlsplit(url)
        browser = Browser(self.server.http)
        answer = browser.finish(browser.send("GET", f"{parts.path}?{parts.query}"), "alice", "correct horse battery")
        self.assertEqual(answer.status, 303, answer.body[:500])
        return answer.location


class OpenidClientTests(LibraryCase):
    """openid-client, in JavaScript."""

    def go(self, *uses: str, **members: Any) -> dict[str, Any]:
        """A whole round with these features."""
        command = ["node", "openid_client.mjs", self.issuer, REDIRECT, *uses]
        facts = {
            "token_endpoint_auth_method": "private_key_jwt",
            "id_token_algorithm": "ES256",
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        }
        found = self.run_client(command, node_folder(), **(facts | members))
        self.assertEqual((found["sub"], found["email"]), (self.user_id, "alice@example.com"))
        self.assertEqual((found["seen"]["active"], found["gone"]["active"]), (True, False))
        return found

    def test_private_key_jwt(self) -> None:
        """Authentication by a key, at every endpoint."""
        found = self.go()
        self.assertEqual(found["token_type"], "bearer")
        self.assertNotIn("cnf", found["seen"])

    def test_pushed_and_bound(self) -> None:
        """FAPI 2.0: the request pushed, tokens bound by DPoP, the refresh token kept."""
        found = self.go("par", "dpop", profile="fapi2", dpop_bound_access_tokens=True)
        self.assertEqual(set(found["visited"]), {"client_id", "request_uri"})
        self.assertEqual((found["token_type"], found["machine"]), ("dpop", "dpop"))
        self.assertTrue(found["seen"]["cnf"]["jkt"])
        self.assertTrue(found["same_refresh"])

    def test_signed_both_ways(self) -> None:
        """Message signing: the request a signed object within the push, the answer a signed one, too."""
        found = self.go(
            "par",
            "dpop",
            "jar",
            "jarm",
            profile="fapi2",
            dpop_bound_access_tokens=True,
            require_signed_request_object=True,
            request_object_signing_alg="ES256",
            authorization_signed_response_alg="ES256",
        )
        self.assertEqual(set(found["arrived"]), {"response"})


class AuthlibTests(LibraryCase):
    """Authlib, in Python."""

    def go(self, method: str, **members: Any) -> dict[str, Any]:
        """A whole round."""
        command = [sys.executable, str(LIBRARIES / "authlib_client.py"), self.issuer, REDIRECT, method]
        found = self.run_client(command, None, token_endpoint_auth_method=method, **members)
        self.assertEqual((found["sub"], found["nonce"], found["email"]), (self.user_id, True, "alice@example.com"))
        self.assertEqual((found["seen"]["active"], found["revoked"], found["gone"]["active"]), (True, 200, False))
        return found

    def test_private_key_jwt(self) -> None:
        """A key, and a pushed request."""
        self.go("private_key_jwt", require_pushed_authorization_requests=True)

    def test_client_secret_jwt(self) -> None:
        """The secret as a key."""
        self.go("client_secret_jwt")
