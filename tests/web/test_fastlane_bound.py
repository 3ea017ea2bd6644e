"""Tokens that are bound to a key, and the fast lane: what proves something is never answered from what was learned."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tests.possession import Holder
from tests.server import App
from tests.web.lane import INTROSPECT, TOKEN, LaneCase, json_of, request, status

MACHINE = {"grant_type": "client_credentials"}


class BoundTests(LaneCase):
    """A client whose usual request the lane knows."""

    async def prepare(self) -> None:
        """Make it, and teach the lane."""
        await super().prepare()
        self.holder = Holder()
        self.app = await self.server.client()
        self.api = await self.server.client("api")
        self.issue = request(TOKEN, MACHINE, self.app)
        self.known = await self.taught(self.issue)

    def proving(self, proof: str = "") -> bytes:
        """The same request with a proof."""
        proof = proof or self.holder.proof("POST", TOKEN, self.server.clock.seconds())
        return request(TOKEN, MACHINE, self.app, [("DPoP", proof)])

    async def update(self, app: App, **facts: Any) -> None:
        """Change a client."""
        await self.server.application.clients.update(app.client_id, lambda client: replace(client, **facts))

    async def test_a_proof_is_always_looked_at(self) -> None:
        """The same request with a proof gets a bound token each time, and a proof counts once, whoever learned what."""
        learned = self.counts.learned
        for _ in range(4):
            self.assertIn(b'"token_type":"DPoP"', json_of(await self.known.ask(self.proving())))
        proof = self.holder.proof("POST", TOKEN, self.server.clock.seconds())
        statuses = [status(await self.known.ask(self.proving(proof))) for _ in range(4)]
        self.assertEqual(statuses, [200, 400, 400, 400])
        self.assertEqual(self.counts.learned, learned)
        self.assertIn(b'"token_type":"Bearer"', json_of(await self.known.ask(self.issue)))

    async def test_a_client_that_must_from_now_on(self) -> None:
        """A client that has to bind its tokens from now on gets no other one, though the lane knew its request."""
        for facts, error in (({"dpop_bound": True}, b"dpop"), ({"certificate_bound": True}, b"invalid_request")):
            await self.update(self.app, dpop_bound=False, certificate_bound=False)
            line = await self.taught(self.issue)
            await self.update(self.app, **facts)
            answer = await line.ask(self.issue)
            self.assertEqual(status(answer), 400)
            self.assertIn(error, json_of(answer))

    async def test_introspection_of_a_bound_token(self) -> None:
        """Asking about a bound token rides like any other question, and the answer names the key."""
        answer = json_of(await self.known.ask(self.proving()))
        token = answer.split(b'"access_token":"')[1].split(b'"')[0].decode()
        asking = request(INTROSPECT, {"token": token}, self.api)
        line = await self.taught(asking)
        hits = self.counts.hits
        for _ in range(3):
            self.assertIn(f'"cnf":{{"jkt":"{self.holder.jkt}"}}'.encode(), json_of(await line.ask(asking)))
        self.assertEqual(self.counts.hits, hits + 3)
