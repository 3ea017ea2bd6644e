"""RFC 8628, OAuth 2.0 Device Authorization Grant: section by section, what holds of the running server."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from oauthd.protocol import opaque, user_code
from tests.server import DEVICE_GRANT, ISSUER, App, Browser, Person, Server, ServerCase, form_of, ok, together
from tests.wire import Answer

ENTRY = "Enter the code that your device shows"


class DeviceCase(ServerCase):
    """A device, a person, and what goes between them."""

    server: Server

    async def prepare(self) -> None:
        """A public client, as a television is, and a user."""
        self.tv = await self.server.client("tv", public=True, grant_types=(DEVICE_GRANT, "refresh_token"))
        self.alice = await self.server.user()

    async def begun(self, app: App | None = None, **form: str) -> dict[str, Any]:
        """The answer to a device authorization request."""
        return ok(await self.asked(app or self.tv, **form))

    async def asked(self, app: App, **form: str) -> Answer:
        """A device authorization request."""
        named = {} if app.basic else {"client_id": app.client_id}
        return await self.server.post("/oauth2/device_authorize", {**named, **form}, basic=app.basic)

    async def poll(self, begun: dict[str, Any], app: App | None = None) -> Answer:
        """One poll of the device."""
        return await self.server.token(app or self.tv, DEVICE_GRANT, device_code=begun["device_code"])

    async def entered(self, code: str, person: Person | None = None, browser: Browser | None = None) -> Answer:
        """The page after sign-in and after the code was typed."""
        browser = browser or self.server.browser()
        page = await browser.open("/device")
        if "password" in form_of(page).fields:
            page = await browser.sign_in(page, person or self.alice)
        return await browser.submit(page, "", user_code=code)

    async def decide(self, begun: dict[str, Any], decision: str = "allow") -> Answer:
        """The person types the code and decides."""
        browser = self.server.browser()
        page = await self.entered(begun["user_code"], browser=browser)
        return await browser.submit(page, decision)


class AuthorizationTests(DeviceCase):
    """Sections 3.1 and 3.2: the device authorization request and its answer."""

    async def test_section_3_2_answer(self) -> None:
        """Section 3.2: the answer has the members of the RFC and of the contract, and is not to be stored."""
        answer = await self.asked(self.tv, scope="openid")
        told = ok(answer)
        self.assertEqual(
            set(told),
            {"device_code", "user_code", "verification_uri", "verification_uri_complete", "expires_in", "interval"},
        )
        self.assertEqual((told["expires_in"], told["interval"]), (1800, 5))
        self.assertEqual(told["verification_uri"], f"{ISSUER}/device")
        self.assertEqual(told["verification_uri_complete"], f"{ISSUER}/device?user_code={told['user_code']}")
        self.assertEqual(answer.header("cache-control"), "no-store")

    async def test_section_6_1_user_code(self) -> None:
        """Section 6.1: a user code has eight consonants and a dash, and each is another one."""
        codes = [(await self.begun())["user_code"] for _ in range(10)]
        for code in codes:
            self.assertRegex(code, f"\\A[{user_code.ALPHABET}]{{4}}-[{user_code.ALPHABET}]{{4}}\\Z")
        self.assertEqual(len(set(codes)), 10)

    async def test_section_5_2_device_code(self) -> None:
        """Section 5.2: a device code has 256 bits of chance."""
        self.assertIsNotNone(opaque.parse(opaque.DEVICE_CODE, (await self.begun())["device_code"]))

    async def test_both_families(self) -> None:
        """The contract: /oauth/device_authorize is the same endpoint."""
        ok(await self.server.post("/oauth/device_authorize", {"client_id": "tv"}))

    async def test_section_3_1_client_authentication(self) -> None:
        """Section 3.1: a confidential client authenticates here as at the token endpoint."""
        app = await self.server.client()
        await self.begun(app)
        answer = await self.server.post("/oauth2/device_authorize", {"client_id": app.client_id})
        self.refused(answer, "invalid_client", 401)
        self.refused(await self.server.post("/oauth2/device_authorize", {}), "invalid_client", 401)

    async def test_section_3_1_refusals(self) -> None:
        """Section 3.1: a client not registered for the grant, an unknown scope and a repeated parameter are refused."""
        other = await self.server.client("other", grant_types=("authorization_code",))
        self.refused(await self.asked(other), "unauthorized_client")
        self.refused(await self.asked(self.tv, scope="unknown"), "invalid_scope")
        self.refused(await self.asked(self.tv, resource="https://nobody.example"), "invalid_target")
        form = [("client_id", "tv"), ("scope", "openid"), ("scope", "openid")]
        self.refused(await self.server.post("/oauth2/device_authorize", form), "invalid_request")

    async def test_no_get(self) -> None:
        """Section 3.1: the request is a POST."""
        answer = await self.server.get("/oauth2/device_authorize", {"client_id": "tv"})
        self.refused(answer, "method_not_allowed", 405)


class PageTests(DeviceCase):
    """Section 3.3: what the person does."""

    async def test_section_3_3_typed_code(self) -> None:
        """Section 3.3: the person signs in, types the code, sees client, scope and code, and allows."""
        begun = await self.begun(scope="openid email")
        page = await self.entered(begun["user_code"])
        for shown in ("Tv", "See your email address", begun["user_code"], "Alice Example"):
            self.assertIn(shown, page.text)

    async def test_a_changed_client(self) -> None:
        """Nobody allows to a device what was shown of one that had another name; it is shown anew."""
        begun, browser = await self.begun(), self.server.browser()
        page = await self.entered(begun["user_code"], browser=browser)
        await self.server.application.clients.update("tv", lambda client: replace(client, name="Your bank"))
        again = await browser.submit(page, "allow")
        self.assertIn("Your bank", again.text)
        self.refused(await self.poll(begun), "authorization_pending")
        await browser.submit(again, "allow")
        ok(await self.poll(begun))

    async def test_section_6_1_spelling(self) -> None:
        """Section 6.1: small letters, blanks and a missing dash make no difference."""
        begun = await self.begun()
        page = await self.entered(" " + begun["user_code"].lower().replace("-", " ") + " ")
        self.assertIn("allow", page.forms[-1].decisions)

    async def test_section_3_3_1_complete_uri(self) -> None:
        """Section 3.3.1: with the complete address the code needs no typing, but is shown for comparison."""
        begun = await self.begun()
        address = urlsplit(begun["verification_uri_complete"])
        browser = self.server.browser()
        page = await browser.sign_in(await browser.open(f"{address.path}?{address.query}"), self.alice)
        self.assertIn(begun["user_code"], page.text)
        await browser.submit(page, "allow")
        ok(await self.poll(begun))

    async def test_a_signed_in_person_is_asked_all_the_same(self) -> None:
        """Section 5.4: opening the complete address approves nothing, not even for who is signed in."""
        begun = await self.begun()
        browser = self.server.browser()
        await browser.sign_in(await browser.open("/device"), self.alice)
        page = await browser.open("/device", {"user_code": begun["user_code"]})
        self.assertIn("allow", page.forms[-1].decisions)
        self.refused(await self.poll(begun), "authorization_pending")

    async def test_first_party_and_remembered_clients_are_asked(self) -> None:
        """Section 5.4: no consent of before and no first-party client makes a device pass without a look."""
        app = await self.server.client(first_party=True)
        for _ in range(2):
            begun = await self.begun(app)
            page = await self.entered(begun["user_code"])
            self.assertIn("allow", page.forms[-1].decisions)

    async def test_wrong_code(self) -> None:
        """A code that nobody has is answered on the same page, whatever is wrong with it."""
        for code in ("BBBB-BBBB", "short", "AEIO-UAEI", "x" * 500, ""):
            page = await self.entered(code)
            self.assertEqual(page.status, 400)
            self.assertIn(ENTRY, page.text)

    async def test_csrf(self) -> None:
        """A form without its token, with another browser's, or sent by another browser, changes nothing."""
        begun = await self.begun()
        browser, other = self.server.browser(), self.server.browser()
        page = await self.entered(begun["user_code"], browser=browser)
        foreign = form_of(await self.entered(begun["user_code"], browser=other), "allow").fields
        fields = form_of(page, "allow").fields | {"decision": "allow"}
        for wrong in (
            {name: value for name, value in fields.items() if name != "csrf"},
            fields | {"csrf": ""},
            fields | {"csrf": foreign["csrf"]},
            fields | {"interaction": foreign["interaction"]},
        ):
            self.refused_page(await browser.post("/device", wrong))
        self.refused_page(await other.post("/device", fields))
        self.refused_page(await self.server.browser().post("/device", fields))
        self.refused(await self.poll(begun), "authorization_pending")
        await browser.submit(page, "allow")
        self.server.clock.advance(5)
        ok(await self.poll(begun))

    async def test_section_5_4_another_code_in_another_tab(self) -> None:
        """Section 5.4: a decision is about the device whose code the page shows, and about no other."""
        mine, other = await self.begun(), await self.begun()
        browser = self.server.browser()
        entry = await browser.sign_in(await browser.open("/device"), self.alice)
        page = await browser.submit(entry, "", user_code=mine["user_code"])
        await browser.submit(entry, "", user_code=other["user_code"])
        for decision in ("allow", "deny"):
            shown = await browser.submit(page, decision)
            self.assertIn(other["user_code"], shown.text)
            for begun in (mine, other):
                self.refused(await self.poll(begun), "authorization_pending")
            self.server.clock.advance(10)
        self.assertIn("Device connected", (await browser.submit(shown, "allow")).text)
        ok(await self.poll(other))

    async def test_signed_out_in_between(self) -> None:
        """Who has signed out meanwhile cannot approve; the page asks to sign in again."""
        begun = await self.begun()
        browser = self.server.browser()
        page = await self.entered(begun["user_code"], browser=browser)
        browser.cookies = {name: value for name, value in browser.cookies.items() if "session" not in name}
        answer = await browser.submit(page, "allow")
        self.assertIn("password", form_of(answer).fields)
        self.refused(await self.poll(begun), "authorization_pending")

    async def test_another_person_in_between(self) -> None:
        """What one person was shown cannot be agreed to by another who has signed in since."""
        begun = await self.begun()
        bob = await self.server.user("bob")
        browser = self.server.browser()
        page = await self.entered(begun["user_code"], browser=browser)
        await browser.sign_in(await browser.open("/login"), bob)
        answer = await browser.submit(page, "allow")
        self.assertIn("allow", answer.forms[-1].decisions)
        self.refused(await self.poll(begun), "authorization_pending")

    async def test_switch(self) -> None:
        """Switching accounts leads to the sign-in page and back to the same device."""
        begun = await self.begun()
        bob = await self.server.user("bob", claims={"name": "Bob"})
        browser = self.server.browser()
        page = await browser.submit(await self.entered(begun["user_code"], browser=browser), "switch")
        page = await browser.sign_in(page, bob)
        await browser.submit(page, "allow")
        told = await self.server.introspect(ok(await self.poll(begun))["access_token"])
        self.assertEqual(told["sub"], bob.user_id)

    async def test_two_people_decide_at_once(self) -> None:
        """Of two decisions on one device only one counts; the other person is told."""
        begun = await self.begun()
        browsers = [self.server.browser(), self.server.browser()]
        pages = [await self.entered(begun["user_code"], browser=browser) for browser in browsers]
        answers = await together(
            browser.submit(page, decision)
            for browser, page, decision in zip(browsers, pages, ("allow", "deny"), strict=True)
        )
        self.assertEqual(sorted(answer.status for answer in answers), [200, 400])
        allowed = answers[0].status == 200
        answer = await self.poll(begun)
        self.assertEqual(answer.status, 200 if allowed else 400)
        self.assertEqual(len(self.server.told("device.approved")), int(allowed))
        self.assertEqual(len(self.server.told("device.denied")), int(not allowed))

    async def test_the_code_works_once(self) -> None:
        """After the decision the user code is unknown."""
        begun = await self.begun()
        await self.decide(begun)
        self.assertIn(ENTRY, (await self.entered(begun["user_code"])).text)

    async def test_admin_scope(self) -> None:
        """What only an administrator can give, nobody else can give a device."""
        app = await self.server.client(scopes=("openid", "admin"), default_scopes=("openid", "admin"))
        begun = await self.begun(app, scope="admin")
        self.refused_page(await self.entered(begun["user_code"]))
        begun = await self.begun(app)
        await self.decide(begun)
        self.assertEqual(ok(await self.poll(begun, app))["scope"], "openid")

    async def test_client_gone_in_between(self) -> None:
        """A device of a client that was deactivated or deleted meanwhile cannot be approved."""
        begun = await self.begun()
        await self.server.application.clients.delete("tv")
        self.refused_page(await self.entered(begun["user_code"]))


