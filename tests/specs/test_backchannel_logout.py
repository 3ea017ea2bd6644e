"""OpenID Connect Back-Channel Logout 1.0: section by section, what holds of the running server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from joserfc import jwe, jwt
from joserfc.jwk import OctKey
from msgspec.structs import replace

from oauthd.protocol import logout
from oauthd.protocol.grant_types import CIBA, DEVICE_CODE
from oauthd.protocol.records import Session
from oauthd.stores import kinds
from oauthd.stores.interface import StoreUnavailable, Write
from oauthd.stores.sessions import Sessions
from tests.server import ISSUER, App, Browser, ok
from tests.specs.logging_out import AFTER, TOLD, LogoutCase
from tests.specs.registering import RegisteringCase
from tests.specs.test_userinfo_tokens import CURVE, key_set
from tests.specs.tokens import Read, verified
from tests.wire import Answer

LENIENT = jwe.JWERegistry(algorithms=["ECDH-ES", "A256GCM"], strict_check_header=False)
EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Case(LogoutCase):
    """Reads tokens."""

    async def read(self, token: str, algorithm: str = "RS256") -> Read:
        """A token, verified by the published keys."""
        return await verified(self.server, token, algorithm)

    async def told_of(self, tokens: dict[str, Any]) -> str:
        """The `sid` of an id token."""
        return str((await self.read(tokens["id_token"])).claims["sid"])

    async def session(self) -> Session:
        """The only session that there is."""
        (found,) = [key for key in await self.server.keys() if key.startswith(b"s:")]
        (stored,) = await self.server.store.get(kinds.SESSION.at(found[2:]))
        assert stored is not None
        return stored.record  # type: ignore[no-any-return]


class MetadataTests(RegisteringCase):
    """Sections 2.1 and 2.2."""

    async def test_section_2_1(self) -> None:
        """Section 2.1: the metadata say that it is there, with sessions, and that id tokens have `sid`."""
        for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
            told = ok(await self.server.get(path))
            self.assertTrue(told["backchannel_logout_supported"])
            self.assertTrue(told["backchannel_logout_session_supported"])
            self.assertIn("sid", told["claims_supported"])

    async def test_section_2_2(self) -> None:
        """Section 2.2: a client registers its address, with a query if it likes, and is told what is registered."""
        uri = "https://app.example:8443/out?for=us&x="
        sent = {"redirect_uris": ["https://app.example/cb"], "backchannel_logout_uri": uri}
        told = await self.registered(sent | {"backchannel_logout_session_required": True, "logout_ends_tokens": True})
        self.assertEqual(told["backchannel_logout_uri"], uri)
        self.assertIs(told["backchannel_logout_session_required"], True)
        self.assertIs(told["logout_ends_tokens"], True)
        plain = await self.registered({"redirect_uris": ["https://app.example/cb"]})
        self.assertIs((await self.record(plain)).backchannel_logout_session, False)

    async def test_section_2_2_wrong(self) -> None:
        """Section 2.2: no fragment, no other scheme, and no address that this server would never call."""
        for uri in ("https://app.example/out#x", "http://app.example/out", "app.example:/out", "/out", "https://", 7,
                    "https://127.0.0.1/out", "https://localhost/out", "https://app.example:22/out",
                    "https://10.0.0.1/", "https://user@app.example/out", "https://[::1]/out"):  # fmt: skip
            sent = {"redirect_uris": ["https://app.example/cb"], "backchannel_logout_uri": uri}
            self.refused(await self.register(sent), "invalid_client_metadata")


class TokenTests(Case):
    """Sections 2.4 to 2.6: what is sent, and to whom."""

    async def test_section_2_4(self) -> None:
        """Section 2.4: the logout token says who, for whom, which session, for two minutes, once; and no nonce."""
        tokens = await self.tokens(self.app, nonce="n-1")
        self.assertEqual((await self.leave(tokens["id_token"])).location, AFTER)
        ((url, token),) = await self.sent()
        self.assertEqual(url, f"{TOLD}/app")
        read = await self.read(token)
        self.assertEqual(read.header["typ"], "logout+jwt")
        now = int(self.server.clock.seconds())
        self.assertEqual(
            {name: value for name, value in read.claims.items() if name != "jti"},
            {
                "iss": ISSUER,
                "sub": self.alice.user_id,
                "aud": "app",
                "iat": now,
                "exp": now + 120,
                "sid": await self.told_of(tokens),
                "events": {EVENT: {}},
            },
        )
        self.assertGreater(len(read.claims["jti"]), 20)

    async def test_section_2_5(self) -> None:
        """Section 2.5: it is a form with one parameter, sent by POST."""
        await self.leave((await self.tokens(self.app))["id_token"])
        await self.sent()
        (heard,) = self.receiver.heard
        self.assertEqual(list(heard.form), ["logout_token"])
        self.assertEqual(heard.headers["content-type"], "application/x-www-form-urlencoded")
        self.assertNotIn("authorization", heard.headers)

    async def test_section_2_3_who_is_told(self) -> None:
        """Section 2.3: every client that got tokens in this session is told, once, and nobody else."""
        other, quiet = await self.client("other"), await self.client("quiet", backchannel_logout_uri="")
        await self.client("stranger")
        elsewhere = await self.client("elsewhere")
        for app in (self.app, other, quiet, self.app, other):
            tokens = await self.tokens(app)
        await self.tokens(elsewhere, self.server.browser())
        await self.leave(tokens["id_token"])
        self.assertEqual([url for url, _ in await self.sent()], [f"{TOLD}/app", f"{TOLD}/other"])
        self.assertEqual(await self.sent(), [])

    async def test_by_the_page(self) -> None:
        """Who signs out by our own page signs out everywhere, too."""
        tokens = await self.tokens(self.app)
        page = await self.browser.open("/logout")
        await self.browser.submit(page, "yes")
        self.assertFalse(await self.signed_in())
        ((_, token),) = await self.sent()
        self.assertEqual((await self.read(token)).claims["sid"], await self.told_of(tokens))

    async def test_who_stays_is_told_nothing(self) -> None:
        """Nobody is told while the person is only asked, or stays."""
        await self.tokens(self.app)
        page = await self.browser.open("/oauth2/logout", {"client_id": "app"})
        self.assertEqual(await self.sent(), [])
        await self.browser.submit(page, "no")
        self.assertEqual(await self.sent(), [])

    async def test_section_2_6_algorithms(self) -> None:
        """Section 2.6: it is signed as the client's id tokens are, by its secret, too."""
        for algorithm in ("RS256", "PS256", "EdDSA"):
            app = await self.client(algorithm.lower(), id_token_algorithm=algorithm)
            told = await self.server.authorize(app, self.alice, self.browser)
            hint: str = ok(await self.server.redeem(app, told["code"]))["id_token"]
            await self.leave(hint)
            found = dict(await self.sent())[f"{TOLD}/{app.client_id}"]
            self.assertEqual((await self.read(found, algorithm)).claims["aud"], app.client_id)
        app = await self.client("hmac", id_token_algorithm="HS256")
        await self.leave((await self.tokens(app))["id_token"])
        found = dict(await self.sent())[f"{TOLD}/hmac"]
        read = jwt.decode(found, OctKey.import_key(app.secret), algorithms=["HS256"])
        self.assertEqual((read.header["typ"], read.claims["aud"]), ("logout+jwt", "hmac"))

    async def test_section_2_4_encrypted(self) -> None:
        """Sections 2.4 and 2.6: a client whose id tokens are encrypted gets no other logout token; `iss` is outside."""
        app = await self.client("sealed", id_token_encryption=("ECDH-ES", "A256GCM"), jwks=key_set(CURVE))
        told = await self.server.authorize(app, self.alice, self.browser)
        ok(await self.server.redeem(app, told["code"]))
        await self.browser.submit(await self.browser.open("/logout"), "yes")
        ((_, token),) = await self.sent()
        opened = jwe.decrypt_compact(token, CURVE, registry=LENIENT)
        self.assertEqual((opened.protected["iss"], opened.protected["cty"]), (ISSUER, "JWT"))
        assert opened.plaintext is not None
        self.assertEqual((await self.read(opened.plaintext.decode())).claims["aud"], "sealed")

    async def test_fresh_at_each_attempt(self) -> None:
        """Section 2.5: what was not received is sent later, with a token of that time and of another id."""
        await self.leave((await self.tokens(self.app))["id_token"])
        self.receiver.answers = [503, 200]
        ((_, first),) = await self.sent()
        self.server.clock.advance(3600)
        ((_, second),) = await self.sent()
        one, other = (await self.read(first)).claims, (await self.read(second)).claims
        self.assertEqual(other["iat"] - one["iat"], 3600)
        self.assertNotEqual(one["jti"], other["jti"])
        self.assertEqual(await self.sent(), [])

    async def test_section_2_8(self) -> None:
        """Section 2.8: 200 and 204 are the end of it, and so is 400."""
        for status in (200, 204, 400):
            browser = self.server.browser()
            tokens = await self.tokens(self.app, browser)
            self.receiver.answers = [status]
            await self.leave(tokens["id_token"], browser)
            self.assertEqual(len(await self.sent()), 1, status)
            self.server.clock.advance(7200)
            self.assertEqual(await self.sent(), [], status)

    async def test_nobody_waits(self) -> None:
        """The browser is sent on before anybody is told, whatever becomes of that."""
        self.receiver.answers = [ConnectionError()]
        self.assertEqual((await self.leave((await self.tokens(self.app))["id_token"])).location, AFTER)
        self.assertEqual(self.receiver.heard, [])

    async def test_a_pairwise_client(self) -> None:
        """A client that knows people by ids of its own is told such a one."""
        app = await self.client("pairwise", subject_type="pairwise")
        tokens = await self.tokens(app)
        await self.leave(tokens["id_token"])
        ((_, token),) = await self.sent()
        claims = (await self.read(token)).claims
        self.assertEqual(claims["sub"], (await self.read(tokens["id_token"])).claims["sub"])
        self.assertNotEqual(claims["sub"], self.alice.user_id)

    async def test_a_logout_token_is_no_hint(self) -> None:
        """Section 4.1: a logout token is not taken for an id token, by us neither."""
        await self.leave((await self.tokens(self.app))["id_token"])
        ((_, token),) = await self.sent()
        await self.tokens(self.app)
        self.refused_page(await self.leave(token))
        self.assertTrue(await self.signed_in())


