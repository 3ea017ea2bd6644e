"""The password grant: for clients registered for it, under the same rules as the sign-in page."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from oauthd.grants.interface import Ask
from oauthd.protocol.errors import UNAUTHORIZED_CLIENT, OAuthError
from oauthd.protocol.messages import Parameters
from oauthd.stores.users import ADMINISTRATOR
from tests.server import PASSWORD, ServerCase, ok
from tests.specs.tokens import verified
from tests.wire import Answer


class PasswordTests(ServerCase):
    """Tokens for a password."""

    async def prepare(self) -> None:
        """A client that may, and a user."""
        self.app = await self.server.client(grant_types=("password", "refresh_token"))
        self.alice = await self.server.user("alice")

    async def ask(self, name: str = "alice", password: str = PASSWORD, **form: str) -> Answer:
        """A password request."""
        return await self.server.token(self.app, "password", username=name, password=password, **form)

    async def test_under_fapi(self) -> None:
        """FAPI 2.0 Security Profile section 5.3.2.1: not for clients held to it, by themselves or by the server."""
        strict = await self.server.client("strict", grant_types=("password",), profile="fapi2")
        grant: Any = self.server.application.grants["password"]
        parameters = Parameters((("username", "alice"), ("password", PASSWORD)))
        for app, server in ((strict, ""), (strict, "fapi2"), (self.app, "fapi2")):
            ask = Ask(app.record, parameters, await self.server.store.generations(app.client_id), 0, 0.0, "a", "")
            redeemed = Deferred.fromCoroutine(evolve(grant, profile=server).redeem(ask))
            refused = await self.assertFailure(redeemed, OAuthError)
            self.assertIs(refused.kind, UNAUTHORIZED_CLIENT)

    async def test_names_in_any_spelling(self) -> None:
        """The name may be spelled in any way that means the same."""
        for name in ("ALICE", " alice ", "\uff21lice"):
            told = await self.server.introspect(ok(await self.ask(name))["access_token"])
            self.assertEqual((told["sub"], told["username"]), (self.alice.user_id, "alice"))

    async def test_id_token(self) -> None:
        """With `openid` there is an id token, whose auth_time is now."""
        self.server.clock.advance(5)
        claims = (await verified(self.server, ok(await self.ask(scope="openid"))["id_token"], "RS256")).claims
        self.assertEqual((claims["sub"], claims["auth_time"]), (self.alice.user_id, claims["iat"]))

    async def test_admin_scope(self) -> None:
        """`admin` goes to administrators, by asking and by default, and to nobody else."""
        await self.server.user("boss", roles=(ADMINISTRATOR,))
        clients = self.server.application.clients
        await clients.update("app", lambda c: replace(c, scopes=("admin", "read"), default_scopes=("admin", "read")))
        self.refused(await self.ask(scope="admin"), "invalid_scope")
        self.assertEqual(ok(await self.ask())["scope"], "read")
        self.assertEqual(ok(await self.ask("boss", scope="admin"))["scope"], "admin")
        self.assertEqual(ok(await self.ask("boss"))["scope"], "admin read")

    async def test_a_wrong_scope_is_no_failed_sign_in(self) -> None:
        """A scope that is refused after a right password does not count as a failure."""
        for _ in range(12):
            self.refused(await self.ask(scope="unknown"), "invalid_scope")
        ok(await self.ask())

    async def test_without_a_password(self) -> None:
        """A user without a password cannot sign in by any."""
        await self.server.application.users.update(self.alice.user_id, lambda user: replace(user, password=""))
        for password in ("", " ", PASSWORD):
            self.assertEqual((await self.ask(password=password)).status, 400)

    async def test_without_refresh(self) -> None:
        """A client that is not registered for refresh tokens gets none, and its access token lives to its end."""
        app = await self.server.client("other", grant_types=("password",))
        tokens = ok(await self.server.token(app, "password", username="alice", password=PASSWORD))
        self.assertNotIn("refresh_token", tokens)
        self.server.clock.advance(1799)
        self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_refreshed_for_weeks(self) -> None:
        """With the refresh grant the person is not asked again for weeks."""
        token = ok(await self.ask())["refresh_token"]
        for _ in range(4):
            self.server.clock.advance(6 * 86400)
            token = ok(await self.server.refresh(self.app, token))["refresh_token"]

    async def test_public_client(self) -> None:
        """A public client may be registered for it, too, and is bound by the same counting."""
        app = await self.server.client("cli", public=True, grant_types=("password",))
        ok(await self.server.token(app, "password", username="alice", password=PASSWORD))
        for _ in range(5):
            await self.server.token(app, "password", username="alice", password="wrong")
        answer = await self.server.token(app, "password", username="alice", password=PASSWORD)
        self.refused(answer, "too_many_requests", 429)
