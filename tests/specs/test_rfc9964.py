"""ML-DSA in JOSE (RFC 9964), by the examples of its appendix A."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import mldsa
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import jose
from oauthd.protocol.json_text import text
from tests.specs.vectors import altered, examples, verifies

EXAMPLES = examples("rfc9964")
NAMES = ("ML-DSA-44", "ML-DSA-65", "ML-DSA-87")
PRIVATE: dict[str, Any] = {
    "ML-DSA-44": mldsa.MLDSA44PrivateKey,
    "ML-DSA-65": mldsa.MLDSA65PrivateKey,
    "ML-DSA-87": mldsa.MLDSA87PrivateKey,
}


class MldsaTests(SynchronousTestCase):
    """Everything that is signed with ML-DSA."""

    if not set(NAMES) <= set(jose.ASYMMETRIC):
        skip = "the cryptography library here was built without ML-DSA"

    def setUp(self) -> None:
        """The keys of the examples: the seed is all zeros (section 4)."""
        self.keys = {
            name: jose.public_jwk(PRIVATE[name].from_seed_bytes(bytes(32)).public_key(), name) for name in NAMES
        }

    def test_section_3_and_6_keys(self) -> None:
        """Sections 3 and 6: type AKP with the algorithm always there; the thumbprint is over alg, kty and pub."""
        for name, key in self.keys.items():
            self.assertEqual((key["kty"], key["alg"]), ("AKP", name))
            self.assertEqual(jose.thumbprint({n: key[n] for n in ("kty", "alg", "pub")}), EXAMPLES[name]["kid"])
            self.assertEqual(key["kid"], EXAMPLES[name]["kid"])

    def test_appendix_a_signatures(self) -> None:
        """Appendix A.1: each verifies, and not when a character differs."""
        for name, key in self.keys.items():
            self.assertTrue(verifies(EXAMPLES[name]["token"], key, name))
            self.assertFalse(verifies(altered(EXAMPLES[name]["token"]), key, name))

    def test_own_tokens(self) -> None:
        """Section 5: what we sign with a fresh key verifies, within the length that a token may have."""
        for name in NAMES:
            pair = jose.generate(name)
            signer = jose.Signer(jose.load(pair.private), name, pair.kid)
            self.assertTrue(signer.slow)
            token = signer.sign({"iss": "me", "exp": 10})
            self.assertEqual(jose.verify(token, [pair.public], [name], issuer="me", now=0)["iss"], "me")
            self.assertEqual(jose.at_hash("token", name), "")  # no specification names the hash

    def test_proof_that_brings_its_key(self) -> None:
        """A proof with its key in the header is as large as it gets, and still read."""
        key = mldsa.MLDSA87PrivateKey.generate()
        public = {n: jose.public_jwk(key.public_key(), "ML-DSA-87")[n] for n in ("kty", "alg", "pub")}
        header = {"alg": "ML-DSA-87", "typ": "dpop+jwt", "jwk": public}
        data = ".".join(jose.encode(text(part).encode()) for part in (header, {"jti": "1"}))
        token = f"{data}.{jose.encode(key.sign(data.encode()))}"
        self.assertEqual(jose.verify_embedded(token, NAMES, "dpop+jwt")[0], public)

    def test_section_7_3_and_7_4_wrong_keys(self) -> None:
        """Sections 3, 7.3 and 7.4: keys of another length or algorithm, without one, and private ones are refused."""
        key, token = self.keys["ML-DSA-44"], EXAMPLES["ML-DSA-44"]["token"]
        for changed in (
            {"pub": key["pub"][:-4]},
            {"pub": self.keys["ML-DSA-65"]["pub"]},
            {"alg": "ML-DSA-65"},
            {"alg": "ES256"},
            {"alg": None},
            {"priv": jose.encode(bytes(32))},
        ):
            self.assertRaises(jose.TokenRefused, verifies, token, key | changed, "ML-DSA-44")
        self.assertFalse(jose.fits(key, "ML-DSA-65"))
