"""A pool with a bound: what does not fit is refused at once, and a stop does not wait for the queue."""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from oauthd.runtime.threads import Pool, PoolFull

reactor: Any = installed


class PoolTests(TestCase):
    """Two threads, and room for one more to wait."""

    def setUp(self) -> None:
        """Start the pool, and hold a gate that work may wait at."""
        self.gate = threading.Event()
        self.running: list[threading.Thread] = []
        self.pool = Pool(reactor, "tests", 2, 1)
        self.pool.start()
        self.addCleanup(self.pool.stop)
        self.addCleanup(self.gate.set)

    def waits(self, value: str) -> str:
        """Work that waits at the gate."""
        self.running.append(threading.current_thread())
        self.gate.wait()
        return value

    async def test_outcome(self) -> None:
        """What the work returns or raises is the outcome, and it runs elsewhere."""
        self.assertEqual(await self.pool(lambda a, b: a + b, "a", "b"), "ab")
        self.assertIsNot(await self.pool(threading.current_thread), threading.current_thread())
        with self.assertRaises(ZeroDivisionError):
            await self.pool(lambda: 1 / 0)

    async def test_full(self) -> None:
        """What finds no room is refused at once; when something is done there is room again, also after a failure."""
        waiting = [self.pool(self.waits, name) for name in "abc"]
        with self.assertRaises(PoolFull):
            self.pool(self.waits, "d")
        self.gate.set()
        self.assertEqual([await one for one in waiting], ["a", "b", "c"])
        for _ in range(4):
            with self.assertRaises(ZeroDivisionError):
                await self.pool(lambda: 1 / 0)
        self.assertEqual(await self.pool(self.waits, "d"), "d")

    async def test_stop(self) -> None:
        """A stop ends what runs, and refuses what waits without carrying it out."""
        pool = Pool(reactor, "tests", 1, 9)
        pool.start()
        begun: Deferred[None] = Deferred()

        def first() -> str:
            reactor.callFromThread(begun.callback, None)
            return self.waits("first")

        running, waiting = pool(first), [pool(self.waits, name) for name in "abc"]
        await begun
        threading.Timer(0.05, self.gate.set).start()  # `stop` blocks this thread
        pool.stop()
        self.assertEqual(await running, "first")
        for one in waiting:
            with self.assertRaises(PoolFull):
                await one
        self.assertEqual(len(self.running), 1)
