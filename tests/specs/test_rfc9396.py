"""RFC 9396, OAuth 2.0 Rich Authorization Requests: details from the request to the resource server."""

from __future__ import annotations

import json
import re
from typing import Any

from oauthd.config import AuthorizationSettings
from tests.details import DECLARATIONS, PAY, PAYMENT_TYPE, SEE, sent
from tests.server import App, ServerCase, form_of, ok, together, with_fields
from tests.specs.test_rfc9101 import ObjectCase
from tests.specs.tokens import verified
from tests.web.lane import TOKEN, LaneCase, json_of, request
from tests.wire import Answer

REFUSED = "invalid_authorization_details"
LESS = {**SEE, "actions": ["list_accounts"]}


class _Details(ServerCase):
    """A server that knows two types."""

    sections = {"authorization": AuthorizationSettings(details_types=DECLARATIONS)}

    async def prepare(self) -> None:
        """A client and a user."""
        self.app, self.alice = await self.server.client(), await self.server.user()

    async def granted(self, *details: Any, app: App | None = None, **more: Any) -> dict[str, Any]:
        """The token answer of a flow that asked for these details."""
        return await self.server.signed_in(app or self.app, self.alice, authorization_details=sent(*details), **more)

    async def told(self, tokens: dict[str, Any]) -> Any:
        """What a resource server is told of the details of an access token."""
        return (await self.server.introspect(tokens["access_token"])).get("authorization_details")


class AuthorizationRequestTests(_Details):
    """Sections 2 to 5: at the authorization endpoint."""

    async def asked(self, parameter: str, app: App | None = None, **more: str | None) -> Answer:
        """The answer to a request."""
        asking = self.server.asking(app or self.app, authorization_details=parameter, **more)
        return await self.server.get("/oauth2/authorize", asking)

    async def test_section_3_and_7(self) -> None:
        """Sections 3 and 7: what was asked for and agreed to is in the token answer."""
        tokens = await self.granted(PAY, SEE)
        self.assertEqual(tokens["authorization_details"], [PAY, SEE])

    async def test_without_details(self) -> None:
        """A request without details has none in its answer, its token, or its introspection."""
        tokens = await self.server.signed_in(self.app, self.alice)
        self.assertNotIn("authorization_details", tokens)
        self.assertIsNone(await self.told(tokens))
        self.assertNotIn("authorization_details", (await verified(self.server, tokens["access_token"], "ES256")).claims)

    async def test_section_3_1_beside_scope(self) -> None:
        """Section 3.1: scope and details stand side by side, at consent and in the token."""
        tokens = await self.granted(SEE, scope="read write")
        self.assertEqual((tokens["scope"], tokens["authorization_details"]), ("read write", [SEE]))

    async def test_section_5_errors(self) -> None:
        """Section 5: what is not a valid object of a known type is refused to the client, by redirect."""
        for wrong in (
            sent({"type": "unknown"}), sent({**PAY, "more": 1}), sent({**PAY, "actions": 7}), "{}", "nonsense",
            sent({name: value for name, value in PAY.items() if name != "actions"}), sent(SEE, {"type": "x"}),
        ):  # fmt: skip
            self.refused_by_redirect((await self.asked(wrong)).redirected, REFUSED)

    async def test_section_5_in_the_mode_asked_for(self) -> None:
        """The error takes the response mode of the request."""
        page = await self.asked(sent({"type": "<script>"}), response_mode="form_post")
        self.refused_by_redirect(form_of(page).fields, REFUSED)

    async def test_huge_details(self) -> None:
        """Details of many kilobytes are refused and not stored, at the front channel and at the back."""
        huge = sent({**SEE, "identifier": "x" * 5000})
        self.refused_by_redirect((await self.asked(huge)).redirected, REFUSED)
        pushed = await self.server.post(
            "/oauth2/par", self.server.asking(self.app, authorization_details=huge), basic=self.app.basic
        )
        self.refused(pushed, REFUSED)

    async def test_another_clients_type(self) -> None:
        """A client that was given types by name may use no others."""
        other = await self.server.client("other", details_types=("account_information",))
        self.refused_by_redirect((await self.asked(sent(PAY), other)).redirected, REFUSED)
        self.assertTrue((await self.asked(sent(SEE), other)).location.startswith("/login"))
        nothing = await self.server.client("nothing", details_types=())
        self.refused_by_redirect((await self.asked(sent(SEE), nothing)).redirected, REFUSED)

    async def test_repeated(self) -> None:
        """A request that has authorization_details twice is refused."""
        pairs = [*self.server.asking(self.app, authorization_details=sent(SEE)).items()]
        answer = await self.server.get("/oauth2/authorize", [*pairs, ("authorization_details", sent(PAY))])
        self.refused_by_redirect(answer.redirected, "invalid_request")

    async def test_section_11_4_pushed(self) -> None:
        """Section 11.4: pushed requests carry details, which are checked when they are pushed."""
        form = self.server.asking(self.app, authorization_details=sent(PAY))
        pushed = await self.server.post("/oauth2/par", form, basic=self.app.basic)
        self.assertEqual(pushed.status, 201, pushed.body)
        asking = {"client_id": self.app.client_id, "request_uri": pushed.json()["request_uri"]}
        browser = self.server.browser()
        answer = await browser.finish(await browser.get("/oauth2/authorize", asking), self.alice)
        tokens = ok(await self.server.redeem(self.app, answer.redirected["code"]))
        self.assertEqual(tokens["authorization_details"], [PAY])
        form = self.server.asking(self.app, authorization_details=sent({"type": "unknown"}))
        self.refused(await self.server.post("/oauth2/par", form, basic=self.app.basic), REFUSED)

    async def test_section_10_metadata(self) -> None:
        """Section 10: the types are announced."""
        document = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertEqual(document["authorization_details_types_supported"], [PAYMENT_TYPE, "account_information"])


