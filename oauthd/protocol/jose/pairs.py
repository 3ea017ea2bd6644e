"""Keys of our own (RFC 7517): made, kept as PKCS #8, and shown as public JWKs.

A key is for one algorithm and one use, signing or having things encrypted to it, and is called by its thumbprint (RFC
7638). How it is sealed, when it is shown and when it goes is for `oauthd.keys`. Random numbers are OpenSSL's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field, frozen
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwcrypto.jwk import JWK

from oauthd.protocol.jose.algorithms import ALGORITHMS, RSA_BITS, PrivateKey, PublicKey
from oauthd.protocol.jose.public_keys import thumbprint


@frozen
class KeyPair:
    """A key of our own.

    :ivar public: its public JWK with `kid` (RFC 7638 thumbprint), `use`, and `alg` where it is for a single one.
    :ivar private: PKCS #8 in DER.
    """

    kid: str
    algorithm: str
    public: dict[str, Any]
    private: bytes = field(repr=False)


@frozen
class _Decryption:
    """What a key must be that others encrypt to."""

    family: Mapping[str, str]
    shown: Mapping[str, str]
    generate: Callable[[], PrivateKey]


def _new_rsa() -> PrivateKey:
    return rsa.generate_private_key(65537, RSA_BITS)


def _new_p256() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


_DECRYPTION: Mapping[str, _Decryption] = {
    "RSA-OAEP-256": _Decryption({"kty": "RSA"}, {"use": "enc", "alg": "RSA-OAEP-256"}, _new_rsa),
    # One key for agreeing alone and for agreeing to wrap, so it names none of the three.
    "ECDH-ES": _Decryption({"kty": "EC", "crv": "P-256"}, {"use": "enc"}, _new_p256),
}
DECRYPTION: Final = tuple(_DECRYPTION)
"""The kinds of keys that others may encrypt to."""


def generate(algorithm: str) -> KeyPair:
    """A fresh key for one algorithm, of signatures or of `DECRYPTION`; RSA takes long enough to belong in a thread.

    :raises ValueError: for an algorithm that is none of ours.
    """
    key = _row(algorithm).generate()
    public = public_jwk(key.public_key(), algorithm)
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(public["kid"], algorithm, public, private)


def load(private: bytes) -> PrivateKey:
    """A private key as `generate` gave it; RSA ones are checked, which takes tens of milliseconds.

    :raises ValueError: when it is none.
    """
    key = serialization.load_der_private_key(private, None)
    if not isinstance(key, PrivateKey):
        raise ValueError("not a key of ours")
    return key


def public_jwk(key: PublicKey, algorithm: str) -> dict[str, Any]:
    """A public key as JWK, called by its thumbprint.

    :raises ValueError: when the key is not one for that algorithm.
    """
    row = _row(algorithm)
    jwk: dict[str, Any] = JWK.from_pyca(key).export_public(as_dict=True)
    jwk.pop("kid", None)
    if any(jwk.get(member) != value for member, value in row.family.items()):
        raise ValueError("the key is not one for this algorithm")
    shown = row.shown if isinstance(row, _Decryption) else {"use": "sig", "alg": algorithm}
    return {**jwk, "kid": thumbprint(jwk), **shown}


def private_jwk(key: PrivateKey) -> Mapping[str, Any]:
    """A private key for `decrypt`, ready for use; as slow as `load`. Its repr shows nothing private."""
    jwk = JWK.from_pyca(key)
    jwk["kid"] = thumbprint(jwk)
    jwk.get_op_key("unwrapKey")
    return jwk


def _row(algorithm: str) -> Any:
    found = _DECRYPTION.get(algorithm) or ALGORITHMS.get(algorithm)
    if found is None:
        raise ValueError("not one of our algorithms")
    return found
