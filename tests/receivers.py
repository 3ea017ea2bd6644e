"""Clients that are told things: addresses that take what is posted to them, and answer as the test says."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse
from zope.interface import implementer


@frozen
class Heard:
    """What came."""

    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))


@implementer(IAgent)
@define(eq=False, slots=False)
class Receiver:
    """Every address there is.

    :ivar answers: statuses, by turns; the last one goes on. None: no answer, ever. An exception: no connection.
    """

    answers: list[int | Exception | None] = field(factory=lambda: [200])
    heard: list[Heard] = field(factory=list)

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None  # noqa: N803
    ) -> Deferred[IResponse]:
        """Hear, and answer."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return ensureDeferred(self._answered(answer, uri.decode(), headers, bodyProducer))

    async def _answered(self, answer: int | Exception | None, url: str, headers: Headers, body: Any) -> IResponse:
        if isinstance(answer, Exception):
            raise answer
        sent = _Sent()
        await body.startProducing(sent)
        said = {name.decode().lower(): values[0].decode() for name, values in headers.getAllRawHeaders()}
        self.heard.append(Heard(url, said, b"".join(sent.pieces)))
        if answer is None:
            await Deferred()
        response: IResponse = _Response(answer)  # type: ignore[assignment, arg-type]  # as much of one as is looked at
        return response


@define(eq=False)
class _Sent:
    pieces: list[bytes] = field(factory=list)

    def write(self, data: bytes) -> None:
        self.pieces.append(data)


@define(eq=False, slots=False)
class _Response:
    code: int
    headers: Headers = field(factory=lambda: Headers({"location": ["https://elsewhere.example/"]}))
    length: int = 0

    def deliverBody(self, protocol: Any) -> None:
        protocol.makeConnection(StringTransport())
        protocol.connectionLost(Failure(ResponseDone()))
