"""Clients that sign: keys of their own, and assertions, good and bad; by `cryptography` alone, not by the server."""

from __future__ import annotations

import base64
import hmac
import itertools
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from attrs import field, frozen
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SHA256 = hashes.SHA256()
_PSS = padding.PSS(padding.MGF1(_SHA256), 32)
_numbers = itertools.count()


def b64(octets: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value: int, octets: int) -> str:
    """A number as JWKs hold it."""
    return b64(value.to_bytes(octets, "big"))


@frozen
class Key:
    """A key that signs.

    :ivar private: of `cryptography`, or the octets of a secret.
    """

    algorithm: str
    kid: str
    private: Any = field(repr=False)

    @property
    def jwk(self) -> dict[str, Any]:
        """Its public half."""
        key = self.private
        if isinstance(key, rsa.RSAPrivateKey):
            numbers = key.public_key().public_numbers()
            members = {"kty": "RSA", "n": number(numbers.n, 256), "e": number(numbers.e, 3)}
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            point = key.public_key().public_numbers()
            members = {"kty": "EC", "crv": "P-256", "x": number(point.x, 32), "y": number(point.y, 32)}
        else:
            members = {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}
        return {**members, "kid": self.kid, "use": "sig"}

    def signs(self, data: bytes) -> bytes:
        """The signature."""
        key = self.private
        if isinstance(key, bytes):
            return hmac.digest(key, data, "sha256")
        if isinstance(key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(_SHA256)))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(data, _PSS if self.algorithm == "PS256" else padding.PKCS1v15(), _SHA256)
        signature: bytes = key.sign(data)
        return signature

    def token(self, claims: Mapping[str, Any], **header: Any) -> str:
        """A token with these claims; a member of the header that is None is left out."""
        members: dict[str, Any] = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT"} | header
        head = {name: value for name, value in members.items() if value is not None}
        data = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
        return f"{data}.{b64(self.signs(data.encode()))}"


@cache
def key(algorithm: str = "ES256", kid: str = "one") -> Key:
    """A key, made once in a process."""
    private: Any
    if algorithm in ("RS256", "PS256"):
        private = rsa.generate_private_key(65537, 2048)
    elif algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        private = ed25519.Ed25519PrivateKey.generate()
    return Key(algorithm, kid, private)


def key_set(*keys: Key) -> dict[str, Any]:
    """Their public halves."""
    return {"keys": [one.jwk for one in keys]}


def claims(client_id: str, audience: Any, now: float, **more: Any) -> dict[str, Any]:
    """What an assertion says; a claim that is None is left out."""
    usual = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": int(now),
        "exp": int(now) + 60,
        "jti": f"jti-{next(_numbers)}",
    }
    return {name: value for name, value in (usual | more).items() if value is not None}


def form(assertion: str, **more: str) -> dict[str, str]:
    """The parameters that carry an assertion."""
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion} | more
