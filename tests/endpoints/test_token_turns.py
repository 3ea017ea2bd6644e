"""Token requests of one turn go together, and each hears of its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from oauthd.endpoints import token_turns
from oauthd.endpoints.token import Token, TokenLesson
from oauthd.endpoints.token_turns import MOST_UNDER_WAY, TokenTurns
from oauthd.limits import LimitedLesson
from oauthd.protocol import opaque
from oauthd.protocol.messages import Headers, Parameters, Request
from oauthd.stores import kinds, naming
from oauthd.stores.codec import Unreadable
from oauthd.stores.connection import CommandRefused
from oauthd.stores.interface import Commit, StoreUnavailable
from tests.server import ServerCase
from tests.web.lane import listening


class TurnTests(ServerCase):
    """A client that asks again and again, for itself and with refresh tokens."""

    async def prepare(self) -> None:
        """What both requests taught, and refresh tokens of a user."""
        listening(self, self.server)
        self.app = await self.server.client("app", access_format="opaque")
        self.alice = await self.server.user()
        self.prove()
        self.machine = await self.lesson("client_credentials", scope="read")
        self.tokens = [await self.refresh_token() for _ in range(6)]
        self.refreshing = await self.lesson("refresh_token", refresh_token=self.tokens.pop())

    def prove(self) -> None:
        """What is in memory counts."""
        self.server.application.world.cache.prove(self.server.clock.seconds())

    async def refresh_token(self) -> str:
        """A refresh token of its own grant."""
        return str((await self.server.signed_in(self.app, self.alice, scope="read"))["refresh_token"])

    @property
    def endpoint(self) -> Token:
        """The token endpoint."""
        endpoint = self.server.application.endpoints["token"]
        assert isinstance(endpoint, Token)
        return endpoint

    async def lesson(self, grant_type: str, **form: str) -> TokenLesson:
        """What such a request teaches."""
        assert self.app.basic is not None
        basic = base64.b64encode(":".join(self.app.basic).encode()).decode()
        asked = Parameters((("grant_type", grant_type), *form.items()))
        headers = Headers((("authorization", f"Basic {basic}"),))
        response = await self.endpoint(Request("POST", "/oauth2/token", headers=headers, form=asked))
        assert isinstance(response.lesson, LimitedLesson)
        assert isinstance(response.lesson.lesson, TokenLesson)
        return response.lesson.lesson

    def ask(self, lesson: TokenLesson, value: str = "") -> Deferred[Any]:
        """Ask; fires with what the waiter was told, once: the answer's members, or what went wrong."""
        told: Deferred[Any] = Deferred()

        def waiter(outcome: bytes | Failure) -> None:
            told.callback(outcome.value if isinstance(outcome, Failure) else json.loads(outcome))

        self.assertTrue(lesson.tell(value.encode(), waiter))
        return told

    def ask_all(self) -> list[Deferred[Any]]:
        """A token for the client, and one for each refresh token."""
        return [self.ask(self.machine), *(self.ask(self.refreshing, token) for token in self.tokens)]

    async def exchanges(self) -> int:
        """How many exchanges with the server there were."""
        await self.server.store.listed()
        await self.server.connection.call(("PING",))
        return int(self.server.connection._counts.latency.count)

    async def test_together(self) -> None:
        """Those of one turn take one read and one write of each sort, and every answer stands when it is told."""
        before = await self.exchanges()
        answers = await gatherResults(self.ask_all())
        # the read, the token of the machine, the steps, the lists in up to three turns, and that of this question
        self.assertLessEqual(await self.exchanges() - before, 7)
        self.assertEqual(len({one["access_token"] for one in answers}), 6)
        for one in answers:
            self.assertTrue(await self.server.active(one["access_token"]))
        self.assertEqual([opaque.parse(opaque.REFRESH_TOKEN, token) for token in self.tokens],
                         [opaque.parse(opaque.REFRESH_TOKEN, one["refresh_token"]) for one in answers[1:]])  # fmt: skip
        self.assertEqual(len(self.server.told("token.issued")[-6:]), 6)

    async def test_one_token_twice(self) -> None:
        """Of two requests with one refresh token the second gets what the first one got."""
        first, second = await gatherResults([self.ask(self.refreshing, self.tokens[0]) for _ in range(2)])
        self.assertEqual(first, second)

    async def test_the_store_away(self) -> None:
        """Everybody is told when the store is away: at the read, and at the write when it has answered the read."""

        async def lost(*asked: Any) -> Any:
            raise StoreUnavailable("lost")

        for verbs in (("commits", "put"), ("get", "put")):
            broken = [self.patch(self.server.store, verb, lost) for verb in verbs]
            self.assertEqual({type(one) for one in await gatherResults(self.ask_all())}, {StoreUnavailable})
            for one in broken:
                one.restore()
        self.assertEqual({type(one) for one in await gatherResults(self.ask_all())}, {dict})

    async def test_a_record_that_cannot_be_read(self) -> None:
        """Who sent its token hears of it, and nobody else."""
        grant_id = opaque.parse(opaque.REFRESH_TOKEN, self.tokens[2]) or ""
        name = naming.key(kinds.refresh_token(grant_id, self.tokens[2]))
        await self.server.connection.call(("SET", name, "?", "KEEPTTL"))
        outcomes = await gatherResults(self.ask_all())
        self.assertEqual([isinstance(one, Unreadable) for one in outcomes], [n == 3 for n in range(6)])
        self.assertEqual({type(one) for n, one in enumerate(outcomes) if n != 3}, {dict})

    async def test_a_write_that_is_refused(self) -> None:
        """What the server refuses for all is tried for each."""
        ordinary = self.server.store.commits

        async def refused(steps: Sequence[Commit]) -> list[bool]:
            if len(steps) > 1:
                raise CommandRefused("one of them")
            return await ordinary(steps)

        self.patch(self.server.store, "commits", refused)
        self.assertEqual({type(one) for one in await gatherResults(self.ask_all())}, {dict})

    async def test_a_waiter_that_fails(self) -> None:
        """One that fails when it is told harms no other."""

        def fails(outcome: bytes | Failure) -> None:
            raise RuntimeError("a waiter")

        self.machine.tell(b"", fails)
        self.assertIn("access_token", await self.ask(self.machine))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_an_error_of_the_whole(self) -> None:
        """Even then everybody is told, and it is logged."""
        self.patch(TokenTurns, "_make", lambda *given: 1 / 0)
        self.assertEqual({type(one) for one in await gatherResults(self.ask_all())}, {ZeroDivisionError})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_those_that_come_meanwhile(self) -> None:
        """While some batches are under way all that comes waits, and goes together then."""
        gates: list[Deferred[None]] = []
        ordinary, written = self.server.store.put, []

        async def slow(*writes: Any) -> None:
            gates.append(Deferred())
            written.append(len(writes))
            await gates[-1]
            await ordinary(*writes)

        self.patch(self.server.store, "put", slow)
        told = []
        for _ in range(5):
            told.append(self.ask(self.machine))
            await self.turn()
        self.assertEqual(written, [1] * MOST_UNDER_WAY)
        gates[0].callback(None)
        first = await told.pop(0)
        await self.turn()
        self.assertEqual(written, [1] * MOST_UNDER_WAY + [5 - MOST_UNDER_WAY])
        for gate in gates[1:]:
            gate.callback(None)
        tokens = {one["access_token"] for one in (first, *await gatherResults(told))}
        self.assertEqual(len(tokens), 5)

    async def test_very_many(self) -> None:
        """More than may go at once go one part after the other, and none is left."""
        self.patch(token_turns, "LARGEST_BATCH", 4)
        ordinary, written = self.server.store.put, []

        async def counted(*writes: Any) -> None:
            written.append(len(writes))
            await ordinary(*writes)

        self.patch(self.server.store, "put", counted)
        answers = await gatherResults([self.ask(self.machine) for _ in range(11)])
        self.assertEqual((len({one["access_token"] for one in answers}), written), (11, [4, 4, 3]))

    async def turn(self) -> None:
        """Let the reactor turn twice."""
        for _ in range(2):
            gone: Deferred[None] = Deferred()
            self.endpoint.reactor.callLater(0, gone.callback, None)
            await gone
