"""Token Status List (draft-ietf-oauth-status-list-20, the text before its RFC): what a list is made of, and says.

A list has a bit for each of `SIZE` tokens, least significant first (section 4.1): 0 for valid, 1 for invalid (section
7.1). Its bytes are compressed (ZLIB), and stand in a signed token (section 5.1). Lists are always of full size: a place
that nobody has looks like a valid token's, so the size tells nobody how many there are (section 12.4).

The n-th token of a list does not get the n-th place: `Places` scatters them over the whole list, for places in order
would tell when a token was issued, and which belong together (section 12.5.1). Which places were given out, and whose
tokens have ended, is for the stores.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from oauthd.protocol.jose.segments import encode

TYPE: Final = "statuslist+jwt"
MEDIA_TYPE: Final = f"application/{TYPE}"
BITS: Final = 1
_LEFT, _RIGHT = 8, 9  # bits: the two halves of a place
SIZE: Final = 2 ** (_LEFT + _RIGHT)
"""Tokens of a list."""
_ROUNDS = 4
_FORMAT = struct.Struct(f"<{2**_LEFT}H{2**_RIGHT}B")


class Places:
    """The places of one list, in the order in which its tokens get them: every place once.

    A Feistel network of two unequal halves, its round functions tables that are drawn from the seed; whoever does not
    know that cannot tell which token came before which.

    :param seed: secret, the same for as long as the list is in use.
    :param number: the list's.
    """

    def __init__(self, seed: bytes, number: int) -> None:
        drawn = hashlib.shake_256(seed + number.to_bytes(8, "big")).digest(_ROUNDS * _FORMAT.size)
        self._rounds = [(words[: 2**_LEFT], words[2**_LEFT :]) for words in _FORMAT.iter_unpack(drawn)]

    def __getitem__(self, nth: int) -> int:
        left: int
        right: int
        left, right = nth >> _RIGHT, nth & (2**_RIGHT - 1)
        for by_left, by_right in self._rounds:
            right ^= by_left[left] & (2**_RIGHT - 1)
            left ^= by_right[right]
        return left << _RIGHT | right


def compressed(places: Iterable[int], before: bytes = b"", size: int = SIZE) -> bytes:
    """A list's compressed byte array, in which these places are invalid (section 4.1).

    :param before: a compressed array whose invalid places stay so; empty for none.
    """
    array = bytearray(zlib.decompress(before)) if before else bytearray(size // 8)
    for place in places:
        array[place >> 3] |= 1 << (place & 7)
    return zlib.compress(bytes(array), 9)


NOBODY: Final = compressed(())
"""The list of which nothing has ended."""


def claims(uri: str, issuer: str, array: bytes, checked_at: int, ttl: int, lifetime: int) -> dict[str, Any]:
    """What the token of a list says (section 5.1).

    :param array: compressed.
    :param checked_at: as of when it holds; never later, or a stale list would pass for a fresh one.
    :param ttl: seconds after which a reader asks again.
    :param lifetime: seconds after which nobody may rely on it any more.
    """
    return {
        "iss": issuer,
        "sub": uri,
        "iat": checked_at,
        "exp": checked_at + lifetime,
        "ttl": ttl,
        "status_list": {"bits": BITS, "lst": encode(array)},
    }


def reference(uri: str, place: int) -> Mapping[str, Any]:
    """The `status` claim of a token (section 6.2)."""
    return {"status_list": {"idx": place, "uri": uri}}


_QUALITY = re.compile(r"q=(0(\.\d{0,3})?|1(\.0{0,3})?)", re.IGNORECASE)


def accepted(accept: str | None) -> bool:
    """Does a reader take a list as a JWT? (RFC 9110 section 12.5.1; the most specific range decides)"""
    if not accept:
        return True
    found: dict[str, bool] = {}
    for part in accept.lower().split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        qualities = [match[1] for word in parameters if (match := _QUALITY.fullmatch(word))]
        found[name] = not qualities or float(qualities[0]) > 0
    for name in (MEDIA_TYPE, "application/*", "*/*"):
        if name in found:
            return found[name]
    return False
