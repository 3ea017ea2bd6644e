"""Clients that hold a key, as somebody else's library makes their tokens."""

from __future__ import annotations

import warnings
from typing import Any

from attrs import field, frozen
from joserfc import jwe, jws, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey


@frozen
class Holder:
    """A key, and the algorithm that it signs with."""

    algorithm: str = "ES256"
    kid: str | None = "one"
    key: Key = field(init=False, repr=False)

    @key.default
    def _made(self) -> Key:
        named: Any = {"kid": self.kid} if self.kid else {}
        if self.algorithm.startswith("ES"):
            return ECKey.generate_key("P-256", named, auto_kid=False)
        if self.algorithm.startswith("Ed"):
            return OKPKey.generate_key("Ed25519", named, auto_kid=False)
        return RSAKey.generate_key(2048, named, auto_kid=False)

    @property
    def jwks(self) -> dict[str, Any]:
        """The public part, as it is registered."""
        return {"keys": [self.key.as_dict(private=False)]}

    def sign(self, claims: dict[str, Any], algorithm: str = "", **header: Any) -> str:
        """A signed token; a header of None leaves it out."""
        known = {"alg": algorithm or self.algorithm, "kid": self.kid} | header
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            return jwt.encode(
                {name: value for name, value in known.items() if value is not None},
                claims,
                self.key,
                algorithms=[str(known["alg"])],
                default_type=None,
            )

    def sign_bytes(self, body: bytes) -> str:
        """Whatever octets, signed."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            header: Any = {"alg": self.algorithm, "kid": self.kid}
            return jws.serialize_compact(header, body, self.key, algorithms=[self.algorithm])


def encrypted(token: str, keys: KeySet, alg: str, enc: str) -> str:
    """A token, encrypted to the key of a set that is for it."""
    key = next(key for key in keys.keys if key.as_dict().get("use") == "enc" and key.as_dict().get("alg", alg) == alg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return jwe.encrypt_compact({"alg": alg, "enc": enc, "kid": key.kid, "cty": "JWT"}, token, key, [alg, enc])
