"""RFC 6585, Additional HTTP Status Codes: section 4, too many requests."""

from __future__ import annotations

from oauthd.config import LimitSettings
from tests.server import ServerCase
from tests.wire import Answer

AWAY = "203.0.113.7"


class Section4Tests(ServerCase):
    """429 Too Many Requests."""

    sections = {"limits": LimitSettings(client_rate=1, client_burst=2, source_rate=1, source_burst=50)}

    async def asked(self, path: str = "/oauth2/token", **form: str) -> Answer:
        """The answer to a request of the client."""
        form = form or {"grant_type": "client_credentials"}
        return await self.server.post(path, form, basic=self.app.basic, source=AWAY)

    async def limited(self, path: str = "/oauth2/token", **form: str) -> Answer:
        """The answer to one request too many."""
        for _ in range(3):
            answer = await self.asked(path, **form)
        return answer

    async def prepare(self) -> None:
        """A client."""
        self.app = await self.server.client("app")

    async def test_details(self) -> None:
        """The response explains the condition, in the form that errors of OAuth have."""
        answer = await self.limited()
        self.assertEqual(answer.status, 429)
        self.assertEqual(answer.header("content-type"), "application/json")
        told = answer.json()
        self.assertEqual(told["error"], "too_many_requests")
        self.assertEqual(told["error_description"], told["detail"])
        self.assertIn("too many requests", told["detail"])

    async def test_retry_after(self) -> None:
        """It says in whole seconds how long to wait, and who waits so long is answered."""
        answer = await self.limited("/oauth2/revoke", token="x")
        self.assertRegex(answer.header("retry-after"), r"\A[1-9][0-9]*\Z")
        self.server.clock.advance(int(answer.header("retry-after")))
        self.assertEqual((await self.asked()).status, 200)
        self.assertEqual((await self.asked()).status, 429)

    async def test_never_stored(self) -> None:
        """No cache may store it, whatever may be stored of the same address."""
        for _ in range(51):
            answer = await self.server.get("/oauth2/jwks", source=AWAY)
        self.assertEqual((answer.status, answer.header("cache-control")), (429, "no-store"))

    async def test_others_are_answered(self) -> None:
        """The limit of one is nobody else's."""
        await self.limited()
        other = await self.server.client("other")
        answer = await self.server.post(
            "/oauth2/token", {"grant_type": "client_credentials"}, basic=other.basic, source=AWAY
        )
        self.assertEqual(answer.status, 200)
