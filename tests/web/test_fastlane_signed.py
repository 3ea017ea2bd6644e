"""Signed answers and demands on the fast lane: as fast as the plain ones, and never an older decision."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any

from msgspec.structs import replace

from oauthd.endpoints import signed_introspection
from oauthd.endpoints.signed_introspection import MEDIA_TYPE, SignedAnswers
from oauthd.protocol.jose import Signer
from tests.server import App
from tests.web.lane import INTROSPECT, LaneCase, json_of, request

INACTIVE = b'{"active":false}'
ACCEPT = [("Accept", MEDIA_TYPE)]


def claims(answer: bytes) -> dict[str, Any]:
    """What a signed answer says."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if MEDIA_TYPE.encode() not in head:
        raise AssertionError("it is no signed answer")
    payload = body.split(b".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    return found


class SignedCase(LaneCase):
    """An application with tokens, and resource servers that want signed answers."""

    async def prepare(self) -> None:
        """Make them, and count the signatures."""
        await super().prepare()
        self.app = await self.server.client()
        self.api = await self.server.client("api", introspection_algorithm="ES256")
        self.tokens = [await self.machine_token(self.app) for _ in range(3)]
        self.token = self.tokens[0]
        self.made: list[str] = []
        endpoint: Any = self.server.application.endpoints["introspect"]
        self.signed: SignedAnswers = endpoint.signed
        self.signed._kept.clear()
        signature = Signer.signature
        signer = Signer.sign

        def counted(of: Signer, data: bytes) -> bytes:
            self.made.append(of.kid)
            return signature(of, data)

        def counted_whole(of: Signer, said: Any) -> str:
            self.made.append(of.kid)
            return signer(of, said)

        self.patch(Signer, "signature", counted)
        self.patch(Signer, "sign", counted_whole)

    def asking(self, token: str = "", caller: App | None = None, **form: str) -> bytes:
        """A request for a signed answer."""
        return request(INTROSPECT, {**form, "token": token or self.token}, caller or self.api, ACCEPT)

    async def end(self, token: str) -> None:
        """Revoke a token."""
        await self.server.application.tokens.end_access(token)


class HitTests(SignedCase):
    """Hits."""

    async def test_one_signature(self) -> None:
        """The same answer is repeated from memory, byte for byte, for the time that is set, and signed anew then."""
        line = await self.taught(self.asking())
        before, made = self.told, len(self.made)
        answers = {await line.ask(self.asking()) for _ in range(10)}
        self.assertEqual((len(answers), len(self.made) - made), (1, 0))
        self.assertEqual(self.told[0], before[0] + 10)
        issued = claims(answers.pop())["iat"]
        self.advance(self.server.settings.introspection.signed_repeat)
        renewed = claims(await line.ask(self.asking()))
        self.assertEqual(len(self.made) - made, 1)
        self.assertEqual(renewed["iat"], issued + self.server.settings.introspection.signed_repeat)

    async def test_another_token(self) -> None:
        """What one token taught holds for others: each is signed once."""
        line = await self.taught(self.asking())
        made = len(self.made)
        for token in self.tokens * 5:
            told = claims(await line.ask(self.asking(token)))["token_introspection"]
            self.assertTrue(told["active"])
        self.assertEqual(len(self.made) - made, 2)

    async def test_revoked(self) -> None:
        """A revoked token is inactive at once, however new its signature is."""
        line = await self.taught(self.asking())
        self.assertTrue(claims(await line.ask(self.asking()))["token_introspection"]["active"])
        await self.end(self.token)
        for _ in range(3):
            self.assertEqual(claims(await line.ask(self.asking()))["token_introspection"], {"active": False})

    async def test_without_a_proof(self) -> None:
        """Without a proof of freshness nothing is repeated that was not looked up."""
        line = await self.taught(self.asking())
        hits = self.counts.hits
        self.server.clock.advance(2)
        await self.server.store._store.forget()
        claims(await line.ask(self.asking()))
        self.assertEqual(self.counts.hits, hits)

    async def test_inactive_costs_no_signature(self) -> None:
        """Whoever asks about tokens that there are not makes nobody sign: the answer is the same for all."""
        line = await self.taught(self.asking("unknown"))
        made = len(self.made)
        for n in range(20):
            self.assertFalse(claims(await line.ask(self.asking(f"unknown-{n}")))["token_introspection"]["active"])
        self.assertEqual(len(self.made), made)

    async def test_plain_and_signed(self) -> None:
        """Plain and signed answers about the same token do not mix, nor do those of two callers."""
        other = await self.server.client("other", introspection_algorithm="ES256")
        plain = request(INTROSPECT, {"token": self.token}, self.api)
        line = await self.taught(self.asking(), plain, self.asking(caller=other))
        for _ in range(3):
            self.assertEqual(claims(await line.ask(self.asking()))["aud"], "api")
            self.assertEqual(claims(await line.ask(self.asking(caller=other)))["aud"], "other")
            self.assertTrue(json.loads(json_of(await line.ask(plain)))["active"])

    async def test_audience(self) -> None:
        """A token for one resource server is active for that one alone."""
        owner = await self.server.client("owner", introspection_algorithm="ES256", resources=("https://rs.example",))
        token = await self.machine_token(self.app, resource="https://rs.example")
        line = await self.taught(self.asking(token), self.asking(token, owner))
        for _ in range(3):
            self.assertFalse(claims(await line.ask(self.asking(token)))["token_introspection"]["active"])
            self.assertTrue(claims(await line.ask(self.asking(token, owner)))["token_introspection"]["active"])


class KeyTests(SignedCase):
    """Keys come and go."""

    async def signed_by(self, line: Any) -> str:
        """The key that signed the answer."""
        head = json_of(await line.ask(self.asking())).split(b".")[0]
        kid: str = json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))["kid"]
        return kid

    async def test_a_key_that_is_dropped(self) -> None:
        """What a dropped key signed is not repeated: the next answer is signed by its successor."""
        line = await self.taught(self.asking())
        former = await self.signed_by(line)
        await self.server.application.keys.drop(former)
        self.assertNotEqual(await self.signed_by(line), former)

    async def test_a_key_that_is_announced(self) -> None:
        """A new key signs from the second on that it was announced for, whatever was signed a moment before."""
        line = await self.taught(self.asking())
        former = await self.signed_by(line)
        await self.server.application.keys.rotate(announce=2)
        self.assertEqual(await self.signed_by(line), former)
        self.advance(1)
        self.assertEqual(await self.signed_by(line), former)
        self.advance(1)
        self.assertNotEqual(await self.signed_by(line), former)

    async def test_a_client_that_changes(self) -> None:
        """A client that registers another algorithm is answered by it from the next request on."""
        line = await self.taught(self.asking())
        await self.server.application.clients.update("api", partial(replace, introspection_algorithm="PS256"))
        head = json_of(await line.ask(self.asking())).split(b".")[0]
        self.assertEqual(json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))["alg"], "PS256")

    async def test_a_client_that_may_no_more(self) -> None:
        """A client that loses the right to introspect has lost it for signed answers, too."""
        line = await self.taught(self.asking())
        await self.server.application.clients.update("api", partial(replace, introspects=False))
        self.assertIn(b"unauthorized_client", json_of(await line.ask(self.asking())))

    async def test_an_hmac(self) -> None:
        """A client's own secret signs for it, where it has registered that; kept as others are."""
        mac = await self.server.client("mac", introspection_algorithm="HS256")
        line = await self.taught(self.asking(caller=mac))
        answers = {json_of(await line.ask(self.asking(caller=mac))) for _ in range(4)}
        self.assertEqual(len(answers), 1)

    async def test_bounded(self) -> None:
        """However many tokens are asked about, few signatures are kept."""
        self.patch(signed_introspection, "MOST_KEPT", 2)
        line = await self.taught(self.asking())
        for token in self.tokens * 3:
            self.assertTrue(claims(await line.ask(self.asking(token)))["token_introspection"]["active"])
            self.assertLessEqual(len(self.signed._kept), 2)