class SidTests(Case):
    """Section 2.1 and Front-Channel Logout section 3: `sid`."""

    async def test_one_session(self) -> None:
        """It stays the same in a session, refreshed id tokens included, and is another one in another session."""
        first = await self.tokens(self.app)
        second = await self.tokens(self.app)
        refreshed = ok(await self.server.refresh(self.app, first["refresh_token"]))
        other = await self.tokens(self.app, self.server.browser())
        known = await self.told_of(first)
        self.assertEqual({known, await self.told_of(second), await self.told_of(refreshed)}, {known})
        self.assertNotEqual(await self.told_of(other), known)
        self.assertRegex(known, r"\A[A-Za-z0-9_-]{22}\Z")

    async def test_clients_cannot_compare(self) -> None:
        """Two clients in one session know it by different names, and none of them is the session's own or in a key."""
        other = await self.client("other")
        known = [await self.told_of(await self.tokens(app)) for app in (self.app, other)]
        session = await self.session()
        self.assertEqual(len({*known, session.sid}), 3)
        keys = b" ".join(await self.server.keys())
        self.assertFalse(any(one.encode() in keys for one in known))

    async def test_it_opens_nothing(self) -> None:
        """Neither what clients know nor what is stored is a cookie."""
        known = await self.told_of(await self.tokens(self.app))
        (name,) = [name for name in self.browser.cookies if "session" in name]
        for value in (known, (await self.session()).sid):
            thief = self.server.browser()
            thief.cookies[name] = value
            self.assertFalse(await self.signed_in(thief))

    async def test_signing_in_again(self) -> None:
        """Who signs in once more, as the same person, is in the same session to clients; they are told when it ends."""
        known = await self.told_of(await self.tokens(self.app))
        other = await self.client("other")
        tokens = await self.tokens(other, prompt="login")
        again = await self.told_of(await self.tokens(self.app))
        self.assertEqual(again, known)
        await self.leave(tokens["id_token"])
        self.assertEqual([url for url, _ in await self.sent()], [f"{TOLD}/app", f"{TOLD}/other"])

    async def test_somebody_else(self) -> None:
        """Who signs in where another person was signed in ends that session, and its clients are told."""
        tokens = await self.tokens(self.app)
        bob = await self.server.user("bob")
        page = await self.browser.open("/oauth2/authorize", self.server.asking(self.app, prompt="login"))
        await self.browser.finish(page, bob)
        ((_, token),) = await self.sent()
        self.assertEqual((await self.read(token)).claims["sid"], await self.told_of(tokens))
        self.assertNotEqual((await self.session()).user_id, self.alice.user_id)

    async def test_a_hint_of_another_session(self) -> None:
        """RP-Initiated Logout section 2: with an id token of another session the person is asked first."""
        hint = (await self.tokens(self.app, self.server.browser()))["id_token"]
        await self.tokens(self.app)
        answer = await self.browser.follow(await self.leave(hint))
        self.assertEqual(answer.status, 200)
        self.assertTrue(await self.signed_in())
        self.assertEqual((await self.browser.submit(answer, "yes")).location, AFTER)

    async def test_a_session_of_before(self) -> None:
        """A session that has no name, from an older program, signs out as it did, by the subject alone."""
        tokens = await self.tokens(self.app)
        (found,) = [key for key in await self.server.keys() if key.startswith(b"s:")]
        (stored,) = await self.server.store.get(kinds.SESSION.at(found[2:]))
        assert stored is not None
        await self.server.store.put(Write(stored.ref, replace(stored.record, sid="")))
        self.assertEqual((await self.leave(tokens["id_token"])).location, AFTER)
        ((_, token),) = await self.sent()
        claims = (await self.read(token)).claims
        self.assertEqual((claims["sub"], "sid" in claims), (self.alice.user_id, False))

    async def test_many_clients(self) -> None:
        """A session remembers a bounded number of clients, the latest."""
        await self.tokens(self.app)
        (name,) = [name for name in self.browser.cookies if "session" in name]
        value, sessions = self.browser.cookies[name], self.server.application.sessions
        for number in range(120):
            found = await sessions.find(value)
            assert found is not None
            await sessions.joined(value, found, f"c{number}")
        clients = (await self.session()).clients
        self.assertEqual((len(clients), clients[0], clients[-1]), (100, "c20", "c119"))


