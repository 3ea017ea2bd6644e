"""A process watches itself: the event loop's delay, its queues, and the word for what keeps its store away."""

from __future__ import annotations

from threading import Event
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from oauthd.metrics import Counts, LoopCounts
from oauthd.runtime.threads import Pool
from oauthd.runtime.watching import OFTEN, WINDOW, LoopProbe, Watch, of_pool, reason

reactor: Any = _reactor


class LoopTests(SynchronousTestCase):
    """The probe of the event loop."""

    def setUp(self) -> None:
        """A probe whose timers and whose clock a test moves apart."""
        self.timers, self.late, self.counts = Clock(), 0.0, LoopCounts()
        self.probe = LoopProbe(self.timers, self.counts, lambda: self.timers.seconds() + self.late)
        self.probe.start()
        self.addCleanup(lambda: self.assertEqual(self.timers.getDelayedCalls(), []))
        self.addCleanup(self.probe.stop)

    def pass_by(self, late: float = 0.0) -> None:
        """Let a timer be called, so much later than it was due."""
        self.late += late
        self.timers.advance(OFTEN)

    def test_delays(self) -> None:
        """Each look counts how late it came; a timer in time counts as no delay."""
        for late in (0.0, 0.003, 0.3):
            self.pass_by(late)
        self.assertEqual(self.counts.delay.count, 3)
        self.assertAlmostEqual(self.counts.delay.total, 0.303)
        self.assertAlmostEqual(self.counts.largest, 0.3)

    def test_the_largest_is_forgotten(self) -> None:
        """The largest delay is that of the last minute or two, not of all time."""
        self.pass_by(0.5)
        for _ in range(int(WINDOW / OFTEN)):
            self.pass_by()
        self.assertAlmostEqual(self.counts.largest, 0.5)
        for _ in range(2 * int(WINDOW / OFTEN)):
            self.pass_by()
        self.assertAlmostEqual(self.counts.largest, 0.0)

    def test_stopped(self) -> None:
        """Stopped, it looks no more; stopping again does nothing."""
        self.probe.stop()
        self.probe.stop()
        self.timers.advance(10 * OFTEN)
        self.assertEqual(self.counts.delay.count, 0)


class QueueTests(TestCase):
    """Pools of threads."""

    async def test_queue(self) -> None:
        """Work beyond the number of threads waits, and is counted until it is done."""
        pool, gate = Pool(reactor, "signing", 2, 8), Event()
        self.addCleanup(pool.stop)
        facts = of_pool(pool)
        self.assertEqual((facts.waiting(), facts.running()), (0, 0))
        work = []
        for expected in ((0, 1), (0, 2), (1, 2), (2, 2)):
            work.append(pool(gate.wait))
            self.assertEqual((facts.waiting(), facts.running()), expected)
        gate.set()
        await gatherResults(work)
        self.assertEqual((facts.waiting(), facts.running()), (0, 0))


class ReasonTests(SynchronousTestCase):
    """Why a store is away, in a word."""

    def test_words(self) -> None:
        """States have their names; of how the store is reached nothing is told."""
        for why, word in (
            ("it answers LOADING to PING", "loading"),
            ("it answers WRONGPASS to AUTH", "wrongpass"),
            ("no reply within 1 s", "silent"),
            ("it is a replica", "replica"),
            ("connecting failed: ConnectionRefusedError", "unreachable"),
            ("connecting failed: no sentinel of 10.0.0.1 answers", "unreachable"),
            ("the connection was closed", "unreachable"),
        ):
            self.assertEqual(reason(why), word)


class BornTests(SynchronousTestCase):
    """Telling processes apart."""

    def test_each_is_another(self) -> None:
        """Two that have the same number one after the other are told apart."""
        self.assertNotEqual(Watch(Counts()).told()["born"], Watch(Counts()).told()["born"])
