"""Signing keys in the admin API."""

from __future__ import annotations

import json
from typing import Any, cast

import attrs

from oauthd.admin.declarations import Call, Caller
from oauthd.admin.keys import MOST, KeysResource
from oauthd.protocol.seals import Seals
from tests.admin.case import KEYS, AdminCase
from tests.server import ok


class KeyTests(AdminCase):
    """/api/v1/keys"""

    async def test_list(self) -> None:
        """The published keys with their stages; nothing private."""
        answer = await self.call("GET", KEYS)
        keys = answer.json()["keys"]
        jwks = ok(await self.server.get("/oauth2/jwks"))["keys"]
        self.assertEqual([key["public"] for key in keys], jwks)
        self.assertEqual({key["stage"] for key in keys}, {"signing"})
        for private in ('"d"', '"p"', '"q"', '"dp"', '"dq"', '"qi"', '"k"', "sealed"):
            self.assertNotIn(private, answer.body.decode())

    async def test_rotate(self) -> None:
        """New keys are announced, then sign, and the old ones verify until they retire."""
        before = (await self.done("GET", KEYS))["keys"]
        after = (await self.done("POST", f"{KEYS}/rotate"))["keys"]
        old = {key["kid"] for key in before}
        announced = [key for key in after if key["kid"] not in old]
        self.assertEqual({key["stage"] for key in announced}, {"announced"})
        self.assertEqual([key["algorithm"] for key in announced], [key["algorithm"] for key in before])
        self.server.clock.advance(self.server.settings.keys.announce)
        self.bearer = await self.own_token(self.root, "admin")
        stages = {key["kid"]: key["stage"] for key in (await self.done("GET", KEYS))["keys"]}
        self.assertEqual({stages[kid] for kid in old}, {"retired"})
        self.assertEqual({stages[key["kid"]] for key in announced}, {"signing"})
        kids = set(str(self.server.told("keys.rotated")[0]["kids"]).split())
        self.assertEqual(kids, {key["kid"] for key in announced})

    async def test_at_once(self) -> None:
        """After a leak the new keys sign at once; tokens of the old ones still verify."""
        after = (await self.done("POST", f"{KEYS}/rotate", {"announce": 0}))["keys"]
        self.assertEqual({key["stage"] for key in after}, {"signing", "retired"})
        self.assertTrue(await self.server.active(self.bearer))

    async def test_too_many(self) -> None:
        """The published set does not grow without end."""
        for _ in range(MOST - 1):
            await self.done("POST", f"{KEYS}/rotate", {"announce": 0})
        await self.wrong("POST", f"{KEYS}/rotate", None, status=409)

    async def test_wrong(self) -> None:
        """An odd time is 422."""
        for announce in (-1, 365 * 86400 + 1, "0", None, 0.5):
            await self.wrong("POST", f"{KEYS}/rotate", {"announce": announce}, "announce")

    async def test_drop(self) -> None:
        """A key that has leaked is gone at once, and another signs in its place; tokens are introspected as before."""
        before = (await self.done("GET", KEYS))["keys"]
        leaked = next(key for key in before if key["algorithm"] == "ES256")
        after = (await self.done("DELETE", f"{KEYS}/{leaked['kid']}"))["keys"]
        self.assertEqual([key["algorithm"] for key in after], [key["algorithm"] for key in before])
        self.assertEqual({key["stage"] for key in after}, {"signing"})
        made = {key["kid"] for key in after} - {key["kid"] for key in before}
        self.assertEqual(len(made), 1)
        published = {key["kid"] for key in ok(await self.server.get("/oauth2/jwks"))["keys"]}
        self.assertEqual(published, {key["kid"] for key in after})
        self.assertTrue(await self.server.active(self.bearer))
        (told,) = self.server.told("keys.dropped")
        self.assertEqual((told["kid"], {told["kids"]}), (leaked["kid"], made))
        for kid in (leaked["kid"], "-", "x" * 129):
            self.refused(await self.call("DELETE", f"{KEYS}/{kid}"), "not_found", 404)

    async def test_reseal(self) -> None:
        """With one master key there is nothing to do; what an older one sealed is sealed with the first."""
        self.assertEqual(await self.done("POST", f"{KEYS}/reseal"), {"keys": 0, "secrets": 0, "clients": 0})
        app = await self.server.client("jwt", auth_method="client_secret_jwt")
        application = self.server.application
        newer = Seals((b"\x07" * 32, bytes(range(32))), self.server.entropy)
        keys, clients = attrs.evolve(application.keys, seals=newer), attrs.evolve(application.clients, seals=newer)
        await keys.open()
        others = len([one for one in (await clients.page(None, 100)).items if one.record.secrets]) - 1
        self.assertGreater(others, 0)
        resource = KeysResource(keys, clients, application.world.events)
        call = Call(cast(Any, None), Caller())
        self.assertEqual(json.loads((await resource.reseal(call)).body), {"keys": 6, "secrets": 1, "clients": others})
        self.assertEqual(json.loads((await resource.reseal(call)).body), {"keys": 0, "secrets": 0, "clients": others})
        alone = attrs.evolve(clients, seals=Seals((b"\x07" * 32,), self.server.entropy))
        record = await alone.find("jwt")
        assert record is not None
        self.assertTrue(alone.knows_secret(record, app.secret))
        self.assertEqual(alone.open_secrets(record), (app.secret.encode(),))
