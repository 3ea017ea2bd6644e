"""How one process reaches the store: the connections, the records, what is kept of them, and the proof that it holds.

Refused is a store that does not answer within `PATIENCE`, or is set so that it may forget what must not be forgotten.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import secrets
import time
from functools import partial
from typing import Any

import attrs
from attrs import define, field
from twisted.logger import Logger

from oauthd.config import Settings, redis_address
from oauthd.metrics import Counts
from oauthd.runtime.hindrance import CannotStart
from oauthd.stores import naming
from oauthd.stores.address import Primary
from oauthd.stores.cache import Cache
from oauthd.stores.connection import RedisConnection
from oauthd.stores.durable import Confirming
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.invalidation import Invalidation
from oauthd.stores.pool import Command
from oauthd.stores.redis import RedisStore
from oauthd.stores.revocations import Revocations
from oauthd.stores.startup import check_server

log = Logger(namespace="oauthd")
PATIENCE = 10.0  # seconds that a configured store may take to answer at start


monotonic = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Seconds that go on while the machine sleeps, where the system has such a clock: what was kept is old then."""


@define(eq=False)
class Reach:
    """The store as one process has it.

    :ivar embedded: path of the embedded Valkey's socket; None for the store that the settings name.
    """

    settings: Settings
    reactor: Any
    counts: Counts
    embedded: str | None = None
    connection: RedisConnection = field(init=False)
    confirming: Confirming = field(init=False)
    revocations: Revocations = field(init=False)
    store: RedisStore = field(init=False)
    cache: Cache = field(init=False)
    invalidation: Invalidation = field(init=False)

    def __attrs_post_init__(self) -> None:
        store, kept, where = self.settings.store, self.settings.cache, self._where()
        try:
            primary = Primary(self.reactor, timeout=store.reply_timeout, **where)
        except (OSError, ValueError) as error:  # the file of authorities
            raise CannotStart(f"the store at {self.place} cannot be reached: {error}") from None
        self.connection = RedisConnection(
            self.reactor,
            primary=primary,
            size=store.connections,
            reply_timeout=store.reply_timeout,
            counts=self.counts.store,
        )
        channel = naming.channel(where.get("db", 0))
        self.confirming = self._confirming(primary)
        self.revocations = Revocations(self.reactor, self.connection.call, channel, self.counts.invalidation)
        self.store = RedisStore(
            self.connection, time.time, channel=channel, revoking=self.confirming, memory=self.revocations
        )
        self.cache = Cache(
            monotonic, time.time, kept.max_staleness, kept.entries, kept.bytes, kept.longest, self.counts.cache
        )
        self.store.changed.append(self.cache.changed)
        origin = secrets.token_hex(8).encode()
        self.invalidation = Invalidation(
            self.reactor, primary, channel, self._beat, self.cache, origin, self.counts.invalidation
        )
        self.connection.on_new_server += (self.invalidation.restart, self.revocations.again)
        self.counts.proof.age, self.counts.proof.longest = self._age, kept.max_staleness

    @property
    def place(self) -> str:
        """Where the store is, for people to read."""
        return f"unix:{self.embedded}" if self.embedded else redis_address(self.settings.store.redis or "").location

    async def open(self, examine: bool) -> None:
        """Connect; where we are the first, look at how the store is set.

        :raises CannotStart: with the reason.
        """
        self.connection.start()
        try:
            await self.connection.ready(PATIENCE)
        except StoreUnavailable:
            why = self.connection.why
            raise CannotStart(
                f"the store at {self.place} does not answer within {PATIENCE:g} s: {why}"
            ) from None
        if examine:
            await self._examine()
        if self.confirming.connection is not self.connection:
            self.confirming.connection.start()
        self.revocations.start()
        self.invalidation.start()

    async def close(self) -> None:
        """End in order; a second call does nothing."""
        self.invalidation.stop()
        self.revocations.stop()
        await self.confirming.connection.stop()
        await self.connection.stop()

    def _confirming(self, primary: Primary) -> Confirming:
        """Over a connection of its own, on which nobody else waits; over the others where nothing is confirmed."""
        store, connection = self.settings.store, self.connection
        if store.revocation_wait or store.revocation_fsync:
            longest = store.reply_timeout + 2 * store.revocation_wait_timeout
            connection = RedisConnection(self.reactor, primary=primary, size=1, reply_timeout=longest)
        return Confirming(
            connection,
            store.revocation_wait,
            store.revocation_wait_timeout,
            store.revocation_fsync,
            self.counts.invalidation,
        )

    def _where(self) -> dict[str, Any]:
        if self.embedded is not None:
            return {"path": self.embedded}
        return attrs.asdict(redis_address(self.settings.store.redis or ""), recurse=False)

    async def _beat(self, command: Command) -> None:
        """Send a heartbeat. It proves nothing while what we read comes from another server than what confirms it."""
        if not self.confirming.replicas:
            await self.connection.call(command)
            return
        await self.confirming.call(command, fsync=False)
        if self.confirming.connection.server_id != self.connection.server_id:
            raise StoreUnavailable("not all connections have reached the same server yet")

    def _age(self) -> float | None:
        """Seconds since the last proof was sent."""
        age = monotonic() - self.cache.proven_at
        return age if age < float("inf") else None

    async def _examine(self) -> None:
        """Look at how the store is set: one that may forget what must not be forgotten is refused."""
        findings = await check_server(
            self.connection, self.settings.store.accept, self.confirming, self.invalidation.channel
        )
        for finding in findings.warn:
            log.warn("the store: {finding}", finding=finding)
        if findings.refuse:
            raise CannotStart("the store cannot be used: " + "; ".join(findings.refuse))
        log.info("the store is {server}", server=findings.server)
