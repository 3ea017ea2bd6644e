"""OpenID Connect Core section 5.5: the `claims` parameter, section by section, and what attackers make of it."""

from __future__ import annotations

import json
from typing import Any

from oauthd.protocol import claims_request
from oauthd.protocol.errors import OAuthError
from oauthd.stores import kinds
from tests.server import App, form_of, ok
from tests.specs.test_openid_connect_core import CoreCase
from tests.specs.tokens import verified

PERSON = {
    "name": "Alice Example",
    "given_name": "Alice",
    "email": "alice@example.com",
    "email_verified": True,
    "phone_number": "+41 44 000 00 00",
    "address": {"country": "CH"},
    "secret_note": "nobody's business",
}


class ClaimsCase(CoreCase):
    """A user with claims, and requests for them."""

    async def prepare(self) -> None:
        """A user who has many claims."""
        await super().prepare()
        self.alice = await self.server.user("carol", claims=PERSON)

    async def told(self, claims: Any, scope: str = "openid", **parameters: str | None) -> tuple[Any, Any]:
        """What id token and userinfo say after such a request."""
        tokens = await self.server.signed_in(
            self.app, self.alice, browser=self.browser, scope=scope, claims=json.dumps(claims), **parameters
        )
        read = await verified(self.server, tokens["id_token"], "RS256")
        return read.claims, ok(await self.server.userinfo(tokens["access_token"]))


class DeliveryTests(ClaimsCase):
    """Sections 5.5 and 5.5.1: which claims are delivered, and where."""

    async def test_section_5_5_members(self) -> None:
        """Section 5.5: a claim goes where it was asked for, to the id token or to userinfo."""
        asked = {"id_token": {"given_name": None, "address": {"essential": True}}, "userinfo": {"phone_number": None}}
        token, userinfo = await self.told(asked)
        self.assertEqual((token["given_name"], token["address"]), ("Alice", {"country": "CH"}))
        self.assertNotIn("phone_number", token)
        self.assertEqual(userinfo["phone_number"], "+41 44 000 00 00")
        self.assertNotIn("given_name", userinfo)

    async def test_beside_scopes(self) -> None:
        """Section 5.5: claims come in addition to those of the scopes."""
        _, userinfo = await self.told({"userinfo": {"phone_number": None}}, "openid profile")
        self.assertLessEqual({"name", "phone_number"}, userinfo.keys())

    async def test_section_5_5_1_missing(self) -> None:
        """Section 5.5.1: what the person does not have is left out, essential or not, and no error."""
        token, userinfo = await self.told({"userinfo": {"website": {"essential": True}}, "id_token": {"picture": None}})
        self.assertNotIn("website", userinfo)
        self.assertNotIn("picture", token)

    async def test_section_5_5_1_values(self) -> None:
        """Section 5.5.1: a claim that was asked for with a value is told when that is its value."""
        asked = {
            "name": {"value": "Alice Example"},
            "given_name": {"value": "Bob"},
            "phone_number": {"values": ["1", "+41 44 000 00 00"]},
            "email_verified": {"value": 1},
        }
        _, userinfo = await self.told({"userinfo": asked})
        self.assertEqual({"name", "phone_number"}, userinfo.keys() & asked.keys())

    async def test_not_understood(self) -> None:
        """Section 5.5: members, claims and properties that are not understood are ignored, and leak nothing."""
        asked = {
            "userinfo": {"secret_note": {"essential": True}, "password": None, "name": {"purpose": "x"}, "roles": None},
            "verified_claims": {"x": 1},
        }
        token, userinfo = await self.told(asked)
        self.assertEqual(userinfo["name"], "Alice Example")
        for name in ("secret_note", "password", "roles", "verified_claims"):
            self.assertNotIn(name, token | userinfo)

    async def test_what_we_say_is_not_overwritten(self) -> None:
        """No request changes issuer, audience or subject of an id token."""
        asked = {name: {"value": "evil"} for name in ("iss", "aud", "exp", "nonce", "at_hash", "azp")}
        token, _ = await self.told({"id_token": asked, "userinfo": asked})
        self.assertEqual((token["aud"], token["sub"]), ("app", self.alice.user_id))
        self.assertNotIn("evil", token.values())

    async def test_about_the_sign_in(self) -> None:
        """Userinfo tells how and when the person signed in, when it is asked to."""
        token, userinfo = await self.told({"userinfo": {"acr": None, "auth_time": {"essential": True}}})
        self.assertEqual((userinfo["acr"], userinfo["auth_time"]), (token["acr"], token["auth_time"]))

    async def test_without_openid(self) -> None:
        """Without `openid` it is no parameter of the request, whatever it holds."""
        self.assertIn("code", await self.sign_in(scope="read", claims="{"))

    async def test_after_a_refresh(self) -> None:
        """What was granted is told after a refresh, too, as it is then."""
        tokens = await self.server.signed_in(
            self.app, self.alice, claims='{"userinfo":{"phone_number":null},"id_token":{"name":null}}'
        )
        again = ok(await self.server.refresh(self.app, tokens["refresh_token"]))
        self.assertIn("phone_number", ok(await self.server.userinfo(again["access_token"])))
        self.assertEqual((await verified(self.server, again["id_token"], "RS256")).claims["name"], "Alice Example")

    async def test_stored_as_understood(self) -> None:
        """The grant keeps what was understood, not what was sent."""
        code = await self.server.code(self.app, self.alice, claims='{"userinfo":{"name":{"x":1},"junk":null},"y":{}}')
        await self.server.redeem(self.app, code)
        (name,) = [key for key in await self.server.keys() if key.startswith(b"g:")]
        found = (await self.server.store.get(kinds.grant(name.split(b"{")[1].split(b"}")[0].decode())))[0]
        assert found is not None
        self.assertEqual(found.record.claims, {"userinfo": {"name": {}}})


