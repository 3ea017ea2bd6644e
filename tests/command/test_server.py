"""Finding the server, and what is made of answers that are none of oauthd's."""

from __future__ import annotations

import base64
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from oauthd.command import main
from oauthd.command.server import Server
from oauthd.command.terminal import Refused

Script = list[tuple[int, dict[str, str], bytes]]
JSON = {"Content-Type": "application/json"}
TOKEN = (200, JSON, b'{"access_token":"secret-token"}')


class ServerCase(SynchronousTestCase):
    """Tests with a data folder that tells of a server."""

    def setUp(self) -> None:
        """Make the folder, and let nothing outside of it count."""
        self.data = Path(self.mktemp()).absolute()
        self.data.mkdir(mode=0o700)
        for name in [name for name in os.environ if name.startswith("OAUTHD_") or name.lower().endswith("_proxy")]:
            self.addCleanup(os.environ.__setitem__, name, os.environ.pop(name))

    def told(self, *listen: str, issuer: str = "https://login.example.com") -> None:
        """Let a server have left its address."""
        (self.data / "server.json").write_text(json.dumps({"issuer": issuer, "listen": list(listen), "pid": 1}))

    def credentials(self) -> None:
        """Let a server have left its administrator's credentials."""
        found = {"username": "admin", "password": "p", "client_id": "admin", "client_secret": "folder-secret"}
        (self.data / "admin-credentials.json").write_text(json.dumps(found))

    def server(self, url: str | None = None, named: bool = True) -> Server:
        """The server of that address, or of the folder."""
        return Server(url, str(self.data) if named else None, None, None, as_json=False)

    def run_command(self, *arguments: str, url: str = "", **environ: str) -> Result:
        """Run the command as its own administrator."""
        own = {"OAUTHD_CLIENT_ID": "id", "OAUTHD_CLIENT_SECRET": "own-secret", "OAUTHD_SERVER_DATA": str(self.data)}
        given = own | ({"OAUTHD_URL": url} if url else {}) | environ
        return CliRunner().invoke(main, arguments, env=given, catch_exceptions=False)


class AddressTests(ServerCase):
    """Where the server is."""

    def test_listeners(self) -> None:
        """The first TCP listener that this machine reaches counts, else the issuer."""
        for listeners, address in (
            (["tcp:8001:interface=127.0.0.1"], "http://127.0.0.1:8001"),
            ([r"tcp:8001:interface=\:\:1"], "http://[::1]:8001"),
            (["tcp:8001"], "http://127.0.0.1:8001"),
            ([r"tcp:8001:interface=\:\:"], "http://[::1]:8001"),
            (["unix:/run/x", "tcp:8001:interface=10.0.0.1", "tcp:8002:interface=127.0.0.2"], "http://127.0.0.2:8002"),
            (["ssl:8443:privateKey=k:interface=127.0.0.1"], "https://login.example.com"),
            (["unix:/run/x"], "https://login.example.com"),
            (["tcp:0:interface=127.0.0.1"], "https://login.example.com"),
            (["systemd:domain=INET:index=0"], "https://login.example.com"),
        ):
            self.told(*listeners)
            self.assertEqual(self.server().address(), address, listeners)

    def test_given(self) -> None:
        """An address that is given comes first; a slash at its end does no harm."""
        self.told("tcp:8001:interface=127.0.0.1")
        self.assertEqual(self.server("https://other.example:8443/").address(), "https://other.example:8443")

    def test_no_addresses(self) -> None:
        """What is no address of a server is refused, with one that would be."""
        for url in (
            "login.example.com", "ftp://x", "http://", "http://[::1", "http://x:99999", "https://x/oauth2", "http://x?y",
            "http://u:p@x", "//x", "http://:80",
        ):  # fmt: skip
            refused = self.assertRaises(Refused, self.server(url).address)
            self.assertIn("https://login.example.com", str(refused), url)

    def test_nobody_there(self) -> None:
        """Without any server somebody reads how to start one, and how to name one; nothing is asked before."""
        for arguments in (["client", "list"], ["user", "add", "ada"], ["token", "get"]):
            result = self.run_command(*arguments)
            self.assertEqual((result.exit_code, result.stdout), (1, ""))
            (line,) = result.stderr.splitlines()
            for words in (str(self.data), "twistd -n oauthd", "--data", "--url"):
                self.assertIn(words, line)

    def test_spoilt_folder(self) -> None:
        """A file that cannot be read is named."""
        (self.data / "server.json").write_text("{")
        self.assertIn("server.json cannot be read", str(self.assertRaises(Refused, self.server().address)))

    def test_no_folder(self) -> None:
        """A path that leads through a file is a folder without a server."""
        (self.data / "file").write_text("")
        self.assertRaises(Refused, Server(None, str(self.data / "file" / "x"), None, None, as_json=False).address)


class CredentialsTests(ServerCase):
    """Whom the command says it is."""

    def test_folder(self) -> None:
        """The folder's are used for its own server, for one on this machine, and where the folder was named too."""
        self.credentials()
        self.told("tcp:9:interface=127.0.0.1")
        for server in (self.server(), self.server("http://localhost:9"), self.server("https://other.example")):
            self.assertEqual(server._credentials(), ("admin", "folder-secret"))

    def test_folder_elsewhere(self) -> None:
        """They are not sent to an address elsewhere just because they lie in the usual folder."""
        home = self.data / "home"
        (home / "oauthd").mkdir(parents=True)
        self.patch(os, "environ", {**os.environ, "XDG_DATA_HOME": str(home)})
        self.data = home / "oauthd"
        self.credentials()
        self.assertEqual(self.server("http://localhost:9", named=False)._credentials(), ("admin", "folder-secret"))
        refused = self.assertRaises(Refused, self.server("https://other.example", named=False)._credentials)
        self.assertIn("OAUTHD_CLIENT_ID", str(refused))

    def test_none(self) -> None:
        """Where there are none, somebody reads what to set."""
        self.told("tcp:9:interface=127.0.0.1")
        self.assertIn("OAUTHD_CLIENT_SECRET", str(self.assertRaises(Refused, self.server()._credentials)))

    def test_half(self) -> None:
        """An id without a secret is not made whole with somebody else's."""
        self.credentials()
        server = Server("http://localhost:9", str(self.data), "mine", None, as_json=False)
        self.assertIn("go together", str(self.assertRaises(Refused, server._credentials)))

    def test_secrets_are_not_shown(self) -> None:
        """The repr of a server shows neither secret nor token."""
        self.assertNotIn("hidden", repr(Server(None, None, "id", "hidden", as_json=False)))


