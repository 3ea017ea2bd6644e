"""CIBA Core 1.0, Client-Initiated Backchannel Authentication: section by section, what holds of the running server."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from typing import Any

from msgspec.structs import replace
from twisted.internet.task import Clock

from oauthd.config import CibaSettings, RegistrationSettings
from oauthd.fetcher import Posting
from oauthd.protocol import jose, opaque
from oauthd.protocol.grant_types import CIBA
from oauthd.protocol.records import User
from tests.receivers import Heard, Receiver
from tests.server import CHEAP, ISSUER, App, Browser, Person, ServerCase, form_of, ok, together
from tests.specs.holders import Holder
from tests.specs.registering import RegisteringCase
from tests.specs.tokens import verified
from tests.wire import Answer

HOLDER, OTHER = Holder(), Holder(kid="two")
RS256 = Holder("RS256", "three")
ASK = "/oauth2/bc-authorize"
PAGE = "/requests"
QUOTE = '"'
NOTIFIED = "https://app.example/ciba"
TOLD_BY = "8d67dc78-7faa-4d41-aabd-67707b374255"
EXAMPLE = "https://api.example/things"


class CibaCase(ServerCase):
    """A client that polls, a person, and what goes between them."""

    async def prepare(self) -> None:
        """Make them."""
        self.app = await self.server.client(grant_types=(CIBA, "refresh_token"), ciba_mode="poll")
        self.alice = await self.server.user()

    async def change(self, **fields: Any) -> None:
        """Register the client otherwise."""
        await self.server.application.clients.update("app", lambda client: replace(client, **fields))

    async def asked(self, app: App | None = None, /, **form: str | None) -> Answer:
        """An authentication request; None leaves a parameter out."""
        usual: dict[str, str | None] = {"scope": "openid", "login_hint": "alice"}
        sent = {name: value for name, value in (usual | form).items() if value is not None}
        return await self.server.post(ASK, sent, basic=(app or self.app).basic)

    async def begun(self, app: App | None = None, /, **form: str | None) -> str:
        """The auth_req_id of a request that is taken."""
        return str(ok(await self.asked(app, **form))["auth_req_id"])

    async def poll(self, auth_req_id: str, app: App | None = None, **form: str) -> Answer:
        """A token request."""
        return await self.server.token(app or self.app, CIBA, auth_req_id=auth_req_id, **form)

    async def signed_in(self, person: Person | None = None) -> tuple[Browser, Answer]:
        """A browser, and the page after sign-in."""
        browser = self.server.browser()
        return browser, await browser.sign_in(await browser.open(PAGE), person or self.alice)

    async def opened(self, number: int = 0, person: Person | None = None) -> tuple[Browser, Answer]:
        """The page of a request that waits."""
        browser, page = await self.signed_in(person)
        return browser, await browser.open(addresses(page)[number])

    async def decide(self, decision: str = "allow") -> Answer:
        """Open the first request that waits, and decide."""
        browser, page = await self.opened()
        return await browser.submit(page, decision)

    def refused_plainly(self, answer: Answer, error: str, status: int = 400) -> None:
        """The answer is this error, without members that section 13 does not know."""
        self.assertEqual((answer.status, answer.error), (status, error), answer.body)
        self.assertEqual(set(answer.json()), {"error", "error_description"})
        self.assertEqual(answer.header("cache-control"), "no-store")


def addresses(page: Answer) -> list[str]:
    """The links of the page to single requests."""
    parts = page.text.split('href="/requests?')[1:]
    return [f"{PAGE}?{part.partition(QUOTE)[0].replace('&amp;', '&')}" for part in parts]


class RequestTests(CibaCase):
    """Sections 7.1 to 7.3 and 13: the request and its answer."""

    async def test_section_7_3_answer(self) -> None:
        """Section 7.3: an auth_req_id of 256 bits, how long it lives and how often to ask; not to be stored."""
        answer = await self.asked()
        told = ok(answer)
        self.assertEqual(set(told), {"auth_req_id", "expires_in", "interval"})
        self.assertEqual((told["expires_in"], told["interval"]), (300, 5))
        self.assertRegex(told["auth_req_id"], r"\A[A-Za-z0-9._-]+\Z")
        self.assertTrue(opaque.parse(opaque.BACKCHANNEL, told["auth_req_id"]))
        self.assertEqual(answer.header("cache-control"), "no-store")

    async def test_both_families(self) -> None:
        """The other family's path is the same endpoint."""
        form = {"scope": "openid", "login_hint": "alice"}
        ok(await self.server.post("/oauth/bc-authorize", form, basic=self.app.basic))

    async def test_section_7_1_client_authentication(self) -> None:
        """Section 7.1: the client authenticates as at the token endpoint; who does not is told 401."""
        form = {"scope": "openid", "login_hint": "alice"}
        self.refused_plainly(await self.server.post(ASK, form), "invalid_client", 401)
        self.refused_plainly(await self.server.post(ASK, form, basic=("app", "wrong" * 8)), "invalid_client", 401)
        self.refused_plainly(await self.server.post(ASK, {**form, "client_id": "app"}), "invalid_client", 401)

    async def test_section_7_1_audience(self) -> None:
        """Section 7.1: an assertion may be meant for the issuer, the token endpoint or this endpoint."""
        app = await self.server.client(
            "signs", grant_types=(CIBA,), ciba_mode="poll", auth_method="private_key_jwt", jwks=HOLDER.jwks
        )
        now = int(self.server.clock.seconds())
        for number, audience in enumerate((ISSUER, f"{ISSUER}/oauth2/token", ISSUER + ASK)):
            claims = {"iss": "signs", "sub": "signs", "aud": audience, "exp": now + 60, "jti": f"one {number}"}
            form = {
                "scope": "openid",
                "login_hint": "alice",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": HOLDER.sign(claims),
            }
            ok(await self.server.post(ASK, form))
        self.assertEqual(app.client_id, "signs")

    async def test_section_7_1_post_alone(self) -> None:
        """Section 7.1: the request is a POST of a form."""
        answer = await self.server.get(ASK, {"scope": "openid", "login_hint": "alice"})
        self.refused_plainly(answer, "method_not_allowed", 405)

    async def test_section_13_unregistered_clients(self) -> None:
        """Section 13: a client that is not registered for the grant, or for no mode, is unauthorized_client."""
        other = await self.server.client("other", grant_types=("authorization_code",), ciba_mode="poll")
        self.refused_plainly(await self.asked(other), "unauthorized_client")
        modeless = await self.server.client("modeless", grant_types=(CIBA,))
        self.refused_plainly(await self.asked(modeless), "unauthorized_client")

    async def test_section_7_1_scope(self) -> None:
        """Section 7.1: scope is required, has openid, and names what there is and the client may ask for."""
        self.refused_plainly(await self.asked(scope=None), "invalid_request")
        for scope in ("email", "openid unknown", "openid admin"):
            self.refused_plainly(await self.asked(scope=scope), "invalid_scope")
        await self.begun(scope="openid email")
        await self.begun(scope="email openid")

    async def test_section_7_1_exactly_one_hint(self) -> None:
        """Sections 7.1 and 7.2: one hint, no more and no less; an empty one is none."""
        for hints in (
            {"login_hint": None},
            {"login_hint": ""},
            {"id_token_hint": "a.b.c"},
            {"login_hint_token": "abc"},
            {"login_hint": None, "id_token_hint": "a.b.c", "login_hint_token": "abc"},
        ):
            self.refused_plainly(await self.asked(**hints), "invalid_request")

    async def test_section_7_1_login_hint_token(self) -> None:
        """Section 7.1: a login_hint_token is refused, and the sentence says what to use instead."""
        answer = await self.asked(login_hint=None, login_hint_token="abc")
        self.refused_plainly(answer, "invalid_request")
        self.assertIn("login_hint", answer.json()["error_description"])

    async def test_section_7_2_login_hint(self) -> None:
        """Section 7.2: a username in any spelling is known; nobody's, a deactivated one's and a huge one is not."""
        await self.begun(login_hint="ALICE")
        await self.server.user("gone", is_active=False)
        for hint in ("nobody", "gone", "x" * 5000, "alice\u0301"):
            self.refused_plainly(await self.asked(login_hint=hint), "unknown_user_id")

    async def test_section_7_1_id_token_hint(self) -> None:
        """Section 7.1: an id token of this client says whom it means, also when it has expired."""
        await self.change(grant_types=(CIBA, "authorization_code", "refresh_token"))
        hint = (await self.server.signed_in(self.app, self.alice))["id_token"]
        self.server.clock.advance(100_000)
        await self.begun(login_hint=None, id_token_hint=hint)

    async def test_section_14_id_token_hint_of_others(self) -> None:
        """Section 14: one that was issued to another client, by another issuer or to nobody here is refused."""
        other = await self.server.client("other")
        hint = (await self.server.signed_in(other, self.alice))["id_token"]
        forged = HOLDER.sign({"iss": ISSUER, "aud": "app", "sub": self.alice.user_id, "exp": 9e9, "iat": 1})
        for wrong in (hint, forged, "a.b.c"):
            self.refused_plainly(await self.asked(login_hint=None, id_token_hint=wrong), "invalid_request")

    async def test_an_id_token_hint_of_the_clients_own_making(self) -> None:
        """What is signed with the client's own secret the client may have made: it says nothing of anybody."""
        grants = (CIBA, "authorization_code")
        app = await self.server.client("hmac", grant_types=grants, ciba_mode="poll", id_token_algorithm="HS256")
        hint = (await self.server.signed_in(app, self.alice))["id_token"]
        self.refused_plainly(await self.asked(app, login_hint=None, id_token_hint=hint), "invalid_request")

    async def test_pairwise_id_token_hint(self) -> None:
        """Nobody is found again by a pairwise sub: such a client names people otherwise, and is told so."""
        await self.change(grant_types=(CIBA, "authorization_code"), subject_type="pairwise")
        hint = (await self.server.signed_in(self.app, self.alice))["id_token"]
        self.refused_plainly(await self.asked(login_hint=None, id_token_hint=hint), "invalid_request")

    async def test_section_7_1_binding_message(self) -> None:
        """Section 7.1: a message that no screen could show as it is, or a long one, is invalid_binding_message."""
        await self.begun(binding_message="W4SCT \u54c1\u5ddd \U0001f44d\U0001f3ff")
        for message in ("two\u2028lines", "\u202eturned", "x" * 129, " blank", "in\u200bvisible", "a\U000e0041b"):
            self.refused_plainly(await self.asked(binding_message=message), "invalid_binding_message")

    async def test_section_7_1_requested_expiry(self) -> None:
        """Section 7.1: a positive number of seconds, given up to the longest; anything else is refused."""
        for asked, given in (("10", 10), ("0000000030", 30), ("1800", 1800), ("1801", 1800), ("9" * 20, 1800)):
            answer = ok(await self.asked(requested_expiry=asked, login_hint="alice"))
            self.assertEqual(answer["expires_in"], given)
            await self.decide("deny")
        for wrong in ("0", "-1", "1.5", "1e3", "ten", "\u0663", "9" * 21, " 10"):
            self.refused_plainly(await self.asked(requested_expiry=wrong), "invalid_request")

    async def test_section_7_1_bounds(self) -> None:
        """What is kept of a request has bounds: wishes and codes that nobody could have are refused."""
        self.refused_plainly(await self.asked(acr_values="a" * 1025), "invalid_request")
        self.refused_plainly(await self.asked(user_code="1" * 257), "invalid_request")

    async def test_section_7_2_repeated_and_unknown(self) -> None:
        """Section 7.2: what is not known is ignored, what is there twice is refused."""
        await self.begun(status="approved", user_id="somebody", client_notification_token="no bearer token!")
        form = [("scope", "openid"), ("login_hint", "alice"), ("login_hint", "alice")]
        self.refused_plainly(await self.server.post(ASK, form, basic=self.app.basic), "invalid_request")

    async def test_resources(self) -> None:
        """RFC 8707: a request may name resources that exist; the tokens are for these, or for fewer."""
        await self.server.client("api", resources=(EXAMPLE,))
        self.refused_plainly(await self.asked(resource="https://nobody.example"), "invalid_target")
        auth_req_id = await self.begun(resource=EXAMPLE)
        await self.decide()
        self.refused(await self.poll(auth_req_id, resource="https://nobody.example"), "invalid_target")
        token = ok(await self.poll(auth_req_id, resource=EXAMPLE))["access_token"]
        self.assertEqual(jose.peek(token)[1]["aud"], EXAMPLE)

    async def test_section_4_metadata(self) -> None:
        """Section 4: the metadata names the endpoint, the grant, the modes and the algorithms."""
        document = ok(await self.server.get("/.well-known/openid-configuration"))
        self.assertEqual(document["backchannel_authentication_endpoint"], ISSUER + ASK)
        self.assertIn(CIBA, document["grant_types_supported"])
        self.assertEqual(document["backchannel_token_delivery_modes_supported"], ["poll", "ping", "push"])
        self.assertIs(document["backchannel_user_code_parameter_supported"], True)
        algorithms = document["backchannel_authentication_request_signing_alg_values_supported"]
        self.assertLessEqual({"PS256", "ES256"}, set(algorithms))
        self.assertNotIn("none", algorithms)
        self.assertFalse([name for name in algorithms if name.startswith("HS")])


