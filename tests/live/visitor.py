"""Those who visit a server: plain HTTP, a browser that keeps cookies and sends forms, and what they do there.

Everything blocks. Of a connection nothing is kept between requests, unless a `Line` is opened.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from attrs import define, field, frozen

from tests.wire import Answer, Form, Pairs, basic, encoded

PATIENCE = 30.0  # seconds for an answer
REDIRECT = "https://app.example/cb"
PASSWORD = "correct horse battery"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS = ("authorization_code", "refresh_token", "client_credentials", "password", DEVICE_GRANT)


class Unreachable(Exception):
    """There was no answer."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@frozen
class Http:
    """A server, by TCP, TLS or unix socket.

    :ivar tls: verifies the server's certificate; None for no TLS.
    :ivar path: of a unix socket; then host and port mean nothing.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    path: str = ""

    def connection(self, timeout: float = PATIENCE) -> http.client.HTTPConnection:
        """A connection, not yet open."""
        if self.path:
            return _UnixConnection(self.path, timeout)
        if self.tls is not None:
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def request(self, method: str, target: str, **more: Any) -> Answer:
        """One request on a connection of its own; see `Line.request`."""
        with closing(self.line(more.pop("timeout", PATIENCE))) as line:
            return line.request(method, target, **more)

    def line(self, timeout: float = PATIENCE) -> Line:
        """A connection that stays open."""
        return Line(self.connection(timeout))

    def get(self, target: str, **more: Any) -> Answer:
        """GET."""
        return self.request("GET", target, **more)

    def post(self, target: str, form: Pairs, **more: Any) -> Answer:
        """POST a form."""
        return self.request("POST", target, form=form, **more)

    def raw(self) -> socket.socket:
        """A plain TCP connection."""
        return socket.create_connection((self.host, self.port), timeout=PATIENCE)


@frozen
class Line:
    """One connection, used for one request after the other."""

    connection: http.client.HTTPConnection

    def request(self, method: str, target: str, **more: Any) -> Answer:
        """Send a request, as `ask` does, and read its answer.

        :raises Unreachable: when there is none.
        """
        self.ask(method, target, **more)
        return self.answer()

    def ask(
        self,
        method: str,
        target: str,
        *,
        query: Pairs = (),
        form: Pairs | None = None,
        json_body: Any = None,
        headers: Iterable[tuple[str, str]] = (),
        basic_auth: tuple[str, str] | None = None,
        bearer: str = "",
    ) -> None:
        """Send a request."""
        if asked := encoded(query):
            target += f"{'&' if '?' in target else '?'}{asked}"
        fields, body = dict(headers), None
        if form is not None:
            fields["Content-Type"], body = "application/x-www-form-urlencoded", encoded(form).encode()
        elif json_body is not None:
            fields["Content-Type"], body = "application/json", json.dumps(json_body).encode()
        if basic_auth is not None:
            fields["Authorization"] = basic(*basic_auth)
        if bearer:
            fields["Authorization"] = f"Bearer {bearer}"
        try:
            self.connection.request(method, target, body, fields)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{type(error).__name__} {error}") from error

    def answer(self) -> Answer:
        """Read the answer to what was asked."""
        try:
            response = self.connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{type(error).__name__} {error}") from error
        found = tuple((name.lower(), value) for name, value in response.getheaders())
        return Answer(response.status, found, content)

    def close(self) -> None:
        """Close it."""
        self.connection.close()


@define
class Browser:
    """A browser: keeps cookies, follows redirects on this server, sends forms.

    :ivar seen: every cookie value and form token that it was ever given.
    """

    http: Http
    cookies: dict[str, str] = field(factory=dict)
    seen: set[str] = field(factory=set)

    @property
    def cookie(self) -> tuple[str, str]:
        """The header field that it sends."""
        return ("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))

    def send(self, method: str, target: str, **more: Any) -> Answer:
        """One request, nothing followed."""
        answer = self.http.request(method, target, headers=[self.cookie] if self.cookies else [], **more)
        self.cookies |= answer.cookies
        self.cookies = {name: value for name, value in self.cookies.items() if value}
        self.seen.update(self.cookies.values())
        if answer.header("content-type").startswith("text/html"):
            self.seen.update(form.fields["csrf"] for form in answer.forms if "csrf" in form.fields)
        return answer

    def open(self, target: str, query: Pairs = ()) -> Answer:
        """GET, and follow redirects as long as they stay here."""
        return self.follow(self.send("GET", target, query=query))

    def follow(self, answer: Answer) -> Answer:
        """Follow redirects as long as they stay here."""
        for _ in range(10):
            if answer.status != 303 or not answer.location.startswith("/"):
                return answer
            answer = self.send("GET", answer.location)
        raise AssertionError("redirects go round in circles")

    def press(self, page: Answer, decision: str = "", **fields: str) -> Answer:
        """Send the form that has this button, and follow."""
        form = form_of(page, decision)
        pressed = {"decision": decision} if decision else {}
        return self.follow(self.send("POST", form.action, form=form.fields | fields | pressed))

    def finish(self, answer: Answer, username: str, password: str) -> Answer:
        """Go through all pages, agreeing, until the answer leads away or no form is left."""
        answer = self.follow(answer)
        for _ in range(6):
            if answer.status != 200 or not answer.forms:
                return answer
            first = form_of(answer)
            if "password" in first.fields:
                answer = self.press(answer, "login", login=username, password=password)
            elif "user_code" in first.fields:
                answer = self.press(answer)
            else:
                answer = self.press(answer, "allow")
        raise AssertionError("the pages have no end")


def form_of(page: Answer, decision: str = "") -> Form:
    """The form of a page that has this button."""
    for form in page.forms:
        if not decision or decision in form.decisions:
            return form
    raise AssertionError(f"the page (status {page.status}) has no form with {decision or 'a field'}")


@frozen
class App:
    """A registered client and its secret."""

    client_id: str
    secret: str

    @property
    def auth(self) -> tuple[str, str]:
        """What it authenticates with."""
        return (self.client_id, self.secret)


@define
class Visitor:
    """An administrator who makes clients and users, and what these then do."""

    http: Http
    admin: App
    token: str = ""

    @classmethod
    def of(cls, server: Http, credentials: dict[str, str]) -> Visitor:
        """The first administrator's client, with a token."""
        admin = App(credentials["client_id"], credentials["client_secret"])
        visitor = cls(server, admin)
        visitor.token = visitor.tokens(admin, grant_type="client_credentials", scope="admin")["access_token"]
        return visitor

    def api(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """A call of the admin API; the decoded answer."""
        answer = expect(self.http.request(method, f"/api/v1{path}", json_body=body, bearer=self.token), status)
        return answer.json() if answer.body else None

    def client(self, name: str = "App", **members: Any) -> App:
        """Register a confidential client."""
        body = {"name": name, "redirect_uris": [REDIRECT], "grant_types": list(GRANTS), **members}
        made = self.api("POST", "/oauth/clients", body, 201)
        return App(made["client_id"], made.get("client_secret", ""))

    def user(self, username: str = "alice", password: str = PASSWORD, **members: Any) -> str:
        """Make a user; its id."""
        body = {"username": username, "password": password, "email": f"{username}@example.com", **members}
        made: dict[str, str] = self.api("POST", "/users", body, 201)
        return made["user_id"]

    def tokens(self, app: App, **form: str) -> dict[str, Any]:
        """A token request that must succeed."""
        found: dict[str, Any] = expect(self.http.post("/oauth2/token", form, basic_auth=app.auth)).json()
        return found

    def introspect(self, app: App, token: str) -> dict[str, Any]:
        """What the server says of a token."""
        answer = self.http.post("/oauth2/introspect", {"token": token}, basic_auth=app.auth)
        found: dict[str, Any] = expect(answer).json()
        return found

    def is_active(self, app: App, token: str) -> bool:
        """Is the token good?"""
        return bool(self.introspect(app, token)["active"])

    def code(self, browser: Browser, app: App, username: str = "alice", password: str = PASSWORD, **more: str) -> str:
        """An authorization code, by way of whatever pages stand in between."""
        asked = {"response_type": "code", "client_id": app.client_id, "redirect_uri": REDIRECT} | more
        answer = browser.finish(browser.send("GET", "/oauth2/authorize", query=asked), username, password)
        return expect(answer, 303).redirected["code"]

    def redeem(self, app: App, code: str, **more: str) -> dict[str, Any]:
        """Tokens for a code."""
        return self.tokens(app, grant_type="authorization_code", code=code, redirect_uri=REDIRECT, **more)


def expect(answer: Answer, status: int = 200) -> Answer:
    """The answer, if it has this status."""
    if answer.status != status:
        raise AssertionError(f"{answer.status} instead of {status}: {answer.body[:500]!r}")
    return answer
