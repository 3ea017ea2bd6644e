"""draft-parecki-oauth-global-token-revocation-06: another party ends all that a user has."""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve
from msgspec.structs import replace

from oauthd.config import ExchangeSettings, JwtBearerSettings
from oauthd.protocol.token_exchange import JWT
from tests.server import CHEAP, GRANTS, ISSUER, ServerCase, ok
from tests.specs.holders import Holder
from tests.specs.test_rfc7523_grants import GRANT as JWT_BEARER
from tests.specs.test_rfc8693 import GRANT as EXCHANGE
from tests.wire import Answer

PATH = "/oauth2/global-token-revocation"
SCOPE = "global_token_revocation"
IDP = "https://idp.example"
TRUSTED = Holder(kid="idp")


class Case(ServerCase):
    """A tool that may revoke, and a person who is signed in."""

    sections = {"users": evolve(CHEAP, global_revocation=True)}

    async def prepare(self) -> None:
        """Make both."""
        self.tool = await self.server.client("tool", scopes=(SCOPE,), grant_types=("client_credentials",))
        self.app, self.alice = await self.server.client(), await self.server.user("alice@example.com")
        self.bearer = ok(await self.server.token(self.tool, "client_credentials", scope=SCOPE))["access_token"]

    async def revoke(self, sub_id: Any, bearer: str | None = None, **more: Any) -> Answer:
        """Ask."""
        body, bearer = {"sub_id": sub_id} | more, self.bearer if bearer is None else bearer
        return await self.server.http.request("POST", PATH, json_body=body, bearer=bearer)


class RevocationTests(Case):
    """Section 3: what ends, and whom it is said of."""

    async def test_expectations(self) -> None:
        """Access and refresh tokens are dead, offline ones too, and the user must sign in anew (section 3.3)."""
        browser = self.server.browser()
        tokens = await self.server.signed_in(self.app, self.alice, browser=browser, scope="openid offline_access")
        answer = await self.revoke({"format": "opaque", "id": self.alice.user_id})
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertFalse(await self.server.active(tokens["access_token"]))
        refreshed = await self.server.refresh(self.app, tokens["refresh_token"])
        self.assertEqual((refreshed.status, refreshed.error), (400, "invalid_grant"))
        page = await browser.open("/oauth2/authorize", self.server.asking(self.app))
        self.assertIn("password", [name for form in page.forms for name in form.fields])
        told = self.server.told("revoked.user")[0]
        self.assertEqual((told["user_id"], told["by_client"]), (self.alice.user_id, "tool"))

    async def test_identifiers(self) -> None:
        """A user is named by id, by our issuer and id, or by an email address that is the username (section 3.2)."""
        for sub_id in (
            {"format": "opaque", "id": self.alice.user_id},
            {"format": "iss_sub", "iss": ISSUER, "sub": self.alice.user_id},
            {"format": "email", "email": "alice@example.com"},
        ):
            token = (await self.server.signed_in(self.app, self.alice))["access_token"]
            self.assertEqual((await self.revoke(sub_id)).status, 204, sub_id)
            self.assertFalse(await self.server.active(token), sub_id)

    async def test_nobody(self) -> None:
        """An identifier of nobody is 404, and ends nothing (section 3.4.2)."""
        token = (await self.server.signed_in(self.app, self.alice))["access_token"]
        for sub_id in (
            {"format": "opaque", "id": "nobody"},
            {"format": "opaque", "id": "alice@example.com"},
            {"format": "opaque", "id": "x" * 60_000},
            {"format": "iss_sub", "iss": "https://elsewhere.example", "sub": self.alice.user_id},
            {"format": "email", "email": "bob@example.com"},
            {"format": "email", "email": ""},
        ):
            answer = await self.revoke(sub_id)
            self.assertEqual((answer.status, answer.error), (404, "not_found"), sub_id)
        self.assertTrue(await self.server.active(token))

    async def test_malformed(self) -> None:
        """What is no subject identifier of a known format is 400 (section 3.4.2), and so is anything beside it."""
        good = {"format": "opaque", "id": self.alice.user_id}
        wrong: tuple[Any, ...] = (
            None, "alice", [], {}, {"format": "did", "url": "did:x"}, {"format": ["opaque"], "id": "x"},
            {"format": "opaque"}, {"format": "opaque", "id": 1}, {"format": "opaque", "id": "a", "sub": "b"},
            {"format": "iss_sub", "sub": self.alice.user_id}, {"format": "aliases", "identifiers": [good]},
        )  # fmt: skip
        for sub_id in wrong:
            answer = await self.revoke(sub_id)
            self.assertEqual((answer.status, answer.error), (400, "invalid_request"), sub_id)
        self.assertEqual((await self.revoke(good, all=True)).status, 400)
        self.assertEqual((await self.server.post(PATH, {"sub_id": "x"}, bearer=self.bearer)).status, 415)


