"""What a worker does from its parent's first word to its end. The words:

- `start` (parent): number, settings, data folder, sockets; answered by `ready`, or by `failed` with the reason.
- `leave` (parent): readiness says from now on that this server is about to end; everything is still served.
- `stop` (parent): take what waits in the queue, accept no more, say `closed`, finish what is in flight, and end.

Without its parent a worker finishes what takes no time, and ends.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from typing import Any

from attrs import define, field
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import FilteringLogObserver, Logger, globalLogBeginner
from twisted.python.failure import Failure

from oauthd.config import Settings
from oauthd.config.passing import received
from oauthd.runtime.control import Control, attach
from oauthd.runtime.data import DataFolder
from oauthd.runtime.hindrance import HINDRANCES
from oauthd.runtime.listening import Door, Listening, adopt
from oauthd.runtime.logs import levels, output_to
from oauthd.runtime.relaying import Relay
from oauthd.runtime.serving import Serving

log = Logger(namespace="oauthd")
CONTROL = 3  # the descriptor of the channel to the parent
SOCKETS = 4  # that of the first listening socket
ORPHAN = 1.0  # seconds that requests may take when the parent is gone


@define(eq=False)
class Worker:
    """One worker's life.

    :ivar number: it is the how-manieth, from 1; 0 before it is told.
    :ivar status: what the process ends with.
    """

    number: int = 0
    reactor: Any = global_reactor
    status: int = 1
    serving: Serving | None = None
    _control: Control = field(init=False)
    _listening: list[Listening] = field(factory=list)
    _started: bool = False
    _told_to_stop: bool = False
    _ending: bool = False
    _over: bool = False
    _alone: bool = False

    def __attrs_post_init__(self) -> None:
        self._control = Control(self._heard, self._orphaned)

    def attach(self, end: socket.socket) -> None:
        """Listen to the parent."""
        attach(self._control, self.reactor, end)

    def _heard(self, word: str, value: Any) -> None:
        if word == "start":
            ensureDeferred(self._start(value)).addErrback(self._failed)
        elif word == "leave" and self.serving is not None:
            self.serving.stopping = True
        elif word == "stop":
            self._told_to_stop = True
            if self._started:
                self._stop()

    async def _start(self, orders: dict[str, Any]) -> None:
        self.number = orders["worker"]
        settings = received(orders["settings"])
        relay = _log_to_parent(settings)
        self.serving = serving = Serving(
            settings,
            DataFolder(orders["data"]),
            self.reactor,
            orders["embedded"],
            first=False,
            write=relay.finished if orders["writes_lines"] else None,
            worker=self.number,
        )
        self._control.answerers = serving.answerers
        door = Door()
        door.site = await serving.start()
        for one in orders["listeners"]:
            descriptor = SOCKETS + one["socket"]
            listening = adopt(self.reactor, one["endpoint"], descriptor, one["files"], door, one["asks"])
            self._listening.append(listening)
        for number in range(orders["sockets"]):
            os.close(SOCKETS + number)
        self._started = True
        self._control.tell("ready")
        if self._told_to_stop:  # what waits for this worker is served all the same
            self._stop()

    def _failed(self, failure: Failure) -> None:
        if failure.check(*HINDRANCES):
            reason = failure.getErrorMessage()
        else:
            log.failure("the worker cannot start", failure=failure)
            reason = f"worker {self.number} failed: {type(failure.value).__name__}"
        self._control.tell("failed", reason)
        self._end()

    def _orphaned(self) -> None:
        """The channel is closed: by the parent's end, or because all is told."""
        self._alone = True
        if self._over:
            self._leave()
            return
        self.reactor.callLater(3 * ORPHAN, os._exit, 1)  # whatever may hold it up
        self._stop(ORPHAN)

    def _stop(self, seconds: float | None = None) -> None:
        if not self._ending:
            self._ending = True
            ensureDeferred(self._finish(seconds)).addErrback(lambda failure: log.failure("ending", failure=failure))

    async def _finish(self, seconds: float | None) -> None:
        for listening in self._listening:
            listening.accept_waiting()
        for listening in self._listening:
            self.reactor.callLater(0, listening.accept_waiting)  # once more at the last moment: it closes a turn later
            await listening.close()
        self._control.tell("closed")
        if self.serving is not None:
            await self.serving.stop(seconds)
        self.status = 0
        self._end()

    def _end(self) -> None:
        self._ending = self._over = True
        if self._alone or self._control.transport is None:
            self._leave()
        else:
            self._control.transport.loseConnection()  # when all that was told is sent

    def _leave(self) -> None:
        with suppress(ReactorNotRunning):
            self.reactor.stop()


def _log_to_parent(settings: Settings) -> Relay:
    relay = Relay(output_to(sys.stdout))
    globalLogBeginner.beginLoggingTo([FilteringLogObserver(relay, [levels(settings.log)])])
    return relay


def run() -> int:
    """Be a worker until its end; its status."""
    worker = Worker()
    worker.attach(socket.socket(fileno=CONTROL))
    reactor: Any = global_reactor
    reactor.run(installSignalHandlers=False)
    return worker.status
