"""Backchannel authentication requests in the API: listed, approved and denied by the operator's own application."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from oauthd.protocol import jose
from oauthd.protocol.grant_types import CIBA
from tests.admin.case import AdminCase
from tests.server import ok, together
from tests.wire import Answer

REQUESTS = "/api/v1/backchannel/requests"


class BackchannelTests(AdminCase):
    """A client that asks, a person, and the operator's application."""

    async def prepare(self) -> None:
        """Make them."""
        self.app = await self.server.client(grant_types=(CIBA, "client_credentials"), ciba_mode="poll")
        self.alice = await self.server.user()
        self.device = await self.server.client(
            "device", grant_types=("client_credentials",), scopes=("backchannel",)
        )
        self.devices = await self.own_token(self.device, "backchannel")

    async def begun(self, **form: str) -> str:
        """The auth_req_id of a request."""
        usual = {"scope": "openid", "login_hint": "alice", "binding_message": "W4SCT"}
        answer = await self.server.post("/oauth2/bc-authorize", usual | form, basic=self.app.basic)
        return str(ok(answer)["auth_req_id"])

    async def listed(self, **query: Any) -> list[dict[str, Any]]:
        """What waits."""
        return list((await self.done("GET", REQUESTS, bearer=self.devices, **query))["requests"])

    async def poll(self, auth_req_id: str) -> Answer:
        """A token request."""
        return await self.server.token(self.app, CIBA, auth_req_id=auth_req_id)

    async def say(self, request: dict[str, Any], decision: str, **body: Any) -> Answer:
        """Say what the person has decided."""
        path = f"{REQUESTS}/{request['request_id']}/{decision}"
        return await self.call("POST", path, {"user_id": request["user_id"]} | body, bearer=self.devices)

    async def test_list(self) -> None:
        """What waits is listed with all that a person must see, those that end first before; never an auth_req_id."""
        late = await self.begun()
        soon = await self.begun(requested_expiry="60", scope="openid email", acr_values="a b")
        found = await self.listed()
        now = int(self.server.clock.seconds())
        self.assertEqual([one["expires_at"] for one in found], [now + 60, now + 300])
        self.assertEqual(
            {name: value for name, value in found[0].items() if name != "request_id"},
            {
                "user_id": self.alice.user_id,
                "client_id": "app",
                "client_name": "App",
                "binding_message": "W4SCT",
                "scope": "openid email",
                "audience": [],
                "authorization_details": [],
                "acr_values": ["a", "b"],
                "issued_at": now,
                "expires_at": now + 60,
            },
        )
        for auth_req_id in (late, soon):
            self.assertNotIn(auth_req_id, str(found))
        shown = await self.done("GET", f"{REQUESTS}/{found[0]['request_id']}", bearer=self.devices)
        self.assertEqual(shown, found[0])

    async def test_of_a_user(self) -> None:
        """The list may be of one user alone, and goes on page by page."""
        await self.server.user("bob")
        await self.begun()
        await self.begun(login_hint="bob")
        (request,) = await self.listed(user_id=self.alice.user_id)
        self.assertEqual(request["user_id"], self.alice.user_id)
        self.assertEqual(await self.listed(user_id="nobody"), [])
        page = await self.done("GET", REQUESTS, bearer=self.devices, limit="1")
        rest = await self.done("GET", REQUESTS, bearer=self.devices, cursor=page["next_cursor"])
        self.assertEqual(len(page["requests"]) + len(rest["requests"]), 2)
        answer = await self.call("GET", REQUESTS, bearer=self.devices, cursor="x")
        self.refused(answer, "not_found", 404)

    async def test_approve(self) -> None:
        """The client gets tokens that say how and when the application has authenticated the person."""
        auth_req_id = await self.begun()
        (request,) = await self.listed()
        now = int(self.server.clock.seconds())
        answer = await self.say(request, "approve", acr="urn:example:face", auth_time=now - 3)
        self.assertEqual(answer.status, 204, answer.body)
        claims = jose.peek(ok(await self.poll(auth_req_id))["id_token"])[1]
        self.assertEqual((claims["acr"], claims["auth_time"]), ("urn:example:face", now - 3))
        self.assertEqual(claims["sub"], self.alice.user_id)
        self.assertEqual(await self.listed(), [])
        ((facts),) = self.server.told("ciba.approved")
        self.assertEqual(facts["by_client"], "device")

    async def test_approve_without_more(self) -> None:
        """Where nothing is said of the sign-in, id tokens claim no password."""
        auth_req_id = await self.begun()
        (request,) = await self.listed()
        self.assertEqual((await self.say(request, "approve")).status, 204)
        claims = jose.peek(ok(await self.poll(auth_req_id))["id_token"])[1]
        self.assertEqual(claims["acr"], "urn:oauthd:elsewhere")
        self.assertNotIn("pwd", claims.get("amr", []))
        self.assertEqual(claims["auth_time"], int(self.server.clock.seconds()))

    async def test_deny(self) -> None:
        """The client is told that the person denied it."""
        auth_req_id = await self.begun()
        (request,) = await self.listed()
        self.assertEqual((await self.say(request, "deny")).status, 204)
        self.refused(await self.poll(auth_req_id), "access_denied")

    async def test_said_twice(self) -> None:
        """The same again does no harm, as after a lost reply; the contrary is refused."""
        for decision, contrary in (("approve", "deny"), ("deny", "approve")):
            await self.begun()
            (request,) = await self.listed()
            for _ in range(2):
                self.assertEqual((await self.say(request, decision)).status, 204)
            self.refused(await self.say(request, contrary), "conflict", 409)
            answer = await self.call("GET", f"{REQUESTS}/{request['request_id']}", bearer=self.devices)
            self.refused(answer, "not_found", 404)

    async def test_both_at_once(self) -> None:
        """Of both decisions at the same moment one counts, and the other is told so."""
        auth_req_id = await self.begun()
        (request,) = await self.listed()
        answers = await together([self.say(request, "approve"), self.say(request, "deny")])
        self.assertEqual(sorted(answer.status for answer in answers), [204, 409])
        self.assertEqual((await self.poll(auth_req_id)).status, 200 if answers[0].status == 204 else 400)

    async def test_of_somebody_else(self) -> None:
        """A decision by somebody whom the request is not about is refused, and decides nothing."""
        auth_req_id = await self.begun()
        bob = await self.server.user("bob")
        (request,) = await self.listed()
        for decision in ("approve", "deny"):
            self.refused(await self.say(request, decision, user_id=bob.user_id), "not_found", 404)
        self.refused(await self.poll(auth_req_id), "authorization_pending")

    async def test_over(self) -> None:
        """What has ended, or never was, is not found."""
        await self.begun()
        (request,) = await self.listed()
        self.server.clock.advance(300)
        self.assertEqual(await self.listed(), [])
        for called in (request["request_id"], "0" * 14 + "." + "A" * 43):
            answer = await self.say(request | {"request_id": called}, "approve")
            self.refused(answer, "not_found", 404)

    async def test_deactivated_user(self) -> None:
        """Nobody is signed in who cannot sign in; nothing is given that only an administrator may give."""
        await self.begun()
        (request,) = await self.listed()
        await self.server.application.users.deactivate(self.alice.user_id)
        self.refused(await self.say(request, "approve"), "conflict", 409)
        await self.server.user("bob")
        await self.server.application.clients.update("app", lambda app: replace(app, scopes=("openid", "admin")))
        auth_req_id = await self.begun(login_hint="bob", scope="openid admin")
        (mine,) = [one for one in await self.listed() if one["user_id"] != self.alice.user_id]
        self.refused(await self.say(mine, "approve"), "conflict", 409)
        self.refused(await self.poll(auth_req_id), "authorization_pending")

    async def test_the_future(self) -> None:
        """A sign-in of the future is refused; clocks may differ by a minute."""
        await self.begun()
        (request,) = await self.listed()
        now = int(self.server.clock.seconds())
        self.refused(await self.say(request, "approve", auth_time=now + 61), "conflict", 409)
        self.assertEqual((await self.say(request, "approve", auth_time=now + 60)).status, 204)

    async def test_who_may(self) -> None:
        """A client's own token with the scope may call, and nobody else: no administrator, no user, no other client."""
        await self.begun()
        (request,) = await self.listed()
        path = f"{REQUESTS}/{request['request_id']}/approve"
        body = {"user_id": self.alice.user_id}
        both = await self.server.client(
            "both", grant_types=("password", "client_credentials"), scopes=("openid", "backchannel")
        )
        boss = await self.administrator()
        users = (await self.tokens_of(boss, "backchannel", both))["access_token"]
        for method, place, sent in (("GET", REQUESTS, None), ("POST", path, body)):
            answer = await self.call(method, place, sent, bearer="")
            self.assertEqual(answer.status, 401)
            for bearer in (self.bearer, await self.own_token(both, "openid"), users):
                answer = await self.call(method, place, sent, bearer=bearer)
                self.assertEqual(answer.status, 403, answer.body)
        every = await self.server.client("every", grant_types=("client_credentials",))
        answer = await self.server.token(every, "client_credentials", scope="backchannel")
        self.refused(answer, "invalid_scope")  # reserved: for clients whose scopes name it

    async def test_wrong_bodies(self) -> None:
        """What is not as documented is refused, by name."""
        await self.begun()
        (request,) = await self.listed()
        path = f"{REQUESTS}/{request['request_id']}/approve"
        good = {"user_id": request["user_id"]}
        await self.wrong("POST", path, {}, "user_id", bearer=self.devices)
        await self.wrong("POST", path, good | {"acr": "a b"}, "acr", bearer=self.devices)
        await self.wrong("POST", path, good | {"auth_time": -1}, "auth_time", bearer=self.devices)
        await self.wrong("POST", path, good | {"more": 1}, "more", bearer=self.devices)

    async def test_scope_of_an_older_store(self) -> None:
        """Where the scope is missing it can be made, and is reserved whatever is said."""
        scopes = self.server.application.scopes
        found = next(one for one in (await scopes.all()).scopes if one.name == "backchannel")
        await scopes.delete(found.scope_id)
        made = await self.done("POST", "/api/v1/oauth/scopes", {"name": "backchannel"}, 201)
        self.assertEqual((made["reserved"], made["administrators_only"]), (True, True))