class TokensEndTests(Case):
    """Section 2.7: what becomes of tokens."""

    async def ended(self, app: App, scope: str = "openid") -> bool:
        """Do the client's tokens end with the session?"""
        tokens = await self.tokens(app, scope=scope)
        await self.leave(tokens["id_token"])
        dead = not await self.server.active(tokens["access_token"])
        answer = await self.server.refresh(app, tokens["refresh_token"])
        self.assertEqual(answer.status != 200, dead)
        return dead

    async def test_where_asked_for(self) -> None:
        """The tokens of a client that asked for it end with the session, and those of no other."""
        ending = await self.client("ending", logout_ends_tokens=True)
        self.assertTrue(await self.ended(ending))
        self.assertFalse(await self.ended(self.app))

    async def test_offline_access(self) -> None:
        """Section 2.7: what was given for use without the person stays."""
        ending = await self.client("ending", logout_ends_tokens=True)
        self.assertFalse(await self.ended(ending, "openid offline_access"))

    async def test_other_sessions(self) -> None:
        """What was given in another session of the person stays; a code that nobody has redeemed does not."""
        ending = await self.client("ending", logout_ends_tokens=True)
        other = await self.tokens(ending, self.server.browser())
        tokens = await self.tokens(ending)
        code = (await self.server.authorize(ending, self.alice, self.browser))["code"]
        await self.leave(tokens["id_token"])
        self.assertTrue(await self.server.active(other["access_token"]))
        self.refused(await self.server.redeem(ending, code), "invalid_grant")

    async def test_refreshed(self) -> None:
        """Tokens that were refreshed since end as well."""
        ending = await self.client("ending", logout_ends_tokens=True)
        tokens = await self.tokens(ending)
        refreshed = ok(await self.server.refresh(ending, tokens["refresh_token"]))
        await self.leave(tokens["id_token"])
        self.assertFalse(await self.server.active(refreshed["access_token"]))


