"""A client that holds a key, and proves it: made with a library that the server does not use."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from typing import Any

from attrs import field, frozen
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.server import ISSUER

_numbers = itertools.count()
_made: dict[tuple[str, int], Any] = {}
_KINDS: dict[str, tuple[Any, Any]] = {
    "ES256": (ECKey, "P-256"),
    "ES384": (ECKey, "P-384"),
    "Ed25519": (OKPKey, "Ed25519"),
    "PS256": (RSAKey, 2048),
    "RS256": (RSAKey, 2048),
}


def _key(algorithm: str, number: int) -> Any:
    kind, size = _KINDS[algorithm]
    if (algorithm, number) not in _made:
        _made[algorithm, number] = kind.generate_key(size, auto_kid=False)
    return _made[algorithm, number]


@frozen
class Holder:
    """Somebody who holds a key.

    :ivar number: of the key: another number is another key.
    """

    number: int = 0
    algorithm: str = "ES256"
    key: Any = field(init=False, repr=False)

    @key.default
    def _own_key(self) -> Any:
        return _key(self.algorithm, self.number)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key."""
        return dict(self.key.as_dict(private=False))

    @property
    def private_jwk(self) -> dict[str, Any]:
        """The whole key."""
        return dict(self.key.as_dict(private=True))

    @property
    def jkt(self) -> str:
        """Its thumbprint (RFC 7638)."""
        return str(self.key.thumbprint())

    def proof(
        self,
        method: str,
        path: str,
        now: float,
        *,
        token: str = "",
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A DPoP proof for a request; None leaves a claim or a member of the header out."""
        usual = {"jti": f"jti-{next(_numbers)}", "htm": method, "htu": ISSUER + path, "iat": int(now)}
        if token:
            usual["ath"] = ath(token)
        said = {name: value for name, value in (usual | claims).items() if value is not None}
        head = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk} | (header or {})
        return self.signed({name: value for name, value in head.items() if value is not None}, said)

    def signed(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """A token of these parts, signed with the key."""
        registry = jws.JWSRegistry(algorithms=[self.algorithm], strict_check_header=False)
        return jws.serialize_compact(header, json.dumps(claims).encode(), self.key, registry=registry)


def ath(token: str) -> str:
    """The hash of an access token (RFC 9449 section 4.2)."""
    return encoded(hashlib.sha256(token.encode()).digest())


def encoded(octets: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def resigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """A token of these parts, whatever the signature."""
    return ".".join(encoded(part) for part in (json.dumps(header).encode(), json.dumps(claims).encode(), signature))