class SignedTests(CibaCase):
    """Section 7.1.1: signed authentication requests."""

    async def prepare(self) -> None:
        """The client signs."""
        await super().prepare()
        await self.change(jwks=HOLDER.jwks)

    def claims(self, **more: Any) -> dict[str, Any]:
        """A request as claims; None leaves one out."""
        now = int(self.server.clock.seconds())
        usual = {"iss": "app", "aud": ISSUER, "exp": now + 300, "nbf": now, "iat": now}
        usual |= {"jti": self.server.entropy(9).hex(), "scope": "openid", "login_hint": "alice"}
        usual |= {"binding_message": "W4SCT"}
        return {name: value for name, value in (usual | more).items() if value is not None}

    async def sent(self, token: str, **form: str) -> Answer:
        """A request with a signed one in it."""
        return await self.server.post(ASK, {"request": token, **form}, basic=self.app.basic)

    async def test_section_7_1_1_good(self) -> None:
        """Section 7.1.1: what a signed request asks for is taken, with either type in its header."""
        for header in ({}, {"typ": "JWT"}, {"typ": "oauth-authz-req+jwt"}):
            ok(await self.sent(HOLDER.sign(self.claims(), **header)))
        _, page = await self.opened()
        self.assertIn("W4SCT", page.text)

    async def test_section_7_1_1_inside_alone(self) -> None:
        """Section 7.1.1: what stands outside does not count, neither beside nor instead of what is inside."""
        self.refused_plainly(
            await self.sent(HOLDER.sign(self.claims(login_hint=None)), login_hint="alice"), "invalid_request"
        )
        ok(await self.sent(HOLDER.sign(self.claims()), binding_message="Another", scope="unknown"))
        _, page = await self.opened()
        self.assertNotIn("Another", page.text)

    async def test_section_7_1_1_claims(self) -> None:
        """Section 7.1.1: aud, iss, exp, iat, nbf and jti must be there."""
        for name in ("aud", "iss", "exp", "iat", "nbf", "jti"):
            self.refused_plainly(await self.sent(HOLDER.sign(self.claims(**{name: None}))), "invalid_request")

    async def test_section_7_1_1_wrong_claims(self) -> None:
        """Section 7.1.1: for another server, of another client, out of its time, or of the wrong kind: refused."""
        now = int(self.server.clock.seconds())
        for wrong in (
            {"aud": "https://other.example"},
            {"aud": ["https://other.example"]},
            {"iss": "other"},
            {"client_id": "other"},
            {"exp": now - 60},
            {"exp": now + 4200},
            {"nbf": now + 600},
            {"nbf": now - 4200},
            {"iat": now + 600},
            {"exp": "soon"},
            {"jti": 7},
            {"jti": ""},
            {"request": "a.b.c"},
            {"scope": ["openid"]},
            {"binding_message": "two\nlines"},
        ):
            answer = await self.sent(HOLDER.sign(self.claims(**wrong)))
            self.assertEqual(answer.status, 400, wrong)
            self.assertIn(answer.error, ("invalid_request", "invalid_scope", "invalid_binding_message"))

    async def test_section_7_1_1_requested_expiry(self) -> None:
        """Section 7.1.1: requested_expiry may be a number or a string."""
        for value in (30, "30"):
            answer = await self.sent(HOLDER.sign(self.claims(requested_expiry=value)))
            self.assertEqual(ok(answer)["expires_in"], 30)
        for wrong in (True, 0, -1, 1.5, [30], {"a": 1}):
            self.refused_plainly(await self.sent(HOLDER.sign(self.claims(requested_expiry=wrong))), "invalid_request")

    async def test_section_7_1_1_keys(self) -> None:
        """Section 7.1.1: by a key of the client, with an asymmetric algorithm, signed at all and not encrypted."""
        good = HOLDER.sign(self.claims())
        head, body, signature = good.split(".")
        altered = f"{head}.{body}.{signature[:-4]}AAAA"
        for wrong in (OTHER.sign(self.claims()), f"{head}.{body}.", altered, "x", "a.b.c.d.e"):
            self.refused_plainly(await self.sent(wrong), "invalid_request")

    async def test_section_4_registered_algorithm(self) -> None:
        """Section 4: a client that registered how it signs signs so, always."""
        await self.change(jwks={"keys": [*HOLDER.jwks["keys"], *RS256.jwks["keys"]]}, ciba_algorithm="RS256")
        self.refused_plainly(await self.asked(), "invalid_request")
        self.refused_plainly(await self.sent(HOLDER.sign(self.claims())), "invalid_request")
        ok(await self.sent(RS256.sign(self.claims())))

    async def test_section_7_1_1_once(self) -> None:
        """Section 14: a signed request counts once; one that was refused for something else may come again."""
        token = HOLDER.sign(self.claims(binding_message="x" * 200))
        for _ in range(2):
            self.refused_plainly(await self.sent(token), "invalid_binding_message")
        good = HOLDER.sign(self.claims())
        answers = await together(self.sent(good) for _ in range(4))
        self.assertEqual(sorted(answer.status for answer in answers), [200, 400, 400, 400])

    async def test_fapi_ciba_5_2_2_signed(self) -> None:
        """FAPI-CIBA section 5.2.2: clients held to FAPI sign, by PS256 or ES256, and say what people compare."""
        await self.change(profile="fapi1", jwks={"keys": [*HOLDER.jwks["keys"], *RS256.jwks["keys"]]})
        self.refused_plainly(await self.asked(binding_message="W4SCT"), "invalid_request")
        self.refused_plainly(await self.sent(RS256.sign(self.claims())), "invalid_request")
        self.refused_plainly(await self.sent(HOLDER.sign(self.claims(binding_message=None))), "invalid_request")
        ok(await self.sent(HOLDER.sign(self.claims())))


