"""Strings that we make and nobody else reads: prefix, routing part, random body, checksum.

    oat_  body checksum            access token
    ort_  grant_id body checksum   refresh token
    oac_  grant_id body checksum   authorization code
    odc_  grant_id body checksum   device code
    oba_  grant_id body checksum   auth_req_id of a backchannel authentication request
    ocs_  body checksum            client secret
    oia_  body checksum            initial access token
    ora_  body checksum            registration access token

Letters, digits and one underscore only: a double click selects the whole, no encoding changes it, and secret scanners
find it by `pattern`. The body has 256 random bits (RFC 6749 section 10.10 asks for 128). The checksum is the CRC-32 of
everything before it: a truncated or mistyped string is refused without a look into the store. It proves nothing
else: whether the string was ever issued, to whom and whether it is alive is for the store to say. The grant id is the
hash tag of the grant's records; it is no secret of its own.

Refused is whatever is not exactly of this form, to the last character; there is no second spelling of a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from zlib import crc32

Entropy = Callable[[int], bytes]
"""Gives that many random octets."""

ACCESS_TOKEN: Final = "oat_"  # noqa: S105 - only its prefix
REFRESH_TOKEN: Final = "ort_"  # noqa: S105 - only its prefix
CODE: Final = "oac_"
DEVICE_CODE: Final = "odc_"
PUSHED_REQUEST: Final = "opr_"
BACKCHANNEL: Final = "oba_"
CLIENT_SECRET: Final = "ocs_"  # noqa: S105 - only its prefix
INITIAL_ACCESS: Final = "oia_"
REGISTRATION: Final = "ora_"
PREFIXES: Final = (
    ACCESS_TOKEN, REFRESH_TOKEN, CODE, DEVICE_CODE, PUSHED_REQUEST, CLIENT_SECRET, INITIAL_ACCESS, REGISTRATION,
    BACKCHANNEL,
)  # fmt: skip
ROUTED: Final = frozenset({REFRESH_TOKEN, CODE, DEVICE_CODE, PUSHED_REQUEST, BACKCHANNEL})
"""The kinds that carry the id of their grant."""

GRANT_ID_LENGTH: Final = 14  # 80 bits
_BODY_LENGTH = 43  # 256 bits
_CHECKSUM_LENGTH = 6  # 32 bits

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TO_LETTERS = bytes(ord(_ALPHABET[octet % 62]) for octet in range(256))
_LEFT_OUT = bytes(range(4 * 62, 256))
_GRANT_ID = re.compile(f"[0-9A-Za-z]{{{GRANT_ID_LENGTH}}}")
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)


def _letters(length: int, entropy: Entropy) -> str:
    """Random letters and digits, each as likely as any other."""
    found = b""
    while len(found) < length:  # some octets are left out: 62 does not divide 256
        found += entropy(length + 8).translate(_TO_LETTERS, _LEFT_OUT)
    return found[:length].decode("ascii")


def new_grant_id(entropy: Entropy) -> str:
    """A fresh grant id: 83 random bits in 14 letters and digits."""
    return _letters(GRANT_ID_LENGTH, entropy)


def new_identifier(entropy: Entropy) -> str:
    """A fresh public name (client id, user id, `jti`): 130 random bits in 22 letters and digits."""
    return _letters(22, entropy)


def make(prefix: str, entropy: Entropy, grant_id: str = "") -> str:
    """A fresh string of the kind that `prefix` names.

    :raises ValueError: for an unknown prefix, or a grant id that is missing, malformed or out of place.
    """
    if prefix not in _FORMS:
        raise ValueError("no such kind of string")
    if (prefix in ROUTED) != bool(grant_id) or (grant_id and not _GRANT_ID.fullmatch(grant_id)):
        raise ValueError(f"{prefix} strings carry {'a' if prefix in ROUTED else 'no'} grant id")
    start = f"{prefix}{grant_id}{_letters(_BODY_LENGTH, entropy)}"
    return start + _checksum(start)


def parse(prefix: str, value: str) -> str | None:
    """The grant id within `value` ("" for a kind that carries none), None when it is not such a string, whole."""
    form = _FORMS[prefix].fullmatch(value)
    if form is None or _checksum(value[:-_CHECKSUM_LENGTH]) != value[-_CHECKSUM_LENGTH:]:
        return None
    return form[1]


def pattern(prefix: str) -> str:
    """The regular expression of a kind of string, for secret scanners."""
    grant_id = f"[0-9A-Za-z]{{{GRANT_ID_LENGTH}}}" if prefix in ROUTED else ""
    return f"{prefix}({grant_id})[0-9A-Za-z]{{{_BODY_LENGTH + _CHECKSUM_LENGTH}}}"


def _checksum(text: str) -> str:
    """The CRC-32 in six digits of base 62, the highest first."""
    high, low = divmod(crc32(text.encode("ascii")), len(_PAIRS))
    high, middle = divmod(high, len(_PAIRS))
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]


_FORMS = {prefix: re.compile(pattern(prefix)) for prefix in PREFIXES}