class VouchedTests(Case):
    """Section 3.3: the user must be authenticated anew, where somebody else does that, too."""

    _issuers = (f"{IDP} {json.dumps(TRUSTED.jwks)} sub=username",)
    sections = Case.sections | {
        "exchange": ExchangeSettings(issuers=_issuers),
        "jwt_bearer": JwtBearerSettings(issuers=_issuers),
    }

    async def prepare(self) -> None:
        """A client that may use what a trusted issuer vouches for."""
        await super().prepare()
        rules = ({"from": IDP, "scope": ["read"], "act": "both"}, {"from": "service", "act": "both", "actors": [IDP]})
        self.service = await self.server.client(
            "service", grant_types=(*GRANTS, EXCHANGE, JWT_BEARER), exchanges=rules
        )
        self.count = 0

    def vouched(self, name: str = "alice@example.com", **said: Any) -> str:
        """A JWT of that issuer; None leaves a claim out."""
        now, self.count = int(self.server.clock.seconds()), self.count + 1
        claims = {"iss": IDP, "sub": name, "aud": ISSUER, "exp": now + 900, "iat": now, "jti": f"{self.count}"} | said
        return TRUSTED.sign({name: one for name, one in claims.items() if one is not None})

    async def grant(self, assertion: str) -> Answer:
        """Use one as a grant."""
        return await self.server.token(self.service, JWT_BEARER, assertion=assertion)

    async def exchange(self, token: str, **form: str) -> Answer:
        """Exchange one."""
        named = {"subject_token": token, "subject_token_type": JWT} | form
        return await self.server.token(self.service, EXCHANGE, **named)

    async def as_actor(self, token: str) -> Answer:
        """Show one to say who acts."""
        own = ok(await self.server.token(self.service, "client_credentials"))["access_token"]
        kind = JWT.replace(":jwt", ":access_token")
        return await self.exchange(own, subject_token_type=kind, actor_token=token, actor_token_type=JWT)

    async def end(self) -> None:
        """Revoke all that the user has."""
        self.assertEqual((await self.revoke({"format": "opaque", "id": self.alice.user_id})).status, 204)

    async def test_from_before(self) -> None:
        """What an issuer vouched for before the revocation counts no more: as a grant, exchanged, or as an actor."""
        for use, error in (
            (self.grant, "invalid_grant"), (self.exchange, "invalid_request"), (self.as_actor, "invalid_request")
        ):  # fmt: skip
            ok(await use(self.vouched()))
            old = self.vouched()
            await self.end()
            self.refused(await use(old), error)
            self.server.clock.advance(60)
            self.refused(await use(old), error)
            ok(await use(self.vouched()))

    async def test_clocks_that_differ(self) -> None:
        """One from within what clocks may differ is from before, too; and one that does not say when it was made."""
        await self.end()
        leeway = self.server.settings.tokens.leeway
        ahead = self.vouched(iat=int(self.server.clock.seconds()) + leeway)
        self.refused(await self.grant(ahead), "invalid_grant")
        self.server.clock.advance(60)
        self.refused(await self.grant(self.vouched(iat=None)), "invalid_grant")
        ok(await self.grant(self.vouched()))

    async def test_others(self) -> None:
        """It says nothing of other users."""
        await self.server.user("bob@example.com")
        old = self.vouched("bob@example.com", iat=None)
        await self.end()
        ok(await self.grant(old))

    async def test_deactivated(self) -> None:
        """What was vouched for before a user was deactivated does not come back with the user."""
        old, users = self.vouched(), self.server.application.users
        await users.deactivate(self.alice.user_id)
        await users.update(self.alice.user_id, lambda user: replace(user, is_active=True))
        self.refused(await self.grant(old), "invalid_grant")
        self.server.clock.advance(60)
        ok(await self.grant(self.vouched()))

    async def test_clocks_of_ours_that_differ(self) -> None:
        """What ended once stays so where it is ended again, or the user deactivated, by a clock that is behind."""
        users, user_id = self.server.application.users, self.alice.user_id
        now, behind = self.server.clock.seconds(), self.server.clock.seconds() - 100
        late = evolve(users, clock=lambda: behind)
        await users.end_vouchers(user_id)
        await late.end_vouchers(user_id)
        self.refused(await self.grant(self.vouched()), "invalid_grant")
        await late.deactivate(user_id)
        user = await late.update(user_id, lambda user: replace(user, is_active=True))
        self.assertEqual(user.vouched_after, int(now))
        self.refused(await self.grant(self.vouched()), "invalid_grant")

    async def test_by_an_administrator(self) -> None:
        """Revoked by the admin API all of a user ends in the same way."""
        console = await self.server.client("console", scopes=("admin",), grant_types=("client_credentials",))
        admin = ok(await self.server.token(console, "client_credentials", scope="admin"))["access_token"]
        old = self.vouched()
        path = f"/api/v1/oauth/tokens?user_id={self.alice.user_id}"
        self.assertEqual((await self.server.http.request("DELETE", path, bearer=admin)).status, 204)
        self.refused(await self.grant(old), "invalid_grant")


