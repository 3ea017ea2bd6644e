"""One running server: everything that has a beginning and an end, in the order of both.

Sockets are bound in `privilegedStartService` (as root where twistd changes the user), but nothing is accepted before
the store answers and the keys are open. Stopping: no new connections, requests in flight finish, then the store.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import atexit
import json
import os
import secrets
import signal
import time
from contextlib import suppress
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from oauthd.app import Application, World
from oauthd.config import Settings, issuer_of, master_keys, redis_address
from oauthd.events import Event, Events
from oauthd.keys import MasterKeyMismatch
from oauthd.protocol.seals import Seals
from oauthd.runtime.data import DataFolder, DataFolderError
from oauthd.runtime.descriptors import make_room
from oauthd.runtime.founding import Founding
from oauthd.runtime.process import ValkeyError
from oauthd.runtime.threads import Pool
from oauthd.runtime.valkey import EmbeddedValkey
from oauthd.stores.connection import RedisConnection
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.redis import RedisStore
from oauthd.stores.startup import check_server
from oauthd.web.site import Site

log = Logger(namespace="oauthd")
TEND = 30.0  # seconds between two looks at the signing keys
SIGNING_THREADS, SIGNING_QUEUE = 2, 256
QUEUE = 128  # connections that may wait in a port's queue
PATIENCE = 10.0  # seconds that a configured store may take to answer at start



class CannotStart(Exception):
    """Something stands in the way; the text says what, fit for the one who starts the server."""


Unready = (CannotStart, DataFolderError, ValkeyError, StoreUnavailable, MasterKeyMismatch)


@implementer(IProtocolNegotiationFactory)
class Door(Factory):
    """Stands at a bound socket until there is a site behind it."""

    noisy = False
    site: Site | None = None

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:  # noqa: N802
        """Hand the connection to the site."""
        return self.site.buildProtocol(addr) if self.site is not None else None

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802
        """HTTP/1.1 alone. Twisted breaks a TLS handshake off when a client, as each browser, offers what we do not."""
        return [b"http/1.1"]


@define(eq=False, slots=False)
class Node(Service):
    """The server as twistd's service.

    :ivar uid: the user twistd will change to, None for no change.
    :ivar daemon: will twistd go into the background?
    :ivar observer: writes the log; None for twistd's own.
    """

    settings: Settings
    data: DataFolder
    uid: int | None = None
    gid: int | None = None
    daemon: bool = False
    observer: ILogObserver | None = None
    reactor: Any = global_reactor
    events: Events = field(factory=Events)
    application: Application | None = None
    _door: Door = field(factory=Door)
    _ports: list[Any] = field(factory=list)
    _valkey: EmbeddedValkey | None = None
    _connection: RedisConnection | None = None
    _tending: LoopingCall | None = None
    _pools: list[Pool] = field(factory=list)
    _starting: Deferred[None] | None = None
    _hindrance: Exception | None = None
    _told_address: bool = False

    name = "oauthd"

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
                self._bind(text)
        except (CannotStart, DataFolderError) as error:
            if self.daemon:  # twistd passes it on to whoever waits for the daemon to start
                log.critical("oauthd cannot start: {reason}", reason=str(error))
                raise
            self._hindrance = error  # told when the reactor runs, and can be stopped in order
        super().privilegedStartService()

    def _bind(self, text: str) -> None:
        """Listen, at once, as each of our kinds of endpoint can.

        :raises CannotStart: with the endpoint and the reason.
        """
        outcome: list[Any] = []
        try:
            serverFromString(self.reactor, text).listen(self._door).addBoth(outcome.append)
        except LookupError:  # a systemd: endpoint without activation
            raise CannotStart(f"cannot listen on {text}: the service manager has passed no such socket") from None
        except Exception as error:  # the files of an ssl: endpoint
            raise CannotStart(f"cannot listen on {text}: {error}") from None
        (port,) = outcome
        if isinstance(port, Failure):
            reason = getattr(port.value, "socketError", None) or port.value
            raise CannotStart(f"cannot listen on {text}: {reason}")
        port.stopReading()  # connections wait in the queue until we are ready
        self._ports.append(port)

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
        if failure.check(*Unready):
            log.critical("oauthd cannot start: {reason}", reason=failure.getErrorMessage())
        else:
            log.failure("oauthd cannot start", failure=failure)
        atexit.register(os._exit, 1)  # after twistd has cleaned up; its own status would be 0
        self._end()

    async def _start(self) -> None:
        if self._hindrance is not None:
            raise self._hindrance
        self.data.lock()
        self._make_room()
        self.events.observers.append(_log_event)
        connection = await self._connect()
        await self._examine(connection)
        world = self._world(RedisStore(connection, time.time))
        application = self.application = Application(world)
        await application.keys.open()
        await self._found(application, world)
        self._tending = LoopingCall(self._tend, application)
        self._tending.start(TEND, now=False)
        self._open(application.site(self.settings, self.reactor, _log_access), world.issuer)

    async def _connect(self) -> RedisConnection:
        """The connection to the store; the embedded one is started where none is configured."""
        store = self.settings.store
        if store.redis is None:
            self._valkey = EmbeddedValkey(self.data.valkey, self.reactor)
            await self._valkey.start()
            where: dict[str, Any] = {"path": self._valkey.socket_path}
            place = self._valkey.url
        else:
            address = redis_address(store.redis)
            where = {
                "host": address.host, "port": address.port, "path": address.path, "tls": address.tls,
                "user": address.user, "password": address.password, "db": address.db, "ca_file": address.ca_file,
            }  # fmt: skip
            place = address.location
        try:
            connection = RedisConnection(
                self.reactor, size=store.connections, reply_timeout=store.reply_timeout, **where
            )
        except (OSError, ValueError) as error:  # the file of authorities
            raise CannotStart(f"the store at {place} cannot be reached: {error}") from None
        self._connection = connection
        connection.start()
        try:
            await connection.ready(PATIENCE)
        except StoreUnavailable:
            raise CannotStart(f"the store at {place} does not answer within {PATIENCE:g} s: {connection.why}") from None
        return connection

    def _make_room(self) -> None:
        wanted = self.settings.server.max_connections
        room = make_room(wanted)
        if room < wanted:
            log.warn(
                "server.max_connections is {wanted}, but the limit of open files leaves room for {room}",
                wanted=wanted,
                room=room,
            )

    async def _examine(self, connection: RedisConnection) -> None:
        """Look at how the store is set: one that may forget what must not be forgotten is refused."""
        findings = await check_server(connection, self.settings.store.accept)
        for finding in findings.warn:
            log.warn("the store: {finding}", finding=finding)
        if findings.refuse:
            raise CannotStart("the store cannot be used: " + "; ".join(findings.refuse))
        log.info("the store is {server}", server=findings.server)

    def _world(self, store: RedisStore) -> World:
        users = self.settings.users
        hashing = Pool(self.reactor, "passwords", users.hash_threads, users.hash_queue)
        signing = Pool(self.reactor, "signing", SIGNING_THREADS, SIGNING_QUEUE)
        for pool in (hashing, signing):
            pool.start()
            self._pools.append(pool)
        return World(
            settings=self.settings,
            issuer=issuer_of(self.settings),
            store=store,
            seals=Seals(self._master_keys(), secrets.token_bytes),
            events=self.events,
            clock=time.time,
            entropy=secrets.token_bytes,
            hashing=hashing,
            signing=signing,
        )

    def _master_keys(self) -> tuple[bytes, ...]:
        """The keys of the settings, else the one in the data folder, which is made at first start."""
        configured = master_keys(self.settings)
        if configured:
            return configured
        if not self.data.master_key.exists():
            self.data.write(self.data.master_key, secrets.token_bytes(32).hex().encode() + b"\n")
        try:
            return (bytes.fromhex(self.data.master_key.read_text("ascii").strip()),)
        except ValueError:
            reason = "does not hold a master key (64 hexadecimal digits)"
            raise DataFolderError(f"{self.data.master_key} {reason}") from None

    async def _found(self, application: Application, world: World) -> None:
        founding = Founding(
            store=world.store,
            clients=application.clients,
            users=application.users,
            passwords=application.passwords,
            events=self.events,
            settings=self.settings,
            data=self.data,
            clock=world.clock,
            entropy=world.entropy,
            alone=self._valkey is not None,
        )
        while not await founding.done():
            log.info("another node is founding the store; waiting")
            await deferLater(self.reactor, 0.5)

    async def _tend(self, application: Application) -> None:
        try:
            made = await application.keys.tend()
            if made:
                self.events.tell("keys.rotated", kids=" ".join(made))
        except StoreUnavailable:
            log.info("the signing keys could not be looked at: the store is away")
        except Exception:  # the timer must live on
            log.failure("tending the signing keys failed")

    def _open(self, site: Site, issuer: str) -> None:
        self._door.site = site
        for port in self._ports:
            port.startReading()
        self._tell_address(issuer)
        log.info("oauthd serves {issuer}", issuer=issuer)
        for text in self.settings.server.listen:
            log.info("listening on {endpoint}", endpoint=text)
        log.info("data lies in {path}", path=str(self.data.path))
        if self.data.admin_credentials.exists():
            log.info("the first administrator's credentials are in {path}", path=str(self.data.admin_credentials))

    def _tell_address(self, issuer: str) -> None:
        """Leave the address where the command line finds it."""
        told = {"issuer": issuer, "listen": list(self.settings.server.listen), "pid": os.getpid()}
        self._told_address = True
        self.data.write(self.data.server_address, json.dumps(told).encode() + b"\n")

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """End in order; the reactor waits for it."""
        super().stopService()
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        if self._tending is not None and self._tending.running:
            self._tending.stop()
        for port in self._ports:
            _accept_waiting(port)
            self.reactor.callLater(0, _accept_waiting, port)  # once more at the last moment: it closes one turn later
            await port.stopListening()
        if self._door.site is not None:
            await self._door.site.drain(self.settings.server.drain_timeout)
        if self._connection is not None:
            await self._connection.stop()
        if self._valkey is not None:
            await self._valkey.stop()
        for pool in self._pools:
            pool.stop()
        if self._told_address:  # else it is the file of a server that runs in the same folder
            self.data.server_address.unlink(missing_ok=True)
        self.data.unlock()


def _accept_waiting(port: Any) -> None:
    """Take the connections that wait in the queue of a port: closing it would reset them, requests and all."""
    for _ in range(QUEUE):
        before = port.sessionno
        port.doRead()
        if port.sessionno == before:
            break


def _log_event(event: Event) -> None:
    facts = (f"{name}={json.dumps(fact)}" for name, fact in event.facts.items() if fact is not None)
    log.info("{line}", line=" ".join((event.name, *facts)))


def _log_access(method: str, route: str, status: int, seconds: float) -> None:
    log.info("{method} {route} {status} {ms}ms", method=method, route=route, status=status, ms=round(seconds * 1000, 1))
