"""Tokens in the admin API."""

from __future__ import annotations

import base64
import json
from typing import Any

from oauthd.admin.tokens import CLIENTS_A_PAGE
from oauthd.stores import kinds
from oauthd.stores.tokens import token_id
from tests.admin.case import TOKENS, AdminCase
from tests.server import App, ok
from tests.wire import Answer

REVOKE = f"{TOKENS}/revoke"


class ListTests(AdminCase):
    """GET /api/v1/oauth/tokens"""

    async def asking(self, limit: str = "200", **query: str) -> list[dict[str, Any]]:
        """Every listed token, page by page."""
        return await self.everything(TOKENS, "tokens", limit=limit, **query)

    async def test_what_is_told(self) -> None:
        """Kind, client, user, scope, audience and times, and never the value."""
        api = "https://api.example/"
        await self.server.client("owner", resources=(api,))
        app, alice = await self.server.client(), await self.server.user()
        signed_in = await self.server.signed_in(app, alice, scope="openid read")
        machine = ok(await self.server.token(app, "client_credentials", scope="read", resource=api))
        listed = await self.asking(client_id="app")
        now = int(self.server.clock.seconds())
        grant_id = next(one["grant_id"] for one in listed if one["kind"] == "refresh")
        self.assertTrue(grant_id)
        common = {"client_id": "app", "issued_at": now}
        user = {"user_id": alice.user_id, "username": "alice", "scope": "openid read", "audience": []}
        user |= {"grant_id": grant_id}
        own = {"grant_id": None, "user_id": None, "username": None, "scope": "read", "audience": [api]}
        tokens = self.server.settings.tokens
        expected = [
            {"kind": "access", "expires_at": now + tokens.access_lifetime, **common, **user},
            {"kind": "access", "expires_at": now + tokens.access_lifetime, **common, **own},
            {"kind": "refresh", "expires_at": now + tokens.refresh_idle, **common, **user},
        ]
        told = [{name: value for name, value in one.items() if name != "token_id"} for one in listed]
        self.assertCountEqual(told, expected)
        page = json.dumps(listed)
        for value in (signed_in["access_token"], signed_in["refresh_token"], machine["access_token"]):
            self.assertNotIn(value, page)
            self.assertNotIn(value[-20:], page)

    async def test_filters(self) -> None:
        """By client, user, kind and all of them, with pages of any size; without a filter every token of everybody."""
        apps = [await self.server.client(f"app{n}") for n in range(3)]
        people = [await self.server.user(f"user{n}") for n in range(2)]
        for app in apps:
            for person in people:
                await self.server.signed_in(app, person)
        for limit in ("1", "2", "5", "200"):
            self.assertEqual(len(await self.asking(limit)), 1 + 12)
            self.assertEqual(len(await self.asking(limit, kind="refresh")), 6)
            self.assertEqual(len(await self.asking(limit, client_id="app1")), 4)
            self.assertEqual(len(await self.asking(limit, client_id="app1", kind="access")), 2)
            user_id = people[0].user_id
            found = await self.asking(limit, user_id=user_id)
            self.assertEqual({one["user_id"] for one in found}, {user_id})
            self.assertEqual(len(found), 6)
            self.assertEqual(len({one["token_id"] for one in found}), 6)
            self.assertEqual(len(await self.asking(limit, user_id=user_id, client_id="app2", kind="access")), 1)
        self.assertEqual(await self.asking(client_id="nobody"), [])
        self.assertEqual(await self.asking(user_id="nobody"), [])
        await self.wrong("GET", TOKENS, None, "kind", kind="id")
        await self.wrong("GET", TOKENS, None, "token", token=self.bearer)

    async def test_only_live_ones(self) -> None:
        """Expired, revoked and rotated tokens are not listed, nor those of ended users and clients."""
        app, alice = await self.server.client(), await self.server.user()
        signed_in = await self.server.signed_in(app, alice)
        ok(await self.server.refresh(app, signed_in["refresh_token"]))
        self.assertEqual(len(await self.asking(client_id="app", kind="refresh")), 1)
        self.server.clock.advance(1800)
        self.bearer = await self.own_token(self.root, "admin")
        self.assertEqual([one["kind"] for one in await self.asking(client_id="app")], ["refresh"])
        await self.done("DELETE", f"/api/v1/users/{alice.user_id}", status=204)
        self.assertEqual(await self.asking(client_id="app"), [])
        self.assertEqual(await self.asking(user_id=alice.user_id), [])

    async def test_many_clients(self) -> None:
        """The unfiltered list gets past many clients that have no token."""
        for n in range(CLIENTS_A_PAGE + 5):
            await self.server.client(f"c{n}", public=True)
        last = await self.server.client("last")
        await self.own_token(last, "read")
        first = await self.done("GET", TOKENS)
        self.assertIsNotNone(first["next_cursor"])
        self.assertEqual([one["client_id"] for one in await self.asking()], ["root", "last"])

    async def test_forged_cursors(self) -> None:
        """A made-up place among the clients is 404, or shows what the caller may see anyway."""
        app = await self.server.client()
        for _ in range(3):
            await self.own_token(app, "read")
        real = (await self.done("GET", f"{TOKENS}?limit=2"))["next_cursor"]
        after, client_id, within = json.loads(base64.urlsafe_b64decode(real + "=" * (-len(real) % 4)))
        self.assertEqual(client_id, "app")

        def forged(*parts: Any) -> str:
            return base64.urlsafe_b64encode(json.dumps(list(parts)).encode()).rstrip(b"=").decode()

        self.assertEqual(forged(after, client_id, within), real)
        for parts in [
            (after, "root", within),
            (after, "app", "x"),
            ("x", "", ""),
            ("", "", ""),
            ("-", "", ""),
            (after, "app"),
            (after, "app", within, ""),
            (after, 1, within),
            (after, "x" * 256, ""),
            (after, "}{*\x00", within),
        ]:  # fmt: skip
            self.refused(await self.call("GET", TOKENS, cursor=forged(*parts)), "not_found", 404)
        for cursor in (real + "=", real[:-1], forged(after, client_id, within)[1:], "W10"):
            answer = await self.call("GET", TOKENS, cursor=cursor)
            self.assertIn(answer.status, (404, 422))
        elsewhere = await self.done("GET", TOKENS, cursor=forged(after, "nobody", ""))
        self.assertEqual(elsewhere, {"tokens": [], "next_cursor": None})