class ElsewhereCase(Case):
    """Clients that get tokens because somebody approved it in a browser that they have not sent there."""

    async def ciba(self, app: App | None = None, **fields: Any) -> tuple[App, dict[str, Any]]:
        """A client that asked by the back channel, and its tokens."""
        app = app or await self.client("caller", grant_types=(CIBA, "refresh_token"), ciba_mode="poll", **fields)
        form = {"scope": "openid", "login_hint": "alice"}
        asked = ok(await self.server.post("/oauth2/bc-authorize", form, basic=app.basic))
        page = await self.browser.open("/requests")
        link = next(part for part in page.text.split('"') if "request=" in part)
        await self.browser.submit(await self.browser.open(link.replace("&amp;", "&")), "allow")
        return app, ok(await self.server.token(app, CIBA, auth_req_id=asked["auth_req_id"]))

    async def device(self, app: App | None = None, **fields: Any) -> tuple[App, dict[str, Any]]:
        """A device, and its tokens."""
        app = app or await self.client("tv", grant_types=(DEVICE_CODE, "refresh_token"), **fields)
        asked = ok(await self.server.post("/oauth2/device_authorize", {"scope": "openid"}, basic=app.basic))
        page = await self.browser.open("/device", {"user_code": asked["user_code"]})
        await self.browser.submit(page, "allow")
        return app, ok(await self.server.token(app, DEVICE_CODE, device_code=asked["device_code"]))


