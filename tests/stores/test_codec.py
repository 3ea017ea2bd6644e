"""Records survive being stored, whatever they hold, and only records are read."""

from __future__ import annotations

import json
from typing import Any, get_type_hints

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import field
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import records
from oauthd.protocol.records import Record
from oauthd.stores import kinds
from oauthd.stores.codec import VERSION, Unreadable, codec
from tests.stores.case import NOW, access, example

texts = st.text(st.characters(codec="utf-8"), max_size=20)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def _values(hint: Any) -> st.SearchStrategy[Any]:
    """Everything that a field of this type may hold."""
    if isinstance(hint, type) and issubclass(hint, Record):
        hints = get_type_hints(hint)
        return st.builds(hint, **{name: _values(hints[name]) for name in hint.__struct_fields__})
    if hint == tuple[str, ...]:
        return st.lists(texts, max_size=3).map(tuple)
    if getattr(hint, "__origin__", None) is tuple and hint.__args__[1] is not ...:
        return st.tuples(*map(_values, hint.__args__))
    if getattr(hint, "__origin__", None) is tuple:
        return st.lists(_values(hint.__args__[0]), max_size=2).map(tuple)
    if getattr(hint, "__origin__", None) is dict:
        return st.dictionaries(texts, texts if hint.__args__[1] is str else _json, max_size=3)
    if type(None) in getattr(hint, "__args__", ()):
        return st.none() | _values(hint.__args__[0])
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    return {str: texts, bytes: st.binary(max_size=40), int: st.integers(), float: numbers, bool: st.booleans()}[hint]


class _Older(Record, frozen=True):
    name: str = field(name="n")


class _Newer(Record, frozen=True):
    name: str = field(name="n")
    tags: tuple[str, ...] = field(name="t", default=("a",))
    more: dict[str, Any] = field(name="m", default_factory=dict)


class CodecTests(SynchronousTestCase):
    """`codec(cls).encode` and `decode`."""

    @given(st.sampled_from([kind.record for kind in kinds.KINDS]).flatmap(_values))
    def test_round_trip(self, record: Any) -> None:
        """Whatever a record of any kind holds is read back equal."""
        self.assertEqual(codec(type(record)).decode(codec(type(record)).encode(record)), record)

    def test_stored_form(self) -> None:
        """A record is its version and JSON under the stored names, without blanks, defaults and what repr hides."""
        raw = codec(records.AccessToken).encode(access())
        self.assertEqual(raw[0], VERSION)
        self.assertEqual(
            json.loads(raw[1:]),
            {"c": "app", "s": ["read", "write"], "i": NOW, "e": NOW + 1800, "j": "V1StGXR8_Z5jdHi6B-myTa",
             "g": {"w": 1, "c": 1}},
        )  # fmt: skip
        self.assertNotIn(b" ", raw)
        self.assertEqual(codec(records.Answer).encode(records.Answer(b"\xff\xfe", 1))[1:], b'{"s":"//4=","e":1}')

    def test_end_stands_where_scripts_look(self) -> None:
        """The end of a record stands at "e" of its JSON, and nothing else does at its top."""
        kind: Any
        for kind in kinds.KINDS:
            plain = json.loads(codec(kind.record).encode(example(kind.record))[1:])
            self.assertEqual("e" in plain, not kind.lasting, kind.name)
            self.assertEqual("e" in plain, hasattr(kind.record, "expires_at"), kind.name)

    def test_neighbours(self) -> None:
        """A reader fills fields it does not find from their defaults and passes over those it does not know."""
        older, newer = codec(_Older), codec(_Newer)
        self.assertEqual(newer.decode(older.encode(_Older("x"))), _Newer("x"))
        self.assertEqual(older.decode(newer.encode(_Newer("x", (), {"a": [1]}))), _Older("x"))

    def test_defaults_are_not_shared(self) -> None:
        """Two records that were filled from one default do not hold the same dictionary."""
        raw = codec(_Newer).encode(_Newer("x"))
        self.assertIsNot(codec(_Newer).decode(raw).more, codec(_Newer).decode(raw).more)

    def test_versions(self) -> None:
        """The neighbouring versions are read; others are refused with a message that names them and no value."""
        body = codec(records.Username).encode(records.Username("secret"))[1:]
        for version in (VERSION - 1, VERSION, VERSION + 1):
            self.assertEqual(codec(records.Username).decode(bytes([version]) + body), records.Username("secret"))
        for version in (VERSION + 2, 255, ord("{")):
            with self.assertRaises(Unreadable) as caught:
                codec(records.Username).decode(bytes([version]) + body)
            self.assertIn(f"version {version};", str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    def test_no_records(self) -> None:
        """What is no record is refused, and the refusal does not carry what was found, in its cause neither."""
        for body in (b"", b"secret", b'{"i":"secret"', b'{"i":"secret"}x', b'["secret"]', b"null", b'"secret"', b"\xff",
                     b'{"x":"secret"}'):  # fmt: skip
            with self.assertRaises(Unreadable) as caught:
                codec(records.Username).decode(bytes([VERSION]) + body)
            self.assertNotIn("secret", repr(caught.exception))
            self.assertIsNone(caught.exception.__cause__)
        with self.assertRaises(Unreadable):
            codec(records.Username).decode(b"")

    def test_values_of_another_type(self) -> None:
        """A field whose value is not of its type makes no record."""
        for body in (b'{"i":1}', b'{"i":null}', b'{"i":["secret"]}', b"{}"):
            with self.assertRaises(Unreadable):
                codec(records.Username).decode(bytes([VERSION]) + body)

    def test_what_cannot_be_stored(self) -> None:
        """An unpaired surrogate is refused before anything is written, and two fields under one name at import."""
        with self.assertRaises(UnicodeEncodeError):
            codec(records.Username).encode(records.Username("\ud800"))
        with self.assertRaises(ValueError):
            msgspec.defstruct("Clash", [("one", str, field(name="n")), ("other", str, field(name="n"))])

    def test_secrets_stay_out_of_repr(self) -> None:
        """What is digest, hash or sealed does not show where a record is printed."""
        for record in (records.ClientSecret, records.Answer, records.SealedKey):
            shown = repr(example(record))
            self.assertIn("expires_at=" if record is not records.SealedKey else "kid=", shown)
            self.assertNotIn(repr(example(bytes)), shown)
        self.assertNotIn("hash", repr(records.User("u1", "alice", NOW, NOW, password="hash")))
