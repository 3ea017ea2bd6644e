"""The signature algorithms (RFC 7518 section 3, 8037 section 3.1, 9864 section 2, 9964 section 5), as one table.

A row says what a key must be, how long a signature is, and how to make and check one with `cryptography`. HMAC stands
apart: its key is a secret, so that no public key is ever a key for it (RFC 8725 section 3.1). `none` is not here, nor
are Ed448, secp256k1 and RSA with SHA-1.

RSA and ML-DSA are `slow`: a signature takes a millisecond, and belongs in a thread. Random numbers for keys and
signatures are OpenSSL's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

MldsaPrivateKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
MldsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | MldsaPrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey | MldsaPublicKey

RSA_BITS: Final = 2048


@frozen
class Algorithm:
    """What a JWS algorithm needs.

    :ivar family: members that its public keys have, with their values.
    :ivar octets: length of a signature; None for that of the modulus.
    :ivar digest: the hash within the signature, for `at_hash`.
    :ivar slow: signing belongs in a thread.
    :ivar verify: key, signature and what was signed; raises `InvalidSignature`.
    """

    family: Mapping[str, str]
    octets: int | None
    digest: str
    slow: bool
    generate: Callable[[], PrivateKey]
    sign: Callable[[Any, bytes], bytes]
    verify: Callable[[Any, bytes, bytes], None]


def _ecdsa(crv: str, curve: ec.EllipticCurve, digest: hashes.HashAlgorithm) -> Algorithm:
    size = (curve.key_size + 7) // 8
    method = ec.ECDSA(digest)

    def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
        # RFC 7518 section 3.4: r and s, each as long as the field. Cut out of SEQUENCE { INTEGER r, INTEGER s }, which
        # OpenSSL writes in DER, so that nothing is turned into a number and back.
        der = key.sign(data, method)
        at = 2 if der[1] < 0x80 else 3
        end = at + 2 + der[at + 1]
        return der[at + 2 : end][-size:].rjust(size, b"\0") + der[end + 2 :][-size:].rjust(size, b"\0")

    def verify(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> None:
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(r, s), data, method)

    def generate() -> PrivateKey:
        return ec.generate_private_key(curve)

    return Algorithm({"kty": "EC", "crv": crv}, 2 * size, digest.name, False, generate, sign, verify)


def _rsa(scheme: padding.AsymmetricPadding, digest: hashes.HashAlgorithm) -> Algorithm:
    def sign(key: rsa.RSAPrivateKey, data: bytes) -> bytes:
        return key.sign(data, scheme, digest)

    def verify(key: rsa.RSAPublicKey, signature: bytes, data: bytes) -> None:
        key.verify(signature, data, scheme, digest)

    def generate() -> PrivateKey:
        return rsa.generate_private_key(65537, RSA_BITS)

    return Algorithm({"kty": "RSA"}, None, digest.name, True, generate, sign, verify)


def _pkcs1(digest: hashes.HashAlgorithm) -> Algorithm:
    return _rsa(padding.PKCS1v15(), digest)


def _pss(digest: hashes.HashAlgorithm) -> Algorithm:
    # RFC 7518 section 3.5: the salt is as long as the digest.
    return _rsa(padding.PSS(padding.MGF1(digest), digest.digest_size), digest)


def _ed25519() -> Algorithm:
    def sign(key: ed25519.Ed25519PrivateKey, data: bytes) -> bytes:
        return key.sign(data)  # RFC 8037 section 3.1

    def verify(key: ed25519.Ed25519PublicKey, signature: bytes, data: bytes) -> None:
        key.verify(signature, data)

    # Ed25519 hashes with SHA-512, and so does its at_hash.
    return Algorithm(
        {"kty": "OKP", "crv": "Ed25519"}, 64, "sha512", False, ed25519.Ed25519PrivateKey.generate, sign, verify
    )


def _mldsa(name: str, octets: int, generate: Callable[[], PrivateKey]) -> Algorithm:
    def sign(key: Any, data: bytes) -> bytes:
        signature: bytes = key.sign(data)  # RFC 9964 section 5: ML-DSA itself, with an empty context
        return signature

    def verify(key: Any, signature: bytes, data: bytes) -> None:
        key.verify(signature, data)

    return Algorithm({"kty": "AKP", "alg": name}, octets, "", True, generate, sign, verify)


def _mldsa_works() -> bool:
    try:
        mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    except UnsupportedAlgorithm:  # an OpenSSL before 3.5
        return False
    return True


_SHA256, _SHA384, _SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()
_MLDSA: Mapping[str, Algorithm] = {
    "ML-DSA-44": _mldsa("ML-DSA-44", 2420, mldsa.MLDSA44PrivateKey.generate),
    "ML-DSA-65": _mldsa("ML-DSA-65", 3309, mldsa.MLDSA65PrivateKey.generate),
    "ML-DSA-87": _mldsa("ML-DSA-87", 4627, mldsa.MLDSA87PrivateKey.generate),
}
ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "RS256": _pkcs1(_SHA256),
    "ES256": _ecdsa("P-256", ec.SECP256R1(), _SHA256),
    "EdDSA": _ed25519(),
    "PS256": _pss(_SHA256),
    "RS384": _pkcs1(_SHA384),
    "RS512": _pkcs1(_SHA512),
    "PS384": _pss(_SHA384),
    "PS512": _pss(_SHA512),
    "ES384": _ecdsa("P-384", ec.SECP384R1(), _SHA384),
    "ES512": _ecdsa("P-521", ec.SECP521R1(), _SHA512),
    "Ed25519": _ed25519(),  # RFC 9864 section 2.2: what EdDSA means with this curve, by a name that says so
    **(_MLDSA if _mldsa_works() else {}),
}
"""Every asymmetric algorithm that there is here."""
HMACS: Final[Mapping[str, str]] = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
"""The hash of each HMAC algorithm (RFC 7518 section 3.2)."""
SAME: Final = frozenset({"EdDSA", "Ed25519"})
"""Two names of one signature, for keys of this curve: a key that was made for one is a key for the other."""


def rules(algorithm: str) -> Algorithm:
    """The row of an algorithm.

    :raises ValueError: for one that is none of ours, HMAC and `none` included.
    """
    found = ALGORITHMS.get(algorithm)
    if found is None:
        raise ValueError("not one of our signature algorithms")
    return found


__all__ = [
    "ALGORITHMS",
    "HMACS",
    "RSA_BITS",
    "SAME",
    "Algorithm",
    "InvalidSignature",
    "PrivateKey",
    "PublicKey",
    "rules",
]
