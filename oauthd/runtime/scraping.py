"""`/metrics`: a listener of its own, behind which stands this process or, with workers, all of them.

It is a site like the other one, with the same limits on what is sent to it, and serves one path. It is there as long as
the server is: while requests drain it still tells of them. Whoever reaches it may read it; where that is, is for
`metrics.listen` to say.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from attrs import define, field
from prometheus_client.exposition import gzip_accepted
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as WebRequest

from oauthd.metrics import Counts
from oauthd.metrics.merging import Ledger, Samples, alone
from oauthd.runtime.exposition import page
from oauthd.runtime.listening import Door, Listening, bind
from oauthd.runtime.parent import Parent
from oauthd.runtime.watching import Watch, of_process
from oauthd.web.channel import Limits
from oauthd.web.shield import Shield
from oauthd.web.site import Site

log = Logger(namespace="oauthd")
PATH = b"/metrics"
PATIENCE = 2.0  # seconds that a worker may take to answer
LIMITS = Limits(body=1024, connections=64)

Figures = Callable[[], Awaitable[tuple[Samples, int]]]
"""Gives the merged figures, and how many processes serve."""


def of_one(counts: Counts) -> Figures:
    """The figures of a process that serves alone."""
    watch = Watch(counts)

    async def read() -> tuple[Samples, int]:
        return alone(watch.read()), 1

    return read


def of_workers(parent: Parent) -> Figures:
    """The figures of all workers, and what the system tells of the process that looks after them."""
    ledger = Ledger()

    async def read() -> tuple[Samples, int]:
        merged = ledger.add_up(await parent.ask("metrics", PATIENCE))
        for name, value in of_process().items():
            if name in merged:
                merged[name]["parent",] = value
        return merged, parent.live

    return read


class MetricsPage(Resource):
    """GET and HEAD of `/metrics`; anything else is 404."""

    isLeaf = True  # noqa: N815 - a name of twisted.web

    def __init__(self, figures: Figures) -> None:
        super().__init__()
        self._figures = figures

    def render(self, request: WebRequest) -> bytes | int:
        """Answer a request."""
        request.responseHeaders.setRawHeaders(b"Server", [b"oauthd"])
        request.setHeader(b"Cache-Control", b"no-store")
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        if request.path != PATH or request.method not in (b"GET", b"HEAD"):
            return _text(request, 404, b"there is nothing but GET /metrics\n")
        work = ensureDeferred(self._answer(request))
        request.notifyFinish().addErrback(lambda _: work.cancel())
        work.addErrback(self._failed, request)
        return NOT_DONE_YET

    async def _answer(self, request: WebRequest) -> None:
        samples, workers = await self._figures()
        body, media_type = page(samples, workers, request.getHeader("accept") or "")
        request.setHeader(b"Content-Type", media_type.encode("ascii"))
        request.setHeader(b"Vary", b"Accept, Accept-Encoding")
        if gzip_accepted(request.getHeader("accept-encoding") or ""):
            body = gzip.compress(body, 1)
            request.setHeader(b"Content-Encoding", b"gzip")
        request.setHeader(b"Content-Length", b"%d" % len(body))
        request.write(body)
        request.finish()

    def _failed(self, failure: Failure, request: WebRequest) -> None:
        if request.finished or request._disconnected:
            return
        log.failure("the metrics could not be told", failure=failure)
        request.write(_text(request, 500, b"the metrics could not be told\n"))
        request.finish()


def _text(request: WebRequest, status: int, body: bytes) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


@define(eq=False)
class Scraping:
    """The listeners of those who collect metrics."""

    reactor: Any
    door: Door = field(factory=Door)
    _listening: list[Listening] = field(factory=list)

    def bind(self, endpoints: Iterable[str]) -> None:
        """Listen, and accept nothing yet.

        :raises CannotStart: with the endpoint and the reason.
        """
        for text in endpoints:
            self._listening.append(bind(self.reactor, text, self.door))

    def open(self, figures: Figures) -> None:
        """Begin to tell."""
        shield = Shield(self.reactor, lambda failure: None)
        self.door.site = Site(MetricsPage(figures), shield, self.reactor, LIMITS)
        for listening in self._listening:
            listening.open()
            log.info("metrics are at {endpoint}", endpoint=listening.text)

    async def close(self) -> None:
        """End: nobody waits for figures of a server that has ended."""
        for listening in self._listening:
            await listening.close()
        if self.door.site is not None:
            drained: Deferred[None] = self.door.site.drain(0.0, grace=0.0)
            await drained