class PageTests(CibaCase):
    """Section 8: the person sees who asks for what, and decides."""

    async def test_section_8_what_is_shown(self) -> None:
        """The page names the client, the message, the scopes and the person, and asks."""
        await self.begun(scope="openid email", binding_message="W4SCT")
        _, page = await self.opened()
        for shown in ("App", "W4SCT", "Alice Example", "See your email address"):
            self.assertIn(shown, page.text)
        self.assertIn("allow", page.forms[-1].decisions)

    async def test_nothing_waits(self) -> None:
        """Who is asked nothing is told so, also after everything is answered or over."""
        _, page = await self.signed_in()
        self.assertIn("Nothing is waiting", page.text)
        await self.begun()
        await self.decide("deny")
        await self.begun(requested_expiry="10")
        self.server.clock.advance(10)
        _, page = await self.signed_in()
        self.assertIn("Nothing is waiting", page.text)

    async def test_only_the_persons_own(self) -> None:
        """Nobody sees, opens or answers a request about somebody else."""
        auth_req_id = await self.begun()
        mallory = await self.server.user("mallory")
        _, hers = await self.signed_in()
        browser, page = await self.signed_in(mallory)
        self.assertIn("Nothing is waiting", page.text)
        request = addresses(hers)[0].split("request=")[1]
        interaction = form_of(page).fields["interaction"]
        self.refused_page(await browser.open(PAGE, {"interaction": interaction, "request": request}))
        form = form_of(page).fields | {"request": request, "decision": "allow", "subject": self.alice.user_id}
        self.refused_page(await browser.post(PAGE, form))
        self.refused(await self.poll(auth_req_id), "authorization_pending")

    async def test_no_csrf(self) -> None:
        """A form without the token of the flow, or from another browser's flow, decides nothing."""
        auth_req_id = await self.begun()
        browser, page = await self.opened()
        fields = form_of(page, "allow").fields
        self.refused_page(await browser.post(PAGE, fields | {"csrf": "x" * 43, "decision": "allow"}))
        self.refused_page(await browser.post(PAGE, {name: fields[name] for name in ("request", "subject")}))
        stranger, _ = await self.signed_in()
        stranger.cookies = {name: value for name, value in stranger.cookies.items() if "browser" in name}
        self.refused_page(await stranger.post(PAGE, fields | {"decision": "allow"}))
        self.refused(await self.poll(auth_req_id), "authorization_pending")

    async def test_a_form_without_a_decision(self) -> None:
        """A form that says neither yes nor no is refused."""
        await self.begun()
        browser, page = await self.opened()
        self.refused_page(await browser.post(PAGE, form_of(page, "allow").fields | {"decision": "maybe"}))
        self.refused_page(await browser.post(PAGE, form_of(page, "allow").fields))

    async def test_pressed_twice(self) -> None:
        """Who presses twice sees the same outcome twice; who comes later in another tab is told that it is over."""
        await self.begun()
        browser, page = await self.opened()
        other, again = await self.opened()
        for _ in range(2):
            self.assertIn("Request allowed", (await browser.submit(page, "allow")).text)
        self.refused_page(await other.submit(again, "deny"))

    async def test_switching(self) -> None:
        """Who is somebody else signs in as that, and sees what waits for that person."""
        await self.begun()
        bob = await self.server.user("bob")
        browser, page = await self.opened()
        page = await browser.submit(page, "switch")
        page = await browser.sign_in(page, bob)
        self.assertIn("Nothing is waiting", page.text)

    async def test_another_person_since(self) -> None:
        """A form that was shown to one person decides nothing when another has signed in since."""
        auth_req_id = await self.begun()
        browser, page = await self.opened()
        fields = form_of(page, "allow").fields
        self.assertEqual((await browser.post(PAGE, fields | {"decision": "allow", "subject": "x"})).status, 303)
        self.refused(await self.poll(auth_req_id), "authorization_pending")

    async def test_section_8_old_sign_in(self) -> None:
        """Section 8: a sign-in of long ago is not enough to allow; the password brings the person back to the page."""
        browser, _ = await self.signed_in()
        self.server.clock.advance(901)
        auth_req_id = await self.begun()
        page = await browser.open(addresses(await browser.open(PAGE))[0])
        page = await browser.submit(page, "allow")
        self.assertIn("password", form_of(page).fields)
        self.refused(await self.poll(auth_req_id), "authorization_pending")
        page = await browser.sign_in(page, self.alice)
        await browser.submit(page, "allow")
        self.server.clock.advance(5)
        claims = jose.peek(ok(await self.poll(auth_req_id))["id_token"])[1]
        self.assertEqual(claims["auth_time"], int(self.server.clock.seconds()) - 5)

    async def test_old_sign_in_denies(self) -> None:
        """To deny needs no new sign-in."""
        browser, _ = await self.signed_in()
        self.server.clock.advance(901)
        auth_req_id = await self.begun()
        page = await browser.open(addresses(await browser.open(PAGE))[0])
        self.assertIn("Request denied", (await browser.submit(page, "deny")).text)
        self.refused(await self.poll(auth_req_id), "access_denied")

    async def test_default_max_age(self) -> None:
        """A client's default_max_age asks for a newer sign-in than the setting; one made in this flow is new enough."""
        await self.change(default_max_age=0)
        browser, _ = await self.signed_in()
        self.server.clock.advance(1)
        auth_req_id = await self.begun()
        page = await browser.open(addresses(await browser.open(PAGE))[0])
        page = await browser.sign_in(await browser.submit(page, "allow"), self.alice)
        self.assertIn("Request allowed", (await browser.submit(page, "allow")).text)
        ok(await self.poll(auth_req_id))

    async def test_a_new_sign_in_is_for_one_request(self) -> None:
        """A sign-in that was made for one request is not made for the others of the same flow."""
        await self.change(default_max_age=0)
        browser, _ = await self.signed_in()
        first, second = await self.begun(), await self.begun()
        self.server.clock.advance(1)
        links = addresses(await browser.open(PAGE))
        page = await browser.sign_in(await browser.submit(await browser.open(links[0]), "allow"), self.alice)
        self.assertIn("Request allowed", (await browser.submit(page, "allow")).text)
        self.server.clock.advance(5)
        page = await browser.submit(await browser.open(links[1]), "allow")
        self.assertIn("password", form_of(page).fields)
        self.assertEqual({(await self.poll(one)).status for one in (first, second)}, {200, 400})
        page = await browser.sign_in(page, self.alice)
        self.assertIn("Request allowed", (await browser.submit(page, "allow")).text)

    async def test_a_changed_client(self) -> None:
        """Nobody allows to an application what was shown of one that had another name; it is shown anew."""
        auth_req_id = await self.begun()
        browser, page = await self.opened()
        await self.change(name="Your bank")
        again = await browser.submit(page, "allow")
        self.assertIn("Your bank", again.text)
        self.refused(await self.poll(auth_req_id), "authorization_pending")
        self.assertIn("Request allowed", (await browser.submit(again, "allow")).text)

    async def test_administrators_scope(self) -> None:
        """What only an administrator can give, others are not asked for."""
        await self.change(scopes=("openid", "admin"))
        await self.begun(scope="openid admin")
        self.refused_page((await self.opened())[1])

    async def test_gone_client(self) -> None:
        """A client that was switched off meanwhile gets nothing."""
        await self.begun()
        browser, page = await self.opened()
        await self.change(is_active=False)
        self.refused_page(await browser.submit(page, "allow"))

    async def test_what_a_client_lost(self) -> None:
        """A scope that was taken from the client since it asked is not given."""
        await self.begun(scope="openid email")
        browser, page = await self.opened()
        await self.change(scopes=("openid",))
        self.refused_page(await browser.submit(page, "allow"))


