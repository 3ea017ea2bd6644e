"""RFC 8693, OAuth 2.0 Token Exchange: section by section, what holds of the running server."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from oauthd.config import ExchangeSettings
from oauthd.protocol import jose
from oauthd.protocol.records import Scopes
from oauthd.protocol.standing import MOST_NAMES
from oauthd.protocol.token_exchange import ACCESS_TOKEN, JWT, REFRESH_TOKEN
from oauthd.stores import kinds, naming
from oauthd.stores.clients import RESOURCES
from oauthd.stores.interface import Write
from oauthd.stores.resources import ResourceGenerations
from oauthd.stores.scopes import SCOPES
from oauthd.stores.sessions import Sessions
from tests.possession import Holder as Prover
from tests.server import CHEAP, GRANTS, ISSUER, App, Browser, ServerCase, ok
from tests.specs.holders import Holder
from tests.specs.tokens import verified
from tests.web.lane import listening
from tests.wire import Answer

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
FILES, MAIL = "https://files.example/v1", "https://mail.example"
IDP = "https://idp.example"
TRUSTED = Holder(kid="idp")
RULE: dict[str, Any] = {"from": "app", "act": "both", "audience": ["files", "mail"]}


class ExchangeCase(ServerCase):
    """A front end `app`, a service `gateway` that gets its tokens, and two resources behind that."""

    sections: dict[str, Any] = {
        "users": CHEAP,
        "exchange": ExchangeSettings(issuers=(f"{IDP} {json.dumps(TRUSTED.jwks)} sub=username",)),
    }

    async def prepare(self) -> None:
        """Register everybody."""
        self.app = await self.server.client()
        self.files = await self.server.client("files", resources=(FILES,))
        self.mail = await self.server.client("mail", resources=(MAIL,))
        self.gateway = await self.exchanger("gateway", RULE)
        self.alice = await self.server.user()

    async def exchanger(self, name: str, *rules: dict[str, Any], **fields: Any) -> App:
        """A client with these rules."""
        return await self.server.client(name, **({"grant_types": (*GRANTS, GRANT), "exchanges": rules} | fields))

    async def signed_in(self, scope: str = "openid read write", **more: Any) -> dict[str, Any]:
        """What the front end has of the user."""
        return await self.server.signed_in(self.app, self.alice, scope=scope, **more)

    async def exchange(self, token: str, by: App | None = None, kind: str = ACCESS_TOKEN, **form: Any) -> Answer:
        """Exchange a token; None leaves a parameter out, a list sends one several times."""
        app = by or self.gateway
        asked: dict[str, Any] = {
            "grant_type": GRANT, "subject_token": token, "subject_token_type": kind, "resource": FILES, **form,
        }  # fmt: skip
        pairs = [
            (name, one)
            for name, value in asked.items()
            if value is not None
            for one in (value if isinstance(value, list) else [value])
        ]
        headers = [(name, one) for name, one in pairs if name == "DPoP"]
        form_pairs = [pair for pair in pairs if pair[0] != "DPoP"]
        return await self.server.post("/oauth2/token", form_pairs, basic=app.basic, headers=headers)

    def overtaken(self, happening: Callable[[], Awaitable[Any]]) -> None:
        """Let something happen once, between the look at the tokens and the writing of the new one."""
        store = self.server.store
        writing = {name: getattr(store, name) for name in ("put", "commit")}

        def first(name: str) -> Any:
            async def write(*what: Any) -> Any:
                for patched in both:
                    patched.restore()
                await happening()
                return await writing[name](*what)

            return write

        both = [self.patch(store, name, first(name)) for name in writing]

    async def told(self, answer: Answer, by: App | None = None) -> dict[str, Any]:
        """What a resource is told of the token that was got."""
        return await self.server.introspect(ok(answer)["access_token"], by or self.files)

    def vouched(self, **said: Any) -> str:
        """A JWT of the trusted issuer; None leaves a claim out."""
        now = int(self.server.clock.seconds())
        claims = {"iss": IDP, "sub": "alice", "aud": ISSUER, "exp": now + 300, "iat": now} | said
        return TRUSTED.sign({name: one for name, one in claims.items() if one is not None})


class RequestTests(ExchangeCase):
    """Section 2.1: the request."""

    async def test_section_2_1_impersonation(self) -> None:
        """Section 2.1, appendix A.1: a subject token alone gives a token of the same subject for another target."""
        token = (await self.signed_in())["access_token"]
        told = await self.told(await self.exchange(token))
        self.assertEqual((told["sub"], told["client_id"]), (self.alice.user_id, "gateway"))
        self.assertEqual((told["aud"], told["scope"]), (FILES, "openid read write"))
        self.assertNotIn("act", told)

    async def test_section_2_1_rules_alone(self) -> None:
        """Section 2.1: without a rule, or a rule for this pair, nothing is exchanged, and nothing is told."""
        token = (await self.signed_in())["access_token"]
        bare = await self.exchanger("bare")
        other = await self.exchanger("other", RULE | {"from": "mail"})
        kinds_of_others = await self.exchanger("kinds", RULE | {"tokens": ["id_token"]})
        for app in (bare, other, kinds_of_others):
            self.refused(await self.exchange(token, by=app), "invalid_request")
        dead = (await self.exchange("nonsense", by=other)).json()["error_description"]
        self.assertEqual((await self.exchange(token, by=other)).json()["error_description"], dead)

    async def test_section_2_1_any_client(self) -> None:
        """A rule from * is about every client's tokens, and about no other issuer's."""
        free = await self.exchanger("free", {"from": "*", "tokens": ["access_token", "jwt"], "scope": ["read"]})
        token = (await self.signed_in())["access_token"]
        ok(await self.exchange(token, by=free))
        self.refused(await self.exchange(self.vouched(), by=free, kind=JWT), "invalid_request")

    async def test_section_2_1_confidential_alone(self) -> None:
        """Section 2.1: a public client exchanges nothing, whatever its record says."""
        public = await self.exchanger("public", RULE, client_type="public", public=True)
        token = (await self.signed_in())["access_token"]
        form = {"subject_token": token, "subject_token_type": ACCESS_TOKEN}
        self.refused(await self.server.token(public, GRANT, **form), "unauthorized_client")
        self.refused(await self.exchange(token, by=self.files), "unauthorized_client")  # not registered for it

    async def test_section_2_1_parameters(self) -> None:
        """Section 2.1: tokens and their types come together; unknown types are refused."""
        token = (await self.signed_in())["access_token"]
        wrong: tuple[dict[str, Any], ...] = (
            {"subject_token": None},
            {"subject_token_type": None},
            {"subject_token": None, "subject_token_type": None},
            {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"},
            {"subject_token_type": "access_token"},
            {"actor_token": token},
            {"actor_token_type": ACCESS_TOKEN},
            {"actor_token": token, "actor_token_type": "urn:x"},
            {"subject_token": [token, token]},
        )
        for form in wrong:
            self.refused(await self.exchange(token, **form), "invalid_request")

    async def test_section_2_1_targets(self) -> None:
        """Section 2.1: targets are named by URI or by the client that owns them, several, mixed."""
        token = (await self.signed_in())["access_token"]
        told = await self.told(await self.exchange(token, resource=None, audience="files"))
        self.assertEqual(told["aud"], FILES)
        told = await self.told(await self.exchange(token, resource=FILES, audience=["mail", FILES]))
        self.assertEqual(told["aud"], [FILES, MAIL])
        told = await self.told(await self.exchange(token, resource=None))
        self.assertEqual(told["aud"], [FILES, MAIL])

    async def test_section_2_2_2_targets(self) -> None:
        """Section 2.2.2: a target that is unknown, or that the rule does not name, is invalid_target."""
        token = (await self.signed_in())["access_token"]
        narrow = await self.exchanger("narrow", RULE | {"audience": [MAIL]})
        self.refused(await self.exchange(token, by=narrow), "invalid_target")
        for name, value in (("resource", "https://x.example"), ("audience", "app"), ("resource", f"{FILES}#x")):
            self.refused(await self.exchange(token, None, ACCESS_TOKEN, **{name: value}), "invalid_target")

    async def test_what_memory_lacks(self) -> None:
        """Nobody is refused, or given less, for what memory does not know of yet."""
        cache = self.server.application.world.cache
        listening(self, self.server)
        token = (await self.signed_in())["access_token"]
        cache.prove(self.server.clock.seconds())
        ok(await self.exchange(token))
        cache.entries[naming.key(SCOPES)].value = Scopes()
        told = await self.told(await self.exchange(token, scope=None))
        self.assertEqual(told["scope"], "openid read write")
        cache.entries[naming.key(RESOURCES)].value = {}
        forms: tuple[dict[str, Any], ...] = ({}, {"resource": None, "audience": "files"})
        for form in forms:
            self.assertEqual((await self.told(await self.exchange(token, **form)))["aud"], FILES)

    async def test_targets_never_widen(self) -> None:
        """What was issued for one resource is for that alone, unless the rule names another."""
        owner = await self.exchanger("owner", {"from": "app", "act": "impersonate"}, resources=("https://own.example",))
        token = (await self.signed_in(resource="https://own.example"))["access_token"]
        self.refused(await self.exchange(token, by=owner), "invalid_target")
        told = await self.told(await self.exchange(token, by=owner, resource=None), owner)
        self.assertEqual(told["aud"], "https://own.example")
        crossing = RULE | {"audience": [FILES]}
        await self.server.application.clients.update("owner", lambda one: replace(one, exchanges=(crossing,)))
        self.assertEqual((await self.told(await self.exchange(token, by=owner)))["aud"], FILES)

    async def test_audience_of_the_subject_token(self) -> None:
        """Who is not among those that a token is for exchanges nothing with it, though a rule is there."""
        token = (await self.signed_in(resource=MAIL))["access_token"]
        self.refused(await self.exchange(token), "invalid_request")

    async def test_section_2_1_scope(self) -> None:
        """Section 2.1: fewer scopes are had, never more than token, rule and client have."""
        token = (await self.signed_in("openid read"))["access_token"]
        self.assertEqual(ok(await self.exchange(token, scope="read"))["scope"], "read")
        self.refused(await self.exchange(token, scope="write"), "invalid_scope")
        ruled = await self.exchanger("ruled", RULE | {"scope": ["read", "write"]})
        self.assertEqual(ok(await self.exchange(token, by=ruled))["scope"], "read")
        self.refused(await self.exchange(token, by=ruled, scope="openid"), "invalid_scope")
        poor = await self.exchanger("poor", RULE, scopes=("write",))
        self.assertNotIn("scope", ok(await self.exchange(token, by=poor)))
        self.refused(await self.exchange(token, scope="admin"), "invalid_scope")

    async def test_reserved_scopes_stay_behind(self) -> None:
        """An administrator's token gives a service no administrator's token, unless the service is given that scope."""
        root = await self.server.user("root", roles=("admin",))
        await self.server.application.clients.update(
            "app", lambda one: replace(one, scopes=("openid", "read", "admin"))
        )
        token = (await self.server.signed_in(self.app, root, scope="read admin"))["access_token"]
        self.assertEqual(ok(await self.exchange(token))["scope"], "read")

    async def test_several_rules(self) -> None:
        """Of several rules about a token the one counts by which the request can be granted."""
        two = await self.exchanger(
            "two", RULE | {"audience": [FILES], "scope": ["read"]}, RULE | {"audience": [MAIL], "scope": ["write"]}
        )
        token = (await self.signed_in())["access_token"]
        self.assertEqual(ok(await self.exchange(token, by=two))["scope"], "read")
        self.assertEqual(ok(await self.exchange(token, by=two, resource=MAIL))["scope"], "write")
        self.refused(await self.exchange(token, by=two, resource=MAIL, scope="read"), "invalid_target")


class ResponseTests(ExchangeCase):
    """Sections 2.2 and 3: the answer, and the types."""

    async def test_section_2_2_1_answer(self) -> None:
        """Section 2.2.1: the answer tells what was issued; no refresh token and no id token come with it."""
        answer = await self.exchange((await self.signed_in())["access_token"])
        told = ok(answer)
        self.assertEqual(told["issued_token_type"], ACCESS_TOKEN)
        self.assertEqual(told["token_type"], "Bearer")
        self.assertEqual(
            set(told), {"access_token", "issued_token_type", "token_type", "expires_in", "scope"}
        )
        self.assertEqual(answer.header("cache-control"), "no-store")

    async def test_section_2_1_requested_type(self) -> None:
        """Section 2.1: an access token or a JWT is issued; other requested types are refused."""
        opaque = await self.exchanger("opaque", RULE, access_format="opaque")
        token = (await self.signed_in())["access_token"]
        told = ok(await self.exchange(token, by=opaque, requested_token_type=JWT))
        self.assertEqual((told["issued_token_type"], told["token_type"]), (JWT, "Bearer"))
        read = await verified(self.server, told["access_token"], "ES256")
        self.assertEqual((read.header["typ"], read.claims["sub"]), ("at+jwt", self.alice.user_id))
        told = ok(await self.exchange(token, by=opaque, requested_token_type=ACCESS_TOKEN))
        self.assertNotIn(".", told["access_token"])
        for kind in (REFRESH_TOKEN, ID_TOKEN, "urn:ietf:params:oauth:token-type:saml1", "x"):
            self.refused(await self.exchange(token, requested_token_type=kind), "invalid_request")

    async def test_section_3_both_formats(self) -> None:
        """Section 3: access tokens of both formats are exchanged, JWTs under either of their types."""
        jwt = (await self.signed_in())["access_token"]
        ok(await self.exchange(jwt))
        ok(await self.exchange(jwt, kind=JWT))
        await self.server.application.clients.update("app", lambda one: replace(one, access_format="opaque"))
        opaque = (await self.signed_in())["access_token"]
        ok(await self.exchange(opaque))
        self.refused(await self.exchange(opaque, kind=JWT), "invalid_request")

    async def test_section_3_machine_tokens(self) -> None:
        """A machine's token is exchanged, too: its client is the subject."""
        token = ok(await self.server.token(self.app, "client_credentials", scope="read"))["access_token"]
        told = await self.told(await self.exchange(token))
        self.assertEqual((told["sub"], told["client_id"]), ("app", "gateway"))

    async def test_section_3_refresh_tokens(self) -> None:
        """Section 3: a refresh token is exchanged by the client that it was issued to alone, and not used up."""
        own = RULE | {"tokens": ["refresh_token"]}
        await self.server.application.clients.update(
            "app", lambda one: replace(one, exchanges=(own,), grant_types=(*GRANTS, GRANT))
        )
        await self.server.application.clients.update("gateway", lambda one: replace(one, exchanges=(own,)))
        token = (await self.signed_in("openid read"))["refresh_token"]
        self.refused(await self.exchange(token, kind=REFRESH_TOKEN), "invalid_request")
        told = await self.told(await self.exchange(token, by=self.app, kind=REFRESH_TOKEN))
        self.assertEqual((told["sub"], told["scope"]), (self.alice.user_id, "openid read"))
        again = ok(await self.server.refresh(self.app, token))["refresh_token"]
        self.refused(await self.exchange(token, by=self.app, kind=REFRESH_TOKEN), "invalid_request")
        self.refused(await self.exchange(again, by=self.app), "invalid_request")  # as an access token

    async def test_section_3_id_tokens(self) -> None:
        """Section 3: an id token of ours is exchanged where a rule lets, for scopes that the rule names."""
        rule = RULE | {"tokens": ["id_token"], "scope": ["read"]}
        reader = await self.exchanger("reader", rule)
        token = (await self.signed_in())["id_token"]
        told = await self.told(await self.exchange(token, by=reader, kind=ID_TOKEN))
        self.assertEqual((told["sub"], told["scope"]), (self.alice.user_id, "read"))
        self.refused(await self.exchange(token, kind=ID_TOKEN), "invalid_request")  # no rule for id tokens
        for kind in (ACCESS_TOKEN, JWT, REFRESH_TOKEN):
            self.refused(await self.exchange(token, by=reader, kind=kind), "invalid_request")
        unnamed = await self.exchanger("unnamed", RULE | {"tokens": ["id_token"]})
        self.assertNotIn("scope", ok(await self.exchange(token, by=unnamed, kind=ID_TOKEN)))
        self.server.clock.advance(3601)
        self.refused(await self.exchange(token, by=reader, kind=ID_TOKEN), "invalid_request")

    async def test_section_3_id_tokens_of_a_session(self) -> None:
        """An id token is good as long as the sign-in behind it, which a sign-out ends, and all that ends sessions."""
        reader = await self.exchanger("reader", RULE | {"tokens": ["id_token"], "scope": ["read"]})
        tokens, browser = self.server.application.tokens, self.server.browser()
        for end in (lambda: tokens.end_all_of_user(self.alice.user_id), lambda: leave(browser)):
            token = (await self.signed_in(browser=browser))["id_token"]
            other = (await self.signed_in(browser=self.server.browser()))["id_token"]
            ok(await self.exchange(token, by=reader, kind=ID_TOKEN))
            await end()
            self.refused(await self.exchange(token, by=reader, kind=ID_TOKEN), "invalid_request")
        ok(await self.exchange(other, by=reader, kind=ID_TOKEN))
        app = await self.server.client("asking", grant_types=("password",))
        rule = RULE | {"from": "asking", "tokens": ["id_token"], "scope": ["read"]}
        by_password = await self.exchanger("typed", rule)
        person = {"username": self.alice.username, "password": self.alice.password, "scope": "openid"}
        without = ok(await self.server.token(app, "password", **person))["id_token"]
        self.refused(await self.exchange(without, by=by_password, kind=ID_TOKEN), "invalid_request")

    async def test_section_3_id_tokens_signed_out_meanwhile(self) -> None:
        """The sign-in that an id token tells of ends while it is exchanged: nothing is had, and no grant is left."""
        rule = RULE | {"tokens": ["id_token"], "scope": ["read"], "refresh": True}
        reader = await self.exchanger("reader", rule)
        browser = self.server.browser()
        token = (await self.signed_in(browser=browser))["id_token"]
        self.overtaken(partial(leave, browser))
        self.refused(await self.exchange(token, by=reader, kind=ID_TOKEN), "invalid_request")
        grants = [key for key in await self.server.keys() if key[:2] == b"g:"]
        self.assertEqual(len(grants), 1)  # the front end's own

    async def test_section_3_id_tokens_and_their_client(self) -> None:
        """All that the client of an id token has is ended: what was exchanged for it is dead, that of others is not."""
        reader = await self.exchanger("reader", RULE | {"from": "*", "tokens": ["id_token"], "scope": ["read"]})
        other = await self.server.client("other")
        tokens = (
            (await self.signed_in())["id_token"],
            (await self.server.signed_in(other, self.alice, scope="openid read"))["id_token"],
        )
        mine, spared = [await self.exchange(token, by=reader, kind=ID_TOKEN) for token in tokens]
        self.assertTrue((await self.told(mine))["active"])
        await self.server.application.tokens.end_all_of_client("app")
        self.assertFalse((await self.told(mine))["active"])
        self.assertTrue((await self.told(spared))["active"])

    async def test_section_3_id_tokens_whose_client_ended_meanwhile(self) -> None:
        """So it is where that happens while the session is looked at, and while the answer is written."""
        reader = await self.exchanger("reader", RULE | {"tokens": ["id_token"], "scope": ["read"]})
        token = (await self.signed_in())["id_token"]
        end, page = partial(self.server.application.tokens.end_all_of_client, "app"), Sessions.page

        async def ended(sessions: Sessions, *what: Any) -> Any:
            patched.restore()
            await end()
            return await page(sessions, *what)

        patched = self.patch(Sessions, "page", ended)
        self.assertFalse((await self.told(await self.exchange(token, by=reader, kind=ID_TOKEN)))["active"])
        self.overtaken(end)
        self.assertFalse((await self.told(await self.exchange(token, by=reader, kind=ID_TOKEN)))["active"])
        self.assertTrue((await self.told(await self.exchange(token, by=reader, kind=ID_TOKEN)))["active"])

    async def test_section_3_id_tokens_by_secret(self) -> None:
        """An id token that its client could have made, by the secret that both know, vouches for nobody."""
        reader = await self.exchanger("reader", RULE | {"from": "*", "tokens": ["id_token"], "scope": ["read"]})
        hmac = await self.server.client("hmac", id_token_algorithm="HS256")
        now = int(self.server.clock.seconds())
        claims = {"iss": ISSUER, "aud": "hmac", "sub": self.alice.user_id, "iat": now, "exp": now + 300}
        forged = jose.sign_hmac(claims, hmac.secret.encode(), "HS256")
        genuine = (await self.server.signed_in(hmac, self.alice))["id_token"]
        for token in (forged, genuine):
            self.refused(await self.exchange(token, by=reader, kind=ID_TOKEN), "invalid_request")

    async def test_section_3_access_token_as_id_token(self) -> None:
        """An access token is no id token, and a token that somebody else signed is neither."""
        reader = await self.exchanger("reader", RULE | {"tokens": ["id_token"], "scope": ["read"]})
        tokens = await self.signed_in()
        forged = Holder().sign({"iss": ISSUER, "sub": self.alice.user_id, "aud": "app", "exp": 2**40, "iat": 1})
        for token in (tokens["access_token"], forged, f"{tokens['id_token'][:-4]}AAAA", "x.y.z", "\N{SNOWMAN}"):
            self.refused(await self.exchange(token, by=reader, kind=ID_TOKEN), "invalid_request")


