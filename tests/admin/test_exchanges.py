"""Rules by which a client may exchange tokens, in the admin API."""

from __future__ import annotations

from typing import Any

from oauthd.protocol.grant_types import TOKEN_EXCHANGE
from tests.admin.case import CLIENTS, AdminCase
from tests.server import ok

FULL: dict[str, Any] = {
    "from": "app",
    "tokens": ["access_token", "id_token"],
    "audience": ["https://files.example/v1", "files"],
    "scope": ["read"],
    "act": "both",
    "actors": ["agent"],
    "refresh": False,
}


class ExchangesTests(AdminCase):
    """The member `exchanges`."""

    async def made(self, **members: Any) -> dict[str, Any]:
        """A client that may use the grant."""
        body = {"name": "Gateway", "client_id": "gateway", "grant_types": [TOKEN_EXCHANGE], **members}
        answer = await self.call("POST", CLIENTS, body)
        self.assertEqual(answer.status, 201, answer.body)
        made: dict[str, Any] = answer.json()
        return made

    async def test_kept_and_shown(self) -> None:
        """Rules are shown as they were sent, with the defaults of what was left out."""
        made = await self.made(exchanges=[FULL, {"from": "*"}])
        default = {
            "from": "*", "tokens": ["access_token", "jwt"], "audience": [], "scope": None, "act": "delegate",
            "actors": [], "refresh": False,
        }  # fmt: skip
        self.assertEqual(made["exchanges"], [FULL, default])
        self.assertEqual(ok(await self.call("GET", f"{CLIENTS}/gateway"))["exchanges"], [FULL, default])

    async def test_none_at_first(self) -> None:
        """A new client has none, and an update that does not speak of them leaves them."""
        self.assertEqual((await self.made())["exchanges"], [])
        ok(await self.call("PUT", f"{CLIENTS}/gateway", {"exchanges": [FULL]}))
        self.assertEqual(ok(await self.call("PUT", f"{CLIENTS}/gateway", {"name": "G"}))["exchanges"], [FULL])
        self.assertEqual(ok(await self.call("PUT", f"{CLIENTS}/gateway", {"exchanges": []}))["exchanges"], [])

    async def test_refused(self) -> None:
        """Rules that are none are refused by the name of what is wrong; more than fifty, too."""
        for rules, place in (
            ([{}], "exchanges.0.from"),
            ([FULL | {"act": "x"}], "exchanges.0.act"),
            ([FULL, "x"], "exchanges.1"),
            ([FULL] * 51, "exchanges"),
            ({}, "exchanges"),
            (None, "exchanges"),
        ):
            answer = await self.call("POST", CLIENTS, {"name": "G", "exchanges": rules})
            self.assertEqual((answer.status, list(answer.json()["errors"])), (422, [place]), answer.body)

    async def test_public_clients(self) -> None:
        """A public client has neither the grant nor rules, when it is made and afterwards."""
        public = {"name": "P", "client_id": "p", "client_type": "public"}
        for more in ({"exchanges": [FULL]}, {"grant_types": [TOKEN_EXCHANGE]}):
            self.assertEqual((await self.call("POST", CLIENTS, public | more)).status, 422)
        self.assertEqual((await self.call("POST", CLIENTS, public)).status, 201)
        for more, place in (({"exchanges": [FULL]}, "exchanges"), ({"grant_types": [TOKEN_EXCHANGE]}, "grant_types")):
            answer = await self.call("PUT", f"{CLIENTS}/p", more)
            self.assertEqual((answer.status, list(answer.json()["errors"])), (409, [place]))
