"""RFC 9101, JWT-Secured Authorization Request, with OpenID Connect Core section 6: what holds of the running server."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from joserfc import jwt
from joserfc.jwk import OctKey
from msgspec.structs import replace
from treq.testing import RequestTraversalAgent
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from oauthd.config import AuthorizationSettings
from oauthd.fetcher.keeping import Kept
from oauthd.protocol import jose, opaque
from oauthd.protocol.pkce import challenge_of
from oauthd.protocol.records import Code, Grant, Scope
from oauthd.stores import kinds
from tests.server import ISSUER, NOW, REDIRECT, VERIFIER, App, Browser, ServerCase, ok, together
from tests.specs.holders import Holder, encrypted
from tests.specs.tokens import published
from tests.wire import Answer

HOLDER, OTHER = Holder(), Holder(kid="two")
RSA = Holder("PS256", "rsa")
OBJECT_URI = "https://app.example/request.jwt"
TYPE = "oauth-authz-req+jwt"
BIG = 10**9


def unsigned(claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """A token of alg none."""
    parts = (json.dumps(header or {"alg": "none"}), json.dumps(claims))
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts) + "."


class ObjectPage(Resource):
    """A request object at an address."""

    isLeaf = True  # noqa: N815

    def __init__(self, body: str, media_type: str = "application/oauth-authz-req+jwt") -> None:
        super().__init__()
        self.body, self.media_type, self.asked = body, media_type, 0

    def render_GET(self, request: Any) -> bytes:
        """The object."""
        self.asked += 1
        request.setHeader(b"content-type", self.media_type.encode())
        return self.body.encode()


class ObjectCase(ServerCase):
    """A client that signs its requests, and a user."""

    async def prepare(self) -> None:
        """Make them."""
        self.patch(self.server.application.fetcher, "_kept", Kept(100, BIG))  # other tests fetch the same addresses
        self.app = await self.server.client(jwks=HOLDER.jwks, request_uris=(OBJECT_URI,))
        self.alice = await self.server.user()

    async def change(self, **fields: Any) -> None:
        """Register the client otherwise."""
        await self.server.application.clients.update("app", lambda client: replace(client, **fields))

    def claims(self, app: App | None = None, /, **more: Any) -> dict[str, Any]:
        """A request as claims; None leaves one out."""
        now, app = int(self.server.clock.seconds()), app or self.app
        usual = {"iss": app.client_id, "aud": ISSUER, "exp": now + 300, "nbf": now} | self.server.asking(app)
        return {name: value for name, value in (usual | more).items() if value is not None}

    def signed(self, by: Any = HOLDER, /, **more: Any) -> str:
        """A request as an object, signed by a `Holder`."""
        return str(by.sign(self.claims(**more)))

    async def send(self, request: str, browser: Browser | None = None, **beside: str) -> Answer:
        """Bring an object to the authorization endpoint, by value."""
        query = {"client_id": "app", "request": request, **beside}
        return await (browser or self.server.browser()).get("/oauth2/authorize", query)

    async def refer(self, request_uri: str = OBJECT_URI, **beside: str) -> Answer:
        """Bring one by reference."""
        query = {"client_id": "app", "request_uri": request_uri, **beside}
        return await self.server.browser().get("/oauth2/authorize", query)

    async def answered(self, request: str, **beside: str) -> dict[str, str]:
        """What the client is told at the end of a flow."""
        browser = self.server.browser()
        return (await browser.finish(await self.send(request, browser, **beside), self.alice)).redirected

    async def push(self, request: str, app: App | None = None, **beside: str) -> Answer:
        """Push an object."""
        return await self.server.post("/oauth2/par", {"request": request, **beside}, basic=(app or self.app).basic)

    def hosting(self, request: str, media_type: str = "application/oauth-authz-req+jwt") -> ObjectPage:
        """Put an object on the only host there is."""
        page = ObjectPage(request, media_type)
        self.patch(self.server.application.fetcher, "agent", RequestTraversalAgent(page))
        return page

    async def is_refused(self, request: str, error: str = "invalid_request_object") -> None:
        """An object is refused wherever it comes: on a page, by redirect where a good one is named, in JSON."""
        self.refused_page(await self.send(request))
        named = await self.send(request, redirect_uri=REDIRECT, state="s")
        self.refused_by_redirect(named.redirected, error, state="s")
        self.refused(await self.push(request), error)

    async def grant_of(self, code: str) -> tuple[Code, Grant]:
        """What is kept of a code."""
        grant_id = opaque.parse(opaque.CODE, code) or ""
        found = await self.server.store.get(kinds.code(grant_id, code), kinds.grant(grant_id))
        assert found[0] is not None
        assert found[1] is not None
        return found[0].record, found[1].record


class Section4Tests(ObjectCase):
    """Sections 4 and 5: the object, and how it comes."""

    async def test_section_5_1_by_value(self) -> None:
        """Section 5.1: client_id and a signed object are enough."""
        told = await self.answered(self.signed(scope="openid read"))
        self.assertEqual((told["state"], told["iss"]), ("st&te", ISSUER))
        self.assertEqual(ok(await self.server.redeem(self.app, told["code"]))["scope"], "openid read")

    async def test_section_5_1_posted(self) -> None:
        """Section 5: the browser may post it."""
        browser = self.server.browser()
        form = {"client_id": "app", "request": self.signed()}
        answer = await browser.finish(await browser.post("/oauth2/authorize", form), self.alice)
        self.assertIn("code", answer.redirected)

    async def test_section_4_values(self) -> None:
        """Section 4: numbers come as numbers, structures as JSON, resources as a list (RFC 8707 section 2.1)."""
        await self.server.client("owner", resources=("https://a.example", "https://b.example"))
        more: dict[str, Any] = {"max_age": 1000, "claims": {"id_token": {"email": None}}, "extra": [{}, 1.5]}
        told = await self.answered(self.signed(resource=["https://a.example", "https://b.example"], **more))
        _, grant = await self.grant_of(told["code"])
        self.assertEqual(grant.audience, ("https://a.example", "https://b.example"))
        self.assertIn("email", grant.claims.get("id_token", {}))
        one = await self.answered(self.signed(resource="https://a.example"))
        self.assertEqual((await self.grant_of(one["code"]))[1].audience, ("https://a.example",))
        wrong = await self.send(self.signed(max_age=1.5))
        self.refused_by_redirect(wrong.redirected, "invalid_request")

    async def test_section_4_no_object_inside(self) -> None:
        """Section 4: neither request nor request_uri stand in an object."""
        for name in ("request", "request_uri"):
            await self.is_refused(self.signed(HOLDER, **{name: OBJECT_URI}))

    async def test_section_4_audience_and_issuer(self) -> None:
        """Section 4: aud names this server, alone or among others, or is left out; iss is the client, or left out."""
        good: list[dict[str, Any]] = [{"aud": [ISSUER, "https://x.example"]}, {"aud": None}, {"iss": None}]
        for more in good:
            self.assertIn("code", await self.answered(self.signed(**more)))
        for aud in ("https://x.example", ["https://x.example"], [], "", ISSUER + "/", {"a": ISSUER}, 1):
            await self.is_refused(self.signed(aud=aud))
        for iss in ("other", ISSUER, "", 1):
            await self.is_refused(self.signed(iss=iss))

    async def test_section_5_both(self) -> None:
        """Section 5: request and request_uri exclude each other."""
        answer = await self.send(self.signed(), request_uri=OBJECT_URI, redirect_uri=REDIRECT, state="s")
        self.refused_by_redirect(answer.redirected, "invalid_request", state="s")

    async def test_section_5_client_id(self) -> None:
        """Section 5: client_id is required outside, too."""
        answer = await self.server.browser().get("/oauth2/authorize", {"request": self.signed()})
        self.refused_page(answer)

    async def test_section_5_2_by_reference(self) -> None:
        """Section 5.2: an object at a registered address is fetched, by its media types, and each time anew."""
        for media_type in ("application/oauth-authz-req+jwt", "application/jwt"):
            page = self.hosting(self.signed(), media_type)
            for times in (1, 2):
                self.assertEqual((await self.refer()).location[:6], "/login")
                self.assertEqual(page.asked, times)
        self.hosting(self.signed(), "text/html")
        self.refused_page(await self.refer())

    async def test_section_5_2_fragment(self) -> None:
        """OpenID Connect Core section 6.2: the fragment names a version: one that is known is not fetched again."""
        reactor = Clock()
        self.patch(self.server.application.fetcher, "reactor", reactor)
        page = self.hosting(self.signed())
        for body, asked in ((page.body, 1), (page.body, 1), (self.signed(nonce="another"), 2)):
            page.body = body
            version = jose.encode(hashlib.sha256(body.encode()).digest())
            self.assertEqual((await self.refer(f"{OBJECT_URI}#{version}")).location[:6], "/login")
            self.assertEqual(page.asked, asked)
            reactor.advance(2)

    async def test_fragments_that_are_made_up(self) -> None:
        """Anybody can make up fragments: they bring no more calls, and take no more memory, than one document does."""
        page = self.hosting(self.signed())
        for number in range(20):
            self.assertEqual((await self.refer(f"{OBJECT_URI}#{number}")).location[:6], "/login")
        self.assertEqual((page.asked, len(self.server.application.fetcher._kept)), (1, 1))

    async def test_no_room_for_strangers(self) -> None:
        """Where strangers have too many documents fetched, one of a client that registered itself has to wait."""
        page = self.hosting(self.signed())
        self.patch(self.server.application.fetcher, "_strangers", 1000)
        self.assertEqual((await self.refer()).location[:6], "/login")
        await self.change(registration=b"x")
        self.refused_page(await self.refer())
        self.assertEqual(page.asked, 1)

    async def test_section_5_2_unregistered(self) -> None:
        """Section 10.4: nothing is fetched from an address that the client has not registered."""
        page = self.hosting(self.signed())
        for uri in ("https://app.example/other.jwt", OBJECT_URI + "?x", OBJECT_URI + "/", "https://evil.example/r"):
            answer = await self.refer(uri, redirect_uri=REDIRECT, state="s")
            self.refused_by_redirect(answer.redirected, "invalid_request_uri", state="s")
            self.refused_page(await self.refer(uri))
        self.assertEqual(page.asked, 0)

    async def test_section_10_4_addresses(self) -> None:
        """Section 10.4: addresses of this machine and of inner networks, plain http, too long ones are not called."""
        uris = (
            "https://127.0.0.1/r", "https://localhost/r", "https://[::1]/r", "https://10.0.0.1/r",
            "https://169.254.169.254/latest", "http://app.example/r", "https://app.example/" + "x" * 500,
        )  # fmt: skip
        await self.change(request_uris=uris)
        for uri in uris:
            answer = await self.refer(uri, redirect_uri=REDIRECT, state="s")
            self.refused_by_redirect(answer.redirected, "invalid_request_uri", state="s")

    async def test_section_5_2_what_is_there(self) -> None:
        """Section 7: what is no object at the address is refused, as one that is sent by value is."""
        wrong = "invalid_request_object"
        for body, error in (("", wrong), ("{}", wrong), ("\xe4", "invalid_request_uri")):
            self.hosting(body)
            answer = await self.refer(redirect_uri=REDIRECT, state="s")
            self.refused_by_redirect(answer.redirected, error, state="s")


class Section6Tests(ObjectCase):
    """Section 6: validation."""

    async def test_section_6_1_encrypted(self) -> None:
        """Section 6.1: an object may be encrypted to a key of ours, and is verified all the same."""
        keys = await published(self.server)
        for alg, enc in (("ECDH-ES", "A128GCM"), ("RSA-OAEP-256", "A256GCM")):
            self.assertIn("code", await self.answered(encrypted(self.signed(), keys, alg, enc)))
            await self.is_refused(encrypted(self.signed(OTHER), keys, alg, enc))
            await self.is_refused(encrypted(unsigned(self.claims()), keys, alg, enc))
            await self.is_refused(encrypted(self.signed(), keys, alg, enc)[:-4] + "AAAA")

    async def test_section_6_2_signature(self) -> None:
        """Section 6.2: the key must be the client's, and the one that kid names; a signature must hold."""
        good = self.signed()
        await self.is_refused(self.signed(OTHER))
        await self.is_refused(HOLDER.sign(self.claims(), kid="two"))
        await self.is_refused(OTHER.sign(self.claims(), kid="one"))
        head, _, signature = good.split(".")
        other = self.signed(scope="openid write").split(".")[1]
        await self.is_refused(f"{head}.{other}.{signature}")
        self.assertIn("code", await self.answered(HOLDER.sign(self.claims(), kid=None)))

    async def test_section_6_2_another_client(self) -> None:
        """Section 6.2: one client cannot use the object of another, nor name another in its own."""
        other = await self.server.client("other", jwks=OTHER.jwks)
        stolen = self.signed()
        query = {"client_id": "other", "request": stolen, "redirect_uri": REDIRECT, "state": "s"}
        answer = await self.server.browser().get("/oauth2/authorize", query)
        self.refused_by_redirect(answer.redirected, "invalid_request_object", state="s")
        self.refused(await self.push(stolen, other), "invalid_request_object")
        named = OTHER.sign(self.claims(client_id="app", iss="other"))
        self.refused(await self.push(named, other), "invalid_request_object")

    async def test_section_6_2_algorithms(self) -> None:
        """Section 6.2: the algorithm is one of ours and the one that the client registered."""
        await self.change(jwks={"keys": [*HOLDER.jwks["keys"], *RSA.jwks["keys"]]})
        for algorithm in ("RS256", "PS256"):
            self.assertIn("code", await self.answered(RSA.sign(self.claims(), algorithm)))
        await self.change(request_algorithm="PS256")
        self.assertIn("code", await self.answered(self.signed(RSA)))
        await self.is_refused(RSA.sign(self.claims(), "RS256"))
        await self.is_refused(self.signed())

    async def test_section_6_2_by_secret(self) -> None:
        """OpenID Connect Core section 6.1: by a live secret of a client that registered HS256, and of no other."""
        app = await self.server.client("mac", request_algorithm="HS256")
        claims = self.claims(app)

        def by(secret: str, algorithm: str = "HS256") -> str:
            return str(jwt.encode({"alg": algorithm}, claims, OctKey.import_key(secret), algorithms=["HS256", "HS512"]))

        self.assertEqual((await self.push(by(app.secret), app)).status, 201)
        clients = self.server.application.clients
        _, fresh = await clients.rotate_secret("mac", 60)
        for secret in (app.secret, fresh):
            self.assertEqual((await self.push(by(secret), app)).status, 201)
        self.server.clock.advance(60)
        claims = self.claims(app)
        app = App(app.record, fresh)
        self.assertEqual((await self.push(by(fresh), app)).status, 201)
        long = "x" * 80
        for token in (by(long), by(long, "HS512"), by(fresh, "HS512"), HOLDER.sign(claims), by(fresh)[:-2] + "AA"):
            self.refused(await self.push(token, app), "invalid_request_object")
        current = await clients.find("mac")
        assert current is not None
        others = ({"profile": "fapi1"}, {"profile": "fapi2"}, {"request_algorithm": ""}, {"client_type": "public"})
        for fields in others:
            held = replace(current, **fields)
            with self.assertRaisesRegex(Exception, "its algorithm is not accepted"):
                strict = fields.get("profile") == "fapi2"
                await self.server.application.request_objects.open(held, by(fresh), strict, False)

    async def test_section_6_2_by_a_secret_that_is_not_known(self) -> None:
        """A client whose secret is kept as a digest alone, or sealed by a key that is gone, is told so."""
        await self.change(request_algorithm="HS256")
        token = jwt.encode({"alg": "HS256"}, self.claims(), OctKey.import_key(self.app.secret))
        answer = await self.push(token)
        self.refused(answer, "invalid_request_object")
        self.assertIn("must be given another", answer.text)

    async def test_section_6_2_types(self) -> None:
        """Section 10.8: the type is that of request objects, in any case, or JWT, or missing; no other."""
        for typ in (TYPE, TYPE.upper(), f"application/{TYPE}", "JWT", None):
            self.assertIn("code", await self.answered(HOLDER.sign(self.claims(), typ=typ)))
        for typ in ("at+jwt", "dpop+jwt", "", "client-authentication+jwt"):
            await self.is_refused(HOLDER.sign(self.claims(), typ=typ))

    async def test_section_10_8_client_assertions(self) -> None:
        """Section 10.8: a token with the client as its subject, which authenticates elsewhere, is no request."""
        await self.is_refused(self.signed(sub="app"))
        self.assertIn("code", await self.answered(self.signed(sub="somebody")))

    async def test_section_6_3_only_what_is_inside(self) -> None:
        """Section 6.3: what stands beside the object changes nothing and adds nothing."""
        beside = {"scope": "openid write", "state": "evil", "redirect_uri": "https://evil.example", "nonce": "evil"}
        told = await self.answered(self.signed(scope="openid"), **beside, response_type="token", prompt="none")
        self.assertEqual(told["state"], "st&te")
        code, grant = await self.grant_of(told["code"])
        self.assertEqual((grant.scope, grant.nonce, code.redirect_uri), (("openid",), "", REDIRECT))

    async def test_section_6_3_nothing_is_added(self) -> None:
        """Section 6.3: a state, challenge or redirect_uri beside the object alone is not there."""
        told = await self.answered(self.signed(state=None, nonce=None), state="outside", nonce="outside")
        self.assertEqual((set(told), (await self.grant_of(told["code"]))[1].nonce), ({"code", "iss"}, ""))
        self.refused_page(await self.send(self.signed(redirect_uri=None), redirect_uri=REDIRECT))
        public = await self.server.client("public", public=True, jwks=HOLDER.jwks)
        inside = self.claims(public, code_challenge=None, code_challenge_method=None)
        query = {"client_id": "public", "request": HOLDER.sign(inside), "code_challenge": challenge_of(VERIFIER)}
        answer = await self.server.browser().get("/oauth2/authorize", query | {"code_challenge_method": "S256"})
        self.refused_by_redirect(answer.redirected, "invalid_request")

    async def test_section_6_3_redirect_uri_inside_alone(self) -> None:
        """Section 6.3: a redirect_uri in the object alone is used, if it is registered; else nobody is redirected."""
        self.assertIn("code", await self.answered(self.signed()))
        evil = self.signed(redirect_uri="https://evil.example")
        self.refused_page(await self.send(evil))
        self.refused_page(await self.send(evil, redirect_uri=REDIRECT))

    async def test_section_6_3_client_id(self) -> None:
        """Section 6.3: client_id is in the object, and the same."""
        for client_id in (None, "other", "", 1):
            await self.is_refused(self.signed(client_id=client_id))

    async def test_section_6_3_errors(self) -> None:
        """Section 6.3: the request that it stands for is checked as every other, and answered by its own state."""
        errors: dict[str, dict[str, Any]] = {
            "unsupported_response_type": {"response_type": "token"},
            "invalid_scope": {"scope": "nothing"},
            "invalid_request": {"prompt": "none login"},
        }
        for error, more in errors.items():
            answer = await self.send(self.signed(**more), state="outside")
            self.refused_by_redirect(answer.redirected, error)
            self.refused(await self.push(self.signed(**more)), error)

    async def test_times(self) -> None:
        """Core section 6.1, RFC 7519: an object counts within its time, by clocks that differ a little."""
        now = int(NOW)
        good: list[dict[str, Any]] = [{"exp": now - 5}, {"nbf": now + 8}, {"exp": None}, {"nbf": None}]
        for more in (*good, {"exp": now + BIG}):
            self.assertIn("code", await self.answered(self.signed(**more)))
        bad: list[dict[str, Any]] = [{"exp": now - 30}, {"nbf": now + 70}, {"exp": "x"}, {"nbf": True}, {"exp": 1e300}]
        for more in bad:
            await self.is_refused(self.signed(**more))