class DeleteTests(AdminCase):
    """DELETE /api/v1/oauth/tokens/{token_id}"""

    async def test_access_token(self) -> None:
        """An access token ends itself alone; again it is 404."""
        app = await self.server.client()
        signed_in = await self.server.signed_in(app, await self.server.user())
        (listed,) = await self.everything(TOKENS, "tokens", client_id="app", kind="access")
        await self.done("DELETE", f"{TOKENS}/{listed['token_id']}", status=204)
        self.assertFalse(await self.server.active(signed_in["access_token"]))
        ok(await self.server.refresh(app, signed_in["refresh_token"]))
        self.refused(await self.call("DELETE", f"{TOKENS}/{listed['token_id']}"), "not_found", 404)
        self.assertEqual(self.server.told("token.revoked")[0]["by_client"], "root")

    async def test_refresh_token(self) -> None:
        """A refresh token ends its grant."""
        app = await self.server.client()
        signed_in = await self.server.signed_in(app, await self.server.user())
        other = await self.server.signed_in(app, await self.server.user("bob"))
        listed = await self.everything(TOKENS, "tokens", client_id="app", kind="refresh")
        named = next(one for one in listed if one["username"] == "alice")
        await self.done("DELETE", f"{TOKENS}/{named['token_id']}", status=204)
        self.assertFalse(await self.server.active(signed_in["access_token"]))
        self.refused(await self.server.refresh(app, signed_in["refresh_token"]), "invalid_grant")
        self.assertTrue(await self.server.active(other["access_token"]))

    async def test_unknown(self) -> None:
        """Ids of nothing, and of other things than tokens, are 404 and end nothing."""
        app, alice = await self.server.client(), await self.server.user()
        code = await self.server.code(app, alice)
        grant_id = code[4:18]
        session = "a" * 43
        for odd in (
            "x",
            f"a.{session}",
            f"r{grant_id}.{session}",
            f"g{grant_id}.",
            f"c{grant_id}.{session}",
            f"s.{session}",
            "a." + "A" * 1000,
            token_id(kinds.code(grant_id, code)),
            token_id(kinds.client("root")),
            self.bearer,
        ):
            self.refused(await self.call("DELETE", f"{TOKENS}/{odd}"), "not_found", 404)
        ok(await self.server.redeem(app, code))


