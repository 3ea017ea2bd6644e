"""Who may call the admin API, and in which order a call is judged (RFC 6750 section 3)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from oauthd.admin.declarations import AdminEndpoint, Who
from oauthd.protocol.records import Scope
from oauthd.web.routes import ROUTES
from tests.admin.case import CLIENTS, PROFILE, SCOPES, TOKENS, USERS, AdminCase
from tests.server import PASSWORD, ok


class AccessTests(AdminCase):
    """Tokens, scopes and roles."""

    def operations(self, who: Who) -> list[tuple[str, str]]:
        """Method and a path of every operation for such callers."""
        found = []
        for route in ROUTES:
            for method, name in route.endpoints.items():
                endpoint = self.server.application.endpoints.get(name)
                if isinstance(endpoint, AdminEndpoint) and endpoint.operation.who is who:
                    path = route.paths[0]
                    for argument in ("client_id", "user_id", "scope_id", "token_id"):
                        path = path.replace(f"<{argument}>", "1")
                    found.append((method, path))
        return found

    async def test_no_token(self) -> None:
        """Without a token every operation is 401 with a challenge that names no error, whatever else is wrong."""
        for method, path in self.operations(Who.ADMINISTRATOR) + self.operations(Who.OWNER):
            answer = await self.call(method, path, {"nonsense": 1}, bearer="", nonsense="1")
            self.refused(answer, "invalid_token", 401)
            self.assertEqual(answer.header("www-authenticate").split()[0], "Bearer")
            self.assertNotIn("error=", answer.header("www-authenticate"))

    async def test_bad_tokens(self) -> None:
        """Unknown, malformed and truncated tokens are 401 invalid_token at every operation."""
        for method, path in self.operations(Who.ADMINISTRATOR) + self.operations(Who.OWNER):
            for bad in ("x", self.bearer[:-2], "~" * 5000):
                answer = await self.call(method, path, {"nonsense": 1}, bearer=bad)
                self.refused(answer, "invalid_token", 401)
                self.assertIn('error="invalid_token"', answer.header("www-authenticate"))

    async def test_scope(self) -> None:
        """A token without the scope is 403 insufficient_scope, which names the scope; nothing is told before that."""
        token = await self.own_token(self.root, "read read_write")
        for method, path in self.operations(Who.ADMINISTRATOR):
            answer = await self.call(method, path, {"nonsense": 1}, bearer=token, nonsense="1")
            self.refused(answer, "insufficient_scope", 403)
            self.assertIn('scope="admin"', answer.header("www-authenticate"))

    async def test_account_is_not_admin(self) -> None:
        """A user's token with the scope account does not administer, and one with admin alone is no profile's."""
        boss = await self.administrator()
        account = await self.token_of(boss, "account")
        self.refused(await self.call("GET", USERS, bearer=account), "insufficient_scope", 403)
        admin = await self.token_of(boss, "admin")
        self.refused(await self.call("GET", PROFILE, bearer=admin), "insufficient_scope", 403)

    async def test_administrators_token(self) -> None:
        """An administrator's own token administers."""
        boss = await self.administrator()
        await self.done("GET", CLIENTS, bearer=await self.token_of(boss, "admin"))

    async def test_role_is_looked_at(self) -> None:
        """A token with the scope admin of a user who has not the role is refused, even if it outlived its end."""
        boss, other = await self.administrator(), await self.administrator("other")
        token = await self.token_of(other, "admin")
        users = self.server.application.users
        await users.update(other.user_id, lambda user: replace(user, roles=()))  # past the API: no generation is raised
        self.assertTrue(await self.server.active(token))
        self.refused(await self.call("GET", CLIENTS, bearer=token), "insufficient_scope", 403)
        self.assertEqual((await users.find(boss.user_id) or other.record).roles, ("admin",))

    async def test_machine_has_no_profile(self) -> None:
        """A client's own token with the scope account is nobody's profile."""
        await self.wrong(
            "GET", PROFILE, None, status=403, bearer=await self.own_token(self.root, "account")
        )

    async def test_resource_token(self) -> None:
        """A token for somebody's resource is none for this server."""
        api = "https://api.example/"
        await self.server.client("owner", resources=(api,))
        answer = ok(
            await self.server.token(self.root, "client_credentials", scope="admin", resource=api)
        )
        self.refused(await self.call("GET", CLIENTS, bearer=answer["access_token"]), "invalid_token", 401)

    async def test_token_in_the_query(self) -> None:
        """A token in the query is not looked at (RFC 9700 section 4.3.2)."""
        answer = await self.call("GET", CLIENTS, bearer="", access_token=self.bearer)
        self.refused(answer, "invalid_token", 401)

    async def test_two_authorizations(self) -> None:
        """Two Authorization headers are 400."""
        fields = [("Authorization", f"Bearer {self.bearer}")] * 2
        answer = await self.server.http.request("GET", CLIENTS, headers=fields)
        self.refused(answer, "invalid_request")


