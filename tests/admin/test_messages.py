"""Messages that were given up, in the admin API."""

from __future__ import annotations

from typing import Any

from oauthd.stores.outbox import Note
from tests.admin.case import AdminCase
from tests.receivers import Receiver

MESSAGES = "/api/v1/messages"
TOLD = "https://app.example/told"


class MessageTests(AdminCase):
    """/api/v1/messages"""

    async def prepare(self) -> None:
        """Two clients that refuse what they are told."""
        self.receiver = Receiver()
        self.patch(self.server.application.posting, "agent", self.receiver)
        for name in ("app", "other"):
            await self.server.client(name, backchannel_logout_uri=TOLD)
            await self.tell(name)
        self.receiver.answers = [400, 400]
        await self.server.application.deliveries.turn()
        self.receiver.answers = [200]
        self.receiver.heard.clear()

    async def tell(self, client_id: str) -> None:
        """A sign-out that a client is to be told of."""
        note = Note("logout", client_id, {"user_id": "alice", "session": "very-secret"})
        await self.server.application.outbox.add(note)

    async def listed(self, limit: str = "200") -> list[dict[str, Any]]:
        """All of them."""
        return await self.everything(MESSAGES, "messages", limit=limit)

    async def test_list(self) -> None:
        """They are listed with client and reason, page by page, and never what they say."""
        listed = await self.listed()
        now = int(self.server.clock.seconds())
        self.assertEqual(sorted(one["client_id"] for one in listed), ["app", "other"])
        for one in listed:
            self.assertEqual((one["sort"], one["tries"], one["given_up_at"]), ("logout", 1, now))
            self.assertEqual(one["reason"], "it was answered with status 400")
        self.assertNotIn("secret", str(listed))
        self.assertEqual(await self.listed("1"), listed)
        self.refused(await self.call("GET", MESSAGES, cursor="x"), "not_found", 404)

    async def test_send(self) -> None:
        """One is sent again, made anew, and is not listed any more; it cannot be sent twice."""
        first, second = await self.listed()
        await self.done("POST", f"{MESSAGES}/{first['message_id']}/send", status=204)
        self.assertEqual(await self.listed(), [second])
        await self.server.application.deliveries.turn()
        self.assertEqual([heard.url for heard in self.receiver.heard], [TOLD])
        self.refused(await self.call("POST", f"{MESSAGES}/{first['message_id']}/send"), "not_found", 404)
        (told,) = self.server.told("message.revived")
        self.assertEqual((told["client_id"], told["by_client"]), (first["client_id"], "root"))

    async def test_drop(self) -> None:
        """One is forgotten; and what waits to be sent is neither listed nor forgotten."""
        first, second = await self.listed()
        await self.done("DELETE", f"{MESSAGES}/{first['message_id']}", status=204)
        self.assertEqual(await self.listed(), [second])
        self.refused(await self.call("DELETE", f"{MESSAGES}/{first['message_id']}"), "not_found", 404)
        await self.done("POST", f"{MESSAGES}/{second['message_id']}/send", status=204)
        self.refused(await self.call("DELETE", f"{MESSAGES}/{second['message_id']}"), "not_found", 404)
        await self.server.application.deliveries.turn()
        self.assertEqual(len(self.receiver.heard), 1)
        (told,) = self.server.told("message.dropped")
        self.assertEqual((told["client_id"], told["by_client"]), (first["client_id"], "root"))

    async def test_administrators_alone(self) -> None:
        """Nobody else sees them."""
        bearer = await self.own_token(self.root, "read")
        for method, path in (("GET", ""), ("DELETE", f"/{'x' * 22}"), ("POST", f"/{'x' * 22}/send")):
            self.assertEqual((await self.call(method, MESSAGES + path, bearer=bearer)).status, 403)
            self.assertEqual((await self.call(method, MESSAGES + path, bearer="")).status, 401)