class RevokeAllTests(AdminCase):
    """DELETE /api/v1/oauth/tokens"""

    async def tokens(self) -> list[tuple[str, str, str]]:
        """Client, user and access token of two of each."""
        self.apps: list[App] = [await self.server.client(f"app{n}") for n in range(2)]
        self.people = [await self.server.user(f"user{n}") for n in range(2)]
        return [
            (app.client_id, person.user_id, (await self.server.signed_in(app, person))["access_token"])
            for app in self.apps
            for person in self.people
        ]

    async def test_of_a_client(self) -> None:
        """Every token of one client, nobody else's."""
        tokens = await self.tokens()
        await self.done("DELETE", TOKENS, status=204, client_id="app0")
        for client_id, _, token in tokens:
            self.assertEqual(await self.server.active(token), client_id != "app0")
        self.assertEqual(self.server.told("revoked.client")[0]["client_id"], "app0")

    async def test_of_a_user(self) -> None:
        """Every token and session of one user, nobody else's."""
        tokens = await self.tokens()
        gone = self.people[0].user_id
        browser = self.server.browser()
        await self.server.signed_in(self.apps[0], self.people[0], browser=browser)
        await self.done("DELETE", TOKENS, status=204, user_id=gone)
        for _, user_id, token in tokens:
            self.assertEqual(await self.server.active(token), user_id != gone)
        page = await browser.open("/oauth2/authorize", self.server.asking(self.apps[0]))
        self.assertIn("password", [name for form in page.forms for name in form.fields])

    async def test_of_a_grant(self) -> None:
        """Every token of one grant, as its list names it; the refresh token too, and nobody else's."""
        tokens = await self.tokens()
        listed = await self.everything(TOKENS, "tokens", client_id="app0", user_id=self.people[0].user_id)
        (grant_id,) = {one["grant_id"] for one in listed}
        self.assertEqual(len(listed), 2)
        await self.done("DELETE", TOKENS, status=204, grant_id=grant_id)
        for client_id, user_id, token in tokens:
            self.assertEqual(await self.server.active(token), (client_id, user_id) != ("app0", self.people[0].user_id))
        self.assertEqual(self.server.told("grant.ended")[0]["client_id"], "app0")
        self.refused(await self.call("DELETE", TOKENS, grant_id=grant_id), "not_found", 404)

    async def test_for_a_resource(self) -> None:
        """Every access token for one resource; grants go on, and give new ones."""
        apis = ("https://one.example/", "https://two.example/")
        owner, app = await self.server.client("owner", resources=apis), await self.server.client("app")
        signed_in = await self.server.signed_in(app, await self.server.user(), resource=apis[0])
        machines = [
            ok(await self.server.token(app, "client_credentials", resource=api))["access_token"] for api in apis
        ]
        await self.done("DELETE", TOKENS, status=204, resource=apis[0])
        for token, lives in ((signed_in["access_token"], False), (machines[0], False), (machines[1], True)):
            self.assertEqual(await self.server.active(token, owner), lives)
        self.assertEqual(self.server.told("revoked.resource")[0]["resource"], apis[0])
        again = ok(await self.server.token(app, "refresh_token", refresh_token=signed_in["refresh_token"]))
        machine = ok(await self.server.token(app, "client_credentials", resource=apis[0]))
        for answer in (again, machine):
            self.assertTrue(await self.server.active(answer["access_token"], owner))
        listed = await self.everything(TOKENS, "tokens", client_id="app", kind="access")
        self.assertEqual(len(listed), 3)

    async def test_everything(self) -> None:
        """Every token of everybody, the administrator's own too."""
        tokens = await self.tokens()
        await self.done("DELETE", TOKENS, status=204, all="true")
        self.refused(await self.call("GET", TOKENS), "invalid_token", 401)
        for _, _, token in tokens:
            self.assertFalse(await self.server.active(token))
        self.bearer = await self.own_token(self.root, "admin")
        await self.done("GET", TOKENS)

    async def test_refusals(self) -> None:
        """Exactly one thing must be named; an unknown client or user is 404. Nothing ends."""
        token = (await self.tokens())[0][2]
        which = ("all", "client_id", "grant_id", "resource", "user_id")
        await self.wrong("DELETE", TOKENS, None, *which)
        await self.wrong("DELETE", TOKENS, None, *which, client_id="app0", user_id=self.people[0].user_id)
        await self.wrong("DELETE", TOKENS, None, *which, client_id="app0", all="true")
        for value in ("false", "1", "", "True"):
            await self.wrong("DELETE", TOKENS, None, "all", all=value)
        await self.wrong("DELETE", TOKENS, None, "kind", all="true", kind="access")
        for named in (
            {"client_id": "nobody"}, {"user_id": "nobody"}, {"grant_id": "nobody"}, {"resource": "https://no.example"},
        ):  # fmt: skip
            self.refused(await self.call("DELETE", TOKENS, **named), "not_found", 404)
        self.assertTrue(await self.server.active(token))


