"""RFC 7523 sections 2.1 and 3, with RFC 7521 section 4.1 and rfc7523bis: JWTs as grants, section by section."""

from __future__ import annotations

import json
from typing import Any

from treq.testing import RequestTraversalAgent

from oauthd.config import JwtBearerSettings
from tests.server import CHEAP, GRANTS, ISSUER, ServerCase, ok, together
from tests.specs.holders import Holder
from tests.specs.registering import ClientsDocuments
from tests.wire import Answer

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
IDP, OTHER = "https://idp.example", "https://other.example"
TRUSTED, FAR = Holder(kid="idp"), Holder("EdDSA", kid="far")
URI = f"{OTHER}/jwks"


class BearerCase(ServerCase):
    """An issuer whose keys are known, another whose keys are fetched, and a client that may use this grant."""

    sections: dict[str, Any] = {
        "users": CHEAP,
        "jwt_bearer": JwtBearerSettings(
            issuers=(
                f"{IDP} {json.dumps(TRUSTED.jwks)} sub=username aud=urn:oauthd",
                f"{OTHER} {URI} claim=employee typ=grant+jwt",
            )
        ),
    }

    async def prepare(self) -> None:
        """Register it."""
        self.documents = ClientsDocuments()
        fetcher: Any = self.server.application.fetcher
        self.patch(fetcher, "agent", RequestTraversalAgent(self.documents))
        self.patch(fetcher, "_kept", fetcher._make_kept())
        self.documents.at[URI] = json.dumps(FAR.jwks).encode()
        self.app = await self.server.client(grant_types=(*GRANTS, GRANT))
        self.alice = await self.server.user()
        self.count = 0

    def claims(self, **said: Any) -> dict[str, Any]:
        """Claims of the trusted issuer; None leaves one out."""
        now, self.count = int(self.server.clock.seconds()), self.count + 1
        usual = {
            "iss": IDP, "sub": "alice", "aud": ISSUER, "exp": now + 300, "iat": now, "jti": f"number {self.count}"
        }  # fmt: skip
        return {name: one for name, one in (usual | said).items() if one is not None}

    async def present(self, assertion: str, **form: str) -> Answer:
        """Ask for a token by an assertion."""
        return await self.server.token(self.app, GRANT, assertion=assertion, **form)

    async def ask(self, **said: Any) -> Answer:
        """The same by one with these claims."""
        return await self.present(TRUSTED.sign(self.claims(**said)))


class GrantTests(BearerCase):
    """Section 2.1: a token by an assertion."""

    async def test_section_2_1_token(self) -> None:
        """Section 2.1: the person whom the assertion means is the subject; there is no refresh token."""
        answer = ok(await self.present(TRUSTED.sign(self.claims()), scope="read"))
        told = await self.server.introspect(answer["access_token"])
        self.assertEqual((told["sub"], told["client_id"], told["scope"]), (self.alice.user_id, "app", "read"))
        self.assertEqual(set(answer), {"access_token", "token_type", "expires_in", "scope"})

    async def test_rfc_7521_section_4_1_lifetime(self) -> None:
        """RFC 7521 section 4.1: the token lasts no longer than the assertion."""
        self.assertEqual(ok(await self.ask())["expires_in"], 300)

    async def test_section_2_1_who_may(self) -> None:
        """Only clients that were given this grant use it, and none that is public."""
        self.app = await self.server.client("bare")
        self.refused(await self.ask(), "unauthorized_client")
        self.app = await self.server.client("public", public=True, client_type="public", grant_types=(GRANT,))
        self.refused(await self.ask(), "unauthorized_client")

    async def test_section_2_1_scope(self) -> None:
        """Section 2.1: scopes as for anybody; administrators' for administrators, and what the issuer says at most."""
        for scope in ("admin", "nonsense"):
            self.refused(await self.present(TRUSTED.sign(self.claims()), scope=scope), "invalid_scope")
        said = TRUSTED.sign(self.claims(scope="read"))
        self.refused(await self.present(said, scope="read write"), "invalid_scope")
        self.assertEqual(ok(await self.present(said, scope="read"))["scope"], "read")

    async def test_resource(self) -> None:
        """RFC 8707: a resource becomes the audience, an unknown one is refused and the assertion stays good."""
        owner = await self.server.client("owner", resources=("https://r.example",))
        assertion = TRUSTED.sign(self.claims())
        self.refused(await self.present(assertion, resource="https://x.example"), "invalid_target")
        token = ok(await self.present(assertion, resource="https://r.example"))["access_token"]
        self.assertEqual((await self.server.introspect(token, owner))["aud"], "https://r.example")

    async def test_off_without_issuers(self) -> None:
        """Metadata names the grant where an issuer is trusted."""
        told = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertIn(GRANT, told["grant_types_supported"])


