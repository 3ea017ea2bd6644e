"""The workers, as their parent sees them: started, asked, replaced when they die, ended.

A worker is a new interpreter. It gets its listening sockets by descriptor, and all that it has to know by its control
channel: its command line and its environment hold nothing that others may not see. The sockets stay open here, so that
connections which wait at those of a dead worker are served by the one that takes its place.

One process more than needed waits with everything imported, which is most of a start: it takes the place of a worker
that dies.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger, globalLogPublisher
from twisted.python.failure import Failure

from oauthd.runtime.control import Control, attach
from oauthd.runtime.hindrance import CannotStart
from oauthd.runtime.relaying import FINISHED, Lines, event_of

log = Logger(namespace="oauthd")
STEADY = 10.0  # seconds; a worker that lived so long ended a row of failures
LEAST, MOST = 0.25, 5.0  # seconds before a worker that died early is replaced
CLOSING = 5.0  # seconds until every worker has emptied its queue
SPARE = 0  # the number of the process that is no worker yet
MARGIN = 5.0  # seconds that a worker may take to end, besides those for its requests
PRIVATE = ("OAUTHD_", "LISTEN_", "NOTIFY_", "PYTHONPATH")  # variables that are not a worker's


def workers(setting: int | str) -> int:
    """How many a setting asks for; with `auto` one for each core that this process may use."""
    if isinstance(setting, int):
        return setting
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class Parent:
    """All workers of this server.

    :param count: how many.
    :param sockets: the listening sockets of all of them.
    :param orders: what worker NUMBER is started with, a JSON value; they count from 1.
    :param write: takes lines of the log that are finished; None where workers do not make such.
    :ivar replaced: how many have died.
    :ivar command: what a process is started with.
    """

    command: Sequence[str] = (sys.executable, "-P", "-m", "oauthd.runtime.worker")

    def __init__(
        self,
        reactor: Any,
        count: int,
        sockets: Sequence[int],
        orders: Callable[[int], dict[str, Any]],
        write: Callable[[str], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._sockets = sockets
        self._orders = orders
        self.write = write
        self._numbers = range(1, count + 1)
        self._processes: set[_Worker] = set()
        self._spare: _Worker | None = None
        self._workers: dict[int, _Worker] = {}
        self._delays: dict[int, float] = dict.fromkeys(self._numbers, 0.0)
        self._timers: dict[int, IDelayedCall] = {}
        self._starting: Deferred[None] | None = None
        self._leaving = False
        self._stopping = False
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []
        self.replaced = 0

    @property
    def live(self) -> int:
        """How many workers serve."""
        return sum(worker.ready for worker in self._workers.values())

    def start(self) -> Deferred[None]:
        """Start all; fires when each of them serves.

        :returns: fails with `CannotStart` when one of them cannot; then call `kill`.
        :raises CannotStart: as that.
        """
        self._starting = Deferred()
        for number in self._numbers:
            self._assign(number)
        return self._starting

    def ask(self, question: str, seconds: float) -> Deferred[dict[int, Any]]:
        """Ask every worker that serves.

        :param question: one of those that `Serving.answerers` knows.
        :returns: fires with answers by worker number; without those that did not answer in time.
        """
        answers: dict[int, Any] = {}
        asked = []
        for number, worker in self._workers.items():
            if worker.ready:
                answer = worker.control.ask(question).addTimeout(seconds, self._reactor)
                asked.append(answer.addCallbacks(partial(answers.__setitem__, number), lambda _: None))
        return gatherResults(asked).addCallback(lambda _: answers)

    def leave(self) -> None:
        """Let readiness say that this server is about to end."""
        self._leaving = True
        for worker in self._workers.values():
            worker.control.tell("leave")

    async def close(self) -> None:
        """Let the workers take all that waits at their sockets, and accept no more: these can be closed then.

        A worker that is just being replaced is started all the same, for those who wait at its socket.
        """
        self._stopping = True
        for number in self._no_timers():
            self._assign(number)
        if self._spare is not None:
            self._spare.kill()
        for worker in self._workers.values():
            worker.control.tell("stop")
        await self._until(lambda: all(worker.closed for worker in self._workers.values()), CLOSING)

    async def end(self, seconds: float) -> None:
        """Wait until every worker has ended; whoever takes too long is killed.

        :param seconds: how long requests in flight may take.
        """
        await self._until(lambda: not self._processes, seconds + MARGIN)
        for worker in self._workers.values():
            log.error("worker {number} (process {pid}) does not end: killed", number=worker.number, pid=worker.pid)
        await self.kill()

    async def kill(self) -> None:
        """End all workers at once."""
        self._stopping = True
        self._no_timers()
        for worker in self._processes:
            worker.kill()
        await self._until(lambda: not self._processes, MARGIN)

    def _no_timers(self) -> list[int]:
        """Forget what was to be done later; the numbers of the workers that are missing."""
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            timer.cancel()
        return [number for number in timers if number != SPARE]

    def _until(self, condition: Callable[[], bool], seconds: float) -> Deferred[None]:
        """Fires when something is so, or it has taken too long."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append((condition, waiting))
        waiting.addTimeout(seconds, self._reactor).addErrback(lambda _: None)
        self._look()
        return waiting

    def _look(self) -> None:
        waiting, self._waiting = self._waiting, []
        for condition, deferred in waiting:
            if deferred.called:
                continue
            if condition():
                deferred.callback(None)
            else:
                self._waiting.append((condition, deferred))

    # What becomes of them

    def _made(self) -> _Worker:
        worker = _Worker(self)
        worker.spawn(self._reactor, self.command, self._sockets)
        self._processes.add(worker)
        return worker

    def _assign(self, number: int) -> None:
        """Let a process be worker NUMBER."""
        self._timers.pop(number, None)
        try:
            worker, self._spare = self._spare or self._made(), None
        except OSError as problem:
            if self._starting is not None:
                self._starting, self._stopping = None, True
                raise CannotStart(f"worker {number} cannot be started: {problem}") from None
            self._later(number, problem)
            return
        worker.number, worker.since = number, self._reactor.seconds()
        self._workers[number] = worker
        worker.control.tell("start", self._orders(number))
        if self._leaving:
            worker.control.tell("leave")
        if self._stopping:
            worker.control.tell("stop")

    def _keep_spare(self) -> None:
        self._timers.pop(SPARE, None)
        if self._spare is None and not self._stopping:
            try:
                self._spare = self._made()
            except OSError as problem:
                self._later(SPARE, problem)

    def _later(self, number: int, problem: OSError) -> None:
        """Try again: the system lacks something that it may have again."""
        what = f"worker {number}" if number != SPARE else "the process that waits to be a worker"
        log.error("{what} cannot be started: {problem}", what=what, problem=problem)
        if not self._stopping:
            again = self._assign if number != SPARE else lambda _: self._keep_spare()
            self._timers[number] = self._reactor.callLater(MOST, again, number)

    def came(self, worker: _Worker) -> None:
        """It serves."""
        log.info("worker {number} (process {pid}) serves", number=worker.number, pid=worker.pid)
        if self.live == len(self._numbers):
            starting, self._starting = self._starting, None
            if starting is not None:
                starting.callback(None)
            self._keep_spare()  # now there is time for it

    def closed(self) -> None:
        """One has emptied its queue."""
        self._look()

    def ended(self, worker: _Worker, how: str) -> None:
        """Its process is gone."""
        self._processes.discard(worker)
        if worker.number == SPARE:
            self._spare = None
            if not self._stopping:
                log.error("the process that waits to be a worker has ended, {how}", how=how)
                self._timers[SPARE] = self._reactor.callLater(MOST, self._keep_spare)
        else:
            self._missing(worker, how)
        self._look()

    def _missing(self, worker: _Worker, how: str) -> None:
        del self._workers[worker.number]
        starting, self._starting = self._starting, None
        if starting is not None:
            self._stopping = True
            starting.errback(CannotStart(worker.reason or f"worker {worker.number} ended while it started, {how}"))
        elif not self._stopping:
            self._replace(worker, how)

    def _replace(self, worker: _Worker, how: str) -> None:
        number = worker.number
        if worker.ready and self._reactor.seconds() - worker.since > STEADY:
            self._delays[number] = 0.0
        delay = self._delays[number]
        self._delays[number] = min(max(2 * delay, LEAST), MOST)
        self.replaced += 1
        log.error(
            "worker {number} (process {pid}) has ended, {how}; it is replaced {when}",
            number=number,
            pid=worker.pid,
            how=worker.reason or how,
            when=f"in {delay:g} s" if delay else "at once",
        )
        if delay:
            self._timers[number] = self._reactor.callLater(delay, self._assign, number)
        else:
            self._assign(number)


