"""RFC 9449, DPoP: section by section, what holds of the running server."""

from __future__ import annotations

from typing import Any

from oauthd.config import DpopSettings, ServerSettings
from tests.possession import Holder, encoded
from tests.server import DEVICE_GRANT, VERIFIER, App, ServerCase, ok, together
from tests.specs.tokens import verified
from tests.wire import Answer

TOKEN = "/oauth2/token"
USERINFO = "/oauth2/userinfo"


class ProofCase(ServerCase):
    """Clients with keys."""

    async def prepare(self) -> None:
        """A confidential client, a public one, a user, and a holder of a key."""
        self.app = await self.server.client()
        self.native = await self.server.client("native", public=True)
        self.alice = await self.server.user()
        self.holder, self.thief = Holder(), Holder(1)

    def proof(self, method: str = "POST", path: str = TOKEN, holder: Holder | None = None, **more: Any) -> str:
        """A proof for a request of now."""
        return (holder or self.holder).proof(method, path, self.server.clock.seconds(), **more)

    async def asked(self, app: App, *proofs: str, path: str = TOKEN, **form: str) -> Answer:
        """A token request with these proofs."""
        named = {} if app.basic else {"client_id": app.client_id}
        headers = [("DPoP", proof) for proof in proofs]
        return await self.server.post(path, named | form, basic=app.basic, headers=headers)

    async def machine(self, *proofs: str, **more: Any) -> Answer:
        """A client asks for a token of its own."""
        return await self.asked(more.pop("app", self.app), *proofs, grant_type="client_credentials", **more)

    async def redeemed(self, app: App, code: str, *proofs: str) -> Answer:
        """A client redeems a code."""
        more = {} if app.basic else {"code_verifier": VERIFIER}
        given = {"code": code, "redirect_uri": app.redirect_uri, **more}
        return await self.asked(app, *proofs, grant_type="authorization_code", **given)

    async def signed_in(self, app: App, holder: Holder | None = None, **more: Any) -> dict[str, Any]:
        """The answer to a whole flow whose tokens are bound."""
        code = await self.server.code(app, self.alice, **more)
        return ok(await self.redeemed(app, code, self.proof(holder=holder)))

    async def refreshed(self, app: App, token: str, *proofs: str) -> Answer:
        """A client refreshes."""
        return await self.asked(app, *proofs, grant_type="refresh_token", refresh_token=token)

    async def userinfo(self, token: str, *proofs: str, scheme: str = "DPoP", method: str = "GET") -> Answer:
        """A request to a resource of ours."""
        headers = [("Authorization", f"{scheme} {token}"), *(("DPoP", proof) for proof in proofs)]
        return await self.server.http.request(method, USERINFO, headers=headers)


