"""The fast lane: requests that say again what was said before are answered without being read again.

A resource server sends the same header block with each request. The ordinary path is the only one that parses,
authenticates and decides; what it answered comes with a lesson (`oauthd.protocol.messages.Lesson`), and the memo finds
that lesson by the bytes of the block, of the body around one parameter, and the facts of the connection. A known
request is answered from memory at once; else by the endpoint's own code, without Klein. Anything else, anything odd,
partial or pipelined, goes the ordinary way.

Straight to the socket only where the transport is Twisted's own for TCP or unix sockets, and has nothing queued. Over
TLS `writeSomeData` would reach the socket past the encryption.
"""

# ruff: noqa: N802 - names of twisted.web
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.tcp import Server as TCPServer
from twisted.internet.unix import Server as UNIXServer
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString
from twisted.web.http_headers import Headers

from oauthd.metrics import LaneCounts
from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.messages import Lesson, Response
from oauthd.web.answering import AccessLog, fields, serialized
from oauthd.web.channel import Channel, Limits
from oauthd.web.client_certificates import asks
from oauthd.web.memo import NEVER, Facts, Memo, Taught, around, is_asserted, is_clean
from oauthd.web.readers import Readers

_STRAIGHT = (TCPServer, UNIXServer)
LONGEST_PARAMETER = 16384  # bytes of the value that may differ
READ = 16384  # bytes at a time
NEVER_AGAIN = -1  # the size of no request


class Place(Protocol):
    """Where requests of a row are answered, for those that the lane asks.

    :ivar path: of the row.
    :ivar introspects: is a POST here a question about a token? Answers are counted by that.
    """

    path: str
    introspects: bool

    def finished(self, outcome: Response | Failure) -> Response:
        """The response as this row sends it."""
        ...


@define(eq=False)
class Lane:
    """What the channels of a process share.

    :ivar clock: wall-clock seconds, for the date in answers.
    :ivar trusts: is this peer a proxy whose forwarded headers count?
    :ivar readers: reads the connections; None where the reactor does.
    :ivar never: fields whose blocks are never remembered, besides those that never are.
    :ivar asked: told of each request that took a look into the store: method, path, status, seconds.
    :ivar heard: told of each answer from memory in the same way; None where nobody wants to know.
    """

    limits: Limits
    clock: Callable[[], float]
    trusts: Callable[[IAddress], bool]
    asked: AccessLog
    readers: Readers | None = None
    heard: AccessLog | None = None
    counts: LaneCounts = field(factory=LaneCounts)
    never: frozenset[bytes] = frozenset()
    _memos: dict[Facts, Memo] = field(factory=dict)
    _dated: bytes = b""
    _date_until: float = 0.0

    def memo(self, facts: Facts) -> Memo:
        """What is remembered for connections like this."""
        memo = self._memos.get(facts)
        if memo is None:
            limits = self.limits
            memo = Memo(facts, limits.fields, limits.head, limits.body, NEVER | self.never)
            self._memos[facts] = memo
        return memo

    def dated(self, now: float) -> bytes:
        """Status line and date of an answer 200, made anew each second."""
        if now >= self._date_until or now < self._date_until - 1:
            self._date_until = int(now) + 1.0
            self._dated = b"HTTP/1.1 200 OK\r\nDate: %b\r\n" % datetimeToString(now)
        return self._dated

    def learn(self, memo: Memo, head: bytes, body: bytes, place: Place, response: Response) -> None:
        """Remember what a response taught."""
        lesson = response.lesson
        if lesson is None or response.status != 200 or not lesson.holds():
            return
        sides = around(body, lesson.parameter)
        if sides is None or is_asserted(body):
            return
        if memo.learn(head, len(body), Taught(lesson, *sides, place, _fields(response))):
            self.counts.learned += 1
            self.counts.blocks = sum(one.blocks for one in self._memos.values())