async def leave(browser: Browser) -> None:
    """Sign the browser out."""
    await browser.submit(await browser.open("/logout"), "yes")


class ForeignTests(ExchangeCase):
    """JWTs of an issuer that the operator trusts."""

    async def prepare(self) -> None:
        """A service that may exchange them."""
        await super().prepare()
        rule = {"from": IDP, "scope": ["read", "write"], "act": "both", "audience": [FILES]}
        self.reader = await self.exchanger("reader", rule)

    async def foreign(self, **said: Any) -> Answer:
        """Exchange one."""
        return await self.exchange(self.vouched(**said), by=self.reader, kind=JWT)

    async def test_subject_is_one_of_ours(self) -> None:
        """The person that it means is one of ours, and the token ends no later than the JWT."""
        told = await self.told(await self.foreign())
        self.assertEqual((told["sub"], told["scope"], told["client_id"]), (self.alice.user_id, "read write", "reader"))
        self.assertEqual(told["exp"], int(self.server.clock.seconds()) + 300)

    async def test_said_scope(self) -> None:
        """A scope that it says is the most that is had of it."""
        self.assertEqual(ok(await self.foreign(scope="write openid"))["scope"], "write")

    async def test_refused(self) -> None:
        """Refused: another audience, a second one, no end, an end in the past, nobody known, another issuer, no sub."""
        now = int(self.server.clock.seconds())
        wrong: tuple[dict[str, Any], ...] = (
            {"aud": "https://other.example"}, {"aud": [ISSUER, "https://other.example"]}, {"aud": None}, {"aud": []},
            {"exp": None}, {"exp": now}, {"exp": now - 60}, {"nbf": now + 60}, {"iat": now + 60}, {"exp": "soon"},
            {"sub": "bob"}, {"sub": ""}, {"sub": None}, {"sub": 7}, {"sub": "a" * 300},
            {"iss": "https://x.example"}, {"iss": ISSUER}, {"iss": None},
        )  # fmt: skip
        for said in wrong:
            self.refused(await self.foreign(**said), "invalid_request")

    async def test_signature(self) -> None:
        """Refused: another key, another type, none."""
        now = int(self.server.clock.seconds())
        claims = {"iss": IDP, "sub": "alice", "aud": ISSUER, "exp": now + 300}
        unsigned = "eyJhbGciOiJub25lIn0." + TRUSTED.sign(claims).split(".")[1] + "."
        for token in (Holder(kid="idp").sign(claims), TRUSTED.sign(claims, typ="at+jwt"), unsigned):
            self.refused(await self.exchange(token, by=self.reader, kind=JWT), "invalid_request")
        self.refused(await self.exchange(TRUSTED.sign(claims), by=self.reader), "invalid_request")  # no token of ours

    async def test_deactivated(self) -> None:
        """Who is deactivated is vouched for in vain, and tokens that came of it are dead."""
        token = ok(await self.foreign())["access_token"]
        await self.server.application.users.deactivate(self.alice.user_id)
        self.assertEqual(await self.server.introspect(token, self.files), {"active": False})
        self.refused(await self.foreign(), "invalid_request")

    async def test_actors_of_theirs(self) -> None:
        """Section 4.1: actors that it names stay those of its issuer, and are no names of ours."""
        told = await self.told(await self.foreign(act={"sub": "gateway", "email": "x", "act": {"sub": "cron"}}))
        self.assertEqual(told["act"], {"sub": "gateway", "iss": IDP, "act": {"sub": "cron", "iss": IDP}})
        for act in ("x", {}, {"sub": 7}, {"sub": "x", "act": []}, {"iss": IDP}):
            self.refused(await self.foreign(act=act), "invalid_request")

    async def test_section_4_4_may_act(self) -> None:
        """Section 4.4: whom it lets act, and nobody else; what cannot be judged lets nobody."""
        told = await self.told(await self.foreign(may_act={"sub": "reader", "iss": ISSUER}))
        self.assertEqual(told["may_act"], {"sub": "reader", "iss": ISSUER})
        # A name without an issuer is one of the issuer of the JWT, whoever is called so here.
        wrong: tuple[Any, ...] = (
            {"sub": "reader"}, {"client_id": "reader"}, {"sub": "gateway"}, {"sub": "reader", "iss": IDP},
            {"sub": "reader", "iss": ISSUER, "email": "x"}, {}, "x",
        )  # fmt: skip
        for may_act in wrong:
            self.refused(await self.foreign(may_act=may_act), "invalid_request")

    async def test_refresh_by_rule(self) -> None:
        """Section 2.2.1: a refresh token comes where the rule says so; who acts stays in what it gives."""
        rule = {"from": IDP, "scope": ["read"], "act": "delegate", "audience": [FILES], "refresh": True}
        keeper = await self.exchanger("keeper", rule)
        answer = ok(await self.exchange(self.vouched(), by=keeper, kind=JWT))
        self.server.clock.advance(600)
        again = ok(await self.server.refresh(keeper, answer["refresh_token"]))
        told = await self.server.introspect(again["access_token"], self.files)
        self.assertEqual((told["sub"], told["act"]), (self.alice.user_id, {"sub": "keeper"}))