class TokenTests(CibaCase):
    """Sections 10.1 and 11: what the client learns by polling."""

    async def test_section_10_1_1_tokens(self) -> None:
        """Section 10.1.1: after approval there are tokens, and an id token that says who signed in, when and how."""
        auth_req_id = await self.begun(scope="openid email offline_access")
        self.refused(await self.poll(auth_req_id), "authorization_pending")
        await self.decide()
        answer = await self.poll(auth_req_id)
        told = ok(answer)
        self.assertEqual(answer.header("cache-control"), "no-store")
        claims = (await verified(self.server, told["id_token"], "RS256")).claims
        self.assertEqual((claims["sub"], claims["aud"], claims["iss"]), (self.alice.user_id, "app", ISSUER))
        self.assertEqual((claims["auth_time"], claims["acr"]), (int(self.server.clock.seconds()), "urn:oauthd:pwd"))
        self.assertTrue(await self.server.active(told["access_token"]))
        ok(await self.server.refresh(self.app, told["refresh_token"]))

    async def test_no_refresh_token_unless_registered(self) -> None:
        """A client that is not registered for refresh tokens gets none."""
        await self.change(grant_types=(CIBA,))
        auth_req_id = await self.begun()
        await self.decide()
        self.assertNotIn("refresh_token", ok(await self.poll(auth_req_id)))

    async def test_section_11_slow_down(self) -> None:
        """Section 11: who asks too early waits five seconds longer from then on."""
        auth_req_id = await self.begun()
        self.refused(await self.poll(auth_req_id), "authorization_pending")
        self.server.clock.advance(4)
        self.refused(await self.poll(auth_req_id), "slow_down")
        self.server.clock.advance(9)
        self.refused(await self.poll(auth_req_id), "slow_down")
        self.server.clock.advance(15)
        self.refused(await self.poll(auth_req_id), "authorization_pending")

    async def test_section_11_expired(self) -> None:
        """Section 11: what has ended is expired_token, approved or not; later it is not known any more."""
        waiting, given = await self.begun(), await self.begun()
        await self.decide()
        self.server.clock.advance(300)
        for auth_req_id in (waiting, given):
            self.refused(await self.poll(auth_req_id), "expired_token")
        self.server.clock.advance(600)
        self.refused(await self.poll(waiting), "invalid_grant")

    async def test_section_11_denied(self) -> None:
        """Section 11: a denial is access_denied, for good."""
        auth_req_id = await self.begun()
        await self.decide("deny")
        for _ in range(2):
            self.refused(await self.poll(auth_req_id), "access_denied")

    async def test_section_11_invalid(self) -> None:
        """Section 11: one that was never given out, or to another client, is invalid_grant, and stays its client's."""
        auth_req_id = await self.begun()
        other = await self.server.client("other", grant_types=(CIBA,), ciba_mode="poll")
        await self.decide()
        self.refused(await self.poll(auth_req_id, other), "invalid_grant")
        self.refused(await self.poll(auth_req_id[:-1] + "!"), "invalid_grant")
        made = opaque.make(opaque.BACKCHANNEL, self.server.entropy, opaque.new_grant_id(self.server.entropy))
        self.refused(await self.poll(made), "invalid_grant")
        self.refused(await self.server.token(self.app, CIBA), "invalid_request")
        ok(await self.poll(auth_req_id))

    async def test_section_11_push_clients(self) -> None:
        """Section 11: a client that tokens are pushed to is unauthorized_client here."""
        auth_req_id = await self.begun()
        await self.change(ciba_mode="push", ciba_notification_uri="https://app.example/cb")
        self.refused(await self.poll(auth_req_id), "unauthorized_client")

    async def test_once(self) -> None:
        """What was approved is redeemed once, also by many at the same time."""
        auth_req_id = await self.begun()
        await self.decide()
        answers = await together(self.poll(auth_req_id) for _ in range(5))
        self.assertEqual(sorted(answer.status for answer in answers), [200, 400, 400, 400, 400])
        self.assertEqual({answer.error for answer in answers if answer.status == 400}, {"invalid_grant"})
        self.refused(await self.poll(auth_req_id), "invalid_grant")

    async def test_a_lost_reply(self) -> None:
        """A redemption whose outcome is unknown may be tried again until it is spent; never two sets of tokens."""
        auth_req_id = await self.begun()
        await self.decide()
        self.server.store.crash_before = 1
        self.assertEqual((await self.poll(auth_req_id)).status, 503)
        ok(await self.poll(auth_req_id))
        self.refused(await self.poll(auth_req_id), "invalid_grant")

    async def test_a_revocation_in_between(self) -> None:
        """What is taken from the user or the client between approval and redemption leaves nothing to redeem."""
        for subject in (f"user:{self.alice.user_id}", "client:app", "world"):
            auth_req_id = await self.begun()
            await self.decide()
            await self.server.store.raise_generation(subject)
            self.refused(await self.poll(auth_req_id), "invalid_grant")

    async def test_a_revocation_ends_all(self) -> None:
        """Revoking the refresh token ends what the approval gave."""
        auth_req_id = await self.begun()
        await self.decide()
        told = ok(await self.poll(auth_req_id))
        await self.server.post("/oauth2/revoke", {"token": told["refresh_token"]}, basic=self.app.basic)
        self.assertFalse(await self.server.active(told["access_token"]))

    async def test_polled_while_it_is_decided(self) -> None:
        """A poll and a decision at the same moment lose neither."""
        auth_req_id = await self.begun()
        browser, page = await self.opened()
        await together([self.poll(auth_req_id), browser.submit(page, "allow"), self.poll(auth_req_id)])
        self.server.clock.advance(30)
        answer = await self.poll(auth_req_id)
        self.assertIn(answer.error or "ok", ("ok", "invalid_grant"))

    async def test_allowed_and_denied_at_once(self) -> None:
        """Of an approval and a denial that come at the same moment one counts, and the client learns that one."""
        auth_req_id = await self.begun()
        (one, page), (two, same) = await self.opened(), await self.opened()
        answers = await together([one.submit(page, "allow"), two.submit(same, "deny")])
        self.assertEqual(sorted(answer.status for answer in answers), [200, 400])
        allowed = answers[0].status == 200
        self.assertEqual((await self.poll(auth_req_id)).status, 200 if allowed else 400)
        self.assertEqual(len(self.server.told("ciba.approved")), int(allowed))
        self.assertEqual(len(self.server.told("ciba.denied")), int(not allowed))

    async def test_events(self) -> None:
        """What happens is told, without what redeems it."""
        auth_req_id = await self.begun(binding_message="W4SCT")
        await self.decide()
        for name in ("ciba.requested", "ciba.approved"):
            ((facts),) = self.server.told(name)
            self.assertEqual((facts["client_id"], facts["user_id"]), ("app", self.alice.user_id))
            self.assertNotIn(auth_req_id, str(facts))


