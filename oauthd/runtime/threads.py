"""Pools of threads with a bound on both threads and queue: a full pool refuses at once instead of piling work up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool


class PoolFull(Exception):
    """Every thread is busy and the queue is full; the caller is told to come back (503)."""


@define(eq=False)
class Pool:
    """Runs callables outside the reactor's thread.

    :ivar threads: at most so many at once.
    :ivar queue: at most so many waiting.
    """

    reactor: IReactorFromThreads
    name: str
    threads: int
    queue: int
    _pool: ThreadPool = field(init=False)
    _under_way: int = field(default=0, init=False)
    _stopped: bool = field(default=False, init=False)

    @_pool.default
    def _made(self) -> ThreadPool:
        return ThreadPool(0, self.threads, self.name)

    @property
    def running(self) -> int:
        """How many pieces of work have a thread."""
        return min(self._under_way, self.threads)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return max(self._under_way - self.threads, 0)

    def start(self) -> None:
        """Make the pool ready; threads are started when they are needed."""
        self._pool.start()

    def stop(self) -> None:
        """Refuse what waits, and end the threads after what they are at: blocks as long as that takes."""
        self._stopped = True
        self._pool.stop()

    def __call__(self, work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Run `work(*arguments)` in a thread.

        :raises PoolFull: when there is no room.
        """
        if self._under_way >= self.threads + self.queue:
            raise PoolFull(self.name)
        self._under_way += 1
        return deferToThreadPool(self.reactor, self._pool, self._carry_out, work, *arguments).addBoth(self._done)

    def _carry_out(self, work: Callable[..., Any], *arguments: Any) -> Any:
        if self._stopped:  # a thread pool of Twisted's would still work off its whole queue
            raise PoolFull(self.name)
        return work(*arguments)

    def _done(self, outcome: Any) -> Any:
        self._under_way -= 1
        return outcome
