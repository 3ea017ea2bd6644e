"""Sending what is in the outbox: each process takes what is due, and what it does not get rid of is due again.

A message is made when it is sent, by the maker of its sort, for the client as it is then. A client that is gone or not
active any more is told nothing. A message is sent at least once: whoever dies between sending and noting it down has
another process send it again.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from oauthd.config import OutboxSettings
from oauthd.events import Events
from oauthd.fetcher import FetchRefused, Posting
from oauthd.metrics.counts import OutboxCounts
from oauthd.protocol.delivery import Outcome, outcome, wait
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.records import Client, Outgoing
from oauthd.protocol.seals import SealBroken
from oauthd.stores.clients import Clients
from oauthd.stores.interface import Ref, Stored, StoreUnavailable
from oauthd.stores.outbox import LOST, Outbox

log = Logger()

LEASE = 30.0  # seconds that a process may take for a message, besides what an exchange with its client may
BUSY = 1.0  # seconds that a message waits which had no place among those under way


@frozen
class Post:
    """A message as it is sent."""

    url: str
    body: bytes = field(repr=False)
    content_type: str
    headers: Mapping[str, str] = field(factory=dict, repr=False)


class Maker(Protocol):
    """Makes the messages of one sort."""

    async def __call__(self, client: Client, facts: Mapping[str, Any]) -> Post | None:
        """The message as it is now; None where it is not wanted any more.

        :raises OAuthError: when it cannot be made now, such as for want of a key to encrypt to; it is tried again.
        """


@define(eq=False)
class Deliveries:
    """Sends messages.

    :ivar makers: by the sort of messages that each makes.
    :ivar patience: seconds that making and sending one may take.
    """

    outbox: Outbox
    clients: Clients
    posting: Posting
    makers: Mapping[str, Maker]
    events: Events
    clock: Callable[[], float]
    reactor: IReactorTime
    entropy: Callable[[int], bytes]
    settings: OutboxSettings
    patience: float
    counts: OutboxCounts = field(factory=OutboxCounts)
    _looking: LoopingCall | None = field(default=None, init=False)
    _under_way: set[Deferred[None]] = field(factory=set, init=False, repr=False)
    _taking: bool = field(default=False, init=False)
    _woken: bool = field(default=False, init=False)
    _ending: bool = field(default=False, init=False)

    def start(self) -> None:
        """Send from now on: at once what this process puts in, and soon what others have left."""
        self.outbox.told.append(self.wake)
        self._looking = LoopingCall(self.wake)
        self._looking.clock = self.reactor
        self._looking.start(self.settings.poll, now=True)

    def wake(self) -> None:
        """Take what is due, and send it; nobody waits for that."""
        if self._taking:
            self._woken = True
        elif not self._ending:
            ensureDeferred(self._take())

    async def stop(self) -> None:
        """Take no more, and wait for what is under way: no longer than its time, for that is bounded."""
        self._ending = True
        if self._looking is not None and self._looking.running:
            self._looking.stop()
        if self._under_way:
            await DeferredList([_after(one) for one in self._under_way])

    async def turn(self) -> int:
        """Take what is due, once, and wait until it is sent or put back; how many there were."""
        begun = await self._take()
        await DeferredList([_after(one) for one in begun])
        return len(begun)

    async def _take(self) -> list[Deferred[None]]:
        room = self.settings.at_once - len(self._under_way)
        if room <= 0:
            return []
        self._taking = True
        try:
            claims = await self.outbox.claim(self.clock() + self.patience + LEASE, room)
        except StoreUnavailable:
            return []  # what is due stays so
        except Exception:  # the timer must live on
            log.failure("looking into the outbox failed")
            return []
        finally:
            self._taking = False
        self.counts.waiting = claims.waiting
        for ref in claims.broken:
            ensureDeferred(self._lost(ref, claims.held))
        begun = []
        for stored in claims.items:
            one = ensureDeferred(self._deliver(stored, claims.held))
            begun.append(one)
            if not one.called:
                self._under_way.add(one)
                one.addBoth(self._ended, one)
        if self._woken or (len(begun) == room and not self._under_way):
            self._woken = False
            self.reactor.callLater(0, self.wake)
        return begun

    def _ended(self, outcome: None, one: Deferred[None]) -> None:
        self._under_way.discard(one)
        if self.counts.waiting > len(self._under_way) and self._looking is not None:
            self.wake()  # there is room for another

    async def _deliver(self, stored: Stored[Outgoing], held: float) -> None:
        """Send one message, and note what became of it. It raises nothing."""
        try:
            await self._settle(stored, held)
        except StoreUnavailable:
            log.info("what became of a message is not noted: the store is away; it will be sent again")
        except Exception:
            log.failure("sending a message failed")

    async def _settle(self, stored: Stored[Outgoing], held: float) -> None:
        record, now = stored.record, self.clock()
        maker = self.makers.get(record.sort)
        if now >= record.until:
            await self._give_up(stored, held, record.reason or "its time was over", failed=False)
        elif maker is None:  # of a newer program, which runs beside this one
            await self.outbox.again(stored, held, now + self._wait(record.tries + 1))
        else:
            client = await self.clients.find(record.client_id)
            post = await self._made(maker, client, stored) if client is not None and client.is_active else None
            if client is None or post is None:
                self.counts.dropped += 1
                await self.outbox.done(stored)
            elif isinstance(post, str):
                await self._failed(stored, held, post)
            else:
                await self._send(post, client, stored, held)

    async def _send(self, post: Post, client: Client, stored: Stored[Outgoing], held: float) -> None:
        try:
            status = await self.posting.post(
                post.url, post.body, post.content_type, post.headers, stranger=client.registered_itself
            )
        except FetchRefused as refused:
            if refused.passing:
                await self.outbox.again(stored, held, self.clock() + self._until_there_is_room())
            else:
                await self._failed(stored, held, f"the address {refused.description}")
            return
        found, said = outcome(status), f"it was answered with status {status}"
        if found is Outcome.DONE:
            self.counts.sent += 1
            await self.outbox.done(stored)
        elif found is Outcome.AGAIN:
            await self._failed(stored, held, said)
        else:
            self.counts.failed += 1
            await self._give_up(stored, held, said)

    async def _made(self, maker: Maker, client: Client, stored: Stored[Outgoing]) -> Post | str | None:
        """The message; a word on why it cannot be made."""
        try:
            return await maker(client, self.outbox.facts(stored.record))
        except OAuthError as error:
            return error.description
        except SealBroken:
            return "no master key opens what it is made of"
        except StoreUnavailable:
            raise
        except Exception:
            log.failure("making a message of the sort {sort} failed", sort=stored.record.sort)
            return "it could not be made"

    async def _failed(self, stored: Stored[Outgoing], held: float, reason: str) -> None:
        self.counts.failed += 1
        tries, now = stored.record.tries + 1, self.clock()
        due = now + self._wait(tries)
        if tries >= self.settings.attempts or due >= stored.record.until:
            await self._give_up(stored, held, reason)
        else:
            await self.outbox.again(stored, held, due, reason)

    async def _give_up(self, stored: Stored[Outgoing], held: float, reason: str, failed: bool = True) -> None:
        if await self.outbox.bury(stored, held, reason, failed):
            self.counts.dead += 1
            record = stored.record
            self.events.tell("message.given_up", sort=record.sort, client_id=record.client_id, reason=reason)

    async def _lost(self, ref: Ref[Outgoing], held: float) -> None:
        """Give up a message that cannot be read. It raises nothing."""
        try:
            if await self.outbox.replace(ref, held):
                self.counts.dead += 1
                self.events.tell("message.given_up", sort=LOST, client_id=None, reason="it cannot be read")
        except StoreUnavailable:
            log.info("a message that cannot be read is not given up yet: the store is away")

    def _until_there_is_room(self) -> float:
        """The longer, the more there are: else all that wait for one slow host would be looked at again and again."""
        return BUSY * (1 + self._chance()) * (1 + self.counts.waiting / 100)

    def _wait(self, tries: int) -> float:
        return wait(tries, self.settings.first_wait, self.settings.longest_wait, self._chance())

    def _chance(self) -> float:
        return int.from_bytes(self.entropy(8), "big") / 2**64


def _after(sending: Deferred[None]) -> Deferred[None]:
    """Fires when it has: of many who wait for one thing, each has a Deferred of its own."""
    done: Deferred[None] = Deferred()

    def ended(outcome: None) -> None:
        done.callback(None)

    sending.addBoth(ended)
    return done
