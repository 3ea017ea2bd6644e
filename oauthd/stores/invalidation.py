"""How a process knows that what it keeps in memory is still so (the freshness contract).

Every change is told on one channel by the script that makes it, so in the order of the changes. Every half second this
process writes a heartbeat to the primary that its own writes go to, and waits for it on its subscription: when it comes
back, everything told before it has been heard. That proves the cache up to the instant the heartbeat was *sent*, and
for `max_staleness` from then on it may be used; the cache compares that with the clock at each hit. So the worst case
holds whatever fails in whatever way: a subscription that is silent, a store that hangs, a process that stood still.

A subscription that is new, lost or on another server empties the cache. With `revocation_wait` a heartbeat proves
something only when that many replicas confirm it: an old primary that is cut off proves nothing any more.

What the channel says is trusted as much as the store is.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from oauthd.metrics import InvalidationCounts
from oauthd.stores import naming, scripts
from oauthd.stores.address import Primary
from oauthd.stores.cache import Cache
from oauthd.stores.connection import CommandRefused
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.pool import Command
from oauthd.stores.subscription import Subscription

BEATS = 4  # heartbeats in the time that one of them proves
SLOWEST = 0.5  # seconds between two heartbeats at most
SILENT = 1.0  # seconds after which a heartbeat that was written and not heard ends the subscription

BEAT = b"beat:"
log = Logger()


@define
class _Beat:
    """A heartbeat under way: it counts when it was heard and its writing was confirmed."""

    sent: float
    heard: bool = False
    confirmed: bool = False


@define(eq=False)
class Invalidation:
    """Keeps a cache proven.

    :ivar call: sends a command to the primary that this process writes to; returns when it is confirmed as a revocation
        is.
    :ivar origin: random; names this process in its heartbeats.
    :ivar watchers: called when a name has changed, or (all of them) when changes may have been missed.
    """

    reactor: IReactorTime
    primary: Primary
    channel: bytes
    call: Callable[[Command], Awaitable[Any]]
    cache: Cache
    origin: bytes
    counts: InvalidationCounts = field(factory=InvalidationCounts)
    watchers: dict[bytes, Callable[[], object]] = field(factory=dict)
    _subscription: Subscription = field(init=False)
    _beats: dict[bytes, _Beat] = field(factory=dict, init=False)
    _number: int = field(default=0, init=False)
    _timer: LoopingCall | None = field(default=None, init=False)
    _sweeping: IDelayedCall | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._subscription = Subscription(
            self.reactor, self.primary, self.channel, self._heard, self._began, self._ended
        )

    @property
    def period(self) -> float:
        """Seconds between two heartbeats."""
        return min(SLOWEST, self.cache.max_staleness / BEATS)

    def start(self) -> None:
        """Subscribe, and send heartbeats."""
        self._subscription.start()
        self._timer = LoopingCall(self._beat)
        self._timer.clock = self.reactor
        self._timer.start(self.period, now=False)

    def stop(self) -> None:
        """End both; nothing in the cache counts from here on."""
        if self._timer is not None and self._timer.running:
            self._timer.stop()
        self._subscription.stop()
        self._void()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    def restart(self) -> None:
        """The store is another one than before: nothing that was heard holds for it."""
        self.counts.failovers += 1
        self._void()
        self._subscription.renew()

    def _void(self) -> None:
        """Nothing counts until a heartbeat that is sent from now on has come back."""
        self._beats.clear()
        self.cache.flush()
        if self._sweeping is None:
            self._sweep()

    def _sweep(self) -> None:
        left = self.cache.sweep()
        runs = self._timer is not None and self._timer.running
        self._sweeping = self.reactor.callLater(0, self._sweep) if left and runs else None

    # what is heard

    def _heard(self, message: bytes) -> None:
        if message.startswith(BEAT):
            self._returned(message)
            return
        self.counts.heard += 1
        self.cache.changed(message)
        watcher = self.watchers.get(message)
        if watcher is not None:
            watcher()

    def _began(self) -> None:
        self._void()
        for watcher in self.watchers.values():
            watcher()
        self._beat()

    def _ended(self) -> None:
        self.counts.lost += 1
        self._void()

    # heartbeats

    def _beat(self) -> None:
        if not self._subscription.stands:
            return
        now = self.cache.monotonic()
        silent = min(SILENT, self.cache.max_staleness / 2)
        if any(beat.confirmed and not beat.heard and now - beat.sent > silent for beat in self._beats.values()):
            self._beats.clear()
            self._subscription.note("no heartbeat came back")
            self._subscription.renew()
            return
        self._number += 1
        name = b"%b%b:%d" % (BEAT, self.origin, self._number)
        self._beats[name] = beat = _Beat(now)
        for old in [one for one, sent in self._beats.items() if now - sent.sent > self.cache.max_staleness]:
            del self._beats[old]
        ensureDeferred(self._send(name, beat))

    async def _send(self, name: bytes, beat: _Beat) -> None:
        try:
            await self.call(scripts.BEAT.on(naming.BEAT, args=(self.channel, name)))
        except (StoreUnavailable, CommandRefused):
            return  # told by whoever failed; no proof comes of it
        beat.confirmed = True
        self._count(name, beat)

    def _returned(self, name: bytes) -> None:
        beat = self._beats.get(name)
        if beat is not None:  # else another process's, or one from before a new subscription
            beat.heard = True
            self.counts.latency.observe(self.cache.monotonic() - beat.sent)
            self._count(name, beat)

    def _count(self, name: bytes, beat: _Beat) -> None:
        if beat.heard and beat.confirmed and self._beats.pop(name, None) is not None:
            self.cache.prove(beat.sent)