class TokenRequestTests(ProofCase):
    """Sections 4 and 5: proofs at the token endpoint."""

    async def test_section_5_bound_tokens(self) -> None:
        """Section 5: a proof binds anybody's access token, and the answer says so."""
        for app in (self.app, self.native):
            self.assertEqual((await self.signed_in(app))["token_type"], "DPoP")
        self.assertEqual(ok(await self.machine(self.proof()))["token_type"], "DPoP")
        self.assertEqual(ok(await self.machine())["token_type"], "Bearer")

    async def test_section_5_every_address_of_it(self) -> None:
        """Section 4.3: the proof is for the address that was asked, whichever of the endpoint's addresses it is."""
        for path in ("/oauth2/token", "/oauth/tokens", "/oauth/token"):
            ok(await self.machine(self.proof(path=path), path=path))
            self.refused(await self.machine(self.proof(path="/oauth2/revoke"), path=path), "invalid_dpop_proof")

    async def test_section_4_3_refusals(self) -> None:
        """Section 4.3: what is wrong with a proof is invalid_dpop_proof, and no token is issued."""
        wrong = {
            "two": (self.proof(), self.proof()),
            "none": ("",),
            "no JWT": ("abc",),
            "type": (self.proof(header={"typ": "JWT"}),),
            "algorithm": (self.proof(holder=Holder(algorithm="RS256")),),
            "private": (self.proof(header={"jwk": self.holder.private_jwk}),),
            "signature": (self.proof(header={"jwk": self.thief.jwk}),),
            "method": (self.proof("GET"),),
            "host": (self.proof(htu="https://evil.example/oauth2/token"),),
            "jti": (self.proof(jti=None),),
        }
        for what, proofs in wrong.items():
            with self.subTest(what=what):
                self.refused(await self.machine(*proofs), "invalid_dpop_proof")
        self.assertEqual(self.server.told("token.issued"), [])
        self.assertEqual(len(self.server.told("token.refused")), len(wrong))

    async def test_section_4_3_the_host_field_is_nothing(self) -> None:
        """A proof for another host does not count, though the request says that it is this host."""
        body = f"grant_type=client_credentials&client_id={self.app.client_id}&client_secret={self.app.secret}"
        for host, where, status in (("evil.example", "https://evil.example", 400), ("evil.example", None, 200)):
            proof = self.proof() if where is None else self.proof(htu=where + TOKEN)
            answer = await self.server.http.raw(
                f"POST {TOKEN} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nDPoP: {proof}\r\n"
                f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            self.assertEqual(answer.status, status, answer.body)

    async def test_section_5_2_client_that_must(self) -> None:
        """Section 5.2: a client registered to use DPoP always gets no token without a proof."""
        app = await self.server.client("bound", dpop_bound=True)
        self.refused(await self.machine(app=app), "invalid_dpop_proof")
        self.assertEqual(ok(await self.machine(self.proof(), app=app))["token_type"], "DPoP")
        code = await self.server.code(app, self.alice)
        self.refused(await self.redeemed(app, code), "invalid_dpop_proof")
        ok(await self.redeemed(app, code, self.proof()))  # the refusal has spent nothing

    async def test_section_5_every_grant(self) -> None:
        """Section 5: whatever the grant: a device's and a password's tokens are bound just so."""
        app = await self.server.client("old", grant_types=("password", "refresh_token"))
        password = {"username": "alice", "password": self.alice.password}
        told = ok(await self.asked(app, self.proof(), grant_type="password", **password))
        self.assertEqual(told["token_type"], "DPoP")
        self.assertEqual((await self.server.introspect(told["access_token"]))["cnf"], {"jkt": self.holder.jkt})

    async def test_section_5_a_device(self) -> None:
        """Section 5: a device that holds a key gets tokens that are bound to it, and so is its refresh token."""
        tv = await self.server.client("tv", public=True, grant_types=(DEVICE_GRANT, "refresh_token"))
        begun = ok(await self.server.post("/oauth2/device_authorize", {"client_id": "tv", "scope": "read"}))
        form = {"grant_type": DEVICE_GRANT, "device_code": begun["device_code"]}
        self.refused(await self.asked(tv, self.proof(), **form), "authorization_pending")
        browser = self.server.browser()
        page = await browser.sign_in(await browser.open("/device"), self.alice)
        await browser.submit(await browser.submit(page, "", user_code=begun["user_code"]), "allow")
        self.server.clock.advance(10)
        tokens = ok(await self.asked(tv, self.proof(), **form))
        self.assertEqual(tokens["token_type"], "DPoP")
        self.refused(await self.refreshed(tv, tokens["refresh_token"]), "invalid_grant")
        ok(await self.refreshed(tv, tokens["refresh_token"], self.proof()))

    async def test_section_5_1_metadata(self) -> None:
        """Section 5.1: the metadata names the algorithms that are on."""
        document = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertEqual(document["dpop_signing_alg_values_supported"], list(DpopSettings().algorithms))

    async def test_nothing_is_learned(self) -> None:
        """A request with a proof teaches nothing that another one could be answered by."""
        endpoint = self.server.application.endpoints["token"]
        seen: list[Any] = []
        answer = self.server.application.endpoints["token"].answer  # type: ignore[attr-defined]

        async def watched(*arguments: Any) -> Any:
            seen.append(await answer(*arguments))
            return seen[-1]

        self.patch(type(endpoint), "answer", lambda endpoint, *arguments: watched(*arguments))
        ok(await self.machine(self.proof()))
        ok(await self.machine())
        self.assertEqual([response.lesson is None for response in seen], [True, False])


class ReplayTests(ProofCase):
    """Section 11.1: a proof counts once."""

    async def test_used_again(self) -> None:
        """A proof that was used is refused, as long as it would count otherwise, and for its age after that."""
        proof = self.proof()
        ok(await self.machine(proof))
        for later in (0, 30, 25, 10):
            self.server.clock.advance(later)
            answer = await self.machine(proof)
            self.assertIn(answer.error, ("invalid_dpop_proof", "use_dpop_nonce"))
        ok(await self.machine(self.proof()))

    async def test_two_workers_at_once(self) -> None:
        """Of forty copies that reach two processes at the same moment, one counts."""
        other = self.server.sibling()
        await other.application.keys.open()
        proof = self.proof()
        form = {"grant_type": "client_credentials"}
        sent = [
            server.post(TOKEN, form, basic=self.app.basic, headers=[("DPoP", proof)])
            for server in (self.server, other) * 20
        ]
        answers = await together(sent)
        self.assertEqual(sorted(answer.status for answer in answers), [200] + [400] * 39)
        self.assertEqual({answer.error for answer in answers if answer.status != 200}, {"invalid_dpop_proof"})

    async def test_at_a_resource(self) -> None:
        """The same at a resource: a proof that somebody overheard is refused, and its token goes on to work."""
        token = (await self.signed_in(self.app))["access_token"]
        proof = self.proof("GET", USERINFO, token=token)
        ok(await self.userinfo(token, proof))
        self.refused(await self.userinfo(token, proof), "invalid_dpop_proof", 401)
        ok(await self.userinfo(token, self.proof("GET", USERINFO, token=token)))

    async def test_nothing_of_it_stays(self) -> None:
        """What is remembered of proofs ends, and holds no jti in clear."""
        ok(await self.machine(self.proof(jti="somebody's jti")))
        dump = await self.server.dump()
        self.assertFalse([name for name, value in dump.items() if b"somebody" in name + value])


class RefreshTests(ProofCase):
    """Section 5: refresh tokens."""

    async def test_public_client(self) -> None:
        """A public client's refresh token is bound to the key, and stays as it is (RFC 9700 section 4.14.2)."""
        tokens = await self.signed_in(self.native)
        for _ in range(3):
            told = ok(await self.refreshed(self.native, tokens["refresh_token"], self.proof()))
            self.assertEqual((told["refresh_token"], told["token_type"]), (tokens["refresh_token"], "DPoP"))
            self.assertTrue(await self.server.active(told["access_token"]))

    async def test_stolen(self) -> None:
        """Whoever presents it without the key, or with another one, changes nothing, however often it is tried."""
        tokens = await self.signed_in(self.native)
        for proofs in ((), (self.proof(holder=self.thief),), (), (self.proof(holder=self.thief),)):
            self.refused(await self.refreshed(self.native, tokens["refresh_token"], *proofs), "invalid_grant")
        self.assertTrue(await self.server.active(tokens["access_token"]))
        ok(await self.refreshed(self.native, tokens["refresh_token"], self.proof()))
        self.assertEqual(self.server.told("grant.replayed"), [])

    async def test_becomes_bound(self) -> None:
        """A refresh token that was not bound is rotated for one that is, once a proof comes with it."""
        tokens = await self.server.signed_in(self.native, self.alice)
        bound = ok(await self.refreshed(self.native, tokens["refresh_token"], self.proof()))
        self.assertNotEqual(bound["refresh_token"], tokens["refresh_token"])
        self.refused(await self.refreshed(self.native, bound["refresh_token"]), "invalid_grant")
        ok(await self.refreshed(self.native, bound["refresh_token"], self.proof()))

    async def test_an_answer_is_repeated_to_its_holder_alone(self) -> None:
        """Inside the grace window the same answer goes to the key that its tokens are bound to, and to no other."""
        tokens = await self.server.signed_in(self.native, self.alice)
        first = await self.refreshed(self.native, tokens["refresh_token"], self.proof())
        again = await self.refreshed(self.native, tokens["refresh_token"], self.proof())
        self.assertEqual((again.status, again.body), (200, first.body))
        for proofs in ((), (self.proof(holder=self.thief),)):
            self.refused(await self.refreshed(self.native, tokens["refresh_token"], *proofs), "invalid_request")

    async def test_confidential_client(self) -> None:
        """A confidential client's refresh token is bound to its authentication: it may go on with another key."""
        tokens = await self.signed_in(self.app)
        told = ok(await self.refreshed(self.app, tokens["refresh_token"], self.proof(holder=self.thief)))
        self.assertEqual((await self.server.introspect(told["access_token"]))["cnf"], {"jkt": self.thief.jkt})
        ok(await self.refreshed(self.app, told["refresh_token"]))


class ConfirmationTests(ProofCase):
    """Section 6: what resource servers are told."""

    async def test_section_6_1_jwt(self) -> None:
        """Section 6.1: a JWT access token names the key's thumbprint."""
        token = ok(await self.machine(self.proof()))["access_token"]
        claims = (await verified(self.server, token, "ES256")).claims
        self.assertEqual(claims["cnf"], {"jkt": self.holder.jkt})
        plain = ok(await self.machine())["access_token"]
        self.assertNotIn("cnf", (await verified(self.server, plain, "ES256")).claims)

    async def test_section_6_2_introspection(self) -> None:
        """Section 6.2: so does introspection, of either format, with its token_type; from memory just the same."""
        for form in ("jwt", "opaque"):
            app = await self.server.client(form, access_format=form)
            token = ok(await self.machine(self.proof(), app=app))["access_token"]
            for _ in range(3):
                told = await self.server.introspect(token)
                self.assertEqual((told["token_type"], told["cnf"]), ("DPoP", {"jkt": self.holder.jkt}))
            plain = await self.server.introspect(ok(await self.machine(app=app))["access_token"])
            self.assertEqual((plain["token_type"], "cnf" in plain), ("Bearer", False))


class ResourceTests(ProofCase):
    """Section 7: our own resources."""

    async def prepare(self) -> None:
        """A token of a user, bound."""
        await super().prepare()
        self.token: str = (await self.signed_in(self.app))["access_token"]
        self.free: str = (await self.server.signed_in(self.app, self.alice))["access_token"]

    def own(self, method: str = "GET", **more: Any) -> str:
        """A proof for the resource and the token."""
        return self.proof(method, USERINFO, **{"token": self.token, **more})

    async def challenged(self, answer: Answer, error: str, challenge: str) -> None:
        """The answer is 401 with this challenge."""
        self.refused(answer, error, 401)
        self.assertRegex(answer.header("www-authenticate"), challenge)

    async def test_section_7_1_answered(self) -> None:
        """Section 7.1: with the scheme, in any case, and a proof the request is answered; a query changes nothing."""
        for scheme in ("DPoP", "dpop", "DPOP"):
            self.assertEqual(ok(await self.userinfo(self.token, self.own(), scheme=scheme))["sub"], self.alice.user_id)
        ok(await self.userinfo(self.token, self.own("POST"), method="POST"))
        headers = [("Authorization", f"DPoP {self.token}"), ("DPoP", self.own())]
        ok(await self.server.get(USERINFO, {"x": "y"}, headers=headers))

    async def test_section_7_1_refused(self) -> None:
        """Section 7.1: without a proof, or with one that is wrong, the challenge is DPoP's and names the algorithms."""
        algorithms = " ".join(DpopSettings().algorithms)
        challenge = rf'\ADPoP realm="oauthd", error="invalid_dpop_proof", error_description=".*", algs="{algorithms}"\Z'
        wrong = (
            (),
            (self.own(), self.own()),
            (self.own(token=""),),
            (self.own(token=self.free),),
            (self.own("POST"),),
            (self.own(holder=self.thief),),
            (self.proof("GET", TOKEN, token=self.token),),
        )
        for proofs in wrong:
            await self.challenged(await self.userinfo(self.token, *proofs), "invalid_dpop_proof", challenge)
        ok(await self.userinfo(self.token, self.own()))

    async def test_section_7_2_not_as_bearer(self) -> None:
        """Section 7.2: a bound token is no bearer token, in the header or in the form, with a proof or without."""
        challenge = r'\ABearer realm="oauthd", error="invalid_token", .*, DPoP algs="ES256 '
        for proofs in ((), (self.own(),)):
            answer = await self.userinfo(self.token, *proofs, scheme="Bearer")
            await self.challenged(answer, "invalid_token", challenge)
        answer = await self.server.post(USERINFO, {"access_token": self.token}, headers=[("DPoP", self.own("POST"))])
        await self.challenged(answer, "invalid_token", challenge)

    async def test_a_free_token_as_bound(self) -> None:
        """A token that is bound to no key proves nothing with a proof of some key."""
        answer = await self.userinfo(self.free, self.own(token=self.free))
        await self.challenged(answer, "invalid_token", r'\ADPoP realm="oauthd", error="invalid_token"')
        ok(await self.userinfo(self.free, scheme="Bearer"))

    async def test_section_7_2_no_token(self) -> None:
        """Section 7.2: without any token both schemes are named, and no error."""
        answer = await self.server.get(USERINFO)
        self.assertRegex(answer.header("www-authenticate"), r'\ABearer realm="oauthd", DPoP algs="[A-Za-z0-9 -]+"\Z')

    async def test_admin_api(self) -> None:
        """The admin API takes a bound token of an administrator just so."""
        app = await self.server.client("console", scopes=("admin",), grant_types=("client_credentials",))
        token = ok(await self.machine(self.proof(), app=app, scope="admin"))["access_token"]
        path = "/api/v1/oauth/scopes"
        headers = [("Authorization", f"DPoP {token}"), ("DPoP", self.proof("GET", path, token=token))]
        ok(await self.server.get(path, headers=headers))
        self.refused(await self.server.get(path, headers=headers), "invalid_dpop_proof", 401)
        self.refused(await self.server.get(path, bearer=token), "invalid_token", 401)

    async def test_revoked(self) -> None:
        """A revoked token is invalid_token, whatever is proved, and costs no proof."""
        await self.server.post("/oauth2/revoke", {"token": self.token}, basic=self.app.basic)
        await self.challenged(await self.userinfo(self.token, self.own()), "invalid_token", r"\ADPoP ")

    async def test_cors(self) -> None:
        """Sections 7.1 and 8: scripts may send proofs, and read challenge and nonce."""
        answer = await self.server.http.request("OPTIONS", USERINFO)
        self.assertIn("DPoP", answer.header("access-control-allow-headers"))
        answer = await self.userinfo(self.token)
        for name in ("WWW-Authenticate", "DPoP-Nonce"):
            self.assertIn(name, answer.header("access-control-expose-headers"))


class NonceTests(ProofCase):
    """Sections 8 and 9, where a nonce is required."""

    sections = {"dpop": DpopSettings(nonce="required")}

    async def test_section_8_token_endpoint(self) -> None:
        """Section 8: without a nonce 400 use_dpop_nonce and a nonce; with it tokens, and the nonce to use next."""
        answer = await self.machine(self.proof())
        self.refused(answer, "use_dpop_nonce")
        nonce = answer.header("dpop-nonce")
        for _ in range(2):
            answer = await self.machine(self.proof(nonce=nonce))
            self.assertEqual((answer.status, answer.header("dpop-nonce")), (200, nonce))
        self.assertEqual((await self.machine()).header("dpop-nonce"), "")

    async def test_section_8_2_a_new_one(self) -> None:
        """Section 8.2: when its time comes the next nonce is told with a good answer, and the old one ends later."""
        nonce = (await self.machine(self.proof())).header("dpop-nonce")
        self.server.clock.advance(300)
        answer = await self.machine(self.proof(nonce=nonce))
        self.assertEqual(answer.status, 200)
        after = answer.header("dpop-nonce")
        self.assertNotEqual(after, nonce)
        self.server.clock.advance(300)
        answer = await self.machine(self.proof(nonce=nonce))
        self.refused(answer, "use_dpop_nonce")
        self.assertNotIn(answer.header("dpop-nonce"), ("", nonce))
        ok(await self.machine(self.proof(nonce=after)))

    async def test_every_node(self) -> None:
        """A nonce of one process counts at the others of the same store."""
        other = self.server.sibling()
        await other.application.keys.open()
        nonce = (await self.machine(self.proof())).header("dpop-nonce")
        headers = [("DPoP", self.proof(nonce=nonce))]
        ok(await other.post(TOKEN, {"grant_type": "client_credentials"}, basic=self.app.basic, headers=headers))

    async def test_of_another_server(self) -> None:
        """A nonce of another server, or one that somebody made up, does not count."""
        for nonce in ("eyJ7S_zG.eyJH0-Z.HX4w-7v", encoded(bytes(18)), ""):
            self.refused(await self.machine(self.proof(nonce=nonce)), "use_dpop_nonce")

    async def test_section_9_resource(self) -> None:
        """Section 9: at a resource 401 with the challenge and a nonce; then it is answered."""
        nonce = (await self.machine(self.proof())).header("dpop-nonce")
        code = await self.server.code(self.app, self.alice)
        token = ok(await self.redeemed(self.app, code, self.proof(nonce=nonce)))["access_token"]
        answer = await self.userinfo(token, self.proof("GET", USERINFO, token=token))
        self.refused(answer, "use_dpop_nonce", 401)
        self.assertRegex(answer.header("www-authenticate"), r'\ADPoP realm="oauthd", error="use_dpop_nonce"')
        nonce = answer.header("dpop-nonce")
        ok(await self.userinfo(token, self.proof("GET", USERINFO, token=token, nonce=nonce)))

    async def test_a_nonce_is_no_licence_to_replay(self) -> None:
        """Section 11.1: with one nonce many proofs count, and each of them once."""
        nonce = (await self.machine(self.proof())).header("dpop-nonce")
        proof = self.proof(nonce=nonce)
        ok(await self.machine(proof))
        for later in (0, 250, 200):
            self.server.clock.advance(later)
            self.assertNotEqual((await self.machine(proof)).status, 200)


class OptionalNonceTests(ProofCase):
    """Section 8, where nonces are for those with a wrong clock."""

    async def test_wrong_clock(self) -> None:
        """A client whose clock is an hour off is offered a nonce, and gets its token with it; others are not asked."""
        for offset in (-3600, 3600):
            iat = int(self.server.clock.seconds()) + offset
            answer = await self.machine(self.proof(iat=iat))
            self.refused(answer, "use_dpop_nonce")
            ok(await self.machine(self.proof(iat=iat, nonce=answer.header("dpop-nonce"))))
        answer = await self.machine(self.proof())
        self.assertEqual((answer.status, answer.header("dpop-nonce")), (200, ""))


class StrictMetadataTests(ProofCase):
    """Where all clients are held to FAPI 2.0."""

    sections = {"server": ServerSettings(profile="fapi2")}

    async def test_section_5_1_metadata(self) -> None:
        """Section 5.1: the metadata names none that such a client's proof is refused for."""
        document = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertEqual(document["dpop_signing_alg_values_supported"], ["ES256", "EdDSA", "Ed25519", "PS256"])


class OffTests(ProofCase):
    """Where no algorithm is on."""

    sections = {"dpop": DpopSettings(algorithms=())}

    async def test_nothing_speaks_of_it(self) -> None:
        """No metadata, no challenge; and a proof is refused, so that nobody believes a token to be bound."""
        document = ok(await self.server.get("/.well-known/openid-configuration"))
        self.assertNotIn("dpop_signing_alg_values_supported", document)
        self.assertNotIn("DPoP", (await self.server.get(USERINFO)).header("www-authenticate"))
        self.refused(await self.machine(self.proof()), "invalid_dpop_proof")
        ok(await self.machine())


class CodeTests(ProofCase):
    """Section 10: codes bound to a key."""

    async def test_section_10(self) -> None:
        """A code asked for with dpop_jkt is redeemed with a proof of that key alone; others spend nothing."""
        for app in (self.app, self.native):
            code = await self.server.code(app, self.alice, dpop_jkt=self.holder.jkt)
            for proofs in ((), (self.proof(holder=self.thief),)):
                self.refused(await self.redeemed(app, code, *proofs), "invalid_grant")
            tokens = ok(await self.redeemed(app, code, self.proof()))
            self.assertTrue(await self.server.active(tokens["access_token"]))

    async def test_section_10_malformed(self) -> None:
        """What is no thumbprint is refused at once."""
        told = await self.server.authorize(self.app, self.alice, dpop_jkt="x")
        self.refused_by_redirect(told, "invalid_request")

    async def test_a_thief_cannot_end_it(self) -> None:
        """A used code that comes again without the key ends nothing (RFC 9700 section 4.5)."""
        code = await self.server.code(self.app, self.alice, dpop_jkt=self.holder.jkt)
        tokens = ok(await self.redeemed(self.app, code, self.proof()))
        self.refused(await self.redeemed(self.app, code, self.proof(holder=self.thief)), "invalid_grant")
        self.assertTrue(await self.server.active(tokens["access_token"]))
