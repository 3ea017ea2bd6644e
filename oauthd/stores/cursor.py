"""Cursors of listings: a position in an index, opaque to whoever carries it.

A cursor is the score and member after which the next page begins, behind a checksum that also covers the index. It
holds no secret and gives no access: whoever makes one up sees what the index shows anyhow. The checksum is there so
that a damaged cursor, or that of another list, is refused instead of silently showing a wrong page.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode

from attrs import frozen

_LONGEST = 2048  # characters
_CHECK = 6  # bytes
_SCORE = struct.Struct(">d")
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@frozen
class Position:
    """A place in an index; its member may be gone by now."""

    score: float
    member: bytes


def written(index: str, position: Position) -> str:
    """The cursor of a position."""
    plain = _SCORE.pack(position.score) + position.member
    return urlsafe_b64encode(_check(index, plain) + plain).rstrip(b"=").decode()


def read(index: str, cursor: str) -> Position:
    """The position of a cursor.

    :raises ValueError: when it was not made by `written` for this index.
    """
    if not 0 < len(cursor) <= _LONGEST or not _ALPHABET.fullmatch(cursor) or len(cursor) % 4 == 1:
        raise ValueError("not a cursor")
    raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    check, plain = raw[:_CHECK], raw[_CHECK:]
    if len(plain) <= _SCORE.size or check != _check(index, plain):
        raise ValueError("not a cursor of this list")
    position = Position(_SCORE.unpack_from(plain)[0], plain[_SCORE.size :])
    # Base64url has spellings that differ in slack bits only: there is one cursor for a position.
    if not math.isfinite(position.score) or written(index, position) != cursor:
        raise ValueError("not a cursor of this list")
    return position


def _check(index: str, plain: bytes) -> bytes:
    return hashlib.sha256(index.encode("utf-8", "surrogatepass") + b"\0" + plain).digest()[:_CHECK]
