"""`/metrics` as collectors read it: the library's own parsers find in the page what was counted."""

# mypy: allow-untyped-calls

from __future__ import annotations

import gzip
from typing import Any

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import TestCase

from oauthd import __version__
from oauthd.metrics import Counts, PoolFacts
from oauthd.metrics.counts import ANSWER_BOUNDS
from oauthd.metrics.families import FAMILIES, WHOLE
from oauthd.metrics.merging import Samples, alone
from oauthd.runtime.exposition import page
from oauthd.runtime.scraping import LIMITS, asked, of_one, of_workers
from oauthd.runtime.watching import Watch
from oauthd.web.metrics import MetricsPage
from oauthd.web.shield import Shield
from oauthd.web.site import Site
from tests.wire import Answer, Http

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def busy() -> Counts:
    """The counts of a process in which each metric has a series."""
    counts = Counts()
    counts.requests.count("GET", "/a/<b>", 200, 0.004)
    counts.requests.count("GET", "/a/<b>", 200, 7.0)
    counts.events.issued["password"] = 3
    counts.pools["signing"] = PoolFacts(lambda: 1, lambda: 2)
    counts.proof.age = lambda: 0.125
    return counts


def found_in(text: str, parser: Any = text_string_to_metric_families) -> dict[tuple[str, tuple[str, ...]], float]:
    """The samples of a page by name and sorted labels."""
    samples = (sample for family in parser(text) for sample in family.samples)
    return {
        (sample.name, tuple(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for sample in samples
    }


class Asked:
    """Stands for the parent of workers, whose answers a test gives."""

    def __init__(self) -> None:
        self.answers: dict[int, Any] = {}
        self.replaced = 1

    @property
    def live(self) -> int:
        """How many there are."""
        return 2

    def ask(self, question: str, seconds: float) -> Deferred[dict[int, Any]]:
        """Ask them."""
        assert (question, seconds > 0) == ("metrics", True)
        answer: Deferred[dict[int, Any]] = Deferred()
        answer.callback(self.answers)
        return answer


class PageTests(TestCase):
    """The text."""

    def test_every_family(self) -> None:
        """Every metric of the table is in the page, with its type and help, in both formats."""
        samples = alone(Watch(busy()).read())
        plain, media_type = page(samples, 1)
        self.assertEqual(media_type, "text/plain; version=0.0.4; charset=utf-8")
        open_, media_type = page(samples, 1, OPENMETRICS)
        self.assertIn("application/openmetrics-text", media_type)
        for text, parser in (
            (plain.decode(), text_string_to_metric_families),
            (open_.decode(), openmetrics.text_string_to_metric_families),
        ):
            families = {family.name: family for family in parser(text)}
            for family in (*FAMILIES, *WHOLE):
                told = families[family.name.removesuffix("_total")]
                self.assertEqual((told.type, told.documentation), (family.kind, family.help), family.name)
                self.assertTrue(told.samples, family.name)

    def test_values(self) -> None:
        """Values are as counted; buckets are added up, and the last one holds all."""
        found = found_in(page(alone(busy()), 3)[0].decode())
        request = ("endpoint=/a/<b>", "status=200")
        bucket = "oauthd_http_request_seconds_bucket"
        steps = [found[bucket, (request[0], f"le={bound}", request[1])] for bound in map(float, ANSWER_BOUNDS)]
        self.assertEqual(steps, [1.0 if bound >= 0.005 else 0.0 for bound in ANSWER_BOUNDS])
        self.assertEqual(found[bucket, (request[0], "le=+Inf", request[1])], 2)
        self.assertEqual(found["oauthd_http_request_seconds_count", request], 2)
        self.assertAlmostEqual(found["oauthd_http_request_seconds_sum", request], 7.004)
        self.assertEqual(found["oauthd_tokens_issued_total", ("grant_type=password",)], 3)
        self.assertEqual(found["oauthd_pool_waiting", ("pool=signing", "worker=0")], 1)
        self.assertEqual(found["oauthd_proof_age_seconds", ("worker=0",)], 0.125)
        self.assertEqual(found["oauthd_workers", ()], 3)
        self.assertEqual(found["oauthd_workers_replaced_total", ()], 0)
        build = next(labels for name, labels in found if name == "oauthd_build_info")
        self.assertIn(f"version={__version__}", build)

    def test_of_the_process(self) -> None:
        """What the system tells of this process is there: it has memory, open files and a beginning."""
        found = found_in(page(alone(Watch(Counts()).read()), 1)[0].decode())
        for name in ("process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"):
            self.assertGreater(found[name, ("worker=0",)], 0)


class ListenerTests(TestCase):
    """The listener."""

    def setUp(self) -> None:
        """A site that tells of one process."""
        self.counts = busy()
        self.http = self.site(of_one(self.counts))

    def site(self, figures: Any) -> Http:
        """A site over these figures."""
        clock = Clock()
        return Http(Site(MetricsPage(asked(figures)), Shield(clock, lambda failure: None), clock, LIMITS))

    async def get(self, *headers: tuple[str, str]) -> Answer:
        """The page."""
        return await self.http.request("GET", "/metrics", headers=headers)

    async def test_get(self) -> None:
        """GET gives the page as it is at that moment, and nobody keeps it."""
        before = found_in((await self.get()).text)
        self.counts.events.issued["password"] += 1
        answer = await self.get()
        self.assertEqual((answer.status, answer.header("content-type")), (200, page({}, 1)[1]))
        self.assertEqual(answer.header("cache-control"), "no-store")
        issued = "oauthd_tokens_issued_total", ("grant_type=password",)
        self.assertEqual((before[issued], found_in(answer.text)[issued]), (3, 4))

    async def test_head(self) -> None:
        """HEAD gives the head alone."""
        answer = await self.http.request("HEAD", "/metrics")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertGreater(int(answer.header("content-length")), 1000)

    async def test_negotiated(self) -> None:
        """A collector that knows OpenMetrics gets it; one that can unpack gets it packed."""
        answer = await self.get(("Accept", OPENMETRICS))
        self.assertTrue(answer.text.endswith("# EOF\n"))
        self.assertIn("openmetrics", answer.header("content-type"))
        answer = await self.get(("Accept-Encoding", "gzip"))
        self.assertEqual(answer.header("content-encoding"), "gzip")
        self.assertIn("oauthd_workers 1.0", gzip.decompress(answer.body).decode())

    async def test_nothing_else(self) -> None:
        """Any other path or method is 404: nothing of the server itself can be reached here."""
        for method, path in (
            ("GET", "/"),
            ("GET", "/metrics/"),
            ("GET", "/health/ready"),
            ("GET", "/oauth2/jwks"),
            ("POST", "/metrics"),
            ("OPTIONS", "/metrics"),
        ):
            self.assertEqual((await self.http.request(method, path)).status, 404, f"{method} {path}")

    async def test_failure(self) -> None:
        """Figures that cannot be had are 500, with the reason in the log alone."""

        async def broken() -> tuple[Samples, int]:
            raise RuntimeError("of nobody's concern")

        answer = await self.site(broken).request("GET", "/metrics")
        self.assertEqual((answer.status, answer.text), (500, "the metrics could not be told\n"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_workers(self) -> None:
        """With workers the page has the sums, each one's gauges, and those of the process that looks after them."""
        parent: Any = Asked()
        first, second = Watch(busy(), "a"), Watch(busy(), "b")
        parent.answers = {1: first.told(), 2: second.told()}
        self.http = self.site(of_workers(parent))
        found = found_in((await self.get()).text)
        self.assertEqual(found["oauthd_tokens_issued_total", ("grant_type=password",)], 6)
        self.assertEqual(found["oauthd_workers", ()], 2)
        self.assertEqual(found["oauthd_workers_replaced_total", ()], 1)
        for worker in ("1", "2", "parent"):
            self.assertGreater(found["process_resident_memory_bytes", (f"worker={worker}",)], 0)
        parent.answers = {1: first.told(), 2: Watch(busy(), "c").told()}
        found = found_in((await self.get()).text)
        self.assertEqual(found["oauthd_tokens_issued_total", ("grant_type=password",)], 9, "a replaced one counts on")

    async def test_collectors_that_do_not_wait(self) -> None:
        """A collector that hangs up ends the work for it, and nothing is logged."""
        waiting: Deferred[Any] = Deferred()

        async def slow() -> tuple[Samples, int]:
            await waiting
            return {}, 1

        transport = StringTransportWithDisconnection()
        channel = self.site(slow).site.buildProtocol(None)
        transport.protocol = channel
        channel.makeConnection(transport)
        channel.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertFalse(waiting.called)
        transport.loseConnection()
        self.assertTrue(waiting.called)
        self.assertEqual(transport.value(), b"")