class DemandTests(ObjectCase):
    """Section 10.5: who must sign, and how strictly; RFC 7519 section 4.1.7: an object counts once."""

    async def test_section_10_5_unsigned(self) -> None:
        """Registration section 2: an unsigned object is taken from a client that registered none, and no other."""
        await self.is_refused(unsigned(self.claims()))
        for algorithm in ("none", "NONE", "None", ""):
            await self.is_refused(unsigned(self.claims(), {"alg": algorithm}))
        await self.change(request_algorithm="none")
        self.assertIn("code", await self.answered(unsigned(self.claims())))
        await self.is_refused(self.signed())  # any other is refused then
        await self.is_refused(unsigned(self.claims(), {"alg": "none", "kid": "one"}))
        await self.is_refused(unsigned(self.claims()) + "AAAA")
        await self.change(request_signed=True)
        await self.is_refused(unsigned(self.claims()))

    async def test_section_10_5_a_client_that_must_sign(self) -> None:
        """Section 10.5: a client registered so is refused whatever is not signed."""
        await self.change(request_signed=True)
        answer = await self.server.browser().get("/oauth2/authorize", self.server.asking(self.app))
        self.refused_by_redirect(answer.redirected, "invalid_request")
        pushed = await self.server.post("/oauth2/par", self.server.asking(self.app), basic=self.app.basic)
        self.refused(pushed, "invalid_request")
        self.assertIn("code", await self.answered(self.signed()))
        self.assertEqual((await self.push(self.signed())).status, 201)

    async def test_message_signing_times(self) -> None:
        """FAPI 2.0 Message Signing section 5.3.1: who must sign says nbf and exp, an hour apart and of this hour."""
        await self.change(request_signed=True)
        now = int(NOW)
        good: list[dict[str, Any]] = [{"exp": now + 3600}, {"nbf": now + 8}, {"iat": now + 10}, {"aud": [ISSUER, "x"]}]
        for more in (*good, {"nbf": now - 3500, "exp": now + 60}):
            self.assertEqual((await self.push(self.signed(**more))).status, 201)
        bad: list[dict[str, Any]] = [
            {"nbf": None}, {"exp": None}, {"aud": None}, {"iss": None},
            {"exp": now + 3700}, {"nbf": now - 4200, "exp": now + 60}, {"nbf": now - 60, "exp": now + 3570},
            {"iat": now + 61},
        ]  # fmt: skip
        for more in bad:
            await self.is_refused(self.signed(**more))

    async def test_fapi_algorithms(self) -> None:
        """FAPI 2.0 Security Profile section 5.4.1: PS256, ES256 and EdDSA, and no others, for those held to it."""
        objects = self.server.application.request_objects
        strict = replace(self.app.record, jwks={"keys": [*HOLDER.jwks["keys"], *RSA.jwks["keys"]]})
        for token in (self.signed(), RSA.sign(self.claims())):
            self.assertTrue((await objects.open(strict, token, True, False)).parameters.one("scope"))
        for token in (RSA.sign(self.claims(), "RS256"), RSA.sign(self.claims(), "PS384"), unsigned(self.claims())):
            with self.assertRaisesRegex(Exception, "refused"):
                await objects.open(replace(strict, request_algorithm=""), token, True, False)

    async def test_fapi_1(self) -> None:
        """FAPI 1.0 Advanced section 8.6, Baseline 5.2.2: PS256 or ES256; redirect_uri, scope; nonce, or state."""
        await self.change(profile="fapi1", request_signed=True)
        self.assertEqual((await self.push(self.signed(nonce="n", state=None))).status, 201)
        self.assertEqual((await self.push(self.signed(scope="read", state="s"))).status, 201)
        self.refused(await self.push(self.signed(scope="read", state=None, nonce="n")), "invalid_request")
        self.refused(await self.push(self.signed(scope="read", state="s", redirect_uri=None)), "invalid_request")
        self.refused(await self.push(self.signed()), "invalid_request")
        self.refused(await self.push(self.signed(scope=None, nonce="n"), scope="openid"), "invalid_request")
        key = Holder("EdDSA", "three")
        await self.change(jwks=key.jwks)
        self.refused(await self.push(self.signed(key, nonce="n")), "invalid_request_object")

    async def test_counts_once_where_pushed(self) -> None:
        """RFC 7519 section 4.1.7: of fifty pushes of one object with a jti, at two nodes, one is taken."""
        token = self.signed(jti="once")
        sibling = self.server.sibling()
        form = {"request": token}
        nodes = [self.server, sibling] * 25
        sent = [node.post("/oauth2/par", form, basic=self.app.basic) for node in nodes]
        answers = await together(sent)
        self.assertEqual(sorted(answer.status for answer in answers), [201] + [400] * 49)
        self.assertEqual({answer.error for answer in answers}, {"", "invalid_request_object"})
        self.assertEqual((await self.push(self.signed(jti="twice"))).status, 201)
        other = await self.server.client("other", jwks=HOLDER.jwks)
        theirs = HOLDER.sign(self.claims(other, jti="once"))
        self.assertEqual((await self.push(theirs, other)).status, 201)

    async def test_a_refused_one_is_not_used(self) -> None:
        """An object whose request is refused can be sent again when what was wrong is right."""
        token = self.signed(jti="again", scope="openid later")
        self.refused(await self.push(token), "invalid_scope")
        await self.change(scopes=None)
        await self.server.application.scopes.create(Scope(0, "later", "Later"))
        self.assertEqual((await self.push(token)).status, 201)

    async def test_not_remembered_for_ever(self) -> None:
        """An object that counts once ends within a day, or the store would have to remember it for ever."""
        now = int(self.server.clock.seconds())
        for far in (now + 86401, 2**53 - 1):
            self.refused(await self.push(self.signed(jti="far", exp=far)), "invalid_request_object")
            self.assertEqual((await self.push(self.signed(exp=far))).status, 201)
        self.assertEqual((await self.push(self.signed(jti="far", exp=now + 86400))).status, 201)

    async def test_counts_once_in_browsers(self) -> None:
        """By browser an object with a jti brings one code; until then its page may be loaded again."""
        token = self.signed(jti="once")
        self.assertEqual((await self.send(token)).location[:6], "/login")
        self.assertIn("code", await self.answered(token))
        told = await self.answered(token)
        self.refused_by_redirect(told, "invalid_request_object")
        await self.change(first_party=True)
        browser = self.server.browser()
        await self.server.authorize(self.app, self.alice, browser)
        fresh = self.signed(jti="fresh")
        answers = await together(self.send(fresh, browser) for _ in range(20))
        self.assertEqual(sum("code=" in answer.location for answer in answers), 1)

    async def test_pressed_twice(self) -> None:
        """People press twice: an object that counts once brings one code, at once and late, and then a page."""
        for late in (False, True):
            browser, token = self.server.browser(), self.signed(jti=f"press{late}", prompt="consent")
            page = await browser.follow(await self.send(token, browser))
            page = await browser.sign_in(page, self.alice)
            self.server.events.clear()
            answers = [await browser.submit(page, "allow")] if late else []
            answers += await together(browser.submit(page, "allow") for _ in range(3))
            self.assertEqual(sum("code=" in answer.location for answer in answers), 1)
            self.assertEqual(len(self.server.told("code.issued")), 1)
            for answer in answers:
                if "code=" not in answer.location:
                    self.refused_page(answer)

    async def test_must_push(self) -> None:
        """RFC 9126 section 4: who must push cannot bring an object by browser."""
        await self.change(par_required=True)
        answer = await self.send(self.signed(), redirect_uri=REDIRECT, state="s")
        self.refused_by_redirect(answer.redirected, "invalid_request", state="s")
        pushed = await self.push(self.signed())
        self.assertEqual((await self.refer(pushed.json()["request_uri"])).location[:6], "/login")

    async def test_pushed(self) -> None:
        """RFC 9126 section 3: what is pushed in an object is what counts; what is beside it in the form is not."""
        pushed = await self.push(self.signed(scope="openid"), scope="openid write", state="evil", client_id="app")
        browser = self.server.browser()
        query = {"client_id": "app", "request_uri": pushed.json()["request_uri"]}
        told = (await browser.finish(await browser.get("/oauth2/authorize", query), self.alice)).redirected
        self.assertEqual(told["state"], "st&te")
        self.assertEqual((await self.grant_of(told["code"]))[1].scope, ("openid",))

    async def test_dpop_jkt(self) -> None:
        """RFC 9449 section 10: the dpop_jkt of an object is kept with its code; one beside it is not."""
        told = await self.answered(self.signed(dpop_jkt="A" * 43), dpop_jkt="B" * 43)
        self.assertEqual((await self.grant_of(told["code"]))[0].jkt, "A" * 43)