class GuessingTests(DeviceCase):
    """Section 5.1: how often user codes may be guessed."""

    async def test_per_flow(self) -> None:
        """After five wrong codes a flow is over."""
        browser = self.server.browser()
        page = await browser.sign_in(await browser.open("/device"), self.alice)
        for _ in range(5):
            page = await browser.submit(page, "", user_code="BBBB-BBBB")
            self.assertIn(ENTRY, page.text)
        begun = await self.begun()
        self.refused_page(await browser.submit(page, "", user_code=begun["user_code"]))

    async def wrong(self, times: int, source: str) -> list[int]:
        """The statuses of wrong codes from one source, each in a flow of its own."""
        browser = self.server.browser(source)
        await browser.sign_in(await browser.open("/device"), self.alice)
        return [(await self.entered("BBBB-BBBB", browser=browser)).status for _ in range(times)]

    async def test_per_source(self) -> None:
        """After ten wrong codes in a minute a source waits until the minute is over; others do not."""
        self.assertEqual(await self.wrong(11, "192.0.2.1"), [400] * 10 + [429])
        self.assertEqual(await self.wrong(1, "192.0.2.2"), [400])
        self.server.clock.advance(61)
        self.assertEqual(await self.wrong(1, "192.0.2.1"), [400])

    async def test_the_right_code_is_refused_too(self) -> None:
        """Who must wait learns nothing: the right code is refused like a wrong one, with Retry-After."""
        await self.wrong(10, "192.0.2.1")
        begun = await self.begun()
        browser = self.server.browser("192.0.2.1")
        page = await self.entered(begun["user_code"], browser=browser)
        self.assertEqual(page.status, 429)
        self.assertGreater(int(page.header("retry-after")), 0)

    async def test_right_codes_do_not_count(self) -> None:
        """A household that connects twenty devices in a minute is not stopped."""
        browser = self.server.browser("192.0.2.1")
        await browser.sign_in(await browser.open("/device"), self.alice)
        for _ in range(20):
            page = await self.entered((await self.begun())["user_code"], browser=browser)
            self.assertEqual(page.status, 200)

    async def test_parallel_guesses_share_one_count(self) -> None:
        """Thirty guesses at once are no more than ten."""
        browser = self.server.browser("192.0.2.1")
        await browser.sign_in(await browser.open("/device"), self.alice)
        pages = [await browser.open("/device") for _ in range(30)]
        answers = await together(browser.press(page, "", user_code="BBBB-BBBB") for page in pages)
        self.assertLessEqual([answer.status for answer in answers].count(400), 10)

    async def test_signed_in_first(self) -> None:
        """Nobody guesses codes before signing in: the first page is the sign-in page."""
        page = await self.server.browser().open("/device", {"user_code": "BBBB-BBBB"})
        self.assertIn("password", form_of(page).fields)


