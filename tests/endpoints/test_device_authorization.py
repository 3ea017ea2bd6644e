"""The device authorization endpoint: no two devices show the same code, and nobody fills the store with them."""

from __future__ import annotations

from msgspec.structs import replace

from oauthd.protocol import user_code
from oauthd.protocol.records import UserCode
from oauthd.stores import kinds
from oauthd.stores.interface import Write
from tests.server import NOW, ServerCase, ok

_CODES = ["BBBBBBBB"] * 3 + ["CCCCCCCC"]


class UserCodeTests(ServerCase):
    """Drawing user codes."""

    async def prepare(self) -> None:
        """A device, and codes that are drawn as the test says."""
        self.app = await self.server.client("tv", public=True)
        self.drawn = list(_CODES)
        self.patch(user_code, "new", lambda entropy: self.drawn.pop(0))

    async def test_a_code_in_use_is_drawn_again(self) -> None:
        """A code that another device shows now is not given out a second time."""
        taken = kinds.user_code("BBBBBBBB")
        await self.server.store.put(Write(taken, UserCode("x" * 14, b"x" * 32, int(NOW) + 100)))
        told = ok(await self.server.post("/oauth2/device_authorize", {"client_id": "tv"}))
        self.assertEqual(told["user_code"], "CCCC-CCCC")

    async def test_a_code_of_the_past_is_free(self) -> None:
        """A code whose device has ended may be drawn again."""
        taken = kinds.user_code("BBBBBBBB")
        await self.server.store.put(Write(taken, UserCode("x" * 14, b"x" * 32, int(NOW) + 100)))
        self.server.clock.advance(100)
        told = ok(await self.server.post("/oauth2/device_authorize", {"client_id": "tv"}))
        self.assertEqual(told["user_code"], "BBBB-BBBB")

    async def test_none_free(self) -> None:
        """When no free code is found the device is told to come back."""
        self.drawn = ["BBBBBBBB"] * 10
        ok(await self.server.post("/oauth2/device_authorize", {"client_id": "tv"}))
        answer = await self.server.post("/oauth2/device_authorize", {"client_id": "tv"})
        self.refused(answer, "temporarily_unavailable", 503)
        self.assertEqual(answer.header("retry-after"), "1")


class FloodTests(ServerCase):
    """Whoever names a public client can begin what is kept until it ends by itself."""

    async def test_by_source(self) -> None:
        """A source whose public clients ask a thousand times in a minute is told to wait; no others are."""
        await self.server.client("tv", public=True)
        box = await self.server.client("box")
        form, path = {"client_id": "tv"}, "/oauth2/device_authorize"
        self.assertEqual((await self.server.post(path, form, source="192.0.2.1")).status, 200)
        tally = kinds.TALLY.at(self.server.application.pushed.seals.digest("devices asked", b"192.0.2.1")[:16])
        (stored,) = await self.server.store.get(tally)
        assert stored is not None
        await self.server.store.put(Write(tally, replace(stored.record, count=1000)))
        self.refused(await self.server.post(path, form, source="192.0.2.1"), "too_many_requests", 429)
        self.assertEqual((await self.server.post(path, form, source="192.0.2.2")).status, 200)
        self.assertEqual((await self.server.post(path, {}, basic=box.basic, source="192.0.2.1")).status, 200)
