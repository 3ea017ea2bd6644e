"""Keys that clients register with themselves: the `jwks` member (RFC 7591 section 2, RFC 7517 section 5).

`KeySet` publishes what such a set looks like and reads it by that; `flaw` then looks at the keys themselves. Refused:
private and symmetric keys (whoever sends one has told its secret), more than `MOST` keys or `LONGEST` bytes, RSA keys
shorter than 2048 bits or so long that each verification would be an attack, points that are on no curve, numbers in
another spelling than their only one, types that nothing here verifies with or encrypts to. Members of a key that say
nothing here are dropped.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from oauthd.protocol import jose
from oauthd.protocol.json_text import text
from oauthd.protocol.schemas import Choice, Listing, Problems, Text

MOST: Final = 20
LONGEST: Final = 16384
PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv")
"""Members of private and symmetric keys (RFC 7518 sections 6.2.2, 6.3.2 and 6.4, RFC 9964 section 3)."""

_CURVES = {"EC": ("P-256", "P-384", "P-521"), "OKP": ("Ed25519", "X25519")}
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "RSA": ("n", "e"),
    "EC": ("crv", "x", "y"),
    "OKP": ("crv", "x"),
    "AKP": ("alg", "pub"),
}
"""Public members by `kty` (RFC 7518 section 6, RFC 8037 section 2, RFC 9964 section 3)."""
_PUB_OCTETS = {"ML-DSA-44": 1312, "ML-DSA-65": 1952, "ML-DSA-87": 2592}  # FIPS 204 table 2
_NUMBER = Text("[A-Za-z0-9_-]+", "base64url", 1, 4096)
_WORD = Text(r"[\x20-\x7e]*", "visible ASCII", 0, 256)
_TYPE = Choice(tuple(_NEEDED))
_OPERATIONS = Listing(_WORD, 10)
_CHAIN = Listing(Text("[A-Za-z0-9+/=]+", "base64", 1, 8192), 5)
_KNOWN: Mapping[str, Any] = {
    **dict.fromkeys(("n", "e", "x", "y", "pub"), _NUMBER),
    **dict.fromkeys(("crv", "alg", "use", "kid", "x5t", "x5t#S256"), _WORD),
    "kty": _TYPE,
    "key_ops": _OPERATIONS,
    "x5c": _CHAIN,
}


@frozen
class KeySet:
    """A JWK Set of public keys."""

    def document(self) -> dict[str, Any]:
        """An object with a list of keys, none of which has a private member."""
        members = {name: schema.document() for name, schema in _KNOWN.items()} | dict.fromkeys(PRIVATE, False)
        key = {
            "type": "object",
            "properties": members,
            "required": ["kty"],
            "allOf": [
                {"if": {"properties": {"kty": {"const": kty}}}, "then": {"required": list(needed)}}
                for kty, needed in _NEEDED.items()
            ],
        }
        keys = {"type": "array", "items": key, "minItems": 1, "maxItems": MOST}
        return {"type": "object", "properties": {"keys": keys}, "required": ["keys"]}

    def read(self, value: object, at: str, problems: Problems) -> dict[str, Any]:
        """The set, with what is known of its keys."""
        keys = value.get("keys") if isinstance(value, dict) else None
        if not isinstance(keys, list) or not 1 <= len(keys) <= MOST:
            problems[at] = f"must be a JWK Set of 1 to {MOST} keys"
            return {}
        return {"keys": [_key(key, f"{at}.keys.{number}", problems) for number, key in enumerate(keys)]}


def _key(value: object, at: str, problems: Problems) -> dict[str, Any]:
    if not isinstance(value, dict):
        problems[at] = "must be an object"
        return {}
    for name in PRIVATE:
        if name in value:
            problems[f"{at}.{name}"] = "is a part of a private or secret key; replace that key, now that it was sent"
    kty = _TYPE.read(value.get("kty"), f"{at}.kty", problems)
    problems |= {f"{at}.{name}": "is missing" for name in _NEEDED.get(kty, ()) if name not in value}
    read = {
        name: schema.read(value[name], f"{at}.{name}", problems)
        for name, schema in _KNOWN.items()
        if name in value
    }
    return {name: list(one) if isinstance(one, tuple) else one for name, one in read.items()}


def flaw(jwks: Mapping[str, Any]) -> str:
    """What is wrong with the keys of a set that was read; "" for nothing."""
    if len(text(dict(jwks))) > LONGEST:
        return f"is larger than {LONGEST} bytes"
    for number, key in enumerate(jwks.get("keys", ())):
        found = _flaw_of(key)
        if found:
            return f"key {number} {found}"
    return ""


def _flaw_of(key: Mapping[str, Any]) -> str:
    if key["kty"] == "AKP":
        wanted = _PUB_OCTETS.get(key["alg"])
        return "" if wanted and len(_octets(key["pub"])) == wanted else "is no ML-DSA key"
    if key["kty"] in _CURVES and key["crv"] not in _CURVES[key["kty"]]:
        return f"must be on {' or '.join(_CURVES[key['kty']])}"
    if key["kty"] == "RSA":
        bits = int.from_bytes(_octets(key["n"]), "big").bit_length()
        if not jose.RSA_BITS <= bits <= jose.MOST_RSA_BITS:  # RFC 7518 section 3.3
            return f"must have {jose.RSA_BITS} to {jose.MOST_RSA_BITS} bits"
        if any(_octets(key[name])[:1] == b"\0" for name in ("n", "e")):  # RFC 7518 section 2
            return "has zeros in front of a number"
    try:
        jose.read_key(key)
    except jose.TokenRefused:
        return "is no key: its numbers do not fit together"
    return ""


def _octets(number: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(number + "=" * (-len(number) % 4))
    except (ValueError, binascii.Error):
        return b""
