"""How often a document is asked for: memory, waiting together, bounds. No socket is needed for that."""

from __future__ import annotations

from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from twisted.web.resource import Resource

from oauthd.config import FetchSettings
from oauthd.fetcher import Fetcher, FetchRefused
from oauthd.fetcher.fetching import _is_of
from oauthd.fetcher.refusal import BUSY
from tests.fetcher.servers import Recording

JSON = ("application/json",)
URL = "https://app.example/jwks"


class _Page(Resource):
    """A document that counts how often it was asked for."""

    isLeaf = True  # noqa: N815

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.code = 200
        self.cache_control = ""

    def render_GET(self, request: Any) -> bytes:
        self.asked += 1
        request.setResponseCode(self.code)
        request.setHeader(b"content-type", b"application/json")
        if self.cache_control:
            request.setHeader(b"cache-control", self.cache_control.encode())
        return b'{"number":%d}' % self.asked


class FetchingCase(SynchronousTestCase):
    """A fetcher with a clock of its own, over a document in memory or over an agent that never answers."""

    def setUp(self) -> None:
        """Make the document."""
        self.page, self.clock = _Page(), Clock()
        self.clock.advance(1_000_000)
        self.fetcher = self.over(RequestTraversalAgent(self.page))

    def over(self, agent: IAgent, **settings: Any) -> Fetcher:
        """A fetcher over an agent."""
        self.fetcher = Fetcher(agent, self.clock, FetchSettings(**settings))
        return self.fetcher

    def get(self, url: str = URL, **more: Any) -> Deferred[bytes]:
        """Ask for it."""
        return ensureDeferred(self.fetcher.get(url, JSON, **more))

    def got(self, url: str = URL, **more: Any) -> bytes:
        """What is there at once."""
        body: bytes = self.successResultOf(self.get(url, **more))
        return body

    def refused(self, waiting: Deferred[bytes]) -> str:
        """Why it was refused, at once."""
        refused: FetchRefused = self.failureResultOf(waiting, FetchRefused).value
        return refused.description


class MemoryTests(FetchingCase):
    """What was fetched is not fetched again."""

    def test_failures_that_count_not(self) -> None:
        """Who wants no failure from memory makes a call each time, and still has documents from memory."""
        self.page.code = 500
        for number in (1, 2):
            self.refused(self.get(failures=False))
            self.assertEqual(self.page.asked, number)
        self.refused(self.get())
        self.assertEqual(self.page.asked, 2)
        self.page.code = 200
        self.assertEqual([self.got(failures=False), self.got(failures=False)], [b'{"number":3}'] * 2)

    def test_suffix(self) -> None:
        """`application/*+json` is every type of that suffix, and no other; the field Accept has other words for it."""
        agent = Recording()
        fetcher = self.over(agent)
        waiting = ensureDeferred(fetcher.get(URL, ("application/json", "application/*+json")))
        self.assertEqual(agent.headers[0].getRawHeaders("accept"), ["application/*;q=0.5, application/json"])
        waiting.addErrback(lambda _: None)
        for media_type, good in (
            ("application/client+json", True), ("application/json", True), ("text/x+json", False),
            ("application/json+x", False), ("application/*+json+xml", False),
        ):  # fmt: skip
            self.assertEqual(_is_of(media_type, ("application/json", "application/*+json")), good, media_type)
        self.assertFalse(_is_of("application/client+json", JSON))

    def test_kept(self) -> None:
        """A document is used as long as it counts, and fetched again afterwards."""
        self.assertEqual([self.got(), self.got()], [b'{"number":1}'] * 2)
        self.clock.advance(61)
        self.assertEqual(self.got(), b'{"number":2}')
        self.assertEqual((self.fetcher.counts.kept, self.fetcher.counts.fetched), (1, 2))

    def test_as_its_host_says(self) -> None:
        """Its host says how long, within our bounds."""
        self.page.cache_control = "max-age=600"
        self.got()
        self.clock.advance(599)
        self.assertEqual(self.got(), b'{"number":1}')
        self.clock.advance(1)
        self.assertEqual(self.got(), b'{"number":2}')

    def test_a_young_one(self) -> None:
        """Who looks for something new gets a document of its own once in a while, and others have it, too."""
        self.page.cache_control = "max-age=3600"
        self.got()
        self.clock.advance(59)
        self.assertEqual(self.got(oldest=60), b'{"number":1}')
        self.clock.advance(1)
        self.assertEqual(self.got(oldest=60), b'{"number":2}')
        self.assertEqual([self.got(oldest=60), self.got()], [b'{"number":2}'] * 2)

    def test_fragments(self) -> None:
        """URLs that differ in their fragments are different documents at one place."""
        self.assertEqual([self.got(URL + "#a"), self.got(URL + "#b"), self.got(URL + "#a")],
                         [b'{"number":1}', b'{"number":2}', b'{"number":1}'])  # fmt: skip

    def test_failures(self) -> None:
        """A failure is remembered briefly, so that many who ask cost one request, and then tried again."""
        self.page.code = 500
        self.assertEqual([self.refused(self.get()) for _ in range(3)], ["was answered with status 500"] * 3)
        self.assertEqual(self.page.asked, 1)
        self.page.code = 200
        self.clock.advance(10)
        self.assertEqual(self.got(), b'{"number":2}')
        self.assertEqual((self.fetcher.counts.failed, self.fetcher.counts.kept), (1, 2))

    def test_what_it_may_be_belongs_to_it(self) -> None:
        """A document that was good enough for one purpose is not taken for another with other content types."""
        self.got()
        other = ensureDeferred(self.fetcher.get(URL, ("application/oauth-authz-req+jwt",)))
        self.assertEqual(self.refused(other), "must have the content type application/oauth-authz-req+jwt")