class BoundTests(CibaCase):
    """Section 14, and what an attacker with a client could do."""

    sections = {"ciba": CibaSettings(user_requests=3, client_requests=2)}

    async def test_one_client_floods_a_person(self) -> None:
        """One client cannot have more than so many unanswered requests about a person; others still can."""
        for _ in range(2):
            await self.begun()
        answer = await self.asked()
        self.refused_plainly(answer, "too_many_requests", 429)
        self.assertTrue(answer.header("retry-after"))
        await self.server.user("bob")
        await self.begun(login_hint="bob")
        other = await self.server.client("other", grant_types=(CIBA,), ciba_mode="poll")
        await self.begun(other)

    async def test_many_clients_flood_a_person(self) -> None:
        """All clients together cannot have more than so many."""
        for number in range(4):
            app = await self.server.client(f"app{number}", grant_types=(CIBA,), ciba_mode="poll")
            answer = await self.asked(app)
            self.assertEqual(answer.status, 200 if number < 3 else 429)

    async def test_at_once(self) -> None:
        """The bound holds for requests that come at the same moment, too."""
        answers = await together(self.asked() for _ in range(8))
        self.assertEqual(sorted(answer.status for answer in answers), [200, 200, 429, 429, 429, 429, 429, 429])

    async def test_answers_make_room(self) -> None:
        """A request that is answered does not count any more; one that was not does until the longest has passed."""
        for _ in range(2):
            await self.begun()
        await self.decide("deny")
        await self.begun()
        self.refused_plainly(await self.asked(), "too_many_requests", 429)
        self.server.clock.advance(1800)
        await self.begun()


