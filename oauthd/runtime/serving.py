"""What one serving process does, whether it is the only one or one of several workers.

It reaches the store, makes the application over it, looks after the signing keys, and ends in order. `prepare` alone is
what has to be done once before anybody serves. Sockets, the embedded Valkey, the data folder's lock and signals belong
to whoever makes it.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import gc
import os
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from oauthd import surface
from oauthd.app import Application
from oauthd.config import Settings, issuer_of, master_keys
from oauthd.events import Events
from oauthd.fetcher import Outward
from oauthd.keys import RING
from oauthd.metrics import Counts
from oauthd.parts import World
from oauthd.protocol.seals import Seals
from oauthd.runtime.data import DataFolder, DataFolderError
from oauthd.runtime.descriptors import make_room
from oauthd.runtime.founding import Founding
from oauthd.runtime.hindrance import CannotStart
from oauthd.runtime.journal import Journal
from oauthd.runtime.parent import workers
from oauthd.runtime.reaching import Reach
from oauthd.runtime.threads import Pool
from oauthd.runtime.watching import LoopProbe, Watch, condition, of_pool
from oauthd.stores import naming
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.shares import Shares
from oauthd.web.answering import AccessLog
from oauthd.web.client_certificates import Authorities, Certificates, ProxyHeader
from oauthd.web.routes import ROUTES
from oauthd.web.site import Site

log = Logger(namespace="oauthd")
TEND = 30.0  # seconds between two looks at the signing keys
SHARE = 1.0  # seconds between two looks at what other processes gave out of a limit
SWITCH = 0.05  # seconds
SIGNING_THREADS, SIGNING_QUEUE = 2, 256
HASHING_GIVES_WAY = 10  # of niceness: about a tenth of a core, while others want it


@define(eq=False, slots=False)
class Serving:
    """One process's share of the server.

    :ivar embedded: path of the embedded Valkey's socket; None for the store that the settings name.
    :ivar first: is it for this one to look at how the store is set, and to found it?
    :ivar write: takes finished lines of the log; None where they go through Twisted's logger.
    :ivar worker: its number where there are several.
    :ivar stopping: told to end; readiness says so from then on, while requests are still served for a while.
    :ivar answerers: what other processes of this server may ask this one, and what answers: a JSON value.
    """

    settings: Settings
    data: DataFolder
    reactor: Any
    embedded: str | None = None
    first: bool = True
    write: Callable[[str], None] | None = None
    worker: int | None = None
    events: Events = field(factory=Events)
    counts: Counts = field(factory=Counts)
    application: Application | None = None
    site: Site | None = None
    stopping: bool = False
    answerers: dict[str, Callable[[], Any]] = field(factory=dict)
    _reach: Reach | None = None
    _tending: LoopingCall | None = None
    _sweeping: LoopingCall | None = None
    _sharing: LoopingCall | None = None
    _pools: list[Pool] = field(factory=list)
    _probe: LoopProbe | None = None
    _journal: Journal = field(init=False)

    async def prepare(self) -> Application:
        """Reach the store, see to it that it can be served from, and make the application.

        :raises: one of `HINDRANCES`; call `stop` all the same.
        """
        self.events.observers.append(self.counts.events.count)
        journal = self._journal = Journal(self.settings.log, self.write, self.worker)
        if journal.event is not None:
            self.events.observers.append(journal.event)
        reach = self._reach = Reach(self.settings, self.reactor, self.counts, self.embedded)
        await reach.open(examine=self.first)
        application = self.application = Application(self._world(reach))
        await application.keys.open()
        await application.subjects.open()
        reach.connection.on_new_server.append(application.statuses.another_server)
        reach.invalidation.watchers[naming.key(RING)] = lambda: ensureDeferred(self._tend(application))
        if self.first:
            await self._found(application)
        return application

    async def start(self) -> Site:
        """Prepare, and give the factory of connections.

        :raises: as `prepare`.
        """
        self._make_room()
        application = await self.prepare()
        self._tending = LoopingCall(self._tend, application)
        self._tending.start(TEND, now=False)
        self._sweeping = LoopingCall(self._sweep, application)
        self._sweeping.start(application.status_sweep.pause, now=False)
        self._sharing = LoopingCall(self._share, application)
        self._sharing.start(SHARE)
        journal = self._journal
        access, asked = self._counting(journal.access), self._counting(journal.lane)
        self.site = surface.site(application, self.settings, self.reactor, access, asked, heard=journal.lane)
        self._watch(application, self.site)
        application.deliveries.start()
        _settle()
        return self.site

    def _watch(self, application: Application, site: Site) -> None:
        counts = self.counts
        counts.connections = lambda: len(site.channels)
        counts.requests.advertised = {path: route.paths[0] for route in ROUTES for path in route.paths}
        counts.events.issued |= dict.fromkeys(application.grants, 0)
        self._probe = LoopProbe(self.reactor, counts.loop, told=application.limits.overload.look)
        self._probe.start()
        self.answerers["metrics"] = Watch(counts).told

    def _counting(self, write: AccessLog | None) -> AccessLog:
        """What counts each request that it is told of, and writes it where that is wanted."""
        count = self.counts.requests.count
        if write is None:
            return count

        def counted_and_written(method: str, route: str, status: int, seconds: float) -> None:
            count(method, route, status, seconds)
            write(method, route, status, seconds)

        return counted_and_written

    async def stop(self, seconds: float | None = None) -> None:
        """End in order: what is in flight, then the connection to the store. No socket may accept any more.

        :param seconds: how long requests may take; None for as long as the settings say.
        """
        self.stopping = True
        for call in (self._tending, self._sweeping, self._sharing):
            if call is not None and call.running:
                call.stop()
        if self.site is not None:
            server = self.settings.server
            await self.site.drain(server.drain_timeout if seconds is None else seconds, server.drain_grace)
        if self.application is not None:
            await self.application.deliveries.stop()
        if self._probe is not None:
            self._probe.stop()
        if self._reach is not None:
            await self._reach.close()
        pools, self._pools = self._pools, []
        for pool in pools:
            pool.stop()

    def _make_room(self) -> None:
        wanted = self.settings.server.max_connections
        room = make_room(wanted)
        if room < wanted:
            log.warn(
                "server.max_connections is {wanted}, but the limit of open files leaves room for {room}",
                wanted=wanted,
                room=room,
            )

    def _world(self, reach: Reach) -> World:
        users = self.settings.users
        hashing = Pool(self.reactor, "passwords", users.hash_threads, users.hash_queue, HASHING_GIVES_WAY)
        signing = Pool(self.reactor, "signing", SIGNING_THREADS, SIGNING_QUEUE)
        for pool in (hashing, signing):
            self._pools.append(pool)
            self.counts.pools[pool.name] = of_pool(pool)
        return World(
            settings=self.settings,
            issuer=issuer_of(self.settings),
            store=reach.store,
            cache=reach.cache,
            reactor=self.reactor,
            seals=Seals(self._master_keys(), secrets.token_bytes),
            events=self.events,
            clock=time.time,
            entropy=os.urandom,
            hashing=hashing,
            signing=signing,
            agent=self._way_out(),
            certificates=self._certificates(),
            counts=self.counts,
            condition=condition(reach.connection, lambda: self.stopping),
            workers=workers(self.settings.server.workers),
            shares=Shares(reach.connection, secrets.token_hex(8)),
        )

    def _certificates(self) -> Certificates:
        mtls, header = self.settings.mtls, None
        if mtls.proxy_header is not None:
            header = ProxyHeader(mtls.proxy_header.lower(), mtls.proxy_form, mtls.proxy_vouches)
        try:
            authorities = Authorities.from_file(mtls.ca_file) if mtls.ca_file is not None else None
            return Certificates(authorities, header, self.reactor.seconds)
        except (OSError, ValueError) as error:
            raise CannotStart(f"mtls.ca_file cannot be used: {error}") from None

    def _way_out(self) -> Outward:
        try:
            return Outward(self.reactor, self.settings.fetch)
        except (OSError, ValueError) as error:
            raise CannotStart(f"fetch.ca_file cannot be used: {error}") from None

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

    async def _found(self, application: Application) -> None:
        world = application.world
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
            alone=self.embedded is not None,
        )
        while not await founding.done():
            log.info("another node is founding the store; waiting")
            await deferLater(self.reactor, 0.5)

    async def _share(self, application: Application) -> None:
        try:
            await application.limits.tick()
        except Exception:  # the timer must live on
            log.failure("sharing the limits with other processes failed")

    async def _tend(self, application: Application) -> None:
        try:
            made = await application.keys.tend()
            if made:
                self.events.tell("keys.rotated", kids=" ".join(made))
            for client_id in await application.clients.sweep():
                self.events.tell("client.expired", client_id=client_id)
        except StoreUnavailable:
            log.info("signing keys and unused clients could not be looked at: the store is away")
        except Exception:  # the timer must live on
            log.failure("tending the signing keys and the unused clients failed")

    async def _sweep(self, application: Application) -> None:
        try:
            await application.status_sweep.due()
        except StoreUnavailable:
            log.info("status lists could not be looked after: the store is away")
        except Exception:  # the timer must live on
            log.failure("looking after the status lists failed")


def _settle() -> None:
    """Keep the interpreter from standing in the way of whoever waits for an answer.

    What was made at start is left out of all later searches for garbage: one takes tens of milliseconds otherwise. What
    requests leave behind is freed without a search, but for the rare cycle.

    A thread that comes back from a hash or a signature waits for the reactor to let go of the interpreter, as it does
    with each send and receive. After the switch interval it would make the reactor stop at once, and stay stopped until
    that thread has got a core, which on a busy machine takes many times as long as what it has to do.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    sys.setswitchinterval(SWITCH)