class ConsentTests(_Details):
    """Section 3.1: what the person is shown, and what the person's answer covers."""

    async def page(self, *details: Any, app: App | None = None, **more: str) -> tuple[Any, Answer]:
        """A browser that was asked, and the page it shows."""
        browser = self.server.browser()
        asking = self.server.asking(app or self.app, authorization_details=sent(*details), **more)
        return browser, await browser.sign_in(await browser.open("/oauth2/authorize", asking), self.alice)

    async def test_everything_is_shown(self) -> None:
        """Title, sentence and every member of each object, beside the scopes."""
        _, page = await self.page(PAY, SEE, scope="openid read")
        words = " ".join(re.sub(r"<[^>]+>", " ", page.text).split())
        for expected in (
            "Start a payment", "Pay 123.50 EUR to Merchant A", "DE02100100109307118603", "initiate, status, cancel",
            "See your accounts", "list_accounts, read_balances, read_transactions", "May read",
        ):  # fmt: skip
            self.assertIn(expected, words)

    async def test_remembered_consent_does_not_cover_details(self) -> None:
        """Who agreed before is asked again for each request with details, the same ones included."""
        await self.server.signed_in(self.app, self.alice)
        browser = self.server.browser()
        for _ in range(2):
            asking = self.server.asking(self.app, authorization_details=sent(PAY))
            page = await browser.open("/oauth2/authorize", asking)
            if "password" in form_of(page).fields:
                page = await browser.sign_in(page, self.alice)
            self.assertIn("Start a payment", page.text)
            self.assertIn("code", (await browser.submit(page, "allow")).redirected)
        asking = self.server.asking(self.app)
        self.assertIn("code", (await browser.open("/oauth2/authorize", asking)).redirected)  # of scopes it is

    async def test_without_asking(self) -> None:
        """With prompt=none details are refused: nobody could be asked."""
        browser = self.server.browser()
        await self.server.authorize(self.app, self.alice, browser)
        asking = self.server.asking(self.app, prompt="none")
        self.assertIn("code", (await browser.get("/oauth2/authorize", asking)).redirected)
        asking = self.server.asking(self.app, prompt="none", authorization_details=sent(SEE))
        self.refused_by_redirect((await browser.get("/oauth2/authorize", asking)).redirected, "consent_required")

    async def test_first_party(self) -> None:
        """The operator's own applications ask for no consent, for details neither."""
        own = await self.server.client("own", first_party=True)
        browser, answer = await self.page(PAY, app=own)
        self.assertIn("code", answer.redirected)
        self.assertIsNotNone(browser)

    async def test_markup_in_details(self) -> None:
        """Section 12: values and names of members are text on the page, whatever they are made of."""
        _, plain = await self.page({**PAY, "creditorName": "x"})
        outline = re.findall(r"<[a-z0-9/]+", plain.text)
        closing = "</dl></form><form action=https://evil.example>"
        for hostile in ('"><script>alert(1)</script>', closing, "\u202e{{7*7}}"):
            _, page = await self.page({**PAY, "creditorName": hostile})
            self.assertEqual(re.findall(r"<[a-z0-9/]+", page.text), outline)
            self.assertNotIn("<script", page.text)

    async def test_denied(self) -> None:
        """A refusal is one of all of it."""
        browser, page = await self.page(PAY)
        self.refused_by_redirect((await browser.submit(page, "deny")).redirected, "access_denied")

    async def test_types_taken_away_meanwhile(self) -> None:
        """A client that loses a type between page and answer gets nothing of it."""
        browser, page = await self.page(PAY)
        app = with_fields(self.app, details_types=("account_information",))
        await self.server.application.clients.update(self.app.client_id, lambda client: app.record)
        self.refused_by_redirect((await browser.submit(page, "allow")).redirected, REFUSED)


