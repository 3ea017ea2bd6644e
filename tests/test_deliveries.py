"""Messages to clients reach them, late and more than once if need be, or are given up; on a real store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from oauthd.deliveries import Deliveries, Post
from oauthd.fetcher import Posting
from oauthd.protocol.errors import CONFLICT, INVALID_REQUEST, OAuthError
from oauthd.protocol.records import Client, Outgoing
from oauthd.stores import kinds
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.outbox import Note
from tests.receivers import Receiver
from tests.server import NOW, Server

FORM = "application/x-www-form-urlencoded"
URL = "https://app.example/told"


class DeliveryCase(TestCase):
    """A server with a maker of plain messages, and a receiver of them."""

    timeout = 20

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Start."""
        self.server = await Server.start()
        self.addCleanup(self.server.stop)
        self.receiver, self.timer = Receiver(), Clock()
        self.made = 0
        self.app = await self.server.client("app")
        self.deliveries = self.process()
        self.outbox = self.server.application.outbox

    def process(self) -> Deliveries:
        """What sends, of one process."""
        parts = self.server.application
        posting = Posting(self.receiver, self.timer, self.server.settings.fetch)
        return Deliveries(
            outbox=parts.outbox,
            clients=parts.clients,
            posting=posting,
            makers={"told": self.make},
            events=parts.world.events,
            clock=self.server.clock.seconds,
            reactor=self.timer,
            entropy=self.server.entropy,
            settings=self.server.settings.outbox,
            patience=4.0,
        )

    async def make(self, client: Client, facts: Mapping[str, Any]) -> Post | None:
        """A message that says how many were made."""
        self.made += 1
        if facts.get("unwanted"):
            return None
        if facts.get("impossible"):
            raise INVALID_REQUEST("the client has no key")
        if facts.get("broken"):
            raise ZeroDivisionError
        return Post(URL, f"{facts.get('what', '')}={self.made}".encode(), FORM, {"X": "y"})

    async def put(self, sort: str = "told", until: int | None = None, client_id: str = "app", **facts: Any) -> None:
        """Put a message in."""
        await self.outbox.add(Note(sort, client_id, facts, until))

    async def waiting(self) -> list[Outgoing]:
        """All that is in the queue, whenever it is due."""
        members = await self.server.connection.call(("ZRANGE", b"x:{outbox}", 0, -1))
        refs = [kinds.outgoing(member.partition(b"}")[2].decode()) for member in members[0]]
        return [stored.record for stored in await self.server.store.get(*refs) if stored]

    async def dead(self) -> list[Outgoing]:
        """What was given up."""
        return [stored.record for stored in (await self.outbox.page(None, 100)).items]

    async def until_it_is_over(self, limit: int = 100) -> int:
        """Let time go by until nothing waits; how often something was sent or tried."""
        before = len(self.receiver.heard)
        for _ in range(limit):
            await self.deliveries.turn()
            if not await self.waiting():
                return len(self.receiver.heard) - before
            (found,) = await self.server.connection.call(("ZRANGE", b"x:{outbox}", 0, 0, "WITHSCORES"))
            self.server.clock.advance(max(0.0, float(found[1]) - self.server.clock.seconds()))
        raise AssertionError("it has no end")