class ActorTests(ExchangeCase):
    """Sections 1.1, 4.1 and 4.4: who acts."""

    async def machine(self, app: App) -> str:
        """A token of a client for itself."""
        return str(ok(await self.server.token(app, "client_credentials"))["access_token"])

    async def acting(self, token: str, actor: str, by: App | None = None) -> Answer:
        """Exchange with an actor."""
        return await self.exchange(token, by=by, actor_token=actor, actor_token_type=ACCESS_TOKEN)

    async def test_section_4_1_act(self) -> None:
        """Section 4.1: the actor stands in the JWT and in the answer of introspection."""
        token, actor = (await self.signed_in())["access_token"], await self.machine(self.gateway)
        answer = await self.acting(token, actor)
        self.assertEqual((await self.told(answer))["act"], {"sub": "gateway"})
        read = await verified(self.server, ok(answer)["access_token"], "ES256")
        self.assertEqual((read.claims["act"], read.claims["sub"]), ({"sub": "gateway"}, self.alice.user_id))
        (issued,) = [one for one in self.server.told("token.issued") if one["grant_type"] == GRANT]
        self.assertEqual((issued["client_id"], issued["actor"]), ("gateway", "gateway"))

    async def test_delegation_by_rule(self) -> None:
        """A rule that demands delegation makes the asking client the actor, which has proved who it is."""
        agent = await self.exchanger("agent", RULE | {"act": "delegate"})
        token = (await self.signed_in())["access_token"]
        self.assertEqual((await self.told(await self.exchange(token, by=agent)))["act"], {"sub": "agent"})

    async def test_impersonation_by_rule(self) -> None:
        """A rule for impersonation takes no actor."""
        silent = await self.exchanger("silent", RULE | {"act": "impersonate"})
        token, actor = (await self.signed_in())["access_token"], await self.machine(silent)
        self.refused(await self.acting(token, actor, silent), "invalid_request")

    async def test_whose_actor_tokens(self) -> None:
        """Somebody else's token shows no actor, unless the rule names whose it is."""
        token, actor = (await self.signed_in())["access_token"], await self.machine(self.mail)
        self.refused(await self.acting(token, actor), "invalid_request")
        broker = await self.exchanger("broker", RULE | {"actors": ["mail"]})
        self.assertEqual((await self.told(await self.acting(token, actor, broker)))["act"], {"sub": "mail"})
        await self.server.application.tokens.end_access(actor)
        self.refused(await self.acting(token, actor, broker), "invalid_request")

    async def test_people_and_others_as_actors(self) -> None:
        """A person of ours, or a trusted issuer's, is an actor where the rule says so; theirs shows its issuer."""
        broker = await self.exchanger("broker", RULE | {"actors": ["app", IDP]})
        bob = await self.server.user("bob")
        token = (await self.signed_in())["access_token"]
        actor = (await self.server.signed_in(self.app, bob))["access_token"]
        told = await self.told(await self.acting(token, actor, broker))
        self.assertEqual(told["act"], {"sub": bob.user_id, "client_id": "app"})
        theirs = self.vouched(sub="robot")
        answer = await self.exchange(token, by=broker, actor_token=theirs, actor_token_type=JWT)
        told = await self.told(answer)
        self.assertEqual(told["act"], {"sub": "robot", "iss": IDP})
        self.assertEqual(ok(answer)["expires_in"], 300)

    async def test_section_4_1_chain(self) -> None:
        """Section 4.1: a further actor stands before the earlier one; the same one again is no further actor."""
        first = ok(await self.exchange((await self.signed_in())["access_token"], by=await self.delegate("one", "app")))
        second_app = await self.delegate("two", "one", "two")
        second = ok(await self.exchange(first["access_token"], by=second_app))
        chain = {"sub": "two", "act": {"sub": "one"}}
        self.assertEqual((await self.server.introspect(second["access_token"], self.files))["act"], chain)
        third = ok(await self.exchange(second["access_token"], by=second_app))
        self.assertEqual((await self.server.introspect(third["access_token"], self.files))["act"], chain)
        quiet = await self.exchanger("quiet", RULE | {"from": "two", "act": "impersonate"}, resources=(FILES,))
        kept = ok(await self.exchange(third["access_token"], by=quiet))
        self.assertEqual((await self.server.introspect(kept["access_token"], self.files))["act"], chain)

    async def delegate(self, name: str, *sources: str) -> App:
        """A client that acts for others, and is among those whom FILES belongs to."""
        rules = [RULE | {"from": one, "act": "delegate"} for one in sources]
        return await self.exchanger(name, *rules, resources=(FILES,))

    async def test_section_4_1_longest_chain(self) -> None:
        """A chain of more than eight actors is refused."""
        token, source = (await self.signed_in())["access_token"], "app"
        for number in range(8):
            name = f"actor{number}"
            token, source = ok(await self.exchange(token, by=await self.delegate(name, source)))["access_token"], name
        self.refused(await self.exchange(token, by=await self.delegate("ninth", source)), "invalid_request")

    async def test_an_actor_who_is_acted_for(self) -> None:
        """A token that itself has an actor shows nobody who acts."""
        delegated = ok(await self.acting((await self.signed_in())["access_token"], await self.machine(self.gateway)))
        token = (await self.signed_in())["access_token"]
        self.refused(await self.acting(token, delegated["access_token"]), "invalid_request")

    async def test_section_4_4_of_a_grant(self) -> None:
        """Section 4.4: whom a grant lets act, and nobody else, rule or no rule, with an actor token or without."""
        tokens = await self.signed_in()
        (stored,) = await self.server.store.get(kinds.access_token(tokens["access_token"]))
        assert stored is not None
        ref = kinds.grant(stored.record.grant)
        (grant,) = await self.server.store.get(ref)
        assert grant is not None
        other = await self.exchanger("other", RULE)
        await self.server.store.put(Write(ref, replace(grant.record, may_act={"sub": "gateway"})))
        told = await self.told(await self.exchange(tokens["access_token"]))
        self.assertEqual(told["may_act"], {"sub": "gateway"})
        self.refused(await self.exchange(tokens["access_token"], by=other), "invalid_request")
        self.refused(await self.acting(tokens["access_token"], await self.machine(other), other), "invalid_request")
        refreshed = ok(await self.server.refresh(self.app, tokens["refresh_token"]))["access_token"]
        self.assertEqual((await self.server.introspect(refreshed))["may_act"], {"sub": "gateway"})


