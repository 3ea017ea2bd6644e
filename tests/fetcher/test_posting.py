"""What is sent to addresses that clients registered: on real sockets, and within its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from oauthd.config import FetchSettings
from oauthd.fetcher import FetchRefused, Outward, Posting
from oauthd.fetcher.outward import PATIENCE
from oauthd.fetcher.refusal import BUSY, NOBODY
from tests.fetcher.servers import PUBLIC, Host, Recording, reactor
from tests.fetcher.test_outward import LATE, TLS, OutwardCase

URL = "https://app.example/told?to=us"
FORM = "application/x-www-form-urlencoded"


def status(code: int, more: bytes = b"", body: bytes = b"") -> Any:
    """A host that answers with that status."""
    head = b"HTTP/1.1 %d Said\r\n%bContent-Length: %d\r\n\r\n" % (code, more, len(body))
    return lambda host: host.send(head + body)


class SocketTests(OutwardCase):
    """The same way out as that of documents."""

    def posting(self, opened: Sequence[str] = ("app.example", "inner.test"), clock: Any = reactor) -> Posting:
        """What sends, in that world, and is late by that clock."""
        made = self.settings(opened)
        self.network.clock = None if clock is reactor else clock
        return Posting(Outward(self.network, made), clock, made)

    async def not_sent(self, posting: Posting, url: str = URL) -> str:
        """Nobody answers; the reason."""
        try:
            answered = await posting.post(url, b"a=b", FORM)
        except FetchRefused as refused:
            return refused.description
        raise AssertionError(f"the answer was {answered}")

    async def test_sent(self) -> None:
        """The body goes out in one POST with its type and the headers that were asked for, and no others of anybody."""
        host = self.serve(_when_complete)
        self.assertEqual(await self.posting().post(URL, b"a=b", FORM, {"Authorization": "Bearer x"}), 204)
        self.assertEqual(self.network.called, [(PUBLIC, 443)])
        head, _, body = b"".join(host.requests).partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        self.assertEqual((lines[0], body), (b"post /told?to=us http/1.1", b"a=b"))
        for line in (b"content-type: application/x-www-form-urlencoded", b"authorization: bearer x",
                     b"content-length: 3", b"host: app.example", b"accept-encoding: identity"):  # fmt: skip
            self.assertIn(line, lines)
        self.assertEqual([line for line in lines if line.startswith(b"cookie")], [])

    async def test_redirects(self) -> None:
        """No redirect is followed, whatever its status: the answer is that status, and nobody else is called."""
        for code in (301, 302, 303, 307, 308):
            host = self.serve(status(code, b"Location: https://other.example/\r\n"))
            self.assertEqual(await self.posting().post(URL, b"a=b", FORM), code)
            self.assertEqual(len(host.requests), 1)
        self.assertEqual(set(self.names.asked), {"app.example"})

    async def test_inner_addresses(self) -> None:
        """Nobody is called whose name leads into an inner network; nor without https, nor at another port."""
        self.serve(status(200))
        self.names.answers["app.example"] = [("10.0.0.1",)]
        posting = self.posting(())
        self.assertEqual(await self.not_sent(posting), NOBODY)
        self.assertEqual(await self.not_sent(posting, "http://app.example/"), "is not at an https URL")
        self.assertIn("port 22", await self.not_sent(posting, "https://app.example:22/"))
        self.assertEqual(self.network.called, [])

    async def test_certificates(self) -> None:
        """A host with the certificate of another gets nothing."""
        host = self.serve(status(200), "other.example")
        self.assertEqual(await self.not_sent(self.posting()), TLS)
        self.assertEqual(host.requests, [])

    async def test_late(self) -> None:
        """One who takes too long is given up, and so is one who sends his answer drop by drop."""
        answers: tuple[Any, ...] = (lambda host: None, _drop_by_drop)
        for answer in answers:
            host, clock = self.serve(answer), Clock()
            sent = self.posting(clock=clock).post(URL, b"a=b", FORM)
            self.assertEqual(await self.given_up(sent, clock, partial(getattr, host, "requests")), LATE)
            clock.advance(PATIENCE)

    async def test_long_answers(self) -> None:
        """What stands in an answer is not waited for: the status counts, and the connection ends."""
        host = self.serve(_endless)
        self.assertEqual(await self.posting().post(URL, b"a=b", FORM), 200)
        self.assertEqual(len(host.requests), 1)

    async def test_no_http(self) -> None:
        """Who answers something else has not heard us."""
        self.serve(lambda host: host.send(b"hello\r\n\r\n"))
        self.assertEqual(await self.not_sent(self.posting()), "was not answered as HTTP says")
        self.flushLoggedErrors()


def _when_complete(host: Host) -> None:
    """Answer when the body is there, too: it may come in a piece of its own."""
    if not host.factory.requests[-1].endswith(b"a=b"):
        host.said, host.dataReceived = b"", lambda data: _rest(host, data)  # type: ignore[method-assign]
    else:
        host.send(b"HTTP/1.1 204 Done\r\n\r\n")


def _rest(host: Host, data: bytes) -> None:
    host.factory.requests.append(data)
    host.send(b"HTTP/1.1 204 Done\r\n\r\n")


def _drop_by_drop(host: Host) -> None:
    host.send(b"HTTP/1.1 200 OK\r\n")
    host.goes_on(b"x: y\r\n", 0.02)


def _endless(host: Host) -> None:
    host.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    host.goes_on(b"4\r\nmore\r\n", 0.002)


class BoundTests(SynchronousTestCase):
    """How many are sent at once."""

    def setUp(self) -> None:
        """An agent that waits for the test."""
        self.agent, self.clock = Recording(), Clock()
        self.posting = Posting(self.agent, self.clock, FetchSettings(at_once=6, per_host=2))

    def post(self, url: str, **more: Any) -> Deferred[int]:
        """Send."""
        return ensureDeferred(self.posting.post(url, b"", FORM, **more))

    def busy(self, url: str, **more: Any) -> None:
        """It is not sent for now."""
        refused = self.failureResultOf(self.post(url, **more), FetchRefused).value
        self.assertEqual((refused.description, refused.passing), (BUSY, True))

    def test_of_one_host(self) -> None:
        """A slow host holds few, others are sent meanwhile, and there is room again when one has ended."""
        first = self.post("https://a.example/")
        self.post("https://a.example/")
        self.busy("https://a.example/")
        self.assertNoResult(self.post("https://b.example/"))
        self.agent.answers[0].errback(FetchRefused("is a test"))
        self.failureResultOf(first, FetchRefused)
        self.assertNoResult(self.post("https://a.example/"))

    def test_of_all(self) -> None:
        """There is a bound on all, and strangers have a half of it, and those of one site the part of one host."""
        for number in range(2):
            self.post(f"https://h{number}.evil.example/", stranger=True)
        self.busy("https://h3.evil.example/", stranger=True)
        self.post("https://evil.test/", stranger=True)
        self.busy("https://fourth.example/", stranger=True)
        for number in range(3):
            self.assertNoResult(self.post(f"https://ours{number}.example/"))
        self.busy("https://ours3.example/")

    def test_nothing_stays(self) -> None:
        """Nothing is kept of what has ended, well, badly, late or given up by whoever sent it."""
        waiting = [self.post(f"https://h{number}.example/", stranger=number > 1) for number in range(4)]
        self.agent.answers[0].errback(ConnectionError())
        waiting[1].cancel()
        self.clock.advance(3)
        for one in waiting:
            self.failureResultOf(one, FetchRefused, CancelledError)
        self.assertEqual((self.posting._places, self.posting._strangers, self.posting.under_way), ({}, 0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.flushLoggedErrors()