class RulesTests(BearerCase):
    """Section 3: what an assertion must be."""

    async def test_section_3_claims(self) -> None:
        """Rules 1 to 6: issuer, subject, audience and times; each of them wrong is invalid_grant (section 3.1)."""
        now = int(self.server.clock.seconds())
        wrong: tuple[dict[str, Any], ...] = (
            {"iss": "https://x.example"}, {"iss": None}, {"iss": ISSUER}, {"iss": [IDP]},
            {"sub": None}, {"sub": ""}, {"sub": "nobody"}, {"sub": 1}, {"sub": "a" * 256},
            {"aud": None}, {"aud": OTHER}, {"aud": [ISSUER, OTHER]}, {"aud": []}, {"aud": f"{ISSUER}/"}, {"aud": 1},
            {"exp": None}, {"exp": now - 11}, {"exp": now}, {"exp": now + 3611}, {"exp": "x"}, {"exp": True},
            {"nbf": now + 11}, {"iat": now + 11},
            {"jti": None}, {"jti": ""}, {"jti": 7}, {"jti": "x" * 513},
            {"client_id": "another"},
        )  # fmt: skip
        for said in wrong:
            self.refused(await self.ask(**said), "invalid_grant")

    async def test_section_3_audiences(self) -> None:
        """Rule 3, as rfc7523bis has it: our issuer, our token endpoint, or the name that was agreed upon."""
        for audience in (ISSUER, [ISSUER], f"{ISSUER}/oauth2/token", "urn:oauthd"):
            ok(await self.ask(aud=audience))

    async def test_section_3_once(self) -> None:
        """Rule 7: an assertion counts once, whoever presents it and however it is signed again."""
        claims = self.claims()
        ok(await self.present(TRUSTED.sign(claims)))
        self.refused(await self.present(TRUSTED.sign(claims)), "invalid_grant")
        self.app = await self.server.client("second", grant_types=(GRANT,))
        self.refused(await self.present(TRUSTED.sign(claims | {"exp": claims["exp"] + 60})), "invalid_grant")

    async def test_section_3_copies_at_once(self) -> None:
        """Rule 7: of copies that arrive at the same moment one is good."""
        assertion = TRUSTED.sign(self.claims())
        answers = await together(self.present(assertion) for _ in range(5))
        self.assertEqual(sorted(answer.status for answer in answers), [200] + [400] * 4)

    async def test_section_3_until_its_end(self) -> None:
        """Rule 7: as long as it would be believed it is remembered."""
        claims = self.claims()
        ok(await self.present(TRUSTED.sign(claims)))
        for seconds in (299, 10, 10):
            self.server.clock.advance(seconds)
            self.refused(await self.present(TRUSTED.sign(claims)), "invalid_grant")

    async def test_section_3_signature(self) -> None:
        """Rules 9 and 10: another key, another type, no signature, an HMAC with the public key, noise."""
        claims = self.claims()
        unsigned = "eyJhbGciOiJub25lIn0." + TRUSTED.sign(claims).split(".")[1] + "."
        for assertion in (
            Holder(kid="idp").sign(claims),
            TRUSTED.sign(claims, typ="at+jwt"),
            TRUSTED.sign(claims, kid="other"),
            unsigned,
            "a.b.c",
            "x" * 20000,
            "\N{SNOWMAN}",
        ):
            self.refused(await self.present(assertion), "invalid_grant")
        self.refused(await self.server.token(self.app, GRANT), "invalid_request")
        ok(await self.present(TRUSTED.sign(claims)))  # none of it used the jti up

    async def test_tokens_of_ours(self) -> None:
        """No token of ours is an assertion."""
        tokens = await self.server.signed_in(self.app, self.alice)
        for name in ("id_token", "access_token"):
            self.refused(await self.present(tokens[name]), "invalid_grant")

    async def test_no_secret_in_events(self) -> None:
        """Nothing of an assertion is told of."""
        assertion = TRUSTED.sign(self.claims())
        ok(await self.present(assertion))
        await self.present(assertion)
        self.assertNotIn(assertion.rpartition(".")[2], repr(self.server.events))


