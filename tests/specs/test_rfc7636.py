"""RFC 7636, Proof Key for Code Exchange: section by section, what holds of the rules."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import pkce
from oauthd.protocol.errors import OAuthError

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