class _Worker(ProcessProtocol):
    """One process.

    :ivar number: it is the how-manieth worker; `SPARE` for none yet.
    :ivar since: when it became one.
    :ivar ready: it serves.
    :ivar closed: it accepts no more.
    :ivar reason: what it said stands in its way.
    """

    transport: IProcessTransport

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self.number = SPARE
        self.since = 0.0
        self.pid = 0
        self.ready = False
        self.closed = False
        self.reason = ""
        self.control = Control(self._heard, lambda: None)
        self._told = {1: Lines(), 2: Lines()}

    def spawn(self, reactor: Any, command: Sequence[str], sockets: Sequence[int]) -> None:
        """Start it.

        :raises OSError: the system lacks something for it.
        """
        near, far = socket.socketpair()
        silence = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        descriptors: dict[int, Any] = {0: silence, 1: "r", 2: "r", 3: far.fileno()}
        descriptors.update(enumerate(sockets, len(descriptors)))
        try:
            process = reactor.spawnProcess(self, command[0], command, _environment(), childFDs=descriptors)
        except OSError:
            near.close()
            raise
        finally:
            os.close(silence)
            far.close()
        self.pid = process.pid
        attach(self.control, reactor, near)

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")

    def _heard(self, word: str, value: Any) -> None:
        if word == "ready":
            self.ready = True
            self._parent.came(self)
        elif word == "failed":
            self.reason = value
        elif word == "closed":
            self.closed = True
            self.ready = False
            self._parent.closed()

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803 - Twisted's names
        """It has written to its log."""
        self._log(childFD, self._told[childFD].take(data))

    def childConnectionLost(self, childFD: int) -> None:  # noqa: N802, N803 - Twisted's names
        """It has written its last."""
        self._log(childFD, self._told[childFD].end())

    def _log(self, descriptor: int, lines: list[bytes]) -> None:
        write = self._parent.write
        for line in lines:
            text = line.decode("utf-8", "replace")
            if descriptor == 1 and write is not None and text.startswith(FINISHED):
                write(text.removeprefix(FINISHED) + "\n")
                continue
            try:
                globalLogPublisher(event_of(text, self.number))
            except ValueError:
                log.error("worker {number}: {text}", number=self.number, text=text)

    def processEnded(self, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        """It is gone, and all that it wrote was read."""
        ended: Any = reason.value
        how = f"by signal {ended.signal}" if ended.signal else f"with status {ended.exitCode}"
        self._parent.ended(self, how)


def _environment() -> dict[str, str]:
    """That of a worker: without our settings, and with the places that we import from."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PRIVATE)}
    return {**kept, "PYTHONPATH": os.pathsep.join(os.path.abspath(place) for place in sys.path)}
