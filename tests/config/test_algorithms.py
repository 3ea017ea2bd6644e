"""Algorithms as settings name them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from oauthd.config import Settings, SettingsError, load
from oauthd.protocol import jose

SETTINGS = (
    "OAUTHD_DPOP_ALGORITHMS",
    "OAUTHD_AUTHENTICATION_ALGORITHMS",
    "OAUTHD_KEYS_ALGORITHMS",
    "OAUTHD_TOKENS_ACCESS_ALGORITHM",
    "OAUTHD_TOKENS_ID_TOKEN_ALGORITHM",
)


class AlgorithmTests(SynchronousTestCase):
    """Every setting that names signatures."""

    def refused(self, variable: str, value: str) -> str:
        """Why a value is refused."""
        return str(self.assertRaises(SettingsError, load, None, {variable: value}, {}))

    def test_what_the_library_lacks(self) -> None:
        """ML-DSA is refused at start, with what it needs, where the library has none: nothing names what cannot be
        verified.
        """
        without = tuple(name for name in jose.ASYMMETRIC if not name.startswith("ML-DSA"))
        self.patch(jose, "ASYMMETRIC", without)
        self.patch(jose, "SIGNING", without + jose.HMAC)
        for variable in SETTINGS:
            self.assertIn("OpenSSL 3.5", self.refused(variable, "ML-DSA-44"))

    def test_none_twice(self) -> None:
        """A list names each once; that of proofs may be empty, which says that there are none."""
        for variable in SETTINGS[:3]:
            self.assertIn("must not name one twice", self.refused(variable, "ES256,ES256"))
            self.assertIn("must ", self.refused(variable, "ES256,none"))
        self.assertEqual(load(None, {"OAUTHD_DPOP_ALGORITHMS": ""}, {}).dpop.algorithms, ())

    def test_defaults(self) -> None:
        """What is on by default needs no new library."""
        defaults = Settings()
        for names in (defaults.dpop.algorithms, defaults.authentication.algorithms, defaults.keys.algorithms):
            self.assertFalse([name for name in names if name.startswith("ML-DSA")])

    def test_where_the_library_has_it(self) -> None:
        """There each setting takes it."""
        if "ML-DSA-44" not in jose.ASYMMETRIC:
            self.skipTest("the cryptography library here was built without ML-DSA")
        for variable in SETTINGS[:2]:
            section = variable.split("_")[1].lower()
            self.assertEqual(getattr(load(None, {variable: "ML-DSA-44"}, {}), section).algorithms, ("ML-DSA-44",))
