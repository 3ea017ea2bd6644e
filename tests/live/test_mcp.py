"""MCP authorization (release 2026-07-28), the whole chain, with the official SDK on both sides.

A client of that SDK comes to an MCP server without a token, learns from its answer where its metadata are (RFC 9728),
from these which token server it has, from that one's metadata (RFC 8414) what it can do, and then is known by its
document (Client ID Metadata Documents) or registers (RFC 7591). A person signs in (PKCE, `resource`, `iss`), a tool is
called, the token runs out and is refreshed. The MCP server asks the token server about each token (RFC 7662).
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from tests.fetcher.servers import Authority
from tests.live.daemon import until
from tests.live.test_client_libraries import LIBRARIES, LibraryCase
from tests.live.visitor import App, Http, Unreachable, Visitor
from tests.ports import free_port

SCOPE = "notes.read"
REDIRECT = "http://localhost:3118/callback"


class Documents(BaseHTTPRequestHandler):
    """A host of documents."""

    at: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer with one."""
        self.asked.append(self.path)
        body = self.at.get(self.path, b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


class McpTests(LibraryCase):
    """A token server, an MCP server, an MCP client."""

    def setUp(self) -> None:
        """Start the token server, whose issuer is not the host of the documents, and the MCP server."""
        super(LibraryCase, self).setUp()
        authority = Authority.made()
        self.addCleanup(os.unlink, ca_file := authority.file())
        self.publish(authority)
        port = free_port()
        self.server = self.prepared(
            "--issuer",
            f"http://127.0.0.1:{port}",
            listen=f"tcp:{port}:interface=127.0.0.1",
            users_lock_after="1000",
            client_documents_allow="listed",
            client_documents_hosts="localhost",
            fetch_open_hosts="localhost",
            fetch_ca_file=ca_file,
        )
        self.server.port, self.server.http = port, Http("127.0.0.1", port)
        self.server.start()
        self.visitor = Visitor.of(self.server.http, self.server.credentials)
        self.user_id = self.visitor.user()
        self.issuer = f"http://127.0.0.1:{port}"
        self.visitor.api("POST", "/oauth/scopes", {"name": SCOPE, "description": "Read your notes"}, 201)
        self.url = f"http://127.0.0.1:{free_port()}/mcp"
        self.notes = self.visitor.client("Notes", redirect_uris=[], resources=[self.url])
        self.serve(self.notes)

    def publish(self, authority: Authority) -> None:
        """Have a document at a host of its own: without a port in its redirect URI, as coding agents write it."""
        host = ThreadingHTTPServer(("127.0.0.1", 0), Documents)
        self.document = f"https://localhost:{host.server_address[1]}/agent/client.json"
        said = {
            "client_id": self.document,
            "client_name": "Notebook",
            "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        Documents.at = {"/agent/client.json": json.dumps(said).encode()}
        Documents.asked.clear()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(authority))
        host.socket = context.wrap_socket(host.socket, server_side=True)
        thread = threading.Thread(target=host.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(host.server_close)
        self.addCleanup(host.shutdown)

    def certificate(self, authority: Authority) -> str:
        """A file with a key, and a certificate for localhost."""
        path = self.folder / "documents.pem"
        path.write_bytes(authority.vouches_as_text("localhost"))
        return str(path)

    def serve(self, notes: App) -> None:
        """Start the MCP server."""
        program = str(LIBRARIES / "mcp_server.py")
        command = [sys.executable, program, self.issuer, self.url, notes.client_id, notes.secret]
        with (self.folder / "mcp.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.send_signal, signal.SIGKILL)
        http = Http("127.0.0.1", int(self.url.split(":")[2].split("/")[0]))

        def serves() -> bool:
            if process.poll() is not None:
                raise AssertionError((self.folder / "mcp.log").read_text())
            try:
                return http.get("/.well-known/oauth-protected-resource/mcp").status == 200
            except Unreachable:
                return False

        until(serves, "the MCP server serves")

    def go(self, document: str) -> dict[str, Any]:
        """Run the client."""
        command = [sys.executable, str(LIBRARIES / "mcp_client.py"), self.url, REDIRECT, document]
        found = self.run_client(command)
        client_id = found["client_id"]
        self.assertEqual(found["said"], [f"{self.user_id} {client_id}"] * 2)
        self.assertEqual(found["visited"]["resource"], self.url)
        self.assertEqual(found["visited"]["code_challenge_method"], "S256")
        self.assertIn(SCOPE, found["scope"].split())
        self.assertEqual(len(set(found["tokens"])), 2)
        told = self.visitor.introspect(self.notes, found["tokens"][1])
        self.assertEqual((told["active"], told["client_id"]), (True, client_id))
        return found

    def test_document(self) -> None:
        """The client is known by its document, which is fetched once; nothing was registered."""
        found = self.go(self.document)
        self.assertEqual(found["client_id"], self.document)
        self.assertEqual(Documents.asked, ["/agent/client.json"])
        self.assertNotIn("/oauth2/register", self.server.output)

    def test_registration(self) -> None:
        """A client without a document registers."""
        found = self.go("")
        self.assertNotIn("https://", found["client_id"])
        self.assertEqual(Documents.asked, [])

    def test_another_resource(self) -> None:
        """A token for another resource is none for this MCP server, which the token server's answer shows."""
        self.visitor.client("Other", redirect_uris=[], resources=["https://other.example/mcp"])
        machine = self.visitor.client("Machine", grant_types=["client_credentials"])
        http = Http("127.0.0.1", int(self.url.split(":")[2].split("/")[0]))
        for resource, status in (("https://other.example/mcp", 401), (self.url, 406)):  # 406: let in, and says nothing
            asked = {"grant_type": "client_credentials", "scope": SCOPE, "resource": resource}
            token = self.visitor.tokens(machine, **asked)["access_token"]
            self.assertEqual(http.request("POST", "/mcp", bearer=token, json_body={}).status, status, resource)