class LifeTests(ExchangeCase):
    """What an exchanged token ends with."""

    async def exchanged(self, token: str) -> str:
        """A token for another one."""
        return str(ok(await self.exchange(token))["access_token"])

    async def alive(self, token: str) -> bool:
        """Is it?"""
        return bool((await self.server.introspect(token, self.files))["active"])

    async def test_no_later_than_the_subject_token(self) -> None:
        """It ends with the subject token, whenever the exchange was."""
        token = (await self.signed_in())["access_token"]
        end = (await self.server.introspect(token))["exp"]
        self.server.clock.advance(1700)
        answer = await self.exchange(token)
        self.assertEqual(((await self.told(answer))["exp"], ok(answer)["expires_in"]), (end, 100))
        self.server.clock.advance(101)
        self.refused(await self.exchange(token), "invalid_request")
        self.assertFalse(await self.alive(ok(answer)["access_token"]))

    async def test_revoked_subject_token(self) -> None:
        """A revoked token is exchanged no more, and what it was exchanged for is dead, and what that was."""
        for kind in ("user", "machine"):
            subject = (
                (await self.signed_in())["access_token"]
                if kind == "user"
                else ok(await self.server.token(self.app, "client_credentials"))["access_token"]
            )
            further = RULE | {"from": "gateway"}
            name = f"further-{kind}"
            behind = await self.exchanger(name, further, resources=(FILES,))
            first = await self.exchanged(subject)
            second = ok(await self.exchange(first, by=behind))["access_token"]
            beside = await self.exchanged((await self.signed_in())["access_token"])
            self.assertTrue(await self.alive(first) and await self.alive(second))
            await self.server.post("/oauth2/revoke", {"token": subject}, basic=self.app.basic)
            self.assertEqual([await self.alive(one) for one in (first, second, beside)], [False, False, True])
            self.refused(await self.exchange(subject), "invalid_request")

    async def test_revoked_meanwhile(self) -> None:
        """A token that is revoked while it is exchanged gives nothing that is alive; nor does an actor's."""
        tokens = self.server.application.tokens
        actor = ok(await self.server.token(self.gateway, "client_credentials"))["access_token"]
        for which in ("subject", "actor"):
            subject = (await self.signed_in())["access_token"]
            ended = {"subject": subject, "actor": actor}[which]
            self.overtaken(partial(tokens.end_access, ended))
            answer = await self.exchange(subject, actor_token=actor, actor_token_type=ACCESS_TOKEN)
            self.assertEqual(await self.told(answer), {"active": False}, which)

    async def test_all_that_the_tokens_stand_on(self) -> None:
        """It ends with whatever ends the subject token or the actor token, and so does what it is exchanged for."""
        tokens, resources = self.server.application.tokens, self.server.application.resources
        behind = await self.exchanger("behind", {"from": "gateway", "act": "impersonate"}, resources=(FILES,))
        crew = await self.server.client("crew", resources=("https://own.example",))
        rule = RULE | {"from": "app", "audience": ["files"], "actors": ["crew"]}
        inner = await self.exchanger("inner", rule, resources=("https://own.example",))
        ends: tuple[Callable[[str, str], Awaitable[Any]], ...] = (
            lambda subject, actor: tokens.end_access(subject),
            lambda subject, actor: tokens.end_access(actor),
            lambda subject, actor: tokens.end_all_of_client("app"),
            lambda subject, actor: tokens.end_all_of_client("crew"),
            lambda subject, actor: tokens.end_all_of_client("inner"),
            lambda subject, actor: tokens.end_all_of_user(self.alice.user_id),
            lambda subject, actor: resources.revoke("https://own.example"),
        )
        further = await self.exchanger("further", RULE | {"from": "inner"}, resources=(FILES,))
        self.assertIsNotNone(behind)
        for number, end in enumerate(ends):
            subject = (await self.signed_in(resource="https://own.example"))["access_token"]
            actor = ok(await self.server.token(crew, "client_credentials"))["access_token"]
            acting = {"actor_token": actor, "actor_token_type": ACCESS_TOKEN}
            first = ok(await self.exchange(subject, by=inner, **acting))["access_token"]
            second = ok(await self.exchange(first, by=further))["access_token"]
            self.assertEqual([await self.alive(one) for one in (first, second)], [True, True], number)
            await end(subject, actor)
            self.assertEqual([await self.alive(one) for one in (first, second)], [False, False], number)

    async def test_one_for_the_other_for_ever(self) -> None:
        """Tokens that are exchanged for one another again and again come to an end."""
        again = await self.exchanger("again", {"from": "*", "act": "impersonate"}, resources=(FILES,))
        token = await self.exchanged((await self.signed_in())["access_token"])
        for _ in range(MOST_NAMES):
            answer = await self.exchange(token, by=again)
            if answer.status != 200:
                break
            token = ok(answer)["access_token"]
        self.refused(answer, "invalid_request")
        self.assertTrue(await self.alive(token))

    async def test_grant(self) -> None:
        """It ends with the grant of the subject token."""
        tokens = await self.signed_in()
        token = await self.exchanged(tokens["access_token"])
        await self.server.post("/oauth2/revoke", {"token": tokens["refresh_token"]}, basic=self.app.basic)
        self.assertFalse(await self.alive(token))

    async def test_user(self) -> None:
        """It ends with its user's generation; one that was raised during the exchange counts."""
        subject = (await self.signed_in())["access_token"]
        token = await self.exchanged(subject)
        await self.server.application.users.deactivate(self.alice.user_id)
        self.assertFalse(await self.alive(token))
        self.refused(await self.exchange(subject), "invalid_request")

    async def test_ended_between_look_and_answer(self) -> None:
        """All of a user ended while a token is exchanged: the new one is dead."""
        subject = (await self.signed_in())["access_token"]

        async def ended() -> None:
            await self.server.application.tokens.end_all_of_user(self.alice.user_id)

        self.overtaken(ended)
        self.assertFalse(await self.alive(await self.exchanged(subject)))

    async def test_resource_ended_between_look_and_answer(self) -> None:
        """All tokens for a resource ended while one of them is exchanged: the new one is dead."""
        rule = {"from": "app", "act": "impersonate"}
        owner = await self.exchanger("owner", rule, resources=("https://own.example",))
        subject = (await self.signed_in(resource="https://own.example"))["access_token"]
        today = ResourceGenerations.today

        async def ended(resources: ResourceGenerations, audience: tuple[str, ...]) -> tuple[int, ...]:
            patched.restore()
            await resources.revoke("https://own.example")
            return await today(resources, audience)

        patched = self.patch(ResourceGenerations, "today", ended)
        token = await self.exchange(subject, by=owner, resource=None)
        self.assertFalse((await self.told(token, owner))["active"])
        again = (await self.signed_in(resource="https://own.example"))["access_token"]
        token = await self.exchange(again, by=owner, resource=None)
        self.assertTrue((await self.told(token, owner))["active"])

    async def test_clients(self) -> None:
        """It ends with its own client's generation, and with that of the client of the subject token."""
        for client_id in ("app", "gateway"):
            subject = (await self.signed_in())["access_token"]
            token = await self.exchanged(subject)
            self.assertTrue(await self.alive(token))
            await self.server.application.tokens.end_all_of_client(client_id)
            self.assertFalse(await self.alive(token))
            self.assertEqual((await self.exchange(subject)).status == 200, client_id == "gateway")

    async def test_revocable_by_itself(self) -> None:
        """Its own client revokes it, and the subject token lives on."""
        subject = (await self.signed_in())["access_token"]
        token = await self.exchanged(subject)
        await self.server.post("/oauth2/revoke", {"token": token}, basic=self.gateway.basic)
        self.assertFalse(await self.alive(token))
        self.assertTrue(await self.server.active(subject))