class FetchedTests(BearerCase):
    """An issuer whose keys are fetched, and who names people by another claim."""

    async def far(self, **said: Any) -> Answer:
        """Ask by an assertion of it."""
        claims = self.claims(**({"iss": OTHER, "sub": "x", "employee": self.alice.user_id} | said))
        return await self.present(FAR.sign(claims, typ="grant+jwt"))

    async def test_mapping(self) -> None:
        """The claim that the operator names holds the user id."""
        token = ok(await self.far())["access_token"]
        self.assertEqual((await self.server.introspect(token))["sub"], self.alice.user_id)
        for said in ({"employee": "alice"}, {"employee": None}, {"employee": "x" * 200}, {"sub": None}):
            self.refused(await self.far(**said), "invalid_grant")

    async def test_type(self) -> None:
        """A JWT of another type than the operator names is refused, one without type too."""
        claims = self.claims(iss=OTHER, sub="x", employee=self.alice.user_id)
        self.refused(await self.present(FAR.sign(claims)), "invalid_grant")

    async def test_issuers_do_not_mix(self) -> None:
        """The keys of one issuer sign nothing for the other."""
        claims = self.claims(iss=OTHER, sub="x", employee=self.alice.user_id)
        self.refused(await self.present(TRUSTED.sign(claims, typ="grant+jwt")), "invalid_grant")

    async def test_keys_are_away(self) -> None:
        """Where the keys cannot be had it is 503, and no fault of the assertion's."""
        for document in (b"", b"[]", b'{"keys": 7}'):
            self.documents.at[URI] = document
            fetcher: Any = self.server.application.fetcher
            self.patch(fetcher, "_kept", fetcher._make_kept())
            self.refused(await self.far(), "temporarily_unavailable", 503)

    async def test_new_key(self) -> None:
        """A new key of the issuer counts as soon as its document is fetched again, and the old one no more."""
        ok(await self.far())
        new = Holder("EdDSA", kid="new")
        self.documents.at[URI] = json.dumps(new.jwks).encode()
        fetcher: Any = self.server.application.fetcher
        self.patch(fetcher, "_kept", fetcher._make_kept())
        self.refused(await self.far(), "invalid_grant")
        claims = self.claims(iss=OTHER, sub="x", employee=self.alice.user_id)
        ok(await self.present(new.sign(claims, typ="grant+jwt")))

    async def test_users(self) -> None:
        """A deactivated user is known no more, and what was issued is dead."""
        token = ok(await self.far())["access_token"]
        await self.server.application.users.deactivate(self.alice.user_id)
        self.assertFalse(await self.server.active(token))
        self.refused(await self.far(), "invalid_grant")


class WithoutIssuersTests(ServerCase):
    """A server that trusts nobody."""

    async def test_no_such_grant(self) -> None:
        """There is no such grant, and no metadata that says so."""
        app = await self.server.client(grant_types=(*GRANTS, GRANT))
        self.refused(await self.server.token(app, GRANT, assertion="x"), "unsupported_grant_type")
        told = ok(await self.server.get("/.well-known/oauth-authorization-server"))
        self.assertNotIn(GRANT, told["grant_types_supported"])