class TokenRequestTests(_Details):
    """Sections 6 to 8: at the token endpoint."""

    async def test_section_6_narrowed(self) -> None:
        """Section 6: a token gets what its request names of what was granted."""
        code = await self.server.code(self.app, self.alice, authorization_details=sent(PAY, SEE))
        tokens = ok(await self.server.redeem(self.app, code, authorization_details=sent(LESS)))
        self.assertEqual(tokens["authorization_details"], [LESS])
        self.assertEqual(await self.told(tokens), [LESS])

    async def test_section_6_widened(self) -> None:
        """Section 6: more than was granted is refused, and the code is still good."""
        code = await self.server.code(self.app, self.alice, authorization_details=sent(LESS))
        unknown = sent({"type": "unknown"})
        for more in (sent(SEE), sent(PAY), sent(LESS, PAY), sent(LESS, LESS), unknown, "[]", "nonsense"):
            self.refused(await self.server.redeem(self.app, code, authorization_details=more), REFUSED)
        self.assertEqual(ok(await self.server.redeem(self.app, code))["authorization_details"], [LESS])

    async def test_without_any_granted(self) -> None:
        """A grant without details gives none, whatever the token request says."""
        code = await self.server.code(self.app, self.alice)
        self.refused(await self.server.redeem(self.app, code, authorization_details=sent(SEE)), REFUSED)

    async def test_section_6_1_refresh(self) -> None:
        """Section 6.1: a refresh keeps the details, may narrow its own token, and never the authorization itself."""
        tokens = await self.granted(PAY, SEE, scope="openid offline_access")
        again = ok(await self.server.refresh(self.app, tokens["refresh_token"]))
        self.assertEqual(again["authorization_details"], [PAY, SEE])
        less = ok(await self.server.refresh(self.app, again["refresh_token"], authorization_details=sent(LESS)))
        self.assertEqual((less["authorization_details"], await self.told(less)), ([LESS], [LESS]))
        whole = ok(await self.server.refresh(self.app, less["refresh_token"]))
        self.assertEqual(whole["authorization_details"], [PAY, SEE])

    async def test_a_narrow_token_refreshes_to_no_more(self) -> None:
        """No refresh gives what the person did not agree to."""
        tokens = await self.granted(LESS, scope="openid offline_access")
        for more in (sent(SEE), sent(PAY)):
            refused = await self.server.refresh(self.app, tokens["refresh_token"], authorization_details=more)
            self.refused(refused, REFUSED)
        again = ok(await self.server.refresh(self.app, tokens["refresh_token"]))
        self.assertEqual(again["authorization_details"], [LESS])

    async def test_a_repeated_refresh(self) -> None:
        """A refresh that comes twice at once gets one answer; with other details the second is refused."""
        tokens = await self.granted(PAY, SEE, scope="openid offline_access")
        value = tokens["refresh_token"]
        answers = await together(
            [self.server.refresh(self.app, value, authorization_details=sent(SEE)) for _ in range(2)]
        )
        self.assertEqual(answers[0].body, answers[1].body)
        other = await self.server.refresh(self.app, value, authorization_details=sent(PAY))
        self.refused(other, "invalid_request")
        self.refused(await self.server.refresh(self.app, value), "invalid_request")

    async def test_client_credentials(self) -> None:
        """Section 6: a client gets for itself what it was given by name, and nothing else."""
        machine = await self.server.client("machine", details_types=("account_information",))
        parameter = sent(SEE)
        tokens = ok(await self.server.token(machine, "client_credentials", authorization_details=parameter))
        self.assertEqual((tokens["authorization_details"], await self.told(tokens)), ([SEE], [SEE]))
        self.assertNotIn("authorization_details", ok(await self.server.token(machine, "client_credentials")))
        wrong = await self.server.token(machine, "client_credentials", authorization_details=sent(PAY))
        self.refused(wrong, REFUSED)
        anybody = await self.server.token(self.app, "client_credentials", authorization_details=parameter)
        self.refused(anybody, REFUSED)

    async def test_password(self) -> None:
        """Where the person is not asked, the same holds as for a client by itself."""
        for types, answer in ((None, None), (("account_information",), [SEE])):
            app = await self.server.client(f"old-{answer is None}", grant_types=("password",), details_types=types)
            form = {"username": self.alice.username, "password": self.alice.password}
            told = await self.server.token(app, "password", **form, authorization_details=sent(SEE))
            if answer is None:
                self.refused(told, REFUSED)
            else:
                self.assertEqual(ok(told)["authorization_details"], answer)

    async def test_client_credentials_with_refresh(self) -> None:
        """A machine's refresh token keeps the details of its first request."""
        facts: dict[str, Any] = {"details_types": ("account_information",), "machine_refresh": True}
        machine = await self.server.client("machine", **facts)
        tokens = ok(await self.server.token(machine, "client_credentials", authorization_details=sent(LESS)))
        again = ok(await self.server.refresh(machine, tokens["refresh_token"]))
        self.assertEqual(again["authorization_details"], [LESS])
        wider = await self.server.refresh(machine, again["refresh_token"], authorization_details=sent(SEE))
        self.refused(wider, REFUSED)

    async def test_repeated_requests_of_a_machine(self) -> None:
        """Request for request the answer fits what was asked, however the one before was answered."""
        machine = await self.server.client("machine", details_types=("account_information",))
        for wanted in (LESS, LESS, LESS, SEE, None, LESS):
            form = {} if wanted is None else {"authorization_details": sent(wanted)}
            tokens = ok(await self.server.token(machine, "client_credentials", **form))
            self.assertEqual(await self.told(tokens), None if wanted is None else [wanted])


