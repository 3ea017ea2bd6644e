"""Signing tokens with our own keys, or with a secret that is shared with a client (RFC 7515 section 5.1).

The header is prepared once for each key and type, claims become compact JSON, and `cryptography` signs. Elliptic curves
take some tens of microseconds and may run anywhere; RSA and ML-DSA are `slow` and belong in a thread.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from oauthd.protocol.jose.algorithms import HMACS, PrivateKey, rules
from oauthd.protocol.jose.segments import encode, encoded
from oauthd.protocol.json_text import text

_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Signer:
    """Signs with one key, under headers prepared once.

    :ivar slow: `signature` is to be called in a thread, and nothing else there: what a thread does in Python holds up
        all the others.
    """

    __slots__ = ("_encoded", "_key", "_sign", "algorithm", "kid", "slow", "typ")

    def __init__(self, key: PrivateKey, algorithm: str, kid: str, typ: str = "JWT") -> None:
        rule = rules(algorithm)
        self.algorithm = algorithm
        self.kid = kid
        self.typ = typ
        self.slow = rule.slow
        self._key = key
        self._sign = rule.sign
        self._encoded = head(algorithm, typ, kid) + b"."

    def __repr__(self) -> str:
        return f"<Signer {self.algorithm} {self.kid} {self.typ}>"

    def typed(self, typ: str) -> Signer:
        """The same key under another `typ` (RFC 8725 section 3.11)."""
        return Signer(self._key, self.algorithm, self.kid, typ)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The token.

        :raises ValueError, TypeError: for claims that JSON cannot hold.
        """
        data = self.unsigned(claims)
        return self.signed(data, self._sign(self._key, data))

    def unsigned(self, claims: Mapping[str, Any]) -> bytes:
        """What is to be signed (RFC 7515 section 5.1, the signing input).

        :raises ValueError, TypeError: for claims that JSON cannot hold.
        """
        return self._encoded + encoded(text(claims).encode())

    def signature(self, data: bytes) -> bytes:
        """The signature over what is `unsigned`."""
        return self._sign(self._key, data)

    def signed(self, data: bytes, signature: bytes) -> str:
        """The token that the two make."""
        return (data + b"." + encoded(signature)).decode("ascii")


def head(algorithm: str, typ: str, kid: str) -> bytes:
    """The header of a token that a key signs, as it is written: the first of its three parts."""
    return encoded(_compact({"alg": algorithm, "typ": typ, "kid": kid}).encode())


def sign_hmac(claims: Mapping[str, Any], secret: bytes, algorithm: str, typ: str = "JWT") -> str:
    """A token signed with a client's secret (OpenID Connect Core section 10.1), for a client that registered that.

    :raises ValueError: for an algorithm that is no HMAC, or a secret too short for it (RFC 7518 section 3.2).
    """
    digest = HMACS.get(algorithm)
    if digest is None or len(secret) < hashlib.new(digest).digest_size:
        raise ValueError("not an HMAC algorithm, or a secret too short for it")
    data = encoded(_compact({"alg": algorithm, "typ": typ}).encode()) + b"." + encoded(text(claims).encode())
    return (data + b"." + encoded(hmac.digest(secret, data, digest))).decode("ascii")


def at_hash(value: str, algorithm: str) -> str:
    """`at_hash` of an access token, `c_hash` of a code (OpenID Connect Core sections 3.1.3.6 and 3.3.2.11).

    "" where the algorithm has no hash that a reader would know: both are optional in what we issue.
    """
    name = HMACS.get(algorithm) or rules(algorithm).digest
    if not name:
        return ""
    digest = hashlib.new(name, value.encode("ascii")).digest()
    return encode(digest[: len(digest) // 2])
