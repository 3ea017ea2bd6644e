"""Records to bytes and back: one version byte, then compact JSON under the fields' short stored names.

Fields that equal their default are left out; bytes stand as base64. A reader fills what is missing from the defaults,
ignores names it does not know, and accepts the neighbouring versions, so that a rolling upgrade works. It refuses
everything else with `Unreadable`, values of another type too; what a record says is never part of that message. Where
records are kept and when they end is left to `oauthd.stores.redis`.

The work is msgspec's: a token's record is written in half a microsecond and read in less than one, however many fields
its class has that it does not use.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec import MsgspecError
from msgspec.json import Decoder, Encoder

from oauthd.protocol.records import Record

R = TypeVar("R", bound=Record)

VERSION = 2  # 1 had bytes in another alphabet
_READABLE = range(VERSION - 1, VERSION + 2)
_MARK = bytes([VERSION])

_encode = Encoder().encode


class Unreadable(Exception):
    """Stored bytes that are no record of this class, or one of a version too far from ours."""


class OtherVersion(Unreadable):
    """The latter: another program reads it."""


class Codec(Generic[R]):
    """How the records of one class are written and read."""

    def __init__(self, record: type[R]) -> None:
        self._record = record
        self._decode = Decoder(record).decode

    def encode(self, record: R) -> bytes:
        """The stored form of a record.

        :raises UnicodeEncodeError: for an unpaired surrogate, which no reader of requests lets through.
        """
        return _MARK + _encode(record)

    def decode(self, raw: bytes) -> R:
        """The record of a stored form.

        :raises Unreadable: for anything that is none.
        """
        if not raw or raw[0] not in _READABLE:
            version = raw[0] if raw else "none"
            raise (OtherVersion if raw else Unreadable)(
                f"a {self._record.__name__} is stored in version {version}; this program reads "
                f"{_READABLE.start} to {_READABLE.stop - 1}"
            )
        try:
            return self._decode(raw[1:])
        except (MsgspecError, UnicodeDecodeError):
            # Without its cause: messages of the parser may quote what it chokes on.
            raise Unreadable(f"what is stored is no {self._record.__name__}") from None


_codecs: dict[type[Any], Codec[Any]] = {}


def codec(record: type[R]) -> Codec[R]:
    """The codec of a class; made at its first use."""
    found = _codecs.get(record)
    if found is None:
        found = _codecs[record] = Codec(record)
    return found
