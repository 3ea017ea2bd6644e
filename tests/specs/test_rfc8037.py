"""Ed25519 in JOSE, by its examples; and `Ed25519` of RFC 9864, which is the same signature under a plainer name."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import jose
from oauthd.protocol.jose.algorithms import rules
from tests.specs.vectors import altered, verifies

PRIVATE = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
PUBLIC = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
TOKEN = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)


class ExampleTests(SynchronousTestCase):
    """Appendix A."""

    def setUp(self) -> None:
        """The private key of A.1."""
        self.key = ed25519.Ed25519PrivateKey.from_private_bytes(jose.decode(PRIVATE))

    def test_a_2_public_key(self) -> None:
        """A.1, A.2: the public key that belongs to the private one."""
        shown = jose.public_jwk(self.key.public_key(), "EdDSA")
        self.assertEqual({name: shown[name] for name in PUBLIC}, PUBLIC)

    def test_a_3_thumbprint(self) -> None:
        """A.3: its thumbprint, which is the kid of a key of ours; the private key has the same."""
        self.assertEqual(jose.thumbprint(PUBLIC), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
        self.assertEqual(jose.thumbprint({**PUBLIC, "d": PRIVATE}), jose.thumbprint(PUBLIC))
        self.assertEqual(jose.public_jwk(self.key.public_key(), "EdDSA")["kid"], jose.thumbprint(PUBLIC))

    def test_a_4_signing(self) -> None:
        """A.4: the same octets give the same signature."""
        data, _, signature = TOKEN.rpartition(".")
        self.assertEqual(jose.encode(rules("EdDSA").sign(self.key, data.encode())), signature)

    def test_a_5_validation(self) -> None:
        """A.5: it verifies, and not when a character differs."""
        self.assertTrue(verifies(TOKEN, PUBLIC, "EdDSA"))
        self.assertFalse(verifies(altered(TOKEN), PUBLIC, "EdDSA"))

    def test_section_2_other_curves(self) -> None:
        """Sections 2, 3.1: Ed448 is not among ours, and a key to agree with (X25519) verifies nothing."""
        for crv in ("Ed448", "X25519", "X448", "P-256"):
            self.assertRaises(jose.TokenRefused, jose.public_key, {**PUBLIC, "crv": crv})
            self.assertFalse(jose.fits({**PUBLIC, "crv": crv}, "EdDSA"))


class FullySpecifiedTests(SynchronousTestCase):
    """RFC 9864 section 2.2."""

    def token(self, algorithm: str) -> str:
        """A token under one of the names."""
        key = ed25519.Ed25519PrivateKey.from_private_bytes(jose.decode(PRIVATE))
        return jose.Signer(key, algorithm, "k").sign({"exp": 10})

    def read(self, token: str, key: dict[str, Any], *algorithms: str) -> str:
        """The name under which it was signed."""
        return str(jose.verify_with(token, [{**key, "kid": "k"}], algorithms, now=0)[0]["alg"])

    def test_two_names(self) -> None:
        """A key that was made for one name verifies both; which of them are accepted is still the reader's to say."""
        for algorithm in ("EdDSA", "Ed25519"):
            for made_for in ({}, {"alg": "EdDSA"}, {"alg": "Ed25519"}):
                self.assertEqual(self.read(self.token(algorithm), PUBLIC | made_for, "EdDSA", "Ed25519"), algorithm)
        self.assertRaises(jose.TokenRefused, self.read, self.token("EdDSA"), PUBLIC, "Ed25519")
        self.assertRaises(jose.TokenRefused, self.read, self.token("Ed25519"), PUBLIC, "EdDSA")

    def test_header(self) -> None:
        """The header says the name of the key's algorithm."""
        header, _ = jose.peek(self.token("Ed25519"))
        self.assertEqual(json.dumps(header), '{"alg": "Ed25519", "typ": "JWT", "kid": "k"}')
