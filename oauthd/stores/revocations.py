"""What a failover may undo: this process's revocations of the last minutes, and the tokens of the last seconds.

A new primary may lack what the old one answered for. What this process revoked is done again there, at once and before
anything else is asked of it, and told to everybody again; so a revocation is undone for good only when its
primary and the process that made it are both gone. Tokens cannot be written again, nobody here has them: it is counted
how many of those that were answered the new primary does not have.

Doing it again is harmless: keys of tokens, grants and sessions are never used twice, and a generation is raised to what
it was seen at, never further, so whatever was begun anew since is left alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.metrics import InvalidationCounts
from oauthd.stores import scripts
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.pool import Command

KEEP = 600.0  # seconds for which a revocation is remembered
MOST = 100_000  # revocations; the oldest is forgotten first
TOGETHER = 500  # in one call
PAUSE = 0.2  # seconds until the next try

RECENT = 15  # seconds for which a token's key is remembered
MOST_RECENT = 50_000


@frozen
class _Revocation:
    """How to do it again.

    :ivar at: reactor seconds.
    """

    at: float
    command: Command


@define(eq=False)
class Revocations:
    """Remembers, and does again.

    :ivar call: sends commands to the primary, as `RedisConnection.call`.
    :ivar channel: where changes are told.
    :ivar wrote: to be called with the key of each access token that was written; costs next to nothing.
    """

    _log = Logger()

    reactor: IReactorTime
    call: Callable[..., Awaitable[list[Any]]]
    channel: bytes
    counts: InvalidationCounts = field(factory=InvalidationCounts)
    wrote: Callable[[bytes | None], None] = field(init=False)
    _kept: dict[bytes, _Revocation] = field(factory=dict, init=False)
    _recent: deque[bytes | None] = field(init=False)
    _timer: LoopingCall | None = field(default=None, init=False)
    _work: Deferred[None] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._recent = deque(maxlen=MOST_RECENT)
        self.wrote = self._recent.append

    def start(self) -> None:
        """Begin to forget what is old."""
        self._timer = LoopingCall(self._tick)
        self._timer.clock = self.reactor
        self._timer.start(1.0)

    def stop(self) -> None:
        """End; what is being done again is left."""
        if self._timer is not None and self._timer.running:
            self._timer.stop()
        if self._work is not None:
            self._work.cancel()

    @property
    def remembered(self) -> int:
        """How many revocations would be done again now."""
        return len(self._kept)

    # what is remembered

    def forgot(self, key: bytes) -> None:
        """A record was removed: the key of a token, a grant or a session, which is never used again."""
        self._keep(key, scripts.FORGET.on(key, args=(self.channel,)))

    def buried(self, key: bytes, command: Command) -> None:
        """The record of something's end was written, by that command."""
        self._keep(key, command)

    def raised(self, key: bytes, number: int, *unbegun: int) -> None:
        """The generation of that key was raised to a number; `unbegun`: that of a subject that needs no beginning."""
        if number > 0:
            self._keep(key, scripts.AT_LEAST.on(key, args=(self.channel, number, 0, *unbegun)))

    def ended(self, key: bytes, number: int, keep: int) -> None:
        """The generation of that key was ended, when it stood at a number; that is kept for `keep` seconds."""
        if number > 0:
            self._keep(key, scripts.AT_LEAST.on(key, args=(self.channel, number, keep)))

    def _keep(self, key: bytes, command: Command) -> None:
        self._kept.pop(key, None)  # the newest stand at the end
        self._kept[key] = _Revocation(self.reactor.seconds(), command)
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]

    def _tick(self) -> None:
        """Forget what is old. In the deque each None is a second."""
        oldest = self.reactor.seconds() - KEEP
        while self._kept and (key := next(iter(self._kept))) and self._kept[key].at < oldest:
            del self._kept[key]
        self._recent.append(None)
        for _ in range(self._recent.count(None) - RECENT):
            while self._recent.popleft() is not None:
                pass

    # on another server

    def again(self) -> None:
        """The store is another server: do everything again there. To be called before anything else is sent to it."""
        if self._work is not None:
            self._work.cancel()
        recent = [key for key in self._recent if key is not None and key not in self._kept]
        self._work = Deferred.fromCoroutine(self._again([*self._kept.values()], recent))
        self._work.addErrback(self._failed)

    async def _again(self, revocations: list[_Revocation], recent: list[bytes]) -> None:
        done = 0
        for begin in range(0, len(revocations), TOGETHER):
            # A new server knows no script yet, and others would be served while it is taught.
            some = [scripts.in_full(one.command) for one in revocations[begin : begin + TOGETHER]]
            await self._insist(*some)
            done += len(some)
            self.counts.reapplied += len(some)
        lost = await self._missing(recent)
        self.counts.tokens_lost += len(lost)
        if done or lost:
            self._log.warn(
                "on the new server {done} revocations were done again, and {lost} of the {n} access tokens that were "
                "issued here in the last {seconds} s are missing",
                done=done, lost=len(lost), n=len(recent), seconds=RECENT,
            )  # fmt: skip

    async def _missing(self, recent: list[bytes]) -> set[bytes]:
        """Which of these keys are not there; they are not looked for again."""
        lost: set[bytes] = set()
        for begin in range(0, len(recent), TOGETHER):
            some = recent[begin : begin + TOGETHER]
            there = await self._insist(*(("EXISTS", key) for key in some))
            lost.update(key for key, found in zip(some, there, strict=True) if not found)
        still = [key for key in self._recent if key not in lost]
        self._recent.clear()
        self._recent.extend(still)
        return lost

    async def _insist(self, *commands: Command) -> list[Any]:
        while True:
            try:
                return await self.call(*commands)
            except StoreUnavailable:
                await deferLater(self.reactor, PAUSE)

    def _failed(self, failure: Failure) -> None:
        if not isinstance(failure.value, CancelledError):
            self._log.failure("what was revoked could not be done again", failure=failure)
