"""Queries, forms, paths, targets and fields on raw bytes."""

import string
from collections.abc import Callable
from urllib.parse import quote, unquote_to_bytes, urlencode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.errors import OAuthError
from oauthd.web import parsing

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")))
SEGMENT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/;\\%"), min_size=1).filter(
    lambda text: text not in (".", "..")
)

PIECES = [*(b"%%%02X" % octet for octet in range(256)), b"=", b"_", b" ", b"\r\n", b"\xff"]


def status_of(parse: Callable[..., object], *given: object) -> int:
    """The status that a parser refuses with, 200 when it does not."""
    try:
        parse(*given)
    except OAuthError as error:
        return error.kind.status
    return 200


class Pairs(SynchronousTestCase):
    """`parsing.parameters`."""

    @given(st.lists(st.tuples(TEXT, TEXT), max_size=20))
    def test_reads_what_others_write(self, pairs: list[tuple[str, str]]) -> None:
        """Whatever the standard library encodes is read back unchanged, order and repeats included."""
        self.assertEqual(list(parsing.parameters(urlencode(pairs).encode())), pairs)

    @given(st.binary() | st.text(string.hexdigits + "%&=+;").map(str.encode))
    def test_refuses_in_one_way_only(self, raw: bytes) -> None:
        """Any bytes at all are read, or refused as an error of the caller."""
        self.assertIn(status_of(parsing.parameters, raw), (200, 400))

    def test_refuses_what_two_readers_read_differently(self) -> None:
        """A raw semicolon, a bad escape, invalid UTF-8 and control characters are refused wherever they stand."""
        for raw in (b"a=1;b=2", b"a;b=1", b"a=%", b"a=%1", b"a=%zz", b"%g0=1", b"a=\xff", b"a=%ff", b"a=%c0%80"):
            self.assertEqual(status_of(parsing.parameters, raw), 400, raw)
        for raw in (b"a=%00", b"a=\x00", b"a%0d%0a=1", b"a=\n", b"a=%7f", b"a=%c2%85", b"a=%ed%a0%80"):
            self.assertEqual(status_of(parsing.parameters, raw), 400, raw)

    def test_reads_what_is_unusual_but_clear(self) -> None:
        """Names without a value, empty pairs, several equal signs and raw UTF-8 have one meaning and keep it."""
        read = parsing.parameters("a&&b=&c=d=e&f=ä b&g=%3B&".encode())
        self.assertEqual(list(read), [("a", ""), ("b", ""), ("c", "d=e"), ("f", "ä b"), ("g", ";")])

    @given(st.lists(st.sampled_from(PIECES)))
    def test_escapes_are_those_of_uris(self, pieces: list[bytes]) -> None:
        """Escapes stand for what the standard library takes them for in a URI, beside whatever octets."""
        raw = b"".join(pieces)
        self.assertEqual(parsing._unquoted(raw), unquote_to_bytes(raw))

    def test_bounds_their_number(self) -> None:
        """A hundred pairs are read and one more is refused."""
        self.assertEqual(len(list(parsing.parameters(b"&".join([b"a=1"] * 100)))), 100)
        self.assertEqual(status_of(parsing.parameters, b"&".join([b"a=1"] * 101)), 400)


class Paths(SynchronousTestCase):
    """`parsing.path`."""

    @given(st.lists(SEGMENT))
    def test_decodes_once(self, segments: list[str]) -> None:
        """A path of encoded segments is read as those segments."""
        raw = "/" + "/".join(quote(segment, safe="") for segment in segments)
        self.assertEqual(parsing.path(raw.encode()), "/" + "/".join(segments))

    @given(st.binary() | st.text("/.;%25fF\\c0").map(lambda text: b"/" + text.encode()))
    def test_lets_nothing_odd_through(self, raw: bytes) -> None:
        """What is let through has no empty or dot segment, semicolon, backslash, percent sign or control character."""
        try:
            path = parsing.path(raw)
        except OAuthError as error:
            self.assertIn(error.kind.status, (400, 404))
        else:
            self.assertTrue(path.startswith("/"))
            self.assertTrue({".", ".."}.isdisjoint(path.split("/")))
            self.assertNotIn("", path.split("/")[1:-1])
            self.assertTrue(set(";\\%\x00\r\n\x7f").isdisjoint(path), path)

    def test_answers_each_oddity_by_its_status(self) -> None:
        """Well-formed but ambiguous paths are not found; paths that cannot be decoded are bad requests."""
        for raw in (b"//a", b"/a//b", b"/a;b", b"/a%3bb", b"/a%2fb", b"/a%2Fb", b"/a%5cb", b"/a\\b", b"/a%252fb"):
            self.assertEqual(status_of(parsing.path, raw), 404, raw)
        for raw in (b"/./a", b"/a/..", b"/%2e%2e/a", b"/a/%2E"):
            self.assertEqual(status_of(parsing.path, raw), 404, raw)
        for raw in (b"/%00", b"/%ff", b"/%c0%af", b"/%0a", b"/%7f", b"/%", b"/%g1", b"a", b""):
            self.assertEqual(status_of(parsing.path, raw), 400, raw)


