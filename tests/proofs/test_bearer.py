"""Bearer tokens at our own resources: where they are read, and which are good."""

from __future__ import annotations

from msgspec.structs import replace

from oauthd.protocol.errors import OAuthError
from oauthd.protocol.messages import Headers, Parameters, Request
from oauthd.stores.users import ADMINISTRATOR
from tests.server import ISSUER, App, Person, ServerCase, ok


def request(token: str = "", **form: str) -> Request:
    """A request with a token in the header, or in the form."""
    headers = Headers((("authorization", f"Bearer {token}"),)) if token else Headers()
    return Request("POST", "/x", form=Parameters(tuple(form.items())), headers=headers)


class BearerTests(ServerCase):
    """Finding the token of a request."""

    async def prepare(self) -> None:
        """A client with a token."""
        self.app = await self.server.client()
        self.bearer = self.server.application.bearer
        answer = ok(await self.server.token(self.app, "client_credentials", scope="read write"))
        self.token: str = answer["access_token"]

    async def error(self, asked: Request, *scopes: str) -> str:
        """The error that a request ends in."""
        with self.assertRaises(OAuthError) as caught:
            await self.bearer.token(asked, *scopes)
        return str(caught.exception.kind.code)

    async def test_found(self) -> None:
        """The token's record is found, from header or form."""
        for asked in (request(self.token), request(access_token=self.token)):
            self.assertEqual((await self.bearer.token(asked)).client_id, "app")

    async def test_one_of_the_scopes(self) -> None:
        """One of the named scopes is enough; none of them is insufficient_scope."""
        await self.bearer.token(request(self.token), "account", "write")
        self.assertEqual(await self.error(request(self.token), "account", "admin"), "insufficient_scope")
        self.assertEqual(await self.error(request(self.token), "rea"), "insufficient_scope")

    async def test_refused(self) -> None:
        """No token, a wrong one, an empty one and two of them are refused."""
        self.assertEqual(await self.error(request()), "invalid_token")
        self.assertEqual(await self.error(request("wrong")), "invalid_token")
        self.assertEqual(await self.error(request(access_token="")), "invalid_token")
        self.assertEqual(await self.error(request(self.token, access_token=self.token)), "invalid_request")

    async def test_for_us_among_others(self) -> None:
        """A token whose resources do not name us is none for us."""
        await self.server.client("api", resources=("https://api.example",))
        answer = ok(await self.server.token(self.app, "client_credentials", resource="https://api.example"))
        self.assertEqual(await self.error(request(answer["access_token"])), "invalid_token")
        await self.server.client("ourselves", resources=(ISSUER,))
        form = [("grant_type", "client_credentials"), ("resource", ISSUER), ("resource", "https://api.example")]
        answer = ok(await self.server.post("/oauth2/token", form, basic=self.app.basic))
        await self.bearer.token(request(answer["access_token"]))


class AdministratorTests(ServerCase):
    """Who may administer the server."""

    async def prepare(self) -> None:
        """Two administrators, and a console."""
        self.console = await self.server.client("console", scopes=("admin", "openid"))
        self.boss = await self.server.user("boss", roles=(ADMINISTRATOR,))
        await self.server.user("other-boss", roles=(ADMINISTRATOR,))
        self.proof = self.server.application.administrator

    async def of(self, app: App, person: Person) -> str:
        """A person's token for administration."""
        token: str = (await self.server.signed_in(app, person, scope="admin"))["access_token"]
        return token

    async def error(self, token: str) -> str:
        """The error that a request with the token ends in."""
        with self.assertRaises(OAuthError) as caught:
            await self.proof.token(request(token))
        return str(caught.exception.kind.code)

    async def test_a_person(self) -> None:
        """An administrator's token is one, as long as the person is an administrator."""
        token = await self.of(self.console, self.boss)
        self.assertEqual((await self.proof.token(request(token))).user_id, self.boss.user_id)
        users = self.server.application.users
        await users.update(self.boss.user_id, lambda user: replace(user, roles=()))
        self.assertEqual(await self.error(token), "insufficient_scope")

    async def test_a_client_for_itself(self) -> None:
        """A client's own token is one where `admin` is on the client's list."""
        app = await self.server.client("script", scopes=("admin",), grant_types=("client_credentials",))
        token = ok(await self.server.token(app, "client_credentials", scope="admin"))["access_token"]
        self.assertEqual((await self.proof.token(request(token))).client_id, "script")

    async def test_without_the_scope(self) -> None:
        """An administrator's token for something else is none."""
        token = (await self.server.signed_in(self.console, self.boss, scope="openid"))["access_token"]
        self.assertEqual(await self.error(token), "insufficient_scope")
