"""Records to bytes and back: one version byte, then compact JSON under the fields' short stored names.

Fields that equal their default are left out; bytes stand as base64url. A reader fills what is missing from the
defaults, ignores names it does not know, and accepts the neighbouring versions, so that a rolling upgrade works. It
refuses everything else with `Unreadable`; what a record says is never part of that message. All that can be known
about a class is worked out once. Where records are kept and when they end is left to `oauthd.stores.redis`.
"""

from __future__ import annotations

import json
import types
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs

from oauthd.protocol.json_text import text

R = TypeVar("R")
Convert = Callable[[Any], Any] | None

VERSION = 1
_READABLE = range(VERSION - 1, VERSION + 2)
_MARK = bytes([VERSION])
_ABSENT = object()

_load = json.JSONDecoder().raw_decode  # unlike decode(), looks for no blanks around


class Unreadable(Exception):
    """Stored bytes that are no record of this class, or one of a version too far from ours."""


class Codec(Generic[R]):
    """How the records of one attrs class are written and read."""

    def __init__(self, record: type[R]) -> None:
        hints = get_type_hints(record)
        self._record = record
        self._fields = tuple(
            (field.name, field.metadata["as"], _default(field), *_converts(hints[field.name]))
            for field in attrs.fields(cast(Any, record))
        )
        self._stored = {stored: (name, reads) for name, stored, _, _, reads in self._fields}
        if len(self._stored) != len(self._fields):
            raise TypeError(f"{record.__name__} stores two fields under one name")

    def encode(self, record: R) -> bytes:
        """The stored form of a record."""
        return _MARK + text(self.plain(record)).encode("utf-8", "surrogatepass")

    def decode(self, raw: bytes) -> R:
        """The record of a stored form.

        :raises Unreadable: for anything that is none.
        """
        if not raw or raw[0] not in _READABLE:
            version = raw[0] if raw else "none"
            raise Unreadable(
                f"a {self._record.__name__} is stored in version {version}; this program reads "
                f"{_READABLE.start} to {_READABLE.stop - 1}"
            )
        try:
            written = raw[1:].decode("utf-8", "surrogatepass")
            plain, end = _load(written)
            if end != len(written):
                raise ValueError("more than one record")
            return self.record(plain)
        except (ValueError, TypeError, AttributeError):
            # Without its cause: messages of JSON and attrs may quote what they choke on.
            raise Unreadable(f"what is stored is no {self._record.__name__}") from None

    def plain(self, record: R) -> dict[str, Any]:
        """The record as a JSON object."""
        found = {}
        for name, stored, default, writes, _ in self._fields:
            value = getattr(record, name)
            if default is _ABSENT or value != default:
                found[stored] = value if writes is None or value is None else writes(value)
        return found

    def record(self, plain: dict[str, Any]) -> R:
        """The record of a JSON object."""
        found = {}
        for stored, value in plain.items():
            field = self._stored.get(stored)
            if field is not None:
                name, reads = field
                found[name] = value if reads is None or value is None else reads(value)
        return self._record(**found)


_codecs: dict[type[Any], Codec[Any]] = {}


def codec(record: type[R]) -> Codec[R]:
    """The codec of an attrs class; worked out at its first use."""
    found = _codecs.get(record)
    if found is None:
        found = _codecs[record] = Codec(record)
    return found


def _default(field: attrs.Attribute[Any]) -> object:
    """What a field is when nobody says otherwise; equal to nothing when it must be said."""
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]  # a class, typed as a function
        return cast(Any, field.default).factory()
    return _ABSENT if field.default is attrs.NOTHING else field.default


def _converts(hint: Any) -> tuple[Convert, Convert]:
    """How values of a type are written and read; None where JSON's own form is the value."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        rest = [one for one in inner if one is not type(None)]
        if len(rest) == 1 and len(inner) == 2:
            return _converts(rest[0])
    elif origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return _sequence(*_converts(inner[0]))
    elif origin is dict or hint in (str, int, float, bool):
        return None, None
    elif hint is bytes:
        return _base64, _bytes
    elif attrs.has(hint):
        return codec(hint).plain, codec(hint).record
    raise TypeError(f"records cannot have fields of type {hint} yet")


def _sequence(writes: Convert, reads: Convert) -> tuple[Convert, Convert]:
    # JSON writes a tuple as an array by itself.
    written = None if writes is None else lambda values: [writes(value) for value in values]
    return written, tuple if reads is None else lambda values: tuple(map(reads, values))


def _base64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