class ToldCase(CibaCase):
    """A client that is told, and the address where it is."""

    mode = "ping"

    async def prepare(self) -> None:
        """Register it, and let nothing be sent but by `deliver`."""
        await super().prepare()
        await self.change(ciba_mode=self.mode, ciba_notification_uri=NOTIFIED)
        self.receiver = Receiver()
        deliveries = self.server.application.deliveries
        self.patch(deliveries, "posting", Posting(self.receiver, Clock(), self.server.settings.fetch))

    async def asked(self, app: App | None = None, /, **form: str | None) -> Answer:
        """A request with a token for the notification."""
        return await super().asked(app, **{"client_notification_token": TOLD_BY, **form})

    async def deliver(self) -> list[Heard]:
        """What the client hears now."""
        before = len(self.receiver.heard)
        await self.server.application.deliveries.turn()
        return self.receiver.heard[before:]


class PingTests(ToldCase):
    """Sections 9 and 10.2: the client is told that there is something to ask for."""

    async def test_section_10_2_ping(self) -> None:
        """Section 10.2: a POST of JSON with the auth_req_id alone, authenticated by the client's token."""
        for decision, status in (("allow", 200), ("deny", 400)):
            auth_req_id = await self.begun()
            self.assertEqual(await self.deliver(), [])
            await self.decide(decision)
            (heard,) = await self.deliver()
            self.assertEqual(heard.url, NOTIFIED)
            self.assertEqual(json.loads(heard.body), {"auth_req_id": auth_req_id})
            self.assertEqual(heard.headers["authorization"], f"Bearer {TOLD_BY}")
            self.assertEqual(heard.headers["content-type"], "application/json")
            self.assertEqual((await self.poll(auth_req_id)).status, status)
            self.assertEqual(await self.deliver(), [])

    async def test_section_7_1_notification_token(self) -> None:
        """Section 7.1: a client that is told must send what it is told with: a bearer token."""
        for wrong in (None, "", "a b", "x" * 1025, "a\u00e9"):
            self.refused_plainly(await self.asked(client_notification_token=wrong), "invalid_request")

    async def test_section_10_1_polling(self) -> None:
        """Section 10.1: such a client may poll, too, and is not told when it has its tokens already."""
        auth_req_id = await self.begun()
        self.refused(await self.poll(auth_req_id), "authorization_pending")
        await self.decide()
        ok(await self.poll(auth_req_id))
        self.assertEqual(await self.deliver(), [])

    async def test_section_10_2_answers(self) -> None:
        """Section 10.2: whatever the endpoint answers, no redirect is followed, and there are tokens all the same."""
        for status in (204, 301, 401, 403, 404):
            self.receiver.answers = [status]
            auth_req_id = await self.begun()
            await self.decide()
            self.assertEqual(len(await self.deliver()), 1)
            self.server.clock.advance(60)
            self.assertEqual(await self.deliver(), [], status)
            ok(await self.poll(auth_req_id))

    async def test_tried_again(self) -> None:
        """An endpoint that is busy is tried again; once the request has ended it is not."""
        self.receiver.answers = [503, 204]
        await self.begun()
        await self.decide()
        heard = []
        for _ in range(5):
            heard += await self.deliver()
            self.server.clock.advance(50)
        self.assertEqual(len(heard), 2)
        self.receiver.answers = [503]
        await self.begun()
        await self.decide()
        self.assertEqual(len(await self.deliver()), 1)
        self.server.clock.advance(300)
        self.assertEqual(await self.deliver(), [])

    async def test_at_rest(self) -> None:
        """Neither the client's token nor the auth_req_id lies in the store as it is."""
        auth_req_id = await self.begun()
        await self.decide()
        held = b"".join((await self.server.dump()).values())
        for secret in (auth_req_id, TOLD_BY):
            self.assertNotIn(secret.encode(), held)

    async def test_a_client_that_changed(self) -> None:
        """A client that polls by now, or is switched off, is told nothing."""
        for fields in ({"ciba_mode": "poll"}, {"is_active": False}):
            await self.begun()
            await self.decide()
            await self.change(**fields)
            self.assertEqual(await self.deliver(), [])
            await self.change(ciba_mode="ping", is_active=True)

    async def test_inside_a_signed_request(self) -> None:
        """Section 7.1.1: a token outside of a signed request does not stand for one inside."""
        await self.change(jwks=HOLDER.jwks)
        now = int(self.server.clock.seconds())
        claims = {"iss": "app", "aud": ISSUER, "exp": now + 300, "nbf": now, "iat": now, "jti": "one"}
        token = HOLDER.sign(claims | {"scope": "openid", "login_hint": "alice"})
        self.refused_plainly(await self.asked(request=token, scope=None, login_hint=None), "invalid_request")


