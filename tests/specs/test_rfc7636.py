"""RFC 7636, Proof Key for Code Exchange: section by section, what holds of the rules and of the running server."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from oauthd.config import ClientSettings
from oauthd.protocol import pkce
from oauthd.protocol.errors import OAuthError
from tests.server import ServerCase, ok

# Appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

UNRESERVED = string.ascii_letters + string.digits + "-._~"


class Rfc7636Tests(SynchronousTestCase):
    """Challenge and verifier."""

    def refused(self, code: str, challenge: str, verifier: str | None) -> None:
        """The pair is refused with this error code."""
        error = self.assertRaises(OAuthError, pkce.verify, challenge, verifier)
        self.assertEqual(error.kind.code, code)

    def not_accepted(self, challenge: str | None, method: str | None) -> None:
        """The authorization request is refused."""
        error = self.assertRaises(OAuthError, pkce.accept, challenge, method)
        self.assertEqual(error.kind.code, "invalid_request")

    def test_appendix_b(self) -> None:
        """The example of the RFC verifies."""
        self.assertEqual(pkce.challenge_of(VERIFIER), CHALLENGE)
        pkce.verify(pkce.accept(CHALLENGE, "S256"), VERIFIER)

    @given(st.text(UNRESERVED, min_size=43, max_size=128))
    def test_section_4_1_every_verifier_of_the_grammar(self, verifier: str) -> None:
        """Each verifier that the grammar allows verifies against its own challenge, which is accepted."""
        pkce.verify(pkce.accept(pkce.challenge_of(verifier), "S256"), verifier)

    def test_section_4_1_no_other_verifier(self) -> None:
        """42 or 129 characters, or a character outside the grammar, are refused even where the hash would fit."""
        for verifier in ("a" * 42, "a" * 129, "a" * 42 + "+", "a" * 42 + "=", "a" * 42 + " ", "a" * 43 + "\n"):
            self.refused("invalid_grant", pkce.challenge_of(verifier), verifier)
        self.refused("invalid_grant", CHALLENGE, "é" * 43)
        self.refused("invalid_grant", CHALLENGE, "\ud800" * 43)

    def test_section_4_2_challenge_has_one_spelling(self) -> None:
        """A challenge is 43 characters of canonical base64url: not padded, cut, or with slack bits set."""
        for challenge in (
            CHALLENGE + "=",
            CHALLENGE[:-1],
            CHALLENGE + "A",
            CHALLENGE[:-1] + "N",  # the same digest with slack bits
            CHALLENGE[:-1] + "+",
            CHALLENGE + "\n",
            "é" * 43,
        ):
            self.not_accepted(challenge, "S256")

    def test_section_4_2_challenge_is_case_sensitive(self) -> None:
        """A challenge in other letters is another challenge."""
        self.refused("invalid_grant", CHALLENGE.swapcase(), VERIFIER)

    def test_section_4_3_absent_method_means_plain(self) -> None:
        """A challenge without a method would be plain, and is refused."""
        self.not_accepted(CHALLENGE, None)

    def test_section_4_4_1_other_methods(self) -> None:
        """`plain` and unknown methods are refused, S256 in another case included."""
        for method in ("plain", "s256", "S512", "S256 "):
            self.not_accepted(CHALLENGE, method)

    def test_method_without_challenge(self) -> None:
        """A method alone is a request that lost its challenge."""
        self.not_accepted(None, "S256")

    def test_no_pkce(self) -> None:
        """A request without challenge has none, and needs no verifier."""
        self.assertEqual(pkce.accept(None, None), "")
        pkce.verify("", None)

    def test_section_4_6_difference(self) -> None:
        """A verifier of another challenge, none at all, and the challenge itself are invalid_grant."""
        for verifier in ("x" * 43, None, CHALLENGE, ""):
            self.refused("invalid_grant", CHALLENGE, verifier)

    def test_rfc9700_section_4_8_2_downgrade(self) -> None:
        """A verifier for a code without challenge is refused: somebody stripped the challenge."""
        self.refused("invalid_grant", "", VERIFIER)

    def test_section_7_2_nothing_is_echoed(self) -> None:
        """No error tells verifier or challenge."""
        error = self.assertRaises(OAuthError, pkce.verify, CHALLENGE, "y" * 43)
        self.assertNotIn("y" * 43, repr(error))
        self.assertNotIn(CHALLENGE, repr(error))


class EndpointTests(ServerCase):
    """The endpoints: who must use a challenge, and what happens without."""

    async def test_section_4_s256(self) -> None:
        """Sections 4.3 to 4.6: challenge and verifier of a public client bring tokens."""
        app, alice = await self.server.client(public=True), await self.server.user()
        ok(await self.server.redeem(app, await self.server.code(app, alice), code_verifier=VERIFIER))

    async def test_public_clients_must(self) -> None:
        """RFC 9700 2.1.1: a public client without a challenge is refused at the authorization endpoint already."""
        app = await self.server.client(public=True)
        asked = self.server.asking(app, code_challenge=None, code_challenge_method=None)
        self.refused_by_redirect((await self.server.get("/oauth2/authorize", asked)).redirected, "invalid_request")

    async def test_confidential_clients_may(self) -> None:
        """A confidential client may leave it out, and whoever sends a challenge is held to it."""
        app, alice = await self.server.client(), await self.server.user()
        ok(await self.server.redeem(app, await self.server.code(app, alice)))
        code = await self.server.code(app, alice, code_challenge=CHALLENGE, code_challenge_method="S256")
        self.refused(await self.server.redeem(app, code), "invalid_grant")
        ok(await self.server.redeem(app, code, code_verifier=VERIFIER))

    async def test_confidential_clients_that_must(self) -> None:
        """A confidential client that is registered to use it must."""
        app = await self.server.client(pkce_required=True)
        answer = await self.server.get("/oauth2/authorize", self.server.asking(app))
        self.refused_by_redirect(answer.redirected, "invalid_request")

    async def test_section_4_4_1_plain(self) -> None:
        """Section 4.4.1: `plain`, named or by an absent method, is refused, and so are unknown methods."""
        app = await self.server.client()
        for method in (None, "plain", "s256", "S512"):
            asked = self.server.asking(app, code_challenge=CHALLENGE, code_challenge_method=method)
            answer = await self.server.get("/oauth2/authorize", asked)
            self.refused_by_redirect(answer.redirected, "invalid_request")

    async def test_section_4_4_1_malformed(self) -> None:
        """Section 4.2: a challenge that no SHA-256 has is refused."""
        app = await self.server.client()
        for challenge in ("x", CHALLENGE + "=", CHALLENGE[:-1] + "N", "x" * 3000):
            asked = self.server.asking(app, code_challenge=challenge, code_challenge_method="S256")
            answer = await self.server.get("/oauth2/authorize", asked)
            self.refused_by_redirect(answer.redirected, "invalid_request")

    async def test_rfc9700_section_4_8_2_downgrade_at_the_endpoint(self) -> None:
        """RFC 9700 4.8.2: a verifier for a code whose challenge was stripped on the way is refused."""
        app, alice = await self.server.client(), await self.server.user()
        code = await self.server.code(app, alice)
        self.refused(await self.server.redeem(app, code, code_verifier=VERIFIER), "invalid_grant")

    async def test_section_4_6_wrong_verifier(self) -> None:
        """Section 4.6: another verifier, the challenge itself, or none is invalid_grant, and the code stays good."""
        app, alice = await self.server.client(public=True), await self.server.user()
        code = await self.server.code(app, alice)
        for verifier in ("x" * 43, CHALLENGE, None, "", VERIFIER + "x", VERIFIER[:-1]):
            self.refused(await self.server.redeem(app, code, code_verifier=verifier), "invalid_grant")
        ok(await self.server.redeem(app, code))

    async def test_a_client_that_became_public(self) -> None:
        """A code without challenge is worth nothing to a client that is public by now."""
        app, alice = await self.server.client(), await self.server.user()
        code = await self.server.code(app, alice)
        await self.server.application.clients.update(
            app.client_id, lambda client: replace(client, client_type="public", secrets=())
        )
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.redirect_uri, "client_id": "app"}
        self.refused(await self.server.post("/oauth2/token", form), "invalid_grant")


class DemandedTests(ServerCase):
    """A server that demands PKCE of everybody."""

    sections = {"clients": ClientSettings(pkce_required=True)}

    async def test_by_setting(self) -> None:
        """With the setting confidential clients must use it, too."""
        app, alice = await self.server.client(), await self.server.user()
        answer = await self.server.get("/oauth2/authorize", self.server.asking(app))
        self.refused_by_redirect(answer.redirected, "invalid_request")
        code = await self.server.code(app, alice, code_challenge=CHALLENGE, code_challenge_method="S256")
        ok(await self.server.redeem(app, code, code_verifier=VERIFIER))


class PublicWithoutTests(ServerCase):
    """A server whose operator lets public clients do without."""

    sections = {"clients": ClientSettings(pkce_public=False)}

    async def test_without(self) -> None:
        """A public client gets tokens without a challenge."""
        app, alice = await self.server.client("spa", public=True), await self.server.user()
        code = await self.server.code(app, alice, code_challenge=None, code_challenge_method=None)
        ok(await self.server.redeem(app, code, code_verifier=None))

    async def test_who_uses_it_is_held_to_it(self) -> None:
        """Whoever sends a challenge must send its verifier, as everywhere."""
        app, alice = await self.server.client("spa", public=True), await self.server.user()
        code = await self.server.code(app, alice)
        self.refused(await self.server.redeem(app, code, code_verifier=None), "invalid_grant")
        ok(await self.server.redeem(app, code))

    async def test_a_client_may_demand_it(self) -> None:
        """A public client that is registered for it must use it all the same, and so must one of FAPI 2.0."""
        for fields in ({"pkce_required": True}, {"profile": "fapi2"}):
            app = await self.server.client(f"spa{len(fields)}{next(iter(fields))}", public=True, **fields)
            asking = self.server.asking(app, code_challenge=None, code_challenge_method=None)
            self.refused_by_redirect((await self.server.get("/oauth2/authorize", asking)).redirected, "invalid_request")
