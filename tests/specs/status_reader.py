"""A relying party's reader of status lists, written from the draft (sections 6.2, 8.3) over zlib and joserfc alone."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

VALID, INVALID = 0, 1


class Unreadable(Exception):
    """No statement about the status can be made: the token must be rejected."""


def status(array: str, bits: int, index: int) -> int:
    """Section 4.1: the status at an index of an encoded, compressed byte array."""
    if bits not in (1, 2, 4, 8):
        raise Unreadable("bits")
    octets = zlib.decompress(base64.urlsafe_b64decode(array + "=" * (-len(array) % 4)))
    octet, rest = divmod(index * bits, 8)
    if octet >= len(octets):
        raise Unreadable("the index is out of bounds")
    return octets[octet] >> rest & (1 << bits) - 1


def listed(token: str, uri: str, keys: KeySet, algorithms: list[str], now: float) -> dict[str, Any]:
    """Section 8.3, steps 3 and 4: the claims of a status list token."""
    read = jwt.decode(token, keys, algorithms=algorithms)
    if read.header.get("typ") != "statuslist+jwt":
        raise Unreadable("typ")
    claims = dict(read.claims)
    if claims["sub"] != uri:
        raise Unreadable("sub")
    if not isinstance(claims["iat"], int) or claims["iat"] > now:
        raise Unreadable("iat")
    if "exp" in claims and claims["exp"] <= now:
        raise Unreadable("exp")
    if "ttl" in claims and not claims["ttl"] > 0:
        raise Unreadable("ttl")
    return claims


def reference(claims: Mapping[str, Any]) -> tuple[str, int]:
    """Section 6.2: the address of a token's list, and its index there."""
    found = claims["status"]["status_list"]
    uri, index = found["uri"], found["idx"]
    if not isinstance(uri, str) or not isinstance(index, int) or index < 0:
        raise Unreadable("status")
    return uri, index