class TogetherTests(FetchingCase):
    """One request at a time for a document."""

    def setUp(self) -> None:
        """An agent that waits for the test."""
        super().setUp()
        self.agent = Recording()
        self.over(self.agent)

    def test_shared(self) -> None:
        """Those who want the same document wait for one request, and all are told how it ended."""
        waiting = [self.get() for _ in range(5)]
        self.assertEqual(len(self.agent.uris), 1)
        self.assertEqual((self.fetcher.counts.shared, self.fetcher.counts.under_way), (4, 1))
        self.agent.answers[0].errback(ConnectionError())
        self.assertEqual({self.refused(each) for each in waiting}, {"was not answered as HTTP says"})
        self.assertEqual(self.fetcher.counts.under_way, 0)
        self.flushLoggedErrors(ConnectionError)

    def test_one_who_goes_away(self) -> None:
        """Whoever goes away takes the answer from nobody."""
        first, second = self.get(), self.get()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        self.agent.answers[0].errback(FetchRefused("is a test"))
        self.assertEqual(self.refused(second), "is a test")

    def test_one_who_sends_another_away(self) -> None:
        """Not even while they are told, and others of the same document are told all the same."""
        waiting = [self.get() for _ in range(3)]
        waiting[0].addErrback(lambda _: waiting[1].cancel())
        self.agent.answers[0].errback(FetchRefused("is a test"))
        self.failureResultOf(waiting[1], CancelledError)
        self.assertEqual(self.refused(waiting[2]), "is a test")
        self.assertEqual(self.fetcher.counts.under_way, 0)

    def test_in_time(self) -> None:
        """After the time that a fetch may take everybody is told, and the request is given up."""
        given_up: list[str] = []
        self.agent.request = self._never(given_up)  # type: ignore[method-assign]
        waiting = [self.get(), self.get()]
        self.clock.advance(1.9)
        self.assertNoResult(waiting[0])
        self.clock.advance(0.2)
        self.assertEqual({self.refused(each) for each in waiting}, {"was not answered within 2 seconds"})
        self.assertEqual(given_up, ["given up"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def _never(self, given_up: list[str]) -> Any:
        return lambda *_: Deferred(lambda _: given_up.append("given up"))

    def test_an_answer_that_nobody_expects(self) -> None:
        """A mistake of ours is told to the log, and the client's developer that it failed."""
        waiting = self.get()
        self.agent.answers[0].errback(ZeroDivisionError())
        self.assertEqual(self.refused(waiting), "was not answered as HTTP says")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class BoundTests(FetchingCase):
    """How many are fetched at once."""

    def test_of_one_host(self) -> None:
        """A host that is slow keeps few requests, and others are fetched meanwhile."""
        agent = Recording()
        self.over(agent)
        for number in range(4):
            self.get(f"{URL}/{number}")
        self.assertEqual(self.refused(self.get(f"{URL}/5")), BUSY)
        self.assertNoResult(self.get("https://other.example/"))
        self.assertEqual((len(agent.uris), self.fetcher.counts.busy), (5, 1))

    def test_in_all(self) -> None:
        """There is a bound on all of them, and room again when one has ended."""
        agent = Recording()
        self.over(agent, at_once=3)
        waiting = [self.get(f"https://h{number}.example/") for number in range(3)]
        self.assertEqual(self.refused(self.get("https://h3.example/")), BUSY)
        waiting.append(self.get("https://h0.example/"))  # on its way already
        agent.answers[0].errback(FetchRefused("is a test"))
        self.assertEqual([self.refused(waiting[number]) for number in (0, 3)], ["is a test"] * 2)
        self.assertNoResult(self.get("https://h3.example/"))

    def test_nothing_stays(self) -> None:
        """Nothing is kept of a host whose fetches have ended."""
        agent = Recording()
        self.over(agent)
        for number in range(50):
            waiting = self.get(f"https://h{number}.example/")
            agent.answers[-1].errback(FetchRefused("is a test"))
            self.assertEqual(self.refused(waiting), "is a test")
        self.assertEqual((self.fetcher._places, self.fetcher._waiting), ({}, {}))

    def test_a_bad_url_costs_nothing(self) -> None:
        """What is refused by its URL is neither asked for nor remembered."""
        self.assertEqual(self.refused(self.get("http://app.example/")), "is not at an https URL")
        self.assertEqual((self.page.asked, len(self.fetcher._kept)), (0, 0))


class StrangersTests(FetchingCase):
    """What clients that registered themselves can take from others."""

    def setUp(self) -> None:
        """An agent that waits for the test."""
        super().setUp()
        self.agent = Recording()
        self.over(self.agent)

    def named(self, url: str) -> Deferred[bytes]:
        """Ask for what a stranger named."""
        return self.get(url, stranger=True)

    def test_of_all(self) -> None:
        """However many slow hosts strangers name, a half of the fetches is left for others; and theirs come back."""
        waiting = [self.named(f"https://h{number}.example/") for number in range(16)]
        self.assertEqual(self.refused(self.named("https://h16.example/")), BUSY)
        for number in range(16):
            self.assertNoResult(self.get(f"https://ours{number}.example/"))
        self.assertEqual(self.refused(self.get("https://ours16.example/")), BUSY)
        self.agent.answers[0].errback(FetchRefused("is a test"))
        self.assertEqual(self.refused(waiting[0]), "is a test")
        self.assertNoResult(self.named("https://h16.example/"))

    def test_of_one_site(self) -> None:
        """A stranger who has any number of hosts has the fetches of one; who has a host there too is not in his way."""
        for number in range(4):
            self.assertNoResult(self.named(f"https://h{number}.evil.example/"))
        for host in ("h5.evil.example", "evil.example", "a.b.evil.example"):
            self.assertEqual(self.refused(self.named(f"https://{host}/")), BUSY)
        self.assertNoResult(self.named("https://h0.good.example/"))
        for number in range(4):
            self.assertNoResult(self.get(f"https://evil.example/{number}"))

    def test_not_from_memory(self) -> None:
        """What strangers fetch drives nothing of others out of memory, and no failure of theirs is anybody else's."""
        self.over(RequestTraversalAgent(self.page), entries=20)
        self.got()
        for number in range(30):
            self.got(f"{URL}#{number}", stranger=True)
        self.assertEqual(self.got(), b'{"number":1}')
        self.page.code = 500
        self.refused(self.named("https://app.example/other"))
        self.page.code = 200
        self.got("https://app.example/other")

    def test_nothing_stays(self) -> None:
        """Nothing is kept of fetches that have ended."""
        for number in range(40):
            waiting = self.named(f"https://h{number}.example/")
            self.agent.answers[-1].errback(FetchRefused("is a test"))
            self.refused(waiting)
        self.assertEqual((self.fetcher._places, self.fetcher._strangers), ({}, 0))