class SendingTests(DeliveryCase):
    """What becomes of a message."""

    async def test_sent(self) -> None:
        """A message goes to its address, once, as its maker made it; and nothing is left of it."""
        await self.put(what="a")
        self.assertEqual(await self.deliveries.turn(), 1)
        (heard,) = self.receiver.heard
        self.assertEqual((heard.url, heard.body, heard.headers["x"]), (URL, b"a=1", "y"))
        self.assertEqual(heard.headers["content-type"], FORM)
        self.assertEqual(await self.deliveries.turn(), 0)
        self.assertEqual((await self.waiting(), await self.dead()), ([], []))
        self.assertEqual((self.deliveries.counts.sent, self.deliveries.counts.failed), (1, 0))

    async def test_facts_lie_sealed(self) -> None:
        """What a message is made of cannot be read in the store: there may be a token in it."""
        await self.put(what="a-very-telling-token")
        (record,) = await self.waiting()
        self.assertNotIn(b"telling", record.sealed)
        self.assertNotIn("telling", repr(record) + repr(Note("told", "app", {"what": "telling"})))
        self.assertEqual(self.outbox.facts(record), {"what": "a-very-telling-token"})

    async def test_again_and_again(self) -> None:
        """What is not received is made anew and sent again after waits that grow, and counts as received then."""
        self.receiver.answers = [500, 503, ConnectionRefusedError(), 429, 204]
        await self.put(what="a")
        self.assertEqual(await self.until_it_is_over(), 4)
        self.assertEqual([heard.body for heard in self.receiver.heard], [b"a=1", b"a=2", b"a=4", b"a=5"])
        self.assertEqual(self.deliveries.counts.failed, 4)
        passed = self.server.clock.seconds() - NOW
        self.assertTrue((5 + 20 + 80 + 320) / 2 <= passed <= 5 + 20 + 80 + 320, passed)

    async def test_given_up(self) -> None:
        """After so many attempts it is given up, told to the log, and kept for whoever looks for it."""
        self.receiver.answers = [500]
        await self.put(what="a")
        self.assertEqual(await self.until_it_is_over(), 8)
        (dead,) = await self.dead()
        self.assertEqual((dead.tries, dead.reason), (8, "it was answered with status 500"))
        self.assertEqual(self.deliveries.counts.dead, 1)
        facts = {"sort": "told", "client_id": "app", "reason": dead.reason}
        self.assertEqual(self.server.events[-1].name, "message.given_up")
        self.assertEqual(self.server.events[-1].facts, facts)
        self.server.clock.advance(self.server.settings.outbox.keep_dead + 1)
        self.assertEqual(await self.dead(), [])

    async def test_what_is_refused_is_not_sent_again(self) -> None:
        """Who says that it does not take it, or would have it sent elsewhere, is not asked again."""
        for status in (400, 401, 404, 410, 301, 307):
            self.receiver.answers = [status]
            await self.put()
            self.assertEqual(await self.until_it_is_over(), 1, status)
        self.assertEqual({heard.url for heard in self.receiver.heard}, {URL})
        self.assertEqual(len(await self.dead()), 6)

    async def test_one_who_never_answers(self) -> None:
        """Who does not answer in time is asked again, and others are told meanwhile."""
        self.receiver.answers = [None, 200]
        await self.put(what="one")
        await self.put(what="other")
        turn = Deferred.fromCoroutine(self.deliveries.turn())
        while len(self.receiver.heard) < 2:
            await self._a_moment()
        self.assertNoResult(turn)
        self.timer.advance(2.5)
        await turn
        (record,) = await self.waiting()
        self.assertEqual(record.reason, "the address was not answered within 2 seconds")
        await self.until_it_is_over()
        bodies = [heard.body.partition(b"=")[0] for heard in self.receiver.heard]
        self.assertEqual((set(bodies), len(bodies), bodies.count(bodies[0])), ({b"one", b"other"}, 3, 2))

    async def _a_moment(self) -> None:
        await self.server.connection.call(("PING",))

    async def test_its_time(self) -> None:
        """Nothing is sent when it makes no sense any more, and nothing waits past that."""
        self.receiver.answers = [500]
        await self.put(until=int(NOW) + 60)
        self.assertLess(await self.until_it_is_over(), 5)
        self.assertLess(self.server.clock.seconds(), NOW + 60)
        await self.put(until=int(self.server.clock.seconds()) + 10)
        self.server.clock.advance(11)
        self.assertEqual(await self.until_it_is_over(), 0)
        self.assertEqual((await self.dead())[-1].reason, "its time was over")

    async def test_a_client_that_is_gone(self) -> None:
        """A client that was deleted or taken out of use is told nothing, and nothing is kept for it."""
        await self.server.client("other")
        await self.put()
        await self.put(client_id="other")
        await self.put(unwanted=True)
        await self.server.application.clients.delete("app")
        await self.server.application.clients.update("other", lambda client: replace(client, is_active=False))
        self.assertEqual(await self.until_it_is_over(), 0)
        self.assertEqual((self.deliveries.counts.dropped, await self.dead()), (3, []))

    async def test_what_cannot_be_made(self) -> None:
        """What cannot be made is tried again, like what cannot be sent; a bug is told to the log each time."""
        await self.put(impossible=True)
        await self.put(broken=True)
        self.assertEqual(await self.until_it_is_over(), 0)
        reasons = sorted(record.reason for record in await self.dead())
        self.assertEqual(reasons, ["it could not be made", "the client has no key"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 8)

    async def test_a_sort_of_a_newer_program(self) -> None:
        """What this program cannot make is left for one that can, as long as there may be one."""
        await self.put(sort="new")
        await self.deliveries.turn()
        (record,) = await self.waiting()
        self.assertEqual((record.tries, self.deliveries.counts.failed), (0, 0))
        self.server.clock.advance(5)
        self.deliveries.makers = {"new": self.make}
        self.assertEqual(await self.until_it_is_over(), 1)

    async def test_many_for_one_slow_client(self) -> None:
        """What waits for a client that is slow keeps nobody else waiting, and is tried no more often for that."""
        for _ in range(30):
            await self.put(what="slow")
        self.receiver.answers = [None]
        turn = Deferred.fromCoroutine(self.deliveries.turn())
        while len(self.receiver.heard) < self.server.settings.fetch.per_host:
            await self._a_moment()
        self.timer.advance(2.5)
        await turn
        self.assertEqual(len(self.receiver.heard), self.server.settings.fetch.per_host)
        records = await self.waiting()
        self.assertEqual((len(records), sum(record.tries for record in records)), (30, 4))


class CrashTests(DeliveryCase):
    """Processes that die, and several at once."""

    async def test_before_it_is_sent(self) -> None:
        """What a process had taken when it died is sent by another one, when its lease is over."""
        await self.put(what="a")
        taken = await self.outbox.claim(self.server.clock.seconds() + 34, 9)
        self.assertEqual(len(taken.items), 1)
        self.assertEqual(await self.deliveries.turn(), 0)
        self.server.clock.advance(34)
        self.assertEqual(await self.deliveries.turn(), 1)
        self.assertEqual(len(self.receiver.heard), 1)

    async def test_after_it_is_sent(self) -> None:
        """What was sent, and not noted down, is sent once more: nothing is lost, and nothing is sent for ever."""
        await self.put(what="a")
        done, self.outbox.store.dequeue = self.outbox.store.dequeue, self._lost  # type: ignore[method-assign]
        try:
            await self.deliveries.turn()
        finally:
            self.outbox.store.dequeue = done  # type: ignore[method-assign]
        self.assertEqual(len(self.receiver.heard), 1)
        self.assertEqual(await self.until_it_is_over(), 1)

    async def _lost(self, ref: Any) -> None:
        raise self._unavailable()

    def _unavailable(self) -> Exception:

        return StoreUnavailable("lost")

    async def test_several_processes(self) -> None:
        """A hundred messages and three processes: each message is sent once."""
        for number in range(100):
            await self.put(what=str(number))
        processes = [self.deliveries, self.process(), self.process()]
        while await self.waiting():
            await gatherResults([Deferred.fromCoroutine(one.turn()) for one in processes])
            self.server.clock.advance(5)
        self.assertEqual(sorted(int(heard.body.partition(b"=")[0]) for heard in self.receiver.heard), list(range(100)))

    async def test_by_itself(self) -> None:
        """Once started it sends at once what this process puts in, and soon what another one did; and ends in order."""
        self.deliveries.start()
        self.addCleanup(self.outbox.told.clear)
        await self.put(what="here")
        await self._heard(1)
        listeners = list(self.outbox.told)
        self.outbox.told.clear()
        await self.put(what="there")
        self.outbox.told.extend(listeners)
        self.timer.advance(self.server.settings.outbox.poll)
        await self._heard(2)
        self.receiver.answers = [None]
        await self.put(what="slow")
        await self._heard(3)
        stopping = Deferred.fromCoroutine(self.deliveries.stop())
        self.assertNoResult(stopping)
        self.timer.advance(2.5)
        await stopping
        self.assertEqual(len(await self.waiting()), 1)
        self.assertEqual([call for call in self.timer.getDelayedCalls() if call.active()], [])

    async def _heard(self, count: int) -> None:
        for _ in range(2000):
            if len(self.receiver.heard) >= count:
                return
            self.timer.advance(0)
            await self.server.connection.call(("PING",))
        self.fail(f"{len(self.receiver.heard)} were heard")


class DeadTests(DeliveryCase):
    """What can be done with what was given up."""

    async def test_broken(self) -> None:
        """One that cannot be read is a dead letter, counted and told; it keeps nobody from the others."""
        await self.put(what="a")
        await self.put(what="b")
        (first, _) = await self.waiting()
        await self.server.connection.call(("SET", b"q:{outbox}:" + first.message_id.encode(), b"\x02[]"))
        self.assertEqual(await self.deliveries.turn(), 1)
        self.assertEqual(len(self.receiver.heard), 1)
        (dead,) = await self.dead()
        self.assertEqual((dead.message_id, dead.sort, dead.client_id), (first.message_id, "lost", ""))
        self.assertEqual((self.deliveries.counts.dead, await self.waiting()), (1, []))
        self.assertEqual([told["sort"] for told in self.server.told("message.given_up")], ["lost"])
        with self.assertRaises(OAuthError) as refused:
            await self.outbox.revive(dead.message_id)
        self.assertEqual(refused.exception.kind, CONFLICT)

    async def test_revived(self) -> None:
        """It can be sent again, with all its attempts; or forgotten."""
        self.receiver.answers = [400, 400, 200]
        await self.put(what="a")
        await self.put(what="b")
        await self.until_it_is_over()
        one, other = await self.dead()
        await self.outbox.revive(one.message_id)
        await self.outbox.drop(other.message_id)
        self.assertEqual(await self.until_it_is_over(), 1)
        self.assertEqual((await self.waiting(), await self.dead()), ([], []))
