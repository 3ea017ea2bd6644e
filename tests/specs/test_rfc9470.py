"""RFC 9470, Step Up Authentication Challenge Protocol: section by section, what holds of the running server."""

from __future__ import annotations

import re
from typing import Any

from oauthd.config import SessionSettings
from oauthd.protocol.acr import PASSWORD
from tests.server import ServerCase, ok
from tests.specs.tokens import verified
from tests.wire import Answer

USERS = "/api/v1/users"


class ChallengeTests(ServerCase):
    """Section 3: the admin API as a protected resource that wants people to have signed in a minute ago at most."""

    sections = {"sessions": SessionSettings(administrator_max_age=60)}

    async def prepare(self) -> None:
        """An administrator with a token."""
        self.console = await self.server.client("console", scopes=("openid", "admin"))
        self.root = await self.server.user("root", roles=("admin",))
        self.browser = self.server.browser()
        self.token = await self.sign_in(max_age="60")

    async def sign_in(self, **parameters: str) -> Any:
        """An access token by the browser, which is signed in already where that is recent enough."""
        return (await self.tokens(**parameters))["access_token"]

    async def tokens(self, scope: str = "openid admin", **parameters: str) -> Any:
        """The answer to it."""
        return await self.server.signed_in(self.console, self.root, browser=self.browser, scope=scope, **parameters)

    async def call(self, token: str) -> Answer:
        """Call the admin API."""
        return await self.server.get(USERS, bearer=token)

    async def test_section_3_challenge(self) -> None:
        """A token of a sign-in too long ago is 401, and the challenge says what would do."""
        self.server.clock.advance(60)
        ok(await self.call(self.token))
        self.server.clock.advance(1)
        answer = await self.call(self.token)
        self.refused(answer, "insufficient_user_authentication", 401)
        challenge = answer.header("www-authenticate")
        self.assertRegex(challenge, r'\ABearer realm="[^"]+", error="insufficient_user_authentication"')
        self.assertIn('max_age="60"', challenge)

    async def test_section_4_the_way_back(self) -> None:
        """Sections 4 and 5: who asks for a sign-in as the challenge says gets a token that does."""
        self.server.clock.advance(61)
        challenge = (await self.call(self.token)).header("www-authenticate")
        [age] = re.findall(r'max_age="(\d+)"', challenge)
        ok(await self.call(await self.sign_in(max_age=age)))

    async def test_a_refresh_is_no_sign_in(self) -> None:
        """Section 6.1: a refreshed token tells of the same sign-in as before, and is refused as that was."""
        tokens = await self.tokens()
        self.server.clock.advance(61)
        again = ok(await self.server.refresh(self.console, tokens["refresh_token"]))
        self.refused(await self.call(again["access_token"]), "insufficient_user_authentication", 401)

    async def test_machines(self) -> None:
        """A client that acts for itself has not signed in, and is not asked to."""
        machine = await self.server.client("machine", scopes=("admin",))
        token = ok(await self.server.token(machine, "client_credentials", scope="admin"))["access_token"]
        self.server.clock.advance(61)
        ok(await self.call(token))

    async def test_weaker_tokens_first(self) -> None:
        """A token that lacks more than that is told so: no new sign-in would help it."""
        other = await self.server.client("other", scopes=("openid",))
        plain = (await self.server.signed_in(other, self.root, scope="openid"))["access_token"]
        self.server.clock.advance(61)
        self.refused(await self.call(plain), "insufficient_scope", 403)
        self.refused(await self.call("unknown"), "invalid_token", 401)


