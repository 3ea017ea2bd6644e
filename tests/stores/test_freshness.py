"""Two processes, everything at once: whoever asks after a revocation is not told that the token is alive."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.task import deferLater

from oauthd.protocol.introspection import INACTIVE
from oauthd.stores import kinds
from tests.stores.node import Node
from tests.stores.servers import reactor
from tests.stores.test_answers import AnswersCase

ROUNDS = 150


class FreshnessTests(AnswersCase):
    """Random histories."""

    async def test_any_history(self) -> None:
        """Where it was revoked at once, in the other when that was heard, through lost subscriptions and floods."""
        for seed in range(3):
            self.random = random.Random(seed)
            await self.history()

    async def history(self) -> None:
        """One of them."""
        self.alive: dict[bytes, str] = {}
        self.dead: dict[Node, set[bytes]] = {self.one: set(), self.other: set()}
        for _ in range(20):
            await self.issued()
        self.asked: list[Deferred[Any]] = []
        for _ in range(ROUNDS):
            step = self.random.choice((self.ask, self.ask, self.revoke, self.overtake, self.lose, self.turn))
            await step()
        await gatherResults(self.asked)
        self.assertGreater(len(self.dead[self.one]), 10)

    async def issued(self) -> None:
        """One more token."""
        name = f"h{next(self._names)}"
        today = await self.store.generations("app", "u1")
        self.assertNotIn(None, (today.world, today.client, today.user))
        self.alive[await self.issue(name)] = name

    async def ask(self) -> None:
        """Many ask, of tokens alive and dead, without waiting for each other."""
        for node in (self.one, self.other):
            for digest in self.random.sample([*self.alive, *self.dead[node]], 10):
                self.asked.append(ensureDeferred(self.told(node, digest, digest in self.dead[node])))

    async def told(self, node: Node, digest: bytes, dead: bool) -> None:
        """What one is told, who has asked when that was known."""
        value = node.kept(digest)
        if value is None:
            value = (await node.answers.find(digest)).value
        if dead:
            self.assertEqual(value, INACTIVE)

    async def revoke(self) -> None:
        """Some token or grant, or all of a user; by either process."""
        by, other = self.random.sample([self.one, self.other], 2)
        digest, name = self.random.choice([*self.alive.items()])
        what, ended = self.random.random(), {digest}
        if what < 0.5:
            await by.store.plain.forget(kinds.ACCESS_TOKEN.at(digest))
        elif what < 0.9:
            await by.store.plain.forget(kinds.grant(f"g-{name}"))
        else:
            ended = set(self.alive)
            await by.store.plain.raise_generation(self.random.choice(("user:u1", "client:app", "world")))
        for one in ended:
            del self.alive[one]
        self.dead[by] |= ended
        for one in ended:
            self.assertFalse(by.remembers_alive(one))
        if other.invalidation._subscription.stands and other.cache.fresh and self.random.random() < 0.7:
            await self.turn()
            if other.invalidation._subscription.stands:
                await other.heard()
        else:
            await other.proven()
            await other.heard()
        self.dead[other] |= ended
        while len(self.alive) < 20:
            await self.issued()

    async def overtake(self) -> None:
        """A revocation while replies are on their way to one of them, and more who ask before they come."""
        with self.random.choice((self.one, self.other)).store.holding():
            await self.ask()
            await self.turn()
            await self.revoke()
            await self.ask()

    async def lose(self) -> None:
        """A subscription, or a flood of changes."""
        node = self.random.choice([self.one, self.other])
        if self.random.random() < 0.3:
            node.invalidation._subscription.renew()
        else:
            for n in range(self.random.choice((1, 100, 5000))):
                node.cache.changed(b"a:%d" % n)

    async def turn(self) -> None:
        """Let some of it come."""
        await deferLater(reactor, self.random.choice((0, 0.001, 0.005)))