class DemandTests(SignedCase):
    """Demands beside the token."""

    async def test_from_memory(self) -> None:
        """The same demand is answered from memory, for tokens that meet it and others; the plain question as ever."""
        reading = await self.machine_token(self.app, scope="read")
        other = await self.machine_token(self.app, scope="write")
        asks = [request(INTROSPECT, {"required_scope": "read", "token": one}, self.api) for one in (reading, other)]
        plain = request(INTROSPECT, {"token": other}, self.api)
        line = await self.taught(*asks, plain)
        before = sum(self.told[:2])
        for _ in range(3):
            self.assertTrue(json.loads(json_of(await line.ask(asks[0])))["active"])
            self.assertEqual(json_of(await line.ask(asks[1])), INACTIVE)
            self.assertTrue(json.loads(json_of(await line.ask(plain)))["active"])
        self.assertEqual(sum(self.told[:2]), before + 9)

    async def test_new_tokens(self) -> None:
        """A token that is new is looked up, and held against what is demanded."""
        ask = partial(request, INTROSPECT, app=self.api)
        line = await self.taught(ask({"required_scope": "read", "token": self.token}))
        for scope, is_active in (("read", True), ("write", False)):
            token = await self.machine_token(self.app, scope=scope)
            for _ in range(2):
                told = json.loads(json_of(await line.ask(ask({"required_scope": "read", "token": token}))))
                self.assertEqual(told["active"], is_active)

    async def test_age(self) -> None:
        """A token whose user signed in too long ago becomes inactive at that second, from memory too."""
        alice = await self.server.user()
        token = (await self.server.signed_in(self.app, alice))["access_token"]
        asking = request(INTROSPECT, {"max_age": "3", "token": token}, self.api)
        line = await self.taught(asking)
        for _ in range(3):
            self.advance(1)
            self.assertTrue(json.loads(json_of(await line.ask(asking)))["active"])
        self.advance(1)
        self.assertEqual(json_of(await line.ask(asking)), INACTIVE)

    async def test_revoked(self) -> None:
        """A token that meets the demand and is revoked is inactive at once."""
        asking = request(INTROSPECT, {"required_audience": "http://localhost:8000", "token": self.token}, self.api)
        line = await self.taught(asking)
        self.assertTrue(json.loads(json_of(await line.ask(asking)))["active"])
        await self.end(self.token)
        self.assertEqual(json_of(await line.ask(asking)), INACTIVE)