class ResponseTests(ServerCase):
    """Section 5: a class of sign-in that is asked for is needed, so that nobody goes round in circles for it."""

    async def prepare(self) -> None:
        """Somebody who can sign in."""
        self.app, self.alice = await self.server.client(), await self.server.user()
        self.browser = self.server.browser()

    async def ask(self, **parameters: str) -> Answer:
        """An authorization request."""
        return await self.browser.get("/oauth2/authorize", self.server.asking(self.app, **parameters))

    async def test_out_of_reach(self) -> None:
        """A request for classes that no sign-in here has fails before somebody signs in for nothing."""
        for wanted in ("urn:strong", "urn:strong urn:stronger"):
            told = (await self.ask(scope="read", acr_values=wanted)).redirected
            self.refused_by_redirect(told, "unmet_authentication_requirements")

    async def test_pushed(self) -> None:
        """It is refused where it is pushed, too."""
        form = self.server.asking(self.app, scope="read", acr_values="urn:strong")
        answer = await self.server.post("/oauth2/par", form, basic=self.app.basic)
        self.refused(answer, "unmet_authentication_requirements")

    async def test_within_reach(self) -> None:
        """One of several is enough; the access token says which."""
        tokens = await self.server.signed_in(self.app, self.alice, scope="read", acr_values=f"urn:strong {PASSWORD}")
        claims = (await verified(self.server, tokens["access_token"], "ES256")).claims
        self.assertEqual(claims["acr"], PASSWORD)

    async def test_openid_connect(self) -> None:
        """With `openid` it is a wish, which must not fail (OpenID Connect Core section 5.5.1); the id token tells."""
        tokens = await self.server.signed_in(self.app, self.alice, scope="openid read", acr_values="urn:strong")
        claims = (await verified(self.server, tokens["id_token"], "RS256")).claims
        self.assertEqual(claims["acr"], PASSWORD)


class TokenTests(ServerCase):
    """Sections 6 and 7: what tokens, introspection and metadata tell of the sign-in."""

    async def prepare(self) -> None:
        """A user who has signed in a while ago."""
        self.app, self.api = await self.server.client(), await self.server.client("api")
        self.alice = await self.server.user()
        self.signed_in = int(self.server.clock.seconds())
        self.tokens = await self.server.signed_in(self.app, self.alice, scope="openid read")
        self.server.clock.advance(100)

    async def test_section_6_1_jwt(self) -> None:
        """A JWT access token has `acr` and `auth_time`."""
        token = self.tokens["access_token"]
        claims = (await verified(self.server, token, "ES256")).claims
        self.assertEqual((claims["acr"], claims["auth_time"]), (PASSWORD, self.signed_in))

    async def test_section_6_2_introspection(self) -> None:
        """So has introspection, for tokens that were refreshed, too; a machine's token has neither."""
        refreshed = ok(await self.server.refresh(self.app, self.tokens["refresh_token"]))
        for token in (self.tokens["access_token"], refreshed["access_token"]):
            told = await self.server.introspect(token, self.api)
            self.assertEqual((told["acr"], told["auth_time"]), (PASSWORD, self.signed_in))
        machine = ok(await self.server.token(self.app, "client_credentials"))["access_token"]
        self.assertTrue({"acr", "auth_time"}.isdisjoint(await self.server.introspect(machine, self.api)))

    async def test_section_7_metadata(self) -> None:
        """The classes that there are stand in the metadata."""
        told = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertEqual(told["acr_values_supported"], [PASSWORD])

    async def active(self, token: str, **demands: str) -> bool:
        """Is the token active for who demands this?"""
        answer = await self.server.post("/oauth2/introspect", {**demands, "token": token}, basic=self.api.basic)
        found: bool = ok(answer)["active"]
        return found

    async def test_demands_of_resource_servers(self) -> None:
        """By the same names a resource server has introspection judge: a token that would be challenged is inactive."""
        token = self.tokens["access_token"]
        for demands, active in (
            ({"acr_values": PASSWORD}, True),
            ({"acr_values": f"other {PASSWORD}"}, True),
            ({"acr_values": "other"}, False),
            ({"max_age": "100"}, True),
            ({"max_age": "99"}, False),
            ({"max_age": "100", "acr_values": "other"}, False),
        ):
            self.assertEqual(await self.active(token, **demands), active, demands)

    async def test_demands_are_read_once(self) -> None:
        """A demand that is repeated, or is none, is refused."""
        for form in ([("max_age", "1"), ("max_age", "2")], [("max_age", "soon")], [("max_age", "-1")]):
            pairs = [*form, ("token", self.tokens["access_token"])]
            answer = await self.server.post("/oauth2/introspect", pairs, basic=self.api.basic)
            self.refused(answer, "invalid_request")