class ConsentTests(ClaimsCase):
    """Section 3.1.2.4: nobody gets a claim that the person did not agree to."""

    ASKED = '{"userinfo":{"phone_number":null,"email_verified":null}}'

    async def test_the_page_names_them(self) -> None:
        """The consent page says which claims no scope covers."""
        page = await self.browser.sign_in(await self.ask(claims=self.ASKED, scope="openid email"), self.alice)
        self.assertIn("See your phone number", page.text)
        self.assertNotIn("whether your email address is verified", page.text)
        self.assertEqual(page.text.count("your email address"), 1)  # which openid alone would let out, too

    async def test_asked_again(self) -> None:
        """Consent to scopes alone does not cover claims; consent to the claims is remembered."""
        await self.sign_in(scope="openid")
        page = await self.ask(claims=self.ASKED)
        self.asks_for_consent(page)
        self.assertIn("code", (await self.browser.submit(page, "allow")).redirected)
        self.assertIn("code", (await self.ask(claims=self.ASKED, prompt="none")).redirected)

    async def test_prompt_none(self) -> None:
        """With prompt=none claims that were not agreed to are consent_required."""
        await self.sign_in(scope="openid")
        self.refused_by_redirect((await self.ask(claims=self.ASKED, prompt="none")).redirected, "consent_required")

    async def test_covered_by_a_scope(self) -> None:
        """Who agreed to a scope has agreed to its claims."""
        await self.sign_in(scope="openid phone email")
        told = (await self.ask(claims=self.ASKED, scope="openid phone email", prompt="none")).redirected
        self.assertIn("code", told)

    async def test_nobody_agrees_to_what_was_not_shown(self) -> None:
        """A form that was shown for other claims counts for nothing: the page is shown again."""
        page = await self.browser.sign_in(await self.ask(claims=self.ASKED), self.alice)
        again = await self.browser.submit(page, "allow", shown="openid")
        self.assertIn("See your phone number", again.text)
        self.assertIn("allow", form_of(again, "allow").decisions)

    async def test_a_scope_is_no_claim(self) -> None:
        """No scope can be called so that agreeing to it were agreeing to a claim."""
        self.refused_by_redirect((await self.ask(scope='openid "email"')).redirected, "invalid_scope")


class SubjectTests(ClaimsCase):
    """Section 3.1.2.2, step 4: a request about one person is answered about nobody else."""

    def asking_for(self, *subjects: str) -> str:
        """The parameter."""
        said = {"value": subjects[0]} if len(subjects) == 1 else {"values": list(subjects)}
        return json.dumps({"id_token": {"sub": said}})

    async def test_the_person(self) -> None:
        """The person who is asked for gets a code, signed in before or now."""
        told = await self.sign_in(claims=self.asking_for(self.alice.user_id))
        self.assertEqual((await self.id_token(told))["sub"], self.alice.user_id)
        asked = self.asking_for("u-other", self.alice.user_id)
        self.assertIn("code", (await self.ask(claims=asked, prompt="none")).redirected)

    async def test_another_person(self) -> None:
        """Another person is asked to sign in, and refused when it is still another; prompt=none is login_required."""
        await self.sign_in()
        bob = await self.server.user("bob")
        asked = self.asking_for(bob.user_id)
        self.refused_by_redirect((await self.ask(claims=asked, prompt="none")).redirected, "login_required")
        page = await self.ask(claims=asked)
        self.asks_to_sign_in(page)
        self.refused_by_redirect((await self.browser.sign_in(page, self.alice)).redirected, "login_required")
        page = await self.ask(claims=asked)
        self.assertIn("code", (await self.browser.finish(page, bob)).redirected)


