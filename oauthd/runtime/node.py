"""One running server: everything that has a beginning and an end, in the order of both.

Sockets are bound in `privilegedStartService` (as root where twistd changes the user), but nothing is accepted before
the store answers and the keys are open. With one worker this process serves; with more it looks after them, and what
must be done once (the embedded Valkey, founding the store) is done before the first of them starts.

Stopping: readiness says so, for `server.drain_delay` everything goes on; then no new connection begins, those that have
begun are accepted, requests in flight finish, and last the store ends.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import atexit
import json
import os
import signal
from contextlib import suppress
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure

from oauthd.config import Settings, issuer_of
from oauthd.config.passing import passed
from oauthd.runtime.data import DataFolder, DataFolderError
from oauthd.runtime.hindrance import HINDRANCES, CannotStart
from oauthd.runtime.listening import Door, Listening, bind
from oauthd.runtime.logs import writing
from oauthd.runtime.parent import Parent, workers
from oauthd.runtime.scraping import Scraping, of_one, of_workers
from oauthd.runtime.serving import Serving
from oauthd.runtime.valkey import EmbeddedValkey

log = Logger(namespace="oauthd")
SETTLE = 0.2  # seconds for the last packet of a connection that has begun


@define(eq=False, slots=False)
class Node(Service):
    """The server as twistd's service.

    :ivar uid: the user twistd will change to, None for no change.
    :ivar daemon: will twistd go into the background?
    :ivar observer: writes the log; None for twistd's own.
    :ivar serving: what this process does for its one worker, or before the first of several.
    :ivar crew: looks after several workers; None when there is one.
    """

    settings: Settings
    data: DataFolder
    uid: int | None = None
    gid: int | None = None
    daemon: bool = False
    observer: ILogObserver | None = None
    reactor: Any = global_reactor
    serving: Serving | None = None
    _door: Door = field(factory=Door)
    crew: Parent | None = None
    _listening: list[Listening] = field(factory=list)
    _workers: int = field(init=False)
    _scraping: Scraping = field(init=False)
    _valkey: EmbeddedValkey | None = None
    _starting: Deferred[None] | None = None
    _hindrance: Exception | None = None
    _told_address: bool = False

    name = "oauthd"

    @_workers.default
    def _counted(self) -> int:
        return workers(self.settings.server.workers)

    @_scraping.default
    def _scraped(self) -> Scraping:
        return Scraping(self.reactor)

    def setServiceParent(self, parent: Any) -> None:  # noqa: N802 - Twisted's name
        """Become part of twistd's application, which tells it what writes the log."""
        super().setServiceParent(parent)
        if self.observer is not None:
            parent.setComponent(ILogObserver, self.observer)

    def privilegedStartService(self) -> None:  # noqa: N802 - Twisted's name
        """Prepare the data folder and bind the sockets, while we may; nothing is accepted yet."""
        try:
            self.data.prepare(self.uid, self.gid)
            for text in self.settings.server.listen:
                self._listening.append(bind(self.reactor, text, self._door, self._workers))
            for text in self.settings.mtls.listen:
                self._listening.append(bind(self.reactor, text, self._door, self._workers, asks=True))
            self._scraping.bind(self.settings.metrics.listen)
        except (CannotStart, DataFolderError) as error:
            if self.daemon:  # twistd passes it on to whoever waits for the daemon to start
                log.critical("oauthd cannot start: {reason}", reason=str(error))
                raise
            self._hindrance = error  # told when the reactor runs, and can be stopped in order
        super().privilegedStartService()

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin; the rest happens when the reactor runs."""
        super().startService()
        self.reactor.callWhenRunning(self._begin)

    def _begin(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            # twistd would raise the signal again after draining; an orderly end is status 0.
            signal.signal(number, lambda *_: self.reactor.callFromThread(self._end))
        self._starting = ensureDeferred(self._start())
        self._starting.addErrback(self._failed)

    def _end(self) -> None:
        # A second signal changes nothing: the first one's time-outs bound the end.
        with suppress(ReactorNotRunning):
            self.reactor.stop()

    def _failed(self, failure: Failure) -> None:
        if not self.running:
            return
        if failure.check(*HINDRANCES):
            log.critical("oauthd cannot start: {reason}", reason=failure.getErrorMessage())
        else:
            log.failure("oauthd cannot start", failure=failure)
        atexit.register(os._exit, 1)  # after twistd has cleaned up; its own status would be 0
        self._end()

    async def _start(self) -> None:
        if self._hindrance is not None:
            raise self._hindrance
        self.data.lock()
        embedded = await self._embedded()
        self.serving = Serving(self.settings, self.data, self.reactor, embedded, write=writing(self.observer))
        if self._workers == 1:
            self._door.site = await self.serving.start()
            for listening in self._listening:
                listening.open()
            self._scraping.open(of_one(self.serving.counts))
        else:
            await self.serving.prepare()
            await self.serving.stop()
            sockets = [port.fileno() for listening in self._listening for port in listening.ports]
            self.crew = Parent(
                self.reactor,
                self._workers,
                sockets,
                lambda number: self._orders(number, embedded),
                writing(self.observer),
            )
            await self.crew.start()
            self._scraping.open(of_workers(self.crew))
        self._tell()

    def _orders(self, worker: int, embedded: str | None) -> dict[str, Any]:
        """What a worker has to know; of all listening sockets one of each endpoint is its."""
        listeners, first = [], 0
        for listening in self._listening:
            mine = first + (worker - 1) % len(listening.ports)
            files = dict(listening.files)
            listeners.append({"endpoint": listening.text, "files": files, "socket": mine, "asks": listening.asks})
            first += len(listening.ports)
        return {
            "worker": worker,
            "settings": passed(self.settings),
            "data": str(self.data.path),
            "embedded": embedded,
            "listeners": listeners,
            "sockets": first,
            "writes_lines": writing(self.observer) is not None,
        }

    async def _embedded(self) -> str | None:
        """The socket of the embedded Valkey, which is started where no store is configured."""
        if self.settings.store.redis is not None:
            return None
        self._valkey = EmbeddedValkey(self.data.valkey, self.reactor)
        await self._valkey.start()
        return self._valkey.socket_path

    def _tell(self) -> None:
        """Say what is served, and leave the address where the command line finds it."""
        issuer = issuer_of(self.settings)
        told = {"issuer": issuer, "listen": list(self.settings.server.listen), "pid": os.getpid()}
        self._told_address = True
        self.data.write(self.data.server_address, json.dumps(told).encode() + b"\n")
        log.info("oauthd serves {issuer}", issuer=issuer)
        for text in (*self.settings.server.listen, *self.settings.mtls.listen):
            log.info("listening on {endpoint}", endpoint=text)
        log.info("data lies in {path}", path=str(self.data.path))
        if self.data.admin_credentials.exists():
            log.info("the first administrator's credentials are in {path}", path=str(self.data.admin_credentials))

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """End in order; the reactor waits for it."""
        super().stopService()
        return ensureDeferred(self._stop()).addErrback(lambda failure: log.failure("ending failed", failure=failure))

    async def _stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        if self._serves:
            await self._leave()
        if self.crew is not None:
            await self._end_workers(self.crew)
        else:
            await self._end_alone()
        await self._scraping.close()
        if self._valkey is not None:
            await self._valkey.stop()
        if self._told_address:  # else it is the file of a server that runs in the same folder
            self.data.server_address.unlink(missing_ok=True)
        self.data.unlock()

    @property
    def _serves(self) -> bool:
        """May a request have been accepted? A worker accepts as soon as it can, while another one still starts."""
        return self._told_address or (self.crew is not None and self.crew.live > 0)

    async def _leave(self) -> None:
        """Say that the end is near, to whoever sends requests here; then let no new connection begin."""
        if self.crew is not None:
            self.crew.leave()
        elif self.serving is not None:
            self.serving.stopping = True
        await deferLater(self.reactor, self.settings.server.drain_delay)
        for listening in self._listening:
            listening.withhold()
        await deferLater(self.reactor, SETTLE)

    async def _end_alone(self) -> None:
        for listening in self._listening:
            listening.accept_waiting()
            self.reactor.callLater(0, listening.accept_waiting)  # once more at the last moment: it closes a turn later
            await listening.close()
        if self.serving is not None:
            await self.serving.stop()

    async def _end_workers(self, parent: Parent) -> None:
        if self._serves:
            await parent.close()
        else:
            await parent.kill()
        for listening in self._listening:
            await listening.close()
        await parent.end(self.settings.server.drain_timeout)
