"""Keys that clients register with themselves."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from jwcrypto.jwk import JWK
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.jose import decode, encode
from oauthd.protocol.key_sets import LONGEST, MOST, PRIVATE, KeySet, flaw
from oauthd.protocol.schemas import Problems

RSA = JWK.generate(kty="RSA", size=2048)
EC = JWK.generate(kty="EC", crv="P-256")
ED = JWK.generate(kty="OKP", crv="Ed25519")


def public(key: JWK, **more: Any) -> dict[str, Any]:
    """The public members of a key, and others."""
    exported: dict[str, Any] = key.export_public(as_dict=True)
    return exported | more


class FormTests(SynchronousTestCase):
    """What a set looks like."""

    def read(self, value: object) -> tuple[dict[str, Any], Problems]:
        """What is read of a value, and what is wrong; a validator that is not ours agrees on whether anything is."""
        problems: Problems = {}
        found = KeySet().read(value, "jwks", problems)
        self.assertEqual(Draft202012Validator(KeySet().document()).is_valid(value), not problems, value)
        return found, problems

    def test_public_keys(self) -> None:
        """Public keys are kept, with what they say of themselves; members that say nothing here are dropped."""
        keys = [public(RSA, use="sig", alg="RS256"), public(EC, key_ops=["verify"]), public(ED)]
        found, problems = self.read({"keys": [keys[0] | {"iat": 1}, *keys[1:]], "more": 1})
        self.assertEqual((found, problems), ({"keys": keys}, {}))

    def test_private_members(self) -> None:
        """No member of a private or symmetric key is taken, of whichever type the key says it is."""
        for name in PRIVATE:
            for key in (RSA, EC, ED):
                _, problems = self.read({"keys": [public(key, **{name: "AQAB"})]})
                self.assertEqual(list(problems), [f"jwks.keys.0.{name}"])
        for key in (RSA, EC, ED, JWK.generate(kty="oct", size=256)):
            self.assertTrue(self.read({"keys": [key.export(as_dict=True)]})[1])

    def test_no_sets(self) -> None:
        """What is no set of keys, or too many, is refused."""
        many = [public(EC)] * (MOST + 1)
        odd: list[Any] = [[], "x", None, {}, {"keys": []}, {"keys": {}}, {"keys": ["x"]}, {"keys": [{}]}]
        for value in (*odd, {"keys": many}):
            self.assertTrue(self.read(value)[1], value)

    def test_missing_and_odd(self) -> None:
        """A key lacks nothing that its type has, and holds base64url."""
        for key in (
            {"kty": "RSA", "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "x": "AA"},
            {"kty": "OKP", "x": "AA"},
            {"kty": "AKP", "pub": "AA"},
            public(EC, x="a+b"),
            public(EC, x=5),
            public(EC, kid=5),
            public(EC, key_ops="verify"),
        ):
            self.assertTrue(self.read({"keys": [key]})[1], key)


class FlawTests(SynchronousTestCase):
    """Whether the keys are keys."""

    def test_good(self) -> None:
        """Keys of every type that can be used here."""
        keys = [*map(public, (RSA, EC, ED)), public(JWK.generate(kty="OKP", crv="X25519"))]
        keys += [public(JWK.generate(kty="EC", crv=crv)) for crv in ("P-384", "P-521")]
        keys.append({"kty": "AKP", "alg": "ML-DSA-44", "pub": "A" * 1750 + "AA"[: (1312 * 4 + 2) // 3 - 1750]})
        self.assertEqual(flaw({"keys": keys}), "")

    def test_bad(self) -> None:
        """Weak keys, keys too long to verify with, points that are on no curve, unknown curves, short keys."""
        huge = "_" * (10000 // 6) + "f"
        for key in (
            public(JWK.generate(kty="RSA", size=1024)),
            public(RSA, n=huge),
            public(RSA, e="AQ"),
            public(RSA, e="_" * 400),
            public(RSA, n=public(RSA)["n"][:-1] + "A"),  # an even modulus
            public(RSA, n=encode(b"\0" + decode(public(RSA)["n"]))),
            public(RSA, e="AAEAAQ"),
            public(RSA, e="AQAB" + "A" * 4),  # 2**40 and more
            public(EC, y=public(EC)["x"]),
            public(EC, crv="secp256k1"),
            public(EC, crv="P-384"),
            public(ED, x="AA"),
            public(ED, x=encode(bytes(32))),  # a point of small order
            public(ED, crv="Ed448"),
            {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
            {"kty": "AKP", "alg": "X", "pub": "AA"},
        ):
            self.assertIn("key 1 ", flaw({"keys": [public(EC), key]}), key)

    def test_large(self) -> None:
        """A set has an end, however few keys are in it."""
        self.assertIn(str(LONGEST), flaw({"keys": [public(EC, x5c=["A" * 8000] * 3)]}))
