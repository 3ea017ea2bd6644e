"""Pools of threads with a bound on both threads and queue: a full pool refuses at once instead of piling work up.

Everything that a thread does between its waits and its slow work it does with Python's lock in hand, and the reactor
stands still. So that is little: no logging context, no bookkeeping; Twisted's own pool does more. And a thread that
loses its core at that moment keeps the lock: what hashes for long on many threads must not be what takes the core.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

NICEST = 19
_Task = tuple["Deferred[Any]", Callable[..., Any], tuple[Any, ...]]


class PoolFull(Exception):
    """Every thread is busy and the queue is full; the caller is told to come back (503)."""


@define(eq=False)
class Pool:
    """Runs callables outside the reactor's thread, in threads that are started when they are needed.

    :ivar threads: at most so many at once.
    :ivar queue: at most so many waiting.
    :ivar niceness: by how much the threads, and those that they start in turn, let everything else go first.
    """

    reactor: IReactorFromThreads
    name: str
    threads: int
    queue: int
    niceness: int = 0
    _tasks: SimpleQueue[_Task | None] = field(factory=SimpleQueue, init=False, repr=False)
    _made: list[threading.Thread] = field(factory=list, init=False, repr=False)
    _under_way: int = field(default=0, init=False)
    _stopped: bool = field(default=False, init=False)

    @property
    def running(self) -> int:
        """How many pieces of work have a thread."""
        return min(self._under_way, self.threads)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return max(self._under_way - self.threads, 0)

    def stop(self) -> None:
        """Refuse what waits, and end the threads after what they are at: blocks as long as that takes."""
        self._stopped = True
        for _ in self._made:
            self._tasks.put(None)
        for thread in self._made:
            thread.join()

    def __call__(self, work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Run `work(*arguments)` in a thread.

        :raises PoolFull: when there is no room, or no more work is taken.
        """
        if self._stopped or self._under_way >= self.threads + self.queue:
            raise PoolFull(self.name)
        self._under_way += 1
        if len(self._made) < self.running:
            thread = threading.Thread(target=self._take, name=f"{self.name}-{len(self._made)}")
            self._made.append(thread)
            thread.start()
        outcome: Deferred[Any] = Deferred()
        self._tasks.put((outcome, work, arguments))
        return outcome

    def _take(self) -> None:
        _give_way(self.niceness)
        while (task := self._tasks.get()) is not None:
            self._carry_out(*task)
            del task  # passwords among them

    def _carry_out(self, outcome: Deferred[Any], work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        try:
            if self._stopped:
                raise PoolFull(self.name)
            result = work(*arguments)
        except BaseException:  # whatever it is, somebody waits for it
            result = Failure()
        self.reactor.callFromThread(self._done, outcome, result)

    def _done(self, outcome: Deferred[Any], result: Any) -> None:
        self._under_way -= 1
        outcome.callback(result)


def _give_way(niceness: int) -> None:
    """Make this thread nicer than it is. Only on Linux: elsewhere there is a niceness of processes alone."""
    if niceness and sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            nicer = min(os.getpriority(os.PRIO_PROCESS, thread) + niceness, NICEST)
            os.setpriority(os.PRIO_PROCESS, thread, nicer)
