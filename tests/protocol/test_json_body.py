"""A JSON object in the body of a request."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.errors import OAuthError
from oauthd.protocol.json_body import DEPTH, read_json, strict
from oauthd.protocol.messages import Request

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)

MARKS = st.text('[]{}"\\\\')
NESTED = st.recursive(MARKS, lambda inner: st.lists(inner) | st.dictionaries(MARKS, inner))


def sent(body: bytes, content_type: str = "application/json") -> Request:
    """A request with that body."""
    return Request("POST", "/", body=body, content_type=content_type)


class JsonBody(SynchronousTestCase):
    """`read_json`."""

    def refusal(self, body: bytes, content_type: str = "application/json") -> int:
        """The status that a body is refused with."""
        refused: OAuthError = self.assertRaises(OAuthError, read_json, sent(body, content_type))
        return refused.kind.status

    @given(st.dictionaries(TEXT, VALUES, max_size=5), st.booleans())
    def test_reads_what_others_write(self, value: dict[str, object], ascii_only: bool) -> None:
        """Any object within the depth is read as the standard library wrote it."""
        self.assertEqual(read_json(sent(json.dumps(value, ensure_ascii=ascii_only).encode()), depth=99), value)

    @given(st.binary() | st.text('{}[]",:\\u0dDaeE1-+.tfn ').map(str.encode))
    def test_refuses_in_one_way_only(self, body: bytes) -> None:
        """Any bytes at all are read as an object that has UTF-8, or refused as an error of the caller."""
        try:
            json.dumps(read_json(sent(body)), ensure_ascii=False, allow_nan=False).encode()
        except OAuthError as error:
            self.assertEqual(error.kind.status, 400)

    def test_bounds_the_nesting(self) -> None:
        """Nesting counts outside strings, up to the limit; thousands of brackets cost no recursion."""
        inner = DEPTH - 1
        self.assertEqual(read_json(sent(b'{"[":' + b"[" * inner + b"]" * inner + b"}"))["["], nested(inner))
        self.assertEqual(read_json(sent(json.dumps({"a": '\\"[' * 99}).encode())), {"a": '\\"[' * 99})
        self.assertEqual(self.refusal(b'{"a":' + b"[" * DEPTH + b"]" * DEPTH + b"}"), 400)
        self.assertEqual(self.refusal(b"[" * 60000), 400)
        self.assertEqual(self.refusal(b'{"a":' * 10000), 400)

    def test_refuses_what_is_read_in_two_ways(self) -> None:
        """Repeated members at any depth, NaN, infinities, other encodings and unpaired surrogates are refused."""
        for body in (
            b'{"a":1,"a":1}',
            b'{"b":[{"a":1,"\\u0061":2}]}',
            b'{"a":NaN}',
            b'{"a":-Infinity}',
            b'{"a":1e999}',
            b'{"a":' + b"9" * 5000 + b"}",
            b'{"a":"\xff"}',
            b'{"a":"\\ud800"}',
            b'{"\\udc00":1}',
            '{"a":1}'.encode("utf-16"),
            b'\xef\xbb\xbf{"a":1}',
            b"{'a':1}",
            b'{"a":1}{}',
            b"",
        ):
            self.assertEqual(self.refusal(body), 400, body)

    def test_wants_an_object(self) -> None:
        """Anything but an object at the top is refused."""
        for body in (b"[]", b"1", b'"a"', b"null", b"true"):
            self.assertEqual(self.refusal(body), 400, body)

    def test_wants_the_media_type(self) -> None:
        """Another media type, or none, is refused before the body is looked at."""
        for content_type in ("", "text/plain", "application/x-www-form-urlencoded", "application/json-patch+json"):
            self.assertEqual(self.refusal(b"{}", content_type), 415)

    @given(st.lists(NESTED))
    def test_counts_the_depth_exactly(self, value: object) -> None:
        """A value is read with its own depth as the bound, and not with one less, whatever stands in its strings."""

        def depth(one: object) -> int:
            inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
            return max(map(depth, inner), default=0) + isinstance(one, dict | list)

        text = json.dumps(value)
        self.assertEqual(strict(text, "it", depth(value)), value)
        if depth(value) > 1:  # one bracket is not worth counting
            self.assertRaises(OAuthError, strict, text, "it", depth(value) - 1)

    def test_bounds_the_size(self) -> None:
        """A body beyond the size is refused."""
        self.assertEqual(self.refusal(b'{"a":"' + b"b" * 65536 + b'"}'), 413)


def nested(depth: int) -> list[object]:
    """A list in lists."""
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value
