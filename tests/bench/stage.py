"""What is brought up: Valkey, oauthd, and two servers that answer with a constant; and the clients and tokens there.

oauthd runs as a process through twistd, with the source tree that this file is in, or the installed package. Its Valkey
is one of its own, on the load's core, with the settings of the embedded one: on the server's core is the server alone.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import asdict, define, field, frozen

from oauthd.config import Settings
from oauthd.runtime.process import OPTIONS, find_binary
from tests.bench.load import Reading, Wrk
from tests.bench.processes import PATIENCE, Child, Children, Cores
from tests.bench.seed import Seeds
from tests.live.visitor import App, Http, Unreachable, Visitor
from tests.ports import free_port
from tests.valkey import call
from tests.wire import basic

SOURCE = Path(__file__).parents[2]
LIFETIME = 86400  # of tokens: none ends while it is measured
SCOPE = "profile email"
PASSWORD = "correct horse battery staple"
TWISTD = ("-c", "from twisted.scripts.twistd import run; run()", "-n", "oauthd")
USUAL = {"OAUTHD_TOKENS_ACCESS_LIFETIME": str(LIFETIME), "OAUTHD_SERVER_MAX_CONNECTIONS": "2000"}


def setting(section: str, name: str, value: str) -> dict[str, str]:
    """A setting for the environment, where this version of the server has it."""
    found = next((one for one in Settings.__attrs_attrs__ if one.name == section), None)
    part = getattr(Settings(), section, None) if found is not None else None
    return {f"OAUTHD_{section}_{name}".upper(): value} if hasattr(part, name) else {}


USUAL |= setting("limits", "client_rate", "1000000")  # one client asks for all: it is counted, and never refused


@frozen
class Ask:
    """A request as wrk's scripts read it.

    :ivar auth: Basic credentials; None for a client that authenticates otherwise.
    :ivar body: with %s where a token goes.
    :ivar fields: further header fields; %s in them is the same.
    :ivar accept: what is wanted; `content_type`: what is sent.
    """

    path: str
    auth: tuple[str, str] | None
    body: str
    fields: tuple[tuple[str, str], ...] = ()
    accept: str = "application/json"
    content_type: str = "application/x-www-form-urlencoded"

    @property
    def text(self) -> str:
        """What stands in its file."""
        fields = (
            *([("Authorization", basic(*self.auth))] if self.auth else []),
            ("Content-Type", self.content_type),
            ("Accept", self.accept),
            ("User-Agent", "resource-server/1.0"),
            *self.fields,
        )
        return "\n".join((self.path, *(f"{name}: {value}" for name, value in fields), "", self.body))


@define(eq=False)
class Oauthd:
    """One oauthd that serves.

    :ivar store: None where it keeps its own.
    """

    child: Child
    port: int
    data: Path

    @property
    def http(self) -> Http:
        """Speaks to it."""
        return Http("127.0.0.1", self.port)


@define(eq=False)
class Stage:
    """Everything that is up, in one folder."""

    children: Children
    cores: Cores
    folder: Path
    store: Child = field(init=False)
    main: Oauthd = field(init=False)
    visitor: Visitor = field(init=False)
    opaque: App = field(init=False)
    jwt: App = field(init=False)
    resource_server: App = field(init=False)
    _files: int = 0

    @property
    def socket(self) -> str:
        """Valkey's."""
        return str(self.folder / "valkey.sock")

    @property
    def issuer(self) -> str:
        """The issuer of all tokens."""
        return f"http://localhost:{self.main.port}"

    @property
    def wrk(self) -> Wrk:
        """Drives servers."""
        return Wrk(self.children, (self.cores.load,))

    def set_up(self) -> None:
        """Start the store and the server, and register clients."""
        self.store = self.start_store()
        self.main = self.start_oauthd((self.cores.server,))
        credentials = json.loads((self.main.data / "admin-credentials.json").read_text())
        self.visitor = Visitor.of(self.main.http, credentials)
        grants = ["client_credentials", "refresh_token", "password"]
        self.opaque = self.visitor.client("Opaque", grant_types=grants, access_format="opaque")
        self.jwt = self.visitor.client("Signed", grant_types=grants, access_format="jwt")
        self.resource_server = self.visitor.client("Resource server")

    def start_store(self) -> Child:
        """Start Valkey on the load's core."""
        options = dict(OPTIONS, dir=str(self.folder), unixsocket=self.socket)
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        store = self.children.start("valkey", (find_binary(), *words), (self.cores.load,))
        store.wait_until(lambda: _speaks(self.socket))
        return store

    def start_oauthd(self, on: tuple[int, ...], *flags: str, environ: Mapping[str, str] | None = None) -> Oauthd:
        """Start a server on the common store; the second one and later ones speak for the first one's issuer."""
        port, data = free_port(), self.folder / "data"
        issuer = f"http://localhost:{self.main.port if hasattr(self, 'main') else port}"
        if hasattr(self, "main"):
            data = self.folder / f"data-{port}"
            data.mkdir(mode=0o700)
            (data / "master.key").write_bytes((self.folder / "data" / "master.key").read_bytes())
            (data / "master.key").chmod(0o600)
        child = self.children.start(
            "oauthd",
            (
                sys.executable, *TWISTD, "--data", str(data), "--redis", f"unix://{self.socket}",
                "--listen", f"tcp:{port}:interface=127.0.0.1", "--issuer", issuer, *flags,
            ),
            on,
            {"PYTHONPATH": str(SOURCE), **USUAL, **(environ or {})},
        )  # fmt: skip
        oauthd = Oauthd(child, port, data)
        child.wait_until(lambda: serves(port, "/.well-known/openid-configuration"))
        return oauthd

    def start_nginx(self, answer: Answer) -> Served:
        """Start one that returns a constant: a body as long as the answer's, and a head as long as its head."""
        head = 0
        for _ in range(2):  # the first one tells how long its own head is
            port = free_port()
            place = self.file("nginx.conf", _nginx(port, len(answer.body), len(answer.head) - head if head else 0))
            command = ("nginx", "-e", "stderr", "-p", "./", "-c", str(place))
            child = self.children.start("nginx", command, (self.cores.server,))
            child.wait_until(lambda port=port: serves(port, "/"))  # type: ignore[misc]
            if head:
                break
            head = len(answer_of(port, "/x", "POST", {}, b"").head)
            child.end()
        return Served(child, port)

    def start_klein(self, answer: Answer) -> Served:
        """Start a Klein application that gives the same answer."""
        skipped = ("content-length", "date", "server", "transfer-encoding")
        fields = [f"{name}: {value}" for name, value in answer.fields if name.lower() not in skipped]
        place, port = self.file("answer", "\n".join((*fields, "", answer.body.decode()))), free_port()
        command = (sys.executable, "-m", "tests.bench.constant", str(port), str(place))
        child = self.children.start("klein", command, (self.cores.server,), {"PYTHONPATH": str(SOURCE)})
        child.wait_until(lambda: serves(port, "/"))
        return Served(child, port)

    def file(self, name: str, text: str) -> Path:
        """A new file."""
        self._files += 1
        place = self.folder / f"{self._files}.{name}"
        place.write_text(text)
        return place

    def tokens(self, kind: str, count: int, app: App, user_id: str = "", username: str = "") -> Path:
        """New tokens in the store; the file that has them, a line each."""
        place = self.file(f"{kind}.tokens", "")
        seeds = Seeds(
            kind=kind, count=count, socket=self.socket, data=str(self.main.data), issuer=self.issuer, file=str(place),
            client_id=app.client_id, user_id=user_id, username=username, scope=SCOPE, lifetime=LIFETIME,
        )  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.seed"],
            cwd=SOURCE,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            input=json.dumps(asdict(seeds)).encode(),
            timeout=PATIENCE + count / 1000,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"no tokens: {done.stderr.decode()[-3000:]}")
        return place

    def drive(self, server: Served | Oauthd, script: str, *words: str, seconds: float, **more: Any) -> Reading:
        """Drive a server with wrk."""
        return self.wrk.against(server.child, self.store, server.port, script, *words, seconds=seconds, **more)


