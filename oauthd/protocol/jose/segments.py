"""The parts of a compact token: base64url in its one canonical spelling, and strict JSON (RFC 7515 sections 2, 4).

Everything that reads a token begins here, and is bounded here: octets before anything is split, the number of parts
before anything is decoded. Refused are any but the canonical spelling (RFC 4648 section 3.5: other slack bits make
another string with the same meaning), JSON that names a member twice, holds NaN or half a character (an unpaired
surrogate), or nests too deep.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Final

from oauthd.protocol import json_text

LONGEST: Final = 16384
"""Characters of a signed token."""
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


class TokenRefused(Exception):
    """A token that is not what it should be; the text says why and quotes nothing of it."""


class KeyUnknown(TokenRefused):
    """A token whose `kid` is none of the keys: they may have been exchanged since they were fetched."""


def encode(octets: bytes) -> str:
    """base64url without padding (RFC 7515 section 2)."""
    return encoded(octets).decode("ascii")


def encoded(octets: bytes) -> bytes:
    """The same as octets."""
    return binascii.b2a_base64(octets, newline=False).translate(_URL_SAFE).rstrip(b"=")


def decode(text: str) -> bytes:
    """What a canonical base64url string stands for.

    :raises TokenRefused: when it is empty, padded, of other characters, or not the canonical spelling.
    """
    if _BASE64URL.fullmatch(text) and len(text) % 4 != 1:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if encode(octets) == text:
            return octets
    raise TokenRefused("a part is not canonical base64url")


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header, claims and signature of a compact JWS, nothing of it verified.

    :raises TokenRefused: for what is too long, has more or fewer than three parts, or parts that are none.
    """
    if len(token) > LONGEST or token.count(".") != 2:
        raise TokenRefused("not a compact JWS of reasonable size")
    head, body, signature = (decode(part) for part in token.split("."))
    return members(head), members(body), signature


def peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a signed token, **nothing of it verified**: for finding out whose key is to verify it.

    :raises TokenRefused: as every reader of tokens.
    """
    header, claims, _ = parts(token)
    return header, claims


def members(octets: bytes) -> dict[str, Any]:
    """A JSON object, read strictly.

    :raises TokenRefused: when it is none.
    """
    try:
        value = json.loads(octets.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
        if b"\\u" in octets:
            json_text.text(value).encode("utf-8")  # what is refused here no store could keep
    except (ValueError, RecursionError):  # deep nesting; numbers of thousands of digits
        raise TokenRefused("a part is not strict JSON") from None
    if not isinstance(value, dict):
        raise TokenRefused("a part is not a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # RFC 7515 section 4: two readers could see two tokens
        raise ValueError
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)
