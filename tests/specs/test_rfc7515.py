"""JSON Web Signature: its examples, and those of RFC 7520 (the cookbook)."""

from __future__ import annotations

import hashlib
import hmac

from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import jose
from tests.specs.vectors import altered, examples, verifies

NOW = 1300819379.0  # a second before the examples end
EXAMPLES = examples("rfc7515")
COOKBOOK = examples("rfc7520")


class AppendixTests(SynchronousTestCase):
    """Appendix A."""

    def test_a_1_hs256(self) -> None:
        """A.1: the HMAC verifies with the secret, for a reader who asked for it, and not when a character differs."""
        token, secret = EXAMPLES["A.1"]["token"], jose.decode(EXAMPLES["A.1"]["secret"])
        header, claims = jose.verify_hmac(token, secret, ["HS256"], now=NOW)
        self.assertEqual((header, claims["iss"]), ({"typ": "JWT", "alg": "HS256"}, "joe"))
        for wrong, key in ((altered(token), secret), (token, secret[:-1] + b"x")):
            self.assertRaises(jose.TokenRefused, jose.verify_hmac, wrong, key, ["HS256"], now=NOW)

    def test_a_2_and_a_3(self) -> None:
        """A.2, A.3: RS256 and ES256 verify with the public keys, and not when a character differs."""
        for name in ("A.2", "A.3"):
            token, key, algorithm = (EXAMPLES[name][member] for member in ("token", "key", "alg"))
            header, claims = jose.verify_with(token, [key], [algorithm], now=NOW)
            self.assertEqual((header, claims["http://example.com/is_root"]), ({"alg": algorithm}, True))
            self.assertRaises(
                jose.TokenRefused, jose.verify_with, altered(token), [key], [algorithm], now=NOW
            )

    def test_a_4_es512(self) -> None:
        """A.4: ES512 over what is no JSON; as a token it is refused for that."""
        token, key = EXAMPLES["A.4"]["token"], EXAMPLES["A.4"]["key"]
        self.assertTrue(verifies(token, key, "ES512"))
        self.assertFalse(verifies(altered(token), key, "ES512"))
        refused = self.assertRaises(jose.TokenRefused, jose.verify_with, token, [key], ["ES512"], now=NOW)
        self.assertIn("JSON", str(refused))

    def test_a_5_unsecured(self) -> None:
        """A.5: a token without a signature is refused whatever is accepted."""
        for algorithms in (jose.ASYMMETRIC, ()):
            self.assertRaises(
                jose.TokenRefused, jose.verify_with, EXAMPLES["A.5"]["token"], [], algorithms, now=NOW
            )
        self.assertRaises(ValueError, jose.verify_with, EXAMPLES["A.5"]["token"], [], ["none"], now=NOW)


class CookbookTests(SynchronousTestCase):
    """RFC 7520 section 4."""

    def test_4_1_to_4_3(self) -> None:
        """Sections 4.1 to 4.3: RS256, PS384 and ES512."""
        for section in ("4.1", "4.2", "4.3"):
            token, key, algorithm = (COOKBOOK[section][member] for member in ("token", "key", "alg"))
            self.assertTrue(verifies(token, key, algorithm), section)
            self.assertFalse(verifies(altered(token), key, algorithm), section)

    def test_4_4(self) -> None:
        """Section 4.4: HS256 is the HMAC that we make."""
        data, _, signature = COOKBOOK["4.4"]["token"].rpartition(".")
        made = hmac.digest(jose.decode(COOKBOOK["4.4"]["secret"]), data.encode(), hashlib.sha256)
        self.assertEqual(jose.encode(made), signature)