class ElsewhereTests(ElsewhereCase):
    """What becomes of them at the end."""

    async def test_told(self) -> None:
        """Each is told of the end of the session that it was approved in, by the name that its id token has."""
        first = await self.tokens(self.app)
        for client_id, begun in (("caller", self.ciba), ("tv", self.device)):
            _, tokens = await begun()
            known = await self.told_of(tokens)
            await self.leave(first["id_token"])
            told = dict(await self.sent())
            said = await self.read(told[f"{TOLD}/{client_id}"])
            self.assertEqual(said.claims["sid"], known)
            self.assertTrue(await self.server.active(tokens["access_token"]))
            first = await self.tokens(self.app)

    async def test_ended(self) -> None:
        """Section 2.7: the tokens of those that asked for it end with the session."""
        first = await self.tokens(self.app)
        for begun in (self.ciba, self.device):
            app, tokens = await begun(logout_ends_tokens=True)
            await self.leave(first["id_token"])
            self.assertFalse(await self.server.active(tokens["access_token"]))
            self.refused(await self.server.refresh(app, tokens["refresh_token"]), "invalid_grant")
            first = await self.tokens(self.app)

    async def test_a_sign_out_at_the_same_moment(self) -> None:
        """What is approved while the session ends is nobody's: no tokens outlive the sign-out unheard of."""
        joined = Sessions.joined

        async def leaving(sessions: Sessions, value: str, session: Session, client_id: str) -> bool:
            done = await joined(sessions, value, session, client_id)
            await self.server.application.sign_out.end(value)
            return done

        for begun in (self.ciba, self.device):
            await self.tokens(self.app)
            self.patch(Sessions, "joined", leaving)
            with self.assertRaisesRegex(AssertionError, "invalid_grant"):
                await begun(logout_ends_tokens=True)
            self.patch(Sessions, "joined", joined)


