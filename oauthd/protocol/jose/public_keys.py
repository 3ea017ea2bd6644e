"""Public keys as JWKs (RFC 7517, 7518 section 6, 8037 section 2, 9964 section 3) and their thumbprints (RFC 7638).

A key is read strictly and within bounds, since others choose it: coordinates of exactly the curve's length, points that
lie on it, RSA moduli from 2048 to 8192 bits with small odd exponents, so that nobody makes us compute for long. A key
has one spelling alone, so that it has one thumbprint: no zeros in front of a number, no coordinate above the field.
Keys that were read are remembered, a bounded number of them.

Refused is a JWK with private members where a public one belongs, every other type of key, and the points of Ed25519 for
which anybody can sign. Where a key comes from, and whether it may be believed, is for the caller.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa, x25519

from oauthd.protocol.jose.algorithms import ALGORITHMS, RSA_BITS, SAME, MldsaPublicKey, PublicKey, rules
from oauthd.protocol.jose.segments import TokenRefused, decode, encode
from oauthd.protocol.json_text import text

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    # RFC 7638 section 3.2, RFC 8037 section 2, RFC 9964 section 6: in the order of their names.
    "EC": ("crv", "kty", "x", "y"),
    "RSA": ("e", "kty", "n"),
    "OKP": ("crv", "kty", "x"),
    "AKP": ("alg", "kty", "pub"),
}
PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
"""Members that no public key has (RFC 7518 section 6, RFC 9964 section 3)."""
_CURVES: Mapping[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_MLDSA: Mapping[str, type[MldsaPublicKey]] = {
    "ML-DSA-44": mldsa.MLDSA44PublicKey,
    "ML-DSA-65": mldsa.MLDSA65PublicKey,
    "ML-DSA-87": mldsa.MLDSA87PublicKey,
}
MOST_RSA_BITS: Final = 8192
_MOST_EXPONENT = 2**32  # a large one costs as much as a signature; other libraries stop at 31 to 33 bits, too
_ED25519_PRIME = 2**255 - 19
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _ED25519_PRIME - 1,
        # Those of order eight.
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        _ED25519_PRIME - 2707385501144840649318225287225658788936804267575313519463743609750303402022,
    }
)
"""The y of points that have eight multiples at most (RFC 8032 section 5.1): one signature can fit every message."""
_REMEMBERED = 512


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The SHA-256 thumbprint of a key, public or private (RFC 7638 section 3).

    :raises TokenRefused: when it lacks a member, or is of a type that we do not know.
    """
    names = _REQUIRED.get(str(jwk.get("kty")), ())
    found = {name: jwk.get(name) for name in names}
    if not found or not all(isinstance(value, str) for value in found.values()):
        raise TokenRefused("a key lacks what a key of its type has")
    return encode(hashlib.sha256(text(found).encode("utf-8", "surrogatepass")).digest())


def fits(jwk: Mapping[str, Any], algorithm: str) -> bool:
    """Is it, by what it says of itself, a key to verify this algorithm with?"""
    made_for, operations = jwk.get("alg", algorithm), jwk.get("key_ops", ("verify",))
    same = made_for == algorithm or (isinstance(made_for, str) and {made_for, algorithm} <= SAME)
    # RFC 7517 sections 4.2 to 4.4.
    allowed = jwk.get("use", "sig") == "sig" and isinstance(operations, list | tuple) and "verify" in operations
    return same and allowed and all(jwk.get(name) == value for name, value in rules(algorithm).family.items())


def public_key(jwk: Mapping[str, Any]) -> PublicKey:
    """The key that a JWK stands for.

    :raises TokenRefused: when it is none that we verify with.
    """
    key = read_key(jwk)
    if isinstance(key, x25519.X25519PublicKey):
        raise TokenRefused("a key is not one that we verify with")
    return key


def read_key(jwk: Mapping[str, Any]) -> PublicKey | x25519.X25519PublicKey:
    """The same of a key that verifies or that is encrypted to.

    :raises TokenRefused: when it is of no type that we know, or not spelled as it must be.
    """
    if not PRIVATE.isdisjoint(jwk):
        raise TokenRefused("a private key is given where a public one belongs")
    names = _REQUIRED.get(str(jwk.get("kty")), ())
    values = tuple(jwk.get(name) for name in names)
    if not values or not all(isinstance(value, str) for value in values):
        raise TokenRefused("a key lacks what a key of its type has")
    return _read(*values)


@lru_cache(_REMEMBERED)
def _read(*values: str) -> PublicKey | x25519.X25519PublicKey:
    try:
        match values:
            case (crv, "EC", x, y):
                return _ec(crv, _octets(x), _octets(y))
            case (e, "RSA", n):
                return _rsa(_octets(n), _octets(e))
            case ("Ed25519", "OKP", x):
                return _ed25519(_octets(x))
            case ("X25519", "OKP", x):
                return x25519.X25519PublicKey.from_public_bytes(_octets(x))
            case (alg, "AKP", pub) if alg in ALGORITHMS:
                return _MLDSA[alg].from_public_bytes(_octets(pub))
    except (ValueError, KeyError):
        pass
    raise TokenRefused("a key is not one that we know, or not spelled as it must be")


def _octets(text: str) -> bytes:
    try:
        return decode(text)
    except TokenRefused:
        raise ValueError from None


def _number(octets: bytes) -> int:
    """RFC 7518 section 2, Base64urlUInt: as few octets as there can be; by another spelling it were another key."""
    if not octets[0]:
        raise TokenRefused("a number of an RSA key has zeros in front")
    return int.from_bytes(octets, "big")


def _ec(crv: str, x: bytes, y: bytes) -> PublicKey:
    curve = _CURVES[crv]
    if not len(x) == len(y) == (curve.key_size + 7) // 8:  # RFC 7518 section 6.2.1.2
        raise ValueError
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve)
    key = numbers.public_key()  # ValueError for a point that is not on the curve
    if key.public_numbers() != numbers:  # one above the field, which the library takes and reduces
        raise ValueError
    return key


def _ed25519(octets: bytes) -> PublicKey:
    y = int.from_bytes(octets, "little") % 2**255  # the last bit is the sign of x
    if y >= _ED25519_PRIME or y in _SMALL_ORDER:  # RFC 8032 section 5.1.3: a second spelling decodes to nothing
        raise ValueError
    return ed25519.Ed25519PublicKey.from_public_bytes(octets)


def _rsa(n: bytes, e: bytes) -> PublicKey:
    modulus, exponent = _number(n), _number(e)
    if not RSA_BITS <= modulus.bit_length() <= MOST_RSA_BITS:  # RFC 7518 section 3.3
        raise TokenRefused("an RSA key is too short or too long")
    if not (modulus % 2 and exponent % 2 and 2 < exponent < _MOST_EXPONENT):
        raise ValueError
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()