class ContextTests(ClaimsCase):
    """Section 5.5.1.1: requests for an `acr`."""

    def asking_for(self, essential: bool, **said: Any) -> str:
        """The parameter."""
        return json.dumps({"id_token": {"acr": {"essential": essential, **said}}})

    async def test_essential(self) -> None:
        """An essential acr that a sign-in has here is what the id token says."""
        for said in ({"value": "urn:oauthd:pwd"}, {"values": ["urn:x", "urn:oauthd:pwd"]}, {}):
            told = await self.sign_in(claims=self.asking_for(True, **said))
            self.assertEqual((await self.id_token(told))["acr"], "urn:oauthd:pwd")

    async def test_essential_and_out_of_reach(self) -> None:
        """An essential acr that nobody can reach fails before anybody signs in for nothing."""
        for said in ({"value": "urn:mace:incommon:iap:silver"}, {"values": ["urn:x", "urn:y"]}):
            told = (await self.ask(claims=self.asking_for(True, **said))).redirected
            self.refused_by_redirect(told, "unmet_authentication_requirements")

    async def test_voluntary(self) -> None:
        """A wish that cannot be met is none: the id token says what was reached."""
        told = await self.sign_in(claims=self.asking_for(False, value="urn:x"), acr_values="urn:y urn:z")
        self.assertEqual((await self.id_token(told))["acr"], "urn:oauthd:pwd")


class StrictTests(ClaimsCase):
    """What is no claims parameter."""

    async def test_refused(self) -> None:
        """Malformed, ambiguous, oversized and mistyped ones are invalid_request, told by redirect."""
        for text in (
            "x",
            "{",
            "[]",
            "null",
            '"openid"',
            '{"id_token":null}',
            '{"id_token":[]}',
            '{"userinfo":"email"}',
            '{"userinfo":{"email":true}}',
            '{"userinfo":{"email":[]}}',
            '{"userinfo":{"email":{"essential":"yes"}}}',
            '{"userinfo":{"email":{"essential":1}}}',
            '{"userinfo":{"email":{"value":{}}}}',
            '{"userinfo":{"email":{"value":null}}}',
            '{"userinfo":{"email":{"values":"a"}}}',
            '{"userinfo":{"email":{"values":[]}}}',
            '{"userinfo":{"email":{"values":[[]]}}}',
            '{"userinfo":{"email":{"value":1e999}}}',
            '{"userinfo":{"email":{"value":NaN}}}',
            '{"userinfo":{"email":{"value":' + "9" * 400 + "}}}",
            '{"userinfo":{"email":{"value":"\\ud800"}}}',
            '{"userinfo":{"email":null,"email":null}}',
            '{"userinfo":{},"userinfo":{"email":null}}',
            '{"userinfo":{"email":{"values":[' + ",".join(["1"] * 33) + "]}}}",
            '{"userinfo":' * 20 + "null" + "}" * 20,
            "[" * 2000,
            '{"userinfo":{"email":{"value":"' + "x" * 4096 + '"}}}',
        ):
            told = (await self.ask(claims=text)).redirected
            self.refused_by_redirect(told, "invalid_request")

    async def test_twice(self) -> None:
        """Two claims parameters are one too many."""
        query = [*self.server.asking(self.app).items(), ("claims", "{}"), ("claims", "{}")]
        told = (await self.server.get("/oauth2/authorize", query)).redirected
        self.refused_by_redirect(told, "invalid_request")

    async def test_what_is_kept_is_bounded(self) -> None:
        """The longest one that is let in asks for what is known, and no more."""
        junk = json.dumps({"userinfo": {f"c{number}": None for number in range(200)} | {"email": None}})
        self.assertLess(len(junk), claims_request.LONGEST)
        self.assertEqual(claims_request.parse(junk), {"userinfo": {"email": {}}})

    async def test_text_that_is_no_object(self) -> None:
        """The parser says what is wrong without quoting it."""
        for text in ("secret-words", "[1]"):
            error = self.assertRaises(OAuthError, claims_request.parse, text)
            self.assertNotIn("secret", error.description)


class OtherAppsTests(ClaimsCase):
    """Claims are a matter of one grant."""

    async def test_another_client(self) -> None:
        """What one client was granted another one is not told."""
        await self.told({"userinfo": {"phone_number": None}})
        other: App = await self.server.client("other")
        tokens = await self.server.signed_in(other, self.alice, browser=self.browser)
        self.assertNotIn("phone_number", ok(await self.server.userinfo(tokens["access_token"])))

    async def test_another_grant(self) -> None:
        """A grant without the parameter tells nothing of what an earlier one told."""
        await self.told({"userinfo": {"phone_number": None}})
        tokens = await self.server.signed_in(self.app, self.alice, browser=self.browser)
        self.assertNotIn("phone_number", ok(await self.server.userinfo(tokens["access_token"])))