class BadInputTests(ObjectCase):
    """What is refused cheaply."""

    async def test_size(self) -> None:
        """More than sixteen KiB are refused before anything is parsed; the same of encrypted ones beyond thirty-two."""
        self.refused(await self.push(self.signed(nonce="x" * 14000)), "invalid_request_object")
        self.refused(await self.push("A." * 4 + "A" * 40000), "invalid_request_object")
        self.refused(await self.push(self.signed(nonce="x" * 9000)), "invalid_request")  # more than is kept

    async def test_malformed(self) -> None:
        """What is no token at all is refused, whatever it looks like."""
        good = self.signed()
        head, body, signature = good.split(".")
        for token in (
            "x", "..", "...", "....", "a.b.c", f"{head}.{body}", f"{good}.", f"{head}..{signature}", f" {good}",
            f"{head}.{body}.{signature}=", "\u00e4.\u00e4.\u00e4", f".{body}.{signature}", "[]", "null",
        ):  # fmt: skip
            await self.is_refused(token)

    async def test_odd_claims(self) -> None:
        """Claims that no query could bring are refused, and a jti may be anything."""
        for more in ({"state": "a\r\nb"}, {"nonce": "\ud800"}, {"x": ["\udfff"]}):
            body = json.dumps(self.claims(**more)).encode()
            await self.is_refused(HOLDER.sign_bytes(body))
        body = json.dumps(self.claims()).encode()[:-1] + b', "x": 1e999}'
        await self.is_refused(HOLDER.sign_bytes(body))
        token = HOLDER.sign_bytes(json.dumps(self.claims(jti="\0\u00e9\U0001f511" + "x" * 3000)).encode())
        self.assertIn("code", await self.answered(token))
        self.refused_by_redirect(await self.answered(token), "invalid_request_object")

    async def test_headers(self) -> None:
        """Headers that bring a key, point to one or change the meaning are refused, and HMAC with a public key."""
        key = HOLDER.key.as_dict(private=False)
        for more in ({"jwk": key}, {"jku": OBJECT_URI}, {"x5u": OBJECT_URI}, {"x5c": ["AA=="]}):
            await self.is_refused(OTHER.sign(self.claims(), kid="one", **more))
        parts = [json.dumps({"alg": "HS256", "kid": "one"}).encode(), json.dumps(self.claims()).encode(), b"x" * 32]
        token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        await self.is_refused(token)

    async def test_a_client_without_keys(self) -> None:
        """A client that registered no key cannot sign."""
        await self.change(jwks={})
        await self.is_refused(self.signed())

    async def test_keys_at_an_address(self) -> None:
        """The keys may stand at the client's jwks_uri; one that cannot be had refuses the object, and says why."""
        await self.change(jwks={}, jwks_uri="https://app.example/keys-of-objects")
        self.hosting(json.dumps(HOLDER.jwks), "application/jwk-set+json")
        self.assertIn("code", await self.answered(self.signed()))
        self.hosting("{}", "text/html")
        await self.change(jwks_uri="https://app.example/no-keys")
        answer = await self.push(self.signed())
        self.refused(answer, "invalid_request_object")
        self.assertIn("jwks_uri", answer.json()["error_description"])


class MetadataTests(ObjectCase):
    """Section 10.5 and Discovery section 3: what the metadata says."""

    sections = {"authorization": AuthorizationSettings(signed_required=True)}

    async def test_section_10_5_metadata(self) -> None:
        """Section 10.5: a server may demand signed objects of everybody, and says so; none is no algorithm of it."""
        document = ok(await self.server.get("/.well-known/openid-configuration"))
        for name in ("request_parameter_supported", "request_uri_parameter_supported"):
            self.assertIs(document[name], True)
        self.assertIs(document["require_request_uri_registration"], True)
        self.assertIs(document["require_signed_request_object"], True)
        algorithms = document["request_object_signing_alg_values_supported"]
        self.assertTrue({"RS256", "PS256", "ES256", "EdDSA"} <= set(algorithms))
        self.assertIn("HS256", algorithms)
        self.assertNotIn("none", algorithms)
        self.assertIn("ECDH-ES", document["request_object_encryption_alg_values_supported"])
        answer = await self.server.browser().get("/oauth2/authorize", self.server.asking(self.app))
        self.refused_by_redirect(answer.redirected, "invalid_request")
        self.assertIn("code", await self.answered(self.signed()))
