"""Scopes in the admin API."""

from __future__ import annotations

from oauthd.stores.scopes import FIRST_SCOPES
from tests.admin.case import SCOPES, AdminCase
from tests.server import ok, together

NEXT = len(FIRST_SCOPES) + 4
"""The number of the first scope that a test makes: there are those of the test server besides."""


class ScopeTests(AdminCase):
    """/api/v1/oauth/scopes"""

    async def test_create(self) -> None:
        """As the document shows it: a name and a description; the scope can be asked for at once."""
        answer = await self.call("POST", SCOPES, {"name": "print", "description": "Print photos"})
        self.assertEqual(answer.status, 201)
        made = answer.json()
        expected = {"name": "print", "description": "Print photos", "reserved": False, "administrators_only": False}
        self.assertEqual(made, {"scope_id": NEXT, **expected, "built_in": False})
        self.assertEqual(await self.done("GET", answer.location), made)
        app = await self.server.client()
        self.assertEqual(ok(await self.server.token(app, "client_credentials", scope="print"))["scope"], "print")

    async def test_reserved(self) -> None:
        """A reserved scope is only for clients that list it."""
        await self.done("POST", SCOPES, {"name": "secret", "reserved": True}, 201)
        app = await self.server.client()
        self.refused(await self.server.token(app, "client_credentials", scope="secret"), "invalid_scope")
        entitled = await self.server.client("entitled", scopes=("secret",))
        ok(await self.server.token(entitled, "client_credentials", scope="secret"))

    async def test_wrong(self) -> None:
        """Names by RFC 6749 section 3.3; what is out of form is named."""
        for name in ("", "a b", 'a"b', "a\\b", "a\x7fb", "\u00e9", "x" * 129, 1, None):
            await self.wrong("POST", SCOPES, {"name": name}, "name")
        await self.wrong("POST", SCOPES, {"name": "a", "description": "x\ny"}, "description")
        await self.wrong("POST", SCOPES, {"name": "a", "description": "x" * 301}, "description")
        await self.wrong("POST", SCOPES, {"name": "a", "reserved": None}, "reserved")
        await self.wrong("POST", SCOPES, {"name": "openid"}, "name", status=409)
        await self.wrong("POST", SCOPES, {"name": "a", "scope_id": 5}, "scope_id")

    async def test_numbers(self) -> None:
        """Many at once get numbers of their own, and a number is never given twice."""
        answers = await together(self.call("POST", SCOPES, {"name": f"s{n}"}) for n in range(10))
        numbers = [answer.json()["scope_id"] for answer in answers]
        self.assertEqual(sorted(numbers), list(range(NEXT, NEXT + 10)))
        await self.done("DELETE", f"{SCOPES}/{NEXT + 9}", status=204)
        self.assertEqual((await self.done("POST", SCOPES, {"name": "next"}, 201))["scope_id"], NEXT + 10)

    async def test_update(self) -> None:
        """What is sent changes, the name cannot."""
        made = await self.done("POST", SCOPES, {"name": "print", "description": "d"}, 201)
        path = f"{SCOPES}/{made['scope_id']}"
        after = await self.done("PUT", path, {"description": "Print", "reserved": True})
        self.assertEqual(after, made | {"description": "Print", "reserved": True})
        self.assertEqual(await self.done("PUT", path, {}), after)
        await self.wrong("PUT", path, {"name": "other"}, "name")
        self.refused(await self.call("PUT", f"{SCOPES}/99", {"description": "x"}), "not_found", 404)

    async def test_built_in(self) -> None:
        """Of the scopes of the first start only the description changes, and none is deleted."""
        listed = (await self.done("GET", SCOPES))["scopes"]
        built_in = [scope for scope in listed if scope["built_in"]]
        self.assertEqual([scope["name"] for scope in built_in], [name for name, *_ in FIRST_SCOPES])
        for scope in built_in:
            path = f"{SCOPES}/{scope['scope_id']}"
            changed = {name: not scope[name] for name in ("reserved", "administrators_only")}
            await self.wrong("PUT", path, changed | {"description": "new"}, *changed, status=409)
            await self.wrong("DELETE", path, None, status=409)
            self.assertEqual(await self.done("GET", path), scope)
            same = {name: scope[name] for name in changed}
            self.assertEqual((await self.done("PUT", path, same | {"description": "new"}))["description"], "new")

    async def test_delete(self) -> None:
        """Nothing new is granted for a deleted scope; the token that has it lives on."""
        app = await self.server.client()
        token = await self.own_token(app, "read")
        scopes = (await self.done("GET", SCOPES))["scopes"]
        number = next(scope["scope_id"] for scope in scopes if scope["name"] == "read")
        await self.done("DELETE", f"{SCOPES}/{number}", status=204)
        self.refused(await self.server.token(app, "client_credentials", scope="read"), "invalid_scope")
        self.assertTrue(await self.server.active(token))
        for method in ("GET", "DELETE"):
            self.refused(await self.call(method, f"{SCOPES}/{number}"), "not_found", 404)
        self.assertEqual(self.server.told("scope.deleted"), [{"scope": "read", "by_client": "root", "by_user": None}])