class AuthenticationTests(Case):
    """Section 6.1: who may ask."""

    async def test_scope(self) -> None:
        """Without a token it is 401; with one of any other scope, an administrator's too, 403; and nothing ends."""
        token = (await self.server.signed_in(self.app, self.alice))["access_token"]
        admin = await self.server.client("root", scopes=("admin",), grant_types=("client_credentials",))
        other = ok(await self.server.token(admin, "client_credentials", scope="admin"))["access_token"]
        sub_id = {"format": "opaque", "id": self.alice.user_id}
        for bearer, status in (("nonsense", 401), (token, 403), (other, 403)):
            self.assertEqual((await self.revoke(sub_id, bearer)).status, status)
        self.assertEqual((await self.revoke(sub_id, "")).status, 401)
        self.assertTrue(await self.server.active(token))

    async def test_who_gets_the_scope(self) -> None:
        """Only a client whose scopes name it; and no user who is no administrator (section 6.1)."""
        refused = await self.server.token(self.app, "client_credentials", scope=SCOPE)
        self.assertEqual(refused.error, "invalid_scope")
        named = await self.server.client("named", scopes=(SCOPE,), grant_types=("password",))
        person = {"username": "alice@example.com", "password": self.alice.password}
        refused = await self.server.token(named, "password", scope=SCOPE, **person)
        self.assertEqual(refused.error, "invalid_scope")


class MetadataTests(Case):
    """Section 5: what is told."""

    async def test_metadata(self) -> None:
        """The endpoint and how to authenticate there are told."""
        told = (await self.server.get("/.well-known/oauth-authorization-server")).json()
        self.assertEqual(told["global_token_revocation_endpoint"], ISSUER + PATH)
        self.assertEqual(told["global_token_revocation_endpoint_auth_methods_supported"], ["Bearer"])


class OffTests(ServerCase):
    """As it comes."""

    async def test_off(self) -> None:
        """Without the setting there is no such endpoint, and none is told of."""
        told = (await self.server.get("/.well-known/oauth-authorization-server")).json()
        self.assertEqual([name for name in told if "global" in name], [])
        tool = await self.server.client("tool", scopes=(SCOPE,), grant_types=("client_credentials",))
        bearer = ok(await self.server.token(tool, "client_credentials", scope=SCOPE))["access_token"]
        alice = await self.server.user()
        body = {"sub_id": {"format": "opaque", "id": alice.user_id}}
        answer = await self.server.http.request("POST", PATH, json_body=body, bearer=bearer)
        self.assertEqual((answer.status, answer.error), (404, "not_found"))
