"""Sessions in the admin API."""

from __future__ import annotations

from typing import Any

from oauthd.protocol.grant_types import CIBA
from tests.admin.case import USERS, AdminCase
from tests.server import ok

SESSIONS = "/api/v1/sessions"


class SessionTests(AdminCase):
    """/api/v1/users/<user_id>/sessions and /api/v1/sessions/<session_id>"""

    async def prepare(self) -> None:
        """Somebody who is signed in twice, with tokens of each session and one without."""
        await super().prepare()
        self.app, self.alice = await self.server.client(), await self.server.user()
        self.browsers = [self.server.browser() for _ in range(2)]
        self.tokens = [
            await self.server.signed_in(self.app, self.alice, browser=browser, scope="openid offline_access")
            for browser in self.browsers
        ]

    async def listed(self, limit: str = "200") -> list[dict[str, Any]]:
        """All of alice's sessions."""
        return await self.everything(f"{USERS}/{self.alice.user_id}/sessions", "sessions", limit=limit)

    async def test_list(self) -> None:
        """Each browser is one, with its clients; nothing told of it is its cookie, nor opens anything."""
        listed = await self.listed()
        now = int(self.server.clock.seconds())
        self.assertEqual([(one["user_id"], one["signed_in_at"]) for one in listed], [(self.alice.user_id, now)] * 2)
        self.assertEqual([one["clients"] for one in listed], [["app"]] * 2)
        self.assertEqual(len({one["session_id"] for one in listed}), 2)
        for value in (value for browser in self.browsers for value in browser.cookies.values()):
            self.assertNotIn(value, str(listed))
        self.assertEqual(await self.listed("1"), listed)

    async def test_end(self) -> None:
        """Its browser is signed out and every token given in it is dead, offline ones too; another session goes on."""
        ended, stays = await self.listed()
        await self.done("DELETE", f"{SESSIONS}/{ended['session_id']}", status=204)
        self.assertEqual(await self.listed(), [stays])
        alive = [await self.server.active(one["access_token"]) for one in self.tokens]
        self.assertEqual(sorted(alive), [False, True])
        gone = alive.index(False)
        refreshed = await self.server.refresh(self.app, self.tokens[gone]["refresh_token"])
        self.refused(refreshed, "invalid_grant", 400)
        ok(await self.server.refresh(self.app, self.tokens[1 - gone]["refresh_token"]))
        page = await self.browsers[gone].open("/oauth2/authorize", self.server.asking(self.app))
        self.assertIn("password", [name for form in page.forms for name in form.fields])
        told = self.server.told("revoked.session")[0]
        self.assertEqual((told["user_id"], told["by_client"]), (self.alice.user_id, "root"))

    async def test_end_of_what_was_approved_in_it(self) -> None:
        """What a person allowed to a client that asked by the back channel ends with the session, too."""
        told: dict[str, Any] = {"grant_types": (CIBA, "refresh_token"), "ciba_mode": "poll"}
        caller, browser = await self.server.client("caller", **told), self.server.browser()
        bob = await self.server.user("bob")
        form = {"scope": "openid", "login_hint": "bob"}
        asked = ok(await self.server.post("/oauth2/bc-authorize", form, basic=caller.basic))
        page = await browser.sign_in(await browser.open("/requests"), bob)
        link = next(part for part in page.text.split('"') if "request=" in part)
        await browser.submit(await browser.open(link.replace("&amp;", "&")), "allow")
        tokens = ok(await self.server.token(caller, CIBA, auth_req_id=asked["auth_req_id"]))
        (session,) = (await self.done("GET", f"{USERS}/{bob.user_id}/sessions"))["sessions"]
        await self.done("DELETE", f"{SESSIONS}/{session['session_id']}", status=204)
        self.assertFalse(await self.server.active(tokens["access_token"]))

    async def test_dead_ones(self) -> None:
        """What has ended with its user's generation is not listed, and cannot be ended again."""
        before = await self.listed()
        await self.server.application.tokens.end_all_of_user(self.alice.user_id)
        self.assertEqual(await self.listed(), [])
        for one in before:
            self.refused(await self.call("DELETE", f"{SESSIONS}/{one['session_id']}"), "not_found", 404)

    async def test_unknown(self) -> None:
        """A session or user that there is not is 404, and nothing ends."""
        for identifier in ("A" * 43, "-" * 43, "_" * 43):
            self.refused(await self.call("DELETE", f"{SESSIONS}/{identifier}"), "not_found", 404)
        self.refused(await self.call("GET", f"{USERS}/nobody/sessions"), "not_found", 404)
        for identifier in ("A" * 42, "A" * 44, "%00" * 43):
            self.assertIn((await self.call("DELETE", f"{SESSIONS}/{identifier}")).status, (400, 404, 422))
        self.assertEqual(len(await self.listed()), 2)
