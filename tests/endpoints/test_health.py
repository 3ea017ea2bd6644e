"""Health: what a process tells of itself, without asking anybody."""

from __future__ import annotations

import json
from typing import Any

from attrs import define
from twisted.trial.unittest import TestCase

from oauthd.endpoints.health import Condition, Live, Ready
from oauthd.metrics import ProofFacts
from oauthd.protocol.messages import Request, Response
from tests.server import ServerCase

ASKED = Request("GET", "/health/ready")


def json_of(response: Response) -> dict[str, Any]:
    """What a response tells."""
    told: dict[str, Any] = json.loads(response.body)
    return told


@define
class Facts:
    """What is the case."""

    away: str = ""
    stopping: bool = False
    age: float | None = 0.25

    async def asked(self) -> Response:
        """The answer about it."""
        condition = Condition(lambda: self.away, lambda: self.stopping)
        return await Ready(condition, ProofFacts(lambda: self.age, 2.0))(ASKED)


class ReadyTests(TestCase):
    """Readiness."""

    async def test_all_is_well(self) -> None:
        """With the store there and memory fresh it is 200, and nobody may keep the answer."""
        answer = await Facts().asked()
        self.assertEqual(answer.status, 200)
        self.assertEqual(
            json_of(answer),
            {"ready": True, "stopping": False, "store": {"state": "ok"}, "proof": {"state": "fresh", "age": 0.25}},
        )
        self.assertIn(("Cache-Control", "no-store"), answer.headers)

    async def test_store_away(self) -> None:
        """Without the store it is 503, with the reason in a word and a time to come back."""
        answer = await Facts(away="loading").asked()
        self.assertEqual(answer.status, 503)
        self.assertEqual(json_of(answer)["store"], {"state": "away", "reason": "loading"})
        self.assertFalse(json_of(answer)["ready"])
        self.assertIn(("Retry-After", "1"), answer.headers)

    async def test_stopping(self) -> None:
        """A process that was told to end is 503, though it still serves."""
        answer = await Facts(stopping=True).asked()
        self.assertEqual((answer.status, json_of(answer)["stopping"]), (503, True))

    async def test_no_proof(self) -> None:
        """Memory that is not proven fresh makes nothing unready: answers come from the store then."""
        proofs: list[tuple[float | None, dict[str, Any]]] = [
            (None, {"state": "none", "age": None}),
            (1.9994, {"state": "fresh", "age": 1.999}),
            (2.0, {"state": "stale", "age": 2.0}),
        ]
        for age, told in proofs:
            answer = await Facts(age=age).asked()
            self.assertEqual((answer.status, json_of(answer)["proof"]), (200, told))

    async def test_live(self) -> None:
        """Whatever is answered at all is alive."""
        answer = await Live()(ASKED)
        self.assertEqual((answer.status, json_of(answer)), (200, {"live": True}))


class ServedTests(ServerCase):
    """Both on a server."""

    async def test_without_the_store(self) -> None:
        """Neither sends a command to the store, and both are served to anybody."""
        sent: list[Any] = []
        patched = self.patch(self.server.connection, "call", lambda *commands, **more: sent.append(commands))
        for path in ("/health/live", "/health/ready"):
            self.assertEqual((await self.server.get(path)).status, 200, path)
        patched.restore()
        self.assertEqual(sent, [])

    async def test_not_announced(self) -> None:
        """The metadata does not tell of them: they are for the operator."""
        told = (await self.server.get("/.well-known/openid-configuration")).text
        self.assertNotIn("health", told)
