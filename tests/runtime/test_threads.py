"""A pool with a bound: what does not fit is refused at once, and a stop does not wait for the queue."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from typing import Any
from unittest import skipUnless

from twisted.internet import reactor as installed
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from oauthd.runtime.threads import Pool, PoolFull

reactor: Any = installed


class PoolTests(TestCase):
    """Two threads, and room for one more to wait."""

    def setUp(self) -> None:
        """Make the pool, and hold a gate that work may wait at."""
        self.gate = threading.Event()
        self.running: list[threading.Thread] = []
        self.pool = Pool(reactor, "counted", 2, 1)
        self.addCleanup(self.pool.stop)
        self.addCleanup(self.gate.set)

    def names(self) -> list[str]:
        """Of the threads of the pool that there are."""
        return sorted(one.name for one in threading.enumerate() if one.name.startswith("counted"))

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
        self.assertFalse(self.running[0].is_alive())
        with self.assertRaises(PoolFull):
            pool(self.waits, "too late")

    async def test_as_many_threads_as_needed(self) -> None:
        """No thread is started before there is work, one for work at a time, and never more than are allowed."""
        self.assertEqual(self.names(), [])
        for _ in range(3):
            await self.pool(len, "")
        self.assertEqual(self.names(), ["counted-0"])
        waiting = [self.pool(self.waits, name) for name in "abc"]
        self.assertEqual(self.names(), ["counted-0", "counted-1"])
        self.gate.set()
        self.assertEqual([await one for one in waiting], ["a", "b", "c"])

    async def test_whoever_gives_up(self) -> None:
        """Work that nobody waits for any more keeps its thread until it is done, and is counted as long."""
        waiting = [self.pool(self.waits, name) for name in "abc"]
        waiting[0].addErrback(lambda failure: failure.trap(CancelledError))
        waiting[0].cancel()
        self.assertEqual((self.pool.running, self.pool.waiting), (2, 1))
        with self.assertRaises(PoolFull):
            self.pool(self.waits, "d")
        self.gate.set()
        self.assertEqual([await one for one in waiting[1:]], ["b", "c"])
        while self.pool.running:  # its thread may be the last to be heard of
            await deferLater(reactor, 0.01)
        self.assertEqual(self.pool.waiting, 0)

    async def test_nothing_is_kept(self) -> None:
        """A thread that waits holds neither its last work nor what that was given, which may be a password."""
        given, work = Given(), Given()
        gone: list[Deferred[None]] = []
        for one in (given, work):
            gone.append(Deferred())
            weakref.finalize(one, reactor.callFromThread, gone[-1].callback, None)
        await self.pool(work, given)
        del given, work, one
        for each in gone:
            await each  # for ever, where it is kept

    test_nothing_is_kept.timeout = 10  # type: ignore[attr-defined]


class Given:
    """Something that can be watched going, and called."""

    def __call__(self, other: object) -> None:
        """Do nothing."""


@skipUnless(sys.platform == "linux", "threads have a niceness of their own only on Linux")
class NicenessTests(TestCase):
    """How threads let others go first."""

    def pool(self, niceness: int) -> Pool:
        """A pool of one thread."""
        pool = Pool(reactor, "tests", 1, 1, niceness)
        self.addCleanup(pool.stop)
        return pool

    async def test_nicer(self) -> None:
        """A thread, and one that it starts, are nicer than the reactor's, which stays as it is."""
        before = niceness()
        self.assertEqual(await self.pool(7)(in_another_thread), [min(before + 7, 19)])
        self.assertEqual(await self.pool(7)(niceness), min(before + 7, 19))
        self.assertEqual(niceness(), before)

    async def test_as_nice(self) -> None:
        """Where nothing is said threads are as the process is; where too much is, as nice as it gets."""
        self.assertEqual(await self.pool(0)(niceness), niceness())
        self.assertEqual(await self.pool(99)(niceness), 19)


def niceness() -> int:
    """Of the thread that asks."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def in_another_thread() -> list[int]:
    """The niceness of a thread that is started here."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(niceness()))
    thread.start()
    thread.join()
    return found
