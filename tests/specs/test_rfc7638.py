"""JWK thumbprints: the example, and what goes into one (sections 3.1 to 3.3)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from jwcrypto.jwk import JWK
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import jose

EXAMPLE = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
    "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
    "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
    "kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


def _ec(crv: str, x: int, y: int, octets: int) -> dict[str, str]:
    """A point with coordinates of that length."""
    return {"kty": "EC", "crv": crv} | {n: jose.encode(v.to_bytes(octets, "big")) for n, v in (("x", x), ("y", y))}


class ThumbprintTests(SynchronousTestCase):
    """Section 3."""

    def test_section_3_1_example(self) -> None:
        """Section 3.1: the key of the example has the thumbprint that stands there."""
        self.assertEqual(jose.thumbprint(EXAMPLE), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")

    def test_section_3_2_required_members_alone(self) -> None:
        """Sections 3.2, 3.2.1: order and optional members change nothing; a private key has its public key's."""
        turned = dict(reversed(EXAMPLE.items())) | {"use": "sig", "d": "AAAA", "x5c": ["x"]}
        del turned["alg"], turned["kid"]
        self.assertEqual(jose.thumbprint(turned), jose.thumbprint(EXAMPLE))

    def test_another_library(self) -> None:
        """jwcrypto finds the same for a key of each kind."""
        for algorithm in (*jose.ASYMMETRIC, *jose.DECRYPTION):
            public = jose.generate(algorithm).public
            self.assertEqual(jose.thumbprint(public), JWK(**public).thumbprint(), algorithm)

    def test_section_3_2_1_one_spelling(self) -> None:
        """A key that is taken has one thumbprint: zeros in front of a number, coordinates above the field, which the
        library reduces, and other spellings of base64url are refused (RFC 7518 sections 2, 6.2.1.2 and 6.3.1.1).
        """
        modulus = jose.decode(EXAMPLE["n"])
        x, y = 5, 31468013646237722594854082025316614106172411895747863909393730389177298123724
        p256, p521 = 2**256 - 2**224 + 2**192 + 2**96 - 1, 2**521 - 1
        point = ec.derive_private_key(7, ec.SECP521R1()).public_key().public_numbers()
        good = [EXAMPLE, _ec("P-256", x, y, 32), _ec("P-521", point.x, point.y, 66)]
        for key in good:
            jose.public_key(key)
        for key in (
            EXAMPLE | {"n": jose.encode(b"\0" + modulus)},
            EXAMPLE | {"n": jose.encode(bytes(9) + modulus)},
            EXAMPLE | {"e": "AAEAAQ"},
            EXAMPLE | {"e": "AQAB="},
            EXAMPLE | {"e": "AQB"},  # slack bits
            _ec("P-256", x + p256, y, 32),
            _ec("P-256", x, y, 33),
            _ec("P-521", point.x + p521, point.y, 66),
            _ec("P-521", point.x, point.y + p521, 66),
            _ec("P-521", point.x, point.y, 67),
        ):
            self.assertRaises(jose.TokenRefused, jose.public_key, key)
            self.assertNotIn(jose.thumbprint(key), map(jose.thumbprint, good))

    def test_what_is_no_key(self) -> None:
        """A member that is missing or no string, a type that is not known, a secret: none has a thumbprint here."""
        for key in ({}, {"kty": "RSA", "e": "AQAB"}, {**EXAMPLE, "n": 5}, {"kty": "oct", "k": "AAAA"}, {"kty": ["EC"]}):
            self.assertRaises(jose.TokenRefused, jose.thumbprint, key)