class PollingTests(DeviceCase):
    """Sections 3.4 and 3.5: the device asks for its tokens."""

    async def test_section_3_5_approved(self) -> None:
        """Section 3.5: after the approval the next poll brings tokens, for the person who approved."""
        begun = await self.begun(scope="openid read")
        self.refused(await self.poll(begun), "authorization_pending")
        await self.decide(begun)
        self.server.clock.advance(5)
        tokens = ok(await self.poll(begun))
        self.assertEqual(
            set(tokens), {"access_token", "token_type", "expires_in", "refresh_token", "scope", "id_token"}
        )
        told = await self.server.introspect(tokens["access_token"])
        self.assertEqual((told["sub"], told["client_id"], told["scope"]), (self.alice.user_id, "tv", "openid read"))
        ok(await self.server.refresh(self.tv, tokens["refresh_token"]))

    async def test_approved_in_the_interval(self) -> None:
        """A poll after the approval is answered, even when it comes before the interval is over."""
        begun = await self.begun()
        self.refused(await self.poll(begun), "authorization_pending")
        await self.decide(begun)
        ok(await self.poll(begun))

    async def test_the_first_poll_is_free(self) -> None:
        """Section 3.5: the first poll may come at once."""
        self.refused(await self.poll(await self.begun()), "authorization_pending")

    async def test_section_3_5_interval(self) -> None:
        """Section 3.2: who keeps the interval is told to wait, and nothing else."""
        begun = await self.begun()
        for _ in range(5):
            self.refused(await self.poll(begun), "authorization_pending")
            self.server.clock.advance(5)

    async def test_section_3_5_slow_down(self) -> None:
        """Section 3.5: a poll that comes too early raises the interval by five seconds, for this and later polls."""
        begun = await self.begun()
        self.refused(await self.poll(begun), "authorization_pending")
        self.server.clock.advance(4.5)
        self.refused(await self.poll(begun), "slow_down")
        self.server.clock.advance(9.5)
        self.refused(await self.poll(begun), "slow_down")
        self.server.clock.advance(15)
        self.refused(await self.poll(begun), "authorization_pending")

    async def test_parallel_polls(self) -> None:
        """Of polls at once one is in time; the others are told to slow down, and each raises the interval."""
        begun = await self.begun()
        answers = await together(self.poll(begun) for _ in range(3))
        self.assertEqual(sorted(a.error for a in answers), ["authorization_pending", "slow_down", "slow_down"])
        self.server.clock.advance(14.5)
        self.refused(await self.poll(begun), "slow_down")
        self.server.clock.advance(20)
        self.refused(await self.poll(begun), "authorization_pending")

    async def test_section_3_5_denied_is_final(self) -> None:
        """Section 3.5: after a denial each poll is access_denied, and the person cannot change their mind."""
        begun = await self.begun()
        await self.decide(begun, "deny")
        for _ in range(3):
            self.refused(await self.poll(begun), "access_denied")
        self.assertIn(ENTRY, (await self.entered(begun["user_code"])).text)

    async def test_section_3_5_expired(self) -> None:
        """Section 3.5: when its time is over, approved or not, a device code is expired_token."""
        waiting, approved = await self.begun(), await self.begun()
        await self.decide(approved)
        self.server.clock.advance(1800)
        for begun in (waiting, approved):
            self.refused(await self.poll(begun), "expired_token")
        self.assertIn(ENTRY, (await self.entered(waiting["user_code"])).text)

    async def test_another_client(self) -> None:
        """Section 3.4: the code of another client is invalid_grant, and polls by strangers change nothing."""
        other = await self.server.client("other")
        begun = await self.begun()
        for _ in range(3):
            self.refused(await self.poll(begun, other), "invalid_grant")
        await self.decide(begun)
        self.refused(await self.poll(begun, other), "invalid_grant")
        ok(await self.poll(begun))

    async def test_the_device_code_works_once(self) -> None:
        """A device code whose tokens were fetched is invalid_grant."""
        begun = await self.begun()
        await self.decide(begun)
        tokens = ok(await self.poll(begun))
        self.refused(await self.poll(begun), "invalid_grant")
        self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_parallel_polls_after_approval(self) -> None:
        """Of twenty polls at once one gets tokens, and they live."""
        begun = await self.begun()
        await self.decide(begun)
        answers = await together(self.poll(begun) for _ in range(20))
        won = [answer for answer in answers if answer.status == 200]
        self.assertEqual(len(won), 1)
        self.assertEqual({answer.error for answer in answers if answer.status != 200}, {"invalid_grant"})
        self.assertTrue(await self.server.active(ok(won[0])["access_token"]))

    async def test_a_crash_before_the_commit_burns_nothing(self) -> None:
        """When the store is lost between decision and commit the answer is 503, and the next poll works."""
        begun = await self.begun()
        await self.decide(begun)
        self.server.store.crash_before = 1
        self.refused(await self.poll(begun), "temporarily_unavailable", 503)
        ok(await self.poll(begun))

    async def test_what_is_no_device_code(self) -> None:
        """A malformed device code is invalid_grant, a missing one invalid_request."""
        for value in ("x", "odc_", "x" * 10000, (await self.begun())["device_code"][:-1]):
            self.refused(await self.server.token(self.tv, DEVICE_GRANT, device_code=value), "invalid_grant")
        self.refused(await self.server.token(self.tv, DEVICE_GRANT), "invalid_request")

    async def test_deactivated_after_the_approval(self) -> None:
        """An approval by a person who was deactivated since then gives nothing."""
        begun = await self.begun()
        await self.decide(begun)
        await self.server.application.users.deactivate(self.alice.user_id)
        self.refused(await self.poll(begun), "invalid_grant")

    async def test_confidential_device(self) -> None:
        """A confidential client polls with its secret, and not without."""
        app = await self.server.client()
        begun = await self.begun(app)
        form = {"grant_type": DEVICE_GRANT, "device_code": begun["device_code"], "client_id": app.client_id}
        self.refused(await self.server.post("/oauth2/token", form), "invalid_client", 401)
        await self.decide(begun)
        ok(await self.poll(begun, app))

    async def test_without_refresh(self) -> None:
        """A device that is not registered for refresh tokens gets none, and its access token lives to its end."""
        app = await self.server.client(grant_types=(DEVICE_GRANT,))
        begun = await self.begun(app)
        self.server.clock.advance(1790)
        await self.decide(begun)
        tokens = ok(await self.poll(begun, app))
        self.assertNotIn("refresh_token", tokens)
        self.server.clock.advance(1799)
        self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_refreshed_for_weeks(self) -> None:
        """A device that may refresh does so long after its code and its first access token ended."""
        begun = await self.begun()
        await self.decide(begun)
        token = ok(await self.poll(begun))["refresh_token"]
        for _ in range(4):
            self.server.clock.advance(6 * 86400)
            answer = ok(await self.server.refresh(self.tv, token))
            token = answer["refresh_token"]
            self.assertTrue(await self.server.active(answer["access_token"]))

    async def test_resource(self) -> None:
        """RFC 8707: a device asks for a resource, and its token is for that alone."""
        await self.server.client("api", resources=("https://api.example",))
        begun = await self.begun(resource="https://api.example")
        await self.decide(begun)
        self.assertEqual(await self.server.introspect(ok(await self.poll(begun))["access_token"]), {"active": False})