class PushTests(ToldCase):
    """Sections 10.3 and 12: the outcome itself is brought to the client."""

    mode = "push"

    async def test_section_7_3_no_interval(self) -> None:
        """Section 7.3: who does not poll is told no interval."""
        self.assertEqual(set(ok(await self.asked())), {"auth_req_id", "expires_in"})

    async def test_section_10_3_1_tokens(self) -> None:
        """Section 10.3.1: the tokens, with an id token that vouches for them and for the request."""
        auth_req_id = await self.begun(scope="openid email offline_access")
        await self.decide()
        (heard,) = await self.deliver()
        told = json.loads(heard.body)
        self.assertEqual(heard.headers["authorization"], f"Bearer {TOLD_BY}")
        expected = {"auth_req_id", "access_token", "token_type", "expires_in", "refresh_token", "id_token", "scope"}
        self.assertEqual(set(told), expected)
        self.assertEqual(told["auth_req_id"], auth_req_id)
        claims = (await verified(self.server, told["id_token"], "RS256")).claims
        self.assertEqual(claims["urn:openid:params:jwt:claim:auth_req_id"], auth_req_id)
        for name, token in (("at_hash", "access_token"), ("urn:openid:params:jwt:claim:rt_hash", "refresh_token")):
            half = hashlib.sha256(told[token].encode()).digest()[:16]
            self.assertEqual(claims[name], base64.urlsafe_b64encode(half).rstrip(b"=").decode())
        self.assertEqual(claims["sub"], self.alice.user_id)
        self.assertTrue(await self.server.active(told["access_token"]))
        ok(await self.server.refresh(self.app, told["refresh_token"]))
        self.refused(await self.poll(auth_req_id), "unauthorized_client")

    async def test_no_refresh_token_no_hash(self) -> None:
        """Section 10.3.1: without a refresh token there is no rt_hash."""
        await self.change(grant_types=(CIBA,))
        await self.begun()
        await self.decide()
        (heard,) = await self.deliver()
        told = json.loads(heard.body)
        self.assertNotIn("refresh_token", told)
        self.assertNotIn("urn:openid:params:jwt:claim:rt_hash", jose.peek(told["id_token"])[1])

    async def test_a_clients_own_lifetime(self) -> None:
        """A token that lives longer than others, by its client's registration, does so where it is pushed, too."""
        await self.change(grant_types=(CIBA,), access_lifetime=3_600)
        await self.begun()
        await self.decide()
        (heard,) = await self.deliver()
        told = json.loads(heard.body)
        self.assertEqual(told["expires_in"], 3_600)
        self.server.clock.advance(3_599)
        self.assertTrue(await self.server.active(told["access_token"]))

    async def test_section_12_denied(self) -> None:
        """Section 12: a denial is brought as an error, with the auth_req_id."""
        auth_req_id = await self.begun()
        await self.decide("deny")
        (heard,) = await self.deliver()
        told = json.loads(heard.body)
        self.assertEqual((told["auth_req_id"], told["error"]), (auth_req_id, "access_denied"))
        self.assertEqual(set(told), {"auth_req_id", "error", "error_description"})

    async def test_the_same_again(self) -> None:
        """What is sent again is the same, byte for byte; nothing is minted twice."""
        self.receiver.answers = [503, 503, 200]
        await self.begun()
        await self.decide()
        heard = []
        for _ in range(6):
            heard += await self.deliver()
            self.server.clock.advance(40)
        self.assertEqual(len(heard), 3)
        self.assertEqual(len({one.body for one in heard}), 1)

    async def test_a_lost_reply(self) -> None:
        """When nobody knows whether the tokens were stored, they are pushed later, once minted."""
        for lost in ("crash_before", "crash_after"):
            auth_req_id = await self.begun()
            await self.decide()
            setattr(self.server.store, lost, 1)
            heard = []
            for _ in range(4):
                heard += await self.deliver()
                self.server.clock.advance(45)
            self.assertEqual([json.loads(one.body)["auth_req_id"] for one in heard], [auth_req_id])
            self.assertTrue(await self.server.active(json.loads(heard[0].body)["access_token"]))

    async def test_taken_back(self) -> None:
        """Section 12: what was taken back since the approval is not pushed; the client hears that it has failed."""
        auth_req_id = await self.begun()
        await self.decide()
        await self.server.store.raise_generation(f"user:{self.alice.user_id}")
        (heard,) = await self.deliver()
        told = json.loads(heard.body)
        self.assertEqual((told["auth_req_id"], told["error"]), (auth_req_id, "transaction_failed"))
        self.assertEqual(set(told), {"auth_req_id", "error", "error_description"})
        self.assertEqual(await self.deliver(), [])

    async def test_a_client_that_changed(self) -> None:
        """Nothing is minted for a client that may not have tokens pushed any more, whatever was approved."""
        was = {"grant_types": (CIBA,), "dpop_bound": False, "profile": ""}
        for fields in ({"grant_types": ("client_credentials",)}, {"dpop_bound": True}, {"profile": "fapi1"}):
            await self.begun()
            await self.decide()
            await self.change(**fields)
            self.assertEqual(await self.deliver(), [], fields)
            await self.change(**was)

    async def test_at_rest(self) -> None:
        """What was pushed lies in the store for no one to read, while it is sent."""
        self.receiver.answers = [503]
        await self.begun()
        await self.decide()
        (heard,) = await self.deliver()
        held = b"".join((await self.server.dump()).values())
        for name in ("access_token", "refresh_token", "id_token"):
            self.assertNotIn(json.loads(heard.body)[name].encode(), held)

    async def test_section_5_bound_tokens(self) -> None:
        """Section 5: nothing is pushed to who would have to prove a key at the token endpoint, or is held to FAPI."""
        for fields in ({"dpop_bound": True}, {"profile": "fapi1"}, {"profile": "fapi2"}):
            await self.change(**fields)
            answer = await self.asked()
            self.assertIn(answer.error, ("unauthorized_client", "invalid_client"), fields)
            await self.change(dpop_bound=False, profile="")


class RegistrationTests(RegisteringCase):
    """Section 4: clients that register themselves."""

    sections = {
        "users": CHEAP,
        "registration": RegistrationSettings(allow="open", grant_types=(CIBA, "refresh_token")),
    }

    async def test_section_4_members(self) -> None:
        """Section 4: the members are taken, kept and told; a client so registered may ask."""
        body = {
            "grant_types": [CIBA],
            "backchannel_token_delivery_mode": "poll",
            "backchannel_authentication_request_signing_alg": "ES256",
            "backchannel_user_code_parameter": True,
            "jwks": HOLDER.jwks,
            "response_types": [],
        }
        told = await self.registered(body)
        self.assertEqual({name: told[name] for name in body}, body)
        record = await self.record(told)
        self.assertEqual((record.ciba_mode, record.ciba_algorithm, record.ciba_user_code), ("poll", "ES256", True))
        await self.server.user()
        form = {"scope": "openid", "login_hint": "alice"}
        answer = await self.server.post(ASK, form, basic=(told["client_id"], told["client_secret"]))
        self.assertIn("must sign", answer.json()["error_description"])

    async def test_section_4_wrong_members(self) -> None:
        """Section 4: the grant without a mode, or with one that there is none, and public clients are refused."""
        for wrong in (
            {},
            {"backchannel_token_delivery_mode": "pull"},
            {"backchannel_token_delivery_mode": ["poll"]},
            {"backchannel_token_delivery_mode": "poll", "backchannel_user_code_parameter": "true"},
            {"backchannel_token_delivery_mode": "poll", "token_endpoint_auth_method": "none"},
            {"backchannel_token_delivery_mode": "poll", "backchannel_authentication_request_signing_alg": "HS256"},
            {"backchannel_token_delivery_mode": "poll", "backchannel_authentication_request_signing_alg": "none"},
            {"backchannel_token_delivery_mode": "poll", "subject_type": "pairwise", "jwks_uri": "https://a.example/"},
        ):
            body = {"grant_types": [CIBA], "response_types": [], **wrong}
            self.refused(await self.register(body), "invalid_client_metadata")


class UsualRegistrationTests(RegisteringCase):
    """Who may not, as the settings are."""

    async def test_not_for_everybody(self) -> None:
        """Clients that register themselves have this grant type only where the operator says so."""
        body = {"grant_types": [CIBA], "backchannel_token_delivery_mode": "poll", "response_types": []}
        self.refused(await self.register(body), "invalid_client_metadata")


