"""Initial access tokens in the admin API."""

from __future__ import annotations

from typing import Any

from tests.admin.case import AdminCase
from tests.server import REDIRECT

PATH = "/api/v1/oauth/initial-access-tokens"


class InitialAccessTests(AdminCase):
    """/api/v1/oauth/initial-access-tokens"""

    async def register(self, token: str, **more: Any) -> int:
        """Register a client from elsewhere; the status."""
        body = {"redirect_uris": [REDIRECT], **more}
        answer = await self.server.http.request(
            "POST", "/oauth2/register", json_body=body, bearer=token, source="192.0.2.7"
        )
        return answer.status

    async def test_issue(self) -> None:
        """Without a body a token is good for one client and a day; it is told once, and lies nowhere in clear."""
        made = await self.done("POST", PATH, status=201)
        token = made.pop("token")
        self.assertEqual((made["uses"], made["expires_at"] - made["created_at"], made["by"]), (1, 86400, "root"))
        self.assertEqual((await self.done("GET", PATH))["tokens"], [made])
        held = b"".join([key + value for key, value in (await self.server.dump()).items()]).decode("latin-1")
        self.assertNotIn(token, held + repr(self.server.events))
        self.assertEqual([await self.register(token) for _ in range(2)], [201, 401])
        self.assertEqual((await self.done("GET", PATH))["tokens"], [])

    async def test_limits(self) -> None:
        """What is said of its clients is kept, shown, and held."""
        sent = {
            "uses": 5,
            "note": "for the lab",
            "scopes": ["admin"],
            "grant_types": ["client_credentials"],
            "auth_methods": ["client_secret_basic"],
        }
        made = await self.done("POST", PATH, {**sent, "lifetime": 60}, 201)
        self.assertEqual({name: made[name] for name in sent}, sent)
        machine = {"grant_types": ["client_credentials"], "redirect_uris": []}
        self.assertEqual(await self.register(made["token"], **machine, scope="admin"), 201)
        self.assertEqual(await self.register(made["token"]), 400)
        self.assertEqual((await self.done("GET", PATH))["tokens"][0]["uses"], 4)
        self.server.clock.advance(60)
        self.assertEqual(await self.register(made["token"], **machine), 401)

    async def test_revoke(self) -> None:
        """A token that is taken back is no good; one that is not there is 404."""
        made = await self.done("POST", PATH, {"uses": 5}, 201)
        await self.done("DELETE", f"{PATH}/{made['token_id']}", status=204)
        self.assertEqual(await self.register(made["token"]), 401)
        for ident in (made["token_id"], "0" * 32, "x"):
            self.refused(await self.call("DELETE", f"{PATH}/{ident}"), "not_found", 404)
        facts = {"initial_access": made["token_id"], "by_client": "root", "by_user": None}
        self.assertEqual(self.server.told("initial_access.revoked"), [facts])
        self.assertEqual(self.server.told("initial_access.issued"), [facts])

    async def test_wrong(self) -> None:
        """What is out of its form is named, and scopes that there are not."""
        for member, value in (("uses", 0), ("lifetime", 0), ("note", "a\nb"), ("auth_methods", ["magic"])):
            answer = await self.call("POST", PATH, {member: value})
            self.refused(answer, "unprocessable_content", 422)
        await self.wrong("POST", PATH, {"scopes": ["openid", "nonsense"]}, "scopes.1", status=409)

    async def test_administrators_alone(self) -> None:
        """Nobody else issues, sees or takes back such tokens."""
        token = await self.own_token(self.root, "read")
        for method, path in (("POST", PATH), ("GET", PATH), ("DELETE", f"{PATH}/{'0' * 32}")):
            self.refused(await self.call(method, path, bearer=token), "insufficient_scope", 403)
            self.refused(await self.call(method, path, bearer=""), "invalid_token", 401)
