"""Settings of registration: who vouches for software, and what is wanted of what he signs."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from oauthd import config
from oauthd.config.registration import StatementIssuer

KEYS = "https://trust.example/jwks"


class StatementIssuerTests(SynchronousTestCase):
    """`registration.statement_issuers`"""

    def test_words(self) -> None:
        """After the address of the keys stands what statements must have, in any order."""
        for more, expected in (
            ("", StatementIssuer(KEYS)),
            (" typ=ssa+jwt", StatementIssuer(KEYS, "ssa+jwt")),
            (" aud exp", StatementIssuer(KEYS, "JWT", ("aud", "exp"))),
            (" exp typ=application/x.ssa+jwt", StatementIssuer(KEYS, "application/x.ssa+jwt", ("exp",))),
        ):
            self.assertEqual(StatementIssuer.of(KEYS + more), expected)

    def test_refused(self) -> None:
        """Whatever else stands there is refused, so that no wish of the operator's is overheard."""
        more = (" iss", " typ=", " typ=a typ=b", "  aud", " aud ", " typ=a b", " AUD")
        wrong = ("", f" {KEYS}", "https://trust.example", "https://trust.example http://trust.example/jwks")
        for text in (*wrong, *(f"https://trust.example {KEYS}{word}" for word in more)):
            path = Path(self.mktemp())
            path.write_text(f'[registration]\nstatement_issuers = ["{text}"]\n')
            with self.assertRaises(config.SettingsError) as caught:
                config.load(str(path), {}, {})
            self.assertIn("registration.statement_issuers", str(caught.exception), text)