class UserCodeTests(CibaCase):
    """Section 7.1.2: who has a user code is asked by clients alone that know it."""

    code = "2468-\u00e9"
    sections = {"users": CHEAP, "ciba": CibaSettings(user_code_tries=2, client_requests=100, user_requests=100)}

    async def prepare(self) -> None:
        """Alice has one, and the client is registered to send it."""
        await super().prepare()
        await self.change(ciba_user_code=True)
        await self.give(self.code)

    async def give(self, code: str) -> None:
        """Give Alice a user code."""
        hashed = await self.server.application.passwords.hash(code)
        await self.server.application.users.update(self.alice.user_id, lambda user: replace(user, user_code=hashed))

    async def test_right(self) -> None:
        """With the right code she is asked, by either hint; and how often it was right does not count."""
        for _ in range(12):
            await self.begun(user_code=self.code)
        await self.change(grant_types=(CIBA, "authorization_code", "refresh_token"))
        hint = (await self.server.signed_in(self.app, self.alice))["id_token"]
        await self.begun(login_hint=None, id_token_hint=hint, user_code=self.code)
        answer = await self.asked(login_hint=None, id_token_hint=hint)
        self.refused_plainly(answer, "missing_user_code")

    async def test_section_13_missing_and_wrong(self) -> None:
        """Section 13: without it, missing_user_code; with another, invalid_user_code; nothing waits then."""
        self.refused_plainly(await self.asked(), "missing_user_code")
        self.refused_plainly(await self.asked(user_code=""), "missing_user_code")
        self.refused_plainly(await self.asked(user_code=f"{self.code}x"), "invalid_user_code")
        self.refused_plainly(await self.asked(user_code="x" * 257), "invalid_request")
        _, page = await self.signed_in()
        self.assertEqual(addresses(page), [])

    async def test_section_4_clients_without_the_parameter(self) -> None:
        """Section 4: a client that is not registered for it asks only who has none, whatever it sends."""
        await self.change(ciba_user_code=False)
        self.refused_plainly(await self.asked(user_code=self.code), "missing_user_code")
        await self.server.user("bob")
        await self.begun(login_hint="bob", user_code="anything")

    async def test_who_has_none(self) -> None:
        """Who has no code is asked with any, or none."""
        await self.server.user("bob")
        for code in (None, "anything"):
            await self.begun(login_hint="bob", user_code=code)

    async def test_guessing(self) -> None:
        """After some wrong ones none is looked at for an hour, not even the right one; others are not kept out."""
        for _ in range(2):
            self.refused_plainly(await self.asked(user_code="wrong"), "invalid_user_code")
        answer = await self.asked(user_code=self.code)
        self.refused_plainly(answer, "too_many_requests", 429)
        self.assertEqual(answer.header("retry-after"), "3600")
        other = await self.server.client("other", grant_types=(CIBA,), ciba_mode="poll", ciba_user_code=True)
        await self.begun(other, user_code=self.code)
        self.server.clock.advance(3600)
        await self.begun(user_code=self.code)

    async def test_guessing_by_strangers(self) -> None:
        """Clients that registered themselves have their tries together, and lock out nobody but each other."""
        strangers = [await self.asking(f"app{number}", registration=bytes(32)) for number in range(8)]
        for number, stranger in enumerate(strangers):
            for _ in range(2):
                error, status = ("too_many_requests", 429) if number else ("invalid_user_code", 400)
                self.refused_plainly(await self.asked(stranger, user_code="wrong"), error, status)
        self.refused_plainly(await self.asked(strangers[-1], user_code=self.code), "too_many_requests", 429)
        await self.begun(user_code=self.code)
        self.assertEqual(len(addresses((await self.signed_in())[1])), 1)

    async def asking(self, name: str, **fields: Any) -> App:
        """Another client that sends user codes."""
        fields |= {"grant_types": (CIBA,), "ciba_mode": "poll", "ciba_user_code": True}
        return await self.server.client(name, **fields)

    async def test_guessing_at_once(self) -> None:
        """Guesses at once share one count."""
        answers = await together(self.asked(user_code="wrong") for _ in range(6))
        self.assertEqual(sum(answer.error == "invalid_user_code" for answer in answers), 2)

    async def test_at_rest(self) -> None:
        """It lies in the store as passwords do, and shows nowhere."""
        await self.begun(user_code=self.code)
        held = b"".join((await self.server.dump()).values())
        self.assertNotIn(self.code.encode(), held)
        self.assertNotIn(self.code, repr(self.server.events))


class SilentUserCodeTests(UserCodeTests):
    """With `ciba.tells_unknown` off nobody is told that a code is wrong: so nobody learns who has an account."""

    sections = {
        "users": CHEAP,
        "ciba": CibaSettings(user_code_tries=2, client_requests=100, user_requests=100, tells_unknown=False),
    }

    def refused_plainly(self, answer: Answer, error: str, status: int = 400) -> None:
        """What is refused elsewhere because of a login_hint is taken here, and never answered."""
        if "auth_req_id" not in answer.json():
            return super().refused_plainly(answer, error, status)
        self.assertIn(error, ("missing_user_code", "invalid_user_code", "too_many_requests"))
        return None

    async def test_guessing(self) -> None:
        """The right code does not count either where too many wrong ones were sent: she sees nothing of any."""
        for code in ("wrong", "wrong", self.code):
            self.assertEqual((await self.asked(user_code=code)).status, 200)
        self.assertEqual(addresses((await self.signed_in())[1]), [])
        self.server.clock.advance(3600)
        await self.begun(user_code=self.code)
        self.assertEqual(len(addresses((await self.signed_in())[1])), 1)

    async def test_guessing_at_once(self) -> None:
        """All are taken."""
        answers = await together(self.asked(user_code="wrong") for _ in range(6))
        self.assertEqual({answer.status for answer in answers}, {200})

    async def test_names_that_nobody_has(self) -> None:
        """The same answers, whoever is named and whatever code is sent."""
        for code in (None, "wrong", self.code):
            told = [set(ok(await self.asked(login_hint=hint, user_code=code))) for hint in ("alice", "nobody")]
            self.assertEqual(told[0], told[1])

    async def test_steps(self) -> None:
        """A name that nobody has costs what others cost, in the store and in checks of passwords, locked out or not."""
        await self.server.user("bob")
        costs = {}
        for name in ("nobody", "bob", "alice"):
            costs[name] = [await self.cost(name) for _ in range(4)]
        self.assertEqual(costs["nobody"], costs["bob"])
        self.assertEqual(costs["nobody"], costs["alice"])
        self.assertEqual([one["verify"] for one in costs["nobody"]], [1, 1, 0, 0])

    async def cost(self, name: str) -> Counter[str]:
        """How often the store is asked and a code checked, when a wrong one is sent."""
        counted: Counter[str] = Counter()
        codes = self.server.application.ciba_authentication.codes

        def counting(owner: type, verb: str) -> None:
            usual = getattr(owner, verb)

            def called(*arguments: Any) -> Any:
                counted[verb] += 1
                return usual(*arguments)

            patches.append(self.patch(owner, verb, called))

        patches: list[Any] = []
        counting(type(codes.passwords), "verify")
        for verb in ("get", "commit", "put"):
            counting(type(codes.store), verb)
        ok(await self.asked(login_hint=name, user_code="wrong"))
        for patch in patches:
            patch.restore()
        return counted


class SilentTests(CibaCase):
    """With `ciba.tells_unknown` off clients do not learn who has an account."""

    sections = {"ciba": CibaSettings(tells_unknown=False, client_requests=2)}

    async def test_a_name_that_nobody_has(self) -> None:
        """A hint that names nobody is taken, polled and bounded as any other, and never answered."""
        known, unknown = ok(await self.asked()), ok(await self.asked(login_hint="nobody"))
        self.assertEqual(set(known), set(unknown))
        self.assertEqual(len(known["auth_req_id"]), len(unknown["auth_req_id"]))
        self.refused(await self.poll(unknown["auth_req_id"]), "authorization_pending")
        for hint in ("alice", "Nobody"):
            ok(await self.asked(login_hint=hint))
            self.refused_plainly(await self.asked(login_hint=hint), "too_many_requests", 429)
        self.server.clock.advance(300)
        self.refused(await self.poll(unknown["auth_req_id"]), "expired_token")

    async def test_deactivated(self) -> None:
        """The same of somebody who was deactivated."""
        await self.server.application.users.update(self.alice.user_id, _inactive)
        self.refused(await self.poll(await self.begun()), "authorization_pending")


def _inactive(user: User) -> User:
    return replace(user, is_active=False)