class SwitchTests(Case):
    """Who is asked something, and is somebody else: the session of before is over, as at any sign-out."""

    async def test_told(self) -> None:
        """On each page its clients are told, and lose their tokens; the page goes on for the other person."""
        ending = await self.client("ending", logout_ends_tokens=True)
        device = await self.client("tv", grant_types=(DEVICE_CODE,))
        for turn in range(3):
            tokens = await self.tokens(ending)
            page = await self._asked(turn, device)
            answer = await self.browser.follow(await self.browser.press(page, "switch"))
            self.assertIn("password", [name for form in answer.forms for name in form.fields], turn)
            told = dict(await self.sent())
            said = await self.read(told[f"{TOLD}/ending"])
            self.assertEqual(said.claims["sid"], await self.told_of(tokens), turn)
            self.assertFalse(await self.server.active(tokens["access_token"]), turn)

    async def _asked(self, turn: int, device: App) -> Answer:
        if turn == 0:
            return await self.browser.open("/oauth2/authorize", self.server.asking(self.app, prompt="consent"))
        if turn == 1:
            return await self.browser.open("/requests")
        asked = ok(await self.server.post("/oauth2/device_authorize", {"scope": "openid"}, basic=device.basic))
        return await self.browser.open("/device", {"user_code": asked["user_code"]})

    async def test_frames(self) -> None:
        """Clients that are told by the browser are shown in frames, and the browser goes on from there."""
        told = {"frontchannel_logout_uri": "https://app.example/gone", "backchannel_logout_uri": ""}
        await self.tokens(await self.client("framed", **told))
        page = await self.browser.open("/oauth2/authorize", self.server.asking(self.app, prompt="consent"))
        answer = await self.browser.press(page, "switch")
        self.assertEqual(answer.status, 200)
        self.assertIn("https://app.example/gone?iss=", answer.text)
        self.assertIn('href="/oauth2/authorize?interaction=', answer.text)
        self.assertNotIn("Continue to", answer.text)
        self.assertFalse(await self.signed_in())


class RaceTests(ElsewhereCase):
    """A sign-out and something that is given in the same session meet."""

    async def prepare(self) -> None:
        """Two clients of a session, of which one has something already."""
        await super().prepare()
        self.ending = await self.client("ending", logout_ends_tokens=True)
        self.late = await self.client("late")
        self.first = await self.tokens(self.ending)
        await self.tokens(self.late, self.server.browser())  # where it is agreed to

    async def out(self) -> None:
        """Sign out in another tab."""
        other = self.server.browser()
        other.cookies |= self.browser.cookies
        self.assertEqual((await self.leave(self.first["id_token"], other)).location, AFTER)

    async def test_before_it_is_known(self) -> None:
        """A client that would not be told any more gets nothing: the person signs in anew."""
        self.overtaken_by(self.out)
        answer = await self.browser.get("/oauth2/authorize", self.server.asking(self.late, prompt="none"))
        self.assertEqual(answer.redirected["error"], "login_required")
        self.assertEqual([url for url, _ in await self.sent()], [f"{TOLD}/ending"])

    async def test_before_the_code(self) -> None:
        """A client that was told gets nothing in that session afterwards."""
        self.overtaken_by(self.out)
        answer = await self.browser.get("/oauth2/authorize", self.server.asking(self.ending, prompt="none"))
        self.refused_page(answer)
        grants = [key for key in await self.server.keys() if key.startswith(b"g:")]
        self.assertEqual(len(grants), 1)  # that of the other browser

    async def test_before_an_approval(self) -> None:
        """Nor does what is approved on a page: neither the first time in that session, nor another time."""
        for begun in (self.ciba, self.device):
            self.first = await self.tokens(self.ending)
            app, _ = await begun(logout_ends_tokens=True)
            for known in (True, False):
                self.before_press(self.out)
                with self.assertRaises(AssertionError):
                    await begun(app)
                grants = [key for key in await self.server.keys() if key.startswith(b"g:")]
                self.assertEqual(len(grants), 1, (app.client_id, known))  # that of the other browser
                self.first = await self.tokens(self.ending)
            await self.out()

    async def test_before_an_approval_and_a_store_that_fails(self) -> None:
        """Nor where the store fails right after the approval, so that nobody learns whether the session goes on."""
        for begun in (self.ciba, self.device):
            self.first = await self.tokens(self.ending)
            app, _ = await begun(logout_ends_tokens=True)
            failed: list[Any] = []
            self.before_press(partial(self.out_and_away, failed))
            with self.assertRaises(AssertionError):
                await begun(app)
            grants = [key for key in await self.server.keys() if key.startswith(b"g:")]
            self.assertEqual((len(grants), len(failed)), (1, 1), app.client_id)  # that of the other browser

    async def out_and_away(self, failed: list[Any]) -> None:
        """Sign out, and let the store fail at what is read next."""
        await self.out()

        async def lost(*refs: Any) -> Any:
            patched.restore()
            failed.append(refs)
            raise StoreUnavailable("away")

        patched = self.patch(self.server.store, "get", lost)

    def before_press(self, happening: Callable[[], Awaitable[Any]]) -> None:
        """Let something happen between the look of the next approval and its step."""
        press = Browser.press

        async def pressed(browser: Browser, page: Answer, decision: str, **fields: str) -> Answer:
            patched.restore()
            self.overtaken_by(happening)
            return await press(browser, page, decision, **fields)

        patched = self.patch(Browser, "press", pressed)

    async def test_after_all_were_told(self) -> None:
        """A client that gets something while the others are told is told, too."""
        enqueue = self.server.store.enqueue

        async def slow(due: float, *writes: Any) -> None:
            patched.restore()
            await enqueue(due, *writes)
            await self.server.authorize(self.late, self.alice, self.browser)

        patched = self.patch(self.server.store, "enqueue", slow)
        await self.out()
        self.assertEqual([url for url, _ in await self.sent()], [f"{TOLD}/ending", f"{TOLD}/late"])

    async def test_a_failure_in_the_middle(self) -> None:
        """Where the grants could not be ended, the session stands: whoever signs out again has them ended."""
        scan = self.server.store.scan

        async def lost(index: str, *more: Any) -> Any:
            if index.startswith("gs:"):
                raise StoreUnavailable("away")
            return await scan(index, *more)

        patched = self.patch(self.server.store, "scan", lost)
        self.assertEqual((await self.leave(self.first["id_token"])).status, 503)
        patched.restore()
        await self.out()
        self.assertFalse(await self.server.active(self.first["access_token"]))