class DeviceTests(_Details):
    """Section 3: at the device authorization endpoint (RFC 8628)."""

    async def test_device(self) -> None:
        """The person sees the details on the page, and the device's token has them."""
        form = {"scope": "read", "authorization_details": sent(PAY)}
        started = ok(await self.server.post("/oauth2/device_authorize", form, basic=self.app.basic))
        browser = self.server.browser()
        page = await browser.open("/device", {"user_code": started["user_code"]})
        page = await browser.sign_in(page, self.alice)
        if "user_code" in form_of(page).fields:
            page = await browser.submit(page, "")
        self.assertIn("Start a payment", page.text)
        self.assertIn("DE02100100109307118603", page.text)
        await browser.submit(page, "allow")
        device = "urn:ietf:params:oauth:grant-type:device_code"
        wider = await self.server.token(
            self.app, device, device_code=started["device_code"], authorization_details=sent(SEE)
        )
        self.refused(wider, REFUSED)
        tokens = ok(await self.server.token(self.app, device, device_code=started["device_code"]))
        self.assertEqual((tokens["authorization_details"], await self.told(tokens)), ([PAY], [PAY]))

    async def test_types_taken_away_meanwhile(self) -> None:
        """A client that loses a type before the person agrees gets nothing of it."""
        form = {"scope": "read", "authorization_details": sent(PAY)}
        started = ok(await self.server.post("/oauth2/device_authorize", form, basic=self.app.basic))
        browser = self.server.browser()
        page = await browser.open("/device", {"user_code": started["user_code"]})
        page = await browser.sign_in(page, self.alice)
        app = with_fields(self.app, details_types=())
        await self.server.application.clients.update(self.app.client_id, lambda client: app.record)
        self.refused_page(await browser.submit(page, "allow"))
        device = "urn:ietf:params:oauth:grant-type:device_code"
        told = await self.server.token(self.app, device, device_code=started["device_code"])
        self.refused(told, "authorization_pending")

    async def test_refused_at_once(self) -> None:
        """What is wrong is told to the device before anybody is shown anything."""
        form = {"authorization_details": sent({**PAY, "more": 1})}
        self.refused(await self.server.post("/oauth2/device_authorize", form, basic=self.app.basic), REFUSED)