@frozen(eq=False)
class Served:
    """A server to compare with."""

    child: Child
    port: int


@frozen
class Answer:
    """An HTTP answer, with the bytes of its head."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def head(self) -> bytes:
        """About the bytes before the body: what matters is their number."""
        lines = ("HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in self.fields), "", "")
        return "\r\n".join(lines).encode()


def answer_of(port: int, path: str, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Ask once."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, tuple(response.getheaders()), response.read())


def answer_to(port: int, ask: Ask, token: str = "") -> Answer:
    """Ask as wrk will.

    :raises RuntimeError: for an answer that is no success.
    """
    head, _, body = ask.text.partition("\n\n")
    path, *fields = head.split("\n")
    headers = dict(one.replace("%s", token).split(": ", 1) for one in fields)
    answer = answer_of(port, path, "POST", headers, body.replace("%s", token).encode())
    if answer.status != 200:
        raise RuntimeError(f"{path} answers {answer.status}: {answer.body[:300]!r}")
    return answer


def _nginx(port: int, body: int, padding: int) -> str:
    field = f'add_header X-Pad "{"p" * max(padding - len("X-Pad: ") - 2, 1)}";' if padding else ""
    return f"""
daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit; {"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 512; }}
http {{
  access_log off; server_tokens off; keepalive_timeout 1h; keepalive_requests 1000000000; client_max_body_size 1m;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; {field} return 200 "{"x" * body}"; }}
  }}
}}
"""


def _speaks(socket: str) -> bool:
    try:
        return call(socket, "PING") == b"PONG"
    except OSError:
        return False


def serves(port: int, path: str) -> bool:
    """Is there an answer that is no failure?"""
    try:
        return Http("127.0.0.1", port).get(path, timeout=2.0).status < 500
    except Unreachable:
        return False