class OtherEndsTests(Case):
    """Sessions that end otherwise."""

    async def test_all_of_a_person(self) -> None:
        """Where all sessions of a person end, the clients of all of them are told, and of nobody else's."""
        bob = await self.server.user("bob")
        await self.server.authorize(self.app, bob, self.server.browser())
        browsers = [self.server.browser() for _ in range(3)]
        known = {await self.told_of(await self.tokens(self.app, browser)) for browser in browsers}
        await self.server.application.sign_out.everywhere(self.alice.user_id)
        found = {(await self.read(token)).claims["sid"] for _, token in await self.sent()}
        self.assertEqual(found, known)

    async def test_a_session_that_began_since(self) -> None:
        """Who signed in again before the clients were told stays signed in."""
        await self.tokens(self.app)
        await self.server.application.tokens.end_all_of_user(self.alice.user_id)
        browser = self.server.browser()
        await self.tokens(self.app, browser)
        await self.server.application.sign_out.of_user(self.alice.user_id)
        self.assertTrue(await self.signed_in(browser))
        self.assertEqual(len(await self.sent()), 1)

    async def test_a_store_that_fails(self) -> None:
        """Where it cannot be written down who is to be told, the session goes on and the person can try again."""
        tokens = await self.tokens(self.app)

        async def lost(due: float, *writes: Any) -> None:
            raise StoreUnavailable("away")

        patched = self.patch(self.server.store, "enqueue", lost)
        self.assertEqual((await self.leave(tokens["id_token"])).status, 503)
        patched.restore()
        self.assertTrue(await self.signed_in())
        await self.leave(tokens["id_token"])
        self.assertEqual(len(await self.sent()), 1)


class RuleTests(Case):
    """The pure part."""

    async def test_names(self) -> None:
        """What a client knows a session by depends on both, and there is none without a session."""
        self.assertEqual(logout.sid("", "app"), "")
        self.assertEqual(len({logout.sid(one, other) for one in ("a", "b") for other in ("x", "y")}), 4)
