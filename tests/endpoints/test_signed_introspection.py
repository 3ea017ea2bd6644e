"""Signatures that take a while: made once for all who ask meanwhile, and never for an answer that holds no more."""

from __future__ import annotations

import base64
import json
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from oauthd.endpoints.signed_introspection import MEDIA_TYPE
from oauthd.runtime.threads import PoolFull
from tests.endpoints.test_introspect import MemoryCase
from tests.web.lane import until
from tests.wire import Answer


class SlowCase(MemoryCase):
    """A server whose RSA signatures come when the test lets them."""

    async def prepare(self) -> None:
        """Hold the thread."""
        await super().prepare()
        self.held: list[tuple[Deferred[Any], Any]] = []
        signed = self.endpoint.signed
        nested = signed.nested
        signed.nested = evolve(nested, in_thread=self.hold)
        signed._kept.clear()
        self.addCleanup(setattr, signed, "nested", nested)

    async def hold(self, work: Any, *arguments: Any) -> Any:
        """Work that waits."""
        waiting: Deferred[Any] = Deferred()
        self.held.append((waiting, lambda: work(*arguments)))
        return await waiting

    async def waits(self, others: int = 0) -> None:
        """Come to where one signature waits, and so many others for it."""
        await until(lambda: len(self.held) == 1 and sum(map(len, self.endpoint.signed._under_way.values())) == others)

    def release(self) -> None:
        """Sign what waits."""
        held, self.held = self.held, []
        for waiting, work in held:
            waiting.callback(work())

    def ask(self, token: str = "token") -> Deferred[Answer]:
        """Ask for a signed answer."""
        headers = [("Accept", MEDIA_TYPE)]
        asked = self.server.post("/oauth2/introspect", {"token": token}, basic=self.rs.basic, headers=headers)
        return Deferred.fromCoroutine(asked)

    def said(self, answer: Answer) -> dict[str, Any]:
        """What it says of the token."""
        self.assertEqual(answer.status, 200, answer.body)
        payload = answer.body.split(b".")[1]
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        told: dict[str, Any] = found["token_introspection"]
        return told

    async def test_made_once(self) -> None:
        """Whoever asks while a signature is made gets the same one."""
        asked = [self.ask() for _ in range(10)]
        await self.waits(9)
        self.release()
        answers = [await one for one in asked]
        self.assertEqual(len({one.body for one in answers}), 1)
        self.assertTrue(self.said(answers[0])["active"])
        await self.ask()
        self.assertEqual(self.held, [])

    async def test_revoked_meanwhile(self) -> None:
        """A token that is revoked while its answer is signed is told to be inactive."""
        asked = self.ask()
        await self.waits()
        await self.server.application.tokens.end_access("token")
        self.release()
        await self.waits()
        self.release()
        self.assertEqual(self.said(await asked), {"active": False})

    async def test_no_thread(self) -> None:
        """Where no thread is to be had all who wait are told to come back."""
        asked = [self.ask() for _ in range(3)]
        await self.waits(2)
        [(waiting, _)], self.held = self.held, []
        waiting.errback(PoolFull())
        for one in asked:
            self.refused(await one, "temporarily_unavailable", 503)
