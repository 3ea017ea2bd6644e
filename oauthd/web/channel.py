"""One connection: twisted.web's channel with every limit and refusal that it lacks by itself.

RFC 9112 (framing) and RFC 9110. A request reaches an endpoint only when its whole head and body were read in one
unambiguous way, within limits of size and of time that a slow sender cannot stretch. Anything else is answered here, by
a short JSON error and the end of the connection, and no endpoint, no file and no error log ever sees it.

Refused: missing, repeated or malformed Host; folded headers; Content-Length together with Transfer-Encoding, or twice;
any transfer coding but `chunked`, and that in HTTP/1.0; bodies, heads and chunk overhead beyond the limits. An `Expect`
other than `100-continue` is ignored, which RFC 9110 section 10.1.1 allows. Trailer fields are read past.

Left to others: what path and parameters say (`parsing`, `reading`). A subclass may answer in `dataReceived` while the
channel is `idle`, and hand everything else to this one.
"""

# ruff: noqa: N802, N815 - names of twisted.web
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from attrs import field, frozen
from twisted.internet.interfaces import IDelayedCall, ISSLTransport, ITCPTransport
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.http_headers import Headers
from twisted.web.server import Request

from oauthd.protocol.errors import (
    CONTENT_TOO_LARGE,
    HEADERS_TOO_LARGE,
    MALFORMED_REQUEST,
    NOT_IMPLEMENTED,
    REQUEST_TIMEOUT,
    TEMPORARILY_UNAVAILABLE,
    URI_TOO_LONG,
    OAuthError,
)
from oauthd.protocol.messages import Response
from oauthd.web import parsing
from oauthd.web.answering import serialized
from oauthd.web.client_certificates import Shown, shown_by
from oauthd.web.errors import json_error

if TYPE_CHECKING:
    from oauthd.web.site import Site


@frozen
class Limits:
    """What one connection may take; sizes in bytes, times in seconds.

    :ivar body: of a request.
    :ivar larger: paths whose requests may have a larger one, and how large that may be.
    :ivar most_larger: how many requests with such a body may be under way at once.
    :ivar head: request line and header fields together.
    :ivar fields: how many header fields.
    :ivar connections: how many may be open at once.
    :ivar head_seconds: from the first byte of a request to the end of its head.
    :ivar body_seconds: from there to the end of its body.
    :ivar idle_seconds: without any byte, between requests.
    :ivar linger_seconds: how long input is read and thrown away after a refusal, so that the sender gets to see it.
    :ivar abort_seconds: after which a closing connection whose peer reads nothing is cut.
    """

    body: int = 65536
    head: int = 16384
    fields: int = 100
    connections: int = 1000
    head_seconds: float = 10.0
    body_seconds: float = 20.0
    idle_seconds: float = 60.0
    linger_seconds: float = 2.0
    abort_seconds: float = 15.0
    larger: Mapping[bytes, int] = field(factory=dict)
    most_larger: int = 32

    @property
    def chunked(self) -> int:
        """Bytes that a chunked body may take on the wire: with chunks of a byte each, six times its size."""
        return 8 * self.body

    def at(self, path: bytes) -> int:
        """The largest body of a request to that path (the target of its first line)."""
        return self.larger.get(path.partition(b"?")[0], self.body) if self.larger else self.body


class WebRequest(Request):
    """A request as twisted.web hands it to resources; parses nothing and keeps its body in memory."""

    defaultContentType = None
    channel: Channel
    content: BytesIO
    _size = 0

    def gotLength(self, length: int | None) -> None:
        """Never a temporary file, which twisted.web takes for long and for chunked bodies."""
        self.content = BytesIO()

    def parseCookies(self) -> None:
        """`Headers.cookie` reads them."""

    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body.

        :raises OAuthError: 413 as soon as there is too much, 503 where too many take as much.
        """
        self._size += len(data)
        if self._size > self.channel.site.limits.body:
            self.channel.is_larger(self._size)
        self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The body has arrived; twisted.web's own parsing of queries and forms, which splits at `;`, is left out."""
        self.content.seek(0)
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        self.args: dict[bytes, list[bytes]] = {}
        self.process()

    def process(self) -> None:
        """Give the request to the one resource of the site."""
        self.site = self.channel.site
        self.setHeader(b"Date", datetimeToString())
        self.prepath, self.postpath = [], [unquote_to_bytes(part) for part in self.path[1:].split(b"/")]
        self.render(self.site.resource)

    def getRequestHostname(self) -> bytes:
        """A constant: Klein binds its routes to the Host, and fails with a trace on names that IDNA refuses."""
        return b"localhost"

    def __repr__(self) -> str:
        return "<WebRequest>"  # the inherited one shows the query, and with it codes