class Targets(SynchronousTestCase):
    """`parsing.origin_form` and `parsing.host`."""

    def test_takes_an_absolute_form_for_its_path(self) -> None:
        """The authority of an absolute-form target is dropped, since no host means anything here."""
        for target, expected in (
            (b"/a?b", b"/a?b"),
            (b"http://example.org", b"/"),
            (b"http://example.org?a=1", b"/?a=1"),
            (b"HTTPS://[::1]:8000/a?b=c", b"/a?b=c"),
        ):
            self.assertEqual(parsing.origin_form(b"GET", target), expected)
        self.assertEqual(parsing.origin_form(b"OPTIONS", b"*"), b"*")

    @given(st.binary())
    def test_refuses_other_forms(self, target: bytes) -> None:
        """What is let through begins with a slash; fragments, user parts, other schemes and raw bytes are refused."""
        bad = (
            b"*",
            b"a",
            b"http:/a",
            b"ftp://a/",
            b"http://u:p@h/",
            b"http:///a",
            b"example.org:443",
            b"/a#b",
            b"/\xe4",
        )
        for each in (*bad, b"http://h/ a"):
            self.assertEqual(status_of(parsing.origin_form, b"GET", each), 400, each)
        if status_of(parsing.origin_form, b"GET", target) == 200:
            self.assertTrue(parsing.origin_form(b"GET", target).startswith(b"/"))

    def test_wants_one_good_host(self) -> None:
        """One well-formed Host is needed, and may be missing in HTTP/1.0 alone."""
        for good in (b"a", b"a.example:8000", b"[2001:db8::1]:1", b"127.0.0.1", b"_x-y.z:"):
            self.assertEqual(status_of(parsing.host, [good], b"HTTP/1.1"), 200, good)
        for bad in ([], [b""], [b"a", b"a"], [b"a b"], [b"a/b"], [b"u@a"], [b"a:b"], [b"a:1:2"], [b"[::1"], [b"\xe4"]):
            self.assertEqual(status_of(parsing.host, bad, b"HTTP/1.1"), 400, bad)
        self.assertEqual(status_of(parsing.host, [], b"HTTP/1.0"), 200)
        self.assertEqual(status_of(parsing.host, [b"a", b"b"], b"HTTP/1.0"), 400)


class Fields(SynchronousTestCase):
    """`parsing.field`, `parsing.content_length` and `parsing.media_type`."""

    def test_refuses_control_characters(self) -> None:
        """A field value has no control character but the tab; bytes above ASCII are let through."""
        self.assertEqual(parsing.field(b"A: \tb\xe4c \t"), (b"A", b"b\xe4c"))
        for bad in (b"no colon", b"a: \x00", b"a: b\rc", b"a: b\nc", b"a: \x1b", b"a: \x7f"):
            self.assertEqual(status_of(parsing.field, bad), 400, bad)

    def test_reads_lengths(self) -> None:
        """A length is a plain number, however long; one beyond the limit is told apart from one that is malformed."""
        self.assertTrue(parsing.content_length(b"0065536", 65536))
        self.assertFalse(parsing.content_length(b"65537", 65536))
        self.assertFalse(parsing.content_length(b"9" * 10000, 65536))
        for bad in (b"", b"-1", b"+1", b"1,1", b"0x1", b"1 1", "²".encode()):
            self.assertEqual(status_of(parsing.content_length, bad, 9), 400, bad)

    def test_reads_media_types(self) -> None:
        """The type is lower-cased and its parameters are dropped; a form in another charset than UTF-8 is refused."""
        form = parsing.FORM
        for value, expected in (
            (None, ""),
            ("", ""),
            ("Application/JSON", "application/json"),
            ('application/json; charset="latin-1" ; x=y;', "application/json"),
            (f"{form};charset=UTF-8", form),
            (f'{form}; charset="utf8"', form),
        ):
            self.assertEqual(parsing.media_type(value), expected)
        for bad in (
            "json",
            "a/b c",
            "a/b, c/d",
            "a/b; c",
            'a/b; c="',
            f"{form}; charset=latin-1",
            f"{form}; CHARSET=''",
        ):
            self.assertEqual(status_of(parsing.media_type, bad), 415, bad)

    @given(st.text())
    def test_media_types_refuse_in_one_way_only(self, value: str) -> None:
        """Any text at all is read as a media type, or refused as an unsupported one."""
        self.assertIn(status_of(parsing.media_type, value), (200, 415))