class BoundTests(ExchangeCase):
    """Tokens that are bound to a key (RFC 9449)."""

    def proof(self, holder: Prover) -> str:
        """A proof for the token endpoint."""
        return holder.proof("POST", "/oauth2/token", self.server.clock.seconds())

    async def bound(self, holder: Prover, app: App) -> str:
        """A machine's token, bound to a key."""
        answer = await self.server.post(
            "/oauth2/token",
            {"grant_type": "client_credentials"},
            basic=app.basic,
            headers=[("DPoP", self.proof(holder))],
        )
        return str(ok(answer)["access_token"])

    async def test_bound_subject_token(self) -> None:
        """A bound token is exchanged with a proof of the asker's own alone, to which the new one is bound."""
        token, holder = await self.bound(Prover(0), self.app), Prover(1)
        self.refused(await self.exchange(token), "invalid_request")
        answer = ok(await self.exchange(token, DPoP=self.proof(holder)))
        self.assertEqual(answer["token_type"], "DPoP")
        told = await self.server.introspect(answer["access_token"], self.files)
        self.assertEqual(told["cnf"], {"jkt": holder.jkt})

    async def test_own_bound_token(self) -> None:
        """Its own client must prove to hold the very key that it is bound to."""
        own = await self.exchanger("own", RULE | {"from": "own"})
        token = await self.bound(Prover(0), own)
        self.refused(await self.exchange(token, by=own, DPoP=self.proof(Prover(1))), "invalid_request")
        self.assertEqual(ok(await self.exchange(token, by=own, DPoP=self.proof(Prover(0))))["token_type"], "DPoP")

    async def test_unbound_subject_token(self) -> None:
        """A bearer token becomes a bound one with a proof."""
        token = (await self.signed_in())["access_token"]
        self.assertEqual(ok(await self.exchange(token, DPoP=self.proof(Prover(2))))["token_type"], "DPoP")


