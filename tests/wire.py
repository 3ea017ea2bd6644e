"""HTTP without sockets: a request goes through the real channel of the real site, on a transport in memory.

Unlike a stub of the client library this passes the project's own channel with its limits, and each request says from
which address it comes. One connection a request, closed by the server when the answer is out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from attrs import define, field, frozen
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransportWithDisconnection

from oauthd.web.site import Site

Pairs = Mapping[str, str] | Iterable[tuple[str, str]]
HERE = "127.0.0.1"


@frozen
class Form:
    """A form of a page: where it posts to, what it carries, and the values of its `decision` buttons."""

    action: str
    fields: dict[str, str] = field(factory=dict)
    decisions: list[str] = field(factory=list)


@frozen
class Answer:
    """One response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The only field of that name, "" for none."""
        values = [value for key, value in self.headers if key == name.lower()]
        if len(values) > 1:
            raise AssertionError(f"{name} was sent {len(values)} times")
        return values[0] if values else ""

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The error code of a JSON body, "" for none."""
        return str(self.json().get("error", "")) if self.header("content-type") == "application/json" else ""

    @property
    def location(self) -> str:
        """Where it redirects to."""
        return self.header("location")

    @property
    def redirected(self) -> dict[str, str]:
        """The parameters of the redirect; none of them is there twice."""
        pairs = parse_qsl(urlsplit(self.location).query, keep_blank_values=True, strict_parsing=True)
        if len(dict(pairs)) != len(pairs):
            raise AssertionError("a parameter of the redirect is repeated")
        return dict(pairs)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it sets, name to value; "" for one that it drops."""
        found = (value.split(";")[0].partition("=") for name, value in self.headers if name == "set-cookie")
        return {name: value for name, _, value in found}

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def forms(self) -> list[Form]:
        """The forms of the page."""
        parser = _Forms()
        parser.feed(self.text)
        return parser.forms


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(named["action"]))
        elif tag == "input" and self.forms:
            self.forms[-1].fields[named["name"]] = named.get("value", "")
        elif tag == "button" and self.forms and named.get("name") == "decision":
            self.forms[-1].decisions.append(named["value"])


class _Transport(StringTransportWithDisconnection):
    def __init__(self, source: str) -> None:
        super().__init__(IPv4Address("TCP", HERE, 8000), IPv4Address("TCP", source, 40000))
        self.ended: Deferred[bytes] = Deferred()

    def loseConnection(self) -> None:
        if self.connected:
            super().loseConnection()
            self.ended.callback(self.value())

    abortConnection = loseConnection  # noqa: N815 - a name of Twisted


def basic(client_id: str, secret: str) -> str:
    """The field of HTTP Basic as RFC 6749 section 2.3.1 wants it."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def encoded(parameters: Pairs) -> str:
    """Parameters as a query or a form carries them."""
    return urlencode(list(parameters.items() if isinstance(parameters, Mapping) else parameters))


@define
class Http:
    """Sends requests to a site.

    :ivar site: the real one.
    """

    site: Site

    async def request(
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
        source: str = HERE,
    ) -> Answer:
        """Send one request and wait for its answer."""
        asked = encoded(query)
        if asked:
            target += f"{'&' if '?' in target else '?'}{asked}"
        fields = [("Host", "localhost:8000"), ("Connection", "close"), *headers]
        body = b""
        if form is not None:
            fields.append(("Content-Type", "application/x-www-form-urlencoded"))
            body = encoded(form).encode()
        elif json_body is not None:
            fields.append(("Content-Type", "application/json"))
            body = json.dumps(json_body).encode()
        if basic_auth is not None:
            fields.append(("Authorization", basic(*basic_auth)))
        if bearer:
            fields.append(("Authorization", f"Bearer {bearer}"))
        if body or method in ("POST", "PUT"):
            fields.append(("Content-Length", str(len(body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        return await self.raw(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body, source)

    async def raw(self, data: bytes, source: str = HERE) -> Answer:
        """Send bytes as they are; the answer that came before the connection ended."""
        transport = _Transport(source)
        channel = self.site.buildProtocol(IPv4Address("TCP", source, 40000))
        transport.protocol = channel
        channel.makeConnection(transport)
        channel.dataReceived(data)
        return _answer(await transport.ended)


def _answer(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    fields = tuple((name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines))
    length = dict(fields).get("content-length")
    if length is not None and len(body) not in (0, int(length)):
        raise AssertionError("the body has another length than announced")
    return Answer(int(line.split()[1]), fields, body)