class ReadingTests(AdminCase):
    """The form of a call."""

    async def sent(self, method: str, path: str, content_type: str, body: bytes) -> tuple[int, str]:
        """Status and error of a body sent as it is."""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost:8000\r\nConnection: close\r\n"
        head += f"Authorization: Bearer {self.bearer}\r\nContent-Length: {len(body)}\r\n"
        head += f"Content-Type: {content_type}\r\n\r\n" if content_type else "\r\n"
        answer = await self.server.http.raw(head.encode() + body)
        return answer.status, answer.error

    async def test_bodies(self) -> None:
        """Malformed JSON is 400, another media type 415, a body where there is none to be 400, and nothing is made."""
        json = "application/json"
        before = await self.done("GET", SCOPES)
        for content_type, body, expected in [
            (json, b"{", (400, "invalid_request")),
            (json, b"", (400, "invalid_request")),
            (json, b"[]", (400, "invalid_request")),
            (json, b'"x"', (400, "invalid_request")),
            (json, b'{"name":"a","name":"b"}', (400, "invalid_request")),
            (json, b'{"name":"\\ud800"}', (400, "invalid_request")),
            (json, b'{"name":NaN}', (400, "invalid_request")),
            (json, b'{"name":"\xff"}', (400, "invalid_request")),
            (json, b"[" * 5000, (400, "invalid_request")),
            ("", b'{"name":"a"}', (415, "unsupported_media_type")),
            ("text/plain", b'{"name":"a"}', (415, "unsupported_media_type")),
            ("application/x-www-form-urlencoded", b"name=a", (415, "unsupported_media_type")),
        ]:
            self.assertEqual(await self.sent("POST", SCOPES, content_type, body), expected, body)
        self.assertEqual(await self.sent("POST", "/api/v1/users/x/reactivate", json, b"{}"), (400, "invalid_request"))
        self.assertEqual(await self.done("GET", SCOPES), before)

    async def test_names_that_are_not_known(self) -> None:
        """Unknown members of a body and parameters of a query are 422 and named, shortened if they are long."""
        await self.wrong("POST", SCOPES, {"name": "a", "colour": "red"}, "colour")
        await self.wrong("GET", SCOPES, None, "colour", colour="red")
        long: dict[str, Any] = {"x" * 500: "1"}
        await self.wrong("GET", SCOPES, None, "x" * 64, **long)
        await self.wrong("POST", SCOPES, {"name": "a", "y" * 500: 1}, "y" * 64 + "...")

    async def test_repeated_parameter(self) -> None:
        """A parameter that is sent twice is 400 (RFC 6749 section 3.1 on ours)."""
        answer = await self.call("GET", f"{CLIENTS}?limit=1&limit=1")
        self.refused(answer, "invalid_request")

    async def test_every_problem_at_once(self) -> None:
        """All that is wrong is told in one answer."""
        body = {"description": 1, "reserved": "no", "z": 0}
        await self.wrong("POST", SCOPES, body, "name", "description", "reserved", "z")

    async def test_paging_parameters(self) -> None:
        """A limit that is no number in range is 422, a cursor that is none of the list 404."""
        for limit in ("0", "201", "-1", "1.5", "", "+5", "05", "1e1", "\u0665", "9" * 400, "true"):
            await self.wrong("GET", CLIENTS, None, "limit", limit=limit)
        for path in (CLIENTS, USERS, TOKENS, f"{TOKENS}?client_id=root"):
            for cursor in ("x", "WyJhIl0", "AAAA" * 100, "W10"):
                self.refused(await self.call("GET", path, cursor=cursor), "not_found", 404)
            await self.wrong("GET", path, None, "cursor", cursor="a b")

    async def test_odd_ids(self) -> None:
        """Ids of any length and make are 404."""
        for path in (CLIENTS, USERS):
            for odd in ("x", "%00", "a%2Fb", "%C3%A9", "x" * 129, "x" * 5000, "..%2f", "{}", "%F0%9F%94%91"):
                answer = await self.call("GET", f"{path}/{odd}")
                self.assertIn((answer.status, answer.error), [(404, "not_found"), (400, "invalid_request")], odd)
        for odd in ("0", "-1", "x", "1.0", "01", "9" * 30, "9007199254740993"):
            self.refused(await self.call("GET", f"{SCOPES}/{odd}"), "not_found", 404)

    async def test_other_methods(self) -> None:
        """Other methods are 405 with Allow; OPTIONS names the same; HEAD is there where GET is."""
        for path, allowed in [
            (CLIENTS, {"GET", "HEAD", "POST", "OPTIONS"}),
            (f"{TOKENS}/x", {"DELETE", "OPTIONS"}),
            (PROFILE, {"GET", "HEAD", "PUT", "OPTIONS"}),
        ]:
            answer = await self.call("PATCH", path)
            self.refused(answer, "method_not_allowed", 405)
            self.assertEqual(set(answer.header("allow").split(", ")), allowed)
            self.assertEqual(set((await self.call("OPTIONS", path)).header("allow").split(", ")), allowed)
        head = await self.call("HEAD", CLIENTS)
        self.assertEqual((head.status, head.body), (200, b""))

    async def test_no_cors(self) -> None:
        """Pages of other origins get nothing from the API."""
        answer = await self.server.http.request("OPTIONS", CLIENTS, headers=[("Origin", "https://evil.example")])
        self.assertEqual(answer.header("access-control-allow-origin"), "")

    async def test_store_away(self) -> None:
        """A store that does not answer is 503 with Retry-After, never a 401."""
        await self.server.application.scopes.create(Scope(0, "before"))
        self.server.store.crash_before = 1
        answer = await self.call("POST", SCOPES, {"name": "after"})
        self.refused(answer, "temporarily_unavailable", 503)
        self.assertTrue(answer.header("retry-after").isdigit())

    async def test_secrets_are_not_cached(self) -> None:
        """Answers that may hold secrets say that nobody is to keep them."""
        for answer in (
            await self.call("POST", CLIENTS, {"name": "a"}),
            await self.call("GET", CLIENTS),
            await self.call("POST", USERS, {"username": "a", "password": PASSWORD}),
        ):
            self.assertEqual(answer.header("cache-control"), "no-store")
