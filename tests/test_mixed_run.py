"""A bit of everything, once: every kind of record is written, what ends has a time to live, and no secret is kept.

The database, the events and the error answers are searched for every secret that was handed out or typed in.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from oauthd.parts import LONGEST_MEMORY
from oauthd.protocol.grant_types import CIBA
from oauthd.protocol.records import InitialAccess
from oauthd.stores import kinds
from tests.possession import Holder
from tests.server import DEVICE_GRANT, PASSWORD, REDIRECT, App, Browser, ServerCase, form_of, ok

SECRETS = ("access_token", "refresh_token", "id_token", "device_code", "auth_req_id", "code", "client_secret")


class MixedRunTests(ServerCase):
    """All flows on one database."""

    async def prepare(self) -> None:
        """Remember every secret that goes over the wire."""
        self.secrets: set[str] = {PASSWORD}
        self.errors: list[bytes] = []
        request = self.server.http.request

        async def remembered(*arguments: Any, **more: Any) -> Any:
            answer = await request(*arguments, **more)
            if answer.header("content-type") == "application/json":
                told = answer.json()
                self.secrets |= {told[name] for name in SECRETS if name in told}
                if "error" in told:
                    self.errors.append(answer.body)
            self.secrets |= {value for value in answer.cookies.values() if value}
            if answer.location.startswith(REDIRECT):
                self.secrets |= {answer.redirected["code"]} if "code" in answer.redirected else set()
            return answer

        self.patch(type(self.server.http), "request", lambda http, *a, **k: remembered(*a, **k))

    async def everything(self) -> None:
        """Each flow, each failure."""
        server = self.server
        api = await server.client("api", resources=("https://api.example",))
        app = await server.client(grant_types=("authorization_code", "refresh_token", "password", "client_credentials"))
        machine = await server.client("machine", machine_refresh=True)
        tv = await server.client("tv", public=True)
        self.secrets |= {one.secret for one in (api, app, machine)}
        alice, boss = await server.user(), await server.user("boss", roles=("admin",))
        await server.application.users.update(boss.user_id, lambda user: replace(user, claims={"name": "Boss"}))
        browser = server.browser()
        told = await server.authorize(app, alice, browser, scope="openid read")
        tokens = ok(await server.redeem(app, told["code"]))
        again = ok(await server.refresh(app, tokens["refresh_token"]))
        asked = server.asking(app, prompt="login", id_token_hint=again["id_token"], nonce="n", login_hint="alice")
        await browser.open("/oauth2/authorize", asked)
        await server.userinfo(again["access_token"])
        await server.introspect(again["access_token"], api)
        await server.post("/oauth2/revoke", {"token": again["access_token"]}, basic=app.basic)
        ok(await server.token(app, "password", username="alice", password=PASSWORD))
        await server.token(app, "password", username="alice", password="a-wrong-password")
        self.secrets |= {"a-wrong-password"}
        ok(await server.token(app, "client_credentials", resource="https://api.example"))
        ok(await server.refresh(machine, ok(await server.token(machine, "client_credentials"))["refresh_token"]))
        await self.pushed_and_bound(app)
        for decision in ("allow", "deny"):
            begun = ok(await server.post("/oauth2/device_authorize", {"client_id": "tv"}))
            page = await browser.submit(await browser.open("/device"), "", user_code="BBBB-BBBB")
            page = await browser.submit(page, "", user_code=begun["user_code"])
            self.secrets.add(form_of(page, decision).fields["interaction"])
            await browser.submit(page, decision)
            await server.token(tv, DEVICE_GRANT, device_code=begun["device_code"])
        ok(await server.post("/oauth2/device_authorize", {"client_id": "tv"}))
        await self.listed()
        await self.by_policy()
        await self.ciba(browser)
        await server.code(app, alice)
        await server.redeem(app, tokens["access_token"])
        await server.refresh(app, tokens["refresh_token"] + "x")
        await browser.open("/oauth2/logout")
        _, secret = await server.application.clients.rotate_secret("app")
        self.secrets.add(secret)
        await server.application.keys.rotate(0)
        await server.application.clients.delete("machine")
        await server.application.users.deactivate(alice.user_id)

    async def listed(self) -> None:
        """Tokens that stand in a status list."""
        app = await self.server.client("listed", status_listed=True)
        ok(await self.server.token(app, "client_credentials"))
        await self.server.application.status_sweep.due()

    async def by_policy(self) -> None:
        """A token that is not written down, revoked; and one that is given twice."""
        stateless = await self.server.client("stateless", stateless=True)
        saving = await self.server.client("saving", reuses_tokens=True)
        self.secrets |= {stateless.secret, saving.secret}
        token = ok(await self.server.token(stateless, "client_credentials"))["access_token"]
        await self.server.post("/oauth2/revoke", {"token": token}, basic=stateless.basic)
        for _ in range(2):
            ok(await self.server.token(saving, "client_credentials"))

    async def ciba(self, browser: Browser) -> None:
        """Requests for authentication: one allowed, one denied, one still waiting; the client is to be told of each."""
        server = self.server
        told: dict[str, Any] = {"ciba_mode": "ping", "ciba_notification_uri": "https://app.example/ciba"}
        caller = await server.client("caller", grant_types=(CIBA, "refresh_token"), **told)
        token = "8d67dc78-7faa-4d41-aabd-67707b374255"
        self.secrets |= {caller.secret, token}
        for decision in ("allow", "deny", ""):
            form = {"scope": "openid", "login_hint": "alice", "client_notification_token": token}
            asked = ok(await server.post("/oauth2/bc-authorize", form, basic=caller.basic))
            page = await browser.open("/requests")
            if decision:
                link = next(part for part in page.text.split('"') if "request=" in part)
                await browser.submit(await browser.open(link.replace("&amp;", "&")), decision)
            await server.token(caller, CIBA, auth_req_id=asked["auth_req_id"])

    async def pushed_and_bound(self, app: App) -> None:
        """What newer clients do: requests pushed, proofs shown, registration by a token of one's own."""
        server = self.server
        self.assertEqual((await server.post("/oauth2/par", server.asking(app), basic=app.basic)).status, 201)
        proof = Holder().proof("POST", "/oauth2/token", server.clock.seconds())
        form = {"grant_type": "client_credentials"}
        ok(await server.post("/oauth2/token", form, basic=app.basic, headers=[("DPoP", proof)]))
        now = int(server.clock.seconds())
        access = InitialAccess(token_id="", uses=1, created_at=0, expires_at=now + 60)
        _, token = await server.application.initial_access.issue(access)
        self.secrets |= {proof, token}

    async def test_every_kind_is_written(self) -> None:
        """The run has written records of every kind that there is; so what follows covers all of them."""
        await self.everything()
        heads = {key.split(b":")[0].decode() for key in await self.server.keys()}
        self.assertEqual({kind.name for kind in kinds.KINDS} - heads, set())

    async def test_what_ends_has_a_time_to_live(self) -> None:
        """No key stays for ever save those of the lasting kinds, and none longer than what is remembered longest."""
        await self.everything()
        self.assertEqual(await self.server.everlasting(), [])
        names = await self.server.keys()
        left = await self.server.connection.call(*(("TTL", name) for name in names))
        longest = max(self.server.settings.sessions.consent_lifetime + 60, LONGEST_MEMORY)
        for name, seconds in zip(names, left, strict=True):
            self.assertLessEqual(int(seconds), longest, name)

    async def test_nothing_holds_a_secret(self) -> None:
        """No token, code, cookie, secret or password is in the database, in an event or in an error answer."""
        await self.everything()
        held = b"\n".join(key + value for key, value in (await self.server.dump()).items())
        told = repr([dict(event.facts) for event in self.server.events]).encode()
        self.assertGreater(len(self.secrets), 30)
        for secret in self.secrets:
            for place in (held, told, b"\n".join(self.errors)):
                self.assertNotIn(secret.encode(), place)
