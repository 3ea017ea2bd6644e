"""A process watches itself: how late its event loop is, what the system says of it, why its store is away.

Nothing here is done while a request is served: a timer four times a second, the rest when somebody asks.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field
from prometheus_client import ProcessCollector
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from oauthd.endpoints.health import Condition
from oauthd.metrics import Counts, LoopCounts, PoolFacts
from oauthd.metrics.merging import snapshot
from oauthd.runtime.threads import Pool
from oauthd.stores.connection import RedisConnection

OFTEN = 0.25  # seconds between two looks at the event loop
WINDOW = 60.0  # seconds; the largest delay is that of this window and the one before

_SYSTEM = ProcessCollector(registry=None)
_STATE = re.compile(r"it answers ([A-Z]+)")


@define(eq=False)
class LoopProbe:
    """Sets a timer again and again, and counts how late it is called.

    :ivar clock: monotonic seconds: the wall clock may be set.
    :ivar told: told of each delay, in seconds.
    """

    reactor: IReactorTime
    counts: LoopCounts
    clock: Callable[[], float] = time.monotonic
    told: Callable[[float], object] | None = None
    _timer: IDelayedCall | None = None
    _due: float = 0.0
    _window_ends: float = 0.0
    _largest: float = 0.0  # of this window
    _before: float = 0.0  # of the one before

    def start(self) -> None:
        """Begin."""
        self._window_ends = self.clock() + WINDOW
        self._again()

    def stop(self) -> None:
        """End; no timer stays behind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        self._due = self.clock() + OFTEN
        self._timer = self.reactor.callLater(OFTEN, self._look)

    def _look(self) -> None:
        now = self.clock()
        late = max(now - self._due, 0.0)
        if now >= self._window_ends:
            self._window_ends, self._before, self._largest = now + WINDOW, self._largest, 0.0
        self._largest = max(self._largest, late)
        self.counts.delay.observe(late)
        if self.told is not None:
            self.told(late)
        self.counts.largest = max(self._largest, self._before)
        self._again()


def of_process() -> Mapping[str, float]:
    """What the system tells of this process, by the names of the metrics."""
    return {sample.name: float(sample.value) for metric in _SYSTEM.collect() for sample in metric.samples}


@define(eq=False)
class Watch:
    """What one process knows of itself, when somebody asks."""

    counts: Counts
    born: str = field(factory=lambda: f"{os.getpid()} {time.time_ns()}")

    def told(self) -> Any:
        """A snapshot of all counts, a value of JSON."""
        return snapshot(self.read(), self.born)

    def read(self) -> Counts:
        """All counts, with what the system has to say."""
        self.counts.process = of_process()
        return self.counts


def of_pool(pool: Pool) -> PoolFacts:
    """The queue of a pool of threads."""
    return PoolFacts(lambda: pool.waiting, lambda: pool.running)


def condition(connection: RedisConnection, stopping: Callable[[], bool]) -> Condition:
    """What readiness tells of a process."""
    return Condition(lambda: "" if connection.available else reason(connection.why), stopping)


def reason(why: str) -> str:
    """The reason for which a store is away, in a word: nothing of how it is reached."""
    state = _STATE.search(why)
    if state is not None:
        return state[1].lower()
    if why.startswith("no reply"):
        return "silent"
    return "replica" if "replica" in why else "unreachable"
