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
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from oauthd.metrics import Counts
from oauthd.metrics.merging import Ledger, Samples, alone
from oauthd.protocol.messages import Response
from oauthd.runtime.exposition import page
from oauthd.runtime.listening import Door, Listening, bind
from oauthd.runtime.parent import Parent
from oauthd.runtime.watching import Watch, of_process
from oauthd.web.channel import Limits
from oauthd.web.metrics import Asked, MetricsPage
from oauthd.web.shield import Shield
from oauthd.web.site import Site

log = Logger(namespace="oauthd")
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
        merged["oauthd_workers_replaced_total"] = {(): parent.replaced}
        return merged, parent.live

    return read


def asked(figures: Figures) -> Asked:
    """What gives the page of these figures, in the form and the encoding that a collector can read."""

    async def answer(accept: str, encodings: str) -> Response:
        body, media_type = page(*await figures(), accept)
        fields = [("Content-Type", media_type), ("Vary", "Accept, Accept-Encoding"), ("Cache-Control", "no-store")]
        if gzip_accepted(encodings):
            body = gzip.compress(body, 1)
            fields.append(("Content-Encoding", "gzip"))
        return Response(200, tuple(fields), body)

    return answer


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
        self.door.site = Site(MetricsPage(asked(figures)), shield, self.reactor, LIMITS)
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
