"""JSON Web Encryption: the examples whose algorithms we take (RFC 7520 section 5), and those that are refused."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import jose
from tests.specs.vectors import altered, examples

EXAMPLES = examples("rfc7516")
COOKBOOK = examples("rfc7520")
ALL = (jose.KEY_ENCRYPTION, jose.CONTENT_ENCRYPTION)


class ExampleTests(SynchronousTestCase):
    """RFC 7516 appendix A, RFC 7520 section 5."""

    def test_agreed_keys(self) -> None:
        """RFC 7520 sections 5.4, 5.5: a key agreed upon to wrap another (P-384, A128GCM), or by itself (P-256, CBC)."""
        for section in ("5.4", "5.5"):
            token, key = COOKBOOK[section]["token"], COOKBOOK[section]["key"]
            self.assertEqual(jose.decrypt(token, [key], *ALL).decode(), COOKBOOK["plaintext"])
            refused = self.assertRaises(jose.TokenRefused, jose.decrypt, altered(token), [key], *ALL)
            self.assertEqual(str(refused), "it does not decrypt")

    def test_what_is_not_taken(self) -> None:
        """RSA-OAEP with SHA-1, RSA1_5, AES key wrap, a shared key and a password are refused before any try."""
        left_out = [
            *(EXAMPLES[name] for name in ("A.1", "A.2", "A.3")),
            *(COOKBOOK[section] for section in ("5.1", "5.2", "5.3", "5.6", "5.9")),
        ]
        for example in left_out:
            keys = [example["key"]] if "key" in example else []
            refused = self.assertRaises(jose.TokenRefused, jose.decrypt, example["token"], keys, *ALL)
            self.assertEqual(str(refused), "its algorithm is not accepted")