class RequestObjectTests(ObjectCase):
    """Section 3: in a request object (RFC 9101), where they are an array and no text."""

    sections = _Details.sections

    async def test_array(self) -> None:
        """A signed request brings them, and they are checked as all others are."""
        told = await self.answered(self.signed(authorization_details=[PAY, SEE]))
        tokens = ok(await self.server.redeem(self.app, told["code"]))
        self.assertEqual(tokens["authorization_details"], [PAY, SEE])
        wrong = await self.send(self.signed(authorization_details=[{**PAY, "more": 1}]))
        self.refused_by_redirect(wrong.redirected, REFUSED)

    async def test_nothing_is_added_beside_it(self) -> None:
        """What a browser brings beside a signed request is not looked at."""
        told = await self.answered(self.signed(authorization_details=[LESS]), authorization_details=sent(PAY))
        self.assertEqual(ok(await self.server.redeem(self.app, told["code"]))["authorization_details"], [LESS])


class LaneTests(LaneCase):
    """Section 7, where the answer comes from the fast lane."""

    sections = _Details.sections

    async def test_each_answer_fits_its_request(self) -> None:
        """Requests that differ in their details alone are two requests, however well one of them is known."""
        machine = await self.server.client("machine", details_types=("account_information",))
        whole, less = (
            request(TOKEN, {"grant_type": "client_credentials", "authorization_details": sent(one)}, machine)
            for one in (SEE, LESS)
        )
        plain = request(TOKEN, {"grant_type": "client_credentials"}, machine)
        line = await self.taught(whole)
        await self.taught(plain, line=line)
        for asking, expected in ((whole, [SEE]), (less, [LESS]), (plain, None), (whole, [SEE]), (less, [LESS])) * 3:
            told = json.loads(json_of(await line.ask(asking)))
            self.assertEqual(told.get("authorization_details"), expected)
            seen = await self.server.introspect(told["access_token"])
            self.assertEqual(seen.get("authorization_details"), expected)


class ResourceServerTests(_Details):
    """Section 9: what resource servers are told."""

    async def test_section_9_1_jwt(self) -> None:
        """Section 9.1: a JWT access token has the details as a claim."""
        tokens = await self.granted(PAY)
        claims = (await verified(self.server, tokens["access_token"], "ES256")).claims
        self.assertEqual(claims["authorization_details"], [PAY])

    async def test_section_9_2_introspection(self) -> None:
        """Section 9.2: so has introspection, for JWTs and opaque tokens, asked once or again from memory."""
        opaque = await self.server.client("opaque", access_format="opaque")
        for app in (self.app, opaque):
            tokens = await self.granted(PAY, SEE, app=app)
            for _ in range(3):
                self.assertEqual(await self.told(tokens), [PAY, SEE])

    async def test_what_it_is_made_of(self) -> None:
        """Markup and quotes in details are JSON strings in all three places."""
        odd = {**PAY, "creditorName": '"</script>\u2028\\ü'}
        tokens = await self.granted(odd)
        self.assertEqual(tokens["authorization_details"], [odd])
        self.assertEqual(await self.told(tokens), [odd])
        self.assertEqual(json.loads(json.dumps(await self.told(tokens))), [odd])


class UndeclaredTests(ServerCase):
    """A server whose operator declared no type."""

    async def test_nothing_is_known(self) -> None:
        """Every request with details is refused, and the metadata has no such member."""
        app, alice = await self.server.client(), await self.server.user()
        answer = await self.server.get(
            "/oauth2/authorize", self.server.asking(app, authorization_details=sent(SEE))
        )
        self.refused_by_redirect(answer.redirected, REFUSED)
        code = await self.server.code(app, alice)
        self.refused(await self.server.redeem(app, code, authorization_details=sent(SEE)), REFUSED)
        document = ok(await self.server.get("/.well-known/openid-configuration"))
        self.assertNotIn("authorization_details_types_supported", document)