class Channel(HTTPChannel):
    """One connection; see the module. Timers come from the reactor of its site."""

    site: Site
    transport: Any  # TCP, TLS or unix: their interfaces share no type that has all that is used
    requestFactory = WebRequest

    def __init__(self) -> None:
        super().__init__()
        self.refused = False
        self._begun = False  # a request line was read, and the request is not complete
        self._in_body = False
        self._thrown_away = 0
        self._on_the_wire = 0
        self._deadline: IDelayedCall | None = None
        self._linger: IDelayedCall | None = None
        self._shown: Shown | None = None

    @property
    def reading(self) -> bool:
        """Has a request begun to arrive that is not complete?"""
        waits = self.refused or self.paused or self._handlingRequest
        return not waits and (self._begun or bool(self._buffer))

    @property
    def idle(self) -> bool:
        """Is nothing under way on this connection?"""
        return not (self.refused or self.paused or self._handlingRequest or self._begun or self._buffer)

    @property
    def shown(self) -> Shown:
        """What the peer has shown in TLS. Each connection has a handshake of its own, and no second one."""
        if self._shown is None:
            self._shown = shown_by(self.transport)
        return self._shown

    # What arrives

    def connectionMade(self) -> None:
        """Take over the limits of the site, and be known to it."""
        limits = self.site.limits
        self.totalHeadersSize = self.MAX_LENGTH = limits.head
        self.abortTimeout = limits.abort_seconds  # type: ignore[assignment]
        super().connectionMade()
        self.site.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Read on, or throw away what follows a refusal."""
        if self.refused:
            self._thrown_away += len(data)
            if self._thrown_away > self.site.limits.chunked:
                self.loseConnection()
            return
        super().dataReceived(data)
        # Only a request that did not arrive whole needs a timer; it is not set again by further bytes.
        if self.reading and self._deadline is None:
            limits = self.site.limits
            seconds = limits.body_seconds if self._in_body else limits.head_seconds
            self._deadline = self.callLater(seconds, self._too_slow)

    def lineReceived(self, line: bytes) -> None:
        """Read a line of the head."""
        try:
            self._judge(line)
            super().lineReceived(line)
        except OAuthError as error:
            self.refuse(error)

    def rawDataReceived(self, data: bytes) -> None:
        """Read a part of the body, or keep what arrives while a request is being answered."""
        try:
            if self._in_body:
                self._on_the_wire += len(data)
                if self.length is None and self._on_the_wire > 8 * self.site.limits.at(self._path):
                    raise CONTENT_TOO_LARGE("the chunked body takes too many bytes")
            super().rawDataReceived(data)
        except OAuthError as error:
            self.refuse(error)

    def _judge(self, line: bytes) -> None:
        if not self._begun:
            self._begun = bool(line)
        elif line[:1] in (b" ", b"\t"):
            raise MALFORMED_REQUEST("a header is folded")  # RFC 9112 section 5.2
        elif self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            raise HEADERS_TOO_LARGE("the headers are too large")

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line is longer than the whole head may be (RFC 9112 section 3 for the first)."""
        self.refuse((HEADERS_TOO_LARGE if self._begun else URI_TOO_LONG)("the request head is too large"))

    def headerReceived(self, line: bytes) -> bool:
        """Check one field, then let twisted.web keep it."""
        if self._receivedHeaderCount >= self.site.limits.fields:
            raise HEADERS_TOO_LARGE("there are too many headers")
        name, value = parsing.field(line)
        match name.lower():
            case b"content-length":
                self._once()
                if not parsing.content_length(value, self.site.limits.body):
                    self.is_larger(int(value[:18]))
            case b"transfer-encoding":
                self._once()
                if self._version == b"HTTP/1.0":
                    raise MALFORMED_REQUEST("HTTP/1.0 has no Transfer-Encoding")  # RFC 9112 section 6.1
                if value.lower() != b"chunked":
                    raise NOT_IMPLEMENTED("the transfer coding is not understood")  # RFC 9112 section 6.1
        return bool(super().headerReceived(line))

    def is_larger(self, size: int) -> None:
        """The body has more octets than most may have: only some paths take that, and only so many at a time.

        :raises OAuthError: 413, 503.
        """
        limits = self.site.limits
        if size > limits.at(self._path):
            raise CONTENT_TOO_LARGE("the body is too large")
        if len(self.site.larger) >= limits.most_larger and self not in self.site.larger:
            raise TEMPORARILY_UNAVAILABLE("too many large requests are under way")
        self.site.larger.add(self)

    def requestDone(self, request: Any) -> None:
        """The request is answered: nothing of it is kept."""
        self.site.larger.discard(self)
        super().requestDone(request)

    def _once(self) -> None:
        if self._transferDecoder is not None:  # RFC 9112 section 6.3
            raise MALFORMED_REQUEST("Content-Length and Transfer-Encoding are repeated or come together")

    def allHeadersReceived(self) -> None:
        """Judge the head as a whole before a single byte of the body is read or asked for."""
        self._path = parsing.origin_form(self._command, self._path)
        hosts = self.requests[-1].requestHeaders.getRawHeaders(b"Host", [])
        parsing.host(hosts, self._version)
        self._in_body, self._on_the_wire = True, 0
        if self._deadline is not None:
            self._deadline.reset(self.site.limits.body_seconds)
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        """The request is complete."""
        self._begun = self._in_body = False
        self._cancel_deadline()
        super().allContentReceived()

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """May the connection stay open? twisted.web would overlook `close` in a list with commas."""
        values = request.requestHeaders.getRawHeaders(b"Connection", [])
        options = {option.strip(b" \t").lower() for value in values for option in value.split(b",")}
        return version == b"HTTP/1.1" and b"close" not in options

    # What is answered

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers | Any) -> None:
        """Write the head of a response, and say so when it is the last one (RFC 9112 section 9.6)."""
        if self.site.draining:
            self.persistent = False
        if not self.persistent:
            headers.setRawHeaders(b"Connection", [b"close"])
        super().writeHeaders(version, code, reason, headers)

    def refuse(self, error: OAuthError) -> None:
        """Answer a request that will not be read, and close."""
        if self.refused:
            return
        self.refused = True
        self.clearLineBuffer()  # so that the line reader stops here
        self._cancel_deadline()
        self.transport.write(serialized(json_error(error).adding(("Connection", "close"))))
        self.site.access("-", "-", error.kind.status, 0.0)
        # Closing with input unread makes the kernel send a reset, which can destroy the answer before it was read (RFC
        # 9112 section 9.6). So our half is closed at once and the other read to its end. TLS has no half to close.
        self._linger = self.callLater(self.site.limits.linger_seconds, self.loseConnection)
        if ITCPTransport.providedBy(self.transport) and not ISSLTransport.providedBy(self.transport):
            self.transport.loseWriteConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Where twisted.web refuses: the same way out for all."""
        raise MALFORMED_REQUEST("the request is malformed")

    def _too_slow(self) -> None:
        self._deadline = None
        self.refuse(REQUEST_TIMEOUT("the request did not arrive in time"))

    def pauseProducing(self) -> None:
        """The peer does not take its answers: read no further, not even what is here already.

        twisted.web would go on answering all that one read brought, thousands of pipelined requests, into memory. The
        idle time-out bounds how long this lasts.
        """
        self.paused = True
        super().pauseProducing()
        self._networkProducer.pauseProducing()  # also while a request is being answered, which twisted.web leaves out

    def resumeProducing(self) -> None:
        """The peer takes its answers again."""
        self.paused = False
        super().resumeProducing()
        self.dataReceived(b"")

    def taught(self, place: Any, response: Response) -> None:
        """The request that came last was answered; for subclasses that remember what it taught.

        :param place: where.
        """

    # How it ends

    def timeoutConnection(self) -> None:
        """Nothing was sent for a while: close, with nothing to say."""
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close when all is written, and cut the connection if the peer does not take it."""
        if self._abortingCall is None:
            self._abortingCall = self.callLater(self.site.limits.abort_seconds, self.forceAbortClient)
        super().loseConnection()

    def forceAbortClient(self) -> None:
        """Cut the connection."""
        due, self._abortingCall = self._abortingCall, None
        if due is not None and due.active():
            due.cancel()
        self.transport.abortConnection()

    def stop(self) -> None:
        """The time to drain is over: refuse what is half read, cut what is half answered, close the rest."""
        if self.reading:
            self.refuse(TEMPORARILY_UNAVAILABLE("the server is shutting down"))
        elif self.idle:
            self.loseConnection()
        elif not self.refused:
            self.forceAbortClient()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The connection is gone: no timer stays behind."""
        self._cancel_deadline()
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        super().connectionLost(reason)
        self.site.larger.discard(self)
        self.site.closed(self)

    def _cancel_deadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()