class AnswerTests(ServerCase):
    """What somebody reads when the answer is not what was hoped for."""

    def answering(self, *script: tuple[int, dict[str, str], bytes]) -> str:
        """Start a server that answers this, request by request and then the last for ever; its address."""
        self.asked: list[tuple[str, str]] = []
        rest = list(script)
        asked = self.asked

        class Scripted(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked.append((self.path, self.headers.get("Authorization", "")))
                status, headers, body = rest.pop(0) if len(rest) > 1 else rest[0]
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"

    def refusal(self, *script: tuple[int, dict[str, str], bytes]) -> str:
        """The one line that `oauthd client list` ends with, when this is answered."""
        result = self.run_command("client", "list", url=self.answering(*script))
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        (line,) = result.stderr.splitlines()
        self.assertTrue(line.startswith("Error: ") and line.isprintable(), line)
        return line

    def test_refusals(self) -> None:
        """The server's reason and code are told in a line; fields that are wrong come before the general reason."""
        told = b'{"error":"forbidden","detail":"not you"}'
        self.assertEqual(self.refusal((403, JSON, told)), "Error: not you (403 forbidden)")
        wrong = b'{"error":"unprocessable_content","detail":"see errors","errors":{"name":"is long","id":"is odd"}}'
        line = self.refusal(TOKEN, (422, JSON, wrong))
        self.assertEqual(line, "Error: name: is long; id: is odd (422 unprocessable_content)")

    def test_refusal_steers_nothing(self) -> None:
        """What a server tells steers the terminal as little as a name does."""
        self.refusal((400, JSON, json.dumps({"error": "\x1b[2J", "detail": "a\nb\u202e"}).encode()))

    def test_strange_answers(self) -> None:
        """Web pages, lists, nothing, and errors without words are no reason for a trace."""
        for answer in ((200, {}, b"<html>"), (200, JSON, b"[]"), (200, JSON, b"{}"), (200, JSON, b"")):
            self.assertIn("does not answer as oauthd does", self.refusal(answer))
        for error in ((502, {}, b"<html>"), (500, JSON, b"[]"), (404, {}, b"")):
            self.assertIn(f"the server answered {error[0]}", self.refusal(error))

    def test_no_redirects(self) -> None:
        """A redirect is not followed: the credentials go nowhere else."""
        self.assertIn("302", self.refusal((302, {"Location": "/elsewhere"}, b"")))
        self.assertEqual([path for path, _ in self.asked], ["/oauth2/token"])

    def test_not_http(self) -> None:
        """A port where something else answers is told in a line."""
        self.assertIn("does not answer", self.refusal((200, {"Transfer-Encoding": "chunked"}, b"zz")))

    def test_nothing_listens(self) -> None:
        """So is one where nothing does."""
        result = self.run_command("client", "list", url="http://127.0.0.1:9")
        self.assertEqual(result.stderr, "Error: http://127.0.0.1:9 does not answer: Connection refused\n")

    def test_proxy_is_for_others(self) -> None:
        """A server on this machine is spoken to without the proxy of the environment."""
        empty = (200, JSON, b'{"clients":[],"next_cursor":null}')
        url = self.answering(TOKEN, empty)
        self.patch(os, "environ", {**os.environ, "http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"})
        self.assertEqual(self.run_command("client", "list", url=url).exit_code, 0)

    def test_pages(self) -> None:
        """A list is read to its end."""
        pages = [{"clients": [{"client_id": "a"}], "next_cursor": "x y"}, {"clients": [{"client_id": "b"}]}]
        url = self.answering(TOKEN, *((200, JSON, json.dumps(page).encode()) for page in pages))
        result = self.run_command("--json", "client", "list", url=url)
        self.assertEqual([row["client_id"] for row in json.loads(result.stdout)], ["a", "b"])
        self.assertIn("cursor=x+y", self.asked[2][0])

    def test_token_is_ended(self) -> None:
        """The token that the calls were made with is revoked after them, also after a refusal."""
        for script in ([TOKEN, (200, JSON, b'{"clients":[]}')], [TOKEN, (403, JSON, b"{}")]):
            self.run_command("client", "list", url=self.answering(*script, (200, {}, b"")))
            self.assertEqual([path for path, _ in self.asked][-1], "/oauth2/revoke")
            self.assertEqual(self.asked[1][1], "Bearer secret-token")

    def test_credentials_are_form_encoded(self) -> None:
        """Id and secret are encoded before they are joined."""
        url = self.answering(TOKEN, (200, JSON, b'{"clients":[]}'))
        self.run_command("client", "list", url=url, OAUTHD_CLIENT_ID="a:b", OAUTHD_CLIENT_SECRET="c d%")
        scheme, _, pair = self.asked[0][1].partition(" ")
        self.assertEqual((scheme, base64.b64decode(pair)), ("Basic", b"a%3Ab:c+d%25"))