def _fields(response: Response) -> bytes:
    """The fields of a head as twisted.web would write them after the date, up to the value of Content-Length."""
    pairs = fields(response)
    headers = Headers()
    for name, value in pairs:
        headers.addRawHeader(name, value)
    lines = [b"%b: %b\r\n" % (name, value) for name, values in headers.getAllRawHeaders() for value in values]
    return b"".join(lines[:-1]) + b"Content-Length: "


class LaneChannel(Channel):
    """A connection that knows the lane."""

    lane: Lane
    _way: Taught | None

    def connectionMade(self) -> None:
        """Find out what kind of connection it is."""
        super().connectionMade()
        facts = Facts(self.isSecure(), self.lane.trusts(self.transport.getPeer()))
        # Whoever may show a certificate is not known by the bytes of a request alone.
        self._memo = Memo(facts, 0, 0, 0) if facts.secure and asks(self.transport) else self.lane.memo(facts)
        self._straight = type(self.transport) in _STRAIGHT
        if self._straight:
            self.transport.bufferSize = READ  # a buffer of 64 KiB for each read costs more than most requests
            if self.lane.readers is not None:
                self.lane.readers.take(self.transport)
        # What the last request on the lane began with, all its bytes, and what it was taught by: most say it again.
        self._opening, self._total, self._way = b"", NEVER_AGAIN, None
        # Head and body of a request that came whole: of the one to be read next, and of the one that is being answered.
        self._came: tuple[bytes, bytes] | None = None
        self._request: tuple[bytes, bytes] | None = None
        self._blank = False
        self._taught: Taught | None = None  # the one that is being asked
        self._began = 0.0
        self._timer_set = 0.0
        self._coarse = min(1.0, self.site.limits.idle_seconds / 10)  # to set a timer again costs more than to send
        self._gone = False

    def dataReceived(self, data: bytes) -> None:
        """Answer what is known at once; let the ordinary path read the rest."""
        # What else could be under way begins in the ordinary path, which ends this.
        if len(data) == self._total and data.startswith(self._opening) and not (self._handlingRequest or self.paused):
            if self._way is not None and self._answer(self._way, data[len(self._opening) :]):
                return
        elif not (
            self._handlingRequest or self._begun or self._buffer or self.refused or self.paused or self._blank
        ):
            end = data.find(b"\r\n\r\n")
            if end > 0:
                head = data[:end]
                known = self._memo.heads.get(head)
                if known is None and data.startswith(b"POST "):
                    known = self._memo.second_chance(head)
                if known is not None:
                    block, length = known
                    body = data[end + 4 :]
                    if len(body) == length and self._ride(block.taught, head, body):
                        block.hot = True
                        return
                self._came = (head, data[end + 4 :]) if data.startswith(b"POST ") else None
            else:
                self._came = None
        self._total = NEVER_AGAIN
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """Read a line of the head; the request after an empty one is read on the ordinary path, which counts these."""
        self._blank = not line and not self._begun
        super().lineReceived(line)

    def allContentReceived(self) -> None:
        """The request is complete: from here on nothing else can take what is learned for its own."""
        self._request, self._came = self._came, None
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """The request is answered: nothing of it is kept."""
        self._request = None
        super().requestDone(request)

    def _ride(self, ways: list[Taught], head: bytes, body: bytes) -> bool:
        """Answer by what was taught; False where that does not tell."""
        for way in ways:
            if not (body.startswith(way.prefix) and body.endswith(way.suffix) and len(body) >= way.shortest):
                continue
            if self._answer(way, body[len(way.prefix) : len(body) - len(way.suffix)]):
                if not way.suffix:
                    self._way, self._opening = way, b"%b\r\n\r\n%b" % (head, way.prefix)
                    self._total = len(head) + 4 + len(body)
                return True
        self.lane.counts.passed += 1
        return False

    def _answer(self, way: Taught, value: bytes) -> bool:
        """Answer from memory, or ask; False where neither is possible."""
        lane = self.lane
        if self.site.draining:
            return False
        answer = way.lesson.recall(value)
        if answer is None:
            if not self._may_ask(way.lesson, value):
                return False
            self._ask(way, value)
            return True
        now = lane.clock()
        self._send(b"%b%b%d\r\n\r\n%b" % (lane.dated(now), way.fields, len(answer), answer))
        if now - self._timer_set > self._coarse or now < self._timer_set:
            self._timer_set = now
            self.resetTimeout()
        if answer is INACTIVE:
            lane.counts.inactive += 1
        else:
            lane.counts.hits += 1
        if lane.heard is not None:
            lane.heard("POST", way.place.path, 200, 0.0)
        return True

    def _send(self, wire: bytes) -> None:
        transport = self.transport
        if self._straight and not (transport.dataBuffer or transport._tempDataBuffer or transport.disconnecting):
            # As `writeSomeData` does, which would wrap it for more than it costs.
            try:
                sent = transport.socket.send(wire)
            except OSError:  # nothing goes, or nothing ever will: the reactor meets it too, and knows what to do
                sent = 0
            if sent == len(wire):
                return
            wire = wire[sent:]
        transport.write(wire)

    # what takes a look into the store

    def _may_ask(self, lesson: Lesson, value: bytes) -> bool:
        # Without a parameter that may differ, nothing does.
        as_it_is = is_clean(value) if lesson.parameter else not value
        return as_it_is and len(value) <= LONGEST_PARAMETER and lesson.holds()

    def _ask(self, taught: Taught, value: bytes) -> None:
        self._handlingRequest = True  # what arrives meanwhile is kept, as for any request
        self.line_mode = 0
        self._taught, self._began = taught, self.lane.clock()
        self.site.shield.began()
        answered = partial(self._answered, taught)
        try:
            is_told = taught.tell is not None and taught.tell(value, answered)
        except Exception:  # answered like one that comes later: else nobody is, and a drain waits for it
            answered(Failure())
            return
        if not is_told:
            asked: Any = taught.lesson.ask(value)
            ensureDeferred(asked).addBoth(answered)

    def _answered(self, taught: Taught, outcome: bytes | Response | Failure) -> None:
        lane, self._taught = self.lane, None
        self.site.shield.ended()
        now = lane.clock()
        if isinstance(outcome, Response) and outcome.status == 200:
            outcome = outcome.body
        if isinstance(outcome, bytes):
            wire = b"%b%b%d\r\n\r\n%b" % (lane.dated(now), taught.fields, len(outcome), outcome)
            status = 200
            if taught.place.introspects:
                lane.counts.misses += 1
            else:
                lane.counts.issued += 1
        else:
            response = taught.place.finished(outcome)
            status = response.status
            wire = self._whole(response, now)
        lane.asked("POST", taught.place.path, status, now - self._began)
        if self._gone:
            return
        if self.site.draining:
            wire = wire.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        self._send(wire)
        self._go_on(now)

    def _whole(self, response: Response, now: float) -> bytes:
        date = ("Date", datetimeToString(now).decode("ascii"))
        return serialized(Response(response.status, (date, *response.headers), response.body))

    def _go_on(self, now: float) -> None:
        """Read on, what arrived meanwhile first."""
        if self.site.draining:
            self.loseConnection()  # and answer nothing more: what still arrives is not read
            return
        self._handlingRequest = False
        if now - self._timer_set > self._coarse or now < self._timer_set:
            self._timer_set = now
            self.resetTimeout()
        self.line_mode = 1
        if self._dataBuffer:
            data, self._dataBuffer = b"".join(self._dataBuffer), []
            if not self._waitingForTransport:
                self._networkProducer.resumeProducing()
            self.dataReceived(data)

    def taught(self, place: Place, response: Response) -> None:
        """The ordinary path has answered the request that came last."""
        request, self._request = self._request, None
        if request is not None and response.lesson is not None:
            self.lane.learn(self._memo, *request, place, response)

    def timeoutConnection(self) -> None:
        """A request that is being asked has a time-out of its own: that of the store."""
        if self._taught is not None:
            self.setTimeout(self.site.limits.idle_seconds)
        else:
            super().timeoutConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The connection is gone."""
        self._gone = True
        super().connectionLost(reason)