class RevokeTests(AdminCase):
    """POST /api/v1/oauth/tokens/revoke"""

    async def asked(self, body: dict[str, str], app: App | None, as_form: bool) -> Answer:
        """A revocation request by a client, in JSON or as a form."""
        basic = app.basic if app else None
        if as_form:
            return await self.server.post(REVOKE, body, basic=basic)
        return await self.server.http.request("POST", REVOKE, json_body=body, basic_auth=basic)

    async def test_own_tokens(self) -> None:
        """A client ends its own tokens, in JSON and as a form, by Basic, by members, and as a public client."""
        app, public = await self.server.client(), await self.server.client("public", public=True)
        alice = await self.server.user()
        for as_form in (False, True):
            token = await self.own_token(app, "read")
            answer = await self.asked({"token": token, "token_type_hint": "access_token"}, app, as_form)
            self.assertEqual((answer.status, answer.body), (200, b""))
            self.assertFalse(await self.server.active(token))
            token = await self.own_token(app, "read")
            by_members = {"token": token, "client_id": app.client_id, "client_secret": app.secret}
            self.assertEqual((await self.asked(by_members, None, as_form)).status, 200)
            self.assertFalse(await self.server.active(token))
            signed_in = await self.server.signed_in(public, alice)
            bare = {"token": signed_in["refresh_token"], "client_id": "public"}
            self.assertEqual((await self.asked(bare, None, as_form)).status, 200)
            self.assertFalse(await self.server.active(signed_in["access_token"]))

    async def test_another_clients_token(self) -> None:
        """Another client's token is answered 200 like an unknown one, and lives on."""
        app, other = await self.server.client(), await self.server.client("other")
        signed_in = await self.server.signed_in(app, await self.server.user())
        for as_form in (False, True):
            for value in (signed_in["access_token"], signed_in["refresh_token"], "nonsense"):
                self.assertEqual((await self.asked({"token": value}, other, as_form)).status, 200)
        self.assertTrue(await self.server.active(signed_in["access_token"]))
        ok(await self.server.refresh(app, signed_in["refresh_token"]))

    async def test_nobody(self) -> None:
        """Without credentials, or with wrong ones, it is 401 and nothing ends."""
        app = await self.server.client()
        token = await self.own_token(app, "read")
        for as_form in (False, True):
            for body in ({}, {"client_id": "app"}, {"client_id": "app", "client_secret": "wrong"}):
                self.refused(await self.asked({"token": token, **body}, None, as_form), "invalid_client", 401)
        self.assertTrue(await self.server.active(token))

    async def test_administrator(self) -> None:
        """An administrator's token ends anybody's, by value; a refresh token ends its grant."""
        app, alice = await self.server.client(), await self.server.user()
        signed_in = await self.server.signed_in(app, alice)
        answer = await self.call("POST", REVOKE, {"token": signed_in["access_token"]})
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertFalse(await self.server.active(signed_in["access_token"]))
        answer = await self.server.post(REVOKE, {"token": signed_in["refresh_token"]}, bearer=self.bearer)
        self.assertEqual(answer.status, 200)
        self.refused(await self.server.refresh(app, signed_in["refresh_token"]), "invalid_grant")
        self.assertEqual((await self.call("POST", REVOKE, {"token": "nonsense"})).status, 200)

    async def test_other_bearers(self) -> None:
        """An access token without the scope admin ends nothing, not even itself; nor does one beside credentials."""
        app = await self.server.client()
        token = await self.own_token(app, "read")
        answer = await self.call("POST", REVOKE, {"token": token}, bearer=token)
        self.refused(answer, "insufficient_scope", 403)
        self.refused(await self.call("POST", REVOKE, {"token": token}, bearer="nonsense"), "invalid_token", 401)
        both = {"token": token, "client_id": "app", "client_secret": app.secret}
        self.refused(await self.call("POST", REVOKE, both), "invalid_client", 401)
        self.assertTrue(await self.server.active(token))

    async def test_forms(self) -> None:
        """A missing or odd token is 422 in JSON; a form's unknown parameters are ignored, repeated ones refused."""
        for value in ("", None, 1, "a b", "x" * 16385):
            await self.wrong("POST", REVOKE, {"token": value}, "token")
        await self.wrong("POST", REVOKE, {}, "token")
        await self.wrong("POST", REVOKE, {"token": "x", "colour": "red"}, "colour")
        answer = await self.server.post(REVOKE, {"token": "x", "colour": "red"}, bearer=self.bearer)
        self.assertEqual(answer.status, 200)
        answer = await self.server.post(REVOKE, [("token", "x"), ("token", "y")], bearer=self.bearer)
        self.refused(answer, "invalid_request")