class PairwiseTests(ExchangeCase):
    """Clients that know people by names of their own (OpenID Connect Core section 8.1)."""

    async def test_pairwise_exchanger(self) -> None:
        """The new token names the subject as its own client knows it."""
        own = await self.exchanger("pairwise", RULE, subject_type="pairwise", sector="pairwise.example")
        token = (await self.signed_in())["access_token"]
        told = await self.told(await self.exchange(token, by=own))
        self.assertNotEqual(told["sub"], self.alice.user_id)
        self.assertEqual(told["sub"], self.server.application.subjects.of(own.record, self.alice.user_id))
        self.assertNotIn("username", told)


class MetadataTests(ExchangeCase):
    """What is said of it."""

    async def test_metadata(self) -> None:
        """RFC 8414: the grant type is among those that are supported."""
        told = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertIn(GRANT, told["grant_types_supported"])


class StatelessTests(ExchangeCase):
    """Tokens that are not written down, as subject tokens and as what is got."""

    async def test_of_one(self) -> None:
        """Such a token is exchanged like others, until it is revoked; what was got ends with it."""
        app = await self.server.client("signed", stateless=True)
        rule = {"from": "signed", "act": "both", "audience": ["files", "mail"]}
        gateway = await self.exchanger("by", rule, stateless=True)
        for subject in (
            (await self.server.signed_in(app, self.alice, scope="openid read"))["access_token"],
            ok(await self.server.token(app, "client_credentials", scope="read"))["access_token"],
        ):
            answer = await self.exchange(subject, gateway)
            got = ok(answer)["access_token"]
            self.assertTrue((await self.told(answer))["active"])
            revoked = await self.server.post("/oauth2/revoke", {"token": subject}, basic=app.basic)
            self.assertEqual(revoked.status, 200)
            self.assertFalse((await self.server.introspect(got, self.files))["active"])
            self.refused(await self.exchange(subject, gateway), "invalid_request")

    async def test_revoked_meanwhile(self) -> None:
        """One that is revoked while it is exchanged gives nothing that is alive."""
        app = await self.server.client("signed", stateless=True)
        gateway = await self.exchanger("by", {"from": "signed", "act": "both", "audience": ["files"]})
        subject = ok(await self.server.token(app, "client_credentials", scope="read"))["access_token"]
        self.overtaken(lambda: self.server.application.tokens.end_access(subject))
        self.assertEqual(await self.told(await self.exchange(subject, gateway)), {"active": False})

    async def test_forged_with_a_leaked_key(self) -> None:
        """What was exchanged for one that a thief of our key made ends with all of the client that exchanged it."""
        app = await self.server.client("signed", stateless=True)
        gateway = await self.exchanger("by", {"from": "signed", "act": "both", "audience": ["files"]})
        genuine = ok(await self.server.token(app, "client_credentials", scope="read"))["access_token"]
        claims = jose.peek(genuine)[1]
        keys = self.server.application.keys
        leaked = keys.signer("ES256", "at+jwt")
        forged = leaked.sign(claims | {"gen": [10**9, 10**9, 0], "jti": "forged"})
        answer = await self.exchange(forged, gateway)
        self.assertTrue((await self.told(answer))["active"])
        await keys.drop(leaked.kid)
        self.refused(await self.exchange(forged, gateway), "invalid_request")
        await self.server.application.tokens.end_all_of_client("by")
        self.assertFalse((await self.told(answer))["active"])
