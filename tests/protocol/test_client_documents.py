"""Ids of clients that are addresses, and how they stand in paths."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol import client_documents as documents
from oauthd.protocol.client_documents import URL, Hosts, as_segment, fits, flaw, host_of, of_segment

GOOD = (
    "https://agent.example/c",
    "https://agent.example/a/b.json",
    "https://agent.example:8443/c",
    "https://localhost/c",
    "https://a-b.c_d.example/~x/@y/z=1,2;".rstrip(";"),
    "https://agent.example/a/",
    "https://agent.example//",
    "https://agent.example/%C3%A4",
    "https://agent.example/..a/.b./...",
)
BAD = (
    "", "x", "http://agent.example/c", "HTTPS://agent.example/c", "https://agent.example", "https://agent.example/",
    "https://agent.example/.", "https://agent.example/a/..", "https://agent.example/a/%2e", "https://agent.example/%2E./b",
    "https://agent.example/%2F", "https://agent.example/%5c", "https://agent.example/%00", "https://agent.example/%ff",
    "https://agent.example/%zz", "https://agent.example/a b", "https://agent.example/a\n", "https://agent.example/\u00e4",
    "https://\u00e4gent.example/c", "https://agent.example./c", "https://.example/c", "https://-a.example/c",
    "https://agent.example:0/c", "https://agent.example:443/c", "https://agent.example:65536/c", "https://1.2.3.4/c",
    "https://2130706433/c", "https://a.0x7f/c", "https://[::1]/c", "https://@agent.example/c", "https://agent.example/c?",
    "https://agent.example/c#", "https://agent.example\\@evil.example/c",
)  # fmt: skip


class AddressTests(SynchronousTestCase):
    """Section 3."""

    def test_good(self) -> None:
        """What may be an id."""
        for address in GOOD:
            self.assertEqual(flaw(address), "", address)
            self.assertTrue(host_of(address) and re.fullmatch(URL, address))

    def test_bad(self) -> None:
        """What may not, each told in ASCII."""
        for address in BAD:
            self.assertTrue(flaw(address), address)
            self.assertTrue(flaw(address).isascii())

    @given(st.text())
    def test_any_text(self, rest: str) -> None:
        """No text after the scheme raises anything, and whatever is good has a host without what divides addresses."""
        address = documents.SCHEME + rest
        if not flaw(address):
            self.assertTrue(set(host_of(address)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_."))


class SegmentTests(SynchronousTestCase):
    """How an id stands in a path of ours."""

    @given(st.text())
    def test_there_and_back(self, rest: str) -> None:
        """A segment stands for the id that it was made of, and has nothing that divides a path."""
        address = documents.SCHEME + rest
        self.assertEqual(of_segment(as_segment(address)), address)
        self.assertRegex(as_segment(address), r"\A~[A-Za-z0-9_-]+\Z")

    @given(st.text())
    def test_one_spelling(self, segment: str) -> None:
        """Whatever stands for an address is what is made of it; all else stands for itself."""
        found = of_segment(segment)
        self.assertIn(segment, (found, as_segment(found)))


class HostTests(SynchronousTestCase):
    """Section 6.7."""

    def test_patterns(self) -> None:
        """A name is that host alone; with a star it is all hosts under the domain and not the domain."""
        self.assertTrue(fits("a.example", "a.example") and fits("*.a.example", "b.a.example"))
        self.assertFalse(fits("a.example", "b.a.example"))
        self.assertFalse(fits("*.a.example", "a.example") or fits("*.a.example", "ba.example"))

    def test_denied_first(self) -> None:
        """What is denied is not let in, listed or not; what has no host neither."""
        hosts = Hosts(("*.a.example",), ("b.a.example",))
        self.assertTrue(hosts.let_in("https://c.a.example/x"))
        for address in ("https://b.a.example/x", "https://c.example/x", "x", "https://c.a.example"):
            self.assertFalse(hosts.let_in(address))
        self.assertTrue(Hosts(None).let_in("https://c.example/x"))
        self.assertFalse(Hosts(()).let_in("https://c.example/x"))
