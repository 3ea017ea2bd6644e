"""Algorithms as settings name them (RFC 7518 sections 3 and 4, RFC 9864, RFC 9964); what they are is told in
`oauthd.protocol.jose`.

Refused is one that is spelled otherwise, or that the libraries here do not have: it would be named in the metadata, and
nothing signed with it could be verified.
"""

from __future__ import annotations

from typing import Literal

from oauthd.protocol import jose

Signature = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
    "ML-DSA-44", "ML-DSA-65", "ML-DSA-87",
]  # fmt: skip
"""A signature that a public key verifies."""
Decryption = Literal["RSA-OAEP-256", "ECDH-ES"]
"""A kind of key that others encrypt to."""


def signature(value: str) -> None:
    """One that the libraries have."""
    _known(value, jose.ASYMMETRIC)


def signatures(value: tuple[str, ...]) -> None:
    """At least one, none twice."""
    if not value:
        raise ValueError("must name at least one algorithm")
    signatures_if_any(value)


def signatures_if_any(value: tuple[str, ...]) -> None:
    """None twice; there may be none."""
    for name in value:
        signature(name)
    decryptions(value)


def signatures_and_hmacs(value: tuple[str, ...]) -> None:
    """The same with those of shared secrets: at least one, none twice."""
    if not value:
        raise ValueError("must name at least one algorithm")
    for name in value:
        _known(name, jose.SIGNING)
    decryptions(value)


def decryptions(value: tuple[str, ...]) -> None:
    """None twice."""
    if len(set(value)) != len(value):
        raise ValueError("must not name one twice")


def _known(value: str, known: tuple[str, ...]) -> None:
    if value in known:
        return
    if value.startswith("ML-DSA-"):
        raise ValueError(
            f"must be an algorithm that the cryptography library here has, which {value} is not: ML-DSA needs one that "
            "was built with OpenSSL 3.5 or newer"
        )
    raise ValueError(f"must be among {', '.join(known)}, which {value!r} is not")
