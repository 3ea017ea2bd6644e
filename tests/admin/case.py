"""What the tests of the admin API start from: the whole server, an administrator's client, and calls as JSON."""

from __future__ import annotations

from typing import Any

from oauthd.stores.users import ADMINISTRATOR
from tests.server import App, Person, ServerCase, ok
from tests.wire import Answer

CLIENTS = "/api/v1/oauth/clients"
SCOPES = "/api/v1/oauth/scopes"
TOKENS = "/api/v1/oauth/tokens"
USERS = "/api/v1/users"
PROFILE = "/api/v1/users/profile"
KEYS = "/api/v1/keys"


class AdminCase(ServerCase):
    """Tests against the admin API.

    `self.root` is a client with every right, `self.bearer` its access token.
    """

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Start, and become an administrator."""
        await super().setUp()
        self.root = await self.server.client(
            "root",
            grant_types=("client_credentials", "password", "refresh_token"),
            scopes=("openid", "account", "admin", "read", "read_write"),
        )
        self.bearer = await self.own_token(self.root, "admin")

    async def own_token(self, app: App, scope: str = "") -> str:
        """A client's own access token."""
        return str(ok(await self.server.token(app, "client_credentials", scope=scope))["access_token"])

    async def tokens_of(self, person: Person, scope: str, app: App | None = None) -> dict[str, Any]:
        """The token answer for a user, by password."""
        return ok(
            await self.server.token(
                app or self.root, "password", username=person.username, password=person.password, scope=scope
            )
        )

    async def token_of(self, person: Person, scope: str) -> str:
        """A user's access token."""
        return str((await self.tokens_of(person, scope))["access_token"])

    async def administrator(self, username: str = "boss") -> Person:
        """A user who is an administrator."""
        return await self.server.user(username, roles=(ADMINISTRATOR,))

    async def call(
        self, method: str, path: str, body: Any = None, *, bearer: str | None = None, **query: str
    ) -> Answer:
        """Call as an administrator, or with another token ("" for none)."""
        token = self.bearer if bearer is None else bearer
        return await self.server.http.request(method, path, query=query, json_body=body, bearer=token)

    async def done(self, method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        """Call; it must answer with that status; the JSON of the answer."""
        answer = await self.call(method, path, body, **more)
        self.assertEqual(answer.status, status, answer.body)
        return answer.json() if answer.body else None

    async def wrong(self, method: str, path: str, body: Any, *members: str, status: int = 422, **more: Any) -> None:
        """Call; it must be refused, and name exactly these members or parameters."""
        answer = await self.call(method, path, body, **more)
        self.refused(answer, {409: "conflict", 422: "unprocessable_content", 403: "forbidden"}[status], status)
        self.assertEqual(sorted(answer.json().get("errors", {})), sorted(members), answer.body)

    async def everything(self, path: str, of: str, /, **query: Any) -> list[Any]:
        """Every item of a list, page by page."""
        found: list[Any] = []
        cursor: dict[str, Any] = {}
        for _ in range(1000):
            page = await self.done("GET", path, **query, **cursor)
            found += page[of]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}
        raise AssertionError("the list has no end")
